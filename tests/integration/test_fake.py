"""The client against a scripted runtime: slow, lying, long, and counted."""
from __future__ import annotations

import threading
import time
from typing import Any

from driver import Driver
from env import Env
from harness.fake import Fake, asked_id, container, field, listed_container, listed_pod, sandbox, version
from harness.sockets import Garbage, Hung

import grpc


def test_one_sandbox_call_for_many_containers(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, ContainerStatus=lambda request, _: container(asked_id(request), "s1")) as fake, Driver(path) as driver:
        driver.wait_type("list_end")
        for number in range(10):
            answer = driver.ask("container+pod", f"c{number}")
            assert answer["pod"]["ip"] == "10.88.0.2" and answer["pod"]["sandbox_id"] == "s1", f"{answer}"
        assert fake.count("PodSandboxStatus") == 1, f"{fake.count('PodSandboxStatus')} calls"
        fake.methods["ListPodSandbox"] = listed_pod("s1", ready=False)
        after = driver.position()
        driver.say("reconcile")
        driver.wait_type("list_end", after)
        driver.ask("container+pod", "c1")
        assert fake.count("PodSandboxStatus") == 2, "a list said that the pod is no longer ready"
        after = driver.position()
        fake.methods["ListPodSandbox"] = b""
        driver.say("reconcile")
        driver.wait_type("list_end", after)
        driver.ask("container+pod", "c1")
        assert fake.count("PodSandboxStatus") == 3, "a list no longer named the pod"


def test_unsettled_sandboxes_are_asked_again(env: Env) -> None:
    path = env.folder() / "s"
    states = {"without an address": sandbox("s1", ip=""), "not ready": sandbox("s1", ready=False)}
    for name, answer in states.items():
        methods: dict[str, Any] = {
            "ContainerStatus": lambda request, _: container(asked_id(request), "s1"),
            "PodSandboxStatus": answer,
        }
        with Fake(path, **methods) as fake, Driver(path) as driver:
            for _ in range(3):
                assert driver.ask("container+pod", "c")["pod"]["sandbox_id"] == "s1"
            assert fake.count("PodSandboxStatus") == 3, f"{name}: {fake.count('PodSandboxStatus')} calls"


def test_container_without_its_pod(env: Env) -> None:
    """The pod's status is refused, or is another pod's: the container is told all the same."""
    path = env.folder() / "s"
    methods: dict[str, Any] = {"ContainerStatus": lambda request, _: container(asked_id(request), "s1")}

    def refuse(_: bytes, context: Any) -> bytes:
        context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        return b""

    for pod in (refuse, sandbox("another")):
        with Fake(path, PodSandboxStatus=pod, **methods), Driver(path) as driver:
            answer = driver.ask("container+pod", "c")
            assert answer["type"] == "container" and "pod" not in answer, f"{answer}"


def test_answer_about_another_id(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, ContainerStatus=container("other"), PodSandboxStatus=sandbox("other")), Driver(path) as driver:
        for word in ("container", "sandbox", "unknown+pod"):
            answer = driver.ask(word, "mine")
            assert answer["type"] == "missing" and answer["status"] == "invalid", f"{word}: {answer}"


def test_errors_by_their_code(env: Env) -> None:
    path = env.folder() / "s"
    want = {
        "NOT_FOUND": "not_found",
        "DEADLINE_EXCEEDED": "timeout",
        "PERMISSION_DENIED": "refused",
        "UNAUTHENTICATED": "refused",
        "UNIMPLEMENTED": "refused",
        **{code: "invalid" for code in ("UNKNOWN", "INVALID_ARGUMENT", "ALREADY_EXISTS", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
                                        "ABORTED", "OUT_OF_RANGE", "INTERNAL", "DATA_LOSS")},
    }

    def abort(request: bytes, context: Any) -> bytes:
        context.abort(getattr(grpc.StatusCode, asked_id(request)), "own words\nof the runtime")
        return b""

    with Fake(path, ContainerStatus=abort), Driver(path) as driver:
        for code, status in want.items():
            answer = driver.ask("container", code)
            assert answer["type"] == "missing" and answer["status"] == status, f"{code}: {answer}"
            assert "ContainerStatus" in answer["error"] and "own words" in answer["error"], f"{answer}"
        assert driver.count("down") == 0


def test_one_slow_method_is_no_hung_runtime(env: Env) -> None:
    """While anything is answered, a call that runs out of time says nothing about the runtime."""
    path = env.folder() / "s"
    with Fake(path, ContainerStatus=lambda *_: time.sleep(1) or b"") as fake, Driver(path, timeout_ms=400) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        driver.say("container c")
        time.sleep(0.1)
        assert driver.ask("sandbox", "s")["pod"]["sandbox_id"] == "s"
        assert driver.wait_type("missing", after)["status"] == "timeout"
        time.sleep(0.1)
        assert fake.count("Version") == 1, "there was no doubt, so nothing to ask"
        assert driver.ask("container", "c")["status"] == "timeout"
        driver.wait("Version asked again", lambda _: fake.count("Version") == 2)
        assert driver.ask("sandbox", "s")["pod"]["sandbox_id"] == "s"
        assert driver.count("down") == 0 and driver.count("runtime") == 1


