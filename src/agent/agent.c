/* SPDX-License-Identifier: Apache-2.0 */
/*
 * THE loop. One thread owns all state; the CRI client and the sink's writer have threads of their own and meet it in a
 * mailbox and a byte ring.
 *
 * Waking: bulk records come without a wake-up. Before sleeping the loop arms the rings and looks once more; a producer that
 * finds them armed wakes it, and from then on a one-shot timer brings it back every --drain-interval until a turn finds
 * nothing. Who fills a quarter of the ring before that wakes it too. Critical records wake it at once.
 */
#include "agent.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>

#define TURN_RECORDS	   8192
#define TURN_MAILS	   256
#define COUNTERS_NS	   SECOND_NS
#define STATE_HEARTBEAT_NS (10 * SECOND_NS)
#define STATE_EXITED_NS	   (SECOND_NS / 2)
#define STOP_DRAIN_TURNS   1000
#define LAST_LINES_ROOM	   (256 * 1024)

uint64_t crier_agent_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * SECOND_NS + (uint64_t)ts.tv_nsec;
}

static void write_recording(struct crier_agent *agent, enum crier_input_type type, uint64_t now_ns,
			    const void *bytes, size_t len)
{
	if (!agent->recording || agent->recording_failed)
		return;
	int r = crier_recording_write(agent->recording, type, now_ns, bytes, len);

	if (r < 0) {
		agent->recording_failed = true;
		crier_error("recording: %s; recording stops here, events go on; free space and record again",
			    strerror(-r));
	}
}

static void feed_at(struct crier_agent *agent, enum crier_input_type type, uint64_t now_ns, const void *bytes,
		    size_t len)
{
	write_recording(agent, type, now_ns, bytes, len);
	crier_pipeline_feed(agent->pipeline, type, now_ns, bytes, len);
}

void crier_agent_feed(struct crier_agent *agent, enum crier_input_type type, const void *bytes, size_t len)
{
	feed_at(agent, type, crier_agent_now(), bytes, len);
}

void crier_agent_feed_text(struct crier_agent *agent, enum crier_input_type type, const char *text)
{
	if (text)
		crier_agent_feed(agent, type, text, strlen(text));
}

void crier_agent_record(void *ctx, const void *bytes, size_t len)
{
	struct crier_agent *agent = ctx;

	feed_at(agent, CRIER_INPUT_RECORD, agent->turn_ns, bytes, len); /* one clock reading serves a turn */
}

/* A recording keeps what a record made the pipeline ask right behind it: one by one then. */
static void feed_records(void *ctx, const struct crier_slice *records, size_t count)
{
	struct crier_agent *agent = ctx;

	if (!agent->recording) {
		crier_pipeline_feed_records(agent->pipeline, agent->turn_ns, records, count);
		return;
	}
	for (size_t i = 0; i < count; i++)
		crier_agent_record(agent, records[i].ptr, records[i].len);
}

/* ---- one turn ---- */

static void feed_room(struct crier_agent *agent)
{
	uint64_t room = crier_sink_room(agent->sink);

	if (room == agent->room_told)
		return;
	agent->room_told = room;
	crier_agent_feed(agent, CRIER_INPUT_ROOM, &room, sizeof(room));
}

static size_t feed_mails(struct crier_agent *agent)
{
	size_t count = 0;

	for (; count < TURN_MAILS; count++) {
		size_t len;
		const void *mail = crier_mailbox_pop(agent->mailbox, &len);

		if (!mail)
			break;
		crier_agent_feed(agent, CRIER_INPUT_MAIL, mail, len);
	}
	return count;
}

static bool has_untold_exits(const struct crier_agent *agent)
{
	return crier_pipeline_exited_total(agent->pipeline) != agent->state_exited;
}

/* The state file says how far crier came: after a SIGKILL the next start tells what ended in between, and not twice. */
static void keep_state(struct crier_agent *agent, uint64_t now_ns)
{
	uint64_t age_ns = now_ns - agent->state_ns;

	if ((has_untold_exits(agent) && age_ns >= STATE_EXITED_NS) ||
	    (crier_pipeline_last_seq(agent->pipeline) != agent->state_seq && age_ns >= STATE_HEARTBEAT_NS))
		crier_agent_save_state(agent, false);
}

void crier_agent_health(struct crier_agent *agent, const char *component, const char *state,
			const char *reason, const char *remedy)
{
	json_t *root = json_pack("{s:s, s:s, s:s, s:s}", "component", component, "state", state, "reason",
				 reason, "remedy", remedy);
	_cleanup_free_ char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	crier_agent_feed_text(agent, CRIER_INPUT_HEALTH, text);
}

