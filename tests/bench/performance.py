#!/usr/bin/python3
"""The report as a table, and docs/performance.md: performance.py [REPORT.json] prints the latter."""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# What the project aims at: (measure, at most or at least, in the row's unit). Told beside the figure, never enforced.
AIMS: dict[str, tuple[str, float]] = {
    "pipeline.mix:1000.total": ("<=", 200),
    "pipeline.mix:1000.allocations": ("<=", 0),
    "pipeline.exec:1000.line": ("<=", 900),
    "pipeline.oom:1000.line_container.oom": ("<=", 4000),
    "storm.cpu_per_100k_events": ("<=", 60),
    "rate.cpu_per_event": ("<=", 0.6),
    "rate.lossless_one_core": (">=", 700_000),
    "rate.overload.critical_lost": ("<=", 0),
    "rate.overload.cpu": ("<=", 60),
    "rate.overload.lost_after": ("<=", 0),
    "kernel.exec.container": ("<=", 600),
    "kernel.exec.container_with_args": ("<=", 1000),
    "kernel.fork.container": ("<=", 600),
    "kernel.exit.container": ("<=", 600),
    "kernel.exec.host": ("<=", 80),
    "kernel.exit.host": ("<=", 80),
    "kernel.fork.host": ("<=", 80),
    "kernel.pair": ("<=", 1200),
    "slowdown.storm.full": ("<=", 1.08),
    "latency.oom.p99": ("<=", 2),
    "start.0.first_line": ("<=", 60),
    "start.100.first_exec": ("<=", 100),
    "memory.10.rss": ("<=", 10 * 1024),
    "memory.10.anonymous": ("<=", 2.5 * 1024),
    "memory.each_container": ("<=", 1536),
    "idle.cpu": ("<=", 0.05),
    "idle.wakeups.own": ("<=", 1),
}

# What the floor was on the machine that an aim was set by, in the row's unit: another machine is faster or slower as a whole.
AIMED_BY: dict[str, float] = {
    "pipeline.mix:1000.total": 83,
    "storm.cpu_per_100k_events": 39,
    "rate.cpu_per_event": 0.39,
    "rate.lossless_one_core": 780_000,
    "kernel.pair": 927,
    "slowdown.storm.full": 1.09,
    "start.0.first_line": 34,
    "start.100.first_exec": 34,
}

SECTIONS = {
    "pipeline": "Pipeline: from the ring's bytes to a finished line",
    "kernel": "Kernel programs",
    "slowdown": "What a load pays",
    "storm": "Exec storm into a pipe",
    "rate": "Sustained without loss",
    "latency": "From the event to the line",
    "memory": "Memory",
    "churn": "After containers came and went",
    "idle": "Idle",
    "start": "Start",
    "size": "Size",
}

HEAD = """# Performance

Made by `tests/run.sh bench --accept`; do not edit. The last accepted run.

"""

