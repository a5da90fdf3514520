"""What the benchmarks stand on: a node with containers made of directories, agents whose CPU and memory are read, loads."""
from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import cgroups  # noqa: E402
from harness.cleanup import attempt, without_signals  # noqa: E402

import runtime  # noqa: E402
from rows import row  # noqa: E402  (handed on)

__all__ = ["row"]

ROOT = HERE.parents[1]
PYTHON = "/usr/bin/python3"
# The container that the loads run in, and a group of the host's that is none.
LOADED = 0
HOST_CGROUP = "/crier-bench"
# Nothing is held back: what is measured is the price of events, not the bounds on them.
OPEN = ["--event-rate", "0", "--critical-rate", "0", "--max-output-bytes", "0", "--stats-interval", "0"]


class Broken(Exception):
    """A measurement that would mean nothing: the sums do not hold, a program ended."""


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


@dataclass
class Programs:
    """The programs that are measured and measure, all of one build."""

    build: Path

    @property
    def crier(self) -> Path:
        return self.build / "crier"

    def bench(self, name: str) -> Path:
        return self.build / "tests/bench" / name


@dataclass
class Settings:
    programs: Programs
    runs: int
    quick: bool
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """What the reader of the figures must know; told once."""
        if text not in self.notes:
            self.notes.append(text)
            print(f"bench: note: {text}", file=sys.stderr, flush=True)


# ---- the node ----


