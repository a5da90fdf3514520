"""The kernel's part of a container and nothing of a runtime: cgroups made by hand, processes put into them, pids chosen."""
from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import struct
import uuid
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from harness import cgroups, image

SYS_CLONE3 = 435
CLONE_NEWPID = 0x20000000
SIGCHLD = 17
# Which keeps the interpreter's lock over a call: another thread's would be for ever locked in the child.
_libc = ctypes.PyDLL(None, use_errno=True)


def _clone(pid: int, namespace: bool) -> int:
    """fork(2) with a pid of choice (0: any) in a new pid namespace or in ours; 0 in the child."""
    chosen = ([1] if namespace else []) + [pid] if pid else []
    pids = (ctypes.c_int * len(chosen))(*chosen)
    flags = CLONE_NEWPID if namespace else 0
    fields = struct.pack("<11Q", flags, 0, 0, 0, SIGCHLD, 0, 0, 0, ctypes.addressof(pids) if pid else 0, len(chosen), 0)
    made = int(_libc.syscall(SYS_CLONE3, ctypes.create_string_buffer(fields), len(fields)))
    if made < 0:
        raise OSError(ctypes.get_errno(), f"clone3 for pid {pid}")
    return made


def spawn_into(folders: Iterable[Path], *args: str, pid: int = 0, namespace: bool = False) -> int:
    """The trigger program as a member of these cgroups; it enters them before it executes."""
    program = str(image.build_trigger())
    # Made before the clone: other threads' locks are for ever locked in the child.
    files = [os.fsencode(folder / "cgroup.procs") for folder in folders]
    arguments = [program, *args]
    made = _clone(pid, namespace)
    if made == 0:
        try:
            for file in files:
                # "0" is the writer, whatever its pid is in the reader's namespace.
                os.write(os.open(file, os.O_WRONLY | os.O_CLOEXEC), b"0")
            os.execv(program, arguments)
        finally:
            os._exit(127)
    return made


def move(pid: int, cgroup: str) -> None:
    """Into a cgroup, in every hierarchy that has it."""
    for hierarchy in cgroups.hierarchies():
        if (folder := hierarchy.path(cgroup)).is_dir():
            (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")


class Bare:
    """A cgroup in every hierarchy; the path says what it is. close() ends what lives in it and removes it."""

    def __init__(self, cgroup: str) -> None:
        self.cgroup = cgroup
        self._children: list[int] = []
        cgroups.make(cgroup)

    def sub(self, name: str) -> str:
        """A cgroup below, made if it is not there."""
        cgroups.make(f"{self.cgroup}/{name}")
        return f"{self.cgroup}/{name}"

    def spawn(self, *args: str, pid: int = 0, cgroup: str = "", namespace: bool = False) -> int:
        """The trigger program in the cgroup (or one below), with a pid of choice, as pid 1 of a namespace of its own."""
        folders = [hierarchy.path(cgroup or self.cgroup) for hierarchy in cgroups.hierarchies()]
        made = spawn_into(folders, *args, pid=pid, namespace=namespace)
        self._children.append(made)
        return made

    def reap(self, pid: int) -> int:
        """Waits for a child; from then on its pid is free."""
        self._children.remove(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self) -> None:
        cgroups.kill_all(self.cgroup)
        for pid in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        cgroups.remove(self.cgroup)

    def __enter__(self) -> Bare:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BarePod(Bare):
    """A pod's cgroup as kubelet makes it, with containers that no runtime knows."""

    def __init__(self) -> None:
        self.uid = str(uuid.uuid4())
        path = f"/kubepods/burstable/pod{self.uid}"
        cgroups.make_pod(path)
        super().__init__(path)
        self.containers: list[BareContainer] = []

    def container(self) -> BareContainer:
        self.containers.append(BareContainer(f"{self.cgroup}/{secrets.token_hex(32)}"))
        return self.containers[-1]

    def close(self) -> None:
        for container in self.containers:
            container.close()
        super().close()


class BareContainer(Bare):
    @property
    def id(self) -> str:
        return self.cgroup.rpartition("/")[2]

