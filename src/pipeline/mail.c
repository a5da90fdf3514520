/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime tells: merged into the index, it settles what waits, mends what left partial, and ends what died. */
#include "internal.h"

void crier_mail_named(struct crier_pipeline *p, struct crier_life *life)
{
	crier_unseen(p, life);
	crier_mend_life(p, life);
	if (life->slot_pending && crier_container_is_identified(life->container))
		crier_death_set_slot(p, life);
}

struct crier_life *crier_mail_life(struct crier_pipeline *p, struct crier_slice id)
{
	struct crier_container *container = crier_index_container(p->index, id);

	return container ? container->life : NULL;
}

struct crier_pod *crier_mail_merge_pod(struct crier_pipeline *p, const struct crier_meta_pod *meta,
				       enum crier_source source)
{
	struct crier_pod *pod;

	if (!meta->sandbox_id.len && !meta->uid.len)
		return NULL;
	if (crier_index_pod_add(p->index, meta->sandbox_id, meta->uid, &pod) < 0)
		return NULL;
	(void)crier_index_merge_pod(p->index, pod, meta, source,
				    (const char *const *)p->config->labels.items);
	return pod;
}

/* The runtime's word on the init's pid has consequences: the kernel is told, and another pid's start time is forgotten. */
static void take_pid(struct crier_pipeline *p, struct crier_life *life, uint64_t pid_before)
{
	uint64_t pid = life->container->init_pid;

	if (pid == pid_before || pid > UINT32_MAX)
		return;
	life->container->init_pid = pid_before;
	crier_life_set_init(p, life, (uint32_t)pid, CRIER_UNKNOWN_U64, false);
}

/* A container's own answer names its pod by uid and name, even when the pod's own answer did not come along. */
void crier_mail_merge_container(struct crier_pipeline *p, struct crier_life *life,
				const struct crier_meta_message *message, enum crier_source source)
{
	const struct crier_meta_container *meta = &message->container;
	struct crier_meta_pod from_labels;
	struct crier_pod *pod;

	if (message->pod.sandbox_id.len) {
		pod = crier_mail_merge_pod(p, &message->pod, source);
	} else {
		from_labels = message->pod; /* all absent */
		from_labels.sandbox_id = meta->sandbox_id;
		from_labels.uid = meta->pod_uid;
		from_labels.name = meta->pod_name;
		from_labels.namespace_ = meta->pod_namespace;
		pod = crier_mail_merge_pod(p, &from_labels, source);
	}
	if (pod)
		crier_index_container_set_pod(p->index, life->container, pod);
	uint64_t pid_before = life->container->init_pid;

	(void)crier_index_merge_container(p->index, life->container, meta, source);
	life->cri_known = true;
	take_pid(p, life, pid_before);
}

void crier_mail_merge_sandbox(struct crier_pipeline *p, struct crier_life *life, struct crier_pod *pod,
			      const struct crier_meta_pod *meta, enum crier_source source)
{
	struct crier_container *container = life->container;

	container->type = CRIER_CONTAINER_TYPE_SANDBOX;
	crier_index_container_set_pod(p->index, container, pod);
	container->source = crier_max(container->source, (uint8_t)source);
	container->version++;
	life->cri_known = true;
	if (meta->pid != CRIER_UNKNOWN_U64 && container->init_pid != meta->pid)
		crier_life_set_init(p, life, (uint32_t)meta->pid, CRIER_UNKNOWN_U64, false);
}

static bool is_seen_alive(const struct crier_life *life)
{
	return life->started_told || life->preexisting || life->cgroup || life->death.boottime_ns;
}

static void answered(struct crier_pipeline *p, struct crier_life *life, bool ended)
{
	crier_life_heard(p, life, ASK_ANSWERED, true);
	life->answered_ns = p->now_ns;
	life->next_ask_ns = 0;
	p->cri_answered++;
	if (life->hold_until_ns && crier_container_is_identified(life->container))
		crier_life_settle(p, life);
	else if (life->hold_until_ns) /* an answer without a name: ask again, it may be young */
		life->next_ask_ns = p->now_ns + ASK_BACKOFF_FIRST_NS;
	crier_mail_named(p, life);
	if (ended && life->dying_until_ns)
		crier_death_finish(p, life);
	else if (ended && !is_seen_alive(life))
		crier_death_after_the_fact(p, life);
	else if (life->dying_until_ns || crier_unseen_waits(p, life))
		life->next_ask_ns = p->now_ns + crier_life_backoff(life);
	if (life->want_snapshot && p->ready && !life->hold_until_ns)
		crier_life_snapshot_paced(p, life);
	crier_life_schedule(p, life);
}

