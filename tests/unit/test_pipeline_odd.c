/* SPDX-License-Identifier: Apache-2.0 */
/* Odd but real lives: hooks, late words, lost words, stale words. Each of these once told a lie. */
#include "pipeline_fixture.h"

#include <signal.h>

#define PID 31874

static const uint32_t from_outside = CRIER_SIGNAL_FROM_PROCESS | CRIER_SIGNAL_STOP_INIT | CRIER_SIGNAL_GROUP;

static void feed_ns_init_exec(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			      const char *filename)
{
	struct {
		struct crier_wire_exec exec;
		char name[256];
	} r = {.exec = {.task = task(pid, start_ns, cgroup, "prog")}};

	memcpy(r.name, filename, strlen(filename));
	r.exec.task.flags |= CRIER_TASK_NS_INIT;
	r.exec.filename.offset = sizeof(r.exec);
	r.exec.filename.length = (uint16_t)strlen(filename);
	feed_record(node, CRIER_WIRE_EXEC, CRIER_CLASS_CRITICAL, cgroup, &r,
		    (sizeof(r.exec) + strlen(filename) + 7) & ~7UL);
}

static void feed_executed_exit(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			       uint32_t status, uint32_t flags)
{
	struct crier_wire_exit r = {
		.task = task(pid, start_ns, cgroup, "prog"), .status = status, .flags = flags};

	r.task.flags |= CRIER_TASK_EXECED;
	feed_record(node, CRIER_WIRE_EXIT, CRIER_CLASS_CRITICAL, cgroup, &r, sizeof(r));
}

static void an_oci_hook_is_not_init(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	node_file(node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/init.pid", "31874");
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_container(node, ID_A, "app");
	feed_exec(node, CG_A, PID - 1, node->now_ns, "/usr/bin/nvidia-ctk");
	feed_executed_exit(node, CG_A, PID - 1, node->now_ns, 0, 0);
	assert_int_equal(count_of(node, "container.started") + count_of(node, "container.exited"), 0);
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	assert_string_equal(text_at(line_of(node, "container.started", 0), "data.filename"), "/bin/app");
	feed_executed_exit(node, CG_A, PID, node->now_ns, SIGSEGV, 0);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.signal"), SIGSEGV);
	node_free(node);
}

static void a_namespace_init_needs_no_other_word(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, false);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_exec(node, CG_A, PID - 1, node->now_ns,
		  "/sbin/ldconfig"); /* no bundle: the first is guessed … */
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_ns_init_exec(node, CG_B, PID, node->now_ns, "/bin/app"); /* … pid 1 of its namespace is sure */
	assert_int_equal(int_at(line_of(node, "container.started", 1), "process.pid"), PID);
	feed_exec(node, CG_B, PID + 7, node->now_ns, "/bin/sh"); /* kubectl exec is no second start */
	assert_int_equal(count_of(node, "container.started"), 2);
	node_free(node);
}

static void the_runtimes_pid_corrects_a_wrong_guess(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	static struct crier_meta_message message;

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_exec(node, CG_A, PID - 1, node->now_ns, "/usr/bin/hook"); /* before any answer, no bundle */
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	message.container.pid = PID;
	feed_mail(node, &message);
	assert_int_equal(int_at(line_of(node, "container.started", 0), "process.pid"), PID);
	feed_executed_exit(node, CG_A, PID, node->now_ns, SIGKILL, CRIER_EXIT_OOM);
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "oom");
	node_free(node);
}

static void the_kernel_is_told_the_runtimes_pid(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_DEFAULT);
	static struct crier_meta_message message;

	(void)state;
	node_start(node, true);
	feed_cgroup_dir(node, CG_A, CG_POD, POD_DIR "/" ID_A);
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	message.container.pid = PID;
	feed_mail(node, &message);
	assert_int_equal(node->inits_added, 1);
	feed_exit(node, CG_A, PID, 12345, SIGTERM, 0); /* its start was never seen: the pid has to do */
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "signal");
	node_free(node);
}

static void a_lost_start_does_not_hide_the_cause(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	static struct crier_meta_message message;

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	message.container.pid = PID;
	feed_mail(node, &message);
	feed_executed_exit(node, CG_A, PID, node->now_ns, SIGKILL,
			   CRIER_EXIT_OOM); /* its exec record was lost */
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "oom");
	node_free(node);
}

static void one_list_does_not_end_a_living_container(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	node->now_ns += 1 * MS;
	run_container(node, CG_A, ID_A, "app", PID); /* made and answered while the list was on its way */
	mail_list(node, CRIER_META_LIST_END, 1);
	assert_int_equal(count_of(node, "container.removed") + count_of(node, "container.exited"), 0);
	for (uint64_t generation = 2; generation < 6; generation++) {
		node->now_ns += 30 * S;
		mail_list(node, CRIER_META_LIST_BEGIN, generation);
		mail_list(node, CRIER_META_LIST_END, generation);
	}
	assert_int_equal(count_of(node, "container.removed"), 0); /* its cgroup has processes */
	node_free(node);
}

