/* SPDX-License-Identifier: Apache-2.0 */
/* Start without a gap, nested cgroups, processes that move, pids and ids that come back: nothing is claimed without proof. */
#include "pipeline_fixture.h"

#include <signal.h>

#define PID   31874
#define TICK  (10 * MS)
#define INNER 101 /* below CG_A */
#define OUTER 300 /* mkdir lost */

static const uint32_t ns_init = CRIER_TASK_NS_INIT | CRIER_TASK_EXECED;

/* A pipeline before READY, container A's directory told by the walk. */
static struct node *starting(bool cri)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	node->is_starting = true;
	node->runs_already = true;
	node_start(node, cri);
	return node;
}

static size_t births(struct node *node)
{
	return count_of(node, "container.created") + count_of(node, "container.started");
}

static void feed_known_exit(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			    uint32_t status)
{
	struct crier_wire_exit r = {.task = task(pid, start_ns, cgroup, "prog"), .status = status};

	r.task.flags |= CRIER_TASK_EXECED | CRIER_TASK_KNOWN_INIT;
	feed_record(node, CRIER_WIRE_EXIT, CRIER_CLASS_CRITICAL, cgroup, &r, sizeof(r));
}

/* ---- start ---- */

static void agent_start_is_the_first_line(void **state)
{
	struct node *node = starting(false);

	(void)state;
	feed_exit(node, CG_A, PID + 1, 5, 0, 0);
	assert_int_equal(node->line_count, 0);
	node_ready(node);
	assert_string_equal(text_at(node->lines[0], "type"), "agent.start");
	assert_int_equal(count_of(node, "process.exit"), 1);
	assert_true(int_at(line_of(node, "container.snapshot", 0), "seq") <
		    int_at(line_of(node, "process.exit", 0), "seq"));
	node_free(node);
}

/* Whenever in the start it was made, it is told once: as a snapshot before all programs were attached, as born after. */
static void each_phase_of_the_start_tells_a_container_once(void **state)
{
	(void)state;
	for (int phase = 0; phase < 4; phase++) {
		struct node *node = node_config(CRIER_PROFILE_FULL);

		node->is_starting = true;
		node_start(node, phase % 2 == 0);
		if (phase == 0 || phase == 1) /* made before its parent was walked: told by both */
			feed_cgroup_dir(node, CG_A, CG_POD, POD_DIR "/" ID_A);
		if (phase < 3)
			feed_mkdir(node, CG_A, CG_POD, ID_A);
		if (phase == 1)
			feed_seed(node, CG_A, PID, 900 * S, ns_init);
		if (phase == 2)
			feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
		node_ready(node);
		if (phase == 3) {
			feed_mkdir(node, CG_A, CG_POD, ID_A);
			feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
		}
		run_until(node, node->now_ns + 1 * S);
		assert_int_equal(count_of(node, "container.snapshot"), phase < 3);
		assert_int_equal(births(node), phase < 3 ? 0 : 2);
		feed_populated(node, CG_A, 0);
		feed_rmdir(node, CG_A);
		run_until(node, node->now_ns + 1 * S);
		assert_int_equal(count_of(node, "container.exited"), 1);
		node_free(node);
	}
}

static void a_life_within_the_start_is_told_whole(void **state)
{
	struct node *node = starting(true);

	(void)state;
	feed_seed(node, CG_A, PID, 900 * S, ns_init);
	feed_exit(node, CG_A, PID, 900 * S, 3 << 8, 0);
	feed_populated(node, CG_A, 0);
	feed_rmdir(node, CG_A);
	node_ready(node);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.snapshot"), 1);
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.exit_code"), 3);
	assert_true(int_at(line_of(node, "container.snapshot", 0), "seq") <
		    int_at(line_of(node, "container.exited", 0), "seq"));
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_flood_during_the_start_is_bounded(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->is_starting = node->runs_already = true;
	node->config.hold_container_events = 10;
	node->config.max_output_bytes = 0;
	node_start(node, false);
	for (uint32_t i = 0; i < 25; i++)
		feed_exit(node, CG_A, PID + i, 5, 0, 0);
	node_ready(node);
	assert_int_equal(count_of(node, "process.exit"), 25);
	for (uint32_t i = 0; i < 25; i++)
		assert_int_equal(int_at(line_of(node, "process.exit", i), "process.pid"), PID + (int)i);
	node_free(node);
}

/* ---- what is proven of an unknown cgroup ---- */

static void to_be_below_the_root_proves_no_host_process(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, 400, OUTER, "leaf"); /* its parent's mkdir was lost: no path */
	feed_exit(node, 400, PID, 5, 0, 0);
	assert_string_equal(text_at(line_of(node, "process.exit", 0), "attribution.status"), "none");
	feed_mkdir(node, OUTER, CG_HOST,
		   ""); /* no leaf name: known below the host's, and still without a path */
	node->now_ns += 1 * S;
	feed_exit(node, 400, PID, 5, 0, 0);
	json_t *exit = line_of(node, "process.exit", 1);

	assert_string_equal(text_at(exit, "attribution.status"), "none");
	assert_string_equal(text_at(exit, "attribution.reason"), "cgroup_unknown");
	assert_null(at(exit, "cgroup.path"));
	node_free(node);
}

