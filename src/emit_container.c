/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container and k8s blocks. They change rarely and are long: each container keeps them rendered, full and lean, and a
 * line copies them. What the fragment left behind (sanitized and cut paths) is kept beside it.
 */
#include <stdlib.h>

#include "emit_line.h"

/* What container->fragment[] points at. The texts follow: both blocks, the paths, and the names they were made with. */
struct fragment {
	uint32_t blocks_len, sanitized_len, truncated_len, cluster_len, node_len;
	const struct crier_pod *pod; /* it was rendered with this pod */
	uint8_t label_keys;
	bool too_long; /* above CRIER_LINE_MAX: to be rendered for each line, cut */
	char text[];
};

static struct crier_slice slice_of_chars(const char *chars)
{
	return chars[0] ? crier_slice_of(chars) : CRIER_SLICE_NONE;
}

static void put_pod(struct crier_emit_line *line, const struct crier_container *container,
		    const struct crier_pod *pod)
{
	struct crier_view_pod view = {.restart_count = CRIER_UNKNOWN_U64};

	if (container && container->type != CRIER_CONTAINER_TYPE_SANDBOX) {
		view.container_name = container->name;
		view.restart_count = container->restart_count;
	}
	if (pod) {
		view.namespace_ = pod->namespace_;
		view.name = pod->name;
		view.uid = slice_of_chars(pod->uid);
		view.ip = pod->ip;
		view.labels = pod->labels;
		view.replicaset = pod->replicaset;
		view.deployment = pod->deployment;
		view.workload_kind = pod->deployment.ptr ? "Deployment" : NULL;
		view.qos = pod->qos;
	}
	crier_emit_fields(line, crier_k8s_pod_fields, &view);
}

/* `,"k8s":{…}`: cluster and node, then the pod's part. */
static void put_k8s(struct crier_emit_line *line, const struct crier_container *container,
		    const struct crier_pod *pod)
{
	struct crier_view_node node = {line->options->cluster_name, line->options->node_name};
	struct crier_emit_place place = {.key = "k8s"};
	struct crier_buf *buf = &line->buf;
	size_t before = buf->len;

	crier_buf_put_str(buf, ",\"k8s\":");
	size_t start = buf->len;

	line->place = &place;
	crier_emit_fields(line, crier_k8s_node_fields, &node);
	put_pod(line, container, pod);
	line->place = NULL;
	if (buf->len == start) {
		buf->len = before;
		return;
	}
	buf->data[start] = '{';
	crier_buf_put_char(buf, '}');
}

static void put_blocks(struct crier_emit_line *line, const struct crier_container *container,
		       const struct crier_pod *pod)
{
	if (container)
		CRIER_EMIT_OBJECT(line, "container", crier_container_fields, container);
	put_k8s(line, container, pod);
}

static const struct fragment *render(const struct crier_emit_line *line, struct crier_container *container)
{
	const struct crier_emit_options *options = line->options;
	struct crier_emit_line scratch;
	char storage[CRIER_LINE_MAX];

	crier_emit_line_init(&scratch, options, line->lean, CRIER_CUT_NONE, storage, sizeof(storage));
	put_blocks(&scratch, container, container->pod);

	bool too_long = scratch.buf.overflow;
	struct fragment head = {
		.blocks_len = too_long ? 0 : (uint32_t)scratch.buf.len,
		.sanitized_len = (uint32_t)scratch.sanitized.buf.len,
		.truncated_len = (uint32_t)scratch.truncated.buf.len,
		.cluster_len = (uint32_t)options->cluster_name.len,
		.node_len = (uint32_t)options->node_name.len,
		.pod = container->pod,
		.label_keys = (uint8_t)options->label_keys,
		.too_long = too_long,
	};
	size_t len = (size_t)head.blocks_len + head.sanitized_len + head.truncated_len + head.cluster_len +
		     head.node_len;
	struct fragment *fragment = malloc(sizeof(*fragment) + len);
	struct crier_buf text;

	if (!fragment)
		return NULL;
	*fragment = head;
	crier_buf_init(&text, fragment->text, len);
	crier_buf_put(&text, scratch.buf.data, head.blocks_len);
	crier_buf_put(&text, scratch.sanitized.buf.data, head.sanitized_len);
	crier_buf_put(&text, scratch.truncated.buf.data, head.truncated_len);
	crier_buf_put_slice(&text, options->cluster_name);
	crier_buf_put_slice(&text, options->node_name);
	container->fragment[line->lean] = (char *)fragment;
	container->fragment_len[line->lean] = (uint32_t)(sizeof(*fragment) + len);
	return fragment;
}

/* Made of what would be used now? The container's and the pod's versions are looked at before. */
static bool is_current(const struct fragment *fragment, const struct crier_emit_options *options,
		       const struct crier_pod *pod)
{
	const char *names =
		fragment->text + fragment->blocks_len + fragment->sanitized_len + fragment->truncated_len;
	struct crier_slice cluster = {names, fragment->cluster_len};
	struct crier_slice node = {names + fragment->cluster_len, fragment->node_len};

	return fragment->pod == pod && fragment->label_keys == options->label_keys &&
	       crier_slice_equal(cluster, options->cluster_name) &&
	       crier_slice_equal(node, options->node_name);
}

static void forget(struct crier_container *container)
{
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(container->fragment); i++) {
		free(container->fragment[i]);
		container->fragment[i] = NULL;
		container->fragment_len[i] = 0;
	}
}

static const struct fragment *get(const struct crier_emit_line *line, struct crier_container *container)
{
	uint32_t pod_version = container->pod ? container->pod->version : 0;
	const struct fragment *fragment = (const struct fragment *)container->fragment[line->lean];

	if (container->fragment_version == container->version &&
	    container->fragment_pod_version == pod_version) {
		if (fragment && is_current(fragment, line->options, container->pod))
			return fragment;
		if (!fragment)
			return render(line, container);
	}
	forget(container);
	container->fragment_version = container->version;
	container->fragment_pod_version = pod_version;
	return render(line, container);
}

void crier_emit_container(struct crier_emit_line *line, const struct crier_event *event)
{
	const struct crier_container *container = event->container;
	const struct crier_pod *pod = event->pod ? event->pod : container ? container->pod : NULL;
	const struct fragment *fragment = NULL;

	/* The event does not change what it is about: its container keeps a rendering of itself. */
	if (container && line->cut == CRIER_CUT_NONE && pod == container->pod)
		fragment = get(line, (struct crier_container *)container);
	if (!fragment) {
		put_blocks(line, container, pod);
		return;
	}
	if (fragment->too_long) {
		line->buf.overflow = true; /* the next cut does without it */
		return;
	}
	const char *paths = fragment->text + fragment->blocks_len;

	crier_buf_put(&line->buf, fragment->text, fragment->blocks_len);
	crier_buf_put(&line->sanitized.buf, paths, fragment->sanitized_len);
	crier_buf_put(&line->truncated.buf, paths + fragment->sanitized_len, fragment->truncated_len);
}
