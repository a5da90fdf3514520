/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cgroup path tells, by a table of component forms. The path is read from the root down, each component tried
 * against each row; what was seen above decides whether a row may apply and when a container is final.
 *
 * Sources of the forms: kubelet's cgroup_manager_linux.go (kubepods, QoS, pod names, '-' written as '_' in slices),
 * runc's systemd driver ("slice:prefix:name" -> prefix-name.scope; taken as one directory name by the cgroupfs driver),
 * CRI-O's and podman's "crio-", "libpod-" (conmon has names of its own, which fit no row), docker's /docker and
 * docker-<id>.scope, nerdctl's nerdctl-<id>.scope, and containerd's /k8s.io for pods made without a cgroup parent.
 */
#include "crier/cgroup.h"

#define ID_LEN	     64
#define UID_LEN	     36 /* 8-4-4-4-12 */
#define UID_HASH_LEN 32 /* static pods: md5 of the manifest */

enum body {
	BODY_NONE,	  /* prefix and suffix are all of it */
	BODY_ID,	  /* 64 lower-case hex digits */
	BODY_UID,	  /* pod uid */
	BODY_UID_ESCAPED, /* pod uid with '_' for '-', as systemd slices need it */
};

/* What may stand in a component before `prefix`. */
enum lead {
	LEAD_NONE,
	LEAD_ROOT,  /* nothing, or the escaped cgroup root of the kubelet and '-': "kubelet-" */
	LEAD_SLICE, /* anything; a pod's slice name there names the pod */
};

enum role {
	ROLE_ROOT, /* of all pods */
	ROLE_QOS,  /* directly below a root */
	ROLE_POD,
	ROLE_RUNTIME,  /* a runtime's own directory: bare ids directly below are containers */
	ROLE_PREFIXED, /* a container, and the name says so */
	ROLE_BARE,     /* a container where the place says so */
};

struct form {
	const char *prefix;
	const char *suffix;
	uint8_t prefix_len, suffix_len;
	uint8_t body; /* enum body */
	uint8_t lead; /* enum lead */
	uint8_t role; /* enum role */
	uint8_t qos;  /* enum crier_qos */
	const char *runtime;
	const char *driver;
};

#define FORM(prefix, body, suffix, lead, role, qos, runtime, driver)                                         \
	{                                                                                                    \
		prefix, suffix, sizeof(prefix) - 1, sizeof(suffix) - 1, body, lead, role, qos, runtime,      \
			driver                                                                               \
	}

static const char cgroupfs[] = "cgroupfs";
static const char systemd[] = "systemd";
static const char containerd[] = "containerd";
static const char crio[] = "cri-o";
static const char docker[] = "docker";
static const char podman[] = "podman";

/* clang-format off */
static const struct form forms[] = {
	/*   prefix                     body              suffix    lead        role           qos                   runtime     driver */
	FORM("",                        BODY_ID,          "",       LEAD_NONE,  ROLE_BARE,     CRIER_QOS_UNKNOWN,     NULL,       cgroupfs),
	FORM("cri-containerd-",         BODY_ID,          ".scope", LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     containerd, systemd),
	FORM("crio-",                   BODY_ID,          ".scope", LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     crio,       systemd),
	FORM("docker-",                 BODY_ID,          ".scope", LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     docker,     systemd),
	FORM("libpod-",                 BODY_ID,          ".scope", LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     podman,     systemd),
	FORM("nerdctl-",                BODY_ID,          ".scope", LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     containerd, systemd),
	FORM("crio-",                   BODY_ID,          "",       LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     crio,       cgroupfs),
	FORM("libpod-",                 BODY_ID,          "",       LEAD_NONE,  ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     podman,     cgroupfs),
	FORM(":cri-containerd:",        BODY_ID,          "",       LEAD_SLICE, ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     containerd, cgroupfs),
	FORM(":crio:",                  BODY_ID,          "",       LEAD_SLICE, ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     crio,       cgroupfs),
	FORM(":docker:",                BODY_ID,          "",       LEAD_SLICE, ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     docker,     cgroupfs),
	FORM(":libpod:",                BODY_ID,          "",       LEAD_SLICE, ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     podman,     cgroupfs),
	FORM(":nerdctl:",               BODY_ID,          "",       LEAD_SLICE, ROLE_PREFIXED, CRIER_QOS_UNKNOWN,     containerd, cgroupfs),
	FORM("pod",                     BODY_UID,         "",       LEAD_NONE,  ROLE_POD,      CRIER_QOS_UNKNOWN,     NULL,       cgroupfs),
	FORM("kubepods-pod",            BODY_UID_ESCAPED, ".slice", LEAD_ROOT,  ROLE_POD,      CRIER_QOS_GUARANTEED,  NULL,       systemd),
	FORM("kubepods-burstable-pod",  BODY_UID_ESCAPED, ".slice", LEAD_ROOT,  ROLE_POD,      CRIER_QOS_BURSTABLE,   NULL,       systemd),
	FORM("kubepods-besteffort-pod", BODY_UID_ESCAPED, ".slice", LEAD_ROOT,  ROLE_POD,      CRIER_QOS_BEST_EFFORT, NULL,       systemd),
	FORM("kubepods",                BODY_NONE,        "",       LEAD_NONE,  ROLE_ROOT,     CRIER_QOS_UNKNOWN,     NULL,       cgroupfs),
	FORM("burstable",               BODY_NONE,        "",       LEAD_NONE,  ROLE_QOS,      CRIER_QOS_BURSTABLE,   NULL,       cgroupfs),
	FORM("besteffort",              BODY_NONE,        "",       LEAD_NONE,  ROLE_QOS,      CRIER_QOS_BEST_EFFORT, NULL,       cgroupfs),
	FORM("kubepods",                BODY_NONE,        ".slice", LEAD_ROOT,  ROLE_ROOT,     CRIER_QOS_UNKNOWN,     NULL,       systemd),
	FORM("kubepods-burstable",      BODY_NONE,        ".slice", LEAD_ROOT,  ROLE_QOS,      CRIER_QOS_BURSTABLE,   NULL,       systemd),
	FORM("kubepods-besteffort",     BODY_NONE,        ".slice", LEAD_ROOT,  ROLE_QOS,      CRIER_QOS_BEST_EFFORT, NULL,       systemd),
	FORM("docker",                  BODY_NONE,        "",       LEAD_NONE,  ROLE_RUNTIME,  CRIER_QOS_UNKNOWN,     docker,     cgroupfs),
	FORM("k8s.io",                  BODY_NONE,        "",       LEAD_NONE,  ROLE_RUNTIME,  CRIER_QOS_UNKNOWN,     containerd, cgroupfs),
};
/* clang-format on */

