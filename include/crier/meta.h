/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is told about containers and pods by the runtime: plain structs of borrowed slices, and their
 * encoding as one flat blob. The CRI thread encodes, the mailbox carries, `crier record` writes the blob as
 * it is, the pipeline decodes: so live and replayed runs see the same bytes. Pure.
 *
 * Everything in here comes from the runtime and is untrusted: any bytes, any numbers. Absent: slice with NULL ptr,
 * integers CRIER_UNKNOWN_U64 / CRIER_UNKNOWN_I64.
 */
#ifndef CRIER_META_H
#define CRIER_META_H

#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/str.h"

#define CRIER_UNKNOWN_U64 UINT64_MAX
#define CRIER_UNKNOWN_I64 INT64_MIN

#define CRIER_META_LABELS_MAX 64	  /* labels kept of one object; more are dropped and counted */
#define CRIER_META_STRING_MAX 4096	  /* any one string; longer ones are cut and counted */
#define CRIER_META_BLOB_MAX   (64 * 1024) /* one encoded message */

struct crier_meta_label {
	struct crier_slice key;
	struct crier_slice value;
};

struct crier_meta_labels {
	size_t count;
	size_t dropped; /* labels the object had beyond CRIER_META_LABELS_MAX or the blob's room; 0 = none */
	struct crier_meta_label items[CRIER_META_LABELS_MAX];
};

enum crier_meta_state {
	CRIER_STATE_UNKNOWN = 0,
	CRIER_STATE_CREATED,
	CRIER_STATE_RUNNING,
	CRIER_STATE_EXITED,
	CRIER_STATE_COUNT,
};

/* A pod sandbox as PodSandboxStatus or ListPodSandbox tells it. */
struct crier_meta_pod {
	struct crier_slice sandbox_id;
	struct crier_slice name;
	struct crier_slice namespace_;
	struct crier_slice uid;
	struct crier_slice ip;
	struct crier_slice cgroup_parent; /* as kubelet gave it: a path or a slice name */
	struct crier_slice runtime_handler;
	uint64_t attempt;
	uint64_t created_at_ns;		 /* unix time */
	uint64_t pid;			 /* of pause, host pid namespace */
	uint64_t ready;			 /* 0, 1 or unknown */
	struct crier_meta_labels labels; /* io.kubernetes.* left out */
};

/* A container as ContainerStatus or ListContainers tells it. */
struct crier_meta_container {
	struct crier_slice id;
	struct crier_slice sandbox_id;
	struct crier_slice name;
	struct crier_slice pod_name; /* from the io.kubernetes.pod.* labels */
	struct crier_slice pod_namespace;
	struct crier_slice pod_uid;
	struct crier_slice image;    /* as the pod asked for it, else image_ref */
	struct crier_slice image_id; /* sha256:… */
	struct crier_slice reason;   /* "OOMKilled", "Completed", "Error", … */
	struct crier_slice message;
	struct crier_slice cgroups_path; /* runtimeSpec.linux.cgroupsPath */
	struct crier_slice type; /* from annotations that state it: "init", "ephemeral", … ; else absent */
	uint64_t restart_count;	 /* io.kubernetes.container.restartCount, else metadata.attempt */
	uint64_t state;		 /* enum crier_meta_state */
	uint64_t created_at_ns, started_at_ns, finished_at_ns; /* unix time; CRI's 0 is unknown */
	int64_t exit_code;				       /* only when state is EXITED */
	uint64_t pid;		     /* init, host pid namespace; CRI's 0 is unknown */
	uint64_t memory_limit_bytes; /* 0 in CRI = no limit = unknown here */
	uint64_t cpu_quota_us, cpu_period_us;
	uint64_t grace_period_s; /* io.kubernetes.pod.terminationGracePeriod */
	struct crier_meta_labels labels;
};

enum crier_meta_type {
	CRIER_META_NONE = 0,
	CRIER_META_RUNTIME,    /* connected: runtime says who it is */
	CRIER_META_DOWN,       /* connection or call failed: `error` says why */
	CRIER_META_POD,	       /* an answer about one sandbox, or one item of a list */
	CRIER_META_CONTAINER,  /* an answer about one container, or one item of a list */
	CRIER_META_MISSING,    /* NOT_FOUND, or an answer that never came: see `status` */
	CRIER_META_LIST_BEGIN, /* items of a reconcile follow, all with the same generation */
	CRIER_META_LIST_END,   /* what was not named since LIST_BEGIN of this generation is gone */
	CRIER_META_EVENT, /* something happened to `id`: see `event`; status of it and its pod as of then */
	CRIER_META_TYPE_COUNT,
};

