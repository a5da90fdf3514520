/* SPDX-License-Identifier: Apache-2.0 */
/* Who is asked, who is believed: the table of sources over an index and a node of a few files. */
#include "test.h"

#include <stdio.h>

#include "crier/source.h"

#define ID	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SANDBOX "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define UID	"11111111-2222-3333-4444-555555555555"
#define OTHER	"99999999-2222-3333-4444-555555555555"
#define SECOND	1000000000ULL

#define CTD	  "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID
#define K3S	  "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" ID
#define CRIO	  "/run/containers/storage/overlay-containers/" ID "/userdata"
#define DOCKER	  "/var/lib/docker/containers/" ID
#define PODS	  "/var/log/pods/shop_cart-1_" UID
#define LINK	  "/var/log/containers/cart-1_shop_app-" ID ".log"
#define LINK_TEXT "/var/log/pods/shop_cart-1_" UID "/app/2.log"

#define BUNDLE(uid)                                                                                                          \
	"{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.container-type\":\"container\"," \
	"\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX "\",\"io.kubernetes.cri.sandbox-name\":\"cart-1\","                    \
	"\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" uid "\"}}"
#define LABELS(uid)                                                                                          \
	"\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"cart-1\","                    \
	"\"io.kubernetes.pod.namespace\":\"shop\",\"io.kubernetes.pod.uid\":\"" uid "\""
#define CRIO_BUNDLE "{\"annotations\":{" LABELS(UID) ",\"io.kubernetes.cri-o.ContainerType\":\"container\"}}"
#define DOCKER_CONFIG(uid)                                                                                   \
	"{\"Config\":{\"Labels\":{" LABELS(uid) ",\"io.kubernetes.docker.type\":\"container\"}}}"

struct node {
	struct {
		const char *path, *text;
		int error; /* instead of the text */
	} files[16];
	size_t file_count, looks;
	struct crier_config config;
	struct crier_sources sources;
	struct crier_container *container;
	struct crier_host host;
	char buf[64 * 1024];
};

/* ---- the node ---- */

static void put(struct node *node, const char *path, const char *text, int error)
{
	assert_true(node->file_count < CRIER_ARRAY_SIZE(node->files));
	node->files[node->file_count].path = path;
	node->files[node->file_count].text = text;
	node->files[node->file_count++].error = error;
}

static int read_at(struct node *node, const char *dir, const char *name, char *buf, size_t cap,
		   size_t *ret_len)
{
	char path[512];

	node->looks++;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (size_t i = 0; i < node->file_count; i++) {
		if (strcmp(node->files[i].path, path) != 0)
			continue;
		if (node->files[i].error)
			return node->files[i].error;
		*ret_len = strlen(node->files[i].text);
		assert_true(*ret_len <= cap);
		memcpy(buf, node->files[i].text, *ret_len);
		return 0;
	}
	return -ENOENT;
}

static int node_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		     size_t cap, size_t *ret_len)
{
	char text[4096];
	size_t len;
	int r = read_at(ctx, dir, name, text, sizeof(text), &len);

	if (r == 0 && form != CRIER_BUNDLE_PLAIN)
		return crier_bundle_keep(form, text, len, buf, cap, ret_len);
	if (r == 0 && len > cap)
		return -EFBIG;
	if (r == 0) {
		memcpy(buf, text, len);
		*ret_len = len;
	}
	return r;
}

static int node_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	return read_at(ctx, dir, name, buf, cap, ret_len);
}

/* A folder is there when something is in it; an error of the name "DIR" is the folder's. */
static int node_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	struct node *node = ctx;
	size_t len = strlen(dir), found = 0;
	bool there = false;

	node->looks++;
	for (size_t i = 0; i < node->file_count; i++) {
		const char *path = node->files[i].path;

		if (strcmp(path, dir) == 0)
			return node->files[i].error;
		if (strncmp(path, dir, len) != 0 || path[len] != '/')
			continue;
		there = true;
		if (!crier_slice_ends(crier_slice_of(path), suffix))
			continue;
		if (found)
			return -ENOTUNIQ;
		found = strlen(path + len + 1);
		assert_true(found <= cap);
		memcpy(buf, path + len + 1, found);
	}
	*ret_len = found;
	return there ? 0 : -ENOENT;
}

