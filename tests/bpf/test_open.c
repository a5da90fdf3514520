/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, choosing hooks, refusals, seed, self test, and the layout both sides agree on. */
#include "harness.h"

#include "../../src/probe/internal.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

/* layout: the BPF object's types against those of this side's compiler (-gbtf), by name, offset and size */

#define WIRE_PREFIX "crier_wire_"

static const struct btf_type *find_struct(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);

	return id > 0 ? btf__type_by_id(btf, (unsigned)id) : NULL;
}

static const struct btf_member *find_member(const struct btf *btf, const struct btf_type *type,
					    const char *name, unsigned *ret_index)
{
	const struct btf_member *member = btf_members(type);

	for (unsigned i = 0; i < btf_vlen(type); i++, member++)
		if (strcmp(btf__name_by_offset(btf, member->name_off), name) == 0) {
			*ret_index = i;
			return member;
		}
	return NULL;
}

static void compare_struct(const struct btf *a, const struct btf_type *in_a, const struct btf *b,
			   const struct btf_type *in_b, const char *name)
{
	const struct btf_member *member = btf_members(in_a);

	CHECK(in_a->size == in_b->size, "struct %s: %u and %u bytes", name, in_a->size, in_b->size);
	CHECK(btf_vlen(in_a) == btf_vlen(in_b), "struct %s: %u and %u fields", name, btf_vlen(in_a),
	      btf_vlen(in_b));
	for (unsigned i = 0; i < btf_vlen(in_a); i++, member++) {
		const char *field = btf__name_by_offset(a, member->name_off);
		unsigned index = 0;
		const struct btf_member *other = find_member(b, in_b, field, &index);

		CHECK(other, "struct %s: %s is on one side only", name, field);
		CHECK(btf_member_bit_offset(in_a, i) == btf_member_bit_offset(in_b, index),
		      "struct %s: %s at bit %u and %u", name, field, btf_member_bit_offset(in_a, i),
		      btf_member_bit_offset(in_b, index));
		CHECK(btf__resolve_size(a, member->type) == btf__resolve_size(b, other->type),
		      "struct %s: %s is of %lld and %lld bytes", name, field,
		      (long long)btf__resolve_size(a, member->type),
		      (long long)btf__resolve_size(b, other->type));
	}
}

static unsigned compare_sides(const struct btf *a, const struct btf *b)
{
	unsigned count = 0;

	for (unsigned id = 1; id < btf__type_cnt(a); id++) {
		const struct btf_type *type = btf__type_by_id(a, id);
		const char *name = btf__name_by_offset(a, type->name_off);
		const struct btf_type *other;

		if (!btf_is_struct(type) || strncmp(name, WIRE_PREFIX, sizeof(WIRE_PREFIX) - 1) != 0)
			continue;
		other = find_struct(b, name);
		CHECK(other, "struct %s is on one side only", name);
		compare_struct(a, type, b, other, name);
		count++;
	}
	return count;
}

static void wire_layout(void)
{
	struct btf *kernel_side, *user_side;
	unsigned forth, back;

	if (access(CRIER_LAYOUT_OBJECT, R_OK) != 0)
		test_skip("the compiler writes no BTF (-gbtf needs gcc 12)");
	libbpf_set_print(NULL);
	kernel_side = btf__parse(CRIER_BPF_OBJECT, NULL);
	user_side = btf__parse(CRIER_LAYOUT_OBJECT, NULL);
	CHECK(kernel_side && user_side, "no BTF in " CRIER_BPF_OBJECT " or " CRIER_LAYOUT_OBJECT);
	forth = compare_sides(kernel_side, user_side);
	back = compare_sides(user_side, kernel_side);
	CHECK(forth >= 15, "%u structs compared", forth);
	CHECK_EQ(forth, back);
	btf__free(kernel_side);
	btf__free(user_side);
}

/* names and parsing */

