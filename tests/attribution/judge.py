"""Each line of crier against the load's own record: whose it is, what it claims, what is missing, and how long it took."""
from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.lines import Line
from load import OOM_LIMIT, Life, Plan, PodPlan, Process

COMM = re.compile(r"([iabc])([0-9a-f]{9})\Z")
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
SIGKILL = 9
# What leaves at once or after the hold; container.exited waits for the runtime's word on purpose and has its own figure.
PROMPT = re.compile(r"process\.|container\.(created|started|oom)\Z")


@dataclass
class Owner:
    """A container or a sandbox of the load, and the lines that are truly about it."""

    id: str
    pod: PodPlan
    life: Life | None  # None: the sandbox
    path: str = ""  # of its cgroup, by the watcher
    there_ns: int = 0  # when the watcher saw it
    lines: list[Line] = field(default_factory=list)
    created_ns: int = 0
    full_ns: int = 0  # arrival of the first line that is full, or of the one that mends
    wrong: int = 0

    @property
    def asked_ns(self) -> int:
        return self.life.asked_ns if self.life else self.pod.asked_ns

    @property
    def lifetime_ms(self) -> int | None:
        return self.life.lifetime_ms if self.life else None

    def __str__(self) -> str:
        what = f"{self.life.name} ({self.life.token}, {self.life.lifetime_ms} ms)" if self.life else "sandbox"
        return f"{what} of {self.pod.namespace}/{self.pod.name}, {self.id[:12]}"

    def claims(self) -> dict[str, Any]:
        """What a line may say of it, if it says it at all; None = it may not."""
        pod, life = self.pod, self.life
        assert pod.pod
        uid, name = pod.pod.uid, life.name if life else None
        return {
            "container.id": self.id,
            "container.name": name,
            "container.type": "app" if life else "sandbox",
            "container.limits.memory_bytes": OOM_LIMIT if life and life.dies_of_memory else None,
            "cgroup.path": self.path,
            "k8s.namespace.name": pod.namespace,
            "k8s.pod.name": pod.name,
            "k8s.pod.uid": uid,
            "k8s.pod.label.app": pod.labels["app"],
            "k8s.container.name": name,
            "k8s.container.restart_count": life.attempt if life else None,
            "k8s.replicaset.name": pod.replicaset or None,
            "k8s.workload.inferred.kind": "Deployment" if pod.replicaset else None,
            "k8s.workload.inferred.name": pod.labels["app"] if pod.replicaset else None,
            "k8s.qos_class": pod.qos,
            "correlation.container_id": self.id,
            "correlation.pod_uid": uid,
            "correlation.container_slot": f"{uid}/{name}" if life else None,
            "correlation.cgroup_path": self.path,
            "data.cgroup_path": self.path,
            "actor.container.id": self.id,
            "actor.container.name": name,
            "actor.k8s.namespace.name": pod.namespace,
            "actor.k8s.pod.name": pod.name,
        }

    def identity(self) -> list[str]:
        """What a full line must carry."""
        fields = ["container.id", "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid"]
        return fields + ["k8s.container.name"] * bool(self.life)


