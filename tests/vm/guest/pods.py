"""Real pods under a real runtime: tests of tests/e2e, once for each OCI runtime and cgroup driver that this guest has, and what
only another containerd, a pod's own network or systemd shows.
"""
from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "e2e"))

import test_cri  # noqa: E402
import test_lifecycle  # noqa: E402
import test_oom  # noqa: E402
from env import Env, Skip, belongs, check_sums, only, same  # noqa: E402
from scenarios import Unable  # noqa: E402
from harness import cgroups  # noqa: E402
from harness.containerd import has_systemd  # noqa: E402
from harness.crier import Crier, node_flags  # noqa: E402
from harness.cri import CriError, pb  # noqa: E402
from harness.lines import Line, check_sequence  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.pod import MIB, Container  # noqa: E402

# What the stream of events is to crier, by the runtime's version: see src/cri/stream.c.
STREAM = {"1.6": "not_offered", "1.7": "shared", "2": "open"}
# What a runtime says that cannot work here, whatever crier does.
REFUSALS = r"cgroups in hybrid mode not supported"
TINY = [12, 6, 2]  # MiB, smaller until the runtime's own helper does not fit


class PodsEnv(Env):
    """Pods are of one handler; lines are judged by schema on the host."""

    def __init__(self, node: Node, handler: str, ship: Callable[[Crier], None]) -> None:
        super().__init__(node)
        self.handler, self._ship = handler, ship

    def folder(self, name: str) -> Path:
        return super().folder(f"{self.handler}-{name}")

    def pod(self, name: str, **options: Any) -> Any:
        try:
            return super().pod(name, **{"runtime": self.handler, **options})
        except CriError as error:
            if why := re.search(REFUSALS, str(error)):
                raise Unable(f"{self.handler}: {why.group()}") from None
            raise

    def finish(self, agent: Crier) -> Line:
        code = agent.stop()
        check_sequence(agent.lines)
        self._ship(agent)
        assert code == 0, f"crier ends with {code} after SIGTERM: {agent.diagnostics()}"
        check_sums(agent.lines[-1])
        return agent.lines[-1]


def driver_of(handler: str) -> str:
    return "systemd" if handler.endswith("-systemd") else "cgroupfs"


# What e2e does not have


def place(container: Container) -> dict[str, str]:
    """Where a running container is, by /proc and by the directory's inode."""
    own = [row.split(":", 2) for row in Path(f"/proc/{container.pid}/cgroup").read_text(encoding="utf-8").splitlines()]
    primary = "" if cgroups.unified_hierarchy() else "memory"
    at = next(path for _, names, path in own if primary in names.split(","))
    assert at == container.cgroup, f"its processes are in {at}, the harness expects {container.cgroup}"
    # The container's own directory is what its lines name; crun's processes are one level below with systemd's driver.
    at = at.removesuffix("/container")
    return {"cgroup__path": at, "cgroup__id": str(cgroups.primary_hierarchy().path(at).stat().st_ino)}


def life(env: PodsEnv) -> None:
    """From the cgroup to its removal, in a pod with an address of its own: the one that the runtime says it has."""
    pod = env.pod("life", network=pb.POD)
    address = env.node.cri.call("PodSandboxStatus", pod_sandbox_id=pod.sandbox_id).status.network.ip
    assert address.startswith("10.88."), f"the runtime gives the pod the address {address!r}"
    container = pod.start("app", "onusr1", "exit", "3")
    started = env.crier.wait_event("container.started", container=container)
    same(started, k8s__pod__ip=address, process__pid=container.pid, process__role="init", **place(container))
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    same(exited, data__cause="exit", data__exit_code=3, data__runtime__exit_code=3, data__runtime__reason="Error")
    container.remove()
    env.crier.wait_event("container.removed", container=container)
    lines = env.crier.events("container.", container=container)
    for line in lines:
        belongs(line, container)
    assert [line.type for line in lines] == [f"container.{word}" for word in ("created", "started", "exited", "removed")], f"{lines}"
    sandbox = [line.type for line in env.crier.events("container.") if line.get("container.id") == pod.sandbox_id]
    assert sandbox == ["container.created", "container.started"], f"the sandbox: {sandbox}"


def oom_and_restart(env: PodsEnv) -> None:
    """With the node's network: no address is told, and not the node's."""
    test_oom.test_chain_and_restart(env)
    started = [line for line in env.crier.events("container.started") if line.get("k8s.pod.name", "").startswith("cart-")]
    assert started and all(line.get("k8s.pod.ip") is None for line in started), f"{[str(line) for line in started]}"


