/* SPDX-License-Identifier: Apache-2.0 */
#include "holder.h"

#include <errno.h>

/* Before each block: its size, so that protobuf-c's temporary blocks are given back to the ceiling. */
union block {
	size_t size;
	max_align_t align;
};

static void *allocate(void *data, size_t size)
{
	struct crier_cri_holder *holder = data;

	if (size > holder->max - holder->used || sizeof(union block) > holder->max - holder->used - size) {
		holder->refused = true;
		return NULL;
	}
	union block *block = malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	block->size = sizeof(*block) + size;
	holder->used += block->size;
	return block + 1;
}

static void release(void *data, void *pointer)
{
	struct crier_cri_holder *holder = data;
	union block *block = pointer;

	if (!block)
		return;
	block--;
	holder->used -= block->size;
	free(block);
}

int crier_cri_holder_new(size_t max_bytes, struct crier_cri_holder **ret_holder)
{
	struct crier_cri_holder *holder = calloc(1, sizeof(*holder));

	if (!holder)
		return -ENOMEM;
	holder->max = max_bytes;
	holder->allocator =
		(ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = holder};
	*ret_holder = holder;
	return 0;
}

void crier_cri_holder_clear(struct crier_cri_holder *holder)
{
	if (holder->message)
		protobuf_c_message_free_unpacked(holder->message, &holder->allocator);
	holder->message = NULL;
	json_decref(holder->info);
	holder->info = NULL;
	holder->refused = false;
}

void crier_cri_holder_free(struct crier_cri_holder *holder)
{
	if (!holder)
		return;
	crier_cri_holder_clear(holder);
	free(holder);
}

int crier_cri_holder_unpack(struct crier_cri_holder *holder, const ProtobufCMessageDescriptor *descriptor,
			    const void *bytes, size_t len)
{
	holder->message = protobuf_c_message_unpack(descriptor, &holder->allocator, len, bytes);
	if (holder->message)
		return 0;
	return holder->refused ? -E2BIG : -EINVAL;
}

/* jansson has no limit on values and takes up to 250 bytes for each two of text, so they are counted first. */
static bool is_bounded(struct crier_slice text)
{
	size_t depth = 0, values = 1;
	bool quoted = false;

	for (size_t i = 0; i < text.len; i++) {
		switch (text.ptr[i]) {
		case '"': quoted = !quoted; break;
		case '\\': i += quoted; break;
		case '{':
		case '[':
			if (!quoted && (++depth > CRIER_CRI_INFO_DEPTH || ++values > CRIER_CRI_INFO_VALUES))
				return false;
			break;
		case '}':
		case ']': depth -= !quoted && depth > 0; break;
		case ',':
			if (!quoted && ++values > CRIER_CRI_INFO_VALUES)
				return false;
			break;
		default: break;
		}
	}
	return true;
}

int crier_cri_holder_parse(struct crier_cri_holder *holder, struct crier_slice text)
{
	if (text.len > CRIER_CRI_INFO_MAX || !is_bounded(text))
		return -E2BIG;
	holder->info = json_loadb(text.ptr, text.len, JSON_ALLOW_NUL, NULL);
	return holder->info ? 0 : -EINVAL;
}
