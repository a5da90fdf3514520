/* SPDX-License-Identifier: Apache-2.0 */
/* The running agent: the main loop and the owner of every other object. */
#ifndef CRIER_AGENT_H
#define CRIER_AGENT_H

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/config.h"

/**
 * Start, tell events until SIGTERM, SIGINT or a reader that went away, end in order. SIGHUP reads the
 * configuration again. Blocks the signals it handles in the calling thread and in those it starts.
 * @param config          borrowed; must outlive the call
 * @param recording_path  write every input there as well; NULL = no recording
 * @param overwrite       an existing recording is replaced; else it is refused before anything starts
 * @return 0 after an orderly end; -errno with err set when it could not start, or ended for a fault. Nothing is left
 *         attached in either case
 */
int crier_agent_run(const struct crier_config *config, const char *recording_path, bool overwrite,
		    struct crier_err *err) crier_must_check;

#endif
