/* SPDX-License-Identifier: Apache-2.0 */
/* Load one object with the chosen programs; switch off what the kernel refuses and try again. */
#include "internal.h"

#include "crier/base/log.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Each retry switches one program off, or gives up the cut of BTF, or, before and after that, one of three calls. */
#define LOAD_TRIES_MAX (CRIER_PROBE_EVENT_COUNT * CRIER_PROBE_HOOKS_MAX + 8)
#define NOT_SUPPORTED  524 /* the kernel's own ENOTSUPP */
/* Budget entries cost kernel memory (about 112 bytes each) and are needed for noisy cgroups only. */
#define BUDGET_ENTRIES_MAX 16384u
/* Maps that stand idle: of exits where the kernel has the group_dead argument, of what was seen where there is no second. */
#define IDLE_ENTRIES 1u

static bool has_capability(const struct __user_cap_data_struct *data, unsigned capability)
{
	return data[capability / 32].effective & (1u << (capability % 32));
}

static int check_capabilities(struct crier_err *err)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	bool bpf, perfmon;

	if (syscall(SYS_capget, &header, data) < 0)
		return 0; /* the load will tell */
	if (has_capability(data, CAP_SYS_ADMIN))
		return 0;
	bpf = has_capability(data, CAP_BPF);
	perfmon = has_capability(data, CAP_PERFMON);
	if (bpf && perfmon)
		return 0;
	return crier_err_set(err, -EPERM, "bpf: missing %s%s%s; run as root or grant %s",
			     bpf ? "" : "CAP_BPF", !bpf && !perfmon ? " and " : "",
			     perfmon ? "" : "CAP_PERFMON", !bpf && !perfmon ? "both" : "it");
}

static bool is_power_of_two(uint32_t n)
{
	return n && (n & (n - 1)) == 0;
}

static int check_options(const struct crier_probe_options *options, struct crier_err *err)
{
	uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

	if (!is_power_of_two(options->bulk_bytes) || options->bulk_bytes % page)
		return crier_err_set(err, -EINVAL, "bulk ring: %u bytes; give a power of two, at least %u",
				     options->bulk_bytes, page);
	if (!is_power_of_two(options->critical_bytes) || options->critical_bytes % page)
		return crier_err_set(err, -EINVAL,
				     "critical ring: %u bytes; give a power of two, at least %u",
				     options->critical_bytes, page);
	if (options->class_entries == 0)
		return crier_err_set(err, -EINVAL, "class map: 0 entries; give at least 1");
	return 0;
}

static int configure(struct crier_bpf *skel, const struct crier_probe_options *options,
		     const struct crier_btf_facts *facts, int cpu_count)
{
	int r = 0;

	r |= bpf_map__set_max_entries(skel->maps.crier_ring_bulk, options->bulk_bytes);
	r |= bpf_map__set_max_entries(skel->maps.crier_ring_critical, options->critical_bytes);
	r |= bpf_map__set_max_entries(skel->maps.crier_shared, CRIER_SLOT_CPU + (uint32_t)cpu_count);
	r |= bpf_map__set_max_entries(skel->maps.crier_classes, options->class_entries);
	r |= bpf_map__set_max_entries(skel->maps.crier_budgets,
				      crier_min(options->class_entries, BUDGET_ENTRIES_MAX));
	if (facts->allocates_entries) /* the budgets bound a flood: they must not fail when memory is short */
		r |= bpf_map__set_map_flags(skel->maps.crier_classes, BPF_F_NO_PREALLOC);
	if (facts->exit_has_group_dead)
		r |= bpf_map__set_max_entries(skel->maps.crier_exit_told, IDLE_ENTRIES);
	if (!facts->needs_second)
		r |= bpf_map__set_max_entries(skel->maps.crier_seen, IDLE_ENTRIES);
	skel->rodata->crier_exit_has_group_dead = facts->exit_has_group_dead;
	skel->rodata->crier_has_second = facts->needs_second;
	skel->rodata->crier_primary_is_v2 = options->primary_is_v2;
	skel->rodata->crier_primary_hierarchy_id = options->primary_hierarchy_id;
	skel->rodata->crier_page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	return r;
}

