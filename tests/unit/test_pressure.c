/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "crier/base/cleanup.h"
#include "crier/pressure.h"

#define S   1000000000ULL
#define MIB (1024ULL * 1024)

static const struct crier_pressure_limits limits = {
	.enter = 0.9, .exit = 0.8, .critical = 0.95, .interval_ns = 60 * S};

static struct crier_pressure_sample sample(uint64_t at_s, uint64_t working_set_mib, uint64_t stall_us)
{
	return (struct crier_pressure_sample){
		.now_ns = at_s * S,
		.usage_bytes = 100 * MIB, /* page cache fills the rest: it must not matter */
		.working_set_bytes = working_set_mib * MIB,
		.held_bytes = working_set_mib * MIB,
		.limit_bytes = 100 * MIB,
		.stall_total_us = stall_us,
		.limit_hits = 0,
	};
}

static void a_story_of_samples(void **state)
{
	static const struct {
		uint64_t at_s, working_set, stall_us;
		uint8_t phase, level;
	} rows[] = {
		{1, 10, 0, CRIER_PHASE_NONE, CRIER_PRESSURE_NONE}, /* cache fills the cgroup: nothing */
		{2, 89, 0, CRIER_PHASE_NONE, CRIER_PRESSURE_NONE},
		{3, 90, 0, CRIER_PHASE_ENTER, CRIER_PRESSURE_HIGH},
		{8, 97, 0, CRIER_PHASE_NONE, CRIER_PRESSURE_HIGH}, /* over critical, but nothing stalls */
		{13, 97, 1000000, CRIER_PHASE_ONGOING,
		 CRIER_PRESSURE_CRITICAL}, /* 1 s in 5 s: told at once */
		{18, 97, 2000000, CRIER_PHASE_NONE, CRIER_PRESSURE_CRITICAL},
		{73, 92, 2000000, CRIER_PHASE_ONGOING, CRIER_PRESSURE_HIGH}, /* a minute is over */
		{78, 85, 2000000, CRIER_PHASE_NONE, CRIER_PRESSURE_HIGH},    /* hysteresis */
		{83, 79, 2000000, CRIER_PHASE_EXIT, CRIER_PRESSURE_HIGH},
		{88, 85, 2000000, CRIER_PHASE_NONE, CRIER_PRESSURE_NONE}, /* below enter: stays out */
	};
	struct crier_pressure pressure = {0};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_pressure_sample s = sample(rows[i].at_s, rows[i].working_set, rows[i].stall_us);
		struct crier_pressure_verdict verdict = crier_pressure_step(&pressure, &limits, &s);

		if (verdict.phase != rows[i].phase || verdict.level != rows[i].level)
			fail_msg("second %llu: phase %u level %u", (unsigned long long)rows[i].at_s,
				 verdict.phase, verdict.level);
	}
}

static void stall_is_summed_between_lines(void **state)
{
	struct crier_pressure pressure = {0};
	struct crier_pressure_sample s = sample(1, 91, 500);
	struct crier_pressure_verdict verdict = crier_pressure_step(&pressure, &limits, &s);

	(void)state;
	assert_int_equal(verdict.stall_ms, CRIER_UNKNOWN_U64); /* one look knows no difference */
	for (uint64_t i = 2; i < 5; i++) {
		s = sample(i, 91, 500 + (i - 1) * 10000);
		crier_pressure_step(&pressure, &limits, &s);
	}
	s = sample(62, 91, 500 + 40000);
	verdict = crier_pressure_step(&pressure, &limits, &s);
	assert_int_equal(verdict.phase, CRIER_PHASE_ONGOING);
	assert_int_equal(verdict.stall_ms, 40);
	assert_int_equal(verdict.duration_ms, 61000);
}

static void limit_hits_are_stall_too_and_unknown_stays_unknown(void **state)
{
	struct crier_pressure pressure = {0};
	struct crier_pressure_sample s = sample(1, 96, CRIER_UNKNOWN_U64);

	(void)state;
	assert_int_equal(crier_pressure_step(&pressure, &limits, &s).level, CRIER_PRESSURE_HIGH);
	s = sample(6, 96, CRIER_UNKNOWN_U64);
	s.limit_hits = 12;
	struct crier_pressure_verdict verdict = crier_pressure_step(&pressure, &limits, &s);

	assert_int_equal(verdict.level, CRIER_PRESSURE_CRITICAL);
	assert_int_equal(verdict.limit_hits, 12);
	assert_int_equal(verdict.stall_ms, CRIER_UNKNOWN_U64);
}

