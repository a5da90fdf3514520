"""Order at start, without a gap: a container made in whichever phase is neither lost nor told twice."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from env import Env, belongs, only, same
from harness import bare, cgroups, proc
from harness.cri import CriError
from harness.crier import Crier
from harness.sockets import Hung

ROUNDS = 12
CHURN = Path(__file__).resolve().parent.parent / "harness" / "churn.py"


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Run:
    """One crier's start, some life, and its stop; with the times that decide what it must have seen."""

    def __init__(self, env: Env, *flags: str, **options: Any) -> None:
        self.began_ns = now_ns()
        self.agent: Crier = env.agent(*flags, **options)
        self.ready_ns = int(self.agent.lines[0].event["boottime_ns"])
        self.stop_from_ns = self.stop_to_ns = 0
        self.told: dict[str, dict[str, int]] = {}

    def finish(self, env: Env) -> None:
        self.stop_from_ns = now_ns()
        env.finish(self.agent)
        self.stop_to_ns = now_ns()
        same(self.agent.lines[0], type="agent.start")
        for line in self.agent.events("container."):
            of = self.told.setdefault(str(line.get("container.id")), {})
            of[line.type] = of.get(line.type, 0) + 1

    def judge(self, record: dict[str, Any]) -> str:
        """What is wrong with what was told of one container; empty: nothing."""
        told = self.told.get(record["id"], {})
        snapshot, created, started, exited = (
            told.get(f"container.{what}", 0) for what in ("snapshot", "created", "started", "exited")
        )
        ended_from, ended_to = record.get("ended_from", sys.maxsize), record.get("ended_to", sys.maxsize)
        if ended_to < self.began_ns or record["made_from"] > self.stop_to_ns:
            return "told, and it did not live then" if told else ""
        if max(told.values(), default=0) > 1 or (snapshot and (created or started)):
            return "told twice"
        if record["made_from"] > self.ready_ns and record["made_to"] < self.stop_from_ns and not created:
            return "made after the start, and not told as created"
        if created and ended_to < self.stop_from_ns and not started:
            return "created, and not started"
        if record["made_to"] < self.stop_from_ns and ended_from > self.ready_ns and not snapshot and not created:
            return "lived, and was not told"
        if ended_from > self.ready_ns and ended_to < self.stop_from_ns and not exited:
            return "ended, and was not told as exited"
        if exited and ended_from > self.stop_to_ns:
            return "told as exited while it lived"
        return ""


def check(runs: list[Run], records: list[dict[str, Any]]) -> None:
    wrong, judged = [], {"snapshot": 0, "created": 0, "exited": 0}
    for number, run in enumerate(runs):
        for record in records:
            if reason := run.judge(record):
                wrong.append(f"run {number}: {reason}: {record} {run.told.get(record['id'])}")
        for told in run.told.values():
            for what in judged:
                judged[what] += f"container.{what}" in told
    assert not wrong, f"{len(wrong)} of {len(records)} containers, {len(runs)} runs:\n" + "\n".join(wrong[:20])
    # Each way must have been met, or the test has seen nothing of the start.
    assert all(judged.values()), f"{judged}"
    print(f"# {len(records)} containers, {len(runs)} starts: {judged}", file=sys.stderr)


def test_containers_without_pause(env: Env) -> None:
    """Made by hand at some hundred a second while crier starts again and again."""
    with bare.BarePod() as pod:
        command = ["/usr/bin/python3", str(CHURN), pod.cgroup]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as churn:
            runs = []
            for number in range(ROUNDS):
                time.sleep(number % 4 * 0.05)
                runs.append(Run(env, cri_socket="none"))
                time.sleep(0.3)
                runs[-1].finish(env)
            out, _ = churn.communicate("")
        check(runs, [json.loads(row) for row in out.splitlines()])


class Launcher(threading.Thread):
    """Real containers, one after the other, each for a moment."""

    def __init__(self, env: Env, number: int) -> None:
        super().__init__()
        self.pod = env.pod(f"churn{number}")
        self.records: list[dict[str, Any]] = []
        self.wanted = True

    def run(self) -> None:
        for attempt in range(1000):
            if not self.wanted:
                return
            container = self.pod.create("app", "exit", "0", str(attempt % 5 * 0.1), attempt=attempt)
            record = {"id": container.id, "made_from": now_ns()}
            container.launch()
            record["made_to"] = now_ns()
            container.wait_exit()
            # Started means executing: it cannot have ended before.
            record["ended_from"], record["ended_to"] = record["made_from"], now_ns()
            self.records.append(record)
            try:
                container.remove()
            except CriError:
                return


