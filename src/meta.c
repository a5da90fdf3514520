/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/meta.h"

#include <errno.h>

#include "meta_layout.h"

#define FIELD(type, n, k, member)                                                                            \
	{                                                                                                    \
		(n), (k), offsetof(struct type, member)                                                      \
	}
#define LAYOUT(table)                                                                                        \
	{                                                                                                    \
		(table), CRIER_ARRAY_SIZE(table)                                                             \
	}

static const struct field runtime_fields[] = {
	FIELD(crier_meta_runtime, 1, KIND_TEXT, name),
	FIELD(crier_meta_runtime, 2, KIND_TEXT, version),
	FIELD(crier_meta_runtime, 3, KIND_TEXT, api_version),
	FIELD(crier_meta_runtime, 4, KIND_U64, ready),
	FIELD(crier_meta_runtime, 5, KIND_COUNT, stream),
};

static const struct field pod_fields[] = {
	FIELD(crier_meta_pod, 1, KIND_TEXT, sandbox_id),
	FIELD(crier_meta_pod, 2, KIND_TEXT, name),
	FIELD(crier_meta_pod, 3, KIND_TEXT, namespace_),
	FIELD(crier_meta_pod, 4, KIND_TEXT, uid),
	FIELD(crier_meta_pod, 5, KIND_TEXT, ip),
	FIELD(crier_meta_pod, 6, KIND_TEXT, cgroup_parent),
	FIELD(crier_meta_pod, 7, KIND_TEXT, runtime_handler),
	FIELD(crier_meta_pod, 8, KIND_U64, attempt),
	FIELD(crier_meta_pod, 9, KIND_U64, created_at_ns),
	FIELD(crier_meta_pod, 10, KIND_U64, pid),
	FIELD(crier_meta_pod, 11, KIND_U64, ready),
	FIELD(crier_meta_pod, 12, KIND_LABELS, labels),
};

static const struct field container_fields[] = {
	FIELD(crier_meta_container, 1, KIND_TEXT, id),
	FIELD(crier_meta_container, 2, KIND_TEXT, sandbox_id),
	FIELD(crier_meta_container, 3, KIND_TEXT, name),
	FIELD(crier_meta_container, 4, KIND_TEXT, pod_name),
	FIELD(crier_meta_container, 5, KIND_TEXT, pod_namespace),
	FIELD(crier_meta_container, 6, KIND_TEXT, pod_uid),
	FIELD(crier_meta_container, 7, KIND_TEXT, image),
	FIELD(crier_meta_container, 8, KIND_TEXT, image_id),
	FIELD(crier_meta_container, 9, KIND_TEXT, reason),
	FIELD(crier_meta_container, 10, KIND_TEXT, message),
	FIELD(crier_meta_container, 11, KIND_TEXT, cgroups_path),
	FIELD(crier_meta_container, 12, KIND_TEXT, type),
	FIELD(crier_meta_container, 13, KIND_U64, restart_count),
	FIELD(crier_meta_container, 14, KIND_COUNT, state),
	FIELD(crier_meta_container, 15, KIND_U64, created_at_ns),
	FIELD(crier_meta_container, 16, KIND_U64, started_at_ns),
	FIELD(crier_meta_container, 17, KIND_U64, finished_at_ns),
	FIELD(crier_meta_container, 18, KIND_I64, exit_code),
	FIELD(crier_meta_container, 19, KIND_U64, pid),
	FIELD(crier_meta_container, 20, KIND_U64, memory_limit_bytes),
	FIELD(crier_meta_container, 21, KIND_U64, cpu_quota_us),
	FIELD(crier_meta_container, 22, KIND_U64, cpu_period_us),
	FIELD(crier_meta_container, 23, KIND_U64, grace_period_s),
	FIELD(crier_meta_container, 24, KIND_LABELS, labels),
};

static const struct field message_fields[] = {
	FIELD(crier_meta_message, 2, KIND_COUNT, generation),
	FIELD(crier_meta_message, 3, KIND_TEXT, id),
	FIELD(crier_meta_message, 4, KIND_TEXT, error),
	FIELD(crier_meta_message, 5, KIND_RUNTIME, runtime),
	FIELD(crier_meta_message, 6, KIND_POD, pod),
	FIELD(crier_meta_message, 7, KIND_CONTAINER, container),
	FIELD(crier_meta_message, 8, KIND_CUT, strings_cut),
	FIELD(crier_meta_message, 9, KIND_COUNT, event),
	FIELD(crier_meta_message, 10, KIND_U64, event_at_ns),
	FIELD(crier_meta_message, 11, KIND_COUNT, skipped),
};

const struct layout crier_meta_layout = LAYOUT(message_fields);
static const struct layout runtime_layout = LAYOUT(runtime_fields);
static const struct layout pod_layout = LAYOUT(pod_fields);
static const struct layout container_layout = LAYOUT(container_fields);

