/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits and how long, and what becomes of the lines that left without a name. */
#include "pipeline_fixture.h"

#define PID	31874
#define UNKNOWN 9999 /* a cgroup id nobody told of */

/* Stats now; every partial or none line must be accounted for. Borrowed. */
static json_t *stats(struct node *node)
{
	static const char *const parts[] = {"open", "mended", "expired", "evicted", "not_container", "final"};
	json_int_t sum = 0, unnamed = 0;

	for (size_t i = 0; i < node->line_count; i++)
		unnamed += is_unnamed(node->lines[i]);
	node->config.stats_interval_ms = 1000;
	run_until(node, node->now_ns + 1 * S);
	node->config.stats_interval_ms = 0;

	json_t *line = line_of(node, "agent.stats", count_of(node, "agent.stats") - 1);

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(parts); i++)
		sum += int_at(at(line, "data.mending"), parts[i]);
	assert_int_equal(sum, unnamed);
	return line;
}

static void check_mends(struct node *node, size_t resolved)
{
	assert_int_equal(count_of(node, "container.resolved"), resolved);
	for (size_t i = 0; i < resolved; i++) {
		json_t *line = line_of(node, "container.resolved", i);

		assert_int_equal(mended_by(node, line), int_at(line, "data.mends.count"));
		assert_string_equal(text_at(line, "attribution.status"), "full");
	}
}

/* ---- who waits ---- */

static void a_frozen_runtime_delays_nobody_who_is_named(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	node_bundle(node, ID_A);
	node_bundle(node, ID_B);
	feed_mkdir(node, CG_A, CG_POD, ID_A); /* frozen: no answer will come */
	run_until(node, node->now_ns + node->config.hold_named_age_ms * MS);
	json_t *first = line_of(node, "container.created", 0);

	assert_string_equal(text_at(first, "attribution.status"), "full");
	assert_string_equal(text_at(first, "attribution.source"), "oci_bundle");
	node->now_ns += 5 * MS;
	feed_mkdir(node, CG_B, CG_POD, ID_B); /* an answer is owed for longer: not a moment is waited */
	assert_int_equal(int_at(line_of(node, "container.created", 1), "attribution.wait_us"), 0);
	feed_exit(node, CG_B, PID, node->now_ns, 0, 0);
	assert_int_equal(count_of(node, "process.exit"), 1);
	node_free(node);
}

static void a_slow_runtime_is_not_waited_for(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);
	char id[65];

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	for (int i = 0; i < 3; i++) { /* answers after 0, 100 and 1 ms */
		snprintf(id, sizeof(id), "%064x", 0xd00 + i);
		node_bundle(node, id);
		feed_mkdir(node, CG_B + (uint64_t)i, CG_POD, id);
		assert_int_equal(count_of(node, "container.created"), i == 0 ? 1 : i == 1 ? 3 : 3);
		run_until(node, node->now_ns + (i == 0 ? 100 : 1) * MS);
		mail_container(node, id, "app");
		assert_int_equal(count_of(node, "container.created"), 2 + i);
	}
	json_t *last = line_of(node, "container.created", 3);

	assert_string_equal(text_at(last, "attribution.source"),
			    "cri"); /* after a quick answer it is waited for again */
	node_free(node);
}

static void the_unnamed_wait_longer_but_not_for_the_dumb(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);
	uint64_t began = node->now_ns;

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	run_until(node, began + 499 * MS);
	assert_int_equal(count_of(node, "container.created"), 0);
	run_until(node, began + 500 * MS);
	assert_int_equal(count_of(node, "container.created"), 1);
	node->now_ns += 1 * MS;
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	json_t *created = line_of(node, "container.created", 1);

	assert_int_equal(int_at(created, "attribution.wait_us"), 0);
	assert_string_equal(text_at(created, "attribution.reason"), "cri_timeout");
	mail_container(node, ID_A, "app"); /* it wakes up */
	mail_container(node, ID_B, "app");
	check_mends(node, 2);
	node_free(node);
}

static void a_question_given_up_is_silence_and_an_answer_ends_it(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);
	char id[65];

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_missing(node, ID_A, CRIER_META_TIMEOUT);
	run_until(node, node->now_ns + 10 * S);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	assert_int_equal(count_of(node, "container.created"), 2);
	mail_missing(node, ID_B, CRIER_META_NOT_FOUND);
	snprintf(id, sizeof(id), "%064x", 0xd00);
	feed_mkdir(node, 300, CG_POD, id);
	assert_int_equal(count_of(node, "container.created"), 2); /* waits again */
	node_free(node);
}

