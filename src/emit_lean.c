/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lines a storm is made of - process.exec, process.fork, process.exit, lean - written straight on: keys and words are
 * constants, what the container gives is copied whole, a pid is turned into digits once. The tables of src/fields_*.c
 * remain the truth: whatever is out of the ordinary is theirs, and a test and a fuzz target compare the two byte by byte.
 */
#include "crier/base/json.h"
#include "crier/names.h"
#include "emit_line.h"
#include "emit_put.h"
#include "fields.h"
#include "story.h"

/* All that is not in the fragment: keys, words, numbers, and every text at its bound. */
#define OWN_MAX	 5120
#define ARGS_MAX 2048 /* of OWN_MAX: the arguments with what stands around them */
#define COMM_MAX (CRIER_WIRE_COMM_LEN - 1)

#define SECOND_NS 1000000000ULL
#define TIME_NS_AT                                                                                           \
	(CRIER_JSON_TIME_LEN - sizeof("123456789Z\"") + 1) /* where the nanoseconds of a time stand */

#define LITERAL(p, text) ((char *)memcpy((p), (text), sizeof(text) - 1) + sizeof(text) - 1)

/*
 * The digits of a number below 10^8, to be written more than once. In a word, not in a buffer: reading back in one piece
 * what was just stored in several stalls the processor.
 */
struct digits {
	uint64_t text;
	size_t len;
};
#define DIGITS_END 100000000

struct lean {
	const struct crier_emit_options *options;
	const struct crier_event *event;
	const struct crier_fragment *fragment;
	struct crier_emit_cache *cache;
	struct digits pid, parent_pid;
	bool is_clean; /* so far: texts are copied as they come, and asked about once, at the end */
};

/* ---- what is ordinary ---- */

static bool is_short(struct crier_slice text, size_t max)
{
	return text.ptr && text.len - 1 < max; /* nor empty */
}

static bool is_same(struct crier_slice a, struct crier_slice b)
{
	return a.ptr == b.ptr && a.len == b.len;
}

static bool is_ordinary_process(const struct crier_event *event)
{
	const struct crier_process *process = &event->process;
	const struct crier_correlation *correlation = &event->correlation;

	return (process->vpid | process->user_id) <= UINT32_MAX && process->pid &&
	       process->pid < DIGITS_END && correlation->process.pid == process->pid && process->parent_pid &&
	       process->parent_pid < DIGITS_END && correlation->parent.pid == process->parent_pid &&
	       process->role < CRIER_ROLE_COUNT && is_short(process->comm, COMM_MAX) &&
	       correlation->incident == CRIER_UNKNOWN_U64 && !correlation->cause_count;
}

static bool is_ordinary(const struct crier_emit_options *options, const struct crier_event *event)
{
	const struct crier_attribution *attribution = &event->attribution;
	uint64_t unix_ns = event->boottime_ns + options->unix_offset_ns;

	return !event->severity && !event->undetermined_filter && event->boottime_ns != CRIER_UNKNOWN_U64 &&
	       unix_ns && unix_ns != CRIER_UNKNOWN_U64 && event->cpu <= UINT32_MAX && event->hook &&
	       event->hook < CRIER_HOOK_COUNT && !event->cut_at_source[0] && !event->cut_at_source[1] &&
	       attribution->status == CRIER_ATTRIBUTION_FULL && attribution->source &&
	       attribution->source < CRIER_SOURCE_COUNT && attribution->via &&
	       attribution->via < CRIER_VIA_COUNT && !attribution->reason &&
	       attribution->wait_us <= CRIER_EXACT_MAX && event->cgroup.id != CRIER_UNKNOWN_U64 &&
	       is_ordinary_process(event);
}

static bool has_actor(const struct crier_event *event)
{
	return event->actor.pid != CRIER_UNKNOWN_U64 || event->actor.container_id.ptr;
}

/* Few of them and short ones; none, when they were not asked for. */
static bool has_ordinary_args(const struct crier_data_exec *data)
{
	size_t bytes = 0;

	if (data->args_kept > CRIER_ARGS_KEPT)
		return false;
	for (size_t i = 0; i < data->args_kept; i++) {
		if (!is_short(data->args[i], CRIER_TEXT_MAX))
			return false;
		bytes += data->args[i].len + sizeof("\"\",") - 1;
	}
	return bytes <= ARGS_MAX;
}

