/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Every difference between kernels 5.10 and 7.x that the programs meet, and the sign it is told by: a CO-RE
 * question where BTF answers it, a read-only flag that user space sets from BTF where it does not.
 * Never a version number: distributions carry fixes back (5.10.262 has mark_victim(task) of 6.8).
 */
#ifndef CRIER_BPF_COMPAT_H
#define CRIER_BPF_COMPAT_H

#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define crier_inline static __always_inline

/*
 * A field of a kernel structure. direct (always a compile-time constant): a plain load through a pointer
 * whose type the verifier knows (tp_btf, fentry, iterators; 1-2 ns, NULL reads as 0); otherwise a probe read.
 */
#define crier_get(direct, p, field) ((direct) ? (p)->field : BPF_CORE_READ(p, field))

/*
 * True if the pointer is not NULL. By hand, since clang computes a stored truth value as (p | -p) >> 63, and the
 * verifier prohibits that on pointers.
 */
crier_inline bool crier_is_set(const void *p)
{
	__u64 set = 0;

	asm volatile("if %1 == 0 goto +1; %0 = 1" : "+r"(set) : "r"(p));
	return set;
}

/*
 * Keeps a masked value in one register: clang would mask one copy and index with another, whose bounds the verifier
 * (before 6.x at least) does not know.
 */
#define crier_keep_bounds(value) asm volatile("" : "+r"(value))

/*
 * Tracepoints run their programs with preemption on since 7.0 (a46023d5616e). A task that comes in between and meets the same
 * tracepoint on that CPU finds the program taken, and its event is lost: nothing but a recursion miss tells of it (seen on
 * 7.3: ends of processes that one OOM killed together). So exec, fork and exit switch it off as their first step: others meet under
 * a lock, or (reclaim) tell hints. User space puts a call of the kernel's function where the mark stands, if the kernel
 * has it (6.10+); else the mark does nothing. No __ksym: with one, libbpf loads nothing where the kernel has no BTF.
 * Where a task is due to be preempted it now is when the program switches it on again, and still inside of it. So there each of
 * these events passes a second program, which tells what the first was turned away from.
 */
#define crier_call_here(mark)                                                                                \
	asm volatile("r0 = %0" : : "i"(mark) : "r0", "r1", "r2", "r3", "r4", "r5", "memory")

#define crier_unpreempted(call)                                                                              \
	({                                                                                                   \
		int unpreempted_result;                                                                      \
                                                                                                             \
		crier_call_here(CRIER_MARK_PREEMPT_DISABLE);                                                 \
		unpreempted_result = (call);                                                                 \
		crier_call_here(CRIER_MARK_PREEMPT_ENABLE);                                                  \
		unpreempted_result;                                                                          \
	})

/*
 * The same pointer, by bpf_rdonly_cast where the kernel has it (6.2+): to be read through, not to be trusted. From 6.13 to 6.18
 * the verifier searches all of BTF by name, up to four times, for each load of a pointer through a trusted one: a
 * millisecond of start-up, again for each path that leads to the load. The call itself costs nothing: it is made a move.
 */
