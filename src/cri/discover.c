/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/cri.h"

#include <errno.h>
#include <sys/stat.h>

static const char *const known_paths[] = {
	"/run/containerd/containerd.sock",
	"/run/k3s/containerd/containerd.sock",
	"/run/crio/crio.sock",
	"/run/cri-dockerd.sock",
};

int crier_cri_discover(const char *host_root, char *ret_path, size_t cap, struct crier_err *err)
{
	const char *root = host_root && strcmp(host_root, "/") != 0 ? host_root : "";
	struct crier_buf tried;
	char storage[512];

	crier_buf_init(&tried, storage, sizeof(storage) - 1);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(known_paths); i++) {
		char path[256];
		struct stat st;
		int n = snprintf(path, sizeof(path), "%s%s", root, known_paths[i]);

		if (n < 0 || (size_t)n >= sizeof(path) || (size_t)n >= cap)
			continue;
		crier_buf_put_str(&tried, i ? ", " : "");
		crier_buf_put_str(&tried, path);
		if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
			memcpy(ret_path, path, (size_t)n + 1);
			return 0;
		}
	}
	storage[tried.len] = '\0';
	return crier_err_set(
		err, -ENOENT,
		"CRI socket: none of the usual ones exists (%s); start the container runtime, or name its socket "
		"with --cri-socket PATH ('none' to do without)",
		storage);
}
