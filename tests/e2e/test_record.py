"""record, then replay: the very same bytes, also when the runtime hung and nobody read stdout."""
from __future__ import annotations

import signal
import time
from pathlib import Path

from env import Env
from harness.crier import Crier, node_flags, run
from harness.pod import MIB
from harness.sockets import Proxy


def record(env: Env, *flags: str, cri_socket: Path | None = None) -> tuple[Crier, Path]:
    """A crier that writes its lines to stdout and its inputs to a file."""
    folder = env.folder("record")
    file = folder / "inputs.rec"
    agent = Crier(folder, str(file), *node_flags(env.node, cri_socket, "full"), *flags, verb=("record",))
    env.adopt(agent)
    agent.wait_ready()
    return agent, file


def replays_alike(env: Env, agent: Crier, file: Path) -> None:
    env.finish(agent)
    done = run("replay", str(file), timeout=120)
    assert done.returncode == 0, f"replay: exit {done.returncode}: {done.stderr.decode(errors='replace')}"
    if done.stdout == agent.out.read_bytes():
        return
    recorded, replayed = agent.out.read_bytes().splitlines(), done.stdout.splitlines()
    for number, (first, second) in enumerate(zip(recorded, replayed)):
        assert first == second, f"line {number} differs:\n  recorded {first!r}\n  replayed {second!r}"
    raise AssertionError(f"{len(recorded)} lines recorded, {len(replayed)} replayed")


def test_a_busy_hour(env: Env) -> None:
    agent, file = record(env)
    pod = env.pod("recorded")
    dead = pod.start("app", "hog", "0.3", memory=64 * MIB)
    dead.wait_exit()
    pod.restart(dead, "run").stop(5)
    env.pod("names").start("app", "weirdname").wait_log("weirdname done")
    env.pod("storm").start("app", "execstorm", "3000", "stay").wait_log("execstorm done")
    agent.wait_event("container.exited", container=dead)
    replays_alike(env, agent, file)
    replays_truncated(env, file)


def replays_truncated(env: Env, file: Path) -> None:
    """A recording cut off in a frame: the lines before it, then a word with the position, and a failing exit."""
    data = file.read_bytes()
    cut = env.folder("cut") / "cut.rec"
    cut.write_bytes(data[: len(data) * 2 // 3 + 1])
    done = run("replay", str(cut), timeout=120)
    text = done.stderr.decode(errors="replace")
    assert done.returncode > 0, f"exit {done.returncode}: {text}"
    assert str(cut) in text and any(character.isdigit() for character in text.replace(str(cut), "")), text


def test_hung_runtime_and_blocked_stdout(env: Env) -> None:
    with Proxy(env.folder("proxy") / "cri.sock", env.node.socket) as proxy:
        agent, file = record(env, "--event-rate", "0", "--max-output-bytes", "0", cri_socket=proxy.path)
        assert isinstance(proxy, Proxy)
        proxy.stall()
        agent.block_stdout()
        victim = env.pod("dark").start("app", "onusr1", "hog", memory=64 * MIB)
        env.pod("dark-storm").start("app", "execstorm", "15000", "stay").wait_log("execstorm done", 120)
        victim.signal(signal.SIGUSR1)
        victim.wait_exit()
        time.sleep(2)  # past every wait, so that the lines are decided while runtime and reader are away
        agent.unblock_stdout()
        proxy.resume()
        agent.wait_event("container.exited", container=victim, seconds=60)
        replays_alike(env, agent, file)
