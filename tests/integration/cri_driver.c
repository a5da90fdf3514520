/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CRI client by hand, for cri.py: every mailbox message as a line of JSON, commands on stdin.
 *
 *   cri_driver discover ROOT
 *   cri_driver probe SOCKET TIMEOUT_MS
 *   cri_driver watch SOCKET [timeout_ms=N] [reconcile_ms=N] [in_flight=N] [queued=N] [receive=N] [mailbox=N] [life=N]
 *       [stream=1|2]: 1 where events go to every subscriber, 2 wherever they are offered
 *
 * Commands of watch: container ID, container+pod ID, urgent ID (a container), sandbox ID, unknown ID, unknown+pod ID, reconcile, stall
 * (leave the mailbox alone), resume, stats, free (prints how long crier_cri_free() took, and ends).
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <time.h>

#include "crier/base/log.h"
#include "crier/cri.h"

static const char *const type_names[CRIER_META_TYPE_COUNT] = {
	[CRIER_META_NONE] = "none",
	[CRIER_META_RUNTIME] = "runtime",
	[CRIER_META_DOWN] = "down",
	[CRIER_META_POD] = "pod",
	[CRIER_META_CONTAINER] = "container",
	[CRIER_META_MISSING] = "missing",
	[CRIER_META_LIST_BEGIN] = "list_begin",
	[CRIER_META_LIST_END] = "list_end",
	[CRIER_META_EVENT] = "event",
};

static const char *const status_names[CRIER_META_STATUS_COUNT] = {
	[CRIER_META_OK] = "ok",		  [CRIER_META_NOT_FOUND] = "not_found",
	[CRIER_META_TIMEOUT] = "timeout", [CRIER_META_UNAVAILABLE] = "unavailable",
	[CRIER_META_REFUSED] = "refused", [CRIER_META_INVALID] = "invalid",
};

static const char *const event_names[CRIER_META_EVENT_COUNT] = {
	[CRIER_META_EVENT_NONE] = "none",	[CRIER_META_EVENT_CREATED] = "created",
	[CRIER_META_EVENT_STARTED] = "started", [CRIER_META_EVENT_STOPPED] = "stopped",
	[CRIER_META_EVENT_DELETED] = "deleted",
};

static const char *const stream_names[CRIER_STREAM_COUNT] = {
	[CRIER_STREAM_UNKNOWN] = "unknown", [CRIER_STREAM_OPEN] = "open",
	[CRIER_STREAM_BROKEN] = "broken",   [CRIER_STREAM_NOT_OFFERED] = "not_offered",
	[CRIER_STREAM_SHARED] = "shared",   [CRIER_STREAM_OFF] = "off",
};

static void text(json_t *object, const char *key, struct crier_slice value)
{
	if (!value.ptr)
		return;
	json_t *string = json_stringn(value.ptr, value.len);

	json_object_set_new(object, key, string ? string : json_string("(not UTF-8)"));
}

