/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels are built without what function hooks need (ftrace direct calls, kprobe events), and no BTF tells. A
 * refusal met by the object costs one load more or two, and the reading of all of BTF; a program of two instructions asks in 0.2 ms.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>

/* @return 0: loads and attaches */
static int try_fentry(unsigned btf_id)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct bpf_prog_load_opts opts = {
		.sz = sizeof(opts), .expected_attach_type = BPF_TRACE_FENTRY, .attach_btf_id = btf_id};
	_cleanup_close_ int link = -1, prog;

	prog = bpf_prog_load(BPF_PROG_TYPE_TRACING, "crier_trial", "GPL", insns, CRIER_ARRAY_SIZE(insns),
			     &opts);
	if (prog < 0)
		return -errno;
	link = bpf_raw_tracepoint_open(NULL, prog);
	return link < 0 ? -errno : 0;
}

static bool has_kprobes(void)
{
	return access("/sys/bus/event_source/devices/kprobe/type", F_OK) == 0 ||
	       access("/sys/kernel/tracing/kprobe_events", F_OK) == 0 ||
	       access("/sys/kernel/debug/tracing/kprobe_events", F_OK) == 0;
}

/* A switch of the kernel's; one that cannot be read counts as on. */
static bool is_switched_off(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char value = '1';

	return fd >= 0 && read(fd, &value, 1) == 1 && value == '0';
}

/*
 * Function hooks that would attach and never fire (tried: on 6.1 fentry and kprobes both do with ftrace_enabled 0, kprobes on
 * every kernel with kprobes/enabled 0). No own child can prove those that serve OOM kills. @return NULL: they would fire
 */
static const char *silenced_by(enum crier_hook_kind kind)
{
	bool by_ftrace = kind == CRIER_HOOK_KIND_FENTRY;

#if defined(__x86_64__) /* there kprobes at a function's entry are ftrace's; arm64 plants an instruction */
	by_ftrace = by_ftrace || kind == CRIER_HOOK_KIND_KPROBE;
#endif
	if (by_ftrace && is_switched_off("/proc/sys/kernel/ftrace_enabled"))
		return "it would never fire: sysctl kernel.ftrace_enabled is 0";
	if (kind == CRIER_HOOK_KIND_KPROBE && is_switched_off("/sys/kernel/debug/kprobes/enabled"))
		return "it would never fire: /sys/kernel/debug/kprobes/enabled is 0";
	return NULL;
}

/* @return true: refused, the next hook of the list is chosen now */
static bool try_hook(struct crier_choice *choice, const struct crier_btf_facts *facts, unsigned event)
{
	const struct crier_hook *hook = crier_choice_hook(choice, event);
	const char *silenced = hook ? silenced_by(hook->kind) : NULL;
	int r;

	if (!hook)
		return false;
	if (silenced) {
		crier_choice_refuse(choice, event, "%s", silenced);
		return true;
	}
	if (hook->kind == CRIER_HOOK_KIND_KPROBE && !has_kprobes()) {
		crier_choice_refuse(choice, event, "this kernel offers no kprobes (CONFIG_KPROBE_EVENTS)");
		return true;
	}
	if (hook->kind != CRIER_HOOK_KIND_FENTRY)
		return false;
	r = try_fentry(facts->found[event][choice->chosen[event]]);
	if (r == 0)
		return false;
	crier_choice_refuse(choice, event, "trial refused: %s; needs CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
			    r == -524 ? "not supported" : strerror(-r)); /* 524: the kernel's own ENOTSUPP */
	return true;
}

void crier_trial(struct crier_choice *choice, const struct crier_btf_facts *facts)
{
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		while (try_hook(choice, facts, event))
			;
}
