/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/pressure.h"

#include "crier/base/cleanup.h"

#define MS_NS 1000000ULL

/* A counter's rise since `last`; unknown as long as one of the two is. Counters of a re-made cgroup start over. */
static uint64_t rise(uint64_t now, uint64_t last)
{
	if (now == CRIER_UNKNOWN_U64 || last == CRIER_UNKNOWN_U64)
		return CRIER_UNKNOWN_U64;
	return now >= last ? now - last : 0;
}

static void add_known(uint64_t *sum, uint64_t value)
{
	if (value != CRIER_UNKNOWN_U64)
		*sum += value;
}

static double judged_ratio(const struct crier_pressure_sample *sample, bool stalled)
{
	double held = (double)sample->held_bytes / (double)sample->limit_bytes;

	if (stalled && held >= CRIER_PRESSURE_HELD_SHARE)
		return (double)sample->working_set_bytes / (double)sample->limit_bytes;
	return held;
}

static uint8_t level_of(const struct crier_pressure *state, const struct crier_pressure_limits *limits,
			double ratio, bool stalled)
{
	if (ratio >= limits->critical && (stalled || state->level == CRIER_PRESSURE_CRITICAL))
		return CRIER_PRESSURE_CRITICAL;
	if (ratio >= limits->enter || (state->level != CRIER_PRESSURE_NONE && ratio >= limits->exit))
		return CRIER_PRESSURE_HIGH;
	return CRIER_PRESSURE_NONE;
}

static uint8_t phase_of(const struct crier_pressure *state, uint8_t level, uint64_t interval_ns,
			uint64_t now_ns)
{
	if (state->level == CRIER_PRESSURE_NONE)
		return level == CRIER_PRESSURE_NONE ? CRIER_PHASE_NONE : CRIER_PHASE_ENTER;
	if (level == CRIER_PRESSURE_NONE)
		return CRIER_PHASE_EXIT;
	if (level > state->level || now_ns - state->told_ns >= interval_ns)
		return CRIER_PHASE_ONGOING;
	return CRIER_PHASE_NONE;
}

struct crier_pressure_verdict crier_pressure_step(struct crier_pressure *state,
						  const struct crier_pressure_limits *limits,
						  const struct crier_pressure_sample *sample)
{
	struct crier_pressure_verdict verdict = {
		.stall_ms = CRIER_UNKNOWN_U64,
		.limit_hits = CRIER_UNKNOWN_U64,
		.duration_ms = CRIER_UNKNOWN_U64,
	};

	if (sample->limit_bytes == 0 || sample->limit_bytes == CRIER_UNKNOWN_U64 ||
	    sample->working_set_bytes == CRIER_UNKNOWN_U64 || sample->held_bytes == CRIER_UNKNOWN_U64)
		return verdict;
	bool is_first = !state->started;

	if (is_first) {
		*state = (struct crier_pressure){.started = true,
						 .stall_total_us = CRIER_UNKNOWN_U64,
						 .limit_hits = CRIER_UNKNOWN_U64};
	}
	uint64_t stall_us = rise(sample->stall_total_us, state->stall_total_us);
	uint64_t hits = rise(sample->limit_hits, state->limit_hits);
	uint64_t passed_ns = sample->now_ns - state->sampled_ns;
	bool stalled = (stall_us != CRIER_UNKNOWN_U64 &&
			(double)stall_us * 1000 > CRIER_PRESSURE_STALL_SHARE * (double)passed_ns) ||
		       (hits != CRIER_UNKNOWN_U64 && hits > 0);

	verdict.ratio = (double)sample->working_set_bytes / (double)sample->limit_bytes;
	verdict.level = level_of(state, limits, judged_ratio(sample, stalled), stalled);
	verdict.phase = phase_of(state, verdict.level, limits->interval_ns, sample->now_ns);

	/* told, but no proof that it stalls now: they may have been long ago */
	if (is_first && sample->hits_from_birth)
		hits = sample->limit_hits;
	add_known(&state->stall_since_us, stall_us);
	add_known(&state->hits_since, hits);
	state->stall_total_us = sample->stall_total_us;
	state->limit_hits = sample->limit_hits;
	state->sampled_ns = sample->now_ns;
	if (verdict.phase == CRIER_PHASE_ENTER)
		state->entered_ns = sample->now_ns;
	if (verdict.phase == CRIER_PHASE_NONE) {
		/* a fall from critical to high is told with the next `ongoing` */
		return verdict;
	}
	verdict.duration_ms = (sample->now_ns - state->entered_ns) / MS_NS;
	if (stall_us != CRIER_UNKNOWN_U64)
		verdict.stall_ms = state->stall_since_us / 1000;
	if (hits != CRIER_UNKNOWN_U64)
		verdict.limit_hits = state->hits_since;
	if (verdict.phase == CRIER_PHASE_EXIT)
		verdict.level = state->level; /* what has ended */
	state->level = verdict.phase == CRIER_PHASE_EXIT ? CRIER_PRESSURE_NONE : verdict.level;
	state->told_ns = sample->now_ns;
	state->stall_since_us = 0;
	state->hits_since = 0;
	return verdict;
}

