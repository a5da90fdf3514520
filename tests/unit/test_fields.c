/* SPDX-License-Identifier: Apache-2.0 */
/* The tables and the engine that writes by them: each kind present, absent and at its bounds; each table well made. */
#include "test.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../src/emit_line.h"
#include "crier/base/cleanup.h"
#include "crier/names.h"

/* One member per kind. */
struct all {
	uint64_t number;
	int64_t offset;
	uint64_t id;
	uint64_t time;
	uint8_t yes, flag, word, ordinary;
	double ratio;
	struct crier_slice text, path, sentence;
	const char *name, *foreign;
	const char *own_id;
	struct {
		uint64_t inner;
		struct crier_slice deep;
	} object;
	const struct crier_loss_cgroup *items;
	size_t item_count;
	const struct crier_slice *texts;
	size_t text_count;
	const struct crier_meta_labels *labels;
	uint64_t seq, incident;
	struct crier_process_key key;
	struct crier_slot_name slot;
	uint64_t full_only, wait;
};

static const char *const words[] = {NULL, "one", "two", NULL};
static const struct crier_field deep_fields[] = {
	TEXT(struct all, object.deep, "deep", 100, ""),
	FIELDS_END,
};
static const struct crier_field object_fields[] = {
	FIELD(UINT, struct all, object.inner, "inner", ""),
	GROUP("group", deep_fields, ""),
	FIELDS_END,
};
static const struct crier_field item_fields[] = {
	FIELD(ID, struct crier_loss_cgroup, id, "id", ""),
	FIELD(UINT, struct crier_loss_cgroup, count, "count", ""),
	FIELDS_END,
};
static const struct crier_field fields[] = {
	FIELD(UINT, struct all, number, "number", ""),
	FIELD(INT, struct all, offset, "offset", ""),
	FIELD(ID, struct all, id, "id", ""),
	FIELD(TIME, struct all, time, "time", ""),
	FIELD(BOOL, struct all, yes, "yes", ""),
	FIELD(FLAG, struct all, flag, "flag", ""),
	ENUM(struct all, word, "word", words, 3, ""),
	ENUM_UNLESS(struct all, ordinary, "ordinary", words, 3, 1, ""),
	FIELD(RATIO, struct all, ratio, "ratio", ""),
	TEXT(struct all, text, "text", 10, ""),
	{ROW(BASENAME, struct all, path, "base", ""), .max = 100},
	{ROW(SENTENCE, struct all, sentence, "sentence", ""), .max = 20},
	FIELD(NAME, struct all, name, "name", ""),
	{ROW(CSTR, struct all, foreign, "foreign", ""), .max = 10},
	FIELD(WHOLE, struct all, own_id, "own_id", ""),
	GROUP("object", object_fields, ""),
	ARRAY(struct all, items, item_count, "items", 3, struct crier_loss_cgroup, item_fields, ""),
	TEXTS(struct all, texts, text_count, "texts", 3, ""),
	FIELD(LABELS, struct all, labels, "labels", ""),
	FIELD(EVENT_ID, struct all, seq, "event", ""),
	FIELD(INCIDENT_ID, struct all, incident, "incident", ""),
	FIELD(PROCESS_KEY, struct all, key, "key", ""),
	FIELD(SLOT, struct all, slot, "slot", ""),
	FULL(UINT, struct all, full_only, "full_only", ""),
	{ROW(UINT, struct all, wait, "wait", ""), .lean_skip = 1},
	FIELDS_END,
};

static const struct crier_emit_options options = {.instance = "3b1d9c20", .boot = "5f0c6a1e"};

