/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any inputs of the loop through the whole pipeline, on a node that exists in this file only. Two bytes choose the
 * configuration, then come frames {u8 type, u8 ticks, u16 length, bytes}: a kernel record, a blob of the runtime, a
 * directory of the walk, a file of the node (type LOOKUP: "name\nbytes") and so on, as input.h numbers them. MEND in the
 * type puts the record's own length, version and time right, so that what is behind the decoder is reached as well; types
 * above input.h's are the stories of story.h.
 *
 * Claims: every line is one JSON object (or one clean line of text) within its bound, numbers have no gap, room is kept,
 * the losses add up at agent.stop, and the same inputs give the same bytes.
 */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "crier/base/json.h"
#include "crier/pipeline.h"
#include "story.h"

#define MEND	   0x80
#define TYPE_MASK  0x1f
#define SECONDS	   0x80 /* in ticks: seconds, else milliseconds */
#define FILES_MAX  16
#define SETTLE_MAX 16 /* deadlines followed between two frames */
#define MS	   1000000ULL
#define S	   (1000 * MS)
#define START_NS   (1000 * S)
#define EXACT_MAX  (1LL << 53) /* integers above lose digits in most readers, and in the sum below */

struct file {
	struct crier_slice name, text;
};

struct node {
	struct crier_config config;
	struct crier_start start;
	struct crier_pipeline *pipeline;
	struct file files[FILES_MAX];
	size_t file_count;
	uint64_t now_ns, room, lines, hash, looks;
	char cpu_stat[128];
	bool stopped;
};

/* What the node's files say until the input says something else; found by the end of their path. */
static const struct {
	const char *name, *text;
} defaults[] = {
	{"memory.max", "67108864\n"},
	{"memory.limit_in_bytes", "67108864\n"},
	{"memory.current", "66000000\n"},
	{"memory.usage_in_bytes", "66000000\n"},
	{"memory.stat",
	 "anon 60000000\nfile 1000\ninactive_file 500\nactive_file 500\ntotal_inactive_file 9\ntotal_active_file 9\n"},
	{"memory.events", "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\n"},
	{"meminfo",
	 "MemTotal:       24689384 kB\nMemAvailable:    1000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"},
};

/* ---- the host ---- */

static bool ends_with(const char *path, struct crier_slice name)
{
	return name.len && crier_slice_ends(crier_slice_of(path), name);
}

static int give(struct crier_slice text, char *buf, size_t cap, size_t *ret_len)
{
	*ret_len = crier_min(text.len, cap);
	if (*ret_len)
		memcpy(buf, text.ptr, *ret_len);
	return 0;
}

static int node_read(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	struct node *node = ctx;

	for (size_t i = node->file_count; i-- > 0;)
		if (ends_with(path, node->files[i].name))
			return give(node->files[i].text, buf, cap, ret_len);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(defaults); i++)
		if (ends_with(path, crier_slice_of(defaults[i].name)))
			return give(crier_slice_of(defaults[i].text), buf, cap, ret_len);
	if (ends_with(path, CRIER_SLICE("cpu.stat"))) { /* rises each time it is read */
		node->looks++;
		snprintf(node->cpu_stat, sizeof(node->cpu_stat),
			 "nr_periods %llu\nnr_throttled %llu\nthrottled_usec %llu\n", node->looks * 10ULL,
			 node->looks * 9ULL, node->looks * 1000ULL);
		return give(crier_slice_of(node->cpu_stat), buf, cap, ret_len);
	}
	return -ENOENT;
}

static int node_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		     size_t cap, size_t *ret_len)
{
	char text[4096];
	size_t len = 0;
	int r = node_read(ctx, name, text, sizeof(text), &len);

	fuzz_touch(crier_slice_of(dir), NULL);
	if (r < 0 || form == CRIER_BUNDLE_PLAIN)
		return r < 0 ? r : give((struct crier_slice){text, len}, buf, cap, ret_len);
	return crier_bundle_keep(form, text, len, buf, cap, ret_len);
}

static int node_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	return node_file(ctx, dir, name, CRIER_BUNDLE_PLAIN, buf, cap, ret_len);
}

/* A folder's only name is what the file of the folder's name holds, if it ends so. */
static int node_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	int r = node_read(ctx, dir, buf, cap, ret_len);

	if (r == 0 && !crier_slice_ends((struct crier_slice){buf, *ret_len}, suffix))
		*ret_len = 0;
	return r;
}

