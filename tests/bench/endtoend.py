"""The whole way: events into lines in a pipe. CPU for each event, what is lost, how fast without loss, how late a line is."""
from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kernel
import peers
import rig
import runtime
from harness import cgroups
from rig import Agent, Broken, Place, Settings, load, median, row

CONTAINERS = 10
AGENT_CPU, OTHER_CPU = 0, 1
OOM_LIMIT = 32 << 20
LOADED = runtime.cgroup(rig.LOADED)


# ---- exec storm ----


def _storm(settings: Settings, agent: Agent, count: int) -> tuple[dict[str, int], dict[str, Any], float]:
    """Runs it; what the load says, what was read, and the agent's CPU in ns until all was told."""
    agent.settle()
    agent.tally()
    before = agent.cpu_ns()
    done = load(settings.programs, "storm", count, 4, cgroup=LOADED)
    agent.settle()
    return done, agent.tally(), agent.cpu_ns() - before


def _told(tally: dict[str, Any], count: int) -> int:
    """Lines of the storm; each spawned process makes three, the load itself an exec and an exit more (its fork came before)."""
    found = {kind: tally["matched"].get(f"process.{kind}", 0) for kind in ("fork", "exec", "exit")}
    wanted = {"fork": count, "exec": count + 1, "exit": count + 1}
    if any(found[kind] > wanted[kind] for kind in wanted):
        raise Broken(f"bench: storm: more lines than events: {found} of {wanted}")
    return sum(found.values())


def storm_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    count = 1000 if settings.quick else 4_000
    cpu: dict[str, list[float]] = {}
    rate, lost = [], 0
    others = peers.found(settings)
    for _ in range(settings.runs):
        with rig.crier(settings, place, container=rig.LOADED) as agent:
            done, tally, spent = _storm(settings, agent, count)
            told = _told(tally, count)
            sums = rig.check_sums(agent.stop()["stop"])
            missing = 3 * count + 2 - told
            if missing and not sums["lost"]:
                raise Broken(f"bench: storm: {missing} lines are missing, and crier says that nothing was lost")
            lost += missing
            # others' events on the node are lines too, and are paid for with the same CPU
            cpu.setdefault("crier", []).append(spent / tally["lines"] * 100_000)
            rate.append(told / done["wall_ns"] * 1e9)
        with kernel.floor(settings) as agent:
            _, tally, spent = _storm(settings, agent, count)
            cpu.setdefault("floor", []).append(spent / max(tally["lines"], 1) * 100_000)
            agent.stop()
        for peer in others:
            with peer.start(settings) as agent:
                _, tally, spent = _storm(settings, agent, count)
                if tally["lines"]:
                    cpu.setdefault(peer.name, []).append(spent / tally["lines"] * 100_000)
                agent.stop()
    beside = [median(values) for name, values in cpu.items() if name not in ("crier", "floor")]
    rows = [
        row("storm.cpu_per_100k_events", median(cpu["crier"]) / 1e6, "ms", median(cpu["floor"]) / 1e6, min(beside) / 1e6 if beside else None, settings.runs),
        row("storm.events", median(rate), "events/s", runs=settings.runs),
        row("storm.lost", lost, "events in all", runs=settings.runs),
    ]
    rows += [row(f"storm.cpu_per_100k_events.{name}", median(values) / 1e6, "ms", runs=len(values)) for name, values in cpu.items() if name != "crier"]
    return rows


# ---- as fast as it goes ----


def cgroup_id(place: Place) -> int:
    return os.stat(place.primary.path(LOADED)).st_ino


def inject(settings: Settings, agent: Agent, place: Place, rate: float, seconds: float) -> dict[str, int]:
    """Made-up processes' events into crier's (or the floor's) own ring, from the other CPU."""
    programs = settings.programs
    source = "floor" if agent.name == "floor" else str(programs.bench("inject.bpf.o"))
    command = [programs.bench("bench_inject"), source, str(agent.pid), str(cgroup_id(place)), str(rate), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.sched_setaffinity(0, {OTHER_CPU}))
    if done.returncode != 0:
        raise Broken(f"bench: {done.stderr.strip()}")
    return json.loads(done.stdout)


def _lines_of_load(agent: Agent, tally: dict[str, Any]) -> int:
    """Lines of the loaded container. The floor knows none: others' processes are among its lines, few beside the load's."""
    lines = tally["types"] if agent.name == "floor" else tally["matched"]
    return sum(lines.get(f"process.{kind}", 0) for kind in ("fork", "exec", "exit"))


