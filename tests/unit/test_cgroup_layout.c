/* SPDX-License-Identifier: Apache-2.0 */
/* Detection, walk and scan over directories that stand for a node's: v1, hybrid, v2, with and without a namespace. */
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

#define ID	  "3f9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f"
#define POD	  "11111111-2222-3333-4444-555555555555"
#define STAT_REST " 0 -1 4194560 100 0 0 0 1 2 3 4 20 0 1 0 8765432 1000 200 18446744073709551615 1 1\n"
#define NOISE	  "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n23 22 0:21 / /proc rw - proc proc rw\n"

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

	/* No mount begins there: then it is the directory that the test itself is a member of. */
	char procs[32];

	*strchr(mountinfo, '\n') = '\0';
	make_file(node, "/proc/self/mountinfo", strcat(mountinfo, "\n"));
	make_file(node, "/proc/self/cgroup", "0::/\n");
	assert_int_equal(crier_cgroup_detect(node->root, &layout, &err), 0);
	assert_string_equal(layout.namespace_root, "");
	snprintf(procs, sizeof(procs), "1\n%d\n4294967\n", (int)getpid());
	make_file(node, "/unified" POD_PATH "/" ID "/cgroup.procs", procs);
	assert_int_equal(crier_cgroup_detect(node->root, &layout, &err), 0);
	assert_string_equal(layout.namespace_root, POD_PATH "/" ID);
	make_file(node, "/proc/self/cgroup",
		  "0::/below\n"); /* moved since: its own directory is not the root */
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
		cmocka_unit_test(test_detect),
		cmocka_unit_test_setup_teardown(test_detect_nothing, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_detect_namespace, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_walk, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_walk_deep, setup_node, teardown_node),
		cmocka_unit_test_setup_teardown(test_proc_scan, setup_node, teardown_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
