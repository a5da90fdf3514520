/* SPDX-License-Identifier: Apache-2.0 */
#include "recorded.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "alloc_count.h"
#include "crier/decode.h"
#include "crier/pipeline.h"
#include "node.h"

struct frame {
	enum crier_input_type type;
	uint64_t now_ns;
	size_t offset, len;
};

struct bench_recorded {
	const char *path;
	struct frame *frames; /* owned */
	size_t count, room;
	char *bytes; /* owned; each frame 8-byte aligned */
	size_t used, bytes_room;
	/* of the replay under way */
	size_t at;
	uint64_t lines, line_bytes;
};

static void *grown(void *old, size_t *room, size_t wanted, size_t size)
{
	if (wanted <= *room)
		return old;
	*room = crier_max(wanted, *room * 2);
	void *p = realloc(old, *room * size);

	if (!p)
		bench_fail("bench: out of memory");
	return p;
}

static void keep(struct bench_recorded *r, enum crier_input_type type, uint64_t now_ns, const void *bytes,
		 size_t len)
{
	r->frames = grown(r->frames, &r->room, r->count + 1, sizeof(*r->frames));
	r->bytes = grown(r->bytes, &r->bytes_room, r->used + len + 8, 1);
	memcpy(r->bytes + r->used, bytes, len);
	r->frames[r->count++] = (struct frame){type, now_ns, r->used, len};
	r->used += (len + 7) & ~(size_t)7;
}

struct bench_recorded *bench_recorded_open(const char *path)
{
	struct bench_recorded *r = calloc(1, sizeof(*r));
	struct crier_recording_reader *reader;
	enum crier_input_type type;
	struct crier_err err = {0};
	const void *bytes;
	uint64_t now_ns;
	size_t len;
	int more;

	if (!r)
		bench_fail("bench: out of memory");
	r->path = path;
	if (crier_recording_open(path, &reader, &err) < 0)
		bench_fail("bench: %s", err.message);
	while ((more = crier_recording_next(reader, &type, &now_ns, &bytes, &len, &err)) > 0)
		keep(r, type, now_ns, bytes, len);
	crier_recording_close_reader(reader);
	if (more < 0)
		bench_fail("bench: %s", err.message);
	if (!r->count || r->frames[0].type != CRIER_INPUT_START)
		bench_fail("bench: %s does not begin with a start", path);
	return r;
}

void bench_recorded_close(struct bench_recorded *r)
{
	free(r->frames);
	free(r->bytes);
	free(r);
}

/* ---- the host: the next frame is the answer ---- */

static int answer(struct bench_recorded *r, enum crier_lookup_kind kind, char *buf, size_t cap,
		  size_t *ret_len)
{
	const struct frame *frame = &r->frames[r->at];
	const struct crier_input_lookup *lookup;

	if (r->at >= r->count || frame->type != CRIER_INPUT_LOOKUP)
		bench_fail("bench: %s: a look-up that was not recorded: made by another version?", r->path);
	r->at++;
	lookup = (const void *)(r->bytes + frame->offset);
	if (lookup->kind != kind || lookup->bytes_len > cap ||
	    frame->len != sizeof(*lookup) + lookup->path_len + lookup->bytes_len)
		bench_fail("bench: %s: another look-up was recorded: made by another version?", r->path);
	if (lookup->result == 0)
		memcpy(buf, (const char *)(lookup + 1) + lookup->path_len, lookup->bytes_len);
	*ret_len = lookup->bytes_len;
	return lookup->result;
}

static int host_read(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	(void)path;
	return answer(ctx, CRIER_LOOKUP_READ, buf, cap, ret_len);
}

static int host_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		     size_t cap, size_t *ret_len)
{
	(void)dir, (void)name, (void)form;
	return answer(ctx, CRIER_LOOKUP_FILE, buf, cap, ret_len);
}

static int host_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	(void)dir, (void)name;
	return answer(ctx, CRIER_LOOKUP_LINK, buf, cap, ret_len);
}

static int host_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	(void)dir, (void)suffix;
	return answer(ctx, CRIER_LOOKUP_FIND, buf, cap, ret_len);
}

static int host_cgroup_path(void *ctx, const char *root, uint64_t cgroup_id, char *buf, size_t cap,
			    size_t *ret_len)
{
	(void)root, (void)cgroup_id;
	return answer(ctx, CRIER_LOOKUP_CGROUP_PATH, buf, cap, ret_len);
}

static int host_inode(void *ctx, const char *path, uint64_t *ret_inode)
{
	uint64_t inode = 0;
	size_t len;
	int r = answer(ctx, CRIER_LOOKUP_INODE, (char *)&inode, sizeof(inode), &len);

	(void)path;
	if (r == 0)
		*ret_inode = inode;
	return r;
}

static void host_line(void *ctx, const char *line, size_t len, bool urgent)
{
	struct bench_recorded *r = ctx;

	(void)line, (void)urgent;
	r->lines++;
	r->line_bytes += len;
}

/* ---- replay ---- */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint64_t feed_all(struct bench_recorded *r, struct crier_pipeline *pipeline)
{
	uint64_t events = 0;

	while (r->at < r->count) {
		const struct frame *frame = &r->frames[r->at++];
		const struct crier_wire_header *header = (const void *)(r->bytes + frame->offset);

		if (frame->type == CRIER_INPUT_LOOKUP)
			bench_fail("bench: %s: an answer nobody asked for: made by another version?",
				   r->path);
		if (frame->type == CRIER_INPUT_RECORD && frame->len >= sizeof(*header))
			events += crier_wire_is_event(header->type);
		crier_pipeline_feed(pipeline, frame->type, frame->now_ns, r->bytes + frame->offset,
				    frame->len);
	}
	return events;
}

struct bench_replay bench_recorded_replay(struct bench_recorded *r)
{
	struct crier_host host;
	struct crier_pipeline *pipeline;
	struct crier_config config = {0};
	struct crier_start start = {0};
	struct crier_err err = {0};
	struct bench_replay result = {0};

	bench_host_without_effects(&host, r);
	host.read = host_read;
	host.file = host_file;
	host.link = host_link;
	host.find = host_find;
	host.cgroup_path = host_cgroup_path;
	host.inode = host_inode;
	host.line = host_line;
	r->lines = r->line_bytes = 0;
	r->at = 1;
	if (crier_config_init(&config) < 0)
		bench_fail("bench: out of memory");
	if (crier_start_from_json(r->bytes, r->frames[0].len, &start, &config, &err) < 0 ||
	    crier_pipeline_new(&config, &start, &host, &pipeline, &err) < 0)
		bench_fail("bench: %s: %s", r->path, err.message);
	struct bench_allocs before = bench_allocs_now();
	double began = now_ns();

	result.events = feed_all(r, pipeline);
	result.ns = now_ns() - began;
	result.allocs = bench_allocs_now().calls - before.calls;
	result.lines = r->lines;
	result.bytes = r->line_bytes;
	crier_pipeline_free(pipeline);
	crier_start_done(&start);
	crier_config_done(&config);
	return result;
}