static int node_inode(void *ctx, const char *path, uint64_t *ret_inode)
{
	size_t len = strlen(path);

	(void)ctx;
	if (len % 4 == 0)
		return -ENOENT;
	*ret_inode = len;
	return 0;
}

/* Some unknown ids are found below a container, some elsewhere, most nowhere. */
static int node_cgroup_path(void *ctx, const char *root, uint64_t cgroup_id, char *buf, size_t cap,
			    size_t *ret_len)
{
	static const char *const paths[] = {
		"/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/nested",
		"/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/"
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
		"/system.slice/late.service", "/"};
	const size_t count = sizeof(paths) / sizeof(paths[0]);

	(void)ctx, (void)root;
	if (cgroup_id % 8 >= count)
		return -ESTALE;
	return give(crier_slice_of(paths[cgroup_id % 8]), buf, cap, ret_len);
}

static void node_ask(void *ctx, enum crier_cri_question question, struct crier_slice id, bool with_pod)
{
	(void)ctx, (void)question, (void)with_pod;
	fuzz_touch(id, NULL);
}

static void node_reconcile(void *ctx)
{
	(void)ctx;
}

static void node_classify(void *ctx, uint64_t id, enum crier_wire_cgroup_class cgroup_class)
{
	(void)ctx, (void)id, (void)cgroup_class;
}

static void node_forget(void *ctx, uint64_t id)
{
	(void)ctx, (void)id;
}

static void node_init_pid(void *ctx, uint32_t pid, uint64_t start_ns, bool add)
{
	(void)ctx, (void)pid, (void)start_ns, (void)add;
}

static void node_watch(void *ctx, uint64_t id, const char *path, bool on)
{
	(void)ctx, (void)id, (void)on;
	fuzz_touch(crier_slice_of(path), NULL);
}

/* ---- claims ---- */

/* generated = emitted + filtered + suppressed + lost + held, and nothing is held at the end. */
static void check_sum(json_t *line, const char *name)
{
	static const char *const parts[] = {"emitted", "filtered", "suppressed", "lost", "held"};
	json_t *counts = json_object_get(json_object_get(line, "data"), name), *generated;
	json_int_t sum = 0;

	generated = json_object_get(counts, "generated");
	if (!generated) /* 2^64-1 is how "not known" is spelled; the kernel's counters never come there */
		return;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(parts); i++) {
		json_t *part = json_object_get(counts, parts[i]);

		if (!json_is_integer(part) || json_integer_value(part) > EXACT_MAX)
			return; /* kernel counters that no kernel has */
		sum += json_integer_value(part);
	}
	FUZZ_CLAIM(sum == json_integer_value(generated), "%s: generated %lld, told %lld", name,
		   (long long)json_integer_value(generated), (long long)sum);
}

static void check_json(struct node *node, const char *line, size_t len)
{
	json_error_t error;
	json_t *parsed = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	const char *type;

	FUZZ_CLAIM(json_is_object(parsed), "jansson: %s at %d: %.*s", error.text, error.position, (int)len,
		   line);
	type = json_string_value(json_object_get(parsed, "type"));
	FUZZ_CLAIM(type, "a line without a type");
	FUZZ_CLAIM((uint64_t)json_integer_value(json_object_get(parsed, "seq")) == node->lines,
		   "seq %lld, line %llu", (long long)json_integer_value(json_object_get(parsed, "seq")),
		   (unsigned long long)node->lines);
	if (strcmp(type, "agent.stop") == 0) {
		check_sum(parsed, "bulk");
		check_sum(parsed, "critical");
	}
	json_decref(parsed);
}

static void check_text(const char *line, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++)
		FUZZ_CLAIM((unsigned char)line[i] >= 0x20 && line[i] != 0x7f, "a control character: %.*s",
			   (int)len, line);
}

