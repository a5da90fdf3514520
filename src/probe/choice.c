/* SPDX-License-Identifier: Apache-2.0 */
/* Which hook serves each event: from BTF and --hook before the load, from refusals after it. Pure. */
#include "internal.h"

#include <stdarg.h>

static struct crier_hook_report *report_of(struct crier_choice *choice, unsigned event, int hook)
{
	return &choice->report[event].hooks[hook];
}

static void choose_next(struct crier_choice *choice, unsigned event)
{
	struct crier_event_report *report = &choice->report[event];

	choice->chosen[event] = -1;
	if (!report->wanted)
		return;
	for (size_t i = 0; i < report->hook_count; i++) {
		if (choice->refused[event][i])
			continue;
		choice->chosen[event] = (int)i;
		return;
	}
}

static void judge_hook(struct crier_choice *choice, const struct crier_probe_options *options,
		       const struct crier_btf_facts *facts, unsigned event, int index)
{
	const struct crier_hook *hook = &crier_hook_lists[event].hooks[index];
	struct crier_hook_report *report = report_of(choice, event, index);
	uint8_t forced = options->forced_kinds[event];
	bool is_typed = hook->kind == CRIER_HOOK_KIND_TP_BTF || hook->kind == CRIER_HOOK_KIND_FENTRY;
	const char *reason = NULL;

	if (forced && !(forced & (1u << hook->kind)))
		reason = "left out by --hook";
	else if (is_typed && !facts->is_kernels_own)
		reason = "the kernel itself carries no BTF";
	else if (!facts->found[event][index])
		reason = hook->kind == CRIER_HOOK_KIND_FENTRY || hook->kind == CRIER_HOOK_KIND_KPROBE
				 ? "this kernel has no such function"
				 : "this kernel has no such tracepoint";
	choice->refused[event][index] = reason != NULL;
	if (reason)
		snprintf(report->reason, sizeof(report->reason), "%s", reason);
}

void crier_choice_init(struct crier_choice *choice, const struct crier_probe_options *options,
		       const struct crier_btf_facts *facts)
{
	*choice = (struct crier_choice){0};
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];
		struct crier_event_report *report = &choice->report[event];

		report->event = list->event;
		report->wanted = options->wanted_events & (1u << event);
		if (event == CRIER_PROBE_OOM_VICTIM && !facts->victim_is_pid)
			report->wanted = false; /* mark_victim names the task itself */
		report->hook_count = list->count;
		for (size_t i = 0; i < list->count; i++) {
			report->hooks[i].name = list->hooks[i].name;
			judge_hook(choice, options, facts, event, (int)i);
		}
		choose_next(choice, event);
	}
}

void crier_probe_report_none(uint32_t wanted_events, const char *reason,
			     struct crier_event_report ret_reports[CRIER_PROBE_EVENT_COUNT])
{
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];
		struct crier_event_report *report = &ret_reports[event];

		*report = (struct crier_event_report){.event = list->event,
						      .wanted = (wanted_events & (1u << event)) &&
								event != CRIER_PROBE_OOM_VICTIM,
						      .hook_count = list->count};
		for (size_t i = 0; i < list->count; i++) {
			report->hooks[i].name = list->hooks[i].name;
			snprintf(report->hooks[i].reason, sizeof(report->hooks[i].reason), "%s", reason);
		}
	}
}

const struct crier_hook *crier_choice_hook(const struct crier_choice *choice, unsigned event)
{
	if (choice->chosen[event] < 0)
		return NULL;
	return &crier_hook_lists[event].hooks[choice->chosen[event]];
}

void crier_choice_refuse(struct crier_choice *choice, unsigned event, const char *format, ...)
{
	int hook = choice->chosen[event];
	struct crier_hook_report *report;
	va_list args;

	if (hook < 0)
		return;
	report = report_of(choice, event, hook);
	va_start(args, format);
	vsnprintf(report->reason, sizeof(report->reason), format, args);
	va_end(args);
	report->chosen = false;
	choice->refused[event][hook] = true;
	choose_next(choice, event);
}
