// The only program of the test image: whatever a test needs a container to do, as its first argument.
// "pause" is also the sandbox's first process. Statically linked, so the image is this one file.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB  (1UL << 20)
#define SELF "/trigger"

static volatile sig_atomic_t usr1;

static void on_term(int sig)
{
	(void)sig;
	_exit(0);
}

static void on_usr1(int sig)
{
	(void)sig;
	usr1 = 1;
}

static void on_child(int sig)
{
	(void)sig;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static double arg(int argc, char **argv, int index, double otherwise)
{
	return argc > index ? atof(argv[index]) : otherwise;
}

static void wait_seconds(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds,
				.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9)};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void stay(void)
{
	signal(SIGCHLD, on_child);
	for (;;)
		pause();
}

static void eat(void)
{
	fprintf(stderr, "hog: start\n");
	for (;;) {
		char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(1);
		memset(p, 1, MIB);
	}
}

static pid_t spawn_hog(void)
{
	pid_t pid = fork();

	if (pid == 0)
		eat();
	return pid;
}

// The log of init is the tests' ground truth on who died of what.
static void report(pid_t pid, int status)
{
	if (WIFSIGNALED(status))
		printf("child %d signal %d\n", (int)pid, WTERMSIG(status));
	else
		printf("child %d exit %d\n", (int)pid, WEXITSTATUS(status));
	fflush(stdout);
}

static void reap_all(void)
{
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0)
		report(pid, status);
}

// hogchild [delay [life]]: a child is OOM-killed; init lives until SIGUSR1 or for `life` seconds, then exits 0.
static int hogchild(double delay, double life)
{
	double end;

	signal(SIGUSR1, on_usr1);
	wait_seconds(delay);
	spawn_hog();
	reap_all();
	for (end = now() + life; !usr1 && now() < end;)
		wait_seconds(0.02);
	return 0;
}

// hogmulti [count]: several processes eat together; with memory.oom.group all die at once, else one by one.
static int hogmulti(int count)
{
	int i;

	for (i = 0; i < count; i++)
		spawn_hog();
	reap_all();
	return 0;
}

// SIGSEGV and SIGABRT that init sends to itself are dropped by the kernel (SIGNAL_UNKILLABLE), a real fault is not.
static void crash(void)
{
	volatile int *volatile nowhere = NULL;

	*nowhere = 1;
}

static int abort_in_child(void)
{
	if (fork() == 0)
		abort();
	reap_all();
	return 128 + SIGABRT;
}

// execstorm N [stay]: spawn + exec + exit N times, some at once so that both CPUs have work; counts what ended well.
static int execstorm(long count, int stays)
{
	char *const args[] = {(char *)"trigger", (char *)"exit", (char *)"0", NULL};
	long started = 0, ended = 0;

	while (ended < count) {
		int status;
		pid_t pid;

		if (started < count && started - ended < 32) {
			if (posix_spawn(&pid, SELF, NULL, NULL, args, environ) != 0)
				break;
			started++;
			continue;
		}
		if (wait(&status) < 0 || status != 0)
			break;
		ended++;
	}
	printf("execstorm %s %ld\n", ended == count ? "done" : "failed", ended);
	fflush(stdout);
	if (stays)
		stay();
	return ended == count ? 0 : 1;
}

// forkbomb SECONDS: as many forks as two CPUs give, a bounded number alive at a time, over after SECONDS.
static int forkbomb(double seconds)
{
	double end = now() + seconds;
	int worker;

	for (worker = 0; worker < 8; worker++) {
		if (fork() != 0)
			continue;
		while (now() < end) {
			if (fork() == 0) {
				if (fork() == 0)
					_exit(0);
				_exit(0);
			}
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
		}
		_exit(0);
	}
	while (wait(NULL) > 0 || errno == EINTR)
		;
	printf("forkbomb done\n");
	fflush(stdout);
	stay();
	return 0;
}

static int fill_file(const char *path, unsigned long mib)
{
	static char block[1 << 20];
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned long i;

	if (fd < 0)
		return -1;
	memset(block, 'x', sizeof(block));
	for (i = 0; i < mib; i++) {
		if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block)) {
			close(fd);
			return -1;
		}
		// Clean pages can be reclaimed at once; dirty ones of a slow disk would stall the writer.
		if (i % 8 == 7)
			fdatasync(fd);
	}
	fdatasync(fd);
	return fd;
}

