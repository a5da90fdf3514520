/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue is a chain of chunks; its head lives in its first chunk, so an empty queue costs nothing. Chunks come in two
 * sizes from a pool that keeps a little and gives the rest back; an item larger than a chunk gets one of its own.
 * What counts against the bound of bytes is what chunks take, so the bound is of real memory.
 */
#include "crier/hold.h"

#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "crier/base/hash.h"
#include "crier/base/list.h"
#include "crier/base/map.h"

#define SMALL_CHUNK 1024u /* most queues hold a handful of events for a millisecond */
#define LARGE_CHUNK (16u * 1024u)
#define POOL_SMALL  64u /* kept for the next burst: 64 KiB and 256 KiB */
#define POOL_LARGE  16u
#define MAP_KEEP    1024u /* slots of the map kept when nothing waits */

struct chunk {
	struct chunk *next;
	uint32_t size; /* of the whole chunk */
	uint32_t used; /* of data */
	alignas(8) unsigned char data[];
};

struct item {
	uint64_t pushed_ns;
	uint64_t len;
	alignas(8) unsigned char bytes[];
};

struct queue {
	struct crier_list by_age; /* oldest first item first */
	uint64_t key;
	uint64_t first_ns;
	uint32_t events;
	size_t bytes;		   /* of its chunks */
	struct chunk *head, *tail; /* the queue itself is the start of head's data */
};

enum { POOL_OF_SMALL, POOL_OF_LARGE, POOL_COUNT };

struct pool {
	struct chunk *free;
	uint32_t count;
};

struct crier_hold {
	struct crier_hold_limits limits;
	struct crier_hold_counts counts;
	struct crier_map by_key;
	struct crier_list queues;
	struct pool pools[POOL_COUNT];
};

static const struct {
	uint32_t size, kept;
} pool_rules[POOL_COUNT] = {
	[POOL_OF_SMALL] = {SMALL_CHUNK, POOL_SMALL},
	[POOL_OF_LARGE] = {LARGE_CHUNK, POOL_LARGE},
};

static size_t item_size(size_t len)
{
	return (sizeof(struct item) + len + 7) & ~(size_t)7;
}

/* A chunk with room for `needed` bytes of data, within both bounds of bytes. @param taken  by the queue so far */
static int chunk_get(struct crier_hold *hold, size_t needed, size_t taken, struct chunk **ret_chunk)
{
	size_t size = sizeof(struct chunk) + needed;
	struct pool *pool = NULL;
	struct chunk *chunk;

	if (taken == 0 && size <= SMALL_CHUNK) {
		size = SMALL_CHUNK;
		pool = &hold->pools[POOL_OF_SMALL];
	} else if (size <= LARGE_CHUNK) {
		size = LARGE_CHUNK;
		pool = &hold->pools[POOL_OF_LARGE];
	}
	if (hold->counts.bytes + size > hold->limits.bytes || taken + size > hold->limits.bytes_per_key ||
	    size > UINT32_MAX)
		return -ENOSPC;
	if (pool && pool->free) {
		chunk = pool->free;
		pool->free = chunk->next;
		pool->count--;
	} else {
		chunk = malloc(size);
		if (!chunk)
			return -ENOMEM;
	}
	chunk->next = NULL;
	chunk->size = (uint32_t)size;
	chunk->used = 0;
	hold->counts.bytes += size;
	*ret_chunk = chunk;
	return 0;
}

static void chunk_put(struct crier_hold *hold, struct chunk *chunk)
{
	hold->counts.bytes -= chunk->size;
	for (int i = 0; i < POOL_COUNT; i++) {
		struct pool *pool = &hold->pools[i];

		if (chunk->size == pool_rules[i].size && pool->count < pool_rules[i].kept) {
			chunk->next = pool->free;
			pool->free = chunk;
			pool->count++;
			return;
		}
	}
	free(chunk);
}

static void chunks_put(struct crier_hold *hold, struct chunk *chunk)
{
	for (struct chunk *next; chunk; chunk = next) {
		next = chunk->next;
		chunk_put(hold, chunk);
	}
}

int crier_hold_new(const struct crier_hold_limits *limits, struct crier_hold **ret_hold)
{
	struct crier_hold *hold = calloc(1, sizeof(*hold));

	if (!hold)
		return -ENOMEM;
	hold->limits = *limits;
	crier_list_init(&hold->queues);
	*ret_hold = hold;
	return 0;
}

void crier_hold_free(struct crier_hold *hold)
{
	if (!hold)
		return;
	crier_list_each(item, next, &hold->queues)
		chunks_put(hold, crier_container_of(item, struct queue, by_age)->head);
	for (int i = 0; i < POOL_COUNT; i++)
		for (struct chunk *chunk = hold->pools[i].free, *next; chunk; chunk = next) {
			next = chunk->next;
			free(chunk);
		}
	crier_map_done(&hold->by_key);
	free(hold);
}

