/* SPDX-License-Identifier: Apache-2.0 */
#include "test_cri.h"

#define SANDBOX "b26bcaf9c5de9aa036fc96f14a463b9b59e8fe9ab08a05a5430dd1e967cc7cf0"
#define APP	"b787edf8c805fbb6691d79d8c18f8e461ae6ee826f3102e2f89ead116826684c"
#define HOG	"c666b981229d64e9c5da627f222cd73f9984d07f0e6b51030a7235486ff4beac"
#define UID	"cfd3d919-344d-42d0-989e-cc25e4b84881"
#define IMAGE	"sha256:5adf8436d827d3d9938dc6924f7888055138b02710b4c2f203c87582f17eabad"

static struct crier_meta_message message;
static struct crier_cri_holder *holder;

static int setup(void **state)
{
	(void)state;
	return crier_cri_holder_new(CRIER_CRI_UNPACK_MAX, &holder);
}

static int teardown(void **state)
{
	(void)state;
	crier_cri_holder_free(holder);
	return 0;
}

static int convert(enum crier_cri_method method, const struct wire *wire)
{
	return crier_cri_convert(method, wire->data, wire->len, holder, &message);
}

static void convert_captured(enum crier_cri_method method, const char *name)
{
	static struct wire wire; /* lives as long as the message */

	free(wire.data);
	wire = captured(name);
	assert_int_equal(convert(method, &wire), 0);
}

static void reads_a_running_container(void **state)
{
	const struct crier_meta_container *c = &message.container;

	(void)state;
	convert_captured(CRIER_CRI_CONTAINER_STATUS, "container_status");
	assert_int_equal(message.type, CRIER_META_CONTAINER);
	assert_text(c->id, APP);
	assert_text(c->sandbox_id, SANDBOX);
	assert_text(c->name, "app");
	assert_text(c->pod_name, "cart");
	assert_text(c->pod_namespace, "shop");
	assert_text(c->pod_uid, UID);
	assert_text(c->image, "localhost/crier-trigger:1");
	assert_text(c->image_id, IMAGE);
	assert_text(c->cgroups_path, "/kubepods/burstable/pod" UID "/" APP);
	assert_int_equal(c->state, CRIER_STATE_RUNNING);
	assert_int_equal(c->created_at_ns, 1795241091463737710);
	assert_int_equal(c->started_at_ns, 1795241091516019966);
	assert_true(c->finished_at_ns == CRIER_UNKNOWN_U64);
	assert_true(c->exit_code == CRIER_UNKNOWN_I64);
	assert_int_equal(c->pid, 22751);
	assert_int_equal(c->restart_count, 0);
	assert_int_equal(c->memory_limit_bytes, 64 << 20);
	assert_true(c->cpu_quota_us == CRIER_UNKNOWN_U64);
	assert_int_equal(c->grace_period_s, 30);
	assert_null(c->reason.ptr);
	assert_null(c->type.ptr); /* "container" says nothing about init or app */
	assert_int_equal(c->labels.count, 0);
	assert_null(message.pod.sandbox_id.ptr);
}

static void reads_an_oom_killed_container(void **state)
{
	const struct crier_meta_container *c = &message.container;

	(void)state;
	convert_captured(CRIER_CRI_CONTAINER_STATUS, "container_status_oom");
	assert_text(c->id, HOG);
	assert_text(c->reason, "OOMKilled");
	assert_int_equal(c->state, CRIER_STATE_EXITED);
	assert_int_equal(c->exit_code, 137);
	assert_int_equal(c->finished_at_ns, 1795241091670889329);
	assert_true(c->pid == CRIER_UNKNOWN_U64); /* CRI says 0 */
}

