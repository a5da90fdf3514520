/* SPDX-License-Identifier: Apache-2.0 */
/* exec, fork, exit. What wait4(2) says is the measure. */
#include "harness.h"

#include "../../src/probe/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static int body_exec(void *argv)
{
	char **args = argv;

	execv(args[0], args);
	return 127;
}

static void check_text(const struct record *record, struct crier_wire_text text, const char *expected,
		       size_t len)
{
	CHECK_EQ(text.length, len);
	CHECK(text.offset + text.length <= record->header->length, "text outside of its record");
	CHECK(memcmp(record->bytes + text.offset, expected, len) == 0, "text is '%.*s'", (int)text.length,
	      record->bytes + text.offset);
}

/* Start of a process in clock ticks, as /proc tells it. */
static unsigned long long start_ticks(pid_t pid)
{
	char path[64], text[1024];
	unsigned long long ticks = 0;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[n] = '\0';
	if (file)
		fclose(file);
	CHECK(n > 0 &&
		      sscanf(strrchr(text, ')') + 2,
			     "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     &ticks) == 1,
	      "%s", path);
	return ticks;
}

static void check_exec(const struct setup *setup)
{
	struct setup with_args = *setup;
	char *argv[] = {(char[]){"/bin/sleep"}, (char[]){"0"}, (char[]){"0.02"}, NULL};
	unsigned long long ticks;
	const struct record *record;
	struct child child;
	struct box *box;

	with_args.control.args_max = 256;
	setup_open(&with_args);
	box = box_make(NULL, "exec");
	child = child_start(box, body_exec, argv);
	ticks = start_ticks(child.pid);
	child_go(&child);
	CHECK_EQ(child_wait(&child), 0);
	record = records_need(CRIER_WIRE_EXEC, (uint32_t)child.pid, box->id);
	check_text(record, record->exec->filename, "/bin/sleep", 10);
	check_text(record, record->exec->args,
		   "/bin/sleep\0"
		   "0\0"
		   "0.02",
		   18);
	CHECK_EQ(record->exec->args_count, 3);
	CHECK_EQ(record->exec->flags, 0);
	CHECK_EQ(record->exec->task.tid, child.pid);
	CHECK_EQ(record->exec->task.vpid, child.pid);
	CHECK_EQ(record->exec->task.parent_pid, getpid());
	CHECK_EQ(record->exec->task.uid, 0);
	CHECK_EQ(record->exec->task.cgroup_id, box->id);
	CHECK_EQ(record->exec->task.flags, CRIER_TASK_VALID | CRIER_TASK_EXECED);
	CHECK(memcmp(record->exec->task.comm, "sleep\0\0\0\0\0\0\0\0\0\0", 16) == 0, "comm %.16s",
	      record->exec->task.comm);
	CHECK_EQ(record->exec->task.start_boottime_ns /
			 (1000000000 / (unsigned long long)sysconf(_SC_CLK_TCK)),
		 ticks);
	CHECK_EQ(record->exec->task.parent_start_boottime_ns /
			 (1000000000 / (unsigned long long)sysconf(_SC_CLK_TCK)),
		 start_ticks(getpid()));
	CHECK(record->header->boottime_ns > record->exec->task.start_boottime_ns &&
		      record->header->boottime_ns < now_ns(),
	      "time");
	CHECK_EQ(records_count(CRIER_WIRE_EXEC, (uint32_t)child.pid, 0), 1);
}

static void exec_values(void)
{
	check_exec(&(struct setup){0});
}

static void exec_values_v1(void)
{
	check_exec(&(struct setup){.is_v1 = true});
}

static void exec_values_raw_tp(void)
{
	check_exec(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

/* A path of 1500 bytes, arguments of 3000: both are cut and say so; the record is as long as it may be. */
static void exec_long_texts(void)
{
	char path[1600] = "", long_arg[3000];
	char *argv[] = {path, long_arg, NULL};
	const struct record *record;
	struct child child;

	setup_open(&(struct setup){.control.args_max = CRIER_WIRE_ARGS_MAX});
	while (strlen(path) < 1500)
		strcat(path, "/.");
	strcat(path, "/bin/true");
	memset(long_arg, 'x', sizeof(long_arg) - 1);
	long_arg[sizeof(long_arg) - 1] = '\0';
	CHECK_EQ(child_run(box_make(NULL, "long"), body_exec, argv, &child), 0);
	record = records_need(CRIER_WIRE_EXEC, (uint32_t)child.pid, 0);
	CHECK_EQ(record->exec->flags, CRIER_EXEC_FILENAME_CUT | CRIER_EXEC_ARGS_CUT);
	check_text(record, record->exec->filename, path, CRIER_WIRE_FILENAME_MAX - 1);
	CHECK_EQ(record->exec->args.length, CRIER_WIRE_ARGS_MAX);
	CHECK(memcmp(record->bytes + record->exec->args.offset, path, 1500) == 0, "arguments");
	CHECK_EQ(counters_now()->truncated, 2);
}

static void exec_without_args(void)
{
	char *argv[] = {(char[]){"/bin/true"}, (char[]){"secret"}, NULL};
	const struct record *record;
	struct child child;

	setup_open(&(struct setup){0});
	CHECK_EQ(child_run(box_make(NULL, "noargs"), body_exec, argv, &child), 0);
	record = records_need(CRIER_WIRE_EXEC, (uint32_t)child.pid, 0);
	CHECK_EQ(record->exec->args.length, 0);
	CHECK_EQ(record->header->length, sizeof(struct crier_wire_exec) + 16);
	CHECK(!memmem(record->bytes, record->header->length, "secret", 6), "arguments were not asked for");
}

/* On both sides of the length from which on a record is put together elsewhere (CRIER_EXEC_PATH_SHORT). */
static void exec_paths_of_any_length(void)
{
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "paths");
	for (size_t length = 120; length <= 136; length++) {
		char path[160] = "/bin/true";
		char *argv[] = {path, NULL};
		const struct record *record;
		struct child child;
		size_t end = sizeof(struct crier_wire_exec) + length;

		memset(path, '/', length - 9);
		memcpy(path + length - 9, "/bin/true", 10);
		CHECK_EQ(child_run(box, body_exec, argv, &child), 0);
		record = records_need(CRIER_WIRE_EXEC, (uint32_t)child.pid, box->id);
		check_text(record, record->exec->filename, path, length);
		CHECK_EQ(record->exec->flags, 0);
		CHECK_EQ(record->header->length, (end + 7) & ~(size_t)7);
		for (size_t i = end; i < record->header->length; i++)
			CHECK_EQ(record->bytes[i], 0);
	}
	CHECK_EQ(counters_now()->lookup_missed, 0);
}

/* fork */

static void *thread_nothing(void *arg)
{
	return arg;
}

static int body_thread_and_fork(void *arg)
{
	pthread_t thread;
	pid_t pid;

	if (pthread_create(&thread, NULL, thread_nothing, NULL) != 0 || pthread_join(thread, NULL) != 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(0);
	*(volatile pid_t *)arg = pid;
	return waitpid(pid, NULL, 0) == pid ? 0 : 1;
}

static void check_fork(const struct setup *setup)
{
	pid_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(setup);
	box = box_make(NULL, "fork");
	CHECK_EQ(child_run(box, body_thread_and_fork, shared, &child), 0);
	record = records_need(CRIER_WIRE_FORK, (uint32_t)*shared, box->id);
	CHECK_EQ(record->fork->child.parent_pid, child.pid);
	CHECK_EQ(record->fork->parent.pid, child.pid);
	CHECK_EQ(record->fork->parent.parent_pid, getpid());
	CHECK_EQ(record->fork->parent.cgroup_id, box->id);
	CHECK_EQ(record->fork->child.parent_start_boottime_ns, record->fork->parent.start_boottime_ns);
	CHECK_EQ(record->fork->child.flags, CRIER_TASK_VALID);
	/* the grandchild alone: neither the thread's birth nor its end is a process's */
	CHECK_EQ(records_count(CRIER_WIRE_FORK, 0, box->id), 1);
	CHECK_EQ(records_count(CRIER_WIRE_EXIT, 0, box->id), 2);
	munmap(shared, 4096);
}

static void fork_not_thread(void)
{
	check_fork(&(struct setup){0});
}

static void fork_not_thread_raw_tp(void)
{
	check_fork(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

/* exit */

static int body_signal(void *arg)
{
	int *args = arg; /* signal, core limit */
	struct rlimit core = {.rlim_cur = (rlim_t)args[1], .rlim_max = RLIM_INFINITY};

	setrlimit(RLIMIT_CORE, &core);
	if (chdir("/tmp") < 0)
		return 1;
	kill(getpid(), args[0]);
	return 1;
}

static void expect_exit(const struct child *child, const struct box *box)
{
	const struct record *record = records_need(CRIER_WIRE_EXIT, (uint32_t)child->pid, box->id);

	CHECK_EQ(record->exit->status, child->status);
	/* SIGNAL_GROUP_EXIT: before 5.17 not for a single thread that ends by itself */
	CHECK_EQ(record->exit->flags & ~CRIER_EXIT_GROUP_EXIT, 0);
	if (WIFSIGNALED(child->status))
		CHECK_EQ(record->exit->flags, CRIER_EXIT_GROUP_EXIT);
	CHECK_EQ(records_count(CRIER_WIRE_EXIT, (uint32_t)child->pid, 0), 1);
}

static void check_exit_codes(const struct setup *setup)
{
	int segv_args[] = {SIGSEGV, 0}, term_args[] = {SIGTERM, 0};
	struct child child;
	struct box *box;

	setup_open(setup);
	box = box_make(NULL, "exit");
	for (int code = 0; code < 256; code += 51) {
		CHECK_EQ(child_run(box, body_exit, (void *)(intptr_t)code, &child), code << 8);
		expect_exit(&child, box);
	}
	CHECK_EQ(child_run(box, body_signal, segv_args, &child), SIGSEGV);
	expect_exit(&child, box);
	CHECK_EQ(child_run(box, body_signal, term_args, &child), SIGTERM);
	expect_exit(&child, box);
}

static void exit_codes(void)
{
	check_exit_codes(&(struct setup){0});
}

static void exit_codes_raw_tp(void)
{
	check_exit_codes(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

static void exit_with_core(void)
{
	int args[] = {SIGABRT, 1 << 20};
	char path[64];
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "core");
	child_run(box, body_signal, args, &child);
	snprintf(path, sizeof(path), "/tmp/core.%d", child.pid);
	unlink(path);
	unlink("/tmp/core");
	if (!WCOREDUMP(child.status))
		test_skip("this system writes no core file (kernel.core_pattern)");
	expect_exit(&child, box);
}

static void *thread_pause(void *arg)
{
	return (void *)(intptr_t)body_pause(arg);
}

static int body_threads_together(void *arg)
{
	pthread_t thread;

	for (int i = 0; i < 8; i++)
		pthread_create(&thread, NULL, thread_pause, NULL);
	return (int)(intptr_t)arg; /* exit_group: all nine end at once, on all CPUs */
}

static void check_threads_together(const struct setup *setup)
{
	struct child child;
	struct box *box;

	setup_open(setup);
	box = box_make(NULL, "threads");
	for (int i = 0; i < 60; i++) {
		CHECK_EQ(child_run(box, body_threads_together, (void *)(intptr_t)(i % 7), &child),
			 (i % 7) << 8);
		expect_exit(&child, box);
	}
	CHECK_EQ(records_count(CRIER_WIRE_EXIT, 0, box->id), 60);
}

static void exit_threads_once(void)
{
	check_threads_together(&(struct setup){0});
}

static void exit_threads_once_raw_tp(void)
{
	check_threads_together(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

static void *thread_last(void *arg)
{
	sleep_ms(30);
	syscall(SYS_exit, (long)(intptr_t)arg); /* the thread, not the group */
	return NULL;
}

static int body_leader_first(void *arg)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_last, (void *)5);
	syscall(SYS_exit, (long)(intptr_t)arg);
	return 1;
}

/* The leader ends first, with 3; a thread ends last, with 5. Whatever wait4 says is right. */
static void exit_leader_first(void)
{
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "leader");
	child_run(box, body_leader_first, (void *)3, &child);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->exit->status, child.status);
	CHECK(record->exit->task.tid != record->exit->task.pid, "the last thread was the leader");
	CHECK_EQ(records_count(CRIER_WIRE_EXIT, (uint32_t)child.pid, 0), 1);
}

static void *thread_burn(void *arg)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_sec == 0 && now.tv_nsec < 60000000);
	return arg;
}

static int body_burn(void *arg)
{
	pthread_t thread;
	char *p = mmap(NULL, 20 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 1, 20 << 20);
	munmap(p, 20 << 20); /* the peak is over when it ends */
	for (int i = 0; i < 2; i++) {
		pthread_create(&thread, NULL, thread_burn, NULL);
		pthread_join(thread, NULL);
	}
	pthread_create(&thread, NULL, thread_pause, NULL); /* still there at the end: its time is its own */
	thread_burn(arg);
	return 0;
}

static void exit_usage(void)
{
	const struct record *record;
	struct child child;
	struct box *box;
	long cpu_ms, ticked_ms, peak_kib;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "usage");
	CHECK_EQ(child_run(box, body_burn, NULL, &child), 0);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	cpu_ms = (long)((child.usage.ru_utime.tv_sec + child.usage.ru_stime.tv_sec) * 1000 +
			(child.usage.ru_utime.tv_usec + child.usage.ru_stime.tv_usec) / 1000);
	CHECK(cpu_ms >= 170, "the test burnt %ld ms only", cpu_ms);
	CHECK(labs((long)(record->exit->cpu_ns / 1000000) - cpu_ms) <= 25, "cpu_ns %llu, wait4 says %ld ms",
	      (unsigned long long)record->exit->cpu_ns, cpu_ms);
	/* these two are samples by ticks; wait4 scales them to the exact sum */
	ticked_ms = (long)((record->exit->user_ns + record->exit->system_ns) / 1000000);
	CHECK(ticked_ms > cpu_ms / 8 && ticked_ms < 2 * cpu_ms, "user + system %ld ms, wait4 says %ld ms",
	      ticked_ms, cpu_ms);
	peak_kib = child.usage.ru_maxrss;
	CHECK(peak_kib > 20480, "the test's peak was %ld KiB only", peak_kib);
	CHECK(labs((long)(record->exit->peak_rss_bytes >> 10) - peak_kib) <= peak_kib / 10,
	      "peak %llu bytes, wait4 says %ld KiB", (unsigned long long)record->exit->peak_rss_bytes,
	      peak_kib);
}

static int body_grow_then_exec(void *argv)
{
	char *p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(p, 1, 64 << 20);
	return body_exec(argv);
}

/* From 6.16 on the mm is still there when the exit is told; that is also when group_dead came. */
static bool has_mm_at_exit(void)
{
	return probe->facts.exit_has_group_dead;
}

/* 64 MiB before exec: either the peak is of the new program alone, or it is marked as mixed. */
static void exit_peak_after_exec(void)
{
	char *argv[] = {(char[]){"/bin/true"}, NULL};
	char *self[] = {(char[]){"/proc/self/exe"}, (char[]){SELF_GROW_AND_SHRINK}, NULL};
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "peak");
	CHECK_EQ(child_run(box, body_grow_then_exec, argv, &child), 0);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, 0);
	CHECK(child.usage.ru_maxrss > 65536, "wait4's own peak is %ld KiB", child.usage.ru_maxrss);
	CHECK_EQ(record->exit->flags & CRIER_EXIT_PEAK_MIXED, has_mm_at_exit() ? 0 : CRIER_EXIT_PEAK_MIXED);
	if (record->exit->flags & CRIER_EXIT_PEAK_MIXED)
		CHECK(record->exit->peak_rss_bytes >> 10 >= 65536, "mixed, and yet too small");
	else
		CHECK(record->exit->peak_rss_bytes >> 20 < 32, "%llu bytes are not /bin/true's",
		      (unsigned long long)record->exit->peak_rss_bytes);
	/* and the peak of the program itself, though it was over */
	CHECK_EQ(child_run(box, body_exec, self, &child), 0);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, 0);
	CHECK(record->exit->peak_rss_bytes >> 20 >= 47, "%llu bytes",
	      (unsigned long long)record->exit->peak_rss_bytes);
}

