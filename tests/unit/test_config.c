/* SPDX-License-Identifier: Apache-2.0 */
/* Flags: each kind and each error with its words; relations; JSON and back; reload; the printers against the table. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/options.h"
#include "crier/config.h"

static struct crier_config parse(int argc, const char **args)
{
	char *argv[16];
	struct crier_config config;
	struct crier_err err = {0};
	int rest;

	assert_int_equal(crier_config_init(&config), 0);
	for (int i = 0; i < argc; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	if (crier_config_parse(&config, argc, argv, &rest, &err) < 0)
		fail_msg("refused: %s", err.message);
	assert_int_equal(rest, 0);
	return config;
}

#define PARSE(...)                                                                                           \
	parse(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

/* One option's value as JSON text. */
static char *value_of(const struct crier_config *config, const char *name)
{
	json_t *json = crier_option_to_json(config, crier_option_find(name, strlen(name)));
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	json_decref(json);
	return text;
}

static void assert_value(const struct crier_config *config, const char *name, const char *expected)
{
	char *text = value_of(config, name);

	if (strcmp(text, expected) != 0)
		fail_msg("%s is %s, expected %s", name, text, expected);
	free(text);
}

/* ---- values ---- */

static const struct {
	const char *name, *value, *expected;
} values[] = {
	{"output", "text", "\"text\""},
	{"detail", "lean", "\"lean\""},
	{"profile", "full", "\"full\""},
	{"min-severity", "warn", "\"warn\""},
	{"node-name", "ip-10-0-3-17", "\"ip-10-0-3-17\""},
	{"cluster-name", "prod-eu ä", "\"prod-eu ä\""},
	{"state-file", "", "\"\""},
	{"cri-socket", "none", "\"none\""},
	{"cri-socket", "/run/x.sock", "\"/run/x.sock\""},
	{"hold-age", "1s", "\"1s\""},
	{"hold-age", "1500ms", "\"1500ms\""},
	{"hold-age", "1s500ms", "\"1500ms\""},
	{"hold-age", "60s", "\"1m\""},
	{"hold-age", "0", "\"0s\""},
	{"snapshot-interval", "1h30m", "\"90m\""},
	{"snapshot-interval", "7h", "\"7h\""},
	{"hold-bytes", "1GiB", "\"1GiB\""},
	{"hold-bytes", "65537", "\"65537\""},
	{"hold-bytes", "128Ki", "\"128KiB\""},
	{"max-output-bytes", "0", "\"0\""},
	{"ring-bulk-bytes", "2MiB", "\"2MiB\""},
	{"tombstones", "0", "0"},
	{"tombstones", "1000000", "1000000"},
	{"pressure-enter-ratio", "0.123456", "0.123456"},
	{"node-memory-enter-ratio", "0.000249", "0.000249"}, /* times 1e6 it is a hair less than 249 */
	{"pressure-enter-ratio", "1", "1.0"},
	{"pressure-enter-ratio", ".5", "0.5"},
	{"process-args", "yes", "true"},
	{"process-args", "off", "false"},
	{"label", "team,app", "[\"team\",\"app\"]"},
	{"label", "", "[]"},
	{"resource", "team=pay,ments", "[\"team=pay,ments\"]"},
	{"filter-namespace", "shop,!kube-*", "[\"shop\",\"!kube-*\"]"},
	{"filter-processes", "ng?nx", "[\"ng?nx\"]"},
	{"hook", "oom=kprobe", "[\"oom=kprobe\"]"},
};

static void test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(values); i++) {
		struct crier_config config;
		struct crier_err err = {0};

		assert_int_equal(crier_config_init(&config), 0);
		if (crier_config_set(&config, values[i].name, values[i].value, &err) < 0)
			fail_msg("%s=%s: %s", values[i].name, values[i].value, err.message);
		assert_value(&config, values[i].name, values[i].expected);
		crier_config_done(&config);
	}
}

