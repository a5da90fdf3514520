/* SPDX-License-Identifier: Apache-2.0 */
/* Whose limit was hit, and whose death it is. */
#include "pipeline_fixture.h"

#define PID OOM_PID

static void the_limit_is_found_where_the_count_rose(void **state)
{
	static const struct {
		const char *name;
		uint32_t delta[3];
		uint32_t known[3];
		uint32_t flags;
		const char *scope, *level, *found_by;
	} rows[] = {
		{"own", {1, 0, 0}, {1, 1, 1}, 0, "memcg", "container", "oom_count"},
		{"pod", {0, 1, 0}, {1, 1, 1}, 0, "memcg", "pod", "oom_count"},
		{"none rose", {0, 0, 0}, {1, 1, 1}, 0, "global", "node", "(absent)"},
		{"not known, at the limit", {0, 0, 0}, {0, 0, 0}, 0, "memcg", "container", "usage_at_limit"},
		{"control says global",
		 {1, 0, 0},
		 {1, 1, 1},
		 CRIER_OOM_HAS_CONTROL | CRIER_OOM_GLOBAL,
		 "global",
		 "node",
		 "oom_control"},
		{"control says cpuset",
		 {0, 0, 0},
		 {1, 1, 1},
		 CRIER_OOM_HAS_CONTROL | CRIER_OOM_GLOBAL | CRIER_OOM_CPUSET,
		 "cpuset",
		 "node",
		 "oom_control"},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
		struct crier_wire_oom oom = oom_of(CG_A);

		run_container(node, CG_A, ID_A, "app", PID);
		oom.flags = rows[i].flags;
		for (size_t k = 0; k < 3; k++) {
			oom.levels[k].oom_delta = rows[i].delta[k];
			oom.levels[k].flags = rows[i].known[k] ? CRIER_OOM_LEVEL_DELTA_KNOWN : 0;
		}
		feed_oom(node, CG_A, &oom);
		json_t *line = line_of(node, "container.oom", 0);

		if (strcmp(text_at(line, "data.scope"), rows[i].scope) ||
		    strcmp(text_at(line, "data.limit.level"), rows[i].level) ||
		    strcmp(text_at(line, "data.limit.found_by"), rows[i].found_by))
			fail_msg("%s: scope %s level %s found_by %s", rows[i].name,
				 text_at(line, "data.scope"), text_at(line, "data.limit.level"),
				 text_at(line, "data.limit.found_by"));
		node_free(node);
	}
}

static void a_group_kill_names_one_limit_for_all_victims(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_oom oom = oom_of(CG_A);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	oom.levels[0].oom_delta = 1;
	oom.levels[0].flags |= CRIER_OOM_LEVEL_GROUP;
	for (uint32_t i = 0; i < 3; i++) {
		oom.victim = task(PID + i, 1000 * S + i, CG_A, "java");
		feed_oom(node, CG_A, &oom);
		oom.levels[0].oom_delta = 0; /* only the first sees it rise */
	}
	for (size_t i = 0; i < 3; i++) {
		json_t *line = line_of(node, "container.oom", i);

		assert_int_equal(int_at(line, "data.victim_index"), (json_int_t)i + 1);
		assert_int_equal(int_at(line, "data.group_kill"), 1);
		assert_string_equal(text_at(line, "data.limit.level"), "container");
		assert_string_equal(text_at(line, "data.limit.found_by"), i ? "same_kill" : "oom_count");
		assert_string_equal(text_at(line, "correlation.incident_id"), "3b1d9c20-i1");
	}
	node_free(node);
}

static void a_host_victim_is_the_nodes(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_MINIMAL, true);
	struct crier_wire_oom oom = oom_of(CG_HOST);

	(void)state;
	oom.levels[0].oom_delta = 1;
	feed_oom(node, CG_HOST, &oom);
	json_t *line = line_of(node, "node.oom", 0);

	assert_string_equal(text_at(line, "attribution.status"), "host");
	assert_string_equal(text_at(line, "data.limit.level"), "other");
	assert_null(at(line, "container"));
	node_free(node);
}

