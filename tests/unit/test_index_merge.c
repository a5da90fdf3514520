/* SPDX-License-Identifier: Apache-2.0 */
/* What sources tell, merged: who wins over whom, what contradicts, the runtime. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "crier/index.h"

#define PATH   CRIER_SOURCE_CGROUP_PATH
#define LOGS   CRIER_SOURCE_LOG_DIRECTORY
#define BUNDLE CRIER_SOURCE_OCI_BUNDLE
#define LIST   CRIER_SOURCE_CRI_LIST
#define CRI    CRIER_SOURCE_CRI

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

static struct crier_container *add(struct crier_index *index, const char *id)
{
	struct crier_container *container = NULL;

	assert_int_equal(crier_index_container_add(index, crier_slice_of(id), 1, &container), 0);
	return container;
}

static struct crier_pod *add_pod(struct crier_index *index, const char *sandbox_id, const char *uid)
{
	struct crier_pod *pod = NULL;

	assert_int_equal(crier_index_pod_add(index, crier_slice_of(sandbox_id), crier_slice_of(uid), &pod),
			 0);
	return pod;
}

/* A message with nothing in it; crier_meta_clear is another module's. */
static struct crier_meta_container nothing(void)
{
	return (struct crier_meta_container){
		.restart_count = CRIER_UNKNOWN_U64,
		.state = CRIER_STATE_UNKNOWN,
		.created_at_ns = CRIER_UNKNOWN_U64,
		.started_at_ns = CRIER_UNKNOWN_U64,
		.finished_at_ns = CRIER_UNKNOWN_U64,
		.exit_code = CRIER_UNKNOWN_I64,
		.pid = CRIER_UNKNOWN_U64,
		.memory_limit_bytes = CRIER_UNKNOWN_U64,
		.cpu_quota_us = CRIER_UNKNOWN_U64,
		.cpu_period_us = CRIER_UNKNOWN_U64,
		.grace_period_s = CRIER_UNKNOWN_U64,
	};
}

static struct crier_meta_container full(void)
{
	struct crier_meta_container meta = nothing();

	meta.id = CRIER_SLICE("c1");
	meta.sandbox_id = CRIER_SLICE("s1");
	meta.name = CRIER_SLICE("app");
	meta.pod_name = CRIER_SLICE("cart-0");
	meta.pod_namespace = CRIER_SLICE("shop");
	meta.pod_uid = CRIER_SLICE("u1");
	meta.image = CRIER_SLICE("registry/cart:1");
	meta.state = CRIER_STATE_RUNNING;
	meta.restart_count = 2;
	meta.pid = 4711;
	meta.memory_limit_bytes = 1 << 20;
	return meta;
}

static struct crier_meta_pod pod_nothing(void)
{
	return (struct crier_meta_pod){.created_at_ns = CRIER_UNKNOWN_U64, .pid = CRIER_UNKNOWN_U64};
}

static void assert_slice(struct crier_slice slice, const char *expected)
{
	if (!expected) {
		assert_null(slice.ptr);
		return;
	}
	assert_non_null(slice.ptr);
	assert_string_equal(slice.ptr, expected); /* NUL-terminated as promised */
	assert_int_equal(slice.len, strlen(expected));
}

static uint64_t contradictions(const struct crier_index *index)
{
	struct crier_index_counts counts;

	crier_index_counts(index, &counts);
	return counts.contradictions;
}

/* ---- containers ---- */

static void test_full_answer(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = full();
	uint32_t version = c->version;

	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 1);
	assert_true(c->version > version);
	assert_slice(c->name, "app");
	assert_slice(c->image, "registry/cart:1");
	assert_slice(c->image_id, NULL);
	assert_string_equal(c->sandbox_id, "s1");
	assert_int_equal(c->restart_count, 2);
	assert_int_equal(c->init_pid, 4711);
	assert_int_equal(c->memory_limit_bytes, 1 << 20);
	assert_true(c->cpu_quota_us == CRIER_UNKNOWN_U64);
	assert_int_equal(c->cri_state, CRIER_STATE_RUNNING);
	assert_int_equal(c->source, CRI);
	assert_non_null(c->pod);
	assert_slice(c->pod->name, "cart-0");
	assert_slice(c->pod->namespace_, "shop");
	assert_string_equal(c->pod->uid, "u1");
	assert_string_equal(c->pod->sandbox_id, "s1");
	assert_int_equal(c->pod->references, 1);
	assert_true(crier_container_is_identified(c));
	version = c->version;
	uint32_t pod_version = c->pod->version;

	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 0); /* the same again */
	assert_int_equal(c->version, version);
	assert_int_equal(c->pod->version, pod_version);
}