static void reads_a_sandbox(void **state)
{
	const struct crier_meta_pod *p = &message.pod;

	(void)state;
	convert_captured(CRIER_CRI_POD_STATUS, "pod_status");
	assert_int_equal(message.type, CRIER_META_POD);
	assert_text(p->sandbox_id, SANDBOX);
	assert_text(p->name, "cart");
	assert_text(p->namespace_, "shop");
	assert_text(p->uid, UID);
	assert_text(p->cgroup_parent, "/kubepods/burstable/pod" UID);
	assert_null(p->ip.ptr); /* host network */
	assert_null(p->runtime_handler.ptr);
	assert_int_equal(p->pid, 22719);
	assert_int_equal(p->ready, 1);
	assert_int_equal(p->attempt, 0);
	assert_int_equal(p->created_at_ns, 1795241091397155387);
	assert_int_equal(p->labels.count, 3);
	assert_text(p->labels.items[0].key, "app"); /* sorted; io.kubernetes.* is not among them */
	assert_text(p->labels.items[1].key, "app.kubernetes.io/part-of");
	assert_text(p->labels.items[2].key, "pod-template-hash");
	assert_text(p->labels.items[2].value, "7d9c5b8f6d");
}

static void reads_the_lists(void **state)
{
	_cleanup_wire_ struct wire pods = captured("list_pods"), containers = captured("list_containers");
	struct crier_cri_list list = {CRIER_CRI_LIST_PODS, pods.data, pods.data + pods.len};
	uint32_t count = 0;

	(void)state;
	assert_int_equal(crier_cri_list_count(&list, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(crier_cri_list_next(&list, holder, &message), 1);
	assert_int_equal(message.type, CRIER_META_POD);
	assert_text(message.pod.sandbox_id, SANDBOX);
	assert_text(message.pod.namespace_, "shop");
	assert_int_equal(message.pod.labels.count, 3);
	assert_true(message.pod.pid == CRIER_UNKNOWN_U64);
	assert_int_equal(crier_cri_list_next(&list, holder, &message), 0);
	assert_int_equal(crier_cri_list_next(&list, holder, &message), 0);

	list = (struct crier_cri_list){CRIER_CRI_LIST_CONTAINERS, containers.data,
				       containers.data + containers.len};
	assert_int_equal(crier_cri_list_count(&list, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(crier_cri_list_next(&list, holder, &message), 1);
	assert_int_equal(message.type, CRIER_META_CONTAINER);
	assert_text(message.container.id, APP);
	assert_text(message.container.sandbox_id, SANDBOX);
	assert_text(message.container.pod_uid, UID);
	assert_int_equal(message.container.grace_period_s, 30);
	assert_int_equal(message.container.state, CRIER_STATE_RUNNING);
	assert_int_equal(crier_cri_list_next(&list, holder, &message), 1);
	assert_text(message.container.id, HOG);
	assert_int_equal(message.container.state, CRIER_STATE_EXITED);
	assert_true(message.container.exit_code == CRIER_UNKNOWN_I64); /* a list does not tell it */
	assert_int_equal(crier_cri_list_next(&list, holder, &message), 0);
}

static void reads_version_and_status(void **state)
{
	(void)state;
	convert_captured(CRIER_CRI_VERSION, "version");
	assert_int_equal(message.type, CRIER_META_RUNTIME);
	assert_text(message.runtime.name, "containerd");
	assert_text(message.runtime.version, "1.6.20~ds1");
	assert_text(message.runtime.api_version, "v1");
	assert_true(message.runtime.ready == CRIER_UNKNOWN_U64);
	convert_captured(CRIER_CRI_STATUS, "status");
	assert_int_equal(message.runtime.ready, 1);
}

/* ContainerStatus with everything that no capture has. */
#define EVENT_APP     "e595d215be40f2e35645590aa5ca7e1e31803c87d30f92ef64a4c68a42dce02f"
#define EVENT_SANDBOX "54d8f19c2e0f7bfd145a726dc7a968e1e53dbb44525becbb80e7ab0a09992406"

static void reads_an_event(void **state)
{
	const struct crier_meta_container *c = &message.container;

	(void)state;
	convert_captured(CRIER_CRI_EVENTS, "event_stopped"); /* its own status is the second of two */
	assert_int_equal(message.type, CRIER_META_EVENT);
	assert_int_equal(message.event, CRIER_META_EVENT_STOPPED);
	assert_int_equal(message.event_at_ns, 1795251086686802982);
	assert_text(message.id, EVENT_APP);
	assert_text(c->id, EVENT_APP);
	assert_text(c->sandbox_id, EVENT_SANDBOX);
	assert_text(c->name, "app");
	assert_text(c->pod_name, "cart");
	assert_text(c->pod_uid, UID);
	assert_text(c->image, "localhost/crier-trigger:1");
	assert_int_equal(c->state, CRIER_STATE_EXITED);
	assert_int_equal(c->exit_code, 137);
	assert_text(c->reason, "OOMKilled");
	assert_int_equal(c->finished_at_ns, 1795251086653417513);
	assert_true(c->pid == CRIER_UNKNOWN_U64);
	assert_text(message.pod.sandbox_id, EVENT_SANDBOX);
	assert_text(message.pod.uid, UID);
	assert_int_equal(message.pod.ready, 1);
	assert_text(message.pod.labels.items[0].key, "app");
	assert_int_equal(message.generation, 0);
}

static void reads_each_kind_of_event(void **state)
{
	(void)state;
	convert_captured(CRIER_CRI_EVENTS, "event_created");
	assert_int_equal(message.event, CRIER_META_EVENT_CREATED); /* 0, and so not on the wire */
	assert_int_equal(message.container.state, CRIER_STATE_CREATED);
	convert_captured(CRIER_CRI_EVENTS, "event_started");
	assert_int_equal(message.event, CRIER_META_EVENT_STARTED);
	assert_int_equal(message.container.state, CRIER_STATE_RUNNING);
	convert_captured(CRIER_CRI_EVENTS, "event_deleted"); /* its neighbour's status is not its own */
	assert_int_equal(message.event, CRIER_META_EVENT_DELETED);
	assert_text(message.id, EVENT_APP);
	assert_null(message.container.id.ptr);
	convert_captured(CRIER_CRI_EVENTS, "event_sandbox");
	assert_text(message.id, EVENT_SANDBOX);
	assert_text(message.pod.sandbox_id, EVENT_SANDBOX);
	assert_null(message.container.id.ptr);
}

static void reads_the_rest(void **state)
{
	static const char info[] =
		"{\"pid\":42,\"runtimeSpec\":{\"linux\":{\"cgroupsPath\":\"a.slice:cri-containerd:x\","
		"\"resources\":{\"memory\":{\"limit\":5},\"cpu\":{\"quota\":7,\"period\":9}}},\"annotations\":{"
		"\"io.kubernetes.cri-o.SandboxID\":\"s\",\"io.kubernetes.cri.sandbox-name\":\"n\","
		"\"io.kubernetes.cri.sandbox-namespace\":\"ns\",\"io.kubernetes.cri.sandbox-uid\":\"u\"}}}";
	_cleanup_wire_ struct wire metadata = {0}, image = {0}, status = {0}, answer = {0};
	const struct crier_meta_container *c = &message.container;

	(void)state;
	wire_text(&metadata, 1, "web");
	wire_number(&metadata, 2, 3);
	wire_text(&image, 1, "sha256:feed");
	wire_text(&image, 18, "nginx:1");
	wire_text(&status, 1, "id");
	wire_message(&status, 2, &metadata);
	wire_number(&status, 3, 2);
	wire_number(&status, 7, (uint64_t)-1); /* int32 -1 is ten bytes on the wire */
	wire_message(&status, 8, &image);
	wire_text(&status, 9, "docker.io/library/nginx@sha256:beef");
	wire_text(&status, 11, "why");
	wire_pair(&status, 12, CRIER_SLICE("io.kubernetes.container.type"), CRIER_SLICE("INIT"));
	wire_pair(&status, 12, CRIER_SLICE("zone"), CRIER_SLICE(""));
	wire_pair(&status, 13, CRIER_SLICE("io.kubernetes.container.restartCount"), CRIER_SLICE("12"));
	wire_pair(&status, 13, CRIER_SLICE("io.kubernetes.pod.terminationGracePeriod"), CRIER_SLICE("-1"));
	wire_message(&answer, 1, &status);
	wire_pair(&answer, 2, CRIER_SLICE("info"), CRIER_SLICE(info));
	assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &answer), 0);
	assert_text(c->name, "web");
	assert_text(c->image, "nginx:1");
	assert_text(c->image_id, "sha256:feed");
	assert_text(c->message, "why");
	assert_text(c->type, "init");
	assert_text(c->sandbox_id, "s");
	assert_text(c->pod_name, "n");
	assert_text(c->pod_namespace, "ns");
	assert_text(c->pod_uid, "u");
	assert_text(c->cgroups_path, "a.slice:cri-containerd:x");
	assert_int_equal(c->pid, 42);
	assert_int_equal(c->memory_limit_bytes, 5);
	assert_int_equal(c->cpu_quota_us, 7);
	assert_int_equal(c->cpu_period_us, 9);
	assert_int_equal(c->restart_count, 12); /* the annotation goes before metadata.attempt */
	assert_true(c->grace_period_s == CRIER_UNKNOWN_U64);
	assert_true(c->exit_code == -1);
	assert_int_equal(c->labels.count, 1);
	assert_text(c->labels.items[0].value, "");
}

static void reads_a_pod_with_a_network(void **state)
{
	_cleanup_wire_ struct wire network = {0}, status = {0}, answer = {0};

	(void)state;
	wire_text(&network, 1, "10.88.0.2");
	wire_text(&status, 1, "id");
	wire_number(&status, 3, 1);
	wire_message(&status, 5, &network);
	wire_text(&status, 9, "kata");
	wire_message(&answer, 1, &status);
	wire_pair(
		&answer, 2, CRIER_SLICE("info"),
		CRIER_SLICE(
			"{\"runtimeHandler\":\"other\",\"config\":{\"linux\":{\"cgroup_parent\":\"p.slice\"}}}"));
	assert_int_equal(convert(CRIER_CRI_POD_STATUS, &answer), 0);
	assert_text(message.pod.ip, "10.88.0.2");
	assert_int_equal(message.pod.ready, 0);
	assert_text(message.pod.runtime_handler, "kata"); /* the message goes before the info */
	assert_text(message.pod.cgroup_parent, "p.slice");
	assert_true(message.pod.attempt == CRIER_UNKNOWN_U64);
	assert_null(message.pod.name.ptr);
}

static void image_table(void **state)
{
	static const struct {
		const char *name, *said, *image, *ref, *id, *want_image, *want_id;
	} rows[] = {
		{"a name and a digest", "", "nginx:1", "sha256:aa", "", "nginx:1", "sha256:aa"},
		{"as the pod said it", "nginx", "sha256:aa", "sha256:aa", "", "nginx", "sha256:aa"},
		{"resolved only", "", "sha256:aa", "repo@sha256:bb", "", "repo@sha256:bb", "sha256:aa"},
		{"resolved, no reference", "", "sha256:aa", "", "", "sha256:aa", "sha256:aa"},
		{"own image_id", "", "nginx:1", "repo@sha256:bb", "sha256:cc", "nginx:1", "sha256:cc"},
		{"reference only", "", "", "repo@sha256:bb", "", "repo@sha256:bb", "repo@sha256:bb"},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_cleanup_wire_ struct wire image = {0}, status = {0}, answer = {0};

		wire_text(&image, 1, rows[i].image);
		wire_text(&image, 18, rows[i].said);
		wire_text(&status, 1, "id");
		wire_message(&status, 8, &image);
		wire_text(&status, 9, rows[i].ref);
		wire_text(&status, 17, rows[i].id);
		wire_message(&answer, 1, &status);
		assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &answer), 0);
		assert_text(message.container.image, rows[i].want_image);
		assert_text(message.container.image_id, rows[i].want_id);
	}
}

