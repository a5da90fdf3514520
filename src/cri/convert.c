/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/cri_convert.h"

#include <errno.h>

#include "holder.h"
#include "runtime.pb-c.h"

#define HIDDEN_PREFIX "io.kubernetes." /* labels that are the runtime's and kubelet's own */

static struct crier_slice text_of(ProtobufCBinaryData bytes)
{
	return bytes.len ? (struct crier_slice){(const char *)bytes.data, bytes.len} : CRIER_SLICE_NONE;
}

static uint64_t positive(int64_t value)
{
	return value > 0 ? (uint64_t)value : CRIER_UNKNOWN_U64;
}

/* The last of equal keys wins, as in any protobuf map. */
static struct crier_slice find(size_t count, Runtime__V1__Pair *const *pairs, const char *key)
{
	struct crier_slice wanted = crier_slice_of(key), found = CRIER_SLICE_NONE;

	for (size_t i = 0; i < count; i++)
		if (crier_slice_equal(text_of(pairs[i]->key), wanted))
			found = text_of(pairs[i]->value);
	return found;
}

static uint64_t find_number(size_t count, Runtime__V1__Pair *const *pairs, const char *key)
{
	uint64_t value;

	return crier_parse_u64(find(count, pairs, key), &value) == 0 ? value : CRIER_UNKNOWN_U64;
}

static int compare(struct crier_slice a, struct crier_slice b)
{
	size_t common = crier_min(a.len, b.len);
	int r = common ? memcmp(a.ptr, b.ptr, common) : 0;

	return r ? r : (a.len > b.len) - (a.len < b.len);
}

/* Sorted by key, so that equal objects give equal bytes whatever order a map came in; the first of them are kept. */
static void keep_label(struct crier_meta_labels *labels, struct crier_slice key, struct crier_slice value)
{
	size_t at = labels->count;

	while (at > 0 && compare(labels->items[at - 1].key, key) > 0)
		at--;
	if (at > 0 && crier_slice_equal(labels->items[at - 1].key, key)) {
		labels->items[at - 1].value = value;
		return;
	}
	if (labels->count == CRIER_META_LABELS_MAX) {
		labels->dropped++;
		if (at == labels->count)
			return;
		labels->count--;
	}
	memmove(&labels->items[at + 1], &labels->items[at], (labels->count - at) * sizeof(labels->items[0]));
	labels->items[at] = (struct crier_meta_label){key, value};
	labels->count++;
}

static void keep_labels(struct crier_meta_labels *labels, size_t count, Runtime__V1__Pair *const *pairs)
{
	for (size_t i = 0; i < count; i++) {
		struct crier_slice key = text_of(pairs[i]->key), value = text_of(pairs[i]->value);

		if (!value.ptr)
			value = CRIER_SLICE(""); /* a label without a value is one with an empty value */
		if (key.len && !crier_slice_starts(key, CRIER_SLICE(HIDDEN_PREFIX)))
			keep_label(labels, key, value);
	}
}

static uint64_t state_of(Runtime__V1__ContainerState state)
{
	switch (state) {
	case RUNTIME__V1__CONTAINER_STATE__CONTAINER_CREATED: return CRIER_STATE_CREATED;
	case RUNTIME__V1__CONTAINER_STATE__CONTAINER_RUNNING: return CRIER_STATE_RUNNING;
	case RUNTIME__V1__CONTAINER_STATE__CONTAINER_EXITED: return CRIER_STATE_EXITED;
	default: return CRIER_STATE_UNKNOWN;
	}
}

static bool is_digest(struct crier_slice text)
{
	return crier_slice_starts(text, CRIER_SLICE("sha256:"));
}

/* What Container and ContainerStatus have in common; the field numbers differ, so the C structs do. */
struct common {
	struct crier_slice id;
	const Runtime__V1__ContainerMetadata *metadata;
	const Runtime__V1__ImageSpec *image;
	struct crier_slice image_ref, image_id;
	size_t label_count, annotation_count;
	Runtime__V1__Pair *const *labels, *const *annotations;
};

