"""Processes in containers: exec, fork, exit; whatever they call themselves; and storms with every loss accounted."""
from __future__ import annotations

import signal

from env import Env, same
from harness.crier import Crier
from harness.lines import Line
from harness.pod import MIB, Container
from test_oom import check_chain

PROFILE = "full"
UNLIMITED = ["--event-rate", "0", "--max-output-bytes", "0"]
FLAGS = UNLIMITED
STORM = 20_000


def test_exec_in_a_container(env: Env) -> None:
    container = env.pod("probe").start("app", "run")
    assert container.exec("/trigger", "exit", "5")[0] == 5
    ended = env.crier.wait_event("process.exit", container=container, where=lambda l: l.get("data.exit_code") == 5)
    belongs_lean(ended, container)
    same(ended, data__container_init=False)
    pid = ended.get("process.pid")
    executed = env.crier.events("process.exec", container=container, where=lambda l: l.get("process.pid") == pid)
    assert executed, f"no process.exec of pid {pid}"
    same(executed[-1], data__filename="/trigger", data__args_count=3, process__comm="trigger")
    assert executed[-1].get("data.args") is None, "arguments are off unless asked for"
    key = executed[-1].get("correlation.process_key")
    assert key and key == ended.get("correlation.process_key"), "one process, one key"
    assert executed[-1].seq < ended.seq, "exec precedes exit"


def belongs_lean(line: Line, container: Container) -> None:
    same(line, k8s__pod__name=container.pod.name, k8s__container__name=container.spec.name, attribution__status="full")


def test_fork(env: Env) -> None:
    container = env.pod("forker").start("app", "onusr1", "execstorm", "3", "stay")
    container.signal(signal.SIGUSR1)
    container.wait_log("execstorm done")
    env.crier.wait_for(lambda c: len(storm(c, container, "process.exit")) >= 3, "3 exits")
    exits = storm(env.crier, container, "process.exit")
    forks = storm(env.crier, container, "process.fork")
    assert {line.get("data.child_pid") for line in forks} >= {line.get("process.pid") for line in exits}
    assert len(forks) == len(exits) == 3 and all(line.get("actor.pid") == container.pid for line in forks)


def storm(crier: Crier, container: Container, kind: str) -> list[Line]:
    """Of the storm's own processes: init forks them, they are init's children."""
    return crier.events(kind, container=container, where=lambda l: l.get("process.parent_pid") == container.pid)


def lost(crier: Crier) -> int:
    told = crier.events("agent.loss", where=lambda line: line.get("data.class") != "critical")
    return sum(int(line.get("data.count", 0)) for line in told)


def run_storm(env: Env, crier: Crier, name: str) -> tuple[dict[str, int], int]:
    """STORM processes as fast as they go; how many of each type were told, and how many events were told lost."""
    container = env.pod(name).start("app", "onusr1", "execstorm", str(STORM), "stay")
    crier.wait_event("container.started", container=container)
    container.signal(signal.SIGUSR1)
    container.wait_log(f"execstorm done {STORM}", 120)
    kinds = ("process.fork", "process.exec", "process.exit")

    def count() -> dict[str, int]:
        return {kind: len(storm(crier, container, kind)) for kind in kinds}

    def complete(_: Crier) -> bool:
        return sum(count().values()) + lost(crier) >= 3 * STORM

    crier.wait_for(complete, f"{3 * STORM} events or losses of the storm", 60)
    return count(), lost(crier)


def test_storm_without_budget(env: Env) -> None:
    counts, missing = run_storm(env, env.crier, "storm")
    # Fewer than forked is a loss that must be told; more is an event that did not happen.
    assert max(counts.values()) <= STORM, f"more than happened: {counts}"
    assert 3 * STORM - sum(counts.values()) <= missing, f"{counts}, but told lost are {missing}"


def test_storm_with_budgets(env: Env) -> None:
    agent = env.agent(profile="full")
    counts, missing = run_storm(env, agent, "storm-budget")
    gone = 3 * STORM - sum(counts.values())
    assert gone > 0, "the default budgets let a storm through whole"
    assert gone <= missing, f"{counts}, but told lost are {missing}"
    causes = {line.get("data.cause") for line in agent.events("agent.loss")}
    assert causes & {"suppressed", "output_budget"}, f"{causes}"
    env.finish(agent)


