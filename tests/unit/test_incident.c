/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "crier/base/cleanup.h"
#include "crier/incident.h"

#define S 1000000000ULL

static const struct crier_process_key init_key = {10, 100};
static struct crier_incident_pool pool;

static void done(struct crier_incidents *set)
{
	crier_incidents_done(set, &pool);
}

/* A set that is given back at the end of its block. */
#define _incidents_ __attribute__((cleanup(done))) struct crier_incidents

/* Each test has a pool of its own. */
static int pool_setup(void **state)
{
	(void)state;
	pool = (struct crier_incident_pool){0};
	return 0;
}

static int pool_teardown(void **state)
{
	(void)state;
	crier_incident_pool_done(&pool);
	return pool.spares == 0 && !pool.spare ? 0 : -1;
}

static const struct crier_process_key worker = {11, 110};
static const struct crier_process_key other = {12, 120};

static struct crier_incident_fact fact(enum crier_type type, struct crier_process_key key, uint64_t now_ns)
{
	return (struct crier_incident_fact){
		.type = type, .key = key, .now_ns = now_ns, .is_init = key.pid == 10};
}

static uint64_t add(struct crier_incidents *set, struct crier_incident_fact f, uint64_t seq)
{
	struct crier_incident *incident = crier_incident_join(set, &pool, &f);

	crier_incident_add(incident, &f, seq);
	return incident->id;
}

static void an_oom_chain_is_one_incident(void **state)
{
	_incidents_ set = {0};
	struct crier_correlation correlation = {0};
	struct crier_incident_fact f;

	(void)state;
	f = fact(CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, (struct crier_process_key){0}, 10 * S);
	assert_int_equal(add(&set, f, 1), 1);
	f = fact(CRIER_TYPE_PROCESS_SIGNAL, init_key,
		 11 * S); /* SIGKILL precedes mark_victim by microseconds */
	f.signal = 9;
	f.from_kernel = true;
	uint64_t signal_incident = add(&set, f, 2);

	assert_int_equal(signal_incident, 1); /* the pressure's */

	f = fact(CRIER_TYPE_CONTAINER_OOM, init_key, 11 * S + 1);
	f.trigger = init_key;
	struct crier_incident *incident = crier_incident_join(&set, &pool, &f);

	assert_int_equal(incident->id, signal_incident);
	crier_incident_add(incident, &f, 3);
	f = fact(CRIER_TYPE_PROCESS_EXIT, init_key, 11 * S + 2);
	f.signal = 9;
	incident = crier_incident_join(&set, &pool, &f);
	assert_int_equal(incident->id, signal_incident);
	crier_incident_explain(incident, &f, &correlation);
	assert_int_equal(correlation.causes[0].seq, 3);
	assert_int_equal(correlation.causes[0].basis, CRIER_BASIS_SAME_TASK);
	crier_incident_add(incident, &f, 4);
	f = fact(CRIER_TYPE_CONTAINER_EXITED, init_key, 11 * S + 3);
	assert_int_equal(add(&set, f, 5), signal_incident);
}

static void pressure_explains_an_oom_within_its_window_only(void **state)
{
	static const struct {
		uint64_t delta_ns;
		bool joined;
	} rows[] = {{1 * S, true}, {60 * S, true}, {61 * S, false}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_incidents_ set = {0};
		struct crier_correlation correlation = {0};
		struct crier_incident_fact f =
			fact(CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, (struct crier_process_key){0}, 10 * S);

		uint64_t pressure = add(&set, f, 7);

		f = fact(CRIER_TYPE_CONTAINER_OOM, worker, 10 * S + rows[i].delta_ns);
		struct crier_incident *incident = crier_incident_join(&set, &pool, &f);

		crier_incident_explain(incident, &f, &correlation);
		assert_int_equal(incident->id == pressure, rows[i].joined);
		assert_int_equal(correlation.cause_count, rows[i].joined);
		if (rows[i].joined) {
			assert_int_equal(correlation.causes[0].basis, CRIER_BASIS_SAME_CGROUP_WINDOW);
			assert_int_equal(correlation.causes[0].delta_ms, rows[i].delta_ns / 1000000);
		}
	}
}

