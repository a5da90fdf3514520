/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>
#include <time.h>

uint64_t crier_cri_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct crier_slice crier_cri_slice(const grpc_slice *slice)
{
	return (struct crier_slice){(const char *)GRPC_SLICE_START_PTR(*slice), GRPC_SLICE_LENGTH(*slice)};
}

static grpc_arg integer(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

static grpc_arg string(const char *key, const char *value)
{
	return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
}

/*
 * Eight answers about one container each must not take eight times what a list may: only lists grow with the node. Read by
 * gRPC's message size filter, for each method by its name; what is not in here has the channel's limit.
 */
static void write_limits(char *buf, size_t cap)
{
	static const enum crier_cri_method small[] = {
		CRIER_CRI_VERSION,    CRIER_CRI_STATUS, CRIER_CRI_CONTAINER_STATUS,
		CRIER_CRI_POD_STATUS, CRIER_CRI_EVENTS,
	};
	size_t used =
		(size_t)snprintf(buf, cap, "{\"methodConfig\":[{\"maxResponseMessageBytes\":%d,\"name\":[",
				 CRIER_CRI_ANSWER_MAX);

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(small) && used < cap; i++) {
		const char *path = crier_cri_method_path(small[i]) + 1, *slash = strchr(path, '/');

		used += (size_t)snprintf(buf + used, cap - used, "%s{\"service\":\"%.*s\",\"method\":\"%s\"}",
					 i ? "," : "", (int)(slash - path), path, slash + 1);
	}
	if (used < cap)
		snprintf(buf + used, cap - used, "]}]}");
}

grpc_channel *crier_cri_channel(const char *socket, uint32_t receive_max_bytes)
{
	char limits[1024];

	write_limits(limits, sizeof(limits));
	grpc_arg args[] = {
		string(GRPC_ARG_SERVICE_CONFIG, limits),
		/* gRPC's own depends on how the target is spelled: an escaped path is refused by Go servers */
		string(GRPC_ARG_DEFAULT_AUTHORITY, "localhost"),
		integer(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)receive_max_bytes),
		/* its own subchannel: a global one would carry back-off over from an older channel */
		integer(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
		/* memory and wake-ups that a local socket has no use for */
		integer(GRPC_ARG_ENABLE_RETRIES, 0),
		integer(GRPC_ARG_ENABLE_CHANNELZ, 0),
		integer(GRPC_ARG_HTTP2_BDP_PROBE, 0),
		integer(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		integer(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
	};
	const grpc_channel_args all = {.num_args = CRIER_ARRAY_SIZE(args), .args = args};
	char target[160];

	snprintf(target, sizeof(target), "unix:%s", socket);
	grpc_channel_credentials *credentials = grpc_insecure_credentials_create();
	grpc_channel *channel = grpc_channel_create(target, credentials, &all);

	grpc_channel_credentials_release(credentials);
	return channel;
}

static int start_batch(struct crier_cri_call *call, grpc_byte_buffer *request)
{
	grpc_op ops[] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = request},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA,
		 .data.recv_initial_metadata.recv_initial_metadata = &call->initial},
		{.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &call->response},
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
		 .data.recv_status_on_client = {.trailing_metadata = &call->trailing,
						.status = &call->status,
						.status_details = &call->details}},
	};

	return grpc_call_start_batch(call->call, ops, CRIER_ARRAY_SIZE(ops), call, NULL) == GRPC_CALL_OK
		       ? 0
		       : -EIO;
}

int crier_cri_call_start(struct crier_cri_call *call, grpc_channel *channel, grpc_completion_queue *cq,
			 enum crier_cri_method method, struct crier_slice id, bool verbose,
			 uint32_t timeout_ms)
{
	char storage[CRIER_CRI_ID_MAX + 16];
	struct crier_buf request;

	crier_buf_init(&request, storage, sizeof(storage));
	int r = crier_cri_request(method, id, verbose, &request);

	if (r < 0)
		return r;
	gpr_timespec deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
					     gpr_time_from_millis((int64_t)timeout_ms, GPR_TIMESPAN));

	memset(call, 0, sizeof(*call));
	call->method = method;
	call->started_ns = crier_cri_now_ns();
	call->details = grpc_empty_slice();
	grpc_metadata_array_init(&call->initial);
	grpc_metadata_array_init(&call->trailing);
	call->call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq,
					      grpc_slice_from_static_string(crier_cri_method_path(method)),
					      NULL, deadline, NULL);
	if (!call->call)
		return -EIO;
	grpc_slice slice = grpc_slice_from_copied_buffer(storage, request.len);
	grpc_byte_buffer *bytes = grpc_raw_byte_buffer_create(&slice, 1);

	r = start_batch(call, bytes);
	grpc_byte_buffer_destroy(bytes);
	grpc_slice_unref(slice);
	if (r < 0)
		crier_cri_call_reset(call);
	return r;
}

int crier_cri_call_answer(struct crier_cri_call *call, grpc_slice *ret_answer)
{
	grpc_byte_buffer_reader reader;

	if (call->status != GRPC_STATUS_OK || !call->response ||
	    !grpc_byte_buffer_reader_init(&reader, call->response))
		return -EINVAL;
	*ret_answer = grpc_byte_buffer_reader_readall(&reader);
	grpc_byte_buffer_reader_destroy(&reader);
	return 0;
}

void crier_cri_call_reset(struct crier_cri_call *call)
{
	if (!call->call)
		return;
	grpc_call_unref(take_ptr(call->call));
	grpc_metadata_array_destroy(&call->initial);
	grpc_metadata_array_destroy(&call->trailing);
	grpc_slice_unref(call->details);
	call->details = grpc_empty_slice();
	if (call->response)
		grpc_byte_buffer_destroy(take_ptr(call->response));
}

enum crier_meta_status crier_cri_status(grpc_status_code status)
{
	switch (status) {
	case GRPC_STATUS_OK: return CRIER_META_OK;
	case GRPC_STATUS_NOT_FOUND: return CRIER_META_NOT_FOUND;
	case GRPC_STATUS_DEADLINE_EXCEEDED: return CRIER_META_TIMEOUT;
	case GRPC_STATUS_UNAVAILABLE:
	case GRPC_STATUS_CANCELLED: return CRIER_META_UNAVAILABLE;
	case GRPC_STATUS_UNIMPLEMENTED:
	case GRPC_STATUS_PERMISSION_DENIED:
	case GRPC_STATUS_UNAUTHENTICATED: return CRIER_META_REFUSED;
	default: return CRIER_META_INVALID;
	}
}
