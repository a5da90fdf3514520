/* SPDX-License-Identifier: Apache-2.0 */
/* Each profile over each type and its data; patterns on known, absent and unknown fields; severity; what always passes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "crier/event_data.h"
#include "crier/filter.h"

#define PASS  CRIER_VERDICT_PASS
#define DROP  CRIER_VERDICT_FILTERED
#define UNDET CRIER_VERDICT_UNDETERMINED

static struct crier_filter *filter_of(const char *const *settings)
{
	struct crier_config config;
	struct crier_filter *filter;
	struct crier_err err = {0};

	assert_int_equal(crier_config_init(&config), 0);
	for (; settings[0]; settings += 2)
		if (crier_config_set(&config, settings[0], settings[1], &err) < 0)
			fail_msg("%s", err.message);
	if (crier_config_validate(&config, &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(crier_filter_new(&config, &filter, &err), 0);
	crier_config_done(&config);
	return filter;
}

/* ---- patterns ---- */

static void test_pattern(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{"", "", true},		 {"", "a", false},
		{"*", "", true},	 {"*", "abc", true},
		{"a", "a", true},	 {"a", "A", false},
		{"a", "ab", false},	 {"?", "a", true},
		{"?", "", false},	 {"a*c", "abbc", true},
		{"a*c", "abcd", false},	 {"a*b*c", "axbxbxc", true},
		{"*ab", "aab", true},	 {"**", "x", true},
		{"a?c*", "abc", true},	 {"*.*", "process.exec", true},
		{"prod*", "prod", true}, {"*-x?", "web-xy", true},
		{"*a", "b", false},
	};
	char many[4096];

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++)
		if (crier_pattern_match(rows[i].pattern, crier_slice_of(rows[i].text)) != rows[i].matches)
			fail_msg("'%s' over '%s'", rows[i].pattern, rows[i].text);
	/* Bytes, also NUL; and no exponential time. */
	assert_true(crier_pattern_match("a?b", (struct crier_slice){"a\0b", 3}));
	memset(many, 'a', sizeof(many));
	assert_false(crier_pattern_match("*a*a*a*a*a*a*a*a*a*b", (struct crier_slice){many, sizeof(many)}));
}

/* The definition: a star is nothing, or one byte and a star. */
static bool by_definition(const char *pattern, struct crier_slice text)
{
	struct crier_slice rest = {text.ptr + 1, text.len - 1};

	if (*pattern == '*')
		return by_definition(pattern + 1, text) || (text.len && by_definition(pattern, rest));
	if (!text.len || !*pattern)
		return !text.len && !*pattern;
	return (*pattern == '?' || *pattern == text.ptr[0]) && by_definition(pattern + 1, rest);
}

static void test_pattern_by_definition(void **state)
{
	static const char letters[] = "ab*?";
	unsigned matched = 0;

	(void)state;
	for (unsigned round = 0; round < 1 << 20; round++) {
		char pattern[6] = {0}, text[5];
		struct crier_slice slice = {text, round >> 10 & 3};

		for (size_t i = 0; i < 5; i++)
			pattern[i] = i < (round >> 12 & 7) ? letters[round >> 2 * i & 3] : '\0';
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = letters[round >> (15 + i) & 1];
		slice.len += round >> 14 & 1;
		if (crier_pattern_match(pattern, slice) != by_definition(pattern, slice))
			fail_msg("'%s' over '%.*s'", pattern, (int)slice.len, slice.ptr);
		matched += by_definition(pattern, slice);
	}
	assert_true(matched > 100000);
}

/* ---- profiles ---- */

static enum crier_verdict check(const struct crier_filter *filter, enum crier_type type, const void *data)
{
	struct crier_event event;

	crier_event_init(&event, type);
	event.data = data;
	return crier_filter_check(filter, &event);
}

