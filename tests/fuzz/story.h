/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a few containers told in a few bytes: {which container, up to four numbers} become whole records and blobs,
 * so that the fuzzer plays with the order of things (deaths, restarts, late answers, lists that forget) and not with bytes.
 */
#ifndef CRIER_FUZZ_STORY_H
#define CRIER_FUZZ_STORY_H

#include "fuzz.h"

#include "crier/input.h"
#include "crier/meta.h"

/* Behind the types of input.h, up to 31. */
enum story {
	STORY_FIRST = CRIER_INPUT_TYPE_COUNT,
	STORY_MKDIR = STORY_FIRST,
	STORY_POPULATED,
	STORY_RMDIR,
	STORY_EXEC,
	STORY_EXIT,
	STORY_SIGNAL,
	STORY_OOM,
	STORY_FORK,
	STORY_HINT,
	STORY_CONTAINER,
	STORY_POD,
	STORY_MISSING,
	STORY_LIST,
	STORY_RUNTIME,
	STORY_FOUND,
	STORY_END,
};
_Static_assert(STORY_END <= 32, "the stories and the inputs share five bits");

#define STORY_CONTAINERS 8
#define STORY_POD_CGROUP 5
#define STORY_POD_UID	 "11111111-2222-3333-4444-555555555555"

/* What a story needs to feed: the loop's call, with the time it is. */
struct story_teller {
	void *ctx;
	void (*feed)(void *ctx, enum crier_input_type type, const void *bytes, size_t len);
	uint64_t now_ns;
};

/* The numbers of one story: the container first. */
struct story_part {
	uint8_t container, a, b, c, d;
};

/** One of 256 pods; 1 is the one whose directory is there. The slice lives until the next call. */
static inline struct crier_slice story_uid(uint8_t which)
{
	static char uid[] = STORY_POD_UID;

	uid[0] = "0123456789abcdef"[which & 15];
	uid[1] = "1023456789abcdef"[which >> 4];
	return (struct crier_slice){uid, sizeof(uid) - 1};
}

static inline uint64_t story_cgroup(const struct story_part *part)
{
	return part->a & 0x80 ? 200u + part->container : 100u + part->container; /* nested, or its own */
}

static inline struct crier_slice story_id(uint8_t container)
{
	static char ids[STORY_CONTAINERS][65];
	char *id = ids[container % STORY_CONTAINERS];

	memset(id, "0123456789abcdef"[container % STORY_CONTAINERS + 8], 64);
	return (struct crier_slice){id, 64};
}

static inline struct crier_wire_task story_task(const struct story_part *part, const char *comm)
{
	struct crier_wire_task task = {
		.start_boottime_ns = 1000000000ULL + part->a % 4,
		.cgroup_id = story_cgroup(part),
		.pid = 10u + part->container,
		.tid = 10u + part->container + (part->d & 1),
		.vpid = part->d & 2 ? 1 : 7,
		.parent_pid = 2,
		.flags = CRIER_TASK_VALID | (part->d & 4 ? CRIER_TASK_NS_INIT : 0),
	};

	if (part->a & 0x40) /* another process than its init */
		task.pid += 100;
	memcpy(task.comm, comm, strnlen(comm, sizeof(task.comm)));
	return task;
}

static inline void story_record(struct story_teller *teller, uint8_t type, uint64_t cgroup_id, void *record,
				size_t len)
{
	*(struct crier_wire_header *)record = (struct crier_wire_header){
		.length = (uint16_t)len,
		.version = CRIER_WIRE_VERSION,
		.type = type,
		.ring = type == CRIER_WIRE_EXEC || type == CRIER_WIRE_FORK ? CRIER_CLASS_BULK
									   : CRIER_CLASS_CRITICAL,
		.hook = CRIER_HOOK_TP_BTF_EXEC,
		.boottime_ns = teller->now_ns,
		.cgroup_id = cgroup_id,
	};
	teller->feed(teller->ctx, CRIER_INPUT_RECORD, record, len);
}

static inline void story_mkdir(struct story_teller *teller, const struct story_part *part)
{
	struct {
		struct crier_wire_cgroup_mkdir mkdir;
		char leaf[64];
	} r = {.mkdir = {.parent_id = part->a & 0x80 ? 100u + part->container : STORY_POD_CGROUP}};

	memcpy(r.leaf, story_id(part->container).ptr, sizeof(r.leaf));
	r.mkdir.name.offset = sizeof(r.mkdir);
	r.mkdir.name.length = part->b & 1 ? 12 : sizeof(r.leaf); /* 12 characters are no container's id */
	story_record(teller, CRIER_WIRE_CGROUP_MKDIR, story_cgroup(part), &r, sizeof(r));
}

static inline void story_cgroup_change(struct story_teller *teller, const struct story_part *part,
				       enum story what)
{
	struct crier_wire_cgroup_populated populated = {.populated = part->b & 1};
	struct crier_wire_cgroup_rmdir rmdir = {0};
	struct crier_wire_pressure_hint hint = {.memory_cgroup_id = story_cgroup(part)};

