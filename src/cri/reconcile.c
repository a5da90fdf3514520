/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LIST_BEGIN, POD…, CONTAINER…, LIST_END. LIST_BEGIN leaves before the runtime is asked: an object that is not in the
 * list but was answered for after LIST_BEGIN is younger than the list, not gone. LIST_END leaves only when both lists
 * were read to their end; a reconcile that breaks off is simply never ended.
 */
#include "client.h"
#include "crier/base/log.h"

static void mark(struct crier_cri *cri, enum crier_meta_type type)
{
	crier_meta_clear(&cri->message);
	cri->message.type = type;
	cri->message.generation = cri->generation;
	if (type == CRIER_META_LIST_END) {
		cri->message.skipped = cri->stream.skipped;
		cri->stream.skipped = 0;
	}
	crier_cri_deliver(cri, &cri->message);
}

static void schedule(struct crier_cri *cri)
{
	cri->reconcile_at_ns = crier_cri_now_ns() + cri->options.reconcile_ms * 1000000ull;
}

void crier_cri_reconcile_abort(struct crier_cri *cri)
{
	if (cri->has_pods)
		grpc_slice_unref(cri->pods);
	if (cri->has_containers)
		grpc_slice_unref(cri->containers);
	cri->has_pods = cri->has_containers = false;
	cri->list.pos = NULL;
	schedule(cri);
}

static void ask(struct crier_cri *cri, enum crier_cri_method method)
{
	if (crier_cri_call_start(&cri->control, cri->channel, cri->cq, method, CRIER_SLICE_NONE, false,
				 cri->options.timeout_ms) < 0)
		crier_cri_reconcile_abort(cri);
}

void crier_cri_reconcile_begin(struct crier_cri *cri)
{
	schedule(cri);
	cri->generation++;
	mark(cri, CRIER_META_LIST_BEGIN);
	ask(cri, CRIER_CRI_LIST_PODS);
}

static void walk(struct crier_cri *cri, enum crier_cri_method method, const grpc_slice *answer)
{
	struct crier_slice bytes = crier_cri_slice(answer);

	cri->list = (struct crier_cri_list){
		.method = method,
		.pos = (const unsigned char *)bytes.ptr,
		.end = (const unsigned char *)bytes.ptr + bytes.len,
	};
}

/* Told once until a list succeeds again; a runtime that is gone is told as DOWN. */
static void failed(struct crier_cri *cri, const char *method, struct crier_slice words)
{
	enum crier_log_level level = cri->is_list_warned ? CRIER_LOG_DEBUG : CRIER_LOG_WARN;

	crier_log(level, "CRI: %s failed (%.*s); what is known stays, the next list is asked for in %u ms",
		  method, (int)crier_min(words.len, (size_t)200), words.len ? words.ptr : "",
		  cri->options.reconcile_ms);
	cri->is_list_warned = true;
	crier_cri_reconcile_abort(cri);
}

void crier_cri_reconcile_finished(struct crier_cri *cri)
{
	const char *path = crier_cri_method_path(cri->control.method);
	bool pods = cri->control.method == CRIER_CRI_LIST_PODS;
	grpc_status_code status = cri->control.status;
	uint64_t started_ns = cri->control.started_ns;
	grpc_slice answer;

	if (crier_cri_call_answer(&cri->control, &answer) < 0) {
		failed(cri, path, crier_cri_slice(&cri->control.details));
		crier_cri_call_reset(&cri->control);
		crier_cri_link_failed(cri, status, started_ns);
		return;
	}
	crier_cri_call_reset(&cri->control);
	if (pods) {
		cri->pods = answer;
		cri->has_pods = true;
		ask(cri, CRIER_CRI_LIST_CONTAINERS);
	} else {
		cri->containers = answer;
		cri->has_containers = true;
		walk(cri, CRIER_CRI_LIST_PODS, &cri->pods);
	}
}

/* The list at hand is read: the next one, or the end. */
static void advance(struct crier_cri *cri)
{
	if (cri->list.method == CRIER_CRI_LIST_PODS) {
		walk(cri, CRIER_CRI_LIST_CONTAINERS, &cri->containers);
		return;
	}
	mark(cri, CRIER_META_LIST_END);
	cri->is_list_warned = false;
	crier_cri_sandboxes_prune(&cri->sandboxes, cri->generation);
	crier_cri_reconcile_abort(cri);
	crier_cri_stream_listed(cri);
}

void crier_cri_reconcile_step(struct crier_cri *cri)
{
	for (int i = 0; i < CRIER_CRI_LIST_STEP && cri->list.pos && !cri->out_first; i++) {
		int r = crier_cri_list_next(&cri->list, cri->holder, &cri->message);

		if (r < 0) {
			failed(cri, crier_cri_method_path(cri->list.method),
			       CRIER_SLICE("an item cannot be read"));
			return;
		}
		if (r == 0) {
			advance(cri);
			continue;
		}
		if (cri->message.type == CRIER_META_POD)
			crier_cri_sandboxes_named(&cri->sandboxes, cri->message.pod.sandbox_id,
						  cri->message.pod.ready == 1, cri->generation);
		cri->message.generation = cri->generation;
		crier_cri_deliver(cri, &cri->message);
	}
}
