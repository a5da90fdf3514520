/* SPDX-License-Identifier: Apache-2.0 */
/* The one option table. Flags, YAML keys, --help, the man page, docs/options.md and deploy/crier.yaml all come from it. */
#include "options.h"

#include <errno.h>
#include <string.h>

#define KIB	  1024ULL
#define MIB	  (1024ULL * KIB)
#define GIB	  (1024ULL * MIB)
#define SEC	  1000ULL
#define MIN	  (60ULL * SEC)
#define HOUR	  (60ULL * MIN)
#define RATIO_ONE 1000000ULL

static const char *const output_names[] = {"json", "text", NULL};
static const char *const detail_names[] = {"auto", "full", "lean", NULL};
static const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};
static const char *const colour_names[] = {"auto", "always", "never", NULL};
static const char *const label_key_names[] = {"otel", "underscore", NULL};
const char *const crier_ebpf_names[CRIER_EBPF_COUNT + 1] = {"auto", "required", "off", NULL};
const char *const crier_cri_events_names[CRIER_CRI_EVENTS_COUNT + 1] = {"auto", "on", "off", NULL};
/* Index 0 is "none": not to be chosen. */
static const char *const severity_names[] = {NULL, "debug", "info", "warn", "error", "fatal", NULL};

static int check_pair(const char *value, struct crier_err *err)
{
	const char *equals = strchr(value, '=');

	if (!equals || equals == value)
		return crier_err_set(err, -EINVAL, "'%.80s' is not key=value", value);
	return 0;
}

/* Keys go into every line unescaped. */
static int check_resource(const char *value, struct crier_err *err)
{
	int r = check_pair(value, err);
	size_t len;

	if (r < 0)
		return r;
	len = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	if (value[len] != '=' || len > 63)
		return crier_err_set(err, -EINVAL,
				     "'%.80s': a key is 1 to 63 of letters, digits, '.', '_' and '-'", value);
	if (strlen(value + len + 1) > 256)
		return crier_err_set(err, -EINVAL, "'%.*s': its value is longer than 256 bytes", (int)len,
				     value);
	return 0;
}

static int check_label_filter(const char *value, struct crier_err *err)
{
	return check_pair(value[0] == '!' ? value + 1 : value, err);
}

static int check_pattern(const char *value, struct crier_err *err)
{
	if (strcmp(value, "!") == 0)
		return crier_err_set(err, -EINVAL, "'!' excludes nothing; write a pattern behind it");
	return 0;
}

static int check_absolute(const char *value, struct crier_err *err)
{
	if (value[0] != '/')
		return crier_err_set(err, -EINVAL, "'%.80s' is not an absolute path", value);
	return 0;
}

/* "" leaves the folder out. */
static int check_folder(const char *value, struct crier_err *err)
{
	return *value ? check_absolute(value, err) : 0;
}

static int check_socket(const char *value, struct crier_err *err)
{
	if (strcmp(value, "none") == 0 || value[0] == '/')
		return 0;
	if (strncmp(value, "unix:", 5) == 0)
		return crier_err_set(err, -EINVAL, "'%.80s': write the path alone, without 'unix:'", value);
	return crier_err_set(err, -EINVAL, "'%.80s' is neither an absolute path nor 'none'", value);
}

#define AT(member) .offset = offsetof(struct crier_config, member)
#define RELOAD	   CRIER_OPTION_RELOAD
#define FILTER(option_name, plural_name, member, text)                                                       \
	{                                                                                                    \
		.name = "filter-" option_name, .plural = "filter-" plural_name, .kind = CRIER_OPTION_LIST,   \
		AT(filter.member), .flags = RELOAD | CRIER_OPTION_COMMA, .metavar = "PATTERN",               \
		.check = check_pattern, .doc = text                                                          \
	}

