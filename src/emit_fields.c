/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a struct as JSON by its table. Every key is written with a comma before it; the first one becomes the brace.
 * The place to write to is kept in a register: a length in memory that each step reads and writes would cost more than
 * the bytes do.
 */
#include "crier/base/json.h"
#include "emit_line.h"
#include "emit_put.h"

void crier_emit_line_init(struct crier_emit_line *line, const struct crier_emit_options *options, bool lean,
			  uint8_t cut, char *storage, size_t cap)
{
	crier_buf_init(&line->buf, storage, cap);
	crier_buf_init(&line->sanitized.buf, line->sanitized.text, sizeof(line->sanitized.text));
	crier_buf_init(&line->truncated.buf, line->truncated.text, sizeof(line->truncated.text));
	line->options = options;
	line->place = NULL;
	line->lean = lean;
	line->cut = cut;
}

static inline bool is_ordinary(const struct crier_emit_line *line, const struct crier_field *field,
			       uint64_t value)
{
	return line->lean && field->lean_skip && value + 1 == field->lean_skip;
}

static inline char *put_number(char *p, const struct crier_field *field, uint64_t value)
{
	return crier_digits_put(put_key_at(p, field), value);
}

static char *put_signed(char *p, const struct crier_field *field, int64_t value)
{
	p = put_key_at(p, field);
	if (value < 0)
		*p++ = '-';
	return crier_digits_put(p, value < 0 ? (uint64_t)0 - (uint64_t)value : (uint64_t)value);
}

/* A number that may pass 2^53: as a string. */
static inline char *put_id(char *p, const struct crier_field *field, uint64_t value)
{
	p = put_key_at(p, field);
	*p++ = '"';
	p = crier_digits_put(p, value);
	*p++ = '"';
	return p;
}

/* Trusted words: nothing to escape. Longer ones than PUT_WORD_MAX do not exist. */
static inline char *put_word(char *p, const struct crier_field *field, const char *word)
{
	if (!word)
		return p;
	p = put_key_at(p, field);
	*p++ = '"';
	p = put_short_at(p, word, strnlen(word, PUT_WORD_MAX));
	*p++ = '"';
	return p;
}

static inline char *put_bool(char *p, const struct crier_field *field, uint8_t value)
{
	p = put_key_at(p, field);
	memcpy(p, value ? "true" : "fals", 4);
	p[4] = 'e';
	return p + (value ? 4 : 5);
}

/* `"<instance><infix><number>"` */
static inline char *put_numbered(char *p, const struct crier_field *field, const char instance[9],
				 bool is_incident, uint64_t number)
{
	p = put_key_at(p, field);
	*p++ = '"';
	memcpy(p, instance, 8);
	p += 8;
	*p++ = '-';
	if (is_incident)
		*p++ = 'i';
	p = crier_digits_put(p, number);
	*p++ = '"';
	return p;
}

static inline char *put_process_key(char *p, const struct crier_field *field, const char boot[9],
				    const struct crier_process_key *key)
{
	p = put_key_at(p, field);
	*p++ = '"';
	memcpy(p, boot, 8);
	p[8] = ':';
	p = crier_digits_put(p + 9, key->pid);
	*p++ = ':';
	p = crier_digits_put(p, key->start_ns);
	*p++ = '"';
	return p;
}

/* @return the end, or NULL if the text is not clean, too long, or room is short: then the general way has to be taken */
static inline char *put_clean(char *p, const char *end, const struct crier_field *field,
			      struct crier_slice text, size_t max)
{
	if (text.len > max || (size_t)(end - p) < text.len + PUT_ROOM)
		return NULL;
	p = put_key_at(p, field);
	*p++ = '"';
	if (!crier_json_copy_clean(p, text))
		return NULL;
	p += text.len;
	*p++ = '"';
	return p;
}

static char *put_fields(struct crier_emit_line *line, const struct crier_field *table, const void *object,
			char *p);

