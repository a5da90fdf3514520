/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CRI thread: one completion queue, on which every answer, the doorbell and (by its deadline) every timer
 * arrive. The main loop puts a question into the ring and rings; it never waits.
 */
#include "client.h"

#include <errno.h>
#include <grpc/byte_buffer.h>
#include <malloc.h>
#include <signal.h>
#include <sys/random.h>

#include "crier/base/threads.h"
#include "crier/base/log.h"

static char doorbell_tag;

void crier_cri_options_default(struct crier_cri_options *options)
{
	*options = (struct crier_cri_options){
		.timeout_ms = 2000,
		.reconcile_ms = 30000,
		.max_in_flight = 8,
		.max_queued = 4096,
		.receive_max_bytes = 16 << 20,
		.stream_life_ms = 300000,
	};
}

static bool is_stopping(struct crier_cri *cri)
{
	pthread_mutex_lock(&cri->lock);
	bool stopping = cri->stopping;

	pthread_mutex_unlock(&cri->lock);
	return stopping;
}

/* The oldest urgent question, else the oldest of the others. @return false when there is none */
static bool take(struct crier_cri *cri, struct crier_cri_query *ret_query)
{
	pthread_mutex_lock(&cri->lock);
	struct crier_cri_ring *ring = &cri->rings[cri->rings[0].count == 0];
	bool any = ring->count > 0;

	if (any) {
		*ret_query = ring->items[ring->head];
		ring->head = (ring->head + 1) % cri->options.max_queued;
		if (--ring->count == 0)
			ring->head = 0; /* so that a quiet node touches the ring's first page only */
	}
	pthread_mutex_unlock(&cri->lock);
	return any;
}

static struct crier_cri_slot *free_slot(struct crier_cri *cri)
{
	for (uint32_t i = 0; i < cri->options.max_in_flight; i++)
		if (cri->slots[i].stage == CRIER_CRI_FREE)
			return &cri->slots[i];
	return NULL;
}

static void take_questions(struct crier_cri *cri)
{
	const uint64_t age_max_ns = CRIER_CRI_QUERY_AGE * cri->options.timeout_ms * 1000000ull;
	struct crier_cri_slot *slot;
	struct crier_cri_query query;

	while (cri->link != CRIER_CRI_LINK_PROBING && !cri->out_first && (slot = free_slot(cri)) &&
	       take(cri, &query)) {
		if (cri->link == CRIER_CRI_LINK_DOWN)
			crier_cri_question_missing(cri, &query, crier_cri_fault_status(cri->told),
						   CRIER_SLICE("the runtime does not answer"));
		else if (crier_cri_now_ns() - query.asked_ns > age_max_ns)
			crier_cri_question_missing(cri, &query, CRIER_META_TIMEOUT,
						   CRIER_SLICE("waited too long for its turn"));
		else
			crier_cri_question_start(cri, slot, &query);
	}
}

static bool reconcile_is_wanted(struct crier_cri *cri)
{
	pthread_mutex_lock(&cri->lock);
	bool wanted = cri->want_reconcile;

	cri->want_reconcile = false;
	pthread_mutex_unlock(&cri->lock);
	return wanted;
}

/* What a runtime of thousands of containers, or one that lies, made malloc take is given back between the lists. */
static void give_back(struct crier_cri *cri)
{
	cri->is_bloated = false;
	(void)malloc_trim(0);
}

/* Whatever can be done now. */
static void step(struct crier_cri *cri)
{
	bool is_idle = !cri->control.call && !cri->list.pos;

	if (cri->is_bloated && is_idle)
		give_back(cri);
	crier_cri_outbox_flush(cri);
	if (reconcile_is_wanted(cri))
		cri->reconcile_at_ns = 0;
	if (cri->link == CRIER_CRI_LINK_DOWN && !cri->control.call && crier_cri_now_ns() >= cri->retry_at_ns)
		crier_cri_link_probe(cri);
	else if (cri->link == CRIER_CRI_LINK_UP && cri->is_doubtful && is_idle)
		crier_cri_link_probe(cri);
	crier_cri_stream_step(cri);
	if (cri->link == CRIER_CRI_LINK_UP && !cri->is_doubtful && is_idle && !cri->out_first &&
	    crier_cri_now_ns() >= cri->reconcile_at_ns)
		crier_cri_reconcile_begin(cri);
	take_questions(cri);
	crier_cri_reconcile_step(cri);
}

