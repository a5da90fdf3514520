/* SPDX-License-Identifier: Apache-2.0 */
/* What the node's files say, in lines: at once, a little later, never, and said by whom. */
#include "pipeline_fixture.h"

#define BUNDLE "/run/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/config.json"
#define PODS   "/var/log/pods/shop_cart-1_" POD_UID
#define LINK   "/var/log/containers/cart-1_shop_app-" ID_A ".log"
#define TEXT   "/var/log/pods/shop_cart-1_" POD_UID "/app/2.log"

static void put_bundle(struct node *node, const char *pod_name)
{
	char text[20000];

	snprintf(
		text, sizeof(text),
		"{\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\","
		"\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX "\",\"io.kubernetes.cri.sandbox-name\":\"%s\","
		"\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\"io.kubernetes.cri.sandbox-uid\":\"" POD_UID
		"\"}}",
		pod_name);
	node_file(node, BUNDLE, text);
}

/* The kubelet's folders are there, and the pod's in them. */
static void put_logs(struct node *node)
{
	node_file(node, PODS "/app/0.log", "");
	node_file(node, "/var/log/containers/other", "");
}

static void assert_line(json_t *line, const char *status, const char *source, const char *name)
{
	assert_string_equal(text_at(line, "attribution.status"), status);
	assert_string_equal(text_at(line, "attribution.source"), source);
	assert_string_equal(text_at(line, "container.id"), ID_A);
	assert_string_equal(text_at(line, "k8s.pod.uid"), POD_UID);
	assert_string_equal(text_at(line, "k8s.container.name"), name);
}

static void begin(struct node *node)
{
	feed_mkdir(node, CG_A, CG_POD, ID_A);
	feed_populated(node, CG_A, 1);
	feed_exec(node, CG_A, 4242, node->now_ns, "/bin/app");
}

/* ---- without a runtime ---- */

static void test_bundle_at_once(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	put_bundle(node, "cart-1");
	put_logs(node);
	begin(node);
	assert_line(line_of(node, "container.created", 0), "full", "oci_bundle", "app");
	assert_line(line_of(node, "container.started", 0), "full", "oci_bundle", "app");
	assert_string_equal(text_at(line_of(node, "process.exec", 0), "k8s.pod.name"), "cart-1");
	assert_int_equal(node->scans, 0); /* nothing was left to be asked */
	node_free(node);
}

static void test_path_alone(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	begin(node);
	assert_line(line_of(node, "container.started", 0), "partial", "cgroup_path", "(absent)");
	assert_string_equal(text_at(line_of(node, "container.started", 0), "attribution.reason"), "cri_off");
	node_free(node);
}

/* The link comes 30 ms after the container: its lines wait for it. */
static void test_link_a_little_later(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);
	size_t lines = node->line_count;
	json_t *line;

	(void)state;
	put_logs(node);
	begin(node);
	run_until(node, node->now_ns + 30 * MS);
	assert_int_equal(node->line_count, lines);
	node_file(node, LINK, TEXT);
	run_until(node, node->now_ns + 50 * MS);
	line = line_of(node, "container.started", 0);
	assert_line(line, "full", "log_directory", "app");
	assert_string_equal(text_at(line, "k8s.pod.name"), "cart-1");
	assert_string_equal(text_at(line, "k8s.namespace.name"), "shop");
	assert_int_equal(int_at(line, "k8s.container.restart_count"), 2);
	assert_int_equal(int_at(line, "attribution.wait_us"), 70000); /* looked at after 10, 30 and 70 ms */
	assert_int_equal(count_of(node, "container.resolved"), 0);
	node->scans = 0;
	run_until(node, node->now_ns + 60 * S);
	assert_int_equal(node->scans, 0);
	node_free(node);
}

/* It comes when the lines have left: they are mended. */
static void test_link_too_late(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);
	json_t *started, *resolved;

	(void)state;
	put_logs(node);
	begin(node);
	run_until(node, node->now_ns + 501 * MS);
	started = line_of(node, "container.started", 0);
	assert_line(started, "partial", "log_directory", "(absent)");
	assert_string_equal(text_at(started, "k8s.pod.name"), "cart-1"); /* that much is sure */
	assert_string_equal(text_at(started, "attribution.reason"), "cri_off");
	node_file(node, LINK, TEXT);
	run_until(node, node->now_ns + 5 * S);
	resolved = line_of(node, "container.resolved", 0);
	assert_line(resolved, "full", "log_directory", "app");
	assert_int_equal(int_at(resolved, "data.mends.count"), 3);
	assert_true(int_at(resolved, "data.mends.from_seq") <= int_at(started, "seq"));
	assert_true(int_at(resolved, "data.mends.to_seq") >= int_at(started, "seq"));
	node_free(node);
}

/* A sandbox has no link: looking for it ends. */
static void test_link_never(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	put_logs(node);
	begin(node);
	run_until(node, node->now_ns + 30 * S);
	assert_int_equal(node->scans, 1 + 12); /* the pod's folder, and the link at 0, 10, 30 ms and so on */
	node->scans = 0;
	run_until(node, node->now_ns + 600 * S);
	assert_int_equal(node->scans, 0);
	assert_line(line_of(node, "container.started", 0), "partial", "log_directory", "(absent)");
	node_free(node);
}

