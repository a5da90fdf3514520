"""What happens to boxes, and what must be true of the lines beyond their form.

A scenario makes its boxes, waits until crier has told the end, checks what only a running node can know (pids, inodes,
sizes), and returns the lines that golden/NAME.json describes.
"""
from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from boxes import ACTOR, MIB, TRIGGER, Box, World
from harness import cgroups
from harness.crier import Crier
from harness.lines import Line

LIMIT = 32 * MIB
Scenario = Callable[[World, Crier], "list[Line]"]


class Unable(Exception):
    """This kernel or layout has not what the scenario needs; the text says what."""


@dataclass(frozen=True)
class Row:
    """A scenario and where it runs."""

    name: str
    run: Scenario
    v1_lacks: str = ""  # why it cannot be on cgroup v1


def of(agent: Crier, *boxes: Box) -> list[Line]:
    """The boxes' lines, less hints that come or not by chance of timing."""
    ids = {box.id for box in boxes}
    return [line for line in agent.events() if line.get("container.id") in ids and line.type != "container.memory_pressure"]


def start_ticks(pid: int) -> int:
    """When a living process began, in clock ticks since boot, as /proc has it."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return int(text.rsplit(")", 1)[1].split()[19])


def truth(lines: list[Line], box: Box, inode: int, init_ticks: int) -> None:
    """Ids, pids and times of a box's lines against what the kernel says of them by other ways."""
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for line in lines:
        if (found := line.get("cgroup.id")) is not None:
            assert found == str(inode), f"{line.type}: cgroup.id {found}, the directory's inode is {inode}: {line}"
        if line.get("process.role") == "init":
            assert line.get("process.pid") == box.pid, f"{line.type}: init is {line.get('process.pid')}, not {box.pid}: {line}"
            start = int(line.get("correlation.process_key").split(":")[2])
            assert abs(start - init_ticks * tick_ns) < 2 * tick_ns, f"init began at tick {init_ticks}: {line}"
        if line.get("process.parent_pid") == box.pid:
            assert line.get("process.role") != "init", f"a child of init is called init: {line}"


def live(world: World, agent: Crier, name: str, *program: str, memory: int = 0) -> tuple[Box, list[Line]]:
    """A box that runs a program to its end, its lines held against the truth."""
    box = world.box(name, memory=memory).start(*program)
    inode, ticks = _facts(box)
    box.go().wait()
    box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    return box, lines


def _facts(box: Box) -> tuple[int, int]:
    primary = cgroups.unified_hierarchy() or cgroups.memory_hierarchy()
    return os.stat(primary.path(box.cgroup)).st_ino, start_ticks(box.pid)


def only(lines: list[Line], kind: str) -> Line:
    found = [line for line in lines if line.type == kind]
    assert len(found) == 1, f"{len(found)} lines of {kind}, not one: {[str(line) for line in found][:4]}"
    return found[0]


def near(line: Line, path: str, low: float, high: float) -> None:
    value = line.get(path)
    assert isinstance(value, (int, float)) and low <= value <= high, f"{path} is {value}, not in {low:g} … {high:g}: {line}"


# Processes


def exit_code(world: World, agent: Crier) -> list[Line]:
    _, lines = live(world, agent, "exit-code", TRIGGER, "exit", "3", "0.1")
    near(only(lines, "process.exit"), "data.duration_ms", 100, 60_000)
    near(only(lines, "process.exit"), "data.peak_rss_bytes", 1, 64 * MIB)
    return lines


def children(world: World, agent: Crier) -> list[Line]:
    box, lines = live(world, agent, "children", ACTOR, "as", "1234", TRIGGER, "execstorm", "2")
    forks = [line for line in lines if line.type == "process.fork"]
    assert len(forks) == 2 and all(line.get("actor.pid") == box.pid for line in forks), f"{[str(line) for line in forks]}"
    return lines


def cpu_time(world: World, agent: Crier) -> list[Line]:
    """Two threads work, one of which is reaped before the end: together as much as wait(2) tells the parent."""
    box, lines = live(world, agent, "cpu-time", ACTOR, "burn", "0.4")
    line = only(lines, "process.exit")
    total = box.user_us + box.system_us
    near(line, "data.cpu_us", total * 0.8 - 20_000, total * 1.2 + 20_000)
    return lines


def crash(world: World, agent: Crier) -> list[Line]:
    return live(world, agent, "crash", TRIGGER, "segv")[1]


def core(world: World, agent: Crier) -> list[Line]:
    _, lines = live(world, agent, "core", ACTOR, "core")
    assert any(line.get("data.core_dumped") for line in lines), f"no core was told of {[str(line) for line in lines]}"
    return lines


def abort(world: World, agent: Crier) -> list[Line]:
    return live(world, agent, "abort", TRIGGER, "abort")[1]


def leader_first(world: World, agent: Crier) -> list[Line]:
    """The first thread ends long before the last: one exit, with the code of the group."""
    _, lines = live(world, agent, "leader-first", ACTOR, "leader-first", "7")
    near(only(lines, "process.exit"), "data.duration_ms", 190, 60_000)
    return lines


