/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/cpu_budget.h"

#include "crier/base/cleanup.h"

#define SECOND_NS    1000000000.0
#define DEBT_SECONDS 10 /* a turn cannot be cut short: with a small share it costs more than a second's */
/* What a rest saves up: some turns' worth. Without it the turn that follows overdraws again, for ever. */
#define REST_NS 1000000.0

void crier_cpu_budget_init(struct crier_cpu_budget *budget, double share, uint64_t wall_ns, uint64_t cpu_ns)
{
	*budget = (struct crier_cpu_budget){
		.share = share,
		.left_ns = (int64_t)(share * SECOND_NS),
		.wall_ns = wall_ns,
		.cpu_ns = cpu_ns,
	};
}

void crier_cpu_budget_set(struct crier_cpu_budget *budget, double share)
{
	budget->share = share;
}

uint64_t crier_cpu_budget_spend(struct crier_cpu_budget *budget, uint64_t wall_ns, uint64_t cpu_ns)
{
	double second = budget->share * SECOND_NS;
	double earned = wall_ns > budget->wall_ns ? (double)(wall_ns - budget->wall_ns) * budget->share : 0;
	double used = cpu_ns > budget->cpu_ns ? (double)(cpu_ns - budget->cpu_ns) : 0;
	/* what was saved is capped before it is spent: a long sleep does not pay for more than a second */
	double left = crier_min((double)budget->left_ns + earned, second) - used;

	left = crier_max(left, -DEBT_SECONDS * second);
	budget->left_ns = (int64_t)left;
	budget->wall_ns = wall_ns;
	budget->cpu_ns = cpu_ns;
	if (budget->share <= 0 || left >= 0)
		return 0;
	return wall_ns + (uint64_t)((crier_min(REST_NS, second / 2) - left) / budget->share) + 1;
}