static void read_file(int fd)
{
	static char block[1 << 20];

	lseek(fd, 0, SEEK_SET);
	while (read(fd, block, sizeof(block)) > 0)
		;
}

// cat-file MIB [rounds [cold_MIB]]: fill the page cache of the container with clean pages only. A file that fits and
// is read again becomes active_file; reading a second, cold one then reclaims while the first is still active.
static int cat_file(unsigned long mib, int rounds, unsigned long cold_mib)
{
	int fd = fill_file("/tmp/big", mib);

	if (fd < 0) {
		perror("cat-file: /tmp/big");
		return 1;
	}
	while (rounds-- > 0)
		read_file(fd);
	if (cold_mib > 0 && fill_file("/tmp/cold", cold_mib) < 0) {
		perror("cat-file: /tmp/cold");
		return 1;
	}
	printf("cat-file done\n");
	fflush(stdout);
	stay();
	return 0;
}

// press LIMIT_MIB FRACTION [seconds]: hold that part of the limit in anonymous memory, and read a file in a
// loop, so that every round needs reclaim of the little page cache that is left.
static int press(unsigned long limit_mib, double fraction, double seconds)
{
	size_t size = (size_t)((double)limit_mib * fraction * (double)MIB), i;
	int fd = fill_file("/tmp/press", 16);
	double end;
	char *p;

	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || fd < 0) {
		perror("press");
		return 1;
	}
	memset(p, 1, size);
	printf("press: holding %zu\n", size);
	fflush(stdout);
	for (end = now() + seconds; now() < end;) {
		for (i = 0; i < size; i += 4096)
			p[i]++;
		read_file(fd);
	}
	munmap(p, size);
	unlink("/tmp/press");
	printf("press: released\n");
	fflush(stdout);
	stay();
	return 0;
}

static const char *const weird_names[] = {
	"\"quoted\"",
	"back\\slash",
	"new\nline",
	"tab\tand\rcr",
	"\x01\x02\x1b[31m",
	"\xff\xfe\x80raw",
	"\xc3(bad2",
	"\xe2\x82",
	"\xed\xa0\x80surr",
	"\xf4\x90\x80\x80"
	"big",
	"\xc0\xaf"
	"overlong",
	"{\"a\":1}",
	"\xe2\x80\xa8ls",
	"\x7f"
	"del",
	"cut\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
};
enum { WEIRD_COUNT = sizeof(weird_names) / sizeof(weird_names[0]) };

// weirdname: a process for each name, named by prctl, then by executing a file of that name; all exit 3.
static int weirdname(void)
{
	size_t i;

	for (i = 0; i < WEIRD_COUNT; i++) {
		char path[64];

		if (fork() == 0) {
			prctl(PR_SET_NAME, weird_names[i]);
			_exit(3);
		}
		snprintf(path, sizeof(path), "/tmp/%s", weird_names[i]);
		if (strchr(weird_names[i], '/') || link(SELF, path) != 0)
			continue;
		if (fork() == 0) {
			execl(path, weird_names[i], "exit", "3", (char *)NULL);
			_exit(127);
		}
	}
	reap_all();
	printf("weirdname done\n");
	fflush(stdout);
	stay();
	return 0;
}

// Field 22 of /proc/self/stat: the start in clock ticks since boot; after the name, which may hold anything.
static unsigned long long own_start_ticks(void)
{
	unsigned long long ticks = 0;
	char text[1024], *at;
	int fd = open("/proc/self/stat", O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sscanf(at, "%llu", &ticks);
	return ticks;
}

// A process of a life takes a name of its own and tells who it is; "ROLE" + "TOKEN" is its comm from then on.
static void life_begin(const char *role, const char *token)
{
	char name[16];

	snprintf(name, sizeof(name), "%s%s", role, token);
	prctl(PR_SET_NAME, name);
	dprintf(STDOUT_FILENO, "life %s %d %llu\n", name, (int)getpid(), own_start_ticks());
}

// life TOKEN MS CODE [oom]: one whole life whose every event can be told from those of all other lives. Child a executes,
// b allocates, c is killed by its parent; init lives for MS, then exits with CODE or eats until the kernel kills it.
static int life(const char *token, double ms, int code, int dies_of_memory)
{
	double end = now() + ms / 1000;
	char text[16], byte;
	int ready[2];
	pid_t killed;

	life_begin("i", token);
	snprintf(text, sizeof(text), "%d", code + 1);
	if (fork() == 0) {
		execl(SELF, SELF, "life-child", token, text, (char *)NULL);
		_exit(127);
	}
	if (fork() == 0) {
		life_begin("b", token);
		memset(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, MIB);
		_exit(code + 2);
	}
	if (pipe(ready) != 0)
		return 126;
	killed = fork();
	if (killed == 0) {
		life_begin("c", token);
		if (write(ready[1], "", 1) == 1)
			stay();
		_exit(126);
	}
	if (read(ready[0], &byte, 1) == 1)
		kill(killed, SIGUSR2);
	reap_all();
	if (end > now())
		wait_seconds(end - now());
	dprintf(STDOUT_FILENO, "life done\n");
	if (dies_of_memory)
		eat();
	return code;
}

// each-usr1: stays, and executes a child for each SIGUSR1: an event when the test asks for one.
static int each_usr1(void)
{
	sigset_t set, before;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, &before);
	signal(SIGUSR1, on_usr1);
	for (;;) {
		while (!usr1)
			sigsuspend(&before);
		usr1 = 0;
		if (fork() == 0) {
			execl(SELF, SELF, "exit", "0", (char *)NULL);
			_exit(127);
		}
		wait(NULL);
	}
}