static const struct {
	const char *name, *value;
	int code;
	const char *message;
} refusals[] = {
	{"hold-agee", "1s", -EINVAL, "unknown option 'hold-agee'; did you mean 'hold-age'?"},
	{"xyzzy", "1", -EINVAL, "unknown option 'xyzzy'"},
	{"hold-age", "soon", -EINVAL,
	 "hold-age: 'soon' is not a duration; write it like 500ms, 30s, 5m or 1h"},
	{"hold-age", "500", -EINVAL, "hold-age: '500' is not a duration; write it like 500ms, 30s, 5m or 1h"},
	{"hold-age", "-1s", -EINVAL, "hold-age: '-1s' is not a duration; write it like 500ms, 30s, 5m or 1h"},
	{"hold-age", "2h", -ERANGE, "hold-age: 2h is out of range; allowed: 0s to 1m"},
	{"cri-timeout", "9ms", -ERANGE, "cri-timeout: 9ms is out of range; allowed: 10ms to 1m"},
	{"cri-timeout", "18446744073709551615h", -ERANGE,
	 "cri-timeout: 18446744073709551615h is out of range; allowed: 10ms to 1m"},
	{"cri-timeout", "297197543409765h", -ERANGE, /* modulo 2^64 it would be 6272 ms */
	 "cri-timeout: 297197543409765h is out of range; allowed: 10ms to 1m"},
	{"cri-timeout", "99999999999999999999s", -ERANGE,
	 "cri-timeout: 99999999999999999999s is out of range; allowed: 10ms to 1m"},
	{"hold-bytes", "8MB", -EINVAL,
	 "hold-bytes: '8MB' is not a size; write a number of bytes, or one with KiB, MiB or GiB"},
	{"hold-bytes", "1KiB", -ERANGE, "hold-bytes: 1KiB is out of range; allowed: 64KiB to 1GiB"},
	{"ring-bulk-bytes", "3MiB", -ERANGE, "ring-bulk-bytes: 3MiB is not a power of two"},
	{"max-containers", "many", -EINVAL, "max-containers: 'many' is not a whole number"},
	{"max-containers", "15", -ERANGE, "max-containers: 15 is out of range; allowed: 16 to 1048576"},
	{"throttle-ratio", "1.5", -ERANGE, "throttle-ratio: 1.5 is out of range; allowed: 0.01 to 1"},
	{"throttle-ratio", "25%", -EINVAL, "throttle-ratio: '25%' is not a ratio; write it like 0.9"},
	{"throttle-ratio", "0.2.5", -EINVAL, "throttle-ratio: '0.2.5' is not a ratio; write it like 0.9"},
	{"throttle-ratio", "nan", -EINVAL, "throttle-ratio: 'nan' is not a ratio; write it like 0.9"},
	{"output", "xml", -EINVAL, "output: 'xml' is none of json, text"},
	{"profile", "defualt", -EINVAL,
	 "profile: 'defualt' is none of minimal, default, process, memory, full; did you mean 'default'?"},
	{"min-severity", "none", -EINVAL, "min-severity: 'none' is none of debug, info, warn, error, fatal"},
	{"process-args", "maybe", -EINVAL, "process-args: 'maybe' is neither true nor false"},
	{"node-name", "", -EINVAL, "node-name: is empty; give a value or leave it out"},
	{"node-name", "a\nb", -EINVAL, "node-name: holds a control character"},
	{"node-name", "a\xff", -EINVAL, "node-name: is not valid UTF-8"},
	{"host-root", "host", -EINVAL, "host-root: 'host' is not an absolute path"},
	{"cri-socket", "containerd.sock", -EINVAL,
	 "cri-socket: 'containerd.sock' is neither an absolute path nor 'none'"},
	{"cri-socket", "unix:///run/c.sock", -EINVAL,
	 "cri-socket: 'unix:///run/c.sock': write the path alone, without 'unix:'"},
	{"resource", "team", -EINVAL, "resource: 'team' is not key=value"},
	{"resource", "a b=c", -EINVAL,
	 "resource: 'a b=c': a key is 1 to 63 of letters, digits, '.', '_' and '-'"},
	{"hook", "oom", -EINVAL, "hook: 'oom' is not key=value"},
	{"filter-label", "app", -EINVAL, "filter-label: 'app' is not key=value"},
	{"filter-pod", "a,,b", -EINVAL, "filter-pod: holds an empty item"},
	{"filter-pod", "!", -EINVAL, "filter-pod: '!' excludes nothing; write a pattern behind it"},
};

