/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define WORDS_MAX 200 /* of the runtime's own words in a message */

enum crier_cri_fault crier_cri_fault_of_path(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;

	if (!crier_copy_str(address.sun_path, sizeof(address.sun_path), crier_slice_of(socket_path)) ||
	    !address.sun_path[0])
		return CRIER_CRI_FAULT_PATH;
	if (stat(socket_path, &st) < 0)
		return errno == EACCES ? CRIER_CRI_FAULT_DENIED : CRIER_CRI_FAULT_MISSING;
	if (!S_ISSOCK(st.st_mode))
		return CRIER_CRI_FAULT_FILE;
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return CRIER_CRI_FAULT_NONE; /* no descriptor: let gRPC say what is wrong */
	switch (errno) {
	case ENOENT: return CRIER_CRI_FAULT_MISSING;
	case EACCES:
	case EPERM: return CRIER_CRI_FAULT_DENIED;
	case EAGAIN: return CRIER_CRI_FAULT_HUNG; /* the listener's backlog is full: nobody accepts */
	default: return CRIER_CRI_FAULT_REFUSED;
	}
}

enum crier_cri_fault crier_cri_fault_of_status(grpc_status_code status)
{
	switch (status) {
	case GRPC_STATUS_OK: return CRIER_CRI_FAULT_NONE;
	case GRPC_STATUS_DEADLINE_EXCEEDED: return CRIER_CRI_FAULT_HUNG;
	case GRPC_STATUS_UNIMPLEMENTED: return CRIER_CRI_FAULT_NO_V1;
	case GRPC_STATUS_UNAVAILABLE: return CRIER_CRI_FAULT_NOT_GRPC;
	case GRPC_STATUS_PERMISSION_DENIED:
	case GRPC_STATUS_UNAUTHENTICATED: return CRIER_CRI_FAULT_DENIED;
	default: return CRIER_CRI_FAULT_BROKEN;
	}
}

enum crier_meta_status crier_cri_fault_status(enum crier_cri_fault fault)
{
	switch (fault) {
	case CRIER_CRI_FAULT_HUNG: return CRIER_META_TIMEOUT;
	case CRIER_CRI_FAULT_DENIED:
	case CRIER_CRI_FAULT_NO_V1: return CRIER_META_REFUSED;
	case CRIER_CRI_FAULT_NOT_GRPC:
	case CRIER_CRI_FAULT_BROKEN: return CRIER_META_INVALID;
	default: return CRIER_META_UNAVAILABLE;
	}
}

static const char *kind_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return "no socket";
	switch (st.st_mode & S_IFMT) {
	case S_IFREG: return "a regular file";
	case S_IFDIR: return "a directory";
	case S_IFIFO: return "a pipe";
	default: return "a device";
	}
}

/* Printable ASCII of the runtime's words, cut: they go into a sentence, not into a field. */
static void quote(struct crier_slice words, char *ret_text, size_t cap)
{
	size_t n = crier_min(words.len, cap - 1);

	for (size_t i = 0; i < n; i++)
		ret_text[i] = words.ptr[i] >= 0x20 && words.ptr[i] < 0x7f ? words.ptr[i] : '?';
	ret_text[n] = '\0';
}

int crier_cri_fault_err(enum crier_cri_fault fault, const char *path, uint32_t timeout_ms,
			struct crier_slice words, struct crier_err *err)
{
	char text[WORDS_MAX + 1];

	quote(words, text, sizeof(text));
	switch (fault) {
	case CRIER_CRI_FAULT_NONE:
	case CRIER_CRI_FAULT_COUNT: return 0;
	case CRIER_CRI_FAULT_PATH:
		return crier_err_set(err, -EINVAL,
				     "CRI socket '%s': a socket path has 1 to 107 bytes, this one has %zu; "
				     "give a shorter one with --cri-socket, a symbolic link for instance",
				     path, strlen(path));
	case CRIER_CRI_FAULT_MISSING:
		return crier_err_set(
			err, -ENOENT,
			"CRI socket %s: there is no such file; start the container runtime, mount its socket "
			"here, or name it with --cri-socket PATH ('none' to do without)",
			path);
	case CRIER_CRI_FAULT_FILE:
		return crier_err_set(
			err, -ENOTSOCK,
			"CRI socket %s: it is %s, not a unix socket; name the runtime's socket with --cri-socket "
			"(containerd: /run/containerd/containerd.sock)",
			path, kind_of(path));
	case CRIER_CRI_FAULT_DENIED:
		return crier_err_set(
			err, -EACCES,
			"CRI socket %s: permission denied%s%s; run as root, or as a user who may open the socket",
			path, text[0] ? ": " : "", text);
	case CRIER_CRI_FAULT_REFUSED:
		return crier_err_set(
			err, -ECONNREFUSED,
			"CRI socket %s: connection refused, nobody listens on it; start or restart the container runtime",
			path);
	case CRIER_CRI_FAULT_HUNG:
		return crier_err_set(
			err, -ETIMEDOUT,
			"CRI socket %s: it is open, but there was no answer within %u ms; the runtime hangs or is "
			"overloaded: look at its log, restart it",
			path, timeout_ms);
	case CRIER_CRI_FAULT_NOT_GRPC:
		return crier_err_set(
			err, -EPROTO,
			"CRI socket %s: what listens there does not speak gRPC (%s); name the runtime's socket with "
			"--cri-socket (containerd: /run/containerd/containerd.sock)",
			path, text);
	case CRIER_CRI_FAULT_NO_V1:
		return crier_err_set(
			err, -EPROTONOSUPPORT,
			"CRI socket %s: the runtime does not offer CRI v1 (%s); crier needs runtime.v1, which containerd "
			"has from 1.6 and CRI-O from 1.23, and containerd only while \"cri\" is not in disabled_plugins: "
			"upgrade or enable it, or use --cri-socket none",
			path, text);
	case CRIER_CRI_FAULT_BROKEN: break;
	}
	return crier_err_set(
		err, -EIO, "CRI socket %s: the runtime answered Version with an error (%s); look at its log",
		path, text[0] ? text : "an answer that cannot be read");
}
