/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at a cgroup's own counters: memory pressure when the kernel hinted at reclaim (and every --throttle-interval
 * for containers with a limit), CPU throttling, and the node's memory. The judgement is src/pressure.c's.
 */
#include "internal.h"

#include <stdio.h>

#define LIMIT_LEVELS_MAX 8 /* container, pod, QoS, kubepods and a few of a user's own */

bool crier_read_file(struct crier_pipeline *p, const char *root, const char *cgroup_path, const char *file,
		     struct crier_slice *ret_text)
{
	char path[CRIER_CGROUP_PATH_MAX + 320];
	size_t len;

	if (!root[0])
		return false;
	snprintf(path, sizeof(path), "%s%s/%s", root, strcmp(cgroup_path, "/") == 0 ? "" : cgroup_path, file);
	if (p->host.read(p->host.ctx, path, p->file, sizeof(p->file), &len) < 0)
		return false;
	*ret_text = (struct crier_slice){p->file, len};
	return true;
}

static struct crier_slice first_word(struct crier_slice text)
{
	size_t len = 0;

	while (len < text.len && text.ptr[len] != '\n' && text.ptr[len] != ' ')
		len++;
	return (struct crier_slice){text.ptr, len};
}

bool crier_read_number(struct crier_pipeline *p, const char *root, const char *cgroup_path, const char *file,
		       uint64_t *ret_value)
{
	struct crier_slice text;

	return crier_read_file(p, root, cgroup_path, file, &text) &&
	       crier_parse_u64(first_word(text), ret_value) == 0;
}

bool crier_text_number(struct crier_slice text, const char *key, uint64_t *ret_value)
{
	size_t key_len = strlen(key);

	while (text.len) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t len = end ? (size_t)(end - text.ptr) : text.len;

		if (len > key_len && memcmp(text.ptr, key, key_len) == 0 &&
		    (text.ptr[key_len] == ' ' || text.ptr[key_len] == '=')) {
			struct crier_slice value = {text.ptr + key_len + 1, len - key_len - 1};

			return crier_parse_u64(first_word(value), ret_value) == 0;
		}
		text.ptr += len + (end ? 1 : 0);
		text.len -= len + (end ? 1 : 0);
	}
	return false;
}

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=1234": microseconds at least one task was stalled. */
static uint64_t psi_total(struct crier_slice text)
{
	const char *at = memmem(text.ptr, text.len, "total=", 6);
	uint64_t value;

	if (!at)
		return CRIER_UNKNOWN_U64;
	struct crier_slice rest = {at + 6, (size_t)(text.ptr + text.len - at - 6)};

	return crier_parse_u64(first_word(rest), &value) == 0 ? value : CRIER_UNKNOWN_U64;
}

/* v1's "total_" figures include what sub-cgroups hold, as v2's do. */
void crier_watch_breakdown(struct crier_pipeline *p, const char *cgroup_path,
			   struct crier_memory_breakdown *ret)
{
	const struct crier_cgroup_layout *layout = &p->start.layout;
	bool v2 = layout->memory_is_v2;
	struct crier_slice text;

	if (!crier_read_file(p, layout->memory_root, cgroup_path, "memory.stat", &text))
		return;
	(void)crier_text_number(text, v2 ? "anon" : "total_rss", &ret->anon_bytes);
	(void)crier_text_number(text, v2 ? "file" : "total_cache", &ret->file_bytes);
	(void)crier_text_number(text, v2 ? "shmem" : "total_shmem", &ret->shmem_bytes);
	if (v2) {
		(void)crier_text_number(text, "kernel", &ret->kernel_bytes);
		(void)crier_text_number(text, "slab", &ret->slab_bytes);
		(void)crier_text_number(text, "sock", &ret->sock_bytes);
	} else {
		(void)crier_read_number(p, layout->memory_root, cgroup_path, "memory.kmem.usage_in_bytes",
					&ret->kernel_bytes);
		(void)crier_read_number(p, layout->memory_root, cgroup_path, "memory.kmem.tcp.usage_in_bytes",
					&ret->sock_bytes);
	}
}

