#!/usr/bin/python3
"""runtime.py SOCKET COUNT ROOT: a runtime for the benchmarks that knows COUNT containers, two to a pod, and any other that is asked for.

Ids are 56 zeros and the number in hex, so that nothing has to be agreed on. Whether a container runs is what its directory
below ROOT (the hierarchy's mount) says. A process of its own: what it costs is nobody else's.
"""
from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.fake import Fake, asked_id, field, pair  # noqa: E402

# Containers that come and go are counted from here, all in one pod.
CHURN = 0x10000000
IMAGE = "registry.example/shop/cart:1.8.2"
RUNNING, EXITED = 1, 2


def container_id(number: int) -> str:
    return f"{number:064x}"


def pod_of(number: int) -> int:
    return CHURN if number >= CHURN else number // 2


def sandbox_id(pod: int) -> str:
    return f"{'f' * 8}{pod:056x}"


def pod_uid(pod: int) -> str:
    return f"00000000-0000-4000-8000-{pod:012x}"


def pod_cgroup(pod: int) -> str:
    return f"/kubepods/burstable/pod{pod_uid(pod)}"


def cgroup(number: int) -> str:
    return f"{pod_cgroup(pod_of(number))}/{container_id(number)}"


def _pod_metadata(pod: int) -> bytes:
    return field(1, f"cart-7d9f8b6c5-{pod & 0xFFFFF:05x}") + field(2, pod_uid(pod)) + field(3, "shop")


def _pod_labels(number: int, name: bytes) -> bytes:
    return name + pair(number, "app", "cart") + pair(number, "app.kubernetes.io/version", "1.8.2") + pair(number, "team", "checkout")


def _container_labels(number: int, of: int) -> bytes:
    pod = pod_of(of)
    return (
        pair(number, "io.kubernetes.container.name", "app")
        + pair(number, "io.kubernetes.pod.name", f"cart-7d9f8b6c5-{pod & 0xFFFFF:05x}")
        + pair(number, "io.kubernetes.pod.namespace", "shop")
        + pair(number, "io.kubernetes.pod.uid", pod_uid(pod))
    )


class Runtime:
    """Answers by number; what was made when is not its affair."""

    def __init__(self, count: int, root: Path) -> None:
        self.count, self.root = count, root
        self.began = time.time_ns()
        self.pods = b"".join(field(1, self.listed_pod(pod)) for pod in range((count + 1) // 2))
        self.containers = b"".join(field(1, self.listed_container(number)) for number in range(count))

    def listed_pod(self, pod: int) -> bytes:
        head = field(1, sandbox_id(pod)) + field(2, _pod_metadata(pod)) + field(3, 0) + field(4, self.began)
        return head + _pod_labels(5, b"")

    def listed_container(self, number: int) -> bytes:
        head = field(1, container_id(number)) + field(2, sandbox_id(pod_of(number))) + field(3, field(1, "app"))
        return head + field(4, field(1, IMAGE)) + field(6, RUNNING) + field(7, self.began) + _container_labels(8, number)

    def sandbox_status(self, request: bytes) -> bytes:
        pod = int(asked_id(request)[8:], 16)
        body = field(1, sandbox_id(pod)) + field(2, _pod_metadata(pod)) + field(3, 0) + field(4, self.began)
        return field(1, body + field(5, field(1, "10.88.0.2")) + _pod_labels(7, b""))

    def container_status(self, request: bytes) -> bytes:
        number = int(asked_id(request), 16)
        lives = (self.root / cgroup(number).lstrip("/")).is_dir()
        body = field(1, container_id(number)) + field(2, field(1, "app")) + field(3, RUNNING if lives else EXITED)
        body += field(4, self.began) + field(5, self.began) + (b"" if lives else field(6, time.time_ns()))
        body += field(8, field(1, IMAGE)) + (b"" if lives else field(10, "Completed")) + _container_labels(12, number)
        return field(1, body) + pair(2, "info", f'{{"pid":0,"sandboxID":"{sandbox_id(pod_of(number))}"}}')


def main() -> None:
    path, count, root = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    runtime = Runtime(count, root)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with Fake(
        path,
        ListPodSandbox=lambda _request, _context: runtime.pods,
        ListContainers=lambda _request, _context: runtime.containers,
        PodSandboxStatus=lambda request, _: runtime.sandbox_status(request),
        ContainerStatus=lambda request, _: runtime.container_status(request),
    ):
        print("ready", flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
