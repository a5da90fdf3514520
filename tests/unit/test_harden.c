/* SPDX-License-Identifier: Apache-2.0 */
/* What a hardened process can still do and what not; each case in a child of its own, for there is no way back. */
#include "test.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crier/harden.h"

static char folder[64], elsewhere[64];

/* ---- what is tried: 0 or errno ---- */

static int verdict(long result)
{
	return result < 0 ? errno : 0;
}

static int try_exec(void)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	return verdict(execv("/bin/true", argv));
}

static int try_fork(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return verdict(child);
}

/* A contended mutex of gRPC's library asks for it, and writes to stderr where it is refused. */
static int try_priority(void)
{
	struct sched_param param;
	int policy;

	return pthread_getschedparam(pthread_self(), &policy, &param);
}

static int try_inet(void)
{
	return verdict(socket(AF_INET, SOCK_STREAM, 0));
}

static int try_unix(void)
{
	return verdict(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int try_executable_page(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int try_page(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int try_bpf_load(void)
{
	union bpf_attr attr = {0};

	return verdict(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

static int try_bpf_lookup(void)
{
	union bpf_attr attr = {.map_fd = (uint32_t)-1};

	return verdict(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)));
}

static int try_kill(void)
{
	return verdict(kill(getppid(), 0));
}

static int try_ptrace(void)
{
	return verdict(syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, getppid(), 0, 0));
}

static int make_file(const char *in)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/new", in);
	return verdict(open(path, O_CREAT | O_WRONLY | O_EXCL, 0600));
}

static int try_make_here(void)
{
	return make_file(folder);
}

static int try_make_elsewhere(void)
{
	return make_file(elsewhere);
}

static int try_read_elsewhere(void)
{
	return verdict(open("/proc/self/status", O_RDONLY));
}

static void *do_nothing(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, do_nothing, NULL);

	return r ? r : pthread_join(thread, NULL);
}

static int try_capabilities(void)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");
	int r = EBADMSG;

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "CapPrm:", 7) == 0)
			r = strtoull(line + 7, NULL, 16) == 0 ? 0 : EPERM;
	return r;
}

/* ---- the children ---- */

struct answer {
	struct crier_harden_report report;
	int result;
};

static struct answer in_child(int (*what)(void))
{
	struct crier_harden_options options = {.writable = {{folder, true}}};
	struct answer *shared =
		mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct answer answer;
	int status;
	pid_t child;

	assert_ptr_not_equal(shared, MAP_FAILED);
	shared->result = -1;
	child = fork();
	if (child == 0) {
		crier_harden(&options, &shared->report);
		shared->result = what();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	answer = *shared;
	munmap(shared, sizeof(*shared));
	return answer;
}

static void make_folders(void)
{
	strcpy(folder, "/tmp/crier-harden-XXXXXX");
	strcpy(elsewhere, "/tmp/crier-harden-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_non_null(mkdtemp(elsewhere));
}

static void remove_folders(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/new", folder);
	(void)unlink(path);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(rmdir(elsewhere), 0);
}

static void only_what_is_needed_is_left(void **state)
{
	static const struct {
		const char *name;
		int (*what)(void);
		int result; /* errno */
		bool by_landlock;
	} rows[] = {
		{"exec", try_exec, EPERM, false},
		{"fork", try_fork, EPERM, false},
		{"internet socket", try_inet, EPERM, false},
		{"unix socket", try_unix, 0, false},
		{"executable page", try_executable_page, EPERM, false},
		{"page", try_page, 0, false},
		{"load a BPF program", try_bpf_load, EPERM, false},
		{"look into a BPF map", try_bpf_lookup, EBADF, false},
		{"signal another", try_kill, EPERM, false},
		{"trace another", try_ptrace, EPERM, false},
		{"make a file where state is kept", try_make_here, 0, false},
		{"make a file elsewhere", try_make_elsewhere, EACCES, true},
		{"read elsewhere", try_read_elsewhere, 0, false},
		{"start a thread", try_thread, 0, false},
		{"ask for the own priority", try_priority, 0, false},
		{"hold a capability", try_capabilities, 0, false},
	};

	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	skip(); /* a sanitizer's own calls are refused too */
#endif
	make_folders();
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct answer answer = in_child(rows[i].what);

		assert_int_equal(answer.report.seccomp, 0);
		assert_int_equal(answer.report.capabilities, 0);
		assert_int_equal(answer.report.no_new_privileges, 0);
		assert_int_equal(answer.report.held, 0);
		if (crier_harden_landlock_abi())
			assert_int_equal(answer.report.landlock, 0);
		else if (rows[i].by_landlock)
			continue; /* this kernel has none, and says so in the report */
		if (answer.result != rows[i].result &&
		    !(rows[i].what == try_bpf_lookup && answer.result == EPERM))
			fail_msg("%s: %s, not %s", rows[i].name, strerror(answer.result),
				 strerror(rows[i].result));
	}
	remove_folders();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_is_needed_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
