/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something done once in every thread of the process, for what the kernel knows of threads only: capabilities, Landlock.
 * A signal brings each thread to do it; threads that block signals leave this one open.
 */
#ifndef CRIER_BASE_THREADS_H
#define CRIER_BASE_THREADS_H

#include <signal.h>

#include "crier/base/cleanup.h"

/** All signals but the one this module needs: the mask of a thread that wants none. */
void crier_threads_no_signals(sigset_t *ret_mask);

/**
 * Call `fn` in every thread, one after the other, the caller first; threads that are started meanwhile are met too.
 * @param fn  async-signal-safe: system calls and memory of its own only
 * @return 0; -ETIMEDOUT: a thread did not answer within a second; -errno: /proc/self/task cannot be read
 */
int crier_threads_each(void (*fn)(void *ctx), void *ctx) crier_must_check;

#endif
