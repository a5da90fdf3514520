/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.exec, process.fork and process.exit events out of any bytes: mostly as a storm makes them, now and then with
 * one thing out of the ordinary. For the test and the fuzz target that hold the fast way against the tables.
 */
#ifndef TESTS_EMIT_ANY_H
#define TESTS_EMIT_ANY_H

#include "emit_samples.h"

/* The bytes that decide; zeros when they are used up. */
struct any {
	const uint8_t *pos, *end;
};

static inline uint8_t any_u8(struct any *any)
{
	return any->pos < any->end ? *any->pos++ : 0;
}

static inline uint64_t any_bytes(struct any *any, unsigned count)
{
	uint64_t value = 0;

	while (count--)
		value = value << 8 | any_u8(any);
	return value;
}

/* One in sixteen. */
static inline bool any_odd(struct any *any)
{
	return (any_u8(any) & 15) == 15;
}

static inline uint64_t any_odd_number(struct any *any)
{
	static const uint64_t numbers[] = {0,
					   9,
					   10,
					   99999999,
					   100000000,
					   UINT32_MAX,
					   UINT32_MAX + 1ULL,
					   (1ULL << 53) - 1,
					   1ULL << 53,
					   (1ULL << 53) + 1,
					   CRIER_UNKNOWN_U64 - 1,
					   CRIER_UNKNOWN_U64};
	uint8_t choice = any_u8(any);

	return choice < 128 ? numbers[choice % CRIER_ARRAY_SIZE(numbers)] : any_bytes(any, choice % 9);
}

/* `usual` is the number of bytes that an ordinary one has. */
static inline uint64_t any_number(struct any *any, unsigned usual)
{
	return any_odd(any) ? any_odd_number(any) : any_bytes(any, usual);
}

/* Borrowed from the bytes or static. */
static inline struct crier_slice any_text(struct any *any, const char *usual)
{
	static char longest[1100];
	uint8_t choice = any_u8(any);

	if (choice < 200)
		return crier_slice_of(usual);
	if (choice < 204) { /* nothing to escape, and longer than any text may be */
		memset(longest, 'a', sizeof(longest));
		return (struct crier_slice){longest, sizeof(longest)};
	}
	if (choice == 255)
		return CRIER_SLICE_NONE;
	size_t len =
		crier_min((size_t)any_bytes(any, choice & 1 ? 2 : 1) % 1200, (size_t)(any->end - any->pos));
	struct crier_slice text = {(const char *)any->pos, len};

	any->pos += len;
	return text;
}

static inline void any_world(struct any *any, struct sample *s)
{
	static const struct crier_resource resources[] = {{"site", CRIER_SLICE("north")},
							  {"rack", CRIER_SLICE("7\xff\"")}};
	static struct crier_emit_cache cache;

	s->options.detail = CRIER_DETAIL_LEAN;
	s->options.resources = resources;
	s->options.resource_count = any_odd(any) ? 1u + (any_u8(any) & 1) : 0;
	s->options.cache = any_u8(any) & 1 ? &cache : NULL;
	if (any_odd(any))
		s->options.unix_offset_ns = any_odd_number(any);
	s->pod.name = any_text(any, "cart-7d9f8b6c5-x2x4k");
	s->pod.namespace_ = any_text(any, "shop");
	s->container.name = any_text(any, "app");
	if (any_odd(any))
		s->options.node_name = any_text(any, "");
	if (any_odd(any))
		s->pod.uid[0] = (char)any_u8(any);
	if (any_odd(any)) {
		memcpy(s->id, SAMPLE_ID, sizeof(SAMPLE_ID));
		s->id[any_u8(any) & 63] = (char)any_u8(any);
		s->container.id = s->id;
	}
	if (any_odd(any))
		s->container.type = any_u8(any) % CRIER_CONTAINER_TYPE_COUNT;
	if (any_odd(any))
		s->container.pod = NULL;
	if (any_odd(any))
		s->event.pod = NULL;
	if (any_odd(any))
		s->event.container = NULL;
}

static inline void any_subject(struct any *any, struct sample *s)
{
	struct crier_event *event = &s->event;
	struct crier_attribution *attribution = &event->attribution;

	event->boottime_ns = any_number(any, 7);
	event->hook = any_odd(any) ? any_u8(any) : CRIER_HOOK_TP_BTF_EXEC;
	event->cpu = any_number(any, 1);
	event->cgroup.id = any_number(any, 5);
	if (any_odd(any))
		event->severity = any_u8(any) % (CRIER_SEVERITY_COUNT + 1);
	event->undetermined_filter = any_odd(any);
	if (any_odd(any))
		attribution->status = any_u8(any) % (CRIER_ATTRIBUTION_COUNT + 1);
	attribution->source = any_u8(any) % (CRIER_SOURCE_COUNT + 1);
	attribution->via = any_odd(any) ? any_u8(any) % (CRIER_VIA_COUNT + 1) : CRIER_VIA_CGROUP_ID;
	attribution->reason = any_odd(any) ? any_u8(any) % (CRIER_REASON_COUNT + 1) : 0;
	attribution->wait_us = any_odd(any) ? any_odd_number(any) : 0;
	if (any_odd(any))
		event->cut_at_source[any_u8(any) & 1] = "data.filename";
}

