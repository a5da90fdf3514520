/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event -> one line. Pure: the caller gives time, number and buffers. No allocation but for a container's
 * fragments, which are rendered once per change and then copied.
 */
#ifndef CRIER_EMIT_H
#define CRIER_EMIT_H

#include "crier/base/cleanup.h"
#include "crier/event.h"
#include "crier/index.h"

#define CRIER_LINE_MAX 16000 /* with the newline: CRI logs split at 16,384 */

enum crier_detail {
	CRIER_DETAIL_AUTO = 0, /* by type */
	CRIER_DETAIL_FULL,
	CRIER_DETAIL_LEAN,
	CRIER_DETAIL_COUNT,
};

enum crier_label_keys {
	CRIER_LABEL_KEYS_OTEL = 0,   /* "app.kubernetes.io/name" as it is */
	CRIER_LABEL_KEYS_UNDERSCORE, /* every character outside [A-Za-z0-9_] becomes _ */
};

struct crier_resource {
	const char *key; /* trusted: validated by config */
	struct crier_slice value;
};

/* Texts of the last line that the next one most likely needs again. All zero: none yet. */
struct crier_emit_cache {
	uint64_t second; /* of unix time: a storm's lines differ in the nanoseconds only */
	char time[32];
	uint64_t boot_second; /* the same of boottime_ns */
	char boot_digits[16];
	uint32_t boot_len;
	uint32_t seq_len; /* 0 = none */
	uint64_t seq;	  /* the number that the next line most likely has, and its digits */
	char seq_digits[24];
};

/* What is the same for all lines of a run. Borrowed; set once (and on reload). */
struct crier_emit_options {
	uint32_t
		version; /* raised by the caller with each change of what follows: what was rendered with it is stale */
	char instance[9];	      /* 8 hex digits */
	char boot[9];		      /* first 8 hex digits of the boot id: process keys */
	struct crier_slice node_name; /* absent = unknown */
	struct crier_slice cluster_name;
	enum crier_detail detail;
	enum crier_label_keys label_keys;
	const struct crier_resource *resources; /* static attributes: "resource":{…} */
	size_t resource_count;
	uint64_t unix_offset_ns;	/* unix time = boottime + this; refreshed when the clock is set */
	struct crier_emit_cache *cache; /* optional, the caller's to keep */
	bool cgroup_v2_primary;
};

/**
 * Render as one JSON object and newline.
 * @param seq  the line's number
 * @param buf  at least CRIER_LINE_MAX of room; untouched on failure
 * @return 0; -EMSGSIZE: above CRIER_LINE_MAX even after every cut (caller counts CRIER_LOSS_TOO_LONG)
 */
int crier_emit_json(const struct crier_emit_options *options, const struct crier_event *event, uint64_t seq,
		    struct crier_buf *buf) crier_must_check;

/**
 * Render for people (EXAMPLE of docs/events.md): time, severity, type, namespace/pod, container, story. One line, bytes
 * that a terminal would obey are shown as \xNN.
 */
int crier_emit_text(const struct crier_emit_options *options, const struct crier_event *event, bool colour,
		    struct crier_buf *buf) crier_must_check;

/** The `summary` sentence. Never ends in a user-controlled string. */
void crier_emit_summary(const struct crier_event *event, struct crier_buf *buf);
/** The story column of the text form (no pod or container in it). */
void crier_emit_story(const struct crier_event *event, struct crier_buf *buf);

/** Bytes as people read them: "512 MiB", "1.5 GiB", "987 B". */
void crier_put_bytes(struct crier_buf *buf, uint64_t bytes);
/** Durations as people read them: "850 ms", "20.3 s", "3h12m", "6d2h". */
void crier_put_duration(struct crier_buf *buf, uint64_t ms);

/** The JSON Schema (2020-12) of every line, from the same tables; allocated text, caller frees. NULL: out of memory */
char *crier_schema_json(void);
/** The same with nothing allowed that is not in the tables: for tests of this version's own lines. */
char *crier_schema_json_strict(void);
/** docs/events.md's tables, generated from the same rows (`crier schema --markdown`); as above. */
char *crier_schema_markdown(void);

#endif
