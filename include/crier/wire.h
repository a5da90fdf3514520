/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The wire between the kernel programs and user space: the only header both sides include.
 *
 * Every record starts with struct crier_wire_header, is fully initialised, has no holes, and is a multiple
 * of 8 bytes long. Long text stands at the tail and is named by (offset, length) from the record's start.
 * User space trusts none of it: src/decode.c checks each bound.
 */
#ifndef CRIER_WIRE_H
#define CRIER_WIRE_H

#ifndef __bpf__
#include <assert.h>
#include <linux/types.h>
#include <stddef.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
#endif

#define CRIER_WIRE_VERSION 1

#define CRIER_WIRE_COMM_LEN	 16
#define CRIER_WIRE_NAME_MAX	 256  /* a cgroup's leaf name: NAME_MAX + 1 */
#define CRIER_WIRE_FILENAME_MAX	 1024 /* an executed path; longer ones are cut and flagged */
#define CRIER_WIRE_ARGS_MAX	 2048 /* the argument area, when arguments are asked for */
#define CRIER_WIRE_OOM_LEVELS	 10   /* memory cgroups from the victim's upwards */
#define CRIER_WIRE_ANCESTORS_MAX 16
/* The longest record: an exec with arguments. User space refuses anything above. */
#define CRIER_WIRE_RECORD_MAX 4096

/* header.type */
enum crier_wire_type {
	CRIER_WIRE_NONE = 0,
	/* control records: they feed tables and make no line by themselves */
	CRIER_WIRE_CGROUP_MKDIR = 1,
	CRIER_WIRE_CGROUP_RMDIR = 2,
	CRIER_WIRE_CGROUP_POPULATED = 3,
	CRIER_WIRE_PRESSURE_HINT = 4,
	/* event records */
	CRIER_WIRE_EXEC = 8,
	CRIER_WIRE_FORK = 9,
	CRIER_WIRE_EXIT = 10,
	CRIER_WIRE_SIGNAL = 11,
	CRIER_WIRE_OOM = 12,
	CRIER_WIRE_TYPE_COUNT,
};

/* header.ring: which ring carried it, and so its loss class */
enum crier_wire_class {
	CRIER_CLASS_BULK = 0,
	CRIER_CLASS_CRITICAL = 1,
	CRIER_CLASS_COUNT,
};

/* header.hook: the program that made the record; names in src/probe/hooks.c */
enum crier_wire_hook {
	CRIER_HOOK_NONE = 0,
	CRIER_HOOK_TP_BTF_CGROUP_MKDIR,
	CRIER_HOOK_TP_BTF_CGROUP_RMDIR,
	CRIER_HOOK_TP_BTF_CGROUP_POPULATED,
	CRIER_HOOK_TP_BTF_RECLAIM,
	CRIER_HOOK_TP_BTF_EXEC,
	CRIER_HOOK_TP_BTF_FORK,
	CRIER_HOOK_TP_BTF_EXIT,
	CRIER_HOOK_TP_BTF_SIGNAL,
	CRIER_HOOK_TP_BTF_MARK_VICTIM,
	CRIER_HOOK_RAW_TP_CGROUP_MKDIR,
	CRIER_HOOK_RAW_TP_CGROUP_RMDIR,
	CRIER_HOOK_RAW_TP_CGROUP_POPULATED,
	CRIER_HOOK_RAW_TP_RECLAIM,
	CRIER_HOOK_RAW_TP_EXEC,
	CRIER_HOOK_RAW_TP_FORK,
	CRIER_HOOK_RAW_TP_EXIT,
	CRIER_HOOK_RAW_TP_SIGNAL,
	CRIER_HOOK_RAW_TP_MARK_VICTIM,
	CRIER_HOOK_FENTRY_OOM_KILL_PROCESS,
	CRIER_HOOK_KPROBE_OOM_KILL_PROCESS,
	CRIER_HOOK_FENTRY_MARK_OOM_VICTIM,
	CRIER_HOOK_KPROBE_MARK_OOM_VICTIM,
	CRIER_HOOK_USER, /* no kernel program: user space saw it (CRI, cgroupfs, /proc) */
	/* without a kernel program of crier's: src/fallback */
	CRIER_HOOK_INOTIFY_CGROUP,	  /* a directory of cgroupfs came or went */
	CRIER_HOOK_INOTIFY_CGROUP_EVENTS, /* cgroup.events changed */
	CRIER_HOOK_INOTIFY_MEMORY_EVENTS, /* memory.events changed */
	CRIER_HOOK_EVENTFD_OOM_CONTROL,	  /* v1: memory.oom_control */
	CRIER_HOOK_KMSG,		  /* the kernel's log */
	CRIER_HOOK_COUNT,
};

