/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the runtime's event stream: its messages, and a container that runs. */
#ifndef CRIER_EVENT_FIXTURE_H
#define CRIER_EVENT_FIXTURE_H

#include "pipeline_fixture.h"

#include <signal.h>

#define PID 31874

static struct crier_meta_message message;

static inline void fill_event(const char *id, enum crier_meta_event event, enum crier_meta_state state)
{
	fill_container(&message, id, "app", state);
	message.type = CRIER_META_EVENT;
	message.id = crier_slice_of(id);
	message.event = event;
	if (event == CRIER_META_EVENT_DELETED) { /* its status is gone with it */
		message.container.id = CRIER_SLICE_NONE;
		message.container.sandbox_id = CRIER_SLICE_NONE;
	}
}

static inline void mail_event(struct node *node, const char *id, enum crier_meta_event event,
			      enum crier_meta_state state)
{
	fill_event(id, event, state);
	feed_mail(node, &message);
}

static inline void mail_stopped(struct node *node, const char *id, const char *reason, int64_t code)
{
	fill_event(id, CRIER_META_EVENT_STOPPED, CRIER_STATE_EXITED);
	message.container.reason = crier_slice_of(reason);
	message.container.exit_code = code;
	message.container.finished_at_ns = node->now_ns + node->start.unix_offset_ns;
	feed_mail(node, &message);
}

static inline void mail_deleted(struct node *node, const char *id)
{
	mail_event(node, id, CRIER_META_EVENT_DELETED, CRIER_STATE_UNKNOWN);
}

static inline void mail_sandbox(struct node *node, enum crier_meta_event event)
{
	crier_meta_clear(&message);
	message.type = CRIER_META_EVENT;
	message.id = CRIER_SLICE(SANDBOX);
	message.event = event;
	message.pod.sandbox_id = CRIER_SLICE(SANDBOX);
	message.pod.name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k");
	message.pod.namespace_ = CRIER_SLICE("shop");
	message.pod.uid = CRIER_SLICE(POD_UID);
	feed_mail(node, &message);
}

static inline void feed_init_exit(struct node *node, uint32_t status)
{
	struct crier_wire_exit r = {.task = task(PID, node->start.boottime_ns, CG_A, "prog"),
				    .status = status};

	r.task.flags |= CRIER_TASK_EXECED | CRIER_TASK_NS_INIT;
	feed_record(node, CRIER_WIRE_EXIT, CRIER_CLASS_CRITICAL, CG_A, &r, sizeof(r));
}

static inline struct node *node_with_running(void)
{
	struct node *node = node_new(CRIER_PROFILE_DEFAULT, true);

	run_container(node, CG_A, ID_A, "app", PID);
	assert_int_equal(count_of(node, "container.started"), 1);
	return node;
}

#endif