static void set_image(struct crier_meta_container *container, const struct common *from)
{
	struct crier_slice named = from->image ? text_of(from->image->image) : CRIER_SLICE_NONE;

	/* kubelet passes the resolved id as image.image, and what the pod says in user_specified_image (1.29+) */
	container->image = from->image ? text_of(from->image->user_specified_image) : CRIER_SLICE_NONE;
	if (!container->image.ptr && !is_digest(named))
		container->image = named;
	if (!container->image.ptr)
		container->image = from->image_ref.ptr ? from->image_ref : named;
	container->image_id = from->image_id;
	if (!container->image_id.ptr && is_digest(named))
		container->image_id = named;
	if (!container->image_id.ptr)
		container->image_id = from->image_ref;
}

static int set_common(struct crier_meta_container *container, const struct common *from)
{
	if (!from->id.ptr)
		return -EINVAL;
	container->id = from->id;
	container->restart_count = CRIER_UNKNOWN_U64;
	if (from->metadata) {
		container->name = text_of(from->metadata->name);
		container->restart_count = from->metadata->attempt;
	}
	uint64_t restarts = find_number(from->annotation_count, from->annotations,
					"io.kubernetes.container.restartCount");

	if (restarts != CRIER_UNKNOWN_U64)
		container->restart_count = restarts;
	container->grace_period_s = find_number(from->annotation_count, from->annotations,
						"io.kubernetes.pod.terminationGracePeriod");
	if (!container->name.ptr)
		container->name = find(from->label_count, from->labels, "io.kubernetes.container.name");
	container->pod_name = find(from->label_count, from->labels, "io.kubernetes.pod.name");
	container->pod_namespace = find(from->label_count, from->labels, "io.kubernetes.pod.namespace");
	container->pod_uid = find(from->label_count, from->labels, "io.kubernetes.pod.uid");
	container->type = crier_cri_container_type(
		find(from->label_count, from->labels, "io.kubernetes.container.type"));
	set_image(container, from);
	keep_labels(&container->labels, from->label_count, from->labels);
	return 0;
}

static int container_of_list(const Runtime__V1__Container *from, struct crier_meta_container *container)
{
	const struct common common = {
		.id = text_of(from->id),
		.metadata = from->metadata,
		.image = from->image,
		.image_ref = text_of(from->image_ref),
		.image_id = text_of(from->image_id),
		.label_count = from->n_labels,
		.labels = from->labels,
		.annotation_count = from->n_annotations,
		.annotations = from->annotations,
	};

	container->sandbox_id = text_of(from->pod_sandbox_id);
	container->state = state_of(from->state);
	container->created_at_ns = positive(from->created_at);
	return set_common(container, &common);
}

static int container_of_status(const Runtime__V1__ContainerStatus *from,
			       struct crier_meta_container *container)
{
	const struct common common = {
		.id = text_of(from->id),
		.metadata = from->metadata,
		.image = from->image,
		.image_ref = text_of(from->image_ref),
		.image_id = text_of(from->image_id),
		.label_count = from->n_labels,
		.labels = from->labels,
		.annotation_count = from->n_annotations,
		.annotations = from->annotations,
	};
	const Runtime__V1__LinuxContainerResources *resources =
		from->resources ? from->resources->linux_resources : NULL;

	container->state = state_of(from->state);
	container->created_at_ns = positive(from->created_at);
	container->started_at_ns = positive(from->started_at);
	container->finished_at_ns = positive(from->finished_at);
	if (container->state == CRIER_STATE_EXITED)
		container->exit_code = from->exit_code;
	container->reason = text_of(from->reason);
	container->message = text_of(from->message);
	if (resources) {
		container->memory_limit_bytes = positive(resources->memory_limit_in_bytes);
		container->cpu_quota_us = positive(resources->cpu_quota);
		container->cpu_period_us = positive(resources->cpu_period);
	}
	return set_common(container, &common);
}

