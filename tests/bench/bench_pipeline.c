/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipeline from ring bytes to finished line: time, allocations and bytes for each event. bench_pipeline tells all in
 * all, bench_stages (the same file, linked with stages.c) by stage. Not a test, but each case proves its own sums first.
 *
 *   bench_pipeline [--runs N] [--batches N] [--json] [--list] [CASE...]   a CASE is KIND[:CONTAINERS[:zipf]] or
 *                                recorded:FILE, a recording of crier record, replayed from its start to its end
 *   bench_pipeline --prove       the counters themselves: exit 1 if they do not tell the truth
 *   bench_pipeline --count CASE  for callgrind: each phase once between its requests, see pipeline.py
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else /* --count tells nothing then */
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#define CALLGRIND_DUMP_STATS_AT(mark) (void)(mark)
#endif

#include "alloc_count.h"
#include "floor.h"
#include "phase.h"
#include "recorded.h"

#define RUNS_MAX   101
#define PHASES_MAX 16
#define LINE_TYPES 32

/*
 * Warm: nothing was allocated for so many batches. Most of what mix:100000 needs is not reached; held and life make new
 * containers all the time and stay as young as they are.
 */
#define WARM_QUIET 4
#define WARM_MOST  128
#define WARM_YOUNG 4

struct options {
	unsigned runs, batches;
	bool json, prove, count;
};

struct bench_case {
	enum bench_kind kind;
	uint32_t containers;
	bool zipf;
};

static const char *const default_cases[] = {
	"mix:1",       "mix:1000",	 "mix:1000:zipf", "mix:100000", "mix:100000:zipf",
	"exec:1000",   "exec_args:1000", "fork:1000",	  "exit:1000",	"exit_signal:1000",
	"signal:1000", "oom:1000",	 "host:1000",	  "held:1000",	"life:1000",
};

/* ---- the sums: each event record made its line ---- */

struct tally {
	struct {
		char name[40];
		uint64_t count, bytes;
	} types[LINE_TYPES];
	size_t type_count;
	bool allocate; /* --prove: one allocation for each line */
	char last[CRIER_LINE_MAX];
	size_t last_len;
};

static void tally_line(void *ctx, const char *line, size_t len)
{
	static const char key[] = "\"type\":\"";
	const char *start = memmem(line, len, key, sizeof(key) - 1);
	struct tally *tally = ctx;
	char name[40] = "";
	size_t i;

	if (tally->allocate) {
		char *volatile p = malloc(16);

		free(p);
	}
	if (start)
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(start + sizeof(key) - 1, "\""),
			 start + sizeof(key) - 1);
	for (i = 0; i < tally->type_count && strcmp(tally->types[i].name, name) != 0; i++)
		;
	if (i == tally->type_count && i < LINE_TYPES)
		memcpy(tally->types[tally->type_count++].name, name, sizeof(name));
	if (i < LINE_TYPES) {
		tally->types[i].count++;
		tally->types[i].bytes += len;
	}
	if (len < sizeof(tally->last)) {
		memcpy(tally->last, line, len);
		tally->last[len] = '\0';
		tally->last_len = len;
	}
}

static uint64_t told(const struct tally *tally, const char *name)
{
	for (size_t i = 0; i < tally->type_count; i++)
		if (strcmp(tally->types[i].name, name) == 0)
			return tally->types[i].count;
	return 0;
}

static void prove_sums(const char *name, struct bench_stream *stream, struct tally *tally)
{
	static const struct {
		enum crier_wire_type record;
		const char *line;
	} pairs[] = {
		{CRIER_WIRE_EXEC, "process.exec"}, {CRIER_WIRE_FORK, "process.fork"},
		{CRIER_WIRE_EXIT, "process.exit"}, {CRIER_WIRE_SIGNAL, "process.signal"},
		{CRIER_WIRE_OOM, "container.oom"},
	};
	struct bench_node *node = stream->node;

	memset(node->fed, 0, sizeof(node->fed));
	node->on_line = tally_line;
	node->on_line_ctx = tally;
	bench_stream_fill(stream);
	bench_stream_feed(stream);
	node->on_line = NULL;
	for (size_t i = 0; i < CRIER_ARRAY_SIZE(pairs); i++)
		if (told(tally, pairs[i].line) != node->fed[pairs[i].record])
			bench_fail("%s: %llu records made %llu lines of %s: the figures would mean nothing",
				   name, (unsigned long long)node->fed[pairs[i].record],
				   (unsigned long long)told(tally, pairs[i].line), pairs[i].line);
}

