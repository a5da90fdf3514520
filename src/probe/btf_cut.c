/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the kernel's BTF that the programs read through: types of the names that the object's own BTF has, and what those
 * are made of, but not what they point to. libbpf would copy all 5 MiB twice, index them, and look among 140,000 types for each
 * that it relocates; of a hundred kilobytes it does the same in no time. As all types of a name are in it, it finds there
 * what it would find in the whole.
 */
#include "btf_cut.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <sys/mman.h>

#include "crier/base/str.h"
#include "internal.h"

/* Far above what is needed (some thousand types, 100 KiB): beyond it libbpf reads the whole. */
#define TYPES_MAX 32768u
#define BYTES_MAX (2u * 1024 * 1024)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

/* What begins a flavour of a name: task_struct___before_6_0 is meant for task_struct. No name has two. */
#define FLAVOUR "___"

static struct crier_slice essence(const char *name)
{
	const char *flavour = strstr(name, FLAVOUR);

	return (struct crier_slice){name,
				    flavour && flavour > name ? (size_t)(flavour - name) : strlen(name)};
}

static bool is_of_interest(const struct btf_type *type)
{
	switch (btf_kind(type)) {
	case BTF_KIND_INT:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_TYPEDEF: return type->name_off != 0;
	default: return false;
	}
}

/* ---- names ---- */

/* The object's own BTF, in place. @return NULL: it has none */
static const void *own_btf(size_t *ret_len)
{
	size_t size, names;
	const char *bytes = crier_bpf__elf_bytes(&size);
	const void *found = NULL;
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	Elf *elf;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return NULL;
	elf = elf_memory((char *)(uintptr_t)bytes, size); /* is not written to */
	if (!elf || elf_getshdrstrndx(elf, &names) != 0) {
		elf_end(elf);
		return NULL;
	}
	while (!found && (section = elf_nextscn(elf, section))) {
		const char *name =
			gelf_getshdr(section, &header) ? elf_strptr(elf, names, header.sh_name) : NULL;

		if (!name || strcmp(name, ".BTF") != 0 || header.sh_offset > size ||
		    header.sh_size > size - header.sh_offset)
			continue;
		found = bytes + header.sh_offset;
		*ret_len = header.sh_size;
	}
	elf_end(elf);
	return found;
}

