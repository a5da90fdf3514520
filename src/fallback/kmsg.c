/* SPDX-License-Identifier: Apache-2.0 */
/* /dev/kmsg: each "Killed process" of the kernel's log becomes a record of the victim, with what is known of it besides. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>

/* A turn's share of a log that somebody floods. */
#define TURN_LINES 4096

int crier_fallback_kmsg_open(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (lseek(fd, 0, SEEK_END) < 0) /* behind what is there already; a file that is no log refuses */
		return -errno;
	return take_fd(fd);
}

static uint64_t pages(const struct crier_fallback *f, uint64_t bytes)
{
	return bytes / f->page_size;
}

/* ---- where the victim lived ---- */

static struct directory *learn_whole(struct crier_fallback *f, struct crier_slice path)
{
	struct directory *found = path.len ? crier_tree_learn(f, path) : NULL;

	return found && found->path_len == path.len ? found : NULL;
}

/* A directory that is gone, or that is not in the primary hierarchy: its container will do. */
static struct directory *container_of_path(struct crier_fallback *f, struct crier_slice path)
{
	struct directory *container;

	for (struct crier_slice above = path; above.len > 1;) {
		container = crier_tree_by_path(f, above);
		if (container)
			container = crier_tree_container(f, container);
		if (container)
			return container;
		while (above.len > 1 && above.ptr[--above.len] != '/')
			;
	}
	return path.len ? crier_tree_by_container_id(f, path) : NULL;
}

static struct directory *find_home(struct crier_fallback *f, const struct crier_kmsg_kill *kill,
				   const struct victim *victim)
{
	struct directory *home = learn_whole(f, kill->victim_path);

	if (!home)
		home = learn_whole(f, crier_slice_of(victim->path[0] ? victim->path : NULL));
	if (!home)
		home = container_of_path(f, kill->victim_path);
	if (!home) /* the whole group is killed, in it and below */
		home = container_of_path(f, kill->group_path);
	return home;
}

/* ---- the record ---- */

static void fill_victim(const struct crier_kmsg_kill *kill, const struct victim *victim,
			struct crier_wire_task *task)
{
	if (victim->task.flags & CRIER_TASK_VALID) {
		*task = victim->task;
		return;
	}
	*task = (struct crier_wire_task){.pid = kill->pid,
					 .tid = kill->pid,
					 .flags = CRIER_TASK_VALID | CRIER_TASK_NO_UID | CRIER_TASK_NO_START};
	memcpy(task->comm, kill->comm, sizeof(task->comm));
}

/*
 * Whose allocation it was. The thread is known, its process only while it lives; unknown, the thread's number still ties the
 * victims of one kill together, without being told.
 */
static void fill_trigger(struct crier_fallback *f, const struct crier_kmsg_kill *kill,
			 struct crier_wire_oom *oom)
{
	if (!kill->trigger_tid)
		return;
	if (f->trigger_tid != kill->trigger_tid || !(kill->flags & CRIER_KMSG_GROUP)) {
		f->trigger_tid = kill->trigger_tid;
		f->trigger = (struct crier_wire_task){0};
		if (kill->trigger_tid == kill->pid)
			f->trigger = oom->victim;
		else if (!crier_victim_process_of(f, kill->trigger_tid, kill->trigger_comm, &f->trigger))
			f->trigger = (struct crier_wire_task){.pid = kill->trigger_tid};
	}
	oom->trigger = f->trigger;
}

static void fill_figures(const struct crier_fallback *f, const struct crier_kmsg_kill *kill,
			 struct crier_wire_oom *oom)
{
	oom->page_size = f->page_size;
	oom->anon_pages = pages(f, kill->anon_bytes);
	oom->file_pages = pages(f, kill->file_bytes);
	oom->shmem_pages = pages(f, kill->shmem_bytes);
	oom->total_vm_pages = pages(f, kill->total_vm_bytes);
	oom->pgtables_bytes = kill->pgtables_bytes;
	oom->oom_score_adj = kill->oom_score_adj;
	oom->flags |= CRIER_OOM_NO_SWAP;
	if (!(kill->flags & CRIER_KMSG_PGTABLES))
		oom->flags |= CRIER_OOM_NO_PGTABLES;
	if (!(kill->flags & CRIER_KMSG_SCORE_ADJ))
		oom->flags |= CRIER_OOM_NO_SCORE_ADJ;
}

/* The last level is the limit's: its figures stand in the report, as of the kill. */
static void fill_limit(const struct crier_fallback *f, const struct crier_kmsg_kill *kill,
		       struct crier_wire_oom *oom)
{
	struct crier_wire_oom_level *level;

