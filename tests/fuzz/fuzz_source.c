/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read of runtimes' and the kubelet's folders. The first byte chooses: 'p' a pod's log folder, 'l' a log link
 * ("name\ntext"), else a runtime's file of that form.
 *
 * Claims: slices lie within their text; a name that is taken can be composed again of what was read, so that there is one
 * reading of it; what is kept of a file is bounded, holds no key but those in use, is kept again as it is, and is read.
 */
#include "fuzz.h"

#include <errno.h>
#include <jansson.h>

#include "crier/base/json.h"
#include "crier/bundle.h"
#include "crier/log_name.h"

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void check_text(struct crier_slice text)
{
	fuzz_touch(text, NULL);
	FUZZ_CLAIM(text.len <= CRIER_META_STRING_MAX, "a text of %zu bytes", text.len);
	FUZZ_CLAIM(crier_utf8_is_valid(text), "not UTF-8");
}

static void check_keys(const char *kept, size_t len)
{
	json_t *root = json_loadb(kept, len, JSON_ALLOW_NUL, NULL), *value;
	const char *key;

	FUZZ_CLAIM(json_is_object(root), "what is kept is no object: %.*s", (int)len, kept);
	json_object_foreach(root, key, value)
	{
		FUZZ_CLAIM(strstr(key, "io.kubernetes."), "key %s is kept", key);
		FUZZ_CLAIM(json_is_string(value), "the value of %s is no text", key);
	}
	json_decref(root);
}

static void bundle(enum crier_bundle_form form, struct crier_slice text)
{
	static char kept[16 * 1024];
	static struct crier_meta_message message;
	const struct crier_meta_container *meta = &message.container;
	json_t *store = NULL;
	size_t len = 0;
	int r = crier_bundle_keep(form, text.ptr, text.len, kept, sizeof(kept), &len);

	FUZZ_CLAIM(r == 0 || r == -EBADMSG || r == -E2BIG || r == -EFBIG, "%d", r);
	if (r < 0)
		return;
	FUZZ_CLAIM(len > 0 && len <= sizeof(kept), "%zu bytes", len);
	check_keys(kept, len);
	crier_meta_clear(&message);
	r = crier_bundle_parse(form, kept, len, CRIER_SLICE(ID), &message.container, &store);
	FUZZ_CLAIM(r == 0 || r == -EEXIST, "what was kept is not read: %d", r);
	if (r < 0)
		return;
	check_text(meta->sandbox_id);
	check_text(meta->name);
	check_text(meta->pod_name);
	check_text(meta->pod_namespace);
	check_text(meta->pod_uid);
	check_text(meta->image);
	FUZZ_CLAIM(!meta->type.len || crier_slice_equal(meta->sandbox_id, CRIER_SLICE(ID)),
		   "a sandbox of another id");
	json_decref(store);
}

static void same(struct crier_slice name, const char *format, const struct crier_log_pod *pod,
		 struct crier_slice last)
{
	char composed[1024];
	int len = snprintf(composed, sizeof(composed), format, (int)pod->namespace_.len, pod->namespace_.ptr,
			   (int)pod->name.len, pod->name.ptr, (int)last.len, last.ptr);

	FUZZ_CLAIM(crier_slice_equal(name, (struct crier_slice){composed, (size_t)len}), "%.*s is read as %s",
		   (int)name.len, name.ptr, composed);
}

static void pod_folder(struct crier_slice name)
{
	struct crier_log_pod pod;

	if (crier_log_pod_parse(name, &pod) < 0)
		return;
	fuzz_touch(pod.namespace_, &name);
	fuzz_touch(pod.name, &name);
	fuzz_touch(pod.uid, &name);
	same(name, "%.*s_%.*s_%.*s", &pod, pod.uid);
}

static void log_link(struct crier_slice both)
{
	const char *newline = both.len ? memchr(both.ptr, '\n', both.len) : NULL;
	struct crier_slice name, text;
	struct crier_log_link link;
	int r;

	if (!newline)
		return;
	name = (struct crier_slice){both.ptr, (size_t)(newline - both.ptr)};
	text = (struct crier_slice){newline + 1, both.len - name.len - 1};
	r = crier_log_link_parse(name, text, &link);
	FUZZ_CLAIM(r == 0 || r == -EBADMSG || r == -EEXIST, "%d", r);
	if (r < 0)
		return;
	fuzz_touch(link.pod.namespace_, &name);
	fuzz_touch(link.pod.name, &name);
	fuzz_touch(link.container, &name);
	fuzz_touch(link.id, &name);
	fuzz_touch(link.pod.uid, &text);
	FUZZ_CLAIM(link.pod.namespace_.len && link.pod.name.len && link.container.len && link.id.len &&
			   link.pod.uid.len,
		   "an empty name");
	FUZZ_CLAIM(!memchr(link.container.ptr, '_', link.container.len), "two readings");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	uint8_t what = fuzz_u8(&input);
	struct crier_slice text = fuzz_take(&input, size);
	char *copy = fuzz_copy(text);

	text.ptr = copy;
	if (what == 'p')
		pod_folder(text);
	else if (what == 'l')
		log_link(text);
	else
		bundle(CRIER_BUNDLE_PLAIN + 1 + what % (CRIER_BUNDLE_FORM_COUNT - 1), text);
	free(copy);
	return 0;
}