/* All that its cgroup has counted is the container's; it says nothing of when. */
static void hits_since_birth_are_told_and_prove_nothing(void **state)
{
	struct crier_pressure pressure = {0};
	struct crier_pressure_sample s = sample(100, 96, 7000);

	(void)state;
	s.limit_hits = 12;
	s.hits_from_birth = true;
	struct crier_pressure_verdict verdict = crier_pressure_step(&pressure, &limits, &s);

	assert_int_equal(verdict.phase, CRIER_PHASE_ENTER);
	assert_int_equal(verdict.level, CRIER_PRESSURE_HIGH); /* not critical: that wants stalls now */
	assert_int_equal(verdict.limit_hits, 12);
	pressure = (struct crier_pressure){0};
	s.hits_from_birth = false; /* the limit is its pod's, which is older */
	verdict = crier_pressure_step(&pressure, &limits, &s);
	assert_int_equal(verdict.limit_hits, CRIER_UNKNOWN_U64);
}

static void active_page_cache_alarms_only_with_stalls_and_held_memory(void **state)
{
	static const struct {
		const char *name;
		uint64_t held, stall_us;
		uint8_t level;
	} rows[] = {
		{"a hot file, 2 MiB of its own", 2, 0, CRIER_PRESSURE_NONE},
		{"the same while reclaim stalls the reader", 2, 900000, CRIER_PRESSURE_NONE},
		{"half of it cannot be dropped, no stall", 60, 0, CRIER_PRESSURE_NONE},
		{"half of it cannot be dropped, and it stalls", 60, 900000, CRIER_PRESSURE_CRITICAL},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_pressure pressure = {0};
		struct crier_pressure_sample s = sample(1, 97, 0);

		s.held_bytes = rows[i].held * MIB;
		crier_pressure_step(&pressure, &limits, &s);
		s.now_ns += S;
		s.stall_total_us = rows[i].stall_us;
		if (crier_pressure_step(&pressure, &limits, &s).level != rows[i].level)
			fail_msg("%s", rows[i].name);
	}
}

static void no_limit_no_pressure(void **state)
{
	static const uint64_t no_limits[] = {0, CRIER_UNKNOWN_U64};
	struct crier_pressure pressure = {0};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(no_limits); i++) {
		struct crier_pressure_sample s = sample(1, 99, 0);

		s.limit_bytes = no_limits[i];
		assert_int_equal(crier_pressure_step(&pressure, &limits, &s).phase, CRIER_PHASE_NONE);
	}
}

static void throttling_is_a_share_of_periods(void **state)
{
	static const struct {
		uint64_t periods, throttled;
		bool told;
	} rows[] = {
		{1000, 900, false},  /* the first look has no difference */
		{1300, 974, false},  /* 74 of 300 */
		{1600, 1049, true},  /* 75 of 300 */
		{1600, 1049, false}, /* idle */
		{10, 10, false},     /* re-made: counters start over */
	};
	struct crier_throttle throttle = {0};
	struct crier_data_throttle data;

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		bool told = crier_throttle_step(&throttle, 0.25, (i + 1) * 30 * S, rows[i].periods,
						rows[i].throttled, rows[i].throttled * 10000, &data);

		if (told != rows[i].told)
			fail_msg("row %zu", i);
		if (told) {
			assert_int_equal(data.periods, 300);
			assert_int_equal(data.throttled_periods, 75);
			assert_int_equal(data.throttled_ms, 750);
			assert_int_equal(data.window_ms, 30000);
		}
	}
}

static void the_node_enters_and_leaves(void **state)
{
	static const struct {
		uint64_t at_s, available, stall_us;
		uint8_t phase, level;
	} rows[] = {
		{1, 50, 0, CRIER_PHASE_NONE, CRIER_PRESSURE_NONE},
		{2, 9, 0, CRIER_PHASE_ENTER, CRIER_PRESSURE_HIGH},
		{3, 4, 500000, CRIER_PHASE_ONGOING, CRIER_PRESSURE_CRITICAL},
		{4, 11, 500000, CRIER_PHASE_NONE, CRIER_PRESSURE_HIGH},
		{5, 13, 500000, CRIER_PHASE_EXIT, CRIER_PRESSURE_CRITICAL},
		{6, 11, 500000, CRIER_PHASE_NONE, CRIER_PRESSURE_NONE},
	};
	struct crier_node_pressure node = {0};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_pressure_verdict verdict =
			crier_node_pressure_step(&node, 0.10, 60 * S, rows[i].at_s * S, 100 * MIB,
						 rows[i].available * MIB, rows[i].stall_us);

		if (verdict.phase != rows[i].phase || verdict.level != rows[i].level)
			fail_msg("second %llu: phase %u level %u", (unsigned long long)rows[i].at_s,
				 verdict.phase, verdict.level);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_story_of_samples),
		cmocka_unit_test(stall_is_summed_between_lines),
		cmocka_unit_test(limit_hits_are_stall_too_and_unknown_stays_unknown),
		cmocka_unit_test(hits_since_birth_are_told_and_prove_nothing),
		cmocka_unit_test(active_page_cache_alarms_only_with_stalls_and_held_memory),
		cmocka_unit_test(no_limit_no_pressure),
		cmocka_unit_test(throttling_is_a_share_of_periods),
		cmocka_unit_test(the_node_enters_and_leaves),
	};

	return cmocka_run_group_tests_name("pressure", tests, NULL, NULL);
}
