"""Every way in which a kernel, a cgroup layout or a kind of hook tells a scenario otherwise than its golden file, with its cause.

What is not listed here is a bug. docs/kernels.md prints this table.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """What a scenario ran under."""

    release: tuple[int, int]
    layout: str  # v2, v1 or hybrid
    hooks: str  # name of the set


@dataclass(frozen=True)
class Difference:
    """`where` in words and as a question; `absent` are patterns over paths, "TYPE PATH" for one type alone."""

    where: str
    applies: Callable[[Run], bool]
    scenarios: str
    cause: str
    absent: list[str] = field(default_factory=list)
    other: dict[str, Any] = field(default_factory=dict)


TABLE = [
    Difference(
        "cgroup v1", lambda run: run.layout == "v1", ".*",
        "`cgroup.id` is of the memory hierarchy: nothing else names a container there",
        other={"cgroup.version": 1},
    ),
    Difference(
        "cgroup v1 and hybrid", lambda run: run.layout != "v2", ".*",
        "memory is a hierarchy of version 1, and so is the cgroup that has the limit",
        other={"data.limit.cgroup.version": 1},
    ),
    Difference(
        "cgroup v1 and hybrid", lambda run: run.layout != "v2", "oom_.*|pressure",
        "memory.stat of version 1 has no slab",
        absent=[r"data\.memory\.slab_bytes"],
    ),
    Difference(
        "no hook for oom_control", lambda run: run.hooks == "no_control", "oom_.*",
        "whose limit it was is known by the OOM count that rose",
        other={"data.limit.found_by": "oom_count"},
    ),
    Difference(
        "kernels before 5.18 with cgroup v2", lambda run: run.release < (5, 18) and run.layout == "v2", "oom_.*|pressure",
        "memory.stat tells all kernel memory since 5.18 (a8c49af3be5f)",
        absent=[r"data\.memory\.kernel_bytes"],
    ),
    Difference(
        "kernels from 6.16 on", lambda run: run.release >= (6, 16), ".*",
        "sched_process_exit comes before the memory is gone: the peak is of the last program alone, and need not be called mixed",
        absent=[r"data\.peak_rss_includes_pre_exec"],
    ),
]  # fmt: skip


def allowed(run: Run, scenario: str) -> tuple[list[str], dict[str, Any]]:
    """Paths that may be absent and values that differ."""
    absent: list[str] = []
    other: dict[str, Any] = {}
    for row in TABLE:
        if re.fullmatch(row.scenarios, scenario) and row.applies(run):
            absent += row.absent
            other.update(row.other)
    return absent, other
