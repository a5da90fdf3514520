/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchies this node has, and which of them keys everything. */
#include "crier/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "crier/base/below.h"
#include "read_text.h"

#define MOUNTINFO_MAX	   (8u * 1024 * 1024) /* some 40,000 mounts */
#define PROC_CGROUPS_MAX   (64u * 1024)
#define PROCS_MAX	   (16u * 1024) /* a container with crier in it has a handful */
#define SURVEY_DIRECTORIES 65536u

static const char *const mode_names[CRIER_CGROUP_MODE_COUNT] = {
	[CRIER_CGROUP_MODE_V1] = "v1",
	[CRIER_CGROUP_MODE_HYBRID] = "hybrid",
	[CRIER_CGROUP_MODE_V2] = "v2",
};

const char *crier_cgroup_mode_name(enum crier_cgroup_mode mode)
{
	return mode < CRIER_CGROUP_MODE_COUNT ? mode_names[mode] : "unknown";
}

/* What a walk of one hierarchy showed. */
struct survey {
	uint32_t containers, pods;
	const char *driver;	 /* of containers and pods */
	const char *root_driver; /* of the directory of all pods */
	const char *root;
	uint64_t namespace_id; /* the directory to look for; 0 = none */
	bool look_for_self;    /* the directory that crier itself is in is looked for */
	char namespace_root[512];
};

/* True if crier is a member of the directory: its cgroup.procs has crier's pid, as crier's pid namespace counts. */
static bool holds_self(const char *root, struct crier_slice path)
{
	char name[PATH_MAX], text[PROCS_MAX];
	size_t len;

	if (snprintf(name, sizeof(name), "%s%.*s/cgroup.procs", root, (int)path.len, path.ptr) >=
		    (int)sizeof(name) ||
	    crier_read_text(AT_FDCWD, name, text, sizeof(text) - 1, &len) < 0)
		return false;
	text[len] = '\0';
	for (char *saved, *line = strtok_r(text, "\n", &saved); line; line = strtok_r(NULL, "\n", &saved))
		if (strtol(line, NULL, 10) == getpid())
			return true;
	return false;
}

static bool survey_one(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	struct survey *survey = ctx;
	struct crier_cgroup_facts facts;
	bool is_namespace = survey->namespace_id ? id == survey->namespace_id
						 : survey->look_for_self && holds_self(survey->root, path);

	(void)parent_id;
	if (is_namespace) {
		survey->look_for_self = false;
		if (!crier_copy_str(survey->namespace_root, sizeof(survey->namespace_root), path))
			survey->namespace_root[0] = '\0';
	}
	crier_cgroup_parse(path, &facts);
	switch (facts.kind) {
	case CRIER_CGROUP_KIND_CONTAINER:
		survey->containers++;
		survey->driver = facts.driver;
		break;
	case CRIER_CGROUP_KIND_POD:
		survey->pods++;
		if (!survey->driver)
			survey->driver = facts.driver;
		break;
	case CRIER_CGROUP_KIND_KUBEPODS: survey->root_driver = facts.driver; break;
	default: break;
	}
	return true;
}

/*
 * @param is_above	 the view begins above crier's own cgroup namespace, so that where this begins must be found
 * @param namespace_mount  a mount of the same hierarchy that begins there; "" = none: then crier's own cgroup is looked for
 * @param self_is_root	 crier's own cgroup is the root of its namespace
 */
static void survey_hierarchy(const char *root, bool is_above, const char *namespace_mount, bool self_is_root,
			     struct survey *ret_survey)
{
	struct stat status;

	memset(ret_survey, 0, sizeof(*ret_survey));
	if (!root[0])
		return;
	ret_survey->root = root;
	if (is_above && namespace_mount[0] && stat(namespace_mount, &status) == 0)
		ret_survey->namespace_id = status.st_ino;
	else
		ret_survey->look_for_self = is_above && self_is_root;
	(void)crier_cgroup_walk(root, SURVEY_DIRECTORIES, survey_one, ret_survey);
}

static bool has_memory_controller(const char *v2_root)
{
	char path[PATH_MAX];
	char text[1024];
	size_t len;

	snprintf(path, sizeof(path), "%s/cgroup.controllers", v2_root);
	if (crier_read_text(AT_FDCWD, path, text, sizeof(text) - 1, &len) < 0)
		return false;
	text[len] = '\0';
	for (char *saved, *word = strtok_r(text, " \n", &saved); word; word = strtok_r(NULL, " \n", &saved))
		if (strcmp(word, "memory") == 0)
			return true;
	return false;
}

/* v2 unless the runtime demonstrably keeps its containers, or at least its pods, in v1 alone. */
static bool prefer_v2(const struct crier_cgroup_mounts *mounts, const struct survey *v2,
		      const struct survey *v1)
{
	if (!mounts->v2[0] || !mounts->memory[0])
		return mounts->v2[0] != '\0';
	if (has_memory_controller(mounts->v2))
		return true;
	if (v2->containers || v1->containers)
		return v2->containers > 0;
	return v2->pods > 0 || v1->pods == 0;
}

