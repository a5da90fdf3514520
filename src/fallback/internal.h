/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the fallback: tree.c knows the directories and watches them, counts.c reads what memory cgroups count, kmsg.c reads
 * the kernel's log, victim.c asks /proc for a dying process, fallback.c holds them together.
 */
#ifndef CRIER_FALLBACK_INTERNAL_H
#define CRIER_FALLBACK_INTERNAL_H

#include "crier/base/hash.h"
#include "crier/base/list.h"
#include "crier/base/map.h"
#include "crier/fallback.h"
#include "crier/kmsg.h"

#define MS_NS	  1000000ULL
#define SECOND_NS 1000000000ULL
#define NEVER	  UINT64_MAX

/* A kill in the log and its count in a cgroup come within microseconds of each other; a starved reader may see them apart. */
#define SETTLE_NS (300 * MS_NS)
/* Kills whose cgroup nobody has named yet. */
#define ORPHANS_MAX 32
/* Reclaim hits a limit thousands of times a second: a look at it each half second, as the kernel side would ask for. */
#define HINT_NS (500 * MS_NS)
/* v1 tells that a limit is hit before the kill is counted. */
#define RECOUNT_FIRST_NS (5 * MS_NS)
#define RECOUNT_LAST_NS	 (160 * MS_NS)

struct directory {
	uint64_t id, parent_id;
	uint64_t memory_id; /* in the memory hierarchy; 0 = none there */
	char *path;	    /* owned; in the primary hierarchy, absolute */
	size_t path_len;
	uint32_t level; /* depth below the root */
	uint8_t kind;	/* enum crier_cgroup_kind */
	bool in_pod;
	uint8_t populated;			    /* 0, 1, CRIER_UNKNOWN_BOOL */
	int watch_self, watch_events, watch_memory; /* inotify; -1 = none */
	char container_id[65];			    /* "" = none in its path */

	/* containers: what their memory cgroup counted */
	bool is_counted;		 /* the counts are read */
	uint64_t kills_seen, kills_told; /* since it was made, or since crier came */
	uint64_t hits_seen;		 /* of memory.events high and max */
	uint64_t hint_ns;
	uint64_t settle_ns;	   /* 0 = the counts agree */
	struct crier_list pending; /* linked while settle_ns is set */

	/* every level: the cgroup's own limit */
	bool oom_is_known;
	uint64_t oom_seen; /* memory.events.local oom */
};

struct orphan {
	struct crier_wire_oom oom;
	uint64_t until_ns;
};

struct crier_fallback {
	struct crier_fallback_options options;
	const struct crier_cgroup_layout *layout;
	char host_root[256]; /* "" = none */
	uint32_t wanted;
	int epoll_fd, inotify_fd, kmsg_fd, event_fd;
	int inotify_error, kmsg_error; /* errno of what could not be had; 0 = had */
	int counts_error; /* the same of memory.events and memory.oom_control, from the first container on */
	bool proc_is_hosts;
	uint32_t page_size;
	uint64_t tick_ns;

	/* tree */
	struct crier_map by_id, by_path, by_watch;
	uint32_t directories, watches, unwatched;
	bool is_starting; /* what is found now was there before: no record */

	/* counts */
	struct crier_list pending;
	uint64_t recount_ns, recount_step_ns; /* v1; 0 = none due */
	struct orphan orphans[ORPHANS_MAX];
	size_t orphan_count;

	/* kernel's log */
	struct crier_kmsg_story story;
	uint64_t kmsg_seq; /* of the last record; 0 = none yet */
	uint32_t trigger_tid;
	struct crier_wire_task trigger; /* of that thread: the same for all victims of one kill */

	/* of the turn under way */
	uint64_t now_ns;
	size_t records;
	crier_probe_record_fn fn;
	void *ctx;

	struct crier_wire_counters counters;
	unsigned troubles;
	char trouble[256], remedy[256];
};

/* fallback.c */
bool crier_fallback_wants(const struct crier_fallback *f, enum crier_probe_event event);
/** Count it and hand it on, header filled. */
void crier_fallback_emit(struct crier_fallback *f, enum crier_probe_event event, enum crier_wire_type type,
			 enum crier_wire_hook hook, uint64_t cgroup_id, void *record, size_t len);
void crier_fallback_worry(struct crier_fallback *f, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** A small file below a hierarchy's root; always NUL-terminated. @return 0 or -errno */
int crier_fallback_read(const char *root, struct crier_slice path, const char *name, char *buf, size_t cap,
			size_t *ret_len) crier_must_check;

/* tree.c */
int crier_tree_open(struct crier_fallback *f);
void crier_tree_close(struct crier_fallback *f);
void crier_tree_drain(struct crier_fallback *f, size_t max_records);
struct directory *crier_tree_by_id(const struct crier_fallback *f, uint64_t id);
struct directory *crier_tree_by_path(const struct crier_fallback *f, struct crier_slice path);
/** Look for a directory that is not known yet, and its parents. @return it, or the deepest of them that is there; NULL */
struct directory *crier_tree_learn(struct crier_fallback *f, struct crier_slice path);
/** Itself or the nearest above that is a container's own. NULL = in none. */
struct directory *crier_tree_container(const struct crier_fallback *f, struct directory *directory);
/** By a container id in a path of another hierarchy. */
struct directory *crier_tree_by_container_id(const struct crier_fallback *f, struct crier_slice path);
typedef void (*crier_tree_fn)(struct crier_fallback *f, struct directory *directory);
void crier_tree_each(struct crier_fallback *f, crier_tree_fn fn);
bool crier_path_is_within(struct crier_slice path, struct crier_slice above);

/* counts.c */
/** Begin to count a new directory's kills. @param is_new  it was empty when crier first saw it */
void crier_counts_begin(struct crier_fallback *f, struct directory *directory, bool is_new);
/** Its counts may have changed. */
void crier_counts_look(struct crier_fallback *f, struct directory *directory);
/** It goes: what was counted and not told is told now. */
void crier_counts_end(struct crier_fallback *f, struct directory *directory);
void crier_counts_on_event(struct crier_fallback *f);
void crier_counts_settle(struct crier_fallback *f);
uint64_t crier_counts_deadline(const struct crier_fallback *f);
/** The chain from `path` up to `limit_path` (absent: to the root), in the memory hierarchy. */
void crier_counts_levels(struct crier_fallback *f, struct crier_slice path, struct crier_slice limit_path,
			 struct crier_wire_oom *oom);
/** Kills told by the log: `count` of them in this directory's container. */
void crier_counts_told(struct crier_fallback *f, struct directory *directory, uint64_t count);
/** A kill whose cgroup is not known: until the counts settle. */
void crier_counts_orphan(struct crier_fallback *f, const struct crier_wire_oom *oom);

/* kmsg.c */
void crier_kmsg_drain(struct crier_fallback *f);

/* victim.c */
struct victim {
	struct crier_wire_task task;	  /* as far as /proc tells it; flags 0 = nothing */
	char path[CRIER_CGROUP_PATH_MAX]; /* of its cgroup in the primary hierarchy; "" = not known */
};
/** Who was killed, if it is still there and dying. */
void crier_victim_find(const struct crier_fallback *f, uint32_t tid, const uint8_t *comm,
		       struct victim *ret_victim);
/** The process of a living thread with this name; 0 = not sure. */
uint32_t crier_victim_process_of(const struct crier_fallback *f, uint32_t tid, const uint8_t *comm,
				 struct crier_wire_task *ret_task);

#endif
