#!/bin/bash
# tests/integration/run.sh [NAME...] : crier's CRI client against a private containerd and against broken sockets, as
# root; NAME selects by part of the name. Builds preset dev unless CRIER_BUILD names a build.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [ "$(id -u)" -ne 0 ]; then
	echo "skip integration: needs root"
	exit 0
fi
if [ -z "${CRIER_BUILD:-}" ] && [ -z "${CRI_DRIVER:-}" ]; then
	(cd "$root" && cmake --preset dev && cmake --build --preset dev --target cri_driver) >&2
fi
exec /usr/bin/python3 "$root/tests/integration/run.py" "$@"
