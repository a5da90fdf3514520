"""A container's life: created, started, exited for a stated cause, removed; and what is said of its pod."""
from __future__ import annotations

import signal

from env import Env, belongs, only, same
from harness.pod import MIB, Container

PROFILE = "default"
# So that a removal, which only the runtime's list tells, is seen soon.
FLAGS = ["--reconcile-interval", "1s"]


def exited(env: Env, container: Container, **wanted: object) -> object:
    """The one container.exited, with the right pod and the wanted fields."""
    line = env.crier.wait_event("container.exited", container=container)
    belongs(line, container)
    same(line, **wanted)
    return line


def test_life_in_order(env: Env) -> None:
    pod = env.pod("life")
    container = pod.start("app", "exit", "0", "0.5")
    exited(env, container, data__cause="exit", data__exit_code=0, data__runtime__reason="Completed")
    container.wait_exit()
    container.remove()
    removed = env.crier.wait_event("container.removed", container=container)
    belongs(removed, container)
    order = [line.type for line in env.crier.events("container.", container=container)]
    assert order == ["container.created", "container.started", "container.exited", "container.removed"], f"{order}"


def test_exit_code(env: Env) -> None:
    container = env.pod("three").start("app", "exit", "3")
    exited(env, container, data__cause="exit", data__exit_code=3, data__runtime__exit_code=3)
    line = env.crier.wait_event("process.exit", container=container, where=lambda l: l.get("data.container_init"))
    same(line, data__exit_code=3, data__signal=None)


def test_crash(env: Env) -> None:
    container = env.pod("crash").start("app", "segv", "0.3")
    line = exited(env, container, data__cause="signal", data__signal=11, data__signal_name="SIGSEGV", data__exit_code=139)
    death = env.crier.wait_event("process.exit", container=container, where=lambda l: l.get("data.container_init"))
    same(death, data__signal=11, data__exit_code=None, process__pid=container.pid)
    assert death.get("correlation.incident_id") == line.get("correlation.incident_id") is not None
    assert not env.crier.events("container.oom", container=container)


def test_child_aborts(env: Env) -> None:
    container = env.pod("abort").start("app", "abort")
    exited(env, container, data__cause="exit", data__exit_code=134)
    child = env.crier.wait_event("process.exit", container=container, where=lambda l: l.get("data.signal") == 6)
    same(child, data__container_init=False, data__signal_name="SIGABRT")


def test_stopped_within_grace(env: Env) -> None:
    container = env.pod("polite").start("app", "run")
    container.stop(10)
    exited(env, container, data__cause="exit", data__exit_code=0, data__stop__signal=15, data__stop__escalated_to=None)


def test_sigterm_ignored_until_sigkill(env: Env) -> None:
    container = env.pod("stubborn").start("app", "ignoreterm", grace_s=1)
    container.stop()
    stop = {"data__stop__signal": 15, "data__stop__signal_name": "SIGTERM", "data__stop__escalated_to": 9}
    line = exited(env, container, data__cause="signal", data__signal=9, data__exit_code=137, **stop)
    same(line, data__stop__grace_period_s=1)
    assert line.get("data.stop.after_ms", 0) >= 1000, f"killed before the grace time was over: {line}"
    asked = env.crier.events("process.signal", container=container, where=lambda l: l.get("data.signal") == 15)
    same(only(asked, "the SIGTERM"), data__stop=True, data__sender="process", process__pid=container.pid)
    assert asked[0].get("actor.pid") and asked[0].get("correlation.incident_id") == line.get("correlation.incident_id")
    assert not env.crier.events("container.oom", container=container), "137 is no OOM"


def test_killed_from_outside(env: Env) -> None:
    container = env.pod("shot").start("app", "run")
    container.signal(signal.SIGKILL)
    line = exited(env, container, data__cause="signal", data__signal=9, data__exit_code=137)
    assert line.get("data.stop.sender.comm") or line.get("data.stop.signal") == 9, f"the killer is not told: {line}"


def test_runs_on(env: Env) -> None:
    container = env.pod("runner").start("app", "run")
    belongs(env.crier.wait_event("container.created", container=container), container)
    belongs(env.crier.wait_event("container.started", container=container), container)
    assert not env.crier.events("container.exited", container=container)


def test_never_started(env: Env) -> None:
    container = env.pod("nostart").create("app", command=["/not-in-the-image"])
    try:
        container.start()
        raise AssertionError("a container without its program was started")
    except RuntimeError:
        pass
    line = env.crier.wait_event("container.exited", container=container)
    belongs(line, container)
    same(line, data__cause="start_failed")
    assert not env.crier.events("container.started", container=container)


