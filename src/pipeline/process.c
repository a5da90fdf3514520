/* SPDX-License-Identifier: Apache-2.0 */
/* Records whose subject is known become events: exec, fork, exit, signal, and a container's created and started. */
#include "internal.h"
#include "crier/names.h"

#include <signal.h>
#include <sys/wait.h>

struct crier_process_key crier_key_of(const struct crier_wire_task *task)
{
	return (struct crier_process_key){task->pid, task->start_boottime_ns};
}

/* A pid alone is no proof, it may be another's by now: the start must fit, as far as it is known. */
bool crier_is_init(const struct crier_container *container, const struct crier_wire_task *task)
{
	const struct crier_life *life = container ? container->life : NULL;
	uint64_t start_ns = task->start_boottime_ns;

	if (!life || container->init_pid != task->pid)
		return false;
	if (task->flags & CRIER_TASK_NO_START)
		return !life->exited_told; /* its name and its cgroup were the source's proof */
	if (container->init_start_ns == CRIER_UNKNOWN_U64)
		return start_ns <= life->init_stated_ns;
	if (life->init_by_ticks)
		start_ns -= start_ns % TICK_NS;
	return container->init_start_ns == start_ns;
}

uint8_t crier_role_of(const struct crier_subject *subject, const struct crier_wire_task *task)
{
	const struct crier_container *container = subject->container;

	if (!container || !subject->life)
		return CRIER_ROLE_NONE;
	if (crier_is_init(container, task))
		return CRIER_ROLE_INIT;
	/* before init executes, whoever is in the cgroup is the runtime at work (runc:[1:CHILD]) */
	if (container->phase < CRIER_PHASE_CONTAINER_RUNNING && !subject->life->may_run)
		return CRIER_ROLE_RUNTIME_HELPER;
	return CRIER_ROLE_MEMBER;
}

void crier_process_fill(struct crier_event *event, const struct crier_wire_task *task)
{
	struct crier_process *process = &event->process;

	process->pid = task->pid;
	if (task->tid != task->pid && task->tid)
		process->tid = task->tid;
	if (!(task->flags & CRIER_TASK_VALID))
		return; /* an old mark_victim(int) tells the pid only */
	if (task->vpid)
		process->vpid = task->vpid;
	if (task->parent_pid)
		process->parent_pid = task->parent_pid;
	process->comm = crier_slice_bounded((const char *)task->comm, CRIER_WIRE_COMM_LEN);
	if (!(task->flags & CRIER_TASK_NO_UID))
		process->user_id = task->uid;
	if (!(task->flags & CRIER_TASK_NO_START)) {
		process->start_boottime_ns = task->start_boottime_ns;
		event->correlation.process = crier_key_of(task);
	}
	if (task->parent_pid && task->parent_start_boottime_ns)
		event->correlation.parent =
			(struct crier_process_key){task->parent_pid, task->parent_start_boottime_ns};
}

void crier_process_actor(struct crier_pipeline *p, struct crier_event *event,
			 const struct crier_wire_task *task)
{
	struct crier_subject subject = crier_subject_of(p, task->cgroup_id);

	if (!(task->flags & CRIER_TASK_VALID))
		return;
	event->actor.pid = task->pid;
	event->actor.comm = crier_slice_bounded((const char *)task->comm, CRIER_WIRE_COMM_LEN);
	if (!(task->flags & CRIER_TASK_NO_START))
		event->actor.key = crier_key_of(task);
	if (!subject.container)
		return;
	event->actor.container_id = (struct crier_slice){subject.container->id, subject.container->id_len};
	event->actor.container_name = subject.container->name;
	if (subject.pod) {
		event->actor.pod_name = subject.pod->name;
		event->actor.pod_namespace = subject.pod->namespace_;
	}
}

void crier_process_begin(struct crier_pipeline *p, struct crier_event *event, enum crier_type type,
			 const struct crier_wire_header *header, const struct crier_subject *subject,
			 uint64_t wait_ns)
{
	crier_event_init(event, type);
	event->hook = header->hook;
	event->cpu = crier_cpu_of(header);
	event->boottime_ns = header->boottime_ns;
	event->cgroup.id = header->cgroup_id ? header->cgroup_id : CRIER_UNKNOWN_U64;
	crier_output_attribute(p, event, subject, wait_ns);
}

