/* SPDX-License-Identifier: Apache-2.0 */
/* Rings, wake-ups, budgets, and that nothing is lost without being counted. */
#include "harness.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/wait.h>

extern char **environ;

/* fork, exec, exit, as often as it says */
static int body_storm(void *arg)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	for (long i = (long)(intptr_t)arg; i; i--) {
		pid_t pid;

		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) != 0 ||
		    waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

static uint64_t sum_of(const struct crier_wire_counters *c, int i)
{
	return c->class_filtered[i] + c->suppressed[i] + c->reserve_failed[i] + c->submitted[i];
}

/* 2,000 processes into a ring of 16 KiB that nobody reads. setup_close() checks the sums again. */
static void storm_into_small_ring(void)
{
	struct crier_probe_blame blame[8] = {0};
	const struct crier_wire_counters *c;
	struct box *box, *other;
	size_t count, bulk = 0;

	setup_open(&(struct setup){.is_quiet = true, .bulk_bytes = 16384, .critical_bytes = 16384});
	box = box_make(NULL, "storm");
	CHECK_EQ(child_run(box, body_storm, (void *)2000, NULL), 0);
	/* the critical ring is another one: the cgroups made meanwhile are all there */
	other = box_make(NULL, "other");
	c = counters_now();
	for (int i = 0; i < CRIER_CLASS_COUNT; i++)
		CHECK_EQ(c->generated[i], sum_of(c, i));
	CHECK(c->generated[CRIER_CLASS_BULK] >= 6000, "%llu generated",
	      (unsigned long long)c->generated[CRIER_CLASS_BULK]);
	CHECK(c->reserve_failed[CRIER_CLASS_BULK] > 5000, "%llu failed",
	      (unsigned long long)c->reserve_failed[CRIER_CLASS_BULK]);
	CHECK_EQ(c->control_failed, 0);
	count = crier_probe_blame(probe, blame, 8);
	CHECK(count >= 1, "nobody is blamed");
	CHECK_EQ(blame[0].cgroup_id, box->id);
	CHECK(blame[0].failed[CRIER_CLASS_BULK] > 5000, "%llu blamed",
	      (unsigned long long)blame[0].failed[CRIER_CLASS_BULK]);
	for (size_t i = 0; i < crier_probe_blame(probe, blame, 8); i++)
		CHECK(blame[i].cgroup_id != box->id, "blamed twice for the same");
	crier_probe_detach(probe);
	records_drain();
	for (size_t i = 0; i < record_count; i++)
		bulk += records[i].header->ring == CRIER_CLASS_BULK &&
			records[i].header->type >= CRIER_WIRE_EXEC;
	CHECK_EQ(bulk, counters_now()->submitted[CRIER_CLASS_BULK]);
	records_need(CRIER_WIRE_CGROUP_MKDIR, 0, other->id);
}

static int body_exec(void *arg)
{
	char *const argv[] = {(char[]){"true"}, NULL};

	(void)arg;
	execve("/bin/true", argv, environ);
	return 1;
}

/* A container's start is told by its init's exec: it is there when the bulk ring is full. */
static void exec_of_init_beside_a_storm(void)
{
	const struct record *record;
	struct child init;
	struct box *box;

	setup_open(&(struct setup){.is_quiet = true, .bulk_bytes = 16384});
	CHECK_EQ(child_run(box_make(NULL, "storm"), body_storm, (void *)200, NULL), 0);
	CHECK(counters_now()->reserve_failed[CRIER_CLASS_BULK] > 0, "the bulk ring is not full");
	box = box_make(NULL, "starts");
	init = child_start_init(box, body_exec, NULL);
	child_go(&init);
	CHECK_EQ(child_wait(&init), 0);
	CHECK_EQ(counters_now()->reserve_failed[CRIER_CLASS_CRITICAL], 0);
	record = records_need(CRIER_WIRE_EXEC, (uint32_t)init.pid, box->id);
	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
}

