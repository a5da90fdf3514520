/* SPDX-License-Identifier: Apache-2.0 */
/* The fallback from outside: opened, waited for, drained, asked what it can do. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

bool crier_fallback_wants(const struct crier_fallback *f, enum crier_probe_event event)
{
	return f->wanted & (1u << event);
}

void crier_fallback_emit(struct crier_fallback *f, enum crier_probe_event event, enum crier_wire_type type,
			 enum crier_wire_hook hook, uint64_t cgroup_id, void *record, size_t len)
{
	struct crier_wire_header *header = record;

	if (f->is_starting || !f->fn || !crier_fallback_wants(f, event))
		return;
	*header = (struct crier_wire_header){
		.length = (__u16)len,
		.version = CRIER_WIRE_VERSION,
		.type = (__u8)type,
		.ring = CRIER_CLASS_CRITICAL,
		.hook = (__u8)hook,
		.cpu = type == CRIER_WIRE_OOM && hook == CRIER_HOOK_KMSG ? header->cpu
									 : (__u16)CRIER_WIRE_CPU_UNKNOWN,
		.boottime_ns = f->now_ns,
		.cgroup_id = cgroup_id,
	};
	if (type >= CRIER_WIRE_EXEC) {
		f->counters.generated[CRIER_CLASS_CRITICAL]++;
		f->counters.submitted[CRIER_CLASS_CRITICAL]++;
	} else {
		f->counters.control_submitted++;
	}
	f->records++;
	f->fn(f->ctx, record, len);
}

void crier_fallback_worry(struct crier_fallback *f, const char *remedy, const char *format, ...)
{
	char what[sizeof(f->trouble)];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	if (strcmp(what, f->trouble) == 0)
		return;
	memcpy(f->trouble, what, sizeof(what));
	snprintf(f->remedy, sizeof(f->remedy), "%s", remedy);
	f->troubles++;
}

int crier_fallback_read(const char *root, struct crier_slice path, const char *name, char *buf, size_t cap,
			size_t *ret_len)
{
	char full[PATH_MAX];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	if (snprintf(full, sizeof(full), "%s%.*s/%s", root, (int)path.len, path.ptr, name) >=
	    (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, cap - 1);
	if (n < 0)
		return -errno;
	buf[n] = '\0';
	*ret_len = (size_t)n;
	return 0;
}

static int add_source(struct crier_fallback *f, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return fd < 0 || epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

static int open_sources(struct crier_fallback *f)
{
	int r;

	f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (f->epoll_fd < 0)
		return -errno;
	r = crier_fallback_kmsg_open(f->options.kmsg_path);
	if (r < 0)
		f->kmsg_error = -r;
	else
		f->kmsg_fd = r;
	if (!f->layout->memory_is_v2 && f->layout->memory_root[0])
		f->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r = crier_tree_open(f);
	if (r == 0)
		r = add_source(f, f->kmsg_fd);
	if (r == 0)
		r = add_source(f, f->inotify_fd);
	if (r == 0)
		r = add_source(f, f->event_fd);
	return r;
}

int crier_fallback_open(const struct crier_fallback_options *options, struct crier_fallback **ret_fallback,
			struct crier_err *err)
{
	struct crier_fallback *f = calloc(1, sizeof(*f));
	int r;

	if (!f)
		return crier_err_set(err, -ENOMEM, "fallback: out of memory");
	f->options = *options;
	f->layout = options->layout;
	f->wanted = options->wanted & CRIER_FALLBACK_EVENTS;
	if (options->host_root && strcmp(options->host_root, "/") != 0)
		snprintf(f->host_root, sizeof(f->host_root), "%s", options->host_root);
	f->epoll_fd = f->inotify_fd = f->kmsg_fd = f->event_fd = -1;
	f->page_size = (uint32_t)sysconf(_SC_PAGESIZE);
	f->tick_ns = SECOND_NS / (uint64_t)sysconf(_SC_CLK_TCK);
	f->proc_is_hosts = crier_proc_is_hosts(options->host_root);
	crier_list_init(&f->pending);
	r = open_sources(f);
	if (r < 0)
		(void)crier_err_set(err, r, "fallback: %s cannot be watched: %s", f->layout->primary_root,
				    strerror(-r));
	else if (f->inotify_fd < 0 && f->kmsg_fd < 0)
		r = crier_err_set(
			err, -ENOTSUP,
			"fallback: neither inotify (%s; raise fs.inotify.max_user_instances) nor %s (%s; "
			"grant CAP_SYSLOG and the device) can be had",
			strerror(f->inotify_error), options->kmsg_path, strerror(f->kmsg_error));
	if (r < 0) {
		crier_fallback_free(f);
		return r;
	}
	*ret_fallback = f;
	return 0;
}

void crier_fallback_free(struct crier_fallback *f)
{
	if (!f)
		return;
	crier_tree_close(f);
	const int fds[] = {f->epoll_fd, f->kmsg_fd, f->event_fd};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(f);
}

void crier_fallback_want(struct crier_fallback *f, uint32_t events)
{
	f->wanted |= events & CRIER_FALLBACK_EVENTS;
}

void crier_fallback_tell_starts(struct crier_fallback *f)
{
	f->options.leave_starts = false;
}

int crier_fallback_fd(const struct crier_fallback *f)
{
	return f->epoll_fd;
}

uint64_t crier_fallback_deadline(const struct crier_fallback *f)
{
	return crier_counts_deadline(f);
}

size_t crier_fallback_drain(struct crier_fallback *f, uint64_t now_ns, size_t max_records,
			    crier_probe_record_fn fn, void *ctx)
{
	f->now_ns = now_ns;
	f->records = 0;
	f->fn = fn;
	f->ctx = ctx;
	/* The log first: its kills are found in directories that the tree has not lost yet. */
	crier_kmsg_drain(f);
	crier_tree_drain(f, max_records);
	crier_counts_on_event(f);
	crier_counts_settle(f);
	f->fn = NULL;
	return f->records;
}

