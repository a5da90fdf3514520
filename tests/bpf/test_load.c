/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of the kernel's BTF, and how the object is loaded by it: ids, calls of the kernel's functions, sizes of maps. */
#include "harness.h"

#include "../../src/probe/btf_cut.h"
#include "../../src/probe/internal.h"
#include "relocated.h"

/* What libbpf says of a hook's target: the id of its type, 0 = none. Functions of one name have several. */
static bool is_target(const struct btf *btf, const struct crier_hook *hook, unsigned id)
{
	bool is_function = hook->kind == CRIER_HOOK_KIND_FENTRY || hook->kind == CRIER_HOOK_KIND_KPROBE;
	char name[128];
	int first;

	snprintf(name, sizeof(name), "%s%s", is_function ? "" : "btf_trace_", hook->target);
	first = btf__find_by_name_kind(btf, name, is_function ? BTF_KIND_FUNC : BTF_KIND_TYPEDEF);
	if (first <= 0)
		return id == 0;

	const struct btf_type *type = btf__type_by_id(btf, id);

	return type && (is_function ? btf_is_func(type) : btf_is_typedef(type)) &&
	       strcmp(btf__name_by_offset(btf, type->name_off), name) == 0;
}

/* The tracepoint's handler: typedef, pointer, prototype. */
static const struct btf_type *handler_of(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_TYPEDEF);

	if (id <= 0)
		return NULL;
	return btf__type_by_id(btf, btf__type_by_id(btf, btf__type_by_id(btf, (unsigned)id)->type)->type);
}

/* btf.c reads the kernel's BTF in place: it must see there what libbpf sees. */
static void btf_as_libbpf_reads_it(void)
{
	struct crier_btf_facts own = {0}, copied = {0};
	struct crier_err err = {0};
	struct btf *btf = btf__load_vmlinux_btf();
	unsigned found = 0;

	CHECK(btf && crier_btf_read(NULL, &own, NULL, &err) == 0, "%s", err.message);
	CHECK(crier_btf_read("/sys/kernel/btf/vmlinux", &copied, NULL, &err) == 0, "%s", err.message);
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		for (size_t i = 0; i < crier_hook_lists[event].count; i++) {
			const struct crier_hook *hook = &crier_hook_lists[event].hooks[i];

			CHECK(is_target(btf, hook, own.found[event][i]), "%s: id %u", hook->name,
			      own.found[event][i]);
			CHECK_EQ(own.found[event][i], copied.found[event][i]);
			found += own.found[event][i] != 0;
		}
	CHECK(found >= CRIER_PROBE_EVENT_COUNT, "%u targets", found);

	const struct btf_type *exit = handler_of(btf, "btf_trace_sched_process_exit");
	const struct btf_type *victim = handler_of(btf, "btf_trace_mark_victim");

	CHECK(exit && victim);
	CHECK_EQ(own.exit_has_group_dead, btf_vlen(exit) >= 3);
	CHECK_EQ(own.victim_is_pid, !btf_is_ptr(btf__type_by_id(btf, btf_params(victim)[1].type)));
	btf__free(btf);
}

/* @return calls of kernel functions in the loaded program of an event */
static unsigned kernel_calls(enum crier_probe_event event)
{
	static struct bpf_insn insns[8192];
	struct bpf_prog_info info = {.xlated_prog_insns = (uint64_t)(uintptr_t)insns,
				     .xlated_prog_len = sizeof(insns)};
	uint32_t len = sizeof(info);
	unsigned calls = 0;

	CHECK_EQ(bpf_obj_get_info_by_fd(bpf_program__fd(probe->programs[event]), &info, &len), 0);
	CHECK(info.xlated_prog_len > 0 && info.xlated_prog_len <= sizeof(insns), "%u bytes of program",
	      info.xlated_prog_len);
	for (size_t i = 0; i < info.xlated_prog_len / sizeof(*insns); i++)
		calls += insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL;
	return calls;
}

/* By libbpf's own reading of BTF. */
static bool kernel_has(const char *function)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool found;

	CHECK(btf != NULL);
	found = btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) > 0;
	btf__free(btf);
	return found;
}