static int compare(const void *a, const void *b)
{
	const struct crier_slice *x = a, *y = b;
	int order = memcmp(x->ptr, y->ptr, crier_min(x->len, y->len));

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

int crier_btf_cut_start(struct crier_btf_cut *cut)
{
	struct crier_btf_view own;
	const struct btf_type *type;
	size_t len = 0;
	const void *bytes = own_btf(&len);
	int r = bytes ? crier_btf_view_open(&own, bytes, len) : -ENODATA;

	*cut = (struct crier_btf_cut){0};
	if (r < 0)
		return r;
	while (crier_btf_next(&own))
		;
	if (!crier_btf_is_whole(&own)) { /* a compiler newer than this program: names would be missing */
		crier_btf_view_done(&own);
		return -EBADMSG;
	}
	cut->names = calloc(own.count, sizeof(*cut->names));
	for (uint32_t id = 1; cut->names && id < own.count; id++) {
		type = crier_btf_type(&own, id);
		if (!is_of_interest(type))
			continue;

		const char *name = crier_btf_text(&own, type->name_off);

		cut->names[cut->name_count++] = essence(name);
		crier_btf_learn(&cut->begins, name);
	}
	crier_btf_view_done(&own);
	if (!cut->names)
		return -ENOMEM;
	qsort(cut->names, cut->name_count, sizeof(*cut->names), compare);
	return 0;
}

void crier_btf_cut_offer(struct crier_btf_cut *cut, const struct crier_btf_view *view, uint32_t id,
			 const struct btf_type *type)
{
	if (!cut->names || cut->failed || !is_of_interest(type))
		return;

	const char *name = crier_btf_text(view, type->name_off);

	if (!crier_btf_may_begin(&cut->begins, name))
		return;

	struct crier_slice wanted = essence(name);

	if (!bsearch(&wanted, cut->names, cut->name_count, sizeof(wanted), compare))
		return;
	if (cut->root_count < CRIER_ARRAY_SIZE(cut->roots))
		cut->roots[cut->root_count++] = id;
	else
		cut->failed = true; /* hundreds of types by these names: no kernel's */
}

/* ---- making it ---- */

struct maker {
	const struct crier_btf_view *from;
	uint32_t *new_ids; /* by old id; 0: not taken */
	uint32_t *old_ids; /* by new id - 1, in the order they were taken */
	uint32_t count;
	uint32_t pointer; /* one pointer to nothing stands for all */
	struct crier_buf types, strings;
	bool failed;
};

/* @return the id that the type has in the cut; it is copied when its turn comes */
static uint32_t take(struct maker *maker, uint32_t old_id)
{
	const struct btf_type *type = crier_btf_type(maker->from, old_id);

	if (!type) /* void */
		return 0;
	if (btf_is_ptr(type) && maker->pointer)
		return maker->pointer;
	if (maker->new_ids[old_id])
		return maker->new_ids[old_id];
	if (maker->count == TYPES_MAX) {
		maker->failed = true;
		return 0;
	}
	maker->old_ids[maker->count++] = old_id;
	maker->new_ids[old_id] = maker->count;
	if (btf_is_ptr(type))
		maker->pointer = maker->count;
	return maker->count;
}

static uint32_t put_name(struct maker *maker, uint32_t offset)
{
	const char *name = crier_btf_text(maker->from, offset);
	uint32_t at = (uint32_t)maker->strings.len;

	if (!*name)
		return 0;
	crier_buf_put(&maker->strings, name, strlen(name) + 1);
	return at;
}

#define PUT(maker, object) crier_buf_put(&(maker)->types, &(object), sizeof(object))

static void put_members(struct maker *maker, const struct btf_type *type)
{
	const struct btf_member *members = btf_members(type);

	for (int i = 0; i < btf_vlen(type); i++) {
		struct btf_member member = {.name_off = put_name(maker, members[i].name_off),
					    .type = take(maker, members[i].type),
					    .offset = members[i].offset};

		PUT(maker, member);
	}
}

static void put_enumerators(struct maker *maker, const struct btf_type *type)
{
	for (int i = 0; i < btf_vlen(type); i++) {
		if (btf_is_enum(type)) {
			struct btf_enum value = btf_enum(type)[i];

			value.name_off = put_name(maker, value.name_off);
			PUT(maker, value);
		} else {
			struct btf_enum64 value = btf_enum64(type)[i];

			value.name_off = put_name(maker, value.name_off);
			PUT(maker, value);
		}
	}
}

static void put_array(struct maker *maker, const struct btf_type *type)
{
	struct btf_array array = *btf_array(type);

	array.type = take(maker, array.type);
	array.index_type = take(maker, array.index_type);
	PUT(maker, array);
}

static void put_type(struct maker *maker, const struct btf_type *type)
{
	struct btf_type head = *type;

	head.name_off = put_name(maker, type->name_off);
	switch (btf_kind(type)) {
	case BTF_KIND_INT:
		PUT(maker, head);
		crier_buf_put(&maker->types, type + 1, sizeof(uint32_t));
		return;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		PUT(maker, head);
		put_members(maker, type);
		return;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		PUT(maker, head);
		put_enumerators(maker, type);
		return;
	case BTF_KIND_ARRAY:
		PUT(maker, head);
		put_array(maker, type);
		return;
	case BTF_KIND_FLOAT:
	case BTF_KIND_FWD: PUT(maker, head); return;
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_TYPE_TAG:
		head.type = take(maker, type->type);
		PUT(maker, head);
		return;
	case BTF_KIND_PTR:
		head.type = 0;
		PUT(maker, head);
		return;
	default: maker->failed = true; /* nothing is made of functions and variables */
	}
}

static int write_all(int fd, const void *bytes, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* Never to be executed: kernels from 6.3 on want that said, and may insist; older ones do not know the word. */
static int memory_file(void)
{
	int fd = memfd_create("crier-btf", MFD_CLOEXEC | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("crier-btf", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int save(const struct maker *maker)
{
	struct btf_header header = {.magic = BTF_MAGIC,
				    .version = BTF_VERSION,
				    .hdr_len = CRIER_BTF_HEADER_BYTES,
				    .type_len = (uint32_t)maker->types.len,
				    .str_off = (uint32_t)maker->types.len,
				    .str_len = (uint32_t)maker->strings.len};
	_cleanup_close_ int fd = memory_file();
	int r = fd < 0 ? fd : write_all(fd, &header, CRIER_BTF_HEADER_BYTES);

	if (r == 0)
		r = write_all(fd, maker->types.data, maker->types.len);
	if (r == 0)
		r = write_all(fd, maker->strings.data, maker->strings.len);
	return r < 0 ? r : take_fd(fd);
}

static int make(const struct crier_btf_cut *cut, struct maker *maker)
{
	crier_buf_put_char(&maker->strings, '\0');
	for (size_t i = 0; i < cut->root_count; i++)
		(void)take(maker, cut->roots[i]);
	for (uint32_t i = 0; i < maker->count; i++)
		put_type(maker, crier_btf_type(maker->from, maker->old_ids[i]));
	if (maker->failed || maker->types.overflow || maker->strings.overflow)
		return -E2BIG;
	return save(maker);
}

int crier_btf_cut_make(const struct crier_btf_cut *cut, const struct crier_btf_view *view)
{
	_cleanup_free_ uint32_t *new_ids = calloc(view->count, sizeof(*new_ids));
	_cleanup_free_ uint32_t *old_ids = calloc(TYPES_MAX, sizeof(*old_ids));
	_cleanup_free_ char *types = malloc(BYTES_MAX), *strings = malloc(BYTES_MAX);
	struct maker maker = {.from = view, .new_ids = new_ids, .old_ids = old_ids};

	if (!cut->names || cut->failed)
		return -E2BIG;
	if (!new_ids || !old_ids || !types || !strings)
		return -ENOMEM;
	crier_buf_init(&maker.types, types, BYTES_MAX);
	crier_buf_init(&maker.strings, strings, BYTES_MAX);
	return make(cut, &maker);
}

void crier_btf_cut_done(struct crier_btf_cut *cut)
{
	free(cut->names);
	cut->names = NULL;
}
