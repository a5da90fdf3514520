/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `summary` sentence: stands alone in an alert, so it names the place. It never ends in a string that a workload or a
 * runtime chose: log shippers trim the ends of top-level strings.
 */
#include "story.h"

/* " in shop/cart/app", " on the host", or nothing when the container is not known. */
static void put_in(struct crier_buf *buf, const struct crier_event *event)
{
	size_t before = buf->len;

	if (event->attribution.status == CRIER_ATTRIBUTION_HOST) {
		PUT(buf, " on the host");
		return;
	}
	PUT(buf, " in ");
	if (crier_story_place(buf, event))
		return;
	buf->len = before;
	PUT(buf, " in an unknown container");
}

static void put_subject(struct crier_buf *buf, const struct crier_event *event)
{
	crier_story_task(buf, event->process.comm, event->process.pid);
	put_in(buf, event);
}

/* "shop/cart/app" at the sentence's beginning. */
static void put_container(struct crier_buf *buf, const struct crier_event *event)
{
	if (!crier_story_place(buf, event))
		PUT(buf, "an unknown container");
}

static void sum_exec(struct crier_buf *buf, const struct crier_event *event,
		     const struct crier_data_exec *data)
{
	crier_story_task(buf, event->process.comm, event->process.pid);
	PUT(buf, " executed");
	put_in(buf, event);
	PUT(buf, " (");
	crier_story_text(buf, data->filename, STORY_PATH_MAX);
	PUT(buf, ")");
}

static void sum_fork(struct crier_buf *buf, const struct crier_event *event,
		     const struct crier_data_fork *data)
{
	crier_story_task(buf, event->actor.comm, event->actor.pid);
	put_in(buf, event);
	PUT(buf, " forked process ");
	if (crier_known(data->child_pid))
		crier_buf_put_u64(buf, data->child_pid);
	else
		PUT(buf, "(pid unknown)");
}

static void sum_exit(struct crier_buf *buf, const struct crier_event *event,
		     const struct crier_data_exit *data)
{
	put_subject(buf, event);
	if (crier_known(data->signal)) {
		PUT(buf, " was ended by ");
		crier_story_signal(buf, data->signal_name, data->signal);
		if (data->oom_killed == 1)
			PUT(buf, " (OOM)");
	} else if (data->exit_code != CRIER_UNKNOWN_I64) {
		PUT(buf, " exited with code ");
		crier_buf_put_i64(buf, data->exit_code);
	} else {
		PUT(buf, " ended");
	}
	if (crier_known(data->duration_ms)) {
		PUT(buf, " after ");
		crier_put_duration(buf, data->duration_ms);
	}
	if (data->container_init == 1)
		PUT(buf, ", the container's init");
}

static void sum_signal(struct crier_buf *buf, const struct crier_event *event,
		       const struct crier_data_signal *data)
{
	put_subject(buf, event);
	PUT(buf, " was sent ");
	crier_story_signal(buf, data->signal_name, data->signal);
	PUT(buf, " by ");
	if (crier_known(event->actor.pid))
		crier_story_task(buf, event->actor.comm, event->actor.pid);
	else
		PUT(buf, "the kernel");
	if (data->stop == 1)
		PUT(buf, " from outside the container");
	if (data->result == CRIER_SIGNAL_RESULT_IGNORED)
		PUT(buf, ", which it ignores");
}

static void sum_oom(struct crier_buf *buf, const struct crier_event *event, const struct crier_data_oom *data)
{
	if (crier_known(data->kills) && data->kills != 1) {
		crier_buf_put_u64(buf, data->kills);
		PUT(buf, " processes");
		put_in(buf, event);
		PUT(buf, " were OOM-killed: ");
	} else {
		put_subject(buf, event);
		PUT(buf, " was OOM-killed: ");
	}
	crier_story_limit(buf, data);
	if (data->scope == CRIER_OOM_SCOPE_MEMCG)
		PUT(buf, " reached");
}

static void sum_exited(struct crier_buf *buf, const struct crier_event *event,
		       const struct crier_data_exited *data)
{
	put_container(buf, event);
	PUT(buf, " ended: ");
	crier_story_end(buf, data);
}

static void sum_container(struct crier_buf *buf, const struct crier_event *event)
{
	put_container(buf, event);
	switch (event->type) {
	case CRIER_TYPE_CONTAINER_CREATED: PUT(buf, " was created"); break;
	case CRIER_TYPE_CONTAINER_STARTED:
		PUT(buf, " started: ");
		crier_story_start(buf, event, event->data);
		break;
	case CRIER_TYPE_CONTAINER_REMOVED:
		PUT(buf, " was ");
		crier_story_removed(buf, event->data);
		break;
	case CRIER_TYPE_CONTAINER_RESOLVED:
		PUT(buf, ": ");
		crier_story_mends(buf, event->data);
		break;
	case CRIER_TYPE_CONTAINER_SNAPSHOT:
		PUT(buf, " is ");
		crier_story_snapshot(buf, event, event->data);
		break;
	case CRIER_TYPE_CONTAINER_MEMORY_PRESSURE:
		PUT(buf, " memory pressure: ");
		crier_story_pressure(buf, event->data);
		break;
	case CRIER_TYPE_CONTAINER_CPU_THROTTLE:
		PUT(buf, " was ");
		crier_story_throttle(buf, event->data);
		break;
	default: break;
	}
}

void crier_emit_summary(const struct crier_event *event, struct crier_buf *buf)
{
	if (!event->data) {
		crier_buf_put_str(buf, crier_type_info(event->type)->name);
		return;
	}
	switch (event->type) {
	case CRIER_TYPE_PROCESS_EXEC: sum_exec(buf, event, event->data); break;
	case CRIER_TYPE_PROCESS_FORK: sum_fork(buf, event, event->data); break;
	case CRIER_TYPE_PROCESS_EXIT: sum_exit(buf, event, event->data); break;
	case CRIER_TYPE_PROCESS_SIGNAL: sum_signal(buf, event, event->data); break;
	case CRIER_TYPE_CONTAINER_OOM:
	case CRIER_TYPE_NODE_OOM: sum_oom(buf, event, event->data); break;
	case CRIER_TYPE_CONTAINER_EXITED: sum_exited(buf, event, event->data); break;
	case CRIER_TYPE_NODE_MEMORY_PRESSURE:
		PUT(buf, "node memory pressure: ");
		crier_story_node_pressure(buf, event->data);
		break;
	case CRIER_TYPE_AGENT_START:
	case CRIER_TYPE_AGENT_HEALTH:
	case CRIER_TYPE_AGENT_STATS:
	case CRIER_TYPE_AGENT_LOSS:
	case CRIER_TYPE_AGENT_STOP: crier_story_agent(buf, event); break;
	default: sum_container(buf, event); break;
	}
}
