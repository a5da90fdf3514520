/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel side seen from user space: choose hooks, load, attach, consume the rings, count.
 * The only user of libbpf. Not thread-safe: everything is called from the main loop's thread.
 */
#ifndef CRIER_PROBE_H
#define CRIER_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/base/str.h"
#include "crier/wire.h"

struct crier_probe;

/* What is observed; each has a list of hooks, best first (src/probe/hooks.c). */
enum crier_probe_event {
	CRIER_PROBE_CGROUP_MKDIR,
	CRIER_PROBE_CGROUP_RMDIR,
	CRIER_PROBE_CGROUP_POPULATED,
	CRIER_PROBE_EXEC,
	CRIER_PROBE_FORK,
	CRIER_PROBE_EXIT,
	CRIER_PROBE_SIGNAL,
	CRIER_PROBE_OOM,	 /* the victim: makes the record */
	CRIER_PROBE_OOM_CONTROL, /* context of the kill: limit owner, constraint; optional */
	CRIER_PROBE_OOM_VICTIM, /* the task behind the pid, on kernels whose mark_victim tells a pid; optional */
	CRIER_PROBE_PRESSURE,
	CRIER_PROBE_EVENT_COUNT,
};

enum crier_hook_kind {
	CRIER_HOOK_KIND_TP_BTF,
	CRIER_HOOK_KIND_FENTRY,
	CRIER_HOOK_KIND_KPROBE,
	CRIER_HOOK_KIND_RAW_TP,
	CRIER_HOOK_KIND_TRACEPOINT,
	CRIER_HOOK_KIND_USER, /* no kernel program: inotify and the kernel's log, see fallback.h */
	CRIER_HOOK_KIND_COUNT,
};

struct crier_probe_options {
	const char *btf_path; /* NULL: the kernel's own /sys/kernel/btf/vmlinux */
	uint32_t bulk_bytes;  /* power of two, multiple of the page size */
	uint32_t critical_bytes;
	uint32_t class_entries;	       /* capacity of the class map */
	uint32_t primary_hierarchy_id; /* cgroup_root.hierarchy_id; 0 = the v2 hierarchy */
	bool primary_is_v2;
	uint32_t wanted_events;		   /* 1 << enum crier_probe_event: load only these */
	struct crier_wire_control control; /* first values of the shared knobs */
	bool preempts_programs; /* the kernel may preempt a program at a tracepoint, and turn the next one away: 7.0+ */
	/* 1 << enum crier_hook_kind a hook list is cut down to, 0 = all; index by event (--hook) */
	uint8_t forced_kinds[CRIER_PROBE_EVENT_COUNT];
};

/* One hook of an event's list and what became of it. */
struct crier_hook_report {
	const char *name; /* "tp_btf:mark_victim"; static */
	bool chosen;	  /* loaded and attached */
	char reason[160]; /* why not, "" when chosen or not tried (a better one served) */
};

#define CRIER_PROBE_HOOKS_MAX 6

/* What can be seen without a kernel program: 1 << enum crier_probe_event. */
#define CRIER_PROBE_USER_EVENTS                                                                              \
	(1u << CRIER_PROBE_CGROUP_MKDIR | 1u << CRIER_PROBE_CGROUP_RMDIR |                                   \
	 1u << CRIER_PROBE_CGROUP_POPULATED | 1u << CRIER_PROBE_OOM | 1u << CRIER_PROBE_PRESSURE)

struct crier_event_report {
	const char *event; /* "oom"; static */
	bool wanted;
	bool served; /* one of its hooks is attached */
	size_t hook_count;
	struct crier_hook_report hooks[CRIER_PROBE_HOOKS_MAX];
};

/**
 * Choose hooks by the running kernel's BTF and load ONE object. When load is refused, the refused program
 * is switched off (its reason kept) and the load tried again with the next hook of its list.
 * @param err  names the program, the kernel's words and the remedy
 * @return 0; -EPERM (which capability is missing), -ENOTSUP (no BTF and none given), -EBADMSG (btf_path is no BTF), -errno
 */
int crier_probe_open(const struct crier_probe_options *options, struct crier_probe **ret_probe,
		     struct crier_err *err) crier_must_check;

/**
 * Attach the cgroup programs (first) or all the rest (second). A hook that fails to attach is replaced by
 * the next of its list (which may need a reload: then records already in the rings stay). An event left
 * without a hook is not an error here: see crier_probe_report().
 */
int crier_probe_attach_cgroup(struct crier_probe *probe, struct crier_err *err) crier_must_check;
int crier_probe_attach_rest(struct crier_probe *probe, struct crier_err *err) crier_must_check;

/** Stop all programs; the rings can still be drained. */
void crier_probe_detach(struct crier_probe *probe);

/** NULL is allowed. */
void crier_probe_free(struct crier_probe *probe);

/** @return borrowed table of CRIER_PROBE_EVENT_COUNT reports; lives as long as the probe. */
const struct crier_event_report *crier_probe_report(const struct crier_probe *probe);

/** The report where no kernel program is to be loaded: each hook refused for the same reason. */
void crier_probe_report_none(uint32_t wanted_events, const char *reason,
			     struct crier_event_report ret_reports[CRIER_PROBE_EVENT_COUNT]);
/** Hooks of an event's list; 0 for an unknown number. */
size_t crier_probe_hook_count(unsigned event);

