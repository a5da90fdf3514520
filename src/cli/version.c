/* SPDX-License-Identifier: Apache-2.0 */
/* crier version */
#include <gnu/libc-version.h>
#include <yaml.h>

#include "crier/cri.h"
#include "verb.h"

int crier_verb_version(int argc, char **argv)
{
	struct crier_config config;
	enum crier_output output;
	int rest;
	int code = crier_cli_config(&config, argc, argv, 0, &rest);

	if (code != CRIER_EXIT_OK)
		return code;
	output = crier_cli_output(&config);
	crier_config_done(&config);
	if (output == CRIER_OUTPUT_JSON)
		return crier_cli_print_json(json_pack(
			"{s:s,s:s,s:{s:s,s:s,s:s,s:s}}", "version", CRIER_VERSION, "schema", "crier/1",
			"libraries", "cri", crier_cri_library_version(), "jansson", jansson_version_str(),
			"libyaml", yaml_get_version_string(), "libc", gnu_get_libc_version()));
	printf("crier %s, schema crier/1\n%s\njansson %s\nlibyaml %s\nlibc %s\n", CRIER_VERSION,
	       crier_cri_library_version(), jansson_version_str(), yaml_get_version_string(),
	       gnu_get_libc_version());
	return crier_cli_finish(CRIER_EXIT_OK);
}
