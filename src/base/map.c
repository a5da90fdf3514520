/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/map.h"

#include <assert.h>
#include <errno.h>

#define MAP_SLOTS_MIN 16u

void crier_map_done(struct crier_map *map)
{
	free(map->slots);
	*map = (struct crier_map){0};
}

static void place(struct crier_map_slot *slots, uint32_t mask, uint64_t key, void *value)
{
	uint32_t i = (uint32_t)key & mask;

	while (slots[i].value)
		i = (i + 1) & mask;
	slots[i] = (struct crier_map_slot){.key = key, .value = value};
}

int crier_map_reserve(struct crier_map *map, uint32_t extra)
{
	uint64_t wanted = (uint64_t)map->count + extra;
	uint64_t size = map->slots ? (uint64_t)map->mask + 1 : 0;

	if (wanted * 3 <= size * 2)
		return 0;
	if (size < MAP_SLOTS_MIN)
		size = MAP_SLOTS_MIN;
	while (wanted * 3 > size * 2)
		size *= 2;
	if (size > UINT32_MAX / 2)
		return -ENOMEM;

	struct crier_map_slot *slots = calloc(size, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (uint64_t i = 0; map->slots && i <= map->mask; i++)
		if (map->slots[i].value)
			place(slots, (uint32_t)size - 1, map->slots[i].key, map->slots[i].value);
	free(map->slots);
	map->slots = slots;
	map->mask = (uint32_t)size - 1;
	return 0;
}

void crier_map_put(struct crier_map *map, uint64_t key, void *value)
{
	assert(value && map->slots && map->count < map->mask);
	place(map->slots, map->mask, key, value);
	map->count++;
}

void crier_map_remove(struct crier_map *map, uint64_t key, const void *value)
{
	if (map->count == 0)
		return;

	uint32_t hole = (uint32_t)key & map->mask;

	while (map->slots[hole].value && !(map->slots[hole].key == key && map->slots[hole].value == value))
		hole = (hole + 1) & map->mask;
	if (!map->slots[hole].value)
		return;
	/* Shift back each follower whose own place is not after the hole, so that no probe meets a gap. */
	for (uint32_t i = (hole + 1) & map->mask; map->slots[i].value; i = (i + 1) & map->mask) {
		uint32_t from_home = (i - (uint32_t)map->slots[i].key) & map->mask;
		uint32_t from_hole = (i - hole) & map->mask;

		if (from_home >= from_hole) {
			map->slots[hole] = map->slots[i];
			hole = i;
		}
	}
	map->slots[hole] = (struct crier_map_slot){0};
	map->count--;
}
