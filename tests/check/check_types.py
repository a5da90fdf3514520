#!/usr/bin/python3
"""Every type of the event table has a golden file, a part in docs/events.md, and an e2e test that names it."""
from __future__ import annotations

import ast
import json
import re

from tree import ROOT, files, text, verdict


def table() -> list[str]:
    return re.findall(r'\[CRIER_TYPE_\w+\]\s*=\s*TYPE\(\s*"([a-z]+\.[a-z_]+)"', text("src/event.c"))


def in_golden() -> set[str]:
    found: set[str] = set()
    for path in files("tests/golden/*"):
        if path.endswith((".json", ".ndjson", ".jsonl")):
            found |= set(re.findall(r'"type":"([a-z_.]+)"', text(path)))
    return found


def in_docs() -> set[str]:
    if not (ROOT / "docs/events.md").exists():
        return set()
    return set(re.findall(r"^### ([a-z]+\.[a-z_]+)$", text("docs/events.md"), re.M))


def in_tests() -> set[str]:
    """What the bodies of tests and their helpers name; a list of all types at the head of a module proves nothing."""
    found: set[str] = set()
    for path in files("tests/e2e/*.py"):
        for node in ast.walk(ast.parse(text(path))):
            if isinstance(node, ast.FunctionDef):
                texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
                found |= set(re.findall(r"[a-z]+\.[a-z_]+", " ".join(texts)))
    return found


def main() -> None:
    types = table()
    problems = [] if len(types) >= 20 else [f"src/event.c: only {len(types)} rows of the type table were recognised"]
    for have, what in (
        (in_golden(), "has no golden line below tests/golden"),
        (in_docs(), "has no part '### TYPE' in docs/events.md"),
        (in_tests(), "is named in no test of tests/e2e"),
    ):
        problems += [f"{name}: {what}" for name in types if name not in have]
    for path in files("tests/golden/*.ndjson", "tests/golden/*.json"):
        for number, line in enumerate(text(path).splitlines() if path.endswith(".ndjson") else [text(path)], 1):
            try:
                json.loads(line)
            except ValueError as error:
                problems.append(f"{path}:{number}: is no JSON: {error}")
    verdict(problems)


main()
