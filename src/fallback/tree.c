/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directories of the primary hierarchy, watched by inotify: a directory's coming and going by its parent, a container's
 * last process by its cgroup.events. What a pod's container makes inside itself is not watched.
 *
 * A directory is watched before its children are listed, so that none is missed; the same child may then be met twice.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define DEPTH_MAX    64
#define EVENTS_BYTES (64 * 1024)

static struct crier_slice path_of(const struct directory *directory)
{
	return (struct crier_slice){directory->path, directory->path_len};
}

bool crier_path_is_within(struct crier_slice path, struct crier_slice above)
{
	if (crier_slice_equal(above, CRIER_SLICE("/")))
		return true;
	return crier_slice_starts(path, above) && (path.len == above.len || path.ptr[above.len] == '/');
}

/* ---- looking up ---- */

struct directory *crier_tree_by_id(const struct crier_fallback *f, uint64_t id)
{
	const struct crier_map_slot *slot = crier_map_first(&f->by_id, crier_hash_u64(id));

	return slot ? slot->value : NULL;
}

struct directory *crier_tree_by_path(const struct crier_fallback *f, struct crier_slice path)
{
	uint64_t key = crier_hash_bytes(path.ptr, path.len);

	for (const struct crier_map_slot *slot = crier_map_first(&f->by_path, key); slot;
	     slot = crier_map_next(&f->by_path, slot))
		if (crier_slice_equal(path_of(slot->value), path))
			return slot->value;
	return NULL;
}

static struct directory *by_watch(const struct crier_fallback *f, int watch)
{
	const struct crier_map_slot *slot = crier_map_first(&f->by_watch, crier_hash_u64((uint64_t)watch));

	return slot ? slot->value : NULL;
}

struct directory *crier_tree_container(const struct crier_fallback *f, struct directory *directory)
{
	while (directory && directory->kind != CRIER_CGROUP_KIND_CONTAINER)
		directory = directory->kind == CRIER_CGROUP_KIND_NESTED
				    ? crier_tree_by_id(f, directory->parent_id)
				    : NULL;
	return directory;
}

struct directory *crier_tree_by_container_id(const struct crier_fallback *f, struct crier_slice path)
{
	struct crier_cgroup_facts facts;

	crier_cgroup_parse(path, &facts);
	if (!facts.container_id.len)
		return NULL;
	for (uint32_t i = 0; f->by_id.slots && i <= f->by_id.mask; i++) {
		struct directory *directory = f->by_id.slots[i].value;

		if (directory && directory->kind == CRIER_CGROUP_KIND_CONTAINER &&
		    crier_slice_equal(crier_slice_of(directory->container_id), facts.container_id))
			return directory;
	}
	return NULL;
}

/* ---- watching ---- */

static int watch(struct crier_fallback *f, struct directory *directory, const char *root, const char *name,
		 uint32_t mask)
{
	char path[PATH_MAX];
	int wd;

	if (f->inotify_fd < 0 || (size_t)snprintf(path, sizeof(path), "%s%s%s%s", root, directory->path,
						  *name ? "/" : "", name) >= sizeof(path))
		return -1;
	wd = inotify_add_watch(f->inotify_fd, path, mask | IN_DONT_FOLLOW);
	if (wd < 0) {
		if (errno == ENOSPC || errno == ENOMEM)
			f->unwatched++;
		if (errno == ENOSPC)
			crier_fallback_worry(
				f, "raise fs.inotify.max_user_watches",
				"fs.inotify.max_user_watches is reached: some cgroups are not watched");
		return -1;
	}
	if (by_watch(f, wd) || crier_map_reserve(&f->by_watch, 1) < 0)
		return -1; /* the same inode is watched already: no second name for it */
	crier_map_put(&f->by_watch, crier_hash_u64((uint64_t)wd), directory);
	f->watches++;
	return wd;
}

static void unwatch(struct crier_fallback *f, const struct directory *directory, int *wd)
{
	if (*wd < 0)
		return;
	/* The kernel keeps the watch of a file of cgroupfs, and its inode, even when the directory is gone. */
	(void)inotify_rm_watch(f->inotify_fd, *wd);
	crier_map_remove(&f->by_watch, crier_hash_u64((uint64_t)*wd), directory);
	f->watches--;
	*wd = -1;
}

/* What a pod's container makes inside itself is its own affair; a node in a container (kind) has pods inside. */
static bool has_children_of_interest(const struct directory *directory)
{
	bool is_containers =
		directory->kind == CRIER_CGROUP_KIND_CONTAINER || directory->kind == CRIER_CGROUP_KIND_NESTED;

	return !is_containers || !directory->in_pod;
}

