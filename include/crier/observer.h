/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How this node is observed: kernel programs where they can run, and for what they do not serve the fallback. The loop and
 * `crier check` open both through this; nothing behind it knows which of them made a record. Main loop's thread only.
 */
#ifndef CRIER_OBSERVER_H
#define CRIER_OBSERVER_H

#include "crier/cgroup.h"
#include "crier/config.h"
#include "crier/fallback.h"
#include "crier/probe.h"

struct crier_observer {
	const struct crier_config *config;
	const struct crier_cgroup_layout *layout;
	struct crier_probe *probe;	 /* NULL: no kernel programs */
	struct crier_fallback *fallback; /* NULL: nothing left for it */
	uint32_t wanted;		 /* 1 << enum crier_probe_event */
	uint8_t forced_kinds[CRIER_PROBE_EVENT_COUNT];
	struct crier_event_report reports[CRIER_PROBE_EVENT_COUNT];
	char why[512]; /* no kernel programs run: the cause; "" = they do */
	char remedy[256];
};

/**
 * Load the kernel programs, or remember why not.
 * @param config   borrowed; --ebpf off: nothing is loaded, required: what fails is an error
 * @param layout   borrowed; outlives the object
 * @param control  the kernel side's knobs
 * @return 0; -EINVAL (an option is wrong), -EBADMSG (--btf), or with --ebpf required what the probe said
 */
int crier_observer_open(struct crier_observer *observer, const struct crier_config *config,
			const struct crier_cgroup_layout *layout, const struct crier_wire_control *control,
			struct crier_err *err) crier_must_check;
void crier_observer_done(struct crier_observer *observer);

/**
 * Begin with cgroups, then with the rest. What no kernel program serves the fallback does, where it can.
 * @return 0; negative: nothing can be observed at all, or --ebpf required
 */
int crier_observer_attach_cgroup(struct crier_observer *observer, struct crier_err *err) crier_must_check;
int crier_observer_attach_rest(struct crier_observer *observer, struct crier_err *err) crier_must_check;
/** No new records; what is there can still be drained. */
void crier_observer_detach(struct crier_observer *observer);

/** Descriptors for epoll (EPOLLIN), the probe's rings first. @return number written, at most CRIER_OBSERVER_FDS */
#define CRIER_OBSERVER_FDS 3
size_t crier_observer_fds(const struct crier_observer *observer, int ret_fds[CRIER_OBSERVER_FDS]);
/** Boottime at which to drain whatever the descriptors say; UINT64_MAX = none. */
uint64_t crier_observer_deadline(const struct crier_observer *observer);
/** @return records handed over; the fallback's after the kernel's */
size_t crier_observer_drain(struct crier_observer *observer, uint64_t now_ns, size_t max_records,
			    crier_probe_batch_fn fn, void *ctx);
/** See crier_probe_rest_bulk; without kernel programs there is no bulk. */
void crier_observer_rest_bulk(struct crier_observer *observer, bool rest);
/** See crier_probe_arm. */
bool crier_observer_arm(struct crier_observer *observer, enum crier_wire_armed how);
/** The shared knobs; NULL without kernel programs. */
const struct crier_wire_control *crier_observer_control(const struct crier_observer *observer);
void crier_observer_set_control(struct crier_observer *observer, const struct crier_wire_control *control);

/** What became of each event's hooks, kernel programs first, then the fallback's; lives as long as the object. */
const struct crier_event_report *crier_observer_report(struct crier_observer *observer);
/** Kernel's and fallback's together. @return 0 or -errno */
int crier_observer_counters(const struct crier_observer *observer,
			    struct crier_wire_counters *ret_sum) crier_must_check;

/** What is lost when nothing serves an event (enum crier_probe_event); NULL for an unknown number. Static. */
const char *crier_observer_loss(unsigned event);

#endif
