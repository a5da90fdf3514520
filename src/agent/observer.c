/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel programs, and the fallback for what they do not serve. */
#include "crier/observer.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "crier/base/log.h"

#define CGROUP_EVENTS                                                                                        \
	(1u << CRIER_PROBE_CGROUP_MKDIR | 1u << CRIER_PROBE_CGROUP_RMDIR | 1u << CRIER_PROBE_CGROUP_POPULATED)

static const char *const losses[CRIER_PROBE_EVENT_COUNT] = {
	[CRIER_PROBE_CGROUP_MKDIR] = "new containers are found late, by the runtime's list",
	[CRIER_PROBE_CGROUP_RMDIR] = "removed containers are found late",
	[CRIER_PROBE_CGROUP_POPULATED] = "the end of a container may be told late",
	[CRIER_PROBE_EXEC] = "no process.exec; container.started is the runtime's word",
	[CRIER_PROBE_FORK] = "no process.fork",
	[CRIER_PROBE_EXIT] =
		"no process.exit; exit codes are the runtime's word, and the cause unknown but for an OOM kill",
	[CRIER_PROBE_SIGNAL] = "no process.signal; a stop is not told from a kill",
	[CRIER_PROBE_OOM] = "no OOM kill is seen",
	[CRIER_PROBE_OOM_CONTROL] = "the limit that was hit is found by OOM counts instead",
	[CRIER_PROBE_OOM_VICTIM] =
		"this kernel tells an OOM victim's pid only: further victims of one kill have no more",
	[CRIER_PROBE_PRESSURE] = "memory pressure is found by looking every --throttle-interval",
};

const char *crier_observer_loss(unsigned event)
{
	return event < CRIER_PROBE_EVENT_COUNT ? losses[event] : NULL;
}

/* "object: cause; remedy" apart. */
static void remember_why(struct crier_observer *observer, const char *message)
{
	const char *remedy = strstr(message, "; ");
	size_t len = remedy ? (size_t)(remedy - message) : strlen(message);

	snprintf(observer->why, sizeof(observer->why), "%.*s", (int)crier_min(len, sizeof(observer->why) - 1),
		 message);
	snprintf(observer->remedy, sizeof(observer->remedy), "%s",
		 remedy ? remedy + 2 : "see `crier check` for each hook's reason");
}

/* By its version: nothing else tells. On one that does not, second programs cost time and nothing else. */
static bool preempts_programs(void)
{
	struct utsname names;

	return uname(&names) == 0 && strtoul(names.release, NULL, 10) >= 7;
}

static int open_probe(struct crier_observer *observer, const struct crier_wire_control *control,
		      struct crier_err *err)
{
	const struct crier_config *config = observer->config;
	struct crier_probe_options options = {
		.btf_path = config->btf && config->btf[0] ? config->btf : NULL,
		.bulk_bytes = (uint32_t)config->ring_bulk_bytes,
		.critical_bytes = (uint32_t)config->ring_critical_bytes,
		.class_entries = (uint32_t)config->max_cgroups,
		.primary_hierarchy_id = observer->layout->primary_hierarchy_id,
		.primary_is_v2 = observer->layout->primary_is_v2,
		.wanted_events = observer->wanted,
		.preempts_programs = preempts_programs(),
		.control = *control,
	};

	memcpy(options.forced_kinds, observer->forced_kinds, sizeof(options.forced_kinds));
	return crier_probe_open(&options, &observer->probe, err);
}

int crier_observer_open(struct crier_observer *observer, const struct crier_config *config,
			const struct crier_cgroup_layout *layout, const struct crier_wire_control *control,
			struct crier_err *err)
{
	int r = 0;

	*observer = (struct crier_observer){
		.config = config, .layout = layout, .wanted = crier_profile_probes(config->profile)};
	for (size_t i = 0; r == 0 && i < config->hooks.count; i++)
		r = crier_probe_parse_hook(config->hooks.items[i], observer->forced_kinds, err);
	if (r < 0)
		return r;
	if (config->ebpf == CRIER_EBPF_OFF) {
		remember_why(observer, "--ebpf off; take it back for the rest");
	} else {
		struct crier_err cause = {0};

		r = open_probe(observer, control, &cause);
		if (r == -EINVAL || r == -EBADMSG || (r < 0 && config->ebpf == CRIER_EBPF_REQUIRED)) {
			*err = cause;
			return r;
		}
		if (r < 0)
			remember_why(observer, cause.message);
	}
	if (!observer->probe)
		crier_probe_report_none(observer->wanted, observer->why, observer->reports);
	return 0;
}

void crier_observer_done(struct crier_observer *observer)
{
	crier_fallback_free(observer->fallback);
	crier_probe_free(observer->probe);
	observer->fallback = NULL;
	observer->probe = NULL;
}

/* Events of `among` that are wanted, that no kernel program serves, and that are not kept to one by --hook. */
static uint32_t left_over(const struct crier_observer *observer, uint32_t among)
{
	const struct crier_event_report *reports =
		observer->probe ? crier_probe_report(observer->probe) : observer->reports;
	uint32_t left = 0;

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		uint8_t forced = observer->forced_kinds[event];

		if ((among & (1u << event)) && (observer->wanted & (1u << event)) && !reports[event].served &&
		    (!forced || (forced & (1u << CRIER_HOOK_KIND_USER))))
			left |= 1u << event;
	}
	return left & CRIER_FALLBACK_EVENTS;
}

