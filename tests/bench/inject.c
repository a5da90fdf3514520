/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_inject OBJECT|floor PID CGROUP_ID RATE SECONDS: events of a container at a rate (0: as many as go) into the ring of the crier
 * that runs as PID, see inject.bpf.c; then one line of JSON. Lost = its ring was full.
 * floor: PID is floor_agent, which brings its own program.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS      1000000000LL
#define EVENTS_OF_RUN  48 /* LIVES * 3 */
#define NAME_MAX_BYTES 15 /* of a map, in the kernel */

/* The maps that make it crier's: rings, budgets, classes, control and counters, and its variables. */
static const char *const shared[] = {
	"crier_ring_bulk", "crier_ring_critical", "crier_budgets", "crier_classes",
	"crier_shared",	   "crier_inits",	  ".bss"};

static void die(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (long long)t.tv_sec * SECOND_NS + t.tv_nsec;
}

static int names_match(const char *ours, const char *theirs)
{
	if (ours[0] == '.') {
		size_t len = strlen(theirs), suffix = strlen(ours);

		return len >= suffix && strcmp(theirs + len - suffix, ours) == 0;
	}
	return strncmp(ours, theirs, NAME_MAX_BYTES) == 0;
}

/* What the process holds descriptors of: maps by "map_id:", programs by "prog_id:". @return its id, 0 at the end */
static unsigned held_id(const char *pid, const char *key, int *fd)
{
	char path[64], line[256];

	for (; *fd < 1024; (*fd)++) {
		unsigned id = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/fdinfo/%d", pid, *fd);
		file = fopen(path, "r");
		if (!file)
			continue;
		while (fgets(line, sizeof(line), file))
			if (strncmp(line, key, strlen(key)) == 0)
				id = (unsigned)strtoul(line + strlen(key), NULL, 10);
		fclose(file);
		if (id) {
			(*fd)++;
			return id;
		}
	}
	return 0;
}

static int map_of(const char *pid, const char *name)
{
	unsigned id;

	for (int fd = 3; (id = held_id(pid, "map_id:", &fd));) {
		struct bpf_map_info info = {0};
		__u32 len = sizeof(info);
		int map = bpf_map_get_fd_by_id(id);

		if (map < 0)
			continue;
		if (bpf_obj_get_info_by_fd(map, &info, &len) == 0 && names_match(name, info.name))
			return map;
		close(map);
	}
	fprintf(stderr, "inject: process %s holds no map %s\n", pid, name);
	exit(1);
}

static int program_of(const char *pid, const char *name)
{
	unsigned id;

	for (int fd = 3; (id = held_id(pid, "prog_id:", &fd));) {
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);
		int program = bpf_prog_get_fd_by_id(id);

		if (program < 0)
			continue;
		if (bpf_obj_get_info_by_fd(program, &info, &len) == 0 && names_match(name, info.name))
			return program;
		close(program);
	}
	fprintf(stderr, "inject: process %s holds no program %s\n", pid, name);
	exit(1);
}

static void share(struct bpf_object *object, const char *pid)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]);
						   i++) if (names_match(shared[i], bpf_map__name(map)) &&
							    bpf_map__reuse_fd(map, map_of(pid, shared[i])) !=
								    0) die(shared[i]);
}

struct state {
	unsigned long long pid, submitted, failed;
};

static struct state state_of(const struct bpf_object *object)
{
	const __u32 zero = 0;
	struct state state;

	if (bpf_map_lookup_elem(bpf_object__find_map_fd_by_name(object, "inject_states"), &zero, &state) != 0)
		die("inject_states");
	return state;
}

/* In bursts of half a millisecond. @return events asked for */
static unsigned long long run(int program, unsigned long long cgroup_id, double rate, double seconds)
{
	unsigned long long args[1] = {cgroup_id}, count = 0;
	long long start_ns = now_ns(), end_ns = start_ns + (long long)(seconds * 1e9);

	for (long long now; (now = now_ns()) < end_ns;) {
		unsigned long long due =
			rate > 0 ? (unsigned long long)((double)(now - start_ns) * rate / 1e9) : count + 1;

		while (count < due) {
			LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = args, .ctx_size_in = sizeof(args));

			if (bpf_prog_test_run_opts(program, &options) != 0)
				die("BPF_PROG_TEST_RUN");
			count += EVENTS_OF_RUN;
		}
		if (rate > 0)
			nanosleep(&(struct timespec){.tv_nsec = SECOND_NS / 2000}, NULL);
	}
	return count;
}

static void tell(unsigned long long count, unsigned long long lost, long long wall_ns)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("{\"count\":%llu,\"lost\":%llu,\"wall_ns\":%lld,\"cpu_ns\":%lld}\n", count, lost, wall_ns,
	       (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SECOND_NS +
		       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL);
}

static void inject(char **argv)
{
	struct bpf_object *object = bpf_object__open_file(argv[1], NULL);

	if (!object)
		die(argv[1]);
	share(object, argv[2]);
	if (bpf_object__load(object) != 0)
		die("load");
	const struct bpf_program *program = bpf_object__find_program_by_name(object, "crier_inject");

	if (!program)
		die("crier_inject");
	long long start_ns = now_ns();

	run(bpf_program__fd(program), strtoull(argv[3], NULL, 10), strtod(argv[4], NULL),
	    strtod(argv[5], NULL));
	struct state state = state_of(object);

	tell(state.submitted + state.failed, state.failed, now_ns() - start_ns);
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "bench_inject OBJECT|floor PID CGROUP_ID RATE SECONDS\n");
		return 2;
	}
	libbpf_set_print(NULL);
	if (strcmp(argv[1], "floor") != 0) {
		inject(argv);
		return 0;
	}
	long long start_ns = now_ns();
	unsigned long long count =
		run(program_of(argv[2], "floor_inject"), 0, strtod(argv[4], NULL), strtod(argv[5], NULL));

	tell(count, 0, now_ns() - start_ns); /* its losses are its own to count */
	return 0;
}
