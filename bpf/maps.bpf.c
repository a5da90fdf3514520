// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The one definition of everything that maps.h and compat.h declare. */
#define CRIER_BPF_MAPS_OWNER
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

const volatile bool crier_exit_has_group_dead = false;
const volatile bool crier_has_second = false;
const volatile bool crier_primary_is_v2 = false;
const volatile __u32 crier_primary_hierarchy_id = 0;
const volatile __u32 crier_page_size = 4096;

/* Puts the types of the wire into the object's BTF; tests/bpf compares them with user space's. */
struct crier_record_types {
	struct crier_wire_cgroup_mkdir cgroup_mkdir;
	struct crier_wire_cgroup_rmdir cgroup_rmdir;
	struct crier_wire_cgroup_populated cgroup_populated;
	struct crier_wire_pressure_hint pressure_hint;
	struct crier_wire_exec exec;
	struct crier_wire_fork fork;
	struct crier_wire_exit exit;
	struct crier_wire_signal signal;
	struct crier_wire_oom oom;
	struct crier_wire_seed seed;
	struct crier_wire_control control;
	struct crier_wire_cpu cpu;
};

const struct crier_record_types *crier_record_types_unused = 0;

__u64 crier_first_serial = 0;
__u32 crier_oom_counts_incomplete = 0;
