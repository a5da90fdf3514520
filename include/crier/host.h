/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pipeline may ask of and do to the node: the seam that makes it deterministic. Live, src/agent.c answers from
 * the real node (and records the answers); replayed, src/replay.c answers from the file. Effects have no result and are
 * left out in replay. Never called with a lock held; look-ups are bounded single-file reads off the per-event path.
 */
#ifndef CRIER_HOST_H
#define CRIER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/str.h"
#include "crier/bundle.h"
#include "crier/cri.h"
#include "crier/wire.h"

struct crier_host {
	void *ctx;

	/*
	 * Look-ups of the kernel's own files: absolute paths, host root already prefixed where it must be, no symlink at their
	 * end. 0 or -errno; cut at cap
	 */
	int (*read)(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len);
	int (*inode)(void *ctx, const char *path, uint64_t *ret_inode);
	/*
	 * The directory of an id in the hierarchy mounted at `root`, one of the layout's roots, as a path below it;
	 * CAP_DAC_READ_SEARCH. Errors: crier_cgroup_path_of()
	 */
	int (*cgroup_path)(void *ctx, const char *root, uint64_t id, char *buf, size_t cap, size_t *ret_len);

	/*
	 * Look-ups in folders that runtime and kubelet write, and a workload may have a hand in. `dir` is the node's path, the
	 * host root is not prefixed. What is refused and how it is told: crier/base/below.h, crier/bundle.h.
	 */
	int (*file)(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		    size_t cap, size_t *ret_len);
	int (*link)(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len);
	int (*find)(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		    size_t *ret_len);

	/* effects */
	void (*ask)(void *ctx, enum crier_cri_question question, struct crier_slice id, bool urgent);
	void (*reconcile)(void *ctx);
	void (*classify)(void *ctx, uint64_t cgroup_id, enum crier_wire_cgroup_class cgroup_class);
	void (*forget)(void *ctx, uint64_t cgroup_id);
	/* start_ns: boottime of its start, 0 = not known */
	void (*init_pid)(void *ctx, uint32_t pid, uint64_t start_ns, bool add);
	void (*watch_pressure)(void *ctx, uint64_t cgroup_id, const char *psi_path, bool on);

	/* where the next line may be written, at least `len` bytes; NULL: nowhere. The line itself comes, or does not. Optional */
	char *(*place)(void *ctx, size_t len);
	/* a finished, numbered line; must be taken (room was checked) */
	void (*line)(void *ctx, const char *line, size_t len, bool urgent);
};

#endif
