/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/meta.h"

#include <errno.h>

#include "meta_layout.h"

struct reader {
	const unsigned char *pos, *end;
};

static int64_t unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static bool read_varint(struct reader *reader, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && reader->pos < reader->end; shift += 7) {
		unsigned char byte = *reader->pos++;

		if (shift == 63 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

/* One field of a nested struct: `ret_inner` is what is inside (kind 1), `ret_value` the number (kind 0). */
struct item {
	uint64_t number;
	bool is_bytes;
	uint64_t value;
	struct reader inner;
};

static bool read_item(struct reader *reader, struct item *ret_item)
{
	uint64_t tag = 0, value = 0;

	if (!read_varint(reader, &tag) || !read_varint(reader, &value))
		return false;
	*ret_item = (struct item){.number = tag >> 1, .is_bytes = tag & 1, .value = value};
	if (!ret_item->is_bytes)
		return true;
	if (value > (uint64_t)(reader->end - reader->pos))
		return false;
	ret_item->inner = (struct reader){reader->pos, reader->pos + value};
	reader->pos += value;
	return true;
}

static bool read_text(const struct reader *inner, struct crier_slice *ret_text)
{
	size_t len = (size_t)(inner->end - inner->pos);

	if (len > CRIER_META_STRING_MAX)
		return false;
	*ret_text = (struct crier_slice){(const char *)inner->pos, len};
	return true;
}

static bool read_labels(struct reader *reader, struct crier_meta_labels *ret_labels)
{
	struct item item;

	while (reader->pos < reader->end) {
		if (!read_item(reader, &item))
			return false;
		if (item.number == NUMBER_DROPPED && !item.is_bytes) {
			ret_labels->dropped = item.value;
		} else if (item.number == NUMBER_PAIR && item.is_bytes) {
			uint64_t len = 0;

			if (ret_labels->count == CRIER_META_LABELS_MAX || !read_varint(&item.inner, &len) ||
			    len > (uint64_t)(item.inner.end - item.inner.pos))
				return false;
			struct crier_meta_label *label = &ret_labels->items[ret_labels->count];
			struct reader key = {item.inner.pos, item.inner.pos + len};
			struct reader text = {key.end, item.inner.end};

			if (!read_text(&key, &label->key) || !read_text(&text, &label->value))
				return false;
			ret_labels->count++;
		} else if (item.number == NUMBER_DROPPED || item.number == NUMBER_PAIR) {
			return false;
		}
	}
	return true;
}

static bool read_struct(struct reader *reader, const struct layout *layout, char *base, uint64_t last);

static bool read_field(const struct field *field, struct item *item, char *member)
{
	switch (field->kind) {
	case KIND_U64:
	case KIND_COUNT:
	case KIND_CUT: *(uint64_t *)member = item->value; return !item->is_bytes;
	case KIND_I64: *(int64_t *)member = unzigzag(item->value); return !item->is_bytes;
	case KIND_TEXT: return item->is_bytes && read_text(&item->inner, (struct crier_slice *)member);
	case KIND_LABELS: return item->is_bytes && read_labels(&item->inner, (void *)member);
	default:
		return item->is_bytes &&
		       read_struct(&item->inner, crier_meta_layout_of(field->kind), member, 0);
	}
}

/* Numbers ascend from `last`. Depth is bounded by the layouts: what is not in them is skipped, not entered. */
static bool read_struct(struct reader *reader, const struct layout *layout, char *base, uint64_t last)
{
	while (reader->pos < reader->end) {
		const struct field *field = NULL;
		struct item item;

		if (!read_item(reader, &item) || item.number <= last)
			return false;
		last = item.number;
		for (size_t i = 0; i < layout->count && !field; i++)
			if (layout->fields[i].number == item.number)
				field = &layout->fields[i];
		if (field && !read_field(field, &item, base + field->offset))
			return false;
	}
	return true;
}

static bool read_message(struct reader *reader, struct crier_meta_message *message)
{
	struct reader ahead = *reader;
	struct item item;

	if (ahead.pos < ahead.end) {
		if (!read_item(&ahead, &item))
			return false;
		if (item.number == NUMBER_STATUS) {
			if (item.is_bytes || item.value >= CRIER_META_STATUS_COUNT)
				return false;
			message->status = (enum crier_meta_status)item.value;
			*reader = ahead;
		}
	}
	if (!read_struct(reader, &crier_meta_layout, (char *)message, NUMBER_STATUS))
		return false;
	if (message->container.state >= CRIER_STATE_COUNT)
		message->container.state = CRIER_STATE_UNKNOWN;
	if (message->event >= CRIER_META_EVENT_COUNT)
		message->event = CRIER_META_EVENT_NONE;
	if (message->runtime.stream >= CRIER_STREAM_COUNT)
		message->runtime.stream = CRIER_STREAM_UNKNOWN;
	return true;
}

int crier_meta_decode(const void *bytes, size_t len, struct crier_meta_message *ret_message)
{
	const unsigned char *head = bytes;

	crier_meta_clear(ret_message);
	if (len < HEAD_SIZE || head[0] != 'c' || head[1] != 'm' || head[2] != BLOB_VERSION ||
	    head[3] == CRIER_META_NONE || head[3] >= CRIER_META_TYPE_COUNT)
		return -EINVAL;
	struct reader reader = {head + HEAD_SIZE, head + len};

	if (!read_message(&reader, ret_message)) {
		crier_meta_clear(ret_message);
		return -EINVAL;
	}
	ret_message->type = (enum crier_meta_type)head[3];
	return 0;
}
