/* SPDX-License-Identifier: Apache-2.0 */
/* Profile, severity and patterns over one event. Pure. */
#include "crier/event_data.h"
#include "crier/filter.h"

#include <errno.h>
#include <string.h>

/* Patterns of one dimension, excludes apart. */
struct patterns {
	size_t include_count, exclude_count;
	char *include[CRIER_LIST_MAX], *exclude[CRIER_LIST_MAX];
};

struct crier_filter {
	uint32_t types;	   /* 1 << enum crier_type: profile and type patterns together */
	bool all_exits;	   /* else abnormal ends and container inits */
	bool all_signals;  /* else stop and fatal ones */
	bool has_patterns; /* any of the dimensions below */
	uint8_t min_severity;
	struct patterns namespaces, pods, labels, containers, processes;
};

/* What is known of a field. */
enum { KNOWN, NOT_THERE, UNKNOWN };

#define TYPE(name) (1u << CRIER_TYPE_##name)
#define TYPES_ALWAYS                                                                                         \
	(TYPE(CONTAINER_OOM) | TYPE(NODE_OOM) | TYPE(CONTAINER_RESOLVED) | TYPE(AGENT_START) |               \
	 TYPE(AGENT_HEALTH) | TYPE(AGENT_STATS) | TYPE(AGENT_LOSS) | TYPE(AGENT_STOP))
#define TYPES_NODE    (TYPE(NODE_OOM) | TYPE(NODE_MEMORY_PRESSURE))
#define TYPES_PROCESS (TYPE(PROCESS_EXEC) | TYPE(PROCESS_FORK) | TYPE(PROCESS_EXIT) | TYPE(PROCESS_SIGNAL))

/* Where what follows a star may begin, at `from` or later: at its first byte, when that is one by name. */
static size_t next_start(const char *after_star, struct crier_slice text, size_t from)
{
	const char *found;

	if (from >= text.len || *after_star == '*' || *after_star == '?' || *after_star == '\0')
		return from;
	found = memchr(text.ptr + from, *after_star, text.len - from);
	return found ? (size_t)(found - text.ptr) : text.len;
}

bool crier_pattern_match(const char *pattern, struct crier_slice text)
{
	const char *star = NULL;
	size_t at = 0, after_star = 0;

	/* On a mismatch the last star takes more; earlier ones need not be tried again. */
	while (at < text.len) {
		if (*pattern == '*') {
			star = ++pattern;
			if (!*star)
				return true;
			at = after_star = next_start(star, text, at);
		} else if (*pattern && (*pattern == '?' || *pattern == text.ptr[at])) {
			pattern++;
			at++;
		} else if (star) {
			pattern = star;
			at = after_star = next_start(star, text, after_star + 1);
		} else {
			return false;
		}
	}
	return pattern[strspn(pattern, "*")] == '\0';
}

/* ---- compile ---- */

static void free_patterns(struct patterns *patterns)
{
	for (size_t i = 0; i < patterns->include_count; i++)
		free(patterns->include[i]);
	for (size_t i = 0; i < patterns->exclude_count; i++)
		free(patterns->exclude[i]);
}

static int compile(struct patterns *patterns, const struct crier_config_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		bool exclude = list->items[i][0] == '!';
		char *copy = strdup(list->items[i] + exclude);

		if (!copy)
			return -ENOMEM;
		if (exclude)
			patterns->exclude[patterns->exclude_count++] = copy;
		else
			patterns->include[patterns->include_count++] = copy;
	}
	return 0;
}

static bool is_wanted(const struct patterns *patterns, struct crier_slice text)
{
	bool wanted = patterns->include_count == 0;

	for (size_t i = 0; i < patterns->include_count && !wanted; i++)
		wanted = crier_pattern_match(patterns->include[i], text);
	for (size_t i = 0; i < patterns->exclude_count && wanted; i++)
		wanted = !crier_pattern_match(patterns->exclude[i], text);
	return wanted;
}

