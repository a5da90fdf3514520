// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* Cgroups made, removed, filled and emptied. Control records: they feed user space's tables. */
#include "helpers.h"
#include "task.h"

char LICENSE[] SEC("license") = "GPL";

struct crier_mkdir_record {
	struct crier_wire_cgroup_mkdir fixed;
	__u8 name[CRIER_WIRE_NAME_MAX + 8]; /* and the pad */
};

/* A container makes one cgroup in each of up to a dozen hierarchies, with ids of their own. */
crier_inline bool crier_is_primary(const bool direct, struct cgroup *cgroup)
{
	struct cgroup_root *root = crier_get(direct, cgroup, root);

	return (__u32)crier_get(direct, root, hierarchy_id) == crier_primary_hierarchy_id;
}

/* Only a container's children are known at birth: kubepods itself is made below a host cgroup. */
crier_inline __u32 crier_inherit_class(struct crier_making *making, __u64 parent_id)
{
	__u32 cgroup_class = crier_class_of(making, parent_id);

	if (cgroup_class != CRIER_CGROUP_CONTAINER)
		return CRIER_CGROUP_UNDETERMINED;
	if (bpf_map_update_elem(&crier_classes, &making->cgroup_id, &cgroup_class, BPF_ANY)) {
		crier_count(&making->counters->class_map_full);
		return CRIER_CGROUP_UNDETERMINED;
	}
	return cgroup_class;
}

crier_inline void crier_note_serial(const bool direct, struct cgroup *cgroup)
{
	/* All hierarchies share one counter, and cgroup_mutex orders the makers. */
	if (!crier_first_serial)
		crier_first_serial = crier_get(direct, cgroup, self.serial_nr);
}

crier_inline int crier_mkdir(const bool direct, struct cgroup *cgroup, __u8 hook)
{
	struct crier_making making = {
		.type = CRIER_WIRE_CGROUP_MKDIR, .ring = CRIER_CLASS_CRITICAL, .hook = hook};
	struct crier_mkdir_record *record;
	struct cgroup_subsys_state *parent;
	struct kernfs_node *kn;
	__u32 cgroup_class;
	__u64 parent_id;
	__u64 length;
	long size;

	crier_note_serial(direct, cgroup);
	if (!crier_is_primary(direct, cgroup))
		return 0;
	if (!crier_begin(&making))
		return 0;
	/* by the css: kernfs_node.parent became __parent with 6.15 (741c10b096bc), and RCU-protected */
	parent = crier_get(direct, cgroup, self.parent);
	parent_id = crier_cgroup_id(direct, crier_get(direct, parent, cgroup));
	kn = crier_get(direct, cgroup, kn);
	making.cgroup_id = crier_get(direct, kn, id);
	making.now = bpf_ktime_get_boot_ns();
	cgroup_class = crier_inherit_class(&making, parent_id);

	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	/* the tracepoint's path is cut at 1023 bytes, in the middle; the leaf never is */
	size = bpf_probe_read_kernel_str(record->name, CRIER_WIRE_NAME_MAX, crier_get(direct, kn, name));
	if (size < 1) {
		crier_count(&making.counters->lookup_missed);
		size = 1;
	}
	length = (__u64)(size - 1) & (CRIER_WIRE_NAME_MAX - 1); /* without the NUL */
	crier_keep_bounds(length);
	*(__u64 *)(record->name + length) = 0; /* the pad up to a multiple of 8 */
	record->fixed.parent_id = parent_id;
	record->fixed.level = (__u32)crier_get(direct, cgroup, level);
	record->fixed.cgroup_class = (__u8)cgroup_class;
	record->fixed.zero[0] = record->fixed.zero[1] = record->fixed.zero[2] = 0;
	record->fixed.name.offset = length ? sizeof(record->fixed) : 0;
	record->fixed.name.length = (__u16)length;
	record->fixed.zero2 = 0;
	crier_fill_header(&making, &record->fixed.header,
			  sizeof(record->fixed) + ((__u32)(length + 7) & ~7u));
	crier_submit(&making, record);
	return 0;
}

