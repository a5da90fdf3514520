/* SPDX-License-Identifier: Apache-2.0 */
/* Inside summary and text: words and values put after each other. Only puts: sentences are made for every line. */
#ifndef CRIER_STORY_H
#define CRIER_STORY_H

#include "crier/emit.h"
#include "crier/event_data.h"

#define PUT(buf, literal) crier_buf_put(buf, literal, sizeof(literal) - 1)

#define STORY_NAME_MAX 253 /* bytes of a name within a sentence */
#define STORY_PATH_MAX 96
#define STORY_TEXT_MAX 200

/** As crier_put_duration, where there is room for CRIER_DURATION_MAX bytes. @return the end */
char *crier_duration_at(char *p, uint64_t ms);
#define CRIER_DURATION_MAX 64

static inline bool crier_known(uint64_t value)
{
	return value != CRIER_UNKNOWN_U64;
}

/** Untrusted bytes as they are, cut with "…" above `max`; "?" when absent. Escaping is the reader's: JSON or terminal. */
void crier_story_text(struct crier_buf *buf, struct crier_slice text, size_t max);
/** "java[31874]" */
void crier_story_task(struct crier_buf *buf, struct crier_slice comm, uint64_t pid);
/** "shop/cart-7d9f8b6c5-x2x4k/app", or what is known of it; false (nothing written) if the event is about no container. */
bool crier_story_place(struct crier_buf *buf, const struct crier_event *event);
/** "97 %" */
void crier_story_percent(struct crier_buf *buf, double ratio);
/** "container limit 512 MiB", "node out of memory" */
void crier_story_limit(struct crier_buf *buf, const struct crier_data_oom *data);
/** "container", "pod", … "memory" when unknown. */
const char *crier_story_level(uint8_t level);
/** "restart 4, 20.3 s after oom (exit 137)", "first start" */
void crier_story_start(struct crier_buf *buf, const struct crier_event *event,
		       const struct crier_data_started *data);
/** "oom, exit 137 after 3h12m, restart 3" */
void crier_story_end(struct crier_buf *buf, const struct crier_data_exited *data);
/** "97 % of 512 MiB (container limit), stalled 1.2 s, critical" */
void crier_story_pressure(struct crier_buf *buf, const struct crier_data_pressure *data);
void crier_story_node_pressure(struct crier_buf *buf, const struct crier_data_node_pressure *data);
void crier_story_throttle(struct crier_buf *buf, const struct crier_data_throttle *data);
void crier_story_snapshot(struct crier_buf *buf, const struct crier_event *event,
			  const struct crier_data_snapshot *data);
void crier_story_mends(struct crier_buf *buf, const struct crier_data_resolved *data);
void crier_story_removed(struct crier_buf *buf, const struct crier_data_removed *data);
/** "SIGTERM"; "signal 99" */
void crier_story_signal(struct crier_buf *buf, const char *name, uint64_t number);
/** agent.*: the same words in summary and story. */
void crier_story_agent(struct crier_buf *buf, const struct crier_event *event);

#endif
