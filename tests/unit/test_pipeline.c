/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline as a whole: attribution, holding, life and death, incidents, accounting. */
#include "pipeline_fixture.h"

#include <signal.h>

#define PID 31874

static void an_answer_in_time_makes_lines_full(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	assert_string_equal(node->asked[0], ID_A); /* asked the moment the directory appears */
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	assert_int_equal(count_of(node, "container.created") + count_of(node, "process.exec"), 0);
	node->now_ns += 2 * MS;
	mail_container(node, ID_A, "app");

	json_t *created = line_of(node, "container.created", 0);
	json_t *exec = line_of(node, "process.exec", 0);

	assert_string_equal(text_at(created, "attribution.status"), "full");
	assert_string_equal(text_at(created, "k8s.pod.name"), "cart-7d9f8b6c5-x2x4k");
	assert_string_equal(text_at(exec, "k8s.namespace.name"), "shop");
	assert_string_equal(text_at(exec, "container.id"), ID_A);
	assert_int_equal(int_at(exec, "attribution.wait_us"), 2000);
	assert_true(int_at(created, "seq") < int_at(line_of(node, "container.started", 0), "seq"));
	assert_int_equal(count_of(node, "container.started"), 1);
	node_free(node);
}

static void only_the_unknown_container_waits(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	size_t before = node->line_count;

	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_exec(node, CG_B, PID + 1, node->now_ns, "/bin/b");
	assert_int_equal(node->line_count, before);
	feed_exec(node, CG_A, PID + 2, node->now_ns, "/bin/a");
	assert_int_equal(node->line_count, before + 1);
	node_free(node);
}

static void no_answer_makes_partial_lines_and_a_late_one_mends_them(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	run_until(node, node->now_ns + 499 * MS);
	assert_int_equal(count_of(node, "process.exec"), 0);
	run_until(node, node->now_ns + 1 * MS);

	json_t *exec = line_of(node, "process.exec", 0);

	assert_string_equal(text_at(exec, "attribution.status"), "partial");
	assert_string_equal(text_at(exec, "attribution.reason"), "cri_timeout");
	assert_string_equal(text_at(exec, "container.id"), ID_A); /* the path knows as much */
	assert_string_equal(text_at(exec, "k8s.pod.uid"), POD_UID);
	assert_null(at(exec, "k8s.pod.name"));
	node->now_ns += 5 * S;
	mail_container(node, ID_A, "app");

	json_t *resolved = line_of(node, "container.resolved", 0);

	assert_string_equal(text_at(resolved, "k8s.pod.name"), "cart-7d9f8b6c5-x2x4k");
	assert_int_equal(int_at(resolved, "data.mends.count"), 3); /* created, started, exec */
	assert_int_equal(int_at(resolved, "data.mends.to_seq"), int_at(exec, "seq"));
	mail_container(node, ID_A, "app");
	assert_int_equal(count_of(node, "container.resolved"), 1); /* once */
	node_free(node);
}

static void without_a_runtime_nothing_waits_and_the_bundle_names_the_pod(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	node_file(
		node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/config.json",
		"{\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.container-name\":\"app\","
		"\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX "\",\"io.kubernetes.cri.sandbox-name\":\"web\","
		"\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" POD_UID
		"\"}}");
	feed_mkdir(node, CG_A, CG_POD, ID_A);

	json_t *created = line_of(node, "container.created", 0);

	assert_string_equal(text_at(created, "attribution.status"), "full");
	assert_string_equal(text_at(created, "attribution.source"), "oci_bundle");
	assert_string_equal(text_at(created, "k8s.pod.name"), "web");
	feed_mkdir(node, CG_B, CG_POD, ID_B); /* no bundle to read */
	assert_string_equal(text_at(line_of(node, "container.created", 1), "attribution.reason"), "cri_off");
	assert_string_equal(text_at(line_of(node, "container.created", 1), "k8s.pod.uid"), POD_UID);
	node_free(node);
}

