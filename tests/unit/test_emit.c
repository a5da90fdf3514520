/* SPDX-License-Identifier: Apache-2.0 */
/* Whole lines: order and rules that hold for each, fragments, what is left out when unknown. */
#include "emit_line.h"
#include "crier/names.h"

static const enum crier_detail details[] = {CRIER_DETAIL_FULL, CRIER_DETAIL_LEAN};

/* ---- what holds for every line ---- */

static void test_rules(void **state)
{
	static const char *const taken[] = {"log",     "time",	    "stream", "_p",   "date",	 "kubernetes",
					    "message", "timestamp", "source", "host", "service", "status"};
	static struct sample s;
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		for (size_t d = 0; d < 2; d++) {
			sample_init(&s, type);
			s.options.detail = details[d];
			json_t *line = emit(&s);

			assert_true(depth_of(line) <= 8);
			for (size_t i = 0; i < CRIER_ARRAY_SIZE(taken); i++)
				assert_null(json_object_get(line, taken[i]));
			expect_text(line, "schema", "crier/1");
			expect_text(line, "instance", "3b1d9c20");
			expect_number(line, "seq", 118204);
			expect_text(line, "event_id", "3b1d9c20-118204");
			expect_text(line, "type", crier_type_names[type]);
			expect_text(line, "ts", "2026-01-05T04:12:07.123456789Z");
			expect_text(line, "boottime_ns", "912345123456789");
			expect_text(line, "k8s.node.name", "ip-10-0-3-17");
			expect_text(line, "k8s.cluster.name", "prod-eu");
			assert_non_null(at(line, "attribution.status"));
			assert_true(json_is_object(at(line, "data")));
			assert_null(json_object_get(line, "sanitized"));
			assert_null(json_object_get(line, "truncated"));
			assert_true(json_string_length(at(line, "summary")) > 10);
			json_decref(line);
			sample_done(&s);
		}
	}
}

static void test_order(void **state)
{
	static const char *const keys[] = {
		"schema",   "instance",	 "seq",	    "event_id", "type",	       "ts",	      "boottime_ns",
		"severity", "priority",	 "summary", "filter",	"probe",       "process",     "actor",
		"cgroup",   "container", "k8s",	    "resource", "attribution", "correlation", "data"};
	static const struct crier_resource resource = {"site", CRIER_SLICE("north")};
	static struct sample s;
	size_t i = 0;
	const char *key;
	json_t *value;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	s.event.undetermined_filter = 1;
	s.options.resources = &resource;
	s.options.resource_count = 1;
	json_t *line = emit(&s);

	json_object_foreach(line, key, value)
	{
		assert_true(i < CRIER_ARRAY_SIZE(keys));
		assert_string_equal(key, keys[i++]);
	}
	assert_int_equal(i, CRIER_ARRAY_SIZE(keys));
	expect_text(line, "filter", "undetermined");
	expect_text(line, "resource.site", "north");
	json_decref(line);
	sample_done(&s);
}

static void test_sizes(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	json_decref(emit(&s));
	assert_true(line_len <= 4000);
	sample_done(&s);
	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.options.cluster_name = CRIER_SLICE_NONE;
	json_decref(emit(&s));
	assert_true(line_len <= 1010);
	sample_done(&s);
}

/* Every word that a workload, a runtime or a user may choose ends in Z; no summary may. */
static void test_summary_ends_in_our_own_words(void **state)
{
	static struct sample s;
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		sample_init(&s, type);
		s.event.process.comm = s.event.actor.comm = CRIER_SLICE("commZ");
		s.pod.name = s.pod.namespace_ = s.container.name = s.container.image = CRIER_SLICE("nameZ");
		if (type == CRIER_TYPE_PROCESS_EXEC)
			((struct crier_data_exec *)s.data)->filename = CRIER_SLICE("/bin/shZ");
		if (type == CRIER_TYPE_CONTAINER_EXITED) {
			struct crier_data_exited *data = (void *)s.data;

			data->cause = CRIER_EXIT_CAUSE_START_FAILED;
			data->runtime.reason = data->runtime.message = CRIER_SLICE("wordsZ");
			data->runtime.exit_code = CRIER_UNKNOWN_I64;
			data->restart_count = data->uptime_ms = CRIER_UNKNOWN_U64;
		}
		if (type == CRIER_TYPE_AGENT_HEALTH) {
			struct crier_data_health *data = (void *)s.data;

			data->reason = data->remedy = CRIER_SLICE("wordsZ");
		}
		if (type == CRIER_TYPE_AGENT_START) {
			struct crier_data_agent_start *data = (void *)s.data;

			data->version = data->kernel = data->profile = CRIER_SLICE("wordsZ");
			data->degraded_count = 0;
			data->previous.gap_ms = CRIER_UNKNOWN_U64;
		}
		json_t *line = emit(&s);
		const char *summary = json_string_value(at(line, "summary"));

		if (summary[strlen(summary) - 1] == 'Z')
			fail_msg("%s: %s", crier_type_names[type], summary);
		json_decref(line);
		sample_done(&s);
	}
}

