/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/bundle.h"

#include "crier/base/below.h"

int crier_bundle_read(const char *host_root, const char *dir, const char *name, enum crier_bundle_form form,
		      char *buf, size_t cap, size_t *ret_len)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r = crier_below_load(host_root, dir, name,
				 form == CRIER_BUNDLE_PLAIN ? cap : CRIER_BUNDLE_FILE_MAX, &text, &len);

	if (r < 0)
		return r;
	if (form != CRIER_BUNDLE_PLAIN)
		return crier_bundle_keep(form, text, len, buf, cap, ret_len);
	memcpy(buf, text, len);
	*ret_len = len;
	return 0;
}
