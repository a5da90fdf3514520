/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the pipeline: what its files share and nobody else sees. Reading order: pipeline.c (inputs, deadlines),
 * arrive.c (what a record does to the tables), locate.c (which container is this?), life.c and wait.c (asked about, held,
 * settled), process.c and oom.c (records to events), doomed.c (exits before their kill), death.c, mail.c (what the runtime tells), mend.c (lines that left
 * without a name), watch.c (pressure, throttling), output.c (filter, number, emit), report.c.
 */
#ifndef CRIER_PIPELINE_INTERNAL_H
#define CRIER_PIPELINE_INTERNAL_H

#include "crier/decode.h"
#include "crier/filter.h"
#include "crier/hold.h"
#include "crier/incident.h"
#include "crier/pipeline.h"
#include "crier/pressure.h"
#include "crier/source.h"

#define NEVER	  UINT64_MAX
#define MS_NS	  1000000ULL
#define SECOND_NS 1000000000ULL

#define ASK_BACKOFF_FIRST_NS                                                                                 \
	(10 * MS_NS) /* a sandbox is NOT_FOUND until RunPodSandbox ends, 34 ms and more */
#define ASK_BACKOFF_LAST_NS (200 * MS_NS) /* containerd knows an exit some 50 ms after the kernel */
/* A file of cgroupfs or /proc: memory.stat has some 6 KiB, /proc/PID/cgroup a dozen paths; what is kept of a bundle 32. */
#define FILE_BYTES	(64 * 1024)
#define EXITED_TOLD_MAX 256 /* ids kept for the state file */
#define KILLED_MAX	64  /* victims remembered; the exit of one forgotten waits in vain for a moment */

/* What was seen of a container's end. */
struct crier_death {
	uint64_t boottime_ns; /* 0 = not seen */
	struct crier_process_key key;
	uint32_t status; /* wait(2) form, of init; valid when by_init */
	bool by_init;	 /* init's own exit was seen */
	bool executed; /* init had executed its program: without it the runtime's helper ended, and nothing started */
	bool oom;
	bool from_runtime; /* only the runtime told: it happened at its finished_at */
};

/* What its slot remembers of its death, once told. */
struct crier_last_death {
	uint64_t incident, seq, died_ns, exited_at;
	int64_t exit_code;
	uint8_t cause;
};

/* A stop asked for from outside: the first signal and the last. */
struct crier_stop_seen {
	uint64_t first_ns, last_ns;
	uint32_t first_signal, last_signal;
	uint32_t first_result; /* TRACE_SIGNAL_* */
	uint32_t sender_pid;
	char sender_comm[CRIER_WIRE_COMM_LEN];
};

/* Most containers live on: what is remembered of an end is allocated with the first sign of one. */
struct crier_ending {
	struct crier_stop_seen stop;
	struct crier_last_death last;
};

/* Lines that left without a full attribution: the range of their numbers, and how many of it they are. */
struct crier_unmended {
	uint64_t from, to, count;
};

enum crier_ask_state {
	ASK_NONE,
	ASK_WAITING,  /* asked, no answer yet */
	ASK_ANSWERED, /* the runtime's full status was merged */
	ASK_MISSING,  /* the last answer was no answer */
};

/* Of containers with a limit, while somebody looks at it. */
struct crier_watched {
	struct crier_pressure pressure;
	struct crier_throttle throttle;
};

/* The pipeline's part of a container: container->life. What every event looks at comes first, together. */
struct crier_life {
	uint64_t key;		/* hold queue */
	uint64_t hold_until_ns; /* 0 = settled: events go straight on */
	bool preexisting;	/* there before crier looked: a snapshot, not created and started */
	struct crier_incidents incidents;

	struct crier_container *container;
	struct crier_cgroup *cgroup; /* its own directory; NULL: known from the runtime only, or gone */
	struct crier_list busy;	     /* linked while due_ns is set */
	struct crier_list asked; /* in unanswered while ask is WAITING, in unheard when that was in vain */
	uint64_t due_ns;

