/* SPDX-License-Identifier: Apache-2.0 */
#include "node.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crier/base/hash.h"

void bench_fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* ---- the host: files of cgroups that answer from memory ---- */

static const struct {
	const char *leaf, *text;
} files[] = {
	{"memory.stat",
	 "anon 62914560\nfile 2097152\nkernel_stack 131072\npagetables 262144\nshmem 0\n"
	 "file_mapped 1048576\nfile_dirty 0\nfile_writeback 0\nanon_thp 0\ninactive_anon 61865984\n"
	 "active_anon 1048576\ninactive_file 1572864\nactive_file 524288\nunevictable 0\nslab 524288\n"
	 "pgfault 512000\npgmajfault 12\nworkingset_refault_file 0\n"},
	{"memory.events", "low 0\nhigh 0\nmax 1204\noom 3\noom_kill 3\noom_group_kill 0\n"},
	{"memory.current", "66060288\n"},
	{"memory.max", "67108864\n"},
	{"memory.pressure", "some avg10=1.20 avg60=0.40 avg300=0.10 total=812345\n"
			    "full avg10=0.90 avg60=0.20 avg300=0.05 total=712345\n"},
	{"cpu.stat",
	 "usage_usec 1234567\nuser_usec 1000000\nsystem_usec 234567\nnr_periods 100\nnr_throttled 0\n"
	 "throttled_usec 0\n"},
	{"meminfo",
	 "MemTotal:       32768000 kB\nMemFree:        16384000 kB\nMemAvailable:   24576000 kB\n"},
};

static int host_read(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	const char *leaf = strrchr(path, '/');

	(void)ctx;
	for (size_t i = 0; leaf && i < CRIER_ARRAY_SIZE(files); i++) {
		size_t len = strlen(files[i].text);

		if (strcmp(leaf + 1, files[i].leaf) != 0 || len > cap)
			continue;
		memcpy(buf, files[i].text, len);
		*ret_len = len;
		return 0;
	}
	return -ENOENT;
}

static int host_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		     size_t cap, size_t *ret_len)
{
	(void)ctx, (void)dir, (void)name, (void)form, (void)buf, (void)cap, (void)ret_len;
	return -ENOENT;
}

static int host_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	(void)ctx, (void)dir, (void)name, (void)buf, (void)cap, (void)ret_len;
	return -ENOENT;
}

static int host_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	(void)ctx, (void)dir, (void)suffix, (void)buf, (void)cap, (void)ret_len;
	return -ENOENT;
}

static int host_inode(void *ctx, const char *path, uint64_t *ret_inode)
{
	(void)ctx, (void)path, (void)ret_inode;
	return -ENOENT;
}

static int host_cgroup_path(void *ctx, const char *root, uint64_t cgroup_id, char *buf, size_t cap,
			    size_t *ret_len)
{
	(void)ctx, (void)root, (void)cgroup_id, (void)buf, (void)cap, (void)ret_len;
	return -ESTALE;
}

static void host_ask(void *ctx, enum crier_cri_question question, struct crier_slice id, bool with_pod)
{
	(void)ctx, (void)question, (void)id, (void)with_pod;
}

static void host_reconcile(void *ctx)
{
	(void)ctx;
}

static void host_classify(void *ctx, uint64_t cgroup_id, enum crier_wire_cgroup_class cgroup_class)
{
	(void)ctx, (void)cgroup_id, (void)cgroup_class;
}

static void host_forget(void *ctx, uint64_t cgroup_id)
{
	(void)ctx, (void)cgroup_id;
}

static void host_init_pid(void *ctx, uint32_t pid, uint64_t start_ns, bool add)
{
	(void)ctx, (void)start_ns, (void)pid, (void)add;
}

static void host_watch(void *ctx, uint64_t cgroup_id, const char *psi_path, bool on)
{
	(void)ctx, (void)cgroup_id, (void)psi_path, (void)on;
}

static void host_line(void *ctx, const char *line, size_t len, bool urgent)
{
	struct bench_node *node = ctx;

	(void)urgent;
	node->lines++;
	node->bytes += len;
	if (node->on_line)
		node->on_line(node->on_line_ctx, line, len);
}

void bench_host_without_effects(struct crier_host *host, void *ctx)
{
	*host = (struct crier_host){
		.ctx = ctx,
		.ask = host_ask,
		.reconcile = host_reconcile,
		.classify = host_classify,
		.forget = host_forget,
		.init_pid = host_init_pid,
		.watch_pressure = host_watch,
	};
}

/* ---- pods and containers ---- */

void bench_id(uint64_t number, char ret_id[65])
{
	for (uint64_t word = 0; word < 4; word++)
		snprintf(ret_id + 16 * word, 17, "%016llx",
			 (unsigned long long)crier_hash_u64(number * 4 + word + 1));
}

static void uid_of(uint32_t pod, char ret_uid[37])
{
	uint64_t a = crier_hash_u64(0x706f64ULL + 2ULL * pod), b = crier_hash_u64(0x706f65ULL + 2ULL * pod);

	snprintf(ret_uid, 37, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32),
		 (unsigned)(a >> 16 & 0xffff), (unsigned)(a & 0xfff), (unsigned)(b >> 52),
		 (unsigned long long)(b & 0xffffffffffffULL));
}

