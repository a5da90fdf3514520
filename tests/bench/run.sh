#!/bin/bash
# tests/bench/run.sh [--quick] [--part=NAME] [--runs=N] [--accept] : the suite "bench", see run.py.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/harness/packages.sh
. "$here/../harness/packages.sh"
install_missing build run bench
exec /usr/bin/python3 "$here/run.py" "$@"