bool crier_watch_usage(struct crier_pipeline *p, const char *cgroup_path, struct crier_usage *ret)
{
	const struct crier_cgroup_layout *layout = &p->start.layout;
	bool v2 = layout->memory_is_v2;
	const char *usage_file = v2 ? "memory.current" : "memory.usage_in_bytes";
	uint64_t usage, inactive, active;
	struct crier_slice text;

	if (!crier_read_number(p, layout->memory_root, cgroup_path, usage_file, &usage))
		return false;
	*ret = (struct crier_usage){usage, CRIER_UNKNOWN_U64, CRIER_UNKNOWN_U64};
	if (!crier_read_file(p, layout->memory_root, cgroup_path, "memory.stat", &text) ||
	    !crier_text_number(text, v2 ? "inactive_file" : "total_inactive_file", &inactive) ||
	    !crier_text_number(text, v2 ? "active_file" : "total_active_file", &active))
		return false;
	ret->working_set_bytes = usage > inactive ? usage - inactive : 0;
	ret->held_bytes = usage > inactive + active ? usage - inactive - active : 0;
	return true;
}

/*
 * The nearest of the container's and its pod's limits, in bytes. What is further up (QoS, all pods) is shared by many: it
 * is not this container's pressure, and would be told once for each; the node's own line tells of it.
 */
static struct crier_cgroup *limited_ancestor(struct crier_pipeline *p, struct crier_cgroup *cgroup,
					     uint64_t *ret_limit)
{
	const struct crier_cgroup_layout *layout = &p->start.layout;
	const char *file = layout->memory_is_v2 ? "memory.max" : "memory.limit_in_bytes";

	for (int depth = 0; cgroup && cgroup->path && depth < LIMIT_LEVELS_MAX; depth++) {
		uint64_t limit;

		if (cgroup->kind == CRIER_CGROUP_KIND_QOS || cgroup->kind == CRIER_CGROUP_KIND_KUBEPODS ||
		    cgroup->path_len <= 1)
			break;

		/* v2 says "max", v1 a number near 2^63 */
		if (crier_read_number(p, layout->memory_root, cgroup->path, file, &limit) &&
		    limit < 1ULL << 60) {
			*ret_limit = limit;
			return cgroup;
		}
		cgroup = crier_cgroup_get(p->cgroups, cgroup->parent_id);
	}
	return NULL;
}

static void take_sample(struct crier_pipeline *p, const struct crier_cgroup *owner,
			const struct crier_cgroup *own, struct crier_pressure_sample *sample)
{
	const struct crier_cgroup_layout *layout = &p->start.layout;
	struct crier_slice text;

	sample->now_ns = p->now_ns;
	struct crier_usage usage = {CRIER_UNKNOWN_U64, CRIER_UNKNOWN_U64, CRIER_UNKNOWN_U64};

	(void)crier_watch_usage(p, owner->path, &usage);
	sample->usage_bytes = usage.bytes;
	sample->working_set_bytes = usage.working_set_bytes;
	sample->held_bytes = usage.held_bytes;
	sample->stall_total_us = sample->limit_hits = CRIER_UNKNOWN_U64;
	/* PSI is a v2 file, also where the memory controller is v1's */
	if (layout->primary_is_v2 &&
	    crier_read_file(p, layout->primary_root, own->path, "memory.pressure", &text))
		sample->stall_total_us = psi_total(text);
	if (!layout->memory_is_v2) {
		/* newer kernels leave v1's failcnt at 0 even after an OOM kill (seen on 6.18): 0 says nothing */
		if (crier_read_number(p, layout->memory_root, owner->path, "memory.failcnt",
				      &sample->limit_hits) &&
		    sample->limit_hits == 0)
			sample->limit_hits = CRIER_UNKNOWN_U64;
	} else if (crier_read_file(p, layout->memory_root, owner->path, "memory.events", &text))
		(void)crier_text_number(text, "max", &sample->limit_hits);
}

static void watch_psi(struct crier_pipeline *p, struct crier_life *life, bool on)
{
	char path[CRIER_CGROUP_PATH_MAX + 320];
	const struct crier_cgroup_layout *layout = &p->start.layout;

	if (!layout->primary_is_v2 || !life->cgroup || !life->cgroup->path)
		return;
	snprintf(path, sizeof(path), "%s%s/memory.pressure", layout->primary_root, life->cgroup->path);
	p->host.watch_pressure(p->host.ctx, life->cgroup->id, path, on);
}

