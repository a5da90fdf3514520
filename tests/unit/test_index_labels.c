/* SPDX-License-Identifier: Apache-2.0 */
/* What a pod's labels, name and cgroup parent tell: the allow-list, the workload, the QoS class. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crier/index.h"

#define LIST CRIER_SOURCE_CRI_LIST
#define CRI  CRIER_SOURCE_CRI

static int setup(void **state)
{
	const struct crier_index_limits limits = {.containers = 16, .tombstones = 16, .slots = 16};
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

static struct crier_meta_pod pod_nothing(void)
{
	return (struct crier_meta_pod){.created_at_ns = CRIER_UNKNOWN_U64, .pid = CRIER_UNKNOWN_U64};
}

static struct crier_meta_pod cart_pod(const char *name, const char *hash)
{
	struct crier_meta_pod meta = pod_nothing();

	meta.sandbox_id = CRIER_SLICE("s1");
	meta.uid = CRIER_SLICE("u1");
	meta.namespace_ = CRIER_SLICE("shop");
	meta.name = crier_slice_of(name);
	if (hash) {
		meta.labels.items[0].key = CRIER_SLICE("pod-template-hash");
		meta.labels.items[0].value = crier_slice_of(hash);
		meta.labels.count = 1;
	}
	return meta;
}

static void test_workload(void **state)
{
	static const struct {
		const char *name, *pod, *hash, *set, *deployment;
	} cases[] = {
		{"deployment", "cart-7d9f8b6c5-x2x4k", "7d9f8b6c5", "cart-7d9f8b6c5", "cart"},
		{"dashes in the name", "my-cart-v2-7d9f8b6c5-x2x4k", "7d9f8b6c5", "my-cart-v2-7d9f8b6c5",
		 "my-cart-v2"},
		{"no label", "cart-7d9f8b6c5-x2x4k", NULL, NULL, NULL},
		{"empty label", "cart-7d9f8b6c5-x2x4k", "", NULL, NULL},
		{"another hash", "cart-7d9f8b6c5-x2x4k", "7d9f8b6c6", NULL, NULL},
		{"end of a hash", "cart-7d9f8b6c5-x2x4k", "9f8b6c5", NULL, NULL},
		{"suffix too short", "cart-7d9f8b6c5-x2x4", "7d9f8b6c5", NULL, NULL},
		{"suffix too long", "cart-7d9f8b6c5-x2x4kk", "7d9f8b6c5", NULL, NULL},
		{"suffix with a vowel", "cart-7d9f8b6c5-x2a4k", "7d9f8b6c5", NULL, NULL},
		{"no deployment", "7d9f8b6c5-x2x4k", "7d9f8b6c5", NULL, NULL},
		{"dash alone", "-7d9f8b6c5-x2x4k", "7d9f8b6c5", NULL, NULL},
		{"shortest", "a-b-x2x4k", "b", "a-b", "a"},
		{"name cut by the generator", "a-very-long-name-of-a-deployment-that-was-cut-7d9f8b6c5x2x4k",
		 "7d9f8b6c5", NULL, NULL},
		{"no name", "", "7d9f8b6c5", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		void *index;
		struct crier_meta_pod meta = cart_pod(cases[i].pod, cases[i].hash);

		assert_int_equal(setup(&index), 0);
		struct crier_pod *pod = add_pod(index, "s1", "u1");

		assert_int_equal(crier_index_merge_pod(index, pod, &meta, CRI, NULL), 1);
		if (!crier_slice_equal(pod->replicaset, crier_slice_of(cases[i].set)) ||
		    !crier_slice_equal(pod->deployment, crier_slice_of(cases[i].deployment)))
			fail_msg("%s: %.*s", cases[i].name, (int)pod->replicaset.len, pod->replicaset.ptr);
		assert_null(pod->labels); /* the proof needs no leave of the allow-list */
		teardown(&index);
	}
}

