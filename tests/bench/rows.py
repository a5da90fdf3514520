"""One row of the report, as build/reports/bench.json has it."""
from __future__ import annotations

from typing import Any


def _rounded(number: float | None) -> float | None:
    """Six digits: more would claim what no run can repeat."""
    return None if number is None else float(f"{number:.6g}")


def row(
    measure: str, value: float, unit: str, floor: float | None = None, peer: float | None = None, runs: int = 1
) -> dict[str, Any]:
    """floor: the least that this could cost, of the same run. peer: the best of those measured beside it. runs: medians of so many."""
    return {"measure": measure, "value": _rounded(value), "unit": unit, "floor": _rounded(floor), "peer": _rounded(peer), "runs": runs}
