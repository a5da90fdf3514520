"""The runtime misbehaves for a while: events flow on meanwhile, memory stays bounded, and afterwards every container resolves.

No time is judged: what must not depend on the runtime is waited for while the runtime is known to be unable.
"""
from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from env import Env, belongs, only, same
from harness.crier import Crier
from harness.fake import (EVENTS, Answer, Fake, at_first, container_status, cut, event, fields, garbage, hang, late, listed_in_full, oversized,
                          refuse, relay, sandbox_status, statuses, with_more, without)  # fmt: skip
from harness.lines import Line
from harness.pod import MIB, Container, Pod
from harness.sockets import Proxy

import grpc

# What an agent may hold beside its tables: two lists of 16 MiB, 8 MiB of mailbox, 8 MiB of waiting events, gRPC and the rest.
ANON_MAX_KIB = 56 * 1024
# One container of the list costs some 4 KiB with names; what malloc keeps of it comes on top.
ANON_EACH_KIB = 6


def anon_kib(agent: Crier) -> int:
    """Resident memory that is no file's: what a misbehaving runtime could make grow."""
    text = Path(f"/proc/{agent.process.pid}/status").read_text(encoding="ascii")
    return int(text.split("RssAnon:")[1].split()[0])


def bounded(agent: Crier, containers: int = 0) -> None:
    assert (now := anon_kib(agent)) < ANON_MAX_KIB + containers * ANON_EACH_KIB, f"{now} KiB of anonymous memory"


def flows(agent: Crier, container: Container) -> Line:
    """Something happens now and is told now: the container executes a child."""
    before = len(agent.events("process.", container=container))
    container.signal(signal.SIGUSR1)
    agent.wait_for(lambda c: len(c.events("process.", container=container)) > before, "process line while the runtime misbehaves")
    return agent.events("process.", container=container)[-1]


def worker(env: Env, name: str, pod: Pod | None = None) -> Container:
    """Runs a child for each SIGUSR1."""
    return (pod or env.pod(name)).start("app", "each-usr1", memory=64 * MIB)


def resolved(agent: Crier, *containers: Container) -> None:
    """Every incomplete line of these containers is mended by a later one, and what comes now is complete."""
    for container in containers:
        agent.wait_for(lambda c, each=container: not unmended(c, each), f"container.resolved for every line of {container.pod.name}", 60)
        belongs(flows(agent, container), container)


def unmended(agent: Crier, container: Container) -> list[Line]:
    mends = [line.get("data.mends") for line in agent.events("container.resolved", container=container)]
    return [
        line
        for line in agent.events(container=container)
        if line.get("attribution.status") in ("partial", "none")
        and not any(m["container_id"] == container.id and m["from_seq"] <= line.seq <= m["to_seq"] for m in mends)
    ]


def incomplete(agent: Crier, container: Container) -> Line:
    """A line that left without the pod's name, and says why."""
    line = flows(agent, container)
    assert line.get("attribution.status") == "partial" and line.get("attribution.reason"), f"{line}"
    return line


def quiet(agent: Crier, *containers: Container) -> None:
    """Nobody was told to be dead or gone who is not."""
    for container in containers:
        for kind in ("container.exited", "container.removed"):
            assert not agent.events(kind, container=container), f"{kind} of {container.pod.name}, which lives"


def bare(env: Env, socket: Path, *flags: str) -> Crier:
    """A crier that has nothing but the runtime to learn names from; and no budget that a busy neighbour could use up."""
    return env.agent(*flags, "--max-output-bytes", "0", profile="process", cri_socket=socket, bundles=False, logs=False)


@contextmanager
def scripted(env: Env, events: bool = False, **faults: Answer | bytes) -> Iterator[Fake]:
    """The real runtime with faults put in."""
    with Fake(env.folder("fake") / "s", events=events, **{**relay(env.node.socket), **faults}) as fake:
        yield fake


def heal(env: Env, fake: Fake) -> None:
    fake.methods.update(relay(env.node.socket))


# The real containerd


