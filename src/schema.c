/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schema 2020-12 of every line, made from the field tables and the type table. */
#include <jansson.h>
#include <stdio.h>

#include "fields.h"
#include "crier/names.h"

#define EXACT_MAX (1LL << 53)

struct schema {
	bool strict; /* nothing beyond the tables */
	bool failed; /* out of memory */
};

static void set(struct schema *schema, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value) < 0)
		schema->failed = true;
}

static void set_string(struct schema *schema, json_t *object, const char *key, const char *value)
{
	set(schema, object, key, json_string(value));
}

static json_t *of_type(struct schema *schema, const char *type)
{
	json_t *value = json_object();

	set_string(schema, value, "type", type);
	return value;
}

static json_t *of_pattern(struct schema *schema, const char *pattern)
{
	json_t *value = of_type(schema, "string");

	set_string(schema, value, "pattern", pattern);
	return value;
}

static json_t *of_words(struct schema *schema, const struct crier_field *field)
{
	json_t *value = of_type(schema, "string");
	bool is_enum = field->kind == CRIER_FIELD_ENUM;
	json_t *words;

	if (!field->names)
		return value;
	words = json_array();
	for (size_t i = is_enum; is_enum ? i < field->max : field->names[i] != NULL; i++)
		if (field->names[i] && json_array_append_new(words, json_string(field->names[i])) < 0)
			schema->failed = true;
	set(schema, value, "enum", words);
	return value;
}

static json_t *of_range(struct schema *schema, const char *type, json_int_t least)
{
	json_t *value = of_type(schema, type);

	set(schema, value, "minimum", json_integer(least));
	if (type[0] == 'i')
		set(schema, value, "maximum", json_integer(EXACT_MAX));
	return value;
}

static json_t *of_text(struct schema *schema, const struct crier_field *field)
{
	json_t *value = of_type(schema, "string");

	if (field->max)
		set(schema, value, "maxLength", json_integer(field->max));
	return value;
}

#define HEX_PATTERN "^([0-9a-f]{2}){1,64}$"

static json_t *of_object(struct schema *schema, const struct crier_field *table);

static json_t *of_array(struct schema *schema, const struct crier_field *field, json_t *items)
{
	json_t *value = of_type(schema, "array");

	set(schema, value, "items", items);
	set(schema, value, "minItems", json_integer(1));
	set(schema, value, "maxItems", json_integer(field->max));
	return value;
}

static json_t *of_labels(struct schema *schema)
{
	json_t *value = of_type(schema, "object");

	set(schema, value, "additionalProperties", of_type(schema, "string"));
	return value;
}

static json_t *of_field(struct schema *schema, const struct crier_field *field)
{
	json_t *value;

	switch ((enum crier_field_kind)field->kind) {
	case CRIER_FIELD_UINT: return of_range(schema, "integer", 0);
	case CRIER_FIELD_INT: return of_range(schema, "integer", -EXACT_MAX);
	case CRIER_FIELD_RATIO: return of_range(schema, "number", 0);
	case CRIER_FIELD_ID: return of_pattern(schema, "^(0|[1-9][0-9]{0,19})$");
	case CRIER_FIELD_TIME:
		value = of_pattern(schema,
				   "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{9}Z$");
		set_string(schema, value, "format", "date-time");
		return value;
	case CRIER_FIELD_BOOL: return of_type(schema, "boolean");
	case CRIER_FIELD_FLAG:
		value = of_type(schema, "boolean");
		set(schema, value, "const", json_true());
		return value;
	case CRIER_FIELD_NAME:
	case CRIER_FIELD_ENUM: return of_words(schema, field);
	case CRIER_FIELD_TEXT:
	case CRIER_FIELD_CSTR:
	case CRIER_FIELD_WHOLE:
	case CRIER_FIELD_BASENAME:
	case CRIER_FIELD_SENTENCE: return of_text(schema, field);
	case CRIER_FIELD_SLOT: return of_pattern(schema, "^.+/.+$");
	case CRIER_FIELD_EVENT_ID: return of_pattern(schema, "^[0-9a-f]{8}-[0-9]+$");
	case CRIER_FIELD_INCIDENT_ID: return of_pattern(schema, "^[0-9a-f]{8}-i[0-9]+$");
	case CRIER_FIELD_PROCESS_KEY: return of_pattern(schema, "^[0-9a-f]{8}:[0-9]+:[0-9]+$");
	case CRIER_FIELD_OBJECT: return of_object(schema, field->sub);
	case CRIER_FIELD_ARRAY: return of_array(schema, field, of_object(schema, field->sub));
	case CRIER_FIELD_TEXTS: return of_array(schema, field, of_type(schema, "string"));
	case CRIER_FIELD_LABELS: return of_labels(schema);
	case CRIER_FIELD_END:
	case CRIER_FIELD_KIND_COUNT: break;
	}
	return json_object();
}

/* `<field>_hex`: what the untrusted bytes were. */
static void add_hex(struct schema *schema, json_t *properties, const struct crier_field *field)
{
	char key[64];
	json_t *value;

	snprintf(key, sizeof(key), "%s_hex", field->key);
	switch ((enum crier_field_kind)field->kind) {
	case CRIER_FIELD_TEXT:
	case CRIER_FIELD_CSTR:
	case CRIER_FIELD_WHOLE: value = of_pattern(schema, HEX_PATTERN); break;
	case CRIER_FIELD_TEXTS:
		value = of_type(schema, "object");
		set(schema, value, "additionalProperties", of_pattern(schema, HEX_PATTERN));
		break;
	default: return;
	}
	set_string(schema, value, "description",
		   "The first 64 bytes as they were; only where some were not valid UTF-8.");
	set(schema, properties, key, value);
}

