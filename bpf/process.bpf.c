// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Processes: exec, fork, exit. A host process costs its cgroup id, one look-up and two counts. */
#include "helpers.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

/* Threads whose times are added up when a process ends; a process with more tells a little less CPU time. */
#define CRIER_THREADS_MAX 64

/*
 * From 7.0 on each event passes two programs (see crier_unpreempted): a first, which leaves a note that it was there, and a
 * second, which takes the note away and tells the event itself where there is none. What is filtered is counted by the first.
 * @param second  which of the two this is; @param task  whom the event is about: in the midst of one at a time
 */
crier_inline bool crier_was_seen(const bool second, struct task_struct *task)
{
	__u64 key = (__u64)task;
	__u8 seen = 1;

	if (!crier_has_second)
		return false;
	if (second)
		return bpf_map_delete_elem(&crier_seen, &key) == 0;
	bpf_map_update_elem(&crier_seen, &key, &seen, BPF_ANY);
	return false;
}

crier_inline void crier_filter(const bool second, const struct crier_making *making,
			       enum crier_wire_class ring)
{
	if (!second)
		crier_drop_filtered(making->counters, ring);
}

crier_inline bool crier_start(const bool direct, const bool second, struct crier_making *making,
			      struct task_struct *task)
{
	if (!crier_begin(making))
		return false;
	if (crier_is_wanted(making)) {
		making->cgroup_id = crier_task_cgroup_id(direct, task);
		if (crier_class_of(making, making->cgroup_id) != CRIER_CGROUP_HOST)
			return !crier_was_seen(second, task);
	}
	crier_filter(second, making, CRIER_CLASS_BULK);
	return false;
}

/* exec */

/* @return new end of the record's tail */
crier_inline __u32 crier_exec_args(const bool direct, struct crier_exec_scratch *scratch,
				   struct task_struct *task, __u32 end, const struct crier_making *making)
{
	struct mm_struct *mm = crier_get(direct, task, mm);
	__u64 start = crier_get(direct, mm, arg_start);
	__u64 length = crier_get(direct, mm, arg_end) - start;
	__u32 max = crier_control(making, args_max);

	if (!max)
		return end;
	if (max > CRIER_WIRE_ARGS_MAX)
		max = CRIER_WIRE_ARGS_MAX;
	if (length > max) {
		length = max;
		scratch->record.flags |= CRIER_EXEC_ARGS_CUT;
		crier_count(&making->counters->truncated);
	}
	/* both masked: the verifier adds the greatest offset and the greatest length */
	end &= 2047;
	length &= 4095;
	if (bpf_probe_read_user((__u8 *)scratch + end, length, (void *)start)) {
		crier_count(&making->counters->lookup_missed);
		return end;
	}
	scratch->record.args.offset = length ? (__u16)end : 0;
	scratch->record.args.length = (__u16)length;
	end += (__u32)length;
	*(__u64 *)((__u8 *)scratch + (end & 4095)) = 0; /* the pad */
	return (end + 7) & ~7u;
}

/* @return end of the record's tail, a multiple of 8 */
crier_inline __u32 crier_exec_filename(const bool direct, struct crier_exec_scratch *scratch,
				       struct linux_binprm *bprm, struct crier_wire_counters *counters)
{
	long size = bpf_probe_read_kernel_str(scratch->tail, CRIER_WIRE_FILENAME_MAX,
					      crier_get(direct, bprm, filename));
	__u32 length;

	if (size < 1) {
		crier_count(&counters->lookup_missed);
		size = 1;
	}
	if (size == CRIER_WIRE_FILENAME_MAX) {
		scratch->record.flags |= CRIER_EXEC_FILENAME_CUT;
		crier_count(&counters->truncated);
	}
	length = (__u32)(size - 1) & (CRIER_WIRE_FILENAME_MAX - 1);
	scratch->record.filename.offset = length ? sizeof(scratch->record) : 0;
	scratch->record.filename.length = (__u16)length;
	*(__u64 *)(scratch->tail + length) = 0; /* the pad */
	return sizeof(scratch->record) + ((length + 7) & ~7u);
}

/*
 * An exec of a path that is not long, no arguments asked for, not of an init: put together on the stack, which is in the
 * caches as no map's memory is.
 */
#define CRIER_EXEC_PATH_SHORT 128 /* with the NUL; the BPF stack has 512 bytes for all */

