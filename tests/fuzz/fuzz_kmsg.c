/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's log, line by line, with names from workloads in it. What is told must lie within what was read, a victim below
 * the owner of its limit, and what user space wrote must never be a kill. A line "!" stands for lost lines.
 */
#include "fuzz.h"

#include "crier/kmsg.h"

static bool is_below(struct crier_slice path, struct crier_slice above)
{
	if (crier_slice_equal(above, CRIER_SLICE("/")))
		return true;
	return crier_slice_starts(path, above) && (path.len == above.len || path.ptr[above.len] == '/');
}

static void judge(const struct crier_kmsg_story *story, const struct crier_kmsg_line *line,
		  const struct crier_kmsg_kill *kill)
{
	const struct crier_slice within = {(const char *)story, sizeof(*story)};

	FUZZ_CLAIM(line->by_kernel, "user space wrote it");
	FUZZ_CLAIM(kill->pid != 0, "no pid");
	FUZZ_CLAIM(memchr(kill->comm, 0, sizeof(kill->comm)), "a name without an end");
	FUZZ_CLAIM(kill->oom_score_adj >= -1000 && kill->oom_score_adj <= 1000, "adj %d",
		   kill->oom_score_adj);
	fuzz_touch(kill->limit_path, &within);
	fuzz_touch(kill->victim_path, &within);
	fuzz_touch(kill->group_path, &within);
	FUZZ_CLAIM(!kill->victim_path.len || kill->victim_path.ptr[0] == '/', "a path that is not absolute");
	FUZZ_CLAIM(!kill->victim_path.len || !kill->limit_path.len ||
			   is_below(kill->victim_path, kill->limit_path),
		   "a victim outside of the limit's cgroup");
	FUZZ_CLAIM(!kill->victim_path.len || (kill->flags & CRIER_KMSG_REPORT), "a path without a report");
	FUZZ_CLAIM(!(kill->flags & CRIER_KMSG_GLOBAL) || !(kill->flags & CRIER_KMSG_USAGE),
		   "a cgroup's figures for the whole node");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crier_slice rest = {(const char *)data, size};
	struct crier_kmsg_story story = {0};

	while (rest.len) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		struct crier_slice record = {rest.ptr, end ? (size_t)(end - rest.ptr) + 1 : rest.len};
		char *copy = fuzz_copy(record), *buf = malloc(CRIER_KMSG_TEXT_MAX);
		struct crier_kmsg_kill kill;
		struct crier_kmsg_line line;

		FUZZ_CLAIM(buf, "out of memory");
		rest.ptr += record.len;
		rest.len -= record.len;
		record.ptr = copy;
		if (copy[0] == '!')
			crier_kmsg_forget(&story, story.group_us);
		if (crier_kmsg_line_parse(record, buf, &line) == 0 && crier_kmsg_feed(&story, &line, &kill)) {
			free(copy);
			free(buf);
			copy = buf = NULL;
			judge(&story, &line, &kill);
		}
		free(copy);
		free(buf);
	}
	return 0;
}
