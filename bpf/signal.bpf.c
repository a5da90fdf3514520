// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * Signals that end a process, and signals that are meant to end a container.
 * signal_generate comes after the kernel chose (complete_signal), with the sender, if any, as current;
 * signal_deliver would show SIGKILL for a death by SIGTERM.
 * Behind the class filter all is read by probes: few signals get there (see crier_fill_current).
 */
#include "helpers.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

#define SIGHUP	 1
#define SIGINT	 2
#define SIGQUIT	 3
#define SIGKILL	 9
#define SIGTERM	 15
#define SIGCHLD	 17
#define SIGCONT	 18
#define SIGSTOP	 19
#define SIGTSTP	 20
#define SIGTTIN	 21
#define SIGTTOU	 22
#define SIGURG	 23
#define SIGWINCH 28
#define _NSIG	 64

#define SI_USER	  0 /* kill(2) */
#define SI_QUEUE  -1
#define SI_TKILL  -6
#define SI_KERNEL 0x80

#define crier_bit(signal) (1ULL << ((signal)-1))

/* signal(7): default action stop, continue or ignore; all others end the process. */
#define CRIER_HARMLESS                                                                                       \
	(crier_bit(SIGCHLD) | crier_bit(SIGCONT) | crier_bit(SIGSTOP) | crier_bit(SIGTSTP) |                 \
	 crier_bit(SIGTTIN) | crier_bit(SIGTTOU) | crier_bit(SIGURG) | crier_bit(SIGWINCH))
#define CRIER_STOPPING (crier_bit(SIGTERM) | crier_bit(SIGINT) | crier_bit(SIGQUIT) | crier_bit(SIGKILL))

/* info is a pointer or one of two marks (include/linux/sched/signal.h). */
#define SEND_SIG_NOINFO 0
#define SEND_SIG_PRIV	1

/*
 * A process sent it only if it says so: an alarm has whoever runs as current. A siginfo with another negative
 * code (timer, aio, message queue) names nobody.
 */
crier_inline bool crier_signal_source(__u64 info, __s32 *ret_code)
{
	struct kernel_siginfo *siginfo = (void *)info;

	if (info == SEND_SIG_NOINFO) {
		*ret_code = 0;
		return true;
	}
	*ret_code = SI_KERNEL;
	if (info == SEND_SIG_PRIV)
		return false;
	/* never a plain load: the verifier would take the mark 1 for a pointer as well */
	*ret_code = BPF_CORE_READ(siginfo, si_code);
	return *ret_code == SI_USER || *ret_code == SI_QUEUE || *ret_code == SI_TKILL;
}

/*
 * Default action, not blocked, delivered. `task` may block what another thread of its group takes: then
 * complete_signal has already marked the group as exiting with this signal (not for those that dump
 * core: a SIGQUIT to a group whose main thread blocks it is missed; its exit still tells).
 * A group whose last thread is on its way out cannot be ended any more: 5.10 sends SIGKILL to the thread that was pid 1's last
 * while it ends the namespace (zap_pid_ns_processes).
 */
crier_inline bool crier_is_fatal(struct task_struct *task, __u32 signal, __u32 result)
{
	struct signal_struct *group = crier_get(false, task, signal);
	__u64 blocked;

	if (result != SIGNAL_DELIVERED || crier_get(false, group, live.counter) == 0)
		return false;
	if (signal == SIGKILL)
		return true;
	if (crier_signal_handler(crier_get(false, task, sighand), signal) != 0) /* SIG_DFL */
		return false;
	blocked = crier_get(false, task, blocked.sig[0]) | crier_get(false, task, real_blocked.sig[0]);
	if (!(blocked & crier_bit(signal)))
		return true;
	return (crier_get(false, group, flags) & SIGNAL_GROUP_EXIT) &&
	       (crier_get(false, group, group_exit_code) & 0x7f) == signal;
}

/*
 * A SIGKILL of the kernel's that current sends to whom it chose in oom_kill_process a moment ago, or to those that are killed
 * with it (memory.oom.group). Not any SIGKILL of such a task: an init that was its own victim sends them to the rest of its
 * namespace, on its way out.
 */