/* ---- severity, priority, detail ---- */

static void test_severity_raises_priority(void **state)
{
	static const struct {
		enum crier_type type;
		uint8_t severity;
		const char *word, *priority;
	} rows[] = {
		{CRIER_TYPE_PROCESS_EXEC, 0, "info", "low"},
		{CRIER_TYPE_PROCESS_EXEC, CRIER_SEVERITY_DEBUG, "debug", "low"},
		{CRIER_TYPE_PROCESS_EXEC, CRIER_SEVERITY_WARN, "warn", "normal"},
		{CRIER_TYPE_PROCESS_EXEC, CRIER_SEVERITY_ERROR, "error", "high"},
		{CRIER_TYPE_PROCESS_EXEC, CRIER_SEVERITY_FATAL, "fatal", "critical"},
		{CRIER_TYPE_PROCESS_EXEC, CRIER_SEVERITY_COUNT, "info", "low"},
		{CRIER_TYPE_CONTAINER_OOM, 0, "fatal", "critical"},
		{CRIER_TYPE_CONTAINER_OOM, CRIER_SEVERITY_INFO, "info", "critical"},
		{CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, 0, "warn", "high"},
		{CRIER_TYPE_CONTAINER_EXITED, CRIER_SEVERITY_INFO, "info", "normal"},
	};
	static struct sample s;
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		sample_init(&s, rows[i].type);
		s.event.severity = rows[i].severity;
		json_t *line = emit(&s);

		expect_text(line, "severity", rows[i].word);
		expect_text(line, "priority", rows[i].priority);
		json_decref(line);
		sample_done(&s);
	}
}

static void test_lean_leaves_out(void **state)
{
	static const char *const absent[] = {"container.name",
					     "container.image",
					     "container.limits",
					     "container.runtime",
					     "k8s.pod.ip",
					     "k8s.pod.label",
					     "k8s.replicaset",
					     "k8s.workload",
					     "cgroup.path",
					     "attribution.via",
					     "attribution.wait_us",
					     "process.role",
					     "correlation.pod_uid",
					     "correlation.container_id",
					     "correlation.cgroup_path",
					     "correlation.node_name",
					     "correlation.process_id",
					     "process.start_boottime_ns",
					     "process.executable.name"};
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	json_t *line = emit(&s);

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(absent); i++)
		expect_text(line, absent[i], NULL);
	expect_text(line, "container.id", SAMPLE_ID);
	expect_text(line, "k8s.pod.uid", SAMPLE_UID);
	expect_text(line, "k8s.container.name", "app");
	expect_text(line, "correlation.container_slot", SAMPLE_UID "/app");
	expect_text(line, "correlation.process_key", "5f0c6a1e:33001:912365500900000");
	json_decref(line);

	/* what is out of the ordinary stays */
	s.event.attribution =
		(struct crier_attribution){CRIER_ATTRIBUTION_PARTIAL, CRIER_SOURCE_CGROUP_PATH,
					   CRIER_VIA_ANCESTOR, CRIER_REASON_CRI_TIMEOUT, 500000};
	s.event.process.role = CRIER_ROLE_RUNTIME_HELPER;
	line = emit(&s);
	expect_text(line, "attribution.status", "partial");
	expect_text(line, "attribution.via", "ancestor");
	expect_text(line, "attribution.reason", "cri_timeout");
	expect_number(line, "attribution.wait_us", 500000);
	expect_text(line, "process.role", "runtime_helper");
	expect_text(line, "cgroup.path", SAMPLE_CGROUP);
	json_decref(line);
	s.options.detail = CRIER_DETAIL_FULL;
	line = emit(&s);
	expect_text(line, "container.image.name", "registry.example/shop/cart:1.8.2");
	expect_text(line, "k8s.pod.label.app", "cart");
	expect_text(line, "correlation.cgroup_path", SAMPLE_CGROUP);
	expect_number(line, "correlation.process_id", 33001);
	json_decref(line);
	sample_done(&s);
}

