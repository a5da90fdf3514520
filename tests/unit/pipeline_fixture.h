/* SPDX-License-Identifier: Apache-2.0 */
/* A pipeline on a node made of a table: records, mails and files go in, parsed lines come out. */
#ifndef CRIER_PIPELINE_FIXTURE_H
#define CRIER_PIPELINE_FIXTURE_H

#include "test.h"

#include <jansson.h>
#include <stdio.h>

#include "crier/pipeline.h"

#define S  1000000000ULL
#define MS 1000000ULL

#define POD_UID "11111111-2222-3333-4444-555555555555"
#define ID_A	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID_B	"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SANDBOX "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define POD_DIR "/kubepods/burstable/pod" POD_UID

/* Cgroup ids of the node: root, host service, kubepods, burstable, pod. */
enum { CG_ROOT = 1, CG_HOST = 2, CG_KUBEPODS = 3, CG_BURSTABLE = 4, CG_POD = 5, CG_A = 100, CG_B = 200 };

struct file {
	char path[512];
	char text[20000];
};

struct node {
	struct crier_config config;
	struct crier_start start;
	struct crier_pipeline *pipeline;
	struct file files[64];
	size_t file_count;
	json_t *lines[4096];
	size_t line_count;
	char asked[256][CRIER_ID_MAX];
	size_t asked_count, urgent_count;
	size_t classified, inits_added, scans;
	uint64_t init_starts[65536]; /* the kernel's map of inits: start + 1 by pid */
	size_t inits;
	bool runs_already; /* container A is there before crier */
	bool is_starting;  /* node_ready() is called by the test */
	bool memory_is_v1; /* at /mem, apart from the cgroups that are told */
	uint64_t now_ns;
};

static int node_read(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	struct node *node = ctx;

	for (size_t i = node->file_count; i-- > 0;) {
		size_t len = strlen(node->files[i].text);

		if (strcmp(node->files[i].path, path) != 0 || len > cap)
			continue;
		memcpy(buf, node->files[i].text, len);
		*ret_len = len;
		return 0;
	}
	return -ENOENT;
}

/* A file below a folder has the name of its whole path here. */
static int node_file_at(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
			size_t cap, size_t *ret_len)
{
	char path[512], text[20000];
	size_t len = 0;
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = node_read(ctx, path, text, sizeof(text), &len);
	if (r == 0 && len > 1 && text[0] == '!') { /* "!-27": this look-up fails with -EFBIG */
		text[crier_min(len, sizeof(text) - 1)] = '\0';
		return (int)strtol(text + 1, NULL, 10);
	}
	if (r == 0 && form != CRIER_BUNDLE_PLAIN)
		return crier_bundle_keep(form, text, len, buf, cap, ret_len);
	if (r == 0 && len > cap)
		return -EFBIG;
	if (r == 0)
		memcpy(buf, text, len);
	*ret_len = len;
	return r;
}

static int node_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	return node_file_at(ctx, dir, name, CRIER_BUNDLE_PLAIN, buf, cap, ret_len);
}

/* A folder is there when it has a file, or one of the name "DIR/". */
static int node_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	struct node *node = ctx;
	size_t dir_len = strlen(dir), found = 0;
	bool there = false;

	node->scans++;
	for (size_t i = 0; i < node->file_count; i++) {
		const char *path = node->files[i].path;
		struct crier_slice name = {path + dir_len + 1, strcspn(path + dir_len + 1, "/")};

		if (strncmp(path, dir, dir_len) != 0 || path[dir_len] != '/')
			continue;
		there = true;
		if (!crier_slice_ends(name, suffix) || name.len == suffix.len ||
		    (found == name.len && memcmp(buf, name.ptr, found) == 0))
			continue;
		if (found)
			return -ENOTUNIQ;
		assert_true(name.len <= cap);
		memcpy(buf, name.ptr, name.len);
		found = name.len;
	}
	*ret_len = found;
	return there ? 0 : -ENOENT;
}