/* A container whose cgroup path told `uid`; "" = none. */
static struct node *node_new(const char *uid)
{
	const struct crier_index_limits limits = {16, 16, SECOND, SECOND, 16};
	struct node *node = calloc(1, sizeof(*node));
	struct crier_pod *pod;

	assert_int_equal(crier_config_init(&node->config), 0);
	node->host =
		(struct crier_host){.ctx = node, .file = node_file, .link = node_link, .find = node_find};
	node->sources.host = &node->host;
	node->sources.config = &node->config;
	node->sources.buf = node->buf;
	node->sources.cap = sizeof(node->buf);
	assert_int_equal(crier_index_new(&limits, &node->sources.index), 0);
	assert_int_equal(crier_index_container_add(node->sources.index, CRIER_SLICE(ID), 1, &node->container),
			 0);
	if (*uid) {
		assert_int_equal(
			crier_index_pod_add(node->sources.index, CRIER_SLICE_NONE, crier_slice_of(uid), &pod),
			0);
		crier_index_container_set_pod(node->sources.index, node->container, pod);
	}
	return node;
}

static void node_free(struct node *node)
{
	crier_index_free(node->sources.index);
	crier_config_done(&node->config);
	free(node);
}

static bool fill(struct node *node)
{
	return crier_source_fill(&node->sources, node->container, SECOND, false);
}

#define assert_slice(slice, text) assert_true(crier_slice_equal(slice, crier_slice_of(text)))

static void assert_known(const struct node *node, const char *name, enum crier_source source)
{
	const struct crier_container *container = node->container;

	assert_non_null(container->pod);
	assert_slice(container->name, name);
	assert_slice(container->pod->name, "cart-1");
	assert_slice(container->pod->namespace_, "shop");
	assert_string_equal(container->pod->uid, UID);
	assert_int_equal(container->source, source);
	assert_int_equal(crier_container_is_identified(container), *name != '\0');
}

static void assert_unknown(const struct node *node)
{
	assert_null(node->container->name.ptr);
	assert_true(!node->container->pod || !node->container->pod->name.len);
	assert_false(crier_container_is_identified(node->container));
}

/* Exactly one look-up was refused, for this reason. */
static void assert_refused(const struct node *node, enum crier_refusal why, uint64_t count)
{
	for (unsigned i = 0; i < CRIER_REFUSAL_COUNT; i++)
		if (node->sources.refused[i] != (i == why ? count : 0))
			fail_msg("reason %u: %llu", i, (unsigned long long)node->sources.refused[i]);
}

/* ---- bundles ---- */

static void test_bundle(void **state)
{
	static const struct {
		const char *path, *text;
	} rows[] = {
		{CTD "/config.json", BUNDLE(UID)},
		{K3S "/config.json", BUNDLE(UID)},
		{CRIO "/config.json", CRIO_BUNDLE},
		{DOCKER "/config.v2.json", DOCKER_CONFIG(UID)},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_new(UID);

		put(node, rows[i].path, rows[i].text, 0);
		put(node, "/var/log/containers/x", "", 0);
		assert_false(fill(node));
		assert_known(node, "app", CRIER_SOURCE_OCI_BUNDLE);
		assert_refused(node, CRIER_REFUSAL_COUNT, 0);
		node->looks = 0;
		assert_false(fill(node)); /* all is known: nobody is asked */
		assert_int_equal(node->looks, 0);
		node_free(node);
	}
}