static void type_is_taken_only_from_what_states_it(void **state)
{
	static const struct {
		const char *label, *annotation, *want;
	} rows[] = {
		{"INIT", NULL, "init"},
		{"REGULAR", NULL, "app"},
		{"EPHEMERAL", NULL, "ephemeral"},
		{"init", NULL, NULL},
		{"", NULL, NULL},
		{NULL, "sandbox", "sandbox"},
		{NULL, "container", NULL},
		{"INIT", "sandbox", "init"},
		{NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_cleanup_wire_ struct wire status = {0}, answer = {0};
		char info[128];

		wire_text(&status, 1, "id");
		if (rows[i].label)
			wire_pair(&status, 12, CRIER_SLICE("io.kubernetes.container.type"),
				  crier_slice_of(rows[i].label));
		wire_message(&answer, 1, &status);
		snprintf(info, sizeof(info),
			 "{\"runtimeSpec\":{\"annotations\":{\"io.kubernetes.cri.container-type\":\"%s\"}}}",
			 rows[i].annotation ? rows[i].annotation : "");
		wire_pair(&answer, 2, CRIER_SLICE("info"), crier_slice_of(info));
		assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &answer), 0);
		if (rows[i].want)
			assert_text(message.container.type, rows[i].want);
		else
			assert_null(message.container.type.ptr);
	}
}

