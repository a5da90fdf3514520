/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the agent: agent.c is the loop, start.c what happens once, live.c the pipeline's hands on the real node. */
#ifndef CRIER_AGENT_INTERNAL_H
#define CRIER_AGENT_INTERNAL_H

#include <signal.h>

#include "crier/agent.h"
#include "crier/cpu_budget.h"
#include "crier/cri.h"
#include "crier/mailbox.h"
#include "crier/pipeline.h"
#include "crier/observer.h"
#include "crier/sink.h"
#include "crier/state.h"

#define MS_NS	  1000000ULL
#define SECOND_NS 1000000000ULL

/* PSI triggers are kernel work for every task switch of the cgroup: only for containers under pressure, and few. */
#define PSI_WATCHES_MAX 64

struct crier_psi_watch {
	uint64_t cgroup_id; /* 0 = the node */
	int fd;		    /* -1 = free */
};

struct crier_agent {
	const struct crier_config *config;
	struct crier_config *reloaded; /* owned; in force after SIGHUP */

	struct crier_start start;
	struct crier_observer observer;
	struct crier_mailbox *mailbox;
	struct crier_cri *cri;
	struct crier_sink *sink;
	struct crier_pipeline *pipeline;
	struct crier_recording_writer *recording;
	struct crier_host host;

	int epoll_fd, timer_fd, clock_fd, signal_fd;
	struct crier_psi_watch psi[PSI_WATCHES_MAX];
	uint64_t turn_ns;  /* boottime of the turn under way */
	uint64_t timer_ns; /* what timer_fd is set to, boottime; 0 = off */

	size_t room_told;
	enum crier_sink_state sink_state;
	struct crier_input_counters counters;
	uint64_t counters_ns, state_ns, state_seq;
	size_t state_exited;
	uint64_t trimmed_ns;
	bool has_settled; /* the start is over for a while */
	struct crier_cpu_budget cpu;
	uint64_t bulk_rests_until_ns; /* 0 = it does not */
	uint64_t bulk_rested_ns;      /* the last time it did */
	bool rest_told;
	bool recording_failed, state_failed;
	unsigned troubles_told;	 /* of the fallback */
	bool arm_refused;	 /* the last look found nothing, and the rings would not be armed */
	const char *stop_reason; /* NULL while running */
	int fault;		 /* what the run ends with */
	uint64_t asks_refused;
	uint64_t classes_refused; /* the class map was full */
};

uint64_t crier_agent_now(void);
/** unix time = boottime + this. */
uint64_t crier_agent_unix_offset(void);
void crier_agent_arm_clock(struct crier_agent *agent);

/** Give one input to the recording and the pipeline. */
void crier_agent_feed(struct crier_agent *agent, enum crier_input_type type, const void *bytes, size_t len);
void crier_agent_feed_text(struct crier_agent *agent, enum crier_input_type type, const char *text);
void crier_agent_record(void *ctx, const void *bytes, size_t len);

void crier_agent_health(struct crier_agent *agent, const char *component, const char *state,
			const char *reason, const char *remedy);

/* start.c */
int crier_agent_start(struct crier_agent *agent, const char *recording_path, bool overwrite,
		      struct crier_err *err);
/** The kernel side's knobs as the configuration wants them; `armed` and `self_pid` are left alone. */
void crier_agent_set_control(const struct crier_config *config, struct crier_wire_control *control);
void crier_agent_save_state(struct crier_agent *agent, bool clean);

/* ability.c */
/** Prove what can be proven, tell agent.start with all that is missing, and the kernel's health when it is not whole. */
void crier_agent_ready(struct crier_agent *agent, bool has_tree, bool has_seeds);
/** Feed every cgroup of the primary hierarchy; those known already change nothing. @return false: it could not be walked */
bool crier_agent_walk(struct crier_agent *agent);

/* cpu.c: --max-cpu */
void crier_agent_cpu_start(struct crier_agent *agent);
/** Before a turn: does bulk rest? */
void crier_agent_cpu_begin(struct crier_agent *agent, uint64_t now_ns);
/** After a turn: book what it cost, tell when rests begin and are over. */
void crier_agent_cpu_end(struct crier_agent *agent, uint64_t now_ns);

/* memory.c */
/** Bound what the C library keeps; before the first thread. */
void crier_agent_limit_memory(void);
/**
 * The start ran through most of the program and its libraries once: relocating, parsing, loading. Those pages are let go of;
 * what is used again comes back from the page cache. 0.1 ms, and some faults after it.
 */
void crier_agent_drop_program(void);
/** After a burst the heap gives back what nobody uses. Each turn of the loop; it does something every ten seconds at most. */
void crier_agent_give_back(struct crier_agent *agent, uint64_t now_ns);
/** When to turn for that even if nothing happens: once, for what the start needed; UINT64_MAX afterwards. */
uint64_t crier_agent_give_back_due(const struct crier_agent *agent);

/* live.c */
void crier_agent_live(struct crier_agent *agent);
void crier_agent_watch(struct crier_agent *agent, uint64_t cgroup_id, const char *path, bool on);
void crier_agent_counters(struct crier_agent *agent);

#endif
