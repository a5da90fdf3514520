/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BTF looked at in place: types one after the other, names, a type by its id. The bytes are untrusted: a type that does not lie
 * wholly before the end, or of a kind that this program does not know, ends the walk before it.
 */
#ifndef CRIER_PROBE_BTF_VIEW_H
#define CRIER_PROBE_BTF_VIEW_H

#include <bpf/btf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"

/* The header's fields that all BTF has; newer kernels' headers declare more. */
#define CRIER_BTF_HEADER_BYTES (offsetof(struct btf_header, str_len) + sizeof(uint32_t))

/* How the names that are wanted begin: of a hundred thousand others most are told apart by that. All zero: none is. */
struct crier_btf_begins {
	uint8_t bits[65536 / 8];
};

static inline unsigned crier_btf_begin(const char *name)
{
	return (unsigned)(uint8_t)name[0] | (name[0] ? (unsigned)(uint8_t)name[1] << 8 : 0);
}

static inline void crier_btf_learn(struct crier_btf_begins *begins, const char *name)
{
	unsigned at = crier_btf_begin(name);

	begins->bits[at / 8] |= (uint8_t)(1u << at % 8);
}

static inline bool crier_btf_may_begin(const struct crier_btf_begins *begins, const char *name)
{
	unsigned at = crier_btf_begin(name);

	return begins->bits[at / 8] & (1u << at % 8);
}

/* Types and strings are borrowed. */
struct crier_btf_view {
	const unsigned char *types, *types_end;
	const unsigned char *at; /* the walk: the next type */
	const char *strings;	 /* ends with a NUL */
	uint32_t strings_len;
	uint32_t *marks; /* owned: offset of every so-manieth type, see btf_view.c */
	uint32_t count;	 /* types walked over, with the void at 0: the next one's id */
};

/** @return 0; -EBADMSG: no BTF; -ENOMEM */
int crier_btf_view_open(struct crier_btf_view *view, const void *bytes, size_t len) crier_must_check;
void crier_btf_view_done(struct crier_btf_view *view);

/** The next type, whose id was view->count. @return NULL at the end, and before a type that cannot be read */
const struct btf_type *crier_btf_next(struct crier_btf_view *view);
/** Did the walk come to the very end? */
bool crier_btf_is_whole(const struct crier_btf_view *view);

/** A type that was walked over. @return NULL for the void and for an id that is none */
const struct btf_type *crier_btf_type(const struct crier_btf_view *view, uint32_t id);
/** Text at an offset, "" where there is none. */
const char *crier_btf_text(const struct crier_btf_view *view, uint32_t offset);

#endif