def test_absent_then_there(env: Env) -> None:
    """No socket when crier starts; it is made later, and what left without a name is mended without a restart."""
    path = env.folder("late") / "s"
    early = worker(env, "early")
    agent = bare(env, path)
    late_one = worker(env, "late")
    for each in (early, late_one):
        incomplete(agent, each)
    with Proxy(path, env.node.socket):
        resolved(agent, early, late_one)
        quiet(agent, early, late_one)
        bounded(agent)
        env.finish(agent)


def test_killed_and_restarted(env: Env) -> None:
    """SIGKILL, not an orderly end; one container is known to crier before, another only after."""
    known, unknown = worker(env, "known"), worker(env, "unknown")
    agent = bare(env, env.node.socket, "--reconcile-interval", "1s")
    agent.wait_for(lambda c: flows(c, known).get("attribution.status") == "full", "full line before the kill")
    env.node.containerd.kill()
    stranger = bare(env, env.node.socket)
    try:
        agent.wait_event("agent.health", where=lambda line: line.get("data.state") == "down")
        belongs(flows(agent, known), known)
        incomplete(stranger, unknown)
    finally:
        env.node.containerd.start()
        env.node.cri.wait_ready()
    resolved(agent, known, unknown)
    resolved(stranger, known, unknown)
    belongs(flows(stranger, new := worker(env, "new")), new)
    quiet(agent, known, unknown)
    for each in (agent, stranger):
        bounded(each)
        env.finish(each)


def test_frozen_beyond_every_deadline(env: Env) -> None:
    """SIGSTOP, before crier starts. With --cri-timeout 400ms every wait there is ends within 2 s: a call 0.4 s, a question's
    turn 1.6 s, --hold-age 0.5 s, --exit-wait 0.5 s. It stays frozen until each of these was seen to end, so longer shows nothing new."""
    unknown, dying = worker(env, "unknown"), env.pod("dying").start("app", "onusr1", "exit", "7")
    with_deadline = ("--cri-timeout", "400ms", "--reconcile-interval", "1s")
    env.node.containerd.pause()
    try:
        agent = bare(env, env.node.socket, *with_deadline)
        down = agent.wait_event("agent.health", where=lambda line: line.get("data.state") == "down")  # a call's deadline
        assert "no answer within 400 ms" in down.get("data.reason"), f"{down}"
        assert incomplete(agent, unknown).get("attribution.reason") in ("cri_timeout", "cri_down")  # the hold's
        dying.signal(signal.SIGUSR1)
        exited = agent.wait_event("container.exited", container=dying)  # the exit's
        same(exited, data__cause="exit", data__exit_code=7, attribution__status="partial")
        for _ in range(20):
            incomplete(agent, unknown)
        bounded(agent)
        assert env.node.containerd.is_paused(), "it is still frozen"
    finally:
        env.node.containerd.resume()
    resolved(agent, unknown)
    agent.wait_for(lambda c: not unmended(c, dying), "the dead one's lines mended too", 60)
    only(agent.events("container.exited", container=dying), "container.exited")
    quiet(agent, unknown)
    env.finish(agent)


def test_frozen_for_half_a_minute(env: Env) -> None:
    """SIGSTOP for 30 s under the default deadlines: who is known goes on complete, who ends is told with its names, all comes back."""
    known, ending = worker(env, "known"), env.pod("ending").start("app", "onusr1", "exit", "7")
    agent = env.agent("--max-output-bytes", "0", profile="process")
    agent.wait_for(lambda c: flows(c, known).get("attribution.source") == "cri", "answer before the freeze")
    env.node.containerd.pause()
    try:
        thaw = time.monotonic() + 30
        ending.signal(signal.SIGUSR1)
        exited = agent.wait_event("container.exited", container=ending)
        same(exited, data__cause="exit", data__exit_code=7, attribution__status="full")
        assert not exited.get("data.runtime"), f"the runtime cannot have said it: {exited}"
        while time.monotonic() < thaw:
            belongs(flows(agent, known), known)
            time.sleep(1)
        agent.wait_event("agent.health", where=lambda line: line.get("data.state") == "down")
        bounded(agent)
        assert env.node.containerd.is_paused(), "it is still frozen"
    finally:
        env.node.containerd.resume()
    agent.wait_event("agent.health", where=lambda line: line.get("data.component") == "cri" and line.get("data.state") == "ok" and line.seq > exited.seq)
    new = worker(env, "new")
    agent.wait_for(lambda c: flows(c, new).get("attribution.source") == "cri", "the runtime's answer about a new container")
    only(agent.events("container.exited", container=ending), "container.exited")
    quiet(agent, known, new)
    for each in (known, ending, new):
        assert all(line.get("attribution.status") == "full" for line in agent.events(container=each)), f"the bundles named {each.pod.name}"
    env.finish(agent)


