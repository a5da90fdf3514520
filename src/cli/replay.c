/* SPDX-License-Identifier: Apache-2.0 */
/* crier replay FILE */
#include <errno.h>

#include "crier/base/log.h"
#include "crier/replay.h"
#include "verb.h"

int crier_verb_replay(int argc, char **argv)
{
	struct crier_config config;
	struct crier_err err = {0};
	int rest;
	int code = crier_cli_config(&config, argc, argv, 1, &rest);

	if (code != CRIER_EXIT_OK)
		return code;
	if (rest == 0) {
		code = crier_cli_refuse("replay: the FILE to read is missing");
	} else {
		int r = crier_replay(argv[0], config.output, STDOUT_FILENO, &err);

		if (r < 0)
			crier_error("%s", err.message);
		if (r < 0)
			code = r == -EBADMSG || r == -EPIPE || r == -EIO ? CRIER_EXIT_DEGRADED
									 : CRIER_EXIT_REFUSED;
	}
	crier_config_done(&config);
	return code;
}