static void test_refusals(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(refusals); i++) {
		struct crier_config config;
		struct crier_err err = {0};

		assert_int_equal(crier_config_init(&config), 0);
		assert_int_equal(crier_config_set(&config, refusals[i].name, refusals[i].value, &err),
				 refusals[i].code);
		assert_string_equal(err.message, refusals[i].message);
		crier_config_done(&config);
	}
}

static void test_long_values(void **state)
{
	char *text = malloc(CRIER_CONFIG_VALUE_MAX + 2);
	struct crier_config config;
	struct crier_err err = {0};

	(void)state;
	memset(text, 'a', CRIER_CONFIG_VALUE_MAX + 1);
	text[CRIER_CONFIG_VALUE_MAX + 1] = '\0';
	assert_int_equal(crier_config_init(&config), 0);
	assert_int_equal(crier_config_set(&config, "output-target", text, &err), -ERANGE);
	assert_non_null(strstr(err.message, "is longer than 4095 bytes"));
	for (int i = 0; i < CRIER_LIST_MAX; i++)
		assert_int_equal(crier_config_set(&config, "filter-pod", "x", &err), 0);
	assert_int_equal(crier_config_set(&config, "filter-pod", "x", &err), -ERANGE);
	assert_string_equal(err.message, "filter-pod: has more than 64 items");
	crier_config_done(&config);
	free(text);
}

/* ---- flags ---- */

static void test_flags(void **state)
{
	struct crier_config config = PARSE("--hold-age=2s", "--process-args", "--label", "team", "--label",
					   "app", "--output-target", "-", "--colour", "always");

	(void)state;
	assert_value(&config, "hold-age", "\"2s\"");
	assert_value(&config, "process-args", "true");
	assert_value(&config, "label", "[\"team\",\"app\"]");
	assert_true(config.colour);
	assert_true(crier_config_is_flag(&config, "hold-age"));
	assert_false(crier_config_is_flag(&config, "output"));
	crier_config_done(&config);

	config = PARSE("--process-args", "--no-process-args", "--colour", "never");
	assert_value(&config, "process-args", "false");
	assert_false(config.colour);
	crier_config_done(&config);
}

static void test_positional(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "file", (char *)(uintptr_t) "--hold-age",
			(char *)(uintptr_t) "1s", (char *)(uintptr_t) "--", (char *)(uintptr_t) "--odd"};
	struct crier_config config;
	struct crier_err err = {0};
	int rest;

	(void)state;
	assert_int_equal(crier_config_init(&config), 0);
	assert_int_equal(crier_config_parse(&config, 5, argv, &rest, &err), 0);
	assert_int_equal(rest, 2);
	assert_string_equal(argv[0], "file");
	assert_string_equal(argv[1], "--odd");
	crier_config_done(&config);
}

static const struct {
	const char *args[2], *message;
} flag_errors[] = {
	{{"--profil=x"}, "--profil: unknown option; did you mean --profile?"},
	{{"--hold"}, "--hold: unknown option; did you mean --hold-age?"},
	{{"--no-such-flag"}, "--no-such-flag: unknown option"},
	{{"-x"}, "-x: unknown option; options start with two dashes"},
	{{"--hold-age"}, "--hold-age: needs a value: --hold-age TIME"},
	{{"--output", "--detail"}, "--output: needs a value: --output json|text"},
	{{"--no-hold-age"}, "--no-hold-age: --hold-age is no switch"},
	{{"--hold-age", "x"}, "--hold-age: 'x' is not a duration; write it like 500ms, 30s, 5m or 1h"},
	{{"--config", "/nonexistent.yaml"},
	 "/nonexistent.yaml: cannot read the config file: No such file or directory"},
	{{"--config", "/"}, "/: the config file is not a regular file"},
};

static void test_flag_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(flag_errors); i++) {
		char *argv[] = {(char *)(uintptr_t)flag_errors[i].args[0],
				(char *)(uintptr_t)flag_errors[i].args[1]};
		struct crier_config config;
		struct crier_err err = {0};
		int rest;

		assert_int_equal(crier_config_init(&config), 0);
		assert_true(crier_config_parse(&config, argv[1] ? 2 : 1, argv, &rest, &err) < 0);
		assert_string_equal(err.message, flag_errors[i].message);
		crier_config_done(&config);
	}
}

