/* SPDX-License-Identifier: Apache-2.0 */
/* {"instance":…,"boot_id":…,"last_seq":…,"ended_at":…,"clean":…,"exited":[…]} in one small file. */
#include "crier/state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* ---- reading ---- */

/* At most CRIER_STATE_FILE_MAX bytes of a regular file. @return length, or -errno */
static ssize_t read_whole(const char *path, char **ret_text)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > CRIER_STATE_FILE_MAX)
		return -EFBIG;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return -ENOMEM;
	while (len < (size_t)st.st_size && (n = read(fd, text + len, (size_t)st.st_size - len)) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		len += n > 0 ? (size_t)n : 0;
	}
	*ret_text = take_ptr(text);
	return (ssize_t)len;
}

/* A string member that fits and, where `set` is given, consists of its characters. */
static bool get_text(const json_t *object, const char *key, const char *set, char *buf, size_t cap)
{
	const char *text = json_string_value(json_object_get(object, key));

	if (!text || !*text || strlen(text) >= cap || strspn(text, set) != strlen(text))
		return false;
	memcpy(buf, text, strlen(text) + 1);
	return true;
}

static bool get_number(const json_t *object, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static int get_exited(const json_t *array, struct crier_state *state)
{
	size_t count = json_array_size(array), i;
	json_t *item;

	if (!json_is_array(array) || count > CRIER_STATE_EXITED_MAX)
		return -EBADMSG;
	state->exited = calloc(count ? count : 1, sizeof(*state->exited));
	if (!state->exited)
		return -ENOMEM;
	json_array_foreach(array, i, item)
	{
		const char *id = json_string_value(item);

		if (!id || !*id || strlen(id) >= sizeof(*state->exited))
			return -EBADMSG;
		memcpy(state->exited[i], id, strlen(id) + 1);
		state->exited_count++;
	}
	return 0;
}

static int parse(const json_t *object, struct crier_state *state)
{
	const json_t *clean = json_object_get(object, "clean");

	if (!get_text(object, "instance", "0123456789abcdef", state->instance, sizeof(state->instance)) ||
	    !get_text(object, "boot_id", "0123456789abcdef-", state->boot_id, sizeof(state->boot_id)) ||
	    !get_number(object, "last_seq", &state->last_seq) ||
	    !get_number(object, "ended_at", &state->ended_at) || !json_is_boolean(clean))
		return -EBADMSG;
	state->clean = json_is_true(clean);
	return get_exited(json_object_get(object, "exited"), state);
}

int crier_state_read(const char *path, struct crier_state *ret_state, struct crier_err *err)
{
	_cleanup_free_ char *text = NULL;
	struct crier_state state = {0};
	json_error_t error;
	json_t *object;
	ssize_t len;
	int r;

	*ret_state = (struct crier_state){0};
	len = read_whole(path, &text);
	if (len == -ENOENT)
		return 0;
	if (len < 0)
		return crier_err_set(
			err, (int)len,
			"%.300s: cannot read the state file: %s; the gap since the last run is not known",
			path, strerror((int)-len));
	object = json_loadb(text, (size_t)len, JSON_REJECT_DUPLICATES, &error);
	r = object ? parse(object, &state) : -EBADMSG;
	json_decref(object);
	if (r < 0) {
		crier_state_done(&state);
		return crier_err_set(
			err, r, "%.300s: the state file is damaged; the gap since the last run is not known",
			path);
	}
	*ret_state = state;
	return 0;
}

void crier_state_done(struct crier_state *state)
{
	free(state->exited);
	*state = (struct crier_state){0};
}

/* ---- writing ---- */

static json_t *to_json(const struct crier_state *state)
{
	/* Of too many the last: those are the ones the next run may meet. */
	size_t first = state->exited_count > CRIER_STATE_EXITED_MAX
			       ? state->exited_count - CRIER_STATE_EXITED_MAX
			       : 0;
	json_t *exited = json_array();

	for (size_t i = first; exited && i < state->exited_count; i++)
		json_array_append_new(exited, json_string(state->exited[i]));
	return json_pack("{s:s,s:s,s:I,s:I,s:b,s:o}", "instance", state->instance, "boot_id", state->boot_id,
			 "last_seq", (json_int_t)state->last_seq, "ended_at", (json_int_t)state->ended_at,
			 "clean", state->clean, "exited", exited);
}

/* mkdir -p of what is above the file. */
static int make_parents(const char *path)
{
	char folder[PATH_MAX];

	if (!crier_copy_str(folder, sizeof(folder), crier_slice_of(path)))
		return -ENAMETOOLONG;
	for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(folder, 0700) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int write_file(const char *path, const char *text)
{
	char temporary[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= sizeof(temporary))
		return -ENAMETOOLONG;
	r = make_parents(path);
	if (r < 0)
		return r;
	/* One that a killed run left; never write through what somebody else put there. */
	if (unlink(temporary) < 0 && errno != ENOENT)
		return -errno;
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, strlen(text));
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temporary);
	return r;
}

int crier_state_write(const char *path, const struct crier_state *state, struct crier_err *err)
{
	json_t *object = to_json(state);
	_cleanup_free_ char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int r;

	json_decref(object);
	r = text ? write_file(path, text) : -ENOMEM;
	if (r < 0)
		return crier_err_set(err, r, "%.300s: cannot write the state file: %s; set --state-file",
				     path, strerror(-r));
	return 0;
}
