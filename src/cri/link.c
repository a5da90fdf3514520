/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the runtime is there. Each attempt looks at the path first and, if it is new, opens a channel of its own:
 * on a fresh channel a call waits for the first connection and then tells the truth about it, while gRPC's own
 * reconnecting would answer from the last failure for as long as its back-off runs.
 */
#include "client.h"

char crier_cri_link_tag;

uint64_t crier_cri_jitter(struct crier_cri *cri, uint64_t pause_ns)
{
	cri->random ^= cri->random << 13;
	cri->random ^= cri->random >> 7;
	cri->random ^= cri->random << 17;
	return pause_ns - pause_ns / 4 + cri->random % (pause_ns / 2);
}

static void down(struct crier_cri *cri, enum crier_cri_fault fault, struct crier_slice words)
{
	cri->link = CRIER_CRI_LINK_DOWN;
	cri->is_reconnect = true;
	cri->backoff_ns = cri->backoff_ns ? crier_min(2 * cri->backoff_ns, CRIER_CRI_BACKOFF_MAX_NS)
					  : CRIER_CRI_BACKOFF_MIN_NS;
	cri->retry_at_ns = crier_cri_now_ns() + crier_cri_jitter(cri, cri->backoff_ns);
	crier_cri_reconcile_abort(cri);
	crier_cri_stream_disconnected(cri);
	if (cri->told == fault)
		return;
	struct crier_err err = {0};

	cri->told = fault;
	crier_cri_fault_err(fault, cri->socket, cri->options.timeout_ms, words, &err);
	crier_meta_clear(&cri->message);
	cri->message.type = CRIER_META_DOWN;
	cri->message.status = crier_cri_fault_status(fault);
	cri->message.error = crier_slice_of(err.message);
	crier_cri_deliver(cri, &cri->message);
}

static void ask(struct crier_cri *cri, enum crier_cri_method method)
{
	if (crier_cri_call_start(&cri->control, cri->channel, cri->cq, method, CRIER_SLICE_NONE, false,
				 cri->options.timeout_ms) < 0)
		down(cri, CRIER_CRI_FAULT_BROKEN, CRIER_SLICE("the call could not be started"));
}

void crier_cri_link_close(struct crier_cri *cri)
{
	if (cri->channel)
		grpc_channel_destroy(take_ptr(cri->channel));
}

void crier_cri_link_probe(struct crier_cri *cri)
{
	if (cri->is_reconnect) {
		enum crier_cri_fault fault = crier_cri_fault_of_path(cri->socket);

		crier_cri_stream_disconnected(cri);
		crier_cri_link_close(cri);
		if (fault != CRIER_CRI_FAULT_NONE) {
			down(cri, fault, CRIER_SLICE_NONE);
			return;
		}
		cri->channel = crier_cri_channel(cri->socket, cri->options.receive_max_bytes);
	}
	cri->link = CRIER_CRI_LINK_PROBING;
	ask(cri, CRIER_CRI_VERSION);
}

void crier_cri_link_failed(struct crier_cri *cri, grpc_status_code status, uint64_t started_ns)
{
	bool lost = status == GRPC_STATUS_UNAVAILABLE;
	bool silent = status == GRPC_STATUS_DEADLINE_EXCEEDED && cri->last_answer_ns < started_ns;

	if (cri->link == CRIER_CRI_LINK_UP && (lost || silent)) {
		cri->is_doubtful = true;
		cri->is_reconnect |= lost;
	}
}

/* A runtime that is restarted is noticed at once, not at the next list: it may be another version. */
void crier_cri_link_changed(struct crier_cri *cri)
{
	if (cri->link == CRIER_CRI_LINK_UP &&
	    grpc_channel_check_connectivity_state(cri->channel, 0) != GRPC_CHANNEL_READY)
		cri->is_doubtful = cri->is_reconnect = true;
}

void crier_cri_link_tell(struct crier_cri *cri, struct crier_slice words)
{
	crier_meta_clear(&cri->message);
	cri->message.type = CRIER_META_RUNTIME;
	cri->message.error = words;
	cri->message.runtime = (struct crier_meta_runtime){
		.name = crier_slice_of(cri->facts.name),
		.version = crier_slice_of(cri->facts.version),
		.api_version = crier_slice_of(cri->facts.api_version),
		.ready = cri->ready,
		.stream = cri->stream.told,
	};
	crier_cri_deliver(cri, &cri->message);
}

