/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime's event stream says is gone, and what lists leave out: told once, and never of what lives. */
#include "event_fixture.h"

static void deleted_removes_at_once(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	feed_init_exit(node, 0);
	feed_populated(node, CG_A, 0);
	mail_stopped(node, ID_A, "Completed", 0);
	assert_int_equal(count_of(node, "container.removed"), 0);
	mail_deleted(node, ID_A);
	assert_string_equal(text_at(line_of(node, "container.removed", 0), "data.basis"), "runtime");
	mail_deleted(node, ID_A);
	for (uint64_t generation = 1; generation < 4; generation++) {
		node->now_ns += 30 * S;
		mail_list(node, CRIER_META_LIST_BEGIN, generation);
		mail_list(node, CRIER_META_LIST_END, generation);
	}
	assert_int_equal(count_of(node, "container.removed"), 1);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void deleted_before_the_kernels_exit_waits_for_it(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	mail_deleted(node, ID_A); /* forced: neither stopped nor the kernel's exit is known yet */
	assert_int_equal(count_of(node, "container.exited") + count_of(node, "container.removed"), 0);
	node->now_ns += 5 * MS;
	feed_init_exit(node, SIGKILL);
	mail_missing(node, ID_A, CRIER_META_NOT_FOUND);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "signal");
	assert_int_equal(count_of(node, "container.removed"), 1);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_int_equal(count_of(node, "container.removed"), 1);
	node_free(node);
}

static void deleted_ends_the_wait_for_more_words(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	feed_init_exit(node, 0);
	assert_int_equal(count_of(node, "container.exited"), 0);
	mail_deleted(node, ID_A); /* its stopped was left out */
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_int_equal(count_of(node, "container.removed"), 1);
	node_free(node);
}

static void deleted_and_two_lists_remove_once(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	mail_container(node, ID_A, "app");
	node->now_ns += 1 * MS;
	mail_deleted(node, ID_A);
	for (uint64_t generation = 1; generation < 3; generation++) {
		node->now_ns += 1 * MS;
		mail_list(node, CRIER_META_LIST_BEGIN, generation);
		mail_list(node, CRIER_META_LIST_END, generation);
	}
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_int_equal(count_of(node, "container.removed"), 1);
	node_free(node);
}

static void deleted_does_not_end_what_lives(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	mail_deleted(node, ID_A);
	run_until(node, node->now_ns + 10 * S);
	assert_int_equal(count_of(node, "container.exited") + count_of(node, "container.removed"), 0);
	node_free(node);
}

/* There before crier looked: no record says whether anybody is in its cgroup, and none says that it became empty. */
static struct node *node_with_found(const char *populated)
{
	struct node *node = node_config(CRIER_PROFILE_DEFAULT);

	node->runs_already = true;
	node_file(node, "/cg" POD_DIR "/" ID_A "/cgroup.events", populated);
	node_start(node, true);
	mail_container(node, ID_A, "app");
	return node;
}

static void neither_lists_nor_events_end_what_was_there_and_lives(void **state)
{
	static const char *const populated[] = {"populated 1\nfrozen 0\n", "populated 0\nfrozen 0\n"};

	(void)state;
	for (size_t lives = 0; lives < 2; lives++) {
		struct node *node = node_with_found(populated[!lives]);

		for (uint64_t generation = 1; generation < 5; generation++) {
			node->now_ns += 30 * S;
			mail_list(node, CRIER_META_LIST_BEGIN, generation);
			mail_list(node, CRIER_META_LIST_END, generation);
		}
		assert_int_equal(count_of(node, "container.removed"), !lives);
		node_free(node);
		node = node_with_found(populated[!lives]);
		mail_deleted(node, ID_A);
		run_until(node, node->now_ns + 10 * S);
		assert_int_equal(count_of(node, "container.removed"), !lives);
		node_free(node);
	}
}

static void created_and_deleted_without_a_start(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	mail_event(node, ID_A, CRIER_META_EVENT_CREATED, CRIER_STATE_CREATED);
	mail_deleted(node, ID_A);
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.removed"), 1);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "start_failed");
	node_free(node);
}

static void a_list_older_than_the_deletion_does_not_bring_it_back(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_DEFAULT);

	(void)state;
	node->config.stats_interval_ms = 10000;
	node_start(node, true);
	run_container(node, CG_A, ID_A, "app", PID);
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	node->now_ns += 1 * MS;
	feed_init_exit(node, 0);
	feed_populated(node, CG_A, 0);
	mail_stopped(node, ID_A, "Completed", 0);
	mail_deleted(node, ID_A);
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING); /* the list was made before */
	message.generation = 1;
	feed_mail(node, &message);
	mail_list(node, CRIER_META_LIST_END, 1);
	for (uint64_t generation = 2; generation < 5; generation++) {
		node->now_ns += 30 * S;
		mail_list(node, CRIER_META_LIST_BEGIN, generation);
		mail_list(node, CRIER_META_LIST_END, generation);
	}
	assert_int_equal(count_of(node, "container.removed"), 1);
	assert_int_equal(count_of(node, "container.exited"), 1);
	tick(node, node->now_ns + 20 * S);
	assert_int_equal(int_at(line_of(node, "agent.stats", 0), "data.tables.containers"), 0);
	assert_int_equal(int_at(line_of(node, "agent.stats", 0), "data.tables.tombstones"), 1);
	node_free(node);
}

