/* SPDX-License-Identifier: Apache-2.0 */
/* The config's life: defaults, flags, relations between options, reload. */
#include "options.h"

#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "crier/filter.h"

/* Below one full line a budget would let nothing through. */
#define OUTPUT_BUDGET_MIN 16384

/* NODE_NAME is what a DaemonSet sets from spec.nodeName; only that name is sure to be Kubernetes' own. */
static int set_node_name(struct crier_config *config)
{
	const char *name = getenv("NODE_NAME");
	struct utsname uts;
	struct crier_err err;

	if (name && *name && crier_option_set(config, crier_option_find("node-name", 9), name, &err) == 0)
		return 0;
	if (uname(&uts) < 0)
		return -errno;
	config->node_name = strdup(uts.nodename);
	return config->node_name ? 0 : -ENOMEM;
}

int crier_config_init(struct crier_config *config)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);
	int r;

	*config = (struct crier_config){0};
	r = set_node_name(config);
	for (size_t i = 0; i < count && r == 0; i++)
		if (options[i].def)
			r = crier_option_set(config, &options[i], options[i].def, NULL);
	memset(config->appending, 0, sizeof(config->appending));
	if (r < 0)
		crier_config_done(config);
	return r;
}

void crier_config_done(struct crier_config *config)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);

	for (size_t i = 0; i < count; i++)
		crier_option_clear(config, &options[i]);
}

static bool is_colour_wanted(const struct crier_config *config)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	if (config->colour_when != CRIER_COLOUR_AUTO)
		return config->colour_when == CRIER_COLOUR_ALWAYS;
	return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
}

static int set_given(struct crier_config *config, const struct crier_option *option, const char *prefix,
		     const char *value, struct crier_err *err)
{
	struct crier_err cause = {0};
	int r = crier_option_set(config, option, value, &cause);

	if (r < 0)
		return crier_err_set(err, r, "%s%s: %s", prefix, option->name, cause.message);
	crier_bit_set(config->given, crier_option_number(option));
	return 0;
}

int crier_config_set(struct crier_config *config, const char *name, const char *value, struct crier_err *err)
{
	const struct crier_option *option = crier_option_find(name, strlen(name));
	const char *near;

	if (option)
		return set_given(config, option, "", value, err);
	near = crier_option_suggest(name);
	if (near)
		return crier_err_set(err, -EINVAL, "unknown option '%.80s'; did you mean '%s'?", name, near);
	return crier_err_set(err, -EINVAL, "unknown option '%.80s'", name);
}

/* ---- flags ---- */

/* One flag taken apart. */
struct flag {
	const struct crier_option *option;
	const char *value; /* NULL: none was given */
	int taken;	   /* arguments it took, 1 or 2 */
};

static int unknown_flag(const char *name, size_t len, struct crier_err *err)
{
	char word[64];
	const char *near;

	(void)crier_copy_str(word, sizeof(word), (struct crier_slice){name, len});
	near = crier_option_suggest(word);
	if (near)
		return crier_err_set(err, -EINVAL, "--%s: unknown option; did you mean --%s?", word, near);
	return crier_err_set(err, -EINVAL, "--%s: unknown option", word);
}

static int needs_value(const struct crier_option *option, struct crier_err *err)
{
	char storage[64];
	struct crier_buf buf;

	crier_buf_init(&buf, storage, sizeof(storage));
	crier_option_metavar(option, &buf);
	return crier_err_set(err, -EINVAL, "--%s: needs a value: --%s %.*s", option->name, option->name,
			     (int)buf.len, buf.data);
}

