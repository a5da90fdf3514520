"""CRI sockets that misbehave: a proxy that can be stalled, and servers that say nothing or nonsense."""
from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import TypeVar


S = TypeVar("S", bound="_Server")


class _Server:
    """Accepts on a unix socket, each connection on its own thread; close() ends all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.accepted = 0
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.append(connection)
            threading.Thread(target=self._serve_quietly, args=(connection,), daemon=True).start()

    def _serve_quietly(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.serve(connection)

    def serve(self, connection: socket.socket) -> None:
        raise NotImplementedError

    def close(self) -> None:
        for each in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Hung(_Server):
    """Takes every connection and every byte, answers nothing."""

    def serve(self, connection: socket.socket) -> None:
        while connection.recv(4096):
            pass


class Garbage(_Server):
    """Answers with bytes that are no HTTP/2, without end until the peer goes."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(4096)
        for _ in range(256):
            connection.sendall(b"\xff\x00\r\n{]nonsense" * 256)


class Proxy(_Server):
    """Passes every byte to the real socket, until stall(); resume() lets the withheld ones through."""

    def __init__(self, path: Path, target: Path) -> None:
        self._target = target
        self._flow = threading.Event()
        self._flow.set()
        super().__init__(path)

    def stall(self) -> None:
        self._flow.clear()

    def resume(self) -> None:
        self._flow.set()

    def serve(self, connection: socket.socket) -> None:
        real = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        real.connect(str(self._target))
        self._open.append(real)
        threading.Thread(target=self._pump, args=(real, connection), daemon=True).start()
        self._pump(connection, real)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flow.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
