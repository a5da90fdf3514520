/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One OOM victim: who was killed, by whose allocation, and which limit was hit. Where the kernel's oom_control was seen
 * it says so; else the memory cgroup whose own OOM count has just risen is the owner of the limit.
 */
#include "internal.h"

#include <stdio.h>

#define SAME_KILL_NS (2 * SECOND_NS)
/* Usage may stand a batch of charges (MEMCG_CHARGE_BATCH, 64 pages, a CPU) below the limit when the killer runs. */
#define AT_LIMIT_PAGES 256

struct verdict {
	enum crier_oom_scope scope;
	enum crier_found_by found_by;
	const struct crier_wire_oom_level *level; /* NULL: not in the chain, or global */
	size_t position;			  /* of level, counted from the victim's own cgroup */
};

static bool is_limited(const struct crier_wire_oom_level *level)
{
	return !(level->flags & CRIER_OOM_LEVEL_NO_MAX) && level->max_pages < CRIER_WIRE_PAGES_UNLIMITED;
}

static bool is_at_limit(const struct crier_wire_oom_level *level)
{
	return is_limited(level) && !(level->flags & CRIER_OOM_LEVEL_NO_USAGE) &&
	       level->usage_pages + AT_LIMIT_PAGES >= level->max_pages;
}

static struct verdict at(const struct crier_wire_oom *oom, size_t i, enum crier_found_by found_by)
{
	return (struct verdict){CRIER_OOM_SCOPE_MEMCG, found_by, &oom->levels[i], i};
}

static bool find_id(const struct crier_wire_oom *oom, uint64_t id, size_t *ret_i)
{
	for (size_t i = 0; i < oom->level_count; i++) {
		if (oom->levels[i].cgroup_id == id) {
			*ret_i = i;
			return true;
		}
	}
	return false;
}

static struct verdict from_control(const struct crier_wire_oom *oom)
{
	enum crier_found_by by =
		oom->header.hook == CRIER_HOOK_KMSG ? CRIER_FOUND_KERNEL_LOG : CRIER_FOUND_OOM_CONTROL;
	struct verdict verdict = {.scope = CRIER_OOM_SCOPE_MEMCG, .found_by = by};
	size_t i;

	if (oom->flags & CRIER_OOM_GLOBAL)
		verdict.scope =
			(oom->flags & CRIER_OOM_CPUSET) ? CRIER_OOM_SCOPE_CPUSET : CRIER_OOM_SCOPE_GLOBAL;
	else if (find_id(oom, oom->limit_cgroup_id, &i))
		return at(oom, i, by);
	return verdict;
}

/* The ancestor whose own count rose; usage at the limit only breaks ties. */
static bool from_counts(const struct crier_wire_oom *oom, struct verdict *ret_verdict)
{
	bool found = false;

	for (size_t i = 0; i < oom->level_count; i++) {
		const struct crier_wire_oom_level *level = &oom->levels[i];

		if (!(level->flags & CRIER_OOM_LEVEL_DELTA_KNOWN) || level->oom_delta == 0)
			continue;
		if (found && (is_at_limit(ret_verdict->level) || !is_at_limit(level)))
			continue;
		*ret_verdict = at(oom, i, CRIER_FOUND_OOM_COUNT);
		found = true;
	}
	return found;
}

static struct verdict find_limit(const struct crier_pipeline *p, const struct crier_wire_oom *oom)
{
	struct crier_process_key trigger = crier_key_of(&oom->trigger);
	struct verdict verdict = {.scope = CRIER_OOM_SCOPE_GLOBAL};
	bool all_known = oom->level_count > 0;
	size_t i;

	if (oom->flags & CRIER_OOM_HAS_CONTROL)
		return from_control(oom);
	if (from_counts(oom, &verdict))
		return verdict;
	if (oom->flags & CRIER_OOM_MEMCG)
		return (struct verdict){.scope = CRIER_OOM_SCOPE_MEMCG};
	/* A group kill marks its victims one after the other: only the first sees the count rise. */
	if (p->last_oom.at_ns && oom->header.boottime_ns - p->last_oom.at_ns < SAME_KILL_NS &&
	    p->last_oom.trigger.pid == trigger.pid && p->last_oom.trigger.start_ns == trigger.start_ns) {
		if (p->last_oom.scope != CRIER_OOM_SCOPE_MEMCG)
			return (struct verdict){.scope = p->last_oom.scope,
						.found_by = CRIER_FOUND_SAME_KILL};
		if (find_id(oom, p->last_oom.limit_id, &i))
			return at(oom, i, CRIER_FOUND_SAME_KILL);
	}
	for (i = 0; i < oom->level_count; i++)
		all_known = all_known && (oom->levels[i].flags & CRIER_OOM_LEVEL_DELTA_KNOWN);
	for (i = 0; !all_known && i < oom->level_count; i++)
		if (is_at_limit(&oom->levels[i]))
			return at(oom, i, CRIER_FOUND_USAGE_AT_LIMIT);
	if (oom->level_count == 0)
		verdict.scope = CRIER_OOM_SCOPE_NONE; /* nothing was seen of the chain: say nothing */
	return verdict;
}

