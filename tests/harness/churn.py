#!/usr/bin/python3
"""churn.py CGROUP : containers without a runtime, made and ended without pause in a pod's cgroup until standard input ends.

Then one line of JSON for each on standard output: its id, and when its directory was made (not before, at the latest), its
program had ended (not before, at the latest): CLOCK_BOOTTIME, nanoseconds. A process of its own: a raw clone(2) of a
threaded one may hang.
"""
from __future__ import annotations

import json
import os
import random
import secrets
import select
import sys
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

from harness import bare, cgroups  # noqa: E402

LIVES_S = (0.0, 0.005, 0.02, 0.1, 0.4)
LIVING_MAX = 24


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def begin(pod: Path) -> tuple[int, dict[str, Any]]:
    name = secrets.token_hex(32)
    folder = pod / name
    record = {"id": name, "folder": str(folder), "made_from": now_ns()}
    folder.mkdir()
    record["made_to"] = now_ns()
    pid = bare.spawn_into([folder], "exit", "0", str(random.choice(LIVES_S)))
    return pid, record


def end(record: dict[str, Any], last_seen_ns: int) -> dict[str, Any]:
    record["ended_from"], record["ended_to"] = last_seen_ns, now_ns()
    folder = record.pop("folder")
    while True:
        try:
            os.rmdir(folder)
            return record
        except OSError:  # the kernel holds a group busy for a moment after its last task
            time.sleep(0.001)


def reap(living: dict[int, dict[str, Any]], ended: list[dict[str, Any]], looked_ns: int, block: bool) -> None:
    while living:
        pid, _status = os.waitpid(-1, 0 if block else os.WNOHANG)
        if pid == 0:
            return
        ended.append(end(living.pop(pid), looked_ns))


def main() -> int:
    pod = cgroups.primary_hierarchy().path(sys.argv[1])
    living: dict[int, dict[str, Any]] = {}
    ended: list[dict[str, Any]] = []
    looked_ns = now_ns()
    while not select.select([sys.stdin], [], [], 0.001)[0]:
        if len(living) < LIVING_MAX:
            pid, record = begin(pod)
            living[pid] = record
        before_ns = now_ns()
        reap(living, ended, looked_ns, False)
        looked_ns = before_ns
    reap(living, ended, looked_ns, True)
    for record in ended:
        print(json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
