/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads every kernel program by itself, chosen or not, in each variant that user space can ask for, and tells what the
 * verifier made of it: "@@pass", "@@fail" or "@@unable verify/PROGRAM", and the counts as "@@data". Needs root.
 */
#include "../../src/probe/internal.h"

#include "../bpf/relocated.h"
#include "crier/base/cleanup.h"

#include <stdarg.h>
#include <unistd.h>

#define LOG_MAX 400000

static char cut_path[64];   /* what crier cuts out of the kernel's BTF */
static char words[LOG_MAX]; /* libbpf's, the verifier's log in it */
static size_t words_len;

static int keep_words(enum libbpf_print_level level, const char *format, va_list args)
{
	int n;

	if (level == LIBBPF_DEBUG || words_len >= sizeof(words) - 1)
		return 0;
	n = vsnprintf(words + words_len, sizeof(words) - words_len, format, args);
	if (n > 0)
		words_len = crier_min(words_len + (size_t)n, sizeof(words) - 1);
	return 0;
}

struct counts {
	unsigned insns, verified; /* after the verifier's rewriting; walked by it (0: told since 5.16) */
	uint64_t relocated;	  /* what it was given, in the last variant */
};

/* The hook that a program serves; NULL for the iterator. */
static const struct crier_hook *hook_of(const char *program, unsigned *ret_found,
					struct crier_btf_facts *facts)
{
	for (unsigned event = 0; event < CRIER_PROBE_EVENT_COUNT; event++) {
		const struct crier_hook_list *list = &crier_hook_lists[event];

		for (size_t i = 0; i < list->count; i++) {
			size_t len = strlen(list->hooks[i].program);

			if (strncmp(list->hooks[i].program, program, len) != 0 ||
			    (program[len] && strcmp(program + len, CRIER_SECOND) != 0))
				continue;
			*ret_found = facts->found[event][i];
			return &list->hooks[i];
		}
	}
	return NULL;
}

static bool is_second(const char *name)
{
	return strstr(name, CRIER_SECOND) != NULL;
}

/* @param btf  a file instead of the kernel's whole BTF, or NULL */
static int load_alone(const char *name, bool is_v2, const struct crier_btf_facts *facts, const char *btf,
		      struct counts *ret)
{
	struct bpf_object_open_opts opts = {.sz = sizeof(opts), .btf_custom_path = btf};
	struct crier_bpf *skel = crier_bpf__open_opts(&opts);
	struct bpf_prog_info info = {0};
	struct bpf_program *program;
	__u32 len = sizeof(info);
	int r;

	if (!skel)
		return -errno;
	words_len = 0;
	words[0] = '\0';
	bpf_map__set_max_entries(skel->maps.crier_ring_bulk, 1 << 16);
	bpf_map__set_max_entries(skel->maps.crier_ring_critical, 1 << 16);
	skel->rodata->crier_primary_is_v2 = is_v2;
	skel->rodata->crier_primary_hierarchy_id = is_v2 ? 0 : 1;
	skel->rodata->crier_exit_has_group_dead = facts->exit_has_group_dead;
	skel->rodata->crier_has_second = is_second(name);
	skel->rodata->crier_page_size = (__u32)sysconf(_SC_PAGESIZE);
	bpf_object__for_each_program (program, skel->obj)
		bpf_program__set_autoload(program, strcmp(bpf_program__name(program), name) == 0);
	r = crier_put_calls(skel->obj, facts);
	if (r == 0)
		r = crier_bpf__load(skel);
	if (r == 0 && ret) {
		program = bpf_object__find_program_by_name(skel->obj, name);
		ret->relocated = relocated_hash(program);
		if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len) == 0) {
			ret->insns = crier_max(ret->insns, info.xlated_prog_len / 8);
			ret->verified = crier_max(ret->verified, info.verified_insns);
		}
	}
	crier_bpf__destroy(skel);
	return r;
}

/* With the calls that this kernel has; as crier gives up those for preemption, so may this. */
static int load_with_calls(const char *name, bool is_v2, struct crier_btf_facts *facts, struct counts *ret)
{
	int r = load_alone(name, is_v2, facts, NULL, ret);

	if (r == 0 || !facts->preempt_disable)
		return r;
	facts->preempt_disable = 0;
	return load_alone(name, is_v2, facts, NULL, ret);
}

/* As crier does where the kernel takes no calls, and second programs neither. What depends on the hierarchy is seen with them. */
static int load_without_calls(const char *name, const struct crier_btf_facts *facts)
{
	struct crier_btf_facts none = *facts;

	none.preempt_disable = none.rdonly_cast = 0;
	return load_alone(name, true, &none, NULL, NULL);
}

/* As crier starts: by the cut, which must lead to the same instructions. */
static int load_by_cut(const char *name, bool is_v2, const struct crier_btf_facts *facts,
		       const struct counts *whole)
{
	struct counts cut = {0};
	int r = load_alone(name, is_v2, facts, cut_path, &cut);

	if (r == 0 && cut.relocated != whole->relocated) {
		snprintf(words, sizeof(words), "the part of BTF that is cut out relocates it otherwise");
		words_len = strlen(words);
		return -EBADMSG;
	}
	return r;
}

/* @return false: refused though the kernel has what it hooks */
static bool verify(const char *name, struct crier_btf_facts *facts, struct counts *ret)
{
	static const struct {
		bool is_v2;
		const char *name;
	} variants[] = {{true, "v2"}, {false, "v1"}};
	unsigned found = 1;
	const struct crier_hook *hook = hook_of(name, &found, facts);

	if (hook && !found) {
		printf("@@unable verify/%s: this kernel has no %s\n", name, hook->target);
		return true;
	}
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(variants); i++) {
		int r = load_with_calls(name, variants[i].is_v2, facts, ret);

		if (r == 0)
			r = load_by_cut(name, variants[i].is_v2, facts, ret);
		if (r == 0 && variants[i].is_v2 && facts->rdonly_cast && !is_second(name))
			r = load_without_calls(name, facts);
		if (r == 0)
			continue;
		printf("@@fail verify/%s: variant %s: %s\n", name, variants[i].name, strerror(-r));
		printf("%s\n", words_len > 6000 ? words + words_len - 6000 : words);
		return false;
	}
	printf("@@pass verify/%s\n", name);
	return true;
}

int main(void)
{
	struct crier_btf_facts facts;
	struct crier_err err = {0};
	struct bpf_program *program;
	struct crier_bpf *skel;
	bool first = true;
	char data[8192];
	size_t used = 0;
	int cut = -1;

	libbpf_set_print(keep_words);
	skel = crier_bpf__open();
	if (!skel || crier_btf_read(NULL, &facts, &cut, &err) < 0 || cut < 0) {
		printf("@@fail verify: %s\n", cut < 0 ? strerror(-cut) : err.message);
		return 1;
	}
	snprintf(cut_path, sizeof(cut_path), "/proc/self/fd/%d", cut);
	bpf_object__for_each_program (program, skel->obj) {
		const char *name = bpf_program__name(program);
		struct counts counts = {0};

		if (verify(name, &facts, &counts) && counts.insns && used < sizeof(data) - 128)
			used += (size_t)snprintf(data + used, sizeof(data) - used, "%s\"%s\": [%u, %u]",
						 first ? "" : ", ", name, counts.insns, counts.verified);
		first = first && used == 0;
		fflush(stdout);
	}
	printf("@@data programs {%.*s}\n", (int)used, data);
	crier_bpf__destroy(skel);
	return 0;
}
