/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CRIER_REPLAY_H
#define CRIER_REPLAY_H

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/config.h"

/**
 * Run a recording through the pipeline and write its lines to `out_fd` (borrowed). Needs no root and touches no node.
 * @return 0; -EBADMSG (err: file, byte position, what was expected), -errno
 */
int crier_replay(const char *path, enum crier_output output, int out_fd,
		 struct crier_err *err) crier_must_check;

#endif
