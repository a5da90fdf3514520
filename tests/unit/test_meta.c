/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "crier/meta.h"

static char storage[CRIER_META_BLOB_MAX], again[CRIER_META_BLOB_MAX];
static struct crier_meta_message message, decoded;

/* Every member of the three structs, so that one forgotten in the layout fails here. */
#define AT(member) offsetof(struct crier_meta_message, member)
static const size_t texts[] = {AT(id),
			       AT(error),
			       AT(runtime.name),
			       AT(runtime.version),
			       AT(runtime.api_version),
			       AT(pod.sandbox_id),
			       AT(pod.name),
			       AT(pod.namespace_),
			       AT(pod.uid),
			       AT(pod.ip),
			       AT(pod.cgroup_parent),
			       AT(pod.runtime_handler),
			       AT(container.id),
			       AT(container.sandbox_id),
			       AT(container.name),
			       AT(container.pod_name),
			       AT(container.pod_namespace),
			       AT(container.pod_uid),
			       AT(container.image),
			       AT(container.image_id),
			       AT(container.reason),
			       AT(container.message),
			       AT(container.cgroups_path),
			       AT(container.type)};
static const size_t numbers[] = {AT(runtime.ready),
				 AT(pod.attempt),
				 AT(pod.created_at_ns),
				 AT(pod.pid),
				 AT(pod.ready),
				 AT(container.restart_count),
				 AT(container.created_at_ns),
				 AT(container.started_at_ns),
				 AT(container.finished_at_ns),
				 AT(container.pid),
				 AT(container.memory_limit_bytes),
				 AT(container.cpu_quota_us),
				 AT(container.cpu_period_us),
				 AT(container.grace_period_s),
				 AT(event_at_ns)};

static struct crier_slice *text_of(struct crier_meta_message *m, size_t i)
{
	return (struct crier_slice *)((char *)m + texts[i]);
}

static uint64_t *number_of(struct crier_meta_message *m, size_t i)
{
	return (uint64_t *)((char *)m + numbers[i]);
}

static void encode(const struct crier_meta_message *from, struct crier_buf *ret_buf)
{
	crier_buf_init(ret_buf, storage, sizeof(storage));
	assert_int_equal(crier_meta_encode(from, ret_buf), 0);
}

static void round_trip(void)
{
	struct crier_buf buf;

	encode(&message, &buf);
	assert_int_equal(crier_meta_decode(buf.data, buf.len, &decoded), 0);
}

static void fill(struct crier_meta_message *m)
{
	uint64_t n = 1000;

	crier_meta_clear(m);
	m->type = CRIER_META_CONTAINER;
	m->status = CRIER_META_TIMEOUT;
	m->generation = 7;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(texts); i++)
		*text_of(m, i) = (struct crier_slice){"abcdefghijklmnopqrstuvwxyz", i + 1};
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(numbers); i++)
		*number_of(m, i) = n *= 3;
	m->container.state = CRIER_STATE_EXITED;
	m->container.exit_code = -9;
	m->runtime.stream = CRIER_STREAM_SHARED;
	m->event = CRIER_META_EVENT_DELETED;
	m->skipped = 12;
	for (size_t i = 0; i < 3; i++) {
		m->pod.labels.items[m->pod.labels.count++] =
			(struct crier_meta_label){CRIER_SLICE("key"), CRIER_SLICE("a value")};
		m->container.labels.items[m->container.labels.count++] =
			(struct crier_meta_label){CRIER_SLICE("other"), CRIER_SLICE("")};
	}
	m->container.labels.dropped = 5;
}

static void clear_leaves_all_unknown(void **state)
{
	(void)state;
	memset(&message, 0xa5, sizeof(message));
	crier_meta_clear(&message);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(texts); i++)
		assert_null(text_of(&message, i)->ptr);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(numbers); i++)
		assert_true(*number_of(&message, i) == CRIER_UNKNOWN_U64);
	assert_true(message.container.exit_code == CRIER_UNKNOWN_I64);
	assert_int_equal(message.container.state, CRIER_STATE_UNKNOWN);
	assert_int_equal(message.generation, 0);
	assert_int_equal(message.pod.labels.count, 0);
	assert_int_equal(message.container.labels.dropped, 0);
}