static void who_died_unnamed_in_a_silence_is_asked_about_when_it_ends(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);
	size_t asked;

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_exec(node, CG_A, PID, 1000 * S, "/bin/app");
	run_until(node, node->now_ns + 1 * S);
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	run_until(node, node->now_ns + 1 * S);
	mail_missing(node, ID_A, CRIER_META_TIMEOUT);
	asked = node->asked_count;
	run_until(node, node->now_ns + 10 * S);
	assert_int_equal(node->asked_count, asked); /* nobody is there to answer */
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	mail_container(node, ID_B, "app");
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(node->asked_count, asked + 2);
	check_mends(node, 1); /* B, who came during the silence */
	mail_exited(node, ID_A, "app", "Completed", 0);
	check_mends(node, 2);
	run_until(node, node->now_ns + 100 * S);
	assert_int_equal(node->asked_count, asked + 2);
	node_free(node);
}

/* Where one container alone is never answered, the others' answers do not make it a flood. */
static void one_that_is_never_answered_is_asked_about_ever_more_rarely(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	size_t asked = 0;
	char id[65];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%064x", 0xd00 + i);
		feed_mkdir(node, 300 + (uint64_t)i, CG_POD, id);
		mail_container(node, id, "app");
		if (i == 0)
			feed_mkdir(node, CG_A, CG_POD, ID_A);
		if (node->asked_count > asked + 1)
			mail_missing(node, ID_A, CRIER_META_TIMEOUT);
		asked = node->asked_count;
		run_until(node, node->now_ns + 100 * MS);
	}
	assert_in_range(node->asked_count - 100, 5, 16);
	node_free(node);
}

static void who_is_known_to_be_down_is_not_waited_for(void **state)
{
	static struct crier_meta_message message;
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	assert_int_equal(count_of(node, "container.created"), 0);
	crier_meta_clear(&message);
	message.type = CRIER_META_DOWN;
	message.status = CRIER_META_UNAVAILABLE;
	message.error = CRIER_SLICE("refused");
	feed_mail(node, &message);
	assert_int_equal(count_of(node, "container.created"), 1);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	assert_string_equal(text_at(line_of(node, "container.created", 1), "attribution.reason"), "cri_down");
	node_free(node);
}

static void a_silent_runtime_delays_no_exit(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_mkdir(node, CG_B, CG_POD, ID_B); /* asked about, and no answer */
	run_until(node, node->now_ns + 600 * MS);
	feed_exit(node, CG_A, PID, 1000 * S, 1 << 8, 0);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void a_question_that_got_lost_is_not_silence_for_ever(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	node_bundle(node, ID_A);
	node_bundle(node, ID_B);
	feed_mkdir(node, CG_A, CG_POD, ID_A); /* the client's queue was full: nobody will answer */
	run_until(node, node->now_ns + 60 * S);
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	mail_list(node, CRIER_META_LIST_END, 1); /* it speaks */
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	assert_int_equal(count_of(node, "container.created"), 1);
	mail_container(node, ID_B, "app");
	assert_string_equal(text_at(line_of(node, "container.created", 1), "attribution.source"), "cri");
	node_free(node);
}

static void a_stranger_to_the_runtime_is_asked_about_ever_more_rarely(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);
	size_t asked = 0;

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	for (int i = 0; i < 3600; i++) {
		if (node->asked_count > asked) {
			asked = node->asked_count;
			mail_missing(node, ID_A, CRIER_META_NOT_FOUND);
		}
		run_until(node, node->now_ns + (i < 100 ? 10 * MS : 1 * S));
	}
	assert_in_range(asked, 8, 16);
	assert_int_equal(int_at(at(stats(node), "data.mending"), "open"), 1);
	node_free(node);
}

/* ---- bounds ---- */

static void a_bound_of_one_container_is_no_bound_of_others(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.hold_container_events = 4;
	node_start(node, true);
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	for (uint32_t i = 0; i < 3; i++)
		feed_exec(node, CG_A, PID + i, node->now_ns, "/bin/a");
	assert_int_equal(count_of(node, "process.exec"), 0);
	feed_exec(node, CG_A, PID + 3, node->now_ns,
		  "/bin/a"); /* the fifth: all of them leave, in their order */
	assert_int_equal(count_of(node, "process.exec"), 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(int_at(line_of(node, "process.exec", i), "process.pid"), PID + (int)i);
	assert_string_equal(text_at(line_of(node, "process.exec", 0), "attribution.reason"), "hold_full");
	assert_int_equal(count_of(node, "container.created"), 1); /* B waits on */
	mail_container(node, ID_B, "app");
	assert_string_equal(text_at(line_of(node, "container.created", 1), "attribution.status"), "full");
	mail_container(node, ID_A, "app");
	check_mends(node, 1);
	assert_int_equal(int_at(at(stats(node), "data.tables"), "hold_full"), 1);
	node_free(node);
}

static void who_is_never_named_is_forgotten_with_a_count(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID); /* told by nobody: the mail is not asked for */
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_exec(node, CG_B, PID + 1, node->now_ns, "/bin/b");
	feed_exit(node, CG_B, PID + 1, node->now_ns, 0, 0);
	feed_rmdir(node, CG_B);
	json_t *mending = at(stats(node), "data.mending");
	json_int_t open = int_at(mending, "open");

	assert_true(open >= 4); /* created, started, exec, exit, exited, removed */
	assert_int_equal(int_at(mending, "expired"), 0);
	run_until(node, node->now_ns + 6 * 60 * S);
	mending = at(stats(node), "data.mending");
	assert_int_equal(int_at(mending, "expired"), open);
	assert_int_equal(int_at(mending, "unnamed_containers"), 1);
	node_free(node);
}

