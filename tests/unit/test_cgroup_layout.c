/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the kernel about hierarchies, from v1, hybrid and v2 nodes, seen from the node and from inside a container. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "crier/cgroup.h"

#define ID  "3f9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f"
#define POD "11111111-2222-3333-4444-555555555555"

#define NOISE "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:21 / /proc rw - proc proc rw\n"
#define V1_MOUNTS                                                                                            \
	"31 22 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"                                         \
	"32 31 0:29 / /sys/fs/cgroup/systemd rw shared:9 - cgroup cgroup rw,xattr,name=systemd\n"            \
	"33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct\n"              \
	"34 31 0:31 / /sys/fs/cgroup/cpuset rw shared:16 - cgroup cgroup rw,cpuset\n"                        \
	"35 31 0:32 / /sys/fs/cgroup/memory rw shared:17 - cgroup cgroup rw,memory\n"

struct mounts_case {
	const char *name, *text, *host_root;
	struct crier_cgroup_mounts expected;
};

static const struct mounts_case mounts_cases[] = {
	{"none", NOISE, "", {.v2 = ""}},
	{"empty", "", NULL, {.v2 = ""}},
	{"v1", NOISE V1_MOUNTS, "", {.memory = "/sys/fs/cgroup/memory", .cpu = "/sys/fs/cgroup/cpu,cpuacct"}},
	{"hybrid",
	 NOISE V1_MOUNTS "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
	 "",
	 {.v2 = "/sys/fs/cgroup/unified",
	  .memory = "/sys/fs/cgroup/memory",
	  .cpu = "/sys/fs/cgroup/cpu,cpuacct"}},
	{"v2",
	 NOISE
	 "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n",
	 "",
	 {.v2 = "/sys/fs/cgroup"}},
	{"the host's root bound below /host",
	 NOISE "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
	       "90 80 0:26 / /host/sys/fs/cgroup rw master:4 - cgroup2 cgroup2 rw\n",
	 "/host",
	 {.v2 = "/host/sys/fs/cgroup"}},
	{"the same, root with a slash",
	 NOISE "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
	       "90 80 0:26 / /host/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	 "/host/",
	 {.v2 = "/host/sys/fs/cgroup"}},
	{"a name like the host root's is not below it",
	 NOISE "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n"
	       "90 80 0:26 / /hostile/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	 "/host",
	 {.v2 = "/sys/fs/cgroup"}},
	{"a cgroup namespace of its own, the host's mount is wider",
	 NOISE "30 22 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup ro\n"
	       "90 80 0:26 /../../../.. /host/sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	 "",
	 {.v2 = "/host/sys/fs/cgroup", .v2_is_above = true, .v2_namespace = "/sys/fs/cgroup"}},
	{"the same, no mount of its own",
	 NOISE "90 80 0:26 /../../../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	 "",
	 {.v2 = "/sys/fs/cgroup", .v2_is_above = true}},
	{"a container's view without a cgroup namespace",
	 NOISE "30 22 0:32 /kubepods/burstable/pod" POD "/" ID
	       " /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
	       "90 80 0:32 / /host/sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
	 "",
	 {.memory = "/host/sys/fs/cgroup/memory"}},
	{"the shorter of two",
	 NOISE
	 "90 80 0:26 / /var/lib/x/cgroup rw - cgroup2 cgroup2 rw\n30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
	 "",
	 {.v2 = "/sys/fs/cgroup"}},
	{"spaces and backslashes",
	 NOISE "30 22 0:26 / /mnt/my\\040cgroup\\134x rw - cgroup2 cgroup2 rw\n",
	 "",
	 {.v2 = "/mnt/my cgroup\\x"}},
	{"cut lines",
	 "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2\n30\n30 22 0:26 / /a rw shared:1\n- - - - - - - cgroup2\n\n",
	 "",
	 {.v2 = ""}},
	{"memory only as a whole word",
	 NOISE
	 "35 31 0:32 / /a rw - cgroup cgroup rw,name=memory\n35 31 0:32 / /b rw - cgroup cgroup rw,cpuset\n",
	 "",
	 {.v2 = ""}},
};

