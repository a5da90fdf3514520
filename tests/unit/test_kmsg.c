/* SPDX-License-Identifier: Apache-2.0 */
/* OOM kills in the kernel's own words: logs of real kernels, and names made to mislead. */
#include "test.h"

#include <stdio.h>

#include "crier/kmsg.h"

#define KILLS_MAX 64

/* A kill with its paths copied: the story's die with the next line. */
struct told {
	struct crier_kmsg_kill kill;
	char limit[CRIER_KMSG_PATH_MAX + 1], victim[CRIER_KMSG_PATH_MAX + 1], group[CRIER_KMSG_PATH_MAX + 1];
};

struct log {
	struct crier_kmsg_story story;
	struct told kills[KILLS_MAX];
	size_t count;
};

static void copy(char *to, struct crier_slice from)
{
	crier_copy_str(to, CRIER_KMSG_PATH_MAX + 1, from.ptr ? from : CRIER_SLICE("-"));
}

static void feed_record(struct log *log, const char *record, size_t len)
{
	char buf[CRIER_KMSG_TEXT_MAX];
	struct crier_kmsg_line line;
	struct crier_kmsg_kill kill;

	if (crier_kmsg_line_parse((struct crier_slice){record, len}, buf, &line) < 0)
		fail_msg("not taken for a record: %.*s", (int)len, record);
	if (!crier_kmsg_feed(&log->story, &line, &kill))
		return;
	assert_true(log->count < KILLS_MAX);
	struct told *told = &log->kills[log->count++];

	told->kill = kill;
	copy(told->limit, kill.limit_path);
	copy(told->victim, kill.victim_path);
	copy(told->group, kill.group_path);
	memset(buf, 'x', sizeof(buf)); /* nothing may point into it any more */
}

/* Lines of text as a kernel thread printed them, microseconds apart. */
static void feed(struct log *log, const char *text)
{
	static uint64_t seq;
	char record[CRIER_KMSG_RECORD_MAX];

	seq++;
	int len = snprintf(record, sizeof(record), "6,%llu,%llu,-;%s\n", (unsigned long long)seq,
			   (unsigned long long)(1000000 + seq), text);

	feed_record(log, record, (size_t)len);
}

static void read_log(const char *name, struct log *log)
{
	char path[512], line[CRIER_KMSG_RECORD_MAX];

	memset(log, 0, sizeof(*log));
	snprintf(path, sizeof(path), "%s/tests/unit/data/kmsg/%s.kmsg", CRIER_SOURCE_DIR, name);
	FILE *file = fopen(path, "r");

	if (!file)
		fail_msg("%s: cannot be opened", path);
	while (fgets(line, sizeof(line), file))
		feed_record(log, line, strlen(line));
	fclose(file);
}

static const char *comm_of(const struct told *told)
{
	return (const char *)told->kill.comm;
}

#define POD "/kubepods/podx"

