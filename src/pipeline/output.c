/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out: attribution is written into the event, the user's filter asked, the budget and the sink's room checked,
 * a number given, the line rendered. Every event that comes in here is counted into exactly one of emitted, filtered,
 * suppressed and lost.
 */
#include "internal.h"

#include <errno.h>

#define BULK_ROOM_SHARE 4 /* the last quarter of the sink's buffer is for critical lines */

static uint8_t reason_of(const struct crier_pipeline *p, const struct crier_life *life)
{
	if (!p->cri_enabled)
		return CRIER_REASON_CRI_OFF;
	if (life && life->hold_full)
		return CRIER_REASON_HOLD_FULL;
	if (p->is_stopping && life && life->ask == ASK_WAITING)
		return CRIER_REASON_STOPPING;
	if (life) {
		switch (life->missing) {
		case CRIER_META_NOT_FOUND: return CRIER_REASON_CRI_NOT_FOUND;
		case CRIER_META_INVALID:
		case CRIER_META_REFUSED: return CRIER_REASON_CRI_INVALID;
		case CRIER_META_TIMEOUT: return CRIER_REASON_CRI_TIMEOUT;
		default: break;
		}
	}
	if (!p->cri_up)
		return CRIER_REASON_CRI_DOWN;
	return CRIER_REASON_CRI_TIMEOUT;
}

bool crier_is_containers(const struct crier_cgroup *cgroup)
{
	return cgroup &&
	       (cgroup->kind == CRIER_CGROUP_KIND_CONTAINER || cgroup->kind == CRIER_CGROUP_KIND_NESTED);
}

enum crier_limit_level crier_level_of(const struct crier_cgroup *cgroup)
{
	switch (cgroup->kind) {
	case CRIER_CGROUP_KIND_CONTAINER:
	case CRIER_CGROUP_KIND_NESTED: return CRIER_LEVEL_CONTAINER;
	case CRIER_CGROUP_KIND_POD: return CRIER_LEVEL_POD;
	case CRIER_CGROUP_KIND_QOS: return CRIER_LEVEL_QOS;
	case CRIER_CGROUP_KIND_KUBEPODS: return CRIER_LEVEL_KUBEPODS;
	default: return CRIER_LEVEL_OTHER;
	}
}

/* Who told most: while the container has no name, or never has one, that is who named its pod. */
static uint8_t source_of(uint8_t own, bool is_named, const struct crier_pod *pod)
{
	return pod && !is_named ? crier_max(own, pod->source) : own;
}

void crier_output_attribute(struct crier_pipeline *p, struct crier_event *event,
			    const struct crier_subject *subject, uint64_t wait_ns)
{
	struct crier_attribution *a = &event->attribution;

	event->container = subject->container;
	event->pod = subject->pod;
	if (subject->cgroup) {
		if (event->cgroup.id == CRIER_UNKNOWN_U64)
			event->cgroup.id = subject->cgroup->id;
		if (subject->cgroup->path)
			event->cgroup.path =
				(struct crier_slice){subject->cgroup->path, subject->cgroup->path_len};
		event->cgroup.version = p->start.layout.primary_is_v2 ? 2 : 1;
	}
	a->wait_us = wait_ns / 1000;
	if (subject->container) {
		bool full = crier_container_is_identified(subject->container);

		a->status = full ? CRIER_ATTRIBUTION_FULL : CRIER_ATTRIBUTION_PARTIAL;
		a->source = source_of(subject->container->source, subject->container->name.len > 0,
				      subject->container->pod);
		a->via = subject->via;
		if (!full)
			a->reason = reason_of(p, subject->life);
	} else if (crier_is_containers(subject->cgroup)) {
		a->status =
			CRIER_ATTRIBUTION_PARTIAL; /* the path names one, but the table had no place for it */
		a->source = CRIER_SOURCE_CGROUP_PATH;
		a->via = subject->via;
		a->reason = CRIER_REASON_TABLE_FULL;
	} else if (subject->cgroup && subject->cgroup->path && subject->pod) {
		a->status = CRIER_ATTRIBUTION_PARTIAL;
		a->source = source_of(CRIER_SOURCE_CGROUP_PATH, false, subject->pod);
		a->via = subject->via;
		a->reason = CRIER_REASON_POD_LEVEL;
	} else if (subject->cgroup && !subject->cgroup->path && subject->pod) {
		a->status =
			CRIER_ATTRIBUTION_PARTIAL; /* below the pod's directory, more is not known of it */
		a->source = CRIER_SOURCE_CGROUP_PATH;
		a->via = subject->via;
		a->reason = CRIER_REASON_CGROUP_UNKNOWN;
	} else if (subject->cgroup && subject->cgroup->path) {
		a->status = CRIER_ATTRIBUTION_HOST;
		a->source = CRIER_SOURCE_CGROUP_PATH;
	} else {
		a->status = CRIER_ATTRIBUTION_NONE;
		a->reason = subject->no_room ? CRIER_REASON_TABLE_FULL : CRIER_REASON_CGROUP_UNKNOWN;
	}
}