	/* waiting for metadata */
	uint64_t asked_ns, next_ask_ns;
	uint64_t next_look_ns; /* at the node's files; 0 = they will not say more */
	uint64_t line_ns;      /* until then a snapshot waits for the runtime's answer, or a line for room */
	uint64_t answered_ns;  /* last time the runtime named it, singly or in a list */
	uint32_t asks, looks;
	uint32_t cgroups; /* entries of the table that point at the container */
	bool hold_full;	  /* its queue goes because a bound is reached */
	bool hinted;	  /* reclaim was hinted at while it was on hold: sample once it is settled */
	bool exec_seen;
	bool init_is_guessed;	 /* pid 1 of a namespace, and nobody has stated its pid */
	bool init_by_ticks;	 /* init_start_ns is the beginning of its clock tick: from /proc */
	uint64_t init_stated_ns; /* when a pid was stated without a start: its process began before */
	uint8_t ask;		 /* enum crier_ask_state */
	uint8_t missing;	 /* enum crier_meta_status of the last MISSING */

	/* what was told */
	bool may_run; /* it was there before crier, and who lives in it was not seen: its init may have executed */
	bool want_snapshot, want_removed;
	bool started_told, exited_told, removed_told;
	bool cri_known;	     /* the runtime named it at least once */
	uint64_t deleted_ns; /* the runtime's stream told that it is gone for good; 0 = no */
	uint64_t generation;
	uint32_t lists_missed; /* lists in a row that did not name it */
	bool created_told;
	bool init_oom;	   /* init was among the victims of an OOM kill */
	bool slot_pending; /* it died without a name: its slot is set once it has one */

	struct crier_ending *ending; /* owned; NULL: no stop was asked for, and no end was told */
	struct crier_death death;
	uint64_t dying_since_ns, dying_until_ns; /* until 0 = not dying */
	struct crier_list dying;		 /* linked while dying */

	struct crier_watched *watched; /* owned; NULL: neither has a limit, or nobody has looked yet */
	uint64_t pressure_next_ns;     /* re-sample while under pressure */
	uint64_t pressure_sampled_ns;  /* rate limit of hints */

	struct crier_unmended unmended;
	uint32_t strangers; /* of mend.c: cgroups of this container whose lines left before they were known */
};

struct crier_account {
	uint64_t received; /* kernel event records fed */
	uint64_t made;	   /* events user space generated itself */
	uint64_t emitted, filtered, suppressed, lost;
	uint64_t held; /* event records waiting in hold queues */
};

/* What became of the lines that left partial or none; the sum of all is their number. */
struct crier_mending {
	uint64_t open;		     /* may still be named */
	uint64_t mended;	     /* by a container.resolved */
	uint64_t expired;	     /* container or cgroup gone for --tombstone-age */
	uint64_t evicted;	     /* gave way in a full table */
	uint64_t not_container;	     /* the cgroup turned out to hold none */
	uint64_t final;		     /* nothing can come: in a pod's cgroup, in none of its containers */
	uint64_t unnamed_containers; /* forgotten without ever having had a name */
};

struct crier_strangers;

/* How many in the second that began then. */
struct crier_rate {
	uint64_t since_ns;
	uint32_t count;
};

struct crier_loss_tally {
	uint64_t count, first_ns, last_ns;
	struct crier_loss_cgroup top[CRIER_LOSS_CGROUPS_MAX]; /* of the last addition that knew any */
	size_t top_count;
};

/* Losses are tallied by class, and apart for control records. */
#define LOSS_CONTROL CRIER_CLASS_COUNT
#define LOSS_CLASSES (CRIER_CLASS_COUNT + 1)

struct crier_pipeline {
	const struct crier_config *config;
	struct crier_config *reloaded; /* owned; config points here after a CONFIG input */
	struct crier_host host;
	struct crier_start start;
	struct crier_index *index;
	struct crier_cgroup_table *cgroups;
	struct crier_sources sources;
	struct crier_hold *hold;
	struct crier_filter *filter;
	struct crier_emit_options emit;
	struct crier_emit_cache cache;
	struct crier_resource *resources; /* owned */

	uint64_t now_ns;
	uint64_t seq; /* last number given */
	struct crier_incident_pool incident_pool;
	uint64_t key_counter;
	struct crier_list busy; /* lives with a due time */
	uint64_t busy_due_ns;	/* not later than the earliest of them */
	uint64_t wait_ns;	/* of the record that is being released from a hold, else 0 */
	bool ready;
	bool exec_unseen, mkdir_unseen; /* nothing on this node shows them: the runtime's word has to do */
	bool seeded;			/* the processes alive at start were told */

