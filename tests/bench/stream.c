/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crier/decode.h"

#define HELD_EVENTS 256
#define LIFE_PODS   16
#define FIRST_PID   2000000 /* above those of inits */
/* Numbers of containers that come and go begin here, those of their directories likewise. */
#define LIFE_FIRST_NUMBER (1ULL << 41)
#define LIFE_FIRST_CGROUP (1ULL << 33)

const char *const bench_kind_names[BENCH_KIND_COUNT] = {
	[BENCH_EXEC] = "exec",
	[BENCH_EXEC_ARGS] = "exec_args",
	[BENCH_FORK] = "fork",
	[BENCH_EXIT] = "exit",
	[BENCH_EXIT_SIGNAL] = "exit_signal",
	[BENCH_SIGNAL] = "signal",
	[BENCH_OOM] = "oom",
	[BENCH_HOST] = "host",
	[BENCH_HELD] = "held",
	[BENCH_LIFE] = "life",
	[BENCH_MIX] = "mix",
};

static const char *const programs[] = {
	"/usr/bin/curl", "/usr/local/bin/python3.11",
	"/bin/sh",	 "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
	"/usr/bin/env",	 "/app/bin/server",
	"/bin/cat",	 "/usr/sbin/nginx",
};

static uint64_t next_random(struct bench_stream *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static uint32_t pick_container(struct bench_stream *s)
{
	uint32_t n = s->node->containers;

	if (!s->skewed)
		return (uint32_t)(next_random(s) % n);
	double u = (double)(next_random(s) >> 11) / (double)(1ULL << 53);
	uint32_t rank = (uint32_t)(exp(u * log((double)n + 1)) - 1);

	return rank < n ? rank : n - 1;
}

/* ---- one item ---- */

static void *add(struct bench_stream *s, enum crier_input_type type, size_t len)
{
	struct bench_item *item = &s->items[s->count++];
	void *bytes = s->ring + s->used;

	*item = (struct bench_item){(uint32_t)s->used, (uint32_t)len, type};
	memset(bytes, 0, len);
	s->used += (len + 7) & ~7UL;
	return bytes;
}

static void *add_record(struct bench_stream *s, enum crier_wire_type type, enum crier_wire_class ring,
			enum crier_wire_hook hook, uint64_t cgroup_id, size_t len)
{
	struct crier_wire_header *header = add(s, CRIER_INPUT_RECORD, (len + 7) & ~7UL);

	s->node->now_ns += 1000;
	*header = (struct crier_wire_header){
		.length = (uint16_t)((len + 7) & ~7UL),
		.version = CRIER_WIRE_VERSION,
		.type = (uint8_t)type,
		.ring = (uint8_t)ring,
		.hook = (uint8_t)hook,
		.cpu = (uint16_t)(s->next_pid & 1),
		.boottime_ns = s->node->now_ns,
		.cgroup_id = cgroup_id,
	};
	if (crier_wire_is_event(type)) {
		s->events++;
		s->node->fed[type]++;
	}
	return header;
}

static struct crier_wire_task task_of(const struct bench_process *process, uint64_t cgroup_id)
{
	const char *path = programs[process->pid % CRIER_ARRAY_SIZE(programs)];
	const char *comm = strrchr(path, '/') + 1;
	struct crier_wire_task task = {
		.start_boottime_ns = process->start_ns,
		.parent_start_boottime_ns = bench_init_start_ns(process->number),
		.cgroup_id = cgroup_id,
		.pid = process->pid,
		.tid = process->pid,
		.vpid = 2 + process->pid % 500,
		.parent_pid = bench_init_pid(process->number),
		.uid = 1000,
		.flags = CRIER_TASK_VALID | CRIER_TASK_EXECED,
	};

	memcpy(task.comm, comm, strnlen(comm, sizeof(task.comm) - 1));
	return task;
}

static void add_exec(struct bench_stream *s, const struct bench_process *process, uint64_t cgroup_id,
		     bool args)
{
	static const char arguments[] =
		"curl\0-fsS\0--max-time\0"
		"5\0http://127.0.0.1:8080/healthz?verbose=1\0--header\0Accept: application/json";
	const char *filename = programs[process->pid % CRIER_ARRAY_SIZE(programs)];
	size_t filename_len = strlen(filename), args_len = args ? sizeof(arguments) : 0;
	struct crier_wire_exec *exec =
		add_record(s, CRIER_WIRE_EXEC, CRIER_CLASS_BULK, CRIER_HOOK_TP_BTF_EXEC, cgroup_id,
			   sizeof(*exec) + filename_len + args_len);

	exec->task = task_of(process, cgroup_id);
	exec->args_count = 7;
	exec->filename = (struct crier_wire_text){sizeof(*exec), (uint16_t)filename_len};
	memcpy(exec + 1, filename, filename_len);
	if (args_len) {
		exec->args = (struct crier_wire_text){(uint16_t)(sizeof(*exec) + filename_len),
						      (uint16_t)args_len};
		memcpy((char *)(exec + 1) + filename_len, arguments, args_len);
	}
}

static void add_fork(struct bench_stream *s, const struct bench_process *process, uint64_t cgroup_id)
{
	struct crier_wire_fork *fork = add_record(s, CRIER_WIRE_FORK, CRIER_CLASS_BULK,
						  CRIER_HOOK_TP_BTF_FORK, cgroup_id, sizeof(*fork));
	struct bench_process parent = *process;

	parent.pid = bench_init_pid(process->number);
	parent.start_ns = bench_init_start_ns(process->number);
	fork->child = task_of(process, cgroup_id);
	fork->child.flags &= ~CRIER_TASK_EXECED;
	fork->parent = task_of(&parent, cgroup_id);
}

static void add_exit(struct bench_stream *s, const struct bench_process *process, uint64_t cgroup_id,
		     uint32_t status, uint32_t flags)
{
	struct crier_wire_exit *exit = add_record(s, CRIER_WIRE_EXIT, CRIER_CLASS_BULK,
						  CRIER_HOOK_TP_BTF_EXIT, cgroup_id, sizeof(*exit));

	exit->task = task_of(process, cgroup_id);
	exit->user_ns = 1234000;
	exit->system_ns = 2345000;
	exit->cpu_ns = 3579111;
	exit->peak_rss_bytes = 3 << 20;
	exit->status = status;
	exit->flags = CRIER_EXIT_GROUP_EXIT | flags;
}

static void add_signal(struct bench_stream *s, const struct bench_process *process, uint64_t cgroup_id,
		       uint32_t number, uint32_t flags)
{
	struct crier_wire_signal *signal = add_record(s, CRIER_WIRE_SIGNAL, CRIER_CLASS_BULK,
						      CRIER_HOOK_TP_BTF_SIGNAL, cgroup_id, sizeof(*signal));

	signal->target = task_of(process, cgroup_id);
	signal->signal = number;
	signal->flags = flags;
	if (flags & CRIER_SIGNAL_FROM_PROCESS) {
		signal->sender = signal->target;
		signal->sender.pid++;
	}
}

static void add_oom(struct bench_stream *s, const struct bench_process *process, uint64_t cgroup_id)
{
	struct crier_wire_oom *oom = add_record(s, CRIER_WIRE_OOM, CRIER_CLASS_CRITICAL,
						CRIER_HOOK_FENTRY_OOM_KILL_PROCESS, cgroup_id, sizeof(*oom));
	const uint64_t chain[] = {cgroup_id, bench_pod_cgroup_of(s->node, process->container),
				  BENCH_CG_BURSTABLE, BENCH_CG_KUBEPODS};

	oom->victim = oom->trigger = task_of(process, cgroup_id);
	oom->limit_cgroup_id = cgroup_id;
	oom->total_pages = 16384;
	oom->anon_pages = 15360;
	oom->file_pages = 512;
	oom->hiwater_rss_pages = 15900;
	oom->total_vm_pages = 262144;
	oom->pgtables_bytes = 262144;
	oom->oom_score_adj = 992;
	oom->flags = CRIER_OOM_HAS_CONTROL;
	oom->page_size = 4096;
	oom->level_count = CRIER_ARRAY_SIZE(chain);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(chain); i++)
		oom->levels[i] = (struct crier_wire_oom_level){
			.cgroup_id = chain[i],
			.usage_pages = 16384,
			.max_pages = i ? 1ULL << 51 : 16384,
			.peak_pages = 16384,
			.flags = CRIER_OOM_LEVEL_DELTA_KNOWN,
		};
}

