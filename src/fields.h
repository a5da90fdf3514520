/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of field tables, and the tables that emit, schema and docs share. Private to them. */
#ifndef CRIER_FIELDS_H
#define CRIER_FIELDS_H

#include "crier/emit.h"
#include "crier/event_data.h"

#define CRIER_TEXT_MAX	   1024 /* a long text (path, message): bytes kept */
#define CRIER_NAME_MAX	   256	/* a name: Kubernetes allows 253 */
#define CRIER_COMM_MAX	   64	/* a task's name has 15 bytes; a thread pool may say more one day */
#define CRIER_ARGS_KEPT	   64
#define CRIER_SENTENCE_MAX 1024

/* One row each; `s` is the struct, `m` its member. */
#define ROW(k, s, m, key_, doc_)                                                                             \
	CRIER_FIELD_KEY(key_), .kind = CRIER_FIELD_##k, .offset = offsetof(s, m), .doc = (doc_)
#define FIELD(k, s, m, key_, doc_)                                                                           \
	{                                                                                                    \
		ROW(k, s, m, key_, doc_)                                                                     \
	}
#define FULL(k, s, m, key_, doc_)                                                                            \
	{                                                                                                    \
		ROW(k, s, m, key_, doc_), .full_only = 1                                                     \
	}
#define TEXT(s, m, key_, max_, doc_)                                                                         \
	{                                                                                                    \
		ROW(TEXT, s, m, key_, doc_), .max = (max_)                                                   \
	}
#define FULL_TEXT(s, m, key_, max_, doc_)                                                                    \
	{                                                                                                    \
		ROW(TEXT, s, m, key_, doc_), .max = (max_), .full_only = 1                                   \
	}
#define ENUM(s, m, key_, names_, count_, doc_)                                                               \
	{                                                                                                    \
		ROW(ENUM, s, m, key_, doc_), .names = (names_), .max = (count_)                              \
	}
/* an ENUM that lean renderings leave out when it has the ordinary value */
#define ENUM_UNLESS(s, m, key_, names_, count_, ordinary_, doc_)                                             \
	{                                                                                                    \
		ROW(ENUM, s, m, key_, doc_), .names = (names_), .max = (count_),                             \
					     .lean_skip = 1 + (ordinary_)                                    \
	}
/* a NAME whose words are few: `words_` ends with NULL, for schema and docs */
#define WORD(s, m, key_, words_, doc_)                                                                       \
	{                                                                                                    \
		ROW(NAME, s, m, key_, doc_), .names = (words_)                                               \
	}
#define OBJECT(s, m, key_, sub_, doc_)                                                                       \
	{                                                                                                    \
		ROW(OBJECT, s, m, key_, doc_), .sub = (sub_)                                                 \
	}
#define FULL_OBJECT(s, m, key_, sub_, doc_)                                                                  \
	{                                                                                                    \
		ROW(OBJECT, s, m, key_, doc_), .sub = (sub_), .full_only = 1                                 \
	}
/* members of the same struct, one level deeper in JSON; `sub` has offsets into the whole struct */
#define GROUP(key_, sub_, doc_)                                                                              \
	{                                                                                                    \
		CRIER_FIELD_KEY(key_), .kind = CRIER_FIELD_OBJECT, .sub = (sub_), .doc = (doc_)              \
	}
#define FULL_GROUP(key_, sub_, doc_)                                                                         \
	{                                                                                                    \
		CRIER_FIELD_KEY(key_), .kind = CRIER_FIELD_OBJECT, .sub = (sub_), .doc = (doc_),             \
				       .full_only = 1                                                        \
	}
#define ARRAY(s, m, count_, key_, max_, item_, sub_, doc_)                                                   \
	{                                                                                                    \
		ROW(ARRAY, s, m, key_, doc_), .max = (max_), .count_offset = offsetof(s, count_),            \
					      .item_size = sizeof(item_), .sub = (sub_)                      \
	}
#define TEXTS(s, m, count_, key_, max_, doc_)                                                                \
	{                                                                                                    \
		ROW(TEXTS, s, m, key_, doc_), .max = (max_), .count_offset = offsetof(s, count_)             \
	}
#define FIELDS_END                                                                                           \
	{                                                                                                    \
		.kind = CRIER_FIELD_END                                                                      \
	}

/* ---- what emit puts together itself before it writes: the parts of a line that no event struct holds ---- */

struct crier_view_head {
	const char *schema;
	const char *instance;
	uint64_t seq;
	const char *type;
	uint64_t ts, boottime_ns;
	uint8_t severity, priority;
	struct crier_slice summary;
	const char *filter;
	const char *hook;
	uint64_t cpu;
};

struct crier_view_node {
	struct crier_slice cluster, node;
};

struct crier_view_pod {
	struct crier_slice namespace_, name, uid, ip;
	const struct crier_meta_labels *labels;
	struct crier_slice container_name;
	uint64_t restart_count;
	struct crier_slice replicaset, deployment;
	const char *workload_kind;
	uint8_t qos;
};

struct crier_view_correlation {
	struct crier_slice container_id, pod_uid, cgroup_path, node_name;
	uint64_t process_id;
	struct crier_process_key process, parent;
	struct crier_slot_name slot;
	uint64_t incident;
	const struct crier_cause *causes;
	size_t cause_count;
};

extern const struct crier_field crier_head_fields[];	    /* struct crier_view_head */
extern const struct crier_field crier_process_fields[];	    /* struct crier_process */
extern const struct crier_field crier_actor_fields[];	    /* struct crier_actor */
extern const struct crier_field crier_cgroup_fields[];	    /* struct crier_cgroup_ref */
extern const struct crier_field crier_container_fields[];   /* struct crier_container */
extern const struct crier_field crier_k8s_node_fields[];    /* struct crier_view_node */
extern const struct crier_field crier_k8s_pod_fields[];	    /* struct crier_view_pod */
extern const struct crier_field crier_attribution_fields[]; /* struct crier_attribution */
extern const struct crier_field crier_correlation_fields[]; /* struct crier_view_correlation */

/* Data blocks (fields_container.c, fields_agent.c). */
extern const struct crier_field crier_created_fields[];
extern const struct crier_field crier_started_fields[];
extern const struct crier_field crier_exited_fields[];
extern const struct crier_field crier_removed_fields[];
extern const struct crier_field crier_resolved_fields[];
extern const struct crier_field crier_snapshot_fields[];
extern const struct crier_field crier_oom_fields[];
extern const struct crier_field crier_pressure_fields[];
extern const struct crier_field crier_throttle_fields[];
extern const struct crier_field crier_exec_fields[];
extern const struct crier_field crier_fork_fields[];
extern const struct crier_field crier_exit_fields[];
extern const struct crier_field crier_signal_fields[];
extern const struct crier_field crier_node_pressure_fields[];
extern const struct crier_field crier_agent_start_fields[];
extern const struct crier_field crier_health_fields[];
extern const struct crier_field crier_stats_fields[];
extern const struct crier_field crier_loss_fields[];
extern const struct crier_field crier_stop_fields[];

#endif
