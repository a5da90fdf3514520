/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much CPU crier may use (--max-cpu). Over it, bulk events are left in their ring: reading one costs a hundred times
 * what the kernel pays to count one that does not fit. Critical events are read all the while. Pure; times are arguments.
 */
#ifndef CRIER_CPU_BUDGET_H
#define CRIER_CPU_BUDGET_H

#include <stdint.h>

struct crier_cpu_budget {
	double share;		  /* of one CPU; 0 = no bound */
	int64_t left_ns;	  /* CPU time it may use at once; below 0: overdrawn */
	uint64_t wall_ns, cpu_ns; /* when it was last looked at */
};

/** A full budget. `cpu_ns`: CPU time of the process so far, all threads. */
void crier_cpu_budget_init(struct crier_cpu_budget *budget, double share, uint64_t wall_ns, uint64_t cpu_ns);

/** Another share from now on; what was saved or overdrawn stays. */
void crier_cpu_budget_set(struct crier_cpu_budget *budget, double share);

/**
 * Book what was used since the last call. A budget saves up one second's share, and is overdrawn by ten seconds' at most.
 * A rest saves up 1 ms of CPU (half a second's share when that is less), so that it pays for the turns that follow it.
 * @return wall time until which bulk events have to rest; 0 = go on
 */
uint64_t crier_cpu_budget_spend(struct crier_cpu_budget *budget, uint64_t wall_ns, uint64_t cpu_ns);

#endif