	/* runtime */
	bool cri_enabled, cri_up;
	bool cri_down;		      /* told as down; neither up nor down: connecting */
	bool cri_silent;	      /* the last question was given up, and no answer came since */
	uint64_t cri_answer_ns;	      /* how long the last answered question waited */
	struct crier_list unanswered; /* lives with a question under way, oldest first */
	struct crier_list unheard;    /* lives without a name whose question timed out */
	struct crier_list dying;      /* lives whose end waits for the runtime's word */
	uint64_t list_generation, list_began_ns;
	uint64_t cri_asked, cri_answered, cri_missing;
	uint64_t cri_events, cri_events_skipped;
	uint8_t cri_stream; /* enum crier_meta_stream */

	/* output */
	size_t room, room_total;
	uint64_t budget_ns; /* last refill */
	uint64_t budget_bytes;
	struct crier_account account[CRIER_CLASS_COUNT];
	struct crier_loss_tally losses[CRIER_LOSS_COUNT][LOSS_CLASSES];
	bool loss_pending;
	uint64_t lines, bytes, invalid;
	uint64_t attribution[CRIER_ATTRIBUTION_COUNT];
	struct crier_mending mending;
	struct crier_strangers *strangers; /* NULL until the first */
	bool is_expiring, is_stopping;
	struct crier_input_counters counters, counters_told;
	uint64_t counters_ns; /* when the last counters came */

	/* timers */
	uint64_t stats_due_ns, snapshot_due_ns, throttle_due_ns, node_due_ns, expire_due_ns, loss_due_ns;
	uint64_t stats_last_ns;

	struct crier_incidents node_incidents;
	struct crier_process_key killed[KILLED_MAX]; /* victims whose kill was told, a ring */
	size_t killed_count;
	uint64_t doomed_due_ns; /* of the exit that waits longest for its kill; NEVER: none does */
	struct crier_node_pressure node_pressure;
	struct {
		struct crier_process_key trigger;
		uint64_t limit_id, at_ns;
		uint8_t scope;
	} last_oom;
	struct crier_rate handle_lookups, proc_lookups; /* locate.c */

	char exited[EXITED_TOLD_MAX][CRIER_ID_MAX];
	size_t exited_count;

	char line[CRIER_LINE_MAX + 256];
	char file[FILE_BYTES]; /* one look-up's answer */
	struct crier_meta_message message;
};

/* Where an event's subject lives. */
struct crier_subject {
	struct crier_cgroup *cgroup;
	struct crier_container *container;
	struct crier_life *life;
	struct crier_pod *pod;
	uint8_t via;  /* enum crier_via */
	bool no_room; /* its cgroup was found, but the table had no place for it */
};

/* Not every source knows it. */
static inline uint64_t crier_cpu_of(const struct crier_wire_header *header)
{
	return header->cpu == CRIER_WIRE_CPU_UNKNOWN ? CRIER_UNKNOWN_U64 : header->cpu;
}

/* What absolute paths on the node begin with: "" unless --host-root says otherwise. */
static inline const char *crier_host_root(const struct crier_pipeline *p)
{
	return strcmp(p->config->host_root, "/") == 0 ? "" : p->config->host_root;
}

#define TICK_NS (10 * MS_NS) /* /proc counts in USER_HZ, 100 on x86-64 and arm64 */

/* arrive.c */
void crier_arrive_record(struct crier_pipeline *p, const void *bytes, size_t len);
void crier_arrive_records(struct crier_pipeline *p, const struct crier_slice *records, size_t count);
void crier_arrive_cgroup(struct crier_pipeline *p, uint64_t id, uint64_t parent_id, struct crier_slice path);
/** A directory found by other means than its birth: what lives in it was there before. @return 0; -ENOSPC, counted; -ENOMEM */
int crier_arrive_found(struct crier_pipeline *p, uint64_t id, struct crier_slice path);
/** A container's directory that is known, but for which the table had no place. */
void crier_arrive_again(struct crier_pipeline *p, struct crier_cgroup *cgroup);
void crier_arrive_seed(struct crier_pipeline *p, const struct crier_wire_seed *seed);
/** What was held until agent.start had left. */
void crier_arrive_ready(struct crier_pipeline *p);

/* locate.c */
/** From the tables alone. */
struct crier_subject crier_subject_of(struct crier_pipeline *p, uint64_t cgroup_id);
/** The same; an id that leads nowhere is looked up on the node, bounded in rate. @param pid  who is in it, 0 = not known */
struct crier_subject crier_locate(struct crier_pipeline *p, uint64_t cgroup_id, uint32_t pid);

