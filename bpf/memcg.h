/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Memory cgroups from one task's upwards, and how often each ran into its own limit.
 *
 * Whose limit led to a kill is told by memory_events_local[MEMCG_OOM]: it rises on the limit's owner alone, before the
 * victim is chosen, on v1 too. A rise needs a last value. That is "known" if
 *  - the iterator put it in at start (every memory cgroup with a process, and those above), or an earlier
 *    kill looked at it; or
 *  - the cgroup was made while the mkdir program was attached: its css serial number is above
 *    crier_first_serial, and its count started at 0.
 * Otherwise the level goes without CRIER_OOM_LEVEL_DELTA_KNOWN. If the map was ever full the second rule is
 * off, for an unseen cgroup may then be one that could not be kept.
 */
#ifndef CRIER_BPF_MEMCG_H
#define CRIER_BPF_MEMCG_H

#include "helpers.h"
#include "task.h"

/* A kill of a whole group (memory.oom.group) calls mark_victim for each process: they share one rise. */
#define CRIER_SAME_KILL_NS (2000 * CRIER_NS_PER_MS)

crier_inline void crier_keep_oom_count(__u64 serial, const struct crier_oom_count *count, __u64 flags)
{
	long error = bpf_map_update_elem(&crier_oom_counts, &serial, count, flags);

	if (error && flags != BPF_NOEXIST)
		crier_oom_counts_incomplete = 1;
}

/* Rise of the count since last seen; also remembers it. @return false: not known */
crier_inline bool crier_oom_rise(struct mem_cgroup *memcg, __u64 now, __u32 trigger_tid, __u32 *ret_rise)
{
	__u64 serial = BPF_CORE_READ(memcg, css.serial_nr);
	struct crier_oom_count *last = bpf_map_lookup_elem(&crier_oom_counts, &serial);
	struct crier_oom_count next = {
		.seen = crier_memcg_oom_count(memcg), .seen_ns = now, .trigger_tid = trigger_tid};
	bool known = true;

	if (last && last->seen == next.seen) {
		*ret_rise = 0;
		if (last->trigger_tid == trigger_tid && now - last->seen_ns < CRIER_SAME_KILL_NS)
			*ret_rise = (__u32)(last->seen - last->previous);
		return true;
	}
	if (last)
		next.previous = last->seen;
	else if (!crier_first_serial || serial < crier_first_serial || crier_oom_counts_incomplete)
		known = false;
	/* not known: no rise is to be made up for the other victims of this kill either */
	if (!known)
		next.previous = next.seen;
	crier_keep_oom_count(serial, &next, BPF_ANY);
	*ret_rise = known ? (__u32)(next.seen - next.previous) : 0;
	return known;
}

crier_inline void crier_fill_level(struct crier_wire_oom_level *level, struct mem_cgroup *memcg, __u64 now,
				   __u32 trigger_tid)
{
	__u64 usage = (__u64)BPF_CORE_READ(memcg, memory.usage.counter);
	__u64 swap = (__u64)BPF_CORE_READ(memcg, swap.usage.counter);
	__u32 flags = 0, rise = 0;

	level->cgroup_id = BPF_CORE_READ(memcg, css.cgroup, kn, id);
	level->usage_pages = usage;
	level->max_pages = BPF_CORE_READ(memcg, memory.max);
	level->peak_pages = BPF_CORE_READ(memcg, memory.watermark);
	if (BPF_CORE_READ(memcg, css.cgroup, root, hierarchy_id) != 0) /* v1: the counter is memory + swap */
		swap = swap > usage ? swap - usage : 0;
	level->swap_pages = swap;
	if (crier_oom_rise(memcg, now, trigger_tid, &rise))
		flags |= CRIER_OOM_LEVEL_DELTA_KNOWN;
	if (BPF_CORE_READ(memcg, oom_group))
		flags |= CRIER_OOM_LEVEL_GROUP;
	level->oom_delta = rise;
	level->flags = flags;
}

#endif
