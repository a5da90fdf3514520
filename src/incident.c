/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/incident.h"

#include <signal.h>
#include <stdlib.h>

#include "crier/base/cleanup.h"

static bool same_process(struct crier_process_key a, struct crier_process_key b)
{
	return a.pid != 0 && a.pid == b.pid && a.start_ns == b.start_ns;
}

static uint64_t age(uint64_t now_ns, uint64_t then_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0; /* the rings merge by time, but not across turns */
}

/* How long an item keeps its incident open for later facts. */
static uint64_t window_of(const struct crier_incident_fact *fact)
{
	switch (fact->type) {
	case CRIER_TYPE_CONTAINER_MEMORY_PRESSURE: return CRIER_INCIDENT_PRESSURE_WINDOW_NS;
	case CRIER_TYPE_PROCESS_SIGNAL:
		return fact->is_stop ? CRIER_INCIDENT_STOP_WINDOW_NS : CRIER_INCIDENT_SIGNAL_WINDOW_NS;
	default: return CRIER_INCIDENT_OOM_WINDOW_NS;
	}
}

/* The OOM killer sends SIGKILL just before it marks the victim: the signal comes first and must not open its own story. */
static bool is_oom_kill(const struct crier_incident_fact *fact)
{
	return fact->from_kernel && fact->signal == SIGKILL;
}

static bool leads_to_oom_kill(const struct crier_incident_fact *then, uint64_t now_ns)
{
	if (then->type == CRIER_TYPE_CONTAINER_MEMORY_PRESSURE)
		return true;
	return (then->type == CRIER_TYPE_CONTAINER_OOM || then->type == CRIER_TYPE_NODE_OOM) &&
	       age(now_ns, then->now_ns) <= CRIER_INCIDENT_GROUP_WINDOW_NS;
}

/*
 * Does `fact` belong to the same death as `item`?
 *  - the same process: a signal and its exit, a SIGKILL and the OOM record that follows it
 *  - OOM victims of one kill share the trigger (memory.oom.group kills many)
 *  - an OOM in a container under pressure
 *  - the end of init, or of the container, right after any death in it
 *  - a container's end after a stop signal to its init
 */
static bool belongs(const struct crier_incident_item *item, const struct crier_incident_fact *fact)
{
	const struct crier_incident_fact *then = &item->fact;

	if (age(fact->now_ns, then->now_ns) > window_of(then))
		return false;
	if (then->type == CRIER_TYPE_CONTAINER_MEMORY_PRESSURE && then->now_ns > fact->now_ns)
		return false; /* sampled later than what it would explain */
	if (same_process(then->key, fact->key))
		return true;
	switch (fact->type) {
	case CRIER_TYPE_CONTAINER_OOM:
	case CRIER_TYPE_NODE_OOM:
		return then->type == CRIER_TYPE_CONTAINER_MEMORY_PRESSURE ||
		       (then->type == fact->type && same_process(then->trigger, fact->trigger));
	case CRIER_TYPE_PROCESS_EXIT: return fact->is_init && then->type == CRIER_TYPE_CONTAINER_OOM;
	case CRIER_TYPE_CONTAINER_EXITED:
		return then->is_init || then->is_stop || then->type == CRIER_TYPE_CONTAINER_OOM;
	case CRIER_TYPE_CONTAINER_MEMORY_PRESSURE: return then->type == CRIER_TYPE_CONTAINER_MEMORY_PRESSURE;
	case CRIER_TYPE_PROCESS_SIGNAL:
		return (fact->is_stop && then->is_stop) ||
		       (is_oom_kill(fact) && leads_to_oom_kill(then, fact->now_ns));
	default: return false;
	}
}

enum tie { TIE_NONE, TIE_PRESSURE, TIE_DEATH };

/*
 * A death draws harder than a pressure: it may be sampled amid a group kill, and the victims after it are of the same kill as
 * those before.
 */
static enum tie tie_of(const struct crier_incident *incident, const struct crier_incident_fact *fact)
{
	enum tie tie = TIE_NONE;

