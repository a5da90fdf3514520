/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/source.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "crier/bundle.h"
#include "crier/log_name.h"

#define ID_LEN	     64
#define LOG_NAME_MAX 255 /* NAME_MAX of every file system in use */
#define PID_MAX	     32
#define SECOND_NS    1000000000ULL

/* A source's answer. */
enum word {
	WORD_NONE,  /* it knows nothing, and will not later */
	WORD_LATER, /* it may know more in a moment */
	WORD_TOLD,
};

/* ---- refusals ---- */

static enum word refuse(struct crier_sources *s, int error)
{
	static const struct {
		int error;
		enum crier_refusal why;
	} rows[] = {
		{-EFBIG, CRIER_REFUSAL_TOO_LARGE},	  {-E2BIG, CRIER_REFUSAL_TOO_LARGE},
		{-ENAMETOOLONG, CRIER_REFUSAL_TOO_LARGE}, {-EINVAL, CRIER_REFUSAL_NOT_A_FILE},
		{-ELOOP, CRIER_REFUSAL_SYMLINK},	  {-EXDEV, CRIER_REFUSAL_SYMLINK},
		{-EACCES, CRIER_REFUSAL_DENIED},	  {-EPERM, CRIER_REFUSAL_DENIED},
		{-EBADMSG, CRIER_REFUSAL_MALFORMED},	  {-ENOTUNIQ, CRIER_REFUSAL_AMBIGUOUS},
		{-EEXIST, CRIER_REFUSAL_CONTRADICTED},
	};

	if (error == -ENOENT || error == -ENOTDIR)
		return WORD_NONE; /* not there */
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++)
		if (rows[i].error == error) {
			s->refused[rows[i].why]++;
			return WORD_NONE;
		}
	s->refused[CRIER_REFUSAL_FAILED]++;
	return WORD_NONE;
}

static bool differs(struct crier_slice told, const char *own)
{
	return told.len && own[0] && !crier_slice_equal(told, crier_slice_of(own));
}

/* The cgroup path's uid is the kubelet's: it made the directory. */
static enum word merge(struct crier_sources *s, struct crier_container *container,
		       const struct crier_meta_container *meta, enum crier_source source)
{
	int r = container->pod && differs(meta->pod_uid, container->pod->uid)
			? -EEXIST
			: crier_index_merge_container(s->index, container, meta, source);

	return r < 0 ? refuse(s, r) : WORD_TOLD;
}

/* ---- the runtime's bundle, on disk before the container's first process ---- */

/* What a state dir may be: FOLDER/ID/FILE below it. */
static const struct form {
	const char *folder, *file;
	const char *pid_file; /* NULL = none */
	enum crier_bundle_form form;
} forms[] = {
	{"io.containerd.runtime.v2.task/k8s.io", "config.json", "init.pid", CRIER_BUNDLE_CONTAINERD},
	{"overlay-containers", "userdata/config.json", "userdata/pidfile", CRIER_BUNDLE_CRIO},
	{"containers", "config.v2.json", NULL, CRIER_BUNDLE_DOCKER},
	/* docker's containerd: it has no names, but the init's pid */
	{"io.containerd.runtime.v2.task/moby", NULL, "init.pid", CRIER_BUNDLE_PLAIN},
};

static bool is_id(const char *id)
{
	return strspn(id, "0123456789abcdef") == ID_LEN && id[ID_LEN] == '\0';
}

/*
 * The first (state dir, form) that has such a file; the one that had the last is tried first.
 * @return false: none has
 */
static bool read_file(struct crier_sources *s, const char *id, bool pid, enum crier_bundle_form *ret_form,
		      size_t *ret_len)
{
	const struct crier_config_list *dirs = &s->config->runtime_state_dirs;
	size_t places = dirs->count * CRIER_ARRAY_SIZE(forms);
	uint32_t *last = pid ? &s->last_pid : &s->last_bundle;

	for (size_t i = 0; i < places; i++) {
		size_t place = (*last + i) % places;
		const struct form *form = &forms[place % CRIER_ARRAY_SIZE(forms)];
		const char *file = pid ? form->pid_file : form->file;
		char name[192];
		int r;

		if (!file)
			continue;
		snprintf(name, sizeof(name), "%s/%.64s/%s", form->folder, id, file);
		r = s->host->file(s->host->ctx, dirs->items[place / CRIER_ARRAY_SIZE(forms)], name,
				  pid ? CRIER_BUNDLE_PLAIN : form->form, s->buf, pid ? PID_MAX : s->cap,
				  ret_len);
		if (r < 0) {
			(void)refuse(s, r);
			continue;
		}
		*last = (uint32_t)place;
		*ret_form = form->form;
		return true;
	}
	return false;
}

/* An image of docker's may bring the kubelet's labels along: they count where the cgroup path knows the pod. */
static bool is_confirmed(const struct crier_container *container, const struct crier_meta_container *meta)
{
	return container->pod && container->pod->uid[0] &&
	       crier_slice_equal(meta->pod_uid, crier_slice_of(container->pod->uid));
}

static bool wants_bundle(const struct crier_container *container)
{
	return container->source < CRIER_SOURCE_OCI_BUNDLE;
}

static enum word ask_bundle(struct crier_sources *s, struct crier_container *container, uint64_t now_ns)
{
	struct crier_meta_message message;
	struct json_t *store = NULL;
	enum crier_bundle_form form;
	enum word word = WORD_NONE;
	size_t len;
	int r;

