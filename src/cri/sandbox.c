/* SPDX-License-Identifier: Apache-2.0 */
/* Pods by sandbox id, so that the second container of a pod costs one call and not two. */
#include <errno.h>

#include "client.h"
#include "crier/base/hash.h"

int crier_cri_sandboxes_init(struct crier_cri_sandboxes *sandboxes, size_t cap)
{
	sandboxes->items = calloc(cap, sizeof(sandboxes->items[0]));
	if (!sandboxes->items)
		return -ENOMEM;
	sandboxes->cap = cap;
	return 0;
}

static void drop(struct crier_cri_sandbox *item)
{
	free(item->blob);
	*item = (struct crier_cri_sandbox){0};
}

void crier_cri_sandboxes_free(struct crier_cri_sandboxes *sandboxes)
{
	for (size_t i = 0; sandboxes->items && i < sandboxes->cap; i++)
		drop(&sandboxes->items[i]);
	free(sandboxes->items);
	*sandboxes = (struct crier_cri_sandboxes){0};
}

/* The hash decides: 64 bits of it, a few hundred ids, and the id in the blob is compared by the reader. */
static struct crier_cri_sandbox *find(struct crier_cri_sandboxes *sandboxes, struct crier_slice id)
{
	uint64_t hash = crier_hash_bytes(id.ptr, id.len);

	for (size_t i = 0; i < sandboxes->cap; i++)
		if (sandboxes->items[i].used && sandboxes->items[i].hash == hash)
			return &sandboxes->items[i];
	return NULL;
}

static struct crier_cri_sandbox *place_for(struct crier_cri_sandboxes *sandboxes, struct crier_slice id)
{
	struct crier_cri_sandbox *oldest = find(sandboxes, id);

	if (oldest)
		return oldest;
	oldest = &sandboxes->items[0];
	for (size_t i = 0; i < sandboxes->cap; i++)
		if (sandboxes->items[i].used < oldest->used)
			oldest = &sandboxes->items[i];
	return oldest;
}

void crier_cri_sandboxes_put(struct crier_cri_sandboxes *sandboxes, struct crier_slice id,
			     struct crier_slice blob, uint64_t generation)
{
	void *copy = malloc(blob.len);
	struct crier_cri_sandbox *item = place_for(sandboxes, id);

	drop(item);
	if (!copy)
		return; /* then it is asked for again */
	memcpy(copy, blob.ptr, blob.len);
	*item = (struct crier_cri_sandbox){
		.hash = crier_hash_bytes(id.ptr, id.len),
		.used = ++sandboxes->tick,
		.generation = generation,
		.len = blob.len,
		.blob = copy,
	};
}

struct crier_slice crier_cri_sandboxes_get(struct crier_cri_sandboxes *sandboxes, struct crier_slice id)
{
	struct crier_cri_sandbox *item = find(sandboxes, id);

	if (!item)
		return CRIER_SLICE_NONE;
	item->used = ++sandboxes->tick;
	return (struct crier_slice){item->blob, item->len};
}

void crier_cri_sandboxes_named(struct crier_cri_sandboxes *sandboxes, struct crier_slice id, bool ready,
			       uint64_t generation)
{
	struct crier_cri_sandbox *item = find(sandboxes, id);

	if (item && ready)
		item->generation = generation;
	else if (item)
		drop(item);
}

void crier_cri_sandboxes_prune(struct crier_cri_sandboxes *sandboxes, uint64_t generation)
{
	for (size_t i = 0; i < sandboxes->cap; i++)
		if (sandboxes->items[i].used && sandboxes->items[i].generation < generation)
			drop(&sandboxes->items[i]);
}