static int open_fallback(struct crier_observer *observer, uint32_t events, struct crier_err *err)
{
	const char *root = strcmp(observer->config->host_root, "/") == 0 ? "" : observer->config->host_root;
	char kmsg[PATH_MAX];
	struct crier_fallback_options options = {
		.layout = observer->layout,
		.host_root = observer->config->host_root,
		.kmsg_path = kmsg,
		.wanted = events,
		.max_cgroups = (uint32_t)observer->config->max_cgroups,
		.leave_starts = observer->probe != NULL,
	};

	if (observer->fallback) {
		crier_fallback_want(observer->fallback, events);
		return 0;
	}
	snprintf(kmsg, sizeof(kmsg), "%s/dev/kmsg", root);
	if (*root && access(kmsg, F_OK) < 0)
		snprintf(kmsg, sizeof(kmsg), "/dev/kmsg");
	return crier_fallback_open(&options, &observer->fallback, err);
}

static bool serves_anything(const struct crier_probe *probe)
{
	const struct crier_event_report *reports = crier_probe_report(probe);

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		if (reports[event].served)
			return true;
	return false;
}

/* All hooks were refused: what the probe said of each is kept, its maps are not. */
static void give_up_probe(struct crier_observer *observer, const char *message)
{
	memcpy(observer->reports, crier_probe_report(observer->probe), sizeof(observer->reports));
	remember_why(observer, message);
	crier_probe_free(observer->probe);
	observer->probe = NULL;
	if (observer->fallback)
		crier_fallback_tell_starts(observer->fallback);
}

static int attach(struct crier_observer *observer, bool is_cgroup, struct crier_err *err)
{
	uint32_t events = is_cgroup ? CGROUP_EVENTS : ~CGROUP_EVENTS, left;
	struct crier_err cause = {0};
	int r = 0;

	if (observer->probe)
		r = is_cgroup ? crier_probe_attach_cgroup(observer->probe, &cause)
			      : crier_probe_attach_rest(observer->probe, &cause);
	if (r < 0 && observer->config->ebpf == CRIER_EBPF_REQUIRED) {
		*err = cause;
		return r;
	}
	if (r < 0 && !is_cgroup && !serves_anything(observer->probe))
		give_up_probe(observer, cause.message);
	left = left_over(observer, events);
	if (!left)
		return 0;
	r = open_fallback(observer, left, &cause);
	if (r < 0 && observer->probe) {
		crier_warn("%s", cause.message); /* the kernel programs still serve what they do */
		return 0;
	}
	if (r < 0)
		return crier_err_set(err, r, "%.500s; %.400s", observer->why, cause.message);
	return 0;
}

int crier_observer_attach_cgroup(struct crier_observer *observer, struct crier_err *err)
{
	return attach(observer, true, err);
}

int crier_observer_attach_rest(struct crier_observer *observer, struct crier_err *err)
{
	return attach(observer, false, err);
}

void crier_observer_detach(struct crier_observer *observer)
{
	if (observer->probe)
		crier_probe_detach(observer->probe);
}

size_t crier_observer_fds(const struct crier_observer *observer, int ret_fds[CRIER_OBSERVER_FDS])
{
	size_t count = 0;

	if (observer->probe) {
		ret_fds[count++] = crier_probe_ring_fd(observer->probe, CRIER_CLASS_BULK);
		ret_fds[count++] = crier_probe_ring_fd(observer->probe, CRIER_CLASS_CRITICAL);
	}
	if (observer->fallback)
		ret_fds[count++] = crier_fallback_fd(observer->fallback);
	return count;
}

uint64_t crier_observer_deadline(const struct crier_observer *observer)
{
	return observer->fallback ? crier_fallback_deadline(observer->fallback) : UINT64_MAX;
}

void crier_observer_rest_bulk(struct crier_observer *observer, bool rest)
{
	if (observer->probe)
		crier_probe_rest_bulk(observer->probe, rest);
}

struct taker {
	crier_probe_batch_fn fn;
	void *ctx;
};

/* The fallback has few records, and tells them one by one. */
static void take_one(void *ctx, const void *bytes, size_t len)
{
	const struct taker *taker = ctx;

	taker->fn(taker->ctx, &(struct crier_slice){bytes, len}, 1);
}

size_t crier_observer_drain(struct crier_observer *observer, uint64_t now_ns, size_t max_records,
			    crier_probe_batch_fn fn, void *ctx)
{
	size_t count = observer->probe ? crier_probe_drain(observer->probe, max_records, fn, ctx) : 0;

	if (observer->fallback)
		count += crier_fallback_drain(observer->fallback, now_ns, max_records, take_one,
					      &(struct taker){fn, ctx});
	return count;
}

bool crier_observer_arm(struct crier_observer *observer, enum crier_wire_armed how)
{
	return !observer->probe || crier_probe_arm(observer->probe, how);
}

const struct crier_wire_control *crier_observer_control(const struct crier_observer *observer)
{
	return observer->probe ? crier_probe_control(observer->probe) : NULL;
}

void crier_observer_set_control(struct crier_observer *observer, const struct crier_wire_control *control)
{
	if (observer->probe)
		crier_probe_set_control(observer->probe, control);
}

const struct crier_event_report *crier_observer_report(struct crier_observer *observer)
{
	if (observer->probe) {
		memcpy(observer->reports, crier_probe_report(observer->probe), sizeof(observer->reports));
	} else { /* as it was, without what the fallback said the last time */
		for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
			observer->reports[event].served = false;
			observer->reports[event].hook_count = crier_probe_hook_count(event);
		}
	}
	if (observer->fallback)
		crier_fallback_report(observer->fallback, observer->reports);
	return observer->reports;
}

int crier_observer_counters(const struct crier_observer *observer, struct crier_wire_counters *ret_sum)
{
	struct crier_wire_counters sum = {0};
	int r = observer->probe ? crier_probe_counters(observer->probe, &sum) : 0;

	if (r < 0)
		return r;
	if (observer->fallback)
		crier_fallback_counters(observer->fallback, &sum);
	*ret_sum = sum;
	return 0;
}