static void start_watching(struct crier_fallback *f, struct directory *directory)
{
	if (has_children_of_interest(directory))
		directory->watch_self =
			watch(f, directory, f->layout->primary_root, "", IN_CREATE | IN_DELETE | IN_ONLYDIR);
	if (directory->kind != CRIER_CGROUP_KIND_CONTAINER)
		return;
	if (f->layout->primary_is_v2)
		directory->watch_events =
			watch(f, directory, f->layout->primary_root, "cgroup.events", IN_MODIFY);
	if (f->layout->memory_is_v2)
		directory->watch_memory =
			watch(f, directory, f->layout->memory_root, "memory.events", IN_MODIFY);
}

/* ---- records ---- */

static void tell_mkdir(struct crier_fallback *f, const struct directory *directory)
{
	struct {
		struct crier_wire_cgroup_mkdir mkdir;
		char name[CRIER_WIRE_NAME_MAX];
	} record = {.mkdir = {.parent_id = directory->parent_id, .level = directory->level}};
	const char *leaf = strrchr(directory->path, '/') + 1;
	size_t len = crier_min(strlen(leaf), sizeof(record.name));

	memcpy(record.name, leaf, len);
	record.mkdir.name = (struct crier_wire_text){sizeof(record.mkdir), (__u16)len};
	crier_fallback_emit(f, CRIER_PROBE_CGROUP_MKDIR, CRIER_WIRE_CGROUP_MKDIR, CRIER_HOOK_INOTIFY_CGROUP,
			    directory->id, &record, (sizeof(record.mkdir) + len + 7) & ~(size_t)7);
}

static void tell_rmdir(struct crier_fallback *f, const struct directory *directory)
{
	struct crier_wire_cgroup_rmdir record = {0};

	crier_fallback_emit(f, CRIER_PROBE_CGROUP_RMDIR, CRIER_WIRE_CGROUP_RMDIR, CRIER_HOOK_INOTIFY_CGROUP,
			    directory->id, &record, sizeof(record));
}

/* cgroup.events: "populated 1\nfrozen 0\n". Told when it changes, and when a new one has a process already. */
static void look_at_processes(struct crier_fallback *f, struct directory *directory)
{
	struct crier_wire_cgroup_populated record = {0};
	char text[256];
	size_t len = 0;
	const char *found;

	if (crier_fallback_read(f->layout->primary_root, path_of(directory), "cgroup.events", text,
				sizeof(text), &len) < 0)
		return;
	found = strstr(text, "populated ");
	if (!found)
		return;
	record.populated = found[10] == '1';
	if (directory->populated == record.populated || (directory->populated > 1 && !record.populated)) {
		directory->populated = (uint8_t)record.populated;
		return;
	}
	directory->populated = (uint8_t)record.populated;
	if (!record.populated)
		crier_counts_look(f, directory); /* its directory may be gone in a moment */
	crier_fallback_emit(f, CRIER_PROBE_CGROUP_POPULATED, CRIER_WIRE_CGROUP_POPULATED,
			    CRIER_HOOK_INOTIFY_CGROUP_EVENTS, directory->id, &record, sizeof(record));
}

/* ---- coming and going ---- */

static struct directory *any_child(const struct crier_fallback *f, uint64_t id)
{
	for (uint32_t i = 0; f->by_id.slots && i <= f->by_id.mask; i++) {
		struct directory *directory = f->by_id.slots[i].value;

		if (directory && directory->parent_id == id)
			return directory;
	}
	return NULL;
}

/* Children first: each usually went before, told by the watch of its parent. */
static void remove_directory(struct crier_fallback *f, struct directory *directory)
{
	for (struct directory *child; (child = any_child(f, directory->id));)
		remove_directory(f, child);
	crier_counts_end(f, directory);
	unwatch(f, directory, &directory->watch_self);
	unwatch(f, directory, &directory->watch_events);
	unwatch(f, directory, &directory->watch_memory);
	tell_rmdir(f, directory);
	crier_map_remove(&f->by_id, crier_hash_u64(directory->id), directory);
	crier_map_remove(&f->by_path, crier_hash_bytes(directory->path, directory->path_len), directory);
	f->directories--;
	free(directory->path);
	free(directory);
}

