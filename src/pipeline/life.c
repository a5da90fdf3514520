/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's life in the pipeline: made, ticked, told as a snapshot, dropped. What is asked about it and what waits for
 * the answer: wait.c.
 */
#include "internal.h"

#include <errno.h>

/* How long a line that may wait does so for room, at a time. */
#define LINE_AGAIN_NS (100 * MS_NS)

void crier_life_schedule(struct crier_pipeline *p, struct crier_life *life)
{
	uint64_t due = NEVER;

	if (life->hold_until_ns)
		due = crier_min(due, life->hold_until_ns);
	if (life->next_ask_ns)
		due = crier_min(due, life->next_ask_ns);
	if (life->next_look_ns)
		due = crier_min(due, life->next_look_ns);
	if (life->dying_until_ns)
		due = crier_min(due, life->dying_until_ns);
	if (life->line_ns)
		due = crier_min(due, life->line_ns);
	if (life->pressure_next_ns)
		due = crier_min(due, life->pressure_next_ns);
	life->due_ns = due;
	p->busy_due_ns = crier_min(p->busy_due_ns, due);
	crier_list_remove(&life->busy);
	if (due != NEVER)
		crier_list_append(&p->busy, &life->busy);
}

static bool bury_dead(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	const struct crier_life *life = container->life;

	if (!life || !life->exited_told || crier_index_is_tombstone(container))
		return true;
	crier_index_container_bury(p->index, container, p->now_ns);
	return false;
}

/* In a full table one that has ended, and that its runtime still keeps, makes room. @return false: all are alive */
static bool bury_one_dead(struct crier_pipeline *p)
{
	struct crier_index_counts before, after;

	crier_index_counts(p->index, &before);
	crier_index_each(p->index, bury_dead, p);
	crier_index_counts(p->index, &after);
	return after.containers < before.containers;
}

struct crier_life *crier_life_get(struct crier_pipeline *p, struct crier_slice id)
{
	struct crier_container *container;

	int r = crier_index_container_add(p->index, id, p->now_ns, &container);

	if (r == -ENOSPC && bury_one_dead(p))
		r = crier_index_container_add(p->index, id, p->now_ns, &container);
	if (r < 0)
		return NULL;
	struct crier_life *life = container->life;

	if (!life) {
		life = calloc(1, sizeof(*life));
		if (!life)
			return NULL;
		life->container = container;
		life->key = ++p->key_counter;
		crier_list_init(&life->busy);
		crier_list_init(&life->asked);
		crier_list_init(&life->dying);
		container->life = life;
	}
	return life;
}

/* Called when the index gives a container's memory back. */
void crier_life_drop(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (!life)
		return;
	crier_life_settle(p, life);
	crier_mend_drop(p, life);
	if (life->cgroups) /* a walk over all of them: rare, since cgroups are forgotten before their container */
		crier_cgroup_unlink_container(p->cgroups, container);
	if (life->pressure_next_ns)
		crier_watch_end(p, life);
	crier_list_remove(&life->busy);
	crier_list_remove(&life->asked);
	crier_list_remove(&life->dying);
	container->life = NULL;
	crier_incidents_done(&life->incidents, &p->incident_pool);
	free(life->watched);
	free(life->ending);
	free(life);
}

/* Called when a pod's memory goes: it was merged into the one its sandbox id named, or is gone for good. */
void crier_life_pod_drop(void *ctx, struct crier_pod *pod, struct crier_pod *into)
{
	struct crier_pipeline *p = ctx;

	crier_cgroup_repoint_pod(p->cgroups, pod, into);
}

/* The end of everything: no line is made any more. */
bool crier_life_free(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (!life)
		return true;
	crier_incidents_done(&life->incidents, &p->incident_pool);
	free(life->watched);
	free(life->ending);
	free(life);
	container->life = NULL;
	return true;
}

static void tell_paced(struct crier_pipeline *p, struct crier_life *life)
{
	life->line_ns = 0;
	if (life->want_removed)
		crier_removed_paced(p, life);
	else if (life->want_snapshot)
		crier_life_snapshot_paced(p, life);
}

