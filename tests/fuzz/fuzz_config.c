/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration from outside: a YAML file, or (first byte 'f') flags, one a line. What is taken must survive the way to
 * JSON and back, since that is how a recording carries it; what is refused must say why.
 */
#include "fuzz.h"

#include "crier/config.h"

#define FLAGS_MAX 32

static void round_trip(const struct crier_config *config)
{
	struct crier_config again;
	struct crier_err err = {0};
	char *text = crier_config_to_json(config), *second;

	FUZZ_CLAIM(text, "no JSON of what was taken");
	FUZZ_CLAIM(crier_config_init(&again) == 0, "out of memory");
	FUZZ_CLAIM(crier_config_from_json(&again, text, strlen(text), &err) == 0, "%s: %s", err.message,
		   text);
	second = crier_config_to_json(&again);
	FUZZ_CLAIM(second && strcmp(text, second) == 0, "%s became %s", text, second ? second : "nothing");
	FUZZ_CLAIM(crier_config_can_reload(config, &again, &err) == 1, "%s", err.message);
	free(text);
	free(second);
	crier_config_done(&again);
}

static int set_file(struct crier_config *config, struct crier_slice text, struct crier_err *err)
{
	char path[32];
	struct crier_config again;
	int fd = fuzz_file(text, path);
	int r = crier_config_read(config, path, err);

	if (r == 0 && crier_config_validate(config, err) == 0) {
		/* the same file again, by SIGHUP, is no change */
		FUZZ_CLAIM(crier_config_reload(config, &again, err) == 0, "%s", err->message);
		FUZZ_CLAIM(crier_config_can_reload(config, &again, err) == 1, "%s", err->message);
		crier_config_done(&again);
		*err = (struct crier_err){0};
	}
	close(fd);
	return r;
}

static int set_flags(struct crier_config *config, char *text, struct crier_err *err)
{
	char *argv[FLAGS_MAX + 1] = {0}, *rest = text;
	int argc = 0, positional;

	while (argc < FLAGS_MAX && (argv[argc] = strsep(&rest, "\n")))
		argc++;
	return crier_config_parse(config, argc, argv, &positional, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crier_config config;
	struct crier_err err = {0};
	char *text = malloc(size + 1);
	bool flags = size && data[0] == 'f';
	int r;

	FUZZ_CLAIM(text && crier_config_init(&config) == 0, "out of memory");
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	r = flags ? set_flags(&config, text + 1, &err)
		  : set_file(&config, (struct crier_slice){text, size}, &err);
	if (r == 0)
		round_trip(&config);
	else
		FUZZ_CLAIM(err.code < 0 && err.message[0], "refused without a word");
	crier_config_done(&config);
	free(text);
	return 0;
}