static void test_profile_types(void **state)
{
	static const struct {
		enum crier_type type;
		enum crier_verdict by_profile[CRIER_PROFILE_COUNT]; /* minimal default process memory full */
	} rows[] = {
		{CRIER_TYPE_CONTAINER_CREATED, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_TYPE_CONTAINER_STARTED, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_TYPE_CONTAINER_EXITED, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_CONTAINER_REMOVED, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_TYPE_CONTAINER_RESOLVED, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_CONTAINER_SNAPSHOT, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_TYPE_CONTAINER_OOM, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, {DROP, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_CONTAINER_CPU_THROTTLE, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_TYPE_PROCESS_EXEC, {DROP, DROP, PASS, DROP, PASS}},
		{CRIER_TYPE_PROCESS_FORK, {DROP, DROP, DROP, DROP, PASS}},
		{CRIER_TYPE_NODE_OOM, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_NODE_MEMORY_PRESSURE, {DROP, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_AGENT_START, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_AGENT_HEALTH, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_AGENT_STATS, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_AGENT_LOSS, {PASS, PASS, PASS, PASS, PASS}},
		{CRIER_TYPE_AGENT_STOP, {PASS, PASS, PASS, PASS, PASS}},
	};

	(void)state;
	for (size_t profile = 0; profile < CRIER_PROFILE_COUNT; profile++) {
		const char *settings[] = {"profile", crier_profile_names[profile], NULL};
		struct crier_filter *filter = filter_of(settings);

		for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
			enum crier_verdict verdict = check(filter, rows[i].type, NULL);

			if (verdict != rows[i].by_profile[profile])
				fail_msg("profile %s, %s: %d", crier_profile_names[profile],
					 crier_type_info(rows[i].type)->name, (int)verdict);
			/* The bit set is what a profile may emit. */
			assert_int_equal(crier_profile_types((enum crier_profile)profile) >> rows[i].type & 1,
					 rows[i].by_profile[profile] != DROP);
		}
		crier_filter_free(filter);
	}
}

static void test_exits(void **state)
{
	static const struct {
		int64_t code;
		uint64_t signal;
		uint8_t oom, init;
		enum crier_verdict by_profile[CRIER_PROFILE_COUNT];
	} rows[] = {
		{0, CRIER_UNKNOWN_U64, 0, 0, {DROP, DROP, PASS, DROP, PASS}},
		{0, CRIER_UNKNOWN_U64, 0, 1, {DROP, PASS, PASS, DROP, PASS}},
		{3, CRIER_UNKNOWN_U64, 0, 0, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_UNKNOWN_I64, 11, 0, 0, {DROP, PASS, PASS, DROP, PASS}},
		{0, CRIER_UNKNOWN_U64, 1, 0, {DROP, PASS, PASS, DROP, PASS}},
		{CRIER_UNKNOWN_I64,
		 CRIER_UNKNOWN_U64,
		 CRIER_UNKNOWN_BOOL,
		 CRIER_UNKNOWN_BOOL,
		 {DROP, UNDET, PASS, DROP, PASS}},
	};

	(void)state;
	for (size_t profile = 0; profile < CRIER_PROFILE_COUNT; profile++) {
		const char *settings[] = {"profile", crier_profile_names[profile], NULL};
		struct crier_filter *filter = filter_of(settings);

		for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
			struct crier_data_exit data;

			crier_data_init(CRIER_TYPE_PROCESS_EXIT, &data);
			data.exit_code = rows[i].code;
			data.signal = rows[i].signal;
			data.oom_killed = rows[i].oom;
			data.container_init = rows[i].init;
			if (check(filter, CRIER_TYPE_PROCESS_EXIT, &data) != rows[i].by_profile[profile])
				fail_msg("profile %s, exit row %zu", crier_profile_names[profile], i);
		}
		crier_filter_free(filter);
	}
}

static void test_signals(void **state)
{
	static const struct {
		uint8_t stop, fatal;
		enum crier_verdict by_profile[CRIER_PROFILE_COUNT];
	} rows[] = {
		{0, 0, {DROP, DROP, DROP, DROP, PASS}},
		{1, 0, {DROP, PASS, PASS, DROP, PASS}},
		{0, 1, {DROP, PASS, PASS, DROP, PASS}},
		{0, CRIER_UNKNOWN_BOOL, {DROP, UNDET, UNDET, DROP, PASS}},
		{1, CRIER_UNKNOWN_BOOL, {DROP, PASS, PASS, DROP, PASS}},
	};

	(void)state;
	for (size_t profile = 0; profile < CRIER_PROFILE_COUNT; profile++) {
		const char *settings[] = {"profile", crier_profile_names[profile], NULL};
		struct crier_filter *filter = filter_of(settings);

		for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
			struct crier_data_signal data;

			crier_data_init(CRIER_TYPE_PROCESS_SIGNAL, &data);
			data.stop = rows[i].stop;
			data.fatal = rows[i].fatal;
			if (check(filter, CRIER_TYPE_PROCESS_SIGNAL, &data) != rows[i].by_profile[profile])
				fail_msg("profile %s, signal row %zu", crier_profile_names[profile], i);
		}
		crier_filter_free(filter);
	}
}

