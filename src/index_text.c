/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of the index, in three kinds. Owned ones: one holder each. Shared ones: sandbox ids, held by a pod and each of its
 * containers. Common ones: thousands of containers run a few images, in a few namespaces: equal texts are one, found by hash.
 */
#include "index_private.h"

#include <errno.h>

int crier_index_text_set(struct crier_slice *owned, struct crier_slice text)
{
	size_t len = crier_min(text.len, (size_t)CRIER_META_STRING_MAX);
	char *copy = malloc(len + 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, text.ptr, len);
	copy[len] = '\0';
	free((char *)owned->ptr);
	*owned = (struct crier_slice){copy, len};
	return 0;
}

struct shared_text {
	uint32_t references;
	char text[];
};

static struct shared_text *shared_of(const char *text)
{
	return (struct shared_text *)(void *)(text - offsetof(struct shared_text, text));
}

void crier_index_share_done(const char **shared)
{
	if (**shared && --shared_of(*shared)->references == 0)
		free(shared_of(*shared));
	*shared = "";
}

void crier_index_share_take(const char **shared, const char *from)
{
	if (*from)
		shared_of(from)->references++;
	crier_index_share_done(shared);
	*shared = from;
}

int crier_index_share_set(const char **shared, struct crier_slice text)
{
	struct shared_text *own = malloc(sizeof(*own) + text.len + 1);

	if (!own)
		return -ENOMEM;
	own->references = 1;
	memcpy(own->text, text.ptr, text.len);
	own->text[text.len] = '\0';
	crier_index_share_done(shared);
	*shared = own->text;
	return 0;
}

void crier_index_text_done(struct crier_slice *owned)
{
	free((char *)owned->ptr);
	*owned = CRIER_SLICE_NONE;
}

/* ---- common ones ---- */

struct common_text {
	uint64_t hash;
	uint32_t references;
	uint32_t len;
	char text[];
};

static struct common_text *common_of(const char *text)
{
	return (struct common_text *)(void *)(text - offsetof(struct common_text, text));
}

static struct common_text *common_find(const struct crier_index *index, struct crier_slice text,
				       uint64_t hash)
{
	const struct crier_map_slot *slot = crier_map_first(&index->texts, hash);

	for (; slot; slot = crier_map_next(&index->texts, slot)) {
		struct common_text *common = slot->value;

		if (crier_slice_equal(text, (struct crier_slice){common->text, common->len}))
			return common;
	}
	return NULL;
}

static struct common_text *common_new(struct crier_index *index, struct crier_slice text, uint64_t hash)
{
	struct common_text *common;

	if (crier_map_reserve(&index->texts, 1) < 0)
		return NULL;
	common = malloc(sizeof(*common) + text.len + 1);
	if (!common)
		return NULL;
	*common = (struct common_text){.hash = hash, .len = (uint32_t)text.len};
	memcpy(common->text, text.ptr, text.len);
	common->text[text.len] = '\0';
	crier_map_put(&index->texts, hash, common);
	return common;
}

int crier_index_common_set(struct crier_index *index, struct crier_slice *held, struct crier_slice text)
{
	struct crier_slice cut = crier_index_cut(text);
	uint64_t hash = hash_text(cut);
	struct common_text *common = common_find(index, cut, hash);

	if (!common)
		common = common_new(index, cut, hash);
	if (!common)
		return -ENOMEM;
	common->references++;
	crier_index_common_done(index, held);
	*held = (struct crier_slice){common->text, common->len};
	return 0;
}

void crier_index_common_done(struct crier_index *index, struct crier_slice *held)
{
	if (held->ptr) {
		struct common_text *common = common_of(held->ptr);

		if (--common->references == 0) {
			crier_map_remove(&index->texts, common->hash, common);
			free(common);
		}
	}
	*held = CRIER_SLICE_NONE;
}
