/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* What is read of a task. `direct` as in compat.h. */
#ifndef CRIER_BPF_TASK_H
#define CRIER_BPF_TASK_H

#include "compat.h"
#include "crier/wire.h"

crier_inline __u64 crier_cgroup_id(const bool direct, struct cgroup *cgroup)
{
	struct kernfs_node *kn = crier_get(direct, cgroup, kn);

	return crier_get(direct, kn, id);
}

/* 0: no such controller. */
crier_inline __u64 crier_css_cgroup_id(const bool direct, struct cgroup_subsys_state *css)
{
	return css ? crier_cgroup_id(direct, crier_get(direct, css, cgroup)) : 0;
}

/* Id in the primary hierarchy: v2 directly, v1 by the memory controller. 0 = not known. */
crier_inline __u64 crier_set_cgroup_id(const bool direct, struct css_set *set)
{
	if (crier_primary_is_v2)
		return crier_cgroup_id(direct, crier_get(direct, set, dfl_cgrp));
	return crier_css_cgroup_id(direct, crier_memory_css(direct, set));
}

crier_inline __u64 crier_task_cgroup_id(const bool direct, struct task_struct *task)
{
	return crier_set_cgroup_id(direct, crier_get(direct, task, cgroups));
}

crier_inline __u64 crier_task_memory_cgroup_id(const bool direct, struct task_struct *task)
{
	return crier_css_cgroup_id(direct, crier_memory_css(direct, crier_get(direct, task, cgroups)));
}

/* What hangs on a process. */
struct crier_who {
	struct task_struct *leader, *parent;
	const struct cred *cred;
	struct pid *pid;
};

crier_inline struct crier_who crier_who(const bool direct, struct task_struct *leader)
{
	struct crier_who who = {.leader = leader};

	who.parent = crier_get(direct, leader, real_parent);
	who.cred = crier_get(direct, leader, real_cred);
	who.pid = crier_get(direct, leader, thread_pid);
	return who;
}

/* pid 1 of a pid namespace below the host's; vpid as the process itself sees it. */
crier_inline __u32 crier_task_vpid(const bool direct, struct pid *pid, __u32 host_pid, bool *ret_is_ns_init)
{
	__u32 level, nr;

	*ret_is_ns_init = false;
	if (!pid)
		return 0;
	level = crier_get(direct, pid, level);
	if (level == 0)
		return host_pid;
	nr = crier_pid_number(pid, level);
	*ret_is_ns_init = nr == 1;
	return nr;
}

/* Zero all after the first NUL: what stood there before a rename is not part of the name. */
crier_inline __u64 crier_mask_after_nul(__u64 word, bool *ended)
{
	__u64 zeros = (word - 0x0101010101010101ULL) & ~word & 0x8080808080808080ULL;

	if (*ended)
		return 0;
	if (!zeros)
		return word;
	*ended = true;
	return word & (((zeros & -zeros) >> 7) - 1); /* little endian: lower bytes come first */
}

crier_inline void crier_fill_comm(const bool direct, __u8 *out, struct task_struct *task)
{
	__u64 words[2] = {};
	bool ended = false;

	if (direct) {
		words[0] = ((__u64 *)&task->comm)[0];
		words[1] = ((__u64 *)&task->comm)[1];
	} else {
		bpf_probe_read_kernel(words, sizeof(words), &task->comm);
	}
	((__u64 *)out)[0] = crier_mask_after_nul(words[0], &ended);
	((__u64 *)out)[1] = crier_mask_after_nul(words[1], &ended);
}

/* A parent may be a thread: its process began with the leader. */
crier_inline __u64 crier_parent_start(const bool direct, struct task_struct *parent)
{
	if (crier_get(direct, parent, pid) == crier_get(direct, parent, tgid))
		return crier_get(direct, parent, start_boottime);
	return BPF_CORE_READ(parent, group_leader, start_boottime);
}

/* Every byte is written. `flags`: what the caller knows, CRIER_TASK_KNOWN_INIT and CRIER_TASK_NS_INIT or 0. */
crier_inline void crier_fill_who(const bool direct, struct crier_wire_task *out, const struct crier_who *who,
				 __u32 tid, __u32 vpid, __u64 cgroup_id, __u32 flags)
{
	/* named one by one: CO-RE would look for struct crier_who in the kernel */
	struct task_struct *leader = who->leader, *parent = who->parent;
	const struct cred *cred = who->cred;
	__u32 task_flags = crier_get(direct, leader, flags);

	flags |= CRIER_TASK_VALID;
	out->start_boottime_ns = crier_get(direct, leader, start_boottime);
	out->parent_start_boottime_ns = crier_parent_start(direct, parent);
	out->cgroup_id = cgroup_id;
	out->pid = (__u32)crier_get(direct, leader, tgid);
	out->tid = tid;
	out->vpid = vpid;
	out->parent_pid = (__u32)crier_get(direct, parent, tgid);
	out->uid = crier_get(direct, cred, euid.val);
	if (task_flags & PF_KTHREAD)
		flags |= CRIER_TASK_KTHREAD;
	if (!(task_flags & PF_FORKNOEXEC))
		flags |= CRIER_TASK_EXECED;
	out->flags = flags;
	crier_fill_comm(direct, out->comm, leader);
}

/* The same where nothing of it is known yet. */
crier_inline void crier_fill_task(const bool direct, struct crier_wire_task *out, struct task_struct *leader,
				  __u32 tid, __u64 cgroup_id, __u32 flags)
{
	struct crier_who who = crier_who(direct, leader);
	bool is_ns_init;
	__u32 vpid = crier_task_vpid(direct, who.pid, (__u32)crier_get(direct, leader, tgid), &is_ns_init);

	if (is_ns_init)
		flags |= CRIER_TASK_NS_INIT;
	crier_fill_who(direct, out, &who, tid, vpid, cgroup_id, flags);
}

/* A task that need not be its group's leader; by probe reads, for rare records. */
crier_inline void crier_fill_any_task(struct crier_wire_task *out, struct task_struct *task, __u64 cgroup_id,
				      __u32 flags)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	crier_fill_task(false, out, leader, (__u32)BPF_CORE_READ(task, pid), cgroup_id, flags);
}

crier_inline void crier_fill_current(struct crier_wire_task *out)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	crier_fill_any_task(out, task, crier_task_cgroup_id(false, task), 0);
}

crier_inline struct crier_process_key crier_key_of(const bool direct, struct task_struct *task)
{
	struct task_struct *leader = crier_get(direct, task, group_leader);

	return (struct crier_process_key){
		.start_boottime_ns = crier_get(direct, leader, start_boottime),
		.pid = (__u32)crier_get(direct, leader, tgid),
	};
}

crier_inline __u64 crier_current_cgroup_id(void)
{
	return crier_task_cgroup_id(false, (void *)bpf_get_current_task());
}

#endif