static uint64_t inode_of(const char *root, struct crier_slice path)
{
	char full[PATH_MAX];
	struct stat st;

	if (!root[0] ||
	    snprintf(full, sizeof(full), "%s%.*s", root, (int)path.len, path.ptr) >= (int)sizeof(full) ||
	    lstat(full, &st) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	return st.st_ino;
}

static void classify(struct directory *directory)
{
	struct crier_cgroup_facts facts;

	crier_cgroup_parse(path_of(directory), &facts);
	directory->kind = (uint8_t)facts.kind;
	directory->in_pod = facts.pod_uid.len > 0;
	if (facts.kind == CRIER_CGROUP_KIND_CONTAINER)
		crier_copy_str(directory->container_id, sizeof(directory->container_id), facts.container_id);
}

static struct directory *make_directory(struct crier_fallback *f, struct crier_slice path, uint64_t id,
					const struct directory *parent)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return NULL;
	directory->path = strndup(path.ptr, path.len);
	if (!directory->path || crier_map_reserve(&f->by_id, 1) < 0 ||
	    crier_map_reserve(&f->by_path, 1) < 0) {
		free(directory->path);
		free(directory);
		return NULL;
	}
	directory->path_len = path.len;
	directory->id = id;
	directory->parent_id = parent ? parent->id : 0;
	directory->level = parent ? parent->level + 1 : 0;
	directory->populated = CRIER_UNKNOWN_BOOL;
	directory->watch_self = directory->watch_events = directory->watch_memory = -1;
	crier_list_init(&directory->pending);
	classify(directory);
	directory->memory_id = strcmp(f->layout->memory_root, f->layout->primary_root) == 0
				       ? id
				       : inode_of(f->layout->memory_root, path);
	crier_map_put(&f->by_id, crier_hash_u64(id), directory);
	crier_map_put(&f->by_path, crier_hash_bytes(path.ptr, path.len), directory);
	f->directories++;
	return directory;
}

/* @return it, whether new or not; NULL: it is gone already, or one too many */
static struct directory *meet(struct crier_fallback *f, struct crier_slice path,
			      const struct directory *parent, bool *ret_is_new)
{
	uint64_t id = inode_of(f->layout->primary_root, path);
	struct directory *directory = crier_tree_by_path(f, path);

	*ret_is_new = false;
	if (directory && directory->id == id)
		return directory;
	if (directory)
		remove_directory(f, directory); /* another of the same name, or gone */
	if (id == 0 || crier_tree_by_id(f, id))
		return NULL;
	if (f->directories >= f->options.max_cgroups) {
		f->counters.class_map_full++;
		crier_fallback_worry(f, "raise --max-cgroups",
				     "--max-cgroups is reached: new cgroups are not watched");
		return NULL;
	}
	directory = make_directory(f, path, id, parent);
	if (!directory)
		return NULL;
	*ret_is_new = true;
	start_watching(f, directory);
	if (!f->is_starting)
		tell_mkdir(f, directory);
	crier_counts_begin(f, directory, !f->is_starting);
	if (directory->watch_events >= 0)
		look_at_processes(f, directory);
	return directory;
}

static bool join(struct crier_slice parent, const char *leaf, char *buf, size_t cap,
		 struct crier_slice *ret_path)
{
	int len = snprintf(buf, cap, "%.*s/%s", parent.len > 1 ? (int)parent.len : 0, parent.ptr, leaf);

	if (len < 0 || (size_t)len >= cap)
		return false;
	*ret_path = (struct crier_slice){buf, (size_t)len};
	return true;
}

