/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log as it tells of OOM kills: a record of /dev/kmsg taken apart, and the lines of one kill put together. Pure;
 * everything in it may hold names that a workload chose.
 */
#ifndef CRIER_KMSG_H
#define CRIER_KMSG_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/str.h"
#include "crier/wire.h"

/* printk's longest record, escapes and dictionary included (PRINTK_MESSAGE_MAX is 2,048; 8,192 before 6.4). */
#define CRIER_KMSG_RECORD_MAX 8192
/* Longest text kept of one line, and of one continued over several records. */
#define CRIER_KMSG_TEXT_MAX 2048
/* A cgroup's path in the log; two of them and the rest must fit printk's 1,024 bytes or come cut. */
#define CRIER_KMSG_PATH_MAX 1024

struct crier_kmsg_line {
	uint64_t seq; /* of the record: a gap is a loss */
	uint64_t
		ts_us; /* printk's clock: since boot, without suspend, not NTP's; only differences mean something */
	uint32_t caller;   /* thread that printed it (CONFIG_PRINTK_CALLER); 0 = not told */
	bool by_kernel;	   /* facility 0: user space cannot write that, whatever it puts into /dev/kmsg */
	bool is_continued; /* goes on where the line before stopped */
	struct crier_slice text; /* first line, escapes undone; points into the caller's buffer */
};

/**
 * Take one record of /dev/kmsg apart: "PRIORITY,SEQ,TIME,FLAGS[,caller=T123];TEXT\n KEY=VALUE\n…" (Documentation/ABI,
 * dev-kmsg). What does not fit is cut.
 * @param buf  for the text, CRIER_KMSG_TEXT_MAX bytes
 * @return 0 or -EINVAL: not such a record
 */
int crier_kmsg_line_parse(struct crier_slice record, char buf[CRIER_KMSG_TEXT_MAX],
			  struct crier_kmsg_line *ret_line) crier_must_check;

/* Which of a kill's facts are known. */
#define CRIER_KMSG_PGTABLES  (1u << 0)
#define CRIER_KMSG_SCORE_ADJ (1u << 1)
#define CRIER_KMSG_USAGE     (1u << 2) /* usage and limit of the memory cgroup */
#define CRIER_KMSG_SWAP	     (1u << 3)
#define CRIER_KMSG_CPU	     (1u << 4)
#define CRIER_KMSG_REPORT    (1u << 5) /* the report before it is this kill's: scope and trigger are known */
#define CRIER_KMSG_GLOBAL    (1u << 6) /* not a memory cgroup's limit */
#define CRIER_KMSG_CPUSET    (1u << 7) /* with GLOBAL: allowed NUMA nodes only */
#define CRIER_KMSG_GROUP     (1u << 8) /* killed along with another by memory.oom.group */
#define CRIER_KMSG_REPEATED                                                                                  \
	(1u << 9) /* the group's first victim, told a second time: counted twice by the kernel as well */

/* One "Killed process" line and what the lines before it add. Slices point into the story: they die with its next line. */
struct crier_kmsg_kill {
	uint32_t flags;
	uint32_t pid; /* as the host counts; of a thread where the process' first one had ended */
	uint8_t comm[CRIER_WIRE_COMM_LEN];
	uint64_t total_vm_bytes, anon_bytes, file_bytes, shmem_bytes, pgtables_bytes;
	int32_t oom_score_adj;
	uint32_t trigger_tid; /* 0 = not known; the thread whose allocation led here */
	uint8_t trigger_comm[CRIER_WIRE_COMM_LEN];
	uint16_t cpu;
	uint64_t usage_bytes, limit_bytes, swap_bytes;
	struct crier_slice
		limit_path; /* whose limit was hit; in the memory hierarchy, absolute; absent = not known */
	struct crier_slice victim_path; /* the victim's memory cgroup; absent = not known */
	struct crier_slice group_path;	/* with GROUP: the victim is in it or below */
};

struct crier_kmsg_text {
	char bytes[CRIER_KMSG_TEXT_MAX];
	size_t len; /* 0 = none */
	bool is_cut;
};

/* printk_ratelimit's burst (lib/ratelimit.h): above it reports are left out, for 5 s */
#define CRIER_KMSG_REPORTS 10

/* The lines of the kill under way. All zero is a good start. */
struct crier_kmsg_story {
	bool is_open; /* "invoked oom-killer" was seen and no later kill made it stale */
	uint32_t caller;
	uint32_t first_pid; /* first victim of the kill; 0 = none yet */
	bool first_had_report;
	uint64_t group_us; /* last line of a group's kill */
	uint64_t reports_us[CRIER_KMSG_REPORTS];
	size_t report_next;
	uint64_t doubt_until_us; /* lines are missing: what stands behind another need not belong to it */
	uint32_t trigger_tid;
	uint8_t trigger_comm[CRIER_WIRE_COMM_LEN];
	size_t trigger_comm_len;
	uint16_t cpu;
	uint32_t known; /* CRIER_KMSG_USAGE, _SWAP, _CPU */
	uint64_t usage_bytes, limit_bytes, swap_bytes;
	char limit_path[CRIER_KMSG_PATH_MAX], group_path[CRIER_KMSG_PATH_MAX];
	size_t limit_path_len, group_path_len;
	struct crier_kmsg_text summary; /* the "oom-kill:" line, kept until the victim's name is known */
	struct crier_kmsg_text *last;	/* what a continuation adds to */
};

/**
 * Feed the next line, in order.
 *
 * Forms known (5.10 to 7.3, mm/oom_kill.c and mm/memcontrol.c): "X invoked oom-killer: …", "CPU: N [UID: N] PID: N Comm: X",
 * "memory: usage NkB, limit NkB, …", "swap: usage …" (v2), "memory+swap: usage …" (v1), "Memory cgroup stats for PATH:",
 * "oom-kill:constraint=…,[oom_memcg=PATH|global_oom],task_memcg=PATH,task=X,pid=N,uid=N", "Tasks in PATH are going to be
 * killed due to memory.oom.group set", "REASON: Killed process N (X) total-vm:…". All but the last are rate limited by the
 * kernel (10 reports in 5 s), so that a kill may come alone.
 *
 * A path is told only where the line can be read in one way: names hold commas and whatever else a workload likes.
 * @return true: a process was killed, *ret_kill is filled
 */
bool crier_kmsg_feed(struct crier_kmsg_story *story, const struct crier_kmsg_line *line,
		     struct crier_kmsg_kill *ret_kill);

/** Lines were lost before `ts_us`: forget the kill under way, and for a while trust no neighbourhood. */
void crier_kmsg_forget(struct crier_kmsg_story *story, uint64_t ts_us);

#endif
