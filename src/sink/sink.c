/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring between the main loop and the writer thread. One mutex guards positions and state; bytes between tail and head
 * belong to the writer, which writes them in place without the lock, those behind head to the main loop: it stages lines
 * there, also without the lock, and publishes a turn's worth together. Positions only rise; a byte's place is its distance
 * from `base` modulo the ring's size. When all is written the ring begins anew: the same few warm pages serve again.
 */
#include "crier/base/threads.h"
#include "crier/sink.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>

#include "target.h"

#define MS_NS 1000000ULL
#define S_NS  1000000000ULL

#define BLOCKED_NS	 (1 * S_NS) /* a write that waits longer is told */
#define FULL_RETRY_NS	 (1 * S_NS)
#define CLOSING_RETRY_NS (50 * MS_NS)
#define BACKOFF_MIN_NS	 (100 * MS_NS)
#define BACKOFF_MAX_NS	 (5 * S_NS)
/* Ends a blocked write(2): ignored by default, so a stray one does no harm. */
#define WAKE_SIGNAL   SIGURG
#define WAKE_EVERY_NS (5 * MS_NS)
#define WAKE_TRIES    60
/* So many do not linger after a quiet time. */
#define BATCHES_AT_ONCE 4
/* Pages kept when a burst is over: what the writer has under way and what a turn makes. */
#define KEPT_BYTES ((size_t)256 * 1024)

struct crier_sink {
	struct crier_target target; /* the writer's, once it runs */
	char *ring;
	size_t size, write_bytes;
	uint64_t linger_ns;
	pthread_t thread;
	bool started;	/* the thread was made */
	bool abandoned; /* it hangs in a write that no signal ends: it keeps this struct */
	int event_fd, timer_fd, poll_fd;

	/* the main loop's alone */
	uint64_t staged;      /* filled up to; published up to `published` */
	uint64_t published;   /* = head */
	uint64_t room_end;    /* as far as it may fill, by the tail last seen */
	bool staged_urgent;   /* among what is not published yet */
	uint64_t touched_end; /* distance from base of the farthest byte since the last trim */
	const char *placed;   /* what crier_sink_place gave last; NULL = nothing, or it is staged */

	uint64_t base; /* changed by the main loop under the lock, and only while nothing waits */
	pthread_mutex_t lock;
	pthread_cond_t work; /* for the writer */
	pthread_cond_t done; /* for close */
	uint64_t head, tail; /* filled up to; written up to */
	uint64_t urgent_end; /* lines below this do not linger */
	uint64_t due_ns;     /* when the next batch may leave, full or not */
	bool idle;	     /* the writer sleeps until it is told, not until a batch is due */
	uint64_t write_ns;   /* start of the attempt that is under way, 0 = none */
	uint64_t rings_ns;   /* what timer_fd was set to last */
	enum crier_sink_state state;
	int error;	  /* errno behind state */
	bool room_wanted; /* a put was refused */
	bool closing, aborting, finished;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * S_NS + (uint64_t)ts.tv_nsec;
}