/* What the fallback met since it was looked at last. */
static void tell_troubles(struct crier_agent *agent)
{
	const char *what = NULL, *remedy = NULL;
	unsigned count = agent->observer.fallback
				 ? crier_fallback_trouble(agent->observer.fallback, &what, &remedy)
				 : 0;

	if (count == agent->troubles_told)
		return;
	agent->troubles_told = count;
	crier_warn("%s; %s", what, remedy);
	crier_agent_health(agent, "kernel", "degraded", what, remedy);
}

/* @return true if anything was there to do; *ret_more: the turn's bound was reached, go on at once */
static bool turn(struct crier_agent *agent, bool *ret_more)
{
	feed_room(agent);
	agent->turn_ns = crier_agent_now();
	crier_agent_cpu_begin(agent, agent->turn_ns);

	size_t records =
		crier_observer_drain(&agent->observer, agent->turn_ns, TURN_RECORDS, feed_records, agent);
	size_t mails = feed_mails(agent);
	uint64_t now_ns = crier_agent_now();

	if (now_ns - agent->counters_ns >= COUNTERS_NS) {
		crier_agent_counters(agent);
		crier_sink_trim(agent->sink);
	}
	crier_agent_give_back(agent, now_ns);
	if (now_ns >= crier_pipeline_deadline(agent->pipeline))
		crier_agent_feed(agent, CRIER_INPUT_TICK, NULL, 0);
	keep_state(agent, now_ns);
	tell_troubles(agent);
	crier_agent_cpu_end(agent, now_ns);
	crier_sink_flush(agent->sink);
	*ret_more = records >= TURN_RECORDS || mails >= TURN_MAILS;
	return records || mails;
}

