/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens once, in an order without a gap (docs/architecture.md): rings and cgroup programs first, then the walk, then
 * the rest of the hooks; the CRI thread lists beside it and delays nobody.
 */
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>
#include <time.h>

#define MAILBOX_BYTES (8 * 1024 * 1024)

uint64_t crier_agent_unix_offset(void)
{
	struct timespec real;
	uint64_t before = crier_agent_now();

	clock_gettime(CLOCK_REALTIME, &real);
	uint64_t after = crier_agent_now();

	return (uint64_t)real.tv_sec * SECOND_NS + (uint64_t)real.tv_nsec - (before + (after - before) / 2);
}

void crier_agent_arm_clock(struct crier_agent *agent)
{
	struct itimerspec spec = {0};
	struct timespec now;

	/* a timer that never fires, but is cancelled when the clock is set */
	clock_gettime(CLOCK_REALTIME, &now);
	spec.it_value.tv_sec = now.tv_sec + 10LL * 365 * 86400;
	timerfd_settime(agent->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL);
}

static int read_boot_id(char ret_boot[9], struct crier_err *err)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, ret_boot, 8) != 8)
		return crier_err_set(err, -EIO,
				     "/proc/sys/kernel/random/boot_id: not readable (%s); mount /proc",
				     strerror(errno));
	ret_boot[8] = '\0';
	return 0;
}

static int identify(struct crier_agent *agent, struct crier_err *err)
{
	struct crier_start *start = &agent->start;
	struct utsname names;
	uint32_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return crier_err_set(err, -errno, "random numbers: %s", strerror(errno));
	snprintf(start->instance, sizeof(start->instance), "%08x", random);
	start->boottime_ns = crier_agent_now();
	start->unix_offset_ns = crier_agent_unix_offset();
	start->page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	if (uname(&names) == 0)
		snprintf(start->kernel, sizeof(start->kernel), "%s", names.release);
	int r = read_boot_id(start->boot, err);

	return r < 0 ? r : crier_cgroup_detect(agent->config->host_root, &start->layout, err);
}

/* What the run before left behind; a file that cannot be read costs the story of the gap, not the start. */
static void read_state(struct crier_agent *agent)
{
	struct crier_start *start = &agent->start;
	struct crier_state state = {0};
	struct crier_err err = {0};

	if (!agent->config->state_file[0])
		return;
	if (crier_state_read(agent->config->state_file, &state, &err) < 0) {
		crier_warn("%s", err.message);
		return;
	}
	snprintf(start->previous_instance, sizeof(start->previous_instance), "%s", state.instance);
	start->previous_seq = state.last_seq;
	start->previous_ended_at = state.ended_at;
	start->previous_clean = state.clean;
	start->previous_exited = take_ptr(state.exited);
	start->previous_exited_count = state.exited_count;
	crier_state_done(&state);
}

void crier_agent_save_state(struct crier_agent *agent, bool clean)
{
	const char *newest[CRIER_STATE_EXITED_MAX];
	struct crier_err err = {0};
	struct crier_state state = {
		.last_seq = crier_pipeline_last_seq(agent->pipeline),
		.clean = clean,
	};

	agent->state_ns = crier_agent_now();
	agent->state_seq = state.last_seq;
	agent->state_exited = crier_pipeline_exited_total(agent->pipeline);
	if (!agent->config->state_file[0] || agent->state_failed)
		return;
	memcpy(state.instance, agent->start.instance, sizeof(agent->start.instance));
	memcpy(state.boot_id, agent->start.boot, sizeof(agent->start.boot));
	state.ended_at = agent->state_ns + crier_agent_unix_offset();
	state.exited_count = crier_pipeline_exited(agent->pipeline, newest, CRIER_STATE_EXITED_MAX);
	state.exited = calloc(state.exited_count + 1, sizeof(*state.exited));
	for (size_t i = 0; state.exited && i < state.exited_count; i++)
		crier_copy_str(state.exited[i], CRIER_ID_MAX, crier_slice_of(newest[i]));
	if (!state.exited || crier_state_write(agent->config->state_file, &state, &err) < 0) {
		crier_warn("%s", state.exited ? err.message : "state file: out of memory");
		agent->state_failed = true; /* said once; `crier check` says it too */
	}
	free(state.exited);
}