	for (size_t k = 0; k < incident->count && tie < TIE_DEATH; k++)
		if (belongs(&incident->items[k], fact))
			tie = incident->items[k].fact.type == CRIER_TYPE_CONTAINER_MEMORY_PRESSURE
				      ? TIE_PRESSURE
				      : TIE_DEATH;
	return tie;
}

struct crier_incident *crier_incident_find(struct crier_incidents *set,
					   const struct crier_incident_fact *fact)
{
	struct crier_incident *best = NULL;
	enum tie best_tie = TIE_NONE;

	for (struct crier_incident *incident = set->open; incident; incident = incident->next) {
		enum tie tie = tie_of(incident, fact);

		if (tie < best_tie || tie == TIE_NONE)
			continue;
		if (tie > best_tie || incident->last_ns > best->last_ns) {
			best = incident;
			best_tie = tie;
		}
	}
	return best;
}

/* The story of the container itself must not be pushed out by its workers' ends. */
static bool is_containers_story(const struct crier_incident *incident)
{
	for (size_t k = 0; k < incident->count; k++) {
		const struct crier_incident_fact *fact = &incident->items[k].fact;

		if (fact->is_init || fact->is_stop || fact->type == CRIER_TYPE_CONTAINER_OOM)
			return true;
	}
	return false;
}

/* Does `a` make room before `b`? Workers' stories first, then the oldest. */
static bool gives_way(const struct crier_incident *a, const struct crier_incident *b)
{
	if (is_containers_story(a) != is_containers_story(b))
		return !is_containers_story(a);
	return a->last_ns < b->last_ns;
}

static struct crier_incident *take(struct crier_incident_pool *pool)
{
	struct crier_incident *incident = pool->spare;

	if (!incident)
		return malloc(sizeof(*incident));
	pool->spare = incident->next;
	pool->spares--;
	pool->least = crier_min(pool->least, pool->spares);
	return incident;
}

static void give_back(struct crier_incident_pool *pool, struct crier_incident *incident)
{
	incident->next = pool->spare;
	pool->spare = incident;
	pool->spares++;
}

static void free_spares(struct crier_incident_pool *pool, uint32_t count)
{
	for (; count > 0; count--)
		free(take(pool));
}

void crier_incident_pool_trim(struct crier_incident_pool *pool)
{
	free_spares(pool, pool->least);
	pool->least = pool->spares;
}

void crier_incident_pool_done(struct crier_incident_pool *pool)
{
	free_spares(pool, pool->spares);
}

/* A new one, or the one that makes room for it; NULL: none is open, and there is no memory. */
static struct crier_incident *open_one(struct crier_incidents *set, struct crier_incident_pool *pool)
{
	struct crier_incident **end = &set->open, *first = set->open;
	size_t count = 0;

	for (; *end; end = &(*end)->next, count++)
		if (gives_way(*end, first))
			first = *end;
	if (count == CRIER_INCIDENTS_OPEN)
		return first;
	*end = take(pool);
	if (!*end)
		return first;
	(*end)->next = NULL;
	return *end;
}

struct crier_incident *crier_incident_join(struct crier_incidents *set, struct crier_incident_pool *pool,
					   const struct crier_incident_fact *fact)
{
	struct crier_incident *incident = crier_incident_find(set, fact);

	if (incident)
		return incident;
	incident = open_one(set, pool);
	if (incident)
		*incident = (struct crier_incident){
			.next = incident->next, .id = ++pool->last_id, .last_ns = fact->now_ns};
	return incident;
}

void crier_incidents_done(struct crier_incidents *set, struct crier_incident_pool *pool)
{
	for (struct crier_incident *incident = set->open, *next; incident; incident = next) {
		next = incident->next;
		give_back(pool, incident);
	}
	set->open = NULL;
}

static bool is_over(const struct crier_incident *incident, uint64_t now_ns)
{
	for (size_t k = 0; k < incident->count; k++)
		if (age(now_ns, incident->items[k].fact.now_ns) <= window_of(&incident->items[k].fact))
			return false;
	return true;
}

bool crier_incidents_forget(struct crier_incidents *set, struct crier_incident_pool *pool, uint64_t now_ns)
{
	for (struct crier_incident **at = &set->open; *at;) {
		struct crier_incident *incident = *at;

		if (!is_over(incident, now_ns)) {
			at = &incident->next;
			continue;
		}
		*at = incident->next;
		give_back(pool, incident);
	}
	return set->open;
}

