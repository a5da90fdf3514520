/* SPDX-License-Identifier: Apache-2.0 */
/* A node without kernel programs: what the runtime says stands in, and what nobody saw is absent. */
#include "pipeline_fixture.h"

#define READY_NO_EXEC                                                                                        \
	"{\"hooks\":[{\"event\":\"cgroup_mkdir\",\"chosen\":\"inotify:cgroup\"},{\"event\":\"exec\","        \
	"\"refused\":\"tp_btf:sched_process_exec: no BTF\"}]}"
#define READY_BLIND "{\"hooks\":[{\"event\":\"cgroup_mkdir\"},{\"event\":\"exec\"}]}"
#define PID	    OOM_PID

static struct node *unseen_node(const char *ready, bool cri)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, cri);

	crier_pipeline_feed(node->pipeline, CRIER_INPUT_READY, node->now_ns, ready, strlen(ready));
	return node;
}

static void mail_state(struct node *node, const char *id, enum crier_meta_state state, uint64_t started_ns,
		       uint64_t pid)
{
	static struct crier_meta_message message;

	fill_container(&message, id, "app", state);
	message.container.pid = pid;
	if (started_ns)
		message.container.started_at_ns = started_ns + node->start.unix_offset_ns;
	if (state == CRIER_STATE_EXITED) {
		message.container.finished_at_ns = node->now_ns + node->start.unix_offset_ns;
		message.container.exit_code = 3;
		message.container.reason = CRIER_SLICE("Error");
	}
	feed_mail(node, &message);
}

static void a_start_is_asked_for_and_told_once(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, true);
	uint64_t began;

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_CREATED, 0, CRIER_UNKNOWN_U64);
	assert_int_equal(count_of(node, "container.created"), 1);
	feed_populated(node, CG_A, 1);
	size_t asked = node->asked_count;

	began = node->now_ns;
	run_until(node, node->now_ns + 30 * MS);
	assert_true(node->asked_count > asked);
	mail_state(node, ID_A, CRIER_STATE_CREATED, 0, CRIER_UNKNOWN_U64); /* not yet: asked again */
	asked = node->asked_count;
	run_until(node, node->now_ns + 500 * MS);
	assert_true(node->asked_count > asked);
	assert_int_equal(count_of(node, "container.started"), 0);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, began + 5 * MS, PID);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, began + 5 * MS, PID);
	assert_int_equal(count_of(node, "container.started"), 1);
	json_t *started = line_of(node, "container.started", 0);

	assert_int_equal(int_at(started, "process.pid"), PID);
	assert_string_equal(text_at(started, "process.role"), "init");
	assert_string_equal(text_at(started, "process.comm"), "(absent)");
	assert_string_equal(text_at(started, "probe.hook"), "user");
	assert_null(at(started, "probe.cpu"));
	assert_null(at(started, "data.executable"));
	assert_int_equal(strtoull(text_at(started, "boottime_ns"), NULL, 10), began + 5 * MS);
	asked = node->asked_count;
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(node->asked_count, asked); /* enough is known */

	feed_populated(node, CG_A, 0);
	mail_state(node, ID_A, CRIER_STATE_EXITED, began + 5 * MS, CRIER_UNKNOWN_U64);
	assert_int_equal(count_of(node, "container.exited"), 1);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.cause"), "unknown");
	assert_int_equal(int_at(exited, "data.exit_code"), 3);
	assert_null(at(exited, "data.signal"));
	assert_null(at(exited, "data.observed"));
	node_free(node);
}

/* Started and ended between two words of the runtime: both are told, in order. */
static void a_short_life_is_told_whole(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_CREATED, 0, CRIER_UNKNOWN_U64);
	feed_populated(node, CG_A, 1);
	feed_populated(node, CG_A, 0);
	mail_state(node, ID_A, CRIER_STATE_EXITED, node->now_ns, CRIER_UNKNOWN_U64);
	assert_int_equal(int_at(line_of(node, "container.started", 0), "seq") + 1,
			 int_at(line_of(node, "container.exited", 0), "seq"));
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "unknown");
	node_free(node);
}

/* The runtime's word is waited for longer: it alone has the exit code. */
static void the_exit_code_is_waited_for(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID);
	feed_populated(node, CG_A, 1);
	feed_populated(node, CG_A, 0);
	run_until(node, node->now_ns + node->config.exit_wait_ms * MS * 3);
	assert_int_equal(count_of(node, "container.exited"), 0);
	run_until(node, node->now_ns + node->config.exit_wait_ms * MS * 8);
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_null(at(line_of(node, "container.exited", 0), "data.exit_code"));
	node_free(node);
}