def _is_lossless(settings: Settings, agent: Agent, place: Place, rate: float, seconds: float) -> bool:
    """Every record found room in the ring, and every one became a line."""
    agent.settle()
    agent.tally()
    done = inject(settings, agent, place, rate, seconds)
    agent.settle()
    told = _lines_of_load(agent, agent.tally())
    if agent.name == "floor":
        return told >= done["count"]
    if told > done["count"] - done["lost"]:
        raise Broken(f"bench: {told} lines of {done['count'] - done['lost']} records")
    return told == done["count"]


def _highest(settings: Settings, agent: Agent, place: Place) -> float:
    """By halves between a rate that goes and one that does not, to 3 %; what is told went twice."""
    seconds = 0.4 if settings.quick else 2
    low, high = 0.0, 50_000.0
    while high < 5e6 and _is_lossless(settings, agent, place, high, seconds):
        low, high = high, high * 2
    while low and high / low > 1.03:
        middle = (low + high) / 2
        if _is_lossless(settings, agent, place, middle, seconds):
            low = middle
        else:
            high = middle
    while low and not _is_lossless(settings, agent, place, low, seconds):
        low *= 0.97
    return low


PINS = {"cpu": AGENT_CPU, "reader_cpu": OTHER_CPU}
STEADY = 100_000  # events a second


def _cpu_when_steady(settings: Settings, agent: Agent, place: Place) -> float:
    """CPU in ns for each event at a rate that any machine bears: how fast it can spawn processes has no part in it."""
    agent.settle()
    agent.tally()
    before = agent.cpu_ns()
    done = inject(settings, agent, place, STEADY, 1 if settings.quick else 3)
    agent.settle()
    spent = agent.cpu_ns() - before
    told = _lines_of_load(agent, agent.tally())
    if told < done["count"] / 2:
        raise Broken(f"bench: {told} lines of {done['count']} events at {STEADY} a second")
    return spent / told


def rate_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    """The agent, all its threads, on one CPU; the events and the pipe's reader on the other. Then twice as many."""
    found: dict[str, list[float]] = {"crier": [], "floor": []}
    cpu: dict[str, list[float]] = {"crier": [], "floor": []}
    for _ in range(1 if settings.quick else settings.runs):
        with rig.crier(settings, place, container=rig.LOADED, **PINS) as agent:
            cpu["crier"].append(_cpu_when_steady(settings, agent, place))
            found["crier"].append(_highest(settings, agent, place))
            rig.check_sums(agent.stop()["stop"])
        with kernel.floor(settings, **PINS) as agent:
            cpu["floor"].append(_cpu_when_steady(settings, agent, place))
            found["floor"].append(_highest(settings, agent, place))
            agent.stop()
    floor, highest = median(found["floor"]), median(found["crier"])
    runs = len(found["crier"])
    return [
        row("rate.cpu_per_event", median(cpu["crier"]) / 1000, "us", median(cpu["floor"]) / 1000, runs=runs),
        row("rate.cpu_per_event.floor", median(cpu["floor"]) / 1000, "us", runs=runs),
        row("rate.lossless_one_core", highest, "events/s", floor, runs=len(found["crier"])),
        row("rate.lossless_one_core.floor", floor, "events/s", runs=len(found["floor"])),
        *overload_rows(settings, place, 2 * highest),
    ]


# ---- more than it bears ----

OVERLOAD_SHARE = 0.5  # of a CPU


@contextlib.contextmanager
def _oom_limit() -> Iterator[None]:
    """The loaded container may have OOM_LIMIT while this is open."""
    memory = cgroups.memory_hierarchy()
    cgroups.set_memory_limit(memory, LOADED, OOM_LIMIT)
    try:
        yield
    finally:
        cgroups.set_memory_limit(memory, LOADED, -1 if memory.version == 1 else 1 << 62)


def _kill_by_oom(settings: Settings, kills: int) -> None:
    """A process eats in a container of 32 MiB until the kernel kills it, so many times."""
    for _ in range(kills):
        process = rig.start_load(settings.programs, ["eat"], LOADED)
        if process.wait() != -9:
            raise Broken("bench: the kernel did not kill the process that ate its container's memory")
        time.sleep(0.02)


