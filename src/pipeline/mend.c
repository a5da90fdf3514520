/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines that left without a full attribution, and what becomes of them: named by one container.resolved when their
 * container or cgroup is known after all, or given up with a counted reason. Nothing is kept of a line but its number.
 *
 * Two ledgers: of each container that had no name yet (in its life), and of each cgroup id that led nowhere (strangers, a
 * bounded table; the oldest gives way). `mends` of an event names exactly the lines of one ledger: a container's by its
 * own cgroup id or container id, a stranger's by cgroup id alone.
 */
#include "internal.h"

#include <errno.h>

#include "crier/base/hash.h"
#include "crier/base/map.h"

#define STRANGERS_MAX 1024u /* 112 KiB when all are in use, none before the first */
#define TRY_FIRST_NS  (10 * MS_NS)
#define TRY_LAST_NS   (10 * SECOND_NS)

/* A cgroup id that led to no container. */
struct stranger {
	struct crier_list by_age;
	uint64_t id;
	struct crier_unmended lines;
	uint64_t seen_ns; /* the last time it was met */
	uint64_t try_ns;  /* not looked up again before */
	uint32_t tries;
	struct crier_life *life; /* known by now, but its container has no name yet */
};

struct crier_strangers {
	struct crier_map by_id;
	struct crier_list used, free; /* oldest first */
	struct stranger all[STRANGERS_MAX];
};

static void add(struct crier_unmended *lines, uint64_t seq)
{
	if (!lines->count++)
		lines->from = seq;
	lines->to = seq;
}

static void join(struct crier_unmended *into, const struct crier_unmended *lines)
{
	if (!lines->count)
		return;
	into->from = into->count ? crier_min(into->from, lines->from) : lines->from;
	into->to = crier_max(into->to, lines->to);
	into->count += lines->count;
}

static void give_up(struct crier_pipeline *p, uint64_t *reason, struct crier_unmended *lines)
{
	*reason += lines->count;
	p->mending.open -= lines->count;
	*lines = (struct crier_unmended){0};
}

/* ---- strangers ---- */

static struct crier_strangers *strangers_get(struct crier_pipeline *p)
{
	if (!p->strangers) {
		struct crier_strangers *strangers = calloc(1, sizeof(*strangers));

		if (!strangers || crier_map_reserve(&strangers->by_id, STRANGERS_MAX) < 0) {
			free(strangers);
			return NULL;
		}
		crier_list_init(&strangers->used);
		crier_list_init(&strangers->free);
		for (size_t i = 0; i < STRANGERS_MAX; i++)
			crier_list_append(&strangers->free, &strangers->all[i].by_age);
		p->strangers = strangers;
	}
	return p->strangers;
}

void crier_mend_free(struct crier_strangers *strangers)
{
	if (strangers)
		crier_map_done(&strangers->by_id);
	free(strangers);
}

static struct stranger *find(const struct crier_pipeline *p, uint64_t id)
{
	const struct crier_map_slot *slot =
		p->strangers ? crier_map_first(&p->strangers->by_id, crier_hash_u64(id)) : NULL;

	return slot ? slot->value : NULL;
}

static void drop(struct crier_pipeline *p, struct stranger *stranger)
{
	crier_map_remove(&p->strangers->by_id, crier_hash_u64(stranger->id), stranger);
	crier_list_remove(&stranger->by_age);
	if (stranger->life)
		stranger->life->strangers--;
	*stranger = (struct stranger){0};
	crier_list_append(&p->strangers->free, &stranger->by_age);
}

static struct stranger *oldest(const struct crier_strangers *strangers)
{
	return crier_container_of(strangers->used.next, struct stranger, by_age);
}

/* Found or made; made means that the oldest may give way. NULL only without memory. */
static struct stranger *stranger_get(struct crier_pipeline *p, uint64_t id)
{
	struct stranger *stranger = find(p, id);
	struct crier_strangers *strangers = strangers_get(p);

	if (stranger || !strangers)
		return stranger;
	if (crier_list_is_empty(&strangers->free)) {
		give_up(p, &p->mending.evicted, &oldest(strangers)->lines);
		drop(p, oldest(strangers));
	}
	stranger = crier_container_of(strangers->free.next, struct stranger, by_age);
	crier_list_remove(&stranger->by_age);
	crier_list_append(&strangers->used, &stranger->by_age);
	stranger->id = id;
	stranger->seen_ns = p->now_ns;
	crier_map_put(&strangers->by_id, crier_hash_u64(id), stranger);
	return stranger;
}

