/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of events that mean harm: every byte in every name, texts and labels of any length, any room. */
#include "emit_line.h"

/* ---- hostile input ---- */

/* Every slice of an event that anyone but crier may choose. */
static void spoil(struct sample *s, struct crier_slice text)
{
	struct crier_event *event = &s->event;

	event->process.comm = event->process.executable_path = event->actor.comm = text;
	event->actor.pid = 1;
	event->actor.container_id = event->actor.container_name = event->actor.pod_name =
		event->actor.pod_namespace = text;
	event->cgroup.path = text;
	s->pod.name = s->pod.namespace_ = s->pod.ip = s->pod.replicaset = s->pod.deployment = text;
	s->container.name = s->container.image = s->container.image_id = text;
	s->labels.items[0].key = s->labels.items[0].value = text;
	for (const struct crier_field *field = crier_type_info(event->type)->data;
	     field->kind != CRIER_FIELD_END; field++)
		if (field->kind == CRIER_FIELD_TEXT)
			memcpy(s->data + field->offset, &text, sizeof(text));
	if (event->type == CRIER_TYPE_PROCESS_EXEC) {
		struct crier_data_exec *data = (void *)s->data;

		s->args[0] = s->args[1] = text;
		data->args = s->args;
		data->args_kept = 2;
	}
	s->container.version++;
}

static void test_every_byte(void **state)
{
	static struct sample s;
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		sample_init(&s, type);
		for (unsigned byte = 0; byte < 256; byte++) {
			char text[3] = {'a', (char)byte, 'z'};
			char expected[8] = {'a', (char)byte, 'z'};

			if (byte >= 0x80)
				memcpy(expected, "a\xef\xbf\xbdz", 6);
			spoil(&s, (struct crier_slice){text, 3});
			json_t *line = emit(&s);
			json_t *comm = at(line, "process.comm");

			assert_int_equal(json_string_length(comm), byte >= 0x80 ? 5 : 3);
			assert_memory_equal(json_string_value(comm), expected, json_string_length(comm));
			assert_int_equal(lists(line, "sanitized", "process.comm"), byte >= 0x80);
			assert_int_equal(lists(line, "sanitized", "actor.k8s.pod.name"), byte >= 0x80);
			if (s.event.container)
				assert_int_equal(lists(line, "sanitized", "k8s.pod.name"), byte >= 0x80);
			if (byte >= 0x80)
				assert_int_equal(json_string_length(at(line, "process.comm_hex")), 6);
			json_decref(line);
		}
		sample_done(&s);
	}
}

static void test_args(void **state)
{
	static struct sample s;
	struct crier_data_exec *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.args[0] = CRIER_SLICE("sh");
	s.args[1] = CRIER_SLICE("--name=\xff");
	data->args = s.args;
	data->args_kept = 2;
	json_t *line = emit(&s);

	expect_text(line, "data.args.0", "sh");
	expect_text(line, "data.args.1", "--name=\xef\xbf\xbd");
	expect_text(line, "data.args_hex.1", "2d2d6e616d653dff");
	expect_text(line, "data.args_hex.0", NULL);
	assert_true(lists(line, "sanitized", "data.args"));
	json_decref(line);
	sample_done(&s);
}

/* ---- cuts ---- */

static void test_long_texts_are_cut(void **state)
{
	static char text[5000];
	static struct sample s;
	(void)state;

	memset(text, 'p', sizeof(text));
	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.process.executable_path = (struct crier_slice){text, sizeof(text)};
	json_t *line = emit(&s);

	assert_int_equal(json_string_length(at(line, "process.executable.path")), 1024);
	assert_true(lists(line, "truncated", "process.executable.path"));
	json_decref(line);
	s.event.process.executable_path.len = 1024;
	line = emit(&s);
	assert_null(json_object_get(line, "truncated"));
	json_decref(line);
	sample_done(&s);
}

/* The kernel side cut it already: told once, though it is cut here too. */
static void test_cut_at_source(void **state)
{
	static char text[2000];
	static struct sample s;
	struct crier_data_exec *data = (void *)s.data;
	(void)state;

	memset(text, 'p', sizeof(text));
	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.cut_at_source[0] = "data.filename";
	json_t *line = emit(&s);

	assert_true(lists(line, "truncated", "data.filename"));
	json_decref(line);
	data->filename = (struct crier_slice){text, sizeof(text)};
	s.event.cut_at_source[1] = "data.args";
	line = emit(&s);
	assert_int_equal(json_array_size(json_object_get(line, "truncated")), 2);
	json_decref(line);
	sample_done(&s);
}

