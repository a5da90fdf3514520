/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime that lies, whether by fault or by will: nothing is read beyond its end, nothing grows beyond its bound. */
#include "test_cri.h"

#define LIST_LABELS 5 /* field of PodSandbox.labels */

static struct crier_meta_message message;
static struct crier_cri_holder *holder;

static int setup(void **state)
{
	(void)state;
	return crier_cri_holder_new(CRIER_CRI_UNPACK_MAX, &holder);
}

static int teardown(void **state)
{
	(void)state;
	crier_cri_holder_free(holder);
	return 0;
}

static int convert(enum crier_cri_method method, const struct wire *wire)
{
	return crier_cri_convert(method, wire->data, wire->len, holder, &message);
}

/* PodSandboxStatusResponse around the labels in `labels`. */
static struct wire pod_with(const struct wire *labels)
{
	_cleanup_wire_ struct wire status = {0};
	struct wire answer = {0};

	wire_text(&status, 1, "id");
	wire_raw(&status, labels->data, labels->len);
	wire_message(&answer, 1, &status);
	return answer;
}

static void long_labels_are_passed_on_for_the_encoder_to_cut(void **state)
{
	static char text[16384];
	char storage[CRIER_META_BLOB_MAX];
	_cleanup_wire_ struct wire labels = {0};
	struct crier_buf buf;

	(void)state;
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 64; i++) {
		text[0] = (char)('A' + i);
		wire_pair(&labels, 7, (struct crier_slice){text, sizeof(text)},
			  (struct crier_slice){text, sizeof(text)});
	}
	wire_pair(&labels, 7, CRIER_SLICE("app"), CRIER_SLICE("cart"));
	_cleanup_wire_ struct wire answer = pod_with(&labels);

	assert_int_equal(convert(CRIER_CRI_POD_STATUS, &answer), 0);
	assert_int_equal(message.pod.labels.count, CRIER_META_LABELS_MAX);
	assert_int_equal(message.pod.labels.dropped, 1);
	crier_buf_init(&buf, storage, sizeof(storage));
	assert_int_equal(crier_meta_encode(&message, &buf), 0);
	assert_int_equal(crier_meta_decode(buf.data, buf.len, &message), 0);
	assert_int_equal(message.pod.labels.count + message.pod.labels.dropped, 65);
	bool found = false;

	for (size_t i = 0; i < message.pod.labels.count; i++)
		found |= crier_slice_equal(message.pod.labels.items[i].key, CRIER_SLICE("app"));
	assert_true(found); /* the large ones go first */
}

static void any_bytes_pass_through(void **state)
{
	static const char bytes[] = "a\0b\xff\xc3\x28\xed\xa0\x80";
	_cleanup_wire_ struct wire status = {0}, answer = {0}, metadata = {0};

	(void)state;
	wire_bytes(&metadata, 1, bytes, sizeof(bytes) - 1);
	wire_bytes(&status, 1, bytes, sizeof(bytes) - 1);
	wire_message(&status, 2, &metadata);
	wire_bytes(&status, 10, bytes, sizeof(bytes) - 1);
	wire_pair(&status, 12, CRIER_SLICE(bytes), CRIER_SLICE(bytes));
	wire_message(&answer, 1, &status);
	assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &answer), 0);
	assert_true(crier_slice_equal(message.container.id, CRIER_SLICE(bytes)));
	assert_true(crier_slice_equal(message.container.name, CRIER_SLICE(bytes)));
	assert_true(crier_slice_equal(message.container.reason, CRIER_SLICE(bytes)));
	assert_true(crier_slice_equal(message.container.labels.items[0].value, CRIER_SLICE(bytes)));
}

