/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's tables seen from here: classes, inits, counters, budgets, and the processes alive at start. */
#include "internal.h"

#include <errno.h>

static struct crier_wire_cpu *cpu_slot(const struct crier_probe *probe, int cpu)
{
	return (void *)&probe->slots[CRIER_SLOT_CPU + cpu];
}

void crier_probe_set_control(struct crier_probe *probe, const struct crier_wire_control *control)
{
	*probe->control = *control;
	probe->control->armed = 0;
	for (int cpu = 0; cpu < probe->cpu_count; cpu++)
		__atomic_store_n(&cpu_slot(probe, cpu)->event_mask, control->event_mask, __ATOMIC_RELAXED);
}

/* New entries of the class map come from a stock of each CPU. */
#define CLASSIFY_TRIES	  5
#define CLASSIFY_PAUSE_US 100

/* After each change of the class map: CPUs remember the last class they looked up. */
static void void_remembered_classes(struct crier_probe *probe)
{
	for (int cpu = 0; cpu < probe->cpu_count; cpu++)
		__atomic_add_fetch(&cpu_slot(probe, cpu)->class_generation, 1, __ATOMIC_SEQ_CST);
}

int crier_probe_classify(struct crier_probe *probe, uint64_t cgroup_id,
			 enum crier_wire_cgroup_class cgroup_class)
{
	uint32_t value = cgroup_class;
	int fd = bpf_map__fd(probe->skel->maps.crier_classes), r;

	/* what a CPU has at hand of new entries is made up for by an interrupt of its own, when there is memory */
	for (int tries = CLASSIFY_TRIES;; usleep(CLASSIFY_PAUSE_US)) {
		r = bpf_map_update_elem(fd, &cgroup_id, &value, BPF_ANY) < 0 ? -errno : 0;
		if (r != -ENOMEM || --tries == 0)
			break;
	}
	if (r < 0) /* not known is better than what it was before */
		(void)bpf_map_delete_elem(fd, &cgroup_id);
	void_remembered_classes(probe);
	return r;
}

