/* SPDX-License-Identifier: Apache-2.0 */
/* The hook lists, best first, and the names under which people meet them. */
#include "internal.h"

#include <errno.h>

#define TP_BTF(tracepoint, prog, hook_id)                                                                    \
	{                                                                                                    \
		"tp_btf:" tracepoint, "crier_tp_" prog, tracepoint, CRIER_HOOK_TP_BTF_##hook_id,             \
			CRIER_HOOK_KIND_TP_BTF                                                               \
	}
#define RAW_TP(tracepoint, prog, hook_id)                                                                    \
	{                                                                                                    \
		"raw_tp:" tracepoint, "crier_raw_" prog, tracepoint, CRIER_HOOK_RAW_TP_##hook_id,            \
			CRIER_HOOK_KIND_RAW_TP                                                               \
	}
#define FUNCTION(how, NAME, function, prog, FUNCTION_ID)                                                     \
	{                                                                                                    \
		how ":" function, "crier_" how "_" prog, function, CRIER_HOOK_##NAME##_##FUNCTION_ID,        \
			CRIER_HOOK_KIND_##NAME                                                               \
	}
const struct crier_hook_list crier_hook_lists[CRIER_PROBE_EVENT_COUNT] = {
	[CRIER_PROBE_CGROUP_MKDIR] = {"cgroup_mkdir",
				      2,
				      {TP_BTF("cgroup_mkdir", "cgroup_mkdir", CGROUP_MKDIR),
				       RAW_TP("cgroup_mkdir", "cgroup_mkdir", CGROUP_MKDIR)}},
	[CRIER_PROBE_CGROUP_RMDIR] = {"cgroup_rmdir",
				      2,
				      {TP_BTF("cgroup_rmdir", "cgroup_rmdir", CGROUP_RMDIR),
				       RAW_TP("cgroup_rmdir", "cgroup_rmdir", CGROUP_RMDIR)}},
	[CRIER_PROBE_CGROUP_POPULATED] =
		{"cgroup_populated",
		 2,
		 {TP_BTF("cgroup_notify_populated", "cgroup_populated", CGROUP_POPULATED),
		  RAW_TP("cgroup_notify_populated", "cgroup_populated", CGROUP_POPULATED)}},
	[CRIER_PROBE_EXEC] = {"exec",
			      2,
			      {TP_BTF("sched_process_exec", "exec", EXEC),
			       RAW_TP("sched_process_exec", "exec", EXEC)}},
	[CRIER_PROBE_FORK] = {"fork",
			      2,
			      {TP_BTF("sched_process_fork", "fork", FORK),
			       RAW_TP("sched_process_fork", "fork", FORK)}},
	[CRIER_PROBE_EXIT] = {"exit",
			      2,
			      {TP_BTF("sched_process_exit", "exit", EXIT),
			       RAW_TP("sched_process_exit", "exit", EXIT)}},
	[CRIER_PROBE_SIGNAL] = {"signal",
				2,
				{TP_BTF("signal_generate", "signal", SIGNAL),
				 RAW_TP("signal_generate", "signal", SIGNAL)}},
	[CRIER_PROBE_OOM] = {"oom",
			     4,
			     {TP_BTF("mark_victim", "mark_victim", MARK_VICTIM),
			      RAW_TP("mark_victim", "mark_victim", MARK_VICTIM),
			      FUNCTION("fentry", FENTRY, "mark_oom_victim", "mark_victim", MARK_OOM_VICTIM),
			      FUNCTION("kprobe", KPROBE, "mark_oom_victim", "mark_victim", MARK_OOM_VICTIM)}},
	[CRIER_PROBE_OOM_CONTROL] =
		{"oom_control",
		 2,
		 {FUNCTION("fentry", FENTRY, "oom_kill_process", "oom_control", OOM_KILL_PROCESS),
		  FUNCTION("kprobe", KPROBE, "oom_kill_process", "oom_control", OOM_KILL_PROCESS)}},
	[CRIER_PROBE_OOM_VICTIM] =
		{"oom_victim",
		 2,
		 {FUNCTION("fentry", FENTRY, "mark_oom_victim", "oom_victim", MARK_OOM_VICTIM),
		  FUNCTION("kprobe", KPROBE, "mark_oom_victim", "oom_victim", MARK_OOM_VICTIM)}},
	[CRIER_PROBE_PRESSURE] = {"pressure",
				  2,
				  {TP_BTF("mm_vmscan_memcg_reclaim_begin", "reclaim", RECLAIM),
				   RAW_TP("mm_vmscan_memcg_reclaim_begin", "reclaim", RECLAIM)}},
};

