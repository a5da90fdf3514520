"""The runtime's event stream: what it tells, and every way it can end, lie, hang or flood."""
from __future__ import annotations

import time
from pathlib import Path

from driver import SANITIZED, Driver, Message, once
from env import Env
from harness.fake import (EVENTS, Fake, container_status, event, garbage, listed_container, oversized, sandbox_status, statuses,
                          version)  # fmt: skip
from harness.sockets import Proxy

import grpc

GROWTH_MAX_KIB = 16 * 1024  # the client's bounds: 1 MiB that waits, a message of 2 MiB, 8 MiB unpacked, and what malloc keeps


def told(driver: Driver, state: str, after: int = 0) -> Message:
    return driver.wait(f"RUNTIME: stream {state}", lambda m: m.get("stream") == state, after)


def happened(driver: Driver, kind: str, identity: str, after: int = 0) -> Message:
    return driver.wait(f"{kind} {identity}", lambda m: m.get("event") == kind and m.get("id") == identity, after)


def full(kind: str, identity: str, state: int = 1, code: int = 0, reason: str = "") -> bytes:
    """As containerd tells it: the pod, and every container of it."""
    each = [container_status("neighbour"), container_status(identity, state, code, reason)]
    return event(kind, identity, sandbox_status("s1"), statuses(*(each if kind != "deleted" else each[:1])))


def test_each_kind(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        told(driver, "open")
        fake.send(full("created", "c1", 0), full("started", "c1"), full("stopped", "c1", 2, 137, "OOMKilled"), full("deleted", "c1"))
        happened(driver, "deleted", "c1")
        kinds = [m for m in driver.messages if m["type"] == "event"]
        assert [m["event"] for m in kinds] == ["created", "started", "stopped", "deleted"], f"{kinds}"
        for message in kinds[:3]:
            assert message["container"]["id"] == "c1" and message["container"]["sandbox_id"] == "s1", f"{message}"
            assert message["pod"]["uid"] == "uid-s1" and message["pod"]["ip"] == "10.88.0.2", f"{message}"
        stopped = kinds[2]["container"]
        assert stopped["exit_code"] == 137 and stopped["reason"] == "OOMKilled" and stopped["state"] == 3, f"{stopped}"
        assert "pid" not in stopped, f"an event has no verbose info: {stopped}"
        assert "container" not in kinds[3], f"what is deleted has no status: {kinds[3]}"


def test_sandboxes_and_what_is_left_out(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        told(driver, "open")
        fake.send(event("created", "s1", sandbox_status("s1")), event("deleted", "s2"))
        made = happened(driver, "created", "s1")
        assert made["pod"]["sandbox_id"] == "s1" and "container" not in made, f"{made}"
        gone = happened(driver, "deleted", "s2")
        assert "pod" not in gone and "container" not in gone, f"{gone}"


def test_a_list_follows_the_stream(env: Env) -> None:
    """Whatever was created before the stream was there is in a list that was asked for after it."""
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        driver.wait_type("list_end")
        assert fake.calls.index(EVENTS) < fake.calls.index("ListPodSandbox"), f"{fake.calls}"
        first = told(driver, "open")
        assert driver.messages.index(first) > [m["type"] for m in driver.messages].index("list_end")


def test_not_offered_is_remembered_for_this_version(env: Env) -> None:
    path = env.folder() / "s"
    with Driver(path, stream=1, reconcile_ms=50) as driver:
        for number in ("1.0", "1.0", "2.0"):
            after = driver.position()
            with Fake(path, Version=version("fake", number)) as fake:
                told(driver, "not_offered", after)
                driver.wait("a later list", lambda m: m["type"] == "list_end", driver.position())
                asked = fake.count(EVENTS)
            driver.wait_type("down", after)
            repeated = number == "1.0" and after > 0
            assert asked == (0 if repeated else 1), f"version {number}: asked {asked} times"


def test_a_late_refusal_is_no_open_stream(env: Env) -> None:
    """A busy containerd 1.6 answers the list first."""
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        fake.wait_subscribed()
        driver.wait_type("list_end")
        fake.break_streams(grpc.StatusCode.UNIMPLEMENTED)
        told(driver, "not_offered")
        states = [message["stream"] for message in driver.messages if message["type"] == "runtime"]
        assert "open" not in states, f"{states}"


def test_ended_at_once_is_not_offered(env: Env) -> None:
    """CRI-O without enable_pod_events answers so."""
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        fake.wait_subscribed()
        fake.break_streams(None)
        told(driver, "not_offered")
        assert fake.count(EVENTS) == 1


def test_off_and_shared(env: Env) -> None:
    path = env.folder() / "s"
    for stream, name, number, want in (
        (0, "fake", "1.0", "off"),
        (1, "containerd", "1.7.24~ds1", "shared"),
        (1, "containerd", "v1.7.3-k3s1", "shared"),
        (1, "containerd", "unversioned", "shared"),
        (2, "containerd", "1.7.24", "open"),
        (1, "containerd", "1.6.20~ds1", "open"),
        (1, "containerd", "2.1.9+unknown", "open"),
        (1, "containerd", "v10.0.0", "open"),
        (1, "cri-o", "1.31.0", "open"),
    ):
        with Fake(path, events=True, Version=version(name, number)) as fake, Driver(path, stream=stream) as driver:
            told(driver, want)
            driver.wait_type("list_end")
            assert fake.count(EVENTS) == (want == "open"), f"{name} {number}: {fake.calls}"


def test_a_broken_stream_is_opened_again_and_a_list_follows(env: Env) -> None:
    path = env.folder() / "s"
    codes = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN,
             grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED)  # fmt: skip
    for code in codes:
        with Fake(path, events=True) as fake, Driver(path, stream=1, reconcile_ms=600000) as driver:
            told(driver, "open")
            after = driver.position()
            fake.break_streams(code)
            broken = told(driver, "broken", after)
            assert "GetContainerEvents" in broken["error"] and "scripted" in broken["error"], f"{broken}"
            fake.wait_subscribed(2)
            driver.wait_type("list_end", after)
            told(driver, "open", after)
            assert driver.count("down") == 0, "the runtime answers: it is not down"
            fake.send(full("created", "later"))
            happened(driver, "created", "later")


def test_it_keeps_breaking(env: Env) -> None:
    """With pauses that grow: a list each time would otherwise be a load of its own."""
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1, reconcile_ms=600000):
        fake.wait_subscribed(1)
        begin = time.monotonic()
        for times in range(1, 6):
            fake.wait_subscribed(times)
            fake.break_streams(grpc.StatusCode.INTERNAL)
        fake.wait_subscribed(6)
        # 0.1, 0.2, 0.4, 0.8 and 1.6 s, each a quarter less at most: a busy machine only makes it longer
        assert time.monotonic() - begin > 0.75 * 3.1, "the pauses do not grow"
        lists, streams = fake.count("ListPodSandbox"), fake.count(EVENTS)
        assert lists <= streams + 1, f"{lists} lists for {streams} streams"