static void below_a_pod_it_is_the_pods_and_below_a_container_the_containers(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_mkdir(node, OUTER, CG_POD, ""); /* no name */
	feed_exit(node, OUTER, PID + 1, 5, 0, 0);
	json_t *exit = line_of(node, "process.exit", 0);

	assert_string_equal(text_at(exit, "attribution.status"), "partial");
	assert_string_equal(text_at(exit, "attribution.reason"), "cgroup_unknown");
	assert_string_equal(text_at(exit, "k8s.pod.uid"), POD_UID);
	assert_null(at(exit, "container"));
	feed_mkdir(node, INNER, CG_A, "");
	feed_exit(node, INNER, PID + 2, 5, 0, 0);
	exit = line_of(node, "process.exit", 1);
	assert_string_equal(text_at(exit, "container.id"), ID_A);
	assert_string_equal(text_at(exit, "attribution.via"), "ancestor");
	assert_null(at(exit, "cgroup.path")); /* that of its container would be another's */
	node->now_ns += 1 * S;
	node_file(node, "/cg:300", POD_DIR "/" ID_B); /* it turns out to be a container */
	mail_container(node, ID_B, "b");
	feed_exit(node, OUTER, PID + 3, 5, 0, 0);
	mail_container(node, ID_B, "b");
	assert_string_equal(text_at(line_of(node, "process.exit", 2), "container.id"), ID_B);
	json_t *resolved = line_of(node, "container.resolved", 0);

	assert_int_equal(mended_by(node, resolved), int_at(resolved, "data.mends.count"));
	assert_int_equal(int_at(resolved, "data.mends.count"), 1);
	node_free(node);
}

static void a_handle_is_asked_before_proc_and_proc_only_with_proof(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node_file(node, "/proc/31900/cgroup", "0::" POD_DIR "/" ID_A "/x\n");
	node_file(node, "/cg" POD_DIR "/" ID_A "/x", "9999");
	feed_exit(node, 9999, 31900, 5, 0, 0);
	assert_string_equal(text_at(line_of(node, "process.exit", 0), "attribution.via"), "proc");
	node_file(node, "/cg:9998", POD_DIR "/" ID_A "/y");
	feed_exit(node, 9998, 31900, 5, 0, 0);
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "attribution.via"), "handle");
	feed_exit(node, 9997, 31900, 5, 0, 0); /* the process is in a cgroup of another id by now */
	assert_string_equal(text_at(line_of(node, "process.exit", 2), "attribution.status"), "none");
	node_free(node);
}

static void what_the_table_has_no_place_for_is_called_that(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.max_cgroups = 5; /* the node's own */
	node_start(node, true);
	node_file(node, "/cg:9999", POD_DIR "/" ID_A);
	feed_exit(node, 9999, PID, 5, 0, 0);
	assert_string_equal(text_at(line_of(node, "process.exit", 0), "attribution.reason"), "table_full");
	node->now_ns += 1 * S;
	feed_rmdir(node, CG_HOST);
	feed_exit(node, 9999, PID, 5, 0, 0);
	mail_container(node, ID_A, "app");
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "container.id"), ID_A);
	json_t *resolved = line_of(node, "container.resolved", 0);

	assert_int_equal(int_at(resolved, "data.mends.count"), 1);
	assert_int_equal(mended_by(node, resolved), 1);
	node_free(node);
}

static void an_id_that_comes_back_is_another_cgroup(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	feed_rmdir(node, CG_A);
	run_container(node, CG_A, ID_B, "b", PID + 1); /* the same id within the tombstone's time */
	feed_exit(node, CG_A, PID + 2, node->now_ns, 0, 0);
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "container.id"), ID_B);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

/* ---- nested ---- */

#define CRUN_DIR                                                                                             \
	"/kubepods.slice/kubepods-burstable.slice/"                                                          \
	"kubepods-burstable-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-" ID_A ".scope"

