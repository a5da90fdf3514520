"""Which guests there are: for each kernel the layouts and runtimes it is proven with."""
from __future__ import annotations

from dataclasses import dataclass, field

from host.kernels import ROWS, Wanted


@dataclass(frozen=True)
class Plan:
    """One guest. `prefix` stands before the names of its checks, so that a kernel's guests do not share any."""

    name: str
    prefix: str
    parts: str  # of guest/main.py
    cgroups: str = "v2"
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    append: str = ""
    memory_mib: int = 640
    timeout_s: int = 420


BASE = ("busybox-static", "python3", "util-linux")
V2 = Plan("v2", "", "scenarios hooks verify faults lacking")
V1 = Plan("v1", "v1/", "scenarios hooks lacking:types,right_log,user_hooks", cgroups="v1")
HYBRID = Plan("hybrid", "hybrid/", "scenarios hooks lacking:types,right_log,user_hooks", cgroups="hybrid")


@dataclass
class KernelPlan:
    """A row of the matrix with its guests."""

    row: Wanted
    guests: list[Plan] = field(default_factory=list)


# Memory is a v1 controller up to 6.1: Debian's later kernels are built without CONFIG_MEMCG_V1.
WITH_V1 = {"5.10-oldest", "5.10", "6.1"}


def plans() -> list[KernelPlan]:
    result = []
    for row in ROWS:
        guests = [V2]
        if row.name in WITH_V1:
            guests += [V1, HYBRID]
        result.append(KernelPlan(row, guests))
    return result
