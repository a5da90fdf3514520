/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the data blocks of agent.* and node.memory_pressure. */
#include "fields.h"
#include "crier/names.h"

const struct crier_field crier_node_pressure_fields[] = {
	ENUM(struct crier_data_node_pressure, phase, "phase", crier_pressure_phase_names, CRIER_PHASE_COUNT,
	     "It began, goes on, or is over."),
	ENUM(struct crier_data_node_pressure, level, "level", crier_pressure_level_names,
	     CRIER_PRESSURE_COUNT, "critical: half the threshold, and tasks stalled."),
	FIELD(RATIO, struct crier_data_node_pressure, available_ratio, "available_ratio",
	      "MemAvailable / MemTotal."),
	FIELD(UINT, struct crier_data_node_pressure, total_bytes, "total_bytes", "MemTotal."),
	FIELD(UINT, struct crier_data_node_pressure, available_bytes, "available_bytes", "MemAvailable."),
	FIELD(UINT, struct crier_data_node_pressure, swap_total_bytes, "swap_total_bytes", "SwapTotal."),
	FIELD(UINT, struct crier_data_node_pressure, swap_free_bytes, "swap_free_bytes", "SwapFree."),
	FIELD(UINT, struct crier_data_node_pressure, stall_ms, "stall_ms",
	      "Time some task waited for memory (PSI) since the last sample, milliseconds."),
	FIELD(UINT, struct crier_data_node_pressure, duration_ms, "duration_ms",
	      "Since it began, milliseconds."),
	FIELDS_END,
};

static const struct crier_field cgroup_mode_fields[] = {
	TEXT(struct crier_data_agent_start, cgroup_mode, "mode", 16, "v1, hybrid or v2."),
	TEXT(struct crier_data_agent_start, cgroup_driver, "driver", 16, "cgroupfs or systemd."),
	FIELDS_END,
};

static const struct crier_field hook_fields[] = {
	FIELD(NAME, struct crier_hook_choice, event, "event", "What is observed."),
	TEXT(struct crier_hook_choice, chosen, "chosen", CRIER_NAME_MAX,
	     "The program that observes it; absent: nothing does."),
	TEXT(struct crier_hook_choice, refused, "refused", CRIER_TEXT_MAX,
	     "Better programs that could not be used, and why."),
	FIELDS_END,
};

static const struct crier_field degraded_fields[] = {
	TEXT(struct crier_degraded, what, "what", CRIER_TEXT_MAX, "What does not work."),
	TEXT(struct crier_degraded, remedy, "remedy", CRIER_TEXT_MAX, "What to do."),
	FIELDS_END,
};

static const struct crier_field last_run_fields[] = {
	TEXT(struct crier_data_agent_start, previous.instance, "instance", 16,
	     "The instance before, from the state file."),
	FIELD(UINT, struct crier_data_agent_start, previous.last_seq, "last_seq",
	      "Its last line known to be written."),
	FIELD(TIME, struct crier_data_agent_start, previous.ended_at, "ended_at",
	      "When it was last known to run."),
	FIELD(UINT, struct crier_data_agent_start, previous.gap_ms, "gap_ms",
	      "From then to this start, milliseconds: nothing was watched."),
	FIELD(BOOL, struct crier_data_agent_start, previous.clean, "clean", "It ended with agent.stop."),
	FIELDS_END,
};

static const char *const events_words[] = {"auto", "on", "off", NULL};

const struct crier_field crier_agent_start_fields[] = {
	TEXT(struct crier_data_agent_start, version, "version", 64, "crier's version."),
	TEXT(struct crier_data_agent_start, kernel, "kernel", 128, "The kernel's release."),
	TEXT(struct crier_data_agent_start, config_path, "config_path", CRIER_TEXT_MAX, "The config file."),
	TEXT(struct crier_data_agent_start, profile, "profile", 64, "The profile."),
	GROUP("cgroup", cgroup_mode_fields, "How cgroups are set up."),
	TEXT(struct crier_data_agent_start, cri_socket, "cri_socket", CRIER_TEXT_MAX,
	     "The runtime's socket; absent: none."),
	WORD(struct crier_data_agent_start, cri_events, "cri_events", events_words,
	     "Whether the runtime's event stream was asked for; agent.health says whether it is in use."),
	ARRAY(struct crier_data_agent_start, hooks, hook_count, "hooks", 16, struct crier_hook_choice,
	      hook_fields, "How each kind of event is observed on this kernel."),
	ARRAY(struct crier_data_agent_start, degraded, degraded_count, "degraded", 16, struct crier_degraded,
	      degraded_fields, "What does not work here, and the remedy."),
	GROUP("previous", last_run_fields, "The run before."),
	FIELDS_END,
};

