/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/decode.h"

#include <errno.h>

static int text(const struct crier_wire_header *header, struct crier_wire_text where, size_t fixed,
		struct crier_slice *ret_slice)
{
	if (where.length == 0) {
		*ret_slice = CRIER_SLICE_NONE;
		return 0;
	}
	if (where.offset < fixed || (size_t)where.offset + where.length > header->length)
		return -EINVAL;
	*ret_slice = (struct crier_slice){(const char *)header + where.offset, where.length};
	return 0;
}

static int decode_mkdir(const void *bytes, struct crier_decoded *d)
{
	d->mkdir = bytes;
	return text(d->header, d->mkdir->name, sizeof(*d->mkdir), &d->name);
}

static int decode_rmdir(const void *bytes, struct crier_decoded *d)
{
	(void)bytes;
	(void)d;
	return 0; /* the header says it all */
}

static int decode_populated(const void *bytes, struct crier_decoded *d)
{
	d->populated = bytes;
	return 0;
}

static int decode_hint(const void *bytes, struct crier_decoded *d)
{
	d->hint = bytes;
	return 0;
}

static int decode_exec(const void *bytes, struct crier_decoded *d)
{
	d->exec = bytes;
	int r = text(d->header, d->exec->filename, sizeof(*d->exec), &d->filename);

	return r ? r : text(d->header, d->exec->args, sizeof(*d->exec), &d->args);
}

static int decode_fork(const void *bytes, struct crier_decoded *d)
{
	d->fork = bytes;
	return 0;
}

static int decode_exit(const void *bytes, struct crier_decoded *d)
{
	d->exit = bytes;
	return 0;
}

static int decode_signal(const void *bytes, struct crier_decoded *d)
{
	d->signal = bytes;
	return 0;
}

static int decode_oom(const void *bytes, struct crier_decoded *d)
{
	d->oom = bytes;
	return d->oom->level_count <= CRIER_WIRE_OOM_LEVELS ? 0 : -EINVAL;
}

/* One row per record type: its fixed part and what else must hold. */
static const struct {
	size_t size;
	int (*decode)(const void *bytes, struct crier_decoded *d);
} rows[CRIER_WIRE_TYPE_COUNT] = {
	[CRIER_WIRE_CGROUP_MKDIR] = {sizeof(struct crier_wire_cgroup_mkdir), decode_mkdir},
	[CRIER_WIRE_CGROUP_RMDIR] = {sizeof(struct crier_wire_cgroup_rmdir), decode_rmdir},
	[CRIER_WIRE_CGROUP_POPULATED] = {sizeof(struct crier_wire_cgroup_populated), decode_populated},
	[CRIER_WIRE_PRESSURE_HINT] = {sizeof(struct crier_wire_pressure_hint), decode_hint},
	[CRIER_WIRE_EXEC] = {sizeof(struct crier_wire_exec), decode_exec},
	[CRIER_WIRE_FORK] = {sizeof(struct crier_wire_fork), decode_fork},
	[CRIER_WIRE_EXIT] = {sizeof(struct crier_wire_exit), decode_exit},
	[CRIER_WIRE_SIGNAL] = {sizeof(struct crier_wire_signal), decode_signal},
	[CRIER_WIRE_OOM] = {sizeof(struct crier_wire_oom), decode_oom},
};

int crier_decode(const void *bytes, size_t len, struct crier_decoded *ret_decoded)
{
	const struct crier_wire_header *header = bytes;

	if (len < sizeof(*header) || header->length != len || header->version != CRIER_WIRE_VERSION)
		return -EINVAL;
	if (header->type >= CRIER_WIRE_TYPE_COUNT || !rows[header->type].decode ||
	    header->ring >= CRIER_CLASS_COUNT)
		return -EINVAL;
	if (len < rows[header->type].size)
		return -EINVAL;

	struct crier_decoded decoded = {.header = header};
	int r = rows[header->type].decode(bytes, &decoded);

	if (r < 0)
		return r;
	*ret_decoded = decoded;
	return 0;
}
