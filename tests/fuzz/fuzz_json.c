/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer: whatever goes in, jansson reads what comes out; text without a bad byte comes back as it was, and what
 * does not fit is left out whole. The first byte bounds the input taken, the second the room.
 */
#include "fuzz.h"

#include <jansson.h>

#include "crier/base/json.h"

#define ROOM (6 * 4096 + 16) /* \u00xx for each byte, quotes */

static char storage[ROOM];

static void read_back(struct crier_slice text, size_t used, unsigned told, const struct crier_buf *buf)
{
	json_error_t error;
	json_t *value = json_loadb(buf->data, buf->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);

	FUZZ_CLAIM(json_is_string(value), "jansson: %s", error.text);
	FUZZ_CLAIM(crier_utf8_is_valid((struct crier_slice){buf->data, buf->len}), "the line is not UTF-8");
	if (!(told & CRIER_JSON_SANITIZED))
		FUZZ_CLAIM(json_string_length(value) == used &&
				   memcmp(json_string_value(value), text.ptr, used) == 0,
			   "%zu bytes came back as %zu others", used, json_string_length(value));
	json_decref(value);
}

static void string(struct crier_slice text, size_t max_bytes)
{
	size_t used = crier_utf8_cut(text, max_bytes);
	struct crier_slice kept = {text.ptr, used};
	struct crier_buf buf;
	unsigned told;

	crier_buf_init(&buf, storage, sizeof(storage));
	told = crier_json_string(&buf, text, max_bytes);
	FUZZ_CLAIM(!buf.overflow, "%zu bytes need more than six times their room", text.len);
	FUZZ_CLAIM(used <= max_bytes && used <= text.len, "cut behind the end");
	FUZZ_CLAIM(!(told & CRIER_JSON_TRUNCATED) == (text.len <= max_bytes), "truncated is told wrongly");
	FUZZ_CLAIM(!(told & CRIER_JSON_SANITIZED) == crier_utf8_is_valid(kept), "sanitized is told wrongly");
	for (size_t i = 0; i < buf.len; i++)
		FUZZ_CLAIM((unsigned char)storage[i] >= 0x20 && storage[i] != 0x7f,
			   "a control character in the line");
	read_back(text, used, told, &buf);
}

static void little_room(struct crier_slice text, size_t cap)
{
	char *room = malloc(cap + 1);
	struct crier_buf buf;

	FUZZ_CLAIM(room, "out of memory");
	crier_buf_init(&buf, room, cap);
	(void)crier_json_string(&buf, text, text.len);
	FUZZ_CLAIM(buf.len <= cap, "more than the room");
	FUZZ_CLAIM(!buf.overflow || buf.len == 0, "a part of what did not fit was left behind");
	(void)crier_json_escape(&buf, text, text.len);
	crier_json_hex(&buf, text, text.len);
	FUZZ_CLAIM(buf.len <= cap, "more than the room");
	free(room);
}

static void copy_clean(struct crier_slice text)
{
	char *room = malloc(text.len + 8);
	bool clean = true;

	FUZZ_CLAIM(room, "out of memory");
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		clean &= c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
	}
	FUZZ_CLAIM(crier_json_copy_clean(room, text) == clean,
		   "a clean text is told as unclean, or the other way");
	FUZZ_CLAIM(text.len == 0 || memcmp(room, text.ptr, text.len) == 0, "the copy differs");
	free(room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	size_t max_bytes = fuzz_u8(&input), cap = fuzz_u8(&input);
	struct crier_slice text = fuzz_take(&input, 4096);
	char *copy = fuzz_copy(text);

	text.ptr = copy;
	string(text, text.len);
	string(text, max_bytes);
	little_room(text, cap);
	copy_clean(text);
	free(copy);
	return 0;
}
