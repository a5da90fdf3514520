/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pass over the kernel's BTF: which tracepoints and functions there are, and in what shape. The kernel's own has some
 * 5 MiB and is looked at in place: libbpf copies all of it twice before it answers anything, and has to do so for the load anyway.
 */
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
/* Far above any kernel's; what is larger is no BTF. */
#define BTF_BYTES_MAX (256u * 1024 * 1024)
/* Types are found by id from every so-manieth on. */
#define MARK_EVERY 256u

/* Types and strings in place; borrowed. */
struct view {
	const unsigned char *types, *types_end;
	const char *strings;
	uint32_t strings_len;
	uint32_t *marks; /* owned: offset of every MARK_EVERY-th type */
	uint32_t count;	 /* types, with the void at 0 */
};

static void view_done(struct view *view)
{
	free(view->marks);
}

/* What follows a type of this kind. @return -1: a kind that this program does not know */
static long tail_size(const struct btf_type *type)
{
	long count = btf_vlen(type);

	switch (btf_kind(type)) {
	case BTF_KIND_FWD:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG: return 0;
	case BTF_KIND_INT: return sizeof(uint32_t);
	case BTF_KIND_VAR: return sizeof(struct btf_var);
	case BTF_KIND_DECL_TAG: return sizeof(struct btf_decl_tag);
	case BTF_KIND_ARRAY: return sizeof(struct btf_array);
	case BTF_KIND_ENUM: return count * (long)sizeof(struct btf_enum);
	case BTF_KIND_ENUM64: return count * (long)sizeof(struct btf_enum64);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: return count * (long)sizeof(struct btf_member);
	case BTF_KIND_FUNC_PROTO: return count * (long)sizeof(struct btf_param);
	case BTF_KIND_DATASEC: return count * (long)sizeof(struct btf_var_secinfo);
	default: return -1;
	}
}

/* @return NULL at the end, and where a type does not lie wholly before it */
static const struct btf_type *type_at(const struct view *view, const unsigned char *at)
{
	const struct btf_type *type = (const void *)at;
	size_t left = (size_t)(view->types_end - at);
	long tail;

	if (left < sizeof(*type))
		return NULL;
	tail = tail_size(type);
	return tail >= 0 && sizeof(*type) + (size_t)tail <= left ? type : NULL;
}

static const unsigned char *after(const struct btf_type *type)
{
	return (const unsigned char *)(type + 1) + tail_size(type);
}

static const char *name_of(const struct view *view, const struct btf_type *type)
{
	return type->name_off < view->strings_len ? view->strings + type->name_off : "";
}

static const struct btf_type *type_by_id(const struct view *view, uint32_t id)
{
	uint32_t at = crier_max(id / MARK_EVERY * MARK_EVERY, 1u); /* the void has no place */
	const struct btf_type *type;

	if (id == 0 || id >= view->count)
		return NULL;
	type = type_at(view, view->types + view->marks[id / MARK_EVERY]);
	for (; type && at < id; at++)
		type = type_at(view, after(type));
	return type;
}

/* The handler type that a tracepoint's typedef points to; NULL if it is none. */
static const struct btf_type *trace_proto(const struct view *view, const struct btf_type *type)
{
	const struct btf_type *pointer = type_by_id(view, type->type);
	const struct btf_type *proto = pointer ? type_by_id(view, pointer->type) : NULL;

	return proto && btf_is_func_proto(proto) ? proto : NULL;
}

/* Parameters of a handler type, without the leading `void *` of the tracepoint itself. */
static unsigned trace_arguments(const struct view *view, const struct btf_type *type)
{
	const struct btf_type *proto = trace_proto(view, type);

	return proto && btf_vlen(proto) > 0 ? btf_vlen(proto) - 1u : 0;
}

/* mark_victim tells a pid until 6.7, and the task since (72ba14deb40a, also in stable kernels). */
static bool is_victim_pid(const struct view *view, const struct btf_type *type)
{
	const struct btf_type *proto = trace_proto(view, type);
	const struct btf_type *argument;

	if (!proto || btf_vlen(proto) < 2)
		return false;
	argument = type_by_id(view, btf_params(proto)[1].type);
	return argument && !btf_is_ptr(argument);
}

static bool is_function_kind(enum crier_hook_kind kind)
{
	return kind == CRIER_HOOK_KIND_FENTRY || kind == CRIER_HOOK_KIND_KPROBE;
}

/* Tens of thousands of functions are asked about, a score is wanted: most are told apart by how they begin. */
struct begins {
	uint8_t bits[65536 / 8];
};

static unsigned begin_of(const char *name)
{
	return (unsigned)(uint8_t)name[0] | (name[0] ? (unsigned)(uint8_t)name[1] << 8 : 0);
}

static void learn_begin(struct begins *begins, const char *name)
{
	unsigned at = begin_of(name);

	begins->bits[at / 8] |= (uint8_t)(1u << at % 8);
}

static void learn_begins(struct begins *begins)
{
	learn_begin(begins, PREEMPT_DISABLE); /* and the others */
	for (size_t event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		for (size_t i = 0; i < crier_hook_lists[event].count; i++)
			learn_begin(begins, crier_hook_lists[event].hooks[i].target);
}

static bool may_be_wanted(const struct begins *begins, const char *name)
{
	unsigned at = begin_of(name);

	return begins->bits[at / 8] & (1u << at % 8);
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
	for (size_t event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];

		for (size_t i = 0; i < list->count; i++)
			if (is_function_kind(list->hooks[i].kind) == is_function &&
			    strcmp(list->hooks[i].target, name) == 0)
				facts->found[event][i] = id;
	}
}

