/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime tells the node of pipeline_fixture.h, whose part this is. */
#ifndef CRIER_PIPELINE_MAIL_H
#define CRIER_PIPELINE_MAIL_H

#include "pipeline_fixture.h"

static inline void feed_mail(struct node *node, const struct crier_meta_message *message)
{
	static char storage[CRIER_META_BLOB_MAX] __attribute__((aligned(8)));
	struct crier_buf buf;

	crier_buf_init(&buf, storage, sizeof(storage));
	assert_int_equal(crier_meta_encode(message, &buf), 0);
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_MAIL, node->now_ns, storage, buf.len);
}

static inline void mail_runtime(struct node *node)
{
	static struct crier_meta_message message;

	crier_meta_clear(&message);
	message.type = CRIER_META_RUNTIME;
	message.runtime.name = CRIER_SLICE("containerd");
	message.runtime.version = CRIER_SLICE("1.7.24");
	feed_mail(node, &message);
}

static inline void fill_container(struct crier_meta_message *message, const char *id, const char *name,
				  enum crier_meta_state state)
{
	crier_meta_clear(message);
	message->type = CRIER_META_CONTAINER;
	message->container.id = crier_slice_of(id);
	message->container.sandbox_id = CRIER_SLICE(SANDBOX);
	message->container.name = crier_slice_of(name);
	message->container.pod_name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k");
	message->container.pod_namespace = CRIER_SLICE("shop");
	message->container.pod_uid = CRIER_SLICE(POD_UID);
	message->container.image = CRIER_SLICE("registry.example/shop/cart:1.8.2");
	message->container.state = state;
	message->container.restart_count = 3;
	message->container.memory_limit_bytes = 64 << 20;
	message->pod.sandbox_id = CRIER_SLICE(SANDBOX);
	message->pod.name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k");
	message->pod.namespace_ = CRIER_SLICE("shop");
	message->pod.uid = CRIER_SLICE(POD_UID);
}

static inline void mail_container(struct node *node, const char *id, const char *name)
{
	static struct crier_meta_message message;

	fill_container(&message, id, name, CRIER_STATE_CREATED);
	feed_mail(node, &message);
}

static inline void mail_exited(struct node *node, const char *id, const char *name, const char *reason,
			       int64_t code)
{
	static struct crier_meta_message message;

	fill_container(&message, id, name, CRIER_STATE_EXITED);
	message.container.reason = crier_slice_of(reason);
	message.container.exit_code = code;
	message.container.finished_at_ns = node->now_ns + node->start.unix_offset_ns;
	feed_mail(node, &message);
}

static inline void mail_missing(struct node *node, const char *id, enum crier_meta_status status)
{
	static struct crier_meta_message message;

	crier_meta_clear(&message);
	message.type = CRIER_META_MISSING;
	message.id = crier_slice_of(id);
	message.status = status;
	feed_mail(node, &message);
}

static inline void mail_list(struct node *node, enum crier_meta_type type, uint64_t generation)
{
	static struct crier_meta_message message;

	crier_meta_clear(&message);
	message.type = type;
	message.generation = generation;
	feed_mail(node, &message);
}

#endif
