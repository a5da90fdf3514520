/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One option table (src/options.c) stands behind YAML, flags, --help, the man page and docs/options.md: a row has the
 * name, kind, range, default, where it may be set, whether SIGHUP may change it, and its sentence.
 */
#ifndef CRIER_CONFIG_H
#define CRIER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/base/log.h"
#include "crier/emit.h"
#include "crier/event.h"
#include "crier/probe.h"

enum crier_profile {
	CRIER_PROFILE_MINIMAL,
	CRIER_PROFILE_DEFAULT,
	CRIER_PROFILE_PROCESS,
	CRIER_PROFILE_MEMORY,
	CRIER_PROFILE_FULL,
	CRIER_PROFILE_COUNT,
};

enum crier_output {
	CRIER_OUTPUT_JSON,
	CRIER_OUTPUT_TEXT,
	CRIER_OUTPUT_COUNT,
};

enum crier_colour {
	CRIER_COLOUR_AUTO, /* when stdout is a terminal and NO_COLOR is not set */
	CRIER_COLOUR_ALWAYS,
	CRIER_COLOUR_NEVER,
	CRIER_COLOUR_COUNT,
};

/* Is the runtime's event stream used? */
enum crier_cri_events {
	CRIER_CRI_EVENTS_AUTO, /* where the runtime gives each event to every subscriber */
	CRIER_CRI_EVENTS_ON,   /* wherever it is offered */
	CRIER_CRI_EVENTS_OFF,
	CRIER_CRI_EVENTS_COUNT,
};

/* Are kernel programs used? */
enum crier_ebpf {
	CRIER_EBPF_AUTO,     /* where they can run; else what goes without them */
	CRIER_EBPF_REQUIRED, /* no start without them */
	CRIER_EBPF_OFF,
	CRIER_EBPF_COUNT,
};

#define CRIER_LIST_MAX 64
/* Bounds of a config file: ConfigMaps end at 1 MiB; a value longer than a path is a mistake. */
#define CRIER_CONFIG_FILE_MAX  (1024 * 1024)
#define CRIER_CONFIG_VALUE_MAX 4095
/* Rows the option table may have: the size of the bit sets below. */
#define CRIER_OPTIONS_MAX 128

/* A list option. Owned strings, NULL-terminated. */
struct crier_config_list {
	char *items[CRIER_LIST_MAX + 1];
	size_t count;
};

/* Patterns of one filter dimension: `*` and `?`; an item starting with `!` excludes. Empty = everything. */
struct crier_config_filter {
	struct crier_config_list types, namespaces, pods, labels /* key=value */, containers,
		processes /* comm */;
	uint8_t min_severity; /* enum crier_severity */
};

struct crier_config {
	char *config_path; /* NULL: none given */
	enum crier_output output;
	enum crier_detail detail;
	enum crier_profile profile;
	enum crier_log_level log_level;
	enum crier_colour colour_when;
	bool colour; /* text: what --colour auto|always|never came to */

	/* identity */
	char *node_name;		    /* NODE_NAME, else the host's nodename */
	char *cluster_name;		    /* NULL = unknown */
	struct crier_config_list resources; /* key=value */
	struct crier_config_list labels;    /* allow-list */
	enum crier_label_keys label_keys;

	/* sources */
	char *host_root;			     /* "/" */
	char *cri_socket;			     /* NULL = discover, "none" = off */
	struct crier_config_list runtime_state_dirs; /* "/run/containerd", …: bundles below them */
	char *pod_logs_dir, *container_logs_dir;     /* "/var/log/pods", …; "" = not read */
	char *btf;
	enum crier_cri_events cri_events;
	uint64_t cri_timeout_ms, reconcile_interval_ms;

	/* waiting and memory */
	uint64_t hold_age_ms, hold_named_age_ms; /* without any name; with the pod's name known already */
	uint64_t hold_events, hold_bytes, hold_container_events, hold_container_bytes;
	uint64_t exit_wait_ms;
	uint64_t tombstone_age_ms, tombstones, slot_age_ms, max_containers, max_cgroups;

	/* kernel */
	enum crier_ebpf ebpf;
	uint64_t ring_bulk_bytes, ring_critical_bytes, event_rate, critical_rate, drain_interval_ms;
	struct crier_config_list hooks;	 /* event=kind */
	bool process_args;		 /* off: arguments are secrets' favourite place */
	struct crier_config_list redact; /* patterns of argument names whose values are hidden */

