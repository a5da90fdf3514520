/* SPDX-License-Identifier: Apache-2.0 */
/* Signals: what is told, of what kind, and who sent it. */
#include "harness.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

static void on_signal(int signal_number)
{
	(void)signal_number;
}

static int body_blocked(void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return body_pause(arg);
}

static int body_handled(void *arg)
{
	signal(SIGTERM, on_signal);
	return body_pause(arg);
}

static int body_ignored(void *arg)
{
	signal(SIGTERM, SIG_IGN);
	return body_pause(arg);
}

static int body_alarm(void *arg)
{
	struct itimerval timer = {.it_value = {.tv_usec = 20000}};

	setitimer(ITIMER_REAL, &timer, NULL);
	return body_pause(arg);
}

static sem_t thread_began;

static void *thread_pause(void *arg)
{
	sem_post(&thread_began);
	return (void *)(intptr_t)body_pause(arg);
}

/* A new thread blocks everything until it has begun: only then it can be the one that takes the signal. */
static int body_main_blocks(void *arg)
{
	pthread_t thread;
	sigset_t set;

	sem_init(&thread_began, 0, 0);
	pthread_create(&thread, NULL, thread_pause, NULL);
	sem_wait(&thread_began);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* the other thread takes it */
	return body_pause(arg);
}

/* arg: pid, signal. A process of its own, so that the sender is not the test. */
static int body_kill(void *arg)
{
	int *args = arg;

	return kill(args[0], args[1]) == 0 ? 0 : 1;
}

static int body_sigqueue(void *arg)
{
	int *args = arg;

	return sigqueue(args[0], args[1], (union sigval){.sival_int = 1}) == 0 ? 0 : 1;
}

static struct child started(const struct box *box, child_fn fn)
{
	struct child child = child_start(box, fn, NULL);

	child_go(&child);
	sleep_ms(5);
	wait_asleep(child.pid);
	return child;
}

static void harmless_tell_nothing(void)
{
	static const child_fn bodies[] = {body_blocked, body_handled, body_ignored};
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "harmless");
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(bodies); i++) {
		struct child child = started(box, bodies[i]);

		kill(child.pid, SIGTERM);
		kill(child.pid, SIGCHLD);
		kill(child.pid, SIGWINCH);
		kill(child.pid, SIGSTOP);
		kill(child.pid, SIGCONT);
		sleep_ms(20);
		CHECK_EQ(records_count(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, 0), 0);
		kill(child.pid, SIGKILL);
		child_wait(&child);
		CHECK_EQ(records_need(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, 0)->signal->signal, SIGKILL);
		CHECK_EQ(records_count(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, 0), 1);
	}
}

static void check_sender(const struct setup *setup)
{
	struct child target, sender;
	const struct record *record;
	struct box *box, *other;
	int args[2] = {0, SIGTERM};

	setup_open(setup);
	box = box_make(NULL, "target");
	other = box_make(NULL, "sender");
	target = started(box, body_pause);
	args[0] = target.pid;
	CHECK_EQ(child_run(other, body_kill, args, &sender), 0);
	child_wait(&target);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)target.pid, box->id);
	CHECK_EQ(record->signal->signal, SIGTERM);
	CHECK_EQ(record->signal->code, SI_USER);
	CHECK_EQ(record->signal->result, 0);
	CHECK_EQ(record->signal->flags, CRIER_SIGNAL_FATAL | CRIER_SIGNAL_FROM_PROCESS | CRIER_SIGNAL_GROUP);
	CHECK_EQ(record->signal->sender.pid, sender.pid);
	CHECK_EQ(record->signal->sender.cgroup_id, other->id);
	CHECK_EQ(record->signal->sender.parent_pid, getpid());
	CHECK_EQ(record->signal->target.cgroup_id, box->id);
	CHECK_EQ(record->header->ring, CRIER_CLASS_BULK);

	target = started(box, body_pause);
	args[0] = target.pid;
	args[1] = SIGUSR1;
	CHECK_EQ(child_run(other, body_sigqueue, args, &sender), 0);
	child_wait(&target);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)target.pid, box->id);
	CHECK_EQ(record->signal->code, SI_QUEUE);
	CHECK_EQ(record->signal->sender.pid, sender.pid);
}

static void sender_is_named(void)
{
	check_sender(&(struct setup){0});
}

static void sender_is_named_raw_tp(void)
{
	check_sender(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

/* The alarm's interrupt hits whoever runs: nobody sent it. */
static void alarm_has_no_sender(void)
{
	const struct crier_wire_task nobody = {0};
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "alarm");
	CHECK_EQ(child_run(box, body_alarm, NULL, &child), SIGALRM);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->signal->signal, SIGALRM);
	CHECK_EQ(record->signal->flags, CRIER_SIGNAL_FATAL | CRIER_SIGNAL_GROUP);
	CHECK_EQ(record->signal->code, SI_KERNEL);
	CHECK(memcmp(&record->signal->sender, &nobody, sizeof(nobody)) == 0, "a sender is named");
}

