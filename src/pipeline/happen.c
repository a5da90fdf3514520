/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime's event stream tells: who a container is the moment it is created, its last words the moment it ends, and
 * that it is gone. An event may come before the kernel's records of the same thing, after them, or beside an answer that
 * says more; so it fills what is unset, and an end waits a while for the kernel's own word.
 */
#include "internal.h"

/* Only the runtime spoke; the record of init's exit may still lie in the ring. */
static void begin_end(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_death death = {.boottime_ns = p->now_ns, .from_runtime = true};

	crier_death_begin(p, life, &death);
}

/*
 * Status and words of the end are the runtime's ContainerStatus, only sent unasked: they rank as an answer does, or a reason
 * told while it ran (a killed child) would stand.
 */
static void take_last_words(struct crier_pipeline *p, struct crier_life *life)
{
	const struct crier_meta_container *told = &p->message.container;
	struct crier_meta_container words;

	if (told->state != CRIER_STATE_EXITED)
		return;
	words = (struct crier_meta_container){
		.id = told->id,
		.reason = told->reason,
		.message = told->message,
		.state = told->state,
		.restart_count = CRIER_UNKNOWN_U64,
		.created_at_ns = CRIER_UNKNOWN_U64,
		.started_at_ns = told->started_at_ns,
		.finished_at_ns = told->finished_at_ns,
		.exit_code = told->exit_code,
		.pid = CRIER_UNKNOWN_U64,
		.memory_limit_bytes = CRIER_UNKNOWN_U64,
		.cpu_quota_us = CRIER_UNKNOWN_U64,
		.cpu_period_us = CRIER_UNKNOWN_U64,
		.grace_period_s = CRIER_UNKNOWN_U64,
	};
	(void)crier_index_merge_container(p->index, life->container, &words, CRIER_SOURCE_CRI);
}

static void stopped(struct crier_pipeline *p, struct crier_life *life)
{
	if (life->dying_until_ns && !life->death.from_runtime)
		crier_death_finish(p, life);
	else
		begin_end(p, life);
}

/* Processes in its cgroup are proof of the contrary: then the kernel's word on them, or the lists', is waited for. */
static void deleted(struct crier_pipeline *p, struct crier_life *life)
{
	life->deleted_ns = crier_max(p->now_ns, 1ULL);
	if (life->exited_told)
		crier_removed(p, life, CRIER_REMOVED_RUNTIME);
	else if (life->dying_until_ns && !life->death.from_runtime)
		crier_death_finish(p, life); /* no more words will come */
	else if (!crier_mail_is_peopled(p, life))
		begin_end(p, life);
}

/* What it was that waited for a name has one, or what it was that left without is mended. */
static void settle(struct crier_pipeline *p, struct crier_life *life)
{
	if (life->hold_until_ns && crier_container_is_identified(life->container))
		crier_life_settle(p, life);
	crier_mail_named(p, life);
	crier_life_schedule(p, life);
}

static void container_event(struct crier_pipeline *p, struct crier_life *life, uint64_t event)
{
	bool has_status = p->message.container.id.len > 0;

	if (has_status) {
		crier_mail_merge_container(p, life, &p->message, CRIER_SOURCE_CRI_EVENT);
		take_last_words(p, life);
	}
	if (event != CRIER_META_EVENT_DELETED) {
		life->answered_ns = p->now_ns;
		life->lists_missed = 0;
	}
	if (event == CRIER_META_EVENT_STARTED && !life->exited_told && life->ask != ASK_ANSWERED &&
	    life->ask != ASK_WAITING)
		crier_life_ask(p, life); /* an event has no pid */
	settle(p, life);
	if (event == CRIER_META_EVENT_STOPPED)
		stopped(p, life);
	else if (event == CRIER_META_EVENT_DELETED)
		deleted(p, life);
}

static void sandbox_event(struct crier_pipeline *p, struct crier_life *life, uint64_t event)
{
	struct crier_pod *pod = crier_index_pod_by_sandbox(p->index, p->message.id);

	/* a message about what is gone would bring it back */
	if (event != CRIER_META_EVENT_DELETED && p->message.pod.sandbox_id.len)
		pod = crier_mail_merge_pod(p, &p->message.pod, CRIER_SOURCE_CRI_EVENT);
	if (!life) {
		if (event == CRIER_META_EVENT_DELETED && pod)
			crier_index_pod_gone(p->index, pod, p->now_ns);
		return; /* a sandbox without a cgroup of its own has no events */
	}
	if (event == CRIER_META_EVENT_DELETED) {
		deleted(p, life);
		return;
	}
	if (pod)
		crier_mail_merge_sandbox(p, life, pod, &p->message.pod, CRIER_SOURCE_CRI_EVENT);
	life->answered_ns = p->now_ns;
	life->lists_missed = 0;
	settle(p, life);
	if (event == CRIER_META_EVENT_STOPPED && life->dying_until_ns)
		crier_death_finish(p, life);
}

void crier_happen(struct crier_pipeline *p)
{
	const struct crier_meta_message *message = &p->message;
	struct crier_slice id = message->id;
	struct crier_life *life = crier_mail_life(p, id);
	uint64_t event = message->event;

	p->cri_events++;
	if (event == CRIER_META_EVENT_NONE)
		return;
	if (crier_slice_equal(id, message->pod.sandbox_id) || crier_index_pod_by_sandbox(p->index, id)) {
		sandbox_event(p, life, event);
		return;
	}
	if (!life && message->container.id.len && event != CRIER_META_EVENT_DELETED)
		life = crier_life_get(p, id);
	if (life)
		container_event(p, life, event);
}
