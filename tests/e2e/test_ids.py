"""Pids and ids that come back: the next owner of a pid inherits nothing from the one before."""
from __future__ import annotations

import os
import signal

from env import Env, only, same
from harness import bare
from harness.crier import Crier
from harness.lines import Line


def exits_of(agent: Crier, pid: int, count: int) -> list[Line]:
    where = lambda line: line.get("process.pid") == pid  # noqa: E731
    return agent.wait_for(
        lambda c: len(found := c.events("process.exit", where=where)) >= count and found, f"{count} exits of pid {pid}"
    )


def test_same_pid_twice(env: Env) -> None:
    """A worker is killed; its pid is given to another one, which ends by itself."""
    agent = env.agent(profile="full", cri_socket="none")
    with bare.BarePod() as pod:
        container = pod.container()
        container.spawn("run")
        first = container.spawn("run")
        agent.wait_for(lambda c: c.events("process.exec", where=lambda l: l.get("process.pid") == first), "the exec")
        os.kill(first, signal.SIGKILL)
        assert container.reap(first) == -signal.SIGKILL
        assert container.spawn("exit", "7", "0.1", pid=first) == first
        assert container.reap(first) == 7
        killed, ended = exits_of(agent, first, 2)
        same(killed, data__signal=9)
        same(ended, data__exit_code=7, correlation__caused_by=None, correlation__incident_id=None)
        keys = [line.get("correlation.process_key") for line in (killed, ended)]
        assert keys[0] != keys[1], f"{keys}"
        executed = agent.events("process.exec", where=lambda l: l.get("process.pid") == first)
        assert [line.get("correlation.process_key") for line in executed] == keys, f"{keys} {executed}"
        assert only(killed.get("correlation.caused_by"), "the cause")["basis"] == "signal_target"
    env.finish(agent)


def test_next_container_has_the_pid_of_the_last(env: Env) -> None:
    """Two containers, one after the other, with one and the same init pid: two starts, two ends, each its own."""
    agent = env.agent(profile="process", cri_socket="none")
    with bare.BarePod() as pod:
        boxes = [pod.container() for _ in range(4)]
        pid = boxes[0].spawn("exit", "1", "0.1", namespace=True)
        boxes[0].reap(pid)
        for number, box in enumerate(boxes[1:], 2):
            assert box.spawn("exit", str(number), "0.1", pid=pid, namespace=True) == pid
            box.reap(pid)
        keys = set()
        for number, box in enumerate(boxes, 1):
            of = lambda line, box=box: line.get("container.id") == box.id  # noqa: E731
            exited = agent.wait_for(lambda c, of=of: c.events("container.exited", where=of), f"the end of {number}")
            same(only(exited, "container.exited"), data__cause="exit", data__exit_code=number)
            ended = only(agent.events("process.exit", where=of), "process.exit")
            same(ended, process__pid=pid, process__role="init", data__container_init=True)
            same(only(agent.events("container.started", where=of), "container.started"), process__pid=pid)
            keys.add(ended.get("correlation.process_key"))
        assert len(keys) == len(boxes), f"{keys}"
    env.finish(agent)


def seeded(env: Env, agent_options: dict[str, object]) -> None:
    with bare.BarePod() as pod:
        box = pod.container()
        init = box.spawn("run", namespace=True)
        agent = env.agent(profile="process", cri_socket="none", **agent_options)  # type: ignore[arg-type]
        of = lambda line: line.get("container.id") == box.id  # noqa: E731
        snapshot = agent.wait_event("container.snapshot", where=of)
        same(snapshot, container__init_pid=init, data__state="running")
        os.kill(init, signal.SIGKILL)
        box.reap(init)
        # The same pid again, in the same cgroup: not the init that was there.
        assert box.spawn("exit", "5", "0.1", pid=init) == init
        box.reap(init)
        killed, other = exits_of(agent, init, 2)
        same(killed, data__container_init=True, process__role="init")
        same(other, data__container_init=False, process__role=None)
        same(only(agent.events("container.exited", where=of), "container.exited"), data__cause="signal", data__signal=9)
        env.finish(agent)


def test_seeded_init_is_known_by_its_kernel_key(env: Env) -> None:
    """An init that lived before crier: the key of its seed is the key of its exit."""
    seeded(env, {})