static const struct crier_field health_runtime_fields[] = {
	TEXT(struct crier_data_health, runtime_name, "name", CRIER_NAME_MAX, "Name of the runtime."),
	TEXT(struct crier_data_health, runtime_version, "version", CRIER_NAME_MAX, "Its version."),
	FIELDS_END,
};

static const char *const state_words[] = {"ok", "degraded", "down", NULL};
static const char *const stream_words[] = {"open", "broken", "not_offered", "shared", "off", NULL};

const struct crier_field crier_health_fields[] = {
	TEXT(struct crier_data_health, component, "component", 64, "cri, kernel, sink, config or cpu."),
	WORD(struct crier_data_health, state, "state", state_words, "How it is."),
	TEXT(struct crier_data_health, reason, "reason", CRIER_TEXT_MAX, "Why."),
	TEXT(struct crier_data_health, remedy, "remedy", CRIER_TEXT_MAX, "What to do."),
	GROUP("runtime", health_runtime_fields, "Whom crier talks to."),
	WORD(struct crier_data_health, event_stream, "event_stream", stream_words,
	     "The runtime's event stream; shared: each event goes to one subscriber only, so it is left to the kubelet."),
	FIELDS_END,
};

static const struct crier_field count_fields[] = {
	FIELD(UINT, struct crier_class_counts, generated, "generated",
	      "Events that happened: emitted + filtered + suppressed + lost + held."),
	FIELD(UINT, struct crier_class_counts, emitted, "emitted", "Left as a line."),
	FIELD(UINT, struct crier_class_counts, filtered, "filtered", "Not asked for."),
	FIELD(UINT, struct crier_class_counts, suppressed, "suppressed", "Over a budget."),
	FIELD(UINT, struct crier_class_counts, lost, "lost", "Lost."),
	FIELD(UINT, struct crier_class_counts, held, "held", "Waiting for metadata; 0 at agent.stop."),
	FIELDS_END,
};

#define STAT(m, key, doc) FIELD(UINT, struct crier_data_stats, m, key, doc)
static const struct crier_field attribution_count_fields[] = {
	STAT(attribution_full, "full", "Lines with status full since the start."),
	STAT(attribution_partial, "partial", "With partial."),
	STAT(attribution_none, "none", "With none."),
	STAT(attribution_host, "host", "With host."),
	FIELDS_END,
};
static const struct crier_field mending_count_fields[] = {
	STAT(mending_open, "open", "May still be named."),
	STAT(mending_mended, "mended", "Named by a container.resolved."),
	STAT(mending_expired, "expired", "Given up: container or cgroup is gone for --tombstone-age."),
	STAT(mending_evicted, "evicted", "Given up: what was known of it gave way in a full table."),
	STAT(mending_not_container, "not_container",
	     "Given up: their cgroup turned out to hold no container."),
	STAT(mending_final, "final", "Never to be named: in a pod's cgroup, in none of its containers."),
	STAT(unnamed_containers, "unnamed_containers", "Containers forgotten that never had a name."),
	FIELDS_END,
};
static const struct crier_field cri_count_fields[] = {
	STAT(cri_asked, "asked", "Questions put to the runtime since the start."),
	STAT(cri_answered, "answered", "Answered."),
	STAT(cri_missing, "missing", "Not answered, or not found."),
	STAT(cri_events, "events", "Events of the runtime's stream that were taken."),
	STAT(cri_events_skipped, "events_skipped",
	     "Left out: older than the stream, or too many at once; the runtime's list made up for them."),
	FIELDS_END,
};
static const struct crier_field table_count_fields[] = {
	STAT(containers, "containers", "Containers alive."),
	STAT(pods, "pods", "Pods."),
	STAT(cgroups, "cgroups", "Cgroups."),
	STAT(held_events, "held_events", "Events waiting."),
	STAT(held_containers, "held_containers", "Containers they wait for."),
	STAT(held_bytes, "held_bytes", "Memory of what waits."),
	STAT(tombstones, "tombstones", "Containers dead and remembered."),
	STAT(hold_full, "hold_full",
	     "Events since the start that met a bound of what may wait: they left at once, with what waited before them."),
	STAT(containers_refused, "containers_refused",
	     "Times since the start that --max-containers left no place for one."),
	STAT(cgroups_refused, "cgroups_refused", "The same of --max-cgroups."),
	FIELDS_END,
};