static void test_labels(void **state)
{
	static const char *const allowed[] = {"app", "app.kubernetes.io/*", "", NULL};
	static const struct {
		const char *key;
		bool kept;
	} labels[] = {
		{"app", true},
		{"apple", false},
		{"app.kubernetes.io/name", true},
		{"app.kubernetes.io/", true},
		{"kubernetes", false},
		{"", false},
	};
	struct crier_meta_pod meta = cart_pod("cart-0", NULL);
	struct crier_pod *pod = add_pod(*state, "s1", "u1");
	size_t kept = 0;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(labels); i++)
		meta.labels.items[meta.labels.count++] =
			(struct crier_meta_label){crier_slice_of(labels[i].key), CRIER_SLICE("value")};
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, allowed), 1);
	assert_non_null(pod->labels);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(labels); i++)
		if (labels[i].kept)
			assert_true(crier_slice_equal(pod->labels->items[kept++].key,
						      crier_slice_of(labels[i].key)));
	assert_int_equal(pod->labels->count, kept);
	uint32_t version = pod->version;

	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, allowed), 0);
	assert_int_equal(pod->version, version);
	meta.labels.items[0].value = CRIER_SLICE("other");
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, LIST, allowed), 0); /* weaker */
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, allowed), 1);
	assert_true(crier_slice_equal(pod->labels->items[0].value, CRIER_SLICE("other")));
	assert_true(pod->version > version);
	meta.labels.count = 0;
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, allowed), 0);
	assert_non_null(pod->labels);		       /* an answer without labels tells nothing of them */
	meta.labels.count = CRIER_META_LABELS_MAX + 1; /* a lie: no more than fit are read */
	for (size_t i = 0; i < CRIER_META_LABELS_MAX; i++)
		meta.labels.items[i] = (struct crier_meta_label){CRIER_SLICE("app"), CRIER_SLICE("x")};
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, allowed), 1);
	assert_int_equal(pod->labels->count, CRIER_META_LABELS_MAX);
}

static void test_qos(void **state)
{
	static const struct {
		const char *name, *parent;
		enum crier_qos expected;
	} cases[] = {
		{"cgroupfs", "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555",
		 CRIER_QOS_BURSTABLE},
		{"slice", "kubepods-besteffort-pod11111111_2222_3333_4444_555555555555.slice",
		 CRIER_QOS_BEST_EFFORT},
		{"guaranteed", "/kubepods/pod11111111-2222-3333-4444-555555555555", CRIER_QOS_GUARANTEED},
		{"something else", "/mine", CRIER_QOS_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		void *index;
		struct crier_meta_pod meta = cart_pod("cart-0", NULL);

		assert_int_equal(setup(&index), 0);
		struct crier_pod *pod = add_pod(index, "s1", "u1");

		meta.cgroup_parent = crier_slice_of(cases[i].parent);
		assert_int_equal(crier_index_merge_pod(index, pod, &meta, CRI, NULL), 1);
		if (pod->qos != cases[i].expected)
			fail_msg("%s: %d", cases[i].name, pod->qos);
		uint32_t version = pod->version;

		assert_int_equal(crier_index_pod_set_qos(index, pod, CRIER_QOS_UNKNOWN, CRI), 0);
		assert_int_equal(crier_index_pod_set_qos(index, pod, (enum crier_qos)pod->qos, CRI), 0);
		assert_int_equal(pod->version, version);
		teardown(&index);
	}
}

/* A workload's pods hold one set, for as long as one of them holds it. */
static void test_equal_sets_are_one(void **state)
{
	static const char *const allowed[] = {"app", NULL};
	struct crier_pod *a = add_pod(*state, "s1", "u1"), *b = add_pod(*state, "s2", "u2");
	struct crier_meta_pod meta = pod_nothing();

	meta.labels.items[0] = (struct crier_meta_label){CRIER_SLICE("app"), CRIER_SLICE("cart")};
	meta.labels.count = 1;
	assert_int_equal(crier_index_merge_pod(*state, a, &meta, CRI, allowed), 1);
	assert_int_equal(crier_index_merge_pod(*state, b, &meta, CRI, allowed), 1);
	assert_ptr_equal(a->labels, b->labels);
	meta.labels.items[0].value = CRIER_SLICE("till");
	assert_int_equal(crier_index_merge_pod(*state, a, &meta, CRI, allowed), 1);
	assert_true(crier_slice_equal(a->labels->items[0].value, CRIER_SLICE("till")));
	assert_true(crier_slice_equal(b->labels->items[0].value, CRIER_SLICE("cart")));
	assert_int_equal(crier_index_merge_pod(*state, b, &meta, CRI, allowed), 1);
	assert_ptr_equal(a->labels, b->labels);
	meta.labels.items[0].value = CRIER_SLICE("cart"); /* nobody held it any more */
	assert_int_equal(crier_index_merge_pod(*state, a, &meta, CRI, allowed), 1);
	assert_true(crier_slice_equal(a->labels->items[0].value, CRIER_SLICE("cart")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workload),
		cmocka_unit_test_setup_teardown(test_labels, setup, teardown),
		cmocka_unit_test_setup_teardown(test_equal_sets_are_one, setup, teardown),
		cmocka_unit_test(test_qos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