def test_restarts_are_linked(env: Env) -> None:
    pod = env.pod("again")
    first = pod.start("app", "exit", "7")
    death = exited(env, first, data__exit_code=7)
    second = pod.restart(first, "segv")
    started = env.crier.wait_event("container.started", container=second)
    same(started, data__previous__container_id=first.id, data__previous__cause="exit", data__previous__exit_code=7)
    assert started.get("data.previous.incident_id") == death.get("correlation.incident_id")
    exited(env, second, data__cause="signal")
    third = pod.restart(second, "run")
    started = env.crier.wait_event("container.started", container=third)
    same(started, k8s__container__restart_count=2, data__previous__container_id=second.id, data__previous__cause="signal")
    slots = {line.get("correlation.container_slot") for line in env.crier.events("container.started", pod=pod)}
    assert f"{pod.uid}/app" in slots, f"{slots}"


def test_restart_after_all_else_is_forgotten(env: Env) -> None:
    """The back-off may be longer than a dead container is remembered: its slot still knows its last death."""
    agent = env.agent("--tombstone-age", "1s", "--reconcile-interval", "1s", "--stats-interval", "1s")
    pod = env.pod("patient")
    first = pod.start("app", "exit", "9")
    agent.wait_event("container.exited", container=first)
    first.wait_exit()
    first.remove()
    agent.wait_event("container.removed", container=first)
    # The dead are looked through every ten seconds.
    buried = agent.events("container.removed", container=first)[0].seq
    gone = lambda line: line.seq > buried and line.get("data.tables.tombstones") == 0  # noqa: E731
    agent.wait_event("agent.stats", where=gone, seconds=40)
    second = pod.restart(first, "run")
    started = agent.wait_event("container.started", container=second)
    same(started, data__previous__container_id=first.id, data__previous__exit_code=9)
    env.finish(agent)


def test_what_is_known_of_the_pod(env: Env) -> None:
    labels = {"app": "cart", "pod-template-hash": "7d9f8b6c5", "app.kubernetes.io/version": "1.8.2", "secret-team": "x"}
    pod = env.pod("cart-7d9f8b6c5-x2x4k", namespace="prod", labels=labels)
    container = pod.start("app", "run", memory=64 * MIB, cpu_quota_us=50_000)
    line = env.crier.wait_event("container.started", container=container)
    belongs(line, container)
    same(line, k8s__cluster__name="test-cluster", k8s__node__name="test-node", k8s__qos_class="Burstable")
    same(line, k8s__pod__label={"app": "cart", "app.kubernetes.io/version": "1.8.2"})
    same(line, k8s__replicaset__name="cart-7d9f8b6c5", k8s__workload__inferred={"kind": "Deployment", "name": "cart"})
    same(line, container__name="app", container__runtime__name="containerd")
    assert line.get("container.type") is None, f"nothing in the runtime says app or init container: {line}"
    same(line, container__limits__memory_bytes=64 * MIB, container__limits__cpu_quota_us=50_000)
    same(line, container__limits__cpu_period_us=100_000, container__init_pid=container.pid)
    assert "crier-trigger" in line.get("container.image.name", ""), f"{line}"
    assert line.get("container.started_at") and line.get("cgroup.path") == container.cgroup, f"{line}"
    assert line.get("container.runtime.version") and env.node.runtime.endswith(line.get("container.runtime.version"))


def test_quality_of_service_and_uid_forms(env: Env) -> None:
    """Guaranteed pods have no level of their own; a static pod's uid is 32 hex digits without dashes."""
    best = env.pod("best", qos="BestEffort").start("app", "run")
    sure = env.pod("static", qos="Guaranteed", uid="0123456789abcdef0123456789abcdef").start("app", "run")
    for container, qos in ((best, "BestEffort"), (sure, "Guaranteed")):
        line = env.crier.wait_event("container.started", container=container)
        belongs(line, container)
        same(line, k8s__qos_class=qos)


def test_sandbox_is_no_app_container(env: Env) -> None:
    pod = env.pod("sandbox")
    pod.start("app", "run")
    line = env.crier.wait_event("container.created", where=lambda l: l.get("container.id") == pod.sandbox_id)
    same(line, container__type="sandbox", k8s__pod__name=pod.name)


def test_snapshot_of_what_runs_already(env: Env) -> None:
    container = env.pod("early").start("app", "run")
    agent = env.agent()
    line = agent.wait_event("container.snapshot", container=container)
    belongs(line, container)
    same(line, data__state="running", container__init_pid=container.pid)
    for kind in ("container.created", "container.started"):
        assert not agent.events(kind, container=container), f"{kind} of a container that was there before"
    env.finish(agent)
