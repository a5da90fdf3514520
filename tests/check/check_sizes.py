#!/usr/bin/python3
"""Files to about 500 lines, functions to about 60: a report. Above 600 and 100 it fails, unless a row below says why."""
from __future__ import annotations

import re

from tree import files, text, verdict

FILE_GOAL, FILE_MAX = 500, 600
FUNCTION_GOAL, FUNCTION_MAX = 60, 100

# path or path:function -> why it may be longer
ALLOWED: dict[str, str] = {}

NAME = re.compile(r"(?:BPF_PROG|BPF_KPROBE|BPF_KRETPROBE)\((\w+)|(\w+)\(")


def functions(source: list[str]) -> list[tuple[int, str, int]]:
    """(line, name, lines of the body): clang-format puts the braces of a function's body into the first column."""
    found = []
    start = head = 0
    for number, line in enumerate(source, 1):
        if line == "{":
            start = number
            head = number - 1
            while head > 1 and source[head - 2].strip() and not re.search(r"[;}/]$|^#", source[head - 2].rstrip()):
                head -= 1
        elif line == "}" and start:
            match = NAME.search(" ".join(source[head - 1 : start - 1]))
            found.append((head, next(filter(None, match.groups())) if match else "?", number - start - 1))
            start = 0
    return found


def main() -> None:
    reports: list[str] = []
    problems: list[str] = []
    used = set()
    for path in files("src/*.[ch]", "include/*.h", "bpf/*.[ch]", "tests/*.[ch]", "tests/*.py", "*.sh"):
        source = text(path).splitlines()
        long = [(path, f"{path}: {len(source)} lines", len(source), FILE_GOAL, FILE_MAX)]
        if path.endswith((".c", ".h")):
            long += [
                (f"{path}:{name}", f"{path}:{line}: {name} has {size} lines", size, FUNCTION_GOAL, FUNCTION_MAX)
                for line, name, size in functions(source)
            ]
        for key, sentence, size, goal, most in long:
            if size > most and key not in ALLOWED:
                problems.append(f"{sentence}, more than {most}; split it, or say why in check_sizes.py")
            elif size > most:
                used.add(key)
            elif size > goal:
                reports.append(f"{sentence}, the goal is {goal}")
    problems += [f"{key}: is no longer too long; take its row out of check_sizes.py" for key in set(ALLOWED) - used]
    for report in reports:
        print(f"(report) {report}")
    verdict(problems)


main()
