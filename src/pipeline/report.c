/* SPDX-License-Identifier: Apache-2.0 */
/* What crier says of itself: agent.start, health, stats, loss, stop. Nothing is lost without being told here. */
#include "internal.h"
#include "crier/names.h"

#include <jansson.h>

static uint64_t tell(struct crier_pipeline *p, enum crier_type type, const void *data, uint8_t severity)
{
	struct crier_event event;

	crier_event_init(&event, type);
	event.boottime_ns = p->now_ns;
	event.severity = severity;
	event.attribution.status = CRIER_ATTRIBUTION_HOST;
	event.data = data;
	return crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
}

#define HOOKS_MAX    CRIER_PROBE_EVENT_COUNT
#define DEGRADED_MAX 24

void crier_report_start(struct crier_pipeline *p, struct crier_slice json)
{
	json_t *root = json_loadb(json.ptr, json.len, 0, NULL);
	json_t *hooks = json_object_get(root, "hooks");
	json_t *degraded = json_object_get(root, "degraded");
	struct crier_hook_choice choices[HOOKS_MAX];
	struct crier_degraded notes[DEGRADED_MAX];
	struct crier_data_agent_start data;
	const struct crier_start *start = &p->start;

	crier_data_init(CRIER_TYPE_AGENT_START, &data);
	data.version = crier_slice_of(CRIER_VERSION);
	data.kernel = crier_slice_of(start->kernel);
	data.config_path = crier_slice_of(p->config->config_path);
	data.profile = crier_slice_of(crier_profile_names[p->config->profile]);
	data.cgroup_mode = crier_slice_of(crier_cgroup_mode_name(start->layout.mode));
	data.cgroup_driver = crier_slice_of(start->layout.driver);
	data.cri_socket = start->cri_socket[0] ? crier_slice_of(start->cri_socket) : CRIER_SLICE_NONE;
	data.cri_events = start->cri_socket[0] ? crier_cri_events_names[p->config->cri_events] : NULL;
	data.hooks = choices;
	for (size_t i = 0; i < json_array_size(hooks) && i < HOOKS_MAX; i++) {
		json_t *item = json_array_get(hooks, i);
		bool is_served = crier_json_text(item, "chosen").len > 0;

		if (crier_slice_equal(crier_json_text(item, "event"), CRIER_SLICE("exec")))
			p->exec_unseen = !is_served;
		if (crier_slice_equal(crier_json_text(item, "event"), CRIER_SLICE("cgroup_mkdir")))
			p->mkdir_unseen = !is_served;
		choices[data.hook_count++] = (struct crier_hook_choice){
			.event = crier_json_text(item, "event").ptr,
			.chosen = crier_json_text(item, "chosen"),
			.refused = crier_json_text(item, "refused"),
		};
	}
	data.degraded = notes;
	for (size_t i = 0; i < json_array_size(degraded) && i < DEGRADED_MAX; i++) {
		json_t *item = json_array_get(degraded, i);

		notes[data.degraded_count++] = (struct crier_degraded){crier_json_text(item, "what"),
								       crier_json_text(item, "remedy")};
	}
	if (start->previous_instance[0]) {
		uint64_t started_at = start->boottime_ns + start->unix_offset_ns;

		data.previous.instance = crier_slice_of(start->previous_instance);
		data.previous.last_seq = start->previous_seq;
		data.previous.ended_at = start->previous_ended_at;
		data.previous.clean = start->previous_clean;
		if (started_at > start->previous_ended_at)
			data.previous.gap_ms = (started_at - start->previous_ended_at) / MS_NS;
	}
	tell(p, CRIER_TYPE_AGENT_START, &data,
	     data.degraded_count ? CRIER_SEVERITY_WARN : CRIER_SEVERITY_NONE);
	json_decref(root);
}

void crier_report_health(struct crier_pipeline *p, const char *component, const char *state,
			 struct crier_slice reason, struct crier_slice remedy)
{
	struct crier_data_health data;
	bool ok = strcmp(state, "ok") == 0;

	crier_data_init(CRIER_TYPE_AGENT_HEALTH, &data);
	data.component = crier_slice_of(component);
	data.state = state;
	data.reason = reason;
	data.remedy = remedy;
	if (strcmp(component, "cri") == 0 && ok) {
		data.runtime_name = p->message.runtime.name;
		data.runtime_version = p->message.runtime.version;
	}
	if (strcmp(component, "cri") == 0)
		data.event_stream = crier_stream_names[p->cri_stream];
	tell(p, CRIER_TYPE_AGENT_HEALTH, &data, ok ? CRIER_SEVERITY_INFO : CRIER_SEVERITY_WARN);
}