static int find_runtime(struct crier_agent *agent)
{
	const char *wanted = agent->config->cri_socket;
	struct crier_err err = {0};

	if (wanted && strcmp(wanted, "none") == 0)
		return 0;
	if (wanted) {
		snprintf(agent->start.cri_socket, sizeof(agent->start.cri_socket), "%s", wanted);
		return 0;
	}
	if (crier_cri_discover(agent->config->host_root, agent->start.cri_socket,
			       sizeof(agent->start.cri_socket), &err) < 0) {
		crier_warn("%s; crier goes on with cgroup paths and OCI bundles", err.message);
		agent->start.cri_socket[0] = '\0';
	}
	return 0;
}

static int open_fds(struct crier_agent *agent, struct crier_err *err)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN); /* a reader that went away is the sink's EPIPE */
	agent->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	agent->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	agent->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	agent->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (agent->epoll_fd < 0 || agent->timer_fd < 0 || agent->clock_fd < 0 || agent->signal_fd < 0)
		return crier_err_set(err, -errno, "crier: descriptors: %s; raise the open-files limit",
				     strerror(errno));
	crier_agent_arm_clock(agent);
	return 0;
}

static int watch_fd(struct crier_agent *agent, int fd, uint32_t events, void *what, struct crier_err *err)
{
	struct epoll_event event = {.events = events, .data.ptr = what};

	if (epoll_ctl(agent->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return crier_err_set(err, -errno, "epoll: %s", strerror(errno));
	return 0;
}

static int watch_all(struct crier_agent *agent, struct crier_err *err)
{
	const struct {
		int fd;
		void *what;
	} rows[] = {
		{agent->signal_fd, &agent->signal_fd},
		{agent->timer_fd, &agent->timer_fd},
		{agent->clock_fd, &agent->clock_fd},
		{crier_sink_fd(agent->sink), &agent->sink},
		{crier_mailbox_fd(agent->mailbox), &agent->mailbox},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < CRIER_ARRAY_SIZE(rows); i++)
		r = watch_fd(agent, rows[i].fd, EPOLLIN, rows[i].what, err);
	return r;
}

/* The fallback may come late: after the hooks it stands in for were refused. */
static int watch_observer(struct crier_agent *agent, struct crier_err *err)
{
	int fds[CRIER_OBSERVER_FDS], r = 0;
	size_t count = crier_observer_fds(&agent->observer, fds);
	size_t rings = agent->observer.probe ? CRIER_CLASS_COUNT : 0;

	/* a ring with bulk at rest stays readable: only what wakes it is news, each turn looks at the rest */
	for (size_t i = 0; r == 0 && i < count; i++)
		r = watch_fd(agent, fds[i], i < rings ? EPOLLIN | EPOLLET : EPOLLIN, &agent->observer, err);
	return r;
}

static int open_recording(struct crier_agent *agent, const char *path, bool overwrite, struct crier_err *err)
{
	if (!path)
		return 0;
	int r = crier_recording_create(path, overwrite, &agent->recording, err);

	if (r < 0)
		return r;
	_cleanup_free_ char *json = crier_start_to_json(&agent->start, agent->config);

	if (!json)
		return crier_err_set(err, -ENOMEM, "recording %s: out of memory", path);
	r = crier_recording_write(agent->recording, CRIER_INPUT_START, agent->start.boottime_ns, json,
				  strlen(json));
	return r < 0 ? crier_err_set(err, r, "recording %s: %s; free space", path, strerror(-r)) : 0;
}

/* ---- the kernel side ---- */

static uint32_t wanted_types(const struct crier_config *config)
{
	static const struct {
		enum crier_probe_event event;
		enum crier_wire_type type;
	} rows[] = {
		{CRIER_PROBE_EXEC, CRIER_WIRE_EXEC},
		{CRIER_PROBE_FORK, CRIER_WIRE_FORK},
		{CRIER_PROBE_EXIT, CRIER_WIRE_EXIT},
		{CRIER_PROBE_SIGNAL, CRIER_WIRE_SIGNAL},
		{CRIER_PROBE_OOM, CRIER_WIRE_OOM},
		{CRIER_PROBE_PRESSURE, CRIER_WIRE_PRESSURE_HINT},
		{CRIER_PROBE_CGROUP_MKDIR, CRIER_WIRE_CGROUP_MKDIR},
		{CRIER_PROBE_CGROUP_RMDIR, CRIER_WIRE_CGROUP_RMDIR},
		{CRIER_PROBE_CGROUP_POPULATED, CRIER_WIRE_CGROUP_POPULATED},
	};
	uint32_t probes = crier_profile_probes(config->profile);
	uint32_t mask = 0;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++)
		if (probes & (1u << rows[i].event))
			mask |= 1u << rows[i].type;
	return mask;
}

void crier_agent_set_control(const struct crier_config *config, struct crier_wire_control *control)
{
	control->event_mask = wanted_types(config);
	control->args_max = config->process_args ? CRIER_WIRE_ARGS_MAX : 0;
	control->bulk_rate = (uint32_t)config->event_rate;
	control->critical_rate = (uint32_t)config->critical_rate;
}

static int open_observer(struct crier_agent *agent, struct crier_err *err)
{
	struct crier_wire_control control = {.self_pid = (uint32_t)getpid()};
	int r;

	crier_agent_set_control(agent->config, &control);
	r = crier_observer_open(&agent->observer, agent->config, &agent->start.layout, &control, err);
	if (r == 0 && agent->observer.why[0])
		crier_warn("no eBPF: %s; %s; crier goes on with OOM kills and containers' lives",
			   agent->observer.why, agent->observer.remedy);
	return r;
}

static bool feed_cgroup(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	char frame[sizeof(struct crier_input_cgroup) + CRIER_CGROUP_PATH_MAX] __attribute__((aligned(8)));
	struct crier_input_cgroup input = {id, parent_id};

	if (path.len > CRIER_CGROUP_PATH_MAX)
		return true;
	memcpy(frame, &input, sizeof(input));
	memcpy(frame + sizeof(input), path.ptr, path.len);
	crier_agent_feed(ctx, CRIER_INPUT_CGROUP, frame, sizeof(input) + path.len);
	return true;
}

static void feed_seed(void *ctx, const struct crier_wire_seed *seed)
{
	crier_agent_feed(ctx, CRIER_INPUT_SEED, seed, sizeof(*seed));
}

/*
 * Without the iterator /proc tells who is alive, at clock-tick precision. The directory's inode is the cgroup's id.
 */
static bool feed_proc_entry(void *ctx, const struct crier_proc_entry *entry)
{
	struct crier_agent *agent = ctx;
	struct crier_wire_seed seed = {.task = {.pid = entry->pid,
						.parent_pid = entry->parent_pid,
						.flags = CRIER_TASK_VALID | CRIER_TASK_BY_TICKS}};
	char path[CRIER_CGROUP_PATH_MAX + 320];
	struct stat st;
	int len = snprintf(path, sizeof(path), "%s%.*s", agent->start.layout.primary_root,
			   (int)entry->path.len, entry->path.ptr);

	if (len < 0 || (size_t)len >= sizeof(path) || lstat(path, &st) < 0)
		return true;
	seed.task.start_boottime_ns = entry->start_ticks * (SECOND_NS / (uint64_t)sysconf(_SC_CLK_TCK));
	seed.task.cgroup_id = st.st_ino;
	if (entry->is_ns_init)
		seed.task.flags |= CRIER_TASK_NS_INIT;
	memcpy(seed.task.comm, entry->comm.ptr, crier_min(entry->comm.len, sizeof(seed.task.comm)));
	feed_seed(agent, &seed);
	return true;
}

/*
 * The iterator shows the pid namespace of its reader only; the /proc below --host-root may be the node's all the same.
 * @return false when neither way could list them
 */
static bool seed_processes(struct crier_agent *agent)
{
	const char *host_root = agent->config->host_root;

	if (!crier_pid_namespace_is_own() && agent->observer.probe &&
	    crier_probe_seed(agent->observer.probe, feed_seed, agent) == 0)
		return true;
	/* other pids mean other processes: a wrong seed is worse than none */
	return crier_proc_is_hosts(host_root) &&
	       crier_proc_scan(host_root, &agent->start.layout, feed_proc_entry, agent) >= 0;
}

static int start_cri(struct crier_agent *agent, struct crier_err *err)
{
	struct crier_cri_options options;

	if (!agent->start.cri_socket[0])
		return 0;
	crier_cri_options_default(&options);
	options.socket = agent->start.cri_socket;
	options.timeout_ms = (uint32_t)agent->config->cri_timeout_ms;
	options.reconcile_ms = (uint32_t)agent->config->reconcile_interval_ms;
	options.stream = agent->config->cri_events != CRIER_CRI_EVENTS_OFF;
	options.stream_shared = agent->config->cri_events == CRIER_CRI_EVENTS_ON;
	return crier_cri_new(&options, agent->mailbox, &agent->cri, err);
}

/* The node's own stall wakes the loop; without PSI the look every --node-memory-interval remains. */
static void watch_node(struct crier_agent *agent)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/proc/pressure/memory",
		 strcmp(agent->config->host_root, "/") == 0 ? "" : agent->config->host_root);
	crier_agent_watch(agent, 0, path, true);
}

