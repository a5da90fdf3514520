/* SPDX-License-Identifier: Apache-2.0 */
/* The recording's file: what was written comes back; cut at every byte and flipped in every bit it is refused, not obeyed. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <cmocka.h>

#include "crier/input.h"

#define HEADER_BYTES   16
#define FRAME_OVERHEAD 20 /* length, type, time, checksum */

static char folder[] = "/tmp/crier-recording-XXXXXX";

static const struct {
	enum crier_input_type type;
	uint64_t now_ns;
	const char *payload;
} frames[] = {
	{CRIER_INPUT_START, 1, "{\"instance\":\"3b1d9c20\"}"},
	{CRIER_INPUT_TICK, 2, ""},
	{CRIER_INPUT_RECORD, UINT64_MAX, "0123456789abcdef0123456789abcdef"},
	{CRIER_INPUT_STOP, 3, "{}"},
};

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink("a.rec");
	unlink("b.rec");
	return rmdir(folder);
}

static size_t write_frames(const char *path)
{
	struct crier_recording_writer *writer;
	struct crier_err err = {0};
	size_t size = HEADER_BYTES;

	assert_int_equal(crier_recording_create(path, true, &writer, &err), 0);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(frames); i++) {
		assert_int_equal(crier_recording_write(writer, frames[i].type, frames[i].now_ns,
						       frames[i].payload, strlen(frames[i].payload)),
				 0);
		size += FRAME_OVERHEAD + strlen(frames[i].payload);
	}
	assert_int_equal(crier_recording_close(writer, &err), 0);
	return size;
}

static size_t slurp(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, buf, cap);

	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

static void spew(const char *path, const char *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, buf, len), len);
	close(fd);
}

/* Read all. @return 0 or the error; frames read before it */
static int read_all(const char *path, size_t *ret_frames, struct crier_err *err)
{
	struct crier_recording_reader *reader = NULL;
	enum crier_input_type type;
	const void *bytes;
	uint64_t now_ns;
	size_t len;
	int r = crier_recording_open(path, &reader, err);

	*ret_frames = 0;
	if (r < 0) {
		assert_null(reader);
		return r;
	}
	while ((r = crier_recording_next(reader, &type, &now_ns, &bytes, &len, err)) == 1) {
		size_t i = (*ret_frames)++;

		assert_true(i < CRIER_ARRAY_SIZE(frames));
		assert_int_equal(type, frames[i].type);
		assert_int_equal(now_ns, frames[i].now_ns);
		assert_int_equal((uintptr_t)bytes % 8, 0);
		assert_int_equal(len, strlen(frames[i].payload));
		assert_memory_equal(bytes, frames[i].payload, len);
	}
	crier_recording_close_reader(reader);
	return r;
}

static void test_round_trip(void **state)
{
	size_t size = write_frames("a.rec"), count;
	struct crier_err err = {0};
	struct stat st;

	(void)state;
	assert_int_equal(stat("a.rec", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_size, size);
	assert_int_equal(read_all("a.rec", &count, &err), 0);
	assert_int_equal(count, CRIER_ARRAY_SIZE(frames));
}

/* The checksum is the CRC-32 everybody has: of the frame {0, TICK, 2}. */
static void test_checksum(void **state)
{
	char buf[1024];
	uint32_t crc;

	(void)state;
	write_frames("a.rec");
	slurp("a.rec", buf, sizeof(buf));
	memcpy(&crc, buf + HEADER_BYTES + FRAME_OVERHEAD + strlen(frames[0].payload) + 16, sizeof(crc));
	assert_int_equal(crc, 0xad987757);
}

static void test_cut_at_every_byte(void **state)
{
	char buf[1024];
	size_t size, whole = write_frames("a.rec"), boundary = HEADER_BYTES, next = 0;

	(void)state;
	size = slurp("a.rec", buf, sizeof(buf));
	assert_int_equal(size, whole);
	for (size_t cut = 0; cut <= size; cut++) {
		struct crier_err err = {0};
		char position[32];
		size_t count;
		int r;

		spew("b.rec", buf, cut);
		r = read_all("b.rec", &count, &err);
		if (cut == boundary) { /* between frames: a recording that was broken off is a recording */
			assert_int_equal(r, 0);
			assert_int_equal(count, next);
			boundary += next < CRIER_ARRAY_SIZE(frames)
					    ? FRAME_OVERHEAD + strlen(frames[next].payload)
					    : 0;
			next++;
			continue;
		}
		assert_int_equal(r, -EBADMSG);
		snprintf(position, sizeof(position), "b.rec: byte %zu: ", cut < 8 ? 0 : cut);
		if (!strstr(err.message, position))
			fail_msg("cut at %zu: %s", cut, err.message);
		if (cut > HEADER_BYTES)
			assert_int_equal(count, next - 1);
	}
	assert_int_equal(next, CRIER_ARRAY_SIZE(frames) + 1);
}

static void test_flip_every_bit(void **state)
{
	char buf[1024];
	size_t size;

	(void)state;
	write_frames("a.rec");
	size = slurp("a.rec", buf, sizeof(buf));
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct crier_err err = {0};
		size_t count;
		int r;

		buf[bit / 8] ^= (char)(1 << bit % 8);
		spew("b.rec", buf, size);
		r = read_all("b.rec", &count, &err);
		buf[bit / 8] ^= (char)(1 << bit % 8);
		if (r != -EBADMSG || !strstr(err.message, "b.rec: byte "))
			fail_msg("bit %zu: %d %s", bit, r, err.message);
	}
}