static void hook_names(void)
{
	for (unsigned hook = 1; hook <= CRIER_HOOK_USER; hook++)
		CHECK(crier_probe_hook_name(hook), "hook %u has no name", hook);
	CHECK(!crier_probe_hook_name(CRIER_HOOK_NONE) && !crier_probe_hook_name(CRIER_HOOK_COUNT),
	      "no hook, a name");
	CHECK(strcmp(crier_probe_hook_name(CRIER_HOOK_TP_BTF_EXEC), "tp_btf:sched_process_exec") == 0,
	      "exec");
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		CHECK(crier_probe_event_name(event), "event %u has no name", event);
	CHECK(!crier_probe_event_name(CRIER_PROBE_EVENT_COUNT), "no event, a name");
}

static void parse_hook(void)
{
	static const struct {
		const char *text;
		int expected;
		unsigned event, kind;
	} cases[] = {
		{"oom=raw_tp", 0, CRIER_PROBE_OOM, CRIER_HOOK_KIND_RAW_TP},
		{"oom=kprobe", 0, CRIER_PROBE_OOM, CRIER_HOOK_KIND_KPROBE},
		{"oom_control=kprobe", 0, CRIER_PROBE_OOM_CONTROL, CRIER_HOOK_KIND_KPROBE},
		{"exit=tp_btf", 0, CRIER_PROBE_EXIT, CRIER_HOOK_KIND_TP_BTF},
		{"oom", -EINVAL, 0, 0},
		{"=raw_tp", -EINVAL, 0, 0},
		{"oom=", -EINVAL, 0, 0},
		{"oo=raw_tp", -EINVAL, 0, 0},
		{"oom=raw", -EINVAL, 0, 0},
		{"exec=kprobe", -EINVAL, 0, 0},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		uint8_t kinds[CRIER_PROBE_EVENT_COUNT] = {0};
		struct crier_err err = {0};

		CHECK_EQ(crier_probe_parse_hook(cases[i].text, kinds, &err), cases[i].expected);
		if (cases[i].expected == 0)
			CHECK_EQ(kinds[cases[i].event], 1 << cases[i].kind);
		else
			CHECK(strstr(err.message, cases[i].text), "message: %s", err.message);
	}
}

/* opening */

static void open_refuses_bad_options(void)
{
	struct crier_probe_options options;
	struct crier_err err = {0};

	setup_options(&(struct setup){0}, &options);
	options.bulk_bytes = 5000;
	CHECK_EQ(crier_probe_open(&options, &probe, &err), -EINVAL);
	CHECK(strstr(err.message, "5000"), "message: %s", err.message);
	setup_options(&(struct setup){0}, &options);
	options.btf_path = "/etc/passwd";
	CHECK_EQ(crier_probe_open(&options, &probe, &err), -EBADMSG);
	CHECK(strstr(err.message, "/etc/passwd"), "message: %s", err.message);
	options.btf_path = "/nonexistent";
	CHECK_EQ(crier_probe_open(&options, &probe, &err), -EBADMSG);
}

static int body_open_unprivileged(void *arg)
{
	struct crier_probe_options options;
	struct crier_err err = {0};
	int r;

	(void)arg;
	setup_options(&(struct setup){0}, &options);
	if (setuid(65534) < 0)
		return 1;
	r = crier_probe_open(&options, &probe, &err);
	if (r != -EPERM || !strstr(err.message, "missing CAP_BPF") || !strstr(err.message, "CAP_PERFMON")) {
		fprintf(stderr, "%d: %s\n", r, err.message);
		return 2;
	}
	return 0;
}

static void open_names_missing_capabilities(void)
{
	CHECK_EQ(child_run(NULL, body_open_unprivileged, NULL, NULL), 0);
}

static const struct crier_event_report *report_of(unsigned event)
{
	return &crier_probe_report(probe)[event];
}

static void report_of_the_best(void)
{
	setup_open(&(struct setup){0});
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_event_report *report = report_of(event);

		CHECK(report->wanted || event == CRIER_PROBE_OOM_VICTIM, "%s", report->event);
		if (event == CRIER_PROBE_OOM_CONTROL || event == CRIER_PROBE_OOM_VICTIM)
			continue;
		CHECK(report->served && report->hooks[0].chosen, "%s is not served by %s: %s", report->event,
		      report->hooks[0].name, report->hooks[0].reason);
		CHECK(!report->hooks[1].chosen && !*report->hooks[1].reason, "%s", report->hooks[1].name);
	}
}

