"""Facts of a process from /proc, for tests that must not act too early."""
from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

# Deadlines are generous and assert nothing; a slow machine (an emulated one) multiplies them.
PATIENCE = float(os.environ.get("CRIER_TEST_PATIENCE", "1"))


def is_frozen(pid: int) -> bool:
    """Every thread stands still."""
    states = [(task / "stat").read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").iterdir()]
    return set(states) == {"T"}


def freeze(pid: int, seconds: float = 5) -> None:
    """SIGSTOP, and waits until every thread stands still: one that runs on another CPU may answer a last call."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        if is_frozen(pid):
            return
        time.sleep(0.001)
    raise RuntimeError(f"process {pid}: not stopped after {seconds} s")


def wait_executed(pid: int, name: bytes, seconds: float = 5) -> None:
    """The runtime's start returns a moment before its own init has executed the container's program."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        try:
            if os.readlink(f"/proc/{pid}/exe".encode()).endswith(name):
                return
        except OSError:
            return  # it has ended already
        time.sleep(0.002)


def wait_expects(pid: int, number: int, seconds: float = 5) -> None:
    """Waits until the process handles, blocks or ignores a signal: before, an init loses it and others die of it."""
    deadline = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        for mask in re.findall(r"^Sig(?:Blk|Ign|Cgt):\s*([0-9a-f]+)", status, re.MULTILINE):
            if int(mask, 16) >> (number - 1) & 1:
                return
        time.sleep(0.002)
    raise RuntimeError(f"process {pid}: does not expect signal {number} after {seconds} s")
