/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people: amounts, durations, the story of each kind of death, and a terminal that cannot be fooled. */
#include "test.h"

#include <stdio.h>

#include "emit_samples.h"

static const char *text_of(const struct sample *s, bool colour)
{
	static char text[CRIER_LINE_MAX + 1];
	struct crier_buf buf;

	crier_buf_init(&buf, text, CRIER_LINE_MAX);
	assert_int_equal(crier_emit_text(&s->options, &s->event, colour, &buf), 0);
	assert_int_equal(text[buf.len - 1], '\n');
	text[buf.len - 1] = '\0';
	return text;
}

static const char *story_of(const struct sample *s)
{
	static char text[2048];
	struct crier_buf buf;

	crier_buf_init(&buf, text, sizeof(text) - 1);
	crier_emit_story(&s->event, &buf);
	text[buf.len] = '\0';
	return text;
}

static void test_bytes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *expected;
	} rows[] = {
		{0, "0 B"},
		{987, "987 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{1536, "1.5 KiB"},
		{512 * SAMPLE_MIB, "512 MiB"},
		{SAMPLE_MIB * 3 / 2, "1.5 MiB"},
		{536862720, "511 MiB"},
		{SAMPLE_MIB * 1536, "1.5 GiB"},
		{SAMPLE_MIB * 8192, "8 GiB"},
		{SAMPLE_MIB * SAMPLE_MIB * 3, "3 TiB"},
		{1ULL << 60, "1048576 TiB"},
	};
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		char text[64] = "";
		struct crier_buf buf;

		crier_buf_init(&buf, text, sizeof(text) - 1);
		crier_put_bytes(&buf, rows[i].bytes);
		assert_string_equal(text, rows[i].expected);
	}
}

static void test_durations(void **state)
{
	static const struct {
		uint64_t ms;
		const char *expected;
	} rows[] = {
		{0, "0 ms"},
		{850, "850 ms"},
		{999, "999 ms"},
		{1000, "1.0 s"},
		{20265, "20.3 s"},
		{30008, "30.0 s"},
		{59949, "59.9 s"},
		{59950, "60.0 s"},
		{60000, "1m00s"},
		{61000, "1m01s"},
		{3599999, "59m59s"},
		{3600000, "1h00m"},
		{11532023, "3h12m"},
		{86399999, "23h59m"},
		{86400000, "1d0h"},
		{525600000, "6d2h"},
		{86400000ULL * 400, "400d0h"},
	};
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		char text[64] = "";
		struct crier_buf buf;

		crier_buf_init(&buf, text, sizeof(text) - 1);
		crier_put_duration(&buf, rows[i].ms);
		assert_string_equal(text, rows[i].expected);
	}
}

/* The lines of the incident as they stand in docs/events.md. */
static void test_incident(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_MEMORY_PRESSURE);
	assert_string_equal(text_of(&s, false),
			    "04:12:07.123 WARN  container.memory_pressure  shop/cart-7d9f8b6c5-x2x4k app  "
			    "97 % of 512 MiB (container limit), stalled 1.2 s, critical");
	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	assert_string_equal(
		text_of(&s, false),
		"04:12:07.123 FATAL container.oom              shop/cart-7d9f8b6c5-x2x4k app  "
		"java[31874] killed at container limit 512 MiB: anon 498 MiB, file 2 MiB; allocation by java[31874]; "
		"1.1 s after pressure");
	sample_init(&s, CRIER_TYPE_PROCESS_EXIT);
	assert_string_equal(text_of(&s, false),
			    "04:12:07.123 WARN  process.exit               shop/cart-7d9f8b6c5-x2x4k app  "
			    "java[31874] SIGKILL (OOM) after 3h12m, peak 503 MiB, container init");
	sample_init(&s, CRIER_TYPE_CONTAINER_EXITED);
	assert_string_equal(text_of(&s, false),
			    "04:12:07.123 ERROR container.exited           shop/cart-7d9f8b6c5-x2x4k app  "
			    "oom, exit 137 after 3h12m, restart 3");
	sample_init(&s, CRIER_TYPE_CONTAINER_STARTED);
	((struct crier_data_started *)s.data)->restarts_1h = 1;
	assert_string_equal(text_of(&s, false),
			    "04:12:07.123 INFO  container.started          shop/cart-7d9f8b6c5-x2x4k app  "
			    "restart 4, 20.3 s after oom (exit 137)");
}

