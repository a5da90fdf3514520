/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Diagnostics on stderr, one line each: "crier: LEVEL: text". Only the edges log (agent, cli, threads'
 * outermost functions); everything below returns errors. Safe from any thread: one write(2) a line.
 */
#ifndef CRIER_BASE_LOG_H
#define CRIER_BASE_LOG_H

enum crier_log_level {
	CRIER_LOG_ERROR,
	CRIER_LOG_WARN,
	CRIER_LOG_INFO,
	CRIER_LOG_DEBUG,
	CRIER_LOG_COUNT,
};

/** Lines above this level are dropped; CRIER_LOG_INFO at first. */
void crier_log_set_level(enum crier_log_level level);
/** The level in force. */
enum crier_log_level crier_log_get_level(void);
/** One line, printf-like; control characters in it become blanks. Cut at 2 KiB. ~1 us. */
void crier_log(enum crier_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define crier_error(...) crier_log(CRIER_LOG_ERROR, __VA_ARGS__)
#define crier_warn(...)	 crier_log(CRIER_LOG_WARN, __VA_ARGS__)
#define crier_info(...)	 crier_log(CRIER_LOG_INFO, __VA_ARGS__)
#define crier_debug(...) crier_log(CRIER_LOG_DEBUG, __VA_ARGS__)

#endif
