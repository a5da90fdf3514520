/* SPDX-License-Identifier: Apache-2.0 */
/* The members of each struct of meta.h with their numbers in a blob: one table for meta.c and meta_decode.c. */
#ifndef CRIER_META_LAYOUT_H
#define CRIER_META_LAYOUT_H

#include "crier/meta.h"

#define BLOB_VERSION 1
#define HEAD_SIZE    4

enum kind {
	KIND_U64,   /* CRIER_UNKNOWN_U64 when unknown */
	KIND_COUNT, /* 0 when unknown */
	KIND_CUT,   /* as KIND_COUNT; the writer adds the strings it cuts itself */
	KIND_I64,
	KIND_TEXT,
	KIND_LABELS,
	KIND_POD,
	KIND_CONTAINER,
	KIND_RUNTIME,
};

/* One member of a struct. Numbers are never used again; a new member gets the next one. */
struct field {
	uint8_t number;
	uint8_t kind;
	uint16_t offset;
};

struct layout {
	const struct field *fields;
	size_t count;
};

/* Status is number 1, written apart: it is an enum and not a u64. */
enum { NUMBER_STATUS = 1 };

/* Inside labels: 1 = a pair (varint key length, key, value), any number of times; 2 = dropped. */
enum { NUMBER_PAIR = 1, NUMBER_DROPPED = 2 };

extern const struct layout crier_meta_layout; /* of a message */

/** Layout of a nested struct, NULL for the other kinds. */
const struct layout *crier_meta_layout_of(uint8_t kind);

#endif