/* What the pipeline itself says at the end. */
static void prove_stop(const char *name, struct bench_node *node)
{
	struct tally tally = {0};

	node->on_line = tally_line;
	node->on_line_ctx = &tally;
	crier_pipeline_feed(node->pipeline, CRIER_INPUT_STOP, node->now_ns, "{\"reason\":\"bench\"}", 18);
	for (const char *at = tally.last; (at = strstr(at, "\"filtered\":")); at++)
		if (!strstr(at, "\"filtered\":0,\"suppressed\":0,\"lost\":0,\"held\":0"))
			bench_fail("%s: not every event became a line: %s", name, tally.last);
	if (!strstr(tally.last, "agent.stop") || !strstr(tally.last, "\"lost\":0"))
		bench_fail("%s: the pipeline did not say good-bye: %s", name, tally.last);
}

/* ---- measuring ---- */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

struct sample {
	double ns, allocs, alloc_bytes, line_bytes;
	bool real;
};

static struct sample measure(struct bench_stream *stream, const struct bench_phase *phase, unsigned batches)
{
	struct bench_node *node = stream->node;
	uint64_t events = 0, lines = 0, bytes = 0;
	struct sample sample = {.real = true};

	for (unsigned i = 0; i < batches; i++) {
		bench_stream_fill(stream);
		events += stream->events;
		lines -= node->lines;
		bytes -= node->bytes;
		struct bench_allocs before = bench_allocs_now();
		double start = now_ns();

		phase->run(stream);
		sample.ns += now_ns() - start;
		struct bench_allocs after = bench_allocs_now();

		sample.allocs += (double)(after.calls - before.calls);
		sample.alloc_bytes += (double)(after.bytes - before.bytes);
		lines += node->lines;
		bytes += node->bytes;
		sample.real = sample.real && (!phase->is_real || phase->is_real());
	}
	sample.ns /= (double)events;
	sample.allocs /= (double)events;
	sample.alloc_bytes /= (double)events;
	sample.line_bytes = lines ? (double)bytes / (double)lines : 0;
	return sample;
}

/* ---- one case ---- */

static bool can_be_cut(enum bench_kind kind)
{
	return kind != BENCH_HELD && kind != BENCH_LIFE;
}

static struct bench_case parse_case(const char *name)
{
	struct bench_case c = {.containers = 1000};
	size_t len = strcspn(name, ":");
	char *end;

	for (c.kind = 0; c.kind < BENCH_KIND_COUNT; c.kind++)
		if (strlen(bench_kind_names[c.kind]) == len &&
		    strncmp(bench_kind_names[c.kind], name, len) == 0)
			break;
	if (c.kind == BENCH_KIND_COUNT)
		bench_fail("bench: no stream '%.*s'; --list tells what there is", (int)len, name);
	if (name[len] == ':') {
		c.containers = (uint32_t)strtoul(name + len + 1, &end, 10);
		c.zipf = strcmp(end, ":zipf") == 0;
		if (c.containers < 1 || c.containers > 1000000 || (*end && !c.zipf))
			bench_fail("bench: '%s' is not KIND[:CONTAINERS[:zipf]]", name);
	}
	return c;
}

static void print_row(const struct options *options, const char *name, const char *what, double value,
		      const char *unit, const double *floor, double spread)
{
	if (!options->json) {
		printf("%-24s %-22s %10.2f %-12s", name, what, value, unit);
		if (floor)
			printf(" %5.2f x", value / *floor);
		printf(spread > 0 ? "  +-%.0f %%\n" : "\n", spread * 100);
		return;
	}
	printf("{\"measure\":\"pipeline.%s.%s\",\"value\":%.3f,\"unit\":\"%s\",\"floor\":", name, what, value,
	       unit);
	if (floor)
		printf("%.3f", *floor);
	else
		printf("null");
	printf(",\"peer\":null,\"runs\":%u}\n", options->runs);
}

struct result {
	double ns[PHASES_MAX][RUNS_MAX];
	double floors[BENCH_FLOOR_COUNT][RUNS_MAX];
	struct sample last[PHASES_MAX];
};

/* Half of what lies between the quartiles, as a share of the median: how far to trust it. */
static double spread_of(const double *sorted, unsigned count, double middle)
{
	return count >= 4 && middle > 0 ? (sorted[count * 3 / 4] - sorted[count / 4]) / 2 / middle : 0;
}