static inline void any_process(struct any *any, struct sample *s)
{
	struct crier_process *process = &s->event.process;
	struct crier_correlation *correlation = &s->event.correlation;

	process->pid = any_number(any, 2);
	process->parent_pid = any_number(any, 2);
	process->vpid = any_number(any, 2);
	process->tid = any_odd(any) ? any_odd_number(any) : CRIER_UNKNOWN_U64;
	process->user_id = any_number(any, 2);
	process->comm = any_text(any, "sh");
	process->role = any_odd(any) ? any_u8(any) % (CRIER_ROLE_COUNT + 1) : CRIER_ROLE_MEMBER;
	process->executable_path = any_odd(any) ? any_text(any, "/usr/bin/env") : CRIER_SLICE_NONE;
	correlation->process = (struct crier_process_key){(uint32_t)process->pid, any_number(any, 7)};
	correlation->parent = (struct crier_process_key){(uint32_t)process->parent_pid, any_number(any, 7)};
	if (any_odd(any))
		correlation->process.pid = (uint32_t)any_odd_number(any);
	if (any_odd(any))
		correlation->incident = any_odd_number(any);
	if (any_odd(any))
		correlation->causes[correlation->cause_count++] = (struct crier_cause){
			any_odd_number(any), CRIER_TYPE_CONTAINER_OOM, CRIER_BASIS_SAME_TASK, 0, 8};
}

static inline void any_actor(struct any *any, struct sample *s)
{
	struct crier_actor *actor = &s->event.actor;

	actor->pid = any_odd(any) ? any_odd_number(any) : s->event.process.parent_pid;
	actor->comm = any_text(any, "bash");
	actor->key = (struct crier_process_key){(uint32_t)actor->pid, any_number(any, 7)};
	if (any_odd(any))
		return;
	actor->container_id = crier_slice_of(s->container.id);
	actor->container_name = any_odd(any) ? any_text(any, "other") : s->container.name;
	actor->pod_name = any_odd(any) ? any_text(any, "other") : s->pod.name;
	actor->pod_namespace = any_odd(any) ? any_text(any, "other") : s->pod.namespace_;
}

static inline void any_exec(struct any *any, struct sample *s, struct crier_data_exec *data)
{
	data->filename = any_text(any, "/usr/bin/env");
	data->args_count = any_number(any, 1);
	s->event.process.executable_path = any_odd(any) ? any_text(any, "/other") : data->filename;
	data->args_kept = any_u8(any) % (CRIER_ARRAY_SIZE(s->args) + 1);
	for (size_t i = 0; i < data->args_kept; i++)
		s->args[i] = any_text(any, i ? "--colour=always" : "env");
	data->args = data->args_kept ? s->args : NULL;
}

static inline void any_exit(struct any *any, struct crier_data_exit *data)
{
	data->exit_code = any_odd(any) ? (int64_t)any_odd_number(any) : any_u8(any);
	data->oom_killed = any_odd(any) ? any_u8(any) % 4 : 0;
	data->container_init = any_odd(any) ? any_u8(any) % 4 : 0;
	data->core_dumped = any_odd(any) ? any_u8(any) % 4 : CRIER_UNKNOWN_BOOL;
	data->signal = any_odd(any) ? any_u8(any) % 65 : CRIER_UNKNOWN_U64;
	data->signal_name = any_odd(any) ? "SIGKILL" : NULL;
	data->duration_ms = any_number(any, 4);
	data->user_us = any_number(any, 4);
	data->system_us = any_number(any, 4);
	data->cpu_us = any_number(any, 4);
	data->peak_rss_bytes = any_number(any, 4);
	data->peak_rss_includes_pre_exec = any_u8(any) % 3;
}

/** An event of one of the three types; give it back with sample_done. Its texts may point into the bytes. */
static inline void any_event(struct any *any, struct sample *s)
{
	static const enum crier_type types[] = {CRIER_TYPE_PROCESS_EXEC, CRIER_TYPE_PROCESS_FORK,
						CRIER_TYPE_PROCESS_EXIT};
	enum crier_type type = types[any_u8(any) % 3];

	memset(s, 0, sizeof(*s));
	sample_world(s);
	sample_subject(s, type);
	any_world(any, s);
	any_subject(any, s);
	any_process(any, s);
	if (type == CRIER_TYPE_PROCESS_FORK || any_odd(any))
		any_actor(any, s);
	if (type == CRIER_TYPE_PROCESS_EXEC)
		any_exec(any, s, (void *)s->data);
	else if (type == CRIER_TYPE_PROCESS_EXIT)
		any_exit(any, (void *)s->data);
	else
		((struct crier_data_fork *)s->data)->child_pid =
			any_odd(any) ? any_odd_number(any) : s->event.process.pid;
}

#endif
