/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded queue of byte blobs from one or more threads to the main loop, with an eventfd to wake it.
 * The only thing besides the sink's buffer that two threads of crier share.
 */
#ifndef CRIER_MAILBOX_H
#define CRIER_MAILBOX_H

#include <stddef.h>
#include <stdint.h>

#include "crier/base/cleanup.h"

struct crier_mailbox;

/** @param max_bytes bound on all blobs waiting, their headers included (8 MiB for the CRI thread); memory is taken by 256 KiB */
int crier_mailbox_new(size_t max_bytes, struct crier_mailbox **ret_mailbox) crier_must_check;
void crier_mailbox_free(struct crier_mailbox *mailbox);

/**
 * Any thread. Copies the blob.
 * @return 0; -EAGAIN: full, try again later (nothing was taken); -E2BIG: longer than max_bytes; -ENOMEM
 */
int crier_mailbox_push(struct crier_mailbox *mailbox, const void *bytes, size_t len) crier_must_check;

/**
 * One thread. Call it until it says NULL: then what the blobs took is given back.
 * @return a blob, aligned to 16 bytes, borrowed until the next call; NULL when empty
 */
const void *crier_mailbox_pop(struct crier_mailbox *mailbox, size_t *ret_len);

/** Readable while blobs wait (level). Owned by the mailbox. */
int crier_mailbox_fd(const struct crier_mailbox *mailbox);

#endif
