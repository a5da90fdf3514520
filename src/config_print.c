/* SPDX-License-Identifier: Apache-2.0 */
/* The option table for readers: --help, the default YAML file, docs/options.md and the man page. */
#include "options.h"

#include <string.h>

#define HELP_COLUMN 34
#define HELP_WIDTH  110
#define TEXT_MAX    512

/* The parts of a row as text. */
struct shown {
	char metavar[TEXT_MAX], def[TEXT_MAX], range[TEXT_MAX];
};

static void finish(struct crier_buf *buf)
{
	buf->data[buf->len] = '\0';
}

static void show(const struct crier_option *option, struct shown *ret)
{
	struct crier_buf buf;

	crier_buf_init(&buf, ret->metavar, sizeof(ret->metavar) - 1);
	crier_option_metavar(option, &buf);
	finish(&buf);
	crier_buf_init(&buf, ret->range, sizeof(ret->range) - 1);
	crier_option_put_range(option, &buf);
	finish(&buf);
	crier_buf_init(&buf, ret->def, sizeof(ret->def) - 1);
	for (const char *c = option->def ? option->def : ""; *c; c++)
		crier_buf_put_str(&buf,
				  option->kind == CRIER_OPTION_LIST && *c == ',' ? ", " : (char[]){*c, '\0'});
	finish(&buf);
}

/* ---- --help ---- */

/* Words from the given column on, broken at HELP_WIDTH. */
static void print_wrapped(FILE *file, const char *text, int column)
{
	int at = column;

	while (*text) {
		int len = (int)strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_WIDTH) {
			fprintf(file, "\n%*s", column, "");
			at = column;
		}
		at += fprintf(file, "%s%.*s", at > column ? " " : "", len, text);
		text += len;
		text += strspn(text, " ");
	}
	fputc('\n', file);
}

void crier_config_print_help(FILE *file)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);

	for (size_t i = 0; i < count; i++) {
		const struct crier_option *option = &options[i];
		char left[TEXT_MAX * 2], text[TEXT_MAX * 3];
		struct shown shown;
		int used;

		show(option, &shown);
		if (option->group)
			fprintf(file, "%s%s:\n", i ? "\n" : "", option->group);
		if (option->kind == CRIER_OPTION_BOOL)
			used = snprintf(left, sizeof(left), "  --[no-]%s", option->name);
		else
			used = snprintf(left, sizeof(left), "  --%s %s", option->name, shown.metavar);
		snprintf(text, sizeof(text), "%s%s%s%s", option->doc, option->def ? " [" : "", shown.def,
			 option->def ? "]" : "");
		fprintf(file, "%-*s", HELP_COLUMN - 1, left);
		if (used >= HELP_COLUMN - 1)
			fprintf(file, "\n%*s", HELP_COLUMN, "");
		else
			fputc(' ', file);
		print_wrapped(file, text, HELP_COLUMN);
	}
	fputs("\nA list is given by repeating its flag; the first takes the place of the default or the file's list.\n"
	      "PATTERN: * is any run of bytes, ? one byte; an item that starts with ! excludes. Several items: any of them.\n",
	      file);
}

/* ---- YAML ---- */

