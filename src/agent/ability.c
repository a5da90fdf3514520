/* SPDX-License-Identifier: Apache-2.0 */
/* What this crier can see on this node and what not: proven, put into agent.start, and told as the kernel's health. */
#include "agent.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crier/harden.h"

static void degrade(json_t *list, const char *what, const char *remedy)
{
	json_array_append_new(list, json_pack("{s:s, s:s}", "what", what, "remedy", remedy));
}

/* ---- hooks ---- */

static json_t *hook_json(const struct crier_event_report *report)
{
	const char *chosen = NULL;
	char refused[1024] = "";
	size_t used = 0;

	for (size_t k = 0; k < report->hook_count; k++) {
		const struct crier_hook_report *hook = &report->hooks[k];

		if (hook->chosen && !chosen)
			chosen = hook->name;
		else if (hook->reason[0] && used < sizeof(refused))
			used += (size_t)snprintf(refused + used, sizeof(refused) - used, "%s%s: %s",
						 used ? "; " : "", hook->name, hook->reason);
	}
	return json_pack("{s:s, s:s*, s:s*}", "event", report->event, "chosen", chosen, "refused",
			 refused[0] ? refused : NULL);
}

/* A fallback has several eyes on OOM kills: without the first it counts them, without the second it cannot check the first. */
static void degrade_oom(const struct crier_event_report *report, json_t *degraded)
{
	const struct crier_hook_report *log = NULL, *counts = NULL;
	char what[512];

	for (size_t k = 0; k < report->hook_count; k++) {
		const struct crier_hook_report *hook = &report->hooks[k];

		if (strcmp(hook->name, "kmsg:oom") == 0)
			log = hook;
		else if (log)
			counts = hook;
	}
	if (!log || !counts || (log->chosen && counts->chosen))
		return;
	if (counts->chosen) {
		snprintf(
			what, sizeof(what),
			"OOM kills in containers are counted, not named, and others are not seen: the kernel's log: %s",
			log->reason);
		degrade(degraded, what, "give crier CAP_SYSLOG and the node's /dev/kmsg");
	} else if (log->chosen) {
		snprintf(what, sizeof(what),
			 "OOM kills that the kernel's log leaves out are not noticed: %s: %s", counts->name,
			 counts->reason);
		degrade(degraded, what, "give crier the node's cgroups, writable on cgroup v1");
	}
}

/* The log names the limit by itself. */
static bool is_by_log(const struct crier_event_report *oom)
{
	for (size_t k = 0; k < oom->hook_count; k++)
		if (oom->hooks[k].chosen && strcmp(oom->hooks[k].name, "kmsg:oom") == 0)
			return true;
	return false;
}

static json_t *hooks_json(struct crier_agent *agent, json_t *degraded)
{
	const struct crier_observer *observer = &agent->observer;
	const struct crier_event_report *reports = crier_observer_report(&agent->observer);
	json_t *hooks = json_array();

	if (observer->why[0]) {
		char what[600];

		snprintf(what, sizeof(what), "no eBPF: %s", observer->why);
		degrade(degraded, what, observer->remedy);
	}
	for (unsigned i = 0; i < CRIER_PROBE_EVENT_COUNT; i++) {
		const struct crier_event_report *report = &reports[i];
		char what[256];

		if (!report->wanted)
			continue;
		json_array_append_new(hooks, hook_json(report));
		if (i == CRIER_PROBE_OOM && report->served)
			degrade_oom(report, degraded);
		bool is_context = i == CRIER_PROBE_OOM_CONTROL || i == CRIER_PROBE_OOM_VICTIM;

		if (report->served || (is_context && is_by_log(&reports[CRIER_PROBE_OOM])))
			continue;
		snprintf(what, sizeof(what), "no hook serves %s: %s", report->event, crier_observer_loss(i));
		degrade(degraded, what,
			is_context	  ? "use a kernel with fentry or kprobes"
			: observer->probe ? "see `crier check` for each hook's reason"
					  : observer->remedy);
	}
	return hooks;
}

/* ---- proof: an own child and an own empty cgroup; what they do not show is told as degraded, not as a failure ---- */

