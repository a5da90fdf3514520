/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "crier/mailbox.h"

#define PRODUCERS 4
#define BLOBS	  5000 /* of each producer */

static bool is_readable(const struct crier_mailbox *mailbox)
{
	struct pollfd fd = {.fd = crier_mailbox_fd(mailbox), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

static void keeps_order_and_bytes(void **state)
{
	struct crier_mailbox *mailbox = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(crier_mailbox_new(4096, &mailbox), 0);
	assert_int_equal(crier_mailbox_push(mailbox, "a\0b", 3), 0);
	assert_int_equal(crier_mailbox_push(mailbox, "", 0), 0);
	assert_int_equal(crier_mailbox_push(mailbox, "second", 6), 0);
	const char *first = crier_mailbox_pop(mailbox, &len);

	assert_int_equal(len, 3);
	assert_memory_equal(first, "a\0b", 3);
	const char *empty = crier_mailbox_pop(mailbox, &len);

	assert_non_null(empty);
	assert_int_equal(len, 0);
	const char *last = crier_mailbox_pop(mailbox, &len);

	assert_int_equal(len, 6);
	assert_memory_equal(last, "second", 6);
	assert_null(crier_mailbox_pop(mailbox, &len));
	crier_mailbox_free(mailbox);
}

static void is_readable_exactly_while_blobs_wait(void **state)
{
	struct crier_mailbox *mailbox = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(crier_mailbox_new(4096, &mailbox), 0);
	for (int round = 0; round < 3; round++) {
		assert_false(is_readable(mailbox));
		assert_int_equal(crier_mailbox_push(mailbox, "x", 1), 0);
		assert_true(is_readable(mailbox));
		assert_int_equal(crier_mailbox_push(mailbox, "y", 1), 0);
		assert_true(is_readable(mailbox));
		assert_non_null(crier_mailbox_pop(mailbox, &len));
		assert_true(is_readable(mailbox));
		assert_non_null(crier_mailbox_pop(mailbox, &len));
		assert_false(is_readable(mailbox));
		assert_null(crier_mailbox_pop(mailbox, &len));
	}
	crier_mailbox_free(mailbox);
}

static void is_bounded_in_bytes(void **state)
{
	char blob[600] = {0};
	struct crier_mailbox *mailbox = NULL;
	size_t len = 0;
	int pushed = 0;

	(void)state;
	assert_int_equal(crier_mailbox_new(2048, &mailbox), 0);
	while (crier_mailbox_push(mailbox, blob, sizeof(blob)) == 0)
		pushed++;
	assert_int_equal(pushed, 3); /* headers count too */
	assert_int_equal(crier_mailbox_push(mailbox, blob, sizeof(blob)), -EAGAIN);
	assert_non_null(crier_mailbox_pop(mailbox, &len));
	assert_int_equal(crier_mailbox_push(mailbox, blob, sizeof(blob)), 0);
	assert_int_equal(crier_mailbox_push(mailbox, blob, sizeof(blob)), -EAGAIN);
	crier_mailbox_free(mailbox); /* with blobs in it */
}

static void many_empty_blobs_are_bounded_too(void **state)
{
	struct crier_mailbox *mailbox = NULL;
	int pushed = 0;

	(void)state;
	assert_int_equal(crier_mailbox_new(1000, &mailbox), 0);
	while (crier_mailbox_push(mailbox, "", 0) == 0 && pushed < 1000)
		pushed++;
	assert_in_range(pushed, 1, 100);
	crier_mailbox_free(mailbox);
}

static void too_big_is_told_apart_from_full(void **state)
{
	static char blob[4096];
	struct crier_mailbox *mailbox = NULL;

	(void)state;
	assert_int_equal(crier_mailbox_new(4096, &mailbox), 0);
	assert_int_equal(crier_mailbox_push(mailbox, blob, sizeof(blob)), -E2BIG);
	assert_int_equal(crier_mailbox_push(mailbox, blob, SIZE_MAX), -E2BIG);
	assert_false(is_readable(mailbox));
	crier_mailbox_free(mailbox);
	assert_int_equal(crier_mailbox_new(1, &mailbox), 0);
	assert_int_equal(crier_mailbox_push(mailbox, "", 0), -E2BIG);
	crier_mailbox_free(mailbox);
	crier_mailbox_free(NULL);
}

/* More than a chunk holds, of all sizes, and one larger than any chunk; what was taken is whole until the next is taken. */
static void many_chunks_keep_order(void **state)
{
	static char bytes[400 * 1024];
	struct crier_mailbox *mailbox = NULL;
	const char *blob;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i % 251);
	assert_int_equal(crier_mailbox_new(4 << 20, &mailbox), 0);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < 1500; i++)
			assert_int_equal(crier_mailbox_push(mailbox, bytes + i % 251, i), 0);
		assert_int_equal(crier_mailbox_push(mailbox, bytes, sizeof(bytes)), 0);
		for (size_t i = 0; i < 1500; i++) {
			blob = crier_mailbox_pop(mailbox, &len);
			assert_non_null(blob);
			assert_int_equal((uintptr_t)blob % 16, 0);
			assert_int_equal(crier_mailbox_push(mailbox, bytes, 7), 0); /* it does not move */
			assert_int_equal(len, i);
			assert_memory_equal(blob, bytes + i % 251, i);
		}
		blob = crier_mailbox_pop(mailbox, &len);
		assert_int_equal(len, sizeof(bytes));
		assert_memory_equal(blob, bytes, len);
		for (size_t i = 0; i < 1500; i++) {
			assert_non_null(crier_mailbox_pop(mailbox, &len));
			assert_int_equal(len, 7);
		}
		assert_null(crier_mailbox_pop(mailbox, &len));
		assert_false(is_readable(mailbox));
	}
	crier_mailbox_free(mailbox);
}

