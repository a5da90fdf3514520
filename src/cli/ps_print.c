/* SPDX-License-Identifier: Apache-2.0 */
/* The containers as a table or as JSON. Names come from the runtime: a terminal must not obey them. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "crier/base/json.h"
#include "ps.h"
#include "verb.h"
#include "crier/names.h"

enum { NAMESPACE, POD, CONTAINER, TYPE, ID, STATE, PID, RESTARTS, MEMORY, CGROUP, SOURCE, UID, COLUMN_COUNT };
/* The table has the columns before UID; there a uid stands for a pod without a name. */
#define SHOWN UID

static const struct {
	const char *title, *key;
	bool number;
} columns[COLUMN_COUNT] = {
	[NAMESPACE] = {"NAMESPACE", "namespace", false},
	[POD] = {"POD", "pod", false},
	[CONTAINER] = {"CONTAINER", "container", false},
	[TYPE] = {"TYPE", "type", false},
	[ID] = {"ID", "id", false},
	[STATE] = {"STATE", "state", false},
	[PID] = {"PID", "pid", true},
	[RESTARTS] = {"RESTARTS", "restarts", true},
	[MEMORY] = {"MEMORY", "memory_limit_bytes", true},
	[CGROUP] = {"CGROUP", "cgroup_id", false},
	[SOURCE] = {"SOURCE", "source", false},
	[UID] = {"", "pod_uid", false},
};

#define CELL_MAX 256
#define ID_SHOWN 12 /* digits of an id in the table: what other tools show; JSON has all */
#define GROW	 64

struct row {
	char cell[COLUMN_COUNT][CELL_MAX]; /* "" = not known */
};

struct table {
	struct row *rows;
	size_t count, cap;
	bool failed; /* out of memory */
};

static void put_slice(char *cell, struct crier_slice text)
{
	(void)crier_copy_str(cell, CELL_MAX, text.ptr ? text : CRIER_SLICE(""));
}

static void put_number(char *cell, uint64_t value)
{
	if (value != CRIER_UNKNOWN_U64)
		snprintf(cell, CELL_MAX, "%" PRIu64, value);
}

static void put_word(char *cell, const char *word)
{
	put_slice(cell, crier_slice_of(word));
}

static void fill(struct row *row, const struct crier_container *container)
{
	const struct crier_pod *pod = container->pod;

	uint8_t source = container->source;

	*row = (struct row){0};
	/* A sandbox is its pod: what is known of it was told of the pod. */
	if (pod && container->type == CRIER_CONTAINER_TYPE_SANDBOX)
		source = crier_max(source, pod->source);
	put_slice(row->cell[NAMESPACE], pod ? pod->namespace_ : CRIER_SLICE_NONE);
	put_slice(row->cell[POD], pod ? pod->name : CRIER_SLICE_NONE);
	if (pod)
		put_word(row->cell[UID], pod->uid);
	put_slice(row->cell[CONTAINER], container->name);
	put_word(row->cell[TYPE], crier_container_type_names[container->type]);
	put_word(row->cell[ID], container->id);
	put_word(row->cell[STATE], crier_state_names[container->cri_state]);
	put_number(row->cell[PID], container->init_pid);
	put_number(row->cell[RESTARTS], container->restart_count);
	put_number(row->cell[MEMORY], container->memory_limit_bytes);
	put_number(row->cell[CGROUP], container->cgroup_id);
	put_word(row->cell[SOURCE], crier_source_names[source]);
}

static bool add_row(void *ctx, struct crier_container *container)
{
	struct table *table = ctx;

	if (table->count == table->cap) {
		struct row *rows = realloc(table->rows, (table->cap + GROW) * sizeof(*rows));

		if (!rows) {
			table->failed = true;
			return false;
		}
		table->rows = rows;
		table->cap += GROW;
	}
	fill(&table->rows[table->count++], container);
	return true;
}

