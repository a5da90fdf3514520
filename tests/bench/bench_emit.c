/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a line costs: bytes and nanoseconds for the lean exec and the full OOM, cached fragments as in real life.
 * Not a test. bench_emit [ROUNDS]; best of five runs, so that other work on the machine counts less.
 */
#include <stdio.h>
#include <time.h>

#include "../unit/emit_samples.h"

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run(const char *name, enum crier_type type, enum crier_detail detail, bool as_text,
		unsigned rounds)
{
	static struct sample s;
	char line[CRIER_LINE_MAX];
	struct crier_buf buf;
	double best = 0;
	size_t len = 0;

	sample_init(&s, type);
	s.options.detail = detail;
	for (unsigned attempt = 0; attempt < 5; attempt++) {
		double start = now_ns();

		for (unsigned i = 0; i < rounds; i++) {
			crier_buf_init(&buf, line, sizeof(line));
			int r = as_text ? crier_emit_text(&s.options, &s.event, false, &buf)
					: crier_emit_json(&s.options, &s.event, 118399 + i, &buf);

			if (r < 0)
				abort();
			len = buf.len;
		}
		double each = (now_ns() - start) / rounds;

		if (attempt == 0 || each < best)
			best = each;
	}
	printf("%-28s %5zu bytes %7.0f ns\n", name, len, best);
	sample_done(&s);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 300000;

	run("process.exec lean", CRIER_TYPE_PROCESS_EXEC, CRIER_DETAIL_AUTO, false, rounds);
	run("process.exit lean", CRIER_TYPE_PROCESS_EXIT, CRIER_DETAIL_AUTO, false, rounds);
	run("process.exec full", CRIER_TYPE_PROCESS_EXEC, CRIER_DETAIL_FULL, false, rounds);
	run("container.oom full", CRIER_TYPE_CONTAINER_OOM, CRIER_DETAIL_AUTO, false, rounds);
	run("container.exited full", CRIER_TYPE_CONTAINER_EXITED, CRIER_DETAIL_AUTO, false, rounds);
	run("process.exec text", CRIER_TYPE_PROCESS_EXEC, CRIER_DETAIL_AUTO, true, rounds);
	return 0;
}
