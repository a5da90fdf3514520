"""For the checks that are Python: the tree's files, C source without comments, and the verdict."""
from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CRIER_BUILD", ROOT / "build/dev"))


def _paths() -> list[str]:
    if (ROOT / ".git").exists():
        command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(ROOT).parts[0] != "build"
    ]


def files(*patterns: str) -> list[str]:
    """The tree's own files (tracked, or new and not ignored) that match one of these globs; * also matches /."""
    found = {
        path
        for path in _paths()
        if (ROOT / path).is_file() and any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
    }
    return sorted(found)


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


_TOKEN = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def code(source: str) -> str:
    """C source with comments and the contents of literals blanked; every line keeps its number."""

    def blank(match: re.Match[str]) -> str:
        token = match.group()
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)

    return _TOKEN.sub(blank, source)


def line_of(source: str, offset: int) -> int:
    return source.count("\n", 0, offset) + 1


def verdict(problems: list[str]) -> None:
    """One problem a line; the exit status says whether there was one."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
