"""A node that gives crier less than all: types, rights, mounts, namespaces, a kernel that is locked down. It starts with what remains
and says in agent.start, agent.health and `crier check` what does not, or it refuses with the remedy.
"""
from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxes import TRIGGER, Box, World
from hooks import chosen, hooks_of
from scenarios import LIMIT, Unable, only
from harness import cgroups, crier
from harness.crier import Crier
from harness.lines import Line

LOCKDOWN = Path("/sys/kernel/security/lockdown")
# An emulated kernel takes its time to log a kill, for which the end of a container waits where no program sees it.
PATIENT = ["--exit-wait", "8s"]
Under = Sequence[str]
Finish = Callable[[Crier], None]


def with_rights(change: str) -> Under:
    """The bounding set changed as setpriv(1) has it: root may have no more, whatever it executes."""
    return ["/usr/bin/setpriv", "--bounding-set", change]


def mounts_changed(command: str) -> Under:
    """In a mount namespace of its own, in which the command has run."""
    return ["/usr/bin/unshare", "--mount", "sh", "-ec", f'{command}; exec "$@"', "sh"]


# All of it is said in three places


def degraded(agent: Crier) -> list[str]:
    return [row["what"] for row in agent.events("agent.start")[0].get("data.degraded", [])]


def says(agent: Crier, words: str) -> None:
    """agent.start names it with a remedy."""
    rows = [row for row in agent.events("agent.start")[0].get("data.degraded", []) if words in row["what"]]
    assert rows and rows[0]["remedy"], f"agent.start: nothing about '{words}' in {degraded(agent)}"


