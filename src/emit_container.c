/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks container, k8s and resource, and the fragments they are copied from (struct crier_fragment). */
#include <stdlib.h>

#include "crier/base/json.h"
#include "emit_line.h"
#include "story.h"

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

static void put_resources(struct crier_emit_line *line)
{
	const struct crier_emit_options *options = line->options;
	struct crier_buf *buf = &line->buf;

	if (!options->resource_count)
		return;
	if (line->cut >= CRIER_CUT_MINIMUM) {
		crier_emit_path(line, &line->truncated, "resource");
		return;
	}
	crier_buf_put_str(buf, ",\"resource\":");
	for (size_t i = 0; i < options->resource_count; i++) {
		crier_buf_put_str(buf, i ? ",\"" : "{\"");
		crier_buf_put_str(buf, options->resources[i].key);
		crier_buf_put_str(buf, "\":");
		unsigned flags = crier_json_string(buf, options->resources[i].value, CRIER_NAME_MAX);

		if (flags & CRIER_JSON_SANITIZED)
			crier_emit_path(line, &line->sanitized, "resource");
		if (flags & CRIER_JSON_TRUNCATED)
			crier_emit_path(line, &line->truncated, "resource");
	}
	crier_buf_put_char(buf, '}');
}

static void put_blocks(struct crier_emit_line *line, const struct crier_container *container,
		       const struct crier_pod *pod)
{
	if (container)
		CRIER_EMIT_OBJECT(line, "container", crier_container_fields, container);
	put_k8s(line, container, pod);
	put_resources(line);
}

/* ---- fragments ---- */

static size_t escaped_len(struct crier_slice text)
{
	char escaped[6 * CRIER_NAME_MAX];
	struct crier_buf buf;

	crier_buf_init(&buf, escaped, sizeof(escaped));
	(void)crier_json_escape(&buf, text, STORY_NAME_MAX);
	return buf.len;
}

static void measure_place(struct crier_fragment *head, const struct crier_container *container)
{
	const struct crier_pod *pod = container->pod;
	size_t namespace_len = pod ? escaped_len(pod->namespace_) : 0;
	size_t pod_len = pod ? escaped_len(pod->name) : 0;
	size_t name_len = escaped_len(container->name);

	if (!namespace_len || !pod_len || !name_len ||
	    namespace_len + pod_len + name_len + 2 != head->place_len)
		return;
	head->namespace_len = (uint16_t)namespace_len;
	head->pod_len = (uint16_t)pod_len;
	head->name_len = (uint16_t)name_len;
}

/* What stands before the blocks in the lines of the container's own cgroup. */
static void render_cgroup(struct crier_emit_line *line, const struct crier_container *container,
			  struct crier_fragment *head)
{
	struct crier_cgroup_ref cgroup = {.id = container->cgroup_id, .version = CRIER_UNKNOWN_U64};

	CRIER_EMIT_OBJECT(line, "cgroup", crier_cgroup_fields, &cgroup);
	head->cgroup_id = container->cgroup_id;
	head->cgroup_len = (uint16_t)line->buf.len;
}

/* What stands behind them in most lines: the attribution when it is complete at once, and the beginning of a key. */
static void render_stem(struct crier_emit_line *line, const struct crier_container *container,
			struct crier_fragment *head)
{
	struct crier_attribution attribution = {
		.status = CRIER_ATTRIBUTION_FULL, .source = container->source, .via = CRIER_VIA_CGROUP_ID};
	size_t before = line->buf.len;

	CRIER_EMIT_OBJECT(line, "attribution", crier_attribution_fields, &attribution);
	crier_buf_put_str(&line->buf, ",\"correlation\":{\"process_key\":\"");
	crier_buf_put_str(&line->buf, line->options->boot);
	crier_buf_put_char(&line->buf, ':');
	head->source = container->source;
	head->stem_len = (uint16_t)(line->buf.len - before);
}

/* What the fast way of lean lines copies besides the blocks. */
static void render_lean_parts(struct crier_emit_line *line, const struct crier_container *container,
			      struct crier_fragment *head)
{
	static const struct crier_field slot = {CRIER_FIELD_KEY("container_slot"), .kind = CRIER_FIELD_SLOT};
	const struct crier_event event = {.container = container, .pod = container->pod};
	struct crier_view_correlation view = crier_emit_correlation_view(line->options, &event);
	struct crier_slice id = crier_slice_of(container->id);
	char text[CRIER_SENTENCE_MAX];
	struct crier_buf place;
	size_t before = line->buf.len;