/* The same eight stories on each kernel: container, pod, a group of three, a hostile one, global, a storm. */
static void kernels_from_5_10_to_7_3_tell_the_same(void **state)
{
	static const struct {
		const char *log;
		uint32_t first_pid;
	} rows[] = {{"5.10", 103}, {"6.1", 111}, {"6.12", 164}, {"7.3", 126}};
	static const struct {
		const char *limit, *victim, *group, *comm;
		uint32_t flags; /* of REPORT, GLOBAL, GROUP, REPEATED */
	} wanted[] = {
		{POD "/c1", POD "/c1", "-", "hog", CRIER_KMSG_REPORT},
		{POD, POD "/c2", "-", "hog", CRIER_KMSG_REPORT},
		{POD "/c3", POD "/c3", "-", "hog", CRIER_KMSG_REPORT},
		{POD "/c3", "-", POD "/c3", "hog",
		 CRIER_KMSG_REPORT | CRIER_KMSG_GROUP | CRIER_KMSG_REPEATED},
		{POD "/c3", "-", POD "/c3", "sleep", CRIER_KMSG_REPORT | CRIER_KMSG_GROUP},
		{POD "/c3", "-", POD "/c3", "sleep", CRIER_KMSG_REPORT | CRIER_KMSG_GROUP},
		{POD "/c4", POD "/c4/x,task_memcg=y", "-", "a) total-vm:9", CRIER_KMSG_REPORT},
		{"-", POD "/c5", "-", "hog", CRIER_KMSG_REPORT | CRIER_KMSG_GLOBAL},
	};
	const uint32_t mask = CRIER_KMSG_REPORT | CRIER_KMSG_GLOBAL | CRIER_KMSG_GROUP | CRIER_KMSG_REPEATED;
	struct log *log = test_malloc(sizeof(*log));

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		read_log(rows[i].log, log);
		assert_int_equal(log->count, CRIER_ARRAY_SIZE(wanted) + 14);
		assert_int_equal(log->kills[0].kill.pid, rows[i].first_pid);
		for (size_t k = 0; k < CRIER_ARRAY_SIZE(wanted); k++) {
			const struct told *told = &log->kills[k];

			if (strcmp(told->limit, wanted[k].limit) || strcmp(told->victim, wanted[k].victim) ||
			    strcmp(told->group, wanted[k].group) || strcmp(comm_of(told), wanted[k].comm) ||
			    (told->kill.flags & mask) != wanted[k].flags)
				fail_msg("%s, kill %zu: %s limit %s victim %s group %s flags %x", rows[i].log,
					 k, comm_of(told), told->limit, told->victim, told->group,
					 told->kill.flags);
		}
		/* in the storm five reports come with their kill and the rest are left out */
		size_t reports = 0;

		for (size_t k = CRIER_ARRAY_SIZE(wanted); k < log->count; k++) {
			const struct told *told = &log->kills[k];
			bool has_report = told->kill.flags & CRIER_KMSG_REPORT;

			reports += has_report;
			assert_string_equal(told->victim, has_report ? POD "/c1" : "-");
			assert_string_equal(told->limit, has_report ? POD "/c1" : "-");
		}
		assert_in_range(reports, 5, 13);
	}
	test_free(log);
}

static void figures_are_bytes(void **state)
{
	struct log *log = test_malloc(sizeof(*log));

	(void)state;
	read_log("7.3", log);
	const struct crier_kmsg_kill *kill = &log->kills[0].kill;

	assert_int_equal(kill->total_vm_bytes, 17520 << 10);
	assert_int_equal(kill->anon_bytes, 16300 << 10);
	assert_int_equal(kill->file_bytes, 4 << 10);
	assert_int_equal(kill->shmem_bytes, 692 << 10);
	assert_int_equal(kill->pgtables_bytes, 68 << 10);
	assert_int_equal(kill->usage_bytes, 16 << 20);
	assert_int_equal(kill->limit_bytes, 16 << 20);
	assert_int_equal(kill->swap_bytes, 0);
	assert_int_equal(kill->trigger_tid, 126);
	assert_string_equal((const char *)kill->trigger_comm, "hog");
	assert_int_equal(kill->cpu, 1);
	assert_int_equal(kill->oom_score_adj, 0);
	assert_int_equal(kill->flags & (CRIER_KMSG_PGTABLES | CRIER_KMSG_SCORE_ADJ | CRIER_KMSG_USAGE |
					CRIER_KMSG_SWAP | CRIER_KMSG_CPU),
			 CRIER_KMSG_PGTABLES | CRIER_KMSG_SCORE_ADJ | CRIER_KMSG_USAGE | CRIER_KMSG_SWAP |
				 CRIER_KMSG_CPU);
	/* node-wide: no memory cgroup's figures */
	assert_int_equal(log->kills[7].kill.flags & (CRIER_KMSG_USAGE | CRIER_KMSG_SWAP), 0);
	assert_int_equal(log->kills[7].kill.oom_score_adj, 500);
	test_free(log);
}