static void an_oom_chain_is_one_story(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_oom oom = oom_of(CG_A);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node->now_ns += 10 * S;
	feed_signal(node, CG_A, PID, 1000 * S, SIGKILL, CRIER_SIGNAL_FATAL, 0);
	oom.levels[0].oom_delta = 1;
	feed_oom(node, CG_A, &oom);
	feed_exit(node, CG_A, PID, 1000 * S, SIGKILL, CRIER_EXIT_GROUP_EXIT | CRIER_EXIT_OOM);
	feed_populated(node, CG_A, 0);
	assert_int_equal(count_of(node, "container.exited"), 0); /* the runtime has a word too */
	node->now_ns += 60 * MS;
	mail_exited(node, ID_A, "app", "OOMKilled", 137);

	json_t *line = line_of(node, "container.oom", 0);
	json_t *exit = line_of(node, "process.exit", 0);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(line, "data.limit.level"), "container");
	assert_string_equal(text_at(line, "data.limit.found_by"), "oom_count");
	assert_int_equal(int_at(line, "data.limit.bytes"), 64 << 20);
	assert_int_equal(int_at(exit, "data.oom_killed"), 1);
	assert_int_equal(int_at(exit, "data.container_init"), 1);
	assert_string_equal(text_at(exited, "data.cause"), "oom");
	assert_int_equal(int_at(exited, "data.exit_code"), 137);
	assert_string_equal(text_at(exited, "data.runtime.reason"), "OOMKilled");
	assert_string_equal(text_at(line, "correlation.incident_id"),
			    text_at(exited, "correlation.incident_id"));
	assert_string_equal(text_at(exit, "correlation.incident_id"),
			    text_at(exited, "correlation.incident_id"));
	assert_string_equal(text_at(exited, "correlation.caused_by.0.basis"), "same_task");
	assert_int_equal(json_array_size(at(exited, "data.timeline")), 3);

	/* the next container of this slot names the death, also minutes later */
	node->now_ns += 300 * S;
	feed_rmdir(node, CG_A);
	run_container(node, CG_B, ID_B, "app", PID + 5);
	json_t *started = line_of(node, "container.started", 1);

	assert_string_equal(text_at(started, "data.previous.cause"), "oom");
	assert_string_equal(text_at(started, "data.previous.container_id"), ID_A);
	assert_string_equal(text_at(started, "data.previous.incident_id"),
			    text_at(exited, "correlation.incident_id"));
	assert_string_equal(text_at(started, "correlation.caused_by.0.event_id"),
			    text_at(exited, "event_id"));
	assert_string_equal(text_at(started, "correlation.caused_by.0.basis"), "same_slot");
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_child_killed_while_init_lives_is_no_exit(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_oom oom = oom_of(CG_A);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	oom.victim = oom.trigger = task(PID + 1, 1001 * S, CG_A, "child");
	oom.levels[0].oom_delta = 1;
	feed_oom(node, CG_A, &oom);
	feed_exit(node, CG_A, PID + 1, 1001 * S, SIGKILL, CRIER_EXIT_OOM);
	run_until(node, node->now_ns + 20 * S);
	assert_int_equal(count_of(node, "container.oom"), 1);
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	mail_exited(node, ID_A, "app", "OOMKilled", 0); /* containerd says so of init, which ended with 0 */

	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.cause"), "exit");
	assert_int_equal(int_at(exited, "data.exit_code"), 0);
	assert_string_equal(text_at(exited, "data.runtime.reason"), "OOMKilled");
	assert_string_not_equal(text_at(exited, "correlation.incident_id"),
				text_at(line_of(node, "container.oom", 0), "correlation.incident_id"));
	node_free(node);
}

static void an_ignored_stop_is_told_as_escalated(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	const uint32_t stop = CRIER_SIGNAL_FROM_PROCESS | CRIER_SIGNAL_STOP_INIT | CRIER_SIGNAL_GROUP;

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node->now_ns += 5 * S;
	feed_signal(node, CG_A, PID, 1000 * S, SIGTERM, stop, CG_HOST);
	node->now_ns += 30 * S;
	feed_signal(node, CG_A, PID, 1000 * S, SIGKILL, stop | CRIER_SIGNAL_FATAL, CG_HOST);
	feed_exit(node, CG_A, PID, 1000 * S, SIGKILL, CRIER_EXIT_GROUP_EXIT);
	run_until(node, node->now_ns + 500 * MS);

	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.cause"), "signal");
	assert_string_equal(text_at(exited, "data.stop.signal_name"), "SIGTERM");
	assert_string_equal(text_at(exited, "data.stop.escalated_to_name"), "SIGKILL");
	assert_int_equal(int_at(exited, "data.stop.after_ms"), 30000);
	assert_string_equal(text_at(exited, "data.stop.sender.comm"), "containerd-shim");
	assert_string_equal(text_at(line_of(node, "process.signal", 0), "actor.comm"), "containerd-shim");
	assert_string_equal(text_at(line_of(node, "process.signal", 0), "correlation.incident_id"),
			    text_at(exited, "correlation.incident_id"));
	assert_null(at(exited, "data.runtime")); /* it never answered */
	node_free(node);
}

