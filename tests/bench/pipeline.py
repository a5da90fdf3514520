#!/usr/bin/python3
"""The pipeline's benchmark for people at work on it: time, instructions, allocations, bytes, and the floors beside them.

tests/bench/pipeline.py [--quick] [--no-count] [--build DIR] [CASE...]; cases as `bench_pipeline --list` names them.
Instructions are callgrind's count of one batch: the same on a busy machine, so they tell a change that time hides.
"""
from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from rows import row  # noqa: E402

QUICK = ["mix:1000", "exec:1000", "exit:1000", "fork:1000"]
STAGES = ["decode", "attribute", "hold", "enrich", "correlate", "filter", "emit"]


def build(preset: str = "release") -> Path:
    """The benchmarks' programs by the preset that is shipped."""
    folder = ROOT / "build" / preset
    commands = [["cmake", "--build", "--preset", preset], ["cmake", "--build", "--preset", preset, "--target", "bench"]]
    if not (folder / "CMakeCache.txt").exists():
        commands.insert(0, ["cmake", "--preset", preset])
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench: {' '.join(command)} failed:\n{done.stdout[-4000:]}")
    return folder


def can_count() -> bool:
    """Is valgrind there?"""
    return shutil.which("valgrind") is not None


def rows_of(program: Path, arguments: list[str]) -> list[dict]:
    done = subprocess.run([program, "--json", *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"bench: {program.name} {' '.join(arguments)} ended with exit {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def counts_of(program: Path, case: str) -> dict[str, float]:
    """Instructions for each event, by phase."""
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as folder:
        out = Path(folder, "out")
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}", program, "--count", case]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench: valgrind {program.name} --count {case} ended with exit {done.returncode}:\n{done.stdout[-2000:]}")
        for part in sorted(Path(folder).iterdir()):
            text = part.read_text(encoding="utf-8", errors="replace")
            mark = re.search(r"^desc: Trigger: Client Request: (\w+) (\d+)$", text, re.M)
            total = re.search(r"^totals: (\d+)", text, re.M)
            if mark and total:
                found[mark.group(1)] = int(total.group(1)) / int(mark.group(2))
    if not found:
        sys.exit(f"bench: callgrind told nothing of {case}")
    return found


def count_rows(folder: Path, case: str) -> list[dict]:
    """Counted as timed: all in all by the program that is not cut, stages by the one that is."""
    whole = counts_of(folder / "bench_pipeline", case)
    floor = whole["floor_fragment"]
    rows = [
        row(f"pipeline.{case}.total.instructions", whole["total"], "instructions/event", floor),
        row(f"pipeline.{case}.floor_fragment.instructions", floor, "instructions/line"),
    ]
    stages = counts_of(folder / "bench_stages", case)
    before = 0.0
    for stage in STAGES:
        if len(stages) > 1 and stage in stages:
            rows.append(row(f"pipeline.{case}.{stage}.instructions", stages[stage] - before, "instructions/event"))
            before = stages[stage]
    return rows


def measure(folder: Path, cases: list[str], runs: int, count: bool) -> list[dict]:
    """Rows of all cases; the two programs take turns, case by case."""
    programs = folder / "tests/bench"
    rows = []
    for case in cases:
        for name in ("bench_pipeline", "bench_stages"):
            rows += rows_of(programs / name, ["--runs", str(runs), case])
        if count:
            rows += count_rows(programs, case)
    return rows


def recorded(folder: Path, file: Path, runs: int) -> list[dict]:
    """A recording through the same pipeline, from its start to its end."""
    return rows_of(folder / "tests/bench/bench_pipeline", ["--runs", str(runs), f"recorded:{file}"])


def table(rows: list[dict]) -> str:
    """One line a case and measure: time and instructions beside each other."""
    lines: dict[tuple[str, str], dict[str, float]] = {}
    for r in rows:
        _, case, what = r["measure"].removesuffix(".instructions").split(".", 2)
        cells = lines.setdefault((case, what), {})
        cells[r["unit"].split("/")[0] if r["unit"].endswith(("/event", "/line")) else r["unit"]] = r["value"]
        if r["floor"] and r["unit"].startswith("ns"):
            cells["x floor"] = r["value"] / r["floor"]
    text = [f"{'case':<18}{'what':<16}{'ns':>10}{'instructions':>14}  other"]
    for (case, what), cells in lines.items():
        ns, instructions = cells.pop("ns", None), cells.pop("instructions", None)
        other = ", ".join(f"{value:.2f} {unit}" for unit, value in cells.items())
        numbers = f"{'' if ns is None else f'{ns:.1f}':>10}{'' if instructions is None else f'{instructions:.0f}':>14}"
        text.append(f"{case:<18}{what:<16}{numbers}  {other}".rstrip())
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    parser.add_argument("--quick", action="store_true", help="four cases, three runs")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-count", action="store_true", help="no instructions, which take valgrind some seconds a case")
    parser.add_argument("--build", type=Path, help="a build directory with its bench target made; default: build/release, built first")
    arguments = parser.parse_args()
    folder = arguments.build or build()
    every = subprocess.run([folder / "tests/bench/bench_pipeline", "--list"], stdout=subprocess.PIPE, text=True, check=True)
    cases = arguments.cases or (QUICK if arguments.quick else every.stdout.split())
    count = not arguments.no_count and can_count()
    print(table(measure(folder, cases, 3 if arguments.quick else arguments.runs, count)))


if __name__ == "__main__":
    main()