static void test_labels_of_16_kib_go_first(void **state)
{
	static char values[CRIER_META_LABELS_MAX][256], keys[CRIER_META_LABELS_MAX][16];
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	s.labels.count = CRIER_META_LABELS_MAX;
	for (size_t i = 0; i < CRIER_META_LABELS_MAX; i++) {
		snprintf(keys[i], sizeof(keys[i]), "key-%zu", i);
		memset(values[i], 'v', sizeof(values[i]));
		s.labels.items[i] =
			(struct crier_meta_label){crier_slice_of(keys[i]), {values[i], sizeof(values[i])}};
	}
	for (unsigned round = 0; round < 2; round++) {
		json_t *line = emit(&s);

		assert_true(lists(line, "truncated", "k8s.pod.label"));
		assert_int_equal(json_array_size(json_object_get(line, "truncated")), 1);
		expect_text(line, "k8s.pod.label", NULL);
		expect_text(line, "k8s.pod.name", "cart-7d9f8b6c5-x2x4k");
		expect_text(line, "cgroup.path", SAMPLE_CGROUP);
		json_decref(line);
	}
	s.labels.count = 20; /* about 5 KiB: they stay */
	s.pod.version++;
	json_t *line = emit(&s);

	assert_null(json_object_get(line, "truncated"));
	expect_number(line, "data.oom_kill_count", 4);
	assert_int_equal(json_object_size(at(line, "k8s.pod.label")), 20);
	json_decref(line);
	sample_done(&s);
}

/* The worst that can be said: every text long and of bytes that take six. It still is one line, and ids are whole. */
static void test_all_too_long(void **state)
{
	static char text[5000], value[256];
	static const char bytes[] = {'\x01', '\xff', '"', 'x'};
	static struct crier_resource resources[20];
	static struct sample s;
	(void)state;

	for (size_t b = 0; b < sizeof(bytes); b++) {
		memset(text, bytes[b], sizeof(text));
		memset(value, 'r', sizeof(value));
		for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
			sample_init(&s, type);
			spoil(&s, (struct crier_slice){text, sizeof(text)});
			for (size_t i = 0; i < CRIER_ARRAY_SIZE(resources); i++)
				resources[i] = (struct crier_resource){"k", {value, sizeof(value)}};
			resources[0].key = "a";
			s.options.resources = resources;
			s.options.resource_count = 2;
			s.options.detail = CRIER_DETAIL_FULL;
			json_t *line = emit(&s);

			assert_true(lists(line, "truncated", "process.comm"));
			if (s.event.container)
				expect_text(line, "container.id", SAMPLE_ID);
			json_decref(line);
			sample_done(&s);
		}
	}
}

static void test_resources_are_the_last_to_go(void **state)
{
	static char value[256], keys[100][8];
	static struct crier_resource resources[100];
	static struct sample s;
	(void)state;

	memset(value, 'r', sizeof(value));
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(resources); i++) {
		snprintf(keys[i], sizeof(keys[i]), "key%zu", i);
		resources[i] = (struct crier_resource){keys[i], {value, sizeof(value)}};
	}
	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.options.resources = resources;
	s.options.resource_count = 100;
	json_t *line = emit(&s);

	assert_true(lists(line, "truncated", "resource"));
	expect_text(line, "resource", NULL);
	json_decref(line);
	s.options.resource_count = 50;
	line = emit(&s);
	assert_int_equal(json_object_size(json_object_get(line, "resource")), 50);
	json_decref(line);
	sample_done(&s);
}

/* Too little room: refused, and the buffer is as it was. */
static void test_any_room(void **state)
{
	static struct sample s;
	static char storage[4096];
	struct crier_buf buf;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_EXITED);
	for (size_t cap = 3; cap < sizeof(storage); cap++) {
		char *exact = malloc(cap);

		crier_buf_init(&buf, exact, cap);
		crier_buf_put_str(&buf, "abc");
		int r = crier_emit_json(&s.options, &s.event, 1, &buf);

		assert_true(r == 0 || r == -EMSGSIZE);
		assert_memory_equal(exact, "abc", 3);
		assert_false(buf.overflow);
		if (r < 0)
			assert_int_equal(buf.len, 3);
		else
			assert_int_equal(buf.data[buf.len - 1], '\n');
		if (cap > 3600)
			assert_int_equal(r, 0);
		free(exact);
	}
	sample_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_args),
		cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_cut_at_source),
		cmocka_unit_test(test_labels_of_16_kib_go_first),
		cmocka_unit_test(test_all_too_long),
		cmocka_unit_test(test_resources_are_the_last_to_go),
		cmocka_unit_test(test_any_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
