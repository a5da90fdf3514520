/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the kernel's BTF: which tracepoints and functions there are, in what shape, and where the types lie that libbpf
 * needs. The kernel's own has some 5 MiB and is looked at in place.
 */
#include "btf_cut.h"
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define TRACE_PREFIX	"btf_trace_" /* typedef of a tracepoint's handler */
#define PREEMPT_DISABLE "bpf_preempt_disable"
#define PREEMPT_ENABLE	"bpf_preempt_enable"
#define RDONLY_CAST	"bpf_rdonly_cast"
#define ENTRY_ALLOCATOR "bpf_mem_alloc_init"
#define TASK_ITERATOR	"bpf_iter_task"
/* Far above any kernel's; what is larger is no BTF. */
#define BTF_BYTES_MAX (256u * 1024 * 1024)

/* The handler type that a tracepoint's typedef points to; NULL if it is none. */
static const struct btf_type *trace_proto(const struct crier_btf_view *view, const struct btf_type *type)
{
	const struct btf_type *pointer = crier_btf_type(view, type->type);
	const struct btf_type *proto = pointer ? crier_btf_type(view, pointer->type) : NULL;

	return proto && btf_is_func_proto(proto) ? proto : NULL;
}

/* Parameters of a handler type, without the leading `void *` of the tracepoint itself. */
static unsigned trace_arguments(const struct crier_btf_view *view, const struct btf_type *type)
{
	const struct btf_type *proto = trace_proto(view, type);

	return proto && btf_vlen(proto) > 0 ? btf_vlen(proto) - 1u : 0;
}

/* mark_victim tells a pid until 6.7, and the task since (72ba14deb40a, also in stable kernels). */
static bool is_victim_pid(const struct crier_btf_view *view, const struct btf_type *type)
{
	const struct btf_type *proto = trace_proto(view, type);
	const struct btf_type *argument;

	if (!proto || btf_vlen(proto) < 2)
		return false;
	argument = crier_btf_type(view, btf_params(proto)[1].type);
	return argument && !btf_is_ptr(argument);
}

static bool is_function_kind(enum crier_hook_kind kind)
{
	return kind == CRIER_HOOK_KIND_FENTRY || kind == CRIER_HOOK_KIND_KPROBE;
}

static const char *const readable_names[CRIER_READABLE_COUNT] = {
	[CRIER_READABLE_task_struct] = "task_struct",
	[CRIER_READABLE_linux_binprm] = "linux_binprm",
	[CRIER_READABLE_cgroup] = "cgroup",
};

static void learn_begins(struct crier_btf_begins *begins)
{
	crier_btf_learn(begins, PREEMPT_DISABLE); /* and the other functions */
	for (size_t i = 0; i < CRIER_READABLE_COUNT; i++)
		crier_btf_learn(begins, readable_names[i]);
	for (size_t event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		for (size_t i = 0; i < crier_hook_lists[event].count; i++)
			crier_btf_learn(begins, crier_hook_lists[event].hooks[i].target);
}

/* The first of a name: types that differ from unit to unit are there more than once. */
static void match_struct(struct crier_btf_facts *facts, unsigned id, const char *name)
{
	for (size_t i = 0; i < CRIER_READABLE_COUNT; i++)
		if (!facts->readable[i] && strcmp(name, readable_names[i]) == 0)
			facts->readable[i] = id;
}

static void match_type(struct crier_btf_facts *facts, unsigned id, const char *name, bool is_function)
{
	if (is_function && strcmp(name, PREEMPT_DISABLE) == 0)
		facts->preempt_disable = id;
	else if (is_function && strcmp(name, PREEMPT_ENABLE) == 0)
		facts->preempt_enable = id;
	else if (is_function && strcmp(name, RDONLY_CAST) == 0)
		facts->rdonly_cast = id;
	else if (is_function && strcmp(name, ENTRY_ALLOCATOR) == 0)
		facts->allocates_entries = true;
	else if (is_function && strcmp(name, TASK_ITERATOR) == 0)
		facts->iter_task = id;
	for (size_t event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];

		for (size_t i = 0; i < list->count; i++)
			if (is_function_kind(list->hooks[i].kind) == is_function &&
			    strcmp(list->hooks[i].target, name) == 0)
				facts->found[event][i] = facts->found[event][i] ? facts->found[event][i] : id;
	}
}

/* What the shapes of the tracepoints found say. */
static void judge_shapes(struct crier_btf_facts *facts, const struct crier_btf_view *view)
{
	for (size_t i = 0; i < CRIER_PROBE_HOOKS_MAX; i++) {
		const struct btf_type *exit = crier_btf_type(view, facts->found[CRIER_PROBE_EXIT][i]);
		const struct btf_type *victim = crier_btf_type(view, facts->found[CRIER_PROBE_OOM][i]);

		if (exit && btf_is_typedef(exit) && trace_arguments(view, exit) >= 2)
			facts->exit_has_group_dead = true;
		if (victim && btf_is_typedef(victim) && is_victim_pid(view, victim))
			facts->victim_is_pid = true;
	}
}