def test_calls_in_flight_are_bounded(env: Env) -> None:
    path = env.folder() / "s"

    def slow(request: bytes, _: Any) -> bytes:
        time.sleep(0.02)
        return container(asked_id(request))

    with Fake(path, ContainerStatus=slow) as fake, Driver(path, in_flight=3) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        for number in range(60):
            driver.say(f"container c{number}")
        driver.wait("all answers", lambda _: driver.count("container", after) == 60, after)
        assert fake.most_at_once == 3, f"{fake.most_at_once} at once"


def test_urgent_questions_go_first(env: Env) -> None:
    """What a list brought up waits behind the one whose events wait."""
    path = env.folder() / "s"
    # one call at a time: answers come in the order of the questions, however slow a thread of the fake is
    with Fake(path) as fake, Driver(path, in_flight=1) as driver:
        driver.wait_type("list_end")
        gate = threading.Event()
        fake.methods["ContainerStatus"] = lambda request, _: (gate.wait(20), container(asked_id(request)))[1]
        after = driver.position()
        for number in range(50):
            driver.say(f"container c{number}")
        for number in range(3):
            driver.say(f"urgent u{number}")
        driver.wait("all replies", lambda _: driver.count("asked", after) == 53, after)
        gate.set()
        driver.wait("all answers", lambda _: driver.count("container", after) == 53, after)
        order = [m["container"]["id"] for m in driver.messages[after:] if m["type"] == "container"]
        assert order.index("u2") <= 3, f"more than the one under way came before: {order[:20]}"
        assert [each for each in order if each[0] == "u"] == ["u0", "u1", "u2"], f"{order[:20]}"
        assert [each for each in order if each[0] == "c"] == [f"c{number}" for number in range(50)], f"{order[:20]}"


def test_queue_is_bounded_and_each_accepted_question_answered(env: Env) -> None:
    path = env.folder() / "s"
    gate = threading.Event()

    def held(request: bytes, _: Any) -> bytes:
        gate.wait(10)
        return container(asked_id(request))

    with Fake(path, ContainerStatus=held), Driver(path, in_flight=2, queued=5, timeout_ms=5000) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        for number in range(20):
            driver.say(f"container c{number}")
        driver.wait("all replies", lambda _: driver.count("asked", after) == 20, after)
        results = [message["result"] for message in driver.messages[after:] if message["type"] == "asked"]
        accepted = results.count(0)
        assert 5 <= accepted <= 7 and results.count(-11) == 20 - accepted, f"{results}"
        gate.set()
        driver.wait("the answers", lambda _: driver.count("container", after) == accepted, after)
        time.sleep(0.2)
        assert driver.count("container", after) == accepted, "one answer each"


def test_full_mailbox_loses_no_answer(env: Env) -> None:
    """The main loop stands still: answers wait, no question is taken; then all of it comes, in order."""
    path = env.folder() / "s"
    pods = b"".join(listed_pod(f"p{number}") for number in range(300))
    with Fake(path, ListPodSandbox=pods) as fake, Driver(path, mailbox=4096, reconcile_ms=600000) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        driver.say("stall")
        driver.say("reconcile")
        for number in range(200):
            driver.say(f"container c{number}")
        time.sleep(1)
        asked = fake.count("ContainerStatus")
        assert asked < 60, f"{asked} questions went on although nobody takes the answers"
        driver.say("resume")
        driver.wait_type("list_end", after)
        driver.wait("all answers", lambda _: driver.count("container", after) == 200, after)
        told = [m["container"]["id"] for m in driver.messages[after:] if m["type"] == "container"]
        assert sorted(told) == sorted(f"c{number}" for number in range(200)), f"{len(told)} answers"
        listed = [m["pod"]["sandbox_id"] for m in driver.messages[after:] if m["type"] == "pod"]
        assert listed == [f"p{number}" for number in range(300)], f"{len(listed)} pods"


def test_free_with_a_full_mailbox(env: Env) -> None:
    path = env.folder() / "s"
    pods = b"".join(listed_pod(f"p{number}") for number in range(300))
    with Fake(path, ListPodSandbox=pods) as fake, Driver(path, mailbox=1024) as driver:
        driver.say("stall")
        driver.wait("a reply", lambda _: True, seconds=0.5) if driver.messages else time.sleep(0.5)
        driver.say("reconcile")
        time.sleep(0.3)
        assert fake.count("Version") == 1
        driver.free_in_time("the mailbox full")


def test_long_list(env: Env) -> None:
    """5,000 containers with 20 labels each: some 5 MB in one answer."""
    path = env.folder() / "s"
    everything = b"".join(listed_container(f"c{number}", 20) for number in range(5000))
    assert len(everything) > 4 << 20
    with Fake(path, ListContainers=everything), Driver(path, mailbox=65536, timeout_ms=10000) as driver:
        driver.wait_type("list_end", seconds=30)
        assert driver.count("container") == 5000