/* A file of crier's own /proc, as the host's /proc shows it where that knows crier, else as crier's own does. */
static int read_proc(const char *host_root, const char *name, char *path, size_t path_cap, size_t max,
		     char **ret_text, size_t *ret_len)
{
	_cleanup_free_ char *text = malloc(max);
	int r;

	if (!text)
		return -ENOMEM;
	snprintf(path, path_cap, "%s/proc/%s", host_root, name);
	r = crier_below_read_kernel(host_root[0] ? host_root : "/", path, text, max, ret_len);
	if (r < 0 && host_root[0]) {
		snprintf(path, path_cap, "/proc/%s", name);
		r = crier_below_read_kernel("/", path, text, max, ret_len);
	}
	if (r < 0)
		return r;
	*ret_text = take_ptr(text);
	return 0;
}

static uint32_t memory_hierarchy(const char *host_root)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;

	if (read_proc(host_root, "cgroups", path, sizeof(path), PROC_CGROUPS_MAX, &text, &len) < 0)
		return 0;
	return crier_cgroup_hierarchy_parse((struct crier_slice){text, len}, CRIER_SLICE("memory"));
}

static bool self_is_root(const char *host_root, uint32_t hierarchy_id)
{
	_cleanup_free_ char *text = NULL;
	struct crier_slice own;
	char path[PATH_MAX];
	size_t len;

	return read_proc(host_root, "self/cgroup", path, sizeof(path), PROC_CGROUPS_MAX, &text, &len) == 0 &&
	       crier_proc_cgroup_parse((struct crier_slice){text, len}, hierarchy_id, &own) &&
	       crier_slice_equal(own, CRIER_SLICE("/"));
}

/* PROC_CGROUP_INIT_INO, include/linux/proc_ns.h: the first of all. */
static bool is_in_first_namespace(void)
{
	static const char first[] = "cgroup:[4026531835]";
	char own[sizeof(first) + 16];
	ssize_t len = readlink("/proc/self/ns/cgroup", own, sizeof(own));

	return len < 0 || (len == sizeof(first) - 1 && memcmp(own, first, sizeof(first) - 1) == 0);
}

static void set_path(char *dst, size_t cap, const char *path)
{
	(void)crier_copy_str(dst, cap, crier_slice_of(path));
}

static void decide(const char *host_root, const struct crier_cgroup_mounts *mounts,
		   struct crier_cgroup_layout *layout)
{
	struct survey v2, v1;

	uint32_t memory_id = memory_hierarchy(host_root);

	survey_hierarchy(mounts->v2, mounts->v2_is_above, mounts->v2_namespace, self_is_root(host_root, 0),
			 &v2);
	survey_hierarchy(mounts->memory, mounts->memory_is_above, mounts->memory_namespace,
			 self_is_root(host_root, memory_id), &v1);
	layout->primary_is_v2 = prefer_v2(mounts, &v2, &v1);

	const struct survey *primary = layout->primary_is_v2 ? &v2 : &v1;
	const struct survey *other = layout->primary_is_v2 ? &v1 : &v2;
	const char *drivers[] = {primary->driver, other->driver, primary->root_driver, other->root_driver};
	bool is_above = layout->primary_is_v2 ? mounts->v2_is_above : mounts->memory_is_above;
	const char *primary_root = layout->primary_is_v2 ? mounts->v2 : mounts->memory;

	if (!layout->primary_is_v2)
		layout->mode = CRIER_CGROUP_MODE_V1;
	else
		layout->mode = mounts->memory[0] ? CRIER_CGROUP_MODE_HYBRID : CRIER_CGROUP_MODE_V2;
	layout->primary_hierarchy_id = layout->primary_is_v2 ? 0 : memory_id;
	layout->memory_is_v2 = !mounts->memory[0];
	layout->cpu_is_v2 = !mounts->cpu[0];
	set_path(layout->primary_root, sizeof(layout->primary_root), primary_root);
	set_path(layout->memory_root, sizeof(layout->memory_root),
		 layout->memory_is_v2 ? mounts->v2 : mounts->memory);
	set_path(layout->cpu_root, sizeof(layout->cpu_root), layout->cpu_is_v2 ? mounts->v2 : mounts->cpu);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(drivers) && !layout->driver; i++)
		layout->driver = drivers[i];
	set_path(layout->namespace_root, sizeof(layout->namespace_root),
		 is_above ? primary->namespace_root : "/");
	layout->is_own_only = !is_above && !layout->driver && !is_in_first_namespace();
}

int crier_cgroup_detect(const char *host_root, struct crier_cgroup_layout *ret_layout, struct crier_err *err)
{
	const char *root = host_root && strcmp(host_root, "/") != 0 ? host_root : "";
	struct crier_cgroup_layout layout = {0};
	struct crier_cgroup_mounts mounts;
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	size_t len;
	int r;

	r = read_proc(root, "self/mountinfo", path, sizeof(path), MOUNTINFO_MAX, &text, &len);
	if (r < 0)
		return crier_err_set(err, r, "%s: cannot be read: %s; mount proc there, or set --host-root",
				     path, strerror(-r));
	crier_cgroup_mounts_parse((struct crier_slice){text, len}, root, &mounts);
	if (!mounts.v2[0] && !mounts.memory[0])
		return crier_err_set(
			err, -ENOENT,
			"%s: names no cgroup2 mount and no cgroup mount with the memory controller; "
			"mount the node's /sys/fs/cgroup into crier's container below %s/sys/fs/cgroup, or boot "
			"with cgroup_enable=memory where it is disabled",
			path, root);
	decide(root, &mounts, &layout);
	*ret_layout = layout;
	return 0;
}