struct crier_exec_short {
	struct crier_wire_exec record;
	__u8 path[CRIER_EXEC_PATH_SHORT];
	__u64 pad; /* as far as the verifier of 5.10 thinks a path may go */
};

/* @return false: it does not fit, nothing is told */
crier_inline bool crier_exec_tell_short(const bool direct, struct crier_making *making,
					struct crier_exec_short *made, struct linux_binprm *bprm)
{
	__u32 length, end;
	long size;

	if (making->ring != CRIER_CLASS_BULK || crier_control(making, args_max))
		return false;
	__builtin_memset(made->path, 0, sizeof(made->path));
	made->pad = 0;
	size = bpf_probe_read_kernel_str(made->path, CRIER_EXEC_PATH_SHORT,
					 crier_get(direct, bprm, filename));
	if (size < 1 || size == CRIER_EXEC_PATH_SHORT)
		return false;
	length = (__u32)(size - 1) & (CRIER_EXEC_PATH_SHORT - 1);
	crier_keep_bounds(length);
	made->record.filename.offset = length ? sizeof(made->record) : 0;
	made->record.filename.length = (__u16)length;
	end = sizeof(made->record) + ((length + 7) & ~7u);
	crier_fill_header(making, &made->record.header, end);
	crier_output(making, made, end);
	return true;
}

crier_inline void crier_exec_tell_long(const bool direct, struct crier_making *making,
				       const struct crier_exec_short *made, struct task_struct *task,
				       struct linux_binprm *bprm)
{
	struct crier_exec_scratch *scratch;
	__u32 zero = 0, end;

	scratch = bpf_map_lookup_elem(&crier_scratch, &zero);
	if (!scratch) /* never; the verifier wants it asked */
		return;
	scratch->record = made->record;
	end = crier_exec_filename(direct, scratch, bprm, making->counters);
	end = crier_exec_args(direct, scratch, task, end, making);
	crier_fill_header(making, &scratch->record.header, end);
	crier_output(making, scratch, end & (CRIER_WIRE_RECORD_MAX - 1));
}

crier_inline int crier_exec(const bool direct, const bool second, struct task_struct *task,
			    struct linux_binprm *bprm, __u8 hook)
{
	struct crier_making making = {.type = CRIER_WIRE_EXEC, .ring = CRIER_CLASS_BULK, .hook = hook};
	struct crier_exec_short made;
	__u32 init = 0, pid, vpid;
	struct crier_who who;
	bool is_ns_init;

	if (!crier_start(direct, second, &making, task))
		return 0;
	/* whoever called execve, the leader is what remains (de_thread) */
	who = crier_who(direct, task);
	pid = (__u32)crier_get(direct, task, tgid);
	if (crier_is_known_init(direct, task, pid))
		init = CRIER_TASK_KNOWN_INIT;
	/* a container's start is told by this exec: it must not drown in what the container does later */
	vpid = crier_task_vpid(direct, who.pid, pid, &is_ns_init);
	if (is_ns_init)
		init |= CRIER_TASK_NS_INIT;
	if (init)
		making.ring = CRIER_CLASS_CRITICAL;
	if (!crier_admit(&making))
		return 0;
	__builtin_memset(&made.record.header, 0, sizeof(made.record.header));
	crier_fill_who(direct, &made.record.task, &who, pid, vpid, making.cgroup_id, init);
	made.record.flags = 0;
	made.record.args_count = (__u32)crier_get(direct, bprm, argc);
	made.record.filename.offset = made.record.filename.length = 0;
	made.record.args.offset = made.record.args.length = 0;
	if (!crier_exec_tell_short(direct, &making, &made, bprm))
		crier_exec_tell_long(direct, &making, &made, task, bprm);
	return 0;
}

/* fork */

crier_inline int crier_fork(const bool direct, const bool second, struct task_struct *parent,
			    struct task_struct *child, __u8 hook)
{
	struct crier_making making = {.type = CRIER_WIRE_FORK, .ring = CRIER_CLASS_BULK, .hook = hook};
	__u32 pid = (__u32)crier_get(direct, child, pid);
	struct crier_wire_fork *record;
	struct css_set *set;
	__u64 parent_cgroup_id;