static int compare(const void *a, const void *b)
{
	static const int order[] = {NAMESPACE, POD, CONTAINER, ID};
	const struct row *first = a, *second = b;

	for (size_t i = 0; i < CRIER_ARRAY_SIZE(order); i++) {
		int r = strcmp(first->cell[order[i]], second->cell[order[i]]);

		if (r)
			return r;
	}
	return 0;
}

static int gather(struct crier_index *index, struct table *table)
{
	crier_index_each(index, add_row, table);
	if (table->failed) {
		free(table->rows);
		return crier_cli_refuse("ps: out of memory");
	}
	if (table->count)
		qsort(table->rows, table->count, sizeof(*table->rows), compare);
	return CRIER_EXIT_OK;
}

/* As a person reads it: short ids, sizes with units, "-" for what is not known. */
static void make_readable(struct row *row)
{
	uint64_t bytes;
	struct crier_buf buf;

	row->cell[ID][ID_SHOWN] = '\0';
	if (!row->cell[POD][0])
		memcpy(row->cell[POD], row->cell[UID], CELL_MAX);
	if (crier_parse_u64(crier_slice_of(row->cell[MEMORY]), &bytes) == 0) {
		crier_buf_init(&buf, row->cell[MEMORY], CELL_MAX - 1);
		crier_put_bytes(&buf, bytes);
		buf.data[buf.len] = '\0';
	}
	for (size_t c = 0; c < COLUMN_COUNT; c++) {
		char *cell = row->cell[c];

		if (!*cell)
			memcpy(cell, "-", 2);
		for (; *cell; cell++)
			if ((unsigned char)*cell < 0x20 || *cell == 0x7f)
				*cell = '?';
	}
}

int crier_ps_print_text(struct crier_index *index)
{
	size_t width[SHOWN];
	struct table table = {0};
	int code = gather(index, &table);

	if (code != CRIER_EXIT_OK)
		return code;
	for (size_t c = 0; c < SHOWN; c++)
		width[c] = strlen(columns[c].title);
	for (size_t i = 0; i < table.count; i++) {
		make_readable(&table.rows[i]);
		for (size_t c = 0; c < SHOWN; c++)
			width[c] = crier_max(width[c], strlen(table.rows[i].cell[c]));
	}
	for (size_t c = 0; c < SHOWN; c++)
		printf("%-*s%s", c + 1 < SHOWN ? (int)width[c] : 0, columns[c].title,
		       c + 1 < SHOWN ? "  " : "\n");
	for (size_t i = 0; i < table.count; i++)
		for (size_t c = 0; c < SHOWN; c++)
			printf("%-*s%s", c + 1 < SHOWN ? (int)width[c] : 0, table.rows[i].cell[c],
			       c + 1 < SHOWN ? "  " : "\n");
	free(table.rows);
	return crier_cli_finish(CRIER_EXIT_OK);
}

static json_t *row_to_json(const struct row *row)
{
	json_t *object = json_object();

	for (size_t c = 0; c < COLUMN_COUNT; c++) {
		const char *cell = row->cell[c];
		uint64_t number;

		if (!*cell)
			continue;
		if (columns[c].number && crier_parse_u64(crier_slice_of(cell), &number) == 0)
			json_object_set_new(object, columns[c].key, json_integer((json_int_t)number));
		else if (crier_utf8_is_valid(crier_slice_of(cell)))
			json_object_set_new(object, columns[c].key, json_string(cell));
	}
	return object;
}

int crier_ps_print_json(struct crier_index *index)
{
	struct table table = {0};
	json_t *list = json_array();
	int code = gather(index, &table);

	for (size_t i = 0; code == CRIER_EXIT_OK && i < table.count; i++)
		json_array_append_new(list, row_to_json(&table.rows[i]));
	if (code != CRIER_EXIT_OK) {
		json_decref(list);
		return code;
	}
	free(table.rows);
	return crier_cli_print_json(json_pack("{s:o}", "containers", list));
}