static void add_mkdir(struct bench_stream *s, uint64_t cgroup_id, uint64_t parent_id, const char *name)
{
	size_t len = strlen(name);
	struct crier_wire_cgroup_mkdir *mkdir =
		add_record(s, CRIER_WIRE_CGROUP_MKDIR, CRIER_CLASS_CRITICAL, CRIER_HOOK_TP_BTF_CGROUP_MKDIR,
			   cgroup_id, sizeof(*mkdir) + len);

	mkdir->parent_id = parent_id;
	mkdir->level = 4;
	mkdir->name = (struct crier_wire_text){sizeof(*mkdir), (uint16_t)len};
	memcpy(mkdir + 1, name, len);
}

static void add_populated(struct bench_stream *s, uint64_t cgroup_id, uint32_t populated)
{
	struct crier_wire_cgroup_populated *record =
		add_record(s, CRIER_WIRE_CGROUP_POPULATED, CRIER_CLASS_CRITICAL,
			   CRIER_HOOK_TP_BTF_CGROUP_POPULATED, cgroup_id, sizeof(*record));

	record->populated = populated;
}

static void add_rmdir(struct bench_stream *s, uint64_t cgroup_id)
{
	(void)add_record(s, CRIER_WIRE_CGROUP_RMDIR, CRIER_CLASS_CRITICAL, CRIER_HOOK_TP_BTF_CGROUP_RMDIR,
			 cgroup_id, sizeof(struct crier_wire_cgroup_rmdir));
}

