/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: every byte, every border of UTF-8, cuts, room, times, digits. jansson is the judge of the output. */
#include "test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crier/base/digits.h"
#include "crier/base/json.h"

#define S(literal)                                                                                           \
	{                                                                                                    \
		literal, sizeof(literal) - 1                                                                 \
	}
#define FFFD "\xef\xbf\xbd"

static void expect_json(const char *name, struct crier_slice text, size_t max, const char *expected,
			unsigned flags)
{
	char storage[4096];
	struct crier_buf buf;

	crier_buf_init(&buf, storage, sizeof(storage));
	unsigned got = crier_json_string(&buf, text, max);

	if (buf.overflow || buf.len != strlen(expected) || memcmp(buf.data, expected, buf.len) != 0)
		fail_msg("%s: wrote %.*s, expected %s", name, (int)buf.len, buf.data, expected);
	if (got != flags)
		fail_msg("%s: flags %u, expected %u", name, got, flags);
}

static void test_strings(void **state)
{
	static const struct {
		const char *name;
		struct crier_slice text;
		size_t max;
		const char *expected;
		unsigned flags;
	} rows[] = {
		{"empty", S(""), 10, "\"\"", 0},
		{"plain", S("java"), 10, "\"java\"", 0},
		{"seven", S("1234567"), 10, "\"1234567\"", 0},
		{"eight", S("12345678"), 10, "\"12345678\"", 0},
		{"nine", S("123456789"), 10, "\"123456789\"", 0},
		{"quote", S("a\"b"), 10, "\"a\\\"b\"", 0},
		{"backslash at the end", S("bs\\n"), 10, "\"bs\\\\n\"", 0},
		{"quote in the ninth byte", S("12345678\""), 10, "\"12345678\\\"\"", 0},
		{"quote before the overlapping end", S("1234567\"9"), 10, "\"1234567\\\"9\"", 0},
		{"newline", S("a\nb\tc\rd\be\ff"), 20, "\"a\\nb\\tc\\rd\\be\\ff\"", 0},
		{"nul", S("a\0b"), 10, "\"a\\u0000b\"", 0},
		{"escape", S("\033[2J"), 10, "\"\\u001b[2J\"", 0},
		{"delete", S("a\x7f"), 10, "\"a\\u007f\"", 0},
		{"c1 control",
		 S("\xc2\x9b"
		   "2J"),
		 10, "\"\\u009b2J\"", 0},
		{"first after c1", S("\xc2\xa0"), 10, "\"\xc2\xa0\"", 0},
		{"two bytes", S("caf\xc3\xa9"), 10, "\"caf\xc3\xa9\"", 0},
		{"three bytes", S("\xe2\x82\xac"), 10, "\"\xe2\x82\xac\"", 0},
		{"four bytes", S("\xf0\x9f\x98\x80"), 10, "\"\xf0\x9f\x98\x80\"", 0},
		{"line separator stays", S("\xe2\x80\xa8"), 10, "\"\xe2\x80\xa8\"", 0},
		{"latin-1", S("caf\xe9"), 10, "\"caf" FFFD "\"", CRIER_JSON_SANITIZED},
		{"overlong slash", S("\xc0\xaf"), 10, "\"" FFFD FFFD "\"", CRIER_JSON_SANITIZED},
		{"cut sequence, then a letter", S("\xe2\x82z"), 10, "\"" FFFD FFFD "z\"",
		 CRIER_JSON_SANITIZED},
		{"surrogate", S("\xed\xa0\x80"), 10, "\"" FFFD FFFD FFFD "\"", CRIER_JSON_SANITIZED},
		{"at the limit", S("12345"), 5, "\"12345\"", 0},
		{"above the limit", S("123456"), 5, "\"12345\"", CRIER_JSON_TRUNCATED},
		{"not within two bytes", S("1234\xc3\xa9"), 5, "\"1234\"", CRIER_JSON_TRUNCATED},
		{"not within four bytes, after one", S("1\xf0\x9f\x98\x80"), 2, "\"1\"",
		 CRIER_JSON_TRUNCATED},
		{"not within four bytes, after two", S("1\xf0\x9f\x98\x80"), 3, "\"1\"",
		 CRIER_JSON_TRUNCATED},
		{"not within four bytes, after three", S("1\xf0\x9f\x98\x80"), 4, "\"1\"",
		 CRIER_JSON_TRUNCATED},
		{"after two bytes", S("\xc3\xa9z"), 2, "\"\xc3\xa9\"", CRIER_JSON_TRUNCATED},
		{"after four bytes", S("\xf0\x9f\x98\x80z"), 4, "\"\xf0\x9f\x98\x80\"", CRIER_JSON_TRUNCATED},
		{"cut in what is no character", S("12\x80\x80\x80"), 4, "\"12" FFFD FFFD "\"",
		 CRIER_JSON_TRUNCATED | CRIER_JSON_SANITIZED},
		{"nothing is kept", S("abc"), 0, "\"\"", CRIER_JSON_TRUNCATED},
		{"smaller than its first character", S("\xf0\x9f\x98\x80"), 1, "\"\"", CRIER_JSON_TRUNCATED},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_json(rows[i].name, rows[i].text, rows[i].max, rows[i].expected, rows[i].flags);
}

/* Well-formed or not, after Unicode 15 table 3-7: both sides of every bound. */
static void test_utf8_bounds(void **state)
{
	static const struct {
		struct crier_slice text;
		bool is_valid;
	} rows[] = {
		{S(""), true},
		{S("\x7f"), true},
		{S("\x80"), false},
		{S("\xbf"), false},
		{S("\xc0\x80"), false},
		{S("\xc1\xbf"), false},
		{S("\xc2\x7f"), false},
		{S("\xc2\x80"), true},
		{S("\xc2\xc0"), false},
		{S("\xdf\xbf"), true},
		{S("\xc2"), false},
		{S("\xe0\x9f\xbf"), false},
		{S("\xe0\xa0\x80"), true},
		{S("\xe0\xa0"), false},
		{S("\xe0\xa0\x7f"), false},
		{S("\xe0\xa0\xc0"), false},
		{S("\xec\xbf\xbf"), true},
		{S("\xed\x9f\xbf"), true},
		{S("\xed\xa0\x80"), false},
		{S("\xed\xbf\xbf"), false},
		{S("\xee\x80\x80"), true},
		{S("\xef\xbf\xbf"), true},
		{S("\xf0\x8f\xbf\xbf"), false},
		{S("\xf0\x90\x80\x80"), true},
		{S("\xf0\x90\x80"), false},
		{S("\xf0\x90\x80\xc0"), false},
		{S("\xf3\xbf\xbf\xbf"), true},
		{S("\xf4\x8f\xbf\xbf"), true},
		{S("\xf4\x90\x80\x80"), false},
		{S("\xf5\x80\x80\x80"), false},
		{S("\xf8\x88\x80\x80\x80"), false},
		{S("\xfe"), false},
		{S("\xff"), false},
		{S("ok\xe2\x82\xacok"), true},
		{S("ok\xe2\x82ok"), false},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (crier_utf8_is_valid(rows[i].text) != rows[i].is_valid)
			fail_msg("row %zu is %s", i, rows[i].is_valid ? "valid" : "not valid");
}

/* What a byte string must read as once it went through JSON. */
static size_t replaced(struct crier_slice text, char *out)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len;) {
		size_t n = crier_utf8_sequence(text, i);

		memcpy(out + len, n ? text.ptr + i : FFFD, n ? n : 3);
		len += n ? n : 3;
		i += n ? n : 1;
	}
	return len;
}

