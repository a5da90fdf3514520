/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the kernel side share: an opened probe with its records, cgroups of the test's own, children
 * that wait in one until told to go, and checks that end a test with a reason.
 */
#ifndef CRIER_TESTS_BPF_HARNESS_H
#define CRIER_TESTS_BPF_HARNESS_H

#include "crier/probe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

struct test_case {
	const char *name;
	void (*run)(void);
	bool needs_root;
};

extern const struct test_case process_tests[], second_tests[], signal_tests[], cgroup_tests[], oom_tests[],
	loss_tests[], open_tests[], load_tests[], old_kernel_tests[], keys_tests[];

/* End the running test. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_check_failed(const char *file, int line, const char *condition, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define CHECK(condition, ...)                                                                                \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			test_check_failed(__FILE__, __LINE__, #condition, "; " __VA_ARGS__);                 \
	} while (0)

#define CHECK_EQ(a, b)                                                                                       \
	do {                                                                                                 \
		long long check_a = (long long)(a), check_b = (long long)(b);                                \
                                                                                                             \
		if (check_a != check_b)                                                                      \
			test_fail(__FILE__, __LINE__, "%s is %lld, expected %s = %lld", #a, check_a, #b,     \
				  check_b);                                                                  \
	} while (0)

/* How a probe is opened; zero = the defaults in brackets. */
struct setup {
	bool is_quiet;		 /* every cgroup there at start is classified as the host's */
	bool is_v1;		 /* the v1 memory hierarchy is the primary one; skips where there is none */
	uint8_t forced_kinds;	 /* for every event that has such a hook */
	uint8_t oom_kinds;	 /* for the OOM record alone */
	uint32_t bulk_bytes;	 /* [1 MiB] */
	uint32_t critical_bytes; /* [256 KiB] */
	uint32_t class_entries;	 /* [4096] */
	bool has_seconds;	 /* as on a kernel that preempts programs at tracepoints */
	struct crier_wire_control control; /* event_mask [all] */
};

extern struct crier_probe *probe; /* the one open probe */

/* Open, attach, seed. */
void setup_open(const struct setup *setup);
/* Detach, take what is left, check the sums of the counters, free. */
void setup_close(void);
void setup_options(const struct setup *setup, struct crier_probe_options *options);

/* records */

struct record {
	union {
		const struct crier_wire_header *header;
		const struct crier_wire_cgroup_mkdir *mkdir;
		const struct crier_wire_cgroup_populated *populated;
		const struct crier_wire_pressure_hint *hint;
		const struct crier_wire_exec *exec;
		const struct crier_wire_fork *fork;
		const struct crier_wire_exit *exit;
		const struct crier_wire_signal *signal;
		const struct crier_wire_oom *oom;
		const char *bytes;
	};
};

extern struct record *records;
extern size_t record_count;

void records_drain(void);
void records_clear(void);
/* Records of a type about a process (pid 0: any) and a cgroup (0: any), drained up to now. */
size_t records_count(unsigned type, uint32_t pid, uint64_t cgroup_id);
/* The first of them, waited for up to two seconds; fails the test if there is none. */
const struct record *records_need(unsigned type, uint32_t pid, uint64_t cgroup_id);
const struct crier_wire_counters *counters_now(void);
/* While the programs run. */
void set_event_mask(uint32_t mask);

/* cgroups and children */

struct box {
	char memory[256];  /* directory in the memory hierarchy */
	char unified[256]; /* in v2; on a pure v2 system the same directory */
	uint64_t memory_id, unified_id;
	uint64_t id; /* in the open probe's primary hierarchy */
};

/* parent NULL: below the root. Removed, with what runs in it, at the end of the test. */
struct box *box_make(const struct box *parent, const char *name);
void box_remove(struct box *box);
void box_limit(const struct box *box, uint64_t bytes);
bool has_v1_memory(void);
bool has_v2(void);

struct child {
	pid_t pid;
	int go_fd;
	int status; /* as waitpid tells it, once waited for */
	struct rusage usage;
};

typedef int (*child_fn)(void *arg);

/* Fork into the box (NULL: stay) and wait there; child_go() lets it call fn and exit with its result. */
struct child child_start(const struct box *box, child_fn fn, void *arg);
/* The same as pid 1 of a new pid namespace; .pid is the host's. */
struct child child_start_init(const struct box *box, child_fn fn, void *arg);
void child_go(struct child *child);
int child_wait(struct child *child);
int child_run(const struct box *box, child_fn fn, void *arg, struct child *ret_child);

/* Bodies for children */
int body_exit(void *code);
int body_pause(void *arg);
int body_hog(void *mib); /* touch that much memory, then pause; NULL: for ever */

/* Argument by which the test program, executed by a child, touches 48 MiB, gives them back and ends. */
#define SELF_GROW_AND_SHRINK "--grow-and-shrink"

void write_file(const char *dir, const char *file, const char *text);
uint64_t now_ns(void); /* CLOCK_BOOTTIME */
void sleep_ms(unsigned ms);
/* Make sure a child reached pause() or another sleep. */
void wait_asleep(pid_t pid);

#endif
