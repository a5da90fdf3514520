/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of the pipeline, told apart by cutting it: the linker (--wrap) leads the calls between the pipeline's files
 * through here, and a phase lets them pass up to its stage. A stage costs what its phase takes beyond the one before.
 * Nothing stands in the middle but a jump and a comparison, the same in each phase; bench_pipeline is linked without.
 *
 * What is whose: decode = crier_decode over the records. attribute = the record's way into the pipeline and the look-up of
 * cgroup, container and pod. hold = asking whether it must wait. enrich = the event's fields. correlate = incidents.
 * filter = the user's filter, budget, room, counters. emit = the line.
 */
#include "phase.h"
#include "../../src/pipeline/internal.h"

enum cut { CUT_ATTRIBUTE, CUT_HOLD, CUT_ENRICH, CUT_CORRELATE, CUT_FILTER, CUT_NONE };

static enum cut cut = CUT_NONE;
static uint64_t passed[CUT_NONE + 1]; /* calls that were cut short, by phase */

static bool is_cut(enum cut stage)
{
	if (cut > stage)
		return false;
	passed[stage]++;
	return true;
}

bool __real_crier_hold_has(const struct crier_hold *hold, uint64_t key);
bool __wrap_crier_hold_has(const struct crier_hold *hold, uint64_t key);
bool __wrap_crier_hold_has(const struct crier_hold *hold, uint64_t key)
{
	return is_cut(CUT_ATTRIBUTE) ? false : __real_crier_hold_has(hold, key);
}

void __real_crier_process_record(struct crier_pipeline *p, const struct crier_decoded *d,
				 struct crier_subject subject, uint64_t wait_ns);
void __wrap_crier_process_record(struct crier_pipeline *p, const struct crier_decoded *d,
				 struct crier_subject subject, uint64_t wait_ns);
void __wrap_crier_process_record(struct crier_pipeline *p, const struct crier_decoded *d,
				 struct crier_subject subject, uint64_t wait_ns)
{
	if (!is_cut(CUT_HOLD))
		__real_crier_process_record(p, d, subject, wait_ns);
}

struct crier_incident *__real_crier_incident_join(struct crier_incidents *set,
						  struct crier_incident_pool *pool,
						  const struct crier_incident_fact *fact);
struct crier_incident *__wrap_crier_incident_join(struct crier_incidents *set,
						  struct crier_incident_pool *pool,
						  const struct crier_incident_fact *fact);
struct crier_incident *__wrap_crier_incident_join(struct crier_incidents *set,
						  struct crier_incident_pool *pool,
						  const struct crier_incident_fact *fact)
{
	static struct crier_incident nowhere; /* join never says NULL */

	if (!is_cut(CUT_ENRICH))
		return __real_crier_incident_join(set, pool, fact);
	return &nowhere;
}

struct crier_incident *__real_crier_incident_find(struct crier_incidents *set,
						  const struct crier_incident_fact *fact);
struct crier_incident *__wrap_crier_incident_find(struct crier_incidents *set,
						  const struct crier_incident_fact *fact);
struct crier_incident *__wrap_crier_incident_find(struct crier_incidents *set,
						  const struct crier_incident_fact *fact)
{
	return is_cut(CUT_ENRICH) ? NULL : __real_crier_incident_find(set, fact);
}

void __real_crier_incident_explain(const struct crier_incident *incident,
				   const struct crier_incident_fact *fact,
				   struct crier_correlation *correlation);
void __wrap_crier_incident_explain(const struct crier_incident *incident,
				   const struct crier_incident_fact *fact,
				   struct crier_correlation *correlation);
void __wrap_crier_incident_explain(const struct crier_incident *incident,
				   const struct crier_incident_fact *fact,
				   struct crier_correlation *correlation)
{
	if (!is_cut(CUT_ENRICH))
		__real_crier_incident_explain(incident, fact, correlation);
}

void __real_crier_incident_add(struct crier_incident *incident, const struct crier_incident_fact *fact,
			       uint64_t seq);
void __wrap_crier_incident_add(struct crier_incident *incident, const struct crier_incident_fact *fact,
			       uint64_t seq);
void __wrap_crier_incident_add(struct crier_incident *incident, const struct crier_incident_fact *fact,
			       uint64_t seq)
{
	if (!is_cut(CUT_ENRICH))
		__real_crier_incident_add(incident, fact, seq);
}

uint64_t __real_crier_output(struct crier_pipeline *p, struct crier_event *event, enum crier_wire_class ring,
			     bool made_here);
uint64_t __wrap_crier_output(struct crier_pipeline *p, struct crier_event *event, enum crier_wire_class ring,
			     bool made_here);
uint64_t __wrap_crier_output(struct crier_pipeline *p, struct crier_event *event, enum crier_wire_class ring,
			     bool made_here)
{
	if (cut > CUT_CORRELATE)
		return __real_crier_output(p, event, ring, made_here);
	passed[cut]++;
	return CRIER_UNKNOWN_U64;
}

int __real_crier_emit_json(const struct crier_emit_options *options, const struct crier_event *event,
			   uint64_t seq, struct crier_buf *buf);
int __wrap_crier_emit_json(const struct crier_emit_options *options, const struct crier_event *event,
			   uint64_t seq, struct crier_buf *buf);
int __wrap_crier_emit_json(const struct crier_emit_options *options, const struct crier_event *event,
			   uint64_t seq, struct crier_buf *buf)
{
	return is_cut(CUT_FILTER) ? 0 : __real_crier_emit_json(options, event, seq, buf);
}

/* ---- phases ---- */

static volatile uint64_t sink;

static void run_decode(const struct bench_stream *stream)
{
	struct crier_decoded d;
	uint64_t sum = 0;

	for (size_t i = 0; i < stream->count; i++)
		if (crier_decode(stream->ring + stream->items[i].offset, stream->items[i].len, &d) == 0)
			sum += d.header->cgroup_id;
	sink += sum;
}

static void run_cut(const struct bench_stream *stream, enum cut stage)
{
	cut = stage;
	passed[stage] = 0;
	bench_stream_feed(stream);
	cut = CUT_NONE;
}

#define PHASE(name, stage)                                                                                   \
	static void run_##name(const struct bench_stream *stream)                                            \
	{                                                                                                    \
		run_cut(stream, stage);                                                                      \
	}                                                                                                    \
	static bool is_##name##_real(void)                                                                   \
	{                                                                                                    \
		return (stage) == CUT_NONE || passed[stage] != 0;                                            \
	}

PHASE(attribute, CUT_ATTRIBUTE)
PHASE(hold, CUT_HOLD)
PHASE(enrich, CUT_ENRICH)
PHASE(correlate, CUT_CORRELATE)
PHASE(filter, CUT_FILTER)
PHASE(emit, CUT_NONE)

const struct bench_phase bench_phases[] = {
	{"decode", run_decode, true, NULL},
	{"attribute", run_attribute, true, is_attribute_real},
	{"hold", run_hold, true, is_hold_real},
	{"enrich", run_enrich, true, is_enrich_real},
	{"correlate", run_correlate, true, is_correlate_real},
	{"filter", run_filter, true, is_filter_real},
	{"emit", run_emit, true, is_emit_real},
};
const size_t bench_phase_count = CRIER_ARRAY_SIZE(bench_phases);
const bool bench_phases_cut = true;
