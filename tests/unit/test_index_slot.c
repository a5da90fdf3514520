/* SPDX-License-Identifier: Apache-2.0 */
/* The last death of each slot, and the restarts of an hour. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "crier/index.h"

#define SLOT_AGE 5000u
#define MINUTE	 60000000000ULL

static int setup(void **state)
{
	const struct crier_index_limits limits = {
		.containers = 4, .tombstones = 3, .slot_age_ns = SLOT_AGE, .slots = 3};
	struct crier_index *index;

	if (crier_index_new(&limits, &index) < 0)
		return -1;
	*state = index;
	return 0;
}

static int teardown(void **state)
{
	crier_index_free(*state);
	return 0;
}

static struct crier_pod *add_pod(struct crier_index *index, const char *sandbox_id, const char *uid)
{
	struct crier_pod *pod = NULL;

	assert_int_equal(crier_index_pod_add(index, crier_slice_of(sandbox_id), crier_slice_of(uid), &pod),
			 0);
	return pod;
}

static struct crier_index_counts counts_of(const struct crier_index *index)
{
	struct crier_index_counts counts;

	crier_index_counts(index, &counts);
	return counts;
}

static const struct crier_slot_death *die(struct crier_index *index, const char *uid, const char *name,
					  const char *id, uint64_t died_ns)
{
	struct crier_slot_death death = {.died_ns = died_ns, .exit_code = 137};

	crier_copy_str(death.container_id, sizeof(death.container_id), crier_slice_of(id));
	assert_int_equal(crier_index_slot_set(index, crier_slice_of(uid), crier_slice_of(name), &death), 0);
	return crier_index_slot(index, crier_slice_of(uid), crier_slice_of(name));
}

static const struct crier_slot_death *slot(struct crier_index *index, const char *uid, const char *name)
{
	return crier_index_slot(index, crier_slice_of(uid), crier_slice_of(name));
}

static void test_slot(void **state)
{
	const struct crier_slot_death *death = die(*state, "u1", "app", "c1", 100);

	assert_string_equal(death->container_id, "c1");
	assert_int_equal(death->exit_code, 137);
	assert_int_equal(death->restarts_1h, 1);
	assert_null(slot(*state, "u1", "sidecar"));
	assert_null(slot(*state, "u2", "app"));
	assert_null(slot(*state, "u1a", "pp"));
	assert_string_equal(die(*state, "u1", "app", "c2", 200)->container_id, "c2");
	assert_int_equal(slot(*state, "u1", "app")->restarts_1h, 2);
	assert_int_equal(die(*state, "u1", "app", "c2", 210)->restarts_1h, 2); /* corrected, not another */
	crier_index_expire(*state, 210 + SLOT_AGE - 1);
	assert_non_null(slot(*state, "u1", "app"));
	crier_index_expire(*state, 210 + SLOT_AGE);
	assert_null(slot(*state, "u1", "app"));
	assert_int_equal(die(*state, "u1", "app", "c3", 20000)->restarts_1h,
			 3); /* the count outlives the link */
}

static void test_slot_refuses(void **state)
{
	const struct crier_slot_death death = {.died_ns = 1};
	char uid[CRIER_UID_MAX + 1];

	memset(uid, 'u', sizeof(uid));
	assert_int_equal(crier_index_slot_set(*state, CRIER_SLICE_NONE, CRIER_SLICE("a"), &death), -EINVAL);
	assert_int_equal(crier_index_slot_set(*state, CRIER_SLICE("u"), CRIER_SLICE_NONE, &death), -EINVAL);
	assert_int_equal(crier_index_slot_set(*state, (struct crier_slice){uid, CRIER_UID_MAX},
					      CRIER_SLICE("a"), &death),
			 -EINVAL);
}

static void test_slots_full(void **state)
{
	die(*state, "u1", "a", "c1", 100);
	die(*state, "u2", "a", "c2", 101);
	die(*state, "u3", "a", "c3", 102);
	die(*state, "u1", "a", "c4", 103); /* youngest again */
	die(*state, "u4", "a", "c5", 104);
	assert_null(slot(*state, "u2", "a"));
	assert_non_null(slot(*state, "u1", "a"));
	assert_int_equal(counts_of(*state).slots, 3);
}

static void test_slot_goes_with_its_pod(void **state)
{
	struct crier_pod *first = add_pod(*state, "s1", "u1");
	struct crier_pod *second = add_pod(*state, "s2", "u1");

	die(*state, "u1", "a", "c1", 100);
	die(*state, "u2", "a", "c2", 100);
	crier_index_pod_gone(*state, first, 200);
	assert_non_null(slot(*state, "u1", "a")); /* its second sandbox is there */
	crier_index_pod_gone(*state, second, 201);
	assert_null(slot(*state, "u1", "a"));
	assert_non_null(slot(*state, "u2", "a"));
}

/* Deaths of the 60 minutes up to and with the newest, against a list of them all. */
static void test_restarts_1h(void **state)
{
	static const uint64_t gaps_s[] = {0,	10,   20, 40, 80,   160,  300,	300, 300, 3599,
					  3600, 3601, 59, 61, 1800, 1800, 7200, 1,   60};
	uint64_t minutes[CRIER_ARRAY_SIZE(gaps_s)], now = 77 * MINUTE + 12345;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(gaps_s); i++) {
		uint32_t expected = 0;
		char id[16];

		now += gaps_s[i] * 1000000000ULL;
		minutes[i] = now / MINUTE;
		for (size_t j = 0; j <= i; j++)
			expected += minutes[i] - minutes[j] < 60;
		snprintf(id, sizeof(id), "c%zu", i);
		assert_int_equal(die(*state, "u1", "app", id, now)->restarts_1h, expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_goes_with_its_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restarts_1h, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
