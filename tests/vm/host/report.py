"""Verdicts of a run: lines for tests/run.sh, the matrix, build/reports/vm.json and docs/kernels.md."""
from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARKS = {"pass": "ok", "fail": "FAIL"}


@dataclass
class KernelResult:
    """A column of the matrix."""

    name: str
    arch: str
    release: str
    available: bool
    checks: dict[str, str] = field(default_factory=dict)
    programs: dict[str, list[int]] = field(default_factory=dict)
    guests: dict[str, float] = field(default_factory=dict)  # name -> seconds of a CPU that its run took


class Report:
    """Thread-safe: guests run side by side."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.kernels: list[KernelResult] = []
        self.failed = 0

    def kernel(self, name: str, arch: str, release: str, available: bool) -> KernelResult:
        with self._lock:
            result = KernelResult(name, arch, release, available)
            self.kernels.append(result)
            return result

    def tell(self, kernel: KernelResult, name: str, verdict: str, why: str = "") -> None:
        """`verdict`: pass, fail or unable. Said at once, so that a long run can be watched."""
        why = " ".join(why.split())[:600]
        word = {"pass": "ok", "fail": "not ok", "unable": "skip"}[verdict]
        with self._lock:
            kernel.checks[name] = f"unable: {why}" if verdict == "unable" else verdict
            self.failed += verdict == "fail"
            print(f"{word} vm/{kernel.name}/{name}" + (f": {why}" if why and verdict != "pass" else ""), flush=True)

    def save(self) -> None:
        rows: list[dict[str, Any]] = []
        for kernel in self.kernels:
            row: dict[str, Any] = {"release": kernel.release, "arch": kernel.arch, "available": kernel.available}
            row.update(row=kernel.name, checks=kernel.checks, programs=kernel.programs)
            row.update(guests={name: round(seconds, 1) for name, seconds in kernel.guests.items()})
            rows.append(row)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps({"kernels": rows}, indent=1) + "\n", encoding="utf-8")

    def take_over(self, order: dict[str, dict[str, str]]) -> None:
        """Whatever the last report holds of guests that were not run now, on the same kernels. `order`: row -> guest -> prefix."""
        for old in json.loads(self._path.read_text(encoding="utf-8"))["kernels"] if self._path.exists() else []:
            mine = next((kernel for kernel in self.kernels if kernel.name == old["row"]), None)
            if mine is None:
                mine = self.kernel(old["row"], old["arch"], old["release"], old["available"])
                if not mine.available:
                    mine.checks.update(old["checks"])
            prefixes = order.get(mine.name, {})
            kept = [guest for guest in old["guests"] if guest in prefixes and guest not in mine.guests]
            if mine.release != old["release"] or not kept:
                continue
            mine.guests.update({guest: old["guests"][guest] for guest in kept})
            mine.programs = mine.programs or old["programs"]
            for name, verdict in old["checks"].items():
                if _guest_of(name, prefixes) in kept:
                    mine.checks[name] = verdict
                    self.failed += verdict == "fail"
        self.kernels.sort(key=lambda kernel: list(order).index(kernel.name))

    # For people

    def _names(self) -> list[str]:
        """Every check, in the order in which it was first told, a guest's together."""
        names = list(dict.fromkeys(name for kernel in self.kernels for name in kernel.checks))
        groups = list(dict.fromkeys(_group(name) for name in names))
        return sorted(names, key=lambda name: groups.index(_group(name)))

    def table(self) -> list[list[str]]:
        """The matrix: a row for each check, a column for each kernel on offer."""
        columns = [kernel for kernel in self.kernels if kernel.available]
        rows = [["check", *(kernel.name for kernel in columns)]]
        for name in self._names():
            rows.append([name, *(_mark(kernel.checks.get(name, "")) for kernel in columns)])
        return rows

    def matrix(self) -> str:
        """The table in columns, for a terminal."""
        rows = self.table()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def _guest_of(name: str, prefixes: dict[str, str]) -> str:
    """Whose check it is: the guest's with the longest prefix that fits."""
    return max((guest for guest, prefix in prefixes.items() if name.startswith(prefix)), key=lambda guest: len(prefixes[guest]), default="")


def _group(name: str) -> str:
    """oom_pod and hook_raw_tp/oom_pod are of two groups; so are v1/oom_pod and v1/hook_raw_tp/oom_pod."""
    return name.rpartition("/")[0]


def _mark(verdict: str) -> str:
    return MARKS.get(verdict, "-" if verdict else "")


def short_release(release: str) -> str:
    """6.12.117+deb13-cloud-amd64 -> 6.12.117+deb13"""
    return re.sub(r"-cloud-\w+$", "", release)