/* One field told twice: which of the words stands. */
static void test_who_wins(void **state)
{
	static const struct {
		const char *name;
		enum crier_source first, second;
		const char *first_image, *second_image, *image;
		int result;
	} cases[] = {
		{"filled", PATH, PATH, NULL, "b", "b", 1},
		{"same", CRI, CRI, "a", "a", "a", 0},
		{"newer of the same source", CRI, CRI, "a", "b", "b", 1},
		{"better source", LIST, CRI, "a", "b", "b", 1},
		{"weaker source", CRI, LIST, "a", "b", "a", 0},
		{"weaker fills", CRI, BUNDLE, NULL, "b", "b", 1},
		{"absent takes nothing away", LIST, CRI, "a", NULL, "a", 0},
		{"empty takes nothing away", LIST, CRI, "a", "", "a", 0},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		char id[] = "c0";

		id[1] = (char)('0' + i);
		struct crier_container *c = add(*state, id);
		struct crier_meta_container meta = nothing();

		meta.image = crier_slice_of(cases[i].first_image);
		assert_true(crier_index_merge_container(*state, c, &meta, cases[i].first) >= 0);
		uint32_t version = c->version;

		meta.image = crier_slice_of(cases[i].second_image);
		if (crier_index_merge_container(*state, c, &meta, cases[i].second) != cases[i].result)
			fail_msg("%s", cases[i].name);
		assert_slice(c->image, cases[i].image);
		assert_int_equal(c->version > version, cases[i].result);
	}
}

/* A field that a weak source filled late is not shielded by the better source of other fields. */
static void test_source_is_of_the_field(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = full();

	meta.image = CRIER_SLICE_NONE;
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 1);
	meta = nothing();
	meta.image = CRIER_SLICE("of-the-bundle");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, BUNDLE), 1);
	meta.image = CRIER_SLICE("of-the-list");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, LIST), 1);
	assert_slice(c->image, "of-the-list");
	assert_int_equal(c->source, CRI);
}

struct contradiction_case {
	const char *name;
	enum crier_source source;
	struct crier_meta_container told;
	int result;
};

/* After a full answer by CRI_LIST. Nothing of a refused message is taken. */
static void test_contradictions(void **state)
{
	static const struct contradiction_case cases[] = {
		{"name", LIST, {.name = {"other", 5}}, -EEXIST},
		{"name of a weaker source", PATH, {.name = {"other", 5}}, -EEXIST},
		{"name of a better source", CRI, {.name = {"other", 5}}, 1},
		{"pod name", LIST, {.sandbox_id = {"s1", 2}, .pod_name = {"other", 5}}, -EEXIST},
		{"pod name without sandbox", LIST, {.pod_name = {"other", 5}}, -EEXIST},
		{"namespace", LIST, {.sandbox_id = {"s1", 2}, .pod_namespace = {"other", 5}}, -EEXIST},
		{"uid", LIST, {.pod_uid = {"u2", 2}}, -EEXIST},
		{"uid of the path", PATH, {.pod_uid = {"u2", 2}}, -EEXIST},
		{"sandbox", LIST, {.sandbox_id = {"s2", 2}}, -EEXIST},
		{"another container", CRI, {.id = {"c9", 2}}, -EEXIST},
		{"nothing new", LIST, {.name = {"app", 3}, .pod_uid = {"u1", 2}}, 0},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		void *index;
		struct crier_meta_container meta = full(), told = nothing();

		assert_int_equal(setup(&index), 0);
		struct crier_container *c = add(index, "c1");

		assert_int_equal(crier_index_merge_container(index, c, &meta, LIST), 1);
		told.id = cases[i].told.id;
		told.sandbox_id = cases[i].told.sandbox_id;
		told.name = cases[i].told.name;
		told.pod_name = cases[i].told.pod_name;
		told.pod_namespace = cases[i].told.pod_namespace;
		told.pod_uid = cases[i].told.pod_uid;
		if (cases[i].result < 0)
			told.image_id = CRIER_SLICE("must not be taken");
		uint32_t version = c->version;
		int r = crier_index_merge_container(index, c, &told, cases[i].source);

		if (r != cases[i].result)
			fail_msg("%s: %d", cases[i].name, r);
		if (r < 0) {
			assert_int_equal(c->version, version);
			assert_slice(c->image_id, NULL);
			assert_slice(c->name, "app");
			assert_string_equal(c->pod->uid, "u1");
			assert_slice(c->pod->name, "cart-0");
		}
		assert_int_equal(contradictions(index), r < 0);
		teardown(&index);
	}
}