static void an_old_stop_did_not_end_it(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_signal(node, CG_A, PID, 1000 * S, SIGTERM, from_outside, CG_HOST); /* handled: a reload, say */
	node->now_ns += 5 * 24 * 3600 * S;
	feed_executed_exit(node, CG_A, PID, 1000 * S, SIGSEGV, 0);
	mail_exited(node, ID_A, "app", "Error", 139);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_null(at(exited, "data.stop"));
	assert_string_equal(text_at(exited, "severity"), "error");
	node_free(node);
}

static void a_stop_before_inits_exec_is_a_stop(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_signal kill = {.target = task(PID, 1000 * S, CG_A, "runc:[2:INIT]"),
					 .sender = task(7, 7, CG_HOST, "ctr"),
					 .signal = SIGKILL,
					 .flags = from_outside | CRIER_SIGNAL_FATAL};

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_container(node, ID_A, "app");
	kill.target.flags |= CRIER_TASK_NS_INIT;
	feed_record(node, CRIER_WIRE_SIGNAL, CRIER_CLASS_CRITICAL, CG_A, &kill, sizeof(kill));
	feed_ns_init_exec(node, CG_A, PID, 1000 * S, "/bin/app");
	feed_executed_exit(node, CG_A, PID, 1000 * S, SIGKILL, 0);
	mail_exited(node, ID_A, "app", "Error", 137);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.stop.sender.comm"), "ctr");
	node_free(node);
}

static void a_handled_stop_is_not_called_ignored(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_signal(node, CG_A, PID, 1000 * S, SIGTERM, from_outside, CG_HOST); /* result 0: delivered */
	node->now_ns += 30 * S;
	feed_signal(node, CG_A, PID, 1000 * S, SIGKILL, from_outside | CRIER_SIGNAL_FATAL, CG_HOST);
	feed_executed_exit(node, CG_A, PID, 1000 * S, SIGKILL, 0);
	mail_exited(node, ID_A, "app", "Error", 137);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.stop.result"), "delivered");
	assert_non_null(strstr(text_at(exited, "summary"), "SIGTERM did not end it"));
	node_free(node);
}

static void proc_is_believed_only_with_proof(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node_file(node, "/proc/31900/cgroup", "0::" POD_DIR "/" ID_A "\n");
	feed_exit(node, 9999, 31900, node->now_ns, 0, 0); /* the pid is another process by now, or it moved */
	json_t *exit = line_of(node, "process.exit", 0);

	assert_string_equal(text_at(exit, "attribution.status"), "none");
	feed_executed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "cgroup.id"), "100");
	node_free(node);
}

static void a_container_beyond_the_table_is_no_host_process(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.max_containers = 1;
	node_start(node, true);
	run_container(node, CG_A, ID_A, "app", PID);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_exec(node, CG_B, PID + 1, node->now_ns, "/bin/b");
	json_t *exec = line_of(node, "process.exec", 1);

	assert_string_equal(text_at(exec, "attribution.status"), "partial");
	assert_string_equal(text_at(exec, "attribution.reason"), "table_full");
	assert_string_equal(text_at(exec, "cgroup.path"), POD_DIR "/" ID_B);
	node_free(node);
}

static void pressure_does_not_overtake_what_waits(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_pressure_hint hint = {.memory_cgroup_id = CG_A};

	(void)state;
	node_file(node, "/cg" POD_DIR "/" ID_A "/memory.max", "67108864\n");
	node_file(node, "/cg" POD_DIR "/" ID_A "/memory.current", "67000000\n");
	node_file(node, "/cg" POD_DIR "/" ID_A "/memory.stat",
		  "anon 66000000\ninactive_file 0\nactive_file 0\n");
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_record(node, CRIER_WIRE_PRESSURE_HINT, CRIER_CLASS_BULK, CG_A, &hint, sizeof(hint));
	assert_int_equal(count_of(node, "container.memory_pressure"), 0);
	mail_container(node, ID_A, "app");
	json_t *pressure = line_of(node, "container.memory_pressure", 0);

	assert_string_equal(text_at(pressure, "attribution.status"), "full");
	assert_true(int_at(pressure, "seq") > int_at(line_of(node, "container.created", 0), "seq"));
	node_free(node);
}