void crier_output_begin(struct crier_pipeline *p, struct crier_event *event, enum crier_type type,
			struct crier_life *life, uint64_t boottime_ns)
{
	struct crier_subject subject = {
		.cgroup = life->cgroup,
		.container = life->container,
		.life = life,
		.pod = life->container->pod,
		.via = life->container->cgroup_id != CRIER_UNKNOWN_U64 ? CRIER_VIA_CGROUP_ID : CRIER_VIA_CRI,
	};

	crier_event_init(event, type);
	event->boottime_ns = boottime_ns;
	event->hook = CRIER_HOOK_USER;
	if (!subject.cgroup && life->container->cgroup_id != CRIER_UNKNOWN_U64)
		subject.cgroup = crier_cgroup_get(p->cgroups, life->container->cgroup_id);
	crier_output_attribute(p, event, &subject, p->wait_ns);
	if (life->container->type == CRIER_CONTAINER_TYPE_SANDBOX &&
	    crier_type_info(type)->severity <= CRIER_SEVERITY_INFO)
		event->severity = CRIER_SEVERITY_DEBUG; /* pause containers are not what a person looks for */
}

void crier_output_lost(struct crier_pipeline *p, enum crier_loss_cause cause, enum crier_wire_class ring,
		       uint64_t count, uint64_t at_ns)
{
	(void)crier_output_tally(p, cause, ring, count, at_ns, at_ns);
}

struct crier_loss_tally *crier_output_tally(struct crier_pipeline *p, enum crier_loss_cause cause,
					    unsigned ring, uint64_t count, uint64_t first_ns,
					    uint64_t last_ns)
{
	struct crier_loss_tally *tally = &p->losses[cause][ring];

	if (!tally->count)
		tally->first_ns = first_ns;
	tally->count += count;
	tally->last_ns = last_ns;
	if (!p->loss_pending)
		p->loss_due_ns = p->now_ns + SECOND_NS;
	p->loss_pending = true;
	return tally;
}

/* Bulk bytes a second, with one second's worth to save up. */
static bool within_budget(struct crier_pipeline *p)
{
	uint64_t rate = p->config->max_output_bytes;

	if (rate == 0)
		return true;
	uint64_t passed = crier_min(p->now_ns - p->budget_ns, SECOND_NS);
	uint64_t earned = (uint64_t)((__uint128_t)rate * passed / SECOND_NS);

	if (earned) {
		p->budget_bytes = crier_min(p->budget_bytes + earned, rate);
		p->budget_ns = p->now_ns;
	}
	return p->budget_bytes > 0;
}

static int render(struct crier_pipeline *p, const struct crier_event *event, struct crier_buf *buf)
{
	char *place = p->host.place ? p->host.place(p->host.ctx, sizeof(p->line)) : NULL;

	crier_buf_init(buf, place ? place : p->line, sizeof(p->line));
	if (p->config->output == CRIER_OUTPUT_TEXT)
		return crier_emit_text(&p->emit, event, p->config->colour, buf);
	return crier_emit_json(&p->emit, event, p->seq + 1, buf);
}

static bool has_room(const struct crier_pipeline *p, size_t len, enum crier_wire_class ring)
{
	size_t reserved = ring == CRIER_CLASS_BULK ? p->room_total / BULK_ROOM_SHARE : 0;

	return p->room >= len + reserved;
}

bool crier_output_is_roomy(const struct crier_pipeline *p)
{
	return p->room >= p->room_total / 2;
}

uint64_t crier_output(struct crier_pipeline *p, struct crier_event *event, enum crier_wire_class ring,
		      bool made_here)
{
	struct crier_account *account = &p->account[ring];
	struct crier_buf buf;

	if (made_here)
		account->made++;
	switch (crier_filter_check(p->filter, event)) {
	case CRIER_VERDICT_FILTERED: account->filtered++; return CRIER_UNKNOWN_U64;
	case CRIER_VERDICT_UNDETERMINED: event->undetermined_filter = 1; break;
	default: break;
	}
	if (ring == CRIER_CLASS_BULK && !within_budget(p)) {
		account->suppressed++;
		crier_output_lost(p, CRIER_LOSS_OUTPUT_BUDGET, ring, 1, event->boottime_ns);
		return CRIER_UNKNOWN_U64;
	}
	if (render(p, event, &buf) < 0) {
		account->lost++;
		crier_output_lost(p, CRIER_LOSS_TOO_LONG, ring, 1, event->boottime_ns);
		return CRIER_UNKNOWN_U64;
	}
	if (!has_room(p, buf.len, ring)) {
		account->lost++;
		crier_output_lost(p, CRIER_LOSS_SINK_FULL, ring, 1, event->boottime_ns);
		return CRIER_UNKNOWN_U64;
	}
	if (ring == CRIER_CLASS_BULK && p->config->max_output_bytes)
		p->budget_bytes -= crier_min(p->budget_bytes, (uint64_t)buf.len);
	p->seq++;
	p->room -= buf.len;
	p->lines++;
	p->bytes += buf.len;
	p->attribution[event->attribution.status]++;
	account->emitted++;
	if (event->attribution.status == CRIER_ATTRIBUTION_PARTIAL ||
	    event->attribution.status == CRIER_ATTRIBUTION_NONE)
		crier_mend_note(p, event, p->seq);
	p->host.line(p->host.ctx, buf.data, buf.len, ring == CRIER_CLASS_CRITICAL);
	return p->seq;
}
