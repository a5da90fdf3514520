/* SPDX-License-Identifier: Apache-2.0 */
#include "btf_view.h"

#include <errno.h>
#include <stdlib.h>

/* Types are found by id from every so-manieth on. */
#define MARK_EVERY 32u

/* What follows a type of this kind. @return -1: a kind that this program does not know */
static long tail_size(const struct btf_type *type)
{
	long count = btf_vlen(type);

	switch (btf_kind(type)) {
	case BTF_KIND_FWD:
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG: return 0;
	case BTF_KIND_INT: return sizeof(uint32_t);
	case BTF_KIND_VAR: return sizeof(struct btf_var);
	case BTF_KIND_DECL_TAG: return sizeof(struct btf_decl_tag);
	case BTF_KIND_ARRAY: return sizeof(struct btf_array);
	case BTF_KIND_ENUM: return count * (long)sizeof(struct btf_enum);
	case BTF_KIND_ENUM64: return count * (long)sizeof(struct btf_enum64);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION: return count * (long)sizeof(struct btf_member);
	case BTF_KIND_FUNC_PROTO: return count * (long)sizeof(struct btf_param);
	case BTF_KIND_DATASEC: return count * (long)sizeof(struct btf_var_secinfo);
	default: return -1;
	}
}

/* @return NULL at the end, and where a type does not lie wholly before it */
static const struct btf_type *type_at(const struct crier_btf_view *view, const unsigned char *at)
{
	const struct btf_type *type = (const void *)at;
	size_t left = (size_t)(view->types_end - at);
	long tail;

	if (left < sizeof(*type))
		return NULL;
	tail = tail_size(type);
	return tail >= 0 && sizeof(*type) + (size_t)tail <= left ? type : NULL;
}

static const unsigned char *after(const struct btf_type *type)
{
	return (const unsigned char *)(type + 1) + tail_size(type);
}

int crier_btf_view_open(struct crier_btf_view *view, const void *bytes, size_t len)
{
	const struct btf_header *header = bytes;
	uint64_t types, strings;

	if (len < CRIER_BTF_HEADER_BYTES || header->magic != BTF_MAGIC ||
	    header->hdr_len < CRIER_BTF_HEADER_BYTES)
		return -EBADMSG;
	types = (uint64_t)header->hdr_len + header->type_off;
	strings = (uint64_t)header->hdr_len + header->str_off;
	if (types % 4 || types + header->type_len > len || strings + header->str_len > len ||
	    header->str_len == 0)
		return -EBADMSG;
	*view = (struct crier_btf_view){.types = (const unsigned char *)bytes + types,
					.types_end = (const unsigned char *)bytes + types + header->type_len,
					.at = (const unsigned char *)bytes + types,
					.strings = (const char *)bytes + strings,
					.strings_len = header->str_len,
					.count = 1};
	if (view->strings[view->strings_len - 1] != '\0')
		return -EBADMSG;
	view->marks =
		malloc((header->type_len / sizeof(struct btf_type) / MARK_EVERY + 1) * sizeof(*view->marks));
	if (!view->marks)
		return -ENOMEM;
	view->marks[0] = 0;
	return 0;
}

void crier_btf_view_done(struct crier_btf_view *view)
{
	free(view->marks);
	view->marks = NULL;
}

const struct btf_type *crier_btf_next(struct crier_btf_view *view)
{
	const struct btf_type *type = type_at(view, view->at);

	if (!type)
		return NULL;
	if (view->count % MARK_EVERY == 0)
		view->marks[view->count / MARK_EVERY] = (uint32_t)(view->at - view->types);
	view->at = after(type);
	view->count++;
	return type;
}

bool crier_btf_is_whole(const struct crier_btf_view *view)
{
	return view->at == view->types_end;
}

const struct btf_type *crier_btf_type(const struct crier_btf_view *view, uint32_t id)
{
	uint32_t at = crier_max(id / MARK_EVERY * MARK_EVERY, 1u); /* the void has no place */
	const struct btf_type *type;

	if (id == 0 || id >= view->count)
		return NULL;
	type = type_at(view, view->types + view->marks[id / MARK_EVERY]);
	for (; type && at < id; at++)
		type = type_at(view, after(type));
	return type;
}

const char *crier_btf_text(const struct crier_btf_view *view, uint32_t offset)
{
	return offset < view->strings_len ? view->strings + offset : "";
}
