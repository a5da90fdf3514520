/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crier ps: one look at the node's containers, by the same parts the agent uses: cgroup walk, path parser, CRI client, index.
 */
#include "ps.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "crier/base/log.h"
#include "crier/cgroup.h"
#include "crier/cri.h"
#include "crier/mailbox.h"
#include "crier/meta.h"
#include "verb.h"

#define DEADLINE_MS   2000
#define MAILBOX_BYTES (8 * 1024 * 1024)
/* Above this many questions an answer is too likely to miss the deadline; the list has the names already. */
#define QUESTIONS_MAX 2048

struct look {
	struct crier_config *config;
	struct crier_index *index;
	struct crier_mailbox *mailbox;
	struct crier_cri *cri;
	uint64_t deadline_ms;
	unsigned pending; /* questions without an answer yet */
	bool listed, down;
	char reason[CRIER_ERR_MAX]; /* why the runtime told nothing */
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- cgroups ---- */

static bool add_cgroup(void *ctx, struct crier_slice path, uint64_t id, uint64_t parent_id)
{
	struct look *look = ctx;
	struct crier_cgroup_facts facts;
	struct crier_container *container;
	struct crier_pod *pod;

	(void)parent_id;
	crier_cgroup_parse(path, &facts);
	if (facts.kind != CRIER_CGROUP_KIND_CONTAINER ||
	    crier_index_container_add(look->index, facts.container_id, 0, &container) < 0)
		return true;
	container->cgroup_id = id;
	container->source = crier_max(container->source, (uint8_t)CRIER_SOURCE_CGROUP_PATH);
	if (facts.runtime && !container->runtime_name)
		container->runtime_name = facts.runtime;
	if (facts.pod_uid.len && crier_index_pod_add(look->index, CRIER_SLICE_NONE, facts.pod_uid, &pod) == 0)
		crier_index_container_set_pod(look->index, container, pod);
	return true;
}

static int walk(struct look *look, struct crier_err *err)
{
	struct crier_cgroup_layout layout;
	int r = crier_cgroup_detect(look->config->host_root, &layout, err);
	long n;

	if (r < 0)
		return r;
	n = crier_cgroup_walk(layout.primary_root, (uint32_t)look->config->max_cgroups, add_cgroup, look);
	return n < 0 ? crier_err_set(err, (int)n, "%s: cannot be walked: %s", layout.primary_root,
				     strerror((int)-n))
		     : 0;
}

/* ---- the runtime ---- */

static void take_container(struct look *look, const struct crier_meta_message *message)
{
	enum crier_source source = message->generation ? CRIER_SOURCE_CRI_LIST : CRIER_SOURCE_CRI;
	struct crier_container *container;

	if (!message->generation && look->pending)
		look->pending--;
	if (crier_index_container_add(look->index, message->container.id, 0, &container) < 0)
		return;
	(void)crier_index_merge_container(look->index, container, &message->container, source);
}

static void take_pod(struct look *look, const struct crier_meta_pod *meta, enum crier_source source)
{
	struct crier_pod *pod;

	if (crier_index_pod_add(look->index, meta->sandbox_id, meta->uid, &pod) == 0)
		(void)crier_index_merge_pod(look->index, pod, meta, source,
					    (const char *const *)look->config->labels.items);
}

static bool ask_one(void *ctx, struct crier_container *container)
{
	struct look *look = ctx;

	if (look->pending >= QUESTIONS_MAX)
		return false;
	if (container->type != CRIER_CONTAINER_TYPE_SANDBOX &&
	    crier_cri_ask(look->cri, CRIER_CRI_CONTAINER, crier_slice_of(container->id), false, false) == 0)
		look->pending++;
	return true;
}

static void take_message(struct look *look, const struct crier_meta_message *message)
{
	switch (message->type) {
	case CRIER_META_CONTAINER: take_container(look, message); break;
	case CRIER_META_POD:
		take_pod(look, &message->pod, message->generation ? CRIER_SOURCE_CRI_LIST : CRIER_SOURCE_CRI);
		break;
	case CRIER_META_MISSING: look->pending -= look->pending > 0; break;
	case CRIER_META_DOWN:
		look->down = true;
		(void)crier_copy_str(look->reason, sizeof(look->reason), message->error);
		break;
	case CRIER_META_LIST_END:
		if (look->listed)
			break;
		look->listed = true;
		/* The lists have names and states; limits and pids only each container's own status. */
		crier_index_each(look->index, ask_one, look);
		break;
	default: break;
	}
}

static void take_mail(struct look *look, struct crier_meta_message *message)
{
	size_t len;
	const void *blob;

	while ((blob = crier_mailbox_pop(look->mailbox, &len)))
		if (crier_meta_decode(blob, len, message) == 0)
			take_message(look, message);
}

/* Until all is answered, the runtime is known to be down, or the deadline. */
static void collect(struct look *look)
{
	_cleanup_free_ struct crier_meta_message *message = malloc(sizeof(*message));
	struct pollfd mail = {.fd = crier_mailbox_fd(look->mailbox), .events = POLLIN};

	while (message && !look->down && !(look->listed && look->pending == 0)) {
		uint64_t now = now_ms();

		if (now >= look->deadline_ms)
			break;
		if (poll(&mail, 1, (int)(look->deadline_ms - now)) > 0)
			take_mail(look, message);
	}
	if (!look->listed && !look->reason[0])
		snprintf(look->reason, sizeof(look->reason), "the runtime did not answer within %d ms",
			 DEADLINE_MS);
}

static int ask_runtime(struct look *look)
{
	struct crier_cri_options options;
	struct crier_err err = {0};
	char socket[PATH_MAX] = "";
	int r = 0;

	if (look->config->cri_socket && strcmp(look->config->cri_socket, "none") == 0)
		return 0;
	crier_cri_options_default(&options);
	options.timeout_ms = (uint32_t)look->config->cri_timeout_ms;
	if (look->config->cri_socket)
		(void)crier_copy_str(socket, sizeof(socket), crier_slice_of(look->config->cri_socket));
	else
		r = crier_cri_discover(look->config->host_root, socket, sizeof(socket), &err);
	options.socket = socket;
	look->deadline_ms = now_ms() + DEADLINE_MS;
	if (r == 0)
		r = crier_mailbox_new(MAILBOX_BYTES, &look->mailbox);
	if (r == 0)
		r = crier_cri_new(&options, look->mailbox, &look->cri, &err);
	if (r == 0)
		collect(look);
	else
		(void)crier_copy_str(look->reason, sizeof(look->reason), crier_slice_of(err.message));
	crier_cri_free(look->cri);
	crier_mailbox_free(look->mailbox);
	return look->listed ? 0 : -EIO;
}

static int look_and_print(struct look *look)
{
	struct crier_err err = {0};
	int code = CRIER_EXIT_OK, printed;

	if (walk(look, &err) < 0) {
		crier_error("%s", err.message);
		code = CRIER_EXIT_DEGRADED;
	}
	crier_ps_read_files(look->index, look->config);
	if (ask_runtime(look) < 0) {
		crier_warn("%s; names are missing", look->reason);
		code = CRIER_EXIT_DEGRADED;
	}
	printed = crier_cli_output(look->config) == CRIER_OUTPUT_JSON ? crier_ps_print_json(look->index)
								      : crier_ps_print_text(look->index);
	return crier_max(code, printed);
}

int crier_verb_ps(int argc, char **argv)
{
	struct crier_config config;
	int rest;
	int code = crier_cli_config(&config, argc, argv, 0, &rest);

	if (code != CRIER_EXIT_OK)
		return code;

	const struct crier_index_limits limits = {
		.containers = (uint32_t)config.max_containers,
		.tombstones = 1,
		.slots = 1,
		.tombstone_age_ns = UINT32_MAX,
		.slot_age_ns = UINT32_MAX,
	};
	struct look look = {.config = &config};

	if (crier_index_new(&limits, &look.index) < 0) {
		code = crier_cli_refuse("ps: out of memory");
	} else {
		code = look_and_print(&look);
		crier_index_free(look.index);
	}
	crier_config_done(&config);
	return code;
}