static bool is_second(const char *name)
{
	size_t len = strlen(name);

	return len > strlen(CRIER_SECOND) && strcmp(name + len - strlen(CRIER_SECOND), CRIER_SECOND) == 0;
}

/* Switch every program off, then the chosen ones on. */
static void select_programs(struct bpf_object *obj, const struct crier_probe *probe, int only_event,
			    bool with_seed)
{
	struct bpf_program *prog;

	bpf_object__for_each_program (prog, obj) {
		bool on = with_seed && strcmp(bpf_program__name(prog), CRIER_SEED_PROGRAM) == 0;

		for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
			const struct crier_hook *hook = crier_choice_hook(&probe->choice, event);

			if (hook && (only_event < 0 || (unsigned)only_event == event) &&
			    crier_hook_runs(hook, bpf_program__name(prog)) &&
			    (probe->facts.needs_second || !is_second(bpf_program__name(prog))))
				on = true;
		}
		bpf_program__set_autoload(prog, on);
	}
}

/* The id to call where `insn` is a mark; 0: it is none. */
static unsigned call_at(const struct crier_btf_facts *facts, const struct bpf_insn *insn)
{
	bool has_both = facts->preempt_disable && facts->preempt_enable;

	if (insn->code != (BPF_ALU64 | BPF_MOV | BPF_K) || insn->dst_reg != BPF_REG_0)
		return 0;
	switch (insn->imm) {
	case CRIER_MARK_PREEMPT_DISABLE: return has_both ? facts->preempt_disable : 0;
	case CRIER_MARK_PREEMPT_ENABLE: return has_both ? facts->preempt_enable : 0;
	case CRIER_MARK_RDONLY_CAST: return facts->rdonly_cast;
	default: return 0;
	}
}

/* The BTF id to have where `insn` is the mark of a type; 0: it is none. */
static unsigned type_at(const struct crier_btf_facts *facts, const struct bpf_insn *insn)
{
	unsigned which = (unsigned)insn->imm - CRIER_MARK_TYPE;

	if (insn->code != (BPF_ALU64 | BPF_MOV | BPF_K) || insn->dst_reg != BPF_REG_2)
		return 0;
	return which < CRIER_READABLE_COUNT ? facts->readable[which] : 0;
}

