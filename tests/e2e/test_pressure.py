"""Memory pressure, throttling and the node's memory: told when true, once, and never for page cache alone."""
from __future__ import annotations

from env import Env, belongs, only, same
from harness.pod import MIB

PROFILE = "default"
FLAGS = ["--pressure-interval", "2s", "--throttle-interval", "2s"]


def phase(name: str) -> object:
    return lambda line: line.get("data.phase") == name


def test_pressure_enters_and_leaves(env: Env) -> None:
    container = env.pod("press").start("app", "press", "64", "0.93", "6", memory=64 * MIB)
    enter = env.crier.wait_event("container.memory_pressure", container=container, where=phase("enter"))
    belongs(enter, container)
    same(enter, data__limit__level="container", data__limit__bytes=64 * MIB)
    assert 0.8 < enter.get("data.working_set_ratio") <= 1.01, f"{enter}"
    container.wait_log("released")
    leave = env.crier.wait_event("container.memory_pressure", container=container, where=phase("exit"), seconds=40)
    told = env.crier.events("container.memory_pressure", container=container)
    only([line for line in told if line.get("data.phase") == "enter"], "phase enter")
    assert leave is told[-1] and len(told) <= 8, f"{len(told)} lines of one pressure: an event per reclaim?"
    assert container.running() and not env.crier.events("container.oom", container=container)


def no_pressure(env: Env, name: str, *args: str) -> None:
    container = env.pod(name).start("app", "cat-file", *args, memory=64 * MIB)
    container.wait_log("cat-file done")
    # The next one's enter proves that pressure lines still flow, so nothing of this one is on its way.
    other = env.pod(f"{name}-after").start("app", "press", "64", "0.93", "4", memory=64 * MIB)
    env.crier.wait_event("container.memory_pressure", container=other)
    assert not env.crier.events("container.memory_pressure", container=container), "page cache told as pressure"


def test_page_cache_is_no_pressure(env: Env) -> None:
    no_pressure(env, "cache", "160", "4")


def test_hot_page_cache_is_no_pressure(env: Env) -> None:
    """A file that fits, read again, is active_file: kubelet's working set counts it, though it is reclaimed at once."""
    no_pressure(env, "hot-cache", "58", "6", "64")


def test_pressure_is_a_cause_of_the_oom(env: Env) -> None:
    container = env.pod("doomed").start("app", "press", "64", "1.2", "20", memory=64 * MIB)
    container.wait_exit()
    oom = env.crier.wait_event("container.oom", container=container)
    before = env.crier.events("container.memory_pressure", container=container, where=phase("enter"))
    if before:
        incidents = {line.get("correlation.incident_id") for line in (oom, before[-1])}
        assert len(incidents) == 1, f"one death has the incidents {incidents}"
        kinds = [cause.get("kind") for cause in oom.get("correlation.caused_by", [])]
        assert "container.memory_pressure" in kinds, f"{oom}"


def test_cpu_throttle(env: Env) -> None:
    container = env.pod("slow").start("app", "spin", cpu_quota_us=10_000)
    line = env.crier.wait_event("container.cpu_throttle", container=container)
    belongs(line, container)
    same(line, data__quota_us=10_000, data__period_us=100_000)
    assert 0.25 < line.get("data.throttled_ratio") <= 1 and 0 < line.get("data.throttled_periods") <= line.get("data.periods")


def test_node_memory_pressure(env: Env) -> None:
    agent = env.agent("--node-memory-enter-ratio", "0.999")
    line = agent.wait_event("node.memory_pressure", seconds=60)
    same(line, data__phase="enter")
    assert 0 < line.get("data.available_bytes") <= line.get("data.total_bytes"), f"{line}"
    only(agent.events("node.memory_pressure", where=phase("enter")), "phase enter")
    env.finish(agent)