bool crier_throttle_step(struct crier_throttle *state, double ratio, uint64_t now_ns, uint64_t periods,
			 uint64_t throttled, uint64_t throttled_us, struct crier_data_throttle *ret_data)
{
	struct crier_throttle last = *state;

	*state = (struct crier_throttle){now_ns, periods, throttled, throttled_us, true};
	if (!last.started || periods <= last.periods || throttled < last.throttled)
		return false;

	uint64_t all = periods - last.periods;
	uint64_t hit = throttled - last.throttled;

	if ((double)hit < ratio * (double)all)
		return false;
	ret_data->ratio = (double)hit / (double)all;
	ret_data->periods = all;
	ret_data->throttled_periods = hit;
	if (throttled_us >= last.throttled_us)
		ret_data->throttled_ms = (throttled_us - last.throttled_us) / 1000;
	ret_data->window_ms = (now_ns - last.at_ns) / MS_NS;
	return true;
}

struct crier_pressure_verdict crier_node_pressure_step(struct crier_node_pressure *state, double enter,
						       uint64_t interval_ns, uint64_t now_ns,
						       uint64_t total_bytes, uint64_t available_bytes,
						       uint64_t stall_total_us)
{
	struct crier_pressure_verdict verdict = {
		.stall_ms = CRIER_UNKNOWN_U64,
		.limit_hits = CRIER_UNKNOWN_U64,
		.duration_ms = CRIER_UNKNOWN_U64,
	};
	double leave = crier_min(enter * 1.2, 1.0);

	if (total_bytes == 0)
		return verdict;
	verdict.ratio = (double)available_bytes / (double)total_bytes;

	uint64_t stall_us = state->started ? rise(stall_total_us, state->stall_total_us) : CRIER_UNKNOWN_U64;
	bool stalled =
		stall_us != CRIER_UNKNOWN_U64 &&
		(double)stall_us * 1000 > CRIER_PRESSURE_STALL_SHARE * (double)(now_ns - state->sampled_ns);
	bool under = verdict.ratio < enter || (state->level != CRIER_PRESSURE_NONE && verdict.ratio < leave);
	uint8_t level = !under				       ? CRIER_PRESSURE_NONE
			: verdict.ratio < enter / 2 && stalled ? CRIER_PRESSURE_CRITICAL
							       : CRIER_PRESSURE_HIGH;
	struct crier_pressure as_container = {.level = state->level, .told_ns = state->told_ns};

	verdict.phase = phase_of(&as_container, level, interval_ns, now_ns);
	verdict.level = verdict.phase == CRIER_PHASE_EXIT ? state->level : level;
	state->started = true;
	state->stall_total_us = stall_total_us;
	state->sampled_ns = now_ns;
	if (verdict.phase == CRIER_PHASE_NONE)
		return verdict;
	if (verdict.phase == CRIER_PHASE_ENTER)
		state->entered_ns = now_ns;
	verdict.duration_ms = (now_ns - state->entered_ns) / MS_NS;
	if (stall_us != CRIER_UNKNOWN_U64)
		verdict.stall_ms = stall_us / 1000;
	state->level = level;
	state->told_ns = now_ns;
	return verdict;
}
