"""cri_driver as an object: the CRI client of crier, its mailbox messages, its commands."""
from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

BUILD = Path(os.environ.get("CRIER_BUILD", Path(__file__).resolve().parents[2] / "build" / "dev"))
PROGRAM = Path(os.environ.get("CRI_DRIVER", BUILD / "tests" / "integration" / "cri_driver"))
# A sanitizer's program takes its time, and its memory is not what is measured.
SANITIZED = PROGRAM.exists() and any(word in PROGRAM.read_bytes() for word in (b"__asan_init", b"__tsan_init"))
os.environ.setdefault("TSAN_OPTIONS", f"suppressions={Path(__file__).resolve().parent / 'tsan.supp'}")

# A fifth of a second is the promise on a node that has a CPU to give; what is judged here is that no call's deadline (1.5 s
# and more in these tests) is waited for.
FREE_MAX_MS = 2000 if SANITIZED else 1000

Message = dict[str, Any]


def once(*arguments: str) -> Message:
    """A one-shot verb (probe, discover): its JSON."""
    result = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=30, check=False)
    answer: Message = json.loads(result.stdout)
    assert (result.returncode != 0) == ("error" in answer), f"exit {result.returncode}: {result.stdout}"
    return answer


class Driver:
    """`cri_driver watch`: with Driver(socket, timeout_ms=500) as driver."""

    def __init__(self, socket: Path | str, environment: dict[str, str] | None = None, **options: int) -> None:
        command = [str(PROGRAM), "watch", str(socket), *(f"{name}={value}" for name, value in options.items())]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **(environment or {})},
        )
        self.messages: list[Message] = []
        self.raw: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self.raw.append(line)
                self.messages.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def pid(self) -> int:
        return self._process.pid

    def say(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def wait(self, what: str, matches: Callable[[Message], bool], after: int = 0, seconds: float = 15) -> Message:
        """The first message from position `after` on that matches."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                for message in self.messages[after:]:
                    if matches(message):
                        return message
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    last = "".join(self.raw[-5:])
                    raise AssertionError(f"no {what} within {seconds} s; the last messages were:\n{last}")
                self._news.wait(min(left, 0.5))

    def wait_type(self, name: str, after: int = 0, seconds: float = 15) -> Message:
        return self.wait(name, lambda message: message["type"] == name, after, seconds)

    def count(self, name: str, after: int = 0) -> int:
        with self._news:
            return sum(message["type"] == name for message in self.messages[after:])

    def position(self) -> int:
        with self._news:
            return len(self.messages)

    def ask(self, word: str, identity: str, seconds: float = 15) -> Message:
        """One question, and its one answer."""
        after = self.position()
        self.say(f"{word} {identity}")
        assert self.wait_type("asked", after)["result"] == 0
        return self.wait(f"answer about {identity}", lambda message: answers(message, identity), after, seconds)

    def free(self, seconds: float = 15) -> float:
        """crier_cri_free(); how many milliseconds it took."""
        after = self.position()
        self.say("free")
        took: float = self.wait_type("freed", after, seconds)["ms"]
        status = self._process.wait(seconds)
        assert status == 0, f"cri_driver ended with {status}"
        return took

    def free_in_time(self, when: str) -> None:
        took = self.free()
        assert took < FREE_MAX_MS, f"{when}: crier_cri_free() took {took:.0f} ms"

    def stats(self) -> Message:
        after = self.position()
        self.say("stats")
        return self.wait_type("stats", after)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(5)

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def answers(message: Message, identity: str) -> bool:
    """Is it the single answer about an id?"""
    if message.get("generation") != 0:
        return False
    if message["type"] == "missing":
        return bool(message["id"] == identity)
    if message["type"] == "container":
        return bool(message["container"]["id"] == identity)
    return bool(message["type"] == "pod" and message["pod"]["sandbox_id"] == identity)
