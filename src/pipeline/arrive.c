/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrival: what a record does to the tables the moment it comes, before any waiting. A new directory becomes a known
 * cgroup, a container's directory becomes a container that is asked about, and the subject of an event is looked up. The
 * event itself goes on to process.c at once, or into its container's queue.
 */
#include "internal.h"

#include <stdio.h>

#define PROC_LOOKUPS_PER_SECOND 50

static enum crier_wire_cgroup_class class_of(const struct crier_cgroup *cgroup,
					     const struct crier_cgroup_facts *facts)
{
	if (cgroup->container)
		return CRIER_CGROUP_CONTAINER;
	/* kubepods, QoS and pod directories hold no process of their own, but a pod's may: they stay undetermined and pass */
	return facts->kind == CRIER_CGROUP_KIND_OTHER ? CRIER_CGROUP_HOST : CRIER_CGROUP_UNDETERMINED;
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
	struct crier_life *life = crier_life_get(p, facts->container_id,
						 facts->kind == CRIER_CGROUP_KIND_CONTAINER ? cgroup : NULL);
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
	cgroup->pod = life->container->pod;
	if (facts->driver)
		p->start.layout.driver = facts->driver;
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
}

void crier_arrive_cgroup(struct crier_pipeline *p, uint64_t id, uint64_t parent_id, struct crier_slice path)
{
	struct crier_cgroup *cgroup;

	if (crier_cgroup_get(p->cgroups, id) ||
	    crier_cgroup_add(p->cgroups, id, parent_id, path, &cgroup) < 0)
		return; /* made during the walk and told by mkdir already; or full, which the table counts */
	classify(p, cgroup);
	if (cgroup->kind == CRIER_CGROUP_KIND_CONTAINER && cgroup->container) {
		struct crier_life *life = cgroup->container->life;

		life->preexisting = true;
		life->want_snapshot = true;
	}
}

static void arrive_mkdir(struct crier_pipeline *p, const struct crier_decoded *d)
{
	struct crier_cgroup *cgroup;

	if (crier_cgroup_add_child(p->cgroups, d->header->cgroup_id, d->mkdir->parent_id, d->name, &cgroup) <
	    0)
		return;
	if (cgroup->path)
		classify(p, cgroup);
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
	if (crier_life_read_init_pid(p, life, &stated))
		return stated == task->pid;
	return first;
}

static void note_exec(struct crier_pipeline *p, struct crier_life *life, const struct crier_decoded *d)
{
	const struct crier_wire_task *task = &d->exec->task;

	if (life->container->phase >= CRIER_PHASE_CONTAINER_RUNNING || life->preexisting)
		return;
	if (is_init_exec(p, life, d))
		crier_life_set_init(p, life, task->pid, task->start_boottime_ns);
}

/* Last resorts for an id that was never told: the process itself knows its path, while it lives. */
static struct crier_cgroup *ask_proc(struct crier_pipeline *p, uint64_t cgroup_id, uint32_t pid)
{
	struct crier_cgroup *cgroup = NULL;
	char path[300];
	size_t len;

	if (p->now_ns - p->proc_lookups_ns > SECOND_NS) {
		p->proc_lookups_ns = p->now_ns;
		p->proc_lookups = 0;
	}
	if (cgroup_id == 0 || ++p->proc_lookups > PROC_LOOKUPS_PER_SECOND)
		return NULL;
	snprintf(path, sizeof(path), "%s/proc/%u/cgroup", crier_host_root(p), pid);
	if (p->host.read(p->host.ctx, path, p->file, sizeof(p->file), &len) < 0)
		return NULL;

	struct crier_slice found;
	char absolute[CRIER_CGROUP_PATH_MAX];
	char proof[CRIER_CGROUP_PATH_MAX + 320];
	uint64_t inode;