#define crier_readable(name, p)                                                                              \
	({                                                                                                   \
		struct name *readable_p;                                                                     \
                                                                                                             \
		asm volatile("r1 = %1; r2 = %2; r0 = %3; r0 = r1; %0 = r0"                                   \
			     : "=r"(readable_p)                                                              \
			     : "r"((void *)(p)), "i"(CRIER_MARK_TYPE + CRIER_READABLE_##name),               \
			       "i"(CRIER_MARK_RDONLY_CAST)                                                   \
			     : "r0", "r1", "r2", "r3", "r4", "r5");                                          \
		readable_p;                                                                                  \
	})

/*
 * Set by user space before the load, from BTF; the verifier then drops the branch not taken, which may hold
 * an access that this kernel would refuse.
 */
/* sched_process_exit(task, group_dead): 6.16. Sign: parameters of typedef btf_trace_sched_process_exit. */
extern const volatile bool crier_exit_has_group_dead;
/* Each exec, fork and exit passes a second program: 7.0+, see crier_unpreempted. */
extern const volatile bool crier_has_second;
/* The primary hierarchy (its ids key the class map). */
extern const volatile bool crier_primary_is_v2;
extern const volatile __u32 crier_primary_hierarchy_id;
/* The kernel's page size: arm64 has 4, 16 and 64 KiB. */
extern const volatile __u32 crier_page_size;

/*
 * The index of the memory controller in css_set.subsys[] depends on the configuration; without
 * CONFIG_MEMCG the enum has no such value. 0xffff then.
 */
crier_inline __u32 crier_memory_subsys(void)
{
	if (!bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		return 0xffff;
	return (__u32)bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
}

/*
 * subsys[memory] of a css_set or a cgroup; NULL without the controller. The index is a constant to the verifier
 * (which takes no other into a BTF pointer), not to clang.
 */
#define crier_memory_css(direct, holder)                                                                     \
	({                                                                                                   \
		__u32 css_index = crier_memory_subsys();                                                     \
		struct cgroup_subsys_state *css_found = NULL, **css_all = (void *)&(holder)->subsys;         \
                                                                                                             \
		if (css_index == 0xffff)                                                                     \
			css_found = NULL;                                                                    \
		else if (direct)                                                                             \
			css_found = css_all[css_index];                                                      \
		else                                                                                         \
			bpf_probe_read_kernel(&css_found, sizeof(css_found), &css_all[css_index]);           \
		css_found;                                                                                   \
	})

/* memory_events_local[MEMCG_OOM]; by probe read: a css pointer cannot be cast for the verifier before 6.2. */
crier_inline __u64 crier_memcg_oom_count(struct mem_cgroup *memcg)
{
	__u32 index = (__u32)bpf_core_enum_value(enum memcg_memory_event, MEMCG_OOM);
	__s64 count = 0;

	bpf_probe_read_kernel(&count, sizeof(count), (__s64 *)&memcg->memory_events_local + index);
	return (__u64)count;
}

/*
 * mm->rss_stat: struct mm_rss_stat of atomics until 6.1, then struct percpu_counter[] (f1a7941243c1, 6.2), whose
 * `count` lacks what still lies in per-CPU parts. A third shape gives 0, and hiwater_rss remains. The former by probe
 * read: the verifier of 5.10 finds no struct in an array of a typedef.
 */
struct mm_rss_stat___atomic {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___atomic {
	struct mm_rss_stat___atomic rss_stat;
} __attribute__((preserve_access_index));

struct percpu_counter___percpu {
	__s64 count;
} __attribute__((preserve_access_index));

struct mm_struct___percpu {
	struct percpu_counter___percpu rss_stat[4];
} __attribute__((preserve_access_index));

/* `member` is a literal: CO-RE takes the stride of the kernel's own type. */
#define crier_mm_counter(direct, mm, member)                                                                 \
	({                                                                                                   \
		struct mm_struct___percpu *mm_p = (void *)(mm);                                              \
		struct mm_struct___atomic *mm_a = (void *)(mm);                                              \
		__s64 mm_value = 0;                                                                          \
                                                                                                             \
		if (bpf_core_field_exists(mm_p->rss_stat[member].count))                                     \
			mm_value = crier_get(direct, mm_p, rss_stat[member].count);                          \
		else if (bpf_core_field_exists(mm_a->rss_stat.count[member].counter))                        \
			mm_value = BPF_CORE_READ(mm_a, rss_stat.count[member].counter);                      \
		mm_value > 0 ? (__u64)mm_value : 0;                                                          \
	})

/*
 * pid->numbers[] was declared [1] until 6.4 and [] since (b69f0aeb0689): a BTF load behind the first entry is
 * refused on the former, so it is always a probe read. Stride of the running kernel.
 */
crier_inline __u32 crier_pid_number(struct pid *pid, __u32 level)
{
	__u32 offset = bpf_core_field_offset(struct pid, numbers) + level * bpf_core_type_size(struct upid);
	int nr = 0;

	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)pid + offset);
	return (__u32)nr;
}

/* Handler of a signal; the index is not constant, so no BTF load. */
crier_inline __u64 crier_signal_handler(struct sighand_struct *sighand, __u32 signal)
{
	__u32 offset = bpf_core_field_offset(struct sighand_struct, action) +
		       (signal - 1) * bpf_core_type_size(struct k_sigaction) +
		       bpf_core_field_offset(struct k_sigaction, sa.sa_handler);
	__u64 handler = 0;

	bpf_probe_read_kernel(&handler, sizeof(handler), (void *)sighand + offset);
	return handler;
}

/* bpf_get_current_task_btf() came with 5.11 (3ca1032ab7ab). Sign: its number in enum bpf_func_id. */
enum bpf_func_id___compat {
	BPF_FUNC_get_current_task_btf___compat = 158,
};

#define crier_has_current_btf()                                                                              \
	bpf_core_enum_value_exists(enum bpf_func_id___compat, BPF_FUNC_get_current_task_btf___compat)

/* First argument of a kprobed function. */
#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long di;
} __attribute__((preserve_access_index));
#define crier_kprobe_arg1(ctx) ((ctx)->di)
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	__u64 regs[31];
} __attribute__((preserve_access_index));
#define crier_kprobe_arg1(ctx) ((ctx)->regs[0])
#else
#error "x86-64 and arm64 only"
#endif

#endif