/* Exits of container inits are critical: from the map, or pid 1 of a nested pid namespace. */
static void exit_of_inits(void)
{
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "init");
	child = child_start(box, body_exit, (void *)4);
	CHECK_EQ(crier_probe_init_add(probe, (uint32_t)child.pid, 0), 0);
	child_go(&child);
	child_wait(&child);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
	CHECK(record->exit->task.flags & CRIER_TASK_KNOWN_INIT, "flags %x", record->exit->task.flags);
	CHECK_EQ(crier_probe_init_remove(probe, (uint32_t)child.pid, 0), 0);

	child = child_start_init(box, body_exit, (void *)5);
	child_go(&child);
	child_wait(&child);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
	CHECK(record->exit->task.flags & CRIER_TASK_NS_INIT, "flags %x", record->exit->task.flags);
	CHECK_EQ(record->exit->task.vpid, 1);

	child_run(box, body_exit, NULL, &child);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->header->ring, CRIER_CLASS_BULK);
}

const struct test_case process_tests[] = {
	{"exec_values", exec_values, true},
	{"exec_values_v1", exec_values_v1, true},
	{"exec_values_raw_tp", exec_values_raw_tp, true},
	{"exec_long_texts", exec_long_texts, true},
	{"exec_without_args", exec_without_args, true},
	{"exec_paths_of_any_length", exec_paths_of_any_length, true},
	{"fork_not_thread", fork_not_thread, true},
	{"fork_not_thread_raw_tp", fork_not_thread_raw_tp, true},
	{"exit_codes", exit_codes, true},
	{"exit_codes_raw_tp", exit_codes_raw_tp, true},
	{"exit_with_core", exit_with_core, true},
	{"exit_threads_once", exit_threads_once, true},
	{"exit_threads_once_raw_tp", exit_threads_once_raw_tp, true},
	{"exit_leader_first", exit_leader_first, true},
	{"exit_usage", exit_usage, true},
	{"exit_peak_after_exec", exit_peak_after_exec, true},
	{"exit_of_inits", exit_of_inits, true},
	{0},
};