static void cgroup_v1_tells_memory_and_swap_together(void **state)
{
	struct log *log = test_malloc(sizeof(*log));

	(void)state;
	read_log("6.18-v1", log);
	assert_int_equal(log->count, 1);
	const struct told *told = &log->kills[0];

	assert_true(told->kill.flags & CRIER_KMSG_SWAP);
	assert_int_equal(told->kill.swap_bytes, 0);
	assert_string_equal(told->limit, told->victim);
	assert_non_null(strstr(told->victim, "/kubepods/pod"));
	test_free(log);
}

#define INVOKED	      "java invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=985"
#define OWNER(path)   "Memory cgroup stats for " path ":"
#define SUMMARY(rest) "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=c,mems_allowed=0" rest
#define FIGURES                                                                                              \
	"total-vm:8kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:4kB oom_score_adj:-998"
#define TWO_WAYS	  "/a,task_memcg=/a/x,task_memcg=/a,task_memcg=/a/x/y"
#define KILLED(pid, comm) "Memory cgroup out of memory: Killed process " pid " (" comm ") " FIGURES

/* Whatever a workload calls its cgroups and tasks: the right path, or none. */
static void names_cannot_lead_elsewhere(void **state)
{
	static const struct {
		const char *name, *owner, *summary, *killed, *limit, *victim;
	} rows[] = {
		{"plain", OWNER("/a"), SUMMARY(",oom_memcg=/a,task_memcg=/a/b,task=x,pid=7,uid=0"),
		 KILLED("7", "x"), "/a", "/a/b"},
		{"a task named like the next field", OWNER("/a"),
		 SUMMARY(",oom_memcg=/a,task_memcg=/a/b,task=y,task=z,pid=1,pid=7,uid=0"),
		 KILLED("7", "y,task=z,pid=1"), "/a", "/a/b"},
		{"a cgroup named like the rest of the line", OWNER("/a"),
		 SUMMARY(",oom_memcg=/a,task_memcg=/a/b,task=x,pid=1,uid=0,task=x,pid=7,uid=0"),
		 KILLED("7", "x"), "/a", "/a/b,task=x,pid=1,uid=0"},
		{"two ways to read it, the owner known", OWNER("/a"),
		 SUMMARY(",oom_memcg=" TWO_WAYS ",task=x,pid=7,uid=0"), KILLED("7", "x"), "/a",
		 "/a/x,task_memcg=/a,task_memcg=/a/x/y"},
		{"two ways to read it, the other owner", OWNER("/a,task_memcg=/a/x"),
		 SUMMARY(",oom_memcg=" TWO_WAYS ",task=x,pid=7,uid=0"), KILLED("7", "x"),
		 "/a,task_memcg=/a/x", "/a,task_memcg=/a/x/y"},
		{"two ways to read it, the owner not known", "",
		 SUMMARY(",oom_memcg=" TWO_WAYS ",task=x,pid=7,uid=0"), KILLED("7", "x"), "-", "-"},
		{"one way, the owner not known", "",
		 SUMMARY(",oom_memcg=/a,task_memcg=/a/b,task=x,pid=7,uid=0"), KILLED("7", "x"), "/a", "/a/b"},
		{"a victim outside the owner", "", SUMMARY(",oom_memcg=/a,task_memcg=/ab,task=x,pid=7,uid=0"),
		 KILLED("7", "x"), "-", "-"},
		{"a cpuset named like the owner", OWNER("/a"),
		 "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=x,oom_memcg=,mems_allowed=0,oom_memcg=/a,"
		 "task_memcg=/a,task=x,pid=7,uid=0",
		 KILLED("7", "x"), "/a", "/a"},
		{"renamed between the lines", OWNER("/a"),
		 SUMMARY(",oom_memcg=/a,task_memcg=/a/b,task=x,pid=7,uid=0"), KILLED("7", "new"), "/a", "-"},
		{"another kill's report", OWNER("/a"),
		 SUMMARY(",oom_memcg=/a,task_memcg=/a,task=x,pid=8,uid=0"), KILLED("7", "x"), "-", "-"},
		{"too long a path", OWNER("(name too long)"),
		 SUMMARY(",oom_memcg=(name too long),task_memcg=(name too long),task=x,pid=7,uid=0"),
		 KILLED("7", "x"), "-", "-"},
		{"padded numbers", OWNER("/a"),
		 SUMMARY(",oom_memcg=/a,task_memcg=/a,task=x,pid=    7,uid=    0"), KILLED("7", "x"), "/a",
		 "/a"},
		{"a name that ends the fields", OWNER("/a"),
		 SUMMARY(",oom_memcg=/a,task_memcg=/a,task=) total-vm:9,pid=7,uid=0"),
		 KILLED("7", ") total-vm:9"), "/a", "/a"},
		{"escaped bytes", OWNER("/a\\x5cx"),
		 SUMMARY(",oom_memcg=/a\\x5cx,task_memcg=/a\\x5cx,task=\\xc3\\xa4,pid=7,uid=0"),
		 KILLED("7", "\\xc3\\xa4"), "/a\\x", "/a\\x"},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct log *log = test_calloc(1, sizeof(*log));

		feed(log, INVOKED);
		if (rows[i].owner[0])
			feed(log, rows[i].owner);
		feed(log, rows[i].summary);
		feed(log, rows[i].killed);
		assert_int_equal(log->count, 1);
		if (strcmp(log->kills[0].limit, rows[i].limit) ||
		    strcmp(log->kills[0].victim, rows[i].victim))
			fail_msg("%s: limit %s, victim %s", rows[i].name, log->kills[0].limit,
				 log->kills[0].victim);
		assert_int_equal(log->kills[0].kill.oom_score_adj, -998);
		test_free(log);
	}
}

