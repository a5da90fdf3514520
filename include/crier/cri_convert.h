/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure half of the CRI client: the methods it may call, requests to bytes, answers to struct crier_meta_*.
 * Bytes in, slices out: no socket, no clock, no gRPC; protobuf-c and jansson do not show.
 */
#ifndef CRIER_CRI_CONVERT_H
#define CRIER_CRI_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/str.h"
#include "crier/meta.h"

#define CRIER_CRI_ID_MAX 128 /* container or sandbox id; runtimes use 64 hex digits */
#define CRIER_CRI_UNPACK_MAX                                                                                 \
	(8 << 20) /* memory one unpacked message may take: 4 MiB of wire can become 144 MiB */
#define CRIER_CRI_INFO_MAX    (1 << 20) /* verbose info, a JSON text; tens of KiB are usual */
#define CRIER_CRI_INFO_DEPTH  64	/* nesting of that text; an OCI spec has 7 */
#define CRIER_CRI_INFO_VALUES 32768	/* values in it; a default seccomp profile has some 500 */

enum crier_cri_method {
	CRIER_CRI_VERSION,
	CRIER_CRI_STATUS,
	CRIER_CRI_LIST_PODS,
	CRIER_CRI_LIST_CONTAINERS,
	CRIER_CRI_CONTAINER_STATUS,
	CRIER_CRI_POD_STATUS,
	CRIER_CRI_EVENTS,
	CRIER_CRI_METHOD_COUNT,
};

/** "/runtime.v1.RuntimeService/…", static. The only method names in the program: none of them changes anything. */
const char *crier_cri_method_path(enum crier_cri_method method);

/**
 * The request of a method.
 * @param id  what is asked for; statuses only
 * @param verbose  statuses only: with the init's pid. containerd asks a sandbox's shim for it, and the shim answers
 *                 nobody while it makes a container (some 20 ms), so a pod is asked about without where its pid is no matter
 * @param buf  at least CRIER_CRI_ID_MAX + 16 bytes
 * @return 0 or -EINVAL (id empty or longer than CRIER_CRI_ID_MAX)
 */
int crier_cri_request(enum crier_cri_method method, struct crier_slice id, bool verbose,
		      struct crier_buf *buf) crier_must_check;

/* Owns what the slices of a converted message point into. One thread at a time. */
struct crier_cri_holder;

/** @param max_bytes memory one unpacked message may take (CRIER_CRI_UNPACK_MAX) */
int crier_cri_holder_new(size_t max_bytes, struct crier_cri_holder **ret_holder) crier_must_check;
void crier_cri_holder_free(struct crier_cri_holder *holder);

/**
 * One answer of Version and Status (both RUNTIME, each only its own fields), ContainerStatus (CONTAINER) or
 * PodSandboxStatus (POD), or one message of GetContainerEvents (EVENT). All of it is untrusted.
 * @ret_message  cleared and filled; its slices point into `bytes` and `holder`, until the next conversion with that holder
 * @return 0; -EINVAL: no such message, or one without an id; -E2BIG: over the holder's ceiling
 */
int crier_cri_convert(enum crier_cri_method method, const void *bytes, size_t len,
		      struct crier_cri_holder *holder,
		      struct crier_meta_message *ret_message) crier_must_check;

/* A walk over the answer of a list method: one item is unpacked at a time, so memory does not grow with the list. */
struct crier_cri_list {
	enum crier_cri_method method; /* CRIER_CRI_LIST_PODS or CRIER_CRI_LIST_CONTAINERS */
	const unsigned char *pos, *end;
};

/**
 * Next item as POD or CONTAINER, without generation. Slices as in crier_cri_convert().
 * @return 1; 0 at the end; -EINVAL, -E2BIG: this answer is not to be trusted as a whole
 */
int crier_cri_list_next(struct crier_cri_list *list, struct crier_cri_holder *holder,
			struct crier_meta_message *ret_message) crier_must_check;

/** Number of items, -EINVAL when the answer is cut or is no list. Does not unpack. */
int crier_cri_list_count(const struct crier_cri_list *list, uint32_t *ret_count) crier_must_check;

#endif
