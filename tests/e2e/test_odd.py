"""Nested and odd: each case of the table in docs/attribution.md, as it is told."""
from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from pathlib import Path

from env import Env, Skip, belongs, only, same
from harness import bare, cgroups
from harness.cri import CriError, pb
from harness.crier import Crier
from harness.lines import Line
from harness.pod import MIB, Container

PROFILE = "process"


def exit_of(agent: Crier, pid: int, container: Container | None = None) -> Line:
    return agent.wait_event("process.exit", container=container, where=lambda line: line.get("process.pid") == pid)


def one_end(agent: Crier, container: Container, **wanted: object) -> Line:
    """The only container.exited, also a moment later."""
    line = agent.wait_event("container.exited", container=container)
    belongs(line, container)
    same(line, **wanted)
    time.sleep(1)
    return only(agent.events("container.exited", container=container), "container.exited")


def below(container: Container, name: str) -> str:
    """A cgroup inside a container's, as systemd, docker or crun make it."""
    path = f"{container.cgroup}/{name}"
    cgroups.make(path)
    return path


def spawn_in(cgroup: str, *args: str) -> tuple[bare.Bare, int]:
    box = bare.Bare(cgroup)
    return box, box.spawn(*args)


def test_crun(env: Env) -> None:
    try:
        container = env.pod("crun", runtime="crun").start("app", "onusr1", "hog", memory=64 * MIB)
    except CriError as error:
        raise Skip(f"crun runs no container here: {str(error).rpartition('failed: ')[2]}") from None
    belongs(env.crier.wait_event("container.started", container=container), container)
    container.signal(signal.SIGUSR1)
    oom = env.crier.wait_event("container.oom", container=container)
    belongs(oom, container)
    same(oom, data__limit__level="container", data__limit__bytes=64 * MIB)
    one_end(env.crier, container, data__cause="oom", data__exit_code=137)


def test_all_in_a_sub_cgroup(env: Env) -> None:
    """crun with the systemd driver and systemd in a container: init and all others live in cgroups of their own below."""
    container = env.pod("crunlike").start("app", "run")
    bare.move(container.pid, below(container, "container"))
    box, child = spawn_in(f"{container.cgroup}/system.slice/x.service", "exit", "5", "0.5")
    with box:
        line = exit_of(env.crier, child)
        belongs(line, container)
        same(line, attribution__via="ancestor", data__container_init=False)
        box.reap(child)
    # One that comes now finds init in the sub-cgroup, by the processes alive at its start.
    late = env.agent(profile="process")
    belongs(late.wait_event("container.snapshot", container=container), container)
    container.signal(signal.SIGKILL)
    for agent in (env.crier, late):
        line = exit_of(agent, container.pid, container)
        same(line, data__container_init=True, attribution__via="ancestor")
        one_end(agent, container, data__cause="signal", data__signal=9)
    env.finish(late)


def test_docker_in_a_pod(env: Env) -> None:
    """A container made inside a container is the outer one's: the pod answers for it, and no runtime here knows it."""
    container = env.pod("dind").start("dind", "run")
    inner = secrets.token_hex(32)
    box, child = spawn_in(f"{container.cgroup}/docker/{inner}", "exit", "4", "0.2")
    with box:
        line = exit_of(env.crier, child)
        belongs(line, container)
        same(line, attribution__via="ancestor")
        box.reap(child)
    assert not env.crier.events(where=lambda each: each.get("container.id") == inner)
    assert not env.crier.events("container.exited", container=container)


def init_is_found(env: Env, container: Container) -> None:
    started = env.crier.wait_event("container.started", container=container)
    belongs(started, container)
    same(started, process__pid=container.pid, process__role="init", container__init_pid=container.pid)
    assert container.exec("/trigger", "exit", "6")[0] == 6
    worker = env.crier.wait_event("process.exit", container=container, where=lambda l: l.get("data.exit_code") == 6)
    same(worker, data__container_init=False)
    only(env.crier.events("container.started", container=container), "container.started")
    container.signal(signal.SIGKILL)
    one_end(env.crier, container, data__cause="signal", data__signal=9)


def test_host_pid(env: Env) -> None:
    """hostPID: no process is pid 1 of anything; the runtime states the init."""
    init_is_found(env, env.pod("hostpid", pid_namespace=pb.NODE).start("app", "run"))


def test_shared_pid_namespace(env: Env) -> None:
    """shareProcessNamespace: pid 1 is the sandbox's."""
    init_is_found(env, env.pod("shared", pid_namespace=pb.POD).start("app", "run"))


def test_host_network(env: Env) -> None:
    """Every pod of this harness has the host's network: no address of its own is told, and not the node's."""
    container = env.pod("hostnet").start("app", "run")
    same(env.crier.wait_event("container.started", container=container), k8s__pod__ip=None)


def test_init_moved_out(env: Env) -> None:
    """Its cgroup is empty, and still it has not ended; its events are of where it is."""
    container = env.pod("moved-out").start("app", "run")
    env.crier.wait_event("container.started", container=container)
    with bare.Bare(f"{container.pod.cgroup}/elsewhere") as box:
        bare.move(container.pid, box.cgroup)
        time.sleep(2)
        assert not env.crier.events("container.exited", container=container), "it lives"
        container.signal(signal.SIGKILL)
        line = env.crier.wait_event("process.exit", where=lambda each: each.get("process.pid") == container.pid)
        same(line, container__id=None, k8s__pod__uid=container.pod.uid, attribution__reason="pod_level")
        one_end(env.crier, container, data__cause="signal", data__signal=9)


