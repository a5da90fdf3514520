/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Kernel structures, only the fields that are read. preserve_access_index makes each access a CO-RE
 * relocation by name, so order, size and missing neighbours do not matter; a local size never matters
 * either: strides of arrays are taken from the running kernel (bpf_core_type_size).
 * What differs between kernels is in compat.h, not here.
 */
#ifndef CRIER_BPF_KERNEL_TYPES_H
#define CRIER_BPF_KERNEL_TYPES_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__s64 counter;
} atomic64_t;

typedef atomic64_t atomic_long_t;

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct list_head {
	struct list_head *next, *prev;
};

/* control groups */

enum cgroup_subsys_id {
	memory_cgrp_id = 4, /* the value here is never used: CO-RE puts in the kernel's */
};

enum memcg_memory_event {
	MEMCG_OOM = 3, /* as above */
};

struct kernfs_node {
	const char *name;
	__u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	__u64 serial_nr; /* css_serial_nr_next++ at creation: rises over all subsystems and hierarchies */
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_subsys_state *subsys[1];
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct page_counter {
	atomic_long_t usage;
	unsigned long watermark;
	unsigned long max;
};

struct mem_cgroup {
	struct cgroup_subsys_state css; /* first member in every kernel: a css pointer is a memcg pointer */
	struct page_counter memory;
	union {
		struct page_counter swap;  /* v2 */
		struct page_counter memsw; /* v1 */
	};
	bool oom_group;
	atomic_long_t memory_events_local[1];
};

/* tasks */

struct cred {
	kuid_t euid;
};

struct upid {
	int nr;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct sigaction {
	void *sa_handler;
};

struct k_sigaction {
	struct sigaction sa;
};

struct sighand_struct {
	struct k_sigaction action[1];
};

struct mm_struct {
	unsigned long hiwater_rss;
	unsigned long total_vm;
	unsigned long arg_start, arg_end;
	atomic_long_t pgtables_bytes;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	struct list_head thread_head;
	int group_exit_code;
	unsigned int flags;
	__u64 utime;
	__u64 stime;
	unsigned long maxrss;
	unsigned long long sum_sched_runtime;
	short oom_score_adj;
	struct mm_struct *oom_mm;
};

struct sched_entity {
	__u64 sum_exec_runtime;
};

struct task_struct {
	unsigned int flags;
	struct sched_entity se;
	struct mm_struct *mm;
	int exit_code;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct list_head thread_node;
	struct pid *thread_pid;
	__u64 utime;
	__u64 stime;
	__u64 start_boottime;
	const struct cred *real_cred;
	char comm[16];
	struct signal_struct *signal;
	struct sighand_struct *sighand;
	sigset_t blocked;
	sigset_t real_blocked;
	struct css_set *cgroups;
};

struct kernel_siginfo {
	int si_code;
};

struct linux_binprm {
	int argc;
	const char *filename;
};

enum oom_constraint {
	CONSTRAINT_NONE,
	CONSTRAINT_CPUSET,
	CONSTRAINT_MEMORY_POLICY,
	CONSTRAINT_MEMCG,
};

struct oom_control {
	struct mem_cgroup *memcg;
	unsigned long totalpages;
	struct task_struct *chosen;
	enum oom_constraint constraint; /* an int would not do: CO-RE matches kinds */
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

#pragma clang attribute pop

/* Constants that no BTF tells; each unchanged from 5.10 to 7.3. */
#define PF_EXITING	  0x00000004 /* include/linux/sched.h */
#define PF_FORKNOEXEC	  0x00000040
#define PF_KTHREAD	  0x00200000
#define SIGNAL_GROUP_EXIT 0x00000004 /* include/linux/sched/signal.h */

#define SIGNAL_DELIVERED 0 /* include/trace/events/signal.h: TRACE_SIGNAL_DELIVERED */
#define SIGNAL_IGNORED	 1

/* enum in include/linux/mm_types_task.h, anonymous: nothing for CO-RE to find */
#define MM_FILEPAGES  0
#define MM_ANONPAGES  1
#define MM_SWAPENTS   2
#define MM_SHMEMPAGES 3

#endif