void crier_report_health_json(struct crier_pipeline *p, struct crier_slice json)
{
	static const char *const states[] = {"ok", "degraded", "down"};
	json_t *root = json_loadb(json.ptr, json.len, 0, NULL);
	struct crier_slice state = crier_json_text(root, "state");
	struct crier_slice component = crier_json_text(root, "component");

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(states) && component.ptr; i++)
		if (crier_slice_equal(state, crier_slice_of(states[i])))
			crier_report_health(p, component.ptr, states[i], crier_json_text(root, "reason"),
					    crier_json_text(root, "remedy"));
	json_decref(root);
}

/*
 * generated = emitted + filtered + suppressed + lost + held. The kernel's counters are totals at the time they were
 * read; what it had submitted by then and was not fed yet is held too.
 */
static void count_class(const struct crier_pipeline *p, unsigned ring, struct crier_class_counts *counts)
{
	const struct crier_wire_counters *kernel = &p->counters.kernel;
	const struct crier_account *account = &p->account[ring];

	/* what was fed after the counters were read had been generated after it too */
	uint64_t submitted = crier_max(kernel->submitted[ring], account->received);

	counts->generated = kernel->class_filtered[ring] + kernel->suppressed[ring] +
			    kernel->reserve_failed[ring] + submitted + account->made;
	counts->emitted = account->emitted;
	counts->filtered = account->filtered + kernel->class_filtered[ring];
	counts->suppressed = account->suppressed + kernel->suppressed[ring];
	counts->lost = account->lost + kernel->reserve_failed[ring];
	counts->held = account->held + (submitted - account->received);
}

void crier_report_stats(struct crier_pipeline *p)
{
	struct crier_cgroup_counts cgroups;
	struct crier_index_counts index;
	struct crier_hold_counts hold;
	struct crier_data_stats data;

	crier_data_init(CRIER_TYPE_AGENT_STATS, &data);
	crier_index_counts(p->index, &index);
	crier_hold_counts(p->hold, &hold);
	crier_cgroup_table_counts(p->cgroups, &cgroups);
	data.window_ms = (p->now_ns - p->stats_last_ns) / MS_NS;
	data.uptime_ms = (p->now_ns - p->start.boottime_ns) / MS_NS;
	count_class(p, CRIER_CLASS_BULK, &data.bulk);
	count_class(p, CRIER_CLASS_CRITICAL, &data.critical);
	data.lines = p->lines;
	data.bytes = p->bytes;
	data.containers = index.containers;
	data.tombstones = index.tombstones;
	data.pods = index.pods;
	data.cgroups = cgroups.living;
	data.held_events = hold.events;
	data.held_containers = hold.keys;
	data.held_bytes = hold.bytes;
	data.hold_full = hold.refused;
	data.containers_refused = index.refused_full;
	data.cgroups_refused = cgroups.refused_full;
	data.attribution_full = p->attribution[CRIER_ATTRIBUTION_FULL];
	data.attribution_partial = p->attribution[CRIER_ATTRIBUTION_PARTIAL];
	data.attribution_none = p->attribution[CRIER_ATTRIBUTION_NONE];
	data.attribution_host = p->attribution[CRIER_ATTRIBUTION_HOST];
	data.mending_open = p->mending.open;
	data.mending_mended = p->mending.mended;
	data.mending_expired = p->mending.expired;
	data.mending_evicted = p->mending.evicted;
	data.mending_not_container = p->mending.not_container;
	data.mending_final = p->mending.final;
	data.unnamed_containers = p->mending.unnamed_containers;
	data.cri_asked = p->cri_asked;
	data.cri_answered = p->cri_answered;
	data.cri_missing = p->cri_missing;
	data.cri_events = p->cri_events;
	data.cri_events_skipped = p->cri_events_skipped;
	memcpy(data.lookups_refused, p->sources.refused, sizeof(data.lookups_refused));
	if (p->counters_ns) {
		data.rss_bytes = p->counters.rss_bytes;
		data.cpu_ms = p->counters.cpu_ms;
		data.kernel_truncated = p->counters.kernel.truncated;
		data.kernel_lookup_missed = p->counters.kernel.lookup_missed;
		data.kernel_recursion_missed = p->counters.recursion_misses;
		data.kernel_class_map_full = p->counters.kernel.class_map_full;
	}
	data.records_invalid = p->invalid;
	p->stats_last_ns = p->now_ns;
	tell(p, CRIER_TYPE_AGENT_STATS, &data, CRIER_SEVERITY_NONE);
}

/* ---- loss ---- */

static void tell_loss(struct crier_pipeline *p, enum crier_loss_cause cause, const char *class_name,
		      uint64_t count, uint64_t first_ns, uint64_t last_ns,
		      const struct crier_loss_cgroup *top, size_t top_count)
{
	struct crier_data_loss data;

	crier_data_init(CRIER_TYPE_AGENT_LOSS, &data);
	data.cause = (uint8_t)cause;
	data.class_name = class_name;
	data.count = count;
	data.first_ns = first_ns;
	data.last_ns = last_ns;
	data.top_cgroups = top;
	data.top_cgroup_count = top_count;
	tell(p, CRIER_TYPE_AGENT_LOSS, &data, CRIER_SEVERITY_WARN);
}

