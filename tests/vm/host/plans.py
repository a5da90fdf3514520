"""Which guests there are: for each kernel the layouts and runtimes it is proven with."""
from __future__ import annotations

from dataclasses import dataclass, field, replace

from host.kernels import ROWS, Wanted


@dataclass(frozen=True)
class Runtime:
    """A container runtime as a Debian suite has it: containerd of that version, with the suite's runc and crun."""

    version: str  # pattern
    suite: str


@dataclass(frozen=True)
class Plan:
    """One guest. `prefix` stands before the names of its checks, so that a kernel's guests do not share any."""

    name: str
    prefix: str
    parts: str  # of guest/main.py
    cgroups: str = "v2"  # systemd: as it mounts them, being the first process
    runtime: Runtime | None = None
    packages: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    append: str = ""
    memory_mib: int = 640
    timeout_s: int = 1200  # for a machine that has other work


BASE = ("busybox-static", "python3", "util-linux")
V2 = Plan("v2", "", "scenarios hooks verify faults lacking")
V1 = Plan("v1", "v1/", "scenarios hooks lacking:types,right_log,user_hooks", cgroups="v1")
HYBRID = Plan("hybrid", "hybrid/", "scenarios hooks lacking:types,right_log,user_hooks", cgroups="hybrid")

# What a node with a runtime needs; crun asks systemd by way of the bus.
NODE = (
    "containerd", "runc", "crun", "containernetworking-plugins", "python3-grpcio", "python3-protobuf", "systemd", "dbus",
)  # fmt: skip
PODS = Plan(
    "", "", "pods", cgroups="systemd", packages=NODE, modules=("overlay", "veth", "bridge"), memory_mib=2048
)
CONTAINERD_1_6 = replace(PODS, name="containerd-1.6", prefix="containerd-1.6/", runtime=Runtime(r"1\.6\..*", "bookworm"))
CONTAINERD_1_7 = replace(PODS, name="containerd-1.7", prefix="containerd-1.7/", runtime=Runtime(r"1\.7\..*", "trixie"))
CONTAINERD_2 = replace(PODS, name="containerd-2", prefix="containerd-2/", runtime=Runtime(r"2\..*", "sid"))
# Without systemd, and with memory on version 1.
CONTAINERD_HYBRID = replace(CONTAINERD_1_6, name="containerd-1.6-hybrid", prefix="containerd-1.6-hybrid/", cgroups="hybrid")


@dataclass
class KernelPlan:
    """A row of the matrix with its guests."""

    row: Wanted
    guests: list[Plan] = field(default_factory=list)


# Memory is a v1 controller up to 6.1: Debian's later kernels are built without CONFIG_MEMCG_V1. 5.10 has pods on hybrid besides.
WITH_V1 = {"5.10": [V1], "5.10-oldest": [HYBRID], "6.1": [V1]}
# Each on the kernel that its suite ships; the oldest one where cgroups are as they were then.
WITH_PODS = {"5.10": CONTAINERD_HYBRID, "6.1": CONTAINERD_1_6, "6.12": CONTAINERD_1_7, "sid": CONTAINERD_2}


# What a node may lack, and refusals, are tried whole on some kernels; what of it depends on the kernel on more, the rest depends on none.
LACKING = {"5.10-oldest": V2, "6.1": V2, "sid": V2}
SHORT = replace(V2, parts=f"{V2.parts}:types,types_from_file,right_bpf,lockdown_integrity,lockdown_confidentiality")
LACKING |= {"6.12": SHORT, "arm64-6.1": SHORT}
NO_LACKING = replace(V2, parts="scenarios hooks verify")


def plans() -> list[KernelPlan]:
    result = []
    for row in ROWS:
        guests = [LACKING.get(row.name, NO_LACKING)]
        guests += WITH_V1.get(row.name, [])
        if row.name in WITH_PODS:
            guests.append(WITH_PODS[row.name])
        result.append(KernelPlan(row, guests))
    return result
