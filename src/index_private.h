/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the index share: index.c, index_pod.c, index_merge.c, index_labels.c, index_slot.c, index_text.c. Nobody
 * else includes it.
 */
#ifndef CRIER_INDEX_PRIVATE_H
#define CRIER_INDEX_PRIVATE_H

#include "crier/base/hash.h"
#include "crier/base/map.h"
#include "crier/index.h"

/* Rows of the tables in index_merge.c; each field remembers the source that filled it. */
enum container_field {
	CONTAINER_NAME,
	CONTAINER_IMAGE,
	CONTAINER_IMAGE_ID,
	CONTAINER_REASON,
	CONTAINER_MESSAGE,
	CONTAINER_RESTART_COUNT,
	CONTAINER_MEMORY_LIMIT,
	CONTAINER_CPU_QUOTA,
	CONTAINER_CPU_PERIOD,
	CONTAINER_GRACE_PERIOD,
	CONTAINER_CREATED_AT,
	CONTAINER_STARTED_AT,
	CONTAINER_FINISHED_AT,
	CONTAINER_EXIT_CODE,
	CONTAINER_INIT_PID,
	CONTAINER_TABLE_COUNT,
	/* kept by hand */
	CONTAINER_SANDBOX_ID = CONTAINER_TABLE_COUNT,
	CONTAINER_POD,
	CONTAINER_TYPE,
	CONTAINER_FIELD_COUNT,
};

enum pod_field {
	POD_NAME,
	POD_NAMESPACE,
	POD_IP,
	POD_CREATED_AT,
	POD_TABLE_COUNT,
	/* kept by hand */
	POD_UID = POD_TABLE_COUNT,
	POD_QOS,
	POD_LABELS,
	POD_FIELD_COUNT,
};

struct container_entry {
	struct crier_container container;
	uint64_t buried_ns;
	uint32_t visit; /* the last crier_index_each that told it */
	bool is_tombstone;
	uint8_t rank[CONTAINER_FIELD_COUNT]; /* enum crier_source */
	char id[];			     /* what container.id points to */
};

struct pod_entry {
	struct crier_pod pod;
	uint64_t serial; /* order of birth: of several sandboxes with one uid the youngest is meant */
	uint8_t rank[POD_FIELD_COUNT];
};

struct crier_index {
	struct crier_index_limits limits;
	struct crier_map containers, pods_by_sandbox, pods_by_uid, slots;
	struct crier_map texts, labels;	      /* those that many have in common */
	struct crier_list living, tombstones; /* oldest first */
	struct crier_list pods, pods_gone;    /* oldest first */
	struct crier_list slots_fresh;	      /* last death within slot_age_ns, oldest first */
	struct crier_list slots_stale;	      /* within an hour: for restarts_1h only */
	char *runtime_name, *runtime_version;
	void (*on_drop)(void *ctx, struct crier_container *container);
	void *on_drop_ctx;
	void (*on_pod_drop)(void *ctx, struct crier_pod *pod, struct crier_pod *into);
	void *on_pod_drop_ctx;
	uint64_t next_serial;
	uint32_t visit;
	struct crier_index_counts counts;
};

static inline struct container_entry *container_entry_of(struct crier_container *container)
{
	return crier_container_of(container, struct container_entry, container);
}

static inline struct pod_entry *pod_entry_of(struct crier_pod *pod)
{
	return crier_container_of(pod, struct pod_entry, pod);
}

static inline uint64_t hash_text(struct crier_slice text)
{
	return crier_hash_bytes(text.ptr, text.len);
}

/**
 * A sandbox's id is held by its pod and each of its containers, of which there may be thousands: one text for all of them.
 * Never NULL: "" is not known, and not counted.
 */
int crier_index_share_set(const char **shared, struct crier_slice text) crier_must_check;
/** Hold what another holds. */
void crier_index_share_take(const char **shared, const char *from);
void crier_index_share_done(const char **shared);

/** Replace an owned text by a copy, cut at CRIER_META_STRING_MAX. @return 0 or -ENOMEM */
int crier_index_text_set(struct crier_slice *owned, struct crier_slice text);
void crier_index_text_done(struct crier_slice *owned);

/**
 * Hold a text that many have in common, cut at CRIER_META_STRING_MAX: equal ones of an index are one, some 50 ns to find.
 * Never to be mixed with owned ones. @return 0 or -ENOMEM: what was held is held still
 */
int crier_index_common_set(struct crier_index *index, struct crier_slice *held,
			   struct crier_slice text) crier_must_check;
void crier_index_common_done(struct crier_index *index, struct crier_slice *held);

static inline struct crier_slice crier_index_cut(struct crier_slice text)
{
	text.len = crier_min(text.len, (size_t)CRIER_META_STRING_MAX);
	return text;
}

/** Keep what the allow-list lets through. @return 1 changed, 0 not, -ENOMEM */
int crier_index_merge_labels(struct crier_index *index, struct pod_entry *entry,
			     const struct crier_meta_labels *told, enum crier_source source,
			     const char *const *allowed);
void crier_index_labels_done(struct crier_index *index, const struct crier_meta_labels **held);
/** ReplicaSet and Deployment by the pod's name and what was told, allowed or not. @return 1 changed, 0 not, -ENOMEM */
int crier_index_merge_workload(struct crier_index *index, struct crier_pod *pod,
			       const struct crier_meta_labels *labels);

/** The pod that a sandbox id and uid (either may be empty) name by now; NULL if none. */
struct crier_pod *crier_index_pod_find(struct crier_index *index, struct crier_slice sandbox_id,
				       struct crier_slice uid);
/** crier_index_pod_add with the source that told the pair. @return also -EEXIST: the sandbox has another uid */
int crier_index_pod_add_from(struct crier_index *index, struct crier_slice sandbox_id, struct crier_slice uid,
			     enum crier_source source, struct crier_pod **ret_pod);
/** Give a pod the sandbox id it lacks and the uid; a pod known by this uid alone is merged into it. @return as above */
int crier_index_pod_identify(struct crier_index *index, struct crier_pod *pod, struct crier_slice sandbox_id,
			     struct crier_slice uid, enum crier_source source);
/** Attach whatever was attached before, and remember who said so. */
void crier_index_container_attach(struct crier_container *container, struct crier_pod *pod,
				  enum crier_source source);
/** A container whose id is its pod's sandbox id is the sandbox. @return true if that was news */
bool crier_index_mark_sandbox(struct crier_container *container, struct crier_pod *pod);
/** Move what `from` knows and `into` does not. */
void crier_index_pod_absorb_fields(struct pod_entry *into, struct pod_entry *from);
void crier_index_pods_expire(struct crier_index *index, uint64_t now_ns);
void crier_index_pods_free(struct crier_index *index);

void crier_index_slots_expire(struct crier_index *index, uint64_t now_ns);
void crier_index_slots_forget(struct crier_index *index, struct crier_slice pod_uid);
void crier_index_slots_free(struct crier_index *index);

#endif
