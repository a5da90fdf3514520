/* SPDX-License-Identifier: Apache-2.0 */
#include "crier/field.h"

#include "crier/event.h"

static void clear_value(const struct crier_field *field, void *value)
{
	switch ((enum crier_field_kind)field->kind) {
	case CRIER_FIELD_UINT:
	case CRIER_FIELD_ID:
	case CRIER_FIELD_TIME:
	case CRIER_FIELD_EVENT_ID:
	case CRIER_FIELD_INCIDENT_ID: *(uint64_t *)value = CRIER_UNKNOWN_U64; break;
	case CRIER_FIELD_INT: *(int64_t *)value = CRIER_UNKNOWN_I64; break;
	case CRIER_FIELD_BOOL: *(uint8_t *)value = CRIER_UNKNOWN_BOOL; break;
	case CRIER_FIELD_FLAG:
	case CRIER_FIELD_ENUM: *(uint8_t *)value = 0; break;
	case CRIER_FIELD_RATIO: *(double *)value = -1.0; break;
	case CRIER_FIELD_TEXT:
	case CRIER_FIELD_SENTENCE:
	case CRIER_FIELD_BASENAME: *(struct crier_slice *)value = CRIER_SLICE_NONE; break;
	case CRIER_FIELD_NAME:
	case CRIER_FIELD_CSTR:
	case CRIER_FIELD_WHOLE:
	case CRIER_FIELD_LABELS: *(const void **)value = NULL; break;
	case CRIER_FIELD_PROCESS_KEY:
		*(struct crier_process_key *)value = (struct crier_process_key){0};
		break;
	case CRIER_FIELD_SLOT: *(struct crier_slot_name *)value = (struct crier_slot_name){0}; break;
	case CRIER_FIELD_OBJECT: crier_fields_clear(field->sub, value); break;
	case CRIER_FIELD_ARRAY:
	case CRIER_FIELD_TEXTS: *(const void **)value = NULL; break;
	case CRIER_FIELD_END:
	case CRIER_FIELD_KIND_COUNT: break;
	}
}

void crier_fields_clear(const struct crier_field *table, void *object)
{
	for (const struct crier_field *field = table; field->kind != CRIER_FIELD_END; field++) {
		clear_value(field, (char *)object + field->offset);
		if (field->kind == CRIER_FIELD_ARRAY || field->kind == CRIER_FIELD_TEXTS)
			*(size_t *)((char *)object + field->count_offset) = 0;
	}
}
