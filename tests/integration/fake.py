"""A scripted runtime: gRPC by the book, answers by the test, bytes written by hand so that they can be wrong."""
from __future__ import annotations

import threading
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

import grpc

SERVICE = "runtime.v1.RuntimeService"
Answer = Callable[[bytes, Any], bytes]


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: bytes | str | int) -> bytes:
    """One protobuf field: a number, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def pair(number: int, key: str, value: str) -> bytes:
    return field(number, field(1, key) + field(2, value))


def asked_id(request: bytes) -> str:
    """The id in a ContainerStatusRequest or PodSandboxStatusRequest."""
    assert request[0] == 0x0A
    return request[2 : 2 + request[1]].decode()


def version(name: str = "fake", number: str = "1.0") -> bytes:
    return field(1, "0.1.0") + field(2, name) + field(3, number) + field(4, "v1")


def status(ready: bool = True) -> bytes:
    return field(1, field(1, field(1, "RuntimeReady") + field(2, int(ready))))


def sandbox(identity: str, ready: bool = True, ip: str = "10.88.0.2") -> bytes:
    """A PodSandboxStatusResponse."""
    metadata = field(1, f"pod-{identity}") + field(2, f"uid-{identity}") + field(3, "shop")
    body = field(1, identity) + field(2, metadata) + field(3, int(not ready)) + field(4, 1)
    return field(1, body + (field(5, field(1, ip)) if ip else b""))


def container(identity: str, sandbox_id: str = "") -> bytes:
    """A ContainerStatusResponse."""
    body = field(1, identity) + field(2, field(1, "app")) + field(3, 1) + field(4, 1)
    return field(1, body) + pair(2, "info", '{"pid":42,"sandboxID":"%s"}' % sandbox_id)


def listed_pod(identity: str, ready: bool = True) -> bytes:
    return field(1, field(1, identity) + field(3, int(not ready)) + pair(5, "app", "cart"))


def listed_container(identity: str, labels: int = 2) -> bytes:
    extra = b"".join(pair(8, f"label-{number}", "x" * 40) for number in range(labels))
    return field(1, field(1, identity) + field(2, f"s-{identity}") + field(6, 1) + extra)


class Fake:
    """Serves every method of the service; a method without an answer is refused as an old runtime would."""

    def __init__(self, path: Path, service: str = SERVICE, **methods: Answer | bytes) -> None:
        self.path = path
        self.calls: list[str] = []
        self.methods: dict[str, Answer | bytes] = {
            "Version": version(),
            "Status": status(),
            "ListPodSandbox": b"",
            "ListContainers": b"",
            "ContainerStatus": lambda request, _: container(asked_id(request)),
            "PodSandboxStatus": lambda request, _: sandbox(asked_id(request)),
            **methods,
        }
        self._lock = threading.Lock()
        self._now = 0
        self.most_at_once = 0
        self._server = grpc.server(futures.ThreadPoolExecutor(64))
        self._server.add_generic_rpc_handlers((_Handler(self, service),))
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()

    def serve(self, method: str, request: bytes, context: Any) -> bytes:
        answer = self.methods.get(method)
        with self._lock:
            self.calls.append(method)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            if answer is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method}")
            return answer if isinstance(answer, bytes) else answer(request, context)  # type: ignore[misc]
        finally:
            with self._lock:
                self._now -= 1

    def count(self, method: str) -> int:
        with self._lock:
            return self.calls.count(method)

    def close(self) -> None:
        self._server.stop(0).wait()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Fake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, fake: Fake, service: str) -> None:
        self._fake, self._service = fake, service

    def service(self, details: Any) -> Any:
        service, method = details.method.lstrip("/").split("/")
        if service != self._service:
            return None  # "Method not found!", UNIMPLEMENTED
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._fake.serve(method, request, context))