static bool is_ordinary_exec(const struct crier_event *event, const struct crier_data_exec *data)
{
	return is_same(event->process.executable_path, data->filename) &&
	       is_short(data->filename, STORY_PATH_MAX) && data->args_count <= UINT32_MAX &&
	       has_ordinary_args(data) && !has_actor(event);
}

/* The parent is of the same container: its names are the container's own. */
static bool is_ordinary_fork(const struct crier_event *event, const struct crier_data_fork *data,
			     const struct crier_fragment *fragment)
{
	const struct crier_actor *actor = &event->actor;
	const struct crier_container *container = event->container;
	const struct crier_pod *pod = container->pod;

	return actor->pid == event->process.parent_pid && actor->key.pid == actor->pid &&
	       is_short(actor->comm, COMM_MAX) && data->child_pid == event->process.pid &&
	       !event->process.executable_path.ptr && actor->container_id.ptr == container->id &&
	       actor->container_id.len == fragment->id_len && fragment->name_len &&
	       is_same(actor->container_name, container->name) && is_same(actor->pod_name, pod->name) &&
	       is_same(actor->pod_namespace, pod->namespace_);
}

static bool is_ordinary_exit(const struct crier_event *event, const struct crier_data_exit *data)
{
	return data->exit_code >= 0 && data->exit_code < DIGITS_END && data->signal == CRIER_UNKNOWN_U64 &&
	       !data->signal_name && data->core_dumped == CRIER_UNKNOWN_BOOL && data->oom_killed == 0 &&
	       data->container_init == 0 && data->duration_ms <= CRIER_EXACT_MAX &&
	       !event->process.executable_path.ptr && !has_actor(event);
}

/* ---- parts ---- */

static inline struct digits digits_of(uint32_t value)
{
	struct digits digits;

	digits.text = crier_digits_word(value, &digits.len);
	return digits;
}

static inline char *put_digits(char *p, struct digits digits)
{
	memcpy(p, &digits.text, sizeof(digits.text));
	return p + digits.len;
}

static inline char *put_copy(char *p, const char *text, size_t len)
{
	memcpy(p, text, len);
	return p + len;
}

/* Each text is asked about once, wherever else it stands. */
static inline char *put_text(char *p, struct crier_slice text, struct lean *lean)
{
	lean->is_clean &= crier_json_copy_clean(p, text);
	return p + text.len;
}

static inline char *put_asked(char *p, struct crier_slice text)
{
	return put_short_at(p, text.ptr, text.len);
}

/* One of crier's own words. */
static inline char *put_word(char *p, const char *word)
{
	return put_short_at(p, word, strnlen(word, PUT_WORD_MAX));
}

/* `key` and the number, or nothing when it is not known. */
#define PUT_KNOWN(p, key, value)                                                                             \
	((value) <= CRIER_EXACT_MAX ? crier_digits_put(LITERAL(p, key), (value)) : (p))

/* ---- what one line has in common with the next ---- */

/*
 * The cache's digits are those of this line's number; of the next one's, once this line is written (see count_on). Bytes that were
 * stored one by one are read back as words only then, when the processor has long put them away.
 */
static void look_up_seq(struct crier_emit_cache *cache, uint64_t seq)
{
	if (cache->seq_len && cache->seq == seq)
		return;
	cache->seq = seq;
	cache->seq_len = (uint32_t)(crier_digits_put(cache->seq_digits, seq) - cache->seq_digits);
}

static void count_on(struct crier_emit_cache *cache)
{
	char *digit = cache->seq_digits + cache->seq_len - 1;

	cache->seq++;
	if (*digit == '9')
		cache->seq_len = 0; /* made anew */
	else
		++*digit;
}

static char *put_time(char *p, struct crier_emit_cache *cache, uint64_t unix_ns)
{
	uint64_t second = unix_ns / SECOND_NS;

	if (cache->second != second || !cache->time[0]) {
		crier_json_time_at(cache->time, second * SECOND_NS);
		cache->second = second;
	}
	memcpy(p, cache->time, CRIER_JSON_TIME_LEN);
	crier_digits_put_nine(p + TIME_NS_AT, (uint32_t)(unix_ns - second * SECOND_NS));
	return p + CRIER_JSON_TIME_LEN;
}

static char *put_boottime(char *p, struct crier_emit_cache *cache, uint64_t boottime_ns)
{
	uint64_t second = boottime_ns / SECOND_NS;

	if (second - 1 >= DIGITS_END - 1)
		return crier_digits_put(p, boottime_ns); /* 0 has no zeros in front; three years fit */
	if (cache->boot_second != second) {
		cache->boot_len = (uint32_t)(crier_digits_put_small(cache->boot_digits, (uint32_t)second) -
					     cache->boot_digits);
		cache->boot_second = second;
	}
	memcpy(p, cache->boot_digits, 8);
	crier_digits_put_nine(p + cache->boot_len, (uint32_t)(boottime_ns - second * SECOND_NS));
	return p + cache->boot_len + 9;
}

