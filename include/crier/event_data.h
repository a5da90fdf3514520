/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event tells beyond what all tell: one struct per type's data, never a union of all, and the words in them, whose
 * names are in src/names.c. Borrowed, described and cleared as event.h says.
 */
#ifndef CRIER_EVENT_DATA_H
#define CRIER_EVENT_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/event.h"

struct crier_previous_death {
	struct crier_slice container_id;
	uint8_t cause; /* enum crier_exit_cause */
	int64_t exit_code;
	uint64_t incident;  /* of this instance; UNKNOWN when it is not known here */
	uint64_t exited_at; /* unix ns */
};

struct crier_data_created {
	struct crier_slice cgroup_path;
};

struct crier_data_started {
	struct crier_slice filename; /* what init executed */
	uint64_t start_delay_ms;     /* from created to started */
	uint64_t restarts_1h;
	struct crier_previous_death previous;
};

enum crier_exit_cause {
	CRIER_EXIT_CAUSE_NONE = 0,
	CRIER_EXIT_CAUSE_OOM,
	CRIER_EXIT_CAUSE_SIGNAL,
	CRIER_EXIT_CAUSE_EXIT,
	CRIER_EXIT_CAUSE_START_FAILED,
	CRIER_EXIT_CAUSE_UNKNOWN,
	CRIER_EXIT_CAUSE_COUNT,
};

enum crier_observed {
	CRIER_OBSERVED_UNSET = 0, /* live: absent in the line */
	CRIER_OBSERVED_LIVE,
	CRIER_OBSERVED_AFTER_THE_FACT, /* told by the runtime after crier was away */
	CRIER_OBSERVED_COUNT,
};

struct crier_stop {
	uint64_t signal; /* the first stop signal, a number */
	const char *signal_name;
	const char *result; /* "delivered" (a handler ran, or none is set) or "ignored" */
	struct crier_slice sender_comm;
	uint64_t sender_pid;
	uint64_t escalated_to;
	const char *escalated_name;
	uint64_t after_ms; /* from the first signal to the escalation, or to the exit */
	uint64_t grace_period_s;
};

struct crier_runtime_exit {
	struct crier_slice reason, message;
	int64_t exit_code;
	uint64_t finished_at;
};

struct crier_timeline_item {
	uint64_t seq; /* UNKNOWN when filtered */
	uint8_t type; /* enum crier_type */
	uint64_t ts;  /* unix ns */
};
#define CRIER_TIMELINE_MAX 8

struct crier_data_exited {
	uint8_t cause;
	int64_t exit_code; /* as a shell tells it: 128 + signal for a signalled death */
	uint64_t signal;
	const char *signal_name;
	uint8_t core_dumped;
	uint8_t observed;
	uint64_t uptime_ms;
	uint64_t restart_count;
	struct crier_stop stop;
	struct crier_runtime_exit runtime;
	const struct crier_timeline_item *timeline;
	size_t timeline_count;
};

enum crier_removed_basis {
	CRIER_REMOVED_NONE = 0,
	CRIER_REMOVED_RUNTIME, /* no longer in the runtime's list, or NOT_FOUND */
	CRIER_REMOVED_CGROUP,  /* no runtime to ask: its cgroup is gone */
	CRIER_REMOVED_COUNT,
};

struct crier_data_removed {
	uint8_t basis;
};

struct crier_data_resolved {
	uint64_t cgroup_id;
	struct crier_slice container_id;
	uint64_t from_seq, to_seq, count;
};

struct crier_data_snapshot {
	uint8_t state; /* enum crier_meta_state */
	uint64_t memory_usage_bytes;
	uint64_t working_set_bytes;
	uint64_t process_count;
	uint64_t uptime_ms;
};

enum crier_oom_scope {
	CRIER_OOM_SCOPE_NONE = 0,
	CRIER_OOM_SCOPE_MEMCG,
	CRIER_OOM_SCOPE_GLOBAL,
	CRIER_OOM_SCOPE_CPUSET,
	CRIER_OOM_SCOPE_COUNT,
};

enum crier_limit_level {
	CRIER_LEVEL_NONE = 0,
	CRIER_LEVEL_CONTAINER, /* the container's own cgroup or one inside it */
	CRIER_LEVEL_POD,
	CRIER_LEVEL_QOS,
	CRIER_LEVEL_KUBEPODS, /* all pods together: node allocatable */
	CRIER_LEVEL_NODE,
	CRIER_LEVEL_OTHER, /* a cgroup outside kubepods */
	CRIER_LEVEL_COUNT,
};