static struct queue *queue_get(const struct crier_hold *hold, uint64_t key)
{
	const struct crier_map_slot *slot = crier_map_first(&hold->by_key, crier_hash_u64(key));

	return slot ? slot->value : NULL;
}

bool crier_hold_has(const struct crier_hold *hold, uint64_t key)
{
	return queue_get(hold, key) != NULL;
}

/* Times come merged but not strictly sorted: step back over the few that are younger. */
static void insert_by_age(struct crier_hold *hold, struct queue *queue)
{
	struct crier_list *after = hold->queues.prev;

	while (after != &hold->queues &&
	       crier_container_of(after, struct queue, by_age)->first_ns > queue->first_ns)
		after = after->prev;
	crier_list_append(after->next, &queue->by_age);
}

static int queue_new(struct crier_hold *hold, uint64_t key, uint64_t now_ns, size_t needed,
		     struct queue **ret_queue)
{
	struct chunk *chunk;
	int r = crier_map_reserve(&hold->by_key, 1);

	if (r < 0)
		return r;
	r = chunk_get(hold, sizeof(struct queue) + needed, 0, &chunk);
	if (r < 0)
		return r;

	struct queue *queue = (struct queue *)chunk->data;

	*queue = (struct queue){
		.key = key, .first_ns = now_ns, .bytes = chunk->size, .head = chunk, .tail = chunk};
	chunk->used = sizeof(*queue);
	crier_map_put(&hold->by_key, crier_hash_u64(key), queue);
	insert_by_age(hold, queue);
	hold->counts.keys++;
	*ret_queue = queue;
	return 0;
}

static int queue_room(struct crier_hold *hold, struct queue *queue, size_t needed)
{
	struct chunk *chunk;

	if (queue->tail->size - sizeof(struct chunk) - queue->tail->used >= needed)
		return 0;

	int r = chunk_get(hold, needed, queue->bytes, &chunk);

	if (r < 0)
		return r;
	queue->bytes += chunk->size;
	queue->tail->next = chunk;
	queue->tail = chunk;
	return 0;
}

int crier_hold_push(struct crier_hold *hold, uint64_t key, uint64_t now_ns, const void *bytes, size_t len)
{
	struct queue *queue = queue_get(hold, key);
	int r;

	if (key == 0)
		return -EINVAL;
	if (len > hold->limits.bytes || hold->counts.events >= hold->limits.events ||
	    (queue ? queue->events : 0) >= hold->limits.events_per_key) {
		hold->counts.refused++;
		return -ENOSPC;
	}

	size_t needed = item_size(len);

	r = queue ? queue_room(hold, queue, needed) : queue_new(hold, key, now_ns, needed, &queue);
	if (r < 0) {
		hold->counts.refused++;
		return r;
	}

	struct item *item = (struct item *)(queue->tail->data + queue->tail->used);

	item->pushed_ns = now_ns;
	item->len = len;
	if (len > 0)
		memcpy(item->bytes, bytes, len);
	queue->tail->used += (uint32_t)needed;
	queue->events++;
	hold->counts.events++;
	return 0;
}

size_t crier_hold_release(struct crier_hold *hold, uint64_t key, crier_hold_fn fn, void *ctx)
{
	struct queue *queue = queue_get(hold, key);

	if (!queue)
		return 0;

	size_t events = queue->events;
	struct chunk *head = queue->head;
	size_t offset = sizeof(*queue);

	/* Unlinked first: whatever fn does to other keys, this queue is its own. */
	crier_map_remove(&hold->by_key, crier_hash_u64(key), queue);
	crier_list_remove(&queue->by_age);
	hold->counts.keys--;
	hold->counts.events -= (uint32_t)events;
	for (struct chunk *chunk = head; chunk; chunk = chunk->next, offset = 0)
		while (offset < chunk->used) {
			const struct item *item = (const struct item *)(chunk->data + offset);

			fn(ctx, item->pushed_ns, item->bytes, item->len);
			offset += item_size(item->len);
		}
	chunks_put(hold, head);
	if (hold->counts.keys == 0 && hold->by_key.mask >= MAP_KEEP)
		crier_map_done(&hold->by_key);
	return events;
}

bool crier_hold_oldest(const struct crier_hold *hold, uint64_t *ret_key, uint64_t *ret_since_ns)
{
	if (crier_list_is_empty(&hold->queues))
		return false;

	const struct queue *queue = crier_container_of(hold->queues.next, struct queue, by_age);

	*ret_key = queue->key;
	*ret_since_ns = queue->first_ns;
	return true;
}

void crier_hold_counts(const struct crier_hold *hold, struct crier_hold_counts *ret_counts)
{
	*ret_counts = hold->counts;
}
