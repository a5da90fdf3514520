/* SPDX-License-Identifier: Apache-2.0 */
/* One option's value: from text, to text, to and from JSON. Errors tell the cause; the caller puts the place before it. */
#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "crier/base/json.h"

#define RATIO_ONE		   1000000.0
#define MESSAGE_MAX		   256
#define MEMORY_PROFILE_INTERVAL_MS 10000

/* Largest first: text is canonical in the largest unit that divides the value. */
struct unit {
	const char *name, *other;
	uint64_t factor;
};
static const struct unit size_units[] = {
	{"GiB", "Gi", 1ULL << 30}, {"MiB", "Mi", 1ULL << 20}, {"KiB", "Ki", 1ULL << 10}, {"", "B", 1},
	{NULL, NULL, 0},
};
static const struct unit duration_units[] = {
	{"h", NULL, 3600000}, {"m", NULL, 60000}, {"s", NULL, 1000}, {"ms", NULL, 1}, {NULL, NULL, 0},
};

static const char size_remedy[] = "write a number of bytes, or one with KiB, MiB or GiB";
static const char duration_remedy[] = "write it like 500ms, 30s, 5m or 1h";

static const struct unit *find_unit(const struct unit *units, const char *text, size_t len)
{
	for (const struct unit *unit = units; unit->name; unit++)
		if ((strlen(unit->name) == len && memcmp(unit->name, text, len) == 0) ||
		    (unit->other && strlen(unit->other) == len && memcmp(unit->other, text, len) == 0))
			return unit;
	return NULL;
}

/* "1h30m": numbers with units, one after the other. @return 0, -EINVAL, -ERANGE */
static int parse_units(const char *text, const struct unit *units, uint64_t *ret_value)
{
	uint64_t sum = 0;

	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t digits = strspn(text, "0123456789"), letters = strcspn(text + digits, "0123456789");
		const struct unit *unit = find_unit(units, text + digits, letters);
		uint64_t number;
		int r = crier_parse_u64((struct crier_slice){text, digits}, &number);

		if (r < 0)
			return r;
		if (!unit && letters == 0 && number == 0)
			unit = units; /* nothing needs no unit */
		if (!unit)
			return -EINVAL;
		if (__builtin_mul_overflow(number, unit->factor, &number) ||
		    __builtin_add_overflow(sum, number, &sum))
			return -ERANGE;
		text += digits + letters;
	}
	*ret_value = sum;
	return 0;
}

static void put_units(struct crier_buf *buf, const struct unit *units, uint64_t value)
{
	const struct unit *unit = units;

	while (unit[1].name && (value == 0 || value % unit->factor))
		unit++;
	if (value == 0 && units == duration_units)
		unit--; /* "0s" */
	crier_buf_put_u64(buf, value / unit->factor);
	crier_buf_put_str(buf, unit->name);
}

static void put_number(struct crier_buf *buf, enum crier_option_kind kind, uint64_t value)
{
	if (kind == CRIER_OPTION_SIZE)
		put_units(buf, size_units, value);
	else if (kind == CRIER_OPTION_DURATION)
		put_units(buf, duration_units, value);
	else if (kind == CRIER_OPTION_RATIO)
		crier_buf_printf(buf, "%.15g", (double)value / RATIO_ONE);
	else
		crier_buf_put_u64(buf, value);
}

void crier_option_put_range(const struct crier_option *option, struct crier_buf *buf)
{
	bool is_number = option->kind >= CRIER_OPTION_SIZE && option->kind <= CRIER_OPTION_RATIO;

	if (!is_number)
		return;
	put_number(buf, option->kind, option->min);
	crier_buf_put_str(buf, " to ");
	put_number(buf, option->kind, option->max);
}

static int out_of_range(const struct crier_option *option, const char *text, struct crier_err *err)
{
	char storage[128];
	struct crier_buf buf;

	crier_buf_init(&buf, storage, sizeof(storage));
	crier_option_put_range(option, &buf);
	return crier_err_set(err, -ERANGE, "%.80s is out of range; allowed: %.*s", text, (int)buf.len,
			     buf.data);
}

static int set_number(uint64_t *field, const struct crier_option *option, const char *text,
		      struct crier_err *err)
{
	uint64_t value;
	int r;