/* Wait for `cond` until `deadline`. Lock held. @return false when it is over */
static bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline)
{
	struct timespec ts = {.tv_sec = (time_t)(deadline / S_NS), .tv_nsec = (long)(deadline % S_NS)};

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

/* ---- the writer thread ---- */

/* A few batches leave as soon as there is a line, then one for each time that lines linger. Lock held. */
static void count_batch(struct crier_sink *sink)
{
	uint64_t now = now_ns(), saved_up = (BATCHES_AT_ONCE - 1) * sink->linger_ns;

	sink->due_ns = crier_min(crier_max(sink->due_ns + saved_up, now) - saved_up, now) + sink->linger_ns;
}

/* Lock held. @return true: a batch is due; false: nothing will come any more */
static bool wait_for_batch(struct crier_sink *sink)
{
	while (!sink->aborting && sink->state != CRIER_SINK_CLOSED) {
		uint64_t used = sink->head - sink->tail;
		bool is_due = now_ns() >= sink->due_ns;

		if (used == 0 && sink->closing)
			return false;
		if (used > 0 &&
		    (is_due || used >= sink->write_bytes || sink->closing || sink->tail < sink->urgent_end))
			return true;
		sink->idle = is_due;
		if (is_due)
			pthread_cond_wait(&sink->work, &sink->lock);
		else
			(void)wait_until(&sink->work, &sink->lock, sink->due_ns);
		sink->idle = false;
	}
	return false;
}

static size_t place(const struct crier_sink *sink, uint64_t position)
{
	return (size_t)((position - sink->base) % sink->size);
}

/* Position just behind the last newline in [from, to); `from` when there is none. */
static uint64_t line_end(const struct crier_sink *sink, uint64_t from, uint64_t to)
{
	while (to > from) {
		size_t end = place(sink, to - 1) +
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
static void ring_when_blocked(struct crier_sink *sink, uint64_t now)
{
	uint64_t at_ns = sink->write_ns + BLOCKED_NS + MS_NS;
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(at_ns / S_NS), .tv_nsec = (long)(at_ns % S_NS)}};

	if (sink->rings_ns > now)
		return;
	sink->rings_ns = at_ns;
	(void)timerfd_settime(sink->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

/* No lock. One write of [at, end). @return bytes, or -errno */
static ssize_t attempt(struct crier_sink *sink, uint64_t at, uint64_t end)
{
	size_t offset = place(sink, at), len = (size_t)(end - at);
	size_t first = crier_min(len, sink->size - offset);
	struct iovec iov[2] = {{sink->ring + offset, first}, {sink->ring, len - first}};
	uint64_t start = now_ns();
	ssize_t n;

	pthread_mutex_lock(&sink->lock);
	sink->write_ns = start;
	ring_when_blocked(sink, start);
	pthread_mutex_unlock(&sink->lock);
	n = sink->target.ops->write(&sink->target, iov, len > first ? 2 : 1);
	if (n == -EAGAIN) { /* somebody else made it non-blocking */
		struct pollfd wait = {.fd = sink->target.fd, .events = POLLOUT};

		n = poll(&wait, 1, -1) < 0 ? -errno : 0;
	}
	pthread_mutex_lock(&sink->lock);
	sink->write_ns = 0;
	if (now_ns() - start >= BLOCKED_NS)
		notify(sink); /* blocked no more */
	if (n > 0)
		set_state(sink, CRIER_SINK_OK, 0);
	pthread_mutex_unlock(&sink->lock);
	return n;
}

/* Lock held: sleep before another try; shorter while closing, so that the deadline is used. */
static void pause_before_retry(struct crier_sink *sink, uint64_t ns)
{
	uint64_t deadline = now_ns() + ns;

	while (!sink->aborting && now_ns() < deadline) {
		if (sink->closing)
			deadline = crier_min(deadline, now_ns() + CLOSING_RETRY_NS);
		if (!wait_until(&sink->work, &sink->lock, deadline))
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
		pthread_mutex_unlock(&sink->lock);
		to = write_batch(sink, from, to);
		pthread_mutex_lock(&sink->lock);
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

/* ---- the main loop's side ---- */

static void on_wake_signal(int signal)
{
	(void)signal; /* it is there to end a system call, nothing else */
}

static int start_writer(struct crier_sink *sink)
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
	return r;
}

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
	sink->linger_ns = options->linger_ms * MS_NS;
	init_locks(sink);
	r = crier_target_open(&sink->target, options->target, err);
	if (r < 0) {
		crier_sink_free(sink);
		return r;
	}
	sink->ring = mmap(NULL, sink->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sink->ring == MAP_FAILED)
		sink->ring = NULL;
	sink->room_end = sink->size;
	r = sink->ring ? open_fds(sink) : -ENOMEM;
	if (r == 0)
		r = start_writer(sink);
	if (r < 0) {
		crier_sink_free(sink);
		return crier_err_set(err, r, "sink: cannot start its writer: %s", strerror(-r));
	}
	*ret_sink = sink;
	return 0;
}

/* Look where the writer is. Once for each turn's first line, and when room is short. */
static void look_at_tail(struct crier_sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	if (sink->tail == sink->head && sink->staged == sink->head)
		sink->base = sink->head;
	sink->room_end = sink->tail + sink->size;
	pthread_mutex_unlock(&sink->lock);
}

static void want_room(struct crier_sink *sink)
{
	pthread_mutex_lock(&sink->lock);
	sink->room_wanted = true;
	pthread_mutex_unlock(&sink->lock);
}

void crier_sink_flush(struct crier_sink *sink)
{
	uint64_t used, len = sink->staged - sink->published;
	bool urgent = sink->staged_urgent;

	if (!len)
		return;
	sink->published = sink->staged;
	sink->staged_urgent = false;
	pthread_mutex_lock(&sink->lock);
	used = sink->head - sink->tail;
	sink->head = sink->staged;
	if (urgent)
		sink->urgent_end = sink->head;
	/* Else it wakes by itself when the batch is due. */
	if (sink->idle || urgent || (used < sink->write_bytes && used + len >= sink->write_bytes))
		pthread_cond_signal(&sink->work);
	sink->idle = false; /* told once, though it may take a while to get a CPU */
	pthread_mutex_unlock(&sink->lock);
}

char *crier_sink_place(struct crier_sink *sink, size_t len)
{
	size_t offset;

	if (sink->staged == sink->published)
		look_at_tail(sink);
	offset = place(sink, sink->staged);
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
		look_at_tail(sink);
	if (len > sink->room_end - sink->staged) {
		crier_sink_flush(sink);
		want_room(sink);
		return -ENOSPC;
	}
	size_t offset = place(sink, sink->staged);
	size_t first = crier_min(len, sink->size - offset);

	if (!is_placed) {
		memcpy(sink->ring + offset, line, first);
		memcpy(sink->ring, line + first, len - first);
	}
	sink->staged += len;
	sink->staged_urgent |= urgent;
	sink->touched_end = crier_max(sink->touched_end, crier_min(offset + len, sink->size));
	if (urgent || sink->staged - sink->published >= sink->write_bytes)
		crier_sink_flush(sink);
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
	now = now_ns();
	state = sink->state;
	if (ret_errno)
		*ret_errno = sink->error;
	if (state == CRIER_SINK_OK && sink->write_ns && now - sink->write_ns >= BLOCKED_NS)
		state = CRIER_SINK_BLOCKED;
	else if (sink->write_ns)
		ring_when_blocked(mutable(sink), now);
	pthread_mutex_unlock(&mutable(sink)->lock);
	return state;
}

int crier_sink_fd(const struct crier_sink *sink)
{
	return sink->poll_fd;
}

/*
 * Lock held. A signal that comes just before the system call is lost, so it is sent again until the thread answers. A
 * write that no signal ends (a dead network file system) is left to the kernel, and the thread with it.
 */
static void abort_writer(struct crier_sink *sink)
{
	sink->aborting = true;
	pthread_cond_broadcast(&sink->work);
	for (int i = 0; i < WAKE_TRIES && !sink->finished; i++) {
		pthread_kill(sink->thread, WAKE_SIGNAL);
		(void)wait_until(&sink->done, &sink->lock, now_ns() + WAKE_EVERY_NS);
	}
}

size_t crier_sink_close(struct crier_sink *sink, uint32_t deadline_ms)
{
	uint64_t deadline = now_ns() + deadline_ms * MS_NS;
	size_t left;

	crier_sink_flush(sink);
	pthread_mutex_lock(&sink->lock);
	sink->closing = true;
	pthread_cond_broadcast(&sink->work);
	while (sink->started && !sink->finished && wait_until(&sink->done, &sink->lock, deadline))
		;
	if (sink->started && !sink->finished)
		abort_writer(sink);
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
