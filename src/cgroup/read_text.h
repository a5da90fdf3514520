/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a small file of /proc or cgroupfs whole; for src/cgroup only. */
#ifndef CRIER_CGROUP_READ_TEXT_H
#define CRIER_CGROUP_READ_TEXT_H

#include <stddef.h>

#include "crier/base/cleanup.h"

/** Read up to `cap` bytes of `path` below `directory` (or AT_FDCWD). @return 0 or -errno; what is longer is cut */
int crier_read_text(int directory, const char *path, char *buf, size_t cap, size_t *ret_len) crier_must_check;

#endif