static void report(const struct options *options, const char *name, struct result *result, size_t first_phase,
		   const struct tally *tally)
{
	double floors[BENCH_FLOOR_COUNT], before = 0, middle = 0;

	for (size_t i = 0; i < BENCH_FLOOR_COUNT; i++)
		floors[i] = median(result->floors[i], options->runs);
	for (size_t i = first_phase; i < bench_phase_count; i++) {
		const struct bench_phase *phase = &bench_phases[i];
		bool cut = phase->cumulative && first_phase == 0;

		middle = median(result->ns[i], options->runs);
		if (!result->last[i].real) {
			fprintf(stderr, "%s: stage %s is not told: its call is no longer between files\n",
				name, phase->name);
			continue;
		}
		print_row(options, name, phase->name, cut ? middle - before : middle, "ns/event",
			  !cut && floors[0] > 0 ? &floors[0] : NULL,
			  spread_of(result->ns[i], options->runs, middle));
		before = middle;
	}
	const struct sample *last = &result->last[bench_phase_count - 1];

	if (bench_phases_cut) {
		print_row(options, name, "cut_total", middle, "ns/event", NULL, 0);
		return;
	}
	print_row(options, name, "allocations", last->allocs, "1/event", NULL, 0);
	print_row(options, name, "allocated", last->alloc_bytes, "bytes/event", NULL, 0);
	print_row(options, name, "line", last->line_bytes, "bytes/line", NULL, 0);
	for (size_t i = 0; tally->type_count > 1 && i < tally->type_count; i++) {
		char what[64];

		snprintf(what, sizeof(what), "line_%s", tally->types[i].name);
		print_row(options, name, what, (double)tally->types[i].bytes / (double)tally->types[i].count,
			  "bytes/line", NULL, 0);
	}
	for (size_t i = 0; i < BENCH_FLOOR_COUNT; i++)
		if (floors[i] > 0)
			print_row(options, name, bench_floor_names[i], floors[i], "ns/line", NULL,
				  spread_of(result->floors[i], options->runs, floors[i]));
}

/*
 * Until what the pipeline remembers has the size at which this stream holds it: incidents stay open for seconds, and each
 * container has its share of them only after half a million events of the mix.
 */
static void warm(struct bench_stream *stream)
{
	unsigned most = can_be_cut(stream->kind) ? WARM_MOST : WARM_YOUNG;

	bench_stream_warm(stream);
	for (unsigned quiet = 0, done = 0; quiet < WARM_QUIET && done < most; done++) {
		bench_stream_fill(stream);
		uint64_t before = bench_allocs_now().calls;

		bench_stream_feed(stream);
		quiet = bench_allocs_now().calls == before ? quiet + 1 : 0;
	}
}

static struct bench_stream *make_stream(const char *name, struct tally *tally)
{
	const struct bench_case c = parse_case(name);
	struct bench_node *node = bench_node_new(c.containers);
	struct bench_stream *stream = bench_stream_new(node, c.kind, c.zipf);

	warm(stream);
	prove_sums(name, stream, tally);
	return stream;
}

static void free_stream(struct bench_stream *stream)
{
	bench_node_free(stream->node);
	bench_stream_free(stream);
}

static void run_case(const struct options *options, const char *name)
{
	static struct result result;
	struct tally tally = {0};
	struct bench_stream *stream = make_stream(name, &tally);
	size_t first_phase = bench_phases_cut && !can_be_cut(stream->kind) ? bench_phase_count - 1 : 0;
	struct bench_floor *floor = bench_phases_cut ? NULL : bench_floor_new(stream);

	memset(&result, 0, sizeof(result));
	for (unsigned run = 0; run < options->runs; run++) {
		for (size_t i = first_phase; i < bench_phase_count; i++) {
			result.last[i] = measure(stream, &bench_phases[i], options->batches);
			result.ns[i][run] = result.last[i].ns;
		}
		for (size_t i = 0; floor && i < BENCH_FLOOR_COUNT; i++) {
			double start = now_ns();
			size_t lines = bench_floor_run(floor, (enum bench_floor_kind)i);

			result.floors[i][run] = lines ? (now_ns() - start) / (double)lines : 0;
		}
	}
	report(options, name, &result, first_phase, &tally);
	fflush(stdout);
	bench_floor_free(floor);
	prove_stop(name, stream->node);
	free_stream(stream);
}

static void run_recorded(const struct options *options, const char *path)
{
	struct bench_recorded *recorded = bench_recorded_open(path);
	double ns[RUNS_MAX];
	struct bench_replay last = {0};
	const char *slash = strrchr(path, '/');
	char name[128];

	snprintf(name, sizeof(name), "recorded:%s", slash ? slash + 1 : path);
	for (unsigned run = 0; run < options->runs; run++) {
		last = bench_recorded_replay(recorded);
		if (!last.events || !last.lines)
			bench_fail("bench: %s holds no event", path);
		ns[run] = last.ns / (double)last.events;
	}
	print_row(options, name, "total", median(ns, options->runs), "ns/event", NULL,
		  spread_of(ns, options->runs, median(ns, options->runs)));
	print_row(options, name, "events", (double)last.events, "events", NULL, 0);
	print_row(options, name, "allocations", (double)last.allocs / (double)last.events, "1/event", NULL,
		  0);
	print_row(options, name, "line", (double)last.bytes / (double)last.lines, "bytes/line", NULL, 0);
	bench_recorded_close(recorded);
}