static void expect_round_trip(struct crier_slice text)
{
	char storage[8192], expected[8192];
	struct crier_buf buf;
	size_t expected_len = replaced(text, expected);

	crier_buf_init(&buf, storage, sizeof(storage));
	unsigned flags = crier_json_string(&buf, text, SIZE_MAX);

	assert_false(buf.overflow);
	json_t *value = json_loadb(buf.data, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	if (!value)
		fail_msg("no JSON: %.*s", (int)buf.len, buf.data);
	assert_int_equal(json_string_length(value), expected_len);
	assert_memory_equal(json_string_value(value), expected, expected_len);
	assert_int_equal(flags, crier_utf8_is_valid(text) ? 0 : CRIER_JSON_SANITIZED);
	for (size_t i = 0; i < buf.len; i++)
		assert_true((unsigned char)buf.data[i] >= 0x20 && buf.data[i] != 0x7f);
	json_decref(value);
}

static void test_every_byte_at_every_place(void **state)
{
	char text[20];
	(void)state;

	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t len = 1; len <= sizeof(text); len++) {
			for (size_t place = 0; place < len; place++) {
				memset(text, 'a', sizeof(text));
				text[place] = (char)byte;
				expect_round_trip((struct crier_slice){text, len});
			}
		}
	}
}

/* Bytes drawn from the borders of UTF-8, where mistakes live. */
static void test_random_bytes(void **state)
{
	static const char borders[] =
		"\x00\x1f\x20\"\\\x7e\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef"
		"\xf0\xf1\xf3\xf4\xf5\xff";
	uint64_t seed = 0x9e3779b97f4a7c15;
	char text[40];
	(void)state;

	for (unsigned round = 0; round < 50000; round++) {
		size_t len = next_random(&seed) % sizeof(text);

		for (size_t i = 0; i < len; i++)
			text[i] = borders[next_random(&seed) % (sizeof(borders) - 1)];
		expect_round_trip((struct crier_slice){text, len});
	}
}

static void test_cut_is_a_prefix(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	(void)state;

	for (size_t max = 0; max < sizeof(text); max++) {
		size_t len = crier_utf8_cut((struct crier_slice)S(text), max);

		assert_true(len <= max && max - len < 4);
		assert_true(crier_utf8_is_valid((struct crier_slice){text, len}));
	}
}

