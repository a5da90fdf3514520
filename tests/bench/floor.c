/* SPDX-License-Identifier: Apache-2.0 */
#include "floor.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crier/base/digits.h"
#include "crier/base/hash.h"

#define LINES_MAX 512 /* and what they are made of fits the second-level cache */
#define FRAGMENTS (1u << 14)
#define CHUNK	  32 /* texts may be read so far beyond their end */
#define ROUNDS	  16 /* of all lines in a run; one for jansson, which takes fifty times as long */
#define PAIRS_MAX 24 /* numbers of one call of snprintf */

const char *const bench_floor_names[BENCH_FLOOR_COUNT] = {
	[BENCH_FLOOR_FRAGMENT] = "floor_fragment",
	[BENCH_FLOOR_SNPRINTF] = "floor_snprintf",
	[BENCH_FLOOR_JANSSON] = "floor_jansson",
};

/* Text and the number behind it. digits: at least so many, zeros in front; 0 = there is no number. */
struct pair {
	const char *text;
	uint32_t len;
	uint32_t digits;
	uint64_t number;
};

struct line {
	size_t first_pair, pair_count;
	char *text; /* owned */
	size_t len;
	json_t *json;
};

struct bench_floor {
	struct line lines[LINES_MAX];
	size_t count;
	struct pair *pairs; /* owned */
	size_t pair_count, pair_room;
	struct {
		char *text; /* owned; equal text is kept once: a container's blocks, the keys */
		size_t len;
	} fragments[FRAGMENTS];
	char out[CRIER_LINE_MAX + 256];
};

/* ---- taking lines apart ---- */

static struct crier_slice shared(struct bench_floor *floor, struct crier_slice text)
{
	uint64_t hash = crier_hash_bytes(text.ptr, text.len);

	for (size_t i = 0; i < FRAGMENTS; i++) {
		size_t at = (hash + i) % FRAGMENTS;

		if (!floor->fragments[at].text) {
			floor->fragments[at].text = malloc(text.len + 2 * CHUNK);
			if (!floor->fragments[at].text)
				bench_fail("bench: out of memory");
			memcpy(floor->fragments[at].text, text.ptr, text.len);
			floor->fragments[at].len = text.len;
		}
		if (floor->fragments[at].len == text.len &&
		    memcmp(floor->fragments[at].text, text.ptr, text.len) == 0)
			return (struct crier_slice){floor->fragments[at].text, text.len};
	}
	return text;
}

