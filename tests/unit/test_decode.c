/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "crier/decode.h"

struct exec_record {
	struct crier_wire_exec exec;
	char tail[64];
};

static struct exec_record whole_exec(void)
{
	struct exec_record r = {
		.exec =
			{
				.header = {.length = sizeof(r),
					   .version = CRIER_WIRE_VERSION,
					   .type = CRIER_WIRE_EXEC},
				.filename = {.offset = sizeof(struct crier_wire_exec), .length = 8},
				.args = {.offset = sizeof(struct crier_wire_exec) + 8, .length = 6},
			},
	};

	memcpy(r.tail, "/bin/trusleep\0001", 16);
	return r;
}

static void accepts_a_whole_exec(void **state)
{
	struct exec_record r = whole_exec();
	struct crier_decoded d;

	(void)state;
	assert_int_equal(crier_decode(&r, sizeof(r), &d), 0);
	assert_ptr_equal(d.exec, &r.exec);
	assert_null(d.exit);
	assert_int_equal(d.filename.len, 8);
	assert_memory_equal(d.filename.ptr, "/bin/tru", 8);
	assert_int_equal(d.args.len, 6);
}

static void refuses_what_is_out_of_bounds(void **state)
{
	static const struct {
		const char *name;
		size_t offset;
		uint16_t value; /* of a 16-bit field */
	} rows[] = {
		{"length above the bytes", offsetof(struct crier_wire_header, length), 4000},
		{"length below the bytes", offsetof(struct crier_wire_header, length), 104},
		{"text beyond the end", offsetof(struct crier_wire_exec, filename) + 2, 65},
		{"text offset inside the fixed part", offsetof(struct crier_wire_exec, filename), 24},
		{"text offset far away", offsetof(struct crier_wire_exec, args), 65535},
		{"text length that wraps", offsetof(struct crier_wire_exec, args) + 2, 65535},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		struct exec_record r = whole_exec();
		struct crier_decoded d = {0};

		memcpy((char *)&r + rows[i].offset, &rows[i].value, sizeof(rows[i].value));
		if (crier_decode(&r, sizeof(r), &d) != -EINVAL)
			fail_msg("%s was accepted", rows[i].name);
		assert_null(d.header); /* the result is untouched */
	}
}

static void refuses_other_versions_types_and_rings(void **state)
{
	struct exec_record r = whole_exec();
	struct crier_decoded d;

	(void)state;
	r.exec.header.version++;
	assert_int_equal(crier_decode(&r, sizeof(r), &d), -EINVAL);
	r = whole_exec();
	r.exec.header.type = CRIER_WIRE_TYPE_COUNT;
	assert_int_equal(crier_decode(&r, sizeof(r), &d), -EINVAL);
	r.exec.header.type = 5; /* a hole in the numbers */
	assert_int_equal(crier_decode(&r, sizeof(r), &d), -EINVAL);
	r = whole_exec();
	r.exec.header.ring = CRIER_CLASS_COUNT;
	assert_int_equal(crier_decode(&r, sizeof(r), &d), -EINVAL);
}

static void refuses_every_short_record(void **state)
{
	static const size_t sizes[CRIER_WIRE_TYPE_COUNT] = {
		[CRIER_WIRE_CGROUP_MKDIR] = sizeof(struct crier_wire_cgroup_mkdir),
		[CRIER_WIRE_CGROUP_RMDIR] = sizeof(struct crier_wire_cgroup_rmdir),
		[CRIER_WIRE_CGROUP_POPULATED] = sizeof(struct crier_wire_cgroup_populated),
		[CRIER_WIRE_PRESSURE_HINT] = sizeof(struct crier_wire_pressure_hint),
		[CRIER_WIRE_EXEC] = sizeof(struct crier_wire_exec),
		[CRIER_WIRE_FORK] = sizeof(struct crier_wire_fork),
		[CRIER_WIRE_EXIT] = sizeof(struct crier_wire_exit),
		[CRIER_WIRE_SIGNAL] = sizeof(struct crier_wire_signal),
		[CRIER_WIRE_OOM] = sizeof(struct crier_wire_oom),
	};

	(void)state;
	for (uint8_t type = 0; type < CRIER_WIRE_TYPE_COUNT; type++) {
		if (!sizes[type])
			continue;
		for (size_t len = 0; len <= sizes[type]; len += 4) {
			uint64_t *record =
				test_calloc(1, sizes[type] + 8); /* exact, so that asan sees a read beyond */
			struct crier_wire_header *header = (void *)record;
			struct crier_decoded d;

			if (len >= sizeof(*header)) {
				header->length = (uint16_t)len;
				header->version = CRIER_WIRE_VERSION;
				header->type = type;
			}
			assert_int_equal(crier_decode(record, len, &d), len == sizes[type] ? 0 : -EINVAL);
			test_free(record);
		}
	}
}

static void refuses_too_many_oom_levels(void **state)
{
	struct crier_wire_oom oom = {
		.header = {.length = sizeof(oom), .version = CRIER_WIRE_VERSION, .type = CRIER_WIRE_OOM},
		.level_count = CRIER_WIRE_OOM_LEVELS,
	};
	struct crier_decoded d;

	(void)state;
	assert_int_equal(crier_decode(&oom, sizeof(oom), &d), 0);
	oom.level_count++;
	assert_int_equal(crier_decode(&oom, sizeof(oom), &d), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_a_whole_exec),
		cmocka_unit_test(refuses_what_is_out_of_bounds),
		cmocka_unit_test(refuses_other_versions_types_and_rings),
		cmocka_unit_test(refuses_every_short_record),
		cmocka_unit_test(refuses_too_many_oom_levels),
	};

	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
