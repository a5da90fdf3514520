/* SPDX-License-Identifier: Apache-2.0 */
/* One event of every type as it comes from a node, after EXAMPLE's incident: for golden files, the schema, the bench. */
#ifndef TESTS_EMIT_SAMPLES_H
#define TESTS_EMIT_SAMPLES_H

#include <stdlib.h>

#include "crier/emit.h"
#include "crier/event_data.h"

#define SAMPLE_ID     "3f9c1e2d4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
#define SAMPLE_OLD_ID "be41a7c0d9e8f70615243342516070819a8b7c6d5e4f30211203f4e5d6c7b8a9"
#define SAMPLE_UID    "7a1f0c52-9f0e-4c8b-9a55-0d8be1d0c7e4"
#define SAMPLE_CGROUP                                                                                                \
	"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7a1f0c52_9f0e_4c8b_9a55_0d8be1d0c7e4.slice/" \
	"cri-containerd-" SAMPLE_ID ".scope"
#define SAMPLE_MIB  1048576ULL
#define SAMPLE_BOOT 912345123456789ULL
#define SAMPLE_UNIX 1767586327123456789ULL /* 2026-01-05T04:12:07.123456789Z */

struct sample {
	struct crier_emit_options options;
	struct crier_pod pod;
	struct crier_meta_labels labels;
	struct crier_container container;
	char id[CRIER_ID_MAX]; /* of the container, where a test changes it */
	struct crier_event event;
	struct crier_timeline_item timeline[3];
	struct crier_hook_choice hooks[2];
	struct crier_degraded degraded[1];
	struct crier_loss_cgroup cgroups[2];
	struct crier_slice args[2];
	_Alignas(16) char data[1024];
};

static void sample_world(struct sample *s)
{
	s->options = (struct crier_emit_options){
		.instance = "3b1d9c20",
		.boot = "5f0c6a1e",
		.node_name = CRIER_SLICE("ip-10-0-3-17"),
		.cluster_name = CRIER_SLICE("prod-eu"),
		.unix_offset_ns = SAMPLE_UNIX - SAMPLE_BOOT,
		.cgroup_v2_primary = true,
	};
	s->labels =
		(struct crier_meta_labels){.count = 1, .items = {{CRIER_SLICE("app"), CRIER_SLICE("cart")}}};
	s->pod = (struct crier_pod){
		.uid = SAMPLE_UID,
		.name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k"),
		.namespace_ = CRIER_SLICE("shop"),
		.ip = CRIER_SLICE("10.1.4.9"),
		.labels = &s->labels,
		.replicaset = CRIER_SLICE("cart-7d9f8b6c5"),
		.deployment = CRIER_SLICE("cart"),
		.qos = CRIER_QOS_BURSTABLE,
		.source = CRIER_SOURCE_CRI,
		.version = 1,
	};
	s->container = (struct crier_container){
		.id = SAMPLE_ID,
		.pod = &s->pod,
		.name = CRIER_SLICE("app"),
		.image = CRIER_SLICE("registry.example/shop/cart:1.8.2"),
		.image_id = CRIER_SLICE(
			"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"),
		.runtime_name = "containerd",
		.runtime_version = "1.7.24",
		.type = CRIER_CONTAINER_TYPE_APP,
		.source = CRIER_SOURCE_CRI,
		.restart_count = 3,
		.memory_limit_bytes = 512 * SAMPLE_MIB,
		.cpu_quota_us = 100000,
		.cpu_period_us = 100000,
		.grace_period_s = 30,
		.created_at_ns = 1767574794900000000ULL,
		.started_at_ns = 1767574795100000000ULL,
		.finished_at_ns = CRIER_UNKNOWN_U64,
		.init_pid = 31874,
		.version = 1,
	};
}

static void sample_process(struct sample *s)
{
	struct crier_event *event = &s->event;

	event->cpu = 3;
	event->process.pid = 31874;
	event->process.vpid = 1;
	event->process.parent_pid = 31850;
	event->process.comm = CRIER_SLICE("java");
	event->process.executable_path = CRIER_SLICE("/usr/bin/java");
	event->process.user_id = 1000;
	event->process.start_boottime_ns = 900812000000000;
	event->process.role = CRIER_ROLE_INIT;
	event->correlation.process = (struct crier_process_key){31874, 900812000000000};
	event->correlation.parent = (struct crier_process_key){31850, 900811990000000};
}

static void sample_sender(struct sample *s)
{
	s->event.actor.pid = 480;
	s->event.actor.comm = CRIER_SLICE("containerd-shim");
	s->event.actor.key = (struct crier_process_key){480, 41200000000};
}

