/* SPDX-License-Identifier: Apache-2.0 */
/* Counts what this program and its libraries allocate: malloc and its kin are defined here and hand on to glibc's own. */
#ifndef CRIER_BENCH_ALLOC_COUNT_H
#define CRIER_BENCH_ALLOC_COUNT_H

#include <stdint.h>

struct bench_allocs {
	uint64_t calls; /* malloc, calloc, realloc, aligned_alloc, posix_memalign, memalign */
	uint64_t bytes; /* as asked for */
	uint64_t frees; /* of something */
};

/** Totals of all threads since the start. */
struct bench_allocs bench_allocs_now(void);

#endif