static void set_pod_metadata(struct crier_meta_pod *pod, const Runtime__V1__PodSandboxMetadata *from)
{
	if (!from)
		return;
	pod->name = text_of(from->name);
	pod->namespace_ = text_of(from->namespace_);
	pod->uid = text_of(from->uid);
	pod->attempt = from->attempt;
}

static uint64_t ready_of(Runtime__V1__PodSandboxState state)
{
	switch (state) {
	case RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_READY: return 1;
	case RUNTIME__V1__POD_SANDBOX_STATE__SANDBOX_NOTREADY: return 0;
	default: return CRIER_UNKNOWN_U64;
	}
}

static int pod_of_list(const Runtime__V1__PodSandbox *from, struct crier_meta_pod *pod)
{
	pod->sandbox_id = text_of(from->id);
	set_pod_metadata(pod, from->metadata);
	pod->ready = ready_of(from->state);
	pod->created_at_ns = positive(from->created_at);
	pod->runtime_handler = text_of(from->runtime_handler);
	keep_labels(&pod->labels, from->n_labels, from->labels);
	return pod->sandbox_id.ptr ? 0 : -EINVAL;
}

static int pod_of_status(const Runtime__V1__PodSandboxStatus *from, struct crier_meta_pod *pod)
{
	pod->sandbox_id = text_of(from->id);
	set_pod_metadata(pod, from->metadata);
	pod->ready = ready_of(from->state);
	pod->created_at_ns = positive(from->created_at);
	pod->runtime_handler = text_of(from->runtime_handler);
	if (from->network)
		pod->ip = text_of(from->network->ip);
	keep_labels(&pod->labels, from->n_labels, from->labels);
	return pod->sandbox_id.ptr ? 0 : -EINVAL;
}

/* An info that cannot be read costs what it would have added, not the answer. */
static const json_t *info_of(struct crier_cri_holder *holder, size_t count, Runtime__V1__Pair *const *pairs)
{
	struct crier_slice text = find(count, pairs, "info");

	if (!text.ptr || crier_cri_holder_parse(holder, text) < 0)
		return NULL;
	return holder->info;
}

static int convert_version(struct crier_cri_holder *holder, const void *bytes, size_t len,
			   struct crier_meta_message *message)
{
	int r = crier_cri_holder_unpack(holder, &runtime__v1__version_response__descriptor, bytes, len);

	if (r < 0)
		return r;
	const Runtime__V1__VersionResponse *from = (const void *)holder->message;

	message->type = CRIER_META_RUNTIME;
	message->runtime.name = text_of(from->runtime_name);
	message->runtime.version = text_of(from->runtime_version);
	message->runtime.api_version = text_of(from->runtime_api_version);
	return message->runtime.name.ptr ? 0 : -EINVAL;
}

static int convert_status(struct crier_cri_holder *holder, const void *bytes, size_t len,
			  struct crier_meta_message *message)
{
	int r = crier_cri_holder_unpack(holder, &runtime__v1__status_response__descriptor, bytes, len);

	if (r < 0)
		return r;
	const Runtime__V1__StatusResponse *from = (const void *)holder->message;

	message->type = CRIER_META_RUNTIME;
	for (size_t i = 0; from->status && i < from->status->n_conditions; i++)
		if (crier_slice_equal(text_of(from->status->conditions[i]->type),
				      CRIER_SLICE("RuntimeReady")))
			message->runtime.ready = from->status->conditions[i]->status ? 1 : 0;
	return 0;
}

static int convert_container(struct crier_cri_holder *holder, const void *bytes, size_t len,
			     struct crier_meta_message *message)
{
	int r = crier_cri_holder_unpack(holder, &runtime__v1__container_status_response__descriptor, bytes,
					len);

	if (r < 0)
		return r;
	const Runtime__V1__ContainerStatusResponse *from = (const void *)holder->message;

	if (!from->status)
		return -EINVAL;
	message->type = CRIER_META_CONTAINER;
	r = container_of_status(from->status, &message->container);
	if (r == 0)
		crier_cri_info_container(info_of(holder, from->n_info, from->info), &message->container);
	return r;
}

