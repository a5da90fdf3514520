/* SPDX-License-Identifier: Apache-2.0 */
/* Reads cgroupfs by file descriptors: the walk, and the proof that a directory's inode is its kernfs id. */
#include "crier/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define WALK_DEPTH_MAX 128 /* descriptors open at a time */

struct level {
	DIR *directory;
	uint64_t id;
	size_t path_len; /* of the walk's path up to here */
};

struct walk {
	struct level levels[WALK_DEPTH_MAX];
	size_t depth;
	dev_t device; /* nothing mounted below is entered */
	char path[CRIER_CGROUP_PATH_MAX];
	crier_cgroup_walk_fn fn;
	void *ctx;
	uint32_t left;
	long told;
};

/* Enter a directory that was just opened: tell it, then stand in it. Takes the descriptor. @return false: stop */
static bool enter(struct walk *walk, int opened, size_t path_len)
{
	_cleanup_close_ int fd = opened;
	struct stat status;
	uint64_t parent = walk->depth ? walk->levels[walk->depth - 1].id : 0;
	struct crier_slice path = {walk->path, path_len};

	if (fstat(fd, &status) < 0 || status.st_dev != walk->device)
		return true;
	if (path_len == 0)
		path = CRIER_SLICE("/");
	walk->told++;
	walk->left--;
	if (!walk->fn(walk->ctx, path, status.st_ino, parent) || walk->left == 0)
		return false;
	if (walk->depth == WALK_DEPTH_MAX)
		return true;

	DIR *directory = fdopendir(fd);

	if (!directory)
		return true;
	take_fd(fd);
	walk->levels[walk->depth++] =
		(struct level){.directory = directory, .id = status.st_ino, .path_len = path_len};
	return true;
}

static bool is_directory(const struct dirent *entry)
{
	return (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && strcmp(entry->d_name, ".") != 0 &&
	       strcmp(entry->d_name, "..") != 0;
}

/* One entry of the deepest open directory. @return false: stop */
static bool step(struct walk *walk)
{
	struct level *level = &walk->levels[walk->depth - 1];
	const struct dirent *entry = readdir(level->directory);
	size_t len;
	int fd;

	if (!entry) {
		closedir(level->directory);
		walk->depth--;
		return true;
	}
	if (!is_directory(entry))
		return true;
	len = strlen(entry->d_name);
	if (level->path_len + 1 + len > sizeof(walk->path))
		return true;
	fd = openat(dirfd(level->directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return true;
	walk->path[level->path_len] = '/';
	memcpy(walk->path + level->path_len + 1, entry->d_name, len);
	return enter(walk, fd, level->path_len + 1 + len);
}

long crier_cgroup_walk(const char *root, uint32_t max_directories, crier_cgroup_walk_fn fn, void *ctx)
{
	_cleanup_free_ struct walk *walk = NULL;
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat status;
	bool more;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (max_directories == 0)
		return 0;
	walk = malloc(sizeof(*walk));
	if (!walk)
		return -ENOMEM;
	walk->depth = 0;
	walk->device = status.st_dev;
	walk->fn = fn;
	walk->ctx = ctx;
	walk->left = max_directories;
	walk->told = 0;
	more = enter(walk, take_fd(fd), 0);
	while (more && walk->depth > 0)
		more = step(walk);
	while (walk->depth > 0)
		closedir(walk->levels[--walk->depth].directory);
	return walk->told;
}

/* Component by component, so that no symlink is followed whatever the path holds. */
static int open_below(const char *root, struct crier_slice path)
{
	_cleanup_close_ int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[NAME_MAX + 1];

	if (fd < 0)
		return -errno;
	for (size_t end, start = 0; start < path.len; start = end + 1) {
		const char *slash = memchr(path.ptr + start, '/', path.len - start);

		end = slash ? (size_t)(slash - path.ptr) : path.len;
		if (end == start)
			continue;
		if (!crier_copy_str(name, sizeof(name), (struct crier_slice){path.ptr + start, end - start}))
			return -ENAMETOOLONG;
		if (strcmp(name, "..") == 0)
			return -EINVAL;

		int below = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (below < 0)
			return -errno;
		close(fd);
		fd = below;
	}
	return take_fd(fd);
}

#define KERNFS_HANDLE_TYPE                                                                                   \
	0xfe /* FILEID_KERNFS, include/linux/exportfs.h: the handle is the 64-bit node id */

int crier_cgroup_prove(const struct crier_cgroup_layout *layout, struct crier_slice path, uint64_t *ret_inode,
		       uint64_t *ret_id)
{
	union {
		struct file_handle handle;
		char storage[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle = {.handle.handle_bytes = MAX_HANDLE_SZ};
	_cleanup_close_ int fd = open_below(layout->primary_root, path);
	struct stat status;
	uint64_t id;
	int mount_id;

	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0 || name_to_handle_at(fd, "", &handle.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	if (handle.handle.handle_type != KERNFS_HANDLE_TYPE || handle.handle.handle_bytes != sizeof(id))
		return -EOPNOTSUPP;
	memcpy(&id, handle.handle.f_handle, sizeof(id));
	*ret_inode = status.st_ino;
	*ret_id = id;
	return id == status.st_ino ? 0 : -ERANGE;
}

/* @return length of the path behind a descriptor, or -errno */
static ssize_t path_of_fd(int fd, char *buf, size_t cap)
{
	char name[40];
	ssize_t len;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	len = readlink(name, buf, cap);
	if (len < 0)
		return -errno;
	return (size_t)len == cap ? -ERANGE : len;
}

/* What follows `root` in a path below it. @return false: it is not below it */
static bool strip_root(struct crier_slice *path, struct crier_slice root)
{
	if (!crier_slice_starts(*path, root) || (path->len > root.len && path->ptr[root.len] != '/'))
		return false;
	path->ptr += root.len;
	path->len -= root.len;
	if (path->len == 0)
		*path = CRIER_SLICE("/");
	return true;
}

int crier_cgroup_path_of(const char *root, uint64_t id, char *buf, size_t cap, size_t *ret_len)
{
	union {
		struct file_handle handle;
		char storage[sizeof(struct file_handle) + sizeof(id)];
	} handle = {.handle = {.handle_bytes = sizeof(id), .handle_type = KERNFS_HANDLE_TYPE}};
	_cleanup_close_ int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char root_path[512], path[CRIER_CGROUP_PATH_MAX + 512];
	ssize_t root_len, len;
	struct stat status;

	if (root_fd < 0)
		return -errno;
	memcpy(handle.handle.f_handle, &id, sizeof(id));

	_cleanup_close_ int fd = open_by_handle_at(root_fd, &handle.handle, O_PATH | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (status.st_ino != id || !S_ISDIR(status.st_mode))
		return -ESTALE;
	root_len = path_of_fd(root_fd, root_path, sizeof(root_path));
	len = path_of_fd(fd, path, sizeof(path));
	if (root_len < 0 || len < 0)
		return (int)crier_min(root_len, len);

	struct crier_slice found = {path, (size_t)len};

	if (crier_slice_ends(found, CRIER_SLICE(" (deleted)")))
		return -ESTALE;
	/* "(unreachable)/…": above what crier's own mount shows */
	if (!strip_root(&found, (struct crier_slice){root_path, (size_t)root_len}))
		return -EXDEV;
	if (found.len > cap)
		return -ERANGE;
	memcpy(buf, found.ptr, found.len);
	*ret_len = found.len;
	return 0;
}
