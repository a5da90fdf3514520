"""What holds for every line that crier writes, whatever it tells."""
from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_LINE = 16_000
MAX_DEPTH = 8
EXACT = 1 << 53
# Keys that log shippers put beside ours; a collision would lose one of the two.
TAKEN = {"log", "time", "stream", "_p", "date", "kubernetes", "message", "timestamp", "source", "host", "service", "status"}
TYPE = re.compile(r"[a-z]+\.[a-z_]+\Z")


class BadLine(AssertionError):
    """A line that breaks a promise which every line keeps."""


@dataclass(frozen=True)
class Line:
    """One event: the bytes as written (without the newline) and what they say."""

    raw: bytes
    event: dict[str, Any]

    def get(self, path: str, otherwise: Any = None) -> Any:
        """The value at a dotted path; `otherwise` when it is absent."""
        value: Any = self.event
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return otherwise
            value = value[key]
        return value

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def seq(self) -> int:
        return int(self.event["seq"])

    def __str__(self) -> str:
        return self.raw.decode("utf-8", "replace")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise BadLine(f"a key stands twice among {[key for key, _ in pairs]}")
    return result


def _integer(text: str) -> int:
    # jq, JavaScript and most engines read numbers as doubles.
    if abs(value := int(text)) > EXACT:
        raise BadLine(f"integer {text} does not survive a double")
    return value


def _constant(text: str) -> None:
    raise BadLine(f"{text} is not JSON")


def parse(raw: bytes) -> Line:
    """The line, or BadLine with the promise it breaks."""
    try:
        text = raw.decode("utf-8")
        event = json.loads(text, object_pairs_hook=_unique, parse_int=_integer, parse_constant=_constant)
    except (UnicodeDecodeError, json.JSONDecodeError, BadLine) as error:
        raise BadLine(f"{error}: {raw[:300]!r}") from None
    if not isinstance(event, dict) or not TYPE.match(str(event.get("type"))):
        raise BadLine(f"no event: {raw[:300]!r}")
    return Line(raw, event)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return max(map(_depth, value), default=0)
    return 0


def check_line(line: Line) -> None:
    event = line.event
    if len(line.raw) > MAX_LINE:
        raise BadLine(f"{len(line.raw)} bytes, more than {MAX_LINE}: {line.raw[:300]!r}")
    if taken := TAKEN & event.keys():
        raise BadLine(f"top-level key {sorted(taken)} collides with a log shipper's: {line.raw[:300]!r}")
    if _depth(event) > MAX_DEPTH:
        raise BadLine(f"deeper than {MAX_DEPTH}: {line.raw[:300]!r}")
    if event.get("event_id") != f"{event.get('instance')}-{event.get('seq')}":
        raise BadLine(f"event_id is not instance-seq: {line.raw[:300]!r}")


def check_sequence(lines: Iterable[Line]) -> None:
    """Within an instance every number follows the last one, in the order of the stream."""
    last: dict[str, int] = {}
    for line in lines:
        instance = str(line.event["instance"])
        if instance in last and line.seq != last[instance] + 1:
            raise BadLine(f"seq {line.seq} follows {last[instance]} of instance {instance}: {line.raw[:300]!r}")
        last[instance] = line.seq


def check_jq(file: Path, lines: list[Line]) -> None:
    """jq reads every line and changes no value."""
    done = subprocess.run(["jq", "-c", ".", str(file)], capture_output=True, check=False)
    if done.returncode != 0:
        raise BadLine(f"jq refuses {file}: {done.stderr.decode(errors='replace').strip()}")
    out = done.stdout.splitlines()
    if len(out) != len(lines):
        raise BadLine(f"jq makes {len(out)} lines of {len(lines)} in {file}")
    for before, after in zip(lines, out):
        if json.loads(after) != before.event:
            raise BadLine(f"jq changes a value:\n  {before}\n  {after.decode()}")