def test_only_lists_may_be_large(env: Env) -> None:
    """Eight questions are on their way at once: an answer about one container is bounded apart."""
    path = env.folder() / "s"
    padding = field(1000, b"x" * (3 << 20))
    with Fake(path, ContainerStatus=padding, PodSandboxStatus=padding) as fake, Driver(path) as driver:
        driver.wait_type("list_end")
        for word in ("container", "sandbox"):
            answer = driver.ask(word, "c")
            assert answer["status"] == "invalid" and "larger than max" in answer["error"], f"{answer}"
        fake.methods["ListContainers"] = padding + listed_container("c1")
        after = driver.position()
        driver.say("reconcile")
        assert driver.wait_type("container", after)["container"]["id"] == "c1"


def test_list_beyond_the_limit_is_no_list(env: Env) -> None:
    path = env.folder() / "s"
    everything = b"".join(listed_container(f"c{number}", 20) for number in range(1000))
    with Fake(path, ListContainers=everything) as fake, Driver(path, receive=500000, reconcile_ms=100) as driver:
        driver.wait("a second attempt", lambda m: m["type"] == "list_begin" and m["generation"] == 3)
        assert driver.count("list_end") == 0 and driver.count("down") == 0
        assert driver.ask("container", "c")["type"] == "container"
        fake.methods["ListContainers"] = listed_container("c")
        driver.wait_type("list_end")


def test_broken_list_is_never_ended(env: Env) -> None:
    path = env.folder() / "s"
    broken = {
        "cut": listed_container("a") + b"\x0a\x7f",
        "item without id": listed_container("a") + field(1, b""),
        "not protobuf": b"\xff" * 40,
    }
    for name, answer in broken.items():
        with Fake(path, ListContainers=answer), Driver(path, reconcile_ms=50) as driver:
            driver.wait("a third attempt", lambda m: m["type"] == "list_begin" and m["generation"] == 3)
            assert driver.count("list_end") == 0, f"{name}: what was not in this list is not gone"


def test_version_that_cannot_be_read(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, Version=b"\x0a\xff") as fake, Driver(path) as driver:
        assert "cannot be read" in driver.wait_type("down")["error"]
        fake.methods["Version"] = version()
        driver.wait_type("runtime")


def test_old_api_is_told_once_and_asked_about_again(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path, "runtime.v1alpha2.RuntimeService"), Driver(path) as driver:
        down = driver.wait_type("down")
        assert "does not offer CRI v1" in down["error"] and down["status"] == "refused", f"{down}"
        assert driver.ask("unknown", "x")["status"] == "refused"
        time.sleep(1)
        assert driver.count("down") == 1
    with Fake(path), Driver(path) as driver:
        driver.wait_type("runtime")


def test_missing_then_garbage_then_hung_then_there(env: Env) -> None:
    """Each change of what is wrong is told, and the right runtime is found whenever it comes."""
    path = env.folder() / "s"
    with Driver(path, timeout_ms=300) as driver:
        assert "no such file" in driver.wait_type("down")["error"]
        after = driver.position()
        with Garbage(path):
            assert "does not speak gRPC" in driver.wait("DOWN: garbage", lambda m: "gRPC" in m.get("error", ""), after)["error"]
        after = driver.position()
        with Hung(path):
            driver.wait("DOWN: hung", lambda m: "no answer within" in m.get("error", ""), after)
            after = driver.position()
        with Fake(path):
            driver.wait_type("runtime", after, seconds=20)
            driver.wait_type("list_end", after)
            assert driver.ask("container", "c")["type"] == "container"


def test_restart_as_another_version(env: Env) -> None:
    """Too quick to be seen as down: the connection's end is what tells."""
    path = env.folder() / "s"
    with Fake(path) as first, Driver(path, reconcile_ms=600000) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        first.close()
        with Fake(path, Version=version("fake", "2.0")):
            assert driver.wait_type("runtime", after)["version"] == "2.0"
            driver.wait_type("list_end", after)


def test_free_in_each_fault(env: Env) -> None:
    path = env.folder() / "s"
    for server in (Hung, Garbage, None):
        for wait_s in (0.0, 0.02, 0.4):
            opened = server(path) if server else None
            with Driver(path, timeout_ms=5000) as driver:
                driver.say("container c")
                time.sleep(wait_s)
                driver.free_in_time(f"{server}, after {wait_s} s")
            if opened:
                opened.close()


def test_questions_before_the_first_connection(env: Env) -> None:
    path = env.folder() / "s"

    def late(_: bytes, __: Any) -> bytes:
        time.sleep(0.3)
        return version()

    with Fake(path, Version=late), Driver(path) as driver:
        assert driver.ask("container", "c")["type"] == "container"


def test_only_reading_calls_arrive(env: Env) -> None:
    path = env.folder() / "s"
    with Fake(path) as fake, Driver(path) as driver:
        driver.ask("unknown+pod", "c")
        driver.ask("sandbox", "s")
        driver.wait_type("list_end")
        assert set(fake.calls) == {"Version", "Status", "ListPodSandbox", "ListContainers", "ContainerStatus",
                                   "PodSandboxStatus"}, f"{set(fake.calls)}"
