/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An error that a person reads: which object, what happened, what to do. Used where an errno is too poor
 * (a line and column, a verifier's text, a gRPC status); elsewhere functions return -errno alone.
 */
#ifndef CRIER_BASE_ERR_H
#define CRIER_BASE_ERR_H

#define CRIER_ERR_MAX 1024

struct crier_err {
	int code;		     /* negative errno, 0 = no error */
	char message[CRIER_ERR_MAX]; /* "object: cause; remedy", NUL-terminated */
};

/** Fill `err` (may be NULL) and return `code`, so that a caller can `return crier_err_set(...)`. */
int crier_err_set(struct crier_err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
