"""A scripted runtime: gRPC by the book, answers by the test, bytes written by hand so that they can be wrong.

    with Fake(path) as fake: …                        # answers for every id
    Fake(path, ContainerStatus=late(5, answer))       # a fault of one method; see Faults below
    Fake(path, **relay(node.socket))                  # everything as a real runtime says; then fake.methods[…] = a fault
    with Fake(path, events=True) as fake: fake.send(event("created", "c1"))
"""
from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from types import TracebackType
from typing import Any, Callable

import grpc

SERVICE = "runtime.v1.RuntimeService"
EVENTS = "GetContainerEvents"
Answer = Callable[[bytes, Any], bytes]
KINDS = {"created": 0, "started": 1, "stopped": 2, "deleted": 3}
MIB = 1 << 20


# Messages


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


def fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message, as far as a runtime uses kinds: numbers and bytes."""
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 0:
            yield tag >> 3, value
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            yield tag >> 3, message[at : at + value]
            at += value


def asked_id(request: bytes) -> str:
    """The id in a ContainerStatusRequest or PodSandboxStatusRequest."""
    assert request[0] == 0x0A
    return request[2 : 2 + request[1]].decode()


def version(name: str = "fake", number: str = "1.0") -> bytes:
    return field(1, "0.1.0") + field(2, name) + field(3, number) + field(4, "v1")


def status(ready: bool = True) -> bytes:
    return field(1, field(1, field(1, "RuntimeReady") + field(2, int(ready))))


def sandbox_status(identity: str, ready: bool = True, ip: str = "10.88.0.2") -> bytes:
    """A PodSandboxStatus."""
    metadata = field(1, f"pod-{identity}") + field(2, f"uid-{identity}") + field(3, "shop")
    body = field(1, identity) + field(2, metadata) + field(3, int(not ready)) + field(4, 1)
    return body + (field(5, field(1, ip)) if ip else b"")


def sandbox(identity: str, ready: bool = True, ip: str = "10.88.0.2") -> bytes:
    """A PodSandboxStatusResponse."""
    return field(1, sandbox_status(identity, ready, ip))


def container_status(identity: str, state: int = 1, code: int = 0, reason: str = "") -> bytes:
    """A ContainerStatus: 0 created, 1 running, 2 exited."""
    body = field(1, identity) + field(2, field(1, "app")) + field(3, state) + field(4, 1)
    if state == 2:
        body += field(5, 1) + field(6, time.time_ns()) + field(7, code)
    return body + (field(10, reason) if reason else b"")


def container(identity: str, sandbox_id: str = "") -> bytes:
    """A ContainerStatusResponse."""
    return field(1, container_status(identity)) + pair(2, "info", '{"pid":42,"sandboxID":"%s"}' % sandbox_id)


def listed_pod(identity: str, ready: bool = True) -> bytes:
    return field(1, field(1, identity) + field(3, int(not ready)) + pair(5, "app", "cart"))


def listed_container(identity: str, labels: int = 2) -> bytes:
    extra = b"".join(pair(8, f"label-{number}", "x" * 40) for number in range(labels))
    return field(1, field(1, identity) + field(2, f"s-{identity}") + field(6, 1) + extra)


def listed_in_full(identity: str, number: int = 0) -> bytes:
    """An item as kubelet's containers have it: names, labels, annotations; some 900 bytes."""
    pod = f"made-up-{number}"
    labels = {
        "io.kubernetes.container.name": "app",
        "io.kubernetes.pod.name": pod,
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": f"{number:08x}-1111-2222-3333-444444444444",
    }
    extra = b"".join(pair(8, key, value) for key, value in labels.items())
    extra += b"".join(pair(9, f"io.kubernetes.container.note{note}", "x" * 60) for note in range(4))
    image = field(1, "registry.example/shop/made-up:1.0")
    return field(1, field(1, identity) + field(2, f"{number:064x}") + field(3, field(1, "app")) + field(4, image)
                 + field(6, 1) + field(7, 1_700_000_000_000_000_000) + extra)  # fmt: skip