/* When the queue has to be left although nothing arrived. */
static gpr_timespec next_deadline(const struct crier_cri *cri)
{
	uint64_t at_ns = CRIER_CRI_NEVER, now_ns = crier_cri_now_ns();

	if (cri->out_first)
		at_ns = cri->deliver_at_ns;
	else if (cri->list.pos)
		at_ns = now_ns;
	else if (cri->link == CRIER_CRI_LINK_UP && !cri->control.call)
		at_ns = cri->reconcile_at_ns;
	if (cri->link == CRIER_CRI_LINK_DOWN)
		at_ns = crier_min(at_ns, cri->retry_at_ns);
	at_ns = crier_min(at_ns, crier_cri_stream_due(cri));
	if (at_ns == CRIER_CRI_NEVER)
		return gpr_inf_future(GPR_CLOCK_MONOTONIC);
	return gpr_time_add(
		gpr_now(GPR_CLOCK_MONOTONIC),
		gpr_time_from_nanos(at_ns > now_ns ? (int64_t)(at_ns - now_ns) : 0, GPR_TIMESPAN));
}

static void finished(struct crier_cri *cri, void *tag)
{
	struct crier_cri_call *call = tag;

	if (call->status == GRPC_STATUS_OK || call->status == GRPC_STATUS_NOT_FOUND)
		cri->last_answer_ns = crier_cri_now_ns();
	cri->is_bloated |= call->response && grpc_byte_buffer_length(call->response) > CRIER_CRI_TRIM_MIN;
	if (call != &cri->control)
		crier_cri_question_finished(cri, tag);
	else if (cri->link == CRIER_CRI_LINK_PROBING)
		crier_cri_link_finished(cri);
	else
		crier_cri_reconcile_finished(cri);
}

/* Wait for one event. @return false: stop */
static bool turn(struct crier_cri *cri)
{
	grpc_event event = grpc_completion_queue_next(cri->cq, next_deadline(cri), NULL);

	if (event.type == GRPC_OP_COMPLETE && event.tag == &doorbell_tag) {
		pthread_mutex_lock(&cri->lock);
		cri->is_rung = false;
		pthread_mutex_unlock(&cri->lock);
	} else if (event.type == GRPC_OP_COMPLETE && event.tag == &crier_cri_link_tag) {
		crier_cri_link_changed(cri);
	} else if (event.type == GRPC_OP_COMPLETE && !crier_cri_stream_finished(cri, event.tag)) {
		finished(cri, event.tag);
	}
	if (is_stopping(cri))
		return false;
	step(cri);
	return true;
}

