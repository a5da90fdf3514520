"""The client against the real containerd: answers, lists, and a runtime that dies, freezes and comes back."""
from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from driver import PROGRAM, SANITIZED, Driver
from env import Env
from harness.pod import MIB

# What the agent may cost; the whole of crier has 10 MB. gRPC adds a thread to its pool when all of it is busy.
THREADS_MAX = 11
RSS_MAX_KIB = 9 * 1024


def cgroup_of(pid: int) -> str:
    lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
    return next(line.split(":", 2)[2] for line in lines if line.startswith("0::") or ":memory:" in line)


def test_connect_and_list(env: Env) -> None:
    container = env.running()
    with Driver(env.node.socket) as driver:
        end = driver.wait_type("list_end")
        runtime = driver.messages[0]
        assert runtime["type"] == "runtime" and runtime["name"] == "containerd" and runtime["ready"] == 1, f"{runtime}"
        begin = driver.messages[1]
        assert begin["type"] == "list_begin" and begin["generation"] == end["generation"] == 1, f"{begin}"
        kinds = [message["type"] for message in driver.messages[2:-1]]
        assert kinds == sorted(kinds, reverse=True) and set(kinds) == {"pod", "container"}, f"{kinds}"
        assert all(message["generation"] == 1 for message in driver.messages[1:])
        pod = driver.wait("the pod", lambda m: m.get("pod", {}).get("sandbox_id") == container.pod.sandbox_id)["pod"]
        assert pod["uid"] == container.pod.uid and pod["ready"] == 1, f"{pod}"
        told = driver.wait("the container", lambda m: m.get("container", {}).get("id") == container.id)["container"]
        assert told["sandbox_id"] == container.pod.sandbox_id and told["state"] == 2, f"{told}"


def test_container_with_pod(env: Env) -> None:
    container = env.running()
    with Driver(env.node.socket) as driver:
        answer = driver.ask("container+pod", container.id)
    told, pod = answer["container"], answer["pod"]
    assert told["pid"] == container.pid and told["memory_limit_bytes"] == 64 * MIB, f"{told}"
    assert told["name"] == "app" and told["restart_count"] == 0 and told["grace_period_s"] == 30, f"{told}"
    assert told["cgroups_path"] == cgroup_of(container.pid), f"{told}"
    assert told["pod_uid"] == pod["uid"] == container.pod.uid and pod["name"] == "cart", f"{answer}"
    assert pod["cgroup_parent"] == os.path.dirname(told["cgroups_path"]), f"{pod}"
    assert "pid" not in pod, f"the shim is asked, which answers late while it makes a container: {pod}"
    assert "exit_code" not in told and "finished_at_ns" not in told and "type" not in told, f"{told}"


def test_container_alone(env: Env) -> None:
    container = env.running()
    with Driver(env.node.socket) as driver:
        assert "pod" not in driver.ask("container", container.id)


def test_unknown_id_is_a_sandbox(env: Env) -> None:
    sandbox = env.running().pod.sandbox_id
    with Driver(env.node.socket) as driver:
        for word in ("sandbox", "unknown", "unknown+pod"):
            answer = driver.ask(word, sandbox)
            assert answer["type"] == "pod" and answer["pod"]["name"] == "cart", f"{word}: {answer}"
            assert answer["pod"]["pid"] == env.node.cri.sandbox_pid(sandbox), f"{word}: {answer}"
        assert driver.ask("container", sandbox)["status"] == "not_found"


def test_not_found(env: Env) -> None:
    env.running()
    with Driver(env.node.socket) as driver:
        for word in ("container", "container+pod", "sandbox", "unknown"):
            answer = driver.ask(word, "deadbeef" * 8)
            assert answer["type"] == "missing" and answer["status"] == "not_found", f"{word}: {answer}"
            assert "not found" in answer["error"], f"{answer}"
        assert driver.count("down") == 0


def test_bad_ids_are_refused_at_once(env: Env) -> None:
    env.running()
    with Driver(env.node.socket) as driver:
        for identity in ("", "x" * 129):
            after = driver.position()
            driver.say(f"unknown {identity}")
            assert driver.wait_type("asked", after)["result"] == -22


def test_oom_killed(env: Env) -> None:
    container = env.pod("oom").start("hog", "hog", memory=64 * MIB)
    container.wait_exit()
    with Driver(env.node.socket) as driver:
        told = driver.ask("container", container.id)["container"]
    assert told["reason"] == "OOMKilled" and told["exit_code"] == 137 and told["state"] == 3, f"{told}"
    assert "pid" not in told and told["finished_at_ns"] >= told["started_at_ns"], f"{told}"


def test_every_question_of_many_is_answered(env: Env) -> None:
    container = env.running()
    with Driver(env.node.socket) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        for number in range(1000):
            driver.say(f"container+pod {container.id}" if number % 2 else f"unknown {number:064x}")
        driver.wait("the last answer", lambda m: m.get("id") == f"{998:064x}", after, 30)
        driver.wait("all answers", lambda _: driver.count("container", after) == 500, after, 30)
        assert driver.count("missing", after) == 500 and driver.count("asked", after) == 1000


