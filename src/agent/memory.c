/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C library may keep. A burst (a list of thousands of containers, a flood of events on hold, a reader that
 * hangs) needs memory for seconds; a daemon that keeps it for good is what people measure.
 */
#include "agent.h"

#include <malloc.h>

/* Anything larger goes back to the kernel when it is freed; setting it also ends glibc's raising of it. */
#define MMAP_THRESHOLD (128 * 1024)
/* Free memory that is worth the walk over it. */
#define TRIM_BYTES    ((size_t)1024 * 1024)
#define TRIM_EVERY_NS (10 * SECOND_NS)

void crier_agent_limit_memory(void)
{
	/* One arena for all threads: the event path allocates nothing, so nobody waits, and gRPC's threads keep none of their own. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	mallopt(M_TRIM_THRESHOLD, MMAP_THRESHOLD);
}

void crier_agent_give_back(struct crier_agent *agent, uint64_t now_ns)
{
	crier_sink_trim(agent->sink);
	if (now_ns - agent->trimmed_ns < TRIM_EVERY_NS)
		return;
	agent->trimmed_ns = now_ns;
	if (mallinfo2().fordblks >= TRIM_BYTES)
		malloc_trim(0);
}