static void number(json_t *object, const char *key, uint64_t value)
{
	if (value != CRIER_UNKNOWN_U64)
		json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void labels(json_t *object, const struct crier_meta_labels *from)
{
	json_t *all = json_object();

	for (size_t i = 0; i < from->count; i++) {
		_cleanup_free_ char *key = strndup(from->items[i].key.ptr, from->items[i].key.len);

		text(all, key, from->items[i].value);
	}
	json_object_set_new(object, "labels", all);
	if (from->dropped)
		number(object, "labels_dropped", from->dropped);
}

static json_t *pod_json(const struct crier_meta_pod *pod)
{
	json_t *object = json_object();

	text(object, "sandbox_id", pod->sandbox_id);
	text(object, "name", pod->name);
	text(object, "namespace", pod->namespace_);
	text(object, "uid", pod->uid);
	text(object, "ip", pod->ip);
	text(object, "cgroup_parent", pod->cgroup_parent);
	text(object, "runtime_handler", pod->runtime_handler);
	number(object, "attempt", pod->attempt);
	number(object, "created_at_ns", pod->created_at_ns);
	number(object, "pid", pod->pid);
	number(object, "ready", pod->ready);
	labels(object, &pod->labels);
	return object;
}

static json_t *container_json(const struct crier_meta_container *container)
{
	json_t *object = json_object();

	text(object, "id", container->id);
	text(object, "sandbox_id", container->sandbox_id);
	text(object, "name", container->name);
	text(object, "pod_name", container->pod_name);
	text(object, "pod_namespace", container->pod_namespace);
	text(object, "pod_uid", container->pod_uid);
	text(object, "image", container->image);
	text(object, "image_id", container->image_id);
	text(object, "reason", container->reason);
	text(object, "message", container->message);
	text(object, "cgroups_path", container->cgroups_path);
	text(object, "type", container->type);
	number(object, "restart_count", container->restart_count);
	number(object, "state", container->state);
	number(object, "created_at_ns", container->created_at_ns);
	number(object, "started_at_ns", container->started_at_ns);
	number(object, "finished_at_ns", container->finished_at_ns);
	if (container->exit_code != CRIER_UNKNOWN_I64)
		json_object_set_new(object, "exit_code", json_integer(container->exit_code));
	number(object, "pid", container->pid);
	number(object, "memory_limit_bytes", container->memory_limit_bytes);
	number(object, "cpu_quota_us", container->cpu_quota_us);
	number(object, "cpu_period_us", container->cpu_period_us);
	number(object, "grace_period_s", container->grace_period_s);
	labels(object, &container->labels);
	return object;
}

static json_t *message_json(const struct crier_meta_message *message)
{
	json_t *object = json_object();

	text(object, "type", crier_slice_of(type_names[message->type]));
	text(object, "status", crier_slice_of(status_names[message->status]));
	number(object, "generation", message->generation);
	text(object, "id", message->id);
	text(object, "error", message->error);
	if (message->type == CRIER_META_RUNTIME) {
		text(object, "name", message->runtime.name);
		text(object, "version", message->runtime.version);
		text(object, "api_version", message->runtime.api_version);
		number(object, "ready", message->runtime.ready);
		text(object, "stream", crier_slice_of(stream_names[message->runtime.stream]));
	}
	if (message->type == CRIER_META_EVENT) {
		text(object, "event", crier_slice_of(event_names[message->event]));
		number(object, "at_ns", message->event_at_ns);
	}
	if (message->type == CRIER_META_LIST_END)
		number(object, "skipped", message->skipped);
	if (message->pod.sandbox_id.ptr)
		json_object_set_new(object, "pod", pod_json(&message->pod));
	if (message->type == CRIER_META_CONTAINER || message->container.id.ptr)
		json_object_set_new(object, "container", container_json(&message->container));
	return object;
}

static void print(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	fputc('\n', stdout);
	fflush(stdout);
	json_decref(object);
}

static void drain(struct crier_mailbox *mailbox)
{
	static struct crier_meta_message message;
	size_t len = 0;

	for (;;) {
		const void *blob = crier_mailbox_pop(mailbox, &len);

		if (!blob)
			return;
		if (crier_meta_decode(blob, len, &message) < 0)
			print(json_pack("{s:s}", "type", "undecodable"));
		else
			print(message_json(&message));
	}
}

static uint64_t status_value(const char *key)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			return strtoull(line + strlen(key), NULL, 10);
	return 0;
}

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int ask(struct crier_cri *cri, const char *word, const char *id)
{
	static const struct {
		const char *word;
		enum crier_cri_question question;
		bool with_pod, urgent;
	} words[] = {
		{"container", CRIER_CRI_CONTAINER, false, false},
		{"container+pod", CRIER_CRI_CONTAINER, true, false},
		{"urgent", CRIER_CRI_CONTAINER, false, true},
		{"sandbox", CRIER_CRI_SANDBOX, false, false},
		{"unknown", CRIER_CRI_UNKNOWN, false, false},
		{"unknown+pod", CRIER_CRI_UNKNOWN, true, false},
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i].word) == 0)
			return crier_cri_ask(cri, words[i].question, crier_slice_of(id), words[i].with_pod,
					     words[i].urgent);
	return -ENOSYS;
}

/* @return false: the client is gone */
static bool obey(struct crier_cri *cri, struct crier_mailbox *mailbox, char *line, bool *stalled)
{
	const char *word = strtok(line, " \n"), *id = strtok(NULL, " \n");

	if (!word)
		return true;
	if (strcmp(word, "free") == 0) {
		double begin = now_ms();

		crier_cri_free(cri);
		print(json_pack("{s:s,s:f}", "type", "freed", "ms", now_ms() - begin));
		drain(mailbox);
		return false;
	}
	if (strcmp(word, "stall") == 0 || strcmp(word, "resume") == 0)
		*stalled = word[0] == 's';
	else if (strcmp(word, "reconcile") == 0)
		crier_cri_reconcile(cri);
	else if (strcmp(word, "stats") == 0)
		print(json_pack("{s:s,s:I,s:I,s:I}", "type", "stats", "threads",
				(json_int_t)status_value("Threads:"), "rss_kib",
				(json_int_t)status_value("VmRSS:"), "anon_kib",
				(json_int_t)status_value("RssAnon:")));
	else
		print(json_pack("{s:s,s:i}", "type", "asked", "result", ask(cri, word, id ? id : "")));
	return true;
}

