/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that are staged first and handed over together, and what the ring keeps of memory. */
#include "sink_fixture.h"

#define LARGE ((size_t)32 << 20)

static void wait_empty(const struct crier_sink *sink, size_t size)
{
	uint64_t deadline = now_ms() + 8000;

	while (crier_sink_room(sink) < size) {
		if (now_ms() > deadline)
			fail_msg("%zu bytes were never written", size - crier_sink_room(sink));
		usleep(1000);
	}
}

static void expect_read(int fd, const char *expected)
{
	char text[64];

	assert_int_equal(read(fd, text, sizeof(text)), strlen(expected));
	assert_memory_equal(text, expected, strlen(expected));
}

static void test_leave_with_the_flush(void **state)
{
	char text[64];
	int fds[2];

	open_pipe(state, fds);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	struct crier_sink *sink = open_sink("-", 65536, 0);

	assert_int_equal(crier_sink_stage(sink, "a\n", 2, false), 0);
	assert_int_equal(crier_sink_stage(sink, "b\n", 2, false), 0);
	assert_int_equal(crier_sink_room(sink), 65536 - 4);
	usleep(50000);
	assert_int_equal(read(fds[0], text, sizeof(text)), -1); /* the writer does not know yet */
	crier_sink_flush(sink);
	wait_empty(sink, 65536);
	expect_read(fds[0], "a\nb\n");
	assert_int_equal(crier_sink_stage(sink, "3\n", 2, false), 0);
	assert_int_equal(crier_sink_stage(sink, "4\n", 2, true), 0); /* urgent: at once, and takes along */
	wait_empty(sink, 65536);
	expect_read(fds[0], "3\n4\n");
	assert_int_equal(crier_sink_stage(sink, "e\n", 2, false), 0);
	assert_int_equal(crier_sink_close(sink, 1000), 0); /* nothing staged is forgotten */
	expect_read(fds[0], "e\n");
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

static void test_wait_for_room(void **state)
{
	char line[50];
	int fds[2];

	memset(line, 'x', sizeof(line));
	line[49] = '\n';
	open_pipe(state, fds);
	struct crier_sink *sink = open_sink("-", 100, 0);

	assert_int_equal(crier_sink_stage(sink, line, 50, false), 0);
	assert_int_equal(crier_sink_stage(sink, line, 50, false), 0);
	/* no room: what is staged is let go of, else nobody would ever make any; by now it may be written */
	int r = crier_sink_stage(sink, line, 50, false);

	assert_true(r == 0 || r == -ENOSPC);
	wait_empty(sink, r == 0 ? 50 : 100);
	if (r < 0)
		assert_int_equal(crier_sink_stage(sink, line, 50, false), 0);
	assert_int_equal(crier_sink_close(sink, 1000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

/* A line elsewhere or in the ring itself, where it has a place for it. */
static int stage_line(struct crier_sink *sink, unsigned number, unsigned *placed)
{
	char line[1024];
	char *place = number % 3 ? crier_sink_place(sink, sizeof(line)) : NULL;
	char *at = place ? place : line;
	size_t n = make_line(at, sizeof(line), number);

	*placed += place != NULL;
	memset(at + n, '!', sizeof(line) - n); /* it may write so far */
	return crier_sink_stage(sink, at, n, number % 333 == 0);
}

/* Turns of many lines, some urgent, through a ring that wraps: every one whole and in order. */
static void test_turns_in_order(void **state)
{
	struct reader reader;
	unsigned placed = 0;
	int fds[2];

	open_pipe(state, fds);
	struct crier_sink *sink = open_sink("-", 96 * 1024 + 1, 2);

	start_reader(&reader, fds[0], 100, 30000);
	for (unsigned i = 0; i < 5000; i++) {
		while (stage_line(sink, i, &placed) == -ENOSPC) {
			struct pollfd room = {.fd = crier_sink_fd(sink), .events = POLLIN};

			assert_int_equal(poll(&room, 1, 10000), 1);
			(void)crier_sink_state(sink, NULL);
		}
		if (i % 71 == 0)
			crier_sink_flush(sink);
	}
	assert_int_equal(crier_sink_close(sink, 10000), 0);
	crier_sink_free(sink);
	close(fds[1]);
	restore_stdout();
	finish_reader(&reader, 5000);
	close(fds[0]);
	assert_in_range(placed, 2500, 3500); /* two of three, but at the ring's end */
}

/* A place that was given and not used is no line; one that is staged later than the writer came to the end is. */
static void test_a_place_may_be_left(void **state)
{
	int fds[2];

	open_pipe(state, fds);
	assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	struct crier_sink *sink = open_sink("-", 4096, 0);

	assert_null(crier_sink_place(sink, 4097));
	memcpy(crier_sink_place(sink, 4096), "left", 4);
	assert_int_equal(crier_sink_put(sink, "a\n", 2, true), 0);
	char *place = crier_sink_place(sink, 100);

	assert_non_null(place);
	wait_empty(sink, 4096); /* the ring could begin anew now */
	memcpy(place, "b\n", 2);
	assert_int_equal(crier_sink_stage(sink, place, 2, true), 0);
	wait_empty(sink, 4096);
	expect_read(fds[0], "a\nb\n");
	assert_null(crier_sink_place(sink, 4097));
	assert_int_equal(crier_sink_close(sink, 1000), 0);
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
}

/* ---- memory ---- */

static size_t resident_bytes(void)
{
	unsigned long size, resident;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
	fclose(file);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static char long_line[64 * 1024];

static void test_who_keeps_up_costs_few_pages(void **state)
{
	(void)state;
	struct crier_sink *sink = open_sink("/dev/null", LARGE, 0);
	size_t before = resident_bytes();

	for (size_t put = 0; put < 2 * LARGE; put += sizeof(long_line)) {
		assert_int_equal(crier_sink_put(sink, long_line, sizeof(long_line), true), 0);
		wait_empty(sink, LARGE);
	}
	assert_true(resident_bytes() < before + LARGE / 4);
	crier_sink_free(sink);
}

static void test_a_burst_is_given_back(void **state)
{
	char *read_back = malloc(LARGE / 2);
	int fds[2];

	assert_non_null(read_back);
	memset(read_back, 1, LARGE / 2);
	open_pipe(state, fds);
	struct crier_sink *sink = open_sink("-", LARGE, 0);

	for (size_t put = 0; put < LARGE / 2; put += sizeof(long_line))
		assert_int_equal(crier_sink_put(sink, long_line, sizeof(long_line), false), 0);
	size_t full = resident_bytes();

	crier_sink_trim(sink); /* nothing of what waits */
	for (size_t got = 0; got < LARGE / 2;)
		got += (size_t)read(fds[0], read_back + got, LARGE / 2 - got);
	wait_empty(sink, LARGE);
	for (size_t i = 0; i < LARGE / 2; i++)
		if (read_back[i] != long_line[i % sizeof(long_line)])
			fail_msg("byte %zu is another", i);
	crier_sink_trim(sink);
	assert_true(resident_bytes() + LARGE / 4 < full);
	assert_int_equal(crier_sink_put(sink, "after\n", 6, true), 0);
	expect_read(fds[0], "after\n");
	crier_sink_free(sink);
	restore_stdout();
	close(fds[0]);
	close(fds[1]);
	free(read_back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_ON_BOTH(test_leave_with_the_flush),  TEST_ON_BOTH(test_wait_for_room),
		TEST_ON_BOTH(test_turns_in_order),	  TEST(test_who_keeps_up_costs_few_pages),
		TEST_ON_BOTH(test_a_burst_is_given_back), TEST_ON_BOTH(test_a_place_may_be_left),
	};

	memset(long_line, 'x', sizeof(long_line));
	long_line[sizeof(long_line) - 1] = '\n';
	return cmocka_run_group_tests_name("sink_stage", tests, setup, teardown);
}
