/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proof that the programs fire: an own child is forked, executes, is killed and ends; an own cgroup is made
 * and removed. The child executes a program of a few instructions from a memfd, for there may be no other
 * file to execute in a minimal image.
 */
#include "internal.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define SELF_TEST_LIMIT_MS 1000
#define SELF_TEST_STEP_MS  5
#define IMAGE_BASE	   0x400000u
#define PID_NAMESPACE_INIT 0xeffffffcu /* inode of the host's: PROC_PID_INIT_INO, include/linux/proc_ns.h */
#define TICK_NS		   10000000ull /* of /proc/PID/stat: USER_HZ is 100 on x86-64 and arm64 */

/* Wait for ever, whatever wakes it. */
#if defined(__x86_64__)
static const uint8_t wait_code[] = {
	0xb8, 0x22, 0x00, 0x00, 0x00, /* mov $SYS_pause, %eax */
	0x0f, 0x05,		      /* syscall */
	0xeb, 0xf7,		      /* jmp to the start */
};
#define WAIT_MACHINE EM_X86_64
#elif defined(__aarch64__)
static const uint32_t wait_code[] = {
	0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800004, /* mov x0..x4, #0 */
	0xd2800928,						    /* mov x8, #SYS_ppoll */
	0xd4000001,						    /* svc #0 */
	0x17fffff9,						    /* b to the start */
};
#define WAIT_MACHINE EM_AARCH64
#else
#error "x86-64 and arm64 only"
#endif

struct self_test {
	pid_t child;
	bool own_namespace;	  /* of pids: the records' pids are not those that fork() tells */
	uint64_t own_start_ticks; /* of crier's process */
	uint64_t cgroup_id;	  /* 0 = none made */
	struct crier_probe_proof *proof;
	struct crier_probe_kept kept;
	uint32_t wanted_mask; /* the control's own mask: what else may pass on */
	crier_probe_record_fn fn;
	void *ctx;
};

/* @return descriptor of an executable file, or -errno */
static int make_wait_program(void)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
		uint8_t code[sizeof(wait_code)];
	} image = {
		.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				       EV_CURRENT},
			   .e_type = ET_EXEC,
			   .e_machine = WAIT_MACHINE,
			   .e_version = EV_CURRENT,
			   .e_entry = IMAGE_BASE + sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr),
			   .e_phoff = sizeof(Elf64_Ehdr),
			   .e_ehsize = sizeof(Elf64_Ehdr),
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phnum = 1},
		.segment = {.p_type = PT_LOAD,
			    .p_flags = PF_R | PF_X,
			    .p_vaddr = IMAGE_BASE,
			    .p_filesz = sizeof(image),
			    .p_memsz = sizeof(image),
			    .p_align = 0x10000},
	};
	_cleanup_close_ int fd = memfd_create("crier-self-test", MFD_CLOEXEC);

	memcpy(image.code, wait_code, sizeof(wait_code));
	if (fd < 0 || write(fd, &image, sizeof(image)) != (ssize_t)sizeof(image))
		return -errno;
	return take_fd(fd);
}

/* In the child: only calls that are safe after a fork of a threaded process. */
static void run_child(int program_fd, int pipe_fd, pid_t parent)
{
	char *const argv[] = {(char[]){"crier-self-test"}, NULL};
	char *const envp[] = {NULL};
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		fexecve(program_fd, argv, envp);
	if (write(pipe_fd, "x", 1) < 0) /* tells that exec failed; a success closes the pipe */
		_exit(126);
	_exit(127);
}

/* Records count pids as the host does. PROC_PID_INIT_INO, include/linux/proc_ns.h, is the host's namespace. */
static bool counts_as_host(void)
{
	static const char host[] = "pid:[4026531836]";
	char own[sizeof(host) + 16];
	ssize_t len = readlink("/proc/self/ns/pid", own, sizeof(own));

	return len < 0 || (len == sizeof(host) - 1 && memcmp(own, host, sizeof(host) - 1) == 0);
}

/* Fork, let the child execute, kill it, reap it. */
static void provoke_process(struct self_test *test)
{
	_cleanup_close_ int program_fd = make_wait_program();
	int pipe_fds[2];
	pid_t parent = getpid();
	char failed;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return;
	test->child = fork();
	if (test->child == 0)
		run_child(program_fd, pipe_fds[1], parent);
	close(pipe_fds[1]);
	if (test->child > 0) {
		test->proof[CRIER_PROBE_FORK].tried = test->proof[CRIER_PROBE_EXIT].tried = true;
		if (read(pipe_fds[0], &failed, 1) == 0)
			test->proof[CRIER_PROBE_EXEC].tried = true;
		if (kill(test->child, SIGTERM) == 0 && test->proof[CRIER_PROBE_EXEC].tried)
			test->proof[CRIER_PROBE_SIGNAL].tried = true;
		while (waitpid(test->child, NULL, 0) < 0 && errno == EINTR)
			;
	}
	close(pipe_fds[0]);
}