enum crier_found_by {
	CRIER_FOUND_NONE = 0,
	CRIER_FOUND_OOM_CONTROL,
	CRIER_FOUND_OOM_COUNT,	    /* memory_events_local[MEMCG_OOM] rose there */
	CRIER_FOUND_USAGE_AT_LIMIT, /* usage stood at the limit there, no better evidence */
	CRIER_FOUND_SAME_KILL,	    /* an earlier victim of the same kill told it */
	CRIER_FOUND_KERNEL_LOG,	    /* the kernel's log names it */
	CRIER_FOUND_COUNT,
};

struct crier_memory_breakdown {
	uint64_t anon_bytes, file_bytes, shmem_bytes, kernel_bytes, slab_bytes, sock_bytes;
	const char *sampled; /* "before" or "after" the kill */
};

struct crier_data_oom {
	uint8_t scope;
	struct {
		uint64_t anon_rss_bytes, file_rss_bytes, shmem_rss_bytes, swap_bytes, pgtables_bytes,
			total_vm_bytes;
		uint64_t rss_bytes; /* max(sum of counters, high-water mark) */
		int64_t oom_score_adj;
	} victim;
	uint64_t victim_index; /* 1, 2, … within one incident */
	uint64_t kills; /* that the line stands for, when they were counted and their victims not seen */
	uint8_t group_kill;
	struct {
		uint8_t level, found_by;
		struct crier_cgroup_ref cgroup;
		uint64_t bytes, usage_bytes, peak_bytes, swap_bytes;
	} limit;
	struct crier_memory_breakdown memory;
	uint64_t oom_kill_count; /* of the limit's cgroup, as memory.events counts it */
};

enum crier_pressure_phase {
	CRIER_PHASE_NONE = 0,
	CRIER_PHASE_ENTER,
	CRIER_PHASE_ONGOING,
	CRIER_PHASE_EXIT,
	CRIER_PHASE_COUNT,
};

enum crier_pressure_level {
	CRIER_PRESSURE_NONE = 0,
	CRIER_PRESSURE_HIGH,
	CRIER_PRESSURE_CRITICAL,
	CRIER_PRESSURE_COUNT,
};

struct crier_data_pressure {
	uint8_t phase, level;
	double ratio; /* working set / limit */
	uint64_t working_set_bytes, usage_bytes;
	struct {
		uint8_t level; /* enum crier_limit_level */
		struct crier_cgroup_ref cgroup;
		uint64_t bytes;
	} limit;
	uint64_t stall_ms;    /* PSI "some" time since the last sample */
	uint64_t limit_hits;  /* rise of memory.events max (v1: failcnt) since the last sample */
	uint64_t duration_ms; /* since enter */
	struct crier_memory_breakdown memory;
};

struct crier_data_throttle {
	double ratio; /* throttled periods / periods */
	uint64_t periods, throttled_periods, throttled_ms, window_ms;
	uint64_t quota_us, period_us;
};

struct crier_data_exec {
	struct crier_slice filename;
	uint64_t args_count;
	const struct crier_slice *args; /* redacted already; absent unless asked for */
	size_t args_kept;
};

struct crier_data_fork {
	uint64_t child_pid;
};

struct crier_data_exit {
	int64_t exit_code; /* absent for a signalled death */
	uint64_t signal;
	const char *signal_name;
	uint8_t core_dumped;
	uint8_t oom_killed;
	uint8_t container_init;
	uint64_t duration_ms;
	uint64_t user_us, system_us, cpu_us;
	uint64_t peak_rss_bytes;
	uint8_t peak_rss_includes_pre_exec;
};

enum crier_signal_result {
	CRIER_SIGNAL_RESULT_NONE = 0,
	CRIER_SIGNAL_RESULT_DELIVERED,
	CRIER_SIGNAL_RESULT_IGNORED,
	CRIER_SIGNAL_RESULT_PENDING,
	CRIER_SIGNAL_RESULT_OTHER,
	CRIER_SIGNAL_RESULT_COUNT,
};

struct crier_data_signal {
	uint64_t signal;
	const char *signal_name;
	int64_t code;
	uint8_t result;
	uint8_t fatal;	    /* its default action ends the target */
	uint8_t stop;	    /* a stop signal to a container's init from outside */
	const char *sender; /* "process" or "kernel" */
};

struct crier_data_node_pressure {
	uint8_t phase, level;
	double available_ratio;
	uint64_t total_bytes, available_bytes, swap_total_bytes, swap_free_bytes;
	uint64_t stall_ms;
	uint64_t duration_ms;
};

struct crier_degraded {
	struct crier_slice what, remedy;
};

struct crier_hook_choice {
	const char *event;
	struct crier_slice chosen;  /* absent: none */
	struct crier_slice refused; /* "fentry:oom_kill_process: …" joined by "; " */
};

