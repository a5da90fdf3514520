/* SPDX-License-Identifier: Apache-2.0 */
/* The table of cgroups: by id, memory id and path; tombstones, bounds, id reuse; and a model under random operations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "crier/cgroup.h"

static int setup(void **state)
{
	struct crier_cgroup_table *table;

	if (crier_cgroup_table_new(8, &table) < 0)
		return -1;
	*state = table;
	return 0;
}

static int teardown(void **state)
{
	crier_cgroup_table_free(*state);
	return 0;
}

static struct crier_cgroup *add(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id,
				const char *path)
{
	struct crier_cgroup *cgroup = NULL;

	assert_int_equal(crier_cgroup_add(table, id, parent_id, crier_slice_of(path), &cgroup), 0);
	assert_non_null(cgroup);
	return cgroup;
}

static struct crier_cgroup_counts counts_of(const struct crier_cgroup_table *table)
{
	struct crier_cgroup_counts counts;

	crier_cgroup_table_counts(table, &counts);
	return counts;
}

static void test_found_three_ways(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *root = add(table, 1, 0, "/");
	struct crier_cgroup *cgroup = add(table, 42, 1, "/kubepods");

	assert_int_equal(crier_cgroup_set_memory_id(table, cgroup, 7042), 0);
	assert_ptr_equal(crier_cgroup_get(table, 42), cgroup);
	assert_ptr_equal(crier_cgroup_get_by_memory(table, 7042), cgroup);
	assert_ptr_equal(crier_cgroup_get_by_path(table, CRIER_SLICE("/kubepods")), cgroup);
	assert_ptr_equal(crier_cgroup_get_by_path(table, CRIER_SLICE("/")), root);
	assert_null(crier_cgroup_get(table, 7042));
	assert_null(crier_cgroup_get_by_memory(table, 42));
	assert_null(crier_cgroup_get_by_path(table, CRIER_SLICE("/kubepod")));
	assert_null(crier_cgroup_get(table, 0));
	assert_null(crier_cgroup_get_by_memory(table, 0));
	assert_string_equal(cgroup->path, "/kubepods");
	assert_int_equal(cgroup->path_len, 9);
	assert_int_equal(cgroup->populated, CRIER_UNKNOWN_BOOL);
	assert_ptr_equal(add(table, 42, 1, "/kubepods"), cgroup);
	assert_int_equal(counts_of(table).living, 2);
}

static void test_id_zero_is_none(void **state)
{
	struct crier_cgroup *cgroup = NULL;

	assert_int_equal(crier_cgroup_add(*state, 0, 1, CRIER_SLICE("/x"), &cgroup), -EINVAL);
	assert_null(cgroup);
}

static void test_child_paths(void **state)
{
	static const struct {
		const char *name, *parent, *leaf, *expected;
	} cases[] = {
		{"below the root", "/", "a", "/a"},
		{"below another", "/kubepods", "burstable", "/kubepods/burstable"},
		{"parent without path", NULL, "a", NULL},
		{"no leaf", "/kubepods", "", NULL},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		struct crier_cgroup_table *table;
		struct crier_cgroup *child;

		assert_int_equal(crier_cgroup_table_new(8, &table), 0);
		add(table, 10, 1, cases[i].parent);
		assert_int_equal(crier_cgroup_add_child(table, 11, 10, crier_slice_of(cases[i].leaf), &child),
				 0);
		assert_int_equal(child->parent_id, 10);
		if (cases[i].expected)
			assert_string_equal(child->path, cases[i].expected);
		else
			assert_null(child->path);
		crier_cgroup_table_free(table);
	}
	(void)state;
}

static void test_child_path_too_long(void **state)
{
	struct crier_cgroup_table *table = *state;
	char path[CRIER_CGROUP_PATH_MAX + 1];
	struct crier_cgroup *child;

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	assert_int_equal(crier_cgroup_add(table, 1, 0, (struct crier_slice){path, sizeof(path) - 3}, &child),
			 0);
	assert_non_null(child->path);
	assert_int_equal(crier_cgroup_add_child(table, 2, 1, CRIER_SLICE("a"), &child), 0);
	assert_int_equal(child->path_len, CRIER_CGROUP_PATH_MAX);
	assert_int_equal(crier_cgroup_add_child(table, 3, 1, CRIER_SLICE("ab"), &child), 0);
	assert_null(child->path);
	assert_int_equal(crier_cgroup_add(table, 4, 0, (struct crier_slice){path, sizeof(path)}, &child), 0);
	assert_null(child->path);
}

static void test_path_learned_later(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *child;

	assert_int_equal(crier_cgroup_add_child(table, 11, 10, CRIER_SLICE("leaf"), &child), 0);
	assert_null(child->path);
	assert_ptr_equal(add(table, 11, 10, "/a/leaf"), child);
	assert_string_equal(child->path, "/a/leaf");
	assert_ptr_equal(crier_cgroup_get_by_path(table, CRIER_SLICE("/a/leaf")), child);
	assert_int_equal(counts_of(table).reused, 0);
}

static void test_removed_is_kept_and_expires(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *cgroup = add(table, 5, 1, "/a");

	assert_int_equal(crier_cgroup_set_memory_id(table, cgroup, 6), 0);
	crier_cgroup_removed(table, cgroup, 1000);
	crier_cgroup_removed(table, cgroup, 5000);
	assert_int_equal(cgroup->removed_ns, 1000);
	assert_ptr_equal(crier_cgroup_get(table, 5), cgroup);
	assert_ptr_equal(crier_cgroup_get_by_memory(table, 6), cgroup);
	assert_null(crier_cgroup_get_by_path(table, CRIER_SLICE("/a")));
	assert_ptr_equal(add(table, 5, 1, "/a"), cgroup);
	assert_int_equal(cgroup->removed_ns, 1000);
	assert_null(crier_cgroup_get_by_path(table, CRIER_SLICE("/a")));
	crier_cgroup_expire(table, 1099, 100, NULL, NULL);
	assert_ptr_equal(crier_cgroup_get(table, 5), cgroup);
	crier_cgroup_expire(table, 1100, 100, NULL, NULL);
	assert_null(crier_cgroup_get(table, 5));
	assert_null(crier_cgroup_get_by_memory(table, 6));
	assert_int_equal(counts_of(table).living + counts_of(table).removed, 0);
}

static void test_id_reuse(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *cgroup = add(table, 5, 1, "/old");
	int container;

	assert_int_equal(crier_cgroup_set_memory_id(table, cgroup, 6), 0);
	cgroup->container = (struct crier_container *)&container;
	crier_cgroup_removed(table, cgroup, 10);
	assert_ptr_equal(add(table, 5, 2, "/new"), cgroup);
	assert_null(cgroup->container);
	assert_int_equal(cgroup->parent_id, 2);
	assert_int_equal(cgroup->removed_ns, 0);
	assert_null(crier_cgroup_get_by_memory(table, 6));
	assert_null(crier_cgroup_get_by_path(table, CRIER_SLICE("/old")));
	assert_ptr_equal(crier_cgroup_get_by_path(table, CRIER_SLICE("/new")), cgroup);
	assert_int_equal(counts_of(table).reused, 1);
	assert_int_equal(counts_of(table).living, 1);
	assert_int_equal(counts_of(table).removed, 0);
	crier_cgroup_expire(table, 1000000, 1, NULL, NULL);
	assert_ptr_equal(crier_cgroup_get(table, 5), cgroup);
}

/* A directory made anew at a path whose rmdir was not seen: the path is the new one's, the old one is gone. */
static void test_path_taken_over(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *old = add(table, 5, 1, "/a");
	struct crier_cgroup *other = add(table, 6, 1, "/b");

	crier_cgroup_removed(table, other, 500);
	struct crier_cgroup *new = add(table, 7, 1, "/a");

	assert_ptr_equal(crier_cgroup_get_by_path(table, CRIER_SLICE("/a")), new);
	assert_int_equal(old->removed_ns, 500);
	assert_int_equal(counts_of(table).living, 1);
	crier_cgroup_expire(table, 600, 100, NULL, NULL);
	assert_null(crier_cgroup_get(table, 5));
	assert_ptr_equal(crier_cgroup_get_by_path(table, CRIER_SLICE("/a")), new);
}

