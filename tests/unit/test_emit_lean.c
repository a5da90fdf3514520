/* SPDX-License-Identifier: Apache-2.0 */
/* The fast way of lean lines against the tables: the same bytes, or it steps back. */
#include "emit_any.h"
#include "test.h"

#include "../../src/emit_line.h"

static char fast[CRIER_LINE_MAX], slow[CRIER_LINE_MAX];

/* With a byte less of room than a line may need, the tables write it. @return bytes, 0 = it cannot be written */
static size_t by_tables(const struct sample *s, uint64_t seq)
{
	struct crier_buf buf;

	crier_buf_init(&buf, slow, sizeof(slow) - 1);
	return crier_emit_json(&s->options, &s->event, seq, &buf) == 0 ? buf.len : 0;
}

/* @return whether the fast way was taken */
static bool compare(const struct sample *s, uint64_t seq)
{
	char *end = crier_emit_lean(&s->options, &s->event, seq, fast);
	size_t len = by_tables(s, seq);

	if (!end)
		return false;
	if ((size_t)(end - fast) != len || memcmp(fast, slow, len) != 0)
		fail_msg("fast: %.*stables: %.*s", (int)(end - fast), fast, (int)len, slow);
	return true;
}

static void test_samples(void **state)
{
	static struct sample s;
	(void)state;

	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		sample_init(&s, type);
		s.options.detail = CRIER_DETAIL_LEAN;
		bool is_fast = compare(&s, 118204);

		/* the sample's exit is an OOM victim, its fork's parent another container's */
		assert_int_equal(is_fast, type == CRIER_TYPE_PROCESS_EXEC);
		sample_done(&s);
	}
}

/* What a storm is made of must not fall back in silence. */
static void test_the_ordinary_is_fast(void **state)
{
	static struct sample s;
	unsigned seen = 0;
	(void)state;

	for (uint8_t type = 0; type < 3; type++) {
		uint8_t bytes[512];
		struct any any = {bytes, bytes + sizeof(bytes)};

		memset(bytes, 1, sizeof(bytes));
		bytes[0] = type;
		any_event(&any, &s);
		assert_true(compare(&s, 1));
		seen |= 1u << s.event.type;
		s.event.cgroup.id++; /* not the container's own, and known by its id all the same */
		assert_true(compare(&s, 1));
		s.event.cgroup.id--;
		s.event.attribution.source =
			s.container.source == CRIER_SOURCE_CRI ? CRIER_SOURCE_CRI_LIST : CRIER_SOURCE_CRI;
		assert_true(compare(&s, 1));
		s.event.attribution.source = s.container.source;
		s.event.attribution.via =
			CRIER_VIA_ANCESTOR; /* a sub-cgroup of the container, as with crun */
		s.event.attribution.wait_us = 812;
		assert_true(compare(&s, 1ULL << 53));
		assert_false(compare(&s, (1ULL << 53) + 1));
		sample_done(&s);
	}
	assert_int_equal(seen, 1u << CRIER_TYPE_PROCESS_EXEC | 1u << CRIER_TYPE_PROCESS_FORK |
				       1u << CRIER_TYPE_PROCESS_EXIT);
}

/* As many and as long as they may be, and one byte more. */
static void test_arguments(void **state)
{
	static struct sample s;
	static struct crier_slice many[65];
	static char text[2048];
	struct crier_data_exec *data = (void *)s.data;
	(void)state;

	memset(text, 'a', sizeof(text));
	sample_init(&s, CRIER_TYPE_PROCESS_EXEC);
	s.options.detail = CRIER_DETAIL_LEAN;
	data->args = many;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(many); i++)
		many[i] = (struct crier_slice){text, 1 + i % 28};
	for (data->args_kept = 0; data->args_kept <= 64; data->args_kept++)
		assert_true(compare(&s, 1));
	assert_false(compare(&s, 1)); /* 65: the tables keep fewer, and say so */
	data->args_kept = 2;
	for (many[0].len = 1017; many[0].len < 1027; many[0].len++)
		assert_int_equal(compare(&s, 1), many[0].len <= 1024);
	many[0].len = 1024;
	many[1].len = 1018; /* 2048 with quotes and commas */
	assert_true(compare(&s, 1));
	many[1].len++;
	assert_false(compare(&s, 1));
	many[1] = CRIER_SLICE("");
	assert_false(compare(&s, 1));
	many[1] = CRIER_SLICE("a\"b");
	assert_false(compare(&s, 1));
	sample_done(&s);
}

/* What a line leaves in the cache is right for the next one: the number that follows, the second that is the same or not. */
static void test_line_after_line(void **state)
{
	static struct crier_emit_cache cache;
	static struct sample s;
	uint8_t bytes[512];
	struct any any = {bytes, bytes + sizeof(bytes)};
	(void)state;

	memset(bytes, 1, sizeof(bytes));
	any_event(&any, &s);
	s.options.cache = &cache;
	for (uint64_t seq = 1; seq < 2200; seq++) {
		assert_true(compare(&s, seq));
		s.event.boottime_ns += 37000000; /* 27 lines a second */
	}
	s.event.boottime_ns = 999999999; /* the first second after the boot */
	assert_true(compare(&s, 999999998));
	s.event.boottime_ns++;
	assert_true(compare(&s, 999999999));
	assert_true(compare(&s, 1000000000));
	assert_true(compare(&s, 7)); /* the lines between had no room */
	s.event.boottime_ns = UINT64_MAX - 1 - s.options.unix_offset_ns;
	assert_true(compare(&s, 8));
	sample_done(&s);
}

static void test_any_event(void **state)
{
	static struct sample s;
	uint64_t seed = 88172645463325252;
	unsigned fast_ones = 0;
	(void)state;

	for (unsigned round = 0; round < 60000; round++) {
		uint8_t bytes[768];
		struct any any = {bytes, bytes + sizeof(bytes)};

		for (size_t i = 0; i < sizeof(bytes); i += 8) {
			uint64_t random = next_random(&seed);

			memcpy(bytes + i, &random, 8);
		}
		if (round & 1) /* fewer oddities: more than a few in each event, and none would be fast */
			for (size_t i = 0; i < sizeof(bytes); i++)
				bytes[i] = bytes[i] > 250 ? bytes[i] : bytes[i] & 0x77;
		any_event(&any, &s);
		fast_ones += compare(&s, any_bytes(&any, 4));
		sample_done(&s);
	}
	assert_true(fast_ones > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),	  cmocka_unit_test(test_the_ordinary_is_fast),
		cmocka_unit_test(test_arguments), cmocka_unit_test(test_line_after_line),
		cmocka_unit_test(test_any_event),
	};

	return cmocka_run_group_tests_name("emit_lean", tests, NULL, NULL);
}
