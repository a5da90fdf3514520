/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing short things fast: one look at the room, then copies of fixed length that the compiler turns into a few moves.
 * Each step may write past what it keeps, never past PUT_ROOM bytes.
 */
#ifndef CRIER_EMIT_PUT_H
#define CRIER_EMIT_PUT_H

#include "crier/base/digits.h"
#include "crier/base/str.h"
#include "crier/field.h"

#define PUT_ROOM     128 /* a key and the longest number with its quotes, or a word */
#define PUT_WORD_MAX 64

static inline bool put_has_room(const struct crier_buf *buf)
{
	return __builtin_expect(buf->cap - buf->len >= PUT_ROOM, 1);
}

static inline char *put_at(const struct crier_buf *buf)
{
	return buf->data + buf->len;
}

static inline void put_end(struct crier_buf *buf, const char *p)
{
	buf->len = (size_t)(p - buf->data);
}

static inline char *put_key_at(char *p, const struct crier_field *field)
{
	memcpy(p, field->json, CRIER_FIELD_JSON_MAX);
	return p + field->json_len;
}

static inline void put_key(struct crier_buf *buf, const struct crier_field *field)
{
	if (put_has_room(buf))
		put_end(buf, put_key_at(put_at(buf), field));
	else
		crier_buf_put(buf, field->json, field->json_len);
}

/* Exactly `len` bytes, most of them few. */
static inline char *put_short_at(char *p, const char *from, size_t len)
{
	char *end = p + len;

	if (len >= 8) {
		for (; end - p > 8; p += 8, from += 8)
			memcpy(p, from, 8);
		memcpy(end - 8, from - (8 - (end - p)), 8);
	} else if (len >= 4) {
		memcpy(p, from, 4);
		memcpy(end - 4, from + len - 4, 4);
	} else {
		while (p < end)
			*p++ = *from++;
	}
	return end;
}

#endif