crier_inline void crier_note_doomed(struct task_struct *task)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct crier_oom_context *context = bpf_map_lookup_elem(&crier_oom_contexts, &tid);
	struct crier_process_key key;
	struct task_struct *chosen, *current;
	__u64 now;

	if (!context || !context->chosen)
		return;
	chosen = (void *)context->chosen;
	now = bpf_ktime_get_boot_ns();
	if (now - context->at_ns > CRIER_OOM_CONTEXT_NS)
		return;
	current = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(chosen, tgid) != BPF_CORE_READ(task, tgid) &&
	    (BPF_CORE_READ(current, flags) & PF_EXITING))
		return;
	key = crier_key_of(false, task);
	bpf_map_update_elem(&crier_oom_doomed, &key, &now, BPF_ANY);
}

crier_inline bool crier_is_init(struct task_struct *task, __u32 *ret_known)
{
	struct task_struct *leader = crier_get(false, task, group_leader);
	__u32 pid = (__u32)crier_get(false, task, tgid);
	bool is_ns_init;

	*ret_known = crier_is_known_init(false, leader, pid) ? CRIER_TASK_KNOWN_INIT : 0;
	if (*ret_known)
		return true;
	crier_task_vpid(false, crier_get(false, leader, thread_pid), pid, &is_ns_init);
	return is_ns_init;
}

crier_inline void crier_fill_signal(struct crier_making *making, struct crier_wire_signal *record,
				    struct task_struct *task, __u32 known_init)
{
	crier_fill_any_task(&record->target, task, making->cgroup_id, known_init);
	if (record->flags & CRIER_SIGNAL_FROM_PROCESS)
		crier_fill_current(&record->sender);
	else
		__builtin_memset(&record->sender, 0, sizeof(record->sender));
	crier_fill_header(making, &record->header, sizeof(*record));
}

crier_inline int crier_signal(const bool direct, __u32 signal, __u64 info, struct task_struct *task,
			      bool group, __u32 result, __u8 hook)
{
	struct crier_making making = {.type = CRIER_WIRE_SIGNAL, .ring = CRIER_CLASS_BULK, .hook = hook};
	struct crier_wire_signal *record;
	__u32 known_init = 0, flags = group ? CRIER_SIGNAL_GROUP : 0;
	bool stopping, is_init;
	__s32 code = 0;

	if (signal < 1 || signal > _NSIG || (crier_bit(signal) & CRIER_HARMLESS))
		return 0;
	/* SIGTERM to an init without handler is ignored (SIGNAL_UNKILLABLE), and still how it was stopped */
	stopping = crier_bit(signal) & CRIER_STOPPING;
	if (!stopping && result != SIGNAL_DELIVERED)
		return 0;
	if (!crier_begin(&making))
		return 0;
	making.cgroup_id = crier_task_cgroup_id(direct, task);
	if (signal == SIGKILL && info == SEND_SIG_PRIV)
		crier_note_doomed(task);
	/* of the host nothing more is asked: what its handlers would take counts as filtered too */
	if (!crier_is_wanted(&making) || crier_class_of(&making, making.cgroup_id) == CRIER_CGROUP_HOST) {
		crier_drop_filtered(making.counters, CRIER_CLASS_BULK);
		return 0;
	}
	is_init = crier_is_init(task, &known_init);
	if (crier_signal_source(info, &code)) {
		flags |= CRIER_SIGNAL_FROM_PROCESS;
		if (stopping && is_init && crier_current_cgroup_id() != making.cgroup_id)
			flags |= CRIER_SIGNAL_STOP_INIT;
	}
	if (crier_is_fatal(task, signal, result))
		flags |= CRIER_SIGNAL_FATAL;
	if (!(flags & (CRIER_SIGNAL_FATAL | CRIER_SIGNAL_STOP_INIT)))
		return 0;
	if (is_init)
		making.ring = CRIER_CLASS_CRITICAL;
	if (!crier_admit(&making))
		return 0;
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	record->signal = signal;
	record->code = code;
	record->result = result;
	record->flags = flags;
	crier_fill_signal(&making, record, task, known_init);
	crier_submit(&making, record);
	return 0;
}

SEC("tp_btf/signal_generate")
int crier_tp_signal(__u64 *ctx)
{
	return crier_signal(true, (__u32)ctx[0], ctx[1], crier_readable(task_struct, ctx[2]), ctx[3] & 1,
			    (__u32)ctx[4], CRIER_HOOK_TP_BTF_SIGNAL);
}

SEC("raw_tp/signal_generate")
int crier_raw_signal(struct bpf_raw_tracepoint_args *ctx)
{
	return crier_signal(false, (__u32)ctx->args[0], ctx->args[1], (void *)ctx->args[2], ctx->args[3] & 1,
			    (__u32)ctx->args[4], CRIER_HOOK_RAW_TP_SIGNAL);
}
