/* SPDX-License-Identifier: Apache-2.0 */
/* The main loop's side of the ring: stage lines, publish them, look at room and state; begin and end. */
#include "crier/sink.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ring.h"

/* Pages kept when a burst is over: what the writer has under way and what a turn makes. */
#define KEPT_BYTES ((size_t)256 * 1024)

static int open_fds(struct crier_sink *sink)
{
	struct epoll_event event = {.events = EPOLLIN};

	sink->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sink->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	sink->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (sink->event_fd < 0 || sink->timer_fd < 0 || sink->poll_fd < 0 ||
	    epoll_ctl(sink->poll_fd, EPOLL_CTL_ADD, sink->event_fd, &event) < 0 ||
	    epoll_ctl(sink->poll_fd, EPOLL_CTL_ADD, sink->timer_fd, &event) < 0)
		return -errno;
	return 0;
}

static void init_locks(struct crier_sink *sink)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&sink->lock, NULL);
	pthread_cond_init(&sink->work, &attributes);
	pthread_cond_init(&sink->done, &attributes);
	pthread_condattr_destroy(&attributes);
}

int crier_sink_new(const struct crier_sink_options *options, struct crier_sink **ret_sink,
		   struct crier_err *err)
{
	struct crier_sink *sink = calloc(1, sizeof(*sink));
	int r;

	if (!sink)
		return crier_err_set(err, -ENOMEM, "sink: out of memory");
	sink->event_fd = sink->timer_fd = sink->poll_fd = sink->target.fd = -1;
	sink->size = options->buffer_bytes;
	sink->write_bytes = crier_max(options->write_bytes, (size_t)1);
	sink->linger_ns = options->linger_ms * CRIER_SINK_MS;
	init_locks(sink);
	r = crier_target_open(&sink->target, options->target, err);
	if (r < 0) {
		crier_sink_free(sink);
		return r;
	}
	sink->direct = sink->target.ops->try_write != NULL;
	sink->handed_over = !sink->direct;
	sink->ring = mmap(NULL, sink->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sink->ring == MAP_FAILED)
		sink->ring = NULL;
	sink->room_end = sink->size;
	sink->lingers_until = UINT64_MAX;
	r = sink->ring ? open_fds(sink) : -ENOMEM;
	if (r == 0)
		r = crier_writer_start(sink);
	if (r < 0) {
		crier_sink_free(sink);
		return crier_err_set(err, r, "sink: cannot start its writer: %s", strerror(-r));
	}
	*ret_sink = sink;
	return 0;
}

/*
 * Look how far is written. Once for each turn's first line, and when room is short.
 * @return false: there is no room for `wanted` bytes; the descriptor will tell when there is more
 */
static bool look_at_tail(struct crier_sink *sink, size_t wanted)
{
	bool is_room;

	pthread_mutex_lock(&sink->lock);
	if (sink->tail == sink->head && sink->staged == sink->head)
		sink->base = sink->head;
	sink->room_end = sink->tail + sink->size;
	is_room = wanted <= sink->room_end - sink->staged;
	sink->room_wanted |= !is_room;
	pthread_mutex_unlock(&sink->lock);
	return is_room;
}

/* @param is_burst  the turn goes on: what the reader does not take now it may take soon */
static void publish(struct crier_sink *sink, bool is_burst)
{
	uint64_t used, len = sink->staged - sink->published;
	bool is_wanted;

	sink->published = sink->staged;
	pthread_mutex_lock(&sink->lock);
	used = sink->head - sink->tail;
	sink->head = sink->staged;
	is_wanted = sink->staged_urgent || (used < sink->write_bytes && used + len >= sink->write_bytes);
	if (sink->staged_urgent)
		sink->urgent_end = sink->head;
	/* the thread may be woken and have no CPU: what it has not begun with need not wait for it */
	if (sink->direct && !sink->busy)
		sink->handed_over = false;
	if (!sink->handed_over) {
		is_wanted = true;
		crier_writer_try(sink, !is_burst);
	}
	/* else the thread wakes by itself when the batch is due */
	if (sink->handed_over && (is_wanted || sink->idle)) {
		pthread_cond_signal(&sink->work);
		sink->idle = false; /* told once, though it may take a while to get a CPU */
	}
	sink->lingers_until = !sink->handed_over && sink->head > sink->tail ? sink->due_ns : UINT64_MAX;
	sink->staged_urgent = false;
	pthread_mutex_unlock(&sink->lock);
}

void crier_sink_flush(struct crier_sink *sink)
{
	if (sink->staged > sink->published || sink->lingers_until != UINT64_MAX)
		publish(sink, false);
}

uint64_t crier_sink_due_in(const struct crier_sink *sink)
{
	uint64_t now;

	if (sink->lingers_until == UINT64_MAX)
		return UINT64_MAX;
	now = crier_sink_now();
	return sink->lingers_until > now ? sink->lingers_until - now : 0;
}

char *crier_sink_place(struct crier_sink *sink, size_t len)
{
	size_t offset;

	if (sink->staged == sink->published)
		(void)look_at_tail(sink, 0);
	offset = crier_sink_offset(sink, sink->staged);
	if (len > sink->room_end - sink->staged || len > sink->size - offset)
		return NULL;
	sink->placed = sink->ring + offset;
	return sink->ring + offset;
}

