/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the same lines cost when next to nothing is done for them: measured beside the pipeline, in the same run.
 *
 * fragment: copy ready text and print the numbers; the container's block is one copy from the container's own storage.
 * snprintf: the same pieces through one format string a line. jansson: the line's object built, dumped and freed again.
 */
#ifndef CRIER_BENCH_FLOOR_H
#define CRIER_BENCH_FLOOR_H

#include "stream.h"

enum bench_floor_kind { BENCH_FLOOR_FRAGMENT, BENCH_FLOOR_SNPRINTF, BENCH_FLOOR_JANSSON, BENCH_FLOOR_COUNT };

extern const char *const bench_floor_names[BENCH_FLOOR_COUNT];

struct bench_floor;

/** Takes the lines that the next batch of the stream makes, and proves that each floor makes the very same bytes. */
struct bench_floor *bench_floor_new(struct bench_stream *stream);
void bench_floor_free(struct bench_floor *floor);
/** Make all lines once. @return how many */
size_t bench_floor_run(struct bench_floor *floor, enum bench_floor_kind kind);

#endif
