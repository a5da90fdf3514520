/* SPDX-License-Identifier: Apache-2.0 */
/* The map under the tables: growth, several entries of one key, deletion inside a run of collisions; and a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "crier/base/hash.h"
#include "crier/base/map.h"

static int values[64];

static void put(struct crier_map *map, uint64_t key, int *value)
{
	assert_int_equal(crier_map_reserve(map, 1), 0);
	crier_map_put(map, key, value);
}

static size_t count_key(const struct crier_map *map, uint64_t key)
{
	size_t count = 0;

	for (const struct crier_map_slot *slot = crier_map_first(map, key); slot;
	     slot = crier_map_next(map, slot))
		count++;
	return count;
}

static void test_empty(void **state)
{
	struct crier_map map = {0};

	(void)state;
	assert_null(crier_map_first(&map, 0));
	assert_null(crier_map_first(&map, 5));
	crier_map_remove(&map, 5, values);
	crier_map_done(&map);
	put(&map, 0, values); /* usable again, and 0 is a key like others */
	assert_ptr_equal(crier_map_first(&map, 0)->value, values);
	crier_map_done(&map);
}

static void test_one_key_often(void **state)
{
	struct crier_map map = {0};

	(void)state;
	for (int i = 0; i < 5; i++)
		put(&map, 7, &values[i]);
	put(&map, 7 + 16, &values[5]); /* same place in a small map, another key */
	assert_int_equal(count_key(&map, 7), 5);
	assert_int_equal(count_key(&map, 7 + 16), 1);
	crier_map_remove(&map, 7, &values[2]);
	crier_map_remove(&map, 7, &values[2]);
	crier_map_remove(&map, 7, &values[5]); /* not with this key */
	assert_int_equal(count_key(&map, 7), 4);
	assert_int_equal(count_key(&map, 7 + 16), 1);
	assert_int_equal(map.count, 5);
	crier_map_done(&map);
}

/* A run that wraps from the last slot to the first, with a hole made anywhere in it. */
static void test_hole_in_a_run(void **state)
{
	static const uint64_t keys[] = {14, 15, 30, 31, 14 + 32, 0, 1, 16};

	(void)state;
	for (size_t hole = 0; hole < CRIER_ARRAY_SIZE(keys); hole++) {
		struct crier_map map = {0};

		for (size_t i = 0; i < CRIER_ARRAY_SIZE(keys); i++)
			put(&map, keys[i], &values[i]);
		assert_int_equal(map.mask, 15);
		crier_map_remove(&map, keys[hole], &values[hole]);
		for (size_t i = 0; i < CRIER_ARRAY_SIZE(keys); i++)
			assert_int_equal(count_key(&map, keys[i]), i != hole);
		crier_map_done(&map);
	}
}

static void test_reserve(void **state)
{
	struct crier_map map = {0};

	(void)state;
	assert_int_equal(crier_map_reserve(&map, 1000), 0);
	const struct crier_map_slot *slots = map.slots;

	for (uint64_t i = 0; i < 1000; i++)
		crier_map_put(&map, crier_hash_u64(i), values);
	assert_ptr_equal(map.slots, slots);
	assert_int_equal(map.count, 1000);
	assert_int_not_equal(crier_map_reserve(&map, UINT32_MAX), 0); /* refused, and nothing lost */
	assert_int_equal(count_key(&map, crier_hash_u64(999)), 1);
	crier_map_done(&map);
}

#define MODEL_KEYS 500u

static void test_model(void **state)
{
	static uint8_t there[MODEL_KEYS][4]; /* key by value */
	struct crier_map map = {0};
	uint64_t random = 88172645463325252ULL;
	uint32_t count = 0;

	(void)state;
	memset(there, 0, sizeof(there));
	for (uint32_t step = 0; step < 300000; step++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		uint32_t key = (uint32_t)(random >> 20) % MODEL_KEYS, value = (uint32_t)(random >> 50) % 4;
		uint64_t hash = crier_hash_u64(key);

		if (!there[key][value])
			put(&map, hash, &values[value]);
		else
			crier_map_remove(&map, hash, &values[value]);
		there[key][value] ^= 1;
		count += there[key][value] ? 1u : UINT32_MAX;
		assert_int_equal(map.count, count);
		if (step % 500)
			continue;
		for (uint32_t i = 0; i < MODEL_KEYS; i++)
			assert_int_equal(count_key(&map, crier_hash_u64(i)),
					 there[i][0] + there[i][1] + there[i][2] + there[i][3]);
	}
	crier_map_done(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	      cmocka_unit_test(test_one_key_often),
		cmocka_unit_test(test_hole_in_a_run), cmocka_unit_test(test_reserve),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
