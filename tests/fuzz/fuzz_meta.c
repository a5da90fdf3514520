/* SPDX-License-Identifier: Apache-2.0 */
/* The blob between the CRI thread and the loop: what decodes must encode, and that must say the same again. */
#include "fuzz.h"

#include "crier/meta.h"

static struct crier_meta_message first, second;
static char once[CRIER_META_BLOB_MAX], twice[CRIER_META_BLOB_MAX];

static void touch_labels(const struct crier_meta_labels *labels, const struct crier_slice *whole)
{
	FUZZ_CLAIM(labels->count <= CRIER_META_LABELS_MAX, "%zu labels", labels->count);
	for (size_t i = 0; i < labels->count; i++) {
		fuzz_touch(labels->items[i].key, whole);
		fuzz_touch(labels->items[i].value, whole);
	}
}

static void touch(const struct crier_meta_message *m, const struct crier_slice *whole)
{
	const struct crier_slice all[] = {
		m->id,
		m->error,
		m->runtime.name,
		m->runtime.version,
		m->runtime.api_version,
		m->pod.sandbox_id,
		m->pod.name,
		m->pod.namespace_,
		m->pod.uid,
		m->pod.ip,
		m->pod.cgroup_parent,
		m->pod.runtime_handler,
		m->container.id,
		m->container.sandbox_id,
		m->container.name,
		m->container.pod_name,
		m->container.pod_namespace,
		m->container.pod_uid,
		m->container.image,
		m->container.image_id,
		m->container.reason,
		m->container.message,
		m->container.cgroups_path,
		m->container.type,
	};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(all); i++)
		fuzz_touch(all[i], whole);
	touch_labels(&m->pod.labels, whole);
	touch_labels(&m->container.labels, whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy = fuzz_copy((struct crier_slice){(const char *)data, size});
	struct crier_slice whole = {copy, size};
	struct crier_buf a, b;
	int r;

	if (crier_meta_decode(copy, size, &first) == 0) {
		touch(&first, &whole);
		crier_buf_init(&a, once, sizeof(once));
		crier_buf_init(&b, twice, sizeof(twice));
		r = crier_meta_encode(&first, &a);
		FUZZ_CLAIM(r == 0 || size > CRIER_META_BLOB_MAX / 2,
			   "%zu bytes decoded and do not encode: %d", size, r);
		if (r == 0) {
			FUZZ_CLAIM(crier_meta_decode(once, a.len, &second) == 0,
				   "what was encoded does not decode");
			FUZZ_CLAIM(crier_meta_encode(&second, &b) == 0, "it does not encode a second time");
			FUZZ_CLAIM(a.len == b.len && memcmp(once, twice, a.len) == 0,
				   "it says something else now");
		}
	}
	free(copy);
	return 0;
}
