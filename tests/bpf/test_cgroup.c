/* SPDX-License-Identifier: Apache-2.0 */
/* Cgroup records and the class filter. */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void check_mkdir(const struct setup *setup)
{
	const struct record *record;
	struct box *pod, *container;
	size_t len;

	setup_open(setup);
	pod = box_make(NULL, "pod");
	container = box_make(pod, "container");
	record = records_need(CRIER_WIRE_CGROUP_MKDIR, 0, container->id);
	CHECK_EQ(record->mkdir->parent_id, pod->id);
	CHECK_EQ(record->mkdir->level, 2);
	CHECK_EQ(record->mkdir->cgroup_class, CRIER_CGROUP_UNDETERMINED);
	CHECK_EQ(record->header->ring, CRIER_CLASS_CRITICAL);
	len = strlen(strrchr(container->unified, '/') + 1);
	CHECK_EQ(record->mkdir->name.length, len);
	CHECK(memcmp(record->bytes + record->mkdir->name.offset, strrchr(container->unified, '/') + 1, len) ==
		      0,
	      "name %.*s", (int)len, record->bytes + record->mkdir->name.offset);
	CHECK_EQ(records_need(CRIER_WIRE_CGROUP_MKDIR, 0, pod->id)->mkdir->level, 1);
	CHECK_EQ(records_count(CRIER_WIRE_CGROUP_MKDIR, 0, container->id), 1);
	if (container->memory_id != container->unified_id) /* the other hierarchy's ids are not ours */
		CHECK_EQ(records_count(CRIER_WIRE_CGROUP_MKDIR, 0,
				       setup->is_v1 ? container->unified_id : container->memory_id),
			 0);
	box_remove(container);
	records_need(CRIER_WIRE_CGROUP_RMDIR, 0,
		     records_need(CRIER_WIRE_CGROUP_MKDIR, 0, container->id)->header->cgroup_id);
}

static void mkdir_and_rmdir(void)
{
	check_mkdir(&(struct setup){0});
}

static void mkdir_and_rmdir_v1(void)
{
	check_mkdir(&(struct setup){.is_v1 = true});
}

static void mkdir_and_rmdir_raw_tp(void)
{
	check_mkdir(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

static void long_name(void)
{
	char path[1024], name[256];
	const struct record *record;
	struct stat st;
	struct box *box;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "long");
	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(path, sizeof(path), "%s/%s", box->unified, name);
	CHECK(mkdir(path, 0755) == 0, "%s", strerror(errno));
	CHECK(stat(path, &st) == 0, "%s", strerror(errno));
	rmdir(path);
	record = records_need(CRIER_WIRE_CGROUP_MKDIR, 0, st.st_ino);
	CHECK_EQ(record->mkdir->name.length, 255);
	CHECK(memcmp(record->bytes + record->mkdir->name.offset, name, 255) == 0, "name");
}

static void populated(void)
{
	struct child child;
	struct box *box;
	unsigned seen = 0;

	setup_open(&(struct setup){0});
	box = box_make(NULL, "populated");
	child_run(box, body_exit, NULL, &child);
	for (int i = 0; i < 200 && seen < 2; i++, sleep_ms(5)) {
		seen = 0;
		records_drain();
		for (size_t k = 0; k < record_count; k++) {
			if (records[k].header->type != CRIER_WIRE_CGROUP_POPULATED ||
			    records[k].header->cgroup_id != box->id)
				continue;
			CHECK_EQ(records[k].populated->populated, seen == 0);
			seen++;
		}
	}
	CHECK_EQ(seen, 2);
}

/* Birth in a container makes a container; anywhere else the class stays open. */
static void child_of_container_inherits(void)
{
	struct box *container, *child, *grandchild, *host;

	setup_open(&(struct setup){0});
	container = box_make(NULL, "c");
	CHECK_EQ(crier_probe_classify(probe, container->id, CRIER_CGROUP_CONTAINER), 0);
	child = box_make(container, "x");
	grandchild = box_make(child, "y");
	CHECK_EQ(records_need(CRIER_WIRE_CGROUP_MKDIR, 0, child->id)->mkdir->cgroup_class,
		 CRIER_CGROUP_CONTAINER);
	CHECK_EQ(records_need(CRIER_WIRE_CGROUP_MKDIR, 0, grandchild->id)->mkdir->cgroup_class,
		 CRIER_CGROUP_CONTAINER);
	host = box_make(NULL, "h");
	CHECK_EQ(crier_probe_classify(probe, host->id, CRIER_CGROUP_HOST), 0);
	child = box_make(host, "kubepods");
	CHECK_EQ(records_need(CRIER_WIRE_CGROUP_MKDIR, 0, child->id)->mkdir->cgroup_class,
		 CRIER_CGROUP_UNDETERMINED);
}

static int body_fork_exec_kill(void *arg)
{
	int executed[2];
	pid_t pid;
	char byte;

	if (pipe2(executed, O_CLOEXEC) < 0) /* its end closes with the exec */
		return 1;
	pid = fork();
	if (pid == 0) {
		execl("/bin/sleep", "sleep", "10", (char *)NULL);
		_exit(127);
	}
	close(executed[1]);
	while (read(executed[0], &byte, 1) < 0)
		;
	close(executed[0]);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
	return (int)(intptr_t)arg;
}

static size_t events_of(const struct box *box)
{
	return records_count(CRIER_WIRE_EXEC, 0, box->id) + records_count(CRIER_WIRE_FORK, 0, box->id) +
	       records_count(CRIER_WIRE_EXIT, 0, box->id) + records_count(CRIER_WIRE_SIGNAL, 0, box->id);
}

/* fork, exec, signal, two exits */
#define EVENTS_OF_A_ROUND 5

static void check_classes(const struct setup *setup)
{
	uint64_t before;
	struct box *box;

	setup_open(setup);
	box = box_make(NULL, "class");
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), EVENTS_OF_A_ROUND); /* undetermined passes */

	records_clear();
	CHECK_EQ(crier_probe_classify(probe, box->id, CRIER_CGROUP_HOST), 0);
	before = counters_now()->class_filtered[CRIER_CLASS_BULK];
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), 0);
	CHECK(counters_now()->class_filtered[CRIER_CLASS_BULK] >= before + EVENTS_OF_A_ROUND, "not counted");

	CHECK_EQ(crier_probe_classify(probe, box->id, CRIER_CGROUP_CONTAINER), 0);
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), EVENTS_OF_A_ROUND);

	records_clear();
	CHECK_EQ(crier_probe_classify(probe, box->id, CRIER_CGROUP_HOST), 0);
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), 0);
	CHECK_EQ(crier_probe_forget(probe, box->id), 0); /* whatever the CPUs remember */
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), EVENTS_OF_A_ROUND);
}

