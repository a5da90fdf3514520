/* SPDX-License-Identifier: Apache-2.0 */
/* What the sink writes to: files, full disks, sockets whose reader comes and goes, and targets that are refused. */
#include "sink_fixture.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

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
		{"/nonexistent/x",
		 "/nonexistent/x: cannot write lines there: No such file or directory; see --output-target"},
		{".", ".: cannot write lines there: Is a directory; see --output-target"},
		{"fifo",
		 "fifo: nobody reads this pipe; start its reader first (a socket is written unix:PATH)"},
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
		struct crier_sink_options options = {
			.target = rows[i].target, .buffer_bytes = 65536, .write_bytes = 4096};
		struct crier_sink *sink = NULL;
		struct crier_err err = {0};

		assert_true(crier_sink_new(&options, &sink, &err) < 0);
		assert_null(sink);
		assert_string_equal(err.message, rows[i].message);
	}
	restore_stdout();
	close(null);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_disk),	      TEST(test_full_disk_freed),	TEST(test_file),
		TEST(test_socket_reconnects), TEST(test_socket_close_deadline), TEST(test_refused_targets),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
