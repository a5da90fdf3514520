/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exits that overtook their own kill. The kernel signals its OOM victim a moment before it marks it, which is what makes the
 * OOM record; on another CPU the victim may end in between (seen on 7.2 and 7.3). The kernel's side knows whom the signal was
 * for and says so in the exit; here that exit waits for its kill, so that it can name its cause.
 * The wait ends with the kill, when a container's end is to be told, or when the kill's record must have been lost.
 */
#include "internal.h"

#define DOOMED_KEY     (UINT64_MAX - 1) /* of the hold */
#define DOOMED_WAIT_NS (100 * MS_NS)

/* A kill by pid alone has no start time; exits look back over the last few kills only. */
static bool is_told(const struct crier_pipeline *p, struct crier_process_key key)
{
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(p->killed); i++)
		if (p->killed[i].pid == key.pid &&
		    (p->killed[i].start_ns == key.start_ns || !p->killed[i].start_ns))
			return true;
	return false;
}

bool crier_doomed_waits(struct crier_pipeline *p, const struct crier_decoded *d, uint64_t wait_ns)
{
	const struct crier_wire_exit *exit = d->exit;

	if (!(exit->flags & CRIER_EXIT_OOM) || wait_ns >= DOOMED_WAIT_NS || p->is_stopping ||
	    is_told(p, crier_key_of(&exit->task)))
		return false;

	uint64_t since_ns = p->now_ns - wait_ns;

	if (crier_hold_push(p->hold, DOOMED_KEY, since_ns, exit, sizeof(*exit)) < 0)
		return false; /* no room to wait */
	p->account[d->header->ring].held++;
	p->doomed_due_ns = crier_min(p->doomed_due_ns, since_ns + DOOMED_WAIT_NS);
	return true;
}

static void tell(struct crier_pipeline *p, uint64_t pushed_ns, const void *bytes, size_t len, bool may_wait)
{
	struct crier_decoded d;

	if (crier_decode(bytes, len, &d) < 0)
		return; /* it was decoded once already */
	p->account[d.header->ring].held--;
	uint64_t wait_ns = p->now_ns - pushed_ns;

	if (may_wait && crier_doomed_waits(p, &d, wait_ns))
		return;
	p->wait_ns = wait_ns;
	crier_process_exit(p, &d, crier_subject_of(p, d.header->cgroup_id), wait_ns);
	p->wait_ns = 0;
}

static void tell_told(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	tell(ctx, pushed_ns, bytes, len, true);
}

static void tell_any(void *ctx, uint64_t pushed_ns, const void *bytes, size_t len)
{
	tell(ctx, pushed_ns, bytes, len, false);
}

static void release(struct crier_pipeline *p, crier_hold_fn fn)
{
	if (p->doomed_due_ns == NEVER)
		return;
	p->doomed_due_ns = NEVER; /* who goes on waiting sets it again */
	crier_hold_release(p->hold, DOOMED_KEY, fn, p);
}

void crier_doomed_killed(struct crier_pipeline *p, struct crier_process_key victim)
{
	p->killed[p->killed_count++ % CRIER_ARRAY_SIZE(p->killed)] = victim;
	release(p, tell_told);
}

void crier_doomed_due(struct crier_pipeline *p)
{
	if (p->now_ns >= p->doomed_due_ns)
		release(p, tell_told);
}

void crier_doomed_settle(struct crier_pipeline *p)
{
	release(p, tell_any);
}
