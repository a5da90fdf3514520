/* SPDX-License-Identifier: Apache-2.0 */
/* crier help: --help, docs/crier.8 and docs/options.md, all from the verbs' table, the option table and the tables here. */
#include <string.h>

#include "verb.h"

struct entry {
	const char *name, *text;
};

static const struct entry exit_codes[] = {
	{"0", "Done; run ended by SIGTERM or SIGINT; check found nothing missing."},
	{"1", "Begun and failed: the reader of stdout went away, a disk is full, a recording is damaged. "
	      "check: crier works here, with notes."},
	{"2",
	 "Refused, nothing was begun: unknown verb or option, bad value or file, missing rights, no kernel support. "
	 "check: this node cannot run crier."},
};
_Static_assert(CRIER_ARRAY_SIZE(exit_codes) == CRIER_EXIT_COUNT, "each exit code is documented");

static const struct entry signals[] = {
	{"SIGTERM, SIGINT", "End in order: drain, flush, agent.stop, exit 0 within --stop-deadline."},
	{"SIGHUP",
	 "Read the config file again. A bad file, or one that changes what needs a restart, is refused with a warning and "
	 "the old one stays."},
};

static const struct entry environment[] = {
	{"NODE_NAME", "Name of the node when --node-name is not given."},
	{"NO_COLOR", "When set and not empty, --colour auto means never."},
};

static const struct entry files[] = {
	{"/run/crier/state.json", "Last number and time of the run before; see --state-file."},
	{"/sys/kernel/btf/vmlinux", "Types of the running kernel; see --btf."},
};

static void print_entries(const char *title, const struct entry *entries, size_t count)
{
	printf("\n%s:\n", title);
	for (size_t i = 0; i < count; i++)
		printf("  %-16s %s\n", entries[i].name, entries[i].text);
}

static void print_help(void)
{
	puts("crier tells the kernel events of a Kubernetes node, each with the name of the pod it happened to:\n"
	     "one JSON object a line on stdout, diagnostics on stderr.\n\n"
	     "usage: crier [VERB] [options]\n\nVerbs:");
	for (const struct crier_verb *verb = crier_verbs(); verb->name; verb++) {
		printf("  %s %s\n", verb->name, verb->arguments);
		printf("      %s\n", verb->doc);
	}
	puts("\nOptions are the same for all verbs; check and ps print text unless told --output json.\n");
	crier_config_print_help(stdout);
	print_entries("Exit codes", exit_codes, CRIER_ARRAY_SIZE(exit_codes));
	print_entries("Signals", signals, CRIER_ARRAY_SIZE(signals));
	print_entries("Environment", environment, CRIER_ARRAY_SIZE(environment));
}

static void print_markdown(void)
{
	puts("# Options\n\nMade by `crier help --markdown` from the option table; do not edit.\n\n"
	     "Flags and YAML keys are the same words. `crier config` prints the YAML file with all defaults, "
	     "`crier config --check FILE` judges one, `crier config --effective` shows what is in force. "
	     "Flags win over the file, the file over the defaults. *reload*: SIGHUP may change it.\n");
	crier_config_print_markdown(stdout);
	puts("\n## Patterns and lists\n\n"
	     "`*` is any run of bytes, `?` one byte; an item that starts with `!` excludes. With several items any of them "
	     "will do, less the excluded ones. An event whose field is not known passes, with `filter: undetermined`. "
	     "`agent.*`, OOM kills and the `container.resolved` of a line that left always pass.\n\n"
	     "A list flag is repeated; its first use takes the place of the default or of the file's list.\n\n"
	     "## Exit codes\n\n| code | meaning |\n|---|---|");
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(exit_codes); i++)
		printf("| %s | %s |\n", exit_codes[i].name, exit_codes[i].text);
}

/* Dashes of options must stay dashes. */
static void put_roff(const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else
			putchar(*text);
	}
}

static void print_man_section(const char *title, const struct entry *entries, size_t count)
{
	printf(".SH %s\n", title);
	for (size_t i = 0; i < count; i++) {
		fputs(".TP\n.B ", stdout);
		put_roff(entries[i].name);
		putchar('\n');
		put_roff(entries[i].text);
		putchar('\n');
	}
}

static void print_man(void)
{
	puts(".\\\" Made by crier help --man from the option table; do not edit.\n"
	     ".TH CRIER 8 \"\" \"crier " CRIER_VERSION "\" \"System Administration\"\n"
	     ".SH NAME\ncrier \\- kernel events of a Kubernetes node, with the names of their pods\n.SH SYNOPSIS");
	for (const struct crier_verb *verb = crier_verbs(); verb->name; verb++) {
		printf("%s.B crier %s\n", verb == crier_verbs() ? "" : ".br\n", verb->name);
		put_roff(verb->arguments);
		putchar('\n');
	}
	puts(".SH DESCRIPTION\n"
	     "crier loads eBPF programs that report kernel events by cgroup, joins each with container and pod metadata of\n"
	     "the node's container runtime, and writes one JSON object a line to stdout. Diagnostics go to stderr.\n"
	     "It needs no access to the Kubernetes API.\n.SH VERBS");
	for (const struct crier_verb *verb = crier_verbs(); verb->name; verb++) {
		printf(".TP\n.B %s\n", verb->name);
		put_roff(verb->doc);
		putchar('\n');
	}
	puts(".SH OPTIONS\nThe same words are keys of the YAML file (\\fBcrier config\\fR prints it).\n"
	     "Flags win over the file, the file over the defaults.");
	crier_config_print_man(stdout);
	print_man_section("EXIT STATUS", exit_codes, CRIER_ARRAY_SIZE(exit_codes));
	print_man_section("SIGNALS", signals, CRIER_ARRAY_SIZE(signals));
	print_man_section("ENVIRONMENT", environment, CRIER_ARRAY_SIZE(environment));
	print_man_section("FILES", files, CRIER_ARRAY_SIZE(files));
}

int crier_verb_help(int argc, char **argv)
{
	bool man = crier_cli_take(&argc, argv, "--man"), markdown = crier_cli_take(&argc, argv, "--markdown");

	if (argc > 0)
		return crier_cli_refuse("'%.80s': argument not expected", argv[0]);
	if (man)
		print_man();
	else if (markdown)
		print_markdown();
	else
		print_help();
	return crier_cli_finish(CRIER_EXIT_OK);
}
