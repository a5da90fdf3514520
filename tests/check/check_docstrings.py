#!/usr/bin/python3
"""Every function a public header declares has a comment directly above it, or stands in a group that begins with one."""
from __future__ import annotations

import re

from tree import code, files, line_of, text, verdict

PROTOTYPE = re.compile(
    r"^(?!typedef|static|return|#)(?:extern )?(?:const )?(?:struct |enum |unsigned )?\w[\w ]*?[ *]+(crier_\w+)\([^;{}]*\)[^;{}]*;",
    re.M,
)


def has_comment(source: list[str], index: int) -> bool:
    """Is there a comment on the line, or above it within its paragraph?"""
    if "/*" in source[index]:
        return True
    while index > 0 and source[index - 1].strip():
        index -= 1
        if source[index].rstrip().endswith("*/"):
            return True
    return False


def problems_of(path: str) -> list[str]:
    source = text(path)
    return [
        f"{path}:{line}: {match.group(1)} has no comment above it"
        for match in PROTOTYPE.finditer(code(source))
        if not has_comment(source.splitlines(), (line := line_of(source, match.start())) - 1)
    ]


headers = files("include/crier/*.h")
declared = sum(len(PROTOTYPE.findall(code(text(path)))) for path in headers)
found = [problem for path in headers for problem in problems_of(path)]
if declared < 50:
    found.append(f"include/crier: only {declared} declarations were recognised; mend the pattern of check_docstrings.py")
verdict(found)
