/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recording fed through the very same pipeline. Look-ups are answered from the file, effects go nowhere, and the lines
 * come out as they did live: byte for byte.
 */
#include "crier/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crier/input.h"
#include "crier/pipeline.h"

struct replay {
	struct crier_recording_reader *reader;
	struct crier_pipeline *pipeline;
	FILE *out;
	struct crier_err *err;
	int status; /* first failure inside a look-up or a write */
};

static int diverged(struct replay *replay, const char *what, const char *path)
{
	if (!replay->status)
		replay->status = crier_err_set(
			replay->err, -EBADMSG,
			"recording: byte %llu: expected the answer to %s %s; the file was cut, or made by another version",
			(unsigned long long)crier_recording_position(replay->reader), what, path);
	return -EIO;
}

/* The next frame must be the answer to just this question. @return the recorded result, or -EIO */
static int answer(struct replay *replay, enum crier_lookup_kind kind, const char *path, char *buf, size_t cap,
		  size_t *ret_len)
{
	static const char *const names[] = {
		"", "reading", "the link", "the inode of", "the path of cgroup", "the file", "the name"};
	const struct crier_input_lookup *lookup;
	enum crier_input_type type;
	const void *bytes;
	uint64_t now_ns;
	size_t len;

	if (replay->status)
		return -EIO;
	if (crier_recording_next(replay->reader, &type, &now_ns, &bytes, &len, replay->err) <= 0)
		return diverged(replay, names[kind], path);
	lookup = bytes;
	if (type != CRIER_INPUT_LOOKUP || len < sizeof(*lookup) || lookup->kind != kind ||
	    len - sizeof(*lookup) != (size_t)lookup->path_len + lookup->bytes_len ||
	    lookup->path_len != strlen(path) || memcmp(lookup + 1, path, lookup->path_len) != 0 ||
	    lookup->bytes_len > cap)
		return diverged(replay, names[kind], path);
	if (lookup->result == 0)
		memcpy(buf, (const char *)(lookup + 1) + lookup->path_len, lookup->bytes_len);
	*ret_len = lookup->bytes_len;
	return lookup->result;
}

static int replay_read(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	return answer(ctx, CRIER_LOOKUP_READ, path, buf, cap, ret_len);
}

static int replay_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		       size_t cap, size_t *ret_len)
{
	char path[CRIER_LOOKUP_PATH_MAX];

	(void)form;
	crier_lookup_path(path, CRIER_LOOKUP_FILE, dir, crier_slice_of(name));
	return answer(ctx, CRIER_LOOKUP_FILE, path, buf, cap, ret_len);
}

static int replay_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	char path[CRIER_LOOKUP_PATH_MAX];

	crier_lookup_path(path, CRIER_LOOKUP_LINK, dir, crier_slice_of(name));
	return answer(ctx, CRIER_LOOKUP_LINK, path, buf, cap, ret_len);
}

static int replay_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		       size_t *ret_len)
{
	char path[CRIER_LOOKUP_PATH_MAX];

	crier_lookup_path(path, CRIER_LOOKUP_FIND, dir, suffix);
	return answer(ctx, CRIER_LOOKUP_FIND, path, buf, cap, ret_len);
}

static int replay_inode(void *ctx, const char *path, uint64_t *ret_inode)
{
	uint64_t inode = 0;
	size_t len = 0;
	int r = answer(ctx, CRIER_LOOKUP_INODE, path, (char *)&inode, sizeof(inode), &len);

	if (r == 0)
		*ret_inode = inode;
	return r;
}

static int replay_cgroup_path(void *ctx, const char *root, uint64_t id, char *buf, size_t cap,
			      size_t *ret_len)
{
	char name[CRIER_LOOKUP_PATH_MAX];

	crier_lookup_cgroup(name, root, id);
	return answer(ctx, CRIER_LOOKUP_CGROUP_PATH, name, buf, cap, ret_len);
}

static void replay_line(void *ctx, const char *line, size_t len, bool urgent)
{
	struct replay *replay = ctx;

	(void)urgent;
	if (fwrite(line, 1, len, replay->out) != len && !replay->status)
		replay->status = crier_err_set(replay->err, -errno, "output: a line could not be written: %s",
					       strerror(errno));
}