static void node_line(void *ctx, const char *line, size_t len, bool urgent)
{
	struct node *node = ctx;

	(void)urgent;
	node->lines++;
	FUZZ_CLAIM(len > 0 && len <= CRIER_LINE_MAX, "a line of %zu bytes", len);
	FUZZ_CLAIM(line[len - 1] == '\n' && !memchr(line, '\n', len - 1), "not one line: %.*s", (int)len,
		   line);
	FUZZ_CLAIM(crier_utf8_is_valid((struct crier_slice){line, len}), "not UTF-8: %.*s", (int)len, line);
	FUZZ_CLAIM(len <= node->room, "%zu bytes with room for %llu", len, (unsigned long long)node->room);
	node->room -= len;
	if (node->config.output == CRIER_OUTPUT_JSON)
		check_json(node, line, len);
	else
		check_text(line, len);
	for (size_t i = 0; i < len; i++)
		node->hash = (node->hash ^ (unsigned char)line[i]) * 0x100000001b3ULL;
}

/* ---- feeding ---- */

static void feed(void *ctx, enum crier_input_type type, const void *bytes, size_t len)
{
	struct node *node = ctx;

	crier_pipeline_feed(node->pipeline, type, node->now_ns, bytes, len);
}

/* As the loop does: a tick at each deadline until then. */
static void pass(struct node *node, uint64_t until_ns)
{
	for (int i = 0; i < SETTLE_MAX; i++) {
		uint64_t due = crier_pipeline_deadline(node->pipeline);

		if (due > until_ns)
			break;
		node->now_ns = crier_max(due, node->now_ns);
		feed(node, CRIER_INPUT_TICK, NULL, 0);
	}
	node->now_ns = until_ns;
}

static void mend_record(struct node *node, char *bytes, size_t *len)
{
	struct crier_wire_header *header = (void *)bytes;

	*len &= ~(size_t)7;
	if (*len < sizeof(*header))
		return;
	header->length = (uint16_t)*len;
	header->version = CRIER_WIRE_VERSION;
	header->type %= CRIER_WIRE_TYPE_COUNT;
	header->ring %= CRIER_CLASS_COUNT;
	header->boottime_ns = node->now_ns;
}

/* "name\nbytes": from now on, files whose path ends so hold this. */
static void put_file(struct node *node, struct crier_slice frame)
{
	const char *newline = frame.len ? memchr(frame.ptr, '\n', frame.len) : NULL;

	if (!newline || node->file_count == FILES_MAX)
		return;
	size_t name_len = (size_t)(newline - frame.ptr);

	node->files[node->file_count++] = (struct file){
		{frame.ptr, name_len},
		{newline + 1, frame.len - name_len - 1},
	};
}

static void frame(struct node *node, struct fuzz_input *input)
{
	uint8_t kind = fuzz_u8(input), ticks = fuzz_u8(input);
	enum crier_input_type type = kind & TYPE_MASK;
	size_t len = fuzz_u16(input);
	struct crier_slice bytes = fuzz_take(input, len);
	uint64_t passed = ticks & SECONDS ? (ticks & ~SECONDS) * S : ticks * MS;

	pass(node, node->now_ns + passed);
	if (type >= (unsigned)STORY_FIRST) {
		struct story_teller teller = {node, feed, node->now_ns};

		if (type < (unsigned)STORY_END)
			story_tell(&teller, (enum story)type, bytes);
		return;
	}
	if (type == CRIER_INPUT_LOOKUP) {
		put_file(node, bytes);
		return;
	}
	if (type == CRIER_INPUT_START || type == CRIER_INPUT_NONE)
		return;
	char *copy = fuzz_copy(bytes);

	if (type == CRIER_INPUT_RECORD && kind & MEND)
		mend_record(node, copy, &bytes.len);
	if (type == CRIER_INPUT_ROOM) {
		node->room = 0;
		if (bytes.len == sizeof(node->room))
			memcpy(&node->room, copy, sizeof(node->room));
	}
	node->stopped |= type == CRIER_INPUT_STOP;
	feed(node, type, copy, bytes.len);
	free(copy);
}

/* ---- a node ---- */

