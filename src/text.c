/* SPDX-License-Identifier: Apache-2.0 */
/* One event as one aligned line for people. Untrusted bytes that a terminal would obey are shown as \xNN. */
#include <errno.h>

#include "crier/base/json.h"
#include "crier/event_data.h"
#include "story.h"

#define TYPE_WIDTH  25 /* container.memory_pressure */
#define PLACE_WIDTH 29 /* shop/cart-7d9f8b6c5-x2x4k app */

/* ---- story column ---- */

static void tell_exit(struct crier_buf *buf, const struct crier_event *event,
		      const struct crier_data_exit *data)
{
	crier_story_task(buf, event->process.comm, event->process.pid);
	crier_buf_put_char(buf, ' ');
	if (crier_known(data->signal)) {
		crier_story_signal(buf, data->signal_name, data->signal);
		if (data->oom_killed == 1)
			PUT(buf, " (OOM)");
		if (data->core_dumped == 1)
			PUT(buf, " (core dumped)");
	} else if (data->exit_code != CRIER_UNKNOWN_I64) {
		PUT(buf, "exit ");
		crier_buf_put_i64(buf, data->exit_code);
	} else {
		PUT(buf, "ended");
	}
	if (crier_known(data->duration_ms)) {
		PUT(buf, " after ");
		crier_put_duration(buf, data->duration_ms);
	}
	if (crier_known(data->peak_rss_bytes)) {
		PUT(buf, ", peak ");
		crier_put_bytes(buf, data->peak_rss_bytes);
	}
	if (data->container_init == 1)
		PUT(buf, ", container init");
	else if (event->process.role == CRIER_ROLE_RUNTIME_HELPER)
		PUT(buf, ", the runtime's own");
}

static void tell_signal(struct crier_buf *buf, const struct crier_event *event,
			const struct crier_data_signal *data)
{
	crier_story_task(buf, event->process.comm, event->process.pid);
	crier_buf_put_char(buf, ' ');
	crier_story_signal(buf, data->signal_name, data->signal);
	PUT(buf, " from ");
	if (crier_known(event->actor.pid))
		crier_story_task(buf, event->actor.comm, event->actor.pid);
	else
		PUT(buf, "the kernel");
	if (data->stop == 1)
		PUT(buf, " (outside the container)");
	if (data->result == CRIER_SIGNAL_RESULT_IGNORED)
		PUT(buf, ", ignored");
	else if (data->fatal == 1 && data->stop != 1)
		PUT(buf, ", fatal");
}

static const struct crier_cause *cause_of_kind(const struct crier_event *event, enum crier_type kind)
{
	for (size_t i = 0; i < event->correlation.cause_count && i < CRIER_CAUSES_MAX; i++)
		if (event->correlation.causes[i].kind == kind)
			return &event->correlation.causes[i];
	return NULL;
}

static void tell_oom(struct crier_buf *buf, const struct crier_event *event,
		     const struct crier_data_oom *data)
{
	const struct crier_cause *pressure = cause_of_kind(event, CRIER_TYPE_CONTAINER_MEMORY_PRESSURE);
	const char *separator = ": ";

	crier_story_task(buf, event->process.comm, event->process.pid);
	crier_buf_put_str(buf, data->scope == CRIER_OOM_SCOPE_MEMCG ? " killed at " : " killed, ");
	crier_story_limit(buf, data);
	if (crier_known(data->victim.anon_rss_bytes)) {
		PUT(buf, ": anon ");
		crier_put_bytes(buf, data->victim.anon_rss_bytes);
		separator = ", ";
	}
	if (crier_known(data->victim.file_rss_bytes)) {
		crier_buf_put_str(buf, separator);
		PUT(buf, "file ");
		crier_put_bytes(buf, data->victim.file_rss_bytes);
	}
	if (crier_known(event->actor.pid)) {
		PUT(buf, "; allocation by ");
		crier_story_task(buf, event->actor.comm, event->actor.pid);
	}
	if (data->group_kill == 1)
		PUT(buf, "; whole group killed");
	if (crier_known(data->victim_index) && data->victim_index > 1) {
		PUT(buf, "; victim ");
		crier_buf_put_u64(buf, data->victim_index);
	}
	if (pressure && crier_known(pressure->delta_ms)) {
		PUT(buf, "; ");
		crier_put_duration(buf, pressure->delta_ms);
		PUT(buf, " after pressure");
	}
}

