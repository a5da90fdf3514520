/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory pressure and CPU throttling as state machines over samples. Pure: the caller reads the files and gives numbers.
 *
 * The figure told is the working set (usage minus inactive file pages) against the limit, the one kubelet evicts by. But a
 * file read again and again is active page cache: it fills the working set and still costs nothing to drop. So what is
 * judged is what cannot be dropped (usage minus all file pages); the working set counts only where tasks really stall and
 * at least half of the limit cannot be dropped. Page cache alone never alarms.
 */
#ifndef CRIER_PRESSURE_H
#define CRIER_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/event_data.h"

#define CRIER_PRESSURE_RESAMPLE_NS (5ULL * 1000000000) /* while under pressure */
#define CRIER_PRESSURE_HINT_NS	   (500ULL * 1000000)  /* at most one sample per container in this time */
#define CRIER_PRESSURE_STALL_SHARE 0.05		       /* of the time since the last sample: stalled */
#define CRIER_PRESSURE_HELD_SHARE  0.5 /* of the limit: below it even stalls are the page cache's */

struct crier_pressure_limits {
	double enter, exit, critical; /* ratios of the limit; exit < enter <= critical */
	uint64_t interval_ns;	      /* `ongoing` at most this often */
};

/* One look at a cgroup. CRIER_UNKNOWN_U64 where a file is not there. */
struct crier_pressure_sample {
	uint64_t now_ns;
	uint64_t usage_bytes, working_set_bytes, limit_bytes;
	uint64_t held_bytes;	 /* usage minus active and inactive file pages: what reclaim cannot drop */
	uint64_t stall_total_us; /* PSI some total */
	uint64_t limit_hits;	 /* memory.events max (v1: failcnt), total */
	bool stall_from_birth,
		hits_from_birth; /* that total began at 0 with the container: all of it is its own */
};

struct crier_pressure {
	uint8_t level; /* enum crier_pressure_level; NONE = not under pressure */
	uint64_t entered_ns, told_ns, sampled_ns;
	uint64_t stall_total_us, limit_hits; /* of the last sample; UNKNOWN before the first */
	uint64_t stall_since_us, hits_since; /* since the last told line */
	bool started;
};

struct crier_pressure_verdict {
	uint8_t phase; /* enum crier_pressure_phase; NONE: nothing to tell */
	uint8_t level;
	double ratio;
	uint64_t stall_ms, limit_hits, duration_ms; /* stall and hits UNKNOWN where they cannot be known */
};

/** @return what to tell, if anything: enter, a rise to critical or ongoing (at most every interval), exit. */
struct crier_pressure_verdict crier_pressure_step(struct crier_pressure *state,
						  const struct crier_pressure_limits *limits,
						  const struct crier_pressure_sample *sample);

struct crier_throttle {
	uint64_t at_ns, periods, throttled, throttled_us;
	bool started;
};

/** @return true when the share of throttled periods since the last look is at or above `ratio`; ret_data is filled then. */
bool crier_throttle_step(struct crier_throttle *state, double ratio, uint64_t now_ns, uint64_t periods,
			 uint64_t throttled, uint64_t throttled_us, struct crier_data_throttle *ret_data);

struct crier_node_pressure {
	uint8_t level;
	uint64_t entered_ns, told_ns;
	uint64_t stall_total_us, sampled_ns;
	bool started;
};

/** Node: `enter` is the share of available memory below which it is under pressure; it ends a fifth above that. */
struct crier_pressure_verdict crier_node_pressure_step(struct crier_node_pressure *state, double enter,
						       uint64_t interval_ns, uint64_t now_ns,
						       uint64_t total_bytes, uint64_t available_bytes,
						       uint64_t stall_total_us);

#endif
