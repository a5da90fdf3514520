/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers: birth, burial, expiry. Pods are in index_pod.c, what sources tell in index_merge.c, deaths in index_slot.c,
 * texts in index_text.c.
 */
#include "index_private.h"

#include <errno.h>

int crier_index_new(const struct crier_index_limits *limits, struct crier_index **ret_index)
{
	struct crier_index *index = calloc(1, sizeof(*index));

	if (!index)
		return -ENOMEM;
	index->limits = *limits;
	crier_list_init(&index->living);
	crier_list_init(&index->tombstones);
	crier_list_init(&index->pods);
	crier_list_init(&index->pods_gone);
	crier_list_init(&index->slots_fresh);
	crier_list_init(&index->slots_stale);
	*ret_index = index;
	return 0;
}

void crier_index_on_drop(struct crier_index *index, void (*fn)(void *ctx, struct crier_container *container),
			 void *ctx)
{
	index->on_drop = fn;
	index->on_drop_ctx = ctx;
}

static struct container_entry *find(const struct crier_index *index, struct crier_slice id, uint64_t hash)
{
	const struct crier_map_slot *slot = crier_map_first(&index->containers, hash);

	for (; slot; slot = crier_map_next(&index->containers, slot)) {
		struct container_entry *entry = slot->value;

		if (crier_slice_equal(id, crier_slice_of(entry->container.id)))
			return entry;
	}
	return NULL;
}

struct crier_container *crier_index_container(struct crier_index *index, struct crier_slice id)
{
	struct container_entry *entry = find(index, id, hash_text(id));

	return entry ? &entry->container : NULL;
}

static void container_clear(struct crier_container *container)
{
	container->restart_count = CRIER_UNKNOWN_U64;
	container->memory_limit_bytes = CRIER_UNKNOWN_U64;
	container->cpu_quota_us = CRIER_UNKNOWN_U64;
	container->cpu_period_us = CRIER_UNKNOWN_U64;
	container->grace_period_s = CRIER_UNKNOWN_U64;
	container->created_at_ns = CRIER_UNKNOWN_U64;
	container->started_at_ns = CRIER_UNKNOWN_U64;
	container->finished_at_ns = CRIER_UNKNOWN_U64;
	container->runtime_exit_code = CRIER_UNKNOWN_I64;
	container->init_pid = CRIER_UNKNOWN_U64;
	container->init_start_ns = CRIER_UNKNOWN_U64;
	container->cgroup_id = CRIER_UNKNOWN_U64;
	container->sandbox_id = "";
	container->version = 1;
}

/* Give everything back; the owner of `life` is told first, while the container is whole. */
static void drop(struct crier_index *index, struct container_entry *entry)
{
	struct crier_container *container = &entry->container;

	if (index->on_drop)
		index->on_drop(index->on_drop_ctx, container);
	crier_map_remove(&index->containers, hash_text(crier_slice_of(container->id)), entry);
	crier_list_remove(&container->by_age);
	if (entry->is_tombstone)
		index->counts.tombstones--;
	else
		index->counts.containers--;
	if (container->pod)
		container->pod->references--;
	crier_index_common_done(index, &container->name);
	crier_index_common_done(index, &container->image);
	crier_index_common_done(index, &container->image_id);
	crier_index_common_done(index, &container->runtime_reason);
	crier_index_text_done(&container->runtime_message);
	crier_index_share_done(&container->sandbox_id);
	free(container->fragment);
	free(entry);
}

static void drop_all(struct crier_index *index, struct crier_list *list)
{
	crier_list_each(item, next, list)
		drop(index, container_entry_of(crier_container_of(item, struct crier_container, by_age)));
}

void crier_index_free(struct crier_index *index)
{
	if (!index)
		return;
	drop_all(index, &index->living);
	drop_all(index, &index->tombstones);
	crier_index_pods_free(index);
	crier_index_slots_free(index);
	crier_map_done(&index->containers);
	crier_map_done(&index->texts);
	crier_map_done(&index->labels);
	free(index->runtime_name);
	free(index->runtime_version);
	free(index);
}

int crier_index_container_add(struct crier_index *index, struct crier_slice id, uint64_t now_ns,
			      struct crier_container **ret_container)
{
	uint64_t hash = hash_text(id);
	struct container_entry *entry;

	if (id.len == 0 || id.len >= CRIER_ID_MAX || memchr(id.ptr, '\0', id.len))
		return -EINVAL;
	entry = find(index, id, hash);
	if (entry) {
		*ret_container = &entry->container;
		return 0;
	}
	if (index->counts.containers >= index->limits.containers) {
		index->counts.refused_full++;
		return -ENOSPC;
	}
	if (crier_map_reserve(&index->containers, 1) < 0)
		return -ENOMEM;
	entry = calloc(1, sizeof(*entry) + id.len + 1);
	if (!entry)
		return -ENOMEM;
	container_clear(&entry->container);
	memcpy(entry->id, id.ptr, id.len);
	entry->container.id = entry->id;
	entry->container.id_len = (uint8_t)id.len;
	entry->container.created_ns = now_ns;
	crier_map_put(&index->containers, hash, entry);
	crier_list_append(&index->living, &entry->container.by_age);
	index->counts.containers++;

	struct crier_pod *pod = crier_index_pod_by_sandbox(index, id);

	if (pod)
		crier_index_mark_sandbox(&entry->container, pod);
	*ret_container = &entry->container;
	return 0;
}

