/* SPDX-License-Identifier: Apache-2.0 */
/* One object of each struct of the wire, compiled with -gbtf: test_open.c compares it with the BPF object. */
#include "crier/wire.h"

struct {
	struct crier_wire_header header;
	struct crier_wire_text text;
	struct crier_wire_task task;
	struct crier_wire_cgroup_mkdir cgroup_mkdir;
	struct crier_wire_cgroup_rmdir cgroup_rmdir;
	struct crier_wire_cgroup_populated cgroup_populated;
	struct crier_wire_pressure_hint pressure_hint;
	struct crier_wire_exec exec;
	struct crier_wire_fork fork;
	struct crier_wire_exit exit;
	struct crier_wire_signal signal;
	struct crier_wire_oom_level oom_level;
	struct crier_wire_oom oom;
	struct crier_wire_control control;
	struct crier_wire_counters counters;
	struct crier_wire_cpu cpu;
	struct crier_wire_slot slot;
	struct crier_wire_budget budget;
	struct crier_wire_seed seed;
} crier_layout;
