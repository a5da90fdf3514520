/* SPDX-License-Identifier: Apache-2.0 */
/* What one conversion holds: the unpacked message, under a ceiling, and the parsed info. */
#ifndef CRIER_CRI_HOLDER_H
#define CRIER_CRI_HOLDER_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

#include "crier/cri_convert.h"

struct crier_cri_holder {
	ProtobufCAllocator allocator;
	ProtobufCMessage *message;
	json_t *info;
	size_t used, max; /* bytes handed out by the allocator, and its ceiling */
	bool refused;	  /* the ceiling was hit */
};

/** Let go of message and info. */
void crier_cri_holder_clear(struct crier_cri_holder *holder);

/** Unpack into holder->message, which must be empty. @return 0, -EINVAL, -E2BIG */
int crier_cri_holder_unpack(struct crier_cri_holder *holder, const ProtobufCMessageDescriptor *descriptor,
			    const void *bytes, size_t len) crier_must_check;

/** Parse an info text into holder->info, which must be empty. @return 0, -EINVAL, -E2BIG */
int crier_cri_holder_parse(struct crier_cri_holder *holder, struct crier_slice text) crier_must_check;

/** What the info adds to a container or a pod: fills only what is unset. */
void crier_cri_info_container(const json_t *info, struct crier_meta_container *container);
void crier_cri_info_pod(const json_t *info, struct crier_meta_pod *pod);

/** One item of a list answer. @return 0, -EINVAL, -E2BIG */
int crier_cri_convert_item(enum crier_cri_method method, const void *bytes, size_t len,
			   struct crier_cri_holder *holder,
			   struct crier_meta_message *message) crier_must_check;

/** The word for a container type that a label or annotation states; absent when it is not one. */
struct crier_slice crier_cri_container_type(struct crier_slice told);

#endif
