"""Out of memory: who died, whose limit it was, and one incident from the kill to the restart."""
from __future__ import annotations

import os
import signal
import subprocess

from env import Env, Skip, belongs, only, same
from harness import cgroups, image, proc
from harness.crier import Crier
from harness.lines import Line
from harness.pod import MIB, Container

PROFILE = "default"
LIMIT = 64 * MIB
# What the runtime may call an OOM kill; a slow one (emulated) may hear of the exit first, and then it says Error.
REASONS = ["OOMKilled"]


def kills(crier: Crier, container: Container) -> list[Line]:
    return crier.events("container.oom", container=container)


def dead_of_oom(line: Line) -> bool:
    return bool(line.get("data.oom_killed")) and line.get("data.signal") == signal.SIGKILL


def check_chain(crier: Crier, container: Container) -> Line:
    """The whole story of a container whose init was OOM-killed; returns its container.exited."""
    exited = crier.wait_event("container.exited", container=container)
    oom = only(kills(crier, container), "container.oom")
    crier.wait_event("process.exit", container=container, where=dead_of_oom)
    exit_line = only(crier.events("process.exit", container=container, where=dead_of_oom), "the victim's process.exit")
    for line in (oom, exit_line, exited):
        belongs(line, container)
    same(oom, data__scope="memcg", process__pid=container.pid)
    same(exit_line, process__pid=container.pid, data__container_init=True)
    same(exited, data__cause="oom", data__exit_code=137, data__runtime__exit_code=137)
    assert exited.get("data.runtime.reason") in REASONS, f"{exited}"
    incidents = {line.get("correlation.incident_id") for line in (oom, exit_line, exited)}
    assert len(incidents) == 1 and None not in incidents, f"one death has the incidents {incidents}"
    assert only(crier.events("container.exited", container=container), "container.exited") is exited
    return exited


def test_chain_and_restart(env: Env) -> None:
    pod = env.pod("cart-7d9f8b6c5-x2x4k", labels={"app": "cart"})
    container = pod.start("app", "onusr1", "hog", memory=LIMIT)
    limited = container.limited_cgroup()
    inode = str(os.stat(cgroups.memory_hierarchy().path(limited)).st_ino)
    belongs(env.crier.wait_event("container.started", container=container), container)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = check_chain(env.crier, container)
    oom = kills(env.crier, container)[0]
    same(oom, severity="fatal", priority="critical", data__limit__level="container", data__limit__bytes=LIMIT)
    same(oom, data__limit__cgroup__id=inode, data__limit__cgroup__path=limited, data__victim_index=1)
    assert oom.get("data.victim.rss_bytes", 0) > LIMIT // 2, f"a victim that filled {LIMIT} bytes has {oom}"
    # Usage is read at the kill, a moment in which the victim's last charge was refused.
    assert LIMIT * 0.9 < oom.get("data.limit.usage_bytes", 0) <= LIMIT, f"usage at the kill: {oom}"
    causes = [cause.get("kind") for cause in exited.get("correlation.caused_by", [])]
    assert "container.oom" in causes, f"container.exited is caused by {causes}: {exited}"

    again = pod.restart(container, "run")
    started = env.crier.wait_event("container.started", container=again)
    belongs(started, again)
    same(started, k8s__container__restart_count=1, data__previous__container_id=container.id)
    same(started, data__previous__cause="oom", data__previous__exit_code=137)
    same(started, data__previous__incident_id=exited.get("correlation.incident_id"))
    assert again.running() and not env.crier.events("container.exited", container=again)


