/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Token buckets by cgroup and class. One bucket for all CPUs, so that a rate means what it says wherever the
 * cgroup runs: with a bucket on each CPU, its share would be either rate * CPUs or, for one busy
 * thread, rate / CPUs. There is no lock and no compare-and-swap (5.10 has neither here). Taking a token is an
 * atomic add; refilling is a plain store, so that a token taken by another CPU in the very moment of a refill
 * may be given back: at most one per CPU and millisecond too many. What was suppressed is counted atomically, exactly.
 */
#ifndef CRIER_BPF_BUDGET_H
#define CRIER_BPF_BUDGET_H

#include "maps.h"

/* What a program carries along while it makes one record. */
struct crier_making {
	struct crier_wire_control *control;
	struct crier_wire_cpu *cpu;
	struct crier_wire_counters *counters; /* the CPU's */
	__u64 now;
	__u64 cgroup_id;
	/* words, not bytes: clang stores neighbouring bytes as one, and verifiers before 6.8 forget what was in them */
	__u32 type;
	__u32 ring;
	__u32 hook;
	__u32 cpu_number;
};

/*
 * An add whose result is not used: the only atomic that 5.10 has. Counters per CPU need it too: a signal
 * raised by a timer interrupt runs its program in the midst of another.
 */
#define crier_count(p) ((void)__sync_fetch_and_add((p), 1))

/* A knob; user space may turn it at any moment. */
#define crier_control(making, field) (*(volatile __u32 *)&(making)->control->field)

/* There are two; the mask tells the verifier, which may have lost sight of a constant. */
#define crier_ring_index(ring) ((ring)&1)

#define CRIER_TOKEN	      1000    /* one event; a millisecond at 1 event/s gives 1 */
#define CRIER_BUDGET_RATE_MAX 2000000 /* events/s; a full bucket (one second's worth) stays below 2^31 */
#define CRIER_NS_PER_MS	      1000000ULL

crier_inline __u32 crier_budget_rate(const struct crier_making *making, __u32 ring)
{
	__u32 rate = ring == CRIER_CLASS_CRITICAL ? crier_control(making, critical_rate)
						  : crier_control(making, bulk_rate);

	return rate < CRIER_BUDGET_RATE_MAX ? rate : CRIER_BUDGET_RATE_MAX;
}

/* NULL when the map is full. */
crier_inline struct crier_wire_budget *crier_budget_get(const struct crier_making *making)
{
	__u64 cgroup_id = making->cgroup_id;
	struct crier_wire_budget *budget = bpf_map_lookup_elem(&crier_budgets, &cgroup_id);
	struct crier_wire_budget fresh = {.refilled_ns = making->now};

	if (budget)
		return budget;
	fresh.tokens[CRIER_CLASS_BULK] = CRIER_TOKEN * crier_budget_rate(making, CRIER_CLASS_BULK);
	fresh.tokens[CRIER_CLASS_CRITICAL] = CRIER_TOKEN * crier_budget_rate(making, CRIER_CLASS_CRITICAL);
	bpf_map_update_elem(&crier_budgets, &cgroup_id, &fresh, BPF_NOEXIST);
	budget = bpf_map_lookup_elem(&crier_budgets, &cgroup_id);
	if (!budget)
		crier_count(&making->counters->budget_map_full);
	return budget;
}

crier_inline void crier_budget_refill(const struct crier_making *making, struct crier_wire_budget *budget,
				      __u32 ring, __u64 elapsed_ms)
{
	__u64 full = (__u64)CRIER_TOKEN * crier_budget_rate(making, ring);
	__s64 tokens = (__s32)budget->tokens[crier_ring_index(
		ring)]; /* below zero when CPUs took the last one together */

	tokens += (__s64)(elapsed_ms * crier_budget_rate(making, ring));
	budget->tokens[crier_ring_index(ring)] = (__u32)(tokens > (__s64)full ? (__s64)full : tokens);
}

/* True: go on. False: over the budget, counted in the bucket. */
crier_inline bool crier_budget_take(const struct crier_making *making)
{
	__u64 now = making->now, elapsed_ms;
	struct crier_wire_budget *budget;
	__u32 ring = making->ring;

	if (!crier_budget_rate(making, ring))
		return true;
	budget = crier_budget_get(making);
	if (!budget)
		return true;
	if (now > budget->refilled_ns + CRIER_NS_PER_MS) {
		elapsed_ms = (now - budget->refilled_ns) / CRIER_NS_PER_MS;
		budget->refilled_ns += elapsed_ms * CRIER_NS_PER_MS; /* the remainder is kept */
		if (elapsed_ms > 1000)
			elapsed_ms = 1000;
		crier_budget_refill(making, budget, CRIER_CLASS_BULK, elapsed_ms);
		crier_budget_refill(making, budget, CRIER_CLASS_CRITICAL, elapsed_ms);
	}
	if ((__s32)budget->tokens[crier_ring_index(ring)] < CRIER_TOKEN) {
		crier_count(&budget->suppressed[crier_ring_index(ring)]);
		return false;
	}
	__sync_fetch_and_add(&budget->tokens[crier_ring_index(ring)], (__u32)-CRIER_TOKEN);
	return true;
}

/* A record of this cgroup found its ring full. */
crier_inline void crier_budget_charge_failed(const struct crier_making *making)
{
	struct crier_wire_budget *budget = crier_budget_get(making);

	if (budget)
		crier_count(&budget->failed[crier_ring_index(making->ring)]);
}

#endif