	if (pid != (__u32)crier_get(direct, child, tgid)) /* a thread */
		return 0;
	if (!crier_start(direct, second, &making, child) || !crier_admit(&making))
		return 0;
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	crier_fill_task(direct, &record->child, child, pid, making.cgroup_id, 0);
	/* the same set unless clone3() put the child elsewhere */
	parent_cgroup_id = making.cgroup_id;
	set = crier_get(direct, child, cgroups);
	if (crier_get(direct, parent, cgroups) != set)
		parent_cgroup_id = crier_task_cgroup_id(false, parent);
	crier_fill_task(direct, &record->parent, crier_get(direct, parent, group_leader),
			(__u32)crier_get(direct, parent, pid), parent_cgroup_id, 0);
	crier_fill_header(&making, &record->header, sizeof(*record));
	crier_submit(&making, record);
	return 0;
}

/* exit */

/*
 * True once per thread group. Without the group_dead argument `live` is 0 for every thread that ends together
 * with the last (38,481 times for 20,003 groups, tried): the first to enter the process key wins.
 */
crier_inline bool crier_is_group_dead(const bool direct, struct task_struct *task,
				      struct signal_struct *signal, bool group_dead)
{
	struct crier_process_key key = {};
	struct task_struct *leader;
	__u64 one = 1;

	if (crier_exit_has_group_dead)
		return group_dead;
	if (crier_get(direct, signal, live.counter) != 0)
		return false;
	/* alone, and always was: a reaped thread, which may have been told, leaves its run time behind */
	if (crier_get(direct, signal, nr_threads) == 1 && crier_get(direct, signal, sum_sched_runtime) == 0)
		return true;
	leader = crier_get(direct, task, group_leader);
	key.pid = (__u32)crier_get(direct, task, tgid);
	key.start_boottime_ns = crier_get(direct, leader, start_boottime);
	return bpf_map_update_elem(&crier_exit_told, &key, &one, BPF_NOEXIST) == 0;
}

/*
 * Adds up what the threads of current's group have used that are not reaped yet. A global function: the verifier checks it once
 * instead of on every path that leads here. It may take no kernel pointers before 6.9, hence current.
 */
__noinline int crier_exit_add_threads(void)
{
	struct task_struct *thread, *task = (void *)bpf_get_current_task();
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct list_head *head = (void *)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	struct list_head *node = BPF_CORE_READ(head, next);
	struct crier_cpu_times *times;
	__u32 zero = 0;

	times = bpf_map_lookup_elem(&crier_exit_times, &zero);
	if (!times)
		return 0;
	for (int i = 0; i < CRIER_THREADS_MAX; i++) {
		if (!node || node == head)
			break;
		thread = (void *)node - bpf_core_field_offset(struct task_struct, thread_node);
		times->user_ns += BPF_CORE_READ(thread, utime);
		times->system_ns += BPF_CORE_READ(thread, stime);
		times->total_ns += BPF_CORE_READ(thread, se.sum_exec_runtime);
		node = BPF_CORE_READ(node, next);
	}
	return 0;
}

/*
 * Ends a branch after its loads: clang would else join those of two branches into one load through either pointer, a
 * task or a map value, which the verifier refuses ("same insn cannot be used with different pointers").
 */
#define crier_keep_apart(a, b, c) asm volatile("" : "+r"(a), "+r"(b), "+r"(c))

/*
 * Threads not reaped yet have their times in themselves, reaped ones in signal_struct; one that is reaped in
 * the midst of this is missed. se.sum_exec_runtime of the running task lags by up to one scheduler tick.
 */
crier_inline void crier_fill_times(const bool direct, struct crier_wire_exit *record,
				   struct task_struct *task, struct signal_struct *signal)
{
	__u64 user_ns, system_ns, total_ns;
	struct crier_cpu_times *times;
	__u32 zero = 0;

	if (crier_get(direct, signal, nr_threads) <= 1) {
		user_ns = crier_get(direct, task, utime);
		system_ns = crier_get(direct, task, stime);
		total_ns = crier_get(direct, task, se.sum_exec_runtime);
		crier_keep_apart(user_ns, system_ns, total_ns);
	} else {
		times = bpf_map_lookup_elem(&crier_exit_times, &zero);
		if (!times) { /* never; the verifier wants it asked */
			record->user_ns = record->system_ns = record->cpu_ns = 0;
			return;
		}
		times->user_ns = times->system_ns = times->total_ns = 0;
		crier_exit_add_threads();
		user_ns = times->user_ns;
		system_ns = times->system_ns;
		total_ns = times->total_ns;
		crier_keep_apart(user_ns, system_ns, total_ns);
	}
	record->user_ns = user_ns + crier_get(direct, signal, utime);
	record->system_ns = system_ns + crier_get(direct, signal, stime);
	record->cpu_ns = total_ns + crier_get(direct, signal, sum_sched_runtime);
}

