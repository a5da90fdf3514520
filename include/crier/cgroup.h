/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups three ways: the path parser (pure), the layout of this node and its walker (reads cgroupfs), and the table
 * of known cgroups (pure, owned by the pipeline).
 */
#ifndef CRIER_CGROUP_H
#define CRIER_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/base/str.h"
#include "crier/event.h"

#define CRIER_CGROUP_PATH_MAX 4096
#define CRIER_UID_MAX_PATH    40 /* a pod uid from a path: 36 characters, or 32 hex digits */

/* ---- path parser: src/cgroup/path.c ---- */

enum crier_cgroup_kind {
	CRIER_CGROUP_KIND_OTHER = 0, /* says nothing of pods: host, unless an ancestor is a container */
	CRIER_CGROUP_KIND_KUBEPODS,  /* the root of all pods */
	CRIER_CGROUP_KIND_QOS,	     /* burstable, besteffort */
	CRIER_CGROUP_KIND_POD,
	CRIER_CGROUP_KIND_CONTAINER, /* the container's own directory */
	CRIER_CGROUP_KIND_NESTED,    /* below a container's directory */
	CRIER_CGROUP_KIND_COUNT,
};

/*
 * What a path alone tells. Slices point into the path, pod_uid into `uid_storage` (so a copy of the struct keeps pointing
 * into the original). OTHER with a pod_uid: below a pod, in none of its containers (conmon).
 */
struct crier_container;
struct crier_pod;

struct crier_cgroup_facts {
	enum crier_cgroup_kind kind;
	struct crier_slice container_id; /* 64 hex digits (or what the form allows), lower case */
	struct crier_slice pod_uid;	 /* with dashes; 32-hex static pod uids as they are */
	uint8_t qos;			 /* enum crier_qos; UNKNOWN outside kubepods */
	const char *runtime;	/* "containerd" "cri-o" "docker" "podman" when the form says so; static */
	const char *driver;	/* "cgroupfs" "systemd" when the form says so; static */
	size_t container_depth; /* length of the path up to and with the container's directory; 0 none */
	char uid_storage[CRIER_UID_MAX_PATH];
};

/**
 * Parse a path below a cgroup root ("/kubepods/burstable/pod…/…"). A table of forms, each component tried against each
 * row. The container is the first component that is a container form: its name says so (cri-containerd-, crio-, docker-,
 * libpod-, nerdctl-), or it is a bare id below kubepods, a pod, /docker or /k8s.io. All below is NESTED, be it docker in a
 * pod; but a kubepods root or a pod below a container that is in no pod wins over it (kind, k3d: a node in a container).
 *
 * Stated answers: 63 or 65 hex digits and upper-case ones are no id; a uid of another shape is no pod (bare ids below
 * kubepods are containers all the same); empty components and a trailing slash count for nothing; leading ".." (a path
 * above the reader's cgroup namespace) is skipped, ".." further down makes it all OTHER; longer than
 * CRIER_CGROUP_PATH_MAX: OTHER. Pure, 0.1-0.4 us.
 */
void crier_cgroup_parse(struct crier_slice path, struct crier_cgroup_facts *ret_facts);

/* ---- layout and walker: src/cgroup/layout.c, walk.c ---- */

enum crier_cgroup_mode {
	CRIER_CGROUP_MODE_V1,	  /* no v2 hierarchy, or the runtime leaves it empty */
	CRIER_CGROUP_MODE_HYBRID, /* v1 controllers, and the runtime fills v2 too */
	CRIER_CGROUP_MODE_V2,
	CRIER_CGROUP_MODE_COUNT,
};

