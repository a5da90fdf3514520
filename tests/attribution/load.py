"""The load: pods and containers made in a known way, and what they did by their own account, all without crier."""
from __future__ import annotations

import contextlib
import os
import queue
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness import cgroups
from harness.node import Node
from harness.pod import MIB, Container, Pod

LIFETIMES_MS = (20, 50, 100, 300, 1_000, 10_000)
PER_POD = 6
HASH = "7d9f8b6c5"
OOM_LIMIT = 40 * MIB
# One for each CPU gives the highest rate: with 1, 2, 3, 4 and 6 on two CPUs 8.6, 13.6, 13.1, 12.9 and 9.1 a second were made.
WORKERS = os.cpu_count() or 1
TOLD = re.compile(r"life ([iabc])([0-9a-f]{9}) (\d+) (\d+)$")
REAPED = re.compile(r"child (\d+) (exit|signal) (\d+)$")


def boottime_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass
class Process:
    """What a process of a container told of itself, and what its parent saw of its end."""

    role: str  # i: init, a: executes, b: allocates, c: is killed
    vpid: int
    start_ticks: int
    exit_code: int | None = None
    signal: int | None = None


@dataclass
class Life:
    """One container: what was asked for, and what came of it."""

    token: str
    name: str
    lifetime_ms: int
    code: int
    dies_of_memory: bool
    attempt: int = 0
    previous: Life | None = None
    pod: PodPlan | None = None
    container: Container | None = None
    asked_ns: int = 0  # StartContainer was called
    done_ns: int = 0  # and had returned
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.container.id if self.container else ""

    def args(self) -> list[str]:
        return ["life", self.token, str(self.lifetime_ms), str(self.code)] + ["oom"] * self.dies_of_memory

    def read_log(self) -> None:
        """The processes' own words; RuntimeError if a part is missing, since then nothing could be judged."""
        assert self.container is not None
        log = self.container.log()
        ended: dict[int, tuple[str, int]] = {}
        for line in log.splitlines():
            if told := TOLD.match(line):
                role, token, vpid, ticks = told.groups()
                if token != self.token:
                    raise RuntimeError(f"container {self.id[:12]}: the log is of {token}, not of {self.token}")
                self.processes[role] = Process(role, int(vpid), int(ticks))
            elif reaped := REAPED.match(line):
                ended[int(reaped[1])] = reaped[2], int(reaped[3])
        if set(self.processes) != set("iabc") or "life done" not in log:
            raise RuntimeError(f"container {self.id[:12]} ({self.token}): its log is not whole: {log!r}")
        for process in self.processes.values():
            if process.vpid in ended:
                kind, value = ended[process.vpid]
                process.exit_code, process.signal = (value, None) if kind == "exit" else (None, value)
        init = self.processes["i"]
        init.exit_code, init.signal = (None, 9) if self.dies_of_memory else (self.code, None)


@dataclass
class PodPlan:
    name: str
    namespace: str
    qos: str
    labels: dict[str, str]
    replicaset: str  # "" = none is proven
    lives: list[Life]
    again: int  # index of the one that is made a second time
    pod: Pod | None = None
    asked_ns: int = 0
    done_ns: int = 0


