"""watch.py FILE MOUNT...: notes every directory made below kubepods in FILE, by inotify and stat alone.

A row is "BOOTTIME_NS INODE MOUNT PATH": the directory was there at that time, so it was made not later. It is the test's
own record of which cgroup id is whose, made without crier and without the runtime.
"""
from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
import time

IN_CREATE, IN_ONLYDIR, IN_ISDIR, IN_IGNORED, IN_Q_OVERFLOW = 0x100, 0x1000000, 0x40000000, 0x8000, 0x4000
EVENT = struct.Struct("iIII")
# kubepods, QoS class, pod, container: what lies deeper has its container's path in front of it.
DEEPEST = 4


class Watch:
    def __init__(self, file: str, mounts: list[str]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_CLOEXEC)
        self._file = open(file, "w", encoding="utf-8", buffering=1)
        self._watched: dict[int, tuple[str, str]] = {}
        self._noted: set[tuple[str, int]] = set()
        for mount in mounts:
            self._add(mount, "")

    def _add(self, mount: str, path: str) -> None:
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(mount + path), IN_CREATE | IN_ONLYDIR)
        if number < 0:
            return  # gone already
        self._watched[number] = (mount, path)
        # What was made before the watch stood is found here, what is made from now on is told.
        with contextlib.suppress(OSError):
            for name in os.listdir(mount + path):
                self._see(mount, path, name)

    def _see(self, mount: str, parent: str, name: str) -> None:
        path = f"{parent}/{name}"
        if not path.startswith("/kubepods"):
            return
        with contextlib.suppress(OSError):
            inode = os.stat(mount + path).st_ino
            if not os.path.isdir(mount + path) or (mount, inode) in self._noted:
                return
            self._noted.add((mount, inode))
            self._file.write(f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME)} {inode} {mount} {path}\n")
            if path.count("/") < DEEPEST:
                self._add(mount, path)

    def run(self) -> None:
        while data := os.read(self._fd, 1 << 16):
            at = 0
            while at < len(data):
                number, mask, _cookie, length = EVENT.unpack_from(data, at)
                name = data[at + EVENT.size : at + EVENT.size + length].rstrip(b"\0")
                at += EVENT.size + length
                if mask & IN_Q_OVERFLOW:
                    sys.exit("watch: the inotify queue was full: cgroups are missing from the record")
                if mask & IN_IGNORED:
                    self._watched.pop(number, None)
                elif mask & IN_ISDIR and number in self._watched:
                    mount, parent = self._watched[number]
                    self._see(mount, parent, os.fsdecode(name))


def main() -> None:
    watch = Watch(sys.argv[1], sys.argv[2:])
    print("ready", flush=True)
    watch.run()


main()