static void add_answer(struct bench_stream *s, uint64_t number, uint32_t pod, enum crier_meta_state state)
{
	size_t len = bench_mail(s->node, number, pod, state);

	memcpy(add(s, CRIER_INPUT_MAIL, len), s->node->blob, len);
}

static void add_missing(struct bench_stream *s, uint64_t number)
{
	struct bench_node *node = s->node;
	struct crier_buf buf;
	char id[65];

	bench_id(number, id);
	crier_meta_clear(&node->message);
	node->message.type = CRIER_META_MISSING;
	node->message.status = CRIER_META_NOT_FOUND;
	node->message.id = crier_slice_of(id);
	crier_buf_init(&buf, node->blob, sizeof(node->blob));
	if (crier_meta_encode(&node->message, &buf) < 0)
		bench_fail("bench: a blob of one id does not fit");
	memcpy(add(s, CRIER_INPUT_MAIL, buf.len), node->blob, buf.len);
}

/* ---- stories ---- */

static struct bench_process process_in(struct bench_stream *s, uint32_t container, uint64_t number)
{
	uint64_t dice = next_random(s);

	s->next_pid = s->next_pid < 4000000 ? s->next_pid + 1 : FIRST_PID;
	return (struct bench_process){
		.pid = s->next_pid,
		.container = container,
		.number = number,
		.start_ns = s->node->now_ns,
		.execs = dice % 100 < 95,
		.killed = dice / 100 % 100 < 5,
		.oom = dice / 10000 % 3000 == 0,
	};
}

