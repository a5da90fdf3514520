/* SPDX-License-Identifier: Apache-2.0 */
/* Each thread is met once, those that block signals and those that come meanwhile among them. */
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crier/base/threads.h"

#define THREADS 5

static atomic_int met[THREADS + 2];
static pid_t tids[THREADS + 2];
static atomic_int ready;
static int ends[2];

/* Blocks what it can, as the threads of the sink and of the runtime's client do. */
static void *wait_for_end(void *arg)
{
	size_t i = (size_t)(uintptr_t)arg;
	struct pollfd end = {.fd = ends[0], .events = POLLIN};
	sigset_t none;

	crier_threads_no_signals(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	tids[i] = (pid_t)syscall(SYS_gettid);
	atomic_fetch_add(&ready, 1);
	while (poll(&end, 1, -1) < 0)
		;
	return NULL;
}

static void note(void *ctx)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);

	atomic_fetch_add((atomic_int *)ctx, 1);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(met); i++)
		if (tids[i] == tid)
			atomic_fetch_add(&met[i], 1);
}

static void every_thread_is_met_once(void **state)
{
	pthread_t threads[THREADS];
	atomic_int calls = 0;

	(void)state;
#if defined(__SANITIZE_THREAD__)
	skip(); /* the sanitizer has a thread of its own that nobody can reach */
#endif
	assert_int_equal(pipe(ends), 0);
	tids[THREADS] = (pid_t)syscall(SYS_gettid);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_for_end, (void *)(uintptr_t)i), 0);
	while (atomic_load(&ready) < THREADS)
		poll(NULL, 0, 1);
	assert_int_equal(crier_threads_each(note, &calls), 0);
	assert_true(atomic_load(&calls) >= THREADS + 1); /* a sanitizer may have threads of its own */
	for (size_t i = 0; i <= THREADS; i++)
		assert_int_equal(atomic_load(&met[i]), 1);
	close(ends[1]);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	close(ends[0]);
}

static void *block_all(void *arg)
{
	struct pollfd end = {.fd = ends[0], .events = POLLIN};
	sigset_t all;

	(void)arg;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	atomic_fetch_add(&ready, 1);
	while (poll(&end, 1, -1) < 0)
		;
	return NULL;
}

/* A thread that cannot be reached is told, not passed over. */
static void an_unreachable_thread_is_an_error(void **state)
{
	pthread_t thread;
	atomic_int calls = 0;

	(void)state;
	atomic_store(&ready, 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, block_all, NULL), 0);
	while (!atomic_load(&ready))
		poll(NULL, 0, 1);
	assert_int_equal(crier_threads_each(note, &calls), -ETIMEDOUT);
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_thread_is_met_once),
		cmocka_unit_test(an_unreachable_thread_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
