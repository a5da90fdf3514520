/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the C library may keep. A burst (a list of thousands of containers, a flood of events on hold, a reader that
 * hangs) needs memory for seconds; a daemon that keeps it for good is what people measure.
 */
#include "agent.h"

#include <errno.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

/* Anything larger goes back to the kernel when it is freed; setting it also ends glibc's raising of it. */
#define MMAP_THRESHOLD (128 * 1024)
/* Free memory that is worth the walk over it. */
#define TRIM_BYTES    ((size_t)1024 * 1024)
#define TRIM_EVERY_NS (10 * SECOND_NS)

void crier_agent_limit_memory(void)
{
	/* One arena for all threads: the event path allocates nothing, so nobody waits, and gRPC's threads keep none of their own. */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	mallopt(M_TRIM_THRESHOLD, MMAP_THRESHOLD);
}

/* Somebody traces this process: a debugger's breakpoints are changes of the program's pages. */
static bool is_traced(void)
{
	static const char key[] = "\nTracerPid:\t";
	char text[4096];
	_cleanup_close_ int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len <= 0)
		return true; /* not known: as if */
	text[len] = '\0';

	const char *found = strstr(text, key);

	return !found || found[sizeof(key) - 1] != '0';
}

/* An object that is changed where its program lies must keep what was changed; linkers warn of such. */
static bool has_text_relocations(const struct dl_phdr_info *info)
{
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *head = &info->dlpi_phdr[i];

		if (head->p_type != PT_DYNAMIC)
			continue;
		for (const ElfW(Dyn) *entry = (const void *)(info->dlpi_addr + head->p_vaddr);
		     entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_TEXTREL ||
			    (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL)))
				return true;
	}
	return false;
}

/* Whole pages of a file that nobody may write: the next use finds them in the page cache. */
static int drop_object(struct dl_phdr_info *info, size_t size, void *ctx)
{
	uintptr_t page = *(const uintptr_t *)ctx;

	(void)size;
	if (has_text_relocations(info))
		return 0;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *head = &info->dlpi_phdr[i];
		uintptr_t from = (info->dlpi_addr + head->p_vaddr + page - 1) & ~(page - 1);
		uintptr_t to = (info->dlpi_addr + head->p_vaddr + head->p_filesz) & ~(page - 1);

		if (head->p_type == PT_LOAD && !(head->p_flags & PF_W) && to > from)
			(void)madvise((void *)from, to - from, MADV_DONTNEED);
	}
	return 0;
}

void crier_agent_drop_program(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	if (!is_traced())
		(void)dl_iterate_phdr(drop_object, &page);
}

uint64_t crier_agent_give_back_due(const struct crier_agent *agent)
{
	return agent->has_settled ? UINT64_MAX : agent->trimmed_ns + TRIM_EVERY_NS;
}

void crier_agent_give_back(struct crier_agent *agent, uint64_t now_ns)
{
	bool is_first = !agent->has_settled; /* the runtime's first lists are worked off by now */
	bool is_burst;

	if (now_ns - agent->trimmed_ns < TRIM_EVERY_NS)
		return;
	agent->trimmed_ns = now_ns;
	agent->has_settled = true;
	is_burst = mallinfo2().fordblks >= TRIM_BYTES;
	if (is_burst)
		malloc_trim(0);
	if (is_burst || is_first)
		crier_agent_drop_program();
}
