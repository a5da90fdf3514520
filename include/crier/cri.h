/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRI client: gRPC C core and protobuf-c on a thread of its own. Read calls of runtime.v1.RuntimeService only
 * (the allow-list is one table in src/cri/). Answers go as blobs (meta.h) into the mailbox; no call is ever made on
 * the event path, none without a deadline, and no lock is held across one.
 *
 * A reconcile is LIST_BEGIN, every POD, every CONTAINER, LIST_END, all with one generation. LIST_BEGIN leaves before the
 * runtime is asked, so what is answered for singly after it is younger than the list, not gone. LIST_END leaves only
 * when both lists were read to their end; a reconcile that failed is followed by the next LIST_BEGIN instead. While the
 * mailbox is full the thread waits and tries again; nothing is dropped, and no further question is taken.
 *
 * Where the runtime offers it, its event stream is read beside that (src/cri/stream.c): EVENT messages. It is never left
 * unread; when there is no room it is closed, opened again later and followed by a reconcile, as after any break. RUNTIME is
 * told again when that changes.
 *
 * Threads: one of crier's own ("crier-cri") and seven that gRPC starts (src/cri/library.c names them); all signals are
 * blocked in each. A process that is nothing but this client has 7.7 MB resident, 0.8 MB of it anonymous.
 */
#ifndef CRIER_CRI_H
#define CRIER_CRI_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/base/str.h"
#include "crier/mailbox.h"
#include "crier/meta.h"

struct crier_cri;

struct crier_cri_options {
	const char *socket;	    /* path of a unix socket, no scheme */
	uint32_t timeout_ms;	    /* deadline of each call; 2,000 */
	uint32_t reconcile_ms;	    /* period of the list calls; 30,000 */
	uint32_t max_in_flight;	    /* calls at once; 8 */
	uint32_t max_queued;	    /* queries waiting, urgent and others each; 4,096 */
	uint32_t receive_max_bytes; /* one answer or event; 16 MiB */
	bool stream;		    /* use the runtime's event stream */
	bool stream_shared; /* also where each event goes to one subscriber only: taken from the kubelet */
	uint32_t stream_life_ms; /* deadline of the stream, up to an hour while it is quiet; 300,000 */
};

/** Defaults of every number above. */
void crier_cri_options_default(struct crier_cri_options *options);

/**
 * Start the thread; it connects, says Version and Status, lists, and repeats the list every reconcile_ms. A missing,
 * hung or lying runtime is retried with back-off and jitter for ever and told as CRIER_META_DOWN (on change only).
 * @param mailbox  borrowed, must outlive the client
 */
int crier_cri_new(const struct crier_cri_options *options, struct crier_mailbox *mailbox,
		  struct crier_cri **ret_cri, struct crier_err *err) crier_must_check;

/** Cancels what is in flight and joins the thread; returns within 200 ms also when the runtime hangs. NULL allowed. */
void crier_cri_free(struct crier_cri *cri);

enum crier_cri_question {
	CRIER_CRI_CONTAINER, /* ContainerStatus; its PodSandboxStatus along when `with_pod` */
	CRIER_CRI_SANDBOX,   /* PodSandboxStatus */
	CRIER_CRI_UNKNOWN, /* ContainerStatus, and on NOT_FOUND PodSandboxStatus: an id from a cgroup path */
};

/**
 * Ask about one id; main loop, never blocks. One answer comes for each accepted question: CONTAINER, POD or MISSING.
 * @param id  container or sandbox id, at most 128 bytes
 * @param urgent  goes before all that are not; each kind in its order, with a queue of its own
 * @return 0; -EAGAIN: the queue is full (caller counts and asks later), -EINVAL
 */
int crier_cri_ask(struct crier_cri *cri, enum crier_cri_question question, struct crier_slice id,
		  bool with_pod, bool urgent);

/** Bring the next reconcile forward to now. */
void crier_cri_reconcile(struct crier_cri *cri);

/**
 * One-shot: connect, Version, Status, counts; for `crier check`. Blocks up to timeout_ms.
 * @param err  names the socket, the cause (missing, a file, refused, not gRPC, hung, v1alpha2 only) and the remedy
 */
struct crier_cri_facts {
	char name[64], version[64], api_version[16];
	bool ready;
	enum crier_meta_stream
		stream; /* OPEN: GetContainerEvents is offered; SHARED: not asked, it would take events */
	uint32_t pods, containers;
};
int crier_cri_probe(const char *socket, uint32_t timeout_ms, struct crier_cri_facts *ret_facts,
		    struct crier_err *err) crier_must_check;

/**
 * First existing socket of the well-known paths (containerd, k3s, CRI-O, cri-dockerd) below `host_root`.
 * @return 0; -ENOENT (err lists the paths tried)
 */
int crier_cri_discover(const char *host_root, char *ret_path, size_t cap,
		       struct crier_err *err) crier_must_check;

/** RuntimeReady and the like aside: library versions for `crier version`. Static. */
const char *crier_cri_library_version(void);

#endif
