"""The runtime's socket: absent, refused, hung, lying or late. It costs freshness, never an event."""
from __future__ import annotations

import signal
import socket as sockets
from pathlib import Path

from env import Env, belongs, only, same
from harness.crier import Crier
from harness.lines import Line
from harness.pod import MIB, Container
from harness.sockets import Garbage, Hung, Proxy


def die(container: Container) -> None:
    container.signal(signal.SIGUSR1)
    container.wait_exit()


def oom_is_told(agent: Crier, container: Container) -> Line:
    """One container.oom and one container.exited with the right container, whatever the runtime does."""
    die(container)
    exited = agent.wait_event("container.exited", container=container)
    oom = only(agent.events("container.oom", container=container), "container.oom")
    for line in (oom, exited):
        same(line, container__id=container.id, k8s__pod__uid=container.pod.uid)
        assert line.get("attribution.status") in ("full", "partial"), f"{line}"
        assert line.get("attribution.status") == "full" or line.get("attribution.reason"), f"no reason: {line}"
    same(exited, data__cause="oom")
    return oom


def victim(env: Env, name: str) -> Container:
    return env.pod(name).start("app", "onusr1", "hog", memory=64 * MIB)


def test_off(env: Env) -> None:
    """--cri-socket none: the OCI bundle on disk still names pod and container."""
    agent = env.agent(cri_socket="none")
    container = victim(env, "no-cri")
    oom = oom_is_told(agent, container)
    belongs(oom, container)
    same(oom, attribution__source="oci_bundle", data__limit__bytes=64 * MIB)
    env.finish(agent)


def test_off_for_what_runs_already(env: Env) -> None:
    container = victim(env, "no-cri-early")
    agent = env.agent(cri_socket="none")
    belongs(oom_is_told(agent, container), container)
    env.finish(agent)


def test_path_alone(env: Env) -> None:
    """Neither runtime nor bundle: the cgroup path gives ids, QoS class and runtime, and says why there is no more."""
    agent = env.agent(cri_socket="none", bundles=False, logs=False)
    oom = oom_is_told(agent, victim(env, "path-only"))
    same(oom, attribution__status="partial", attribution__reason="cri_off", k8s__qos_class="Burstable")
    env.finish(agent)


def test_frozen_runtime(env: Env) -> None:
    """containerd is stopped (SIGSTOP) before crier starts and while the container dies; the bundle names it."""
    container = victim(env, "frozen")
    env.node.containerd.pause()
    try:
        agent = env.agent()
        container.signal(signal.SIGUSR1)
        oom = agent.wait_event("container.oom", container=container)
        same(oom, container__id=container.id, k8s__pod__uid=container.pod.uid)
    finally:
        env.node.containerd.resume()
    container.wait_exit()
    exited = agent.wait_event("container.exited", container=container)
    same(exited, data__cause="oom")
    env.finish(agent)


def test_late_answer_mends(env: Env) -> None:
    """Lines that left without the pod's name are mended by one container.resolved when the runtime answers."""
    proxy = Proxy(env.folder("proxy") / "cri.sock", env.node.socket)
    with proxy:
        agent = env.agent(cri_socket=proxy.path, bundles=False, logs=False)
        proxy.stall()
        container = victim(env, "late")
        die(container)
        exited = agent.wait_event("container.exited", container=container)
        same(exited, attribution__status="partial")
        assert exited.get("attribution.reason") in ("cri_timeout", "cri_down"), f"{exited}"
        proxy.resume()
        resolved = agent.wait_event("container.resolved", container=container, seconds=60)
        belongs(resolved, container)
        same(resolved, data__mends__container_id=container.id)
        mended = [
            line
            for line in agent.events(container=container)
            if line.get("attribution.status") in ("partial", "none")
            and resolved.get("data.mends.from_seq") <= line.seq <= resolved.get("data.mends.to_seq")
        ]
        assert exited in mended, f"{resolved} does not mend {exited}"
        assert resolved.get("data.mends.count") == len(mended), f"{resolved} for {len(mended)} lines"
        env.finish(agent)


def test_stalled_runtime_delays_nobody(env: Env) -> None:
    """The runtime's answers stop in the middle: the first container finds that out, the others do not wait at all."""
    proxy = Proxy(env.folder("proxy") / "cri.sock", env.node.socket)
    with proxy:
        agent = env.agent("--cri-timeout", "5s", profile="process", cri_socket=proxy.path)
        answered = env.pod("answered").start("app", "exit", "0")
        agent.wait_event("container.exited", container=answered)
        proxy.stall()
        pod = env.pod("stalled")
        stalled = [pod.start(f"app{number}", "exit", "3", "0.1") for number in range(6)]
        waited = set()
        for container in stalled:
            exited = agent.wait_event("container.exited", container=container)
            belongs(exited, container)
            same(exited, data__cause="exit", data__exit_code=3, attribution__source="oci_bundle")
            lines = agent.events(container=container)
            assert all(line.get("attribution.status") == "full" for line in lines), f"{lines}"
            waited |= {container.id for line in lines if line.get("attribution.wait_us")}
        assert waited <= {stalled[0].id}, f"{len(waited)} of {len(stalled)} containers waited"
        proxy.resume()
        env.finish(agent)


def told_while_broken(env: Env, socket: Path, name: str) -> None:
    agent = env.agent(cri_socket=socket)
    container = victim(env, name)
    belongs(oom_is_told(agent, container), container)
    health = agent.wait_event("agent.health", where=lambda line: line.get("data.component") == "cri", seconds=30)
    assert health.get("data.state") in ("degraded", "down"), f"{health}"
    assert health.get("data.reason") and health.get("data.remedy"), f"{health}"
    env.finish(agent)


def test_socket_is_missing(env: Env) -> None:
    told_while_broken(env, env.folder("sockets") / "missing.sock", "missing")


def test_socket_is_a_file(env: Env) -> None:
    path = env.folder("sockets") / "file.sock"
    path.write_text("no socket\n", encoding="ascii")
    told_while_broken(env, path, "file")


def test_socket_refuses(env: Env) -> None:
    path = env.folder("sockets") / "dead.sock"
    # Bound, but no one listens.
    dead = sockets.socket(sockets.AF_UNIX)
    dead.bind(str(path))
    dead.close()
    told_while_broken(env, path, "refused")


def test_socket_hangs(env: Env) -> None:
    with Hung(env.folder("sockets") / "hung.sock") as server:
        told_while_broken(env, server.path, "hung")


def test_socket_talks_garbage(env: Env) -> None:
    with Garbage(env.folder("sockets") / "garbage.sock") as server:
        told_while_broken(env, server.path, "garbage")


def test_runtime_restarts(env: Env) -> None:
    """containerd ends and comes back; containers live on, nothing is told as exited, new ones are attributed."""
    agent = env.agent("--reconcile-interval", "1s")
    container = env.pod("survivor").start("app", "run")
    agent.wait_event("container.started", container=container)
    env.node.containerd.terminate()
    agent.wait_event("agent.health", where=lambda line: line.get("data.component") == "cri", seconds=30)
    env.node.containerd.start()
    env.node.cri.wait_ready()
    later = env.pod("newcomer").start("app", "run")
    belongs(agent.wait_event("container.started", container=later), later)
    assert not agent.events("container.exited", container=container)
    assert not agent.events("container.removed", container=container)
    agent.wait_event("agent.health", where=lambda line: line.get("data.state") == "ok")
    env.finish(agent)
