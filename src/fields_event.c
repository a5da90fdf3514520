/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of what every line may have: the envelope and its blocks. */
#include "fields.h"
#include "crier/names.h"

/* ---- head ---- */

static const struct crier_field probe_fields[] = {
	FIELD(NAME, struct crier_view_head, hook, "hook",
	      "The kernel program that saw it, as kind:function; `user` when no kernel program did (runtime, cgroupfs, /proc)."),
	FIELD(UINT, struct crier_view_head, cpu, "cpu", "CPU it ran on."),
	FIELDS_END,
};

static const char *const schema_words[] = {"crier/1", NULL};
static const char *const filter_words[] = {"undetermined", NULL};

const struct crier_field crier_head_fields[] = {
	WORD(struct crier_view_head, schema, "schema", schema_words, "Version of this schema."),
	FIELD(NAME, struct crier_view_head, instance, "instance",
	      "One run of crier on one node: eight hexadecimal digits, new at each start."),
	FIELD(UINT, struct crier_view_head, seq, "seq",
	      "Number of the line within its instance, without gaps. (instance, seq) is the key to dedupe by."),
	FIELD(EVENT_ID, struct crier_view_head, seq, "event_id", "instance and seq as one string."),
	FIELD(NAME, struct crier_view_head, type, "type", "What happened; one of the types below."),
	FIELD(TIME, struct crier_view_head, ts, "ts",
	      "When it happened: boottime plus the clock's offset when the line was made."),
	FIELD(ID, struct crier_view_head, boottime_ns, "boottime_ns",
	      "When it happened on CLOCK_BOOTTIME, nanoseconds: never set back, so the order to sort by."),
	ENUM(struct crier_view_head, severity, "severity", crier_severity_names, CRIER_SEVERITY_COUNT,
	     "How bad it is for the workload or for crier."),
	ENUM(struct crier_view_head, priority, "priority", crier_priority_names, CRIER_PRIORITY_COUNT,
	     "How soon a consumer should look."),
	{ROW(SENTENCE, struct crier_view_head, summary, "summary",
	     "One sentence for people. Never ends in text that a workload chose. Not for parsing."),
	 .max = CRIER_SENTENCE_MAX},
	WORD(struct crier_view_head, filter, "filter", filter_words,
	     "undetermined: a filter asked for a field that was not known, so the event passed."),
	GROUP("probe", probe_fields, "How crier saw it."),
	FIELDS_END,
};

/* ---- process: the subject ---- */

static const struct crier_field executable_fields[] = {
	{ROW(BASENAME, struct crier_process, executable_path, "name", "Last part of the path."),
	 .max = CRIER_NAME_MAX, .full_only = 1},
	TEXT(struct crier_process, executable_path, "path", CRIER_TEXT_MAX,
	     "The program's file as it was executed (may be relative), or /proc/PID/exe."),
	FIELDS_END,
};

static const struct crier_field user_fields[] = {
	FIELD(UINT, struct crier_process, user_id, "id", "Effective user id in the initial user namespace."),
	FIELDS_END,
};

const struct crier_field crier_process_fields[] = {
	FIELD(UINT, struct crier_process, pid, "pid",
	      "Process id (thread group) in the host's pid namespace."),
	FIELD(UINT, struct crier_process, tid, "tid", "The thread that did it, where it was not the first."),
	FIELD(UINT, struct crier_process, vpid, "vpid", "Process id as the container itself counts."),
	FIELD(UINT, struct crier_process, parent_pid, "parent_pid",
	      "Its parent, in the host's pid namespace."),
	TEXT(struct crier_process, comm, "comm", CRIER_COMM_MAX,
	     "Name of the task, as it called itself: any bytes, at most 15."),
	GROUP("executable", executable_fields, "The program."),
	GROUP("user", user_fields, "Whom it ran as."),
	FULL(ID, struct crier_process, start_boottime_ns, "start_boottime_ns",
	     "When the process was forked, nanoseconds on CLOCK_BOOTTIME."),
	ENUM_UNLESS(
		struct crier_process, role, "role", crier_role_names, CRIER_ROLE_COUNT, CRIER_ROLE_MEMBER,
		"What it is to its container: its first process, a later one, or the runtime's own before init executes."),
	FIELDS_END,
};

/* ---- actor ---- */

static const struct crier_field actor_container_fields[] = {
	{ROW(TEXT, struct crier_actor, container_id, "id", "Container id."), .max = CRIER_ID_MAX},
	TEXT(struct crier_actor, container_name, "name", CRIER_NAME_MAX, "Container name."),
	FIELDS_END,
};
static const struct crier_field actor_namespace_fields[] = {
	TEXT(struct crier_actor, pod_namespace, "name", CRIER_NAME_MAX, "Namespace."),
	FIELDS_END,
};
static const struct crier_field actor_pod_fields[] = {
	TEXT(struct crier_actor, pod_name, "name", CRIER_NAME_MAX, "Pod name."),
	FIELDS_END,
};
static const struct crier_field actor_k8s_fields[] = {
	GROUP("namespace", actor_namespace_fields, "The actor's namespace."),
	GROUP("pod", actor_pod_fields, "The actor's pod."),
	FIELDS_END,
};

