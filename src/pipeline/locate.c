/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which container a cgroup id leads to. From the tables: the id itself, or the nearest known ancestor that is a container
 * or below one. When they do not tell: the path by the id's kernfs handle, then /proc of the process in it; what either
 * says is believed only if the directory of that path has this very id. A process's parent is no source: clone3 and a
 * write to cgroup.procs put a child where its parent is not.
 */
#include "internal.h"

#include <errno.h>
#include <stdio.h>

#define ANCESTORS_MAX		16
#define LOOKUPS_PER_SECOND	500 /* by handle: some 5 us each */
#define PROC_LOOKUPS_PER_SECOND 50

struct crier_subject crier_subject_of(struct crier_pipeline *p, uint64_t cgroup_id)
{
	struct crier_subject subject = {.cgroup = crier_cgroup_get(p->cgroups, cgroup_id),
					.via = CRIER_VIA_CGROUP_ID};
	struct crier_cgroup *above = subject.cgroup;

	/*
	 * A directory whose path could not be composed: below a container it is the container's, below a pod the pod's. That it
	 * is below anything else proves nothing, for all are below the root.
	 */
	for (int depth = 0; above && !above->path && !above->container && depth < ANCESTORS_MAX; depth++) {
		above = crier_cgroup_get(p->cgroups, above->parent_id);
		subject.via = CRIER_VIA_ANCESTOR;
	}
	if (!above)
		return subject;
	subject.container = above->container;
	subject.pod = above->pod;
	if (subject.container) {
		subject.cgroup = above;
		subject.life = subject.container->life;
		if (subject.container->pod)
			subject.pod = subject.container->pod;
		if (above->kind == CRIER_CGROUP_KIND_NESTED)
			subject.via = CRIER_VIA_ANCESTOR;
	}
	return subject;
}

/* At most so many in a second of the pipeline's time. */
static bool may_look_up(const struct crier_pipeline *p, struct crier_rate *rate, uint32_t per_second)
{
	if (p->now_ns - rate->since_ns > SECOND_NS) {
		rate->since_ns = p->now_ns;
		rate->count = 0;
	}
	return rate->count++ < per_second;
}

/* @return 0; -ENOSPC: found, but there is no room for it; any other: not found */
static int ask_handle(struct crier_pipeline *p, uint64_t cgroup_id)
{
	char path[CRIER_CGROUP_PATH_MAX];
	size_t len;

	if (!may_look_up(p, &p->handle_lookups, LOOKUPS_PER_SECOND) ||
	    p->host.cgroup_path(p->host.ctx, p->start.layout.primary_root, cgroup_id, path, sizeof(path),
				&len) < 0)
		return -ENOENT;
	return crier_arrive_found(p, cgroup_id, (struct crier_slice){path, len});
}

/* The process itself knows its path, while it lives. */
static int ask_proc(struct crier_pipeline *p, uint64_t cgroup_id, uint32_t pid)
{
	char absolute[CRIER_CGROUP_PATH_MAX], path[CRIER_CGROUP_PATH_MAX + 320];
	struct crier_slice found;
	uint64_t inode;
	size_t len;

	if (pid == 0 || !may_look_up(p, &p->proc_lookups, PROC_LOOKUPS_PER_SECOND))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/proc/%u/cgroup", crier_host_root(p), pid);
	if (p->host.read(p->host.ctx, path, p->file, sizeof(p->file), &len) < 0 ||
	    !crier_proc_cgroup_parse((struct crier_slice){p->file, len}, p->start.layout.primary_hierarchy_id,
				     &found))
		return -ENOENT;
	found = crier_cgroup_absolute(p->start.layout.namespace_root, found, absolute, sizeof(absolute));
	/* the process may have moved since, or its pid be another's: the directory itself must have this id */
	snprintf(path, sizeof(path), "%s%.*s", p->start.layout.primary_root, (int)found.len, found.ptr);
	if (p->host.inode(p->host.ctx, path, &inode) < 0 || inode != cgroup_id)
		return -ENOENT;
	return crier_arrive_found(p, cgroup_id, found);
}

/* There was no place for its container; there may be by now. */
static struct crier_subject adopt(struct crier_pipeline *p, struct crier_cgroup *cgroup)
{
	uint64_t id = cgroup->id;

	crier_arrive_again(p, cgroup);
	if (!cgroup->container)
		crier_mend_tried(p, id);
	return crier_subject_of(p, id);
}

struct crier_subject crier_locate(struct crier_pipeline *p, uint64_t cgroup_id, uint32_t pid)
{
	struct crier_subject subject = crier_subject_of(p, cgroup_id);
	uint8_t via = CRIER_VIA_HANDLE;

	if (subject.container || cgroup_id == 0)
		return subject;
	if (subject.cgroup && subject.cgroup->path) {
		if (crier_is_containers(subject.cgroup) && crier_mend_may_try(p, cgroup_id))
			subject = adopt(p, subject.cgroup);
		return subject;
	}
	if (!crier_mend_may_try(p, cgroup_id))
		return subject;
	int r = ask_handle(p, cgroup_id);

	if (r < 0 && r != -ENOSPC) {
		via = CRIER_VIA_PROC;
		r = ask_proc(p, cgroup_id, pid);
	}
	if (r < 0) {
		crier_mend_tried(p, cgroup_id);
		subject.no_room = r == -ENOSPC;
		return subject;
	}
	subject = crier_subject_of(p, cgroup_id);
	subject.via = via;
	return subject;
}