/* ---- exec ---- */

static bool is_secret(const struct crier_config *config, struct crier_slice name)
{
	char lower[256]; /* DB_PASSWORD= and --password= are the same secret */

	name.len = crier_min(name.len, sizeof(lower));
	for (size_t i = 0; i < name.len; i++)
		lower[i] =
			name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20) : name.ptr[i];
	name.ptr = lower;
	for (size_t i = 0; i < config->redact.count; i++)
		if (crier_pattern_match(config->redact.items[i], name))
			return true;
	return false;
}

/* Split NUL-separated arguments; the value of `--password=x`, and what follows `--password`, is hidden. */
static size_t split_args(const struct crier_config *config, struct crier_slice text, struct crier_slice *args,
			 size_t max)
{
	size_t count = 0;
	bool hide_next = false;

	while (text.len && count < max) {
		const char *end = memchr(text.ptr, '\0', text.len);
		struct crier_slice arg = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
		const char *equals = memchr(arg.ptr, '=', arg.len);
		struct crier_slice name = {arg.ptr, equals ? (size_t)(equals - arg.ptr) : arg.len};
		bool secret = is_secret(config, name);

		text.ptr += arg.len + (end ? 1 : 0);
		text.len -= arg.len + (end ? 1 : 0);
		if (hide_next || (secret && equals))
			arg = CRIER_SLICE("[redacted]");
		hide_next = secret && !equals && arg.len && arg.ptr[0] == '-';
		args[count++] = arg;
	}
	return count;
}

void crier_process_started(struct crier_pipeline *p, struct crier_life *life,
			   const struct crier_wire_header *header, const struct crier_wire_task *task,
			   struct crier_slice filename)
{
	struct crier_container *container = life->container;
	struct crier_pod *pod = container->pod;
	struct crier_data_started data;
	struct crier_event event;

	crier_death_finish_slot(p, life);
	life->started_told = true;
	container->phase = CRIER_PHASE_CONTAINER_RUNNING;
	container->running_ns = header->boottime_ns;
	if (container->started_at_ns ==
	    CRIER_UNKNOWN_U64) { /* the runtime says its own once it is asked again */
		container->started_at_ns = header->boottime_ns + p->emit.unix_offset_ns;
		container->version++;
	}
	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_STARTED, life, header->boottime_ns);
	event.hook = header->hook;
	event.cpu = crier_cpu_of(header);
	if (task->pid) {
		crier_process_fill(&event, task);
		event.process.role = CRIER_ROLE_INIT;
	}
	crier_data_init(CRIER_TYPE_CONTAINER_STARTED, &data);
	data.filename = filename;
	if (container->created_ns && header->boottime_ns > container->created_ns)
		data.start_delay_ms = (header->boottime_ns - container->created_ns) / MS_NS;

	const struct crier_slot_death *death =
		pod && container->name.len
			? crier_index_slot(p->index, crier_slice_of(pod->uid), container->name)
			: NULL;

	if (death) {
		data.previous.container_id = crier_slice_of(death->container_id);
		data.previous.cause = death->cause;
		data.previous.exit_code = death->exit_code;
		data.previous.incident = death->incident;
		data.previous.exited_at = death->exited_at;
		data.restarts_1h = death->restarts_1h;
		event.correlation.causes[event.correlation.cause_count++] = (struct crier_cause){
			.seq = death->seq,
			.kind = CRIER_TYPE_CONTAINER_EXITED,
			.basis = CRIER_BASIS_SAME_SLOT,
			.filtered = death->seq == CRIER_UNKNOWN_U64,
			.delta_ms = header->boottime_ns > death->died_ns
					    ? (header->boottime_ns - death->died_ns) / MS_NS
					    : 0,
		};
	}
	event.data = &data;
	(void)crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
}

