/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a source told, merged field by field. Each field remembers the source that filled it: unset ones are filled, a
 * weaker source's are replaced, and an equal source's newer word replaces its older one, except for identity, where an
 * equal or better source's word stands and another is a contradiction: then nothing of the message is taken.
 */
#include "index_private.h"

#include <errno.h>

#include "crier/cgroup.h"

enum merge_kind { MERGE_TEXT, MERGE_COMMON, MERGE_U64, MERGE_I64 };

struct merge_field {
	uint8_t kind; /* enum merge_kind; COMMON: a text that many have in common */
	bool is_identity;
	uint16_t told; /* offset in the meta struct */
	uint16_t own;  /* offset in the container or pod */
};

#define TEXT(type, own_type, told_field, own_field, identity)                                                \
	{                                                                                                    \
		MERGE_TEXT, identity, offsetof(type, told_field), offsetof(own_type, own_field)              \
	}
#define COMMON(type, own_type, told_field, own_field, identity)                                              \
	{                                                                                                    \
		MERGE_COMMON, identity, offsetof(type, told_field), offsetof(own_type, own_field)            \
	}
#define U64(type, own_type, told_field, own_field)                                                           \
	{                                                                                                    \
		MERGE_U64, false, offsetof(type, told_field), offsetof(own_type, own_field)                  \
	}
#define OF_CONTAINER	  struct crier_meta_container, struct crier_container
#define OF_POD		  struct crier_meta_pod, struct crier_pod
#define APPLY(macro, ...) macro(__VA_ARGS__)

static const struct merge_field container_fields[CONTAINER_TABLE_COUNT] = {
	[CONTAINER_NAME] = APPLY(COMMON, OF_CONTAINER, name, name, true),
	[CONTAINER_IMAGE] = APPLY(COMMON, OF_CONTAINER, image, image, false),
	[CONTAINER_IMAGE_ID] = APPLY(COMMON, OF_CONTAINER, image_id, image_id, false),
	[CONTAINER_REASON] = APPLY(COMMON, OF_CONTAINER, reason, runtime_reason, false),
	[CONTAINER_MESSAGE] = APPLY(TEXT, OF_CONTAINER, message, runtime_message, false),
	[CONTAINER_RESTART_COUNT] = APPLY(U64, OF_CONTAINER, restart_count, restart_count),
	[CONTAINER_MEMORY_LIMIT] = APPLY(U64, OF_CONTAINER, memory_limit_bytes, memory_limit_bytes),
	[CONTAINER_CPU_QUOTA] = APPLY(U64, OF_CONTAINER, cpu_quota_us, cpu_quota_us),
	[CONTAINER_CPU_PERIOD] = APPLY(U64, OF_CONTAINER, cpu_period_us, cpu_period_us),
	[CONTAINER_GRACE_PERIOD] = APPLY(U64, OF_CONTAINER, grace_period_s, grace_period_s),
	[CONTAINER_CREATED_AT] = APPLY(U64, OF_CONTAINER, created_at_ns, created_at_ns),
	[CONTAINER_STARTED_AT] = APPLY(U64, OF_CONTAINER, started_at_ns, started_at_ns),
	[CONTAINER_FINISHED_AT] = APPLY(U64, OF_CONTAINER, finished_at_ns, finished_at_ns),
	[CONTAINER_EXIT_CODE] = {MERGE_I64, false, offsetof(struct crier_meta_container, exit_code),
				 offsetof(struct crier_container, runtime_exit_code)},
	[CONTAINER_INIT_PID] = APPLY(U64, OF_CONTAINER, pid, init_pid),
};

static const struct merge_field pod_fields[POD_TABLE_COUNT] = {
	[POD_NAME] = APPLY(TEXT, OF_POD, name, name, true),
	[POD_NAMESPACE] = APPLY(COMMON, OF_POD, namespace_, namespace_, true),
	[POD_IP] = APPLY(TEXT, OF_POD, ip, ip, false),
	[POD_CREATED_AT] = APPLY(U64, OF_POD, created_at_ns, created_at_ns),
};

static const struct {
	struct crier_slice told;
	uint8_t type; /* enum crier_container_type */
} type_names[] = {
	{{"app", 3}, CRIER_CONTAINER_TYPE_APP},
	{{"init", 4}, CRIER_CONTAINER_TYPE_INIT},
	{{"ephemeral", 9}, CRIER_CONTAINER_TYPE_EPHEMERAL},
	{{"sandbox", 7}, CRIER_CONTAINER_TYPE_SANDBOX},
	{{"podsandbox", 10}, CRIER_CONTAINER_TYPE_SANDBOX},
};