/* ---- blocks that all three have ---- */

static char *put_head(char *p, const struct lean *lean)
{
	const struct crier_emit_cache *cache = lean->cache;

	p = LITERAL(p, "{\"schema\":\"crier/1\",\"instance\":\"");
	p = put_copy(p, lean->options->instance, 8);
	p = LITERAL(p, "\",\"seq\":");
	memcpy(p, cache->seq_digits, sizeof(cache->seq_digits));
	p = LITERAL(p + cache->seq_len, ",\"event_id\":\"");
	p = put_copy(p, lean->options->instance, 8);
	*p++ = '-';
	memcpy(p, cache->seq_digits, sizeof(cache->seq_digits));
	return LITERAL(p + cache->seq_len, "\",\"type\":");
}

static char *put_times(char *p, const struct lean *lean)
{
	p = LITERAL(p, ",\"ts\":");
	p = put_time(p, lean->cache, lean->event->boottime_ns + lean->options->unix_offset_ns);
	p = LITERAL(p, ",\"boottime_ns\":\"");
	p = put_boottime(p, lean->cache, lean->event->boottime_ns);
	*p++ = '"';
	return p;
}

/* "sh[33001] in shop/cart-7d9f8b6c5-x2x4k/app", with a verb before the place or without one. */
static inline char *put_who(char *p, struct crier_slice comm, struct digits pid)
{
	p = put_asked(p, comm);
	*p++ = '[';
	return put_digits(p, pid);
}

static inline char *put_place(char *p, const struct crier_fragment *fragment)
{
	return put_copy(p, crier_fragment_place(fragment), fragment->place_len);
}

static char *put_probe(char *p, const struct crier_event *event)
{
	p = LITERAL(p, "\",\"probe\":{\"hook\":\"");
	p = put_asked(p, crier_hook_text(event->hook));
	p = LITERAL(p, "\",\"cpu\":");
	return crier_digits_put(p, event->cpu);
}

static char *put_process(char *p, struct lean *lean)
{
	const struct crier_process *process = &lean->event->process;

	p = LITERAL(p, "},\"process\":{\"pid\":");
	p = put_digits(p, lean->pid);
	p = PUT_KNOWN(p, ",\"tid\":", process->tid);
	p = LITERAL(p, ",\"vpid\":");
	p = crier_digits_put(p, process->vpid);
	p = LITERAL(p, ",\"parent_pid\":");
	p = put_digits(p, lean->parent_pid);
	p = LITERAL(p, ",\"comm\":\"");
	p = put_text(p, process->comm, lean);
	*p++ = '"';
	if (process->executable_path.ptr) {
		p = LITERAL(p, ",\"executable\":{\"path\":\"");
		p = put_text(p, process->executable_path, lean);
		p = LITERAL(p, "\"}");
	}
	p = LITERAL(p, ",\"user\":{\"id\":");
	p = crier_digits_put(p, process->user_id);
	*p++ = '}';
	if (process->role && process->role != CRIER_ROLE_MEMBER) {
		p = LITERAL(p, ",\"role\":\"");
		p = put_word(p, crier_role_names[process->role]);
		*p++ = '"';
	}
	*p++ = '}';
	return p;
}

static char *put_actor(char *p, struct lean *lean)
{
	const struct crier_actor *actor = &lean->event->actor;
	const struct crier_fragment *fragment = lean->fragment;
	const char *place = crier_fragment_place(fragment);

	p = LITERAL(p, ",\"actor\":{\"pid\":");
	p = put_digits(p, lean->parent_pid);
	p = LITERAL(p, ",\"comm\":\"");
	p = put_text(p, actor->comm, lean);
	p = LITERAL(p, "\",\"process_key\":\"");
	p = put_copy(p, lean->options->boot, 8);
	*p++ = ':';
	p = put_digits(p, lean->parent_pid);
	*p++ = ':';
	p = crier_digits_put(p, actor->key.start_ns);
	p = LITERAL(p, "\",\"container\":{\"id\":\"");
	p = put_copy(p, crier_fragment_blocks(fragment) + sizeof(",\"container\":{\"id\":\"") - 1,
		     fragment->id_len);
	p = LITERAL(p, "\",\"name\":\"");
	p = put_copy(p, place + fragment->namespace_len + fragment->pod_len + 2, fragment->name_len);
	p = LITERAL(p, "\"},\"k8s\":{\"namespace\":{\"name\":\"");
	p = put_copy(p, place, fragment->namespace_len);
	p = LITERAL(p, "\"},\"pod\":{\"name\":\"");
	p = put_copy(p, place + fragment->namespace_len + 1, fragment->pod_len);
	return LITERAL(p, "\"}}}");
}

