#!/bin/sh
# compare.sh CRIER NAME.rec: replay and compare with NAME.ndjson; shows the first differing lines.
set -u
told=$(mktemp)
trap 'rm -f "$told"' EXIT
"$1" replay "$2" >"$told" || exit 1
cmp "$told" "${2%.rec}.ndjson" || { diff "${2%.rec}.ndjson" "$told" | head -n 6; exit 1; }
