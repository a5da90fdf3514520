/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who lives on the node: containers by id, pods by sandbox id and uid, the dead as tombstones, and the last death of
 * each slot (pod uid + container name). Bounded by count; the oldest tombstones go first. Pure: time is an argument,
 * nothing is asked or written. All of it belongs to the pipeline's thread.
 */
#ifndef CRIER_INDEX_H
#define CRIER_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/list.h"
#include "crier/event.h"
#include "crier/meta.h"

#define CRIER_ID_MAX	   128 /* container or sandbox id, bytes with NUL */
#define CRIER_UID_MAX	   64
#define CRIER_FRAGMENT_MAX (24 * 1024)

struct crier_index;

struct crier_index_limits {
	uint32_t containers;	   /* living; 16,384 */
	uint32_t tombstones;	   /* 10,000 */
	uint64_t tombstone_age_ns; /* 5 min */
	uint64_t slot_age_ns;	   /* 15 min, or until its sandbox is removed */
	uint32_t slots;		   /* 16,384 */
};

/* Texts are of the index, NUL-terminated for convenience, `len` is the truth; ptr NULL = unknown. Equal "common" ones are one. */
struct crier_pod {
	uint32_t version; /* rises with each change: fragments of its containers are stale */
	uint8_t qos;	  /* enum crier_qos */
	uint8_t source;	  /* enum crier_source: best so far */
	struct crier_slice name, ip;
	struct crier_slice namespace_; /* common */
	char uid[CRIER_UID_MAX];
	const char *
		sandbox_id; /* "" = known by uid only (cgroup path); of the index, shared with its containers */
	/* Allow-listed; common; NULL = unknown. Only `count` items are allocated: never copy it. */
	const struct crier_meta_labels *labels;
	struct crier_slice replicaset; /* proven by pod-template-hash; common */
	struct crier_slice deployment; /* inferred; common */
	uint64_t created_at_ns;
	uint32_t references;
	uint64_t generation; /* of the last list that named its sandbox; 0 = none yet */
	uint64_t gone_ns; /* boottime when its sandbox was removed, 0 = alive; set by crier_index_pod_gone */
	struct crier_list by_age; /* of the index */
};

enum crier_container_phase {
	CRIER_PHASE_CONTAINER_NEW = 0,
	CRIER_PHASE_CONTAINER_CREATED, /* cgroup exists or CRI said so */
	CRIER_PHASE_CONTAINER_RUNNING, /* init executed */
	CRIER_PHASE_CONTAINER_ENDING,  /* its death was seen, waiting for the runtime's word */
	CRIER_PHASE_CONTAINER_EXITED,
	CRIER_PHASE_CONTAINER_REMOVED,
};

/* What every event looks at comes first, together. */
struct crier_container {
	struct crier_pod *pod; /* NULL = not known */
	void *life;	       /* struct crier_life of src/pipeline, owned by it */
	void *fragment; /* what its lines have in common, rendered by emit; one allocation; NULL = to be rendered */
	struct crier_slice name; /* common */
	uint64_t init_pid;	 /* UNKNOWN until something states it */
	uint64_t init_start_ns;	 /* boottime of its start, UNKNOWN until an event or seed told */
	uint32_t version;	 /* rises with each change */
	uint8_t type;		 /* enum crier_container_type */
	uint8_t source;		 /* enum crier_source: best that filled the identity */
	uint8_t phase;		 /* enum crier_container_phase */
	uint8_t id_len;		 /* of `id` */

	struct crier_list by_age; /* of the index: living or tombstones */
	const char *id;		  /* lives as long as the container */
	uint8_t cri_state; /* enum crier_meta_state, the furthest told: answers may overtake each other */
	struct crier_slice image, image_id; /* common */
	struct crier_slice runtime_reason;  /* of its exit; common */
	struct crier_slice runtime_message; /* of its exit */
	const char *sandbox_id;		    /* "" = not known; of the index */
	const char *runtime_name;	    /* static or owned by the index: "containerd" */
	const char *runtime_version;
	uint64_t restart_count;
	uint64_t memory_limit_bytes, cpu_quota_us, cpu_period_us;
	uint64_t grace_period_s;
	uint64_t created_at_ns, started_at_ns, finished_at_ns; /* unix, as the runtime says */
	int64_t runtime_exit_code;
	uint64_t cgroup_id;  /* primary hierarchy; UNKNOWN */
	uint64_t created_ns; /* boottime: first seen */
	uint64_t running_ns; /* boottime: init executed */
	uint64_t died_ns;    /* boottime: death seen; 0 = alive */
};

struct crier_slot_death {
	char container_id[CRIER_ID_MAX];
	uint8_t cause;
	int64_t exit_code;
	uint64_t incident;  /* UNKNOWN */
	uint64_t seq;	    /* of its container.exited line; UNKNOWN = filtered */
	uint64_t died_ns;   /* boottime */
	uint64_t exited_at; /* unix ns */
	uint32_t restarts_1h;
};

/** @param limits  copied. @return 0 or -ENOMEM; the caller owns the result */
int crier_index_new(const struct crier_index_limits *limits, struct crier_index **ret_index) crier_must_check;
/** Drop everything, each container through crier_index_on_drop. Accepts NULL. */
void crier_index_free(struct crier_index *index);

/** Called before a container's memory is given back (tombstone expired or evicted); its `life` must be freed there. */
void crier_index_on_drop(struct crier_index *index, void (*fn)(void *ctx, struct crier_container *container),
			 void *ctx);

/** Living or tombstone; NULL if unknown. ~50 ns. */
struct crier_container *crier_index_container(struct crier_index *index, struct crier_slice id);