/* A bijection of 32 bits, so that no two cgroups share an id; above the fixed ones. */
static uint64_t scatter(uint32_t number)
{
	number = (number ^ number >> 16) * 0x45d9f3bU;
	number = (number ^ number >> 16) * 0x45d9f3bU;
	return (uint64_t)BENCH_CG_FIRST + (number ^ number >> 16);
}

uint64_t bench_cgroup_of(const struct bench_node *node, uint32_t index)
{
	(void)node;
	return scatter(index * 2);
}

uint64_t bench_pod_cgroup_of(const struct bench_node *node, uint32_t index)
{
	(void)node;
	return scatter(index / 2 * 2 + 1);
}

uint32_t bench_init_pid(uint64_t number)
{
	return 100000 + (uint32_t)(number % 1000000);
}

uint64_t bench_init_start_ns(uint64_t number)
{
	return 900 * BENCH_SECOND_NS + number;
}

static void feed(struct bench_node *node, enum crier_input_type type, const void *bytes, size_t len)
{
	crier_pipeline_feed(node->pipeline, type, node->now_ns, bytes, len);
}

static void feed_directory(struct bench_node *node, uint64_t id, uint64_t parent, const char *path)
{
	struct {
		struct crier_input_cgroup input;
		char path[256];
	} frame = {.input = {id, parent}};

	snprintf(frame.path, sizeof(frame.path), "%s", path);
	feed(node, CRIER_INPUT_CGROUP, &frame, sizeof(frame.input) + strlen(frame.path));
}

static void fill_pod(struct crier_meta_pod *meta, const char *sandbox, const char *name, const char *uid)
{
	static const struct crier_meta_label labels[] = {
		{CRIER_SLICE("app"), CRIER_SLICE("cart")},
		{CRIER_SLICE("app.kubernetes.io/name"), CRIER_SLICE("cart")},
		{CRIER_SLICE("app.kubernetes.io/version"), CRIER_SLICE("1.8.2")},
		{CRIER_SLICE("app.kubernetes.io/part-of"), CRIER_SLICE("shop")},
		{CRIER_SLICE("pod-template-hash"), CRIER_SLICE("7d9f8b6c5")},
		{CRIER_SLICE("team"), CRIER_SLICE("checkout")},
	};

	meta->sandbox_id = crier_slice_of(sandbox);
	meta->name = crier_slice_of(name);
	meta->namespace_ = CRIER_SLICE("shop");
	meta->uid = crier_slice_of(uid);
	meta->ip = CRIER_SLICE("10.244.1.17");
	meta->labels.count = CRIER_ARRAY_SIZE(labels);
	memcpy(meta->labels.items, labels, sizeof(labels));
}

size_t bench_mail(struct bench_node *node, uint64_t number, uint32_t pod, enum crier_meta_state state)
{
	struct crier_meta_message *message = &node->message;
	struct crier_meta_container *meta = &message->container;
	char id[65], sandbox[65], name[64], uid[37];
	struct crier_buf buf;

	bench_id(number, id);
	bench_id((1ULL << 40) + pod, sandbox);
	uid_of(pod, uid);
	snprintf(name, sizeof(name), "cart-7d9f8b6c5-%05x", pod & 0xfffff);
	crier_meta_clear(message);
	message->type = CRIER_META_CONTAINER;
	fill_pod(&message->pod, sandbox, name, uid);
	meta->id = crier_slice_of(id);
	meta->sandbox_id = message->pod.sandbox_id;
	meta->name = number % 2 ? CRIER_SLICE("sidecar") : CRIER_SLICE("app");
	meta->pod_name = message->pod.name;
	meta->pod_namespace = message->pod.namespace_;
	meta->pod_uid = message->pod.uid;
	meta->image = CRIER_SLICE("registry.example/shop/cart:1.8.2");
	meta->image_id =
		CRIER_SLICE("sha256:5adf8436d827d3d9938dc6924f7888055138b02710b4c2f203c87582f17eabad");
	meta->state = state;
	if (state == CRIER_STATE_RUNNING)
		meta->pid = bench_init_pid(number);
	meta->restart_count = 3;
	meta->memory_limit_bytes = 64 << 20;
	meta->created_at_ns = meta->started_at_ns = node->start.unix_offset_ns + node->start.boottime_ns;
	if (state == CRIER_STATE_EXITED) {
		meta->finished_at_ns = node->start.unix_offset_ns + node->now_ns;
		meta->reason = CRIER_SLICE("Completed");
		meta->exit_code = 0;
	}
	crier_buf_init(&buf, node->blob, sizeof(node->blob));
	if (crier_meta_encode(message, &buf) < 0)
		bench_fail("bench: the answer about a container does not fit its blob");
	return buf.len;
}