static void remember(void *ctx, struct crier_cgroup *cgroup)
{
	uint64_t *last = ctx;

	*last = cgroup->id;
}

static void test_full(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *cgroup = NULL;
	uint64_t evicted = 0;
	char path[16];

	crier_cgroup_table_on_evict(table, remember, &evicted);
	for (uint64_t id = 1; id <= 8; id++) {
		snprintf(path, sizeof(path), "/%d", (int)id);
		add(table, id, 0, path);
	}
	assert_int_equal(crier_cgroup_add(table, 9, 0, CRIER_SLICE("/9"), &cgroup), -ENOSPC);
	assert_null(cgroup);
	assert_null(crier_cgroup_get_by_path(table, CRIER_SLICE("/9")));
	assert_int_equal(counts_of(table).refused_full, 1);
	assert_ptr_equal(add(table, 8, 0, "/8"), crier_cgroup_get(table, 8));
	crier_cgroup_removed(table, crier_cgroup_get(table, 3), 100);
	crier_cgroup_removed(table, crier_cgroup_get(table, 2), 200);
	assert_non_null(add(table, 9, 0, "/9"));
	assert_int_equal(evicted, 3);
	assert_null(crier_cgroup_get(table, 3));
	assert_non_null(crier_cgroup_get(table, 2));
	assert_int_equal(counts_of(table).evicted, 1);
	assert_int_equal(counts_of(table).living, 7);
	assert_int_equal(counts_of(table).removed, 1);
}