int crier_sink_stage(struct crier_sink *sink, const char *line, size_t len, bool urgent)
{
	bool is_placed = line == sink->placed;

	sink->placed = NULL;
	/* a look may begin the ring anew, elsewhere than where the line was placed */
	if (!is_placed && (sink->staged == sink->published || len > sink->room_end - sink->staged))
		(void)look_at_tail(sink, 0);
	if (len > sink->room_end - sink->staged) {
		sink->staged_urgent = true; /* what lingers is in the way */
		publish(sink, false);
		if (!look_at_tail(sink, len))
			return -ENOSPC;
	}
	size_t offset = crier_sink_offset(sink, sink->staged);
	size_t first = crier_min(len, sink->size - offset);

	if (!is_placed) {
		memcpy(sink->ring + offset, line, first);
		memcpy(sink->ring, line + first, len - first);
	}
	sink->staged += len;
	sink->staged_urgent |= urgent;
	sink->touched_end = crier_max(sink->touched_end, crier_min(offset + len, sink->size));
	if (urgent || sink->staged - sink->published >= sink->write_bytes)
		publish(sink, !urgent);
	return 0;
}

int crier_sink_put(struct crier_sink *sink, const char *line, size_t len, bool urgent)
{
	int r = crier_sink_stage(sink, line, len, urgent);

	crier_sink_flush(sink);
	return r;
}

void crier_sink_trim(struct crier_sink *sink)
{
	bool is_empty;

	if (sink->touched_end <= KEPT_BYTES || sink->staged != sink->published)
		return;
	pthread_mutex_lock(&sink->lock);
	is_empty = sink->tail == sink->head;
	pthread_mutex_unlock(&sink->lock);
	if (!is_empty)
		return; /* what waits is the writer's */
	madvise(sink->ring + KEPT_BYTES, sink->size - KEPT_BYTES, MADV_DONTNEED);
	sink->touched_end = 0;
}

/* The lock is no part of what `const` promises. */
static struct crier_sink *mutable(const struct crier_sink *sink)
{
	return (struct crier_sink *)(uintptr_t)sink;
}

size_t crier_sink_room(const struct crier_sink *sink)
{
	size_t room;

	pthread_mutex_lock(&mutable(sink)->lock);
	room = sink->size - (size_t)(sink->staged - sink->tail);
	pthread_mutex_unlock(&mutable(sink)->lock);
	return room;
}

enum crier_sink_state crier_sink_state(const struct crier_sink *sink, int *ret_errno)
{
	enum crier_sink_state state;
	uint64_t drained, now;

	(void)!read(sink->event_fd, &drained, sizeof(drained));
	(void)!read(sink->timer_fd, &drained, sizeof(drained));
	pthread_mutex_lock(&mutable(sink)->lock);
	now = crier_sink_now();
	state = sink->state;
	if (ret_errno)
		*ret_errno = sink->error;
	if (state == CRIER_SINK_OK && sink->write_ns && now - sink->write_ns >= CRIER_SINK_BLOCKED_NS)
		state = CRIER_SINK_BLOCKED;
	else if (sink->write_ns)
		crier_writer_ring_when_blocked(mutable(sink), now);
	pthread_mutex_unlock(&mutable(sink)->lock);
	return state;
}

int crier_sink_fd(const struct crier_sink *sink)
{
	return sink->poll_fd;
}

size_t crier_sink_close(struct crier_sink *sink, uint32_t deadline_ms)
{
	uint64_t deadline = crier_sink_now() + deadline_ms * CRIER_SINK_MS;
	size_t left;

	crier_sink_flush(sink);
	pthread_mutex_lock(&sink->lock);
	sink->closing = true;
	sink->handed_over = true;
	pthread_cond_broadcast(&sink->work);
	while (sink->started && !sink->finished && crier_writer_wait(&sink->done, &sink->lock, deadline))
		;
	if (sink->started && !sink->finished)
		crier_writer_abort(sink);
	left = (size_t)(sink->head - sink->tail);
	sink->abandoned = sink->started && !sink->finished;
	pthread_mutex_unlock(&sink->lock);
	if (sink->started && !sink->abandoned)
		pthread_join(sink->thread, NULL);
	else if (sink->started)
		pthread_detach(sink->thread);
	sink->started = false;
	return left;
}

void crier_sink_free(struct crier_sink *sink)
{
	if (!sink)
		return;
	if (sink->started)
		(void)crier_sink_close(sink, 0);
	if (sink->abandoned)
		return;
	crier_target_close(&sink->target);
	if (sink->event_fd >= 0)
		close(sink->event_fd);
	if (sink->timer_fd >= 0)
		close(sink->timer_fd);
	if (sink->poll_fd >= 0)
		close(sink->poll_fd);
	pthread_cond_destroy(&sink->work);
	pthread_cond_destroy(&sink->done);
	pthread_mutex_destroy(&sink->lock);
	if (sink->ring)
		munmap(sink->ring, sink->size);
	free(sink);
}
