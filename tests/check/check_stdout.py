#!/usr/bin/python3
"""Only events on stdout: nothing in src names it but the verbs that print for people and the sink."""
from __future__ import annotations

import re

from tree import code, files, line_of, text, verdict

MAY = ("src/cli/", "src/sink/", "src/main.c")
WORD = re.compile(r"(?<![\w.>])(printf|vprintf|puts|putchar|putc)\s*\(|\b(stdout|STDOUT_FILENO)\b|\bd?write\s*\(\s*1\s*,")

problems = []
for path in files("src/*.[ch]", "include/*.h"):
    if path.startswith(MAY):
        continue
    source = code(text(path))
    source = source.replace("isatty(STDOUT_FILENO)", "isatty(             )")  # whether to colour
    problems += [
        f"{path}:{line_of(source, match.start())}: {match.group().strip(' (')}: lines leave by src/sink only; diagnostics "
        "go to stderr by crier/base/log.h"
        for match in WORD.finditer(source)
    ]
verdict(problems)
