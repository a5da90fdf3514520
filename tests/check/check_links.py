#!/usr/bin/python3
"""Links between the tree's pages lead somewhere, and the pages a reader is promised are there."""
from __future__ import annotations

import re

from tree import ROOT, files, text, verdict

PROMISED = ("README.md", "docs/architecture.md", "docs/events.md", "docs/options.md", "docs/crier.8", "docs/kubernetes.md")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.*?)\s*$", re.M)


def anchor(heading: str) -> str:
    """As the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def problem(path: str, target: str) -> str | None:
    name, _, part = target.partition("#")
    page = (ROOT / path).parent / name if name else ROOT / path
    if not page.exists():
        return f"{path}: links to {target}, which is not there"
    if part and page.suffix == ".md":
        if part not in {anchor(heading) for heading in HEADING.findall(page.read_text(encoding="utf-8"))}:
            return f"{path}: links to {target}, but there is no such heading"
    return None


problems = [f"{path}: not there" for path in PROMISED if not (ROOT / path).exists()]
for page in files("*.md"):
    for link in LINK.findall(re.sub(r"^```.*?^```", "", text(page), flags=re.S | re.M)):
        if not re.match(r"[a-z]+:", link):
            found = problem(page, link)
            problems += [found] if found else []
verdict(problems)
