/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of sentences that both forms share: who, where, how much, how long. */
#include "story.h"

#include "crier/base/digits.h"
#include "crier/base/json.h"
#include "crier/names.h"

/* One decimal unless it would be .0 of a whole value or the number is long: "1.5 GiB", "512 MiB". */
static void put_scaled(struct crier_buf *buf, uint64_t value, uint64_t unit, const char *name)
{
	uint64_t tenths = value / unit >= 100 ? value / unit * 10 : (value * 10 + unit / 2) / unit;

	crier_buf_put_u64(buf, tenths / 10);
	if (tenths % 10) {
		crier_buf_put_char(buf, '.');
		crier_buf_put_u64(buf, tenths % 10);
	}
	crier_buf_put_str(buf, name);
}

void crier_put_bytes(struct crier_buf *buf, uint64_t bytes)
{
	static const char *const names[] = {" B", " KiB", " MiB", " GiB", " TiB"};
	size_t i = 0;
	uint64_t unit = 1;

	while (i + 1 < CRIER_ARRAY_SIZE(names) && bytes / unit >= 1024) {
		unit *= 1024;
		i++;
	}
	put_scaled(buf, bytes, unit, names[i]);
}

static char *put_two(char *p, uint64_t value)
{
	memcpy(p, crier_digit_pairs + 2 * value, 2);
	return p + 2;
}

char *crier_duration_at(char *p, uint64_t ms)
{
	uint64_t minutes = ms / 60000;

	if (ms < 1000) {
		p = crier_digits_put(p, ms);
		memcpy(p, " ms", 3);
		return p + 3;
	}
	if (ms < 60000) {
		uint64_t tenths = (ms + 50) / 100;

		p = crier_digits_put(p, tenths / 10);
		*p++ = '.';
		*p++ = (char)('0' + tenths % 10);
		memcpy(p, " s", 2);
		return p + 2;
	}
	if (minutes < 60) {
		p = crier_digits_put(p, minutes);
		*p++ = 'm';
		p = put_two(p, ms / 1000 % 60);
		*p++ = 's';
	} else if (minutes < 24 * 60) {
		p = crier_digits_put(p, minutes / 60);
		*p++ = 'h';
		p = put_two(p, minutes % 60);
		*p++ = 'm';
	} else {
		p = crier_digits_put(p, minutes / (24 * 60));
		*p++ = 'd';
		p = crier_digits_put(p, minutes / 60 % 24);
		*p++ = 'h';
	}
	return p;
}

void crier_put_duration(struct crier_buf *buf, uint64_t ms)
{
	char text[CRIER_DURATION_MAX];

	crier_buf_put(buf, text, (size_t)(crier_duration_at(text, ms) - text));
}

void crier_story_text(struct crier_buf *buf, struct crier_slice text, size_t max)
{
	if (!text.ptr) {
		crier_buf_put_char(buf, '?');
		return;
	}
	size_t len = crier_utf8_cut(text, max);

	crier_buf_put(buf, text.ptr, len);
	if (len < text.len)
		PUT(buf, "…");
}

void crier_story_task(struct crier_buf *buf, struct crier_slice comm, uint64_t pid)
{
	if (comm.len)
		crier_story_text(buf, comm, 15);
	else
		PUT(buf, "process");
	if (!crier_known(pid))
		return;
	crier_buf_put_char(buf, '[');
	crier_buf_put_u64(buf, pid);
	crier_buf_put_char(buf, ']');
}