static void labels_are_bounded_sorted_and_the_last_wins(void **state)
{
	_cleanup_wire_ struct wire labels = {0};
	char key[16];

	(void)state;
	for (int i = 9999; i >= 0; i--) {
		snprintf(key, sizeof(key), "k%05d", i);
		wire_pair(&labels, 7, crier_slice_of(key), CRIER_SLICE("first"));
	}
	wire_pair(&labels, 7, CRIER_SLICE("k00003"), CRIER_SLICE("last"));
	wire_pair(&labels, 7, CRIER_SLICE(""), CRIER_SLICE("no key"));
	wire_pair(&labels, 7, CRIER_SLICE("io.kubernetes.x"), CRIER_SLICE("hidden"));
	_cleanup_wire_ struct wire answer = pod_with(&labels);

	assert_int_equal(convert(CRIER_CRI_POD_STATUS, &answer), 0);
	assert_int_equal(message.pod.labels.count, CRIER_META_LABELS_MAX);
	assert_int_equal(message.pod.labels.dropped, 10000 - CRIER_META_LABELS_MAX);
	assert_text(message.pod.labels.items[0].key, "k00000");
	assert_text(message.pod.labels.items[3].value, "last");
	assert_text(message.pod.labels.items[63].key, "k00063");
}

static void empty_submessages_hit_the_ceiling(void **state)
{
	_cleanup_wire_ struct wire labels = {0};

	(void)state;
	for (int i = 0; i < 2 << 20; i++) /* 4 MiB on the wire, 144 MiB unpacked */
		wire_raw(&labels, "\72\0", 2);
	_cleanup_wire_ struct wire answer = pod_with(&labels);

	assert_int_equal(convert(CRIER_CRI_POD_STATUS, &answer), -E2BIG);
	assert_null(message.pod.sandbox_id.ptr);
	_cleanup_wire_ struct wire good = captured("pod_status");

	assert_int_equal(convert(CRIER_CRI_POD_STATUS, &good), 0); /* the ceiling is for each message anew */
}

static void an_event_of_empty_containers_hits_the_ceiling(void **state)
{
	_cleanup_wire_ struct wire event = {0};

	(void)state;
	wire_text(&event, 1, "c1");
	for (int i = 0; i < 2 << 20; i++)
		wire_raw(&event, "\52\0", 2);
	assert_int_equal(convert(CRIER_CRI_EVENTS, &event), -E2BIG);
}

static void one_large_string_hits_the_ceiling(void **state)
{
	_cleanup_free_ char *text = calloc(1, CRIER_CRI_UNPACK_MAX);
	_cleanup_wire_ struct wire status = {0}, answer = {0};

	(void)state;
	wire_bytes(&status, 1, text, CRIER_CRI_UNPACK_MAX);
	wire_message(&answer, 1, &status);
	assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &answer), -E2BIG);
}

/* Each allocation of a conversion refused in turn: no leak, no crash, whatever protobuf-c had done by then. */
static void every_ceiling_is_survived(void **state)
{
	static const struct {
		enum crier_cri_method method;
		const char *name;
	} rows[] = {{CRIER_CRI_CONTAINER_STATUS, "container_status"},
		    {CRIER_CRI_POD_STATUS, "pod_status"},
		    {CRIER_CRI_EVENTS, "event_stopped"},
		    {CRIER_CRI_STATUS, "status"}};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_cleanup_wire_ struct wire wire = captured(rows[i].name);
		int last = -1;

		for (size_t max = 0; max < 16384; max += max < 2048 ? 8 : 64) {
			struct crier_cri_holder *small = NULL;

			assert_int_equal(crier_cri_holder_new(max, &small), 0);
			last = crier_cri_convert(rows[i].method, wire.data, wire.len, small, &message);
			assert_true(last == 0 || last == -E2BIG);
			crier_cri_holder_free(small);
		}
		assert_int_equal(last, 0);
	}
}

