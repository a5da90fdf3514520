/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline from outside: made, fed, asked for its next deadline. See internal.h for the reading order. */
#include "internal.h"

#include <errno.h>
#include <jansson.h>

#define EXPIRE_NS (10 * SECOND_NS)
#define CGROUP_GRACE_NS                                                                                      \
	(10 * SECOND_NS) /* class map entries outlive rmdir: late exits still find their class */

static int make_filter(struct crier_pipeline *p, struct crier_err *err)
{
	struct crier_filter *filter;
	int r = crier_filter_new(p->config, &filter, err);

	if (r < 0)
		return r;
	crier_filter_free(p->filter);
	p->filter = filter;
	return 0;
}

static void free_resources(struct crier_pipeline *p)
{
	for (size_t i = 0; i < p->emit.resource_count; i++)
		free((char *)p->resources[i].key);
	free(p->resources);
	p->resources = NULL;
	p->emit.resource_count = 0;
}

/* "key=value" rows, checked by the config already. */
static int set_resources(struct crier_pipeline *p)
{
	const struct crier_config_list *list = &p->config->resources;

	free_resources(p);
	p->resources = calloc(list->count + 1, sizeof(*p->resources));
	if (!p->resources)
		return -ENOMEM;
	for (size_t i = 0; i < list->count; i++) {
		const char *equals = strchr(list->items[i], '=');
		char *key = equals ? strndup(list->items[i], (size_t)(equals - list->items[i])) : NULL;

		if (key)
			p->resources[p->emit.resource_count++] =
				(struct crier_resource){key, crier_slice_of(equals + 1)};
	}
	p->emit.resources = p->resources;
	return 0;
}

static int configure(struct crier_pipeline *p, struct crier_err *err)
{
	const struct crier_config *config = p->config;
	int r = make_filter(p, err);

	if (r < 0)
		return r;
	p->emit.version++;
	p->emit.node_name = crier_slice_of(config->node_name);
	p->emit.cluster_name = crier_slice_of(config->cluster_name);
	p->emit.detail = config->detail;
	p->emit.label_keys = config->label_keys;
	return set_resources(p);
}

static void set_timers(struct crier_pipeline *p)
{
	p->stats_due_ns = p->now_ns + p->config->stats_interval_ms * MS_NS;
	p->snapshot_due_ns = p->now_ns + p->config->snapshot_interval_ms * MS_NS;
	p->throttle_due_ns = p->now_ns + p->config->throttle_interval_ms * MS_NS;
	p->node_due_ns = p->now_ns + p->config->node_memory_interval_ms * MS_NS;
	p->expire_due_ns = p->now_ns + EXPIRE_NS;
	p->loss_due_ns = NEVER;
}

static int make_tables(struct crier_pipeline *p)
{
	const struct crier_config *config = p->config;
	const struct crier_index_limits index = {
		.containers = (uint32_t)config->max_containers,
		.tombstones = (uint32_t)config->tombstones,
		.tombstone_age_ns = config->tombstone_age_ms * MS_NS,
		.slot_age_ns = config->slot_age_ms * MS_NS,
		.slots = (uint32_t)config->max_containers,
	};
	const struct crier_hold_limits hold = {
		.events_per_key = (uint32_t)config->hold_container_events,
		.bytes_per_key = config->hold_container_bytes,
		.events = (uint32_t)config->hold_events,
		.bytes = config->hold_bytes,
	};
	int r = crier_index_new(&index, &p->index);

	if (r == 0)
		r = crier_cgroup_table_new((uint32_t)config->max_cgroups, &p->cgroups);
	if (r == 0)
		r = crier_hold_new(&hold, &p->hold);
	return r;
}

static void forget_cgroup(void *ctx, struct crier_cgroup *cgroup)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = cgroup->container ? cgroup->container->life : NULL;

	if (life && life->cgroup == cgroup)
		life->cgroup = NULL; /* its rmdir was lost */
	if (life && life->cgroups)
		life->cgroups--;
	p->host.forget(p->host.ctx, cgroup->id);
}

int crier_pipeline_new(const struct crier_config *config, const struct crier_start *start,
		       const struct crier_host *host, struct crier_pipeline **ret_pipeline,
		       struct crier_err *err)
{
	struct crier_pipeline *p = calloc(1, sizeof(*p));

