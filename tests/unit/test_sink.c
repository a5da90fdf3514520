/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sink against readers that are slow, gone, full, blocked or late: every line whole and in order, nothing waits longer
 * than it must, and close keeps its deadline.
 */
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <cmocka.h>

#include "crier/sink.h"

static char folder[] = "/tmp/crier-sink-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink("fifo");
	unlink("file");
	unlink("socket");
	return rmdir(folder);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct crier_sink *open_sink(const char *target, size_t buffer_bytes, uint32_t linger_ms)
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

static void redirect_stdout(int fd)
{
	fflush(stdout);
	saved_stdout = dup(STDOUT_FILENO);
	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
}

static void restore_stdout(void)
{
	dup2(saved_stdout, STDOUT_FILENO);
	close(saved_stdout);
	saved_stdout = -1;
}

/* A test that failed half-way must not take cmocka's stdout along. */
static int give_stdout_back(void **state)
{
	(void)state;
	if (saved_stdout >= 0)
		restore_stdout();
	return 0;
}

/* Line number `i`, of a length that varies: "12:xxxxx\n". */
static size_t make_line(char *buf, size_t cap, unsigned i)
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

static void *read_main(void *arg)
{
	struct reader *reader = arg;
	ssize_t n;

	do {
		if (reader->delay_us)
			usleep(reader->delay_us);
		n = read(reader->fd, reader->text + reader->len, crier_min(reader->chunk, READ_MAX - reader->len));
		reader->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return NULL;
}

static void start_reader(struct reader *reader, int fd, unsigned delay_us, size_t chunk)
{
	*reader = (struct reader){.fd = fd, .delay_us = delay_us, .chunk = chunk, .text = malloc(READ_MAX)};
	assert_int_equal(pthread_create(&reader->thread, NULL, read_main, reader), 0);
}

/* Lines 0 to count-1, whole and in order, and nothing else. */
static void assert_lines(const char *text, size_t len, unsigned count)
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

static void finish_reader(struct reader *reader, unsigned count)
{
	pthread_join(reader->thread, NULL);
	assert_lines(reader->text, reader->len, count);
	free(reader->text);
}

/* Wait as the main loop does, until the line fits. */
static void put_or_wait(struct crier_sink *sink, const char *line, size_t len, bool urgent)
{
	while (crier_sink_put(sink, line, len, urgent) == -ENOSPC) {
		struct pollfd room = {.fd = crier_sink_fd(sink), .events = POLLIN};

		assert_int_equal(poll(&room, 1, 10000), 1);
		(void)crier_sink_state(sink, NULL);
	}
}

static void put_lines(struct crier_sink *sink, unsigned from, unsigned to)
{
	char line[1024];

	for (unsigned i = from; i < to; i++) {
		size_t n = make_line(line, sizeof(line), i);

		put_or_wait(sink, line, n, i % 100 == 0);
	}
}

static void test_slow_pipe(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	redirect_stdout(fds[1]);
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

/* Somebody else made the shared stdout non-blocking. */
static void test_nonblocking_stdout(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
	redirect_stdout(fds[1]);
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
	struct pollfd there;
	uint64_t start;
	int fds[2];
	char buf[64];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	redirect_stdout(fds[1]);
	there = (struct pollfd){.fd = fds[0], .events = POLLIN};
	sink = open_sink("-", 65536, 400);
	start = now_ms();
	assert_int_equal(crier_sink_put(sink, "a\n", 2, false), 0);
	assert_int_equal(poll(&there, 1, 200), 0); /* lingers */
	assert_int_equal(poll(&there, 1, 2000), 1);
	assert_true(now_ms() - start >= 390);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 2);
	start = now_ms();
	assert_int_equal(crier_sink_put(sink, "b\n", 2, false), 0);
	assert_int_equal(crier_sink_put(sink, "c\n", 2, true), 0); /* takes the one before it along */
	assert_int_equal(poll(&there, 1, 2000), 1);
	assert_true(now_ms() - start < 300);
	assert_int_equal(read(fds[0], buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "b\nc\n", 4);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

/* Wait for a state, woken by the descriptor alone. */
static void wait_state(struct crier_sink *sink, enum crier_sink_state wanted, int wanted_errno)
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

static void test_closed_pipe(void **state)
{
	struct crier_sink *sink;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	redirect_stdout(fds[1]);
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

static void test_full_disk(void **state)
{
	struct crier_sink *sink = open_sink("/dev/full", 65536, 0);
	uint64_t start;

	(void)state;
	assert_int_equal(crier_sink_put(sink, "a line\n", 7, true), 0);
	wait_state(sink, CRIER_SINK_FULL, ENOSPC);
	assert_int_equal(crier_sink_room(sink), 65536 - 7);
	start = now_ms();
	assert_int_equal(crier_sink_close(sink, 300), 7);
	assert_true(now_ms() - start < 1500);
	crier_sink_free(sink);
}

/* Space comes back after close was called: the pause between tries must not eat the deadline. */
static void test_full_disk_freed(void **state)
{
	struct crier_sink *sink = open_sink("file", 65536, 0);
	struct rlimit before, small = {0, 0};

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(crier_sink_put(sink, "a line\n", 7, true), 0);
	wait_state(sink, CRIER_SINK_FULL, EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(crier_sink_close(sink, 500), 0);
	assert_int_equal(crier_sink_state(sink, NULL), CRIER_SINK_OK);
	crier_sink_free(sink);
	unlink("file");
}

/* Batches end at a line's end: in packet mode each read gives what one write gave. */
static void test_batches_of_whole_lines(void **state)
{
	struct crier_sink_options options = {.target = "-", .buffer_bytes = 4000, .write_bytes = 100, .linger_ms = 200};
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

/* Put until nothing fits. @return the next line's number */
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

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	redirect_stdout(fds[1]);
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

/* No put was refused, so that nothing but the end of the block itself can be what wakes the main loop. */
static void test_end_of_block_is_told(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	redirect_stdout(fds[1]);
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

/* write(2) hangs: close is over soon after its deadline, and says what did not go. */
static void test_close_deadline(void **state)
{
	struct crier_sink *sink;
	struct reader reader;
	char line[1024];
	unsigned put = 0;
	size_t n, all = 0, left;
	uint64_t start;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	redirect_stdout(fds[1]);
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

static void test_file(void **state)
{
	struct crier_sink *sink;
	char *text = malloc(READ_MAX);
	ssize_t n;
	int fd;

	(void)state;
	sink = open_sink("file", 65536, 0);
	put_lines(sink, 0, 500);
	assert_int_equal(crier_sink_close(sink, 2000), 0);
	crier_sink_free(sink);
	sink = open_sink("file", 65536, 10); /* appends */
	put_lines(sink, 500, 1000);
	assert_int_equal(crier_sink_close(sink, 2000), 0);
	crier_sink_free(sink);
	fd = open("file", O_RDONLY);
	n = read(fd, text, READ_MAX);
	assert_true(n > 0);
	close(fd);
	assert_lines(text, (size_t)n, 1000);
	free(text);
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

/* The reader comes late, leaves within a line, comes back: the second connection begins with a whole line. */
static void test_socket_reconnects(void **state)
{
	struct crier_sink *sink = open_sink("unix:socket", 1024 * 1024, 0);
	struct reader reader;
	char line[1024], first[3];
	int listener, connection;
	size_t n;

	(void)state;
	put_lines(sink, 0, 10);
	wait_state(sink, CRIER_SINK_BLOCKED, ENOENT);
	listener = listen_at("socket");
	connection = accept(listener, NULL, NULL);
	assert_int_equal(read(connection, first, 3), 3); /* within the first line */
	wait_state(sink, CRIER_SINK_OK, 0);
	n = make_line(line, sizeof(line), 4000);
	while (crier_sink_put(sink, line, n, true) == 0 && crier_sink_room(sink) > 512 * 1024)
		;
	wait_state(sink, CRIER_SINK_BLOCKED, 0); /* the socket is full, a batch is under way */
	close(connection);
	connection = accept(listener, NULL, NULL);
	start_reader(&reader, connection, 0, 65536);
	assert_int_equal(crier_sink_close(sink, 5000), 0);
	crier_sink_free(sink);
	pthread_join(reader.thread, NULL);
	assert_true(reader.len > 0);
	assert_int_equal(reader.len % n, 0);
	for (size_t at = 0; at < reader.len; at += n)
		assert_memory_equal(reader.text + at, line, n);
	free(reader.text);
	close(connection);
	close(listener);
}

static void test_socket_close_deadline(void **state)
{
	struct crier_sink *sink;
	uint64_t start = now_ms();

	(void)state;
	unlink("socket");
	sink = open_sink("unix:socket", 65536, 0);
	assert_int_equal(crier_sink_put(sink, "a\n", 2, true), 0);
	assert_int_equal(crier_sink_close(sink, 200), 2);
	assert_true(now_ms() - start < 1000);
	crier_sink_free(sink);
}

static void test_refused_targets(void **state)
{
	static const struct {
		const char *target, *message;
	} rows[] = {
		{"/nonexistent/x", "/nonexistent/x: cannot write lines there: No such file or directory; see --output-target"},
		{".", ".: cannot write lines there: Is a directory; see --output-target"},
		{"fifo", "fifo: nobody reads this pipe; start its reader first (a socket is written unix:PATH)"},
		{"unix:file", "unix:file: is not a socket; write the path alone to append to a file"},
		{"unix:", "unix:: a socket's path has 1 to 107 bytes"},
		{"-", "stdout: it is closed; give crier a pipe or file there, or --output-target FILE"},
	};
	int null = open("/dev/null", O_RDONLY);

	(void)state;
	assert_int_equal(mkfifo("fifo", 0600), 0);
	close(open("file", O_WRONLY | O_CREAT, 0600));
	redirect_stdout(null); /* as main() holds a stdout that was closed */
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_sink_options options = {.target = rows[i].target, .buffer_bytes = 65536, .write_bytes = 4096};
		struct crier_sink *sink = NULL;
		struct crier_err err = {0};

		assert_true(crier_sink_new(&options, &sink, &err) < 0);
		assert_null(sink);
		assert_string_equal(err.message, rows[i].message);
	}
	restore_stdout();
	close(null);
}

/* A line that does not fit is not taken in part. */
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

#define TEST(function) cmocka_unit_test_teardown(function, give_stdout_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_slow_pipe),	  TEST(test_nonblocking_stdout),
		TEST(test_linger_and_urgent), TEST(test_closed_pipe),
		TEST(test_full_disk),	  TEST(test_blocked_then_resumed),
		TEST(test_close_deadline),	  TEST(test_file),
		TEST(test_socket_reconnects), TEST(test_socket_close_deadline),
		TEST(test_refused_targets),	  TEST(test_whole_or_nothing),
		TEST(test_full_disk_freed),	  TEST(test_batches_of_whole_lines),
		TEST(test_end_of_block_is_told),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