static void stop_of(struct crier_stop *stop)
{
	stop->signal = 15;
	stop->signal_name = "SIGTERM";
	stop->sender_comm = CRIER_SLICE("containerd-shim");
	stop->sender_pid = 480;
	stop->grace_period_s = 30;
}

static void test_ends(void **state)
{
	static struct sample s;
	struct crier_data_exited *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_EXITED);
	crier_data_init(CRIER_TYPE_CONTAINER_EXITED, data);
	assert_string_equal(story_of(&s), "exit code unknown");

	data->cause = CRIER_EXIT_CAUSE_EXIT;
	data->exit_code = 0;
	data->uptime_ms = 3200;
	data->restart_count = 0;
	assert_string_equal(story_of(&s), "exit 0 after 3.2 s");

	data->runtime.reason = CRIER_SLICE("OOMKilled"); /* a child was; init exited by itself */
	data->runtime.exit_code = 0;
	assert_string_equal(story_of(&s), "exit 0 after 3.2 s, though the runtime says OOMKilled");
	data->runtime.reason = CRIER_SLICE("Error");
	data->runtime.exit_code = 1;
	assert_string_equal(story_of(&s), "exit 0 after 3.2 s, though the runtime says exit 1");

	crier_data_init(CRIER_TYPE_CONTAINER_EXITED, data);
	data->cause = CRIER_EXIT_CAUSE_SIGNAL;
	data->signal = 11;
	data->signal_name = "SIGSEGV";
	data->core_dumped = 1;
	data->exit_code = 139;
	data->uptime_ms = 5000;
	assert_string_equal(story_of(&s), "SIGSEGV (core dumped), exit 139 after 5.0 s");

	data->signal = 9;
	data->signal_name = "SIGKILL";
	data->exit_code = 137;
	data->core_dumped = 0;
	data->uptime_ms = 525600000;
	stop_of(&data->stop);
	data->stop.escalated_to = 9;
	data->stop.escalated_name = "SIGKILL";
	data->stop.after_ms = 30008;
	data->stop.result = "delivered";
	assert_string_equal(
		story_of(&s),
		"stopped: SIGTERM did not end it, SIGKILL after 30.0 s (grace 30 s), exit 137 after 6d2h");
	data->stop.result = "ignored";
	assert_string_equal(
		story_of(&s),
		"stopped: SIGTERM ignored, SIGKILL after 30.0 s (grace 30 s), exit 137 after 6d2h");

	crier_data_init(CRIER_TYPE_CONTAINER_EXITED, data);
	data->cause = CRIER_EXIT_CAUSE_EXIT;
	data->exit_code = 0;
	data->observed = CRIER_OBSERVED_AFTER_THE_FACT;
	stop_of(&data->stop);
	data->stop.after_ms = 850;
	assert_string_equal(
		story_of(&s),
		"stopped: SIGTERM, ended 850 ms later (grace 30 s), exit 0, while crier was away");

	crier_data_init(CRIER_TYPE_CONTAINER_EXITED, data);
	data->cause = CRIER_EXIT_CAUSE_START_FAILED;
	data->exit_code = 128;
	data->runtime.reason = CRIER_SLICE("StartError");
	data->runtime.message = CRIER_SLICE("exec: \"nope\": executable file not found");
	assert_string_equal(
		story_of(&s),
		"never started, exit 128 (StartError: exec: \"nope\": executable file not found)");
}

static void test_starts(void **state)
{
	static struct sample s;
	struct crier_data_started *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_STARTED);
	assert_string_equal(story_of(&s),
			    "restart 4, 20.3 s after oom (exit 137), died 2 times within the hour");
	s.event.correlation.cause_count = 0;
	s.container.restart_count = CRIER_UNKNOWN_U64;
	data->restarts_1h = CRIER_UNKNOWN_U64;
	assert_string_equal(story_of(&s), "restarted, after oom (exit 137)");
	crier_data_init(CRIER_TYPE_CONTAINER_STARTED, data);
	data->filename = CRIER_SLICE("/usr/bin/java");
	assert_string_equal(story_of(&s), "init runs, /usr/bin/java");
	s.container.restart_count = 0;
	assert_string_equal(story_of(&s), "first start, /usr/bin/java");
}