def was_killed_in(container: Container) -> bool:
    """By the kernel's own log."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            with contextlib.suppress(BrokenPipeError):  # the oldest were overwritten meanwhile
                record = os.read(log, 8192)
                if b"oom-kill:" in record and container.id.encode() in record:
                    return True
    except BlockingIOError:
        return False
    finally:
        os.close(log)


def too_small(env: PodsEnv) -> None:
    """The container's limit is too small for the runtime's helper, which is killed before the program ever runs."""
    for size in TINY:
        container = env.pod(f"tiny-{size}").create("app", "run", memory=size * MIB)
        with contextlib.suppress(CriError):
            container.launch()
            env.crier.wait_event("container.started", container=container)
            continue
        break
    else:
        raise Unable(f"{env.handler} fits into {size} MiB")
    exited = env.crier.wait_event("container.exited", container=container)
    belongs(exited, container)
    told = test_oom.kills(env.crier, container)
    if not told and not was_killed_in(container):
        # Where a limit cannot be set below what is held the runtime gives up, and nobody is killed.
        same(exited, data__cause="start_failed")
        raise Unable(f"{env.handler} refuses {size} MiB and no helper is killed")
    oom = only(told, "container.oom")
    belongs(oom, container)
    same(oom, process__role="runtime_helper", data__limit__level="container", data__limit__bytes=size * MIB)
    assert exited.get("data.cause") in ("oom", "start_failed"), f"{exited}"
    same(exited, correlation__incident_id=oom.get("correlation.incident_id"))
    assert not env.crier.events("container.started", container=container)


def stream_state(env: PodsEnv) -> None:
    """What agent.health says of the runtime's event stream is what this containerd has."""
    version = env.node.containerd.version
    wanted = next(state for prefix, state in STREAM.items() if version.startswith(prefix + "."))
    env.crier.wait_event("agent.health", where=lambda line: line.get("data.event_stream") == wanted)
    told = [line.get("data.event_stream") for line in env.crier.events("agent.health") if line.get("data.event_stream")]
    assert told[-1] == wanted and (wanted == "open" or "open" not in told), f"agent.health says {told}"


def stream(env: PodsEnv) -> None:
    """A removal is told at once: by the stream, for the next list is ten minutes away."""
    if env.node.containerd.version.startswith("1.6."):
        raise Unable("containerd 1.6 has no event stream")
    agent = env.agent("--cri-events", "on", "--reconcile-interval", "10m")
    agent.wait_event("agent.health", where=lambda line: line.get("data.event_stream") == "open")
    container = env.pod("streamed").start("app", "exit", "0", "0.2")
    container.wait_exit()
    belongs(agent.wait_event("container.exited", container=container), container)
    container.remove()
    belongs(agent.wait_event("container.removed", container=container), container)
    env.finish(agent)


# Under every handler; under the first one, besides; and under the last one, which differs from it in runtime and driver.
EACH = {"life": life}
FIRST = {
    "oom_and_restart": oom_and_restart, "stop_escalated": test_lifecycle.test_sigterm_ignored_until_sigkill,
    "oom_child": test_oom.test_child_dies_and_init_lives,
    "oom_pod": test_oom.test_pod_limit, "too_small": too_small, "stream_state": stream_state, "stream": stream,
}  # fmt: skip
LAST = {"oom_and_restart": oom_and_restart, "oom_pod": test_oom.test_pod_limit, "without_socket": test_cri.test_off}
Rows = dict[str, Callable[[Any], None]]


def handlers() -> list[str]:
    names = [name for name in ("runc", "crun") if shutil.which(name)]
    return [name + driver for driver in (("", "-systemd") if has_systemd() else ("",)) for name in names]


Check = Callable[[str, Callable[[], object], Callable[[], str]], None]


def run_handler(node: Node, handler: str, rows: Rows, check: Check, ship: Callable[[Crier], None]) -> None:
    """One crier, and a handler's rows under it."""
    prefix = f"{handler.removesuffix('-systemd')}-{driver_of(handler)}"
    with PodsEnv(node, handler, ship) as env:
        # An emulated containerd takes its time to see an end, and to answer.
        patience = ["--exit-wait", "60s", "--cri-timeout", "60s"]
        env.crier = Crier(env.folder("shared"), *node_flags(node), "--reconcile-interval", "1s", *patience)
        env.agents.append(env.crier)
        env.crier.wait_ready()
        for name, row in rows.items():

            def one(row: Callable[[Any], None] = row) -> None:
                try:
                    row(env)
                except Skip as why:
                    raise Unable(str(why)) from None

            check(f"{prefix}/{name}", one, env.story)
            env.end_test()
        check(f"{prefix}/every_line", lambda: env.finish(env.crier), env.story)


def run(names: list[str], check: Check, ship: Callable[[Crier], None]) -> None:
    """`names`: only these handlers."""
    with Node(network=True) as node:
        print(f"# {node.runtime}", flush=True)
        test_oom.REASONS.append("Error")
        all_of = handlers()
        for handler in all_of:
            rows = {**EACH, **(FIRST if handler == all_of[0] else {}), **(LAST if handler == all_of[-1] else {})}
            if not names or handler in names:
                run_handler(node, handler, rows, check, ship)
