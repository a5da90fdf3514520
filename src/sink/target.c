/* SPDX-License-Identifier: Apache-2.0 */
/* stdout, a file, a unix stream socket: one row each. */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

static ssize_t write_fd(struct crier_target *target, const struct iovec *iov, int count)
{
	ssize_t n = writev(target->fd, iov, count);

	return n < 0 ? -errno : n;
}

/* ---- stdout: shared with whoever started crier, so its flags are never touched and it is never closed ---- */

/* Pipes know RWF_NOWAIT since 6.4 (afed6271f5b0); before, and for what knows it not, it is -EOPNOTSUPP. */
static ssize_t try_fd(struct crier_target *target, const struct iovec *iov, int count)
{
	ssize_t n = pwritev2(target->fd, iov, count, -1, RWF_NOWAIT);

	return n < 0 ? -errno : n;
}

static int open_stdout(struct crier_target *target, struct crier_err *err)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY)
		return crier_err_set(
			err, -EBADF,
			"stdout: it is closed; give crier a pipe or file there, or --output-target FILE");
	target->fd = STDOUT_FILENO;
	return 0;
}

/* ---- file ---- */

static int open_file(struct crier_target *target, struct crier_err *err)
{
	/* O_NONBLOCK: a FIFO without a reader must not hang the start. It changes nothing for regular files. */
	int fd = open(target->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	if (fd < 0 && errno == ENXIO)
		return crier_err_set(
			err, -ENXIO,
			"%.200s: nobody reads this pipe; start its reader first (a socket is written unix:PATH)",
			target->path);
	if (fd < 0)
		return crier_err_set(err, -errno, "%.200s: cannot write lines there: %s; see --output-target",
				     target->path, strerror(errno));
	target->fd = fd;
	return 0;
}

/* ---- socket ---- */

static int connect_socket(struct crier_target *target)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, target->path, strlen(target->path) + 1);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	target->fd = take_fd(fd);
	return 0;
}

static int reconnect_socket(struct crier_target *target)
{
	if (target->fd >= 0)
		close(target->fd);
	target->fd = -1;
	return connect_socket(target);
}

static int open_socket(struct crier_target *target, struct crier_err *err)
{
	struct stat st;

	if (!*target->path || strlen(target->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return crier_err_set(err, -EINVAL, "unix:%.200s: a socket's path has 1 to 107 bytes",
				     target->path);
	if (stat(target->path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return crier_err_set(err, -ENOTSOCK,
				     "unix:%.200s: is not a socket; write the path alone to append to a file",
				     target->path);
	return 0; /* the writer connects, and keeps trying */
}

static ssize_t send_socket(struct crier_target *target, const struct iovec *iov, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
	ssize_t n;

	if (target->fd < 0)
		return -ENOTCONN;
	n = sendmsg(target->fd, &message, MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static const struct {
	const char *prefix; /* of the target's name; the last row takes the rest */
	bool exact;
	struct crier_target_ops ops;
} targets[] = {
	{"-", true, {open_stdout, write_fd, try_fd, NULL}},
	/* a connection begins with a whole line: the thread alone knows what the last one took */
	{"unix:", false, {open_socket, send_socket, NULL, reconnect_socket}},
	{"", false, {open_file, write_fd, NULL, NULL}},
};

int crier_target_open(struct crier_target *target, const char *name, struct crier_err *err)
{
	size_t row = 0, len;
	int r;

	*target = (struct crier_target){.fd = -1};
	while (targets[row].exact ? strcmp(name, targets[row].prefix) != 0
				  : strncmp(name, targets[row].prefix, strlen(targets[row].prefix)) != 0)
		row++;
	len = strlen(targets[row].prefix);
	if (!targets[row].exact && !(target->path = strdup(name + len)))
		return crier_err_set(err, -ENOMEM, "sink: out of memory");
	target->ops = &targets[row].ops;
	r = target->ops->open(target, err);
	if (r < 0)
		crier_target_close(target);
	return r;
}

void crier_target_close(struct crier_target *target)
{
	if (target->fd > STDERR_FILENO)
		close(target->fd);
	target->fd = -1;
	free(target->path);
	target->path = NULL;
}