/* Render as an object; the paths of the lists follow a space each. */
static const char *render(const struct all *all, bool lean)
{
	static char storage[CRIER_LINE_MAX], text[CRIER_LINE_MAX + 2 * CRIER_PATHS_MAX];
	static struct crier_emit_line line;
	struct crier_buf out;

	crier_emit_line_init(&line, &options, lean, CRIER_CUT_NONE, storage, sizeof(storage));
	CRIER_EMIT_OBJECT(&line, "x", fields, all);
	assert_false(line.buf.overflow);
	crier_buf_init(&out, text, sizeof(text) - 1);
	if (line.buf.len)
		crier_buf_put(&out, line.buf.data + 5, line.buf.len - 5);
	json_t *value = line.buf.len
				? json_loadb(text, out.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
				: NULL;

	if (line.buf.len && !value)
		fail_msg("no JSON: %.*s", (int)out.len, text);
	json_decref(value);
	if (line.sanitized.buf.len) {
		crier_buf_put_str(&out, " sanitized");
		crier_buf_put(&out, line.sanitized.buf.data, line.sanitized.buf.len);
	}
	if (line.truncated.buf.len) {
		crier_buf_put_str(&out, " truncated");
		crier_buf_put(&out, line.truncated.buf.data, line.truncated.buf.len);
	}
	text[out.len] = '\0';
	return text;
}

static void expect(const struct all *all, const char *expected)
{
	assert_string_equal(render(all, false), expected);
}

static struct all cleared(void)
{
	struct all all;

	memset(&all, 0xa5, sizeof(all));
	crier_fields_clear(fields, &all);
	return all;
}

static void test_cleared_is_absent(void **state)
{
	struct all all = cleared();
	(void)state;

	expect(&all, "");
	assert_string_equal(render(&all, true), "");
}

static void test_numbers(void **state)
{
	static const struct {
		uint64_t value;
		const char *number, *id;
	} rows[] = {
		{0, "{\"number\":0}", "{\"id\":\"0\"}"},
		{1ULL << 53, "{\"number\":9007199254740992}", "{\"id\":\"9007199254740992\"}"},
		{(1ULL << 53) + 1, "", "{\"id\":\"9007199254740993\"}"}, /* never clamped */
		{UINT64_MAX - 1, "", "{\"id\":\"18446744073709551614\"}"},
		{UINT64_MAX, "", ""},
	};
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct all all = cleared();

		all.number = rows[i].value;
		expect(&all, rows[i].number);
		all = cleared();
		all.id = rows[i].value;
		expect(&all, rows[i].id);
	}
}

static void test_signed(void **state)
{
	static const struct {
		int64_t value;
		const char *expected;
	} rows[] = {
		{0, "{\"offset\":0}"},
		{-1, "{\"offset\":-1}"},
		{137, "{\"offset\":137}"},
		{1LL << 53, "{\"offset\":9007199254740992}"},
		{-(1LL << 53), "{\"offset\":-9007199254740992}"},
		{(1LL << 53) + 1, ""},
		{-(1LL << 53) - 1, ""},
		{INT64_MAX, ""},
		{INT64_MIN, ""},
	};
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct all all = cleared();

		all.offset = rows[i].value;
		expect(&all, rows[i].expected);
	}
}

static void test_ratios(void **state)
{
	static const struct {
		double value;
		const char *expected;
	} rows[] = {
		{0, "{\"ratio\":0}"},
		{1, "{\"ratio\":1}"},
		{0.5, "{\"ratio\":0.5}"},
		{0.97134, "{\"ratio\":0.9713}"},
		{0.97136, "{\"ratio\":0.9714}"},
		{0.99999, "{\"ratio\":1}"},
		{0.0001, "{\"ratio\":0.0001}"},
		{0.00001, "{\"ratio\":0}"},
		{12.3, "{\"ratio\":12.3}"},
		{-0.5, ""},
		{1e10, ""},
		{NAN, ""},
		{INFINITY, ""},
		{0.1, "{\"ratio\":0.1}"},
		{0.0305, "{\"ratio\":0.0305}"},
	};
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct all all = cleared();

		all.ratio = rows[i].value;
		expect(&all, rows[i].expected);
	}
}

static void test_small_kinds(void **state)
{
	struct all all = cleared();
	(void)state;

	all.time = 1767586327000000001;
	all.yes = 0;
	all.flag = 1;
	all.word = 2;
	all.name = "n";
	all.foreign = "f\"";
	all.own_id = "id";
	all.seq = 7;
	all.incident = 12;
	all.key = (struct crier_process_key){4294967295, UINT64_MAX};
	all.slot = (struct crier_slot_name){CRIER_SLICE("uid"), CRIER_SLICE("app")};
	expect(&all,
	       "{\"time\":\"2026-01-05T04:12:07.000000001Z\",\"yes\":false,\"flag\":true,\"word\":\"two\",\"name\":\"n\","
	       "\"foreign\":\"f\\\"\",\"own_id\":\"id\",\"event\":\"3b1d9c20-7\",\"incident\":\"3b1d9c20-i12\","
	       "\"key\":\"5f0c6a1e:4294967295:18446744073709551615\",\"slot\":\"uid/app\"}");
	all = cleared();
	all.time = 0;
	all.yes = 3;
	all.flag = 2;
	all.word = 3;
	all.slot.pod_uid = CRIER_SLICE("uid");
	expect(&all, "");
	all.yes = 1;
	expect(&all, "{\"yes\":true}");
}

