/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope: a variable marked with one of these frees what it owns when it leaves scope, and
 * escapes only through take_ptr()/take_fd().
 */
#ifndef CRIER_BASE_CLEANUP_H
#define CRIER_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define crier_must_check	 __attribute__((warn_unused_result))
#define crier_printf(fmt, first) __attribute__((format(printf, fmt, first)))

static inline void crier_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void crier_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void crier_cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define _cleanup_free_	 __attribute__((cleanup(crier_cleanup_free)))
#define _cleanup_close_	 __attribute__((cleanup(crier_cleanup_close)))
#define _cleanup_fclose_ __attribute__((cleanup(crier_cleanup_fclose)))

/** Hand the pointer on: returns it and leaves NULL behind, so that the cleanup frees nothing. */
#define take_ptr(p)                                                                                          \
	({                                                                                                   \
		__auto_type take_tmp = (p);                                                                  \
		(p) = NULL;                                                                                  \
		take_tmp;                                                                                    \
	})

/** Hand the descriptor on: returns it and leaves -1 behind. */
#define take_fd(fd)                                                                                          \
	({                                                                                                   \
		int take_tmp = (fd);                                                                         \
		(fd) = -1;                                                                                   \
		take_tmp;                                                                                    \
	})

#define CRIER_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define crier_min(a, b)                                                                                      \
	({                                                                                                   \
		__auto_type min_a = (a);                                                                     \
		__auto_type min_b = (b);                                                                     \
		min_a < min_b ? min_a : min_b;                                                               \
	})

#define crier_max(a, b)                                                                                      \
	({                                                                                                   \
		__auto_type max_a = (a);                                                                     \
		__auto_type max_b = (b);                                                                     \
		max_a > max_b ? max_a : max_b;                                                               \
	})

#endif
