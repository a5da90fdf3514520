/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS	     2000
#define BOXES_MAX    32
#define CHILDREN_MAX 64
#define RECORD_STORE (64u << 20)
#define RECORDS_MAX  400000

struct crier_probe *probe;
struct record *records;
size_t record_count;

static char *store; /* what records point into */
static size_t store_used;
static struct box boxes[BOXES_MAX];
static size_t box_count;
static pid_t children[CHILDREN_MAX];
static size_t child_count;
static char memory_mount[256], unified_mount[256];
static uint32_t memory_hierarchy;
static bool is_current_v1;
static struct crier_wire_counters counters;

/* running tests */

static jmp_buf test_end;
static char test_reason[512];
enum outcome { PASSED = 0, FAILED, SKIPPED };

void test_fail(const char *file, int line, const char *format, ...)
{
	const char *base = strrchr(file, '/');
	va_list args;
	int n = snprintf(test_reason, sizeof(test_reason), "%s:%d: ", base ? base + 1 : file, line);

	va_start(args, format);
	vsnprintf(test_reason + n, sizeof(test_reason) - (size_t)n, format, args);
	va_end(args);
	longjmp(test_end, FAILED);
}

void test_check_failed(const char *file, int line, const char *condition, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	test_fail(file, line, "%s%s", condition, text);
}

void test_skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(test_reason, sizeof(test_reason), format, args);
	va_end(args);
	longjmp(test_end, SKIPPED);
}

static void clean_up(void)
{
	for (size_t i = 0; i < child_count; i++) {
		if (children[i] <= 0)
			continue;
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	child_count = 0;
	while (box_count)
		box_remove(&boxes[box_count - 1]);
	crier_probe_free(probe);
	probe = NULL;
	records_clear();
}

static enum outcome run_one(const struct test_case *test)
{
	volatile enum outcome outcome = PASSED;
	int r;

	test_reason[0] = '\0';
	if (test->needs_root && geteuid() != 0) {
		printf("skip %s: needs root\n", test->name);
		return SKIPPED;
	}
	r = setjmp(test_end);
	if (r == 0)
		test->run();
	else
		outcome = (enum outcome)r;
	if (outcome == PASSED && probe) {
		r = setjmp(test_end);
		if (r == 0)
			setup_close();
		else
			outcome = (enum outcome)r;
	}
	clean_up();
	for (char *p = test_reason; *p; p++) /* one line a test */
		if (*p == '\n')
			*p = ' ';
	if (outcome == PASSED)
		printf("ok %s\n", test->name);
	else
		printf("%s %s: %s\n", outcome == FAILED ? "not ok" : "skip", test->name, test_reason);
	fflush(stdout);
	return outcome;
}

static void find_mounts(void)
{
	FILE *file = setmntent("/proc/self/mounts", "r");
	struct mntent *entry;
	char line[512];

	while (file && (entry = getmntent(file))) {
		if (strcmp(entry->mnt_type, "cgroup2") == 0 && !*unified_mount)
			snprintf(unified_mount, sizeof(unified_mount), "%s", entry->mnt_dir);
		if (strcmp(entry->mnt_type, "cgroup") == 0 && hasmntopt(entry, "memory"))
			snprintf(memory_mount, sizeof(memory_mount), "%s", entry->mnt_dir);
	}
	if (file)
		endmntent(file);
	file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, ":memory:"))
			memory_hierarchy = (uint32_t)atoi(line);
	if (file)
		fclose(file);
}