	if (option->kind == CRIER_OPTION_SIZE)
		r = parse_units(text, size_units, &value);
	else if (option->kind == CRIER_OPTION_DURATION)
		r = parse_units(text, duration_units, &value);
	else
		r = crier_parse_u64(crier_slice_of(text), &value);
	if (r == -EINVAL && option->kind == CRIER_OPTION_SIZE)
		return crier_err_set(err, -EINVAL, "'%.80s' is not a size; %s", text, size_remedy);
	if (r == -EINVAL && option->kind == CRIER_OPTION_DURATION)
		return crier_err_set(err, -EINVAL, "'%.80s' is not a duration; %s", text, duration_remedy);
	if (r == -EINVAL)
		return crier_err_set(err, -EINVAL, "'%.80s' is not a whole number", text);
	if (r < 0 || value < option->min || value > option->max)
		return out_of_range(option, text, err);
	if ((option->flags & CRIER_OPTION_POWER_OF_TWO) && (value & (value - 1)))
		return crier_err_set(err, -ERANGE, "%.80s is not a power of two", text);
	*field = value;
	return 0;
}

/* Millionths are all that is kept: so the value survives its own text. */
static int set_ratio(double *field, const struct crier_option *option, const char *text,
		     struct crier_err *err)
{
	char *end;
	double value;

	if (!*text || strspn(text, "0123456789.") != strlen(text))
		return crier_err_set(err, -EINVAL, "'%.80s' is not a ratio; write it like 0.9", text);
	value = strtod(text, &end); /* crier never leaves the C locale */
	if (*end)
		return crier_err_set(err, -EINVAL, "'%.80s' is not a ratio; write it like 0.9", text);
	if (value < (double)option->min / RATIO_ONE || value > (double)option->max / RATIO_ONE)
		return out_of_range(option, text, err);
	*field = (double)(uint64_t)(value * RATIO_ONE + 0.5) / RATIO_ONE;
	return 0;
}

static int set_bool(bool *field, const char *text, struct crier_err *err)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(words); i++)
		if (strcmp(text, words[i]) == 0) {
			*field = i % 2;
			return 0;
		}
	return crier_err_set(err, -EINVAL, "'%.80s' is neither true nor false", text);
}

static size_t first_name(const struct crier_option *option)
{
	return option->names[0] ? 0 : 1;
}

static int set_enum(void *field, const struct crier_option *option, const char *text, struct crier_err *err)
{
	char storage[MESSAGE_MAX];
	struct crier_suggestion suggestion = {.word = text};
	struct crier_buf buf;

	crier_buf_init(&buf, storage, sizeof(storage));
	for (size_t i = first_name(option); option->names[i]; i++) {
		if (strcmp(option->names[i], text) == 0) {
			if (option->size == 1)
				*(uint8_t *)field = (uint8_t)i;
			else
				*(uint32_t *)field = (uint32_t)i;
			return 0;
		}
		crier_suggest(&suggestion, option->names[i]);
		crier_buf_printf(&buf, "%s%s", buf.len ? ", " : "", option->names[i]);
	}
	if (suggestion.best)
		return crier_err_set(err, -EINVAL, "'%.80s' is none of %.*s; did you mean '%s'?", text,
				     (int)buf.len, buf.data, suggestion.best);
	return crier_err_set(err, -EINVAL, "'%.80s' is none of %.*s", text, (int)buf.len, buf.data);
}

static size_t enum_value(const struct crier_config *config, const struct crier_option *option)
{
	const void *field = crier_option_field(config, option);

	return option->size == 1 ? *(const uint8_t *)field : *(const uint32_t *)field;
}

static int check_text(const struct crier_option *option, const char *text, struct crier_err *err)
{
	size_t len = strlen(text), max = option->max ? option->max : CRIER_CONFIG_VALUE_MAX;

	if (len > max)
		return crier_err_set(err, -ERANGE, "'%.40s…' is longer than %zu bytes", text, max);
	if (len == 0 && option->kind != CRIER_OPTION_LIST && !(option->flags & CRIER_OPTION_EMPTY))
		return crier_err_set(err, -EINVAL, "is empty; give a value or leave it out");
	if ((option->flags & CRIER_OPTION_ABSOLUTE) && text[0] != '/')
		return crier_err_set(err, -EINVAL, "'%.80s' is not an absolute path", text);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return crier_err_set(err, -EINVAL, "holds a control character");
	if (!crier_utf8_is_valid(crier_slice_of(text)))
		return crier_err_set(err, -EINVAL, "is not valid UTF-8");
	return 0;
}

