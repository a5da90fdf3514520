/* SPDX-License-Identifier: Apache-2.0 */
/* crier config */
#include <string.h>

#include "crier/base/log.h"
#include "crier/probe.h"
#include "verb.h"

/* What only other modules can judge. */
static int check_further(const struct crier_config *config)
{
	uint8_t kinds[CRIER_PROBE_EVENT_COUNT] = {0};
	struct crier_err err = {0};

	for (size_t i = 0; i < config->hooks.count; i++)
		if (crier_probe_parse_hook(config->hooks.items[i], kinds, &err) < 0) {
			crier_error("hook: %s", err.message);
			return CRIER_EXIT_REFUSED;
		}
	return CRIER_EXIT_OK;
}

static int print_effective(const struct crier_config *config)
{
	_cleanup_free_ char *text = crier_config_to_json(config);
	json_t *json = text ? json_loads(text, 0, NULL) : NULL;

	if (json) /* so that what is printed is a config file */
		json_object_del(json, "config");
	return crier_cli_print_json(json);
}

/* "--check FILE" is "--config FILE" that prints nothing but errors. */
static bool take_check(int argc, char **argv)
{
	static char flag[] = "--config";

	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--check") == 0) {
			argv[i] = flag;
			return true;
		}
	return false;
}

int crier_verb_config(int argc, char **argv)
{
	bool effective = crier_cli_take(&argc, argv, "--effective");
	bool check = take_check(argc, argv);
	struct crier_config config;
	int rest, code;

	if (effective && check)
		return crier_cli_refuse("config: --effective and --check exclude each other");
	code = crier_cli_config(&config, argc, argv, 0, &rest);
	if (code != CRIER_EXIT_OK)
		return code;
	code = check_further(&config);
	if (code == CRIER_EXIT_OK && effective)
		code = print_effective(&config);
	else if (code == CRIER_EXIT_OK && check)
		printf("%s: ok\n", config.config_path);
	else if (code == CRIER_EXIT_OK)
		crier_config_print_yaml(stdout);
	crier_config_done(&config);
	return crier_cli_finish(code);
}
