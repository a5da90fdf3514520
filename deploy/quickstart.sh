#!/bin/bash
# Shows crier's main job on this machine, as root, with nothing but Debian 12:
#   deploy/quickstart.sh [--json FILE] [--attach [SOCKET]] [--keep-build]
#   --json FILE        stores all lines in FILE
#   --attach [SOCKET]  no pods are made: crier runs against the node's own runtime and tells as text until Ctrl-C
#   --keep-build       uses build/release/crier as it is instead of building it
# It starts a private containerd in a temporary folder, makes pods as a kubelet does, lets them die, prints what crier
# told, and removes all of it. Exit 0 only if every expected event was seen.
set -euo pipefail

caller=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
# shellcheck source=/dev/null
. tests/harness/packages.sh
export CRIER=$root/build/release/crier

say() { echo "quickstart: $*" >&2; }

usage() {
	sed -n '3,6s/^# *//p' "$root/deploy/quickstart.sh" >&2
}

build() {
	if $keep_build && [ -x "$CRIER" ]; then
		say "build: keeping $CRIER"
		return
	fi
	say "build: preset release (log in build/release.log)"
	mkdir -p build
	if ! { cmake --preset release && cmake --build --preset release; } >build/release.log 2>&1; then
		tail -n 30 build/release.log >&2
		say "build: cmake failed, its last lines are above: see $root/build/release.log"
		exit 1
	fi
}

keep_build=false
attach=false
socket=
play_args=()
while [ $# -gt 0 ]; do
	case $1 in
	--json)
		[ $# -ge 2 ] || { say "--json: no file is named: give --json FILE"; exit 2; }
		play_args+=(--json "$(cd "$caller" && realpath -m -- "$2")")
		shift
		;;
	--attach)
		attach=true
		if [ $# -ge 2 ] && [[ $2 != --* ]]; then
			socket=$2
			shift
		fi
		;;
	--keep-build) keep_build=true ;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		say "'$1': unknown option"
		usage
		exit 2
		;;
	esac
	shift
done

if [ "$(id -u)" -ne 0 ]; then
	say "user $(id -un): eBPF, containerd and cgroups need root: run it with sudo"
	exit 2
fi

say "packages: installing what is missing"
if $attach; then
	install_missing build
	build
	say "attach: crier watches ${socket:-the runtime it finds}; Ctrl-C ends it"
	exec "$CRIER" run --output text ${socket:+--cri-socket "$socket"}
fi
install_missing build run
build
# exec: a signal to this script is one to the player, which cleans up.
exec /usr/bin/python3 tests/harness/quickstart.py "${play_args[@]}"
