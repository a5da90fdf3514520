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

/*
 * What all lines about a container have in common: rendered once per change, then copied whole. A container keeps one of
 * them, in the rendering that bulk lines have. Its texts stand in `text` one after the other, in this order.
 */
struct crier_fragment {
	const struct crier_pod *pod; /* it was made with this pod */
	uint32_t container_version, pod_version, options_version;
	uint8_t lean;
	uint8_t too_long;    /* above CRIER_LINE_MAX: nothing is kept, each line renders its own, cut */
	uint8_t source;	     /* enum crier_source: what the attribution below says */
	uint16_t cgroup_len; /* ,"cgroup":{"id":"…"}: the container's own; lean only, 0 = it is not known */
	uint16_t blocks_len; /* ,"container":{…},"k8s":{…},"resource":{…} */
	uint16_t stem_len;   /* ,"attribution":{…},"correlation":{"process_key":"BOOT: ; lean only */
	uint16_t slot_len;   /* ,"container_slot":"…"; lean only */
	uint16_t place_len;  /* where the summary says it was: shop/cart/app, escaped; lean only */
	uint16_t namespace_len, pod_len, name_len; /* the parts of the place, if it has all three; else 0 */
	uint16_t id_len; /* of the container's id in the block; 0: it had to be escaped */
	uint16_t sanitized_len, truncated_len; /* paths of what was replaced and cut */
	uint64_t cgroup_id;		       /* of the block cgroup */
	char text[];
};

static inline const char *crier_fragment_blocks(const struct crier_fragment *fragment)
{
	return fragment->text + fragment->cgroup_len;
}

static inline const char *crier_fragment_slot(const struct crier_fragment *fragment)
{
	return crier_fragment_blocks(fragment) + fragment->blocks_len + fragment->stem_len;
}

static inline const char *crier_fragment_place(const struct crier_fragment *fragment)
{
	return crier_fragment_slot(fragment) + fragment->slot_len;
}

static inline const char *crier_fragment_paths(const struct crier_fragment *fragment)
{
	return crier_fragment_place(fragment) + fragment->place_len;
}

/** The fragment that the event's container keeps, made anew if it is stale; NULL when there is none for this rendering. */
const struct crier_fragment *crier_emit_fragment(const struct crier_emit_options *options, bool lean,
						 const struct crier_event *event);

/** The blocks container, k8s and resource, from the fragment where there is one. */
void crier_emit_container(struct crier_emit_line *line, const struct crier_event *event);

/** The view of an event that its correlation block is written from. */
struct crier_view_correlation crier_emit_correlation_view(const struct crier_emit_options *options,
							  const struct crier_event *event);

/**
 * The lean line of an ordinary process.exec, process.fork or process.exit, several times faster than by its tables.
 * @param p  room for CRIER_LINE_MAX bytes
 * @return the line's end; NULL: out of the ordinary, the tables have to write it
 */
char *crier_emit_lean(const struct crier_emit_options *options, const struct crier_event *event, uint64_t seq,
		      char *p);

#endif
