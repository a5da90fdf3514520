// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * What was there before us: one struct crier_wire_seed per process, and the OOM count of each memory cgroup
 * that has one, so that the first kill after the start already shows a rise.
 */
#include "memcg.h"

char LICENSE[] SEC("license") = "GPL";

crier_inline void crier_seed_oom_counts(struct cgroup_subsys_state *css)
{
	struct crier_oom_count count = {};
	__u64 serial;

	for (int i = 0; i < CRIER_WIRE_OOM_LEVELS; i++) {
		if (!css)
			break;
		serial = BPF_CORE_READ(css, serial_nr);
		if (bpf_map_lookup_elem(&crier_oom_counts, &serial))
			break; /* and so all above it */
		count.seen = count.previous = crier_memcg_oom_count((void *)css);
		crier_keep_oom_count(serial, &count, BPF_NOEXIST);
		css = BPF_CORE_READ(css, parent);
	}
}

SEC("iter/task")
int crier_iter_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct cgroup_subsys_state *css;
	struct crier_wire_seed seed;
	struct crier_who who;
	struct css_set *set;
	__u32 pid, vpid, init = 0;
	__u64 cgroup_id;
	bool is_ns_init;

	if (!task || task->pid != task->tgid)
		return 0;
	task = crier_readable(task_struct, task);
	who = crier_who(true, task);
	set = task->cgroups;
	css = crier_memory_css(true, set);
	cgroup_id = crier_set_cgroup_id(true, set);
	seed.memory_cgroup_id = crier_css_cgroup_id(true, css);
	pid = (__u32)task->pid;
	if (crier_is_known_init(true, task, pid))
		init = CRIER_TASK_KNOWN_INIT;
	vpid = crier_task_vpid(true, who.pid, pid, &is_ns_init);
	if (is_ns_init)
		init |= CRIER_TASK_NS_INIT;
	crier_fill_who(true, &seed.task, &who, pid, vpid, cgroup_id, init);
	crier_seed_oom_counts(css);
	bpf_seq_write(ctx->meta->seq, &seed, sizeof(seed));
	return 0;
}