/* Why an answer is missing. */
enum crier_meta_status {
	CRIER_META_OK = 0,
	CRIER_META_NOT_FOUND,
	CRIER_META_TIMEOUT,	/* the deadline passed */
	CRIER_META_UNAVAILABLE, /* no connection */
	CRIER_META_REFUSED,	/* unimplemented, permission */
	CRIER_META_INVALID,	/* garbage or over a limit */
	CRIER_META_STATUS_COUNT,
};

/* What the runtime's event stream tells. */
enum crier_meta_event {
	CRIER_META_EVENT_NONE = 0, /* not known to this version */
	CRIER_META_EVENT_CREATED,
	CRIER_META_EVENT_STARTED,
	CRIER_META_EVENT_STOPPED,
	CRIER_META_EVENT_DELETED,
	CRIER_META_EVENT_COUNT,
};

/* Whether the runtime's event stream is in use. */
enum crier_meta_stream {
	CRIER_STREAM_UNKNOWN = 0, /* not yet known */
	CRIER_STREAM_OPEN,
	CRIER_STREAM_BROKEN,	  /* it ended or could not be read; it is opened again */
	CRIER_STREAM_NOT_OFFERED, /* the runtime refused it */
	CRIER_STREAM_SHARED,	  /* left to others: this runtime gives each event to one subscriber only */
	CRIER_STREAM_OFF,	  /* the configuration does not want it */
	CRIER_STREAM_COUNT,
};

struct crier_meta_runtime {
	struct crier_slice name;	/* "containerd" */
	struct crier_slice version;	/* "1.7.24" */
	struct crier_slice api_version; /* "v1" */
	uint64_t ready;			/* RuntimeReady condition */
	uint64_t stream;		/* enum crier_meta_stream; `error` says why it is BROKEN */
};

struct crier_meta_message {
	enum crier_meta_type type;
	enum crier_meta_status status;
	uint64_t generation;	  /* lists; 0 = a single answer */
	struct crier_slice id;	  /* MISSING: what was asked for; EVENT: container or sandbox */
	struct crier_slice error; /* MISSING, DOWN: object, cause, remedy; RUNTIME: of its stream */
	struct crier_meta_runtime runtime;
	struct crier_meta_pod
		pod; /* POD; CONTAINER: its pod when it was asked along (sandbox_id set); EVENT */
	struct crier_meta_container
		container;    /* CONTAINER; EVENT: unless it is about a sandbox or a DELETED one */
	uint64_t strings_cut; /* strings above CRIER_META_STRING_MAX that were cut while encoding */
	uint64_t event;	      /* EVENT: enum crier_meta_event */
	uint64_t event_at_ns; /* EVENT: unix time, by the runtime's clock */
	uint64_t
		skipped; /* LIST_END: stream events left out since the last one; what they told is in the list */
};

/** All fields unknown. ~3 KiB: keep one, do not put two on a small stack. */
void crier_meta_clear(struct crier_meta_message *message);

/**
 * Encode into `buf` (capacity CRIER_META_BLOB_MAX), replacing what it held. Strings above CRIER_META_STRING_MAX
 * are cut and counted in `strings_cut`; when the blob would not fit, the largest labels are left out one after
 * another and counted in `dropped`. Equal messages give equal bytes.
 *
 * The blob: magic "cm", version, type, then fields in ascending order, each a varint (number << 1 | kind) and,
 * for kind 0, a varint; for kind 1, a varint length and that many bytes (text, or the same again for a nested
 * struct). Varints are LEB128, signed numbers zigzag first. Unknown values are not written.
 *
 * @return 0; -E2BIG when it does not fit even after dropping labels
 */
int crier_meta_encode(const struct crier_meta_message *message, struct crier_buf *buf) crier_must_check;

/**
 * Decode; slices point into `bytes`. Unknown field numbers are skipped (a newer writer), anything malformed is refused.
 * @ret_message  used as scratch: on failure all its fields are unknown
 * @return 0 or -EINVAL
 */
int crier_meta_decode(const void *bytes, size_t len, struct crier_meta_message *ret_message) crier_must_check;

#endif
