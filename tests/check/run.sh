#!/bin/bash
# tests/check/run.sh [CHECK...] : the suite "check": the source as it must be, whatever the program does.
# A check is an executable check_NAME.* in this folder: it prints one problem a line and fails if there is one. Here each
# becomes "ok check/NAME" or "not ok check/NAME: reason" on stdout, with all problems on stderr. A line that starts with
# "(report)" is no problem.
# CRIER_BUILD names the build that is looked into (build/dev).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
export CRIER_BUILD=${CRIER_BUILD:-$PWD/build/dev}

# details NAME TEXT : all that a check said, on stderr.
details() {
	local line
	while IFS= read -r line; do
		echo "  $1: $line" >&2
	done <<<"$2"
}

# check PATH : runs one and tells its verdict on stdout; its own exit status does not matter here.
check() {
	local path=$1 name output status=0 problems
	name=${path##*/check_}
	name=${name%.*}
	output=$("$path" 2>&1) || status=$?
	if [ "$status" -eq 0 ]; then
		echo "ok check/$name"
		[ -z "$output" ] || details "$name" "$output"
		return
	fi
	problems=$(grep -v '^(report)' <<<"$output") || true
	if [ "$(wc -l <<<"$problems")" -le 1 ]; then
		echo "not ok check/$name: ${problems:-exit $status without a word}"
	else
		echo "not ok check/$name: $(wc -l <<<"$problems") problems, the first: $(head -n 1 <<<"$problems")"
	fi
	details "$name" "$output"
}

main() {
	local path name
	if [ $# -eq 0 ]; then
		for path in "$here"/check_*; do
			check "$path"
		done
		return
	fi
	for name in "$@"; do
		path=$(find "$here" -maxdepth 1 -name "check_$name.*" | head -n 1)
		if [ -z "$path" ]; then
			echo "not ok check/$name: there is no tests/check/check_$name.*"
			continue
		fi
		check "$path"
	done
}

main "$@"
