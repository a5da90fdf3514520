/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of processes: what a seed says is what the records say later, and a pid that comes back is another process. */
#include "harness.h"

#include "../../src/probe/internal.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* of linux/sched.h, which does not go with sched.h */
struct clone_arguments {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
		set_tid_size, cgroup;
};

struct seeds {
	uint32_t pid;
	unsigned count;
	struct crier_wire_task task;
};

static void take_seed(void *ctx, const struct crier_wire_seed *seed)
{
	struct seeds *seeds = ctx;

	if (seed->task.pid != seeds->pid)
		return;
	seeds->count++;
	seeds->task = seed->task;
}

static void check_seed(bool is_init)
{
	const struct record *record;
	const struct crier_wire_task *task;
	struct seeds seeds = {0};
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "key");
	child = is_init ? child_start_init(box, body_pause, NULL) : child_start(box, body_pause, NULL);
	seeds.pid = (uint32_t)child.pid;
	CHECK_EQ(crier_probe_seed(probe, take_seed, &seeds), 0);
	CHECK_EQ(seeds.count, 1);
	kill(child.pid, SIGKILL);
	child_wait(&child);
	record = records_need(CRIER_WIRE_EXIT, (uint32_t)child.pid, box->id);
	task = &record->exit->task;
	CHECK_EQ(task->start_boottime_ns, seeds.task.start_boottime_ns);
	CHECK_EQ(task->parent_start_boottime_ns, seeds.task.parent_start_boottime_ns);
	CHECK_EQ(task->parent_pid, seeds.task.parent_pid);
	CHECK_EQ(task->vpid, seeds.task.vpid);
	CHECK_EQ(task->cgroup_id, seeds.task.cgroup_id);
	CHECK_EQ(task->flags & CRIER_TASK_NS_INIT, seeds.task.flags & CRIER_TASK_NS_INIT);
	CHECK_EQ((seeds.task.flags & CRIER_TASK_NS_INIT) != 0, is_init);
}

static void seed_key_is_the_exits_key(void)
{
	check_seed(false);
}

static void seed_key_of_a_namespace_init(void)
{
	check_seed(true);
}

static pid_t fork_as(pid_t pid)
{
	struct clone_arguments arguments = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
	pid_t made = (pid_t)syscall(SYS_clone3, &arguments, sizeof(arguments));

	if (made == 0)
		_exit(0);
	if (made < 0 && (errno == ENOSYS || errno == EPERM || errno == EINVAL || errno == E2BIG))
		test_skip("clone3 cannot choose a pid here: %s", strerror(errno));
	CHECK(made == pid, "pid %d is not %d: %s", (int)made, (int)pid, strerror(errno));
	CHECK(waitpid(made, NULL, 0) == made, "%s", strerror(errno));
	return made;
}

/* The n-th exit of a pid, counted from 0. */
static const struct crier_wire_exit *exit_of(uint32_t pid, unsigned n)
{
	records_need(CRIER_WIRE_EXIT, pid, 0);
	records_drain();
	for (size_t i = 0; i < record_count; i++)
		if (records[i].header->type == CRIER_WIRE_EXIT && records[i].exit->task.pid == pid &&
		    n-- == 0)
			return records[i].exit;
	CHECK(false, "an exit of pid %u is missing", pid);
	return NULL;
}

/* The map of inits knows a pid with its start: the next process of that pid is none, whatever was forgotten to be removed. */
static void next_owner_of_an_inits_pid(void)
{
	uint64_t start;
	struct child child;
	uint32_t pid;

	setup_open(&(struct setup){0});
	child_run(NULL, body_exit, NULL, &child);
	pid = (uint32_t)child.pid;
	start = exit_of(pid, 0)->task.start_boottime_ns;
	CHECK_EQ(crier_probe_init_add(probe, pid, start), 0);
	fork_as(child.pid);
	CHECK_EQ(exit_of(pid, 1)->task.flags & CRIER_TASK_KNOWN_INIT, 0);
	CHECK(exit_of(pid, 1)->task.start_boottime_ns != start, "both started at once");
	CHECK_EQ(exit_of(pid, 1)->header.ring, CRIER_CLASS_BULK);
	/* removed by the key of another start: it stays; by its own: it goes */
	CHECK_EQ(crier_probe_init_remove(probe, pid, start + 1), 0);
	CHECK_EQ(crier_probe_init_add(probe, pid, 0),
		 0); /* a start that is not known: the pid alone has to do */
	fork_as(child.pid);
	CHECK_EQ(exit_of(pid, 2)->task.flags & CRIER_TASK_KNOWN_INIT, CRIER_TASK_KNOWN_INIT);
	fork_as(child.pid);
	CHECK_EQ(exit_of(pid, 3)->task.flags & CRIER_TASK_KNOWN_INIT, 0); /* the exit took it from the map */
}

static void removal_needs_the_right_start(void)
{
	struct child child;

	setup_open(&(struct setup){0});
	child = child_start(NULL, body_exit, NULL);
	uint32_t pid = (uint32_t)child.pid;
	struct seeds seeds = {.pid = pid};

	CHECK_EQ(crier_probe_seed(probe, take_seed, &seeds), 0);
	CHECK_EQ(crier_probe_init_add(probe, pid, seeds.task.start_boottime_ns), 0);
	CHECK_EQ(crier_probe_init_remove(probe, pid, seeds.task.start_boottime_ns - 1),
		 0); /* of a dead one */
	child_go(&child);
	child_wait(&child);
	CHECK_EQ(exit_of(pid, 0)->task.flags & CRIER_TASK_KNOWN_INIT, CRIER_TASK_KNOWN_INIT);
}

static bool has_init_bit(uint32_t pid)
{
	return probe->slots[CRIER_SLOT_INITS].words[CRIER_INIT_WORD(pid)] & CRIER_INIT_BIT(pid);
}

/* Others come and go until the bits are made anew: those that are left are known as before, those that went cost nothing. */
static void inits_outlive_others(void)
{
	struct child child;

	setup_open(&(struct setup){0});
	child = child_start(NULL, body_exit, NULL);
	uint32_t pid = (uint32_t)child.pid, first = pid + 1;

	CHECK_EQ(crier_probe_init_add(probe, pid, 0), 0);
	for (uint32_t other = first; other < first + 200; other++) {
		CHECK_EQ(crier_probe_init_add(probe, other, 1), 0);
		CHECK(has_init_bit(other), "the bit of pid %u is not set", other);
		CHECK_EQ(crier_probe_init_remove(probe, other, 1), 0);
		CHECK(has_init_bit(pid), "after %u removals the bit is gone", other - first + 1);
	}
	CHECK(!has_init_bit(first), "the bit of a pid that was removed stays for good");
	child_go(&child);
	child_wait(&child);
	CHECK_EQ(exit_of(pid, 0)->task.flags & CRIER_TASK_KNOWN_INIT, CRIER_TASK_KNOWN_INIT);
}

const struct test_case keys_tests[] = {
	{"keys_seed_is_the_exits", seed_key_is_the_exits_key, true},
	{"keys_seed_of_a_namespace_init", seed_key_of_a_namespace_init, true},
	{"keys_next_owner_of_an_inits_pid", next_owner_of_an_inits_pid, true},
	{"keys_inits_outlive_others", inits_outlive_others, true},
	{"keys_removal_needs_the_right_start", removal_needs_the_right_start, true},
	{0},
};