def test_messages_that_cannot_be_read(env: Env) -> None:
    path = env.folder() / "s"
    whole = full("created", "c1")
    bad = {
        "garbage": garbage(),
        "cut": whole[:-3],
        "without an id": event("created", ""),
        "an id too long": event("created", "x" * 129),
        "more than 2 MiB": oversized(3 << 20),
        "more than 16 MiB": oversized(17 << 20),
        "144 MiB when unpacked": event("created", "c1") + field_of_empties(),
    }
    with Fake(path, events=True) as fake, Driver(path, stream=1, reconcile_ms=600000) as driver:
        told(driver, "open")
        for times, (name, message) in enumerate(bad.items(), 1):
            fake.wait_subscribed(times)
            before = driver.stats()
            after = driver.position()
            fake.send(message, full("created", "behind"))
            told(driver, "broken", after)
            fake.wait_subscribed(times + 1)
            driver.wait_type("list_end", after)
            told(driver, "open", after)
            grown = driver.stats()["rss_kib"] - before["rss_kib"]
            assert SANITIZED or grown < GROWTH_MAX_KIB, f"{name}: {grown} KiB more"
            assert not [m for m in driver.messages[after:] if m.get("id") == "c1"], name
        fake.send(oversized(1 << 20) + full("created", "c1"), full("created", "last"))  # a field of a later version
        happened(driver, "created", "c1")
        happened(driver, "created", "last")


def field_of_empties() -> bytes:
    """4 MiB of containers with nothing in them."""
    return b"\x2a\x00" * (2 << 20)


def test_an_unknown_kind_is_passed_on_as_such(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        told(driver, "open")
        fake.send(event("created", "c1").replace(b"\x10\x00", b"\x10\x63", 1))
        happened(driver, "none", "c1")


def test_old_events_are_left_out_and_counted(env: Env) -> None:
    """containerd keeps what nobody read: 1,000 events, or those of five minutes, however long ago they were."""
    path = env.folder() / "s"
    hour_ago = time.time_ns() - 3600 * 10**9
    with Fake(path, events=True) as fake, Driver(path, stream=1, reconcile_ms=600000) as driver:
        told(driver, "open")
        fake.send(*(event("created", f"old{number}", at_ns=hour_ago) for number in range(1000)), full("created", "now"))
        happened(driver, "created", "now")
        assert not [m for m in driver.messages if m.get("id", "").startswith("old")]
        after = driver.position()
        driver.say("reconcile")
        assert driver.wait_type("list_end", after)["skipped"] == 1000
        after = driver.position()
        driver.say("reconcile")
        assert "skipped" not in {key for key, value in driver.wait_type("list_end", after).items() if value}


def test_the_runtime_never_waits_for_crier(env: Env) -> None:
    """The main loop stands still and events pour in: they are read up to a bound, then the stream is closed, not left unread."""
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1, mailbox=4096, reconcile_ms=600000) as driver:
        told(driver, "open")
        before = driver.stats()
        driver.say("stall")
        fake.send(*(full("created", f"c{number}") for number in range(30000)))
        fake.wait_taken(60)
        grown = driver_rss_kib(driver.pid) - before["rss_kib"]
        assert SANITIZED or grown < GROWTH_MAX_KIB, f"{grown} KiB more"
        assert fake.subscribers() == 0, "it was closed"
        after = driver.position()
        driver.say("resume")
        broken = told(driver, "broken", after)
        assert "mailbox is full" in broken["error"], f"{broken}"
        assert driver.wait_type("list_end", after)["skipped"] > 0
        told(driver, "open", driver.messages.index(broken))
        fake.send(full("created", "after"))
        happened(driver, "created", "after")