static void tell_exec(struct crier_buf *buf, const struct crier_event *event,
		      const struct crier_data_exec *data)
{
	crier_story_task(buf, event->process.comm, event->process.pid);
	PUT(buf, " executed ");
	crier_story_text(buf, data->filename, STORY_PATH_MAX);
	for (size_t i = 1; data->args && i < data->args_kept && i < 8; i++) {
		crier_buf_put_char(buf, ' ');
		crier_story_text(buf, data->args[i], 64);
	}
	if (crier_known(data->args_count) && !data->args && data->args_count > 1) {
		PUT(buf, " (");
		crier_buf_put_u64(buf, data->args_count - 1);
		crier_buf_put_str(buf, data->args_count == 2 ? " argument)" : " arguments)");
	}
}

static void tell_fork(struct crier_buf *buf, const struct crier_event *event,
		      const struct crier_data_fork *data)
{
	crier_story_task(buf, event->actor.comm, event->actor.pid);
	PUT(buf, " forked ");
	crier_story_task(buf, event->process.comm, data->child_pid);
}

static void tell_created(struct crier_buf *buf, const struct crier_event *event)
{
	PUT(buf, "created");
	if (event->container && event->container->image.len) {
		PUT(buf, ", image ");
		crier_story_text(buf, event->container->image, STORY_PATH_MAX);
	}
}

static void tell_started(struct crier_buf *buf, const struct crier_event *event,
			 const struct crier_data_started *data)
{
	crier_story_start(buf, event, data);
	if (!data->previous.container_id.len && data->filename.len) {
		PUT(buf, ", ");
		crier_story_text(buf, data->filename, STORY_PATH_MAX);
	}
}

void crier_emit_story(const struct crier_event *event, struct crier_buf *buf)
{
	if (!event->data)
		return;
	switch (event->type) {
	case CRIER_TYPE_PROCESS_EXEC: tell_exec(buf, event, event->data); break;
	case CRIER_TYPE_PROCESS_FORK: tell_fork(buf, event, event->data); break;
	case CRIER_TYPE_PROCESS_EXIT: tell_exit(buf, event, event->data); break;
	case CRIER_TYPE_PROCESS_SIGNAL: tell_signal(buf, event, event->data); break;
	case CRIER_TYPE_CONTAINER_OOM:
	case CRIER_TYPE_NODE_OOM: tell_oom(buf, event, event->data); break;
	case CRIER_TYPE_CONTAINER_CREATED: tell_created(buf, event); break;
	case CRIER_TYPE_CONTAINER_STARTED: tell_started(buf, event, event->data); break;
	case CRIER_TYPE_CONTAINER_EXITED: crier_story_end(buf, event->data); break;
	case CRIER_TYPE_CONTAINER_REMOVED: crier_story_removed(buf, event->data); break;
	case CRIER_TYPE_CONTAINER_RESOLVED: crier_story_mends(buf, event->data); break;
	case CRIER_TYPE_CONTAINER_SNAPSHOT: crier_story_snapshot(buf, event, event->data); break;
	case CRIER_TYPE_CONTAINER_MEMORY_PRESSURE: crier_story_pressure(buf, event->data); break;
	case CRIER_TYPE_CONTAINER_CPU_THROTTLE: crier_story_throttle(buf, event->data); break;
	case CRIER_TYPE_NODE_MEMORY_PRESSURE: crier_story_node_pressure(buf, event->data); break;
	default: crier_story_agent(buf, event); break;
	}
}

/* ---- columns ---- */

/* Formatting characters that reorder or hide what follows: U+200B..200F, U+2028..202E, U+2060..2069, U+FEFF. */
static bool is_hiding(const unsigned char *p, size_t len)
{
	if (len != 3)
		return false;
	unsigned code = (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);

	return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
}

/* @return columns on the terminal, a character each (wide ones count one too) */
static size_t put_harmless(struct crier_buf *buf, struct crier_slice text)
{
	static const char hex[] = "0123456789abcdef";
	size_t columns = 0;

	for (size_t i = 0; i < text.len;) {
		const unsigned char *p = (const unsigned char *)text.ptr + i;
		size_t n = crier_utf8_sequence(text, i);
		bool is_control = p[0] < 0x20 || p[0] == 0x7f || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0);

		if (n && !is_control && !is_hiding(p, n)) {
			crier_buf_put(buf, p, n);
			columns++;
			i += n;
			continue;
		}
		for (size_t end = i + (n ? n : 1); i < end; i++) {
			unsigned char c = (unsigned char)text.ptr[i];
			char escaped[4] = {'\\', 'x', hex[c >> 4], hex[c & 15]};

			crier_buf_put(buf, escaped, sizeof(escaped));
			columns += sizeof(escaped);
		}
	}
	return columns;
}