	if (!p)
		return crier_err_set(err, -ENOMEM, "pipeline: out of memory; raise the memory limit");
	p->config = config;
	p->host = *host;
	p->start = *start;
	p->now_ns = p->stats_last_ns = p->budget_ns = start->boottime_ns;
	p->budget_bytes = config->max_output_bytes;
	p->cri_enabled = start->cri_socket[0] != '\0';
	p->room = p->room_total = config->sink_buffer_bytes;
	crier_list_init(&p->busy);
	crier_list_init(&p->unanswered);
	crier_list_init(&p->unheard);
	crier_list_init(&p->dying);
	p->busy_due_ns = p->doomed_due_ns = NEVER;
	memcpy(p->emit.instance, start->instance, sizeof(p->emit.instance));
	memcpy(p->emit.boot, start->boot, sizeof(p->emit.boot));
	p->emit.unix_offset_ns = start->unix_offset_ns;
	p->emit.cache = &p->cache;
	p->emit.cgroup_v2_primary = start->layout.primary_is_v2;

	int r = make_tables(p);

	if (r < 0)
		crier_err_set(
			err, r,
			"pipeline: the tables could not be made (%s); lower --max-containers or --max-cgroups",
			strerror(-r));
	else
		r = configure(p, err);
	if (r < 0) {
		crier_pipeline_free(p);
		return r;
	}
	crier_index_on_drop(p->index, crier_life_drop, p);
	crier_index_on_pod_drop(p->index, crier_life_pod_drop, p);
	crier_cgroup_table_on_evict(p->cgroups, forget_cgroup, p);
	p->sources = (struct crier_sources){
		.host = &p->host,
		.config = p->config,
		.index = p->index,
		.buf = p->file,
		.cap = sizeof(p->file),
	};
	set_timers(p);
	*ret_pipeline = p;
	return 0;
}

void crier_pipeline_free(struct crier_pipeline *p)
{
	if (!p)
		return;
	if (p->index) {
		crier_index_on_drop(p->index, NULL, NULL);
		crier_index_on_pod_drop(p->index, NULL, NULL);
		/* lives hang on containers: free them before the index frees those */
		crier_index_each(p->index, crier_life_free, p);
	}
	crier_index_free(p->index);
	crier_cgroup_table_free(p->cgroups);
	crier_hold_free(p->hold);
	crier_filter_free(p->filter);
	crier_mend_free(p->strangers);
	crier_incidents_done(&p->node_incidents, &p->incident_pool);
	crier_incident_pool_done(&p->incident_pool);
	if (p->reloaded) {
		crier_config_done(p->reloaded);
		free(p->reloaded);
	}
	free_resources(p);
	free(p);
}

/* ---- timers ---- */

static bool snapshot_one(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (life && container->phase == CRIER_PHASE_CONTAINER_RUNNING)
		crier_life_snapshot_paced(p, life);
	return true;
}

/*
 * Incidents that are over are forgotten. And who is dead, its cgroup gone, with no runtime that will say when it forgets
 * it, is buried: nothing more is heard of it. Of thousands at once those for which there is no room wait for the next time.
 */
static bool tidy_one(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (life && !life->dying_until_ns) /* its end, still to be told, belongs to one of them */
		(void)crier_incidents_forget(&life->incidents, &p->incident_pool, p->now_ns);
	if (!p->cri_up && crier_output_is_roomy(p) && life && life->exited_told && !life->cgroup &&
	    !life->removed_told && !crier_index_is_tombstone(container) &&
	    p->now_ns - container->died_ns >= p->config->tombstone_age_ms * MS_NS)
		crier_removed(p, life, CRIER_REMOVED_CGROUP);
	return true;
}

static void expire(struct crier_pipeline *p)
{
	uint64_t age = crier_max(p->config->tombstone_age_ms * MS_NS, CGROUP_GRACE_NS);

	p->is_expiring = true;
	crier_index_each(p->index, tidy_one, p);
	(void)crier_incidents_forget(&p->node_incidents, &p->incident_pool, p->now_ns);
	crier_incident_pool_trim(&p->incident_pool);
	crier_cgroup_expire(p->cgroups, p->now_ns, age, forget_cgroup, p);
	crier_index_expire(p->index, p->now_ns);
	crier_mend_expire(p, age);
	p->is_expiring = false;
	p->expire_due_ns = p->now_ns + EXPIRE_NS;
}

