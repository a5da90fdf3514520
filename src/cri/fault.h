/* SPDX-License-Identifier: Apache-2.0 */
/* Why a CRI socket is of no use, and the sentence that says so. */
#ifndef CRIER_CRI_FAULT_H
#define CRIER_CRI_FAULT_H

#include <grpc/grpc.h>

#include "crier/base/err.h"
#include "crier/meta.h"

enum crier_cri_fault {
	CRIER_CRI_FAULT_NONE = 0,
	CRIER_CRI_FAULT_PATH,	  /* no path, or longer than a socket's may be */
	CRIER_CRI_FAULT_MISSING,  /* nothing there */
	CRIER_CRI_FAULT_FILE,	  /* something other than a socket */
	CRIER_CRI_FAULT_DENIED,	  /* no permission */
	CRIER_CRI_FAULT_REFUSED,  /* nobody listens */
	CRIER_CRI_FAULT_HUNG,	  /* no answer in time */
	CRIER_CRI_FAULT_NOT_GRPC, /* listens, but speaks something else */
	CRIER_CRI_FAULT_NO_V1,	  /* gRPC without runtime.v1 */
	CRIER_CRI_FAULT_BROKEN,	  /* an error of the runtime's own, or an answer that cannot be read */
	CRIER_CRI_FAULT_COUNT,
};

/** Look at the path and connect once, without waiting: all that can be known without gRPC. */
enum crier_cri_fault crier_cri_fault_of_path(const char *socket);

/** Of a call that failed although the path was good. */
enum crier_cri_fault crier_cri_fault_of_status(grpc_status_code status);

/** Fill `err` with "CRI socket PATH: cause; remedy". @param words  the runtime's or gRPC's own, may be absent. @return -errno */
int crier_cri_fault_err(enum crier_cri_fault fault, const char *path, uint32_t timeout_ms,
			struct crier_slice words, struct crier_err *err);

/** What the fault means to one who asked about an id meanwhile. */
enum crier_meta_status crier_cri_fault_status(enum crier_cri_fault fault);

#endif