/* What the class filter knows of a cgroup: value of the class map. */
enum crier_wire_cgroup_class {
	CRIER_CGROUP_UNDETERMINED = 0, /* also: not in the map. Passes. */
	CRIER_CGROUP_HOST = 1,	       /* bulk events are filtered (counted), OOM is not */
	CRIER_CGROUP_CONTAINER = 2,
};

#define CRIER_WIRE_CPU_UNKNOWN 0xffffu

struct crier_wire_header {
	__u16 length;	   /* whole record with tail, bytes, multiple of 8 */
	__u8 version;	   /* CRIER_WIRE_VERSION */
	__u8 type;	   /* enum crier_wire_type */
	__u8 ring;	   /* enum crier_wire_class */
	__u8 hook;	   /* enum crier_wire_hook */
	__u16 cpu;	   /* CRIER_WIRE_CPU_UNKNOWN: not told */
	__u64 boottime_ns; /* bpf_ktime_get_boot_ns() */
	__u64 cgroup_id;   /* the subject's cgroup in the primary hierarchy; 0 = not known */
};

/* Tail text: bytes from the record's start; length 0 = absent. */
struct crier_wire_text {
	__u16 offset;
	__u16 length;
};

/* Flags of crier_wire_task. */
#define CRIER_TASK_VALID      (1u << 0) /* the block is filled; without it all its fields are zero */
#define CRIER_TASK_KTHREAD    (1u << 1)
#define CRIER_TASK_EXECED     (1u << 2) /* has executed since it was forked (PF_FORKNOEXEC clear) */
#define CRIER_TASK_NS_INIT    (1u << 3) /* pid 1 of a pid namespace below the host's */
#define CRIER_TASK_KNOWN_INIT (1u << 4) /* in the map of container inits that user space filled */
#define CRIER_TASK_NO_START   (1u << 5) /* start_boottime_ns is not known */
#define CRIER_TASK_NO_UID     (1u << 6) /* uid is not known */
#define CRIER_TASK_BY_TICKS   (1u << 7) /* user space's: read from /proc, start_boottime_ns is cut to 10 ms */

/* A process (thread group): always its leader's identity, whoever the task was. */
struct crier_wire_task {
	__u64 start_boottime_ns;	/* of the group leader */
	__u64 parent_start_boottime_ns; /* of real_parent's group leader */
	__u64 cgroup_id;		/* primary hierarchy */
	__u32 pid;			/* tgid in the host's pid namespace */
	__u32 tid;			/* the task that did it */
	__u32 vpid;			/* tgid in its own pid namespace */
	__u32 parent_pid;
	__u32 uid; /* effective, in the initial user namespace */
	__u32 flags;
	__u8 comm[CRIER_WIRE_COMM_LEN]; /* any bytes, NUL-padded */
};

/* A cgroup was made. header.cgroup_id is the new one; only the primary hierarchy is reported. */
struct crier_wire_cgroup_mkdir {
	struct crier_wire_header header;
	__u64 parent_id;
	__u32 level;
	__u8 cgroup_class; /* enum crier_wire_cgroup_class it was given (inherited or undetermined) */
	__u8 zero[3];
	struct crier_wire_text name; /* leaf name */
	__u32 zero2;
};

struct crier_wire_cgroup_rmdir {
	struct crier_wire_header header;
};

struct crier_wire_cgroup_populated {
	struct crier_wire_header header;
	__u32 populated; /* 0 or 1 */
	__u32 zero;
};

/* Reclaim ran for a memory cgroup, at most once per cgroup and half second: look at its counters. */
struct crier_wire_pressure_hint {
	struct crier_wire_header header; /* cgroup_id: current's, primary hierarchy */
	__u64 memory_cgroup_id;		 /* current's memory cgroup, in the memory hierarchy */
};

#define CRIER_EXEC_FILENAME_CUT (1u << 0)
#define CRIER_EXEC_ARGS_CUT	(1u << 1)