static size_t told_position(const struct crier_probe *probe, uint64_t cgroup_id)
{
	size_t low = 0, high = probe->told_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (probe->told[middle].cgroup_id < cgroup_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_told(const struct crier_probe *probe, size_t position, uint64_t cgroup_id)
{
	return position < probe->told_count && probe->told[position].cgroup_id == cgroup_id;
}

int crier_probe_forget(struct crier_probe *probe, uint64_t cgroup_id)
{
	size_t position = told_position(probe, cgroup_id);

	if (is_told(probe, position, cgroup_id)) {
		probe->told_count--;
		memmove(&probe->told[position], &probe->told[position + 1],
			(probe->told_count - position) * sizeof(*probe->told));
	}
	bpf_map_delete_elem(bpf_map__fd(probe->skel->maps.crier_budgets), &cgroup_id);
	if (bpf_map_delete_elem(bpf_map__fd(probe->skel->maps.crier_classes), &cgroup_id) < 0 &&
	    errno != ENOENT)
		return -errno;
	void_remembered_classes(probe);
	return 0;
}

/* The bits of inits: a bit stands for several pids, so they are made anew from the map, and not for each removal. */
#define INITS_REMOVED_MAX 64

static __u64 *init_words(const struct crier_probe *probe)
{
	return probe->slots[CRIER_SLOT_INITS].words;
}

static void remake_init_words(struct crier_probe *probe)
{
	int fd = bpf_map__fd(probe->skel->maps.crier_inits);
	/* the walk begins again where the kernel's side removes the pid it stands at */
	uint32_t left = 2 * bpf_map__max_entries(probe->skel->maps.crier_inits);
	__u64 words[CRIER_INIT_WORDS] = {0};
	uint32_t pid, *last = NULL;

	for (; left && bpf_map_get_next_key(fd, last, &pid) == 0; left--, last = &pid)
		words[CRIER_INIT_WORD(pid)] |= CRIER_INIT_BIT(pid);
	if (!left || errno != ENOENT)
		return; /* not all seen: the old bits are good, if too many */
	for (size_t i = 0; i < CRIER_INIT_WORDS; i++)
		__atomic_store_n(&init_words(probe)[i], words[i], __ATOMIC_RELAXED);
}

int crier_probe_init_add(struct crier_probe *probe, uint32_t pid, uint64_t start_ns)
{
	__atomic_or_fetch(&init_words(probe)[CRIER_INIT_WORD(pid)], CRIER_INIT_BIT(pid), __ATOMIC_SEQ_CST);
	if (bpf_map_update_elem(bpf_map__fd(probe->skel->maps.crier_inits), &pid, &start_ns, BPF_ANY) == 0)
		return 0;
	return -errno;
}

int crier_probe_init_remove(struct crier_probe *probe, uint32_t pid, uint64_t start_ns)
{
	int fd = bpf_map__fd(probe->skel->maps.crier_inits);
	uint64_t found;

	if (++probe->inits_removed >= INITS_REMOVED_MAX) {
		probe->inits_removed = 0;
		remake_init_words(probe);
	}
	/* only this thread adds, so it cannot become another's between the two calls */
	if (bpf_map_lookup_elem(fd, &pid, &found) < 0 || (start_ns && found && found != start_ns))
		return 0; /* the exit program removed it, or the pid is another init's by now */
	return bpf_map_delete_elem(fd, &pid) == 0 || errno == ENOENT ? 0 : -errno;
}

int crier_probe_counters(struct crier_probe *probe, struct crier_wire_counters *ret_sum)
{
	struct crier_wire_counters sum = {0};
	uint64_t *to = (uint64_t *)&sum;

	for (int cpu = 0; cpu < probe->cpu_count; cpu++) {
		const uint64_t *from = (const uint64_t *)&cpu_slot(probe, cpu)->counters;

		for (size_t i = 0; i < sizeof(sum) / sizeof(*to); i++) /* all of it is u64 */
			to[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	}
	for (int i = 0; i < CRIER_CLASS_COUNT; i++) /* counted once in the kernel */
		sum.generated[i] += sum.class_filtered[i];
	*ret_sum = sum;
	return 0;
}

/* The totals told so far for a cgroup, made at zero; NULL without memory (its losses are then told again). */
static struct crier_probe_blame *told_get(struct crier_probe *probe, uint64_t cgroup_id)
{
	size_t position = told_position(probe, cgroup_id);

	if (is_told(probe, position, cgroup_id))
		return &probe->told[position];
	if (probe->told_count == probe->told_cap) {
		size_t cap = probe->told_cap ? 2 * probe->told_cap : 64;
		struct crier_probe_blame *grown = reallocarray(probe->told, cap, sizeof(*grown));

		if (!grown)
			return NULL;
		probe->told = grown;
		probe->told_cap = cap;
	}
	memmove(&probe->told[position + 1], &probe->told[position],
		(probe->told_count - position) * sizeof(*probe->told));
	probe->told[position] = (struct crier_probe_blame){.cgroup_id = cgroup_id};
	probe->told_count++;
	return &probe->told[position];
}

static uint64_t blame_weight(const struct crier_probe_blame *blame)
{
	uint64_t sum = 0;

	for (int i = 0; i < CRIER_CLASS_COUNT; i++)
		sum += blame->suppressed[i] + blame->failed[i];
	return sum;
}

/* Keep the heaviest `max`, most first. @return new count */
static size_t blame_insert(struct crier_probe_blame *list, size_t count, size_t max,
			   const struct crier_probe_blame *blame)
{
	size_t position = count;

	while (position > 0 && blame_weight(&list[position - 1]) < blame_weight(blame))
		position--;
	if (position == max)
		return count;
	if (count == max)
		count--;
	memmove(&list[position + 1], &list[position], (count - position) * sizeof(*list));
	list[position] = *blame;
	return count + 1;
}

/* @return false: nothing lost since it was last told */
static bool blame_rise(const struct crier_probe *probe, uint64_t cgroup_id,
		       const struct crier_wire_budget *budget, struct crier_probe_blame *ret_rise)
{
	size_t position = told_position(probe, cgroup_id);
	struct crier_probe_blame rise = {.cgroup_id = cgroup_id}, told = {0};

	if (is_told(probe, position, cgroup_id))
		told = probe->told[position];
	for (int i = 0; i < CRIER_CLASS_COUNT; i++) {
		rise.suppressed[i] = budget->suppressed[i] - told.suppressed[i];
		rise.failed[i] = budget->failed[i] - told.failed[i];
	}
	if (blame_weight(&rise) == 0)
		return false;
	*ret_rise = rise;
	return true;
}

static void remember_told(struct crier_probe *probe, const struct crier_probe_blame *rise)
{
	struct crier_probe_blame *told = told_get(probe, rise->cgroup_id);

	for (int i = 0; told && i < CRIER_CLASS_COUNT; i++) {
		told->suppressed[i] += rise->suppressed[i];
		told->failed[i] += rise->failed[i];
	}
}

size_t crier_probe_blame(struct crier_probe *probe, struct crier_probe_blame *ret, size_t max)
{
	int fd = bpf_map__fd(probe->skel->maps.crier_budgets);
	uint32_t entries = bpf_map__max_entries(probe->skel->maps.crier_budgets);
	uint64_t key, *previous = NULL;
	size_t count = 0;

	/* bounded: a walk over a changing hash map may start anew when its key vanishes */
	for (uint32_t i = 0; i < 2 * entries && bpf_map_get_next_key(fd, previous, &key) == 0; i++) {
		struct crier_wire_budget budget;
		struct crier_probe_blame rise;

		if (bpf_map_lookup_elem(fd, &key, &budget) == 0 && blame_rise(probe, key, &budget, &rise) &&
		    max)
			count = blame_insert(ret, count, max, &rise);
		previous = &key;
	}
	for (size_t i = 0; i < count; i++) /* what did not fit is told next time */
		remember_told(probe, &ret[i]);
	return count;
}

int crier_probe_seed(struct crier_probe *probe, crier_probe_seed_fn fn, void *ctx)
{
	struct crier_wire_seed seeds[128];
	_cleanup_close_ int fd = -1;
	struct bpf_link *link;
	size_t have = 0;
	ssize_t n;

	if (!probe->has_seed)
		return -ENOTSUP;
	link = bpf_program__attach_iter(probe->skel->progs.crier_iter_task, NULL);
	if (!link)
		return -ENOTSUP;
	fd = bpf_iter_create(bpf_link__fd(link));
	n = fd < 0 ? -errno : 0;
	bpf_link__destroy(link);
	if (fd < 0)
		return (int)n;
	/* a read may end within a record: the kernel fills the buffer it is given */
	while ((n = read(fd, (char *)seeds + have, sizeof(seeds) - have)) != 0) {
		size_t whole;

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n < 0)
			return -errno;
		have += (size_t)n;
		whole = have / sizeof(seeds[0]);
		for (size_t i = 0; i < whole; i++)
			fn(ctx, &seeds[i]);
		have -= whole * sizeof(seeds[0]);
		memmove(seeds, &seeds[whole], have);
	}
	return 0;
}
