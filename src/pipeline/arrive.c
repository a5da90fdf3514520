/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrival: what a record does to the tables the moment it comes, before any waiting. A new directory becomes a known
 * cgroup, a container's directory becomes a container that is asked about, and the subject of an event is looked up. The
 * event itself goes on to process.c at once, or into its container's queue.
 */
#include "internal.h"

#include <stdio.h>

#define CACHE_LINE 64
#define START_KEY  UINT64_MAX /* of the hold: what came before agent.start */

static enum crier_wire_cgroup_class class_of(const struct crier_cgroup *cgroup,
					     const struct crier_cgroup_facts *facts)
{
	if (cgroup->container)
		return CRIER_CGROUP_CONTAINER;
	/* kubepods, QoS and pod directories hold no process of their own, but a pod's may: they stay undetermined and pass */
	return facts->kind == CRIER_CGROUP_KIND_OTHER && !facts->pod_uid.ptr ? CRIER_CGROUP_HOST
									     : CRIER_CGROUP_UNDETERMINED;
}

/* The same directory in the memory hierarchy, where that is another one. */
static void find_memory_id(struct crier_pipeline *p, struct crier_cgroup *cgroup)
{
	const struct crier_cgroup_layout *layout = &p->start.layout;
	char path[CRIER_CGROUP_PATH_MAX + 256];
	uint64_t inode;

	if (strcmp(layout->memory_root, layout->primary_root) == 0) {
		(void)crier_cgroup_set_memory_id(p->cgroups, cgroup, cgroup->id);
		return;
	}
	if (!layout->memory_root[0] || !cgroup->path)
		return;
	snprintf(path, sizeof(path), "%s%s", layout->memory_root, cgroup->path);
	if (p->host.inode(p->host.ctx, path, &inode) == 0)
		(void)crier_cgroup_set_memory_id(p->cgroups, cgroup, inode);
}

static void adopt_container(struct crier_pipeline *p, struct crier_cgroup *cgroup,
			    const struct crier_cgroup_facts *facts)
{
	struct crier_life *life = crier_life_get(p, facts->container_id);
	struct crier_meta_container *meta = &p->message.container;

	if (!life)
		return;
	if (cgroup->container != life->container)
		life->cgroups++;
	cgroup->container = life->container;
	crier_meta_clear(&p->message);
	meta->id = facts->container_id;
	meta->pod_uid = facts->pod_uid;
	(void)crier_index_merge_container(p->index, life->container, meta, CRIER_SOURCE_CGROUP_PATH);
	if (!life->container->pod && facts->pod_uid.ptr) {
		struct crier_pod *pod;

		if (crier_index_pod_add(p->index, CRIER_SLICE_NONE, facts->pod_uid, &pod) == 0)
			crier_index_container_set_pod(p->index, life->container, pod);
	}
	if (life->container->pod)
		crier_index_pod_set_qos(p->index, life->container->pod, facts->qos, CRIER_SOURCE_CGROUP_PATH);
	if (!life->container->runtime_name)
		life->container->runtime_name = facts->runtime;
	if (facts->driver)
		p->start.layout.driver = facts->driver;
	if (facts->kind == CRIER_CGROUP_KIND_CONTAINER)
		crier_life_found(p, life, cgroup);
	cgroup->pod = life->container->pod;
}

/* The container's own directory, where something below it was found first. */
static void find_own_directory(struct crier_pipeline *p, const struct crier_cgroup *nested,
			       const struct crier_cgroup_facts *facts)
{
	struct crier_slice path = {nested->path, facts->container_depth};
	const struct crier_life *life = nested->container ? nested->container->life : NULL;
	char name[CRIER_CGROUP_PATH_MAX + 256];
	uint64_t inode;

	if (!life || life->cgroup || life->exited_told)
		return;
	snprintf(name, sizeof(name), "%s%.*s", p->start.layout.primary_root, (int)path.len, path.ptr);
	if (p->host.inode(p->host.ctx, name, &inode) == 0)
		(void)crier_arrive_found(p, inode, path);
}