const char *const crier_hook_kind_names[CRIER_HOOK_KIND_COUNT] = {
	[CRIER_HOOK_KIND_TP_BTF] = "tp_btf",	     [CRIER_HOOK_KIND_FENTRY] = "fentry",
	[CRIER_HOOK_KIND_KPROBE] = "kprobe",	     [CRIER_HOOK_KIND_RAW_TP] = "raw_tp",
	[CRIER_HOOK_KIND_TRACEPOINT] = "tracepoint", [CRIER_HOOK_KIND_USER] = "user",
};

size_t crier_probe_hook_count(unsigned event)
{
	return event < CRIER_PROBE_EVENT_COUNT ? crier_hook_lists[event].count : 0;
}

const char *crier_probe_hook_name(unsigned hook)
{
	if (hook == CRIER_HOOK_USER)
		return "user";
	for (size_t event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];

		for (size_t i = 0; i < list->count; i++)
			if ((unsigned)list->hooks[i].id == hook)
				return list->hooks[i].name;
	}
	return NULL;
}

const char *crier_probe_event_name(unsigned event)
{
	return event < CRIER_PROBE_EVENT_COUNT ? crier_hook_lists[event].event : NULL;
}

bool crier_hook_runs(const struct crier_hook *hook, const char *program)
{
	size_t len = strlen(hook->program);

	return strncmp(hook->program, program, len) == 0 &&
	       (!program[len] || strcmp(program + len, CRIER_SECOND) == 0);
}

static bool list_has_kind(const struct crier_hook_list *list, unsigned kind)
{
	if (kind == CRIER_HOOK_KIND_USER)
		return CRIER_PROBE_USER_EVENTS & (1u << (list - crier_hook_lists));
	for (size_t i = 0; i < list->count; i++)
		if ((unsigned)list->hooks[i].kind == kind)
			return true;
	return false;
}

int crier_probe_parse_hook(const char *text, uint8_t forced_kinds[CRIER_PROBE_EVENT_COUNT],
			   struct crier_err *err)
{
	const char *equal = strchr(text, '=');
	const struct crier_hook_list *list = NULL;
	unsigned event, kind;

	if (!equal)
		return crier_err_set(err, -EINVAL, "--hook %s: no '='; write EVENT=KIND, as in oom=raw_tp",
				     text);
	for (event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		list = &crier_hook_lists[event];
		if (strlen(list->event) == (size_t)(equal - text) &&
		    strncmp(list->event, text, (size_t)(equal - text)) == 0)
			break;
	}
	if (event == CRIER_PROBE_EVENT_COUNT)
		return crier_err_set(err, -EINVAL, "--hook %s: no such event; `crier check` lists them",
				     text);
	for (kind = 0; kind < CRIER_HOOK_KIND_COUNT; kind++)
		if (strcmp(crier_hook_kind_names[kind], equal + 1) == 0)
			break;
	if (kind == CRIER_HOOK_KIND_COUNT)
		return crier_err_set(
			err, -EINVAL,
			"--hook %s: no such kind; it is one of tp_btf, fentry, kprobe, raw_tp, tracepoint, user",
			text);
	if (!list_has_kind(list, kind))
		return crier_err_set(err, -EINVAL,
				     "--hook %s: %s has no %s hook; `crier check` lists those it has", text,
				     list->event, crier_hook_kind_names[kind]);
	forced_kinds[event] |= (uint8_t)(1u << kind);
	return 0;
}
