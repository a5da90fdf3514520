/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring between the main loop and the writer thread. One mutex guards positions and state. Bytes behind head are the main
 * loop's: it stages lines there without the lock, and publishes a turn's worth together. Bytes between tail and head it
 * writes itself, with the lock, as long as the reader takes them at once; what it does not take when a turn is over is handed
 * over to the thread, which writes in place without the lock until it has caught up. Until the thread has begun, which takes a
 * CPU, the main loop takes them back with its next turn. Positions only rise; a byte's place is its distance from `base` modulo
 * the ring's size. When all is written the ring begins anew: the same few warm pages serve again.
 * Private to src/sink.
 */
#ifndef CRIER_SINK_RING_H
#define CRIER_SINK_RING_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "crier/sink.h"
#include "target.h"

#define CRIER_SINK_MS	      1000000ULL /* ns */
#define CRIER_SINK_S	      1000000000ULL
#define CRIER_SINK_BLOCKED_NS (1 * CRIER_SINK_S) /* a write that waits longer is told */

struct crier_sink {
	struct crier_target target; /* who may write may use it */
	char *ring;
	size_t size, write_bytes;
	uint64_t linger_ns;
	pthread_t thread;
	bool started;	/* the thread was made */
	bool abandoned; /* it hangs in a write that no signal ends: it keeps this struct */
	int event_fd, timer_fd, poll_fd;

	/* the main loop's alone */
	uint64_t staged;	/* filled up to; published up to `published` */
	uint64_t published;	/* = head */
	uint64_t room_end;	/* as far as it may fill, by the tail last seen */
	bool staged_urgent;	/* among what is not published yet */
	uint64_t touched_end;	/* distance from base of the farthest byte since the last trim */
	const char *placed;	/* what crier_sink_place gave last; NULL = nothing, or it is staged */
	uint64_t lingers_until; /* when what it keeps back is due, UINT64_MAX = it keeps nothing back */

	uint64_t base; /* changed by the main loop under the lock, and only while nothing waits */
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the thread */
	pthread_cond_t done; /* for close */
	uint64_t head, tail; /* filled up to; written up to */
	uint64_t urgent_end; /* lines below this do not linger */
	uint64_t due_ns;     /* when the next batch may leave, full or not */
	bool direct;	     /* the target says of a write whether it would wait: the main loop may try */
	bool handed_over;    /* what is between tail and head is the thread's; always where not direct */
	bool busy;	     /* the thread writes, or tries to */
	bool idle;	     /* the thread sleeps until it is told, not until a batch is due */
	uint64_t write_ns;   /* start of the attempt that is under way, 0 = none */
	uint64_t rings_ns;   /* what timer_fd was set to last */
	enum crier_sink_state state;
	int error;	  /* errno behind state */
	bool room_wanted; /* a put was refused */
	bool closing, aborting, finished;
};

static inline uint64_t crier_sink_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * CRIER_SINK_S + (uint64_t)ts.tv_nsec;
}

static inline size_t crier_sink_offset(const struct crier_sink *sink, uint64_t position)
{
	return (size_t)((position - sink->base) % sink->size);
}

/* ---- src/sink/writer.c; the lock is held but for start ---- */

/** Start the thread. @return 0 or -errno */
int crier_writer_start(struct crier_sink *sink) crier_must_check;
/**
 * The main loop writes what is due, and never waits for a reader.
 * @param hand_over  what the target does not take now is the thread's; else it stays, and is tried again
 */
void crier_writer_try(struct crier_sink *sink, bool hand_over);
/** End a write that hangs, and the thread with it; it may not succeed, see `finished`. Waits 300 ms at most. */
void crier_writer_abort(struct crier_sink *sink);
/** Wait for `cond` until `deadline`. @return false when it is over */
bool crier_writer_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline);
/** The main loop sleeps on a timer that rings while a write hangs: set it, unless it rings earlier. */
void crier_writer_ring_when_blocked(struct crier_sink *sink, uint64_t now);

#endif