def thread_exec(world: World, agent: Crier) -> list[Line]:
    """A thread that is not the first executes: the process stays, under its first id."""
    return live(world, agent, "thread-exec", ACTOR, "thread-exec", "5")[1]


# Signals


def signal_inside(world: World, agent: Crier) -> list[Line]:
    box, lines = live(world, agent, "signal-inside", ACTOR, "send", str(signal.SIGTERM.value))
    assert only(lines, "process.signal").get("actor.pid") == box.pid
    return lines


def signal_of_kernel(world: World, agent: Crier) -> list[Line]:
    _, lines = live(world, agent, "signal-of-kernel", ACTOR, "alarm")
    assert only(lines, "process.signal").get("actor") is None, "the kernel sent it, yet there is an actor"
    return lines


def _stop(world: World, agent: Crier, name: str, program: list[str], *signals: int) -> list[Line]:
    box = world.box(name).start(*program)
    inode, ticks = _facts(box)
    box.go()
    agent.wait_event("container.started", where=lambda line: line.get("container.id") == box.id)
    _wait_handled(box.pid, signals[0])
    for number in signals:
        os.kill(box.pid, number)
        time.sleep(0.05)
    box.wait()
    box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    for line in lines:
        if line.type == "process.signal":
            assert line.get("actor.pid") == os.getpid(), f"this process sent it: {line}"
    return lines


def _wait_handled(pid: int, number: int) -> None:
    for _ in range(1000):
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        if any(int(mask, 16) >> (number - 1) & 1 for mask in re.findall(r"^Sig(?:Ign|Cgt):\s*(\S+)", status, re.MULTILINE)):
            return
        time.sleep(0.01)
    raise RuntimeError(f"process {pid} does not expect signal {number}")


def stop_obeyed(world: World, agent: Crier) -> list[Line]:
    return _stop(world, agent, "stop-obeyed", [TRIGGER, "run"], signal.SIGTERM)


def stop_escalated(world: World, agent: Crier) -> list[Line]:
    return _stop(world, agent, "stop-escalated", [TRIGGER, "ignoreterm"], signal.SIGTERM, signal.SIGKILL)


# OOM kills


def _kill_facts(lines: list[Line], limit: int, *victims: int) -> list[Line]:
    """Sizes and identities of the container.oom lines of one limit."""
    kills = [line for line in lines if line.type == "container.oom"]
    told = sorted(line.get("process.pid") for line in kills)
    assert not victims or told == sorted(victims), f"victims are {sorted(victims)}, told are {told}"
    for line in kills:
        near(line, "data.limit.usage_bytes", limit * 0.9, limit * 1.05)
        near(line, "data.limit.peak_bytes", limit * 0.9, limit * 2.2)
    incidents = {line.get("correlation.incident_id") for line in lines if line.get("correlation.incident_id")}
    assert len(incidents) == 1, f"one death has the incidents {incidents}"
    return kills


def _hog_facts(line: Line, limit: int) -> None:
    near(line, "data.victim.rss_bytes", limit * 0.6, limit * 1.1)
    near(line, "data.victim.anon_rss_bytes", limit * 0.6, limit * 1.1)
    near(line, "data.victim.total_vm_bytes", limit * 0.6, limit + 256 * MIB)
    near(line, "data.victim.pgtables_bytes", 4096, 4 * MIB)


def oom_container(world: World, agent: Crier) -> list[Line]:
    box, lines = live(world, agent, "oom-container", TRIGGER, "hog", memory=LIMIT)
    _hog_facts(_kill_facts(lines, LIMIT, box.pid)[0], LIMIT)
    return lines


def oom_pod(world: World, agent: Crier) -> list[Line]:
    """The pod's limit, met by a container that has none of its own."""
    box = world.box("oom-pod", pod_memory=LIMIT).start(TRIGGER, "hog")
    inode, ticks = _facts(box)
    box.go().wait()
    box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    _hog_facts(_kill_facts(lines, LIMIT, box.pid)[0], LIMIT)
    return lines


def oom_group(world: World, agent: Crier) -> list[Line]:
    """memory.oom.group: init and two sleeping children die of one kill."""
    box = world.box("oom-group", memory=LIMIT)
    box.file("memory.oom.group").write_text("1", encoding="ascii")
    box.start(ACTOR, "group", "2")
    inode, ticks = _facts(box)
    box.go().wait()
    box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    kills = _kill_facts(lines, LIMIT)
    assert len(kills) == 3, f"{len(kills)} victims, not three"
    assert sorted(line.get("data.victim_index") for line in kills) == [1, 2, 3]
    assert box.pid in {line.get("process.pid") for line in kills}
    return lines