/* Where the last one was is looked at first; all others after it, once. */
static void test_places(void **state)
{
	struct node *node = node_new(UID);
	uint64_t pid;

	(void)state;
	put(node, CRIO "/config.json", CRIO_BUNDLE, 0);
	put(node, CRIO "/pidfile", "4711\n", 0);
	assert_false(fill(node));
	assert_known(node, "app", CRIER_SOURCE_OCI_BUNDLE);
	node->container->source = CRIER_SOURCE_CGROUP_PATH; /* as if it were the next one */
	node->looks = 0;
	assert_false(fill(node));
	assert_int_equal(node->looks, 1);
	node->file_count = 1;
	node->looks = 0;
	assert_false(crier_source_init_pid(&node->sources, node->container, &pid));
	assert_int_equal(node->looks, 6 * 3); /* default folders times forms with a pid file */
	node->file_count = 2;
	assert_true(crier_source_init_pid(&node->sources, node->container, &pid));
	assert_int_equal(pid, 4711);
	node_free(node);
}

static void test_init_pid(void **state)
{
	static const struct {
		const char *path, *text;
		int error;
		bool told;
	} rows[] = {
		{CTD "/init.pid", "12", 0, true},
		{K3S "/init.pid", "12", 0, true},
		{"/run/containerd/io.containerd.runtime.v2.task/moby/" ID "/init.pid", "12", 0, true},
		{CTD "/init.pid", "", 0, false},
		{CTD "/init.pid", "-1", 0, false},
		{CTD "/init.pid", "12 13", 0, false},
		{CTD "/init.pid", NULL, -EIO, false},
		{CTD "/init.pid", NULL, -ELOOP, false},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_new(UID);
		uint64_t pid = 0;

		put(node, rows[i].path, rows[i].text, rows[i].error);
		assert_int_equal(crier_source_init_pid(&node->sources, node->container, &pid), rows[i].told);
		assert_int_equal(pid, rows[i].told ? 12 : 0);
		assert_int_equal(node->sources.refused[CRIER_REFUSAL_SYMLINK], rows[i].error == -ELOOP);
		node_free(node);
	}
}

static void test_long_pid_file(void **state)
{
	struct node *node = node_new(UID);
	uint64_t pid;

	(void)state;
	put(node, CTD "/init.pid", "000000000000000000000000000000000000000012", 0);
	assert_false(crier_source_init_pid(&node->sources, node->container, &pid));
	assert_refused(node, CRIER_REFUSAL_TOO_LARGE, 1);
	node_free(node);
}

/* containerd before 1.5 names no pod in its bundles, but the container and its sandbox. */
static void test_old_bundle(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, CTD "/config.json",
	    "{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX
	    "\"}}",
	    0);
	put(node, PODS, "", 0);
	assert_false(fill(node));
	assert_known(node, "app", CRIER_SOURCE_OCI_BUNDLE);
	assert_string_equal(node->container->sandbox_id, SANDBOX);
	node_free(node);
}

static void test_a_bundle_of_another_pod(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, CTD "/config.json", BUNDLE(OTHER), 0);
	assert_false(fill(node));
	assert_unknown(node);
	assert_refused(node, CRIER_REFUSAL_CONTRADICTED, 1);
	node_free(node);
}

/* Without a pod in the path (a pod made without a cgroup parent) containerd's word stands, labels of an image do not. */
static void test_nothing_in_the_path(void **state)
{
	struct node *node = node_new("");

	(void)state;
	put(node, DOCKER "/config.v2.json", DOCKER_CONFIG(UID), 0);
	assert_false(fill(node));
	assert_unknown(node);
	put(node, CTD "/config.json", BUNDLE(UID), 0);
	node->sources.last_bundle = 0;
	assert_false(fill(node));
	assert_known(node, "app", CRIER_SOURCE_OCI_BUNDLE);
	assert_refused(node, CRIER_REFUSAL_COUNT, 0);
	node_free(node);
}

static void test_docker_of_another_pod(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, DOCKER "/config.v2.json", DOCKER_CONFIG(OTHER), 0);
	assert_false(fill(node));
	assert_unknown(node);
	node_free(node);
}

