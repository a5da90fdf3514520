"""crier about itself: start, health, stats, loss, stop; what it missed while it was away; filters and signals."""
from __future__ import annotations

import signal
import time
from pathlib import Path

from env import Env, belongs, check_sums, only, same
from harness.crier import Crier, node_flags, run
from harness.pod import MIB
from test_oom import check_chain


def test_start_tells_what_it_can_do(env: Env) -> None:
    agent = env.agent()
    start = agent.lines[0]
    same(start, type="agent.start", data__profile="default", data__cri_socket=str(env.node.socket))
    hooks = {hook["event"]: hook.get("chosen") for hook in start.get("data.hooks", [])}
    hooks.pop("oom_control", None)  # context only: a kernel without fentry and kprobes has no hook for it
    assert hooks and all(hooks.values()), f"events without a hook: {hooks}"
    mounts = open("/proc/self/mounts", encoding="utf-8").read()
    mode = "v2" if " /sys/fs/cgroup cgroup2 " in mounts else "hybrid" if " cgroup2 " in mounts else "v1"
    same(start, data__cgroup__mode=mode, k8s__node__name="test-node", k8s__cluster__name="test-cluster")
    assert start.get("data.kernel") and start.get("data.version"), f"{start}"
    stop = env.finish(agent)
    same(stop, data__reason="SIGTERM")
    assert stop.event["instance"] == start.event["instance"]


def test_stats_add_up(env: Env) -> None:
    agent = env.agent("--stats-interval", "1s")
    env.pod("counted").start("app", "run")
    agent.wait_for(lambda c: len(c.events("agent.stats")) >= 2, "two agent.stats")
    first, second = agent.events("agent.stats")[:2]
    for line in (first, second):
        for kind in ("bulk", "critical"):
            row = {key: line.get(f"data.{kind}.{key}", 0) for key in ("emitted", "filtered", "suppressed", "lost", "held")}
            assert line.get(f"data.{kind}.generated", 0) == sum(row.values()), f"{line}"
    assert second.get("data.lines") > first.get("data.lines")
    assert 0 < second.get("data.rss_bytes") < 64 * MIB
    env.finish(agent)


def test_instances_differ(env: Env) -> None:
    instances = set()
    for _ in range(2):
        agent = env.agent()
        instances.add(agent.lines[0].event["instance"])
        env.finish(agent)
    assert len(instances) == 2


def test_sigint_ends_it_well(env: Env) -> None:
    agent = env.agent()
    agent.process.send_signal(signal.SIGINT)
    env.finish(agent)


def test_death_while_away(env: Env) -> None:
    """SIGKILL crier, OOM a pod, start crier: the death is told, after the fact, and once."""
    state = env.folder("state") / "state.json"
    pod = env.pod("away")
    container = pod.start("app", "onusr1", "hog", memory=64 * MIB)
    other = env.pod("stays").start("app", "run")
    first = env.agent("--state-file", str(state))
    first.wait_event("container.snapshot", container=container)
    # The state file is written in the background; its being there is all that can be waited for.
    first.wait_for(lambda c: state.exists(), f"state file {state}")
    first.kill()
    first.check(clean=False)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    second = env.agent("--state-file", str(state))
    same(second.lines[0], data__previous__instance=first.lines[0].event["instance"], data__previous__clean=False)
    exited = second.wait_event("container.exited", container=container)
    belongs(exited, container)
    same(exited, data__observed="after_the_fact", data__runtime__reason="OOMKilled", data__runtime__exit_code=137)
    assert not second.events("container.exited", container=other)
    env.finish(second)
    third = env.agent("--state-file", str(state))
    same(third.lines[0], data__previous__clean=True)
    third.wait_event("container.snapshot", container=other)
    assert not third.events("container.exited", container=container), "told twice"
    env.finish(third)


def test_minimal_profile(env: Env) -> None:
    agent = env.agent(profile="minimal")
    container = env.pod("minimal").start("app", "hog", "0.2", memory=64 * MIB)
    container.wait_exit()
    agent.wait_event("container.exited", container=container)
    kinds = {line.type for line in agent.poll() if not line.type.startswith("agent.")}
    assert kinds == {"container.oom", "container.exited"}, f"{kinds}"
    env.finish(agent)


def reads_of(pid: int) -> int:
    counters = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines())
    return int(counters["syscr"])