	if (!crier_proc_cgroup_parse((struct crier_slice){p->file, len}, p->start.layout.primary_hierarchy_id,
				     &found))
		return NULL;
	found = crier_cgroup_absolute(p->start.layout.namespace_root, found, absolute, sizeof(absolute));
	/* the process may have moved since, or its pid be another's: the directory itself must have this id */
	snprintf(proof, sizeof(proof), "%s%.*s", p->start.layout.primary_root, (int)found.len, found.ptr);
	if (p->host.inode(p->host.ctx, proof, &inode) < 0 || inode != cgroup_id)
		return NULL;
	if (crier_cgroup_add(p->cgroups, cgroup_id, 0, found, &cgroup) < 0)
		return NULL;
	classify(p, cgroup);
	return cgroup;
}

struct crier_subject crier_subject_of(struct crier_pipeline *p, uint64_t cgroup_id)
{
	struct crier_subject subject = {.cgroup = crier_cgroup_get(p->cgroups, cgroup_id),
					.via = CRIER_VIA_CGROUP_ID};

	/* a directory whose path could not be composed is as good as its nearest known ancestor */
	for (int depth = 0;
	     subject.cgroup && !subject.cgroup->path && !subject.cgroup->container && depth < 16; depth++) {
		struct crier_cgroup *parent = crier_cgroup_get(p->cgroups, subject.cgroup->parent_id);

		if (!parent)
			break;
		subject.cgroup = parent;
		subject.via = CRIER_VIA_ANCESTOR;
	}
	if (!subject.cgroup)
		return subject;
	subject.container = subject.cgroup->container;
	subject.pod = subject.cgroup->pod;
	if (subject.container) {
		subject.life = subject.container->life;
		if (subject.container->pod)
			subject.pod = subject.container->pod;
		if (subject.cgroup->kind == CRIER_CGROUP_KIND_NESTED)
			subject.via = CRIER_VIA_ANCESTOR;
	}
	return subject;
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

static void forward(struct crier_pipeline *p, const struct crier_decoded *d, const void *bytes, size_t len)
{
	struct crier_subject subject = crier_subject_of(p, d->header->cgroup_id);
	bool event = crier_wire_is_event(d->header->type);

	if (!subject.cgroup && event) {
		subject.cgroup = ask_proc(p, d->header->cgroup_id, pid_of(d));
		if (subject.cgroup) {
			subject = crier_subject_of(p, d->header->cgroup_id);
			subject.via = CRIER_VIA_PROC;
		}
	}
	if (subject.life && d->exec)
		note_exec(p, subject.life, d);
	if (subject.life && (subject.life->hold_until_ns || crier_hold_has(p->hold, subject.life->key))) {
		if (crier_hold_push(p->hold, subject.life->key, p->now_ns, bytes, len) == 0) {
			if (event)
				p->account[d->header->ring].held++;
			return;
		}
		/* a bound is reached: the queue goes as it is, this record behind it, nothing is dropped */
		subject.life->hold_full = true;
		crier_life_settle(p, subject.life);
	}
	crier_process_record(p, d, subject, 0);
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
	forward(p, &d, bytes, len);
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

void crier_arrive_seed(struct crier_pipeline *p, const struct crier_wire_seed *seed)
{
	struct crier_subject subject = crier_subject_of(p, seed->task.cgroup_id);

	if (!subject.life || subject.cgroup->kind != CRIER_CGROUP_KIND_CONTAINER)
		return;
	struct crier_container *container = subject.container;
	bool is_named = container->init_pid == seed->task.pid;
	bool may_be = container->init_pid == CRIER_UNKNOWN_U64 && (seed->task.flags & CRIER_TASK_NS_INIT);

	if (is_named || may_be)
		crier_life_set_init(p, subject.life, seed->task.pid, seed->task.start_boottime_ns);
	if (container->phase < CRIER_PHASE_CONTAINER_RUNNING)
		container->phase = CRIER_PHASE_CONTAINER_RUNNING;
}
