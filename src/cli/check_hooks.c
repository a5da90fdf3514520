/* SPDX-License-Identifier: Apache-2.0 */
/* Each event's hooks, by really loading and attaching them; an own child proves the programs. Never provokes an OOM. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "crier/observer.h"

static void ignore_record(void *ctx, const void *bytes, size_t len)
{
	(void)ctx;
	(void)bytes;
	(void)len;
}

/* Open with every record type wanted, so that the proof sees its own. */
static int open_observer(const struct crier_check *check, struct crier_observer *observer,
			 struct crier_err *err)
{
	const struct crier_wire_control control = {.event_mask = (1u << CRIER_WIRE_TYPE_COUNT) - 1,
						   .self_pid = (uint32_t)getpid()};

	return crier_observer_open(observer, check->config, &check->layout, &control, err);
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

static void say_hooks(struct crier_finding *finding, const struct crier_event_report *report, const char *why)
{
	for (size_t i = 0; i < report->hook_count; i++)
		if (report->hooks[i].chosen)
			crier_finding_say(finding, "%s", report->hooks[i].name);
	if (!report->served)
		crier_finding_say(finding, "no hook");
	for (size_t i = 0; i < report->hook_count; i++) {
		const struct crier_hook_report *hook = &report->hooks[i];

		if (!hook->chosen && *why && strncmp(hook->reason, why, strlen(hook->reason)) == 0)
			continue; /* said once, in row ebpf */
		if (!hook->chosen && hook->reason[0])
			crier_finding_say(finding, "refused %s: %s", hook->name, hook->reason);
		else if (!hook->chosen && report->served)
			crier_finding_say(finding, "else %s", hook->name);
	}
}

static void add_event(struct crier_check *check, unsigned event, const struct crier_event_report *report,
		      const struct crier_probe_proof *proof, const char *why)
{
	struct crier_finding *finding = crier_check_add(check, report->event);

	if (!report->wanted && event == CRIER_PROBE_OOM_VICTIM) {
		crier_finding_say(finding, "not needed: this kernel's mark_victim tells the task itself");
	} else if (!report->wanted) {
		crier_finding_say(finding, "not wanted by profile %s",
				  crier_profile_names[check->config->profile]);
	} else {
		say_hooks(finding, report, why);
		if (report->served && proof->tried)
			crier_finding_say(finding, proof->fired ? "proven by an own child"
								: "did not fire for an own child");
		if (!report->served)
			crier_finding_worsen(
				finding, CRIER_FINDING_DEGRADED, "%s; %s", crier_observer_loss(event),
				*why ? "see row ebpf" : "use a kernel that offers one of these hooks");
		else if (proof->tried && !proof->fired)
			crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
					     "choose another hook with --hook %s=KIND", report->event);
	}
	finding->facts = json_pack("{s:b,s:b,s:o}", "wanted", report->wanted, "served", report->served,
				   "hooks", hooks_to_json(report));
	if (proof->tried)
		json_object_set_new(finding->facts, "proven", json_boolean(proof->fired));
}

/* How crier would see this node: by kernel programs or without them. */
static void say_observer(struct crier_check *check, const struct crier_observer *observer)
{
	struct crier_finding *finding = crier_check_add(check, "ebpf");

	if (!observer->why[0]) {
		crier_finding_say(finding, "yes");
	} else {
		crier_finding_say(finding, "no: %s", observer->why);
		crier_finding_worsen(
			finding, CRIER_FINDING_DEGRADED,
			"OOM kills and containers' lives only, by inotify and the kernel's log; %s",
			observer->remedy);
	}
	finding->facts =
		json_pack("{s:b,s:b,s:s}", "used", observer->probe != NULL, "fallback",
			  observer->fallback != NULL, "wanted", crier_ebpf_names[check->config->ebpf]);
}

static void say_inotify(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "inotify");
	struct crier_inotify_limits limits;

	crier_fallback_inotify_limits(&limits);
	crier_finding_say(finding,
			  "%llu watches and %llu instances for this user, %llu events queued at most",
			  (unsigned long long)limits.watches, (unsigned long long)limits.instances,
			  (unsigned long long)limits.queued);
	crier_finding_say(
		finding,
		"crier uses one instance, and a watch for each directory above containers and two for each container");
	finding->facts = json_pack("{s:I,s:I,s:I}", "watches", (json_int_t)limits.watches, "instances",
				   (json_int_t)limits.instances, "queued", (json_int_t)limits.queued);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* @return 0; negative: nothing could be tried */
static int prove(const struct crier_check *check, struct crier_observer *observer,
		 struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT])
{
	struct crier_probe_kept kept = {0};
	int r = 0, seen;

	for (unsigned round = 0; observer->probe && r == 0 && round < CRIER_PROBE_HOOKS_MAX; round++) {
		r = crier_probe_self_test(observer->probe, check->layout.primary_root, ignore_record, NULL,
					  proof, &kept);
		if (r == 0 && crier_probe_replace_silent(observer->probe, proof) == 0)
			break;
	}
	if (!observer->fallback)
		return r;
	seen = crier_fallback_self_test(observer->fallback, now_ns(), ignore_record, NULL);
	if (seen >= 0)
		proof[CRIER_PROBE_CGROUP_MKDIR] = (struct crier_probe_proof){.tried = true, .fired = seen};
	return observer->probe || seen == -ENOTSUP ? r : crier_min(seen, 0);
}

void crier_check_hooks(struct crier_check *check)
{
	struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT] = {0};
	struct crier_observer observer = {0};
	struct crier_err err = {0};
	int r = check->has_layout ? open_observer(check, &observer, &err) : -ENOENT;

	if (!check->has_layout)
		(void)crier_err_set(&err, r, "not tried without cgroups");
	if (r == 0)
		r = crier_observer_attach_cgroup(&observer, &err);
	if (r == 0)
		r = crier_observer_attach_rest(&observer, &err);
	if (r < 0) {
		struct crier_finding *finding = crier_check_add(check, "ebpf");

		crier_finding_say(finding, "%s", err.message);
		crier_finding_worsen(finding, CRIER_FINDING_FAILED,
				     "mend what is said above; nothing can be observed without");
		crier_observer_done(&observer);
		return;
	}
	r = prove(check, &observer, proof);
	say_observer(check, &observer);
	if (observer.fallback)
		say_inotify(check);
	for (unsigned i = 0; i < CRIER_PROBE_EVENT_COUNT; i++)
		add_event(check, i, &crier_observer_report(&observer)[i], &proof[i], observer.why);
	if (r < 0) {
		struct crier_finding *finding = crier_check_add(check, "proof");

		crier_finding_say(finding, "the hooks could not be proven: %s", strerror(-r));
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "run crier check where cgroupfs is writable");
	}
	crier_observer_done(&observer);
}
