/* SPDX-License-Identifier: Apache-2.0 */
/* One look at a runtime for `crier check`: each call by itself, waited for. */
#include <errno.h>

#include "client.h"

#define EVENTS_WAIT_MS                                                                                       \
	200 /* a runtime without the method refuses it at once; one with it waits for an event */

struct probe {
	grpc_completion_queue *cq;
	grpc_channel *channel;
	struct crier_cri_call call;
	struct crier_cri_holder *holder;
	struct crier_meta_message *message;
	uint64_t end_ns;
};

static uint32_t left_ms(const struct probe *probe)
{
	uint64_t now_ns = crier_cri_now_ns();

	return now_ns >= probe->end_ns ? 1 : (uint32_t)((probe->end_ns - now_ns) / 1000000u + 1);
}

/* The call before it is let go of. @return false when this one could not be started */
static bool ask(struct probe *probe, enum crier_cri_method method, uint32_t timeout_ms)
{
	crier_cri_call_reset(&probe->call);
	if (crier_cri_call_start(&probe->call, probe->channel, probe->cq, method, CRIER_SLICE_NONE, false,
				 timeout_ms) < 0)
		return false;
	grpc_completion_queue_next(probe->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC),
				   NULL); /* the deadline ends it */
	return true;
}

static uint32_t count(struct probe *probe, enum crier_cri_method method)
{
	grpc_slice answer;
	uint32_t n = 0;

	if (!ask(probe, method, left_ms(probe)) || crier_cri_call_answer(&probe->call, &answer) < 0)
		return 0;
	struct crier_slice bytes = crier_cri_slice(&answer);
	const struct crier_cri_list list = {
		.method = method,
		.pos = (const unsigned char *)bytes.ptr,
		.end = (const unsigned char *)bytes.ptr + bytes.len,
	};

	if (crier_cri_list_count(&list, &n) < 0)
		n = 0;
	grpc_slice_unref(answer);
	return n;
}

/* One event that comes meanwhile counts as an end with OK: more are not waited for. */
static enum crier_meta_stream look_at_stream(struct probe *probe, const struct crier_cri_facts *facts)
{
	if (crier_cri_stream_is_shared(facts))
		return CRIER_STREAM_SHARED;
	if (!ask(probe, CRIER_CRI_EVENTS, EVENTS_WAIT_MS))
		return CRIER_STREAM_UNKNOWN;
	bool is_offered = probe->call.status == GRPC_STATUS_DEADLINE_EXCEEDED || probe->call.response;

	return is_offered ? CRIER_STREAM_OPEN : CRIER_STREAM_NOT_OFFERED;
}

static int look(struct probe *probe, const char *socket, uint32_t timeout_ms,
		struct crier_cri_facts *ret_facts, struct crier_err *err)
{
	enum crier_cri_fault fault = CRIER_CRI_FAULT_BROKEN;
	struct crier_cri_facts facts = {0};

	if (ask(probe, CRIER_CRI_VERSION, left_ms(probe)))
		fault = crier_cri_read_version(&probe->call, probe->holder, probe->message, &facts);
	if (fault != CRIER_CRI_FAULT_NONE)
		return crier_cri_fault_err(fault, socket, timeout_ms, crier_cri_slice(&probe->call.details),
					   err);
	if (ask(probe, CRIER_CRI_STATUS, left_ms(probe)))
		facts.ready = crier_cri_read_ready(&probe->call, probe->holder, probe->message) == 1;
	facts.pods = count(probe, CRIER_CRI_LIST_PODS);
	facts.containers = count(probe, CRIER_CRI_LIST_CONTAINERS);
	facts.stream = look_at_stream(probe, &facts);
	*ret_facts = facts;
	return 0;
}

static int connect_and_look(struct probe *probe, const char *socket, uint32_t timeout_ms,
			    struct crier_cri_facts *ret_facts, struct crier_err *err)
{
	struct crier_cri_options defaults;

	crier_cri_options_default(&defaults);
	crier_cri_library_prepare();
	grpc_init();
	probe->cq = grpc_completion_queue_create_for_next(NULL);
	probe->channel = crier_cri_channel(socket, defaults.receive_max_bytes);
	int r = look(probe, socket, timeout_ms, ret_facts, err);

	crier_cri_call_reset(&probe->call);
	grpc_channel_destroy(probe->channel);
	grpc_completion_queue_shutdown(probe->cq);
	while (grpc_completion_queue_next(probe->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
	       GRPC_QUEUE_SHUTDOWN)
		;
	grpc_completion_queue_destroy(probe->cq);
	grpc_shutdown_blocking();
	return r;
}

int crier_cri_probe(const char *socket, uint32_t timeout_ms, struct crier_cri_facts *ret_facts,
		    struct crier_err *err)
{
	enum crier_cri_fault fault = crier_cri_fault_of_path(socket);
	struct probe probe = {.end_ns = crier_cri_now_ns() + timeout_ms * 1000000ull};

	if (fault != CRIER_CRI_FAULT_NONE)
		return crier_cri_fault_err(fault, socket, timeout_ms, CRIER_SLICE_NONE, err);
	_cleanup_free_ struct crier_meta_message *message = malloc(sizeof(*message));
	int r = crier_cri_holder_new(CRIER_CRI_UNPACK_MAX, &probe.holder);

	if (!message || r < 0) {
		crier_cri_holder_free(probe.holder);
		return crier_err_set(err, -ENOMEM, "CRI socket %s: out of memory", socket);
	}
	probe.message = message;
	r = connect_and_look(&probe, socket, timeout_ms, ret_facts, err);
	crier_cri_holder_free(probe.holder);
	return r;
}