struct crier_data_agent_start {
	struct crier_slice version, kernel, config_path, profile;
	struct crier_slice cgroup_mode;	  /* "v1" "hybrid" "v2" */
	struct crier_slice cgroup_driver; /* "cgroupfs" "systemd" */
	struct crier_slice cri_socket;
	const char
		*cri_events; /* "auto" "on" "off": what was asked for; agent.health tells what came of it */
	const struct crier_hook_choice *hooks;
	size_t hook_count;
	const struct crier_degraded *degraded;
	size_t degraded_count;
	struct {
		struct crier_slice instance;
		uint64_t last_seq;
		uint64_t ended_at; /* unix ns */
		uint64_t gap_ms;
		uint8_t clean; /* ended by agent.stop */
	} previous;
};

struct crier_data_health {
	struct crier_slice component; /* "cri", "kernel", "sink", "config", "cpu" */
	const char *state;	      /* "ok" "degraded" "down" */
	struct crier_slice reason, remedy;
	struct crier_slice runtime_name, runtime_version;
	const char *event_stream; /* component cri: whether the runtime's event stream is in use */
};

/* One row per class; generated = emitted + filtered + suppressed + lost + held, and held is 0 at agent.stop. */
struct crier_class_counts {
	uint64_t generated, emitted, filtered, suppressed, lost, held;
};

/* Why what a look-up in a runtime's or the kubelet's folder found was not taken. */
enum crier_refusal {
	CRIER_REFUSAL_TOO_LARGE,    /* a file above its bound, a folder with more entries than are read */
	CRIER_REFUSAL_NOT_A_FILE,   /* a FIFO, a device, a folder; a log that is no link */
	CRIER_REFUSAL_SYMLINK,	    /* it would have to be followed */
	CRIER_REFUSAL_DENIED,	    /* EACCES, EPERM */
	CRIER_REFUSAL_MALFORMED,    /* no JSON, nested too deep, no name of the kubelet's */
	CRIER_REFUSAL_AMBIGUOUS,    /* several fit */
	CRIER_REFUSAL_CONTRADICTED, /* another source says otherwise */
	CRIER_REFUSAL_FAILED,	    /* any other error */
	CRIER_REFUSAL_COUNT,
};

struct crier_data_stats {
	uint64_t window_ms, uptime_ms;
	struct crier_class_counts bulk, critical; /* totals since start */
	uint64_t lines, bytes;
	uint64_t containers, pods, cgroups, held_events, held_containers, held_bytes, tombstones;
	uint64_t containers_refused, cgroups_refused, hold_full;
	uint64_t attribution_full, attribution_partial, attribution_none, attribution_host;
	uint64_t mending_open, mending_mended, mending_expired, mending_evicted, mending_not_container,
		mending_final, unnamed_containers;
	uint64_t cri_asked, cri_answered, cri_missing, cri_events, cri_events_skipped;
	uint64_t lookups_refused[CRIER_REFUSAL_COUNT];
	uint64_t rss_bytes, cpu_ms;
	uint64_t records_invalid, kernel_truncated, kernel_lookup_missed, kernel_recursion_missed,
		kernel_class_map_full;
};

enum crier_loss_cause {
	CRIER_LOSS_NONE = 0,
	CRIER_LOSS_RESERVE_FAILED, /* kernel ring full */
	CRIER_LOSS_SUPPRESSED,	   /* per-cgroup budget in the kernel */
	CRIER_LOSS_OUTPUT_BUDGET,  /* --max-output-bytes */
	CRIER_LOSS_SINK_FULL,	   /* stdout did not take it */
	CRIER_LOSS_HOLD_FULL,	   /* a bounded queue was full and the event could not even leave partial */
	CRIER_LOSS_TOO_LONG,	   /* a line above 16,000 bytes after every cut */
	CRIER_LOSS_INVALID_RECORD,
	CRIER_LOSS_UNREAD,    /* submitted by the kernel and never read from the ring */
	CRIER_LOSS_RECURSION, /* a kernel program missed a run: the count is of runs */
	CRIER_LOSS_COUNT,
};

struct crier_loss_cgroup {
	uint64_t id;
	uint64_t count;
};
#define CRIER_LOSS_CGROUPS_MAX 5

struct crier_data_loss {
	uint8_t cause;
	const char *class_name; /* "bulk" "critical" "control" */
	uint64_t count;
	uint64_t first_ns, last_ns; /* boottime bounds of the loss */
	const struct crier_loss_cgroup *top_cgroups;
	size_t top_cgroup_count;
};

struct crier_data_stop {
	struct crier_slice reason; /* "SIGTERM", "input ended", … */
	uint64_t uptime_ms;
	struct crier_class_counts bulk, critical;
	uint64_t lines;
};

#endif
