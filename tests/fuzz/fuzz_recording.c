/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crier replay on files of any bytes. The first byte says how the rest becomes a file: 'r' as it is (header and checksums
 * have to be right), else as frames {u8 type, u8 ticks of 100 ms, u16 length, bytes} that are written as recordings are,
 * so that the fuzzer gets behind the checksum. A refused file must say why.
 */
#include "fuzz.h"

#include <fcntl.h>

#include "crier/input.h"
#include "crier/replay.h"

#define FIRST_NS 1000000000000ULL

static void write_frames(const char *path, struct fuzz_input *input)
{
	struct crier_recording_writer *writer;
	struct crier_err err = {0};
	uint64_t now_ns = FIRST_NS;

	FUZZ_CLAIM(crier_recording_create(path, true, &writer, &err) == 0, "%s", err.message);
	while (fuzz_left(input)) {
		uint8_t type = fuzz_u8(input);
		uint8_t ticks = fuzz_u8(input);
		size_t len = fuzz_u16(input);
		struct crier_slice bytes = fuzz_take(input, len);

		now_ns += ticks * 100000000ULL;
		(void)crier_recording_write(writer, type, now_ns, bytes.ptr, bytes.len);
	}
	FUZZ_CLAIM(crier_recording_close(writer, &err) == 0, "%s", err.message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, data + size};
	bool raw = fuzz_u8(&input) == 'r';
	struct crier_err err = {0};
	char path[32];
	int fd = fuzz_file(raw ? (struct crier_slice){(const char *)input.pos, fuzz_left(&input)}
			       : CRIER_SLICE_NONE,
			   path);
	int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int r;

	if (!raw)
		write_frames(path, &input);
	r = crier_replay(path, CRIER_OUTPUT_JSON, out, &err);
	FUZZ_CLAIM(r <= 0, "crier_replay gives %d", r);
	FUZZ_CLAIM(r == 0 || (err.code < 0 && err.message[0]), "refused without a word (%d)", r);
	close(out);
	close(fd);
	return 0;
}
