/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: the entry point, a claim that must hold, and a reader that takes the input apart. */
#ifndef CRIER_FUZZ_H
#define CRIER_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crier/base/cleanup.h"
#include "crier/base/str.h"

/* The entry point that libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An output that breaks a promise is as much a finding as a crash: say which, and abort as a crash would. */
#define FUZZ_CLAIM(claim, ...)                                                                               \
	do {                                                                                                 \
		if (!(claim)) {                                                                              \
			fprintf(stderr, "%s:%d: does not hold: %s: ", __FILE__, __LINE__, #claim);           \
			fprintf(stderr, __VA_ARGS__);                                                        \
			fputc('\n', stderr);                                                                 \
			abort();                                                                             \
		}                                                                                            \
	} while (0)

/* The input from its front; an empty one gives zeros. */
struct fuzz_input {
	const uint8_t *pos, *end;
};

static inline size_t fuzz_left(const struct fuzz_input *input)
{
	return (size_t)(input->end - input->pos);
}

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
	return fuzz_left(input) ? *input->pos++ : 0;
}

static inline uint16_t fuzz_u16(struct fuzz_input *input)
{
	uint16_t low = fuzz_u8(input);

	return (uint16_t)(low | fuzz_u8(input) << 8);
}

/** At most `len` bytes; borrowed from the input. */
static inline struct crier_slice fuzz_take(struct fuzz_input *input, size_t len)
{
	size_t n = crier_min(len, fuzz_left(input));
	struct crier_slice taken = {(const char *)input->pos, n};

	input->pos += n;
	return taken;
}

/** A copy of exactly that length on the heap, aligned for any struct: one byte too far is seen. Caller frees. */
static inline void *fuzz_copy(struct crier_slice bytes)
{
	void *copy = malloc(bytes.len ? bytes.len : 1);

	FUZZ_CLAIM(copy, "out of memory");
	if (bytes.len)
		memcpy(copy, bytes.ptr, bytes.len);
	return copy;
}

/** A file in memory that holds `bytes`. @ret_path  under which it can be opened while the descriptor is */
static inline int fuzz_file(struct crier_slice bytes, char ret_path[32])
{
	int fd = memfd_create("crier-fuzz", MFD_CLOEXEC);

	FUZZ_CLAIM(fd >= 0, "memfd_create");
	FUZZ_CLAIM(write(fd, bytes.ptr ? bytes.ptr : "", bytes.len) == (ssize_t)bytes.len, "memfd");
	snprintf(ret_path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

/** The bytes of a slice are used (a slice that points outside is found), and lie within `whole` when it is given. */
static inline void fuzz_touch(struct crier_slice slice, const struct crier_slice *whole)
{
	volatile uint8_t sum = 0;

	for (size_t i = 0; slice.ptr && i < slice.len; i++)
		sum = (uint8_t)(sum + (uint8_t)slice.ptr[i]);
	if (whole && slice.ptr)
		FUZZ_CLAIM(slice.ptr >= whole->ptr && slice.ptr + slice.len <= whole->ptr + whole->len,
			   "a slice of %zu bytes points outside of its text", slice.len);
}

#endif
