/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of one OOM kill, put together. */
#include "crier/kmsg.h"

#include "crier/base/cleanup.h"

/* Between two victims of one group kill; a serial console is slow. */
#define GROUP_WINDOW_US (2 * 1000000ULL)
/* The kernel's limit is 10 reports in 5 s: after as long again without a tenth report, none was left out. */
#define STORM_WINDOW_US (10 * 1000000ULL)

/* ---- small pieces of text ---- */

static bool eat(struct crier_slice *text, struct crier_slice prefix)
{
	if (!crier_slice_starts(*text, prefix))
		return false;
	text->ptr += prefix.len;
	text->len -= prefix.len;
	return true;
}

static bool cut_end(struct crier_slice *text, struct crier_slice suffix)
{
	if (!crier_slice_ends(*text, suffix))
		return false;
	text->len -= suffix.len;
	return true;
}

static struct crier_slice head_of(struct crier_slice text, size_t len)
{
	return (struct crier_slice){text.ptr, len};
}

static struct crier_slice from(struct crier_slice text, size_t start)
{
	return (struct crier_slice){text.ptr + start, text.len - start};
}

/* Position of `what` at `start` or behind; text.len when it is not there. */
static size_t find(struct crier_slice text, struct crier_slice what, size_t start)
{
	const char *found =
		start < text.len ? memmem(text.ptr + start, text.len - start, what.ptr, what.len) : NULL;

	return found ? (size_t)(found - text.ptr) : text.len;
}

static size_t find_last(struct crier_slice text, struct crier_slice what)
{
	for (size_t i = text.len; i-- > 0;)
		if (crier_slice_starts(from(text, i), what))
			return i;
	return text.len;
}

/* Digits, after blanks (the kernel pads some numbers). */
static bool eat_number(struct crier_slice *text, uint64_t *ret_value)
{
	size_t digits = 0;

	while (text->len && text->ptr[0] == ' ')
		*text = from(*text, 1);
	while (digits < text->len && text->ptr[digits] >= '0' && text->ptr[digits] <= '9')
		digits++;
	if (crier_parse_u64(head_of(*text, digits), ret_value) < 0)
		return false;
	*text = from(*text, digits);
	return true;
}

