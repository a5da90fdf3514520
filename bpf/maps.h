/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What the programs share with each other and with user space. Defined once, in maps.bpf.c. */
#ifndef CRIER_BPF_MAPS_H
#define CRIER_BPF_MAPS_H

#include "compat.h"
#include "crier/wire.h"

#ifdef CRIER_BPF_MAPS_OWNER
#define crier_map
#else
#define crier_map extern
#endif

/*
 * css serial number of the first cgroup made while the mkdir program was attached; 0 = none yet. A memory
 * cgroup with a greater one was made under our eyes, so its OOM count is known to have started at 0. .bss
 */
extern __u64 crier_first_serial;
/* A memory cgroup's OOM count could not be kept: from now on an unseen one is unknown. .bss */
extern __u32 crier_oom_counts_incomplete;

/* Sizes marked 1 here are set by user space before the load. */

crier_map struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} crier_ring_bulk SEC(".maps");

crier_map struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} crier_ring_critical SEC(".maps");

/* cgroup id -> enum crier_wire_cgroup_class */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} crier_classes SEC(".maps");

/* tgid of a container's init -> its start_boottime, 0 = not known: whoever gets the pid later is no init */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} crier_inits SEC(".maps");

/* cgroup id -> its buckets. One entry for all CPUs, see budget.h. */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct crier_wire_budget);
} crier_budgets SEC(".maps");

/*
 * Control and CPUs, see wire.h. Not a per-CPU map, not .data: those would be three pages. Mapped, it begins with a page.
 */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct crier_wire_slot);
} crier_shared SEC(".maps");

/* A process, safe against pid reuse. */
struct crier_process_key {
	__u64 start_boottime_ns;
	__u32 pid;
	__u32 zero;
};

/* Processes whose OOM kill was told: mark_victim fires once per task. */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct crier_process_key);
	__type(value, __u64);
} crier_oom_told SEC(".maps");

/* Processes whose exit was told; used only where the kernel has no group_dead argument. */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct crier_process_key);
	__type(value, __u64);
} crier_exit_told SEC(".maps");

/* Tasks in the midst of an event that the first of two programs has seen: process.bpf.c. */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u8);
} crier_seen SEC(".maps");

/* Sum over the threads of an ending process. */
struct crier_cpu_times {
	__u64 user_ns;
	__u64 system_ns;
	__u64 total_ns;
};

crier_map struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct crier_cpu_times);
} crier_exit_times SEC(".maps");

/* Last seen OOM count of a memory cgroup, by css serial number (ids of cgroups can come back, these cannot). */
struct crier_oom_count {
	__u64 seen;	/* memory_events_local[MEMCG_OOM] when last looked at */
	__u64 previous; /* and before that: a kill of several processes reports the same rise for each */
	__u64 seen_ns;
	__u32 trigger_tid;
	__u32 zero;
};

crier_map struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct crier_oom_count);
} crier_oom_counts SEC(".maps");

/* What oom_kill_process was called with, by the calling task; mark_victim of the same task takes it. */
struct crier_oom_context {
	__u64 at_ns;
	__u64 chosen; /* struct task_struct * */
	__u64 limit_cgroup_id;
	__u64 total_pages;
	__u64 victim; /* struct task_struct *: whom mark_oom_victim was called with last, 0 = not hooked */
	__u32 flags;  /* CRIER_OOM_* */
	__u32 zero;
};

crier_map struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct crier_oom_context);
} crier_oom_contexts SEC(".maps");

/*
 * Processes that the OOM killer has just sent SIGKILL, by the time of it. The victim may run on another CPU before it is marked,
 * and from 6.16 on, where its exit is told before its memory goes, be told as a death by signal (seen: 1 in 50).
 */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct crier_process_key);
	__type(value, __u64);
} crier_oom_doomed SEC(".maps");

/* memory cgroup id -> time of the last pressure hint */
crier_map struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u64);
} crier_hinted SEC(".maps");

/* Where an exec record is put together: the BPF stack has 512 bytes. Twice the record's size bounds every
 * masked offset plus length (see exec in process.bpf.c). One program uses it, and none re-enters itself. */
struct crier_exec_scratch {
	struct crier_wire_exec record;
	__u8 tail[8192 - sizeof(struct crier_wire_exec)];
};

crier_map struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct crier_exec_scratch);
} crier_scratch SEC(".maps");

#endif
