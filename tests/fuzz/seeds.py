#!/usr/bin/python3
"""Makes the seeds that are cut from other files of the tree: the golden stream, the captured CRI answers, the options.

seeds.py CRIER: writes into corpus/, with the built crier for its default configuration. The other seeds are written by
hand or were findings, and stay. Run it when the wire, the blob or the recording changes.
"""
from __future__ import annotations

import json
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
CORPUS = HERE / "corpus"
FRAME = struct.Struct("<IIQ")
RECORD, MAIL, SEED, READY, LOOKUP = 2, 3, 6, 7, 16
POD, EVENT, POD_MEMBER, LABELS_MEMBER = 3, 8, 6, 12  # a blob's type and members: src/meta.c
MEND = 0x80
SMALL = 4000
# enum crier_cri_method
METHODS = {"version": 0, "status": 1, "list_pods": 2, "list_containers": 3, "container_status": 4,
           "container_status_oom": 4, "pod_status": 5, "event_created": 6, "event_stopped": 6, "event_deleted": 6,
           "event_sandbox": 6}  # fmt: skip

Frame = tuple[int, int, bytes]


def frames(path: Path) -> list[Frame]:
    """(type, now_ns, payload); src/recording.c tells the format."""
    data, found, at = path.read_bytes(), [], 16
    while at < len(data):
        length, kind, now_ns = FRAME.unpack_from(data, at)
        found.append((kind, now_ns, data[at + FRAME.size : at + FRAME.size + length]))
        at += FRAME.size + length + 4
    return found


def put(target: str, name: str, data: bytes) -> None:
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def packed(kind: int, ticks: int, payload: bytes) -> bytes:
    return struct.pack("<BBH", kind, ticks, len(payload)) + payload


def as_file(payload: bytes) -> bytes:
    """A recorded answer to a look-up as "name\\nbytes", the name being the path's last component."""
    _, result, path_len, bytes_len = struct.unpack_from("<IiII", payload)
    path = payload[16 : 16 + path_len]
    return b"" if result else path.rsplit(b"/", 1)[-1] + b"\n" + payload[16 + path_len :][:bytes_len]


