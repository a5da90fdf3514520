/* SPDX-License-Identifier: Apache-2.0 */
/* The index under random operations, against a simple model: who is there, who was dropped, which references count. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "crier/index.h"

static struct crier_container *get(struct crier_index *index, const char *id)
{
	return crier_index_container(index, crier_slice_of(id));
}

static struct crier_index_counts counts_of(const struct crier_index *index)
{
	struct crier_index_counts counts;

	crier_index_counts(index, &counts);
	return counts;
}

#define MODEL_IDS   60u
#define MODEL_STEPS 100000u

struct model_container {
	bool known, buried;
	uint64_t buried_at, order;
	const struct crier_container *at;
};

struct model {
	struct model_container containers[MODEL_IDS];
	uint64_t random, now, orders;
	uint32_t living, tombs, drops;
};

static struct model model;
static const struct crier_index_limits model_limits = {
	.containers = 25, .tombstones = 15, .tombstone_age_ns = 2000, .slots = 1};

static uint32_t random_below(uint32_t bound)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return (uint32_t)((model.random >> 16) % bound);
}

static void count_drop(void *ctx, struct crier_container *container)
{
	(void)container;
	++*(uint32_t *)ctx;
}

static struct model_container *model_oldest(void)
{
	struct model_container *oldest = NULL;

	for (size_t i = 0; i < MODEL_IDS; i++)
		if (model.containers[i].buried && (!oldest || model.containers[i].order < oldest->order))
			oldest = &model.containers[i];
	return oldest;
}

static void model_forget(struct model_container *container)
{
	*container = (struct model_container){0};
	model.tombs--;
	model.drops++;
}

static void model_add(struct crier_index *index, uint32_t i)
{
	struct model_container *entry = &model.containers[i];
	struct crier_container *container;
	char id[16];
	int expected = !entry->known && model.living == model_limits.containers ? -ENOSPC : 0;

	snprintf(id, sizeof(id), "container-%u", i);
	assert_int_equal(crier_index_container_add(index, crier_slice_of(id), model.now, &container),
			 expected);
	if (expected)
		return;
	if (entry->known)
		assert_ptr_equal(entry->at, container);
	else
		model.living++;
	entry->known = true;
	entry->at = container;
	/* a pod by sandbox or by uid alone, of a few that keep turning out to be the same */
	char sandbox[16], uid[16];
	uint32_t which = random_below(10);
	struct crier_pod *pod;

	snprintf(sandbox, sizeof(sandbox), "sandbox-%u", which);
	snprintf(uid, sizeof(uid), "uid-%u", which);
	uint32_t told = random_below(3);

	if (crier_index_pod_add(index, told != 0 ? crier_slice_of(sandbox) : CRIER_SLICE_NONE,
				told != 1 ? crier_slice_of(uid) : CRIER_SLICE_NONE, &pod) == 0)
		crier_index_container_set_pod(index, container, pod);
}

static void model_bury(struct crier_index *index, uint32_t i)
{
	struct model_container *entry = &model.containers[i];

	if (!entry->known)
		return;
	crier_index_container_bury(index, (struct crier_container *)entry->at, model.now);
	if (entry->buried)
		return;
	if (model.tombs == model_limits.tombstones)
		model_forget(model_oldest());
	entry->buried = true;
	entry->buried_at = model.now;
	entry->order = ++model.orders;
	model.living--;
	model.tombs++;
}

static void model_expire(struct crier_index *index)
{
	struct model_container *oldest;

	crier_index_expire(index, model.now);
	while ((oldest = model_oldest()) && model.now - oldest->buried_at >= model_limits.tombstone_age_ns)
		model_forget(oldest);
}

static bool sum_references(void *ctx, struct crier_pod *pod)
{
	*(uint32_t *)ctx += pod->references;
	return true;
}

static void model_compare(struct crier_index *index)
{
	struct crier_index_counts counts = counts_of(index);
	uint32_t with_pod = 0, references = 0;

	for (uint32_t i = 0; i < MODEL_IDS; i++) {
		char id[16];

		snprintf(id, sizeof(id), "container-%u", i);
		assert_ptr_equal(get(index, id), model.containers[i].at);
		with_pod += model.containers[i].at && model.containers[i].at->pod;
	}
	assert_int_equal(counts.containers, model.living);
	assert_int_equal(counts.tombstones, model.tombs);
	crier_index_pods_each(index, sum_references, &references); /* none is gone in here */
	assert_int_equal(references, with_pod);
}

static void test_model(void **state)
{
	struct crier_index *index;
	uint32_t drops = 0;

	(void)state;
	model = (struct model){.random = 88172645463325252ULL};
	assert_int_equal(crier_index_new(&model_limits, &index), 0);
	crier_index_on_drop(index, count_drop, &drops);
	for (uint32_t i = 0; i < MODEL_STEPS; i++) {
		uint32_t what = random_below(100);

		model.now += random_below(40);
		if (what < 60)
			model_add(index, random_below(MODEL_IDS));
		else if (what < 95)
			model_bury(index, random_below(MODEL_IDS));
		else
			model_expire(index);
		assert_int_equal(drops, model.drops);
		if (i % 100 == 0)
			model_compare(index);
	}
	assert_true(counts_of(index).tombstones_evicted > 0 && counts_of(index).refused_full > 0);
	model.drops += model.living + model.tombs;
	crier_index_free(index);
	assert_int_equal(drops, model.drops);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