static void requests_are_what_a_runtime_expects(void **state)
{
	static const struct {
		enum crier_cri_method method;
		bool verbose;
		const char *bytes;
		size_t len;
	} rows[] = {
		{CRIER_CRI_VERSION, true, "", 0},
		{CRIER_CRI_LIST_PODS, true, "", 0},
		{CRIER_CRI_CONTAINER_STATUS, true, "\12\3abc\20\1", 7},
		{CRIER_CRI_POD_STATUS, true, "\12\3abc\20\1", 7},
		{CRIER_CRI_POD_STATUS, false, "\12\3abc", 5},
	};
	char storage[CRIER_CRI_ID_MAX + 16], longest[CRIER_CRI_ID_MAX + 1];
	struct crier_buf buf;

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		crier_buf_init(&buf, storage, sizeof(storage));
		assert_int_equal(crier_cri_request(rows[i].method, CRIER_SLICE("abc"), rows[i].verbose, &buf),
				 0);
		assert_int_equal(buf.len, rows[i].len);
		assert_memory_equal(buf.data, rows[i].bytes, rows[i].len);
	}
	memset(longest, 'x', sizeof(longest));
	crier_buf_init(&buf, storage, sizeof(storage));
	assert_int_equal(crier_cri_request(CRIER_CRI_POD_STATUS,
					   (struct crier_slice){longest, CRIER_CRI_ID_MAX}, true, &buf),
			 0);
	assert_int_equal(crier_cri_request(CRIER_CRI_POD_STATUS,
					   (struct crier_slice){longest, sizeof(longest)}, true, &buf),
			 -EINVAL);
	assert_int_equal(crier_cri_request(CRIER_CRI_CONTAINER_STATUS, CRIER_SLICE(""), true, &buf), -EINVAL);
}

