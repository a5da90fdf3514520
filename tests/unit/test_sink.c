/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink against readers that are slow, gone, blocked or late: every line whole and in order, nothing waits longer than it
 * must, and close keeps its deadline.
 */
#include "sink_fixture.h"

#include <dirent.h>
#include <sys/uio.h>

static void test_slow_pipe(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	int fds[2];

	open_pipe(state, fds);
	sink = open_sink("-", 64 * 1024, 5); /* smaller than what is put: the ring wraps and fills */
	start_reader(&reader, fds[0], 200, 4000);
	put_lines(sink, 0, 3000);
	assert_int_equal(crier_sink_close(sink, 10000), 0);
	/* Shared with others: never made non-blocking. */
	assert_int_equal(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	finish_reader(&reader, 3000);
	close(fds[0]);
}

static void test_nonblocking_stdout(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	int fds[2];

	open_pipe(state, fds);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	sink = open_sink("-", 1024 * 1024, 0);
	start_reader(&reader, fds[0], 300, 8000);
	put_lines(sink, 0, 2000);
	assert_int_equal(crier_sink_close(sink, 10000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	finish_reader(&reader, 2000);
	close(fds[0]);
}

static void test_linger_and_urgent(void **state)
{
	struct crier_sink *sink;
	uint64_t start;
	int fds[2];
	char buf[64];

	open_pipe(state, fds);
	sink = open_sink("-", 65536, 400);
	start = now_ms();
	for (int i = 0; i < 4; i++) { /* after a quiet time: at once */
		assert_int_equal(crier_sink_put(sink, "a\n", 2, false), 0);
		assert_int_equal(poll_lines(sink, fds[0], 2000), 1);
		assert_true(now_ms() - start < 300);
		assert_int_equal(read(fds[0], buf, sizeof(buf)), 2);
	}
	assert_int_equal(crier_sink_put(sink, "b\n", 2, false), 0);
	assert_int_equal(poll_lines(sink, fds[0], 50), 0); /* after them: lingers */
	assert_int_equal(crier_sink_put(sink, "c\n", 2, false), 0);
	assert_int_equal(poll_lines(sink, fds[0], 2000), 1);
	assert_true(now_ms() - start >= 390);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "b\nc\n", 4);
	start = now_ms();
	assert_int_equal(crier_sink_put(sink, "d\n", 2, false), 0);
	assert_int_equal(crier_sink_put(sink, "e\n", 2, true), 0); /* takes the one before it along */
	assert_int_equal(poll_lines(sink, fds[0], 2000), 1);
	assert_true(now_ms() - start < 300);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "d\ne\n", 4);
	usleep(450 * 1000); /* quiet again: the next line goes at once */
	start = now_ms();
	assert_int_equal(crier_sink_put(sink, "f\n", 2, false), 0);
	assert_int_equal(poll_lines(sink, fds[0], 2000), 1);
	assert_true(now_ms() - start < 300);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

static void test_closed_pipe(void **state)
{
	struct crier_sink *sink;
	int fds[2];

	open_pipe(state, fds);
	sink = open_sink("-", 65536, 0);
	close(fds[0]);
	assert_int_equal(crier_sink_put(sink, "lost\n", 5, true), 0);
	wait_state(sink, CRIER_SINK_CLOSED, EPIPE);
	assert_int_equal(crier_sink_put(sink, "more\n", 5, true), 0);
	assert_int_equal(crier_sink_close(sink, 1000), 10);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
}

static void test_batches_of_whole_lines(void **state)
{
	struct crier_sink_options options = {
		.target = "-", .buffer_bytes = 4000, .write_bytes = 100, .linger_ms = 200};
	struct crier_sink *sink;
	struct crier_err err = {0};
	char buf[4096];
	int fds[2], batches = 0;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_DIRECT), 0);
	redirect_stdout(fds[1]);
	assert_int_equal(crier_sink_new(&options, &sink, &err), 0);
	for (int i = 0; i < 30; i++) /* 100 is no multiple of 29, and a pipe holds 16 packets */
		assert_int_equal(crier_sink_put(sink, "0123456789012345678901234567\n", 29, false), 0);
	assert_int_equal(crier_sink_close(sink, 2000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	for (ssize_t n; (n = read(fds[0], buf, sizeof(buf))) > 0; batches++) {
		assert_int_equal(n % 29, 0);
		assert_true(n <= 100);
	}
	assert_true(batches >= 30 / 3);
	close(fds[0]);
}

static unsigned fill(struct crier_sink *sink, unsigned put)
{
	char line[1024];

	while (crier_sink_put(sink, line, make_line(line, sizeof(line), put), false) == 0)
		put++;
	return put;
}

static void test_blocked_then_resumed(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	unsigned put;
	int fds[2];

	open_pipe(state, fds);
	sink = open_sink("-", 256 * 1024, 0);
	put = fill(sink, 0); /* nobody reads, and the main loop is never held up */
	wait_state(sink, CRIER_SINK_BLOCKED, 0);
	put = fill(sink, put); /* what the pipe took made room */
	assert_true(put > 400);
	assert_true(crier_sink_room(sink) < 1024);
	start_reader(&reader, fds[0], 0, 65536);
	wait_state(sink, CRIER_SINK_OK, 0);
	put_lines(sink, put, put + 500);
	assert_int_equal(crier_sink_close(sink, 5000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	finish_reader(&reader, put + 500);
	close(fds[0]);
}

/* The timer that tells of a hanging write is not set anew for each: one that hangs later is told all the same. */
static void test_block_amid_writes_is_told(void **state)
{
	struct crier_sink *sink;
	char text[8];
	int fds[2];

	open_pipe(state, fds);
	sink = open_sink("-", 256 * 1024, 0);
	for (int i = 0; i < 8; i++) { /* half a second of writes that do not hang */
		assert_int_equal(crier_sink_put(sink, "line\n", 5, true), 0);
		assert_int_equal(read(fds[0], text, sizeof(text)), 5);
		usleep(60000);
	}
	(void)fill(sink, 0);
	wait_state(sink, CRIER_SINK_BLOCKED, 0);
	close(fds[0]); /* ends the write that hangs */
	(void)crier_sink_close(sink, 1000);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
}

static void test_end_of_block_is_told(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	int fds[2];

	open_pipe(state, fds);
	sink = open_sink("-", 1024 * 1024, 0);
	put_lines(sink, 0, 500);
	wait_state(sink, CRIER_SINK_BLOCKED, 0);
	start_reader(&reader, fds[0], 0, 65536);
	wait_state(sink, CRIER_SINK_OK, 0);
	assert_int_equal(crier_sink_close(sink, 5000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	finish_reader(&reader, 500);
	close(fds[0]);
}

static void test_close_deadline(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	char line[1024];
	unsigned put = 0;
	size_t n, all = 0, left;
	uint64_t start;
	int fds[2];

	open_pipe(state, fds);
	sink = open_sink("-", 1024 * 1024, 0);
	while (put < 1000) {
		n = make_line(line, sizeof(line), put);
		assert_int_equal(crier_sink_put(sink, line, n, false), 0);
		all += n;
		put++;
	}
	start = now_ms();
	left = crier_sink_close(sink, 200);
	assert_true(now_ms() - start >= 190 && now_ms() - start < 1000);
	assert_true(left > 0 && left < all);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	/* What the pipe took is exactly what close did not count. */
	start_reader(&reader, fds[0], 0, 65536);
	pthread_join(reader.thread, NULL);
	assert_int_equal(reader.len + left, all);
	free(reader.text);
	close(fds[0]);
}

static void test_whole_or_nothing(void **state)
{
	struct crier_sink *sink = open_sink("/dev/full", 100, 0);
	char line[101];

	(void)state;
	memset(line, 'x', sizeof(line));
	assert_int_equal(crier_sink_put(sink, line, 101, false), -ENOSPC);
	assert_int_equal(crier_sink_room(sink), 100);
	assert_int_equal(crier_sink_put(sink, line, 60, false), 0);
	assert_int_equal(crier_sink_put(sink, line, 41, false), -ENOSPC);
	assert_int_equal(crier_sink_put(sink, line, 40, false), 0);
	assert_int_equal(crier_sink_room(sink), 0);
	assert_int_equal(crier_sink_close(sink, 0), 100);
	crier_sink_free(sink);
	crier_sink_free(NULL);
}

/* How often the writer thread has gone to sleep. @param ret_asleep  it sleeps now */
static long writers_sleeps(bool *ret_asleep)
{
	char path[64], line[128];
	long count = -1;
	DIR *tasks = opendir("/proc/self/task");

	assert_non_null(tasks);
	for (struct dirent *task; count < 0 && (task = readdir(tasks));) {
		bool is_writer = false;
		FILE *status;

		snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", task->d_name);
		status = fopen(path, "re");
		while (status && fgets(line, sizeof(line), status)) {
			is_writer |= strcmp(line, "Name:\tcrier-sink\n") == 0;
			if (is_writer && strncmp(line, "State:", 6) == 0)
				*ret_asleep = strstr(line, "sleeping") != NULL;
			if (is_writer)
				(void)sscanf(line, "voluntary_ctxt_switches: %ld", &count);
		}
		if (status)
			fclose(status);
	}
	closedir(tasks);
	assert_true(count >= 0);
	return count;
}

/* All is written; soon the writer has nothing left to do. @return as writers_sleeps() */
static long wait_writer_asleep(void)
{
	uint64_t deadline = now_ms() + 8000;
	bool was_asleep = false, is_asleep = false;
	long before, sleeps = writers_sleeps(&is_asleep);

	do {
		assert_true(now_ms() < deadline);
		before = sleeps;
		was_asleep = is_asleep;
		usleep(20 * 1000);
		sleeps = writers_sleeps(&is_asleep);
	} while (!was_asleep || !is_asleep || sleeps != before);
	return sleeps;
}

/* As long as the reader takes all, no other thread is woken; when it did not, one is until it has caught up. */
static void test_main_loop_writes_while_it_may(void **state)
{
	char letter = 'p', buf[65536];
	struct iovec probe = {&letter, 1};
	bool is_asleep;
	struct crier_sink *sink;
	int fds[2];

	open_pipe(state, fds);
	/* a FIFO never says so, a pipe not before Linux 6.4 */
	bool says = pwritev2(fds[1], &probe, 1, -1, RWF_NOWAIT) == 1;

	assert_true(says || errno == EOPNOTSUPP);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	if (says)
		assert_int_equal(read(fds[0], buf, 1), 1);
	sink = open_sink("-", 256 * 1024, 0);
	for (int round = 0; round < 2; round++) {
		long sleeps = wait_writer_asleep();

		for (int i = 0; i < 100; i++) {
			assert_int_equal(crier_sink_put(sink, "line\n", 5, false), 0);
			assert_int_equal(poll_lines(sink, fds[0], 5000), 1);
			assert_int_equal(read(fds[0], buf, sizeof(buf)), 5);
		}
		assert_true(says ? writers_sleeps(&is_asleep) == sleeps : wait_writer_asleep() > sleeps);
		assert_true(fill(sink, 0) > 100);
		while (crier_sink_room(sink) < 256 * 1024 || poll_lines(sink, fds[0], 0) > 0)
			(void)!read(fds[0], buf, sizeof(buf));
		assert_true(wait_writer_asleep() > sleeps);
	}
	assert_int_equal(crier_sink_close(sink, 1000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

/* What a full pipe left over has waited long enough. */
static void test_the_rest_of_a_batch_does_not_linger(void **state)
{
	static char line[30000], buf[65536];
	struct crier_sink *sink;
	size_t got = 0;
	int fds[2];

	open_pipe(state, fds);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	sink = open_sink("-", 256 * 1024, 20 * 1000);
	for (int i = 0; i < 4; i++) { /* what may leave at once */
		assert_int_equal(crier_sink_put(sink, "a\n", 2, false), 0);
		assert_int_equal(poll_lines(sink, fds[0], 5000), 1);
		assert_int_equal(read(fds[0], buf, sizeof(buf)), 2);
	}
	/* 64 KiB fit into the pipe: an urgent line, and half of a batch of two */
	assert_int_equal(crier_sink_put(sink, line, sizeof(line), true), 0);
	assert_int_equal(poll_lines(sink, fds[0], 5000), 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(crier_sink_put(sink, line, sizeof(line), false), 0);
	while (got < 3 * sizeof(line)) {
		assert_int_equal(poll_lines(sink, fds[0], 5000), 1);
		got += (size_t)read(fds[0], buf, sizeof(buf));
	}
	assert_int_equal(crier_sink_close(sink, 1000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

/* What lingers, in the main loop's keeping or the thread's, is no reason to refuse a line for ever. */
static void test_what_lingers_makes_room(void **state)
{
	struct crier_sink *sink;
	char line[1000], buf[4096];
	size_t got = 0;
	int fds[2];

	open_pipe(state, fds);
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	sink = open_sink("-", 2 * sizeof(line), 3600 * 1000); /* never full, never due */
	for (int i = 0; i < 8; i++)
		put_or_wait(sink, line, sizeof(line), false);
	assert_int_equal(crier_sink_close(sink, 1000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[1]);
	for (ssize_t n; (n = read(fds[0], buf, sizeof(buf))) > 0;)
		got += (size_t)n;
	assert_int_equal(got, 8 * sizeof(line));
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_ON_BOTH(test_slow_pipe),
		TEST_ON_BOTH(test_nonblocking_stdout),
		TEST_ON_BOTH(test_linger_and_urgent),
		TEST_ON_BOTH(test_closed_pipe),
		TEST(test_batches_of_whole_lines),
		TEST_ON_BOTH(test_blocked_then_resumed),
		TEST_ON_BOTH(test_block_amid_writes_is_told),
		TEST_ON_BOTH(test_end_of_block_is_told),
		TEST_ON_BOTH(test_close_deadline),
		TEST(test_whole_or_nothing),
		TEST_ON_BOTH(test_main_loop_writes_while_it_may),
		TEST_ON_BOTH(test_the_rest_of_a_batch_does_not_linger),
		TEST_ON_BOTH(test_what_lingers_makes_room),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