/** Name as probe.hook prints it, e.g. "tp_btf:sched_process_exec"; NULL for an unknown number. Static. */
const char *crier_probe_hook_name(unsigned hook);
/** "oom", "exec", ... NULL for an unknown number. Static. */
const char *crier_probe_event_name(unsigned event);
/** Parse "oom=kprobe"; used by --hook. @return 0, -EINVAL */
int crier_probe_parse_hook(const char *text, uint8_t forced_kinds[CRIER_PROBE_EVENT_COUNT],
			   struct crier_err *err);

/** Ring descriptors for epoll (EPOLLIN). Owned by the probe. */
int crier_probe_ring_fd(const struct crier_probe *probe, enum crier_wire_class ring);

/**
 * One record. `bytes` borrowed, 8-byte aligned, dies when the callback returns. Nothing in it was checked
 * but that it lies inside the ring.
 */
typedef void (*crier_probe_record_fn)(void *ctx, const void *bytes, size_t len);

/** Some records, at most CRIER_PROBE_BATCH, in order; each as above. */
typedef void (*crier_probe_batch_fn)(void *ctx, const struct crier_slice *records, size_t count);
#define CRIER_PROBE_BATCH 64

/**
 * One turn: take both producer positions, hand over every record up to there, the two rings merged by
 * time; the space of a batch is free when `fn` returns. At most `max_records`. @return records handed over.
 */
size_t crier_probe_drain(struct crier_probe *probe, size_t max_records, crier_probe_batch_fn fn, void *ctx);

/** While bulk rests, crier_probe_drain leaves its ring alone, and no bulk record wakes. Critical ones are read as ever. */
void crier_probe_rest_bulk(struct crier_probe *probe, bool rest);

/**
 * Before sleeping: say what is to wake, then look at the rings once more.
 * @param how  CRIER_ARMED_ANY: the first record; CRIER_ARMED_FILLING: a bulk ring that is a quarter full, the caller
 *             has a timer for what is less
 * @return true: sleep on the descriptors; false: what would have woken is there (disarmed again), drain.
 */
bool crier_probe_arm(struct crier_probe *probe, enum crier_wire_armed how);

/** The shared knobs as they are. Main loop only. */
const struct crier_wire_control *crier_probe_control(const struct crier_probe *probe);

/** Turn the knobs, all but `armed`, which it clears: whoever calls is awake. In force from the next event on. */
void crier_probe_set_control(struct crier_probe *probe, const struct crier_wire_control *control);

/**
 * Class filter. Half a millisecond at most, when the kernel has no memory at hand.
 * @return 0; -E2BIG: the map is full; -ENOMEM: the kernel is short of memory. The cgroup is undetermined then and passes.
 */
int crier_probe_classify(struct crier_probe *probe, uint64_t cgroup_id,
			 enum crier_wire_cgroup_class cgroup_class);
int crier_probe_forget(struct crier_probe *probe, uint64_t cgroup_id);
/** Container inits by tgid: their exits and stop signals are critical. */
int crier_probe_init_add(struct crier_probe *probe, uint32_t pid, uint64_t start_ns);
int crier_probe_init_remove(struct crier_probe *probe, uint32_t pid, uint64_t start_ns);

/** Sum over CPUs. @return 0 or -errno */
int crier_probe_counters(struct crier_probe *probe, struct crier_wire_counters *ret_sum) crier_must_check;

/** Programs that missed runs by recursion (bpf_prog_info.recursion_misses), summed; 0 where not told. */
uint64_t crier_probe_recursion_misses(struct crier_probe *probe);

struct crier_probe_blame {
	uint64_t cgroup_id;
	uint64_t suppressed[CRIER_CLASS_COUNT]; /* rise since the last call */
	uint64_t failed[CRIER_CLASS_COUNT];
};
/**
 * Which cgroups lost records since the last call, most first. Walks the budget map: ask only when a counter rose.
 * @return number written, at most `max`
 */
size_t crier_probe_blame(struct crier_probe *probe, struct crier_probe_blame *ret, size_t max);

/**
 * Every process now alive, by iter/task: exact start times, cgroup ids, namespaces. Also seeds the kernel's
 * memory of each memory cgroup's OOM count.
 * @return 0; -ENOTSUP when the iterator could not be loaded (the caller scans /proc instead), -errno
 */
typedef void (*crier_probe_seed_fn)(void *ctx, const struct crier_wire_seed *seed);
int crier_probe_seed(struct crier_probe *probe, crier_probe_seed_fn fn, void *ctx) crier_must_check;

/* Result of the self test: which programs were seen to fire for an own child. */
struct crier_probe_proof {
	bool tried;
	bool fired;
};

/* Event records that the test kept for itself, by class: generated, but of no interest to anybody else. */
struct crier_probe_kept {
	uint64_t count[CRIER_CLASS_COUNT];
};
/**
 * Prove exec, fork, exit, signal and cgroup mkdir/rmdir by an own child and an own empty cgroup below
 * `cgroup_dir` (removed again; NULL: skip mkdir). Never provokes an OOM. Consumes the rings up to its own records;
 * `fn` gets every record that is not the test's own. Takes about 10 ms, 1 s at most.
 */
int crier_probe_self_test(struct crier_probe *probe, const char *cgroup_dir, crier_probe_record_fn fn,
			  void *ctx, struct crier_probe_proof ret_proof[CRIER_PROBE_EVENT_COUNT],
			  struct crier_probe_kept *ret_kept);

/**
 * Put the next hook of its list in the place of each that the proof shows silent; a silent one that has none behind it stays.
 * Costs a load each (30 ms and more). Prove again afterwards.
 * @return number of hooks replaced; their reasons are in the report
 */
unsigned crier_probe_replace_silent(struct crier_probe *probe,
				    const struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT]);

#endif
