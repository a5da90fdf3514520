/* SPDX-License-Identifier: Apache-2.0 */
/* Real OOM kills, each in cgroups of its own; and the hints of reclaim. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define MIB		  (1ull << 20)
#define LIMIT		  (24 * MIB)
#define page_count(bytes) ((bytes) / (uint64_t)sysconf(_SC_PAGESIZE))

static void check_victim(const struct record *record, const struct child *child, const struct box *box)
{
	const struct crier_wire_oom *oom = record->oom;

	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
	CHECK_EQ(record->header->cgroup_id, box->id);
	CHECK_EQ(oom->victim.pid, child->pid);
	CHECK_EQ(oom->victim.parent_pid, getpid());
	CHECK_EQ(oom->victim.cgroup_id, box->id);
	CHECK_EQ(oom->page_size, sysconf(_SC_PAGESIZE));
	CHECK(oom->level_count >= 2, "%u levels", oom->level_count);
	CHECK_EQ(oom->levels[0].cgroup_id, box->memory_id);
	CHECK(oom->levels[oom->level_count - 1].cgroup_id == 1, "the chain ends at %llu",
	      (unsigned long long)oom->levels[oom->level_count - 1].cgroup_id);
	CHECK(oom->levels[oom->level_count - 1].max_pages >= CRIER_WIRE_PAGES_UNLIMITED,
	      "the root has a limit");
	/* the per-CPU parts of rss_stat lag */
	CHECK(oom->anon_pages > page_count(LIMIT) / 2 && oom->anon_pages < page_count(2 * LIMIT),
	      "%llu anon pages", (unsigned long long)oom->anon_pages);
	CHECK(oom->total_vm_pages > oom->anon_pages, "%llu pages of address space",
	      (unsigned long long)oom->total_vm_pages);
	CHECK(oom->pgtables_bytes >= 4096 && oom->pgtables_bytes < 64 * MIB, "%llu bytes of page tables",
	      (unsigned long long)oom->pgtables_bytes);
}

/* Exactly one level's count rose, and it is known that it did. */
static void check_level(const struct crier_wire_oom *oom, unsigned owner, const struct box *box)
{
	for (unsigned i = 0; i < oom->level_count; i++) {
		CHECK(oom->levels[i].flags & CRIER_OOM_LEVEL_DELTA_KNOWN, "level %u of %u: rise not known", i,
		      oom->level_count);
		if (i != owner)
			CHECK(oom->levels[i].oom_delta == 0, "level %u of %u rose by %u", i, oom->level_count,
			      oom->levels[i].oom_delta);
	}
	CHECK(oom->levels[owner].oom_delta >= 1, "level %u did not rise", owner);
	CHECK_EQ(oom->levels[owner].cgroup_id, box->memory_id);
	CHECK_EQ(oom->levels[owner].max_pages, page_count(LIMIT));
	CHECK(oom->levels[owner].usage_pages > page_count(LIMIT) * 9 / 10, "usage %llu of %llu pages",
	      (unsigned long long)oom->levels[owner].usage_pages, (unsigned long long)page_count(LIMIT));
	CHECK(oom->levels[owner].peak_pages >= oom->levels[owner].usage_pages, "peak below usage");
}

static void expect_oom_exit(const struct child *child)
{
	const struct record *record = records_need(CRIER_WIRE_EXIT, (uint32_t)child->pid, 0);

	CHECK_EQ(child->status, SIGKILL);
	CHECK_EQ(record->exit->status, SIGKILL);
	CHECK(record->exit->flags & CRIER_EXIT_OOM, "exit flags %x", record->exit->flags);
	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
	CHECK_EQ(records_count(CRIER_WIRE_EXIT, (uint32_t)child->pid, 0), 1);
	CHECK_EQ(records_count(CRIER_WIRE_OOM, (uint32_t)child->pid, 0), 1);
}

static void check_own_limit(const struct setup *setup)
{
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(setup);
	box = box_make(NULL, "oom");
	box_limit(box, LIMIT);
	child_run(box, body_hog, NULL, &child);
	record = records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, box->id);
	check_victim(record, &child, box);
	check_level(record->oom, 0, box);
	CHECK_EQ(record->oom->trigger.pid, child.pid);
	CHECK(!(record->oom->flags & (CRIER_OOM_VICTIM_BY_PID | CRIER_OOM_LEVELS_CUT | CRIER_OOM_GLOBAL)),
	      "flags %x", record->oom->flags);
	expect_oom_exit(&child);

	/* a second kill in the same cgroup: the rise is of this one alone */
	records_clear();
	child_run(box, body_hog, NULL, &child);
	record = records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, box->id);
	check_level(record->oom, 0, box);
	expect_oom_exit(&child);
}

static void own_limit(void)
{
	check_own_limit(&(struct setup){0});
}

static void own_limit_v1(void)
{
	check_own_limit(&(struct setup){.is_v1 = true});
}

