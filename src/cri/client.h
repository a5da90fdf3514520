/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's inside, shared by its parts: client.c the thread and what it shares with the main loop, link.c whether
 * the runtime is there, question.c single ids, reconcile.c the lists, stream.c the events, sandbox.c known pods,
 * outbox.c what the mailbox had no room for.
 */
#ifndef CRIER_CRI_CLIENT_H
#define CRIER_CRI_CLIENT_H

#include <pthread.h>

#include "call.h"
#include "crier/cri.h"
#include "fault.h"

#define CRIER_CRI_NEVER		  UINT64_MAX
#define CRIER_CRI_SANDBOXES_MAX	  512 /* pods remembered; kubelet's own default is 110 a node */
#define CRIER_CRI_LIST_STEP	  64  /* list items handed over before answers get their turn again */
#define CRIER_CRI_QUERY_AGE	  4   /* time-outs a question may wait before it is answered with TIMEOUT */
#define CRIER_CRI_BACKOFF_MIN_NS  100000000ull	 /* between attempts to connect: 0.1 s … */
#define CRIER_CRI_BACKOFF_MAX_NS  10000000000ull /* … doubling to 10 s, a quarter more or less */
#define CRIER_CRI_RETRY_MIN_NS	  5000000ull   /* between attempts to deliver into a full mailbox: 5 ms … */
#define CRIER_CRI_RETRY_MAX_NS	  100000000ull /* … doubling to 0.1 s */
#define CRIER_CRI_TRIM_MIN	  (1 << 20) /* an answer of this size makes malloc keep more than it is worth */
#define CRIER_CRI_OUT_MAX	  (1 << 20) /* bytes waiting for the mailbox with which the event stream goes on */
#define CRIER_CRI_SHUTDOWN_MAX_MS 180	    /* crier_cri_free() waits no longer for the thread */

struct crier_cri_query {
	uint64_t asked_ns;
	uint8_t question; /* enum crier_cri_question */
	bool with_pod;
	uint8_t len;
	char id[CRIER_CRI_ID_MAX];
};

/* Questions that wait, first in first out. */
struct crier_cri_ring {
	struct crier_cri_query *items;
	size_t head, count;
};

enum crier_cri_stage {
	CRIER_CRI_FREE = 0,
	CRIER_CRI_ASK_CONTAINER,
	CRIER_CRI_ASK_SANDBOX,
	CRIER_CRI_ASK_POD_OF, /* the container is known, its pod is asked for */
};

/* One question on its way. */
struct crier_cri_slot {
	struct crier_cri_call call; /* first: its address is the tag */
	enum crier_cri_stage stage;
	struct crier_cri_query query;
	grpc_slice container; /* ASK_POD_OF: the answer to ContainerStatus */
};

enum crier_cri_link {
	CRIER_CRI_LINK_DOWN,	/* nothing is sent until retry_at_ns */
	CRIER_CRI_LINK_PROBING, /* Version or Status is on its way; questions wait */
	CRIER_CRI_LINK_UP,
};

/* A pod known by its sandbox id, as an encoded POD message. */
struct crier_cri_sandbox {
	uint64_t hash, used; /* used: tick of last use, 0 = free */
	uint64_t generation; /* of the last list that named it */
	size_t len;
	void *blob;
};

struct crier_cri_sandboxes {
	uint64_t tick;
	size_t cap;
	struct crier_cri_sandbox *items;
};

struct crier_cri_out {
	struct crier_cri_out *next;
	size_t len;
	char bytes[];
};

/* GetContainerEvents. The addresses of three members are its tags. */
struct crier_cri_stream {
	grpc_call *call; /* NULL: closed, and every tag is back */
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *message;
	grpc_status_code status;
	grpc_slice details;
	unsigned pending;    /* tags to come back */
	const char *closing; /* static: why crier ended it; NULL = it goes on, or the runtime ended it */
	uint64_t opened_ns, opened_unix_ns;
	uint64_t open_at_ns, backoff_ns; /* NEVER: not to be opened */
	uint64_t
		believed_at_ns; /* when it counts as open unless it is refused till then; NEVER: told, or no list yet */
	uint32_t life_ms;
	uint64_t events;  /* read from it */
	uint64_t skipped; /* not delivered since the last LIST_END */
	enum crier_meta_stream told;
	struct crier_cri_facts refused_by; /* who does not offer it */
	char words[384];
};

struct crier_cri {
	/* set once */
	struct crier_cri_options options;
	char *socket;
	struct crier_mailbox *mailbox;
	pthread_t thread;

	/* shared with the main loop, under `lock`, which is never held across a call into gRPC */
	pthread_mutex_t lock;
	struct crier_cri_ring rings[2]; /* urgent ones first */
	bool want_reconcile, stopping;
	bool has_ended; /* the thread's last word, with `ended` */
	pthread_cond_t ended;
	bool is_open; /* the doorbell may be rung */
	bool is_rung;
	grpc_call *doorbell;

	/* the thread's own from here on */
	grpc_completion_queue *cq;
	grpc_channel *channel;
	grpc_channel *lame; /* carries the doorbell and nothing else */
	uint64_t random;

	enum crier_cri_link link;
	enum crier_cri_fault told;    /* fault of the last DOWN, NONE after RUNTIME */
	bool is_reconnect;	      /* a new channel; say RUNTIME and list again when it is answered */
	bool is_doubtful;	      /* ask Version as soon as the control call is idle */
	struct crier_cri_facts facts; /* what Version said last */
	uint64_t ready;		      /* what Status said last */
	uint64_t retry_at_ns, backoff_ns, last_answer_ns;
	struct crier_cri_call control; /* Version, Status and the lists: one at a time */

