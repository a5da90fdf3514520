/* SPDX-License-Identifier: Apache-2.0 */
/* The state file: written whole, read back, and every damage is none with a word. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "crier/state.h"

static char folder[] = "/tmp/crier-state-XXXXXX";

static int setup(void **state)
{
	(void)state;
	return mkdtemp(folder) ? chdir(folder) : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink("a/b/state.json");
	unlink("state.json");
	rmdir("a/b");
	rmdir("a");
	return rmdir(folder);
}

static void write_text(const char *text)
{
	int fd = open("state.json", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void test_round_trip(void **state)
{
	char ids[2][CRIER_ID_MAX] = {"3f9c", "be41"};
	struct crier_state out = {.instance = "3b1d9c20",
				  .boot_id = "5f0c6a1e-0000-4000-8000-000000000000",
				  .last_seq = 118204,
				  .ended_at = 1767586327123456789,
				  .clean = true,
				  .exited = ids,
				  .exited_count = 2};
	struct crier_state in;
	struct crier_err err = {0};
	struct stat st;

	(void)state;
	assert_int_equal(crier_state_write("a/b/state.json", &out, &err), 0);
	assert_int_equal(stat("a/b/state.json", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(access("a/b/state.json.tmp", F_OK), -1);
	assert_int_equal(crier_state_read("a/b/state.json", &in, &err), 0);
	assert_string_equal(in.instance, out.instance);
	assert_string_equal(in.boot_id, out.boot_id);
	assert_int_equal(in.last_seq, out.last_seq);
	assert_int_equal(in.ended_at, out.ended_at);
	assert_true(in.clean);
	assert_int_equal(in.exited_count, 2);
	assert_string_equal(in.exited[0], "3f9c");
	assert_string_equal(in.exited[1], "be41");
	crier_state_done(&in);
	crier_state_done(&in);
}

static void test_only_the_last_exits(void **state)
{
	size_t count = CRIER_STATE_EXITED_MAX + 10;
	char(*ids)[CRIER_ID_MAX] = calloc(count, sizeof(*ids));
	struct crier_state out = {.instance = "3b1d9c20",
				  .boot_id = "5f0c",
				  .exited = ids,
				  .exited_count = count},
			   in;
	struct crier_err err = {0};

	(void)state;
	for (size_t i = 0; i < count; i++)
		snprintf(ids[i], sizeof(ids[i]), "%zu", i);
	assert_int_equal(crier_state_write("state.json", &out, &err), 0);
	assert_int_equal(crier_state_read("state.json", &in, &err), 0);
	assert_int_equal(in.exited_count, CRIER_STATE_EXITED_MAX);
	assert_string_equal(in.exited[0], "10");
	crier_state_done(&in);
	free(ids);
}

static void test_missing_is_none(void **state)
{
	struct crier_state in = {.last_seq = 7};
	struct crier_err err = {0};

	(void)state;
	assert_int_equal(crier_state_read("nowhere/state.json", &in, &err), 0);
	assert_string_equal(in.instance, "");
	assert_int_equal(in.last_seq, 0);
	assert_string_equal(err.message, "");
}

#define WHOLE(instance, boot, seq, ended, clean, exited)                                                     \
	"{\"instance\":" instance ",\"boot_id\":" boot ",\"last_seq\":" seq ",\"ended_at\":" ended           \
	",\"clean\":" clean ",\"exited\":" exited "}"

static const char *const damaged[] = {
	"",
	"{}",
	"[]",
	"\xff\xfe",
	WHOLE("1", "\"5f\"", "1", "1", "true", "[]"),
	WHOLE("\"\"", "\"5f\"", "1", "1", "true", "[]"),
	WHOLE("\"3b1d9c200\"", "\"5f\"", "1", "1", "true", "[]"),
	WHOLE("\"xyz\"", "\"5f\"", "1", "1", "true", "[]"),
	WHOLE("\"3b\"", "null", "1", "1", "true", "[]"),
	WHOLE("\"3b\"", "\"5f\"", "-1", "1", "true", "[]"),
	WHOLE("\"3b\"", "\"5f\"", "1.5", "1", "true", "[]"),
	WHOLE("\"3b\"", "\"5f\"", "1", "99999999999999999999", "true", "[]"),
	WHOLE("\"3b\"", "\"5f\"", "1", "1", "1", "[]"),
	WHOLE("\"3b\"", "\"5f\"", "1", "1", "true", "{}"),
	WHOLE("\"3b\"", "\"5f\"", "1", "1", "true", "[1]"),
	WHOLE("\"3b\"", "\"5f\"", "1", "1", "true", "[\"\"]"),
	WHOLE("\"3b\"", "\"5f\"", "1", "1", "true", "[\"a\"]") "x",
};

static void test_damaged(void **state)
{
	struct crier_state in;

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(damaged); i++) {
		struct crier_err err = {0};

		write_text(damaged[i]);
		memset(&in, 0x5a, sizeof(in));
		assert_int_equal(crier_state_read("state.json", &in, &err), -EBADMSG);
		assert_string_equal(
			err.message,
			"state.json: the state file is damaged; the gap since the last run is not known");
		assert_string_equal(in.instance, "");
		assert_null(in.exited);
	}
}

static void test_refused_files(void **state)
{
	struct crier_state in, out = {.instance = "3b", .boot_id = "5f"};
	struct crier_err err = {0};

	(void)state;
	unlink("state.json");
	assert_int_equal(symlink("elsewhere", "state.json"), 0);
	assert_int_equal(crier_state_read("state.json", &in, &err), -ELOOP);
	assert_int_equal(crier_state_write("state.json", &out, &err),
			 0); /* replaces the link, does not follow it */
	assert_int_equal(access("elsewhere", F_OK), -1);
	assert_int_equal(crier_state_read(".", &in, &err), -EINVAL);
	assert_int_equal(crier_state_write("state.json/x", &out, &err), -ENOTDIR);
	assert_string_equal(err.message,
			    "state.json/x: cannot write the state file: Not a directory; set --state-file");
	assert_int_equal(truncate("state.json", CRIER_STATE_FILE_MAX + 1), 0);
	assert_int_equal(crier_state_read("state.json", &in, &err), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	cmocka_unit_test(test_only_the_last_exits),
		cmocka_unit_test(test_missing_is_none), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_refused_files),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