static const void *at(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

static bool is_told(const struct merge_field *field, const void *base, size_t offset)
{
	switch (field->kind) {
	case MERGE_TEXT:
	case MERGE_COMMON: return ((const struct crier_slice *)at(base, offset))->len > 0;
	case MERGE_U64: return *(const uint64_t *)at(base, offset) != CRIER_UNKNOWN_U64;
	default: return *(const int64_t *)at(base, offset) != CRIER_UNKNOWN_I64;
	}
}

static bool is_text(const struct merge_field *field)
{
	return field->kind == MERGE_TEXT || field->kind == MERGE_COMMON;
}

static bool is_same(const struct merge_field *field, const void *meta, const void *own)
{
	if (is_text(field))
		return crier_slice_equal(crier_index_cut(*(const struct crier_slice *)at(meta, field->told)),
					 *(const struct crier_slice *)at(own, field->own));
	return memcmp(at(meta, field->told), at(own, field->own), sizeof(uint64_t)) == 0;
}

static bool contradicts(const struct merge_field *fields, size_t count, const void *meta, const void *own,
			const uint8_t *rank, enum crier_source source)
{
	for (size_t i = 0; i < count; i++)
		if (fields[i].is_identity && is_told(&fields[i], meta, fields[i].told) &&
		    is_told(&fields[i], own, fields[i].own) && source <= rank[i] &&
		    !is_same(&fields[i], meta, own))
			return true;
	return false;
}

static int set_text(struct crier_index *index, const struct merge_field *field, const void *meta, void *own)
{
	struct crier_slice *held = (struct crier_slice *)((char *)own + field->own);
	struct crier_slice told = *(const struct crier_slice *)at(meta, field->told);

	return field->kind == MERGE_COMMON ? crier_index_common_set(index, held, told)
					   : crier_index_text_set(held, told);
}

static int merge_field(struct crier_index *index, const struct merge_field *field, const void *meta,
		       void *own, uint8_t *rank, enum crier_source source)
{
	if (!is_told(field, meta, field->told))
		return 0;
	if (is_told(field, own, field->own)) {
		if (is_same(field, meta, own)) {
			*rank = (uint8_t)crier_max((unsigned)*rank, (unsigned)source);
			return 0;
		}
		if (source < *rank)
			return 0;
	}
	if (is_text(field)) {
		int r = set_text(index, field, meta, own);

		if (r < 0)
			return r;
	} else {
		memcpy((char *)own + field->own, at(meta, field->told), sizeof(uint64_t));
	}
	*rank = (uint8_t)source;
	return 1;
}

static int merge_fields(struct crier_index *index, const struct merge_field *fields, size_t count,
			const void *meta, void *own, uint8_t *rank, enum crier_source source)
{
	int changed = 0;

	for (size_t i = 0; i < count; i++) {
		int r = merge_field(index, &fields[i], meta, own, &rank[i], source);

		if (r < 0)
			return r;
		changed |= r;
	}
	return changed;
}

void crier_index_pod_absorb_fields(struct pod_entry *into, struct pod_entry *from)
{
	for (size_t i = 0; i < POD_TABLE_COUNT; i++) {
		const struct merge_field *field = &pod_fields[i];
		char *target = (char *)&into->pod + field->own;
		char *origin = (char *)&from->pod + field->own;

		if (is_told(field, target, 0) || !is_told(field, origin, 0))
			continue;
		if (is_text(field)) {
			*(struct crier_slice *)target = *(struct crier_slice *)origin;
			*(struct crier_slice *)origin = CRIER_SLICE_NONE;
		} else {
			memcpy(target, origin, sizeof(uint64_t));
		}
		into->rank[i] = from->rank[i];
	}
	if (into->pod.qos == CRIER_QOS_UNKNOWN) {
		into->pod.qos = from->pod.qos;
		into->rank[POD_QOS] = from->rank[POD_QOS];
	}
	into->pod.source = crier_max(into->pod.source, from->pod.source);
}

/* ---- pods ---- */

static int merge_pod_fields(struct crier_index *index, struct crier_pod *pod,
			    const struct crier_meta_pod *meta, enum crier_source source,
			    const char *const *labels_allowed)
{
	struct pod_entry *entry = pod_entry_of(pod);
	int changed = merge_fields(index, pod_fields, POD_TABLE_COUNT, meta, pod, entry->rank, source);
	int labels = changed < 0
			     ? changed
			     : crier_index_merge_labels(index, entry, &meta->labels, source, labels_allowed);
	int workload = labels < 0 ? labels : crier_index_merge_workload(index, pod, &meta->labels);

	if (workload < 0)
		return workload;
	if (meta->name.len || meta->namespace_.len || meta->uid.len)
		pod->source = (uint8_t)crier_max((unsigned)pod->source, (unsigned)source);
	changed |= labels | workload;
	if (changed)
		pod->version++;
	if (meta->cgroup_parent.len) {
		struct crier_cgroup_facts facts;

		crier_cgroup_parse(meta->cgroup_parent, &facts);
		changed |= crier_index_pod_set_qos(index, pod, facts.qos, source);
	}
	return changed;
}

static int refuse(struct crier_index *index)
{
	index->counts.contradictions++;
	return -EEXIST;
}

int crier_index_merge_pod(struct crier_index *index, struct crier_pod *pod, const struct crier_meta_pod *meta,
			  enum crier_source source, const char *const *labels_allowed)
{
	struct pod_entry *entry = pod_entry_of(pod);
	struct crier_slice sandbox_id = meta->sandbox_id;
	uint32_t version = pod->version;
	int r;

	if (contradicts(pod_fields, POD_TABLE_COUNT, meta, pod, entry->rank, source))
		return refuse(index);
	if (sandbox_id.len) {
		const struct crier_pod *known = crier_index_pod_by_sandbox(index, sandbox_id);

		if ((known && known != pod) || (!known && pod->sandbox_id[0]))
			return refuse(index);
	}
	r = crier_index_pod_identify(index, pod, sandbox_id, meta->uid, source);
	if (r < 0)
		return r == -EEXIST ? refuse(index) : r;
	if (source >= CRIER_SOURCE_CRI_LIST)
		crier_index_pod_revive(index, pod);
	r = merge_pod_fields(index, pod, meta, source, labels_allowed);
	return r < 0 ? r : pod->version != version;
}

/* ---- containers ---- */

/* The pod as a container's message tells it; with a uid alone, its sandbox is the one known of the container. */
static void pod_of(const struct crier_container *container, const struct crier_meta_container *meta,
		   struct crier_meta_pod *ret_pod)
{
	memset(ret_pod, 0, sizeof(*ret_pod));
	ret_pod->created_at_ns = CRIER_UNKNOWN_U64;
	ret_pod->sandbox_id = meta->sandbox_id;
	ret_pod->uid = meta->pod_uid;
	ret_pod->name = meta->pod_name;
	ret_pod->namespace_ = meta->pod_namespace;
	if (meta->sandbox_id.len == 0 && meta->pod_uid.len > 0)
		ret_pod->sandbox_id = crier_slice_of(container->sandbox_id);
}

static bool differs(struct crier_slice told, const char *own)
{
	return told.len > 0 && own[0] && !crier_slice_equal(told, crier_slice_of(own));
}

/* Nothing is changed yet: would the message contradict what an equal or better source said? */
static bool container_contradicts(struct crier_index *index, const struct container_entry *entry,
				  const struct crier_meta_container *meta, const struct crier_meta_pod *told,
				  enum crier_source source)
{
	const struct crier_container *container = &entry->container;
	struct crier_pod *pod = container->pod;

	if (differs(meta->id, container->id) ||
	    contradicts(container_fields, CONTAINER_TABLE_COUNT, meta, container, entry->rank, source))
		return true;
	if (source <= entry->rank[CONTAINER_SANDBOX_ID] && differs(meta->sandbox_id, container->sandbox_id))
		return true;
	if (pod && source <= entry->rank[CONTAINER_POD] &&
	    (differs(told->sandbox_id, pod->sandbox_id) || differs(told->uid, pod->uid)))
		return true;
	if (told->sandbox_id.len || told->uid.len)
		pod = crier_index_pod_find(index, told->sandbox_id, told->uid);
	if (!pod)
		return false;
	return contradicts(pod_fields, POD_TABLE_COUNT, told, pod, pod_entry_of(pod)->rank, source) ||
	       (source <= pod_entry_of(pod)->rank[POD_UID] && differs(told->uid, pod->uid));
}

/*
 * Told a sandbox without its uid, for a container whose pod is known by its uid alone: they are one pod. The uid is only as
 * sure as the path that told it, and one that the sandbox has already stands.
 */
static int learn_uid(struct crier_index *index, const struct crier_pod *bare,
		     const struct crier_meta_pod *told)
{
	const struct crier_pod *known = crier_index_pod_by_sandbox(index, told->sandbox_id);
	struct crier_pod *joined;

	if (!bare || bare->sandbox_id[0] || told->uid.len || told->sandbox_id.len == 0 ||
	    (known && known->uid[0]))
		return 0;
	return crier_index_pod_add(index, told->sandbox_id, crier_slice_of(bare->uid), &joined);
}

static int attach_pod(struct crier_index *index, struct container_entry *entry,
		      const struct crier_meta_pod *told, enum crier_source source)
{
	struct crier_container *container = &entry->container;
	struct crier_pod *pod = container->pod;
	int changed = 0;

	if (told->sandbox_id.len || told->uid.len) {
		int r = learn_uid(index, container->pod, told);

		if (r == 0)
			r = crier_index_pod_add_from(index, told->sandbox_id, told->uid, source, &pod);
		if (r < 0)
			return r;
		changed = container->pod != pod;
		crier_index_container_attach(container, pod, source);
	}
	if (pod) {
		int r = merge_pod_fields(index, pod, told, source, NULL);

		if (r < 0)
			return r;
		changed |= r;
	}
	return changed;
}

static bool merge_type(struct container_entry *entry, const struct crier_meta_container *meta,
		       enum crier_source source)
{
	struct crier_container *container = &entry->container;
	uint8_t type = CRIER_CONTAINER_TYPE_UNKNOWN;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(type_names); i++)
		if (crier_slice_equal(meta->type, type_names[i].told))
			type = type_names[i].type;
	if (container->sandbox_id[0] && strcmp(container->sandbox_id, container->id) == 0)
		type = CRIER_CONTAINER_TYPE_SANDBOX;
	if (type == CRIER_CONTAINER_TYPE_UNKNOWN || type == container->type ||
	    (container->type != CRIER_CONTAINER_TYPE_UNKNOWN && source < entry->rank[CONTAINER_TYPE]))
		return false;
	container->type = type;
	entry->rank[CONTAINER_TYPE] = (uint8_t)source;
	return true;
}

