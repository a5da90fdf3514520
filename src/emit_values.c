/* SPDX-License-Identifier: Apache-2.0 */
/* The values that take more than a few moves: texts, labels, arrays, and the paths of what was cut or replaced. */
#include "crier/base/json.h"
#include "emit_line.h"
#include "emit_put.h"

/* ---- paths ---- */

static void put_place(struct crier_buf *buf, const struct crier_emit_place *place)
{
	if (!place)
		return;
	put_place(buf, place->up);
	if (place->key)
		crier_buf_put_str(buf, place->key);
	else
		crier_buf_put_u64(buf, place->index);
	crier_buf_put_char(buf, '.');
}

void crier_emit_path(const struct crier_emit_line *line, struct crier_emit_paths *paths, const char *key)
{
	char text[256];
	struct crier_buf path;

	crier_buf_init(&path, text, sizeof(text));
	crier_buf_put_str(&path, ",\"");
	put_place(&path, line->place);
	crier_buf_put_str(&path, key);
	crier_buf_put_char(&path, '"');
	if (path.overflow)
		paths->buf.overflow = true;
	else if (!memmem(paths->buf.data, paths->buf.len, path.data, path.len))
		crier_buf_put(&paths->buf, path.data, path.len);
}

/* ---- values ---- */

static size_t text_max(const struct crier_emit_line *line, size_t max)
{
	static const uint16_t limits[CRIER_CUT_COUNT] = {UINT16_MAX, UINT16_MAX, 512, 128, 24};

	return crier_min(max, (size_t)limits[line->cut]);
}

static size_t items_max(const struct crier_emit_line *line, size_t max)
{
	static const uint16_t limits[CRIER_CUT_COUNT] = {UINT16_MAX, UINT16_MAX, 16, 8, 2};

	return crier_min(max, (size_t)limits[line->cut]);
}

static void put_hex(struct crier_emit_line *line, const char *key, struct crier_slice text)
{
	crier_buf_put_str(&line->buf, ",\"");
	crier_buf_put_str(&line->buf, key);
	crier_buf_put_str(&line->buf, "_hex\":");
	crier_json_hex(&line->buf, text, CRIER_HEX_MAX);
}

static void put_text(struct crier_emit_line *line, const struct crier_field *field, struct crier_slice text,
		     size_t max)
{
	unsigned flags;

	if (!text.ptr)
		return;
	put_key(&line->buf, field);
	flags = crier_json_string(&line->buf, text, max);
	if (__builtin_expect(flags == 0, 1))
		return;
	if (flags & CRIER_JSON_TRUNCATED)
		crier_emit_path(line, &line->truncated, field->key);
	if (flags & CRIER_JSON_SANITIZED) {
		put_hex(line, field->key, text);
		crier_emit_path(line, &line->sanitized, field->key);
	}
}

static void put_time(struct crier_emit_line *line, const struct crier_field *field, uint64_t unix_ns)
{
	if (unix_ns == CRIER_UNKNOWN_U64 || unix_ns == 0)
		return;
	put_key(&line->buf, field);
	crier_json_time(&line->buf, unix_ns);
}

