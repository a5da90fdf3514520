/* SPDX-License-Identifier: Apache-2.0 */
/* The type table, and events at their beginning: all absent. */
#include "crier/event_data.h"

#include <assert.h>

#include "fields.h"
#include "crier/names.h"

#define TYPE(name_, severity_, priority_, critical_, full_, fields_, struct_, doc_)                          \
	{                                                                                                    \
		.name = (name_), .severity = CRIER_SEVERITY_##severity_,                                     \
		.priority = CRIER_PRIORITY_##priority_, .critical_class = (critical_), .full = (full_),      \
		.data = (fields_), .data_size = sizeof(struct_), .doc = (doc_)                               \
	}

static const struct crier_field no_fields[] = {FIELDS_END};

/* severity, priority, loss class critical, full rendering by default */
static const struct crier_type_info rows[CRIER_TYPE_COUNT] = {
	[CRIER_TYPE_NONE] = {.data = no_fields},
	[CRIER_TYPE_CONTAINER_CREATED] =
		TYPE("container.created", INFO, NORMAL, 1, 1, crier_created_fields, struct crier_data_created,
		     "A container's cgroup was made: the runtime is about to start it."),
	[CRIER_TYPE_CONTAINER_STARTED] =
		TYPE("container.started", INFO, NORMAL, 1, 1, crier_started_fields, struct crier_data_started,
		     "A container's init executed its program. After a restart it names the death before."),
	[CRIER_TYPE_CONTAINER_EXITED] =
		TYPE("container.exited", WARN, NORMAL, 1, 1, crier_exited_fields, struct crier_data_exited,
		     "A container ended; exactly one per container id that existed, also for one that "
		     "never started. It waits up to 500 ms for the runtime's words. Severity: info for "
		     "exit 0 and for a stop that was obeyed, error for an OOM or another failure, warn "
		     "else."),
	[CRIER_TYPE_CONTAINER_REMOVED] =
		TYPE("container.removed", INFO, LOW, 1, 1, crier_removed_fields, struct crier_data_removed,
		     "A container is gone from the runtime."),
	[CRIER_TYPE_CONTAINER_RESOLVED] = TYPE(
		"container.resolved", INFO, NORMAL, 1, 1, crier_resolved_fields, struct crier_data_resolved,
		"Metadata that came after lines had left without it: mends them."),
	[CRIER_TYPE_CONTAINER_SNAPSHOT] =
		TYPE("container.snapshot", INFO, LOW, 0, 1, crier_snapshot_fields, struct crier_data_snapshot,
		     "A container as it stands: at crier's start and hourly."),
	[CRIER_TYPE_CONTAINER_OOM] =
		TYPE("container.oom", FATAL, CRITICAL, 1, 1, crier_oom_fields, struct crier_data_oom,
		     "The kernel's OOM killer chose a process of a container; one line per victim process. "
		     "`process` is the victim, `actor` whose allocation led to it."),
	[CRIER_TYPE_CONTAINER_MEMORY_PRESSURE] =
		TYPE("container.memory_pressure", WARN, HIGH, 1, 1, crier_pressure_fields,
		     struct crier_data_pressure,
		     "A container's working set nears its limit: told when it begins, at most every 60 s "
		     "while it goes on, and when it is over."),
	[CRIER_TYPE_CONTAINER_CPU_THROTTLE] =
		TYPE("container.cpu_throttle", WARN, NORMAL, 0, 1, crier_throttle_fields,
		     struct crier_data_throttle,
		     "A container with a CPU quota was throttled in more than a quarter of its periods."),
	[CRIER_TYPE_PROCESS_EXEC] = TYPE("process.exec", INFO, LOW, 0, 0, crier_exec_fields,
					 struct crier_data_exec, "A process executed a program."),
	[CRIER_TYPE_PROCESS_FORK] =
		TYPE("process.fork", DEBUG, LOW, 0, 0, crier_fork_fields, struct crier_data_fork,
		     "A process was made. `process` is the child, `actor` its parent."),
	[CRIER_TYPE_PROCESS_EXIT] =
		TYPE("process.exit", INFO, LOW, 0, 0, crier_exit_fields, struct crier_data_exit,
		     "A process ended: its last thread did. Severity warn for a death by signal."),
	[CRIER_TYPE_PROCESS_SIGNAL] =
		TYPE("process.signal", INFO, NORMAL, 0, 0, crier_signal_fields, struct crier_data_signal,
		     "A signal that ends its target, or a stop signal to a container's init from outside. "
		     "`process` is the target, `actor` the sender."),
	[CRIER_TYPE_NODE_OOM] =
		TYPE("node.oom", FATAL, CRITICAL, 1, 1, crier_oom_fields, struct crier_data_oom,
		     "The kernel's OOM killer chose a process that is in no container."),
	[CRIER_TYPE_NODE_MEMORY_PRESSURE] =
		TYPE("node.memory_pressure", WARN, HIGH, 1, 1, crier_node_pressure_fields,
		     struct crier_data_node_pressure, "The node runs short of memory."),
	[CRIER_TYPE_AGENT_START] = TYPE(
		"agent.start", INFO, NORMAL, 1, 1, crier_agent_start_fields, struct crier_data_agent_start,
		"crier watches: all hooks are attached. The first line of an instance."),
	[CRIER_TYPE_AGENT_HEALTH] =
		TYPE("agent.health", WARN, HIGH, 1, 1, crier_health_fields, struct crier_data_health,
		     "A part of crier changed between ok, degraded and down."),
	[CRIER_TYPE_AGENT_STATS] = TYPE("agent.stats", INFO, LOW, 1, 1, crier_stats_fields,
					struct crier_data_stats, "crier's own counters, every 60 s."),
	[CRIER_TYPE_AGENT_LOSS] =
		TYPE("agent.loss", WARN, HIGH, 1, 1, crier_loss_fields, struct crier_data_loss,
		     "Events that left no line, counted exactly; in order within the stream."),
	[CRIER_TYPE_AGENT_STOP] = TYPE("agent.stop", INFO, NORMAL, 1, 1, crier_stop_fields,
				       struct crier_data_stop, "crier ends. The last line of an instance."),
};