/* life.c */
struct crier_life *crier_life_get(struct crier_pipeline *p, struct crier_slice id);
void crier_life_schedule(struct crier_pipeline *p, struct crier_life *life);
void crier_life_tick(struct crier_pipeline *p, struct crier_life *life);
void crier_life_drop(void *ctx, struct crier_container *container);
void crier_life_pod_drop(void *ctx, struct crier_pod *pod, struct crier_pod *into);
bool crier_life_free(void *ctx, struct crier_container *container);
/** Now, whatever the room. */
void crier_life_snapshot(struct crier_pipeline *p, struct crier_life *life);
/** Now, if half of the sink's room is free, else a moment later: thousands at once would be lost, or in the way of what happens. */
void crier_life_snapshot_paced(struct crier_pipeline *p, struct crier_life *life);
/** Is there room for a line that may wait? If not, the life is ticked again a moment later. */
bool crier_life_has_room(struct crier_pipeline *p, struct crier_life *life);
/** The snapshot of one that was there before crier: now, or when the runtime has answered. */
void crier_life_snapshot_soon(struct crier_pipeline *p, struct crier_life *life);
/** @param start_ns  boottime of its start, UNKNOWN: stated only; @param by_ticks  cut to the clock tick */
void crier_life_set_init(struct crier_pipeline *p, struct crier_life *life, uint32_t pid, uint64_t start_ns,
			 bool by_ticks);
/** It has ended: the kernel need not look out for it. */
void crier_life_unset_init(struct crier_pipeline *p, struct crier_life *life);

/* wait.c */
/** Its own directory is seen, and what the path tells was merged: files and runtime are asked, its events wait. */
void crier_life_found(struct crier_pipeline *p, struct crier_life *life, struct crier_cgroup *cgroup);
void crier_life_look_again(struct crier_pipeline *p, struct crier_life *life);
void crier_life_ask(struct crier_pipeline *p, struct crier_life *life);
void crier_life_ask_soon(struct crier_pipeline *p, struct crier_life *life);
/** Longer from ask to ask. */
static inline uint64_t crier_life_backoff(const struct crier_life *life)
{
	return crier_min(ASK_BACKOFF_FIRST_NS << crier_min(life->asks, 5u), ASK_BACKOFF_LAST_NS);
}
/**
 * A container without a name is asked about again: a living one ever more rarely as long as the runtime answers at all,
 * one whose question timed out (its end may have come meanwhile) when the runtime next answers anything.
 */
void crier_life_ask_later(struct crier_pipeline *p, struct crier_life *life);
/** Its question has found its end. @param state  ASK_ANSWERED or ASK_MISSING; @param is_answer  the runtime spoke */
void crier_life_heard(struct crier_pipeline *p, struct crier_life *life, enum crier_ask_state state,
		      bool is_answer);
/** The runtime owes an answer for longer than that, or the last question was given up. */
bool crier_life_is_silent(struct crier_pipeline *p, uint64_t age_ns);
bool crier_life_is_held(const struct crier_pipeline *p, const struct crier_life *life);
void crier_life_settle(struct crier_pipeline *p, struct crier_life *life);

/* mend.c */
/** A partial or none line has left with this number. */
void crier_mend_note(struct crier_pipeline *p, const struct crier_event *event, uint64_t seq);
/** Its container may have a name now: tell what that mends. Nothing when it has none. */
void crier_mend_life(struct crier_pipeline *p, struct crier_life *life);
/** This id is known now. */
void crier_mend_cgroup(struct crier_pipeline *p, struct crier_cgroup *cgroup);
void crier_mend_drop(struct crier_pipeline *p, struct crier_life *life);
void crier_mend_expire(struct crier_pipeline *p, uint64_t age_ns);
void crier_mend_free(struct crier_strangers *strangers);
/** Is it time to look an unknown id up on the node (again)? Each failure doubles the pause: 10 ms to 10 s. */
bool crier_mend_may_try(struct crier_pipeline *p, uint64_t cgroup_id);
void crier_mend_tried(struct crier_pipeline *p, uint64_t cgroup_id);

/* process.c */
void crier_process_record(struct crier_pipeline *p, const struct crier_decoded *d,
			  struct crier_subject subject, uint64_t wait_ns);
void crier_process_exit(struct crier_pipeline *p, const struct crier_decoded *d, struct crier_subject subject,
			uint64_t wait_ns);
void crier_process_fill(struct crier_event *event, const struct crier_wire_task *task);
void crier_process_begin(struct crier_pipeline *p, struct crier_event *event, enum crier_type type,
			 const struct crier_wire_header *header, const struct crier_subject *subject,
			 uint64_t wait_ns);
