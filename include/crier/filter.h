/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user asked to see: profile, patterns, severity; after the hold, on what is known by then. Pure.
 * agent.*, OOMs and the `container.resolved` of an emitted line always pass. A pattern on a field that is not known passes
 * the event as undetermined.
 */
#ifndef CRIER_FILTER_H
#define CRIER_FILTER_H

#include "crier/base/cleanup.h"
#include "crier/config.h"
#include "crier/event.h"

struct crier_filter;

enum crier_verdict {
	CRIER_VERDICT_PASS,
	CRIER_VERDICT_UNDETERMINED, /* passes, and the line says filter: undetermined */
	CRIER_VERDICT_FILTERED,
};

/** Compile; the config may be freed afterwards. */
int crier_filter_new(const struct crier_config *config, struct crier_filter **ret_filter,
		     struct crier_err *err) crier_must_check;
void crier_filter_free(struct crier_filter *filter);

/**
 * The profile `default` wants of process.exit only abnormal ends and container inits, of process.signal stop and fatal
 * ones: read from the event's data. No allocation. ~20 ns with no patterns.
 */
enum crier_verdict crier_filter_check(const struct crier_filter *filter, const struct crier_event *event);

/** `*` any run, `?` one byte; bytes, case matters. */
bool crier_pattern_match(const char *pattern, struct crier_slice text);

#endif