static int run_verb(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "pause";

	if (!strcmp(verb, "exit")) {
		wait_seconds(arg(argc, argv, 3, 0));
		return (int)arg(argc, argv, 2, 0);
	}
	if (!strcmp(verb, "hog")) {
		wait_seconds(arg(argc, argv, 2, 0));
		eat();
	}
	if (!strcmp(verb, "hogchild"))
		return hogchild(arg(argc, argv, 2, 0), arg(argc, argv, 3, 600));
	if (!strcmp(verb, "hogmulti"))
		return hogmulti((int)arg(argc, argv, 2, 3));
	if (!strcmp(verb, "segv")) {
		wait_seconds(arg(argc, argv, 2, 0));
		crash();
	}
	if (!strcmp(verb, "abort"))
		return abort_in_child();
	if (!strcmp(verb, "each-usr1"))
		return each_usr1();
	if (!strcmp(verb, "life") && argc > 4)
		return life(argv[2], arg(argc, argv, 3, 0), (int)arg(argc, argv, 4, 0), argc > 5);
	if (!strcmp(verb, "life-child") && argc > 3) {
		life_begin("a", argv[2]);
		return (int)arg(argc, argv, 3, 0);
	}
	if (!strcmp(verb, "execstorm"))
		return execstorm((long)arg(argc, argv, 2, 1000), argc > 3 && !strcmp(argv[3], "stay"));
	else if (!strcmp(verb, "forkbomb"))
		return forkbomb(arg(argc, argv, 2, 1));
	else if (!strcmp(verb, "cat-file"))
		return cat_file((unsigned long)arg(argc, argv, 2, 1), (int)arg(argc, argv, 3, 2),
				(unsigned long)arg(argc, argv, 4, 0));
	else if (!strcmp(verb, "press"))
		return press((unsigned long)arg(argc, argv, 2, 64), arg(argc, argv, 3, 0.9),
			     arg(argc, argv, 4, 10));
	else if (!strcmp(verb, "weirdname"))
		return weirdname();
	else if (!strcmp(verb, "spin"))
		for (double end = now() + arg(argc, argv, 2, 1e9); now() < end;)
			;
	else if (strcmp(verb, "pause") != 0 && strcmp(verb, "run") != 0 && strcmp(verb, "ignoreterm") != 0) {
		fprintf(stderr, "trigger: unknown verb %s\n", verb);
		return 2;
	}
	stay();
	return 0;
}

int main(int argc, char **argv)
{
	// At once and not in run_verb(): a stop may follow the start closely.
	signal(SIGTERM,
	       argc > 1 && !strcmp(argv[argc > 2 && !strcmp(argv[1], "onusr1") ? 2 : 1], "ignoreterm")
		       ? SIG_IGN
		       : on_term);
	signal(SIGINT, on_term);
	// onusr1 VERB...: nothing happens before SIGUSR1, so that a test can arrange the scene first.
	if (argc > 1 && !strcmp(argv[1], "onusr1")) {
		sigset_t set, before;

		// Handled, and not awaited by sigwait(), during which /proc shows the signal as not blocked.
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, &before);
		signal(SIGUSR1, on_usr1);
		while (!usr1)
			sigsuspend(&before);
		sigprocmask(SIG_SETMASK, &before, NULL);
		usr1 = 0;
		argv++;
		argc--;
	}
	return run_verb(argc, argv);
}