static void two_crashing_workers_are_two_incidents(void **state)
{
	_incidents_ set = {0};
	struct crier_incident_fact f = fact(CRIER_TYPE_PROCESS_SIGNAL, worker, 1 * S);

	(void)state;
	f.signal = 11;
	uint64_t first = add(&set, f, 1);

	f = fact(CRIER_TYPE_PROCESS_SIGNAL, other, 1 * S + 1);
	f.signal = 11;
	uint64_t second = add(&set, f, 2);

	assert_int_not_equal(first, second);
	f = fact(CRIER_TYPE_PROCESS_EXIT, worker, 1 * S + 2);
	f.signal = 11;
	assert_int_equal(add(&set, f, 3), first);
	f = fact(CRIER_TYPE_PROCESS_EXIT, other, 1 * S + 3);
	f.signal = 11;
	assert_int_equal(add(&set, f, 4), second);
}

static void victims_of_one_kill_share_it(void **state)
{
	_incidents_ set = {0};
	struct crier_incident_fact f = fact(CRIER_TYPE_CONTAINER_OOM, worker, 1 * S);

	(void)state;
	f.trigger = worker;
	uint64_t first = add(&set, f, 1);

	f = fact(CRIER_TYPE_CONTAINER_OOM, other, 1 * S + 1000);
	f.trigger = worker;
	struct crier_incident *incident = crier_incident_join(&set, &pool, &f);

	assert_int_equal(incident->id, first);
	assert_int_equal(incident->victims, 1);
	f.trigger = other; /* a kill of its own */
	f.key = (struct crier_process_key){13, 130};
	assert_int_not_equal(crier_incident_join(&set, &pool, &f)->id, first);
}

static void a_group_kill_is_one_incident_though_each_signal_comes_first(void **state)
{
	static const struct {
		uint64_t delta_ns;
		bool joined;
	} rows[] = {{S / 1000, true}, {S, false}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_incidents_ set = {0};
		struct crier_incident_fact f = fact(CRIER_TYPE_CONTAINER_OOM, worker, 1 * S);

		f.trigger = worker;
		uint64_t first = add(&set, f, 1);

		f = fact(CRIER_TYPE_PROCESS_SIGNAL, other, 1 * S + rows[i].delta_ns);
		f.signal = 9;
		f.from_kernel = true;
		assert_int_equal(add(&set, f, 2) == first, rows[i].joined);
		f = fact(CRIER_TYPE_CONTAINER_OOM, other, 1 * S + rows[i].delta_ns + 1);
		f.trigger = rows[i].joined ? worker : other;
		assert_int_equal(add(&set, f, 3) == first, rows[i].joined);
	}
}

/* The pressure's sample is taken between two victims, and its line leaves before either's records are read. */
static void a_pressure_amid_a_group_kill_does_not_part_it(void **state)
{
	_incidents_ set = {0};
	const struct crier_process_key victims[] = {worker, other};
	struct crier_incident_fact f;

	(void)state;
	f = fact(CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, (struct crier_process_key){0}, 10 * S + 5000);
	assert_int_equal(add(&set, f, 1), 1);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(victims); i++) {
		f = fact(CRIER_TYPE_PROCESS_SIGNAL, victims[i], 10 * S + i * 10000);
		f.signal = 9;
		f.from_kernel = true;
		assert_int_equal(add(&set, f, 2 + 2 * i), 2);
		f = fact(CRIER_TYPE_CONTAINER_OOM, victims[i], 10 * S + 100 + i * 10000);
		f.trigger = worker;
		assert_int_equal(add(&set, f, 3 + 2 * i), 2);
	}
}

static void a_pid_used_again_is_another_process(void **state)
{
	_incidents_ set = {0};
	struct crier_incident_fact f = fact(CRIER_TYPE_PROCESS_SIGNAL, worker, 1 * S);

	(void)state;
	f.signal = 11;
	add(&set, f, 1);
	f = fact(CRIER_TYPE_PROCESS_EXIT, (struct crier_process_key){worker.pid, worker.start_ns + 1},
		 1 * S + 1);
	f.signal = 11;
	assert_null(crier_incident_find(&set, &f));
}

