/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Into the mailbox, in order. What it has no room for waits here and is tried again by the thread's timer; while
 * anything waits, no question is taken and no list item unpacked, so at most the answers in flight can pile up.
 */
#include <errno.h>

#include "client.h"
#include "crier/base/log.h"

/*
 * Under the lock that crier_cri_free() sets `stopping` under: once it has, the mailbox is not touched again, not even
 * by a thread that had to be left behind.
 */
static int push(struct crier_cri *cri, const void *bytes, size_t len)
{
	pthread_mutex_lock(&cri->lock);
	int r = cri->stopping ? 0 : crier_mailbox_push(cri->mailbox, bytes, len);

	pthread_mutex_unlock(&cri->lock);
	return r;
}

static void enqueue(struct crier_cri *cri, const void *bytes, size_t len)
{
	struct crier_cri_out *out = malloc(sizeof(*out) + len);

	if (!out) {
		crier_error(
			"CRI: out of memory, one answer of %zu bytes is lost; the next reconcile makes up for it",
			len);
		return;
	}
	out->next = NULL;
	out->len = len;
	cri->out_bytes += sizeof(*out) + len;
	memcpy(out->bytes, bytes, len);
	if (cri->out_last)
		cri->out_last->next = out;
	else
		cri->out_first = out;
	cri->out_last = out;
	if (!cri->deliver_pause_ns) {
		cri->deliver_pause_ns = CRIER_CRI_RETRY_MIN_NS;
		cri->deliver_at_ns = crier_cri_now_ns() + cri->deliver_pause_ns;
	}
}

/* @return 0 delivered or queued, -E2BIG */
static int post(struct crier_cri *cri, const struct crier_meta_message *message)
{
	struct crier_buf buf;

	crier_buf_init(&buf, cri->blob, sizeof(cri->blob));
	int r = crier_meta_encode(message, &buf);

	if (r < 0)
		return r;
	r = cri->out_first ? -EAGAIN : push(cri, buf.data, buf.len);
	if (r == -E2BIG)
		return r;
	if (r < 0)
		enqueue(cri, buf.data, buf.len);
	return 0;
}

/* The same message without all that is only nice to have: the ids say that the object exists, and answer the question. */
static void reduce(const struct crier_meta_message *from, struct crier_meta_message *ret_message)
{
	crier_meta_clear(ret_message);
	ret_message->type = from->type;
	ret_message->generation = from->generation;
	ret_message->id = from->id;
	ret_message->event = from->event;
	ret_message->event_at_ns = from->event_at_ns;
	if (from->type != CRIER_META_POD) {
		ret_message->container.id = from->container.id;
		ret_message->container.sandbox_id = from->container.sandbox_id;
		ret_message->container.name = from->container.name;
		ret_message->container.pod_uid = from->container.pod_uid;
		ret_message->container.state = from->container.state;
		ret_message->container.pid = from->container.pid;
	}
	if (from->type != CRIER_META_CONTAINER) {
		ret_message->pod.sandbox_id = from->pod.sandbox_id;
		ret_message->pod.name = from->pod.name;
		ret_message->pod.namespace_ = from->pod.namespace_;
		ret_message->pod.uid = from->pod.uid;
		ret_message->pod.ready = from->pod.ready;
		ret_message->pod.pid = from->pod.pid;
	}
}

void crier_cri_deliver(struct crier_cri *cri, const struct crier_meta_message *message)
{
	if (post(cri, message) == 0)
		return;
	if (message->type == CRIER_META_CONTAINER || message->type == CRIER_META_POD ||
	    message->type == CRIER_META_EVENT) {
		reduce(message, &cri->pod_message);
		if (post(cri, &cri->pod_message) == 0)
			return;
	}
	crier_error("CRI: an answer is larger than the mailbox and was dropped");
}

static void pop_first(struct crier_cri *cri)
{
	struct crier_cri_out *out = cri->out_first;

	cri->out_first = out->next;
	cri->out_bytes -= sizeof(*out) + out->len;
	if (!cri->out_first)
		cri->out_last = NULL;
	free(out);
}

void crier_cri_outbox_flush(struct crier_cri *cri)
{
	uint64_t now_ns = crier_cri_now_ns();

	if (!cri->out_first || now_ns < cri->deliver_at_ns)
		return;
	while (cri->out_first) {
		int r = push(cri, cri->out_first->bytes, cri->out_first->len);

		if (r == -EAGAIN || r == -ENOMEM) {
			cri->deliver_pause_ns = crier_min(2 * cri->deliver_pause_ns, CRIER_CRI_RETRY_MAX_NS);
			cri->deliver_at_ns = now_ns + cri->deliver_pause_ns;
			return;
		}
		pop_first(cri); /* delivered: what is too big never came here */
		cri->deliver_pause_ns = CRIER_CRI_RETRY_MIN_NS;
	}
	cri->deliver_pause_ns = 0;
}

void crier_cri_outbox_free(struct crier_cri *cri)
{
	while (cri->out_first)
		pop_first(cri);
}