/* One component that fits a row. */
struct match {
	const struct form *form;
	struct crier_slice lead, body;
};

static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if ((unsigned char)(c - '0') > 9 && (unsigned char)(c - 'a') > 5)
			return false;
	}
	return true;
}

static bool is_uid(const char *text, size_t len, char dash)
{
	if (len == UID_HASH_LEN)
		return is_hex(text, len);
	return len == UID_LEN && text[8] == dash && text[13] == dash && text[18] == dash &&
	       text[23] == dash && is_hex(text, 8) && is_hex(text + 9, 4) && is_hex(text + 14, 4) &&
	       is_hex(text + 19, 4) && is_hex(text + 24, 12);
}

static bool body_fits(const struct form *form, const char *text, size_t len)
{
	switch (form->body) {
	case BODY_ID: return is_hex(text, len);
	case BODY_UID: return is_uid(text, len, '-');
	case BODY_UID_ESCAPED: return is_uid(text, len, '_');
	default: return true;
	}
}

/* Matched from the end: suffix, body of a known length, prefix, and then what `lead` allows. */
static bool form_fits(const struct form *form, struct crier_slice component, size_t body_len,
		      struct match *ret_match)
{
	size_t fixed = form->prefix_len + body_len + form->suffix_len;

	if (component.len < fixed || (form->lead == LEAD_NONE && component.len != fixed))
		return false;

	size_t lead_len = component.len - fixed;
	const char *prefix = component.ptr + lead_len;
	const char *body = prefix + form->prefix_len;

	if (memcmp(body + body_len, form->suffix, form->suffix_len) != 0 ||
	    memcmp(prefix, form->prefix, form->prefix_len) != 0)
		return false;
	if (form->lead == LEAD_ROOT && lead_len > 0 && prefix[-1] != '-')
		return false;
	if (!body_fits(form, body, body_len))
		return false;
	ret_match->form = form;
	ret_match->lead = (struct crier_slice){component.ptr, lead_len};
	ret_match->body = (struct crier_slice){body, body_len};
	return true;
}

static bool match_component(struct crier_slice component, struct match *ret_match)
{
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(forms); i++) {
		const struct form *form = &forms[i];

		switch (form->body) {
		case BODY_NONE:
			if (form_fits(form, component, 0, ret_match))
				return true;
			break;
		case BODY_ID:
			if (form_fits(form, component, ID_LEN, ret_match))
				return true;
			break;
		default:
			if (form_fits(form, component, UID_LEN, ret_match) ||
			    form_fits(form, component, UID_HASH_LEN, ret_match))
				return true;
			break;
		}
	}
	return false;
}

/* What the components so far amount to. */
struct state {
	bool in_kubepods; /* a root or a pod was seen: a container below is final */
	/* of the component just before */
	bool parent_is_root;
	bool parent_is_hidden; /* "..": above the reader's cgroup namespace */
	uint8_t parent_qos;
	const char *parent_runtime;
};

