/* SPDX-License-Identifier: Apache-2.0 */
#include "alloc_count.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

/* glibc exports its allocator under these names so that a program may put its own in front. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static uint64_t calls, bytes, frees;

static void count(size_t size)
{
	__atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&bytes, size, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count(size);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(n * size);
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	count(size);
	return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
	count(size);
	return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count(size);
	return __libc_memalign(alignment, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	void *p;

	count(size);
	p = __libc_memalign(alignment, size);
	if (!p)
		return ENOMEM;
	*ret = p;
	return 0;
}

void free(void *p)
{
	if (p)
		__atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
	__libc_free(p);
}

struct bench_allocs bench_allocs_now(void)
{
	return (struct bench_allocs){
		__atomic_load_n(&calls, __ATOMIC_RELAXED),
		__atomic_load_n(&bytes, __ATOMIC_RELAXED),
		__atomic_load_n(&frees, __ATOMIC_RELAXED),
	};
}