def test_real_containers(env: Env) -> None:
    # One that is there at every start: whether a short-lived one is met by a start is chance.
    resident = {"id": "", "made_from": now_ns()}
    resident["id"] = env.pod("resident").start("app", "run").id
    resident["made_to"] = now_ns()
    launchers = [Launcher(env, number) for number in range(2)]
    for launcher in launchers:
        launcher.start()
    runs = []
    for _ in range(6):
        runs.append(Run(env))
        time.sleep(1.5)
        runs[-1].finish(env)
    for launcher in launchers:
        launcher.wanted = False
        launcher.join()
    check(runs, [resident, *(record for launcher in launchers for record in launcher.records)])


def test_hung_runtime_delays_no_event(env: Env) -> None:
    """A socket that takes everything and answers nothing, for longer than this test lasts."""
    before = env.pod("before").start("app", "run")
    with Hung(env.folder("sockets") / "hung.sock") as server:
        agent = env.agent("--cri-timeout", "60s", profile="process", cri_socket=server.path)
        later = env.pod("later").start("app", "exit", "3", "0.2")
        exited = agent.wait_event("container.exited", container=later)
        belongs(exited, later)
        same(exited, data__exit_code=3)
        belongs(agent.wait_event("container.snapshot", container=before), before)
        # Still nobody has called the runtime down: nothing of this waited for it.
        assert not agent.events("agent.health"), f"{agent.events('agent.health')}"
        waited = [line for line in agent.events(container=later) if line.get("attribution.wait_us")]
        assert not waited, f"{waited[0]}"
        only(agent.events("container.started", container=later), "container.started")
        env.finish(agent)


def test_lost_births_are_found(env: Env) -> None:
    """crier stands still while its ring overflows with cgroups; one born unseen is found by its id, and told as there."""
    agent = env.agent("--ring-critical-bytes", "64KiB", profile="process", cri_socket="none")
    primary = cgroups.primary_hierarchy()
    with bare.BarePod() as pod:
        proc.freeze(agent.process.pid)
        try:
            for _ in range(1000):
                folder = primary.path(f"{pod.cgroup}/noise")
                folder.mkdir()
                folder.rmdir()
            unseen = pod.container()
            init = unseen.spawn("run")
        finally:
            agent.process.send_signal(signal.SIGCONT)
        lost = lambda line: line.get("data.class") == "control"  # noqa: E731
        agent.wait_event("agent.loss", where=lost)
        worker = unseen.spawn("exit", "4", "0.2")
        unseen.reap(worker)
        of = lambda line: line.get("container.id") == unseen.id  # noqa: E731
        ended = agent.wait_event("process.exit", where=lambda line: of(line) and line.get("data.exit_code") == 4)
        same(ended, process__pid=worker, k8s__pod__uid=pod.uid)
        only(agent.events("container.snapshot", where=of), "container.snapshot")
        assert not agent.events("container.created", where=of) and not agent.events("container.started", where=of)
        os.kill(init, signal.SIGKILL)
        unseen.reap(init)
        agent.wait_event("container.exited", where=of)
    env.finish(agent)


def _program_kib(pid: int) -> tuple[int, int]:
    """Of the program's own code: how much there is, how much of it is resident."""
    size = resident = 0
    own = False
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        words = line.split()
        if "-" in words[0]:
            own = words[1] == "r-xp" and words[-1].endswith("/crier")
        elif own and words[0] == "Size:":
            size += int(words[1])
        elif own and words[0] == "Rss:":
            resident += int(words[1])
    return size, resident


def test_program_pages_let_go(env: Env) -> None:
    """What the start alone ran through does not stay resident: without gRPC little of the program is in use."""
    agent = env.agent(cri_socket="none")
    deadline = time.monotonic() + 5  # agent.start may be read before the start is over
    while True:
        size, resident = _program_kib(agent.process.pid)
        if size > 0 and resident * 5 < size:
            break
        assert time.monotonic() < deadline, f"{resident} of {size} KiB of the program are resident"
        time.sleep(0.1)
    env.finish(agent)