static void only_the_runtime_knows_that_nothing_started(void **state)
{
	(void)state;
	for (int answered = 0; answered < 2; answered++) {
		struct node *node = unseen_node(READY_NO_EXEC, true);

		feed_mkdir(node, CG_A, CG_POD, ID_A);
		mail_state(node, ID_A, CRIER_STATE_CREATED, 0, CRIER_UNKNOWN_U64);
		feed_populated(node, CG_A, 1);
		feed_populated(node, CG_A, 0);
		if (answered)
			mail_state(node, ID_A, CRIER_STATE_EXITED, 0, CRIER_UNKNOWN_U64);
		else
			run_until(node, node->now_ns + 20 * S);
		assert_int_equal(count_of(node, "container.started"), 0);
		assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"),
				    answered ? "start_failed" : "unknown");
		node_free(node);
	}
}

/* As the kernel's log tells it: a pid and a name, no start, no namespaces, one level with figures. */
static struct crier_wire_oom logged_oom(uint64_t cgroup)
{
	struct crier_wire_oom oom = {
		.flags = CRIER_OOM_HAS_CONTROL | CRIER_OOM_MEMCG | CRIER_OOM_NO_SWAP | CRIER_OOM_NO_PGTABLES |
			 CRIER_OOM_NO_SCORE_ADJ,
		.victim = task(PID, 0, cgroup, "java"),
		.trigger = {.pid = PID},
		.anon_pages = 16000,
		.page_size = 4096,
		.limit_cgroup_id = CG_POD,
		.level_count = 2,
		.levels = {{.cgroup_id = cgroup,
			    .flags = CRIER_OOM_LEVEL_NO_USAGE | CRIER_OOM_LEVEL_NO_MAX |
				     CRIER_OOM_LEVEL_NO_PEAK | CRIER_OOM_LEVEL_NO_SWAP},
			   {.cgroup_id = CG_POD,
			    .usage_pages = 16384,
			    .max_pages = 16384,
			    .flags = CRIER_OOM_LEVEL_NO_PEAK | CRIER_OOM_LEVEL_NO_SWAP}},
	};

	oom.victim.vpid = oom.victim.parent_pid = 0;
	oom.victim.flags |= CRIER_TASK_NO_START | CRIER_TASK_NO_UID;
	return oom;
}

static void feed_logged(struct node *node, uint64_t cgroup, struct crier_wire_oom *oom)
{
	oom->header = (struct crier_wire_header){
		.length = sizeof(*oom),
		.version = CRIER_WIRE_VERSION,
		.type = CRIER_WIRE_OOM,
		.ring = CRIER_CLASS_CRITICAL,
		.hook = CRIER_HOOK_KMSG,
		.cpu = (uint16_t)CRIER_WIRE_CPU_UNKNOWN,
		.boottime_ns = node->now_ns,
		.cgroup_id = cgroup,
	};
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_RECORD, node->now_ns, oom, sizeof(*oom));
}

static void what_the_log_cannot_know_is_absent(void **state)
{
	static const char *const absent[] = {
		"probe.cpu",
		"process.user.id",
		"process.start_boottime_ns",
		"process.vpid",
		"process.parent_pid",
		"correlation.process_key",
		"actor",
		"data.limit.peak_bytes",
		"data.limit.swap_bytes",
		"data.victim.swap_bytes",
		"data.victim.pgtables_bytes",
		"data.victim.oom_score_adj",
		"data.kills",
	};
	struct node *node = unseen_node(READY_NO_EXEC, true);
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID);
	feed_logged(node, CG_A, &oom);
	json_t *line = line_of(node, "container.oom", 0);

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(absent); i++)
		if (at(line, absent[i]))
			fail_msg("%s is told", absent[i]);
	assert_string_equal(text_at(line, "data.limit.found_by"), "kernel_log");
	assert_string_equal(text_at(line, "data.limit.level"), "pod");
	assert_int_equal(int_at(line, "data.limit.bytes"), 64 << 20);
	assert_int_equal(int_at(line, "data.limit.usage_bytes"), 64 << 20);
	assert_string_equal(text_at(line, "process.comm"), "java");
	assert_string_equal(text_at(line, "process.role"), "init");

	/* and so the container's end is an OOM kill, by the kernel's word */
	feed_populated(node, CG_A, 0);
	mail_state(node, ID_A, CRIER_STATE_EXITED, node->now_ns, CRIER_UNKNOWN_U64);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.cause"), "oom");
	assert_string_equal(text_at(exited, "correlation.caused_by.0.kind"), "container.oom");
	node_free(node);
}