static void what_is_no_kill_is_passed_over(void **state)
{
	static const char *const lines[] = {
		"oom_reaper: reaped process 7 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB",
		"Memory cgroup out of memory: OOM victim 7 (x) is already exiting. Skip killing the task",
		"Out of memory and no killable processes...",
		"Memory cgroup out of memory: Killed process 0 (x) " FIGURES,
		"Memory cgroup out of memory: Killed process 99999999999 (x) " FIGURES,
		"Memory cgroup out of memory: Killed process 7 (a name of seventeen) " FIGURES,
		"Memory cgroup out of memory: Killed process 7 (x) total-vm:99999999999999999999kB, anon-rss:4kB",
		"Memory cgroup out of memory: Killed process 7 (x",
		"Killed process 7 (x) " FIGURES,
	};
	struct log *log = test_calloc(1, sizeof(*log));

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(lines); i++) {
		feed(log, lines[i]);
		if (log->count)
			fail_msg("taken for a kill: %s", lines[i]);
	}
	test_free(log);
}

static void user_space_cannot_forge_a_kill(void **state)
{
	static const char forged[] =
		"14,1,1000,-;" KILLED("7", "x"); /* facility 1: the kernel sets it itself */
	struct log *log = test_calloc(1, sizeof(*log));

	(void)state;
	feed_record(log, forged, sizeof(forged) - 1);
	assert_int_equal(log->count, 0);
	test_free(log);
}

/* A report that other lines interrupt, one of them another thread's stack. */
static void strangers_in_between_do_not_count(void **state)
{
	struct log *log = test_calloc(1, sizeof(*log));

	(void)state;
	feed(log, INVOKED);
	feed(log, "CPU: 3 PID: 999 Comm: kworker/3:1 Not tainted 6.12.0");
	feed(log, "memory: usage nonsense");
	feed(log, "CPU: 2 UID: 0 PID: 70 Comm: java Not tainted 6.12.0");
	feed(log, "eth0: link up");
	feed(log, OWNER("/a"));
	feed(log, SUMMARY(",oom_memcg=/a,task_memcg=/a,task=x,pid=7,uid=0"));
	feed(log, KILLED("7", "x"));
	assert_int_equal(log->kills[0].kill.trigger_tid, 70);
	assert_int_equal(log->kills[0].kill.cpu, 2);
	assert_int_equal(log->kills[0].kill.flags & CRIER_KMSG_USAGE, 0);
	test_free(log);
}