static inline char *put_object(struct crier_emit_line *line, const struct crier_field *field,
			       const void *object, char *p)
{
	struct crier_emit_place place = {.up = line->place, .key = field->key};
	char *start = put_key_at(p, field);

	line->place = &place;
	char *end = put_fields(line, field->sub, object, start);

	line->place = place.up;
	if (end == start)
		return p;
	*start = '{';
	if (__builtin_expect(end == line->buf.data + line->buf.cap,
			     0)) { /* a long value can fill it to the last byte */
		line->buf.overflow = true;
		return end;
	}
	*end = '}';
	return end + 1;
}

/* Kinds that take more than a few moves. */
static char *put_general(struct crier_emit_line *line, const struct crier_field *field, const void *object,
			 char *p)
{
	put_end(&line->buf, p);
	crier_emit_value(line, field, object);
	return put_at(&line->buf);
}

#define VALUE(type) (*(const type *)value)

static char *put_fields(struct crier_emit_line *line, const struct crier_field *table, const void *object,
			char *p)
{
	const char *end = line->buf.data + line->buf.cap;

	for (const struct crier_field *field = table; field->kind != CRIER_FIELD_END; field++) {
		const char *value = (const char *)object + field->offset;
		char *q;

		if (field->full_only && line->lean)
			continue;
		if (__builtin_expect(end - p < PUT_ROOM, 0)) { /* a line that comes so near the end is cut */
			line->buf.overflow = true;
			return p;
		}
		switch ((enum crier_field_kind)field->kind) {
		case CRIER_FIELD_UINT:
			if (VALUE(uint64_t) <= CRIER_EXACT_MAX && !is_ordinary(line, field, VALUE(uint64_t)))
				p = put_number(p, field, VALUE(uint64_t));
			break;
		case CRIER_FIELD_INT:
			if (VALUE(int64_t) <= (int64_t)CRIER_EXACT_MAX &&
			    VALUE(int64_t) >= -(int64_t)CRIER_EXACT_MAX)
				p = put_signed(p, field, VALUE(int64_t));
			break;
		case CRIER_FIELD_ID:
			if (VALUE(uint64_t) != CRIER_UNKNOWN_U64)
				p = put_id(p, field, VALUE(uint64_t));
			break;
		case CRIER_FIELD_BOOL:
			if (VALUE(uint8_t) <= 1)
				p = put_bool(p, field, VALUE(uint8_t));
			break;
		case CRIER_FIELD_FLAG:
			if (VALUE(uint8_t) == 1)
				p = put_bool(p, field, 1);
			break;
		case CRIER_FIELD_ENUM:
			if (VALUE(uint8_t) < field->max && !is_ordinary(line, field, VALUE(uint8_t)))
				p = put_word(p, field, field->names[VALUE(uint8_t)]);
			break;
		case CRIER_FIELD_NAME: p = put_word(p, field, VALUE(char *const)); break;
		case CRIER_FIELD_EVENT_ID:
		case CRIER_FIELD_INCIDENT_ID:
			if (VALUE(uint64_t) <= CRIER_EXACT_MAX)
				p = put_numbered(p, field, line->options->instance,
						 field->kind == CRIER_FIELD_INCIDENT_ID, VALUE(uint64_t));
			break;
		case CRIER_FIELD_PROCESS_KEY:
			if (VALUE(struct crier_process_key).pid)
				p = put_process_key(p, field, line->options->boot,
						    &VALUE(struct crier_process_key));
			break;
		case CRIER_FIELD_TEXT:
		case CRIER_FIELD_SENTENCE:
			if (!VALUE(struct crier_slice).ptr)
				break;
			q = line->cut ? NULL
				      : put_clean(p, end, field, VALUE(struct crier_slice), field->max);
			p = q ? q : put_general(line, field, object, p);
			break;
		case CRIER_FIELD_OBJECT: p = put_object(line, field, value, p); break;
		default: p = put_general(line, field, object, p); break;
		}
	}
	return p;
}

void crier_emit_fields(struct crier_emit_line *line, const struct crier_field *table, const void *object)
{
	put_end(&line->buf, put_fields(line, table, object, put_at(&line->buf)));
}

void crier_emit_object(struct crier_emit_line *line, const struct crier_field *field, const void *object)
{
	if (line->buf.cap - line->buf.len < PUT_ROOM)
		line->buf.overflow = true;
	else
		put_end(&line->buf, put_object(line, field, object, put_at(&line->buf)));
}