/* It lived for 5 ms, and its link is made after its end. */
static void test_short_life(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	put_logs(node);
	begin(node);
	node->now_ns += 5 * MS;
	feed_exit(node, CG_A, 4242, node->now_ns - 5 * MS, 3 << 8, 0);
	feed_populated(node, CG_A, 0);
	feed_rmdir(node, CG_A);
	run_until(node, node->now_ns + 10 * MS);
	assert_int_equal(count_of(node, "container.exited"), 0);
	node_file(node, LINK, TEXT);
	run_until(node, node->now_ns + 100 * MS);
	assert_line(line_of(node, "container.exited", 0), "full", "log_directory", "app");
	assert_int_equal(int_at(line_of(node, "container.exited", 0), "data.exit_code"), 3);
	node_free(node);
}

/* Two would fit: none is believed, and it is counted. */
static void test_two_links(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);

	(void)state;
	put_logs(node);
	node_file(node, LINK, TEXT);
	node_file(node, "/var/log/containers/cart-2_shop_app-" ID_A ".log",
		  "/var/log/pods/shop_cart-2_" POD_UID "/app/2.log");
	begin(node);
	run_until(node, node->now_ns + 30 * S);
	assert_line(line_of(node, "container.started", 0), "partial", "log_directory", "(absent)");
	node_free(node);
}

/* A second container of the pod: its pod's name is there already, and so is who told it. */
static void test_source_of_a_partial_line(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);
	json_t *line;

	(void)state;
	put_logs(node);
	begin(node);
	feed_mkdir(node, CG_B, CG_POD, ID_B);
	feed_exec(node, CG_B, 4300, node->now_ns, "/bin/other");
	feed_exec(node, CG_POD, 4301, node->now_ns, "/bin/in-the-pod");
	run_until(node, node->now_ns + 501 * MS);
	line = line_of(node, "container.started", 1);
	assert_string_equal(text_at(line, "container.id"), ID_B);
	assert_string_equal(text_at(line, "attribution.status"), "partial");
	assert_string_equal(text_at(line, "attribution.source"), "log_directory");
	line = line_of(node, "process.exec", 0); /* did not wait */
	assert_string_equal(text_at(line, "attribution.reason"), "pod_level");
	assert_string_equal(text_at(line, "attribution.source"), "log_directory");
	assert_string_equal(text_at(line, "k8s.pod.name"), "cart-1");
	node_free(node);
}

static void test_runs_already(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->runs_already = true;
	put_logs(node);
	node_file(node, LINK, TEXT);
	node_start(node, false);
	assert_line(line_of(node, "container.snapshot", 0), "full", "log_directory", "app");
	node_free(node);
}

/* ---- beside a runtime ---- */

/* Nobody listens on its socket: what files may say is waited for all the same. */
static void test_runtime_down(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node_start(node, true);
	node->now_ns += S;
	static struct crier_meta_message message;

	crier_meta_clear(&message);
	message.type = CRIER_META_DOWN;
	message.error = CRIER_SLICE("connection refused");
	feed_mail(node, &message);
	put_logs(node);
	begin(node);
	mail_missing(node, ID_A, CRIER_META_UNAVAILABLE);
	feed_mail(node, &message);
	assert_int_equal(count_of(node, "container.started"), 0);
	node_file(node, LINK, TEXT);
	run_until(node, node->now_ns + 20 * MS);
	assert_line(line_of(node, "container.started", 0), "full", "log_directory", "app");
	node_free(node);
}

/* It is frozen: its word would be better, so it is waited for a moment, and then what files said is told. */
static void test_runtime_frozen(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	put_logs(node);
	begin(node);
	node_file(node, LINK, TEXT);
	run_until(node, node->now_ns + 9 * MS);
	assert_int_equal(count_of(node, "container.started"), 0);
	run_until(node, node->now_ns + 22 * MS);
	assert_line(line_of(node, "container.started", 0), "full", "log_directory", "app");
	mail_container(node, ID_A,
		       "app"); /* at last: it says the pod's name otherwise, and it is the authority */
	feed_exec(node, CG_A, 4300, node->now_ns, "/bin/later");
	assert_line(line_of(node, "process.exec", 1), "full", "cri", "app");
	assert_string_equal(text_at(line_of(node, "process.exec", 1), "k8s.pod.name"),
			    "cart-7d9f8b6c5-x2x4k");
	node_free(node);
}

/* It answers in a millisecond: files are not asked again. */
static void test_runtime_answers(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, true);

	(void)state;
	put_logs(node);
	begin(node);
	mail_container(node, ID_A, "app");
	node->scans = 0;
	run_until(node, node->now_ns + 30 * S);
	assert_int_equal(node->scans, 0);
	assert_line(line_of(node, "container.started", 0), "full", "cri", "app");
	node_free(node);
}

/* ---- what is refused ---- */