/*
 * Where the kernel lets programs switch preemption off, those of processes do: once on, and off again on each way out; all of
 * them or, where the verifier refuses one (6.10 to 6.12), none.
 */
static void processes_are_not_preempted(void)
{
	static const enum crier_probe_event events[] = {CRIER_PROBE_EXEC, CRIER_PROBE_FORK, CRIER_PROBE_EXIT};
	bool is_possible = kernel_has("bpf_preempt_disable");

	setup_open(&(struct setup){0});
	/* 6.13 and later take them; the sign of it is an argument that came with 6.16 */
	CHECK(probe->facts.preempt_disable || !is_possible || !probe->facts.exit_has_group_dead,
	      "given up on a kernel that takes them");
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(events); i++) {
		unsigned calls = kernel_calls(events[i]);

		if (!probe->facts.preempt_disable)
			CHECK_EQ(calls, 0);
		else
			CHECK(is_possible && calls >= 2, "event %u: %u calls", events[i], calls);
	}
}

/*
 * Where the kernel makes pointers readable that are not trusted, its call stands in each program of processes, once for each of the
 * tracepoint's pointers, and the move that stood in for it is gone; elsewhere the mark does nothing.
 */
static void pointers_are_read_not_trusted(void)
{
	static const struct {
		enum crier_probe_event event;
		unsigned pointers;
	} rows[] = {{CRIER_PROBE_EXEC, 2}, {CRIER_PROBE_FORK, 2}, {CRIER_PROBE_EXIT, 1}};
	bool is_possible = kernel_has("bpf_rdonly_cast");

	setup_open(&(struct setup){0});
	CHECK_EQ(probe->facts.rdonly_cast != 0, is_possible);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		const struct bpf_program *program = probe->programs[rows[i].event];
		const struct bpf_insn *insns = bpf_program__insns(program);
		unsigned marks = 0, calls = 0;

		for (size_t k = 0; k + 1 < bpf_program__insn_cnt(program); k++) {
			marks += insns[k].imm == CRIER_MARK_RDONLY_CAST;
			calls += insns[k].code == (BPF_JMP | BPF_CALL) &&
				 insns[k].src_reg == BPF_PSEUDO_KFUNC_CALL &&
				 (unsigned)insns[k].imm == probe->facts.rdonly_cast &&
				 insns[k + 1].code == (BPF_JMP | BPF_JA) && insns[k + 1].off == 0;
		}
		CHECK_EQ(calls, is_possible ? rows[i].pointers : 0);
		CHECK_EQ(marks, is_possible ? 0 : rows[i].pointers);
	}
}

/* ---- how the object is loaded ---- */

/* What is relocated from the part of BTF that crier cuts out is what is relocated from the whole. */
static void cut_as_the_whole(void)
{
	struct bpf_program *program, *other;
	struct bpf_object_open_opts opts = {.sz = sizeof(opts)};
	struct crier_bpf *whole;
	unsigned compared = 0;

	setup_open(&(struct setup){0});
	CHECK(probe->was_cut, "the whole was read");
	whole = crier_bpf__open_opts(&opts);
	CHECK(whole);
	bpf_object__for_each_program (program, whole->obj) {
		other = bpf_object__find_program_by_name(probe->skel->obj, bpf_program__name(program));
		bpf_program__set_autoload(program, bpf_program__autoload(other));
	}
	bpf_map__set_max_entries(whole->maps.crier_ring_bulk, 1 << 16);
	bpf_map__set_max_entries(whole->maps.crier_ring_critical, 1 << 16);
	CHECK_EQ(crier_put_calls(whole->obj, &probe->facts), 0);
	CHECK_EQ(crier_bpf__load(whole), 0);
	bpf_object__for_each_program (program, whole->obj) {
		other = bpf_object__find_program_by_name(probe->skel->obj, bpf_program__name(program));
		if (!bpf_program__autoload(program))
			continue;
		CHECK(relocated_hash(program) == relocated_hash(other), "%s", bpf_program__name(program));
		compared++;
	}
	CHECK(compared >= CRIER_PROBE_EVENT_COUNT - 2, "%u programs", compared);
	crier_bpf__destroy(whole);
}

