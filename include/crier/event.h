/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event: what decode, lifecycle and the agent fill, and emit writes. What all types have; the data of each is in
 * event_data.h. All slices are borrowed: they die with the record, the container or the message they came from.
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