/* A program whose peak is over when it ends. */
static int grow_and_shrink(void)
{
	char *p = mmap(NULL, 48 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	memset(p, 1, 48 << 20);
	return munmap(p, 48 << 20) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct test_case *const suites[] = {
		open_tests,   load_tests, process_tests, second_tests,	   signal_tests,
		cgroup_tests, oom_tests,  loss_tests,	 old_kernel_tests, keys_tests};
	int failed = 0;

	if (argc == 2 && strcmp(argv[1], SELF_GROW_AND_SHRINK) == 0)
		return grow_and_shrink();
	signal(SIGPIPE, SIG_IGN);
	find_mounts();
	store = mmap(NULL, RECORD_STORE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	records = calloc(RECORDS_MAX, sizeof(*records));
	if (store == MAP_FAILED || !records)
		return 2;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(suites); i++)
		for (const struct test_case *test = suites[i]; test->name; test++)
			if (argc < 2 || strstr(test->name, argv[1]))
				failed += run_one(test) == FAILED;
	return failed ? 1 : 0;
}

/* the probe */

bool has_v1_memory(void)
{
	return *memory_mount;
}

bool has_v2(void)
{
	return *unified_mount;
}

void setup_options(const struct setup *setup, struct crier_probe_options *options)
{
	if (setup->is_v1 && !has_v1_memory())
		test_skip("the memory controller is on v2 here");
	if (!setup->is_v1 && !has_v2())
		test_skip("no v2 hierarchy is mounted here");
	*options = (struct crier_probe_options){
		.bulk_bytes = setup->bulk_bytes ? setup->bulk_bytes : 1u << 20,
		.critical_bytes = setup->critical_bytes ? setup->critical_bytes : 1u << 18,
		.class_entries = setup->class_entries ? setup->class_entries : 4096,
		.primary_is_v2 = !setup->is_v1,
		.primary_hierarchy_id = setup->is_v1 ? memory_hierarchy : 0,
		.wanted_events = UINT32_MAX,
		.preempts_programs = setup->has_seconds,
		.control = setup->control,
	};
	if (!options->control.event_mask)
		options->control.event_mask = UINT32_MAX;
	for (unsigned event = 0; setup->forced_kinds && event < CRIER_PROBE_EVENT_COUNT; event++)
		if (event != CRIER_PROBE_OOM_CONTROL && event != CRIER_PROBE_OOM_VICTIM)
			options->forced_kinds[event] = setup->forced_kinds;
	if (setup->oom_kinds)
		options->forced_kinds[CRIER_PROBE_OOM] = setup->oom_kinds;
}

static void seed_quiet(void *ctx, const struct crier_wire_seed *seed)
{
	if (*(bool *)ctx)
		CHECK_EQ(crier_probe_classify(probe, seed->task.cgroup_id, CRIER_CGROUP_HOST), 0);
}

void setup_open(const struct setup *setup)
{
	struct crier_probe_options options;
	struct crier_err err = {0};
	bool is_quiet = setup->is_quiet;
	int r;

	setup_options(setup, &options);
	is_current_v1 = setup->is_v1;
	r = crier_probe_open(&options, &probe, &err);
	CHECK(r == 0, "%s", err.message);
	CHECK(crier_probe_attach_cgroup(probe, &err) == 0, "%s", err.message);
	CHECK(crier_probe_attach_rest(probe, &err) == 0, "%s", err.message);
	CHECK_EQ(crier_probe_seed(probe, seed_quiet, &is_quiet), 0);
}

const struct crier_wire_counters *counters_now(void)
{
	CHECK_EQ(crier_probe_counters(probe, &counters), 0);
	return &counters;
}

void set_event_mask(uint32_t mask)
{
	struct crier_wire_control control = *crier_probe_control(probe);

	control.event_mask = mask;
	crier_probe_set_control(probe, &control);
}

void setup_close(void)
{
	const struct crier_wire_counters *c;

	crier_probe_detach(probe);
	sleep_ms(20); /* programs on other CPUs come to their end */
	records_drain();
	c = counters_now();
	for (int i = 0; i < CRIER_CLASS_COUNT; i++)
		CHECK_EQ(c->generated[i],
			 c->class_filtered[i] + c->suppressed[i] + c->reserve_failed[i] + c->submitted[i]);
	crier_probe_free(probe);
	probe = NULL;
}

/* records */

static void take_record(const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;

	CHECK(len >= sizeof(*header) && len % 8 == 0 && len <= CRIER_WIRE_RECORD_MAX, "length %zu", len);
	CHECK(((uintptr_t)bytes & 7) == 0, "a record is not aligned");
	CHECK_EQ(header->length, len);
	CHECK_EQ(header->version, CRIER_WIRE_VERSION);
	CHECK(crier_probe_hook_name(header->hook) != NULL, "hook %u has no name", header->hook);
	if (store_used + len > RECORD_STORE || record_count == RECORDS_MAX)
		test_fail(__FILE__, __LINE__, "more records than the test can keep");
	memcpy(store + store_used, bytes, len);
	records[record_count++].bytes = store + store_used;
	store_used += len;
}

static void take_records(void *ctx, const struct crier_slice *batch, size_t count)
{
	(void)ctx;
	CHECK(count > 0 && count <= CRIER_PROBE_BATCH, "a batch of %zu", count);
	for (size_t i = 0; i < count; i++)
		take_record(batch[i].ptr, batch[i].len);
}

void records_drain(void)
{
	while (crier_probe_drain(probe, 1u << 20, take_records, NULL) > 0)
		;
}

void records_clear(void)
{
	record_count = store_used = 0;
}

static uint32_t record_pid(const struct record *record)
{
	switch (record->header->type) {
	case CRIER_WIRE_EXEC: return record->exec->task.pid;
	case CRIER_WIRE_FORK: return record->fork->child.pid;
	case CRIER_WIRE_EXIT: return record->exit->task.pid;
	case CRIER_WIRE_SIGNAL: return record->signal->target.pid;
	case CRIER_WIRE_OOM: return record->oom->victim.pid;
	default: return 0;
	}
}

static bool is_match(const struct record *record, unsigned type, uint32_t pid, uint64_t cgroup_id)
{
	return record->header->type == type && (!pid || record_pid(record) == pid) &&
	       (!cgroup_id || record->header->cgroup_id == cgroup_id);
}

size_t records_count(unsigned type, uint32_t pid, uint64_t cgroup_id)
{
	size_t count = 0;

	records_drain();
	for (size_t i = 0; i < record_count; i++)
		count += is_match(&records[i], type, pid, cgroup_id);
	return count;
}

const struct record *records_need(unsigned type, uint32_t pid, uint64_t cgroup_id)
{
	for (unsigned waited = 0; waited < WAIT_MS; waited += 5) {
		records_drain();
		for (size_t i = 0; i < record_count; i++)
			if (is_match(&records[i], type, pid, cgroup_id))
				return &records[i];
		sleep_ms(5);
	}
	test_fail(__FILE__, __LINE__, "no record of type %u for pid %u, cgroup %llu (%zu records)", type, pid,
		  (unsigned long long)cgroup_id, record_count);
}

/* cgroups */

void write_file(const char *dir, const char *file, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	close(fd);
}

static uint64_t make_dir(const char *path)
{
	struct stat st;

	if (mkdir(path, 0755) < 0 || stat(path, &st) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	return st.st_ino;
}

struct box *box_make(const struct box *parent, const char *name)
{
	struct box *box = &boxes[box_count];
	char leaf[64];

	CHECK(box_count < BOXES_MAX, "too many boxes");
	*box = (struct box){0};
	snprintf(leaf, sizeof(leaf), "crier-test-%d-%s", getpid(), name);
	if (has_v1_memory()) {
		snprintf(box->memory, sizeof(box->memory), "%.180s/%s",
			 parent ? parent->memory : memory_mount, leaf);
		box->memory_id = make_dir(box->memory);
	}
	box_count++;
	if (has_v2()) {
		snprintf(box->unified, sizeof(box->unified), "%.180s/%s",
			 parent ? parent->unified : unified_mount, leaf);
		if (!has_v1_memory())
			write_file(parent ? parent->unified : unified_mount, "cgroup.subtree_control",
				   "+memory");
		box->unified_id = make_dir(box->unified);
	}
	if (!has_v1_memory()) {
		memcpy(box->memory, box->unified, sizeof(box->memory));
		box->memory_id = box->unified_id;
	}
	box->id = is_current_v1 ? box->memory_id : box->unified_id;
	return box;
}

static void remove_dir(const char *path)
{
	for (int i = 0; *path && i < 200 && rmdir(path) < 0 && errno == EBUSY; i++)
		sleep_ms(5);
}

void box_remove(struct box *box)
{
	remove_dir(box->unified);
	remove_dir(box->memory);
	if (box == &boxes[box_count - 1])
		box_count--;
	else
		box->unified[0] = box->memory[0] = '\0';
}

void box_limit(const struct box *box, uint64_t bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
	write_file(box->memory, has_v1_memory() ? "memory.limit_in_bytes" : "memory.max", text);
}

static void join_box(const struct box *box)
{
	write_file(box->unified, "cgroup.procs", "0");
	if (strcmp(box->memory, box->unified) != 0)
		write_file(box->memory, "cgroup.procs", "0");
}

/* children */

static void be_child(const struct box *box, child_fn fn, void *arg, int go_fd)
{
	char go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setjmp(test_end) != 0) { /* a check that failed in the child */
		fprintf(stderr, "child: %s\n", test_reason);
		_exit(99);
	}
	if (box)
		join_box(box);
	if (read(go_fd, &go, 1) != 1)
		_exit(98);
	close(go_fd);
	_exit(fn(arg));
}

static struct child start(const struct box *box, child_fn fn, void *arg, unsigned long flags)
{
	struct child child = {.go_fd = -1};
	int fds[2];

	while (child_count && children[child_count - 1] == 0)
		child_count--;
	CHECK(child_count < CHILDREN_MAX, "too many children");
	CHECK(pipe2(fds, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
	child.pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
	CHECK(child.pid >= 0, "clone: %s", strerror(errno));
	if (child.pid == 0) {
		close(fds[1]);
		be_child(box, fn, arg, fds[0]);
	}
	close(fds[0]);
	child.go_fd = fds[1];
	children[child_count++] = child.pid;
	return child;
}

struct child child_start(const struct box *box, child_fn fn, void *arg)
{
	struct child child = start(box, fn, arg, 0);

	wait_asleep(child.pid); /* in read(): it has joined its box */
	return child;
}

struct child child_start_init(const struct box *box, child_fn fn, void *arg)
{
	struct child child = start(box, fn, arg, CLONE_NEWPID);

	wait_asleep(child.pid);
	return child;
}

void child_go(struct child *child)
{
	CHECK(write(child->go_fd, "g", 1) == 1, "go: %s", strerror(errno));
	close(child->go_fd);
}

int child_wait(struct child *child)
{
	CHECK(wait4(child->pid, &child->status, 0, &child->usage) == child->pid, "wait: %s", strerror(errno));
	for (size_t i = 0; i < child_count; i++)
		if (children[i] == child->pid)
			children[i] = 0;
	return child->status;
}

int child_run(const struct box *box, child_fn fn, void *arg, struct child *ret_child)
{
	struct child child = child_start(box, fn, arg);
	int status;

	child_go(&child);
	status = child_wait(&child);
	if (ret_child)
		*ret_child = child;
	return status;
}

int body_exit(void *code)
{
	return (int)(intptr_t)code;
}

int body_pause(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

int body_hog(void *mib)
{
	for (long left = mib ? (long)(intptr_t)mib : -1; left; left--) {
		char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return 97;
		memset(p, 1, 1 << 20);
	}
	return body_pause(NULL);
}

/* time */

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sleep_ms(unsigned ms)
{
	struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

void wait_asleep(pid_t pid)
{
	char path[64], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; i < 1000; i++) {
		FILE *file = fopen(path, "re");
		size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
		const char *end;

		if (file)
			fclose(file);
		text[n] = '\0';
		end = strrchr(text, ')');
		if (!end || end[2] == 'S' || end[2] == 'Z')
			return;
		sleep_ms(1);
	}
}