/* @return 1 a flag, 0 a positional argument, -EINVAL */
static int take_flag(int argc, char **argv, int at, struct flag *ret_flag, struct crier_err *err)
{
	const char *name = argv[at] + 2, *equals;
	struct flag flag = {.taken = 1};
	size_t len;

	if (argv[at][0] != '-' || argv[at][1] == '\0')
		return 0;
	if (argv[at][1] != '-')
		return crier_err_set(err, -EINVAL, "%.80s: unknown option; options start with two dashes",
				     argv[at]);
	equals = strchr(name, '=');
	len = equals ? (size_t)(equals - name) : strlen(name);
	flag.option = crier_option_find(name, len);
	flag.value = equals ? equals + 1 : NULL;
	if (!flag.option && !equals && strncmp(name, "no-", 3) == 0) {
		flag.option = crier_option_find(name + 3, len - 3);
		if (flag.option && flag.option->kind != CRIER_OPTION_BOOL)
			return crier_err_set(err, -EINVAL, "--%.60s: --%s is no switch", name,
					     flag.option->name);
		flag.value = "false";
	}
	if (!flag.option)
		return unknown_flag(name, len, err);
	if (!flag.value && flag.option->kind == CRIER_OPTION_BOOL)
		flag.value = "true";
	if (!flag.value) {
		if (at + 1 >= argc || strncmp(argv[at + 1], "--", 2) == 0)
			return needs_value(flag.option, err);
		flag.value = argv[at + 1];
		flag.taken = 2;
	}
	*ret_flag = flag;
	return 1;
}

/* One pass over argv: `file_only` looks for --config alone, the other pass sets all and gathers the positional ones. */
static int pass_flags(struct crier_config *config, int argc, char **argv, bool file_only, int *ret_rest,
		      struct crier_err *err)
{
	int rest = 0;

	for (int at = 0; at < argc;) {
		struct flag flag = {.taken = 1};
		int r;

		if (strcmp(argv[at], "--") == 0) {
			while (!file_only && ++at < argc)
				argv[rest++] = argv[at];
			break;
		}
		r = take_flag(argc, argv, at, &flag, err);
		if (r < 0)
			return r;
		if (r == 0 && !file_only)
			argv[rest++] = argv[at];
		if (r == 1 && flag.option && file_only == !!(flag.option->flags & CRIER_OPTION_FLAG_ONLY)) {
			r = set_given(config, flag.option, "--", flag.value, err);
			if (r < 0)
				return r;
			crier_bit_set(config->from_flag, crier_option_number(flag.option));
		}
		at += flag.taken;
	}
	*ret_rest = rest;
	return 0;
}

int crier_config_parse(struct crier_config *config, int argc, char **argv, int *ret_rest,
		       struct crier_err *err)
{
	int rest;
	int r = pass_flags(config, argc, argv, true, &rest, err);

	if (r == 0 && config->config_path)
		r = crier_config_read(config, config->config_path, err);
	memset(config->appending, 0,
	       sizeof(config->appending)); /* the first flag of a list replaces the file's */
	if (r == 0)
		r = pass_flags(config, argc, argv, false, &rest, err);
	if (r < 0)
		return r;
	crier_config_settle(config);
	config->colour = is_colour_wanted(config);
	*ret_rest = rest;
	return 0;
}

bool crier_config_is_flag(const struct crier_config *config, const char *name)
{
	const struct crier_option *option = crier_option_find(name, strlen(name));

	return option && crier_bit_get(config->from_flag, crier_option_number(option));
}

/* ---- relations ---- */

static bool is_known_type(const char *pattern)
{
	for (unsigned type = CRIER_TYPE_NONE + 1; type < CRIER_TYPE_COUNT; type++)
		if (crier_pattern_match(pattern, crier_slice_of(crier_type_info(type)->name)))
			return true;
	return false;
}

static int validate_filter(const struct crier_config *config, struct crier_err *err)
{
	const struct crier_config_list *types = &config->filter.types, *labels = &config->filter.labels;

	for (size_t i = 0; i < types->count; i++)
		if (!is_known_type(types->items[i] + (types->items[i][0] == '!')))
			return crier_err_set(
				err, -EINVAL,
				"filter-type: '%.80s' matches no event type; crier schema lists them",
				types->items[i]);
	for (size_t i = 0; i < labels->count; i++) {
		const char *key = labels->items[i] + (labels->items[i][0] == '!');
		struct crier_slice wanted = {key, strcspn(key, "=")};
		bool kept = false;

		for (size_t j = 0; j < config->labels.count; j++)
			kept |= crier_pattern_match(config->labels.items[j], wanted);
		if (!kept)
			return crier_err_set(
				err, -EINVAL,
				"filter-label: label '%.*s' is not kept; add it to label (the allow-list)",
				(int)crier_min(wanted.len, (size_t)80), key);
	}
	return 0;
}

