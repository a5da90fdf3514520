/* SPDX-License-Identifier: Apache-2.0 */
/* What probe.hook says: kind and kernel function or tracepoint of the program that made the record. */
#include "crier/event.h"
#include "crier/names.h"

#define NAME(text)                                                                                           \
	{                                                                                                    \
		(text), sizeof(text) - 1                                                                     \
	}

static const struct crier_slice names[CRIER_HOOK_COUNT] = {
	[CRIER_HOOK_TP_BTF_CGROUP_MKDIR] = NAME("tp_btf:cgroup_mkdir"),
	[CRIER_HOOK_TP_BTF_CGROUP_RMDIR] = NAME("tp_btf:cgroup_rmdir"),
	[CRIER_HOOK_TP_BTF_CGROUP_POPULATED] = NAME("tp_btf:cgroup_notify_populated"),
	[CRIER_HOOK_TP_BTF_RECLAIM] = NAME("tp_btf:mm_vmscan_memcg_reclaim_begin"),
	[CRIER_HOOK_TP_BTF_EXEC] = NAME("tp_btf:sched_process_exec"),
	[CRIER_HOOK_TP_BTF_FORK] = NAME("tp_btf:sched_process_fork"),
	[CRIER_HOOK_TP_BTF_EXIT] = NAME("tp_btf:sched_process_exit"),
	[CRIER_HOOK_TP_BTF_SIGNAL] = NAME("tp_btf:signal_generate"),
	[CRIER_HOOK_TP_BTF_MARK_VICTIM] = NAME("tp_btf:mark_victim"),
	[CRIER_HOOK_RAW_TP_CGROUP_MKDIR] = NAME("raw_tp:cgroup_mkdir"),
	[CRIER_HOOK_RAW_TP_CGROUP_RMDIR] = NAME("raw_tp:cgroup_rmdir"),
	[CRIER_HOOK_RAW_TP_CGROUP_POPULATED] = NAME("raw_tp:cgroup_notify_populated"),
	[CRIER_HOOK_RAW_TP_RECLAIM] = NAME("raw_tp:mm_vmscan_memcg_reclaim_begin"),
	[CRIER_HOOK_RAW_TP_EXEC] = NAME("raw_tp:sched_process_exec"),
	[CRIER_HOOK_RAW_TP_FORK] = NAME("raw_tp:sched_process_fork"),
	[CRIER_HOOK_RAW_TP_EXIT] = NAME("raw_tp:sched_process_exit"),
	[CRIER_HOOK_RAW_TP_SIGNAL] = NAME("raw_tp:signal_generate"),
	[CRIER_HOOK_RAW_TP_MARK_VICTIM] = NAME("raw_tp:mark_victim"),
	[CRIER_HOOK_FENTRY_OOM_KILL_PROCESS] = NAME("fentry:oom_kill_process"),
	[CRIER_HOOK_KPROBE_OOM_KILL_PROCESS] = NAME("kprobe:oom_kill_process"),
	[CRIER_HOOK_FENTRY_MARK_OOM_VICTIM] = NAME("fentry:mark_oom_victim"),
	[CRIER_HOOK_KPROBE_MARK_OOM_VICTIM] = NAME("kprobe:mark_oom_victim"),
	[CRIER_HOOK_USER] = NAME("user"),
	[CRIER_HOOK_INOTIFY_CGROUP] = NAME("inotify:cgroup"),
	[CRIER_HOOK_INOTIFY_CGROUP_EVENTS] = NAME("inotify:cgroup.events"),
	[CRIER_HOOK_INOTIFY_MEMORY_EVENTS] = NAME("inotify:memory.events"),
	[CRIER_HOOK_EVENTFD_OOM_CONTROL] = NAME("eventfd:memory.oom_control"),
	[CRIER_HOOK_KMSG] = NAME("kmsg:oom"),
};

struct crier_slice crier_hook_text(unsigned hook)
{
	return hook < CRIER_HOOK_COUNT ? names[hook] : CRIER_SLICE_NONE;
}

const char *crier_hook_name(unsigned hook)
{
	return crier_hook_text(hook).ptr;
}