def event(kind: str, identity: str, pod: bytes = b"", statuses: bytes = b"", at_ns: int | None = None) -> bytes:
    """A ContainerEventResponse; `pod` a PodSandboxStatus, `statuses` the result of statuses()."""
    made = field(1, identity) + field(2, KINDS[kind]) + field(3, time.time_ns() if at_ns is None else at_ns)
    return made + (field(4, pod) if pod else b"") + statuses


def statuses(*each: bytes) -> bytes:
    """ContainerStatus messages of an event."""
    return b"".join(field(5, one) for one in each)


# Faults: each makes an Answer


def late(seconds: float, answer: Answer | bytes) -> Answer:
    def wait(request: bytes, context: Any) -> bytes:
        time.sleep(seconds)
        return said(answer, request, context)

    return wait


def hang(until: threading.Event) -> Answer:
    """No answer before the event is set, and then none that anyone waits for."""

    def wait(_: bytes, context: Any) -> bytes:
        until.wait(60)
        context.abort(grpc.StatusCode.ABORTED, "the test is over")
        return b""

    return wait


def refuse(code: grpc.StatusCode, words: str = "scripted") -> Answer:
    def abort(_: bytes, context: Any) -> bytes:
        context.abort(code, words)
        return b""

    return abort


def cut(answer: Answer | bytes, keep: float = 0.5) -> Answer:
    """A part of the right answer: what a runtime writes that dies while it writes."""

    def shorten(request: bytes, context: Any) -> bytes:
        whole = said(answer, request, context)
        return whole[: int(len(whole) * keep)]

    return shorten


def garbage(size: int = 4096) -> bytes:
    return bytes((number * 7 + 3) % 256 | 0x80 for number in range(size))


def oversized(size: int) -> bytes:
    """A well-formed message of one field that no reader knows."""
    return field(1000, b"x" * size)


def at_first(times: int, fault: Answer | bytes, answer: Answer | bytes) -> Answer:
    """The fault for the first calls of each id (or of all, where there is none), then the answer."""
    seen: dict[bytes, int] = {}
    lock = threading.Lock()

    def choose(request: bytes, context: Any) -> bytes:
        with lock:
            seen[request] = seen.get(request, 0) + 1
            now = seen[request]
        return said(fault if now <= times else answer, request, context)

    return choose


def without(answer: Answer | bytes, *identities: str) -> Answer:
    """A list in which items with these ids are missing."""
    hidden = [each.encode() for each in identities]

    def leave_out(request: bytes, context: Any) -> bytes:
        kept = b""
        for number, item in fields(said(answer, request, context)):
            assert isinstance(item, bytes)
            if not any(each in item for each in hidden):
                kept += field(number, item)
        return kept

    return leave_out


def with_more(answer: Answer | bytes, items: bytes) -> Answer:
    """A list with items behind its own."""
    return lambda request, context: said(answer, request, context) + items


def said(answer: Answer | bytes, request: bytes, context: Any) -> bytes:
    return answer if isinstance(answer, bytes) else answer(request, context)


def relay(socket: Path) -> dict[str, Answer]:
    """Every reading call handed on to a real runtime, byte by byte, and its answer or refusal back."""
    options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", -1)]
    channel = grpc.insecure_channel(f"unix://{socket}", options=options)

    def through(method: str) -> Answer:
        call = channel.unary_unary(f"/{SERVICE}/{method}")

        def hand_on(request: bytes, context: Any) -> bytes:
            try:
                answer: bytes = call(request, timeout=30)
                return answer
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
                return b""

        return hand_on

    names = ("Version", "Status", "ListPodSandbox", "ListContainers", "ContainerStatus", "PodSandboxStatus")
    return {name: through(name) for name in names}


# The server