def test_reconcile_on_demand(env: Env) -> None:
    env.running()
    with Driver(env.node.socket, reconcile_ms=600000) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        driver.say("reconcile")
        assert driver.wait_type("list_end", after)["generation"] == 2


def test_reconcile_by_itself(env: Env) -> None:
    env.running()
    with Driver(env.node.socket, reconcile_ms=200) as driver:
        driver.wait("a third list", lambda m: m["type"] == "list_end" and m["generation"] == 3)
        assert driver.count("runtime") == 1, "RUNTIME is told on connecting only"


def test_killed_and_restarted(env: Env) -> None:
    container = env.running()
    with Driver(env.node.socket, timeout_ms=1000, reconcile_ms=600000) as driver:
        driver.wait_type("list_end")
        after = driver.position()
        env.node.containerd.terminate()
        try:
            down = driver.wait_type("down", after)  # told although nobody asked anything
            assert str(env.node.socket) in down["error"], f"{down}"
            answer = driver.ask("unknown", container.id)
            assert answer["type"] == "missing" and answer["status"] == "unavailable", f"{answer}"
            time.sleep(1)
            assert driver.count("down", after) == 1, "DOWN is told on change only"
        finally:
            after = driver.position()
            env.node.containerd.start()
            env.node.cri.wait_ready()
        driver.wait_type("runtime", after)
        driver.wait_type("list_end", after)
        assert driver.ask("container", container.id)["container"]["pid"] == container.pid


def test_frozen_and_thawed(env: Env) -> None:
    container = env.running()
    with Driver(env.node.socket, timeout_ms=400) as driver:
        driver.wait_type("list_end")
        env.node.containerd.pause()
        try:
            after = driver.position()
            answer = driver.ask("container", container.id)
            assert answer["type"] == "missing" and answer["status"] == "timeout", f"{answer}"
            assert "no answer within 400 ms" in driver.wait_type("down", after)["error"]
            begin = time.monotonic()
            assert driver.ask("container", container.id)["status"] == "timeout"
            assert time.monotonic() - begin < 1.5, "while it is down, questions are not made to wait for it"
        finally:
            after = driver.position()
            env.node.containerd.resume()
        driver.wait_type("runtime", after)
        assert driver.ask("container", container.id)["container"]["pid"] == container.pid


def test_free_while_frozen(env: Env) -> None:
    """With calls in flight, questions waiting and a list on its way, at several moments of a time-out."""
    container = env.running()
    for wait_s in (0.0, 0.05, 0.3, 1.0):
        with Driver(env.node.socket, timeout_ms=500) as driver:
            driver.wait_type("list_end")
            env.node.containerd.pause()
            try:
                driver.say("reconcile")
                for _ in range(50):
                    driver.say(f"container+pod {container.id}")
                time.sleep(wait_s)
                driver.free_in_time(f"frozen for {wait_s} s")
            finally:
                env.node.containerd.resume()


def test_free_at_once(env: Env) -> None:
    env.running()
    for _ in range(10):
        with Driver(env.node.socket) as driver:
            driver.free_in_time("at once")


def test_threads_and_memory(env: Env) -> None:
    """As many threads on any machine, nothing that grows, and signals are none of theirs."""
    container = env.running()
    with Driver(env.node.socket, reconcile_ms=100) as driver:
        for _ in range(20):
            driver.ask("container+pod", container.id)
        early = driver.stats()
        for _ in range(300):
            driver.ask("container+pod", container.id)
        late = driver.stats()
        if not SANITIZED:
            assert late["threads"] <= THREADS_MAX, f"{late}"
            assert late["rss_kib"] <= RSS_MAX_KIB, f"{late}"
            assert late["anon_kib"] <= early["anon_kib"] + 512, f"{early} {late}"
        for task in Path(f"/proc/{driver.pid}/task").iterdir():
            if int(task.name) == driver.pid:
                continue
            status = (task / "status").read_text(encoding="ascii")
            blocked = int(re.search(r"^SigBlk:\s*([0-9a-f]+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
            name = (task / "comm").read_text(encoding="ascii").strip()
            if not SANITIZED:
                assert blocked >> (signal.SIGTERM - 1) & 1, f"thread {name} would take the process's SIGTERM"


def test_nothing_but_messages_on_stdout(env: Env) -> None:
    """gRPC told to be as loud as it can: the driver's reader would fail on a line that is no JSON."""
    container = env.running()
    loud = {"GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "api,http,client_channel"}
    with Driver(env.node.socket, environment=loud) as driver:
        driver.ask("container+pod", container.id)
        driver.free()
        assert all(line.startswith('{"type":') for line in driver.raw)


def test_no_other_method_in_the_program(env: Env) -> None:
    del env
    data = PROGRAM.read_bytes()
    named = set(re.findall(rb"/(?:runtime\.v1[a-z0-9]*|containerd\.[a-z0-9.]+)\.[A-Za-z]+/[A-Za-z]+", data))
    reading = ("Version", "Status", "ListPodSandbox", "ListContainers", "ContainerStatus", "PodSandboxStatus",
               "GetContainerEvents")
    assert named == {b"/runtime.v1.RuntimeService/" + name.encode() for name in reading}, f"{named}"