/* A directory is known by its path: say what it is, to the tables and to the kernel's filter. */
static void classify(struct crier_pipeline *p, struct crier_cgroup *cgroup)
{
	struct crier_slice path = {cgroup->path, cgroup->path_len};
	struct crier_cgroup_facts facts;

	crier_cgroup_parse(path, &facts);
	cgroup->kind = (uint8_t)facts.kind;
	cgroup->qos = facts.qos;
	find_memory_id(p, cgroup);
	if (facts.container_id.ptr)
		adopt_container(p, cgroup, &facts);
	else if (facts.pod_uid.ptr &&
		 crier_index_pod_add(p->index, CRIER_SLICE_NONE, facts.pod_uid, &cgroup->pod) == 0)
		crier_index_pod_set_qos(p->index, cgroup->pod, facts.qos, CRIER_SOURCE_CGROUP_PATH);
	cgroup->cgroup_class = (uint8_t)class_of(cgroup, &facts);
	if (cgroup->cgroup_class != CRIER_CGROUP_UNDETERMINED)
		p->host.classify(p->host.ctx, cgroup->id, cgroup->cgroup_class);
	if (cgroup->kind == CRIER_CGROUP_KIND_NESTED)
		find_own_directory(p, cgroup, &facts);
	crier_mend_cgroup(p, cgroup);
}

/* Its birth was not seen, or only while crier started: it is told as a snapshot, not as created and started. */
static void was_there(struct crier_pipeline *p, struct crier_cgroup *cgroup)
{
	struct crier_life *life = cgroup->container ? cgroup->container->life : NULL;

	if (!life || life->cgroup != cgroup || life->preexisting || life->started_told || life->exited_told)
		return;
	life->preexisting = true;
	life->may_run = p->ready; /* else the seeds tell */
	life->want_snapshot = true;
	crier_life_snapshot_soon(p, life);
}

int crier_arrive_found(struct crier_pipeline *p, uint64_t id, struct crier_slice path)
{
	struct crier_cgroup *cgroup;
	int r = crier_cgroup_add(p->cgroups, id, 0, path, &cgroup);

	if (r < 0)
		return r;
	classify(p, cgroup);
	was_there(p, cgroup);
	return 0;
}

void crier_arrive_again(struct crier_pipeline *p, struct crier_cgroup *cgroup)
{
	classify(p, cgroup);
	was_there(p, cgroup);
}

void crier_arrive_cgroup(struct crier_pipeline *p, uint64_t id, uint64_t parent_id, struct crier_slice path)
{
	struct crier_cgroup *cgroup = crier_cgroup_get(p->cgroups, id);

	if ((cgroup && cgroup->path && !cgroup->removed_ns) ||
	    crier_cgroup_add(p->cgroups, id, parent_id, path, &cgroup) < 0)
		return; /* made during the walk and told by mkdir already; or full, which the table counts */
	classify(p, cgroup);
	was_there(p, cgroup);
}

static void arrive_mkdir(struct crier_pipeline *p, const struct crier_decoded *d)
{
	struct crier_cgroup *cgroup;

	if (crier_cgroup_add_child(p->cgroups, d->header->cgroup_id, d->mkdir->parent_id, d->name, &cgroup) <
	    0)
		return;
	if (!cgroup->path)
		return;
	classify(p, cgroup);
	if (!p->ready)
		was_there(p, cgroup); /* its init may have executed before that was watched */
}

/*
 * Is this exec the container's init? Sure: the pid that the runtime or its bundle states, or pid 1 of a namespace below the
 * host's. Others execute inside the cgroup before init does: runc's copy of itself, OCI hooks (nvidia-ctk, ldconfig). Where
 * nothing states a pid (a pod in the host's pid namespace, no bundle), the first exec ever seen is the best guess.
 */
static bool is_init_exec(struct crier_pipeline *p, struct crier_life *life, const struct crier_decoded *d)
{
	const struct crier_wire_task *task = &d->exec->task;
	bool first = !life->exec_seen;
	uint64_t stated;

	if (crier_slice_starts(d->filename, CRIER_SLICE("/proc/self/")) ||
	    crier_slice_starts(d->filename, CRIER_SLICE("/dev/fd/")))
		return false;
	life->exec_seen = true;
	if (life->container->init_pid != CRIER_UNKNOWN_U64)
		return life->container->init_pid == task->pid;
	if (task->flags & CRIER_TASK_NS_INIT)
		return true;
	if (crier_source_init_pid(&p->sources, life->container, &stated))
		return stated == task->pid;
	return first;
}

static void note_exec(struct crier_pipeline *p, struct crier_life *life, const struct crier_decoded *d)
{
	const struct crier_wire_task *task = &d->exec->task;

	if (life->container->phase >= CRIER_PHASE_CONTAINER_RUNNING)
		return;
	if (life->preexisting) { /* made but not started when crier came: guesses would be of what runs in it */
		if (crier_is_init(life->container, task))
			life->container->phase = CRIER_PHASE_CONTAINER_RUNNING;
		return;
	}
	if (is_init_exec(p, life, d))
		crier_life_set_init(p, life, task->pid, task->start_boottime_ns, false);
}