static void up(struct crier_cri *cri, uint64_t ready)
{
	bool is_new = cri->is_reconnect;

	cri->ready = ready;
	cri->link = CRIER_CRI_LINK_UP;
	cri->told = CRIER_CRI_FAULT_NONE;
	cri->backoff_ns = 0;
	cri->is_reconnect = false;
	cri->is_doubtful = false;
	if (!is_new)
		return;
	/* comes back when the connection ends; at the latest with the channel, which close_all() relies on */
	grpc_channel_watch_connectivity_state(cri->channel, GRPC_CHANNEL_READY,
					      gpr_inf_future(GPR_CLOCK_MONOTONIC), cri->cq,
					      &crier_cri_link_tag);
	(void)crier_cri_stream_connected(cri);
	crier_cri_link_tell(cri, CRIER_SLICE_NONE);
	cri->reconcile_at_ns = 0;
}

enum crier_cri_fault crier_cri_read_version(struct crier_cri_call *call, struct crier_cri_holder *holder,
					    struct crier_meta_message *message,
					    struct crier_cri_facts *ret_facts)
{
	grpc_slice answer;

	if (call->status != GRPC_STATUS_OK)
		return crier_cri_fault_of_status(call->status);
	if (crier_cri_call_answer(call, &answer) < 0)
		return CRIER_CRI_FAULT_BROKEN;
	struct crier_slice bytes = crier_cri_slice(&answer);
	int r = crier_cri_convert(CRIER_CRI_VERSION, bytes.ptr, bytes.len, holder, message);

	grpc_slice_unref(answer);
	if (r < 0)
		return CRIER_CRI_FAULT_BROKEN;
	(void)crier_copy_str(ret_facts->name, sizeof(ret_facts->name), message->runtime.name);
	(void)crier_copy_str(ret_facts->version, sizeof(ret_facts->version), message->runtime.version);
	(void)crier_copy_str(ret_facts->api_version, sizeof(ret_facts->api_version),
			     message->runtime.api_version);
	return CRIER_CRI_FAULT_NONE;
}

uint64_t crier_cri_read_ready(struct crier_cri_call *call, struct crier_cri_holder *holder,
			      struct crier_meta_message *message)
{
	grpc_slice answer;

	if (crier_cri_call_answer(call, &answer) < 0)
		return CRIER_UNKNOWN_U64;
	struct crier_slice bytes = crier_cri_slice(&answer);
	int r = crier_cri_convert(CRIER_CRI_STATUS, bytes.ptr, bytes.len, holder, message);

	grpc_slice_unref(answer);
	return r < 0 ? CRIER_UNKNOWN_U64 : message->runtime.ready;
}

static void version_finished(struct crier_cri *cri)
{
	enum crier_cri_fault fault =
		crier_cri_read_version(&cri->control, cri->holder, &cri->message, &cri->facts);

	if (fault != CRIER_CRI_FAULT_NONE)
		down(cri, fault, crier_cri_slice(&cri->control.details));
	crier_cri_call_reset(&cri->control);
	if (fault == CRIER_CRI_FAULT_NONE)
		ask(cri, CRIER_CRI_STATUS);
}

/* A runtime that refuses Status is still a runtime: readiness stays unknown. */
static void status_finished(struct crier_cri *cri)
{
	enum crier_cri_fault fault = crier_cri_fault_of_status(cri->control.status);
	bool is_gone = fault == CRIER_CRI_FAULT_HUNG || fault == CRIER_CRI_FAULT_NOT_GRPC;
	uint64_t ready = crier_cri_read_ready(&cri->control, cri->holder, &cri->message);

	if (is_gone)
		down(cri, fault, crier_cri_slice(&cri->control.details));
	crier_cri_call_reset(&cri->control);
	if (!is_gone)
		up(cri, ready);
}

void crier_cri_link_finished(struct crier_cri *cri)
{
	if (cri->control.method == CRIER_CRI_VERSION)
		version_finished(cri);
	else
		status_finished(cri);
}
