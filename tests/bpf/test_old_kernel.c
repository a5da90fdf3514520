/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Branches for older kernels that can be made to run on this one, since user space tells the programs what the kernel
 * has: the object is opened here by hand, with the sign set the other way.
 */
#include "harness.h"

#include "../../src/probe/internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define ROUNDS 200

/* Leave alone, all at the same moment: each on a CPU of its own, none by exit_group. */
static void *leave_together(void *arg)
{
	atomic_int *missing = arg;

	atomic_fetch_sub(missing, 1);
	while (atomic_load(missing) > 0)
		;
	syscall(SYS_exit, 1);
	return NULL;
}

static int body_threads_together(void *arg)
{
	static atomic_int missing = 2;
	pthread_t thread;

	(void)arg;
	pthread_create(&thread, NULL, leave_together, &missing);
	leave_together(&missing);
	return 0;
}

struct exits {
	uint32_t pid;
	uint64_t cgroup_id;
	unsigned of_pid, of_cgroup;
};

static int count_exit(void *ctx, void *bytes, size_t len)
{
	const struct crier_wire_exit *exit_record = bytes;
	struct exits *exits = ctx;

	if (len >= sizeof(*exit_record) && exit_record->header.type == CRIER_WIRE_EXIT) {
		exits->of_pid += exit_record->task.pid == exits->pid;
		exits->of_cgroup += exit_record->header.cgroup_id == exits->cgroup_id;
	}
	return 0;
}

/* Every event is wanted. */
static void fill_slots(const struct crier_bpf *skel, uint32_t cpus)
{
	const struct crier_wire_cpu cpu = {.event_mask = UINT32_MAX};
	struct crier_wire_slot slot = {0};

	memcpy(&slot, &cpu, sizeof(cpu));
	for (uint32_t i = 0; i < cpus; i++) {
		uint32_t key = CRIER_SLOT_CPU + i;

		CHECK_EQ(bpf_map_update_elem(bpf_map__fd(skel->maps.crier_shared), &key, &slot, BPF_ANY), 0);
	}
}

static void check_live_count(const char *program_name)
{
	struct crier_bpf *skel = crier_bpf__open();
	int cpus = libbpf_num_possible_cpus();
	struct exits exits = {0};
	struct bpf_program *program;
	struct ring_buffer *ring;
	struct bpf_link *link;
	struct box *box;

	if (!has_v2())
		test_skip("no v2 hierarchy is mounted here");
	CHECK(skel, "open");
	CHECK(cpus > 0, "%d CPUs", cpus);
	libbpf_set_print(NULL);
	bpf_map__set_max_entries(skel->maps.crier_ring_bulk, 1 << 20);
	bpf_map__set_max_entries(skel->maps.crier_shared, CRIER_SLOT_CPU + (uint32_t)cpus);
	skel->rodata->crier_primary_is_v2 = true;
	skel->rodata->crier_exit_has_group_dead = false;
	bpf_object__for_each_program (program, skel->obj)
		bpf_program__set_autoload(program, strcmp(bpf_program__name(program), program_name) == 0);
	CHECK(crier_bpf__load(skel) == 0, "load");
	fill_slots(skel, (uint32_t)cpus);
	link = crier_typed_attach(bpf_object__find_program_by_name(skel->obj, program_name));
	CHECK(link, "attach");
	box = box_make(NULL, "live");
	exits.cgroup_id = box->unified_id;
	ring = ring_buffer__new(bpf_map__fd(skel->maps.crier_ring_bulk), count_exit, &exits, NULL);
	CHECK(ring, "ring");
	for (int i = 0; i < ROUNDS; i++) {
		struct child child;

		CHECK_EQ(child_run(box, body_threads_together, NULL, &child), 1 << 8);
		exits.pid = (uint32_t)child.pid;
		exits.of_pid = 0;
		ring_buffer__consume(ring);
		CHECK_EQ(exits.of_pid, 1);
	}
	CHECK_EQ(exits.of_cgroup, ROUNDS);
	ring_buffer__free(ring);
	bpf_link__destroy(link);
	crier_bpf__destroy(skel);
}

static void exit_by_live_count(void)
{
	check_live_count("crier_tp_exit");
}

static void exit_by_live_count_raw_tp(void)
{
	check_live_count("crier_raw_exit");
}

const struct test_case old_kernel_tests[] = {
	{"exit_by_live_count", exit_by_live_count, true},
	{"exit_by_live_count_raw_tp", exit_by_live_count_raw_tp, true},
	{0},
};