static void a_child_killed_is_no_end_of_init(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, true);
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID + 1);
	feed_logged(node, CG_A, &oom);
	assert_string_equal(text_at(line_of(node, "container.oom", 0), "process.role"), "(absent)");
	feed_populated(node, CG_A, 0);
	mail_state(node, ID_A, CRIER_STATE_EXITED, node->now_ns, CRIER_UNKNOWN_U64);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "unknown");
	node_free(node);
}

/* The report was left out: a memory cgroup's limit, and nobody knows which. */
static void a_limit_without_evidence_is_not_named(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, true);
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID);
	oom.flags &= ~(uint32_t)CRIER_OOM_HAS_CONTROL;
	oom.limit_cgroup_id = 0;
	oom.levels[1].flags |= CRIER_OOM_LEVEL_NO_USAGE;
	feed_logged(node, CG_A, &oom);
	json_t *line = line_of(node, "container.oom", 0);

	assert_string_equal(text_at(line, "data.scope"), "memcg");
	assert_null(at(line, "data.limit"));
	node_free(node);
}

/* An id that could not be had any more is not 0, and does not lead to another cgroup. */
static void a_limit_whose_directory_is_gone_has_no_id(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, true);
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID);
	oom.level_count = 1;
	oom.levels[0].cgroup_id = oom.limit_cgroup_id = 0;
	feed_logged(node, CG_A, &oom);
	json_t *line = line_of(node, "container.oom", 0);

	assert_null(at(line, "data.limit.cgroup.id"));
	assert_string_equal(text_at(line, "data.limit.level"), "container"); /* by its place in the chain */
	node_free(node);
}

static void counted_kills_have_no_victim(void **state)
{
	(void)state;
	for (int group = 0; group < 2; group++) {
		struct node *node = unseen_node(READY_NO_EXEC, true);
		struct crier_wire_oom oom = {
			.flags = CRIER_OOM_NO_VICTIM | CRIER_OOM_NO_SWAP | CRIER_OOM_NO_PGTABLES |
				 CRIER_OOM_NO_SCORE_ADJ,
			.page_size = 4096,
			.kills = 3,
			.level_count = 1,
			.levels = {{.cgroup_id = CG_A,
				    .max_pages = 16384,
				    .oom_delta = 1,
				    .flags = CRIER_OOM_LEVEL_DELTA_KNOWN | CRIER_OOM_LEVEL_NO_USAGE |
					     CRIER_OOM_LEVEL_NO_PEAK | CRIER_OOM_LEVEL_NO_SWAP |
					     (group ? CRIER_OOM_LEVEL_GROUP : 0)}},
		};

		feed_mkdir(node, CG_A, CG_POD, ID_A);
		mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID);
		feed_oom(node, CG_A, &oom);
		json_t *line = line_of(node, "container.oom", 0);

		assert_int_equal(int_at(line, "data.kills"), 3);
		assert_null(at(line, "process"));
		assert_null(at(line, "data.victim"));
		assert_null(at(line, "data.victim_index"));
		assert_null(at(line, "data.limit.usage_bytes"));
		assert_int_equal(int_at(line, "data.limit.bytes"), 64 << 20);
		assert_string_equal(text_at(line, "data.limit.found_by"), "oom_count");
		assert_non_null(strstr(text_at(line, "summary"), "3 processes in shop/"));
		feed_populated(node, CG_A, 0);
		mail_state(node, ID_A, CRIER_STATE_EXITED, node->now_ns, CRIER_UNKNOWN_U64);
		json_t *exited = line_of(node, "container.exited", 0);

		/* all of the cgroup died, init too; else nobody knows who */
		assert_string_equal(text_at(exited, "data.cause"), group ? "oom" : "unknown");
		assert_string_equal(text_at(exited, "correlation.caused_by.0.basis"), "same_cgroup_window");
		node_free(node);
	}
}

