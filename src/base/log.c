/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Atomic int log_level = CRIER_LOG_INFO;

void crier_log_set_level(enum crier_log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

enum crier_log_level crier_log_get_level(void)
{
	return (enum crier_log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

void crier_log(enum crier_log_level level, const char *format, ...)
{
	static const char *const names[CRIER_LOG_COUNT] = {"error", "warn", "info", "debug"};
	char line[2048];
	va_list args;

	if (level > crier_log_get_level())
		return;
	int n = snprintf(line, sizeof(line), "crier: %s: ", names[level]);
	va_start(args, format);
	int m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, args);
	va_end(args);
	if (m < 0)
		return;
	size_t len = (size_t)n + (size_t)m;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	for (char *p = line; p < line + len; p++) /* untrusted text must not forge a second line */
		if ((unsigned char)*p < 0x20)
			*p = ' ';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return; /* a closed stderr must not stop the agent */
}
