"""Without eBPF: what inotify, the kernel's log and the runtime still tell, and that nothing is invented."""
from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

from env import Env, Skip, belongs, only, same
from harness import cgroups, image, proc
from harness.crier import Crier
from harness.lines import Line
from harness.pod import MIB, Container

PROFILE = "default"
FLAGS = ["--ebpf", "off"]
LIMIT = 64 * MIB


def primary() -> cgroups.Hierarchy:
    return cgroups.unified_hierarchy() or cgroups.memory_hierarchy()


def hooks(agent: Crier) -> dict[str, Any]:
    return {hook["event"]: hook.get("chosen") for hook in agent.lines[0].get("data.hooks", [])}


def missing(agent: Crier) -> list[str]:
    return [note["what"] for note in agent.lines[0].get("data.degraded", [])]


def was_reported(pid: int) -> bool:
    """Whether the kernel wrote its report of this kill: at most ten in 5 s on the whole machine, and others kill too."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                if f",pid={pid},uid=".encode() in os.read(log, 8192):
                    return True
            except BrokenPipeError:
                continue
            except BlockingIOError:
                return False
    finally:
        os.close(log)


def check_limit(oom: Line, **wanted: Any) -> None:
    """The limit is told where the log has it, and not made up where it has not."""
    if was_reported(oom.get("process.pid")):
        same(oom, data__limit__found_by="kernel_log", **wanted)
    else:
        assert oom.get("data.limit.bytes") is None, f"the log has no report: {oom}"


def check_kill(crier: Crier, container: Container) -> Line:
    """The kernel's log names the victim; the container's end is told as that."""
    exited = crier.wait_event("container.exited", container=container)
    oom = only(crier.events("container.oom", container=container), "container.oom")
    for line in (oom, exited):
        belongs(line, container)
    same(oom, data__scope="memcg", process__pid=container.pid, process__role="init", process__comm="trigger")
    same(oom, probe__hook="kmsg:oom")
    check_limit(oom, data__limit__bytes=LIMIT)
    assert LIMIT * 0.9 < oom.get("data.limit.usage_bytes", LIMIT) <= LIMIT, f"usage at the kill: {oom}"
    assert oom.get("data.victim.anon_rss_bytes", 0) > LIMIT // 2, f"{oom}"
    same(exited, data__cause="oom", data__exit_code=137, data__runtime__reason="OOMKilled")
    same(exited, correlation__incident_id=oom.get("correlation.incident_id"))
    causes = [cause.get("kind") for cause in exited.get("correlation.caused_by", [])]
    assert causes == ["container.oom"], f"container.exited is caused by {causes}"
    return oom


def test_start_says_what_is_missing(env: Env) -> None:
    chosen = hooks(env.crier)
    v2 = cgroups.memory_hierarchy().version == 2
    assert chosen["cgroup_mkdir"] == chosen["cgroup_rmdir"] == "inotify:cgroup", f"{chosen}"
    assert chosen["oom"] == "kmsg:oom", f"{chosen}"
    assert chosen["pressure"] == ("inotify:memory.events" if v2 else None), f"{chosen}"
    assert [chosen[name] for name in ("exec", "exit", "signal")] == [None] * 3, f"{chosen}"
    told = missing(env.crier)
    assert any("no eBPF: --ebpf off" in what for what in told), f"{told}"
    assert any("no process.exec" in what for what in told), f"{told}"
    health = env.crier.wait_event("agent.health", where=lambda line: line.get("data.component") == "kernel")
    same(health, data__state="degraded", data__reason="no eBPF: --ebpf off")


def test_a_life_by_directories_and_the_runtime(env: Env) -> None:
    container = env.pod("living").start("app", "onusr1", "exit", "3")
    created = env.crier.wait_event("container.created", container=container)
    started = env.crier.wait_event("container.started", container=container)
    for line in (created, started):
        belongs(line, container)
    same(created, probe__hook="inotify:cgroup", cgroup__path=container.cgroup)
    same(created, cgroup__id=str(os.stat(primary().path(container.cgroup)).st_ino))
    same(started, probe__hook="user", process__pid=container.pid, process__role="init")
    assert started.get("process.comm") is None and started.get("data.filename") is None, f"{started}"
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    belongs(exited, container)
    same(exited, data__cause="unknown", data__exit_code=3, data__runtime__exit_code=3, data__observed=None)
    assert exited.get("data.signal") is None, f"{exited}"
    container.remove()
    belongs(env.crier.wait_event("container.removed", 60, container=container), container)
    for kind in ("created", "started", "exited", "removed"):
        only(env.crier.events(f"container.{kind}", container=container), f"container.{kind}")
    assert not env.crier.events("process."), "nothing can have been seen of processes"


def test_chain_and_restart(env: Env) -> None:
    pod = env.pod("killed")
    container = pod.start("app", "onusr1", "hog", memory=LIMIT)
    inode = str(os.stat(cgroups.memory_hierarchy().path(container.cgroup)).st_ino)
    env.crier.wait_event("container.started", container=container)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    oom = check_kill(env.crier, container)
    same(oom, severity="fatal", data__victim_index=1)
    check_limit(oom, data__limit__level="container", data__limit__cgroup__id=inode)
    check_limit(oom, data__limit__cgroup__path=container.cgroup)
    again = pod.restart(container, "run")
    started = env.crier.wait_event("container.started", container=again)
    belongs(started, again)
    same(started, data__previous__container_id=container.id, data__previous__cause="oom")


def test_killed_at_once(env: Env) -> None:
    """It dies within a moment of its start: no line of its life is lost or out of order."""
    container = env.pod("brief").start("app", "hog", memory=LIMIT)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    same(exited, data__runtime__reason="OOMKilled")
    kinds = [line.type for line in env.crier.events("container.", container=container)]
    wanted = ["container.created", "container.started", "container.oom", "container.exited"]
    assert sorted(kinds) == sorted(wanted) and kinds.index("container.created") == 0, f"{kinds}"
    belongs(only(env.crier.events("container.oom", container=container), "container.oom"), container)


def test_child_dies_and_init_lives(env: Env) -> None:
    container = env.pod("worker").start("app", "hogchild", "0.5", memory=LIMIT)
    container.wait_log("signal 9")
    oom = env.crier.wait_event("container.oom", container=container)
    belongs(oom, container)
    assert oom.get("process.pid") not in (None, container.pid), f"{oom}"
    assert oom.get("process.role") is None, f"{oom}"
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    same(exited, data__cause="unknown", data__exit_code=0, data__runtime__reason="OOMKilled")
    only(env.crier.events("container.oom", container=container), "container.oom")


def test_every_victim_is_told_once(env: Env) -> None:
    container = env.pod("many").start("app", "hogmulti", "3", memory=LIMIT)
    container.wait_exit()
    env.crier.wait_event("container.exited", container=container)
    died = container.log().count("signal 9")
    victims = [line.get("process.pid") for line in env.crier.events("container.oom", container=container)]
    assert died == len(victims) == len(set(victims)), f"{died} processes died, told are {victims}"


def test_group_kill(env: Env) -> None:
    if cgroups.memory_hierarchy().version != 2:
        raise Skip("memory.oom.group is of cgroup v2, and the memory controller is on v1 here")
    container = env.pod("group").start("app", "hogmulti", "3", memory=LIMIT, unified={"memory.oom.group": "1"})
    container.wait_exit()
    same(env.crier.wait_event("container.exited", container=container), data__cause="oom")
    told = env.crier.events("container.oom", container=container)
    victims = {line.get("process.pid") for line in told}
    assert len(victims) == len(told) == 4, f"init and 3 children die together, told are {victims}"
    assert len({line.get("correlation.incident_id") for line in told}) == 1


def test_pod_limit(env: Env) -> None:
    pod = env.pod("limited", memory=LIMIT)
    container = pod.start("app", "hog", "0.3")
    container.wait_exit()
    oom = check_kill(env.crier, container)
    check_limit(oom, data__limit__level="pod", data__limit__cgroup__path=pod.cgroup)


def test_nested_cgroup(env: Env) -> None:
    container = env.pod("nested").start("app", "onusr1", "hog", memory=LIMIT)
    nested = f"{container.cgroup}/inner"
    cgroups.make(nested)
    for hierarchy in cgroups.hierarchies():
        (hierarchy.path(nested) / "cgroup.procs").write_text(str(container.pid), encoding="ascii")
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    oom = check_kill(env.crier, container)
    same(oom, attribution__via="ancestor", cgroup__path=nested)
    check_limit(oom, data__limit__level="container")


def test_victim_in_no_container(env: Env) -> None:
    hierarchy = cgroups.memory_hierarchy()
    group = f"/crier-test-{os.getpid()}"
    cgroups.make(group, only=hierarchy)
    cgroups.set_memory_limit(hierarchy, group, 32 * MIB)
    victim = subprocess.Popen([image.build_trigger(), "onusr1", "hog"])
    try:
        (hierarchy.path(group) / "cgroup.procs").write_text(str(victim.pid), encoding="ascii")
        proc.wait_expects(victim.pid, signal.SIGUSR1)
        victim.send_signal(signal.SIGUSR1)
        assert victim.wait(30) == -signal.SIGKILL
        oom = env.crier.wait_event("node.oom", where=lambda line: line.get("process.pid") == victim.pid)
        same(oom, data__scope="memcg", attribution__status="host")
        check_limit(oom, data__limit__bytes=32 * MIB)
        assert not [line for line in env.crier.events("container.oom") if line.get("process.pid") == victim.pid]
    finally:
        victim.kill()
        victim.wait()
        cgroups.remove(group)


def test_what_ran_before_is_a_snapshot(env: Env) -> None:
    container = env.pod("older").start("app", "onusr1", "hog", memory=LIMIT)
    agent = env.agent("--ebpf", "off")
    belongs(agent.wait_event("container.snapshot", container=container), container)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    check_kill(agent, container)
    assert not agent.events("container.created", container=container)
    assert not agent.events("container.started", container=container)
    env.finish(agent)


def test_without_a_runtime(env: Env) -> None:
    agent = env.agent("--ebpf", "off", cri_socket="none")
    container = env.pod("lonely").start("app", "onusr1", "hog", memory=LIMIT)
    created = agent.wait_event("container.created", container=container)
    same(created, k8s__pod__name="lonely", attribution__source="oci_bundle")
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    oom = agent.wait_event("container.oom", container=container)
    same(oom, process__pid=container.pid, process__role="init", k8s__pod__name="lonely")
    exited = agent.wait_event("container.exited", container=container)
    same(exited, data__cause="oom", data__exit_code=None, data__runtime=None)
    agent.wait_event("container.removed", container=container)
    env.finish(agent)


def test_a_storm_is_told_whole(env: Env) -> None:
    """The kernel's log leaves reports out after the tenth within 5 s: the victims are told all the same, and rightly."""
    pods = [env.pod(f"storm{i}") for i in range(2)]
    died: dict[str, int] = {}
    for turn in range(9):
        for pod in pods:
            container = pod.start(f"app{turn}", "hog", memory=LIMIT)
            container.wait_exit()
            died[container.id] = container.pid
            env.crier.wait_event("container.exited", container=container)
    for container_id in died:
        told = [line for line in env.crier.events("container.oom") if line.get("container.id") == container_id]
        same(only(told, "container.oom of each container"), attribution__status="full")
