/* SPDX-License-Identifier: Apache-2.0 */
/* The words that stand for numbers in lines, schema and docs. Belongs to event.h, which includes it. */
#ifndef CRIER_NAMES_H
#define CRIER_NAMES_H

#include "crier/event_data.h"

/* Names of the enums of event.h and meta.h; index 0 is NULL, and so is what follows the last. */
extern const char *const crier_severity_names[CRIER_SEVERITY_COUNT + 1];
extern const char *const crier_priority_names[CRIER_PRIORITY_COUNT + 1];
extern const char *const crier_attribution_status_names[CRIER_ATTRIBUTION_COUNT + 1];
extern const char *const crier_source_names[CRIER_SOURCE_COUNT + 1];
extern const char *const crier_stream_names[CRIER_STREAM_COUNT + 1]; /* enum crier_meta_stream */
extern const char *const crier_via_names[CRIER_VIA_COUNT + 1];
extern const char *const crier_reason_names[CRIER_REASON_COUNT + 1];
extern const char *const crier_container_type_names[CRIER_CONTAINER_TYPE_COUNT + 1];
extern const char *const crier_qos_names[CRIER_QOS_COUNT + 1];
extern const char *const crier_exit_cause_names[CRIER_EXIT_CAUSE_COUNT + 1];
extern const char *const crier_loss_cause_names[CRIER_LOSS_COUNT + 1];
extern const char *const crier_limit_level_names[CRIER_LEVEL_COUNT + 1];
extern const char *const crier_state_names[CRIER_STATE_COUNT + 1];
extern const char *const crier_type_names[CRIER_TYPE_COUNT + 1];
extern const char *const crier_role_names[CRIER_ROLE_COUNT + 1];
extern const char *const crier_basis_names[CRIER_BASIS_COUNT + 1];
extern const char *const crier_observed_names[CRIER_OBSERVED_COUNT + 1];
extern const char *const crier_removed_basis_names[CRIER_REMOVED_COUNT + 1];
extern const char *const crier_oom_scope_names[CRIER_OOM_SCOPE_COUNT + 1];
extern const char *const crier_found_by_names[CRIER_FOUND_COUNT + 1];
extern const char *const crier_pressure_phase_names[CRIER_PHASE_COUNT + 1];
extern const char *const crier_pressure_level_names[CRIER_PRESSURE_COUNT + 1];
extern const char *const crier_signal_result_names[CRIER_SIGNAL_RESULT_COUNT + 1];

/** "tp_btf:mark_victim" of enum crier_wire_hook; NULL for none and unknown numbers. Static. */
const char *crier_hook_name(unsigned hook);
/** The same with its length; absent for none and unknown numbers. */
struct crier_slice crier_hook_text(unsigned hook);

/** "SIGTERM"; NULL for 0 and unknown numbers; real-time ones as "SIGRTMIN+n". Static. */
const char *crier_signal_name(unsigned signal);

#endif