static bool is_child(const struct dirent *entry)
{
	return (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && strcmp(entry->d_name, ".") != 0 &&
	       strcmp(entry->d_name, "..") != 0;
}

/* Depth is bounded, and with it the descriptors that are open at once. */
static void list_children(struct crier_fallback *f, const struct directory *parent)
{
	char path[CRIER_CGROUP_PATH_MAX];
	const struct dirent *entry;
	uint64_t parent_id = parent->id;
	DIR *stream;

	if (!has_children_of_interest(parent) || parent->level >= DEPTH_MAX ||
	    (size_t)snprintf(path, sizeof(path), "%s%s", f->layout->primary_root, parent->path) >=
		    sizeof(path))
		return;
	stream = opendir(path);
	while (stream && (entry = readdir(stream))) {
		struct crier_slice child;
		struct directory *met;
		bool is_new;

		if (!is_child(entry) || crier_tree_by_id(f, parent_id) != parent ||
		    !join(path_of(parent), entry->d_name, path, sizeof(path), &child))
			continue;
		met = meet(f, child, parent, &is_new);
		if (met && is_new)
			list_children(f, met);
	}
	if (stream)
		closedir(stream);
}

struct directory *crier_tree_learn(struct crier_fallback *f, struct crier_slice path)
{
	struct directory *deepest = crier_tree_by_path(f, CRIER_SLICE("/"));

	for (size_t end = 1; deepest && end < path.len;) {
		const char *slash = memchr(path.ptr + end, '/', path.len - end);
		struct directory *met;
		bool is_new;

		end = slash ? (size_t)(slash - path.ptr) : path.len;
		met = meet(f, (struct crier_slice){path.ptr, end}, deepest, &is_new);
		if (!met)
			break;
		deepest = met;
		end++;
	}
	return deepest;
}

void crier_tree_each(struct crier_fallback *f, crier_tree_fn fn)
{
	uint64_t *ids;
	size_t count = 0;

	/* fn may remove: the map must not move under the walk */
	ids = malloc((f->directories + 1) * sizeof(*ids));
	for (uint32_t i = 0; ids && f->by_id.slots && i <= f->by_id.mask; i++)
		if (f->by_id.slots[i].value)
			ids[count++] = ((struct directory *)f->by_id.slots[i].value)->id;
	for (size_t i = 0; i < count; i++) {
		struct directory *directory = crier_tree_by_id(f, ids[i]);

		if (directory)
			fn(f, directory);
	}
	free(ids);
}

/* ---- what inotify tells ---- */

static void look_again(struct crier_fallback *f, struct directory *directory)
{
	if (inode_of(f->layout->primary_root, path_of(directory)) != directory->id) {
		remove_directory(f, directory);
		return;
	}
	if (directory->watch_events >= 0)
		look_at_processes(f, directory);
	if (directory->is_counted)
		crier_counts_look(f, directory);
	list_children(f, directory);
}

static void on_child(struct crier_fallback *f, struct directory *parent, const struct inotify_event *event)
{
	char path[CRIER_CGROUP_PATH_MAX];
	struct crier_slice child;
	struct directory *met;
	bool is_new;

	if (!(event->mask & IN_ISDIR) || !event->len ||
	    !join(path_of(parent), event->name, path, sizeof(path), &child))
		return;
	met = meet(f, child, parent,
		   &is_new); /* what went is found gone, what came back at once is another */
	if (met && is_new)
		list_children(f, met);
}

static void on_event(struct crier_fallback *f, const struct inotify_event *event)
{
	struct directory *directory;

	if (event->mask & IN_Q_OVERFLOW) {
		f->counters.control_failed++;
		crier_tree_each(f, look_again);
		return;
	}
	directory = by_watch(f, event->wd);
	if (!directory)
		return;
	if (event->mask & IN_IGNORED) {
		int *const watches[] = {&directory->watch_self, &directory->watch_events,
					&directory->watch_memory};

		for (size_t i = 0; i < CRIER_ARRAY_SIZE(watches); i++)
			if (*watches[i] == event->wd)
				unwatch(f, directory, watches[i]);
	} else if (event->wd == directory->watch_self) {
		on_child(f, directory, event);
	} else if (event->wd == directory->watch_events) {
		look_at_processes(f, directory);
	} else {
		crier_counts_look(f, directory);
	}
}

void crier_tree_drain(struct crier_fallback *f, size_t max_records)
{
	_Alignas(struct inotify_event) char buf[EVENTS_BYTES];

	while (f->inotify_fd >= 0 && f->records < max_records) {
		ssize_t len = read(f->inotify_fd, buf, sizeof(buf));

		if (len <= 0)
			return;
		for (const char *at = buf; at < buf + len;) {
			const struct inotify_event *event = (const void *)at;

			on_event(f, event);
			at += sizeof(*event) + event->len;
		}
	}
}

int crier_tree_open(struct crier_fallback *f)
{
	struct directory *root;
	bool is_new;

	f->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (f->inotify_fd < 0)
		f->inotify_error = errno;
	f->is_starting = true;
	root = meet(f, CRIER_SLICE("/"), NULL, &is_new);
	if (root && f->inotify_fd >= 0)
		list_children(f, root);
	f->is_starting = false;
	return root ? 0 : -ENOENT;
}

static void free_directory(struct crier_fallback *f, struct directory *directory)
{
	(void)f;
	free(directory->path);
	free(directory);
}

void crier_tree_close(struct crier_fallback *f)
{
	for (uint32_t i = 0; f->by_id.slots && i <= f->by_id.mask; i++)
		if (f->by_id.slots[i].value)
			free_directory(f, f->by_id.slots[i].value);
	crier_map_done(&f->by_id);
	crier_map_done(&f->by_path);
	crier_map_done(&f->by_watch);
	if (f->inotify_fd >= 0)
		close(f->inotify_fd);
}
