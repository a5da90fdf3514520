/* SPDX-License-Identifier: Apache-2.0 */
/* crier check: a list of small probes, each adding what it found. Private to src/cli/check*.c. */
#ifndef CRIER_CLI_CHECK_H
#define CRIER_CLI_CHECK_H

#include <jansson.h>

#include "crier/base/err.h"
#include "crier/cgroup.h"
#include "crier/config.h"

enum crier_finding_status {
	CRIER_FINDING_OK,
	CRIER_FINDING_DEGRADED, /* crier runs, and something of it is missing */
	CRIER_FINDING_FAILED,	/* crier does not run */
	CRIER_FINDING_STATUS_COUNT,
};

#define CRIER_FINDINGS_MAX 48

struct crier_finding {
	const char *area; /* first column; static */
	enum crier_finding_status status;
	char text[1024];
	char remedy[512]; /* "" = none needed */
	json_t *facts;	  /* what a program wants to know; owned; NULL = none */
};

/* What the probes share: each may use what an earlier one learnt. */
struct crier_check {
	const struct crier_config *config;
	struct crier_cgroup_layout layout;
	bool has_layout;
	bool has_files; /* a runtime's folder can be read */
	size_t count;
	struct crier_finding findings[CRIER_FINDINGS_MAX];
};

/** Add a finding, status ok. Never NULL: beyond the bound the last is used again. */
struct crier_finding *crier_check_add(struct crier_check *check, const char *area);
/** Make it worse, never better; the remedy of the first reason stays and later ones are added. */
void crier_finding_worsen(struct crier_finding *finding, enum crier_finding_status status, const char *remedy,
			  ...) __attribute__((format(printf, 3, 4)));
void crier_finding_say(struct crier_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The probes, in the order they run. */
void crier_check_kernel(struct crier_check *check);
void crier_check_cgroups(struct crier_check *check);
void crier_check_rights(struct crier_check *check);
void crier_check_hardening(struct crier_check *check);
void crier_check_hooks(struct crier_check *check);
void crier_check_pressure(struct crier_check *check);
void crier_check_runtime(struct crier_check *check);
void crier_check_files(struct crier_check *check);

#endif