static uint32_t pid_of(const struct crier_decoded *d)
{
	return d->exec	   ? d->exec->task.pid
	       : d->fork   ? d->fork->child.pid
	       : d->exit   ? d->exit->task.pid
	       : d->signal ? d->signal->target.pid
	       : d->oom	   ? d->oom->victim.pid
			   : 0;
}

/* @param since_ns  when it came: before agent.start has left that may be a moment ago */
static void forward(struct crier_pipeline *p, const struct crier_decoded *d, const void *bytes, size_t len,
		    uint64_t since_ns)
{
	bool event = crier_wire_is_event(d->header->type);
	struct crier_subject subject = event ? crier_locate(p, d->header->cgroup_id, pid_of(d))
					     : crier_subject_of(p, d->header->cgroup_id);

	if (subject.life && d->exec)
		note_exec(p, subject.life, d);
	if (subject.life && crier_life_is_held(p, subject.life)) {
		if (crier_hold_push(p->hold, subject.life->key, since_ns, bytes, len) == 0) {
			if (event)
				p->account[d->header->ring].held++;
			return;
		}
		/* a bound is reached: the queue goes as it is, this record behind it, nothing is dropped */
		subject.life->hold_full = true;
		crier_life_settle(p, subject.life);
	}
	crier_process_record(p, d, subject, p->now_ns - since_ns);
}

static void forward_held(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	struct crier_pipeline *p = ctx;
	struct crier_decoded d;

	if (crier_decode(bytes, len, &d) < 0)
		return; /* it was decoded once already */
	if (crier_wire_is_event(d.header->type))
		p->account[d.header->ring].held--;
	forward(p, &d, bytes, len, pushed_ns);
}

void crier_arrive_ready(struct crier_pipeline *p)
{
	crier_hold_release(p->hold, START_KEY, forward_held, p);
}

/* agent.start is the first line: what happens before it has left waits, in order. */
static void forward_when_ready(struct crier_pipeline *p, const struct crier_decoded *d, const void *bytes,
			       size_t len)
{
	if (!p->ready) {
		if (crier_hold_push(p->hold, START_KEY, p->now_ns, bytes, len) == 0) {
			if (crier_wire_is_event(d->header->type))
				p->account[d->header->ring].held++;
			return;
		}
		crier_arrive_ready(p); /* more than may wait: it goes first */
	}
	forward(p, d, bytes, len, p->now_ns);
}

/* It was generated and fed, and it ends here: the sum must still be exact. */
static void count_invalid(struct crier_pipeline *p, const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;
	enum crier_wire_class ring = CRIER_CLASS_BULK;

	p->invalid++;
	if (len >= sizeof(*header) && header->ring < CRIER_CLASS_COUNT) {
		ring = (enum crier_wire_class)header->ring;
		if (crier_wire_is_event(header->type)) {
			p->account[ring].received++;
			p->account[ring].lost++;
		}
	}
	crier_output_lost(p, CRIER_LOSS_INVALID_RECORD, ring, 1, p->now_ns);
}

void crier_arrive_record(struct crier_pipeline *p, const void *bytes, size_t len)
{
	struct crier_decoded d;

	if (crier_decode(bytes, len, &d) < 0) {
		count_invalid(p, bytes, len);
		return;
	}
	if (crier_wire_is_event(d.header->type))
		p->account[d.header->ring].received++;
	switch (d.header->type) {
	case CRIER_WIRE_CGROUP_MKDIR: arrive_mkdir(p, &d); break;
	case CRIER_WIRE_PRESSURE_HINT: crier_watch_hint(p, &d); return;
	case CRIER_WIRE_CGROUP_POPULATED: {
		struct crier_cgroup *cgroup = crier_cgroup_get(p->cgroups, d.header->cgroup_id);

		if (cgroup)
			cgroup->populated = d.populated->populated != 0;
		break;
	}
	default: break;
	}
	forward_when_ready(p, &d, bytes, len);
	if (d.header->type == CRIER_WIRE_CGROUP_RMDIR) {
		struct crier_cgroup *cgroup = crier_cgroup_get(p->cgroups, d.header->cgroup_id);

		if (!cgroup)
			return;
		if (cgroup->kind == CRIER_CGROUP_KIND_POD && cgroup->pod)
			crier_index_pod_gone(p->index, cgroup->pod,
					     p->now_ns); /* kubelet removes it with the pod */
		crier_cgroup_removed(p->cgroups, cgroup, p->now_ns);
	}
}