static int merge_sandbox_id(struct container_entry *entry, struct crier_slice told, enum crier_source source)
{
	struct crier_container *container = &entry->container;
	const struct crier_pod *pod = container->pod;
	int changed = 0;

	if (told.len == 0 || told.len >= CRIER_ID_MAX)
		return 0;
	if (!crier_slice_equal(told, crier_slice_of(container->sandbox_id))) {
		changed = 1;
		if (pod && crier_slice_equal(told, crier_slice_of(pod->sandbox_id)))
			crier_index_share_take(&container->sandbox_id, pod->sandbox_id);
		else if (crier_index_share_set(&container->sandbox_id, told) < 0)
			return -ENOMEM;
	}
	entry->rank[CONTAINER_SANDBOX_ID] =
		(uint8_t)crier_max((unsigned)entry->rank[CONTAINER_SANDBOX_ID], (unsigned)source);
	return changed;
}

/* The sandbox id, the state (only forward: answers overtake each other), the runtime, the type. */
static int merge_rest(struct crier_index *index, struct container_entry *entry,
		      const struct crier_meta_container *meta, enum crier_source source)
{
	struct crier_container *container = &entry->container;
	int changed = merge_sandbox_id(entry, meta->sandbox_id, source);

	if (changed < 0)
		return changed;
	if (meta->state < CRIER_STATE_COUNT && meta->state > container->cri_state) {
		container->cri_state = (uint8_t)meta->state;
		changed = 1;
	}
	if (source >= CRIER_SOURCE_CRI_LIST && index->runtime_name &&
	    container->runtime_name != index->runtime_name) {
		container->runtime_name = index->runtime_name;
		container->runtime_version = index->runtime_version;
		changed = 1;
	}
	return merge_type(entry, meta, source) || changed;
}

int crier_index_merge_container(struct crier_index *index, struct crier_container *container,
				const struct crier_meta_container *meta, enum crier_source source)
{
	struct container_entry *entry = container_entry_of(container);
	struct crier_meta_pod told;
	int fields, pod;

	pod_of(container, meta, &told);
	if (container_contradicts(index, entry, meta, &told, source))
		return refuse(index);
	pod = attach_pod(index, entry, &told, source);
	if (pod == -EEXIST)
		return refuse(index);
	if (pod < 0)
		return pod;
	fields = merge_fields(index, container_fields, CONTAINER_TABLE_COUNT, meta, container, entry->rank,
			      source);
	if (fields < 0)
		return fields;
	if (meta->name.len || meta->sandbox_id.len || meta->pod_uid.len || meta->pod_name.len)
		container->source = (uint8_t)crier_max((unsigned)container->source, (unsigned)source);

	int rest = merge_rest(index, entry, meta, source);

	if (rest < 0)
		return rest;
	fields |= rest;
	if (fields)
		container->version++;
	return fields || pod;
}
