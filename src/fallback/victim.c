/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /proc still tells of a process the kernel's log named. A pid may have been given away since: believed is only who has
 * the same name and is about to die of SIGKILL, or has died and was not waited for yet.
 */
#include "internal.h"

#include <errno.h>
#include <signal.h>

#define PF_EXITING 0x4u /* include/linux/sched.h; field 9 of /proc/PID/stat */

/* Value behind "Key:" and blanks, up to the line's end. */
static bool field(const char *text, const char *key, struct crier_slice *ret_value)
{
	const char *at = strstr(text, key);
	size_t len;

	if (!at || (at != text && at[-1] != '\n'))
		return false;
	at += strlen(key);
	at += strspn(at, " \t");
	len = strcspn(at, "\n");
	*ret_value = (struct crier_slice){at, len};
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The n-th word, counted from 0; the last one for -1. */
static bool number(struct crier_slice text, int nth, uint64_t *ret_value)
{
	struct crier_slice word = CRIER_SLICE_NONE;
	int count = -1;

	for (size_t i = 0; i < text.len && (nth < 0 || count < nth);) {
		size_t start;

		while (i < text.len && is_blank(text.ptr[i]))
			i++;
		start = i;
		while (i < text.len && !is_blank(text.ptr[i]))
			i++;
		if (i == start)
			break;
		word = (struct crier_slice){text.ptr + start, i - start};
		count++;
	}
	return (nth < 0 || count == nth) && crier_parse_u64(word, ret_value) == 0;
}

static int read_proc(const struct crier_fallback *f, uint32_t tid, const char *name, char *buf, size_t cap,
		     size_t *ret_len)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/proc/%u", f->host_root, tid);
	return crier_fallback_read(path, CRIER_SLICE(""), name, buf, cap, ret_len);
}

static bool has_name(const struct crier_proc_entry *entry, const uint8_t *comm)
{
	return crier_slice_equal(entry->comm, crier_slice_bounded((const char *)comm, CRIER_WIRE_COMM_LEN));
}

/* Fields 3 and 9 of stat, behind the name. */
static bool is_dying(struct crier_slice stat, const char *status)
{
	const char *close = memrchr(stat.ptr, ')', stat.len);
	struct crier_slice pending;
	unsigned long long flags, mask;
	char state;

	if (!close || sscanf(close + 1, " %c %*d %*d %*d %*d %*d %llu", &state, &flags) != 2)
		return false;
	if (state == 'Z' || state == 'X' || (flags & PF_EXITING))
		return true;
	return field(status, "SigPnd:", &pending) && pending.len == 16 &&
	       sscanf(pending.ptr, "%16llx", &mask) == 1 && (mask & (1ULL << (SIGKILL - 1)));
}

static void fill_task(const struct crier_fallback *f, const struct crier_proc_entry *entry,
		      const char *status, struct crier_wire_task *task)
{
	struct crier_slice value;
	uint64_t n;

	if (!field(status, "Tgid:", &value) || !number(value, 0, &n) || n == 0 || n > UINT32_MAX)
		return;
	*task = (struct crier_wire_task){.pid = (__u32)n,
					 .tid = entry->pid,
					 .parent_pid = entry->parent_pid,
					 .flags = CRIER_TASK_VALID | CRIER_TASK_NO_UID | CRIER_TASK_NO_START};
	memcpy(task->comm, entry->comm.ptr, crier_min(entry->comm.len, sizeof(task->comm) - 1));
	if (field(status, "Uid:", &value) && number(value, 1, &n) && n <= UINT32_MAX) {
		task->uid = (__u32)n;
		task->flags &= ~CRIER_TASK_NO_UID;
	}
	if (field(status, "NSpid:", &value) && number(value, -1, &n) && n <= UINT32_MAX)
		task->vpid = (__u32)n;
	/* a thread's own start is not its process' */
	if (!f->options.leave_starts && task->pid == entry->pid) {
		task->start_boottime_ns = entry->start_ticks * f->tick_ns;
		task->flags &= ~CRIER_TASK_NO_START;
	}
}

static void find_path(const struct crier_fallback *f, uint32_t tid, struct victim *victim)
{
	char text[8192], absolute[CRIER_CGROUP_PATH_MAX];
	struct crier_slice path;
	size_t len;

	if (read_proc(f, tid, "cgroup", text, sizeof(text), &len) < 0 ||
	    !crier_proc_cgroup_parse((struct crier_slice){text, len}, f->layout->primary_hierarchy_id, &path))
		return;
	path = crier_cgroup_absolute(f->layout->namespace_root, path, absolute, sizeof(absolute));
	/* v1 shows an ending task at the root (kernel/cgroup/cgroup.c, proc_cgroup_show) */
	if (!f->layout->primary_is_v2 && crier_slice_equal(path, CRIER_SLICE("/")))
		return;
	if (!crier_copy_str(victim->path, sizeof(victim->path), path))
		victim->path[0] = '\0';
}

void crier_victim_find(const struct crier_fallback *f, uint32_t tid, const uint8_t *comm,
		       struct victim *ret_victim)
{
	struct crier_proc_entry entry = {0};
	char stat[1024], status[4096];
	size_t len, status_len;

	memset(&ret_victim->task, 0, sizeof(ret_victim->task));
	ret_victim->path[0] = '\0';
	if (!f->proc_is_hosts || read_proc(f, tid, "stat", stat, sizeof(stat), &len) < 0 ||
	    read_proc(f, tid, "status", status, sizeof(status), &status_len) < 0 ||
	    crier_proc_stat_parse((struct crier_slice){stat, len}, &entry) < 0 || !has_name(&entry, comm) ||
	    !is_dying((struct crier_slice){stat, len}, status))
		return;
	fill_task(f, &entry, status, &ret_victim->task);
	find_path(f, tid, ret_victim);
}

uint32_t crier_victim_process_of(const struct crier_fallback *f, uint32_t tid, const uint8_t *comm,
				 struct crier_wire_task *ret_task)
{
	struct crier_proc_entry entry = {0};
	char stat[1024], status[4096];
	size_t len, status_len;

	if (!f->proc_is_hosts || read_proc(f, tid, "stat", stat, sizeof(stat), &len) < 0 ||
	    read_proc(f, tid, "status", status, sizeof(status), &status_len) < 0 ||
	    crier_proc_stat_parse((struct crier_slice){stat, len}, &entry) < 0 || !has_name(&entry, comm))
		return 0;
	fill_task(f, &entry, status, ret_task);
	return ret_task->pid;
}