static void workers_do_not_push_the_stop_out_of_the_story(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_signal(node, CG_A, PID, 1000 * S, SIGTERM, from_outside, CG_HOST);
	for (uint32_t i = 1; i < 8; i++) {
		node->now_ns += 1 * MS;
		feed_exit(node, CG_A, PID + i, 1001 * S + i, SIGTERM, 0);
	}
	feed_executed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "correlation.incident_id"),
			    text_at(line_of(node, "process.signal", 0), "correlation.incident_id"));
	node_free(node);
}

static void a_death_the_list_tells_is_dated_by_the_runtime(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	static struct crier_meta_message message;
	uint64_t finished;

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node->now_ns += 10 * S;
	finished = node->now_ns;
	node->now_ns += 25 * S;
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	fill_container(&message, ID_A, "app", CRIER_STATE_EXITED);
	message.generation = 1;
	feed_mail(node, &message);
	message.generation = 0;
	message.container.exit_code = 1;
	message.container.finished_at_ns = finished + node->start.unix_offset_ns;
	feed_mail(node, &message);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_int_equal(int_at(exited, "data.uptime_ms"), 10000);
	assert_string_equal(text_at(exited, "data.observed"), "after_the_fact");
	node_free(node);
}

static void a_quick_restart_still_finds_its_predecessor(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_executed_exit(node, CG_A, PID, 1000 * S, 1 << 8,
			   0); /* the runtime takes its time to say EXITED */
	node->now_ns += 200 * MS;
	run_container(node, CG_B, ID_B, "app", PID + 1);
	json_t *started = line_of(node, "container.started", 1);

	assert_string_equal(text_at(started, "data.previous.container_id"), ID_A);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_death_before_its_name_is_linked_once_it_has_one(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_ns_init_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	feed_executed_exit(node, CG_A, PID, node->now_ns, 1 << 8, 0);
	run_until(node, node->now_ns + 2 * S);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "attribution.status"), "partial");
	mail_exited(node, ID_A, "app", "Error", 1);
	node->now_ns += 20 * S;
	run_container(node, CG_B, ID_B, "app", PID + 1);
	assert_string_equal(text_at(line_of(node, "container.started", 1), "data.previous.container_id"),
			    ID_A);
	node_free(node);
}

static void what_a_killed_run_had_not_told_is_told(void **state)
{
	static const struct {
		int64_t before_end_ms;
		bool clean;
		size_t lines;
	} rows[] = {{100, false, 1}, {100, true, 0}, {5000, false, 0}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_config(CRIER_PROFILE_DEFAULT);
		static struct crier_meta_message message;
		uint64_t ended = 1700000900ULL * S;

		strcpy(node->start.previous_instance, "00000001");
		node->start.previous_ended_at = ended;
		node->start.previous_clean = rows[i].clean;
		node_start(node, true);
		fill_container(&message, ID_A, "app", CRIER_STATE_EXITED);
		message.generation = 1;
		feed_mail(node, &message);
		message.generation = 0;
		message.container.exit_code = 0;
		message.container.finished_at_ns = ended - (uint64_t)rows[i].before_end_ms * MS;
		feed_mail(node, &message);
		assert_int_equal(count_of(node, "container.exited"), rows[i].lines);
		if (rows[i].lines) /* a job that finished well is no warning */
			assert_string_equal(text_at(line_of(node, "container.exited", 0), "severity"),
					    "info");
		node_free(node);
	}
}

static void kernel_loss_waits_for_room(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_input_counters counters = {0};
	uint64_t room = 0;

	(void)state;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_ROOM, node->now_ns, &room, sizeof(room));
	counters.kernel.reserve_failed[CRIER_CLASS_BULK] = 412;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_COUNTERS, node->now_ns, &counters, sizeof(counters));
	assert_int_equal(count_of(node, "agent.loss"), 0);
	room = 4 << 20;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_ROOM, node->now_ns, &room, sizeof(room));
	run_until(node, node->now_ns + 3 * S);
	assert_int_equal(int_at(line_of(node, "agent.loss", 0), "data.count"), 412);
	assert_int_equal(count_of(node, "agent.loss"), 1);
	node_free(node);
}

static void an_invalid_record_is_lost_and_not_held(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_input_counters counters = {0};
	struct crier_wire_exit exit = {.header = {.length = sizeof(exit),
						  .version = CRIER_WIRE_VERSION + 1,
						  .type = CRIER_WIRE_EXIT,
						  .ring = CRIER_CLASS_CRITICAL}};

	(void)state;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_RECORD, node->now_ns, &exit, sizeof(exit));
	counters.kernel.submitted[CRIER_CLASS_CRITICAL] = 1;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_COUNTERS, node->now_ns, &counters, sizeof(counters));
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_STOP, node->now_ns, "{\"reason\":\"SIGTERM\"}", 20);
	json_t *stop = line_of(node, "agent.stop", 0);

	assert_string_equal(text_at(line_of(node, "agent.loss", 0), "data.class"), "critical");
	assert_int_equal(int_at(stop, "data.critical.lost"), 1);
	assert_int_equal(int_at(stop, "data.critical.held"), 0);
	node_free(node);
}