static struct bench_process new_process(struct bench_stream *s)
{
	uint32_t container = pick_container(s);

	return process_in(s, container, container);
}

static void add_kill(struct bench_stream *s, const struct bench_process *process, uint64_t cgroup_id,
		     bool oom)
{
	add_signal(s, process, cgroup_id, oom ? SIGKILL : SIGSEGV, CRIER_SIGNAL_FATAL);
	if (oom)
		add_oom(s, process, cgroup_id);
	add_exit(s, process, cgroup_id, oom ? SIGKILL : SIGSEGV, oom ? CRIER_EXIT_OOM : 0);
}

/* One step of one of the processes under way. */
static void add_mix(struct bench_stream *s)
{
	struct bench_process *process = &s->slots[next_random(s) % BENCH_SLOTS];
	uint64_t cgroup_id;

	if (!process->pid || process->step == 3)
		*process = new_process(s);
	cgroup_id = bench_cgroup_of(s->node, process->container);
	if (process->step == 1 && !process->execs)
		process->step++;
	switch (process->step++) {
	case 0: add_fork(s, process, cgroup_id); break;
	case 1: add_exec(s, process, cgroup_id, false); break;
	default:
		if (process->oom || process->killed)
			add_kill(s, process, cgroup_id, process->oom);
		else
			add_exit(s, process, cgroup_id, 0, 0);
	}
}

static void add_held(struct bench_stream *s)
{
	uint32_t life = s->node->lives++, pod = life % LIFE_PODS;
	uint64_t number = LIFE_FIRST_NUMBER + life, cgroup_id = LIFE_FIRST_CGROUP + life;
	struct bench_process process;
	char id[65];

	bench_id(number, id);
	add_mkdir(s, cgroup_id, bench_pod_cgroup_of(s->node, pod * 2), id);
	for (int i = 0; i < HELD_EVENTS; i++) {
		process = process_in(s, pod * 2, number);
		add_exec(s, &process, cgroup_id, false);
	}
	add_answer(s, number, pod, CRIER_STATE_RUNNING);
	add_answer(s, number, pod, CRIER_STATE_EXITED);
	add_rmdir(s, cgroup_id);
	add_missing(s, number);
}

static void add_children(struct bench_stream *s, uint32_t pod, uint64_t number, uint64_t cgroup_id, int count)
{
	for (int i = 0; i < count; i++) {
		struct bench_process child = process_in(s, pod * 2, number);

		add_fork(s, &child, cgroup_id);
		add_exec(s, &child, cgroup_id, false);
		add_exit(s, &child, cgroup_id, 0, 0);
	}
}

static void add_life(struct bench_stream *s)
{
	uint32_t life = s->node->lives++, pod = life % LIFE_PODS;
	uint64_t number = LIFE_FIRST_NUMBER + life, cgroup_id = LIFE_FIRST_CGROUP + life;
	struct bench_process init = {.pid = bench_init_pid(number), .container = pod * 2, .number = number};
	char id[65];

	init.start_ns = s->node->now_ns;
	bench_id(number, id);
	add_mkdir(s, cgroup_id, bench_pod_cgroup_of(s->node, pod * 2), id);
	add_populated(s, cgroup_id, 1);
	add_exec(s, &init, cgroup_id, false);
	add_children(s, pod, number, cgroup_id, 2);
	add_answer(s, number, pod, CRIER_STATE_RUNNING);
	add_children(s, pod, number, cgroup_id, 2);
	add_exit(s, &init, cgroup_id, 0, 0);
	add_populated(s, cgroup_id, 0);
	add_answer(s, number, pod, CRIER_STATE_EXITED);
	add_rmdir(s, cgroup_id);
	add_missing(s, number);
}

