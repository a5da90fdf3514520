/* SPDX-License-Identifier: Apache-2.0 */
/* The words of the closed lists: what enums are called in lines, in the schema and in docs/events.md. */
#include "crier/event_data.h"
#include "crier/names.h"

const char *const crier_type_names[CRIER_TYPE_COUNT + 1] = {
	[CRIER_TYPE_CONTAINER_CREATED] = "container.created",
	[CRIER_TYPE_CONTAINER_STARTED] = "container.started",
	[CRIER_TYPE_CONTAINER_EXITED] = "container.exited",
	[CRIER_TYPE_CONTAINER_REMOVED] = "container.removed",
	[CRIER_TYPE_CONTAINER_RESOLVED] = "container.resolved",
	[CRIER_TYPE_CONTAINER_SNAPSHOT] = "container.snapshot",
	[CRIER_TYPE_CONTAINER_OOM] = "container.oom",
	[CRIER_TYPE_CONTAINER_MEMORY_PRESSURE] = "container.memory_pressure",
	[CRIER_TYPE_CONTAINER_CPU_THROTTLE] = "container.cpu_throttle",
	[CRIER_TYPE_PROCESS_EXEC] = "process.exec",
	[CRIER_TYPE_PROCESS_FORK] = "process.fork",
	[CRIER_TYPE_PROCESS_EXIT] = "process.exit",
	[CRIER_TYPE_PROCESS_SIGNAL] = "process.signal",
	[CRIER_TYPE_NODE_OOM] = "node.oom",
	[CRIER_TYPE_NODE_MEMORY_PRESSURE] = "node.memory_pressure",
	[CRIER_TYPE_AGENT_START] = "agent.start",
	[CRIER_TYPE_AGENT_HEALTH] = "agent.health",
	[CRIER_TYPE_AGENT_STATS] = "agent.stats",
	[CRIER_TYPE_AGENT_LOSS] = "agent.loss",
	[CRIER_TYPE_AGENT_STOP] = "agent.stop",
};

const char *const crier_severity_names[CRIER_SEVERITY_COUNT + 1] = {
	[CRIER_SEVERITY_DEBUG] = "debug", [CRIER_SEVERITY_INFO] = "info",   [CRIER_SEVERITY_WARN] = "warn",
	[CRIER_SEVERITY_ERROR] = "error", [CRIER_SEVERITY_FATAL] = "fatal",
};

const char *const crier_priority_names[CRIER_PRIORITY_COUNT + 1] = {
	[CRIER_PRIORITY_LOW] = "low",
	[CRIER_PRIORITY_NORMAL] = "normal",
	[CRIER_PRIORITY_HIGH] = "high",
	[CRIER_PRIORITY_CRITICAL] = "critical",
};

const char *const crier_attribution_status_names[CRIER_ATTRIBUTION_COUNT + 1] = {
	[CRIER_ATTRIBUTION_FULL] = "full",
	[CRIER_ATTRIBUTION_PARTIAL] = "partial",
	[CRIER_ATTRIBUTION_NONE] = "none",
	[CRIER_ATTRIBUTION_HOST] = "host",
};

const char *const crier_source_names[CRIER_SOURCE_COUNT + 1] = {
	[CRIER_SOURCE_CGROUP_PATH] = "cgroup_path",
	[CRIER_SOURCE_PROC] = "proc",
	[CRIER_SOURCE_LOG_DIRECTORY] = "log_directory",
	[CRIER_SOURCE_OCI_BUNDLE] = "oci_bundle",
	[CRIER_SOURCE_CRI_LIST] = "cri_list",
	[CRIER_SOURCE_CRI_EVENT] = "cri_event",
	[CRIER_SOURCE_CRI] = "cri",
};

const char *const crier_stream_names[CRIER_STREAM_COUNT + 1] = {
	[CRIER_STREAM_OPEN] = "open",
	[CRIER_STREAM_BROKEN] = "broken",
	[CRIER_STREAM_NOT_OFFERED] = "not_offered",
	[CRIER_STREAM_SHARED] = "shared",
	[CRIER_STREAM_OFF] = "off",
};

const char *const crier_via_names[CRIER_VIA_COUNT + 1] = {
	[CRIER_VIA_CGROUP_ID] = "cgroup_id", [CRIER_VIA_ANCESTOR] = "ancestor", [CRIER_VIA_HANDLE] = "handle",
	[CRIER_VIA_PROC] = "proc",	     [CRIER_VIA_CRI] = "cri",
};

const char *const crier_reason_names[CRIER_REASON_COUNT + 1] = {
	[CRIER_REASON_CRI_OFF] = "cri_off",	    [CRIER_REASON_CRI_DOWN] = "cri_down",
	[CRIER_REASON_CRI_TIMEOUT] = "cri_timeout", [CRIER_REASON_CRI_NOT_FOUND] = "cri_not_found",
	[CRIER_REASON_CRI_INVALID] = "cri_invalid", [CRIER_REASON_CGROUP_UNKNOWN] = "cgroup_unknown",
	[CRIER_REASON_HOLD_FULL] = "hold_full",	    [CRIER_REASON_TABLE_FULL] = "table_full",
	[CRIER_REASON_POD_LEVEL] = "pod_level",	    [CRIER_REASON_STOPPING] = "stopping",
};