/* ---- what it can do ---- */

static void add_hook(struct crier_event_report *report, const char *name, bool chosen, const char *reason)
{
	struct crier_hook_report *hook = &report->hooks[report->hook_count];

	if (report->hook_count == CRIER_PROBE_HOOKS_MAX)
		return;
	report->hook_count++;
	*hook = (struct crier_hook_report){.name = name, .chosen = chosen};
	if (!chosen)
		snprintf(hook->reason, sizeof(hook->reason), "%s", reason);
	report->served |= chosen;
}

static const char *kmsg_reason(const struct crier_fallback *f)
{
	switch (f->kmsg_error) {
	case EPERM:
	case EACCES: return "not permitted: grant CAP_SYSLOG, and the device /dev/kmsg to the container";
	case ENOENT: return "there is no /dev/kmsg: give the node's to the container";
	default: return strerror(f->kmsg_error);
	}
}

static const char *inotify_reason(const struct crier_fallback *f)
{
	if (f->inotify_error == EMFILE)
		return "no inotify instance is left: raise fs.inotify.max_user_instances";
	return strerror(f->inotify_error);
}

/* Whether a container's OOM count can be watched: proven with the first container. */
static const char *counts_reason(const struct crier_fallback *f)
{
	if (f->layout->memory_is_v2)
		return f->inotify_fd < 0 ? inotify_reason(f)
		       : f->counts_error ? strerror(f->counts_error)
					 : NULL;
	if (!f->layout->memory_root[0])
		return "no memory controller is mounted";
	return f->counts_error ? "cgroup.event_control cannot be written: mount cgroups writable" : NULL;
}

void crier_fallback_report(const struct crier_fallback *f,
			   struct crier_event_report reports[CRIER_PROBE_EVENT_COUNT])
{
	const bool v2 = f->layout->memory_is_v2;
	const char *counts = counts_reason(f);

	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		struct crier_event_report *report = &reports[event];

