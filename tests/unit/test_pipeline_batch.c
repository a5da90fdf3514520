/* SPDX-License-Identifier: Apache-2.0 */
/* Records fed together make the same lines as one after the other, whatever they do to the tables on the way. */
#include "pipeline_fixture.h"

#define RECORDS 200
#define ROOM	256

struct story {
	_Alignas(8) char bytes[RECORDS][ROOM];
	struct crier_slice records[RECORDS];
	size_t count;
	uint64_t now_ns;
};

static void *add(struct story *story, uint8_t type, uint64_t cgroup_id, size_t len)
{
	struct crier_wire_header *header = (void *)story->bytes[story->count];

	assert_true(story->count < RECORDS && len <= ROOM);
	story->records[story->count] = (struct crier_slice){story->bytes[story->count], len};
	story->count++;
	*header = (struct crier_wire_header){
		.length = (uint16_t)len,
		.version = CRIER_WIRE_VERSION,
		.type = type,
		.ring = type < CRIER_WIRE_EXEC ? CRIER_CLASS_CRITICAL : CRIER_CLASS_BULK,
		.hook = CRIER_HOOK_TP_BTF_EXEC,
		.boottime_ns = story->now_ns += MS,
		.cgroup_id = cgroup_id,
	};
	return header;
}

static void add_exit(struct story *story, uint64_t cgroup_id, uint32_t pid)
{
	struct crier_wire_exit *exit = add(story, CRIER_WIRE_EXIT, cgroup_id, sizeof(*exit));

	exit->task = task(pid, 900 * S, cgroup_id, "prog");
}

static void add_mkdir(struct story *story, uint64_t id, uint64_t parent_id, const char *leaf)
{
	size_t len = strlen(leaf);
	struct crier_wire_cgroup_mkdir *mkdir =
		add(story, CRIER_WIRE_CGROUP_MKDIR, id, (sizeof(*mkdir) + len + 7) & ~7UL);

	mkdir->parent_id = parent_id;
	mkdir->name.offset = sizeof(*mkdir);
	mkdir->name.length = (uint16_t)len;
	memcpy(mkdir + 1, leaf, len);
}

/* Containers that are made, used and gone within a batch; unknown cgroups; records that are none. */
static void tell(struct story *story)
{
	story->now_ns = 1001 * S;
	for (uint32_t round = 0; round < 8; round++) {
		uint64_t id = 1000 + round;
		char leaf[65];

		snprintf(leaf, sizeof(leaf), "%064x", round + 1);
		add_exit(story, CG_A, 100 + round);
		add_mkdir(story, id, CG_POD, leaf);
		for (uint32_t k = 0; k < 5; k++)
			add_exit(story, k % 2 ? id : CG_A, 200 + 10 * round + k);
		add_exit(story, 77777, 300 + round); /* a cgroup nobody told of */
		add(story, CRIER_WIRE_CGROUP_RMDIR, id, sizeof(struct crier_wire_cgroup_rmdir));
		add_exit(story, id, 400 + round);
		story->records[story->count] = (struct crier_slice){story->bytes[story->count], round};
		story->count++; /* too short for a header */
		add_exit(story, CG_HOST, 500 + round);
	}
}

static void test_together_or_apart(void **state)
{
	static struct story story;
	struct node *apart = node_config(CRIER_PROFILE_FULL), *together = node_config(CRIER_PROFILE_FULL);
	(void)state;

	apart->runs_already = together->runs_already = true;
	node_start(apart, false);
	node_start(together, false);
	tell(&story);
	for (size_t i = 0; i < story.count; i++)
		crier_pipeline_feed(apart->pipeline, CRIER_INPUT_RECORD, story.now_ns, story.records[i].ptr,
				    story.records[i].len);
	crier_pipeline_feed_records(together->pipeline, story.now_ns, story.records, story.count);
	crier_pipeline_feed_records(together->pipeline, story.now_ns, NULL, 0);
	run_until(apart, story.now_ns + 30 * S);
	run_until(together, story.now_ns + 30 * S);
	assert_true(apart->line_count > 60);
	assert_int_equal(apart->line_count, together->line_count);
	for (size_t i = 0; i < apart->line_count; i++)
		assert_true(json_equal(apart->lines[i], together->lines[i]));
	node_free(apart);
	node_free(together);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_together_or_apart),
	};

	return cmocka_run_group_tests_name("pipeline_batch", tests, NULL, NULL);
}
