/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The way of every record: class filter, budget, ring, counters.
 *
 * An event passes crier_is_let_through() and crier_admit(), which count it as generated and, when it goes no
 * further, as filtered or suppressed; then crier_reserve()/crier_submit() or crier_output() count it as
 * submitted or failed. So generated = class_filtered + suppressed + reserve_failed + submitted, per class. One count each
 * does for what is filtered: the sum over the CPUs adds it to what was generated.
 */
#ifndef CRIER_BPF_HELPERS_H
#define CRIER_BPF_HELPERS_H

#include "budget.h"

/* First step of every program; false never happens, but the verifier wants it asked. */
crier_inline bool crier_begin(struct crier_making *making)
{
	__u32 control = CRIER_SLOT_CONTROL, cpu;

	making->cpu_number = bpf_get_smp_processor_id();
	cpu = CRIER_SLOT_CPU + making->cpu_number;
	making->control = bpf_map_lookup_elem(&crier_shared, &control);
	making->cpu = bpf_map_lookup_elem(&crier_shared, &cpu);
	if (!making->control || !making->cpu)
		return false;
	making->counters = &making->cpu->counters;
	return true;
}

/*
 * Class of a cgroup. Most events of a CPU are of the cgroup of the one before, and a hash look-up on cold caches
 * costs 100 ns: the last answer is kept with the map's generation, in one word, so that an interrupt's program
 * cannot tear it: id << 16 | generation << 2 | class. The generation is read before the map and raised
 * after it: an answer from before a change never carries the number from after it.
 */
#define CRIER_CLASS_MASK	    3ULL
#define CRIER_CLASS_GENERATION_MASK 0x3fffU
#define CRIER_CLASS_ID_MAX	    (1ULL << 48) /* a kernfs id is a 32-bit number and a count of its wraps */

crier_inline __u32 crier_class_of(struct crier_making *making, __u64 cgroup_id)
{
	__u32 generation = *(volatile __u32 *)&making->cpu->class_generation & CRIER_CLASS_GENERATION_MASK;
	__u64 tag = cgroup_id << 16 | (__u64)generation << 2;
	__u64 last = *(volatile __u64 *)&making->cpu->last_class;
	__u32 *value;

	if ((last & ~CRIER_CLASS_MASK) == tag && cgroup_id)
		return last & CRIER_CLASS_MASK;
	value = bpf_map_lookup_elem(&crier_classes, &cgroup_id);
	if (!value)
		return CRIER_CGROUP_UNDETERMINED;
	if (cgroup_id < CRIER_CLASS_ID_MAX)
		*(volatile __u64 *)&making->cpu->last_class = tag | (*value & CRIER_CLASS_MASK);
	return *value;
}

/*
 * An OOM context belongs to kills by the same task, the group's members included, until the task's next one. A task on its
 * way out can come to mark_victim without oom_kill_process (task_will_free_mem): the age keeps most of
 * those from an old context. dump_header() to a slow console lies between the two, hence seconds.
 */
#define CRIER_OOM_CONTEXT_NS (10000 * CRIER_NS_PER_MS)

crier_inline bool crier_is_wanted(const struct crier_making *making)
{
	return *(volatile __u32 *)&making->cpu->event_mask & (1u << making->type);
}

crier_inline bool crier_is_known_init(const bool direct, struct task_struct *leader, __u32 pid)
{
	__u32 slot = CRIER_SLOT_INITS + CRIER_INIT_WORD(pid) / CRIER_SLOT_WORDS;
	struct crier_wire_slot *bits = bpf_map_lookup_elem(&crier_shared, &slot);
	__u64 *start;

	/* few are inits, and a hash look-up on cold caches costs 100 ns and more */
	if (!bits ||
	    !(*(volatile __u64 *)&bits->words[CRIER_INIT_WORD(pid) % CRIER_SLOT_WORDS] & CRIER_INIT_BIT(pid)))
		return false;
	start = bpf_map_lookup_elem(&crier_inits, &pid);
	return start && (*start == 0 || *start == crier_get(direct, leader, start_boottime));
}

/* An event of a host cgroup, or not wanted: counted, once, and no more is spent on it. */
crier_inline void crier_drop_filtered(struct crier_wire_counters *counters, enum crier_wire_class ring)
{
	crier_count(&counters->class_filtered[crier_ring_index(ring)]);
}

/* Count an event as generated and ask its cgroup's budget. Sets making->now. */
crier_inline bool crier_admit(struct crier_making *making)
{
	making->now = bpf_ktime_get_boot_ns();
	crier_count(&making->counters->generated[crier_ring_index(making->ring)]);
	if (crier_budget_take(making))
		return true;
	crier_count(&making->counters->suppressed[crier_ring_index(making->ring)]);
	return false;
}