/* Told as removed, and here it is: a list was older than it looked. Its lines go on; what was told is told. */
static void revive(struct crier_pipeline *p, struct crier_life *life)
{
	if (!life->removed_told || life->deleted_ns >= crier_max(p->list_began_ns, 1ULL))
		return; /* its end is younger than the list */
	life->removed_told = false;
	life->deleted_ns = 0;
	if (life->container->pod)
		crier_index_pod_revive(p->index, life->container->pod);
	crier_index_container_revive(p->index, life->container);
	if (life->cgroup && !life->exited_told)
		life->container->phase = CRIER_PHASE_CONTAINER_RUNNING;
}

static void mail_container(struct crier_pipeline *p, const struct crier_meta_message *message)
{
	bool listed = message->generation != 0;
	bool exited = message->container.state == CRIER_STATE_EXITED;
	struct crier_life *life = crier_mail_life(p, message->container.id);

	if (!life && !listed)
		return; /* forgotten meanwhile */
	if (!life)
		life = crier_life_get(p, message->container.id);
	if (!life)
		return; /* table full: counted there */
	crier_mail_merge_container(p, life, message, listed ? CRIER_SOURCE_CRI_LIST : CRIER_SOURCE_CRI);
	if (!listed) {
		answered(p, life, exited);
		return;
	}
	life->generation = message->generation;
	life->lists_missed = 0;
	life->answered_ns = p->now_ns;
	if (!exited)
		revive(p, life);
	if (exited && is_seen_alive(life) && !life->exited_told && !life->dying_until_ns) {
		/* the kernel's word was lost or never came: the runtime's has to do */
		struct crier_death death = {.boottime_ns = p->now_ns, .from_runtime = true};

		life->container->cri_state = CRIER_STATE_UNKNOWN; /* until its full status says so */
		crier_death_begin(p, life, &death);
	} else if (life->ask != ASK_ANSWERED && life->ask != ASK_WAITING && !life->exited_told) {
		crier_life_ask(p, life);
	} else if (life->ask == ASK_WAITING &&
		   p->now_ns - life->asked_ns > 2 * p->config->cri_timeout_ms * MS_NS) {
		crier_life_ask(p, life);
	}
	crier_mail_named(p, life);
}

static void mail_pod(struct crier_pipeline *p, const struct crier_meta_message *message)
{
	bool listed = message->generation != 0;
	bool gone = message->pod.ready == 0;
	enum crier_source source = listed ? CRIER_SOURCE_CRI_LIST : CRIER_SOURCE_CRI;
	struct crier_pod *pod = crier_mail_merge_pod(p, &message->pod, source);
	struct crier_life *life = crier_mail_life(p, message->pod.sandbox_id);

	if (pod && listed)
		pod->generation = message->generation;
	if (!pod || !life)
		return; /* a sandbox without a cgroup of its own has no events */
	crier_mail_merge_sandbox(p, life, pod, &message->pod, source);
	life->answered_ns = p->now_ns;
	if (listed) {
		life->generation = message->generation;
		life->lists_missed = 0;
		crier_mail_named(p, life);
	} else {
		answered(p, life, gone);
	}
}

static void mail_missing(struct crier_pipeline *p, const struct crier_meta_message *message)
{
	struct crier_life *life = crier_mail_life(p, message->id);
	uint64_t backoff_ns;

	p->cri_missing++;
	p->cri_silent |= message->status == CRIER_META_TIMEOUT;
	if (!life)
		return;
	crier_life_heard(p, life, ASK_MISSING,
			 message->status != CRIER_META_TIMEOUT && message->status != CRIER_META_UNAVAILABLE);
	life->missing = (uint8_t)message->status;
	backoff_ns = crier_life_backoff(life);
	if (life->dying_until_ns && message->status == CRIER_META_NOT_FOUND) {
		crier_death_finish(p, life); /* removed already: nothing more will be said */
	} else if (life->dying_until_ns) {
		life->next_ask_ns = p->now_ns + backoff_ns;
	} else if (life->hold_until_ns && message->status == CRIER_META_NOT_FOUND) {
		if (crier_container_is_identified(life->container))
			crier_life_settle(p, life);
		else
			life->next_ask_ns = p->now_ns + backoff_ns;
	} else if (life->hold_until_ns && message->status != CRIER_META_TIMEOUT && !life->next_look_ns) {
		crier_life_settle(p, life);
	} else if (crier_unseen_waits(p, life)) {
		life->next_ask_ns = p->now_ns + backoff_ns;
	}
	if (!life->next_ask_ns && (!life->hold_until_ns || message->status == CRIER_META_TIMEOUT))
		crier_life_ask_later(p, life);
	crier_life_schedule(p, life);
}

