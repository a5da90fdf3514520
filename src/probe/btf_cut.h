/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs need of the kernel's BTF, cut out of it: see btf_cut.c. One thread. */
#ifndef CRIER_PROBE_BTF_CUT_H
#define CRIER_PROBE_BTF_CUT_H

#include "btf_view.h"
#include "crier/base/str.h"

#define CRIER_BTF_CUT_ROOTS 512

struct crier_btf_cut {
	struct crier_slice
		*names; /* owned, sorted: what the object's types are called; NULL: nothing is cut */
	size_t name_count;
	struct crier_btf_begins begins;
	uint32_t roots[CRIER_BTF_CUT_ROOTS]; /* the kernel's types of these names */
	size_t root_count;
	bool failed;
};

/** Learn the names. @return 0; -ENODATA, -EBADMSG: the object has no BTF; -ENOMEM */
int crier_btf_cut_start(struct crier_btf_cut *cut) crier_must_check;
/** A type of the kernel's, each once, while its BTF is walked over. */
void crier_btf_cut_offer(struct crier_btf_cut *cut, const struct crier_btf_view *view, uint32_t id,
			 const struct btf_type *type);
/**
 * After the walk.
 * @return a memory file with the cut, owned by the caller; -E2BIG: it would be larger than any kernel's; -ENOMEM, or why there is no file
 */
int crier_btf_cut_make(const struct crier_btf_cut *cut, const struct crier_btf_view *view) crier_must_check;
void crier_btf_cut_done(struct crier_btf_cut *cut);

#endif
