/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: one struct per sandbox. A pod that only a cgroup path told of is known by its uid; when its sandbox turns up the
 * two become one. Several sandboxes may share a uid over time (a recreated sandbox): the youngest alive is meant.
 */
#include "index_private.h"

#include <errno.h>

void crier_index_on_pod_drop(struct crier_index *index,
			     void (*fn)(void *ctx, struct crier_pod *pod, struct crier_pod *into), void *ctx)
{
	index->on_pod_drop = fn;
	index->on_pod_drop_ctx = ctx;
}

struct crier_pod *crier_index_pod_by_sandbox(struct crier_index *index, struct crier_slice sandbox_id)
{
	const struct crier_map_slot *slot;

	if (sandbox_id.len == 0)
		return NULL;
	slot = crier_map_first(&index->pods_by_sandbox, hash_text(sandbox_id));
	for (; slot; slot = crier_map_next(&index->pods_by_sandbox, slot)) {
		struct pod_entry *entry = slot->value;

		if (crier_slice_equal(sandbox_id, crier_slice_of(entry->pod.sandbox_id)))
			return &entry->pod;
	}
	return NULL;
}

static bool is_better(const struct pod_entry *a, const struct pod_entry *b)
{
	if (!b)
		return true;
	if ((a->pod.gone_ns == 0) != (b->pod.gone_ns == 0))
		return a->pod.gone_ns == 0;
	return a->serial > b->serial;
}

/* @param bare  only a pod without sandbox id will do */
static struct crier_pod *by_uid(struct crier_index *index, struct crier_slice uid, bool bare)
{
	const struct crier_map_slot *slot;
	struct pod_entry *best = NULL;

	if (uid.len == 0)
		return NULL;
	slot = crier_map_first(&index->pods_by_uid, hash_text(uid));
	for (; slot; slot = crier_map_next(&index->pods_by_uid, slot)) {
		struct pod_entry *entry = slot->value;

		if (crier_slice_equal(uid, crier_slice_of(entry->pod.uid)) &&
		    (!bare || !entry->pod.sandbox_id[0]) && is_better(entry, best))
			best = entry;
	}
	return best ? &best->pod : NULL;
}

struct crier_pod *crier_index_pod_by_uid(struct crier_index *index, struct crier_slice uid)
{
	return by_uid(index, uid, false);
}

struct crier_pod *crier_index_pod_find(struct crier_index *index, struct crier_slice sandbox_id,
				       struct crier_slice uid)
{
	if (sandbox_id.len == 0)
		return by_uid(index, uid, false);

	struct crier_pod *pod = crier_index_pod_by_sandbox(index, sandbox_id);

	return pod ? pod : by_uid(index, uid, true);
}

static void drop(struct crier_index *index, struct crier_pod *pod, struct crier_pod *into)
{
	if (index->on_pod_drop)
		index->on_pod_drop(index->on_pod_drop_ctx, pod, into);
	if (pod->sandbox_id[0])
		crier_map_remove(&index->pods_by_sandbox, hash_text(crier_slice_of(pod->sandbox_id)),
				 pod_entry_of(pod));
	if (pod->uid[0])
		crier_map_remove(&index->pods_by_uid, hash_text(crier_slice_of(pod->uid)), pod_entry_of(pod));
	crier_list_remove(&pod->by_age);
	index->counts.pods--;
	crier_index_text_done(&pod->name);
	crier_index_common_done(index, &pod->namespace_);
	crier_index_text_done(&pod->ip);
	crier_index_common_done(index, &pod->replicaset);
	crier_index_common_done(index, &pod->deployment);
	crier_index_share_done(&pod->sandbox_id);
	crier_index_labels_done(index, &pod->labels);
	free(pod_entry_of(pod));
}

static void free_list(struct crier_index *index, struct crier_list *list)
{
	crier_list_each(item, next, list)
		drop(index, crier_container_of(item, struct crier_pod, by_age), NULL);
}

void crier_index_pods_free(struct crier_index *index)
{
	free_list(index, &index->pods);
	free_list(index, &index->pods_gone);
	crier_map_done(&index->pods_by_sandbox);
	crier_map_done(&index->pods_by_uid);
}