static int compile_types(struct crier_filter *filter, const struct crier_config *config)
{
	struct patterns types = {0};
	int r = compile(&types, &config->filter.types);

	for (unsigned type = CRIER_TYPE_NONE + 1; type < CRIER_TYPE_COUNT && r == 0; type++)
		if (is_wanted(&types, crier_slice_of(crier_type_info(type)->name)))
			filter->types |= 1u << type;
	filter->types &= crier_profile_types(config->profile);
	free_patterns(&types);
	return r;
}

static bool is_set(const struct patterns *patterns)
{
	return patterns->include_count || patterns->exclude_count;
}

int crier_filter_new(const struct crier_config *config, struct crier_filter **ret_filter,
		     struct crier_err *err)
{
	const struct crier_config_filter *wanted = &config->filter;
	struct crier_filter *filter = calloc(1, sizeof(*filter));

	if (!filter || compile_types(filter, config) < 0 ||
	    compile(&filter->namespaces, &wanted->namespaces) < 0 ||
	    compile(&filter->pods, &wanted->pods) < 0 || compile(&filter->labels, &wanted->labels) < 0 ||
	    compile(&filter->containers, &wanted->containers) < 0 ||
	    compile(&filter->processes, &wanted->processes) < 0) {
		crier_filter_free(filter);
		return crier_err_set(err, -ENOMEM, "filter: out of memory");
	}
	filter->min_severity = wanted->min_severity;
	filter->all_exits = config->profile == CRIER_PROFILE_PROCESS || config->profile == CRIER_PROFILE_FULL;
	filter->all_signals = config->profile == CRIER_PROFILE_FULL;
	filter->has_patterns = is_set(&filter->namespaces) || is_set(&filter->pods) ||
			       is_set(&filter->labels) || is_set(&filter->containers) ||
			       is_set(&filter->processes);
	*ret_filter = filter;
	return 0;
}

void crier_filter_free(struct crier_filter *filter)
{
	if (!filter)
		return;
	free_patterns(&filter->namespaces);
	free_patterns(&filter->pods);
	free_patterns(&filter->labels);
	free_patterns(&filter->containers);
	free_patterns(&filter->processes);
	free(filter);
}

/* ---- check ---- */

static enum crier_verdict check_exit(const struct crier_data_exit *data)
{
	if (!data)
		return CRIER_VERDICT_UNDETERMINED;
	if (data->container_init == 1 || data->oom_killed == 1)
		return CRIER_VERDICT_PASS;
	if (data->signal != CRIER_UNKNOWN_U64 && data->signal != 0)
		return CRIER_VERDICT_PASS;
	if (data->exit_code == CRIER_UNKNOWN_I64)
		return CRIER_VERDICT_UNDETERMINED;
	return data->exit_code ? CRIER_VERDICT_PASS : CRIER_VERDICT_FILTERED;
}

static enum crier_verdict check_signal(const struct crier_data_signal *data)
{
	if (!data || (data->stop != 1 && data->fatal == CRIER_UNKNOWN_BOOL))
		return CRIER_VERDICT_UNDETERMINED;
	return data->stop == 1 || data->fatal == 1 ? CRIER_VERDICT_PASS : CRIER_VERDICT_FILTERED;
}

/* What the profile wants of a type that is in its bit set. */
static enum crier_verdict check_profile(const struct crier_filter *filter, const struct crier_event *event)
{
	if (event->type == CRIER_TYPE_PROCESS_EXIT && !filter->all_exits)
		return check_exit(event->data);
	if (event->type == CRIER_TYPE_PROCESS_SIGNAL && !filter->all_signals)
		return check_signal(event->data);
	return CRIER_VERDICT_PASS;
}

static enum crier_verdict check_field(const struct patterns *patterns, int knowledge, struct crier_slice text)
{
	if (!is_set(patterns))
		return CRIER_VERDICT_PASS;
	if (knowledge == UNKNOWN)
		return CRIER_VERDICT_UNDETERMINED;
	if (knowledge == NOT_THERE) /* nothing to match, nothing to exclude */
		return patterns->include_count ? CRIER_VERDICT_FILTERED : CRIER_VERDICT_PASS;
	return is_wanted(patterns, text) ? CRIER_VERDICT_PASS : CRIER_VERDICT_FILTERED;
}

