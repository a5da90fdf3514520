/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities, no_new_privs and Landlock in each thread, then the filter of system calls (calls.c) for all of them. */
#include "crier/harden.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "crier/base/threads.h"
#include "calls.h"

/* ---- capabilities ---- */

static int get_capabilities(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	memset(data, 0, 2 * sizeof(*data));
	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int set_capabilities(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static uint64_t both(uint32_t low, uint32_t high)
{
	return (uint64_t)high << 32 | low;
}

uint64_t crier_harden_held(void)
{
	struct __user_cap_data_struct data[2];

	if (get_capabilities(data) < 0)
		return 0;
	return both(data[0].permitted, data[1].permitted) & both(data[0].effective, data[1].effective);
}

static int change_effect(uint64_t capabilities, bool on)
{
	struct __user_cap_data_struct data[2];
	int r = get_capabilities(data);

	for (int i = 0; i < 2; i++) {
		uint32_t bits = (uint32_t)(capabilities >> (32 * i));

		data[i].effective =
			on ? data[i].effective | (bits & data[i].permitted) : data[i].effective & ~bits;
	}
	return r < 0 ? r : set_capabilities(data);
}

int crier_harden_suspend(uint64_t capabilities)
{
	return change_effect(capabilities, false);
}

int crier_harden_resume(uint64_t capabilities)
{
	return change_effect(capabilities, true);
}

/* ---- Landlock (Documentation/userspace-api/landlock.rst); numbers here, since libc's headers may be older ---- */

#define LL_WRITE_FILE  (1ULL << 1)
#define LL_REMOVE_FILE (1ULL << 5)
#define LL_MAKE_REG    (1ULL << 8)
#define LL_TRUNCATE    (1ULL << 14)
/* All of ABI 1 but READ_FILE (2) and READ_DIR (3); then REFER of ABI 2, TRUNCATE of 3, IOCTL_DEV of 5. */
#define LL_FS_1	 (0x1fffULL & ~(1ULL << 2 | 1ULL << 3))
#define LL_NET	 3ULL /* ABI 4: bind and connect by TCP */
#define LL_BELOW 1    /* LANDLOCK_RULE_PATH_BENEATH */

struct ll_ruleset {
	uint64_t fs, net;
};

struct ll_below {
	uint64_t access;
	int32_t parent;
} __attribute__((packed));

unsigned crier_harden_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	return abi > 0 ? (unsigned)abi : 0;
}

static uint64_t rights_of(unsigned abi)
{
	return LL_FS_1 | (abi >= 2 ? 1ULL << 13 : 0) | (abi >= 3 ? LL_TRUNCATE : 0) |
	       (abi >= 5 ? 1ULL << 15 : 0);
}

static void allow(int ruleset, const char *path, bool make, uint64_t rights)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct ll_below rule = {
		.access = rights &
			  (make ? LL_WRITE_FILE | LL_MAKE_REG | LL_REMOVE_FILE | LL_TRUNCATE : LL_WRITE_FILE),
		.parent = fd};

	if (fd >= 0) /* what is not there cannot be written either */
		(void)syscall(SYS_landlock_add_rule, ruleset, LL_BELOW, &rule, 0);
}

/* @return descriptor of the rules, or -errno */
static int make_ruleset(const struct crier_harden_options *options)
{
	unsigned abi = crier_harden_landlock_abi();
	struct ll_ruleset attributes = {.fs = rights_of(abi), .net = LL_NET};
	_cleanup_close_ int fd = -1;

	if (!abi)
		return -EOPNOTSUPP;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attributes,
			  abi >= 4 ? sizeof(attributes) : sizeof(attributes.fs), 0);
	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < CRIER_HARDEN_WRITABLE_MAX; i++)
		if (options->writable[i].path && options->writable[i].path[0])
			allow(fd, options->writable[i].path, options->writable[i].make, attributes.fs);
	return take_fd(fd);
}

/* ---- every thread ---- */

struct each {
	uint64_t keep;
	int ruleset;
	struct crier_harden_report *report;
};

static void note(int *what, long result)
{
	if (result < 0 && *what == 0)
		*what = errno;
}

/* In a signal handler: system calls only. Ambient and bounding sets follow the permitted one, or matter at exec only. */
static void harden_thread(void *ctx)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	const struct each *each = ctx;

	note(&each->report->no_new_privileges, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	if (each->ruleset >= 0)
		note(&each->report->landlock, syscall(SYS_landlock_restrict_self, each->ruleset, 0));
	if (syscall(SYS_capget, &header, data) < 0) {
		note(&each->report->capabilities, -1);
		return;
	}
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(each->keep >> (32 * i));
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	note(&each->report->capabilities, syscall(SYS_capset, &header, data));
}

void crier_harden(const struct crier_harden_options *options, struct crier_harden_report *ret_report)
{
	struct crier_harden_report report = {0};
	struct each each = {options->keep_capabilities, make_ruleset(options), &report};
	int r;

	if (each.ruleset < 0)
		report.landlock = -each.ruleset;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	r = crier_threads_each(harden_thread, &each);
	if (r < 0) { /* some thread still has what it had */
		report.capabilities = report.capabilities ? report.capabilities : -r;
		report.landlock = report.landlock ? report.landlock : -r;
	}
	if (each.ruleset >= 0)
		close(each.ruleset);
	report.held = crier_harden_held(); /* the filter would not let it ask */
	report.seccomp = -crier_harden_calls(options->log_refused);
	*ret_report = report;
}
