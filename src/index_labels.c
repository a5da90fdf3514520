/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of pods: the allow-list, and the workload that pod-template-hash proves. A DaemonSet's or Deployment's pods have the
 * same allowed ones: equal sets are one.
 */
#include "index_private.h"

#include <errno.h>

static bool is_allowed(struct crier_slice key, const char *const *allowed)
{
	for (; allowed && *allowed; allowed++) {
		struct crier_slice pattern = crier_slice_of(*allowed);

		if (pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*') {
			pattern.len--;
			if (crier_slice_starts(key, pattern))
				return true;
		} else if (crier_slice_equal(key, pattern)) {
			return true;
		}
	}
	return false;
}

static bool labels_equal(const struct crier_meta_labels *a, const struct crier_meta_labels *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!crier_slice_equal(a->items[i].key, b->items[i].key) ||
		    !crier_slice_equal(a->items[i].value, b->items[i].value))
			return false;
	return true;
}

static struct crier_slice copy_into(char **at_text, struct crier_slice text)
{
	struct crier_slice copy = {*at_text, text.len};

	if (text.len)
		memcpy(*at_text, text.ptr, text.len);
	*at_text += text.len;
	return copy;
}

struct common_labels {
	uint64_t hash;
	uint32_t references;
	struct crier_meta_labels labels; /* only `count` items are allocated */
};

static struct common_labels *common_of(const struct crier_meta_labels *labels)
{
	return (struct common_labels *)(void *)((char *)labels - offsetof(struct common_labels, labels));
}

static uint64_t labels_hash(const struct crier_meta_labels *labels)
{
	uint64_t hash = labels->count;

	for (size_t i = 0; i < labels->count; i++) {
		hash = crier_hash_u64(hash ^ hash_text(labels->items[i].key));
		hash = crier_hash_u64(hash ^ hash_text(labels->items[i].value));
	}
	return hash;
}

static struct common_labels *common_find(const struct crier_index *index,
					 const struct crier_meta_labels *labels, uint64_t hash)
{
	const struct crier_map_slot *slot = crier_map_first(&index->labels, hash);

	for (; slot; slot = crier_map_next(&index->labels, slot)) {
		struct common_labels *common = slot->value;

		if (labels_equal(&common->labels, labels))
			return common;
	}
	return NULL;
}

/* One block: the items that are used, and their text behind them. */
static struct common_labels *common_new(struct crier_index *index, const struct crier_meta_labels *labels,
					uint64_t hash)
{
	size_t head = offsetof(struct common_labels, labels.items) + labels->count * sizeof(labels->items[0]);
	size_t text = 0;

	for (size_t i = 0; i < labels->count; i++)
		text += labels->items[i].key.len + labels->items[i].value.len;

	struct common_labels *copy = crier_map_reserve(&index->labels, 1) < 0 ? NULL : malloc(head + text);

	if (!copy)
		return NULL;

	char *at_text = (char *)copy + head;

	copy->hash = hash;
	copy->references = 0;
	copy->labels.count = labels->count;
	copy->labels.dropped = 0;
	for (size_t i = 0; i < labels->count; i++) {
		copy->labels.items[i].key = copy_into(&at_text, labels->items[i].key);
		copy->labels.items[i].value = copy_into(&at_text, labels->items[i].value);
	}
	crier_map_put(&index->labels, hash, copy);
	return copy;
}

static int labels_set(struct crier_index *index, const struct crier_meta_labels **held,
		      const struct crier_meta_labels *labels)
{
	uint64_t hash = labels_hash(labels);
	struct common_labels *common = common_find(index, labels, hash);

	if (!common)
		common = common_new(index, labels, hash);
	if (!common)
		return -ENOMEM;
	common->references++;
	crier_index_labels_done(index, held);
	*held = &common->labels;
	return 0;
}

void crier_index_labels_done(struct crier_index *index, const struct crier_meta_labels **held)
{
	struct common_labels *common = *held ? common_of(*held) : NULL;

	*held = NULL;
	if (!common || --common->references > 0)
		return;
	crier_map_remove(&index->labels, common->hash, common);
	free(common);
}

int crier_index_merge_labels(struct crier_index *index, struct pod_entry *entry,
			     const struct crier_meta_labels *told, enum crier_source source,
			     const char *const *allowed)
{
	struct crier_meta_labels kept = {0};

	if (told->count == 0 || (entry->pod.labels && source < entry->rank[POD_LABELS]))
		return 0;
	for (size_t i = 0; i < told->count && i < CRIER_META_LABELS_MAX; i++)
		if (told->items[i].key.len > 0 && is_allowed(told->items[i].key, allowed)) {
			kept.items[kept.count].key = crier_index_cut(told->items[i].key);
			kept.items[kept.count++].value = crier_index_cut(told->items[i].value);
		}
	if (entry->pod.labels ? labels_equal(entry->pod.labels, &kept) : kept.count == 0)
		return 0;
	if (labels_set(index, &entry->pod.labels, &kept) < 0)
		return -ENOMEM;
	entry->rank[POD_LABELS] = (uint8_t)source;
	return 1;
}

#define POD_SUFFIX_LEN 5 /* of generated names, from this alphabet: k8s.io/apimachinery/pkg/util/rand */

static bool is_generated_suffix(const char *text)
{
	static const char alphabet[] = "bcdfghjklmnpqrstvwxz2456789";

	for (size_t i = 0; i < POD_SUFFIX_LEN; i++)
		if (!memchr(alphabet, text[i], sizeof(alphabet) - 1))
			return false;
	return true;
}

/*
 * "cart-7d9f8b6c5-x2x4k" with pod-template-hash 7d9f8b6c5 is of the ReplicaSet cart-7d9f8b6c5: its controller puts the
 * label on, and the name is "<replicaset>-<suffix>". A name that was cut (58 characters and the suffix) proves nothing.
 */
static bool split_name(struct crier_slice pod_name, struct crier_slice hash, struct crier_slice *ret_set,
		       struct crier_slice *ret_deployment)
{
	if (hash.len == 0 || pod_name.len < hash.len + POD_SUFFIX_LEN + 3)
		return false;

	size_t set_len = pod_name.len - POD_SUFFIX_LEN - 1;
	size_t deployment_len = set_len - hash.len - 1;

	if (pod_name.ptr[set_len] != '-' || pod_name.ptr[deployment_len] != '-' ||
	    !is_generated_suffix(pod_name.ptr + set_len + 1) ||
	    memcmp(pod_name.ptr + deployment_len + 1, hash.ptr, hash.len) != 0)
		return false;
	*ret_set = (struct crier_slice){pod_name.ptr, set_len};
	*ret_deployment = (struct crier_slice){pod_name.ptr, deployment_len};
	return true;
}

int crier_index_merge_workload(struct crier_index *index, struct crier_pod *pod,
			       const struct crier_meta_labels *labels)
{
	struct crier_slice set, deployment;

	for (size_t i = 0; i < labels->count && i < CRIER_META_LABELS_MAX; i++) {
		if (!crier_slice_equal(labels->items[i].key, CRIER_SLICE("pod-template-hash")) ||
		    !split_name(pod->name, labels->items[i].value, &set, &deployment))
			continue;
		if (crier_slice_equal(set, pod->replicaset))
			return 0;
		if (crier_index_common_set(index, &pod->replicaset, set) < 0 ||
		    crier_index_common_set(index, &pod->deployment, deployment) < 0)
			return -ENOMEM;
		return 1;
	}
	return 0;
}