/* Of a cgroup that was there before crier nothing was told yet: then the cgroup itself says. */
bool crier_mail_is_peopled(struct crier_pipeline *p, const struct crier_life *life)
{
	const struct crier_cgroup *cgroup = life->cgroup;
	const char *root = p->start.layout.primary_root;
	struct crier_slice text;
	uint64_t populated;

	if (!cgroup || cgroup->removed_ns || cgroup->populated != CRIER_UNKNOWN_BOOL || !cgroup->path)
		return cgroup && cgroup->populated == 1;
	if (!p->start.layout.primary_is_v2)
		return crier_read_file(p, root, cgroup->path, "cgroup.procs", &text) && text.len > 0;
	return crier_read_file(p, root, cgroup->path, "cgroup.events", &text) &&
	       crier_text_number(text, "populated", &populated) && populated == 1;
}

struct sweep {
	struct crier_pipeline *p;
	uint64_t generation;
};

/* Made, or named, since the list began: it need not be in it. */
bool crier_mail_is_missing(const struct crier_pipeline *p, const struct crier_life *life)
{
	return life->generation != p->list_generation && life->container->created_ns < p->list_began_ns &&
	       life->answered_ns < p->list_began_ns;
}

static bool sweep_one(void *ctx, struct crier_container *container)
{
	struct sweep *sweep = ctx;
	struct crier_life *life = container->life;

	if (!life || life->removed_told || container->phase == CRIER_PHASE_CONTAINER_REMOVED)
		return true;
	if (!crier_mail_is_missing(sweep->p, life))
		return true;
	if (!life->cri_known && life->cgroup)
		return true;
	/* one list that misses a living container is no proof, and processes in its cgroup are proof of the contrary */
	life->lists_missed++;
	if (!life->exited_told && (life->lists_missed < 2 || crier_mail_is_peopled(sweep->p, life)))
		return true;
	crier_removed_paced(sweep->p, life);
	return true;
}

static bool sweep_pod(void *ctx, struct crier_pod *pod)
{
	struct sweep *sweep = ctx;

	if (pod->generation && pod->generation != sweep->generation)
		crier_index_pod_gone(sweep->p->index, pod, sweep->p->now_ns);
	return true;
}

static void mail_runtime(struct crier_pipeline *p, const struct crier_meta_message *message)
{
	bool is_news = !p->cri_up || p->cri_stream != message->runtime.stream;

	p->cri_up = true;
	p->cri_stream = (uint8_t)message->runtime.stream;
	p->cri_down = p->cri_silent = false;
	(void)crier_index_set_runtime(p->index, message->runtime.name, message->runtime.version);
	if (is_news && p->cri_stream == CRIER_STREAM_BROKEN)
		crier_report_health(
			p, "cri", "degraded", message->error,
			CRIER_SLICE(
				"answers and lists go on, the stream is opened again; if this comes back look at the runtime's log, or set --cri-events off"));
	else if (is_news)
		crier_report_health(p, "cri", "ok", CRIER_SLICE_NONE, CRIER_SLICE_NONE);
}

static void mail_down(struct crier_pipeline *p, const struct crier_meta_message *message)
{
	p->cri_up = false;
	p->cri_stream = CRIER_STREAM_UNKNOWN;
	p->cri_down = true;
	crier_report_health(
		p, "cri", "down", message->error,
		CRIER_SLICE(
			"events go on with container id, pod uid and what the bundle says; check the runtime and --cri-socket"));
	struct crier_list todo;

	crier_list_move(&todo, &p->busy);
	while (!crier_list_is_empty(&todo)) {
		struct crier_life *life = crier_container_of(todo.next, struct crier_life, busy);

		crier_list_remove(&life->busy);
		crier_list_append(&p->busy, &life->busy);
		if (life->dying_until_ns)
			crier_death_finish(p, life);
		else if (life->hold_until_ns && !life->next_look_ns)
			crier_life_settle(p, life); /* nothing better can come soon */
	}
}

void crier_mail(struct crier_pipeline *p, const void *bytes, size_t len)
{
	struct crier_meta_message *message = &p->message;

	if (crier_meta_decode(bytes, len, message) < 0) {
		p->invalid++;
		return;
	}
	switch (message->type) {
	case CRIER_META_RUNTIME: mail_runtime(p, message); break;
	case CRIER_META_DOWN: mail_down(p, message); break;
	case CRIER_META_POD: mail_pod(p, message); break;
	case CRIER_META_CONTAINER: mail_container(p, message); break;
	case CRIER_META_MISSING: mail_missing(p, message); break;
	case CRIER_META_LIST_BEGIN:
		p->list_generation = message->generation;
		p->list_began_ns = p->now_ns;
		break;
	case CRIER_META_EVENT:
		p->cri_silent = false;
		crier_happen(p);
		break;
	case CRIER_META_LIST_END:
		p->cri_events_skipped += message->skipped;
		p->cri_silent = false;
		if (message->generation == p->list_generation) {
			struct sweep sweep = {p, message->generation};

			crier_index_each(p->index, sweep_one, &sweep);
			crier_index_pods_each(p->index, sweep_pod, &sweep);
		}
		break;
	default: break;
	}
}