/*
 * signal->maxrss (pages; fs/exec.c and kernel/exit.c, setmax_mm_hiwater_rss) also holds what the process had before
 * its execs. From 6.16 on the tracepoint comes before exit_mm(), and the mm of the last program alone tells.
 */
crier_inline __u64 crier_exit_peak(const bool direct, struct mm_struct *mm, struct signal_struct *signal,
				   bool execed, __u32 *flags)
{
	bool has_mm = crier_is_set(mm);
	__u64 peak = 0, rss;

	if (has_mm) {
		peak = crier_get(direct, mm, hiwater_rss);
		rss = crier_mm_counter(direct, mm, MM_FILEPAGES) +
		      crier_mm_counter(direct, mm, MM_ANONPAGES) +
		      crier_mm_counter(direct, mm, MM_SHMEMPAGES);
		if (rss > peak)
			peak = rss;
	}
	if (!has_mm || !execed) {
		rss = crier_get(direct, signal, maxrss);
		if (rss > peak)
			peak = rss;
		if (execed)
			*flags |= CRIER_EXIT_PEAK_MIXED;
	}
	return peak * crier_page_size;
}

/*
 * An OOM victim: marked as such, or sent SIGKILL by the killer a moment ago and faster than the mark.
 */
crier_inline bool crier_is_oom_victim(const bool direct, struct task_struct *task,
				      struct signal_struct *signal)
{
	struct crier_process_key key;

	if (crier_is_set(crier_get(direct, signal, oom_mm)))
		return true;
	if ((crier_get(direct, signal, group_exit_code) & 0x7f) != 9 /* SIGKILL */)
		return false;
	key = crier_key_of(direct, task);
	return crier_is_set(bpf_map_lookup_elem(&crier_oom_doomed, &key));
}

crier_inline void crier_fill_exit(const bool direct, struct crier_wire_exit *record, struct task_struct *task,
				  struct task_struct *leader, struct signal_struct *signal,
				  struct mm_struct *mm, bool is_oom)
{
	bool execed = !(crier_get(direct, leader, flags) & PF_FORKNOEXEC);
	__u32 flags = 0;

	crier_fill_times(direct, record, task, signal);
	record->peak_rss_bytes = crier_exit_peak(direct, mm, signal, execed, &flags);
	if (crier_get(direct, signal, flags) & SIGNAL_GROUP_EXIT) {
		record->status = (__u32)crier_get(direct, signal, group_exit_code);
		flags |= CRIER_EXIT_GROUP_EXIT;
	} else {
		record->status = (__u32)crier_get(direct, leader, exit_code);
	}
	if (is_oom)
		flags |= CRIER_EXIT_OOM;
	record->flags = flags;
}

crier_inline int crier_exit(const bool direct, const bool second, struct task_struct *task, bool group_dead,
			    __u8 hook)
{
	struct crier_making making = {.type = CRIER_WIRE_EXIT, .ring = CRIER_CLASS_BULK, .hook = hook};
	struct signal_struct *signal = crier_get(direct, task, signal);
	struct crier_wire_exit *record;
	struct crier_who who;
	__u32 init = 0, pid, vpid;
	bool is_filtered, is_ns_init, is_oom;
	struct mm_struct *mm;

	/* not a word about threads that leave others behind */
	if (!crier_is_group_dead(direct, task, signal, group_dead))
		return 0;
	if (!crier_begin(&making))
		return 0;
	making.cgroup_id = crier_task_cgroup_id(direct, task);
	is_filtered =
		!crier_is_wanted(&making) || crier_class_of(&making, making.cgroup_id) == CRIER_CGROUP_HOST;
	/* an OOM-killed process of the host belongs to a node.oom */
	if (is_filtered && !crier_is_oom_victim(direct, task, signal)) {
		crier_filter(second, &making, CRIER_CLASS_BULK);
		return 0;
	}
	if (crier_was_seen(second, task))
		return 0;
	who = crier_who(direct, crier_get(direct, task, group_leader));
	mm = crier_get(direct, task, mm);
	is_oom = crier_is_oom_victim(direct, task, signal);
	if (is_oom)
		making.ring = CRIER_CLASS_CRITICAL;
	if (!crier_is_wanted(&making)) {
		crier_filter(second, &making, making.ring);
		return 0;
	}
	pid = (__u32)crier_get(direct, task, tgid);
	if (crier_is_known_init(direct, who.leader, pid)) {
		init = CRIER_TASK_KNOWN_INIT;
		bpf_map_delete_elem(&crier_inits, &pid); /* whoever gets this pid next is no init */
	}
	vpid = crier_task_vpid(direct, who.pid, pid, &is_ns_init);
	if (is_ns_init)
		init |= CRIER_TASK_NS_INIT;
	if (init)
		making.ring = CRIER_CLASS_CRITICAL;
	if (!crier_admit(&making))
		return 0;
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	crier_fill_who(direct, &record->task, &who, (__u32)crier_get(direct, task, pid), vpid,
		       making.cgroup_id, init);
	crier_fill_exit(direct, record, task, who.leader, signal, mm, is_oom);
	crier_fill_header(&making, &record->header, sizeof(*record));
	crier_submit(&making, record);
	return 0;
}