static void own_limit_raw_tp(void)
{
	check_own_limit(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

/* The function that calls the tracepoint, as the only hook of kills; all other events as they like. */
static void check_by_function(enum crier_hook_kind kind)
{
	struct setup setup = {.oom_kinds = (uint8_t)(1u << kind)};
	const struct crier_event_report *report;

	setup_open(&setup);
	report = &crier_probe_report(probe)[CRIER_PROBE_OOM];
	for (size_t i = 0; i < report->hook_count; i++)
		if (!report->served && !strstr(report->hooks[i].reason, "--hook"))
			test_skip("%s: %s", report->hooks[i].name, report->hooks[i].reason);
	CHECK(report->served, "no hook");
	setup_close();
	check_own_limit(&setup);
}

static void own_limit_fentry(void)
{
	check_by_function(CRIER_HOOK_KIND_FENTRY);
}

static void own_limit_kprobe(void)
{
	check_by_function(CRIER_HOOK_KIND_KPROBE);
}

/* The pod's limit is hit by a child of one of its containers, which has a higher limit of its own. */
static void pod_limit(void)
{
	const struct record *record;
	struct box *pod, *box;
	struct child child;

	setup_open(&(struct setup){0});
	pod = box_make(NULL, "pod");
	if (has_v1_memory())
		write_file(pod->memory, "memory.use_hierarchy", "1");
	box = box_make(pod, "container");
	box_limit(pod, LIMIT);
	child_run(box, body_hog, NULL, &child);
	record = records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, box->id);
	check_victim(record, &child, box);
	check_level(record->oom, 1, pod);
	expect_oom_exit(&child);
}

static void *thread_hog(void *arg)
{
	return (void *)(intptr_t)body_hog(arg);
}

static int body_hog_threads(void *arg)
{
	pthread_t thread;

	for (int i = 0; i < 8; i++)
		pthread_create(&thread, NULL, thread_hog, NULL);
	return body_pause(arg);
}

/* mark_victim fires for each thread that meets the limit on its way out: one record all the same. */
static void threads_once(void)
{
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "threads");
	box_limit(box, LIMIT);
	for (int i = 0; i < 5; i++) {
		child_run(box, body_hog_threads, NULL, &child);
		records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, box->id);
		expect_oom_exit(&child);
	}
	CHECK_EQ(records_count(CRIER_WIRE_OOM, 0, box->id), 5);
}

/* memory.oom.group: one record for each process of the group, each with the rise. */
static void group_kill(void)
{
	struct child bystanders[2], hog;
	const struct record *record;
	struct box *box;

	if (has_v1_memory())
		test_skip("the memory controller is on v1 here, which has no memory.oom.group");
	setup_open(&(struct setup){0});
	box = box_make(NULL, "group");
	box_limit(box, LIMIT);
	write_file(box->memory, "memory.oom.group", "1");
	for (int i = 0; i < 2; i++) {
		bystanders[i] = child_start(box, body_pause, NULL);
		child_go(&bystanders[i]);
	}
	child_run(box, body_hog, NULL, &hog);
	for (int i = 0; i < 2; i++) {
		child_wait(&bystanders[i]);
		record = records_need(CRIER_WIRE_OOM, (uint32_t)bystanders[i].pid, 0);
		expect_oom_exit(&bystanders[i]);
		if (record->oom->flags & CRIER_OOM_VICTIM_BY_PID) {
			/* mark_victim(int) without the function that calls it: all that is told of members */
			CHECK(!crier_probe_report(probe)[CRIER_PROBE_OOM_VICTIM].served, "known by pid only");
			continue;
		}
		CHECK_EQ(record->header->cgroup_id, box->id);
		check_level(record->oom, 0, box);
		CHECK(record->oom->levels[0].flags & CRIER_OOM_LEVEL_GROUP, "group flag");
	}
	check_level(records_need(CRIER_WIRE_OOM, (uint32_t)hog.pid, box->id)->oom, 0, box);
	expect_oom_exit(&hog);
}

/* A cgroup from before the start: with a process it was seeded and its rise is known, without it is not. */
static void older_cgroups(void)
{
	struct child inhabitant, child;
	struct box *inhabited, *empty;
	const struct record *record;

	inhabited = box_make(NULL, "inhabited");
	empty = box_make(NULL, "empty");
	box_limit(inhabited, LIMIT);
	box_limit(empty, LIMIT);
	inhabitant = child_start(inhabited, body_pause, NULL);
	/* a count above zero before the start must not pass for a rise */
	child_run(empty, body_hog, NULL, NULL);
	child_run(inhabited, body_hog, NULL, NULL);
	setup_open(&(struct setup){0});
	child_run(inhabited, body_hog, NULL, &child);
	record = records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, 0);
	check_level(record->oom, 0, inhabited);
	child_run(empty, body_hog, NULL, &child);
	record = records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, 0);
	CHECK(!(record->oom->levels[0].flags & CRIER_OOM_LEVEL_DELTA_KNOWN), "nothing was known of it");
	CHECK_EQ(record->oom->levels[0].oom_delta, 0);
	child_run(empty, body_hog, NULL, &child); /* now it is */
	check_level(records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, 0)->oom, 0, empty);
	kill(inhabitant.pid, SIGKILL);
}