/* ---- callgrind, and the proof ---- */

static void count_floor(struct bench_stream *stream)
{
	struct bench_floor *floor = bench_floor_new(stream);
	char mark[64];
	size_t lines;

	CALLGRIND_START_INSTRUMENTATION;
	lines = bench_floor_run(floor, BENCH_FLOOR_FRAGMENT);
	CALLGRIND_STOP_INSTRUMENTATION;
	snprintf(mark, sizeof(mark), "%s %zu", bench_floor_names[BENCH_FLOOR_FRAGMENT], lines);
	CALLGRIND_DUMP_STATS_AT(mark);
	bench_floor_free(floor);
}

static void count_case(const char *name)
{
	struct tally tally = {0};
	struct bench_stream *stream = make_stream(name, &tally);
	size_t first_phase = bench_phases_cut && !can_be_cut(stream->kind) ? bench_phase_count - 1 : 0;

	for (size_t i = first_phase; i < bench_phase_count; i++) {
		char mark[64];

		bench_stream_fill(stream);
		snprintf(mark, sizeof(mark), "%s %llu", bench_phases[i].name,
			 (unsigned long long)stream->events);
		CALLGRIND_START_INSTRUMENTATION;
		bench_phases[i].run(stream);
		CALLGRIND_STOP_INSTRUMENTATION;
		CALLGRIND_DUMP_STATS_AT(mark);
	}
	if (!bench_phases_cut)
		count_floor(stream);
	free_stream(stream);
}

/* A stage whose calls no longer go from file to file would cost nothing, silently. */
static void prove_cuts(struct bench_stream *stream)
{
	for (size_t i = 0; i < bench_phase_count; i++)
		if (!measure(stream, &bench_phases[i], 1).real)
			bench_fail("bench: nothing passes by the cut of stage %s; see stages.c",
				   bench_phases[i].name);
}

static int prove(void)
{
	const struct bench_phase *whole = &bench_phases[bench_phase_count - 1];
	struct tally tally = {0};
	struct bench_stream *stream = make_stream("mix:100", &tally);
	struct sample plain, counted;

	prove_cuts(stream);
	stream->kind = BENCH_EXEC;
	plain = measure(stream, whole, 1);
	tally.allocate = true;
	stream->node->on_line = tally_line;
	stream->node->on_line_ctx = &tally;
	counted = measure(stream, whole, 1);
	printf("allocations per event: %.4f; with one put into each line: %.4f\n", plain.allocs,
	       counted.allocs);
	prove_stop("prove", stream->node);
	free_stream(stream);
	if (plain.allocs != 0 || counted.allocs != 1.0)
		bench_fail("bench: expected exactly 0 and 1");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{"runs", required_argument, NULL, 'r'},
		{"batches", required_argument, NULL, 'b'},
		{"json", no_argument, NULL, 'j'},
		{"list", no_argument, NULL, 'l'},
		{"prove", no_argument, NULL, 'p'},
		{"count", no_argument, NULL, 'c'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.runs = 5, .batches = 4};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 'r':
			options.runs =
				(unsigned)crier_min(strtoul(optarg, NULL, 10), (unsigned long)RUNS_MAX);
			break;
		case 'b': options.batches = (unsigned)strtoul(optarg, NULL, 10); break;
		case 'j': options.json = true; break;
		case 'p': return prove();
		case 'c': options.count = true; break;
		case 'l':
			for (size_t i = 0; i < CRIER_ARRAY_SIZE(default_cases); i++)
				puts(default_cases[i]);
			return 0;
		default: return 2;
		}
	}
	if (!options.runs || !options.batches)
		bench_fail("bench: --runs and --batches are at least 1");
	const char *const *cases = optind < argc ? (const char *const *)argv + optind : default_cases;
	size_t count = optind < argc ? (size_t)(argc - optind) : CRIER_ARRAY_SIZE(default_cases);

	for (size_t i = 0; i < count; i++) {
		if (strncmp(cases[i], "recorded:", 9) == 0)
			run_recorded(&options, cases[i] + 9);
		else if (options.count)
			count_case(cases[i]);
		else
			run_case(&options, cases[i]);
	}
	return 0;
}