class Fake:
    """Serves every method of the service; a method without an answer is refused as an old runtime would."""

    def __init__(self, path: Path, service: str = SERVICE, events: bool = False, **methods: Answer | bytes) -> None:
        self.path = path
        self.calls: list[str] = []
        self.deadlines: list[tuple[str, float | None]] = []  # seconds left when the call came; None = none was set
        self.methods: dict[str, Answer | bytes] = {
            "Version": version(),
            "Status": status(),
            "ListPodSandbox": b"",
            "ListContainers": b"",
            "ContainerStatus": lambda request, _: container(asked_id(request)),
            "PodSandboxStatus": lambda request, _: sandbox(asked_id(request)),
            **methods,
        }
        self.events = events
        self._subscribers: list[queue.SimpleQueue[bytes | grpc.StatusCode | None]] = []
        self._lock = threading.Lock()
        self._now = 0
        self.most_at_once = 0
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._server = grpc.server(futures.ThreadPoolExecutor(64), options=options)
        self._server.add_generic_rpc_handlers((_Handler(self, service),))
        self._server.add_insecure_port(f"unix:{path}")
        self._server.start()

    def serve(self, method: str, request: bytes, context: Any) -> bytes:
        answer = self.methods.get(method)
        with self._lock:
            self.deadlines.append((method, context.time_remaining()))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            if answer is None:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, f"unknown method {method}")
            return said(answer, request, context)  # type: ignore[arg-type]
        finally:
            with self._lock:
                self._now -= 1

    def arrived(self, method: str) -> queue.SimpleQueue[bytes | grpc.StatusCode | None]:
        """A call, in the order in which they come; a stream is subscribed from here on."""
        mine: queue.SimpleQueue[bytes | grpc.StatusCode | None] = queue.SimpleQueue()
        with self._lock:
            self.calls.append(method)
            if method == EVENTS and self.events:
                self._subscribers.append(mine)
        return mine

    # Events: every subscriber gets each of them, as containerd 2.x and CRI-O do it

    def stream(self, mine: queue.SimpleQueue[bytes | grpc.StatusCode | None], context: Any) -> Iterator[bytes]:
        with self._lock:
            self.deadlines.append((EVENTS, context.time_remaining()))
        if not context.add_callback(lambda: self._forget(mine)):
            self._forget(mine)
        while True:
            what = mine.get()
            if what is None:
                return
            if isinstance(what, grpc.StatusCode):
                context.abort(what, "scripted")
            assert isinstance(what, bytes)
            yield what

    def _forget(self, mine: queue.SimpleQueue[bytes | grpc.StatusCode | None]) -> None:
        with self._lock:
            if mine in self._subscribers:
                self._subscribers.remove(mine)
        mine.put(None)

    def _put(self, what: bytes | grpc.StatusCode | None) -> None:
        with self._lock:
            for each in self._subscribers:
                each.put(what)

    def send(self, *messages: bytes) -> None:
        """To all who are subscribed now."""
        for message in messages:
            self._put(message)

    def break_streams(self, code: grpc.StatusCode | None = None) -> None:
        """Ends every stream with a status; None: with OK."""
        self._put(code)

    def wait_taken(self, seconds: float = 20) -> None:
        """Until no event waits for a subscriber: it was read, or the subscriber left. containerd 2.x stands still till then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._lock:
                if all(each.empty() for each in self._subscribers):
                    return
            time.sleep(0.01)
        raise AssertionError(f"an event waits for a subscriber that does not read, after {seconds:g} s")

    def subscribers(self) -> int:
        with self._lock:
            return len(self._subscribers)

    def wait_subscribed(self, count: int = 1, seconds: float = 20) -> None:
        """Until at least so many GetContainerEvents came, and one of them is open."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.count(EVENTS) >= count and self.subscribers():
                return
            time.sleep(0.01)
        raise AssertionError(f"{self.count(EVENTS)} of {count} subscriptions after {seconds:g} s")

    def wait_lives(self, count: int, seconds: float = 20) -> list[float | None]:
        """What the first so many GetContainerEvents may last, or more: told a moment after they count as subscribed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with self._lock:
                lives = [left for method, left in self.deadlines if method == EVENTS]
            if len(lives) >= count:
                return lives
            time.sleep(0.01)
        raise AssertionError(f"{len(lives)} of {count} streams began after {seconds:g} s")

    def count(self, method: str) -> int:
        with self._lock:
            return self.calls.count(method)

    def close(self) -> None:
        self._put(None)
        self._server.stop(0).wait()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

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
        mine = self._fake.arrived(method)
        if method == EVENTS and self._fake.events:
            return grpc.unary_stream_rpc_method_handler(lambda _, context: self._fake.stream(mine, context))
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._fake.serve(method, request, context))
