/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the data blocks of container.*, and of node.oom which shares one. */
#include "fields.h"
#include "crier/names.h"

const struct crier_field crier_created_fields[] = {
	TEXT(struct crier_data_created, cgroup_path, "cgroup_path", CRIER_TEXT_MAX,
	     "Path of the container's cgroup."),
	FIELDS_END,
};

static const struct crier_field previous_fields[] = {
	{ROW(TEXT, struct crier_previous_death, container_id, "container_id",
	     "The container before it in the same slot."),
	 .max = CRIER_ID_MAX},
	ENUM(struct crier_previous_death, cause, "cause", crier_exit_cause_names, CRIER_EXIT_CAUSE_COUNT,
	     "What ended it."),
	FIELD(INT, struct crier_previous_death, exit_code, "exit_code",
	      "As a shell tells it: 128 + signal for a signalled death."),
	FIELD(INCIDENT_ID, struct crier_previous_death, incident, "incident_id",
	      "The incident of that death."),
	FIELD(TIME, struct crier_previous_death, exited_at, "exited_at", "When it ended."),
	FIELDS_END,
};

const struct crier_field crier_started_fields[] = {
	TEXT(struct crier_data_started, filename, "filename", CRIER_TEXT_MAX, "What its init executed."),
	FIELD(UINT, struct crier_data_started, start_delay_ms, "start_delay_ms",
	      "From the cgroup's creation to init's exec, milliseconds."),
	FIELD(UINT, struct crier_data_started, restarts_1h, "restarts_1h",
	      "Deaths of this slot within the last hour that crier saw."),
	OBJECT(struct crier_data_started, previous, "previous", previous_fields,
	       "The last death of the slot, up to 15 minutes back."),
	FIELDS_END,
};

static const struct crier_field sender_fields[] = {
	FIELD(UINT, struct crier_stop, sender_pid, "pid", "Process id in the host's pid namespace."),
	TEXT(struct crier_stop, sender_comm, "comm", CRIER_COMM_MAX, "Name of the task."),
	FIELDS_END,
};

static const struct crier_field stop_fields[] = {
	FIELD(UINT, struct crier_stop, signal, "signal", "The first stop signal, its number."),
	FIELD(NAME, struct crier_stop, signal_name, "signal_name", "Its name."),
	FIELD(NAME, struct crier_stop, result, "result",
	      "What became of it: delivered, or ignored by the process."),
	GROUP("sender", sender_fields, "Who sent it, where a process did."),
	FIELD(UINT, struct crier_stop, escalated_to, "escalated_to",
	      "The last stop signal, when it was another."),
	FIELD(NAME, struct crier_stop, escalated_name, "escalated_to_name", "Its name."),
	FIELD(UINT, struct crier_stop, after_ms, "after_ms",
	      "From the first signal to the escalation, else to the end, milliseconds."),
	FIELD(UINT, struct crier_stop, grace_period_s, "grace_period_s",
	      "The pod's termination grace period, seconds."),
	FIELDS_END,
};

static const struct crier_field runtime_exit_fields[] = {
	TEXT(struct crier_runtime_exit, reason, "reason", CRIER_NAME_MAX,
	     "OOMKilled, Error, Completed, StartError, …"),
	TEXT(struct crier_runtime_exit, message, "message", CRIER_TEXT_MAX, "Its words."),
	FIELD(INT, struct crier_runtime_exit, exit_code, "exit_code", "The exit code it reports."),
	FIELD(TIME, struct crier_runtime_exit, finished_at, "finished_at",
	      "When it says the container ended."),
	FIELDS_END,
};

static const struct crier_field timeline_fields[] = {
	FIELD(EVENT_ID, struct crier_timeline_item, seq, "event_id",
	      "The line; absent when it was filtered."),
	ENUM(struct crier_timeline_item, type, "type", crier_type_names, CRIER_TYPE_COUNT, "Its type."),
	FIELD(TIME, struct crier_timeline_item, ts, "ts", "When it happened."),
	FIELDS_END,
};

const struct crier_field crier_exited_fields[] = {
	ENUM(struct crier_data_exited, cause, "cause", crier_exit_cause_names, CRIER_EXIT_CAUSE_COUNT,
	     "What the kernel saw: init was an OOM victim, died by a signal, or exited; start_failed: init never executed."),
	FIELD(INT, struct crier_data_exited, exit_code, "exit_code",
	      "As a shell tells it: 128 + signal for a signalled death."),
	FIELD(UINT, struct crier_data_exited, signal, "signal", "The signal that ended init."),
	FIELD(NAME, struct crier_data_exited, signal_name, "signal_name", "Its name."),
	FIELD(BOOL, struct crier_data_exited, core_dumped, "core_dumped", "A core was dumped."),
	ENUM(struct crier_data_exited, observed, "observed", crier_observed_names, CRIER_OBSERVED_COUNT,
	     "after_the_fact: it ended while crier was away, and the runtime told."),
	FIELD(UINT, struct crier_data_exited, uptime_ms, "uptime_ms",
	      "From init's exec to the end, milliseconds."),
	FIELD(UINT, struct crier_data_exited, restart_count, "restart_count",
	      "Restarts before this container."),
	OBJECT(struct crier_data_exited, stop, "stop", stop_fields,
	       "How it was stopped from outside, if it was."),
	OBJECT(struct crier_data_exited, runtime, "runtime", runtime_exit_fields,
	       "What the runtime says; it may disagree with the kernel, and both are told."),
	ARRAY(struct crier_data_exited, timeline, timeline_count, "timeline", CRIER_TIMELINE_MAX,
	      struct crier_timeline_item, timeline_fields,
	      "The lines of the same incident in their order; the first and the last are kept."),
	FIELDS_END,
};

