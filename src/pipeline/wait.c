/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking and waiting. A container's events wait in its own queue while something better than what is known can be
 * expected soon; nobody else's do.
 *
 *   what is known      waits at most        and not at all while
 *   no name            --hold-age           the runtime is off or down, or owes an answer for longer than that;
 *                                           a log folder without its link is worth the wait all the same
 *   the pod's name     --hold-named-age     the same, or it is not connected yet, or its last answer took longer than that
 *   a sandbox's name   not at all           (the runtime knows a sandbox only once RunPodSandbox is done)
 */
#include "internal.h"

#define LOOK_FIRST_NS	  (10 * MS_NS)
#define LOOKS_MAX	  11 /* after twice as long each time: 20 s in all, when a slow start is over */
#define ASKS_MAX	  16 /* of one container without a name; then the periodic list has to do */
#define ASK_LATER_LAST_NS (30 * SECOND_NS)
#define UNANSWERED_TIMEOUTS                                                                                  \
	8 /* time-outs until a question is given up that nobody answered: the client answers within 6 */

static void give_up_asking(struct crier_pipeline *p, struct crier_life *life)
{
	life->missing = CRIER_META_TIMEOUT;
	crier_life_heard(p, life, ASK_MISSING, false);
	crier_life_ask_later(p, life);
	p->cri_silent = true;
}

/* How long the oldest question has been without an answer. */
static uint64_t silence_ns(struct crier_pipeline *p)
{
	uint64_t limit_ns = UNANSWERED_TIMEOUTS * p->config->cri_timeout_ms * MS_NS;

	while (!crier_list_is_empty(&p->unanswered)) {
		struct crier_life *life = crier_container_of(p->unanswered.next, struct crier_life, asked);
		uint64_t since_ns = p->now_ns - life->asked_ns;

		if (since_ns <= limit_ns)
			return since_ns;
		give_up_asking(p, life);
	}
	return 0;
}

void crier_life_ask(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;
	enum crier_cri_question question = container->type == CRIER_CONTAINER_TYPE_SANDBOX ? CRIER_CRI_SANDBOX
					   : container->type != CRIER_CONTAINER_TYPE_UNKNOWN
						   ? CRIER_CRI_CONTAINER
						   : CRIER_CRI_UNKNOWN;

	/* who is only in a list has no events that wait; thousands of them must not keep others waiting */
	bool urgent = life->cgroup || life->dying_until_ns;

	life->next_ask_ns = 0;
	if (p->cri_enabled) {
		p->host.ask(p->host.ctx, question, crier_slice_of(container->id), urgent);
		p->cri_asked++;
		life->ask = ASK_WAITING;
		life->asks++;
		life->asked_ns = p->now_ns;
		crier_list_remove(&life->asked);
		if (urgent)
			crier_list_append(&p->unanswered, &life->asked);
	}
	crier_life_schedule(p, life);
}

void crier_life_ask_soon(struct crier_pipeline *p, struct crier_life *life)
{
	life->asks = 0;
	life->next_ask_ns = p->now_ns + ASK_BACKOFF_FIRST_NS;
	crier_life_schedule(p, life);
}

static void ask_after_a_pause(struct crier_pipeline *p, struct crier_life *life)
{
	life->next_ask_ns =
		p->now_ns + crier_min(ASK_BACKOFF_FIRST_NS << crier_min(life->asks, 20u), ASK_LATER_LAST_NS);
}

void crier_life_ask_later(struct crier_pipeline *p, struct crier_life *life)
{
	if (life->asks >= ASKS_MAX || crier_container_is_identified(life->container))
		return;
	bool is_living = life->container->phase < CRIER_PHASE_CONTAINER_ENDING;

	/* its lines can be mended after its end too, while the runtime still has it: as soon as that speaks again */
	if (life->missing == CRIER_META_TIMEOUT)
		crier_list_append(&p->unheard, &life->asked);
	else if (is_living && life->missing != CRIER_META_UNAVAILABLE)
		ask_after_a_pause(p, life); /* of one that is down, the list that follows its return */
}

/* The runtime was silent and speaks: whom it was asked about in vain is asked about again. */
static void ask_again(struct crier_pipeline *p)
{
	while (!crier_list_is_empty(&p->unheard)) {
		struct crier_life *life = crier_container_of(p->unheard.next, struct crier_life, asked);

		crier_list_remove(&life->asked);
		if (crier_container_is_identified(life->container))
			continue; /* a list has named it meanwhile */
		ask_after_a_pause(p, life);
		crier_life_schedule(p, life);
	}
}