def test_no_busy_loop(env: Env) -> None:
    """While events trickle in the loop sleeps between its turns, also when something is due that it does not do at once."""
    agent = env.agent(profile="full")
    container = env.pod("trickle").start("app", "run")
    before, began = reads_of(agent.process.pid), time.monotonic()
    while time.monotonic() - began < 13:  # ten seconds after the start it gives back what that needed
        container.exec("/trigger", "exit", "0")
    reads = reads_of(agent.process.pid) - before
    # 50 turns a second at most, each reads its timer (399 seen); a loop that did not sleep for a quarter of a second made 4,679
    assert reads < 2_000, f"{reads} reads in 13 s"
    env.finish(agent)


def test_filtered_cause_is_named_as_such(env: Env) -> None:
    """A cause that the profile hides has no event id, and the sum of events still holds."""
    agent = env.agent(profile="minimal")
    container = env.pod("hidden").start("app", "hog", "0.2", memory=64 * MIB)
    container.wait_exit()
    exited = agent.wait_event("container.exited", container=container)
    for cause in exited.get("correlation.caused_by", []):
        assert bool(cause.get("event_id")) != bool(cause.get("filtered")), f"{cause}"
    env.finish(agent)


def test_severity_filter_passes_oom(env: Env) -> None:
    agent = env.agent("--min-severity", "fatal")
    container = env.pod("loud").start("app", "hog", "0.2", memory=64 * MIB)
    container.wait_exit()
    agent.wait_event("container.oom", container=container)
    assert not agent.events("container.started", container=container)
    env.finish(agent)


def test_bad_reload_keeps_the_old_config(env: Env) -> None:
    config = env.folder("config") / "crier.yaml"
    config.write_text("log-level: info\n", encoding="utf-8")
    agent = env.agent("--config", str(config))
    config.write_text("log-level: info\nno-such-option: 1\n", encoding="utf-8")
    agent.process.send_signal(signal.SIGHUP)
    agent.wait_for(lambda c: f"{config}:2" in c.diagnostics(), "a refusal that names file and line")
    container = env.pod("reload").start("app", "run")
    belongs(agent.wait_event("container.started", container=container), container)
    env.finish(agent)


def test_blocked_stdout_loses_nothing_silently(env: Env) -> None:
    """While nobody reads, an OOM happens among a storm; later the OOM is there and the rest is accounted for."""
    agent = env.agent("--event-rate", "0", "--max-output-bytes", "0", profile="full")
    victim = env.pod("dammed").start("app", "onusr1", "hog", memory=64 * MIB)
    agent.wait_event("container.started", container=victim)
    agent.block_stdout()
    loud = env.pod("storm").start("app", "execstorm", "20000", "stay")
    loud.wait_log("execstorm done", 120)
    victim.signal(signal.SIGUSR1)
    victim.wait_exit()
    time.sleep(2)  # past the exit wait, so that the chain too was told into the blocked pipe
    agent.unblock_stdout()
    check_chain(agent, victim)
    loss = agent.events("agent.loss", where=lambda line: line.get("data.cause") == "sink_full")
    assert loss and not [line for line in loss if line.get("data.class") == "critical"], f"{loss}"
    env.finish(agent)


def test_closed_stdout_ends_it(env: Env) -> None:
    agent = env.agent()
    agent.drop_stdout()
    container = env.pod("unheard").start("app", "run")
    container.signal(signal.SIGKILL)
    code = agent.process.wait(20)
    assert code not in (0, -signal.SIGPIPE), f"crier ends with {code} when nobody can read"
    assert "stdout" in agent.diagnostics(), agent.diagnostics()


def test_text_output(env: Env) -> None:
    agent = Crier(env.folder("text"), *node_flags(env.node), "--output", "text")
    try:
        container = env.pod("texted").start("app", "hog", "2", memory=64 * MIB)
        container.wait_exit()
        deadline = time.monotonic() + 20
        while "container.exited" not in agent.out.read_text(encoding="utf-8") and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        agent.close()
    row = only([line for line in agent.out.read_text(encoding="utf-8").splitlines() if "container.oom" in line], "container.oom as text")
    assert "FATAL" in row and "shop/texted" in row and " app " in row and "\x1b" not in row, row


def test_ps(env: Env) -> None:
    container = env.pod("listed").start("app", "run")
    done = run("ps", "--cri-socket", str(env.node.socket), "--runtime-state-dir", str(env.node.state), "--output", "text")
    text = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    row = only([line for line in text.splitlines() if "listed" in line and container.id[:12] in line], "ps of the container")
    assert "shop" in row and "app" in row, row


def test_sums_hold_for_a_busy_run(env: Env) -> None:
    agent = env.agent(profile="process")
    env.pod("busy").start("app", "execstorm", "2000", "stay").wait_log("execstorm done")
    stop = env.finish(agent)
    check_sums(stop)
    assert stop.get("data.bulk.generated") >= 4000, f"{stop}"
