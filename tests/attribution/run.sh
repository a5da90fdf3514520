#!/bin/bash
# tests/attribution/run.sh [SCENARIO...] : whose event is it? Real containers by the hundred, each line against the test's own
# record, as root; see run.py. The table goes to stderr, its numbers to build/reports/attribution.json.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "skip attribution: containers and kernel programs need root"
	exit 0
fi
exec /usr/bin/python3 "$here/run.py" "$@"