	if (what == STORY_POPULATED)
		story_record(teller, CRIER_WIRE_CGROUP_POPULATED, story_cgroup(part), &populated,
			     sizeof(populated));
	else if (what == STORY_RMDIR)
		story_record(teller, CRIER_WIRE_CGROUP_RMDIR,
			     part->b == 0xff ? STORY_POD_CGROUP : story_cgroup(part), &rmdir, sizeof(rmdir));
	else
		story_record(teller, CRIER_WIRE_PRESSURE_HINT, story_cgroup(part), &hint, sizeof(hint));
}

static inline void story_exec(struct story_teller *teller, const struct story_part *part)
{
	struct {
		struct crier_wire_exec exec;
		char tail[48];
	} r = {.exec.task = story_task(part, "app"), .exec.flags = part->c & 3, .exec.args_count = part->b};
	static const char tail[] = "/bin/app\0app\0--password\0x\0--token=y\0\xff\x01";

	memcpy(r.tail, tail, sizeof(tail));
	r.exec.filename = (struct crier_wire_text){sizeof(r.exec), 8};
	if (part->b & 1)
		r.exec.args = (struct crier_wire_text){sizeof(r.exec) + 9, sizeof(tail) - 9};
	story_record(teller, CRIER_WIRE_EXEC, story_cgroup(part), &r, sizeof(r));
}

static inline void story_fork(struct story_teller *teller, const struct story_part *part)
{
	struct crier_wire_fork r = {.child = story_task(part, "child"), .parent = story_task(part, "parent")};

	story_record(teller, CRIER_WIRE_FORK, story_cgroup(part), &r, sizeof(r));
}

static inline void story_exit(struct story_teller *teller, const struct story_part *part)
{
	struct crier_wire_exit r = {
		.task = story_task(part, "app"),
		.status = part->b | (uint32_t)part->c << 8,
		.flags = part->d,
		.user_ns = 1000000,
		.peak_rss_bytes = part->d * 4096ULL,
	};

	story_record(teller, CRIER_WIRE_EXIT, story_cgroup(part), &r, sizeof(r));
}

static inline void story_signal(struct story_teller *teller, const struct story_part *part)
{
	struct crier_wire_signal r = {
		.target = story_task(part, "app"),
		.signal = part->b,
		.result = part->c >> 6,
		.flags = part->c & 15,
	};

	if (part->c & CRIER_SIGNAL_FROM_PROCESS) {
		r.sender = story_task(part, "sender\n\xff");
		r.sender.cgroup_id = part->d & 8 ? 2 : story_cgroup(part);
	}
	story_record(teller, CRIER_WIRE_SIGNAL, story_cgroup(part), &r, sizeof(r));
}

static inline void story_oom(struct story_teller *teller, const struct story_part *part)
{
	struct crier_wire_oom r = {
		.victim = story_task(part, "java"),
		.trigger = story_task(part, "trigger"),
		.limit_cgroup_id = story_cgroup(part),
		.anon_pages = 1000,
		.flags = part->b,
		.page_size = 4096,
		.level_count = part->c % (CRIER_WIRE_OOM_LEVELS + 1),
	};

	for (uint32_t i = 0; i < r.level_count; i++)
		r.levels[i] = (struct crier_wire_oom_level){
			.cgroup_id = i == 0 ? story_cgroup(part) : 6u - crier_min(i, 5u),
			.usage_pages = 16384,
			.max_pages = part->d & 1u << i % 8 ? 16384 : CRIER_WIRE_PAGES_UNLIMITED,
			.oom_delta = part->d == i,
			.flags = part->a % 4,
		};
	story_record(teller, CRIER_WIRE_OOM, story_cgroup(part), &r, sizeof(r));
}

/* ---- the runtime ---- */

static inline void story_mail(struct story_teller *teller, const struct crier_meta_message *message)
{
	static char blob[CRIER_META_BLOB_MAX] __attribute__((aligned(8)));
	struct crier_buf buf;

	crier_buf_init(&buf, blob, sizeof(blob));
	FUZZ_CLAIM(crier_meta_encode(message, &buf) == 0, "a story does not fit");
	teller->feed(teller->ctx, CRIER_INPUT_MAIL, blob, buf.len);
}

static inline void story_fill_pod(struct crier_meta_pod *pod, const struct story_part *part)
{
	pod->sandbox_id = story_id(part->d & 7);
	if (part->c & 1)
		pod->uid = story_uid(part->c & 32 ? part->d : 1);
	if (part->c & 2)
		pod->name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k");
	if (part->c & 2)
		pod->namespace_ = CRIER_SLICE("shop");
	if (part->c & 4) {
		pod->labels.count = 1;
		pod->labels.items[0] = (struct crier_meta_label){CRIER_SLICE("app"), CRIER_SLICE("cart\xff")};
	}
	if (part->c & 8)
		pod->pid = 10u + (part->d & 7);
	pod->ready = part->c & 16 ? 0 : 1;
}

