/* SPDX-License-Identifier: Apache-2.0 */
/* crier run; crier record FILE. */
#include <errno.h>
#include <stdbool.h>

#include "crier/agent.h"
#include "crier/base/log.h"
#include "verb.h"

static int run_agent(const struct crier_config *config, const char *recording, bool overwrite)
{
	struct crier_err err = {0};
	int r = crier_agent_run(config, recording, overwrite, &err);

	if (r == 0)
		return CRIER_EXIT_OK;
	crier_error("%s", err.message[0] ? err.message : "the agent ended for an unknown reason");
	/* These come from a run under way: the reader left, a file is damaged or the disk is full. */
	return r == -EPIPE || r == -EIO || r == -ENOSPC ? CRIER_EXIT_DEGRADED : CRIER_EXIT_REFUSED;
}

int crier_verb_run(int argc, char **argv)
{
	struct crier_config config;
	int rest;
	int code = crier_cli_config(&config, argc, argv, 0, &rest);

	if (code != CRIER_EXIT_OK)
		return code;
	code = run_agent(&config, NULL, false);
	crier_config_done(&config);
	return code;
}

int crier_verb_record(int argc, char **argv)
{
	bool force = crier_cli_take(&argc, argv, "--force");
	struct crier_config config;
	int rest;
	int code = crier_cli_config(&config, argc, argv, 1, &rest);

	if (code != CRIER_EXIT_OK)
		return code;
	if (rest == 0)
		code = crier_cli_refuse("record: the FILE to write to is missing");
	else
		code = run_agent(&config, argv[0], force);
	crier_config_done(&config);
	return code;
}