/*
 * What a record touches, from its cgroup's slot in the table to its container's fragment, is a chain: each address stands
 * in what comes before it. With thousands of containers hardly any of it is in a cache. So each link is asked for some
 * records ahead, and is there when the next link needs it.
 */
enum { AHEAD_LIFE = 2, AHEAD_CONTAINER = 4, AHEAD_CGROUP = 6, AHEAD_SLOT = 8 };

struct ahead {
	/* Of the records up to AHEAD_CGROUP from here. Entries of the table do not move; what hangs on them is read anew. */
	const struct crier_cgroup *cgroups[AHEAD_SLOT];
};

static uint64_t cgroup_id_of(struct crier_slice record)
{
	const struct crier_wire_header *header = (const void *)record.ptr;

	return record.len < sizeof(*header) ? 0 : header->cgroup_id;
}

static const struct crier_container *container_ahead(const struct ahead *ahead, size_t index)
{
	const struct crier_cgroup *cgroup = ahead->cgroups[index % AHEAD_SLOT];

	return cgroup ? cgroup->container : NULL;
}

static void fetch_ahead(const struct crier_pipeline *p, struct ahead *ahead,
			const struct crier_slice *records, size_t i, size_t count)
{
	const struct crier_container *container;
	const struct crier_cgroup *cgroup = NULL;

	if (i + AHEAD_SLOT < count)
		crier_cgroup_prefetch(p->cgroups, cgroup_id_of(records[i + AHEAD_SLOT]));
	if (i + AHEAD_CGROUP < count)
		cgroup = crier_cgroup_get(p->cgroups, cgroup_id_of(records[i + AHEAD_CGROUP]));
	__builtin_prefetch(cgroup);
	ahead->cgroups[(i + AHEAD_CGROUP) % AHEAD_SLOT] = cgroup;
	container = container_ahead(ahead, i + AHEAD_CONTAINER);
	if (container) {
		__builtin_prefetch(container);
		__builtin_prefetch((const char *)container + CACHE_LINE);
	}
	container = container_ahead(ahead, i + AHEAD_LIFE);
	if (!container)
		return;
	__builtin_prefetch(container->life);
	__builtin_prefetch(container->pod);
	for (size_t line = 0; line < 4; line++) /* the processor goes on by itself */
		__builtin_prefetch((const char *)container->fragment + line * CACHE_LINE);
}

void crier_arrive_records(struct crier_pipeline *p, const struct crier_slice *records, size_t count)
{
	struct ahead ahead = {{NULL}};

	for (size_t i = 0; i < count; i++) {
		fetch_ahead(p, &ahead, records, i, count);
		crier_arrive_record(p, records[i].ptr, records[i].len);
	}
}

/*
 * Who of those alive at start is a container's init: who is stated, else the first-born pid 1 of a namespace below the host's.
 * Younger ones were made by it, or came by exec: containers in the container, unshare --pid.
 */
static bool is_init_seed(const struct crier_container *container, const struct crier_wire_task *task)
{
	const struct crier_life *life = container->life;

	if (container->init_pid == task->pid)
		return true;
	if (!(task->flags & CRIER_TASK_NS_INIT))
		return false;
	return container->init_pid == CRIER_UNKNOWN_U64 ||
	       (life->init_is_guessed && task->start_boottime_ns < container->init_start_ns);
}

void crier_arrive_seed(struct crier_pipeline *p, const struct crier_wire_seed *seed)
{
	const struct crier_wire_task *task = &seed->task;
	struct crier_subject subject = crier_subject_of(p, task->cgroup_id);

	p->seeded = true;
	if (!subject.life)
		return;
	struct crier_container *container = subject.container;

	if (is_init_seed(container, task)) {
		bool is_stated = container->init_pid == task->pid && !subject.life->init_is_guessed;

		crier_life_set_init(p, subject.life, task->pid, task->start_boottime_ns,
				    task->flags & CRIER_TASK_BY_TICKS);
		subject.life->init_is_guessed = !is_stated;
	}
	/* /proc does not tell who has executed: whoever lives there is taken for the container's own */
	if (container->phase < CRIER_PHASE_CONTAINER_RUNNING &&
	    (task->flags & (CRIER_TASK_EXECED | CRIER_TASK_BY_TICKS)))
		container->phase = CRIER_PHASE_CONTAINER_RUNNING;
}
