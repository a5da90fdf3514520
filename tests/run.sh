#!/bin/bash
# tests/run.sh [SUITE [--FLAG [VALUE]]...]... : installs what the tests need, builds, runs the suites, and counts.
# A suite prints "ok NAME", "not ok NAME: reason" or "skip NAME: reason" on stdout; diagnostics go to stderr.
# The last line of stdout is "N passed, N failed, N skipped". Exit 1 if anything failed or nothing ran.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=/dev/null
. tests/harness/packages.sh
# Debian's python: it is the one that Debian's grpcio, protobuf and jsonschema belong to.
python=/usr/bin/python3
reports=build/reports
results=$reports/results.txt

# A suite is a function suite_NAME or a script tests/NAME/run.sh; its name here puts it into the default run.
suites=(unit golden integration bpf e2e attribution check)

say() { echo "run.sh: $*" >&2; }

# build PRESET : configures and builds; its output only when it fails.
build() {
	local preset=$1 log=build/$1.log
	mkdir -p build
	say "building preset $preset (log in $log)"
	if ! { cmake --preset "$preset" && cmake --build --preset "$preset"; } >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		echo "not ok build/$preset: cmake failed, see $log"
		return 1
	fi
}

# with_ctest PRESET LABEL PREFIX : runs a label of a preset and prints each case.
with_ctest() {
	local preset=$1 label=$2 prefix=$3 junit
	junit=$root/$reports/ctest-$preset-$label.xml
	rm -f "$junit"
	# cmocka's own cases are read from its TAP output, which ctest keeps in the report.
	CMOCKA_MESSAGE_OUTPUT=TAP ctest --preset "$preset" -L "^$label\$" --output-junit "$junit" \
		--test-output-size-passed 1000000 --test-output-size-failed 1000000 >build/ctest-"$preset"-"$label".log 2>&1 || true
	"$python" tests/harness/ctest_lines.py "$junit" "$prefix"
}

suite_unit() {
	with_ctest dev unit unit
	local preset
	for preset in asan tsan; do
		build "$preset" && with_ctest "$preset" unit "unit-$preset"
	done
}
suite_golden() { with_ctest dev golden golden; }
suite_integration() {
	build/dev/tests/integration/cgroup_node || true # says what failed in its own lines
	tests/integration/cli.sh build/dev/crier || true
	CRI_DRIVER=$root/build/dev/tests/integration/cri_driver tests/integration/run.sh
}
suite_e2e() { "$python" tests/e2e/run.py; }

# run_suite NAME [FLAG...] : its lines to stdout and to the results; a suite that breaks off or tells nothing is a failure.
run_suite() {
	local name=$1 status=0 before after
	shift
	before=$(wc -l <"$results")
	say "suite $name"
	if declare -F "suite_$name" >/dev/null; then
		"suite_$name" "$@" | tee -a "$results" || status=$?
	elif [ -x "tests/$name/run.sh" ]; then
		"tests/$name/run.sh" "$@" | tee -a "$results" || status=$?
	else
		say "suite $name: tests/$name/run.sh is not there"
	fi
	after=$(tail -n "+$((before + 1))" "$results" | grep -cE '^(ok|not ok|skip) ' || true)
	if [ "$after" -eq 0 ]; then
		echo "not ok $name: the suite told of no test (exit $status)" | tee -a "$results"
	elif [ "$status" -ne 0 ] && ! tail -n "+$((before + 1))" "$results" | grep -q '^not ok '; then
		echo "not ok $name: the suite ended with exit $status" | tee -a "$results"
	fi
}

known() {
	[[ " ${suites[*]} " == *" $1 "* ]] || declare -F "suite_$1" >/dev/null || [ -x "tests/$1/run.sh" ]
}

count() { grep -cE "^$1 " "$results" || true; }

main() {
	local word name passed failed skipped
	local -a names=()
	local -A flags=()
	[ $# -gt 0 ] || set -- "${suites[@]}"
	for word in "$@"; do
		if [[ $word == -* && ${#names[@]} -gt 0 ]]; then
			flags[${names[-1]}]+="$word "
		elif known "$word"; then
			names+=("$word")
		elif [[ ${#names[@]} -gt 0 && -n ${flags[${names[-1]}]:-} ]]; then
			flags[${names[-1]}]+="$word " # the value of a flag
		else
			say "no suite '$word': choose from ${suites[*]} or a folder of tests/ that has a run.sh"
			exit 2
		fi
	done
	mkdir -p "$reports"
	: >"$results"
	# The bench measures what is shipped and builds it itself.
	if [ "${names[*]}" != bench ]; then
		install_missing build run test
		build dev | tee -a "$results" || true # then there is a line, and no suite is run
	fi
	if [ ! -s "$results" ]; then
		for name in "${names[@]}"; do
			# shellcheck disable=SC2086  # flags and their values are single words
			run_suite "$name" ${flags[$name]:-}
		done
	fi
	passed=$(count ok) failed=$(count 'not ok') skipped=$(count skip)
	# Once more at the end, indented so that no one counts them twice.
	grep -E '^(not ok|skip) ' "$results" | sed 's/^/  /' || true
	echo "$passed passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

main "$@"