static bool eat_u32(struct crier_slice *text, uint32_t *ret_value)
{
	uint64_t value;

	if (!eat_number(text, &value) || value > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

/* A number of KiB behind `name`. @return false: not there, or above any memory */
static bool eat_kb(struct crier_slice *text, struct crier_slice name, uint64_t *ret_bytes)
{
	uint64_t kb;

	if (!eat(text, name) || !eat_number(text, &kb) || !eat(text, CRIER_SLICE("kB")) ||
	    kb > UINT64_MAX >> 10)
		return false;
	*ret_bytes = kb << 10;
	return true;
}

/* The number at the very end of the text, which loses it. */
static bool cut_number(struct crier_slice *text, uint64_t *ret_value)
{
	size_t digits = 0;

	while (digits < text->len && text->ptr[text->len - digits - 1] >= '0' &&
	       text->ptr[text->len - digits - 1] <= '9')
		digits++;
	if (crier_parse_u64(from(*text, text->len - digits), ret_value) < 0)
		return false;
	text->len -= digits;
	while (text->len && text->ptr[text->len - 1] == ' ')
		text->len--;
	return true;
}

/* Absolute, and not "(name too long)" or "(unknown)" instead. */
static bool is_path(struct crier_slice text)
{
	return text.len > 0 && text.len <= CRIER_KMSG_PATH_MAX && text.ptr[0] == '/';
}

static bool is_within(struct crier_slice path, struct crier_slice above)
{
	if (crier_slice_equal(above, CRIER_SLICE("/")))
		return true;
	return crier_slice_starts(path, above) && (path.len == above.len || path.ptr[above.len] == '/');
}

static void set_comm(uint8_t comm[CRIER_WIRE_COMM_LEN], struct crier_slice text)
{
	memset(comm, 0, CRIER_WIRE_COMM_LEN);
	memcpy(comm, text.ptr, text.len < CRIER_WIRE_COMM_LEN ? text.len : CRIER_WIRE_COMM_LEN - 1);
}

static void keep_path(char *path, size_t *len, struct crier_slice text)
{
	*len = 0;
	if (!is_path(text))
		return;
	memcpy(path, text.ptr, text.len);
	*len = text.len;
}

static void keep_text(struct crier_kmsg_text *kept, struct crier_slice text)
{
	size_t room = sizeof(kept->bytes) - kept->len;

	if (text.len > room) {
		kept->is_cut = true;
		text.len = room;
	}
	memcpy(kept->bytes + kept->len, text.ptr, text.len);
	kept->len += text.len;
}

/* ---- the report: lines before the kill ---- */

static void begin(struct crier_kmsg_story *story)
{
	story->is_open = story->first_had_report = false;
	story->caller = story->first_pid = story->trigger_tid = 0;
	story->known = 0;
	story->group_us = 0;
	story->trigger_comm_len = story->limit_path_len = story->group_path_len = 0;
	story->summary.len = 0;
	story->summary.is_cut = false;
	story->last = NULL;
}

void crier_kmsg_forget(struct crier_kmsg_story *story, uint64_t ts_us)
{
	begin(story);
	story->doubt_until_us = ts_us + STORM_WINDOW_US;
}

/* Can a report have been left out just before `ts_us`? */
static bool is_in_doubt(const struct crier_kmsg_story *story, uint64_t ts_us)
{
	uint64_t tenth_us = story->reports_us[story->report_next]; /* the oldest of ten, 0 = fewer */

	return ts_us < story->doubt_until_us || (tenth_us && ts_us - tenth_us < STORM_WINDOW_US);
}

/* "java invoked oom-killer: gfp_mask=…, order=0, oom_score_adj=985" */
static bool read_invoked(struct crier_kmsg_story *story, const struct crier_kmsg_line *line)
{
	size_t end = find(line->text, CRIER_SLICE(" invoked oom-killer: gfp_mask="), 0);

	if (end == line->text.len || end >= CRIER_WIRE_COMM_LEN)
		return false;
	begin(story);
	story->is_open = true;
	story->caller = line->caller;
	story->trigger_comm_len = end;
	set_comm(story->trigger_comm, head_of(line->text, end));
	story->reports_us[story->report_next] = line->ts_us ? line->ts_us : 1;
	story->report_next = (story->report_next + 1) % CRIER_KMSG_REPORTS;
	return true;
}

/* "CPU: 1 PID: 17716 Comm: java Not tainted …", with "UID: 0 " before PID from 6.12 on. */
static void read_cpu(struct crier_kmsg_story *story, struct crier_slice text)
{
	struct crier_slice comm = {(const char *)story->trigger_comm, story->trigger_comm_len};
	uint32_t cpu, tid, uid;

	if (story->trigger_tid || !eat(&text, CRIER_SLICE("CPU: ")) || !eat_u32(&text, &cpu))
		return;
	if (eat(&text, CRIER_SLICE(" UID: ")) && !eat_u32(&text, &uid))
		return;
	if (!eat(&text, CRIER_SLICE(" PID: ")) || !eat_u32(&text, &tid) ||
	    !eat(&text, CRIER_SLICE(" Comm: ")) || !eat(&text, comm) || !eat(&text, CRIER_SLICE(" ")))
		return; /* another thread's stack in between */
	story->trigger_tid = tid;
	if (cpu < CRIER_WIRE_CPU_UNKNOWN) {
		story->cpu = (uint16_t)cpu;
		story->known |= CRIER_KMSG_CPU;
	}
}

static void read_memory(struct crier_kmsg_story *story, struct crier_slice text)
{
	uint64_t usage, limit;

	if (eat(&text, CRIER_SLICE("memory: "))) {
		if (!eat_kb(&text, CRIER_SLICE("usage "), &usage) ||
		    !eat_kb(&text, CRIER_SLICE(", limit "), &limit))
			return;
		story->usage_bytes = usage;
		story->limit_bytes = limit;
		story->known |= CRIER_KMSG_USAGE;
	} else if (eat(&text, CRIER_SLICE("swap: "))) {
		if (!eat_kb(&text, CRIER_SLICE("usage "), &usage))
			return;
		story->swap_bytes = usage;
		story->known |= CRIER_KMSG_SWAP;
	} else if (eat(&text, CRIER_SLICE("memory+swap: "))) {
		if (!(story->known & CRIER_KMSG_USAGE) || !eat_kb(&text, CRIER_SLICE("usage "), &usage) ||
		    usage < story->usage_bytes)
			return;
		story->swap_bytes = usage - story->usage_bytes;
		story->known |= CRIER_KMSG_SWAP;
	}
}

static void read_report(struct crier_kmsg_story *story, struct crier_slice text)
{
	struct crier_slice path = text;

	if (crier_slice_starts(text, CRIER_SLICE("CPU: "))) {
		read_cpu(story, text);
	} else if (crier_slice_starts(text, CRIER_SLICE("memory")) ||
		   crier_slice_starts(text, CRIER_SLICE("swap: "))) {
		read_memory(story, text);
	} else if (eat(&path, CRIER_SLICE("Memory cgroup stats for "))) {
		if (cut_end(&path, CRIER_SLICE(":")))
			keep_path(story->limit_path, &story->limit_path_len, path);
	} else if (crier_slice_starts(text, CRIER_SLICE("oom-kill:constraint="))) {
		story->summary.len = 0;
		story->summary.is_cut = false;
		keep_text(&story->summary, text);
		story->last = &story->summary;
	}
}

/* "Tasks in PATH are going to be killed due to memory.oom.group set": follows the first victim's line. */
static bool read_group(struct crier_kmsg_story *story, const struct crier_kmsg_line *line)
{
	struct crier_slice path = line->text;

	if (!eat(&path, CRIER_SLICE("Tasks in ")) ||
	    !cut_end(&path, CRIER_SLICE(" are going to be killed due to memory.oom.group set")))
		return false;
	keep_path(story->group_path, &story->group_path_len, path);
	story->group_us = line->ts_us;
	return true;
}

/* ---- the summary: "oom-kill:…", read once the victim's name is known ---- */

/* ",pid=N,uid=N" at the very end: what stands before cannot move it. */
static bool cut_pid(struct crier_slice *text, uint64_t *ret_pid)
{
	uint64_t uid;

	return cut_number(text, &uid) && cut_end(text, CRIER_SLICE(",uid=")) && cut_number(text, ret_pid) &&
	       cut_end(text, CRIER_SLICE(",pid="));
}

/*
 * "PATH,task_memcg=PATH": the victim's is the owner's or below it. The owner is known from a line of its own; where it is not,
 * only one way to read it may be left.
 */
static bool split_paths(struct crier_slice text, struct crier_slice known_owner,
			struct crier_slice *ret_owner, struct crier_slice *ret_victim)
{
	const struct crier_slice mark = CRIER_SLICE(",task_memcg=");
	unsigned ways = 0;

	for (size_t at = find(text, mark, 0); at < text.len; at = find(text, mark, at + 1)) {
		struct crier_slice owner = head_of(text, at), victim = from(text, at + mark.len);

		if (!is_path(owner) || !is_path(victim) || !is_within(victim, owner))
			continue;
		if (known_owner.len && !crier_slice_equal(owner, known_owner))
			continue;
		*ret_owner = owner;
		*ret_victim = victim;
		ways++;
	}
	return ways == 1;
}

/* No name before the first of the marks holds a slash (a cpuset is told by its last component alone), so it is genuine. */
static void read_paths(const struct crier_kmsg_story *story, struct crier_slice text,
		       struct crier_kmsg_kill *kill)
{
	bool is_global = kill->flags & CRIER_KMSG_GLOBAL;
	struct crier_slice mark =
		is_global ? CRIER_SLICE(",global_oom,task_memcg=") : CRIER_SLICE(",oom_memcg=");
	struct crier_slice comm = crier_slice_bounded((const char *)kill->comm, CRIER_WIRE_COMM_LEN);
	struct crier_slice owner, victim;
	size_t at;

	if (!cut_end(&text, comm) || !cut_end(&text, CRIER_SLICE(",task=")))
		return; /* it renamed itself between two lines */
	at = is_global ? find(text, CRIER_SLICE(",global_oom,task_memcg=/"), 0)
		       : find(text, CRIER_SLICE(",oom_memcg=/"), 0);
	if (at == text.len)
		return; /* without memory cgroups, or a path that was too long to print */
	text = from(text, at + mark.len);
	if (is_global) {
		if (is_path(text))
			kill->victim_path = text;
	} else if (split_paths(text, (struct crier_slice){story->limit_path, story->limit_path_len}, &owner,
			       &victim)) {
		kill->limit_path = owner;
		kill->victim_path = victim;
	}
}

/* @return false: no report, or another kill's */
static bool read_summary(const struct crier_kmsg_story *story, struct crier_kmsg_kill *kill)
{
	struct crier_slice text = {story->summary.bytes, story->summary.len}, constraint;
	uint64_t pid;

	if (!story->is_open || !text.len || story->summary.is_cut || !cut_pid(&text, &pid) ||
	    pid != kill->pid)
		return false;
	constraint = text;
	(void)eat(&constraint, CRIER_SLICE("oom-kill:constraint="));
	read_paths(story, text, kill);
	if ((kill->flags & CRIER_KMSG_GLOBAL) && (eat(&constraint, CRIER_SLICE("CONSTRAINT_CPUSET,")) ||
						  eat(&constraint, CRIER_SLICE("CONSTRAINT_MEMORY_POLICY,"))))
		kill->flags |= CRIER_KMSG_CPUSET;
	return true;
}

/* What the report says of the kill, not of one victim. */
static void tell_report(const struct crier_kmsg_story *story, struct crier_kmsg_kill *kill)
{
	kill->flags |= CRIER_KMSG_REPORT | (story->known & CRIER_KMSG_CPU);
	if (!(kill->flags & CRIER_KMSG_GLOBAL))
		kill->flags |= story->known & (CRIER_KMSG_USAGE | CRIER_KMSG_SWAP);
	if (!kill->limit_path.len && !(kill->flags & CRIER_KMSG_GLOBAL) && story->limit_path_len)
		kill->limit_path = (struct crier_slice){story->limit_path, story->limit_path_len};
	kill->trigger_tid = story->trigger_tid;
	memcpy(kill->trigger_comm, story->trigger_comm, sizeof(kill->trigger_comm));
	kill->cpu = story->cpu;
	kill->usage_bytes = story->usage_bytes;
	kill->limit_bytes = story->limit_bytes;
	kill->swap_bytes = story->swap_bytes;
}

/* ---- the kill ---- */

/*
 * "Memory cgroup out of memory: Killed process 17716 (java) total-vm:68636kB, anon-rss:65152kB, file-rss:688kB,
 * shmem-rss:0kB, UID:0 pgtables:168kB oom_score_adj:985". A name may hold what follows it: its last place counts, since only
 * numbers stand behind.
 */
static bool read_killed(struct crier_slice text, struct crier_kmsg_kill *ret_kill)
{
	const struct crier_slice mark = CRIER_SLICE(") total-vm:");
	struct crier_kmsg_kill kill = {0};
	bool is_memcg = eat(&text, CRIER_SLICE("Memory cgroup out of memory"));
	size_t end;
	uint64_t uid;

	if (!is_memcg && !eat(&text, CRIER_SLICE("Out of memory")))
		return false;
	if (!is_memcg)
		(void)eat(&text, CRIER_SLICE(" (oom_kill_allocating_task)"));
	if (!eat(&text, CRIER_SLICE(": Killed process ")) || !eat_u32(&text, &kill.pid) || kill.pid == 0 ||
	    !eat(&text, CRIER_SLICE(" (")))
		return false;
	end = find_last(text, mark);
	if (end == text.len || end >= CRIER_WIRE_COMM_LEN)
		return false;
	set_comm(kill.comm, head_of(text, end));
	text = from(text, end + 2);
	if (!eat_kb(&text, CRIER_SLICE("total-vm:"), &kill.total_vm_bytes) ||
	    !eat_kb(&text, CRIER_SLICE(", anon-rss:"), &kill.anon_bytes) ||
	    !eat_kb(&text, CRIER_SLICE(", file-rss:"), &kill.file_bytes) ||
	    !eat_kb(&text, CRIER_SLICE(", shmem-rss:"), &kill.shmem_bytes))
		return false;
	if (eat(&text, CRIER_SLICE(", UID:")))
		(void)eat_number(&text, &uid); /* the real one: an event tells the effective one */
	if (eat_kb(&text, CRIER_SLICE(" pgtables:"), &kill.pgtables_bytes))
		kill.flags |= CRIER_KMSG_PGTABLES;
	if (eat(&text, CRIER_SLICE(" oom_score_adj:"))) {
		bool negative = eat(&text, CRIER_SLICE("-"));
		uint32_t adj;

		if (eat_u32(&text, &adj) && adj <= 1000) {
			kill.oom_score_adj = negative ? -(int32_t)adj : (int32_t)adj;
			kill.flags |= CRIER_KMSG_SCORE_ADJ;
		}
	}
	if (!is_memcg)
		kill.flags |= CRIER_KMSG_GLOBAL;
	*ret_kill = kill;
	return true;
}

/* Another victim of the group whose kill is under way? */
static bool is_member(const struct crier_kmsg_story *story, const struct crier_kmsg_line *line)
{
	return story->group_us && line->ts_us - story->group_us < GROUP_WINDOW_US;
}

static void end_kill(struct crier_kmsg_story *story, const struct crier_kmsg_line *line,
		     struct crier_kmsg_kill *kill)
{
	bool is_same_caller = line->caller && line->caller == story->caller;
	bool is_other_caller = line->caller && story->caller && !is_same_caller;

	if (is_other_caller)
		begin(story);
	if (is_member(story, line)) {
		story->group_us = line->ts_us;
		kill->flags |= CRIER_KMSG_GROUP;
		if (kill->pid == story->first_pid)
			kill->flags |= CRIER_KMSG_REPEATED;
		/* Where reports may be missing, the next kill need not be the group's. */
		if (is_in_doubt(story, line->ts_us) && !is_same_caller)
			return;
		kill->group_path = (struct crier_slice){story->group_path, story->group_path_len};
		if (story->first_had_report)
			tell_report(story, kill);
		return;
	}
	if (read_summary(story, kill)) {
		tell_report(story, kill);
		story->first_had_report = true;
	} else {
		begin(story);
		story->caller = line->caller; /* a group's other victims may follow */
	}
	story->first_pid = kill->pid;
}

bool crier_kmsg_feed(struct crier_kmsg_story *story, const struct crier_kmsg_line *line,
		     struct crier_kmsg_kill *ret_kill)
{
	if (!line->by_kernel)
		return false;
	if (story->caller && line->caller && story->caller != line->caller &&
	    !crier_slice_starts(line->text, CRIER_SLICE("Memory cgroup out of memory: Killed")) &&
	    find(line->text, CRIER_SLICE(" invoked oom-killer: "), 0) == line->text.len &&
	    !crier_slice_starts(line->text, CRIER_SLICE("Out of memory")))
		return false; /* another thread's line in between */
	if (line->is_continued) {
		if (story->last)
			keep_text(story->last, line->text);
		return false;
	}
	story->last = NULL;
	if (read_invoked(story, line))
		return false;
	if (read_killed(line->text, ret_kill)) {
		end_kill(story, line, ret_kill);
		return true;
	}
	if (!read_group(story, line) && story->is_open)
		read_report(story, line->text);
	return false;
}