static void every_member_survives(void **state)
{
	(void)state;
	fill(&message);
	round_trip();
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(texts); i++)
		assert_true(text_of(&decoded, i)->ptr &&
			    crier_slice_equal(*text_of(&message, i), *text_of(&decoded, i)));
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(numbers); i++)
		assert_true(*number_of(&message, i) == *number_of(&decoded, i));
	assert_int_equal(decoded.type, CRIER_META_CONTAINER);
	assert_int_equal(decoded.status, CRIER_META_TIMEOUT);
	assert_int_equal(decoded.generation, 7);
	assert_int_equal(decoded.container.state, CRIER_STATE_EXITED);
	assert_true(decoded.container.exit_code == -9);
	assert_int_equal(decoded.runtime.stream, CRIER_STREAM_SHARED);
	assert_int_equal(decoded.event, CRIER_META_EVENT_DELETED);
	assert_int_equal(decoded.skipped, 12);
	assert_int_equal(decoded.pod.labels.count, 3);
	assert_int_equal(decoded.container.labels.count, 3);
	assert_int_equal(decoded.container.labels.dropped, 5);
	assert_memory_equal(decoded.pod.labels.items[2].value.ptr, "a value", 7);
	assert_int_equal(decoded.container.labels.items[0].value.len, 0);
	assert_non_null(decoded.container.labels.items[0].value.ptr);
}

static void numbers_survive_at_their_limits(void **state)
{
	static const uint64_t values[] = {0, 1, 127, 128, UINT32_MAX, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
	static const int64_t codes[] = {0, 1, -1, 255, INT64_MAX, INT64_MIN + 1, INT64_MIN};

	(void)state;
	crier_meta_clear(&message);
	message.type = CRIER_META_CONTAINER;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(values); i++) {
		message.container.pid = values[i];
		round_trip();
		assert_true(decoded.container.pid == values[i]);
	}
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(codes); i++) {
		message.container.exit_code = codes[i];
		round_trip();
		assert_true(decoded.container.exit_code == codes[i]);
	}
}

static void absent_and_empty_stay_apart(void **state)
{
	(void)state;
	crier_meta_clear(&message);
	message.type = CRIER_META_POD;
	message.pod.sandbox_id = CRIER_SLICE("x");
	message.pod.name = CRIER_SLICE("");
	round_trip();
	assert_non_null(decoded.pod.name.ptr);
	assert_int_equal(decoded.pod.name.len, 0);
	assert_null(decoded.pod.uid.ptr);
}

static void equal_messages_give_equal_bytes(void **state)
{
	struct crier_buf buf, second;

	(void)state;
	fill(&message);
	encode(&message, &buf);
	crier_buf_init(&second, again, sizeof(again));
	assert_int_equal(crier_meta_decode(buf.data, buf.len, &decoded), 0);
	assert_int_equal(crier_meta_encode(&decoded, &second), 0);
	assert_int_equal(buf.len, second.len);
	assert_memory_equal(buf.data, second.data, buf.len);
}

static void any_byte_survives(void **state)
{
	static const char bytes[] = "\0\xff\xc3\x28\n\"\\\0tail";

	(void)state;
	crier_meta_clear(&message);
	message.type = CRIER_META_CONTAINER;
	message.container.message = CRIER_SLICE(bytes);
	message.container.labels.count = 1;
	message.container.labels.items[0] = (struct crier_meta_label){CRIER_SLICE(bytes), CRIER_SLICE(bytes)};
	round_trip();
	assert_true(crier_slice_equal(decoded.container.message, CRIER_SLICE(bytes)));
	assert_true(crier_slice_equal(decoded.container.labels.items[0].key, CRIER_SLICE(bytes)));
	assert_true(crier_slice_equal(decoded.container.labels.items[0].value, CRIER_SLICE(bytes)));
}

