/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls a running crier needs. Others fail with EPERM, as if the rights were missing; clone3 with ENOSYS, so that
 * libc uses clone, whose flags a filter can see. Not among them: execve, ptrace, mount, module loading, bpf(2) but for maps that
 * are there, sockets but for unix ones, pages that are executable.
 */
#include "calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "crier/harden.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "x86-64 and arm64 only"
#endif

static const uint16_t allowed[] = {
	/* what the loop does most */
	SYS_epoll_pwait,
	SYS_read,
	SYS_write,
	SYS_writev,
	SYS_pwritev2, /* to stdout, not to wait */
	SYS_futex,
	SYS_timerfd_settime,
	SYS_clock_gettime,
	SYS_close,
	SYS_openat,
	SYS_fstat,
	SYS_newfstatat,
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_lseek,
	SYS_pread64,
	SYS_getdents64,
	SYS_readlinkat,
	SYS_faccessat,
	SYS_ppoll,
	SYS_getrusage,
	SYS_inotify_add_watch,
	SYS_inotify_rm_watch,
	/* memory and threads */
	SYS_munmap,
	SYS_mremap,
	SYS_brk,
	SYS_madvise,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_sched_yield,
	SYS_sched_getaffinity,
	SYS_sched_getparam, /* these two: of contended mutexes in a library of gRPC's */
	SYS_sched_getscheduler,
	SYS_set_robust_list,
	SYS_set_tid_address,
	SYS_gettid,
	SYS_getpid,
	SYS_tgkill,
	SYS_exit,
	SYS_exit_group,
	SYS_restart_syscall,
	SYS_nanosleep,
	SYS_clock_nanosleep,
	SYS_getrandom,
	SYS_membarrier,
	SYS_rseq,
	SYS_getcpu,
	SYS_gettimeofday,
	SYS_clock_getres,
	SYS_uname,
	SYS_sysinfo,
	SYS_prlimit64,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_getppid,
	/* descriptors */
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_eventfd2,
	SYS_timerfd_create,
	SYS_pipe2,
	SYS_fcntl,
	SYS_dup,
	SYS_dup3,
	SYS_statx,
	SYS_fstatfs,
	SYS_statfs,
	SYS_readv,
	SYS_openat2,
	SYS_name_to_handle_at, /* a cgroup by its id */
	SYS_open_by_handle_at,
	/* the state file and the recording */
	SYS_mkdirat,
	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_ftruncate,
	SYS_fsync,
	SYS_fdatasync,
	SYS_pwrite64,
	/* unix sockets; socket(2) itself below */
	SYS_connect,
	SYS_sendto,
	SYS_recvfrom,
	SYS_shutdown,
	SYS_getsockopt,
	SYS_setsockopt,
	SYS_getsockname,
	SYS_getpeername,
#if defined(__x86_64__)
	SYS_epoll_wait,
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_readlink,
	SYS_poll,
	SYS_unlink,
	SYS_rename,
	SYS_mkdir,
	SYS_time,
	SYS_pipe,
	SYS_dup2,
	SYS_epoll_create,
	SYS_eventfd,
#endif
#ifdef SYS_faccessat2
	SYS_faccessat2,
#endif
#ifdef SYS_epoll_pwait2
	SYS_epoll_pwait2,
#endif
};

#define FAIL(code) (SECCOMP_RET_ERRNO | ((code)&SECCOMP_RET_DATA))
#define ARGUMENT(n)                                                                                          \
	((uint32_t)(offsetof(struct seccomp_data, args) +                                                    \
		    (n) * sizeof(uint64_t))) /* low half, little-endian */

#define PROGRAM_MAX 384

struct program {
	struct sock_filter code[PROGRAM_MAX];
	unsigned len;
	bool is_full;
};

static void put(struct program *program, uint16_t code, uint8_t jump_true, uint8_t jump_false, uint32_t k)
{
	if (program->len == PROGRAM_MAX) {
		program->is_full = true;
		return;
	}
	program->code[program->len++] = (struct sock_filter){code, jump_true, jump_false, k};
}