static bool evict_from(struct crier_index *index, struct crier_list *list)
{
	crier_list_each(item, next, list)
	{
		struct crier_pod *pod = crier_container_of(item, struct crier_pod, by_age);

		if (pod->references == 0) {
			drop(index, pod, NULL);
			return true;
		}
	}
	return false;
}

static int pod_new(struct crier_index *index, struct crier_pod **ret_pod)
{
	/* Each container, living or dead, has at most one pod: more pods than that are of nobody. */
	uint64_t bound = (uint64_t)index->limits.containers + index->limits.tombstones;

	if (index->counts.pods >= bound && !evict_from(index, &index->pods_gone) &&
	    !evict_from(index, &index->pods)) {
		index->counts.refused_full++;
		return -ENOSPC;
	}

	struct pod_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	entry->pod.created_at_ns = CRIER_UNKNOWN_U64;
	entry->pod.version = 1;
	entry->pod.sandbox_id = "";
	entry->serial = ++index->next_serial;
	crier_list_append(&index->pods, &entry->pod.by_age);
	index->counts.pods++;
	*ret_pod = &entry->pod;
	return 0;
}

/* Room in the map was reserved. */
static void set_uid(struct crier_index *index, struct crier_pod *pod, struct crier_slice uid,
		    enum crier_source source)
{
	struct pod_entry *entry = pod_entry_of(pod);

	if (pod->uid[0])
		crier_map_remove(&index->pods_by_uid, hash_text(crier_slice_of(pod->uid)), entry);
	crier_copy_str(pod->uid, sizeof(pod->uid), uid);
	crier_map_put(&index->pods_by_uid, hash_text(uid), entry);
	entry->rank[POD_UID] = (uint8_t)source;
	pod->version++;
}

static int set_sandbox(struct crier_index *index, struct crier_pod *pod, struct crier_slice sandbox_id)
{
	struct crier_container *container = crier_index_container(index, sandbox_id);
	int r = crier_index_share_set(&pod->sandbox_id, sandbox_id);

	if (r < 0)
		return r;
	crier_map_put(&index->pods_by_sandbox, hash_text(sandbox_id), pod_entry_of(pod));
	pod->version++;
	if (container)
		crier_index_mark_sandbox(container, pod);
	return 0;
}

static void repoint(struct crier_list *list, struct crier_pod *from, struct crier_pod *into)
{
	crier_list_each(item, next, list)
	{
		struct crier_container *container = crier_container_of(item, struct crier_container, by_age);

		if (container->pod != from)
			continue;
		container->pod = into;
		from->references--;
		into->references++;
		container->version++;
	}
}

/* Two structs turn out to be one pod: `from` goes. */
static void absorb(struct crier_index *index, struct crier_pod *into, struct crier_pod *from)
{
	repoint(&index->living, from, into);
	repoint(&index->tombstones, from, into);
	crier_index_pod_absorb_fields(pod_entry_of(into), pod_entry_of(from));
	into->version++;
	drop(index, from, into);
}

/* The sandbox is known, and a uid is told along. */
static int join_uid(struct crier_index *index, struct crier_pod *pod, struct crier_slice uid,
		    enum crier_source source)
{
	struct pod_entry *entry = pod_entry_of(pod);
	struct crier_pod *bare;

	if (crier_slice_equal(uid, crier_slice_of(pod->uid))) {
		entry->rank[POD_UID] = (uint8_t)crier_max((unsigned)entry->rank[POD_UID], (unsigned)source);
		return 0;
	}
	if (pod->uid[0] && source <= entry->rank[POD_UID])
		return -EEXIST;
	bare = by_uid(index, uid, true);
	set_uid(index, pod, uid, source);
	if (bare && bare != pod)
		absorb(index, pod, bare);
	return 0;
}

static bool is_id(struct crier_slice id, size_t cap)
{
	return id.len < cap && (id.len == 0 || !memchr(id.ptr, '\0', id.len));
}

int crier_index_pod_identify(struct crier_index *index, struct crier_pod *pod, struct crier_slice sandbox_id,
			     struct crier_slice uid, enum crier_source source)
{
	if (!is_id(sandbox_id, CRIER_ID_MAX) || !is_id(uid, CRIER_UID_MAX))
		return -EINVAL;
	if (crier_map_reserve(&index->pods_by_sandbox, 1) < 0 ||
	    crier_map_reserve(&index->pods_by_uid, 1) < 0)
		return -ENOMEM;
	if (sandbox_id.len && !pod->sandbox_id[0] && set_sandbox(index, pod, sandbox_id) < 0)
		return -ENOMEM;
	return uid.len ? join_uid(index, pod, uid, source) : 0;
}