bool crier_agent_walk(struct crier_agent *agent)
{
	return crier_cgroup_walk(agent->start.layout.primary_root, (uint32_t)agent->config->max_cgroups,
				 feed_cgroup, agent) >= 0;
}

static int attach(struct crier_agent *agent, struct crier_err *err)
{
	bool has_tree = true, has_seeds = true;
	int r = crier_observer_attach_cgroup(&agent->observer, err);

	if (r == 0)
		r = start_cri(agent, err); /* lists while the walk goes on */
	if (r == 0)
		has_tree = crier_agent_walk(agent);
	if (r == 0)
		r = crier_observer_attach_rest(&agent->observer, err);
	if (r == 0)
		r = watch_observer(agent, err);
	if (r == 0)
		has_seeds = seed_processes(agent);
	if (r == 0) {
		agent->turn_ns = crier_agent_now();
		watch_node(agent);
		crier_agent_ready(agent, has_tree, has_seeds);
		agent->trimmed_ns = agent->turn_ns;
		crier_agent_drop_program();
	}
	return r;
}

int crier_agent_start(struct crier_agent *agent, const char *recording_path, bool overwrite,
		      struct crier_err *err)
{
	const struct crier_sink_options sink = {
		.target = agent->config->output_target,
		.buffer_bytes = agent->config->sink_buffer_bytes,
		.write_bytes = 64 * 1024,
		.linger_ms = 50,
	};
	int r = identify(agent, err);

	if (r == 0)
		r = find_runtime(agent);
	if (r == 0) {
		read_state(agent);
		r = open_observer(agent,
				  err); /* what is most likely refused comes before anything is visible */
	}
	if (r == 0)
		r = open_fds(agent, err);
	if (r == 0)
		r = crier_sink_new(&sink, &agent->sink, err);
	if (r == 0 && crier_mailbox_new(MAILBOX_BYTES, &agent->mailbox) < 0)
		r = crier_err_set(err, -ENOMEM, "mailbox: out of memory");
	if (r == 0)
		r = open_recording(agent, recording_path, overwrite, err);
	if (r < 0)
		return r;
	crier_agent_live(agent);
	r = crier_pipeline_new(agent->config, &agent->start, &agent->host, &agent->pipeline, err);
	if (r == 0)
		r = watch_all(agent, err);
	if (r == 0)
		r = attach(agent, err);
	return r;
}
