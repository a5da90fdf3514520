// A preloaded library that lets the kernel seem to refuse chosen BPF programs, or to take them and never run them: faults of
// kernels that are not at hand. CRIER_BPF_FAULTS is "PROGRAM:load=ERRNO,PROGRAM:attach=ERRNO,PROGRAM:silent,..."; PROGRAM "*calls*":
// each that calls functions of the kernel.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_MAX_KERNEL (BPF_OBJ_NAME_LEN - 1)
#define FDS_MAX		1024

static char names[FDS_MAX][BPF_OBJ_NAME_LEN]; // of the program behind a descriptor

// The program that a rule names, or the second one of its hook ("_2"). The kernel keeps the first 15 bytes of a name.
static bool is_named(const char *program, const char *rule, size_t len)
{
	char second[BPF_OBJ_NAME_LEN];

	snprintf(second, sizeof(second), "%.*s_2", (int)len, rule);
	return (strncmp(rule, program, len) == 0 && strlen(program) == len) || strcmp(second, program) == 0;
}

// The fault's text behind "PROGRAM:"; NULL without one.
static const char *fault_of(const char *program)
{
	const char *rule = getenv("CRIER_BPF_FAULTS");

	for (; rule && *rule && *program; rule = strchr(rule, ',') ? strchr(rule, ',') + 1 : NULL) {
		const char *colon = strchr(rule, ':');
		size_t len = colon ? (size_t)(colon - rule) : 0;

		if (len > NAME_MAX_KERNEL)
			len = NAME_MAX_KERNEL;
		if (colon && is_named(program, rule, len))
			return colon + 1;
	}
	return NULL;
}

static bool calls_kernel(const union bpf_attr *attr)
{
	const struct bpf_insn *insns = (const void *)(uintptr_t)attr->insns;

	for (unsigned i = 0; i < attr->insn_cnt; i++)
		if (insns[i].code == (BPF_JMP | BPF_CALL) && insns[i].src_reg == BPF_PSEUDO_KFUNC_CALL)
			return true;
	return false;
}

// > 0: the errno of a fault of this kind
static int error_of(const char *fault, const char *kind)
{
	size_t len = strlen(kind);

	return fault && strncmp(fault, kind, len) == 0 && fault[len] == '=' ? atoi(fault + len + 1) : 0;
}

static long attach(long result, const char *fault)
{
	int null;

	if (result < 0 || !fault || strncmp(fault, "silent", 6) != 0)
		return result;
	// The descriptor is all that holds the link: with another file in its place the program is detached.
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup3(null, (int)result, O_CLOEXEC);
	close(null);
	return result;
}

long syscall(long number, ...)
{
	static long (*real)(long, ...);
	union bpf_attr *attr;
	const char *fault;
	long a[6], result;
	va_list args;
	unsigned fd;

	if (!real)
		real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number != SYS_bpf)
		return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	attr = (union bpf_attr *)a[1];
	switch ((int)a[0]) {
	case BPF_PROG_LOAD:
		fault = fault_of(calls_kernel(attr) ? "*calls*" : attr->prog_name);
		if (!fault)
			fault = fault_of(attr->prog_name);
		if (error_of(fault, "load")) {
			errno = error_of(fault, "load");
			return -1;
		}
		result = real(number, a[0], a[1], a[2]);
		if (result >= 0 && result < FDS_MAX)
			memcpy(names[result], attr->prog_name, sizeof(names[result]));
		return result;
	case BPF_RAW_TRACEPOINT_OPEN:
	case BPF_LINK_CREATE:
		fd = (int)a[0] == BPF_LINK_CREATE ? attr->link_create.prog_fd : attr->raw_tracepoint.prog_fd;
		fault = fd < FDS_MAX ? fault_of(names[fd]) : NULL;
		if (error_of(fault, "attach")) {
			errno = error_of(fault, "attach");
			return -1;
		}
		return attach(real(number, a[0], a[1], a[2]), fault);
	default: return real(number, a[0], a[1], a[2]);
	}
}
