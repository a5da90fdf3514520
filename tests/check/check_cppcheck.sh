#!/bin/bash
# cppcheck over src: errors, warnings, performance. Inline suppressions (cppcheck-suppress ID) count.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"
need cppcheck
need_build compile_commands.json

# Not asked, since version 2.10 cannot know:
#   memleak, resourceLeak   it does not understand __attribute__((cleanup)); the asan tests do
#   internalAstError        a statement expression (crier_min) in a designated initialiser
#   readdirCalled           readdir_r is deprecated, and each DIR has one owner
cppcheck --quiet -j2 --enable=warning,performance,portability --inline-suppr --std=c11 --library=posix --library=gnu \
	--project="$build/compile_commands.json" --file-filter="$PWD/src/*" -i"$build" "-D__$(uname -m)__=1" \
	--suppress=memleak --suppress=resourceLeak --suppress=internalAstError --suppress=readdirCalled \
	--suppress=missingIncludeSystem --suppress="*:$build/*" --error-exitcode=1 \
	--template='{file}:{line}: {severity}: {message} [{id}]' 2>&1 | sed "s|^$PWD/||"
