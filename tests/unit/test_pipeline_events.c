/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime's event stream beside the kernel's records and the runtime's answers, in every order. */
#include "event_fixture.h"

static void identity_comes_with_the_event_before_the_cgroup(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	mail_event(node, ID_A, CRIER_META_EVENT_CREATED, CRIER_STATE_CREATED);
	assert_int_equal(node->asked_count, 0); /* its cgroup's mkdir will ask: then there is a pid */
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	run_until(node, node->now_ns + 2 * S); /* the runtime never answers */
	json_t *started = line_of(node, "container.started", 0);

	assert_string_equal(text_at(started, "attribution.status"), "full");
	assert_string_equal(text_at(started, "attribution.source"), "cri_event");
	assert_string_equal(text_at(started, "k8s.container.name"), "app");
	assert_int_equal(count_of(node, "container.created"), 1);
	assert_int_equal(count_of(node, "container.resolved"), 0);
	node_free(node);
}

static void the_event_settles_what_waits(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	assert_int_equal(count_of(node, "container.created"), 0);
	mail_event(node, ID_A, CRIER_META_EVENT_CREATED, CRIER_STATE_CREATED);
	assert_string_equal(text_at(line_of(node, "container.created", 0), "attribution.source"),
			    "cri_event");
	mail_container(node, ID_A, "app"); /* the answer says more, later */
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	assert_string_equal(text_at(line_of(node, "container.started", 0), "attribution.source"), "cri");
	node_free(node);
}

