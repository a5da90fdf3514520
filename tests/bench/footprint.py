"""What crier is when nothing happens: memory by kind, threads, wake-ups and CPU, its start, its size on disk."""
from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import kernel
import peers
import rig
import runtime
from rig import Agent, Place, Settings, load, median, row

KIB = 1024
# Threads that gRPC makes for itself; crier has no say in when they wake.
GRPC_THREADS = ("grpc", "default-ex", "resolver", "event_engin", "timer")


def _wait_known(agent: Agent, count: int) -> None:
    """All containers were answered for: each has told its snapshot, which needs its names. Others' are told too."""
    known, deadline = 0, time.monotonic() + 180
    while True:
        agent.settle(0.5)
        known += agent.tally()["types"].get("container.snapshot", 0)
        if known >= count:
            return
        if time.monotonic() > deadline:
            raise rig.Broken(f"bench: footprint: {known} of {count} containers were told")


GIVEN_BACK_S = 12  # crier gives back every ten seconds what a burst needed, see src/agent/memory.c

TOMBSTONES_S = 300  # --tombstone-age


KINDS = ("rss", "anonymous", "file", "ring")


def _memory_rows(name: str, found: list[rig.Memory], threads: list[int], beside: list[dict[str, float]]) -> list[dict[str, Any]]:
    runs = len(found)
    rows = []
    for kind in KINDS:
        least = min((each[kind] for each in beside), default=None)
        peer = least / KIB if least is not None and kind in ("rss", "anonymous") else None
        rows.append(row(f"memory.{name}.{kind}", median([getattr(each, kind) for each in found]) / KIB, "KiB", peer=peer, runs=runs))
    rows.append(row(f"memory.{name}.threads", median(threads), "threads", runs=runs))
    return rows


def _peers_memory(settings: Settings) -> dict[str, dict[str, float]]:
    """Of peers that run and tell: name -> kind -> bytes."""
    found: dict[str, dict[str, float]] = {}
    for peer in peers.found(settings):
        samples = []
        for _ in range(1 if settings.quick else settings.runs):
            with peer.start(settings) as agent:
                samples.append(agent.memory())
                agent.stop()
        found[peer.name] = {kind: median([getattr(each, kind) for each in samples]) for kind in KINDS}
    return found


def memory_rows(settings: Settings) -> list[dict[str, Any]]:
    """With containers that the runtime names. The default profile, as it is deployed."""
    rows: list[dict[str, Any]] = []
    at_once: dict[int, float] = {}
    settled: dict[int, float] = {}
    others = _peers_memory(settings)
    counts = (0, 10, 100) if settings.quick else (0, 10, 250, 10_000)
    for count in counts:
        found, threads, later, maps = [], [], [], []
        with Place(count) as place:
            for _ in range(1 if settings.quick else settings.runs):
                with rig.crier(settings, place, "default", flags=["--max-containers", "16384"]) as agent:
                    _wait_known(agent, count)
                    found.append(agent.memory())
                    maps.append(rig.kernel_bytes(agent.pid))
                    threads.append(len(list(Path(f"/proc/{agent.pid}/task").iterdir())))
                    if count in (10, counts[-1]):
                        time.sleep(GIVEN_BACK_S)
                        later.append(agent.memory().anonymous)
                    agent.stop()
        rows += _memory_rows(str(count), found, threads, list(others.values()) if count == 10 else [])
        rows.append(row(f"memory.{count}.maps", median(maps) / KIB, "KiB", runs=len(maps)))
        at_once[count] = median([each.anonymous for each in found])
        settled[count] = median(later) if later else 0.0
    most = counts[-1]
    # the program's own pages and the rings do not grow with the number of containers
    for name, anonymous in (("", settled), (".at_once", at_once)):
        rows.append(row(f"memory.each_container{name}", (anonymous[most] - anonymous[10]) / (most - 10), "bytes"))
    for name, kinds in others.items():
        rows += [row(f"memory.{name}.{kind}", kinds[kind] / KIB, "KiB", runs=1 if settings.quick else settings.runs) for kind in ("rss", "anonymous")]
    return rows


