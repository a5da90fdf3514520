/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer of both rings. libbpf's (1.1) consumes ring after ring until each is empty; here a turn takes both
 * producers' positions, hands out what lies before them merged by time, and tells the kernel once.
 */
#include "internal.h"

#include <errno.h>
#include <sys/mman.h>

/* Layout of a ring: one page with the consumer's position, one with the producer's, the data twice. */
int crier_ring_open(struct crier_ring *ring, int map_fd, uint32_t size, struct crier_err *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer, *producer;

	consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (consumer == MAP_FAILED)
		return crier_err_set(err, -errno, "bpf: ring buffer: mmap: %s", strerror(errno));
	producer = mmap(NULL, page + 2 * (size_t)size, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
	if (producer == MAP_FAILED) {
		int r = crier_err_set(err, -errno, "bpf: ring buffer of %u bytes: mmap: %s", size,
				      strerror(errno));

		munmap(consumer, page);
		return r;
	}
	*ring = (struct crier_ring){
		.map_size = page + 2 * (size_t)size,
		.mask = size - 1,
		.consumer = consumer,
		.producer = producer,
		.data = (const uint8_t *)producer + page,
		.position = *(unsigned long *)consumer,
	};
	return 0;
}

void crier_ring_close(struct crier_ring *ring)
{
	if (ring->consumer)
		munmap(ring->consumer, (size_t)sysconf(_SC_PAGESIZE));
	if (ring->producer)
		munmap((void *)(uintptr_t)ring->producer, ring->map_size);
	*ring = (struct crier_ring){0};
}

static uint64_t producer_position(const struct crier_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

bool crier_ring_is_empty(const struct crier_ring *ring)
{
	return producer_position(ring) == ring->position;
}

static uint64_t record_size(uint32_t length)
{
	uint64_t payload = length & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

	return (payload + BPF_RINGBUF_HDR_SZ + 7) & ~UINT64_C(7);
}

static uint32_t record_length(const struct crier_ring *ring)
{
	const uint32_t *length = (const void *)(ring->data + (ring->position & ring->mask));

	return __atomic_load_n(length, __ATOMIC_ACQUIRE);
}

/* The next record before the turn's limit; passes by discarded ones; NULL also where one is still being written. */
static const void *ring_head(struct crier_ring *ring, size_t *ret_len)
{
	while (ring->position < ring->limit) {
		uint32_t length = record_length(ring);

		if (length & BPF_RINGBUF_BUSY_BIT) {
			ring->limit = ring->position;
			break;
		}
		if (!(length & BPF_RINGBUF_DISCARD_BIT)) {
			*ret_len = length;
			return ring->data + (ring->position & ring->mask) + BPF_RINGBUF_HDR_SZ;
		}
		ring->position += record_size(length);
	}
	return NULL;
}

static void ring_advance(struct crier_ring *ring)
{
	ring->position += record_size(record_length(ring));
}

static uint64_t record_time(const void *bytes, size_t len)
{
	return len < sizeof(struct crier_wire_header)
		       ? 0
		       : ((const struct crier_wire_header *)bytes)->boottime_ns;
}

/* Some records are reserved longer than they turn out (a cgroup's name): the header tells the used part. */
static size_t used_length(const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;

	if (len < sizeof(*header) || header->length < sizeof(*header) || header->length > len ||
	    header->length % 8)
		return len;
	return header->length;
}

/* The ring whose next record is the older one; -1 = there is none. */
static int older(const void *const heads[CRIER_CLASS_COUNT], const size_t lengths[CRIER_CLASS_COUNT])
{
	const void *bulk = heads[CRIER_CLASS_BULK], *critical = heads[CRIER_CLASS_CRITICAL];

	if (!bulk || !critical)
		return bulk ? CRIER_CLASS_BULK : critical ? CRIER_CLASS_CRITICAL : -1;
	return record_time(bulk, lengths[CRIER_CLASS_BULK]) <
			       record_time(critical, lengths[CRIER_CLASS_CRITICAL])
		       ? CRIER_CLASS_BULK
		       : CRIER_CLASS_CRITICAL;
}

size_t crier_probe_drain(struct crier_probe *probe, size_t max_records, crier_probe_batch_fn fn, void *ctx)
{
	const void *heads[CRIER_CLASS_COUNT];
	size_t lengths[CRIER_CLASS_COUNT] = {0}, total = 0, count;
	struct crier_slice batch[CRIER_PROBE_BATCH];

	/* awake, whoever woke it: a producer that still found it armed would wake it once more for nothing */
	__atomic_store_n(&probe->control->armed, CRIER_ARMED_NOT, __ATOMIC_RELAXED);
	/* the critical ring first: what its records follow is then in the bulk ring's part of the turn */
	probe->rings[CRIER_CLASS_CRITICAL].limit = producer_position(&probe->rings[CRIER_CLASS_CRITICAL]);
	probe->rings[CRIER_CLASS_BULK].limit = producer_position(&probe->rings[CRIER_CLASS_BULK]);
	if (probe->bulk_rests)
		probe->rings[CRIER_CLASS_BULK].limit = probe->rings[CRIER_CLASS_BULK].position;
	for (int i = 0; i < CRIER_CLASS_COUNT; i++)
		heads[i] = ring_head(&probe->rings[i], &lengths[i]);
	do {
		int next;

		for (count = 0; count < CRIER_PROBE_BATCH && total < max_records; count++, total++) {
			next = older(heads, lengths);
			if (next < 0)
				break;
			batch[count] =
				(struct crier_slice){heads[next], used_length(heads[next], lengths[next])};
			ring_advance(&probe->rings[next]);
			heads[next] = ring_head(&probe->rings[next], &lengths[next]);
		}
		if (count)
			fn(ctx, batch, count);
		for (int i = 0; i < CRIER_CLASS_COUNT; i++)
			__atomic_store_n(probe->rings[i].consumer, probe->rings[i].position,
					 __ATOMIC_RELEASE);
	} while (count == CRIER_PROBE_BATCH);
	return total;
}

void crier_probe_rest_bulk(struct crier_probe *probe, bool rest)
{
	probe->bulk_rests = rest;
	if (rest)
		__atomic_store_n(&probe->control->armed, CRIER_ARMED_NOT, __ATOMIC_RELAXED);
}

static bool is_filling(const struct crier_ring *ring)
{
	return producer_position(ring) - ring->position >= (ring->mask + 1) / CRIER_WIRE_FILLING_SHARE;
}

bool crier_probe_arm(struct crier_probe *probe, enum crier_wire_armed how)
{
	const struct crier_ring *bulk = &probe->rings[CRIER_CLASS_BULK];
	const struct crier_ring *critical = &probe->rings[CRIER_CLASS_CRITICAL];
	uint32_t *armed = &probe->control->armed;

	if (probe->bulk_rests) /* critical records wake without being asked to */
		return how == CRIER_ARMED_FILLING || crier_ring_is_empty(critical);

	/* sequentially consistent: the store must be seen before the positions are read (pairs with bpf/helpers.h) */
	__atomic_store_n(armed, how, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (how == CRIER_ARMED_FILLING ? !is_filling(bulk)
				       : crier_ring_is_empty(bulk) && crier_ring_is_empty(critical))
		return true;
	__atomic_store_n(armed, CRIER_ARMED_NOT, __ATOMIC_RELAXED);
	return false;
}

int crier_probe_ring_fd(const struct crier_probe *probe, enum crier_wire_class ring)
{
	return probe->ring_fds[ring];
}

const struct crier_wire_control *crier_probe_control(const struct crier_probe *probe)
{
	return probe->control;
}
