/* SPDX-License-Identifier: Apache-2.0 */
/* One answer for each question: CONTAINER (its pod along if asked for), POD or MISSING. */
#include "client.h"

static struct crier_slice id_of(const struct crier_cri_query *query)
{
	return (struct crier_slice){query->id, query->len};
}

void crier_cri_question_missing(struct crier_cri *cri, const struct crier_cri_query *query,
				enum crier_meta_status status, struct crier_slice error)
{
	crier_meta_clear(&cri->message);
	cri->message.type = CRIER_META_MISSING;
	cri->message.status = status;
	cri->message.id = id_of(query);
	cri->message.error = error;
	crier_cri_deliver(cri, &cri->message);
}

static void release(struct crier_cri_slot *slot)
{
	crier_cri_call_reset(&slot->call);
	if (slot->stage == CRIER_CRI_ASK_POD_OF)
		grpc_slice_unref(slot->container);
	slot->stage = CRIER_CRI_FREE;
}

/* The call failed, or its answer is none. */
static void fail(struct crier_cri *cri, struct crier_cri_slot *slot, enum crier_meta_status status,
		 const char *what)
{
	char text[384];
	struct crier_slice details = crier_cri_slice(&slot->call.details);

	snprintf(text, sizeof(text), "%s: %s%s%.*s", crier_cri_method_path(slot->call.method), what,
		 details.len ? ": " : "", (int)crier_min(details.len, (size_t)240), details.ptr);
	crier_cri_question_missing(cri, &slot->query, status, crier_slice_of(text));
	release(slot);
}

static const char *word_of(enum crier_meta_status status)
{
	static const char *const words[CRIER_META_STATUS_COUNT] = {
		[CRIER_META_OK] = "ok",
		[CRIER_META_NOT_FOUND] = "the runtime does not know the id",
		[CRIER_META_TIMEOUT] = "no answer in time",
		[CRIER_META_UNAVAILABLE] = "no connection",
		[CRIER_META_REFUSED] = "refused",
		[CRIER_META_INVALID] = "the runtime failed",
	};

	return words[status];
}

static bool start(struct crier_cri *cri, struct crier_cri_slot *slot, enum crier_cri_method method,
		  struct crier_slice id)
{
	bool verbose = slot->stage != CRIER_CRI_ASK_POD_OF;

	crier_cri_call_reset(&slot->call);
	return crier_cri_call_start(&slot->call, cri->channel, cri->cq, method, id, verbose,
				    cri->options.timeout_ms) == 0;
}

void crier_cri_question_start(struct crier_cri *cri, struct crier_cri_slot *slot,
			      const struct crier_cri_query *query)
{
	bool sandbox = query->question == CRIER_CRI_SANDBOX;

	slot->query = *query;
	slot->stage = sandbox ? CRIER_CRI_ASK_SANDBOX : CRIER_CRI_ASK_CONTAINER;
	if (!start(cri, slot, sandbox ? CRIER_CRI_POD_STATUS : CRIER_CRI_CONTAINER_STATUS,
		   id_of(&slot->query)))
		fail(cri, slot, CRIER_META_UNAVAILABLE, "the call could not be started");
}

/* Ready, and its address is known: nothing about it will change but its end. */
static bool is_settled(const struct crier_meta_pod *pod)
{
	return pod->ready == 1 && pod->ip.ptr;
}

static void remember(struct crier_cri *cri, const struct crier_meta_message *pod)
{
	struct crier_buf buf;

	if (!is_settled(&pod->pod))
		return;
	crier_buf_init(&buf, cri->blob, sizeof(cri->blob));
	if (crier_meta_encode(pod, &buf) == 0)
		crier_cri_sandboxes_put(&cri->sandboxes, pod->pod.sandbox_id,
					(struct crier_slice){buf.data, buf.len}, cri->generation);
}

/* Into pod_message. @return false when it is not known */
static bool recall(struct crier_cri *cri, struct crier_slice sandbox_id)
{
	struct crier_slice blob = crier_cri_sandboxes_get(&cri->sandboxes, sandbox_id);

	return blob.ptr && crier_meta_decode(blob.ptr, blob.len, &cri->pod_message) == 0 &&
	       crier_slice_equal(cri->pod_message.pod.sandbox_id, sandbox_id);
}

static int convert(struct crier_cri *cri, const grpc_slice *answer, struct crier_slice id)
{
	struct crier_slice bytes = crier_cri_slice(answer);
	int r = crier_cri_convert(CRIER_CRI_CONTAINER_STATUS, bytes.ptr, bytes.len, cri->holder,
				  &cri->message);

	return r == 0 && !crier_slice_equal(cri->message.container.id, id) ? -1 : r;
}

static int convert_pod(struct crier_cri *cri, const grpc_slice *answer, struct crier_slice id)
{
	struct crier_slice bytes = crier_cri_slice(answer);
	int r = crier_cri_convert(CRIER_CRI_POD_STATUS, bytes.ptr, bytes.len, cri->pod_holder,
				  &cri->pod_message);

	return r == 0 && !crier_slice_equal(cri->pod_message.pod.sandbox_id, id) ? -1 : r;
}

