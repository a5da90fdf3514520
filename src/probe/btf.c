/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the kernel's BTF: which tracepoints and functions there are, and in what shape. */
#include "internal.h"

#include <errno.h>

#define KERNEL_BTF   "/sys/kernel/btf/vmlinux"
#define TRACE_PREFIX "btf_trace_" /* typedef of a tracepoint's handler */

/* Parameters of a handler type, without the leading `void *` of the tracepoint itself. */
static unsigned trace_arguments(const struct btf *btf, const struct btf_type *type)
{
	const struct btf_type *pointer = btf__type_by_id(btf, type->type);
	const struct btf_type *proto = pointer ? btf__type_by_id(btf, pointer->type) : NULL;

	if (!proto || !btf_is_func_proto(proto) || btf_vlen(proto) == 0)
		return 0;
	return btf_vlen(proto) - 1u;
}

/* mark_victim tells a pid until 6.7, and the task since (72ba14deb40a, also in stable kernels). */
static bool is_victim_pid(const struct btf *btf, const struct btf_type *type)
{
	const struct btf_type *pointer = btf__type_by_id(btf, type->type);
	const struct btf_type *proto = pointer ? btf__type_by_id(btf, pointer->type) : NULL;

	if (!proto || !btf_is_func_proto(proto) || btf_vlen(proto) < 2)
		return false;
	return !btf_is_ptr(btf__type_by_id(btf, btf_params(proto)[1].type));
}

static bool is_function_kind(enum crier_hook_kind kind)
{
	return kind == CRIER_HOOK_KIND_FENTRY || kind == CRIER_HOOK_KIND_KPROBE;
}

static void match_type(struct crier_btf_facts *facts, const struct btf *btf, unsigned id, const char *name,
		       bool is_function)
{
	for (size_t event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];

		for (size_t i = 0; i < list->count; i++) {
			if (is_function_kind(list->hooks[i].kind) != is_function ||
			    strcmp(list->hooks[i].target, name) != 0)
				continue;
			facts->found[event][i] = id;
			if (event == CRIER_PROBE_EXIT && trace_arguments(btf, btf__type_by_id(btf, id)) >= 2)
				facts->exit_has_group_dead = true;
			if (event == CRIER_PROBE_OOM && !is_function &&
			    is_victim_pid(btf, btf__type_by_id(btf, id)))
				facts->victim_is_pid = true;
		}
	}
}

int crier_btf_read(const char *path, struct crier_btf_facts *ret_facts, struct crier_err *err)
{
	struct crier_btf_facts facts = {.is_kernels_own = !path || access(KERNEL_BTF, R_OK) == 0};
	struct btf *btf;

	if (!path && access(KERNEL_BTF, R_OK) != 0)
		return crier_err_set(err, -ENOTSUP,
				     KERNEL_BTF
				     ": %s; this kernel has no type information (CONFIG_DEBUG_INFO_BTF), "
				     "give a file made for it with --btf",
				     strerror(errno));
	btf = btf__parse(path ? path : KERNEL_BTF, NULL);
	if (!btf)
		return crier_err_set(err, path ? -EBADMSG : -ENOTSUP,
				     "%s: not BTF (%s); give a file made for this kernel",
				     path ? path : KERNEL_BTF, strerror(errno));
	for (unsigned id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);
		const char *name;

		if (!btf_is_typedef(type) && !btf_is_func(type))
			continue;
		name = btf__name_by_offset(btf, type->name_off);
		if (btf_is_func(type))
			match_type(&facts, btf, id, name, true);
		else if (strncmp(name, TRACE_PREFIX, sizeof(TRACE_PREFIX) - 1) == 0)
			match_type(&facts, btf, id, name + sizeof(TRACE_PREFIX) - 1, false);
	}
	btf__free(btf);
	*ret_facts = facts;
	return 0;
}
