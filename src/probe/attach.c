/* SPDX-License-Identifier: Apache-2.0 */
/* Attach the chosen programs; replace those that cannot be. Detach and free. */
#include "internal.h"

#include "crier/base/log.h"

#include <errno.h>
#include <sys/mman.h>

/* The errors of attaching, in words that help more than strerror's. */
static const char *attach_reason(const struct crier_hook *hook, int code)
{
	if (hook->kind == CRIER_HOOK_KIND_KPROBE && (code == -ENOENT || code == -EOPNOTSUPP))
		return "this kernel offers no kprobes (CONFIG_KPROBE_EVENTS) or hides the function from them";
	if (code == -524) /* ENOTSUPP, the kernel's own */
		return "this kernel cannot patch functions for BPF (no ftrace direct calls)";
	return strerror(-code);
}

/* Behind the first: programs at a tracepoint run in the order in which they were attached. */
static void attach_second(struct crier_probe *probe, unsigned event)
{
	if (!probe->seconds[event] || probe->second_links[event])
		return;
	probe->second_links[event] = crier_typed_attach(probe->seconds[event]);
	if (!probe->second_links[event]) /* the first does most of it, and misses are told */
		crier_debug("hook %s: second program: attach refused: %s",
			    crier_choice_hook(&probe->choice, event)->name, strerror(errno));
}

static void detach_second(struct crier_probe *probe, unsigned event)
{
	bpf_link__destroy(probe->second_links[event]);
	probe->second_links[event] = NULL;
}

static void serve(struct crier_probe *probe, unsigned event, struct bpf_link *link)
{
	struct crier_event_report *report = &probe->choice.report[event];

	probe->links[event] = link;
	report->served = true;
	report->hooks[probe->choice.chosen[event]].chosen = true;
	attach_second(probe, event);
}

/* Attach one event, going down its list. An event left without a hook is no error. `is_loaded`: the chosen one is. */
static void attach_event(struct crier_probe *probe, unsigned event, bool is_loaded)
{
	const struct crier_hook *hook;

	while ((hook = crier_choice_hook(&probe->choice, event))) {
		struct crier_err err = {0};
		struct bpf_link *link;

		if (!is_loaded && crier_probe_load_late(probe, event, &err) < 0) {
			crier_choice_refuse(&probe->choice, event, "load refused: %s%s%.100s",
					    strerror(-err.code), *crier_words.cause ? ": " : "",
					    crier_words.cause);
			continue;
		}
		link = crier_typed_attach(probe->programs[event]);
		if (link) {
			serve(probe, event, link);
			return;
		}
		crier_debug("hook %s: attach refused: %s", hook->name, strerror(errno));
		crier_choice_refuse(&probe->choice, event, "attach refused: %s", attach_reason(hook, -errno));
		probe->programs[event] = NULL;
		is_loaded = false;
	}
	probe->programs[event] = NULL;
}

static bool has_another(const struct crier_probe *probe, unsigned event)
{
	const struct crier_choice *choice = &probe->choice;

	for (size_t i = 0; i < choice->report[event].hook_count; i++)
		if ((int)i != choice->chosen[event] && !choice->refused[event][i])
			return true;
	return false;
}

/*
 * The silent one is let go of only when another is attached: the proof may have been wrong. @return true: another serves
 */
static bool replace_silent(struct crier_probe *probe, unsigned event)
{
	struct crier_event_report *report = &probe->choice.report[event];
	struct bpf_program *program = probe->programs[event], *second = probe->seconds[event];
	struct bpf_link *link = probe->links[event];
	int chosen = probe->choice.chosen[event];

	probe->links[event] = NULL;
	probe->programs[event] = NULL;
	detach_second(probe, event);
	crier_choice_refuse(&probe->choice, event, "attached, but did not fire for an own child");
	attach_event(probe, event, false);
	if (probe->links[event]) {
		bpf_link__destroy(link);
		return true;
	}
	probe->choice.chosen[event] = chosen;
	probe->choice.refused[event][chosen] = false;
	report->hooks[chosen].reason[0] = '\0';
	probe->programs[event] = program;
	probe->seconds[event] = second;
	serve(probe, event, link);
	return false;
}

unsigned crier_probe_replace_silent(struct crier_probe *probe,
				    const struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT])
{
	unsigned replaced = 0;

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++)
		if (proof[event].tried && !proof[event].fired && probe->links[event] &&
		    has_another(probe, event))
			replaced += replace_silent(probe, event);
	return replaced;
}

static bool is_cgroup_event(unsigned event)
{
	return event <= CRIER_PROBE_CGROUP_POPULATED;
}

static int attach(struct crier_probe *probe, bool cgroup, struct crier_err *err)
{
	unsigned wanted = 0, served = 0;

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		if (is_cgroup_event(event) != cgroup || probe->links[event])
			continue;
		attach_event(probe, event, true);
		wanted += probe->choice.report[event].wanted;
		served += probe->choice.report[event].served;
	}
	if (wanted && !served)
		return crier_err_set(err, -ENOTSUP,
				     "bpf: no %s hook could be attached; `crier check` tells why each failed",
				     cgroup ? "cgroup" : "event");
	return 0;
}

int crier_probe_attach_cgroup(struct crier_probe *probe, struct crier_err *err)
{
	return attach(probe, true, err);
}

int crier_probe_attach_rest(struct crier_probe *probe, struct crier_err *err)
{
	return attach(probe, false, err);
}

void crier_probe_detach(struct crier_probe *probe)
{
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		bpf_link__destroy(probe->links[event]);
		probe->links[event] = NULL;
		detach_second(probe, event);
	}
}

void crier_probe_free(struct crier_probe *probe)
{
	if (!probe)
		return;
	crier_probe_detach(probe);
	for (unsigned ring = 0; ring < CRIER_CLASS_COUNT; ring++)
		crier_ring_close(&probe->rings[ring]);
	for (size_t i = 0; i < probe->late_count; i++)
		bpf_object__close(probe->late[i]);
	crier_bpf__destroy(probe->skel);
	if (probe->slots)
		munmap(probe->slots, probe->slots_size);
	free(probe->told);
	crier_cleanup_close(&probe->btf_cut);
	free(probe->btf_path);
	free(probe);
}

const struct crier_event_report *crier_probe_report(const struct crier_probe *probe)
{
	return probe->choice.report;
}

static uint64_t misses_of(const struct bpf_program *program)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	if (!program || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len) < 0)
		return 0;
	return info.recursion_misses; /* 0 before 5.12: the kernel leaves it untouched */
}

uint64_t crier_probe_recursion_misses(struct crier_probe *probe)
{
	uint64_t sum = 0;

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		uint64_t misses = misses_of(probe->programs[event]);

		/* what both missed is lost, and that is no more than what either did */
		if (probe->second_links[event])
			misses = crier_min(misses, misses_of(probe->seconds[event]));
		sum += misses;
	}
	return sum;
}
