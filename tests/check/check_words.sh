#!/bin/bash
# What does not belong into the tree: things to be done later, paths and hosts of the machine it was written on, and
# anything in the root but what the layout names.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"

found=$(mktemp)
trap 'rm -f "$found"' EXIT

# look REASON GREP-OPTION... : tells each line of the tree's text files that matches.
look() {
	local reason=$1
	shift
	files '*' | xargs -d '\n' grep -nIH "$@" /dev/null | cut -c1-160 | sed "s|\$|  <- $reason|" >>"$found" || true
}

# The brackets keep the patterns from finding themselves.
look 'do it, or open an issue' -wE '[T]ODO|[F]IXME|[X]XX|[H]ACK'
look 'a path of the machine it was written on' -E '(^|[^[:lower:]_.-])/([w]ork|home/[a-z]+|Users)/'
look 'how the work was organised is no part of the tree' -iE \
	'\b(this|previous|next|earlier|last|another|coding|work|agent|helper) [s]ession|[w]orkplace'
look "the folder of this checkout" -F "$PWD/"

# Hosts of private mirrors: what this machine's own package tools are told to use, less the public ones.
public='(^|\.)(debian\.org|ubuntu\.com|pypi\.org|pythonhosted\.org|golang\.org|npmjs\.org|crates\.io|localhost|127\.0\.0\.1)$'
{
	apt-get indextargets --format "\$(REPO_URI)" 2>/dev/null || true
	printf '%s\n' "${PIP_INDEX_URL:-}" "${GOPROXY:-}" "${npm_config_registry:-}"
} | grep -oE '[a-z+]+://[^/ ,|]+' | sed -E 's|.*://([^@]*@)?||; s|:[0-9]+$||' | sort -u | grep -vE "$public" |
	while IFS= read -r host; do
		look "a mirror of this machine" -F "$host"
	done || true

files '*' | cut -d/ -f1 | sort -u |
	grep -vxE 'CMakeLists\.txt|CMakePresets\.json|cmake|src|bpf|cri-api|include|tests|deploy|docs|README\.md|LICENSE|\..+' |
	sed 's|$|: has no place in the root of the tree|' >>"$found" || true

cat "$found"
[ ! -s "$found" ]