static void set_timer(struct crier_agent *agent, uint64_t at_ns)
{
	struct itimerspec spec = {0};

	if (at_ns == agent->timer_ns)
		return;
	agent->timer_ns = at_ns;
	if (at_ns != UINT64_MAX) {
		at_ns = crier_max(at_ns, 1ULL); /* 0 would switch it off */
		spec.it_value.tv_sec = (time_t)(at_ns / SECOND_NS);
		spec.it_value.tv_nsec = (long)(at_ns % SECOND_NS);
	}
	timerfd_settime(agent->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

/* ---- what wakes it besides the rings ---- */

static void turn_knobs(struct crier_agent *agent, const struct crier_config *config)
{
	const struct crier_wire_control *old = crier_observer_control(&agent->observer);
	struct crier_wire_control control;

	if (!old)
		return;
	control = *old;
	crier_agent_set_control(config, &control);
	crier_observer_set_control(&agent->observer, &control);
}

static void read_config_again(struct crier_agent *agent)
{
	struct crier_config *next = calloc(1, sizeof(*next));
	struct crier_err err = {0};

	if (!next || crier_config_reload(agent->config, next, &err) < 0) {
		crier_warn("reload: %s; the configuration in force stays",
			   next ? err.message : "out of memory");
		free(next);
		return;
	}
	if (crier_config_can_reload(agent->config, next, &err) != 1) {
		crier_warn("reload: %s; the configuration in force stays", err.message);
		crier_config_done(next);
		free(next);
		return;
	}
	_cleanup_free_ char *json = crier_config_to_json(next);

	crier_agent_feed_text(agent, CRIER_INPUT_CONFIG, json);
	crier_log_set_level(next->log_level);
	turn_knobs(agent, next);
	if (agent->cri)
		crier_cri_reconcile(agent->cri); /* labels are chosen when pods are told */
	if (agent->reloaded) {
		crier_config_done(agent->reloaded);
		free(agent->reloaded);
	}
	agent->config = agent->reloaded = next;
	crier_info("reload: done");
}

static void on_signal(struct crier_agent *agent)
{
	struct signalfd_siginfo info;

	while (read(agent->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			read_config_again(agent);
		else
			agent->stop_reason = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
	}
}

/* TFD_TIMER_CANCEL_ON_SET: the read fails with ECANCELED when somebody set the clock. */
static void on_clock(struct crier_agent *agent)
{
	uint64_t ticks, offset;

	if (read(agent->clock_fd, &ticks, sizeof(ticks)) < 0 && errno == ECANCELED) {
		offset = crier_agent_unix_offset();
		crier_agent_feed(agent, CRIER_INPUT_CLOCK, &offset, sizeof(offset));
		crier_agent_arm_clock(agent);
	}
}

static const char *output_name(const struct crier_agent *agent)
{
	return strcmp(agent->config->output_target, "-") == 0 ? "stdout" : agent->config->output_target;
}

static void on_sink(struct crier_agent *agent)
{
	int error = 0;
	enum crier_sink_state state = crier_sink_state(agent->sink, &error); /* clears its descriptor */

	if (state == agent->sink_state)
		return;
	agent->sink_state = state;
	switch (state) {
	case CRIER_SINK_OK:
		crier_agent_health(agent, "sink", "ok", "lines are taken again", "nothing to do");
		break;
	case CRIER_SINK_BLOCKED:
		crier_warn(
			"%s: its reader has not taken anything for a second; what does not fit the buffer is counted and told",
			output_name(agent));
		crier_agent_health(
			agent, "sink", "degraded", "the output's reader does not keep up",
			"look at the log collector; raise --sink-buffer-bytes or choose a smaller --profile");
		break;
	case CRIER_SINK_FULL:
		crier_error("%s: %s; retried every second; free space", output_name(agent), strerror(error));
		crier_agent_health(agent, "sink", "down", strerror(error),
				   "free space where the output is written");
		break;
	case CRIER_SINK_CLOSED:
		crier_error("%s: %s; nobody reads any more, crier ends", output_name(agent), strerror(error));
		agent->stop_reason = "output closed";
		agent->fault = -EPIPE;
		break;
	}
}

static void on_psi(struct crier_agent *agent, const struct epoll_event *event)
{
	struct crier_psi_watch *watch = event->data.ptr;
	uint64_t id = watch->cgroup_id;

	if (watch->fd < 0)
		return;
	if (event->events & EPOLLERR) /* its cgroup is gone */
		crier_agent_watch(agent, id, NULL, false);
	else
		crier_agent_feed(agent, CRIER_INPUT_PRESSURE, &id, sizeof(id));
}

static void wait_events(struct crier_agent *agent, int timeout_ms)
{
	struct epoll_event events[16];
	int n = epoll_wait(agent->epoll_fd, events, CRIER_ARRAY_SIZE(events), timeout_ms);

	for (int i = 0; i < n; i++) {
		void *what = events[i].data.ptr;
		uint64_t ticks;

		if (what == &agent->signal_fd)
			on_signal(agent);
		else if (what == &agent->clock_fd)
			on_clock(agent);
		else if (what == &agent->sink)
			on_sink(agent);
		else if (what == &agent->timer_fd) {
			if (read(agent->timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks))
				agent->timer_ns = 0;
		} else if (what >= (void *)agent->psi && what < (void *)(agent->psi + PSI_WATCHES_MAX))
			on_psi(agent, &events[i]);
		/* rings and mailbox only wake: the turn looks at them */
	}
}

/*
 * Nothing was there, and still the rings will not be armed: either something came in between, or a producer was interrupted
 * in the middle of a record. Look again at once; the second time in a row wait a moment rather than spin.
 */
static uint64_t refused_until(struct crier_agent *agent)
{
	bool again = agent->arm_refused;

	agent->arm_refused = true;
	return crier_agent_now() + (again ? MS_NS : 0);
}

/* When to look at the rings again, woken or not. @return 0: at once */
static uint64_t rings_due(struct crier_agent *agent, bool draining)
{
	bool is_armed =
		crier_observer_arm(&agent->observer, draining ? CRIER_ARMED_FILLING : CRIER_ARMED_ANY);

	if (!draining && !is_armed)
		return refused_until(agent);
	agent->arm_refused = false;
	if (!draining)
		return UINT64_MAX;
	return is_armed ? crier_agent_now() + agent->config->drain_interval_ms * MS_NS : 0;
}

/* When the turn must hand on lines that linger. */
static uint64_t lines_due(const struct crier_agent *agent)
{
	uint64_t in_ns = crier_sink_due_in(agent->sink);

	return in_ns == UINT64_MAX ? UINT64_MAX : crier_agent_now() + in_ns;
}

static uint64_t next_due(struct crier_agent *agent, bool draining)
{
	uint64_t due_ns = rings_due(agent, draining);

	due_ns = crier_min(due_ns, crier_pipeline_deadline(agent->pipeline));
	due_ns = crier_min(due_ns, crier_observer_deadline(&agent->observer));
	due_ns = crier_min(due_ns, crier_agent_give_back_due(agent));
	due_ns = crier_min(due_ns, lines_due(agent));
	if (agent->bulk_rests_until_ns)
		due_ns = crier_min(due_ns, agent->bulk_rests_until_ns);
	if (has_untold_exits(agent))
		due_ns = crier_min(due_ns, crier_agent_now() + STATE_EXITED_NS);
	return due_ns;
}

static void loop(struct crier_agent *agent)
{
	while (!agent->stop_reason) {
		bool more;
		bool draining = turn(agent, &more);
		uint64_t due_ns = more ? 0 : next_due(agent, draining);

		if (due_ns && due_ns < agent->turn_ns) { /* a mistake, but no busy loop */
			crier_debug("loop: what was due %llu us ago was not done",
				    (unsigned long long)(agent->turn_ns - due_ns) / 1000);
			due_ns = agent->turn_ns + MS_NS;
		}
		if (due_ns)
			set_timer(agent, due_ns);
		wait_events(agent, due_ns ? -1 : 0);
	}
}

/* The last lines, losses among them, deserve that a slow reader is waited for, within the deadline. */
static void wait_for_room(struct crier_agent *agent)
{
	const struct timespec pause = {.tv_nsec = 10 * (long)MS_NS};
	uint64_t end_ns = crier_agent_now() + agent->config->stop_deadline_ms * MS_NS / 2;
	int error;

	crier_sink_flush(agent->sink);
	while (crier_sink_room(agent->sink) < LAST_LINES_ROOM && crier_agent_now() < end_ns &&
	       crier_sink_state(agent->sink, &error) != CRIER_SINK_CLOSED)
		nanosleep(&pause, NULL);
	feed_room(agent);
}

/* Stop the hooks, drain what they left, flush what waits, say good-bye. */
static void finish(struct crier_agent *agent)
{
	json_t *root = json_pack("{s:s}", "reason", agent->stop_reason);
	_cleanup_free_ char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

	json_decref(root);
	crier_observer_detach(&agent->observer);
	crier_observer_rest_bulk(&agent->observer, false); /* what is left is read whatever it costs */
	for (int i = 0; i < STOP_DRAIN_TURNS; i++) {
		feed_room(agent);
		agent->turn_ns = crier_agent_now();
		if (crier_observer_drain(&agent->observer, agent->turn_ns, TURN_RECORDS, feed_records,
					 agent) == 0)
			break;
	}
	feed_mails(agent);
	crier_agent_counters(agent);
	wait_for_room(agent);
	crier_agent_feed_text(agent, CRIER_INPUT_STOP, text);
	size_t left = crier_sink_close(agent->sink, (uint32_t)agent->config->stop_deadline_ms);

	if (left && agent->fault == 0)
		crier_warn("%s: %zu bytes were not taken within %llu ms and are lost", output_name(agent),
			   left, (unsigned long long)agent->config->stop_deadline_ms);
	crier_agent_save_state(agent, true);
}

static void release(struct crier_agent *agent, struct crier_err *err)
{
	crier_cri_free(agent->cri);
	crier_pipeline_free(agent->pipeline);
	crier_observer_done(&agent->observer);
	crier_sink_free(agent->sink);
	crier_mailbox_free(agent->mailbox);
	if (agent->recording && crier_recording_close(agent->recording, err) < 0)
		crier_error("%s", err->message);
	for (size_t i = 0; i < PSI_WATCHES_MAX; i++)
		if (agent->psi[i].fd >= 0)
			close(agent->psi[i].fd);
	const int fds[] = {agent->epoll_fd, agent->timer_fd, agent->clock_fd, agent->signal_fd};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (agent->reloaded)
		crier_config_done(agent->reloaded);
	free(agent->reloaded);
	crier_start_done(&agent->start);
	free(agent);
}

int crier_agent_run(const struct crier_config *config, const char *recording_path, bool overwrite,
		    struct crier_err *err)
{
	struct crier_agent *agent = calloc(1, sizeof(*agent));
	int r;

	if (!agent)
		return crier_err_set(err, -ENOMEM, "crier: out of memory");
	crier_agent_limit_memory();
	agent->config = config;
	agent->epoll_fd = agent->timer_fd = agent->clock_fd = agent->signal_fd = -1;
	for (size_t i = 0; i < PSI_WATCHES_MAX; i++)
		agent->psi[i].fd = -1;

	r = crier_agent_start(agent, recording_path, overwrite, err);
	if (r == 0) {
		crier_agent_cpu_start(agent);
		loop(agent);
		finish(agent);
		r = agent->fault;
		if (r < 0)
			crier_err_set(err, r,
				      "%s: its reader went away; start crier again with somebody reading",
				      output_name(agent));
	}
	struct crier_err late = {0};

	release(agent, &late);
	return r;
}