static void a_container_that_never_started_exits_once(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_container(node, ID_A, "app");
	feed_populated(node, CG_A, 1);
	feed_exec(node, CG_A, PID, node->now_ns, "/proc/self/exe"); /* runc copying itself is no start */
	feed_exit(node, CG_A, PID, node->now_ns, 1 << 8, 0);
	feed_populated(node, CG_A, 0);
	feed_rmdir(node, CG_A);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.started"), 0);
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "start_failed");
	node_free(node);
}

static void what_the_runtime_no_longer_lists_is_removed(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	static struct crier_meta_message message;

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	node->now_ns += 1 * S;
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	message.generation = 1;
	feed_mail(node, &message);
	mail_list(node, CRIER_META_LIST_END, 1);
	assert_int_equal(count_of(node, "container.removed"), 0);
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	node->now_ns += 30 * S;
	mail_list(node, CRIER_META_LIST_BEGIN, 2);
	mail_list(node, CRIER_META_LIST_END, 2);
	assert_int_equal(count_of(node, "container.removed"), 1);
	assert_string_equal(text_at(line_of(node, "container.removed", 0), "data.basis"), "runtime");
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_death_while_crier_was_away_is_told_after_the_fact(void **state)
{
	static const struct {
		int64_t finished_s; /* after the previous run's end */
		const char *told_before;
		size_t lines;
	} rows[] = {{5, NULL, 1}, {-5, NULL, 0}, {5, ID_A, 0}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_config(CRIER_PROFILE_DEFAULT);
		char told[1][128] = {""};
		uint64_t ended = 1700000900ULL * S;

		if (rows[i].told_before) {
			strcpy(told[0], rows[i].told_before);
			node->start.previous_exited = told;
			node->start.previous_exited_count = 1;
		}
		strcpy(node->start.previous_instance, "00000001");
		node->start.previous_ended_at = ended;
		node_start(node, true);
		assert_string_equal(text_at(line_of(node, "agent.start", 0), "data.previous.instance"),
				    "00000001");

		static struct crier_meta_message message;

		mail_list(node, CRIER_META_LIST_BEGIN, 1);
		fill_container(&message, ID_A, "app", CRIER_STATE_EXITED);
		message.generation = 1;
		feed_mail(node, &message);
		mail_list(node, CRIER_META_LIST_END, 1);
		fill_container(&message, ID_A, "app", CRIER_STATE_EXITED);
		message.container.exit_code = 137;
		message.container.reason = CRIER_SLICE("OOMKilled");
		message.container.finished_at_ns = ended + (uint64_t)(rows[i].finished_s * (int64_t)S);
		feed_mail(node, &message);
		assert_int_equal(count_of(node, "container.exited"), rows[i].lines);
		if (rows[i].lines) {
			json_t *line = line_of(node, "container.exited", 0);

			assert_string_equal(text_at(line, "data.observed"), "after_the_fact");
			assert_string_equal(text_at(line, "data.cause"), "unknown");
			assert_string_equal(text_at(line, "data.runtime.reason"), "OOMKilled");
			assert_int_equal(int_at(line, "data.exit_code"), 137);
			assert_string_equal(text_at(line, "k8s.pod.name"), "cart-7d9f8b6c5-x2x4k");
		}
		node_free(node);
	}
}

static void a_running_container_at_start_has_a_snapshot_not_a_start(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	node_free(node);
	node = node_config(CRIER_PROFILE_DEFAULT);
	node_start(node, true);
	feed_cgroup_dir(node, CG_A, CG_POD, POD_DIR "/" ID_A);
	struct crier_wire_seed seed = {.task = task(PID, 500 * S, CG_A, "app")};

	seed.task.flags |= CRIER_TASK_NS_INIT;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_SEED, node->now_ns, &seed, sizeof(seed));
	mail_container(node, ID_A, "app");
	assert_int_equal(count_of(node, "container.snapshot"), 1);
	assert_int_equal(count_of(node, "container.created") + count_of(node, "container.started"), 0);
	feed_exit(node, CG_A, PID, 500 * S, 3 << 8, 0);
	mail_exited(node, ID_A, "app", "Error", 3);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.cause"), "exit");
	assert_int_equal(int_at(exited, "data.exit_code"), 3);
	assert_int_equal(int_at(exited, "data.uptime_ms"), 500000);
	node_free(node);
}