static void make_containers(struct bench_node *node)
{
	char path[256], id[65], uid[37];
	size_t pod_len = 0;

	feed_directory(node, BENCH_CG_ROOT, 0, "/");
	feed_directory(node, BENCH_CG_HOST, BENCH_CG_ROOT, "/system.slice");
	feed_directory(node, BENCH_CG_KUBEPODS, BENCH_CG_ROOT, "/kubepods");
	feed_directory(node, BENCH_CG_BURSTABLE, BENCH_CG_KUBEPODS, "/kubepods/burstable");
	for (uint32_t i = 0; i < node->containers; i++) {
		if (i % 2 == 0) {
			uid_of(i / 2, uid);
			pod_len = (size_t)snprintf(path, sizeof(path), "/kubepods/burstable/pod%s", uid);
			feed_directory(node, bench_pod_cgroup_of(node, i), BENCH_CG_BURSTABLE, path);
		}
		bench_id(i, id);
		snprintf(path + pod_len, sizeof(path) - pod_len, "/%s", id);
		feed_directory(node, bench_cgroup_of(node, i), bench_pod_cgroup_of(node, i), path);
	}
}

static void name_containers(struct bench_node *node)
{
	struct crier_buf buf;

	crier_meta_clear(&node->message);
	node->message.type = CRIER_META_RUNTIME;
	node->message.runtime.name = CRIER_SLICE("containerd");
	node->message.runtime.version = CRIER_SLICE("1.7.24");
	crier_buf_init(&buf, node->blob, sizeof(node->blob));
	if (crier_meta_encode(&node->message, &buf) < 0)
		bench_fail("bench: the runtime's name does not fit its blob");
	feed(node, CRIER_INPUT_MAIL, node->blob, buf.len);
	for (uint32_t i = 0; i < node->containers; i++)
		feed(node, CRIER_INPUT_MAIL, node->blob, bench_mail(node, i, i / 2, CRIER_STATE_RUNNING));
}

/* As iter/task prints them at the start. */
static void seed_inits(struct bench_node *node)
{
	for (uint32_t i = 0; i < node->containers; i++) {
		struct crier_wire_seed seed = {
			.task = {.start_boottime_ns = bench_init_start_ns(i),
				 .cgroup_id = bench_cgroup_of(node, i),
				 .pid = bench_init_pid(i),
				 .tid = bench_init_pid(i),
				 .vpid = 1,
				 .parent_pid = 1,
				 .flags = CRIER_TASK_VALID | CRIER_TASK_EXECED | CRIER_TASK_NS_INIT,
				 .comm = "server"},
			.memory_cgroup_id = bench_cgroup_of(node, i),
		};

		feed(node, CRIER_INPUT_SEED, &seed, sizeof(seed));
	}
}

static void configure(struct bench_node *node)
{
	struct crier_config *config = &node->config;

	if (crier_config_init(config) < 0)
		bench_fail("bench: out of memory");
	config->profile = CRIER_PROFILE_FULL;
	config->max_output_bytes = 0;
	config->stats_interval_ms = config->snapshot_interval_ms = 0;
	config->max_containers = crier_max(config->max_containers, (uint64_t)node->containers + 1024);
	config->max_cgroups = crier_max(config->max_cgroups, 2ULL * node->containers + 4096);
	free(config->node_name);
	config->node_name = strdup("ip-10-0-12-7.eu-central-1.compute.internal");
	if (!config->node_name)
		bench_fail("bench: out of memory");
}

struct bench_node *bench_node_new(uint32_t containers)
{
	struct bench_node *node = calloc(1, sizeof(*node));
	const uint64_t room = UINT64_MAX / 2;
	struct crier_err err = {0};
	struct crier_host host;

	if (!node)
		bench_fail("bench: out of memory");
	node->containers = containers;
	configure(node);
	bench_host_without_effects(&host, node);
	host.read = host_read;
	host.file = host_file;
	host.link = host_link;
	host.find = host_find;
	host.inode = host_inode;
	host.cgroup_path = host_cgroup_path;
	host.line = host_line;
	struct crier_start *start = &node->start;

	node->now_ns = start->boottime_ns = 1000 * BENCH_SECOND_NS;
	start->unix_offset_ns = 1700000000ULL * BENCH_SECOND_NS;
	start->page_size = 4096;
	memcpy(start->instance, "3b1d9c20", 9);
	memcpy(start->boot, "5f0c6a1e", 9);
	start->layout.mode = CRIER_CGROUP_MODE_V2;
	start->layout.primary_is_v2 = start->layout.memory_is_v2 = start->layout.cpu_is_v2 = true;
	strcpy(start->layout.primary_root, "/cg");
	strcpy(start->layout.memory_root, "/cg");
	strcpy(start->layout.cpu_root, "/cg");
	strcpy(start->cri_socket, "/run/memory.sock");
	if (crier_pipeline_new(&node->config, start, &host, &node->pipeline, &err) < 0)
		bench_fail("bench: %s", err.message);
	feed(node, CRIER_INPUT_ROOM, &room, sizeof(room));
	make_containers(node);
	name_containers(node);
	seed_inits(node);
	feed(node, CRIER_INPUT_READY, "{}", 2);
	return node;
}

void bench_node_free(struct bench_node *node)
{
	crier_pipeline_free(node->pipeline);
	crier_config_done(&node->config);
	free(node);
}
