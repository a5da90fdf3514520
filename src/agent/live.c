/* SPDX-License-Identifier: Apache-2.0 */
/* The pipeline's hands on the real node: bounded look-ups, whose answers are recorded, and effects. */
#include "agent.h"
#include "crier/base/below.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void record_lookup(struct crier_agent *agent, enum crier_lookup_kind kind, const char *path,
			  int result, const void *bytes, size_t len)
{
	size_t path_len = strlen(path);
	struct crier_input_lookup lookup = {
		.kind = kind,
		.result = result,
		.path_len = (uint32_t)path_len,
		.bytes_len = result == 0 ? (uint32_t)len : 0,
	};

	if (!agent->recording || agent->recording_failed)
		return;
	_cleanup_free_ char *frame = malloc(sizeof(lookup) + path_len + lookup.bytes_len);

	if (!frame) {
		agent->recording_failed = true;
		crier_error("recording: out of memory; recording stops here, events go on");
		return;
	}
	memcpy(frame, &lookup, sizeof(lookup));
	memcpy(frame + sizeof(lookup), path, path_len);
	if (lookup.bytes_len)
		memcpy(frame + sizeof(lookup) + path_len, bytes, lookup.bytes_len);
	if (crier_recording_write(agent->recording, CRIER_INPUT_LOOKUP, crier_agent_now(), frame,
				  sizeof(lookup) + path_len + lookup.bytes_len) < 0)
		agent->recording_failed = true;
}

static int live_read(void *ctx, const char *path, char *buf, size_t cap, size_t *ret_len)
{
	struct crier_agent *agent = ctx;
	size_t len = 0;
	int r = crier_below_read_kernel(agent->config->host_root, path, buf, cap, &len);

	record_lookup(agent, CRIER_LOOKUP_READ, path, r, buf, len);
	*ret_len = len;
	return r;
}

/* A question about a name in a folder is recorded as one path. */
static void record_below(struct crier_agent *agent, enum crier_lookup_kind kind, const char *dir,
			 struct crier_slice name, int result, const char *bytes, size_t len)
{
	char path[CRIER_LOOKUP_PATH_MAX];

	crier_lookup_path(path, kind, dir, name);
	record_lookup(agent, kind, path, result, bytes, len);
}

static int live_file(void *ctx, const char *dir, const char *name, enum crier_bundle_form form, char *buf,
		     size_t cap, size_t *ret_len)
{
	struct crier_agent *agent = ctx;
	size_t len = 0;
	int r = crier_bundle_read(agent->config->host_root, dir, name, form, buf, cap, &len);

	record_below(agent, CRIER_LOOKUP_FILE, dir, crier_slice_of(name), r, buf, len);
	*ret_len = len;
	return r;
}

static int live_link(void *ctx, const char *dir, const char *name, char *buf, size_t cap, size_t *ret_len)
{
	struct crier_agent *agent = ctx;
	size_t len = 0;
	int r = crier_below_link(agent->config->host_root, dir, name, buf, cap, &len);

	record_below(agent, CRIER_LOOKUP_LINK, dir, crier_slice_of(name), r, buf, len);
	*ret_len = len;
	return r;
}

static int live_find(void *ctx, const char *dir, struct crier_slice suffix, char *buf, size_t cap,
		     size_t *ret_len)
{
	struct crier_agent *agent = ctx;
	size_t len = 0;
	int r = crier_below_find(agent->config->host_root, dir, suffix, buf, cap, &len);

	record_below(agent, CRIER_LOOKUP_FIND, dir, suffix, r, buf, len);
	*ret_len = len;
	return r;
}