	if (!oom->level_count)
		return;
	level = &oom->levels[oom->level_count - 1];
	if (kill->flags & CRIER_KMSG_USAGE) {
		level->usage_pages = pages(f, kill->usage_bytes);
		level->max_pages = pages(f, kill->limit_bytes);
		level->flags &= ~(CRIER_OOM_LEVEL_NO_USAGE | CRIER_OOM_LEVEL_NO_MAX);
	}
	if (kill->flags & CRIER_KMSG_SWAP) {
		level->swap_pages = pages(f, kill->swap_bytes);
		level->flags &= ~CRIER_OOM_LEVEL_NO_SWAP;
	}
	oom->limit_cgroup_id = level->cgroup_id;
}

/*
 * Which limit: the report names it; without one the kind of kill is known at least, and the cgroups' own counts may tell.
 * @param memory_path  the victim's memory cgroup, or the nearest to it that is known; empty = not known
 */
static void fill_scope(struct crier_fallback *f, const struct crier_kmsg_kill *kill,
		       struct crier_slice memory_path, struct crier_wire_oom *oom)
{
	if (kill->flags & CRIER_KMSG_GLOBAL) {
		if (kill->flags & CRIER_KMSG_REPORT)
			oom->flags |= CRIER_OOM_HAS_CONTROL | CRIER_OOM_GLOBAL |
				      (kill->flags & CRIER_KMSG_CPUSET ? CRIER_OOM_CPUSET : 0);
		return;
	}
	oom->flags |= CRIER_OOM_MEMCG;
	if (kill->limit_path.len) {
		if (!memory_path.len || !crier_path_is_within(memory_path, kill->limit_path))
			memory_path = kill->limit_path;
		crier_counts_levels(f, memory_path, kill->limit_path, oom);
		fill_limit(f, kill, oom);
		oom->flags |= CRIER_OOM_HAS_CONTROL;
	} else if (memory_path.len) {
		crier_counts_levels(f, memory_path, CRIER_SLICE_NONE, oom);
	}
}

static void tell(struct crier_fallback *f, const struct crier_kmsg_kill *kill)
{
	struct crier_wire_oom oom = {
		.header.cpu = kill->flags & CRIER_KMSG_CPU ? kill->cpu : (__u16)CRIER_WIRE_CPU_UNKNOWN};
	struct crier_slice memory_path = kill->victim_path;
	struct directory *home;
	struct victim victim;

	crier_victim_find(f, kill->pid, kill->comm, &victim);
	home = find_home(f, kill, &victim);
	if (home)
		crier_counts_told(f, home, 1);
	if (kill->flags & CRIER_KMSG_REPEATED)
		return;
	if (!memory_path.len && home)
		memory_path = (struct crier_slice){home->path, home->path_len};
	fill_victim(kill, &victim, &oom.victim);
	fill_trigger(f, kill, &oom);
	fill_figures(f, kill, &oom);
	fill_scope(f, kill, memory_path, &oom);
	if (!home && !kill->victim_path.len && crier_fallback_wants(f, CRIER_PROBE_OOM)) {
		crier_counts_orphan(f, &oom);
		return;
	}
	oom.victim.cgroup_id = home ? home->id : 0;
	if (oom.trigger.pid == oom.victim.pid)
		oom.trigger.cgroup_id = oom.victim.cgroup_id;
	crier_fallback_emit(f, CRIER_PROBE_OOM, CRIER_WIRE_OOM, CRIER_HOOK_KMSG, oom.victim.cgroup_id, &oom,
			    sizeof(oom));
}

/* ---- reading ---- */

static void lost(struct crier_fallback *f, uint64_t count, uint64_t ts_us)
{
	f->counters.control_failed += count;
	crier_kmsg_forget(&f->story, ts_us);
}

static void take_record(struct crier_fallback *f, const char *record, size_t len)
{
	char text[CRIER_KMSG_TEXT_MAX];
	struct crier_kmsg_line line;
	struct crier_kmsg_kill kill;

	if (crier_kmsg_line_parse((struct crier_slice){record, len}, text, &line) < 0) {
		f->counters.truncated++;
		return;
	}
	if (f->kmsg_seq && line.seq > f->kmsg_seq + 1)
		lost(f, line.seq - f->kmsg_seq - 1, line.ts_us);
	f->kmsg_seq = line.seq;
	if (crier_kmsg_feed(&f->story, &line, &kill))
		tell(f, &kill);
}

void crier_kmsg_drain(struct crier_fallback *f)
{
	char record[CRIER_KMSG_RECORD_MAX + 1];

	for (int i = 0; f->kmsg_fd >= 0 && i < TURN_LINES; i++) {
		ssize_t len = read(f->kmsg_fd, record, sizeof(record));

		if (len > 0)
			take_record(f, record, (size_t)len);
		else if (len < 0 && errno == EPIPE)
			continue; /* overrun: the next record's number tells by how much */
		else if (len < 0 && errno == EINVAL)
			lost(f, 1, 0); /* longer than any the kernel is known to write */
		else
			return;
	}
}