static void long_strings_are_cut_and_counted(void **state)
{
	static char text[3 * CRIER_META_STRING_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	crier_meta_clear(&message);
	message.type = CRIER_META_CONTAINER;
	message.container.message = (struct crier_slice){text, sizeof(text)};
	message.container.reason = (struct crier_slice){text, CRIER_META_STRING_MAX};
	message.container.labels.count = 1;
	message.container.labels.items[0] =
		(struct crier_meta_label){CRIER_SLICE("k"), {text, CRIER_META_STRING_MAX + 1}};
	round_trip();
	assert_int_equal(decoded.container.message.len, CRIER_META_STRING_MAX);
	assert_int_equal(decoded.container.reason.len, CRIER_META_STRING_MAX);
	assert_int_equal(decoded.container.labels.items[0].value.len, CRIER_META_STRING_MAX);
	assert_int_equal(decoded.strings_cut, 2);
}

static void largest_labels_make_room(void **state)
{
	static char text[CRIER_META_STRING_MAX];

	(void)state;
	memset(text, 'x', sizeof(text));
	crier_meta_clear(&message);
	message.type = CRIER_META_CONTAINER;
	message.container.id = CRIER_SLICE("id");
	message.container.labels.count = message.pod.labels.count = CRIER_META_LABELS_MAX;
	for (size_t i = 0; i < CRIER_META_LABELS_MAX; i++) {
		size_t len = i % 2 ? 10 : 4000 - i;

		message.container.labels.items[i] = (struct crier_meta_label){CRIER_SLICE("c"), {text, len}};
		message.pod.labels.items[i] = (struct crier_meta_label){CRIER_SLICE("p"), {text, len}};
	}
	round_trip();
	assert_true(decoded.container.labels.dropped > 0);
	assert_int_equal(decoded.container.labels.count + decoded.container.labels.dropped,
			 CRIER_META_LABELS_MAX);
	assert_int_equal(decoded.pod.labels.count + decoded.pod.labels.dropped, CRIER_META_LABELS_MAX);
	size_t small = 0;

	for (size_t i = 0; i < decoded.container.labels.count; i++)
		small += decoded.container.labels.items[i].value.len == 10;
	assert_int_equal(small, CRIER_META_LABELS_MAX / 2);
}

static void too_much_text_is_refused(void **state)
{
	static char text[CRIER_META_STRING_MAX];
	struct crier_buf buf;

	(void)state;
	crier_meta_clear(&message);
	message.type = CRIER_META_CONTAINER;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(texts); i++)
		*text_of(&message, i) = (struct crier_slice){text, sizeof(text)};
	crier_buf_init(&buf, storage, sizeof(storage));
	assert_int_equal(crier_meta_encode(&message, &buf), -E2BIG);
	crier_buf_init(&buf, storage, 3);
	crier_meta_clear(&message);
	assert_int_equal(crier_meta_encode(&message, &buf), -E2BIG);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static void decode_table(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		int result;
	} rows[] = {
		{"nothing", BYTES(""), -EINVAL},
		{"half a head", BYTES("cm\1"), -EINVAL},
		{"head alone", BYTES("cm\1\6"), 0},
		{"other magic", BYTES("cn\1\6"), -EINVAL},
		{"newer version", BYTES("cm\2\6"), -EINVAL},
		{"type none", BYTES("cm\1\0"), -EINVAL},
		{"type unknown", BYTES("cm\1\11"), -EINVAL},
		{"status", BYTES("cm\1\5\2\1"), 0},
		{"status unknown", BYTES("cm\1\5\2\6"), -EINVAL},
		{"status as bytes", BYTES("cm\1\5\3\0"), -EINVAL},
		{"status twice", BYTES("cm\1\5\2\1\2\1"), -EINVAL},
		{"id", BYTES("cm\1\5\7\2ab"), 0},
		{"id cut", BYTES("cm\1\5\7\3ab"), -EINVAL},
		{"id as number", BYTES("cm\1\5\6\2"), -EINVAL},
		{"id with a huge length", BYTES("cm\1\5\7\xff\xff\xff\xff\xff\xff\xff\xff\xff\1ab"), -EINVAL},
		{"generation", BYTES("cm\1\6\4\x7f"), 0},
		{"generation as bytes", BYTES("cm\1\6\5\1x"), -EINVAL},
		{"number cut", BYTES("cm\1\6\4\x80"), -EINVAL},
		{"number of 65 bits", BYTES("cm\1\6\4\xff\xff\xff\xff\xff\xff\xff\xff\xff\2"), -EINVAL},
		{"number of 11 bytes", BYTES("cm\1\6\4\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"), -EINVAL},
		{"tag alone", BYTES("cm\1\6\4"), -EINVAL},
		{"field twice", BYTES("cm\1\6\4\1\4\1"), -EINVAL},
		{"fields descending", BYTES("cm\1\5\7\1a\4\1"), -EINVAL},
		{"number zero", BYTES("cm\1\6\0\1"), -EINVAL},
		{"unknown number", BYTES("cm\1\6\4\1\xc8\1\5"), 0},
		{"unknown bytes", BYTES("cm\1\6\4\1\xc9\1\2xy"), 0},
		{"unknown bytes cut", BYTES("cm\1\6\4\1\xc9\1\3xy"), -EINVAL},
		{"pod", BYTES("cm\1\3\x0d\3\3\1p"), 0},
		{"pod cut", BYTES("cm\1\3\x0d\3\3\2p"), -EINVAL},
		{"label", BYTES("cm\1\3\x0d\7\x19\5\3\3\1kv"), 0},
		{"label key beyond its pair", BYTES("cm\1\3\x0d\7\x19\5\3\3\3kv"), -EINVAL},
		{"label without key length", BYTES("cm\1\3\x0d\4\x19\2\3\0"), -EINVAL},
		{"label as number", BYTES("cm\1\3\x0d\4\x19\2\2\0"), -EINVAL},
		{"event", BYTES("cm\1\x08\7\1a\x12\4"), 0},
		{"event of a newer writer", BYTES("cm\1\x08\7\1a\x12\x63"), 0},
		{"stream of a newer writer", BYTES("cm\1\1\x0b\2\x0a\x63"), 0},
		{"state of a newer writer", BYTES("cm\1\4\x0f\2\x1c\x63"), 0},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *exact = malloc(rows[i].len + !rows[i].len);

		memcpy(exact, rows[i].bytes, rows[i].len);
		int r = crier_meta_decode(exact, rows[i].len, &decoded);

		if (r != rows[i].result)
			fail_msg("%s: %d, not %d", rows[i].name, r, rows[i].result);
		assert_in_range(decoded.event, 0, CRIER_META_EVENT_COUNT - 1);
		assert_in_range(decoded.runtime.stream, 0, CRIER_STREAM_COUNT - 1);
	}
	assert_int_equal(decoded.container.state, CRIER_STATE_UNKNOWN);
}

