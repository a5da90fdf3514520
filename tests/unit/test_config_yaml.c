/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML file: each form, each error with line and column; flags over it; its default form; reading it again. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "crier/config.h"

static char folder[] = "/tmp/crier-config-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/crier.yaml", folder);
	return chdir(folder);
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(const char *text, size_t len)
{
	int fd = open("crier.yaml", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	close(fd);
}

static const struct {
	const char *text, *expected; /* part of the effective JSON */
} good[] = {
	{"", "\"hold-age\":\"500ms\""},
	{"# nothing\n", "\"hold-age\":\"500ms\""},
	{"---\n", "\"hold-age\":\"500ms\""},
	{"hold-age: 2s\n", "\"hold-age\":\"2s\""},
	{"{hold-age: 2s}", "\"hold-age\":\"2s\""},
	{"process-args: yes\ntombstones: 5", "\"process-args\":true"},
	{"cluster-name:\n", "\"cluster-name\":null"},
	{"cluster-name: \"null\"\n", "\"cluster-name\":\"null\""},
	{"labels: [team, app]\n", "\"labels\":[\"team\",\"app\"]"},
	{"label:\n  - team\n", "\"labels\":[\"team\"]"},
	{"labels: team,app\n", "\"labels\":[\"team\",\"app\"]"},
	{"labels: []\n", "\"labels\":[]"},
	{"resources:\n  team: payments\n  tier: \"1\"\n", "\"resources\":[\"team=payments\",\"tier=1\"]"},
	{"resources: [team=payments]\n", "\"resources\":[\"team=payments\"]"},
	{"filter-namespaces: ['!kube-*', \"*\"]\n", "\"filter-namespaces\":[\"!kube-*\",\"*\"]"},
	{"throttle-ratio: 0.5\n", "\"throttle-ratio\":0.5"},
	{"hold-age: !!str 2s\n", "\"hold-age\":\"2s\""},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(good); i++) {
		struct crier_config config;
		struct crier_err err = {0};
		char *json;

		write_file(good[i].text, strlen(good[i].text));
		assert_int_equal(crier_config_init(&config), 0);
		if (crier_config_read(&config, "crier.yaml", &err) < 0)
			fail_msg("%s: %s", good[i].text, err.message);
		assert_string_equal(config.config_path, "crier.yaml");
		json = crier_config_to_json(&config);
		if (!strstr(json, good[i].expected))
			fail_msg("%s: no %s in %s", good[i].text, good[i].expected, json);
		free(json);
		crier_config_done(&config);
	}
}

