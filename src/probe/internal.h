/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/probe share; nothing outside includes it. */
#ifndef CRIER_PROBE_INTERNAL_H
#define CRIER_PROBE_INTERNAL_H

#include "crier/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include "crier.skel.h"

/* One way to observe an event. */
struct crier_hook {
	const char *name;    /* "tp_btf:mark_victim" */
	const char *program; /* in the BPF object */
	const char *target;  /* tracepoint or kernel function */
	enum crier_wire_hook id;
	enum crier_hook_kind kind;
};

struct crier_hook_list {
	const char *event; /* "oom" */
	size_t count;
	struct crier_hook hooks[CRIER_PROBE_HOOKS_MAX];
};

#define CRIER_KERNEL_BTF "/sys/kernel/btf/vmlinux"

extern const struct crier_hook_list crier_hook_lists[CRIER_PROBE_EVENT_COUNT];
extern const char *const crier_hook_kind_names[CRIER_HOOK_KIND_COUNT];

/* What the second program of a hook is called: the first's name and this. */
#define CRIER_SECOND "_2"
/* Tells of the processes that are there at the start. */
#define CRIER_SEED_PROGRAM "crier_iter_task"

/* Is this one of the hook's programs, the first or the second? (hooks.c) */
bool crier_hook_runs(const struct crier_hook *hook, const char *program);

/* What the kernel's BTF says about the hooks; one pass over it (btf.c). */
struct crier_btf_facts {
	bool is_kernels_own; /* not a file given by the user: typed hooks need the kernel's own */
	bool exit_has_group_dead;
	bool victim_is_pid;						/* mark_victim(int) */
	unsigned found[CRIER_PROBE_EVENT_COUNT][CRIER_PROBE_HOOKS_MAX]; /* BTF id, 0 = no such target */
	/* the kernel's functions for programs, by its own BTF; 0 = none */
	unsigned preempt_disable, preempt_enable, rdonly_cast;
	bool needs_second; /* it may turn a program away at a tracepoint: each of processes has a second one */
	/*
	 * Programs may allocate map entries as they come, in any context (6.1, bpf_mem_alloc; earlier kernels warn in their log
	 * or refuse it): a table need not be filled beforehand.
	 */
	bool allocates_entries;
	unsigned readable[CRIER_READABLE_COUNT]; /* BTF ids of what it makes readable */
	unsigned iter_task;			 /* BTF id of what an iterator over tasks is typed by */
};

/*
 * @param path  a file instead of the kernel's own, or NULL
 * @param ret_cut  what libbpf needs of the kernel's own, as a memory file that the caller closes; negative: there is none, libbpf has
 *                 to read the whole. NULL: not wanted
 * @return 0, -ENOTSUP: the kernel has none; -EBADMSG: the file is none
 */
int crier_btf_read(const char *path, struct crier_btf_facts *ret_facts, int *ret_cut,
		   struct crier_err *err) crier_must_check;

struct bpf_object;
/*
 * Put calls of the kernel's own functions in place of marks, where this kernel has them, before the load: see bpf/compat.h.
 * @return 0, -ENOMEM or what libbpf says (load.c)
 */
int crier_put_calls(struct bpf_object *obj, const struct crier_btf_facts *facts) crier_must_check;

/* Which hook serves each event, and why others do not (choice.c). */
struct crier_choice {
	struct crier_event_report report[CRIER_PROBE_EVENT_COUNT];
	int chosen[CRIER_PROBE_EVENT_COUNT]; /* index into the hook list, -1 = none left */
	bool refused[CRIER_PROBE_EVENT_COUNT][CRIER_PROBE_HOOKS_MAX];
};

/* Give up function hooks that this kernel refuses to a program of two instructions (trial.c). */
void crier_trial(struct crier_choice *choice, const struct crier_btf_facts *facts);

void crier_choice_init(struct crier_choice *choice, const struct crier_probe_options *options,
		       const struct crier_btf_facts *facts);
const struct crier_hook *crier_choice_hook(const struct crier_choice *choice, unsigned event);
/* Give up the event's chosen hook and move on to the next of its list. */
void crier_choice_refuse(struct crier_choice *choice, unsigned event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What libbpf said last; it reports a refusal in words only (words.c). */
struct crier_words {
	char program[64]; /* the program a failed load was about, "" = none */
	char cause[160];  /* the kernel's or verifier's words */
};

extern struct crier_words crier_words;
void crier_words_start(void);

struct crier_ring {
	size_t map_size;
	uint64_t mask;
	unsigned long *consumer;       /* own page, ours to write */
	const unsigned long *producer; /* page of the kernel's */
	const uint8_t *data;	       /* mapped twice in a row: no record wraps */
	uint64_t position;	       /* consumed so far, told to the kernel once per turn */
	uint64_t limit;		       /* producer's position at the start of the turn */
};

/*
 * Around opening and loading objects (typed.c): ids that typed programs need, as far as `facts` are of the running kernel. NULL: libbpf
 * finds them. One thread.
 */
int crier_typed_start(const struct crier_btf_facts *facts) crier_must_check;
void crier_typed_end(void);
/* bpf_program__attach of a loaded program; that function no longer knows typed ones. @return NULL with errno */
struct bpf_link *crier_typed_attach(const struct bpf_program *program);

int crier_ring_open(struct crier_ring *ring, int map_fd, uint32_t size,
		    struct crier_err *err) crier_must_check;
void crier_ring_close(struct crier_ring *ring);
bool crier_ring_is_empty(const struct crier_ring *ring);

/* Objects loaded to replace a hook that could not be attached. */
#define CRIER_PROBE_LATE_MAX (2 * CRIER_PROBE_EVENT_COUNT)

struct crier_probe {
	struct crier_bpf *skel; /* owns maps and most programs */
	struct bpf_object *late[CRIER_PROBE_LATE_MAX];
	size_t late_count;
	char *btf_path; /* NULL = the kernel's own */
	bool was_cut;	/* the object was loaded with the following */
	int btf_cut;	/* what libbpf reads instead of the kernel's own, some 40 KB; negative: nothing */
	struct crier_btf_facts facts;
	struct crier_choice choice;
	struct bpf_program *programs[CRIER_PROBE_EVENT_COUNT]; /* loaded, borrowed from an object above */
	struct bpf_link *links[CRIER_PROBE_EVENT_COUNT];
	struct bpf_program
		*seconds[CRIER_PROBE_EVENT_COUNT]; /* see bpf/compat.h, crier_unpreempted; NULL = none */
	struct bpf_link *second_links[CRIER_PROBE_EVENT_COUNT];
	bool has_seed;
	char seed_reason[160];
	struct crier_ring rings[CRIER_CLASS_COUNT];
	int ring_fds[CRIER_CLASS_COUNT];
	bool bulk_rests;
	int cpu_count;
	struct crier_wire_slot *slots; /* the shared map, mapped */
	size_t slots_size;
	struct crier_wire_control *control; /* in the first slot */
	unsigned inits_removed;		    /* since the bits of inits were last made anew */
	struct crier_probe_blame *told;	    /* totals already told by blame, sorted by cgroup id */
	size_t told_count, told_cap;
};

/* Load one more object with a single event's programs over the same maps (load.c). */
int crier_probe_load_late(struct crier_probe *probe, unsigned event, struct crier_err *err) crier_must_check;

#endif