static int convert_pod(struct crier_cri_holder *holder, const void *bytes, size_t len,
		       struct crier_meta_message *message)
{
	int r = crier_cri_holder_unpack(holder, &runtime__v1__pod_sandbox_status_response__descriptor, bytes,
					len);

	if (r < 0)
		return r;
	const Runtime__V1__PodSandboxStatusResponse *from = (const void *)holder->message;

	if (!from->status)
		return -EINVAL;
	message->type = CRIER_META_POD;
	r = pod_of_status(from->status, &message->pod);
	if (r == 0)
		crier_cri_info_pod(info_of(holder, from->n_info, from->info), &message->pod);
	return r;
}

static enum crier_meta_event event_of(Runtime__V1__ContainerEventType type)
{
	switch (type) {
	case RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_CREATED_EVENT: return CRIER_META_EVENT_CREATED;
	case RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STARTED_EVENT: return CRIER_META_EVENT_STARTED;
	case RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_STOPPED_EVENT: return CRIER_META_EVENT_STOPPED;
	case RUNTIME__V1__CONTAINER_EVENT_TYPE__CONTAINER_DELETED_EVENT: return CRIER_META_EVENT_DELETED;
	default: return CRIER_META_EVENT_NONE;
	}
}

/* An event carries the pod's status and those of all its containers as they are then; only its own is of interest. */
static int convert_event(struct crier_cri_holder *holder, const void *bytes, size_t len,
			 struct crier_meta_message *message)
{
	int r = crier_cri_holder_unpack(holder, &runtime__v1__container_event_response__descriptor, bytes,
					len);

	if (r < 0)
		return r;
	const Runtime__V1__ContainerEventResponse *from = (const void *)holder->message;

	message->type = CRIER_META_EVENT;
	message->id = text_of(from->container_id);
	message->event = event_of(from->container_event_type);
	message->event_at_ns = positive(from->created_at);
	if (!message->id.ptr || message->id.len > CRIER_CRI_ID_MAX)
		return -EINVAL;
	if (from->pod_sandbox_status && from->pod_sandbox_status->id.len)
		r = pod_of_status(from->pod_sandbox_status, &message->pod);
	for (size_t i = 0; r == 0 && i < from->n_containers_statuses; i++) {
		const Runtime__V1__ContainerStatus *status = from->containers_statuses[i];

		if (!crier_slice_equal(text_of(status->id), message->id))
			continue;
		message->container.sandbox_id = message->pod.sandbox_id;
		return container_of_status(status, &message->container);
	}
	return r;
}

int crier_cri_convert(enum crier_cri_method method, const void *bytes, size_t len,
		      struct crier_cri_holder *holder, struct crier_meta_message *ret_message)
{
	crier_meta_clear(ret_message);
	crier_cri_holder_clear(holder);
	switch (method) {
	case CRIER_CRI_VERSION: return convert_version(holder, bytes, len, ret_message);
	case CRIER_CRI_STATUS: return convert_status(holder, bytes, len, ret_message);
	case CRIER_CRI_CONTAINER_STATUS: return convert_container(holder, bytes, len, ret_message);
	case CRIER_CRI_POD_STATUS: return convert_pod(holder, bytes, len, ret_message);
	case CRIER_CRI_EVENTS: return convert_event(holder, bytes, len, ret_message);
	default: return -EINVAL;
	}
}

int crier_cri_convert_item(enum crier_cri_method method, const void *bytes, size_t len,
			   struct crier_cri_holder *holder, struct crier_meta_message *message)
{
	bool pods = method == CRIER_CRI_LIST_PODS;

	crier_meta_clear(message);
	crier_cri_holder_clear(holder);
	int r = crier_cri_holder_unpack(
		holder, pods ? &runtime__v1__pod_sandbox__descriptor : &runtime__v1__container__descriptor,
		bytes, len);

	if (r < 0)
		return r;
	message->type = pods ? CRIER_META_POD : CRIER_META_CONTAINER;
	if (pods)
		return pod_of_list((const void *)holder->message, &message->pod);
	return container_of_list((const void *)holder->message, &message->container);
}
