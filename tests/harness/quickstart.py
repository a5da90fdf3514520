#!/usr/bin/python3
"""The main job on one machine: a private containerd, real pods, real deaths, and crier's lines about them.

Called by deploy/quickstart.sh: quickstart.py [--json FILE]; $CRIER is the program. Exit 0 only if every expected
event was seen.
"""
from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import cleanup  # noqa: E402
from harness.crier import Crier, Timeout, binary, node_flags  # noqa: E402
from harness.lines import Line  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.pod import MIB, Container, Pod  # noqa: E402

Expected = tuple[str, Callable[[Crier], object]]


def say(text: str) -> None:
    print(f"quickstart: {text}", file=sys.stderr, flush=True)


def _tells(kind: str, container: Container, **wanted: object) -> Callable[[Crier], object]:
    """A line of the type, of this container in its pod, whose fields (dots as __) have these values."""

    def fits(line: Line) -> bool:
        named = line.get("k8s.pod.name") == container.pod.name and line.get("k8s.container.name") == container.spec.name
        return named and all(line.get(path.replace("__", ".")) == value for path, value in wanted.items())

    return lambda crier: crier.events(kind, container=container, where=fits)


def _pod(node: Node, app: str, name: str) -> Pod:
    return node.pod(name, labels={"app": app, "pod-template-hash": name.split("-")[-2]})


def play(node: Node) -> list[Expected]:
    """Makes the pods and lets them die; returns what crier must have told."""
    say("pods: one is OOM-killed and started again, one exits with 3, one crashes, one ignores SIGTERM, one runs on")
    front = _pod(node, "front", "front-6b7c9d5f4-qk7zp").start("web", "run")
    cart = _pod(node, "cart", "cart-7d9f8b6c5-x2x4k")
    killed = cart.start("app", "hog", "1", memory=64 * MIB)
    batch = _pod(node, "batch", "batch-5f6d8c7b9-m4hwt").start("job", "exit", "3", "0.5")
    search = _pod(node, "search", "search-84c6b5d7f-r9vnc").start("index", "segv", "0.5")
    stubborn = _pod(node, "web", "web-59c8d7b6f-9k2lm").start("nginx", "ignoreterm", grace_s=2)
    stubborn.stop()
    killed.wait_exit()
    batch.wait_exit()
    search.wait_exit()
    again = cart.restart(killed, "run")

    def alive(crier: Crier) -> bool:
        return not any(crier.events("container.exited", container=each) for each in (front, again))

    oom = {"data__cause": "oom", "data__exit_code": 137}
    return [
        ("container.oom of shop/cart-7d9f8b6c5-x2x4k app", _tells("container.oom", killed)),
        ("its process.exit with signal 9", _tells("process.exit", killed, data__signal=9, data__oom_killed=True)),
        ("its container.exited with cause oom", _tells("container.exited", killed, **oom)),
        ("container.started after the OOM", _tells("container.started", again, data__previous__cause="oom")),
        ("container.exited with exit code 3", _tells("container.exited", batch, data__cause="exit", data__exit_code=3)),
        ("container.exited by signal 11", _tells("container.exited", search, data__cause="signal", data__signal=11)),
        (
            "container.exited of the one that ignored SIGTERM, escalated to SIGKILL",
            _tells("container.exited", stubborn, data__stop__signal=15, data__stop__escalated_to=9),
        ),
        ("container.started of the one that runs on", _tells("container.started", front)),
        ("no container.exited of the two that run on", alive),
    ]


def watch(node: Node, folder: Path) -> tuple[list[Line], list[str]]:
    """Runs crier over the play; returns its lines and what is missing."""
    missing = []
    say("crier: attaching its eBPF programs and asking the runtime for its pods")
    recording = folder / "recording"
    with Crier(folder, str(recording), *node_flags(node, cluster="quickstart"), verb=("record",)) as crier:
        crier.wait_ready()
        expected = play(node)
        say("waiting for the events")
        deadline = time.monotonic() + 15
        for name, seen in expected:
            try:
                crier.wait_for(seen, name, max(0.0, deadline - time.monotonic()))
            except Timeout:
                missing.append(name)
        code = crier.stop()
        if code != 0:
            missing.append(f"crier ended with {code} after SIGTERM: {crier.diagnostics()}")
        crier.check()
        # What was recorded, told once more for people: the same pipeline over the same inputs.
        told = subprocess.run(
            [binary(), "replay", "--output", "text", recording], capture_output=True, text=True, check=False, timeout=60
        )
        if told.returncode != 0:
            missing.append(f"the story: crier replay ended with {told.returncode}: {told.stderr}")
        print("\n".join(["", "The story, as text:", "", told.stdout, "The lines:", ""]))
        print("\n".join(str(line) for line in crier.lines), flush=True)
        return crier.lines, missing


def main() -> int:
    parser = argparse.ArgumentParser(prog="deploy/quickstart.sh")
    parser.add_argument("--json", metavar="FILE", type=Path, help="store all lines in FILE")
    arguments = parser.parse_args()
    cleanup.exit_on_signals()
    try:
        if arguments.json:
            arguments.json.touch()  # a file that cannot be written is told now and not after the play
        with tempfile.TemporaryDirectory(prefix="crier-quickstart-") as folder:
            say("containerd: starting a private one and importing the test image")
            with Node() as node:
                say(f"containerd: {node.runtime} answers on {node.socket}")
                lines, missing = watch(node, Path(folder))
                say("cleaning up: containers, pods, containerd, cgroups")
        if arguments.json:
            arguments.json.write_bytes(b"".join(line.raw + b"\n" for line in lines))
            say(f"{len(lines)} lines are in {arguments.json}")
    except (OSError, RuntimeError, AssertionError) as error:
        say(f"failed: {error}")
        return 1
    for each in missing:
        say(f"missing: {each}")
    if not missing:
        say(f"all expected events were seen, in {len(lines)} lines")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