static void report_of_forced_raw_tp(void)
{
	setup_open(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_event_report *report = report_of(event);

		if (event == CRIER_PROBE_OOM_CONTROL || event == CRIER_PROBE_OOM_VICTIM)
			continue;
		CHECK(report->served && !report->hooks[0].chosen && report->hooks[1].chosen, "%s",
		      report->event);
		CHECK(strstr(report->hooks[0].reason, "--hook"), "reason: %s", report->hooks[0].reason);
	}
}

/* A hook that this kernel refuses, asked for alone: the event is not served, all others are, and it says why. */
static void report_of_refused_hooks(void)
{
	static const uint8_t kinds[] = {CRIER_HOOK_KIND_FENTRY, CRIER_HOOK_KIND_KPROBE};
	struct crier_probe_options options;
	struct crier_err err = {0};
	unsigned refused = 0;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(kinds); i++) {
		const struct crier_event_report *report;
		const struct crier_hook_report *hook;

		setup_options(&(struct setup){0}, &options);
		options.forced_kinds[CRIER_PROBE_OOM_CONTROL] = (uint8_t)(1u << kinds[i]);
		CHECK(crier_probe_open(&options, &probe, &err) == 0, "%s", err.message);
		CHECK(crier_probe_attach_cgroup(probe, &err) == 0, "%s", err.message);
		CHECK(crier_probe_attach_rest(probe, &err) == 0, "%s", err.message);
		report = report_of(CRIER_PROBE_OOM_CONTROL);
		hook = &report->hooks[i];
		CHECK_EQ(report->served, hook->chosen);
		CHECK(hook->chosen == !*hook->reason, "%s: '%s'", hook->name, hook->reason);
		CHECK(report_of(CRIER_PROBE_OOM)->served, "oom fell too");
		refused += !hook->chosen;
		crier_probe_free(probe);
		probe = NULL;
	}
	if (!refused)
		test_skip("this kernel refuses neither fentry nor kprobe");
}

static void only_wanted_events(void)
{
	struct crier_probe_options options;
	struct crier_err err = {0};

	setup_options(&(struct setup){0}, &options);
	options.wanted_events = 1u << CRIER_PROBE_OOM | 1u << CRIER_PROBE_CGROUP_MKDIR;
	CHECK(crier_probe_open(&options, &probe, &err) == 0, "%s", err.message);
	CHECK(crier_probe_attach_cgroup(probe, &err) == 0, "%s", err.message);
	CHECK(crier_probe_attach_rest(probe, &err) == 0, "%s", err.message);
	CHECK(report_of(CRIER_PROBE_OOM)->served && !report_of(CRIER_PROBE_EXEC)->served, "served");
	CHECK(!report_of(CRIER_PROBE_EXEC)->wanted, "wanted");
}

/* An attached program is replaced by the next of its list, loaded later over the same maps. */
static void late_replacement(void)
{
	const struct record *record;
	struct crier_err err = {0};
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "late");
	child_run(box, body_exit, NULL, &child);
	bpf_link__destroy(probe->links[CRIER_PROBE_EXIT]);
	probe->links[CRIER_PROBE_EXIT] = NULL;
	crier_choice_refuse(&probe->choice, CRIER_PROBE_EXIT, "attach refused: test");
	CHECK(crier_probe_load_late(probe, CRIER_PROBE_EXIT, &err) == 0, "%s", err.message);
	probe->links[CRIER_PROBE_EXIT] = crier_typed_attach(probe->programs[CRIER_PROBE_EXIT]);
	CHECK(probe->links[CRIER_PROBE_EXIT], "attach: %s", strerror(errno));
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid,
			      box->id); /* from before, still in the ring */
	CHECK_EQ(record->header->hook, CRIER_HOOK_TP_BTF_EXIT);
	child_run(box, body_exit, (void *)9, &child);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->header->hook, CRIER_HOOK_RAW_TP_EXIT);
	CHECK_EQ(record->exit->status, 9 << 8);
}

/* seed and self test */

struct own_seed {
	unsigned count, own;
	struct crier_wire_seed seed;
};