static void test_memory_id_moves(void **state)
{
	struct crier_cgroup_table *table = *state;
	struct crier_cgroup *a = add(table, 1, 0, "/a");
	struct crier_cgroup *b = add(table, 2, 0, "/b");

	assert_int_equal(crier_cgroup_set_memory_id(table, a, 50), 0);
	assert_int_equal(crier_cgroup_set_memory_id(table, b, 50), 0);
	assert_ptr_equal(crier_cgroup_get_by_memory(table, 50), b);
	assert_int_equal(a->memory_id, 0);
	assert_int_equal(crier_cgroup_set_memory_id(table, b, 51), 0);
	assert_null(crier_cgroup_get_by_memory(table, 50));
	assert_int_equal(crier_cgroup_set_memory_id(table, b, 0), 0);
	assert_null(crier_cgroup_get_by_memory(table, 51));
}

static void test_unlink(void **state)
{
	struct crier_cgroup_table *table = *state;
	int object, other;

	for (uint64_t id = 1; id <= 4; id++) {
		char path[8];

		snprintf(path, sizeof(path), "/%d", (int)id);
		struct crier_cgroup *cgroup = add(table, id, 0, path);

		cgroup->container = (struct crier_container *)(id % 2 ? &object : &other);
		cgroup->pod = (struct crier_pod *)(id % 2 ? &other : &object);
	}
	crier_cgroup_removed(table, crier_cgroup_get(table, 3), 1);
	crier_cgroup_unlink_container(table, (struct crier_container *)&object);
	crier_cgroup_unlink_pod(table, (struct crier_pod *)&object);
	for (uint64_t id = 1; id <= 4; id++) {
		const struct crier_cgroup *cgroup = crier_cgroup_get(table, id);

		assert_ptr_equal(cgroup->container, id % 2 ? NULL : &other);
		assert_ptr_equal(cgroup->pod, id % 2 ? &other : NULL);
	}
	crier_cgroup_repoint_pod(table, (struct crier_pod *)&other, (struct crier_pod *)&object);
	assert_ptr_equal(crier_cgroup_get(table, 1)->pod, &object);
	assert_null(crier_cgroup_get(table, 2)->pod);
}

/* ---- against a model: an array of what must be there ---- */

#define MODEL_IDS   600u
#define MODEL_PATHS 300u
#define MODEL_MAX   150u
#define MODEL_STEPS 200000u
#define MODEL_AGE   5000u

struct model_entry {
	bool known;
	uint32_t path; /* + 1; 0 = none */
	uint32_t memory;
	uint64_t removed;
	uint64_t order; /* of removal */
	const struct crier_cgroup *at;
};

struct model {
	struct model_entry entries[MODEL_IDS];
	uint64_t random, now, orders;
	uint64_t told; /* the latest time that the table was told */
	uint32_t count;
};

static uint32_t random_below(struct model *model, uint32_t bound)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return (uint32_t)((model->random >> 16) % bound);
}

static void model_bury(struct model *model, struct model_entry *entry)
{
	entry->removed = model->told ? model->told : 1;
	entry->order = ++model->orders;
}

static struct model_entry *model_oldest(struct model *model)
{
	struct model_entry *oldest = NULL;

	for (size_t i = 0; i < MODEL_IDS; i++) {
		struct model_entry *entry = &model->entries[i];

		if (entry->known && entry->removed && (!oldest || entry->order < oldest->order))
			oldest = entry;
	}
	return oldest;
}

static void model_drop(struct model *model, struct model_entry *entry)
{
	*entry = (struct model_entry){0};
	model->count--;
}