static void tell_pressure(struct crier_pipeline *p, struct crier_life *life, const struct crier_cgroup *owner,
			  const struct crier_pressure_sample *sample,
			  const struct crier_pressure_verdict *verdict)
{
	struct crier_incident_fact fact = {.type = CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, .now_ns = p->now_ns};
	struct crier_incident *incident = crier_incident_join(&life->incidents, &p->incident_pool, &fact);
	struct crier_data_pressure data;
	struct crier_event event;

	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, life, p->now_ns);
	crier_data_init(CRIER_TYPE_CONTAINER_MEMORY_PRESSURE, &data);
	data.phase = verdict->phase;
	data.level = verdict->level;
	data.ratio = verdict->ratio;
	data.working_set_bytes = sample->working_set_bytes;
	data.usage_bytes = sample->usage_bytes;
	data.limit.bytes = sample->limit_bytes;
	data.limit.level = (uint8_t)crier_level_of(owner);
	data.limit.cgroup.id = owner->memory_id ? owner->memory_id : CRIER_UNKNOWN_U64;
	data.limit.cgroup.path = (struct crier_slice){owner->path, owner->path_len};
	data.limit.cgroup.version = p->start.layout.memory_is_v2 ? 2 : 1;
	data.stall_ms = verdict->stall_ms;
	data.limit_hits = verdict->limit_hits;
	data.duration_ms = verdict->duration_ms;
	crier_watch_breakdown(p, owner->path, &data.memory);
	event.data = &data;
	if (verdict->phase == CRIER_PHASE_EXIT)
		event.severity = CRIER_SEVERITY_INFO;
	crier_incident_explain(incident, &fact, &event.correlation);

	uint64_t seq = crier_output(p, &event, CRIER_CLASS_CRITICAL, true);

	crier_incident_add(incident, &fact, seq);
}

/* NULL: out of memory; the next look tries again. */
static struct crier_watched *watched(struct crier_life *life)
{
	if (!life->watched)
		life->watched = calloc(1, sizeof(*life->watched));
	return life->watched;
}

static bool is_under_pressure(const struct crier_life *life)
{
	return life->watched && life->watched->pressure.level != CRIER_PRESSURE_NONE;
}

void crier_watch_sample(struct crier_pipeline *p, struct crier_life *life)
{
	const struct crier_pressure_limits limits = {
		.enter = p->config->pressure_enter_ratio,
		.exit = p->config->pressure_exit_ratio,
		.critical = p->config->pressure_critical_ratio,
		.interval_ns = p->config->pressure_interval_ms * MS_NS,
	};
	struct crier_pressure_sample sample = {.limit_bytes = 0};
	struct crier_cgroup *owner;
	bool was_under = is_under_pressure(life);

	life->pressure_next_ns = 0;
	life->pressure_sampled_ns = p->now_ns;
	if (life->cgroup && life->container->phase < CRIER_PHASE_CONTAINER_ENDING) {
		owner = limited_ancestor(p, life->cgroup, &sample.limit_bytes);
		if (owner && watched(life)) {
			take_sample(p, owner, life->cgroup, &sample);
			sample.hits_from_birth =
				life->created_told && !life->preexisting && owner == life->cgroup;
			struct crier_pressure_verdict verdict =
				crier_pressure_step(&life->watched->pressure, &limits, &sample);

			if (verdict.phase != CRIER_PHASE_NONE)
				tell_pressure(p, life, owner, &sample, &verdict);
		}
	}
	if (is_under_pressure(life))
		life->pressure_next_ns = p->now_ns + CRIER_PRESSURE_RESAMPLE_NS;
	if (was_under != is_under_pressure(life))
		watch_psi(p, life, !was_under);
	crier_life_schedule(p, life);
}

/* The container ended: pressure ends with it and is not told; the death says more. */
void crier_watch_end(struct crier_pipeline *p, struct crier_life *life)
{
	if (is_under_pressure(life)) {
		watch_psi(p, life, false);
		life->watched->pressure.level = CRIER_PRESSURE_NONE;
	}
	life->pressure_next_ns = 0;
}

static void sample_limited(struct crier_pipeline *p, struct crier_life *life)
{
	if (crier_life_is_held(p, life)) {
		life->hinted = true; /* its lines must not overtake what waits */
		return;
	}
	if (p->now_ns - life->pressure_sampled_ns >= CRIER_PRESSURE_HINT_NS)
		crier_watch_sample(p, life);
}

void crier_watch_hint(struct crier_pipeline *p, const struct crier_decoded *d)
{
	struct crier_subject subject = crier_subject_of(p, d->header->cgroup_id);

	if (subject.life)
		sample_limited(p, subject.life);
}

void crier_watch_psi(struct crier_pipeline *p, uint64_t cgroup_id)
{
	struct crier_subject subject = crier_subject_of(p, cgroup_id);

	if (cgroup_id == 0)
		crier_watch_node(p);
	else if (subject.life)
		sample_limited(p, subject.life);
}

/* ---- every --throttle-interval: CPU throttling, and a look at memory that no reclaim has hinted at ---- */

