/* SPDX-License-Identifier: Apache-2.0 */
/* The generated part of docs/events.md: one table for each block and each type, from the same rows. */
#include <stdio.h>
#include <stdlib.h>

#include "fields.h"
#include "crier/names.h"

static const char *const kind_words[CRIER_FIELD_KIND_COUNT] = {
	[CRIER_FIELD_UINT] = "integer",
	[CRIER_FIELD_INT] = "integer",
	[CRIER_FIELD_ID] = "string of digits",
	[CRIER_FIELD_TIME] = "time",
	[CRIER_FIELD_BOOL] = "boolean",
	[CRIER_FIELD_FLAG] = "true or absent",
	[CRIER_FIELD_RATIO] = "number",
	[CRIER_FIELD_ENUM] = "word",
	[CRIER_FIELD_NAME] = "word",
	[CRIER_FIELD_TEXT] = "text",
	[CRIER_FIELD_WHOLE] = "text",
	[CRIER_FIELD_CSTR] = "text",
	[CRIER_FIELD_BASENAME] = "text",
	[CRIER_FIELD_SENTENCE] = "sentence",
	[CRIER_FIELD_TEXTS] = "array of texts",
	[CRIER_FIELD_LABELS] = "object of texts",
	[CRIER_FIELD_EVENT_ID] = "event id",
	[CRIER_FIELD_INCIDENT_ID] = "incident id",
	[CRIER_FIELD_PROCESS_KEY] = "process key",
	[CRIER_FIELD_SLOT] = "slot",
};

/* ": `a`, `b`" for closed lists */
static void put_words(FILE *out, const struct crier_field *field)
{
	bool is_enum = field->kind == CRIER_FIELD_ENUM;
	const char *separator = ": ";

	if (!field->names)
		return;
	if (field->names == crier_type_names) {
		fputs(": a type", out);
		return;
	}
	for (size_t i = is_enum; is_enum ? i < field->max : field->names[i] != NULL; i++) {
		if (!field->names[i])
			continue;
		fprintf(out, "%s`%s`", separator, field->names[i]);
		separator = ", ";
	}
}

/* What a lean line keeps of a field. */
static void put_lean(FILE *out, const struct crier_field *field, bool is_lean)
{
	if (!is_lean)
		return;
	if (!field->lean_skip)
		fputs("yes", out);
	else if (field->kind == CRIER_FIELD_ENUM)
		fprintf(out, "unless `%s`", field->names[field->lean_skip - 1]);
	else
		fprintf(out, "unless %u", field->lean_skip - 1u);
}

static void put_rows(FILE *out, const char *prefix, const struct crier_field *table, bool is_lean)
{
	for (const struct crier_field *field = table; field->kind != CRIER_FIELD_END; field++) {
		bool lean = is_lean && !field->full_only;
		char path[256];

		snprintf(path, sizeof(path), "%s%s%s", prefix, field->key,
			 field->kind == CRIER_FIELD_ARRAY ? "[]" : "");
		if (field->kind == CRIER_FIELD_OBJECT || field->kind == CRIER_FIELD_ARRAY) {
			fprintf(out, "| `%s` | %s | %s | %s |\n", path,
				field->kind == CRIER_FIELD_ARRAY ? "array of objects" : "object",
				lean ? "yes" : "", field->doc);
			snprintf(path + strlen(path), sizeof(path) - strlen(path), ".");
			put_rows(out, path, field->sub, lean);
			continue;
		}
		fprintf(out, "| `%s` | %s", path, kind_words[field->kind]);
		put_words(out, field);
		fputs(" | ", out);
		put_lean(out, field, lean);
		fprintf(out, " | %s |\n", field->doc);
	}
}

static void put_table(FILE *out, const char *prefix, const struct crier_field *table)
{
	fputs("| field | kind | lean | meaning |\n|---|---|---|---|\n", out);
	put_rows(out, prefix, table, true);
	fputs("\n", out);
}

static const struct {
	const char *title, *prefix, *doc;
	const struct crier_field *tables[3];
} blocks[] = {
	{"Head", "", "On every line, but `filter` and `probe`.", {crier_head_fields}},
	{"process", "process.", "The subject: to whom it happened.", {crier_process_fields}},
	{"actor",
	 "actor.",
	 "Who caused it, where that is known: sender, trigger, parent.",
	 {crier_actor_fields}},
	{"cgroup",
	 "cgroup.",
	 "The subject's cgroup. Lean lines have the path only where the container is not fully known.",
	 {crier_cgroup_fields}},
	{"container", "container.", "The subject's container.", {crier_container_fields}},
	{"k8s", "k8s.", "Where it happened.", {crier_k8s_node_fields, crier_k8s_pod_fields}},
	{"attribution",
	 "attribution.",
	 "On every line: how sure container and pod are.",
	 {crier_attribution_fields}},
	{"correlation", "correlation.", "Keys that are safe to join on.", {crier_correlation_fields}},
};

static void put_type(FILE *out, const struct crier_type_info *info)
{
	fprintf(out, "### %s\n\n%s\n\nSeverity %s, priority %s, loss class %s, %s by default.\n\n",
		info->name, info->doc, crier_severity_names[info->severity],
		crier_priority_names[info->priority], info->critical_class ? "critical" : "bulk",
		info->full ? "full" : "lean");
	put_table(out, "data.", info->data);
}

char *crier_schema_markdown(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	fputs("## Blocks\n\n", out);
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(blocks); i++) {
		fprintf(out, "### %s\n\n%s\n\n", blocks[i].title, blocks[i].doc);
		fputs("| field | kind | lean | meaning |\n|---|---|---|---|\n", out);
		for (size_t k = 0; k < CRIER_ARRAY_SIZE(blocks[i].tables) && blocks[i].tables[k]; k++)
			put_rows(out, blocks[i].prefix, blocks[i].tables[k], true);
		fputs("\n", out);
	}
	fputs("## Types\n\n", out);
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++)
		put_type(out, crier_type_info(type));
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
