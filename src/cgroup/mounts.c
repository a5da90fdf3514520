/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the kernel about cgroup hierarchies: mountinfo, /proc/cgroups, /proc/PID/cgroup, /proc/PID/stat. Pure. */
#include "crier/cgroup.h"

#include <errno.h>

/* Next piece up to `separator`; the rest is kept in *text. @return false at the end */
static bool next_piece(struct crier_slice *text, char separator, struct crier_slice *ret_piece)
{
	const char *end;

	if (text->len == 0)
		return false;
	end = memchr(text->ptr, separator, text->len);
	ret_piece->ptr = text->ptr;
	ret_piece->len = end ? (size_t)(end - text->ptr) : text->len;
	text->ptr += ret_piece->len + (end ? 1 : 0);
	text->len -= ret_piece->len + (end ? 1 : 0);
	return true;
}

/* One line of mountinfo, as far as it matters. */
struct mount {
	struct crier_slice root, point, fstype, options;
};

static bool parse_mount(struct crier_slice line, struct mount *ret_mount)
{
	struct crier_slice field;

	for (int i = 0; i < 6; i++) {
		if (!next_piece(&line, ' ', &field))
			return false;
		if (i == 3)
			ret_mount->root = field;
		if (i == 4)
			ret_mount->point = field;
	}
	do { /* optional fields end with a single dash */
		if (!next_piece(&line, ' ', &field))
			return false;
	} while (!crier_slice_equal(field, CRIER_SLICE("-")));
	return next_piece(&line, ' ', &ret_mount->fstype) && next_piece(&line, ' ', &field) &&
	       next_piece(&line, ' ', &ret_mount->options);
}

/* Spaces and the like are written as \040. @return false: does not fit */
static bool unescape(struct crier_slice text, char *buf, size_t cap)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '\\' && i + 3 < text.len) {
			c = (unsigned char)((text.ptr[i + 1] - '0') * 64 + (text.ptr[i + 2] - '0') * 8 +
					    (text.ptr[i + 3] - '0'));
			i += 3;
		}
		if (n + 1 >= cap)
			return false;
		buf[n++] = (char)c;
	}
	buf[n] = '\0';
	return n > 0;
}

/* How much of its hierarchy a mount shows: 0 from the root of the reader's namespace, more from above, less from below. */
static int wideness(struct crier_slice root)
{
	struct crier_slice component;
	int wide = 0;

	while (next_piece(&root, '/', &component))
		if (crier_slice_equal(component, CRIER_SLICE("..")))
			wide++;
		else if (component.len)
			wide--;
	return wide;
}

