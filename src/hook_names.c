/* SPDX-License-Identifier: Apache-2.0 */
/* What probe.hook says: kind and kernel function or tracepoint of the program that made the record. */
#include "crier/event.h"
#include "crier/names.h"

static const char *const names[CRIER_HOOK_COUNT] = {
	[CRIER_HOOK_TP_BTF_CGROUP_MKDIR] = "tp_btf:cgroup_mkdir",
	[CRIER_HOOK_TP_BTF_CGROUP_RMDIR] = "tp_btf:cgroup_rmdir",
	[CRIER_HOOK_TP_BTF_CGROUP_POPULATED] = "tp_btf:cgroup_notify_populated",
	[CRIER_HOOK_TP_BTF_RECLAIM] = "tp_btf:mm_vmscan_memcg_reclaim_begin",
	[CRIER_HOOK_TP_BTF_EXEC] = "tp_btf:sched_process_exec",
	[CRIER_HOOK_TP_BTF_FORK] = "tp_btf:sched_process_fork",
	[CRIER_HOOK_TP_BTF_EXIT] = "tp_btf:sched_process_exit",
	[CRIER_HOOK_TP_BTF_SIGNAL] = "tp_btf:signal_generate",
	[CRIER_HOOK_TP_BTF_MARK_VICTIM] = "tp_btf:mark_victim",
	[CRIER_HOOK_RAW_TP_CGROUP_MKDIR] = "raw_tp:cgroup_mkdir",
	[CRIER_HOOK_RAW_TP_CGROUP_RMDIR] = "raw_tp:cgroup_rmdir",
	[CRIER_HOOK_RAW_TP_CGROUP_POPULATED] = "raw_tp:cgroup_notify_populated",
	[CRIER_HOOK_RAW_TP_RECLAIM] = "raw_tp:mm_vmscan_memcg_reclaim_begin",
	[CRIER_HOOK_RAW_TP_EXEC] = "raw_tp:sched_process_exec",
	[CRIER_HOOK_RAW_TP_FORK] = "raw_tp:sched_process_fork",
	[CRIER_HOOK_RAW_TP_EXIT] = "raw_tp:sched_process_exit",
	[CRIER_HOOK_RAW_TP_SIGNAL] = "raw_tp:signal_generate",
	[CRIER_HOOK_RAW_TP_MARK_VICTIM] = "raw_tp:mark_victim",
	[CRIER_HOOK_FENTRY_OOM_KILL_PROCESS] = "fentry:oom_kill_process",
	[CRIER_HOOK_KPROBE_OOM_KILL_PROCESS] = "kprobe:oom_kill_process",
	[CRIER_HOOK_FENTRY_MARK_OOM_VICTIM] = "fentry:mark_oom_victim",
	[CRIER_HOOK_KPROBE_MARK_OOM_VICTIM] = "kprobe:mark_oom_victim",
	[CRIER_HOOK_USER] = "user",
	[CRIER_HOOK_INOTIFY_CGROUP] = "inotify:cgroup",
	[CRIER_HOOK_INOTIFY_CGROUP_EVENTS] = "inotify:cgroup.events",
	[CRIER_HOOK_INOTIFY_MEMORY_EVENTS] = "inotify:memory.events",
	[CRIER_HOOK_EVENTFD_OOM_CONTROL] = "eventfd:memory.oom_control",
	[CRIER_HOOK_KMSG] = "kmsg:oom",
};

const char *crier_hook_name(unsigned hook)
{
	return hook < CRIER_HOOK_COUNT ? names[hook] : NULL;
}