static void the_dead_of_an_absent_runtime_are_forgotten(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_MINIMAL);

	(void)state;
	node->config.max_containers = 16;
	node_start(node, true);
	for (uint64_t i = 0; i < 40; i++) { /* its list never comes, so nothing is ever said to be removed */
		char id[65];

		snprintf(id, sizeof(id), "%064llx", (unsigned long long)i);
		feed_mkdir(node, 1000 + i, CG_POD, id);
		feed_exec(node, 1000 + i, PID + (uint32_t)i, node->now_ns, "/bin/x");
		feed_exit(node, 1000 + i, PID + (uint32_t)i, node->now_ns, 0, 0);
		feed_rmdir(node, 1000 + i);
		run_until(node, node->now_ns + 1 * S);
		assert_int_equal(count_of(node, "container.exited"), i + 1);
		assert_string_equal(text_at(line_of(node, "container.exited", i), "container.id"), id);
	}
	assert_int_equal(int_at(at(stats(node), "data.tables"), "containers_refused"),
			 24); /* each made room */
	node_free(node);
}

/* ---- unknown cgroups ---- */

static void an_unknown_cgroup_is_mended_when_it_is_known(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	run_container(node, CG_A, ID_A, "app", PID);
	feed_exit(node, UNKNOWN, PID + 1, 5, 0, 0);
	feed_exit(node, CG_A, PID + 2, 5, 0, 0);
	node->now_ns += 1 * S;
	feed_exit(node, UNKNOWN, PID + 3, 5, 0, 0);
	for (size_t i = 0; i < 3; i += 2) {
		assert_string_equal(text_at(line_of(node, "process.exit", i), "attribution.status"), "none");
		assert_string_equal(text_at(line_of(node, "process.exit", i), "attribution.reason"),
				    "cgroup_unknown");
	}
	node->now_ns += 1 * S;
	node_file(node, "/cg:9999", POD_DIR "/" ID_A "/inner");
	feed_exit(node, UNKNOWN, PID + 4, 5, 0, 0);
	json_t *exit = line_of(node, "process.exit", 3);

	assert_string_equal(text_at(exit, "container.id"), ID_A);
	assert_string_equal(text_at(exit, "attribution.via"), "handle");
	check_mends(node, 1);
	json_t *resolved = line_of(node, "container.resolved", 0);

	assert_string_equal(text_at(resolved, "data.mends.cgroup_id"), "9999");
	assert_int_equal(int_at(resolved, "data.mends.count"), 2);
	feed_exit(node, UNKNOWN, PID + 5, 5, 0, 0); /* known from now on */
	assert_string_equal(text_at(line_of(node, "process.exit", 4), "attribution.via"), "ancestor");
	assert_int_equal(int_at(at(stats(node), "data.mending"), "mended"), 2);
	node_free(node);
}

static void a_container_found_by_its_unknown_cgroup_is_told_as_there(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_exit(node, UNKNOWN, PID + 1, 5, 0, 0); /* its mkdir was lost */
	node->now_ns += 1 * S;
	node_file(node, "/cg:9999", POD_DIR "/" ID_A "/inner");
	node_file(node, "/cg" POD_DIR "/" ID_A, "100"); /* the inode of its own directory */
	feed_exit(node, UNKNOWN, PID + 2, 5, 0, 0);
	assert_string_equal(node->asked[0], ID_A);
	assert_int_equal(count_of(node, "process.exit"),
			 1); /* it waits for the answer, in its container's queue */
	assert_int_equal(count_of(node, "container.resolved"), 0);
	mail_container(node, ID_A, "app");
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "attribution.status"), "full");
	assert_int_equal(count_of(node, "container.snapshot"), 1);
	assert_int_equal(count_of(node, "container.created"), 0);
	check_mends(node, 1);
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	assert_string_equal(text_at(line_of(node, "process.exec", 0), "container.id"), ID_A);
	node_free(node);
}