/* By id in the memory hierarchy; else by position: the two hierarchies are filled in parallel. */
static const struct crier_cgroup *limit_cgroup(struct crier_pipeline *p, const struct verdict *verdict,
					       const struct crier_subject *subject)
{
	struct crier_cgroup *cgroup =
		verdict->level->cgroup_id ? crier_cgroup_get_by_memory(p->cgroups, verdict->level->cgroup_id)
					  : NULL;

	if (cgroup)
		return cgroup;
	cgroup = subject->cgroup;
	for (size_t i = 0; cgroup && i < verdict->position; i++)
		cgroup = crier_cgroup_get(p->cgroups, cgroup->parent_id);
	return cgroup && cgroup->kind != CRIER_CGROUP_KIND_OTHER ? cgroup : NULL;
}

/*
 * The path of a limit's cgroup that is in no table: where memory is a hierarchy of its own, the host's cgroups there need no
 * counterpart. By its handle, for the victim tells nothing: v1 shows an ending task at the root.
 */
static bool ask_path(struct crier_pipeline *p, uint64_t memory_id, char *ret_path, size_t cap)
{
	size_t len;

	if (p->host.cgroup_path(p->host.ctx, p->start.layout.memory_root, memory_id, ret_path, cap - 1,
				&len) < 0)
		return false;
	ret_path[len] = '\0';
	return true;
}

static uint64_t bytes_of(uint64_t pages, uint32_t page_size)
{
	return pages * page_size;
}

static void fill_limit(struct crier_pipeline *p, struct crier_data_oom *data,
		       const struct crier_wire_oom *oom, const struct verdict *verdict,
		       const struct crier_subject *subject, char *path, size_t path_cap)
{
	const struct crier_wire_oom_level *level = verdict->level;

	data->limit.found_by = (uint8_t)verdict->found_by;
	if (verdict->scope == CRIER_OOM_SCOPE_GLOBAL || verdict->scope == CRIER_OOM_SCOPE_CPUSET) {
		data->limit.level = CRIER_LEVEL_NODE;
		return;
	}
	if (!level)
		return;
	if (is_limited(level))
		data->limit.bytes = bytes_of(level->max_pages, oom->page_size);
	if (!(level->flags & CRIER_OOM_LEVEL_NO_USAGE))
		data->limit.usage_bytes = bytes_of(level->usage_pages, oom->page_size);
	if (!(level->flags & CRIER_OOM_LEVEL_NO_PEAK))
		data->limit.peak_bytes = bytes_of(level->peak_pages, oom->page_size);
	if (!(level->flags & CRIER_OOM_LEVEL_NO_SWAP))
		data->limit.swap_bytes = bytes_of(level->swap_pages, oom->page_size);

	const struct crier_cgroup *cgroup = limit_cgroup(p, verdict, subject);

	if (level->cgroup_id)
		data->limit.cgroup.id = level->cgroup_id;
	data->limit.cgroup.version = p->start.layout.memory_is_v2 ? 2 : 1;
	if (cgroup && cgroup->path) {
		data->limit.level = (uint8_t)crier_level_of(cgroup);
		crier_copy_str(path, path_cap, (struct crier_slice){cgroup->path, cgroup->path_len});
	} else if (!subject->container && !subject->pod && level->cgroup_id) {
		/* every cgroup of a pod is in the tables: what is not, and held no container, is another's */
		data->limit.level = CRIER_LEVEL_OTHER;
		if (!ask_path(p, level->cgroup_id, path, path_cap))
			return;
	} else {
		return;
	}
	data->limit.cgroup.path = crier_slice_of(path);
	crier_watch_breakdown(p, path, &data->memory);
	data->memory.sampled = data->memory.anon_bytes != CRIER_UNKNOWN_U64 ? "after" : NULL;

	struct crier_slice text;
	const char *file = p->start.layout.memory_is_v2 ? "memory.events" : "memory.oom_control";

	if (crier_read_file(p, p->start.layout.memory_root, path, file, &text))
		(void)crier_text_number(text, "oom_kill", &data->oom_kill_count);
}

