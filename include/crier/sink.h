/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where lines go: a bounded ring buffer that the main loop fills. It empties it into stdout itself as long as that does not
 * block; one writer thread does where it would, and into a file or a socket. A blocked reader blocks that thread only. A
 * line put in is never dropped.
 */
#ifndef CRIER_SINK_H
#define CRIER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"

struct crier_sink;

struct crier_sink_options {
	const char *target;  /* "-" stdout; "unix:PATH" a stream socket; else a file to append to */
	size_t buffer_bytes; /* 4 MiB */
	size_t write_bytes;  /* batch: 64 KiB */
	uint32_t
		linger_ms; /* after a few batches: longest wait for the next to fill; critical lines do not wait; 50 */
};

/**
 * Open the target and start the writer. A file or pipe must be there; a socket's reader may come later.
 * @param options  borrowed for the call
 * @param err      names the target, the cause and the remedy
 * @return 0; -EBADF (stdout is closed), -ENXIO (nobody reads the pipe), -ENOTSOCK, -EINVAL, -ENOMEM, -errno of open(2)
 */
int crier_sink_new(const struct crier_sink_options *options, struct crier_sink **ret_sink,
		   struct crier_err *err) crier_must_check;

/** Main loop. Whole line or nothing. @return 0; -ENOSPC: does not fit now */
int crier_sink_put(struct crier_sink *sink, const char *line, size_t len, bool urgent) crier_must_check;

/**
 * The same without a lock or a call for each line: the writer learns of it with the next crier_sink_flush, which is called
 * at once when the line is urgent or a batch is full.
 */
int crier_sink_stage(struct crier_sink *sink, const char *line, size_t len, bool urgent) crier_must_check;
/**
 * Where the next line may be written, to be staged without a copy: crier_sink_stage takes a line that begins there as it is.
 * @return `len` bytes in a row, all of them free to be written to until the next call of crier_sink_stage or _place; NULL:
 *         there are not so many here. Cost: none but for the first line of a turn.
 */
char *crier_sink_place(struct crier_sink *sink, size_t len);
/**
 * Publish what is staged; the main loop does so before it sleeps. What is due it writes here, where the target says of a
 * write whether it would wait (a pipe on stdout, Linux 6.4); what would wait, and all other targets, are the writer's.
 */
void crier_sink_flush(struct crier_sink *sink);
/** When crier_sink_flush must be called for the sake of lines that linger: ns from now; UINT64_MAX = need not. Main loop. */
uint64_t crier_sink_due_in(const struct crier_sink *sink);

/** Main loop, now and then: after a burst give its pages back. Cheap when there was none. */
void crier_sink_trim(struct crier_sink *sink);

/** Bytes free now: the pipeline's back-pressure input. */
size_t crier_sink_room(const struct crier_sink *sink);

enum crier_sink_state {
	CRIER_SINK_OK,
	CRIER_SINK_BLOCKED, /* a write has been waiting for over a second */
	CRIER_SINK_FULL,    /* ENOSPC: retried every second */
	CRIER_SINK_CLOSED,  /* EPIPE or the like: nobody will read any more; the agent ends */
};
/** State with the errno behind it; main loop. */
enum crier_sink_state crier_sink_state(const struct crier_sink *sink, int *ret_errno);
/**
 * Readable when the state changed, or when room is back after -ENOSPC; crier_sink_state() clears it. An epoll descriptor over
 * an eventfd and a timer, since a thread that hangs in write(2) cannot tell so itself. Owned by the sink.
 */
int crier_sink_fd(const struct crier_sink *sink);

/**
 * Write what is left within the deadline, stop the thread; at most 300 ms more when a write hangs. A write that not even a
 * signal ends keeps its thread and the memory of the sink until the process is over.
 * @return bytes that could not be written
 */
size_t crier_sink_close(struct crier_sink *sink, uint32_t deadline_ms);
void crier_sink_free(struct crier_sink *sink);

#endif