static void too_many_labels_are_refused(void **state)
{
	char blob[1024];
	struct crier_buf buf;

	(void)state;
	for (size_t count = CRIER_META_LABELS_MAX; count <= CRIER_META_LABELS_MAX + 1; count++) {
		crier_buf_init(&buf, blob, sizeof(blob));
		crier_buf_put(&buf, "cm\1\3\x0d", 5);
		size_t inner = 3 * count; /* each label: 3 1 0, an empty key and value */

		crier_buf_put_char(&buf, (char)((inner + 3) | 0x80));
		crier_buf_put_char(&buf, (char)((inner + 3) >> 7));
		crier_buf_put_char(&buf, 0x19);
		crier_buf_put_char(&buf, (char)(inner | 0x80));
		crier_buf_put_char(&buf, (char)(inner >> 7));
		for (size_t i = 0; i < count; i++)
			crier_buf_put(&buf, "\3\1\0", 3);
		assert_int_equal(crier_meta_decode(buf.data, buf.len, &decoded),
				 count > CRIER_META_LABELS_MAX ? -EINVAL : 0);
	}
}

static void a_failed_decode_leaves_nothing(void **state)
{
	struct crier_buf buf;

	(void)state;
	fill(&message);
	encode(&message, &buf);
	assert_int_equal(crier_meta_decode(buf.data, buf.len - 1, &decoded), -EINVAL);
	assert_int_equal(decoded.type, CRIER_META_NONE);
	assert_null(decoded.container.id.ptr);
	assert_null(decoded.pod.sandbox_id.ptr);
}

static void decode_survives_every_prefix(void **state)
{
	struct crier_buf buf;

	(void)state;
	fill(&message);
	encode(&message, &buf);
	for (size_t len = 0; len <= buf.len; len++) {
		_cleanup_free_ char *exact =
			malloc(len + !len); /* so that a sanitizer sees one byte too far */

		memcpy(exact, buf.data, len);
		int r = crier_meta_decode(exact, len, &decoded);

		assert_true(r == 0 || r == -EINVAL);
		assert_true(r == 0 || len < buf.len);
	}
}

static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void decode_survives_random_bytes(void **state)
{
	struct crier_buf buf, out;
	char good[CRIER_META_BLOB_MAX];
	size_t accepted = 0;

	(void)state;
	random_state = 0x9e3779b97f4a7c15;
	fill(&message);
	encode(&message, &buf);
	memcpy(good, buf.data, buf.len);
	for (int round = 0; round < 20000; round++) {
		size_t len = random_next() % 4 ? buf.len : random_next() % buf.len;
		_cleanup_free_ char *bad = malloc(len + !len);

		memcpy(bad, good, len);
		for (uint64_t flips = 1 + random_next() % 8; flips && len; flips--)
			bad[random_next() % len] ^= (char)(1 << random_next() % 8);
		if (crier_meta_decode(bad, len, &decoded) < 0)
			continue;
		accepted++;
		crier_buf_init(&out, again, sizeof(again));
		assert_int_equal(crier_meta_encode(&decoded, &out), 0);
		assert_int_equal(crier_meta_decode(out.data, out.len, &message), 0);
	}
	assert_true(accepted > 100); /* else the test only ever saw refusals */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clear_leaves_all_unknown),
		cmocka_unit_test(every_member_survives),
		cmocka_unit_test(numbers_survive_at_their_limits),
		cmocka_unit_test(absent_and_empty_stay_apart),
		cmocka_unit_test(equal_messages_give_equal_bytes),
		cmocka_unit_test(any_byte_survives),
		cmocka_unit_test(long_strings_are_cut_and_counted),
		cmocka_unit_test(largest_labels_make_room),
		cmocka_unit_test(too_much_text_is_refused),
		cmocka_unit_test(decode_table),
		cmocka_unit_test(too_many_labels_are_refused),
		cmocka_unit_test(a_failed_decode_leaves_nothing),
		cmocka_unit_test(decode_survives_every_prefix),
		cmocka_unit_test(decode_survives_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
