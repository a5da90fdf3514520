/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory cgroups count of themselves. memory.events (v2, by inotify) and memory.oom_control (v1, by eventfd) say how
 * many were killed in a container, not who: where the kernel's log names them, the counts prove that none is missing.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static struct crier_slice path_of(const struct directory *directory)
{
	return (struct crier_slice){directory->path, directory->path_len};
}

/* "key value" at the beginning of a line. */
static bool value_of(const char *text, const char *key, uint64_t *ret_value)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0 && line[len] == ' ') {
			const char *digits = line + len + 1;
			size_t count = strspn(digits, "0123456789");

			return crier_parse_u64((struct crier_slice){digits, count}, ret_value) == 0;
		}
	}
	return false;
}

static bool read_value(const struct crier_fallback *f, struct crier_slice path, const char *name,
		       const char *key, uint64_t *ret_value)
{
	char text[1024];
	size_t len = 0;

	if (crier_fallback_read(f->layout->memory_root, path, name, text, sizeof(text), &len) < 0)
		return false;
	if (*key)
		return value_of(text, key, ret_value);
	while (len && (text[len - 1] == '\n' || text[len - 1] == ' '))
		len--;
	return crier_parse_u64((struct crier_slice){text, len}, ret_value) == 0;
}

static const char *counts_file(const struct crier_fallback *f)
{
	return f->layout->memory_is_v2 ? "memory.events" : "memory.oom_control";
}

/* ---- beginning and end ---- */

/* v1: one event for all; who it was is found by reading. The kernel drops it with the cgroup. */
static int register_event(struct crier_fallback *f, const struct directory *directory)
{
	char path[PATH_MAX], line[32];
	_cleanup_close_ int counts = -1, control = -1;
	int len;

	if (f->event_fd < 0)
		return -EBADF;
	if ((size_t)snprintf(path, sizeof(path), "%s%s/memory.oom_control", f->layout->memory_root,
			     directory->path) >= sizeof(path))
		return -ENAMETOOLONG;
	counts = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (counts < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "%s%s/cgroup.event_control", f->layout->memory_root,
		       directory->path);
	control = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (control < 0)
		return -errno;
	len = snprintf(line, sizeof(line), "%d %d", f->event_fd, counts);
	return write(control, line, (size_t)len) == len ? 0 : -errno;
}

static void read_own_limit(struct crier_fallback *f, struct directory *directory, bool is_new)
{
	directory->oom_is_known =
		is_new || !f->layout->memory_is_v2 ||
		read_value(f, path_of(directory), "memory.events.local", "oom", &directory->oom_seen);
	if (!f->layout->memory_is_v2)
		directory->oom_is_known = false; /* v1 counts kills only */
}

void crier_counts_begin(struct crier_fallback *f, struct directory *directory, bool is_new)
{
	int r;

	if (!directory->memory_id)
		return;
	read_own_limit(f, directory, is_new);
	if (directory->kind != CRIER_CGROUP_KIND_CONTAINER)
		return;
	r = f->layout->memory_is_v2 ? (directory->watch_memory >= 0 ? 0 : -ENOSPC)
				    : register_event(f, directory);
	if (r < 0) {
		if (r != -ENOENT && !f->counts_error)
			f->counts_error = -r;
		return;
	}
	directory->is_counted = true;
	if (is_new) {
		crier_counts_look(f, directory); /* what came before the watch */
		return;
	}
	(void)read_value(f, path_of(directory), counts_file(f), "oom_kill", &directory->kills_seen);
	directory->kills_told = directory->kills_seen;
}

/* ---- the chain of limits ---- */

static void read_level(const struct crier_fallback *f, struct crier_slice path,
		       struct crier_wire_oom_level *level)
{
	const bool v2 = f->layout->memory_is_v2;
	struct directory *known = crier_tree_by_path(f, path);
	uint64_t bytes, group;

