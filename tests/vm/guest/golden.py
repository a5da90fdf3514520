"""What crier tells of a scenario, laid beside what is written down: the same on every kernel, hook and cgroup layout.

A line becomes {path: value}. Numbers that a machine chooses become "#", ids and times "@"; what the scenario decides stays
as it is: words, names, exit codes, signals, limits. Presence counts: a field too many or too few is a difference.
Whether the numbers are true is the scenario's own business (scenarios.py).
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from boxes import Box
from harness.lines import Line

FILES = Path(__file__).resolve().parent.parent / "golden"
Flat = dict[str, Any]

# Of the run and the machine, or the same on every line.
LEFT_OUT = re.compile(
    r"(?:schema|instance|seq|event_id|ts|boottime_ns)\Z|k8s\.(?:node|cluster)\.|correlation\.(?:node_name|container_id|pod_uid)"
    # which comes by the CPU, the hook and the chance of two rings
    r"|probe\.|data\.timeline|process\.tid\Z|attribution\.wait_us|correlation\.caused_by\.\d+\.(?:delta_ms|event_id)"
    # told when a sample happened to be taken, or as memory stalled there; a life shorter than a tick has no CPU time, a child that only slept no memory
    r"|container\.init_pid|data\.(?:stall_ms|cpu_us|level|peak_rss_bytes)\Z"
)
VOLATILE = re.compile(r"\d+\Z|[0-9a-f]{8}-i?\d+\Z|[0-9a-f]{8}:\d+:\d+\Z|\d{4}-\d\d-\d\dT")
EXACT = re.compile(
    r"(?:exit_code|signal|escalated_to|code|victim_index|args_count|version|vpid|oom_score_adj|process\.user\.id|data\.limit\.bytes)\Z"
)


def _value(path: str, value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value if EXACT.search(path) else "#"
    if path == "summary":
        return re.sub(r"\d+(?:\.\d+)?(?: (?:[KMG]iB|m?s)\b)?", "#", value).replace(", stalled #", "").replace(", critical", "")
    return "@" if isinstance(value, str) and VOLATILE.match(value) else value


def flatten(value: Any, prefix: str = "") -> Flat:
    """The leaves of a line by their dotted paths."""
    if isinstance(value, dict):
        items: Iterable[tuple[str, Any]] = value.items()
    elif isinstance(value, list):
        items = ((str(index), each) for index, each in enumerate(value))
    else:
        return {} if LEFT_OUT.match(prefix) else {prefix: _value(prefix, value)}
    result: Flat = {}
    for key, each in items:
        result.update(flatten(each, f"{prefix}.{key}" if prefix else str(key)))
    return result


def _without_chance(event: dict[str, Any]) -> dict[str, Any]:
    """A pressure line may leave before an OOM kill or not, and is then named as its cause."""
    causes = event.get("correlation", {}).get("caused_by", [])
    kept = sorted(f"{cause['kind']} by {cause['basis']}" for cause in causes if cause["kind"] != "container.memory_pressure")
    return {**event, "correlation": {**event["correlation"], "caused_by": kept}} if causes else event


def _order(line: Flat) -> str:
    return json.dumps(line, sort_keys=True)


def story(lines: Iterable[Line], boxes: Iterable[Box]) -> list[Flat]:
    """Lines as flat dictionaries, in an order that does not depend on which of two rings was read first."""
    found = []
    lines = list(lines)
    # Among the victims of one kill it is chance which causes, of more than are kept, are named.
    has_many = sum(line.type == "container.oom" for line in lines) > 1
    for line in lines:
        flat = flatten(_without_chance(line.event))
        if has_many:
            flat = {path: value for path, value in flat.items() if not path.startswith("correlation.caused_by")}
        for box in boxes:
            flat = {
                path: value.replace(box.id, "ID").replace(box.uid, "UID") if isinstance(value, str) else value
                for path, value in flat.items()
            }
        found.append(flat)
    return sorted(found, key=_order)


def differences(found: list[Flat], name: str, absent: Iterable[str], other: dict[str, Any]) -> list[str]:
    """What differs from golden/NAME.json, given paths (patterns) that cannot be known here, and values told otherwise here."""
    wanted: list[Flat] = json.loads((FILES / f"{name}.json").read_text(encoding="utf-8"))
    gone = [re.compile(pattern) for pattern in absent]
    expected = sorted(
        (
            {
                path: other.get(f"{line['type']} {path}", other.get(path, value))
                for path, value in line.items()
                if not any(each.fullmatch(f"{line['type']} {path}") or each.fullmatch(path) for each in gone)
            }
            for line in wanted
        ),
        key=_order,
    )
    result = []
    for kind in sorted({line["type"] for line in [*expected, *found]}):
        mine = [line for line in found if line["type"] == kind]
        golden = [line for line in expected if line["type"] == kind]
        if len(mine) != len(golden):
            result.append(f"{len(mine)} lines of {kind}, expected {len(golden)}")
        for this, that in zip(mine, golden):
            for path in sorted(this.keys() | that.keys()):
                if this.get(path) != that.get(path):
                    result.append(f"{kind}: {path} is {this.get(path, 'absent')!r}, expected {that.get(path, 'absent')!r}")
    return result