static void fill_victim(struct crier_data_oom *data, const struct crier_wire_oom *oom)
{
	uint64_t rss = oom->anon_pages + oom->file_pages + oom->shmem_pages;

	if ((oom->flags & CRIER_OOM_NO_VICTIM) || (oom->flags & CRIER_OOM_VICTIM_BY_PID && rss == 0))
		return; /* counted only, or an old mark_victim(int): nothing of the task was seen */
	data->victim.anon_rss_bytes = bytes_of(oom->anon_pages, oom->page_size);
	data->victim.file_rss_bytes = bytes_of(oom->file_pages, oom->page_size);
	data->victim.shmem_rss_bytes = bytes_of(oom->shmem_pages, oom->page_size);
	if (!(oom->flags & CRIER_OOM_NO_SWAP))
		data->victim.swap_bytes = bytes_of(oom->swap_entries, oom->page_size);
	data->victim.total_vm_bytes = bytes_of(oom->total_vm_pages, oom->page_size);
	if (!(oom->flags & CRIER_OOM_NO_PGTABLES))
		data->victim.pgtables_bytes = oom->pgtables_bytes;
	/* the counters lag by their per-CPU parts, the high-water mark may lag by more: the larger is nearer */
	data->victim.rss_bytes = bytes_of(crier_max(rss, oom->hiwater_rss_pages), oom->page_size);
	if (!(oom->flags & CRIER_OOM_NO_SCORE_ADJ))
		data->victim.oom_score_adj = oom->oom_score_adj;
}

/* memory.oom.group counts from the victim up to the cgroup whose limit was hit; the highest that has it is killed whole. */
static const struct crier_wire_oom_level *killed_group(const struct crier_wire_oom *oom,
						       const struct verdict *verdict)
{
	size_t last = verdict->level ? verdict->position : oom->level_count;
	const struct crier_wire_oom_level *group = NULL;

	for (size_t i = 0; i < oom->level_count && i <= last; i++)
		if (oom->levels[i].flags & CRIER_OOM_LEVEL_GROUP)
			group = &oom->levels[i];
	return group;
}

/* A victim that nobody named: init died with the rest when its own cgroup, or one above, was killed whole. */
static bool took_init(const struct crier_subject *subject, const struct crier_wire_oom *oom,
		      const struct crier_wire_oom_level *group)
{
	const struct crier_cgroup *own = subject->life ? subject->life->cgroup : NULL;

	if (!group || !own)
		return false;
	for (const struct crier_wire_oom_level *level = oom->levels; level <= group; level++)
		if (level->cgroup_id && level->cgroup_id == own->memory_id)
			return true; /* the group is it or stands above it */
	return false;
}

void crier_oom_record(struct crier_pipeline *p, const struct crier_decoded *d, struct crier_subject subject,
		      uint64_t wait_ns)
{
	const struct crier_wire_oom *oom = d->oom;
	bool contained = subject.container || crier_is_containers(subject.cgroup);
	enum crier_type type = contained ? CRIER_TYPE_CONTAINER_OOM : CRIER_TYPE_NODE_OOM;
	struct crier_incidents *set = subject.life ? &subject.life->incidents : &p->node_incidents;
	bool is_seen = !(oom->flags & CRIER_OOM_NO_VICTIM);
	struct verdict verdict = find_limit(p, oom);
	const struct crier_wire_oom_level *group = killed_group(oom, &verdict);
	struct crier_incident_fact fact = {
		.type = type,
		.key = crier_key_of(&oom->victim),
		.trigger = crier_key_of(&oom->trigger),
		.now_ns = d->header->boottime_ns,
	};

	if (subject.life)
		crier_unseen_init(p, subject.life);
	fact.is_init =
		is_seen ? crier_is_init(subject.container, &oom->victim) : took_init(&subject, oom, group);
	if (subject.life && (fact.is_init || took_init(&subject, oom, group)))
		subject.life->init_oom = true;

	struct crier_incident *incident = crier_incident_join(set, &p->incident_pool, &fact);
	char path[CRIER_CGROUP_PATH_MAX]; /* of the limit's cgroup; the line points into it */
	struct crier_data_oom data;
	struct crier_event event;

	p->last_oom.trigger = fact.trigger;
	p->last_oom.at_ns = fact.now_ns;
	p->last_oom.scope = (uint8_t)verdict.scope;
	p->last_oom.limit_id = verdict.level ? verdict.level->cgroup_id : 0;

	crier_process_begin(p, &event, type, d->header, &subject, wait_ns);
	if (is_seen) {
		crier_process_fill(&event, &oom->victim);
		/* where no execution is seen, who is no init may be a helper or a member */
		if (fact.is_init || !p->exec_unseen)
			event.process.role = crier_role_of(&subject, &oom->victim);
	}
	crier_process_actor(p, &event, &oom->trigger);
	crier_data_init(type, &data);
	data.scope = (uint8_t)verdict.scope;
	fill_victim(&data, oom);
	fill_limit(p, &data, oom, &verdict, &subject, path, sizeof(path));
	if (is_seen)
		data.victim_index = incident ? incident->victims + 1 : 1;
	else
		data.kills = oom->kills;
	data.group_kill = group != NULL;
	event.data = &data;
	crier_incident_explain(incident, &fact, &event.correlation);

	uint64_t seq = crier_output(p, &event, d->header->ring, false);

	crier_incident_add(incident, &fact, seq);
	if (is_seen)
		crier_doomed_killed(p, fact.key);
}
