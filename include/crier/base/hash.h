/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashing for the tables. Not keyed: who chooses names can provoke collisions, which the tables' bounds keep harmless; ids on
 * the event path are the kernel's. Pure.
 */
#ifndef CRIER_BASE_HASH_H
#define CRIER_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/** Mix a 64-bit key (a bijection: no two keys collide before the table's mask). ~1 ns. */
static inline uint64_t crier_hash_u64(uint64_t key)
{
	key ^= key >> 32;
	key *= 0xd6e8feb86659fd93ULL;
	key ^= key >> 32;
	key *= 0xd6e8feb86659fd93ULL;
	key ^= key >> 32;
	return key;
}

/** Hash of bytes. */
static inline uint64_t crier_hash_bytes(const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	uint64_t h = 0xcbf29ce484222325ULL ^ len;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return crier_hash_u64(h);
}

#endif
