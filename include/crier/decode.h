/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel bytes -> checked views. Nothing of a record is used before this module has seen its bounds. Pure. */
#ifndef CRIER_DECODE_H
#define CRIER_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "crier/base/cleanup.h"
#include "crier/base/str.h"
#include "crier/wire.h"

/* One of the pointers is set, by header->type; all point into the record's bytes. */
struct crier_decoded {
	const struct crier_wire_header *header;
	const struct crier_wire_cgroup_mkdir *mkdir;
	const struct crier_wire_cgroup_populated *populated;
	const struct crier_wire_pressure_hint *hint;
	const struct crier_wire_exec *exec;
	const struct crier_wire_fork *fork;
	const struct crier_wire_exit *exit;
	const struct crier_wire_signal *signal;
	const struct crier_wire_oom *oom;
	struct crier_slice name;     /* mkdir: leaf */
	struct crier_slice filename; /* exec */
	struct crier_slice args;     /* exec: NUL-separated */
};

/**
 * @param bytes  8-byte aligned, `len` bytes
 * @return 0; -EINVAL: too short, wrong version or type, a length or text out of bounds. ~5 ns.
 */
int crier_decode(const void *bytes, size_t len, struct crier_decoded *ret_decoded) crier_must_check;

/** Event records make lines and are counted as generated; control records only feed tables. */
static inline bool crier_wire_is_event(unsigned type)
{
	return type >= CRIER_WIRE_EXEC && type < CRIER_WIRE_TYPE_COUNT;
}

#endif