static void open_doorbell(struct crier_cri *cri)
{
	cri->lame = grpc_lame_client_channel_create("unix:", GRPC_STATUS_UNAVAILABLE, "doorbell");
	cri->doorbell = grpc_channel_create_call(cri->lame, NULL, GRPC_PROPAGATE_DEFAULTS, cri->cq,
						 grpc_slice_from_static_string("/doorbell"), NULL,
						 gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	pthread_mutex_lock(&cri->lock);
	cri->is_open = true;
	pthread_mutex_unlock(&cri->lock);
}

/* Every tag comes back before the queue ends; cancelled calls come back at once, whatever the runtime does. */
static void close_all(struct crier_cri *cri)
{
	grpc_event event;

	for (uint32_t i = 0; i < cri->options.max_in_flight; i++)
		if (cri->slots[i].stage != CRIER_CRI_FREE)
			grpc_call_cancel(cri->slots[i].call.call, NULL);
	if (cri->control.call)
		grpc_call_cancel(cri->control.call, NULL);
	crier_cri_stream_close(cri, "crier ends");
	crier_cri_link_close(cri);
	grpc_completion_queue_shutdown(cri->cq);
	do
		event = grpc_completion_queue_next(cri->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
	while (event.type != GRPC_QUEUE_SHUTDOWN);
	for (uint32_t i = 0; i < cri->options.max_in_flight; i++) {
		crier_cri_call_reset(&cri->slots[i].call);
		if (cri->slots[i].stage == CRIER_CRI_ASK_POD_OF)
			grpc_slice_unref(cri->slots[i].container);
	}
	crier_cri_call_reset(&cri->control);
	crier_cri_stream_free(cri);
	crier_cri_reconcile_abort(cri);
	grpc_call_unref(cri->doorbell);
	grpc_channel_destroy(cri->lame);
	grpc_completion_queue_destroy(cri->cq);
}

static void *run(void *arg)
{
	struct crier_cri *cri = arg;

	crier_cri_library_prepare();
	grpc_init();
	cri->cq = grpc_completion_queue_create_for_next(NULL);
	open_doorbell(cri);
	if (!is_stopping(cri)) {
		step(cri);
		while (turn(cri))
			;
	}
	close_all(cri);
	grpc_shutdown_blocking();
	pthread_mutex_lock(&cri->lock);
	cri->has_ended = true;
	pthread_cond_signal(&cri->ended);
	pthread_mutex_unlock(&cri->lock);
	return NULL;
}

static void destroy(struct crier_cri *cri)
{
	crier_cri_outbox_free(cri);
	crier_cri_sandboxes_free(&cri->sandboxes);
	crier_cri_holder_free(cri->holder);
	crier_cri_holder_free(cri->pod_holder);
	pthread_mutex_destroy(&cri->lock);
	pthread_cond_destroy(&cri->ended);
	free(cri->slots);
	free(cri->rings[0].items);
	free(cri->rings[1].items);
	free(cri->socket);
	free(cri);
}

static int allocate(struct crier_cri *cri)
{
	cri->socket = strdup(cri->options.socket);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cri->rings); i++)
		cri->rings[i].items = calloc(cri->options.max_queued, sizeof(cri->rings[i].items[0]));
	cri->slots = calloc(cri->options.max_in_flight, sizeof(cri->slots[0]));
	if (!cri->socket || !cri->rings[0].items || !cri->rings[1].items || !cri->slots)
		return -ENOMEM;
	int r = crier_cri_sandboxes_init(&cri->sandboxes, CRIER_CRI_SANDBOXES_MAX);

	if (r == 0)
		r = crier_cri_holder_new(CRIER_CRI_UNPACK_MAX, &cri->holder);
	if (r == 0)
		r = crier_cri_holder_new(CRIER_CRI_UNPACK_MAX, &cri->pod_holder);
	return r;
}

/* No signal is for this thread or for those gRPC starts from it. */
static int start_thread(struct crier_cri *cri)
{
	sigset_t all, before;

	crier_threads_no_signals(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&cri->thread, NULL, run, cri);

	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		(void)pthread_setname_np(cri->thread, "crier-cri");
	return r;
}

/* The wait for the thread's end is not to depend on a clock that can be set. */
static void init_locks(struct crier_cri *cri)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&cri->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cri->ended, &attr);
	pthread_condattr_destroy(&attr);
}

int crier_cri_new(const struct crier_cri_options *options, struct crier_mailbox *mailbox,
		  struct crier_cri **ret_cri, struct crier_err *err)
{
	if (!options->socket || !options->socket[0] || !options->timeout_ms || !options->max_in_flight ||
	    !options->max_queued || !options->receive_max_bytes || options->receive_max_bytes > INT32_MAX ||
	    !options->stream_life_ms)
		return crier_err_set(err, -EINVAL, "CRI client: a socket and numbers above zero are needed");
	struct crier_cri *cri = calloc(1, sizeof(*cri));

