/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime's answers, byte by byte: the first byte is the method. What converts must fit into a blob. */
#include "fuzz.h"

#include "crier/cri_convert.h"

#define ONE_MESSAGE_MAX (1 << 20) /* of memory: small, so that its bound is met */

static struct crier_meta_message message, decoded;
static char blob[CRIER_META_BLOB_MAX];

static void carry(void)
{
	struct crier_buf buf;
	int r;

	crier_buf_init(&buf, blob, sizeof(blob));
	r = crier_meta_encode(&message, &buf);
	FUZZ_CLAIM(r == 0, "an answer of the runtime does not fit into a blob: %d", r);
	FUZZ_CLAIM(crier_meta_decode(blob, buf.len, &decoded) == 0, "the blob of an answer does not decode");
	FUZZ_CLAIM(decoded.type == message.type, "another type");
}

static void walk(struct crier_cri_list *list, struct crier_cri_holder *holder)
{
	uint32_t count = 0, seen = 0;
	int counted = crier_cri_list_count(list, &count), r;

	while ((r = crier_cri_list_next(list, holder, &message)) == 1) {
		carry();
		seen++;
	}
	FUZZ_CLAIM(r != 0 || (counted == 0 && seen == count), "%u items were counted (%d), %u are there",
		   count, counted, seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	enum crier_cri_method method = fuzz_u8(&input) % CRIER_CRI_METHOD_COUNT;
	struct crier_slice answer = fuzz_take(&input, size);
	struct crier_cri_holder *holder;
	char *copy = fuzz_copy(answer);

	FUZZ_CLAIM(crier_cri_holder_new(ONE_MESSAGE_MAX, &holder) == 0, "no holder");
	if (method == CRIER_CRI_LIST_PODS || method == CRIER_CRI_LIST_CONTAINERS) {
		struct crier_cri_list list = {method, (unsigned char *)copy,
					      (unsigned char *)copy + answer.len};

		walk(&list, holder);
	} else if (crier_cri_convert(method, copy, answer.len, holder, &message) == 0) {
		carry();
	}
	crier_cri_holder_free(holder);
	free(copy);
	return 0;
}