static void budget(void)
{
	const struct crier_wire_counters *c;
	struct crier_probe_blame blame[8];
	uint64_t start, passed, allowed, span;
	struct box *box, *other;
	size_t count;

	setup_open(&(struct setup){.is_quiet = true, .control = {.bulk_rate = 1000, .critical_rate = 1000}});
	box = box_make(NULL, "budget");
	other = box_make(NULL, "other");
	start = now_ns();
	CHECK_EQ(child_run(box, body_storm, (void *)1500, NULL), 0);
	allowed = 1000 + 1000 * (now_ns() - start) / 1000000000u;
	if (allowed > 4000)
		test_skip("this machine is too slow to go over a budget of 1,000 a second");
	passed = records_count(CRIER_WIRE_EXEC, 0, box->id) + records_count(CRIER_WIRE_FORK, 0, box->id) +
		 records_count(CRIER_WIRE_EXIT, 0, box->id);
	span = records[record_count - 1].header->boottime_ns -
	       records_need(CRIER_WIRE_FORK, 0, box->id)->header->boottime_ns;
	/* a full bucket, and what was refilled from the first event on; two more for each CPU and refill that met */
	CHECK(passed >= (1000 + 1000 * span / 1000000000u) * 95 / 100 && passed <= allowed + 20,
	      "%llu passed, %llu allowed", (unsigned long long)passed, (unsigned long long)allowed);
	c = counters_now();
	CHECK(c->suppressed[CRIER_CLASS_BULK] >= 4500 - allowed - 20, "%llu suppressed",
	      (unsigned long long)c->suppressed[CRIER_CLASS_BULK]);
	count = crier_probe_blame(probe, blame, 8);
	CHECK(count >= 1, "nobody is blamed");
	CHECK_EQ(blame[0].cgroup_id, box->id);
	CHECK_EQ(blame[0].suppressed[CRIER_CLASS_BULK] + passed,
		 4501); /* all of its forks, execs and exits */
	/* a neighbour has a bucket of its own */
	CHECK_EQ(child_run(other, body_storm, (void *)10, NULL), 0);
	CHECK_EQ(records_count(CRIER_WIRE_EXEC, 0, other->id), 10);
	/* one second without events fills the bucket again */
	sleep_ms(1100);
	records_clear();
	CHECK_EQ(child_run(box, body_storm, (void *)20, NULL), 0);
	CHECK_EQ(records_count(CRIER_WIRE_EXEC, 0, box->id), 20);
}

/* A rate below the refill's step must refill too: 5/s for two seconds. */
static void budget_slow_rate(void)
{
	uint64_t passed = 0, start, allowed;
	struct box *box;

	setup_open(&(struct setup){.is_quiet = true, .control.bulk_rate = 5});
	box = box_make(NULL, "slow");
	start = now_ns();
	while (now_ns() - start < 2000000000u) {
		CHECK_EQ(child_run(box, body_exit, NULL, NULL), 0);
		sleep_ms(10);
	}
	passed = records_count(CRIER_WIRE_EXIT, 0, box->id);
	allowed = 5 + 5 * (now_ns() - start) / 1000000000u;
	CHECK(passed + 2 >= allowed && passed <= allowed + 2, "%llu passed, %llu allowed",
	      (unsigned long long)passed, (unsigned long long)allowed);
}

/* Before the event: adding a ring that holds data would report it at once. */
/* One ring's: whoever makes a cgroup on this machine wakes the critical one. */
static int open_epoll(enum crier_wire_class ring)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	epoll_ctl(fd, EPOLL_CTL_ADD, crier_probe_ring_fd(probe, ring), &event);
	return fd;
}

/* @return 1: it was woken; closes the descriptor */
static int wait_epoll(int fd, int timeout_ms)
{
	struct epoll_event event;
	int n = epoll_wait(fd, &event, 1, timeout_ms);

	close(fd);
	return n;
}

static int body_later(void *arg)
{
	sleep_ms(60);
	return (int)(intptr_t)arg;
}

/* Sleep as the main loop does. @return milliseconds until woken, -1 if not within a second */
static int sleep_until_woken(bool armed, const struct box *box)
{
	struct child child = child_start(box, body_later, NULL);
	uint64_t start;
	int n, fd;

	if (armed) {
		do
			records_drain();
		while (!crier_probe_arm(probe, CRIER_ARMED_ANY));
	} else {
		records_drain();
		crier_probe_set_control(probe, crier_probe_control(probe)); /* disarms */
	}
	fd = open_epoll(CRIER_CLASS_BULK);
	start = now_ns();
	child_go(&child);
	n = wait_epoll(fd, 1000);
	child_wait(&child);
	return n > 0 ? (int)((now_ns() - start) / 1000000) : -1;
}

static void armed_wake_up(void)
{
	struct box *box;

	setup_open(&(struct setup){.is_quiet = true});
	box = box_make(NULL, "armed");
	child_start(box, body_pause, NULL); /* the cgroup stays populated: a change of that would wake */
	for (int i = 0; i < 5; i++) {
		int ms = sleep_until_woken(true, box); /* a single bulk record: the exit */

		CHECK(ms >= 50 && ms < 500, "woken after %d ms", ms);
		CHECK_EQ(crier_probe_control(probe)->armed, 0);
		CHECK_EQ(records_count(CRIER_WIRE_EXIT, 0, box->id), i + 1);
	}
	CHECK(sleep_until_woken(false, box) < 0, "woken without being armed");
	CHECK(!crier_probe_arm(probe, CRIER_ARMED_ANY), "armed over a record");
	CHECK_EQ(crier_probe_control(probe)->armed, 0);
}