static void lines_by_id_and_lines_by_container_are_one_ledger(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_exit(node, UNKNOWN, PID + 1, 5, 0, 0);
	node->now_ns += 1 * S;
	node_file(node, "/cg:9999", POD_DIR "/" ID_A); /* the container's own directory */
	feed_exit(node, UNKNOWN, PID + 2, 5, 0, 0);
	run_until(node, node->now_ns + 1 * S); /* no answer: partial, with the container's id */
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "attribution.status"), "partial");
	mail_container(node, ID_A, "app");
	check_mends(node, 1);
	assert_int_equal(int_at(line_of(node, "container.resolved", 0), "data.mends.count"),
			 3); /* none, snapshot, partial */
	assert_int_equal(int_at(line_of(node, "container.resolved", 0), "data.mends.from_seq"),
			 int_at(line_of(node, "process.exit", 0), "seq"));
	mail_container(node, ID_A, "app");
	check_mends(node, 1);
	node_free(node);
}

static void an_unknown_cgroup_of_the_host_is_given_up(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_exit(node, UNKNOWN, PID, 5, 0, 0);
	node->now_ns += 1 * S;
	node_file(node, "/cg:9999", "/system.slice/late.service");
	feed_exit(node, UNKNOWN, PID, 5, 0, 0);
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "attribution.status"), "host");
	assert_int_equal(count_of(node, "container.resolved"), 0);
	assert_int_equal(int_at(at(stats(node), "data.mending"), "not_container"), 1);
	node_free(node);
}

static void unknown_cgroups_are_bounded_and_forgotten(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.max_output_bytes = 0;
	node_start(node, true);
	for (uint64_t i = 0; i < 1500; i++)
		feed_exit(node, 10000 + i, PID, 5, 0, 0);
	json_t *mending = at(stats(node), "data.mending");

	assert_int_equal(int_at(mending, "open"), 1024);
	assert_int_equal(int_at(mending, "evicted"), 1500 - 1024);
	run_until(node, node->now_ns + 4 * 60 * S);
	assert_int_equal(int_at(at(stats(node), "data.mending"), "open"), 1024);
	run_until(node, node->now_ns + 2 * 60 * S);
	mending = at(stats(node), "data.mending");
	assert_int_equal(int_at(mending, "open"), 0);
	assert_int_equal(int_at(mending, "expired"), 1024);
	node_free(node);
}

static void a_place_that_comes_free_is_taken(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.max_containers = 1;
	node_start(node, true);
	run_container(node, CG_A, ID_A, "app", PID);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_exec(node, CG_B, PID + 1, node->now_ns, "/bin/b");
	assert_string_equal(text_at(line_of(node, "process.exec", 1), "attribution.reason"), "table_full");
	feed_exit(node, CG_A, PID, 1000 * S, 0, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	node->now_ns += 1 * S;
	feed_exit(node, CG_B, PID + 2, 5, 0, 0);
	mail_container(node, ID_B, "b");
	assert_string_equal(text_at(line_of(node, "process.exit", 1), "k8s.container.name"), "b");
	assert_int_equal(count_of(node, "container.snapshot"), 1);
	check_mends(node, 1);
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frozen_runtime_delays_nobody_who_is_named),
		cmocka_unit_test(a_slow_runtime_is_not_waited_for),
		cmocka_unit_test(the_unnamed_wait_longer_but_not_for_the_dumb),
		cmocka_unit_test(a_question_given_up_is_silence_and_an_answer_ends_it),
		cmocka_unit_test(who_died_unnamed_in_a_silence_is_asked_about_when_it_ends),
		cmocka_unit_test(one_that_is_never_answered_is_asked_about_ever_more_rarely),
		cmocka_unit_test(who_is_known_to_be_down_is_not_waited_for),
		cmocka_unit_test(a_silent_runtime_delays_no_exit),
		cmocka_unit_test(a_question_that_got_lost_is_not_silence_for_ever),
		cmocka_unit_test(a_stranger_to_the_runtime_is_asked_about_ever_more_rarely),
		cmocka_unit_test(a_bound_of_one_container_is_no_bound_of_others),
		cmocka_unit_test(who_is_never_named_is_forgotten_with_a_count),
		cmocka_unit_test(the_dead_of_an_absent_runtime_are_forgotten),
		cmocka_unit_test(an_unknown_cgroup_is_mended_when_it_is_known),
		cmocka_unit_test(a_container_found_by_its_unknown_cgroup_is_told_as_there),
		cmocka_unit_test(lines_by_id_and_lines_by_container_are_one_ledger),
		cmocka_unit_test(an_unknown_cgroup_of_the_host_is_given_up),
		cmocka_unit_test(unknown_cgroups_are_bounded_and_forgotten),
		cmocka_unit_test(a_place_that_comes_free_is_taken),
	};

	return cmocka_run_group_tests_name("pipeline_wait", tests, NULL, NULL);
}