static int live_inode(void *ctx, const char *path, uint64_t *ret_inode)
{
	struct crier_agent *agent = ctx;
	const char *below, *root = crier_below_split(agent->config->host_root, path, &below);
	_cleanup_close_ int fd = crier_below_open(root, below, O_PATH | O_NOFOLLOW);
	struct stat st;
	int r = fd < 0 ? fd : fstat(fd, &st) < 0 ? -errno : 0;
	uint64_t inode = r == 0 ? st.st_ino : 0;

	record_lookup(agent, CRIER_LOOKUP_INODE, path, r, &inode, sizeof(inode));
	if (r == 0)
		*ret_inode = inode;
	return r;
}

static int live_cgroup_path(void *ctx, const char *root, uint64_t id, char *buf, size_t cap, size_t *ret_len)
{
	struct crier_agent *agent = ctx;
	size_t len = 0;
	int r = crier_cgroup_path_of(root, id, buf, cap, &len);
	char name[CRIER_LOOKUP_PATH_MAX];

	crier_lookup_cgroup(name, root, id);
	record_lookup(agent, CRIER_LOOKUP_CGROUP_PATH, name, r, buf, len);
	*ret_len = len;
	return r;
}

static void live_ask(void *ctx, enum crier_cri_question question, struct crier_slice id, bool urgent)
{
	struct crier_agent *agent = ctx;

	if (agent->cri && crier_cri_ask(agent->cri, question, id, true, urgent) < 0)
		agent->asks_refused++; /* the pipeline asks again when no answer comes, and at each reconcile */
}

static void live_reconcile(void *ctx)
{
	struct crier_agent *agent = ctx;

	if (agent->cri)
		crier_cri_reconcile(agent->cri);
}

static void live_classify(void *ctx, uint64_t cgroup_id, enum crier_wire_cgroup_class cgroup_class)
{
	struct crier_agent *agent = ctx;

	if (agent->observer.probe && crier_probe_classify(agent->observer.probe, cgroup_id, cgroup_class) < 0)
		agent->classes_refused++; /* it stays undetermined and passes */
}

static void live_forget(void *ctx, uint64_t cgroup_id)
{
	struct crier_agent *agent = ctx;

	if (agent->observer.probe)
		(void)crier_probe_forget(agent->observer.probe, cgroup_id);
}

static void live_init_pid(void *ctx, uint32_t pid, uint64_t start_ns, bool add)
{
	struct crier_agent *agent = ctx;

	if (agent->observer.probe)
		(void)(add ? crier_probe_init_add(agent->observer.probe, pid, start_ns)
			   : crier_probe_init_remove(agent->observer.probe, pid, start_ns));
}

static void live_watch(void *ctx, uint64_t cgroup_id, const char *psi_path, bool on)
{
	crier_agent_watch(ctx, cgroup_id, psi_path, on);
}

static char *live_place(void *ctx, size_t len)
{
	struct crier_agent *agent = ctx;

	return crier_sink_place(agent->sink, len);
}

static void live_line(void *ctx, const char *line, size_t len, bool urgent)
{
	struct crier_agent *agent = ctx;

	/* room was checked against what the sink said before this turn, and it only grows */
	if (crier_sink_stage(agent->sink, line, len, urgent) < 0)
		crier_error(
			"output: a numbered line did not fit; please report this with the line before it");
	agent->room_told -= crier_min(agent->room_told, len);
}

void crier_agent_live(struct crier_agent *agent)
{
	agent->host = (struct crier_host){
		.ctx = agent,
		.read = live_read,
		.inode = live_inode,
		.cgroup_path = live_cgroup_path,
		.file = live_file,
		.link = live_link,
		.find = live_find,
		.ask = live_ask,
		.reconcile = live_reconcile,
		.classify = live_classify,
		.forget = live_forget,
		.init_pid = live_init_pid,
		.watch_pressure = live_watch,
		.place = live_place,
		.line = live_line,
	};
}

/* ---- PSI triggers ---- */