/* Where the hierarchies are on this node. Paths as crier sees them (host root prefixed), "" = not there. */
struct crier_cgroup_layout {
	enum crier_cgroup_mode mode;
	bool primary_is_v2;
	uint32_t primary_hierarchy_id; /* kernel's number; 0 = v2 */
	char primary_root[256];	       /* directory of the hierarchy that keys everything */
	char memory_root[256];	       /* hierarchy with the memory controller; may equal primary_root */
	char cpu_root[256];
	bool memory_is_v2, cpu_is_v2;
	const char *driver; /* "cgroupfs" "systemd", NULL = no kubepods directory seen yet; static */
	/*
	 * Where crier's own cgroup namespace begins in the primary hierarchy: /proc/PID/cgroup is relative to it. "/" = sees
	 * all; "" = it has one of its own, and where is not known (then such paths begin with "/..").
	 */
	char namespace_root[512];
	/* The mount shows no more than crier's own cgroup namespace, which is not the node's, and no pod is in it. Not recorded. */
	bool is_own_only;
};

/* The cgroup mounts of a mountinfo; paths "" = not there. */
struct crier_cgroup_mounts {
	char v2[256], memory[256], cpu[256]; /* the widest view of each hierarchy; v1 for the last two */
	bool v2_is_above, memory_is_above;   /* that view begins above crier's own cgroup namespace */
	char v2_namespace[256],
		memory_namespace[256]; /* then: another mount that begins at it, if there is one */
};

/**
 * Find the cgroup hierarchies in the text of a mountinfo (proc(5)). Several mounts of one hierarchy: the one that shows
 * most of it (its root is further up), then one below `host_root`, then the shortest path. Lines that make no sense and
 * paths longer than 255 bytes are passed over. Pure.
 */
void crier_cgroup_mounts_parse(struct crier_slice mountinfo, const char *host_root,
			       struct crier_cgroup_mounts *ret_mounts);

/** Number of a v1 controller's hierarchy in the text of /proc/cgroups; 0 = none or v2's. Pure. */
uint32_t crier_cgroup_hierarchy_parse(struct crier_slice proc_cgroups, struct crier_slice controller);

/**
 * Read /proc/self/mountinfo and /proc/cgroups below `host_root` and decide the primary hierarchy: v2 when it has
 * controllers, or when pods or containers are found in it, or when there are none anywhere yet and the runtime would
 * fill it (hybrid: runc does); else v1 memory.
 * @return 0; -ENOENT (err: no cgroup mount found, which paths were looked at, what to mount)
 */
int crier_cgroup_detect(const char *host_root, struct crier_cgroup_layout *ret_layout,
			struct crier_err *err) crier_must_check;

/** "v1" "hybrid" "v2"; "unknown" for other numbers. Static. */
const char *crier_cgroup_mode_name(enum crier_cgroup_mode mode);

/**
 * Depth-first walk of a hierarchy by file descriptors, parents before children, no symlink followed, bounded to
 * `max_directories`, 128 levels and paths of CRIER_CGROUP_PATH_MAX; what vanishes meanwhile is passed over. `path` is
 * relative to the root with a leading slash ("/" for the root itself, parent 0).
 * @return directories told, or -errno of opening the root; fn returning false stops it
 */
typedef bool (*crier_cgroup_walk_fn)(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id);
long crier_cgroup_walk(const char *root, uint32_t max_directories, crier_cgroup_walk_fn fn, void *ctx);

/**
 * Path of the directory with this id, by its kernfs handle (cgroupfs exports them since 2019, aa8188253474). Some 5 us.
 * @return 0; -EPERM (CAP_DAC_READ_SEARCH is not held), -ESTALE (gone), -EXDEV (outside of what `root` shows), -ERANGE
 *         (it does not fit), -errno
 */
int crier_cgroup_path_of(const char *root, uint64_t id, char *buf, size_t cap,
			 size_t *ret_len) crier_must_check;

/**
 * Scan /proc/<pid>/cgroup of every process below `host_root`: the fallback where cgroupfs is not to be seen or the
 * iterator could not load. `path` in the primary hierarchy, borrowed for the call; `start_ticks` is field 22 of stat (clock ticks since boot).
 */