static void process_exec(struct crier_pipeline *p, const struct crier_decoded *d,
			 const struct crier_subject *subject, uint64_t wait_ns)
{
	struct crier_life *life = subject->life;
	struct crier_slice args[64];
	struct crier_data_exec data;
	struct crier_event event;

	if (life && !life->started_told && !life->preexisting &&
	    crier_is_init(subject->container, &d->exec->task))
		crier_process_started(p, life, d->header, &d->exec->task, d->filename);
	crier_process_begin(p, &event, CRIER_TYPE_PROCESS_EXEC, d->header, subject, wait_ns);
	crier_process_fill(&event, &d->exec->task);
	event.process.role = crier_role_of(subject, &d->exec->task);
	event.process.executable_path = d->filename;
	crier_data_init(CRIER_TYPE_PROCESS_EXEC, &data);
	data.filename = d->filename;
	data.args_count = d->exec->args_count;
	if (d->exec->flags & CRIER_EXEC_FILENAME_CUT)
		event.cut_at_source[0] = "data.filename";
	if (d->exec->flags & CRIER_EXEC_ARGS_CUT)
		event.cut_at_source[1] = "data.args";
	if (d->args.len) {
		data.args = args;
		data.args_kept = split_args(p->config, d->args, args, CRIER_ARRAY_SIZE(args));
	}
	event.data = &data;
	(void)crier_output(p, &event, d->header->ring, false);
}

static void process_fork(struct crier_pipeline *p, const struct crier_decoded *d,
			 const struct crier_subject *subject, uint64_t wait_ns)
{
	struct crier_data_fork data;
	struct crier_event event;

	crier_process_begin(p, &event, CRIER_TYPE_PROCESS_FORK, d->header, subject, wait_ns);
	crier_process_fill(&event, &d->fork->child);
	crier_process_actor(p, &event, &d->fork->parent);
	event.process.role = crier_role_of(subject, &d->fork->child);
	crier_data_init(CRIER_TYPE_PROCESS_FORK, &data);
	data.child_pid = d->fork->child.pid;
	event.data = &data;
	(void)crier_output(p, &event, d->header->ring, false);
}

/* ---- exit ---- */

static void fill_exit(struct crier_data_exit *data, const struct crier_wire_exit *exit, bool is_init)
{
	uint64_t start = exit->task.start_boottime_ns;

	crier_data_init(CRIER_TYPE_PROCESS_EXIT, data);
	if (WIFSIGNALED((int)exit->status)) {
		data->signal = (uint64_t)WTERMSIG((int)exit->status);
		data->signal_name = crier_signal_name((unsigned)data->signal);
		data->core_dumped = WCOREDUMP((int)exit->status) != 0;
	} else {
		data->exit_code = WEXITSTATUS((int)exit->status);
	}
	data->oom_killed = (exit->flags & CRIER_EXIT_OOM) != 0;
	data->container_init = is_init;
	if (start && exit->header.boottime_ns >= start)
		data->duration_ms = (exit->header.boottime_ns - start) / MS_NS;
	data->user_us = exit->user_ns / 1000;
	data->system_us = exit->system_ns / 1000;
	if (exit->cpu_ns)
		data->cpu_us = exit->cpu_ns / 1000;
	if (exit->peak_rss_bytes) {
		data->peak_rss_bytes = exit->peak_rss_bytes;
		if (exit->flags & CRIER_EXIT_PEAK_MIXED)
			data->peak_rss_includes_pre_exec = 1;
	}
}

static void init_ended(struct crier_pipeline *p, struct crier_life *life, const struct crier_wire_exit *exit)
{
	struct crier_death death = {
		.boottime_ns = exit->header.boottime_ns,
		.key = crier_key_of(&exit->task),
		.status = exit->status,
		.by_init = true,
		.executed = (exit->task.flags & CRIER_TASK_EXECED) != 0,
		.oom = (exit->flags & CRIER_EXIT_OOM) != 0,
	};

	crier_death_begin(p, life, &death);
}

struct init_search {
	struct crier_pipeline *p;
	const struct crier_wire_exit *exit;
};

static bool find_init(void *ctx, struct crier_container *container)
{
	struct init_search *search = ctx;

	if (container->init_start_ns == CRIER_UNKNOWN_U64 || !crier_is_init(container, &search->exit->task))
		return true;
	init_ended(search->p, container->life, search->exit);
	return false;
}