void crier_incident_add(struct crier_incident *incident, const struct crier_incident_fact *fact, uint64_t seq)
{
	if (!incident)
		return;
	/* When full the latest item makes room: how it began and how it ended matter most. */
	size_t slot = incident->count < CRIER_TIMELINE_MAX ? incident->count++ : CRIER_TIMELINE_MAX - 1;

	incident->items[slot] = (struct crier_incident_item){*fact, seq};
	if (fact->now_ns > incident->last_ns)
		incident->last_ns = fact->now_ns;
	if (fact->type == CRIER_TYPE_CONTAINER_OOM || fact->type == CRIER_TYPE_NODE_OOM)
		incident->victims++;
}

static enum crier_basis basis_of(const struct crier_incident_fact *then,
				 const struct crier_incident_fact *fact)
{
	switch (fact->type) {
	case CRIER_TYPE_CONTAINER_OOM:
	case CRIER_TYPE_NODE_OOM:
		return then->type == CRIER_TYPE_CONTAINER_MEMORY_PRESSURE ? CRIER_BASIS_SAME_CGROUP_WINDOW
									  : CRIER_BASIS_NONE;
	case CRIER_TYPE_PROCESS_EXIT:
		if (then->type == CRIER_TYPE_CONTAINER_OOM || then->type == CRIER_TYPE_NODE_OOM)
			return same_process(then->key, fact->key) ? CRIER_BASIS_SAME_TASK
								  : CRIER_BASIS_SAME_CGROUP_WINDOW;
		if (then->type == CRIER_TYPE_PROCESS_SIGNAL && same_process(then->key, fact->key) &&
		    (then->signal == fact->signal || then->is_stop))
			return CRIER_BASIS_SIGNAL_TARGET;
		return CRIER_BASIS_NONE;
	case CRIER_TYPE_CONTAINER_EXITED:
		if (then->type == CRIER_TYPE_PROCESS_EXIT)
			return then->is_init ? CRIER_BASIS_SAME_TASK : CRIER_BASIS_NONE;
		if (then->type == CRIER_TYPE_PROCESS_SIGNAL)
			return then->is_init ? CRIER_BASIS_SIGNAL_TARGET : CRIER_BASIS_NONE;
		if (then->type == CRIER_TYPE_CONTAINER_OOM)
			return same_process(then->key, fact->key) ? CRIER_BASIS_SAME_TASK
								  : CRIER_BASIS_SAME_CGROUP_WINDOW;
		return CRIER_BASIS_NONE;
	default: return CRIER_BASIS_NONE;
	}
}

void crier_incident_explain(const struct crier_incident *incident, const struct crier_incident_fact *fact,
			    struct crier_correlation *correlation)
{
	if (!incident)
		return;
	correlation->incident = incident->id;
	/* newest first: the nearest cause leads */
	for (size_t k = incident->count; k-- > 0 && correlation->cause_count < CRIER_CAUSES_MAX;) {
		const struct crier_incident_item *item = &incident->items[k];
		enum crier_basis basis = basis_of(&item->fact, fact);

		if (basis == CRIER_BASIS_NONE)
			continue;
		correlation->causes[correlation->cause_count++] = (struct crier_cause){
			.seq = item->seq,
			.kind = (uint8_t)item->fact.type,
			.basis = (uint8_t)basis,
			.filtered = item->seq == CRIER_UNKNOWN_U64,
			.delta_ms = age(fact->now_ns, item->fact.now_ns) / 1000000,
		};
	}
}

size_t crier_incident_timeline(const struct crier_incident *incident, uint64_t unix_offset_ns,
			       struct crier_timeline_item ret_items[CRIER_TIMELINE_MAX])
{
	for (size_t k = 0; incident && k < incident->count; k++)
		ret_items[k] = (struct crier_timeline_item){
			.seq = incident->items[k].seq,
			.type = (uint8_t)incident->items[k].fact.type,
			.ts = incident->items[k].fact.now_ns + unix_offset_ns,
		};
	return incident ? incident->count : 0;
}
