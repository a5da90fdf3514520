/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/json.h"

#include "crier/base/digits.h"

static inline bool is_clean(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Length of the run that needs no escape. */
static inline size_t clean_run(const char *p, size_t len)
{
	size_t i = 0;
	uint64_t word;

	for (; len - i >= 8; i += 8) {
		memcpy(&word, p + i, 8);
		uint64_t hit = crier_json_unclean(word);

		if (hit)
			return i + (size_t)__builtin_ctzll(hit) / 8;
	}
	while (i < len && is_clean((unsigned char)p[i]))
		i++;
	return i;
}

/*
 * Length (2 to 4) of the well-formed multi-byte sequence at `p`, 0 if there is none. Unicode 15, table 3-7: the bounds of
 * the second byte exclude overlong forms (E0, F0), surrogates (ED) and what lies above U+10FFFF (F4).
 */
static size_t sequence(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		len = 2;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		len = 3;
		if (p[0] == 0xe0)
			low = 0xa0;
		else if (p[0] == 0xed)
			high = 0x9f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		len = 4;
		if (p[0] == 0xf0)
			low = 0x90;
		else if (p[0] == 0xf4)
			high = 0x8f;
	} else {
		return 0;
	}
	if (left < len || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

size_t crier_utf8_sequence(struct crier_slice text, size_t at)
{
	const unsigned char *p = (const unsigned char *)text.ptr + at;

	return p[0] < 0x80 ? 1 : sequence(p, text.len - at);
}

size_t crier_utf8_cut(struct crier_slice text, size_t max_bytes)
{
	if (text.len <= max_bytes)
		return text.len;
	for (size_t back = 1; back <= 3 && back <= max_bytes; back++) {
		size_t len = sequence((const unsigned char *)text.ptr + max_bytes - back,
				      text.len - max_bytes + back);

		if (len > back)
			return max_bytes - back;
	}
	return max_bytes;
}

bool crier_utf8_is_valid(struct crier_slice text)
{
	for (size_t i = 0; i < text.len;) {
		size_t n = crier_utf8_sequence(text, i);

		if (!n)
			return false;
		i += n;
	}
	return true;
}

static const char hex_digits[] = "0123456789abcdef";

static void put_escape(struct crier_buf *buf, unsigned char c)
{
	char text[6] = {'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]};

	switch (c) {
	case '"':
	case '\\': text[1] = (char)c; break;
	case '\b': text[1] = 'b'; break;
	case '\t': text[1] = 't'; break;
	case '\n': text[1] = 'n'; break;
	case '\f': text[1] = 'f'; break;
	case '\r': text[1] = 'r'; break;
	default: crier_buf_put(buf, text, 6); return;
	}
	crier_buf_put(buf, text, 2);
}

/* One character that is no clean ASCII. @return its bytes; sets *ret_flags when it had to be replaced */
static size_t put_other(struct crier_buf *buf, struct crier_slice text, size_t at, unsigned *ret_flags)
{
	const unsigned char *p = (const unsigned char *)text.ptr + at;
	size_t n;

	if (p[0] < 0x80) {
		put_escape(buf, p[0]);
		return 1;
	}
	n = sequence(p, text.len - at);
	if (n == 0) {
		crier_buf_put(buf, "\xef\xbf\xbd", 3);
		*ret_flags |= CRIER_JSON_SANITIZED;
		return 1;
	}
	if (p[0] == 0xc2 && p[1] < 0xa0) /* C1 controls: some terminals obey them */
		put_escape(buf, p[1]);
	else
		crier_buf_put(buf, p, n);
	return n;
}

unsigned crier_json_escape(struct crier_buf *buf, struct crier_slice text, size_t max_bytes)
{
	unsigned flags = 0;
	size_t i = 0;

	if (text.len > max_bytes) {
		text.len = crier_utf8_cut(text, max_bytes);
		flags |= CRIER_JSON_TRUNCATED;
	}
	while (i < text.len) {
		size_t run = clean_run(text.ptr + i, text.len - i);

		crier_buf_put(buf, text.ptr + i, run);
		i += run;
		if (i < text.len)
			i += put_other(buf, text, i, &flags);
	}
	return flags;
}

/* The general way: some bytes have to be escaped, replaced or cut, or room is short. */
static unsigned put_string(struct crier_buf *buf, struct crier_slice text, size_t max_bytes)
{
	size_t start = buf->len;
	bool overflow = buf->overflow;

	buf->overflow = false;
	crier_buf_put_char(buf, '"');
	unsigned flags = crier_json_escape(buf, text, max_bytes);

	crier_buf_put_char(buf, '"');
	if (buf->overflow)
		buf->len = start; /* left out whole */
	buf->overflow |= overflow;
	return flags;
}

unsigned crier_json_string(struct crier_buf *buf, struct crier_slice text, size_t max_bytes)
{
	size_t start = buf->len;

	if (text.len <= max_bytes && buf->cap - start >= text.len + 16) {
		char *p = buf->data + start;

		*p = '"';
		if (crier_json_copy_clean(p + 1, text)) {
			p[1 + text.len] = '"';
			buf->len = start + text.len + 2;
			return 0;
		}
	}
	return put_string(buf, text, max_bytes);
}

void crier_json_hex(struct crier_buf *buf, struct crier_slice bytes, size_t max_bytes)
{
	size_t len = bytes.len < max_bytes ? bytes.len : max_bytes;
	size_t start = buf->len;

	if (2 * len + 2 > buf->cap - buf->len) {
		buf->overflow = true;
		return;
	}
	char *p = buf->data + start;

	*p++ = '"';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)bytes.ptr[i];

		*p++ = hex_digits[c >> 4];
		*p++ = hex_digits[c & 15];
	}
	*p = '"';
	buf->len = start + 2 * len + 2;
}

static char *put_two(char *p, uint32_t value)
{
	memcpy(p, crier_digit_pairs + 2 * value, 2);
	return p + 2;
}

/* Days since 1970-01-01 -> year, month, day; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days. */
static char *put_date(char *p, uint32_t days)
{
	uint32_t z = days + 719468; /* from 0000-03-01 */
	uint32_t era = z / 146097;
	uint32_t day_of_era = z % 146097;
	uint32_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	uint32_t month = (5 * day_of_year + 2) / 153; /* 0 = March */
	uint32_t day = day_of_year - (153 * month + 2) / 5 + 1;
	uint32_t year = year_of_era + era * 400 + (month >= 10);

	p = put_two(p, year / 100);
	p = put_two(p, year % 100);
	*p++ = '-';
	p = put_two(p, month < 10 ? month + 3 : month - 9);
	*p++ = '-';
	return put_two(p, day);
}

void crier_json_time_at(char *p, uint64_t unix_ns)
{
	uint64_t seconds = unix_ns / 1000000000;
	uint32_t ns = (uint32_t)(unix_ns - seconds * 1000000000);
	uint32_t day = (uint32_t)(seconds / 86400);
	uint32_t second = (uint32_t)(seconds - day * 86400ULL);
	uint32_t minute = second / 60;

	*p++ = '"';
	p = put_date(p, day);
	*p++ = 'T';
	p = put_two(p, minute / 60);
	*p++ = ':';
	p = put_two(p, minute % 60);
	*p++ = ':';
	p = put_two(p, second % 60);
	*p++ = '.';
	crier_digits_put_nine(p, ns);
	memcpy(p + 9, "Z\"", 2);
}

void crier_json_time(struct crier_buf *buf, uint64_t unix_ns)
{
	char text[CRIER_JSON_TIME_LEN];

	crier_json_time_at(text, unix_ns);
	crier_buf_put(buf, text, sizeof(text));
}