static void test_memory_profile(void **state)
{
	struct crier_config config = PARSE("--profile", "memory");

	(void)state;
	assert_value(&config, "pressure-interval", "\"10s\"");
	crier_config_done(&config);
	config = PARSE("--profile", "memory", "--pressure-interval", "20s");
	assert_value(&config, "pressure-interval", "\"20s\"");
	crier_config_done(&config);
	config = PARSE("--profile", "default");
	assert_value(&config, "pressure-interval", "\"1m\"");
	crier_config_done(&config);
}

static void test_node_name(void **state)
{
	struct crier_config config;

	(void)state;
	setenv("NODE_NAME", "node-7", 1);
	assert_int_equal(crier_config_init(&config), 0);
	assert_string_equal(config.node_name, "node-7");
	crier_config_done(&config);
	unsetenv("NODE_NAME");
	assert_int_equal(crier_config_init(&config), 0);
	assert_true(strlen(config.node_name) > 0);
	assert_string_not_equal(config.node_name, "node-7");
	crier_config_done(&config);
}

/* ---- relations ---- */

static const struct {
	const char *name, *value, *message;
} relations[] = {
	{"pressure-exit-ratio", "0.9", "pressure-exit-ratio: 0.9 is not below pressure-enter-ratio 0.9"},
	{"pressure-critical-ratio", "0.85",
	 "pressure-critical-ratio: 0.85 is below pressure-enter-ratio 0.9"},
	{"max-output-bytes", "1000",
	 "max-output-bytes: 1000 is less than one line; allowed: 0 (no bound) or 16KiB and more"},
	{"filter-type", "container.oomm",
	 "filter-type: 'container.oomm' matches no event type; crier schema lists them"},
	{"filter-label", "team=x",
	 "filter-label: label 'team' is not kept; add it to label (the allow-list)"},
	{"filter-label", "!app=x", NULL},
	{"filter-type", "!process.*", NULL},
};

static void test_relations(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(relations); i++) {
		struct crier_config config;
		struct crier_err err = {0};

		assert_int_equal(crier_config_init(&config), 0);
		assert_int_equal(crier_config_validate(&config, &err), 0);
		assert_int_equal(crier_config_set(&config, relations[i].name, relations[i].value, &err), 0);
		assert_int_equal(crier_config_validate(&config, &err), relations[i].message ? -EINVAL : 0);
		assert_string_equal(err.message, relations[i].message ? relations[i].message : "");
		crier_config_done(&config);
	}
}

/* ---- JSON ---- */

static void test_json_round_trip(void **state)
{
	struct crier_config config =
		PARSE("--profile=memory", "--label", "team", "--resource", "a=b\"c", "--hold-age", "1501ms",
		      "--pressure-enter-ratio", "0.912345", "--process-args", "--cri-socket", "none",
		      "--min-severity", "error");
	struct crier_config back;
	struct crier_err err = {0};
	char *text = crier_config_to_json(&config), *again;

	(void)state;
	assert_non_null(text);
	assert_int_equal(crier_config_init(&back), 0);
	if (crier_config_from_json(&back, text, strlen(text), &err) < 0)
		fail_msg("%s", err.message);
	again = crier_config_to_json(&back);
	assert_string_equal(text, again);
	assert_non_null(strstr(text, "\"pressure-exit-ratio\":0.8,"));
	assert_int_equal(back.pressure_interval_ms, 10000);
	assert_null(back.cluster_name);
	free(text);
	free(again);
	crier_config_done(&config);
	crier_config_done(&back);
}

static const struct {
	const char *json, *message;
} json_errors[] = {
	{"{", "config: not valid JSON at byte 1: string or '}' expected near end of file"},
	{"[]", "config: not a JSON object"},
	{"{\"x\":1}", "config: unknown key 'x'"},
	{"{\"hold-age\":5}", "config: hold-age: has a value of the wrong kind"},
	{"{\"hold-age\":\"5\"}",
	 "config: hold-age: '5' is not a duration; write it like 500ms, 30s, 5m or 1h"},
	{"{\"host-root\":null}", "config: host-root: has a value of the wrong kind"},
	{"{\"labels\":[1]}", "config: label: holds an item that is no text"},
	{"{\"labels\":\"a\"}", "config: label: has a value of the wrong kind"},
	{"{\"tombstones\":-1}", "config: tombstones: '-1' is not a whole number"},
	{"{\"throttle-ratio\":-0.5}",
	 "config: throttle-ratio: '-0.500000' is not a ratio; write it like 0.9"},
};