/* The same told by the event stream: of a sandbox, of a container, or of one that is gone with its status. */
static inline void story_as_event(struct crier_meta_message *message, const struct story_part *part)
{
	message->type = CRIER_META_EVENT;
	message->generation = 0;
	message->event = (part->d >> 4) % CRIER_META_EVENT_COUNT;
	message->id = part->a & 8 ? story_id(part->d & 7) : message->container.id;
	if (part->a & 8 || message->event == CRIER_META_EVENT_DELETED)
		message->container.id = CRIER_SLICE_NONE;
}

static inline void story_container(struct story_teller *teller, const struct story_part *part)
{
	static struct crier_meta_message message;
	struct crier_meta_container *container = &message.container;

	crier_meta_clear(&message);
	message.type = CRIER_META_CONTAINER;
	message.generation = part->a >> 4;
	container->id = story_id(part->container);
	container->state = part->a % CRIER_STATE_COUNT;
	if (part->b & 1)
		container->name = CRIER_SLICE("app");
	if (part->b & 2) {
		container->pod_uid = CRIER_SLICE(STORY_POD_UID);
		container->pod_name = CRIER_SLICE("cart-7d9f8b6c5-x2x4k");
		container->pod_namespace = CRIER_SLICE("shop");
	}
	if (part->b & 4)
		container->pid = 10u + part->container;
	if (part->b & 8)
		container->memory_limit_bytes = 64 << 20;
	if (part->b & 16)
		container->finished_at_ns = teller->now_ns + 1700000000ULL * 1000000000;
	if (part->b & 32)
		container->reason = CRIER_SLICE("OOMKilled");
	if (container->state == CRIER_STATE_EXITED)
		container->exit_code = 137;
	if (part->b & 64)
		container->sandbox_id = story_id(part->d & 7);
	if (part->b & 128)
		story_fill_pod(&message.pod, part);
	if (part->a & 4)
		story_as_event(&message, part);
	story_mail(teller, &message);
}

static inline void story_runtime(struct story_teller *teller, const struct story_part *part, enum story what)
{
	static struct crier_meta_message message;

	crier_meta_clear(&message);
	message.generation = part->a >> 4;
	if (what == STORY_POD) {
		message.type = CRIER_META_POD;
		story_fill_pod(&message.pod, part);
	} else if (what == STORY_MISSING) {
		message.type = CRIER_META_MISSING;
		message.id = story_id(part->container);
		message.status = part->b % CRIER_META_STATUS_COUNT;
	} else if (what == STORY_LIST) {
		message.type = part->b & 1 ? CRIER_META_LIST_BEGIN : CRIER_META_LIST_END;
	} else {
		message.type = part->b & 1 ? CRIER_META_RUNTIME : CRIER_META_DOWN;
		message.error = CRIER_SLICE("/run/fake.sock: refused");
		message.runtime.name = CRIER_SLICE("containerd");
		message.runtime.stream = part->c % CRIER_STREAM_COUNT;
	}
	story_mail(teller, &message);
}

/* Alive before crier looked: its directory met by the walk, or its process among those of the start. */
static inline void story_found(struct story_teller *teller, const struct story_part *part)
{
	static const char parent[] = "/kubepods/burstable/pod" STORY_POD_UID "/";
	struct crier_wire_seed seed = {.task = story_task(part, "app"),
				       .memory_cgroup_id = story_cgroup(part)};
	struct {
		struct crier_input_cgroup input;
		char path[sizeof(parent) - 1 + 64];
	} dir = {.input = {story_cgroup(part), STORY_POD_CGROUP}};

	memcpy(dir.path, parent, sizeof(parent) - 1);
	memcpy(dir.path + sizeof(parent) - 1, story_id(part->container).ptr, 64);
	if (part->b & 1)
		teller->feed(teller->ctx, CRIER_INPUT_CGROUP, &dir, sizeof(dir.input) + sizeof(dir.path));
	teller->feed(teller->ctx, CRIER_INPUT_SEED, &seed, sizeof(seed));
}

static inline void story_tell(struct story_teller *teller, enum story what, struct crier_slice bytes)
{
	struct fuzz_input input = {(const uint8_t *)bytes.ptr, (const uint8_t *)bytes.ptr + bytes.len};
	struct story_part part = {.container = fuzz_u8(&input) % STORY_CONTAINERS};

	part.a = fuzz_u8(&input);
	part.b = fuzz_u8(&input);
	part.c = fuzz_u8(&input);
	part.d = fuzz_u8(&input);

	switch (what) {
	case STORY_MKDIR: story_mkdir(teller, &part); break;
	case STORY_POPULATED:
	case STORY_RMDIR:
	case STORY_HINT: story_cgroup_change(teller, &part, what); break;
	case STORY_EXEC: story_exec(teller, &part); break;
	case STORY_FORK: story_fork(teller, &part); break;
	case STORY_EXIT: story_exit(teller, &part); break;
	case STORY_SIGNAL: story_signal(teller, &part); break;
	case STORY_OOM: story_oom(teller, &part); break;
	case STORY_CONTAINER: story_container(teller, &part); break;
	case STORY_FOUND: story_found(teller, &part); break;
	default: story_runtime(teller, &part, what); break;
	}
}

#endif