/** container.created, at the directory's birth or the runtime's word (hook USER). */
void crier_process_created(struct crier_pipeline *p, struct crier_life *life,
			   const struct crier_wire_header *header);
/** container.started. @param task  of init, as far as it is known; @param filename  absent = not known */
void crier_process_started(struct crier_pipeline *p, struct crier_life *life,
			   const struct crier_wire_header *header, const struct crier_wire_task *task,
			   struct crier_slice filename);
void crier_process_actor(struct crier_pipeline *p, struct crier_event *event,
			 const struct crier_wire_task *task);
struct crier_process_key crier_key_of(const struct crier_wire_task *task);
bool crier_is_init(const struct crier_container *container, const struct crier_wire_task *task);
/** enum crier_role */
uint8_t crier_role_of(const struct crier_subject *subject, const struct crier_wire_task *task);

/* oom.c */
void crier_oom_record(struct crier_pipeline *p, const struct crier_decoded *d, struct crier_subject subject,
		      uint64_t wait_ns);

/* doomed.c */
/**
 * Is this the exit of an OOM victim whose kill has not been told? Then it was kept, and will be told after it. Nothing for
 * any other exit: one flag is looked at.
 */
bool crier_doomed_waits(struct crier_pipeline *p, const struct crier_decoded *d, uint64_t wait_ns);
/** The kill of this process has been told: so is its exit, if it waited for that. */
void crier_doomed_killed(struct crier_pipeline *p, struct crier_process_key victim);
/** Who has waited long enough is told as it is. */
void crier_doomed_due(struct crier_pipeline *p);
/** All who wait are told now: nothing better will come, or what comes next must not be told before them. */
void crier_doomed_settle(struct crier_pipeline *p);

/* unseen.c */
/** Where no execution is seen: tell from the runtime's word that a container was created and started. */
void crier_unseen(struct crier_pipeline *p, struct crier_life *life);
/** A process came into its cgroup. */
void crier_unseen_populated(struct crier_pipeline *p, struct crier_life *life);
/** Who its init is, by the bundle, where nobody said. */
void crier_unseen_init(struct crier_pipeline *p, struct crier_life *life);
/** It lives and its start is still to be told: the runtime is asked again. */
bool crier_unseen_waits(const struct crier_pipeline *p, const struct crier_life *life);

/* death.c */
/* life->ending, allocated if need be. @return NULL: out of memory, and this end is told without what would be in it */
struct crier_ending *crier_life_ending(struct crier_life *life);
/* Of a life with an ending. */
bool crier_stop_is_recent(const struct crier_life *life, uint64_t at_ns);
void crier_death_begin(struct crier_pipeline *p, struct crier_life *life, const struct crier_death *death);
void crier_death_finish(struct crier_pipeline *p, struct crier_life *life);
/** The wait for the runtime's word is over. */
void crier_death_due(struct crier_pipeline *p, struct crier_life *life);
/** Its cgroup is empty, and still its init lives: somebody moved it elsewhere. Asks /proc; false when it cannot tell. */
bool crier_death_init_lives(struct crier_pipeline *p, struct crier_life *life);
/** Its cgroup has processes again: it was not dead. */
void crier_death_undo(struct crier_pipeline *p, struct crier_life *life);
/** Tell the dying lives of this one's slot now: what starts next must find its predecessor's death told. */
void crier_death_finish_slot(struct crier_pipeline *p, const struct crier_life *next);
void crier_death_set_slot(struct crier_pipeline *p, struct crier_life *life);
void crier_death_after_the_fact(struct crier_pipeline *p, struct crier_life *life);
void crier_removed(struct crier_pipeline *p, struct crier_life *life, enum crier_removed_basis basis);
/** Gone by the runtime's list: told now or, as one of thousands, when there is room. */
void crier_removed_paced(struct crier_pipeline *p, struct crier_life *life);

/* mail.c */
void crier_mail(struct crier_pipeline *p, const void *bytes, size_t len);
struct crier_life *crier_mail_life(struct crier_pipeline *p, struct crier_slice id);
struct crier_pod *crier_mail_merge_pod(struct crier_pipeline *p, const struct crier_meta_pod *meta,
				       enum crier_source source);
void crier_mail_merge_container(struct crier_pipeline *p, struct crier_life *life,
				const struct crier_meta_message *message, enum crier_source source);
