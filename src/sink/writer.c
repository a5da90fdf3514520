/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: the main loop's own try, and the thread. That alone waits: for a reader, for room on a disk, for a connection. */
#include "crier/base/threads.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ring.h"

#define FULL_RETRY_NS	 (1 * CRIER_SINK_S)
#define CLOSING_RETRY_NS (50 * CRIER_SINK_MS)
#define BACKOFF_MIN_NS	 (100 * CRIER_SINK_MS)
#define BACKOFF_MAX_NS	 (5 * CRIER_SINK_S)
/* Ends a blocked write(2): ignored by default, so a stray one does no harm. */
#define WAKE_SIGNAL   SIGURG
#define WAKE_EVERY_NS (5 * CRIER_SINK_MS)
#define WAKE_TRIES    60
/* So many do not linger after a quiet time. */
#define BATCHES_AT_ONCE 4

bool crier_writer_wait(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline)
{
	struct timespec ts = {.tv_sec = (time_t)(deadline / CRIER_SINK_S),
			      .tv_nsec = (long)(deadline % CRIER_SINK_S)};

	return pthread_cond_timedwait(cond, lock, &ts) != ETIMEDOUT;
}

static void notify(const struct crier_sink *sink)
{
	/* Cannot block in practice: the counter is far from its end. */
	(void)!write(sink->event_fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* Lock held. */
static void set_state(struct crier_sink *sink, enum crier_sink_state state, int error)
{
	if (sink->state == state && sink->error == error)
		return;
	sink->state = state;
	sink->error = error;
	notify(sink);
}

/* A few batches leave as soon as there is a line, then one for each time that lines linger. Lock held. */
static void count_batch(struct crier_sink *sink)
{
	uint64_t now = crier_sink_now(), saved_up = (BATCHES_AT_ONCE - 1) * sink->linger_ns;

	sink->due_ns = crier_min(crier_max(sink->due_ns + saved_up, now) - saved_up, now) + sink->linger_ns;
}

/* Lock held. */
static bool is_due(const struct crier_sink *sink)
{
	uint64_t used = sink->head - sink->tail;

	return used > 0 && (used >= sink->write_bytes || sink->closing || sink->tail < sink->urgent_end ||
			    crier_sink_now() >= sink->due_ns);
}

/* Lock held. @return true: a batch is due; false: nothing will come any more */
static bool wait_for_batch(struct crier_sink *sink)
{
	while (!sink->aborting && sink->state != CRIER_SINK_CLOSED) {
		if (sink->head == sink->tail) {
			if (sink->closing)
				return false;
			sink->handed_over = !sink->direct;
		}
		if (sink->handed_over && is_due(sink))
			return true;
		sink->idle = !sink->handed_over || crier_sink_now() >= sink->due_ns;
		if (sink->idle)
			pthread_cond_wait(&sink->work, &sink->lock);
		else
			(void)crier_writer_wait(&sink->work, &sink->lock, sink->due_ns);
		sink->idle = false;
	}
	return false;
}

/* Position just behind the last newline in [from, to); `from` when there is none. */
static uint64_t line_end(const struct crier_sink *sink, uint64_t from, uint64_t to)
{
	while (to > from) {
		size_t end = crier_sink_offset(sink, to - 1) +
			     1; /* the piece that ends here may begin at the ring's first byte */
		size_t len = crier_min((size_t)(to - from), end);
		const char *newline = memrchr(sink->ring + end - len, '\n', len);

		if (newline)
			return to - (uint64_t)(sink->ring + end - newline) + 1;
		to -= len;
	}
	return from;
}

/* Lock held: end of the next batch, at a line's end. */
static uint64_t batch_end(const struct crier_sink *sink)
{
	uint64_t end;

	if (sink->head - sink->tail <= sink->write_bytes)
		return sink->head;
	end = line_end(sink, sink->tail, sink->tail + sink->write_bytes);
	return end > sink->tail ? end : sink->tail + sink->write_bytes;
}

/*
 * Lock held. The main loop sleeps on this timer: it rings while a write(2) hangs. Not set anew for each write: when
 * it rings early, crier_sink_state() sets it for what is left.
 */
void crier_writer_ring_when_blocked(struct crier_sink *sink, uint64_t now)
{
	uint64_t at_ns = sink->write_ns + CRIER_SINK_BLOCKED_NS + CRIER_SINK_MS;
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(at_ns / CRIER_SINK_S),
					       .tv_nsec = (long)(at_ns % CRIER_SINK_S)}};

	if (sink->rings_ns > now)
		return;
	sink->rings_ns = at_ns;
	(void)timerfd_settime(sink->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Where [at, end) is. @return how many pieces */
static int pieces(const struct crier_sink *sink, uint64_t at, uint64_t end, struct iovec iov[2])
{
	size_t offset = crier_sink_offset(sink, at), len = (size_t)(end - at);
	size_t first = crier_min(len, sink->size - offset);

	iov[0] = (struct iovec){sink->ring + offset, first};
	iov[1] = (struct iovec){sink->ring, len - first};
	return len > first ? 2 : 1;
}

/* ---- by the main loop ---- */

void crier_writer_try(struct crier_sink *sink, bool hand_over)
{
	while (!sink->handed_over && is_due(sink)) {
		uint64_t end = batch_end(sink);
		struct iovec iov[2];
		int count = pieces(sink, sink->tail, end, iov);
		ssize_t n = sink->target.ops->try_write(&sink->target, iov, count);

		if (n > 0) {
			count_batch(sink);
			sink->tail += (uint64_t)n;
		} else if (n < 0 && n != -EAGAIN && n != -EINTR) {
			sink->direct = false; /* not here; or the thread meets it too, and knows what to do */
		}
		if (sink->tail == end)
			continue;
		if (!hand_over && sink->direct)
			break;
		sink->handed_over = true;
		sink->urgent_end = sink->head; /* the rest has lingered */
	}
}

/* ---- by the thread ---- */

/* No lock. One write of [at, end). @return bytes, or -errno */
static ssize_t attempt(struct crier_sink *sink, uint64_t at, uint64_t end)
{
	struct iovec iov[2];
	int count = pieces(sink, at, end, iov);
	uint64_t start = crier_sink_now();
	ssize_t n;

	pthread_mutex_lock(&sink->lock);
	sink->write_ns = start;
	crier_writer_ring_when_blocked(sink, start);
	pthread_mutex_unlock(&sink->lock);
	n = sink->target.ops->write(&sink->target, iov, count);
	if (n == -EAGAIN) { /* somebody else made it non-blocking */
		struct pollfd wait = {.fd = sink->target.fd, .events = POLLOUT};

		n = poll(&wait, 1, -1) < 0 ? -errno : 0;
	}
	pthread_mutex_lock(&sink->lock);
	sink->write_ns = 0;
	if (crier_sink_now() - start >= CRIER_SINK_BLOCKED_NS)
		notify(sink); /* blocked no more */
	if (n > 0)
		set_state(sink, CRIER_SINK_OK, 0);
	pthread_mutex_unlock(&sink->lock);
	return n;
}

/* Lock held: sleep before another try; shorter while closing, so that the deadline is used. */
static void pause_before_retry(struct crier_sink *sink, uint64_t ns)
{
	uint64_t deadline = crier_sink_now() + ns;

	while (!sink->aborting && crier_sink_now() < deadline) {
		if (sink->closing)
			deadline = crier_min(deadline, crier_sink_now() + CLOSING_RETRY_NS);
		if (!crier_writer_wait(&sink->work, &sink->lock, deadline))
			break;
	}
}

/* No lock. After a failed write: wait, connect again, or give up. @return false: it is over */
static bool recover(struct crier_sink *sink, int error, uint64_t *backoff_ns)
{
	bool goes_on = true;

	if (error == EINTR)
		return true; /* the caller looks whether it was told to stop */
	pthread_mutex_lock(&sink->lock);
	if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
		set_state(sink, CRIER_SINK_FULL, error);
		pause_before_retry(sink, FULL_RETRY_NS);
	} else if (sink->target.ops->reconnect) {
		int r;

		pthread_mutex_unlock(&sink->lock);
		r = sink->target.ops->reconnect(&sink->target);
		pthread_mutex_lock(&sink->lock);
		if (r < 0 && r != -EINTR) {
			set_state(sink, CRIER_SINK_BLOCKED, -r);
			pause_before_retry(sink, *backoff_ns);
			*backoff_ns = crier_min(*backoff_ns * 2, BACKOFF_MAX_NS);
		}
	} else {
		set_state(sink, CRIER_SINK_CLOSED, error);
		goes_on = false;
	}
	pthread_mutex_unlock(&sink->lock);
	return goes_on;
}

static bool is_aborting(struct crier_sink *sink)
{
	bool aborting;

	pthread_mutex_lock(&sink->lock);
	aborting = sink->aborting;
	pthread_mutex_unlock(&sink->lock);
	return aborting;
}

/* No lock. Write [from, to). @return how far it came */
static uint64_t write_batch(struct crier_sink *sink, uint64_t from, uint64_t to)
{
	uint64_t at = from, backoff_ns = BACKOFF_MIN_NS;

	while (at < to && !is_aborting(sink)) {
		ssize_t n = attempt(sink, at, to);

		if (n >= 0) {
			at += (uint64_t)n;
			continue;
		}
		if (!recover(sink, (int)-n, &backoff_ns))
			break;
		/* A new connection starts with a whole line. */
		if (n != -EINTR && sink->target.ops->reconnect)
			at = line_end(sink, from, at);
	}
	return at;
}

static void *writer_main(void *arg)
{
	struct crier_sink *sink = arg;

	pthread_mutex_lock(&sink->lock);
	while (wait_for_batch(sink)) {
		uint64_t from = sink->tail, to = batch_end(sink);

		count_batch(sink);
		sink->busy = true;
		pthread_mutex_unlock(&sink->lock);
		to = write_batch(sink, from, to);
		pthread_mutex_lock(&sink->lock);
		sink->busy = false;
		sink->tail = to;
		if (sink->room_wanted && to > from) {
			sink->room_wanted = false;
			notify(sink);
		}
	}
	sink->finished = true;
	pthread_cond_broadcast(&sink->done);
	pthread_mutex_unlock(&sink->lock);
	return NULL;
}

static void on_wake_signal(int signal)
{
	(void)signal; /* it is there to end a system call, nothing else */
}

int crier_writer_start(struct crier_sink *sink)
{
	struct sigaction action = {.sa_handler = on_wake_signal}; /* no SA_RESTART */
	sigset_t others, before;
	int r;

	if (sigaction(WAKE_SIGNAL, &action, NULL) < 0)
		return -errno;
	/* The thread gets no other signal: a SIGPIPE of its own writes stays pending and does nothing. */
	crier_threads_no_signals(&others);
	sigdelset(&others, WAKE_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &others, &before);
	r = -pthread_create(&sink->thread, NULL, writer_main, sink);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	sink->started = r == 0;
	if (sink->started)
		(void)pthread_setname_np(sink->thread, "crier-sink");
	return r;
}

/*
 * Lock held. A signal that comes just before the system call is lost, so it is sent again until the thread answers. A
 * write that no signal ends (a dead network file system) is left to the kernel, and the thread with it.
 */
void crier_writer_abort(struct crier_sink *sink)
{
	sink->aborting = true;
	pthread_cond_broadcast(&sink->work);
	for (int i = 0; i < WAKE_TRIES && !sink->finished; i++) {
		pthread_kill(sink->thread, WAKE_SIGNAL);
		(void)crier_writer_wait(&sink->done, &sink->lock, crier_sink_now() + WAKE_EVERY_NS);
	}
}