int crier_put_calls(struct bpf_object *obj, const struct crier_btf_facts *facts)
{
	struct bpf_program *prog;

	bpf_object__for_each_program (prog, obj) {
		size_t count = bpf_program__insn_cnt(prog);
		_cleanup_free_ struct bpf_insn *insns = calloc(count, sizeof(*insns));
		int r;

		if (!insns)
			return -ENOMEM;
		memcpy(insns, bpf_program__insns(prog), count * sizeof(*insns));
		for (size_t i = 0; i < count; i++) {
			bool is_cast = insns[i].imm == CRIER_MARK_RDONLY_CAST;
			unsigned id = call_at(facts, &insns[i]), type = type_at(facts, &insns[i]);

			if (type)
				insns[i].imm = (int32_t)type;
			if (!id)
				continue;
			insns[i] = (struct bpf_insn){.code = BPF_JMP | BPF_CALL,
						     .src_reg = BPF_PSEUDO_KFUNC_CALL,
						     .imm = (int32_t)id};
			if (is_cast && i + 1 < count) /* the move that stood in for it: go on */
				insns[i + 1] = (struct bpf_insn){.code = BPF_JMP | BPF_JA};
		}
		r = bpf_program__set_insns(prog, insns, count);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * The program in crier_words was refused: because of preemption, perhaps? The verifiers of 6.10 to 6.12 take no global function
 * while it is off, and those kernels do not preempt programs at tracepoints anyway.
 */
static bool give_up_preemption(struct crier_probe *probe)
{
	static const enum crier_probe_event events[] = {CRIER_PROBE_EXEC, CRIER_PROBE_FORK, CRIER_PROBE_EXIT};

	if (!probe->facts.preempt_disable)
		return false;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(events); i++) {
		const struct crier_hook *hook = crier_choice_hook(&probe->choice, events[i]);

		if (hook && crier_hook_runs(hook, crier_words.program)) {
			crier_debug("hook %s: load refused with preemption off: %s", hook->name,
				    crier_words.cause);
			probe->facts.preempt_disable = 0;
			probe->facts.needs_second = false; /* over the maps of a CPU they need it */
			return true;
		}
	}
	return false;
}

/*
 * Would the program be taken without calls of the kernel's own functions? All of them are refused where the JIT is off
 * (net.core.bpf_jit_enable=0) or of an architecture that does not know them.
 */
static bool give_up_calls(struct crier_probe *probe, int code)
{
	bool has_cast = probe->facts.rdonly_cast;

	if (code == -NOT_SUPPORTED && (has_cast || probe->facts.preempt_disable)) {
		crier_debug("program %s: load refused with calls of the kernel's functions: %s",
			    crier_words.program, crier_words.cause);
		probe->facts.preempt_disable = probe->facts.rdonly_cast = 0;
		probe->facts.needs_second = false;
		return true;
	}
	if (give_up_preemption(probe))
		return true;
	probe->facts.rdonly_cast = 0;
	return has_cast;
}

/* A load failed because of the program in crier_words. @return false: because of something else */
static bool refuse_program(struct crier_probe *probe, int code)
{
	const char *cause = crier_words.cause;

	if (probe->has_seed && strcmp(crier_words.program, CRIER_SEED_PROGRAM) == 0) {
		probe->has_seed = false;
		snprintf(probe->seed_reason, sizeof(probe->seed_reason), "load refused: %s", strerror(-code));
		return true;
	}
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook *hook = crier_choice_hook(&probe->choice, event);

		if (!hook || !crier_hook_runs(hook, crier_words.program))
			continue;
		crier_debug("hook %s: load refused: %s %s", hook->name, strerror(-code), cause);
		crier_choice_refuse(&probe->choice, event, "load refused: %s%s%.100s", strerror(-code),
				    *cause ? ": " : "", cause);
		return true;
	}
	return false;
}

static int load_error(int code, struct crier_err *err)
{
	if (code == -EPERM)
		return crier_err_set(
			err, code,
			"bpf: the kernel refuses the maps (Operation not permitted); grant CAP_BPF and "
			"CAP_PERFMON, before 5.11 also CAP_SYS_RESOURCE (RLIMIT_MEMLOCK)");
	return crier_err_set(
		err, code,
		"bpf: the object does not load: %s%s%s; run with --log-level debug for libbpf's words",
		strerror(-code), *crier_words.program ? " at " : "", crier_words.program);
}

/* To be blamed before a program is: the cut of the kernel's BTF, or that it could not be read. @return false: there is none */
static bool give_up_cut(struct crier_probe *probe, int code, const struct crier_btf_facts *before)
{
	if (probe->btf_cut < 0)
		return false;
	probe->facts = *before; /* what was given up meanwhile was not to blame */
	crier_debug("bpf: load refused with the part of BTF that crier cut out: %s%s%s", strerror(-code),
		    *crier_words.program ? " at " : "", crier_words.program);
	close(take_fd(probe->btf_cut));
	return true;
}

#define CUT_PATH_MAX 32
#define NO_HANDLERS  "bpf: libbpf takes no handlers of sections: %s"

/* What libbpf is to relocate by. @return a file of the user's, the cut as `path`; NULL: the kernel's own */
static const char *types_for(const struct crier_probe *probe, char path[CUT_PATH_MAX])
{
	if (probe->btf_cut < 0)
		return probe->btf_path;
	snprintf(path, CUT_PATH_MAX, "/proc/self/fd/%d", probe->btf_cut);
	return path;
}

