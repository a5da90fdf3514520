/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive doubly linked list with a sentinel head; links are owned by the structs that hold them. Pure. */
#ifndef CRIER_BASE_LIST_H
#define CRIER_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct crier_list {
	struct crier_list *prev, *next;
};

static inline void crier_list_init(struct crier_list *head)
{
	head->prev = head->next = head;
}

static inline bool crier_list_is_empty(const struct crier_list *head)
{
	return head->next == head;
}

static inline void crier_list_append(struct crier_list *head, struct crier_list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/** Unlink and leave the item pointing at itself, so that a second remove is harmless. */
static inline void crier_list_remove(struct crier_list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	item->prev = item->next = item;
}

/** All items of `from` become those of `to`, whatever that was; `from` is empty then. */
static inline void crier_list_move(struct crier_list *to, struct crier_list *from)
{
	crier_list_init(to);
	if (crier_list_is_empty(from))
		return;
	*to = *from;
	to->next->prev = to->prev->next = to;
	crier_list_init(from);
}

#define crier_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/** Safe against removal of `pos` inside the loop. */
#define crier_list_each(pos, tmp, head)                                                                      \
	for (struct crier_list *pos = (head)->next, *tmp = pos->next; pos != (head);                         \
	     pos = tmp, tmp = pos->next)

#endif