/* The path named a pod; the runtime knows better. */
static void test_better_source_moves_the_container(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = nothing();

	meta.pod_uid = CRIER_SLICE("wrong");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, PATH), 1);
	const struct crier_pod *wrong = c->pod;

	meta = full();
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 1);
	assert_string_equal(c->pod->uid, "u1");
	assert_int_equal(wrong->references, 0);
	crier_index_container_set_pod(*state, c, (struct crier_pod *)wrong); /* the path says it again */
	assert_string_equal(c->pod->uid, "u1");
}

/* ListContainers tells the sandbox without the uid: the pod known by the path's uid is that sandbox's. */
static void test_uid_of_the_path_joins_the_sandbox(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_pod *bare = add_pod(*state, NULL, "u1");
	struct crier_meta_container meta = full();

	crier_index_container_set_pod(*state, c, bare);
	meta.pod_uid = CRIER_SLICE_NONE;
	assert_int_equal(crier_index_merge_container(*state, c, &meta, LIST), 1);
	assert_ptr_equal(c->pod, bare);
	assert_string_equal(bare->sandbox_id, "s1");
	assert_string_equal(bare->uid, "u1");

	struct crier_meta_pod pod = pod_nothing();

	pod.sandbox_id = CRIER_SLICE("s1");
	pod.uid = CRIER_SLICE("u2"); /* the path was wrong, and only as sure as a path */
	assert_int_equal(crier_index_merge_pod(*state, bare, &pod, CRI, NULL), 1);
	assert_string_equal(bare->uid, "u2");
	assert_null(crier_index_pod_by_uid(*state, CRIER_SLICE("u1")));
	pod.uid = CRIER_SLICE("u3");
	assert_int_equal(crier_index_merge_pod(*state, bare, &pod, CRI, NULL), -EEXIST);
}

static void test_state_goes_forward_only(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = nothing();
	static const struct {
		uint64_t told;
		enum crier_source source;
		uint8_t expected;
	} steps[] = {
		{CRIER_STATE_CREATED, CRI, CRIER_STATE_CREATED},
		{CRIER_STATE_EXITED, LIST, CRIER_STATE_EXITED},
		{CRIER_STATE_RUNNING, CRI, CRIER_STATE_EXITED},
		{CRIER_UNKNOWN_U64, CRI, CRIER_STATE_EXITED},
		{CRIER_STATE_COUNT, CRI, CRIER_STATE_EXITED},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(steps); i++) {
		meta.state = steps[i].told;
		assert_true(crier_index_merge_container(*state, c, &meta, steps[i].source) >= 0);
		assert_int_equal(c->cri_state, steps[i].expected);
	}
}

static void test_exit_code(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = nothing();

	meta.state = CRIER_STATE_EXITED;
	meta.exit_code = 0;
	meta.reason = CRIER_SLICE("OOMKilled");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 1);
	assert_int_equal(c->runtime_exit_code, 0);
	assert_slice(c->runtime_reason, "OOMKilled");
}