struct crier_wire_exec {
	struct crier_wire_header header;
	struct crier_wire_task task;
	__u32 flags;
	__u32 args_count;		 /* bprm->argc */
	struct crier_wire_text filename; /* bprm->filename */
	struct crier_wire_text args;	 /* NUL-separated; absent unless asked for */
};

/* A new process; threads are not reported. */
struct crier_wire_fork {
	struct crier_wire_header header; /* cgroup_id: the child's */
	struct crier_wire_task child;
	struct crier_wire_task parent;
};

#define CRIER_EXIT_GROUP_EXIT (1u << 0) /* SIGNAL_GROUP_EXIT was set: status is the group's */
#define CRIER_EXIT_OOM	      (1u << 1) /* signal->oom_mm was set: an OOM victim */
#define CRIER_EXIT_PEAK_MIXED (1u << 2) /* peak_rss may include the time before the last exec */

/* The last thread of a process ended. One per process. */
struct crier_wire_exit {
	struct crier_wire_header header;
	struct crier_wire_task task;
	__u64 user_ns;
	__u64 system_ns;
	__u64 cpu_ns;	      /* scheduler's exact run time, all threads; 0 = not known */
	__u64 peak_rss_bytes; /* 0 = not known */
	__u32 status;	      /* as wait(2): code << 8, or signal, | 0x80 core */
	__u32 flags;
};

#define CRIER_SIGNAL_FATAL	  (1u << 0) /* default action ends the target, not blocked; or SIGKILL */
#define CRIER_SIGNAL_STOP_INIT	  (1u << 1) /* TERM INT QUIT KILL to an init from another cgroup */
#define CRIER_SIGNAL_FROM_PROCESS (1u << 2) /* si_code says that a process sent it: sender is valid */
#define CRIER_SIGNAL_GROUP	  (1u << 3) /* to the whole process */

struct crier_wire_signal {
	struct crier_wire_header header; /* cgroup_id: the target's */
	struct crier_wire_task target;
	struct crier_wire_task sender; /* zero unless CRIER_SIGNAL_FROM_PROCESS */
	__u32 signal;
	__s32 code;   /* si_code; 0 with FROM_PROCESS also for SEND_SIG_NOINFO */
	__u32 result; /* TRACE_SIGNAL_*: 0 delivered, 1 ignored, 2 already pending, ... */
	__u32 flags;
};

#define CRIER_OOM_LEVEL_DELTA_KNOWN (1u << 0) /* last value was known: oom_delta means something */
#define CRIER_OOM_LEVEL_GROUP	    (1u << 1) /* memory.oom.group is set here */
/* What a source without a look into the kernel may not know. */
#define CRIER_OOM_LEVEL_NO_USAGE (1u << 2)
#define CRIER_OOM_LEVEL_NO_MAX	 (1u << 3)
#define CRIER_OOM_LEVEL_NO_PEAK	 (1u << 4)
#define CRIER_OOM_LEVEL_NO_SWAP	 (1u << 5)

/* One memory cgroup of the victim's chain, the victim's own first. Pages of the kernel's page size. */
struct crier_wire_oom_level {
	__u64 cgroup_id; /* in the memory hierarchy; 0 = not known */
	__u64 usage_pages;
	__u64 max_pages; /* the kernel's "no limit" is a huge value, see CRIER_WIRE_PAGES_UNLIMITED */
	__u64 peak_pages;
	__u64 swap_pages; /* v2: swap counter; v1: memsw minus memory, 0 when not accounted */
	__u32 oom_delta;  /* rise of memory_events_local[MEMCG_OOM] since last seen */
	__u32 flags;
};

/* At or above this many pages a limit means none (PAGE_COUNTER_MAX is LONG_MAX / PAGE_SIZE or LONG_MAX). */
#define CRIER_WIRE_PAGES_UNLIMITED (1ULL << 50)