/* What kubelet gave as the pod's cgroup: "slice:prefix:id" and "/parent/id" both begin with it. */
static struct crier_slice parent_of(struct crier_slice cgroups_path)
{
	const char *colon = memchr(cgroups_path.ptr, ':', cgroups_path.len);
	const char *slash = memrchr(cgroups_path.ptr, '/', cgroups_path.len);
	const char *end = colon ? colon : slash;

	return end ? (struct crier_slice){cgroups_path.ptr, (size_t)(end - cgroups_path.ptr)}
		   : CRIER_SLICE_NONE;
}

/* A pod that is asked about for its container's sake comes without its verbose part; the container knows the parent too. */
static void attach_pod(struct crier_cri *cri)
{
	cri->message.pod = cri->pod_message.pod;
	if (!cri->message.pod.cgroup_parent.len && cri->message.container.cgroups_path.len)
		cri->message.pod.cgroup_parent = parent_of(cri->message.container.cgroups_path);
}

/* The answer is about the container that was asked for, and in cri->message. */
static void container_known(struct crier_cri *cri, struct crier_cri_slot *slot, grpc_slice *answer)
{
	struct crier_slice sandbox_id = cri->message.container.sandbox_id;
	bool wanted = slot->query.with_pod && sandbox_id.len && sandbox_id.len <= CRIER_CRI_ID_MAX;

	if (wanted && !recall(cri, sandbox_id)) {
		slot->stage = CRIER_CRI_ASK_POD_OF;
		slot->container = grpc_slice_ref(*answer);
		if (start(cri, slot, CRIER_CRI_POD_STATUS, sandbox_id))
			return;
		wanted = false;
	}
	if (wanted)
		attach_pod(cri);
	crier_cri_deliver(cri, &cri->message);
	release(slot);
}

static void container_finished(struct crier_cri *cri, struct crier_cri_slot *slot)
{
	enum crier_meta_status status = crier_cri_status(slot->call.status);
	grpc_slice answer = grpc_empty_slice();

	if (status == CRIER_META_NOT_FOUND && slot->query.question == CRIER_CRI_UNKNOWN) {
		slot->stage = CRIER_CRI_ASK_SANDBOX;
		if (!start(cri, slot, CRIER_CRI_POD_STATUS, id_of(&slot->query)))
			fail(cri, slot, CRIER_META_UNAVAILABLE, "the call could not be started");
		return;
	}
	if (status != CRIER_META_OK) {
		fail(cri, slot, status, word_of(status));
		return;
	}
	if (crier_cri_call_answer(&slot->call, &answer) < 0 || convert(cri, &answer, id_of(&slot->query)) < 0)
		fail(cri, slot, CRIER_META_INVALID, "the answer cannot be read, or is about another id");
	else
		container_known(cri, slot, &answer);
	grpc_slice_unref(answer);
}

static void sandbox_finished(struct crier_cri *cri, struct crier_cri_slot *slot)
{
	enum crier_meta_status status = crier_cri_status(slot->call.status);
	grpc_slice answer = grpc_empty_slice();

	if (status != CRIER_META_OK) {
		fail(cri, slot, status, word_of(status));
		return;
	}
	if (crier_cri_call_answer(&slot->call, &answer) < 0 ||
	    convert_pod(cri, &answer, id_of(&slot->query)) < 0) {
		fail(cri, slot, CRIER_META_INVALID, "the answer cannot be read, or is about another id");
	} else {
		remember(cri, &cri->pod_message);
		crier_cri_deliver(cri, &cri->pod_message);
		release(slot);
	}
	grpc_slice_unref(answer);
}

/* The container is told in any case; without its pod when that could not be had. */
static void pod_of_finished(struct crier_cri *cri, struct crier_cri_slot *slot)
{
	grpc_slice answer = grpc_empty_slice();

	if (convert(cri, &slot->container, id_of(&slot->query)) < 0) { /* it was read before */
		fail(cri, slot, CRIER_META_INVALID, "the answer cannot be read");
		return;
	}
	if (crier_cri_call_answer(&slot->call, &answer) == 0 &&
	    convert_pod(cri, &answer, cri->message.container.sandbox_id) == 0) {
		remember(cri, &cri->pod_message);
		attach_pod(cri);
	}
	crier_cri_deliver(cri, &cri->message);
	grpc_slice_unref(answer);
	release(slot);
}

void crier_cri_question_finished(struct crier_cri *cri, struct crier_cri_slot *slot)
{
	crier_cri_link_failed(cri, slot->call.status, slot->call.started_ns);
	switch (slot->stage) {
	case CRIER_CRI_FREE: break;
	case CRIER_CRI_ASK_CONTAINER: container_finished(cri, slot); break;
	case CRIER_CRI_ASK_SANDBOX: sandbox_finished(cri, slot); break;
	case CRIER_CRI_ASK_POD_OF: pod_of_finished(cri, slot); break;
	}
}