static void add_story(struct bench_stream *s)
{
	struct bench_process process;
	uint64_t cgroup_id;

	switch (s->kind) {
	case BENCH_MIX: add_mix(s); return;
	case BENCH_HELD: add_held(s); return;
	case BENCH_LIFE: add_life(s); return;
	default: break;
	}
	process = new_process(s);
	cgroup_id = bench_cgroup_of(s->node, process.container);
	switch (s->kind) {
	case BENCH_EXEC: add_exec(s, &process, cgroup_id, false); break;
	case BENCH_EXEC_ARGS: add_exec(s, &process, cgroup_id, true); break;
	case BENCH_FORK: add_fork(s, &process, cgroup_id); break;
	case BENCH_EXIT: add_exit(s, &process, cgroup_id, 0, 0); break;
	case BENCH_EXIT_SIGNAL: add_kill(s, &process, cgroup_id, false); break;
	case BENCH_SIGNAL: add_signal(s, &process, cgroup_id, SIGTERM, CRIER_SIGNAL_FROM_PROCESS); break;
	case BENCH_OOM: add_kill(s, &process, cgroup_id, true); break;
	default: add_exec(s, &process, BENCH_CG_HOST, false); break;
	}
}

/* What one story takes at most. */
static void bounds_of(enum bench_kind kind, size_t *ret_items, size_t *ret_bytes)
{
	*ret_items = kind == BENCH_HELD ? HELD_EVENTS + 6 : 32;
	*ret_bytes = kind == BENCH_HELD ? 64 * 1024 : 16 * 1024;
}

void bench_stream_fill(struct bench_stream *s)
{
	size_t items, bytes;

	bounds_of(s->kind, &items, &bytes);
	s->used = s->count = 0;
	s->events = 0;
	while (s->count + items <= BENCH_BATCH_ITEMS && s->used + bytes <= BENCH_RING_BYTES)
		add_story(s);
}

void bench_stream_feed(const struct bench_stream *s)
{
	struct crier_pipeline *pipeline = s->node->pipeline;
	uint64_t now_ns = s->node->now_ns;

	struct crier_slice batch[CRIER_PROBE_BATCH];
	size_t i = 0;

	while (i < s->count) {
		size_t count = 0;

		for (; i < s->count && count < CRIER_PROBE_BATCH && s->items[i].type == CRIER_INPUT_RECORD;
		     i++)
			batch[count++] = (struct crier_slice){s->ring + s->items[i].offset, s->items[i].len};
		crier_pipeline_feed_records(pipeline, now_ns, batch, count);
		if (i < s->count && s->items[i].type != CRIER_INPUT_RECORD) {
			crier_pipeline_feed(pipeline, s->items[i].type, now_ns, s->ring + s->items[i].offset,
					    s->items[i].len);
			i++;
		}
	}
	if (now_ns >= crier_pipeline_deadline(pipeline))
		crier_pipeline_feed(pipeline, CRIER_INPUT_TICK, now_ns, NULL, 0);
}

void bench_stream_warm(struct bench_stream *s)
{
	for (uint32_t i = 0; i < s->node->containers; i++) {
		struct bench_process process = process_in(s, i, i);

		s->used = s->count = 0;
		add_exec(s, &process, bench_cgroup_of(s->node, i), false);
		bench_stream_feed(s);
	}
}

struct bench_stream *bench_stream_new(struct bench_node *node, enum bench_kind kind, bool skewed)
{
	struct bench_stream *s = calloc(1, sizeof(*s));

	if (!s)
		bench_fail("bench: out of memory");
	s->ring = aligned_alloc(4096, BENCH_RING_BYTES);
	if (!s->ring)
		bench_fail("bench: out of memory");
	memset(s->ring, 0, BENCH_RING_BYTES);
	s->node = node;
	s->kind = kind;
	s->skewed = skewed;
	s->random = 0x9e3779b97f4a7c15ULL;
	s->next_pid = FIRST_PID;
	return s;
}

void bench_stream_free(struct bench_stream *s)
{
	free(s->ring);
	free(s);
}