#define REFUSED(why, key, doc) STAT(lookups_refused[CRIER_REFUSAL_##why], key, doc)
static const struct crier_field refused_fields[] = {
	REFUSED(TOO_LARGE, "too_large", "A file above 1 MiB, a folder of more than 16,384 entries."),
	REFUSED(NOT_A_FILE, "not_a_file", "A FIFO, device or folder; a log that is no link."),
	REFUSED(SYMLINK, "symlink", "It would have had to be followed."),
	REFUSED(DENIED, "denied", "No right to read it."),
	REFUSED(MALFORMED, "malformed", "No JSON, nested too deep, or no name of the kubelet's."),
	REFUSED(AMBIGUOUS, "ambiguous", "Several fitted: none was believed."),
	REFUSED(CONTRADICTED, "contradicted", "The cgroup path or a better source says otherwise."),
	REFUSED(FAILED, "failed", "Any other error."),
	FIELDS_END,
};

const struct crier_field crier_stats_fields[] = {
	STAT(window_ms, "window_ms", "Since the last agent.stats, milliseconds."),
	STAT(uptime_ms, "uptime_ms", "Since the start, milliseconds."),
	OBJECT(struct crier_data_stats, bulk, "bulk", count_fields, "Events of class bulk since the start."),
	OBJECT(struct crier_data_stats, critical, "critical", count_fields,
	       "Events of class critical since the start."),
	STAT(lines, "lines", "Lines written since the start."),
	STAT(bytes, "output_bytes", "Bytes written since the start."),
	GROUP("tables", table_count_fields, "What crier holds now."),
	GROUP("attribution", attribution_count_fields, "How lines were attributed."),
	GROUP("mending", mending_count_fields,
	      "What became of the lines with status partial or none, since the start; the first six add up to them."),
	GROUP("cri", cri_count_fields, "The runtime's answers."),
	GROUP("lookups_refused", refused_fields,
	      "Answers of the runtime's and the kubelet's folders that were not taken, since the start."),
	STAT(rss_bytes, "rss_bytes", "crier's resident memory."),
	STAT(cpu_ms, "cpu_ms", "CPU time crier used since the start, milliseconds."),
	STAT(records_invalid, "records_invalid", "Kernel records that did not decode."),
	STAT(kernel_truncated, "kernel_truncated", "Texts cut in the kernel."),
	STAT(kernel_lookup_missed, "kernel_lookup_missed", "Kernel structures that could not be read."),
	STAT(kernel_recursion_missed, "kernel_recursion_missed",
	     "Runs the kernel refused to a program because it was running."),
	STAT(kernel_class_map_full, "kernel_class_map_full",
	     "Cgroups the kernel's class map had no place or no memory for: their events pass, whatever they are."),
	FIELDS_END,
};

static const struct crier_field loss_cgroup_fields[] = {
	FIELD(ID, struct crier_loss_cgroup, id, "id", "Cgroup id."),
	FIELD(UINT, struct crier_loss_cgroup, count, "count", "Events of it that were lost."),
	FIELDS_END,
};

static const char *const class_words[] = {"bulk", "critical", "control", NULL};

const struct crier_field crier_loss_fields[] = {
	ENUM(struct crier_data_loss, cause, "cause", crier_loss_cause_names, CRIER_LOSS_COUNT,
	     "Where they were lost."),
	WORD(struct crier_data_loss, class_name, "class", class_words,
	     "What was lost: events of a class, or records that feed tables."),
	FIELD(UINT, struct crier_data_loss, count, "count", "How many events; exact."),
	FIELD(ID, struct crier_data_loss, first_ns, "first_ns",
	      "Not before this, nanoseconds on CLOCK_BOOTTIME."),
	FIELD(ID, struct crier_data_loss, last_ns, "last_ns", "Not after this."),
	ARRAY(struct crier_data_loss, top_cgroups, top_cgroup_count, "top_cgroups", CRIER_LOSS_CGROUPS_MAX,
	      struct crier_loss_cgroup, loss_cgroup_fields, "Whose events they were, the most first."),
	FIELDS_END,
};

const struct crier_field crier_stop_fields[] = {
	TEXT(struct crier_data_stop, reason, "reason", CRIER_NAME_MAX, "SIGTERM, SIGINT, end of input, …"),
	FIELD(UINT, struct crier_data_stop, uptime_ms, "uptime_ms", "Since the start, milliseconds."),
	OBJECT(struct crier_data_stop, bulk, "bulk", count_fields, "Events of class bulk since the start."),
	OBJECT(struct crier_data_stop, critical, "critical", count_fields,
	       "Events of class critical since the start."),
	FIELD(UINT, struct crier_data_stop, lines, "lines", "Lines written, this one included."),
	FIELDS_END,
};
