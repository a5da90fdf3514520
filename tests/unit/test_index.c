/* SPDX-License-Identifier: Apache-2.0 */
/* Containers, pods, tombstones and slots: bounds, expiry, identity; and a model under random operations. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "crier/index.h"

#define AGE	 1000u
#define SLOT_AGE 5000u
#define MINUTE	 60000000000ULL

static const struct crier_index_limits limits = {
	.containers = 4,
	.tombstones = 3,
	.tombstone_age_ns = AGE,
	.slot_age_ns = SLOT_AGE,
	.slots = 3,
};

struct dropped {
	size_t containers, pods;
	char last[CRIER_ID_MAX];
	const struct crier_pod *pod, *into;
};

static struct dropped dropped;

static void on_drop(void *ctx, struct crier_container *container)
{
	struct dropped *d = ctx;

	d->containers++;
	memcpy(d->last, container->id, sizeof(d->last));
}

static void on_pod_drop(void *ctx, struct crier_pod *pod, struct crier_pod *into)
{
	struct dropped *d = ctx;

	d->pods++;
	d->pod = pod;
	d->into = into;
}

static int setup(void **state)
{
	struct crier_index *index;

	if (crier_index_new(&limits, &index) < 0)
		return -1;
	dropped = (struct dropped){0};
	crier_index_on_drop(index, on_drop, &dropped);
	crier_index_on_pod_drop(index, on_pod_drop, &dropped);
	*state = index;
	return 0;
}

static int teardown(void **state)
{
	crier_index_free(*state);
	return 0;
}

static struct crier_container *add(struct crier_index *index, const char *id, uint64_t now_ns)
{
	struct crier_container *container = NULL;

	assert_int_equal(crier_index_container_add(index, crier_slice_of(id), now_ns, &container), 0);
	return container;
}

static struct crier_pod *add_pod(struct crier_index *index, const char *sandbox_id, const char *uid)
{
	struct crier_pod *pod = NULL;

	assert_int_equal(crier_index_pod_add(index, crier_slice_of(sandbox_id), crier_slice_of(uid), &pod),
			 0);
	return pod;
}

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

/* ---- containers ---- */

static void test_new_container_is_unknown(void **state)
{
	const struct crier_container *c = add(*state, "a", 7);
	static const char *const numbers[] = {"restart_count", "limit",	  "quota",   "period",
					      "grace",	       "created", "started", "finished",
					      "pid",	       "start",	  "cgroup"};
	const uint64_t values[] = {c->restart_count, c->memory_limit_bytes, c->cpu_quota_us,
				   c->cpu_period_us, c->grace_period_s,	    c->created_at_ns,
				   c->started_at_ns, c->finished_at_ns,	    c->init_pid,
				   c->init_start_ns, c->cgroup_id};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(values); i++)
		if (values[i] != CRIER_UNKNOWN_U64)
			fail_msg("%s is told", numbers[i]);
	assert_true(c->runtime_exit_code == CRIER_UNKNOWN_I64);
	assert_string_equal(c->id, "a");
	assert_int_equal(c->created_ns, 7);
	assert_null(c->pod);
	assert_null(c->name.ptr);
	assert_false(crier_container_is_identified(c));
	assert_ptr_equal(add(*state, "a", 9), c);
	assert_int_equal(c->created_ns, 7);
}

static void test_ids(void **state)
{
	char longest[CRIER_ID_MAX + 1];
	struct crier_container *container = NULL;
	static const struct {
		const char *name;
		size_t len;
		int expected;
	} cases[] = {
		{"empty", 0, -EINVAL}, {"longest", CRIER_ID_MAX - 1, 0}, {"too long", CRIER_ID_MAX, -EINVAL}};

	memset(longest, 'x', sizeof(longest));
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++)
		assert_int_equal(crier_index_container_add(
					 *state, (struct crier_slice){longest, cases[i].len}, 1, &container),
				 cases[i].expected);
	assert_int_equal(crier_index_container_add(*state, (struct crier_slice){"a\0b", 3}, 1, &container),
			 -EINVAL);
}