void crier_life_tick(struct crier_pipeline *p, struct crier_life *life)
{
	if (life->next_look_ns && p->now_ns >= life->next_look_ns)
		crier_life_look_again(p, life);
	if (life->hold_until_ns && p->now_ns >= life->hold_until_ns)
		crier_life_settle(p, life);
	if (life->next_ask_ns && p->now_ns >= life->next_ask_ns)
		crier_life_ask(p, life);
	if (life->pressure_next_ns && p->now_ns >= life->pressure_next_ns)
		crier_watch_sample(p, life);
	if (life->line_ns && p->now_ns >= life->line_ns)
		tell_paced(p, life);
	if (life->dying_until_ns && p->now_ns >= life->dying_until_ns)
		crier_death_due(p, life);
	crier_life_schedule(p, life);
}

static void tell_kernel_of_init(struct crier_pipeline *p, const struct crier_life *life, bool add)
{
	const struct crier_container *container = life->container;
	bool is_exact = container->init_start_ns != CRIER_UNKNOWN_U64 && !life->init_by_ticks;

	if (container->init_pid <= UINT32_MAX)
		p->host.init_pid(p->host.ctx, (uint32_t)container->init_pid,
				 is_exact ? container->init_start_ns : 0, add);
}

void crier_life_set_init(struct crier_pipeline *p, struct crier_life *life, uint32_t pid, uint64_t start_ns,
			 bool by_ticks)
{
	struct crier_container *container = life->container;

	if (container->init_pid != pid) {
		tell_kernel_of_init(p, life, false);
		container->init_pid = pid;
		container->init_start_ns =
			CRIER_UNKNOWN_U64; /* another pid's start says nothing of this one */
		life->init_stated_ns = p->now_ns;
		container->version++;
	}
	if (start_ns != CRIER_UNKNOWN_U64) {
		container->init_start_ns = start_ns;
		life->init_by_ticks = by_ticks;
	}
	life->init_is_guessed = false;
	tell_kernel_of_init(p, life, true);
}

void crier_life_unset_init(struct crier_pipeline *p, struct crier_life *life)
{
	tell_kernel_of_init(p, life, false);
}

void crier_life_snapshot_soon(struct crier_pipeline *p, struct crier_life *life)
{
	if (!life->want_snapshot || !p->ready || life->hold_until_ns)
		return; /* told when it is settled */
	if (life->ask == ASK_WAITING) {
		life->line_ns = p->now_ns + p->config->hold_age_ms * MS_NS;
		crier_life_schedule(p, life);
	} else {
		crier_life_snapshot_paced(p, life);
	}
}

void crier_life_snapshot_paced(struct crier_pipeline *p, struct crier_life *life)
{
	if (crier_life_has_room(p, life))
		crier_life_snapshot(p, life);
	else
		life->want_snapshot = true;
}

bool crier_life_has_room(struct crier_pipeline *p, struct crier_life *life)
{
	if (crier_output_is_roomy(p))
		return true;
	life->line_ns = p->now_ns + LINE_AGAIN_NS;
	crier_life_schedule(p, life);
	return false;
}

void crier_life_snapshot(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;
	struct crier_data_snapshot data;
	struct crier_event event;

	life->want_snapshot = false;
	life->line_ns = 0;
	if (container->type == CRIER_CONTAINER_TYPE_SANDBOX ||
	    container->phase >= CRIER_PHASE_CONTAINER_EXITED)
		return;
	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_SNAPSHOT, life, p->now_ns);
	crier_data_init(CRIER_TYPE_CONTAINER_SNAPSHOT, &data);
	data.state = container->phase == CRIER_PHASE_CONTAINER_RUNNING ? CRIER_STATE_RUNNING
								       : container->cri_state;
	struct crier_usage usage;

	if (life->cgroup && life->cgroup->path && crier_watch_usage(p, life->cgroup->path, &usage)) {
		data.memory_usage_bytes = usage.bytes;
		data.working_set_bytes = usage.working_set_bytes;
	}
	if (container->init_start_ns != CRIER_UNKNOWN_U64 && p->now_ns > container->init_start_ns)
		data.uptime_ms = (p->now_ns - container->init_start_ns) / MS_NS;
	event.data = &data;
	(void)crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
}
