# shellcheck shell=bash
# Sourced by the checks that are shell scripts: the tree's files, and words for what is missing.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
build=${CRIER_BUILD:-$PWD/build/dev}

# files PATTERN... : the tree's own files (tracked, or new and not ignored) that match a glob of the whole path.
files() {
	local path pattern
	if [ -e .git ]; then
		git ls-files --cached --others --exclude-standard
	else
		find . -type f -not -path './build/*' -not -path '*/__pycache__/*' -printf '%P\n'
	fi | sort -u | while IFS= read -r path; do
		[ -f "$path" ] || continue # deleted and not yet committed
		for pattern in "$@"; do
			# shellcheck disable=SC2053 # a glob is meant
			if [[ $path == $pattern ]]; then
				printf '%s\n' "$path"
				break
			fi
		done
	done
}

# need TOOL... : fails with one sentence when a tool is not installed.
need() {
	local tool
	for tool in "$@"; do
		command -v "$tool" >/dev/null || {
			echo "$tool: not installed; run tests/run.sh as root, or see tests/harness/packages.sh"
			exit 1
		}
	done
}

# need_build FILE... : fails with one sentence when the build has not made it.
need_build() {
	local file
	for file in "$@"; do
		[ -e "$build/$file" ] || {
			echo "$build/$file: not there; build first: cmake --preset dev && cmake --build --preset dev"
			exit 1
		}
	done
}
