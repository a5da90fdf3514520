/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "crier/base/digits.h"

const char crier_digit_pairs[201] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839"
	"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

void crier_buf_put_u64(struct crier_buf *buf, uint64_t value)
{
	char text[24];

	crier_buf_put(buf, text, (size_t)(crier_digits_put(text, value) - text));
}

void crier_buf_put_i64(struct crier_buf *buf, int64_t value)
{
	if (value < 0) {
		crier_buf_put_char(buf, '-');
		crier_buf_put_u64(buf, (uint64_t)0 - (uint64_t)value);
	} else {
		crier_buf_put_u64(buf, (uint64_t)value);
	}
}

void crier_buf_printf(struct crier_buf *buf, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof(text)) {
		buf->overflow = true;
		return;
	}
	crier_buf_put(buf, text, (size_t)n);
}

int crier_parse_u64(struct crier_slice text, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';

		if (digit > 9)
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return -ERANGE;
	}
	*ret_value = value;
	return 0;
}

bool crier_copy_str(char *dst, size_t cap, struct crier_slice src)
{
	size_t n = src.len < cap ? src.len : cap - 1;

	if (n)
		memcpy(dst, src.ptr, n);
	dst[n] = '\0';
	return n == src.len;
}