static void tell_unproven(const char *event, const char *by, json_t *degraded)
{
	char what[256];

	snprintf(what, sizeof(what), "the hook of %s is attached but did not fire for %s", event, by);
	degrade(degraded, what, "choose another hook with --hook, see `crier check`");
	crier_warn("%s", what);
}

static void prove_programs(struct crier_agent *agent, json_t *degraded)
{
	struct crier_probe_proof proof[CRIER_PROBE_EVENT_COUNT] = {0};
	const struct crier_event_report *reports = crier_probe_report(agent->observer.probe);

	for (unsigned round = 0; round < CRIER_PROBE_HOOKS_MAX; round++) {
		struct crier_probe_kept kept = {0};
		int r = crier_probe_self_test(agent->observer.probe, agent->start.layout.primary_root,
					      crier_agent_record, agent, proof, &kept);

		crier_agent_feed(agent, CRIER_INPUT_KEPT, kept.count, sizeof(kept.count));
		if (r < 0)
			return; /* could not be tried, e.g. no process could be forked */
		if (crier_probe_replace_silent(agent->observer.probe, proof) == 0)
			break;
		crier_warn("hooks that did not fire for an own child were replaced, see agent.start");
		(void)crier_agent_walk(agent); /* what a silent mkdir hook did not tell */
	}
	for (size_t i = 0; i < CRIER_PROBE_EVENT_COUNT; i++)
		if (proof[i].tried && !proof[i].fired && reports[i].served)
			tell_unproven(reports[i].event, "an own child", degraded);
}

static void prove(struct crier_agent *agent, json_t *degraded)
{
	if (agent->observer.probe)
		prove_programs(agent, degraded);
	if (agent->observer.fallback && crier_fallback_self_test(agent->observer.fallback, agent->turn_ns,
								 crier_agent_record, agent) == 0)
		tell_unproven("cgroup_mkdir", "an own cgroup", degraded);
}

/* ---- what surrounds it ---- */

static void degrade_surroundings(struct crier_agent *agent, bool has_tree, bool has_seeds, json_t *degraded)
{
	const struct crier_config *config = agent->config;

	if (agent->start.layout.is_own_only)
		degrade(degraded,
			"crier sees its own cgroup namespace only, and no pod in it: events name no container",
			"mount the node's /sys/fs/cgroup into crier's container, see --host-root");
	if (!has_tree)
		degrade(degraded, "the cgroup hierarchy could not be walked",
			"mount the host's /sys/fs/cgroup; see --host-root");
	if (!crier_proc_is_hosts(config->host_root))
		degrade(degraded,
			"/proc does not show the node's processes: what runs already, and who a lone pid is, is not known",
			"run crier with hostPID, or mount the node's /proc below --host-root");
	else if (!has_seeds)
		degrade(degraded,
			"running processes could not be listed, neither by iter/task nor from /proc",
			"container inits started before crier are known from the runtime only");
	if (!agent->start.cri_socket[0] && (!config->cri_socket || strcmp(config->cri_socket, "none") != 0))
		degrade(degraded, "no container runtime socket was found",
			"name it with --cri-socket, or say --cri-socket none");
}

/* ---- what is given up ---- */

/* Maps take CAP_BPF on kernels before 5.19 that keep unprivileged users out: tried, not guessed. */
static uint64_t needed_capabilities(struct crier_agent *agent)
{
	const uint64_t read_all = 1ULL
				  << CAP_DAC_READ_SEARCH; /* OCI bundles, log folders, a process' cgroup */
	const uint64_t bpf = 1ULL << CAP_BPF | 1ULL << CAP_SYS_ADMIN;
	struct crier_wire_counters counters;
	int r;

	if (!agent->observer.probe)
		return read_all;
	if (crier_harden_suspend(bpf) < 0)
		return read_all | 1ULL << CAP_BPF;
	r = crier_probe_counters(agent->observer.probe, &counters);
	if (crier_harden_resume(bpf) < 0 || r < 0)
		return read_all | 1ULL << CAP_BPF;
	return read_all;
}