static void take_pod(struct state *state, struct crier_cgroup_facts *facts, const struct match *match)
{
	for (size_t i = 0; i < match->body.len; i++)
		facts->uid_storage[i] = match->body.ptr[i] == '_' ? '-' : match->body.ptr[i];
	facts->pod_uid = (struct crier_slice){facts->uid_storage, match->body.len};
	facts->driver = match->form->driver;
	facts->qos = match->form->qos;
	if (facts->qos == CRIER_QOS_UNKNOWN)
		facts->qos = state->parent_is_root ? CRIER_QOS_GUARANTEED : state->parent_qos;
	state->in_kubepods = true;
}

static void take_container(struct state *state, struct crier_cgroup_facts *facts, const struct match *match,
			   size_t depth)
{
	struct match pod;

	if (match->form->lead == LEAD_SLICE && match_component(match->lead, &pod) &&
	    pod.form->role == ROLE_POD)
		take_pod(state, facts, &pod);
	facts->kind = CRIER_CGROUP_KIND_CONTAINER;
	facts->container_id = match->body;
	facts->container_depth = depth;
	facts->driver = match->form->driver;
	facts->runtime = match->form->runtime ? match->form->runtime : state->parent_runtime;
}

/* The runtime that ran a whole node (kind, k3d, minikube) gives way to the pods inside. */
static void forget_container(struct crier_cgroup_facts *facts)
{
	facts->container_id = CRIER_SLICE_NONE;
	facts->container_depth = 0;
	facts->runtime = NULL;
}

/* A component with a form, above any final container. @return false: the form does not count in this place */
static bool take_form(struct state *state, struct crier_cgroup_facts *facts, const struct match *match,
		      size_t depth)
{
	bool in_container = facts->container_id.ptr != NULL;

	switch (match->form->role) {
	case ROLE_ROOT:
		if (facts->pod_uid.ptr)
			return false;
		forget_container(facts);
		facts->kind = CRIER_CGROUP_KIND_KUBEPODS;
		facts->qos = CRIER_QOS_UNKNOWN;
		facts->driver = match->form->driver;
		state->in_kubepods = true;
		return true;
	case ROLE_QOS:
		if (facts->pod_uid.ptr || (!state->parent_is_root && !state->parent_is_hidden))
			return false;
		facts->kind = CRIER_CGROUP_KIND_QOS;
		facts->driver = match->form->driver;
		facts->qos = match->form->qos;
		return true;
	case ROLE_POD:
		if (facts->pod_uid.ptr)
			return false;
		forget_container(facts);
		facts->kind = CRIER_CGROUP_KIND_POD;
		take_pod(state, facts, match);
		return true;
	case ROLE_RUNTIME: return !in_container;
	case ROLE_PREFIXED: /* one component may bring a pod along, below a node's container too */
		if (in_container && match->form->lead != LEAD_SLICE)
			return false;
		break;
	default:
		if (in_container || (!state->in_kubepods && !state->parent_runtime))
			return false;
		break;
	}

	struct crier_cgroup_facts before = *facts;

	take_container(state, facts, match, depth);
	if (in_container && !facts->pod_uid.ptr) {
		*facts = before;
		return false;
	}
	return true;
}

static void take_component(struct state *state, struct crier_cgroup_facts *facts,
			   struct crier_slice component, size_t depth)
{
	struct match match;
	struct state next = {.in_kubepods = state->in_kubepods};

	if (match_component(component, &match) && take_form(state, facts, &match, depth)) {
		next.in_kubepods = state->in_kubepods;
		next.parent_is_root = match.form->role == ROLE_ROOT;
		if (match.form->role == ROLE_QOS)
			next.parent_qos = match.form->qos;
		if (match.form->role == ROLE_RUNTIME) {
			next.parent_runtime = match.form->runtime;
			facts->kind = CRIER_CGROUP_KIND_OTHER;
		}
	} else {
		facts->kind = facts->container_id.ptr ? CRIER_CGROUP_KIND_NESTED : CRIER_CGROUP_KIND_OTHER;
	}
	*state = next;
}

void crier_cgroup_parse(struct crier_slice path, struct crier_cgroup_facts *ret_facts)
{
	struct crier_cgroup_facts *facts = ret_facts;
	struct state state = {0};
	bool named = false; /* a component other than a leading ".." was seen */

	memset(facts, 0, sizeof(*facts));
	if (path.len > CRIER_CGROUP_PATH_MAX)
		return;
	for (size_t end, start = 0; start < path.len; start = end + 1) {
		const char *slash = memchr(path.ptr + start, '/', path.len - start);

		end = slash ? (size_t)(slash - path.ptr) : path.len;
		struct crier_slice component = {path.ptr + start, end - start};

		if (component.len == 0)
			continue;
		if (crier_slice_equal(component, CRIER_SLICE(".."))) {
			state.parent_is_hidden = true;
			if (!named)
				continue;
			memset(facts, 0, sizeof(*facts)); /* no kernel writes this */
			return;
		}
		named = true;
		if (facts->container_id.ptr && state.in_kubepods)
			facts->kind = CRIER_CGROUP_KIND_NESTED; /* a pod's container is final */
		else
			take_component(&state, facts, component, end);
	}
}