def driver_rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0])


def test_a_flood_is_passed_on_whole(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        told(driver, "open")
        fake.send(*(full("created", f"c{number}") for number in range(5000)))
        happened(driver, "created", "c4999")
        told_ids = [m["id"] for m in driver.messages if m["type"] == "event"]
        assert told_ids == [f"c{number}" for number in range(5000)], f"{len(told_ids)} events"


def test_answers_go_on_beside_a_flood(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
        told(driver, "open")
        fake.send(*(full("created", f"c{number}") for number in range(20000)))
        assert driver.ask("container", "mine")["type"] == "container"
        assert driver.count("down") == 0


def test_the_deadline_is_the_runtimes_too(env: Env) -> None:
    """A crier that is stopped as a whole holds the runtime up to the deadline; afterwards the stream is opened again, quietly."""
    path = env.folder() / "s"
    with Fake(path, events=True) as fake, Driver(path, stream=1, life=400, reconcile_ms=600000) as driver:
        fake.wait_subscribed(4, seconds=40)
        lives = fake.wait_lives(4)
        assert all(left is not None and left <= 0.42 * 1.25 * 2**times for times, left in enumerate(lives)), f"{lives}"
        assert lives[3] > lives[0] * 2, f"a quiet stream may last longer each time: {lives}"
        assert driver.count("list_begin") >= 3, "each is followed by a list"
        assert not [m for m in driver.messages if m.get("stream") == "broken"], "nothing is wrong"
        fake.send(full("created", "c1"))
        happened(driver, "created", "c1")
        fake.wait_subscribed(6, seconds=60)
        lives = fake.wait_lives(6)
        assert min(lives[4:]) <= 0.42 * 1.25, f"after traffic it is short again: {lives}"


def test_the_runtime_hangs_and_comes_back(env: Env) -> None:
    path, behind = env.folder() / "s", env.folder() / "real"
    with Fake(behind, events=True) as fake, Proxy(path, behind) as proxy:
        with Driver(path, stream=1, timeout_ms=300, reconcile_ms=200) as driver:
            told(driver, "open")
            after = driver.position()
            proxy.stall()
            driver.wait_type("down", after)
            fake.send(full("created", "unseen"))
            proxy.resume()
            told(driver, "open", after)
            fake.send(full("created", "seen"))
            happened(driver, "created", "seen", after)


def test_restart_as_another_version(env: Env) -> None:
    path = env.folder() / "s"
    with Driver(path, stream=1, reconcile_ms=600000) as driver:
        for number in ("1.0", "2.0", "2.0"):
            after = driver.position()
            with Fake(path, events=True, Version=version("fake", number)) as fake:
                told(driver, "open", after)
                fake.send(full("created", f"c{number}"))
                happened(driver, "created", f"c{number}", after)


def test_free_in_each_state(env: Env) -> None:
    path = env.folder() / "s"
    for name in ("open", "flooded", "hung", "at once"):
        with Fake(path, events=True) as fake, Driver(path, stream=1) as driver:
            if name != "at once":
                told(driver, "open")
            if name == "flooded":
                fake.send(*(full("created", f"c{number}") for number in range(20000)))
            driver.free_in_time(name)


def test_every_call_has_a_deadline(env: Env) -> None:
    """As the server sees it; only then is a hung runtime never waited for."""
    path = env.folder() / "s"
    everything = listed_container("c1")
    with Fake(path, events=True, ListContainers=everything) as fake, Driver(path, stream=1, timeout_ms=1500, life=3000) as driver:
        told(driver, "open")
        driver.ask("unknown+pod", "c")
        driver.ask("sandbox", "s")
        once("probe", str(path), "2000")
        fake.wait_lives(1)
        with fake._lock:  # pylint: disable=protected-access
            seen = list(fake.deadlines)
        assert {method for method, _ in seen} == {"Version", "Status", "ListPodSandbox", "ListContainers", "ContainerStatus",
                                                  "PodSandboxStatus", EVENTS}, f"{seen}"
        for method, left in seen:
            longest = 4.0 if method == EVENTS else 2.2
            assert left is not None and 0 < left <= longest, f"{method}: {left} s"
