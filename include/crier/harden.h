/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After the start crier gives up what it no longer needs, in every thread and for good: capabilities, privileges by exec, system
 * calls, writing to files. What cannot be given up is told; it is no reason not to run.
 */
#ifndef CRIER_HARDEN_H
#define CRIER_HARDEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"

#define CRIER_HARDEN_WRITABLE_MAX 8

struct crier_harden_options {
	uint64_t keep_capabilities; /* bit set by CAP_*; of those held */
	/* Folders below which crier goes on to write: with `make` also to make and remove files. "" = none. */
	struct {
		const char *path;
		bool make;
	} writable[CRIER_HARDEN_WRITABLE_MAX];
	bool log_refused; /* the kernel logs each refused system call (debugging) */
};

/* What came of it: 0 = done, else errno; ENOSYS, EOPNOTSUPP: this kernel has it not. */
struct crier_harden_report {
	int capabilities, no_new_privileges, seccomp, landlock;
	uint64_t held; /* permitted capabilities now */
};

/** Main loop's thread, once, when nothing privileged is left to do. Some 1 ms a thread. */
void crier_harden(const struct crier_harden_options *options, struct crier_harden_report *ret_report);

/** Capabilities that are permitted and in effect, by CAP_*. 0 also when they cannot be read. */
uint64_t crier_harden_held(void);
/** Put them out of effect for the calling thread, without giving them up; and back. @return 0 or -errno */
int crier_harden_suspend(uint64_t capabilities) crier_must_check;
int crier_harden_resume(uint64_t capabilities) crier_must_check;

/** What the kernel offers, for `crier check`: Landlock's ABI (0 = none) and whether seccomp filters are there. */
unsigned crier_harden_landlock_abi(void);
bool crier_harden_has_seccomp(void);

#endif