static void a_nested_cgroup_belongs_to_its_container(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_mkdir(node, 101, CG_A, "init.scope");
	feed_exec(node, 101, PID + 1, node->now_ns, "/bin/inner");
	json_t *exec = line_of(node, "process.exec", 1);

	assert_string_equal(text_at(exec, "container.id"), ID_A);
	assert_string_equal(text_at(exec, "attribution.via"), "ancestor");
	feed_populated(node, 101, 0);
	feed_rmdir(node, 101);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(count_of(node, "container.exited"), 0);
	node_free(node);
}

/* Thousands at once would fill the sink: they wait for half of its room, and what happens goes before. */
static void snapshots_wait_for_room(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_DEFAULT);

	(void)state;
	node_start(node, true);
	feed_cgroup_dir(node, CG_A, CG_POD, POD_DIR "/" ID_A);
	feed_cgroup_dir(node, CG_B, CG_POD, POD_DIR "/" ID_B);
	struct crier_wire_seed seed = {.task = task(PID, 500 * S, CG_A, "app")};

	seed.task.flags |= CRIER_TASK_NS_INIT;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_SEED, node->now_ns, &seed, sizeof(seed));
	feed_room(node, node->config.sink_buffer_bytes / 2 - 1);
	mail_container(node, ID_A, "app");
	mail_container(node, ID_B, "app");
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.snapshot"), 0);
	feed_exit(node, CG_A, PID, 500 * S, 3 << 8, 0);
	mail_exited(node, ID_A, "app", "Error", 3); /* that it was there comes before its end */
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.snapshot"), 1);
	assert_string_equal(text_at(line_of(node, "container.snapshot", 0), "container.id"), ID_A);
	feed_room(node, node->config.sink_buffer_bytes);
	run_until(node, node->now_ns + 200 * MS);
	assert_int_equal(count_of(node, "container.snapshot"), 2);
	assert_int_equal(count_of(node, "agent.loss"), 0);
	node_free(node);
}

static void a_full_sink_loses_bulk_first_and_says_so(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_room(node, node->config.sink_buffer_bytes / 4); /* the critical reserve */
	size_t before = count_of(node, "process.exec");

	for (uint32_t i = 0; i < 5; i++)
		feed_exec(node, CG_A, PID + 10 + i, node->now_ns + i, "/bin/x");
	assert_int_equal(count_of(node, "process.exec"), before);
	feed_exit(node, CG_A, PID, 1000 * S, 1 << 8, 0);
	assert_int_equal(count_of(node, "process.exit"), 1); /* critical still leaves */
	run_until(node, node->now_ns + 2 * S);
	json_t *loss = line_of(node, "agent.loss", 0);

	assert_string_equal(text_at(loss, "data.cause"), "sink_full");
	assert_string_equal(text_at(loss, "data.class"), "bulk");
	assert_int_equal(int_at(loss, "data.count"), 5);
	node_free(node);
}

static void check_sum(json_t *counts)
{
	assert_int_equal(int_at(counts, "generated"), int_at(counts, "emitted") + int_at(counts, "filtered") +
							      int_at(counts, "suppressed") +
							      int_at(counts, "lost") +
							      int_at(counts, "held"));
}