static void test_messages(void **state)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t len;
		const char *message;
	} rows[] = {
		{0, "X", 1, "b.rec: byte 0: not a recording of crier (it does not begin with CRIERREC)"},
		{8, "\3", 1,
		 "b.rec: byte 8: format version 3, this crier reads 2; replay it with the crier that made it"},
		{12, "\1\2\3\4", 4, "b.rec: byte 12: made on a machine of the other byte order"},
		{16, "\xff\xff\xff\xff", 4,
		 "b.rec: byte 16: a frame of 4294967295 bytes, at most 2097152 are allowed: the file is corrupt"},
		{16 + 16, "?", 1, "b.rec: byte 16: the frame's checksum does not match: the file is corrupt"},
	};
	char buf[1024], copy[1024];
	size_t size, count;

	(void)state;
	write_frames("a.rec");
	size = slurp("a.rec", buf, sizeof(buf));
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct crier_err err = {0};

		memcpy(copy, buf, size);
		memcpy(copy + rows[i].at, rows[i].bytes, rows[i].len);
		spew("b.rec", copy, size);
		assert_int_equal(read_all("b.rec", &count, &err), -EBADMSG);
		assert_string_equal(err.message, rows[i].message);
	}
}

static void test_unknown_type(void **state)
{
	struct crier_recording_writer *writer;
	struct crier_err err = {0};
	size_t count;

	(void)state;
	assert_int_equal(crier_recording_create("b.rec", true, &writer, &err), 0);
	assert_int_equal(crier_recording_write(writer, CRIER_INPUT_TYPE_COUNT, 1, "", 0), 0);
	assert_int_equal(crier_recording_close(writer, &err), 0);
	assert_int_equal(read_all("b.rec", &count, &err), -EBADMSG);
	assert_non_null(strstr(err.message, "b.rec: byte 20: input type "));
}

static void test_refused_files(void **state)
{
	struct crier_recording_writer *writer = NULL;
	struct crier_recording_reader *reader = NULL;
	struct crier_err err = {0};

	(void)state;
	write_frames("a.rec");
	assert_int_equal(crier_recording_create("a.rec", false, &writer, &err), -EEXIST);
	assert_string_equal(err.message, "a.rec: exists already; remove it or add --force");
	assert_int_equal(crier_recording_create("-", true, &writer, &err), -EINVAL);
	assert_int_equal(crier_recording_create("nowhere/x", true, &writer, &err), -ENOENT);
	assert_null(writer);
	assert_int_equal(crier_recording_open("absent.rec", &reader, &err), -ENOENT);
	assert_string_equal(err.message, "absent.rec: cannot open the recording: No such file or directory");
	assert_int_equal(crier_recording_open(".", &reader, &err), -EISDIR);
	assert_null(reader);
}

/* The error comes once, by the call that meets it, and again by close. */
static void test_disk_full(void **state)
{
	struct crier_recording_writer *writer;
	struct crier_err err = {0};
	char *big = calloc(1, CRIER_INPUT_PAYLOAD_MAX);
	struct rlimit before, small = {65536, 65536};
	int errors = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(crier_recording_create("b.rec", true, &writer, &err), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (int i = 0; i < 4; i++)
		errors += crier_recording_write(writer, CRIER_INPUT_MAIL, 1, big, CRIER_INPUT_PAYLOAD_MAX) ==
			  -EFBIG;
	assert_int_equal(errors, 1);
	assert_int_equal(crier_recording_close(writer, &err), -EFBIG);
	assert_string_equal(err.message, "b.rec: the recording is not complete: File too large");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(crier_recording_create("b.rec", true, &writer, &err), 0);
	assert_int_equal(crier_recording_write(writer, CRIER_INPUT_MAIL, 1, big, CRIER_INPUT_PAYLOAD_MAX + 1),
			 -EMSGSIZE);
	assert_int_equal(crier_recording_close(writer, &err), -EMSGSIZE);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	  cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_cut_at_every_byte), cmocka_unit_test(test_flip_every_bit),
		cmocka_unit_test(test_messages),	  cmocka_unit_test(test_unknown_type),
		cmocka_unit_test(test_refused_files),	  cmocka_unit_test(test_disk_full),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
