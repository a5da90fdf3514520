// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * OOM kills. mark_victim makes the record, once per process; oom_kill_process, where it can be hooked, only
 * adds what it was called with. Everything here is read by probes: a kill is rare, and css pointers
 * have to be taken for memory cgroups, which the verifier allows no typed pointer.
 */
#include "memcg.h"

char LICENSE[] SEC("license") = "GPL";

crier_inline int crier_oom_control(struct oom_control *control)
{
	struct mem_cgroup *memcg = BPF_CORE_READ(control, memcg);
	__u32 constraint = (__u32)BPF_CORE_READ(control, constraint);
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct crier_oom_context context = {
		.at_ns = bpf_ktime_get_boot_ns(),
		.chosen = (__u64)BPF_CORE_READ(control, chosen),
		.total_pages = BPF_CORE_READ(control, totalpages),
		.flags = CRIER_OOM_HAS_CONTROL,
	};

	if (memcg)
		context.limit_cgroup_id = BPF_CORE_READ(memcg, css.cgroup, kn, id);
	else
		context.flags |= CRIER_OOM_GLOBAL;
	if (constraint == CONSTRAINT_CPUSET || constraint == CONSTRAINT_MEMORY_POLICY)
		context.flags |= CRIER_OOM_CPUSET;
	bpf_map_update_elem(&crier_oom_contexts, &tid, &context, BPF_ANY);
	return 0;
}

/* True the first time. A victim known by pid alone has no start time; such keys are good for a moment only. */
crier_inline bool crier_oom_is_first(struct task_struct *victim, __u32 pid, __u64 now)
{
	struct crier_process_key key = {.pid = pid};
	__u64 *told;

	if (!victim) {
		told = bpf_map_lookup_elem(&crier_oom_told, &key);
		if (told && now - *told < CRIER_SAME_KILL_NS)
			return false;
		bpf_map_update_elem(&crier_oom_told, &key, &now, BPF_ANY);
		return true;
	}
	key.pid = (__u32)BPF_CORE_READ(victim, tgid);
	told = bpf_map_lookup_elem(&crier_oom_told, &key);
	if (told && now - *told < CRIER_SAME_KILL_NS)
		return false;
	key.start_boottime_ns = BPF_CORE_READ(victim, group_leader, start_boottime);
	return bpf_map_update_elem(&crier_oom_told, &key, &now, BPF_NOEXIST) == 0;
}

/* Without a victim the chain is unknown: level_count 0. */
crier_inline void crier_fill_levels(struct crier_wire_oom *record, struct task_struct *victim, __u64 now)
{
	struct cgroup_subsys_state *css = NULL;
	__u32 count = 0, tid = (__u32)bpf_get_current_pid_tgid();

	__builtin_memset(record->levels, 0, sizeof(record->levels));
	if (victim) {
		struct css_set *set = BPF_CORE_READ(victim, cgroups);

		css = crier_memory_css(false, set);
	}
	for (int i = 0; i < CRIER_WIRE_OOM_LEVELS; i++) {
		if (!css)
			break;
		crier_fill_level(&record->levels[i], (void *)css, now, tid);
		css = BPF_CORE_READ(css, parent);
		count = i + 1;
	}
	record->level_count = count;
	if (css)
		record->flags |= CRIER_OOM_LEVELS_CUT;
}

crier_inline void crier_fill_memory(struct crier_wire_oom *record, struct task_struct *victim)
{
	struct mm_struct *mm = victim ? BPF_CORE_READ(victim, mm) : NULL;

	record->anon_pages = record->file_pages = record->shmem_pages = record->swap_entries = 0;
	record->hiwater_rss_pages = record->total_vm_pages = record->pgtables_bytes = 0;
	record->oom_score_adj = victim ? BPF_CORE_READ(victim, signal, oom_score_adj) : 0;
	if (!mm && victim) /* another thread of it left already; oom_mm was set a moment ago */
		mm = BPF_CORE_READ(victim, signal, oom_mm);
	if (!mm)
		return;
	record->anon_pages = crier_mm_counter(false, mm, MM_ANONPAGES);
	record->file_pages = crier_mm_counter(false, mm, MM_FILEPAGES);
	record->shmem_pages = crier_mm_counter(false, mm, MM_SHMEMPAGES);
	record->swap_entries = crier_mm_counter(false, mm, MM_SWAPENTS);
	record->hiwater_rss_pages = BPF_CORE_READ(mm, hiwater_rss);
	record->total_vm_pages = BPF_CORE_READ(mm, total_vm);
	record->pgtables_bytes = (__u64)BPF_CORE_READ(mm, pgtables_bytes.counter);
}

crier_inline void crier_fill_context(struct crier_wire_oom *record, struct crier_oom_context *context)
{
	record->limit_cgroup_id = 0;
	record->total_pages = 0;
	if (!context)
		return;
	record->limit_cgroup_id = context->limit_cgroup_id;
	record->total_pages = context->total_pages;
	record->flags |= context->flags;
}

/*
 * The argument was the victim's pid until 6.7 and is the victim since (72ba14deb40a, also in stable
 * 5.10.262): told apart by its value, for no pointer is below 2^32 and no pid above.
 * By pid alone the victim is whom mark_oom_victim, which calls the tracepoint, was given; where that is not hooked, current or
 * what oom_kill_process had chosen; or its pid is all there is.
 */
crier_inline struct task_struct *crier_oom_victim(__u64 argument, struct crier_oom_context *context)
{
	struct task_struct *task;

	if (argument > 0xffffffffULL)
		return (void *)argument;
	task = context ? (void *)context->victim : NULL;
	if (task && (__u32)BPF_CORE_READ(task, pid) == (__u32)argument)
		return task;
	task = (void *)bpf_get_current_task();
	if ((__u32)BPF_CORE_READ(task, pid) == (__u32)argument)
		return task;
	task = context ? (void *)context->chosen : NULL;
	if (task && (__u32)BPF_CORE_READ(task, pid) == (__u32)argument)
		return task;
	return NULL;
}

