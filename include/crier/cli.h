/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: verbs and their exit codes. */
#ifndef CRIER_CLI_H
#define CRIER_CLI_H

/* What crier exits with. Documented from one table in src/cli/help.c. */
enum crier_exit {
	CRIER_EXIT_OK = 0,
	CRIER_EXIT_DEGRADED = 1, /* check: something is missing; others: it began and failed */
	CRIER_EXIT_REFUSED = 2,	 /* wrong use, bad config, or this node cannot run it: nothing was begun */
	CRIER_EXIT_COUNT,
};

/** Find the verb, run it. @return enum crier_exit */
int crier_cli_main(int argc, char **argv);

#endif
