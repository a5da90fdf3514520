/* SPDX-License-Identifier: Apache-2.0 */
/* For the CRI tests: a protobuf writer (so that messages can be wrong in any way), and the captured answers. */
#ifndef CRIER_TEST_CRI_H
#define CRIER_TEST_CRI_H

#include "test.h"

#include <stdio.h>

#include "crier/cri_convert.h"

struct wire {
	unsigned char *data;
	size_t len, cap;
};

static inline void wire_free(struct wire *wire)
{
	free(wire->data);
}

#define _cleanup_wire_ __attribute__((cleanup(wire_free)))

static inline void wire_raw(struct wire *wire, const void *bytes, size_t len)
{
	if (wire->len + len > wire->cap) {
		wire->cap = 2 * (wire->len + len) + 64;
		wire->data = realloc(wire->data, wire->cap);
		assert_non_null(wire->data);
	}
	if (len)
		memcpy(wire->data + wire->len, bytes, len);
	wire->len += len;
}

static inline void wire_varint(struct wire *wire, uint64_t value)
{
	do {
		unsigned char byte = (unsigned char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

		wire_raw(wire, &byte, 1);
		value >>= 7;
	} while (value);
}

static inline void wire_number(struct wire *wire, unsigned field, uint64_t value)
{
	wire_varint(wire, (uint64_t)field << 3);
	wire_varint(wire, value);
}

static inline void wire_bytes(struct wire *wire, unsigned field, const void *bytes, size_t len)
{
	wire_varint(wire, (uint64_t)field << 3 | 2);
	wire_varint(wire, len);
	wire_raw(wire, bytes, len);
}

static inline void wire_text(struct wire *wire, unsigned field, const char *text)
{
	wire_bytes(wire, field, text, strlen(text));
}

static inline void wire_message(struct wire *wire, unsigned field, const struct wire *inner)
{
	wire_bytes(wire, field, inner->data, inner->len);
}

static inline void wire_pair(struct wire *wire, unsigned field, struct crier_slice key,
			     struct crier_slice value)
{
	_cleanup_wire_ struct wire pair = {0};

	wire_bytes(&pair, 1, key.ptr, key.len);
	wire_bytes(&pair, 2, value.ptr, value.len);
	wire_message(wire, field, &pair);
}

/** A captured answer from tests/unit/data/cri. */
static inline struct wire captured(const char *name)
{
	struct wire wire = {0};
	char path[256], bytes[4096];
	size_t n;

	snprintf(path, sizeof(path), CRIER_SOURCE_DIR "/tests/unit/data/cri/%s.bin", name);
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
		wire_raw(&wire, bytes, n);
	return wire;
}

#define assert_text(slice, text)                                                                             \
	do {                                                                                                 \
		struct crier_slice text_got = (slice);                                                       \
		if (!text_got.ptr || !crier_slice_equal(text_got, crier_slice_of(text)))                     \
			fail_msg(#slice " is '%.*s', not '%s'", (int)text_got.len,                           \
				 text_got.ptr ? text_got.ptr : "(absent)", text);                            \
	} while (0)

#endif