class Judge:
    def __init__(self, lines: list[Line], arrivals: list[int], plan: Plan, paths: dict[tuple[int, str], tuple[int, str]]):
        self.lines, self.plan = lines, plan
        self.arrival = dict(zip((line.seq for line in lines), arrivals))
        self.problems: list[str] = []  # wrong lines
        self.missing: list[str] = []
        self.faults: list[str] = []  # of the record itself
        self.mended: set[int] = set()
        self.owners: dict[str, Owner] = {}
        for pod in plan.pods:
            assert pod.pod
            self.owners[pod.pod.sandbox_id] = Owner(pod.pod.sandbox_id, pod, None)
        for life in plan.lives:
            assert life.pod
            self.owners[life.id] = Owner(life.id, life.pod, life)
        self._tokens = {owner.life.token: owner for owner in self.owners.values() if owner.life}
        self._names = self._all_names()
        self._groups = self._cgroups(paths)
        self._roles = self._process_roles()
        self._of_seq: dict[int, Owner] = {}

    def _cgroups(self, paths: dict[tuple[int, str], tuple[int, str]]) -> dict[str, Owner]:
        """Cgroup id, as crier counts it, to its owner."""
        version = next(line.get("cgroup.version") for line in self.lines if line.get("cgroup.version"))
        found = {}
        for (each, inode), (stamp, path) in paths.items():
            owner = self.owners.get(path.rsplit("/", 1)[1])
            if each == version and owner:
                owner.path, owner.there_ns = path, stamp
                found[inode] = owner
        self.faults += [f"no cgroup of {owner} was seen" for owner in self.owners.values() if not owner.path]
        return found

    def _all_names(self) -> set[str]:
        pods = [plan.pod for plan in self.plan.pods if plan.pod]
        return set(self.owners) | {pod.uid for pod in pods} | {pod.name for pod in pods}

    def _process_roles(self) -> dict[str, str]:
        """Process key to what the process was in its container, by its own name and arguments."""
        roles = {}
        for line in self.lines:
            key, told = line.get("correlation.process_key"), _told_by(line)
            if key and told and line.type != "process.fork":
                roles[key] = told[0]
            elif key and line.type == "process.exec" and line.get("data.args", [])[1:] == ["pause"]:
                roles[key] = "i"
        return roles

    # Whose line is it?

    def owner_of(self, line: Line) -> Owner | None:
        """By the cgroup's number, and by the token in name and arguments, which must agree."""
        by_group = self._groups.get(line.get("cgroup.id", ""))
        told = _told_by(line)
        by_token = self._tokens.get(told[1]) if told else None
        if by_group and by_token and by_group is not by_token:
            self._blame(line, None, f"the cgroup is of {by_group}, the process of {by_token}")
        by_id = self.owners.get(line.get("container.id", "")) if "cgroup" not in line.event else None
        return by_token or by_group or by_id

    def _blame(self, line: Line, owner: Owner | None, reason: str) -> None:
        if owner:
            owner.wrong += 1
        self.problems.append(f"{line.event['event_id']} {line.type}: {reason}: {line}")

    def run(self) -> None:
        for line in self.lines:
            if line.type.startswith(("agent.", "node.")):
                continue
            if owner := self.owner_of(line):
                owner.lines.append(line)
                self._of_seq[line.seq] = owner
                if reason := "; ".join(self._wrongs(line, owner)):
                    self._blame(line, owner, reason)
            elif names := self._names & set(_texts(line.event)):
                self._blame(line, None, f"it is of no container of the load, and names {sorted(names)}")
        self._mend()
        for owner in self.owners.values():
            self._time(owner)
            self.missing += [f"{what}: {owner}" for what in self._missing(owner)]

    # What it claims

    def _wrongs(self, line: Line, owner: Owner) -> Iterator[str]:
        for path, truth in owner.claims().items():
            told = line.get(path)
            if told is not None and told != truth:
                yield f"{path} is {told!r}, not {truth!r}"
        if line.get("cgroup.id") and self._groups.get(line.get("cgroup.id")) is not owner:
            yield f"cgroup.id is not that of {owner}"
        status = line.get("attribution.status")
        if status == "host":
            yield f"it is said to be of the host, and is of {owner}"
        if status == "full" and (absent := [path for path in owner.identity() if line.get(path) is None]):
            yield f"it is said to be full and lacks {absent}"
        if status in ("partial", "none") and not line.get("attribution.reason"):
            yield "it is not full and does not say why"
        yield from self._wrong_role(line)
        if line.type == "process.exit" and owner.life:
            yield from _wrong_exit(line, owner.life)
        if line.type == "container.exited":
            yield from _wrong_end(line, owner)
        if line.type == "container.started":
            yield from _wrong_previous(line, owner)
        for cause in line.get("correlation.caused_by", []):
            number = int(cause.get("event_id", "-0").rsplit("-", 1)[1])
            of = self._of_seq.get(number)
            if number and of is not owner and not (of and _same_slot(of, owner)):
                yield f"its cause {cause['event_id']} is of {of}"

    def _wrong_role(self, line: Line) -> Iterator[str]:
        if not line.type.startswith("process."):
            return
        told = line.get("process.role", "member")
        truth = self._roles.get(line.get("correlation.process_key"))
        # Until it executes, the process that becomes init is the runtime's.
        if truth == "i" and told != "init" and not (told == "runtime_helper" and line.type == "process.fork"):
            yield f"role is {told}, and it is the container's init"
        if truth in ("a", "b", "c") and told != "member":
            yield f"role is {told}, and it is a child of the container's init"
        if truth is None and str(line.get("process.comm")).startswith("runc") and told != "runtime_helper":
            yield f"role is {told}, and it is the runtime's"
        flag = line.get("data.container_init")
        if flag is not None and truth and flag != (truth == "i"):
            yield f"data.container_init is {flag}"

    # What came later, and what never came

    def _mend(self) -> None:
        for mend in self.lines:
            if mend.type != "container.resolved":
                continue
            data = mend.get("data.mends")
            owner = self.owners.get(mend.get("container.id", ""))
            for line in self.lines:
                if (
                    data["from_seq"] <= line.seq <= data["to_seq"]
                    and line.get("attribution.status") in ("partial", "none")
                    and _named_by(line, data)
                ):
                    self.mended.add(line.seq)
                    if self._of_seq.get(line.seq) is not owner:
                        self._blame(mend, owner, f"it mends {line.event['event_id']}, which is of another")

    def _time(self, owner: Owner) -> None:
        created = [line for line in owner.lines if line.type == "container.created"]
        if created:
            owner.created_ns = int(created[0].event["boottime_ns"])
            # The kernel's stamp of the mkdir stands between two stamps that the test took itself.
            if not owner.asked_ns <= owner.created_ns <= owner.there_ns:
                self.faults.append(f"{owner}: created at {owner.created_ns}, not in {owner.asked_ns}..{owner.there_ns}")
        full = [
            self.arrival[line.seq]
            for line in owner.lines
            if line.get("attribution.status") == "full" and line.type != "container.removed"
        ]
        owner.full_ns = min(full, default=0)

    def _missing(self, owner: Owner) -> Iterator[str]:
        """What must have happened, by the load's record, and is not told exactly once."""
        count = Counter(line.type for line in owner.lines)
        wanted = {"container.created": 1, "container.started": 1, "container.exited": 1}
        wanted["container.oom"] = 1 if owner.life and owner.life.dies_of_memory else 0
        for kind, number in wanted.items():
            if count[kind] != number:
                yield f"{count[kind]} {kind}, not {number}"
        if owner.life:
            if owner.life.previous and not any(line.get("data.previous.container_id") for line in owner.lines):
                yield f"no data.previous, which is {owner.life.previous.id[:12]}"
            for process in owner.life.processes.values():
                yield from _missing_process(owner, process)

    # Figures

    def rows(self) -> list[dict[str, Any]]:
        """One for each lifetime, and one for the sandboxes."""
        groups: dict[int | None, list[Owner]] = defaultdict(list)
        for owner in self.owners.values():
            groups[owner.lifetime_ms].append(owner)
        order = sorted(groups, key=lambda ms: (ms is None, ms or 0))
        return [self._row("sandbox" if ms is None else "container", ms, groups[ms]) for ms in order]

    def total(self) -> dict[str, Any]:
        """All containers of the run: a 99th percentile of many is more than the largest of a few."""
        return self._row("all containers", None, [owner for owner in self.owners.values() if owner.life])

    def _row(self, kind: str, lifetime_ms: int | None, owners: list[Owner]) -> dict[str, Any]:
        status: Counter[str] = Counter()
        to_line: list[float] = []
        exited: list[float] = []
        for owner in owners:
            for line in owner.lines:
                if line.type == "container.resolved":
                    continue
                told = str(line.get("attribution.status"))
                status["late" if told in ("partial", "none") and line.seq in self.mended else told] += 1
                took = (self.arrival[line.seq] - int(line.event["boottime_ns"])) / 1e6
                if PROMPT.match(line.type):
                    to_line.append(took)
                elif line.type == "container.exited":
                    exited.append(took)
        known = [
            line.get("k8s.replicaset.name") is not None
            for owner in owners
            for line in owner.lines
            if owner.pod.replicaset and line.type in ("container.created", "container.started", "container.exited")
        ]
        full = [(o.full_ns - o.created_ns) / 1e6 for o in owners if o.full_ns and o.created_ns]
        return {
            "kind": kind,
            "lifetime_ms": lifetime_ms,
            "containers": len(owners),
            "events": sum(status.values()),
            "full": status["full"],
            "late": status["late"],
            "partial": status["partial"],
            "none": status["none"],
            "wrong": sum(owner.wrong for owner in owners),
            "missing": sum(1 for owner in owners for _ in self._missing(owner)),
            "p50_full_ms": quantile(full, 0.5),
            "p99_full_ms": quantile(full, 0.99),
            "max_full_ms": quantile(full, 1),
            "p50_ms": quantile(to_line, 0.5),
            "p99_ms": quantile(to_line, 0.99),
            "max_ms": quantile(to_line, 1),
            "workload_ratio": round(sum(known) / len(known), 4) if known else None,
            "p50_exited_ms": quantile(exited, 0.5),
            "p99_exited_ms": quantile(exited, 0.99),
        }


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that the share of all values does not exceed."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)], 3)