# A real runtime's answers with faults put in


def test_answers_after_five_seconds(env: Env) -> None:
    """Within --cri-timeout, far beyond --hold-age."""
    real = relay(env.node.socket)
    slow = {name: late(5, real[name]) for name in ("ContainerStatus", "PodSandboxStatus", "ListPodSandbox", "ListContainers")}
    with scripted(env, **slow) as fake:
        agent = bare(env, fake.path, "--cri-timeout", "20s")
        container = worker(env, "slow")
        incomplete(agent, container)
        assert not agent.events("container.resolved"), "the answer is not there yet"
        resolved(agent, container)  # by the late answer itself: nothing is healed
        assert not agent.events("agent.health", where=lambda line: line.get("data.state") == "down"), "slow is not down"
        bounded(agent)
        env.finish(agent)


def test_lists_of_thousands(env: Env) -> None:
    """2,000 and 10,000 containers that the kernel knows nothing of, between those that are there."""
    for count in (2000, 10000):
        container = worker(env, f"among-{count}")
        items = b"".join(listed_in_full(f"{number:064x}", number) for number in range(count))
        fake_list = with_more(relay(env.node.socket)["ListContainers"], items)
        with scripted(env, ListContainers=fake_list) as fake:
            agent = bare(env, fake.path, "--stats-interval", "1s", "--cri-timeout", "20s", "--reconcile-interval", "2s")
            belongs(flows(agent, container), container)
            agent.wait_for(lambda c, n=count: (c.events("agent.stats") or [None])[-1] and
                           c.events("agent.stats")[-1].get("data.tables.containers") >= n, f"{count} containers known", 60)  # fmt: skip
            fresh = worker(env, f"fresh-{count}")
            belongs(flows(agent, fresh), fresh)
            bounded(agent, count)
            quiet(agent, container, fresh)
            env.finish(agent)


def test_missing_from_lists(env: Env) -> None:
    """A list that leaves out what lives: one says nothing, and neither do more while its processes are there."""
    container = worker(env, "left-out")
    real = relay(env.node.socket)
    with scripted(env) as fake:
        agent = bare(env, fake.path, "--reconcile-interval", "1s")
        belongs(flows(agent, container), container)
        fake.methods["ListContainers"] = without(real["ListContainers"], container.id)
        listed = fake.count("ListContainers")
        agent.wait_for(lambda _: fake.count("ListContainers") >= listed + 4, "four more lists", 60)
        belongs(flows(agent, container), container)
        quiet(agent, container)
        heal(env, fake)
        container.stop(0)
        container.remove()
        agent.wait_event("container.removed", container=container, seconds=30)
        only(agent.events("container.exited", container=container), "container.exited")
        env.finish(agent)


def test_unreadable_answers(env: Env) -> None:
    """Garbage, half an answer, more than 4 and more than 16 MiB, refusals: for each call about containers."""
    real = relay(env.node.socket)
    names = ("ContainerStatus", "PodSandboxStatus", "ListPodSandbox", "ListContainers")
    faults: dict[str, dict[str, Answer | bytes]] = {
        "garbage": {name: garbage() for name in names},
        "half": {name: cut(real[name]) for name in names},
        "5 MiB of nothing": {name: oversized(5 * MIB) for name in names},
        "17 MiB": {name: oversized(17 * MIB) for name in names},
    }
    for code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED):
        faults[code.name] = {name: refuse(code) for name in names}
    with scripted(env) as fake:
        agent = bare(env, fake.path, "--reconcile-interval", "1s", "--cri-timeout", "5s")
        belongs(flows(agent, first := worker(env, "before")), first)
        for number, (name, script) in enumerate(faults.items()):
            fake.methods.update(script)
            listed, asked = fake.count("ListPodSandbox"), fake.count("ContainerStatus")
            container = worker(env, f"fault-{number}")
            assert incomplete(agent, container).get("k8s.pod.uid") == container.pod.uid, name
            belongs(flows(agent, first), first)
            agent.wait_for(lambda _, n=listed: fake.count("ListPodSandbox") > n, "a list with the fault", 60)
            agent.wait_for(lambda _, n=asked: fake.count("ContainerStatus") > n, "a question with the fault", 60)
            bounded(agent)
            heal(env, fake)
            resolved(agent, container)
            quiet(agent, first, container)
        env.finish(agent)