struct crier_proc_entry {
	uint32_t pid, parent_pid;
	uint64_t start_ticks;
	char state;	 /* R S D Z X … */
	bool is_ns_init; /* pid 1 of a pid namespace below that of the /proc that was read */
	struct crier_slice path;
	struct crier_slice comm;
};
/**
 * Does <host_root>/proc show the node's own processes? Only there pid 2 is a kernel thread, which no container can imitate.
 * @return false also where /proc hides other users' processes (hidepid)
 */
bool crier_proc_is_hosts(const char *host_root);

/** The line of hierarchy `hierarchy_id` (0: v2) in the text of /proc/PID/cgroup, without " (deleted)". Pure. @return found */
bool crier_proc_cgroup_parse(struct crier_slice text, uint32_t hierarchy_id, struct crier_slice *ret_path);

/** pid, state, parent, comm and start of the text of /proc/PID/stat; path is left alone. Pure. @return 0 or -EINVAL */
int crier_proc_stat_parse(struct crier_slice text, struct crier_proc_entry *ret_entry) crier_must_check;

/**
 * Pids of the text of /proc/PID/status, NSpid: that of the /proc's own namespace first, the process's own last. Pure.
 * @return how many there are; 0: no such line
 */
unsigned crier_proc_nspid_parse(struct crier_slice text, uint64_t *ret_innermost);

/** crier is in a pid namespace other than the host's: records have other pids than fork() and its own /proc. */
bool crier_pid_namespace_is_own(void);

/**
 * A path relative to a cgroup namespace ("/../../kubepods/…") as one below the hierarchy's root. Pure.
 * @param namespace_root  of the layout; "" or "/": the path stays as it is
 * @return the path, in `buf` or as it was (also when it has more ".." than the root is deep, or does not fit)
 */
struct crier_slice crier_cgroup_absolute(const char *namespace_root, struct crier_slice path, char *buf,
					 size_t cap);

typedef bool (*crier_proc_scan_fn)(void *ctx, const struct crier_proc_entry *entry);
/**
 * See struct crier_proc_entry. What ends meanwhile, or is in no cgroup of the primary hierarchy, is passed over.
 * @return processes told, or -errno: <host_root>/proc cannot be read; fn returning false stops it
 */
long crier_proc_scan(const char *host_root, const struct crier_cgroup_layout *layout, crier_proc_scan_fn fn,
		     void *ctx);

/**
 * The proof that an id is an inode: make nothing, take an existing cgroup directory of the primary hierarchy, compare
 * its inode with name_to_handle_at's kernfs id (v2 and v1 give the 64-bit node id). For `crier check`.
 * @param path  relative to the primary root, as crier_cgroup_walk tells it
 * @return 0 proven; -ERANGE they differ; -EOPNOTSUPP: the handle is not kernfs'; -errno could not be asked
 */
int crier_cgroup_prove(const struct crier_cgroup_layout *layout, struct crier_slice path, uint64_t *ret_inode,
		       uint64_t *ret_id);

/* ---- table: src/cgroup/table.c ---- */

struct crier_cgroup {
	uint64_t id;	    /* primary hierarchy */
	uint64_t parent_id; /* 0 = unknown or root */
	uint64_t memory_id; /* memory hierarchy; equals id when they are one; 0 = unknown */
	char *path;	    /* owned, NUL-terminated; NULL = not composed yet */
	uint32_t path_len;
	uint8_t kind; /* enum crier_cgroup_kind */
	uint8_t qos;
	uint8_t cgroup_class;		   /* enum crier_wire_cgroup_class as told to the kernel */
	uint8_t populated;		   /* 0, 1, CRIER_UNKNOWN_BOOL */
	struct crier_container *container; /* its own or the nearest ancestor's; NULL */
	struct crier_pod *pod;		   /* of a POD cgroup or of its container; NULL */
	uint64_t removed_ns;		   /* boottime of rmdir; 0 = alive */
};