static int node_inode(void *ctx, const char *path, uint64_t *ret_inode)
{
	char text[32];
	size_t len;
	int r = node_read(ctx, path, text, sizeof(text), &len);

	return r < 0 ? r : crier_parse_u64((struct crier_slice){text, len}, ret_inode);
}

static int node_cgroup_path(void *ctx, const char *root, uint64_t id, char *buf, size_t cap, size_t *ret_len)
{
	char name[288];

	snprintf(name, sizeof(name), "%s:%llu", root, (unsigned long long)id);
	return node_read(ctx, name, buf, cap, ret_len);
}

static void node_ask(void *ctx, enum crier_cri_question question, struct crier_slice id, bool urgent)
{
	struct node *node = ctx;

	(void)question;
	node->urgent_count += urgent;
	if (node->asked_count < CRIER_ARRAY_SIZE(node->asked))
		crier_copy_str(node->asked[node->asked_count++], CRIER_ID_MAX, id);
}

static void node_reconcile(void *ctx)
{
	(void)ctx;
}

static void node_classify(void *ctx, uint64_t id, enum crier_wire_cgroup_class cgroup_class)
{
	struct node *node = ctx;

	(void)id, (void)cgroup_class;
	node->classified++;
}

static void node_forget(void *ctx, uint64_t id)
{
	(void)ctx, (void)id;
}

/* As crier_probe_init_add and _remove do. */
static void node_init_pid(void *ctx, uint32_t pid, uint64_t start_ns, bool add)
{
	struct node *node = ctx;
	uint64_t *slot = &node->init_starts[pid % CRIER_ARRAY_SIZE(node->init_starts)];

	node->inits_added += add;
	if (add) {
		node->inits += *slot == 0;
		*slot = start_ns + 1;
	} else if (*slot && (start_ns == 0 || *slot == 1 || *slot == start_ns + 1)) {
		node->inits--;
		*slot = 0;
	}
}

static void node_watch(void *ctx, uint64_t id, const char *path, bool on)
{
	(void)ctx, (void)id, (void)path, (void)on;
}

static void node_line(void *ctx, const char *line, size_t len, bool urgent)
{
	struct node *node = ctx;
	json_t *parsed = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

	(void)urgent;
	assert_non_null(parsed);
	assert_int_equal(line[len - 1], '\n');
	assert_true(node->line_count < CRIER_ARRAY_SIZE(node->lines));
	node->lines[node->line_count++] = parsed;
}

/* ---- reading lines ---- */

/* "data.limit.level" of a line; NULL when absent. */
static inline json_t *at(json_t *line, const char *path)
{
	char copy[128];
	char *rest = copy;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *key; line && (key = strsep(&rest, "."));) {
		char *end;
		long index = strtol(key, &end, 10);

		line = *key && !*end ? json_array_get(line, (size_t)index) : json_object_get(line, key);
	}
	return line;
}

static inline const char *text_at(json_t *line, const char *path)
{
	const char *text = json_string_value(at(line, path));

	return text ? text : "(absent)";
}

static inline json_int_t int_at(json_t *line, const char *path)
{
	json_t *value = at(line, path);

	return json_is_integer(value)	? json_integer_value(value)
	       : json_is_boolean(value) ? json_is_true(value)
					: -999;
}

static inline size_t count_of(struct node *node, const char *type)
{
	size_t count = 0;

	for (size_t i = 0; i < node->line_count; i++)
		count += strcmp(text_at(node->lines[i], "type"), type) == 0;
	return count;
}

static inline bool is_unnamed(json_t *line)
{
	const char *status = text_at(line, "attribution.status");

	return strcmp(status, "partial") == 0 || strcmp(status, "none") == 0;
}

/* What docs/events.md tells an engine to do: how many lines one container.resolved mends. */
static inline size_t mended_by(struct node *node, json_t *resolved)
{
	const char *cgroup = text_at(resolved, "data.mends.cgroup_id");
	const char *container = text_at(resolved, "data.mends.container_id");
	size_t count = 0;

	for (size_t i = 0; i < node->line_count; i++) {
		json_t *line = node->lines[i], *id = at(line, "container.id");

		count += is_unnamed(line) && int_at(line, "seq") >= int_at(resolved, "data.mends.from_seq") &&
			 int_at(line, "seq") <= int_at(resolved, "data.mends.to_seq") &&
			 (strcmp(text_at(line, "cgroup.id"), cgroup) == 0 ||
			  (id && strcmp(json_string_value(id), container) == 0));
	}
	return count;
}

