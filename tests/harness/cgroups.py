"""The cgroups a kubelet makes: kubepods, its QoS levels and a group for each pod, in every hierarchy of the node."""
from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Levels that this harness made on this machine, by any run, so that the last run removes what it finds empty.
# What a kubelet made is never listed and so never removed.
REGISTRY = Path("/run/crier-harness/cgroups")


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup hierarchy."""

    mount: Path
    version: int
    controllers: frozenset[str]

    def path(self, cgroup: str) -> Path:
        return self.mount / cgroup.lstrip("/")


def hierarchies() -> list[Hierarchy]:
    """Every mounted hierarchy, each once."""
    found: dict[str, Hierarchy] = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, right = line.split(" - ", 1)
        device, _root, mount = left.split()[2:5]
        kind, _source, options = right.split()[:3]
        if kind == "cgroup2":
            names = (Path(mount) / "cgroup.controllers").read_text(encoding="utf-8").split()
            found.setdefault(device, Hierarchy(Path(mount), 2, frozenset(names)))
        elif kind == "cgroup":
            found.setdefault(device, Hierarchy(Path(mount), 1, frozenset(options.split(","))))
    if not found:
        raise RuntimeError("cgroups: no hierarchy is mounted: mount cgroup2 at /sys/fs/cgroup")
    return list(found.values())


def memory_hierarchy() -> Hierarchy:
    for each in hierarchies():
        if "memory" in each.controllers:
            return each
    raise RuntimeError("cgroups: no hierarchy has the memory controller: enable it on the kernel command line")


def unified_hierarchy() -> Hierarchy | None:
    return next((each for each in hierarchies() if each.version == 2), None)


def primary_hierarchy() -> Hierarchy:
    """The one that crier keys everything by where a container is in all of them."""
    return unified_hierarchy() or memory_hierarchy()


def set_memory_limit(hierarchy: Hierarchy, cgroup: str, limit: int) -> None:
    name = "memory.max" if hierarchy.version == 2 else "memory.limit_in_bytes"
    (hierarchy.path(cgroup) / name).write_text(str(limit), encoding="ascii")


def oom_kills(hierarchy: Hierarchy, cgroup: str) -> int:
    """How many tasks of this very group the kernel says it has OOM-killed."""
    name = "memory.events.local" if hierarchy.version == 2 else "memory.oom_control"
    for line in (hierarchy.path(cgroup) / name).read_text(encoding="ascii").splitlines():
        key, value = line.split()
        if key == "oom_kill":
            return int(value)
    return 0


def pids_below(cgroup: str) -> set[int]:
    """Every process in the group or below it, in any hierarchy."""
    pids: set[int] = set()
    for hierarchy in hierarchies():
        for folder, _names, files in os.walk(hierarchy.path(cgroup)):
            if "cgroup.procs" in files:
                with contextlib.suppress(OSError):
                    pids.update(int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())
    return pids - {0}


def _enable_controllers(hierarchy: Hierarchy, parent: Path) -> None:
    """v2: a child has only the controllers that its parent hands down."""
    for name in hierarchy.controllers & {"memory", "cpu", "pids", "io", "cpuset"}:
        with contextlib.suppress(OSError):
            (parent / "cgroup.subtree_control").write_text(f"+{name}", encoding="ascii")


def _fill_cpuset(path: Path) -> None:
    """v1: a new cpuset is empty and takes no task before it has CPUs and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (path / name).read_text(encoding="ascii").strip():
            (path / name).write_text((path.parent / name).read_text(encoding="ascii"), encoding="ascii")


def make(cgroup: str, only: Hierarchy | None = None) -> list[Path]:
    """Makes the group and its missing ancestors in every hierarchy; returns the directories it made, outer first."""
    made: list[Path] = []
    for hierarchy in [only] if only else hierarchies():
        path = hierarchy.mount
        for part in cgroup.strip("/").split("/"):
            if hierarchy.version == 2:
                _enable_controllers(hierarchy, path)
            path = path / part
            try:
                path.mkdir()
                made.append(path)
            except FileExistsError:
                continue
            if "cpuset" in hierarchy.controllers and hierarchy.version == 1:
                _fill_cpuset(path)
    return made


def kill_all(cgroup: str, seconds: float = 5) -> None:
    """SIGKILL for every process below a group of the harness's own, until none is left."""
    deadline = time.monotonic() + seconds
    while (pids := pids_below(cgroup)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def remove(cgroup: str, seconds: float = 5) -> None:
    """Removes the group with all below it; the kernel holds a group busy for a moment after its last task."""
    deadline = time.monotonic() + seconds
    for hierarchy in hierarchies():
        top = hierarchy.path(cgroup)
        for folder, _names, _files in os.walk(top, topdown=False):
            while os.path.isdir(folder):
                try:
                    os.rmdir(folder)
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise RuntimeError(f"cgroup {folder}: cannot be removed: {error.strerror}") from error
                    time.sleep(0.02)


def _open_locked() -> IO[str]:
    """The registry, locked; opened anew if a run that found it empty has removed it meanwhile."""
    while True:
        REGISTRY.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(REGISTRY, "a+", encoding="utf-8")
        except FileNotFoundError:
            continue
        fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.stat(REGISTRY).st_ino == os.fstat(file.fileno()).st_ino:
                return file
        file.close()


@contextlib.contextmanager
def _registry() -> Iterator[set[str]]:
    with _open_locked() as file:
        file.seek(0)
        listed = set(file.read().split("\n")) - {""}
        yield listed
        file.truncate(0)
        file.write("".join(f"{path}\n" for path in sorted(listed)))
        if not listed:
            REGISTRY.unlink()
            REGISTRY.parent.rmdir()


def make_pod(cgroup: str) -> None:
    """A pod's group as kubelet makes it; the levels above are noted for release_shared()."""
    with _registry() as listed:
        listed.update(str(path) for path in make(os.path.dirname(cgroup)))
        make(cgroup)


def release_shared() -> None:
    """Removes kubepods and its QoS levels if the harness made them and nothing lives below."""
    with _registry() as listed:
        for path in sorted(listed, key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(path)
            if not os.path.isdir(path):
                listed.discard(path)