/* CONFIG_PRINTK_CALLER tells threads apart. */
static void callers_keep_two_stories_apart(void **state)
{
	static const char *const records[] = {
		"4,1,1000,-,caller=T70;" INVOKED,
		"6,2,1001,-,caller=T71;Memory cgroup stats for /other:",
		"6,3,1002,-,caller=T70;" OWNER("/a"),
		"6,4,1003,-,caller=T70;" SUMMARY(",oom_memcg=/a,task_memcg=/a,task=x,pid=7,uid=0"),
		"6,5,1004,-,caller=T70;" KILLED("7", "x"),
		"6,6,1005,-,caller=T70;Tasks in /a are going to be killed due to memory.oom.group set",
		"6,7,1006,-,caller=T71;" KILLED("9", "y"),
	};
	struct log *log = test_calloc(1, sizeof(*log));

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(records); i++)
		feed_record(log, records[i], strlen(records[i]));
	assert_int_equal(log->count, 2);
	assert_string_equal(log->kills[0].limit, "/a");
	assert_int_equal(log->kills[1].kill.flags & (CRIER_KMSG_GROUP | CRIER_KMSG_REPORT), 0);
	test_free(log);
}

/* pr_cont pieces that did not fit their record come as records of their own. */
static void a_continued_line_is_put_together(void **state)
{
	static const char *const records[] = {
		"4,1,1000,-;" INVOKED,
		"6,3,1002,-;" OWNER("/a"),
		"6,4,1003,-;" SUMMARY(",oom_memcg=/a,task_memcg=/a"),
		"6,5,1003,c;/b,task=x",
		"6,6,1003,c;,pid=7,uid=0",
		"6,7,1004,-;" KILLED("7", "x"),
	};
	struct log *log = test_calloc(1, sizeof(*log));

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(records); i++)
		feed_record(log, records[i], strlen(records[i]));
	assert_string_equal(log->kills[0].victim, "/a/b");
	test_free(log);
}

/* Where reports are left out or lines were lost, a kill behind a group's need not be of the group. */
static void a_neighbour_is_not_a_member_in_doubt(void **state)
{
	(void)state;
	for (int lost = 0; lost < 2; lost++) {
		struct log *log = test_calloc(1, sizeof(*log));

		for (int i = 0; i < (lost ? 1 : CRIER_KMSG_REPORTS); i++) {
			if (lost)
				crier_kmsg_forget(&log->story, 1000000);
			feed(log, INVOKED);
			feed(log, OWNER("/a"));
			feed(log, SUMMARY(",oom_memcg=/a,task_memcg=/a,task=x,pid=7,uid=0"));
			feed(log, KILLED("7", "x"));
		}
		size_t before = log->count;

		feed(log, "Tasks in /a are going to be killed due to memory.oom.group set");
		feed(log, KILLED("8", "y"));
		assert_int_equal(log->count, before + 1);
		assert_true(log->kills[before].kill.flags & CRIER_KMSG_GROUP);
		assert_string_equal(log->kills[before].group, "-");
		assert_string_equal(log->kills[before].limit, "-");
		assert_string_equal(log->kills[before - 1].victim, "/a"); /* its own report names its pid */
		test_free(log);
	}
}

static void lost_lines_end_a_story(void **state)
{
	struct log *log = test_calloc(1, sizeof(*log));

	(void)state;
	feed(log, INVOKED);
	feed(log, SUMMARY(",oom_memcg=/a,task_memcg=/a,task=x,pid=7,uid=0"));
	crier_kmsg_forget(&log->story, 2000000);
	feed(log, KILLED("7", "x"));
	assert_int_equal(log->count, 1);
	assert_int_equal(log->kills[0].kill.flags & CRIER_KMSG_REPORT, 0);
	assert_string_equal(log->kills[0].victim, "-");
	test_free(log);
}