static void provoke_cgroup(struct self_test *test, const char *cgroup_dir)
{
	char path[4096];
	struct stat st;

	if (!cgroup_dir || (size_t)snprintf(path, sizeof(path), "%s/crier-self-test-%d", cgroup_dir,
					    getpid()) >= sizeof(path))
		return;
	if (mkdir(path, 0755) < 0)
		return;
	if (stat(path, &st) == 0)
		test->cgroup_id = st.st_ino;
	test->proof[CRIER_PROBE_CGROUP_MKDIR].tried = test->cgroup_id != 0;
	test->proof[CRIER_PROBE_CGROUP_RMDIR].tried = rmdir(path) == 0 && test->cgroup_id != 0;
}

static bool has_own_pid_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != PID_NAMESPACE_INIT;
}

/* Field 22 of the own stat; 0 = not known. */
static uint64_t own_start_ticks(void)
{
	_cleanup_close_ int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *field;

	if (len < 0)
		return 0;
	text[len] = '\0';
	field = strrchr(text, ')'); /* the name may hold anything */
	for (int number = 2; field && number < 22; number++)
		field = strchr(field + 1, ' ');
	return field ? strtoull(field + 1, NULL, 10) : 0;
}

static bool is_child(const struct self_test *test, const struct crier_wire_task *task)
{
	if (!test->own_namespace)
		return task->pid == (uint32_t)test->child;
	/* others have children of this number too, but not of a parent that started when crier did */
	return task->vpid == (uint32_t)test->child &&
	       task->parent_start_boottime_ns / TICK_NS == test->own_start_ticks;
}

/* The event that an own record proves; CRIER_PROBE_EVENT_COUNT for a record that is not the test's. */
static unsigned own_event(const struct self_test *test, const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;
	if (header->type == CRIER_WIRE_CGROUP_MKDIR && test->cgroup_id &&
	    header->cgroup_id == test->cgroup_id)
		return CRIER_PROBE_CGROUP_MKDIR;
	if (header->type == CRIER_WIRE_CGROUP_RMDIR && test->cgroup_id &&
	    header->cgroup_id == test->cgroup_id)
		return CRIER_PROBE_CGROUP_RMDIR;
	if (header->type == CRIER_WIRE_EXEC && len >= sizeof(struct crier_wire_exec) &&
	    is_child(test, &((const struct crier_wire_exec *)bytes)->task))
		return CRIER_PROBE_EXEC;
	if (header->type == CRIER_WIRE_FORK && len >= sizeof(struct crier_wire_fork) &&
	    is_child(test, &((const struct crier_wire_fork *)bytes)->child))
		return CRIER_PROBE_FORK;
	if (header->type == CRIER_WIRE_EXIT && len >= sizeof(struct crier_wire_exit) &&
	    is_child(test, &((const struct crier_wire_exit *)bytes)->task))
		return CRIER_PROBE_EXIT;
	if (header->type == CRIER_WIRE_SIGNAL && len >= sizeof(struct crier_wire_signal) &&
	    is_child(test, &((const struct crier_wire_signal *)bytes)->target))
		return CRIER_PROBE_SIGNAL;
	return CRIER_PROBE_EVENT_COUNT;
}

static void take_record(struct self_test *test, const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;
	unsigned event;

	if (len < sizeof(*header))
		return;
	event = own_event(test, bytes, len);
	if (event == CRIER_PROBE_EVENT_COUNT && header->type < 32 &&
	    (test->wanted_mask & (1u << header->type))) {
		test->fn(test->ctx, bytes, len);
		return;
	}
	if (event < CRIER_PROBE_EVENT_COUNT)
		test->proof[event].fired = true;
	if (header->type >= CRIER_WIRE_EXEC && header->ring < CRIER_CLASS_COUNT)
		test->kept.count[header->ring]++;
}

static void take_records(void *ctx, const struct crier_slice *records, size_t count)
{
	for (size_t i = 0; i < count; i++)
		take_record(ctx, records[i].ptr, records[i].len);
}

