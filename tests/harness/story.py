"""Lines as text for people, one aligned line for each event."""
from __future__ import annotations

from collections.abc import Iterable

from harness.lines import Line


def _where(line: Line) -> str:
    pod, namespace = line.get("k8s.pod.name"), line.get("k8s.namespace.name")
    container = line.get("k8s.container.name") or line.get("container.name") or ""
    return f"{namespace or '?'}/{pod} {container}".rstrip() if pod else "-"


def tell(lines: Iterable[Line]) -> list[str]:
    """Time of day, severity, type, pod and container, and crier's own sentence."""
    rows = [
        (line.get("ts", "")[11:23], line.get("severity", "").upper(), line.type, _where(line), line.get("summary", ""))
        for line in lines
    ]
    where = max((len(row[3]) for row in rows), default=0)
    kind = max((len(row[2]) for row in rows), default=0)
    return [f"{ts} {level:<5} {type_:<{kind}}  {place:<{where}}  {text}".rstrip() for ts, level, type_, place, text in rows]