#define CRIER_OOM_HAS_CONTROL	(1u << 0) /* oom_control was seen: limit_cgroup_id/constraint are valid */
#define CRIER_OOM_GLOBAL	(1u << 1) /* oom_control->memcg was NULL */
#define CRIER_OOM_CPUSET	(1u << 2) /* oom_control->constraint is CPUSET or MEMORY_POLICY */
#define CRIER_OOM_VICTIM_BY_PID (1u << 3) /* old mark_victim(int): victim block holds the pid only */
#define CRIER_OOM_LEVELS_CUT	(1u << 4) /* the chain was longer than CRIER_WIRE_OOM_LEVELS */
#define CRIER_OOM_MEMCG		(1u << 5) /* a memory cgroup's limit, and not known which: levels may be empty */
#define CRIER_OOM_NO_SWAP	(1u << 6) /* swap_entries is not known */
#define CRIER_OOM_NO_VICTIM	(1u << 7) /* counted, not seen: the victim block is zero, `kills` says how many */
#define CRIER_OOM_NO_PGTABLES	(1u << 8)
#define CRIER_OOM_NO_SCORE_ADJ	(1u << 9)

/* One process chosen by the OOM killer; once per process. header.cgroup_id: the victim's. */
struct crier_wire_oom {
	struct crier_wire_header header;
	struct crier_wire_task victim;
	struct crier_wire_task trigger; /* current: whose allocation (or limit write) led here */
	__u64 limit_cgroup_id;		/* memory hierarchy; with HAS_CONTROL and not GLOBAL, else 0 */
	__u64 total_pages;		/* oom_control->totalpages, 0 = not known */
	__u64 anon_pages;		/* victim's counters; per-CPU parts may lag by a few pages */
	__u64 file_pages;
	__u64 shmem_pages;
	__u64 swap_entries;
	__u64 hiwater_rss_pages;
	__u64 total_vm_pages;
	__u64 pgtables_bytes;
	__s32 oom_score_adj;
	__u32 flags;
	__u32 page_size;
	__u16 level_count; /* used entries of levels */
	__u16 kills;	   /* with NO_VICTIM: kills that this record stands for */
	struct crier_wire_oom_level levels[CRIER_WIRE_OOM_LEVELS];
};

/*
 * Not in records: `r0 = MARK` in a program, where user space puts a call of bpf_preempt_disable, _enable or bpf_rdonly_cast before
 * the load.
 */
#define CRIER_MARK_PREEMPT_DISABLE 0x7eed0001
#define CRIER_MARK_PREEMPT_ENABLE  0x7eed0002
#define CRIER_MARK_RDONLY_CAST	   0x7eed0003 /* `r0 = r1` follows: what stands where there is no call */
/* And `r2 = MARK + which`, where the BTF id of one of these structs is put for bpf_rdonly_cast. */
#define CRIER_MARK_TYPE 0x7eed0100

enum crier_readable {
	CRIER_READABLE_task_struct,
	CRIER_READABLE_linux_binprm,
	CRIER_READABLE_cgroup,
	CRIER_READABLE_COUNT,
};

/* What wakes user space, for bulk records: value of crier_wire_control.armed. Critical records always do. */
enum crier_wire_armed {
	CRIER_ARMED_NOT = 0,	 /* nothing: it is awake */
	CRIER_ARMED_ANY = 1,	 /* the first record: it sleeps until there is one */
	CRIER_ARMED_FILLING = 2, /* a ring that fills: it sleeps for --drain-interval while records gather */
};

/* A ring fills when a quarter of it waits: three quarters are left to the time until user space runs. */
#define CRIER_WIRE_FILLING_SHARE 4

/* Knobs that user space may turn while the programs run. */
struct crier_wire_control {
	__u32 armed;	  /* enum crier_wire_armed; the producer that clears it wakes user space */
	__u32 event_mask; /* 1 << enum crier_wire_type: event records wanted at all; copied to each CPU's slot */
	__u32 args_max;	     /* bytes of arguments to copy, 0 = none, at most CRIER_WIRE_ARGS_MAX */
	__u32 bulk_rate;     /* bulk events per cgroup and second, 0 = no budget */
	__u32 critical_rate; /* critical events per cgroup and second: a ceiling, 0 = none */
	__u32 self_pid;	     /* crier's own tgid */
};

/* Counters, one set per CPU, only ever rising. generated = class_filtered + suppressed + reserve_failed +
 * submitted, for event records, per class; a CPU's own `generated` is without what was filtered, which user space adds.
 * Control records are counted apart. Recordings hold this struct as it is. */
