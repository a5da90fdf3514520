/* SPDX-License-Identifier: Apache-2.0 */
/* What libbpf made of a program before the load, for comparing two loads of it. */
#ifndef CRIER_TESTS_RELOCATED_H
#define CRIER_TESTS_RELOCATED_H

#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <stdint.h>

#include "crier/base/hash.h"

/* All instructions of a loaded program, but for the descriptors of maps, which are others each time. */
static inline uint64_t relocated_hash(const struct bpf_program *program)
{
	const struct bpf_insn *insns = bpf_program__insns(program);
	uint64_t hash = 0;

	for (size_t i = 0; i < bpf_program__insn_cnt(program); i++) {
		struct bpf_insn insn = insns[i];

		if (insn.code == (BPF_LD | BPF_IMM | BPF_DW) &&
		    (insn.src_reg == BPF_PSEUDO_MAP_FD || insn.src_reg == BPF_PSEUDO_MAP_VALUE))
			insn.imm = 0;
		hash = crier_hash_u64(hash ^ crier_hash_bytes(&insn, sizeof(insn)));
	}
	return hash;
}

#endif
