#!/bin/bash
# Every header of include/crier compiles by itself, and twice.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"
need cc

failed=0
while IFS= read -r path; do
	name=${path#include/}
	if ! words=$(printf '#include "%s"\n#include "%s"\n' "$name" "$name" |
		cc -x c -std=gnu17 -D_GNU_SOURCE -Iinclude -Wall -Wextra -Werror -Wundef -fsyntax-only - 2>&1); then
		echo "$path: does not compile by itself: $(grep -m 1 'error' <<<"$words")"
		failed=1
	fi
done < <(files 'include/crier/*.h')
exit $failed
