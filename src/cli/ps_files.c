/* SPDX-License-Identifier: Apache-2.0 */
/* What the node's files say of a container, by the very sources that the agent asks. */
#include "crier/base/below.h"
#include "crier/source.h"
#include "ps.h"

#define ANSWER_MAX (64 * 1024)

static int look_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		     size_t cap, size_t *ret_len)
{
	const struct crier_config *config = ctx;

	return crier_bundle_read(config->host_root, dir, name, form, buf, cap, ret_len);
}

static int look_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	const struct crier_config *config = ctx;

	return crier_below_link(config->host_root, dir, name, buf, cap, ret_len);
}

static int look_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	const struct crier_config *config = ctx;

	return crier_below_find(config->host_root, dir, suffix, buf, cap, ret_len);
}

static bool fill_one(void *ctx, struct crier_container *container)
{
	struct crier_sources *sources = ctx;

	sources->scans = 0; /* asked once, and by a person who waits */
	(void)crier_source_fill(sources, container, 0, false);
	return true;
}

void crier_ps_read_files(struct crier_index *index, struct crier_config *config)
{
	const struct crier_host host = {
		.ctx = config, .file = look_file, .link = look_link, .find = look_find};
	_cleanup_free_ char *buf = malloc(ANSWER_MAX);
	struct crier_sources sources = {
		.host = &host, .config = config, .index = index, .buf = buf, .cap = ANSWER_MAX};

	if (buf) /* names are missing else, and the table shows it */
		crier_index_each(index, fill_one, &sources);
}
