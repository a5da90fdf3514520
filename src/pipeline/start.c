/* SPDX-License-Identifier: Apache-2.0 */
/* The START input: everything that is set once per run, as JSON, so that a recording can be read by a person. */
#include "internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* u64 as text: JSON numbers stop at 2^53 in most readers, jansson's at 2^63. */
static void set_u64(json_t *root, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	json_object_set_new(root, key, json_string(text));
}

static int get_u64(json_t *root, const char *key, uint64_t *ret_value)
{
	json_t *value = json_object_get(root, key);

	if (!json_is_string(value))
		return -EINVAL;
	return crier_parse_u64((struct crier_slice){json_string_value(value), json_string_length(value)},
			       ret_value);
}

static int get_text(json_t *root, const char *key, char *dst, size_t cap)
{
	json_t *value = json_object_get(root, key);

	if (!json_is_string(value) || json_string_length(value) >= cap)
		return -EINVAL;
	memcpy(dst, json_string_value(value), json_string_length(value) + 1);
	return 0;
}

struct crier_slice crier_json_text(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return json_is_string(value)
		       ? (struct crier_slice){json_string_value(value), json_string_length(value)}
		       : CRIER_SLICE_NONE;
}

static json_t *layout_to_json(const struct crier_cgroup_layout *layout)
{
	return json_pack("{s:i, s:b, s:i, s:s, s:s, s:s, s:s, s:b, s:b, s:s*}", "mode", (int)layout->mode,
			 "primary_is_v2", (int)layout->primary_is_v2, "hierarchy",
			 (int)layout->primary_hierarchy_id, "primary_root", layout->primary_root,
			 "memory_root", layout->memory_root, "cpu_root", layout->cpu_root, "namespace_root",
			 layout->namespace_root, "memory_is_v2", (int)layout->memory_is_v2, "cpu_is_v2",
			 (int)layout->cpu_is_v2, "driver", layout->driver);
}

static int layout_from_json(json_t *root, struct crier_cgroup_layout *layout)
{
	int mode, primary_is_v2, hierarchy, memory_is_v2, cpu_is_v2;
	const char *driver = NULL;

	if (json_unpack(root, "{s:i, s:b, s:i, s:b, s:b, s?s}", "mode", &mode, "primary_is_v2",
			&primary_is_v2, "hierarchy", &hierarchy, "memory_is_v2", &memory_is_v2, "cpu_is_v2",
			&cpu_is_v2, "driver", &driver) < 0 ||
	    mode < 0 || mode >= CRIER_CGROUP_MODE_COUNT)
		return -EINVAL;
	layout->mode = (enum crier_cgroup_mode)mode;
	layout->primary_is_v2 = primary_is_v2;
	layout->primary_hierarchy_id = (uint32_t)hierarchy;
	layout->memory_is_v2 = memory_is_v2;
	layout->cpu_is_v2 = cpu_is_v2;
	layout->driver = !driver ? NULL : strcmp(driver, "systemd") == 0 ? "systemd" : "cgroupfs";
	if (get_text(root, "primary_root", layout->primary_root, sizeof(layout->primary_root)) < 0 ||
	    get_text(root, "memory_root", layout->memory_root, sizeof(layout->memory_root)) < 0 ||
	    get_text(root, "cpu_root", layout->cpu_root, sizeof(layout->cpu_root)) < 0 ||
	    get_text(root, "namespace_root", layout->namespace_root, sizeof(layout->namespace_root)) < 0)
		return -EINVAL;
	return 0;
}