def test_not_found_for_a_moment(env: Env) -> None:
    """While it is being created a runtime may not know an id yet; the events wait that long, within --hold-age."""
    real = relay(env.node.socket)["ContainerStatus"]
    with scripted(env, ContainerStatus=at_first(2, refuse(grpc.StatusCode.NOT_FOUND, "not yet"), real)) as fake:
        agent = bare(env, fake.path, "--hold-age", "20s")
        container = worker(env, "young")
        for kind in ("container.created", "container.started"):
            belongs(agent.wait_event(kind, container=container), container)
        assert not unmended(agent, container), "nothing had to be mended"
        env.finish(agent)


def test_not_found_for_long(env: Env) -> None:
    """Longer than --hold-age: the lines leave incomplete and are mended."""
    container_id: list[str] = []
    gate = threading.Event()
    real = relay(env.node.socket)

    def unknown(request: bytes, context: object) -> bytes:
        answer = real["ContainerStatus"] if gate.is_set() else refuse(grpc.StatusCode.NOT_FOUND, "not yet")
        return answer(request, context)

    def hidden(request: bytes, context: object) -> bytes:
        return real["ListContainers"](request, context) if gate.is_set() else without(real["ListContainers"], *container_id)(request, context)

    with scripted(env, ContainerStatus=unknown, ListContainers=hidden) as fake:
        agent = bare(env, fake.path, "--reconcile-interval", "1s")
        container = env.pod("unknown").create("app", "each-usr1")
        container_id.append(container.id)
        container.start()
        incomplete(agent, container)
        gate.set()
        resolved(agent, container)
        quiet(agent, container)
        env.finish(agent)


# The event stream, told of real containers


def as_told(env: Env, container: Container) -> tuple[bytes, bytes]:
    """The pod's and the container's status of this moment, as the real runtime has them."""
    request = b"\x0a\x40" + container.id.encode()
    real = relay(env.node.socket)
    own = dict(fields(real["ContainerStatus"](request, None)))[1]
    pod = dict(fields(real["PodSandboxStatus"](b"\x0a\x40" + container.pod.sandbox_id.encode(), None)))[1]
    assert isinstance(own, bytes) and isinstance(pod, bytes)
    return pod, own


def tell(env: Env, fake: Fake, kind: str, container: Container) -> None:
    pod, own = as_told(env, container)
    fake.send(event(kind, container.id, pod, statuses(own)))


def using_the_stream(agent: Crier, state: str = "open", after: int = 0) -> Line:
    return agent.wait_event("agent.health", where=lambda line: line.get("data.event_stream") == state and line.seq > after)


def test_events_name_whom_nobody_answers_for(env: Env) -> None:
    """Every question is refused; who is created is known by the stream, also before its cgroup, and gone at once."""
    refused = refuse(grpc.StatusCode.INTERNAL)
    with scripted(env, events=True, ContainerStatus=refused, PodSandboxStatus=refused) as fake:
        agent = bare(env, fake.path, "--reconcile-interval", "10m", "--exit-wait", "30s")
        using_the_stream(agent)
        container = env.pod("told").create("app", "each-usr1")
        tell(env, fake, "created", container)
        agent.wait_for(lambda _: fake.subscribers() == 1, "a subscriber")
        container.start()
        for kind in ("container.created", "container.started"):
            line = agent.wait_event(kind, container=container)
            belongs(line, container)
            same(line, attribution__source="cri_event")
        lists = fake.count("ListContainers")
        container.stop(0)
        tell(env, fake, "stopped", container)
        exited = agent.wait_event("container.exited", container=container)
        same(exited, data__cause="signal", data__runtime__exit_code=137)
        container.remove()
        fake.send(event("deleted", container.id))
        agent.wait_event("container.removed", container=container)
        assert fake.count("ListContainers") == lists, "no list was needed"
        only(agent.events("container.exited", container=container), "container.exited")
        env.finish(agent)


