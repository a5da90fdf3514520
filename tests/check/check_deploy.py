#!/usr/bin/python3
"""deploy/ as far as it can be judged without a cluster: syntax, rights, and that every option it uses is one."""
from __future__ import annotations

import configparser
import re
from typing import Any

import yaml

from tree import ROOT, files, text, verdict

CAPABILITIES = {"BPF", "PERFMON", "SYS_RESOURCE", "DAC_READ_SEARCH"}
KINDS = {"Namespace", "ServiceAccount", "DaemonSet", "NetworkPolicy"}
# Flags of verbs, which the option table does not have.
VERBS = {"--check", "--effective", "--markdown", "--man", "--force"}
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")


def options() -> set[str]:
    table = text("src/options.c")
    names = re.findall(r'\.name = "([a-z-]+)"', table)
    names += ["filter-" + name for name in re.findall(r'^\tFILTER\("([a-z]+)"', table, re.M)]
    return {"--" + name for name in names} | {"--no-" + name for name in names}


def yaml_problems() -> list[str]:
    problems = []
    for path in files("deploy/*.yaml", "deploy/*.yml"):
        try:
            list(yaml.safe_load_all(text(path)))
        except yaml.YAMLError as error:
            problems.append(f"{path}: {str(error).splitlines()[0]}")
    return problems


def expect(problems: list[str], what: str, have: Any, want: Any) -> None:
    if have != want:
        problems.append(f"deploy/daemonset.yaml: {what} is {have!r}, not {want!r}")


def container_problems(pod: dict[str, Any]) -> list[str]:
    problems: list[str] = []
    if len(pod.get("containers", [])) != 1 or pod.get("initContainers"):
        return ["deploy/daemonset.yaml: has not exactly one container"]
    container = pod["containers"][0]
    security = container.get("securityContext", {})
    expect(problems, "privileged", security.get("privileged", False), False)
    expect(problems, "allowPrivilegeEscalation", security.get("allowPrivilegeEscalation"), False)
    expect(problems, "readOnlyRootFilesystem", security.get("readOnlyRootFilesystem"), True)
    expect(problems, "capabilities.drop", security.get("capabilities", {}).get("drop"), ["ALL"])
    expect(problems, "capabilities.add", set(security.get("capabilities", {}).get("add", [])), CAPABILITIES)
    if not {"cpu", "memory"} <= set(container.get("resources", {}).get("requests", {})):
        problems.append("deploy/daemonset.yaml: requests neither cpu nor memory, or not both")
    if "memory" not in container.get("resources", {}).get("limits", {}):
        problems.append("deploy/daemonset.yaml: has no memory limit")
    expect(problems, "NODE_NAME", [e.get("valueFrom") for e in container.get("env", []) if e["name"] == "NODE_NAME"],
           [{"fieldRef": {"fieldPath": "spec.nodeName"}}])  # fmt: skip
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    expect(problems, "the set of mounted volumes", {mount["name"] for mount in container.get("volumeMounts", [])}, volumes)
    for mount in container.get("volumeMounts", []):
        if mount["mountPath"] != "/run/crier" and not mount.get("readOnly"):
            problems.append(f"deploy/daemonset.yaml: {mount['mountPath']} is writable")
    return problems


def manifest_problems() -> list[str]:
    if not (ROOT / "deploy/daemonset.yaml").exists():
        return ["deploy/daemonset.yaml: not there"]
    problems: list[str] = []
    objects = [each for each in yaml.safe_load_all(text("deploy/daemonset.yaml")) if each]
    by_kind = {each["kind"]: each for each in objects}
    # Above all no Role and no binding: crier never talks to the Kubernetes API.
    expect(problems, "the set of kinds", set(by_kind), KINDS)
    for each in objects:
        if each["kind"] != "Namespace":
            expect(problems, f"{each['kind']}'s namespace", each["metadata"].get("namespace"), "crier")
    if "DaemonSet" not in by_kind:
        return problems
    pod = by_kind["DaemonSet"]["spec"]["template"]["spec"]
    expect(problems, "ServiceAccount's automountServiceAccountToken", by_kind["ServiceAccount"].get("automountServiceAccountToken"), False)
    expect(problems, "automountServiceAccountToken", pod.get("automountServiceAccountToken"), False)
    expect(problems, "hostPID", pod.get("hostPID"), True)
    expect(problems, "hostNetwork", pod.get("hostNetwork", False), False)
    expect(problems, "hostIPC", pod.get("hostIPC", False), False)
    expect(problems, "selector", by_kind["DaemonSet"]["spec"]["selector"]["matchLabels"].items()
           <= by_kind["DaemonSet"]["spec"]["template"]["metadata"]["labels"].items(), True)  # fmt: skip
    return problems + container_problems(pod)


def flag_problems() -> list[str]:
    known = options() | VERBS
    if len(known) < 50:
        return ["src/options.c: the option table was not recognised; mend check_deploy.py"]
    problems = []
    for path in files("deploy/*.yaml", "deploy/systemd/*", "docs/kubernetes.md", "deploy/Containerfile"):
        source = text(path)
        if path.endswith("Containerfile"):  # build tools have flags of their own
            source = "\n".join(line for line in source.splitlines() if line.startswith(("CMD", "ENTRYPOINT")))
        source = re.sub(r"^(kubectl|podman) .*$", "", source, flags=re.M)  # so have these
        problems += [f"{path}: {flag} is no option of crier" for flag in sorted(set(FLAG.findall(source)) - known)]
    return problems


def unit_problems() -> list[str]:
    path = "deploy/systemd/crier.service"
    if not (ROOT / path).exists():
        return [f"{path}: not there"]
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        unit.read_string(text(path))
    except configparser.Error as error:
        return [f"{path}: {error}"]
    problems = []
    granted = set(unit.get("Service", "CapabilityBoundingSet", fallback="").split())
    if granted != {"CAP_" + name for name in CAPABILITIES}:
        problems.append(f"{path}: CapabilityBoundingSet is {' '.join(sorted(granted))}, not that of the DaemonSet")
    if unit.get("Service", "NoNewPrivileges", fallback="") != "yes":
        problems.append(f"{path}: NoNewPrivileges is not yes")
    return problems


def fluent_bit_problems() -> list[str]:
    """The settings without which lines are damaged or lost."""
    problems = []
    wanted = {
        "deploy/fluent-bit/parsers.conf": ("Format json", "Time_Key ts", "Time_Keep On"),
        "deploy/fluent-bit/crier.conf": (
            "json.escape_unicode Off", "multiline.parser cri", "Buffer_Max_Size 1M", "Skip_Long_Lines On",
            "Refresh_Interval 5", "Rotate_Wait 30", "storage.type filesystem", "DB", "Retry_Limit no_limits",
        ),
    }  # fmt: skip
    for path, settings in wanted.items():
        have = " \n" + re.sub(r"[ \t]+", " ", text(path)) if (ROOT / path).exists() else ""
        problems += [f"{path}: '{setting}' is not set" for setting in settings if f"\n {setting}" not in have]
    return problems


problems = yaml_problems()
if problems:
    verdict(problems)  # the rest would only stumble over it
problems = manifest_problems() + flag_problems() + unit_problems() + fluent_bit_problems()
problems += [f"{path}: not there" for path in ("deploy/Containerfile", "deploy/kustomization.yaml") if not (ROOT / path).exists()]
verdict(problems)