static void class_filter(void)
{
	check_classes(&(struct setup){0});
}

static void class_filter_v1(void)
{
	check_classes(&(struct setup){.is_v1 = true});
}

static void class_filter_raw_tp(void)
{
	check_classes(&(struct setup){.forced_kinds = 1u << CRIER_HOOK_KIND_RAW_TP});
}

/* A map of four entries: the fifth cgroup is refused, stays open, and its events pass. */
static void full_class_map_passes(void)
{
	struct box *box;
	int r = 0;

	setup_open(&(struct setup){.class_entries = 4});
	box = box_make(NULL, "full");
	for (uint64_t id = 1; id <= 4; id++) /* no such cgroups need to be */
		CHECK_EQ(crier_probe_classify(probe, (1u << 30) + id, CRIER_CGROUP_HOST), 0);
	r = crier_probe_classify(probe, box->id, CRIER_CGROUP_HOST);
	CHECK_EQ(r, -E2BIG);
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), EVENTS_OF_A_ROUND);
	/* nobody was pushed out for it: what was classified is, and one that goes makes room */
	for (uint64_t id = 1; id <= 4; id++)
		CHECK_EQ(crier_probe_classify(probe, (1u << 30) + id, CRIER_CGROUP_HOST), 0);
	CHECK_EQ(crier_probe_classify(probe, box->id, CRIER_CGROUP_HOST), -E2BIG);
	CHECK_EQ(crier_probe_forget(probe, (1u << 30) + 2), 0);
	CHECK_EQ(crier_probe_classify(probe, box->id, CRIER_CGROUP_HOST), 0);
	records_clear();
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), 0);
}

static void full_class_map_at_mkdir(void)
{
	struct box *container, *child;

	setup_open(&(struct setup){.class_entries = 1});
	container = box_make(NULL, "c");
	CHECK_EQ(crier_probe_classify(probe, container->id, CRIER_CGROUP_CONTAINER), 0);
	child = box_make(container, "x");
	CHECK_EQ(records_need(CRIER_WIRE_CGROUP_MKDIR, 0, child->id)->mkdir->cgroup_class,
		 CRIER_CGROUP_UNDETERMINED);
	CHECK_EQ(counters_now()->class_map_full, 1);
}

static void event_mask(void)
{
	struct box *box;

	setup_open(&(struct setup){.control.event_mask = ~(1u << CRIER_WIRE_FORK)});
	box = box_make(NULL, "mask");
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(records_count(CRIER_WIRE_FORK, 0, 0), 0);
	CHECK_EQ(events_of(box), EVENTS_OF_A_ROUND - 1);
	set_event_mask(1u << CRIER_WIRE_FORK); /* live */
	records_clear();
	CHECK_EQ(child_run(box, body_fork_exec_kill, NULL, NULL), 0);
	CHECK_EQ(events_of(box), 1);
}

const struct test_case cgroup_tests[] = {
	{"cgroup_mkdir_and_rmdir", mkdir_and_rmdir, true},
	{"cgroup_mkdir_and_rmdir_v1", mkdir_and_rmdir_v1, true},
	{"cgroup_mkdir_and_rmdir_raw_tp", mkdir_and_rmdir_raw_tp, true},
	{"cgroup_long_name", long_name, true},
	{"cgroup_populated", populated, true},
	{"cgroup_child_of_container_inherits", child_of_container_inherits, true},
	{"class_filter", class_filter, true},
	{"class_filter_v1", class_filter_v1, true},
	{"class_filter_raw_tp", class_filter_raw_tp, true},
	{"class_full_map_passes", full_class_map_passes, true},
	{"class_full_map_at_mkdir", full_class_map_at_mkdir, true},
	{"event_mask", event_mask, true},
	{0},
};