static void load(struct program *program, uint32_t offset)
{
	put(program, BPF_LD | BPF_W | BPF_ABS, 0, 0, offset);
}

static void answer(struct program *program, uint32_t verdict)
{
	put(program, BPF_RET | BPF_K, 0, 0, verdict);
}

/* The number is in the accumulator. */
static void allow(struct program *program, uint32_t number)
{
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number);
	answer(program, SECCOMP_RET_ALLOW);
}

/* Allowed when the argument is one of `values`; the number is loaded again for who comes next. */
static void allow_values(struct program *program, uint32_t number, unsigned argument, const uint32_t *values,
			 unsigned count)
{
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(2 * count + 2), number);
	load(program, ARGUMENT(argument));
	for (unsigned i = 0; i < count; i++) {
		put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, values[i]);
		answer(program, SECCOMP_RET_ALLOW);
	}
	answer(program, FAIL(EPERM));
}

/* Allowed when of `mask` exactly `value` is set in the argument. */
static void allow_masked(struct program *program, uint32_t number, unsigned argument, uint32_t mask,
			 uint32_t value)
{
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 5, number);
	load(program, ARGUMENT(argument));
	put(program, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value);
	answer(program, SECCOMP_RET_ALLOW);
	answer(program, FAIL(EPERM));
}

static void build(struct program *program)
{
	static const uint32_t map_commands[] = {BPF_MAP_LOOKUP_ELEM, BPF_MAP_UPDATE_ELEM, BPF_MAP_DELETE_ELEM,
						BPF_MAP_GET_NEXT_KEY, BPF_OBJ_GET_INFO_BY_FD};
	static const uint32_t unix_only[] = {AF_UNIX};
	static const uint32_t names[] = {PR_SET_NAME, PR_GET_NAME};
	static const uint32_t terminal[] = {0x5401 /* TCGETS */, 0x5421 /* FIONBIO */, 0x541b /* FIONREAD */};
	const uint32_t threads = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND;

	load(program, offsetof(struct seccomp_data, arch));
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OWN_ARCH);
	answer(program, SECCOMP_RET_KILL_PROCESS); /* numbers of another table */
	load(program, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		allow(program, allowed[i]);
	put(program, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3);
	answer(program, FAIL(ENOSYS));
	allow_values(program, SYS_bpf, 0, map_commands, sizeof(map_commands) / sizeof(map_commands[0]));
	allow_values(program, SYS_socket, 0, unix_only, 1);
	allow_values(program, SYS_socketpair, 0, unix_only, 1);
	allow_values(program, SYS_prctl, 0, names, sizeof(names) / sizeof(names[0]));
	allow_values(program, SYS_ioctl, 1, terminal, sizeof(terminal) / sizeof(terminal[0]));
	allow_masked(program, SYS_clone, 0, threads, threads);
	allow_masked(program, SYS_mmap, 2, PROT_EXEC, 0);
	allow_masked(program, SYS_mprotect, 2, PROT_EXEC, 0);
	answer(program, FAIL(EPERM));
}

int crier_harden_calls(bool log)
{
	static struct program program; /* too large for a small stack; built once */
	struct sock_fprog fprog;
	long r;

	program.len = 0;
	build(&program);
	if (program.is_full)
		return -E2BIG;
	fprog = (struct sock_fprog){.len = (unsigned short)program.len, .filter = program.code};
	r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		    SECCOMP_FILTER_FLAG_TSYNC | (log ? SECCOMP_FILTER_FLAG_LOG : 0), &fprog);
	if (r > 0)
		return -EBUSY; /* a thread has a filter of its own */
	return r < 0 ? -errno : 0;
}

bool crier_harden_has_seccomp(void)
{
	uint32_t action = SECCOMP_RET_ERRNO;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}
