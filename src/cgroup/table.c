/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of known cgroups: entries in chunks that never move, and three maps over them (id, memory id, path). The id
 * map is on the event path. Removed entries stay, oldest first in a list, until expire or until room is needed.
 */
#include "crier/cgroup.h"

#include <assert.h>
#include <errno.h>

#include "crier/base/hash.h"
#include "crier/base/list.h"
#include "crier/base/map.h"

#define CHUNK_ENTRIES 256u

struct entry {
	struct crier_cgroup cgroup;
	struct crier_list by_age; /* of `removed` or `free` */
	uint64_t path_hash;
	bool used;
	bool in_path_map;
};

struct chunk {
	struct chunk *next;
	struct entry entries[CHUNK_ENTRIES];
};

struct crier_cgroup_table {
	struct crier_map by_id, by_memory, by_path;
	struct chunk *first, *last;
	struct crier_list free;
	struct crier_list removed; /* oldest first */
	uint32_t max_entries;
	uint64_t newest_ns; /* latest time heard of: stands in where a removal was not seen */
	struct crier_cgroup_counts counts;
	crier_cgroup_fn on_evict;
	void *on_evict_ctx;
};

static struct entry *entry_of(struct crier_cgroup *cgroup)
{
	return crier_container_of(cgroup, struct entry, cgroup);
}

int crier_cgroup_table_new(uint32_t max_entries, struct crier_cgroup_table **ret_table)
{
	struct crier_cgroup_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->max_entries = max_entries;
	crier_list_init(&table->free);
	crier_list_init(&table->removed);
	*ret_table = table;
	return 0;
}

void crier_cgroup_table_free(struct crier_cgroup_table *table)
{
	if (!table)
		return;
	for (struct chunk *chunk = table->first, *next; chunk; chunk = next) {
		next = chunk->next;
		for (size_t i = 0; i < CHUNK_ENTRIES; i++)
			free(chunk->entries[i].cgroup.path);
		free(chunk);
	}
	crier_map_done(&table->by_id);
	crier_map_done(&table->by_memory);
	crier_map_done(&table->by_path);
	free(table);
}

void crier_cgroup_table_on_evict(struct crier_cgroup_table *table, crier_cgroup_fn fn, void *ctx)
{
	table->on_evict = fn;
	table->on_evict_ctx = ctx;
}

void crier_cgroup_prefetch(const struct crier_cgroup_table *table, uint64_t id)
{
	crier_map_prefetch(&table->by_id, crier_hash_u64(id));
}

struct crier_cgroup *crier_cgroup_get(const struct crier_cgroup_table *table, uint64_t id)
{
	const struct crier_map_slot *slot = crier_map_first(&table->by_id, crier_hash_u64(id));

	return slot ? slot->value : NULL;
}

struct crier_cgroup *crier_cgroup_get_by_memory(const struct crier_cgroup_table *table, uint64_t memory_id)
{
	const struct crier_map_slot *slot = crier_map_first(&table->by_memory, crier_hash_u64(memory_id));

	return slot ? slot->value : NULL;
}

struct crier_cgroup *crier_cgroup_get_by_path(const struct crier_cgroup_table *table, struct crier_slice path)
{
	const struct crier_map_slot *slot =
		crier_map_first(&table->by_path, crier_hash_bytes(path.ptr, path.len));

	for (; slot; slot = crier_map_next(&table->by_path, slot)) {
		struct crier_cgroup *cgroup = slot->value;

		if (crier_slice_equal(path, (struct crier_slice){cgroup->path, cgroup->path_len}))
			return cgroup;
	}
	return NULL;
}

static void leave_path_map(struct crier_cgroup_table *table, struct entry *entry)
{
	if (!entry->in_path_map)
		return;
	crier_map_remove(&table->by_path, entry->path_hash, &entry->cgroup);
	entry->in_path_map = false;
}

static void leave_memory_map(struct crier_cgroup_table *table, struct crier_cgroup *cgroup)
{
	if (cgroup->memory_id != 0)
		crier_map_remove(&table->by_memory, crier_hash_u64(cgroup->memory_id), cgroup);
	cgroup->memory_id = 0;
}

/* Back to the free list; the caller has told whoever must know. */
static void drop(struct crier_cgroup_table *table, struct entry *entry)
{
	struct crier_cgroup *cgroup = &entry->cgroup;

	leave_path_map(table, entry);
	leave_memory_map(table, cgroup);
	crier_map_remove(&table->by_id, crier_hash_u64(cgroup->id), cgroup);
	if (cgroup->removed_ns)
		table->counts.removed--;
	else
		table->counts.living--;
	free(cgroup->path);
	crier_list_remove(&entry->by_age);
	*entry = (struct entry){0};
	crier_list_append(&table->free, &entry->by_age);
}

