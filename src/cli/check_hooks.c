/* SPDX-License-Identifier: Apache-2.0 */
/* Each event's hooks, by really loading and attaching them; an own child proves the programs. Never provokes an OOM. */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "crier/probe.h"

/* What is lost when nothing serves an event. */
static const char *const losses[CRIER_PROBE_EVENT_COUNT] = {
	[CRIER_PROBE_CGROUP_MKDIR] = "new containers are found late, by the runtime's list",
	[CRIER_PROBE_CGROUP_RMDIR] = "removed containers are found late",
	[CRIER_PROBE_CGROUP_POPULATED] = "the last exit of a container may be told late",
	[CRIER_PROBE_EXEC] = "no container.started from the kernel, no process.exec",
	[CRIER_PROBE_FORK] = "no process.fork",
	[CRIER_PROBE_EXIT] = "no process.exit, container.exited by the runtime's word only",
	[CRIER_PROBE_SIGNAL] = "no process.signal; a stop is not told from a kill",
	[CRIER_PROBE_OOM] = "no OOM kill is seen",
	[CRIER_PROBE_OOM_CONTROL] = "the limit that was hit is found by OOM counts instead",
	[CRIER_PROBE_PRESSURE] = "no container.memory_pressure from reclaim",
};

static void ignore_record(void *ctx, const void *bytes, size_t len)
{
	(void)ctx;
	(void)bytes;
	(void)len;
}

/* Open with every record type wanted, so that the proof sees its own. */
static int open_probe(const struct crier_check *check, struct crier_probe **ret_probe, struct crier_err *err)
{
	const struct crier_config *config = check->config;
	struct crier_probe_options options = {
		.btf_path = config->btf,
		.bulk_bytes = (uint32_t)config->ring_bulk_bytes,
		.critical_bytes = (uint32_t)config->ring_critical_bytes,
		.class_entries = (uint32_t)config->max_cgroups,
		.primary_hierarchy_id = check->layout.primary_hierarchy_id,
		.primary_is_v2 = check->layout.primary_is_v2,
		.wanted_events = crier_profile_probes(config->profile),
		.control = {.event_mask = (1u << CRIER_WIRE_TYPE_COUNT) - 1, .self_pid = (uint32_t)getpid()},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < config->hooks.count; i++)
		r = crier_probe_parse_hook(config->hooks.items[i], options.forced_kinds, err);
	return r < 0 ? r : crier_probe_open(&options, ret_probe, err);
}

static json_t *hooks_to_json(const struct crier_event_report *report)
{
	json_t *list = json_array();

	for (size_t i = 0; i < report->hook_count; i++) {
		const struct crier_hook_report *hook = &report->hooks[i];
		const char *reason = hook->reason[0] ? hook->reason : NULL;

		json_array_append_new(list, json_pack("{s:s,s:b,s:s*}", "name", hook->name, "chosen",
						      hook->chosen, "reason", reason));
	}
	return list;
}

static void say_hooks(struct crier_finding *finding, const struct crier_event_report *report)
{
	for (size_t i = 0; i < report->hook_count; i++)
		if (report->hooks[i].chosen)
			crier_finding_say(finding, "%s", report->hooks[i].name);
	if (!report->served)
		crier_finding_say(finding, "no hook");
	for (size_t i = 0; i < report->hook_count; i++) {
		const struct crier_hook_report *hook = &report->hooks[i];

		if (!hook->chosen && hook->reason[0])
			crier_finding_say(finding, "refused %s: %s", hook->name, hook->reason);
		else if (!hook->chosen && report->served)
			crier_finding_say(finding, "else %s", hook->name);
	}
}

static void add_event(struct crier_check *check, size_t event, const struct crier_event_report *report,
		      const struct crier_probe_proof *proof)
{
	struct crier_finding *finding = crier_check_add(check, report->event);

	if (!report->wanted) {
		crier_finding_say(finding, "not wanted by profile %s",
				  crier_profile_names[check->config->profile]);
	} else {
		say_hooks(finding, report);
		if (report->served && proof->tried)
			crier_finding_say(finding, proof->fired ? "proven by an own child"
								: "did not fire for an own child");
		if (!report->served)
			crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
					     "%s; use a kernel that offers one of these hooks",
					     losses[event]);
		else if (proof->tried && !proof->fired)
			crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
					     "choose another hook with --hook %s=KIND", report->event);
	}
	finding->facts = json_pack("{s:b,s:b,s:o}", "wanted", report->wanted, "served", report->served,
				   "hooks", hooks_to_json(report));
	if (proof->tried)
		json_object_set_new(finding->facts, "proven", json_boolean(proof->fired));
}

void crier_check_hooks(struct crier_check *check)
{
	struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT] = {0};
	struct crier_probe_kept kept = {0};
	struct crier_probe *probe = NULL;
	struct crier_err err = {0};
	int r = check->has_layout ? open_probe(check, &probe, &err) : -ENOENT;

	if (!check->has_layout)
		(void)crier_err_set(&err, r, "not tried without cgroups");
	if (r == 0)
		r = crier_probe_attach_cgroup(probe, &err);
	if (r == 0)
		r = crier_probe_attach_rest(probe, &err);
	if (r < 0) {
		struct crier_finding *finding = crier_check_add(check, "hooks");

		crier_finding_say(finding, "%s", err.message);
		crier_finding_worsen(finding, CRIER_FINDING_FAILED,
				     "mend what is said above; nothing can be observed without");
		crier_probe_free(probe);
		return;
	}
	r = crier_probe_self_test(probe, check->layout.primary_root, ignore_record, NULL, proof, &kept);
	for (size_t i = 0; i < CRIER_PROBE_EVENT_COUNT; i++)
		add_event(check, i, &crier_probe_report(probe)[i], &proof[i]);
	if (r < 0) {
		struct crier_finding *finding = crier_check_add(check, "proof");

		crier_finding_say(finding, "the hooks could not be proven: %s", strerror(-r));
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "run crier check where cgroupfs is writable");
	}
	crier_probe_free(probe);
}