static void test_lean(void **state)
{
	struct all all = cleared();
	(void)state;

	all.full_only = 1;
	all.ordinary = 1;
	all.wait = 0;
	expect(&all, "{\"ordinary\":\"one\",\"full_only\":1,\"wait\":0}");
	assert_string_equal(render(&all, true), "");
	all.ordinary = 2;
	all.wait = 5;
	assert_string_equal(render(&all, true), "{\"ordinary\":\"two\",\"wait\":5}");
}

static void test_texts(void **state)
{
	struct all all = cleared();
	(void)state;

	all.text = CRIER_SLICE("");
	expect(&all, "{\"text\":\"\"}");
	all.text = CRIER_SLICE("0123456789x");
	expect(&all, "{\"text\":\"0123456789\"} truncated,\"x.text\"");
	all.text = CRIER_SLICE("a\xff");
	expect(&all, "{\"text\":\"a\xef\xbf\xbd\",\"text_hex\":\"61ff\"} sanitized,\"x.text\"");
	all = cleared();
	all.object.deep = CRIER_SLICE("\xff");
	expect(&all,
	       "{\"object\":{\"group\":{\"deep\":\"\xef\xbf\xbd\",\"deep_hex\":\"ff\"}}} sanitized,\"x.object.group.deep\"");
	all = cleared();
	all.path = CRIER_SLICE("/usr/bin/java");
	expect(&all, "{\"base\":\"java\"}");
	all.path = CRIER_SLICE("java");
	expect(&all, "{\"base\":\"java\"}");
	all.path = CRIER_SLICE("/usr/bin/");
	expect(&all, "");
	all = cleared();
	all.sentence = CRIER_SLICE("\xff and more than twenty");
	expect(&all, "{\"sentence\":\"\xef\xbf\xbd and more than twen\"}"); /* its parts are told elsewhere */
	all = cleared();
	all.slot = (struct crier_slot_name){CRIER_SLICE("u\xff"), CRIER_SLICE("a\"")};
	expect(&all, "{\"slot\":\"u\xef\xbf\xbd/a\\\"\"}");
	all.slot = (struct crier_slot_name){CRIER_SLICE("u\xff"), CRIER_SLICE("app")};
	expect(&all, "{\"slot\":\"u\xef\xbf\xbd/app\"}");
}

static void test_hex_is_bounded(void **state)
{
	char text[80];
	struct all all = cleared();
	(void)state;

	memset(text, 0xff, sizeof(text));
	all.foreign = "\xff";
	expect(&all, "{\"foreign\":\"\xef\xbf\xbd\",\"foreign_hex\":\"ff\"} sanitized,\"x.foreign\"");
	all = cleared();
	all.object.deep = (struct crier_slice){text, sizeof(text)};
	const char *hex = strstr(render(&all, false), "deep_hex\":\"");

	assert_non_null(hex);
	assert_int_equal(strspn(hex + 11, "f"), 2 * CRIER_HEX_MAX);
}

static void test_arrays(void **state)
{
	static const struct crier_loss_cgroup items[] = {{1, 2}, {UINT64_MAX, UINT64_MAX}, {3, 4}, {5, 6}};
	static const struct crier_slice texts[] = {{"a", 1}, {"\xff", 1}, {NULL, 0}, {"b", 1}};
	struct all all = cleared();
	(void)state;

	all.items = items;
	all.item_count = 3;
	expect(&all, "{\"items\":[{\"id\":\"1\",\"count\":2},{},{\"id\":\"3\",\"count\":4}]}");
	all.item_count = 4;
	expect(&all,
	       "{\"items\":[{\"id\":\"1\",\"count\":2},{},{\"id\":\"3\",\"count\":4}]} truncated,\"x.items\"");
	all = cleared();
	all.texts = texts;
	all.text_count = 1;
	expect(&all, "{\"texts\":[\"a\"]}");
	all.text_count = 4;
	expect(&all,
	       "{\"texts\":[\"a\",\"\xef\xbf\xbd\",\"\"],\"texts_hex\":{\"1\":\"ff\"}} sanitized,\"x.texts\" truncated,\"x.texts\"");
}

