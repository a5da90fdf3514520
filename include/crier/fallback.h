/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node observed without kernel programs: containers' directories, their last process and their OOM counts by inotify on
 * cgroupfs, OOM kills in full by the kernel's log. It makes the records of wire.h, as the programs would, with what such a
 * source cannot know left out. What cannot be seen this way: executions, forks, exits and signals.
 *
 * One thread, the main loop's. No polling: one descriptor to wait for, and a deadline.
 */
#ifndef CRIER_FALLBACK_H
#define CRIER_FALLBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/cgroup.h"
#include "crier/probe.h"

struct crier_fallback;

/* What this can serve: 1 << enum crier_probe_event. */
#define CRIER_FALLBACK_EVENTS CRIER_PROBE_USER_EVENTS

struct crier_fallback_options {
	const struct crier_cgroup_layout *layout; /* borrowed; outlives the object */
	const char *host_root;
	const char *kmsg_path; /* "/dev/kmsg" */
	uint32_t wanted;       /* 1 << enum crier_probe_event: records of these are made, no others */
	uint32_t max_cgroups;
	/* kernel programs tell exact start times of processes: those of /proc, at clock ticks, would make other keys of them */
	bool leave_starts;
};

/**
 * Open the sources and watch the cgroup tree as it is; what comes after is told. A source that cannot be had is no error
 * here: see crier_fallback_report. Costs some 20 us a directory, and kernel memory of about 1 KiB for each watch.
 * @return 0; -ENOTSUP: neither inotify nor the kernel's log can be had; -ENOMEM
 */
int crier_fallback_open(const struct crier_fallback_options *options, struct crier_fallback **ret_fallback,
			struct crier_err *err) crier_must_check;
/** NULL is allowed. */
void crier_fallback_free(struct crier_fallback *fallback);

/** Serve these too from now on. */
void crier_fallback_want(struct crier_fallback *fallback, uint32_t events);
/** No kernel program is left: processes' starts are told after all. */
void crier_fallback_tell_starts(struct crier_fallback *fallback);

/** Readable (EPOLLIN) when there is something to drain. Owned by the fallback. */
int crier_fallback_fd(const struct crier_fallback *fallback);
/** Boottime at which to drain even if nothing is readable; UINT64_MAX = none. */
uint64_t crier_fallback_deadline(const struct crier_fallback *fallback);

/**
 * Hand over what happened since.
 * @param now_ns       boottime: the time of these records, since neither source has a clock of its own to trust
 * @param max_records  soft bound of the turn
 * @param fn           called with each record, borrowed for the call
 * @return records handed over
 */
size_t crier_fallback_drain(struct crier_fallback *fallback, uint64_t now_ns, size_t max_records,
			    crier_probe_record_fn fn, void *ctx);

/** Append how each of the served events is seen, or why not, to a probe's report. The strings live as long as the fallback. */
void crier_fallback_report(const struct crier_fallback *fallback,
			   struct crier_event_report reports[CRIER_PROBE_EVENT_COUNT]);

/** Add to a probe's counters. */
void crier_fallback_counters(const struct crier_fallback *fallback, struct crier_wire_counters *sum);

/**
 * What has gone wrong since the start, in a sentence with its remedy; changes are counted.
 * @return how often it changed; 0: nothing is wrong and *ret_what, *ret_remedy are left alone
 */
unsigned crier_fallback_trouble(const struct crier_fallback *fallback, const char **ret_what,
				const char **ret_remedy);

/**
 * Prove the watch of the tree by an own empty cgroup, removed again.
 * @return 1 seen; 0 made and not seen; -errno: could not be tried
 */
int crier_fallback_self_test(struct crier_fallback *fallback, uint64_t now_ns, crier_probe_record_fn fn,
			     void *ctx);

/** fs.inotify's limits of this user: 0 = not readable. For `crier check`. */
struct crier_inotify_limits {
	uint64_t watches, instances, queued;
};
void crier_fallback_inotify_limits(struct crier_inotify_limits *ret_limits);

/** The kernel's log can be read. @return 0 or -errno (EPERM: CAP_SYSLOG or the device cgroup, ENOENT: no device) */
int crier_fallback_kmsg_open(const char *path) crier_must_check;

#endif
