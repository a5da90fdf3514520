/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded waiting: order, bounds per key, in all and of bytes, the oldest; and a model under random operations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "crier/hold.h"

static const struct crier_hold_limits limits = {
	.events_per_key = 4, .bytes_per_key = 256 * 1024, .events = 10, .bytes = 256 * 1024};

static int setup(void **state)
{
	struct crier_hold *hold;

	if (crier_hold_new(&limits, &hold) < 0)
		return -1;
	*state = hold;
	return 0;
}

static int teardown(void **state)
{
	crier_hold_free(*state);
	return 0;
}

static struct crier_hold_counts counts_of(const struct crier_hold *hold)
{
	struct crier_hold_counts counts;

	crier_hold_counts(hold, &counts);
	return counts;
}

struct seen {
	size_t count;
	uint64_t times[16];
	unsigned char first[16];
	size_t lens[16];
	struct crier_hold *hold;
	uint64_t push_to; /* another key to push to while being told */
};

static void see(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	struct seen *seen = ctx;

	assert_true(seen->count < 16);
	assert_int_equal((uintptr_t)bytes % 8, 0);
	seen->times[seen->count] = pushed_ns;
	seen->first[seen->count] = len ? *(const unsigned char *)bytes : 0;
	seen->lens[seen->count++] = len;
	if (seen->push_to)
		assert_int_equal(crier_hold_push(seen->hold, seen->push_to, 1, "x", 1), 0);
}

static void test_in_order(void **state)
{
	struct crier_hold *hold = *state;
	struct seen seen = {0};

	assert_false(crier_hold_has(hold, 7));
	assert_int_equal(crier_hold_push(hold, 7, 100, "a", 1), 0);
	assert_int_equal(crier_hold_push(hold, 8, 101, "x", 1), 0);
	assert_int_equal(crier_hold_push(hold, 7, 102, "bcd", 3), 0);
	assert_int_equal(crier_hold_push(hold, 7, 103, "", 0), 0);
	assert_true(crier_hold_has(hold, 7));
	assert_int_equal(crier_hold_release(hold, 7, see, &seen), 3);
	assert_int_equal(seen.count, 3);
	assert_memory_equal(seen.times, ((uint64_t[]){100, 102, 103}), 24);
	assert_memory_equal(seen.first, "ab\0", 3);
	assert_memory_equal(seen.lens, ((size_t[]){1, 3, 0}), 3 * sizeof(size_t));
	assert_false(crier_hold_has(hold, 7));
	assert_true(crier_hold_has(hold, 8));
	assert_int_equal(crier_hold_release(hold, 7, see, &seen), 0);
	assert_int_equal(counts_of(hold).keys, 1);
	assert_int_equal(counts_of(hold).events, 1);
}

static void test_bounds(void **state)
{
	struct crier_hold *hold = *state;
	static unsigned char large[300 * 1024];

	assert_int_equal(crier_hold_push(hold, 0, 1, "x", 1), -EINVAL);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(crier_hold_push(hold, 1, i, "x", 1), 0);
	assert_int_equal(crier_hold_push(hold, 1, 5, "x", 1), -ENOSPC); /* of the key */
	for (uint64_t key = 2; key <= 7; key++)
		assert_int_equal(crier_hold_push(hold, key, 5, "x", 1), 0);
	assert_int_equal(crier_hold_push(hold, 8, 5, "x", 1), -ENOSPC); /* of all */
	assert_false(crier_hold_has(hold, 8));
	assert_int_equal(counts_of(hold).refused, 2);
	for (uint64_t key = 1; key <= 7; key++)
		crier_hold_release(hold, key, see, &(struct seen){0});
	assert_int_equal(counts_of(hold).bytes, 0);
	assert_int_equal(crier_hold_push(hold, 9, 5, large, sizeof(large)), -ENOSPC); /* of bytes, at once */
	assert_int_equal(crier_hold_push(hold, 9, 5, large, SIZE_MAX - 8), -ENOSPC);
	assert_int_equal(crier_hold_push(hold, 9, 5, large, 200 * 1024), 0);
	assert_true(counts_of(hold).bytes <= limits.bytes);
	assert_int_equal(crier_hold_push(hold, 9, 5, large, 100 * 1024), -ENOSPC); /* of bytes, together */
	assert_int_equal(crier_hold_push(hold, 9, 6, "y", 1), 0);
	struct seen seen = {0};

	assert_int_equal(crier_hold_release(hold, 9, see, &seen), 2);
	assert_int_equal(seen.lens[0], 200 * 1024);
	assert_int_equal(seen.first[1], 'y');
}

static void test_one_key_cannot_take_all_bytes(void **state)
{
	const struct crier_hold_limits narrow = {
		.events_per_key = 100, .bytes_per_key = 20 * 1024, .events = 100, .bytes = 64 * 1024};
	static const unsigned char item[4000];
	struct crier_hold *hold;
	int r = 0;

	(void)state;
	assert_int_equal(crier_hold_new(&narrow, &hold), 0);
	for (uint64_t i = 0; i < 100 && r == 0; i++)
		r = crier_hold_push(hold, 1, i, item, sizeof(item));
	assert_int_equal(r, -ENOSPC);
	assert_true(counts_of(hold).bytes <= narrow.bytes_per_key);
	assert_int_equal(crier_hold_push(hold, 2, 5, item, sizeof(item)), 0); /* another's room is its own */
	crier_hold_release(hold, 1, see, &(struct seen){0});
	assert_int_equal(crier_hold_push(hold, 1, 5, item, sizeof(item)), 0); /* and comes back */
	crier_hold_free(hold);
}