static void test_types(void **state)
{
	static const struct {
		const char *told;
		enum crier_container_type expected;
	} cases[] = {
		{"init", CRIER_CONTAINER_TYPE_INIT},
		{"ephemeral", CRIER_CONTAINER_TYPE_EPHEMERAL},
		{"app", CRIER_CONTAINER_TYPE_APP},
		{"sandbox", CRIER_CONTAINER_TYPE_SANDBOX},
		{"podsandbox", CRIER_CONTAINER_TYPE_SANDBOX},
		{"container", CRIER_CONTAINER_TYPE_UNKNOWN},
		{NULL, CRIER_CONTAINER_TYPE_UNKNOWN},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		char id[] = "c0";

		id[1] = (char)('0' + i);
		struct crier_container *c = add(*state, id);
		struct crier_meta_container meta = nothing();

		meta.type = crier_slice_of(cases[i].told);
		assert_true(crier_index_merge_container(*state, c, &meta, CRI) >= 0);
		assert_int_equal(c->type, cases[i].expected);
	}
}

static void test_sandbox_by_its_id(void **state)
{
	struct crier_container *c = add(*state, "s1");
	struct crier_meta_container meta = full();

	meta.id = CRIER_SLICE("s1");
	meta.name = CRIER_SLICE_NONE;
	assert_int_equal(crier_index_merge_container(*state, c, &meta, BUNDLE), 1);
	assert_int_equal(c->type, CRIER_CONTAINER_TYPE_SANDBOX);
	assert_true(crier_container_is_identified(c)); /* needs no name */
}

static void test_identified(void **state)
{
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = nothing();

	meta.pod_uid = CRIER_SLICE("u1");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, PATH), 1);
	assert_false(crier_container_is_identified(c));
	meta.pod_name = CRIER_SLICE("cart-0");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, LOGS), 1);
	assert_false(crier_container_is_identified(c));
	meta.pod_namespace = CRIER_SLICE("shop");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, LOGS), 1);
	assert_false(crier_container_is_identified(c));
	meta.name = CRIER_SLICE("app");
	assert_int_equal(crier_index_merge_container(*state, c, &meta, LOGS), 1);
	assert_true(crier_container_is_identified(c));
	assert_int_equal(c->source, LOGS);
}

static void test_long_text_is_cut(void **state)
{
	static char text[CRIER_META_STRING_MAX + 100];
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = nothing();

	memset(text, 'x', sizeof(text));
	meta.name = (struct crier_slice){text, sizeof(text)};
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 1);
	assert_int_equal(c->name.len, CRIER_META_STRING_MAX);
	assert_int_equal(c->name.ptr[CRIER_META_STRING_MAX], 0);
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), 0); /* the same, cut the same */
}

/* Of equal texts there is one, for as long as anybody holds it. */
static void test_common_texts_are_one(void **state)
{
	struct crier_container *a = add(*state, "a"), *b = add(*state, "b");
	struct crier_meta_container meta = nothing();

	meta.image = CRIER_SLICE("shop/cart:1.4");
	assert_int_equal(crier_index_merge_container(*state, a, &meta, CRI), 1);
	assert_int_equal(crier_index_merge_container(*state, b, &meta, CRI), 1);
	assert_ptr_equal(a->image.ptr, b->image.ptr);
	meta.image = CRIER_SLICE("shop/cart:1.5");
	assert_int_equal(crier_index_merge_container(*state, a, &meta, CRI), 1);
	assert_slice(a->image, "shop/cart:1.5");
	assert_slice(b->image, "shop/cart:1.4");
	assert_int_equal(crier_index_merge_container(*state, b, &meta, CRI),
			 1); /* nobody holds 1.4 any more */
	assert_ptr_equal(a->image.ptr, b->image.ptr);
	meta.image = CRIER_SLICE("shop/cart:1.4");
	assert_int_equal(crier_index_merge_container(*state, a, &meta, CRI), 1);
	assert_slice(a->image, "shop/cart:1.4");
	assert_slice(b->image, "shop/cart:1.5");
}

static void test_uid_or_sandbox_too_long(void **state)
{
	static char text[CRIER_ID_MAX + 1];
	struct crier_container *c = add(*state, "c1");
	struct crier_meta_container meta = nothing();

	memset(text, 'x', sizeof(text));
	meta.pod_uid = (struct crier_slice){text, CRIER_UID_MAX};
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), -EINVAL);
	meta.pod_uid = CRIER_SLICE_NONE;
	meta.sandbox_id = (struct crier_slice){text, CRIER_ID_MAX};
	assert_int_equal(crier_index_merge_container(*state, c, &meta, CRI), -EINVAL);
	assert_null(c->pod);
	assert_string_equal(c->sandbox_id, "");
}