HOW = """
## How to repeat it

```
sudo tests/run.sh bench                     # everything, about {minutes}; build/reports/bench.json
sudo tests/run.sh bench --quick             # small loads: does the measuring work?
sudo tests/run.sh bench --part=kernel       # or pipeline, endtoend, footprint; several with commas
sudo tests/run.sh bench --accept            # the report becomes this page; its parts may be measured one by one
tests/bench/pipeline.py mix:1000 exec:1000  # the pipeline alone, no root: time and instructions by stage
```

Take a machine with nothing else to do: CPUs, caches and the kernel's hooks are shared with whoever runs beside it. No figure passes or fails a test. A measurement ends
with an error when its own sums do not hold: when lines and events differ and nobody says that something was lost, when the scheduler's and the kernel's account of CPU
disagree, when a container's end was not told.

## How it was measured

Medians of {runs} alternations: in each, crier, the floor and the peers take turns. *Floor* is what the machine allows, of the same run; *peer* is the best of bpftrace 0.17 and the
execsnoop and exitsnoop of libbpf-tools, as Debian packages them, none of which knows a container.

- **pipeline** — records are made in memory, a batch of 8,192 at most in a buffer of the ring's size, and fed to the pipeline that crier links, with a host that
  answers look-ups from memory. `mix:1000:zipf` is the mix of events over 1,000 containers, the busiest of which has a seventh of all. Stages are told apart by
  running the pipeline up to a stage and no further (calls between its files are led through a cut by the linker), so no clock stands within; `total` is measured by
  another program without cuts. `floor_fragment` copies ready text and prints the numbers of the very same lines, byte for byte; `floor_snprintf` and `floor_jansson` make them
  by those. Allocations are counted by a malloc of our own in front of glibc's, as all is, once a stream has four batches without any, or after 128 (a million events: what 100,000
  containers need to remember of their deaths still grows then). Instructions are callgrind's. `recorded:` streams are files of `crier record`, from start to end.
- **kernel** — the kernel's own count of time and runs of each program (`BPF_ENABLE_STATS`), while a storm of processes lives in a container or in a group of the host's.
  The floor's programs fill 128 bytes by helpers and filter nothing; beside a host's process stand programs that ask for its cgroup, look that up and count (`filter`).
- **slowdown** — user and system time of the load with crier over that without, right before (a build: in the same round), the load on one CPU, crier and the reader on
  the other. `idle`: crier runs, the load is the host's. `control`: without crier once more; as far as that is from 1, so little do the others mean.
- **storm, rate, latency** — output bounds and event budgets are off. `rate`: crier is held on one CPU, a BPF program puts made-up processes' records into crier's
  own ring from the other, through crier's own budget, ring and wake-up; the highest rate at which each record became a line, and before it the CPU for each event at
  100,000 a second. `overload`: twice that for ten seconds with `--max-cpu 0.5`,
  while processes of the container are OOM-killed, and an ordinary load once it is over; a second's worth of CPU saved up before is the tenth above a half. `latency`: from `boottime_ns` in the line to the moment
  a reader at real-time priority has the line. Containers are directories and a runtime of the tests' own names them.
- **memory** — from `/proc/PID/smaps`; `ring`: pages of the rings, counted in RSS though they are the kernel's; `maps`: what all BPF maps take in the
  kernel by its own word, the rings once among them. `each_container`: anonymous
  memory beyond that with 10 containers, twelve seconds after the last one was told, when what the burst needed has been given back (`at_once`: right then). `churn`: beside it,
  what it was before; `given_back`: when the tombstones (five minutes) are gone.
- **idle** — a minute with ten containers and a runtime that is asked for its list twice, from the time when what the start needed has been given back.
- **start** — from exec to the first line read, and to the first line of an exec, while processes execute three hundred times a second.
"""


def _number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _aim(row: dict[str, Any]) -> str:
    if row["measure"] not in AIMS:
        return ""
    sign, limit = AIMS[row["measure"]]
    return f"{sign} {_number(limit)}{'' if _is_met(row['measure'], row['value']) else ', not met'}"


def _cells(row: dict[str, Any]) -> list[str]:
    def ratio(base: float | None) -> str:
        return "" if not base else f"{_number(base)} ({row['value'] / base:.2f} x)"

    return [row["measure"], _number(row["value"]), row["unit"], ratio(row["floor"]), ratio(row["peer"]), _aim(row), str(row["runs"])]


TITLES = ["measure", "value", "unit", "floor", "peer", "aim", "runs"]


def table(rows: list[dict[str, Any]]) -> str:
    """For a terminal."""
    cells = [TITLES] + [_cells(row) for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(TITLES))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)


def _section(title: str, rows: list[dict[str, Any]]) -> str:
    lines = [f"\n## {title}\n", f"| {' | '.join(TITLES)} |", "|" + "---|" * len(TITLES)]
    for row in rows:
        cells = _cells(row)
        lines.append(f"| `{cells[0]}` | {' | '.join(cells[1:])} |")
    return "\n".join(lines) + "\n"


STAGES = ("decode", "attribute", "hold", "enrich", "correlate", "filter", "emit")


def _grid(titles: list[str], lines: list[list[str]]) -> str:
    text = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    return "\n".join(text + [f"| {' | '.join(line)} |" for line in lines]) + "\n"


