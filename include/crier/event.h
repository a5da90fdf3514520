/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event: what decode, lifecycle and the agent fill, and emit writes. One struct per type's data, never a
 * union of all. All slices are borrowed: they die with the record, the container or the message they came from.
 * Each struct's JSON names, units and meaning stand in the tables of src/fields*.c; clear it by its table first.
 */
#ifndef CRIER_EVENT_H
#define CRIER_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/field.h"
#include "crier/wire.h"

/* Order is the order of docs/events.md. */
enum crier_type {
	CRIER_TYPE_NONE = 0,
	CRIER_TYPE_CONTAINER_CREATED,
	CRIER_TYPE_CONTAINER_STARTED,
	CRIER_TYPE_CONTAINER_EXITED,
	CRIER_TYPE_CONTAINER_REMOVED,
	CRIER_TYPE_CONTAINER_RESOLVED,
	CRIER_TYPE_CONTAINER_SNAPSHOT,
	CRIER_TYPE_CONTAINER_OOM,
	CRIER_TYPE_CONTAINER_MEMORY_PRESSURE,
	CRIER_TYPE_CONTAINER_CPU_THROTTLE,
	CRIER_TYPE_PROCESS_EXEC,
	CRIER_TYPE_PROCESS_FORK,
	CRIER_TYPE_PROCESS_EXIT,
	CRIER_TYPE_PROCESS_SIGNAL,
	CRIER_TYPE_NODE_OOM,
	CRIER_TYPE_NODE_MEMORY_PRESSURE,
	CRIER_TYPE_AGENT_START,
	CRIER_TYPE_AGENT_HEALTH,
	CRIER_TYPE_AGENT_STATS,
	CRIER_TYPE_AGENT_LOSS,
	CRIER_TYPE_AGENT_STOP,
	CRIER_TYPE_COUNT,
};

enum crier_severity {
	CRIER_SEVERITY_NONE = 0,
	CRIER_SEVERITY_DEBUG,
	CRIER_SEVERITY_INFO,
	CRIER_SEVERITY_WARN,
	CRIER_SEVERITY_ERROR,
	CRIER_SEVERITY_FATAL,
	CRIER_SEVERITY_COUNT,
};

enum crier_priority {
	CRIER_PRIORITY_NONE = 0,
	CRIER_PRIORITY_LOW,
	CRIER_PRIORITY_NORMAL,
	CRIER_PRIORITY_HIGH,
	CRIER_PRIORITY_CRITICAL,
	CRIER_PRIORITY_COUNT,
};

/* attribution.status */
enum crier_attribution_status {
	CRIER_ATTRIBUTION_UNSET = 0,
	CRIER_ATTRIBUTION_FULL,	   /* namespace, pod, uid, container name and id were known when it left */
	CRIER_ATTRIBUTION_PARTIAL, /* some of them */
	CRIER_ATTRIBUTION_NONE,	   /* not even the container */
	CRIER_ATTRIBUTION_HOST,	   /* belongs to no container */
	CRIER_ATTRIBUTION_COUNT,
};

/* attribution.source: the best source that filled the identity */
enum crier_source {
	CRIER_SOURCE_NONE = 0,
	CRIER_SOURCE_CGROUP_PATH,
	CRIER_SOURCE_PROC,
	CRIER_SOURCE_LOG_DIRECTORY,
	CRIER_SOURCE_OCI_BUNDLE,
	CRIER_SOURCE_CRI_LIST,
	CRIER_SOURCE_CRI_EVENT,
	CRIER_SOURCE_CRI,
	CRIER_SOURCE_COUNT,
};

/* attribution.via: how the event's subject led to the container */
enum crier_via {
	CRIER_VIA_NONE = 0,
	CRIER_VIA_CGROUP_ID,
	CRIER_VIA_ANCESTOR, /* a sub-cgroup inside the container */
	CRIER_VIA_HANDLE,   /* the path by the cgroup id's kernfs handle */
	CRIER_VIA_PROC,
	CRIER_VIA_CRI, /* the event itself came from the runtime */
	CRIER_VIA_COUNT,
};

/* attribution.reason: why not full (closed list, docs/events.md) */
enum crier_reason {
	CRIER_REASON_NONE = 0,
	CRIER_REASON_CRI_OFF,	     /* --cri-socket none */
	CRIER_REASON_CRI_DOWN,	     /* no connection */
	CRIER_REASON_CRI_TIMEOUT,    /* asked, no answer within the hold age */
	CRIER_REASON_CRI_NOT_FOUND,  /* the runtime does not know the id (yet) */
	CRIER_REASON_CRI_INVALID,    /* it answered nonsense */
	CRIER_REASON_CGROUP_UNKNOWN, /* the cgroup id was never seen */
	CRIER_REASON_HOLD_FULL,	     /* the holding queue was at its bound */
	CRIER_REASON_TABLE_FULL,     /* the container table was at its bound */
	CRIER_REASON_POD_LEVEL,	     /* in a pod's cgroup but in none of its containers */
	CRIER_REASON_STOPPING,	     /* crier was ending */
	CRIER_REASON_COUNT,
};

