/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a container: seen in the kernel, given up to --exit-wait for the runtime's own words, told exactly once,
 * remembered for its slot, and at last removed.
 */
#include "internal.h"
#include "crier/names.h"

#include <signal.h>
#include <sys/wait.h>

#define STOP_SLACK_S 60
/* Where the kernel's word on an exit is not seen, the runtime's is all there is: worth waiting for. */
#define UNSEEN_PATIENCE 10
#define STOP_LIMIT_S	600 /* where no grace period is known, and for absurd ones */

static bool runtime_has_answered(const struct crier_container *container)
{
	return container->cri_state == CRIER_STATE_EXITED;
}

static uint64_t exit_wait_ns(const struct crier_pipeline *p)
{
	return p->config->exit_wait_ms * MS_NS * (p->exec_unseen ? UNSEEN_PATIENCE : 1);
}

/*
 * Dying already. The kernel's word is better than the runtime's, and init's own exit says more than an empty cgroup; between
 * those two the first keeps the time.
 */
static void better_word(struct crier_pipeline *p, struct crier_life *life, const struct crier_death *death)
{
	bool was_from_runtime = life->death.from_runtime && !death->from_runtime;

	if (!was_from_runtime && (!death->by_init || life->death.by_init))
		return;
	life->death = *death;
	if (!was_from_runtime)
		return;
	life->container->died_ns = death->boottime_ns;
	life->container->phase = crier_max(life->container->phase, (uint8_t)CRIER_PHASE_CONTAINER_ENDING);
	if (life->dying_until_ns && runtime_has_answered(life->container))
		crier_death_finish(p, life);
}

/*
 * Without kernel programs an empty cgroup may be seen before the kernel has logged the kill that emptied it: it signals its
 * victim first, and a console that is a serial line takes its time (tried).
 */
static bool is_before_log(const struct crier_pipeline *p, const struct crier_life *life)
{
	return p->exec_unseen && !life->death.by_init && !life->init_oom;
}

void crier_death_begin(struct crier_pipeline *p, struct crier_life *life, const struct crier_death *death)
{
	struct crier_container *container = life->container;

	if (life->exited_told)
		return;
	if (life->dying_until_ns || life->death.boottime_ns) {
		better_word(p, life, death);
		return;
	}
	life->death = *death;
	container->died_ns = death->boottime_ns;
	if (!death->from_runtime) /* else its start may still be in the ring */
		container->phase = CRIER_PHASE_CONTAINER_ENDING;
	crier_watch_end(p, life);
	bool has_all = !p->cri_enabled || !p->cri_up ||
		       (runtime_has_answered(container) && !death->from_runtime) ||
		       (!death->from_runtime && crier_life_is_silent(p, exit_wait_ns(p)));

	if (has_all && !is_before_log(p, life)) {
		crier_death_finish(p, life);
		return;
	}
	life->dying_since_ns = p->now_ns;
	life->dying_until_ns = p->now_ns + (has_all ? p->config->exit_wait_ms * MS_NS : exit_wait_ns(p));
	crier_list_append(&p->dying, &life->dying);
	life->asks = 0;
	life->next_ask_ns =
		has_all || runtime_has_answered(container) ? 0 : p->now_ns + 2 * ASK_BACKOFF_FIRST_NS;
	crier_life_schedule(p, life);
}

void crier_death_undo(struct crier_pipeline *p, struct crier_life *life)
{
	if (!life->dying_until_ns || life->death.by_init || life->death.from_runtime)
		return;
	life->dying_until_ns = life->next_ask_ns = 0;
	crier_list_remove(&life->dying);
	life->death = (struct crier_death){0};
	life->container->died_ns = 0;
	life->container->phase = life->started_told || life->preexisting ? CRIER_PHASE_CONTAINER_RUNNING
									 : CRIER_PHASE_CONTAINER_CREATED;
	crier_life_schedule(p, life);
}

void crier_death_due(struct crier_pipeline *p, struct crier_life *life)
{
	/* nobody saw its init end, and the runtime says, after the cgroup was found empty, that it runs */
	if (!life->death.by_init && !life->death.from_runtime && life->cgroup && !life->cgroup->removed_ns &&
	    life->answered_ns > life->dying_since_ns && life->container->cri_state == CRIER_STATE_RUNNING)
		crier_death_undo(p, life);
	else
		crier_death_finish(p, life);
}