	render_stem(line, container, head);
	before = line->buf.len;
	crier_emit_value(line, &slot, &view.slot);
	head->slot_len = (uint16_t)(line->buf.len - before);

	before = line->buf.len;
	crier_buf_init(&place, text, sizeof(text));
	(void)crier_story_place(&place, &event);
	(void)crier_json_escape(&line->buf, (struct crier_slice){text, place.len}, place.len);
	head->place_len = (uint16_t)(line->buf.len - before);
	measure_place(head, container);
	if (escaped_len(id) == id.len)
		head->id_len = (uint16_t)id.len;
}

static const struct crier_fragment *render(const struct crier_emit_options *options, bool lean,
					   struct crier_container *container)
{
	const struct crier_pod *pod = container->pod;
	struct crier_fragment head = {
		.pod = pod,
		.container_version = container->version,
		.pod_version = pod ? pod->version : 0,
		.options_version = options->version,
		.lean = lean,
	};
	struct crier_emit_line line;
	char storage[CRIER_LINE_MAX];

	crier_emit_line_init(&line, options, lean, CRIER_CUT_NONE, storage, sizeof(storage));
	if (lean)
		render_cgroup(&line, container, &head);
	put_blocks(&line, container, pod);
	head.blocks_len = (uint16_t)(line.buf.len - head.cgroup_len);
	head.sanitized_len = (uint16_t)line.sanitized.buf.len;
	head.truncated_len = (uint16_t)line.truncated.buf.len;
	if (lean)
		render_lean_parts(&line, container, &head);
	head.too_long = line.buf.overflow;

	size_t len = head.too_long ? 0 : line.buf.len + head.sanitized_len + head.truncated_len;
	struct crier_fragment *fragment = malloc(sizeof(*fragment) + len);
	struct crier_buf text;

	if (!fragment)
		return NULL;
	*fragment = head;
	crier_buf_init(&text, fragment->text, len);
	crier_buf_put(&text, line.buf.data, line.buf.len);
	crier_buf_put(&text, line.sanitized.buf.data, head.sanitized_len);
	crier_buf_put(&text, line.truncated.buf.data, head.truncated_len);
	free(container->fragment);
	container->fragment = fragment;
	return fragment;
}

static bool is_current(const struct crier_fragment *fragment, const struct crier_emit_options *options,
		       bool lean, const struct crier_container *container)
{
	const struct crier_pod *pod = container->pod;

	return fragment->container_version == container->version && fragment->pod == pod &&
	       (!pod || fragment->pod_version == pod->version) &&
	       fragment->options_version == options->version && fragment->lean == lean;
}

const struct crier_fragment *crier_emit_fragment(const struct crier_emit_options *options, bool lean,
						 const struct crier_event *event)
{
	const struct crier_container *container = event->container;

	if (!container || (event->pod && event->pod != container->pod))
		return NULL;
	if (lean != (options->detail != CRIER_DETAIL_FULL))
		return NULL; /* rare lines: the memory is worth more than the time */

	const struct crier_fragment *fragment = container->fragment;

	if (fragment && is_current(fragment, options, lean, container))
		return fragment;
	/* The event does not change what it is about: its container keeps a rendering of itself. */
	return render(options, lean, (struct crier_container *)container);
}

void crier_emit_container(struct crier_emit_line *line, const struct crier_event *event)
{
	const struct crier_container *container = event->container;
	const struct crier_pod *pod = event->pod ? event->pod : container ? container->pod : NULL;
	const struct crier_fragment *fragment =
		line->cut == CRIER_CUT_NONE ? crier_emit_fragment(line->options, line->lean, event) : NULL;

	if (!fragment) {
		put_blocks(line, container, pod);
		return;
	}
	if (fragment->too_long) {
		line->buf.overflow = true; /* the next cut does without it */
		return;
	}
	const char *paths = crier_fragment_paths(fragment);

	crier_buf_put(&line->buf, crier_fragment_blocks(fragment), fragment->blocks_len);
	crier_buf_put(&line->sanitized.buf, paths, fragment->sanitized_len);
	crier_buf_put(&line->truncated.buf, paths + fragment->sanitized_len, fragment->truncated_len);
}
