#!/bin/bash
# Spelling of everything. British words are the tree's own.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"
need codespell

files '*' | xargs -d '\n' codespell --quiet-level 3 --skip '*.bin,*/corpus/*,*.rec' --builtin clear,rare --ignore-words tests/check/codespell.words
