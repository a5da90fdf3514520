/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte slices and bounded buffers. A slice never owns; a buffer over fixed storage never grows: what does
 * not fit is left out whole and remembered in `overflow`, so a caller checks once at the end.
 */
#ifndef CRIER_BASE_STR_H
#define CRIER_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** Borrowed bytes: not NUL-terminated, may hold any byte. ptr NULL = absent (unknown); len 0 with ptr = empty. */
struct crier_slice {
	const char *ptr;
	size_t len;
};

#define CRIER_SLICE(literal) ((struct crier_slice){(literal), sizeof(literal) - 1})
#define CRIER_SLICE_NONE     ((struct crier_slice){NULL, 0})

/** Slice of a NUL-terminated string; NULL gives the absent slice. Dies with the string. */
static inline struct crier_slice crier_slice_of(const char *s)
{
	return (struct crier_slice){s, s ? strlen(s) : 0};
}

/** Slice of a fixed char array that may or may not be NUL-terminated. */
static inline struct crier_slice crier_slice_bounded(const char *s, size_t max)
{
	return (struct crier_slice){s, s ? strnlen(s, max) : 0};
}

static inline bool crier_slice_equal(struct crier_slice a, struct crier_slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool crier_slice_starts(struct crier_slice s, struct crier_slice prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool crier_slice_ends(struct crier_slice s, struct crier_slice suffix)
{
	return s.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/** Output buffer over storage owned by the caller. Not NUL-terminated. */
struct crier_buf {
	char *data;
	size_t len;
	size_t cap;
	bool overflow; /* something did not fit and was left out */
};

static inline void crier_buf_init(struct crier_buf *buf, char *storage, size_t cap)
{
	*buf = (struct crier_buf){.data = storage, .cap = cap};
}

static inline void crier_buf_put(struct crier_buf *buf, const void *bytes, size_t len)
{
	if (len > buf->cap - buf->len) {
		buf->overflow = true;
		return;
	}
	if (len)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
}

static inline void crier_buf_put_char(struct crier_buf *buf, char c)
{
	crier_buf_put(buf, &c, 1);
}

static inline void crier_buf_put_str(struct crier_buf *buf, const char *s)
{
	crier_buf_put(buf, s, strlen(s));
}

static inline void crier_buf_put_slice(struct crier_buf *buf, struct crier_slice s)
{
	crier_buf_put(buf, s.ptr, s.len);
}

/** Decimal digits of `value`, without a call into libc: the event path prints dozens of numbers a line. */
void crier_buf_put_u64(struct crier_buf *buf, uint64_t value);
void crier_buf_put_i64(struct crier_buf *buf, int64_t value);

/** printf into the buffer; for summaries and messages off the hot path. */
void crier_buf_printf(struct crier_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * Parse an unsigned decimal that fills the whole slice.
 * @ret_value  unchanged on failure
 * @return 0, -EINVAL (empty, other characters), -ERANGE (above 2^64-1)
 */
int crier_parse_u64(struct crier_slice text, uint64_t *ret_value) __attribute__((warn_unused_result));

/** NUL-terminated copy into `dst` (capacity `cap` > 0), cut if longer. @return true if nothing was cut. */
bool crier_copy_str(char *dst, size_t cap, struct crier_slice src);

#endif