	uint64_t reconcile_at_ns, generation;
	struct crier_cri_list list; /* being handed over; pos NULL = none */
	grpc_slice pods, containers;
	bool has_pods, has_containers;
	bool is_list_warned;
	bool is_bloated; /* a large answer was held */

	struct crier_cri_stream stream;

	struct crier_cri_slot *slots;
	struct crier_cri_sandboxes sandboxes;

	struct crier_cri_out *out_first, *out_last; /* encoded, not yet in the mailbox */
	size_t out_bytes;
	uint64_t deliver_at_ns, deliver_pause_ns;

	struct crier_cri_holder *holder, *pod_holder;
	struct crier_meta_message message, pod_message;
	char blob[CRIER_META_BLOB_MAX];
};

/* link.c */
extern char crier_cri_link_tag; /* its address is the tag of crier_cri_link_changed() */
/** Ask Version, on a new channel if is_reconnect; the control call must be idle. */
void crier_cri_link_probe(struct crier_cri *cri);
void crier_cri_link_finished(struct crier_cri *cri);
/** A list or a question failed: if that may be the runtime and not the call, step() asks Version. */
void crier_cri_link_failed(struct crier_cri *cri, grpc_status_code status, uint64_t started_ns);
/** The connection of this or of an older channel changed its state. */
void crier_cri_link_changed(struct crier_cri *cri);
void crier_cri_link_close(struct crier_cri *cri);
/** RUNTIME with the facts and the stream as they are. @param words  why the stream is BROKEN, else absent */
void crier_cri_link_tell(struct crier_cri *cri, struct crier_slice words);
/** A quarter more or less, so that the agents of a thousand nodes do not ask in step. */
uint64_t crier_cri_jitter(struct crier_cri *cri, uint64_t pause_ns);
/** A finished Version or Status call as facts; `message` is scratch. Shared with crier_cri_probe(). */
enum crier_cri_fault crier_cri_read_version(struct crier_cri_call *call, struct crier_cri_holder *holder,
					    struct crier_meta_message *message,
					    struct crier_cri_facts *ret_facts);
uint64_t crier_cri_read_ready(struct crier_cri_call *call, struct crier_cri_holder *holder,
			      struct crier_meta_message *message);

/* question.c */
void crier_cri_question_start(struct crier_cri *cri, struct crier_cri_slot *slot,
			      const struct crier_cri_query *query);
void crier_cri_question_finished(struct crier_cri *cri, struct crier_cri_slot *slot);
void crier_cri_question_missing(struct crier_cri *cri, const struct crier_cri_query *query,
				enum crier_meta_status status, struct crier_slice error);

/* reconcile.c */
void crier_cri_reconcile_begin(struct crier_cri *cri);
void crier_cri_reconcile_finished(struct crier_cri *cri);
void crier_cri_reconcile_step(struct crier_cri *cri);
void crier_cri_reconcile_abort(struct crier_cri *cri);

/* stream.c */
/** Does this runtime give each event to one subscriber only? */
bool crier_cri_stream_is_shared(const struct crier_cri_facts *facts);
/** A new connection: decide. @return what is known already, UNKNOWN when it is going to be opened */
enum crier_meta_stream crier_cri_stream_connected(struct crier_cri *cri);
void crier_cri_stream_disconnected(struct crier_cri *cri);
void crier_cri_stream_step(struct crier_cri *cri);
/** When step() has something to do. */
uint64_t crier_cri_stream_due(const struct crier_cri *cri);
/** Both lists were read to their end. */
void crier_cri_stream_listed(struct crier_cri *cri);
/** @return false: the tag is another's */
bool crier_cri_stream_finished(struct crier_cri *cri, const void *tag);
/** @param why  static */
void crier_cri_stream_close(struct crier_cri *cri, const char *why);
void crier_cri_stream_free(struct crier_cri *cri);

/* sandbox.c */
int crier_cri_sandboxes_init(struct crier_cri_sandboxes *sandboxes, size_t cap) crier_must_check;
void crier_cri_sandboxes_free(struct crier_cri_sandboxes *sandboxes);
/** Keep an encoded POD; the least recently used one goes when all places are taken. */
void crier_cri_sandboxes_put(struct crier_cri_sandboxes *sandboxes, struct crier_slice id,
			     struct crier_slice blob, uint64_t generation);
/** Borrowed until the next put, drop or prune; absent when unknown. */
struct crier_slice crier_cri_sandboxes_get(struct crier_cri_sandboxes *sandboxes, struct crier_slice id);
/** A list named the sandbox: ready ones stay, others are forgotten. */
void crier_cri_sandboxes_named(struct crier_cri_sandboxes *sandboxes, struct crier_slice id, bool ready,
			       uint64_t generation);
/** Forget what no list since `generation` has named. */
void crier_cri_sandboxes_prune(struct crier_cri_sandboxes *sandboxes, uint64_t generation);

/* outbox.c */
/** Encode and deliver, or queue behind what waits. What cannot be encoded or is too big becomes MISSING or less. */
void crier_cri_deliver(struct crier_cri *cri, const struct crier_meta_message *message);
void crier_cri_outbox_flush(struct crier_cri *cri);
void crier_cri_outbox_free(struct crier_cri *cri);

#endif