static void all_of_a_crun_container_is_in_its_sub_cgroup(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->is_starting = true;
	node_start(node, true);
	feed_cgroup_dir(node, CG_A, CG_ROOT, CRUN_DIR);
	feed_cgroup_dir(node, INNER, CG_A, CRUN_DIR "/container");
	feed_seed(node, INNER, PID + 4, 950 * S,
		  ns_init); /* a container in the container, or unshare --pid */
	feed_seed(node, INNER, PID, 900 * S, ns_init);
	node_ready(node);
	mail_container(node, ID_A, "app");
	json_t *snapshot = line_of(node, "container.snapshot", 0);

	assert_int_equal(int_at(snapshot, "container.init_pid"), PID);
	assert_string_equal(text_at(snapshot, "data.state"), "running");
	feed_exit(node, INNER, PID + 4, 950 * S, 0, 0);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_exit(node, INNER, PID, 900 * S, 7 << 8, 0);
	mail_exited(node, ID_A, "app", "Error", 7);
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.exit_code"), 7);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void docker_in_a_pod_is_the_pods(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "dind", PID);
	feed_mkdir(node, INNER, CG_A, "docker");
	feed_mkdir(node, 102, INNER, ID_B);
	feed_exec(node, 102, PID + 1, node->now_ns, "/bin/inner");
	json_t *exec = line_of(node, "process.exec", 1);

	assert_string_equal(text_at(exec, "container.id"), ID_A);
	assert_string_equal(text_at(exec, "attribution.via"), "ancestor");
	assert_int_equal(count_of(node, "container.created"), 1);
	feed_populated(node, 102, 0);
	feed_rmdir(node, 102);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	node_free(node);
}

/* ---- processes that move ---- */