/* What a container's count had come to before the start is no rise when its pod's limit is hit. */
static void older_count_is_no_rise(void)
{
	struct child inhabitant, child;
	struct box *pod, *box;

	pod = box_make(NULL, "pod");
	box = box_make(pod, "container");
	box_limit(box, LIMIT);
	inhabitant = child_start(box, body_pause, NULL);
	child_run(box, body_hog, NULL, NULL);
	box_limit(box, 10 * LIMIT);
	setup_open(&(struct setup){0});
	box_limit(pod, LIMIT);
	child_run(box, body_hog, NULL, &child);
	check_level(records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, 0)->oom, 1, pod);
	kill(inhabitant.pid, SIGKILL);
}

static void host_is_not_filtered(void)
{
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "host");
	box_limit(box, LIMIT);
	CHECK_EQ(crier_probe_classify(probe, box->id, CRIER_CGROUP_HOST), 0);
	child_run(box, body_hog, NULL, &child);
	records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, box->id);
	expect_oom_exit(&child);
}

/* Another task lowers the limit: it is the trigger, the victim's cgroup is the owner. */
static void trigger_is_not_the_victim(void)
{
	const struct record *record;
	struct child child;
	struct box *box;

	if (has_v1_memory())
		test_skip("v1 refuses to lower a limit below the usage");
	setup_open(&(struct setup){0});
	box = box_make(NULL, "lower");
	box_limit(box, 4 * LIMIT);
	child = child_start(box, body_hog, (void *)(intptr_t)(2 * LIMIT / MIB));
	child_go(&child);
	wait_asleep(child.pid);
	box_limit(box, LIMIT);
	child_wait(&child);
	record = records_need(CRIER_WIRE_OOM, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->oom->trigger.pid, getpid());
	CHECK(record->oom->levels[0].oom_delta >= 1, "level 0 did not rise");
}

/* reclaim */

static int body_fill_page_cache(void *arg)
{
	static char block[1 << 16];
	int fd = open("/var/tmp", O_TMPFILE | O_RDWR, 0600);
	uint64_t end = now_ns() + 1200000000u;

	(void)arg;
	if (fd < 0)
		return 1;
	while (now_ns() < end) { /* 128 MiB round and round through a cgroup of 24 */
		for (int i = 0; i < 2048; i++)
			if (pwrite(fd, block, sizeof(block), (off_t)i * (off_t)sizeof(block)) < 0)
				return 2;
		if (fdatasync(fd) < 0)
			return 3;
	}
	return 0;
}

static void reclaim_hints(void)
{
	const struct record *record;
	struct box *box, *host;
	struct statfs fs;
	size_t count;

	if (statfs("/var/tmp", &fs) < 0 || fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)
		test_skip("/var/tmp is in memory here: its pages are not page cache");
	setup_open(&(struct setup){0});
	box = box_make(NULL, "reclaim");
	host = box_make(NULL, "host");
	box_limit(box, LIMIT);
	box_limit(host, LIMIT);
	CHECK_EQ(crier_probe_classify(probe, host->id, CRIER_CGROUP_HOST), 0);
	CHECK_EQ(child_run(box, body_fill_page_cache, NULL, NULL), 0);
	record = records_need(CRIER_WIRE_PRESSURE_HINT, 0, box->id);
	CHECK_EQ(record->hint->memory_cgroup_id, box->memory_id);
	CHECK_EQ(record->header->ring, CRIER_CLASS_BULK);
	count = records_count(CRIER_WIRE_PRESSURE_HINT, 0, box->id);
	CHECK(count >= 1 && count <= 10, "%zu hints", count); /* one in 500 ms, however slow the disk was */
	for (size_t i = 0, last = 0; i < record_count; i++) {
		if (records[i].header->type != CRIER_WIRE_PRESSURE_HINT ||
		    records[i].header->cgroup_id != box->id)
			continue;
		CHECK(records[i].header->boottime_ns - last >= 500000000u, "hints too close");
		last = records[i].header->boottime_ns;
	}
	CHECK_EQ(child_run(host, body_fill_page_cache, NULL, NULL), 0);
	CHECK_EQ(records_count(CRIER_WIRE_PRESSURE_HINT, 0, host->id), 0);
}

const struct test_case oom_tests[] = {
	{"oom_own_limit", own_limit, true},
	{"oom_own_limit_v1", own_limit_v1, true},
	{"oom_own_limit_raw_tp", own_limit_raw_tp, true},
	{"oom_own_limit_fentry", own_limit_fentry, true},
	{"oom_own_limit_kprobe", own_limit_kprobe, true},
	{"oom_pod_limit", pod_limit, true},
	{"oom_threads_once", threads_once, true},
	{"oom_group_kill", group_kill, true},
	{"oom_older_cgroups", older_cgroups, true},
	{"oom_older_count_is_no_rise", older_count_is_no_rise, true},
	{"oom_host_is_not_filtered", host_is_not_filtered, true},
	{"oom_trigger_is_not_the_victim", trigger_is_not_the_victim, true},
	{"pressure_reclaim_hints", reclaim_hints, true},
	{0},
};