static void test_oldest(void **state)
{
	struct crier_hold *hold = *state;
	uint64_t key, since;
	static const struct {
		uint64_t key, now;
	} pushes[] = {{5, 50}, {3, 30}, {5, 20}, {4, 40}};
	static const struct {
		uint64_t key, since;
	} expected[] = {{3, 30}, {4, 40}, {5, 50}};

	assert_false(crier_hold_oldest(hold, &key, &since));
	for (size_t i = 0; i < 4; i++) /* a later item of a key does not make it older */
		assert_int_equal(crier_hold_push(hold, pushes[i].key, pushes[i].now, "x", 1), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_true(crier_hold_oldest(hold, &key, &since));
		assert_int_equal(key, expected[i].key);
		assert_int_equal(since, expected[i].since);
		crier_hold_release(hold, key, see, &(struct seen){0});
	}
	assert_false(crier_hold_oldest(hold, &key, &since));
}

static void test_push_while_released(void **state)
{
	struct crier_hold *hold = *state;
	struct seen seen = {.hold = hold, .push_to = 2};

	assert_int_equal(crier_hold_push(hold, 1, 1, "a", 1), 0);
	assert_int_equal(crier_hold_push(hold, 1, 2, "b", 1), 0);
	assert_int_equal(crier_hold_release(hold, 1, see, &seen), 2);
	assert_int_equal(counts_of(hold).events, 2);
	assert_true(crier_hold_has(hold, 2));
}

/* ---- against a model: every item in one array, in order ---- */

#define MODEL_KEYS    40u
#define MODEL_ITEMS   600u
#define MODEL_PER_KEY 50u

struct model_item {
	uint64_t key, pushed;
	uint32_t len, seed;
};

struct model {
	struct model_item items[MODEL_ITEMS];
	uint32_t count;
	uint64_t random, now;
	uint64_t releasing;
	uint32_t next; /* where the released key's next item may be */
};

static uint32_t random_below(struct model *model, uint32_t bound)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return (uint32_t)((model->random >> 16) % bound);
}

static unsigned char byte_at(uint32_t seed, size_t i)
{
	return (unsigned char)(seed + i * 31);
}

static void check_item(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	struct model *model = ctx;

	while (model->next < model->count && model->items[model->next].key != model->releasing)
		model->next++;
	assert_true(model->next < model->count);

	const struct model_item *item = &model->items[model->next++];

	assert_int_equal(item->pushed, pushed_ns);
	assert_int_equal(item->len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(((const unsigned char *)bytes)[i], byte_at(item->seed, i));
}

static uint32_t model_of_key(const struct model *model, uint64_t key)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < model->count; i++)
		count += model->items[i].key == key;
	return count;
}

static void model_release(struct model *model, struct crier_hold *hold, uint64_t key)
{
	uint32_t kept = 0;

	model->releasing = key;
	model->next = 0;
	assert_int_equal(crier_hold_release(hold, key, check_item, model), model_of_key(model, key));
	for (uint32_t i = 0; i < model->count; i++)
		if (model->items[i].key != key)
			model->items[kept++] = model->items[i];
	model->count = kept;
}

static void model_push(struct model *model, struct crier_hold *hold)
{
	static unsigned char bytes[40000];
	struct model_item item = {.key = 1 + random_below(model, MODEL_KEYS), .pushed = model->now};
	int expected;

	item.len =
		random_below(model, 100) == 0 ? random_below(model, sizeof(bytes)) : random_below(model, 700);
	item.seed = random_below(model, 256);
	for (size_t i = 0; i < item.len; i++)
		bytes[i] = byte_at(item.seed, i);
	expected =
		model->count == MODEL_ITEMS || model_of_key(model, item.key) == MODEL_PER_KEY ? -ENOSPC : 0;
	assert_int_equal(crier_hold_push(hold, item.key, item.pushed, bytes, item.len), expected);
	if (!expected)
		model->items[model->count++] = item;
}

/* The first item of each key is its oldest; of these the one pushed first is meant. */
static void check_oldest(const struct model *model, const struct crier_hold *hold)
{
	uint64_t key = 0, since = 0;

	assert_int_equal(crier_hold_oldest(hold, &key, &since), model->count > 0);
	if (model->count > 0) {
		assert_int_equal(key, model->items[0].key);
		assert_int_equal(since, model->items[0].pushed);
	}
}

static void test_model(void **state)
{
	static struct model model;
	struct crier_hold *hold;
	const struct crier_hold_limits wide = {MODEL_PER_KEY, SIZE_MAX / 2, MODEL_ITEMS, SIZE_MAX / 2};

	(void)state;
	model = (struct model){.random = 88172645463325252ULL};
	assert_int_equal(crier_hold_new(&wide, &hold), 0);
	for (uint32_t i = 0; i < 60000; i++) {
		uint32_t what = random_below(&model, 1000);
		uint64_t key, since;

		model.now += 1 + random_below(&model, 5);
		if (what < 950)
			model_push(&model, hold);
		else if (what < 990)
			model_release(&model, hold, 1 + random_below(&model, MODEL_KEYS));
		else if (crier_hold_oldest(hold, &key, &since))
			model_release(&model, hold, key);
		check_oldest(&model, hold);
		for (key = 1; i % 100 == 0 && key <= MODEL_KEYS; key++)
			assert_int_equal(crier_hold_has(hold, key), model_of_key(&model, key) > 0);
		assert_int_equal(counts_of(hold).events, model.count);
	}
	while (model.count)
		model_release(&model, hold, model.items[0].key);
	assert_int_equal(counts_of(hold).bytes, 0);
	assert_int_equal(counts_of(hold).keys, 0);
	crier_hold_free(hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test(test_one_key_cannot_take_all_bytes),
		cmocka_unit_test_setup_teardown(test_oldest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_push_while_released, setup, teardown),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