static void answers_without_an_object_are_refused(void **state)
{
	_cleanup_wire_ struct wire empty = {0}, no_id = {0}, status = {0};

	(void)state;
	wire_text(&status, 10, "reason");
	wire_message(&no_id, 1, &status);
	assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &empty), -EINVAL);
	assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &no_id), -EINVAL);
	assert_int_equal(convert(CRIER_CRI_POD_STATUS, &empty), -EINVAL);
	assert_int_equal(convert(CRIER_CRI_VERSION, &empty), -EINVAL);
	assert_int_equal(convert(CRIER_CRI_STATUS, &empty), 0); /* readiness is simply not known */
	assert_true(message.runtime.ready == CRIER_UNKNOWN_U64);
	assert_int_equal(convert(CRIER_CRI_EVENTS, &empty), -EINVAL);
}

/* An info that is wrong costs what it would have told, not the answer. */
static void info_table(void **state)
{
	static const struct {
		const char *name, *info;
		uint64_t pid;
	} rows[] = {
		{"good", "{\"pid\":7}", 7},
		{"not JSON", "pid=7", CRIER_UNKNOWN_U64},
		{"empty", "", CRIER_UNKNOWN_U64},
		{"cut", "{\"pid\":7", CRIER_UNKNOWN_U64},
		{"an array", "[7]", CRIER_UNKNOWN_U64},
		{"a string", "\"pid\"", CRIER_UNKNOWN_U64},
		{"pid zero", "{\"pid\":0}", CRIER_UNKNOWN_U64},
		{"pid negative", "{\"pid\":-7}", CRIER_UNKNOWN_U64},
		{"pid a string", "{\"pid\":\"7\"}", CRIER_UNKNOWN_U64},
		{"pid a fraction", "{\"pid\":7.5}", CRIER_UNKNOWN_U64},
		{"pid beyond 64 bits", "{\"pid\":99999999999999999999}", CRIER_UNKNOWN_U64},
		{"pid twice", "{\"pid\":7,\"pid\":8}", 8},
		{"spec of another type", "{\"pid\":7,\"runtimeSpec\":[{\"linux\":1}]}", 7},
		{"NUL in a string", "{\"pid\":7,\"sandboxID\":\"a\\u0000b\"}", 7},
		{"bad UTF-8", "{\"pid\":7,\"x\":\"\xff\"}", CRIER_UNKNOWN_U64},
		{"lone surrogate", "{\"pid\":7,\"x\":\"\\ud800\"}", CRIER_UNKNOWN_U64},
		{"brackets in a string", "{\"x\":\"[[[[{{{{\\\"[[[[\",\"pid\":7}", 7},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_cleanup_wire_ struct wire status = {0}, answer = {0};

		wire_text(&status, 1, "id");
		wire_message(&answer, 1, &status);
		wire_pair(&answer, 2, CRIER_SLICE("info"), crier_slice_of(rows[i].info));
		if (convert(CRIER_CRI_CONTAINER_STATUS, &answer) != 0 || message.container.pid != rows[i].pid)
			fail_msg("%s: pid %lld", rows[i].name, (long long)message.container.pid);
	}
}

/* `count` times `piece` in an info, between `head` and `tail`. @return the pid that was found in it */
static uint64_t pid_of(const char *head, const char *piece, size_t count, const char *tail)
{
	_cleanup_wire_ struct wire status = {0}, answer = {0}, info = {0};

	wire_raw(&info, head, strlen(head));
	for (size_t i = 0; i < count; i++)
		wire_raw(&info, piece, strlen(piece));
	wire_raw(&info, tail, strlen(tail));
	wire_text(&status, 1, "id");
	wire_message(&answer, 1, &status);
	wire_pair(&answer, 2, CRIER_SLICE("info"), (struct crier_slice){(const char *)info.data, info.len});
	assert_int_equal(convert(CRIER_CRI_CONTAINER_STATUS, &answer), 0);
	return message.container.pid;
}