static bool is_below(const char *path, const char *root)
{
	size_t len = root ? strlen(root) : 0;

	while (len > 0 && root[len - 1] == '/')
		len--;
	return len > 0 && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

struct candidate {
	char *best;	 /* of 256 bytes */
	char *namespace; /* the same; NULL = not wanted */
	int wide;
	bool below_host;
};

#define MOUNT_PATH_MAX 256

static void consider(struct candidate *candidate, const struct mount *mount, const char *host_root)
{
	char path[MOUNT_PATH_MAX];
	int wide = wideness(mount->root);

	if (!unescape(mount->point, path, sizeof(path)))
		return;

	bool below = is_below(path, host_root);

	if (wide == 0 && candidate->namespace && !candidate->namespace[0])
		memcpy(candidate->namespace, path, sizeof(path));
	if (candidate->best[0]) {
		if (wide != candidate->wide	     ? wide < candidate->wide
		    : below != candidate->below_host ? !below
						     : strlen(path) >= strlen(candidate->best))
			return;
	}
	memcpy(candidate->best, path, sizeof(path));
	candidate->wide = wide;
	candidate->below_host = below;
}

static bool has_word(struct crier_slice list, char separator, struct crier_slice word)
{
	struct crier_slice piece;

	while (next_piece(&list, separator, &piece))
		if (crier_slice_equal(piece, word))
			return true;
	return false;
}

void crier_cgroup_mounts_parse(struct crier_slice mountinfo, const char *host_root,
			       struct crier_cgroup_mounts *ret_mounts)
{
	memset(ret_mounts, 0, sizeof(*ret_mounts));

	struct candidate v2 = {.best = ret_mounts->v2, .namespace = ret_mounts->v2_namespace};
	struct candidate memory = {.best = ret_mounts->memory, .namespace = ret_mounts->memory_namespace};
	struct candidate cpu = {.best = ret_mounts->cpu};
	struct crier_slice line;

	while (next_piece(&mountinfo, '\n', &line)) {
		struct mount mount;

		if (!parse_mount(line, &mount))
			continue;
		if (crier_slice_equal(mount.fstype, CRIER_SLICE("cgroup2"))) {
			consider(&v2, &mount, host_root);
		} else if (crier_slice_equal(mount.fstype, CRIER_SLICE("cgroup"))) {
			if (has_word(mount.options, ',', CRIER_SLICE("memory")))
				consider(&memory, &mount, host_root);
			if (has_word(mount.options, ',', CRIER_SLICE("cpu")))
				consider(&cpu, &mount, host_root);
		}
	}
	ret_mounts->v2_is_above = v2.wide > 0;
	ret_mounts->memory_is_above = memory.wide > 0;
	if (!ret_mounts->v2_is_above)
		ret_mounts->v2_namespace[0] = '\0';
	if (!ret_mounts->memory_is_above)
		ret_mounts->memory_namespace[0] = '\0';
}

uint32_t crier_cgroup_hierarchy_parse(struct crier_slice proc_cgroups, struct crier_slice controller)
{
	struct crier_slice line, name, number;
	uint64_t value;

	while (next_piece(&proc_cgroups, '\n', &line))
		if (next_piece(&line, '\t', &name) && crier_slice_equal(name, controller) &&
		    next_piece(&line, '\t', &number) && crier_parse_u64(number, &value) == 0 &&
		    value <= UINT32_MAX)
			return (uint32_t)value;
	return 0;
}

bool crier_proc_cgroup_parse(struct crier_slice text, uint32_t hierarchy_id, struct crier_slice *ret_path)
{
	struct crier_slice line, number, controllers;
	uint64_t value;

	while (next_piece(&text, '\n', &line)) {
		if (!next_piece(&line, ':', &number) || crier_parse_u64(number, &value) < 0 ||
		    value != hierarchy_id || !next_piece(&line, ':', &controllers) || line.len == 0 ||
		    line.ptr[0] != '/')
			continue;
		/* a process that outlived its cgroup, v2 only: kernel/cgroup/cgroup.c, proc_cgroup_show */
		if (crier_slice_ends(line, CRIER_SLICE(" (deleted)")))
			line.len -= sizeof(" (deleted)") - 1;
		*ret_path = line;
		return true;
	}
	return false;
}

int crier_proc_stat_parse(struct crier_slice text, struct crier_proc_entry *ret_entry)
{
	struct crier_proc_entry entry = *ret_entry;
	const char *open = text.len ? memchr(text.ptr, '(', text.len) : NULL;
	const char *close = text.len ? memrchr(text.ptr, ')', text.len) : NULL; /* comm may hold any bytes */
	struct crier_slice rest, field;
	uint64_t value;

	if (!open || !close || close < open || open == text.ptr ||
	    crier_parse_u64((struct crier_slice){text.ptr, (size_t)(open - text.ptr) - 1}, &value) < 0)
		return -EINVAL;
	entry.pid = (uint32_t)value;
	entry.comm = (struct crier_slice){open + 1, (size_t)(close - open) - 1};
	rest = (struct crier_slice){close + 1, (size_t)(text.ptr + text.len - close) - 1};
	if (!next_piece(&rest, ' ', &field)) /* the space after the parenthesis */
		return -EINVAL;
	for (int number = 3; number <= 22; number++) {
		if (!next_piece(&rest, ' ', &field))
			return -EINVAL;
		if (number == 3)
			entry.state = field.len ? field.ptr[0] : '\0';
		if (number == 4) {
			if (crier_parse_u64(field, &value) < 0)
				return -EINVAL;
			entry.parent_pid = (uint32_t)value;
		}
	}
	if (crier_parse_u64(field, &entry.start_ticks) < 0)
		return -EINVAL;
	*ret_entry = entry;
	return 0;
}

unsigned crier_proc_nspid_parse(struct crier_slice text, uint64_t *ret_innermost)
{
	struct crier_slice line, key, field;
	unsigned count = 0;
	uint64_t value;

	while (next_piece(&text, '\n', &line)) {
		if (!next_piece(&line, '\t', &key) || !crier_slice_equal(key, CRIER_SLICE("NSpid:")))
			continue;
		while (next_piece(&line, '\t', &field) && crier_parse_u64(field, &value) == 0) {
			*ret_innermost = value;
			count++;
		}
		break;
	}
	return count;
}

struct crier_slice crier_cgroup_absolute(const char *namespace_root, struct crier_slice path, char *buf,
					 size_t cap)
{
	struct crier_slice root = crier_slice_of(namespace_root);
	struct crier_slice rest = path;

	if (root.len <= 1)
		return path;
	while (crier_slice_starts(rest, CRIER_SLICE("/..")) && (rest.len == 3 || rest.ptr[3] == '/')) {
		if (root.len == 0)
			return path;
		while (root.len > 0 && root.ptr[--root.len] != '/')
			;
		rest.ptr += 3;
		rest.len -= 3;
	}
	if (crier_slice_equal(rest, CRIER_SLICE("/")))
		rest.len = 0;
	if (root.len + rest.len == 0)
		return CRIER_SLICE("/");
	if (root.len + rest.len > cap)
		return path;
	memcpy(buf, root.ptr, root.len);
	memcpy(buf + root.len, rest.ptr, rest.len);
	return (struct crier_slice){buf, root.len + rest.len};
}
