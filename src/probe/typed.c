/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs whose context is typed: the kernel wants to know the BTF id of what they attach to. libbpf finds it in a reading of its
 * own of the kernel's whole BTF, which costs more than all else of a start; crier has it from its one pass (btf.c). So
 * libbpf takes these sections for untyped ones, for which it reads nothing, until the moment of the load.
 */
#include "internal.h"

#include <errno.h>

/* While crier loads: what is known of the kernel's own BTF. NULL: libbpf looks for itself. */
static const struct crier_btf_facts *known;

static unsigned known_id(const char *program)
{
	if (!known)
		return 0;
	if (strcmp(program, CRIER_SEED_PROGRAM) == 0)
		return known->iter_task;
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		for (size_t i = 0; i < crier_hook_lists[event].count; i++)
			if (crier_hook_runs(&crier_hook_lists[event].hooks[i], program))
				return known->found[event][i];
	return 0;
}

/* Called by libbpf right before the load of a program, for the last changes to it. */
static int give_type(struct bpf_program *program, struct bpf_prog_load_opts *opts, long attach_type)
{
	const char *slash = strchr(bpf_program__section_name(program), '/');
	int id = (int)known_id(bpf_program__name(program));

	if (!slash)
		return -EINVAL;
	if (!id && known)
		return -ENOENT;
	if (!id)
		id = libbpf_find_vmlinux_btf_id(slash + 1, (enum bpf_attach_type)attach_type);
	if (id < 0)
		return id;
	opts->attach_btf_id = (__u32)id;
	return bpf_program__set_type(program, BPF_PROG_TYPE_TRACING);
}

/* libbpf keeps pointers to what is registered: once, for the life of the process. */
static int take_sections(void)
{
	static const struct {
		const char *section;
		enum bpf_attach_type type;
	} each[] = {{"tp_btf+", BPF_TRACE_RAW_TP}, {"fentry+", BPF_TRACE_FENTRY}, {"iter+", BPF_TRACE_ITER}};
	static size_t taken;

	for (; taken < CRIER_ARRAY_SIZE(each); taken++) {
		struct libbpf_prog_handler_opts opts = {
			.sz = sizeof(opts), .cookie = each[taken].type, .prog_prepare_load_fn = give_type};
		int r = libbpf_register_prog_handler(each[taken].section, BPF_PROG_TYPE_RAW_TRACEPOINT,
						     each[taken].type, &opts);

		if (r < 0)
			return r;
	}
	return 0;
}

int crier_typed_start(const struct crier_btf_facts *facts)
{
	known = facts;
	return take_sections();
}

void crier_typed_end(void)
{
	known = NULL;
}

struct bpf_link *crier_typed_attach(const struct bpf_program *program)
{
	bool is_typed = bpf_program__type(program) == BPF_PROG_TYPE_TRACING;

	return is_typed ? bpf_program__attach_trace(program) : bpf_program__attach(program);
}