static void test_exits(void **state)
{
	static struct sample s;
	struct crier_data_exit *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXIT);
	data->oom_killed = 0;
	data->core_dumped = 1;
	data->signal = 11;
	data->signal_name = "SIGSEGV";
	assert_string_equal(story_of(&s),
			    "java[31874] SIGSEGV (core dumped) after 3h12m, peak 503 MiB, container init");
	crier_data_init(CRIER_TYPE_PROCESS_EXIT, data);
	assert_string_equal(story_of(&s), "java[31874] ended");
	s.event.process.role = CRIER_ROLE_RUNTIME_HELPER;
	data->exit_code = 3;
	data->duration_ms = 12;
	assert_string_equal(story_of(&s), "java[31874] exit 3 after 12 ms, the runtime's own");
}

static void test_executions(void **state)
{
	static struct sample s;
	struct crier_data_exec *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	assert_string_equal(story_of(&s), "sh[33001] executed /bin/sh (1 argument)");
	data->args_count = 1;
	assert_string_equal(story_of(&s), "sh[33001] executed /bin/sh");
	data->args_count = 4;
	assert_string_equal(story_of(&s), "sh[33001] executed /bin/sh (3 arguments)");
	s.args[0] = CRIER_SLICE("sh");
	s.args[1] = CRIER_SLICE("-c");
	data->args = s.args;
	data->args_kept = 2;
	assert_string_equal(story_of(&s), "sh[33001] executed /bin/sh -c");
	data->filename = CRIER_SLICE_NONE;
	data->args = NULL;
	data->args_count = CRIER_UNKNOWN_U64;
	assert_string_equal(story_of(&s), "sh[33001] executed ?");
}

static void test_limits(void **state)
{
	static const struct {
		uint8_t scope, level;
		const char *expected;
	} rows[] = {
		{CRIER_OOM_SCOPE_MEMCG, CRIER_LEVEL_CONTAINER,
		 "java[31874] killed at container limit 512 MiB"},
		{CRIER_OOM_SCOPE_MEMCG, CRIER_LEVEL_POD, "java[31874] killed at pod limit 512 MiB"},
		{CRIER_OOM_SCOPE_MEMCG, CRIER_LEVEL_QOS, "java[31874] killed at QoS class limit 512 MiB"},
		{CRIER_OOM_SCOPE_MEMCG, CRIER_LEVEL_KUBEPODS,
		 "java[31874] killed at node allocatable limit 512 MiB"},
		{CRIER_OOM_SCOPE_MEMCG, CRIER_LEVEL_OTHER, "java[31874] killed at cgroup limit 512 MiB"},
		{CRIER_OOM_SCOPE_MEMCG, CRIER_LEVEL_NONE, "java[31874] killed at cgroup limit 512 MiB"},
		{CRIER_OOM_SCOPE_GLOBAL, CRIER_LEVEL_NODE, "java[31874] killed, node out of memory"},
		{CRIER_OOM_SCOPE_CPUSET, CRIER_LEVEL_NODE,
		 "java[31874] killed, allowed NUMA nodes out of memory"},
		{CRIER_OOM_SCOPE_NONE, CRIER_LEVEL_NONE, "java[31874] killed, out of memory"},
	};
	static struct sample s;
	struct crier_data_oom *data = (void *)s.data;
	(void)state;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
		data->scope = rows[i].scope;
		data->limit.level = rows[i].level;
		if (strncmp(story_of(&s), rows[i].expected, strlen(rows[i].expected)) != 0)
			fail_msg("%s does not begin with %s", story_of(&s), rows[i].expected);
	}
	sample_init(&s, CRIER_TYPE_CONTAINER_OOM);
	data->victim.anon_rss_bytes = data->victim.file_rss_bytes = data->limit.bytes = CRIER_UNKNOWN_U64;
	data->victim_index = 3;
	data->group_kill = 1;
	s.event.actor.pid = CRIER_UNKNOWN_U64;
	s.event.correlation.cause_count = 0;
	assert_string_equal(story_of(&s),
			    "java[31874] killed at container limit; whole group killed; victim 3");
}

static void test_signals(void **state)
{
	static struct sample s;
	struct crier_data_signal *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_SIGNAL);
	assert_string_equal(story_of(&s),
			    "java[31874] SIGTERM from containerd-shim[480] (outside the container)");
	data->result = CRIER_SIGNAL_RESULT_IGNORED;
	assert_string_equal(story_of(&s),
			    "java[31874] SIGTERM from containerd-shim[480] (outside the container), ignored");
	sample_init(&s, CRIER_TYPE_PROCESS_SIGNAL);
	s.event.actor.pid = CRIER_UNKNOWN_U64;
	data->signal = 99;
	data->signal_name = NULL;
	data->stop = 0;
	data->fatal = 1;
	assert_string_equal(story_of(&s), "java[31874] signal 99 from the kernel, fatal");
}