static void add_pair(struct bench_floor *floor, struct pair pair)
{
	pair.text = shared(floor, (struct crier_slice){pair.text, pair.len}).ptr;
	if (floor->pair_count == floor->pair_room) {
		floor->pair_room = floor->pair_room ? floor->pair_room * 2 : 65536;
		floor->pairs = realloc(floor->pairs, floor->pair_room * sizeof(*floor->pairs));
		if (!floor->pairs)
			bench_fail("bench: out of memory");
	}
	floor->pairs[floor->pair_count++] = pair;
	floor->lines[floor->count].pair_count++;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Numbers, also in quotes, behind "id-" and in keys "boot:pid:start"; a timestamp's fraction. Not digits within a name. */
static size_t number_at(const char *text, size_t len, size_t at)
{
	size_t n = 0;

	if (at < 2 || !strchr(":\"-[. ", text[at - 1]))
		return 0;
	while (at + n < len && is_digit(text[at + n]))
		n++;
	if (n == 2 && text[at - 1] == ':' && is_digit(text[at - 2]))
		return 0; /* the minutes */
	return n > 0 && n <= 19 && at + n < len && strchr("\",}]:Z", text[at + n]) ? n : 0;
}

static void split(struct bench_floor *floor, const char *text, size_t len)
{
	size_t start = 0;

	for (size_t i = 0; i < len;) {
		size_t n = is_digit(text[i]) ? number_at(text, len, i) : 0;

		if (!n) {
			/* past the rest of a word that begins with a digit */
			do
				i++;
			while (i < len && is_digit(text[i]) && is_digit(text[i - 1]));
			continue;
		}
		add_pair(floor, (struct pair){text + start, (uint32_t)(i - start), (uint32_t)n,
					      strtoull(text + i, NULL, 10)});
		start = i += n;
	}
	if (start < len)
		add_pair(floor, (struct pair){text + start, (uint32_t)(len - start), 0, 0});
}

static void take_line(void *ctx, const char *text, size_t len)
{
	struct bench_floor *floor = ctx;
	struct line *line = &floor->lines[floor->count];
	const char *block, *after;

	if (floor->count == LINES_MAX)
		return;
	*line = (struct line){.first_pair = floor->pair_count, .text = malloc(len + 2 * CHUNK), .len = len};
	if (!line->text)
		bench_fail("bench: out of memory");
	memcpy(line->text, text, len);
	text = line->text;
	block = memmem(text, len, ",\"container\":{", 14);
	after = memmem(text, len, ",\"attribution\":", 15);
	if (block && after && block < after) {
		struct crier_slice fragment =
			shared(floor, (struct crier_slice){block, (size_t)(after - block)});

		split(floor, text, (size_t)(block - text));
		add_pair(floor, (struct pair){fragment.ptr, (uint32_t)fragment.len, 0, 0});
		split(floor, after, (size_t)(text + len - after));
	} else {
		split(floor, text, len);
	}
	line->json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	floor->count++;
}

/* ---- making them again ---- */

static char *put_number(char *out, uint64_t value, uint32_t least)
{
	char *end = crier_digits_put(out, value);

	if ((size_t)(end - out) < least) { /* a fraction of a second that begins with zeros */
		size_t len = (size_t)(end - out);

		memmove(out + least - len, out, len);
		memset(out, '0', least - len);
		end = out + least;
	}
	return end;
}

/* Short text in whole words: what is too much is overwritten by what follows. */
static char *put_text(char *out, const char *text, size_t len)
{
	if (len > 2 * CHUNK) {
		memcpy(out, text, len);
	} else {
		memcpy(out, text, CHUNK);
		if (len > CHUNK)
			memcpy(out + CHUNK, text + CHUNK, CHUNK);
	}
	return out + len;
}

static size_t put_fragment(struct bench_floor *floor, const struct line *line)
{
	const struct pair *pairs = floor->pairs + line->first_pair;
	char *out = floor->out;

	for (size_t i = 0; i < line->pair_count; i++) {
		out = put_text(out, pairs[i].text, pairs[i].len);
		if (pairs[i].digits)
			out = put_number(out, pairs[i].number, pairs[i].digits);
	}
	return (size_t)(out - floor->out);
}

/* "%.0llu" of 0 prints nothing: a pair without a number needs no format of its own. */
#define FORMAT	 "%.*s%.*llu"
#define FORMAT4	 FORMAT FORMAT FORMAT FORMAT
#define ARG(i)	 (int)p[i].len, p[i].text, (int)p[i].digits, (unsigned long long)p[i].number
#define ARG4(i)	 ARG(i), ARG((i) + 1), ARG((i) + 2), ARG((i) + 3)
#define ARG8(i)	 ARG4(i), ARG4((i) + 4)
#define ARG16(i) ARG8(i), ARG8((i) + 8)

static int print_pairs(char *out, size_t room, const struct pair *p, size_t count)
{
	switch ((count + 3) / 4) {
	case 1: return snprintf(out, room, FORMAT4, ARG4(0));
	case 2: return snprintf(out, room, FORMAT4 FORMAT4, ARG8(0));
	case 3: return snprintf(out, room, FORMAT4 FORMAT4 FORMAT4, ARG8(0), ARG4(8));
	case 4: return snprintf(out, room, FORMAT4 FORMAT4 FORMAT4 FORMAT4, ARG16(0));
	case 5: return snprintf(out, room, FORMAT4 FORMAT4 FORMAT4 FORMAT4 FORMAT4, ARG16(0), ARG4(16));
	default:
		return snprintf(out, room, FORMAT4 FORMAT4 FORMAT4 FORMAT4 FORMAT4 FORMAT4, ARG16(0),
				ARG8(16));
	}
}

static size_t put_snprintf(struct bench_floor *floor, const struct line *line)
{
	const struct pair *pairs = floor->pairs + line->first_pair;
	size_t len = 0;

	for (size_t i = 0; i < line->pair_count; i += PAIRS_MAX) {
		struct pair padded[PAIRS_MAX];
		size_t count = crier_min(line->pair_count - i, (size_t)PAIRS_MAX);

		memcpy(padded, pairs + i, count * sizeof(*pairs));
		for (size_t rest = count; rest < (count + 3) / 4 * 4; rest++)
			padded[rest] = (struct pair){.text = ""};
		len += (size_t)print_pairs(floor->out + len, sizeof(floor->out) - len, padded, count);
	}
	return len;
}

static size_t put_jansson(struct bench_floor *floor, const struct line *line)
{
	json_t *root = json_deep_copy(line->json);
	size_t len = json_dumpb(root, floor->out, sizeof(floor->out), JSON_COMPACT);

	json_decref(root);
	floor->out[len] = '\n';
	return len + 1;
}

static size_t put(struct bench_floor *floor, const struct line *line, enum bench_floor_kind kind)
{
	switch (kind) {
	case BENCH_FLOOR_FRAGMENT: return put_fragment(floor, line);
	case BENCH_FLOOR_SNPRINTF: return put_snprintf(floor, line);
	default: return line->json ? put_jansson(floor, line) : 0;
	}
}

size_t bench_floor_run(struct bench_floor *floor, enum bench_floor_kind kind)
{
	size_t rounds = kind == BENCH_FLOOR_JANSSON ? 1 : ROUNDS, sum = 0;

	for (size_t round = 0; round < rounds; round++)
		for (size_t i = 0; i < floor->count; i++)
			sum += put(floor, &floor->lines[i], kind);
	return sum ? rounds * floor->count : 0;
}

struct bench_floor *bench_floor_new(struct bench_stream *stream)
{
	struct bench_floor *floor = calloc(1, sizeof(*floor));

	if (!floor)
		bench_fail("bench: out of memory");
	stream->node->on_line = take_line;
	stream->node->on_line_ctx = floor;
	bench_stream_fill(stream);
	bench_stream_feed(stream);
	stream->node->on_line = NULL;
	for (size_t i = 0; i < floor->count; i++) {
		const struct line *line = &floor->lines[i];

		for (int kind = 0; kind < BENCH_FLOOR_COUNT; kind++) {
			size_t len = put(floor, line, (enum bench_floor_kind)kind);

			if (len && (len != line->len || memcmp(floor->out, line->text, len) != 0))
				bench_fail("bench: %s makes another line:\n%.*s%.*s", bench_floor_names[kind],
					   (int)line->len, line->text, (int)len, floor->out);
		}
	}
	return floor;
}

void bench_floor_free(struct bench_floor *floor)
{
	if (!floor)
		return;
	for (size_t i = 0; i < floor->count; i++) {
		free(floor->lines[i].text);
		json_decref(floor->lines[i].json);
	}
	for (size_t i = 0; i < FRAGMENTS; i++)
		free(floor->fragments[i].text);
	free(floor->pairs);
	free(floor);
}