static void test_mounts(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(mounts_cases); i++) {
		const struct mounts_case *c = &mounts_cases[i];
		struct crier_cgroup_mounts mounts;

		crier_cgroup_mounts_parse(crier_slice_of(c->text), c->host_root, &mounts);
		if (strcmp(mounts.v2, c->expected.v2) != 0 ||
		    strcmp(mounts.memory, c->expected.memory) != 0 ||
		    strcmp(mounts.cpu, c->expected.cpu) != 0 ||
		    mounts.v2_is_above != c->expected.v2_is_above ||
		    mounts.memory_is_above != c->expected.memory_is_above ||
		    strcmp(mounts.v2_namespace, c->expected.v2_namespace) != 0 ||
		    strcmp(mounts.memory_namespace, c->expected.memory_namespace) != 0)
			fail_msg(
				"%s: v2 \"%s\" above %d from \"%s\", memory \"%s\" above %d from \"%s\", cpu \"%s\"",
				c->name, mounts.v2, mounts.v2_is_above, mounts.v2_namespace, mounts.memory,
				mounts.memory_is_above, mounts.memory_namespace, mounts.cpu);
	}
}

/* The longest path that fits, and one byte more. */
static void test_mount_path_bound(void **state)
{
	(void)state;
	for (size_t len = 255; len <= 256; len++) {
		struct crier_cgroup_mounts mounts;
		char path[257] = "/", text[512];

		memset(path + 1, 'x', len - 1);
		path[len] = '\0';
		snprintf(text, sizeof(text), "30 22 0:26 / %s rw - cgroup2 cgroup2 rw\n", path);
		crier_cgroup_mounts_parse(crier_slice_of(text), "", &mounts);
		assert_string_equal(mounts.v2, len == 255 ? path : "");
	}
}

