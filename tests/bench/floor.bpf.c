/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The kernel side of the floor agent: exec and exit into a ring, by helpers only, 128 bytes each; nothing is filtered. And, instead
 * of them, the least that a filter can do: whose cgroup, is it told of, one count.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

struct floor_record {
	__u64 boottime_ns, cgroup_id, pid_tgid, uid_gid;
	char comm[16];
	__u64 type;
	__u64 zero[9];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} floor_ring SEC(".maps");

__u64 floor_lost;

static __always_inline int floor_tell(__u64 type)
{
	struct floor_record *record = bpf_ringbuf_reserve(&floor_ring, sizeof(*record), 0);

	if (!record) {
		__sync_fetch_and_add(&floor_lost, 1);
		return 0;
	}
	record->boottime_ns = bpf_ktime_get_boot_ns();
	record->cgroup_id = bpf_get_current_cgroup_id();
	record->pid_tgid = bpf_get_current_pid_tgid();
	record->uid_gid = bpf_get_current_uid_gid();
	bpf_get_current_comm(record->comm, sizeof(record->comm));
	record->type = type;
	for (int i = 0; i < 9; i++)
		record->zero[i] = 0;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int floor_exec(__u64 *ctx)
{
	return floor_tell(1);
}

SEC("tp_btf/sched_process_exit")
int floor_exit(__u64 *ctx)
{
	return floor_tell(2);
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} floor_told SEC(".maps");

__u64 floor_filtered;

/* Nothing is in the table: every event is the host's. */
static __always_inline int floor_filter(void)
{
	__u64 cgroup_id = bpf_get_current_cgroup_id();

	if (!bpf_map_lookup_elem(&floor_told, &cgroup_id))
		__sync_fetch_and_add(&floor_filtered, 1);
	return 0;
}

SEC("?tp_btf/sched_process_exec")
int floor_host_exec(__u64 *ctx)
{
	return floor_filter();
}

SEC("?tp_btf/sched_process_exit")
int floor_host_exit(__u64 *ctx)
{
	return floor_filter();
}

SEC("?tp_btf/sched_process_fork")
int floor_host_fork(__u64 *ctx)
{
	return floor_filter();
}

/* Run by BPF_PROG_TEST_RUN, never attached: 48 events at once, see inject.c. */
SEC("raw_tp/sched_process_exec")
int floor_inject(__u64 *ctx)
{
	for (int i = 0; i < 48; i++)
		floor_tell(1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