struct producer {
	struct crier_mailbox *mailbox;
	uint32_t number;
};

struct blob {
	uint32_t producer, sequence;
	char padding[40];
};

static void *produce(void *arg)
{
	const struct producer *producer = arg;

	for (uint32_t i = 0; i < BLOBS; i++) {
		struct blob blob = {.producer = producer->number, .sequence = i};

		while (crier_mailbox_push(producer->mailbox, &blob, sizeof(blob)) == -EAGAIN)
			sched_yield();
	}
	return NULL;
}

static void threads_lose_nothing(void **state)
{
	struct producer producers[PRODUCERS];
	pthread_t threads[PRODUCERS];
	uint32_t next[PRODUCERS] = {0};
	struct crier_mailbox *mailbox = NULL;
	size_t len = 0;

	(void)state;
	assert_int_equal(crier_mailbox_new(2048, &mailbox), 0); /* small: full most of the time */
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		producers[i] = (struct producer){mailbox, i};
		assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
	}
	for (int got = 0; got < PRODUCERS * BLOBS;) {
		struct pollfd fd = {.fd = crier_mailbox_fd(mailbox), .events = POLLIN};

		if (poll(&fd, 1, 10000) != 1)
			fail_msg("no wake-up after %d blobs", got);
		for (;;) {
			const struct blob *blob = crier_mailbox_pop(mailbox, &len);

			if (!blob)
				break;
			assert_int_equal(len, sizeof(*blob));
			assert_in_range(blob->producer, 0, PRODUCERS - 1);
			assert_int_equal(blob->sequence, next[blob->producer]++);
			got++;
		}
	}
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(is_readable(mailbox));
	crier_mailbox_free(mailbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_and_bytes),
		cmocka_unit_test(is_readable_exactly_while_blobs_wait),
		cmocka_unit_test(is_bounded_in_bytes),
		cmocka_unit_test(many_empty_blobs_are_bounded_too),
		cmocka_unit_test(too_big_is_told_apart_from_full),
		cmocka_unit_test(many_chunks_keep_order),
		cmocka_unit_test(threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
