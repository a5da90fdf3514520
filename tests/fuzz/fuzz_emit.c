/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast way of lean lines: whatever the event holds, it writes the bytes that the tables write, or steps back; and
 * jansson reads what comes out. Texts of the event and of its container's names come from the input.
 */
#include "fuzz.h"

#include <jansson.h>

#include "../../src/emit_line.h"
#include "../unit/emit_any.h"
#include "crier/base/json.h"

static char fast[CRIER_LINE_MAX], slow[CRIER_LINE_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sample s;
	uint8_t *copy = fuzz_copy((struct crier_slice){(const char *)data, size});
	struct any any = {copy, copy + size};
	struct crier_buf buf;
	json_error_t error;

	any_event(&any, &s);
	uint64_t seq = any_bytes(&any, 7);
	const char *end = crier_emit_lean(&s.options, &s.event, seq, fast);

	/* a byte less of room than a line may need: the tables write it */
	crier_buf_init(&buf, slow, sizeof(slow) - 1);
	int r = crier_emit_json(&s.options, &s.event, seq, &buf);

	FUZZ_CLAIM(r == 0, "an event that cannot be told at all");
	if (end)
		FUZZ_CLAIM((size_t)(end - fast) == buf.len && memcmp(fast, slow, buf.len) == 0,
			   "the two ways differ:\n%.*s%.*s", (int)(end - fast), fast, (int)buf.len, slow);
	json_t *line = json_loadb(slow, buf.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

	FUZZ_CLAIM(json_is_object(line), "jansson: %s", error.text);
	FUZZ_CLAIM(crier_utf8_is_valid((struct crier_slice){slow, buf.len}), "the line is not UTF-8");
	json_decref(line);
	sample_done(&s);
	free(copy);
	return 0;
}