def churn_rows(settings: Settings) -> list[dict[str, Any]]:
    """Containers come and go as in an hour of a busy node; what is left in memory when all are gone."""
    count, rate = (300, 300) if settings.quick else (50_000, 400)
    with Place(10) as place, rig.crier(settings, place, "default") as agent:
        _wait_known(agent, 10)
        before = agent.memory()
        spent = agent.cpu_ns()
        folders = [str(place.primary.path(runtime.pod_cgroup(runtime.CHURN)))]
        done = load(settings.programs, "churn", runtime.CHURN + 1, count, rate, *folders)
        agent.settle(1, 60)
        after, spent = agent.memory(), agent.cpu_ns() - spent
        if not settings.quick:
            time.sleep(TOMBSTONES_S + 3 * GIVEN_BACK_S)
        last = agent.memory()
        told = agent.tally()["types"]
        for kind in ("created", "started", "exited"):
            # others' containers are told too, so more is no error
            if told.get(f"container.{kind}", 0) < count:
                raise rig.Broken(f"bench: churn: {count} containers made {told.get(f'container.{kind}', 0)} lines of container.{kind}")
        rig.check_sums(agent.stop()["stop"])
    return [
        row("churn.rss", after.rss / KIB, "KiB", floor=before.rss / KIB),
        row("churn.anonymous", after.anonymous / KIB, "KiB", floor=before.anonymous / KIB),
        row("churn.given_back", last.anonymous / KIB, "KiB", floor=before.anonymous / KIB),
        row("churn.cpu_per_container", spent / count / 1000, "us"),
        row("churn.rate", count / done["wall_ns"] * 1e9, "containers/s"),
    ]


# ---- idle ----


def _switches(pid: int) -> dict[str, int]:
    """Voluntary switches: a thread that slept and woke, by whose it is."""
    found = {"own": 0, "grpc": 0}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text(encoding="utf-8", errors="replace")
            for line in (task / "status").read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("voluntary_ctxt_switches"):
                    found["grpc" if name.startswith(GRPC_THREADS) else "own"] += int(line.split()[1])
    return found


WINDOW_S = 10.0  # a timer of 30 to 60 s is in few of them


def _sleep(pid: int, seconds: float) -> dict[str, list[float]]:
    """Wake-ups a second, by whose they are, window by window."""
    found: dict[str, list[float]] = {"own": [], "grpc": []}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0.5:
        before, began = _switches(pid), time.monotonic()
        time.sleep(min(WINDOW_S, left))
        passed = time.monotonic() - began
        for whose, number in _switches(pid).items():
            found[whose].append((number - before[whose]) / passed)
    return found


def idle_rows(settings: Settings) -> list[dict[str, Any]]:
    """Nothing of ours happens; what others do on this machine is counted along, so the machine must be quiet.

    Wake-ups are those of the median window, which the timers of 30 to 60 s (the runtime's list, statistics) are not in, and with those timers.
    """
    seconds = {"crier": 60, "peers": 20} if not settings.quick else {"crier": 3, "peers": 1}
    wakes: dict[str, list[float]] = {"own": [], "own_with_timers": [], "grpc": []}
    cpu: dict[str, list[float]] = {}
    runs = 1 if settings.quick else settings.runs
    with Place(10) as place:
        for _ in range(runs):
            starts = {"crier": lambda: rig.crier(settings, place, "default")}
            starts |= {peer.name: (lambda peer=peer: peer.start(settings)) for peer in peers.found(settings)}  # type: ignore[misc]
            for name, start in starts.items():
                with start() as agent:
                    agent.settle(0.5)
                    if name == "crier" and not settings.quick:
                        time.sleep(GIVEN_BACK_S)  # the last work of its start
                    first, began = agent.cpu_ns(), time.monotonic()
                    found = _sleep(agent.pid, seconds["crier" if name == "crier" else "peers"])
                    cpu.setdefault(name, []).append((agent.cpu_ns() - first) / (time.monotonic() - began) / 1e7)
                    if name == "crier":
                        wakes["own"].append(median(found["own"]))
                        wakes["own_with_timers"].append(sum(found["own"]) / len(found["own"]))
                        wakes["grpc"].append(median(found["grpc"]))
                    agent.stop()
    beside = [median(values) for name, values in cpu.items() if name != "crier"]
    rows = [row("idle.cpu", median(cpu["crier"]), "% of a core", peer=min(beside) if beside else None, runs=runs)]
    rows += [row(f"idle.cpu.{name}", median(values), "% of a core", runs=runs) for name, values in cpu.items() if name != "crier"]
    rows += [row(f"idle.wakeups.{whose}", median(values), "1/s", runs=runs) for whose, values in wakes.items()]
    return rows