struct crier_wire_counters {
	__u64 generated[CRIER_CLASS_COUNT];
	__u64 class_filtered[CRIER_CLASS_COUNT]; /* of host cgroups, or a type not wanted */
	__u64 suppressed[CRIER_CLASS_COUNT];	 /* over the cgroup's budget */
	__u64 reserve_failed[CRIER_CLASS_COUNT]; /* ring full */
	__u64 submitted[CRIER_CLASS_COUNT];
	__u64 control_submitted;
	__u64 control_failed;  /* a control record found its ring full */
	__u64 truncated;       /* text that did not fit */
	__u64 lookup_missed;   /* a kernel structure could not be read */
	__u64 class_map_full;  /* a cgroup could not be classified; it passes */
	__u64 budget_map_full; /* no bucket for a cgroup; it passes */
};

/* Of one CPU. The first cache line holds all that an event of the host's needs. */
struct crier_wire_cpu {
	__u64 last_class; /* the kernel side's own: class of the cgroup last looked up, see bpf/helpers.h */
	__u32 event_mask; /* the control's */
	__u32 class_generation; /* raised by user space after each change of the class map: voids last_class */
	struct crier_wire_counters counters;
};

/*
 * What both sides share beside records, in the slots of one map that user space maps too: control, inits, CPUs.
 * One map, because an event finds nothing of crier's in the caches, and each page that it has to find costs it more than
 * all of its arithmetic.
 */
#define CRIER_SLOT_CONTROL 0 /* struct crier_wire_control */
#define CRIER_SLOT_INITS   1 /* bits, see below */
#define CRIER_SLOT_CPU	   3 /* the first CPU's struct crier_wire_cpu, the others' after it */

/* Whole cache lines: no CPU writes into another's. */
#define CRIER_SLOT_WORDS 32

struct crier_wire_slot {
	__u64 words[CRIER_SLOT_WORDS];
};

/*
 * A bit for each pid in the map of container inits, by the pid's last bits: where it is 0, no look-up is needed. Set by user
 * space before the pid is in the map, cleared after it is not.
 */
#define CRIER_INIT_WORDS     ((CRIER_SLOT_CPU - CRIER_SLOT_INITS) * CRIER_SLOT_WORDS)
#define CRIER_INIT_WORD(pid) ((__u32)(pid) / 64 % CRIER_INIT_WORDS)
#define CRIER_INIT_BIT(pid)  (1ULL << ((__u32)(pid) % 64))

/* Value of the budget map, one per cgroup. tokens in thousandths of an event, signed. */
struct crier_wire_budget {
	__u64 refilled_ns;
	__u32 tokens[CRIER_CLASS_COUNT];
	__u64 suppressed[CRIER_CLASS_COUNT]; /* since the entry was made */
	__u64 failed[CRIER_CLASS_COUNT];     /* reserve failures charged to this cgroup */
};

/* One process as iter/task prints it at start: the seed of process keys. */
struct crier_wire_seed {
	struct crier_wire_task task;
	__u64 memory_cgroup_id;
};

#ifndef __bpf__
#pragma GCC diagnostic pop
static_assert(sizeof(struct crier_wire_header) == 24, "header layout");
static_assert(sizeof(struct crier_wire_task) == 64, "task layout");
static_assert(offsetof(struct crier_wire_task, comm) == 48, "task layout");
static_assert(sizeof(struct crier_wire_cgroup_mkdir) == 48, "mkdir layout");
static_assert(sizeof(struct crier_wire_exec) == 104, "exec layout");
static_assert(sizeof(struct crier_wire_fork) == 152, "fork layout");
static_assert(sizeof(struct crier_wire_exit) == 128, "exit layout");
static_assert(sizeof(struct crier_wire_signal) == 168, "signal layout");
static_assert(sizeof(struct crier_wire_oom_level) == 48, "oom level layout");
static_assert(sizeof(struct crier_wire_oom) % 8 == 0, "oom layout");
static_assert(sizeof(struct crier_wire_oom) <= CRIER_WIRE_RECORD_MAX, "oom fits a record");
static_assert(sizeof(struct crier_wire_control) <= sizeof(struct crier_wire_slot), "control fits a slot");
static_assert(sizeof(struct crier_wire_cpu) <= sizeof(struct crier_wire_slot), "a CPU fits a slot");
static_assert(sizeof(struct crier_wire_slot) % 64 == 0, "whole cache lines");
static_assert(offsetof(struct crier_wire_cpu, counters.suppressed) <= 64, "the first line of a CPU");
#endif

#endif
