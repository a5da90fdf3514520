/* SPDX-License-Identifier: Apache-2.0 */
/* What containerd's OCI bundles say: names without asking the runtime, as the agent reads them (src/pipeline/life.c). */
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "crier/meta.h"
#include "ps.h"

#define BUNDLE_MAX (256 * 1024)

static ssize_t read_file(const char *path, char *buf, size_t cap)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	size_t len = 0;
	ssize_t n = -1;

	while (fd >= 0 && len < cap && (n = read(fd, buf + len, cap - len)) > 0)
		len += (size_t)n;
	return n < 0 ? -1 : (ssize_t)len;
}

static struct crier_slice text_of(const json_t *annotations, const char *key)
{
	const json_t *value = json_object_get(annotations, key);

	return json_is_string(value)
		       ? (struct crier_slice){json_string_value(value), json_string_length(value)}
		       : CRIER_SLICE_NONE;
}

static void merge(struct crier_index *index, struct crier_container *container, const json_t *annotations,
		  struct crier_meta_message *message)
{
	struct crier_meta_container *meta = &message->container;

	crier_meta_clear(message);
	meta->id = crier_slice_of(container->id);
	meta->sandbox_id = text_of(annotations, "io.kubernetes.cri.sandbox-id");
	meta->name = text_of(annotations, "io.kubernetes.cri.container-name");
	meta->image = text_of(annotations, "io.kubernetes.cri.image-name");
	meta->pod_name = text_of(annotations, "io.kubernetes.cri.sandbox-name");
	meta->pod_namespace = text_of(annotations, "io.kubernetes.cri.sandbox-namespace");
	meta->pod_uid = text_of(annotations, "io.kubernetes.cri.sandbox-uid");
	(void)crier_index_merge_container(index, container, meta, CRIER_SOURCE_OCI_BUNDLE);
	if (crier_slice_equal(text_of(annotations, "io.kubernetes.cri.container-type"),
			      CRIER_SLICE("sandbox")))
		container->type = CRIER_CONTAINER_TYPE_SANDBOX;
}

struct bundles {
	struct crier_index *index;
	const struct crier_config *config;
	struct crier_meta_message message;
	char text[BUNDLE_MAX];
};

static bool read_one(void *ctx, struct crier_container *container)
{
	struct bundles *bundles = ctx;
	const struct crier_config *config = bundles->config;
	const char *root = strcmp(config->host_root, "/") == 0 ? "" : config->host_root;
	char path[PATH_MAX];
	json_t *json;
	ssize_t len;

	snprintf(path, sizeof(path), "%.1800s%.1800s/io.containerd.runtime.v2.task/k8s.io/%s/config.json",
		 root, config->runtime_state_dir, container->id);
	len = read_file(path, bundles->text, sizeof(bundles->text));
	json = len > 0 ? json_loadb(bundles->text, (size_t)len, JSON_ALLOW_NUL, NULL) : NULL;
	if (json)
		merge(bundles->index, container, json_object_get(json, "annotations"), &bundles->message);
	json_decref(json);
	return true;
}

void crier_ps_read_bundles(struct crier_index *index, const struct crier_config *config)
{
	struct bundles *bundles = malloc(sizeof(*bundles));

	if (!bundles)
		return; /* names are missing then, and the table shows it */
	bundles->index = index;
	bundles->config = config;
	crier_index_each(index, read_one, bundles);
	free(bundles);
}