def test_over_max_cpu(env: Env) -> None:
    """Far more than --max-cpu bears: bulk is lost and counted exactly, deaths are told whole, and it recovers by itself."""
    agent = env.agent(*UNLIMITED, "--max-cpu", "0.005", "--ring-bulk-bytes", "64KiB", profile="full")
    victim = env.pod("victim").start("app", "onusr1", "hog", memory=64 * MIB)
    container = env.pod("flood").start("app", "onusr1", "execstorm", str(STORM), "stay")
    agent.wait_event("container.started", container=container)
    container.signal(signal.SIGUSR1)
    agent.wait_event("agent.health", where=lambda l: l.get("data.component") == "cpu", seconds=60)
    victim.signal(signal.SIGUSR1)
    victim.wait_exit()
    agent.wait_event("container.oom", container=victim)
    agent.wait_event("container.exited", container=victim, where=lambda l: l.get("data.cause") == "oom")
    container.wait_log(f"execstorm done {STORM}", 120)
    calm = lambda l: l.get("data.component") == "cpu" and l.get("data.state") == "ok"  # noqa: E731
    agent.wait_event("agent.health", where=calm, seconds=120)
    told = lambda l: l.get("data.cause") == "reserve_failed" and l.get("data.class") == "bulk"  # noqa: E731
    assert agent.events("agent.loss", where=told), "a flood over --max-cpu, and no loss was told"
    assert container.exec("/trigger", "exit", "9")[0] == 9
    agent.wait_event("process.exit", container=container, where=lambda l: l.get("data.exit_code") == 9, seconds=60)
    stop = env.finish(agent)
    assert stop.get("data.critical").get("lost", 0) == 0, f"{stop}"
    assert stop.get("data.bulk").get("lost", 0) > 0, f"{stop}"


def test_fork_bomb_beside_an_oom(env: Env) -> None:
    agent = env.agent(profile="full")
    victim = env.pod("victim").start("app", "onusr1", "hog", memory=64 * MIB)
    bomb = env.pod("bomb").start("app", "forkbomb", "4")
    agent.wait_for(lambda c: len(c.events("process.fork", container=bomb)) > 100, "the fork bomb")
    victim.signal(signal.SIGUSR1)
    victim.wait_exit()
    check_chain(agent, victim)
    again = victim.pod.restart(victim, "run")
    same(agent.wait_event("container.started", container=again), data__previous__cause="oom")
    bomb.wait_log("forkbomb done")
    env.finish(agent)


# trigger.c's weird_names; the kernel keeps the first 15 bytes of a name.
WEIRD = [
    b'"quoted"', b"back\\slash", b"new\nline", b"tab\tand\rcr", b"\x01\x02\x1b[31m", b"\xff\xfe\x80raw", b"\xc3(bad2",
    b"\xe2\x82", b"\xed\xa0\x80surr", b"\xf4\x90\x80\x80big", b"\xc0\xafoverlong", b'{"a":1}', b"\xe2\x80\xa8ls",
    b"\x7fdel", b"cut\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac",
]  # fmt: skip


def test_weird_names(env: Env) -> None:
    """Every line is checked for UTF-8, JSON and jq anyway; here the bytes must be told as they were."""
    container = env.pod("weird").start("app", "weirdname")
    container.wait_log("weirdname done")
    ended = container.log().count("exit 3")
    wanted = lambda l: l.get("data.exit_code") == 3  # noqa: E731
    env.crier.wait_for(lambda c: len(c.events("process.exit", container=container, where=wanted)) >= ended, f"{ended} exits")
    lines = env.crier.events("process.exit", container=container, where=wanted)
    for name in (each[:15] for each in WEIRD):
        try:
            text = name.decode()
            told = [line for line in lines if line.get("process.comm") == text and not line.get("process.comm_hex")]
        except UnicodeDecodeError:
            told = [line for line in lines if line.get("process.comm_hex") == name.hex()]
            assert all("\ufffd" in line.get("process.comm") for line in told)
            assert all("process.comm" in line.get("sanitized", []) for line in told), f"{told[0]}"
        assert told, f"no process.exit of a process named {name!r}"


def test_long_path_is_cut_and_told(env: Env) -> None:
    container = env.pod("long").start("app", "run")
    path = "/" + "./" * 1200 + "trigger"
    assert container.exec(path, "exit", "6")[0] == 6
    ended = env.crier.wait_event("process.exit", container=container, where=lambda l: l.get("data.exit_code") == 6)
    pid = ended.get("process.pid")
    executed = env.crier.events("process.exec", container=container, where=lambda l: l.get("process.pid") == pid)[-1]
    name = executed.get("data.filename")
    assert path.startswith(name), f"{executed}"
    assert name == path or "data.filename" in executed.get("truncated", []), f"cut without a word: {executed}"
