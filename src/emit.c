/* SPDX-License-Identifier: Apache-2.0 */
/* One event as one line of JSON: the order of its blocks, and what to cut when it is too long. */
#include "crier/emit.h"

#include <assert.h>
#include <errno.h>

#include "emit_line.h"
#include "crier/names.h"

static uint8_t priority_of(const struct crier_type_info *info, uint8_t severity)
{
	static const uint8_t least[CRIER_SEVERITY_COUNT] = {
		[CRIER_SEVERITY_WARN] = CRIER_PRIORITY_NORMAL,
		[CRIER_SEVERITY_ERROR] = CRIER_PRIORITY_HIGH,
		[CRIER_SEVERITY_FATAL] = CRIER_PRIORITY_CRITICAL,
	};

	return crier_max(info->priority, least[severity]);
}

uint8_t crier_event_severity(const struct crier_event *event)
{
	return event->severity && event->severity < CRIER_SEVERITY_COUNT
		       ? event->severity
		       : crier_type_info(event->type)->severity;
}

static void put_head(struct crier_emit_line *line, const struct crier_event *event, uint64_t seq)
{
	const struct crier_type_info *info = crier_type_info(event->type);
	const struct crier_emit_options *options = line->options;
	char text[CRIER_SENTENCE_MAX];
	struct crier_buf summary;
	uint8_t severity = crier_event_severity(event);
	bool is_timed = event->boottime_ns != CRIER_UNKNOWN_U64;

	crier_buf_init(&summary, text, sizeof(text));
	crier_emit_summary(event, &summary);
	struct crier_view_head head = {
		.schema = "crier/1",
		.instance = options->instance,
		.seq = seq,
		.type = info->name,
		.ts = is_timed ? event->boottime_ns + options->unix_offset_ns : CRIER_UNKNOWN_U64,
		.boottime_ns = event->boottime_ns,
		.severity = severity,
		.priority = priority_of(info, severity),
		.summary = {summary.data, summary.len},
		.filter = event->undetermined_filter ? "undetermined" : NULL,
		.hook = crier_hook_name(event->hook),
		.cpu = event->hook ? event->cpu : CRIER_UNKNOWN_U64,
	};

	crier_emit_fields(line, crier_head_fields, &head);
	line->buf.data[0] = '{';
}

static void put_cgroup(struct crier_emit_line *line, const struct crier_event *event)
{
	struct crier_cgroup_ref cgroup = event->cgroup;

	/* Where the container is known, its cgroup's path says nothing new; where it is not, the path is the trace. */
	if (line->lean && event->attribution.status == CRIER_ATTRIBUTION_FULL)
		cgroup.path = CRIER_SLICE_NONE;
	CRIER_EMIT_OBJECT(line, "cgroup", crier_cgroup_fields, &cgroup);
}

struct crier_view_correlation crier_emit_correlation_view(const struct crier_emit_options *options,
							  const struct crier_event *event)
{
	const struct crier_container *container = event->container;
	const struct crier_pod *pod = event->pod ? event->pod : container ? container->pod : NULL;
	const struct crier_correlation *correlation = &event->correlation;
	struct crier_view_correlation view = {
		.cgroup_path = event->cgroup.path,
		.node_name = options->node_name,
		.process_id = event->process.pid,
		.process = correlation->process,
		.parent = correlation->parent,
		.incident = correlation->incident,
		.causes = correlation->causes,
		.cause_count = correlation->cause_count,
	};

	if (container)
		view.container_id = crier_slice_of(container->id);
	if (pod && pod->uid[0]) {
		view.pod_uid = crier_slice_of(pod->uid);
		if (container && container->type != CRIER_CONTAINER_TYPE_SANDBOX)
			view.slot = (struct crier_slot_name){view.pod_uid, container->name};
	}
	return view;
}

static void put_correlation(struct crier_emit_line *line, const struct crier_event *event)
{
	struct crier_view_correlation view = crier_emit_correlation_view(line->options, event);

	CRIER_EMIT_OBJECT(line, "correlation", crier_correlation_fields, &view);
}

static void put_data(struct crier_emit_line *line, const struct crier_event *event)
{
	size_t before = line->buf.len;

	if (event->data) {
		struct crier_field field = {CRIER_FIELD_KEY("data"),
					    .sub = crier_type_info(event->type)->data};

		crier_emit_object(line, &field, event->data);
	}
	if (line->buf.len == before)
		crier_buf_put_str(&line->buf, ",\"data\":{}");
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(event->cut_at_source); i++)
		if (event->cut_at_source[i])
			crier_emit_path(line, &line->truncated, event->cut_at_source[i]);
}

static void put_paths(struct crier_emit_line *line, const char *json, struct crier_emit_paths *paths)
{
	if (!paths->buf.len)
		return;
	crier_buf_put_str(&line->buf, json);
	paths->buf.data[0] = '[';
	crier_buf_put(&line->buf, paths->buf.data, paths->buf.len);
	crier_buf_put_str(&line->buf, paths->buf.overflow ? ",\"*\"]" : "]");
}

static void put_line(struct crier_emit_line *line, const struct crier_event *event, uint64_t seq)
{
	put_head(line, event, seq);
	CRIER_EMIT_OBJECT(line, "process", crier_process_fields, &event->process);
	if (event->actor.pid != CRIER_UNKNOWN_U64 || event->actor.container_id.ptr)
		CRIER_EMIT_OBJECT(line, "actor", crier_actor_fields, &event->actor);
	put_cgroup(line, event);
	crier_emit_container(line, event);
	CRIER_EMIT_OBJECT(line, "attribution", crier_attribution_fields, &event->attribution);
	put_correlation(line, event);
	put_data(line, event);
	if (line->buf.overflow)
		return;
	put_paths(line, ",\"sanitized\":", &line->sanitized);
	put_paths(line, ",\"truncated\":", &line->truncated);
	crier_buf_put(&line->buf, "}\n", 2);
}

int crier_emit_json(const struct crier_emit_options *options, const struct crier_event *event, uint64_t seq,
		    struct crier_buf *buf)
{
	bool lean = options->detail == CRIER_DETAIL_AUTO ? !crier_type_info(event->type)->full
							 : options->detail == CRIER_DETAIL_LEAN;
	size_t room = crier_min(buf->cap - buf->len, (size_t)CRIER_LINE_MAX);
	struct crier_emit_line line;

	if (room < sizeof("{}"))
		return -EMSGSIZE;
	if (lean && room == CRIER_LINE_MAX) {
		char *end = crier_emit_lean(options, event, seq, buf->data + buf->len);

		if (end) {
			buf->len = (size_t)(end - buf->data);
			return 0;
		}
	}
	for (unsigned cut = CRIER_CUT_NONE; cut < CRIER_CUT_COUNT; cut++) {
		crier_emit_line_init(&line, options, lean, (uint8_t)cut, buf->data + buf->len, room);
		put_line(&line, event, seq);
		if (!line.buf.overflow) {
			buf->len += line.buf.len;
			return 0;
		}
	}
	return -EMSGSIZE;
}