static void test_labels(void **state)
{
	static struct crier_meta_labels labels = {
		.count = 6,
		.items =
			{
				{{"app", 3}, {"cart", 4}},
				{{"app", 3}, {"again", 5}},
				{{"b\xff", 2}, {"x", 1}},
				{{"c", 1}, {"\xff", 1}},
				{{"c_hex", 5}, {"taken", 5}},
				{{"d\"", 2}, {NULL, 0}},
			},
	};
	struct all all = cleared();
	(void)state;

	all.labels = &labels;
	expect(&all,
	       "{\"labels\":{\"app\":\"cart\",\"b\xef\xbf\xbd\":\"x\",\"c\":\"\xef\xbf\xbd\",\"c_hex\":\"taken\",\"d\\\"\":\"\"}} "
	       "sanitized,\"x.labels\"");
	labels.items[4].key = CRIER_SLICE("e");
	expect(&all,
	       "{\"labels\":{\"app\":\"cart\",\"b\xef\xbf\xbd\":\"x\",\"c\":\"\xef\xbf\xbd\",\"e\":\"taken\",\"d\\\"\":\"\","
	       "\"c_hex\":\"ff\"}} sanitized,\"x.labels\"");
	labels.items[0].key = CRIER_SLICE("n\0m"); /* readers keep keys as C strings */
	labels.count = 1;
	expect(&all, "{\"labels\":{\"n\xef\xbf\xbdm\":\"cart\"}} sanitized,\"x.labels\"");
	labels.count = 0;
	expect(&all, "");
}

/* Room that ends within any field: overflow is told, nothing is written past the end (the sanitizers watch). */
static void test_any_room(void **state)
{
	static const struct crier_loss_cgroup items[] = {{1, 2}};
	struct all all = cleared();
	char storage[1024];
	(void)state;

	all.number = all.id = all.seq = all.incident = all.object.inner = 123456789012;
	all.text = all.object.deep = CRIER_SLICE("a\nb");
	all.word = 1;
	all.items = items;
	all.item_count = 1;
	for (size_t cap = 0; cap < sizeof(storage); cap++) {
		char *exact = malloc(cap ? cap : 1);
		struct crier_emit_line line;

		crier_emit_line_init(&line, &options, false, CRIER_CUT_NONE, exact, cap);
		CRIER_EMIT_OBJECT(&line, "x", fields, &all);
		assert_true(line.buf.len <= cap);
		if (cap > 800)
			assert_false(line.buf.overflow);
		if (cap < 200)
			assert_true(line.buf.overflow);
		free(exact);
	}
}

/* ---- the tables themselves ---- */

static void check_table(const struct crier_field *table, size_t size, unsigned depth)
{
	assert_true(depth <= 7);
	for (const struct crier_field *field = table; field->kind != CRIER_FIELD_END; field++) {
		char json[64];

		assert_non_null(field->key);
		assert_true(strspn(field->key, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
			    strlen(field->key));
		snprintf(json, sizeof(json), ",\"%s\":", field->key);
		assert_int_equal(field->json_len, strlen(json));
		assert_memory_equal(field->json, json, field->json_len);
		if (!field->doc || !*field->doc || strchr(field->doc, '|') || strchr(field->doc, '\n'))
			fail_msg("%s: its doc is empty or breaks the generated table", field->key);
		assert_true(field->offset < size);
		for (const struct crier_field *other = table; other < field; other++)
			assert_string_not_equal(other->key, field->key);
		if (field->kind == CRIER_FIELD_OBJECT)
			check_table(field->sub, size - field->offset, depth + 1);
		if (field->kind == CRIER_FIELD_ARRAY) {
			assert_true(field->item_size && field->max && field->count_offset < size);
			check_table(field->sub, field->item_size, depth + 1);
		}
		if (field->kind == CRIER_FIELD_TEXT || field->kind == CRIER_FIELD_CSTR ||
		    field->kind == CRIER_FIELD_BASENAME || field->kind == CRIER_FIELD_SENTENCE ||
		    field->kind == CRIER_FIELD_TEXTS)
			assert_true(field->max > 0);
		if (field->kind != CRIER_FIELD_ENUM)
			continue;
		assert_null(field->names[0]);
		assert_null(field->names[field->max]);
		for (size_t i = 1; i < field->max; i++) /* only `observed` has a value that is not written */
			assert_true(field->names[i] || strcmp(field->key, "observed") == 0);
	}
}

static void test_tables(void **state)
{
	(void)state;
	check_table(crier_head_fields, sizeof(struct crier_view_head), 0);
	check_table(crier_process_fields, sizeof(struct crier_process), 1);
	check_table(crier_actor_fields, sizeof(struct crier_actor), 1);
	check_table(crier_cgroup_fields, sizeof(struct crier_cgroup_ref), 1);
	check_table(crier_container_fields, sizeof(struct crier_container), 1);
	check_table(crier_k8s_node_fields, sizeof(struct crier_view_node), 1);
	check_table(crier_k8s_pod_fields, sizeof(struct crier_view_pod), 1);
	check_table(crier_attribution_fields, sizeof(struct crier_attribution), 1);
	check_table(crier_correlation_fields, sizeof(struct crier_view_correlation), 1);
}

/* The rows of the type table and their data tables. */
static void test_types(void **state)
{
	(void)state;
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		const struct crier_type_info *info = crier_type_info(type);

		assert_string_equal(info->name, crier_type_names[type]);
		assert_int_equal(crier_type_parse(crier_slice_of(info->name)), type);
		assert_true(info->severity && info->priority && info->doc && info->data_size);
		assert_int_equal(info->full, strncmp(info->name, "process.", 8) != 0);
		check_table(info->data, info->data_size, 1);
	}
	assert_int_equal(crier_type_parse(CRIER_SLICE("container.oomx")), CRIER_TYPE_NONE);
	assert_int_equal(crier_type_parse(CRIER_SLICE("")), CRIER_TYPE_NONE);
	assert_null(crier_type_names[CRIER_TYPE_COUNT]);
}