static void pad(struct crier_buf *buf, size_t columns, size_t width)
{
	for (; columns < width; columns++)
		crier_buf_put_char(buf, ' ');
	PUT(buf, "  ");
}

static void put_clock(struct crier_buf *buf, const struct crier_emit_options *options,
		      const struct crier_event *event)
{
	uint64_t ms = event->boottime_ns == CRIER_UNKNOWN_U64
			      ? 0
			      : (event->boottime_ns + options->unix_offset_ns) / 1000000;
	uint32_t second = (uint32_t)(ms / 1000 % 86400);
	char text[13] = {(char)('0' + second / 36000),
			 (char)('0' + second / 3600 % 10),
			 ':',
			 (char)('0' + second / 600 % 6),
			 (char)('0' + second / 60 % 10),
			 ':',
			 (char)('0' + second % 60 / 10),
			 (char)('0' + second % 10),
			 '.',
			 (char)('0' + ms / 100 % 10),
			 (char)('0' + ms / 10 % 10),
			 (char)('0' + ms % 10),
			 ' '};

	crier_buf_put(buf, text, sizeof(text));
}

static void put_place(struct crier_buf *buf, const struct crier_event *event)
{
	const struct crier_container *container = event->container;
	const struct crier_pod *pod = event->pod ? event->pod : container ? container->pod : NULL;

	if (pod && pod->name.len) {
		crier_story_text(buf, pod->namespace_, STORY_NAME_MAX);
		crier_buf_put_char(buf, '/');
		crier_story_text(buf, pod->name, STORY_NAME_MAX);
		if (container && container->type == CRIER_CONTAINER_TYPE_SANDBOX) {
			PUT(buf, " (sandbox)");
		} else if (container && container->name.len) {
			crier_buf_put_char(buf, ' ');
			crier_story_text(buf, container->name, STORY_NAME_MAX);
		}
		return;
	}
	if (crier_story_place(buf, event))
		return;
	if (event->type >= CRIER_TYPE_AGENT_START)
		PUT(buf, "(crier)");
	else if (event->attribution.status == CRIER_ATTRIBUTION_HOST)
		PUT(buf, "(host)");
	else
		PUT(buf, "(unknown container)");
}

static const struct {
	const char *word; /* as wide as the widest */
	const char *colour;
} severities[CRIER_SEVERITY_COUNT] = {
	[CRIER_SEVERITY_NONE] = {"INFO ", ""},		[CRIER_SEVERITY_DEBUG] = {"DEBUG", "\033[2m"},
	[CRIER_SEVERITY_INFO] = {"INFO ", "\033[32m"},	[CRIER_SEVERITY_WARN] = {"WARN ", "\033[33m"},
	[CRIER_SEVERITY_ERROR] = {"ERROR", "\033[31m"}, [CRIER_SEVERITY_FATAL] = {"FATAL", "\033[1;31m"},
};

int crier_emit_text(const struct crier_emit_options *options, const struct crier_event *event, bool colour,
		    struct crier_buf *buf)
{
	const struct crier_type_info *info = crier_type_info(event->type);
	uint8_t severity = crier_event_severity(event);
	char place_text[1024], story_text[2048];
	struct crier_buf place, story, out;

	crier_buf_init(&place, place_text, sizeof(place_text));
	put_place(&place, event);
	crier_buf_init(&story, story_text, sizeof(story_text));
	crier_emit_story(event, &story);

	crier_buf_init(&out, buf->data + buf->len, crier_min(buf->cap - buf->len, (size_t)CRIER_LINE_MAX));
	put_clock(&out, options, event);
	if (colour)
		crier_buf_put_str(&out, severities[severity].colour);
	crier_buf_put_str(&out, severities[severity].word);
	crier_buf_put_char(&out, ' ');
	crier_buf_put_str(&out, info->name);
	if (colour)
		PUT(&out, "\033[0m");
	pad(&out, strlen(info->name), TYPE_WIDTH);
	pad(&out, put_harmless(&out, (struct crier_slice){place.data, place.len}), PLACE_WIDTH);
	put_harmless(&out, (struct crier_slice){story.data, story.len});
	crier_buf_put_char(&out, '\n');
	if (out.overflow)
		return -EMSGSIZE;
	buf->len += out.len;
	return 0;
}
