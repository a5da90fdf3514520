/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generated streams, a batch at a time: records lie one behind the other in a buffer of the bulk ring's size, as the loop
 * finds them there, and are made anew for each batch, outside of what is measured.
 */
#ifndef CRIER_BENCH_STREAM_H
#define CRIER_BENCH_STREAM_H

#include "node.h"

#define BENCH_RING_BYTES  (1024 * 1024) /* --ring-bulk-bytes */
#define BENCH_BATCH_ITEMS 8192		/* records of one turn of the loop */
#define BENCH_SLOTS	  16		/* processes alive at the same time */

enum bench_kind {
	BENCH_EXEC,
	BENCH_EXEC_ARGS,
	BENCH_FORK,
	BENCH_EXIT,
	BENCH_EXIT_SIGNAL, /* with its fatal signal, in pairs */
	BENCH_SIGNAL,
	BENCH_OOM,  /* kill signal, OOM, exit: in threes */
	BENCH_HOST, /* exec of a host service whose cgroup the kernel did not know yet */
	BENCH_HELD, /* execs that wait for the runtime's answer, 256 to a new container */
	BENCH_LIFE, /* whole lives of containers, 14 process events each */
	BENCH_MIX,  /* processes: fork, mostly exec, exit; 5 % die by signal, 1 in 3,000 by OOM */
	BENCH_KIND_COUNT,
};

extern const char *const bench_kind_names[BENCH_KIND_COUNT];

struct bench_item {
	uint32_t offset, len;
	enum crier_input_type type;
};

struct bench_process {
	uint32_t pid, step;
	uint32_t container; /* index on the node */
	uint64_t number;    /* of the container, as bench_id knows it */
	uint64_t start_ns;
	bool execs, killed, oom;
};

struct bench_stream {
	struct bench_node *node;
	enum bench_kind kind;
	bool skewed; /* Zipf, exponent 1: the busiest of 1,000 containers gets a seventh of all */
	uint64_t random;
	uint32_t next_pid;
	struct bench_process slots[BENCH_SLOTS];

	char *ring; /* BENCH_RING_BYTES */
	size_t used;
	struct bench_item items[BENCH_BATCH_ITEMS];
	size_t count;
	uint64_t events; /* event records among them: what a measurement is divided by */
};

struct bench_stream *bench_stream_new(struct bench_node *node, enum bench_kind kind, bool skewed);
void bench_stream_free(struct bench_stream *stream);
/** Feed one exec of each container, so that each has been rendered once: what follows is everyday life. */
void bench_stream_warm(struct bench_stream *stream);
/** Make the next batch; the node's clock goes on by a microsecond for each record. */
void bench_stream_fill(struct bench_stream *stream);
/** Feed the batch, as a turn of the loop does: one time for all, records in the drain's portions. */
void bench_stream_feed(const struct bench_stream *stream);

#endif
