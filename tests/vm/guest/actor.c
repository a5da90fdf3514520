// What the vm suite needs a process to do beside harness/trigger.c: be put into a container's cgroups the way a runtime
// does it, and deaths that need threads or a sender inside the container. Statically linked.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1UL << 20)

static void fail(const char *what)
{
	perror(what);
	_exit(125);
}

static void eat(unsigned long mib)
{
	while (mib--) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			fail("mmap");
		memset(p, 1, MIB);
	}
}

// The container's side of enter: joins every cgroup, then waits for the word, as a runtime's init does.
static void be_init(char **argv, int ready_fd)
{
	char go;
	int log = open(argv[0], O_WRONLY | O_CREAT | O_APPEND, 0644);

	for (argv++; *argv && strcmp(*argv, "--") != 0; argv++) {
		int fd = open(*argv, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			fail(*argv);
		close(fd);
	}
	if (!*argv || log < 0)
		fail("enter: log or program");
	dup2(log, 1);
	dup2(log, 2);
	close(log);
	if (write(ready_fd, "r", 1) != 1 || read(0, &go, 1) != 1)
		_exit(125);
	execv(argv[1], argv + 1);
	fail(argv[1]);
}

static long microseconds(const struct timeval *t)
{
	return t->tv_sec * 1000000L + t->tv_usec;
}

// enter LOG PROCS-FILE... -- PROGRAM ARGS...: runs the program as pid 1 of a namespace in these cgroups, once a byte
// comes in. Prints "pid N" when it waits there, and when it has ended "status N USER SYSTEM": as wait(2) has it, microseconds.
static int enter(char **argv)
{
	struct rlimit core = {RLIM_INFINITY, RLIM_INFINITY};
	struct rusage usage;
	int fds[2], status;
	char ready;
	pid_t pid;

	setrlimit(RLIMIT_CORE, &core);
	if (pipe2(fds, O_CLOEXEC) < 0)
		fail("pipe");
	pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0)
		fail("clone");
	if (pid == 0) {
		close(fds[0]);
		be_init(argv, fds[1]);
	}
	close(fds[1]);
	if (read(fds[0], &ready, 1) != 1)
		return 125;
	printf("pid %d\n", (int)pid);
	fflush(stdout);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			fail("wait");
	getrusage(RUSAGE_CHILDREN, &usage);
	printf("status %d %ld %ld\n", status, microseconds(&usage.ru_utime), microseconds(&usage.ru_stime));
	return 0;
}

static void *leave_late(void *code)
{
	usleep(200000);
	exit((int)(intptr_t)code);
}

static void *exec_exit(void *code)
{
	char *const argv[] = {(char *)"actor", (char *)"exit", code, NULL};

	execv("/actor", argv);
	return NULL;
}

static void *thread_eat(void *arg)
{
	eat(~0UL);
	return arg;
}

// send SIGNAL: a child is killed by its parent, both in the container. alarm: by the kernel.
static int child_dies(const char *how, int signal_number)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (!strcmp(how, "alarm"))
			ualarm(50000, 0);
		for (;;)
			pause();
	}
	usleep(50000);
	if (!strcmp(how, "send"))
		kill(pid, signal_number);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

// core: a child dies of a real fault and leaves a core where core_pattern puts it.
static int child_faults(void)
{
	if (fork() == 0) {
		prctl(PR_SET_DUMPABLE, 1);
		*(volatile int *volatile)NULL = 1;
	}
	wait(NULL);
	return 0;
}

// global-hog: offers itself as the node's victim, and eats until the node has nothing left.
static void global_hog(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0 || write(fd, "900", 3) != 3)
		fail("/proc/self/oom_score_adj");
	// in huge pages, where the kernel has them to give: fewer faults to emulate
	for (;;) {
		char *p = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			fail("mmap");
		madvise(p, 64 * MIB, MADV_HUGEPAGE);
		for (size_t i = 0; i < 64 * MIB; i += 4096)
			p[i] = 1;
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) != 0)
		fail("pthread_create");
}

static void *burn(void *until)
{
	while (now() < *(double *)until)
		;
	return NULL;
}

// burn SECONDS: two threads work, one of which ends before its process does.
static int burn_in_threads(double seconds)
{
	double end = now() + seconds, half = now() + seconds / 2;

	start(burn, &half);
	burn(&end);
	return 0;
}

// press MIB SECONDS FILE: holds so much, and reads a file for which little room is left, over and over: reclaim.
static void press(unsigned long mib, double seconds, const char *path)
{
	static char block[1 << 16];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	double end;
	char *p;

	for (int i = 0; fd >= 0 && i < 128; i++)
		if (write(fd, block, sizeof(block)) < 0)
			fail(path);
	if (fd < 0 || fdatasync(fd) < 0)
		fail(path);
	p = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fail("mmap");
	memset(p, 1, mib * MIB);
	for (end = now() + seconds; now() < end;)
		if (read(fd, block, sizeof(block)) <= 0)
			lseek(fd, 0, SEEK_SET);
	munmap(p, mib * MIB);
	close(fd);
	unlink(path);
	printf("released\n");
	fflush(stdout);
	for (;;)
		pause();
}

// group COUNT: as many children sleep, then init eats until the kernel ends them all.
static void group(int count)
{
	while (count--)
		if (fork() == 0)
			for (;;)
				pause();
	eat(~0UL);
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int number = argc > 2 ? atoi(argv[2]) : 0;

	if (!strcmp(verb, "enter") && argc > 4)
		return enter(argv + 2);
	if (!strcmp(verb, "exit"))
		return number;
	if (!strcmp(verb, "as") && argc > 3) {
		if (setuid((uid_t)number) != 0)
			fail("setuid");
		execv(argv[3], argv + 3);
		fail(argv[3]);
	}
	if (!strcmp(verb, "send") || !strcmp(verb, "alarm"))
		return child_dies(verb, number);
	if (!strcmp(verb, "core"))
		return child_faults();
	if (!strcmp(verb, "leader-first")) {
		start(leave_late, (void *)(intptr_t)number);
		syscall(SYS_exit, 0); // this thread alone
	}
	if (!strcmp(verb, "thread-exec") && argc > 2) {
		start(exec_exit, argv[2]);
		for (;;)
			pause();
	}
	if (!strcmp(verb, "thread-hog")) {
		start(thread_eat, NULL);
		for (;;)
			pause();
	}
	if (!strcmp(verb, "group"))
		group(number);
	if (!strcmp(verb, "burn") && argc > 2)
		return burn_in_threads(atof(argv[2]));
	if (!strcmp(verb, "press") && argc > 4)
		press((unsigned long)number, atof(argv[3]), argv[4]);
	if (!strcmp(verb, "global-hog"))
		global_hog();
	if (!strcmp(verb, "hold")) {
		eat((unsigned long)number);
		printf("holding\n");
		fflush(stdout);
		for (;;)
			pause();
	}
	fprintf(stderr, "actor: unknown verb %s\n", verb);
	return 2;
}