void crier_process_exit(struct crier_pipeline *p, const struct crier_decoded *d, struct crier_subject subject,
			uint64_t wait_ns)
{
	const struct crier_wire_exit *exit = d->exit;
	struct crier_life *life = subject.life;
	bool is_init = crier_is_init(subject.container, &exit->task);
	struct crier_incident_fact fact = {
		.type = CRIER_TYPE_PROCESS_EXIT,
		.key = crier_key_of(&exit->task),
		.now_ns = d->header->boottime_ns,
		.signal = exit->status & 0x7f,
		.is_init = is_init,
	};
	struct crier_incident *incident = NULL;
	struct crier_data_exit data;
	struct crier_event event;
	uint64_t seq;

	crier_process_begin(p, &event, CRIER_TYPE_PROCESS_EXIT, d->header, &subject, wait_ns);
	crier_process_fill(&event, &exit->task);
	event.process.role = crier_role_of(&subject, &exit->task);
	fill_exit(&data, exit, is_init);
	if (data.signal != CRIER_UNKNOWN_U64)
		event.severity = CRIER_SEVERITY_WARN;
	event.data = &data;

	/* A death is an init's end, or any end by a signal; a worker's exit code is its own affair. */
	if (life)
		incident = is_init || fact.signal
				   ? crier_incident_join(&life->incidents, &p->incident_pool, &fact)
				   : crier_incident_find(&life->incidents, &fact);
	else if (exit->flags & CRIER_EXIT_OOM)
		incident = crier_incident_find(&p->node_incidents, &fact);
	crier_incident_explain(incident, &fact, &event.correlation);
	seq = crier_output(p, &event, d->header->ring, false);
	crier_incident_add(incident, &fact, seq);
	if (is_init)
		init_ended(p, life, exit);
	else if (exit->task.flags & CRIER_TASK_KNOWN_INIT) /* it ended outside of its container's cgroup */
		crier_index_each(p->index, find_init, &(struct init_search){p, exit});
}

/* ---- signal ---- */

static uint8_t result_of(uint32_t result)
{
	switch (result) {
	case 0: return CRIER_SIGNAL_RESULT_DELIVERED;
	case 1: return CRIER_SIGNAL_RESULT_IGNORED;
	case 2: return CRIER_SIGNAL_RESULT_PENDING;
	default: return CRIER_SIGNAL_RESULT_OTHER;
	}
}

static void note_stop(struct crier_life *life, const struct crier_decoded *d)
{
	const struct crier_wire_signal *signal = d->signal;
	struct crier_ending *ending = crier_life_ending(life);
	struct crier_stop_seen *stop = ending ? &ending->stop : NULL;

	if (!stop)
		return;
	if (stop->first_ns && !crier_stop_is_recent(life, d->header->boottime_ns))
		*stop = (struct crier_stop_seen){0}; /* that one was over long ago */
	if (!stop->first_ns) {
		stop->first_ns = d->header->boottime_ns;
		stop->first_signal = signal->signal;
		stop->first_result = signal->result;
		if (signal->flags & CRIER_SIGNAL_FROM_PROCESS) {
			stop->sender_pid = signal->sender.pid;
			memcpy(stop->sender_comm, signal->sender.comm, sizeof(stop->sender_comm));
		}
	}
	stop->last_ns = d->header->boottime_ns;
	stop->last_signal = signal->signal;
}

/* The runtime's start returns before init has executed its program: a signal may reach it while it is still the runtime's. */
static bool is_or_becomes_init(const struct crier_container *container, const struct crier_wire_task *target)
{
	if (container && container->init_pid == CRIER_UNKNOWN_U64 &&
	    container->phase < CRIER_PHASE_CONTAINER_RUNNING && (target->flags & CRIER_TASK_NS_INIT))
		return true;
	return crier_is_init(container, target);
}