static const struct {
	const char *text, *message;
} bad[] = {
	{"profil: full\n", "crier.yaml:1:1: unknown key 'profil'; did you mean 'profile'?"},
	{"# a\n\n  zzz: 1\n", "crier.yaml:3:3: unknown key 'zzz'"},
	{"config: x\n", "crier.yaml:1:1: config: only a flag, not a key of the file"},
	{"hold-age: 1s\nhold-age: 2s\n", "crier.yaml:2:1: hold-age: given twice"},
	{"labels: [a]\nlabel: [b]\n", "crier.yaml:2:1: label: given twice"},
	{"output: json\nhold-age: soon\n",
	 "crier.yaml:2:11: hold-age: 'soon' is not a duration; write it like 500ms, 30s, 5m or 1h"},
	{"hold-age:\n", "crier.yaml:1:10: hold-age: has no value; give one or remove the line"},
	{"hold-age: ~\n", "crier.yaml:1:11: hold-age: has no value; give one or remove the line"},
	{"hold-age: [1s]\n", "crier.yaml:1:11: hold-age: one value is expected here, not a list"},
	{"hold-age: {a: 1}\n", "crier.yaml:1:11: hold-age: one value is expected here, not a mapping"},
	{"labels: {a: 1}\n", "crier.yaml:1:9: labels: one value is expected here, not a mapping"},
	{"labels: [[a]]\n", "crier.yaml:1:10: labels: one value is expected here, not a list"},
	{"labels:\n  - a\n  - ''\n", "crier.yaml:3:5: labels: holds an empty item"},
	{"resources: {a: [1]}\n", "crier.yaml:1:16: resources: one value is expected here, not a list"},
	{"resources:\n  a b: c\n",
	 "crier.yaml:2:3: resources: 'a b=c': a key is 1 to 63 of letters, digits, '.', '_' and '-'"},
	{"filter-pods:\n  - !web\n",
	 "crier.yaml:2:5: filter-pods: YAML reads !web as a tag; put it in quotes"},
	{"redact:\n  - *pass\n", "crier.yaml:2:5: redact: YAML reads *pass as a reference; put it in quotes"},
	{"node-name: \"a\\0b\"\n", "crier.yaml:1:12: node-name: holds a NUL byte"},
	{"- a\n", "crier.yaml:1:1: a mapping of options is expected: 'key: value'"},
	{"word\n", "crier.yaml:1:1: a mapping of options is expected: 'key: value'"},
	{"hold-age: 1s\n---\nhold-age: 2s\n", "crier.yaml:2:1: a second document; one is read"},
	{"hold-age: \"1s\n", "crier.yaml:2:1: not valid YAML: found unexpected end of stream"},
	{"node-name: b: c\n",
	 "crier.yaml:1:13: not valid YAML: mapping values are not allowed in this context"},
	{"\thold-age: 1s\n", "crier.yaml:1:1: not valid YAML: found character that cannot start any token"},
	{"hold-age: 1s\xff\n", "crier.yaml: byte 12: not valid YAML: invalid leading UTF-8 octet"},
	{"[a]: 1\n", "crier.yaml:1:1: key: one value is expected here, not a list"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(bad); i++) {
		struct crier_config config;
		struct crier_err err = {0};

		write_file(bad[i].text, strlen(bad[i].text));
		assert_int_equal(crier_config_init(&config), 0);
		assert_int_equal(crier_config_read(&config, "crier.yaml", &err), -EINVAL);
		assert_string_equal(err.message, bad[i].message);
		crier_config_done(&config);
	}
}

static void test_bounds(void **state)
{
	char *text = malloc(CRIER_CONFIG_FILE_MAX + 1);
	struct crier_config config;
	struct crier_err err = {0};

	(void)state;
	memset(text, '#', CRIER_CONFIG_FILE_MAX + 1);
	assert_int_equal(crier_config_init(&config), 0);
	write_file(text, CRIER_CONFIG_FILE_MAX);
	assert_int_equal(crier_config_read(&config, "crier.yaml", &err), 0);
	write_file(text, CRIER_CONFIG_FILE_MAX + 1);
	assert_int_equal(crier_config_read(&config, "crier.yaml", &err), -EFBIG);
	assert_string_equal(err.message, "crier.yaml: the config file is longer than 1 MiB");
	memset(text, '[', CRIER_CONFIG_FILE_MAX);
	memcpy(text, "labels: ", 8);
	write_file(text, CRIER_CONFIG_FILE_MAX);
	assert_int_equal(crier_config_read(&config, "crier.yaml", &err), -EINVAL);
	crier_config_done(&config);
	free(text);
}

static void test_flags_win(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "--hold-age", (char *)(uintptr_t) "3s",
			(char *)(uintptr_t) "--label",	  (char *)(uintptr_t) "c",
			(char *)(uintptr_t) "--config",	  (char *)(uintptr_t) "crier.yaml"};
	struct crier_config config;
	struct crier_err err = {0};
	int rest;

	(void)state;
	write_file("hold-age: 2s\nexit-wait: 1s\nlabels: [a, b]\n", 41);
	assert_int_equal(crier_config_init(&config), 0);
	assert_int_equal(crier_config_parse(&config, 6, argv, &rest, &err), 0);
	assert_int_equal(config.hold_age_ms, 3000);
	assert_int_equal(config.exit_wait_ms, 1000);
	assert_int_equal(config.labels.count, 1);
	assert_string_equal(config.labels.items[0], "c");
	crier_config_done(&config);
	write_file("labels: a,b\n", 12);
	assert_int_equal(crier_config_init(&config), 0);
	assert_int_equal(crier_config_parse(&config, 6, argv, &rest, &err), 0);
	assert_int_equal(config.labels.count, 1);
	crier_config_done(&config);
}