static int set_string(char **field, const struct crier_option *option, const char *text,
		      struct crier_err *err)
{
	char *copy;
	int r = check_text(option, text, err);

	if (r == 0 && option->check)
		r = option->check(text, err);
	if (r < 0)
		return r;
	copy = strdup(text);
	if (!copy)
		return crier_err_set(err, -ENOMEM, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

static void clear_list(struct crier_config_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
	*list = (struct crier_config_list){0};
}

int crier_option_add(struct crier_config *config, const struct crier_option *option, const char *item,
		     struct crier_err *err)
{
	struct crier_config_list *list = crier_option_field(config, option);
	char *copy;
	int r = check_text(option, item, err);

	if (r < 0)
		return r;
	if (!*item)
		return crier_err_set(err, -EINVAL, "holds an empty item");
	if (option->check && (r = option->check(item, err)) < 0)
		return r;
	if (list->count == CRIER_LIST_MAX)
		return crier_err_set(err, -ERANGE, "has more than %d items", CRIER_LIST_MAX);
	copy = strdup(item);
	if (!copy)
		return crier_err_set(err, -ENOMEM, "out of memory");
	list->items[list->count++] = copy;
	return 0;
}

static int set_list(struct crier_config *config, const struct crier_option *option, const char *text,
		    struct crier_err *err)
{
	_cleanup_free_ char *copy = NULL;
	char *rest;
	int r = check_text(option, text, err);

	if (r < 0)
		return r;
	if (!crier_bit_get(config->appending, crier_option_number(option)))
		clear_list(crier_option_field(config, option));
	crier_bit_set(config->appending, crier_option_number(option));
	if (!*text)
		return 0; /* an empty list */
	if (!(option->flags & CRIER_OPTION_COMMA))
		return crier_option_add(config, option, text, err);
	rest = copy = strdup(text);
	if (!copy)
		return crier_err_set(err, -ENOMEM, "out of memory");
	while (rest && r == 0)
		r = crier_option_add(config, option, strsep(&rest, ","), err);
	return r;
}

int crier_option_set(struct crier_config *config, const struct crier_option *option, const char *text,
		     struct crier_err *err)
{
	void *field = crier_option_field(config, option);

	switch (option->kind) {
	case CRIER_OPTION_BOOL: return set_bool(field, text, err);
	case CRIER_OPTION_ENUM: return set_enum(field, option, text, err);
	case CRIER_OPTION_STRING:
	case CRIER_OPTION_PATH: return set_string(field, option, text, err);
	case CRIER_OPTION_SIZE:
	case CRIER_OPTION_DURATION:
	case CRIER_OPTION_COUNT_: return set_number(field, option, text, err);
	case CRIER_OPTION_RATIO: return set_ratio(field, option, text, err);
	default: return set_list(config, option, text, err);
	}
}

void crier_option_clear(struct crier_config *config, const struct crier_option *option)
{
	if (option->kind == CRIER_OPTION_LIST) {
		clear_list(crier_option_field(config, option));
	} else if (option->kind == CRIER_OPTION_STRING || option->kind == CRIER_OPTION_PATH) {
		char **field = crier_option_field(config, option);

		free(*field);
		*field = NULL;
	}
}

void crier_option_format(const struct crier_config *config, const struct crier_option *option,
			 struct crier_buf *buf)
{
	const void *field = crier_option_field(config, option);

	switch (option->kind) {
	case CRIER_OPTION_BOOL: crier_buf_put_str(buf, *(const bool *)field ? "true" : "false"); break;
	case CRIER_OPTION_ENUM: crier_buf_put_str(buf, option->names[enum_value(config, option)]); break;
	case CRIER_OPTION_STRING:
	case CRIER_OPTION_PATH:
		if (*(char *const *)field)
			crier_buf_put_str(buf, *(char *const *)field);
		break;
	case CRIER_OPTION_SIZE:
	case CRIER_OPTION_DURATION:
	case CRIER_OPTION_COUNT_: put_number(buf, option->kind, *(const uint64_t *)field); break;
	case CRIER_OPTION_RATIO: crier_buf_printf(buf, "%.15g", *(const double *)field); break;
	default: break;
	}
}

json_t *crier_option_to_json(const struct crier_config *config, const struct crier_option *option)
{
	const void *field = crier_option_field(config, option);
	char storage[64];
	struct crier_buf buf;
	json_t *array;

	crier_buf_init(&buf, storage, sizeof(storage));
	switch (option->kind) {
	case CRIER_OPTION_BOOL: return json_boolean(*(const bool *)field);
	case CRIER_OPTION_COUNT_: return json_integer((json_int_t) * (const uint64_t *)field);
	case CRIER_OPTION_RATIO: return json_real(*(const double *)field);
	case CRIER_OPTION_STRING:
	case CRIER_OPTION_PATH:
		return *(char *const *)field ? json_string(*(char *const *)field) : json_null();
	case CRIER_OPTION_LIST: break;
	default: crier_option_format(config, option, &buf); return json_stringn(buf.data, buf.len);
	}
	array = json_array();
	for (size_t i = 0; array && i < ((const struct crier_config_list *)field)->count; i++)
		json_array_append_new(array,
				      json_string(((const struct crier_config_list *)field)->items[i]));
	return array;
}

static int list_from_json(struct crier_config *config, const struct crier_option *option, const json_t *value,
			  struct crier_err *err)
{
	size_t i;
	json_t *item;
	int r = 0;

	clear_list(crier_option_field(config, option));
	json_array_foreach(value, i, item)
	{
		if (!json_is_string(item))
			return crier_err_set(err, -EINVAL, "holds an item that is no text");
		r = crier_option_add(config, option, json_string_value(item), err);
		if (r < 0)
			return r;
	}
	return 0;
}

int crier_option_from_json(struct crier_config *config, const struct crier_option *option,
			   const json_t *value, struct crier_err *err)
{
	char text[64];

	if (json_is_null(value) && crier_option_may_be_unset(option)) {
		crier_option_clear(config, option);
		return 0;
	}
	if (json_is_array(value) && option->kind == CRIER_OPTION_LIST)
		return list_from_json(config, option, value, err);
	if (json_is_boolean(value) && option->kind == CRIER_OPTION_BOOL)
		return crier_option_set(config, option, json_is_true(value) ? "true" : "false", err);
	if (json_is_integer(value) && option->kind == CRIER_OPTION_COUNT_) {
		snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return crier_option_set(config, option, text, err);
	}
	if (json_is_number(value) && option->kind == CRIER_OPTION_RATIO) {
		snprintf(text, sizeof(text), "%.6f", json_number_value(value));
		return crier_option_set(config, option, text, err);
	}
	if (json_is_string(value) && option->kind != CRIER_OPTION_LIST)
		return crier_option_set(config, option, json_string_value(value), err);
	return crier_err_set(err, -EINVAL, "has a value of the wrong kind");
}

void crier_option_metavar(const struct crier_option *option, struct crier_buf *buf)
{
	static const char *const words[CRIER_OPTION_KIND_COUNT] = {
		[CRIER_OPTION_STRING] = "TEXT",	 [CRIER_OPTION_PATH] = "PATH",
		[CRIER_OPTION_SIZE] = "SIZE",	 [CRIER_OPTION_DURATION] = "TIME",
		[CRIER_OPTION_COUNT_] = "COUNT", [CRIER_OPTION_RATIO] = "RATIO",
		[CRIER_OPTION_LIST] = "ITEM",
	};

	if (option->metavar) {
		crier_buf_put_str(buf, option->metavar);
	} else if (option->kind == CRIER_OPTION_ENUM) {
		for (size_t i = first_name(option); option->names[i]; i++)
			crier_buf_printf(buf, "%s%s", i > first_name(option) ? "|" : "", option->names[i]);
	} else if (words[option->kind]) {
		crier_buf_put_str(buf, words[option->kind]);
	}
}

void crier_config_settle(struct crier_config *config)
{
	size_t interval = crier_option_number(crier_option_find("pressure-interval", 17));

	config->colour = config->colour_when == CRIER_COLOUR_ALWAYS;
	if (config->profile == CRIER_PROFILE_MEMORY && !crier_bit_get(config->given, interval))
		config->pressure_interval_ms = MEMORY_PROFILE_INTERVAL_MS;
}