bool crier_death_init_lives(struct crier_pipeline *p, struct crier_life *life)
{
	const struct crier_container *container = life->container;
	struct crier_proc_entry entry;
	char path[300];
	size_t len;

	if (container->init_pid == CRIER_UNKNOWN_U64 || container->init_start_ns == CRIER_UNKNOWN_U64 ||
	    life->death.boottime_ns || life->exited_told)
		return false;
	snprintf(path, sizeof(path), "%s/proc/%llu/stat", crier_host_root(p),
		 (unsigned long long)container->init_pid);
	return p->host.read(p->host.ctx, path, p->file, sizeof(p->file), &len) == 0 &&
	       crier_proc_stat_parse((struct crier_slice){p->file, len}, &entry) == 0 && entry.state != 'Z' &&
	       entry.state != 'X' && entry.pid == container->init_pid &&
	       entry.start_ticks == container->init_start_ns / TICK_NS;
}

static enum crier_exit_cause cause_of(const struct crier_pipeline *p, const struct crier_life *life)
{
	const struct crier_death *death = &life->death;

	/* init's own end is the kernel's word; before it executed its program it was the runtime's helper that ended */
	if (death->by_init && (life->started_told || life->preexisting || death->executed)) {
		if (death->oom)
			return CRIER_EXIT_CAUSE_OOM;
		return WIFSIGNALED((int)death->status) ? CRIER_EXIT_CAUSE_SIGNAL : CRIER_EXIT_CAUSE_EXIT;
	}
	if (life->init_oom)
		return CRIER_EXIT_CAUSE_OOM;
	if (life->started_told || life->preexisting || life->container->started_at_ns != CRIER_UNKNOWN_U64)
		return CRIER_EXIT_CAUSE_UNKNOWN;
	/* no execution was seen: where none can be, only the runtime knows that there was none */
	return p->exec_unseen && (!runtime_has_answered(life->container) ||
				  life->container->type == CRIER_CONTAINER_TYPE_SANDBOX)
		       ? CRIER_EXIT_CAUSE_UNKNOWN
		       : CRIER_EXIT_CAUSE_START_FAILED;
}

static void fill_kernel(struct crier_data_exited *data, const struct crier_life *life)
{
	const struct crier_death *death = &life->death;

	if (!death->by_init)
		return;
	if (WIFSIGNALED((int)death->status)) {
		data->signal = (uint64_t)WTERMSIG((int)death->status);
		data->signal_name = crier_signal_name((unsigned)data->signal);
		data->exit_code = 128 + (int64_t)data->signal;
		data->core_dumped = WCOREDUMP((int)death->status) != 0;
	} else {
		data->exit_code = WEXITSTATUS((int)death->status);
	}
}

struct crier_ending *crier_life_ending(struct crier_life *life)
{
	if (!life->ending)
		life->ending = calloc(1, sizeof(*life->ending));
	return life->ending;
}

/* A stop is over when its grace period is: a signal that was handled days ago ended nothing today. */
bool crier_stop_is_recent(const struct crier_life *life, uint64_t at_ns)
{
	uint64_t grace_s = life->container->grace_period_s;
	uint64_t limit_ns =
		grace_s < STOP_LIMIT_S ? (grace_s + STOP_SLACK_S) * SECOND_NS : STOP_LIMIT_S * SECOND_NS;

	uint64_t last_ns = life->ending->stop.last_ns;

	return at_ns < last_ns || at_ns - last_ns <= limit_ns;
}