enum crier_container_type {
	CRIER_CONTAINER_TYPE_UNKNOWN = 0,
	CRIER_CONTAINER_TYPE_APP,
	CRIER_CONTAINER_TYPE_INIT,
	CRIER_CONTAINER_TYPE_EPHEMERAL,
	CRIER_CONTAINER_TYPE_SANDBOX,
	CRIER_CONTAINER_TYPE_COUNT,
};

enum crier_qos {
	CRIER_QOS_UNKNOWN = 0,
	CRIER_QOS_GUARANTEED,
	CRIER_QOS_BURSTABLE,
	CRIER_QOS_BEST_EFFORT,
	CRIER_QOS_COUNT,
};

/* process.role: what the process is to its container */
enum crier_role {
	CRIER_ROLE_NONE = 0,
	CRIER_ROLE_INIT, /* the container's first process */
	CRIER_ROLE_MEMBER,
	CRIER_ROLE_RUNTIME_HELPER, /* runc's own processes before init executes */
	CRIER_ROLE_COUNT,
};

/* Identity of a process over the node's life: (boot, pid, start). Printed "5f0c6a1e:31874:900812000000000". */
struct crier_process_key {
	uint32_t pid;	   /* 0 = absent */
	uint64_t start_ns; /* start_boottime of the group leader */
};

/* The subject: process block. */
struct crier_process {
	uint64_t pid, tid, vpid, parent_pid;
	struct crier_slice comm;
	struct crier_slice executable_path; /* as executed, may be relative; from exec or /proc/<pid>/exe */
	uint64_t user_id;
	uint64_t start_boottime_ns;
	uint8_t role; /* enum crier_role */
};

/* Who caused it: actor block. */
struct crier_actor {
	uint64_t pid;
	struct crier_slice comm;
	struct crier_process_key key;
	struct crier_slice container_id, container_name, pod_name,
		pod_namespace; /* absent for a host process */
};

struct crier_cgroup_ref {
	uint64_t id;
	struct crier_slice path;
	uint64_t version; /* 1 or 2 */
};

struct crier_attribution {
	uint8_t status, source, via, reason; /* enums above */
	uint64_t wait_us;		     /* time it was held; absent in lean lines when 0 */
};

enum crier_basis {
	CRIER_BASIS_NONE = 0,
	CRIER_BASIS_SAME_TASK,
	CRIER_BASIS_SIGNAL_TARGET,
	CRIER_BASIS_SAME_CGROUP_WINDOW,
	CRIER_BASIS_SAME_SLOT,
	CRIER_BASIS_COUNT,
};

struct crier_cause {
	uint64_t seq;  /* of this instance; UNKNOWN when the cause was filtered and so has no number */
	uint8_t kind;  /* enum crier_type */
	uint8_t basis; /* enum crier_basis */
	uint8_t filtered;
	uint64_t delta_ms;
};

#define CRIER_CAUSES_MAX 4

struct crier_correlation {
	struct crier_process_key process, parent;
	uint64_t incident; /* counter, printed "<instance>-i<n>"; UNKNOWN = none */
	size_t cause_count;
	struct crier_cause causes[CRIER_CAUSES_MAX];
};

/* ---- data blocks, one per type ---- */

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

/* ---- the event itself ---- */

struct crier_container;
struct crier_pod;

struct crier_event {
	uint8_t type;		     /* enum crier_type */
	uint8_t severity;	     /* 0 = the type's default */
	uint8_t hook;		     /* enum crier_wire_hook */
	uint8_t undetermined_filter; /* a filter could not be decided: passes with `filter: undetermined` */
	uint64_t cpu;
	uint64_t boottime_ns;
	struct crier_process process;
	struct crier_actor actor;
	struct crier_cgroup_ref cgroup;
	const struct crier_container *container; /* NULL = not known; see index.h */
	const struct crier_pod *pod;
	struct crier_attribution attribution;
	struct crier_correlation correlation;
	const void *data; /* struct crier_data_* of the type; NULL = {} */
	const char *cut_at_source
		[2]; /* dotted paths of texts that came cut from the kernel; static; NULL = none */
};

/* One row per type: the emit table. */
struct crier_type_info {
	const char *name;		/* "container.oom" */
	uint8_t severity, priority;	/* defaults */
	uint8_t critical_class;		/* 1: loss class critical */
	uint8_t full;			/* full rendering with --detail auto */
	const struct crier_field *data; /* table of the data block */
	size_t data_size;
	const char *doc;
};

/** @return the row; type < CRIER_TYPE_COUNT. Static. */
const struct crier_type_info *crier_type_info(unsigned type);
/** @return the type of a name, CRIER_TYPE_NONE if there is none. */
enum crier_type crier_type_parse(struct crier_slice name);

/** The event's own severity, or its type's. */
uint8_t crier_event_severity(const struct crier_event *event);

/** Everything absent, type set. ~600 bytes. */
void crier_event_init(struct crier_event *event, enum crier_type type);
/** Clear a data block by its type's table. */
void crier_data_init(enum crier_type type, void *data);

#endif