/* Armed for a ring that fills. @return whether so many processes woke it */
static bool is_woken_by(const struct box *box, long processes)
{
	struct child child;
	int fd, n;

	do
		records_drain();
	while (!crier_probe_arm(probe, CRIER_ARMED_FILLING));
	fd = open_epoll(CRIER_CLASS_BULK);
	child = child_start(box, body_storm, (void *)processes);
	child_go(&child);
	child_wait(&child);
	n = wait_epoll(fd, 50);
	return n > 0;
}

/* A load that begins in the middle of the loop's pause: with 16 KiB of room nothing of it is lost, if it is told in time. */
static void filling_ring_wakes(void)
{
	struct box *box;

	setup_open(&(struct setup){.is_quiet = true, .bulk_bytes = 16384});
	box = box_make(NULL, "filling");
	CHECK(!is_woken_by(box, 1), "woken by a few records");
	CHECK_EQ(crier_probe_control(probe)->armed, CRIER_ARMED_FILLING);
	CHECK(is_woken_by(box, 100), "not woken while the ring filled");
	CHECK_EQ(crier_probe_control(probe)->armed, CRIER_ARMED_NOT);
	CHECK(!crier_probe_arm(probe, CRIER_ARMED_FILLING), "armed over a ring that is full");
	CHECK_EQ(crier_probe_control(probe)->armed, CRIER_ARMED_NOT);
}

static void critical_always_wakes(void)
{
	int fd;

	setup_open(&(struct setup){.is_quiet = true});
	records_drain();
	crier_probe_set_control(probe, crier_probe_control(probe)); /* disarms */
	fd = open_epoll(CRIER_CLASS_CRITICAL);
	box_make(NULL, "wakes");
	CHECK_EQ(wait_epoll(fd, 1000), 1);
}

/* On one CPU, time and order of making are the same: what comes out of two rings must be in order. */
static void merge_order(void)
{
	cpu_set_t one, all;
	struct box *box;
	size_t turns = 0;

	setup_open(&(struct setup){.is_quiet = true});
	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	box = box_make(NULL, "merge");
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "m%d", i);
		child_run(box, body_exit, NULL, NULL);
		box_remove(box_make(NULL, name));
	}
	sched_setaffinity(0, sizeof(all), &all);
	records_drain();
	for (size_t i = 1; i < record_count; i++) {
		if (records[i].header->cpu != records[i - 1].header->cpu)
			continue;
		CHECK(records[i].header->boottime_ns >= records[i - 1].header->boottime_ns,
		      "record %zu is late", i);
		turns += records[i].header->ring != records[i - 1].header->ring;
	}
	CHECK(turns >= 40, "the rings took turns %zu times only", turns);
}

struct drained {
	size_t count;
};

static void count_records(void *ctx, const struct crier_slice *batch, size_t count)
{
	(void)batch;
	((struct drained *)ctx)->count += count;
}

static void drain_in_parts(void)
{
	struct drained drained = {0};
	uint64_t expected;

	setup_open(&(struct setup){.is_quiet = true});
	CHECK_EQ(child_run(box_make(NULL, "parts"), body_storm, (void *)50, NULL), 0);
	crier_probe_detach(probe);
	sleep_ms(20);
	expected = counters_now()->submitted[CRIER_CLASS_BULK] +
		   counters_now()->submitted[CRIER_CLASS_CRITICAL] + counters_now()->control_submitted;
	while (crier_probe_drain(probe, 7, count_records, &drained) == 7)
		;
	CHECK_EQ(drained.count, expected);
}

/* What is drained is free again: a hundred ring-fuls through 16 KiB. */
static void drained_space_is_free(void)
{
	struct box *box;

	setup_open(&(struct setup){.is_quiet = true, .bulk_bytes = 16384, .critical_bytes = 16384});
	box = box_make(NULL, "space");
	for (int i = 0; i < 60; i++) {
		CHECK_EQ(child_run(box, body_storm, (void *)8, NULL), 0);
		records_drain();
	}
	CHECK_EQ(records_count(CRIER_WIRE_EXEC, 0, box->id), 480);
	CHECK_EQ(counters_now()->reserve_failed[CRIER_CLASS_BULK], 0);
}

const struct test_case loss_tests[] = {
	{"loss_storm_into_small_ring", storm_into_small_ring, true},
	{"loss_exec_of_init_beside_a_storm", exec_of_init_beside_a_storm, true},
	{"loss_budget", budget, true},
	{"loss_budget_slow_rate", budget_slow_rate, true},
	{"ring_armed_wake_up", armed_wake_up, true},
	{"ring_filling_wakes", filling_ring_wakes, true},
	{"ring_critical_always_wakes", critical_always_wakes, true},
	{"ring_merge_order", merge_order, true},
	{"ring_drained_space_is_free", drained_space_is_free, true},
	{"ring_drain_in_parts", drain_in_parts, true},
	{0},
};
