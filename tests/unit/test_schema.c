/* SPDX-License-Identifier: Apache-2.0 */
/* The schema and the generated part of docs/events.md follow the tables. tests/golden/validate.py judges lines by it. */
#include "test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "crier/base/cleanup.h"
#include "crier/emit.h"
#include "crier/names.h"

static json_t *load(char *text)
{
	json_error_t error;

	assert_non_null(text);
	json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!schema)
		fail_msg("%s at line %d", error.text, error.line);
	free(text);
	return schema;
}

/* The schema at a dotted path of properties. */
static json_t *property(json_t *schema, const char *path)
{
	char key[64];

	while (schema && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		if (json_object_get(schema, "items"))
			schema = json_object_get(schema, "items");
		schema = json_object_get(json_object_get(schema, "properties"), key);
		path += n + (path[n] == '.');
	}
	return schema;
}

static void test_every_type(void **state)
{
	json_t *schema = load(crier_schema_json());
	json_t *definitions = json_object_get(schema, "$defs");
	json_t *branches = json_object_get(schema, "allOf");
	(void)state;

	assert_int_equal(json_object_size(definitions), CRIER_TYPE_COUNT - 1);
	assert_int_equal(json_array_size(branches), CRIER_TYPE_COUNT - 1);
	assert_int_equal(json_array_size(json_object_get(property(schema, "type"), "enum")),
			 CRIER_TYPE_COUNT - 1);
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		const struct crier_type_info *info = crier_type_info(type);
		json_t *definition = json_object_get(definitions, info->name);

		assert_non_null(definition);
		for (const struct crier_field *field = info->data; field->kind != CRIER_FIELD_END; field++)
			assert_non_null(property(definition, field->key));
	}
	json_decref(schema);
}

static void test_kinds(void **state)
{
	static const struct {
		const char *path, *keyword, *value;
	} rows[] = {
		{"seq", "type", "integer"},
		{"seq", "maximum", "9007199254740992"},
		{"ts", "format", "date-time"},
		{"severity", "enum", "[\"debug\",\"info\",\"warn\",\"error\",\"fatal\"]"},
		{"filter", "enum", "[\"undetermined\"]"},
		{"process.comm", "maxLength", "64"},
		{"process.comm_hex", "pattern", "^([0-9a-f]{2}){1,64}$"},
		{"process.executable.path", "type", "string"},
		{"cgroup.id", "pattern", "^(0|[1-9][0-9]{0,19})$"},
		{"attribution", "required", "[\"status\"]"},
		{"correlation.process_key", "pattern", "^[0-9a-f]{8}:[0-9]+:[0-9]+$"},
		{"correlation.caused_by", "maxItems", "4"},
		{"correlation.caused_by.filtered", "const", "true"},
		{"k8s.pod.label", "type", "object"},
	};
	json_t *schema = load(crier_schema_json());
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		json_t *value = json_object_get(property(schema, rows[i].path), rows[i].keyword);
		char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
		const char *plain = json_is_string(value) ? json_string_value(value) : text;

		if (!plain || strcmp(plain, rows[i].value) != 0)
			fail_msg("%s.%s is %s, expected %s", rows[i].path, rows[i].keyword,
				 plain ? plain : "absent", rows[i].value);
		free(text);
	}
	json_decref(schema);
}

/* crier/1 may grow: only the strict form refuses what the tables do not have. */
static void test_growth(void **state)
{
	json_t *open = load(crier_schema_json());
	json_t *strict = load(crier_schema_json_strict());
	(void)state;

	assert_null(json_object_get(open, "additionalProperties"));
	assert_null(json_object_get(property(open, "process"), "additionalProperties"));
	assert_true(json_is_false(json_object_get(strict, "additionalProperties")));
	assert_true(json_is_false(
		json_object_get(property(strict, "process.executable"), "additionalProperties")));
	json_decref(open);
	json_decref(strict);
}

#define BEGIN "<!-- generated: crier schema --markdown -->\n\n"
#define END   "<!-- generated: end -->\n"

/* docs/events.md holds what the tables say; CRIER_GOLDEN_UPDATE=1 writes it there. */
static void test_docs(void **state)
{
	const char *path = CRIER_SOURCE_DIR "/docs/events.md";
	static char page[256 * 1024];
	_cleanup_free_ char *tables = crier_schema_markdown();
	FILE *file = fopen(path, "r");
	(void)state;

	assert_non_null(tables);
	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	size_t len = fread(page, 1, sizeof(page) - 1, file);

	assert_int_equal(fclose(file), 0);
	page[len] = '\0';
	char *begin = strstr(page, BEGIN);
	char *end = strstr(page, END);

	if (!begin || !end || end < begin)
		fail_msg("%s: the markers are missing: %s and %s", path, BEGIN, END);
	begin += strlen(BEGIN);
	if (strlen(tables) == (size_t)(end - begin) && memcmp(begin, tables, strlen(tables)) == 0)
		return;
	if (!getenv("CRIER_GOLDEN_UPDATE"))
		fail_msg("%s is not what the tables say; CRIER_GOLDEN_UPDATE=1 with this test writes it",
			 path);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%.*s%s%s", (int)(begin - page), page, tables, end);
	assert_int_equal(fclose(file), 0);
}

/* Every word of the closed lists, every loss cause and every basis is explained by hand. */
static void test_docs_explain_the_lists(void **state)
{
	static const char *const *const lists[] = {crier_reason_names, crier_loss_cause_names,
						   crier_basis_names, crier_source_names, crier_via_names};
	static const size_t counts[] = {CRIER_REASON_COUNT, CRIER_LOSS_COUNT, CRIER_BASIS_COUNT,
					CRIER_SOURCE_COUNT, CRIER_VIA_COUNT};
	static char page[256 * 1024];
	FILE *file = fopen(CRIER_SOURCE_DIR "/docs/events.md", "r");
	(void)state;

	assert_non_null(file);
	page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
	assert_int_equal(fclose(file), 0);
	char *begin = strstr(page, BEGIN);

	assert_non_null(begin);
	*begin = '\0';
	for (size_t l = 0; l < CRIER_ARRAY_SIZE(lists); l++) {
		for (size_t i = 1; i < counts[l]; i++) {
			char row[64];

			snprintf(row, sizeof(row), "| `%s` |", lists[l][i]);
			if (!strstr(page, row))
				fail_msg("docs/events.md has no row %s", row);
		}
	}
}

/* For tests/golden/validate.py: `test_schema --strict` prints the strict schema. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_docs),
		cmocka_unit_test(test_docs_explain_the_lists),
	};

	if (argc == 2 && (strcmp(argv[1], "--strict") == 0 || strcmp(argv[1], "--open") == 0)) {
		_cleanup_free_ char *schema =
			argv[1][2] == 's' ? crier_schema_json_strict() : crier_schema_json();

		return !schema || puts(schema) < 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
