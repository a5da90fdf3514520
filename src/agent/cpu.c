/* SPDX-License-Identifier: Apache-2.0 */
/* --max-cpu: above it bulk events rest in their ring, and the kernel counts what does not fit. Critical ones never do. */
#include "agent.h"

#include <time.h>

/* Without a rest for so long, the load is over. */
#define CALM_NS (10 * SECOND_NS)

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

void crier_agent_cpu_start(struct crier_agent *agent)
{
	/* what the start costs is not held against the first events */
	crier_cpu_budget_init(&agent->cpu, agent->config->max_cpu, crier_agent_now(), cpu_now());
}

void crier_agent_cpu_begin(struct crier_agent *agent, uint64_t now_ns)
{
	if (now_ns >= agent->bulk_rests_until_ns)
		agent->bulk_rests_until_ns = 0;
	crier_observer_rest_bulk(&agent->observer, agent->bulk_rests_until_ns != 0);
}

static void tell(struct crier_agent *agent, uint64_t now_ns)
{
	if (agent->bulk_rests_until_ns && !agent->rest_told) {
		agent->rest_told = true;
		crier_warn(
			"--max-cpu %g is reached: bulk events wait, what does not fit their ring is lost and counted",
			agent->config->max_cpu);
		crier_agent_health(
			agent, "cpu", "degraded",
			"--max-cpu is reached: bulk events wait, and what does not fit their ring is lost",
			"raise --max-cpu, lower --event-rate, or choose a smaller --profile");
	} else if (agent->rest_told && now_ns - agent->bulk_rested_ns >= CALM_NS) {
		agent->rest_told = false;
		crier_agent_health(agent, "cpu", "ok", "bulk events are read as they come", "nothing to do");
	}
}

void crier_agent_cpu_end(struct crier_agent *agent, uint64_t now_ns)
{
	crier_cpu_budget_set(&agent->cpu, agent->config->max_cpu);
	if (agent->config->max_cpu > 0)
		agent->bulk_rests_until_ns = crier_max(
			agent->bulk_rests_until_ns, crier_cpu_budget_spend(&agent->cpu, now_ns, cpu_now()));
	else
		agent->bulk_rests_until_ns = 0;
	if (agent->bulk_rests_until_ns)
		agent->bulk_rested_ns = now_ns;
	tell(agent, now_ns);
}
