#!/usr/bin/python3
"""Measures crier: tests/run.sh bench [--quick] [--part=NAME[,NAME]] [--runs=N] [--accept]

Parts: pipeline, kernel, endtoend, footprint; all of them when none is named. --quick: small loads, few runs, to see that
the measuring works. Parts measured one by one are one report, which says at which commit each was. --accept: a whole
report becomes docs/performance.md.

Nothing fails for being slow: what fails is a measurement whose own sums do not hold. Figures of a busy machine are
figures of a busy machine; the load average stands beside them.
"""
from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import endtoend  # noqa: E402
import footprint  # noqa: E402
import kernel  # noqa: E402
import performance  # noqa: E402
import pipeline  # noqa: E402
import rig  # noqa: E402
import runtime  # noqa: E402
from harness import cleanup  # noqa: E402

ROOT = HERE.parents[1]
REPORT = ROOT / "build/reports/bench.json"
CASES_QUICK = ["mix:1000", "exec:1000", "life:100"]


def _record_storm(settings: rig.Settings, file: Path) -> None:
    """An exec storm as `crier record` keeps it: a stream of this machine, to be replayed."""
    with rig.Place(4) as place:
        command = [str(settings.programs.crier), "record", *place.flags()[1:], str(file)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(2)
            rig.load(settings.programs, "storm", 200 if settings.quick else 5000, 4, cgroup=runtime.cgroup(rig.LOADED))
            time.sleep(0.5)
        finally:
            process.terminate()
            if process.wait() != 0:
                raise rig.Broken(f"bench: crier record ended with {process.returncode}")


def measure_pipeline(settings: rig.Settings) -> list[dict[str, Any]]:
    build = settings.programs.build
    every = subprocess.run([settings.programs.bench("bench_pipeline"), "--list"], capture_output=True, text=True, check=True)
    rows = pipeline.measure(build, CASES_QUICK if settings.quick else every.stdout.split(), settings.runs, pipeline.can_count())
    for file in sorted((ROOT / "tests/golden/streams").glob("*.rec")):
        rows += pipeline.recorded(build, file, settings.runs)
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as folder:
        file = Path(folder, "storm.rec")
        _record_storm(settings, file)
        rows += pipeline.recorded(build, file, settings.runs)
    return rows


PARTS = {
    "pipeline": measure_pipeline,
    "kernel": kernel.measure,
    "endtoend": endtoend.measure,
    "footprint": footprint.measure,
}


def _first_match(file: str, key: str) -> str:
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        if line.startswith(key):
            return line.split(":", 1)[1].strip()
    return "unknown"


def machine() -> dict[str, Any]:
    """What the figures were taken on, and how busy it was."""
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    return {
        "cpu": _first_match("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _first_match("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "system": system,
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


CHANGED = "+changes"


def commit() -> str:
    """The commit measured; CHANGED behind it when the tree is another."""
    name = git("rev-parse", "--short=12", "HEAD").stdout.strip() or "unknown"
    return name + (CHANGED if git("status", "--porcelain", "--untracked-files=no").stdout.strip() else "")


PREFIXES = {
    "pipeline": ("pipeline",),
    "kernel": ("kernel", "slowdown"),
    "endtoend": ("storm", "rate", "latency"),
    "footprint": ("memory", "churn", "idle", "start", "size"),
}


def rows_of(report: dict[str, Any], part: str) -> list[dict[str, Any]]:
    return [row for row in report["rows"] if row["measure"].split(".", 1)[0] in PREFIXES[part]]


def measured_before(report: dict[str, Any], quick: bool) -> dict[str, Any]:
    """The last report, if it is of this machine and kind, and of commits that led to this one: what this run does not measure is kept."""
    if quick or report["commit"].endswith(CHANGED) or not REPORT.exists():
        return {}
    before = json.loads(REPORT.read_text(encoding="utf-8"))
    what = ("cpu", "cores", "memory", "kernel", "system")
    is_same = all(before["machine"][key] == report["machine"][key] for key in what) and not before.get("quick")
    parts = before.get("parts", {part: before["commit"] for part in PARTS})
    is_past = all(git("merge-base", "--is-ancestor", name, "HEAD").returncode == 0 for name in parts.values())
    return {**before, "parts": parts} if is_same and is_past else {}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", default="", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--runs", type=int, help="alternations; default 5, quick 2")
    parser.add_argument("--accept", action="store_true")
    arguments = parser.parse_args()
    wanted = [each for each in arguments.part.split(",") if each] or list(PARTS)
    if unknown := [each for each in wanted if each not in PARTS]:
        parser.error(f"no part '{unknown[0]}': choose from {', '.join(PARTS)}")
    if arguments.accept and arguments.quick:
        parser.error("--accept wants a whole run: no --quick")
    cleanup.exit_on_signals()
    report: dict[str, Any] = {"machine": machine(), "commit": commit(), "rows": [], "notes": [], "quick": arguments.quick, "parts": {}}
    before = measured_before(report, arguments.quick)
    settings = rig.Settings(rig.Programs(pipeline.build()), arguments.runs or (2 if arguments.quick else 5), arguments.quick)
    failed = False
    for name in wanted:
        started = time.monotonic()
        try:
            rows = PARTS[name](settings)
            if len(rows_of({"rows": rows}, name)) != len(rows):
                raise rig.Broken(f"bench: {name} has rows that PREFIXES does not know")
            report["rows"] += rows
            report["parts"][name] = report["commit"]
            print(f"ok bench/{name}: {len(rows)} rows in {time.monotonic() - started:.0f} s", flush=True)
        except Exception as error:  # pylint: disable=broad-except
            failed = True
            print(f"not ok bench/{name}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}", flush=True)
            traceback.print_exc()
    if before:
        kept = [part for part in PARTS if part not in wanted and rows_of(before, part)]
        report["rows"] = [row for part in PARTS for row in rows_of(before if part in kept else report, part)]
        report["parts"] |= {part: before["parts"][part] for part in kept}
        report["machine"]["load_at_start"] = max(report["machine"]["load_at_start"], before["machine"]["load_at_start"])
    report["notes"] = sorted({*before.get("notes", []), *settings.notes})
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(performance.table(report["rows"]), file=sys.stderr)
    print(f"bench: the rows are in {REPORT.relative_to(ROOT)}", file=sys.stderr)
    missing = [part for part in PARTS if not rows_of(report, part)]
    if arguments.accept and missing:
        print(f"bench: not accepted: nothing of {', '.join(missing)}", file=sys.stderr)
        failed = True
    if arguments.accept and not failed:
        performance.write(ROOT / "docs/performance.md", report, report["notes"])
        print("bench: docs/performance.md is this report's", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