static struct crier_psi_watch *find_watch(struct crier_agent *agent, uint64_t cgroup_id, bool want_free)
{
	for (size_t i = 0; i < PSI_WATCHES_MAX; i++) {
		struct crier_psi_watch *watch = &agent->psi[i];

		if (want_free ? watch->fd < 0 : watch->fd >= 0 && watch->cgroup_id == cgroup_id)
			return watch;
	}
	return NULL;
}

void crier_agent_watch(struct crier_agent *agent, uint64_t cgroup_id, const char *path, bool on)
{
	/* Windows of whole 2 s need no CAP_SYS_RESOURCE and no kernel thread of their own (6.4's psi_write). */
	static const char trigger[] = "some 100000 2000000";
	struct crier_psi_watch *watch = find_watch(agent, cgroup_id, false);
	struct epoll_event event = {.events = EPOLLPRI};

	if (!on) {
		if (watch) {
			close(watch->fd);
			watch->fd = -1;
		}
		return;
	}
	if (watch)
		return;
	watch = find_watch(agent, cgroup_id, true);
	if (!watch)
		return; /* at the cap: reclaim hints and the 5 s re-sample still do */
	const char *below, *root = crier_below_split(agent->config->host_root, path, &below);
	_cleanup_close_ int fd = crier_below_open(root, below, O_RDWR | O_NOFOLLOW);

	if (fd < 0 || write(fd, trigger, sizeof(trigger)) < 0)
		return; /* no PSI or no write access: said by `crier check` */
	event.data.ptr = watch;
	if (epoll_ctl(agent->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return;
	watch->cgroup_id = cgroup_id;
	watch->fd = take_fd(fd);
}

/* ---- counters ---- */

static uint64_t own_rss(void)
{
	char text[128];
	size_t len = 0;
	unsigned long long total, resident;

	if (crier_below_read_kernel("/", "/proc/self/statm", text, sizeof(text) - 1, &len) < 0)
		return 0;
	text[len] = '\0';
	return sscanf(text, "%llu %llu", &total, &resident) == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE)
								 : 0;
}

static bool has_new_loss(const struct crier_wire_counters *now, const struct crier_wire_counters *then)
{
	for (size_t ring = 0; ring < CRIER_CLASS_COUNT; ring++)
		if (now->reserve_failed[ring] != then->reserve_failed[ring] ||
		    now->suppressed[ring] != then->suppressed[ring])
			return true;
	return false;
}

static void add_blames(struct crier_agent *agent, struct crier_input_counters *counters)
{
	struct crier_probe_blame blames[CRIER_INPUT_BLAMES_MAX];
	size_t count = agent->observer.probe
			       ? crier_probe_blame(agent->observer.probe, blames, CRIER_INPUT_BLAMES_MAX)
			       : 0;

	for (size_t i = 0; i < count; i++) {
		counters->blames[i].cgroup_id = blames[i].cgroup_id;
		memcpy(counters->blames[i].suppressed, blames[i].suppressed, sizeof(blames[i].suppressed));
		memcpy(counters->blames[i].failed, blames[i].failed, sizeof(blames[i].failed));
	}
	counters->blame_count = count;
}

void crier_agent_counters(struct crier_agent *agent)
{
	struct crier_input_counters counters = {0};
	struct rusage usage;

	agent->counters_ns = crier_agent_now();
	if (crier_observer_counters(&agent->observer, &counters.kernel) < 0)
		return; /* the next look tells the rise of both */
	counters.kernel.class_map_full += agent->classes_refused;
	if (agent->observer.probe)
		counters.recursion_misses = crier_probe_recursion_misses(agent->observer.probe);
	if (has_new_loss(&counters.kernel, &agent->counters.kernel))
		add_blames(agent, &counters);
	counters.rss_bytes = own_rss();
	if (getrusage(RUSAGE_SELF, &usage) == 0)
		counters.cpu_ms = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
				  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	agent->counters = counters;
	crier_agent_feed(agent, CRIER_INPUT_COUNTERS, &counters, sizeof(counters));
}
