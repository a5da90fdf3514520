/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline's inputs as one ordered stream: what the live loop feeds, `crier record` writes and `crier replay` reads.
 * Payloads are the structs below or raw bytes, little-endian, as they are in memory.
 */
#ifndef CRIER_INPUT_H
#define CRIER_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/base/str.h"
#include "crier/wire.h"

enum crier_input_type {
	CRIER_INPUT_NONE = 0,
	CRIER_INPUT_START, /* JSON text: instance, boot id, node, clock offset, layout, effective config: everything set once */
	CRIER_INPUT_RECORD,   /* a kernel record as it lay in the ring */
	CRIER_INPUT_MAIL,     /* a blob of the CRI thread (meta.h) */
	CRIER_INPUT_TICK,     /* time passed; no payload */
	CRIER_INPUT_CGROUP,   /* struct crier_input_cgroup + path: one directory of the walk */
	CRIER_INPUT_SEED,     /* struct crier_wire_seed: one process alive at start */
	CRIER_INPUT_READY,    /* walk and seeds are done: tell agent.start and snapshots; payload JSON text */
	CRIER_INPUT_COUNTERS, /* struct crier_input_counters */
	CRIER_INPUT_ROOM,     /* u64 free bytes of the sink */
	CRIER_INPUT_CLOCK,    /* u64 unix offset: the clock was set */
	CRIER_INPUT_HEALTH,   /* JSON text: component, state, reason, remedy */
	CRIER_INPUT_CONFIG,   /* JSON text: reloaded effective config */
	CRIER_INPUT_PRESSURE, /* u64 cgroup id (0: the node): a PSI watch fired */
	CRIER_INPUT_STOP,     /* JSON text: reason */
	CRIER_INPUT_KEPT, /* u64 by class: event records the self test kept for itself; counted as filtered */
	CRIER_INPUT_LOOKUP, /* answer to a look-up the pipeline made: struct crier_input_lookup + path + bytes */
	CRIER_INPUT_TYPE_COUNT,
};

struct crier_input_cgroup {
	uint64_t id, parent_id;
	/* path follows */
};

#define CRIER_INPUT_BLAMES_MAX 8

/* One cgroup that lost records since the counters before. */
struct crier_input_blame {
	uint64_t cgroup_id;
	uint64_t suppressed[CRIER_CLASS_COUNT];
	uint64_t failed[CRIER_CLASS_COUNT];
};

/* The kernel's counters (totals since start) and crier's own use of the node at one moment. */
struct crier_input_counters {
	struct crier_wire_counters kernel;
	uint64_t recursion_misses;
	uint64_t rss_bytes;
	uint64_t cpu_ms;
	uint64_t blame_count;
	struct crier_input_blame blames[CRIER_INPUT_BLAMES_MAX];
};

enum crier_lookup_kind {
	CRIER_LOOKUP_READ = 1,
	CRIER_LOOKUP_LINK = 2,
	CRIER_LOOKUP_INODE = 3,
	CRIER_LOOKUP_CGROUP_PATH = 4, /* path: crier_lookup_cgroup() */
	CRIER_LOOKUP_FILE = 5,
	CRIER_LOOKUP_FIND = 6,
	CRIER_LOOKUP_KIND_COUNT,
};

#define CRIER_LOOKUP_PATH_MAX 4608 /* of what is recorded with an answer */

struct crier_input_lookup {
	uint32_t kind;
	int32_t result; /* 0 or -errno */
	uint32_t path_len, bytes_len;
	/* path, then bytes (INODE: u64) */
};

/** The path that a look-up below a folder is recorded under: dir, slash, name; for FIND with a star before the ending. Pure. */
void crier_lookup_path(char path[CRIER_LOOKUP_PATH_MAX], enum crier_lookup_kind kind, const char *dir,
		       struct crier_slice name);

/** The path that CGROUP_PATH is recorded under: the hierarchy's root, a colon, the id in digits. Pure. */
void crier_lookup_cgroup(char path[CRIER_LOOKUP_PATH_MAX], const char *root, uint64_t id);

#define CRIER_INPUT_PAYLOAD_MAX (2 * 1024 * 1024)

/* ---- the file: src/recording.c. Header "CRIERREC", version, then frames {u32 length, u32 type, u64 now_ns, payload, u32 crc32} ---- */

struct crier_recording_writer;

/** @param path  created 0600, O_EXCL unless `force`; "-" is refused: stdout belongs to the lines */
int crier_recording_create(const char *path, bool force, struct crier_recording_writer **ret_writer,
			   struct crier_err *err) crier_must_check;
/** Buffered. An error (disk full) is remembered and told once by the return value of close and by the first call that meets it. */
int crier_recording_write(struct crier_recording_writer *writer, enum crier_input_type type, uint64_t now_ns,
			  const void *bytes, size_t len);
int crier_recording_close(struct crier_recording_writer *writer, struct crier_err *err);

struct crier_recording_reader;
/** Open and check the header. @return 0; -EBADMSG (not a recording, another version), -errno: err names the file */
int crier_recording_open(const char *path, struct crier_recording_reader **ret_reader,
			 struct crier_err *err) crier_must_check;
/**
 * @param ret_bytes  8-byte aligned, dies at the next call
 * @return 1 a frame; 0 clean end; -EBADMSG truncated or corrupt: err names the file, the byte position and what was expected
 */
int crier_recording_next(struct crier_recording_reader *reader, enum crier_input_type *ret_type,
			 uint64_t *ret_now_ns, const void **ret_bytes, size_t *ret_len,
			 struct crier_err *err) crier_must_check;
uint64_t crier_recording_position(const struct crier_recording_reader *reader);
void crier_recording_close_reader(struct crier_recording_reader *reader);

#endif
