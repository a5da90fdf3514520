/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbpf's messages: to the debug log, and searched for what a failed load was about. bpf_object__load()
 * returns an errno alone; which program the kernel refused, and why, is in the text.
 */
#include "internal.h"

#include "crier/base/log.h"
#include "crier/base/str.h"

#include <stdarg.h>

struct crier_words crier_words;

#define PROGRAM_MARK "prog '"
#define LOG_BEGIN    "-- BEGIN PROG LOAD LOG --"
#define LOG_END	     "-- END PROG LOAD LOG --"

/* Lines by which the verifier ends a log whatever happened. */
static bool is_statistics(const char *line)
{
	static const char *const starts[] = {"processed ",   "verification time", "stack depth",
					     "mark_precise", "peak_states",	  "max_states"};

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(starts); i++)
		if (strncmp(line, starts[i], strlen(starts[i])) == 0)
			return true;
	return *line == '\0';
}

/* The verifier's last line of substance; cuts `log` into lines. */
static void take_verifier_line(char *log)
{
	char *end = strstr(log, LOG_END), *save = NULL;
	const char *last = NULL;

	if (end)
		*end = '\0';
	for (char *line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!is_statistics(line))
			last = line;
	if (last)
		snprintf(crier_words.cause, sizeof(crier_words.cause), "%s", last);
}

static void take_program(char *text)
{
	char *name = strstr(text, PROGRAM_MARK);
	char *end = name ? strchr(name + sizeof(PROGRAM_MARK) - 1, '\'') : NULL;
	char *log = strstr(text, LOG_BEGIN);

	if (!name || !end)
		return;
	name += sizeof(PROGRAM_MARK) - 1;
	crier_copy_str(crier_words.program, sizeof(crier_words.program),
		       (struct crier_slice){name, (size_t)(end - name)});
	if (log)
		take_verifier_line(log + sizeof(LOG_BEGIN) - 1);
}

static int print(enum libbpf_print_level level, const char *format, va_list args)
{
	_cleanup_free_ char *text = NULL;

	if (level != LIBBPF_WARN && crier_log_get_level() < CRIER_LOG_DEBUG)
		return 0;
	if (vasprintf(&text, format, args) < 0) {
		text = NULL; /* undefined after a failure */
		return 0;
	}
	crier_debug("%s", text);
	if (level == LIBBPF_WARN)
		take_program(text);
	return 0;
}

void crier_words_start(void)
{
	crier_words = (struct crier_words){0};
	libbpf_set_print(print);
}