static void only_reading_methods_can_be_named(void **state)
{
	static const char *const allowed[] = {"Version",	   "Status",	      "ListPodSandbox",
					      "ListContainers",	   "ContainerStatus", "PodSandboxStatus",
					      "GetContainerEvents"};
	static const char service[] = "/runtime.v1.RuntimeService/";

	(void)state;
	assert_int_equal(CRIER_ARRAY_SIZE(allowed), CRIER_CRI_METHOD_COUNT);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(allowed); i++) {
		const char *path = crier_cri_method_path((enum crier_cri_method)i);

		assert_memory_equal(path, service, sizeof(service) - 1);
		assert_string_equal(path + sizeof(service) - 1, allowed[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_running_container),
		cmocka_unit_test(reads_an_oom_killed_container),
		cmocka_unit_test(reads_a_sandbox),
		cmocka_unit_test(reads_the_lists),
		cmocka_unit_test(reads_version_and_status),
		cmocka_unit_test(reads_an_event),
		cmocka_unit_test(reads_each_kind_of_event),
		cmocka_unit_test(reads_the_rest),
		cmocka_unit_test(reads_a_pod_with_a_network),
		cmocka_unit_test(image_table),
		cmocka_unit_test(type_is_taken_only_from_what_states_it),
		cmocka_unit_test(requests_are_what_a_runtime_expects),
		cmocka_unit_test(only_reading_methods_can_be_named),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