static void test_runtime(void **state)
{
	struct crier_container *by_cri = add(*state, "c1"), *by_path = add(*state, "c2"),
			       *later = add(*state, "c3");
	struct crier_meta_container meta = full();

	by_path->runtime_name = "docker"; /* static, from the path's form */
	assert_int_equal(crier_index_merge_container(*state, by_cri, &meta, CRI), 1);
	uint32_t version = by_cri->version;

	assert_int_equal(crier_index_set_runtime(*state, CRIER_SLICE("containerd"), CRIER_SLICE("1.7.24")),
			 0);
	assert_string_equal(by_cri->runtime_name, "containerd");
	assert_string_equal(by_cri->runtime_version, "1.7.24");
	assert_string_equal(by_path->runtime_name, "docker");
	assert_true(by_cri->version > version);
	version = by_cri->version;
	assert_int_equal(crier_index_set_runtime(*state, CRIER_SLICE("containerd"), CRIER_SLICE("1.7.24")),
			 0);
	assert_int_equal(by_cri->version, version);
	meta.id = CRIER_SLICE("c3");
	meta.name = CRIER_SLICE("sidecar");
	assert_int_equal(crier_index_merge_container(*state, later, &meta, LIST), 1);
	assert_string_equal(later->runtime_version, "1.7.24");
	assert_int_equal(crier_index_set_runtime(*state, CRIER_SLICE("containerd"), CRIER_SLICE("2.1.9")), 0);
	assert_string_equal(later->runtime_version, "2.1.9");
	assert_string_equal(by_cri->runtime_version, "2.1.9");
	assert_int_equal(crier_index_set_runtime(*state, CRIER_SLICE_NONE, CRIER_SLICE_NONE), 0);
	assert_null(later->runtime_name);
}

/* ---- pods ---- */

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

static void test_pod_contradictions(void **state)
{
	struct crier_pod *pod = add_pod(*state, "s1", "u1");
	struct crier_pod *other = add_pod(*state, "s2", "u2");
	struct crier_meta_pod meta = cart_pod("cart-0", NULL);

	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, LIST, NULL), 1);
	meta.sandbox_id = CRIER_SLICE("s2"); /* another pod's */
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, NULL), -EEXIST);
	meta.sandbox_id = CRIER_SLICE("s3"); /* nobody's */
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, NULL), -EEXIST);
	meta = cart_pod("cart-1", NULL);
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, LIST, NULL), -EEXIST);
	assert_int_equal(crier_index_merge_pod(*state, pod, &meta, CRI, NULL), 1); /* a better word */
	assert_slice(pod->name, "cart-1");
	assert_slice(other->name, NULL);
	assert_int_equal(contradictions(*state), 3);
}

static void test_told_again_is_not_gone(void **state)
{
	struct crier_pod *pod = add_pod(*state, "s1", "u1");
	struct crier_meta_pod meta = cart_pod("cart-0", NULL);

	crier_index_pod_gone(*state, pod, 5);
	assert_true(crier_index_merge_pod(*state, pod, &meta, BUNDLE, NULL) >= 0);
	assert_int_equal(pod->gone_ns, 5); /* a file left behind proves nothing */
	assert_true(crier_index_merge_pod(*state, pod, &meta, CRI, NULL) >= 0);
	assert_int_equal(pod->gone_ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_full_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_wins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_source_is_of_the_field, setup, teardown),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test_setup_teardown(test_better_source_moves_the_container, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uid_of_the_path_joins_the_sandbox, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_goes_forward_only, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exit_code, setup, teardown),
		cmocka_unit_test_setup_teardown(test_types, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sandbox_by_its_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_identified, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_text_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_common_texts_are_one, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uid_or_sandbox_too_long, setup, teardown),
		cmocka_unit_test_setup_teardown(test_runtime, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pod_contradictions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_told_again_is_not_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
