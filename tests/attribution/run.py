#!/usr/bin/python3
"""Attribution measured: tests/attribution/run.py [--scale N] [SCENARIO...]

Each scenario has a crier of its own and a load of its own on one private containerd: alive (the runtime answers), frozen (a
relay between crier and the runtime is stopped for the middle third of the run; containers go on being made) and absent
(--cri-socket none), each with containers made as fast as the machine bears (burst) and one a second. In bare, which is
frozen too, crier sees no file of the runtime either, so that lines must leave partial and be mended. What is judged is
what is said: no time makes a test fail. --scale multiplies the containers.
"""
from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from harness import cleanup, crier, proc  # noqa: E402
from harness import lines as rules  # noqa: E402
from harness.crier import Crier, node_flags  # noqa: E402
from harness.node import Node  # noqa: E402
from judge import Judge  # noqa: E402
from load import Load, Plan, Watcher  # noqa: E402

REPORT = HERE.parent.parent / "build" / "reports" / "attribution.json"
FLAGS = ["--process-args", "--max-output-bytes", "0"]
SHOWN = 5
# At least: longer than crier holds a line, and than it waits for an answer.
FROZEN_S = 4.0


@dataclass(frozen=True)
class Scenario:
    name: str
    runtime: str  # alive, frozen, absent
    burst: bool
    per_lifetime: int
    bare: bool = False  # no bundles


SCENARIOS = [
    Scenario("alive-burst", "alive", True, 60),
    Scenario("alive-steady", "alive", False, 6),
    Scenario("frozen-burst", "frozen", True, 60),
    Scenario("frozen-steady", "frozen", False, 6),
    Scenario("bare-burst", "frozen", True, 6, bare=True),
    Scenario("absent-burst", "absent", True, 36),
    Scenario("absent-steady", "absent", False, 4),
]


class Relay:
    """relay.py as a process, so that freezing it freezes nothing else."""

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        command = ["/usr/bin/python3", str(HERE / "relay.py"), str(path), str(target)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True)
        assert self._process.stdout
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("relay.py did not begin")
        self.frozen = False

    def freeze(self) -> None:
        proc.freeze(self._process.pid)
        self.frozen = True

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self.frozen = False

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


class Run:
    """One scenario on a node."""

    def __init__(self, node: Node, scenario: Scenario, scale: float) -> None:
        self.node, self.scenario = node, scenario
        self.plan = Plan(max(1, round(scenario.per_lifetime * scale)))
        self.folder = node.folder / scenario.name
        self.folder.mkdir()
        self.relay = Relay(self.folder / "cri.sock", node.socket) if scenario.runtime == "frozen" else None
        socket: str | Path = "none" if scenario.runtime == "absent" else self.relay.path if self.relay else node.socket
        self.watcher = Watcher(self.folder)
        self.crier = Crier(self.folder / "crier", *self._flags(socket), stamped=True)
        # What the runtime has forgotten when it answers again cannot be mended.
        self.may_reap = threading.Event()
        if not scenario.bare:
            self.may_reap.set()

    def _flags(self, socket: str | Path) -> list[str]:
        flags = node_flags(self.node, socket, "full") + FLAGS
        if self.scenario.bare:
            (self.folder / "empty").mkdir()
            flags[flags.index(str(self.node.state))] = str(self.folder / "empty")
            flags += ["--pod-logs-dir", "", "--container-logs-dir", ""]
        return flags

    def _progress(self, total: int) -> Callable[[int], None]:
        frozen_at = 0.0

        def on_start(started: int) -> None:
            nonlocal frozen_at
            if self.relay and started == total // 3:
                self.relay.freeze()
                frozen_at = time.monotonic()
            if self.relay and started == 2 * total // 3:
                time.sleep(max(0.0, frozen_at + FROZEN_S - time.monotonic()))
                self.relay.thaw()
                self.may_reap.set()

        return on_start

    def _wait_told(self, kind: str, ids: set[str], what: str) -> None:
        def all_told(agent: Crier) -> bool:
            return ids <= {line.get("container.id") for line in agent.lines if line.type == kind}

        try:
            self.crier.wait_for(all_told, what, 60)
        except crier.Timeout as error:
            print(f"# {self.scenario.name}: {error}", file=sys.stderr)  # the judge names them

    def measure(self) -> Judge:
        """Runs the load; returns the judged lines."""
        self.crier.wait_ready()
        load = Load(self.node, self.plan, self._progress(len(self.plan.lives)), self.may_reap)
        if self.scenario.burst:
            load.burst()
        else:
            load.steady()
        self.rate = len(self.plan.lives) / load.seconds
        ids = {life.id for life in self.plan.lives} | {plan.pod.sandbox_id for plan in self.plan.pods if plan.pod}
        self._wait_told("container.exited", ids, "container.exited of every container")
        self._wait_mended()
        code = self.crier.stop()
        if code != 0:
            raise RuntimeError(f"crier ends with {code}: {self.crier.diagnostics()}")
        rules.check_sequence(self.crier.lines)
        judge = Judge(self.crier.lines, self.crier.arrivals(), self.plan, self.watcher.stop())
        judge.run()
        return judge

    def _wait_mended(self) -> None:
        """Gives what left partial the time to be mended: crier compares the runtime's lists every 30 s."""
        if self.scenario.runtime == "absent" or not self._partial():
            return
        deadline = time.monotonic() + 45
        while time.monotonic() < deadline:
            time.sleep(1)
            mends = [line.get("data.mends") for line in self.crier.events("container.resolved")]
            if all(any(m["from_seq"] <= line.seq <= m["to_seq"] for m in mends) for line in self._partial()):
                return

    def _partial(self) -> list[rules.Line]:
        ids = {life.id for life in self.plan.lives}
        return [
            line
            for line in self.crier.events()
            if line.get("attribution.status") in ("partial", "none") and line.get("container.id") in ids
        ]

    def close(self) -> None:
        cleanup.attempt("crier", self.crier.close)
        cleanup.attempt("watch.py", self.watcher.close)
        if self.relay:
            cleanup.attempt("relay.py", self.relay.close)


