"""The kernel's side: nanoseconds of each program for a container's process and for a host's, and what a load pays for it."""
from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peers
import rig
import runtime
from rig import Agent, Place, Settings, load, median, row

PROFILES = ("minimal", "default", "process", "memory", "full")
CONTAINERS = 10
# The load on one CPU, the agent and its reader on the other: what it pays is the kernel's part alone.
AGENT_CPU, LOAD_CPU = 0, 1
# Which load makes a program run. A harmless signal is none that ends a process: SIGCHLD, or SIGURG, which the load sends itself.
EXERCISED = {"exec": "storm", "fork": "storm", "exit": "storm", "signal": "kills", "signal_harmless": "signals"}
LOADS = ("storm", "signals", "kills")


def _short(name: str) -> str:
    for prefix in ("crier_tp_", "crier_raw_", "floor_host_", "floor_"):
        name = name.removeprefix(prefix)
    return name


def _run_load(settings: Settings, kind: str, cgroup: str) -> int:
    arguments: dict[str, tuple[object, ...]] = {
        "storm": ("storm", 500 if settings.quick else 3000, 4),
        "kills": ("kills", 500 if settings.quick else 3000),
        "signals": ("signals", 20000, 0.2 if settings.quick else 1),
    }
    return load(settings.programs, *arguments[kind], cgroup=cgroup)["count"]


Times = dict[str, tuple[int, int]]


def _times(settings: Settings, agent: Agent, kind: str, cgroup: str) -> tuple[int, Times]:
    """How many there were of the load, and program -> ns in all and runs meanwhile."""
    names = rig.program_names()
    before = rig.program_times(agent.pid)
    count = _run_load(settings, kind, cgroup)
    found = {}
    for number, (ns, runs) in rig.program_times(agent.pid).items():
        first = before.get(number, (0, 0))
        if runs > first[1]:
            found[_short(names.get(number, "?"))] = (ns - first[0], runs - first[1])
    return count, found


def _pair_ns(settings: Settings, agent: Agent, only: tuple[str, ...] = ()) -> float:
    """All time in an agent's programs (or in those named) for each process that executes and exits."""
    names = rig.program_names()

    def total() -> int:
        times = rig.program_times(agent.pid)
        return sum(ns for number, (ns, _) in times.items() if not only or _short(names.get(number, "?")) in only)

    before = total()
    count = _run_load(settings, "storm", runtime.cgroup(rig.LOADED))
    return (total() - before) / count


def pair_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    """An exec and an exit: crier's two programs beside all of the others'."""
    starts: dict[str, Callable[[], Agent]] = {
        "crier": lambda: rig.crier(settings, place),
        "floor": lambda: floor(settings),
        **{each.name: (lambda each=each: each.start(settings)) for each in peers.found(settings)},  # type: ignore[misc]
    }
    found: dict[str, list[float]] = {name: [] for name in starts}
    with rig.stats_of_programs():
        for _ in range(settings.runs):
            for name, start in starts.items():
                with start() as agent:
                    found[name].append(_pair_ns(settings, agent, ("exec", "exit") if name == "crier" else ()))
                    agent.stop()
    base = median(found["floor"])
    # execsnoop tells no exit and exitsnoop no exec
    snoop = sum(median(found[name]) for name in ("execsnoop", "exitsnoop") if name in found)
    beside = [value for value in (median(found["bpftrace"]) if "bpftrace" in found else 0, snoop) if value]
    rows = [row("kernel.pair", median(found["crier"]), "ns/exec and exit", base, min(beside) if beside else None, settings.runs)]
    return rows + [
        row(f"kernel.pair.{name}", median(values), "ns/process", runs=len(values)) for name, values in found.items() if name != "crier"
    ]


Collected = dict[tuple[str, str, str], list[float]]


def _collect(settings: Settings, agent: Agent, who: str, into: Collected, cgroups: dict[str, str], loads: tuple[str, ...]) -> None:
    for where, cgroup in cgroups.items():
        harmless = 0.0
        for kind in loads:
            count, times = _times(settings, agent, kind, cgroup)
            for program, (ns, runs) in times.items():
                each = ns / runs
                if program == "signal" and kind == "signals":
                    harmless = each
                    into.setdefault((who, "signal_harmless", where), []).append(each)
                elif program == "signal" and kind == "kills":
                    # each death also sends its parent a SIGCHLD, which is harmless
                    into.setdefault((who, program, where), []).append((ns - harmless * max(runs - count, 0)) / count)
                elif EXERCISED.get(program) == kind:
                    into.setdefault((who, program, where), []).append(each)


