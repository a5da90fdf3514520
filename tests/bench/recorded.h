/* SPDX-License-Identifier: Apache-2.0 */
/* A recording held in memory and replayed through the real pipeline, as often as one likes; look-ups answer from it. */
#ifndef CRIER_BENCH_RECORDED_H
#define CRIER_BENCH_RECORDED_H

#include <stddef.h>
#include <stdint.h>

struct bench_recorded;

/** Reads the whole file; exits with a message when it is no recording of this version. */
struct bench_recorded *bench_recorded_open(const char *path);
void bench_recorded_close(struct bench_recorded *recorded);

struct bench_replay {
	uint64_t events; /* event records fed */
	uint64_t lines, bytes;
	double ns; /* CPU of this thread, feeding only: neither the making of the pipeline nor its end */
	uint64_t allocs;
};
/** Once from its start to its end, by a pipeline of its own. */
struct bench_replay bench_recorded_replay(struct bench_recorded *recorded);

#endif