static void no_ask(void *ctx, enum crier_cri_question question, struct crier_slice id, bool with_pod)
{
	(void)ctx, (void)question, (void)id, (void)with_pod;
}

static void no_effect(void *ctx)
{
	(void)ctx;
}

static void no_classify(void *ctx, uint64_t cgroup_id, enum crier_wire_cgroup_class cgroup_class)
{
	(void)ctx, (void)cgroup_id, (void)cgroup_class;
}

static void no_forget(void *ctx, uint64_t cgroup_id)
{
	(void)ctx, (void)cgroup_id;
}

static void no_init_pid(void *ctx, uint32_t pid, uint64_t start_ns, bool add)
{
	(void)ctx, (void)pid, (void)start_ns, (void)add;
}

static void no_watch(void *ctx, uint64_t cgroup_id, const char *psi_path, bool on)
{
	(void)ctx, (void)cgroup_id, (void)psi_path, (void)on;
}

static int start(struct replay *replay, enum crier_output output, struct crier_start *ret_start,
		 struct crier_config *config)
{
	const struct crier_host host = {
		.ctx = replay,
		.read = replay_read,
		.inode = replay_inode,
		.cgroup_path = replay_cgroup_path,
		.file = replay_file,
		.link = replay_link,
		.find = replay_find,
		.ask = no_ask,
		.reconcile = no_effect,
		.classify = no_classify,
		.forget = no_forget,
		.init_pid = no_init_pid,
		.watch_pressure = no_watch,
		.line = replay_line,
	};
	enum crier_input_type type;
	const void *bytes;
	uint64_t now_ns;
	size_t len;
	int r = crier_recording_next(replay->reader, &type, &now_ns, &bytes, &len, replay->err);

	if (r < 0)
		return r;
	if (r == 0 || type != CRIER_INPUT_START)
		return crier_err_set(
			replay->err, -EBADMSG,
			"recording: byte %llu: expected the start frame; the file is not a whole recording",
			(unsigned long long)crier_recording_position(replay->reader));
	r = crier_start_from_json(bytes, len, ret_start, config, replay->err);
	if (r < 0)
		return r;
	config->output = output;
	return crier_pipeline_new(config, ret_start, &host, &replay->pipeline, replay->err);
}

static int feed_all(struct replay *replay)
{
	enum crier_input_type type;
	const void *bytes;
	uint64_t now_ns;
	size_t len;
	int r;

	while ((r = crier_recording_next(replay->reader, &type, &now_ns, &bytes, &len, replay->err)) > 0) {
		if (type == CRIER_INPUT_LOOKUP)
			return crier_err_set(
				replay->err, -EBADMSG,
				"recording: byte %llu: an answer nobody asked for; the file was made by another version",
				(unsigned long long)crier_recording_position(replay->reader));

		/* a look-up inside reads the next frame, and with it this one's bytes would go */
		_cleanup_free_ void *copy = malloc(len + 1);

		if (!copy)
			return crier_err_set(replay->err, -ENOMEM, "replay: out of memory");
		memcpy(copy, bytes, len);
		crier_pipeline_feed(replay->pipeline, type, now_ns, copy, len);
		if (replay->status)
			return replay->status;
	}
	return r;
}

int crier_replay(const char *path, enum crier_output output, int out_fd, struct crier_err *err)
{
	struct replay replay = {.err = err};
	struct crier_start recorded = {0};
	struct crier_config config = {0};
	int r = crier_recording_open(path, &replay.reader, err);

	if (r < 0)
		return r;
	r = crier_config_init(&config);
	if (r < 0) {
		crier_recording_close_reader(replay.reader);
		return crier_err_set(err, r, "replay: out of memory");
	}
	replay.out = fdopen(dup(out_fd), "w");
	r = replay.out ? start(&replay, output, &recorded, &config)
		       : crier_err_set(err, -errno, "output: could not be opened: %s", strerror(errno));
	if (r == 0)
		r = feed_all(&replay);
	if (replay.out && fclose(replay.out) != 0 && r == 0)
		r = crier_err_set(err, -errno, "output: could not be written: %s", strerror(errno));
	crier_pipeline_free(replay.pipeline);
	crier_start_done(&recorded);
	crier_config_done(&config);
	crier_recording_close_reader(replay.reader);
	return r;
}