/** A sandbox's own words: type, pid, source. */
void crier_mail_merge_sandbox(struct crier_pipeline *p, struct crier_life *life, struct crier_pod *pod,
			      const struct crier_meta_pod *meta, enum crier_source source);
/** The runtime's last list has left it out, and nothing of the runtime's has named it since that began. */
bool crier_mail_is_missing(const struct crier_pipeline *p, const struct crier_life *life);
/** Are there processes in its cgroup, as far as one can know? */
bool crier_mail_is_peopled(struct crier_pipeline *p, const struct crier_life *life);
/** What comes with a name that was missing: lines to be mended, a death whose slot could not be named. */
void crier_mail_named(struct crier_pipeline *p, struct crier_life *life);

/* happen.c */
/** p->message is of type EVENT. */
void crier_happen(struct crier_pipeline *p);

/* watch.c */
struct crier_usage {
	uint64_t bytes;
	uint64_t working_set_bytes; /* without inactive file pages */
	uint64_t held_bytes;	    /* without any file pages */
};
void crier_watch_sample(struct crier_pipeline *p, struct crier_life *life);
void crier_watch_hint(struct crier_pipeline *p, const struct crier_decoded *d);
void crier_watch_psi(struct crier_pipeline *p, uint64_t cgroup_id);
void crier_watch_end(struct crier_pipeline *p, struct crier_life *life);
void crier_watch_round(struct crier_pipeline *p);
void crier_watch_node(struct crier_pipeline *p);
void crier_watch_breakdown(struct crier_pipeline *p, const char *cgroup_path,
			   struct crier_memory_breakdown *ret);
bool crier_watch_usage(struct crier_pipeline *p, const char *cgroup_path, struct crier_usage *ret);
bool crier_read_number(struct crier_pipeline *p, const char *root, const char *cgroup_path, const char *file,
		       uint64_t *ret_value);
/** Value after `key` and a blank in lines of "key value" text. */
bool crier_text_number(struct crier_slice text, const char *key, uint64_t *ret_value);
bool crier_read_file(struct crier_pipeline *p, const char *root, const char *cgroup_path, const char *file,
		     struct crier_slice *ret_text);

/* start.c: the text of a key, absent when it is none; dies with the object */
struct json_t;
struct crier_slice crier_json_text(struct json_t *object, const char *key);

/* output.c */
/** What a limit on this cgroup bounds. */
enum crier_limit_level crier_level_of(const struct crier_cgroup *cgroup);
/** @return the line's number, or CRIER_UNKNOWN_U64 when it was filtered or could not leave */
uint64_t crier_output(struct crier_pipeline *p, struct crier_event *event, enum crier_wire_class ring,
		      bool made_here);
/** Is half of the sink free? What may wait does until then: thousands of lines at once would be in the way of what happens. */
bool crier_output_is_roomy(const struct crier_pipeline *p);
/** In a container's directory or below it, whether or not the container is known. */
bool crier_is_containers(const struct crier_cgroup *cgroup);
void crier_output_lost(struct crier_pipeline *p, enum crier_loss_cause cause, enum crier_wire_class ring,
		       uint64_t count, uint64_t at_ns);
/** The tally behind it; `ring` may be LOSS_CONTROL. @return the tally, for top_cgroups */
struct crier_loss_tally *crier_output_tally(struct crier_pipeline *p, enum crier_loss_cause cause,
					    unsigned ring, uint64_t count, uint64_t first_ns,
					    uint64_t last_ns);
/** An event about a container that user space makes itself (container.*): subject, attribution and slot filled. */
void crier_output_begin(struct crier_pipeline *p, struct crier_event *event, enum crier_type type,
			struct crier_life *life, uint64_t boottime_ns);
void crier_output_attribute(struct crier_pipeline *p, struct crier_event *event,
			    const struct crier_subject *subject, uint64_t wait_ns);

/* report.c */
void crier_report_start(struct crier_pipeline *p, struct crier_slice json);
void crier_report_health(struct crier_pipeline *p, const char *component, const char *state,
			 struct crier_slice reason, struct crier_slice remedy);
void crier_report_health_json(struct crier_pipeline *p, struct crier_slice json);
void crier_report_stats(struct crier_pipeline *p);
void crier_report_counters(struct crier_pipeline *p, const struct crier_input_counters *counters);
void crier_report_losses(struct crier_pipeline *p);
void crier_report_stop(struct crier_pipeline *p, struct crier_slice json);

#endif
