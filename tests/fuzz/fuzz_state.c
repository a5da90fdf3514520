/* SPDX-License-Identifier: Apache-2.0 */
/* The state file of the run before: any bytes may lie there, and what was read must be written and read the same. */
#include "fuzz.h"

#include "crier/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crier_state state;
	struct crier_err err = {0};
	char path[32];
	int fd = fuzz_file((struct crier_slice){(const char *)data, size}, path);
	int r = crier_state_read(path, &state, &err);

	close(fd);
	FUZZ_CLAIM(r == 0 || (err.code < 0 && err.message[0]), "refused without a word");
	FUZZ_CLAIM(r == 0 || (!state.instance[0] && state.exited_count == 0),
		   "refused, and used all the same");
	FUZZ_CLAIM(state.exited_count <= CRIER_STATE_EXITED_MAX, "%zu ids", state.exited_count);
	fuzz_touch(crier_slice_of(state.instance), NULL);
	fuzz_touch(crier_slice_of(state.boot_id), NULL);
	for (size_t i = 0; i < state.exited_count; i++)
		fuzz_touch(crier_slice_of(state.exited[i]), NULL);
	crier_state_done(&state);
	return 0;
}
