/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small state file: what one run leaves for the next, so that agent.start can state the gap and exits within it are told
 * once. Written whole or not at all; a file that cannot be read is as good as none.
 */
#ifndef CRIER_STATE_H
#define CRIER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/index.h"

#define CRIER_STATE_FILE_MAX   (1024 * 1024)
#define CRIER_STATE_EXITED_MAX 1024 /* the last ones are kept; more than a node's containers die in a gap */

struct crier_state {
	char instance[9]; /* "" = no run before is known */
	char boot_id[40]; /* as /proc/sys/kernel/random/boot_id */
	uint64_t last_seq;
	uint64_t ended_at;	      /* unix ns of the last write */
	bool clean;		      /* ended by agent.stop */
	char (*exited)[CRIER_ID_MAX]; /* ids of containers whose exit was told; owned */
	size_t exited_count;
};

/**
 * @param ret_state  always set: without a usable file instance is "" and nothing is owned
 * @return 0, also when there is no file; -EBADMSG (damaged), -errno: err names the file and the cause; go on without
 */
int crier_state_read(const char *path, struct crier_state *ret_state, struct crier_err *err) crier_must_check;
void crier_state_done(struct crier_state *state);

/** Make the directory if it is missing (0700), write "<path>.tmp" (0600), rename it. Blocks on the file system. */
int crier_state_write(const char *path, const struct crier_state *state,
		      struct crier_err *err) crier_must_check;

#endif