/* clang-format off */
static const struct crier_option options[] = {
	{.group = "General", .name = "config", .kind = CRIER_OPTION_PATH, AT(config_path), .flags = CRIER_OPTION_FLAG_ONLY,
	 .doc = "YAML file that is read before the flags; its keys are the flags' names."},
	{.name = "output", .kind = CRIER_OPTION_ENUM, AT(output), .size = 4, .names = output_names, .def = "json",
	 .doc = "Lines as JSON for machines or as text for people."},
	{.name = "detail", .kind = CRIER_OPTION_ENUM, AT(detail), .size = 4, .flags = RELOAD, .names = detail_names, .def = "auto",
	 .doc = "Rendering: auto writes critical and container events in full and bulk ones lean."},
	{.name = "profile", .kind = CRIER_OPTION_ENUM, AT(profile), .size = 4, .flags = RELOAD, .names = crier_profile_names, .def = "default",
	 .doc = "Which events are wanted; a reload cannot add kernel hooks that were not loaded at start."},
	{.name = "log-level", .kind = CRIER_OPTION_ENUM, AT(log_level), .size = 4, .flags = RELOAD, .names = log_level_names, .def = "info",
	 .doc = "How much crier says on stderr about itself."},
	{.name = "colour", .kind = CRIER_OPTION_ENUM, AT(colour_when), .size = 4, .names = colour_names, .def = "auto",
	 .doc = "Colour of text output: auto is on a terminal when NO_COLOR is not set."},

	{.group = "Identity", .name = "node-name", .kind = CRIER_OPTION_STRING, AT(node_name), .max = 253,
	 .doc = "Name of the node in every line; default: $NODE_NAME, else the host's name."},
	{.name = "cluster-name", .kind = CRIER_OPTION_STRING, AT(cluster_name), .max = 253, .flags = RELOAD,
	 .doc = "Name of the cluster in every line; default: none."},
	{.name = "resource", .plural = "resources", .kind = CRIER_OPTION_LIST, AT(resources), .flags = RELOAD | CRIER_OPTION_PAIR,
	 .metavar = "KEY=VALUE", .check = check_resource, .doc = "Attribute that every line carries."},
	{.name = "label", .plural = "labels", .kind = CRIER_OPTION_LIST, AT(labels), .flags = RELOAD | CRIER_OPTION_COMMA, .metavar = "KEY",
	 .def = "app,app.kubernetes.io/name,app.kubernetes.io/instance,app.kubernetes.io/version,"
		"app.kubernetes.io/component,app.kubernetes.io/part-of",
	 .doc = "Pod label that lines carry."},
	{.name = "label-keys", .kind = CRIER_OPTION_ENUM, AT(label_keys), .size = 4, .flags = RELOAD, .names = label_key_names, .def = "otel",
	 .doc = "Label keys as they are (otel), or with every character outside A-Z, a-z, 0-9 and _ as _ (underscore)."},

	{.group = "Sources", .name = "host-root", .kind = CRIER_OPTION_PATH, AT(host_root), .flags = CRIER_OPTION_ABSOLUTE, .def = "/",
	 .doc = "Where the node's file system is seen: /host in a container that mounts it there."},
	{.name = "cri-socket", .kind = CRIER_OPTION_PATH, AT(cri_socket), .max = 107, .check = check_socket,
	 .doc = "Socket of the container runtime; none does without it; default: the first well-known one that exists."},
	{.name = "runtime-state-dir", .plural = "runtime-state-dirs", .kind = CRIER_OPTION_LIST, AT(runtime_state_dirs), .flags = CRIER_OPTION_COMMA,
	 .metavar = "PATH", .check = check_absolute,
	 .def = "/run/containerd,/run/k3s/containerd,/run/k0s/containerd,/var/snap/microk8s/common/run/containerd,"
		"/run/containers/storage,/var/lib/docker",
	 .doc = "Where a runtime keeps its containers' files, which name a pod before its first process: containerd's state, CRI-O's runroot, docker's "
		"data-root; the ones that are there are read."},
	{.name = "pod-logs-dir", .kind = CRIER_OPTION_PATH, AT(pod_logs_dir), .flags = CRIER_OPTION_EMPTY, .check = check_folder, .def = "/var/log/pods",
	 .doc = "The kubelet's podLogsDir: a pod's name by its uid, where nothing better tells it; empty = not read."},
	{.name = "container-logs-dir", .kind = CRIER_OPTION_PATH, AT(container_logs_dir), .flags = CRIER_OPTION_EMPTY, .check = check_folder, .def = "/var/log/containers",
	 .doc = "Where the kubelet links the logs: a container's name by its id, where nothing better tells it; empty = not read."},
	{.name = "btf", .kind = CRIER_OPTION_PATH, AT(btf),
	 .doc = "BTF file of the kernel; default: the kernel's own, /sys/kernel/btf/vmlinux."},
	{.name = "cri-timeout", .kind = CRIER_OPTION_DURATION, AT(cri_timeout_ms), .min = 10, .max = MIN, .def = "2s",
	 .doc = "Deadline of each call to the runtime."},
	{.name = "cri-events", .kind = CRIER_OPTION_ENUM, AT(cri_events), .size = 4, .names = crier_cri_events_names, .def = "auto",
	 .doc = "The runtime's event stream: auto leaves it alone where each event goes to one subscriber only (containerd 1.7)."},
	{.name = "reconcile-interval", .kind = CRIER_OPTION_DURATION, AT(reconcile_interval_ms), .min = SEC, .max = HOUR, .def = "30s",
	 .doc = "How often the runtime's lists are compared with what crier knows."},

	{.group = "Waiting and bounds", .name = "hold-age", .kind = CRIER_OPTION_DURATION, AT(hold_age_ms), .max = MIN, .def = "500ms", .flags = RELOAD,
	 .doc = "Longest time an event waits for its container's metadata; then it leaves partial."},
	{.name = "hold-named-age", .kind = CRIER_OPTION_DURATION, AT(hold_named_age_ms), .max = MIN, .def = "5ms", .flags = RELOAD,
	 .doc = "The same where the pod is named already and only the runtime's details (labels, image, limits) are missing."},
	{.name = "hold-events", .kind = CRIER_OPTION_COUNT_, AT(hold_events), .min = 1, .max = 1048576, .def = "16384",
	 .doc = "Events that may wait, all containers together."},
	{.name = "hold-bytes", .kind = CRIER_OPTION_SIZE, AT(hold_bytes), .min = 64 * KIB, .max = GIB, .def = "8MiB",
	 .doc = "Memory of waiting events, all containers together."},
	{.name = "hold-container-events", .kind = CRIER_OPTION_COUNT_, AT(hold_container_events), .min = 1, .max = 1048576, .def = "1024",
	 .doc = "Events of one container that may wait; at the bound they leave as they are."},
	{.name = "hold-container-bytes", .kind = CRIER_OPTION_SIZE, AT(hold_container_bytes), .min = 4 * KIB, .max = GIB, .def = "1MiB",
	 .doc = "Memory of one container's waiting events; at the bound they leave as they are."},
	{.name = "exit-wait", .kind = CRIER_OPTION_DURATION, AT(exit_wait_ms), .max = MIN, .def = "500ms", .flags = RELOAD,
	 .doc = "Longest time container.exited waits for the runtime's word on the exit; ten times as long where eBPF does not see exits."},
	{.name = "tombstone-age", .kind = CRIER_OPTION_DURATION, AT(tombstone_age_ms), .max = 24 * HOUR, .def = "5m",
	 .doc = "How long a dead container is remembered."},
	{.name = "tombstones", .kind = CRIER_OPTION_COUNT_, AT(tombstones), .max = 1000000, .def = "10000",
	 .doc = "Dead containers remembered; the oldest go first."},
	{.name = "slot-age", .kind = CRIER_OPTION_DURATION, AT(slot_age_ms), .max = 24 * HOUR, .def = "15m",
	 .doc = "How long the last death of a pod's container is kept to be linked with its restart."},
	{.name = "max-containers", .kind = CRIER_OPTION_COUNT_, AT(max_containers), .min = 16, .max = 1048576, .def = "16384",
	 .doc = "Living containers known at once."},
	{.name = "max-cgroups", .kind = CRIER_OPTION_COUNT_, AT(max_cgroups), .min = 64, .max = 4194304, .def = "65536",
	 .doc = "Cgroups known at once, in crier and in the kernel's class map."},

	{.group = "Kernel", .name = "ebpf", .kind = CRIER_OPTION_ENUM, AT(ebpf), .size = 4, .names = crier_ebpf_names, .def = "auto",
	 .doc = "Kernel programs: auto goes on without them where they cannot run, with OOM kills and lifecycle only; required refuses to start then."},
	{.name = "ring-bulk-bytes", .kind = CRIER_OPTION_SIZE, AT(ring_bulk_bytes), .min = 64 * KIB, .max = 64 * MIB,
	 .flags = CRIER_OPTION_POWER_OF_TWO, .def = "1MiB", .doc = "Ring of bulk events, a power of two."},
	{.name = "ring-critical-bytes", .kind = CRIER_OPTION_SIZE, AT(ring_critical_bytes), .min = 64 * KIB, .max = 64 * MIB,
	 .flags = CRIER_OPTION_POWER_OF_TWO, .def = "256KiB", .doc = "Ring of OOM kills and container ends, a power of two."},
	{.name = "event-rate", .kind = CRIER_OPTION_COUNT_, AT(event_rate), .max = 10000000, .def = "20000", .flags = RELOAD,
	 .doc = "Bulk events a cgroup may make in a second, the rest is counted as suppressed; 0 = no bound."},
	{.name = "critical-rate", .kind = CRIER_OPTION_COUNT_, AT(critical_rate), .max = 10000000, .def = "5000", .flags = RELOAD,
	 .doc = "Critical events a cgroup may make in a second: far above honest use; 0 = no bound."},
	{.name = "max-cpu", .kind = CRIER_OPTION_RATIO, AT(max_cpu), .max = 64 * RATIO_ONE, .def = "1", .flags = RELOAD,
	 .doc = "CPUs crier may use, averaged over seconds; above it bulk events wait in their ring, and what does not fit is lost and counted; critical ones never wait. 0 = no bound."},
	{.name = "drain-interval", .kind = CRIER_OPTION_DURATION, AT(drain_interval_ms), .min = 1, .max = SEC, .def = "20ms", .flags = RELOAD,
	 .doc = "How long bulk events may gather in the ring once one has come."},
	{.name = "hook", .plural = "hooks", .kind = CRIER_OPTION_LIST, AT(hooks), .flags = CRIER_OPTION_COMMA | CRIER_OPTION_PAIR, .metavar = "EVENT=KIND",
	 .check = check_pair, .doc = "Only this kind of hook for an event, such as oom=kprobe; user is none of the kernel's; see crier check."},
	{.name = "process-args", .kind = CRIER_OPTION_BOOL, AT(process_args), .def = "false", .flags = RELOAD,
	 .doc = "Arguments in process.exec. They are secrets' favourite place: off unless asked for."},
	{.name = "redact", .kind = CRIER_OPTION_LIST, AT(redact), .flags = RELOAD | CRIER_OPTION_COMMA, .metavar = "PATTERN", .def = "*password*,*token*,*secret*,*key*",
	 .check = check_pattern, .doc = "Pattern of argument names whose values are hidden, in lower case; PASSWORD matches too."},

	{.group = "Memory and CPU", .name = "pressure-enter-ratio", .kind = CRIER_OPTION_RATIO, AT(pressure_enter_ratio), .min = RATIO_ONE / 100, .max = RATIO_ONE, .def = "0.9",
	 .flags = RELOAD, .doc = "Working set over limit at which memory pressure begins."},
	{.name = "pressure-exit-ratio", .kind = CRIER_OPTION_RATIO, AT(pressure_exit_ratio), .min = RATIO_ONE / 100, .max = RATIO_ONE, .def = "0.8",
	 .flags = RELOAD, .doc = "Working set over limit below which it ends."},
	{.name = "pressure-critical-ratio", .kind = CRIER_OPTION_RATIO, AT(pressure_critical_ratio), .min = RATIO_ONE / 100, .max = RATIO_ONE, .def = "0.95",
	 .flags = RELOAD, .doc = "Working set over limit at which it is critical, if the container also stalls."},
	{.name = "pressure-interval", .kind = CRIER_OPTION_DURATION, AT(pressure_interval_ms), .min = SEC, .max = HOUR, .def = "60s",
	 .flags = RELOAD, .doc = "Lasting pressure is told at most this often; profile memory: 10s."},
	{.name = "throttle-ratio", .kind = CRIER_OPTION_RATIO, AT(throttle_ratio), .min = RATIO_ONE / 100, .max = RATIO_ONE, .def = "0.25",
	 .flags = RELOAD, .doc = "Share of throttled periods above which container.cpu_throttle is told."},
	{.name = "throttle-interval", .kind = CRIER_OPTION_DURATION, AT(throttle_interval_ms), .min = SEC, .max = HOUR, .def = "30s",
	 .flags = RELOAD, .doc = "How often cpu.stat of containers with a quota is read."},
	{.name = "node-memory-enter-ratio", .kind = CRIER_OPTION_RATIO, AT(node_memory_enter_ratio), .max = RATIO_ONE, .def = "0.1",
	 .flags = RELOAD, .doc = "Available over total memory below which the node is under pressure."},
	{.name = "node-memory-interval", .kind = CRIER_OPTION_DURATION, AT(node_memory_interval_ms), .min = SEC, .max = HOUR, .def = "10s",
	 .flags = RELOAD, .doc = "How often /proc/meminfo is read."},

	{.group = "Output", .name = "output-target", .kind = CRIER_OPTION_PATH, AT(output_target), .def = "-",
	 .doc = "Where lines go: - is stdout, unix:PATH a stream socket, anything else a file to append to."},
	{.name = "max-output-bytes", .kind = CRIER_OPTION_SIZE, AT(max_output_bytes), .max = GIB, .def = "256KiB", .flags = RELOAD,
	 .doc = "Bytes of bulk lines a second, the rest is counted as suppressed; 0 = no bound."},
	{.name = "sink-buffer-bytes", .kind = CRIER_OPTION_SIZE, AT(sink_buffer_bytes), .min = 64 * KIB, .max = GIB, .def = "4MiB",
	 .doc = "Lines that wait for a slow reader; bulk lines may use three quarters."},
	{.name = "stats-interval", .kind = CRIER_OPTION_DURATION, AT(stats_interval_ms), .max = 24 * HOUR, .def = "1m", .flags = RELOAD,
	 .doc = "How often agent.stats is told; 0 = never."},
	{.name = "snapshot-interval", .kind = CRIER_OPTION_DURATION, AT(snapshot_interval_ms), .max = 168 * HOUR, .def = "1h", .flags = RELOAD,
	 .doc = "How often container.snapshot of every container is told after the start; 0 = never again."},

	FILTER("type", "types", types, "Only these event types."),
	FILTER("namespace", "namespaces", namespaces, "Only pods of these namespaces."),
	FILTER("pod", "pods", pods, "Only pods of these names."),
	{.name = "filter-label", .plural = "filter-labels", .kind = CRIER_OPTION_LIST, AT(filter.labels), .flags = RELOAD | CRIER_OPTION_PAIR,
	 .metavar = "KEY=PATTERN", .check = check_label_filter, .doc = "Only pods with one of these labels; the label must be among --label."},
	FILTER("container", "containers", containers, "Only containers of these names."),
	FILTER("process", "processes", processes, "Only process.* events of these command names."),
	{.name = "min-severity", .kind = CRIER_OPTION_ENUM, AT(filter.min_severity), .size = 1, .flags = RELOAD, .names = severity_names, .def = "debug",
	 .doc = "Only events at least this severe."},

	{.group = "Life", .name = "harden", .kind = CRIER_OPTION_BOOL, AT(harden), .def = "true",
	 .doc = "Give up after the start what is not needed any more: capabilities, exec, system calls, writing elsewhere. Off for debugging only."},
	{.name = "state-file", .kind = CRIER_OPTION_PATH, AT(state_file), .flags = CRIER_OPTION_EMPTY, .def = "/run/crier/state.json",
	 .doc = "Where crier keeps its last number and time, so that the next start can tell the gap; empty = nowhere."},
	{.name = "stop-deadline", .kind = CRIER_OPTION_DURATION, AT(stop_deadline_ms), .max = MIN, .def = "5s", .flags = RELOAD,
	 .doc = "Longest time crier takes to end after SIGTERM."},
};
/* clang-format on */

