/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded waiting: events of a container whose metadata is on its way wait in that container's own queue, in order;
 * nobody else waits. Stores copies of raw items. Pure: time is an argument. Owned by the pipeline.
 */
#ifndef CRIER_HOLD_H
#define CRIER_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"

struct crier_hold;

struct crier_hold_limits {
	uint32_t events_per_key; /* 1,024 */
	size_t bytes_per_key;	 /* memory of one queue, as its chunks take it; 1 MiB */
	uint32_t events;	 /* all queues together; 16,384 */
	size_t bytes;		 /* memory of all queues together; 8 MiB */
};

/** @param limits  copied. @return 0 or -ENOMEM; the caller owns the result */
int crier_hold_new(const struct crier_hold_limits *limits, struct crier_hold **ret_hold) crier_must_check;
/** Forget what waits and give all memory back. Accepts NULL. */
void crier_hold_free(struct crier_hold *hold);

/**
 * Append a copy to the key's queue (key: any non-zero number, e.g. a cgroup id).
 * @return 0; -ENOSPC: a bound is reached (caller lets the queue go as it is, then this event after it), -ENOMEM, -EINVAL:
 *         key 0. Copies are 8-byte aligned. No allocation while the pool lasts.
 */
int crier_hold_push(struct crier_hold *hold, uint64_t key, uint64_t now_ns, const void *bytes,
		    size_t len) crier_must_check;

/** True if something of this key waits: then later events must queue behind it. ~5 ns. */
bool crier_hold_has(const struct crier_hold *hold, uint64_t key);

/**
 * Hand over the key's items, oldest first, with the time each was pushed, and forget them. What `fn` pushes to the same key
 * begins a new queue. @return items handed over
 */
typedef void (*crier_hold_fn)(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len);
size_t crier_hold_release(struct crier_hold *hold, uint64_t key, crier_hold_fn fn, void *ctx);

/** Key whose first item waits longest, and since when. @return false if nothing waits */
bool crier_hold_oldest(const struct crier_hold *hold, uint64_t *ret_key, uint64_t *ret_since_ns);

struct crier_hold_counts {
	uint32_t keys, events;
	size_t bytes;
	uint64_t refused;
};
/** What waits now, and how often push was refused. O(1). */
void crier_hold_counts(const struct crier_hold *hold, struct crier_hold_counts *ret_counts);

#endif