static int add_chunk(struct crier_cgroup_table *table)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));

	if (!chunk)
		return -ENOMEM;
	for (size_t i = 0; i < CHUNK_ENTRIES; i++)
		crier_list_append(&table->free, &chunk->entries[i].by_age);
	if (table->last)
		table->last->next = chunk;
	else
		table->first = chunk;
	table->last = chunk;
	return 0;
}

/* Room within the bound: the oldest removed entry gives way, a living one never does. */
static int make_room(struct crier_cgroup_table *table)
{
	if (table->counts.living + table->counts.removed < table->max_entries)
		return 0;
	if (crier_list_is_empty(&table->removed)) {
		table->counts.refused_full++;
		return -ENOSPC;
	}

	struct entry *oldest = crier_container_of(table->removed.next, struct entry, by_age);

	if (table->on_evict)
		table->on_evict(table->on_evict_ctx, &oldest->cgroup);
	drop(table, oldest);
	table->counts.evicted++;
	return 0;
}

static int add_entry(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id,
		     struct entry **ret_entry)
{
	int r = make_room(table);

	if (r < 0)
		return r;
	r = crier_map_reserve(&table->by_id, 1);
	if (r < 0)
		return r;
	if (crier_list_is_empty(&table->free)) {
		r = add_chunk(table);
		if (r < 0)
			return r;
	}

	struct entry *entry = crier_container_of(table->free.next, struct entry, by_age);

	crier_list_remove(&entry->by_age);
	entry->used = true;
	entry->cgroup.id = id;
	entry->cgroup.parent_id = parent_id;
	entry->cgroup.populated = CRIER_UNKNOWN_BOOL;
	crier_map_put(&table->by_id, crier_hash_u64(id), &entry->cgroup);
	table->counts.living++;
	*ret_entry = entry;
	return 0;
}

static void bury(struct crier_cgroup_table *table, struct entry *entry, uint64_t now_ns)
{
	leave_path_map(table, entry);
	entry->cgroup.removed_ns = now_ns ? now_ns : 1;
	crier_list_append(&table->removed, &entry->by_age);
	table->counts.living--;
	table->counts.removed++;
}

/* Give a living entry its path. Another living one there means that its removal was missed. */
static int take_path(struct crier_cgroup_table *table, struct entry *entry, char *path, size_t len)
{
	struct crier_slice slice = {path, len};
	struct crier_cgroup *other = crier_cgroup_get_by_path(table, slice);
	int r = crier_map_reserve(&table->by_path, 1);

	if (r < 0)
		return r;
	if (other && other != &entry->cgroup)
		bury(table, entry_of(other), table->newest_ns);
	leave_path_map(table, entry);
	free(entry->cgroup.path);
	entry->cgroup.path = path;
	entry->cgroup.path_len = (uint32_t)len;
	entry->path_hash = crier_hash_bytes(path, len);
	if (!entry->cgroup.removed_ns) {
		crier_map_put(&table->by_path, entry->path_hash, &entry->cgroup);
		entry->in_path_map = true;
	}
	return 0;
}

/* The id names another directory now: nothing known of the old one holds. */
static void reuse(struct crier_cgroup_table *table, struct entry *entry, uint64_t parent_id)
{
	struct crier_cgroup *cgroup = &entry->cgroup;

	if (table->on_evict)
		table->on_evict(table->on_evict_ctx, cgroup);
	leave_path_map(table, entry);
	leave_memory_map(table, cgroup);
	if (cgroup->removed_ns) {
		crier_list_remove(&entry->by_age);
		table->counts.removed--;
		table->counts.living++;
	}
	free(cgroup->path);
	*cgroup = (struct crier_cgroup){
		.id = cgroup->id, .parent_id = parent_id, .populated = CRIER_UNKNOWN_BOOL};
	table->counts.reused++;
}

/* @param path  owned by the callee on success; NULL = not known */
static int add(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id, char **path, size_t len,
	       struct crier_cgroup **ret_cgroup)
{
	struct crier_cgroup *cgroup = crier_cgroup_get(table, id);
	struct entry *entry;
	bool fresh = !cgroup;

	if (id == 0)
		return -EINVAL;
	if (fresh) {
		int r = add_entry(table, id, parent_id, &entry);

		if (r < 0)
			return r;
		cgroup = &entry->cgroup;
	} else {
		entry = entry_of(cgroup);
		if (cgroup->path && *path &&
		    !crier_slice_equal((struct crier_slice){cgroup->path, cgroup->path_len},
				       (struct crier_slice){*path, len}))
			reuse(table, entry, parent_id);
	}
	if (cgroup->parent_id == 0)
		cgroup->parent_id = parent_id;
	if (*path && !cgroup->path) {
		int r = take_path(table, entry, *path, len);

		if (r < 0) {
			if (fresh)
				drop(table, entry);
			return r;
		}
		*path = NULL;
	}
	*ret_cgroup = cgroup;
	return 0;
}