crier_inline void crier_fill_victim(struct crier_wire_oom *record, struct task_struct *victim, __u32 pid,
				    __u64 cgroup_id)
{
	if (victim) {
		struct task_struct *leader = BPF_CORE_READ(victim, group_leader);
		__u32 tgid = (__u32)BPF_CORE_READ(victim, tgid);

		crier_fill_any_task(&record->victim, victim, cgroup_id,
				    crier_is_known_init(false, leader, tgid) ? CRIER_TASK_KNOWN_INIT : 0);
		return;
	}
	__builtin_memset(&record->victim, 0, sizeof(record->victim));
	record->victim.pid = record->victim.tid = pid;
	record->flags |= CRIER_OOM_VICTIM_BY_PID;
}

crier_inline int crier_mark_victim(__u64 argument, __u8 hook)
{
	struct crier_making making = {.type = CRIER_WIRE_OOM, .ring = CRIER_CLASS_CRITICAL, .hook = hook};
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct crier_oom_context *context = bpf_map_lookup_elem(&crier_oom_contexts, &tid);
	struct crier_wire_oom *record;
	struct task_struct *victim;

	if (!crier_begin(&making))
		return 0;
	making.now = bpf_ktime_get_boot_ns();
	if (context && making.now - context->at_ns > CRIER_OOM_CONTEXT_NS)
		context = NULL;
	victim = crier_oom_victim(argument, context);
	if (!crier_oom_is_first(victim, (__u32)argument, making.now))
		return 0;
	if (!crier_is_wanted(&making)) {
		crier_drop_filtered(making.counters, CRIER_CLASS_CRITICAL);
		return 0;
	}
	if (victim)
		making.cgroup_id = crier_task_cgroup_id(false, victim);
	if (!crier_admit(&making))
		return 0;
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	record->flags = 0;
	record->page_size = crier_page_size;
	crier_fill_victim(record, victim, (__u32)argument, making.cgroup_id);
	crier_fill_current(&record->trigger);
	crier_fill_context(record, context);
	crier_fill_memory(record, victim);
	crier_fill_levels(record, victim, making.now);
	crier_fill_header(&making, &record->header, sizeof(*record));
	crier_submit(&making, record);
	return 0;
}

SEC("fentry/oom_kill_process")
int crier_fentry_oom_control(__u64 *ctx)
{
	return crier_oom_control((void *)ctx[0]);
}

SEC("kprobe/oom_kill_process")
int crier_kprobe_oom_control(struct pt_regs *ctx)
{
	return crier_oom_control((void *)crier_kprobe_arg1(ctx));
}

/* The task behind mark_victim(int): mark_oom_victim is called with it a few instructions before. */
crier_inline int crier_oom_note_victim(__u64 victim)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct crier_oom_context *context = bpf_map_lookup_elem(&crier_oom_contexts, &tid);
	struct crier_oom_context fresh = {.at_ns = bpf_ktime_get_boot_ns(), .victim = victim};

	if (context && fresh.at_ns - context->at_ns <= CRIER_OOM_CONTEXT_NS)
		context->victim = victim;
	else
		bpf_map_update_elem(&crier_oom_contexts, &tid, &fresh, BPF_ANY);
	return 0;
}

/* The first argument as a number: to the verifier it is a pointer to a task, which may go into no map. */
crier_inline __u64 crier_fentry_arg1(__u64 *ctx)
{
	__u64 argument = 0;

	bpf_probe_read_kernel(&argument, sizeof(argument), ctx);
	return argument;
}

SEC("fentry/mark_oom_victim")
int crier_fentry_oom_victim(__u64 *ctx)
{
	return crier_oom_note_victim(crier_fentry_arg1(ctx));
}

SEC("kprobe/mark_oom_victim")
int crier_kprobe_oom_victim(struct pt_regs *ctx)
{
	return crier_oom_note_victim(crier_kprobe_arg1(ctx));
}

/*
 * mark_oom_victim() instead of its tracepoint, on every kernel with a task. It may be called again for a victim that is marked
 * already, which the tracepoint is not: crier_oom_is_first() sorts that out.
 */
SEC("fentry/mark_oom_victim")
int crier_fentry_mark_victim(__u64 *ctx)
{
	return crier_mark_victim(crier_fentry_arg1(ctx), CRIER_HOOK_FENTRY_MARK_OOM_VICTIM);
}

SEC("kprobe/mark_oom_victim")
int crier_kprobe_mark_victim(struct pt_regs *ctx)
{
	return crier_mark_victim(crier_kprobe_arg1(ctx), CRIER_HOOK_KPROBE_MARK_OOM_VICTIM);
}

/*
 * The argument is fetched by a probe read, as a number: the verifier would take ctx[0] for a task and
 * follow the branch where it is a pid with a pointer.
 */
SEC("tp_btf/mark_victim")
int crier_tp_mark_victim(__u64 *ctx)
{
	__u64 argument = 0;

	bpf_probe_read_kernel(&argument, sizeof(argument), ctx);
	return crier_mark_victim(argument, CRIER_HOOK_TP_BTF_MARK_VICTIM);
}

SEC("raw_tp/mark_victim")
int crier_raw_mark_victim(struct bpf_raw_tracepoint_args *ctx)
{
	return crier_mark_victim(ctx->args[0], CRIER_HOOK_RAW_TP_MARK_VICTIM);
}
