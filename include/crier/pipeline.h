/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode -> attribute -> hold -> enrich -> correlate -> filter -> number -> emit, as one deterministic machine: the same
 * inputs (input.h) give the same bytes, live or replayed. It owns the tables and nothing of the outside; everything it
 * wants from the node goes through struct crier_host. One thread.
 */
#ifndef CRIER_PIPELINE_H
#define CRIER_PIPELINE_H

#include "crier/base/cleanup.h"
#include "crier/base/err.h"
#include "crier/cgroup.h"
#include "crier/config.h"
#include "crier/host.h"
#include "crier/input.h"

struct crier_pipeline;

/* Everything that is set once per run: the payload of CRIER_INPUT_START as a struct. */
struct crier_start {
	char instance[9];
	char boot[9];
	uint64_t boottime_ns; /* of the start */
	uint64_t unix_offset_ns;
	uint32_t page_size;
	char kernel[128];
	struct crier_cgroup_layout layout;
	char cri_socket[256]; /* "" = none */
	/* of the run before, from the state file; instance "" = none known */
	char previous_instance[9];
	uint64_t previous_seq, previous_ended_at; /* unix ns */
	bool previous_clean;
	char (*previous_exited)
		[CRIER_ID_MAX]; /* container ids whose exit the last run told already; owned by the caller */
	size_t previous_exited_count;
};

/** @param config  borrowed; must outlive the pipeline or be replaced by a CONFIG input */
int crier_pipeline_new(const struct crier_config *config, const struct crier_start *start,
		       const struct crier_host *host, struct crier_pipeline **ret_pipeline,
		       struct crier_err *err) crier_must_check;
void crier_pipeline_free(struct crier_pipeline *pipeline);

/** Feed one input (all types but START and LOOKUP). `bytes` 8-byte aligned, borrowed for the call. */
void crier_pipeline_feed(struct crier_pipeline *pipeline, enum crier_input_type type, uint64_t now_ns,
			 const void *bytes, size_t len);

/**
 * Feed kernel records that came together: the same as one CRIER_INPUT_RECORD after the other, and quicker where there are
 * thousands of containers, since what a record will touch is fetched while those before it are at work.
 * @param records  each 8-byte aligned, borrowed for the call
 */
void crier_pipeline_feed_records(struct crier_pipeline *pipeline, uint64_t now_ns,
				 const struct crier_slice *records, size_t count);

/** Boottime of the next thing that must happen; UINT64_MAX when nothing is due. The loop sets its timer and feeds TICK. */
uint64_t crier_pipeline_deadline(const struct crier_pipeline *pipeline);

/** For the state file: last number given, and the last container ids whose exit was told. */
uint64_t crier_pipeline_last_seq(const struct crier_pipeline *pipeline);
/** Exits told since the start: rises by one each; the newest ids are had from crier_pipeline_exited. */
size_t crier_pipeline_exited_total(const struct crier_pipeline *pipeline);
size_t crier_pipeline_exited(const struct crier_pipeline *pipeline, const char **ret_ids, size_t max);

/** START's JSON and back, for recordings. */
char *crier_start_to_json(const struct crier_start *start, const struct crier_config *config);
int crier_start_from_json(const char *json, size_t len, struct crier_start *ret_start,
			  struct crier_config *config, struct crier_err *err) crier_must_check;
void crier_start_done(struct crier_start *start);

#endif
