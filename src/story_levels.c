/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of sentences about states: pressure, throttling, snapshots, and crier itself. */
#include "story.h"
#include "crier/names.h"

void crier_story_pressure(struct crier_buf *buf, const struct crier_data_pressure *data)
{
	if (data->phase == CRIER_PHASE_EXIT)
		PUT(buf, "over, ");
	crier_story_percent(buf, data->ratio);
	PUT(buf, " of ");
	if (crier_known(data->limit.bytes))
		crier_put_bytes(buf, data->limit.bytes);
	else
		PUT(buf, "its limit");
	PUT(buf, " (");
	crier_buf_put_str(buf, crier_story_level(data->limit.level));
	PUT(buf, " limit)");
	if (crier_known(data->stall_ms) && data->stall_ms > 0) {
		PUT(buf, ", stalled ");
		crier_put_duration(buf, data->stall_ms);
	}
	if (crier_known(data->duration_ms) && data->duration_ms > 0) {
		PUT(buf, ", for ");
		crier_put_duration(buf, data->duration_ms);
	}
	if (data->phase != CRIER_PHASE_EXIT && data->level == CRIER_PRESSURE_CRITICAL)
		PUT(buf, ", critical");
}

void crier_story_node_pressure(struct crier_buf *buf, const struct crier_data_node_pressure *data)
{
	if (data->phase == CRIER_PHASE_EXIT)
		PUT(buf, "over, ");
	crier_story_percent(buf, data->available_ratio);
	PUT(buf, " of memory available");
	if (crier_known(data->available_bytes) && crier_known(data->total_bytes)) {
		PUT(buf, " (");
		crier_put_bytes(buf, data->available_bytes);
		PUT(buf, " of ");
		crier_put_bytes(buf, data->total_bytes);
		PUT(buf, ")");
	}
	if (crier_known(data->stall_ms) && data->stall_ms > 0) {
		PUT(buf, ", stalled ");
		crier_put_duration(buf, data->stall_ms);
	}
	if (crier_known(data->duration_ms) && data->duration_ms > 0) {
		PUT(buf, ", for ");
		crier_put_duration(buf, data->duration_ms);
	}
	if (data->phase != CRIER_PHASE_EXIT && data->level == CRIER_PRESSURE_CRITICAL)
		PUT(buf, ", critical");
}

void crier_story_throttle(struct crier_buf *buf, const struct crier_data_throttle *data)
{
	PUT(buf, "throttled in ");
	crier_story_percent(buf, data->ratio);
	PUT(buf, " of periods");
	if (crier_known(data->window_ms)) {
		PUT(buf, " over ");
		crier_put_duration(buf, data->window_ms);
	}
	if (crier_known(data->throttled_ms)) {
		PUT(buf, ", ");
		crier_put_duration(buf, data->throttled_ms);
		PUT(buf, " lost");
	}
	if (crier_known(data->quota_us) && crier_known(data->period_us) && data->period_us > 0) {
		uint64_t hundredths = data->quota_us / data->period_us < 1000000
					      ? data->quota_us * 100 / data->period_us
					      : 0;

		PUT(buf, ", quota ");
		crier_buf_put_u64(buf, hundredths / 100);
		crier_buf_put_char(buf, '.');
		crier_buf_put_char(buf, (char)('0' + hundredths / 10 % 10));
		crier_buf_put_char(buf, (char)('0' + hundredths % 10));
		PUT(buf, " CPU");
	}
}

void crier_story_snapshot(struct crier_buf *buf, const struct crier_event *event,
			  const struct crier_data_snapshot *data)
{
	uint64_t limit = event->container ? event->container->memory_limit_bytes : CRIER_UNKNOWN_U64;

	crier_buf_put_str(buf, data->state && data->state < CRIER_STATE_COUNT ? crier_state_names[data->state]
									      : "present");
	if (crier_known(data->uptime_ms)) {
		PUT(buf, " for ");
		crier_put_duration(buf, data->uptime_ms);
	}
	if (crier_known(data->working_set_bytes)) {
		PUT(buf, ", working set ");
		crier_put_bytes(buf, data->working_set_bytes);
		if (crier_known(limit)) {
			PUT(buf, " of ");
			crier_put_bytes(buf, limit);
		}
	}
	if (crier_known(data->process_count)) {
		PUT(buf, ", ");
		crier_buf_put_u64(buf, data->process_count);
		crier_buf_put_str(buf, data->process_count == 1 ? " process" : " processes");
	}
}

void crier_story_mends(struct crier_buf *buf, const struct crier_data_resolved *data)
{
	PUT(buf, "metadata known, mends ");
	if (!crier_known(data->count)) {
		PUT(buf, "earlier lines");
		return;
	}
	crier_buf_put_u64(buf, data->count);
	crier_buf_put_str(buf, data->count == 1 ? " line" : " lines");
	if (crier_known(data->from_seq) && crier_known(data->to_seq)) {
		PUT(buf, " (seq ");
		crier_buf_put_u64(buf, data->from_seq);
		PUT(buf, " to ");
		crier_buf_put_u64(buf, data->to_seq);
		PUT(buf, ")");
	}
}

void crier_story_removed(struct crier_buf *buf, const struct crier_data_removed *data)
{
	PUT(buf, "removed");
	if (data->basis == CRIER_REMOVED_RUNTIME)
		PUT(buf, ", the runtime no longer knows it");
	else if (data->basis == CRIER_REMOVED_CGROUP)
		PUT(buf, ", its cgroup is gone");
}

/* ---- crier itself ---- */