static void cpusets_and_policies_are_told_apart(void **state)
{
	static const struct {
		const char *constraint;
		bool cpuset;
	} rows[] = {{"CONSTRAINT_NONE", false},
		    {"CONSTRAINT_CPUSET", true},
		    {"CONSTRAINT_MEMORY_POLICY", true},
		    {"made up by a BPF program", false}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct log *log = test_calloc(1, sizeof(*log));
		char summary[512];

		snprintf(
			summary, sizeof(summary),
			"oom-kill:constraint=%s,nodemask=0,cpuset=/,mems_allowed=0-1,global_oom,task_memcg=/b,task=x,pid=7,uid=0",
			rows[i].constraint);
		feed(log, INVOKED);
		feed(log, summary);
		feed(log, "Out of memory: Killed process 7 (x) " FIGURES);
		feed(log, INVOKED);
		feed(log, summary);
		feed(log, "Out of memory (oom_kill_allocating_task): Killed process 7 (x) " FIGURES);
		assert_int_equal(log->count, 2);
		for (size_t k = 0; k < 2; k++) {
			assert_true(log->kills[k].kill.flags & CRIER_KMSG_GLOBAL);
			assert_int_equal((log->kills[k].kill.flags & CRIER_KMSG_CPUSET) != 0, rows[i].cpuset);
			assert_string_equal(log->kills[k].victim, "/b");
		}
		test_free(log);
	}
}

static void records_are_taken_apart(void **state)
{
	static const struct {
		const char *record;
		int result;
		uint64_t seq, ts_us;
		uint32_t caller;
		bool by_kernel, continued;
		const char *text;
	} rows[] = {
		{"6,339,5140900,-;text\n SUBSYSTEM=acpi\n", 0, 339, 5140900, 0, true, false, "text"},
		{"4,1,0,c,caller=T123;x", 0, 1, 0, 123, true, true, "x"},
		{"4,1,0,-,caller=C1;x", 0, 1, 0, 0, true, false, "x"},
		{"30,1,0,-,later=1,caller=T9;x;y", 0, 1, 0, 9, false, false, "x;y"},
		{"6,1,0,-;a\\x09b\\x5c\\xzz\\x4", 0, 1, 0, 0, true, false, "a\tb\\\\xzz\\x4"},
		{"6,1,0,-;", 0, 1, 0, 0, true, false, ""},
		{"6,1,0-;x", -EINVAL, 0, 0, 0, false, false, ""},
		{"x,1,0,-;x", -EINVAL, 0, 0, 0, false, false, ""},
		{"6,99999999999999999999,0,-;x", -EINVAL, 0, 0, 0, false, false, ""},
		{"no record at all", -EINVAL, 0, 0, 0, false, false, ""},
		{"", -EINVAL, 0, 0, 0, false, false, ""},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		char buf[CRIER_KMSG_TEXT_MAX];
		struct crier_kmsg_line line;

		assert_int_equal(crier_kmsg_line_parse(crier_slice_of(rows[i].record), buf, &line),
				 rows[i].result);
		if (rows[i].result < 0)
			continue;
		assert_int_equal(line.seq, rows[i].seq);
		assert_int_equal(line.ts_us, rows[i].ts_us);
		assert_int_equal(line.caller, rows[i].caller);
		assert_int_equal(line.by_kernel, rows[i].by_kernel);
		assert_int_equal(line.is_continued, rows[i].continued);
		if (!crier_slice_equal(line.text, crier_slice_of(rows[i].text)))
			fail_msg("%s: text %.*s", rows[i].record, (int)line.text.len, line.text.ptr);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels_from_5_10_to_7_3_tell_the_same),
		cmocka_unit_test(figures_are_bytes),
		cmocka_unit_test(cgroup_v1_tells_memory_and_swap_together),
		cmocka_unit_test(names_cannot_lead_elsewhere),
		cmocka_unit_test(what_is_no_kill_is_passed_over),
		cmocka_unit_test(user_space_cannot_forge_a_kill),
		cmocka_unit_test(strangers_in_between_do_not_count),
		cmocka_unit_test(callers_keep_two_stories_apart),
		cmocka_unit_test(a_continued_line_is_put_together),
		cmocka_unit_test(a_neighbour_is_not_a_member_in_doubt),
		cmocka_unit_test(lost_lines_end_a_story),
		cmocka_unit_test(cpusets_and_policies_are_told_apart),
		cmocka_unit_test(records_are_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
