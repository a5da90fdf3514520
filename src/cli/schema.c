/* SPDX-License-Identifier: Apache-2.0 */
/* crier schema */
#include "crier/base/log.h"
#include "crier/emit.h"
#include "verb.h"

int crier_verb_schema(int argc, char **argv)
{
	bool markdown = crier_cli_take(&argc, argv, "--markdown");

	if (argc > 0)
		return crier_cli_refuse("'%.80s': argument not expected", argv[0]);

	_cleanup_free_ char *text = markdown ? crier_schema_markdown() : crier_schema_json();

	if (!text) {
		crier_error("schema: out of memory");
		return CRIER_EXIT_DEGRADED;
	}
	fputs(text, stdout);
	if (*text && text[strlen(text) - 1] != '\n')
		putchar('\n');
	return crier_cli_finish(CRIER_EXIT_OK);
}