bool crier_mend_may_try(struct crier_pipeline *p, uint64_t cgroup_id)
{
	const struct stranger *stranger = find(p, cgroup_id);

	return !stranger || p->now_ns >= stranger->try_ns;
}

void crier_mend_tried(struct crier_pipeline *p, uint64_t cgroup_id)
{
	struct stranger *stranger = stranger_get(p, cgroup_id);

	if (!stranger)
		return;
	stranger->try_ns =
		p->now_ns + crier_min(TRY_FIRST_NS << crier_min(stranger->tries, 20u), TRY_LAST_NS);
	stranger->tries++;
}

/* ---- a line left ---- */

void crier_mend_note(struct crier_pipeline *p, const struct crier_event *event, uint64_t seq)
{
	struct crier_life *life = event->container ? event->container->life : NULL;
	bool by_id = !event->container && event->cgroup.id != CRIER_UNKNOWN_U64 &&
		     (event->attribution.reason == CRIER_REASON_CGROUP_UNKNOWN ||
		      event->attribution.reason == CRIER_REASON_TABLE_FULL);
	struct stranger *stranger = by_id ? stranger_get(p, event->cgroup.id) : NULL;

	if (life) {
		add(&life->unmended, seq);
	} else if (stranger) {
		add(&stranger->lines, seq);
		stranger->seen_ns = p->now_ns;
	} else {
		p->mending.final++;
		return;
	}
	p->mending.open++;
}

/* ---- a name came ---- */

static bool tell(struct crier_pipeline *p, struct crier_life *life, uint64_t cgroup_id,
		 struct crier_slice container_id, struct crier_unmended *lines)
{
	struct crier_data_resolved data;
	struct crier_event event;

	if (!lines->count)
		return true;
	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_RESOLVED, life, p->now_ns);
	crier_data_init(CRIER_TYPE_CONTAINER_RESOLVED, &data);
	data.cgroup_id = cgroup_id;
	data.container_id = container_id;
	data.from_seq = lines->from;
	data.to_seq = lines->to;
	data.count = lines->count;
	event.data = &data;
	if (crier_output(p, &event, CRIER_CLASS_CRITICAL, true) == CRIER_UNKNOWN_U64)
		return false; /* no room: tried again with the next word on this container */
	give_up(p, &p->mending.mended, lines);
	return true;
}

void crier_mend_life(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;

	if (!crier_container_is_identified(container))
		return;
	(void)tell(p, life, container->cgroup_id, crier_slice_of(container->id), &life->unmended);
	if (!life->strangers)
		return;
	crier_list_each(item, next, &p->strangers->used)
	{
		struct stranger *stranger = crier_container_of(item, struct stranger, by_age);

		if (stranger->life == life && tell(p, life, stranger->id, CRIER_SLICE_NONE, &stranger->lines))
			drop(p, stranger);
	}
}

void crier_mend_cgroup(struct crier_pipeline *p, struct crier_cgroup *cgroup)
{
	struct stranger *stranger = find(p, cgroup->id);
	struct crier_life *life = cgroup->container ? cgroup->container->life : NULL;

	if (!stranger)
		return;
	if (!life) {
		if (crier_is_containers(cgroup))
			return; /* no place for its container yet */
		give_up(p, &p->mending.not_container, &stranger->lines);
		drop(p, stranger);
		return;
	}
	if (life->container->cgroup_id == cgroup->id) { /* the container's own id: one ledger for both */
		join(&life->unmended, &stranger->lines);
		drop(p, stranger);
	} else if (!stranger->life) {
		stranger->life = life;
		life->strangers++;
	}
	crier_mend_life(p, life);
}

/* ---- no name will come ---- */

void crier_mend_drop(struct crier_pipeline *p, struct crier_life *life)
{
	uint64_t *reason = p->is_expiring ? &p->mending.expired : &p->mending.evicted;

	p->mending.unnamed_containers += !crier_container_is_identified(life->container);
	give_up(p, reason, &life->unmended);
	if (!life->strangers)
		return;
	crier_list_each(item, next, &p->strangers->used)
	{
		struct stranger *stranger = crier_container_of(item, struct stranger, by_age);

		if (stranger->life != life)
			continue;
		give_up(p, reason, &stranger->lines);
		drop(p, stranger);
	}
}

void crier_mend_expire(struct crier_pipeline *p, uint64_t age_ns)
{
	if (!p->strangers)
		return;
	crier_list_each(item, next, &p->strangers->used)
	{
		struct stranger *stranger = crier_container_of(item, struct stranger, by_age);

		if (p->now_ns - stranger->seen_ns < age_ns || stranger->life)
			continue;
		give_up(p, &p->mending.expired, &stranger->lines);
		drop(p, stranger);
	}
}
