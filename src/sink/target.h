/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between the sink's ring and what it writes to. Private to src/sink. Called by the writer thread unless said otherwise. */
#ifndef CRIER_SINK_TARGET_H
#define CRIER_SINK_TARGET_H

#include <sys/types.h>
#include <sys/uio.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"

struct crier_target {
	const struct crier_target_ops *ops;
	char *path; /* owned; NULL for stdout */
	int fd;	    /* -1 = not connected */
};

struct crier_target_ops {
	/** Main thread: check and open. The socket may stay unconnected: its reader can come later. */
	int (*open)(struct crier_target *target, struct crier_err *err);
	/** May block, ends early with -EINTR. @return bytes written, or -errno */
	ssize_t (*write)(struct crier_target *target, const struct iovec *iov, int count);
	/**
	 * Main thread, while the writer rests: write what goes without waiting. NULL: the target is no place for that.
	 * @return bytes written, or -EAGAIN, or -errno: not here, or what write() will meet as well
	 */
	ssize_t (*try_write)(struct crier_target *target, const struct iovec *iov, int count);
	/** Connect again after an error; NULL: an error is the end. @return 0 or -errno */
	int (*reconnect)(struct crier_target *target);
};

/** @param name  as in crier_sink_options.target */
int crier_target_open(struct crier_target *target, const char *name, struct crier_err *err) crier_must_check;
void crier_target_close(struct crier_target *target);

#endif
