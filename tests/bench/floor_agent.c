/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least an agent can do, measured beside crier in the same run: two BTF tracepoints, a table look-up by cgroup id, a
 * ready fragment and a few numbers, 64 KiB writes. It reads no argument and knows no pod: what the machine allows. With --filter:
 * the least programs that tell nothing.
 */
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crier/base/digits.h"
#include "crier/base/hash.h"
#include "floor.skel.h"

#define OUT_BYTES   (1 << 16)
#define TABLE_SIZE  (1 << 16)
#define DRAIN_NS    20000000L
#define HURRY_NS    1000000L /* after a batch of this size the ring may be full before the usual time */
#define HURRY_BATCH 1000
#define LINE_ROOM   1400

struct record {
	uint64_t boottime_ns, cgroup_id, pid_tgid, uid_gid;
	char comm[16];
	uint64_t type, zero[9];
};

static char out[OUT_BYTES + LINE_ROOM];
static size_t used;
static uint64_t seq, table[TABLE_SIZE];
static char fragment[700];
static volatile sig_atomic_t stopped;

static void on_term(int number)
{
	(void)number;
	stopped = 1;
}

static void flush(void)
{
	for (size_t done = 0; done < used;) {
		ssize_t n = write(STDOUT_FILENO, out + done, used - done);

		if (n <= 0)
			exit(1);
		done += (size_t)n;
	}
	used = 0;
}

static void put(const char *text, size_t len)
{
	memcpy(out + used, text, len);
	used += len;
}

static void put_number(uint64_t value)
{
	used = (size_t)(crier_digits_put(out + used, value) - out);
}

#define PUT(text) put(text, sizeof(text) - 1)

static int take(void *ctx, void *data, size_t size)
{
	const struct record *record = data;
	size_t slot = crier_hash_u64(record->cgroup_id) % TABLE_SIZE;

	(void)ctx;
	if (size < sizeof(*record))
		return 0;
	table[slot] = record->cgroup_id;
	if (record->type == 1)
		PUT("{\"type\":\"process.exec\",\"seq\":");
	else
		PUT("{\"type\":\"process.exit\",\"seq\":");
	put_number(++seq);
	PUT(",\"boottime_ns\":\"");
	put_number(record->boottime_ns);
	PUT("\",\"pid\":");
	put_number(record->pid_tgid >> 32);
	PUT(",\"uid\":");
	put_number(record->uid_gid & 0xffffffff);
	PUT(",\"cgroup\":");
	put_number(table[slot]);
	PUT(",\"comm\":\"");
	put(record->comm, strnlen(record->comm, sizeof(record->comm)));
	PUT("\"");
	put(fragment, sizeof(fragment));
	PUT("}\n");
	if (used >= OUT_BYTES)
		flush();
	return 0;
}

static int load(struct floor_bpf *skel, bool is_filter)
{
	const struct {
		struct bpf_program *program;
		bool is_filter;
	} each[] = {
		{skel->progs.floor_exec, false},     {skel->progs.floor_exit, false},
		{skel->progs.floor_host_exec, true}, {skel->progs.floor_host_exit, true},
		{skel->progs.floor_host_fork, true},
	};

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
		bpf_program__set_autoload(each[i].program, each[i].is_filter == is_filter);
	bpf_program__set_autoattach(skel->progs.floor_inject, false);
	return floor_bpf__load(skel) || floor_bpf__attach(skel) ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct floor_bpf *skel = floor_bpf__open();
	struct ring_buffer *ring;
	uint64_t before = 0;

	if (!skel)
		return 1;
	if (load(skel, argc > 1 && strcmp(argv[1], "--filter") == 0) < 0)
		return 1;
	ring = ring_buffer__new(bpf_map__fd(skel->maps.floor_ring), take, NULL, NULL);
	if (!ring)
		return 1;
	memset(fragment, 'x', sizeof(fragment));
	memcpy(fragment, ",\"k8s\":\"", 8);
	fragment[sizeof(fragment) - 1] = '"';
	signal(SIGTERM, on_term);
	PUT("{\"type\":\"agent.start\"}\n");
	flush();
	while (!stopped) {
		nanosleep(&(struct timespec){.tv_nsec = seq - before < HURRY_BATCH ? DRAIN_NS : HURRY_NS},
			  NULL);
		before = seq;
		ring_buffer__consume(ring);
		if (used)
			flush();
	}
	floor_bpf__detach(skel);
	ring_buffer__consume(ring);
	PUT("{\"type\":\"agent.stop\",\"lost\":");
	put_number(skel->bss->floor_lost);
	PUT("}\n");
	flush();
	return 0;
}
