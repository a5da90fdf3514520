/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node made of memory for the pipeline's benchmark: pods and containers that the runtime named, files that answer at
 * once, and lines that are counted and go nowhere.
 */
#ifndef CRIER_BENCH_NODE_H
#define CRIER_BENCH_NODE_H

#include "crier/pipeline.h"

#define BENCH_SECOND_NS 1000000000ULL
#define BENCH_TYPES	32

/* Called with each finished line; dies with the call. */
typedef void (*bench_line_fn)(void *ctx, const char *line, size_t len);

struct bench_node {
	struct crier_config config;
	struct crier_start start;
	struct crier_pipeline *pipeline;
	uint32_t containers;
	uint32_t lives; /* containers that came and went, see stream.c */
	uint64_t now_ns;

	uint64_t lines, bytes;
	bench_line_fn on_line; /* NULL: count only */
	void *on_line_ctx;

	/* event records fed, by wire type: each must have made its line */
	uint64_t fed[CRIER_WIRE_TYPE_COUNT];
	struct crier_meta_message message; /* scratch */
	char blob[CRIER_META_BLOB_MAX] __attribute__((aligned(8)));
};

/* Ids of the node's directories: some fixed ones, pods, containers, and then those that come and go. */
enum {
	BENCH_CG_ROOT = 1,
	BENCH_CG_HOST = 2,
	BENCH_CG_KUBEPODS = 3,
	BENCH_CG_BURSTABLE = 4,
	BENCH_CG_FIRST = 1000
};

/** 64 hex digits and NUL: the id of container or sandbox `number`. */
void bench_id(uint64_t number, char ret_id[65]);
/** Cgroup of container `index` (0 up to containers - 1): inodes in no order, as on a node that runs for weeks. */
uint64_t bench_cgroup_of(const struct bench_node *node, uint32_t index);
uint64_t bench_pod_cgroup_of(const struct bench_node *node, uint32_t index);

/** The init of container `number`: pid, and boottime of its start. It is the parent of all that lives there. */
uint32_t bench_init_pid(uint64_t number);
uint64_t bench_init_start_ns(uint64_t number);

/**
 * A started pipeline (profile full, no output budget, no timers of minutes) whose `containers` the runtime has named, two
 * to a pod. Freed by bench_node_free. Exits with a message when something fails: there is nothing to measure then.
 */
struct bench_node *bench_node_new(uint32_t containers);
void bench_node_free(struct bench_node *node);

/** Effects that go nowhere; look-ups and lines are the caller's to set. @param ctx  borrowed, handed to each */
void bench_host_without_effects(struct crier_host *host, void *ctx);

/** What the runtime says of a container, encoded into node->blob. @return its length */
size_t bench_mail(struct bench_node *node, uint64_t number, uint32_t pod, enum crier_meta_state state);

/** "the runtime is gone, memory is out": one line to stderr, exit 1. */
void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