static void a_container_made_while_a_list_is_read_is_not_gone(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	for (uint64_t generation = 1; generation < 3; generation++) {
		node->now_ns += 30 * S;
		mail_list(node, CRIER_META_LIST_BEGIN, generation);
		node->now_ns += 1 * MS;
		mail_event(node, ID_A, CRIER_META_EVENT_CREATED, CRIER_STATE_CREATED);
		mail_list(node, CRIER_META_LIST_END, generation);
	}
	assert_int_equal(count_of(node, "container.removed") + count_of(node, "container.exited"), 0);
	node_free(node);
}

static void a_sandbox_is_named_and_gone(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, CG_B, CG_POD, SANDBOX);
	feed_populated(node, CG_B, 1);
	feed_exec(node, CG_B, PID, node->now_ns, "/pause");
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.created", 0), "attribution.status"), "partial");
	mail_sandbox(node, CRIER_META_EVENT_CREATED);
	json_t *resolved = line_of(node, "container.resolved", 0);

	assert_string_equal(text_at(resolved, "container.type"), "sandbox");
	assert_string_equal(text_at(resolved, "k8s.pod.name"), "cart-7d9f8b6c5-x2x4k");
	assert_string_equal(text_at(resolved, "attribution.source"), "cri_event");
	feed_exit(node, CG_B, PID, node->now_ns, SIGTERM, 0);
	feed_populated(node, CG_B, 0);
	mail_sandbox(node, CRIER_META_EVENT_STOPPED);
	assert_int_equal(count_of(node, "container.exited"), 1);
	mail_sandbox(node, CRIER_META_EVENT_DELETED);
	assert_int_equal(count_of(node, "container.removed"), 1);
	node_free(node);
}

static void a_deleted_sandbox_takes_its_slots_along(void **state)
{
	static const bool with_status[] = {true, false}; /* containerd 2.1, 1.7 */

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(with_status); i++) {
		struct node *node = node_with_running();

		feed_init_exit(node, 0);
		mail_stopped(node, ID_A, "Completed", 0);
		if (with_status[i]) {
			mail_sandbox(node, CRIER_META_EVENT_DELETED);
		} else {
			crier_meta_clear(&message);
			message.type = CRIER_META_EVENT;
			message.id = CRIER_SLICE(SANDBOX);
			message.event = CRIER_META_EVENT_DELETED;
			feed_mail(node, &message);
		}
		run_container(node, CG_B, ID_B, "app", PID + 1);
		json_t *started = line_of(node, "container.started", 1);

		assert_string_equal(text_at(started, "data.previous.container_id"), "(absent)");
		node_free(node);
	}
}

/* It ended, a list does not name it, and half of the output is taken. */
static void left_out_without_room(struct node *node)
{
	feed_init_exit(node, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	node->now_ns += 30 * S;
	feed_room(node, node->config.sink_buffer_bytes / 2 - 1);
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	mail_list(node, CRIER_META_LIST_END, 1);
}

/* Thousands may be gone by one list: their lines must not be in the way of what happens, nor be lost. */
static void removals_by_a_list_wait_for_room(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	left_out_without_room(node);
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.removed"), 0);
	feed_room(node, node->config.sink_buffer_bytes);
	run_until(node, node->now_ns + 200 * MS);
	assert_int_equal(count_of(node, "container.removed"), 1);
	mail_list(node, CRIER_META_LIST_BEGIN, 2);
	mail_list(node, CRIER_META_LIST_END, 2);
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.removed"), 1);
	node_free(node);
}

/* What still waits is told at the end, or counted as lost. */
static void a_removal_that_waits_is_told_at_the_stop(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	left_out_without_room(node);
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_STOP, node->now_ns, "{}", 2);
	assert_int_equal(count_of(node, "container.removed"), 1);
	node_free(node);
}

static void a_removal_that_waits_is_taken_back(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	feed_init_exit(node, 0);
	mail_exited(node, ID_A, "app", "Completed", 0);
	node->now_ns += 30 * S;
	feed_room(node, 0);
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	mail_list(node, CRIER_META_LIST_END, 1);
	mail_exited(node, ID_A, "app", "Completed", 0); /* the runtime has it after all */
	feed_room(node, node->config.sink_buffer_bytes);
	run_until(node, node->now_ns + 2 * S);
	assert_int_equal(count_of(node, "container.removed"), 0);
	node_free(node);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(deleted_removes_at_once),
		cmocka_unit_test(deleted_before_the_kernels_exit_waits_for_it),
		cmocka_unit_test(deleted_ends_the_wait_for_more_words),
		cmocka_unit_test(deleted_and_two_lists_remove_once),
		cmocka_unit_test(deleted_does_not_end_what_lives),
		cmocka_unit_test(neither_lists_nor_events_end_what_was_there_and_lives),
		cmocka_unit_test(created_and_deleted_without_a_start),
		cmocka_unit_test(a_list_older_than_the_deletion_does_not_bring_it_back),
		cmocka_unit_test(a_container_made_while_a_list_is_read_is_not_gone),
		cmocka_unit_test(a_sandbox_is_named_and_gone),
		cmocka_unit_test(a_deleted_sandbox_takes_its_slots_along),
		cmocka_unit_test(removals_by_a_list_wait_for_room),
		cmocka_unit_test(a_removal_that_waits_is_told_at_the_stop),
		cmocka_unit_test(a_removal_that_waits_is_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
