/* SPDX-License-Identifier: Apache-2.0 */
/* The effective config as JSON, in the table's order. Its keys are YAML's, so it is a config file too. */
#include "options.h"

#include <errno.h>
#include <string.h>

/* jansson prints up to 17 digits; 15 keep a ratio of millionths as it was typed. */
#define DUMP_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(15))

char *crier_config_to_json(const struct crier_config *config)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);
	json_t *object = json_object();
	char *text = NULL;
	int r = object ? 0 : -1;

	for (size_t i = 0; i < count && r == 0; i++)
		r = json_object_set_new(object, crier_option_key(&options[i]),
					crier_option_to_json(config, &options[i]));
	if (r == 0)
		text = json_dumps(object, DUMP_FLAGS);
	json_decref(object);
	return text;
}

static int read_object(struct crier_config *config, const json_t *object, struct crier_err *err)
{
	const char *key;
	json_t *value;
	struct crier_err cause = {0};

	if (!json_is_object(object))
		return crier_err_set(err, -EINVAL, "config: not a JSON object");
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const struct crier_option *option = crier_option_find(key, strlen(key));
		int r;

		if (!option)
			return crier_err_set(err, -EINVAL, "config: unknown key '%.80s'", key);
		r = crier_option_from_json(config, option, value, &cause);
		if (r < 0)
			return crier_err_set(err, r, "config: %s: %s", option->name, cause.message);
		crier_bit_set(config->given, crier_option_number(option));
	}
	return 0;
}

int crier_config_from_json(struct crier_config *config, const char *json, size_t len, struct crier_err *err)
{
	json_error_t error;
	json_t *object;
	int r;

	if (len > CRIER_CONFIG_FILE_MAX)
		return crier_err_set(err, -E2BIG, "config: JSON is longer than 1 MiB");
	object = json_loadb(json, len, JSON_REJECT_DUPLICATES, &error);
	if (!object)
		return crier_err_set(err, -EINVAL, "config: not valid JSON at byte %d: %.200s",
				     error.position, error.text);
	r = read_object(config, object, err);
	json_decref(object);
	if (r == 0)
		crier_config_settle(config);
	return r;
}