static void fill_stop(struct crier_data_exited *data, const struct crier_life *life)
{
	const struct crier_stop_seen *stop = life->ending ? &life->ending->stop : NULL;
	struct crier_stop *out = &data->stop;

	if (!stop || !stop->first_ns || life->death.oom ||
	    !crier_stop_is_recent(life, life->death.boottime_ns))
		return;
	out->signal = stop->first_signal;
	out->signal_name = crier_signal_name(stop->first_signal);
	out->result = stop->first_result == 1 ? "ignored" : "delivered";
	if (stop->sender_pid) {
		out->sender_pid = stop->sender_pid;
		out->sender_comm = crier_slice_bounded(stop->sender_comm, sizeof(stop->sender_comm));
	}
	if (life->container->grace_period_s != CRIER_UNKNOWN_U64)
		out->grace_period_s = life->container->grace_period_s;
	if (stop->last_signal == SIGKILL && stop->first_signal != SIGKILL) {
		out->escalated_to = SIGKILL;
		out->escalated_name = crier_signal_name(SIGKILL);
		out->after_ms = (stop->last_ns - stop->first_ns) / MS_NS;
	} else if (life->death.boottime_ns >= stop->first_ns) {
		out->after_ms = (life->death.boottime_ns - stop->first_ns) / MS_NS;
	}
}

static void fill_runtime(struct crier_data_exited *data, const struct crier_container *container)
{
	if (!runtime_has_answered(container))
		return;
	data->runtime.reason = container->runtime_reason;
	data->runtime.message = container->runtime_message;
	data->runtime.exit_code = container->runtime_exit_code;
	data->runtime.finished_at = container->finished_at_ns;
	if (data->exit_code == CRIER_UNKNOWN_I64)
		data->exit_code = container->runtime_exit_code;
}

static void fill_uptime(struct crier_data_exited *data, const struct crier_life *life)
{
	const struct crier_container *container = life->container;
	uint64_t began = container->running_ns ? container->running_ns : container->init_start_ns;

	if (began != CRIER_UNKNOWN_U64 && began && life->death.boottime_ns > began)
		data->uptime_ms = (life->death.boottime_ns - began) / MS_NS;
	else if (container->started_at_ns != CRIER_UNKNOWN_U64 &&
		 container->finished_at_ns != CRIER_UNKNOWN_U64 &&
		 container->finished_at_ns > container->started_at_ns)
		data->uptime_ms = (container->finished_at_ns - container->started_at_ns) / MS_NS;
}

static uint8_t severity_of(const struct crier_container *container, const struct crier_data_exited *data)
{
	if (container->type == CRIER_CONTAINER_TYPE_SANDBOX)
		return CRIER_SEVERITY_DEBUG;
	if (data->cause == CRIER_EXIT_CAUSE_OOM || data->cause == CRIER_EXIT_CAUSE_START_FAILED)
		return CRIER_SEVERITY_ERROR;
	bool asked_for = data->stop.signal != CRIER_UNKNOWN_U64 &&
			 (data->signal == CRIER_UNKNOWN_U64 || data->signal == data->stop.signal ||
			  data->signal == data->stop.escalated_to);

	if (asked_for) /* an escalation is worth a warning, an orderly end is not; a crash on the way is a crash */
		return data->stop.escalated_to != CRIER_UNKNOWN_U64 ? CRIER_SEVERITY_WARN
								    : CRIER_SEVERITY_INFO;
	if (data->cause == CRIER_EXIT_CAUSE_SIGNAL ||
	    (data->exit_code != 0 && data->exit_code != CRIER_UNKNOWN_I64))
		return CRIER_SEVERITY_ERROR;
	return data->exit_code == CRIER_UNKNOWN_I64 ? CRIER_SEVERITY_WARN : CRIER_SEVERITY_INFO;
}

void crier_death_set_slot(struct crier_pipeline *p, struct crier_life *life)
{
	const struct crier_container *container = life->container;
	const struct crier_last_death *last;
	struct crier_slot_death death;

	life->slot_pending = !container->pod || !container->pod->uid[0] || !container->name.len;
	if (life->slot_pending || !life->ending || !life->ending->last.died_ns)
		return;
	last = &life->ending->last;
	death = (struct crier_slot_death){
		.cause = last->cause,
		.exit_code = last->exit_code,
		.incident = last->incident,
		.seq = last->seq,
		.died_ns = last->died_ns,
		.exited_at = last->exited_at,
	};
	crier_copy_str(death.container_id, sizeof(death.container_id), crier_slice_of(container->id));
	(void)crier_index_slot_set(p->index, crier_slice_of(container->pod->uid), container->name, &death);
}