const struct crier_field crier_actor_fields[] = {
	FIELD(UINT, struct crier_actor, pid, "pid", "Process id in the host's pid namespace."),
	TEXT(struct crier_actor, comm, "comm", CRIER_COMM_MAX, "Name of the task."),
	FIELD(PROCESS_KEY, struct crier_actor, key, "process_key", "boot:pid:start, as in correlation."),
	GROUP("container", actor_container_fields,
	      "The actor's container; absent for a process of the host."),
	GROUP("k8s", actor_k8s_fields, "The actor's pod; absent for a process of the host."),
	FIELDS_END,
};

/* ---- cgroup ---- */

const struct crier_field crier_cgroup_fields[] = {
	FIELD(ID, struct crier_cgroup_ref, id, "id", "Cgroup id: the inode of its directory."),
	TEXT(struct crier_cgroup_ref, path, "path", CRIER_TEXT_MAX, "Path below the hierarchy's root."),
	FULL(UINT, struct crier_cgroup_ref, version, "version", "Of the hierarchy: 1 or 2."),
	FIELDS_END,
};

/* ---- container ---- */

static const struct crier_field runtime_fields[] = {
	{ROW(CSTR, struct crier_container, runtime_name, "name", "Name of the container runtime."),
	 .max = CRIER_NAME_MAX},
	{ROW(CSTR, struct crier_container, runtime_version, "version", "Its version."),
	 .max = CRIER_NAME_MAX},
	FIELDS_END,
};
static const struct crier_field image_fields[] = {
	TEXT(struct crier_container, image, "name", 512, "Image as the pod asked for it."),
	TEXT(struct crier_container, image_id, "id", 512, "Image id as the runtime tells it."),
	FIELDS_END,
};
static const struct crier_field limit_fields[] = {
	FIELD(UINT, struct crier_container, memory_limit_bytes, "memory_bytes",
	      "Memory limit; absent without one."),
	FIELD(UINT, struct crier_container, cpu_quota_us, "cpu_quota_us",
	      "CPU time per period; absent without one."),
	FIELD(UINT, struct crier_container, cpu_period_us, "cpu_period_us", "Period of the CPU quota."),
	FIELDS_END,
};

const struct crier_field crier_container_fields[] = {
	FIELD(WHOLE, struct crier_container, id, "id", "Container id, never cut."),
	{ROW(TEXT, struct crier_container, name, "name", "Container name in its pod."), .max = CRIER_NAME_MAX,
	 .full_only = 1},
	{ROW(ENUM, struct crier_container, type, "type",
	     "What kind of container, where something states it."),
	 .names = crier_container_type_names, .max = CRIER_CONTAINER_TYPE_COUNT, .full_only = 1},
	FULL_GROUP("runtime", runtime_fields, "The runtime that runs it."),
	FULL_GROUP("image", image_fields, "Its image."),
	FULL(TIME, struct crier_container, created_at_ns, "created_at", "When the runtime created it."),
	FULL(TIME, struct crier_container, started_at_ns, "started_at", "When the runtime started it."),
	FULL(TIME, struct crier_container, finished_at_ns, "finished_at",
	     "When it ended, as the runtime says."),
	FULL(UINT, struct crier_container, init_pid, "init_pid",
	     "Its first process, in the host's pid namespace."),
	FULL_GROUP("limits", limit_fields, "Limits as the runtime was told."),
	FIELDS_END,
};

/* ---- k8s: the node's part, and the pod's which is rendered once per change ---- */

static const struct crier_field cluster_fields[] = {
	TEXT(struct crier_view_node, cluster, "name", CRIER_NAME_MAX, "Cluster name, from --cluster-name."),
	FIELDS_END,
};
static const struct crier_field node_fields[] = {
	TEXT(struct crier_view_node, node, "name", CRIER_NAME_MAX,
	     "Node name, from --node-name or NODE_NAME, else the host's name."),
	FIELDS_END,
};

const struct crier_field crier_k8s_node_fields[] = {
	GROUP("cluster", cluster_fields, "The cluster."),
	GROUP("node", node_fields, "The node."),
	FIELDS_END,
};