static void test_refusals_are_counted(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);
	json_t *stats;

	(void)state;
	node->config.stats_interval_ms = 1000;
	node_start(node, false);
	node_file(node, BUNDLE, "!-27"); /* EFBIG */
	node_file(node, "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/" ID_A "/config.json",
		  "!-40");
	begin(node);
	run_until(node, node->now_ns + 2 * S);
	assert_line(line_of(node, "container.started", 0), "partial", "cgroup_path", "(absent)");
	stats = line_of(node, "agent.stats", 0);
	assert_int_equal(int_at(stats, "data.lookups_refused.too_large"), 1);
	assert_int_equal(int_at(stats, "data.lookups_refused.symlink"), 1);
	assert_int_equal(int_at(stats, "data.lookups_refused.malformed"), 0);
	node_free(node);
}

/* ---- hostile names: one line each, JSON, within its bound; node_line() asserts the first two ---- */

static void test_hostile_names(void **state)
{
	static char long_name[16 * 1024 + 1];
	static const struct {
		const char *json;
		const char *told; /* NULL: any */
	} rows[] = {
		{long_name, NULL},
		{"a\\\"b\\\\c", "a\"b\\c"},
		{"a\\nb\\r\\u001b[31mc", "a\nb\r\x1b[31mc"},
		{"a\\u0000b", NULL},
		{"\\ud83d\\ude00", "\xf0\x9f\x98\x80"},
	};

	(void)state;
	memset(long_name, 'x', sizeof(long_name) - 1);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct node *node = node_new(CRIER_PROFILE_FULL, false);
		json_t *line, *name;

		put_bundle(node, rows[i].json);
		begin(node);
		line = line_of(node, "container.started", 0);
		assert_line(line, "full", "oci_bundle", "app");
		name = at(line, "k8s.pod.name");
		assert_true(json_string_length(name) > 0 && json_string_length(name) < 4096);
		if (rows[i].told)
			assert_string_equal(json_string_value(name), rows[i].told);
		node_free(node);
	}
}

static void test_invalid_utf8_is_no_json(void **state)
{
	struct node *node = node_config(CRIER_PROFILE_FULL);

	(void)state;
	node->config.stats_interval_ms = 1000;
	node_start(node, false);
	put_bundle(node, "a\xff\xfe");
	begin(node);
	run_until(node, node->now_ns + 2 * S);
	assert_line(line_of(node, "container.started", 0), "partial", "cgroup_path", "(absent)");
	assert_int_equal(int_at(line_of(node, "agent.stats", 0), "data.lookups_refused.malformed"), 1);
	node_free(node);
}

/* 63 and 65 digits are no id: a directory like that below a pod is the pod's, and no file is asked for it. */
static void test_ids_of_other_lengths(void **state)
{
	static const char *const leaves[] = {
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		ID_A "a",
		"cri-containerd-" ID_A "a.scope",
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(leaves); i++) {
		struct node *node = node_new(CRIER_PROFILE_FULL, false);

		put_logs(node);
		feed_mkdir(node, CG_A, CG_POD, leaves[i]);
		feed_exec(node, CG_A, 4242, node->now_ns, "/bin/app");
		assert_string_equal(text_at(line_of(node, "process.exec", 0), "container.id"), "(absent)");
		assert_int_equal(node->scans, 0);
		node_free(node);
	}
}

/* A path grown to 4,096 bytes and beyond, level by level: events in it leave in bounded lines. */
static void test_long_paths(void **state)
{
	struct node *node = node_new(CRIER_PROFILE_FULL, false);
	char leaf[256];
	uint64_t parent;

	(void)state;
	put_bundle(node, "cart-1");
	begin(node);
	memset(leaf, 'd', 250);
	leaf[250] = '\0';
	parent = CG_A;
	for (uint64_t depth = 0; depth < 20; depth++) { /* some 5,000 bytes in the end */
		feed_mkdir(node, 1000 + depth, parent, leaf);
		feed_exec(node, 1000 + depth, 5000 + (uint32_t)depth, node->now_ns, "/bin/deep");
		parent = 1000 + depth;
	}
	for (size_t i = 0; i < 21; i++) {
		json_t *line = line_of(node, "process.exec", i);

		/* an ancestor is known, so the container is */
		assert_line(line, "full", "oci_bundle", "app");
	}
	node_free(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bundle_at_once),
		cmocka_unit_test(test_path_alone),
		cmocka_unit_test(test_link_a_little_later),
		cmocka_unit_test(test_link_too_late),
		cmocka_unit_test(test_link_never),
		cmocka_unit_test(test_short_life),
		cmocka_unit_test(test_two_links),
		cmocka_unit_test(test_source_of_a_partial_line),
		cmocka_unit_test(test_runs_already),
		cmocka_unit_test(test_runtime_down),
		cmocka_unit_test(test_runtime_frozen),
		cmocka_unit_test(test_runtime_answers),
		cmocka_unit_test(test_refusals_are_counted),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_invalid_utf8_is_no_json),
		cmocka_unit_test(test_ids_of_other_lengths),
		cmocka_unit_test(test_long_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