/** Find or add. @return 0; -EINVAL (empty or longer than CRIER_ID_MAX-1), -ENOSPC (the bound; counted), -ENOMEM */
int crier_index_container_add(struct crier_index *index, struct crier_slice id, uint64_t now_ns,
			      struct crier_container **ret_container) crier_must_check;

/** To the tombstones: kept tombstone_age_ns; above the bound the oldest goes at once. Idempotent. */
void crier_index_container_bury(struct crier_index *index, struct crier_container *container,
				uint64_t now_ns);
/** Back from the tombstones: it was buried too early. Idempotent; may exceed the bound of living ones by as many. */
void crier_index_container_revive(struct crier_index *index, struct crier_container *container);
bool crier_index_is_tombstone(const struct crier_container *container);

/** Name and version of the runtime, copied, for all containers that the CRI told of. @return 0 or -ENOMEM */
int crier_index_set_runtime(struct crier_index *index, struct crier_slice name, struct crier_slice version);

/** The pod of a sandbox id, gone ones too; NULL if unknown. ~50 ns. */
struct crier_pod *crier_index_pod_by_sandbox(struct crier_index *index, struct crier_slice sandbox_id);
/** The pod of a uid: of several sandboxes the youngest that is not gone; NULL if unknown. ~50 ns. */
struct crier_pod *crier_index_pod_by_uid(struct crier_index *index, struct crier_slice uid);
/**
 * Find or add by uid (from a cgroup path) or by sandbox id; either may be empty. A pod known by its uid alone gets the
 * sandbox id told with it; if both were known apart, the one without sandbox id is merged into the other (see
 * crier_index_on_pod_drop). A container whose id is the sandbox id becomes the pod's SANDBOX container.
 * @return 0; -EINVAL (both empty, too long, NUL inside), -EEXIST (the sandbox has another uid), -ENOSPC, -ENOMEM
 */
int crier_index_pod_add(struct crier_index *index, struct crier_slice sandbox_id, struct crier_slice uid,
			struct crier_pod **ret_pod) crier_must_check;
/** Attach as a cgroup path tells it (weakest source); what merge_container tells replaces it. */
void crier_index_container_set_pod(struct crier_index *index, struct crier_container *container,
				   struct crier_pod *pod);
/** From a cgroup path or the sandbox's cgroup parent. @return 1 if it changed, else 0 */
int crier_index_pod_set_qos(struct crier_index *index, struct crier_pod *pod, enum crier_qos qos,
			    enum crier_source source);
/** Its sandbox is removed: kept while containers refer to it, at least tombstone_age_ns; its slots are forgotten. Idempotent. */
void crier_index_pod_gone(struct crier_index *index, struct crier_pod *pod, uint64_t now_ns);
/** It is there after all; merge_pod with what CRI tells does it too. */
void crier_index_pod_revive(struct crier_index *index, struct crier_pod *pod);
/** Called before a pod's memory is given back. `into`: the pod that it was merged into, NULL = it is gone for good. */
void crier_index_on_pod_drop(struct crier_index *index,
			     void (*fn)(void *ctx, struct crier_pod *pod, struct crier_pod *into), void *ctx);
/** Every pod that is not gone, oldest first. crier_index_pod_gone of the current one is allowed. */
void crier_index_pods_each(struct crier_index *index, bool (*fn)(void *ctx, struct crier_pod *pod),
			   void *ctx);

/**
 * Merge what a source told: fills what is unset, replaces what a weaker source had filled, field by field; an equal source's
 * newer word replaces its older one. Identity (name, namespace, uid, sandbox, pod) never changes once an equal or better
 * source set it: such a message is refused whole. merge_container also adds and attaches the pod it names.
 * @param labels_allowed  NULL-terminated allow-list of exact keys and `prefix*` patterns; borrowed for the call
 * @return 1 if anything changed, 0 if not, -EEXIST on a contradiction (counted in crier_index_counts), -ENOSPC, -ENOMEM
 */
int crier_index_merge_container(struct crier_index *index, struct crier_container *container,
				const struct crier_meta_container *meta, enum crier_source source);
int crier_index_merge_pod(struct crier_index *index, struct crier_pod *pod, const struct crier_meta_pod *meta,
			  enum crier_source source, const char *const *labels_allowed);

/** namespace, pod name, pod uid, container name and id known (a sandbox needs no container name). */
bool crier_container_is_identified(const struct crier_container *container);

/** Last death of (pod uid, container name), up to slot_age_ns old; NULL if none is remembered. Borrowed until the next call. */
const struct crier_slot_death *crier_index_slot(struct crier_index *index, struct crier_slice pod_uid,
						struct crier_slice name);
/**
 * Remember a death; restarts_1h is set by the index to the deaths of this slot within an hour, this one included, counted by
 * whole minutes. The same container id again corrects the death told before. In a full table the oldest death gives way.
 * @return 0; -EINVAL (no or too long uid or name), -ENOSPC (no slots at all), -ENOMEM
 */
int crier_index_slot_set(struct crier_index *index, struct crier_slice pod_uid, struct crier_slice name,
			 const struct crier_slot_death *death);

/** Drop tombstones, slots and pods over age. Cheap when nothing is due. */
void crier_index_expire(struct crier_index *index, uint64_t now_ns);

struct crier_index_counts {
	uint32_t containers, tombstones, pods, slots;
	uint64_t refused_full, contradictions, tombstones_evicted;
};
/** How many there are, and how often a bound or a contradiction was met. O(1). */
void crier_index_counts(const struct crier_index *index, struct crier_index_counts *ret_counts);

/** Every container, living ones first; for snapshot, ps, reconcile. Removal of the current one is allowed. */
void crier_index_each(struct crier_index *index, bool (*fn)(void *ctx, struct crier_container *container),
		      void *ctx);

#endif