static const struct crier_field namespace_fields[] = {
	TEXT(struct crier_view_pod, namespace_, "name", CRIER_NAME_MAX, "Namespace."),
	FIELDS_END,
};
static const struct crier_field pod_fields[] = {
	TEXT(struct crier_view_pod, name, "name", CRIER_NAME_MAX, "Pod name."),
	TEXT(struct crier_view_pod, uid, "uid", CRIER_UID_MAX,
	     "Pod uid; for a static pod the hash that kubelet gives it."),
	FULL_TEXT(struct crier_view_pod, ip, "ip", 64, "Pod address."),
	FULL(LABELS, struct crier_view_pod, labels, "label", "Labels of the allow-list (--label)."),
	FIELDS_END,
};
static const struct crier_field k8s_container_fields[] = {
	TEXT(struct crier_view_pod, container_name, "name", CRIER_NAME_MAX,
	     "Container name in the pod's spec."),
	FULL(UINT, struct crier_view_pod, restart_count, "restart_count",
	     "Restarts before this container, as kubelet counts."),
	FIELDS_END,
};
static const struct crier_field replicaset_fields[] = {
	TEXT(struct crier_view_pod, replicaset, "name", CRIER_NAME_MAX,
	     "ReplicaSet, proven by the pod-template-hash label."),
	FIELDS_END,
};
static const struct crier_field inferred_fields[] = {
	FIELD(NAME, struct crier_view_pod, workload_kind, "kind", "Kind of the workload."),
	TEXT(struct crier_view_pod, deployment, "name", CRIER_NAME_MAX,
	     "Its name, guessed from the ReplicaSet's."),
	FIELDS_END,
};
static const struct crier_field workload_fields[] = {
	GROUP("inferred", inferred_fields, "Likely, not proven: crier does not ask the Kubernetes API."),
	FIELDS_END,
};

const struct crier_field crier_k8s_pod_fields[] = {
	GROUP("namespace", namespace_fields, "The pod's namespace."),
	GROUP("pod", pod_fields, "The pod."),
	GROUP("container", k8s_container_fields,
	      "The container as Kubernetes names it; absent for a sandbox."),
	FULL_GROUP("replicaset", replicaset_fields, "The pod's ReplicaSet."),
	FULL_GROUP("workload", workload_fields, "What the pod belongs to."),
	{ROW(ENUM, struct crier_view_pod, qos, "qos_class", "The pod's QoS class."), .names = crier_qos_names,
	 .max = CRIER_QOS_COUNT, .full_only = 1},
	FIELDS_END,
};

/* ---- attribution ---- */

const struct crier_field crier_attribution_fields[] = {
	ENUM(struct crier_attribution, status, "status", crier_attribution_status_names,
	     CRIER_ATTRIBUTION_COUNT,
	     "full: namespace, pod, uid, container name and id were known when the line left; partial: some of them; none: not even "
	     "the container; host: it belongs to no container."),
	ENUM(struct crier_attribution, source, "source", crier_source_names, CRIER_SOURCE_COUNT,
	     "The best source of the identity."),
	ENUM_UNLESS(struct crier_attribution, via, "via", crier_via_names, CRIER_VIA_COUNT,
		    CRIER_VIA_CGROUP_ID, "How the event led to the container."),
	ENUM(struct crier_attribution, reason, "reason", crier_reason_names, CRIER_REASON_COUNT,
	     "Why it is not full."),
	{ROW(UINT, struct crier_attribution, wait_us, "wait_us",
	     "How long the event was held: for its metadata or, the exit of an OOM victim, for its kill's record."),
	 .lean_skip = 1 + 0},
	FIELDS_END,
};

/* ---- correlation ---- */

static const struct crier_field cause_fields[] = {
	FIELD(EVENT_ID, struct crier_cause, seq, "event_id",
	      "The line that told the cause; absent when it was filtered."),
	ENUM(struct crier_cause, kind, "kind", crier_type_names, CRIER_TYPE_COUNT, "Its type."),
	ENUM(struct crier_cause, basis, "basis", crier_basis_names, CRIER_BASIS_COUNT,
	     "Why it is called a cause."),
	FIELD(UINT, struct crier_cause, delta_ms, "delta_ms",
	      "Time from the cause to this event, milliseconds."),
	FIELD(FLAG, struct crier_cause, filtered, "filtered",
	      "The cause was seen, but no line was asked for."),
	FIELDS_END,
};

const struct crier_field crier_correlation_fields[] = {
	FULL_TEXT(struct crier_view_correlation, container_id, "container_id", CRIER_ID_MAX,
		  "As container.id."),
	FULL_TEXT(struct crier_view_correlation, pod_uid, "pod_uid", CRIER_UID_MAX, "As k8s.pod.uid."),
	FULL(UINT, struct crier_view_correlation, process_id, "process_id", "As process.pid."),
	FIELD(PROCESS_KEY, struct crier_view_correlation, process, "process_key",
	      "boot:pid:start of the subject: one process over the node's life, safe against pid reuse."),
	FIELD(PROCESS_KEY, struct crier_view_correlation, parent, "parent_process_key",
	      "The same of its parent."),
	FIELD(SLOT, struct crier_view_correlation, slot, "container_slot",
	      "Pod uid and container name: the same before and after a restart."),
	FULL_TEXT(struct crier_view_correlation, cgroup_path, "cgroup_path", CRIER_TEXT_MAX,
		  "As cgroup.path."),
	FULL_TEXT(struct crier_view_correlation, node_name, "node_name", CRIER_NAME_MAX, "As k8s.node.name."),
	FIELD(INCIDENT_ID, struct crier_view_correlation, incident, "incident_id",
	      "One death: pressure, OOM, signals, exits and the container's end share it."),
	ARRAY(struct crier_view_correlation, causes, cause_count, "caused_by", CRIER_CAUSES_MAX,
	      struct crier_cause, cause_fields, "What led to it, nearest first: facts and joins only."),
	FIELDS_END,
};
