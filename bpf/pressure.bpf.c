// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Reclaim on behalf of a memory cgroup: a hint that user space should look at its counters. The tracepoint names no
 * cgroup; current's own is taken, and its limit or one above it was met. Reclaim by a kernel thread
 * (memory.high's worker) has the root's and gives no hint.
 */
#include "helpers.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

#define CRIER_HINT_NS (500 * CRIER_NS_PER_MS)

crier_inline bool crier_is_hint_due(__u64 memory_cgroup_id, __u64 now)
{
	__u64 *last = bpf_map_lookup_elem(&crier_hinted, &memory_cgroup_id);

	if (last && now - *last < CRIER_HINT_NS)
		return false;
	if (last)
		*last = now;
	else
		bpf_map_update_elem(&crier_hinted, &memory_cgroup_id, &now, BPF_ANY);
	return true;
}

crier_inline int crier_reclaim(const bool direct, struct task_struct *task, __u8 hook)
{
	struct crier_making making = {
		.type = CRIER_WIRE_PRESSURE_HINT, .ring = CRIER_CLASS_BULK, .hook = hook};
	struct crier_wire_pressure_hint *record;
	__u64 memory_cgroup_id;

	if (!crier_begin(&making) || !crier_is_wanted(&making) ||
	    (crier_get(direct, task, flags) & PF_KTHREAD))
		return 0;
	making.cgroup_id = crier_task_cgroup_id(direct, task);
	if (crier_class_of(&making, making.cgroup_id) == CRIER_CGROUP_HOST)
		return 0;
	making.now = bpf_ktime_get_boot_ns();
	memory_cgroup_id = crier_task_memory_cgroup_id(direct, task);
	if (!crier_is_hint_due(memory_cgroup_id, making.now))
		return 0;
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	record->memory_cgroup_id = memory_cgroup_id;
	crier_fill_header(&making, &record->header, sizeof(*record));
	crier_submit(&making, record);
	return 0;
}

crier_inline int crier_reclaim_current(__u8 hook)
{
	if (crier_has_current_btf())
		return crier_reclaim(true, crier_readable(task_struct, bpf_get_current_task_btf()), hook);
	return crier_reclaim(false, (void *)bpf_get_current_task(), hook);
}

SEC("tp_btf/mm_vmscan_memcg_reclaim_begin")
int crier_tp_reclaim(__u64 *ctx)
{
	return crier_reclaim_current(CRIER_HOOK_TP_BTF_RECLAIM);
}

SEC("raw_tp/mm_vmscan_memcg_reclaim_begin")
int crier_raw_reclaim(struct bpf_raw_tracepoint_args *ctx)
{
	return crier_reclaim_current(CRIER_HOOK_RAW_TP_RECLAIM);
}
