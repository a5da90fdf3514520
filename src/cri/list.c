/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListPodSandboxResponse and ListContainersResponse are one repeated message, field 1 each. They are walked here by
 * hand, so that a list of a thousand containers is never unpacked as a whole.
 */
#include "crier/cri_convert.h"

#include <errno.h>

#include "holder.h"

enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
enum { NUMBER_ITEMS = 1 };

static bool read_varint(struct crier_cri_list *list, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && list->pos < list->end; shift += 7) {
		unsigned char byte = *list->pos++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool skip(struct crier_cri_list *list, uint64_t len)
{
	if (len > (uint64_t)(list->end - list->pos))
		return false;
	list->pos += len;
	return true;
}

/* Next item's bytes. @return 1, 0 at the end, -EINVAL */
static int next_bytes(struct crier_cri_list *list, struct crier_slice *ret_item)
{
	uint64_t tag = 0, value = 0;

	while (list->pos < list->end) {
		if (!read_varint(list, &tag) || tag >> 3 == 0)
			return -EINVAL;
		switch (tag & 7) {
		case WIRE_VARINT:
			if (!read_varint(list, &value))
				return -EINVAL;
			break;
		case WIRE_FIXED64:
		case WIRE_FIXED32:
			if (!skip(list, (tag & 7) == WIRE_FIXED64 ? 8 : 4))
				return -EINVAL;
			break;
		case WIRE_BYTES:
			if (!read_varint(list, &value))
				return -EINVAL;
			*ret_item = (struct crier_slice){(const char *)list->pos, value};
			if (!skip(list, value))
				return -EINVAL;
			if (tag >> 3 == NUMBER_ITEMS)
				return 1;
			break;
		default: return -EINVAL; /* groups are not in proto3 */
		}
		if (tag >> 3 == NUMBER_ITEMS)
			return -EINVAL;
	}
	return 0;
}

int crier_cri_list_next(struct crier_cri_list *list, struct crier_cri_holder *holder,
			struct crier_meta_message *ret_message)
{
	struct crier_slice item;
	int r = next_bytes(list, &item);

	if (r <= 0)
		return r;
	r = crier_cri_convert_item(list->method, item.ptr, item.len, holder, ret_message);
	return r < 0 ? r : 1;
}

int crier_cri_list_count(const struct crier_cri_list *list, uint32_t *ret_count)
{
	struct crier_cri_list walk = *list;
	struct crier_slice item;
	uint32_t count = 0;
	int r = 0;

	while ((r = next_bytes(&walk, &item)) > 0)
		count++;
	if (r == 0)
		*ret_count = count;
	return r;
}