/* Memory is a hierarchy of its own, and nothing of it is in the tables: the id leads to the path, or is all there is. */
static void a_limit_in_no_table_is_named_by_its_handle(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_MINIMAL);
	struct crier_wire_oom oom = oom_of(CG_HOST);

	(void)state;
	node->memory_is_v1 = true;
	node_start(node, true);
	node_file(node, "/mem:7001", "/batch/nightly");
	node_file(node, "/cg:7002", "/of/another/hierarchy");
	oom.levels[0].oom_delta = 1;
	for (uint64_t id = 7001; id <= 7002; id++) {
		oom.levels[0].cgroup_id = id;
		oom.victim.pid++;
		feed_oom(node, CG_HOST, &oom);
	}
	json_t *named = line_of(node, "node.oom", 0), *bare = line_of(node, "node.oom", 1);

	assert_string_equal(text_at(named, "data.limit.cgroup.path"), "/batch/nightly");
	assert_string_equal(text_at(named, "data.limit.cgroup.id"), "7001");
	assert_string_equal(text_at(bare, "data.limit.cgroup.id"), "7002");
	assert_null(at(bare, "data.limit.cgroup.path"));
	node_free(node);
}

/* On another CPU the victim may end between the kernel's signal and its mark: the exit waits for the kill. */
static void an_exit_before_its_kill_names_it(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_oom oom = oom_of(CG_A);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_exit(node, CG_A, PID, 1000 * S, 9, CRIER_EXIT_OOM);
	assert_int_equal(count_of(node, "process.exit"), 0);
	assert_true(crier_pipeline_deadline(node->pipeline) <= node->now_ns + 100 * MS);
	oom.levels[0].oom_delta = 1;
	node->now_ns += 3 * MS;
	feed_oom(node, CG_A, &oom);
	mail_exited(node, ID_A, "app", "OOMKilled", 137);
	assert_int_equal(count_of(node, "process.exit"), 1);
	assert_int_equal(count_of(node, "container.exited"), 1);

	json_t *oomed = line_of(node, "container.oom", 0), *exited = line_of(node, "process.exit", 0);
	json_t *end = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "correlation.caused_by.0.kind"), "container.oom");
	assert_string_equal(text_at(exited, "correlation.caused_by.0.basis"), "same_task");
	assert_string_equal(text_at(exited, "correlation.caused_by.0.event_id"), text_at(oomed, "event_id"));
	assert_int_equal(int_at(exited, "attribution.wait_us"), 3000);
	assert_string_equal(text_at(end, "correlation.incident_id"),
			    text_at(oomed, "correlation.incident_id"));
	assert_string_equal(text_at(end, "data.cause"), "oom");
	node_free(node);
}

/* Its kill's record was lost: the exit waits a moment, not for good. */
static void an_exit_whose_kill_never_comes_is_told(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	struct crier_wire_oom oom = oom_of(CG_B);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_exit(node, CG_A, PID, 1000 * S, 9, CRIER_EXIT_OOM);
	oom.victim.pid++;
	feed_oom(node, CG_B, &oom); /* another's kill is not it */
	run_until(node, node->now_ns + 99 * MS);
	assert_int_equal(count_of(node, "process.exit"), 0);
	run_until(node, node->now_ns + 2 * MS);
	assert_int_equal(count_of(node, "process.exit"), 1);
	assert_int_equal(int_at(line_of(node, "process.exit", 0), "data.oom_killed"), 1);
	node_free(node);
}

/* Nothing of a container is told after its end. */
static void an_end_takes_the_exit_that_waits_along(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, false);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_exit(node, CG_A, PID, 1000 * S, 9, CRIER_EXIT_OOM);
	feed_populated(node, CG_A, 0);
	assert_int_equal(count_of(node, "process.exit"), 1);
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.signal"), 9);
	assert_true(int_at(line_of(node, "process.exit", 0), "seq") <
		    int_at(line_of(node, "container.exited", 0), "seq"));
	feed_exit(node, CG_HOST, PID, 1000 * S, 9, CRIER_EXIT_OOM);
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_STOP, node->now_ns, "{}", 2);
	assert_int_equal(count_of(node, "process.exit"), 2); /* and a stop */
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_is_found_where_the_count_rose),
		cmocka_unit_test(a_group_kill_names_one_limit_for_all_victims),
		cmocka_unit_test(a_host_victim_is_the_nodes),
		cmocka_unit_test(a_limit_in_no_table_is_named_by_its_handle),
		cmocka_unit_test(an_exit_before_its_kill_names_it),
		cmocka_unit_test(an_exit_whose_kill_never_comes_is_told),
		cmocka_unit_test(an_end_takes_the_exit_that_waits_along),
	};

	return cmocka_run_group_tests_name("pipeline_oom", tests, NULL, NULL);
}
