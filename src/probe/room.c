/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for what libbpf copies. It reads the kernel's BTF, copies it and indexes it: some 11 MiB, each page of which would be a
 * fault of its own, in fresh mappings, and on a virtual machine those faults cost as much as the copying. So the heap is
 * grown by as much at once, in one call, and libbpf finds its pages there. All of it goes back when the load is done.
 */
#include "internal.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/stat.h>

#ifndef MADV_POPULATE_WRITE /* 5.14; older kernels refuse it, and the pages come one by one */
#define MADV_POPULATE_WRITE 23
#endif

/* The largest that glibc takes; what is smaller comes from the heap. */
#define HEAP_SHARE_MAX ((size_t)32 * 1024 * 1024)
/* Beside BTF, twice: the index of its types, the object, the programs. */
#define REST_BYTES ((size_t)2 * 1024 * 1024)
/* glibc's own, and the agent's (src/agent/memory.c). */
#define THRESHOLD (128 * 1024)

void crier_room_make(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	struct stat st;
	size_t len;
	char *block;

	if (stat(CRIER_KERNEL_BTF, &st) < 0 || st.st_size <= 0)
		return;
	len = 2 * (size_t)st.st_size + REST_BYTES;
	if (len >= HEAP_SHARE_MAX)
		return;
	mallopt(M_MMAP_THRESHOLD, (int)HEAP_SHARE_MAX);
	mallopt(M_TRIM_THRESHOLD, (int)(2 * HEAP_SHARE_MAX));
	block = malloc(len);
	if (!block)
		return;

	uintptr_t from = ((uintptr_t)block + page - 1) & ~(page - 1);
	uintptr_t to = ((uintptr_t)block + len) & ~(page - 1);

	(void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
	free(block); /* to the top of the heap, where it stays */
}

void crier_room_give_back(void)
{
	mallopt(M_MMAP_THRESHOLD, THRESHOLD);
	mallopt(M_TRIM_THRESHOLD, THRESHOLD);
	malloc_trim(0);
}