class Place:
    """COUNT containers as directories, and a runtime that names them. Removed without trace."""

    def __init__(self, count: int) -> None:
        if os.geteuid() != 0:
            raise PermissionError("bench: cgroups and BPF need root: run as root")
        self.count = count
        self.folder = Path(tempfile.mkdtemp(prefix="crier-bench-"))
        self.socket = self.folder / "cri.sock"
        self.primary = cgroups.unified_hierarchy() or cgroups.hierarchies()[0]
        self._runtime: subprocess.Popen[str] | None = None

    def _pods(self) -> list[int]:
        return [*range((max(self.count, 1) + 1) // 2), runtime.CHURN]

    def __enter__(self) -> Place:
        try:
            cgroups.make_pod(runtime.pod_cgroup(0))
            cgroups.make(runtime.pod_cgroup(runtime.CHURN))
            cgroups.make(HOST_CGROUP)
            if self.count:
                cgroups.make(runtime.cgroup(LOADED))
            for number in range(1, self.count):
                # one hierarchy is enough to be known, and thousands in each would be a load of their own
                path = self.primary.path(runtime.cgroup(number))
                path.parent.mkdir(exist_ok=True)
                path.mkdir(exist_ok=True)
            command = [PYTHON, str(HERE / "runtime.py"), str(self.socket), str(self.count), str(self.primary.mount)]
            self._runtime = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert self._runtime.stdout is not None
            if self._runtime.stdout.readline().strip() != "ready":
                raise Broken("bench: the runtime did not start")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with without_signals():
            if self._runtime:
                self._runtime.terminate()
                self._runtime.wait()
            for pod in self._pods():
                attempt(f"pod {pod}", lambda pod=pod: self._remove(runtime.pod_cgroup(pod)))
            attempt(HOST_CGROUP, lambda: self._remove(HOST_CGROUP))
            attempt("kubepods", cgroups.release_shared)
            attempt(str(self.folder), lambda: shutil.rmtree(self.folder))

    def _remove(self, path: str) -> None:
        if any(each.path(path).is_dir() for each in cgroups.hierarchies()):
            cgroups.kill_all(path)
            cgroups.remove(path)

    def flags(self, profile: str = "full", *more: str) -> list[str]:
        state = ["--state-file", str(self.folder / f"state-{time.monotonic_ns()}.json"), "--runtime-state-dir", str(self.folder)]
        return ["run", "--cri-socket", str(self.socket), "--profile", profile, "--node-name", "bench-node", *state, *OPEN, *more]


def join(cgroup: str) -> None:
    """The calling process enters the group in every hierarchy that has it."""
    for hierarchy in cgroups.hierarchies():
        procs = hierarchy.path(cgroup) / "cgroup.procs"
        if procs.exists():
            procs.write_text("0", encoding="ascii")


def start_load(
    programs: Programs, arguments: Sequence[str], cgroup: str | None = None, cpu: int | None = None
) -> subprocess.Popen[str]:
    """A verb of load.c, in a cgroup, on a CPU of its own."""

    def prepare() -> None:
        if cgroup:
            join(cgroup)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    command = [str(programs.bench("bench_load")), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=prepare)


def load(programs: Programs, *arguments: object, cgroup: str | None = None, cpu: int | None = None) -> dict[str, int]:
    """Runs it to its end; what it says of itself."""
    process = start_load(programs, [str(each) for each in arguments], cgroup, cpu)
    out, _ = process.communicate()
    if process.returncode != 0:
        raise Broken(f"bench: load {' '.join(map(str, arguments))} ended with {process.returncode}")
    return json.loads(out)


# ---- agents ----


@dataclass
class Memory:
    """Bytes, from /proc/PID/smaps. ring: maps of the kernel's side, which RSS counts although they are the kernel's."""

    rss: int = 0
    anonymous: int = 0
    file: int = 0
    ring: int = 0


def memory_of(pid: int) -> Memory:
    found = Memory()
    name = ""
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            name = line.split(None, 5)[5] if len(line.split(None, 5)) > 5 else ""
            continue
        key, _, value = line.partition(":")
        if key not in ("Rss", "Anonymous"):
            continue
        size = int(value.split()[0]) * 1024
        if key == "Anonymous":
            found.anonymous += size
            found.file -= 0 if "bpf" in name else size
        else:
            found.rss += size
            if "bpf" in name:
                found.ring += size
            else:
                found.file += size
    # the kernel's own sum, which may lag by some pages a thread
    resident = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    if abs(resident - found.rss) > max(found.rss // 20, 1 << 20):
        raise Broken(f"bench: smaps of {pid} adds up to {found.rss} bytes, statm says {resident}")
    return found


def kernel_bytes(pid: int) -> int:
    """What the BPF maps of a process take in the kernel, its rings once among them: not in RSS, but charged to its memory cgroup."""
    maps = {}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            text = dict(line.split(":", 1) for line in info.read_text(encoding="ascii").splitlines() if ":" in line)
            if "map_type" in text:
                maps[int(text["map_id"])] = int(text["memlock"])
    return sum(maps.values())


def cpu_ns(pid: int) -> int:
    """User and system time of all threads, as exact as the scheduler knows it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return total


class Agent:
    """A program that tells of events, read by reader.c: counted, stamped, its CPU known to the end.

    plain: its lines are not JSON, and so many of them are a heading.
    """

    def __init__(
        self,
        programs: Programs,
        command: Sequence[str],
        *,
        ready: str = "agent.start",
        plain: int | None = None,
        container: int | None = None,
        latency: str = "",
        cpu: int | None = None,
        reader_cpu: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        def pin(which: int | None) -> Any:
            return None if which is None else lambda: os.sched_setaffinity(0, {which})

        self.firsts: dict[str, int] = {}
        self.stop_signal = stop_signal
        self._tallies: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._errors = tempfile.TemporaryFile()
        read, write = os.pipe()
        arguments = [str(programs.bench("bench_reader"))]
        arguments += ["--plain", str(plain)] if plain is not None else []
        arguments += ["--id", runtime.container_id(container)] if container is not None else []
        arguments += ["--latency", latency] if latency else []
        self._reader = subprocess.Popen(arguments, stdin=read, stdout=subprocess.PIPE, text=True, preexec_fn=pin(reader_cpu))
        self.started_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.process = subprocess.Popen(
            list(command), stdout=write, stderr=self._errors, preexec_fn=pin(cpu)
        )
        os.close(read)
        os.close(write)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.usage: resource.struct_rusage | None = None
        self.name = Path(command[0]).name
        try:
            if ready:
                self.wait_first(ready)
        except BaseException:
            self.kill()
            raise

    @property
    def pid(self) -> int:
        return self.process.pid

    def _listen(self) -> None:
        assert self._reader.stdout is not None
        for line in self._reader.stdout:
            with self._news:
                if line.startswith("first "):
                    _, kind, at = line.split()
                    self.firsts[kind] = int(at)
                else:
                    self._tallies.append(json.loads(line))
                self._news.notify_all()

    def diagnostics(self) -> str:
        self._errors.seek(0)
        return self._errors.read()[-2000:].decode("utf-8", "replace").strip()

    def _wait(self, wanted: Any, what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._news:
            while not wanted():
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None and not self._listener.is_alive():
                    raise Broken(f"bench: {self.name}: no {what}: {self.diagnostics()}")
                self._news.wait(min(left, 0.2))

    def wait_first(self, kind: str, seconds: float = 60) -> int:
        """When the first line of a type could be read, after the start of the program: ns."""
        self._wait(lambda: kind in self.firsts, kind, seconds)
        return self.firsts[kind] - self.started_ns

    def running(self) -> bool:
        return self.process.poll() is None

    def cpu_ns(self) -> int:
        return cpu_ns(self.pid)

    def memory(self) -> Memory:
        return memory_of(self.pid)

    def tally(self) -> dict[str, Any]:
        """What came since the last time this was asked."""
        with self._news:
            known = len(self._tallies)
        self._reader.send_signal(signal.SIGUSR1)
        self._wait(lambda: len(self._tallies) > known, "tally", 30)
        return self._tallies[known]

    def settle(self, quiet_s: float = 0.15, limit_s: float = 30) -> None:
        """Waits until its CPU stands nearly still: what was under way is told."""
        deadline = time.monotonic() + limit_s
        last = self.cpu_ns()
        while time.monotonic() < deadline:
            time.sleep(quiet_s)
            now = self.cpu_ns()
            if now - last < quiet_s * 1e9 * 0.05:
                return
            last = now

    def stop(self) -> dict[str, Any]:
        """Its stop signal; the last tally, with the agent's own last line under "stop"."""
        seen_ns = self.cpu_ns()
        self.process.send_signal(self.stop_signal)
        _, status, self.usage = os.wait4(self.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._listener.join(60)
        code = self._reader.wait()
        if code != 0 or not self._tallies:
            raise Broken(f"bench: {self.name}: its reader ended with {code}: {self.diagnostics()}")
        spent = (self.usage.ru_utime + self.usage.ru_stime) * 1e9
        # Two clocks for one thing: the scheduler's and the kernel's account at the end must agree.
        if spent < seen_ns * 0.9 - 20e6:
            raise Broken(f"bench: {self.name}: schedstat says {seen_ns / 1e6:.0f} ms of CPU, rusage {spent / 1e6:.0f} ms")
        return self._tallies[-1]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.wait()
        self._listener.join(10)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


def crier(settings: Settings, place: Place, profile: str = "full", flags: Sequence[str] = (), **options: Any) -> Agent:
    return Agent(settings.programs, [str(settings.programs.crier), *place.flags(profile, *flags)], **options)


def check_sums(stop: dict[str, Any]) -> dict[str, int]:
    """agent.stop's own account must be exact; returns both classes together."""
    total: dict[str, int] = {}
    for kind in ("bulk", "critical"):
        part = stop["data"][kind]
        if part["generated"] != sum(part[key] for key in ("emitted", "filtered", "suppressed", "lost", "held")):
            raise Broken(f"bench: crier's own sum of {kind} events is not exact: {part}")
        for key, value in part.items():
            total[key] = total.get(key, 0) + value
    return total


@contextlib.contextmanager
def stats_of_programs() -> Iterator[None]:
    """The kernel counts runs and time of BPF programs while this is open (BPF_ENABLE_STATS)."""
    import ctypes  # pylint: disable=import-outside-toplevel

    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    attributes = ctypes.create_string_buffer(128)  # u32 type = BPF_STATS_RUN_TIME = 0
    fd = ctypes.CDLL(None, use_errno=True).syscall(number, 32, attributes, 4)
    if fd < 0:
        raise Broken(f"bench: BPF_ENABLE_STATS: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(fd)


def program_times(pid: int) -> dict[int, tuple[int, int]]:
    """Of each BPF program that a process holds: id -> (ns in all, runs)."""
    found = {}
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        with contextlib.suppress(OSError):
            text = dict(line.split(":", 1) for line in info.read_text(encoding="ascii").splitlines() if ":" in line)
            if "prog_type" in text and "run_time_ns" in text:
                found[int(text["prog_id"])] = (int(text["run_time_ns"]), int(text["run_cnt"]))
    return found


def program_names() -> dict[int, str]:
    done = subprocess.run(["bpftool", "-j", "prog", "show"], capture_output=True, text=True, check=True)
    return {each["id"]: each.get("name", "?") for each in json.loads(done.stdout)}
