/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the kernel about hierarchies, from v1, hybrid and v2 nodes, seen from the node and from inside a container. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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

static void test_proc_state(void **state)
{
	struct crier_proc_entry entry = {0};

	(void)state;
	assert_int_equal(crier_proc_stat_parse(CRIER_SLICE("42 (a) Z) Z 7 42 42" STAT_REST), &entry), 0);
	assert_int_equal(entry.state, 'Z');
}

static void test_proc_nspid(void **state)
{
	static const struct {
		const char *text;
		unsigned count;
		uint64_t innermost;
	} cases[] = {
		{"Name:\tsh\nNStgid:\t7\t3\nNSpid:\t31874\t12\t1\nNSpgid:\t5\n", 3, 1},
		{"NSpid:\t31874\n", 1, 31874},
		{"NSpid:\t31874\tx\t1\n", 1, 31874},
		{"NSpid:", 0, 0},
		{"Name:\tNSpid:\t1\n", 0, 0},
		{"", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(cases); i++) {
		uint64_t innermost = 0;

		assert_int_equal(crier_proc_nspid_parse(crier_slice_of(cases[i].text), &innermost),
				 cases[i].count);
		assert_int_equal(innermost, cases[i].innermost);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mounts),		 cmocka_unit_test(test_mount_path_bound),
		cmocka_unit_test(test_hierarchy_number), cmocka_unit_test(test_proc_cgroup),
		cmocka_unit_test(test_proc_stat),	 cmocka_unit_test(test_proc_state),
		cmocka_unit_test(test_proc_nspid),	 cmocka_unit_test(test_absolute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
