/* SPDX-License-Identifier: Apache-2.0 */
/* One record of /dev/kmsg taken apart. */
#include "crier/kmsg.h"

#include <errno.h>

/* Up to `separator`, which is taken too. @return false: it is not there */
static bool take(struct crier_slice *text, char separator, struct crier_slice *ret_piece)
{
	const char *end = text->len ? memchr(text->ptr, separator, text->len) : NULL;

	if (!end)
		return false;
	*ret_piece = (struct crier_slice){text->ptr, (size_t)(end - text->ptr)};
	text->ptr = end + 1;
	text->len -= ret_piece->len + 1;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The kernel writes "\x0a" for what is not printable, and for the backslash itself (printk.c, msg_add_ext_text). */
static size_t unescape(struct crier_slice text, char *buf, size_t cap)
{
	size_t len = 0;

	for (size_t i = 0; i < text.len && len < cap; i++) {
		if (text.ptr[i] == '\\' && i + 3 < text.len && text.ptr[i + 1] == 'x' &&
		    hex_digit(text.ptr[i + 2]) >= 0 && hex_digit(text.ptr[i + 3]) >= 0) {
			buf[len++] = (char)(hex_digit(text.ptr[i + 2]) * 16 + hex_digit(text.ptr[i + 3]));
			i += 3;
		} else {
			buf[len++] = text.ptr[i];
		}
	}
	return len;
}

/* "T1234" is a thread; "C0" a CPU in interrupt, which kills nobody. */
static void read_caller(struct crier_slice value, struct crier_kmsg_line *line)
{
	uint64_t tid;

	if (!crier_slice_starts(value, CRIER_SLICE("caller=T")))
		return;
	value.ptr += 8;
	value.len -= 8;
	if (crier_parse_u64(value, &tid) == 0 && tid <= UINT32_MAX)
		line->caller = (uint32_t)tid;
}

int crier_kmsg_line_parse(struct crier_slice record, char buf[CRIER_KMSG_TEXT_MAX],
			  struct crier_kmsg_line *ret_line)
{
	struct crier_kmsg_line line = {0};
	struct crier_slice head, piece;
	const char *end;
	uint64_t priority;

	if (!take(&record, ';', &head))
		return -EINVAL;
	if (!take(&head, ',', &piece) || crier_parse_u64(piece, &priority) < 0)
		return -EINVAL;
	line.by_kernel = priority >> 3 == 0;
	if (!take(&head, ',', &piece) || crier_parse_u64(piece, &line.seq) < 0)
		return -EINVAL;
	if (!take(&head, ',', &piece) || crier_parse_u64(piece, &line.ts_us) < 0)
		return -EINVAL;
	if (!take(&head, ',', &piece)) {
		piece = head;
		head.len = 0;
	}
	line.is_continued = piece.len == 1 && piece.ptr[0] == 'c';
	while (head.len) { /* fields may be added: what is not known is passed over */
		if (!take(&head, ',', &piece)) {
			piece = head;
			head.len = 0;
		}
		read_caller(piece, &line);
	}
	end = record.len ? memchr(record.ptr, '\n', record.len) : NULL;
	if (end)
		record.len = (size_t)(end - record.ptr);
	line.text = (struct crier_slice){buf, unescape(record, buf, CRIER_KMSG_TEXT_MAX)};
	*ret_line = line;
	return 0;
}
