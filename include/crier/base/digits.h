/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decimal digits without a division per digit: a line holds dozens of numbers, many of 15 digits and more. Eight digits
 * are made at once in the bytes of one word (after P. Khuong, "How to print integers really fast", 2017). Pure.
 */
#ifndef CRIER_BASE_DIGITS_H
#define CRIER_BASE_DIGITS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** "00" to "99", two bytes each. */
extern const char crier_digit_pairs[201];

/** Eight digits of `value` (< 10^8), leading zeros included, as bytes 0..9 with the first digit lowest. */
static inline uint64_t crier_digits_eight(uint32_t value)
{
	uint64_t fours = value / 10000 | (uint64_t)(value % 10000) << 32;
	uint64_t hundreds =
		((fours * 10486) >> 20) & 0x0000007f0000007fULL; /* each / 100: exact below 10^4 */
	uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
	uint64_t tens = ((twos * 103) >> 10) & 0x000f000f000f000fULL; /* each / 10: exact below 10^2 */

	return tens | (twos - tens * 10) << 8;
}

/** Write exactly eight digits. */
static inline void crier_digits_put_eight(char *p, uint32_t value)
{
	uint64_t text = crier_digits_eight(value) + 0x3030303030303030ULL;

	memcpy(p, &text, 8);
}

/** Write exactly nine digits of `value` < 10^9. */
static inline void crier_digits_put_nine(char *p, uint32_t value)
{
	uint32_t first = value / 100000000;

	*p = (char)('0' + first);
	crier_digits_put_eight(p + 1, value - first * 100000000);
}

/** All digits of `value` < 10^8 in a word, the first in its lowest byte. @ret_len  how many */
static inline uint64_t crier_digits_word(uint32_t value, size_t *ret_len)
{
	if (value < 10) {
		*ret_len = 1;
		return '0' + value;
	}
	uint64_t digits = crier_digits_eight(value);
	unsigned zeros = (unsigned)__builtin_ctzll(digits) / 8;

	*ret_len = 8 - zeros;
	return (digits + 0x3030303030303030ULL) >> (8 * zeros);
}

/** Write all digits of `value` < 10^8; eight bytes from `p` on may be overwritten. @return the end */
static inline char *crier_digits_put_small(char *p, uint32_t value)
{
	size_t len;
	uint64_t text = crier_digits_word(value, &len);

	memcpy(p, &text, 8);
	return p + len;
}

/** Write all digits of `value`; 24 bytes from `p` on may be overwritten. @return the end */
static inline char *crier_digits_put(char *p, uint64_t value)
{
	if (value < 100000000)
		return crier_digits_put_small(p, (uint32_t)value);

	uint64_t high = value / 100000000;
	uint32_t low = (uint32_t)(value - high * 100000000);

	if (high < 100000000) {
		p = crier_digits_put_small(p, (uint32_t)high);
	} else {
		p = crier_digits_put_small(p, (uint32_t)(high / 100000000)); /* at most 1844 */
		crier_digits_put_eight(p, (uint32_t)(high % 100000000));
		p += 8;
	}
	crier_digits_put_eight(p, low);
	return p + 8;
}

#endif