void crier_index_container_bury(struct crier_index *index, struct crier_container *container, uint64_t now_ns)
{
	struct container_entry *entry = container_entry_of(container);
	uint32_t bound = crier_max(index->limits.tombstones, 1u); /* the caller still holds this one */

	if (entry->is_tombstone)
		return;
	if (index->counts.tombstones >= bound) {
		struct crier_list *oldest = index->tombstones.next;

		drop(index, container_entry_of(crier_container_of(oldest, struct crier_container, by_age)));
		index->counts.tombstones_evicted++;
	}
	free(container->fragment); /* the dead rarely have lines of their own */
	container->fragment = NULL;
	entry->is_tombstone = true;
	entry->buried_ns = now_ns;
	crier_list_remove(&container->by_age);
	crier_list_append(&index->tombstones, &container->by_age);
	index->counts.containers--;
	index->counts.tombstones++;
}

void crier_index_container_revive(struct crier_index *index, struct crier_container *container)
{
	struct container_entry *entry = container_entry_of(container);

	if (!entry->is_tombstone)
		return;
	entry->is_tombstone = false;
	crier_list_remove(&container->by_age);
	crier_list_append(&index->living, &container->by_age);
	index->counts.tombstones--;
	index->counts.containers++;
}

bool crier_index_is_tombstone(const struct crier_container *container)
{
	return crier_container_of(container, struct container_entry, container)->is_tombstone;
}

void crier_index_container_attach(struct crier_container *container, struct crier_pod *pod,
				  enum crier_source source)
{
	struct container_entry *entry = container_entry_of(container);

	if (container->pod != pod) {
		if (container->pod)
			container->pod->references--;
		if (pod)
			pod->references++;
		container->pod = pod;
		container->version++;
		entry->rank[CONTAINER_POD] = CRIER_SOURCE_NONE;
	}
	if (!pod)
		return;
	entry->rank[CONTAINER_POD] =
		(uint8_t)crier_max((unsigned)entry->rank[CONTAINER_POD], (unsigned)source);
	if (container->source == CRIER_SOURCE_NONE)
		container->source = (uint8_t)source;
}

void crier_index_container_set_pod(struct crier_index *index, struct crier_container *container,
				   struct crier_pod *pod)
{
	(void)index;
	if (pod && container->pod &&
	    container_entry_of(container)->rank[CONTAINER_POD] > CRIER_SOURCE_CGROUP_PATH)
		return;
	crier_index_container_attach(container, pod, CRIER_SOURCE_CGROUP_PATH);
}

bool crier_container_is_identified(const struct crier_container *container)
{
	const struct crier_pod *pod = container->pod;

	return pod && pod->name.len > 0 && pod->namespace_.len > 0 && pod->uid[0] &&
	       (container->type == CRIER_CONTAINER_TYPE_SANDBOX || container->name.len > 0);
}

static bool told_by_runtime(const struct crier_container *container)
{
	return container->source >= CRIER_SOURCE_CRI_LIST;
}

static char *dup_slice(struct crier_slice text)
{
	return text.len ? strndup(text.ptr, crier_min(text.len, (size_t)CRIER_META_STRING_MAX)) : NULL;
}

static void set_runtime_in(struct crier_list *list, const struct crier_index *index, const char *name,
			   const char *version)
{
	crier_list_each(item, next, list)
	{
		struct crier_container *container = crier_container_of(item, struct crier_container, by_age);

		if (!told_by_runtime(container) && container->runtime_name != index->runtime_name)
			continue;
		container->runtime_name = name;
		container->runtime_version = version;
		container->version++;
	}
}

int crier_index_set_runtime(struct crier_index *index, struct crier_slice name, struct crier_slice version)
{
	if (crier_slice_equal(name, crier_slice_of(index->runtime_name)) &&
	    crier_slice_equal(version, crier_slice_of(index->runtime_version)))
		return 0;

	_cleanup_free_ char *new_name = dup_slice(name);
	_cleanup_free_ char *new_version = dup_slice(version);

	if ((name.len && !new_name) || (version.len && !new_version))
		return -ENOMEM;
	set_runtime_in(&index->living, index, new_name, new_version);
	set_runtime_in(&index->tombstones, index, new_name, new_version);
	free(index->runtime_name);
	free(index->runtime_version);
	index->runtime_name = take_ptr(new_name);
	index->runtime_version = take_ptr(new_version);
	return 0;
}

void crier_index_expire(struct crier_index *index, uint64_t now_ns)
{
	crier_list_each(item, next, &index->tombstones)
	{
		struct crier_container *container = crier_container_of(item, struct crier_container, by_age);
		struct container_entry *entry = container_entry_of(container);

		if (now_ns < entry->buried_ns || now_ns - entry->buried_ns < index->limits.tombstone_age_ns)
			break;
		drop(index, entry);
	}
	crier_index_pods_expire(index, now_ns);
	crier_index_slots_expire(index, now_ns);
}

void crier_index_counts(const struct crier_index *index, struct crier_index_counts *ret_counts)
{
	*ret_counts = index->counts;
}

/* A container buried while living ones are told turns up in the second list again: the stamp tells. */
static bool tell(struct crier_index *index, struct crier_list *list,
		 bool (*fn)(void *ctx, struct crier_container *container), void *ctx)
{
	crier_list_each(item, next, list)
	{
		struct crier_container *container = crier_container_of(item, struct crier_container, by_age);
		struct container_entry *entry = container_entry_of(container);

		if (entry->visit == index->visit)
			continue;
		entry->visit = index->visit;
		if (!fn(ctx, container))
			return false;
	}
	return true;
}

void crier_index_each(struct crier_index *index, bool (*fn)(void *ctx, struct crier_container *container),
		      void *ctx)
{
	index->visit++;
	if (tell(index, &index->living, fn, ctx))
		tell(index, &index->tombstones, fn, ctx);
}
