/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which events belong to one death, and which caused which. Facts and joins only: same task, signal target, same cgroup
 * within a window, same slot. Pure; time is an argument. One set per container (and one for the node).
 *
 * An incident is one death: pressure, OOM, signals, exits, container exit. A container may have several under way (two
 * workers crashing); each is bounded to CRIER_TIMELINE_MAX items, the first and the latest are kept.
 */
#ifndef CRIER_INCIDENT_H
#define CRIER_INCIDENT_H

#include <stdbool.h>
#include <stdint.h>

#include "crier/event_data.h"

#define CRIER_INCIDENTS_OPEN 4

#define CRIER_INCIDENT_OOM_WINDOW_NS	  (5ULL * 1000000000) /* OOM and the exits it leads to */
#define CRIER_INCIDENT_GROUP_WINDOW_NS	  (100ULL * 1000000)  /* memory.oom.group kills one after the other */
#define CRIER_INCIDENT_PRESSURE_WINDOW_NS (60ULL * 1000000000) /* last word of pressure and the kill */
#define CRIER_INCIDENT_SIGNAL_WINDOW_NS	  (10ULL * 1000000000) /* fatal signal and the exit */
#define CRIER_INCIDENT_STOP_WINDOW_NS                                                                        \
	(3600ULL * 1000000000) /* stop signal and the escalation: grace periods are long */

/* What is to be joined. */
struct crier_incident_fact {
	enum crier_type type;
	struct crier_process_key
		key; /* the process it happened to; pid 0 = none (pressure, container events) */
	struct crier_process_key trigger; /* OOM: who triggered it; ties the victims of one kill together */
	uint64_t now_ns;		  /* boottime of the event */
	uint32_t signal;		  /* signal and exit: the number; else 0 */
	bool is_init;			  /* the process is the container's init */
	bool is_stop;			  /* a stop signal from outside */
	bool from_kernel;		  /* signal: the kernel sent it */
};

struct crier_incident_item {
	struct crier_incident_fact fact;
	uint64_t seq; /* CRIER_UNKNOWN_U64: filtered */
};

struct crier_incident {
	struct crier_incident *next; /* of the set, or of the pool's spare ones */
	uint64_t id;
	uint64_t last_ns;
	uint32_t victims;
	uint8_t count;
	struct crier_incident_item items[CRIER_TIMELINE_MAX];
};

/* Most containers never die: what they need of an incident is taken with the first fact. All zero: none is open. */
struct crier_incidents {
	struct crier_incident *open; /* owned, CRIER_INCIDENTS_OPEN at most; in the order they were opened */
};

/*
 * Where all sets of a pipeline take incidents from and give them back to: the ids go on, and processes that crash all the
 * time need no allocation each. All zero: empty, the first id is 1.
 */
struct crier_incident_pool {
	uint64_t last_id;
	struct crier_incident *spare; /* owned */
	uint32_t spares, least;	      /* how many; and at least since the last trim */
};

/** Free what was not needed since the last call. */
void crier_incident_pool_trim(struct crier_incident_pool *pool);
/** Free all spare ones; the ids go on. */
void crier_incident_pool_done(struct crier_incident_pool *pool);

/** Give back all of them; the set is empty and usable again. */
void crier_incidents_done(struct crier_incidents *set, struct crier_incident_pool *pool);

/** Give back those whose every window has passed: no later fact can belong to them. @return whether some are left */
bool crier_incidents_forget(struct crier_incidents *set, struct crier_incident_pool *pool, uint64_t now_ns);

/**
 * The incident a fact belongs to, opened with the pool's next id when none fits; in a full set the oldest gives way.
 * @return valid until the next call on this set; NULL: out of memory, the line goes without one (explain and add take NULL)
 */
struct crier_incident *crier_incident_join(struct crier_incidents *set, struct crier_incident_pool *pool,
					   const struct crier_incident_fact *fact);

/** As join, but NULL instead of opening one: for facts that are no death by themselves. */
struct crier_incident *crier_incident_find(struct crier_incidents *set,
					   const struct crier_incident_fact *fact);

/** Fill incident and caused_by of a line about `fact` from what the incident holds so far. */
void crier_incident_explain(const struct crier_incident *incident, const struct crier_incident_fact *fact,
			    struct crier_correlation *correlation);

/** Remember the fact under the number its line got (CRIER_UNKNOWN_U64: filtered). */
void crier_incident_add(struct crier_incident *incident, const struct crier_incident_fact *fact,
			uint64_t seq);

/** Timeline of the incident for container.exited. @return items written */
size_t crier_incident_timeline(const struct crier_incident *incident, uint64_t unix_offset_ns,
			       struct crier_timeline_item ret_items[CRIER_TIMELINE_MAX]);

#endif
