#!/bin/bash
# tests/vm/run.sh [OPTION...] : crier on every kernel of the matrix; options as in tests/vm/run.py --help.
# Prints "ok NAME", "not ok NAME: reason" or "skip NAME: reason". Expects preset dev to be built.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root"
# shellcheck source=/dev/null
. tests/harness/packages.sh
install_missing vm >&2
case " $* " in
*arm*) install_missing vm-arm64 >&2 ;;
*\ -k* | *--kernel*) ;; # none of these rows is of arm64
*) install_missing vm-arm64 >&2 ;;
esac
exec /usr/bin/python3 tests/vm/run.py "$@"
