"""Containers without a runtime: cgroups, an OCI bundle and a first process, made in the order a runtime makes them.

A guest has many kernels to prove and little time; containerd and runc take seconds under emulation, this takes none.
What only a real runtime shows is proven with one, in guests of their own (../plans.py).
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from harness import cgroups
from harness.crier import PATIENCE, Crier

MIB = 1 << 20
ACTOR, TRIGGER = "/actor", "/trigger"


class World:
    """Where boxes live: the runtime's state folder, and what is to be removed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bundles = folder / "state" / "io.containerd.runtime.v2.task" / "k8s.io"
        self.boxes: list[Box] = []
        shutil.rmtree(folder, ignore_errors=True)
        self.bundles.mkdir(parents=True)
        self._agents = 0

    def crier(self, *flags: str, profile: str = "full", under: Sequence[str] = ()) -> Crier:
        """A ready crier that knows containers by cgroup path and bundle; no budgets, so that every event is told. `under` as in Crier."""
        self._agents += 1
        fixed = ["--cri-socket", "none", "--runtime-state-dir", str(self.folder / "state"), "--node-name", "vm"]
        fixed += ["--cluster-name", "vm", "--profile", profile, "--max-output-bytes", "0", "--event-rate", "0"]
        fixed += ["--pressure-interval", "2s", "--throttle-interval", "1s"]  # so that a scenario is over soon
        agent = Crier(self.folder / f"crier-{self._agents}", *fixed, *flags, under=under)
        try:
            agent.wait_ready()
        except BaseException:
            agent.close()
            raise
        return agent

    def box(self, name: str, memory: int = 0, pod_memory: int = 0) -> Box:
        """A container whose cgroups and bundle are there and whose init waits for go()."""
        box = Box(self, name, memory, pod_memory)
        self.boxes.append(box)
        return box

    def clear(self) -> None:
        for box in self.boxes:
            box.remove()
        self.boxes = []


class Box:
    """One pod with one container. Ids are made of the name, so every run and kernel has the same."""

    def __init__(self, world: World, name: str, memory: int, pod_memory: int) -> None:
        self.world, self.name = world, name
        self.id = hashlib.sha256(name.encode()).hexdigest()
        self.uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
        self.pod_cgroup = f"/kubepods/burstable/pod{self.uid}"
        self.cgroup = f"{self.pod_cgroup}/{self.id}"
        self.bundle = world.bundles / self.id
        self.log = world.folder / f"{name}.log"
        self.status: int | None = None
        self.user_us = self.system_us = 0
        self.pid = 0
        self._shim: subprocess.Popen[bytes] | None = None
        self._write_bundle()
        cgroups.make(self.pod_cgroup)
        self._hierarchy = cgroups.memory_hierarchy()
        if pod_memory:
            cgroups.set_memory_limit(self._hierarchy, self.pod_cgroup, pod_memory)
        cgroups.make(self.cgroup)
        if memory:
            self.limit(memory)

    def _write_bundle(self) -> None:
        prefix = "io.kubernetes.cri."
        annotations = {
            "container-type": "container", "container-name": "app", "image-name": "localhost/actor:1",
            "sandbox-id": hashlib.sha256(f"{self.name} sandbox".encode()).hexdigest(), "sandbox-name": f"pod-{self.name}",
            "sandbox-namespace": "shop", "sandbox-uid": self.uid,
        }  # fmt: skip
        config = {"ociVersion": "1.0.2", "annotations": {prefix + key: value for key, value in annotations.items()}}
        self.bundle.mkdir()
        (self.bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")

    # The container's cgroup in the memory hierarchy

    def file(self, name: str, of_pod: bool = False) -> Path:
        return self._hierarchy.path(self.pod_cgroup if of_pod else self.cgroup) / name

    def limit(self, size: int) -> None:
        cgroups.set_memory_limit(self._hierarchy, self.cgroup, size)

    # Its first process

    def start(self, *program: str) -> Box:
        """Puts the program into the cgroups as pid 1 of a namespace; it waits until go()."""
        procs = [str(each.path(self.cgroup) / "cgroup.procs") for each in cgroups.hierarchies()]
        command = [ACTOR, "enter", str(self.log), *procs, "--", *program]
        # stderr is the suite's: a failure to enter is a fault of the test.
        self._shim = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._shim.stdout is not None
        said = self._shim.stdout.readline().split()
        if len(said) != 2:
            raise RuntimeError(f"box {self.name}: its init could not be made, see above")
        self.pid = int(said[1])
        (self.bundle / "init.pid").write_text(str(self.pid), encoding="ascii")
        return self

    def go(self) -> Box:
        assert self._shim is not None and self._shim.stdin is not None
        self._shim.stdin.write(b"g")
        self._shim.stdin.flush()
        return self

    def run(self, *program: str) -> Box:
        return self.start(*program).go()

    def wait(self, seconds: float = 30) -> int:
        """Waits for init's end; returns its status as wait(2) has it."""
        assert self._shim is not None and self._shim.stdout is not None
        try:
            out, _ = self._shim.communicate(timeout=seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"box {self.name}: init has not ended after {seconds:g} s") from None
        self.status, self.user_us, self.system_us = (int(word) for word in out.split()[1:])
        return self.status

    def gone(self, agent: Crier) -> None:
        """What a runtime does next: the cgroup goes, once crier has told the end; waits until the removal is told too."""
        mine = lambda line: line.get("container.id") == self.id  # noqa: E731
        agent.wait_event("container.exited", where=mine)
        cgroups.remove(self.cgroup)
        agent.wait_event("container.removed", where=mine)

    def wait_log(self, text: str, seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds * PATIENCE
        while text not in (said := self.log.read_text(encoding="utf-8") if self.log.exists() else ""):
            if time.monotonic() > deadline:
                raise RuntimeError(f"box {self.name}: no '{text}' in what it wrote: {said[-300:]}")
            time.sleep(0.02)
        return said

    def remove(self) -> None:
        cgroups.kill_all(self.pod_cgroup)
        if self._shim is not None:
            self._shim.kill()
            self._shim.wait()
        with contextlib.suppress(ProcessLookupError):
            if self.pid and self.status is None:
                os.kill(self.pid, signal.SIGKILL)
        cgroups.remove(self.pod_cgroup)
        shutil.rmtree(self.bundle, ignore_errors=True)
        self.log.unlink(missing_ok=True)