def say(verdict: str, name: str, reason: str = "") -> None:
    print(f"{verdict} attribution/{name}" + (f": {reason.splitlines()[0]}" if reason else ""), flush=True)


def verdict(name: str, problems: list[str]) -> None:
    """One line on stdout, the first few problems whole on stderr."""
    say("not ok" if problems else "ok", name, f"{len(problems)}, such as {problems[0][:400]}" if problems else "")
    for problem in problems[:SHOWN]:
        print(f"# {name}: {problem}", file=sys.stderr, flush=True)


def not_answered(rows: list[dict[str, Any]]) -> list[str]:
    return [
        f"{row[status]} of {row['events']} lines left {status} and were never mended (lifetime {row['lifetime_ms']} ms)"
        for row in rows
        for status in ("partial", "none")
        if row[status]
    ]


def losses(run: Run) -> int:
    """Events that agent.loss tells of, whosever they were: crier sees all of the machine's containers."""
    lines = run.crier.events("agent.loss")
    for line in lines[:SHOWN]:
        print(f"# {run.scenario.name}: {line}", file=sys.stderr, flush=True)
    return sum(int(line.get("data.count", 0)) for line in lines)


def sums(run: Run) -> list[str]:
    """generated = emitted + filtered + suppressed + lost + held: what is missing without a word would show here too."""
    problems = []
    last = run.crier.lines[-1]
    for kind in ("bulk", "critical"):
        row = last.get(f"data.{kind}", {})
        parts = sum(row.get(key, 0) for key in ("emitted", "filtered", "suppressed", "lost", "held"))
        if last.type != "agent.stop" or row.get("generated", 0) != parts:
            problems.append(f"{kind}: generated is not the sum of its parts: {last}")
    return problems