static void test_reload(void **state)
{
	char *argv[] = {(char *)(uintptr_t) "--config=crier.yaml", (char *)(uintptr_t) "--hold-age=3s",
			(char *)(uintptr_t) "--label=c"};
	struct crier_config config, next, third;
	struct crier_err err = {0};
	int rest;

	(void)state;
	write_file("hold-age: 2s\nexit-wait: 1s\nlabels: [a, b]\n", 41);
	assert_int_equal(crier_config_init(&config), 0);
	assert_int_equal(crier_config_parse(&config, 3, argv, &rest, &err), 0);
	write_file("exit-wait: 4s\nlabels: [x]\n", 26);
	assert_int_equal(crier_config_reload(&config, &next, &err), 0);
	assert_int_equal(next.hold_age_ms, 3000);
	assert_int_equal(next.exit_wait_ms, 4000);
	assert_string_equal(next.labels.items[0], "c");
	/* What was read again can be read again. */
	write_file("exit-wait: 5s\n", 14);
	assert_int_equal(crier_config_reload(&next, &third, &err), 0);
	assert_int_equal(third.hold_age_ms, 3000);
	assert_int_equal(third.exit_wait_ms, 5000);
	crier_config_done(&next);
	crier_config_done(&third);
	memset(&next, 0x5a, sizeof(next));
	write_file("exit-wait: soon\n", 16);
	assert_int_equal(crier_config_reload(&config, &next, &err), -EINVAL);
	assert_string_equal(
		err.message,
		"crier.yaml:1:12: exit-wait: 'soon' is not a duration; write it like 500ms, 30s, 5m or 1h");
	write_file("pressure-enter-ratio: 0.5\n", 26);
	assert_int_equal(crier_config_reload(&config, &next, &err), -EINVAL);
	assert_string_equal(err.message, "pressure-exit-ratio: 0.8 is not below pressure-enter-ratio 0.5");
	assert_int_equal(*(unsigned char *)&next, 0x5a);
	crier_config_done(&config);
}

/* The default file, as it is and with every # of an option removed, gives the defaults. */
static void test_default_file(void **state)
{
	struct crier_config defaults, config;
	struct crier_err err = {0};
	char *text = NULL, *live, *expected, *json;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	(void)state;
	crier_config_print_yaml(file);
	fclose(file);
	live = malloc(len + 1);
	len = 0;
	for (char *c = text; *c; c++)
		if (!(*c == '#' && c[1] != ' ' && (c == text || c[-1] == '\n')) &&
		    !(*c == '#' && c[1] == ' ' && c[2] == ' '))
			live[len++] = *c;
	assert_int_equal(crier_config_init(&defaults), 0);
	expected = crier_config_to_json(&defaults);
	for (int with_values = 0; with_values < 2; with_values++) {
		write_file(with_values ? live : text, with_values ? len : strlen(text));
		assert_int_equal(crier_config_init(&config), 0);
		if (crier_config_read(&config, "crier.yaml", &err) < 0)
			fail_msg("%s", err.message);
		free(config.config_path);
		config.config_path = NULL;
		json = crier_config_to_json(&config);
		assert_string_equal(json, expected);
		free(json);
		crier_config_done(&config);
	}
	crier_config_done(&defaults);
	free(expected);
	free(text);
	free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),   cmocka_unit_test(test_bad),
		cmocka_unit_test(test_bounds), cmocka_unit_test(test_flags_win),
		cmocka_unit_test(test_reload), cmocka_unit_test(test_default_file),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