static void look_at_cpu(struct crier_pipeline *p, struct crier_life *life)
{
	const struct crier_cgroup_layout *layout = &p->start.layout;
	uint64_t periods, throttled, time;
	struct crier_data_throttle data;
	struct crier_slice text;
	struct crier_event event;

	if (!crier_read_file(p, layout->cpu_root, life->cgroup->path, "cpu.stat", &text) ||
	    !crier_text_number(text, "nr_periods", &periods) ||
	    !crier_text_number(text, "nr_throttled", &throttled))
		return;
	if (crier_text_number(text, "throttled_usec", &time))
		; /* v2 */
	else if (crier_text_number(text, "throttled_time", &time))
		time /= 1000; /* v1 counts nanoseconds */
	else
		return;
	crier_data_init(CRIER_TYPE_CONTAINER_CPU_THROTTLE, &data);
	if (!watched(life) || !crier_throttle_step(&life->watched->throttle, p->config->throttle_ratio,
						   p->now_ns, periods, throttled, time, &data))
		return;
	data.quota_us = life->container->cpu_quota_us;
	data.period_us = life->container->cpu_period_us;
	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_CPU_THROTTLE, life, p->now_ns);
	event.data = &data;
	(void)crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
}

static bool look_at(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (!life || !life->cgroup || !life->cgroup->path ||
	    container->phase != CRIER_PHASE_CONTAINER_RUNNING)
		return true;
	/* no quota, no throttling: known once the runtime's status is */
	if (life->ask != ASK_ANSWERED || container->cpu_quota_us != CRIER_UNKNOWN_U64)
		look_at_cpu(p, life);
	if (container->memory_limit_bytes != CRIER_UNKNOWN_U64)
		sample_limited(p, life);
	return true;
}

void crier_watch_round(struct crier_pipeline *p)
{
	crier_index_each(p->index, look_at, p);
}

/* ---- the node ---- */

/* "MemTotal:       24689384 kB" */
static void meminfo(struct crier_slice text, const char *key, uint64_t *ret_bytes)
{
	const char *at = memmem(text.ptr, text.len, key, strlen(key));
	const char *end = text.ptr + text.len;
	uint64_t kib;

	if (!at)
		return;
	for (at += strlen(key); at < end && *at == ' ';)
		at++;
	struct crier_slice value = first_word((struct crier_slice){at, (size_t)(end - at)});

	if (crier_parse_u64(value, &kib) == 0 && kib < UINT64_MAX / 1024)
		*ret_bytes = kib * 1024;
}

static bool read_proc(struct crier_pipeline *p, const char *name, struct crier_slice *ret_text)
{
	char path[300];
	size_t len;

	snprintf(path, sizeof(path), "%s/proc/%s", crier_host_root(p), name);
	if (p->host.read(p->host.ctx, path, p->file, sizeof(p->file), &len) < 0)
		return false;
	*ret_text = (struct crier_slice){p->file, len};
	return true;
}

void crier_watch_node(struct crier_pipeline *p)
{
	uint64_t stall = CRIER_UNKNOWN_U64;
	struct crier_data_node_pressure data;
	struct crier_slice text;
	struct crier_event event;

	crier_data_init(CRIER_TYPE_NODE_MEMORY_PRESSURE, &data);
	if (read_proc(p, "pressure/memory", &text))
		stall = psi_total(text);
	if (!read_proc(p, "meminfo", &text))
		return;
	meminfo(text, "MemTotal:", &data.total_bytes);
	meminfo(text, "MemAvailable:", &data.available_bytes);
	meminfo(text, "SwapTotal:", &data.swap_total_bytes);
	meminfo(text, "SwapFree:", &data.swap_free_bytes);
	if (data.total_bytes == CRIER_UNKNOWN_U64 || data.available_bytes == CRIER_UNKNOWN_U64)
		return;
	struct crier_pressure_verdict verdict =
		crier_node_pressure_step(&p->node_pressure, p->config->node_memory_enter_ratio,
					 p->config->pressure_interval_ms * MS_NS, p->now_ns, data.total_bytes,
					 data.available_bytes, stall);

	if (verdict.phase == CRIER_PHASE_NONE)
		return;
	crier_event_init(&event, CRIER_TYPE_NODE_MEMORY_PRESSURE);
	event.boottime_ns = p->now_ns;
	event.hook = CRIER_HOOK_USER;
	event.attribution.status = CRIER_ATTRIBUTION_HOST;
	event.attribution.source = CRIER_SOURCE_PROC;
	if (verdict.phase == CRIER_PHASE_EXIT)
		event.severity = CRIER_SEVERITY_INFO;
	data.phase = verdict.phase;
	data.level = verdict.level;
	data.available_ratio = verdict.ratio;
	data.stall_ms = verdict.stall_ms;
	data.duration_ms = verdict.duration_ms;
	event.data = &data;
	crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
}