static void test_pressure_phases(void **state)
{
	static struct sample s;
	struct crier_data_pressure *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_CONTAINER_MEMORY_PRESSURE);
	data->phase = CRIER_PHASE_ONGOING;
	data->duration_ms = 61000;
	assert_string_equal(story_of(&s),
			    "97 % of 512 MiB (container limit), stalled 1.2 s, for 1m01s, critical");
	data->phase = CRIER_PHASE_EXIT;
	data->ratio = 0.6;
	data->stall_ms = CRIER_UNKNOWN_U64;
	data->limit.level = CRIER_LEVEL_POD;
	assert_string_equal(story_of(&s), "over, 60 % of 512 MiB (pod limit), for 1m01s");
}

static void test_hostile_bytes(void **state)
{
	static struct sample s;
	struct crier_data_exec *data = (void *)s.data;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.event.process.comm = CRIER_SLICE("\033[2J\xff\n");
	data->filename = CRIER_SLICE("/bin/\xe2\x80\xae\xc2\x9b\xc3\xa9\x7f");
	s.pod.name = CRIER_SLICE("a\rb");
	assert_string_equal(
		text_of(&s, false),
		"04:12:07.123 INFO  process.exec               shop/a\\x0db app                "
		"\\x1b[2J\\xff\\x0a[33001] executed /bin/\\xe2\\x80\\xae\\xc2\\x9b\xc3\xa9\\x7f (1 argument)");
	for (unsigned byte = 0; byte < 256; byte++) {
		char comm[2] = {(char)byte, 'x'};

		s.event.process.comm = (struct crier_slice){comm, 2};
		for (const char *p = text_of(&s, true); *p; p++) {
			if (*p == '\033') { /* only our own colours */
				assert_true(p[1] == '[' && p[strspn(p + 2, "0123456789;") + 2] == 'm');
				continue;
			}
			assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
		}
	}
}

static void test_long_texts(void **state)
{
	static char text[5000];
	static struct sample s;
	(void)state;

	memset(text, '\001', sizeof(text));
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		sample_init(&s, type);
		s.event.process.comm = s.event.actor.comm = (struct crier_slice){text, sizeof(text)};
		s.pod.name = s.pod.namespace_ = s.container.name = s.container.image =
			(struct crier_slice){text, sizeof(text)};
		for (const struct crier_field *field = crier_type_info(type)->data;
		     field->kind != CRIER_FIELD_END; field++)
			if (field->kind == CRIER_FIELD_TEXT)
				((struct crier_slice *)(void *)(s.data + field->offset))[0] =
					(struct crier_slice){text, sizeof(text)};
		assert_true(strlen(text_of(&s, false)) > 60);
	}
}

static void test_places(void **state)
{
	static struct sample s;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.container.type = CRIER_CONTAINER_TYPE_SANDBOX;
	assert_non_null(strstr(text_of(&s, false), "  shop/cart-7d9f8b6c5-x2x4k (sandbox)  sh[33001]"));
	s.container.pod = NULL;
	s.event.pod = NULL;
	assert_non_null(strstr(text_of(&s, false), "  container 3f9c1e2d4b5a…      "));
	s.event.container = NULL;
	assert_non_null(strstr(text_of(&s, false), "  (unknown container)  "));
	s.event.attribution.status = CRIER_ATTRIBUTION_HOST;
	assert_non_null(strstr(text_of(&s, false), "  (host)  "));
	sample_init(&s, CRIER_TYPE_AGENT_STOP);
	assert_non_null(strstr(text_of(&s, false), "  (crier)  "));
}

static void test_room(void **state)
{
	static struct sample s;
	char text[60];
	struct crier_buf buf;
	(void)state;

	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	crier_buf_init(&buf, text, sizeof(text));
	assert_int_equal(crier_emit_text(&s.options, &s.event, false, &buf), -EMSGSIZE);
	assert_int_equal(buf.len, 0);
	assert_false(buf.overflow);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),	      cmocka_unit_test(test_durations),
		cmocka_unit_test(test_incident),      cmocka_unit_test(test_ends),
		cmocka_unit_test(test_exits),	      cmocka_unit_test(test_executions),
		cmocka_unit_test(test_starts),	      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_signals),	      cmocka_unit_test(test_pressure_phases),
		cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_long_texts),
		cmocka_unit_test(test_places),	      cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