static void the_event_mends_what_left_partial(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.created", 0), "attribution.status"), "partial");
	mail_event(node, ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	json_t *resolved = line_of(node, "container.resolved", 0);

	assert_string_equal(text_at(resolved, "attribution.source"), "cri_event");
	assert_int_equal(int_at(resolved, "data.mends.count"), 1);
	node_free(node);
}

static void a_started_container_nobody_asked_about_is_asked_about(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	mail_event(node, ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	assert_int_equal(node->asked_count, 1);
	assert_string_equal(node->asked[0], ID_A);
	mail_event(node, ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	assert_int_equal(node->asked_count, 1); /* it waits already */
	mail_container(node, ID_A, "app");
	mail_event(node, ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	assert_int_equal(node->asked_count, 1); /* it is answered */
	mail_missing(node, ID_A, CRIER_META_TIMEOUT);
	mail_event(node, ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	assert_int_equal(node->asked_count, 2);
	node_free(node);
}

static void an_event_does_not_outrank_an_answer(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	fill_event(ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	message.container.image = CRIER_SLICE("another:1");
	message.container.memory_limit_bytes = 1 << 20;
	feed_mail(node, &message);
	feed_init_exit(node, 0);
	mail_stopped(node, ID_A, "Completed", 0);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "container.image.name"), "registry.example/shop/cart:1.8.2");
	assert_string_equal(text_at(exited, "attribution.source"), "cri");
	node_free(node);
}

static void stopped_after_the_kernels_exit_ends_the_wait(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	feed_init_exit(node, SIGKILL);
	assert_int_equal(count_of(node, "container.exited"), 0);
	mail_stopped(node, ID_A, "OOMKilled", 137);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.runtime.reason"), "OOMKilled");
	assert_string_equal(text_at(exited, "data.cause"), "signal");
	mail_exited(node, ID_A, "app", "OOMKilled", 137); /* the answer that was asked for as well */
	mail_stopped(node, ID_A, "OOMKilled", 137);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void stopped_before_the_kernels_exit_waits_for_it(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	size_t asked = node->asked_count;

	mail_stopped(node, ID_A, "Error", 139);
	assert_int_equal(count_of(node, "container.exited"), 0);
	run_until(node, node->now_ns + 100 * MS);
	assert_int_equal(node->asked_count, asked); /* it has said all already */
	feed_init_exit(node, SIGSEGV);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.cause"), "signal");
	assert_string_equal(text_at(exited, "data.observed"), "(absent)");
	assert_int_equal(int_at(exited, "data.runtime.exit_code"), 139);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void stopped_without_the_kernels_exit_is_told_by_the_runtimes_word(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	mail_stopped(node, ID_A, "Error", 3);
	run_until(node, node->now_ns + 1 * S);
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.observed"), "after_the_fact");
	assert_int_equal(int_at(exited, "data.exit_code"), 3);
	node_free(node);
}

static void an_empty_cgroup_after_stopped_is_the_kernels_word(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	mail_stopped(node, ID_A, "Error", 3);
	node->now_ns += 5 * MS;
	feed_populated(node, CG_A, 0); /* the record of init's exit was lost */
	json_t *exited = line_of(node, "container.exited", 0);

	assert_string_equal(text_at(exited, "data.observed"), "(absent)");
	assert_int_equal(int_at(exited, "data.exit_code"), 3);
	feed_init_exit(node, 0);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.exited"), 1);
	node_free(node);
}

static void stopped_overtakes_the_whole_ring(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	mail_event(node, ID_A, CRIER_META_EVENT_CREATED, CRIER_STATE_CREATED);
	mail_event(node, ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	mail_stopped(node, ID_A, "Error", 3);
	mail_deleted(node, ID_A);
	assert_int_equal(node->line_count, 2); /* agent.start, agent.health */
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_populated(node, CG_A, 1);
	feed_exec(node, CG_A, PID, node->now_ns, "/bin/app");
	feed_init_exit(node, 3 << 8);
	run_until(node, node->now_ns + 5 * S);
	assert_int_equal(count_of(node, "container.created"), 1);
	assert_int_equal(count_of(node, "container.started"), 1);
	assert_int_equal(count_of(node, "container.exited"), 1);
	assert_int_equal(count_of(node, "container.removed"), 1);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.cause"), "exit");
	assert_true(int_at(line_of(node, "container.started", 0), "seq") <
		    int_at(line_of(node, "container.exited", 0), "seq"));
	assert_true(int_at(line_of(node, "container.exited", 0), "seq") <
		    int_at(line_of(node, "container.removed", 0), "seq"));
	node_free(node);
}

static void the_last_reason_stands(void **state)
{
	struct node *node = node_with_running();

	(void)state;
	/* a child was killed while init lived on: containerd calls the running container OOMKilled */
	fill_container(&message, ID_A, "app", CRIER_STATE_RUNNING);
	message.container.reason = CRIER_SLICE("OOMKilled");
	feed_mail(node, &message);
	feed_init_exit(node, 0);
	mail_stopped(node, ID_A, "Completed", 0);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "data.runtime.reason"),
			    "Completed");
	node_free(node);
}

static void questions_nobody_waits_for_are_not_urgent(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	fill_container(&message, ID_B, "old", CRIER_STATE_EXITED);
	message.generation = 1;
	feed_mail(node, &message);
	assert_int_equal(node->asked_count, 1);
	assert_int_equal(node->urgent_count, 0);
	run_until(node, node->now_ns + 1 * S); /* it waits for its turn: that is no silence of the runtime */
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	assert_int_equal(node->urgent_count, 1);
	assert_int_equal(count_of(node, "container.created"), 0);
	mail_container(node, ID_A, "app");
	assert_string_equal(text_at(line_of(node, "container.created", 0), "attribution.status"), "full");
	node_free(node);
}

static void a_listed_sandbox_is_mended(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	feed_mkdir(node, CG_B, CG_POD, SANDBOX);
	run_until(node, node->now_ns + 1 * S);
	mail_list(node, CRIER_META_LIST_BEGIN, 1);
	mail_sandbox(node, CRIER_META_EVENT_CREATED);
	message.type = CRIER_META_POD;
	message.generation = 1;
	assert_int_equal(count_of(node, "container.resolved"), 1);
	node_free(node);
	node = node_new(CRIER_PROFILE_FULL, true);
	feed_mkdir(node, CG_B, CG_POD, SANDBOX);
	run_until(node, node->now_ns + 1 * S);
	feed_mail(node, &message);
	assert_int_equal(count_of(node, "container.resolved"), 1);
	node_free(node);
}

static void hostile_events_change_nothing(void **state)
{
	struct node *node = node_with_running();
	size_t lines = node->line_count;

	(void)state;
	fill_event(ID_A, CRIER_META_EVENT_STARTED, CRIER_STATE_RUNNING);
	message.container.name = CRIER_SLICE("other"); /* identity was told by an answer: it stands */
	message.container.pod_uid = CRIER_SLICE("99999999-2222-3333-4444-555555555555");
	message.pod.uid = message.container.pod_uid;
	feed_mail(node, &message);
	fill_event(ID_A, CRIER_META_EVENT_NONE, CRIER_STATE_EXITED); /* a kind of a newer runtime */
	message.container.reason = CRIER_SLICE("Paused");
	feed_mail(node, &message);
	crier_meta_clear(&message);
	message.type = CRIER_META_EVENT; /* about nothing */
	message.event = CRIER_META_EVENT_DELETED;
	feed_mail(node, &message);
	mail_deleted(node, ID_B); /* never known */
	fill_event(ID_B, CRIER_META_EVENT_DELETED, CRIER_STATE_UNKNOWN);
	message.container.id = CRIER_SLICE(ID_B);
	feed_mail(node, &message);
	run_until(node, node->now_ns + 1 * S);
	assert_int_equal(node->line_count, lines);
	feed_init_exit(node, 0);
	assert_int_equal(count_of(node, "container.exited"), 0);
	run_until(node, node->now_ns + 1 * S);
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "k8s.container.name"), "app");
	assert_string_equal(text_at(line_of(node, "container.exited", 0), "k8s.pod.uid"), POD_UID);
	node_free(node);
}

static void health_tells_of_the_stream_on_change(void **state)
{
	static const uint64_t told[] = {CRIER_STREAM_OPEN, CRIER_STREAM_OPEN, CRIER_STREAM_BROKEN,
					CRIER_STREAM_BROKEN, CRIER_STREAM_OPEN};
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(told); i++) {
		crier_meta_clear(&message);
		message.type = CRIER_META_RUNTIME;
		message.runtime.name = CRIER_SLICE("containerd");
		message.runtime.version = CRIER_SLICE("2.1.9");
		message.runtime.stream = told[i];
		message.error = told[i] == CRIER_STREAM_BROKEN ? CRIER_SLICE("cut") : CRIER_SLICE_NONE;
		feed_mail(node, &message);
	}
	assert_int_equal(count_of(node, "agent.health"), 4);
	assert_string_equal(text_at(line_of(node, "agent.health", 0), "data.event_stream"), "(absent)");
	assert_string_equal(text_at(line_of(node, "agent.health", 1), "data.event_stream"), "open");
	assert_string_equal(text_at(line_of(node, "agent.health", 2), "data.state"), "degraded");
	assert_string_equal(text_at(line_of(node, "agent.health", 2), "data.reason"), "cut");
	assert_string_equal(text_at(line_of(node, "agent.health", 3), "data.state"), "ok");
	assert_string_equal(text_at(line_of(node, "agent.start", 0), "data.cri_events"), "auto");
	node_free(node);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_comes_with_the_event_before_the_cgroup),
		cmocka_unit_test(the_event_settles_what_waits),
		cmocka_unit_test(the_event_mends_what_left_partial),
		cmocka_unit_test(a_started_container_nobody_asked_about_is_asked_about),
		cmocka_unit_test(an_event_does_not_outrank_an_answer),
		cmocka_unit_test(stopped_after_the_kernels_exit_ends_the_wait),
		cmocka_unit_test(stopped_before_the_kernels_exit_waits_for_it),
		cmocka_unit_test(stopped_without_the_kernels_exit_is_told_by_the_runtimes_word),
		cmocka_unit_test(an_empty_cgroup_after_stopped_is_the_kernels_word),
		cmocka_unit_test(stopped_overtakes_the_whole_ring),
		cmocka_unit_test(the_last_reason_stands),
		cmocka_unit_test(questions_nobody_waits_for_are_not_urgent),
		cmocka_unit_test(a_listed_sandbox_is_mended),
		cmocka_unit_test(hostile_events_change_nothing),
		cmocka_unit_test(health_tells_of_the_stream_on_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
