#!/usr/bin/python3
"""Makes a golden stream: the quickstart's play, recorded on a real node, with what names the machine replaced.

make.py NAME: writes NAME.rec and NAME.ndjson beside this file, as root, with build/dev/crier. Run it when the format of a
recording changes, never to make a failing test pass: `ctest -L golden` compares what `crier replay` says of the old
recording with the old lines.
"""
from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from harness.crier import Crier, binary, node_flags  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.quickstart import play  # noqa: E402

FRAME = struct.Struct("<IIQ")
START = 1


def frames(data: bytes) -> list[tuple[int, int, bytes]]:
    """(type, now_ns, payload) of each frame; src/recording.c tells the format."""
    found, at = [], 16
    while at < len(data):
        length, kind, now_ns = FRAME.unpack_from(data, at)
        found.append((kind, now_ns, data[at + FRAME.size : at + FRAME.size + length]))
        at += FRAME.size + length + 4
    return found


def anonymous(payload: bytes, kind: int, folder: bytes) -> bytes:
    """The temporary folder becomes one of the same length, so that paths inside look-ups keep theirs."""
    payload = payload.replace(folder, (b"/run/" + b"golden-" * 8)[: len(folder)])
    if kind == START:
        start = json.loads(payload)
        start.update(kernel="6.1.0-example", boot="5f0c6a1e", instance="3b1d9c20")
        payload = json.dumps(start, separators=(",", ":")).encode()
    return payload


def rewrite(source: Path, target: Path, folder: bytes) -> None:
    data = source.read_bytes()
    with open(target, "wb") as out:
        out.write(data[:16])
        for kind, now_ns, payload in frames(data):
            payload = anonymous(payload, kind, folder)
            head = FRAME.pack(len(payload), kind, now_ns)
            out.write(head + payload + struct.pack("<I", zlib.crc32(head + payload)))


def strangers(lines: bytes) -> int:
    """Lines about containers that are not of the play: the runtime that is recorded cannot name them."""
    told = [json.loads(line) for line in lines.splitlines()]
    return sum("name" not in line.get("k8s", {}).get("pod", {}) for line in told if "container" in line)


def main() -> int:
    target = HERE / f"{sys.argv[1]}.rec"
    with tempfile.TemporaryDirectory(prefix="crier-golden-") as scratch, Node() as node:
        recording = Path(scratch) / "recording"
        with Crier(Path(scratch), str(recording), *node_flags(node, profile="process"), verb=("record",)) as crier:
            crier.wait_ready()
            for name, seen in play(node):
                crier.wait_for(seen, name, 15)
            crier.stop()
        lines = subprocess.run([binary(), "replay", recording], check=True, capture_output=True).stdout
        if count := strangers(lines):
            print(f"{target}: left as it is: {count} lines of other containers on this machine are among them; record again")
            return 1
        rewrite(recording, target, re.match(rb".*/crier-node-[^/]*", str(node.socket).encode()).group())  # type: ignore[union-attr]
    lines = subprocess.run([binary(), "replay", target], check=True, capture_output=True).stdout
    target.with_suffix(".ndjson").write_bytes(lines)
    print(f"{target}: {target.stat().st_size} bytes, {len(lines.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main())
