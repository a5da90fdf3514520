/* SPDX-License-Identifier: Apache-2.0 */
/* Which hierarchies this node has, and which of them keys everything. */
#include "crier/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "read_text.h"

#define MOUNTINFO_MAX	   (8u * 1024 * 1024) /* some 40,000 mounts */
#define PROC_CGROUPS_MAX   (64u * 1024)
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
	uint64_t namespace_id;	 /* the directory to look for; 0 = none */
	char namespace_root[512];
};

static bool survey_one(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	struct survey *survey = ctx;
	struct crier_cgroup_facts facts;

	(void)parent_id;
	if (survey->namespace_id && id == survey->namespace_id &&
	    !crier_copy_str(survey->namespace_root, sizeof(survey->namespace_root), path))
		survey->namespace_root[0] = '\0';
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

/* @param namespace_mount  a mount of the same hierarchy that begins at crier's own cgroup namespace; "" = none */
static void survey_hierarchy(const char *root, const char *namespace_mount, struct survey *ret_survey)
{
	struct stat status;

	memset(ret_survey, 0, sizeof(*ret_survey));
	if (!root[0])
		return;
	if (namespace_mount[0] && stat(namespace_mount, &status) == 0)
		ret_survey->namespace_id = status.st_ino;
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

static uint32_t memory_hierarchy(const char *host_root)
{
	char path[PATH_MAX];
	_cleanup_free_ char *text = malloc(PROC_CGROUPS_MAX);
	size_t len;

	snprintf(path, sizeof(path), "%s/proc/cgroups", host_root);
	if (!text || crier_read_text(AT_FDCWD, path, text, PROC_CGROUPS_MAX, &len) < 0)
		return 0;
	return crier_cgroup_hierarchy_parse((struct crier_slice){text, len}, CRIER_SLICE("memory"));
}

static void set_path(char *dst, size_t cap, const char *path)
{
	(void)crier_copy_str(dst, cap, crier_slice_of(path));
}

static void decide(const char *host_root, const struct crier_cgroup_mounts *mounts,
		   struct crier_cgroup_layout *layout)
{
	struct survey v2, v1;

	survey_hierarchy(mounts->v2, mounts->v2_namespace, &v2);
	survey_hierarchy(mounts->memory, mounts->memory_namespace, &v1);
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
	layout->primary_hierarchy_id = layout->primary_is_v2 ? 0 : memory_hierarchy(host_root);
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
}

static int read_mountinfo(const char *host_root, char *path, size_t path_cap, char **ret_text,
			  size_t *ret_len)
{
	_cleanup_free_ char *text = malloc(MOUNTINFO_MAX);
	int r;

	if (!text)
		return -ENOMEM;
	snprintf(path, path_cap, "%s/proc/self/mountinfo", host_root);
	r = crier_read_text(AT_FDCWD, path, text, MOUNTINFO_MAX, ret_len);
	if (r < 0 && host_root[0]) { /* the host's /proc is of a pid namespace that crier is not in */
		snprintf(path, path_cap, "/proc/self/mountinfo");
		r = crier_read_text(AT_FDCWD, path, text, MOUNTINFO_MAX, ret_len);
	}
	if (r < 0)
		return r;
	*ret_text = take_ptr(text);
	return 0;
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

	r = read_mountinfo(root, path, sizeof(path), &text, &len);
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