static void test_probes(void **state)
{
	uint32_t fork = 1u << CRIER_PROBE_FORK, pressure = 1u << CRIER_PROBE_PRESSURE;
	uint32_t always = 1u << CRIER_PROBE_CGROUP_MKDIR | 1u << CRIER_PROBE_EXEC | 1u << CRIER_PROBE_EXIT |
			  1u << CRIER_PROBE_SIGNAL | 1u << CRIER_PROBE_OOM;

	(void)state;
	for (unsigned profile = 0; profile < CRIER_PROFILE_COUNT; profile++) {
		uint32_t probes = crier_profile_probes((enum crier_profile)profile);

		assert_int_equal(probes & always, always);
		assert_int_equal((probes & fork) != 0, profile == CRIER_PROFILE_FULL);
		assert_int_equal((probes & pressure) != 0, profile != CRIER_PROFILE_MINIMAL);
	}
}

/* ---- patterns over events ---- */

/* container.started in shop/cart-1, container app, label app=cart; process comm nginx. */
struct scene {
	struct crier_container container;
	struct crier_pod pod;
	struct crier_meta_labels labels;
	struct crier_event event;
};

static void set_scene(struct scene *scene, enum crier_type type)
{
	memset(scene, 0, sizeof(*scene));
	scene->labels.count = 1;
	scene->labels.items[0] = (struct crier_meta_label){CRIER_SLICE("app"), CRIER_SLICE("cart")};
	scene->pod.namespace_ = CRIER_SLICE("shop");
	scene->pod.name = CRIER_SLICE("cart-1");
	scene->pod.labels = &scene->labels;
	scene->container.id = "";
	scene->container.name = CRIER_SLICE("app");
	crier_event_init(&scene->event, type);
	scene->event.container = &scene->container;
	scene->event.pod = &scene->pod;
	scene->event.process.comm = CRIER_SLICE("nginx");
	scene->event.attribution.status = CRIER_ATTRIBUTION_FULL;
}

static void set_unknown(struct scene *scene)
{
	scene->event.container = NULL;
	scene->event.pod = NULL;
	scene->event.process.comm = CRIER_SLICE_NONE;
	scene->event.attribution.status = CRIER_ATTRIBUTION_NONE;
}