static void take_seed(void *ctx, const struct crier_wire_seed *seed)
{
	struct own_seed *own = ctx;

	own->count++;
	if (seed->task.pid == (uint32_t)getpid()) {
		own->own++;
		own->seed = *seed;
	}
}

static void seed_tells_all_processes(void)
{
	struct own_seed own = {0};
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "seed");
	child = child_start(box, body_pause, NULL);
	CHECK_EQ(crier_probe_seed(probe, take_seed, &own), 0);
	CHECK_EQ(own.own, 1);
	CHECK(own.count > 10, "%u processes", own.count);
	CHECK_EQ(own.seed.task.vpid, getpid());
	CHECK_EQ(own.seed.task.parent_pid, getppid());
	CHECK(own.seed.task.flags & CRIER_TASK_VALID, "flags %x", own.seed.task.flags);
	CHECK(own.seed.memory_cgroup_id != 0 && own.seed.task.cgroup_id != 0, "cgroup ids");
	kill(child.pid, SIGKILL);
	child_wait(&child);
	/* the same start time as the events have */
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->signal->sender.start_boottime_ns, own.seed.task.start_boottime_ns);
}

static void ignore_record(void *ctx, const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;

	(void)len;
	if (header->type == CRIER_WIRE_FORK)
		++*(unsigned *)ctx;
}

static void check_self_test(const struct setup *setup, const char *cgroup_dir)
{
	static const unsigned events[] = {CRIER_PROBE_CGROUP_MKDIR, CRIER_PROBE_CGROUP_RMDIR,
					  CRIER_PROBE_EXEC,	    CRIER_PROBE_FORK,
					  CRIER_PROBE_EXIT,	    CRIER_PROBE_SIGNAL};
	struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT];
	struct crier_probe_kept kept = {0};
	unsigned forks = 0;

	setup_open(setup);
	set_event_mask(~(1u << CRIER_WIRE_FORK));
	CHECK_EQ(crier_probe_self_test(probe, cgroup_dir, ignore_record, &forks, proof, &kept), 0);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(events); i++) {
		CHECK(proof[events[i]].tried, "%s was not tried", crier_probe_event_name(events[i]));
		CHECK(proof[events[i]].fired, "%s did not fire", crier_probe_event_name(events[i]));
	}
	CHECK(!proof[CRIER_PROBE_OOM].tried, "an OOM was provoked");
	CHECK_EQ(forks, 0); /* what is not wanted does not come out */
	CHECK_EQ(crier_probe_control(probe)->event_mask, ~(1u << CRIER_WIRE_FORK));
}

static void self_test(void)
{
	struct box *box = box_make(NULL, "self");

	check_self_test(&(struct setup){0}, box->unified);
}

/* Its own cgroup is the host's already, and stays so. */
static void self_test_of_the_host(void)
{
	struct box *box = box_make(NULL, "self");
	uint64_t before;

	check_self_test(&(struct setup){.is_quiet = true}, box->unified);
	before = counters_now()->class_filtered[CRIER_CLASS_BULK];
	set_event_mask(UINT32_MAX);
	records_clear();
	child_run(NULL, body_exit, NULL, NULL);
	records_drain();
	CHECK(counters_now()->class_filtered[CRIER_CLASS_BULK] >= before + 2, "the host's class is lost");
}

const struct test_case open_tests[] = {
	{"wire_layout", wire_layout, false},
	{"hook_names", hook_names, false},
	{"hook_parse", parse_hook, false},
	{"open_refuses_bad_options", open_refuses_bad_options, true},
	{"open_names_missing_capabilities", open_names_missing_capabilities, true},
	{"report_of_the_best", report_of_the_best, true},
	{"report_of_forced_raw_tp", report_of_forced_raw_tp, true},
	{"report_of_refused_hooks", report_of_refused_hooks, true},
	{"only_wanted_events", only_wanted_events, true},
	{"late_replacement", late_replacement, true},
	{"seed_tells_all_processes", seed_tells_all_processes, true},
	{"self_test", self_test, true},
	{"self_test_of_the_host", self_test_of_the_host, true},
	{0},
};