static void sample_subject(struct sample *s, enum crier_type type)
{
	struct crier_event *event = &s->event;

	crier_event_init(event, type);
	event->boottime_ns = SAMPLE_BOOT;
	event->hook = CRIER_HOOK_USER;
	event->data = s->data;
	crier_data_init(type, s->data);
	if (type >= CRIER_TYPE_NODE_OOM)
		return;
	event->container = &s->container;
	event->pod = &s->pod;
	event->cgroup.id = 9737;
	event->cgroup.version = 2;
	event->cgroup.path = CRIER_SLICE(SAMPLE_CGROUP);
	event->attribution.status = CRIER_ATTRIBUTION_FULL;
	event->attribution.source = CRIER_SOURCE_CRI;
	event->attribution.via = CRIER_VIA_CGROUP_ID;
	event->attribution.wait_us = 0;
}

static void sample_memory(struct crier_memory_breakdown *memory)
{
	memory->anon_bytes = 498 * SAMPLE_MIB;
	memory->file_bytes = 4 * SAMPLE_MIB;
	memory->shmem_bytes = 0;
	memory->kernel_bytes = 9 * SAMPLE_MIB;
	memory->slab_bytes = 4 * SAMPLE_MIB;
	memory->sock_bytes = 0;
}

static void sample_oom(struct sample *s, struct crier_data_oom *data)
{
	sample_process(s);
	s->event.hook = CRIER_HOOK_FENTRY_OOM_KILL_PROCESS;
	s->event.actor.pid = 31874;
	s->event.actor.comm = CRIER_SLICE("java");
	s->event.actor.key = s->event.correlation.process;
	data->scope = CRIER_OOM_SCOPE_MEMCG;
	data->victim.rss_bytes = 500 * SAMPLE_MIB;
	data->victim.anon_rss_bytes = 498 * SAMPLE_MIB;
	data->victim.file_rss_bytes = 2 * SAMPLE_MIB;
	data->victim.shmem_rss_bytes = 0;
	data->victim.swap_bytes = 0;
	data->victim.pgtables_bytes = 1376256;
	data->victim.total_vm_bytes = 2900 * SAMPLE_MIB;
	data->victim.oom_score_adj = 985;
	data->victim_index = 1;
	data->group_kill = 0;
	data->limit.found_by = CRIER_FOUND_OOM_CONTROL;
	data->limit.level = CRIER_LEVEL_CONTAINER;
	data->limit.cgroup = s->event.cgroup;
	data->limit.bytes = 512 * SAMPLE_MIB;
	data->limit.usage_bytes = 536862720;
	data->limit.peak_bytes = 512 * SAMPLE_MIB;
	data->limit.swap_bytes = 0;
	sample_memory(&data->memory);
	data->memory.sampled = "before";
	data->oom_kill_count = 4;
	s->event.correlation.incident = 412;
	s->event.correlation.cause_count = 1;
	s->event.correlation.causes[0] = (struct crier_cause){
		.seq = 118190,
		.kind = CRIER_TYPE_CONTAINER_MEMORY_PRESSURE,
		.basis = CRIER_BASIS_SAME_CGROUP_WINDOW,
		.delta_ms = 1143,
	};
}

static void sample_node_oom(struct sample *s, struct crier_data_oom *data)
{
	sample_oom(s, data);
	s->event.actor.container_id = CRIER_SLICE(SAMPLE_ID);
	s->event.actor.container_name = CRIER_SLICE("app");
	s->event.actor.pod_name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k");
	s->event.actor.pod_namespace = CRIER_SLICE("shop");
	s->event.process.role = CRIER_ROLE_NONE;
	s->event.process.vpid = CRIER_UNKNOWN_U64;
	s->event.cgroup.id = 412;
	s->event.cgroup.path = CRIER_SLICE("/system.slice/mysql.service");
	s->event.cgroup.version = 2;
	data->scope = CRIER_OOM_SCOPE_GLOBAL;
	data->limit.level = CRIER_LEVEL_NODE;
	data->limit.found_by = CRIER_FOUND_OOM_CONTROL;
	data->limit.cgroup =
		(struct crier_cgroup_ref){CRIER_UNKNOWN_U64, CRIER_SLICE_NONE, CRIER_UNKNOWN_U64};
	data->limit.bytes = data->limit.usage_bytes = data->limit.peak_bytes = data->limit.swap_bytes =
		CRIER_UNKNOWN_U64;
	s->event.correlation.cause_count = 0;
}