static void test_event_init_is_what_the_tables_clear(void **state)
{
	struct crier_event event, other;
	(void)state;

	memset(&event, 0xa5, sizeof(event));
	crier_event_init(&event, CRIER_TYPE_PROCESS_EXEC);
	other = event;
	crier_fields_clear(crier_process_fields, &other.process);
	crier_fields_clear(crier_actor_fields, &other.actor);
	crier_fields_clear(crier_cgroup_fields, &other.cgroup);
	crier_fields_clear(crier_attribution_fields, &other.attribution);
	assert_memory_equal(&other, &event, sizeof(event));
	assert_int_equal(event.correlation.incident, CRIER_UNKNOWN_U64);
	assert_int_equal(event.correlation.cause_count, 0);
	assert_null(event.container);
	crier_event_init(&event, CRIER_TYPE_AGENT_STATS);
	assert_int_equal(event.attribution.status, CRIER_ATTRIBUTION_HOST);
}

static void test_data_init_is_what_the_tables_clear(void **state)
{
	_Alignas(16) char made[1024], cleared[1024];
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		const struct crier_type_info *info = crier_type_info(type);

		assert_true(info->data_size <= sizeof(made));
		memset(made, 0xa5, sizeof(made));
		memset(cleared, 0, sizeof(cleared));
		crier_data_init(type, made);
		crier_fields_clear(info->data, cleared);
		assert_memory_equal(made, cleared, info->data_size);
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(crier_signal_name(9), "SIGKILL");
	assert_string_equal(crier_signal_name(15), "SIGTERM");
	assert_string_equal(crier_signal_name(31), "SIGSYS");
	assert_string_equal(crier_signal_name(34), "SIGRTMIN");
	assert_string_equal(crier_signal_name(37), "SIGRTMIN+3");
	assert_string_equal(crier_signal_name(64), "SIGRTMIN+30");
	assert_null(crier_signal_name(0));
	assert_null(crier_signal_name(65));
	assert_null(crier_hook_name(CRIER_HOOK_NONE));
	assert_null(crier_hook_name(CRIER_HOOK_COUNT));
	for (unsigned hook = 1; hook < CRIER_HOOK_COUNT; hook++)
		assert_true(crier_hook_name(hook) && strlen(crier_hook_name(hook)) < 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cleared_is_absent),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_signed),
		cmocka_unit_test(test_ratios),
		cmocka_unit_test(test_small_kinds),
		cmocka_unit_test(test_lean),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_hex_is_bounded),
		cmocka_unit_test(test_arrays),
		cmocka_unit_test(test_labels),
		cmocka_unit_test(test_any_room),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_event_init_is_what_the_tables_clear),
		cmocka_unit_test(test_data_init_is_what_the_tables_clear),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
