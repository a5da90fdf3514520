/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/base/err.h"

#include <stdarg.h>
#include <stdio.h>

int crier_err_set(struct crier_err *err, int code, const char *format, ...)
{
	va_list args;

	if (!err)
		return code;
	err->code = code;
	va_start(args, format);
	vsnprintf(err->message, sizeof(err->message), format, args);
	va_end(args);
	return code;
}