def check_says(words: str, under: Under, *flags: str) -> None:
    """`crier check` names it too."""
    command = [*under, str(crier.binary()), "check", "--cri-socket", "none", "--runtime-state-dir", "/tmp", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert words in done.stdout, f"crier check: nothing about '{words}' in: {done.stdout}{done.stderr}"


def health_says(agent: Crier, words: str) -> None:
    line = agent.wait_event("agent.health", where=lambda line: line.get("data.component") == "kernel")
    assert line.get("data.state") == "degraded" and words in line.get("data.reason", ""), f"{line}"
    assert line.get("data.remedy"), f"no remedy: {line}"


def kill_one(world: World, agent: Crier, name: str, cause: str = "oom") -> tuple[Box, Line]:
    """A container dies of its limit, and it is told as that."""
    box = world.box(name, memory=LIMIT).start(TRIGGER, "hog")
    box.go()
    status = box.wait()
    assert os.WTERMSIG(status) == signal.SIGKILL, f"its status is {status:x}"
    mine: Any = lambda line: line.get("container.id") == box.id  # noqa: E731
    if not hooks_of(agent)["exit"] and not cgroups.unified_hierarchy():
        # Version 1 tells nobody that a cgroup is empty: without a runtime its removal is the container's end.
        agent.wait_event("container.oom", where=mine)
        cgroups.remove(box.cgroup)
    exited = agent.wait_event("container.exited", where=mine)
    assert exited.get("data.cause") == cause, f"{exited}"
    agent.wait_event("container.oom", where=mine)
    oom = only(agent.events(where=mine), "container.oom")
    for line in (oom, exited):
        assert (line.get("k8s.pod.name"), line.get("attribution.status")) == (f"pod-{name}", "full"), f"{line}"
    box.gone(agent)
    return box, oom


def by_log(box: Box, oom: Line) -> None:
    """The kernel's log names victim and limit, and what it does not know is absent."""
    assert oom.get("probe.hook") == "kmsg:oom" and oom.get("process.pid") == box.pid, f"{oom}"
    assert oom.get("data.limit.bytes") == LIMIT and oom.get("data.limit.found_by") == "kernel_log", f"{oom}"
    assert oom.get("data.victim.swap_bytes") is None, f"{oom}"


def by_kernel(box: Box, oom: Line) -> None:
    assert oom.get("probe.hook", "").endswith(":mark_victim") and oom.get("process.pid") == box.pid, f"{oom}"


def by_count(_: Box, oom: Line) -> None:
    """The container's own counter rose, and nobody knows for whom."""
    assert oom.get("data.kills") == 1 and oom.get("process") is None and oom.get("data.victim") is None, f"{oom}"


@dataclass(frozen=True)
class Lack:
    """What is taken away; what agent.start and check say of it (nothing, where it costs nothing); what is seen of an OOM kill then."""

    under: Under
    words: str = ""
    kill: Callable[[Box, Line], None] = by_kernel
    flags: Sequence[str] = ()
    checked: str = ""  # check's words, if they are others
    may_lack: str = ""  # what some kernels cannot do then, and say so
    can_end: bool = True  # unshare(1) lets no SIGTERM through

    def run(self, name: str, world: World, finish: Finish) -> None:
        patience = [] if self.kill is by_count else PATIENT  # there is no log to wait for
        with world.crier(*self.flags, *patience, profile="default", under=self.under) as agent:
            if self.words:
                says(agent, self.words)
                check_says(self.checked or self.words, self.under, *self.flags)
            if self.kill is by_kernel:
                assert hooks_of(agent)["oom"].endswith(":mark_victim"), f"{hooks_of(agent)}"
                refused = [row["refused"] for row in chosen(agent).values() if not row.get("chosen")]
                lacks = [what for what in degraded(agent) if not self.may_lack or self.may_lack not in what]
                assert self.words or not lacks, f"agent.start says {degraded(agent)}, {refused}"
            else:
                health_says(agent, "no eBPF: ")
            # Where nobody is named, it may have been a child that was killed.
            self.kill(*kill_one(world, agent, name, "unknown" if self.kill is by_count else "oom"))
            if self.can_end:
                finish(agent)
            else:
                agent.kill()


NO_TYPES = mounts_changed("mount -t tmpfs none /sys/kernel/btf")
BTF, BTF_FILE = Path("/sys/kernel/btf/vmlinux"), Path("/tmp/btf")
ROWS = {
    "types": Lack(NO_TYPES, str(BTF), by_log),
    "types_from_file": Lack(NO_TYPES, "", by_kernel, ["--btf", str(BTF_FILE)]),
    "right_bpf": Lack(with_rights("-bpf,-sys_admin"), "CAP_BPF", by_log),
    "right_perfmon": Lack(with_rights("-perfmon,-sys_admin"), "CAP_PERFMON", by_log),
    "right_log": Lack(with_rights("-bpf,-sys_admin,-syslog"), "counted, not named", by_count, checked="SYSLOG no, which buys OOM kills by the kernel's log"),
    # Debian's kernel lets only CAP_SYS_ADMIN attach kprobes, which serve oom_control where there is no fentry (arm64 before 6.4).
    "all_other_rights": Lack(with_rights("-all,+bpf,+perfmon"), may_lack="no hook serves oom_control"),
    "bpf_file_system": Lack(mounts_changed("mount -t tmpfs none /sys/fs/bpf")),
    "cgroup_namespace": Lack(["/usr/bin/unshare", "--cgroup"]),
    "pid_namespace": Lack(
        ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--mount-proc"], "/proc does not show the node's processes",
        checked="/proc is not the node's", can_end=False,
    ),
}  # fmt: skip


def user_hooks(world: World, finish: Finish) -> None:
    """--hook EVENT=user: what can be seen without a kernel program is, beside programs for all else."""
    events = ["cgroup_mkdir", "cgroup_rmdir", "oom"] + (["pressure"] if cgroups.memory_hierarchy().version == 2 else [])
    with world.crier(*(word for event in events for word in ("--hook", f"{event}=user")), *PATIENT, profile="default") as agent:
        told = hooks_of(agent)
        for event in events:
            assert told[event].startswith(("inotify:", "kmsg:")), f"--hook {event}=user: it is served by {told[event]!r}"
        assert told["exit"].endswith(":sched_process_exit") and not degraded(agent), f"{told}, {degraded(agent)}"
        by_log(*kill_one(world, agent, "user-hooks"))
        finish(agent)


def refuses(words: str, under: Under, *flags: str) -> None:
    """It does not start; stderr says why, and stdout nothing."""
    command = [*under, str(crier.binary()), "run", "--cri-socket", "none", "--state-file=", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and words in done.stderr and not done.stdout, f"{done.returncode}: {done.stderr} {done.stdout[:300]}"


def required(_: World, __: Finish) -> None:
    refuses("CAP_BPF", with_rights("-bpf,-sys_admin"), "--ebpf", "required")
    refuses(str(BTF), NO_TYPES, "--ebpf", "required")


def cgroup_mount(_: World, __: Finish) -> None:
    refuses("/sys/fs/cgroup", mounts_changed("umount /sys/fs/cgroup"))


def cgroup_view(world: World, finish: Finish) -> None:
    """Neither the node's cgroup namespace nor its mount: an OOM kill is told, and of no container."""
    enter = "mkdir -p /sys/fs/cgroup/agent; echo 0 >/sys/fs/cgroup/agent/cgroup.procs"
    again = "umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup"
    under = ["sh", "-ec", f'{enter}; exec /usr/bin/unshare --cgroup --mount sh -ec "{again}; exec \\"\\$@\\"" sh "$@"', "sh"]
    with world.crier(profile="default", under=under) as agent:
        says(agent, "its own cgroup namespace only")
        check_says("cgroup namespace", under)
        box = world.box("cgroup-view", memory=LIMIT).run(TRIGGER, "hog")
        box.wait()
        oom = agent.wait_event("node.oom", where=lambda line: line.get("process.pid") == box.pid)
        assert oom.get("container") is None and oom.get("k8s.pod") is None, f"{oom}"
        finish(agent)


def locked(mode: str) -> None:
    if not LOCKDOWN.exists():
        raise Unable("this kernel has no lockdown")
    LOCKDOWN.write_text(mode, encoding="ascii")
    assert f"[{mode}]" in LOCKDOWN.read_text(encoding="ascii")


def lockdown_integrity(world: World, finish: Finish) -> None:
    locked("integrity")
    Lack([]).run("integrity", world, finish)


def lockdown_confidentiality(world: World, finish: Finish) -> None:
    """Programs may read no kernel memory, and most are refused; what stands in for them names victim and limit all the same."""
    locked("confidentiality")
    with world.crier(*PATIENT, profile="default") as agent:
        print(f"# {[(event, hook) for event, hook in hooks_of(agent).items()]}", flush=True)
        check_says("lockdown=confidentiality", [])
        for event in ("exec", "exit", "signal"):
            assert not hooks_of(agent)[event], f"{event} is served by {hooks_of(agent)[event]}"
        says(agent, "exec")
        health_says(agent, "exec")
        by_log(*kill_one(world, agent, "confidentiality"))
        finish(agent)


# A kernel is never unlocked again: these come last.
SPECIAL = {
    "user_hooks": user_hooks, "required": required, "cgroup_mount": cgroup_mount, "cgroup_view": cgroup_view,
    "lockdown_integrity": lockdown_integrity, "lockdown_confidentiality": lockdown_confidentiality,
}  # fmt: skip


def run(names: list[str], world: World, check: Callable[..., None], finish: Finish) -> None:
    Path("/proc/sys/kernel/dmesg_restrict").write_text("1", encoding="ascii")
    BTF_FILE.write_bytes(BTF.read_bytes())
    for name, lack in ROWS.items():
        if not names or name in names:
            check(f"without/{name}", lambda lack=lack, name=name: lack.run(name.replace("_", "-"), world, finish))
            world.clear()
    for name, function in SPECIAL.items():
        if not names or name in names:
            check(f"without/{name}", lambda function=function: function(world, finish))
            world.clear()
