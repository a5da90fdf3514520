/* SPDX-License-Identifier: Apache-2.0 */
/* Slices and bounded buffers. */
#include "test.h"

#include "crier/base/cleanup.h"
#include "crier/base/str.h"

#define S(literal) CRIER_SLICE(literal)

static void test_slices(void **state)
{
	const char padded[8] = {'r', 'u', 'n', 'c'};
	const char full[4] = {'r', 'u', 'n', 'c'};
	(void)state;

	assert_null(crier_slice_of(NULL).ptr);
	assert_int_equal(crier_slice_of("abc").len, 3);
	assert_int_equal(crier_slice_bounded(padded, sizeof(padded)).len, 4);
	assert_int_equal(crier_slice_bounded(full, sizeof(full)).len, 4);
	assert_true(crier_slice_equal(S("ab"), S("ab")));
	assert_false(crier_slice_equal(S("ab"), S("ac")));
	assert_false(crier_slice_equal(S("ab"), S("abc")));
	assert_true(crier_slice_equal(CRIER_SLICE_NONE, S("")));
	assert_true(crier_slice_starts(S("abc"), S("ab")));
	assert_false(crier_slice_starts(S("a"), S("ab")));
	assert_true(crier_slice_starts(S("a"), S("")));
	assert_true(crier_slice_ends(S("abc"), S("bc")));
	assert_false(crier_slice_ends(S("abc"), S("ab")));
	assert_false(crier_slice_ends(S("c"), S("bc")));
}

static void test_buffer_leaves_out_whole(void **state)
{
	char storage[5];
	struct crier_buf buf;
	(void)state;

	crier_buf_init(&buf, storage, sizeof(storage));
	crier_buf_put_str(&buf, "abc");
	assert_false(buf.overflow);
	crier_buf_put_str(&buf, "def");
	assert_true(buf.overflow);
	assert_int_equal(buf.len, 3);
	crier_buf_put_str(&buf, "de"); /* what fits is still put */
	assert_int_equal(buf.len, 5);
	assert_memory_equal(storage, "abcde", 5);
	crier_buf_put_char(&buf, 'x');
	assert_int_equal(buf.len, 5);
}

static void expect_printed(uint64_t value, const char *expected)
{
	char storage[32];
	struct crier_buf buf;

	crier_buf_init(&buf, storage, sizeof(storage));
	crier_buf_put_u64(&buf, value);
	assert_int_equal(buf.len, strlen(expected));
	assert_memory_equal(storage, expected, buf.len);
}

static void test_numbers(void **state)
{
	char storage[64];
	struct crier_buf buf;
	(void)state;

	expect_printed(0, "0");
	expect_printed(9, "9");
	expect_printed(10, "10");
	expect_printed(99, "99");
	expect_printed(100, "100");
	expect_printed(1234567, "1234567");
	expect_printed(UINT64_MAX, "18446744073709551615");
	crier_buf_init(&buf, storage, sizeof(storage));
	crier_buf_put_i64(&buf, INT64_MIN);
	crier_buf_put_i64(&buf, -1);
	crier_buf_put_i64(&buf, 0);
	crier_buf_put_i64(&buf, INT64_MAX);
	assert_memory_equal(storage, "-9223372036854775808-109223372036854775807", buf.len);
	crier_buf_init(&buf, storage, 3);
	crier_buf_put_u64(&buf, 1000);
	assert_true(buf.overflow && buf.len == 0);
}

static void test_printf(void **state)
{
	char storage[8];
	struct crier_buf buf;
	(void)state;

	crier_buf_init(&buf, storage, sizeof(storage));
	crier_buf_printf(&buf, "%d-%s", 12, "ab");
	assert_int_equal(buf.len, 5);
	crier_buf_printf(&buf, "%s", "abcd");
	assert_true(buf.overflow && buf.len == 5);
}

static void test_parse_u64(void **state)
{
	static const struct {
		struct crier_slice text;
		int result;
		uint64_t value;
	} rows[] = {
		{{"0", 1}, 0, 0},
		{{"18446744073709551615", 20}, 0, UINT64_MAX},
		{{"18446744073709551616", 20}, -ERANGE, 0},
		{{"99999999999999999999", 20}, -ERANGE, 0},
		{{"007", 3}, 0, 7},
		{{"", 0}, -EINVAL, 0},
		{{"-1", 2}, -EINVAL, 0},
		{{"+1", 2}, -EINVAL, 0},
		{{" 1", 2}, -EINVAL, 0},
		{{"1x", 2}, -EINVAL, 0},
		{{"1\n", 2}, -EINVAL, 0},
		{{"12345", 3}, 0, 123},
	};
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		uint64_t value = 42;

		assert_int_equal(crier_parse_u64(rows[i].text, &value), rows[i].result);
		assert_int_equal(value, rows[i].result ? 42 : rows[i].value);
	}
}

static void test_copy(void **state)
{
	char storage[4];
	(void)state;

	assert_true(crier_copy_str(storage, sizeof(storage), S("abc")));
	assert_string_equal(storage, "abc");
	assert_false(crier_copy_str(storage, sizeof(storage), S("abcd")));
	assert_string_equal(storage, "abc");
	assert_true(crier_copy_str(storage, sizeof(storage), CRIER_SLICE_NONE));
	assert_string_equal(storage, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices),	  cmocka_unit_test(test_buffer_leaves_out_whole),
		cmocka_unit_test(test_numbers),	  cmocka_unit_test(test_printf),
		cmocka_unit_test(test_parse_u64), cmocka_unit_test(test_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