/* Next multiple after now: a late tick does not shift the rhythm, nor does it repeat what was missed. */
static bool is_due(const struct crier_pipeline *p, uint64_t *due_ns, uint64_t period_ms)
{
	if (period_ms == 0 || p->now_ns < *due_ns)
		return false;
	*due_ns += ((p->now_ns - *due_ns) / (period_ms * MS_NS) + 1) * period_ms * MS_NS;
	return true;
}

/* Who is due; then the earliest of the others. Walked when one is due, not each turn: thousands may be on hold. */
static void tick_lives(struct crier_pipeline *p)
{
	uint64_t due_ns = NEVER;

	if (p->now_ns < p->busy_due_ns)
		return;
	struct crier_list todo;

	/* A life may end another one: each is taken off a list of its own, where that other may be taken off too. */
	crier_list_move(&todo, &p->busy);
	while (!crier_list_is_empty(&todo)) {
		struct crier_life *life = crier_container_of(todo.next, struct crier_life, busy);

		crier_list_remove(&life->busy);
		crier_list_append(&p->busy, &life->busy);
		if (p->now_ns >= life->due_ns)
			crier_life_tick(p, life);
	}
	crier_list_each(item, next, &p->busy) due_ns =
		crier_min(due_ns, crier_container_of(item, struct crier_life, busy)->due_ns);
	p->busy_due_ns = due_ns;
}

static void tick(struct crier_pipeline *p)
{
	tick_lives(p);
	crier_doomed_due(p);
	if (!p->ready)
		return;
	if (is_due(p, &p->throttle_due_ns, p->config->throttle_interval_ms))
		crier_watch_round(p);
	if (is_due(p, &p->node_due_ns, p->config->node_memory_interval_ms))
		crier_watch_node(p);
	if (is_due(p, &p->snapshot_due_ns, p->config->snapshot_interval_ms))
		crier_index_each(p->index, snapshot_one, p);
	if (is_due(p, &p->stats_due_ns, p->config->stats_interval_ms))
		crier_report_stats(p);
	if (p->loss_pending && p->now_ns >= p->loss_due_ns)
		crier_report_losses(p);
	if (p->now_ns >= p->expire_due_ns)
		expire(p);
}

uint64_t crier_pipeline_deadline(const struct crier_pipeline *p)
{
	uint64_t due = crier_min(p->busy_due_ns, p->doomed_due_ns);

	if (!p->ready)
		return due;
	if (p->config->stats_interval_ms)
		due = crier_min(due, p->stats_due_ns);
	if (p->config->snapshot_interval_ms)
		due = crier_min(due, p->snapshot_due_ns);
	if (p->config->throttle_interval_ms)
		due = crier_min(due, p->throttle_due_ns);
	if (p->config->node_memory_interval_ms)
		due = crier_min(due, p->node_due_ns);
	if (p->loss_pending)
		due = crier_min(due, p->loss_due_ns);
	return crier_min(due, p->expire_due_ns);
}

/* ---- inputs ---- */

static bool settle_one(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (life && (crier_life_is_held(p, life)))
		crier_life_settle(p, life);
	if (life && life->dying_until_ns)
		crier_death_finish(p, life);
	if (life && life->want_removed) /* with room or, counted, without */
		crier_removed(p, life, CRIER_REMOVED_RUNTIME);
	return true;
}

static bool snapshot_settled(void *ctx, struct crier_container *container)
{
	struct crier_pipeline *p = ctx;
	struct crier_life *life = container->life;

	if (life && life->preexisting)
		life->may_run = !p->seeded;
	if (life)
		crier_life_snapshot_soon(p, life);
	return true;
}

static void reload(struct crier_pipeline *p, struct crier_slice json)
{
	struct crier_config *config = calloc(1, sizeof(*config));
	struct crier_config *old = p->reloaded;
	const struct crier_config *before = p->config;
	struct crier_err err = {0};

	if (!config || crier_config_init(config) < 0) {
		free(config);
		return;
	}
	if (crier_config_from_json(config, json.ptr, json.len, &err) < 0) {
		crier_config_done(config);
		free(config);
		return; /* the loop validated it; a recording that is damaged here keeps the old one */
	}
	config->output = before->output; /* a replay may have chosen another */
	config->colour = before->colour;
	p->config = config;
	if (configure(p, &err) < 0) {
		p->config = before;
		(void)configure(p, &err);
		crier_config_done(config);
		free(config);
		return;
	}
	p->reloaded = config;
	p->sources.config = config;
	if (old) {
		crier_config_done(old);
		free(old);
	}
	set_timers(p);
	crier_report_health(p, "config", "ok", CRIER_SLICE("the configuration was reloaded"),
			    CRIER_SLICE_NONE);
}

