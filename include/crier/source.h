/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the node's files say of a container, asked in the order of their worth: the runtime's bundle, the pod's log folder,
 * the container's log link. A table of sources; each is asked only while something is unset that it can tell, and what it
 * tells is merged under its own name (attribution.source). A file whose word disagrees with the cgroup path or with a better
 * source is refused, and so is one where two would fit: a wrong name is worse than none. Pure but for the look-ups.
 */
#ifndef CRIER_SOURCE_H
#define CRIER_SOURCE_H

#include "crier/config.h"
#include "crier/event_data.h"
#include "crier/host.h"
#include "crier/index.h"

/* The state of the sources; all zero but the first four to begin with. */
struct crier_sources {
	const struct crier_host *host; /* file, link and find alone are called */
	const struct crier_config *config;
	struct crier_index *index;
	char *buf; /* for one answer */
	size_t cap;

	uint64_t refused[CRIER_REFUSAL_COUNT]; /* what is not there is not refused */
	uint64_t scans_ns;		       /* the second that `scans` counts in */
	uint32_t scans;
	uint32_t last_bundle, last_pid; /* where the last one was: looked at first */
};

/* A scan reads a whole folder: some 0.5 ms of CPU for 1,000 entries on ext4. Beyond, it is put off. */
#define CRIER_SOURCE_SCANS_PER_SECOND 200

/**
 * Ask whoever can tell what is unset.
 * @param container  its pod's uid is known already where the cgroup path tells it
 * @param again      it was asked about before: a bundle that was not there does not come
 * @return true: asking again a little later may tell more (the kubelet links a log after the container's start)
 */
bool crier_source_fill(struct crier_sources *sources, struct crier_container *container, uint64_t now_ns,
		       bool again);

/** The init's pid, which the runtime writes before it lets init execute. @return whether it is told */
bool crier_source_init_pid(struct crier_sources *sources, const struct crier_container *container,
			   uint64_t *ret_pid);

#endif