	if (!cri)
		return crier_err_set(err, -ENOMEM, "CRI client: out of memory");
	cri->options = *options;
	cri->mailbox = mailbox;
	cri->is_reconnect = true;
	if (getrandom(&cri->random, sizeof(cri->random), GRND_NONBLOCK) != sizeof(cri->random))
		cri->random = crier_cri_now_ns();
	cri->random |= 1; /* zero is where xorshift stays */
	init_locks(cri);
	int r = allocate(cri);

	if (r == 0)
		r = start_thread(cri);
	if (r < 0) {
		destroy(cri);
		return crier_err_set(err, r, "CRI client: no memory or no thread for it: %s", strerror(-r));
	}
	*ret_cri = cri;
	return 0;
}

/* Main loop. Outside the lock: gRPC takes locks of its own. */
static void ring(struct crier_cri *cri, bool needed)
{
	if (needed)
		(void)grpc_call_start_batch(cri->doorbell, NULL, 0, &doorbell_tag, NULL);
}

/* Under the lock: has the bell to be rung, and is it there? */
static bool claim_bell(struct crier_cri *cri)
{
	bool needed = cri->is_open && !cri->is_rung;

	cri->is_rung |= needed;
	return needed;
}

/* @return false: it did not end in time */
static bool wait_for_thread(struct crier_cri *cri)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += CRIER_CRI_SHUTDOWN_MAX_MS * 1000000l;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	pthread_mutex_lock(&cri->lock);
	while (!cri->has_ended && pthread_cond_timedwait(&cri->ended, &cri->lock, &until) == 0)
		;
	bool ended = cri->has_ended;

	pthread_mutex_unlock(&cri->lock);
	return ended;
}

void crier_cri_free(struct crier_cri *cri)
{
	if (!cri)
		return;
	pthread_mutex_lock(&cri->lock);
	cri->stopping = true;
	bool needed = claim_bell(cri);

	pthread_mutex_unlock(&cri->lock);
	ring(cri, needed);
	if (wait_for_thread(cri)) {
		pthread_join(cri->thread, NULL);
		destroy(cri);
		return;
	}
	/* Its memory stays with the thread, which touches neither mailbox nor main loop any more. */
	crier_warn("CRI client: its thread did not end within %d ms and is left behind",
		   CRIER_CRI_SHUTDOWN_MAX_MS);
	pthread_detach(cri->thread);
}

int crier_cri_ask(struct crier_cri *cri, enum crier_cri_question question, struct crier_slice id,
		  bool with_pod, bool urgent)
{
	struct crier_cri_ring *queue = &cri->rings[!urgent];

	if (id.len == 0 || id.len > CRIER_CRI_ID_MAX || question > CRIER_CRI_UNKNOWN)
		return -EINVAL;
	struct crier_cri_query query = {
		.asked_ns = crier_cri_now_ns(),
		.question = (uint8_t)question,
		.with_pod = with_pod,
		.len = (uint8_t)id.len,
	};

	memcpy(query.id, id.ptr, id.len);
	pthread_mutex_lock(&cri->lock);
	if (queue->count == cri->options.max_queued) {
		pthread_mutex_unlock(&cri->lock);
		return -EAGAIN;
	}
	queue->items[(queue->head + queue->count++) % cri->options.max_queued] = query;
	bool needed = claim_bell(cri);

	pthread_mutex_unlock(&cri->lock);
	ring(cri, needed);
	return 0;
}

void crier_cri_reconcile(struct crier_cri *cri)
{
	pthread_mutex_lock(&cri->lock);
	cri->want_reconcile = true;
	bool needed = claim_bell(cri);

	pthread_mutex_unlock(&cri->lock);
	ring(cri, needed);
}
