/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbose info: a JSON text whose form is the runtime's own affair. containerd and CRI-O agree in pid, sandboxID
 * and runtimeSpec (the OCI spec); the rest is containerd's. What is not there, or is of another type, is not known.
 */
#include "holder.h"

#define KEPT(member) offsetof(struct crier_meta_container, member)

static const json_t *at(const json_t *value, const char *const *path)
{
	for (; value && *path; path++)
		value = json_object_get(value, *path);
	return value;
}

#define AT(value, ...) at(value, (const char *const[]){__VA_ARGS__, NULL})

static void set_text(struct crier_slice *text, const json_t *value)
{
	if (!text->ptr && json_is_string(value) && json_string_length(value))
		*text = (struct crier_slice){json_string_value(value), json_string_length(value)};
}

/* CRI and OCI use zero and below for "not set" in every number read here. */
static void set_number(uint64_t *number, const json_t *value)
{
	if (*number == CRIER_UNKNOWN_U64 && json_is_integer(value) && json_integer_value(value) > 0)
		*number = (uint64_t)json_integer_value(value);
}

struct crier_slice crier_cri_container_type(struct crier_slice told)
{
	/* KEP-277's label (REGULAR, INIT, EPHEMERAL) and the OCI annotations of containerd and CRI-O (sandbox). */
	static const struct {
		struct crier_slice told, type;
	} words[] = {
		{{"INIT", 4}, {"init", 4}},
		{{"REGULAR", 7}, {"app", 3}},
		{{"EPHEMERAL", 9}, {"ephemeral", 9}},
		{{"sandbox", 7}, {"sandbox", 7}},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(words); i++)
		if (crier_slice_equal(told, words[i].told))
			return words[i].type;
	return CRIER_SLICE_NONE;
}

void crier_cri_info_container(const json_t *info, struct crier_meta_container *container)
{
	static const struct {
		const char *annotation;
		size_t member;
	} stated[] = {
		{"io.kubernetes.cri.sandbox-id", KEPT(sandbox_id)},
		{"io.kubernetes.cri-o.SandboxID", KEPT(sandbox_id)},
		{"io.kubernetes.cri.sandbox-name", KEPT(pod_name)},
		{"io.kubernetes.cri.sandbox-namespace", KEPT(pod_namespace)},
		{"io.kubernetes.cri.sandbox-uid", KEPT(pod_uid)},
		{"io.kubernetes.cri.container-name", KEPT(name)},
	};
	static const char *const types[] = {"io.kubernetes.cri.container-type",
					    "io.kubernetes.cri-o.ContainerType"};
	const json_t *spec = AT(info, "runtimeSpec");
	const json_t *annotations = AT(spec, "annotations");
	const json_t *resources = AT(spec, "linux", "resources");

	set_number(&container->pid, AT(info, "pid"));
	set_text(&container->sandbox_id, AT(info, "sandboxID"));
	set_text(&container->cgroups_path, AT(spec, "linux", "cgroupsPath"));
	set_number(&container->memory_limit_bytes, AT(resources, "memory", "limit"));
	set_number(&container->cpu_quota_us, AT(resources, "cpu", "quota"));
	set_number(&container->cpu_period_us, AT(resources, "cpu", "period"));
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(stated); i++)
		set_text((struct crier_slice *)((char *)container + stated[i].member),
			 json_object_get(annotations, stated[i].annotation));
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(types); i++) {
		struct crier_slice told = CRIER_SLICE_NONE;

		set_text(&told, json_object_get(annotations, types[i]));
		if (!container->type.ptr)
			container->type = crier_cri_container_type(told);
	}
}

void crier_cri_info_pod(const json_t *info, struct crier_meta_pod *pod)
{
	set_number(&pod->pid, AT(info, "pid"));
	set_text(&pod->cgroup_parent, AT(info, "config", "linux", "cgroup_parent"));
	set_text(&pod->runtime_handler, AT(info, "runtimeHandler"));
}
