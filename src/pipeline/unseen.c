/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime tells in place of the kernel, where nothing shows executions or new directories (no eBPF): that a container
 * was created, and that it started. With the kernel's own word none of this is used.
 */
#include "internal.h"

/* Some 7 s of asking; after that the runtime's lists have to do. */
#define START_ASKS_MAX 40

bool crier_unseen_waits(const struct crier_pipeline *p, const struct crier_life *life)
{
	return p->exec_unseen && p->cri_enabled && life->cgroup && life->cgroup->populated != 0 &&
	       life->asks < START_ASKS_MAX && !life->started_told && !life->preexisting &&
	       !life->exited_told && !life->dying_until_ns;
}

/* On CLOCK_BOOTTIME; not later than now, whatever the runtime's clock says. */
static uint64_t boottime_of(const struct crier_pipeline *p, uint64_t unix_ns)
{
	return unix_ns > p->emit.unix_offset_ns ? crier_min(unix_ns - p->emit.unix_offset_ns, p->now_ns) : 0;
}

/* Since crier started: what began before is a snapshot. */
static bool is_news(const struct crier_pipeline *p, uint64_t unix_ns)
{
	return unix_ns != CRIER_UNKNOWN_U64 && unix_ns >= p->start.boottime_ns + p->start.unix_offset_ns;
}

static struct crier_wire_header header_at(uint64_t boottime_ns)
{
	return (struct crier_wire_header){
		.hook = CRIER_HOOK_USER, .cpu = (uint16_t)CRIER_WIRE_CPU_UNKNOWN, .boottime_ns = boottime_ns};
}

static void tell_created(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;
	struct crier_wire_header header = header_at(boottime_of(p, container->created_at_ns));

	container->created_ns = header.boottime_ns;
	crier_process_created(p, life, &header);
}

static void tell_started(struct crier_pipeline *p, struct crier_life *life, uint64_t boottime_ns)
{
	const struct crier_container *container = life->container;
	struct crier_wire_header header = header_at(boottime_ns);
	struct crier_wire_task init = {0};

	if (container->init_pid != CRIER_UNKNOWN_U64)
		init.pid = (uint32_t)container->init_pid;
	crier_process_started(p, life, &header, &init, CRIER_SLICE_NONE);
}

/* A sandbox's start has no time of its own in CRI: it runs once the runtime names its process. */
static bool has_started(const struct crier_pipeline *p, const struct crier_life *life,
			uint64_t *ret_boottime_ns)
{
	const struct crier_container *container = life->container;

	if (container->type == CRIER_CONTAINER_TYPE_SANDBOX) {
		*ret_boottime_ns = p->now_ns;
		return life->created_told && container->init_pid != CRIER_UNKNOWN_U64;
	}
	*ret_boottime_ns =
		container->started_at_ns != CRIER_UNKNOWN_U64 ? boottime_of(p, container->started_at_ns) : 0;
	return is_news(p, container->started_at_ns);
}

void crier_unseen_populated(struct crier_pipeline *p, struct crier_life *life)
{
	struct crier_container *container = life->container;

	if (!p->exec_unseen)
		return;
	if (crier_unseen_waits(p, life))
		crier_life_ask_soon(p, life);
	else if (!p->cri_enabled) /* nobody will say more: what lives is watched */
		container->phase = crier_max(container->phase, (uint8_t)CRIER_PHASE_CONTAINER_RUNNING);
}

void crier_unseen_init(struct crier_pipeline *p, struct crier_life *life)
{
	uint64_t pid;

	if (p->exec_unseen && life->container->init_pid == CRIER_UNKNOWN_U64 &&
	    crier_source_init_pid(&p->sources, life->container, &pid) && pid && pid <= UINT32_MAX)
		crier_life_set_init(p, life, (uint32_t)pid, CRIER_UNKNOWN_U64, false);
}

void crier_unseen(struct crier_pipeline *p, struct crier_life *life)
{
	uint64_t at_ns;

	if (!p->exec_unseen || life->exited_told || life->hold_until_ns)
		return;
	if (life->preexisting) {
		if (life->container->cri_state == CRIER_STATE_RUNNING)
			life->container->phase =
				crier_max(life->container->phase, (uint8_t)CRIER_PHASE_CONTAINER_RUNNING);
		return;
	}
	if (p->mkdir_unseen && !life->created_told && !life->cgroup &&
	    is_news(p, life->container->created_at_ns))
		tell_created(p, life);
	if (!life->started_told && has_started(p, life, &at_ns))
		tell_started(p, life, at_ns);
}
