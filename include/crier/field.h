/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One description of a struct serves three readers: emit.c writes its JSON, schema.c its JSON Schema, and
 * docs/events.md is generated from it. So the three cannot drift apart.
 *
 * Absent values, by kind (crier_fields_clear sets them): UINT, ID, NS: CRIER_UNKNOWN_U64; INT: CRIER_UNKNOWN_I64;
 * BOOL: CRIER_UNKNOWN_BOOL; ENUM: 0; RATIO: negative; TEXT, NAME: ptr NULL; ARRAY: count 0; OBJECT: no child present.
 */
#ifndef CRIER_FIELD_H
#define CRIER_FIELD_H

#include <stddef.h>
#include <stdint.h>

#include "crier/base/str.h"
#include "crier/meta.h"

#define CRIER_UNKNOWN_BOOL 2

enum crier_field_kind {
	CRIER_FIELD_END = 0,
	CRIER_FIELD_UINT,   /* uint64_t -> JSON integer; must stay within 2^53 */
	CRIER_FIELD_INT,    /* int64_t -> JSON integer */
	CRIER_FIELD_ID,	    /* uint64_t -> decimal string (may exceed 2^53) */
	CRIER_FIELD_TIME,   /* uint64_t unix ns -> RFC 3339 string, nine digits, Z */
	CRIER_FIELD_BOOL,   /* uint8_t 0, 1, CRIER_UNKNOWN_BOOL */
	CRIER_FIELD_RATIO,  /* double -> number with at most four decimals */
	CRIER_FIELD_ENUM,   /* uint8_t index into `names`; names[0] is NULL (absent) */
	CRIER_FIELD_TEXT,   /* struct crier_slice, untrusted bytes: escaped, cut at `max`, sanitized siblings */
	CRIER_FIELD_NAME,   /* const char *, static trusted text; NULL absent */
	CRIER_FIELD_OBJECT, /* embedded struct, described by `sub` */
	CRIER_FIELD_ARRAY,  /* const struct T *items (pointer at offset), size_t count at `count_offset`, items by `sub` */
	CRIER_FIELD_LABELS, /* const struct crier_meta_labels * -> object of strings; NULL or count 0 absent */
	CRIER_FIELD_KIND_COUNT,
};

struct crier_field {
	const char *key; /* JSON key, lower snake case */
	enum crier_field_kind kind;
	uint16_t offset;
	uint16_t max;		       /* TEXT: bytes kept; ARRAY: items kept */
	uint16_t count_offset;	       /* ARRAY: offset of its size_t count */
	uint16_t item_size;	       /* ARRAY */
	uint8_t full_only;	       /* left out of lean renderings */
	const char *const *names;      /* ENUM */
	const struct crier_field *sub; /* OBJECT, ARRAY: table ending with CRIER_FIELD_END */
	const char *doc;	       /* meaning, unit and source; for schema and docs */
};

/** Set every field that `table` describes in `object` to absent, nested objects included. */
void crier_fields_clear(const struct crier_field *table, void *object);

#endif