	*level = (struct crier_wire_oom_level){
		.cgroup_id = known ? known->memory_id : 0,
		.flags = CRIER_OOM_LEVEL_NO_USAGE | CRIER_OOM_LEVEL_NO_MAX | CRIER_OOM_LEVEL_NO_PEAK |
			 CRIER_OOM_LEVEL_NO_SWAP,
	};
	if (!level->cgroup_id) {
		char full[PATH_MAX];
		struct stat st;

		if (snprintf(full, sizeof(full), "%s%.*s", f->layout->memory_root, (int)path.len, path.ptr) <
			    (int)sizeof(full) &&
		    lstat(full, &st) == 0)
			level->cgroup_id = st.st_ino;
	}
	if (read_value(f, path, v2 ? "memory.peak" : "memory.max_usage_in_bytes", "", &bytes)) {
		level->peak_pages = bytes / f->page_size;
		level->flags &= ~CRIER_OOM_LEVEL_NO_PEAK;
	}
	/* a limit may have been changed since, but hardly within a millisecond; "max" is no number and no limit */
	if (read_value(f, path, v2 ? "memory.max" : "memory.limit_in_bytes", "", &bytes)) {
		level->max_pages = bytes / f->page_size;
		level->flags &= ~CRIER_OOM_LEVEL_NO_MAX;
	}
	if (v2 && read_value(f, path, "memory.oom.group", "", &group) && group)
		level->flags |= CRIER_OOM_LEVEL_GROUP;
}

/* How often this level's own limit was hit since the last kill in it. */
static void take_delta(struct crier_fallback *f, struct crier_slice path, struct crier_wire_oom_level *level)
{
	struct directory *known = crier_tree_by_path(f, path);
	uint64_t now;

	if (!known || !f->layout->memory_is_v2 || !read_value(f, path, "memory.events.local", "oom", &now))
		return;
	if (known->oom_is_known && now >= known->oom_seen) {
		level->oom_delta = (__u32)crier_min(now - known->oom_seen, (uint64_t)UINT32_MAX);
		level->flags |= CRIER_OOM_LEVEL_DELTA_KNOWN;
	}
	known->oom_seen = now;
	known->oom_is_known = true;
}

void crier_counts_levels(struct crier_fallback *f, struct crier_slice path, struct crier_slice limit_path,
			 struct crier_wire_oom *oom)
{
	oom->level_count = 0;
	while (path.len > 1) {
		struct crier_wire_oom_level *level = &oom->levels[oom->level_count];
		bool is_last = limit_path.len && crier_slice_equal(path, limit_path);

		if (oom->level_count == CRIER_WIRE_OOM_LEVELS) {
			oom->flags |= CRIER_OOM_LEVELS_CUT;
			return;
		}
		oom->level_count++;
		read_level(f, path, level);
		take_delta(f, path, level);
		if (is_last)
			return;
		while (path.len > 1 && path.ptr[--path.len] != '/')
			;
	}
}

/* ---- kills that were counted and not named ---- */

static bool all_known(const struct crier_wire_oom *oom)
{
	for (size_t i = 0; i < oom->level_count; i++)
		if (!(oom->levels[i].flags & CRIER_OOM_LEVEL_DELTA_KNOWN))
			return false;
	return true;
}

static void tell_counted(struct crier_fallback *f, struct directory *directory, uint64_t count)
{
	struct crier_wire_oom oom = {
		.flags = CRIER_OOM_NO_VICTIM | CRIER_OOM_NO_SWAP | CRIER_OOM_NO_PGTABLES |
			 CRIER_OOM_NO_SCORE_ADJ,
		.page_size = f->page_size,
		.kills = (__u16)crier_min(count, (uint64_t)UINT16_MAX),
	};

	crier_counts_levels(f, path_of(directory), CRIER_SLICE_NONE, &oom);
	if (!all_known(&oom)) /* whose limit it was, the node's included, cannot be told then */
		oom.level_count = 0;
	crier_fallback_emit(f, CRIER_PROBE_OOM, CRIER_WIRE_OOM,
			    f->layout->memory_is_v2 ? CRIER_HOOK_INOTIFY_MEMORY_EVENTS
						    : CRIER_HOOK_EVENTFD_OOM_CONTROL,
			    directory->id, &oom, sizeof(oom));
}