static void an_init_that_was_moved_out_has_not_ended(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);
	struct file *stat;

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node_file(node, "/proc/31874/stat", "31874 (a) b) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 100000 0\n");
	stat = &node->files[node->file_count - 1];
	feed_populated(node, CG_A, 0);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_known_exit(node, CG_B, PID, 1000 * S, 9); /* elsewhere; the kernel knew it by pid and start */
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.signal"), 9);
	assert_string_equal(text_at(line_of(node, "process.exit", 0), "attribution.status"),
			    "none"); /* where it was */
	node_free(node);

	node = node_new(CRIER_PROFILE_FULL, false);
	run_container(node, CG_A, ID_A, "app", PID);
	node_file(node, stat ? "/proc/31874/stat" : "",
		  "31874 (a) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 100001 0\n");
	feed_populated(node, CG_A, 0); /* the pid is another's: it started later */
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void an_empty_cgroup_that_fills_again_was_not_dead(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_populated(node, CG_A, 0);
	run_until(node, node->now_ns + 100 * MS);
	feed_populated(node, CG_A, 1);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void the_runtimes_running_outweighs_an_empty_cgroup(void **state)
{
	static struct crier_meta_message message;
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_populated(node, CG_A, 0);
	run_until(node, node->now_ns + 100 * MS);
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	feed_mail(node, &message);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_rmdir(node, CG_A);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_process_moved_in_is_a_member_and_no_start(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_exec(node, CG_A, PID - 100, 5 * S, "/usr/bin/nsenter"); /* older than the container */
	json_t *exec = line_of(node, "process.exec", 1);

	assert_string_equal(text_at(exec, "container.id"), ID_A);
	assert_null(at(exec, "process.role")); /* a member */
	assert_int_equal(count_of(node, "container.started"), 1);
	node_free(node);
}

/* ---- pids that come back ---- */

static void a_stated_pid_is_init_only_if_it_is_older_than_the_statement(void **state)
{
	static struct crier_meta_message message;
	struct node *node = starting(true);
	uint64_t stated;

	(void)state;
	node_ready(node);
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	message.container.pid = PID;
	feed_mail(node, &message);
	stated = node->now_ns;
	node->now_ns += 60 * S;
	feed_exit(node, CG_A, PID, stated + 1, 0,
		  0); /* the pid of init, by a process that was not there yet */
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	assert_int_equal(int_at(line_of(node, "process.exit", 0), "data.container_init"), 0);
	feed_exit(node, CG_A, PID, stated - 1, 0, 0);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_start_from_proc_is_compared_by_its_tick(void **state)
{
	struct node *node = starting(false);

	(void)state;
	node_file(node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/init.pid", "31874");
	feed_seed(node, CG_A, PID, 900 * S, CRIER_TASK_BY_TICKS | CRIER_TASK_NS_INIT);
	node_ready(node);
	feed_exit(node, CG_A, PID, 900 * S + TICK, 0, 0); /* the next tick: another process */
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_exit(node, CG_A, PID, 900 * S + TICK - 1, 4 << 8, 0);
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.exit_code"), 4);
	node_free(node);
}

static void the_next_owner_of_a_pid_inherits_nothing(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_signal(node, CG_A, PID + 1, 5 * S, SIGKILL, CRIER_SIGNAL_FATAL | CRIER_SIGNAL_FROM_PROCESS,
		    CG_HOST);
	node->now_ns += 1 * MS;
	feed_exit(node, CG_A, PID + 1, 6 * S, SIGKILL, 0); /* same pid, same signal, another start */
	json_t *other = line_of(node, "process.exit", 0);

	assert_null(at(other, "correlation.caused_by"));
	feed_exit(node, CG_A, PID + 1, 5 * S, SIGKILL, 0);
	json_t *target = line_of(node, "process.exit", 1);

	assert_string_equal(text_at(target, "correlation.caused_by.0.basis"), "signal_target");
	assert_string_not_equal(text_at(target, "correlation.process_key"),
				text_at(other, "correlation.process_key"));
	/* the dead container's pid is the init of the next one */
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	node->now_ns += 5 * MS;
	run_container(node, CG_B, ID_B, "b", PID);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(node->inits, 1); /* A's end did not take B's init from the kernel's map */
	feed_exit(node, CG_B, PID, node->now_ns + 1, 0, 0);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

/* ---- after death ---- */

static void a_restart_after_the_longest_back_off_is_linked(void **state)
{
	static const struct {
		uint64_t after;
		bool is_linked;
	} rows[] = {{5 * 60 + 10, true}, {14 * 60, true}, {16 * 60, false}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

		run_container(node, CG_A, ID_A, "app", PID);
		feed_exit(node, CG_A, PID, 1000 * S, SIGSEGV, 0);
		mail_exited(node, ID_A, "app", "Error", 139);
		feed_rmdir(node, CG_A);
		feed_exit(node, CG_A, PID + 1, 1000 * S, SIGSEGV, 0); /* late, by its tombstone */
		assert_string_equal(text_at(line_of(node, "process.exit", 1), "k8s.container.name"), "app");
		run_until(node, node->now_ns + rows[i].after * S); /* every timer runs: tombstones go */
		run_container(node, CG_B, ID_B, "app", PID + 2);
		json_t *started = line_of(node, "container.started", 1);

		assert_string_equal(text_at(started, "correlation.container_slot"), POD_UID "/app");
		assert_string_equal(text_at(started, "data.previous.container_id"),
				    rows[i].is_linked ? ID_A : "(absent)");
		if (rows[i].is_linked)
			assert_string_equal(text_at(started, "correlation.caused_by.0.basis"), "same_slot");
		node_free(node);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agent_start_is_the_first_line),
		cmocka_unit_test(each_phase_of_the_start_tells_a_container_once),
		cmocka_unit_test(a_life_within_the_start_is_told_whole),
		cmocka_unit_test(a_flood_during_the_start_is_bounded),
		cmocka_unit_test(to_be_below_the_root_proves_no_host_process),
		cmocka_unit_test(below_a_pod_it_is_the_pods_and_below_a_container_the_containers),
		cmocka_unit_test(a_handle_is_asked_before_proc_and_proc_only_with_proof),
		cmocka_unit_test(what_the_table_has_no_place_for_is_called_that),
		cmocka_unit_test(an_id_that_comes_back_is_another_cgroup),
		cmocka_unit_test(all_of_a_crun_container_is_in_its_sub_cgroup),
		cmocka_unit_test(docker_in_a_pod_is_the_pods),
		cmocka_unit_test(an_init_that_was_moved_out_has_not_ended),
		cmocka_unit_test(an_empty_cgroup_that_fills_again_was_not_dead),
		cmocka_unit_test(the_runtimes_running_outweighs_an_empty_cgroup),
		cmocka_unit_test(a_process_moved_in_is_a_member_and_no_start),
		cmocka_unit_test(a_stated_pid_is_init_only_if_it_is_older_than_the_statement),
		cmocka_unit_test(a_start_from_proc_is_compared_by_its_tick),
		cmocka_unit_test(the_next_owner_of_a_pid_inherits_nothing),
		cmocka_unit_test(a_restart_after_the_longest_back_off_is_linked),
	};

	return cmocka_run_group_tests_name("pipeline_proof", tests, NULL, NULL);
}
