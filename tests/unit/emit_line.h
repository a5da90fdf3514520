/* SPDX-License-Identifier: Apache-2.0 */
/* Emit a sample, parse it with jansson, look into it. */
#ifndef TESTS_EMIT_LINE_H
#define TESTS_EMIT_LINE_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "crier/base/json.h"
#include "emit_samples.h"
#include "test.h"

static char line_text[CRIER_LINE_MAX + 1];
static size_t line_len;

/* Emit and parse; the caller gives the value back. */
static inline json_t *emit(const struct sample *s)
{
	struct crier_buf buf;
	json_error_t error;

	crier_buf_init(&buf, line_text, CRIER_LINE_MAX);
	assert_int_equal(crier_emit_json(&s->options, &s->event, 118204, &buf), 0);
	line_len = buf.len;
	assert_true(buf.len <= CRIER_LINE_MAX && buf.data[buf.len - 1] == '\n');
	assert_null(memchr(buf.data, '\n', buf.len - 1));
	assert_true(crier_utf8_is_valid((struct crier_slice){buf.data, buf.len}));
	line_text[buf.len] = '\0';
	json_t *value = json_loadb(buf.data, buf.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

	if (!value)
		fail_msg("%s at %d: %s", error.text, error.position, line_text);
	return value;
}

/* The value at a dotted path; NULL when absent. */
static inline json_t *at(json_t *value, const char *path)
{
	char key[64];

	while (value && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10))
					     : json_object_get(value, key);
		path += n + (path[n] == '.');
	}
	return value;
}

static inline void expect_text(json_t *line, const char *path, const char *expected)
{
	json_t *value = at(line, path);

	if (!expected) {
		if (value)
			fail_msg("%s is there: %s", path, line_text);
		return;
	}
	if (!value || !json_string_value(value) || strcmp(json_string_value(value), expected) != 0)
		fail_msg("%s is not \"%s\": %s", path, expected, line_text);
}

static inline void expect_number(json_t *line, const char *path, json_int_t expected)
{
	json_t *value = at(line, path);

	if (!value || !json_is_integer(value) || json_integer_value(value) != expected)
		fail_msg("%s is not %lld: %s", path, (long long)expected, line_text);
}

static inline bool lists(json_t *line, const char *list, const char *path)
{
	json_t *items = json_object_get(line, list);
	json_t *item;
	size_t i;

	json_array_foreach(items, i, item) if (strcmp(json_string_value(item), path) == 0) return true;
	return false;
}

static inline unsigned depth_of(json_t *value)
{
	unsigned depth = 0;
	const char *key;
	json_t *child;
	size_t i;

	if (json_is_array(value)) {
		json_array_foreach(value, i, child) depth = crier_max(depth, depth_of(child));
		return depth;
	}
	if (!json_is_object(value))
		return 0;
	json_object_foreach(value, key, child) depth = crier_max(depth, depth_of(child));
	return depth + 1;
}

#endif