int crier_cgroup_add(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id,
		     struct crier_slice path, struct crier_cgroup **ret_cgroup)
{
	_cleanup_free_ char *copy = NULL;

	if (path.ptr && path.len <= CRIER_CGROUP_PATH_MAX) {
		copy = malloc(path.len + 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, path.ptr, path.len);
		copy[path.len] = '\0';
	}
	return add(table, id, parent_id, &copy, path.len, ret_cgroup);
}

int crier_cgroup_add_child(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id,
			   struct crier_slice leaf, struct crier_cgroup **ret_cgroup)
{
	const struct crier_cgroup *parent = crier_cgroup_get(table, parent_id);
	_cleanup_free_ char *path = NULL;
	size_t len = 0;

	if (parent && parent->path && leaf.len > 0) {
		size_t base = parent->path_len == 1 ? 0 : parent->path_len; /* "/" adds nothing */

		len = base + 1 + leaf.len;
		if (len <= CRIER_CGROUP_PATH_MAX) {
			path = malloc(len + 1);
			if (!path)
				return -ENOMEM;
			memcpy(path, parent->path, base);
			path[base] = '/';
			memcpy(path + base + 1, leaf.ptr, leaf.len);
			path[len] = '\0';
		}
	}
	return add(table, id, parent_id, &path, len, ret_cgroup);
}

int crier_cgroup_set_memory_id(struct crier_cgroup_table *table, struct crier_cgroup *cgroup,
			       uint64_t memory_id)
{
	if (cgroup->memory_id == memory_id)
		return 0;
	if (memory_id != 0) {
		struct crier_cgroup *other = crier_cgroup_get_by_memory(table, memory_id);
		int r = crier_map_reserve(&table->by_memory, 1);

		if (r < 0)
			return r;
		if (other)
			leave_memory_map(table, other); /* the newest word wins: an id names one directory */
	}
	leave_memory_map(table, cgroup);
	cgroup->memory_id = memory_id;
	if (memory_id != 0)
		crier_map_put(&table->by_memory, crier_hash_u64(memory_id), cgroup);
	return 0;
}

void crier_cgroup_removed(struct crier_cgroup_table *table, struct crier_cgroup *cgroup, uint64_t now_ns)
{
	table->newest_ns = crier_max(table->newest_ns, now_ns);
	if (!cgroup->removed_ns)
		bury(table, entry_of(cgroup), now_ns);
}

void crier_cgroup_expire(struct crier_cgroup_table *table, uint64_t now_ns, uint64_t age_ns,
			 crier_cgroup_fn fn, void *ctx)
{
	table->newest_ns = crier_max(table->newest_ns, now_ns);
	crier_list_each(item, next, &table->removed)
	{
		struct entry *entry = crier_container_of(item, struct entry, by_age);

		if (now_ns < entry->cgroup.removed_ns || now_ns - entry->cgroup.removed_ns < age_ns)
			return;
		if (fn)
			fn(ctx, &entry->cgroup);
		drop(table, entry);
	}
}

void crier_cgroup_each(const struct crier_cgroup_table *table, crier_cgroup_fn fn, void *ctx)
{
	for (struct chunk *chunk = table->first; chunk; chunk = chunk->next)
		for (size_t i = 0; i < CHUNK_ENTRIES; i++)
			if (chunk->entries[i].used)
				fn(ctx, &chunk->entries[i].cgroup);
}

static void unlink_container(void *ctx, struct crier_cgroup *cgroup)
{
	if (cgroup->container == ctx)
		cgroup->container = NULL;
}

void crier_cgroup_unlink_container(struct crier_cgroup_table *table, const struct crier_container *container)
{
	crier_cgroup_each(table, unlink_container, (void *)container);
}

struct repoint {
	const struct crier_pod *pod;
	struct crier_pod *into;
};

static void repoint_pod(void *ctx, struct crier_cgroup *cgroup)
{
	const struct repoint *repoint = ctx;

	if (cgroup->pod == repoint->pod)
		cgroup->pod = repoint->into;
}

void crier_cgroup_repoint_pod(struct crier_cgroup_table *table, const struct crier_pod *pod,
			      struct crier_pod *into)
{
	crier_cgroup_each(table, repoint_pod, &(struct repoint){pod, into});
}

void crier_cgroup_unlink_pod(struct crier_cgroup_table *table, const struct crier_pod *pod)
{
	crier_cgroup_repoint_pod(table, pod, NULL);
}

void crier_cgroup_table_counts(const struct crier_cgroup_table *table, struct crier_cgroup_counts *ret_counts)
{
	*ret_counts = table->counts;
}