def _told_by(line: Line) -> tuple[str, str] | None:
    """Role and token, as the process itself bears them."""
    args = line.get("data.args") or []
    if line.type == "process.exec" and len(args) > 2 and args[1] in ("life", "life-child"):
        return "i" if args[1] == "life" else "a", args[2]
    if found := COMM.match(str(line.get("process.comm", ""))):
        return found[1], found[2]
    return None


def _named_by(line: Line, mends: dict[str, Any]) -> bool:
    same_group = line.get("cgroup.id") is not None and line.get("cgroup.id") == mends.get("cgroup_id")
    return same_group or line.get("container.id") == mends.get("container_id")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, str):
        yield value


def _same_slot(one: Owner, other: Owner) -> bool:
    return bool(one.life and other.life and one.pod is other.pod and one.life.name == other.life.name)


def _ends_as(line: Line, process: Process) -> bool:
    return bool(line.get("data.exit_code") == process.exit_code and line.get("data.signal") == process.signal)


def _wrong_exit(line: Line, life: Life) -> Iterator[str]:
    told = _told_by(line)
    if told and told[1] == life.token and not _ends_as(line, life.processes[told[0]]):
        yield f"its end is not that of {life.processes[told[0]]}"


def _wrong_end(line: Line, owner: Owner) -> Iterator[str]:
    if not owner.life:
        return
    truth = ("oom", 128 + SIGKILL) if owner.life.dies_of_memory else ("exit", owner.life.code)
    told = line.get("data.cause"), line.get("data.exit_code")
    if told != truth:
        yield f"the end is {told}, not {truth}"
    runtime = line.get("data.runtime.exit_code")
    if runtime is not None and runtime != truth[1]:
        yield f"data.runtime.exit_code is {runtime}, not {truth[1]}"


