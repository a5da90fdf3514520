/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The option table and what one row can do. Private to src/options.c, src/config*.c and the tests of the table; all others
 * read struct crier_config.
 */
#ifndef CRIER_OPTIONS_H
#define CRIER_OPTIONS_H

#include <jansson.h>

#include "crier/config.h"

enum crier_option_kind {
	CRIER_OPTION_BOOL,
	CRIER_OPTION_ENUM,   /* one of `names` */
	CRIER_OPTION_STRING, /* valid UTF-8 without control characters, as every text */
	CRIER_OPTION_PATH,
	CRIER_OPTION_SIZE,     /* uint64_t bytes; "256KiB" */
	CRIER_OPTION_DURATION, /* uint64_t ms; "500ms" */
	CRIER_OPTION_COUNT_,   /* uint64_t */
	CRIER_OPTION_RATIO,    /* double; range in millionths */
	CRIER_OPTION_LIST,     /* struct crier_config_list */
	CRIER_OPTION_KIND_COUNT,
};

/* crier_option.flags */
#define CRIER_OPTION_RELOAD	  (1u << 0) /* SIGHUP may change it */
#define CRIER_OPTION_POWER_OF_TWO (1u << 1)
#define CRIER_OPTION_COMMA	  (1u << 2) /* list: "a,b" are two items */
#define CRIER_OPTION_PAIR	  (1u << 3) /* list: items are key=value; YAML may write a mapping */
#define CRIER_OPTION_EMPTY	  (1u << 4) /* string, path: "" is allowed */
#define CRIER_OPTION_ABSOLUTE	  (1u << 5) /* path: starts with "/" */
#define CRIER_OPTION_FLAG_ONLY	  (1u << 6) /* not in the file */

struct crier_option {
	const char *name; /* flag without "--" and YAML key */
	const char *
		plural; /* lists: the YAML key that --help and the default file show; both are taken. NULL = name */
	enum crier_option_kind kind;
	uint16_t offset; /* in struct crier_config */
	uint8_t size;	 /* ENUM: bytes of its field, 1 or 4 */
	uint8_t flags;
	uint64_t min, max;
	const char *const *names; /* ENUM: NULL-terminated but for index 0, which may be NULL */
	const char *def;	  /* as text; NULL = none: see doc. Lists: comma separated */
	const char *group;	  /* heading, in the first row of each group */
	const char *metavar;	  /* NULL = by kind */
	/** Further check of one value or item: 0, or -EINVAL with err telling why, without the option's name. */
	int (*check)(const char *value, struct crier_err *err);
	const char *doc; /* one sentence, full stop included */
};

/** The table, in the order of the manual. Static. */
const struct crier_option *crier_options(size_t *ret_count);
/** @return row by name or plural; NULL if there is none. */
const struct crier_option *crier_option_find(const char *name, size_t len);
size_t crier_option_number(const struct crier_option *option);

static inline bool crier_bit_get(const uint64_t *set, size_t bit)
{
	return set[bit / 64] >> (bit % 64) & 1;
}

static inline void crier_bit_set(uint64_t *set, size_t bit)
{
	set[bit / 64] |= 1ULL << (bit % 64);
}

/** The nearest option name, NULL if none is near. Static. */
const char *crier_option_suggest(const char *word);

/* ---- src/config_value.c: one row's value as text and JSON ---- */

/** Parse and store; err tells the cause without the option's name. List: replace or add, by `appending`. */
int crier_option_set(struct crier_config *config, const struct crier_option *option, const char *text,
		     struct crier_err *err) crier_must_check;
/** Add one item to a list option as it is, commas included. */
int crier_option_add(struct crier_config *config, const struct crier_option *option, const char *item,
		     struct crier_err *err) crier_must_check;
void crier_option_clear(struct crier_config *config, const struct crier_option *option);
/** Canonical text of a scalar's value into buf (nothing for an unset string). */
void crier_option_format(const struct crier_config *config, const struct crier_option *option,
			 struct crier_buf *buf);
/** New reference; NULL: out of memory. */
json_t *crier_option_to_json(const struct crier_config *config, const struct crier_option *option);
int crier_option_from_json(struct crier_config *config, const struct crier_option *option,
			   const json_t *value, struct crier_err *err) crier_must_check;
/** "64KiB to 64MiB"; nothing for kinds without a range. */
void crier_option_put_range(const struct crier_option *option, struct crier_buf *buf);
/** "TIME", "SIZE", "json|text", … */
void crier_option_metavar(const struct crier_option *option, struct crier_buf *buf);

/** What follows once all is read: defaults that depend on other options. Colour is left to who knows the terminal. */
void crier_config_settle(struct crier_config *config);

/* Texts without a default: NULL in the struct, null in YAML and JSON. */
static inline bool crier_option_may_be_unset(const struct crier_option *option)
{
	return !option->def && (option->kind == CRIER_OPTION_STRING || option->kind == CRIER_OPTION_PATH);
}

/* The key that the YAML file and JSON use. */
static inline const char *crier_option_key(const struct crier_option *option)
{
	return option->plural ? option->plural : option->name;
}

static inline void *crier_option_field(const struct crier_config *config, const struct crier_option *option)
{
	return (char *)(uintptr_t)config + option->offset;
}

#endif
