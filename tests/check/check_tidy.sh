#!/bin/bash
# check_tidy.sh [REGEX] : clang-tidy by .clang-tidy over src, or over what REGEX names. Two jobs: about a minute and a half.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"
need clang-tidy run-clang-tidy
need_build compile_commands.json

# The regular expressions are matched with absolute paths; generated sources lie in the build tree.
# It colours its output even into a pipe.
output=$(nice run-clang-tidy -quiet -j2 -p "$build" "${1:-^$PWD/src/}" 2>/dev/null | sed 's/\x1b\[[0-9;]*m//g') || true
if ! grep -q '^clang-tidy' <<<"$output"; then
	echo "clang-tidy: looked at no file: $(head -n 1 <<<"$output")"
	exit 1
fi
found=$(grep -E ': (warning|error): ' <<<"$output" | sed "s|^$PWD/||; s|,-warnings-as-errors||" | sort -u) || true
[ -z "$found" ] || {
	echo "$found"
	exit 1
}