char *crier_start_to_json(const struct crier_start *start, const struct crier_config *config)
{
	char *config_text = crier_config_to_json(config);
	json_t *exited = json_array();
	json_t *root;
	char *text = NULL;

	for (size_t i = 0; i < start->previous_exited_count; i++)
		json_array_append_new(exited, json_string(start->previous_exited[i]));
	root = json_pack("{s:s, s:s, s:s, s:s, s:i, s:s, s:b, s:o, s:o}", "instance", start->instance, "boot",
			 start->boot, "kernel", start->kernel, "cri_socket", start->cri_socket, "page_size",
			 (int)start->page_size, "previous_instance", start->previous_instance,
			 "previous_clean", (int)start->previous_clean, "previous_exited", exited, "layout",
			 layout_to_json(&start->layout));
	if (root && config_text) {
		set_u64(root, "boottime_ns", start->boottime_ns);
		set_u64(root, "unix_offset_ns", start->unix_offset_ns);
		set_u64(root, "previous_seq", start->previous_seq);
		set_u64(root, "previous_ended_at", start->previous_ended_at);
		json_object_set_new(root, "config", json_loads(config_text, 0, NULL));
		text = json_dumps(root, JSON_COMPACT);
	}
	json_decref(root);
	free(config_text);
	return text;
}

static int exited_from_json(json_t *list, struct crier_start *start)
{
	size_t count = json_array_size(list);

	if (count > 4096)
		return -EINVAL;
	start->previous_exited = calloc(count + 1, sizeof(*start->previous_exited));
	if (!start->previous_exited)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (json_is_string(json_array_get(list, i)))
			crier_copy_str(start->previous_exited[start->previous_exited_count++], CRIER_ID_MAX,
				       crier_slice_of(json_string_value(json_array_get(list, i))));
	return 0;
}

static int read_start(json_t *root, struct crier_start *start, struct crier_config *config,
		      struct crier_err *err)
{
	int page_size, clean, r;

	if (json_unpack(root, "{s:i, s:b}", "page_size", &page_size, "previous_clean", &clean) < 0 ||
	    get_text(root, "instance", start->instance, sizeof(start->instance)) < 0 ||
	    get_text(root, "boot", start->boot, sizeof(start->boot)) < 0 ||
	    get_text(root, "kernel", start->kernel, sizeof(start->kernel)) < 0 ||
	    get_text(root, "cri_socket", start->cri_socket, sizeof(start->cri_socket)) < 0 ||
	    get_text(root, "previous_instance", start->previous_instance, sizeof(start->previous_instance)) <
		    0 ||
	    get_u64(root, "boottime_ns", &start->boottime_ns) < 0 ||
	    get_u64(root, "unix_offset_ns", &start->unix_offset_ns) < 0 ||
	    get_u64(root, "previous_seq", &start->previous_seq) < 0 ||
	    get_u64(root, "previous_ended_at", &start->previous_ended_at) < 0 ||
	    layout_from_json(json_object_get(root, "layout"), &start->layout) < 0)
		return crier_err_set(
			err, -EINVAL,
			"recording: its start frame lacks a field; was it made by another version?");
	start->page_size = (uint32_t)page_size;
	start->previous_clean = clean;
	r = exited_from_json(json_object_get(root, "previous_exited"), start);
	if (r < 0)
		return r;

	char *text = json_dumps(json_object_get(root, "config"), JSON_COMPACT);

	r = text ? crier_config_from_json(config, text, strlen(text), err)
		 : crier_err_set(err, -EINVAL, "recording: its start frame holds no configuration");
	free(text);
	return r;
}

int crier_start_from_json(const char *json, size_t len, struct crier_start *ret_start,
			  struct crier_config *config, struct crier_err *err)
{
	json_t *root = json_loadb(json, len, 0, NULL);
	struct crier_start start = {0};
	int r;

	if (!root)
		return crier_err_set(err, -EINVAL,
				     "recording: its start frame is not JSON; the file is damaged");
	r = read_start(root, &start, config, err);
	json_decref(root);
	if (r < 0) {
		crier_start_done(&start);
		return r;
	}
	*ret_start = start;
	return 0;
}

void crier_start_done(struct crier_start *start)
{
	free(start->previous_exited);
	start->previous_exited = NULL;
	start->previous_exited_count = 0;
}
