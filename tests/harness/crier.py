"""crier under test: started with flags, read line by line, stopped, and every line judged."""
from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from harness import lines as rules
from harness.lines import Line
from harness.proc import PATIENCE

if TYPE_CHECKING:
    from harness.node import Node
    from harness.pod import Container, Pod
    from harness.schema import Schema

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent.parent


def binary() -> Path:
    """The program under test: $CRIER, else the dev build."""
    path = Path(os.environ.get("CRIER", ROOT / "build" / "dev" / "crier"))
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"crier: {path} is not there: build it with `cmake --build --preset dev`, or set CRIER")
    return path


def run(*arguments: str, timeout: float = 20, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """One short command of crier, such as `schema` or `check`."""
    command = [str(binary()), *arguments]
    return subprocess.run(command, capture_output=True, timeout=timeout, check=False, **options)


_schemas: dict[Path, Schema] = {}


def schema() -> Schema:
    """What `crier schema` prints, once for each program."""
    path = binary()
    if path not in _schemas:
        done = run("schema")
        from harness.schema import Schema  # jsonschema: not every guest that starts criers has it

        if done.returncode != 0:
            raise RuntimeError(f"crier schema: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        _schemas[path] = Schema(json.loads(done.stdout))
    return _schemas[path]


class Timeout(AssertionError):
    """What was waited for did not come."""


class Crier:
    """A running `crier run` (or another verb that writes lines). Stamped: the time of each line's arrival is kept."""

    def __init__(
        self,
        folder: Path,
        *flags: str,
        verb: Sequence[str] = ("run",),
        read: bool = True,
        stamped: bool = False,
        under: Sequence[str] = (),
    ) -> None:
        """`under` is a program that executes crier with less than the test itself has, such as capsh."""
        folder.mkdir(parents=True, exist_ok=True)
        self.lines: list[Line] = []
        self.out, self.err = folder / "stdout", folder / "stderr"
        self.command = [*under, str(binary()), *verb, *flags]
        if not any(flag.startswith("--state-file") for flag in flags):
            # The default is the node's: two criers that share it would tell of each other's gaps.
            self.command += ["--state-file", str(folder / "state.json")]
        with open(self.err, "ab") as err:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=err, start_new_session=True)
        assert self.process.stdout is not None
        self._pipe = self.process.stdout
        self._stamps: Path | None = None
        if stamped:
            self._stamps = folder / "stamps"
            command = ["/usr/bin/python3", str(Path(__file__).with_name("stamp.py")), str(self._stamps)]
            # A process of its own: threads of this one would wait for its interpreter's lock.
            self._stamper = subprocess.Popen(command, stdin=self._pipe, stdout=subprocess.PIPE, start_new_session=True)
            self._pipe.close()
            assert self._stamper.stdout is not None
            self._pipe = self._stamper.stdout
        self.out.touch()
        self._parsed = 0
        self._dropped = False
        self._news = threading.Condition()
        self._gate = threading.Event()
        if read:
            self._gate.set()
        self._reader = threading.Thread(target=self._copy, daemon=True)
        self._reader.start()

    # Reading. The thread only copies the pipe to the file, so that a slow test never stalls crier's stdout.

    def _copy(self) -> None:
        pipe = self._pipe.fileno()
        with open(self.out, "wb", buffering=0) as file:
            while True:
                self._gate.wait()
                if self._dropped or not (data := os.read(pipe, 1 << 16)):
                    self._pipe.close()
                    break
                file.write(data)
                with self._news:
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def block_stdout(self) -> None:
        """Stops reading: crier's pipe fills up. A read that waits already takes one more chunk."""
        self._gate.clear()

    def unblock_stdout(self) -> None:
        self._gate.set()

    def drop_stdout(self) -> None:
        """Closes the reading end at the next line: from then on nobody reads."""
        self._dropped = True

    def poll(self) -> list[Line]:
        """Parses what has come since; the list of all lines so far."""
        with open(self.out, "rb") as file:
            file.seek(self._parsed)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._parsed += end
        self.lines.extend(rules.parse(raw) for raw in data[:end].split(b"\n")[:-1])
        return self.lines

    def arrivals(self) -> list[int]:
        """For each line so far, when its last byte was read from crier's stdout: CLOCK_BOOTTIME, nanoseconds."""
        assert self._stamps is not None, "this crier's lines are not stamped"
        self.poll()
        chunks = [tuple(map(int, row.split())) for row in self._stamps.read_text(encoding="ascii").splitlines()]
        result, at, end = [], 0, 0
        for line in self.lines:
            end += len(line.raw) + 1
            while chunks[at][0] < end:
                at += 1
            result.append(chunks[at][1])
        return result

    # Waiting and asking

    def wait_for(self, wanted: Callable[[Crier], T], what: str, seconds: float = 20) -> T:
        """Waits until wanted(self) is true (not empty); returns its value. `what` names it in the failure."""
        seconds *= PATIENCE
        deadline = time.monotonic() + seconds
        while True:
            ended = not self._reader.is_alive()
            self.poll()
            if value := wanted(self):
                return value
            left = deadline - time.monotonic()
            if ended:
                raise Timeout(f"no {what}: crier has ended with {self.process.wait()}: {self.diagnostics()}")
            if left <= 0:
                raise Timeout(f"no {what} after {seconds:g} s")
            with self._news:
                self._news.wait(min(left, 0.1))

    def wait_event(self, kind: str, seconds: float = 20, **match: Any) -> Line:
        """The first event of a type; `match` as in events()."""
        return self.wait_for(lambda c: c.events(kind, **match), f"{kind} {_named(match)}", seconds)[0]

    def wait_ready(self, seconds: float = 30) -> Line:
        """agent.start leaves when all hooks are attached and the first CRI list is in or given up."""
        return self.wait_event("agent.start", seconds)

    def events(
        self,
        kind: str = "",
        pod: Pod | None = None,
        container: Container | None = None,
        where: Callable[[Line], Any] | None = None,
    ) -> list[Line]:
        """The lines so far of a type (or a prefix that ends with a dot), of a pod or a container."""
        self.poll()
        return [
            line
            for line in self.lines
            if (not kind or line.type == kind or kind.endswith(".") and line.type.startswith(kind))
            and (pod is None or of_pod(line, pod))
            and (container is None or line.get("container.id") == container.id)
            and (where is None or where(line))
        ]

    def diagnostics(self, size: int = 2000) -> str:
        return self.err.read_text(encoding="utf-8", errors="replace")[-size:].strip()

    # Ending

    def running(self) -> bool:
        return self.process.poll() is None

    def _wait(self, seconds: float) -> int:
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Timeout(f"crier: still runs {seconds:g} s after the stop signal: {self.diagnostics()}") from None
        self._reader.join(10)
        self.poll()
        return code

    def stop(self, seconds: float = 20 * PATIENCE) -> int:
        """SIGTERM; returns the exit code with all lines read."""
        self.unblock_stdout()
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        return self._wait(seconds)

    def kill(self) -> None:
        self.unblock_stdout()
        self.process.kill()
        self._wait(10)

    def check(self, clean: bool = True) -> int:
        """Judges every line by the rules and by the schema; returns their number."""
        self.poll()
        if clean and self._parsed != self.out.stat().st_size:
            raise rules.BadLine(f"stdout ends without a newline: {self.out.read_bytes()[self._parsed:][:300]!r}")
        for line in self.lines:
            rules.check_line(line)
            schema().check(line)
        rules.check_sequence(self.lines)
        if clean:
            rules.check_jq(self.out, self.lines)
        return len(self.lines)

    def close(self) -> None:
        if self.running():
            self.unblock_stdout()
            self.process.kill()
        self.process.wait()
        self._gate.set()
        self._reader.join(10)
        if self._stamps:
            self._stamper.wait()  # its input has ended

    def __enter__(self) -> Crier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def of_pod(line: Line, pod: Pod) -> bool:
    """Whether a line tells of the pod, by whichever identity it carries."""
    ids = {pod.sandbox_id} | {container.id for container in pod.known}
    return pod.uid in (line.get("k8s.pod.uid"), line.get("correlation.pod_uid")) or line.get("container.id") in ids


def _named(match: dict[str, Any]) -> str:
    parts = []
    if match.get("pod"):
        parts.append(f"of pod {match['pod'].name}")
    if match.get("container"):
        parts.append(f"of container {match['container'].spec.name} ({match['container'].id[:12]})")
    if match.get("where"):
        parts.append("as wanted")
    return " ".join(parts)


def node_flags(
    node: Node,
    cri_socket: str | Path | None = None,
    profile: str = "default",
    cluster: str = "test-cluster",
    bundles: bool = True,
    logs: bool = True,
) -> list[str]:
    """The flags that point crier at a private node, or away from its bundles and log folders."""
    state = node.state if bundles else node.folder / "no-bundles"
    pods, containers = (node.logs / "pods", node.logs / "containers") if logs else ("", "")
    return [
        "--cri-socket", str(cri_socket or node.socket), "--runtime-state-dir", str(state),
        f"--pod-logs-dir={pods}", f"--container-logs-dir={containers}",
        "--cluster-name", cluster, "--node-name", "test-node", "--profile", profile,
    ]  # fmt: skip