static int load(struct crier_probe *probe, const struct crier_probe_options *options, struct crier_err *err)
{
	const struct crier_btf_facts facts = probe->facts;
	int r = -ELOOP;

	for (int i = 0; i < LOAD_TRIES_MAX; i++) {
		char path[CUT_PATH_MAX];
		struct bpf_object_open_opts opts = {.sz = sizeof(opts),
						    .btf_custom_path = types_for(probe, path)};

		crier_words_start();
		probe->skel = crier_bpf__open_opts(&opts);
		if (!probe->skel)
			return crier_err_set(err, -errno, "bpf: the built-in object cannot be opened: %s",
					     strerror(errno));
		r = configure(probe->skel, options, &probe->facts, probe->cpu_count);
		if (r)
			return crier_err_set(err, -EINVAL, "bpf: map sizes are refused by libbpf");
		select_programs(probe->skel->obj, probe, -1, probe->has_seed);
		r = crier_put_calls(probe->skel->obj, &probe->facts);
		if (r == 0)
			r = crier_bpf__load(probe->skel);
		probe->was_cut = probe->btf_cut >= 0;
		if (r == 0)
			return 0;
		crier_bpf__destroy(probe->skel);
		probe->skel = NULL;
		if (*crier_words.program && give_up_calls(probe, r))
			continue;
		if (!give_up_cut(probe, r, &facts) && (!*crier_words.program || !refuse_program(probe, r)))
			break;
	}
	return load_error(r, err);
}

/* Before any program is attached: the control's first values are in force from the first event on. */
static int map_slots(struct crier_probe *probe, const struct crier_wire_control *control,
		     struct crier_err *err)
{
	size_t size = (size_t)(CRIER_SLOT_CPU + probe->cpu_count) * sizeof(struct crier_wire_slot);
	void *slots = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   bpf_map__fd(probe->skel->maps.crier_shared), 0);

	if (slots == MAP_FAILED)
		return crier_err_set(err, -errno, "bpf: shared map: mmap of %zu bytes: %s", size,
				     strerror(errno));
	probe->slots = slots;
	probe->slots_size = size;
	probe->control = slots;
	crier_probe_set_control(probe, control);
	return 0;
}

static void find_programs(struct crier_probe *probe, struct bpf_object *obj, int only_event)
{
	char second[64];

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook *hook = crier_choice_hook(&probe->choice, event);

		if (!hook || (only_event >= 0 && (unsigned)only_event != event))
			continue;
		probe->programs[event] = bpf_object__find_program_by_name(obj, hook->program);
		snprintf(second, sizeof(second), "%s" CRIER_SECOND, hook->program);
		probe->seconds[event] =
			probe->facts.needs_second ? bpf_object__find_program_by_name(obj, second) : NULL;
	}
}

/* What this kernel is, and which hooks that leaves to try. */
static int look(struct crier_probe *probe, const struct crier_probe_options *options, struct crier_err *err)
{
	int r;

	if (options->btf_path && !(probe->btf_path = strdup(options->btf_path)))
		return crier_err_set(err, -ENOMEM, "bpf: out of memory");
	probe->cpu_count = libbpf_num_possible_cpus();
	if (probe->cpu_count <= 0)
		return crier_err_set(err, probe->cpu_count ? probe->cpu_count : -ENODATA,
				     "bpf: the number of possible CPUs is not to be had: %s",
				     strerror(-probe->cpu_count));
	crier_words_start();
	r = crier_btf_read(probe->btf_path, &probe->facts, &probe->btf_cut, err);
	if (r < 0)
		return r;
	if (probe->btf_cut < 0 && !probe->btf_path)
		crier_debug("bpf: nothing is cut out of the kernel's BTF (%s): the whole is read",
			    strerror(-probe->btf_cut));
	/* an iterator is typed: the whole load would fail */
	probe->has_seed = probe->facts.is_kernels_own && probe->facts.iter_task;
	if (!probe->has_seed)
		snprintf(probe->seed_reason, sizeof(probe->seed_reason), "%s",
			 probe->facts.is_kernels_own ? "not in the kernel's BTF"
						     : "the kernel itself carries no BTF");
	probe->facts.needs_second = options->preempts_programs && probe->facts.preempt_disable;
	crier_choice_init(&probe->choice, options, &probe->facts);
	crier_trial(&probe->choice, &probe->facts);
	return 0;
}

static int open_rings(struct crier_probe *probe, const struct crier_probe_options *options,
		      struct crier_err *err)
{
	const struct bpf_map *maps[] = {[CRIER_CLASS_BULK] = probe->skel->maps.crier_ring_bulk,
					[CRIER_CLASS_CRITICAL] = probe->skel->maps.crier_ring_critical};
	const uint32_t sizes[] = {
		[CRIER_CLASS_BULK] = options->bulk_bytes, [CRIER_CLASS_CRITICAL] = options->critical_bytes};
	int r = 0;