	/* memory and cpu watching */
	double max_cpu;
	double pressure_enter_ratio, pressure_exit_ratio, pressure_critical_ratio;
	uint64_t pressure_interval_ms; /* ongoing at most this often; 60 s, profile memory 10 s */
	double throttle_ratio;
	uint64_t throttle_interval_ms; /* 30 s */
	double node_memory_enter_ratio; /* MemAvailable / MemTotal below which the node is under pressure; 0.10 */
	uint64_t node_memory_interval_ms;

	/* output */
	char *output_target;	   /* "-" */
	uint64_t max_output_bytes; /* bulk bytes a second; 256 KiB; 0 = no budget */
	uint64_t sink_buffer_bytes;
	uint64_t stats_interval_ms, snapshot_interval_ms;
	struct crier_config_filter filter;

	/* life */
	bool harden;	  /* give up after the start what is not needed */
	char *state_file; /* "/run/crier/state.json"; "" = none */
	uint64_t stop_deadline_ms;

	/* Bit sets by row of the option table; only src/config*.c looks at them. */
	uint64_t given[CRIER_OPTIONS_MAX / 64];	    /* set by file or flag, so no default applies */
	uint64_t from_flag[CRIER_OPTIONS_MAX / 64]; /* set by a flag: kept when the file is read again */
	uint64_t appending[CRIER_OPTIONS_MAX /
			   64]; /* lists: the next item is added, not put in place of the default */
};

/** Defaults; owned strings allocated. */
int crier_config_init(struct crier_config *config) crier_must_check;
void crier_config_done(struct crier_config *config);

/**
 * Set one option by its name, as flag or YAML would. The first item of a list takes the default's place, later ones are added.
 * @return 0; -EINVAL, -ERANGE: err names option, value, what is allowed
 */
int crier_config_set(struct crier_config *config, const char *name, const char *value,
		     struct crier_err *err) crier_must_check;

/** Read a YAML file over what is set. Unknown keys, wrong kinds: refused with "file:line:column". */
int crier_config_read(struct crier_config *config, const char *path, struct crier_err *err) crier_must_check;

/**
 * Flags of `run` and its kin: --name value, --name=value, --flag, --no-flag; repeated list options append. --config is
 * read first whatever its place. Positional arguments are left in argv[0..ret_rest).
 */
int crier_config_parse(struct crier_config *config, int argc, char **argv, int *ret_rest,
		       struct crier_err *err) crier_must_check;

/** True if the option was set by a flag, not by file or default: verbs for people have a default --output of their own. */
bool crier_config_is_flag(const struct crier_config *config, const char *name);

/** Relations between options (exit ratio below enter ratio, …). */
int crier_config_validate(const struct crier_config *config, struct crier_err *err) crier_must_check;

/**
 * What SIGHUP asks for: defaults, the file of `old_config` read again, then the flags crier was started with; validated.
 * @param ret_config  done by the caller; unchanged on failure
 */
int crier_config_reload(const struct crier_config *old_config, struct crier_config *ret_config,
			struct crier_err *err) crier_must_check;

/** Effective config as JSON (allocated): for recordings and `crier config --effective`; and back. */
char *crier_config_to_json(const struct crier_config *config);
int crier_config_from_json(struct crier_config *config, const char *json, size_t len,
			   struct crier_err *err) crier_must_check;

/** The commented default YAML, --help's option part, markdown and man page: all from the table. To stdout-like FILE. */
void crier_config_print_yaml(FILE *file);
void crier_config_print_help(FILE *file);
void crier_config_print_markdown(FILE *file);
void crier_config_print_man(FILE *file);

/** 1 if SIGHUP may change everything that differs; 0 and err naming the first option that needs a restart. */
int crier_config_can_reload(const struct crier_config *old_config, const struct crier_config *new_config,
			    struct crier_err *err);

/* "did you mean": set `word`, offer every name, then read `best`. */
struct crier_suggestion {
	const char *word;
	const char *best; /* borrowed from the offers; NULL: nothing is near */
	unsigned distance;
};
/** Offer one name, of an option or a verb. Words and names above 32 bytes are never near. Pure. */
void crier_suggest(struct crier_suggestion *suggestion, const char *name);

/** Bit set (1 << enum crier_type) a profile emits; process.exit, process.signal partly: see crier_profile_wants. */
uint32_t crier_profile_types(enum crier_profile profile);
/** Which kernel events a profile needs (1 << enum crier_probe_event). */
uint32_t crier_profile_probes(enum crier_profile profile);

extern const char *const crier_profile_names[CRIER_PROFILE_COUNT + 1];
extern const char *const crier_cri_events_names[CRIER_CRI_EVENTS_COUNT + 1];
extern const char *const crier_ebpf_names[CRIER_EBPF_COUNT + 1];

#endif