static void test_json_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(json_errors); i++) {
		struct crier_config config;
		struct crier_err err = {0};

		assert_int_equal(crier_config_init(&config), 0);
		assert_true(crier_config_from_json(&config, json_errors[i].json, strlen(json_errors[i].json),
						   &err) < 0);
		assert_string_equal(err.message, json_errors[i].message);
		crier_config_done(&config);
	}
}

/* ---- reload ---- */

static const struct {
	const char *from, *to, *message;
} reloads[] = {
	{"--hold-age=1s", "--hold-age=2s", NULL},
	{"--label=a", "--label=b", NULL},
	{"--profile=full", "--profile=minimal", NULL},
	{"--profile=process", "--profile=full",
	 "profile: 'full' needs kernel hooks that 'process' did not load; restart crier"},
	{"--output=json", "--output=text", "output: cannot change while crier runs; restart it"},
	{"--ring-bulk-bytes=1MiB", "--ring-bulk-bytes=2MiB",
	 "ring-bulk-bytes: cannot change while crier runs; restart it"},
	{"--hook=oom=kprobe", "--hook=oom=fentry", "hook: cannot change while crier runs; restart it"},
};

static void test_reload_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(reloads); i++) {
		struct crier_config from = PARSE(reloads[i].from), to = PARSE(reloads[i].to);
		struct crier_err err = {0};

		assert_int_equal(crier_config_can_reload(&from, &from, &err), 1);
		assert_int_equal(crier_config_can_reload(&from, &to, &err), reloads[i].message == NULL);
		assert_string_equal(err.message, reloads[i].message ? reloads[i].message : "");
		crier_config_done(&from);
		crier_config_done(&to);
	}
}

/* ---- the table and its printers ---- */

static void test_table(void **state)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);

	(void)state;
	assert_non_null(options[0].group);
	for (size_t i = 0; i < count; i++) {
		const char *doc = options[i].doc;

		assert_true(doc && doc[strlen(doc) - 1] == '.');
		assert_ptr_equal(crier_option_find(options[i].name, strlen(options[i].name)), &options[i]);
		if (options[i].plural)
			assert_ptr_equal(crier_option_find(options[i].plural, strlen(options[i].plural)),
					 &options[i]);
		if (options[i].kind == CRIER_OPTION_ENUM)
			assert_true(options[i].names && (options[i].size == 1 || options[i].size == 4));
	}
}

static char *printed(void (*print)(FILE *))
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	print(file);
	fclose(file);
	return text;
}

static void test_printers_name_all(void **state)
{
	char *help = printed(crier_config_print_help), *man = printed(crier_config_print_man);
	char *markdown = printed(crier_config_print_markdown), *yaml = printed(crier_config_print_yaml);
	size_t count;
	const struct crier_option *options = crier_options(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		char text[128];

		snprintf(text, sizeof(text), options[i].kind == CRIER_OPTION_BOOL ? "--[no-]%s" : "--%s ",
			 options[i].name);
		assert_non_null(strstr(help, text));
		snprintf(text, sizeof(text), "`--%s`", options[i].name);
		assert_non_null(strstr(markdown, text));
		snprintf(text, sizeof(text), "\n#%s:", crier_option_key(&options[i]));
		assert_int_equal(strstr(yaml, text) != NULL, !(options[i].flags & CRIER_OPTION_FLAG_ONLY));
	}
	assert_non_null(strstr(man, "\\-\\-hold\\-age"));
	free(help);
	free(man);
	free(markdown);
	free(yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),	       cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_long_values),    cmocka_unit_test(test_flags),
		cmocka_unit_test(test_positional),     cmocka_unit_test(test_flag_errors),
		cmocka_unit_test(test_memory_profile), cmocka_unit_test(test_node_name),
		cmocka_unit_test(test_relations),      cmocka_unit_test(test_json_round_trip),
		cmocka_unit_test(test_json_errors),    cmocka_unit_test(test_reload_rules),
		cmocka_unit_test(test_table),	       cmocka_unit_test(test_printers_name_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
