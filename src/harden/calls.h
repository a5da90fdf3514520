/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/harden. */
#ifndef CRIER_HARDEN_CALLS_H
#define CRIER_HARDEN_CALLS_H

#include <stdbool.h>

#include "crier/base/cleanup.h"

/** Install the filter of system calls in all threads. @param log  the kernel logs what is refused @return 0 or -errno */
int crier_harden_calls(bool log) crier_must_check;

#endif