def test_moved_in(env: Env) -> None:
    """A process put into a container's cgroup by hand is a member while it is there; its past is not rewritten."""
    container = env.pod("moved-in").start("app", "run")
    env.crier.wait_event("container.started", container=container)
    with bare.Bare(f"/crier-test-{secrets.token_hex(4)}") as box:
        child = box.spawn("run")
        bare.move(child, container.cgroup)
        os.kill(child, signal.SIGKILL)
        box.reap(child)
        line = exit_of(env.crier, child, container)
        belongs(line, container)
        same(line, data__container_init=False, data__signal=9)
    only(env.crier.events("container.started", container=container), "container.started")
    assert not env.crier.events("container.exited", container=container)


def test_helper_is_oom_killed(env: Env) -> None:
    """The pod's limit kills runc:[2:INIT]: an OOM of a runtime's helper, and a container that never started."""
    pod = env.pod("tight")
    memory = cgroups.memory_hierarchy()
    usage = memory.path(pod.cgroup) / ("memory.usage_in_bytes" if memory.version == 1 else "memory.current")
    # A little more than the sandbox needs, and less than runc's init does.
    for _ in range(20):
        with contextlib.suppress(OSError):
            cgroups.set_memory_limit(memory, pod.cgroup, int(usage.read_text(encoding="ascii")) + MIB // 2)
        time.sleep(0.1)
    container = pod.create("app", "run")
    try:
        container.launch()
        raise AssertionError("a limit of half a megabyte did not stop runc")
    except CriError:
        pass
    oom = env.crier.wait_event("container.oom", container=container)
    belongs(oom, container)
    same(oom, process__role="runtime_helper", data__limit__level="pod")
    assert oom.get("process.comm", "").startswith("runc"), f"{oom}"
    exited = one_end(env.crier, container, data__cause="start_failed")
    assert exited.get("correlation.incident_id") == oom.get("correlation.incident_id"), f"{exited}"
    assert not env.crier.events("container.started", container=container)


# ---- where crier itself runs


def story(env: Env, agent: Crier, container: Container) -> None:
    """One that ran before crier dies of OOM; one made later starts and ends."""
    belongs(agent.wait_event("container.snapshot", container=container), container)
    container.signal(signal.SIGUSR1)
    oom = agent.wait_event("container.oom", container=container)
    belongs(oom, container)
    same(oom, data__limit__level="container", process__role="init", cgroup__path=container.cgroup)
    one_end(agent, container, data__cause="oom")
    later = env.pod("later").start("app", "exit", "3", "0.3")
    belongs(agent.wait_event("container.started", container=later), later)
    one_end(agent, later, data__cause="exit", data__exit_code=3)


def wrapped(env: Env, *under: str) -> Crier:
    agent = env.agent(profile="process", under=under)
    same(agent.lines[0], type="agent.start")
    return agent


def finish_wrapped(agent: Crier) -> None:
    """unshare(1) lets no SIGTERM through to its child."""
    children = Path(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(only(children, "a child of unshare")), signal.SIGTERM)
    agent.wait_event("agent.stop")
    agent.process.wait(10)
    agent.check()


def test_own_cgroup_namespace(env: Env) -> None:
    container = env.pod("cgroupns").start("app", "onusr1", "hog", memory=64 * MIB)
    agent = wrapped(env, "unshare", "--cgroup")
    story(env, agent, container)
    env.finish(agent)


def test_own_pid_namespace(env: Env) -> None:
    """Pids in lines are the node's; what crier cannot see from inside is said, and the runtime states the inits."""
    container = env.pod("pidns").start("app", "onusr1", "hog", memory=64 * MIB)
    agent = wrapped(env, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    what = [each["what"] for each in agent.lines[0].get("data.degraded", [])]
    assert only([each for each in what if "does not show the node's processes" in each], "the degraded note"), f"{what}"
    assert not [each for each in what if "did not fire" in each], f"{what}"
    story(env, agent, container)
    finish_wrapped(agent)


def test_pid_namespace_with_the_hosts_proc(env: Env) -> None:
    """The node's /proc below --host-root shows who is alive, and lacks only what crier's own namespace hides."""
    container = env.pod("hostproc").start("app", "onusr1", "hog", memory=64 * MIB)
    root = env.folder("host")
    for name in ("proc", "sys"):
        (root / name).mkdir()
    script = f"mount --rbind /proc {root}/proc && mount --rbind /sys {root}/sys && mount -t proc proc /proc && exec \"$@\""
    flags = ["--host-root", str(root), "--runtime-state-dir", str(Path("/") / "nowhere")]
    agent = env.agent(
        *flags, profile="process", cri_socket="none",
        under=("unshare", "--pid", "--fork", "--mount", "--kill-child", "sh", "-c", script, "sh"),
    )  # fmt: skip
    notes = [each["what"] for each in agent.lines[0].get("data.degraded", [])]
    assert not [each for each in notes if "/proc" in each], f"{notes}"
    agent.wait_event("container.snapshot", container=container)
    container.signal(signal.SIGUSR1)
    # Nobody but the node's /proc could tell that this is the container's init: no bundle, no runtime.
    line = exit_of(agent, container.pid, container)
    same(line, data__container_init=True, container__id=container.id)
    finish_wrapped(agent)