int crier_index_pod_add_from(struct crier_index *index, struct crier_slice sandbox_id, struct crier_slice uid,
			     enum crier_source source, struct crier_pod **ret_pod)
{
	struct crier_pod *pod;
	bool fresh;
	int r;

	if ((sandbox_id.len == 0 && uid.len == 0) || !is_id(sandbox_id, CRIER_ID_MAX) ||
	    !is_id(uid, CRIER_UID_MAX))
		return -EINVAL;
	pod = crier_index_pod_find(index, sandbox_id, uid);
	fresh = !pod;
	if (fresh) {
		r = pod_new(index, &pod);
		if (r < 0)
			return r;
	}
	r = crier_index_pod_identify(index, pod, sandbox_id, uid, source);
	if (r < 0) {
		if (fresh)
			drop(index, pod, NULL);
		return r;
	}
	*ret_pod = pod;
	return 0;
}

int crier_index_pod_add(struct crier_index *index, struct crier_slice sandbox_id, struct crier_slice uid,
			struct crier_pod **ret_pod)
{
	return crier_index_pod_add_from(index, sandbox_id, uid, CRIER_SOURCE_CGROUP_PATH, ret_pod);
}

bool crier_index_mark_sandbox(struct crier_container *container, struct crier_pod *pod)
{
	bool news = container->type != CRIER_CONTAINER_TYPE_SANDBOX || container->pod != pod;

	container->type = CRIER_CONTAINER_TYPE_SANDBOX;
	crier_index_share_take(&container->sandbox_id, pod->sandbox_id);
	crier_index_container_attach(container, pod, CRIER_SOURCE_CGROUP_PATH);
	if (news)
		container->version++;
	return news;
}

void crier_index_pod_gone(struct crier_index *index, struct crier_pod *pod, uint64_t now_ns)
{
	if (pod->gone_ns)
		return;
	pod->gone_ns = now_ns ? now_ns : 1;
	crier_list_remove(&pod->by_age);
	crier_list_append(&index->pods_gone, &pod->by_age);

	const struct crier_pod *other = crier_index_pod_by_uid(index, crier_slice_of(pod->uid));

	if (!other || other->gone_ns)
		crier_index_slots_forget(index, crier_slice_of(pod->uid));
}

void crier_index_pod_revive(struct crier_index *index, struct crier_pod *pod)
{
	if (!pod->gone_ns)
		return;
	pod->gone_ns = 0;
	crier_list_remove(&pod->by_age);
	crier_list_append(&index->pods, &pod->by_age);
}

int crier_index_pod_set_qos(struct crier_index *index, struct crier_pod *pod, enum crier_qos qos,
			    enum crier_source source)
{
	struct pod_entry *entry = pod_entry_of(pod);

	(void)index;
	if (qos == CRIER_QOS_UNKNOWN || pod->qos == qos ||
	    (pod->qos != CRIER_QOS_UNKNOWN && source < entry->rank[POD_QOS]))
		return 0;
	pod->qos = (uint8_t)qos;
	entry->rank[POD_QOS] = (uint8_t)source;
	pod->version++;
	return 1;
}

void crier_index_pods_expire(struct crier_index *index, uint64_t now_ns)
{
	crier_list_each(item, next, &index->pods_gone)
	{
		struct crier_pod *pod = crier_container_of(item, struct crier_pod, by_age);

		if (now_ns < pod->gone_ns || now_ns - pod->gone_ns < index->limits.tombstone_age_ns)
			return;
		if (pod->references == 0)
			drop(index, pod, NULL);
	}
}

void crier_index_pods_each(struct crier_index *index, bool (*fn)(void *ctx, struct crier_pod *pod), void *ctx)
{
	/* Those alive only; fn may call crier_index_pod_gone on the one it is told. */
	crier_list_each(item, next, &index->pods) if (!fn(ctx, crier_container_of(item, struct crier_pod,
										  by_age))) return;
}