static void sample_exited(struct sample *s, struct crier_data_exited *data)
{
	sample_process(s);
	s->event.severity = CRIER_SEVERITY_ERROR;
	s->event.correlation.incident = 412;
	s->event.correlation.cause_count = 2;
	s->event.correlation.causes[0] =
		(struct crier_cause){118205, CRIER_TYPE_PROCESS_EXIT, CRIER_BASIS_SAME_TASK, 0, 59};
	s->event.correlation.causes[1] = (struct crier_cause){CRIER_UNKNOWN_U64, CRIER_TYPE_CONTAINER_OOM,
							      CRIER_BASIS_SAME_TASK, 1, 67};
	s->container.finished_at_ns = SAMPLE_UNIX + 60000000;
	data->cause = CRIER_EXIT_CAUSE_OOM;
	data->exit_code = 137;
	data->signal = 9;
	data->signal_name = "SIGKILL";
	data->core_dumped = 0;
	data->uptime_ms = 11532023;
	data->restart_count = 3;
	data->runtime.reason = CRIER_SLICE("OOMKilled");
	data->runtime.exit_code = 137;
	data->runtime.finished_at = SAMPLE_UNIX + 60000000;
	s->timeline[0] = (struct crier_timeline_item){118190, CRIER_TYPE_CONTAINER_MEMORY_PRESSURE,
						      SAMPLE_UNIX - 1143000000};
	s->timeline[1] =
		(struct crier_timeline_item){CRIER_UNKNOWN_U64, CRIER_TYPE_CONTAINER_OOM, SAMPLE_UNIX};
	s->timeline[2] = (struct crier_timeline_item){118205, CRIER_TYPE_PROCESS_EXIT, SAMPLE_UNIX + 8000000};
	data->timeline = s->timeline;
	data->timeline_count = 3;
}

static void sample_started(struct sample *s, struct crier_data_started *data)
{
	sample_process(s);
	s->event.hook = CRIER_HOOK_TP_BTF_EXEC;
	s->container.restart_count = 4;
	s->event.correlation.cause_count = 1;
	s->event.correlation.causes[0] =
		(struct crier_cause){118206, CRIER_TYPE_CONTAINER_EXITED, CRIER_BASIS_SAME_SLOT, 0, 20265};
	data->filename = CRIER_SLICE("/usr/bin/java");
	data->start_delay_ms = 142;
	data->restarts_1h = 2;
	data->previous.container_id = CRIER_SLICE(SAMPLE_OLD_ID);
	data->previous.cause = CRIER_EXIT_CAUSE_OOM;
	data->previous.exit_code = 137;
	data->previous.incident = 412;
	data->previous.exited_at = SAMPLE_UNIX + 60000000;
}

static void sample_pressure(struct sample *s, struct crier_data_pressure *data)
{
	data->phase = CRIER_PHASE_ENTER;
	data->level = CRIER_PRESSURE_CRITICAL;
	data->ratio = 0.9713;
	data->working_set_bytes = 497 * SAMPLE_MIB;
	data->usage_bytes = 509 * SAMPLE_MIB;
	data->limit.level = CRIER_LEVEL_CONTAINER;
	data->limit.cgroup = s->event.cgroup;
	data->limit.bytes = 512 * SAMPLE_MIB;
	data->stall_ms = 1213;
	data->limit_hits = 34;
	data->duration_ms = 0;
	sample_memory(&data->memory);
	s->event.correlation.incident = 412;
}

static void sample_throttle(struct crier_data_throttle *data)
{
	data->ratio = 0.42;
	data->periods = 300;
	data->throttled_periods = 126;
	data->throttled_ms = 12600;
	data->window_ms = 30000;
	data->quota_us = 50000;
	data->period_us = 100000;
}

static void sample_exec(struct sample *s, struct crier_data_exec *data)
{
	sample_process(s);
	s->event.hook = CRIER_HOOK_TP_BTF_EXEC;
	s->event.cpu = 1;
	s->event.process.pid = 33001;
	s->event.process.vpid = 7;
	s->event.process.parent_pid = 32990;
	s->event.process.comm = CRIER_SLICE("sh");
	s->event.process.executable_path = CRIER_SLICE("/bin/sh");
	s->event.process.role = CRIER_ROLE_MEMBER;
	s->event.correlation.process = (struct crier_process_key){33001, 912365500900000};
	s->event.correlation.parent = (struct crier_process_key){32990, 912365400900000};
	data->filename = CRIER_SLICE("/bin/sh");
	data->args_count = 2;
}

