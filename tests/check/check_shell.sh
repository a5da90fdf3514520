#!/bin/bash
# Every shell script, by shellcheck.
set -euo pipefail
# shellcheck source=tests/check/tree.sh
. "$(dirname "${BASH_SOURCE[0]}")/tree.sh"
need shellcheck

files '*.sh' .ci/run | xargs -d '\n' shellcheck --external-sources --format=gcc