static void a_stop_reaches_to_the_exit_minutes_later(void **state)
{
	_incidents_ set = {0};
	struct crier_correlation correlation = {0};
	struct crier_incident_fact f = fact(CRIER_TYPE_PROCESS_SIGNAL, init_key, 1 * S);

	(void)state;
	f.signal = 15;
	f.is_stop = true;
	uint64_t first = add(&set, f, 1);

	f.now_ns = 601 * S;
	f.signal = 9;
	assert_int_equal(add(&set, f, 2), first);
	f = fact(CRIER_TYPE_PROCESS_EXIT, init_key, 601 * S + 1);
	f.signal = 9;
	struct crier_incident *incident = crier_incident_join(&set, &pool, &f);

	assert_int_equal(incident->id, first);
	crier_incident_explain(incident, &f, &correlation);
	assert_int_equal(correlation.causes[0].seq, 2); /* the nearest cause leads */
	assert_int_equal(correlation.causes[0].basis, CRIER_BASIS_SIGNAL_TARGET);
}

static void init_outliving_a_child_by_long_is_a_death_of_its_own(void **state)
{
	static const struct {
		uint64_t delta_ns;
		bool joined;
	} rows[] = {{1 * S, true}, {6 * S, false}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_incidents_ set = {0};
		struct crier_incident_fact f = fact(CRIER_TYPE_CONTAINER_OOM, worker, 1 * S);
		uint64_t first = add(&set, f, 1);

		f = fact(CRIER_TYPE_PROCESS_EXIT, init_key, 1 * S + rows[i].delta_ns);
		assert_int_equal(crier_incident_join(&set, &pool, &f)->id == first, rows[i].joined);
	}
}

static void many_open_incidents_forget_the_oldest(void **state)
{
	_incidents_ set = {0};

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		struct crier_incident_fact f =
			fact(CRIER_TYPE_PROCESS_SIGNAL, (struct crier_process_key){100 + i, i}, 1 * S + i);

		assert_int_equal(add(&set, f, i), i + 1);
	}
	struct crier_incident_fact old =
		fact(CRIER_TYPE_PROCESS_EXIT, (struct crier_process_key){100, 0}, 1 * S + 20);
	struct crier_incident_fact young =
		fact(CRIER_TYPE_PROCESS_EXIT, (struct crier_process_key){109, 9}, 1 * S + 20);

	assert_null(crier_incident_find(&set, &old));
	assert_int_equal(crier_incident_find(&set, &young)->id, 10);
}

static void a_filtered_cause_is_named_as_such(void **state)
{
	_incidents_ set = {0};
	struct crier_correlation correlation = {0};
	struct crier_incident_fact f = fact(CRIER_TYPE_CONTAINER_OOM, worker, 1 * S);

	(void)state;
	add(&set, f, CRIER_UNKNOWN_U64);
	f = fact(CRIER_TYPE_PROCESS_EXIT, worker, 1 * S + 1);
	crier_incident_explain(crier_incident_find(&set, &f), &f, &correlation);
	assert_int_equal(correlation.causes[0].filtered, 1);
	assert_int_equal(correlation.causes[0].seq, CRIER_UNKNOWN_U64);
}

static void a_long_story_keeps_its_beginning_and_its_end(void **state)
{
	_incidents_ set = {0};
	struct crier_timeline_item items[CRIER_TIMELINE_MAX];

	(void)state;
	for (uint64_t i = 0; i < 20; i++)
		add(&set, fact(CRIER_TYPE_PROCESS_SIGNAL, worker, 1 * S + i), i);
	struct crier_incident_fact f = fact(CRIER_TYPE_PROCESS_EXIT, worker, 1 * S + 30);
	size_t count = crier_incident_timeline(crier_incident_find(&set, &f), 5, items);

	assert_int_equal(count, CRIER_TIMELINE_MAX);
	assert_int_equal(items[0].seq, 0);
	assert_int_equal(items[0].ts, 1 * S + 5);
	assert_int_equal(items[CRIER_TIMELINE_MAX - 1].seq, 19);
}