/* Neither directories nor executions: the runtime's list is all there is. */
static void a_blind_node_lives_by_the_list(void **state)
{
	struct node *node = unseen_node(READY_BLIND, true);
	static struct crier_meta_message message;
	const uint64_t offset = node->start.unix_offset_ns;

	(void)state;
	for (int old = 0; old < 2; old++) {
		uint64_t at_ns = old ? node->start.boottime_ns - S : node->start.boottime_ns + S;

		node->now_ns = node->start.boottime_ns + 5 * S;
		fill_container(&message, old ? ID_B : ID_A, "app", CRIER_STATE_RUNNING);
		message.generation = 7;
		message.container.created_at_ns = at_ns + offset;
		message.container.started_at_ns = at_ns + 10 * MS + offset;
		feed_mail(node, &message);
	}
	assert_int_equal(count_of(node, "container.created"), 1); /* the older one is no news */
	assert_int_equal(count_of(node, "container.started"), 1);
	assert_string_equal(text_at(line_of(node, "container.created", 0), "container.id"), ID_A);
	node_free(node);
}

/* No runtime either: nothing says what ended how, and a lone init is known by its bundle. */
static void without_a_runtime_init_is_known_by_its_bundle(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, false);
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	node_file(node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/init.pid", "31874");
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_populated(node, CG_A, 1);
	feed_logged(node, CG_A, &oom);
	feed_populated(node, CG_A, 0);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(line_of(node, "container.oom", 0), "process.role"), "init");
	assert_string_equal(text_at(exited, "data.cause"), "oom");
	assert_null(at(exited, "data.exit_code"));
	node_free(node);
}

/* The kernel signals its victim before it logs the kill: the cgroup is seen empty first. */
static void an_end_waits_for_the_log(void **state)
{
	struct node *node = unseen_node(READY_NO_EXEC, false);
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	node_file(node, "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/init.pid", "31874");
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_populated(node, CG_A, 1);
	feed_populated(node, CG_A, 0);
	run_until(node, node->now_ns + 100 * MS);
	assert_int_equal(count_of(node, "container.exited"), 0);
	feed_logged(node, CG_A, &oom);
	run_until(node, node->now_ns + 500 * MS);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "oom");
	node_free(node);
}

/* The runtime may be waited for longer than an incident's windows are. */
static void an_end_long_waited_for_joins_its_kill(void **state)
{
	struct crier_wire_oom oom = logged_oom(CG_A);

	(void)state;
	for (unsigned second = 0; second < 10; second++) { /* whenever it is that incidents are tidied up */
		struct node *each = unseen_node(READY_NO_EXEC, true);

		run_until(each, each->now_ns + second * S + 500 * MS);
		feed_mkdir(each, CG_A, CG_POD, ID_A);
		mail_state(each, ID_A, CRIER_STATE_RUNNING, each->now_ns, PID);
		feed_populated(each, CG_A, 1);
		feed_logged(each, CG_A, &oom);
		run_until(each, each->now_ns + S);
		feed_populated(each, CG_A, 0);
		run_until(each, each->now_ns + 5 * S);
		assert_string_equal(text_at(line_of(each, "container.exited", 0), "correlation.incident_id"),
				    text_at(line_of(each, "container.oom", 0), "correlation.incident_id"));
		node_free(each);
	}
}

/* With eyes on executions nothing of this happens. */
static void with_kernel_programs_the_runtime_starts_nothing(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_state(node, ID_A, CRIER_STATE_RUNNING, node->now_ns, PID);
	feed_populated(node, CG_A, 1);
	size_t asked = node->asked_count;

	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(node->asked_count, asked);
	assert_int_equal(count_of(node, "container.started"), 0);
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_start_is_asked_for_and_told_once),
		cmocka_unit_test(a_short_life_is_told_whole),
		cmocka_unit_test(the_exit_code_is_waited_for),
		cmocka_unit_test(only_the_runtime_knows_that_nothing_started),
		cmocka_unit_test(what_the_log_cannot_know_is_absent),
		cmocka_unit_test(a_child_killed_is_no_end_of_init),
		cmocka_unit_test(a_limit_without_evidence_is_not_named),
		cmocka_unit_test(a_limit_whose_directory_is_gone_has_no_id),
		cmocka_unit_test(counted_kills_have_no_victim),
		cmocka_unit_test(a_blind_node_lives_by_the_list),
		cmocka_unit_test(without_a_runtime_init_is_known_by_its_bundle),
		cmocka_unit_test(an_end_waits_for_the_log),
		cmocka_unit_test(an_end_long_waited_for_joins_its_kill),
		cmocka_unit_test(with_kernel_programs_the_runtime_starts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
