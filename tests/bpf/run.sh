#!/bin/bash
# tests/bpf/run.sh [NAME] : the kernel side on the running kernel, as root; NAME selects by part of the name.
# Prints "ok NAME", "not ok NAME: reason" or "skip NAME: reason". Builds preset dev unless CRIER_BUILD names a build.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${CRIER_BUILD:-$root/build/dev}

if [ "$(id -u)" -ne 0 ]; then
	echo "skip bpf: needs root"
	exit 0
fi
if [ -z "${CRIER_BUILD:-}" ]; then
	(cd "$root" && cmake --preset dev && cmake --build --preset dev --target crier_bpf_test) >&2
fi
ulimit -l unlimited 2>/dev/null || true # before 5.11 maps count against it
status=0
"$build/tests/bpf/crier_bpf_test" "$@" | sed -E 's/^(ok|not ok|skip) /\1 bpf\//' || status=$?
exit "$status"
