/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/mailbox.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

struct node {
	struct node *next;
	size_t len;
	void *blob;
};

struct crier_mailbox {
	pthread_mutex_t lock;
	struct node *first, *last; /* guarded by lock, as the next two */
	size_t bytes;
	int fd; /* eventfd, above zero exactly while `first` is set */
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
	for (struct node *node = mailbox->first, *next; node; node = next) {
		next = node->next;
		free(node->blob);
		free(node);
	}
	close(mailbox->fd);
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
}

static size_t cost(size_t len)
{
	return len + sizeof(struct node);
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

static int append(struct crier_mailbox *mailbox, struct node *node)
{
	pthread_mutex_lock(&mailbox->lock);
	if (cost(node->len) > mailbox->max_bytes - mailbox->bytes) {
		pthread_mutex_unlock(&mailbox->lock);
		return -EAGAIN;
	}
	mailbox->bytes += cost(node->len);
	if (mailbox->last)
		mailbox->last->next = node;
	else
		mailbox->first = node;
	mailbox->last = node;
	if (mailbox->first == node)
		raise_fd(mailbox->fd);
	pthread_mutex_unlock(&mailbox->lock);
	return 0;
}

int crier_mailbox_push(struct crier_mailbox *mailbox, const void *bytes, size_t len)
{
	if (mailbox->max_bytes < sizeof(struct node) || len > mailbox->max_bytes - sizeof(struct node))
		return -E2BIG;
	_cleanup_free_ struct node *node = calloc(1, sizeof(*node));
	_cleanup_free_ void *blob = malloc(len ? len : 1);

	if (!node || !blob)
		return -ENOMEM;
	if (len)
		memcpy(blob, bytes, len);
	node->len = len;
	node->blob = blob;
	int r = append(mailbox, node);

	if (r < 0)
		return r;
	take_ptr(blob);
	take_ptr(node);
	return 0;
}

void *crier_mailbox_pop(struct crier_mailbox *mailbox, size_t *ret_len)
{
	pthread_mutex_lock(&mailbox->lock);
	_cleanup_free_ struct node *node = mailbox->first;

	if (node) {
		mailbox->first = node->next;
		mailbox->bytes -= cost(node->len);
		if (!mailbox->first) {
			mailbox->last = NULL;
			lower_fd(mailbox->fd);
		}
	}
	pthread_mutex_unlock(&mailbox->lock);
	if (!node)
		return NULL;
	*ret_len = node->len;
	return node->blob;
}

int crier_mailbox_fd(const struct crier_mailbox *mailbox)
{
	return mailbox->fd;
}