void crier_life_heard(struct crier_pipeline *p, struct crier_life *life, enum crier_ask_state state,
		      bool is_answer)
{
	if (is_answer && life->ask == ASK_WAITING)
		p->cri_answer_ns = p->now_ns - life->asked_ns;
	life->ask = (uint8_t)state;
	crier_list_remove(&life->asked);
	if (is_answer) {
		p->cri_silent = false;
		ask_again(p);
	}
}

bool crier_life_is_silent(struct crier_pipeline *p, uint64_t age_ns)
{
	return p->cri_silent || silence_ns(p) > age_ns;
}

/* Ask the node's files for what is unset; and again a little later, as often as that may help. */
static void look(struct crier_pipeline *p, struct crier_life *life)
{
	bool later = crier_source_fill(&p->sources, life->container, p->now_ns, life->looks > 0);

	life->next_look_ns =
		later && life->looks < LOOKS_MAX ? p->now_ns + (LOOK_FIRST_NS << life->looks) : 0;
	life->looks++;
}

/* How long it is worth waiting for more of the runtime than is known now. */
static uint64_t patience_with_runtime_ns(struct crier_pipeline *p, const struct crier_container *container,
					 bool is_named)
{
	uint64_t age_ns = (is_named ? p->config->hold_named_age_ms : p->config->hold_age_ms) * MS_NS;

	if (!p->cri_enabled || p->cri_down || crier_life_is_silent(p, age_ns))
		return 0;
	if (!is_named)
		return age_ns;
	if (!p->cri_up || p->cri_answer_ns > age_ns || container->type == CRIER_CONTAINER_TYPE_SANDBOX)
		return 0;
	return age_ns;
}

static uint64_t patience_ns(struct crier_pipeline *p, const struct crier_life *life)
{
	bool is_named = crier_container_is_identified(life->container);

	if (!is_named && life->next_look_ns)
		return p->config->hold_age_ms * MS_NS;
	return patience_with_runtime_ns(p, life->container, is_named);
}

void crier_life_found(struct crier_pipeline *p, struct crier_life *life, struct crier_cgroup *cgroup)
{
	struct crier_container *container = life->container;
	uint64_t patience;

	if (life->cgroup == cgroup)
		return;
	life->cgroup = cgroup;
	container->cgroup_id = cgroup->id;
	if (container->phase < CRIER_PHASE_CONTAINER_CREATED)
		container->phase = CRIER_PHASE_CONTAINER_CREATED;
	life->asks = life->looks = 0;
	look(p, life);
	patience = patience_ns(p, life);
	crier_life_ask(p, life);
	if (patience)
		life->hold_until_ns = p->now_ns + patience;
	crier_life_schedule(p, life);
}

void crier_life_look_again(struct crier_pipeline *p, struct crier_life *life)
{
	look(p, life);
	if (life->hold_until_ns) /* at once, when there is nothing more to wait for */
		life->hold_until_ns = crier_min(life->hold_until_ns, p->now_ns + patience_ns(p, life));
	crier_mail_named(p, life);
}

bool crier_life_is_held(const struct crier_pipeline *p, const struct crier_life *life)
{
	return life->hold_until_ns || crier_hold_has(p->hold, life->key);
}

static void release_one(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	struct crier_pipeline *p = ctx;
	struct crier_decoded d;

	if (crier_decode(bytes, len, &d) < 0)
		return; /* it was decoded once already */
	if (crier_wire_is_event(d.header->type))
		p->account[d.header->ring].held--;
	p->wait_ns = p->now_ns - pushed_ns;
	crier_process_record(p, &d, crier_subject_of(p, d.header->cgroup_id), p->wait_ns);
	p->wait_ns = 0;
}

/* Waiting is over, with an answer or without: the queue goes on in its order, then later events without waiting. */
void crier_life_settle(struct crier_pipeline *p, struct crier_life *life)
{
	life->hold_until_ns = 0;
	if (crier_hold_has(p->hold, life->key))
		crier_hold_release(p->hold, life->key, release_one, p);
	life->hold_full = false;
	if (life->want_snapshot && p->ready)
		crier_life_snapshot_paced(p, life);
	if (life->hinted) {
		life->hinted = false;
		crier_watch_sample(p, life);
	}
	crier_life_schedule(p, life);
}