/* Small tables: their bounds are met within a few frames. */
static void configure(struct node *node, uint8_t what, uint8_t how)
{
	struct crier_config *config = &node->config;

	FUZZ_CLAIM(crier_config_init(config) == 0, "out of memory");
	config->profile = what % CRIER_PROFILE_COUNT;
	config->output = what & 0x40 ? CRIER_OUTPUT_TEXT : CRIER_OUTPUT_JSON;
	config->detail = how % CRIER_DETAIL_COUNT;
	config->label_keys = how & 0x10 ? CRIER_LABEL_KEYS_UNDERSCORE : CRIER_LABEL_KEYS_OTEL;
	config->process_args = true;
	config->snapshot_interval_ms = 60000;
	config->max_containers = 4;
	config->max_cgroups = 16;
	config->tombstones = 3;
	config->hold_events = 6;
	config->hold_bytes = 4096;
	if (how & 0x20)
		config->max_output_bytes = 16384;
	if (how & 0x40)
		FUZZ_CLAIM(crier_config_set(config, "filter-namespace", "!s*", NULL) == 0, "filter");
	if (how & 0x80)
		FUZZ_CLAIM(crier_config_set(config, "resource", "team=pay\"ments", NULL) == 0, "resource");
}

static void fill_start(struct crier_start *start, bool cri, bool v1)
{
	*start = (struct crier_start){
		.boottime_ns = START_NS,
		.unix_offset_ns = 1700000000ULL * S,
		.page_size = 4096,
		.instance = "3b1d9c20",
		.boot = "5f0c6a1e",
		.kernel = "6.1.0-example",
		.previous_instance = "3b1d9c1f",
		.previous_seq = 7,
		.previous_ended_at = 1700000900ULL * S,
		.layout.mode = v1 ? CRIER_CGROUP_MODE_V1 : CRIER_CGROUP_MODE_V2,
		.layout.primary_is_v2 = !v1,
		.layout.memory_is_v2 = !v1,
		.layout.cpu_is_v2 = !v1,
		.layout.primary_root = "/cg",
		.layout.cpu_root = "/cg",
	};
	strcpy(start->layout.memory_root, v1 ? "/cg/memory" : "/cg");
	strcpy(start->cri_socket, cri ? "/run/fake.sock" : "");
}

/* Directories that every Kubernetes node has: ids 1 to 5. */
static void walk(struct node *node)
{
	static const char *const paths[] = {"/", "/system.slice", "/kubepods", "/kubepods/burstable",
					    "/kubepods/burstable/pod11111111-2222-3333-4444-555555555555"};
	static const uint64_t parents[] = {0, 1, 1, 3, 4};

	for (uint64_t i = 0; i < CRIER_ARRAY_SIZE(paths); i++) {
		struct {
			struct crier_input_cgroup input;
			char path[64];
		} dir = {.input = {i + 1, parents[i]}};

		memcpy(dir.path, paths[i], strlen(paths[i]));
		feed(node, CRIER_INPUT_CGROUP, &dir, sizeof(dir.input) + strlen(paths[i]));
	}
}

static void run(const uint8_t *data, size_t size, struct node *node)
{
	const struct crier_host host = {
		.ctx = node,
		.read = node_read,
		.inode = node_inode,
		.cgroup_path = node_cgroup_path,
		.file = node_file,
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
	struct fuzz_input input = {data, data + size};
	uint8_t what = fuzz_u8(&input), how = fuzz_u8(&input);
	struct crier_err err = {0};
	const char *ids[8];

	*node = (struct node){.now_ns = START_NS, .hash = 0xcbf29ce484222325ULL};
	configure(node, what, how);
	fill_start(&node->start, !(what & 0x10), what & 0x20);
	node->room = node->config.sink_buffer_bytes;
	FUZZ_CLAIM(crier_pipeline_new(&node->config, &node->start, &host, &node->pipeline, &err) == 0, "%s",
		   err.message);
	walk(node);
	while (fuzz_left(&input))
		frame(node, &input);
	pass(node, node->now_ns + 3600 * S);
	if (!node->stopped)
		feed(node, CRIER_INPUT_STOP, "{\"reason\":\"SIGTERM\"}", 20);
	FUZZ_CLAIM(crier_pipeline_last_seq(node->pipeline) == node->lines,
		   "last_seq is not the number of lines");
	for (size_t i = 0, n = crier_pipeline_exited(node->pipeline, ids, CRIER_ARRAY_SIZE(ids)); i < n; i++)
		fuzz_touch(crier_slice_of(ids[i]), NULL);
	crier_pipeline_free(node->pipeline);
	crier_config_done(&node->config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node first, second;

	run(data, size, &first);
	if (size < 1024) { /* twice the time: only where it is short */
		run(data, size, &second);
		FUZZ_CLAIM(first.hash == second.hash && first.lines == second.lines,
			   "the same inputs gave other bytes");
	}
	return 0;
}
