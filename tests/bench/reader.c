/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads crier's lines from stdin as a log collector would, and counts. reader [--id CONTAINER] [--latency TYPE]
 * [--plain N: any lines, not JSON, and the first N are a heading]
 *
 * On stdout, as it goes: "first TYPE NS" when the first line of a type has come (CLOCK_BOOTTIME); on SIGUSR1 and at the
 * end one line of JSON with what came since the one before: lines, bytes, by type, by type of that container, and how long
 * after their boottime_ns the wanted lines were there to be read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES  (1 << 20)
#define READ_BYTES    (1 << 16)
#define TYPES_MAX     40
#define LATENCIES_MAX 4000000

struct type {
	char name[40];
	uint64_t lines, matched;
	bool seen;
};

static struct {
	struct type types[TYPES_MAX];
	size_t type_count;
	uint64_t lines, bytes;
	uint64_t *latencies; /* ns */
	size_t latency_count;
	char stop[16384]; /* the agent.stop line */
} tally;

static const char *wanted_id, *wanted_type;
static bool plain;
static long heading;
static volatile sig_atomic_t asked;

static void on_usr1(int number)
{
	(void)number;
	asked = 1;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double percentile_us(double share)
{
	size_t at = (size_t)((double)tally.latency_count * share);

	return (double)tally.latencies[at < tally.latency_count ? at : tally.latency_count - 1] / 1000;
}

static void print_types(const char *key, bool matched)
{
	const char *comma = "";

	printf(",\"%s\":{", key);
	for (size_t i = 0; i < tally.type_count; i++) {
		printf("%s\"%s\":%llu", comma, tally.types[i].name,
		       (unsigned long long)(matched ? tally.types[i].matched : tally.types[i].lines));
		comma = ",";
	}
	putchar('}');
}

static void report(void)
{
	printf("{\"lines\":%llu,\"bytes\":%llu", (unsigned long long)tally.lines,
	       (unsigned long long)tally.bytes);
	print_types("types", false);
	print_types("matched", true);
	if (tally.latency_count) {
		qsort(tally.latencies, tally.latency_count, sizeof(*tally.latencies), compare);
		printf(",\"latency\":{\"count\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
		       tally.latency_count, percentile_us(0.5), percentile_us(0.99), percentile_us(1));
	}
	if (tally.stop[0])
		printf(",\"stop\":%s", tally.stop);
	puts("}");
	fflush(stdout);
	tally.lines = tally.bytes = 0;
	tally.latency_count = 0;
	for (size_t i = 0; i < tally.type_count; i++)
		tally.types[i].lines = tally.types[i].matched = 0;
}

static const char *value_of(const char *line, size_t len, const char *key, size_t key_len)
{
	const char *at = memmem(line, len, key, key_len);

	return at ? at + key_len : NULL;
}

#define VALUE(line, len, key) value_of(line, len, "\"" key "\":\"", sizeof(key) + 3)

static struct type *type_of(const char *line, size_t len)
{
	const char *name = VALUE(line, len, "type");
	size_t name_len = name ? strcspn(name, "\"") : 0, i;

	if (!name || name_len >= sizeof(tally.types[0].name))
		return NULL;
	for (i = 0; i < tally.type_count; i++)
		if (strncmp(tally.types[i].name, name, name_len) == 0 && !tally.types[i].name[name_len])
			return &tally.types[i];
	if (i == TYPES_MAX)
		return NULL;
	memcpy(tally.types[i].name, name, name_len);
	tally.type_count++;
	return &tally.types[i];
}

static void take_line(const char *line, size_t len, uint64_t at_ns)
{
	static const char plain_line[] = "\"type\":\"line\"";
	struct type *type;

	if (heading > 0) {
		heading--;
		return;
	}
	type = plain ? type_of(plain_line, sizeof(plain_line) - 1) : type_of(line, len);

	tally.lines++;
	if (!type) {
		fprintf(stderr, "reader: a line without a type: %.*s\n", (int)(len < 200 ? len : 200), line);
		exit(1);
	}
	type->lines++;
	if (!type->seen) {
		type->seen = true;
		printf("first %s %llu\n", type->name, (unsigned long long)at_ns);
		fflush(stdout);
	}
	if (strcmp(type->name, "agent.stop") == 0 && len < sizeof(tally.stop)) {
		memcpy(tally.stop, line, len);
		tally.stop[len] = '\0';
	}
	if (wanted_id && !memmem(line, len, wanted_id, strlen(wanted_id)))
		return;
	type->matched++;
	if (wanted_type && strcmp(type->name, wanted_type) == 0 && tally.latency_count < LATENCIES_MAX) {
		const char *boottime = VALUE(line, len, "boottime_ns");

		if (boottime)
			tally.latencies[tally.latency_count++] = at_ns - strtoull(boottime, NULL, 10);
	}
}

static size_t take_lines(const char *buffer, size_t len, uint64_t at_ns)
{
	size_t start = 0;

	for (const char *end; (end = memchr(buffer + start, '\n', len - start));) {
		size_t line_len = (size_t)(end - buffer) - start;

		take_line(buffer + start, line_len, at_ns);
		start += line_len + 1;
	}
	return start;
}

int main(int argc, char **argv)
{
	static char buffer[BUFFER_BYTES];
	struct sigaction action = {.sa_handler = on_usr1}; /* no SA_RESTART: a read that waits comes back */
	size_t have = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--id") == 0)
			wanted_id = argv[i + 1];
		else if (strcmp(argv[i], "--latency") == 0)
			wanted_type = argv[i + 1];
		else if (strcmp(argv[i], "--plain") == 0)
			plain = true, heading = strtol(argv[i + 1], NULL, 10);
	}
	sigaction(SIGUSR1, &action, NULL);
	/* what is measured is when a line can be read, not how long this reader waits for a CPU */
	(void)sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
	tally.latencies = malloc(LATENCIES_MAX * sizeof(*tally.latencies));
	if (!tally.latencies)
		return 1;
	for (;;) {
		ssize_t n = read(STDIN_FILENO, buffer + have, READ_BYTES);
		uint64_t at_ns = now_ns();

		if (asked) {
			asked = 0;
			report();
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		tally.bytes += (uint64_t)n;
		have += (size_t)n;
		size_t taken = take_lines(buffer, have, at_ns);

		memmove(buffer, buffer + taken, have - taken);
		have -= taken;
		if (have > BUFFER_BYTES - READ_BYTES) {
			fprintf(stderr, "reader: a line of more than %d bytes\n", BUFFER_BYTES - READ_BYTES);
			return 1;
		}
	}
	if (have) {
		fprintf(stderr, "reader: the last line has no end\n");
		return 1;
	}
	report();
	return 0;
}
