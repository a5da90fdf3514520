// SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0
/* The one definition of everything that maps.h and compat.h declare. */
#define CRIER_BPF_MAPS_OWNER
#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

const volatile bool crier_exit_has_group_dead = false;
const volatile bool crier_primary_is_v2 = false;
const volatile __u32 crier_primary_hierarchy_id = 0;
const volatile __u32 crier_page_size = 4096;

struct crier_wire_control crier_control = {
	.event_mask = 0xffffffff, /* not zero: it must lie in .data, not .bss */
};

__u64 crier_first_serial = 0;
__u32 crier_class_generation = 0;
__u32 crier_oom_counts_incomplete = 0;