def program_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    """bpf_stats, alternating: crier in a container and in a host's group, crier with arguments, the floor's programs."""
    both = {"container": runtime.cgroup(rig.LOADED), "host": rig.HOST_CGROUP}
    contained = {"container": both["container"]}
    collected: Collected = {}
    with rig.stats_of_programs():
        for _ in range(settings.runs):
            with rig.crier(settings, place) as agent:
                _collect(settings, agent, "crier", collected, both, LOADS)
                rig.check_sums(agent.stop()["stop"])
            with rig.crier(settings, place, flags=["--process-args"]) as agent:
                _collect(settings, agent, "args", collected, contained, ("storm",))
                agent.stop()
            with floor(settings) as agent:
                _collect(settings, agent, "floor", collected, contained, ("storm",))
                agent.stop()
            with floor(settings, "--filter") as agent:
                _collect(settings, agent, "filter", collected, {"host": both["host"]}, ("storm",))
                agent.stop()
    rows = []
    for (who, program, where), values in sorted(collected.items()):
        if who == "args" and program != "exec":
            continue
        base = collected.get(("filter" if where == "host" else "floor", program, where)) if who in ("crier", "args") else None
        name = {"crier": f"kernel.{program}.{where}", "args": f"kernel.{program}.{where}_with_args"}.get(who, f"kernel.{who}_{program}")
        rows.append(row(name, median(values), "ns/run", median(base) if base else None, runs=len(values)))
    return rows


def floor(settings: Settings, *flags: str, **options: Any) -> Agent:
    """The least agent: floor_agent.c."""
    agent = Agent(settings.programs, [str(settings.programs.bench("floor_agent")), *flags], **options)
    agent.name = "floor"
    return agent


# ---- what loads pay ----

SOURCE = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int work%d(int argc, char **argv) { char text[64]; snprintf(text, sizeof(text), "%%d %%s", argc, argv[0]); return (int)strlen(text); }
"""


class Build:
    """A build that forks much: small C files, each by the compiler's driver, its assembler and a shell, then linked."""

    def __init__(self, files: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="crier-bench-build-")
        self.files = files
        for number in range(files):
            Path(self._folder.name, f"w{number}.c").write_text(SOURCE % number, encoding="ascii")
        Path(self._folder.name, "main.c").write_text("int main(void) { return 0; }\n", encoding="ascii")
        self.script = (
            f"cd {self._folder.name} || exit 1; for f in *.c; do sh -c \"gcc -O0 -c $f -o ${{f%.c}}.o\" || exit 1; done; gcc -o out *.o"
        )

    def close(self) -> None:
        self._folder.cleanup()

    def run(self, cgroup: str | None) -> float:
        """CPU of the whole build, user and system: ns."""
        import os  # pylint: disable=import-outside-toplevel

        def prepare() -> None:
            if cgroup:
                rig.join(cgroup)
            os.sched_setaffinity(0, {LOAD_CPU})

        process = subprocess.Popen(["sh", "-c", self.script], preexec_fn=prepare)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise rig.Broken(f"bench: the build ended with {process.returncode}")
        return (usage.ru_utime + usage.ru_stime) * 1e9


def slowdown_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    """CPU of each load with an agent over its CPU without, right before (a build's: in the same round); the median of the rounds' ratios.

    A machine's own speed wanders by a third within minutes. control: without an agent once more; as far as it is from 1, so little do the
    others mean.
    """
    build = Build(4 if settings.quick else 24)
    storms, opens = (400, 20_000) if settings.quick else (3000, 300_000)
    inside = runtime.cgroup(rig.LOADED)

    def short(cgroup: str) -> dict[str, float]:
        return {
            "storm": load(settings.programs, "storm", storms, 1, cgroup=cgroup, cpu=LOAD_CPU)["cpu_ns"],
            "openclose": load(settings.programs, "openclose", opens, cgroup=cgroup, cpu=LOAD_CPU)["cpu_ns"],
        }

    def loads(cgroup: str) -> dict[str, float]:
        return {**short(cgroup), "build": build.run(cgroup)}

    def compare(mode: str, off: dict[str, float], on: dict[str, float]) -> None:
        for kind, ns in on.items():
            ratios.setdefault((kind, mode), []).append(ns / off[kind])

    pins = {"cpu": AGENT_CPU, "reader_cpu": AGENT_CPU}
    modes: dict[str, tuple[Callable[[], Agent], str]] = {
        "idle": (lambda: rig.crier(settings, place, "default", **pins), rig.HOST_CGROUP),
        **{each: (lambda each=each: rig.crier(settings, place, each, **pins), inside) for each in PROFILES},  # type: ignore[misc]
        "floor": (lambda: floor(settings, **pins), inside),
        **{each.name: (lambda each=each: each.start(settings, **pins), inside) for each in peers.found(settings)},  # type: ignore[misc]
    }
    ratios: dict[tuple[str, str], list[float]] = {}
    try:
        for _ in range(settings.runs):
            off = loads(inside)
            for mode, (start, cgroup) in modes.items():
                off |= short(inside)
                with start() as agent:
                    on = loads(cgroup)
                    agent.stop()
                compare(mode, off, on)
            off |= short(inside)
            compare("control", off, loads(inside))
    finally:
        build.close()
    best = {
        kind: min((median(values) for (k, mode), values in ratios.items() if k == kind and mode not in (*PROFILES, "idle", "floor", "control")), default=None)
        for kind in ("storm", "openclose", "build")
    }
    return [
        row(
            f"slowdown.{kind}.{mode}",
            median(values),
            "x CPU without",
            None if mode in ("floor", "control") else median(ratios[(kind, "floor")]),
            best[kind] if mode in (*PROFILES, "idle") else None,
            len(values),
        )
        for (kind, mode), values in ratios.items()
    ]


def measure(settings: Settings) -> list[dict[str, Any]]:
    with Place(CONTAINERS) as place:
        return program_rows(settings, place) + pair_rows(settings, place) + slowdown_rows(settings, place)