static void test_full_of_living(void **state)
{
	struct crier_container *container = NULL;

	add(*state, "a", 1);
	add(*state, "b", 1);
	add(*state, "c", 1);
	add(*state, "d", 1);
	assert_int_equal(crier_index_container_add(*state, CRIER_SLICE("e"), 1, &container), -ENOSPC);
	assert_null(container);
	assert_int_equal(counts_of(*state).refused_full, 1);
	assert_non_null(add(*state, "d", 1));
	crier_index_container_bury(*state, get(*state, "b"), 2);
	assert_non_null(add(*state, "e", 3));
	assert_int_equal(counts_of(*state).containers, 4);
}

static void test_tombstones_expire(void **state)
{
	struct crier_container *a = add(*state, "a", 1);

	crier_index_container_bury(*state, a, 100);
	crier_index_container_bury(*state, a, 500);
	assert_true(crier_index_is_tombstone(a));
	assert_ptr_equal(add(*state, "a", 600), a);
	assert_int_equal(counts_of(*state).tombstones, 1);
	crier_index_expire(*state, 100 + AGE - 1);
	assert_ptr_equal(get(*state, "a"), a);
	crier_index_expire(*state, 100 + AGE);
	assert_null(get(*state, "a"));
	assert_int_equal(dropped.containers, 1);
	assert_string_equal(dropped.last, "a");
	assert_int_equal(counts_of(*state).tombstones, 0);
}

static void test_oldest_tombstone_gives_way(void **state)
{
	static const char *const ids[] = {"a", "b", "c", "d"};

	for (size_t i = 0; i < 4; i++)
		add(*state, ids[i], 1);
	crier_index_container_bury(*state, get(*state, "c"), 10);
	crier_index_container_bury(*state, get(*state, "a"), 11);
	crier_index_container_bury(*state, get(*state, "b"), 12);
	assert_int_equal(dropped.containers, 0);
	crier_index_container_bury(*state, get(*state, "d"), 13);
	assert_string_equal(dropped.last, "c");
	assert_null(get(*state, "c"));
	assert_int_equal(counts_of(*state).tombstones, 3);
	assert_int_equal(counts_of(*state).tombstones_evicted, 1);
}

static void test_no_tombstones_allowed(void **state)
{
	struct crier_index *index;
	const struct crier_index_limits none = {.containers = 2};

	(void)state;
	assert_int_equal(crier_index_new(&none, &index), 0);
	struct crier_container *a = add(index, "a", 1);

	crier_index_container_bury(index, a, 2);
	assert_ptr_equal(get(index, "a"), a); /* the caller still holds it */
	crier_index_container_bury(index, add(index, "b", 3), 3);
	assert_null(get(index, "a"));
	crier_index_free(index);
}

struct told {
	struct crier_index *index;
	char ids[8][4];
	size_t count, stop_after;
	const char *bury;
};

static bool tell(void *ctx, struct crier_container *container)
{
	struct told *told = ctx;

	assert_true(told->count < 8);
	memcpy(told->ids[told->count++], container->id, 4);
	if (told->bury && strstr(told->bury, container->id))
		crier_index_container_bury(told->index, container, 50);
	return told->count != told->stop_after;
}

static void test_each(void **state)
{
	struct told told = {.index = *state, .bury = "bd"};

	add(*state, "a", 1);
	add(*state, "b", 1);
	add(*state, "c", 1);
	add(*state, "d", 1);
	crier_index_container_bury(*state, get(*state, "a"), 2);
	crier_index_each(*state, tell, &told);
	assert_int_equal(told.count, 4); /* each once, also those buried on the way */
	assert_string_equal(told.ids[0], "b");
	assert_string_equal(told.ids[1], "c");
	assert_string_equal(told.ids[2], "d");
	assert_string_equal(told.ids[3], "a");
	told = (struct told){.index = *state, .stop_after = 2};
	crier_index_each(*state, tell, &told);
	assert_int_equal(told.count, 2);
}