int crier_config_validate(const struct crier_config *config, struct crier_err *err)
{
	if (config->pressure_exit_ratio >= config->pressure_enter_ratio)
		return crier_err_set(err, -EINVAL,
				     "pressure-exit-ratio: %.15g is not below pressure-enter-ratio %.15g",
				     config->pressure_exit_ratio, config->pressure_enter_ratio);
	if (config->pressure_critical_ratio < config->pressure_enter_ratio)
		return crier_err_set(err, -EINVAL,
				     "pressure-critical-ratio: %.15g is below pressure-enter-ratio %.15g",
				     config->pressure_critical_ratio, config->pressure_enter_ratio);
	if (config->max_output_bytes && config->max_output_bytes < OUTPUT_BUDGET_MIN)
		return crier_err_set(
			err, -EINVAL,
			"max-output-bytes: %llu is less than one line; allowed: 0 (no bound) or 16KiB and more",
			(unsigned long long)config->max_output_bytes);
	return validate_filter(config, err);
}

/* ---- reload ---- */

static int copy_option(struct crier_config *to, const struct crier_config *from,
		       const struct crier_option *option, struct crier_err *err)
{
	json_t *value = crier_option_to_json(from, option);
	int r = value ? crier_option_from_json(to, option, value, err) : -ENOMEM;

	json_decref(value);
	return r;
}

static int read_again(const struct crier_config *old_config, struct crier_config *config,
		      struct crier_err *err)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);
	int r = 0;

	if (old_config->config_path)
		r = crier_config_read(config, old_config->config_path, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (!crier_bit_get(old_config->from_flag, i))
			continue;
		r = copy_option(config, old_config, &options[i], err);
		crier_bit_set(config->given, i);
		crier_bit_set(config->from_flag, i);
	}
	crier_config_settle(config);
	config->colour = is_colour_wanted(config);
	return r < 0 ? r : crier_config_validate(config, err);
}

int crier_config_reload(const struct crier_config *old_config, struct crier_config *ret_config,
			struct crier_err *err)
{
	struct crier_config config;
	int r = crier_config_init(&config);

	if (r < 0)
		return crier_err_set(err, r, "config: out of memory");
	r = read_again(old_config, &config, err);
	if (r < 0) {
		crier_config_done(&config);
		return r;
	}
	*ret_config = config;
	return 0;
}

static bool differs(const struct crier_config *a, const struct crier_config *b,
		    const struct crier_option *option)
{
	json_t *first = crier_option_to_json(a, option), *second = crier_option_to_json(b, option);
	bool equal = json_equal(first, second);

	json_decref(first);
	json_decref(second);
	return !equal;
}

int crier_config_can_reload(const struct crier_config *old_config, const struct crier_config *new_config,
			    struct crier_err *err)
{
	uint32_t missing =
		crier_profile_probes(new_config->profile) & ~crier_profile_probes(old_config->profile);
	size_t count;
	const struct crier_option *options = crier_options(&count);

	for (size_t i = 0; i < count; i++)
		if (!(options[i].flags & CRIER_OPTION_RELOAD) &&
		    differs(old_config, new_config, &options[i])) {
			(void)crier_err_set(err, -EINVAL, "%s: cannot change while crier runs; restart it",
					    options[i].name);
			return 0;
		}
	if (missing) {
		(void)crier_err_set(err, -EINVAL,
				    "profile: '%s' needs kernel hooks that '%s' did not load; restart crier",
				    crier_profile_names[new_config->profile],
				    crier_profile_names[old_config->profile]);
		return 0;
	}
	return 1;
}
