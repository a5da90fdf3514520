/* SPDX-License-Identifier: Apache-2.0 */
/* Which process is in which cgroup, read from /proc. */
#include "crier/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "crier/base/below.h"
#include "read_text.h"

#define STAT_MAX	   1024u
#define STATUS_MAX	   4096u	/* NSpid stands in the first kilobyte */
#define PID_NAMESPACE_INIT 0xeffffffcu	/* inode of the host's: PROC_PID_INIT_INO, include/linux/proc_ns.h */
#define CGROUP_MAX	   (64u * 1024) /* a dozen hierarchies with paths of 4 KiB */

int crier_read_text(int directory, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	_cleanup_close_ int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
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
	*ret_len = len;
	return 0;
}

#define PF_KTHREAD 0x00200000u /* include/linux/sched.h; field 9 of stat */

bool crier_proc_is_hosts(const char *host_root)
{
	char path[PATH_MAX], text[STAT_MAX + 1];
	const char *close;
	unsigned flags;
	size_t len;

	snprintf(path, sizeof(path), "%s/proc/2/stat",
		 host_root && strcmp(host_root, "/") != 0 ? host_root : "");
	if (crier_read_text(AT_FDCWD, path, text, STAT_MAX, &len) < 0)
		return false;
	text[len] = '\0';
	close = strrchr(text, ')');
	return close && sscanf(close + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && (flags & PF_KTHREAD);
}

struct scan {
	const struct crier_cgroup_layout *layout;
	crier_proc_scan_fn fn;
	void *ctx;
	long told;
	char stat[STAT_MAX];
	char status[STATUS_MAX];
	char cgroup[CGROUP_MAX];
	char path[CRIER_CGROUP_PATH_MAX];
};

/* A process that ends meanwhile is passed over. @return false: stop */
static bool scan_one(struct scan *scan, int proc, const char *name)
{
	_cleanup_close_ int directory = openat(proc, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct crier_proc_entry entry = {0};
	uint64_t innermost;
	size_t len = 0;

	if (directory < 0 || crier_read_text(directory, "stat", scan->stat, sizeof(scan->stat), &len) < 0 ||
	    crier_proc_stat_parse((struct crier_slice){scan->stat, len}, &entry) < 0)
		return true;
	if (crier_read_text(directory, "cgroup", scan->cgroup, sizeof(scan->cgroup), &len) < 0 ||
	    !crier_proc_cgroup_parse((struct crier_slice){scan->cgroup, len},
				     scan->layout->primary_hierarchy_id, &entry.path))
		return true;
	entry.is_ns_init =
		crier_read_text(directory, "status", scan->status, sizeof(scan->status), &len) == 0 &&
		crier_proc_nspid_parse((struct crier_slice){scan->status, len}, &innermost) > 1 &&
		innermost == 1;
	entry.path = crier_cgroup_absolute(scan->layout->namespace_root, entry.path, scan->path,
					   sizeof(scan->path));
	scan->told++;
	return scan->fn(scan->ctx, &entry);
}

static void cleanup_closedir(DIR **directory)
{
	if (*directory)
		closedir(*directory);
}

long crier_proc_scan(const char *host_root, const struct crier_cgroup_layout *layout, crier_proc_scan_fn fn,
		     void *ctx)
{
	_cleanup_free_ struct scan *scan = malloc(sizeof(*scan));
	__attribute__((cleanup(cleanup_closedir))) DIR *proc = NULL;
	const struct dirent *entry;
	_cleanup_close_ int fd = crier_below_open(host_root && host_root[0] ? host_root : "/", "/proc",
						  O_RDONLY | O_DIRECTORY);

	if (!scan)
		return -ENOMEM;
	if (fd < 0)
		return fd;
	proc = fdopendir(fd);
	if (!proc)
		return -errno;
	take_fd(fd);
	scan->layout = layout;
	scan->fn = fn;
	scan->ctx = ctx;
	scan->told = 0;
	while ((entry = readdir(proc)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    !scan_one(scan, dirfd(proc), entry->d_name))
			break;
	return scan->told;
}

bool crier_pid_namespace_is_own(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) == 0 && status.st_ino != PID_NAMESPACE_INIT;
}