static void settle_later(struct crier_fallback *f, struct directory *directory)
{
	if (directory->settle_ns)
		return;
	directory->settle_ns = f->now_ns + SETTLE_NS;
	crier_list_append(&f->pending, &directory->pending);
}

static void settle_one(struct crier_fallback *f, struct directory *directory)
{
	uint64_t missing = directory->kills_seen > directory->kills_told
				   ? directory->kills_seen - directory->kills_told
				   : 0;

	directory->settle_ns = 0;
	crier_list_remove(&directory->pending);
	directory->kills_told = directory->kills_seen; /* v1 counts those of nested groups elsewhere */
	if (missing)
		tell_counted(f, directory, missing);
}

/* Reclaim at a limit, told by the cgroup itself: the pipeline looks at its usage. */
static void hint(struct crier_fallback *f, struct directory *directory, uint64_t hits)
{
	struct crier_wire_pressure_hint record = {.memory_cgroup_id = directory->memory_id};

	if (hits <= directory->hits_seen || f->now_ns - directory->hint_ns < HINT_NS)
		return;
	directory->hits_seen = hits;
	directory->hint_ns = f->now_ns;
	crier_fallback_emit(f, CRIER_PROBE_PRESSURE, CRIER_WIRE_PRESSURE_HINT,
			    CRIER_HOOK_INOTIFY_MEMORY_EVENTS, directory->id, &record, sizeof(record));
}

void crier_counts_look(struct crier_fallback *f, struct directory *directory)
{
	uint64_t kills, high = 0, max = 0;
	char text[1024];
	size_t len = 0;

	if (!directory->is_counted || crier_fallback_read(f->layout->memory_root, path_of(directory),
							  counts_file(f), text, sizeof(text), &len) < 0)
		return; /* it is gone: crier_counts_end tells what was seen */
	if (f->layout->memory_is_v2 && value_of(text, "max", &max)) {
		(void)value_of(text, "high", &high);
		hint(f, directory, high + max);
	}
	if (!value_of(text, "oom_kill", &kills) || kills <= directory->kills_seen)
		return;
	directory->kills_seen = kills;
	if (kills <= directory->kills_told)
		return;
	if (f->kmsg_fd < 0)
		settle_one(f, directory); /* nobody will name them */
	else
		settle_later(f, directory);
}

void crier_counts_end(struct crier_fallback *f, struct directory *directory)
{
	if (directory->is_counted)
		settle_one(f, directory);
	directory->is_counted = false;
}

void crier_counts_told(struct crier_fallback *f, struct directory *directory, uint64_t count)
{
	struct directory *container = crier_tree_container(f, directory);

	if (!container || !container->is_counted)
		return;
	container->kills_told += count;
	/* The log may be read before the count: look whether there is more than it told. */
	settle_later(f, container);
}

void crier_counts_orphan(struct crier_fallback *f, const struct crier_wire_oom *oom)
{
	if (f->orphan_count == ORPHANS_MAX) {
		f->counters.generated[CRIER_CLASS_CRITICAL]++;
		f->counters.reserve_failed[CRIER_CLASS_CRITICAL]++;
		return;
	}
	f->orphans[f->orphan_count++] = (struct orphan){.oom = *oom, .until_ns = f->now_ns + SETTLE_NS};
}

/* ---- settling: the log's kills against the counts ---- */

struct missing {
	uint64_t kills;
	unsigned containers;
	struct directory *last;
};

static struct missing count_missing(const struct crier_fallback *f)
{
	struct missing missing = {0};