static void sample_fork(struct sample *s, struct crier_data_fork *data)
{
	sample_process(s);
	s->event.hook = CRIER_HOOK_TP_BTF_FORK;
	s->event.process.pid = 33001;
	s->event.process.role = CRIER_ROLE_MEMBER;
	s->event.process.executable_path = CRIER_SLICE_NONE;
	s->event.correlation.process = (struct crier_process_key){33001, 912365500900000};
	s->event.actor.pid = 31874;
	s->event.actor.comm = CRIER_SLICE("java");
	s->event.actor.key = (struct crier_process_key){31874, 900812000000000};
	s->event.actor.container_id = CRIER_SLICE(SAMPLE_ID);
	data->child_pid = 33001;
}

static void sample_exit(struct sample *s, struct crier_data_exit *data)
{
	sample_process(s);
	s->event.hook = CRIER_HOOK_TP_BTF_EXIT;
	s->event.severity = CRIER_SEVERITY_WARN;
	s->event.process.executable_path = CRIER_SLICE_NONE;
	s->event.correlation.incident = 412;
	s->event.correlation.cause_count = 1;
	s->event.correlation.causes[0] =
		(struct crier_cause){118204, CRIER_TYPE_CONTAINER_OOM, CRIER_BASIS_SAME_TASK, 0, 8};
	data->signal = 9;
	data->signal_name = "SIGKILL";
	data->core_dumped = 0;
	data->oom_killed = 1;
	data->container_init = 1;
	data->duration_ms = 11533131;
	data->user_us = 912000000;
	data->system_us = 31000000;
	data->cpu_us = 943000000;
	data->peak_rss_bytes = 503 * SAMPLE_MIB;
}

static void sample_signal(struct sample *s, struct crier_data_signal *data)
{
	sample_process(s);
	s->event.hook = CRIER_HOOK_TP_BTF_SIGNAL;
	s->event.process.executable_path = CRIER_SLICE_NONE;
	s->event.correlation.incident = 413;
	sample_sender(s);
	data->signal = 15;
	data->signal_name = "SIGTERM";
	data->code = 0;
	data->result = CRIER_SIGNAL_RESULT_DELIVERED;
	data->fatal = 0;
	data->stop = 1;
	data->sender = "process";
}

static void sample_counts(struct crier_class_counts *counts, uint64_t scale)
{
	*counts = (struct crier_class_counts){
		.generated = 1000 * scale,
		.emitted = 600 * scale,
		.filtered = 300 * scale,
		.suppressed = 90 * scale,
		.lost = 8 * scale,
		.held = 2 * scale,
	};
}

static void sample_node_pressure(struct crier_data_node_pressure *data)
{
	data->phase = CRIER_PHASE_ONGOING;
	data->level = CRIER_PRESSURE_HIGH;
	data->available_ratio = 0.0812;
	data->total_bytes = 8192 * SAMPLE_MIB;
	data->available_bytes = 665 * SAMPLE_MIB;
	data->swap_total_bytes = 0;
	data->swap_free_bytes = 0;
	data->stall_ms = 410;
	data->duration_ms = 61000;
}

static void sample_agent_start(struct sample *s, struct crier_data_agent_start *data)
{
	data->version = CRIER_SLICE("0.1.0");
	data->kernel = CRIER_SLICE("6.1.0-56-cloud-amd64");
	data->profile = CRIER_SLICE("default");
	data->config_path = CRIER_SLICE("/etc/crier/crier.yaml");
	data->cgroup_mode = CRIER_SLICE("v2");
	data->cgroup_driver = CRIER_SLICE("systemd");
	data->cri_socket = CRIER_SLICE("/run/containerd/containerd.sock");
	data->cri_events = "auto";
	s->hooks[0] = (struct crier_hook_choice){"exec", CRIER_SLICE("tp_btf:sched_process_exec"),
						 CRIER_SLICE_NONE};
	s->hooks[1] = (struct crier_hook_choice){
		"oom", CRIER_SLICE("tp_btf:mark_victim"),
		CRIER_SLICE("fentry:oom_kill_process: no trampoline on this kernel")};
	data->hooks = s->hooks;
	data->hook_count = 2;
	s->degraded[0] = (struct crier_degraded){
		CRIER_SLICE("executable paths of other users' processes may be absent"),
		CRIER_SLICE("add SYS_PTRACE")};
	data->degraded = s->degraded;
	data->degraded_count = 1;
	data->previous.instance = CRIER_SLICE("77aa01fe");
	data->previous.last_seq = 91822;
	data->previous.ended_at = SAMPLE_UNIX - 4200000000ULL;
	data->previous.gap_ms = 4200;
	data->previous.clean = 1;
}

static void sample_health(struct crier_data_health *data)
{
	data->component = CRIER_SLICE("cri");
	data->state = "down";
	data->reason = CRIER_SLICE("/run/containerd/containerd.sock: connection refused");
	data->remedy = CRIER_SLICE("is containerd running? metadata comes from bundles and paths meanwhile");
}