/* The n-th line of a type, counted from 0; fails the test when there is none. */
static inline json_t *line_of(struct node *node, const char *type, size_t n)
{
	for (size_t i = 0; i < node->line_count; i++)
		if (strcmp(text_at(node->lines[i], "type"), type) == 0 && n-- == 0)
			return node->lines[i];
	fail_msg("no line of type %s (of %zu lines)", type, node->line_count);
	return NULL;
}

/* ---- feeding ---- */

static inline void node_file(struct node *node, const char *path, const char *text)
{
	struct file *file = &node->files[node->file_count++];

	assert_true(node->file_count <= CRIER_ARRAY_SIZE(node->files));
	snprintf(file->path, sizeof(file->path), "%s", path);
	snprintf(file->text, sizeof(file->text), "%s", text);
}

/* The OCI bundle of a container, as the runtime would name it too. */
static inline void node_bundle(struct node *node, const char *id)
{
	char path[256];

	snprintf(path, sizeof(path), "/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json",
		 id);
	node_file(
		node, path,
		"{\"annotations\":{\"io.kubernetes.cri.container-type\":\"container\","
		"\"io.kubernetes.cri.container-name\":\"app\",\"io.kubernetes.cri.sandbox-id\":\"" SANDBOX
		"\","
		"\"io.kubernetes.cri.sandbox-name\":\"cart-7d9f8b6c5-x2x4k\",\"io.kubernetes.cri.sandbox-namespace\":\"shop\","
		"\"io.kubernetes.cri.sandbox-uid\":\"" POD_UID "\"}}");
}

static inline void tick(struct node *node, uint64_t now_ns)
{
	node->now_ns = now_ns;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_TICK, now_ns, NULL, 0);
}

/* Let time pass the way the loop does: a tick at every deadline. */
static inline void run_until(struct node *node, uint64_t now_ns)
{
	for (int i = 0; i < 10000; i++) {
		uint64_t due = crier_pipeline_deadline(node->pipeline);

		if (due > now_ns)
			break;
		tick(node, crier_max(due, node->now_ns));
	}
	node->now_ns = now_ns;
}

static inline void feed_record(struct node *node, uint8_t type, enum crier_wire_class ring,
			       uint64_t cgroup_id, void *record, size_t len)
{
	struct crier_wire_header *header = record;

	*header = (struct crier_wire_header){
		.length = (uint16_t)len,
		.version = CRIER_WIRE_VERSION,
		.type = type,
		.ring = (uint8_t)ring,
		.hook = CRIER_HOOK_TP_BTF_EXEC,
		.boottime_ns = node->now_ns,
		.cgroup_id = cgroup_id,
	};
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_RECORD, node->now_ns, record, len);
}

static inline struct crier_wire_task task(uint32_t pid, uint64_t start_ns, uint64_t cgroup_id,
					  const char *comm)
{
	struct crier_wire_task t = {
		.start_boottime_ns = start_ns,
		.cgroup_id = cgroup_id,
		.pid = pid,
		.tid = pid,
		.vpid = pid,
		.parent_pid = 1,
		.flags = CRIER_TASK_VALID,
	};

	memcpy(t.comm, comm, strnlen(comm, sizeof(t.comm)));
	return t;
}

static inline void feed_cgroup_dir(struct node *node, uint64_t id, uint64_t parent, const char *path)
{
	struct {
		struct crier_input_cgroup input;
		char path[512];
	} frame = {.input = {id, parent}};

	snprintf(frame.path, sizeof(frame.path), "%s", path);
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_CGROUP, node->now_ns, &frame,
			    sizeof(frame.input) + strlen(path));
}

