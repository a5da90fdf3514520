/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka in its required order. */
#ifndef CRIER_TEST_H
#define CRIER_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* xorshift64: the same numbers on every machine; `seed` is not 0. */
static inline uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