static void process_signal(struct crier_pipeline *p, const struct crier_decoded *d,
			   const struct crier_subject *subject, uint64_t wait_ns)
{
	const struct crier_wire_signal *signal = d->signal;
	struct crier_life *life = subject->life;
	bool is_init = is_or_becomes_init(subject->container, &signal->target);
	bool from_process = signal->flags & CRIER_SIGNAL_FROM_PROCESS;
	bool from_outside =
		from_process && crier_subject_of(p, signal->sender.cgroup_id).container != subject->container;
	bool is_stop = is_init && from_outside && (signal->flags & CRIER_SIGNAL_STOP_INIT);
	struct crier_incident_fact fact = {
		.type = CRIER_TYPE_PROCESS_SIGNAL,
		.key = crier_key_of(&signal->target),
		.now_ns = d->header->boottime_ns,
		.signal = signal->signal,
		.is_init = is_init,
		.is_stop = is_stop,
		.from_kernel = !from_process,
	};
	struct crier_incident *incident = NULL;
	struct crier_data_signal data;
	struct crier_event event;
	uint64_t seq;

	crier_process_begin(p, &event, CRIER_TYPE_PROCESS_SIGNAL, d->header, subject, wait_ns);
	crier_process_fill(&event, &signal->target);
	event.process.role = crier_role_of(subject, &signal->target);
	if (from_process)
		crier_process_actor(p, &event, &signal->sender);
	crier_data_init(CRIER_TYPE_PROCESS_SIGNAL, &data);
	data.signal = signal->signal;
	data.signal_name = crier_signal_name(signal->signal);
	data.code = signal->code;
	data.result = result_of(signal->result);
	data.fatal = (signal->flags & CRIER_SIGNAL_FATAL) != 0;
	data.stop = is_stop;
	data.sender = from_process ? "process" : "kernel";
	event.data = &data;
	if (data.fatal && !is_stop)
		event.severity = CRIER_SEVERITY_WARN;
	if (is_stop)
		note_stop(life, d);
	if (life && (data.fatal || is_stop) && subject->container->phase < CRIER_PHASE_CONTAINER_EXITED)
		incident = crier_incident_join(&life->incidents, &p->incident_pool, &fact);
	crier_incident_explain(incident, &fact, &event.correlation);
	seq = crier_output(p, &event, d->header->ring, false);
	crier_incident_add(incident, &fact, seq);
}

/* ---- cgroup lifecycle ---- */

void crier_process_created(struct crier_pipeline *p, struct crier_life *life,
			   const struct crier_wire_header *header)
{
	struct crier_data_created data;
	struct crier_event event;

	life->created_told = true;
	crier_output_begin(p, &event, CRIER_TYPE_CONTAINER_CREATED, life, header->boottime_ns);
	event.hook = header->hook;
	event.cpu = crier_cpu_of(header);
	crier_data_init(CRIER_TYPE_CONTAINER_CREATED, &data);
	data.cgroup_path = event.cgroup.path;
	event.data = &data;
	(void)crier_output(p, &event, CRIER_CLASS_CRITICAL, true);
}

static void process_lifecycle(struct crier_pipeline *p, const struct crier_decoded *d,
			      const struct crier_subject *subject)
{
	struct crier_life *life = subject->life;
	struct crier_death death = {.boottime_ns = d->header->boottime_ns};

	if (!life || subject->cgroup != life->cgroup || subject->cgroup->id != d->header->cgroup_id)
		return; /* pods, QoS directories and what a container makes inside itself have no line of their own */
	switch (d->header->type) {
	case CRIER_WIRE_CGROUP_MKDIR:
		subject->container->created_ns = d->header->boottime_ns;
		if (!life->preexisting && !life->created_told) /* else its snapshot tells that it is there */
			crier_process_created(p, life, d->header);
		break;
	case CRIER_WIRE_CGROUP_POPULATED:
		if (d->populated->populated) {
			crier_death_undo(p, life);
			crier_unseen_populated(p, life);
		} else if (!crier_death_init_lives(p, life)) {
			crier_death_begin(p, life, &death);
		}
		break;
	case CRIER_WIRE_CGROUP_RMDIR:
		crier_death_begin(p, life, &death);
		life->cgroup = NULL;
		if (!p->cri_enabled)
			crier_removed(p, life, CRIER_REMOVED_CGROUP);
		break;
	default: break;
	}
}

void crier_process_record(struct crier_pipeline *p, const struct crier_decoded *d,
			  struct crier_subject subject, uint64_t wait_ns)
{
	switch (d->header->type) {
	case CRIER_WIRE_EXEC: process_exec(p, d, &subject, wait_ns); break;
	case CRIER_WIRE_FORK: process_fork(p, d, &subject, wait_ns); break;
	case CRIER_WIRE_EXIT:
		if (!crier_doomed_waits(p, d, wait_ns))
			crier_process_exit(p, d, subject, wait_ns);
		break;
	case CRIER_WIRE_SIGNAL: process_signal(p, d, &subject, wait_ns); break;
	case CRIER_WIRE_OOM: crier_oom_record(p, d, subject, wait_ns); break;
	default: process_lifecycle(p, d, &subject); break;
	}
}
