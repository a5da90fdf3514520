#!/usr/bin/python3
"""Every call on a CRI socket is made with a deadline: each place that creates or starts one says which."""
from __future__ import annotations

import re

from tree import ROOT, verdict

CREATE = re.compile(r"grpc_channel_create_call\((.*?)\)\s*;", re.DOTALL)
START = re.compile(r"crier_cri_call_start\((.*?)\)\s*(?:;|<|==)", re.DOTALL)
# The doorbell is a call on a lame channel, which never sends: it has no runtime to wait for.
DOORBELL = "/doorbell"
DEADLINES = re.compile(r"\bdeadline\b")
TIMEOUTS = re.compile(r"timeout_ms|left_ms")


def arguments(text: str) -> list[str]:
    """The arguments of a call, at its own depth."""
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [" ".join(part.split()) for part in parts]


def problems_of(name: str, source: str) -> tuple[list[str], int]:
    problems, seen = [], 0
    for match in CREATE.finditer(source):
        given = arguments(match.group(1))
        seen += 1
        if any(DOORBELL in each for each in given):
            continue
        if len(given) != 8 or not DEADLINES.search(given[6]):
            problems.append(f"{name}: a call is created without a deadline: {given}")
    for match in START.finditer(source):
        given = arguments(match.group(1))
        seen += 1
        if given[0].startswith("struct crier_cri_call"):
            continue  # the declaration and the definition
        if not TIMEOUTS.search(given[-1]):
            problems.append(f"{name}: a call is started without a time-out of its own: {given}")
    return problems, seen


def main() -> None:
    problems, seen = [], 0
    for path in sorted((ROOT / "src" / "cri").glob("*.c")):
        found, count = problems_of(path.name, path.read_text(encoding="utf-8"))
        problems += found
        seen += count
    if seen < 7:
        problems.append(f"only {seen} calls found: this check looks at the wrong thing")
    # gRPC is nowhere else: the boundaries' check says so
    verdict(problems)


main()
