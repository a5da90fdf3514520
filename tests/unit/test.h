/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka in its required order. */
#ifndef CRIER_TEST_H
#define CRIER_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#endif