	for (unsigned ring = 0; r == 0 && ring < CRIER_CLASS_COUNT; ring++) {
		probe->ring_fds[ring] = bpf_map__fd(maps[ring]);
		r = crier_ring_open(&probe->rings[ring], probe->ring_fds[ring], sizes[ring], err);
	}
	return r;
}

/* load() with what typed programs need meanwhile. */
static int load_typed(struct crier_probe *probe, const struct crier_probe_options *options,
		      struct crier_err *err)
{
	int r = crier_typed_start(probe->facts.is_kernels_own ? &probe->facts : NULL);

	if (r < 0)
		r = crier_err_set(err, r, NO_HANDLERS, strerror(-r));
	else
		r = load(probe, options, err);
	crier_typed_end();
	return r == 0 && !probe->skel ? -EINVAL : r; /* the former is never; clang-tidy cannot know */
}

int crier_probe_open(const struct crier_probe_options *options, struct crier_probe **ret_probe,
		     struct crier_err *err)
{
	struct crier_probe *probe;
	int r;

	r = check_options(options, err);
	if (r == 0)
		r = check_capabilities(err);
	if (r < 0)
		return r;
	probe = calloc(1, sizeof(*probe));
	if (!probe)
		return crier_err_set(err, -ENOMEM, "bpf: out of memory");
	probe->btf_cut = -1;
	r = look(probe, options, err);
	if (r == 0)
		r = load_typed(probe, options, err);
	if (r == 0) {
		find_programs(probe, probe->skel->obj, -1);
		r = map_slots(probe, &options->control, err);
	}
	if (r == 0)
		r = open_rings(probe, options, err);
	if (r < 0) {
		crier_probe_free(probe);
		return r;
	}
	*ret_probe = probe;
	return 0;
}

/* Give the maps of the first object to another, so that both work on the same tables and rings. */
static int share_maps(struct crier_probe *probe, struct bpf_object *obj)
{
	struct bpf_map *map, *own;
	int r;

	bpf_object__for_each_map(map, obj)
	{
		own = bpf_object__find_map_by_name(probe->skel->obj, bpf_map__name(map));
		if (!own)
			return -ENOENT;
		r = bpf_map__reuse_fd(map, bpf_map__fd(own));
		if (r)
			return r;
	}
	return 0;
}

static int load_late(struct crier_probe *probe, unsigned event, struct crier_err *err)
{
	char path[CUT_PATH_MAX];
	struct bpf_object_open_opts opts = {
		.sz = sizeof(opts), .btf_custom_path = types_for(probe, path), .object_name = "crier_bpf"};
	struct bpf_object *obj;
	size_t size;
	const void *elf = crier_bpf__elf_bytes(&size);
	int r;

	crier_words_start();
	obj = bpf_object__open_mem(elf, size, &opts);
	if (!obj)
		return crier_err_set(err, -errno, "bpf: the built-in object cannot be opened: %s",
				     strerror(errno));
	select_programs(obj, probe, (int)event, false);
	r = share_maps(probe, obj);
	if (r == 0)
		r = crier_put_calls(obj, &probe->facts);
	if (r == 0)
		r = bpf_object__load(obj);
	if (r) {
		bpf_object__close(obj);
		return crier_err_set(err, r, "bpf: the replacement does not load: %s", strerror(-r));
	}
	probe->late[probe->late_count++] = obj;
	find_programs(probe, obj, (int)event);
	return 0;
}

int crier_probe_load_late(struct crier_probe *probe, unsigned event, struct crier_err *err)
{
	int r;

	if (probe->late_count == CRIER_ARRAY_SIZE(probe->late))
		return crier_err_set(err, -ENOSPC, "bpf: too many hooks had to be replaced");
	r = crier_typed_start(probe->facts.is_kernels_own ? &probe->facts : NULL);
	if (r < 0)
		r = crier_err_set(err, r, NO_HANDLERS, strerror(-r));
	else
		r = load_late(probe, event, err);
	crier_typed_end();
	return r;
}
