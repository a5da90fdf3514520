#!/bin/bash
# tests/fuzz/run.sh [-t SECONDS] [TARGET...] : builds preset fuzz and runs each target for that long (20, or $FUZZ_SECONDS)
# from its seeds. Prints "ok fuzz/TARGET" or "not ok fuzz/TARGET: reason" on stdout, as tests/run.sh's suites do.
# What was found lies in build/fuzz/findings/TARGET; a finding belongs into tests/fuzz/corpus/TARGET once it is mended.
# What the fuzzer learnt stays in build/fuzz/learnt/TARGET for the next run.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
seconds=${FUZZ_SECONDS:-20}

build() {
	local log=build/fuzz.log
	mkdir -p build
	if ! { cmake --preset fuzz && cmake --build --preset fuzz --target fuzzers; } >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		echo "not ok fuzz/build: cmake failed, see $log"
		exit 1
	fi
}

# fuzz TARGET : a known crash that came back is found by the seeds before anything new is tried.
fuzz() {
	local target=$1 program=build/fuzz/tests/fuzz/fuzz_$1 log=build/fuzz/$1.log findings=build/fuzz/findings/$1 reason
	local learnt=build/fuzz/learnt/$1 longest=16384
	[ "$target" != pipeline ] || longest=4096 # longer ones only take longer
	if [ ! -x "$program" ]; then
		echo "not ok fuzz/$target: there is no tests/fuzz/fuzz_$target.c"
		return
	fi
	mkdir -p "$findings" "$learnt"
	if ASAN_OPTIONS=quarantine_size_mb=32 nice "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len="$longest" -print_final_stats=1 \
		-artifact_prefix="$findings/" "$learnt" "$here/corpus/$target" >"$log" 2>&1; then
		echo "ok fuzz/$target"
		grep -E 'number_of_executed_units|average_exec' "$log" | sed "s|^|  fuzz/$target: |" >&2
		return
	fi
	reason=$(grep -m 1 -E 'does not hold|^SUMMARY|ERROR: |runtime error' "$log" | cut -c1-200) || true
	echo "not ok fuzz/$target: ${reason:-ended without a word}; see $log"
	grep -E 'Test unit written to' "$log" | sed 's|^|  |' >&2 || true
}

main() {
	local source
	if [ "${1:-}" = -t ]; then
		seconds=${2:?-t SECONDS}
		shift 2
	fi
	build
	if [ $# -eq 0 ]; then
		for source in "$here"/fuzz_*.c; do
			source=${source##*/fuzz_}
			set -- "$@" "${source%.c}"
		done
	fi
	for source in "$@"; do
		fuzz "$source"
	done
}

main "$@"