/* ---- unknown is absent ---- */

static void test_nothing_known(void **state)
{
	static struct sample s;
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		for (size_t d = 0; d < 2; d++) {
			sample_init(&s, type);
			crier_event_init(&s.event, type);
			memset(&s.options, 0, sizeof(s.options));
			strcpy(s.options.instance, "3b1d9c20");
			strcpy(s.options.boot, "5f0c6a1e");
			s.options.detail = details[d];
			json_t *line = emit(&s);

			assert_null(json_object_get(line, "process"));
			assert_null(json_object_get(line, "actor"));
			assert_null(json_object_get(line, "container"));
			assert_null(json_object_get(line, "k8s"));
			assert_null(json_object_get(line, "correlation"));
			assert_null(json_object_get(line, "probe"));
			assert_int_equal(json_object_size(json_object_get(line, "data")), 0);
			json_decref(line);
			crier_data_init(type,
					s.data); /* a data block in which nothing is known reads the same */
			s.event.data = s.data;
			line = emit(&s);
			assert_int_equal(json_object_size(json_object_get(line, "data")), 0);
			json_decref(line);
		}
	}
}

static void test_container_without_pod(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.pod = NULL;
	s.container.pod = NULL;
	s.container.name = CRIER_SLICE_NONE;
	json_t *line = emit(&s);

	expect_text(line, "container.id", SAMPLE_ID);
	expect_text(line, "k8s.pod", NULL);
	expect_text(line, "correlation.container_slot", NULL);
	assert_non_null(strstr(json_string_value(at(line, "summary")), "container 3f9c1e2d4b5a"));
	json_decref(line);
	sample_done(&s);
}

static void test_pod_without_container(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.container = NULL;
	json_t *line = emit(&s);

	expect_text(line, "k8s.pod.name", "cart-7d9f8b6c5-x2x4k");
	expect_text(line, "container", NULL);
	expect_text(line, "k8s.container", NULL);
	json_decref(line);
	sample_done(&s);
}

static void test_sandbox_has_no_container_name(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_STARTED);
	s.container.type = CRIER_CONTAINER_TYPE_SANDBOX;
	s.container.name = CRIER_SLICE("POD");
	json_t *line = emit(&s);

	expect_text(line, "k8s.container", NULL);
	expect_text(line, "correlation.container_slot", NULL);
	expect_text(line, "container.type", "sandbox");
	json_decref(line);
	sample_done(&s);
}

static void test_host_process(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.container = NULL;
	s.event.pod = NULL;
	s.event.attribution = (struct crier_attribution){.status = CRIER_ATTRIBUTION_HOST};
	s.event.cgroup.path = CRIER_SLICE("/system.slice/sshd.service");
	json_t *line = emit(&s);

	expect_text(line, "attribution.status", "host");
	expect_text(line, "k8s.node.name", "ip-10-0-3-17");
	expect_text(line, "k8s.pod", NULL);
	expect_text(line, "cgroup.path", "/system.slice/sshd.service");
	json_decref(line);
	sample_done(&s);
}

/* ---- causes and ids ---- */

static void test_causes(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_EXITED);
	json_t *line = emit(&s);

	expect_text(line, "correlation.incident_id", "3b1d9c20-i412");
	expect_text(line, "correlation.caused_by.0.event_id", "3b1d9c20-118205");
	expect_text(line, "correlation.caused_by.0.filtered", NULL);
	expect_text(line, "correlation.caused_by.1.event_id", NULL);
	expect_text(line, "correlation.caused_by.1.kind", "container.oom");
	expect_text(line, "correlation.caused_by.1.basis", "same_task");
	assert_true(json_is_true(at(line, "correlation.caused_by.1.filtered")));
	expect_number(line, "correlation.caused_by.1.delta_ms", 67);
	expect_text(line, "data.timeline.0.event_id", "3b1d9c20-118190");
	expect_text(line, "data.timeline.1.event_id", NULL);
	expect_text(line, "data.timeline.1.type", "container.oom");
	json_decref(line);
	s.event.correlation.cause_count = 100; /* more than there is room for */
	line = emit(&s);
	assert_int_equal(json_array_size(at(line, "correlation.caused_by")), CRIER_CAUSES_MAX);
	json_decref(line);
	sample_done(&s);
}

/* ---- fragments ---- */

