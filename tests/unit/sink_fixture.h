/* SPDX-License-Identifier: Apache-2.0 */
/* What both tests of the sink use: a folder, a stdout of one's own, lines that tell their number, a reader thread. */
#ifndef CRIER_SINK_FIXTURE_H
#define CRIER_SINK_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "crier/sink.h"

static char folder[] = "/tmp/crier-sink-XXXXXX";

static inline int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static inline int teardown(void **state)
{
	(void)state;
	unlink("fifo");
	unlink("file");
	unlink("socket");
	return rmdir(folder);
}

static inline uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline struct crier_sink *open_sink(const char *target, size_t buffer_bytes, uint32_t linger_ms)
{
	struct crier_sink_options options = {
		.target = target, .buffer_bytes = buffer_bytes, .write_bytes = 65536, .linger_ms = linger_ms};
	struct crier_sink *sink;
	struct crier_err err = {0};

	if (crier_sink_new(&options, &sink, &err) < 0)
		fail_msg("%s", err.message);
	return sink;
}

/* stdout replaced by `fd` while a sink on "-" is made and used. */
static int saved_stdout = -1;

static inline void redirect_stdout(int fd)
{
	fflush(stdout);
	saved_stdout = dup(STDOUT_FILENO);
	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
}

static inline void restore_stdout(void)
{
	dup2(saved_stdout, STDOUT_FILENO);
	close(saved_stdout);
	saved_stdout = -1;
}

/* A test that failed half-way must not take cmocka's stdout along. */
static inline int give_stdout_back(void **state)
{
	(void)state;
	if (saved_stdout >= 0)
		restore_stdout();
	return 0;
}

/*
 * What a test's stdout is, by its state: a pipe says of a write whether it would wait (Linux 6.4), a FIFO does not, and the
 * thread writes all.
 */
static inline void open_pipe(void **state, int fds[2])
{
	if (!*state || strcmp(*state, "fifo") != 0) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	} else {
		unlink("fifo");
		assert_int_equal(mkfifo("fifo", 0600), 0);
		fds[0] = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		fds[1] = open("fifo", O_WRONLY | O_CLOEXEC);
		assert_true(fds[0] >= 0 && fds[1] >= 0);
		assert_int_equal(fcntl(fds[0], F_SETFL, 0), 0);
	}
	redirect_stdout(fds[1]);
}

/* Wait as the main loop does, which hands on what lingers. @return as poll(2) */
static inline int poll_lines(struct crier_sink *sink, int fd, unsigned timeout_ms)
{
	uint64_t deadline = now_ms() + timeout_ms;
	struct pollfd there = {.fd = fd, .events = POLLIN};

	for (;;) {
		uint64_t now = now_ms(), due_in = crier_sink_due_in(sink);
		uint64_t left = now < deadline ? deadline - now : 0;
		bool is_due = due_in != UINT64_MAX && due_in / 1000000 + 1 < left;
		int n = poll(&there, 1, (int)(is_due ? due_in / 1000000 + 1 : left));

		if (n != 0 || !is_due)
			return n;
		crier_sink_flush(sink);
	}
}

/* Line number `i`, of a length that varies: "12:xxxxx\n". */
static inline size_t make_line(char *buf, size_t cap, unsigned i)
{
	int n = snprintf(buf, cap, "%u:%0*d\n", i, (int)(i * 37 % 900 + 1), 0);

	return (size_t)n;
}

struct reader {
	int fd;
	unsigned delay_us; /* before each read */
	size_t chunk;
	size_t len;
	char *text;
	pthread_t thread;
};

#define READ_MAX (8 * 1024 * 1024)

static inline void *read_main(void *arg)
{
	struct reader *reader = arg;
	ssize_t n;

	do {
		if (reader->delay_us)
			usleep(reader->delay_us);
		n = read(reader->fd, reader->text + reader->len,
			 crier_min(reader->chunk, READ_MAX - reader->len));
		reader->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return NULL;
}

static inline void start_reader(struct reader *reader, int fd, unsigned delay_us, size_t chunk)
{
	*reader = (struct reader){.fd = fd, .delay_us = delay_us, .chunk = chunk, .text = malloc(READ_MAX)};
	assert_int_equal(pthread_create(&reader->thread, NULL, read_main, reader), 0);
}

/* Lines 0 to count-1, whole and in order, and nothing else. */
static inline void assert_lines(const char *text, size_t len, unsigned count)
{
	char line[1024];
	size_t at = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t n = make_line(line, sizeof(line), i);

		if (len - at < n || memcmp(text + at, line, n) != 0)
			fail_msg("line %u differs at byte %zu of %zu", i, at, len);
		at += n;
	}
	assert_int_equal(at, len);
}

static inline void finish_reader(struct reader *reader, unsigned count)
{
	pthread_join(reader->thread, NULL);
	assert_lines(reader->text, reader->len, count);
	free(reader->text);
}

/* Wait as the main loop does, until the line fits. */
static inline void put_or_wait(struct crier_sink *sink, const char *line, size_t len, bool urgent)
{
	while (crier_sink_put(sink, line, len, urgent) == -ENOSPC) {
		struct pollfd room = {.fd = crier_sink_fd(sink), .events = POLLIN};

		assert_int_equal(poll(&room, 1, 10000), 1);
		(void)crier_sink_state(sink, NULL);
	}
}

static inline void put_lines(struct crier_sink *sink, unsigned from, unsigned to)
{
	char line[1024];

	for (unsigned i = from; i < to; i++) {
		size_t n = make_line(line, sizeof(line), i);

		put_or_wait(sink, line, n, i % 100 == 0);
	}
}

/* Somebody else made the shared stdout non-blocking. */
/* Wait for a state, woken by the descriptor alone. */
static inline void wait_state(struct crier_sink *sink, enum crier_sink_state wanted, int wanted_errno)
{
	uint64_t deadline = now_ms() + 8000;
	int error;

	while (crier_sink_state(sink, &error) != wanted) {
		struct pollfd news = {.fd = crier_sink_fd(sink), .events = POLLIN};
		uint64_t now = now_ms();

		if (now >= deadline || poll(&news, 1, (int)(deadline - now)) != 1)
			fail_msg("state %d was never told", (int)wanted);
	}
	assert_int_equal(error, wanted_errno);
}

/* Space comes back after close was called: the pause between tries must not eat the deadline. */
/* Batches end at a line's end: in packet mode each read gives what one write gave. */
/* Put until nothing fits. @return the next line's number */
/* No put was refused, so that nothing but the end of the block itself can be what wakes the main loop. */
/* write(2) hangs: close is over soon after its deadline, and says what did not go. */
/* The reader comes late, leaves within a line, comes back: the second connection begins with a whole line. */
/* A line that does not fit is not taken in part. */

#define TEST(function) cmocka_unit_test_teardown(function, give_stdout_back)
#define TEST_ON(function, kind)                                                                              \
	{                                                                                                    \
		.name = #function "." #kind, .test_func = function, .teardown_func = give_stdout_back,       \
		.initial_state = (void *)(uintptr_t) #kind                                                   \
	}
#define TEST_ON_BOTH(function) TEST_ON(function, pipe), TEST_ON(function, fifo)

#endif
