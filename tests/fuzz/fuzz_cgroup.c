/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every parser of cgroup texts: paths, /proc/PID/cgroup, /proc/PID/stat, mountinfo, /proc/cgroups. The first byte chooses.
 * Slices must lie within the text, and a path must say the same with a slash behind it.
 */
#include "fuzz.h"

#include "crier/cgroup.h"

static void path(struct crier_slice text)
{
	struct crier_cgroup_facts facts, again;
	char *longer = malloc(text.len + 1);
	struct crier_slice storage = {facts.uid_storage, sizeof(facts.uid_storage)};

	FUZZ_CLAIM(longer, "out of memory");
	memset(&facts, 0xa5, sizeof(facts)); /* what is not set shows */
	crier_cgroup_parse(text, &facts);
	FUZZ_CLAIM((unsigned)facts.kind < CRIER_CGROUP_KIND_COUNT, "kind %u", (unsigned)facts.kind);
	FUZZ_CLAIM(facts.container_depth <= text.len, "depth %zu of %zu", facts.container_depth, text.len);
	FUZZ_CLAIM(!facts.container_id.ptr || facts.container_id.len, "an empty container id");
	fuzz_touch(facts.container_id, &text);
	fuzz_touch(facts.pod_uid, facts.pod_uid.ptr == facts.uid_storage ? &storage : &text);
	fuzz_touch(crier_slice_of(facts.runtime), NULL);
	fuzz_touch(crier_slice_of(facts.driver), NULL);

	if (text.len)
		memcpy(longer, text.ptr, text.len);
	longer[text.len] = '/';
	crier_cgroup_parse((struct crier_slice){longer, text.len + 1}, &again);
	if (text.len + 1 < CRIER_CGROUP_PATH_MAX) {
		FUZZ_CLAIM(facts.kind == again.kind && facts.qos == again.qos,
			   "a trailing slash changed the kind");
		FUZZ_CLAIM(crier_slice_equal(facts.container_id, again.container_id),
			   "a trailing slash changed the id");
		FUZZ_CLAIM(crier_slice_equal(facts.pod_uid, again.pod_uid),
			   "a trailing slash changed the uid");
	}
	free(longer);
}

static void absolute(struct crier_slice text)
{
	const char *newline = memchr(text.ptr, '\n', text.len);
	size_t root_len = newline ? (size_t)(newline - text.ptr) : 0;
	char *root = strndup(text.ptr, root_len);
	struct crier_slice rest = {text.ptr + root_len, text.len - root_len};
	char buf[64];
	struct crier_slice storage = {buf, sizeof(buf)}, found;

	FUZZ_CLAIM(root, "out of memory");
	found = crier_cgroup_absolute(root, rest, buf, sizeof(buf));
	fuzz_touch(found, found.ptr >= buf && found.ptr <= buf + sizeof(buf) ? &storage : &rest);
	free(root);
}

static void proc(struct crier_slice text, uint8_t what)
{
	struct crier_cgroup_mounts mounts;
	struct crier_proc_entry entry = {0};
	struct crier_slice found = CRIER_SLICE_NONE;

	switch (what) {
	case 0:
		if (crier_proc_cgroup_parse(text, what, &found))
			fuzz_touch(found, &text);
		if (crier_proc_cgroup_parse(text, 4, &found))
			fuzz_touch(found, &text);
		break;
	case 1:
		if (crier_proc_stat_parse(text, &entry) == 0)
			fuzz_touch(entry.comm, &text);
		(void)crier_proc_nspid_parse(text, &entry.start_ticks);
		break;
	case 2:
		crier_cgroup_mounts_parse(text, "/host", &mounts);
		fuzz_touch(crier_slice_of(mounts.v2), NULL);
		fuzz_touch(crier_slice_of(mounts.memory), NULL);
		fuzz_touch(crier_slice_of(mounts.cpu), NULL);
		break;
	default: (void)crier_cgroup_hierarchy_parse(text, CRIER_SLICE("memory")); break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	uint8_t what = fuzz_u8(&input);
	struct crier_slice text = fuzz_take(&input, size);
	char *copy = fuzz_copy(text);

	text.ptr = copy;
	if (what >= 'a' && what <= 'd')
		proc(text, (uint8_t)(what - 'a'));
	else if (what == 'e')
		absolute(text);
	else
		path(text);
	free(copy);
	return 0;
}