/* Nobody is left in it to be killed: its OOM count is of no more use. Best effort, the css may be gone. */
crier_inline void crier_forget_oom_count(const bool direct, struct cgroup *cgroup)
{
	struct cgroup_subsys_state *css = crier_memory_css(direct, cgroup);
	__u64 serial;

	if (!css)
		return;
	serial = crier_get(direct, css, serial_nr);
	bpf_map_delete_elem(&crier_oom_counts, &serial);
}

crier_inline int crier_rmdir(const bool direct, struct cgroup *cgroup, __u8 hook)
{
	struct crier_making making = {
		.type = CRIER_WIRE_CGROUP_RMDIR, .ring = CRIER_CLASS_CRITICAL, .hook = hook};
	struct crier_wire_cgroup_rmdir *record;

	crier_forget_oom_count(direct, cgroup);
	if (!crier_is_primary(direct, cgroup))
		return 0;
	if (!crier_begin(&making))
		return 0;
	making.cgroup_id = crier_cgroup_id(direct, cgroup);
	making.now = bpf_ktime_get_boot_ns();
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	crier_fill_header(&making, &record->header, sizeof(*record));
	crier_submit(&making, record);
	return 0;
}

crier_inline int crier_populated(const bool direct, struct cgroup *cgroup, __u32 populated, __u8 hook)
{
	struct crier_making making = {
		.type = CRIER_WIRE_CGROUP_POPULATED, .ring = CRIER_CLASS_CRITICAL, .hook = hook};
	struct crier_wire_cgroup_populated *record;

	if (!crier_is_primary(direct, cgroup))
		return 0;
	if (!crier_begin(&making))
		return 0;
	making.cgroup_id = crier_cgroup_id(direct, cgroup);
	if (crier_class_of(&making, making.cgroup_id) == CRIER_CGROUP_HOST)
		return 0;
	making.now = bpf_ktime_get_boot_ns();
	record = crier_reserve(&making, sizeof(*record));
	if (!record)
		return 0;
	record->populated = populated ? 1 : 0;
	record->zero = 0;
	crier_fill_header(&making, &record->header, sizeof(*record));
	crier_submit(&making, record);
	return 0;
}

SEC("tp_btf/cgroup_mkdir")
int crier_tp_cgroup_mkdir(__u64 *ctx)
{
	return crier_mkdir(true, crier_readable(cgroup, ctx[0]), CRIER_HOOK_TP_BTF_CGROUP_MKDIR);
}

SEC("raw_tp/cgroup_mkdir")
int crier_raw_cgroup_mkdir(struct bpf_raw_tracepoint_args *ctx)
{
	return crier_mkdir(false, (void *)ctx->args[0], CRIER_HOOK_RAW_TP_CGROUP_MKDIR);
}

SEC("tp_btf/cgroup_rmdir")
int crier_tp_cgroup_rmdir(__u64 *ctx)
{
	return crier_rmdir(true, crier_readable(cgroup, ctx[0]), CRIER_HOOK_TP_BTF_CGROUP_RMDIR);
}

SEC("raw_tp/cgroup_rmdir")
int crier_raw_cgroup_rmdir(struct bpf_raw_tracepoint_args *ctx)
{
	return crier_rmdir(false, (void *)ctx->args[0], CRIER_HOOK_RAW_TP_CGROUP_RMDIR);
}

SEC("tp_btf/cgroup_notify_populated")
int crier_tp_cgroup_populated(__u64 *ctx)
{
	return crier_populated(true, crier_readable(cgroup, ctx[0]), (__u32)ctx[2],
			       CRIER_HOOK_TP_BTF_CGROUP_POPULATED);
}

SEC("raw_tp/cgroup_notify_populated")
int crier_raw_cgroup_populated(struct bpf_raw_tracepoint_args *ctx)
{
	return crier_populated(false, (void *)ctx->args[0], (__u32)ctx->args[2],
			       CRIER_HOOK_RAW_TP_CGROUP_POPULATED);
}