struct crier_cgroup_table;

/** @param max_entries  living and removed together; 65,536 */
int crier_cgroup_table_new(uint32_t max_entries, struct crier_cgroup_table **ret_table) crier_must_check;
void crier_cgroup_table_free(struct crier_cgroup_table *table);

/** Open addressing by id: 3-30 ns. Entries do not move; a pointer lives until expire drops it. */
struct crier_cgroup *crier_cgroup_get(const struct crier_cgroup_table *table, uint64_t id);
/** Fetch into the cache what crier_cgroup_get of this id will look at first. */
void crier_cgroup_prefetch(const struct crier_cgroup_table *table, uint64_t id);
/** By id in the memory hierarchy (second table). */
struct crier_cgroup *crier_cgroup_get_by_memory(const struct crier_cgroup_table *table, uint64_t memory_id);
/** By path in the primary hierarchy: living ones only; slow path, a second hash. */
struct crier_cgroup *crier_cgroup_get_by_path(const struct crier_cgroup_table *table,
					      struct crier_slice path);

/**
 * Add a known directory. An existing id with another path is id reuse: the old entry is replaced in place (counted); a
 * tombstone added with its own path stays one. Another living entry with this path has gone unseen: it becomes a
 * tombstone. @param path  ptr NULL or longer than CRIER_CGROUP_PATH_MAX = not known
 * @return 0 and the entry (also when it was there); -EINVAL: id 0, -ENOSPC: full of living ones, -ENOMEM
 */
int crier_cgroup_add(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id,
		     struct crier_slice path, struct crier_cgroup **ret_cgroup) crier_must_check;
/** Compose parent's path + "/" + leaf; path stays NULL when the parent's is not known. */
int crier_cgroup_add_child(struct crier_cgroup_table *table, uint64_t id, uint64_t parent_id,
			   struct crier_slice leaf, struct crier_cgroup **ret_cgroup) crier_must_check;
int crier_cgroup_set_memory_id(struct crier_cgroup_table *table, struct crier_cgroup *cgroup,
			       uint64_t memory_id);
/** rmdir seen: kept as a tombstone until expire. */
void crier_cgroup_removed(struct crier_cgroup_table *table, struct crier_cgroup *cgroup, uint64_t now_ns);
/** Forget tombstones older than `age_ns`; `fn` (may be NULL) is told each before it goes. */
typedef void (*crier_cgroup_fn)(void *ctx, struct crier_cgroup *cgroup);
void crier_cgroup_expire(struct crier_cgroup_table *table, uint64_t now_ns, uint64_t age_ns,
			 crier_cgroup_fn fn, void *ctx);
/** In a full table the oldest tombstone gives way to a new entry: `fn` is told before it goes. */
void crier_cgroup_table_on_evict(struct crier_cgroup_table *table, crier_cgroup_fn fn, void *ctx);
/** Every entry, removed ones too, in an order that depends on the calls made alone. `fn` must not add or expire. */
void crier_cgroup_each(const struct crier_cgroup_table *table, crier_cgroup_fn fn, void *ctx);
/** A container's memory goes: no entry may point at it any more. */
void crier_cgroup_unlink_container(struct crier_cgroup_table *table, const struct crier_container *container);
void crier_cgroup_unlink_pod(struct crier_cgroup_table *table, const struct crier_pod *pod);
/** A pod was merged into another (crier_index_on_pod_drop): what pointed at it points there now. `into` NULL: unlink. */
void crier_cgroup_repoint_pod(struct crier_cgroup_table *table, const struct crier_pod *pod,
			      struct crier_pod *into);

struct crier_cgroup_counts {
	uint32_t living, removed;
	uint64_t refused_full, reused, evicted;
};
/** How many there are, and how often the bound was met. O(1). */
void crier_cgroup_table_counts(const struct crier_cgroup_table *table,
			       struct crier_cgroup_counts *ret_counts);

#endif