static bool matches_label(const char *wanted, const struct crier_meta_labels *labels)
{
	size_t key_len = strcspn(wanted, "=");

	for (size_t i = 0; i < labels->count; i++)
		if (crier_slice_equal(labels->items[i].key, (struct crier_slice){wanted, key_len}) &&
		    crier_pattern_match(wanted + key_len + 1, labels->items[i].value))
			return true;
	return false;
}

static enum crier_verdict check_labels(const struct patterns *patterns, bool is_host,
				       const struct crier_pod *pod)
{
	bool wanted = patterns->include_count == 0;

	if (!is_set(patterns))
		return CRIER_VERDICT_PASS;
	if (is_host)
		return wanted ? CRIER_VERDICT_PASS : CRIER_VERDICT_FILTERED;
	if (!pod || !pod->labels)
		return CRIER_VERDICT_UNDETERMINED;
	for (size_t i = 0; i < patterns->include_count && !wanted; i++)
		wanted = matches_label(patterns->include[i], pod->labels);
	for (size_t i = 0; i < patterns->exclude_count && wanted; i++)
		wanted = !matches_label(patterns->exclude[i], pod->labels);
	return wanted ? CRIER_VERDICT_PASS : CRIER_VERDICT_FILTERED;
}

static int knowledge_of(bool is_host, struct crier_slice text)
{
	if (is_host)
		return NOT_THERE;
	return text.ptr ? KNOWN : UNKNOWN;
}

/* FILTERED wins over UNDETERMINED over PASS: the enum's order. */
static enum crier_verdict worst(enum crier_verdict a, enum crier_verdict b)
{
	return crier_max(a, b);
}

static enum crier_verdict check_patterns(const struct crier_filter *filter, const struct crier_event *event)
{
	const struct crier_pod *pod = event->pod;
	const struct crier_container *container = event->container;
	bool is_host =
		event->attribution.status == CRIER_ATTRIBUTION_HOST || (1u << event->type & TYPES_NODE);
	bool is_sandbox = container && container->type == CRIER_CONTAINER_TYPE_SANDBOX;
	struct crier_slice namespace = pod ? pod->namespace_ : CRIER_SLICE_NONE;
	struct crier_slice pod_name = pod ? pod->name : CRIER_SLICE_NONE;
	struct crier_slice name = container ? container->name : CRIER_SLICE_NONE;
	enum crier_verdict verdict = check_labels(&filter->labels, is_host, pod);

	verdict =
		worst(verdict, check_field(&filter->namespaces, knowledge_of(is_host, namespace), namespace));
	verdict = worst(verdict, check_field(&filter->pods, knowledge_of(is_host, pod_name), pod_name));
	verdict = worst(verdict,
			check_field(&filter->containers, knowledge_of(is_host || is_sandbox, name), name));
	if (1u << event->type & TYPES_PROCESS)
		verdict = worst(verdict,
				check_field(&filter->processes, knowledge_of(false, event->process.comm),
					    event->process.comm));
	return verdict;
}

enum crier_verdict crier_filter_check(const struct crier_filter *filter, const struct crier_event *event)
{
	uint8_t severity = event->severity;
	enum crier_verdict verdict;

	if (1u << event->type & TYPES_ALWAYS)
		return CRIER_VERDICT_PASS;
	if (!(1u << event->type & filter->types))
		return CRIER_VERDICT_FILTERED;
	if (severity == CRIER_SEVERITY_NONE)
		severity = crier_type_info(event->type)->severity;
	if (severity < filter->min_severity)
		return CRIER_VERDICT_FILTERED;
	verdict = check_profile(filter, event);
	if (verdict == CRIER_VERDICT_FILTERED || !filter->has_patterns)
		return verdict;
	return worst(verdict, check_patterns(filter, event));
}