def _pipeline(rows: list[dict[str, Any]]) -> str:
    """One line for each stream: all in all, then the stages; the rows themselves would be hundreds."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        # a recording's name holds a dot itself
        case, what = re.fullmatch(r"pipeline\.(.+?(?:\.rec)?)\.(.+)", row["measure"]).groups()  # type: ignore[union-attr]
        found.setdefault(case, {})[what] = row

    def cell(case: str, what: str) -> str:
        return _number(found[case][what]["value"]) if what in found[case] else ""

    totals, stages = [], []
    for case, parts in found.items():
        total = parts["total"]
        floor = f"{_number(total['floor'])} ({total['value'] / total['floor']:.2f} x)" if total["floor"] else ""
        names = ("floor_snprintf", "floor_jansson", "allocations", "line", "total.instructions")
        totals.append([f"`{case}`", cell(case, "total"), floor, *[cell(case, name) for name in names]])
        if "decode" in parts:
            stages.append([f"`{case}`", *[f"{cell(case, stage)} / {cell(case, f'{stage}.instructions')}" for stage in STAGES]])
    lines = {what: row for parts in found.values() for what, row in parts.items() if what.startswith("line_")}
    text = f"\n## {SECTIONS['pipeline']}\n\n"
    text += _grid(["stream", "ns/event", "fragment floor", "snprintf", "jansson", "allocations/event", "bytes/line", "instructions/event"], totals)
    text += "\nBy stage, nanoseconds / instructions:\n\n" + _grid(["stream", *STAGES], stages)
    text += "\nBytes of a line: " + ", ".join(f"{what.removeprefix('line_')} {_number(row['value'])}" for what, row in sorted(lines.items())) + ".\n"
    return text


def _is_met(measure: str, value: float) -> bool:
    sign, limit = AIMS[measure]
    return value <= limit if sign == "<=" else value >= limit


def _aims(rows: list[dict[str, Any]]) -> str:
    known = {row["measure"]: row for row in rows}
    lines = []
    for measure, (sign, limit) in AIMS.items():
        if row := known.get(measure):
            base, then = row["floor"], AIMED_BY.get(measure)
            here = f"{_number(base)} ({row['value'] / base:.2f} x)" if base else ""
            there = f"{_number(then)} ({limit / then:.2f} x)" if then else ""
            met = "yes" if _is_met(measure, row["value"]) else "no"
            lines.append([f"`{measure}`", f"{_number(row['value'])} {row['unit']}", f"{sign} {_number(limit)}", met, here, there])
    return "\n## Beside the aims\n\n" + _grid(["measure", "value", "aim", "met", "floor here", "floor by which the aim was set"], lines)


def _commits(report: dict[str, Any]) -> str:
    """Parts take a quarter of an hour each, and may be of different commits."""
    parts: dict[str, str] = report.get("parts", {})
    if len(set(parts.values())) <= 1:
        return f"Commit {report['commit']}"
    return "Commits " + ", ".join(f"{name} ({part})" for part, name in parts.items())


def markdown(report: dict[str, Any], notes: list[str], minutes: str = "an hour") -> str:
    machine = report["machine"]
    text = HEAD + (
        f"{_commits(report)} on {machine['cpu']}, {machine['cores']} cores, {machine['memory']} of memory, kernel {machine['kernel']}, "
        f"{machine['system']}; load average at the start {machine['load_at_start']}.\n"
    )
    for note in notes:
        text += f"\n{note[0].upper()}{note[1:]}.\n"
    text += _aims(report["rows"])
    for key, title in SECTIONS.items():
        if rows := [row for row in report["rows"] if row["measure"].split(".", 1)[0] == key]:
            text += _pipeline(rows) if key == "pipeline" else _section(title, rows)
    runs = max((row["runs"] for row in report["rows"]), default=0)
    return text + HOW.format(minutes=minutes, runs=runs)


def write(path: Path, report: dict[str, Any], notes: list[str]) -> None:
    path.write_text(markdown(report, notes), encoding="utf-8")


if __name__ == "__main__":
    source = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "build/reports/bench.json")
    print(markdown(json.loads(source.read_text(encoding="utf-8")), []), end="")
