/* SPDX-License-Identifier: Apache-2.0 */
/* The container runtime, and the files crier writes. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "crier/cri.h"

static void say_runtime(struct crier_finding *finding, const char *socket,
			const struct crier_cri_facts *facts)
{
	crier_finding_say(finding, "%s", socket);
	crier_finding_say(finding, "%s %s", facts->name, facts->version);
	crier_finding_say(finding, "CRI %s", facts->api_version);
	crier_finding_say(finding, "event stream %s", facts->event_stream ? "yes" : "no");
	crier_finding_say(finding, "%u pod%s", facts->pods, facts->pods == 1 ? "" : "s");
	crier_finding_say(finding, "%u container%s", facts->containers, facts->containers == 1 ? "" : "s");
	finding->facts = json_pack("{s:s,s:s,s:s,s:s,s:b,s:b,s:i,s:i}", "socket", socket, "name", facts->name,
				   "version", facts->version, "api_version", facts->api_version, "ready",
				   facts->ready, "event_stream", facts->event_stream, "pods", facts->pods,
				   "containers", facts->containers);
	if (!facts->ready)
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "the runtime says it is not ready; see its log");
}

static void check_socket(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "runtime");
	const struct crier_config *config = check->config;
	struct crier_cri_facts facts = {0};
	struct crier_err err = {0};
	char socket[PATH_MAX] = "";
	int r = 0;

	if (config->cri_socket && strcmp(config->cri_socket, "none") == 0) {
		crier_finding_say(
			finding,
			"none, as asked: containers are known by cgroup paths, OCI bundles and log directories");
		return;
	}
	if (config->cri_socket)
		(void)crier_copy_str(socket, sizeof(socket), crier_slice_of(config->cri_socket));
	else
		r = crier_cri_discover(config->host_root, socket, sizeof(socket), &err);
	if (r == 0)
		r = crier_cri_probe(socket, (uint32_t)config->cri_timeout_ms, &facts, &err);
	if (r == 0) {
		say_runtime(finding, socket, &facts);
		(void)crier_copy_str(check->runtime, sizeof(check->runtime), crier_slice_of(facts.name));
		return;
	}
	crier_finding_say(finding, "%s", err.message);
	crier_finding_worsen(
		finding, CRIER_FINDING_DEGRADED,
		"pod names are then known by OCI bundles and log directories only; set --cri-socket, or to none");
}

static void check_bundles(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "bundles");
	const struct crier_config *config = check->config;
	const char *root = strcmp(config->host_root, "/") == 0 ? "" : config->host_root;
	char path[PATH_MAX];
	struct stat st;

	if (check->runtime[0] && strcmp(check->runtime, "containerd") != 0) {
		crier_finding_say(finding, "not read: this runtime is not containerd");
		return;
	}
	snprintf(path, sizeof(path), "%.2000s%.2000s", root, config->runtime_state_dir);
	crier_finding_say(finding, "%s", path);
	if (stat(path, &st) < 0 || access(path, R_OK | X_OK) < 0) {
		crier_finding_say(finding, "%s", strerror(errno));
		crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
				     "metadata then waits for the runtime's answer; set --runtime-state-dir");
	}
}

void crier_check_runtime(struct crier_check *check)
{
	check_socket(check);
	check_bundles(check);
}

/* The nearest directory above `path` that exists is the one that must be writable. */
static int find_folder(const char *path, char *folder, size_t cap)
{
	char *slash;

	if (!crier_copy_str(folder, cap, crier_slice_of(path)))
		return -ENAMETOOLONG;
	while ((slash = strrchr(folder, '/'))) {
		struct stat st;

		slash[slash == folder] = '\0';
		if (stat(folder, &st) == 0)
			return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
		if (errno != ENOENT || slash == folder)
			return -errno;
	}
	return crier_copy_str(folder, cap, CRIER_SLICE(".")) ? 0 : -ENAMETOOLONG;
}

void crier_check_files(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "state");
	const char *path = check->config->state_file;
	char folder[PATH_MAX];
	int r;

	if (!*path) {
		crier_finding_say(finding, "none, as asked: a restart does not tell its gap");
		return;
	}
	r = find_folder(path, folder, sizeof(folder));
	if (r == 0 && access(folder, W_OK | X_OK) < 0)
		r = -errno;
	crier_finding_say(finding, "%s", path);
	if (r < 0) {
		crier_finding_say(finding, "not writable: %s", strerror(-r));
		crier_finding_worsen(
			finding, CRIER_FINDING_DEGRADED,
			"a restart does not tell its gap; mount a host directory there, or set --state-file");
	} else {
		crier_finding_say(finding, "writable");
	}
}