/* ---- pods ---- */

static void test_pod_by_both(void **state)
{
	struct crier_pod *pod = add_pod(*state, "s1", "u1");

	assert_ptr_equal(crier_index_pod_by_sandbox(*state, CRIER_SLICE("s1")), pod);
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")), pod);
	assert_ptr_equal(add_pod(*state, "s1", NULL), pod);
	assert_ptr_equal(add_pod(*state, NULL, "u1"), pod);
	assert_null(crier_index_pod_by_sandbox(*state, CRIER_SLICE("u1")));
	assert_null(crier_index_pod_by_uid(*state, CRIER_SLICE_NONE));
	assert_int_equal(crier_index_pod_add(*state, CRIER_SLICE_NONE, CRIER_SLICE_NONE, &pod), -EINVAL);
	assert_int_equal(crier_index_pod_add(*state, CRIER_SLICE("s1"), CRIER_SLICE("u2"), &pod), -EEXIST);
	assert_int_equal(counts_of(*state).pods, 1);
}

/* The cgroup path told the uid first, the runtime its sandbox later: one pod, the same struct. */
static void test_pod_gets_its_sandbox(void **state)
{
	struct crier_pod *pod = add_pod(*state, NULL, "u1");
	uint32_t version = pod->version;

	assert_string_equal(pod->sandbox_id, "");
	assert_ptr_equal(add_pod(*state, "s1", "u1"), pod);
	assert_string_equal(pod->sandbox_id, "s1");
	assert_true(pod->version > version);
	assert_int_equal(dropped.pods, 0);
	assert_int_equal(counts_of(*state).pods, 1);
}

/* Both were known apart: the one without sandbox goes, its containers and what it knew go over. */
static void test_pods_become_one(void **state)
{
	struct crier_pod *bare = add_pod(*state, NULL, "u1");
	struct crier_pod *pod = add_pod(*state, "s1", NULL);
	struct crier_container *container = add(*state, "a", 1);

	crier_index_container_set_pod(*state, container, bare);
	crier_index_pod_set_qos(*state, bare, CRIER_QOS_BURSTABLE, CRIER_SOURCE_CGROUP_PATH);
	assert_int_equal(bare->references, 1);
	uint32_t version = container->version;

	assert_ptr_equal(add_pod(*state, "s1", "u1"), pod);
	assert_int_equal(dropped.pods, 1);
	assert_ptr_equal(dropped.pod, bare);
	assert_ptr_equal(dropped.into, pod);
	assert_ptr_equal(container->pod, pod);
	assert_true(container->version > version);
	assert_int_equal(pod->references, 1);
	assert_string_equal(pod->uid, "u1");
	assert_int_equal(pod->qos, CRIER_QOS_BURSTABLE);
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")), pod);
	assert_int_equal(counts_of(*state).pods, 1);
}

static void test_second_sandbox_of_a_pod(void **state)
{
	struct crier_pod *first = add_pod(*state, "s1", "u1");
	struct crier_pod *second = add_pod(*state, "s2", "u1");

	assert_ptr_not_equal(first, second);
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")), second);
	crier_index_pod_gone(*state, second, 10);
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")), first);
	crier_index_pod_revive(*state, second);
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")), second);
}

static void test_pod_gone(void **state)
{
	struct crier_pod *pod = add_pod(*state, "s1", "u1");
	struct crier_container *container = add(*state, "a", 1);

	crier_index_container_set_pod(*state, container, pod);
	crier_index_pod_gone(*state, pod, 100);
	crier_index_pod_gone(*state, pod, 900);
	assert_int_equal(pod->gone_ns, 100);
	crier_index_expire(*state, 100 + AGE);
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")),
			 pod); /* a container refers to it */
	crier_index_container_bury(*state, container, 200);
	crier_index_expire(*state, 200 + AGE);
	assert_null(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")));
	assert_null(crier_index_pod_by_sandbox(*state, CRIER_SLICE("s1")));
	assert_int_equal(dropped.pods, 1);
	assert_null(dropped.into);
}