/* What does not fit is left out whole, whatever the room. */
static void test_room(void **state)
{
	static const struct crier_slice texts[] = {S("abcdefghijkl"),
						   S("a\"b\xff"
						     "c\ndefgh"),
						   S("")};
	(void)state;

	for (size_t t = 0; t < 3; t++) {
		char whole[128];
		struct crier_buf buf;

		crier_buf_init(&buf, whole, sizeof(whole));
		(void)crier_json_string(&buf, texts[t], 100);
		size_t need = buf.len;

		for (size_t cap = 1; cap < need + 20; cap++) {
			char *storage = malloc(cap);

			crier_buf_init(&buf, storage, cap);
			crier_buf_put_char(&buf, '#');
			(void)crier_json_string(&buf, texts[t], 100);
			assert_int_equal(buf.overflow, cap < need + 1);
			assert_int_equal(buf.len, buf.overflow ? 1 : need + 1);
			if (!buf.overflow)
				assert_memory_equal(storage + 1, whole, need);
			free(storage);
		}
	}
}

static void test_earlier_overflow_stays(void **state)
{
	char storage[64];
	struct crier_buf buf;
	(void)state;

	crier_buf_init(&buf, storage, sizeof(storage));
	buf.overflow = true;
	(void)crier_json_string(&buf, (struct crier_slice)S("a\nb"), 10);
	assert_true(buf.overflow);
}

static void test_hex(void **state)
{
	char storage[16];
	struct crier_buf buf;
	(void)state;

	crier_buf_init(&buf, storage, sizeof(storage));
	crier_json_hex(&buf, (struct crier_slice)S("\x00\xff\x5a!"), 3);
	assert_int_equal(buf.len, 8);
	assert_memory_equal(buf.data, "\"00ff5a\"", 8);
	crier_json_hex(&buf, (struct crier_slice)S("1234"), 4); /* 10 bytes, 8 are left */
	assert_true(buf.overflow);
	assert_int_equal(buf.len, 8);
}

static void test_times(void **state)
{
	static const struct {
		uint64_t ns;
		const char *expected;
	} rows[] = {
		{0, "\"1970-01-01T00:00:00.000000000Z\""},
		{999999999, "\"1970-01-01T00:00:00.999999999Z\""},
		{86399999999999, "\"1970-01-01T23:59:59.999999999Z\""},
		{951782400000000000, "\"2000-02-29T00:00:00.000000000Z\""},
		{951868800000000001, "\"2000-03-01T00:00:00.000000001Z\""},
		{1767586327123456789, "\"2026-01-05T04:12:07.123456789Z\""},
		{1709251199000000000, "\"2024-02-29T23:59:59.000000000Z\""},
		{4107542400000000000, "\"2100-03-01T00:00:00.000000000Z\""}, /* 2100 is no leap year */
		{18446744073709551615ULL, "\"2554-07-21T23:34:33.709551615Z\""},
	};
	(void)state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char storage[64];
		struct crier_buf buf;

		crier_buf_init(&buf, storage, sizeof(storage));
		crier_json_time(&buf, rows[i].ns);
		if (buf.len != 32 || memcmp(buf.data, rows[i].expected, 32) != 0)
			fail_msg("%.*s is not %s", (int)buf.len, buf.data, rows[i].expected);
	}
}

/* Every day of 60 years against libc. */
static void test_every_day(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < 60 * 366; day++) {
		time_t seconds = (time_t)(day * 86400 + day % 86400);
		char storage[64], expected[64];
		struct crier_buf buf;
		struct tm tm;

		crier_buf_init(&buf, storage, sizeof(storage));
		crier_json_time(&buf, (uint64_t)seconds * 1000000000 + day);
		gmtime_r(&seconds, &tm);
		size_t n = strftime(expected, sizeof(expected), "\"%Y-%m-%dT%H:%M:%S.", &tm);

		snprintf(expected + n, sizeof(expected) - n, "%09uZ\"", (unsigned)day);
		assert_memory_equal(buf.data, expected, 32);
	}
}

static void expect_digits(uint64_t value)
{
	char expected[32], text[32];
	int len = snprintf(expected, sizeof(expected), "%llu", (unsigned long long)value);
	const char *end = crier_digits_put(text, value);

	if (end - text != len || memcmp(text, expected, (size_t)len) != 0)
		fail_msg("%.*s is not %s", (int)(end - text), text, expected);
}

static void test_digits(void **state)
{
	uint64_t seed = 88172645463325252;
	uint64_t power = 1;
	(void)state;

	for (unsigned i = 0; i < 20; i++, power *= 10) {
		expect_digits(power - 1);
		expect_digits(power);
		expect_digits(power + 1);
		expect_digits(power * 9);
	}
	for (uint64_t value = 0; value < 200000; value++)
		expect_digits(value);
	for (unsigned i = 0; i < 200000; i++) {
		uint64_t value = next_random(&seed);

		expect_digits(value >> (value & 63));
	}
	expect_digits(UINT64_MAX);
	expect_digits(1ULL << 53);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_utf8_bounds),
		cmocka_unit_test(test_every_byte_at_every_place),
		cmocka_unit_test(test_random_bytes),
		cmocka_unit_test(test_cut_is_a_prefix),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_earlier_overflow_stays),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_every_day),
		cmocka_unit_test(test_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