		if (!(f->wanted & (1u << event)))
			continue;
		switch (event) {
		case CRIER_PROBE_CGROUP_MKDIR:
		case CRIER_PROBE_CGROUP_RMDIR:
			add_hook(report, "inotify:cgroup", f->inotify_fd >= 0, inotify_reason(f));
			break;
		case CRIER_PROBE_CGROUP_POPULATED:
			add_hook(report, "inotify:cgroup.events",
				 f->inotify_fd >= 0 && f->layout->primary_is_v2,
				 f->inotify_fd < 0 ? inotify_reason(f) : "cgroup v1 has no cgroup.events");
			break;
		case CRIER_PROBE_OOM:
			add_hook(report, "kmsg:oom", f->kmsg_fd >= 0, kmsg_reason(f));
			add_hook(report, v2 ? "inotify:memory.events" : "eventfd:memory.oom_control", !counts,
				 counts ? counts : "");
			break;
		default: /* pressure */
			add_hook(report, "inotify:memory.events", v2 && !counts,
				 v2 && counts ? counts : "cgroup v1 has no memory.events");
			break;
		}
	}
}

void crier_fallback_counters(const struct crier_fallback *f, struct crier_wire_counters *sum)
{
	const uint64_t *from = (const uint64_t *)&f->counters;
	uint64_t *to = (uint64_t *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++) /* all of it is u64 */
		to[i] += from[i];
}

unsigned crier_fallback_trouble(const struct crier_fallback *f, const char **ret_what,
				const char **ret_remedy)
{
	if (f->troubles) {
		*ret_what = f->trouble;
		*ret_remedy = f->remedy;
	}
	return f->troubles;
}

/* ---- proof ---- */

struct proof {
	uint64_t id;
	bool seen;
	crier_probe_record_fn fn;
	void *ctx;
};

static void take_proof(void *ctx, const void *bytes, size_t len)
{
	const struct crier_wire_header *header = bytes;
	struct proof *proof = ctx;

	if (header->cgroup_id != proof->id)
		proof->fn(proof->ctx, bytes, len);
	else
		proof->seen |= header->type == CRIER_WIRE_CGROUP_MKDIR;
}

int crier_fallback_self_test(struct crier_fallback *f, uint64_t now_ns, crier_probe_record_fn fn, void *ctx)
{
	struct proof proof = {.fn = fn, .ctx = ctx};
	char path[PATH_MAX];
	struct stat st = {0};
	int r = 0;

	if (f->inotify_fd < 0 || !crier_fallback_wants(f, CRIER_PROBE_CGROUP_MKDIR))
		return -ENOTSUP;
	if ((size_t)snprintf(path, sizeof(path), "%s/crier-self-test-%d", f->layout->primary_root,
			     getpid()) >= sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0755) < 0)
		return -errno;
	if (stat(path, &st) < 0)
		r = -errno;
	proof.id = st.st_ino;
	if (r == 0) /* inotify queues before mkdir returns */
		(void)crier_fallback_drain(f, now_ns, SIZE_MAX, take_proof, &proof);
	if (rmdir(path) < 0 && r == 0)
		r = -errno;
	(void)crier_fallback_drain(f, now_ns, SIZE_MAX, take_proof, &proof);
	return r < 0 ? r : proof.seen;
}

static uint64_t read_limit(const char *name)
{
	char text[32] = "";
	size_t len = 0;
	uint64_t value;

	if (crier_fallback_read("/proc/sys/fs/inotify", CRIER_SLICE(""), name, text, sizeof(text), &len) < 0)
		return 0;
	while (len && text[len - 1] == '\n')
		len--;
	return crier_parse_u64((struct crier_slice){text, len}, &value) == 0 ? value : 0;
}

void crier_fallback_inotify_limits(struct crier_inotify_limits *ret_limits)
{
	*ret_limits = (struct crier_inotify_limits){
		.watches = read_limit("max_user_watches"),
		.instances = read_limit("max_user_instances"),
		.queued = read_limit("max_queued_events"),
	};
}
