"""The CRI calls of the tests: what a kubelet says to the runtime, each with a deadline."""
from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import grpc

from harness import proc, stubs

pb, _service = stubs.load()
TIMEOUT_S = 60 * proc.PATIENCE


class Cri:
    """A client of runtime.v1.RuntimeService on a unix socket."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        # Without an authority gRPC sends the escaped socket path, which containerd's server refuses.
        options = [("grpc.default_authority", "localhost")]
        self._channel = grpc.insecure_channel(f"unix://{socket}", options=options)
        self._stub = _service.RuntimeServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def call(self, method: str, **fields: Any) -> Any:
        """One call by its CRI name."""
        return self.send(method, getattr(pb, f"{method}Request")(**fields))

    def send(self, method: str, request: Any, timeout: float = TIMEOUT_S) -> Any:
        """One call with a deadline; a failure names method, socket and the runtime's own words."""
        try:
            return getattr(self._stub, method)(request, timeout=timeout)
        except grpc.RpcError as error:
            raise CriError(method, self.socket, error.code().name, error.details() or "") from None

    def wait_ready(self, seconds: float = 60) -> str:
        """Waits until the CRI plugin answers (later than containerd itself); returns runtime name and version."""
        deadline = time.monotonic() + seconds * proc.PATIENCE
        while True:
            try:
                answer = self.send("Version", pb.VersionRequest(), 5)
                return f"{answer.runtime_name} {answer.runtime_version}"
            except CriError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def status(self, container_id: str) -> Any:
        return self.call("ContainerStatus", container_id=container_id).status

    def container_pid(self, container_id: str) -> int:
        info = self.call("ContainerStatus", container_id=container_id, verbose=True).info
        return int(json.loads(info["info"])["pid"])

    def sandbox_pid(self, sandbox_id: str) -> int:
        info = self.call("PodSandboxStatus", pod_sandbox_id=sandbox_id, verbose=True).info
        return int(json.loads(info["info"])["pid"])


class CriError(RuntimeError):
    """A refused or failed CRI call."""

    def __init__(self, method: str, socket: Path, code: str, details: str) -> None:
        super().__init__(f"CRI {method} on {socket}: {code}: {details}")
        self.code = code
