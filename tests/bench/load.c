/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load of the benchmarks, one small static program: what it did, and what it took, as one line of JSON.
 *
 *   load exit                        end at once: what the others execute
 *   load storm COUNT JOBS            spawn, execute and reap COUNT times, JOBS at a time
 *   load pace RATE SECONDS           the same at so many a second, evenly
 *   load signals RATE SECONDS        signals to itself that it ignores; RATE 0: as many as go
 *   load kills COUNT                 fork a process that waits, end it by SIGTERM, reap it
 *   load openclose COUNT             open and close a file
 *   load eat                         memory, until it is killed
 *   load churn FIRST COUNT RATE DIR...
 *                                    containers that come and go: directories DIR/ID (one hierarchy after the other), a
 *                                    process that executes in each, and away again; ID is 56 zeros and 8 hex digits
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

static const char *self;

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (long long)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static void sleep_until(long long at_ns)
{
	struct timespec t = {at_ns / SECOND_NS, at_ns % SECOND_NS};

	while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static long long spent_ns(int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND_NS +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void tell(long count, long long start_ns)
{
	long long end_ns = now_ns();

	printf("{\"count\":%ld,\"start_ns\":%lld,\"wall_ns\":%lld,\"cpu_ns\":%lld}\n", count, start_ns,
	       end_ns - start_ns, spent_ns(RUSAGE_SELF) + spent_ns(RUSAGE_CHILDREN));
}

static void spawn_one(void)
{
	char *const args[] = {(char *)"load", (char *)"exit", NULL};
	char *const environment[] = {NULL};
	pid_t pid;

	errno = posix_spawn(&pid, self, NULL, NULL, args, environment);
	if (errno)
		die("spawn");
}

static void reap_one(void)
{
	int status;

	if (wait(&status) < 0 || status != 0)
		die("wait");
}

static void storm(long count, long jobs)
{
	long long start_ns = now_ns();
	long started = 0;

	for (long ended = 0; ended < count; ended++) {
		while (started < count && started - ended < jobs) {
			spawn_one();
			started++;
		}
		reap_one();
	}
	tell(count, start_ns);
}

static void pace(double rate, double seconds)
{
	long long start_ns = now_ns();
	long count = (long)(rate * seconds);

	for (long i = 0; i < count; i++) {
		sleep_until(start_ns + (long long)((double)i * 1e9 / rate));
		spawn_one();
		reap_one();
	}
	tell(count, start_ns);
}

/* In bursts of half a millisecond: a sleep for each would cost more than the signal. */
static void signals(double rate, double seconds)
{
	long long start_ns = now_ns(), end_ns = start_ns + (long long)(seconds * 1e9);
	pid_t pid = getpid();
	long count = 0;

	signal(SIGURG, SIG_IGN);
	for (long long now; (now = now_ns()) < end_ns;) {
		long due = rate > 0 ? (long)((double)(now - start_ns) * rate / 1e9) : count + 1000;

		for (; count < due; count++)
			kill(pid, SIGURG);
		if (rate > 0)
			sleep_until(now + SECOND_NS / 2000);
	}
	tell(count, start_ns);
}

static void kills(long count)
{
	long long start_ns = now_ns();

	for (long i = 0; i < count; i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			for (;;)
				pause();
		}
		if (pid < 0 || kill(pid, SIGTERM) != 0 || waitpid(pid, &status, 0) != pid ||
		    WTERMSIG(status) != SIGTERM)
			die("kills");
	}
	tell(count, start_ns);
}

static void openclose(long count)
{
	long long start_ns = now_ns();

	for (long i = 0; i < count; i++) {
		int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			die("/proc/self/comm");
		close(fd);
	}
	tell(count, start_ns);
}

static void eat(void)
{
	for (size_t size = 1 << 20;;) {
		char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			die("mmap");
		memset(p, 1, size);
	}
}

/* Into the cgroup `path`, and on as another program. */
static void run_in(char **folders, int count, const char *id)
{
	pid_t pid = vfork();
	char path[512];

	if (pid < 0)
		die("vfork");
	if (pid == 0) {
		for (int i = 0; i < count; i++) {
			snprintf(path, sizeof(path), "%s/%s/cgroup.procs", folders[i], id);
			int fd = open(path, O_WRONLY | O_CLOEXEC);

			if (fd < 0 || write(fd, "0", 1) != 1)
				_exit(1);
		}
		execl(self, "load", "exit", (char *)NULL);
		_exit(1);
	}
	reap_one();
}

static void remove_folder(const char *path)
{
	for (int tries = 0; rmdir(path) != 0; tries++) {
		if (errno != EBUSY || tries > 1000)
			die(path);
		usleep(1000);
	}
}

static void churn(unsigned first, long count, double rate, char **folders, int folder_count)
{
	long long start_ns = now_ns();
	char path[512], id[65];

	for (long i = 0; i < count; i++) {
		sleep_until(start_ns + (long long)((double)i * 1e9 / rate));
		snprintf(id, sizeof(id), "%056d%08x", 0, first + (unsigned)i);
		for (int k = 0; k < folder_count; k++) {
			snprintf(path, sizeof(path), "%s/%s", folders[k], id);
			if (mkdir(path, 0755) != 0)
				die(path);
		}
		run_in(folders, folder_count, id);
		for (int k = 0; k < folder_count; k++) {
			snprintf(path, sizeof(path), "%s/%s", folders[k], id);
			remove_folder(path);
		}
	}
	tell(count, start_ns);
}

static double number(int argc, char **argv, int i)
{
	if (i >= argc) {
		fprintf(stderr, "load: %s wants more arguments; see the head of load.c\n", argv[1]);
		exit(2);
	}
	return strtod(argv[i], NULL);
}

int main(int argc, char **argv)
{
	static char path[4096];
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "exit") == 0)
		_exit(0);
	if (readlink("/proc/self/exe", path, sizeof(path) - 1) < 0)
		die("/proc/self/exe");
	self = path;
	if (strcmp(verb, "storm") == 0)
		storm((long)number(argc, argv, 2), (long)number(argc, argv, 3));
	else if (strcmp(verb, "pace") == 0)
		pace(number(argc, argv, 2), number(argc, argv, 3));
	else if (strcmp(verb, "signals") == 0)
		signals(number(argc, argv, 2), number(argc, argv, 3));
	else if (strcmp(verb, "kills") == 0)
		kills((long)number(argc, argv, 2));
	else if (strcmp(verb, "openclose") == 0)
		openclose((long)number(argc, argv, 2));
	else if (strcmp(verb, "eat") == 0)
		eat();
	else if (strcmp(verb, "churn") == 0 && argc > 5)
		churn((unsigned)number(argc, argv, 2), (long)number(argc, argv, 3), number(argc, argv, 4),
		      argv + 5, argc - 5);
	else {
		fprintf(stderr, "load: what is '%s'? see the head of load.c\n", verb);
		return 2;
	}
	return 0;
}