_Static_assert(CRIER_ARRAY_SIZE(options) <= CRIER_OPTIONS_MAX,
	       "the bit sets of struct crier_config are too small");

const struct crier_option *crier_options(size_t *ret_count)
{
	*ret_count = CRIER_ARRAY_SIZE(options);
	return options;
}

size_t crier_option_number(const struct crier_option *option)
{
	return (size_t)(option - options);
}

static bool is_name(const char *name, const char *text, size_t len)
{
	return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

const struct crier_option *crier_option_find(const char *name, size_t len)
{
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(options); i++)
		if (is_name(options[i].name, name, len) || is_name(options[i].plural, name, len))
			return &options[i];
	return NULL;
}

#define WORD_MAX 32

/* Edit distance with transpositions: three rows are enough. Words are shorter than WORD_MAX. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned before[WORD_MAX + 1] = {0}, above[WORD_MAX + 1] = {0}, row[WORD_MAX + 1] = {0};

	for (size_t j = 0; j <= b_len; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned change = above[j - 1] + (a[i - 1] != b[j - 1]);
			unsigned shift = crier_min(above[j], row[j - 1]) + 1;
			unsigned best = crier_min(change, shift);

			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = crier_min(best, before[j - 2] + 1);
			row[j] = best;
		}
		memcpy(before, above, sizeof(before));
		memcpy(above, row, sizeof(above));
	}
	return above[b_len];
}

void crier_suggest(struct crier_suggestion *suggestion, const char *name)
{
	size_t word_len = strlen(suggestion->word), name_len = strlen(name);
	unsigned d;

	if (word_len < 2 || word_len > WORD_MAX || name_len > WORD_MAX)
		return;
	/* A long enough beginning counts as one slip. */
	if (word_len >= 4 && name_len > word_len && memcmp(name, suggestion->word, word_len) == 0)
		d = 1;
	else
		d = distance(suggestion->word, word_len, name, name_len);
	if (d > 1 + word_len / 5 || (suggestion->best && d >= suggestion->distance))
		return;
	suggestion->best = name;
	suggestion->distance = d;
}

const char *crier_option_suggest(const char *word)
{
	struct crier_suggestion suggestion = {.word = word};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(options); i++)
		crier_suggest(&suggestion, options[i].name);
	return suggestion.best;
}