bool crier_story_place(struct crier_buf *buf, const struct crier_event *event)
{
	const struct crier_container *container = event->container;
	const struct crier_pod *pod = event->pod ? event->pod : container ? container->pod : NULL;

	if (!container && !pod)
		return false;
	if (!pod || !pod->name.len) {
		PUT(buf, "container ");
		if (container)
			crier_story_text(buf, crier_slice_of(container->id),
					 12); /* as crictl shows it and takes it */
		else
			crier_story_text(buf, crier_slice_of(pod->uid), STORY_NAME_MAX);
		return true;
	}
	crier_story_text(buf, pod->namespace_, STORY_NAME_MAX);
	crier_buf_put_char(buf, '/');
	crier_story_text(buf, pod->name, STORY_NAME_MAX);
	if (container && container->type == CRIER_CONTAINER_TYPE_SANDBOX) {
		PUT(buf, " (sandbox)");
	} else if (container && container->name.len) {
		crier_buf_put_char(buf, '/');
		crier_story_text(buf, container->name, STORY_NAME_MAX);
	}
	return true;
}

void crier_story_percent(struct crier_buf *buf, double ratio)
{
	crier_buf_put_u64(buf, ratio > 0 && ratio < 1e9 ? (uint64_t)(ratio * 100 + 0.5) : 0);
	PUT(buf, " %");
}

const char *crier_story_level(uint8_t level)
{
	switch (level) {
	case CRIER_LEVEL_CONTAINER: return "container";
	case CRIER_LEVEL_POD: return "pod";
	case CRIER_LEVEL_QOS: return "QoS class";
	case CRIER_LEVEL_KUBEPODS: return "node allocatable";
	case CRIER_LEVEL_NODE: return "node";
	default: return "cgroup";
	}
}

void crier_story_limit(struct crier_buf *buf, const struct crier_data_oom *data)
{
	switch (data->scope) {
	case CRIER_OOM_SCOPE_GLOBAL: PUT(buf, "node out of memory"); return;
	case CRIER_OOM_SCOPE_CPUSET: PUT(buf, "allowed NUMA nodes out of memory"); return;
	case CRIER_OOM_SCOPE_MEMCG: break;
	default: PUT(buf, "out of memory"); return;
	}
	crier_buf_put_str(buf, crier_story_level(data->limit.level));
	PUT(buf, " limit");
	if (crier_known(data->limit.bytes)) {
		crier_buf_put_char(buf, ' ');
		crier_put_bytes(buf, data->limit.bytes);
	}
}

void crier_story_signal(struct crier_buf *buf, const char *name, uint64_t number)
{
	if (name) {
		crier_buf_put_str(buf, name);
	} else {
		PUT(buf, "signal ");
		crier_buf_put_u64(buf, number);
	}
}

/* ", exit 137" with its comma if something stands before it. */
static void put_exit(struct crier_buf *buf, int64_t exit_code)
{
	if (exit_code == CRIER_UNKNOWN_I64) {
		PUT(buf, "exit code unknown");
		return;
	}
	PUT(buf, "exit ");
	crier_buf_put_i64(buf, exit_code);
}

static void put_stop(struct crier_buf *buf, const struct crier_stop *stop)
{
	PUT(buf, "stopped: ");
	crier_story_signal(buf, stop->signal_name, stop->signal);
	if (crier_known(stop->escalated_to)) {
		if (stop->result && strcmp(stop->result, "ignored") == 0)
			PUT(buf, " ignored, ");
		else
			PUT(buf, " did not end it, ");
		crier_story_signal(buf, stop->escalated_name, stop->escalated_to);
		if (crier_known(stop->after_ms)) {
			PUT(buf, " after ");
			crier_put_duration(buf, stop->after_ms);
		}
	} else if (crier_known(stop->after_ms)) {
		PUT(buf, ", ended ");
		crier_put_duration(buf, stop->after_ms);
		PUT(buf, " later");
	}
	if (crier_known(stop->grace_period_s)) {
		PUT(buf, " (grace ");
		crier_buf_put_u64(buf, stop->grace_period_s);
		PUT(buf, " s)");
	}
	PUT(buf, ", ");
}