# ---- start, size ----


def _first_event(settings: Settings, agent: Agent, kind: str) -> float:
    return agent.wait_first(kind) / 1e6


def start_rows(settings: Settings) -> list[dict[str, Any]]:
    """From the program's execution to its first line, and to the first line of an exec while they happen all the time."""
    rows = []
    peer_ms: dict[str, list[float]] = {}
    floor_ms: list[float] = []
    for count in (0, 100) if settings.quick else (0, 100, 1000):
        first_line, first_exec = [], []
        with Place(count) as place:
            background = rig.start_load(settings.programs, ["pace", "300", "3600"], runtime.cgroup(rig.LOADED) if count else None)
            try:
                for _ in range(settings.runs):
                    with rig.crier(settings, place) as agent:
                        first_line.append(_first_event(settings, agent, "agent.start"))
                        if count:
                            first_exec.append(_first_event(settings, agent, "process.exec"))
                        agent.stop()
                    if count == 0:
                        with kernel.floor(settings, ready="") as agent:
                            floor_ms.append(_first_event(settings, agent, "process.exec"))
                            agent.stop()
                        for peer in peers.found(settings):
                            # line by line, or what is measured is how long a buffer takes to fill
                            options: dict[str, Any] = {"ready": "", "plain": peer.heading, "stop_signal": peers.STOP}
                            with Agent(settings.programs, peers.with_tracefs(peer.line_by_line), **options) as agent:
                                peer_ms.setdefault(peer.name, []).append(_first_event(settings, agent, "line"))
                                agent.stop()
            finally:
                background.kill()
                background.communicate()
        beside = min((median(values) for values in peer_ms.values()), default=None)
        rows.append(row(f"start.{count}.first_line", median(first_line), "ms", median(floor_ms), beside, settings.runs))
        if first_exec:
            rows.append(row(f"start.{count}.first_exec", median(first_exec), "ms", median(floor_ms), beside, settings.runs))
    rows.append(row("start.floor", median(floor_ms), "ms", runs=settings.runs))
    rows += [row(f"start.{name}", median(values), "ms", runs=len(values)) for name, values in peer_ms.items()]
    return rows


def size_rows(settings: Settings) -> list[dict[str, Any]]:
    """As built, with debugging information, and as a package would ship it."""
    with tempfile.TemporaryDirectory(prefix="crier-bench-") as folder:
        stripped = Path(folder, "crier")
        shutil.copy(settings.programs.crier, stripped)
        subprocess.run(["strip", stripped], check=True)
        return [
            row("size.binary", settings.programs.crier.stat().st_size / KIB, "KiB"),
            row("size.stripped", stripped.stat().st_size / KIB, "KiB"),
        ]


def measure(settings: Settings) -> list[dict[str, Any]]:
    return memory_rows(settings) + churn_rows(settings) + idle_rows(settings) + start_rows(settings) + size_rows(settings)
