/* SPDX-License-Identifier: Apache-2.0 */
/* The container runtime, and the files crier writes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "check.h"
#include "crier/base/below.h"
#include "crier/cri.h"
#include "crier/names.h"

/* What `crier run` would make of it. */
static enum crier_meta_stream stream_of(const struct crier_config *config,
					const struct crier_cri_facts *facts)
{
	if (config->cri_events == CRIER_CRI_EVENTS_OFF)
		return CRIER_STREAM_OFF;
	if (config->cri_events == CRIER_CRI_EVENTS_ON && facts->stream == CRIER_STREAM_SHARED)
		return CRIER_STREAM_OPEN;
	return facts->stream;
}

static void say_stream(struct crier_finding *finding, enum crier_meta_stream stream)
{
	static const char *const sentences[CRIER_STREAM_COUNT] = {
		[CRIER_STREAM_UNKNOWN] = "event stream unknown",
		[CRIER_STREAM_OPEN] = "event stream used",
		[CRIER_STREAM_BROKEN] = "event stream broken",
		[CRIER_STREAM_NOT_OFFERED] = "event stream not offered",
		[CRIER_STREAM_SHARED] =
			"event stream not used: containerd 1.x gives each event to one subscriber only, which may be the kubelet",
		[CRIER_STREAM_OFF] = "event stream off, as asked",
	};

	crier_finding_say(finding, "%s", sentences[stream]);
}

static void say_runtime(struct crier_finding *finding, const struct crier_config *config, const char *socket,
			const struct crier_cri_facts *facts)
{
	enum crier_meta_stream stream = stream_of(config, facts);

	crier_finding_say(finding, "%s", socket);
	crier_finding_say(finding, "%s %s", facts->name, facts->version);
	crier_finding_say(finding, "CRI %s", facts->api_version);
	say_stream(finding, stream);
	crier_finding_say(finding, "%u pod%s", facts->pods, facts->pods == 1 ? "" : "s");
	crier_finding_say(finding, "%u container%s", facts->containers, facts->containers == 1 ? "" : "s");
	finding->facts = json_pack("{s:s,s:s,s:s,s:s,s:b,s:s*,s:i,s:i}", "socket", socket, "name",
				   facts->name, "version", facts->version, "api_version", facts->api_version,
				   "ready", facts->ready, "event_stream", crier_stream_names[stream], "pods",
				   facts->pods, "containers", facts->containers);
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
		say_runtime(finding, config, socket, &facts);
		return;
	}
	crier_finding_say(finding, "%s", err.message);
	crier_finding_worsen(
		finding, CRIER_FINDING_DEGRADED,
		"pod names are then known by OCI bundles and log directories only; set --cri-socket, or to none");
}

/* Is a folder of the node there, and open to crier? Says so. @return 0 or -errno */
static int look_at_folder(struct crier_check *check, struct crier_finding *finding, const char *path)
{
	_cleanup_close_ int fd = crier_below_open(check->config->host_root, path, O_RDONLY | O_DIRECTORY);

	if (fd == -ENOENT)
		return fd;
	if (fd < 0)
		crier_finding_say(finding, "%.300s: %s", path, strerror(-fd));
	else
		crier_finding_say(finding, "%.300s", path);
	return crier_min(fd, 0);
}

static void check_bundles(struct crier_check *check)
{
	struct crier_finding *finding = crier_check_add(check, "bundles");
	const struct crier_config_list *dirs = &check->config->runtime_state_dirs;

	for (size_t i = 0; i < dirs->count; i++) {
		int r = look_at_folder(check, finding, dirs->items[i]);

		check->has_files |= r == 0;
		if (r < 0 && r != -ENOENT)
			crier_finding_worsen(
				finding, CRIER_FINDING_DEGRADED,
				"crier needs CAP_DAC_READ_SEARCH, and the folder mounted as it is");
	}
	if (finding->text[0])
		return;
	crier_finding_say(finding, "none of --runtime-state-dir is there");
	crier_finding_worsen(finding, CRIER_FINDING_DEGRADED,
			     "metadata then waits for the runtime's answer; set --runtime-state-dir");
}

/* The last resort: nothing is missing without them while runtime or bundles answer. */
static void check_logs(struct crier_check *check)
{
	const char *const dirs[] = {check->config->pod_logs_dir, check->config->container_logs_dir};
	struct crier_finding *finding = crier_check_add(check, "logs");
	bool cri_off = check->config->cri_socket && strcmp(check->config->cri_socket, "none") == 0;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(dirs); i++) {
		int r = *dirs[i] ? look_at_folder(check, finding, dirs[i]) : 0;

		if (r == -ENOENT)
			crier_finding_say(finding, "%.300s is not there", dirs[i]);
		if (r < 0 && cri_off && !check->has_files)
			crier_finding_worsen(
				finding, CRIER_FINDING_DEGRADED,
				"without runtime and bundles these folders name pods; mount them, or set --pod-logs-dir and --container-logs-dir");
	}
	if (!finding->text[0])
		crier_finding_say(finding, "none, as asked");
}

void crier_check_runtime(struct crier_check *check)
{
	check_socket(check);
	check_bundles(check);
	check_logs(check);
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
