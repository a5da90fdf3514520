/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of every type, byte for byte: tests/golden/emit/TYPE.ndjson holds its full and its lean rendering, text.txt
 * the story as text. CRIER_GOLDEN_UPDATE=1 rewrites them; what has changed is then for the eye (git diff).
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#include "emit_samples.h"
#include "crier/names.h"

static char expected[64 * 1024], made[64 * 1024];

static void compare(const char *file, const char *text, size_t len)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/tests/golden/emit/%s", CRIER_SOURCE_DIR, file);
	bool update = getenv("CRIER_GOLDEN_UPDATE") != NULL;
	FILE *stream = fopen(path, update ? "w" : "r");

	if (!stream)
		fail_msg("%s: %s; CRIER_GOLDEN_UPDATE=1 makes it", path, strerror(errno));
	if (update) {
		assert_int_equal(fwrite(text, 1, len, stream), len);
	} else {
		size_t n = fread(expected, 1, sizeof(expected) - 1, stream);

		expected[n] = '\0';
		if (n != len || memcmp(expected, text, len) != 0)
			fail_msg("%s differs:\nexpected %s\nmade     %.*s", path, expected, (int)len, text);
	}
	assert_int_equal(fclose(stream), 0);
}

static void render(struct crier_buf *buf, const struct sample *s, bool as_text, bool colour)
{
	int r = as_text ? crier_emit_text(&s->options, &s->event, colour, buf)
			: crier_emit_json(&s->options, &s->event, 118204, buf);

	assert_int_equal(r, 0);
}

static void test_lines(void **state)
{
	static struct sample s;
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		struct crier_buf buf;
		char file[64];

		crier_buf_init(&buf, made, sizeof(made));
		sample_init(&s, type);
		s.options.detail = CRIER_DETAIL_FULL;
		render(&buf, &s, false, false);
		s.options.detail = CRIER_DETAIL_LEAN;
		render(&buf, &s, false, false);
		snprintf(file, sizeof(file), "%s.ndjson", crier_type_names[type]);
		compare(file, buf.data, buf.len);
		sample_done(&s);
	}
}

/* What a hostile container looks like, and one that nothing but its path is known of. */
static void test_unusual_lines(void **state)
{
	static struct sample s;
	struct crier_data_exec *data = (void *)s.data;
	struct crier_buf buf;
	(void)state;

	crier_buf_init(&buf, made, sizeof(made));
	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.process.comm = CRIER_SLICE("\033[2J\xff\n\"\\");
	s.args[0] = CRIER_SLICE("sh");
	s.args[1] = CRIER_SLICE("caf\xe9");
	data->args = s.args;
	data->args_kept = 2;
	render(&buf, &s, false, false);
	sample_done(&s);

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.container = (struct crier_container){.id = SAMPLE_ID,
					       .pod = &s.pod,
					       .restart_count = CRIER_UNKNOWN_U64,
					       .memory_limit_bytes = CRIER_UNKNOWN_U64,
					       .cpu_quota_us = CRIER_UNKNOWN_U64,
					       .cpu_period_us = CRIER_UNKNOWN_U64,
					       .init_pid = CRIER_UNKNOWN_U64};
	s.pod = (struct crier_pod){.uid = SAMPLE_UID};
	s.event.attribution =
		(struct crier_attribution){CRIER_ATTRIBUTION_PARTIAL, CRIER_SOURCE_CGROUP_PATH,
					   CRIER_VIA_CGROUP_ID, CRIER_REASON_CRI_TIMEOUT, 500000};
	s.event.undetermined_filter = 1;
	render(&buf, &s, false, false);
	sample_done(&s);
	compare("unusual.ndjson", buf.data, buf.len);
}

static void test_text(void **state)
{
	static struct sample s;
	struct crier_buf buf;
	(void)state;

	crier_buf_init(&buf, made, sizeof(made));
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		sample_init(&s, type);
		render(&buf, &s, true, false);
		sample_done(&s);
	}
	for (unsigned type = CRIER_TYPE_CONTAINER_EXITED; type < CRIER_TYPE_CONTAINER_CPU_THROTTLE; type++) {
		sample_init(&s, type);
		render(&buf, &s, true, true);
		sample_done(&s);
	}
	compare("text.txt", buf.data, buf.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_unusual_lines),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