static void info_is_bounded(void **state)
{
	char closing[CRIER_CRI_INFO_DEPTH + 2] = "";

	(void)state;
	assert_int_equal(pid_of("{\"pid\":7,\"x\":[0", ",0", CRIER_CRI_INFO_VALUES - 4, "]}"), 7);
	assert_true(pid_of("{\"pid\":7,\"x\":[0", ",0", CRIER_CRI_INFO_VALUES, "]}") == CRIER_UNKNOWN_U64);
	assert_true(pid_of("{\"pid\":7,\"x\":[{}", ",{}", CRIER_CRI_INFO_VALUES, "]}") == CRIER_UNKNOWN_U64);
	assert_true(pid_of("{\"pid\":7,\"x\":", "[", 100000, "") == CRIER_UNKNOWN_U64);
	memset(closing, ']', CRIER_CRI_INFO_DEPTH);
	closing[CRIER_CRI_INFO_DEPTH] = '}'; /* with the outer object one level too deep */
	assert_true(pid_of("{\"pid\":7,\"x\":", "[", CRIER_CRI_INFO_DEPTH, closing) == CRIER_UNKNOWN_U64);
	assert_int_equal(pid_of("{\"pid\":7,\"x\":", "[", CRIER_CRI_INFO_DEPTH - 1, closing + 1), 7);
	assert_int_equal(pid_of("{\"pid\":7,\"x\":\"", "x", CRIER_CRI_INFO_MAX - 64, "\"}"), 7);
	assert_true(pid_of("{\"pid\":7,\"x\":\"", "x", CRIER_CRI_INFO_MAX, "\"}") == CRIER_UNKNOWN_U64);
}

