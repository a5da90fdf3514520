/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The config file: one flat YAML mapping, read event by event, so that each error has its line and column and nothing
 * nests deeper than a list.
 */
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; empty when type is YAML_NO_EVENT */
	struct crier_config *config;
	const char *path;
	uint64_t seen[CRIER_OPTIONS_MAX / 64];
	struct crier_err *err;
};

__attribute__((format(printf, 3, 4))) static int fail_at(struct reader *reader, const yaml_mark_t *mark,
							 const char *format, ...)
{
	char text[CRIER_ERR_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return crier_err_set(reader->err, -EINVAL, "%.300s:%zu:%zu: %s", reader->path, mark->line + 1,
			     mark->column + 1, text);
}

#define fail(reader, ...) fail_at(reader, &(reader)->event.start_mark, __VA_ARGS__)

/* To the next event. @return 0, -EINVAL (not YAML), -ENOMEM */
static int next(struct reader *reader)
{
	yaml_parser_t *parser = &reader->parser;

	yaml_event_delete(&reader->event);
	if (yaml_parser_parse(parser, &reader->event))
		return 0;
	if (parser->error == YAML_MEMORY_ERROR)
		return crier_err_set(reader->err, -ENOMEM, "%.300s: out of memory", reader->path);
	if (parser->error == YAML_READER_ERROR)
		return crier_err_set(reader->err, -EINVAL, "%.300s: byte %zu: not valid YAML: %s",
				     reader->path, parser->problem_offset, parser->problem);
	return fail_at(reader, &parser->problem_mark, "not valid YAML: %s",
		       parser->problem ? parser->problem : "cannot be parsed");
}

/* The scalar of the current event; NULL with err set for all else, and for what YAML makes of an unquoted ! or *. */
static const char *take_text(struct reader *reader, const char *what)
{
	const yaml_event_t *event = &reader->event;
	const char *tag, *text;

	if (event->type != YAML_SCALAR_EVENT) {
		if (event->type == YAML_ALIAS_EVENT)
			(void)fail(reader, "%s: YAML reads *%.60s as a reference; put it in quotes", what,
				   (const char *)event->data.alias.anchor);
		else
			(void)fail(reader, "%s: one value is expected here, not a %s", what,
				   event->type == YAML_SEQUENCE_START_EVENT ? "list" : "mapping");
		return NULL;
	}
	tag = (const char *)event->data.scalar.tag;
	text = (const char *)event->data.scalar.value;
	if (tag && strncmp(tag, "tag:", 4) != 0) {
		(void)fail(reader, "%s: YAML reads %.60s as a tag; put it in quotes", what, tag);
		return NULL;
	}
	if (strlen(text) != event->data.scalar.length) {
		(void)fail(reader, "%s: holds a NUL byte", what);
		return NULL;
	}
	return text;
}

static bool is_null(const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;

	return event->type == YAML_SCALAR_EVENT && !event->data.scalar.tag &&
	       event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int add_item(struct reader *reader, const struct crier_option *option, const char *item,
		    const yaml_mark_t *mark)
{
	struct crier_err cause = {0};
	int r = crier_option_add(reader->config, option, item, &cause);

	return r < 0 ? fail_at(reader, mark, "%s: %s", crier_option_key(option), cause.message) : 0;
}

static int read_sequence(struct reader *reader, const struct crier_option *option)
{
	int r;

	while ((r = next(reader)) == 0 && reader->event.type != YAML_SEQUENCE_END_EVENT) {
		const char *text = take_text(reader, crier_option_key(option));

		if (!text)
			return -EINVAL;
		r = add_item(reader, option, text, &reader->event.start_mark);
		if (r < 0)
			return r;
	}
	return r;
}

/* "team: payments" is the item "team=payments". The current event is the key. */
static int read_pair(struct reader *reader, const struct crier_option *option)
{
	char item[CRIER_CONFIG_VALUE_MAX + 2];
	yaml_mark_t mark = reader->event.start_mark;
	const char *text = take_text(reader, crier_option_key(option));
	size_t len;
	int r;

	if (!text)
		return -EINVAL;
	len = (size_t)snprintf(item, sizeof(item), "%s=", text);
	r = next(reader);
	if (r < 0)
		return r;
	text = take_text(reader, crier_option_key(option));
	if (!text)
		return -EINVAL;
	if (len >= sizeof(item) || strlen(text) >= sizeof(item) - len)
		return fail_at(reader, &mark, "%s: an item is longer than %d bytes", crier_option_key(option),
			       CRIER_CONFIG_VALUE_MAX);
	memcpy(item + len, text, strlen(text) + 1);
	return add_item(reader, option, item, &mark);
}

static int read_pairs(struct reader *reader, const struct crier_option *option)
{
	int r;

	while ((r = next(reader)) == 0 && reader->event.type != YAML_MAPPING_END_EVENT) {
		r = read_pair(reader, option);
		if (r < 0)
			return r;
	}
	return r;
}

static int read_value(struct reader *reader, const struct crier_option *option)
{
	yaml_event_type_t type = reader->event.type;
	struct crier_err cause = {0};
	const char *text;
	int r;

	if (is_null(&reader->event)) {
		if (crier_option_may_be_unset(option))
			return 0;
		return fail(reader, "%s: has no value; give one or remove the line",
			    crier_option_key(option));
	}
	if (option->kind == CRIER_OPTION_LIST &&
	    (type == YAML_SEQUENCE_START_EVENT ||
	     (type == YAML_MAPPING_START_EVENT && option->flags & CRIER_OPTION_PAIR))) {
		crier_option_clear(reader->config, option);
		return type == YAML_SEQUENCE_START_EVENT ? read_sequence(reader, option)
							 : read_pairs(reader, option);
	}
	text = take_text(reader, crier_option_key(option));
	if (!text)
		return -EINVAL;
	r = crier_option_set(reader->config, option, text, &cause);
	return r < 0 ? fail(reader, "%s: %s", crier_option_key(option), cause.message) : 0;
}

/* The option that the current event names; NULL with err set. */
static const struct crier_option *take_key(struct reader *reader)
{
	const char *key = take_text(reader, "key"), *near;
	const struct crier_option *option = key ? crier_option_find(key, strlen(key)) : NULL;

	if (!key)
		return NULL;
	near = option ? NULL : crier_option_suggest(key);
	if (near)
		(void)fail(reader, "unknown key '%.80s'; did you mean '%s'?", key, near);
	else if (!option)
		(void)fail(reader, "unknown key '%.80s'", key);
	else if (option->flags & CRIER_OPTION_FLAG_ONLY)
		(void)fail(reader, "%s: only a flag, not a key of the file", key);
	else if (crier_bit_get(reader->seen, crier_option_number(option)))
		(void)fail(reader, "%s: given twice", key);
	else
		return option;
	return NULL;
}

static int read_mapping(struct reader *reader)
{
	int r;

	while ((r = next(reader)) == 0 && reader->event.type != YAML_MAPPING_END_EVENT) {
		const struct crier_option *option = take_key(reader);

		if (!option)
			return -EINVAL;
		r = next(reader);
		if (r == 0)
			r = read_value(reader, option);
		if (r < 0)
			return r;
		crier_bit_set(reader->seen, crier_option_number(option));
		crier_bit_set(reader->config->given, crier_option_number(option));
	}
	return r;
}

static int read_document(struct reader *reader)
{
	int r = next(reader); /* the stream's start */

	if (r < 0 || (r = next(reader)) < 0 || reader->event.type == YAML_STREAM_END_EVENT)
		return r; /* nothing but comments */
	if ((r = next(reader)) < 0)
		return r;
	if (reader->event.type == YAML_MAPPING_START_EVENT)
		r = read_mapping(reader);
	else if (!is_null(&reader->event))
		r = fail(reader, "a mapping of options is expected: 'key: value'");
	if (r < 0 || (r = next(reader)) < 0 || (r = next(reader)) < 0)
		return r; /* the document's end, then the stream's */
	return reader->event.type == YAML_STREAM_END_EVENT ? 0
							   : fail(reader, "a second document; one is read");
}

/* At most CRIER_CONFIG_FILE_MAX bytes. A ConfigMap's file is a symlink, so links are followed. */
static int read_whole(const char *path, char **ret_text, size_t *ret_len, struct crier_err *err)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return crier_err_set(err, -errno, "%.300s: cannot read the config file: %s", path,
				     strerror(errno));
	if (!S_ISREG(st.st_mode))
		return crier_err_set(err, -EINVAL, "%.300s: the config file is not a regular file", path);
	text = malloc(CRIER_CONFIG_FILE_MAX + 1);
	if (!text)
		return crier_err_set(err, -ENOMEM, "%.300s: out of memory", path);
	while (len <= CRIER_CONFIG_FILE_MAX &&
	       (n = read(fd, text + len, CRIER_CONFIG_FILE_MAX + 1 - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return crier_err_set(err, -errno, "%.300s: cannot read the config file: %s", path,
					     strerror(errno));
		len += n > 0 ? (size_t)n : 0;
	}
	if (len > CRIER_CONFIG_FILE_MAX)
		return crier_err_set(err, -EFBIG, "%.300s: the config file is longer than 1 MiB", path);
	*ret_text = take_ptr(text);
	*ret_len = len;
	return 0;
}

int crier_config_read(struct crier_config *config, const char *path, struct crier_err *err)
{
	struct reader reader = {.config = config, .path = path, .err = err};
	_cleanup_free_ char *text = NULL;
	_cleanup_free_ char *copy = strdup(path);
	size_t len = 0;
	int r = read_whole(path, &text, &len, err);

	if (r < 0)
		return r;
	if (!copy || !yaml_parser_initialize(&reader.parser))
		return crier_err_set(err, -ENOMEM, "%.300s: out of memory", path);
	yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text, len);
	r = read_document(&reader);
	yaml_event_delete(&reader.event);
	yaml_parser_delete(&reader.parser);
	if (r < 0)
		return r;
	free(config->config_path);
	config->config_path = take_ptr(copy);
	return 0;
}
