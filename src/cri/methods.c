/* SPDX-License-Identifier: Apache-2.0 */
/* The allow-list: every method crier can name on a CRI socket. All of them only read. */
#include "crier/cri_convert.h"

#include <assert.h>
#include <errno.h>

#include "runtime.pb-c.h"

#define SERVICE "/runtime.v1.RuntimeService/"

static const char *const method_paths[CRIER_CRI_METHOD_COUNT] = {
	[CRIER_CRI_VERSION] = SERVICE "Version",
	[CRIER_CRI_STATUS] = SERVICE "Status",
	[CRIER_CRI_LIST_PODS] = SERVICE "ListPodSandbox",
	[CRIER_CRI_LIST_CONTAINERS] = SERVICE "ListContainers",
	[CRIER_CRI_CONTAINER_STATUS] = SERVICE "ContainerStatus",
	[CRIER_CRI_POD_STATUS] = SERVICE "PodSandboxStatus",
	[CRIER_CRI_EVENTS] = SERVICE "GetContainerEvents",
};

const char *crier_cri_method_path(enum crier_cri_method method)
{
	assert(method < CRIER_CRI_METHOD_COUNT);
	return method_paths[method];
}

static int put(struct crier_buf *buf, const ProtobufCMessage *request)
{
	uint8_t bytes[CRIER_CRI_ID_MAX + 16];
	size_t len = protobuf_c_message_get_packed_size(request);

	if (len > sizeof(bytes))
		return -EINVAL;
	crier_buf_put(buf, bytes, protobuf_c_message_pack(request, bytes));
	return buf->overflow ? -EINVAL : 0;
}

int crier_cri_request(enum crier_cri_method method, struct crier_slice id, bool verbose,
		      struct crier_buf *buf)
{
	ProtobufCBinaryData name = {id.len, (uint8_t *)id.ptr};

	if (method == CRIER_CRI_CONTAINER_STATUS || method == CRIER_CRI_POD_STATUS)
		if (id.len == 0 || id.len > CRIER_CRI_ID_MAX)
			return -EINVAL;
	if (method == CRIER_CRI_CONTAINER_STATUS) {
		Runtime__V1__ContainerStatusRequest request = RUNTIME__V1__CONTAINER_STATUS_REQUEST__INIT;

		request.container_id = name;
		request.verbose = verbose;
		return put(buf, &request.base);
	}
	if (method == CRIER_CRI_POD_STATUS) {
		Runtime__V1__PodSandboxStatusRequest request = RUNTIME__V1__POD_SANDBOX_STATUS_REQUEST__INIT;

		request.pod_sandbox_id = name;
		request.verbose = verbose;
		return put(buf, &request.base);
	}
	return 0; /* the other requests have no field that crier sets */
}