const struct crier_type_info *crier_type_info(unsigned type)
{
	assert(type < CRIER_TYPE_COUNT);
	return &rows[type];
}

enum crier_type crier_type_parse(struct crier_slice name)
{
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++)
		if (crier_slice_equal(name, crier_slice_of(crier_type_names[type])))
			return type;
	return CRIER_TYPE_NONE;
}

/* What the tables call absent, spelled out: this runs once per event. A test compares the two. */
static const struct crier_event absent = {
	.cpu = CRIER_UNKNOWN_U64,
	.boottime_ns = CRIER_UNKNOWN_U64,
	.process = {.pid = CRIER_UNKNOWN_U64,
		    .tid = CRIER_UNKNOWN_U64,
		    .vpid = CRIER_UNKNOWN_U64,
		    .parent_pid = CRIER_UNKNOWN_U64,
		    .user_id = CRIER_UNKNOWN_U64,
		    .start_boottime_ns = CRIER_UNKNOWN_U64},
	.actor = {.pid = CRIER_UNKNOWN_U64},
	.cgroup = {.id = CRIER_UNKNOWN_U64, .version = CRIER_UNKNOWN_U64},
	.attribution = {.wait_us = CRIER_UNKNOWN_U64},
	.correlation = {.incident = CRIER_UNKNOWN_U64},
};

void crier_event_init(struct crier_event *event, enum crier_type type)
{
	*event = absent;
	event->type = (uint8_t)type;
	if (type >= CRIER_TYPE_NODE_OOM) /* node.*, agent.*: about no container */
		event->attribution.status = CRIER_ATTRIBUTION_HOST;
}

/* The same of the data blocks that a storm is made of. */
static const struct crier_data_exec absent_exec = {.args_count = CRIER_UNKNOWN_U64};
static const struct crier_data_fork absent_fork = {.child_pid = CRIER_UNKNOWN_U64};
static const struct crier_data_exit absent_exit = {
	.exit_code = CRIER_UNKNOWN_I64,
	.signal = CRIER_UNKNOWN_U64,
	.core_dumped = CRIER_UNKNOWN_BOOL,
	.oom_killed = CRIER_UNKNOWN_BOOL,
	.container_init = CRIER_UNKNOWN_BOOL,
	.duration_ms = CRIER_UNKNOWN_U64,
	.user_us = CRIER_UNKNOWN_U64,
	.system_us = CRIER_UNKNOWN_U64,
	.cpu_us = CRIER_UNKNOWN_U64,
	.peak_rss_bytes = CRIER_UNKNOWN_U64,
};
static const struct crier_data_signal absent_signal = {
	.signal = CRIER_UNKNOWN_U64,
	.code = CRIER_UNKNOWN_I64,
	.fatal = CRIER_UNKNOWN_BOOL,
	.stop = CRIER_UNKNOWN_BOOL,
};

void crier_data_init(enum crier_type type, void *data)
{
	const struct crier_type_info *info = crier_type_info(type);

	switch (type) {
	case CRIER_TYPE_PROCESS_EXEC: *(struct crier_data_exec *)data = absent_exec; return;
	case CRIER_TYPE_PROCESS_FORK: *(struct crier_data_fork *)data = absent_fork; return;
	case CRIER_TYPE_PROCESS_EXIT: *(struct crier_data_exit *)data = absent_exit; return;
	case CRIER_TYPE_PROCESS_SIGNAL: *(struct crier_data_signal *)data = absent_signal; return;
	default: memset(data, 0, info->data_size); crier_fields_clear(info->data, data);
	}
}
