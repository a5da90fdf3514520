/* SPDX-License-Identifier: Apache-2.0 */
/* One file per verb; what they share. Private to src/cli. */
#ifndef CRIER_CLI_VERB_H
#define CRIER_CLI_VERB_H

#include <jansson.h>

#include "crier/cli.h"
#include "crier/config.h"

struct crier_verb {
	const char *name;
	/* argv[0..argc) is what stands behind the verb. @return enum crier_exit */
	int (*run)(int argc, char **argv);
	const char *arguments; /* as in the synopsis */
	const char *doc;       /* one sentence */
};

/** The table, ending with a NULL name. */
const struct crier_verb *crier_verbs(void);

int crier_verb_run(int argc, char **argv);
int crier_verb_check(int argc, char **argv);
int crier_verb_ps(int argc, char **argv);
int crier_verb_record(int argc, char **argv);
int crier_verb_replay(int argc, char **argv);
int crier_verb_schema(int argc, char **argv);
int crier_verb_config(int argc, char **argv);
int crier_verb_version(int argc, char **argv);
int crier_verb_help(int argc, char **argv);

/** Take "--name" out of argv. @return true if it was there */
bool crier_cli_take(int *argc, char **argv, const char *name);

/**
 * Config from file and flags, validated; at most `max_rest` positional arguments are left in argv.
 * @param ret_config  done by the caller on CRIER_EXIT_OK
 * @return CRIER_EXIT_OK, or CRIER_EXIT_REFUSED with the reason told on stderr
 */
int crier_cli_config(struct crier_config *ret_config, int argc, char **argv, int max_rest, int *ret_rest);

/** Tell the error and how to go on. @return CRIER_EXIT_REFUSED */
int crier_cli_refuse(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Text is the default of verbs for people, whatever the file says for `run`. */
enum crier_output crier_cli_output(const struct crier_config *config);

/** Print and free; indented on a terminal's behalf. @return enum crier_exit: DEGRADED when stdout takes it not */
int crier_cli_print_json(json_t *json);
/** Flush stdout. @return `code`, or DEGRADED with the reason told */
int crier_cli_finish(int code);

#endif