static void a_full_hold_is_our_bound_not_the_runtimes_fault(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.hold_events = 4;
	node_start(node, true);
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	for (uint32_t i = 0; i < 6; i++)
		feed_exec(node, CG_A, PID + i, node->now_ns, "/bin/x");
	assert_string_equal(text_at(line_of(node, "process.exec", 0), "attribution.reason"), "hold_full");
	node_free(node);
}

static void lines_of_one_queue_tell_one_wait(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	node->now_ns += 300 * MS;
	mail_container(node, ID_A, "app");
	assert_int_equal(int_at(line_of(node, "container.created", 0), "attribution.wait_us"), 300000);
	assert_int_equal(int_at(line_of(node, "container.started", 0), "attribution.wait_us"), 300000);
	node_free(node);
}

static void a_restart_may_end_its_predecessor_within_a_tick(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_DEFAULT);

	(void)state;
	node->config.exit_wait_ms = 5000; /* the predecessor still waits when the successor's hold is over */
	node_file(
		node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_B "/config.json",
		"{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX
		"\",\"io.kubernetes.cri.sandbox-name\":\"cart-7d9f8b6c5-x2x4k\",\"io.kubernetes.cri.sandbox-namespace\":"
		"\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" POD_UID "\"}}");
	node_start(node, true);
	run_container(node, CG_A, ID_A, "app", PID);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_ns_init_exec(node, CG_B, PID + 1, node->now_ns, "/bin/app");
	feed_executed_exit(node, CG_A, PID, 1000 * S, 1 << 8, 0);
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.started", 1), "data.previous.container_id"),
			    ID_A);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_snapshot_waits_for_the_answer_but_not_for_ever(void **state)
{
	(void)state;
	for (int answers = 0; answers < 2; answers++) {
		struct node *node = node_config(CRIER_PROFILE_DEFAULT);

		node->runs_already = true;
		node_file(
			node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/config.json",
			"{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX
			"\",\"io.kubernetes.cri.sandbox-name\":\"web\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
			"\"io.kubernetes.cri.sandbox-uid\":\"" POD_UID "\"}}");
		node_start(node, true);
		feed_exec(node, CG_A, PID, node->now_ns,
			  "/bin/x"); /* its events wait for nobody: the bundle named it */
		assert_int_equal(count_of(node, "container.snapshot"), 0);
		if (answers)
			mail_container(node, ID_A, "app");
		else
			run_until(node, node->now_ns + 500 * MS);
		assert_string_equal(text_at(line_of(node, "container.snapshot", 0), "attribution.source"),
				    answers ? "cri" : "oci_bundle");
		run_until(node, node->now_ns + 5 * S);
		assert_int_equal(count_of(node, "container.snapshot"), 1);
		node_free(node);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_oci_hook_is_not_init),
		cmocka_unit_test(a_namespace_init_needs_no_other_word),
		cmocka_unit_test(the_runtimes_pid_corrects_a_wrong_guess),
		cmocka_unit_test(the_kernel_is_told_the_runtimes_pid),
		cmocka_unit_test(a_lost_start_does_not_hide_the_cause),
		cmocka_unit_test(one_list_does_not_end_a_living_container),
		cmocka_unit_test(an_old_stop_did_not_end_it),
		cmocka_unit_test(a_stop_before_inits_exec_is_a_stop),
		cmocka_unit_test(a_handled_stop_is_not_called_ignored),
		cmocka_unit_test(proc_is_believed_only_with_proof),
		cmocka_unit_test(a_container_beyond_the_table_is_no_host_process),
		cmocka_unit_test(pressure_does_not_overtake_what_waits),
		cmocka_unit_test(workers_do_not_push_the_stop_out_of_the_story),
		cmocka_unit_test(a_death_the_list_tells_is_dated_by_the_runtime),
		cmocka_unit_test(a_quick_restart_still_finds_its_predecessor),
		cmocka_unit_test(a_death_before_its_name_is_linked_once_it_has_one),
		cmocka_unit_test(what_a_killed_run_had_not_told_is_told),
		cmocka_unit_test(kernel_loss_waits_for_room),
		cmocka_unit_test(an_invalid_record_is_lost_and_not_held),
		cmocka_unit_test(a_full_hold_is_our_bound_not_the_runtimes_fault),
		cmocka_unit_test(lines_of_one_queue_tell_one_wait),
		cmocka_unit_test(a_restart_may_end_its_predecessor_within_a_tick),
		cmocka_unit_test(a_snapshot_waits_for_the_answer_but_not_for_ever),
	};

	return cmocka_run_group_tests_name("pipeline_odd", tests, NULL, NULL);
}