static inline void feed_mkdir(struct node *node, uint64_t id, uint64_t parent, const char *leaf)
{
	struct {
		struct crier_wire_cgroup_mkdir mkdir;
		char leaf[256];
	} r = {.mkdir = {.parent_id = parent}};
	size_t len = strlen(leaf);

	memcpy(r.leaf, leaf, len);
	r.mkdir.name.offset = sizeof(r.mkdir);
	r.mkdir.name.length = (uint16_t)len;
	feed_record(node, CRIER_WIRE_CGROUP_MKDIR, CRIER_CLASS_CRITICAL, id, &r,
		    (sizeof(r.mkdir) + len + 7) & ~7UL);
}

static inline void feed_rmdir(struct node *node, uint64_t id)
{
	struct crier_wire_cgroup_rmdir r = {0};

	feed_record(node, CRIER_WIRE_CGROUP_RMDIR, CRIER_CLASS_CRITICAL, id, &r, sizeof(r));
}

static inline void feed_populated(struct node *node, uint64_t id, uint32_t populated)
{
	struct crier_wire_cgroup_populated r = {.populated = populated};

	feed_record(node, CRIER_WIRE_CGROUP_POPULATED, CRIER_CLASS_CRITICAL, id, &r, sizeof(r));
}

static inline void feed_exec(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			     const char *filename)
{
	struct {
		struct crier_wire_exec exec;
		char name[256];
	} r = {.exec = {.task = task(pid, start_ns, cgroup, "prog"), .args_count = 1}};
	size_t len = strlen(filename);

	memcpy(r.name, filename, len);
	r.exec.filename.offset = sizeof(r.exec);
	r.exec.filename.length = (uint16_t)len;
	feed_record(node, CRIER_WIRE_EXEC, CRIER_CLASS_BULK, cgroup, &r, (sizeof(r.exec) + len + 7) & ~7UL);
}

static inline void feed_exit(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			     uint32_t status, uint32_t flags)
{
	struct crier_wire_exit r = {
		.task = task(pid, start_ns, cgroup, "prog"), .status = status, .flags = flags};

	feed_record(node, CRIER_WIRE_EXIT, CRIER_CLASS_CRITICAL, cgroup, &r, sizeof(r));
}

static inline void feed_signal(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			       uint32_t signal, uint32_t flags, uint64_t sender_cgroup)
{
	struct crier_wire_signal r = {
		.target = task(pid, start_ns, cgroup, "prog"), .signal = signal, .flags = flags};

	if (flags & CRIER_SIGNAL_FROM_PROCESS)
		r.sender = task(7, 7, sender_cgroup, "containerd-shim");
	feed_record(node, CRIER_WIRE_SIGNAL, CRIER_CLASS_CRITICAL, cgroup, &r, sizeof(r));
}

static inline void feed_seed(struct node *node, uint64_t cgroup, uint32_t pid, uint64_t start_ns,
			     uint32_t flags)
{
	struct crier_wire_seed seed = {.task = task(pid, start_ns, cgroup, "prog")};

	seed.task.flags |= flags;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_SEED, node->now_ns, &seed, sizeof(seed));
}

#include "pipeline_mail.h"

#define OOM_PID 31874

static inline struct crier_wire_oom oom_of(uint64_t cgroup)
{
	return (struct crier_wire_oom){
		.victim = task(OOM_PID, 1000 * S, cgroup, "java"),
		.trigger = task(OOM_PID, 1000 * S, cgroup, "java"),
		.anon_pages = 16000,
		.page_size = 4096,
		.level_count = 3,
		.levels = {{.cgroup_id = cgroup,
			    .usage_pages = 16384,
			    .max_pages = 16384,
			    .flags = CRIER_OOM_LEVEL_DELTA_KNOWN},
			   {.cgroup_id = CG_POD,
			    .usage_pages = 16384,
			    .max_pages = 16384,
			    .flags = CRIER_OOM_LEVEL_DELTA_KNOWN},
			   {.cgroup_id = CG_ROOT,
			    .max_pages = ~0ULL >> 12,
			    .flags = CRIER_OOM_LEVEL_DELTA_KNOWN}},
	};
}

