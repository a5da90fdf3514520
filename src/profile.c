/* SPDX-License-Identifier: Apache-2.0 */
/* What each profile emits, and the kernel events that takes. */
#include "crier/config.h"

const char *const crier_profile_names[CRIER_PROFILE_COUNT + 1] = {
	"minimal", "default", "process", "memory", "full", NULL,
};

#define TYPE(name)  (1u << CRIER_TYPE_##name)
#define PROBE(name) (1u << CRIER_PROBE_##name)

/* `resolved` mends lines that were emitted, so each profile has it. */
#define TYPES_MINIMAL                                                                                        \
	(TYPE(CONTAINER_OOM) | TYPE(NODE_OOM) | TYPE(CONTAINER_EXITED) | TYPE(CONTAINER_RESOLVED) |          \
	 TYPE(AGENT_START) | TYPE(AGENT_HEALTH) | TYPE(AGENT_STATS) | TYPE(AGENT_LOSS) | TYPE(AGENT_STOP))
#define TYPES_PRESSURE (TYPE(CONTAINER_MEMORY_PRESSURE) | TYPE(NODE_MEMORY_PRESSURE))
#define TYPES_DEFAULT                                                                                        \
	(TYPES_MINIMAL | TYPES_PRESSURE | TYPE(CONTAINER_CREATED) | TYPE(CONTAINER_STARTED) |                \
	 TYPE(CONTAINER_REMOVED) | TYPE(CONTAINER_SNAPSHOT) | TYPE(CONTAINER_CPU_THROTTLE) |                 \
	 TYPE(PROCESS_SIGNAL) | TYPE(PROCESS_EXIT))

/*
 * cgroup events make containers known, exec tells their inits, exit their ends, signals how they were stopped: no
 * profile can do without them, since each has container.exited.
 */
#define PROBES_BASE                                                                                          \
	(PROBE(CGROUP_MKDIR) | PROBE(CGROUP_RMDIR) | PROBE(CGROUP_POPULATED) | PROBE(EXEC) | PROBE(EXIT) |   \
	 PROBE(SIGNAL) | PROBE(OOM) | PROBE(OOM_CONTROL) | PROBE(OOM_VICTIM))

static const struct {
	uint32_t types, probes;
} profiles[CRIER_PROFILE_COUNT] = {
	[CRIER_PROFILE_MINIMAL] = {TYPES_MINIMAL, PROBES_BASE},
	[CRIER_PROFILE_DEFAULT] = {TYPES_DEFAULT, PROBES_BASE | PROBE(PRESSURE)},
	[CRIER_PROFILE_PROCESS] = {TYPES_DEFAULT | TYPE(PROCESS_EXEC), PROBES_BASE | PROBE(PRESSURE)},
	[CRIER_PROFILE_MEMORY] = {TYPES_MINIMAL | TYPES_PRESSURE, PROBES_BASE | PROBE(PRESSURE)},
	[CRIER_PROFILE_FULL] = {TYPES_DEFAULT | TYPE(PROCESS_EXEC) | TYPE(PROCESS_FORK),
				PROBES_BASE | PROBE(PRESSURE) | PROBE(FORK)},
};

uint32_t crier_profile_types(enum crier_profile profile)
{
	return profiles[profile].types;
}

uint32_t crier_profile_probes(enum crier_profile profile)
{
	return profiles[profile].probes;
}
