/* SPDX-License-Identifier: Apache-2.0 */
/* Containers, pods and tombstones: bounds, expiry, identity. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "crier/index.h"

#define AGE 1000u

static const struct crier_index_limits limits = {
	.containers = 4,
	.tombstones = 3,
	.tombstone_age_ns = AGE,
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
	crier_copy_str(d->last, sizeof(d->last), crier_slice_of(container->id));
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
	crier_copy_str(told->ids[told->count], sizeof(told->ids[0]), crier_slice_of(container->id));
	told->count++;
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