def oom_child(world: World, agent: Crier) -> list[Line]:
    """A child eats and dies, init lives on and ends well."""
    box = world.box("oom-child", memory=LIMIT).start(TRIGGER, "hogchild", "0", "600")
    inode, ticks = _facts(box)
    box.go()
    child = int(re.findall(r"child (\d+) signal 9", box.wait_log("signal 9"))[0])
    agent.wait_event("process.exit", where=lambda line: line.get("container.id") == box.id)
    assert not [line for line in of(agent, box) if line.type == "container.exited"], "told as exited while init lives"
    os.kill(box.pid, signal.SIGUSR1)
    assert box.wait() == 0
    box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    line = _kill_facts(lines, LIMIT)[0]
    assert line.get("process.vpid") == child and line.get("process.parent_pid") == box.pid, f"{line}"
    _hog_facts(line, LIMIT)
    return lines


def oom_thread(world: World, agent: Crier) -> list[Line]:
    """A second thread eats: the victim is the process."""
    box, lines = live(world, agent, "oom-thread", ACTOR, "thread-hog", memory=LIMIT)
    _hog_facts(_kill_facts(lines, LIMIT, box.pid)[0], LIMIT)
    return lines


def oom_lowered(world: World, agent: Crier) -> list[Line]:
    """The limit is lowered below what is held: whoever lowers it is the trigger, from outside."""
    box = world.box("oom-lowered", memory=2 * LIMIT).start(ACTOR, "hold", "48")
    inode, ticks = _facts(box)
    box.go().wait_log("holding")
    box.limit(LIMIT)
    box.wait()
    box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    kills = [line for line in lines if line.type == "container.oom"]
    assert [line.get("process.pid") for line in kills] == [box.pid]
    assert kills[0].get("actor.pid") == os.getpid(), f"this process lowered the limit: {kills[0]}"
    near(kills[0], "data.victim.rss_bytes", 48 * MIB * 0.9, 64 * MIB)
    return lines


@contextlib.contextmanager
def _second_victim() -> Iterator[None]:
    """While the first victim gives up its memory the kernel may look for another one (seen on arm64): not this process."""
    with subprocess.Popen([ACTOR, "hold", "1"], stdout=subprocess.DEVNULL) as spare:
        Path(f"/proc/{spare.pid}/oom_score_adj").write_text("800", encoding="ascii")
        try:
            yield
        finally:
            spare.kill()


def oom_global(world: World, agent: Crier) -> list[Line]:
    """The node runs out; the box is the best victim."""
    box = world.box("oom-global").start(ACTOR, "global-hog")
    inode, ticks = _facts(box)
    with _second_victim():
        box.go().wait(120)
        box.gone(agent)
    lines = of(agent, box)
    truth(lines, box, inode, ticks)
    kills = [line for line in lines if line.type == "container.oom"]
    assert [line.get("process.pid") for line in kills] == [box.pid]
    # Whoever asked for memory last is the trigger: the box as a rule, any task of the node by chance.
    return [Line(line.raw, {key: value for key, value in line.event.items() if key != "actor"}) for line in lines]


# Memory pressure


def pressure(world: World, agent: Crier) -> list[Line]:
    """Held near the limit with reclaim going on: told once when it begins and once when it is over."""
    if not os.path.ismount("/var/tmp"):
        raise Unable("no disk: nothing is page cache")
    box = world.box("pressure", memory=LIMIT).start(ACTOR, "press", "29", "2", "/tmp/press")
    inode, ticks = _facts(box)
    box.go()
    phases = lambda name: [  # noqa: E731
        line for line in agent.events("container.memory_pressure")
        if line.get("container.id") == box.id and line.get("data.phase") == name
    ]  # fmt: skip
    agent.wait_for(lambda _: phases("enter"), "enter of memory pressure", 40)
    box.wait_log("released")
    agent.wait_for(lambda _: phases("exit"), "exit of memory pressure", 60)
    os.kill(box.pid, signal.SIGKILL)
    box.wait()
    box.gone(agent)
    assert len(phases("enter")) == len(phases("exit")) == 1, "one pressure, told more than once"
    lines = [*phases("enter"), *phases("exit")]
    truth(lines, box, inode, ticks)
    near(lines[0], "data.working_set_ratio", 0.8, 1.01)
    if cgroups.memory_hierarchy().version == 2:
        assert lines[1].get("data.limit_hits", 0) > 0, f"it was at its limit for seconds: {lines[1]}"
    return lines


ROWS = [
    Row("exit_code", exit_code),
    Row("children", children),
    Row("cpu_time", cpu_time),
    Row("crash", crash),
    Row("core", core),
    Row("abort", abort),
    Row("leader_first", leader_first),
    Row("thread_exec", thread_exec),
    Row("signal_inside", signal_inside),
    Row("signal_of_kernel", signal_of_kernel),
    Row("stop_obeyed", stop_obeyed),
    Row("stop_escalated", stop_escalated),
    Row("oom_container", oom_container),
    Row("oom_pod", oom_pod),
    Row("oom_group", oom_group, v1_lacks="cgroup v1 has no memory.oom.group"),
    Row("oom_child", oom_child),
    Row("oom_thread", oom_thread),
    Row("oom_lowered", oom_lowered, v1_lacks="cgroup v1 refuses a limit below what is held"),
    Row("oom_global", oom_global),
    Row("pressure", pressure),
]
