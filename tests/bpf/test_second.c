/* SPDX-License-Identifier: Apache-2.0 */
/* The second programs of exec, fork and exit (bpf/compat.h, crier_unpreempted): each event once, whichever of the two runs. */
#include "harness.h"

#include "../../src/probe/internal.h"

#include <sys/wait.h>

static int body_exec(void *argv)
{
	char **args = argv;

	execv(args[0], args);
	return 127;
}

#define SECOND_ROUNDS 50

static int body_forks_and_execs(void *argv)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(body_exec(argv));
	return pid < 0 || waitpid(pid, NULL, 0) != pid ? 1 : body_exec(argv);
}

/* Two execs, a fork and two exits of a box: each told once. The same of the host's: each filtered, and counted once. */
static void check_each_once(bool first_runs)
{
	char *argv[] = {(char[]){"/bin/true"}, NULL};
	struct box *box = box_make(NULL, "second"), *host = box_make(NULL, "second-host");
	uint64_t filtered;

	CHECK_EQ(crier_probe_classify(probe, host->id, CRIER_CGROUP_HOST), 0);
	for (int i = 0; i < SECOND_ROUNDS; i++) {
		struct child child;

		CHECK_EQ(child_run(box, body_forks_and_execs, argv, &child), 0);
	}
	records_drain();
	CHECK_EQ(records_count(CRIER_WIRE_EXEC, 0, box->id), 2 * SECOND_ROUNDS);
	CHECK_EQ(records_count(CRIER_WIRE_FORK, 0, box->id), SECOND_ROUNDS);
	CHECK_EQ(records_count(CRIER_WIRE_EXIT, 0, box->id), 2 * SECOND_ROUNDS);
	filtered = counters_now()->class_filtered[CRIER_CLASS_BULK];
	for (int i = 0; i < SECOND_ROUNDS; i++) {
		struct child child;

		CHECK_EQ(child_run(host, body_forks_and_execs, argv, &child), 0);
	}
	filtered = counters_now()->class_filtered[CRIER_CLASS_BULK] - filtered;
	if (!first_runs) /* which alone counts them */
		CHECK_EQ(filtered, 0);
	else
		CHECK(filtered >= 5 * SECOND_ROUNDS && filtered < 7 * SECOND_ROUNDS,
		      "%llu filtered of some %d", (unsigned long long)filtered, 5 * SECOND_ROUNDS);
}

static void check_seconds(uint8_t forced_kinds, bool first_runs)
{
	static const enum crier_probe_event events[] = {CRIER_PROBE_EXEC, CRIER_PROBE_FORK, CRIER_PROBE_EXIT};

	setup_open(&(struct setup){.has_seconds = true, .is_quiet = true, .forced_kinds = forced_kinds});
	if (!probe->facts.preempt_disable)
		test_skip("this kernel has nothing that switches preemption off in a program");
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(events); i++) {
		CHECK(probe->second_links[events[i]] != NULL, "event %u has no second program", events[i]);
		if (first_runs)
			continue;
		bpf_link__destroy(probe->links[events[i]]);
		probe->links[events[i]] = NULL;
	}
	check_each_once(first_runs);
}

static void second_tells_nothing_twice(void)
{
	check_seconds(0, true);
}

static void second_tells_nothing_twice_raw_tp(void)
{
	check_seconds(1u << CRIER_HOOK_KIND_RAW_TP, true);
}

/* As if each first program were turned away. */
static void second_tells_what_the_first_missed(void)
{
	check_seconds(0, false);
}

static void second_tells_what_the_first_missed_raw_tp(void)
{
	check_seconds(1u << CRIER_HOOK_KIND_RAW_TP, false);
}

const struct test_case second_tests[] = {
	{"second_tells_nothing_twice", second_tells_nothing_twice, true},
	{"second_tells_nothing_twice_raw_tp", second_tells_nothing_twice_raw_tp, true},
	{"second_tells_what_the_first_missed", second_tells_what_the_first_missed, true},
	{"second_tells_what_the_first_missed_raw_tp", second_tells_what_the_first_missed_raw_tp, true},
	{0},
};
