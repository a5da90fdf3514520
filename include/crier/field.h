/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One description of a struct serves three readers: emit.c writes its JSON, schema.c its JSON Schema, and
 * docs/events.md is generated from it. So the three cannot drift apart.
 *
 * Absent values, by kind (crier_fields_clear sets them): UINT, ID, EVENT_ID, INCIDENT_ID: CRIER_UNKNOWN_U64; TIME: that
 * or 0; INT: CRIER_UNKNOWN_I64; BOOL: CRIER_UNKNOWN_BOOL; FLAG, ENUM: 0; RATIO: negative; TEXT, SENTENCE, NAME, CSTR: ptr
 * NULL; WHOLE: NULL or ""; PROCESS_KEY: pid 0; SLOT: either part absent; ARRAY, TEXTS: count 0; OBJECT: no child present.
 * Integers that a double cannot hold exactly (beyond 2^53) are left absent too, never clamped.
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
	CRIER_FIELD_UINT,  /* uint64_t -> JSON integer; must stay within 2^53 */
	CRIER_FIELD_INT,   /* int64_t -> JSON integer */
	CRIER_FIELD_ID,	   /* uint64_t -> decimal string (may exceed 2^53) */
	CRIER_FIELD_TIME,  /* uint64_t unix ns -> RFC 3339 string, nine digits, Z */
	CRIER_FIELD_BOOL,  /* uint8_t 0, 1, CRIER_UNKNOWN_BOOL */
	CRIER_FIELD_RATIO, /* double -> number with at most four decimals */
	CRIER_FIELD_ENUM,  /* uint8_t index into `names`; names[0] is NULL (absent) */
	CRIER_FIELD_TEXT, /* struct crier_slice, untrusted bytes: escaped, cut at `max`, sanitized siblings */
	CRIER_FIELD_NAME, /* const char *, static trusted text; NULL absent */
	CRIER_FIELD_OBJECT, /* embedded struct, described by `sub` */
	CRIER_FIELD_ARRAY, /* const struct T *items (pointer at offset), size_t count at `count_offset`, items by `sub` */
	CRIER_FIELD_LABELS, /* const struct crier_meta_labels * -> object of strings; NULL or count 0 absent */
	CRIER_FIELD_FLAG,   /* uint8_t: written only when it is 1 */
	CRIER_FIELD_WHOLE,  /* const char *, NUL-terminated, untrusted; never cut; NULL or "" absent */
	CRIER_FIELD_CSTR,   /* const char *, NUL-terminated, untrusted; NULL absent */
	CRIER_FIELD_BASENAME, /* struct crier_slice holding a path: what follows its last '/' */
	CRIER_FIELD_SENTENCE, /* struct crier_slice made by crier from values told elsewhere: no sanitized siblings */
	CRIER_FIELD_TEXTS, /* const struct crier_slice *items, size_t count at `count_offset`: array of strings */
	CRIER_FIELD_EVENT_ID,	 /* uint64_t seq -> "<instance>-<seq>" */
	CRIER_FIELD_INCIDENT_ID, /* uint64_t counter -> "<instance>-i<n>" */
	CRIER_FIELD_PROCESS_KEY, /* struct crier_process_key -> "<boot>:<pid>:<start>" */
	CRIER_FIELD_SLOT,	 /* struct crier_slot_name -> "<pod uid>/<container name>" */
	CRIER_FIELD_KIND_COUNT,
};

struct crier_slot_name {
	struct crier_slice pod_uid, container_name;
};

#define CRIER_FIELD_JSON_MAX 32

struct crier_field {
	const char *key;		 /* JSON key, lower snake case */
	char json[CRIER_FIELD_JSON_MAX]; /* the key ready to be copied whole: ,"key": */
	uint8_t json_len;
	uint8_t kind;	   /* enum crier_field_kind */
	uint8_t full_only; /* left out of lean renderings */
	uint8_t lean_skip; /* ENUM, UINT: 1 + the ordinary value that lean renderings leave out; 0 = none */
	uint16_t offset;
	uint16_t max;	       /* TEXT, CSTR: bytes kept; ARRAY, TEXTS: items kept; ENUM: number of names */
	uint16_t count_offset; /* ARRAY, TEXTS: offset of the size_t count */
	uint16_t item_size;    /* ARRAY */
	const char *const
		*names; /* ENUM; NAME: its words if they are few (ending with NULL), for schema and docs */
	const struct crier_field *sub; /* OBJECT, ARRAY: table ending with CRIER_FIELD_END */
	const char *doc;	       /* meaning, unit and source; for schema and docs */
};

/* The two spellings of a key, for a table's row. */
#define CRIER_FIELD_KEY(literal)                                                                             \
	.key = (literal), .json = ",\"" literal "\":", .json_len = sizeof(literal) + 3

/** Set every field that `table` describes in `object` to absent, nested objects included. */
void crier_fields_clear(const struct crier_field *table, void *object);

#endif