/* No kernel's BTF is like these: nothing is cut, or what is whole of it, and nothing is read beyond the end. */
static void cut_of_what_is_odd(void)
{
	struct crier_btf_cut cut;
	struct crier_btf_view view;
	struct {
		struct btf_header header;
		struct btf_type type;
		struct btf_member member;
		char names[16];
	} btf = {
		.header = {.magic = BTF_MAGIC,
			   .version = BTF_VERSION,
			   .hdr_len = sizeof(btf.header),
			   .type_len = sizeof(btf.type) + sizeof(btf.member),
			   .str_off = sizeof(btf.type) + sizeof(btf.member),
			   .str_len = sizeof(btf.names)},
		.type = {.name_off = 1, .info = BTF_KIND_STRUCT << 24 | 1, .size = 8},
		.member = {.name_off = 0xffffffff, .type = 0xffffffff},
		.names = "\0task_struct",
	};

	CHECK_EQ(crier_btf_cut_start(&cut), 0);
	CHECK_EQ(crier_btf_view_open(&view, &btf, sizeof(btf)), 0);
	crier_btf_cut_offer(&cut, &view, 1, crier_btf_next(&view));
	CHECK(!crier_btf_next(&view) && crier_btf_is_whole(&view), "whole");
	CHECK_EQ(cut.root_count, 1);
	int fd = crier_btf_cut_make(&cut, &view);
	CHECK(fd >= 0, "%s", strerror(-fd));

	struct btf_header header;
	struct btf_type type;
	struct btf_member member;

	CHECK_EQ(read(fd, &header, sizeof(header)), 0); /* at its end, where it was written to */
	CHECK_EQ(pread(fd, &type, sizeof(type), sizeof(header)), (ssize_t)sizeof(type));
	CHECK_EQ(pread(fd, &member, sizeof(member), sizeof(header) + sizeof(type)), (ssize_t)sizeof(member));
	CHECK_EQ(type.info, btf.type.info);
	CHECK(member.type == 0 && member.name_off == 0, "void without a name");
	close(fd);
	crier_btf_view_done(&view);
	for (uint32_t many = 0; many <= CRIER_BTF_CUT_ROOTS; many++)
		crier_btf_cut_offer(&cut, &view, 1, &btf.type);
	CHECK(cut.failed, "more types of these names than any kernel has");
	crier_btf_cut_done(&cut);
	btf.type.info += 1; /* a member more than there are bytes for */
	CHECK_EQ(crier_btf_view_open(&view, &btf, sizeof(btf)), 0);
	CHECK(!crier_btf_next(&view) && !crier_btf_is_whole(&view), "not whole");
	crier_btf_view_done(&view);
	btf.header.type_len = 0xfffffff0;
	CHECK_EQ(crier_btf_view_open(&view, &btf, sizeof(btf)), -EBADMSG);
}

/* Large tables take memory as they fill where the kernel lets programs allocate; either way they hold what was asked for. */
static void tables_fill_as_needed(void)
{
	bool is_possible = kernel_has("bpf_mem_alloc_init");
	__u32 wanted_flags = is_possible ? BPF_F_NO_PREALLOC : 0;
	const uint32_t entries = 20000; /* many times what a CPU has at hand */
	uint64_t id = 1;

	setup_open(&(struct setup){.class_entries = entries});
	CHECK_EQ(probe->facts.allocates_entries, is_possible);
	CHECK_EQ(bpf_map__map_flags(probe->skel->maps.crier_classes), wanted_flags);
	CHECK_EQ(bpf_map__map_flags(probe->skel->maps.crier_budgets), 0);
	while (id <= entries + 1 && crier_probe_classify(probe, id, CRIER_CGROUP_HOST) == 0)
		id++;
	CHECK_EQ(id, entries + 1);
}

const struct test_case load_tests[] = {
	{"btf_as_libbpf_reads_it", btf_as_libbpf_reads_it, false},
	{"cut_as_the_whole", cut_as_the_whole, true},
	{"cut_of_what_is_odd", cut_of_what_is_odd, false},
	{"processes_are_not_preempted", processes_are_not_preempted, true},
	{"pointers_are_read_not_trusted", pointers_are_read_not_trusted, true},
	{"tables_fill_as_needed", tables_fill_as_needed, true},
	{0},
};