/* The runtime's word where it tells another story than the kernel. */
static void put_runtime(struct crier_buf *buf, const struct crier_data_exited *data)
{
	bool says_oom = crier_slice_equal(data->runtime.reason, CRIER_SLICE("OOMKilled"));
	bool start_failed = data->cause == CRIER_EXIT_CAUSE_START_FAILED && data->runtime.reason.len;

	if (says_oom && data->cause != CRIER_EXIT_CAUSE_OOM)
		PUT(buf, ", though the runtime says OOMKilled");
	if (start_failed) {
		PUT(buf, " (");
		crier_story_text(buf, data->runtime.reason, 64);
		if (data->runtime.message.len) {
			PUT(buf, ": ");
			crier_story_text(buf, data->runtime.message, STORY_TEXT_MAX);
		}
		PUT(buf, ")");
	}
	if (data->runtime.exit_code != CRIER_UNKNOWN_I64 && data->exit_code != CRIER_UNKNOWN_I64 &&
	    data->runtime.exit_code != data->exit_code) {
		PUT(buf, ", though the runtime says exit ");
		crier_buf_put_i64(buf, data->runtime.exit_code);
	}
}

void crier_story_end(struct crier_buf *buf, const struct crier_data_exited *data)
{
	if (crier_known(data->stop.signal)) {
		put_stop(buf, &data->stop);
	} else if (data->cause == CRIER_EXIT_CAUSE_OOM) {
		PUT(buf, "oom, ");
	} else if (data->cause == CRIER_EXIT_CAUSE_SIGNAL) {
		crier_story_signal(buf, data->signal_name, data->signal);
		if (data->core_dumped == 1)
			PUT(buf, " (core dumped)");
		PUT(buf, ", ");
	} else if (data->cause == CRIER_EXIT_CAUSE_START_FAILED) {
		PUT(buf, "never started, ");
	}
	put_exit(buf, data->exit_code);
	if (crier_known(data->uptime_ms)) {
		PUT(buf, " after ");
		crier_put_duration(buf, data->uptime_ms);
	}
	if (crier_known(data->restart_count) && data->restart_count > 0) {
		PUT(buf, ", restart ");
		crier_buf_put_u64(buf, data->restart_count);
	}
	put_runtime(buf, data);
	if (data->observed == CRIER_OBSERVED_AFTER_THE_FACT)
		PUT(buf, ", while crier was away");
}

/* From the death before to this start. */
static uint64_t gap_ms(const struct crier_event *event)
{
	for (size_t i = 0; i < event->correlation.cause_count && i < CRIER_CAUSES_MAX; i++)
		if (event->correlation.causes[i].basis == CRIER_BASIS_SAME_SLOT)
			return event->correlation.causes[i].delta_ms;
	return CRIER_UNKNOWN_U64;
}

void crier_story_start(struct crier_buf *buf, const struct crier_event *event,
		       const struct crier_data_started *data)
{
	const struct crier_previous_death *previous = &data->previous;
	uint64_t restart = event->container ? event->container->restart_count : CRIER_UNKNOWN_U64;
	uint64_t gap = gap_ms(event);

	if (crier_known(restart) && restart > 0) {
		PUT(buf, "restart ");
		crier_buf_put_u64(buf, restart);
	} else if (previous->container_id.len) {
		PUT(buf, "restarted");
	} else if (restart == 0) {
		PUT(buf, "first start");
	} else {
		PUT(buf, "init runs");
	}
	if (previous->container_id.len) {
		PUT(buf, ", ");
		if (crier_known(gap)) {
			crier_put_duration(buf, gap);
			crier_buf_put_char(buf, ' ');
		}
		PUT(buf, "after ");
		crier_buf_put_str(buf, previous->cause && previous->cause < CRIER_EXIT_CAUSE_COUNT
					       ? crier_exit_cause_names[previous->cause]
					       : "its end");
		if (previous->exit_code != CRIER_UNKNOWN_I64) {
			PUT(buf, " (exit ");
			crier_buf_put_i64(buf, previous->exit_code);
			PUT(buf, ")");
		}
	}
	if (crier_known(data->restarts_1h) && data->restarts_1h > 1) {
		PUT(buf, ", died ");
		crier_buf_put_u64(buf, data->restarts_1h);
		PUT(buf, " times within the hour");
	}
}
