/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/threads.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

#define THREADS_MAX 1024
#define ANSWER_MS   1000

/* Behind those that glibc and others take from the front. */
static int own_signal(void)
{
	return SIGRTMIN + 7;
}

/* Under way: one call at a time, by one thread. */
static struct {
	void (*fn)(void *ctx);
	void *ctx;
	pid_t wanted;
	bool done;
} call;

static void on_signal(int number)
{
	int saved = errno;

	(void)number;
	if (__atomic_load_n(&call.wanted, __ATOMIC_ACQUIRE) == (pid_t)syscall(SYS_gettid)) {
		call.fn(call.ctx);
		__atomic_store_n(&call.wanted, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&call.done, true, __ATOMIC_RELEASE);
	}
	errno = saved;
}

void crier_threads_no_signals(sigset_t *ret_mask)
{
	sigfillset(ret_mask);
	sigdelset(ret_mask, own_signal());
}

/* @return 0; -ESRCH it has ended; -ETIMEDOUT */
static int ask(pid_t tid)
{
	const struct timespec pause = {.tv_nsec = 100000};

	__atomic_store_n(&call.done, false, __ATOMIC_RELAXED);
	__atomic_store_n(&call.wanted, tid, __ATOMIC_RELEASE);
	if (syscall(SYS_tgkill, getpid(), tid, own_signal()) < 0)
		return -errno;
	for (int i = 0; i < ANSWER_MS * 10; i++) {
		if (__atomic_load_n(&call.done, __ATOMIC_ACQUIRE))
			return 0;
		if (syscall(SYS_tgkill, getpid(), tid, 0) < 0)
			return -ESRCH;
		nanosleep(&pause, NULL);
	}
	__atomic_store_n(&call.wanted, 0, __ATOMIC_RELEASE);
	return -ETIMEDOUT;
}

static bool is_known(const pid_t *tids, size_t count, pid_t tid)
{
	for (size_t i = 0; i < count; i++)
		if (tids[i] == tid)
			return true;
	return false;
}

/* One pass. @return threads met for the first time, or negative */
static int pass(pid_t *tids, size_t *count)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *entry;
	int met = 0, r = 0;

	if (!tasks)
		return -errno;
	while (r == 0 && (entry = readdir(tasks))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (tid <= 0 || is_known(tids, *count, tid))
			continue;
		if (*count == THREADS_MAX) {
			r = -E2BIG;
			break;
		}
		r = ask(tid);
		tids[(*count)++] = tid;
		met++;
		if (r == -ESRCH)
			r = 0;
	}
	closedir(tasks);
	return r < 0 ? r : met;
}

int crier_threads_each(void (*fn)(void *ctx), void *ctx)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	_cleanup_free_ pid_t *tids = calloc(THREADS_MAX, sizeof(*tids));
	size_t count = 0;
	int r;

	if (!tids)
		return -ENOMEM;
	call.fn = fn;
	call.ctx = ctx;
	/* Stays in place: a late signal must find it. */
	if (sigaction(own_signal(), &action, NULL) < 0)
		return -errno;
	fn(ctx);
	tids[count++] = (pid_t)syscall(SYS_gettid);
	do {
		r = pass(tids, &count);
	} while (r > 0);
	return r;
}