const struct crier_field crier_removed_fields[] = {
	ENUM(struct crier_data_removed, basis, "basis", crier_removed_basis_names, CRIER_REMOVED_COUNT,
	     "runtime: the runtime no longer knows it; cgroup: no runtime to ask, and its cgroup is gone."),
	FIELDS_END,
};

static const struct crier_field mends_fields[] = {
	FIELD(ID, struct crier_data_resolved, cgroup_id, "cgroup_id",
	      "Lines with this cgroup.id are mended,"),
	{ROW(TEXT, struct crier_data_resolved, container_id, "container_id", "or with this container.id,"),
	 .max = CRIER_ID_MAX},
	FIELD(UINT, struct crier_data_resolved, from_seq, "from_seq", "if their seq is not below this,"),
	FIELD(UINT, struct crier_data_resolved, to_seq, "to_seq", "nor above this."),
	FIELD(UINT, struct crier_data_resolved, count, "count", "How many such lines left."),
	FIELDS_END,
};

const struct crier_field crier_resolved_fields[] = {
	GROUP("mends", mends_fields,
	      "Which lines of this instance, with status partial or none, get this line's container and k8s."),
	FIELDS_END,
};

const struct crier_field crier_snapshot_fields[] = {
	ENUM(struct crier_data_snapshot, state, "state", crier_state_names, CRIER_STATE_COUNT,
	     "As the runtime says."),
	FIELD(UINT, struct crier_data_snapshot, memory_usage_bytes, "memory_usage_bytes",
	      "Memory charged to its cgroup."),
	FIELD(UINT, struct crier_data_snapshot, working_set_bytes, "working_set_bytes",
	      "Usage without inactive file pages."),
	FIELD(UINT, struct crier_data_snapshot, process_count, "process_count", "Processes in its cgroup."),
	FIELD(UINT, struct crier_data_snapshot, uptime_ms, "uptime_ms", "Since its start, milliseconds."),
	FIELDS_END,
};

/* ---- memory ---- */

static const char *const sampled_words[] = {"before", "after", NULL};

static const struct crier_field memory_fields[] = {
	FIELD(UINT, struct crier_memory_breakdown, anon_bytes, "anon_bytes", "Anonymous memory."),
	FIELD(UINT, struct crier_memory_breakdown, file_bytes, "file_bytes", "Page cache, shmem included."),
	FIELD(UINT, struct crier_memory_breakdown, shmem_bytes, "shmem_bytes", "tmpfs and shared memory."),
	FIELD(UINT, struct crier_memory_breakdown, kernel_bytes, "kernel_bytes", "Kernel memory."),
	FIELD(UINT, struct crier_memory_breakdown, slab_bytes, "slab_bytes", "Slab, part of kernel memory."),
	FIELD(UINT, struct crier_memory_breakdown, sock_bytes, "sock_bytes", "Socket buffers."),
	WORD(struct crier_memory_breakdown, sampled, "sampled", sampled_words,
	     "Read before or after the kill."),
	FIELDS_END,
};

#define VICTIM(m, key, doc) FIELD(UINT, struct crier_data_oom, victim.m, key, doc)
static const struct crier_field victim_fields[] = {
	VICTIM(rss_bytes, "rss_bytes",
	       "Resident memory: the larger of its counters' sum and its high-water mark."),
	VICTIM(anon_rss_bytes, "anon_rss_bytes", "Anonymous part."),
	VICTIM(file_rss_bytes, "file_rss_bytes", "File-backed part."),
	VICTIM(shmem_rss_bytes, "shmem_rss_bytes", "Shared memory part."),
	VICTIM(swap_bytes, "swap_bytes", "Swapped out."),
	VICTIM(pgtables_bytes, "pgtables_bytes", "Page tables."),
	VICTIM(total_vm_bytes, "total_vm_bytes", "Address space."),
	FIELD(INT, struct crier_data_oom, victim.oom_score_adj, "oom_score_adj",
	      "-1000 to 1000, set by kubelet from QoS and requests."),
	FIELDS_END,
};