crier_inline bool crier_is_event(const struct crier_making *making)
{
	return making->type >= CRIER_WIRE_EXEC;
}

crier_inline void crier_fill_header(const struct crier_making *making, struct crier_wire_header *header,
				    __u32 length)
{
	header->length = (__u16)length;
	header->version = CRIER_WIRE_VERSION;
	header->type = (__u8)making->type;
	header->ring = (__u8)making->ring;
	header->hook = (__u8)making->hook;
	header->cpu = (__u16)making->cpu_number;
	header->boottime_ns = making->now;
	header->cgroup_id = making->cgroup_id;
}

crier_inline void crier_count_failed(const struct crier_making *making)
{
	if (!crier_is_event(making)) {
		crier_count(&making->counters->control_failed);
		return;
	}
	crier_count(&making->counters->reserve_failed[crier_ring_index(making->ring)]);
	crier_budget_charge_failed(making);
}

crier_inline void crier_count_submitted(const struct crier_making *making)
{
	if (crier_is_event(making))
		crier_count(&making->counters->submitted[crier_ring_index(making->ring)]);
	else
		crier_count(&making->counters->control_submitted);
}

/* Asking the ring costs two calls: each CPU does so for one of 16 records, some 3 KiB of them. */
#define CRIER_FILLING_LOOK_MASK 15

crier_inline bool crier_bulk_is_filling(const struct crier_making *making)
{
	if (making->counters->submitted[CRIER_CLASS_BULK] & CRIER_FILLING_LOOK_MASK)
		return false;
	return bpf_ringbuf_query(&crier_ring_bulk, BPF_RB_AVAIL_DATA) >=
	       bpf_ringbuf_query(&crier_ring_bulk, BPF_RB_RING_SIZE) / CRIER_WIRE_FILLING_SHARE;
}

/* Critical records always wake. A bulk record wakes if it is what user space sleeps for, and then only the first one. */
crier_inline __u64 crier_wake_flags(const struct crier_making *making)
{
	__u32 armed;

	if (making->ring == CRIER_CLASS_CRITICAL)
		return BPF_RB_FORCE_WAKEUP;
	armed = crier_control(making, armed);
	if (!armed || (armed == CRIER_ARMED_FILLING && !crier_bulk_is_filling(making)))
		return BPF_RB_NO_WAKEUP;
	crier_control(making, armed) = CRIER_ARMED_NOT;
	return BPF_RB_FORCE_WAKEUP;
}

/*
 * `armed` may have been set after crier_wake_flags() looked and before the record was visible: user space then
 * saw an empty ring and sleeps. Publishing a record is a full barrier (xchg in bpf_ringbuf_commit), so
 * either user space saw the record or this sees `armed`. An empty discarded record carries the wake-up. Who sleeps
 * until the ring fills has a timer besides.
 */
crier_inline void crier_wake_late(const struct crier_making *making, __u64 flags)
{
	void *token;

	if (flags != BPF_RB_NO_WAKEUP || crier_control(making, armed) != CRIER_ARMED_ANY)
		return;
	token = bpf_ringbuf_reserve(&crier_ring_bulk, 8, 0);
	if (!token)
		return;
	crier_control(making, armed) = CRIER_ARMED_NOT;
	bpf_ringbuf_discard(token, BPF_RB_FORCE_WAKEUP);
}

/* `size` is constant. The record holds whatever was there before: the caller writes each byte. */
crier_inline void *crier_reserve(const struct crier_making *making, __u64 size)
{
	void *record;

	if (making->ring == CRIER_CLASS_CRITICAL)
		record = bpf_ringbuf_reserve(&crier_ring_critical, size, 0);
	else
		record = bpf_ringbuf_reserve(&crier_ring_bulk, size, 0);
	if (!record)
		crier_count_failed(making);
	return record;
}

crier_inline void crier_submit(const struct crier_making *making, void *record)
{
	__u64 flags = crier_wake_flags(making);

	crier_count_submitted(making);
	bpf_ringbuf_submit(record, flags);
	crier_wake_late(making, flags);
}

/* A record of any length, put together elsewhere. */
crier_inline void crier_output(const struct crier_making *making, void *record, __u64 size)
{
	__u64 flags = crier_wake_flags(making);
	long failed;

	if (making->ring == CRIER_CLASS_CRITICAL)
		failed = bpf_ringbuf_output(&crier_ring_critical, record, size, flags);
	else
		failed = bpf_ringbuf_output(&crier_ring_bulk, record, size, flags);
	if (failed) {
		crier_count_failed(making);
		return;
	}
	crier_count_submitted(making);
	crier_wake_late(making, flags);
}

#endif
