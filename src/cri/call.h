/* SPDX-License-Identifier: Apache-2.0 */
/* One unary gRPC call: started on a completion queue, finished when its tag comes back. Owned by one thread. */
#ifndef CRIER_CRI_CALL_H
#define CRIER_CRI_CALL_H

#include <grpc/grpc.h>

#include "crier/cri_convert.h"

#define CRIER_CRI_ANSWER_MAX (2 << 20) /* one answer or event, lists apart; its info alone may be 1 MiB */

struct crier_cri_call {
	grpc_call *call; /* NULL when idle */
	enum crier_cri_method method;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *response;
	grpc_status_code status; /* valid once finished */
	grpc_slice details;	 /* the runtime's or gRPC's words, untrusted */
	uint64_t started_ns;
};

/** A new channel to a unix socket; nothing is sent before the first call. */
grpc_channel *crier_cri_channel(const char *socket, uint32_t receive_max_bytes);

/**
 * Start; the call must be idle. Its address is the tag. For `verbose` see crier_cri_request().
 * @return 0 or -errno, and then nothing will come back
 */
int crier_cri_call_start(struct crier_cri_call *call, grpc_channel *channel, grpc_completion_queue *cq,
			 enum crier_cri_method method, struct crier_slice id, bool verbose,
			 uint32_t timeout_ms) crier_must_check;

/**
 * The tag came back with status OK: the answer in one piece.
 * @ret_answer  owned by the caller (grpc_slice_unref)
 * @return 0 or -EINVAL: there was none
 */
int crier_cri_call_answer(struct crier_cri_call *call, grpc_slice *ret_answer) crier_must_check;

/** Make it idle again; the tag must have come back. Idle calls allowed. */
void crier_cri_call_reset(struct crier_cri_call *call);

/** What a status means to the one who asked. */
enum crier_meta_status crier_cri_status(grpc_status_code status);

/** Borrowed view; dies with the slice. */
struct crier_slice crier_cri_slice(const grpc_slice *slice);

/** Clock of every deadline and timer in src/cri. */
uint64_t crier_cri_now_ns(void);

/** gRPC's own log goes to crier's, as debug lines. Call before grpc_init(). */
void crier_cri_library_prepare(void);

#endif
