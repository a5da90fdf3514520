/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is measured of a batch. bench_pipeline has one phase, the pipeline as it is linked into crier. bench_stages has one
 * for each stage, every one running a stage further than the one before (stages.c), so that no clock stands within.
 */
#ifndef CRIER_BENCH_PHASE_H
#define CRIER_BENCH_PHASE_H

#include "stream.h"

struct bench_phase {
	const char *name;
	void (*run)(const struct bench_stream *stream);
	bool cumulative; /* its cost is this minus the phase before */
	bool (*is_real)(
		void); /* after a run: false if the cut was never passed by, so that the figure means nothing */
};

extern const struct bench_phase bench_phases[];
extern const size_t bench_phase_count;
/* Streams whose tables change as they go cannot be cut: they have the last phase only. */
extern const bool bench_phases_cut;

#endif