def _wrong_previous(line: Line, owner: Owner) -> Iterator[str]:
    truth = owner.life.previous if owner.life else None
    told = line.get("data.previous.container_id")
    if told is None:
        return  # _missing() sees to that
    if told != (truth.id if truth else None):
        yield f"data.previous is {told}, not {truth.id if truth else 'absent'}"
    elif truth and not truth.dies_of_memory and line.get("data.previous.exit_code") != truth.code:
        yield f"data.previous.exit_code is {line.get('data.previous.exit_code')}, not {truth.code}"


def _missing_process(owner: Owner, process: Process) -> Iterator[str]:
    """Its fork, exec, signals and exit, known by the pid it told, which no other process of the container had."""
    lines = [line for line in owner.lines if line.get("process.vpid") == process.vpid]
    kinds = Counter(line.type for line in lines)
    wanted = {"process.fork": 1, "process.exec": 1 if process.role in "ia" else 0, "process.exit": 1}
    for kind, number in wanted.items():
        if kinds[kind] != number:
            yield f"{kinds[kind]} {kind} of process {process.role}, not {number}"
    for line in lines:
        if line.type == "process.exit" and not _ends_as(line, process):
            yield f"process.exit of {process} says {line.get('data')}"
        start = int(line.get("correlation.process_key", "::0").rsplit(":", 1)[1]) // TICK_NS
        if abs(start - process.start_ticks) > 1:
            yield f"{line.type} of process {process.role} has another start: {start}, not {process.start_ticks}"
    deadly = process.signal or 0
    told = [line.get("data.signal") for line in lines if line.type == "process.signal"]
    if deadly and deadly not in told:
        yield f"no process.signal {deadly} to process {process.role}, but {told}"