static void test_hierarchy_number(void **state)
{
	static const char v1[] =
		"#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t5\t1\nmemory\t4\t27\t1\n";
	static const struct {
		const char *name, *text, *controller;
		uint32_t expected;
	} cases[] = {
		{"v1", v1, "memory", 4},
		{"another", v1, "cpuset", 3},
		{"not there", v1, "pids", 0},
		{"v2", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t80\t1\n", "memory", 0},
		{"garbage", "memory\tx\t1\n", "memory", 0},
		{"cut", "memory", "memory", 0},
		{"too large", "memory\t99999999999\t1\n", "memory", 0},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++)
		if (crier_cgroup_hierarchy_parse(crier_slice_of(cases[i].text),
						 crier_slice_of(cases[i].controller)) != cases[i].expected)
			fail_msg("%s", cases[i].name);
}

static void test_proc_cgroup(void **state)
{
	static const char hybrid[] = "13:name=systemd:/user.slice\n4:memory:/kubepods/pod" POD "/" ID
				     "\n0::/kubepods/pod" POD "/" ID "\n";
	static const struct {
		const char *name, *text;
		uint32_t hierarchy;
		const char *expected;
	} cases[] = {
		{"v2 of hybrid", hybrid, 0, "/kubepods/pod" POD "/" ID},
		{"v1 of hybrid", hybrid, 4, "/kubepods/pod" POD "/" ID},
		{"named", hybrid, 13, "/user.slice"},
		{"not there", hybrid, 1, NULL},
		{"v2", "0::/init.scope\n", 0, "/init.scope"},
		{"deleted", "0::/kubepods/pod" POD "/" ID " (deleted)\n", 0, "/kubepods/pod" POD "/" ID},
		{"colons in the path", "0::/kubepods-pod1.slice:cri-containerd:" ID "\n", 0,
		 "/kubepods-pod1.slice:cri-containerd:" ID},
		{"above the namespace", "0::/../../init.scope\n", 0, "/../../init.scope"},
		{"no newline", "0::/a", 0, "/a"},
		{"empty", "", 0, NULL},
		{"no path", "0::\n", 0, NULL},
		{"garbage", "x\n0:\n::/a\n-1::/a\n", 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		struct crier_slice path = CRIER_SLICE_NONE;
		bool found =
			crier_proc_cgroup_parse(crier_slice_of(cases[i].text), cases[i].hierarchy, &path);

		if (found != (cases[i].expected != NULL) ||
		    (found && !crier_slice_equal(path, crier_slice_of(cases[i].expected))))
			fail_msg("%s: %.*s", cases[i].name, (int)path.len, path.ptr);
	}
}

#define STAT_REST " 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 1 0 8765432 1000 200 18446744073709551615 1 1\n"

static void test_proc_stat(void **state)
{
	static const struct {
		const char *name, *text;
		int expected;
		uint32_t pid, parent_pid;
		const char *comm;
		uint64_t start;
	} cases[] = {
		{"plain", "42 (sh) S 7 42 42" STAT_REST, 0, 42, 7, "sh", 8765432},
		{"kernel thread", "2 (kthreadd) S 0 0 0" STAT_REST, 0, 2, 0, "kthreadd", 8765432},
		{"name like the rest", "42 (a) R 1 (b) c) S 7 42 42" STAT_REST, 0, 42, 7, "a) R 1 (b) c",
		 8765432},
		{"empty name", "42 () S 7 42 42" STAT_REST, 0, 42, 7, "", 8765432},
		{"newline in the name", "42 (a\nb) S 7 42 42" STAT_REST, 0, 42, 7, "a\nb", 8765432},
		{"cut before the start", "42 (sh) S 7 42 42 0 -1", -EINVAL, 0, 0, NULL, 0},
		{"no name", "42 sh S 7", -EINVAL, 0, 0, NULL, 0},
		{"closed before opened", "42 )sh( S 7 42 42" STAT_REST, -EINVAL, 0, 0, NULL, 0},
		{"no pid", "(sh) S 7 42 42" STAT_REST, -EINVAL, 0, 0, NULL, 0},
		{"parent is no number", "42 (sh) S x 42 42" STAT_REST, -EINVAL, 0, 0, NULL, 0},
		{"empty", "", -EINVAL, 0, 0, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		struct crier_proc_entry entry = {0};
		int r = crier_proc_stat_parse(crier_slice_of(cases[i].text), &entry);

		if (r != cases[i].expected || entry.pid != cases[i].pid ||
		    entry.parent_pid != cases[i].parent_pid || entry.start_ticks != cases[i].start ||
		    !crier_slice_equal(entry.comm, crier_slice_of(cases[i].comm)))
			fail_msg("%s: %d pid %u parent %u", cases[i].name, r, entry.pid, entry.parent_pid);
	}
}

static void test_absolute(void **state)
{
	static const struct {
		const char *name, *root, *path, *expected;
		size_t cap;
	} cases[] = {
		{"no namespace", "/", "/kubepods", "/kubepods", 64},
		{"not known", "", "/../x", "/../x", 64},
		{"itself", "/kubepods/a/b", "/", "/kubepods/a/b", 64},
		{"inside", "/kubepods/a/b", "/sub", "/kubepods/a/b/sub", 64},
		{"sibling", "/kubepods/a/b", "/../c", "/kubepods/a/c", 64},
		{"parent", "/kubepods/a/b", "/..", "/kubepods/a", 64},
		{"from the top", "/kubepods/a/b", "/../../../init.scope", "/init.scope", 64},
		{"the top", "/kubepods/a/b", "/../../..", "/", 64},
		{"above the top", "/kubepods/a/b", "/../../../../x", "/../../../../x", 64},
		{"a name of two dots and more", "/a", "/..x", "/a/..x", 64},
		{"just fits", "/ab", "/cd", "/ab/cd", 6},
		{"does not fit", "/ab", "/cd", "/cd", 5},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		char buf[64];
		struct crier_slice path = crier_cgroup_absolute(cases[i].root, crier_slice_of(cases[i].path),
								buf, cases[i].cap);

		if (!crier_slice_equal(path, crier_slice_of(cases[i].expected)))
			fail_msg("%s: %.*s", cases[i].name, (int)path.len, path.ptr);
	}
}

/* ---- detection and walk over directories that stand for a node's ---- */

struct node {
	char root[64];
};

static void path_of(const struct node *node, const char *path, char *buf, size_t cap)
{
	assert_true(snprintf(buf, cap, "%s%s", node->root, path) < (int)cap);
}

static void make_directory(const struct node *node, const char *path)
{
	char full[512];

	path_of(node, path, full, sizeof(full));
	for (char *slash = full + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
}

static void make_file(const struct node *node, const char *path, const char *text)
{
	char full[512];

	path_of(node, path, full, sizeof(full));
	_cleanup_fclose_ FILE *file = fopen(full, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static int setup_node(void **state)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node)
		return -1;
	snprintf(node->root, sizeof(node->root), "/tmp/crier-cgroup-XXXXXX");
	*state = node;
	return mkdtemp(node->root) ? 0 : -1;
}

static int teardown_node(void **state)
{
	struct node *node = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", node->root);
	(void)!system(command);
	free(node);
	return 0;
}

#define POD_PATH "/kubepods/burstable/pod" POD
#define SCOPE_PATH                                                                                           \
	"/kubepods.slice/kubepods-pod11111111_2222_3333_4444_555555555555.slice/cri-containerd-" ID ".scope"

struct detect_case {
	const char *name;
	bool v1, v2;
	const char *controllers;   /* of v2 */
	const char *in_v1, *in_v2; /* directories made */
	enum crier_cgroup_mode mode;
	bool primary_is_v2, memory_is_v2;
	uint32_t hierarchy;
	const char *driver;
};

static const struct detect_case detect_cases[] = {
	{"v1", true, false, "", POD_PATH "/" ID, NULL, CRIER_CGROUP_MODE_V1, false, false, 4, "cgroupfs"},
	{"v2", false, true, "cpu memory pids\n", NULL, SCOPE_PATH, CRIER_CGROUP_MODE_V2, true, true, 0,
	 "systemd"},
	{"v2, nothing yet", false, true, "memory\n", NULL, NULL, CRIER_CGROUP_MODE_V2, true, true, 0, NULL},
	{"hybrid, both filled", true, true, "", POD_PATH "/" ID, POD_PATH "/" ID, CRIER_CGROUP_MODE_HYBRID,
	 true, false, 0, "cgroupfs"},
	{"hybrid, nothing yet", true, true, "hugetlb\n", NULL, NULL, CRIER_CGROUP_MODE_HYBRID, true, false, 0,
	 NULL},
	{"hybrid, only kubepods yet", true, true, "", "/kubepods/burstable", NULL, CRIER_CGROUP_MODE_HYBRID,
	 true, false, 0, "cgroupfs"},
	{"hybrid, kubepods in both", true, true, "", "/kubepods", "/kubepods", CRIER_CGROUP_MODE_HYBRID, true,
	 false, 0, "cgroupfs"},
	{"hybrid, v2 left empty", true, true, "", POD_PATH "/" ID, NULL, CRIER_CGROUP_MODE_V1, false, false,
	 4, "cgroupfs"},
	{"hybrid, v2 has the pod but not its containers", true, true, "", POD_PATH "/" ID, POD_PATH,
	 CRIER_CGROUP_MODE_V1, false, false, 4, "cgroupfs"},
	{"hybrid, a pod in v1 alone", true, true, "", POD_PATH, NULL, CRIER_CGROUP_MODE_V1, false, false, 4,
	 "cgroupfs"},
	{"hybrid, v2 has the memory controller", true, true, "memory\n", POD_PATH "/" ID, NULL,
	 CRIER_CGROUP_MODE_HYBRID, true, false, 0, "cgroupfs"},
};

static void make_node(const struct node *node, const struct detect_case *c)
{
	char mountinfo[1024];

	make_directory(node, "/proc/self");
	make_directory(node, "/memory");
	make_directory(node, "/unified");
	make_file(node, "/unified/cgroup.controllers", c->controllers);
	make_file(node, "/proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t4\t27\t1\n");
	snprintf(mountinfo, sizeof(mountinfo), "%s%s%s%s%s%s", c->v1 ? "35 31 0:32 / " : "",
		 c->v1 ? node->root : "", c->v1 ? "/memory rw - cgroup cgroup rw,memory\n" : "",
		 c->v2 ? "41 31 0:38 / " : "", c->v2 ? node->root : "",
		 c->v2 ? "/unified rw - cgroup2 cgroup2 rw\n" : "");
	make_file(node, "/proc/self/mountinfo", mountinfo);
	if (c->in_v1) {
		char path[256];

		snprintf(path, sizeof(path), "/memory%s", c->in_v1);
		make_directory(node, path);
	}
	if (c->in_v2) {
		char path[256];

		snprintf(path, sizeof(path), "/unified%s", c->in_v2);
		make_directory(node, path);
	}
}

static void test_detect(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(detect_cases); i++) {
		const struct detect_case *c = &detect_cases[i];
		struct crier_cgroup_layout layout;
		struct crier_err err = {0};
		void *made;

		assert_int_equal(setup_node(&made), 0);
		make_node(made, c);
		int r = crier_cgroup_detect(((struct node *)made)->root, &layout, &err);

		if (r < 0 || layout.mode != c->mode || layout.primary_is_v2 != c->primary_is_v2 ||
		    layout.memory_is_v2 != c->memory_is_v2 || layout.primary_hierarchy_id != c->hierarchy ||
		    (layout.driver ? !c->driver || strcmp(layout.driver, c->driver) != 0
				   : c->driver != NULL) ||
		    strcmp(layout.namespace_root, "/") != 0)
			fail_msg("%s: %d %s, %s, primary v2 %d, hierarchy %u, driver %s, namespace %s",
				 c->name, r, err.message, crier_cgroup_mode_name(layout.mode),
				 layout.primary_is_v2, layout.primary_hierarchy_id,
				 layout.driver ? layout.driver : "-", layout.namespace_root);
		teardown_node(&made);
	}
}

static void test_detect_nothing(void **state)
{
	struct node *node = *state;
	struct crier_cgroup_layout layout = {.primary_hierarchy_id = 77};
	struct crier_err err = {0};

	make_directory(node, "/proc/self");
	make_file(node, "/proc/self/mountinfo", NOISE);
	assert_int_equal(crier_cgroup_detect(node->root, &layout, &err), -ENOENT);
	assert_int_equal(err.code, -ENOENT);
	assert_non_null(strstr(err.message, "/proc/self/mountinfo"));
	assert_non_null(strstr(err.message, "mount the node's /sys/fs/cgroup"));
	assert_int_equal(layout.primary_hierarchy_id, 77);
}

/* crier in a container with a cgroup namespace of its own: where that begins is found by its inode. */
static void test_detect_namespace(void **state)
{
	struct node *node = *state;
	struct crier_cgroup_layout layout;
	struct crier_err err;
	char mountinfo[512];

	make_directory(node, "/unified" POD_PATH "/" ID);
	make_file(node, "/unified/cgroup.controllers", "memory\n");
	make_directory(node, "/proc/self");
	snprintf(
		mountinfo, sizeof(mountinfo),
		"1 2 0:26 /../../../.. %s/unified rw - cgroup2 cgroup2 rw\n1 2 0:26 / %s/unified%s rw - cgroup2 cgroup2 rw\n",
		node->root, node->root, POD_PATH "/" ID);
	make_file(node, "/proc/self/mountinfo", mountinfo);
	assert_int_equal(crier_cgroup_detect(node->root, &layout, &err), 0);
	assert_string_equal(layout.namespace_root, POD_PATH "/" ID);
	assert_true(strlen(layout.primary_root) == strlen(node->root) + strlen("/unified"));
	*strchr(mountinfo, '\n') = '\0';
	make_file(node, "/proc/self/mountinfo", strcat(mountinfo, "\n"));
	assert_int_equal(crier_cgroup_detect(node->root, &layout, &err), 0);
	assert_string_equal(layout.namespace_root, "");
}

struct walked {
	size_t count, stop_after;
	char paths[16][64];
	uint64_t ids[16], parents[16];
};

static bool remember(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	struct walked *walked = ctx;

	assert_true(walked->count < 16);
	assert_true(crier_copy_str(walked->paths[walked->count], sizeof(walked->paths[0]), path));
	walked->ids[walked->count] = id;
	walked->parents[walked->count++] = parent_id;
	return walked->count != walked->stop_after;
}

static const struct walked *walk(const struct node *node, uint32_t max, size_t stop_after, long expected)
{
	static struct walked walked;

	walked = (struct walked){.stop_after = stop_after};
	assert_int_equal(crier_cgroup_walk(node->root, max, remember, &walked), expected);
	assert_int_equal(walked.count, expected);
	return &walked;
}

static void test_walk(void **state)
{
	struct node *node = *state;
	const struct walked *walked;
	char link[128], path[256];
	struct stat status;

	make_directory(node, "/a/b/c");
	make_directory(node, "/d");
	make_file(node, "/a/cgroup.procs", "1\n");
	path_of(node, "/a/loop", link, sizeof(link));
	assert_int_equal(symlink("..", link), 0);
	walked = walk(node, 100, 0, 5);
	assert_string_equal(walked->paths[0], "/");
	assert_int_equal(walked->parents[0], 0);
	for (size_t i = 1; i < walked->count; i++) {
		const char *leaf = strrchr(walked->paths[i], '/');
		size_t parent_len = leaf == walked->paths[i] ? 1 : (size_t)(leaf - walked->paths[i]);
		size_t parent = 0;

		path_of(node, walked->paths[i], path, sizeof(path));
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(walked->ids[i], status.st_ino);
		while (parent < i && (strlen(walked->paths[parent]) != parent_len ||
				      strncmp(walked->paths[parent], walked->paths[i], parent_len) != 0))
			parent++;
		assert_true(parent < i); /* told before its children */
		assert_int_equal(walked->parents[i], walked->ids[parent]);
	}
	walk(node, 3, 0, 3);
	walk(node, 100, 2, 2);
	walk(node, 0, 0, 0);
	assert_int_equal(crier_cgroup_walk("/nonexistent", 10, remember, NULL), -ENOENT);
}

/* Deeper than it has descriptors for: what lies beyond is left out, and nothing leaks. */
static bool count_one(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	(void)path;
	(void)id;
	(void)parent_id;
	++*(size_t *)ctx;
	return true;
}

static void test_walk_deep(void **state)
{
	struct node *node = *state;
	char path[512] = "";
	size_t count = 0;

	for (int i = 0; i < 200; i++)
		strcat(path, "/x");
	make_directory(node, path);

	int before = dup(0);
	assert_int_equal(crier_cgroup_walk(node->root, 1000, count_one, &count), 129);
	assert_int_equal(count, 129);
	close(before);
	int after = dup(0);
	assert_int_equal(before, after);
	close(after);
}

struct scanned {
	size_t count;
	struct crier_proc_entry entry;
	char path[256], comm[32];
};

static bool remember_process(void *ctx, const struct crier_proc_entry *entry)
{
	struct scanned *scanned = ctx;

	if (entry->pid == 42) {
		scanned->entry = *entry;
		crier_copy_str(scanned->path, sizeof(scanned->path), entry->path);
		crier_copy_str(scanned->comm, sizeof(scanned->comm), entry->comm);
	}
	scanned->count++;
	return true;
}

static void test_proc_scan(void **state)
{
	struct node *node = *state;
	struct crier_cgroup_layout layout = {.primary_hierarchy_id = 0, .namespace_root = POD_PATH "/" ID};
	struct scanned scanned = {0};

	make_directory(node, "/proc/42");
	make_file(node, "/proc/42/stat", "42 (java) S 7 42 42" STAT_REST);
	make_file(node, "/proc/42/cgroup", "4:memory:/x\n0::/../../../besteffort/podx\n");
	make_directory(node, "/proc/43"); /* just ended */
	make_directory(node, "/proc/44");
	make_file(node, "/proc/44/stat", "44 (sh) S 7 42 42" STAT_REST);
	make_file(node, "/proc/44/cgroup", "4:memory:/x\n"); /* not in this hierarchy */
	make_directory(node, "/proc/sys");
	assert_int_equal(crier_proc_scan(node->root, &layout, remember_process, &scanned), 1);
	assert_int_equal(scanned.entry.pid, 42);
	assert_int_equal(scanned.entry.parent_pid, 7);
	assert_int_equal(scanned.entry.start_ticks, 8765432);
	assert_string_equal(scanned.path, "/kubepods/besteffort/podx");
	assert_string_equal(scanned.comm, "java");
	layout.primary_hierarchy_id = 4;
	assert_int_equal(crier_proc_scan(node->root, &layout, remember_process, &scanned), 2);
	assert_int_equal(crier_proc_scan("/nonexistent", &layout, remember_process, &scanned), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_mount_path_bound),
		cmocka_unit_test(test_hierarchy_number),
		cmocka_unit_test(test_proc_cgroup),
		cmocka_unit_test(test_proc_stat),
		cmocka_unit_test(test_absolute),
		cmocka_unit_test(test_detect),
		cmocka_unit_test_setup_teardown(test_detect_nothing, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_detect_namespace, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_walk, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_walk_deep, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_proc_scan, setup_node, teardown_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
