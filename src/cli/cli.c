/* SPDX-License-Identifier: Apache-2.0 */
/* Which verb, and what all verbs share. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "crier/base/log.h"
#include "verb.h"

static const struct crier_verb verbs[] = {
	{"run", crier_verb_run, "[options]", "Tell events until SIGTERM. The default."},
	{"check", crier_verb_check, "[options]", "What works on this node, what does not, and what to do."},
	{"ps", crier_verb_ps, "[options]", "The containers of this node as crier knows them."},
	{"record", crier_verb_record, "FILE [--force] [options]",
	 "run, and write every input to FILE as well."},
	{"replay", crier_verb_replay, "FILE [--output json|text]",
	 "Tell the events of a recording: the same bytes, no root."},
	{"schema", crier_verb_schema, "[--markdown]", "JSON Schema of the lines, or their description."},
	{"config", crier_verb_config, "[--effective | --check FILE] [options]",
	 "All options with their defaults as YAML; what is in force as JSON; or whether FILE is right."},
	{"version", crier_verb_version, "[--output json|text]", "Versions of crier and its libraries."},
	{"help", crier_verb_help, "[--man | --markdown]",
	 "This text, the man page, or the options as markdown."},
	{NULL, NULL, NULL, NULL},
};

const struct crier_verb *crier_verbs(void)
{
	return verbs;
}

bool crier_cli_take(int *argc, char **argv, const char *name)
{
	for (int i = 0; i < *argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], name) != 0)
			continue;
		memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof(*argv));
		--*argc;
		return true;
	}
	return false;
}

int crier_cli_refuse(const char *format, ...)
{
	char text[CRIER_ERR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	crier_error("%s; see crier --help", text);
	return CRIER_EXIT_REFUSED;
}

static int parse(struct crier_config *config, int argc, char **argv, int max_rest, int *ret_rest)
{
	struct crier_err err = {0};
	int rest;

	if (crier_config_parse(config, argc, argv, &rest, &err) < 0)
		return crier_cli_refuse("%s", err.message);
	if (rest > max_rest)
		return crier_cli_refuse("'%.80s': argument not expected", argv[max_rest]);
	if (crier_config_validate(config, &err) < 0)
		return crier_cli_refuse("%s", err.message);
	*ret_rest = rest;
	return CRIER_EXIT_OK;
}

int crier_cli_config(struct crier_config *ret_config, int argc, char **argv, int max_rest, int *ret_rest)
{
	struct crier_config config;
	int code;

	if (crier_config_init(&config) < 0)
		return crier_cli_refuse("config: out of memory");
	code = parse(&config, argc, argv, max_rest, ret_rest);
	if (code == CRIER_EXIT_OK) {
		crier_log_set_level(config.log_level);
		*ret_config = config;
	} else {
		crier_config_done(&config);
	}
	return code;
}

enum crier_output crier_cli_output(const struct crier_config *config)
{
	return crier_config_is_flag(config, "output") ? config->output : CRIER_OUTPUT_TEXT;
}

int crier_cli_finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	if (errno != EPIPE) /* `crier help | head` needs no word */
		crier_error("stdout: %s", strerror(errno));
	return CRIER_EXIT_DEGRADED;
}

int crier_cli_print_json(json_t *json)
{
	if (!json) {
		crier_error("out of memory");
		return CRIER_EXIT_DEGRADED;
	}
	(void)json_dumpf(json, stdout,
			 JSON_INDENT(2) | JSON_REAL_PRECISION(15)); /* errors stay in the stream */
	json_decref(json);
	putchar('\n');
	return crier_cli_finish(CRIER_EXIT_OK);
}

static int unknown_verb(const char *name)
{
	struct crier_suggestion suggestion = {.word = name};

	for (const struct crier_verb *verb = verbs; verb->name; verb++)
		crier_suggest(&suggestion, verb->name);
	if (suggestion.best)
		return crier_cli_refuse("'%.80s': unknown verb; did you mean '%s'?", name, suggestion.best);
	return crier_cli_refuse("'%.80s': unknown verb", name);
}

int crier_cli_main(int argc, char **argv)
{
	const char *name = argc > 1 && argv[1][0] != '-' ? argv[1] : "run";
	int skip = argc > 1 && argv[1][0] != '-' ? 2 : 1;
	int rest = argc > skip ? argc - skip : 0;

	if (crier_cli_take(&rest, argv + skip, "--help") || crier_cli_take(&rest, argv + skip, "-h"))
		return crier_verb_help(0, NULL);
	if (skip == 1 && crier_cli_take(&rest, argv + skip, "--version"))
		name = "version";
	for (const struct crier_verb *verb = verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb->run(rest, argv + skip);
	return unknown_verb(name);
}
