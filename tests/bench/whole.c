/* SPDX-License-Identifier: Apache-2.0 */
#include "phase.h"

const struct bench_phase bench_phases[] = {{.name = "total", .run = bench_stream_feed}};
const size_t bench_phase_count = CRIER_ARRAY_SIZE(bench_phases);
const bool bench_phases_cut = false;
