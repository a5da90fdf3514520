/* SPDX-License-Identifier: Apache-2.0 */
/* The last death of each slot (pod uid + container name), and how many there were within an hour, counted by minutes. */
#include "index_private.h"

#include <errno.h>

#define HOUR_MINUTES 60u
#define MINUTE_NS    60000000000ULL
#define HOUR_NS	     (HOUR_MINUTES * MINUTE_NS)

struct slot {
	struct crier_list by_age;
	struct crier_slot_death death;
	uint64_t hash;
	uint64_t minute; /* of the newest death counted */
	uint16_t deaths[HOUR_MINUTES];
	bool is_counted; /* holds a death */
	bool is_stale;
	char uid[CRIER_UID_MAX];
	struct crier_slice name; /* owned */
};

static uint64_t slot_hash(struct crier_slice uid, struct crier_slice name)
{
	return crier_hash_u64(hash_text(uid) ^ (hash_text(name) + 1));
}

static struct slot *find(const struct crier_index *index, struct crier_slice uid, struct crier_slice name,
			 uint64_t hash)
{
	const struct crier_map_slot *at = crier_map_first(&index->slots, hash);

	for (; at; at = crier_map_next(&index->slots, at)) {
		struct slot *slot = at->value;

		if (crier_slice_equal(name, slot->name) && crier_slice_equal(uid, crier_slice_of(slot->uid)))
			return slot;
	}
	return NULL;
}

static void drop(struct crier_index *index, struct slot *slot)
{
	crier_map_remove(&index->slots, slot->hash, slot);
	crier_list_remove(&slot->by_age);
	crier_index_text_done(&slot->name);
	free(slot);
	index->counts.slots--;
}

static struct slot *slot_at(struct crier_list *item)
{
	return crier_container_of(item, struct slot, by_age);
}

static bool is_older(const struct slot *slot, uint64_t now_ns, uint64_t age_ns)
{
	return now_ns >= slot->death.died_ns && now_ns - slot->death.died_ns >= age_ns;
}

const struct crier_slot_death *crier_index_slot(struct crier_index *index, struct crier_slice pod_uid,
						struct crier_slice name)
{
	const struct slot *slot = find(index, pod_uid, name, slot_hash(pod_uid, name));

	return slot && !slot->is_stale ? &slot->death : NULL;
}

static int slot_new(struct crier_index *index, struct crier_slice uid, struct crier_slice name, uint64_t hash,
		    struct slot **ret_slot)
{
	if (index->limits.slots == 0)
		return -ENOSPC;
	if (index->counts.slots >= index->limits.slots) {
		struct crier_list *list =
			crier_list_is_empty(&index->slots_stale) ? &index->slots_fresh : &index->slots_stale;

		drop(index, slot_at(list->next));
	}
	if (crier_map_reserve(&index->slots, 1) < 0)
		return -ENOMEM;

	struct slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	if (crier_index_text_set(&slot->name, name) < 0) {
		free(slot);
		return -ENOMEM;
	}
	slot->hash = hash;
	crier_copy_str(slot->uid, sizeof(slot->uid), uid);
	crier_list_init(&slot->by_age);
	crier_map_put(&index->slots, hash, slot);
	index->counts.slots++;
	*ret_slot = slot;
	return 0;
}

/* Buckets of the minutes that passed since the newest death are of an hour ago: they start again from zero. */
static void count_death(struct slot *slot, uint64_t died_ns)
{
	uint64_t minute = died_ns / MINUTE_NS;

	if (minute > slot->minute) {
		uint64_t passed = crier_min(minute - slot->minute, (uint64_t)HOUR_MINUTES);

		for (uint64_t i = 1; i <= passed; i++)
			slot->deaths[(slot->minute + i) % HOUR_MINUTES] = 0;
		if (passed == HOUR_MINUTES)
			memset(slot->deaths, 0, sizeof(slot->deaths));
		slot->minute = minute;
	}
	if (slot->minute - minute < HOUR_MINUTES && slot->deaths[minute % HOUR_MINUTES] < UINT16_MAX)
		slot->deaths[minute % HOUR_MINUTES]++;
}

static uint32_t deaths_1h(const struct slot *slot)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < HOUR_MINUTES; i++)
		sum += slot->deaths[i];
	return sum;
}

int crier_index_slot_set(struct crier_index *index, struct crier_slice pod_uid, struct crier_slice name,
			 const struct crier_slot_death *death)
{
	uint64_t hash = slot_hash(pod_uid, name);
	struct slot *slot;

	if (pod_uid.len == 0 || pod_uid.len >= CRIER_UID_MAX || name.len == 0 ||
	    name.len > CRIER_META_STRING_MAX)
		return -EINVAL;
	slot = find(index, pod_uid, name, hash);
	if (!slot) {
		int r = slot_new(index, pod_uid, name, hash, &slot);

		if (r < 0)
			return r;
	}

	/* The same container told again (the runtime's word came late) is no second death. */
	if (!slot->is_counted || strcmp(slot->death.container_id, death->container_id) != 0)
		count_death(slot, death->died_ns);
	slot->is_counted = true;
	slot->death = *death;
	slot->death.restarts_1h = deaths_1h(slot);
	slot->is_stale = false;
	crier_list_remove(&slot->by_age);
	crier_list_append(&index->slots_fresh, &slot->by_age);
	return 0;
}

void crier_index_slots_expire(struct crier_index *index, uint64_t now_ns)
{
	crier_list_each(item, next, &index->slots_fresh)
	{
		struct slot *slot = slot_at(item);

		if (!is_older(slot, now_ns, index->limits.slot_age_ns))
			break;
		slot->is_stale = true;
		crier_list_remove(&slot->by_age);
		crier_list_append(&index->slots_stale, &slot->by_age);
	}
	crier_list_each(item, next, &index->slots_stale)
	{
		if (!is_older(slot_at(item), now_ns,
			      crier_max(HOUR_NS, (unsigned long long)index->limits.slot_age_ns)))
			break;
		drop(index, slot_at(item));
	}
}

static void forget_in(struct crier_index *index, struct crier_list *list, struct crier_slice uid)
{
	crier_list_each(item, next, list) if (crier_slice_equal(uid, crier_slice_of(slot_at(item)->uid)))
		drop(index, slot_at(item));
}

void crier_index_slots_forget(struct crier_index *index, struct crier_slice pod_uid)
{
	forget_in(index, &index->slots_fresh, pod_uid);
	forget_in(index, &index->slots_stale, pod_uid);
}

static void free_list(struct crier_index *index, struct crier_list *list)
{
	crier_list_each(item, next, list) drop(index, slot_at(item));
}

void crier_index_slots_free(struct crier_index *index)
{
	free_list(index, &index->slots_fresh);
	free_list(index, &index->slots_stale);
	crier_map_done(&index->slots);
}