static void put_ratio(struct crier_emit_line *line, const struct crier_field *field, double ratio)
{
	struct crier_buf *buf = &line->buf;
	uint64_t whole, rest;

	if (!(ratio >= 0) || ratio > 1e9) /* NaN too */
		return;
	uint64_t scaled = (uint64_t)(ratio * 10000 + 0.5);

	whole = scaled / 10000;
	rest = scaled % 10000;
	put_key(&line->buf, field);
	crier_buf_put_u64(buf, whole);
	if (!rest)
		return;
	char digits[5] = {'.', (char)('0' + rest / 1000), (char)('0' + rest / 100 % 10),
			  (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};
	size_t len = 5;

	while (digits[len - 1] == '0')
		len--;
	crier_buf_put(buf, digits, len);
}

static void put_slot(struct crier_emit_line *line, const struct crier_field *field,
		     const struct crier_slot_name *slot)
{
	struct crier_buf *buf = &line->buf;
	struct crier_slice uid = slot->pod_uid, name = slot->container_name;

	if (!uid.len || !name.len)
		return;
	if (!line->cut && uid.len <= CRIER_UID_MAX && name.len <= CRIER_NAME_MAX &&
	    buf->cap - buf->len > uid.len + name.len + PUT_ROOM) {
		char *p = put_key_at(put_at(buf), field);

		*p++ = '"';
		bool is_clean = crier_json_copy_clean(p, uid);

		p += uid.len;
		*p++ = '/';
		is_clean &= crier_json_copy_clean(p, name);
		p += name.len;
		*p++ = '"';
		if (is_clean) {
			put_end(buf, p);
			return;
		}
	}
	put_key(buf, field);
	crier_buf_put_char(buf, '"');
	/* both parts are told elsewhere: what was replaced or cut is said there */
	(void)crier_json_escape(buf, uid, text_max(line, CRIER_UID_MAX));
	crier_buf_put_char(buf, '/');
	(void)crier_json_escape(buf, name, text_max(line, CRIER_NAME_MAX));
	crier_buf_put_char(buf, '"');
}

static struct crier_slice basename_of(struct crier_slice path)
{
	const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

	if (!slash)
		return path;
	return (struct crier_slice){slash + 1, path.len - (size_t)(slash + 1 - path.ptr)};
}

static void put_basename(struct crier_emit_line *line, const struct crier_field *field,
			 struct crier_slice path)
{
	struct crier_slice name = basename_of(path);

	if (!name.len)
		return;
	put_key(&line->buf, field);
	(void)crier_json_string(&line->buf, name, text_max(line, field->max));
}

/* ---- containers of values ---- */

/* A key's bytes within the buffer, to find one that is there twice. */
struct written {
	size_t start, len;
};

static bool is_written(const struct crier_buf *buf, const struct written *keys, size_t count,
		       struct written key)
{
	for (size_t i = 0; i < count; i++)
		if (keys[i].len == key.len &&
		    memcmp(buf->data + keys[i].start, buf->data + key.start, key.len) == 0)
			return true;
	return false;
}

#define LABEL_KEY_MAX 320 /* prefix 253, slash, name 63 */

static void put_label_name(struct crier_buf *buf, struct crier_slice key, enum crier_label_keys style)
{
	key.len = crier_utf8_cut(key, LABEL_KEY_MAX);
	for (size_t i = 0; style == CRIER_LABEL_KEYS_UNDERSCORE && i < key.len; i++) {
		unsigned char c = (unsigned char)key.ptr[i];
		bool is_word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		crier_buf_put_char(buf, is_word ? (char)c : '_');
	}
	if (style == CRIER_LABEL_KEYS_UNDERSCORE)
		return;
	while (key.len) { /* readers keep keys as C strings (jansson refuses NUL in one): it is replaced as bad bytes are */
		size_t run = strnlen(key.ptr, key.len);

		(void)crier_json_escape(buf, (struct crier_slice){key.ptr, run}, run);
		if (run == key.len)
			break;
		crier_buf_put_str(buf, "\xef\xbf\xbd");
		key.ptr += run + 1;
		key.len -= run + 1;
	}
}

/* Writes `,"key<suffix>":`, or nothing if the object has this key already. @return whether it was written */
static bool put_label_key(struct crier_emit_line *line, struct crier_slice key, const char *suffix,
			  struct written *keys, size_t *count)
{
	struct crier_buf *buf = &line->buf;
	size_t before = buf->len;

	crier_buf_put_char(buf, ',');
	struct written written = {.start = buf->len};

	crier_buf_put_char(buf, '"');
	put_label_name(buf, key, line->options->label_keys);
	crier_buf_put_str(buf, suffix);
	crier_buf_put_char(buf, '"');
	written.len = buf->len - written.start;
	if (is_written(buf, keys, *count, written)) {
		buf->len = before;
		return false;
	}
	keys[(*count)++] = written;
	crier_buf_put_char(buf, ':');
	return true;
}

static void put_labels(struct crier_emit_line *line, const struct crier_field *field,
		       const struct crier_meta_labels *labels)
{
	struct written keys[2 * CRIER_META_LABELS_MAX];
	unsigned flags[CRIER_META_LABELS_MAX] = {0};
	size_t count = 0;

	if (!labels || !labels->count)
		return;
	if (line->cut >= CRIER_CUT_LABELS) {
		crier_emit_path(line, &line->truncated, field->key);
		return;
	}
	put_key(&line->buf, field);
	size_t start = line->buf.len;
	size_t kept = crier_min(labels->count, (size_t)CRIER_META_LABELS_MAX);

	for (size_t i = 0; i < kept; i++) {
		const struct crier_meta_label *label = &labels->items[i];

		if (!label->key.len || !put_label_key(line, label->key, "", keys, &count))
			continue; /* no name; or twice, or alike once written: the first stays */
		flags[i] = crier_json_string(&line->buf, label->value.ptr ? label->value : CRIER_SLICE(""),
					     CRIER_NAME_MAX);
		if (!crier_utf8_is_valid(label->key) ||
		    strnlen(label->key.ptr, label->key.len) < label->key.len)
			crier_emit_path(line, &line->sanitized, field->key);
		if (flags[i] & CRIER_JSON_TRUNCATED || label->key.len > LABEL_KEY_MAX)
			crier_emit_path(line, &line->truncated, field->key);
	}
	for (size_t i = 0; i < kept; i++) {
		if (!(flags[i] & CRIER_JSON_SANITIZED))
			continue;
		crier_emit_path(line, &line->sanitized, field->key);
		if (put_label_key(line, labels->items[i].key, "_hex", keys, &count))
			crier_json_hex(&line->buf, labels->items[i].value, CRIER_HEX_MAX);
	}
	if (line->buf.len == start)
		return; /* overflow */
	line->buf.data[start] = '{';
	crier_buf_put_char(&line->buf, '}');
}

static void put_texts(struct crier_emit_line *line, const struct crier_field *field,
		      const struct crier_slice *items, size_t count)
{
	size_t kept = crier_min(count, items_max(line, field->max));
	unsigned flags = kept < count ? CRIER_JSON_TRUNCATED : 0;

	if (!items || !count)
		return;
	put_key(&line->buf, field);
	for (size_t i = 0; i < kept; i++) {
		crier_buf_put_char(&line->buf, i ? ',' : '[');
		flags |= crier_json_string(&line->buf, items[i].ptr ? items[i] : CRIER_SLICE(""),
					   text_max(line, CRIER_TEXT_MAX));
	}
	crier_buf_put_char(&line->buf, ']');
	if (flags & CRIER_JSON_TRUNCATED)
		crier_emit_path(line, &line->truncated, field->key);
	if (!(flags & CRIER_JSON_SANITIZED))
		return;
	crier_emit_path(line, &line->sanitized, field->key);
	crier_buf_put_str(&line->buf, ",\"");
	crier_buf_put_str(&line->buf, field->key);
	crier_buf_put_str(&line->buf, "_hex\":{");
	bool first = true;

	for (size_t i = 0; i < kept; i++) {
		struct crier_slice text = {items[i].ptr,
					   crier_min(items[i].len, text_max(line, CRIER_TEXT_MAX))};

		if (crier_utf8_is_valid(text))
			continue;
		crier_buf_put_str(&line->buf, first ? "\"" : ",\"");
		crier_buf_put_u64(&line->buf, i);
		crier_buf_put_str(&line->buf, "\":");
		crier_json_hex(&line->buf, text, CRIER_HEX_MAX);
		first = false;
	}
	crier_buf_put_char(&line->buf, '}');
}

static void put_array(struct crier_emit_line *line, const struct crier_field *field, const char *items,
		      size_t count)
{
	size_t kept = crier_min(count, items_max(line, field->max));
	struct crier_emit_place array = {.up = line->place, .key = field->key};
	struct crier_emit_place item = {.up = &array};

	if (!items || !count)
		return;
	if (kept < count)
		crier_emit_path(line, &line->truncated, field->key);
	put_key(&line->buf, field);
	line->place = &item;
	for (; item.index < kept; item.index++) {
		crier_buf_put_char(&line->buf, item.index ? ',' : '[');
		size_t start = line->buf.len;

		crier_emit_fields(line, field->sub, items + item.index * field->item_size);
		if (line->buf.len == start)
			crier_buf_put_char(&line->buf, '{');
		else
			line->buf.data[start] = '{';
		crier_buf_put_char(&line->buf, '}');
	}
	line->place = array.up;
	crier_buf_put_char(&line->buf, ']');
}

static size_t count_of(const struct crier_field *field, const void *object)
{
	return *(const size_t *)((const char *)object + field->count_offset);
}

void crier_emit_value(struct crier_emit_line *line, const struct crier_field *field, const void *object)
{
	const char *value = (const char *)object + field->offset;

	switch ((enum crier_field_kind)field->kind) {
	case CRIER_FIELD_TIME: put_time(line, field, *(const uint64_t *)value); break;
	case CRIER_FIELD_RATIO: put_ratio(line, field, *(const double *)value); break;
	case CRIER_FIELD_TEXT:
		put_text(line, field, *(const struct crier_slice *)value, text_max(line, field->max));
		break;
	case CRIER_FIELD_SENTENCE:
		put_key(&line->buf, field);
		(void)crier_json_string(&line->buf, *(const struct crier_slice *)value,
					text_max(line, field->max));
		break;
	case CRIER_FIELD_BASENAME: put_basename(line, field, *(const struct crier_slice *)value); break;
	case CRIER_FIELD_CSTR:
		put_text(line, field, crier_slice_of(*(const char *const *)value),
			 text_max(line, field->max));
		break;
	case CRIER_FIELD_WHOLE:
		if (*(const char *const *)value && **(const char *const *)value)
			put_text(line, field, crier_slice_of(*(const char *const *)value), SIZE_MAX);
		break;
	case CRIER_FIELD_SLOT: put_slot(line, field, (const struct crier_slot_name *)value); break;
	case CRIER_FIELD_LABELS:
		put_labels(line, field, *(const struct crier_meta_labels *const *)value);
		break;
	case CRIER_FIELD_TEXTS:
		put_texts(line, field, *(const struct crier_slice *const *)value, count_of(field, object));
		break;
	case CRIER_FIELD_ARRAY:
		put_array(line, field, *(const char *const *)value, count_of(field, object));
		break;
	default: break;
	}
}
