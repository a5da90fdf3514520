/* SPDX-License-Identifier: Apache-2.0 */
/* Inside emit: the line being written, and the engine that writes structs by their tables. */
#ifndef CRIER_EMIT_LINE_H
#define CRIER_EMIT_LINE_H

#include "fields.h"

#define CRIER_HEX_MAX	64 /* raw bytes shown of a text that was sanitized */
#define CRIER_PATHS_MAX 1024
#define CRIER_EXACT_MAX (1ULL << 53) /* a double holds every integer up to here */

/* How hard a line is cut; each step only when the one before left it above CRIER_LINE_MAX. */
enum crier_cut {
	CRIER_CUT_NONE = 0,
	CRIER_CUT_LABELS,  /* labels left out */
	CRIER_CUT_LONG,	   /* texts to 512 bytes, arrays to 16 items */
	CRIER_CUT_SHORT,   /* texts to 128 bytes, arrays to 8 items */
	CRIER_CUT_MINIMUM, /* texts to 24 bytes, arrays to 2 items, no static attributes: always fits */
	CRIER_CUT_COUNT,
};

/* Where the engine stands, for the paths in `sanitized` and `truncated`. */
struct crier_emit_place {
	const struct crier_emit_place *up;
	const char *key; /* NULL: an array item */
	size_t index;
};

/* A list of paths as JSON strings, each with a leading comma. */
struct crier_emit_paths {
	struct crier_buf buf;
	char text[CRIER_PATHS_MAX];
};

struct crier_emit_line {
	struct crier_buf buf;
	const struct crier_emit_options *options;
	const struct crier_emit_place *place;
	bool lean;
	uint8_t cut; /* enum crier_cut */
	struct crier_emit_paths sanitized, truncated;
};

/** @param storage  where the line is written; not more than `cap` bytes */
void crier_emit_line_init(struct crier_emit_line *line, const struct crier_emit_options *options, bool lean,
			  uint8_t cut, char *storage, size_t cap);

/** Write `,"key":value` for each field that is present. */
void crier_emit_fields(struct crier_emit_line *line, const struct crier_field *table, const void *object);

/** Write `,"key":{…}` by field->sub, or nothing when none of its fields is present. */
void crier_emit_object(struct crier_emit_line *line, const struct crier_field *field, const void *object);
#define CRIER_EMIT_OBJECT(line, name, table, object)                                                         \
	do {                                                                                                 \
		static const struct crier_field object_field = {CRIER_FIELD_KEY(name), .sub = (table)};      \
		crier_emit_object(line, &object_field, object);                                              \
	} while (0)

/** Write one field of a kind that crier_emit_fields does not write itself. */
void crier_emit_value(struct crier_emit_line *line, const struct crier_field *field, const void *object);

/** The path of `key` at the present place goes to one of the lists, once. */
void crier_emit_path(const struct crier_emit_line *line, struct crier_emit_paths *paths, const char *key);

/** Fragments of a container: rendered when missing or stale, then copied. */
void crier_emit_container(struct crier_emit_line *line, const struct crier_event *event);

#endif