const char *const crier_container_type_names[CRIER_CONTAINER_TYPE_COUNT + 1] = {
	[CRIER_CONTAINER_TYPE_APP] = "app",
	[CRIER_CONTAINER_TYPE_INIT] = "init",
	[CRIER_CONTAINER_TYPE_EPHEMERAL] = "ephemeral",
	[CRIER_CONTAINER_TYPE_SANDBOX] = "sandbox",
};

/* as Kubernetes writes them in pod.status.qosClass */
const char *const crier_qos_names[CRIER_QOS_COUNT + 1] = {
	[CRIER_QOS_GUARANTEED] = "Guaranteed",
	[CRIER_QOS_BURSTABLE] = "Burstable",
	[CRIER_QOS_BEST_EFFORT] = "BestEffort",
};

const char *const crier_exit_cause_names[CRIER_EXIT_CAUSE_COUNT + 1] = {
	[CRIER_EXIT_CAUSE_OOM] = "oom",		[CRIER_EXIT_CAUSE_SIGNAL] = "signal",
	[CRIER_EXIT_CAUSE_EXIT] = "exit",	[CRIER_EXIT_CAUSE_START_FAILED] = "start_failed",
	[CRIER_EXIT_CAUSE_UNKNOWN] = "unknown",
};

const char *const crier_loss_cause_names[CRIER_LOSS_COUNT + 1] = {
	[CRIER_LOSS_RESERVE_FAILED] = "reserve_failed",
	[CRIER_LOSS_SUPPRESSED] = "suppressed",
	[CRIER_LOSS_OUTPUT_BUDGET] = "output_budget",
	[CRIER_LOSS_SINK_FULL] = "sink_full",
	[CRIER_LOSS_HOLD_FULL] = "hold_full",
	[CRIER_LOSS_TOO_LONG] = "too_long",
	[CRIER_LOSS_INVALID_RECORD] = "invalid_record",
	[CRIER_LOSS_RECURSION] = "recursion",
	[CRIER_LOSS_UNREAD] = "unread",
};

const char *const crier_limit_level_names[CRIER_LEVEL_COUNT + 1] = {
	[CRIER_LEVEL_CONTAINER] = "container", [CRIER_LEVEL_POD] = "pod",   [CRIER_LEVEL_QOS] = "qos",
	[CRIER_LEVEL_KUBEPODS] = "kubepods",   [CRIER_LEVEL_NODE] = "node", [CRIER_LEVEL_OTHER] = "other",
};

const char *const crier_state_names[CRIER_STATE_COUNT + 1] = {
	[CRIER_STATE_CREATED] = "created",
	[CRIER_STATE_RUNNING] = "running",
	[CRIER_STATE_EXITED] = "exited",
};

const char *const crier_role_names[CRIER_ROLE_COUNT + 1] = {
	[CRIER_ROLE_INIT] = "init",
	[CRIER_ROLE_MEMBER] = "member",
	[CRIER_ROLE_RUNTIME_HELPER] = "runtime_helper",
};

const char *const crier_basis_names[CRIER_BASIS_COUNT + 1] = {
	[CRIER_BASIS_SAME_TASK] = "same_task",
	[CRIER_BASIS_SIGNAL_TARGET] = "signal_target",
	[CRIER_BASIS_SAME_CGROUP_WINDOW] = "same_cgroup_window",
	[CRIER_BASIS_SAME_SLOT] = "same_slot",
};

/* live is the rule and not written */
const char *const crier_observed_names[CRIER_OBSERVED_COUNT + 1] = {
	[CRIER_OBSERVED_AFTER_THE_FACT] = "after_the_fact",
};

const char *const crier_removed_basis_names[CRIER_REMOVED_COUNT + 1] = {
	[CRIER_REMOVED_RUNTIME] = "runtime",
	[CRIER_REMOVED_CGROUP] = "cgroup",
};

const char *const crier_oom_scope_names[CRIER_OOM_SCOPE_COUNT + 1] = {
	[CRIER_OOM_SCOPE_MEMCG] = "memcg",
	[CRIER_OOM_SCOPE_GLOBAL] = "global",
	[CRIER_OOM_SCOPE_CPUSET] = "cpuset",
};

const char *const crier_found_by_names[CRIER_FOUND_COUNT + 1] = {
	[CRIER_FOUND_OOM_CONTROL] = "oom_control",	 [CRIER_FOUND_OOM_COUNT] = "oom_count",
	[CRIER_FOUND_USAGE_AT_LIMIT] = "usage_at_limit", [CRIER_FOUND_SAME_KILL] = "same_kill",
	[CRIER_FOUND_KERNEL_LOG] = "kernel_log",
};

const char *const crier_pressure_phase_names[CRIER_PHASE_COUNT + 1] = {
	[CRIER_PHASE_ENTER] = "enter",
	[CRIER_PHASE_ONGOING] = "ongoing",
	[CRIER_PHASE_EXIT] = "exit",
};

const char *const crier_pressure_level_names[CRIER_PRESSURE_COUNT + 1] = {
	[CRIER_PRESSURE_HIGH] = "high",
	[CRIER_PRESSURE_CRITICAL] = "critical",
};

const char *const crier_signal_result_names[CRIER_SIGNAL_RESULT_COUNT + 1] = {
	[CRIER_SIGNAL_RESULT_DELIVERED] = "delivered",
	[CRIER_SIGNAL_RESULT_IGNORED] = "ignored",
	[CRIER_SIGNAL_RESULT_PENDING] = "pending",
	[CRIER_SIGNAL_RESULT_OTHER] = "other",
};