def _overload(settings: Settings, place: Place, rate: float, seconds: float, kills: int) -> dict[str, float]:
    """One flood with --max-cpu: what was told of it, of the deaths beside it, and of an ordinary load afterwards."""
    after = 200
    with rig.crier(settings, place, flags=["--max-cpu", str(OVERLOAD_SHARE)], container=rig.LOADED, **PINS) as agent:
        agent.settle()
        agent.tally()
        before = agent.cpu_ns()
        with _oom_limit(), ThreadPoolExecutor(1) as beside:
            deaths = beside.submit(_kill_by_oom, settings, kills)
            done = inject(settings, agent, place, rate, seconds)
            cpu = (agent.cpu_ns() - before) / (done["wall_ns"])
            deaths.result()
        agent.settle(1.5)  # it rests for what it has spent too much
        flood = agent.tally()
        load(settings.programs, "storm", after, 1, cgroup=LOADED)
        agent.settle(1.5)
        told = _lines_of_load(agent, agent.tally())
        sums = rig.check_sums(agent.stop()["stop"])
    if not sums["lost"] and _lines_of_load(agent, flood) < done["count"]:
        raise Broken("bench: overload: lines are missing, and crier says that nothing was lost")
    return {
        "cpu": cpu * 100,
        "bulk_told": _lines_of_load(agent, flood) / done["count"] * 100,
        "critical_lost": kills - flood["matched"].get("container.oom", 0),
        "lost_after": 3 * after + 2 - told,
    }


def overload_rows(settings: Settings, place: Place, rate: float) -> list[dict[str, Any]]:
    """Bulk may be lost then, counted; critical may not. A second's worth of CPU is saved up: the share is of longer than that."""
    seconds, kills = (2, 5) if settings.quick else (10, 50)
    runs = [_overload(settings, place, rate, seconds, kills) for _ in range(1 if settings.quick else settings.runs)]
    units = {"cpu": (median, "% of a CPU"), "bulk_told": (median, "% of events"), "critical_lost": (sum, "lines in all"), "lost_after": (sum, "lines in all")}
    return [row(f"rate.overload.{name}", of([each[name] for each in runs]), unit, runs=len(runs)) for name, (of, unit) in units.items()]


# ---- how late ----


def _latency_rows(name: str, tallies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [tally["latency"] for tally in tallies if "latency" in tally]
    if not found:
        raise Broken(f"bench: {name}: no line came")
    return [row(f"latency.{name}.p{share}", median([each[f"p{share}_us"] for each in found]) / 1000, "ms", runs=len(found)) for share in (50, 99)]


def _note_console(settings: Settings) -> None:
    """The kernel reports a kill at level 3 (err) right after it chose, and a slow console holds the wake-up back meanwhile."""
    level = int(Path("/proc/sys/kernel/printk").read_text(encoding="ascii").split()[0])
    serial = [line.split()[0] for line in Path("/proc/consoles").read_text(encoding="ascii").splitlines() if line.startswith("ttyS")]
    if level > 3 and serial:
        settings.note(
            f"the kernel writes each OOM kill to the console {serial[0]} (kernel.printk {level}) in the middle of the kill: latency.oom may hold "
            "the milliseconds that this takes; dmesg -n 3 switches it off"
        )


def oom_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    """A process eats in a container of 32 MiB until the kernel kills it; its boottime_ns is the kernel's, the line is read later."""
    _note_console(settings)
    kills, tallies = 10 if settings.quick else 100, []
    with _oom_limit():
        for _ in range(settings.runs):
            with rig.crier(settings, place, "default", container=rig.LOADED, latency="container.oom") as agent:
                agent.tally()
                _kill_by_oom(settings, kills)
                agent.settle()
                tallies.append(agent.tally())
                told = tallies[-1]["matched"].get("container.oom", 0)
                if told != kills:
                    raise Broken(f"bench: {kills} OOM kills made {told} lines")
                agent.stop()
    return _latency_rows("oom", tallies)


def exec_rows(settings: Settings, place: Place) -> list[dict[str, Any]]:
    """Real execs at 10 and 1,000 events a second; at 50,000 the rest is put into the ring beside them."""
    rows = []
    seconds = {10: 2, 1000: 1, 50_000: 1} if settings.quick else {10: 20, 1000: 5, 50_000: 5}
    for rate, length in seconds.items():
        tallies = []
        for _ in range(settings.runs):
            with rig.crier(settings, place, container=rig.LOADED, latency="process.exec") as agent:
                agent.settle()
                agent.tally()
                # an exec is one of three events: fork, exec, exit
                execs = min(rate, 1000) / 3
                process = rig.start_load(settings.programs, ["pace", str(execs), str(length)], LOADED)
                if rate > 1000:
                    inject(settings, agent, place, rate - 1000, length)
                process.communicate()
                agent.settle()
                tallies.append(agent.tally())
                agent.stop()
        rows += _latency_rows(f"exec_at_{rate}", tallies)
    return rows


def measure(settings: Settings) -> list[dict[str, Any]]:
    with Place(CONTAINERS) as place:
        return storm_rows(settings, place) + rate_rows(settings, place) + oom_rows(settings, place) + exec_rows(settings, place)