static void step_add(struct model *model, struct crier_cgroup_table *table)
{
	uint32_t id = random_below(model, MODEL_IDS);
	uint32_t path = random_below(model, MODEL_PATHS);
	struct model_entry *entry = &model->entries[id];
	struct crier_cgroup *cgroup;
	char text[32];
	int expected = 0;

	snprintf(text, sizeof(text), "/kubepods/%u", path);
	if (!entry->known && model->count == MODEL_MAX) {
		if (model_oldest(model))
			model_drop(model, model_oldest(model));
		else
			expected = -ENOSPC;
	}
	assert_int_equal(crier_cgroup_add(table, id + 1, 0, crier_slice_of(text), &cgroup), expected);
	if (expected)
		return;
	model->count += !entry->known;
	if (entry->known && entry->path != path + 1) {
		entry->removed = 0;
		entry->memory = 0;
		entry->path = 0;
	}
	entry->known = true;
	entry->at = cgroup;
	if (entry->path == path + 1)
		return;
	for (size_t i = 0; i < MODEL_IDS; i++)
		if (model->entries[i].known && !model->entries[i].removed &&
		    model->entries[i].path == path + 1)
			model_bury(model, &model->entries[i]);
	entry->path = path + 1;
}

static void step_memory(struct model *model, struct crier_cgroup_table *table)
{
	struct model_entry *entry = &model->entries[random_below(model, MODEL_IDS)];
	uint32_t memory = random_below(model, 100);

	if (!entry->known)
		return;
	assert_int_equal(crier_cgroup_set_memory_id(table, (struct crier_cgroup *)entry->at, memory), 0);
	for (size_t i = 0; memory && i < MODEL_IDS; i++)
		if (model->entries[i].memory == memory)
			model->entries[i].memory = 0;
	entry->memory = memory;
}

static void step_remove(struct model *model, struct crier_cgroup_table *table)
{
	struct model_entry *entry = &model->entries[random_below(model, MODEL_IDS)];

	if (!entry->known)
		return;
	crier_cgroup_removed(table, (struct crier_cgroup *)entry->at, model->now);
	model->told = model->now;
	if (!entry->removed)
		model_bury(model, entry);
}

static void step_expire(struct model *model, struct crier_cgroup_table *table)
{
	struct model_entry *oldest;

	crier_cgroup_expire(table, model->now, MODEL_AGE, NULL, NULL);
	model->told = model->now;
	while ((oldest = model_oldest(model)) && model->now - oldest->removed >= MODEL_AGE)
		model_drop(model, oldest);
}

static void compare(struct model *model, const struct crier_cgroup_table *table)
{
	struct crier_cgroup_counts counts = counts_of(table);
	uint32_t removed = 0;

	for (uint32_t i = 0; i < MODEL_IDS; i++) {
		const struct model_entry *entry = &model->entries[i];
		const struct crier_cgroup *cgroup = crier_cgroup_get(table, i + 1);
		char text[32];

		assert_int_equal(cgroup != NULL, entry->known);
		if (!cgroup)
			continue;
		removed += entry->removed != 0;
		snprintf(text, sizeof(text), "/kubepods/%u", entry->path - 1);
		assert_ptr_equal(cgroup, entry->at);
		assert_string_equal(cgroup->path, text);
		assert_int_equal(cgroup->removed_ns, entry->removed);
		assert_int_equal(cgroup->memory_id, entry->memory);
		if (entry->memory)
			assert_ptr_equal(crier_cgroup_get_by_memory(table, entry->memory), cgroup);
		if (!entry->removed)
			assert_ptr_equal(crier_cgroup_get_by_path(table, crier_slice_of(text)), cgroup);
	}
	assert_int_equal(counts.living + counts.removed, model->count);
	assert_int_equal(counts.removed, removed);
}

static void test_model(void **state)
{
	static struct model model;
	struct crier_cgroup_table *table;

	(void)state;
	model = (struct model){.random = 88172645463325252ULL, .now = 1};
	assert_int_equal(crier_cgroup_table_new(MODEL_MAX, &table), 0);
	for (uint32_t i = 0; i < MODEL_STEPS; i++) {
		uint32_t what = random_below(&model, 100);

		model.now += random_below(&model, 20);
		if (what < 50)
			step_add(&model, table);
		else if (what < 70)
			step_memory(&model, table);
		else if (what < 97)
			step_remove(&model, table);
		else
			step_expire(&model, table);
		if (i % 1000 == 0)
			compare(&model, table);
	}
	compare(&model, table);
	assert_true(counts_of(table).evicted > 0 && counts_of(table).reused > 0 &&
		    counts_of(table).refused_full > 0);
	crier_cgroup_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_three_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_id_zero_is_none, setup, teardown),
		cmocka_unit_test(test_child_paths),
		cmocka_unit_test_setup_teardown(test_child_path_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_path_learned_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_is_kept_and_expires, setup, teardown),
		cmocka_unit_test_setup_teardown(test_id_reuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_path_taken_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_id_moves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unlink, setup, teardown),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