static void print_scalar(FILE *file, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";

	if (*text && *text != '-' && strspn(text, plain) == strlen(text)) {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

static void print_yaml_value(FILE *file, const struct crier_option *option)
{
	char items[TEXT_MAX], *rest = items;
	const char *item;

	if (!option->def) {
		fputs(option->kind == CRIER_OPTION_LIST ? " []\n" : "\n", file);
		return;
	}
	if (option->kind != CRIER_OPTION_LIST) {
		fputc(' ', file);
		print_scalar(file, option->def);
		fputc('\n', file);
		return;
	}
	(void)crier_copy_str(items, sizeof(items), crier_slice_of(option->def));
	fputc('\n', file);
	while ((item = strsep(&rest, ","))) {
		fputs("#  - ", file);
		print_scalar(file, item);
		fputc('\n', file);
	}
}

void crier_config_print_yaml(FILE *file)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);

	fputs("# crier's options with their defaults. Remove the # of a line to change its value; flags win over this file.\n"
	      "# Unknown keys are errors. Quote what begins with * or !. (r) = read again on SIGHUP.\n",
	      file);
	for (size_t i = 0; i < count; i++) {
		const struct crier_option *option = &options[i];
		struct shown shown;

		if (option->flags & CRIER_OPTION_FLAG_ONLY)
			continue;
		show(option, &shown);
		if (option->group || i == 1)
			fprintf(file, "\n# ---- %s ----\n", option->group ? option->group : options[0].group);
		fprintf(file, "\n# %s", option->doc);
		if (*shown.range)
			fprintf(file, " Allowed: %s.", shown.range);
		else if (option->kind == CRIER_OPTION_ENUM)
			fprintf(file, " One of %s.", shown.metavar);
		else if (option->kind == CRIER_OPTION_LIST)
			fprintf(file, " List of %s.", shown.metavar);
		fprintf(file, "%s\n#%s:", option->flags & CRIER_OPTION_RELOAD ? " (r)" : "",
			crier_option_key(option));
		print_yaml_value(file, option);
	}
}

/* ---- markdown and man ---- */

/* A | would end the cell. */
static void print_cell(FILE *file, const char *text)
{
	for (; *text; text++)
		fprintf(file, "%s%c", *text == '|' ? "\\" : "", *text);
}

void crier_config_print_markdown(FILE *file)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);

	for (size_t i = 0; i < count; i++) {
		const struct crier_option *option = &options[i];
		struct shown shown;

		show(option, &shown);
		if (option->group)
			fprintf(file,
				"%s## %s\n\n| flag | YAML key | value | default | allowed | reload | meaning |\n|---|---|---|---|---|---|---|\n",
				i ? "\n" : "", option->group);
		fprintf(file, "| `--%s` | ", option->name);
		fprintf(file, option->flags & CRIER_OPTION_FLAG_ONLY ? "%s" : "`%s`",
			option->flags & CRIER_OPTION_FLAG_ONLY ? "" : crier_option_key(option));
		fputs(" | ", file);
		print_cell(file, option->kind == CRIER_OPTION_BOOL ? "true|false" : shown.metavar);
		fprintf(file, *shown.def ? " | `%s`" : " | %s", shown.def);
		fprintf(file, " | %s | %s | ", shown.range, option->flags & CRIER_OPTION_RELOAD ? "yes" : "");
		print_cell(file, option->doc);
		fputs(" |\n", file);
	}
}

/* roff: a dash is a hyphen unless escaped, a backslash an escape. */
static void print_roff(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", file);
		else if (*text == '\\')
			fputs("\\e", file);
		else
			fputc(*text, file);
	}
}

void crier_config_print_man(FILE *file)
{
	size_t count;
	const struct crier_option *options = crier_options(&count);

	for (size_t i = 0; i < count; i++) {
		const struct crier_option *option = &options[i];
		struct shown shown;

		show(option, &shown);
		if (option->group)
			fprintf(file, ".SS %s\n", option->group);
		fputs(".TP\n.B ", file);
		print_roff(file, option->kind == CRIER_OPTION_BOOL ? "--[no-]" : "--");
		print_roff(file, option->name);
		fputs(" \\fR\\fI", file);
		print_roff(file, shown.metavar);
		fputs("\\fR\n", file);
		print_roff(file, option->doc);
		if (option->def) {
			fputs("\nDefault: ", file);
			print_roff(file, *shown.def ? shown.def : "empty");
			fputc('.', file);
		}
		if (*shown.range) {
			fputs("\nAllowed: ", file);
			print_roff(file, shown.range);
			fputc('.', file);
		}
		fputc('\n', file);
	}
}