static const char *const class_names[LOSS_CLASSES] = {"bulk", "critical", "control"};

static void add_top(struct crier_loss_tally *tally, const struct crier_input_counters *counters,
		    bool suppressed, unsigned ring)
{
	size_t n = 0;

	for (size_t i = 0;
	     i < counters->blame_count && i < CRIER_INPUT_BLAMES_MAX && n < CRIER_LOSS_CGROUPS_MAX; i++) {
		const struct crier_input_blame *blame = &counters->blames[i];
		uint64_t count = suppressed ? blame->suppressed[ring] : blame->failed[ring];

		if (count)
			tally->top[n++] = (struct crier_loss_cgroup){blame->cgroup_id, count};
	}
	if (n)
		tally->top_count = n;
}

/* What the kernel lost since its counters were read last joins the other losses: told together, and only when there is room. */
void crier_report_counters(struct crier_pipeline *p, const struct crier_input_counters *counters)
{
	uint64_t since = p->counters_ns ? p->counters_ns : p->start.boottime_ns;
	const struct crier_input_counters *last = &p->counters;
	uint64_t lost;

	for (unsigned ring = 0; ring < CRIER_CLASS_COUNT; ring++) {
		lost = counters->kernel.reserve_failed[ring] - last->kernel.reserve_failed[ring];
		if (lost)
			add_top(crier_output_tally(p, CRIER_LOSS_RESERVE_FAILED, ring, lost, since,
						   p->now_ns),
				counters, false, ring);
		lost = counters->kernel.suppressed[ring] - last->kernel.suppressed[ring];
		if (lost)
			add_top(crier_output_tally(p, CRIER_LOSS_SUPPRESSED, ring, lost, since, p->now_ns),
				counters, true, ring);
	}
	lost = counters->kernel.control_failed - last->kernel.control_failed;
	if (lost)
		(void)crier_output_tally(p, CRIER_LOSS_RESERVE_FAILED, LOSS_CONTROL, lost, since, p->now_ns);
	lost = counters->recursion_misses - last->recursion_misses;
	if (lost)
		(void)crier_output_tally(p, CRIER_LOSS_RECURSION, CRIER_CLASS_BULK, lost, since, p->now_ns);
	p->counters = *counters;
	p->counters_ns = p->now_ns;
	if (p->loss_pending)
		crier_report_losses(p);
}

/* They wait for room rather than being lost themselves. */
void crier_report_losses(struct crier_pipeline *p)
{
	p->loss_pending = false;
	p->loss_due_ns = NEVER;
	for (unsigned cause = 0; cause < CRIER_LOSS_COUNT; cause++) {
		for (unsigned ring = 0; ring < LOSS_CLASSES; ring++) {
			struct crier_loss_tally tally = p->losses[cause][ring];

			if (!tally.count)
				continue;
			if (p->room < CRIER_LINE_MAX) {
				p->loss_pending = true;
				p->loss_due_ns = p->now_ns + SECOND_NS;
				return;
			}
			p->losses[cause][ring] = (struct crier_loss_tally){0};
			tell_loss(p, (enum crier_loss_cause)cause, class_names[ring], tally.count,
				  tally.first_ns, tally.last_ns, tally.top, tally.top_count);
		}
	}
}

/* All hooks are off and the rings were drained: what the kernel submitted and nobody was fed is lost, whatever the cause. */
static void settle_accounts(struct crier_pipeline *p)
{
	for (unsigned ring = 0; ring < CRIER_CLASS_COUNT; ring++) {
		struct crier_account *account = &p->account[ring];
		uint64_t submitted = p->counters.kernel.submitted[ring];

		if (submitted <= account->received)
			continue;
		(void)crier_output_tally(p, CRIER_LOSS_UNREAD, ring, submitted - account->received,
					 p->counters_ns, p->now_ns);
		account->lost += submitted - account->received;
		account->received = submitted;
	}
}

void crier_report_stop(struct crier_pipeline *p, struct crier_slice json)
{
	json_t *root = json_loadb(json.ptr, json.len, 0, NULL);
	struct crier_data_stop data;

	settle_accounts(p);
	crier_report_losses(p);
	crier_data_init(CRIER_TYPE_AGENT_STOP, &data);
	data.reason = crier_json_text(root, "reason");
	data.uptime_ms = (p->now_ns - p->start.boottime_ns) / MS_NS;
	count_class(p, CRIER_CLASS_BULK, &data.bulk);
	count_class(p, CRIER_CLASS_CRITICAL, &data.critical);
	data.lines = p->lines;
	tell(p, CRIER_TYPE_AGENT_STOP, &data, CRIER_SEVERITY_NONE);
	json_decref(root);
}
