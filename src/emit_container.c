/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The container and k8s blocks. They change rarely and are long: each container keeps them rendered, full and lean, and a
 * line copies them. What the fragment left behind (sanitized and cut paths) is kept beside it.
 */
#include <stdlib.h>

#include "emit_line.h"

/* What container->fragment[] points at; the texts follow in this order. */
struct fragment {
	uint32_t container_len, pod_len, sanitized_len, truncated_len;
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

static const struct fragment *render(const struct crier_emit_line *line, struct crier_container *container)
{
	struct crier_emit_place k8s = {.key = "k8s"};
	struct crier_emit_line scratch;
	char storage[CRIER_LINE_MAX];
	size_t container_len;

	crier_emit_line_init(&scratch, line->options, line->lean, CRIER_CUT_NONE, storage, sizeof(storage));
	CRIER_EMIT_OBJECT(&scratch, "container", crier_container_fields, container);
	container_len = scratch.buf.len;
	scratch.place = &k8s;
	put_pod(&scratch, container, container->pod);

	bool too_long = scratch.buf.overflow;
	size_t len = too_long ? 0 : scratch.buf.len + scratch.sanitized.buf.len + scratch.truncated.buf.len;
	struct fragment *fragment = malloc(sizeof(*fragment) + len);

	if (!fragment)
		return NULL;
	*fragment = (struct fragment){.pod = container->pod,
				      .label_keys = (uint8_t)line->options->label_keys,
				      .too_long = too_long};
	if (!too_long) {
		struct crier_buf text;

		crier_buf_init(&text, fragment->text, len);
		crier_buf_put(&text, scratch.buf.data, scratch.buf.len);
		crier_buf_put(&text, scratch.sanitized.buf.data, scratch.sanitized.buf.len);
		crier_buf_put(&text, scratch.truncated.buf.data, scratch.truncated.buf.len);
		fragment->container_len = (uint32_t)container_len;
		fragment->pod_len = (uint32_t)(scratch.buf.len - container_len);
		fragment->sanitized_len = (uint32_t)scratch.sanitized.buf.len;
		fragment->truncated_len = (uint32_t)scratch.truncated.buf.len;
	}
	container->fragment[line->lean] = (char *)fragment;
	container->fragment_len[line->lean] = (uint32_t)(sizeof(*fragment) + len);
	return fragment;
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
		if (fragment && fragment->pod == container->pod &&
		    fragment->label_keys == line->options->label_keys)
			return fragment;
		if (!fragment)
			return render(line, container);
	}
	forget(container);
	container->fragment_version = container->version;
	container->fragment_pod_version = pod_version;
	return render(line, container);
}

/* `,"k8s":{` cluster and node, then the pod's part; closed if anything is in it. */
static void put_k8s(struct crier_emit_line *line, const struct crier_event *event,
		    const struct fragment *fragment)
{
	struct crier_view_node node = {line->options->cluster_name, line->options->node_name};
	struct crier_emit_place place = {.key = "k8s"};
	struct crier_buf *buf = &line->buf;
	size_t before = buf->len;

	crier_buf_put_str(buf, ",\"k8s\":");
	size_t start = buf->len;

	line->place = &place;
	crier_emit_fields(line, crier_k8s_node_fields, &node);
	if (fragment)
		crier_buf_put(buf, fragment->text + fragment->container_len, fragment->pod_len);
	else
		put_pod(line, event->container,
			event->pod	   ? event->pod
			: event->container ? event->container->pod
					   : NULL);
	line->place = NULL;
	if (buf->len == start) {
		buf->len = before;
		return;
	}
	buf->data[start] = '{';
	crier_buf_put_char(buf, '}');
}

void crier_emit_container(struct crier_emit_line *line, const struct crier_event *event)
{
	const struct fragment *fragment = NULL;

	if (event->container && line->cut == CRIER_CUT_NONE &&
	    (!event->pod || event->pod == event->container->pod)) {
		/* the event does not change what it is about; its container keeps a rendering of itself */
		fragment = get(line, (struct crier_container *)event->container);
		if (fragment && fragment->too_long) {
			line->buf.overflow = true; /* next cut, without */
			return;
		}
	}
	if (fragment) {
		const char *paths = fragment->text + fragment->container_len + fragment->pod_len;

		crier_buf_put(&line->buf, fragment->text, fragment->container_len);
		crier_buf_put(&line->sanitized.buf, paths, fragment->sanitized_len);
		crier_buf_put(&line->truncated.buf, paths + fragment->sanitized_len, fragment->truncated_len);
	} else if (event->container) {
		CRIER_EMIT_OBJECT(line, "container", crier_container_fields, event->container);
	}
	put_k8s(line, event, fragment);
}