	(void)now_ns;
	if (!read_file(s, container->id, false, &form, &len))
		return WORD_NONE;
	crier_meta_clear(&message);
	r = crier_bundle_parse(form, s->buf, len, crier_slice_of(container->id), &message.container, &store);
	if (r < 0)
		return refuse(s, r);
	if (form != CRIER_BUNDLE_DOCKER || is_confirmed(container, &message.container))
		word = merge(s, container, &message.container, CRIER_SOURCE_OCI_BUNDLE);
	json_decref(store);
	return word;
}

bool crier_source_init_pid(struct crier_sources *s, const struct crier_container *container,
			   uint64_t *ret_pid)
{
	enum crier_bundle_form form;
	size_t len;

	if (!is_id(container->id) || !read_file(s, container->id, true, &form, &len))
		return false;
	while (len && (s->buf[len - 1] == '\n' || s->buf[len - 1] == ' '))
		len--;
	return crier_parse_u64((struct crier_slice){s->buf, len}, ret_pid) == 0;
}

/* ---- the kubelet's log folders ---- */

/* The one name in a folder that ends so. @return WORD_TOLD: name is set */
static enum word scan(struct crier_sources *s, const char *dir, const char *ending, uint64_t now_ns,
		      char name[LOG_NAME_MAX + 1])
{
	size_t len = 0;
	int r;

	if (now_ns - s->scans_ns >= SECOND_NS) {
		s->scans_ns = now_ns;
		s->scans = 0;
	}
	if (s->scans >= CRIER_SOURCE_SCANS_PER_SECOND)
		return WORD_LATER;
	s->scans++;
	r = s->host->find(s->host->ctx, dir, crier_slice_of(ending), name, LOG_NAME_MAX, &len);
	if (r < 0)
		return refuse(s, r);
	name[len] = '\0';
	return len ? WORD_TOLD : WORD_LATER;
}

static bool wants_pod(const struct crier_container *container)
{
	const struct crier_pod *pod = container->pod;

	return pod && pod->uid[0] && !(pod->name.len && pod->namespace_.len);
}

/* Made before the pod's sandbox, so that it is there for all of its containers. */
static enum word ask_pod_logs(struct crier_sources *s, struct crier_container *container, uint64_t now_ns)
{
	char name[LOG_NAME_MAX + 1], ending[CRIER_UID_MAX + 1];
	struct crier_meta_message message;
	struct crier_log_pod pod;
	enum word word;

	if (!*s->config->pod_logs_dir)
		return WORD_NONE;
	snprintf(ending, sizeof(ending), "_%s", container->pod->uid);
	word = scan(s, s->config->pod_logs_dir, ending, now_ns, name);
	if (word != WORD_TOLD)
		return word;
	if (crier_log_pod_parse(crier_slice_of(name), &pod) < 0)
		return refuse(s, -EBADMSG);
	crier_meta_clear(&message);
	message.container.id = crier_slice_of(container->id);
	message.container.pod_uid = pod.uid;
	message.container.pod_name = pod.name;
	message.container.pod_namespace = pod.namespace_;
	return merge(s, container, &message.container, CRIER_SOURCE_LOG_DIRECTORY);
}

static bool wants_name(const struct crier_container *container)
{
	return !crier_container_is_identified(container) && container->type != CRIER_CONTAINER_TYPE_SANDBOX;
}

/* Made after the container's start; a sandbox never has one. */
static enum word ask_container_logs(struct crier_sources *s, struct crier_container *container,
				    uint64_t now_ns)
{
	char name[LOG_NAME_MAX + 1], ending[ID_LEN + sizeof("-.log")];
	struct crier_meta_message message;
	struct crier_log_link link = {.restarts = 0};
	enum word word;
	size_t len;
	int r;

	if (!*s->config->container_logs_dir)
		return WORD_NONE;
	snprintf(ending, sizeof(ending), "-%.64s.log", container->id);
	word = scan(s, s->config->container_logs_dir, ending, now_ns, name);
	if (word != WORD_TOLD)
		return word;
	r = s->host->link(s->host->ctx, s->config->container_logs_dir, name, s->buf, s->cap, &len);
	if (r == 0)
		r = crier_log_link_parse(crier_slice_of(name), (struct crier_slice){s->buf, len}, &link);
	if (r < 0)
		return refuse(s, r);
	crier_meta_clear(&message);
	message.container.id = link.id;
	message.container.name = link.container;
	message.container.pod_uid = link.pod.uid;
	message.container.pod_name = link.pod.name;
	message.container.pod_namespace = link.pod.namespace_;
	message.container.restart_count = link.restarts;
	return merge(s, container, &message.container, CRIER_SOURCE_LOG_DIRECTORY);
}

/* ---- all of them ---- */

static const struct {
	bool (*wants)(const struct crier_container *container);
	enum word (*ask)(struct crier_sources *s, struct crier_container *container, uint64_t now_ns);
	bool once; /* what it does not know at first it never knows */
} sources[] = {
	{wants_bundle, ask_bundle, true},
	{wants_pod, ask_pod_logs, false},
	{wants_name, ask_container_logs, false},
};

bool crier_source_fill(struct crier_sources *s, struct crier_container *container, uint64_t now_ns,
		       bool again)
{
	bool later = false;

	if (!is_id(container->id))
		return false; /* it would lead elsewhere, or be no ending of a name */
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(sources); i++)
		if (!(again && sources[i].once) && sources[i].wants(container))
			later |= sources[i].ask(s, container, now_ns) == WORD_LATER;
	return later && !crier_container_is_identified(container);
}