static char *put_attribution(char *p, const struct crier_attribution *attribution)
{
	p = LITERAL(p, ",\"attribution\":{\"status\":\"full\",\"source\":\"");
	p = put_word(p, crier_source_names[attribution->source]);
	if (attribution->via != CRIER_VIA_CGROUP_ID)
		p = put_word(LITERAL(p, "\",\"via\":\""), crier_via_names[attribution->via]);
	*p++ = '"';
	if (attribution->wait_us)
		p = crier_digits_put(LITERAL(p, ",\"wait_us\":"), attribution->wait_us);
	*p++ = '}';
	return p;
}

static bool is_as_the_fragment_says(const struct lean *lean)
{
	const struct crier_attribution *attribution = &lean->event->attribution;
	const struct crier_fragment *fragment = lean->fragment;

	return lean->event->cgroup.id == fragment->cgroup_id && fragment->cgroup_len &&
	       attribution->source == fragment->source && attribution->via == CRIER_VIA_CGROUP_ID &&
	       !attribution->wait_us;
}

/* From the cgroup to the boot id in the process's key. */
static char *put_stem(char *p, const struct lean *lean)
{
	const struct crier_fragment *fragment = lean->fragment;

	if (is_as_the_fragment_says(lean))
		return put_copy(p, fragment->text,
				fragment->cgroup_len + fragment->blocks_len + fragment->stem_len);
	p = LITERAL(p, ",\"cgroup\":{\"id\":\"");
	p = crier_digits_put(p, lean->event->cgroup.id);
	p = LITERAL(p, "\"}");
	p = put_copy(p, crier_fragment_blocks(fragment), fragment->blocks_len);
	p = put_attribution(p, &lean->event->attribution);
	p = LITERAL(p, ",\"correlation\":{\"process_key\":\"");
	p = put_copy(p, lean->options->boot, 8);
	*p++ = ':';
	return p;
}

/* From the cgroup to the beginning of data. */
static char *put_context(char *p, const struct lean *lean)
{
	const struct crier_correlation *correlation = &lean->event->correlation;

	p = put_stem(p, lean);
	p = put_digits(p, lean->pid);
	*p++ = ':';
	p = crier_digits_put(p, correlation->process.start_ns);
	p = LITERAL(p, "\",\"parent_process_key\":\"");
	p = put_copy(p, lean->options->boot, 8);
	*p++ = ':';
	p = put_digits(p, lean->parent_pid);
	*p++ = ':';
	p = crier_digits_put(p, correlation->parent.start_ns);
	*p++ = '"';
	p = put_copy(p, crier_fragment_slot(lean->fragment), lean->fragment->slot_len);
	return LITERAL(p, "},\"data\":{");
}

static char *put_args(char *p, struct lean *lean, const struct crier_data_exec *data)
{
	p = LITERAL(p, ",\"args\":[");
	for (size_t i = 0; i < data->args_kept; i++) {
		*p++ = '"';
		p = put_text(p, data->args[i], lean);
		p = LITERAL(p, "\",");
	}
	p[-1] = ']';
	return p;
}

/* ---- the three ---- */

static char *put_exec(char *p, struct lean *lean)
{
	const struct crier_event *event = lean->event;
	const struct crier_data_exec *data = event->data;

	p = put_head(p, lean);
	p = LITERAL(p, "\"process.exec\"");
	p = put_times(p, lean);
	p = LITERAL(p, ",\"severity\":\"info\",\"priority\":\"low\",\"summary\":\"");
	p = put_who(p, event->process.comm, lean->pid);
	p = LITERAL(p, "] executed in ");
	p = put_place(p, lean->fragment);
	p = LITERAL(p, " (");
	p = put_asked(p, data->filename);
	*p++ = ')';
	p = put_probe(p, event);
	p = put_process(p, lean);
	p = put_context(p, lean);
	p = LITERAL(p, "\"filename\":\"");
	p = put_asked(p, data->filename);
	p = LITERAL(p, "\",\"args_count\":");
	p = crier_digits_put(p, data->args_count);
	return data->args_kept ? put_args(p, lean, data) : p;
}

