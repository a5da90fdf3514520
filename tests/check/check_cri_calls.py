#!/usr/bin/python3
"""The built binary names no method of the runtime's API but those that read."""
from __future__ import annotations

import re

from tree import BUILD, verdict

READS = {
    "Version", "Status", "ListPodSandbox", "ListContainers", "ContainerStatus", "PodSandboxStatus", "GetContainerEvents",
}  # fmt: skip
# Methods of runtime.v1 that change something: as strings of their own, from which a path could be put together. (Prose
# that the binary holds may name them.)
WRITES = (
    "RunPodSandbox StopPodSandbox RemovePodSandbox CreateContainer StartContainer StopContainer RemoveContainer "
    "UpdateContainerResources ReopenContainerLog ExecSync PortForward UpdateRuntimeConfig CheckpointContainer "
    "UpdatePodSandboxResources PullImage RemoveImage"
).split()
METHOD = re.compile(rb"/?\b([a-z0-9]+(?:\.[a-z0-9]+)*\.(?:RuntimeService|ImageService))/(\w+)")


def problems_of(binary: bytes) -> list[str]:
    named = {(match.group(1).decode(), match.group(2).decode()) for match in METHOD.finditer(binary)}
    if not named:
        return ["the binary names no method of runtime.v1.RuntimeService at all: this check looks at the wrong thing"]
    problems = [
        f"{service}/{method}: is not one of the calls that read"
        for service, method in sorted(named)
        if service != "runtime.v1.RuntimeService" or method not in READS
    ]
    return problems + [f"{name}: this name of a call that writes is in the binary" for name in WRITES if re.search(rb"[\0/]%s\0" % name.encode(), binary)]


def main() -> None:
    path = BUILD / "crier"
    if not path.exists():
        verdict([f"{path}: not there; build first: cmake --preset dev && cmake --build --preset dev"])
    verdict([f"{path}: {problem}" for problem in problems_of(path.read_bytes())])


main()