static int set_option(struct crier_cri_options *options, size_t *mailbox_bytes, const char *arg)
{
	unsigned long value = strchr(arg, '=') ? strtoul(strchr(arg, '=') + 1, NULL, 10) : 0;
	const struct {
		const char *name;
		uint32_t *value;
	} known[] = {
		{"timeout_ms=", &options->timeout_ms},	   {"reconcile_ms=", &options->reconcile_ms},
		{"in_flight=", &options->max_in_flight},   {"queued=", &options->max_queued},
		{"receive=", &options->receive_max_bytes}, {"life=", &options->stream_life_ms},
	};

	options->stream |= strcmp(arg, "stream=1") == 0 || strcmp(arg, "stream=2") == 0;
	options->stream_shared |= strcmp(arg, "stream=2") == 0;
	if (strncmp(arg, "stream=", 7) == 0)
		return 0;

	if (strncmp(arg, "mailbox=", 8) == 0) {
		*mailbox_bytes = value;
		return 0;
	}
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(known); i++)
		if (strncmp(arg, known[i].name, strlen(known[i].name)) == 0) {
			*known[i].value = (uint32_t)value;
			return 0;
		}
	return -EINVAL;
}

static int watch(const char *socket, char **args)
{
	struct crier_cri_options options;
	size_t mailbox_bytes = 8 << 20;
	struct crier_mailbox *mailbox = NULL;
	struct crier_cri *cri = NULL;
	struct crier_err err = {0};
	bool stalled = false;
	char line[512];

	crier_cri_options_default(&options);
	options.socket = socket;
	for (; *args; args++)
		if (set_option(&options, &mailbox_bytes, *args) < 0)
			return 2;
	if (crier_mailbox_new(mailbox_bytes, &mailbox) < 0)
		return 1;
	if (crier_cri_new(&options, mailbox, &cri, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	setvbuf(stdin, NULL, _IONBF, 0); /* poll() and stdio see the same bytes */
	for (;;) {
		struct pollfd fds[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = stalled ? -1 : crier_mailbox_fd(mailbox), .events = POLLIN},
		};

		if (poll(fds, CRIER_ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents)
			drain(mailbox);
		if (fds[0].revents &&
		    (!fgets(line, sizeof(line), stdin) || !obey(cri, mailbox, line, &stalled)))
			break;
	}
	if (feof(stdin))
		crier_cri_free(cri);
	crier_mailbox_free(mailbox);
	return 0;
}

static int probe(const char *socket, const char *timeout_ms)
{
	struct crier_cri_facts facts;
	struct crier_err err = {0};
	double begin = now_ms();

	if (crier_cri_probe(socket, (uint32_t)strtoul(timeout_ms, NULL, 10), &facts, &err) < 0) {
		print(json_pack("{s:s,s:i,s:f}", "error", err.message, "code", err.code, "ms",
				now_ms() - begin));
		return 1;
	}
	print(json_pack("{s:s,s:s,s:s,s:b,s:s,s:i,s:i,s:f}", "name", facts.name, "version", facts.version,
			"api_version", facts.api_version, "ready", facts.ready, "event_stream",
			stream_names[facts.stream], "pods", (int)facts.pods, "containers",
			(int)facts.containers, "ms", now_ms() - begin));
	return 0;
}

static int discover(const char *root)
{
	struct crier_err err = {0};
	char path[128];

	if (crier_cri_discover(root, path, sizeof(path), &err) < 0) {
		print(json_pack("{s:s,s:i}", "error", err.message, "code", err.code));
		return 1;
	}
	print(json_pack("{s:s}", "path", path));
	return 0;
}

int main(int argc, char **argv)
{
	if (getenv("CRIER_TEST_DEBUG"))
		crier_log_set_level(CRIER_LOG_DEBUG);
	if (argc == 3 && strcmp(argv[1], "discover") == 0)
		return discover(argv[2]);
	if (argc == 4 && strcmp(argv[1], "probe") == 0)
		return probe(argv[2], argv[3]);
	if (argc >= 3 && strcmp(argv[1], "watch") == 0)
		return watch(argv[2], argv + 3);
	fprintf(stderr,
		"usage: cri_driver discover ROOT | probe SOCKET TIMEOUT_MS | watch SOCKET [OPTION=N...]\n");
	return 2;
}