static const struct crier_field oom_limit_fields[] = {
	ENUM(struct crier_data_oom, limit.level, "level", crier_limit_level_names, CRIER_LEVEL_COUNT,
	     "Whose limit it was."),
	ENUM(struct crier_data_oom, limit.found_by, "found_by", crier_found_by_names, CRIER_FOUND_COUNT,
	     "The evidence: the kernel's own oom_control; the cgroup whose OOM count rose; usage standing at the limit; an earlier "
	     "victim of the same kill; the kernel's log."),
	OBJECT(struct crier_data_oom, limit.cgroup, "cgroup", crier_cgroup_fields,
	       "The cgroup that has the limit."),
	FIELD(UINT, struct crier_data_oom, limit.bytes, "bytes", "The limit."),
	FIELD(UINT, struct crier_data_oom, limit.usage_bytes, "usage_bytes", "Charged at the kill."),
	FIELD(UINT, struct crier_data_oom, limit.peak_bytes, "peak_bytes", "The most ever charged."),
	FIELD(UINT, struct crier_data_oom, limit.swap_bytes, "swap_bytes", "Swap charged at the kill."),
	FIELDS_END,
};

const struct crier_field crier_oom_fields[] = {
	ENUM(struct crier_data_oom, scope, "scope", crier_oom_scope_names, CRIER_OOM_SCOPE_COUNT,
	     "memcg: a cgroup's limit; global: the node ran out; cpuset: the allowed NUMA nodes did."),
	GROUP("victim", victim_fields, "The killed process at the kill."),
	FIELD(UINT, struct crier_data_oom, victim_index, "victim_index", "1, 2, … within one incident."),
	FIELD(UINT, struct crier_data_oom, kills, "kills",
	      "Kills that this line stands for, where they were counted by the cgroup and their victims not seen (no eBPF, no kernel log)."),
	FIELD(BOOL, struct crier_data_oom, group_kill, "group_kill",
	      "memory.oom.group: the whole cgroup is killed."),
	GROUP("limit", oom_limit_fields, "The limit that was hit."),
	OBJECT(struct crier_data_oom, memory, "memory", memory_fields, "What the limit's cgroup held."),
	FIELD(UINT, struct crier_data_oom, oom_kill_count, "oom_kill_count",
	      "Kills in the limit's cgroup so far, as memory.events counts."),
	FIELDS_END,
};

static const struct crier_field pressure_limit_fields[] = {
	ENUM(struct crier_data_pressure, limit.level, "level", crier_limit_level_names, CRIER_LEVEL_COUNT,
	     "Whose limit it is."),
	OBJECT(struct crier_data_pressure, limit.cgroup, "cgroup", crier_cgroup_fields,
	       "The cgroup that has the limit."),
	FIELD(UINT, struct crier_data_pressure, limit.bytes, "bytes",
	      "The nearest limit above the container."),
	FIELDS_END,
};

const struct crier_field crier_pressure_fields[] = {
	ENUM(struct crier_data_pressure, phase, "phase", crier_pressure_phase_names, CRIER_PHASE_COUNT,
	     "It began, goes on, or is over."),
	ENUM(struct crier_data_pressure, level, "level", crier_pressure_level_names, CRIER_PRESSURE_COUNT,
	     "critical: tasks also stalled or the limit was hit."),
	FIELD(RATIO, struct crier_data_pressure, ratio, "working_set_ratio", "Working set / limit."),
	FIELD(UINT, struct crier_data_pressure, working_set_bytes, "working_set_bytes",
	      "Usage without inactive file pages: what kubelet evicts by. Page cache alone never alarms."),
	FIELD(UINT, struct crier_data_pressure, usage_bytes, "usage_bytes", "Memory charged."),
	GROUP("limit", pressure_limit_fields, "The limit it is measured against."),
	FIELD(UINT, struct crier_data_pressure, stall_ms, "stall_ms",
	      "Time some task waited for memory (PSI) since the last sample, milliseconds."),
	FIELD(UINT, struct crier_data_pressure, limit_hits, "limit_hits",
	      "Times the limit was hit since the line before or, in the first of a container whose birth was seen, since that."),
	FIELD(UINT, struct crier_data_pressure, duration_ms, "duration_ms", "Since it began, milliseconds."),
	OBJECT(struct crier_data_pressure, memory, "memory", memory_fields,
	       "What the container's cgroup holds."),
	FIELDS_END,
};

const struct crier_field crier_throttle_fields[] = {
	FIELD(RATIO, struct crier_data_throttle, ratio, "throttled_ratio", "Throttled periods / periods."),
	FIELD(UINT, struct crier_data_throttle, periods, "periods", "Periods in which it ran."),
	FIELD(UINT, struct crier_data_throttle, throttled_periods, "throttled_periods",
	      "Periods in which the quota was used up."),
	FIELD(UINT, struct crier_data_throttle, throttled_ms, "throttled_ms",
	      "Time its tasks were kept from running, milliseconds, summed over CPUs."),
	FIELD(UINT, struct crier_data_throttle, window_ms, "window_ms",
	      "Time between the two readings, milliseconds."),
	FIELD(UINT, struct crier_data_throttle, quota_us, "quota_us", "CPU time per period, microseconds."),
	FIELD(UINT, struct crier_data_throttle, period_us, "period_us", "The period, microseconds."),
	FIELDS_END,
};