static void every_event_is_accounted_for(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_DEFAULT);
	struct crier_input_counters counters = {0};

	(void)state;
	node->config.max_output_bytes = 2000;
	node->config.profile = CRIER_PROFILE_FULL;
	node_start(node, true);
	run_container(node, CG_A, ID_A, "app", PID);
	for (uint32_t i = 0; i < 20; i++)
		feed_exec(node, CG_A, PID + i, node->now_ns, "/bin/x");
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_exec(node, CG_B, PID + 50, node->now_ns, "/bin/held");
	counters.kernel.class_filtered[CRIER_CLASS_BULK] = 1000;
	counters.kernel.reserve_failed[CRIER_CLASS_BULK] = 7;
	counters.kernel.suppressed[CRIER_CLASS_BULK] = 3;
	counters.kernel.submitted[CRIER_CLASS_BULK] = 30; /* 22 were fed */
	counters.blame_count = 1;
	counters.blames[0] =
		(struct crier_input_blame){.cgroup_id = CG_A, .suppressed = {3, 0}, .failed = {7, 0}};
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_COUNTERS, node->now_ns, &counters, sizeof(counters));
	assert_string_equal(text_at(line_of(node, "agent.loss", 0), "data.cause"), "reserve_failed");
	assert_int_equal(int_at(line_of(node, "agent.loss", 0), "data.count"), 7);
	assert_string_equal(text_at(line_of(node, "agent.loss", 0), "data.top_cgroups.0.id"), "100");
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_STOP, node->now_ns, "{\"reason\":\"SIGTERM\"}", 20);

	json_t *stop = line_of(node, "agent.stop", 0);

	assert_string_equal(text_at(stop, "data.reason"), "SIGTERM");
	check_sum(at(stop, "data.bulk"));
	check_sum(at(stop, "data.critical"));
	assert_int_equal(int_at(stop, "data.bulk.generated"), 1000 + 7 + 3 + 30);
	assert_int_equal(int_at(stop, "data.bulk.lost"),
			 7 + 8); /* 8 were submitted and never read: told, not hidden as held */
	assert_true(int_at(stop, "data.bulk.suppressed") > 3); /* the output budget's share */
	assert_int_equal(int_at(stop, "data.bulk.held"), 0);
	assert_int_equal(count_of(node, "process.exec") + (size_t)int_at(stop, "data.bulk.suppressed") - 3,
			 22);
	node_free(node);
}

static void garbage_is_counted_and_harmless(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);
	uint64_t noise[64];
	uint64_t seed = 88172645463325252ULL;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		for (size_t i = 0; i < CRIER_ARRAY_SIZE(noise); i++) {
			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			noise[i] = seed;
		}
		size_t len = seed % sizeof(noise);
		struct crier_wire_header *header = (void *)noise;

		if (round % 2) { /* half of it with a good header, so that it gets further */
			header->length = (uint16_t)len;
			header->version = CRIER_WIRE_VERSION;
			header->type = (uint8_t)(seed % CRIER_WIRE_TYPE_COUNT);
			header->ring = seed % 2;
			header->cgroup_id = seed % 8;
		}
		crier_pipeline_feed(node->pipeline, round % 3 ? CRIER_INPUT_RECORD : CRIER_INPUT_MAIL,
				    node->now_ns + (uint64_t)round, noise, len);
		if (node->line_count > 4000)
			break;
	}
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_in_time_makes_lines_full),
		cmocka_unit_test(only_the_unknown_container_waits),
		cmocka_unit_test(no_answer_makes_partial_lines_and_a_late_one_mends_them),
		cmocka_unit_test(without_a_runtime_nothing_waits_and_the_bundle_names_the_pod),
		cmocka_unit_test(an_oom_chain_is_one_story),
		cmocka_unit_test(a_child_killed_while_init_lives_is_no_exit),
		cmocka_unit_test(an_ignored_stop_is_told_as_escalated),
		cmocka_unit_test(a_container_that_never_started_exits_once),
		cmocka_unit_test(what_the_runtime_no_longer_lists_is_removed),
		cmocka_unit_test(a_death_while_crier_was_away_is_told_after_the_fact),
		cmocka_unit_test(a_running_container_at_start_has_a_snapshot_not_a_start),
		cmocka_unit_test(a_nested_cgroup_belongs_to_its_container),
		cmocka_unit_test(snapshots_wait_for_room),
		cmocka_unit_test(a_full_sink_loses_bulk_first_and_says_so),
		cmocka_unit_test(every_event_is_accounted_for),
		cmocka_unit_test(garbage_is_counted_and_harmless),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