const struct layout *crier_meta_layout_of(uint8_t kind)
{
	switch (kind) {
	case KIND_POD: return &pod_layout;
	case KIND_CONTAINER: return &container_layout;
	case KIND_RUNTIME: return &runtime_layout;
	default: return NULL;
	}
}

static void clear_struct(const struct layout *layout, char *base)
{
	for (size_t i = 0; i < layout->count; i++) {
		const struct field *field = &layout->fields[i];
		char *member = base + field->offset;

		switch (field->kind) {
		case KIND_U64: *(uint64_t *)member = CRIER_UNKNOWN_U64; break;
		case KIND_COUNT:
		case KIND_CUT: *(uint64_t *)member = 0; break;
		case KIND_I64: *(int64_t *)member = CRIER_UNKNOWN_I64; break;
		case KIND_TEXT: *(struct crier_slice *)member = CRIER_SLICE_NONE; break;
		case KIND_LABELS:
			((struct crier_meta_labels *)member)->count = 0;
			((struct crier_meta_labels *)member)->dropped = 0;
			break;
		default: clear_struct(crier_meta_layout_of(field->kind), member); break;
		}
	}
}

void crier_meta_clear(struct crier_meta_message *message)
{
	clear_struct(&crier_meta_layout, (char *)message);
	message->type = CRIER_META_NONE;
	message->status = CRIER_META_OK;
}

/* Writing. Lengths come first, so each nested struct is sized before it is written: two walks, no copy. */

struct plan {
	bool pod_dropped[CRIER_META_LABELS_MAX]; /* labels left out to make the blob fit */
	bool container_dropped[CRIER_META_LABELS_MAX];
	uint64_t strings_cut;
};

static size_t varint_size(uint64_t value)
{
	size_t n = 1;

	while (value >= 0x80) {
		value >>= 7;
		n++;
	}
	return n;
}

static void put_varint(struct crier_buf *buf, uint64_t value)
{
	char bytes[10];
	size_t n = 0;

	while (value >= 0x80) {
		bytes[n++] = (char)(value | 0x80);
		value >>= 7;
	}
	bytes[n++] = (char)value;
	crier_buf_put(buf, bytes, n);
}

static uint64_t zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static struct crier_slice cut(struct crier_slice text)
{
	return (struct crier_slice){text.ptr, crier_min(text.len, (size_t)CRIER_META_STRING_MAX)};
}

static const bool *dropped_of(const struct plan *plan, uint8_t owner)
{
	return owner == KIND_POD ? plan->pod_dropped : plan->container_dropped;
}

static size_t pair_size(const struct crier_meta_label *label)
{
	size_t key = cut(label->key).len;

	return varint_size(key) + key + cut(label->value).len;
}

static size_t labels_size(const struct crier_meta_labels *labels, const bool *dropped, uint64_t *ret_dropped)
{
	size_t size = 0;

	*ret_dropped = labels->dropped;
	for (size_t i = 0; i < labels->count; i++) {
		if (dropped[i]) {
			++*ret_dropped;
			continue;
		}
		size_t pair = pair_size(&labels->items[i]);

		size += 1 + varint_size(pair) + pair;
	}
	if (*ret_dropped)
		size += 1 + varint_size(*ret_dropped);
	return size;
}

static void put_labels(struct crier_buf *buf, const struct crier_meta_labels *labels, const bool *dropped,
		       uint64_t dropped_count)
{
	for (size_t i = 0; i < labels->count; i++) {
		if (dropped[i])
			continue;
		struct crier_slice key = cut(labels->items[i].key);

		put_varint(buf, NUMBER_PAIR << 1 | 1);
		put_varint(buf, pair_size(&labels->items[i]));
		put_varint(buf, key.len);
		crier_buf_put_slice(buf, key);
		crier_buf_put_slice(buf, cut(labels->items[i].value));
	}
	if (dropped_count) {
		put_varint(buf, NUMBER_DROPPED << 1);
		put_varint(buf, dropped_count);
	}
}

/* Size of one struct; with `buf`, write it too. `owner` is the struct's own kind. */
static size_t put_struct(struct crier_buf *buf, const struct layout *layout, uint8_t owner, const char *base,
			 const struct plan *plan);

static void put_number(struct crier_buf *buf, uint8_t number, uint64_t value, size_t *size)
{
	*size += varint_size((uint64_t)number << 1) + varint_size(value);
	if (buf) {
		put_varint(buf, (uint64_t)number << 1);
		put_varint(buf, value);
	}
}

static void put_head(struct crier_buf *buf, uint8_t number, size_t len, size_t *size)
{
	*size += varint_size((uint64_t)number << 1 | 1) + varint_size(len) + len;
	if (buf) {
		put_varint(buf, (uint64_t)number << 1 | 1);
		put_varint(buf, len);
	}
}

