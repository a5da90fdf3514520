/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the look-ups of the event path cost: a cgroup by id (few, many, absent), a container by id, a hold's has, and the
 * parser on three paths. Not a test. bench_cgroup [ROUNDS]; best of five runs.
 */
#include <stdio.h>
#include <time.h>

#include "crier/base/hash.h"
#include "crier/cgroup.h"
#include "crier/hold.h"
#include "crier/index.h"

#define MANY 65536u

struct fixture {
	struct crier_cgroup_table *table;
	struct crier_index *index;
	struct crier_hold *hold;
	uint64_t *ids; /* in the order they are asked for */
	uint32_t count;
	struct crier_slice path;
	char (*names)[65];
};

typedef uintptr_t (*measured_fn)(const struct fixture *fixture, uint32_t round);

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(const char *name, const struct fixture *fixture, measured_fn fn, uint32_t rounds)
{
	volatile uintptr_t sink = 0;
	double best = 0;

	for (int attempt = 0; attempt < 5; attempt++) {
		double start = now_ns();

		for (uint32_t i = 0; i < rounds; i++)
			sink += fn(fixture, i);
		double each = (now_ns() - start) / rounds;

		if (attempt == 0 || each < best)
			best = each;
	}
	printf("%-40s %7.1f ns\n", name, best);
}

static uintptr_t get_cgroup(const struct fixture *f, uint32_t round)
{
	const struct crier_cgroup *cgroup = crier_cgroup_get(f->table, f->ids[round % f->count]);

	return cgroup ? cgroup->id : 0;
}

static uintptr_t get_absent(const struct fixture *f, uint32_t round)
{
	return crier_cgroup_get(f->table, f->ids[round % f->count] + (1ULL << 40)) != NULL;
}

static uintptr_t get_container(const struct fixture *f, uint32_t round)
{
	return (uintptr_t)crier_index_container(f->index,
						(struct crier_slice){f->names[round % f->count], 64});
}

static uintptr_t hold_has(const struct fixture *f, uint32_t round)
{
	return crier_hold_has(f->hold, round % 128);
}

static uintptr_t parse(const struct fixture *f, uint32_t round)
{
	struct crier_cgroup_facts facts;

	(void)round;
	crier_cgroup_parse(f->path, &facts);
	return facts.container_depth;
}

static void ignore(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	(void)ctx;
	(void)pushed_ns;
	(void)bytes;
	(void)len;
}

/* Wait and go, 16 events of 256 bytes each time: the cost of one event's stay. */
static uintptr_t hold_stay(const struct fixture *f, uint32_t round)
{
	static const char record[256];

	if (crier_hold_push(f->hold, 1000, round, record, sizeof(record)) < 0)
		abort();
	return round % 16 == 15 ? crier_hold_release(f->hold, 1000, ignore, NULL) : 0;
}

static void fill(struct fixture *f, uint32_t count)
{
	const struct crier_index_limits limits = {.containers = MANY, .tombstones = 1, .slots = 1};
	const struct crier_hold_limits hold = {
		.events_per_key = 1024, .bytes_per_key = 1 << 20, .events = 16384, .bytes = 8 << 20};

	f->count = count;
	f->ids = calloc(count, sizeof(*f->ids));
	f->names = calloc(count, sizeof(*f->names));
	if (!f->ids || !f->names || crier_cgroup_table_new(MANY, &f->table) < 0 ||
	    crier_index_new(&limits, &f->index) < 0 || crier_hold_new(&hold, &f->hold) < 0)
		abort();
	for (uint32_t i = 0; i < count; i++) {
		struct crier_cgroup *cgroup;
		struct crier_container *container;
		char path[96];

		f->ids[i] = 1 + (crier_hash_u64(i) % (count * 8ULL)); /* inodes, with gaps, in no order */
		for (int word = 0; word < 4; word++)
			snprintf(f->names[i] + 16 * word, 17, "%016llx",
				 (unsigned long long)crier_hash_u64(i * 4ULL + (uint32_t)word + 1));
		snprintf(path, sizeof(path), "/kubepods/burstable/%s", f->names[i]);
		if (!crier_cgroup_get(f->table, f->ids[i]) &&
		    crier_cgroup_add(f->table, f->ids[i], 1, crier_slice_of(path), &cgroup) < 0)
			abort();
		if (crier_index_container_add(f->index, crier_slice_of(f->names[i]), 1, &container) < 0)
			abort();
	}
}

static void done(struct fixture *f)
{
	crier_cgroup_table_free(f->table);
	crier_index_free(f->index);
	crier_hold_free(f->hold);
	free(f->ids);
	free(f->names);
}

#define ID   "3f9c2d4e5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f"
#define UID  "11111111-2222-3333-4444-555555555555"
#define UID_ "11111111_2222_3333_4444_555555555555"

static const struct {
	const char *name, *path;
} paths[] = {
	{"parse host service", "/system.slice/ssh.service"},
	{"parse cgroupfs container", "/kubepods/burstable/pod" UID "/" ID},
	{"parse systemd container", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_
				    ".slice/cri-containerd-" ID ".scope"},
};

int main(int argc, char **argv)
{
	uint32_t rounds = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 5000000;
	static const uint32_t sizes[] = {300, 5000, MANY};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(sizes); i++) {
		struct fixture f = {0};
		char name[64];

		fill(&f, sizes[i]);
		snprintf(name, sizeof(name), "cgroup by id, %u known", sizes[i]);
		measure(name, &f, get_cgroup, rounds);
		snprintf(name, sizeof(name), "cgroup by id, absent of %u", sizes[i]);
		measure(name, &f, get_absent, rounds);
		snprintf(name, sizeof(name), "container by id, %u known", sizes[i]);
		measure(name, &f, get_container, rounds / 5);
		if (i == 0) {
			measure("hold has, nothing waits", &f, hold_has, rounds);
			for (uint64_t key = 1; key < 128; key += 2)
				if (crier_hold_push(f.hold, key, key, "x", 1) < 0)
					abort();
			measure("hold has, 64 of 128 keys wait", &f, hold_has, rounds);
			measure("hold push and release, an event", &f, hold_stay, rounds / 5);
		}
		done(&f);
	}
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(paths); i++)
		measure(paths[i].name, &(struct fixture){.path = crier_slice_of(paths[i].path)}, parse,
			rounds / 5);
	return 0;
}