static void add_fields(struct schema *schema, json_t *properties, const struct crier_field *table)
{
	for (const struct crier_field *field = table; field->kind != CRIER_FIELD_END; field++) {
		json_t *value = of_field(schema, field);

		set_string(schema, value, "description", field->doc);
		set(schema, properties, field->key, value);
		add_hex(schema, properties, field);
	}
}

static json_t *close_object(struct schema *schema, json_t *properties)
{
	json_t *value = of_type(schema, "object");

	set(schema, value, "properties", properties);
	if (schema->strict)
		set(schema, value, "additionalProperties", json_false());
	return value;
}

static json_t *of_object(struct schema *schema, const struct crier_field *table)
{
	json_t *properties = json_object();

	add_fields(schema, properties, table);
	return close_object(schema, properties);
}

static json_t *described(struct schema *schema, json_t *value, const char *doc)
{
	set_string(schema, value, "description", doc);
	return value;
}

static json_t *of_names(struct schema *schema, const char *const *names)
{
	json_t *array = json_array();

	for (; *names; names++)
		if (json_array_append_new(array, json_string(*names)) < 0)
			schema->failed = true;
	return array;
}

static json_t *of_paths(struct schema *schema)
{
	json_t *value = of_type(schema, "array");

	set(schema, value, "items", of_type(schema, "string"));
	set(schema, value, "minItems", json_integer(1));
	return value;
}

static json_t *of_attribution(struct schema *schema)
{
	static const char *const needed[] = {"status", NULL};
	json_t *value = of_object(schema, crier_attribution_fields);

	set(schema, value, "required", of_names(schema, needed));
	return value;
}

static json_t *of_line(struct schema *schema)
{
	json_t *all = json_object();
	json_t *k8s = json_object();

	add_fields(schema, all, crier_head_fields);
	set(schema, json_object_get(all, "type"), "enum", of_names(schema, crier_type_names + 1));
	set_string(schema, json_object_get(all, "instance"), "pattern", "^[0-9a-f]{8}$");
	set(schema, all, "process",
	    described(schema, of_object(schema, crier_process_fields), "The subject: to whom it happened."));
	set(schema, all, "actor", described(schema, of_object(schema, crier_actor_fields), "Who caused it."));
	set(schema, all, "cgroup",
	    described(schema, of_object(schema, crier_cgroup_fields), "The subject's cgroup."));
	set(schema, all, "container",
	    described(schema, of_object(schema, crier_container_fields), "The subject's container."));
	add_fields(schema, k8s, crier_k8s_node_fields);
	add_fields(schema, k8s, crier_k8s_pod_fields);
	set(schema, all, "k8s",
	    described(schema, close_object(schema, k8s), "Where it happened, as Kubernetes names things."));
	set(schema, all, "resource", described(schema, of_labels(schema), "Static attributes (--resource)."));
	set(schema, all, "attribution",
	    described(schema, of_attribution(schema), "How sure the container and pod are."));
	set(schema, all, "correlation",
	    described(schema, of_object(schema, crier_correlation_fields), "Keys to join lines by."));
	set(schema, all, "data",
	    described(schema, of_type(schema, "object"), "What the type has to tell; see $defs."));
	set(schema, all, "sanitized",
	    described(schema, of_paths(schema),
		      "Paths of fields in which bytes were no valid UTF-8: each became U+FFFD."));
	set(schema, all, "truncated",
	    described(schema, of_paths(schema), "Paths of fields that were cut or left out for length."));
	return close_object(schema, all);
}

/* {"if": {"properties": {"type": {"const": NAME}}}, "then": {"properties": {"data": {"$ref": …}}}} */
static json_t *of_branch(struct schema *schema, const char *name)
{
	char reference[64];
	json_t *branch = json_object();

	snprintf(reference, sizeof(reference), "#/$defs/%s", name);
	set(schema, branch, "if", json_pack("{s:{s:{s:s}}}", "properties", "type", "const", name));
	set(schema, branch, "then", json_pack("{s:{s:{s:s}}}", "properties", "data", "$ref", reference));
	return branch;
}

static char *make(bool strict)
{
	static const char *const needed[] = {"schema",	    "instance",	   "seq",      "event_id", "type",
					     "ts",	    "boottime_ns", "severity", "priority", "summary",
					     "attribution", "data",	   NULL};
	struct schema schema = {.strict = strict};
	json_t *root = json_object();
	json_t *line = of_line(&schema);
	json_t *branches = json_array();
	json_t *definitions = json_object();
	char *text = NULL;

	set_string(&schema, root, "$schema", "https://json-schema.org/draft/2020-12/schema");
	set_string(&schema, root, "$id", "urn:crier:1");
	set_string(&schema, root, "title", "A line of crier/1");
	if (json_object_update(root, line) < 0)
		schema.failed = true;
	set(&schema, root, "required", of_names(&schema, needed));
	for (unsigned type = 1; type < CRIER_TYPE_COUNT; type++) {
		const struct crier_type_info *info = crier_type_info(type);

		if (json_array_append_new(branches, of_branch(&schema, info->name)) < 0)
			schema.failed = true;
		set(&schema, definitions, info->name,
		    described(&schema, of_object(&schema, info->data), info->doc));
	}
	set(&schema, root, "allOf", branches);
	set(&schema, root, "$defs", definitions);
	if (!schema.failed)
		text = json_dumps(root, JSON_INDENT(1));
	json_decref(line);
	json_decref(root);
	return text;
}

char *crier_schema_json(void)
{
	return make(false);
}

char *crier_schema_json_strict(void)
{
	return make(true);
}
