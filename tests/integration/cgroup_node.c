/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup module on the node it runs on: detect, walk, prove, scan. Makes directories of its own below the primary
 * hierarchy and a process in them, and removes both. Prints "ok", "not ok" and "skip" lines; exit 1 if one is not ok.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "crier/cgroup.h"

#define ID  "3f9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f"
#define POD "11111111-2222-3333-4444-555555555555"

#define V1_MAGIC 0x27e0eb
#define V2_MAGIC 0x63677270

struct node {
	struct crier_cgroup_layout layout;
	char parts[5][512]; /* directories made, from the top */
	size_t made;
	pid_t child;
	bool failed;
};

static bool check(struct node *node, const char *name, bool right, const char *reason)
{
	if (right)
		printf("ok %s\n", name);
	else
		printf("not ok %s: %s\n", name, reason);
	node->failed |= !right;
	return right;
}

static bool is_cgroup_root(const char *path, bool is_v2)
{
	struct statfs fs;
	struct stat status;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == (is_v2 ? V2_MAGIC : V1_MAGIC) &&
	       stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool check_detect(struct node *node)
{
	const struct crier_cgroup_layout *layout = &node->layout;
	struct crier_err err = {.message = ""};

	if (!check(node, "detect", crier_cgroup_detect("", &node->layout, &err) == 0, err.message))
		return false;
	fprintf(stderr, "mode %s, driver %s, primary %s (hierarchy %u), memory %s, cpu %s, namespace %s\n",
		crier_cgroup_mode_name(layout->mode), layout->driver ? layout->driver : "-",
		layout->primary_root, layout->primary_hierarchy_id, layout->memory_root, layout->cpu_root,
		layout->namespace_root);
	check(node, "detect/primary", is_cgroup_root(layout->primary_root, layout->primary_is_v2),
	      layout->primary_root);
	check(node, "detect/memory", is_cgroup_root(layout->memory_root, layout->memory_is_v2),
	      layout->memory_root);
	check(node, "detect/hierarchy", layout->primary_is_v2 == (layout->primary_hierarchy_id == 0),
	      "v2 has number 0, and no other has");
	return true;
}

static bool make_directories(struct node *node)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/crier-test-%d", node->layout.primary_root, (int)getpid());
	static const char *const leaves[] = {"", "/kubepods", "/burstable", "/pod" POD, "/" ID};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(leaves); i++) {
		strncat(path, leaves[i], sizeof(path) - strlen(path) - 1);
		if (mkdir(path, 0755) < 0)
			return false;
		memcpy(node->parts[node->made++], path, sizeof(path));
	}
	return true;
}

static bool write_text(const char *directory, const char *name, const char *text)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

static bool start_child(struct node *node)
{
	char text[32];

	node->child = fork();
	if (node->child == 0) {
		pause();
		_exit(0);
	}
	snprintf(text, sizeof(text), "%d\n", (int)node->child);
	return node->child > 0 && write_text(node->parts[node->made - 1], "cgroup.procs", text);
}

static void clean_up(struct node *node)
{
	if (node->child > 0) {
		kill(node->child, SIGKILL);
		waitpid(node->child, NULL, 0);
	}
	/* A dead process leaves its cgroup a moment after it was reaped. */
	for (int attempt = 0; node->made > 0 && attempt < 200; attempt++) {
		while (node->made > 0 && rmdir(node->parts[node->made - 1]) == 0)
			node->made--;
		if (node->made > 0)
			usleep(10000);
	}
	check(node, "clean up", node->made == 0, node->made ? node->parts[node->made - 1] : "");
}

struct found {
	const struct node *node;
	const char *path; /* looked for */
	uint64_t id, parent_id, root_id;
	struct crier_proc_entry process;
	bool is_there, path_right;
};

static bool see_directory(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	struct found *found = ctx;

	if (crier_slice_equal(path, CRIER_SLICE("/")))
		found->root_id = id;
	if (crier_slice_equal(path, crier_slice_of(found->path))) {
		found->is_there = true;
		found->id = id;
		found->parent_id = parent_id;
	}
	return true;
}

static uint64_t inode_of(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 ? status.st_ino : 0;
}

static void check_walk(struct node *node, const char *path)
{
	struct found found = {.path = path};
	long told = crier_cgroup_walk(node->layout.primary_root, 65536, see_directory, &found);
	struct crier_cgroup_facts facts;

	check(node, "walk", told >= 6, told < 0 ? strerror((int)-told) : "fewer directories than were made");
	check(node, "walk/root", found.root_id != 0 && found.root_id == inode_of(node->layout.primary_root),
	      "the root's id is not its inode");
	check(node, "walk/container", found.is_there, "the container's directory was not told");
	check(node, "walk/id", found.id == inode_of(node->parts[4]), "an id is not the inode");
	check(node, "walk/parent", found.parent_id == inode_of(node->parts[3]),
	      "a parent's id is not its inode");
	crier_cgroup_parse(crier_slice_of(path), &facts);
	check(node, "walk/parsed",
	      facts.kind == CRIER_CGROUP_KIND_CONTAINER && facts.qos == CRIER_QOS_BURSTABLE &&
		      crier_slice_equal(facts.pod_uid, CRIER_SLICE(POD)) &&
		      crier_slice_equal(facts.container_id, CRIER_SLICE(ID)),
	      path);
	check(node, "walk/bounded",
	      crier_cgroup_walk(node->layout.primary_root, 2, see_directory, &found) == 2,
	      "more directories than allowed");
}

