/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand-written JSON writer of the event path: strings from anywhere become valid JSON and valid UTF-8.
 * Reading JSON is jansson's work, not this module's. Pure.
 */
#ifndef CRIER_BASE_JSON_H
#define CRIER_BASE_JSON_H

#include "crier/base/str.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the word scan takes the lowest byte for the first");

/*
 * Eight bytes at once: the top bit of each byte that cannot be copied as it is (below 0x20, '"', '\\', 0x7f and above).
 * Only the lowest set bit is exact, since a borrow or carry runs upwards.
 */
static inline uint64_t crier_json_unclean(uint64_t word)
{
	const uint64_t each = 0x0101010101010101ULL;
	uint64_t below = word - each * 0x20;
	uint64_t quote = (word ^ each * '"') - each;
	uint64_t backslash = (word ^ each * '\\') - each;
	uint64_t above = word | (word + each);

	return (below | quote | backslash | above) & each * 0x80;
}

/* The same of sixteen bytes, one vector instruction each on every machine that has them: non-zero where unclean. */
typedef uint8_t crier_v16 __attribute__((vector_size(16)));

static inline crier_v16 crier_json_unclean_16(crier_v16 text)
{
	return (crier_v16)((text - 0x20 > 0x7e - 0x20) | (text == '"') | (text == '\\'));
}

/* At most seven bytes as a word whose others are clean. Loads overlap rather than go beyond the end. */
static inline uint64_t crier_json_short_word(struct crier_slice text)
{
	uint64_t padding = 0x7878787878787878ULL << 8 * text.len;
	uint32_t low = 0, high = 0;

	if (text.len >= 4) {
		memcpy(&low, text.ptr, 4);
		memcpy(&high, text.ptr + text.len - 4, 4);
		return padding | low | (uint64_t)high << 8 * (text.len - 4);
	}
	if (text.len >= 2) {
		memcpy(&low, text.ptr, 2);
		memcpy(&high, text.ptr + text.len - 2, 2);
		return padding | low | (uint64_t)high << 8 * (text.len - 2);
	}
	return padding | (text.len ? (unsigned char)text.ptr[0] : 0);
}

/* Sixteen bytes and more; the last sixteen may be some of them again. */
static inline bool crier_json_copy_long(char *to, struct crier_slice text)
{
	crier_v16 word, dirt = {0};
	uint64_t halves[2];

	for (size_t i = 0; i + 16 <= text.len; i += 16) {
		memcpy(&word, text.ptr + i, 16);
		memcpy(to + i, &word, 16);
		dirt |= crier_json_unclean_16(word);
	}
	memcpy(&word, text.ptr + text.len - 16, 16);
	memcpy(to + text.len - 16, &word, 16);
	dirt |= crier_json_unclean_16(word);
	memcpy(halves, &dirt, 16);
	return !(halves[0] | halves[1]);
}

/**
 * Copy and look in one pass. `to` needs room for text.len + 8 bytes.
 * @return whether nothing has to be escaped or replaced
 */
static inline bool crier_json_copy_clean(char *to, struct crier_slice text)
{
	uint64_t first, last;

	if (text.len >= 16)
		return crier_json_copy_long(to, text);
	if (text.len >= 8) {
		memcpy(&first, text.ptr, 8);
		memcpy(&last, text.ptr + text.len - 8, 8);
		memcpy(to, &first, 8);
		memcpy(to + text.len - 8, &last, 8);
		return !(crier_json_unclean(first) | crier_json_unclean(last));
	}
	first = crier_json_short_word(text);
	memcpy(to, &first, 8);
	return !crier_json_unclean(first);
}

/**
 * Append `text` as a quoted JSON string. Each byte that is not part of valid UTF-8 (overlong forms,
 * surrogates and cut sequences included) becomes U+FFFD; control characters (C0, DEL, C1), quote and backslash are
 * escaped; NUL too. At most `max_bytes` of input are used, cut at a character boundary.
 * @return bit set of CRIER_JSON_SANITIZED, CRIER_JSON_TRUNCATED
 */
unsigned crier_json_string(struct crier_buf *buf, struct crier_slice text, size_t max_bytes);

/** As crier_json_string, without the quotes and with parts left behind when it overflows: for strings put together. */
unsigned crier_json_escape(struct crier_buf *buf, struct crier_slice text, size_t max_bytes);

enum {
	CRIER_JSON_SANITIZED = 1u << 0, /* at least one byte was replaced */
	CRIER_JSON_TRUNCATED = 1u << 1, /* input was longer than max_bytes */
};

/** True if all of `text` is valid UTF-8 (RFC 3629). */
bool crier_utf8_is_valid(struct crier_slice text);

/** Bytes of the well-formed character at `at` (< text.len): 1 for ASCII, 2 to 4, or 0 if there is none. */
size_t crier_utf8_sequence(struct crier_slice text, size_t at);

/** At most `max_bytes`, and not within a well-formed character. */
size_t crier_utf8_cut(struct crier_slice text, size_t max_bytes);

/** Lower-case hex of at most `max_bytes` bytes, quoted. */
void crier_json_hex(struct crier_buf *buf, struct crier_slice bytes, size_t max_bytes);

/** RFC 3339 UTC with nine digits and Z, quoted. `unix_ns` < 9999-12-31. */
void crier_json_time(struct crier_buf *buf, uint64_t unix_ns);
#define CRIER_JSON_TIME_LEN 32 /* quotes included */
/** The same where there is room for CRIER_JSON_TIME_LEN bytes. */
void crier_json_time_at(char *p, uint64_t unix_ns);

#endif