/* hooks */

crier_inline int crier_from_tp_exec(__u64 *ctx, const bool second)
{
	return crier_exec(true, second, crier_readable(task_struct, ctx[0]),
			  crier_readable(linux_binprm, ctx[2]), CRIER_HOOK_TP_BTF_EXEC);
}

crier_inline int crier_from_raw_exec(struct bpf_raw_tracepoint_args *ctx, const bool second)
{
	return crier_exec(false, second, (void *)ctx->args[0], (void *)ctx->args[2], CRIER_HOOK_RAW_TP_EXEC);
}

crier_inline int crier_from_tp_fork(__u64 *ctx, const bool second)
{
	return crier_fork(true, second, crier_readable(task_struct, ctx[0]),
			  crier_readable(task_struct, ctx[1]), CRIER_HOOK_TP_BTF_FORK);
}

crier_inline int crier_from_raw_fork(struct bpf_raw_tracepoint_args *ctx, const bool second)
{
	return crier_fork(false, second, (void *)ctx->args[0], (void *)ctx->args[1], CRIER_HOOK_RAW_TP_FORK);
}

/* the verifier refuses ctx[1] where the tracepoint has one argument; the flag makes it dead code */
crier_inline int crier_from_tp_exit(__u64 *ctx, const bool second)
{
	bool group_dead = crier_exit_has_group_dead ? (ctx[1] & 1) : false;

	return crier_exit(true, second, crier_readable(task_struct, ctx[0]), group_dead,
			  CRIER_HOOK_TP_BTF_EXIT);
}

crier_inline int crier_from_raw_exit(struct bpf_raw_tracepoint_args *ctx, const bool second)
{
	bool group_dead = crier_exit_has_group_dead ? (ctx->args[1] & 1) : false;

	return crier_exit(false, second, (void *)ctx->args[0], group_dead, CRIER_HOOK_RAW_TP_EXIT);
}

/* Two programs: NAME, and NAME_2 for kernels that may turn the first one away. */
#define CRIER_PAIR(section, name, context, from)                                                             \
	SEC(section) int name(context ctx)                                                                   \
	{                                                                                                    \
		return crier_unpreempted(from(ctx, false));                                                  \
	}                                                                                                    \
	SEC(section) int name##_2(context ctx)                                                               \
	{                                                                                                    \
		return crier_unpreempted(from(ctx, true));                                                   \
	}

CRIER_PAIR("tp_btf/sched_process_exec", crier_tp_exec, __u64 *, crier_from_tp_exec)
CRIER_PAIR("raw_tp/sched_process_exec", crier_raw_exec, struct bpf_raw_tracepoint_args *, crier_from_raw_exec)
CRIER_PAIR("tp_btf/sched_process_fork", crier_tp_fork, __u64 *, crier_from_tp_fork)
CRIER_PAIR("raw_tp/sched_process_fork", crier_raw_fork, struct bpf_raw_tracepoint_args *, crier_from_raw_fork)
CRIER_PAIR("tp_btf/sched_process_exit", crier_tp_exit, __u64 *, crier_from_tp_exit)
CRIER_PAIR("raw_tp/sched_process_exit", crier_raw_exit, struct bpf_raw_tracepoint_args *, crier_from_raw_exit)