class Plan:
    """The pods of one run, each with PER_POD containers of mixed lifetimes, until every lifetime has its count."""

    def __init__(self, per_lifetime: int) -> None:
        self._run = secrets.token_hex(2)
        self._count = 0
        self.pods: list[PodPlan] = []
        self.lives: list[Life] = []
        for number in range(per_lifetime * len(LIFETIMES_MS) // PER_POD):
            lives = [self.life(f"app{i}", LIFETIMES_MS[(number + i) % len(LIFETIMES_MS)]) for i in range(PER_POD)]
            self.pods.append(self._pod(number, lives))

    def life(self, name: str, lifetime_ms: int, previous: Life | None = None) -> Life:
        """A life whose token, exit codes and way to die are its own."""
        number = self._count
        self._count += 1
        # One in seven, so that the dying differ in name and lifetime from pod to pod.
        dies = number % 7 == 3
        life = Life(f"{self._run}{number:05x}", name, lifetime_ms, 1 + number % 100, dies)
        if previous:
            life.previous, life.attempt, life.pod = previous, previous.attempt + 1, previous.pod
        self.lives.append(life)
        return life

    def _pod(self, number: int, lives: list[Life]) -> PodPlan:
        app = f"cart{number}"
        # Every second pod is of a ReplicaSet; of the rest, half only look so.
        hashed = number % 2 == 0
        suffix = "".join("bcdfghjklmnpqrstvwxz2456789"[(number * 7 + i * 5) % 27] for i in range(5))
        name = f"{app}-{HASH}-{suffix}" if number % 4 != 3 else f"{app}-{number}"
        plan = PodPlan(
            name=name,
            namespace=("shop", "billing", "search")[number % 3],
            qos=("Burstable", "BestEffort", "Guaranteed")[number % 3],
            labels={"app": app} | ({"pod-template-hash": HASH} if hashed else {}),
            replicaset=f"{app}-{HASH}" if hashed else "",
            lives=lives,
            # One of the shorter ones, each in its turn.
            again=next(i for i, life in enumerate(lives) if life.lifetime_ms == LIFETIMES_MS[number % 4]),
        )
        for life in lives:
            life.pod = plan
        return plan


class Load:
    """Runs a plan on a node; afterwards every life has its container and its log, and every pod is removed."""

    def __init__(self, node: Node, plan: Plan, on_start: Callable[[int], None], may_reap: threading.Event) -> None:
        self._node, self.plan, self._on_start, self._may_reap = node, plan, on_start, may_reap
        self._lock = threading.Lock()
        self._started = 0
        self._errors: list[BaseException] = []
        self._reaped: queue.Queue[PodPlan | None] = queue.Queue()
        self.seconds = 0.0  # that the creation took

    # Making

    def _make_pod(self, plan: PodPlan) -> None:
        plan.asked_ns = boottime_ns()
        plan.pod = self._node.pod(plan.name, namespace=plan.namespace, labels=plan.labels, qos=plan.qos)
        plan.done_ns = boottime_ns()

    def _start(self, life: Life, counted: bool = True) -> None:
        assert life.pod and life.pod.pod
        memory = OOM_LIMIT if life.dies_of_memory else 0
        life.container = life.pod.pod.create(life.name, *life.args(), attempt=life.attempt, memory=memory)
        life.asked_ns = boottime_ns()
        life.container.launch()
        life.done_ns = boottime_ns()
        if counted:
            with self._lock:
                self._started += 1
                self._on_start(self._started)

    def _reap(self) -> None:
        """Each pod's containers end, one of them is made again, it ends, and the pod goes."""
        while (plan := self._reaped.get()) is not None:
            assert plan.pod
            for life in plan.lives:
                self._wait_end(life)
            if not self._may_reap.wait(60):
                raise RuntimeError("the pods were never given free to be removed")
            first = plan.lives[plan.again]
            again = self.plan.life(first.name, first.lifetime_ms, first)
            self._start(again, counted=False)
            self._wait_end(again)
            plan.pod.remove()

    def _wait_end(self, life: Life) -> None:
        assert life.container
        time.sleep(max(0.0, life.lifetime_ms / 1e3 - (boottime_ns() - life.done_ns) / 1e9))
        life.container.wait_exit()
        life.read_log()

    def _guard(self, action: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                action()
            except BaseException as error:  # pylint: disable=broad-except
                self._errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    # Two ways to run

    def burst(self) -> None:
        """As fast as the machine bears: every worker makes a pod and its containers, one after the other, without a pause."""
        todo = list(reversed(self.plan.pods))

        def work() -> None:
            while not self._errors:
                with self._lock:
                    if not todo:
                        return
                    plan = todo.pop()
                self._make_pod(plan)
                for life in plan.lives:
                    self._start(life)
                self._reaped.put(plan)

        self._run([work] * WORKERS)

    def steady(self, period_s: float = 1.0) -> None:
        """One container each period."""

        def work() -> None:
            due = time.monotonic()
            for plan in self.plan.pods:
                self._make_pod(plan)
                for life in plan.lives:
                    time.sleep(max(0.0, due - time.monotonic()))
                    due = max(due + period_s, time.monotonic())
                    self._start(life)
                self._reaped.put(plan)

        self._run([work])

    def _run(self, workers: list[Callable[[], None]]) -> None:
        reapers = [self._guard(self._reap) for _ in range(4)]
        began = time.monotonic()
        for thread in [self._guard(each) for each in workers]:
            thread.join()
        self.seconds = time.monotonic() - began
        for _ in reapers:
            self._reaped.put(None)
        for thread in reapers:
            thread.join()
        if self._errors:
            raise self._errors[0]


class Watcher:
    """watch.py as a process: which cgroup id is which directory, as the file system itself says."""

    def __init__(self, folder: Path) -> None:
        self._rows = folder / "cgroups"
        mounts = [h for h in (cgroups.unified_hierarchy(), cgroups.memory_hierarchy()) if h]
        self._versions = {str(h.mount): h.version for h in mounts}
        command = ["/usr/bin/python3", str(Path(__file__).with_name("watch.py")), str(self._rows), *self._versions]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        assert self._process.stdout
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("watch.py did not begin")

    def stop(self) -> dict[tuple[int, str], tuple[int, str]]:
        """Ends it; returns (cgroup version, id) -> (boottime by which it was there, path)."""
        if self._process.poll() is not None:
            raise RuntimeError(f"watch.py has ended with {self._process.returncode}: the record of cgroups is not whole")
        self.close()
        result = {}
        for row in self._rows.read_text(encoding="utf-8").splitlines():
            stamp, inode, mount, path = row.split(" ", 3)
            result[self._versions[mount], inode] = int(stamp), path
        return result

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        self._process.wait()