	for (struct crier_list *item = f->pending.next; item != &f->pending; item = item->next) {
		struct directory *directory = crier_container_of(item, struct directory, pending);

		if (directory->kills_seen <= directory->kills_told)
			continue;
		missing.kills += directory->kills_seen - directory->kills_told;
		missing.containers++;
		missing.last = directory;
	}
	return missing;
}

static void emit_orphan(struct crier_fallback *f, struct crier_wire_oom *oom,
			const struct directory *directory)
{
	if (directory)
		crier_counts_levels(f, path_of(directory), CRIER_SLICE_NONE, oom);
	oom->victim.cgroup_id = directory ? directory->id : 0;
	crier_fallback_emit(f, CRIER_PROBE_OOM, CRIER_WIRE_OOM, CRIER_HOOK_KMSG, oom->victim.cgroup_id, oom,
			    sizeof(*oom));
}

/*
 * Each count has its line. So as many nameless counts as homeless lines, all in one container, belong together. With several
 * containers nobody knows which is whose: then the counts are told without names, and lines beyond them are lost.
 */
static void settle_orphans(struct crier_fallback *f)
{
	struct missing missing = count_missing(f);
	size_t count = f->orphan_count;
	uint64_t lost;

	f->orphan_count = 0;
	if (missing.kills == 0 || (missing.containers == 1 && missing.kills == count)) {
		if (missing.kills)
			missing.last->kills_told += missing.kills;
		for (size_t i = 0; i < count; i++)
			emit_orphan(f, &f->orphans[i].oom, missing.last);
		return;
	}
	lost = count > missing.kills ? count - missing.kills : 0;
	f->counters.generated[CRIER_CLASS_CRITICAL] += lost;
	f->counters.reserve_failed[CRIER_CLASS_CRITICAL] += lost;
}

static uint64_t pending_deadline(const struct crier_fallback *f)
{
	uint64_t due = NEVER;

	for (struct crier_list *item = f->pending.next; item != &f->pending; item = item->next)
		due = crier_min(due, crier_container_of(item, struct directory, pending)->settle_ns);
	for (size_t i = 0; i < f->orphan_count; i++)
		due = crier_min(due, f->orphans[i].until_ns);
	return due;
}

uint64_t crier_counts_deadline(const struct crier_fallback *f)
{
	return crier_min(pending_deadline(f), f->recount_ns ? f->recount_ns : NEVER);
}

static void look_if_counted(struct crier_fallback *f, struct directory *directory)
{
	if (directory->is_counted)
		crier_counts_look(f, directory);
}

/* v1: the event comes when the limit is hit, the count after the kill: look now and a few times more. */
void crier_counts_on_event(struct crier_fallback *f)
{
	uint64_t value;

	if (f->event_fd >= 0 && read(f->event_fd, &value, sizeof(value)) == sizeof(value)) {
		f->recount_ns = f->now_ns;
		f->recount_step_ns = RECOUNT_FIRST_NS;
	}
	if (!f->recount_ns || f->now_ns < f->recount_ns)
		return;
	crier_tree_each(f, look_if_counted);
	f->recount_ns = f->recount_step_ns <= RECOUNT_LAST_NS ? f->now_ns + f->recount_step_ns : 0;
	f->recount_step_ns *= 2;
}

void crier_counts_settle(struct crier_fallback *f)
{
	struct crier_list due;

	if (pending_deadline(f) > f->now_ns)
		return;
	/* all at once: an orphan's count is with one of them; and once more, what was counted by now */
	for (struct crier_list *item = f->pending.next, *next; item != &f->pending; item = next) {
		next = item->next;
		crier_counts_look(f, crier_container_of(item, struct directory, pending));
	}
	if (f->orphan_count)
		settle_orphans(f);
	crier_list_move(&due, &f->pending);
	while (!crier_list_is_empty(&due))
		settle_one(f, crier_container_of(due.next, struct directory, pending));
}