/* The folder that the state file is written in; made now, for later it cannot be. */
static void find_state_folder(const struct crier_config *config, char *folder, size_t cap)
{
	char *slash;

	snprintf(folder, cap, "%s", config->state_file);
	slash = strrchr(folder, '/');
	if (!slash) {
		snprintf(folder, cap, "%s", config->state_file[0] ? "." : "");
		return;
	}
	slash[slash == folder] = '\0';
	(void)mkdir(folder, 0700);
}

static void degrade_hardening(const char *what, int error, const char *remedy, json_t *degraded)
{
	char text[256];

	if (error == 0)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
	degrade(degraded, text, remedy);
}

static void harden(struct crier_agent *agent, json_t *degraded)
{
	const struct crier_cgroup_layout *layout = &agent->start.layout;
	char folder[PATH_MAX];
	struct crier_harden_report report;
	struct crier_harden_options options = {
		.keep_capabilities = needed_capabilities(agent),
		.writable = {{folder, true},
			     {layout->primary_root, false}, /* memory.pressure, cgroup.event_control */
			     {layout->memory_root, false}},
		.log_refused = agent->config->log_level == CRIER_LOG_DEBUG,
	};

	if (!agent->config->harden) {
		degrade(degraded, "capabilities and system calls are kept: --no-harden",
			"take it back when debugging is done");
		return;
	}
	find_state_folder(agent->config, folder, sizeof(folder));
	crier_harden(&options, &report);
	degrade_hardening("capabilities could not be dropped", report.capabilities,
			  "start crier with no more of them than docs/kubernetes.md names", degraded);
	degrade_hardening("system calls could not be limited", report.seccomp,
			  "use a kernel with CONFIG_SECCOMP_FILTER", degraded);
	if (report.landlock != EOPNOTSUPP && report.landlock != ENOSYS) /* many kernels have none: no news */
		degrade_hardening("writing to files could not be limited", report.landlock,
				  "see Landlock in `crier check`", degraded);
	crier_debug("hardened: capabilities %llx, seccomp %s, Landlock %s", (unsigned long long)report.held,
		    strerror(report.seccomp), strerror(report.landlock));
}

/* Context only, and the kernel's log brings its own. */
static bool is_missed(const struct crier_event_report *reports, unsigned event)
{
	return reports[event].wanted && !reports[event].served && event != CRIER_PROBE_OOM_CONTROL;
}

static void tell_health(struct crier_agent *agent)
{
	const struct crier_event_report *reports = crier_observer_report(&agent->observer);
	const char *remedy =
		agent->observer.why[0] ? agent->observer.remedy : "see `crier check` for each hook's reason";
	size_t used = 0;
	char reason[700] = "";

	if (agent->observer.why[0])
		used = (size_t)snprintf(reason, sizeof(reason), "no eBPF: %s", agent->observer.why);
	for (unsigned i = 0; !used && i < CRIER_PROBE_EVENT_COUNT; i++)
		if (is_missed(reports, i))
			used = (size_t)snprintf(reason, sizeof(reason), "not seen on this kernel:");
	if (!used)
		return;
	for (unsigned i = 0; !agent->observer.why[0] && i < CRIER_PROBE_EVENT_COUNT && used < sizeof(reason);
	     i++)
		if (is_missed(reports, i))
			used += (size_t)snprintf(reason + used, sizeof(reason) - used, " %s",
						 reports[i].event);
	crier_agent_health(agent, "kernel", "degraded", reason, remedy);
}

void crier_agent_ready(struct crier_agent *agent, bool has_tree, bool has_seeds)
{
	json_t *root = json_object(), *degraded = json_array();

	prove(agent, degraded);
	harden(agent, degraded);
	json_object_set_new(root, "hooks", hooks_json(agent, degraded));
	degrade_surroundings(agent, has_tree, has_seeds, degraded);
	json_object_set_new(root, "degraded", degraded);
	_cleanup_free_ char *text = json_dumps(root, JSON_COMPACT);

	json_decref(root);
	crier_agent_feed_text(agent, CRIER_INPUT_READY, text);
	tell_health(agent);
}