static void put_agent_start(struct crier_buf *buf, const struct crier_data_agent_start *data)
{
	PUT(buf, "crier ");
	crier_story_text(buf, data->version, 32);
	PUT(buf, " watches this node (kernel ");
	crier_story_text(buf, data->kernel, 64);
	PUT(buf, ", cgroup ");
	crier_story_text(buf, data->cgroup_mode, 16);
	PUT(buf, ", profile ");
	crier_story_text(buf, data->profile, 32);
	crier_buf_put_str(buf, data->cri_socket.ptr ? ")" : ", no runtime socket)");
	if (data->degraded_count) {
		PUT(buf, ", degraded in ");
		crier_buf_put_u64(buf, data->degraded_count);
		crier_buf_put_str(buf, data->degraded_count == 1 ? " point" : " points");
	}
	if (crier_known(data->previous.gap_ms)) {
		PUT(buf, ", was away for ");
		crier_put_duration(buf, data->previous.gap_ms);
	}
}

static void put_health(struct crier_buf *buf, const struct crier_data_health *data)
{
	crier_story_text(buf, data->component, 32);
	PUT(buf, " is ");
	crier_buf_put_str(buf, data->state ? data->state : "?");
	if (data->reason.len || data->remedy.len) {
		PUT(buf, " (");
		crier_story_text(buf, data->reason.len ? data->reason : data->remedy, STORY_TEXT_MAX);
		if (data->reason.len && data->remedy.len) {
			PUT(buf, "; remedy: ");
			crier_story_text(buf, data->remedy, STORY_TEXT_MAX);
		}
		PUT(buf, ")");
	} else if (data->runtime_name.len) {
		PUT(buf, " (");
		crier_story_text(buf, data->runtime_name, 64);
		crier_buf_put_char(buf, ' ');
		crier_story_text(buf, data->runtime_version, 64);
		if (data->event_stream) {
			PUT(buf, ", event stream ");
			crier_buf_put_str(buf, data->event_stream);
		}
		PUT(buf, ")");
	}
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return (crier_known(a) ? a : 0) + (crier_known(b) ? b : 0);
}

static void put_counts(struct crier_buf *buf, uint64_t lines, const struct crier_class_counts *bulk,
		       const struct crier_class_counts *critical)
{
	crier_buf_put_u64(buf, sum(lines, 0));
	PUT(buf, " lines, ");
	crier_buf_put_u64(buf, sum(bulk->lost, critical->lost));
	PUT(buf, " events lost, ");
	crier_buf_put_u64(buf, sum(bulk->suppressed, critical->suppressed));
	PUT(buf, " suppressed");
}

static void put_stats(struct crier_buf *buf, const struct crier_data_stats *data)
{
	PUT(buf, "crier up ");
	crier_put_duration(buf, sum(data->uptime_ms, 0));
	PUT(buf, ": ");
	put_counts(buf, data->lines, &data->bulk, &data->critical);
	if (crier_known(data->containers)) {
		PUT(buf, ", ");
		crier_buf_put_u64(buf, data->containers);
		PUT(buf, " containers");
	}
	if (crier_known(data->rss_bytes)) {
		PUT(buf, ", RSS ");
		crier_put_bytes(buf, data->rss_bytes);
	}
}

static const char *loss_words(uint8_t cause)
{
	switch (cause) {
	case CRIER_LOSS_RESERVE_FAILED: return "the kernel ring was full";
	case CRIER_LOSS_SUPPRESSED: return "over the cgroup's event budget";
	case CRIER_LOSS_OUTPUT_BUDGET: return "over --max-output-bytes";
	case CRIER_LOSS_SINK_FULL: return "the output did not take them";
	case CRIER_LOSS_HOLD_FULL: return "the holding queue was full";
	case CRIER_LOSS_TOO_LONG: return "the line was too long after every cut";
	case CRIER_LOSS_INVALID_RECORD: return "the record did not decode";
	case CRIER_LOSS_RECURSION: return "the kernel refused to run a program within itself";
	default: return "cause unknown";
	}
}

static void put_loss(struct crier_buf *buf, const struct crier_data_loss *data)
{
	bool is_budget = data->cause == CRIER_LOSS_SUPPRESSED || data->cause == CRIER_LOSS_OUTPUT_BUDGET;

	crier_buf_put_u64(buf, sum(data->count, 0));
	crier_buf_put_char(buf, ' ');
	crier_buf_put_str(buf, data->class_name ? data->class_name : "unclassified");
	crier_buf_put_str(buf, data->count == 1 ? " event " : " events ");
	crier_buf_put_str(buf, is_budget ? "suppressed: " : "lost: ");
	crier_buf_put_str(buf, loss_words(data->cause));
}

static void put_agent_stop(struct crier_buf *buf, const struct crier_data_stop *data)
{
	PUT(buf, "crier stops (");
	crier_story_text(buf, data->reason, 64);
	PUT(buf, ") after ");
	crier_put_duration(buf, sum(data->uptime_ms, 0));
	PUT(buf, ": ");
	put_counts(buf, data->lines, &data->bulk, &data->critical);
}

void crier_story_agent(struct crier_buf *buf, const struct crier_event *event)
{
	switch (event->type) {
	case CRIER_TYPE_AGENT_START: put_agent_start(buf, event->data); break;
	case CRIER_TYPE_AGENT_HEALTH: put_health(buf, event->data); break;
	case CRIER_TYPE_AGENT_STATS: put_stats(buf, event->data); break;
	case CRIER_TYPE_AGENT_LOSS: put_loss(buf, event->data); break;
	case CRIER_TYPE_AGENT_STOP: put_agent_stop(buf, event->data); break;
	default: break;
	}
}