def recovered(run: Run, judge: Judge) -> list[str]:
    """After the thaw the runtime is asked again and answers, without a restart of crier."""
    after = [owner for owner in judge.owners.values() if owner.life and owner.life.attempt == 0]
    after = sorted(after, key=lambda owner: owner.asked_ns)[-len(after) // 6 :]
    told = [line.get("attribution.source") for owner in after for line in owner.lines if line.type == "container.exited"]
    problems = [] if "cri" in told else [f"the last containers' ends are attributed by {sorted(set(told))}, not by the runtime"]
    health = [line for line in run.crier.events("agent.health") if line.get("data.component") == "cri"]
    if health and health[-1].get("data.state") != "ok":
        problems.append(f"the runtime is still not ok: {health[-1]}")
    return problems


def measure(node: Node, scenario: Scenario, scale: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a scenario by lifetime, and that of all its containers."""
    run = Run(node, scenario, scale)
    try:
        judge = run.measure()
        name = scenario.name
        lost = losses(run)
        common = {"created_per_s": round(run.rate, 1), "lost": lost}
        rows = [{"scenario": name, **row, **common} for row in judge.rows()]
        verdict(f"{name}/record_is_whole", judge.faults)
        verdict(f"{name}/never_wrong", judge.problems)
        if lost and judge.missing:
            # On a machine that others load too, what they do may fill the rings; it is told, and nothing can be concluded.
            say("skip", f"{name}/nothing_missing", f"crier tells of {lost} lost events, {len(judge.missing)} are missing here")
        else:
            verdict(f"{name}/nothing_missing", judge.missing)
        verdict(f"{name}/sums_are_whole", sums(run))
        verdict(f"{name}/full_or_mended", not_answered(rows))
        if scenario.bare:
            late = sum(row["late"] for row in rows)
            verdict(f"{name}/lines_left_partial", [] if late else ["none did: nothing was there to be mended"])
        if scenario.runtime == "frozen":
            verdict(f"{name}/recovers", recovered(run, judge))
        if keep := os.environ.get("CRIER_ATTRIBUTION_KEEP"):
            (Path(keep) / f"{name}.ndjson").write_bytes(run.crier.out.read_bytes())
        return rows, {"scenario": name, **judge.total(), **common}
    finally:
        run.close()


COLUMNS = [
    ("scenario", "scenario"), ("lifetime_ms", "lifetime"), ("containers", "made"), ("created_per_s", "per s"),
    ("events", "lines"), ("full", "full"), ("late", "late"), ("partial", "partial"), ("none", "none"),
    ("wrong", "wrong"), ("missing", "missing"), ("lost", "lost"),
    ("p50_full_ms", "full p50"), ("p99_full_ms", "p99"), ("max_full_ms", "max"),
    ("p50_ms", "line p50"), ("p99_ms", "p99"), ("max_ms", "max"),
]  # fmt: skip


def _cell(row: dict[str, Any], key: str) -> str:
    value = row[key]
    if key == "lifetime_ms":
        return str(row["kind"]) if value is None else f"{value} ms"
    if key.endswith("_ms"):
        return "-" if value is None else f"{value:.1f}"
    return str(value)


def table(rows: list[dict[str, Any]]) -> str:
    """As Markdown, so that it can be kept as it is."""
    body = [[title for _key, title in COLUMNS]] + [[_cell(row, key) for key, _title in COLUMNS] for row in rows]
    widths = [max(len(line[i]) for line in body) for i in range(len(COLUMNS))]
    body.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths)) + " |" for line in body)


def main() -> int:
    cleanup.exit_on_signals()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("scenario", nargs="*", help="part of a name")
    options = parser.parse_args()
    chosen = [s for s in SCENARIOS if not options.scenario or any(part in s.name for part in options.scenario)]
    rows: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    try:
        crier.binary()
        with Node() as node:
            print(f"# {node.runtime}, kernel {os.uname().release}, {os.cpu_count()} CPUs", file=sys.stderr, flush=True)
            for scenario in chosen:
                began = time.monotonic()
                try:
                    told, total = measure(node, scenario, options.scale)
                    rows += told
                    totals.append(total)
                except Exception as error:  # pylint: disable=broad-except
                    say("not ok", scenario.name, f"{type(error).__name__}: {error}")
                    traceback.print_exc()
                print(f"# {scenario.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    except Exception as error:  # pylint: disable=broad-except
        say("not ok", "node", f"{type(error).__name__}: {error}")
        traceback.print_exc()
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({"rows": rows, "totals": totals}, indent=1) + "\n", encoding="utf-8")
    # Each scenario by lifetime, then all its containers.
    shown = [row for total in totals for row in [*(r for r in rows if r["scenario"] == total["scenario"]), total]]
    REPORT.with_suffix(".md").write_text(table(shown) + "\n", encoding="utf-8")
    print(table(shown), file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