static void feed_cgroup(struct crier_pipeline *p, const void *bytes, size_t len)
{
	const struct crier_input_cgroup *input = bytes;
	struct crier_slice path = {(const char *)(input + 1), len - sizeof(*input)};

	if (len > sizeof(*input))
		crier_arrive_cgroup(p, input->id, input->parent_id, path);
}

static void feed_kept(struct crier_pipeline *p, const void *bytes, size_t len)
{
	uint64_t kept[CRIER_CLASS_COUNT];

	if (len != sizeof(kept))
		return;
	memcpy(kept, bytes, sizeof(kept));
	for (unsigned ring = 0; ring < CRIER_CLASS_COUNT; ring++) {
		p->account[ring].received += kept[ring];
		p->account[ring].filtered += kept[ring];
	}
}

static uint64_t feed_u64(const void *bytes, size_t len)
{
	uint64_t value = 0;

	if (len == sizeof(value))
		memcpy(&value, bytes, sizeof(value));
	return value;
}

void crier_pipeline_feed(struct crier_pipeline *p, enum crier_input_type type, uint64_t now_ns,
			 const void *bytes, size_t len)
{
	struct crier_slice text = {bytes, len};

	p->now_ns = now_ns;
	switch (type) {
	case CRIER_INPUT_RECORD: crier_arrive_record(p, bytes, len); break;
	case CRIER_INPUT_MAIL: crier_mail(p, bytes, len); break;
	case CRIER_INPUT_TICK: tick(p); break;
	case CRIER_INPUT_CGROUP: feed_cgroup(p, bytes, len); break;
	case CRIER_INPUT_SEED:
		if (len == sizeof(struct crier_wire_seed))
			crier_arrive_seed(p, bytes);
		break;
	case CRIER_INPUT_READY:
		p->ready = true;
		crier_report_start(p, text);
		crier_watch_node(p);
		crier_watch_round(p);
		crier_index_each(p->index, snapshot_settled, p);
		crier_arrive_ready(p);
		break;
	case CRIER_INPUT_COUNTERS:
		if (len == sizeof(struct crier_input_counters))
			crier_report_counters(p, bytes);
		break;
	case CRIER_INPUT_KEPT: feed_kept(p, bytes, len); break;
	case CRIER_INPUT_ROOM: p->room = feed_u64(bytes, len); break;
	case CRIER_INPUT_CLOCK: p->emit.unix_offset_ns = feed_u64(bytes, len); break;
	case CRIER_INPUT_HEALTH: crier_report_health_json(p, text); break;
	case CRIER_INPUT_CONFIG: reload(p, text); break;
	case CRIER_INPUT_PRESSURE: crier_watch_psi(p, feed_u64(bytes, len)); break;
	case CRIER_INPUT_STOP:
		p->is_stopping = true;
		crier_arrive_ready(p); /* it may be stopped before it has begun */
		crier_doomed_settle(p);
		crier_index_each(p->index, settle_one, p);
		crier_report_stop(p, text);
		break;
	default: break;
	}
}

void crier_pipeline_feed_records(struct crier_pipeline *p, uint64_t now_ns, const struct crier_slice *records,
				 size_t count)
{
	p->now_ns = now_ns;
	crier_arrive_records(p, records, count);
}

uint64_t crier_pipeline_last_seq(const struct crier_pipeline *p)
{
	return p->seq;
}

size_t crier_pipeline_exited_total(const struct crier_pipeline *p)
{
	return p->exited_count;
}

size_t crier_pipeline_exited(const struct crier_pipeline *p, const char **ret_ids, size_t max)
{
	size_t kept = crier_min(p->exited_count, (size_t)EXITED_TOLD_MAX);
	size_t n = crier_min(kept, max);

	for (size_t i = 0; i < n; i++) /* newest first */
		ret_ids[i] = p->exited[(p->exited_count - 1 - i) % EXITED_TOLD_MAX];
	return n;
}
