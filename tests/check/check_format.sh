#!/bin/bash
# C as .clang-format says. Version 14 only: every other one breaks lines differently.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"
need clang-format

wanted=14
clang_format=clang-format
if command -v clang-format-$wanted >/dev/null; then
	clang_format=clang-format-$wanted
fi
version=$("$clang_format" --version | grep -oE '[0-9]+' | head -n 1)
if [ "$version" != "$wanted" ]; then
	echo "clang-format: is version $version, the tree is written with $wanted; install clang-format-$wanted"
	exit 1
fi

failed=0
while IFS= read -r path; do
	places=$("$clang_format" --dry-run "$path" 2>&1 | grep -c 'warning:') || true
	if [ "$places" -gt 0 ]; then
		echo "$path: $places places differ from .clang-format; run clang-format -i on it"
		failed=1
	fi
done < <(files 'src/*.[ch]' 'include/*.[ch]' 'bpf/*.[ch]' 'tests/*.[ch]')
exit $failed