static void look_at(struct crier_btf_facts *facts, const struct crier_btf_begins *begins,
		    const struct crier_btf_view *view, uint32_t id, const struct btf_type *type)
{
	const char *name;

	if (!btf_is_typedef(type) && !btf_is_func(type) && !btf_is_struct(type))
		return;
	name = crier_btf_text(view, type->name_off);
	if (btf_is_typedef(type)) {
		if (strncmp(name, TRACE_PREFIX, sizeof(TRACE_PREFIX) - 1) != 0)
			return;
		name += sizeof(TRACE_PREFIX) - 1;
	}
	if (!crier_btf_may_begin(begins, name))
		return;
	if (btf_is_struct(type))
		match_struct(facts, id, name);
	else
		match_type(facts, id, name, btf_is_func(type));
}

/* @param cut  NULL: nothing is cut; @param ret_cut  the file with it, -1 if there is none */
static int scan(const void *bytes, size_t len, struct crier_btf_facts *facts, struct crier_btf_cut *cut,
		int *ret_cut)
{
	struct crier_btf_begins begins = {0};
	struct crier_btf_view view;
	const struct btf_type *type;
	int r = crier_btf_view_open(&view, bytes, len);

	if (r < 0)
		return r;
	learn_begins(&begins);
	for (uint32_t id = view.count; (type = crier_btf_next(&view)); id = view.count) {
		look_at(facts, &begins, &view, id, type);
		if (cut)
			crier_btf_cut_offer(cut, &view, id, type);
	}
	r = crier_btf_is_whole(&view) ? 0 : -EBADMSG;
	if (r == 0)
		judge_shapes(facts, &view);
	if (r == 0 && cut)
		*ret_cut = crier_btf_cut_make(cut, &view);
	crier_btf_view_done(&view);
	return r;
}

static int read_whole(int fd, char *bytes, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = read(fd, bytes + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		got += (size_t)n;
	}
	return 0;
}

/* Kernels before 6.16 refuse to map it: there it is copied, into pages that are made in one call rather than by a fault each. */
static int map_whole(int fd, size_t len, void **ret_bytes)
{
	void *bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	int r = 0;

	if (bytes == MAP_FAILED) {
		bytes = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
			     -1, 0);
		if (bytes == MAP_FAILED)
			return -errno;
		r = read_whole(fd, bytes, len);
	}
	if (r < 0)
		munmap(bytes, len);
	else
		*ret_bytes = bytes;
	return r;
}

static int scan_kernels_own(struct crier_btf_facts *facts, struct crier_btf_cut *cut, int *ret_cut)
{
	_cleanup_close_ int fd = open(CRIER_KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes = NULL;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > BTF_BYTES_MAX)
		return -EBADMSG;
	r = map_whole(fd, (size_t)st.st_size, &bytes);
	if (r < 0)
		return r;
	r = scan(bytes, (size_t)st.st_size, facts, cut, ret_cut);
	munmap(bytes, (size_t)st.st_size);
	return r;
}

/* A file may also be an ELF object with BTF inside, and may change while it is read: libbpf copies what it is. */
static int scan_file(const char *path, struct crier_btf_facts *facts)
{
	struct btf *btf = btf__parse(path, NULL);
	const void *bytes;
	uint32_t len;
	int r;

	if (!btf)
		return -errno;
	bytes = btf__raw_data(btf, &len);
	r = bytes ? scan(bytes, len, facts, NULL, NULL) : -ENOMEM;
	btf__free(btf);
	return r;
}

/* Without a cut libbpf reads the whole: slower, nothing else. */
static int scan_and_cut(struct crier_btf_facts *facts, int *ret_cut)
{
	struct crier_btf_cut cut;
	int r = crier_btf_cut_start(&cut);

	if (r < 0) {
		*ret_cut = r;
		return scan_kernels_own(facts, NULL, NULL);
	}
	r = scan_kernels_own(facts, &cut, ret_cut);
	crier_btf_cut_done(&cut);
	return r;
}

int crier_btf_read(const char *path, struct crier_btf_facts *ret_facts, int *ret_cut, struct crier_err *err)
{
	struct crier_btf_facts facts = {.is_kernels_own = !path || access(CRIER_KERNEL_BTF, R_OK) == 0};
	int cut = -1, r;

	if (!path && access(CRIER_KERNEL_BTF, R_OK) != 0)
		return crier_err_set(err, -ENOTSUP,
				     CRIER_KERNEL_BTF
				     ": %s; this kernel has no type information (CONFIG_DEBUG_INFO_BTF), "
				     "give a file made for it with --btf",
				     strerror(errno));
	r = path ? scan_file(path, &facts) : 0;
	if (r == 0 && facts.is_kernels_own && path) /* the file serves libbpf; ids are the running kernel's */
		facts = (struct crier_btf_facts){.is_kernels_own = true};
	if (r == 0 && facts.is_kernels_own)
		r = ret_cut && !path ? scan_and_cut(&facts, &cut) : scan_kernels_own(&facts, NULL, NULL);
	if (r < 0)
		return crier_err_set(err, path ? -EBADMSG : -ENOTSUP,
				     "%s: not BTF (%s); give a file made for this kernel",
				     path ? path : CRIER_KERNEL_BTF, strerror(-r));
	for (size_t i = 0; i < CRIER_READABLE_COUNT; i++)
		if (!facts.readable[i]) /* never */
			facts.rdonly_cast = 0;
	if (!facts.is_kernels_own) { /* a call takes the running kernel's ids */
		facts.preempt_disable = facts.preempt_enable = facts.rdonly_cast = 0;
		facts.allocates_entries = false;
	}
	if (ret_cut)
		*ret_cut = cut;
	*ret_facts = facts;
	return 0;
}