static void sample_stats(struct crier_data_stats *data)
{
	uint64_t number = 1;

	for (uint64_t *each = (uint64_t *)data; each < (uint64_t *)(data + 1); each++)
		*each = number++ * 1000; /* every member is a uint64_t */
	sample_counts(&data->bulk, 100);
	sample_counts(&data->critical, 1);
	data->rss_bytes = 9 * SAMPLE_MIB;
}

static void sample_loss(struct sample *s, struct crier_data_loss *data)
{
	data->cause = CRIER_LOSS_RESERVE_FAILED;
	data->class_name = "bulk";
	data->count = 412;
	data->first_ns = SAMPLE_BOOT - 1000000;
	data->last_ns = SAMPLE_BOOT;
	s->cgroups[0] = (struct crier_loss_cgroup){9737, 400};
	s->cgroups[1] = (struct crier_loss_cgroup){9801, 12};
	data->top_cgroups = s->cgroups;
	data->top_cgroup_count = 2;
}

static void sample_agent_stop(struct crier_data_stop *data)
{
	data->reason = CRIER_SLICE("SIGTERM");
	data->uptime_ms = 86400000;
	sample_counts(&data->bulk, 100);
	sample_counts(&data->critical, 1);
	data->lines = 118400;
}

static void sample_resolved(struct crier_data_resolved *data)
{
	data->cgroup_id = 9801;
	data->container_id = CRIER_SLICE(SAMPLE_ID);
	data->from_seq = 118390;
	data->to_seq = 118399;
	data->count = 4;
}

static void sample_snapshot(struct crier_data_snapshot *data)
{
	data->state = CRIER_STATE_RUNNING;
	data->memory_usage_bytes = 401 * SAMPLE_MIB;
	data->working_set_bytes = 342 * SAMPLE_MIB;
	data->process_count = 5;
	data->uptime_ms = 11532023;
}

/** Fill `s` with the sample of a type. Its fragments must be dropped with sample_done. */
static inline void sample_init(struct sample *s, enum crier_type type)
{
	void *data = s->data;

	memset(s, 0, sizeof(*s));
	sample_world(s);
	sample_subject(s, type);
	switch (type) {
	case CRIER_TYPE_CONTAINER_CREATED:
		s->event.hook = CRIER_HOOK_TP_BTF_CGROUP_MKDIR;
		s->event.cpu = 2;
		((struct crier_data_created *)data)->cgroup_path = s->event.cgroup.path;
		break;
	case CRIER_TYPE_CONTAINER_STARTED: sample_started(s, data); break;
	case CRIER_TYPE_CONTAINER_EXITED: sample_exited(s, data); break;
	case CRIER_TYPE_CONTAINER_REMOVED:
		((struct crier_data_removed *)data)->basis = CRIER_REMOVED_RUNTIME;
		break;
	case CRIER_TYPE_CONTAINER_RESOLVED: sample_resolved(data); break;
	case CRIER_TYPE_CONTAINER_SNAPSHOT: sample_snapshot(data); break;
	case CRIER_TYPE_CONTAINER_OOM: sample_oom(s, data); break;
	case CRIER_TYPE_CONTAINER_MEMORY_PRESSURE: sample_pressure(s, data); break;
	case CRIER_TYPE_CONTAINER_CPU_THROTTLE: sample_throttle(data); break;
	case CRIER_TYPE_PROCESS_EXEC: sample_exec(s, data); break;
	case CRIER_TYPE_PROCESS_FORK: sample_fork(s, data); break;
	case CRIER_TYPE_PROCESS_EXIT: sample_exit(s, data); break;
	case CRIER_TYPE_PROCESS_SIGNAL: sample_signal(s, data); break;
	case CRIER_TYPE_NODE_OOM: sample_node_oom(s, data); break;
	case CRIER_TYPE_NODE_MEMORY_PRESSURE: sample_node_pressure(data); break;
	case CRIER_TYPE_AGENT_START: sample_agent_start(s, data); break;
	case CRIER_TYPE_AGENT_HEALTH: sample_health(data); break;
	case CRIER_TYPE_AGENT_STATS: sample_stats(data); break;
	case CRIER_TYPE_AGENT_LOSS: sample_loss(s, data); break;
	case CRIER_TYPE_AGENT_STOP: sample_agent_stop(data); break;
	case CRIER_TYPE_NONE:
	case CRIER_TYPE_COUNT: break;
	}
}

static inline void sample_done(struct sample *s)
{
	free(s->container.fragment);
	s->container.fragment = NULL;
}

#endif