static char *put_fork(char *p, struct lean *lean)
{
	const struct crier_event *event = lean->event;

	p = put_head(p, lean);
	p = LITERAL(p, "\"process.fork\"");
	p = put_times(p, lean);
	p = LITERAL(p, ",\"severity\":\"debug\",\"priority\":\"low\",\"summary\":\"");
	p = put_who(p, event->actor.comm, lean->parent_pid);
	p = LITERAL(p, "] in ");
	p = put_place(p, lean->fragment);
	p = LITERAL(p, " forked process ");
	p = put_digits(p, lean->pid);
	p = put_probe(p, event);
	p = put_process(p, lean);
	p = put_actor(p, lean);
	p = put_context(p, lean);
	p = LITERAL(p, "\"child_pid\":");
	return put_digits(p, lean->pid);
}

static char *put_exit(char *p, struct lean *lean)
{
	const struct crier_event *event = lean->event;
	const struct crier_data_exit *data = event->data;
	struct digits exit_code = digits_of((uint32_t)data->exit_code);

	p = put_head(p, lean);
	p = LITERAL(p, "\"process.exit\"");
	p = put_times(p, lean);
	p = LITERAL(p, ",\"severity\":\"info\",\"priority\":\"low\",\"summary\":\"");
	p = put_who(p, event->process.comm, lean->pid);
	p = LITERAL(p, "] in ");
	p = put_place(p, lean->fragment);
	p = LITERAL(p, " exited with code ");
	p = put_digits(p, exit_code);
	p = LITERAL(p, " after ");
	p = crier_duration_at(p, data->duration_ms);
	p = put_probe(p, event);
	p = put_process(p, lean);
	p = put_context(p, lean);
	p = LITERAL(p, "\"exit_code\":");
	p = put_digits(p, exit_code);
	p = LITERAL(p, ",\"oom_killed\":false,\"container_init\":false,\"duration_ms\":");
	p = crier_digits_put(p, data->duration_ms);
	p = PUT_KNOWN(p, ",\"user_us\":", data->user_us);
	p = PUT_KNOWN(p, ",\"system_us\":", data->system_us);
	p = PUT_KNOWN(p, ",\"cpu_us\":", data->cpu_us);
	p = PUT_KNOWN(p, ",\"peak_rss_bytes\":", data->peak_rss_bytes);
	return data->peak_rss_includes_pre_exec == 1 ? LITERAL(p, ",\"peak_rss_includes_pre_exec\":true") : p;
}

static char *put_line(char *p, struct lean *lean)
{
	const struct crier_event *event = lean->event;

	switch (event->type) {
	case CRIER_TYPE_PROCESS_EXEC: return is_ordinary_exec(event, event->data) ? put_exec(p, lean) : NULL;
	case CRIER_TYPE_PROCESS_FORK:
		return is_ordinary_fork(event, event->data, lean->fragment) ? put_fork(p, lean) : NULL;
	case CRIER_TYPE_PROCESS_EXIT: return is_ordinary_exit(event, event->data) ? put_exit(p, lean) : NULL;
	default: return NULL;
	}
}

char *crier_emit_lean(const struct crier_emit_options *options, const struct crier_event *event, uint64_t seq,
		      char *p)
{
	struct lean lean = {.options = options, .event = event, .is_clean = true};
	struct crier_emit_cache none;

	if (!event->data || seq > CRIER_EXACT_MAX || !is_ordinary(options, event))
		return NULL;
	lean.fragment = crier_emit_fragment(options, true, event);
	if (!lean.fragment || lean.fragment->too_long || lean.fragment->sanitized_len ||
	    lean.fragment->truncated_len)
		return NULL;
	if (lean.fragment->blocks_len + lean.fragment->slot_len + 2 * lean.fragment->place_len + OWN_MAX >
	    CRIER_LINE_MAX)
		return NULL; /* the place stands in the summary, and its parts in a fork's actor */
	lean.cache = options->cache;
	if (!lean.cache) {
		none = (struct crier_emit_cache){0};
		lean.cache = &none;
	}
	look_up_seq(lean.cache, seq);
	lean.pid = digits_of((uint32_t)event->process.pid);
	lean.parent_pid = digits_of((uint32_t)event->process.parent_pid);
	p = put_line(p, &lean);
	if (!p || !lean.is_clean)
		return NULL;
	count_on(lean.cache);
	return LITERAL(p, "}}\n");
}
