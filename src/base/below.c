/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/below.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define TRIES 8 /* a rename or mount anywhere while ".." is resolved: openat2(2), EAGAIN */

/* May this component, seen but not opened, be gone through? @return 0 or -errno */
static int check_component(int fd, bool want_directory)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISLNK(status.st_mode))
		return -ELOOP;
	return want_directory && !S_ISDIR(status.st_mode) ? -ENOTDIR : 0;
}

/* One component. A symlink is met as itself, and only where O_PATH asks for the last one as it is. */
static int step(int fd, const char *component, bool last, int flags)
{
	_cleanup_close_ int seen = openat(fd, component, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	bool as_it_is = last && (flags & O_PATH) && !(flags & O_DIRECTORY);
	int r = seen < 0 ? -errno : as_it_is ? 0 : check_component(seen, !last || (flags & O_DIRECTORY));

	if (r < 0)
		return r;
	if (!last || (flags & O_PATH))
		return take_fd(seen);

	int opened = openat(fd, component, flags | O_NOFOLLOW);

	return opened < 0 ? -errno : opened;
}

/* What serves without openat2: no symlink at all. */
static int walk(int top, const char *path, int flags)
{
	_cleanup_close_ int fd = openat(top, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char component[NAME_MAX + 1];

	if (fd < 0)
		return -errno;
	while (*path) {
		size_t len = strcspn(path, "/");
		const char *rest = path + len + strspn(path + len, "/");

		if (!crier_copy_str(component, sizeof(component), (struct crier_slice){path, len}))
			return -ENAMETOOLONG;
		if (strcmp(component, "..") == 0)
			return -EXDEV;

		int below = step(fd, component, !*rest, flags);

		if (below < 0)
			return below;
		close(fd);
		fd = below;
		path = rest;
	}
	return take_fd(fd);
}

/* @return a descriptor, -errno; -ENOSYS also where a seccomp profile refuses the call */
static int open_strictly(int top, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {.flags = (unsigned)flags, .resolve = resolve | RESOLVE_NO_MAGICLINKS};
	long fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, top, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd >= 0 ? (int)fd : errno == EPERM ? -ENOSYS : -errno;
}

static int open_at(int top, const char *path, int flags, uint64_t resolve, bool of_kernel)
{
	flags |= O_CLOEXEC;
	if (!(flags & O_PATH))
		flags |= O_NONBLOCK | O_NOCTTY;
	path += strspn(path, "/");
	if (!*path)
		path = ".";

	int fd = open_strictly(top, path, flags, resolve);

	if (fd != -ENOSYS)
		return fd;
	if (!of_kernel)
		return walk(top, path, flags);
	fd = openat(top, path, flags); /* /proc/self is a symlink, and the kernel's own */
	return fd < 0 ? -errno : fd;
}

static int open_below(const char *root, const char *path, int flags, bool of_kernel)
{
	_cleanup_close_ int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return top < 0 ? -errno : open_at(top, path, flags, RESOLVE_IN_ROOT, of_kernel);
}

int crier_below_open(const char *root, const char *path, int flags)
{
	return open_below(root, path, flags, false);
}

const char *crier_below_split(const char *root, const char *path, const char **ret_path)
{
	size_t len = strlen(root);

	while (len > 0 && root[len - 1] == '/')
		len--;
	if (len > 0 && strncmp(path, root, len) == 0 && (path[len] == '/' || path[len] == '\0')) {
		*ret_path = path + len;
		return root;
	}
	*ret_path = path;
	return "/";
}

/* @return bytes read, up to `cap`; or -errno */
static ssize_t read_all(int fd, char *buf, size_t cap)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, buf + len, cap - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* @return 0, -EINVAL or -errno */
static int check_file(int fd, struct stat *ret_status)
{
	if (fstat(fd, ret_status) < 0)
		return -errno;
	return S_ISREG(ret_status->st_mode) ? 0 : S_ISLNK(ret_status->st_mode) ? -ELOOP : -EINVAL;
}

int crier_below_read_kernel(const char *root, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	const char *below;
	const char *top = crier_below_split(root, path, &below);
	_cleanup_close_ int fd = open_below(top, below, O_RDONLY | O_NOFOLLOW, true);
	struct stat status;
	ssize_t n = fd < 0 ? fd : check_file(fd, &status);

	if (n == 0)
		n = read_all(fd, buf, cap);
	if (n < 0)
		return (int)n;
	*ret_len = (size_t)n;
	return 0;
}

/* A regular file, seen to be one before it is opened. */
static int open_file(const char *root, const char *dir, const char *name, struct stat *ret_status)
{
	const uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
	_cleanup_close_ int top = crier_below_open(root, dir, O_PATH | O_DIRECTORY);

	if (top < 0)
		return top;
	_cleanup_close_ int seen = open_at(top, name, O_PATH | O_NOFOLLOW, resolve, false);
	int r = seen < 0 ? seen : check_file(seen, ret_status);

	if (r < 0)
		return r;
	_cleanup_close_ int fd = open_at(top, name, O_RDONLY | O_NOFOLLOW, resolve, false);

	r = fd < 0 ? fd : check_file(fd, ret_status);
	return r < 0 ? r : take_fd(fd);
}

int crier_below_load(const char *root, const char *dir, const char *name, size_t max, char **ret_text,
		     size_t *ret_len)
{
	struct stat status;
	_cleanup_close_ int fd = open_file(root, dir, name, &status);

	if (fd < 0)
		return fd;
	if (status.st_size < 0 || (uint64_t)status.st_size > max)
		return -EFBIG;
	_cleanup_free_ char *text = malloc((size_t)status.st_size + 1);
	ssize_t n = text ? read_all(fd, text, (size_t)status.st_size) : -ENOMEM;

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	*ret_text = take_ptr(text);
	*ret_len = (size_t)n;
	return 0;
}

int crier_below_link(const char *root, const char *dir, const char *name, char *buf, size_t cap,
		     size_t *ret_len)
{
	_cleanup_close_ int top = crier_below_open(root, dir, O_PATH | O_DIRECTORY);

	if (top < 0)
		return top;
	_cleanup_close_ int fd =
		open_at(top, name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, false);

	if (fd < 0)
		return fd;
	ssize_t n = readlinkat(fd, "", buf, cap);

	if (n < 0)
		return errno == ENOENT ? -EINVAL
				       : -errno; /* an empty path on what is no symlink: readlink(2) */
	if ((size_t)n == cap)
		return -ENAMETOOLONG;
	*ret_len = (size_t)n;
	return 0;
}

static void cleanup_closedir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

int crier_below_find(const char *root, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	_cleanup_close_ int fd = crier_below_open(root, dir, O_RDONLY | O_DIRECTORY);
	__attribute__((cleanup(cleanup_closedir))) DIR *directory = NULL;
	const struct dirent *entry;
	size_t count = 0, found = 0;

	if (fd < 0)
		return fd;
	directory = fdopendir(fd);
	if (!directory)
		return -errno;
	take_fd(fd);
	while ((errno = 0, entry = readdir(directory))) {
		struct crier_slice name = crier_slice_of(entry->d_name);

		if (++count > CRIER_BELOW_ENTRIES_MAX)
			return -E2BIG;
		if (name.len <= suffix.len || !crier_slice_ends(name, suffix))
			continue;
		if (found)
			return -ENOTUNIQ;
		if (name.len > cap)
			return -ENAMETOOLONG;
		memcpy(buf, name.ptr, name.len);
		found = name.len;
	}
	if (errno)
		return -errno;
	*ret_len = found;
	return 0;
}