static void test_patterns(void **state)
{
	/* verdicts: known as above; nothing known; a host process */
	static const struct {
		const char *settings[5];
		enum crier_type type;
		enum crier_verdict known, unknown, host;
	} rows[] = {
		{{"filter-namespace", "shop"}, CRIER_TYPE_CONTAINER_STARTED, PASS, UNDET, DROP},
		{{"filter-namespace", "sh*,web"}, CRIER_TYPE_CONTAINER_STARTED, PASS, UNDET, DROP},
		{{"filter-namespace", "web"}, CRIER_TYPE_CONTAINER_STARTED, DROP, UNDET, DROP},
		{{"filter-namespace", "!shop"}, CRIER_TYPE_CONTAINER_STARTED, DROP, UNDET, PASS},
		{{"filter-namespace", "!kube-*"}, CRIER_TYPE_CONTAINER_STARTED, PASS, UNDET, PASS},
		{{"filter-namespace", "*,!shop"}, CRIER_TYPE_CONTAINER_STARTED, DROP, UNDET, DROP},
		{{"filter-pod", "cart-?"}, CRIER_TYPE_CONTAINER_STARTED, PASS, UNDET, DROP},
		{{"filter-container", "sidecar"}, CRIER_TYPE_CONTAINER_STARTED, DROP, UNDET, DROP},
		{{"filter-label", "app=c*"}, CRIER_TYPE_CONTAINER_STARTED, PASS, UNDET, DROP},
		{{"filter-label", "app=web"}, CRIER_TYPE_CONTAINER_STARTED, DROP, UNDET, DROP},
		{{"filter-label", "!app=cart"}, CRIER_TYPE_CONTAINER_STARTED, DROP, UNDET, PASS},
		{{"filter-process", "nginx"}, CRIER_TYPE_PROCESS_EXEC, PASS, UNDET, UNDET},
		{{"filter-process", "java"}, CRIER_TYPE_PROCESS_EXEC, DROP, UNDET, UNDET},
		{{"filter-process", "java"}, CRIER_TYPE_CONTAINER_STARTED, PASS, PASS, PASS},
		{{"filter-type", "container.*"}, CRIER_TYPE_CONTAINER_STARTED, PASS, PASS, PASS},
		{{"filter-type", "container.*"}, CRIER_TYPE_PROCESS_EXEC, DROP, DROP, DROP},
		{{"filter-type", "!container.started"}, CRIER_TYPE_CONTAINER_STARTED, DROP, DROP, DROP},
		{{"min-severity", "warn"}, CRIER_TYPE_CONTAINER_STARTED, DROP, DROP, DROP},
		{{"min-severity", "info"}, CRIER_TYPE_CONTAINER_STARTED, PASS, PASS, PASS},
		/* one dimension decides against, another is not known: against */
		{{"filter-namespace", "web", "filter-process", "x"},
		 CRIER_TYPE_PROCESS_EXEC,
		 DROP,
		 UNDET,
		 DROP},
		/* node events have no pod by nature */
		{{"filter-namespace", "shop"}, CRIER_TYPE_NODE_MEMORY_PRESSURE, DROP, DROP, DROP},
		{{"filter-namespace", "!shop"}, CRIER_TYPE_NODE_MEMORY_PRESSURE, PASS, PASS, PASS},
		/* always */
		{{"filter-namespace", "web"}, CRIER_TYPE_CONTAINER_OOM, PASS, PASS, PASS},
		{{"filter-type", "!container.*"}, CRIER_TYPE_CONTAINER_OOM, PASS, PASS, PASS},
		{{"min-severity", "fatal"}, CRIER_TYPE_AGENT_STATS, PASS, PASS, PASS},
		{{"filter-pod", "web"}, CRIER_TYPE_CONTAINER_RESOLVED, PASS, PASS, PASS},
	};
	struct scene scene;

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		const char *settings[] = {"profile",
					  "full",
					  rows[i].settings[0],
					  rows[i].settings[1],
					  rows[i].settings[2],
					  rows[i].settings[3],
					  NULL};
		struct crier_filter *filter = filter_of(settings);
		enum crier_verdict known, unknown, host;

		set_scene(&scene, rows[i].type);
		known = crier_filter_check(filter, &scene.event);
		set_unknown(&scene);
		unknown = crier_filter_check(filter, &scene.event);
		scene.event.attribution.status = CRIER_ATTRIBUTION_HOST;
		host = crier_filter_check(filter, &scene.event);
		if (known != rows[i].known || unknown != rows[i].unknown || host != rows[i].host)
			fail_msg("row %zu (%s %s): known %d, unknown %d, host %d", i, settings[2],
				 settings[3], (int)known, (int)unknown, (int)host);
		crier_filter_free(filter);
	}
}

static void test_event_severity(void **state)
{
	const char *settings[] = {"min-severity", "warn", NULL};
	struct crier_filter *filter = filter_of(settings);
	struct scene scene;

	(void)state;
	set_scene(&scene, CRIER_TYPE_CONTAINER_STARTED);
	scene.event.severity = CRIER_SEVERITY_ERROR; /* its own, above the type's */
	assert_int_equal(crier_filter_check(filter, &scene.event), PASS);
	crier_filter_free(filter);
}

static void test_sandbox_has_no_name(void **state)
{
	const char *only[] = {"filter-container", "app", NULL},
		   *without[] = {"filter-container", "!app", NULL};
	struct crier_filter *filter = filter_of(only);
	struct scene scene;

	(void)state;
	set_scene(&scene, CRIER_TYPE_CONTAINER_STARTED);
	scene.container.name = CRIER_SLICE_NONE;
	assert_int_equal(crier_filter_check(filter, &scene.event), UNDET);
	scene.container.type = CRIER_CONTAINER_TYPE_SANDBOX;
	assert_int_equal(crier_filter_check(filter, &scene.event), DROP);
	crier_filter_free(filter);
	filter = filter_of(without);
	assert_int_equal(crier_filter_check(filter, &scene.event), PASS);
	crier_filter_free(filter);
	crier_filter_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pattern_by_definition),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_profile_types),
		cmocka_unit_test(test_exits),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_probes),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_event_severity),
		cmocka_unit_test(test_sandbox_has_no_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