def test_child_dies_and_init_lives(env: Env) -> None:
    pod = env.pod("worker")
    container = pod.start("app", "hogchild", "0.5", memory=LIMIT)
    container.wait_log("signal 9")
    child = env.crier.wait_event("process.exit", container=container, where=dead_of_oom)
    same(child, data__container_init=False)
    oom = only(kills(env.crier, container), "container.oom")
    belongs(oom, container)
    same(oom, process__pid=child.get("process.pid"))
    assert oom.get("process.pid") != container.pid
    assert not env.crier.events("container.exited", container=container), "told as exited while init lives"
    container.signal(signal.SIGUSR1)
    assert container.wait_exit().exit_code == 0
    exited = env.crier.wait_event("container.exited", container=container)
    # The kernel's fact is an exit; the runtime still says OOMKilled, and both are told.
    same(exited, data__cause="exit", data__exit_code=0, data__runtime__reason="OOMKilled")
    only(kills(env.crier, container), "container.oom")


def test_every_victim_is_told_once(env: Env) -> None:
    container = env.pod("many").start("app", "hogmulti", "3", memory=LIMIT)
    container.wait_exit()
    env.crier.wait_event("container.exited", container=container)
    died = container.log().count("signal 9")
    victims = [line.get("process.pid") for line in kills(env.crier, container)]
    assert died == len(victims) == len(set(victims)), f"{died} processes died, told are {victims}"
    exits = env.crier.events("process.exit", container=container, where=dead_of_oom)
    assert sorted(victims) == sorted(line.get("process.pid") for line in exits)


def test_group_kill(env: Env) -> None:
    if cgroups.memory_hierarchy().version != 2:
        raise Skip("memory.oom.group is of cgroup v2, and the memory controller is on v1 here")
    container = env.pod("group").start("app", "hogmulti", "3", memory=LIMIT, unified={"memory.oom.group": "1"})
    container.wait_exit()
    check = env.crier.wait_event("container.exited", container=container)
    same(check, data__cause="oom")
    told = kills(env.crier, container)
    victims = {line.get("process.pid") for line in told}
    assert len(victims) == len(told) == 4, f"init and 3 children die together, told are {victims}"
    assert all(line.get("data.group_kill") for line in told)
    assert len({line.get("correlation.incident_id") for line in told}) == 1


def test_pod_limit(env: Env) -> None:
    pod = env.pod("limited", memory=LIMIT)
    container = pod.start("app", "hog", "0.3")
    container.wait_exit()
    check_chain(env.crier, container)
    oom = kills(env.crier, container)[0]
    same(oom, data__limit__level="pod", data__limit__bytes=LIMIT, data__limit__cgroup__path=pod.cgroup)


def test_nested_cgroup(env: Env) -> None:
    container = env.pod("nested").start("app", "onusr1", "hog", memory=LIMIT)
    nested = f"{container.cgroup}/inner"
    cgroups.make(nested)
    for hierarchy in cgroups.hierarchies():
        (hierarchy.path(nested) / "cgroup.procs").write_text(str(container.pid), encoding="ascii")
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    check_chain(env.crier, container)
    oom = kills(env.crier, container)[0]
    same(oom, data__limit__level="container", attribution__via="ancestor", cgroup__path=nested)


def test_too_small_for_the_runtime(env: Env) -> None:
    """runc's own init is the victim: the container dies before its program ever ran."""
    container = env.pod("tiny").create("app", "run", memory=1 * MIB)
    try:
        container.start()
    except RuntimeError:
        exited = env.crier.wait_event("container.exited", container=container)
        belongs(exited, container)
        assert exited.get("data.cause") in ("oom", "start_failed"), f"{exited}"
        return
    raise Skip("the runtime fits into 1 MiB here")


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
        assert victim.wait(30) == -signal.SIGKILL  # gone and reaped: nobody's /proc tells the path
        oom = env.crier.wait_event("node.oom", where=lambda line: line.get("process.pid") == victim.pid)
        same(oom, data__scope="memcg", data__limit__level="other", data__limit__bytes=32 * MIB, attribution__status="host")
        same(oom, data__limit__cgroup__path=group)
        assert not [line for line in env.crier.events("container.oom") if line.get("process.pid") == victim.pid]
    finally:
        victim.kill()
        victim.wait()
        cgroups.remove(group)
