// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/*
 * More events than two CPUs can make by living: records of made-up processes, put into crier's own ring by crier's own way
 * in (budget, ring, wake-up, counters). Only what fills a record from a task is left out. Run by BPF_PROG_TEST_RUN.
 */
#include "../../bpf/helpers.h"

char LICENSE[] SEC("license") = "GPL";

#define LIVES 16 /* of a run: fork, exec and exit of each */

/* Of all runs; a map of its own, since the others are crier's. */
struct inject_state {
	__u64 pid;
	__u64 submitted;
	__u64 failed;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct inject_state);
} inject_states SEC(".maps");

crier_inline void fill_task(struct crier_wire_task *task, __u64 cgroup_id, __u64 now, __u32 pid)
{
	__builtin_memset(task, 0, sizeof(*task));
	task->start_boottime_ns = now;
	task->parent_start_boottime_ns = 900000000000ULL;
	task->cgroup_id = cgroup_id;
	task->pid = task->tid = pid;
	task->vpid = pid & 0x3ff;
	task->parent_pid = 29999;
	task->uid = 1000;
	task->flags = CRIER_TASK_VALID | CRIER_TASK_EXECED;
	__builtin_memcpy(task->comm, "curl", 5);
}

crier_inline void count(struct inject_state *state, const void *record)
{
	if (record)
		state->submitted++;
	else
		state->failed++;
}

struct exec_record {
	struct crier_wire_exec exec;
	char name[16];
};

crier_inline void make_fork(struct crier_making *making, struct inject_state *state, __u32 pid)
{
	struct crier_wire_fork *record;

	making->type = CRIER_WIRE_FORK;
	making->hook = CRIER_HOOK_TP_BTF_FORK;
	if (!crier_admit(making))
		return;
	record = crier_reserve(making, sizeof(*record));
	count(state, record);
	if (!record)
		return;
	crier_fill_header(making, &record->header, sizeof(*record));
	fill_task(&record->child, making->cgroup_id, making->now, pid);
	fill_task(&record->parent, making->cgroup_id, making->now, 29999);
	crier_submit(making, record);
}

crier_inline void make_exec(struct crier_making *making, struct inject_state *state, __u32 pid)
{
	struct exec_record *record;

	making->type = CRIER_WIRE_EXEC;
	making->hook = CRIER_HOOK_TP_BTF_EXEC;
	if (!crier_admit(making))
		return;
	record = crier_reserve(making, sizeof(*record));
	count(state, record);
	if (!record)
		return;
	crier_fill_header(making, &record->exec.header, sizeof(*record));
	fill_task(&record->exec.task, making->cgroup_id, making->now, pid);
	record->exec.flags = 0;
	record->exec.args_count = 3;
	record->exec.filename.offset = sizeof(record->exec);
	record->exec.filename.length = 13;
	record->exec.args.offset = record->exec.args.length = 0;
	__builtin_memcpy(record->name, "/usr/bin/curl\0\0", sizeof(record->name));
	crier_submit(making, record);
}

crier_inline void make_exit(struct crier_making *making, struct inject_state *state, __u32 pid)
{
	struct crier_wire_exit *record;

	making->type = CRIER_WIRE_EXIT;
	making->hook = CRIER_HOOK_TP_BTF_EXIT;
	if (!crier_admit(making))
		return;
	record = crier_reserve(making, sizeof(*record));
	count(state, record);
	if (!record)
		return;
	crier_fill_header(making, &record->header, sizeof(*record));
	fill_task(&record->task, making->cgroup_id, making->now - 3579111, pid);
	record->user_ns = 1234000;
	record->system_ns = 2345000;
	record->cpu_ns = 3579111;
	record->peak_rss_bytes = 3 << 20;
	record->status = 0;
	record->flags = CRIER_EXIT_GROUP_EXIT;
	crier_submit(making, record);
}

/* args[0]: the cgroup it happens in */
SEC("raw_tp/sched_process_exec")
int crier_inject(struct bpf_raw_tracepoint_args *ctx)
{
	struct crier_making making = {.ring = CRIER_CLASS_BULK};
	__u32 zero = 0;
	struct inject_state *state = bpf_map_lookup_elem(&inject_states, &zero);

	if (!state || !crier_begin(&making))
		return 0;
	making.cgroup_id = ctx->args[0];
	for (int i = 0; i < LIVES; i++) {
		__u32 pid = 30000 + (__u32)state->pid++ % 4000000;

		make_fork(&making, state, pid);
		make_exec(&making, state, pid);
		make_exit(&making, state, pid);
	}
	return 0;
}
