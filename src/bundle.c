/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of the keys: containerd's pkg/cri/annotations, CRI-O's pkg/annotations/internal.go with its SpecAddAnnotations
 * (sandbox annotations first, its own over them, then the kubelet's of the container, labels last), cri-dockerd's
 * core/docker_service.go, and the kubelet's kuberuntime/labels.go: its pod name, namespace and uid overwrite labels of a user.
 */
#include "crier/bundle.h"

#include <errno.h>
#include <jansson.h>

#include "crier/base/json.h"

enum value {
	VALUE_TYPE, /* sandbox or not; before the others */
	VALUE_TEXT,
	VALUE_NUMBER, /* of a container: of a sandbox it would be a user's annotation */
};

/* Of several rows for one member the first that is there counts. */
struct row {
	const char *key;
	uint8_t value;	 /* enum value */
	uint16_t offset; /* in struct crier_meta_container */
};

#define TYPE(key)                                                                                            \
	{                                                                                                    \
		key, VALUE_TYPE, 0                                                                           \
	}
#define TEXT(key, member)                                                                                    \
	{                                                                                                    \
		key, VALUE_TEXT, offsetof(struct crier_meta_container, member)                               \
	}
#define NUMBER(key, member)                                                                                  \
	{                                                                                                    \
		key, VALUE_NUMBER, offsetof(struct crier_meta_container, member)                             \
	}
#define ROWS_END                                                                                             \
	{                                                                                                    \
		NULL, 0, 0                                                                                   \
	}

static const struct row containerd_rows[] = {
	TYPE("io.kubernetes.cri.container-type"),
	TEXT("io.kubernetes.cri.sandbox-id", sandbox_id),
	TEXT("io.kubernetes.cri.sandbox-name", pod_name),
	TEXT("io.kubernetes.cri.sandbox-namespace", pod_namespace),
	TEXT("io.kubernetes.cri.sandbox-uid", pod_uid),
	TEXT("io.kubernetes.cri.container-name", name),
	TEXT("io.kubernetes.cri.image-name", image),
	ROWS_END,
};

static const struct row crio_rows[] = {
	TYPE("io.kubernetes.cri-o.ContainerType"),
	TEXT("io.kubernetes.cri-o.SandboxID", sandbox_id),
	TEXT("io.kubernetes.pod.name", pod_name),
	TEXT("io.kubernetes.pod.namespace", pod_namespace),
	TEXT("io.kubernetes.pod.uid", pod_uid),
	TEXT("io.kubernetes.container.name", name),
	TEXT("io.kubernetes.cri-o.ImageName", image),
	TEXT("io.kubernetes.cri-o.Image", image),
	NUMBER("io.kubernetes.container.restartCount", restart_count),
	NUMBER("io.kubernetes.pod.terminationGracePeriod", grace_period_s),
	ROWS_END,
};

static const struct row docker_rows[] = {
	TYPE("io.kubernetes.docker.type"),
	TEXT("io.kubernetes.sandbox.id", sandbox_id),
	TEXT("io.kubernetes.pod.name", pod_name),
	TEXT("io.kubernetes.pod.namespace", pod_namespace),
	TEXT("io.kubernetes.pod.uid", pod_uid),
	TEXT("io.kubernetes.container.name", name),
	NUMBER("annotation.io.kubernetes.container.restartCount", restart_count),
	NUMBER("annotation.io.kubernetes.pod.terminationGracePeriod", grace_period_s),
	ROWS_END,
};

static const struct {
	const struct row *rows;
	const char *path[3]; /* to the object that holds the keys */
	const char *sandbox; /* what the type is then */
} forms[CRIER_BUNDLE_FORM_COUNT] = {
	[CRIER_BUNDLE_CONTAINERD] = {containerd_rows, {"annotations"}, "sandbox"},
	[CRIER_BUNDLE_CRIO] = {crio_rows, {"annotations"}, "sandbox"},
	[CRIER_BUNDLE_DOCKER] = {docker_rows, {"Config", "Labels"}, "podsandbox"},
};

static struct crier_slice text_of(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_string(value)
		       ? (struct crier_slice){json_string_value(value), json_string_length(value)}
		       : CRIER_SLICE_NONE;
}

/* A walk over a text's brackets and strings, which makes no tree of it. */
struct scan {
	const char *key;	   /* the member of the outermost object that is looked for */
	struct crier_slice string; /* the last one seen */
	struct crier_slice *ret_value;
	size_t depth, values;
	bool taking; /* its value is being gone through */
};

/* The end of a string's quotes from behind the first; `len` when there is none. */
static size_t skip_string(const char *text, size_t at, size_t len)
{
	while (at < len && text[at] != '"')
		at += text[at] == '\\' ? 2 : 1;
	return crier_min(at, len);
}

/* A character outside of strings. @return 0, -EBADMSG, -E2BIG */
static int step(struct scan *scan, const char *at)
{
	switch (*at) {
	case ':':
		if (scan->depth == 1 && crier_slice_equal(scan->string, crier_slice_of(scan->key))) {
			if (scan->ret_value->ptr)
				return -EBADMSG; /* twice */
			scan->ret_value->ptr = at + 1;
			scan->taking = true;
		}
		break;
	case '[':
	case '{': scan->depth++; break;
	case ']':
	case '}': scan->depth--; break; /* was 1 or more: at 0 the text is over */
	default: break;
	}
	if (scan->taking && (*at == ',' ? scan->depth == 1 : scan->depth == 0)) {
		scan->ret_value->len = (size_t)(at - scan->ret_value->ptr);
		scan->taking = false;
	}
	scan->values += *at == ',' || *at == '[' || *at == '{';
	return scan->depth > CRIER_BUNDLE_DEPTH_MAX || scan->values > CRIER_BUNDLE_VALUES_MAX ? -E2BIG : 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/*
 * The value of `key` in the object that `text` is; absent when it has none. All else is looked at for its brackets only, so
 * that of a config.json of 60 KiB jansson sees the annotations. NUL is no character of JSON, and jansson passes over it as if
 * it were not there.
 * @return 0, -EBADMSG, -E2BIG
 */
static int find_member(struct crier_slice text, const char *key, struct crier_slice *ret_value)
{
	struct scan scan = {.key = key, .ret_value = ret_value};
	size_t begin = 0;

	*ret_value = CRIER_SLICE_NONE;
	while (begin < text.len && is_blank(text.ptr[begin]))
		begin++;
	if (begin == text.len || text.ptr[begin] != '{' || memchr(text.ptr, '\0', text.len))
		return -EBADMSG;
	for (size_t i = begin; i < text.len; i++) {
		int r;

		if (scan.depth == 0 && i > begin && !is_blank(text.ptr[i]))
			return -EBADMSG; /* a second value */
		if (text.ptr[i] != '"') {
			r = step(&scan, text.ptr + i);
			if (r < 0)
				return r;
			continue;
		}
		size_t end = skip_string(text.ptr, i + 1, text.len);

		scan.string = (struct crier_slice){text.ptr + i + 1, end - i - 1};
		i = end;
	}
	return scan.depth ? -EBADMSG : 0;
}

static int keep_rows(const struct row *rows, const json_t *keys, json_t *kept)
{
	for (const struct row *row = rows; row->key; row++) {
		struct crier_slice text = text_of(keys, row->key);

		if (!text.ptr)
			continue;
		text.len = crier_utf8_cut(text, CRIER_META_STRING_MAX);
		if (json_object_set_new(kept, row->key, json_stringn(text.ptr, text.len)) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* @return the JSON of the object that holds the form's keys; absent: there is none */
static int find_keys(enum crier_bundle_form form, struct crier_slice text, struct crier_slice *ret_keys)
{
	int r = 0;

	for (size_t i = 0;
	     i < CRIER_ARRAY_SIZE(forms[form].path) && forms[form].path[i] && r == 0 && text.ptr; i++) {
		struct crier_slice member;

		r = find_member(text, forms[form].path[i], &member);
		while (r == 0 && member.len && is_blank(member.ptr[0]))
			member.ptr++, member.len--;
		if (r == 0 && member.ptr && (member.len == 0 || member.ptr[0] != '{'))
			member = CRIER_SLICE_NONE; /* null, or a thing of another kind */
		text = member;
	}
	*ret_keys = text;
	return r;
}

int crier_bundle_keep(enum crier_bundle_form form, const char *text, size_t len, char *buf, size_t cap,
		      size_t *ret_len)
{
	struct crier_slice keys;
	json_t *told = NULL, *kept;
	size_t size = 0;
	int r = find_keys(form, (struct crier_slice){text, len}, &keys);

	if (r < 0)
		return r;
	if (keys.ptr) {
		told = json_loadb(keys.ptr, keys.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		if (!told)
			return -EBADMSG;
	}
	kept = json_object();
	r = kept ? keep_rows(forms[form].rows, told, kept) : -ENOMEM;
	if (r == 0)
		size = json_dumpb(kept, buf, cap, JSON_COMPACT);
	json_decref(kept);
	json_decref(told);
	if (r < 0)
		return r;
	if (size == 0 || size > cap)
		return -EFBIG;
	*ret_len = size;
	return 0;
}

static void take(const struct row *row, struct crier_slice text, struct crier_meta_container *meta)
{
	void *member = (char *)meta + row->offset;
	uint64_t number;

	if (row->value == VALUE_TEXT && !((struct crier_slice *)member)->ptr)
		*(struct crier_slice *)member = text;
	if (row->value == VALUE_NUMBER && crier_parse_u64(text, &number) == 0)
		*(uint64_t *)member = number;
}

static int read_rows(enum crier_bundle_form form, const json_t *kept, struct crier_slice id,
		     struct crier_meta_container *meta)
{
	bool is_sandbox = false;

	for (const struct row *row = forms[form].rows; row->key; row++) {
		struct crier_slice text = text_of(kept, row->key);

		if (!text.len)
			continue;
		if (row->value == VALUE_TYPE)
			is_sandbox = crier_slice_equal(text, crier_slice_of(forms[form].sandbox));
		else if (row->value != VALUE_NUMBER || !is_sandbox)
			take(row, text, meta);
	}
	if (meta->sandbox_id.len && crier_slice_equal(meta->sandbox_id, id) != is_sandbox)
		return -EEXIST;
	if (is_sandbox) {
		meta->sandbox_id = id;
		meta->type = CRIER_SLICE("sandbox");
		meta->name = CRIER_SLICE_NONE; /* "POD" in some, nothing in others */
	}
	meta->id = id;
	return 0;
}

int crier_bundle_parse(enum crier_bundle_form form, const char *kept, size_t len, struct crier_slice id,
		       struct crier_meta_container *ret_meta, struct json_t **ret_store)
{
	json_t *root = json_loadb(kept, len, JSON_ALLOW_NUL, NULL);
	int r = json_is_object(root) ? read_rows(form, root, id, ret_meta) : -EBADMSG;

	if (r < 0) {
		json_decref(root);
		return r;
	}
	*ret_store = root;
	return 0;
}