def test_a_hung_question_holds_nobody(env: Env) -> None:
    """No question is ever answered, while lists and events are: names come by the stream, and nothing waits for more."""
    stuck = threading.Event()
    silent = {name: hang(stuck) for name in ("ContainerStatus", "PodSandboxStatus")}
    with scripted(env, events=True, **silent) as fake:
        agent = bare(env, fake.path, "--reconcile-interval", "10m", "--cri-timeout", "30s")
        using_the_stream(agent)
        container = env.pod("told").create("app", "each-usr1")
        tell(env, fake, "created", container)
        container.start()
        belongs(flows(agent, container), container)
        container.stop(0)
        same(agent.wait_event("container.exited", container=container), data__cause="signal", attribution__status="full")
        assert fake.count("ContainerStatus") and not stuck.is_set(), "the questions are still on their way"
        stuck.set()
        env.finish(agent)


def test_stream_faults(env: Env) -> None:
    """It breaks, it talks garbage, it floods: told as such, opened again, followed by a list; nothing else is the worse for it."""
    with scripted(env, events=True) as fake:
        agent = bare(env, fake.path, "--reconcile-interval", "10m")
        container = worker(env, "steady")
        belongs(flows(agent, container), container)
        last = using_the_stream(agent).seq
        for name, fault in {
            "break": lambda: fake.break_streams(grpc.StatusCode.INTERNAL),
            "garbage": lambda: fake.send(garbage()),
            "17 MiB": lambda: fake.send(oversized(17 * MIB)),
        }.items():
            lists = fake.count("ListContainers")
            fault()
            broken = using_the_stream(agent, "broken", last)
            assert broken.get("data.state") == "degraded" and broken.get("data.remedy"), f"{name}: {broken}"
            last = using_the_stream(agent, "open", broken.seq).seq
            assert fake.count("ListContainers") > lists, f"{name}: what was missed is in a list"
            belongs(flows(agent, container), container)
            bounded(agent)
        pod = sandbox_status("a" * 64)
        for number in range(20000):
            identity = f"{number:064x}"
            kind = "started" if number % 2 else "deleted"
            fake.send(event(kind, identity, pod, statuses(container_status(identity)) if kind == "started" else b""))
        belongs(flows(agent, container), container)
        fake.wait_taken(60)
        bounded(agent, 16384)  # --max-containers
        quiet(agent, container)
        newcomer = worker(env, "newcomer")
        agent.wait_for(lambda c: flows(c, newcomer), "line of a newcomer after the flood")
        env.finish(agent)


def test_stream_that_is_not_offered(env: Env) -> None:
    """Remembered: asked once, whatever happens on this connection."""
    with scripted(env) as fake:
        agent = bare(env, fake.path, "--cri-events", "on", "--reconcile-interval", "1s")
        health = using_the_stream(agent, "not_offered")
        same(health, data__state="ok")
        lists = fake.count("ListContainers")
        agent.wait_for(lambda _: fake.count("ListContainers") > lists + 1, "two more lists")
        assert fake.count(EVENTS) == 1, f"asked {fake.count(EVENTS)} times"
        env.finish(agent)


def test_stream_of_a_frozen_runtime(env: Env) -> None:
    """It hangs with everything else: the connection is given up, and with the next one it is opened again."""
    with scripted(env, events=True) as fake:
        path = env.folder("proxy") / "s"
        with Proxy(path, fake.path) as proxy:
            agent = bare(env, path, "--cri-timeout", "400ms", "--reconcile-interval", "1s")
            container = worker(env, "through")
            last = using_the_stream(agent).seq
            proxy.stall()
            down = agent.wait_event("agent.health", where=lambda line: line.get("data.state") == "down" and line.seq > last)
            flows(agent, container)
            proxy.resume()
            using_the_stream(agent, "open", down.seq)
            resolved(agent, container)
            env.finish(agent)
