/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

/*
 * Blobs lie one after another in chunks that the C library takes from the kernel and gives back whole. Thousands of them,
 * each for a moment, between what lives on would leave as many holes in the heap.
 */
#define CHUNK_BYTES ((size_t)256 * 1024)
/* An empty chunk that was used so far is given back: the next message of a quiet node needs a page. */
#define KEPT_BYTES ((size_t)16 * 1024)

struct blob {
	size_t len;
	_Alignas(16) char bytes[];
};

struct chunk {
	struct chunk *next;
	size_t size; /* of `bytes` */
	size_t written, read;
	_Alignas(16) char bytes[];
};

struct crier_mailbox {
	pthread_mutex_t lock;
	struct chunk *first, *last; /* guarded by lock, as the next two */
	size_t bytes;		    /* of blobs that wait */
	int fd;			    /* eventfd, above zero exactly while blobs wait */
	size_t max_bytes;
};

int crier_mailbox_new(size_t max_bytes, struct crier_mailbox **ret_mailbox)
{
	struct crier_mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (!mailbox)
		return -ENOMEM;
	mailbox->max_bytes = max_bytes;
	mailbox->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mailbox->fd < 0) {
		int r = -errno;

		free(mailbox);
		return r;
	}
	pthread_mutex_init(&mailbox->lock, NULL);
	*ret_mailbox = mailbox;
	return 0;
}

void crier_mailbox_free(struct crier_mailbox *mailbox)
{
	if (!mailbox)
		return;
	for (struct chunk *chunk = mailbox->first, *next; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	close(mailbox->fd);
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

/* With its header and what aligns the next one. */
static size_t cost(size_t len)
{
	return (sizeof(struct blob) + len + _Alignof(struct blob) - 1) & ~(_Alignof(struct blob) - 1);
}

/* The counter only goes 0 -> 1 -> 0, so neither call can block or fail. */
static void raise_fd(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0)
		return;
}

static void lower_fd(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0)
		return;
}

static struct chunk *chunk_new(size_t needed)
{
	size_t size = crier_max(needed, CHUNK_BYTES - sizeof(struct chunk));
	struct chunk *chunk = malloc(sizeof(*chunk) + size);

	if (chunk)
		*chunk = (struct chunk){.size = size};
	return chunk;
}

/* @return where a blob of this cost goes; NULL: out of memory */
static struct blob *make_room(struct crier_mailbox *mailbox, size_t needed)
{
	struct chunk *chunk = mailbox->last;
	struct blob *blob;

	if (!chunk || needed > chunk->size - chunk->written) {
		chunk = chunk_new(needed);
		if (!chunk)
			return NULL;
		if (mailbox->last)
			mailbox->last->next = chunk;
		else
			mailbox->first = chunk;
		mailbox->last = chunk;
	}
	blob = (struct blob *)(void *)(chunk->bytes + chunk->written);
	chunk->written += needed;
	return blob;
}

static int push(struct crier_mailbox *mailbox, const void *bytes, size_t len)
{
	struct blob *blob;

	if (cost(len) > mailbox->max_bytes - mailbox->bytes)
		return -EAGAIN;
	blob = make_room(mailbox, cost(len));
	if (!blob)
		return -ENOMEM;
	blob->len = len;
	if (len)
		memcpy(blob->bytes, bytes, len);
	if (mailbox->bytes == 0)
		raise_fd(mailbox->fd);
	mailbox->bytes += cost(len);
	return 0;
}

int crier_mailbox_push(struct crier_mailbox *mailbox, const void *bytes, size_t len)
{
	if (len > mailbox->max_bytes || cost(len) > mailbox->max_bytes)
		return -E2BIG;
	pthread_mutex_lock(&mailbox->lock);
	int r = push(mailbox, bytes, len);

	pthread_mutex_unlock(&mailbox->lock);
	return r;
}

/* The blob told last is read by now. @return the chunk that holds the next one; NULL: none waits */
static struct chunk *drop_read(struct crier_mailbox *mailbox)
{
	struct chunk *chunk = mailbox->first;

	if (!chunk || chunk->read < chunk->written)
		return chunk;
	if (!chunk->next && chunk->written <= KEPT_BYTES) {
		chunk->read = chunk->written = 0;
		return NULL;
	}
	mailbox->first = chunk->next;
	if (!mailbox->first)
		mailbox->last = NULL;
	free(chunk);
	return mailbox->first;
}

const void *crier_mailbox_pop(struct crier_mailbox *mailbox, size_t *ret_len)
{
	const struct blob *blob = NULL;

	pthread_mutex_lock(&mailbox->lock);
	struct chunk *chunk = drop_read(mailbox);

	if (chunk) {
		blob = (const struct blob *)(const void *)(chunk->bytes + chunk->read);
		chunk->read += cost(blob->len);
		mailbox->bytes -= cost(blob->len);
		if (mailbox->bytes == 0)
			lower_fd(mailbox->fd);
	}
	pthread_mutex_unlock(&mailbox->lock);
	if (!blob)
		return NULL;
	*ret_len = blob->len;
	return blob->bytes;
}

int crier_mailbox_fd(const struct crier_mailbox *mailbox)
{
	return mailbox->fd;
}