def pipeline_seeds(stream: list[Frame]) -> None:
    """Per seed as many frames as are small together; look-ups become files of the node."""
    seeds: list[bytes] = [b""]
    last = stream[0][1]
    processes = 0
    for kind, now_ns, payload in stream[1:]:
        processes += kind == SEED
        if len(payload) > 2000 or (kind == SEED and processes > 3):
            continue
        payload = as_file(payload) if kind == LOOKUP else payload
        frame = packed(kind | (MEND if kind == RECORD else 0), max(0, min((now_ns - last) // 1_000_000, 127)), payload)
        last = now_ns
        if len(seeds[-1]) + len(frame) > SMALL:
            seeds.append(b"")
        seeds[-1] += frame
    for number, seed in enumerate(seeds[:2]):
        put("pipeline", f"stream{number}", bytes([2 + 0x10 * number & 0x7F, number]) + seed)


def story_seeds() -> None:
    """Of story.h: an OOM kill, a restart, a stop that was ignored until SIGKILL, and a list that names nobody."""
    mkdir, populated, rmdir, execed, exited, signal, oom, _, hint, container, pod, missing, lists, runtime, found = range(17, 32)
    told = b"\x03\xff\x07\x01"  # running, all that a runtime says, its pod along
    up = packed(runtime, 0, b"\x00\x00\x01")
    ready = packed(READY, 0, b"{}")

    def life(which: int) -> bytes:
        c = bytes([which])
        return (
            packed(mkdir, 1, c)
            + packed(container, 1, c + told)
            + packed(populated, 1, c + b"\x00\x01")
            + packed(execed, 1, c + b"\x00\x01")
            + packed(hint, 100, c)
        )

    def gone(which: int) -> bytes:
        c = bytes([which])
        return (
            packed(populated, 1, c)
            + packed(container, 20, c + b"\x03\xff\x07\x01")
            + packed(rmdir, 1, c)
            + packed(missing, 1, c + b"\x00\x01")
        )

    killed = packed(oom, 1, b"\x00\x01\x00\x03\x01") + packed(exited, 1, b"\x00\x00\x09\x00\x02")
    stopped = packed(signal, 1, b"\x01\x00\x0f\x06\x08") + packed(signal, 127, b"\x01\x00\x09\x07\x08")
    swept = packed(lists, 1, b"\x00\x20\x01") + packed(pod, 1, b"\x00\x20\x00\x07\x02") + packed(lists, 1, b"\x00\x20\x00")
    ended = packed(exited, 1, b"\x01\x00\x09")
    put("pipeline", "killed", b"\x04\x00" + up + ready + life(0) + killed + gone(0) + life(1) + swept)
    put("pipeline", "stopped", b"\x01\x01" + ready + up + life(1) + stopped + ended + gone(1) + life(2) + gone(2))
    # there before crier looked; and one that only the runtime names, ended already
    put("pipeline", "found", b"\x01\x02" + up + packed(found, 0, b"\x03\x00\x01\x00\x04") + packed(container, 1, b"\x03" + told) + ready)
    after = packed(container, 1, b"\x04\x23\xff\x07\x01") + packed(container, 1, b"\x04\x03\xff\x07\x01")
    put("pipeline", "after", b"\x01\x00" + ready + up + after)
    many = b"".join(life(which) for which in range(8)) + b"".join(gone(which) for which in range(8))
    put("pipeline", "many", b"\x44\x00" + up + many + ready + swept + many)
    # the event stream beside all that: before the directory is there, before the kernel's exit, after it, and twice
    def happen(which: int, event: int, state: int = 1, sandbox: int = 0) -> bytes:
        return packed(container, 1, bytes([which, 4 | sandbox | state, 0xFB, 7, event << 4 | 1]))

    created, started, stopped_, deleted = 1, 2, 3, 4
    early = happen(2, created) + life(2) + happen(2, started, 2) + happen(2, stopped_, 3) + packed(exited, 1, b"\x02\x00\x09") + gone(2)
    late = life(3) + packed(exited, 1, b"\x03\x00\x09") + happen(3, stopped_, 3) + happen(3, deleted) + happen(3, deleted)
    forced = life(4) + happen(4, deleted) + packed(exited, 1, b"\x04\x00\x09") + swept
    never = happen(5, created) + happen(5, deleted) + happen(1, deleted, 1, 8)
    put("pipeline", "events", b"\x01\x00" + ready + packed(runtime, 0, b"\x00\x00\x01\x01") + early + late + forced + never)
    put("pipeline", "v1", b"\x34\x40" + ready + life(0) + killed + gone(0))


def recording_seeds(stream: list[Frame], source: Path) -> None:
    out, last = b"w", stream[0][1]
    for kind, now_ns, payload in stream:
        frame = packed(kind, max(0, min((now_ns - last) // 100_000_000, 255)), payload)
        if len(out) + len(frame) > 3 * SMALL:
            break
        out += frame
        last = now_ns
    put("recording", "frames", out)
    raw = source.read_bytes()
    length = FRAME.unpack_from(raw, 16)[0]
    put("recording", "start", b"r" + raw[: 16 + FRAME.size + length + 4])


def varint(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)


def field(number: int, inside: bytes) -> bytes:
    return varint(number << 1 | 1) + varint(len(inside)) + inside


def blob(kind: int, inside: bytes) -> bytes:
    return b"cm\x01" + bytes([kind]) + inside


def meta_seeds(stream: list[Frame]) -> None:
    by_type: dict[int, bytes] = defaultdict(bytes)
    for kind, _, payload in stream:
        if kind == MAIL and len(payload) > len(by_type[payload[3]]):
            by_type[payload[3]] = payload
    for kind, payload in by_type.items():
        put("meta", f"type{kind}", payload)
    put("meta", "event", blob(EVENT, field(3, b"a") + field(POD_MEMBER, field(1, b"s")) + field(7, field(1, b"a")) + b"\x12\x03\x14\x05"))
    # a pod with as many labels as are kept, and with one more; short enough for one byte each
    for name, count in (("labels", 64), ("labels_over", 65)):
        pairs = b"".join(b"\x03\x03\x01" + bytes([65 + number // 26, 97 + number % 26]) for number in range(count))
        put("meta", name, blob(POD, field(POD_MEMBER, field(LABELS_MEMBER, pairs))))


def main() -> int:
    source = TESTS / "golden/streams/deaths.rec"
    stream = frames(source)
    pipeline_seeds(stream)
    story_seeds()
    recording_seeds(stream, source)
    meta_seeds(stream)
    for name, method in METHODS.items():
        put("cri", name, bytes([method]) + (TESTS / f"unit/data/cri/{name}.bin").read_bytes())
    effective = subprocess.run([sys.argv[1], "config", "--effective"], check=True, capture_output=True).stdout
    kept = {key: value for key, value in json.loads(effective).items() if key != "node-name"}
    put("config", "effective.json", json.dumps(kept).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