/* What is no container's id leads nowhere. */
static void test_ids(void **state)
{
	static const char *const ids[] = {
		"../../../../etc",
		".",
		"a/b",
		"short",
		ID "a",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};
	struct node *node = node_new(UID);
	uint64_t pid;

	(void)state;
	put(node, CTD "/config.json", BUNDLE(UID), 0);
	put(node, LINK, LINK_TEXT, 0);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(ids); i++) {
		assert_int_equal(crier_index_container_add(node->sources.index, crier_slice_of(ids[i]), 1,
							   &node->container),
				 0);
		assert_false(fill(node));
		assert_false(crier_source_init_pid(&node->sources, node->container, &pid));
		assert_int_equal(node->looks, 0);
	}
	node_free(node);
}

/* ---- the kubelet's folders ---- */

static void test_logs(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, PODS, "", 0);
	put(node, "/var/log/containers/x", "", 0);
	assert_true(fill(node)); /* the link may come yet */
	assert_known(node, "", CRIER_SOURCE_LOG_DIRECTORY);
	put(node, LINK, LINK_TEXT, 0);
	node->looks = 0;
	assert_false(crier_source_fill(&node->sources, node->container, SECOND, true));
	assert_int_equal(node->looks, 2); /* that folder and the link; a bundle does not come late */
	assert_known(node, "app", CRIER_SOURCE_LOG_DIRECTORY);
	assert_int_equal(node->container->restart_count, 2);
	assert_refused(node, CRIER_REFUSAL_COUNT, 0);
	node_free(node);
}

/* The link alone tells all, also where the path tells no pod. */
static void test_link_alone(void **state)
{
	for (int with_uid = 0; with_uid < 2; with_uid++) {
		struct node *node = node_new(with_uid ? UID : "");

		(void)state;
		put(node, LINK, LINK_TEXT, 0);
		assert_false(fill(node));
		assert_known(node, "app", CRIER_SOURCE_LOG_DIRECTORY);
		node_free(node);
	}
}

static void test_no_folders(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	assert_false(fill(node)); /* nothing will come of it */
	assert_unknown(node);
	assert_refused(node, CRIER_REFUSAL_COUNT, 0);
	put(node, PODS, "", 0);
	put(node, LINK, LINK_TEXT, 0);
	free(node->config.pod_logs_dir);
	free(node->config.container_logs_dir);
	node->config.pod_logs_dir = strdup("");
	node->config.container_logs_dir = strdup("");
	assert_false(fill(node));
	assert_unknown(node);
	assert_refused(node, CRIER_REFUSAL_COUNT, 0);
	node_free(node);
}

static void test_log_refusals(void **state)
{
	static const struct {
		const char *path, *text;
		int error;
		enum crier_refusal why;
	} rows[] = {
		{LINK, "/etc/shadow", 0, CRIER_REFUSAL_MALFORMED},
		{LINK, "/var/log/pods/shop_cart-1_" UID "/web/2.log", 0, CRIER_REFUSAL_CONTRADICTED},
		{LINK, "/var/log/pods/shop_cart-1_" OTHER "/app/2.log", 0, CRIER_REFUSAL_CONTRADICTED},
		{LINK, NULL, -EINVAL, CRIER_REFUSAL_NOT_A_FILE},
		{LINK, NULL, -ENAMETOOLONG, CRIER_REFUSAL_TOO_LARGE},
		{"/var/log/containers", NULL, -EACCES, CRIER_REFUSAL_DENIED},
		{"/var/log/containers", NULL, -EPERM, CRIER_REFUSAL_DENIED},
		{"/var/log/containers", NULL, -ELOOP, CRIER_REFUSAL_SYMLINK},
		{"/var/log/containers", NULL, -EXDEV, CRIER_REFUSAL_SYMLINK},
		{"/var/log/containers", NULL, -E2BIG, CRIER_REFUSAL_TOO_LARGE},
		{"/var/log/containers", NULL, -ENOTUNIQ, CRIER_REFUSAL_AMBIGUOUS},
		{"/var/log/containers", NULL, -EIO, CRIER_REFUSAL_FAILED},
		{"/var/log/containers", NULL, -ENOTDIR, CRIER_REFUSAL_COUNT},
		{"/var/log/pods/SHOP_cart-1_" UID, "", 0, CRIER_REFUSAL_MALFORMED},
		{"/var/log/pods", NULL, -ENOTUNIQ, CRIER_REFUSAL_AMBIGUOUS},
		{CTD "/config.json", "{", 0, CRIER_REFUSAL_MALFORMED},
		{CTD "/config.json", NULL, -EFBIG, CRIER_REFUSAL_TOO_LARGE},
		{CTD "/config.json", NULL, -ELOOP, CRIER_REFUSAL_SYMLINK},
		{CTD "/config.json", NULL, -EINVAL, CRIER_REFUSAL_NOT_A_FILE},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_new(UID);

		put(node, rows[i].path, rows[i].text, rows[i].error);
		assert_false(fill(node));
		assert_unknown(node);
		assert_refused(node, rows[i].why, rows[i].why != CRIER_REFUSAL_COUNT);
		node_free(node);
	}
}