static void test_fragments_follow_changes(void **state)
{
	static struct sample s;
	static struct crier_pod other;
	json_t *line;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	json_decref(emit(&s));
	assert_null(s.container.fragment); /* kept only in the rendering that bulk lines have */
	s.options.detail = CRIER_DETAIL_FULL;
	json_decref(emit(&s));
	void *fragment = s.container.fragment;

	assert_non_null(fragment);
	json_decref(emit(&s));
	assert_ptr_equal(s.container.fragment, fragment);

	s.container.image = CRIER_SLICE("image:2");
	s.container.version++;
	line = emit(&s);
	expect_text(line, "container.image.name", "image:2");
	json_decref(line);

	s.pod.ip = CRIER_SLICE("10.9.9.9");
	s.pod.version++;
	line = emit(&s);
	expect_text(line, "k8s.pod.ip", "10.9.9.9");
	json_decref(line);

	other = s.pod; /* another pod of the same version */
	other.name = CRIER_SLICE("other");
	s.container.pod = &other;
	s.event.pod = &other;
	line = emit(&s);
	expect_text(line, "k8s.pod.name", "other");
	json_decref(line);

	s.options.node_name = CRIER_SLICE("ip-10-0-3-18");
	s.options.version++;
	line = emit(&s);
	expect_text(line, "k8s.node.name", "ip-10-0-3-18");
	json_decref(line);

	s.options.cluster_name = CRIER_SLICE("prod-us");
	s.options.version++;
	line = emit(&s);
	expect_text(line, "k8s.cluster.name", "prod-us");
	json_decref(line);

	s.labels.items[0].key = CRIER_SLICE("app.kubernetes.io/name");
	s.options.label_keys = CRIER_LABEL_KEYS_UNDERSCORE;
	s.options.version++;
	line = emit(&s);
	assert_non_null(json_object_get(at(line, "k8s.pod.label"), "app_kubernetes_io_name"));
	json_decref(line);
	sample_done(&s);
}

static void test_fragments_of_both_details(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	for (unsigned round = 0; round < 4; round++) {
		s.options.detail = details[round % 2];
		json_t *line = emit(&s);

		expect_text(line, "k8s.pod.ip", round % 2 ? NULL : "10.1.4.9");
		json_decref(line);
	}
	s.container.version++; /* both are stale now */
	s.pod.name = CRIER_SLICE("new");
	for (unsigned round = 0; round < 2; round++) {
		s.options.detail = details[round];
		json_t *line = emit(&s);

		expect_text(line, "k8s.pod.name", "new");
		json_decref(line);
	}
	sample_done(&s);
}

static void test_fragments_keep_their_paths(void **state)
{
	static struct sample s;
	char image[600];
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	s.options.detail = CRIER_DETAIL_FULL;
	s.pod.name = CRIER_SLICE("cart\xff");
	s.labels.items[0].value = CRIER_SLICE("\xc0\xaf");
	memset(image, 'i', sizeof(image));
	s.container.image = (struct crier_slice){image, sizeof(image)};
	for (unsigned round = 0; round < 2; round++) {
		json_t *line = emit(&s);

		assert_true(lists(line, "sanitized", "k8s.pod.name"));
		assert_true(lists(line, "sanitized", "k8s.pod.label"));
		assert_true(lists(line, "truncated", "container.image.name"));
		expect_text(line, "k8s.pod.name_hex", "63617274ff");
		expect_text(line, "k8s.pod.label.app_hex", "c0af");
		json_decref(line);
	}
	sample_done(&s);
}

static void test_pure(void **state)
{
	static struct sample s;
	char first[CRIER_LINE_MAX];
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		sample_init(&s, type);
		json_decref(emit(&s));
		size_t len = line_len;

		memcpy(first, line_text, len);
		json_decref(emit(&s)); /* from the fragment this time */
		assert_int_equal(line_len, len);
		assert_memory_equal(line_text, first, len);
		sample_done(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_summary_ends_in_our_own_words),
		cmocka_unit_test(test_severity_raises_priority),
		cmocka_unit_test(test_lean_leaves_out),
		cmocka_unit_test(test_nothing_known),
		cmocka_unit_test(test_container_without_pod),
		cmocka_unit_test(test_pod_without_container),
		cmocka_unit_test(test_sandbox_has_no_container_name),
		cmocka_unit_test(test_host_process),
		cmocka_unit_test(test_causes),
		cmocka_unit_test(test_fragments_follow_changes),
		cmocka_unit_test(test_fragments_of_both_details),
		cmocka_unit_test(test_fragments_keep_their_paths),
		cmocka_unit_test(test_pure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