static void remember(struct crier_pipeline *p, struct crier_life *life, const struct crier_data_exited *data,
		     uint64_t incident, uint64_t seq)
{
	struct crier_container *container = life->container;

	uint64_t exited_at = life->death.boottime_ns + p->emit.unix_offset_ns;

	if (data->observed == CRIER_OBSERVED_AFTER_THE_FACT && container->finished_at_ns != CRIER_UNKNOWN_U64)
		exited_at = container->finished_at_ns;
	if (crier_life_ending(life))
		life->ending->last = (struct crier_last_death){
			.cause = data->cause,
			.exit_code = data->exit_code,
			.incident = incident,
			.seq = seq,
			.died_ns = life->death.boottime_ns,
			.exited_at = exited_at,
		};
	crier_death_set_slot(p, life);
	crier_copy_str(p->exited[p->exited_count++ % EXITED_TOLD_MAX], CRIER_ID_MAX,
		       crier_slice_of(container->id));
}

static void tell(struct crier_pipeline *p, struct crier_life *life, enum crier_observed observed)
{
	struct crier_container *container = life->container;
	struct crier_timeline_item timeline[CRIER_TIMELINE_MAX];
	struct crier_incident_fact fact = {
		.type = CRIER_TYPE_CONTAINER_EXITED,
		.key = life->death.key,
		.now_ns = life->death.boottime_ns,
		.is_init = true,
	};
	struct crier_incident *incident = crier_incident_join(&life->incidents, &p->incident_pool, &fact);
	struct crier_data_exited data;
	struct crier_event event;

	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_EXITED, life, life->death.boottime_ns);
	crier_data_init(CRIER_TYPE_CONTAINER_EXITED, &data);
	fill_kernel(&data, life);
	data.cause = observed == CRIER_OBSERVED_AFTER_THE_FACT ? (uint8_t)CRIER_EXIT_CAUSE_UNKNOWN
							       : (uint8_t)cause_of(p, life);
	if (observed == CRIER_OBSERVED_AFTER_THE_FACT)
		data.observed = CRIER_OBSERVED_AFTER_THE_FACT;
	fill_stop(&data, life);
	fill_runtime(&data, container);
	fill_uptime(&data, life);
	if (container->restart_count != CRIER_UNKNOWN_U64)
		data.restart_count = container->restart_count;
	data.timeline = timeline;
	data.timeline_count = crier_incident_timeline(incident, p->emit.unix_offset_ns, timeline);
	event.data = &data;
	event.severity = severity_of(container, &data);
	event.correlation.process = life->death.key;
	crier_incident_explain(incident, &fact, &event.correlation);

	uint64_t seq = crier_output(p, &event, CRIER_CLASS_CRITICAL, true);

	crier_incident_add(incident, &fact, seq);
	remember(p, life, &data, incident ? incident->id : CRIER_UNKNOWN_U64, seq);
}

void crier_death_finish(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;

	crier_doomed_settle(p); /* its init's own end may be waiting */
	life->dying_until_ns = 0;
	life->next_ask_ns = 0;
	crier_list_remove(&life->dying);
	if (life->exited_told)
		return;
	if (life->hold_until_ns)
		crier_life_settle(p, life);
	if (life->exited_told)
		return; /* what waited told it */
	if (life->want_snapshot && p->ready)
		crier_life_snapshot(p, life); /* that it was there, before that it ended */
	life->exited_told = true;
	if (life->death.from_runtime && container->finished_at_ns != CRIER_UNKNOWN_U64 &&
	    container->finished_at_ns > p->emit.unix_offset_ns) {
		/* the kernel's word was lost: it happened when the runtime says, not when the list came */
		life->death.boottime_ns = crier_min(container->finished_at_ns - p->emit.unix_offset_ns,
						    life->death.boottime_ns);
		container->died_ns = life->death.boottime_ns;
		tell(p, life, CRIER_OBSERVED_AFTER_THE_FACT);
	} else {
		tell(p, life, CRIER_OBSERVED_LIVE);
	}
	container->phase = CRIER_PHASE_CONTAINER_EXITED;
	crier_life_unset_init(p, life);
	crier_life_schedule(p, life);
	if (life->deleted_ns)
		crier_removed(p, life, CRIER_REMOVED_RUNTIME);
}

