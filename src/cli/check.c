/* SPDX-License-Identifier: Apache-2.0 */
/* crier check */
#include "check.h"

#include <stdarg.h>
#include <string.h>

#include "crier/base/log.h"
#include "verb.h"

/* Width of the first column. */
#define AREA_WIDTH 17

static void (*const probes[])(struct crier_check *check) = {
	crier_check_kernel, crier_check_cgroups,  crier_check_rights,  crier_check_hardening,
	crier_check_hooks,  crier_check_pressure, crier_check_runtime, crier_check_files,
};

static const char *const status_names[CRIER_FINDING_STATUS_COUNT] = {"ok", "degraded", "failed"};

struct crier_finding *crier_check_add(struct crier_check *check, const char *area)
{
	struct crier_finding *finding;

	if (check->count < CRIER_FINDINGS_MAX)
		check->count++;
	finding = &check->findings[check->count - 1];
	json_decref(finding->facts);
	*finding = (struct crier_finding){.area = area};
	return finding;
}

static void append(char *text, size_t cap, const char *separator, const char *format, va_list args)
{
	size_t len = strlen(text);

	if (len && len < cap)
		len += (size_t)snprintf(text + len, cap - len, "%s", separator);
	if (len < cap)
		vsnprintf(text + len, cap - len, format, args);
}

void crier_finding_worsen(struct crier_finding *finding, enum crier_finding_status status, const char *remedy,
			  ...)
{
	va_list args;

	finding->status = crier_max(finding->status, status);
	va_start(args, remedy);
	append(finding->remedy, sizeof(finding->remedy), "; ", remedy, args);
	va_end(args);
}

void crier_finding_say(struct crier_finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(finding->text, sizeof(finding->text), ", ", format, args);
	va_end(args);
}

static enum crier_finding_status verdict(const struct crier_check *check, unsigned *ret_notes)
{
	enum crier_finding_status worst = CRIER_FINDING_OK;
	unsigned notes = 0;

	for (size_t i = 0; i < check->count; i++) {
		worst = crier_max(worst, check->findings[i].status);
		notes += check->findings[i].status != CRIER_FINDING_OK;
	}
	*ret_notes = notes;
	return worst;
}

/* Messages come from the runtime, the kernel and the file system: a terminal must not obey them. */
static void print_clean(const char *text)
{
	for (; *text; text++)
		putchar((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text);
}

static void print_text(const struct crier_check *check)
{
	static const char *const marks[CRIER_FINDING_STATUS_COUNT] = {"", "degraded: ", "FAILED: "};
	unsigned notes;
	enum crier_finding_status worst = verdict(check, &notes);

	for (size_t i = 0; i < check->count; i++) {
		const struct crier_finding *finding = &check->findings[i];

		printf("%-*s%s", AREA_WIDTH, finding->area, marks[finding->status]);
		print_clean(finding->text);
		putchar('\n');
		if (finding->remedy[0]) {
			printf("%-*s-> ", AREA_WIDTH, "");
			print_clean(finding->remedy);
			putchar('\n');
		}
	}
	printf("%-*s%s", AREA_WIDTH, "verdict", status_names[worst]);
	if (notes)
		printf(": %u note%s above", notes, notes == 1 ? "" : "s");
	putchar('\n');
}

static int print_json(struct crier_check *check)
{
	unsigned notes;
	json_t *list = json_array();
	const char *word = status_names[verdict(check, &notes)];

	for (size_t i = 0; i < check->count; i++) {
		struct crier_finding *finding = &check->findings[i];
		json_t *item = json_pack("{s:s,s:s,s:s}", "area", finding->area, "status",
					 status_names[finding->status], "text", finding->text);

		if (!item) /* text that is not UTF-8 */
			item = json_pack("{s:s,s:s}", "area", finding->area, "status",
					 status_names[finding->status]);
		if (finding->remedy[0])
			json_object_set_new(item, "remedy", json_string(finding->remedy));
		if (finding->facts)
			json_object_set(item, "facts", finding->facts);
		json_array_append_new(list, item);
	}
	return crier_cli_print_json(json_pack("{s:s,s:s,s:i,s:o}", "version", CRIER_VERSION, "verdict", word,
					      "notes", notes, "findings", list));
}

int crier_verb_check(int argc, char **argv)
{
	/* Exit codes are the statuses' numbers. */
	_Static_assert((int)CRIER_FINDING_DEGRADED == CRIER_EXIT_DEGRADED &&
			       (int)CRIER_FINDING_FAILED == CRIER_EXIT_REFUSED,
		       "an exit code for each verdict");
	struct crier_config config;
	struct crier_check *check;
	unsigned notes;
	int rest, code;

	code = crier_cli_config(&config, argc, argv, 0, &rest);
	if (code != CRIER_EXIT_OK)
		return code;
	check = calloc(1, sizeof(*check));
	if (!check) {
		crier_config_done(&config);
		return crier_cli_refuse("check: out of memory");
	}
	check->config = &config;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(probes); i++)
		probes[i](check);
	code = CRIER_EXIT_OK;
	if (crier_cli_output(&config) == CRIER_OUTPUT_JSON)
		code = print_json(check);
	else
		print_text(check);
	code = crier_max(code, crier_cli_finish((int)verdict(check, &notes)));
	for (size_t i = 0; i < check->count; i++)
		json_decref(check->findings[i].facts);
	free(check);
	crier_config_done(&config);
	return code;
}