static void check_prove(struct node *node, const char *path)
{
	uint64_t inode = 0, id = 0;
	int r = crier_cgroup_prove(&node->layout, crier_slice_of(path), &inode, &id);
	char reason[128];

	snprintf(reason, sizeof(reason), "%s: inode %llu, id %llu", strerror(-r), (unsigned long long)inode,
		 (unsigned long long)id);
	check(node, "prove", r == 0 && inode == id && inode == inode_of(node->parts[4]), reason);
	check(node, "prove/absent",
	      crier_cgroup_prove(&node->layout, CRIER_SLICE("/no-such"), &inode, &id) == -ENOENT,
	      "an absent directory is not told as such");
	check(node, "prove/above",
	      crier_cgroup_prove(&node->layout, CRIER_SLICE("/../.."), &inode, &id) == -EINVAL,
	      "a path out of the hierarchy was followed");
}

/* By the id alone, in whichever hierarchy; a directory that is gone leads nowhere. */
static void check_handle(struct node *node, const char *root, const char *directory, const char *name)
{
	char path[CRIER_CGROUP_PATH_MAX], gone[600], reason[200];
	uint64_t gone_id;
	size_t len = 0;
	int r = crier_cgroup_path_of(root, inode_of(directory), path, sizeof(path), &len);

	if (r == -EPERM) {
		printf("skip handle/%s: CAP_DAC_READ_SEARCH is not held\n", name);
		return;
	}
	snprintf(reason, sizeof(reason), "%s: %.*s", strerror(-r), (int)crier_min(len, (size_t)150), path);
	check(node, name,
	      r == 0 && crier_slice_equal((struct crier_slice){path, len},
					  crier_slice_of(directory + strlen(root))),
	      reason);
	r = crier_cgroup_path_of(root, inode_of(root), path, sizeof(path), &len);
	check(node, "handle/root",
	      r == 0 && crier_slice_equal((struct crier_slice){path, len}, CRIER_SLICE("/")),
	      "the root's path is not /");
	snprintf(gone, sizeof(gone), "%s/gone", directory);
	if (mkdir(gone, 0755) < 0)
		return;
	gone_id = inode_of(gone);
	rmdir(gone);
	r = crier_cgroup_path_of(root, gone_id, path, sizeof(path), &len);
	check(node, "handle/gone", r == -ESTALE, strerror(-r));
	check(node, "handle/short", crier_cgroup_path_of(root, inode_of(directory), path, 4, &len) == -ERANGE,
	      "a path that does not fit was told");
	check(node, "handle/no root",
	      crier_cgroup_path_of("/no-such", 1, path, sizeof(path), &len) == -ENOENT,
	      "a root that is not there");
}

/* Ids of cgroups are never given twice (kernfs counts up, 64 bits): a new directory is never taken for an old one. */
static void check_no_id_twice(struct node *node, const char *directory)
{
	uint64_t last = inode_of(directory);
	char path[600];

	snprintf(path, sizeof(path), "%s/again", directory);
	for (int i = 0; i < 3000; i++) {
		if (mkdir(path, 0755) < 0)
			return;
		uint64_t id = inode_of(path);

		rmdir(path);
		if (id <= last) {
			check(node, "ids/never twice", false, "an id came back");
			return;
		}
		last = id;
	}
	check(node, "ids/never twice", true, "");
}

static void check_ids_of_v1(struct node *node)
{
	char path[512];

	if (node->layout.memory_is_v2)
		return;
	snprintf(path, sizeof(path), "%s/crier-test-%d", node->layout.memory_root, (int)getpid());
	if (mkdir(path, 0755) < 0)
		return;
	check_handle(node, node->layout.memory_root, path, "handle/v1");
	check_no_id_twice(node, path);
	rmdir(path);
}

static bool see_process(void *ctx, const struct crier_proc_entry *entry)
{
	struct found *found = ctx;

	if (entry->pid != (uint32_t)found->node->child)
		return true;
	found->is_there = true;
	found->process = *entry;
	found->path_right = crier_slice_equal(entry->path, crier_slice_of(found->path));
	return false;
}

static void check_scan(struct node *node, const char *path)
{
	struct found found = {.node = node, .path = path};
	long told = crier_proc_scan("", &node->layout, see_process, &found);

	check(node, "scan", told > 0, told < 0 ? strerror((int)-told) : "no process");
	check(node, "scan/process", found.is_there, "the process was not told");
	check(node, "scan/path", found.path_right, "its cgroup is not where it was put");
	check(node, "scan/parent", found.process.parent_pid == (uint32_t)getpid(), "its parent is another");
	check(node, "scan/start", found.process.start_ticks > 0, "no start");
}

int main(void)
{
	struct node node = {.child = 0};

	if (!check_detect(&node))
		return 1;
	if (!make_directories(&node)) {
		printf("skip walk, prove, scan: %s: no directory can be made: %s\n", node.layout.primary_root,
		       strerror(errno));
	} else {
		const char *path = node.parts[4] + strlen(node.layout.primary_root);

		check_walk(&node, path);
		check_prove(&node, path);
		check_handle(&node, node.layout.primary_root, node.parts[4], "handle");
		check_no_id_twice(&node, node.parts[4]);
		check_ids_of_v1(&node);
		if (check(&node, "move a process", start_child(&node), strerror(errno)))
			check_scan(&node, path);
	}
	clean_up(&node);
	return node.failed;
}