static int body_segv(void *arg)
{
	(void)arg;
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	raise(SIGSTOP);
	volatile int *volatile nowhere = (volatile int *)8; /* what gcc does not see through */

	*nowhere = 1;
	return 0;
}

static void fault_has_no_sender(void)
{
	const struct record *record;
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "segv");
	child = child_start(box, body_segv, NULL);
	child_go(&child);
	waitpid(child.pid, NULL, WUNTRACED);
	kill(child.pid, SIGCONT);
	CHECK_EQ(child_wait(&child), SIGSEGV);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, box->id);
	CHECK_EQ(record->signal->signal, SIGSEGV);
	CHECK(!(record->signal->flags & CRIER_SIGNAL_FROM_PROCESS), "flags %x", record->signal->flags);
	CHECK_EQ(record->signal->code, SEGV_MAPERR);
}

static void other_thread_takes_it(void)
{
	struct child child;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "other");
	child = started(box, body_main_blocks);
	kill(child.pid, SIGTERM);
	CHECK_EQ(child_wait(&child), SIGTERM);
	CHECK_EQ(records_need(CRIER_WIRE_SIGNAL, (uint32_t)child.pid, box->id)->signal->signal, SIGTERM);
}

/* pid 1 of a namespace ignores a SIGTERM it has no handler for: that is how a container is asked to stop. */
static void stop_of_namespace_init(void)
{
	const struct record *record;
	struct child init;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "nsinit");
	init = child_start_init(box, body_pause, NULL);
	child_go(&init);
	sleep_ms(5);
	wait_asleep(init.pid);
	kill(init.pid, SIGTERM);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)init.pid, box->id);
	CHECK_EQ(record->signal->result, 1);
	CHECK_EQ(record->signal->flags,
		 CRIER_SIGNAL_STOP_INIT | CRIER_SIGNAL_FROM_PROCESS | CRIER_SIGNAL_GROUP);
	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
	CHECK_EQ(record->signal->target.vpid, 1);
	CHECK_EQ(record->signal->sender.pid, getpid());
	records_clear();
	kill(init.pid, SIGKILL);
	child_wait(&init);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)init.pid, box->id);
	CHECK_EQ(record->signal->result, 0);
	CHECK_EQ(record->signal->flags, CRIER_SIGNAL_FATAL | CRIER_SIGNAL_STOP_INIT |
						CRIER_SIGNAL_FROM_PROCESS | CRIER_SIGNAL_GROUP);
}

/* An init from the map (hostPID pods) that handles SIGTERM: told when from outside, not from within. */
static void stop_of_known_init(void)
{
	struct child init, insider;
	const struct record *record;
	struct box *box;
	int args[2] = {0, SIGTERM};

	setup_open(&(struct setup){0});
	box = box_make(NULL, "known");
	init = started(box, body_handled);
	CHECK_EQ(crier_probe_init_add(probe, (uint32_t)init.pid, 0), 0);
	args[0] = init.pid;
	CHECK_EQ(child_run(box, body_kill, args, &insider), 0);
	sleep_ms(20);
	CHECK_EQ(records_count(CRIER_WIRE_SIGNAL, (uint32_t)init.pid, 0), 0);
	kill(init.pid, SIGTERM);
	record = records_need(CRIER_WIRE_SIGNAL, (uint32_t)init.pid, box->id);
	CHECK_EQ(record->signal->result, 0);
	CHECK_EQ(record->signal->flags,
		 CRIER_SIGNAL_STOP_INIT | CRIER_SIGNAL_FROM_PROCESS | CRIER_SIGNAL_GROUP);
	CHECK(record->signal->target.flags & CRIER_TASK_KNOWN_INIT, "flags %x", record->signal->target.flags);
}

const struct test_case signal_tests[] = {
	{"signal_harmless_tell_nothing", harmless_tell_nothing, true},
	{"signal_sender_is_named", sender_is_named, true},
	{"signal_sender_is_named_raw_tp", sender_is_named_raw_tp, true},
	{"signal_alarm_has_no_sender", alarm_has_no_sender, true},
	{"signal_fault_has_no_sender", fault_has_no_sender, true},
	{"signal_other_thread_takes_it", other_thread_takes_it, true},
	{"signal_stop_of_namespace_init", stop_of_namespace_init, true},
	{"signal_stop_of_known_init", stop_of_known_init, true},
	{0},
};