static bool is_proven(const struct self_test *test, const struct crier_event_report *report)
{
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		if (test->proof[event].tried && !test->proof[event].fired && report[event].served)
			return false;
	return true;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* For kernels whose tasks cannot be walked: by name in the primary hierarchy, which is mounted at `root`. @return 0 = not known */
static uint64_t own_cgroup_by_name(const struct crier_probe *probe, const char *root)
{
	_cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	char text[8192], path[8192];
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *rest = text, *line;
	struct stat st;

	if (len < 0 || !root)
		return 0;
	text[len] = '\0';
	while ((line = strsep(&rest, "\n"))) { /* "4:memory:/path", and "0::/path" for version 2 */
		char *names = strchr(line, ':'), *name = names ? strchr(names + 1, ':') : NULL;
		bool is_primary = name && (probe->skel->rodata->crier_primary_is_v2
						   ? name == names + 1
						   : strncmp(names, ":memory:", strlen(":memory:")) == 0);

		if (is_primary &&
		    (size_t)snprintf(path, sizeof(path), "%s%s", root, name + 1) < sizeof(path) &&
		    stat(path, &st) == 0)
			return st.st_ino;
	}
	return 0;
}

static void take_own_cgroup(void *ctx, const struct crier_wire_seed *seed)
{
	/* the iterator shows the reader's namespace and those below, its own number is the highest one's */
	uint32_t pid = has_own_pid_namespace() ? seed->task.vpid : seed->task.pid;

	if (pid == (uint32_t)getpid() && *(uint64_t *)ctx == 0)
		*(uint64_t *)ctx = seed->task.cgroup_id;
}

/*
 * The child runs in crier's own cgroup, which may be classified as the host's already and so be filtered. Lift that for the
 * time of the test. @return the cgroup to classify again, 0 = none
 */
static uint64_t lift_own_class(struct crier_probe *probe, const char *root, uint32_t *ret_class)
{
	int fd = bpf_map__fd(probe->skel->maps.crier_classes);
	uint64_t cgroup_id = 0;

	if (bpf_map_get_next_key(fd, NULL, &cgroup_id) <
	    0) /* the usual case at start: nothing classified yet */
		return 0;
	cgroup_id = 0;
	if (crier_probe_seed(probe, take_own_cgroup, &cgroup_id) < 0 || cgroup_id == 0)
		cgroup_id = own_cgroup_by_name(probe, root);
	if (cgroup_id == 0)
		return 0;
	if (bpf_map_lookup_elem(fd, &cgroup_id, ret_class) < 0)
		return 0;
	return crier_probe_forget(probe, cgroup_id) == 0 ? cgroup_id : 0;
}

/* Take records until all that was tried is proven, or the time is over. */
static void collect(struct crier_probe *probe, struct self_test *test)
{
	struct pollfd fds[CRIER_CLASS_COUNT];
	uint64_t end = now_ms() + SELF_TEST_LIMIT_MS;

	for (int i = 0; i < CRIER_CLASS_COUNT; i++)
		fds[i] = (struct pollfd){.fd = probe->ring_fds[i], .events = POLLIN};
	do {
		while (crier_probe_drain(probe, SIZE_MAX, take_records, test) > 0)
			;
		if (is_proven(test, probe->choice.report))
			return;
		if (crier_probe_arm(probe, CRIER_ARMED_ANY))
			poll(fds, CRIER_CLASS_COUNT, SELF_TEST_STEP_MS);
	} while (now_ms() < end);
}

int crier_probe_self_test(struct crier_probe *probe, const char *cgroup_dir, crier_probe_record_fn fn,
			  void *ctx, struct crier_probe_proof ret_proof[CRIER_PROBE_EVENT_COUNT],
			  struct crier_probe_kept *ret_kept)
{
	const struct crier_wire_control saved = *crier_probe_control(probe);
	struct crier_wire_control all = saved;
	struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT] = {0};
	struct self_test test = {.proof = proof,
				 .wanted_mask = saved.event_mask,
				 .fn = fn,
				 .ctx = ctx,
				 .own_namespace = has_own_pid_namespace(),
				 .own_start_ticks = own_start_ticks()};
	uint32_t own_class = 0;
	uint64_t own_cgroup = lift_own_class(probe, cgroup_dir, &own_class);

	all.event_mask = UINT32_MAX;
	all.bulk_rate = 0;
	crier_probe_set_control(probe, &all);
	if (counts_as_host())
		provoke_process(&test);
	provoke_cgroup(&test, cgroup_dir);
	collect(probe, &test);
	crier_probe_set_control(probe, &saved);
	if (own_cgroup &&
	    crier_probe_classify(probe, own_cgroup, (enum crier_wire_cgroup_class)own_class) < 0)
		crier_probe_forget(probe, own_cgroup);
	memcpy(ret_proof, proof, sizeof(proof));
	*ret_kept = test.kept;
	return test.child < 0 ? -EAGAIN : 0;
}