/* One source's refusal is not another's. */
static void test_the_next_source_is_asked(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, CTD "/config.json", NULL, -EFBIG);
	put(node, PODS, "", 0);
	put(node, LINK, LINK_TEXT, 0);
	assert_false(fill(node));
	assert_known(node, "app", CRIER_SOURCE_LOG_DIRECTORY);
	assert_refused(node, CRIER_REFUSAL_TOO_LARGE, 1);
	node_free(node);
}

/* The bundle outranks the logs, whoever came first. */
static void test_the_better_word_stands(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, "/var/log/containers/cart-9_shop_web-" ID ".log",
	    "/var/log/pods/shop_cart-9_" UID "/web/0.log", 0);
	assert_false(fill(node));
	assert_int_equal(node->container->source, CRIER_SOURCE_LOG_DIRECTORY);
	put(node, CTD "/config.json", BUNDLE(UID), 0);
	assert_false(fill(node));
	assert_known(node, "app", CRIER_SOURCE_OCI_BUNDLE);
	node_free(node);
}

/* A sandbox has no log: it is not searched for again and again. */
static void test_sandbox(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, "/var/log/pods/x", "", 0);
	put(node, "/var/log/containers/x", "", 0);
	node->container->type = CRIER_CONTAINER_TYPE_SANDBOX;
	assert_true(fill(node));		  /* its pod's folder may come */
	assert_int_equal(node->looks, 6 * 3 + 1); /* places of a bundle, the pods' folder */
	put(node, PODS, "", 0);
	assert_false(fill(node));
	node_free(node);
}

/* A storm of unknown containers does not become a storm of scans: what is put off is asked for later. */
static void test_scans_are_bounded(void **state)
{
	struct node *node = node_new(UID);

	(void)state;
	put(node, "/var/log/containers/x", "", 0);
	put(node, "/var/log/pods/x", "", 0);
	node->config.runtime_state_dirs.count = 0;
	for (int i = 0; i < CRIER_SOURCE_SCANS_PER_SECOND; i++)
		assert_true(fill(node));
	assert_int_equal(node->looks, CRIER_SOURCE_SCANS_PER_SECOND);
	assert_true(crier_source_fill(&node->sources, node->container, 2 * SECOND, true));
	assert_int_equal(node->looks, CRIER_SOURCE_SCANS_PER_SECOND + 2);
	node->config.runtime_state_dirs.count = 6; /* they are freed */
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_init_pid),
		cmocka_unit_test(test_long_pid_file),
		cmocka_unit_test(test_old_bundle),
		cmocka_unit_test(test_a_bundle_of_another_pod),
		cmocka_unit_test(test_nothing_in_the_path),
		cmocka_unit_test(test_docker_of_another_pod),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_logs),
		cmocka_unit_test(test_link_alone),
		cmocka_unit_test(test_no_folders),
		cmocka_unit_test(test_log_refusals),
		cmocka_unit_test(test_the_next_source_is_asked),
		cmocka_unit_test(test_the_better_word_stands),
		cmocka_unit_test(test_sandbox),
		cmocka_unit_test(test_scans_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
