/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what others wrote, below a directory, and nothing else. `root` is where the node's file system is seen
 * (--host-root), `dir` an absolute path of the node, `name` a relative one below it.
 *
 * `dir` is the operator's: symlinks on the way to it are followed (/var/run, a data folder on another disk), but they and
 * ".." stay below `root`, and magic links (/proc/PID/root) are refused. `name` is anybody's: nothing that is reached by a
 * symlink is opened, and nothing but a regular file is read; FIFOs and devices are seen by O_PATH, so that not even their
 * other end learns of it. By openat2(2) (Linux 5.6); where a seccomp profile refuses that (ENOSYS, EPERM), component by
 * component, and then `dir` must be free of symlinks too; only the kernel's own files are then opened as open(2) does.
 *
 * Any thread; a few system calls each, no memory but where said. Errors besides the usual -errno: -ELOOP (a symlink, or a
 * magic link), -EXDEV (".." beyond the top), -EINVAL (not a regular file), -EFBIG (longer than the bound).
 */
#ifndef CRIER_BASE_BELOW_H
#define CRIER_BASE_BELOW_H

#include "crier/base/cleanup.h"
#include "crier/base/str.h"

/**
 * Open a path as the node sees it. `flags` as for open(2); O_CLOEXEC, and without O_PATH also O_NOCTTY and O_NONBLOCK are added.
 * @return a descriptor of the caller's, or -errno
 */
int crier_below_open(const char *root, const char *path, int flags) crier_must_check;

/**
 * A path that crier sees (with `root` before it, when it is below it) taken apart for crier_below_open.
 * @ret_path  what is left of it as the node sees it; points into `path`
 * @return `root`, or "/" when the path is not below it
 */
const char *crier_below_split(const char *root, const char *path, const char **ret_path);

/** A file of the kernel (/proc, cgroupfs), cut at `cap`; `path` as crier sees it. @return 0 or -errno */
int crier_below_read_kernel(const char *root, const char *path, char *buf, size_t cap,
			    size_t *ret_len) crier_must_check;

/** A file of at most `max` bytes, whole, in memory of the caller's, with a NUL behind it. @return 0 or -errno */
int crier_below_load(const char *root, const char *dir, const char *name, size_t max, char **ret_text,
		     size_t *ret_len) crier_must_check;

/** The text of a symlink, not followed. @return 0; -EINVAL (no symlink), -ENAMETOOLONG (longer than `cap`), -errno */
int crier_below_link(const char *root, const char *dir, const char *name, char *buf, size_t cap,
		     size_t *ret_len) crier_must_check;

/**
 * The one entry of `dir` whose name ends with `suffix` and has something before it. Reads names only.
 * @param ret_len  0: the directory is there and has none
 * @return 0; -ENOTUNIQ (several), -E2BIG (more than CRIER_BELOW_ENTRIES_MAX entries), -ENAMETOOLONG, -errno
 */
int crier_below_find(const char *root, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len) crier_must_check;

/* A node has 110 to 500 pods; kubelet keeps the links of a few dead containers of each. Some 8 ms on ext4. */
#define CRIER_BELOW_ENTRIES_MAX 16384

#endif