static void what_is_over_is_given_back(void **state)
{
	_incidents_ set = {0};
	struct crier_incident_fact crash = fact(CRIER_TYPE_PROCESS_EXIT, worker, 10 * S);
	struct crier_incident_fact stop = fact(CRIER_TYPE_PROCESS_SIGNAL, init_key, 11 * S);

	(void)state;
	assert_false(crier_incidents_forget(&set, &pool, 10 * S));
	stop.signal = 15;
	stop.is_stop = true;
	add(&set, crash, 1);
	uint64_t stopped = add(&set, stop, 2);

	assert_true(crier_incidents_forget(&set, &pool,
					   15 * S)); /* the crash's window ends here, nothing is over */
	assert_non_null(set.open->next);
	assert_true(crier_incidents_forget(&set, &pool, 15 * S + 1));
	assert_null(set.open->next); /* the crash went, the stop moved up */
	assert_int_equal(set.open->id, stopped);
	crash.now_ns = 16 * S; /* the same process again: its incident is not there to join */
	assert_int_equal(add(&set, crash, 3), 3);
	assert_false(crier_incidents_forget(&set, &pool, 11 * S + CRIER_INCIDENT_STOP_WINDOW_NS + 1));
	assert_null(set.open);
}

/* An incident that was given back is the next one; what was not needed between two trims is freed. */
static void the_pool_keeps_what_is_needed(void **state)
{
	_incidents_ set = {0};
	const struct crier_incident *first;

	(void)state;
	for (uint32_t i = 0; i < CRIER_INCIDENTS_OPEN; i++)
		add(&set, fact(CRIER_TYPE_PROCESS_EXIT, (struct crier_process_key){100 + i, i}, 1 * S), i);
	assert_int_equal(pool.spares, 0);
	crier_incidents_done(&set, &pool);
	assert_int_equal(pool.spares, CRIER_INCIDENTS_OPEN);
	crier_incident_pool_trim(&pool); /* all of them were needed since the last time */
	assert_int_equal(pool.spares, CRIER_INCIDENTS_OPEN);
	first = pool.spare;
	assert_int_equal(add(&set, fact(CRIER_TYPE_PROCESS_EXIT, worker, 20 * S), 5),
			 CRIER_INCIDENTS_OPEN + 1);
	assert_ptr_equal(set.open, first);
	crier_incidents_done(&set, &pool);
	crier_incident_pool_trim(&pool); /* one was needed, the others were not */
	assert_int_equal(pool.spares, 1);
	crier_incident_pool_trim(&pool);
	assert_int_equal(pool.spares, 0);
	assert_null(pool.spare);
}

/* Where there was no memory for an incident the line goes without one. */
static void none_is_harmless(void **state)
{
	struct crier_correlation correlation = {.incident = CRIER_UNKNOWN_U64};
	struct crier_timeline_item items[CRIER_TIMELINE_MAX];
	struct crier_incident_fact f = fact(CRIER_TYPE_PROCESS_EXIT, worker, 10 * S);

	(void)state;
	crier_incident_explain(NULL, &f, &correlation);
	crier_incident_add(NULL, &f, 1);
	assert_int_equal(crier_incident_timeline(NULL, 0, items), 0);
	assert_int_equal(correlation.incident, CRIER_UNKNOWN_U64);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, pool_setup, pool_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_oom_chain_is_one_incident),
		TEST(pressure_explains_an_oom_within_its_window_only),
		TEST(two_crashing_workers_are_two_incidents),
		TEST(victims_of_one_kill_share_it),
		TEST(a_group_kill_is_one_incident_though_each_signal_comes_first),
		TEST(a_pressure_amid_a_group_kill_does_not_part_it),
		TEST(a_pid_used_again_is_another_process),
		TEST(a_stop_reaches_to_the_exit_minutes_later),
		TEST(init_outliving_a_child_by_long_is_a_death_of_its_own),
		TEST(many_open_incidents_forget_the_oldest),
		TEST(a_filtered_cause_is_named_as_such),
		TEST(a_long_story_keeps_its_beginning_and_its_end),
		TEST(what_is_over_is_given_back),
		TEST(the_pool_keeps_what_is_needed),
		TEST(none_is_harmless),
	};

	return cmocka_run_group_tests_name("incident", tests, NULL, NULL);
}