static void put_text(struct crier_buf *buf, uint8_t number, struct crier_slice text, size_t *size)
{
	if (!text.ptr)
		return;
	put_head(buf, number, cut(text).len, size);
	if (buf)
		crier_buf_put_slice(buf, cut(text));
}

static void put_field(struct crier_buf *buf, const struct field *field, uint8_t owner, const char *member,
		      const struct plan *plan, size_t *size)
{
	uint64_t dropped_count = 0;
	size_t len = 0;

	switch (field->kind) {
	case KIND_U64:
		if (*(const uint64_t *)member != CRIER_UNKNOWN_U64)
			put_number(buf, field->number, *(const uint64_t *)member, size);
		break;
	case KIND_COUNT:
		if (*(const uint64_t *)member)
			put_number(buf, field->number, *(const uint64_t *)member, size);
		break;
	case KIND_CUT:
		if (*(const uint64_t *)member + plan->strings_cut)
			put_number(buf, field->number, *(const uint64_t *)member + plan->strings_cut, size);
		break;
	case KIND_I64:
		if (*(const int64_t *)member != CRIER_UNKNOWN_I64)
			put_number(buf, field->number, zigzag(*(const int64_t *)member), size);
		break;
	case KIND_TEXT: put_text(buf, field->number, *(const struct crier_slice *)member, size); break;
	case KIND_LABELS:
		len = labels_size((const void *)member, dropped_of(plan, owner), &dropped_count);
		if (len == 0)
			break;
		put_head(buf, field->number, len, size);
		if (buf)
			put_labels(buf, (const void *)member, dropped_of(plan, owner), dropped_count);
		break;
	default:
		len = put_struct(NULL, crier_meta_layout_of(field->kind), field->kind, member, plan);
		if (len == 0)
			break;
		put_head(buf, field->number, len, size);
		if (buf)
			put_struct(buf, crier_meta_layout_of(field->kind), field->kind, member, plan);
		break;
	}
}

static size_t put_struct(struct crier_buf *buf, const struct layout *layout, uint8_t owner, const char *base,
			 const struct plan *plan)
{
	size_t size = 0;

	for (size_t i = 0; i < layout->count; i++)
		put_field(buf, &layout->fields[i], owner, base + layout->fields[i].offset, plan, &size);
	return size;
}

static uint64_t count_cut(const struct layout *layout, const char *base)
{
	uint64_t n = 0;

	for (size_t i = 0; i < layout->count; i++) {
		const char *member = base + layout->fields[i].offset;
		const struct crier_meta_labels *labels = (const void *)member;

		switch (layout->fields[i].kind) {
		case KIND_U64:
		case KIND_COUNT:
		case KIND_CUT:
		case KIND_I64: break;
		case KIND_TEXT: n += ((const struct crier_slice *)member)->len > CRIER_META_STRING_MAX; break;
		case KIND_LABELS:
			for (size_t k = 0; k < labels->count; k++)
				n += (labels->items[k].key.len > CRIER_META_STRING_MAX) +
				     (labels->items[k].value.len > CRIER_META_STRING_MAX);
			break;
		default: n += count_cut(crier_meta_layout_of(layout->fields[i].kind), member); break;
		}
	}
	return n;
}

/* Leave the largest label out. @return false when none is left. */
static bool drop_largest(const struct crier_meta_message *message, struct plan *plan)
{
	const struct crier_meta_labels *sets[] = {&message->pod.labels, &message->container.labels};
	bool *dropped[] = {plan->pod_dropped, plan->container_dropped};
	bool *largest = NULL;
	size_t most = 0;

	for (size_t s = 0; s < CRIER_ARRAY_SIZE(sets); s++) {
		for (size_t i = 0; i < sets[s]->count; i++) {
			size_t size = pair_size(&sets[s]->items[i]);

			if (!dropped[s][i] && (!largest || size > most)) {
				largest = &dropped[s][i];
				most = size;
			}
		}
	}
	if (largest)
		*largest = true;
	return largest;
}

int crier_meta_encode(const struct crier_meta_message *message, struct crier_buf *buf)
{
	const char head[HEAD_SIZE] = {'c', 'm', BLOB_VERSION, (char)message->type};
	const char *base = (const char *)message;
	struct plan plan = {.strings_cut = count_cut(&crier_meta_layout, base)};
	size_t status_size = 0;

	if (message->status != CRIER_META_OK)
		put_number(NULL, NUMBER_STATUS, message->status, &status_size);
	while (sizeof(head) + status_size + put_struct(NULL, &crier_meta_layout, 0, base, &plan) > buf->cap)
		if (!drop_largest(message, &plan))
			return -E2BIG;
	buf->len = 0;
	buf->overflow = false;
	crier_buf_put(buf, head, sizeof(head));
	if (message->status != CRIER_META_OK)
		put_number(buf, NUMBER_STATUS, message->status, &status_size);
	put_struct(buf, &crier_meta_layout, 0, base, &plan);
	return buf->overflow ? -E2BIG : 0;
}