static bool is_predecessor(const struct crier_container *container, const struct crier_container *next)
{
	return container != next && container->pod == next->pod &&
	       crier_slice_equal(container->name, next->name);
}

/* Over a list of its own: to tell one death may end another's waiting. */
void crier_death_finish_slot(struct crier_pipeline *p, const struct crier_life *next)
{
	struct crier_list todo;

	if (!next->container->pod || !next->container->name.len)
		return;
	crier_list_move(&todo, &p->dying);
	while (!crier_list_is_empty(&todo)) {
		struct crier_life *life = crier_container_of(todo.next, struct crier_life, dying);

		crier_list_remove(&life->dying);
		crier_list_append(&p->dying, &life->dying);
		if (is_predecessor(life->container, next->container))
			crier_death_finish(p, life);
	}
}

static bool was_told_before(const struct crier_pipeline *p, const char *id)
{
	for (size_t i = 0; i < p->start.previous_exited_count; i++)
		if (strcmp(p->start.previous_exited[i], id) == 0)
			return true;
	return false;
}

/*
 * The runtime names a container as finished that was never seen alive: it died while crier was away, or before its cgroup
 * was ever made. Told once; what finished before the last run ended was told by that run.
 */
void crier_death_after_the_fact(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;
	/* what the last run had seen but not told when it was killed is younger than its last word by this at most */
	uint64_t untold_ns = (p->config->exit_wait_ms + p->config->hold_age_ms) * MS_NS + SECOND_NS;
	uint64_t since = p->start.previous_instance[0]
				 ? p->start.previous_ended_at - (p->start.previous_clean ? 0 : untold_ns)
				 : p->start.boottime_ns + p->start.unix_offset_ns;

	if (life->exited_told || life->dying_until_ns)
		return;
	life->exited_told = true;
	container->phase = CRIER_PHASE_CONTAINER_EXITED;
	life->want_snapshot = false;
	if (container->finished_at_ns == CRIER_UNKNOWN_U64 || container->finished_at_ns < since ||
	    was_told_before(p, container->id))
		return;
	life->death = (struct crier_death){
		.boottime_ns = container->finished_at_ns > p->emit.unix_offset_ns
				       ? container->finished_at_ns - p->emit.unix_offset_ns
				       : 0,
	};
	container->died_ns = life->death.boottime_ns;
	tell(p, life, CRIER_OBSERVED_AFTER_THE_FACT);
}

void crier_removed(struct crier_pipeline *p, struct crier_life *life, enum crier_removed_basis basis)
{
	struct crier_container *container = life->container;
	struct crier_data_removed data;
	struct crier_event event;
	struct crier_death death = {.boottime_ns = p->now_ns};

	if (life->removed_told)
		return;
	/* Gone without an end that was seen: tell the end first, with what is known. Never for one that ended before us. */
	if (!life->exited_told && container->phase < CRIER_PHASE_CONTAINER_EXITED) {
		if (!life->death.boottime_ns)
			life->death = death;
		crier_death_finish(p, life);
		if (life->removed_told)
			return; /* the stream's word had waited for the end */
	}
	life->removed_told = true;
	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_REMOVED, life, p->now_ns);
	if (container->type == CRIER_CONTAINER_TYPE_SANDBOX)
		event.severity = CRIER_SEVERITY_DEBUG;
	crier_data_init(CRIER_TYPE_CONTAINER_REMOVED, &data);
	data.basis = (uint8_t)basis;
	event.data = &data;
	(void)crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
	container->phase = CRIER_PHASE_CONTAINER_REMOVED;
	if (container->type == CRIER_CONTAINER_TYPE_SANDBOX && container->pod)
		crier_index_pod_gone(p->index, container->pod, p->now_ns); /* and with it its slots */
	crier_index_container_bury(p->index, container, p->now_ns);
}

void crier_removed_paced(struct crier_pipeline *p, struct crier_life *life)
{
	bool is_missing = crier_mail_is_missing(p, life); /* it may have been named since */

	life->want_removed = is_missing && !crier_life_has_room(p, life);
	if (is_missing && !life->want_removed)
		crier_removed(p, life, CRIER_REMOVED_RUNTIME);
}