/* What the shapes of the tracepoints found say. */
static void judge_shapes(struct crier_btf_facts *facts, const struct view *view)
{
	for (size_t i = 0; i < CRIER_PROBE_HOOKS_MAX; i++) {
		const struct btf_type *exit = type_by_id(view, facts->found[CRIER_PROBE_EXIT][i]);
		const struct btf_type *victim = type_by_id(view, facts->found[CRIER_PROBE_OOM][i]);

		if (exit && btf_is_typedef(exit) && trace_arguments(view, exit) >= 2)
			facts->exit_has_group_dead = true;
		if (victim && btf_is_typedef(victim) && is_victim_pid(view, victim))
			facts->victim_is_pid = true;
	}
}

static int view_open(struct view *view, const void *bytes, size_t len)
{
	const struct btf_header *header = bytes;
	uint64_t types, strings;

	if (len < sizeof(*header) || header->magic != BTF_MAGIC || header->hdr_len < sizeof(*header))
		return -EBADMSG;
	types = (uint64_t)header->hdr_len + header->type_off;
	strings = (uint64_t)header->hdr_len + header->str_off;
	if (types % 4 || types + header->type_len > len || strings + header->str_len > len ||
	    header->str_len == 0)
		return -EBADMSG;
	*view = (struct view){.types = (const unsigned char *)bytes + types,
			      .types_end = (const unsigned char *)bytes + types + header->type_len,
			      .strings = (const char *)bytes + strings,
			      .strings_len = header->str_len,
			      .count = 1};
	if (view->strings[view->strings_len - 1] != '\0')
		return -EBADMSG;
	view->marks =
		malloc((header->type_len / sizeof(struct btf_type) / MARK_EVERY + 1) * sizeof(*view->marks));
	return view->marks ? 0 : -ENOMEM;
}

static int scan(const void *bytes, size_t len, struct crier_btf_facts *facts)
{
	struct begins begins = {0};
	struct view view;
	const struct btf_type *type;
	const unsigned char *at;
	int r = view_open(&view, bytes, len);

	if (r < 0)
		return r;
	learn_begins(&begins);
	view.marks[0] = 0;
	for (at = view.types; (type = type_at(&view, at)); at = after(type), view.count++) {
		const char *name;

		if (view.count % MARK_EVERY == 0)
			view.marks[view.count / MARK_EVERY] = (uint32_t)(at - view.types);
		if (!btf_is_typedef(type) && !btf_is_func(type))
			continue;
		name = name_of(&view, type);
		if (btf_is_typedef(type)) {
			if (strncmp(name, TRACE_PREFIX, sizeof(TRACE_PREFIX) - 1) != 0)
				continue;
			name += sizeof(TRACE_PREFIX) - 1;
		}
		if (may_be_wanted(&begins, name))
			match_type(facts, view.count, name, btf_is_func(type));
	}
	r = at == view.types_end ? 0 : -EBADMSG;
	if (r == 0)
		judge_shapes(facts, &view);
	view_done(&view);
	return r;
}

/* Kernels before 6.16 refuse to map it. @return the bytes; NULL with errno */
static void *read_whole(int fd, size_t len)
{
	char *bytes = malloc(len);
	size_t got = 0;

	while (bytes && got < len) {
		ssize_t n = read(fd, bytes + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			free(bytes);
			errno = n < 0 ? errno : EBADMSG;
			return NULL;
		}
		got += (size_t)n;
	}
	return bytes;
}

static int scan_kernels_own(struct crier_btf_facts *facts)
{
	_cleanup_close_ int fd = open(CRIER_KERNEL_BTF, O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *bytes;
	size_t len;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size <= 0 || st.st_size > BTF_BYTES_MAX)
		return -EBADMSG;
	len = (size_t)st.st_size;
	bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (bytes != MAP_FAILED) {
		r = scan(bytes, len, facts);
		munmap(bytes, len);
		return r;
	}
	bytes = read_whole(fd, len);
	if (!bytes)
		return -errno;
	r = scan(bytes, len, facts);
	free(bytes);
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
	r = bytes ? scan(bytes, len, facts) : -ENOMEM;
	btf__free(btf);
	return r;
}

int crier_btf_read(const char *path, struct crier_btf_facts *ret_facts, struct crier_err *err)
{
	struct crier_btf_facts facts = {.is_kernels_own = !path || access(CRIER_KERNEL_BTF, R_OK) == 0};
	int r;

	if (!path && access(CRIER_KERNEL_BTF, R_OK) != 0)
		return crier_err_set(err, -ENOTSUP,
				     CRIER_KERNEL_BTF
				     ": %s; this kernel has no type information (CONFIG_DEBUG_INFO_BTF), "
				     "give a file made for it with --btf",
				     strerror(errno));
	r = path ? scan_file(path, &facts) : scan_kernels_own(&facts);
	if (r < 0)
		return crier_err_set(err, path ? -EBADMSG : -ENOTSUP,
				     "%s: not BTF (%s); give a file made for this kernel",
				     path ? path : CRIER_KERNEL_BTF, strerror(-r));
	if (path) /* a call takes the running kernel's ids */
		facts.preempt_disable = facts.preempt_enable = facts.rdonly_cast = 0;
	*ret_facts = facts;
	return 0;
}