static inline void feed_oom(struct node *node, uint64_t cgroup, struct crier_wire_oom *oom)
{
	feed_record(node, CRIER_WIRE_OOM, CRIER_CLASS_CRITICAL, cgroup, oom, sizeof(*oom));
}

/* ---- the sink ---- */

static inline void feed_room(struct node *node, uint64_t room)
{
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_ROOM, node->now_ns, &room, sizeof(room));
}

/* ---- making ---- */

static inline void node_ready(struct node *node)
{
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_READY, node->now_ns, "{}", 2);
}

static inline void node_start(struct node *node, bool cri)
{
	const struct crier_host host = {
		.ctx = node,
		.read = node_read,
		.inode = node_inode,
		.cgroup_path = node_cgroup_path,
		.file = node_file_at,
		.link = node_link,
		.find = node_find,
		.ask = node_ask,
		.reconcile = node_reconcile,
		.classify = node_classify,
		.forget = node_forget,
		.init_pid = node_init_pid,
		.watch_pressure = node_watch,
		.line = node_line,
	};
	struct crier_err err = {0};

	node->now_ns = node->start.boottime_ns = 1000 * S;
	node->start.unix_offset_ns = 1700000000ULL * S;
	node->start.page_size = 4096;
	memcpy(node->start.instance, "3b1d9c20", 9);
	memcpy(node->start.boot, "5f0c6a1e", 9);
	node->start.layout.mode = CRIER_CGROUP_MODE_V2;
	node->start.layout.primary_is_v2 = node->start.layout.cpu_is_v2 = true;
	node->start.layout.memory_is_v2 = !node->memory_is_v1;
	strcpy(node->start.layout.primary_root, "/cg");
	strcpy(node->start.layout.memory_root, node->memory_is_v1 ? "/mem" : "/cg");
	strcpy(node->start.layout.cpu_root, "/cg");
	if (cri)
		strcpy(node->start.cri_socket, "/run/fake.sock");
	if (crier_pipeline_new(&node->config, &node->start, &host, &node->pipeline, &err) < 0)
		fail_msg("%s", err.message);
	feed_cgroup_dir(node, CG_ROOT, 0, "/");
	feed_cgroup_dir(node, CG_HOST, CG_ROOT, "/system.slice");
	feed_cgroup_dir(node, CG_KUBEPODS, CG_ROOT, "/kubepods");
	feed_cgroup_dir(node, CG_BURSTABLE, CG_KUBEPODS, "/kubepods/burstable");
	feed_cgroup_dir(node, CG_POD, CG_BURSTABLE, POD_DIR);
	if (node->runs_already)
		feed_cgroup_dir(node, CG_A, CG_POD, POD_DIR "/" ID_A);
	if (node->is_starting)
		return;
	node_ready(node);
	if (cri)
		mail_runtime(node);
}

static inline struct node *node_config(enum crier_profile profile)
{
	struct node *node = calloc(1, sizeof(*node));

	assert_non_null(node);
	assert_int_equal(crier_config_init(&node->config), 0);
	node->config.profile = profile;
	node->config.stats_interval_ms = 0;
	node->config.snapshot_interval_ms = 0;
	return node;
}

static inline struct node *node_new(enum crier_profile profile, bool cri)
{
	struct node *node = node_config(profile);

	node_start(node, cri);
	return node;
}

static inline void node_free(struct node *node)
{
	for (size_t i = 0; i < node->line_count; i++) {
		/* numbers have no gap, whatever happened */
		assert_int_equal(int_at(node->lines[i], "seq"), (json_int_t)i + 1);
		json_decref(node->lines[i]);
	}
	crier_pipeline_free(node->pipeline);
	crier_config_done(&node->config);
	free(node);
}

/* A container from its directory to its running init, told by the runtime. */
static inline void run_container(struct node *node, uint64_t cgroup, const char *id, const char *name,
				 uint32_t pid)
{
	feed_mkdir(node, cgroup, CG_POD, id);
	mail_container(node, id, name);
	feed_populated(node, cgroup, 1);
	feed_exec(node, cgroup, pid, node->now_ns, "/bin/app");
}

#endif