static bool count_pod(void *ctx, struct crier_pod *pod)
{
	struct told *told = ctx;

	told->count++;
	crier_index_pod_gone(told->index, pod, 5);
	return true;
}

static void test_pods_each(void **state)
{
	struct told told = {.index = *state};

	add_pod(*state, "s1", "u1");
	add_pod(*state, NULL, "u2");
	crier_index_pod_gone(*state, add_pod(*state, "s3", "u3"), 1);
	crier_index_pods_each(*state, count_pod, &told);
	assert_int_equal(told.count, 2);
	crier_index_pods_each(*state, count_pod, &told);
	assert_int_equal(told.count, 2);
}

/* At most as many pods as there may be containers, living and dead: nobody's pods give way. */
static void test_full_of_pods(void **state)
{
	struct crier_container *container = add(*state, "a", 1);
	char uid[16];

	crier_index_container_set_pod(*state, container, add_pod(*state, NULL, "u0"));
	for (int i = 1; i < 7; i++) {
		snprintf(uid, sizeof(uid), "u%d", i);
		add_pod(*state, NULL, uid);
	}
	crier_index_pod_gone(*state, crier_index_pod_by_uid(*state, CRIER_SLICE("u4")), 5);
	add_pod(*state, NULL, "u7");
	assert_null(crier_index_pod_by_uid(*state, CRIER_SLICE("u4")));
	add_pod(*state, NULL, "u8");
	assert_null(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")));
	assert_ptr_equal(crier_index_pod_by_uid(*state, CRIER_SLICE("u0")), container->pod);
	assert_int_equal(counts_of(*state).pods, 7);
}

static void test_sandbox_container(void **state)
{
	static const struct {
		const char *name;
		bool container_first;
	} cases[] = {{"cgroup first", true}, {"runtime first", false}};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		char id[32];

		snprintf(id, sizeof(id), "s%zu", i);
		if (cases[i].container_first)
			add(*state, id, 1);
		struct crier_pod *pod = add_pod(*state, id, id);
		struct crier_container *container = add(*state, id, 1);

		assert_int_equal(container->type, CRIER_CONTAINER_TYPE_SANDBOX);
		assert_string_equal(container->sandbox_id, id);
		assert_ptr_equal(container->pod, pod);
		assert_false(crier_container_is_identified(container));
	}
}

static void test_set_pod(void **state)
{
	struct crier_container *container = add(*state, "a", 1);
	struct crier_pod *pod = add_pod(*state, NULL, "u1");
	uint32_t version = container->version;

	crier_index_container_set_pod(*state, container, pod);
	assert_int_equal(container->version, version + 1);
	assert_int_equal(container->source, CRIER_SOURCE_CGROUP_PATH);
	crier_index_container_set_pod(*state, container, pod);
	assert_int_equal(container->version, version + 1);
	assert_int_equal(pod->references, 1);
	crier_index_container_set_pod(*state, container, NULL);
	assert_int_equal(pod->references, 0);
	assert_null(container->pod);
}

/* ---- slots ---- */

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

/* ---- against a model ---- */

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
		cmocka_unit_test_setup_teardown(test_new_container_is_unknown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_of_living, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tombstones_expire, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oldest_tombstone_gives_way, setup, teardown),
		cmocka_unit_test(test_no_tombstones_allowed),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pod_by_both, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pod_gets_its_sandbox, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pods_become_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_second_sandbox_of_a_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pod_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pods_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_of_pods, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sandbox_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slots_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slot_goes_with_its_pod, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restarts_1h, setup, teardown),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
