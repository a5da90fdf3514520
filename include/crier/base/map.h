/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open-addressing map from a 64-bit hash to a pointer, for the tables of cgroup, index and hold. Power-of-two size,
 * linear probing, at most two thirds full, deletion by shifting back (no tombstones, so a long life does not slow it).
 *
 * Keys must be mixed already: crier_hash_u64 of an id (a bijection: equal keys are equal ids) or crier_hash_bytes of a
 * text (equal keys may be different texts: the caller compares, and goes on with crier_map_next). Several entries may
 * share a key. Values are borrowed and never NULL. Pure but for memory; one thread.
 */
#ifndef CRIER_BASE_MAP_H
#define CRIER_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"

struct crier_map_slot {
	uint64_t key;
	void *value; /* NULL = empty */
};

/* All zero is a valid empty map that owns nothing. */
struct crier_map {
	struct crier_map_slot *slots;
	uint32_t mask; /* slots - 1; 0 while nothing is allocated */
	uint32_t count;
};

/** Give the memory back; the map is empty and usable again. */
void crier_map_done(struct crier_map *map);

/** Make room for `extra` more entries, so that as many crier_map_put cannot fail. @return 0 or -ENOMEM */
int crier_map_reserve(struct crier_map *map, uint32_t extra) crier_must_check;

/** Add; room must have been reserved. */
void crier_map_put(struct crier_map *map, uint64_t key, void *value);

/** Remove the entry with this key and value, if it is there. */
void crier_map_remove(struct crier_map *map, uint64_t key, const void *value);

/** Fetch into the cache where `key` has its place. */
static inline void crier_map_prefetch(const struct crier_map *map, uint64_t key)
{
	if (map->slots)
		__builtin_prefetch(&map->slots[(uint32_t)key & map->mask]);
}

/** First slot with `key`, NULL if there is none. Valid until the map changes. ~2 ns while in cache. */
static inline const struct crier_map_slot *crier_map_first(const struct crier_map *map, uint64_t key)
{
	if (map->count == 0)
		return NULL;
	for (uint32_t i = (uint32_t)key & map->mask; map->slots[i].value; i = (i + 1) & map->mask)
		if (map->slots[i].key == key)
			return &map->slots[i];
	return NULL;
}

/** The next slot with the same key. */
static inline const struct crier_map_slot *crier_map_next(const struct crier_map *map,
							  const struct crier_map_slot *slot)
{
	uint32_t i = (uint32_t)(slot - map->slots);

	for (i = (i + 1) & map->mask; map->slots[i].value; i = (i + 1) & map->mask)
		if (map->slots[i].key == slot->key)
			return &map->slots[i];
	return NULL;
}

#endif