static void list_table(void **state)
{
	static const struct {
		const char *name, *bytes;
		size_t len;
		int items, end; /* items before the end, and what the end is */
	} rows[] = {
		{"nothing", "", 0, 0, 0},
		{"one", "\12\3\12\1a", 5, 1, 0},
		{"two", "\12\3\12\1a\12\3\12\1b", 10, 2, 0},
		{"unknown number between", "\12\3\12\1a\20\5\12\3\12\1b", 12, 2, 0},
		{"unknown bytes between", "\12\3\12\1a\22\2xy\12\3\12\1b", 14, 2, 0},
		{"unknown fixed64 and fixed32", "\12\3\12\1a\21xxxxxxxx\25yyyy", 19, 1, 0},
		{"tag alone", "\12", 1, 0, -EINVAL},
		{"length alone", "\12\3\12\1a\12\5", 7, 1, -EINVAL},
		{"item cut", "\12\3\12\1", 4, 0, -EINVAL},
		{"item without an id", "\12\0", 2, 0, -EINVAL},
		{"item that is no message", "\12\1\12", 3, 0, -EINVAL},
		{"huge length", "\12\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 11, 0, -EINVAL},
		{"endless varint", "\12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, 0, -EINVAL},
		{"items as number", "\10\5", 2, 0, -EINVAL},
		{"field zero", "\2\0", 2, 0, -EINVAL},
		{"group", "\23\24", 2, 0, -EINVAL},
		{"fixed64 cut", "\21xxx", 4, 0, -EINVAL},
	};

	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(rows); i++) {
		_cleanup_free_ unsigned char *exact = malloc(rows[i].len + !rows[i].len);
		int items = 0, r;

		memcpy(exact, rows[i].bytes, rows[i].len);
		struct crier_cri_list list = {CRIER_CRI_LIST_PODS, exact, exact + rows[i].len};

		while ((r = crier_cri_list_next(&list, holder, &message)) > 0)
			items++;
		if (items != rows[i].items || r != rows[i].end)
			fail_msg("%s: %d items, then %d", rows[i].name, items, r);
	}
}

static void a_long_list_takes_no_more_than_its_largest_item(void **state)
{
	_cleanup_wire_ struct wire item = {0}, wire = {0};
	struct crier_cri_holder *small = NULL;
	int items = 0, r;

	(void)state;
	wire_text(&item, 1, "0123456789abcdef");
	for (int i = 0; i < 20; i++)
		wire_pair(&item, LIST_LABELS, CRIER_SLICE("key"), CRIER_SLICE("value"));
	for (int i = 0; i < 20000; i++)
		wire_message(&wire, 1, &item);
	struct crier_cri_list list = {CRIER_CRI_LIST_PODS, wire.data, wire.data + wire.len};

	assert_int_equal(crier_cri_holder_new(8192, &small), 0);
	while ((r = crier_cri_list_next(&list, small, &message)) > 0)
		items++;
	assert_int_equal(r, 0);
	assert_int_equal(items, 20000);
	crier_cri_holder_free(small);
}

static const struct {
	enum crier_cri_method method;
	const char *name;
} captures[] = {
	{CRIER_CRI_CONTAINER_STATUS, "container_status"},
	{CRIER_CRI_CONTAINER_STATUS, "container_status_oom"},
	{CRIER_CRI_POD_STATUS, "pod_status"},
	{CRIER_CRI_VERSION, "version"},
	{CRIER_CRI_STATUS, "status"},
	{CRIER_CRI_LIST_PODS, "list_pods"},
	{CRIER_CRI_LIST_CONTAINERS, "list_containers"},
	{CRIER_CRI_EVENTS, "event_stopped"},
	{CRIER_CRI_EVENTS, "event_sandbox"},
};

/* Any outcome but a fault; what converts must encode too. */
static void take(enum crier_cri_method method, const unsigned char *bytes, size_t len)
{
	static char storage[CRIER_META_BLOB_MAX];
	struct crier_cri_list list = {method, bytes, bytes + len};
	struct crier_buf buf;
	int r = 0;

	crier_buf_init(&buf, storage, sizeof(storage));
	if (method != CRIER_CRI_LIST_PODS && method != CRIER_CRI_LIST_CONTAINERS) {
		r = crier_cri_convert(method, bytes, len, holder, &message);
		assert_true(r == 0 || r == -EINVAL || r == -E2BIG);
		if (r == 0)
			assert_int_equal(crier_meta_encode(&message, &buf), 0);
		return;
	}
	while ((r = crier_cri_list_next(&list, holder, &message)) > 0)
		assert_int_equal(crier_meta_encode(&message, &buf), 0);
	assert_true(r == 0 || r == -EINVAL || r == -E2BIG);
}

static void every_prefix_is_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(captures); i++) {
		_cleanup_wire_ struct wire wire = captured(captures[i].name);

		for (size_t len = 0; len <= wire.len; len++) {
			_cleanup_free_ unsigned char *exact = malloc(len + !len);

			memcpy(exact, wire.data, len);
			take(captures[i].method, exact, len);
		}
	}
}

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void random_bytes_are_survived(void **state)
{
	(void)state;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(captures); i++) {
		_cleanup_wire_ struct wire wire = captured(captures[i].name);

		for (int round = 0; round < 2000; round++) {
			_cleanup_free_ unsigned char *bad = malloc(wire.len);

			memcpy(bad, wire.data, wire.len);
			for (uint64_t flips = 1 + random_next() % 6; flips; flips--)
				bad[random_next() % wire.len] = (unsigned char)random_next();
			take(captures[i].method, bad, wire.len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_labels_are_passed_on_for_the_encoder_to_cut),
		cmocka_unit_test(any_bytes_pass_through),
		cmocka_unit_test(labels_are_bounded_sorted_and_the_last_wins),
		cmocka_unit_test(empty_submessages_hit_the_ceiling),
		cmocka_unit_test(an_event_of_empty_containers_hits_the_ceiling),
		cmocka_unit_test(one_large_string_hits_the_ceiling),
		cmocka_unit_test(every_ceiling_is_survived),
		cmocka_unit_test(answers_without_an_object_are_refused),
		cmocka_unit_test(info_table),
		cmocka_unit_test(info_is_bounded),
		cmocka_unit_test(list_table),
		cmocka_unit_test(a_long_list_takes_no_more_than_its_largest_item),
		cmocka_unit_test(every_prefix_is_survived),
		cmocka_unit_test(random_bytes_are_survived),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
