"""docs/kernels.md: the accepted matrix, with a result of every guest and no failure."""
from __future__ import annotations

import re
from pathlib import Path

from host.report import KernelResult, Report, short_release
from guest.differences import TABLE

HEAD = """# Kernels

Made by `sudo tests/run.sh vm --accept`; do not edit. The last accepted results: crier's one binary on every kernel that Debian offers for the rows of
[tests/vm/host/kernels.py](../tests/vm/host/kernels.py), booted under qemu's own emulation from Debian packages alone. `tests/run.sh vm -k 6.1` runs one row,
`tests/vm/run.py --list` names rows and guests, `build/reports/vm.json` holds a run's verdicts.

What crier tells of each scenario is laid beside [tests/vm/golden](../tests/vm/golden), one file for all kernels, hooks and cgroup layouts: fields, words, exit codes, signals, limits;
numbers that the machine chooses are held against what the kernel says by other ways. The ways in which a kernel may differ are [listed](#differences) with their cause; any other is a failure.
"""
PARTS = {
    "": ("cgroup v2", "Deaths, signals, OOM kills and pressure in containers made by hand; `hook_KIND/`: the same with that kind of hook forced; "
         "`fault/`: hooks that the kernel refuses, or takes and never fires; `without/`: types, rights, mounts, namespaces taken away, a locked kernel."),
    "v1/": ("cgroup v1", "Memory on a version 1 hierarchy and no cgroup2 mount."),
    "hybrid/": ("Hybrid", "Memory on version 1, and a cgroup2 mount beside it."),
    "containerd": ("Runtimes", "Real pods, with systemd as the first process where both cgroup drivers are tried; `RUNTIME-DRIVER/`. "
                   "`life` is a pod with an address by CNI, `too_small` a limit below what the runtime's helper needs."),
}  # fmt: skip


def _part(name: str) -> str:
    return next((prefix for prefix in PARTS if prefix and name.startswith(prefix)), "")


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *body]) + "\n"


def _kernels(kernels: list[KernelResult]) -> str:
    rows = [["row", "kernel", "architecture", "checks passed", "unable", "guests, with the seconds of a CPU that each took"]]
    for each in kernels:
        unable = sum(verdict.startswith("unable") for verdict in each.checks.values())
        guests = ", ".join(f"{name} {seconds:.0f}" for name, seconds in each.guests.items())
        release = short_release(each.release) if each.available else "not offered any more"
        rows.append([each.name, release, each.arch, str(len(each.checks) - unable), str(unable), guests])
    total = sum(sum(each.guests.values()) for each in kernels)
    return f"{_table(rows)}\nTogether {total:.0f} s of a CPU: on two that have nothing else to do, half of it by the clock.\n"


def _matrix(report: Report, part: str) -> str:
    head, *rows = report.table()
    mine = [row for row in rows if _part(row[0]) == part and "verify/" not in row[0]]
    columns = [0, *(at for at in range(1, len(head)) if any(row[at] for row in mine))]
    marks = {"ok": "✓", "": " ", "-": "–"}
    body = [[f"`{row[0].removeprefix(part) if part != 'containerd' else row[0]}`", *(marks.get(row[at], row[at]) for at in columns[1:])] for row in mine]
    return _table([[head[at] for at in columns], *body])


def _unable(report: Report) -> str:
    """By reason: what is unable, and where."""
    rows = [["why", "what", "kernels"]]
    found: dict[str, dict[str, list[str]]] = {}
    for kernel in report.kernels:
        for name, verdict in kernel.checks.items():
            if verdict.startswith("unable: "):
                places = found.setdefault(verdict.removeprefix("unable: "), {}).setdefault(name, [])
                places.append(kernel.name)
    for why, names in sorted(found.items()):
        kernels = list(dict.fromkeys(place for places in names.values() for place in places))
        rows.append([why.replace("|", "\\|"), ", ".join(f"`{name}`" for name in names), ", ".join(kernels)])
    return _table(rows)


def _differences() -> str:
    rows = [["where", "scenarios", "cause", "what"]]
    for each in TABLE:
        absent = [f"`{pattern.replace(chr(92), '')}` absent" for pattern in each.absent]
        other = [f"`{path}` is `{value}`" for path, value in each.other.items()]
        rows.append([each.where, f"`{each.scenarios}`".replace("|", "\\|"), each.cause, ", ".join(absent + other)])
    return _table(rows)


def _programs(kernels: list[KernelResult]) -> str:
    columns = [each for each in kernels if each.programs]
    names = sorted({name for each in columns for name in each.programs})
    rows = [["program", *(each.name for each in columns)]]
    for name in names:
        cells = [each.programs.get(name) for each in columns]
        rows.append([f"`{name}`", *(f"{cell[0]} / {cell[1]}" if cell and cell[1] else str(cell[0]) if cell else "–" for cell in cells)])
    return _table(rows)


def write(report: Report, path: Path) -> None:
    parts = [HEAD, "## The kernels\n", _kernels(report.kernels)]
    parts += ["## The matrix\n", "✓ as it must be, – not possible there: see [below](#what-is-not-possible); empty: not tried there.\n"]
    for part, (title, words) in PARTS.items():
        parts += [f"### {title}\n", f"{words}\n", _matrix(report, part)]
    parts += ["## What is not possible\n", "Said by the check itself, on that kernel.\n", _unable(report)]
    parts += ["## Differences\n", "Everything else is told alike.\n", _differences()]
    parts += [
        "## What the verifier counts\n",
        "Instructions of each program after the verifier's rewriting, and how many it walked (told since 5.16). Every program loads alone on every kernel\n"
        "that has what it hooks, in the variants for cgroup v1 and v2; the larger of the two stands here.\n",
        _programs(report.kernels),
    ]
    path.write_text(re.sub(r"\n{3,}", "\n\n", "\n".join(parts)), encoding="utf-8")
