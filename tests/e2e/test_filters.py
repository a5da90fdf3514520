"""What the user asked to see, and what is shown whatever was asked."""
from __future__ import annotations

from env import Env, only, same
from harness.pod import MIB


def test_namespace_and_always_told_oom(env: Env) -> None:
    agent = env.agent("--filter-namespace", "prod*")
    inside = env.pod("wanted", namespace="prod-eu").start("app", "run")
    outside = env.pod("unwanted", namespace="shop").start("app", "hog", "0.5", memory=64 * MIB)
    agent.wait_event("container.started", container=inside)
    outside.wait_exit()
    agent.wait_event("container.oom", container=outside)
    told = {line.type for line in agent.events(container=outside)}
    assert told == {"container.oom"}, f"of another namespace are told {told}"
    stop = env.finish(agent)
    assert stop.get("data.critical.filtered", 0) > 0, f"{stop}"


def test_types(env: Env) -> None:
    agent = env.agent("--filter-type", "container.*", "--filter-type", "!container.created")
    container = env.pod("typed").start("app", "exit", "3")
    agent.wait_event("container.exited", container=container)
    told = {line.type for line in agent.events(container=container)}
    assert told == {"container.started", "container.exited"}, f"{told}"
    env.finish(agent)


def test_hidden_start_still_links_the_restart(env: Env) -> None:
    """Filters run after correlation: what they hide is known all the same."""
    agent = env.agent("--filter-type", "container.started")
    pod = env.pod("linked")
    first = pod.start("app", "exit", "9")
    first.wait_exit()
    second = pod.restart(first, "run")
    started = agent.wait_event("container.started", container=second)
    same(started, data__previous__container_id=first.id, data__previous__exit_code=9)
    assert not agent.events("container.exited", container=first)
    env.finish(agent)


def test_arguments_only_when_asked_and_redacted(env: Env) -> None:
    agent = env.agent("--process-args", profile="full")
    container = env.pod("args").start("app", "run")
    container.exec("/trigger", "exit", "0", "--password=hunter2", "plain")
    lines = agent.wait_for(
        lambda c: c.events("process.exec", container=container, where=lambda l: "plain" in l.get("data.args", [])),
        "the arguments",
    )
    line = only(lines, "process.exec")
    same(line, data__args_count=5)
    assert line.get("data.args")[:3] == ["/trigger", "exit", "0"] and "hunter2" not in str(line), f"{line}"
    env.finish(agent)


def test_labels_by_allow_list(env: Env) -> None:
    agent = env.agent("--label", "team", "--label-keys", "underscore")
    container = env.pod("labelled", labels={"team": "a", "hidden": "b"}).start("app", "run")
    line = agent.wait_event("container.started", container=container)
    assert "hidden" not in str(line.get("k8s.pod")) and line.get("k8s.pod.label", {}).get("team") == "a", f"{line}"
    env.finish(agent)


def test_static_attributes_and_detail(env: Env) -> None:
    agent = env.agent("--resource", "deployment.environment=test", "--detail", "lean")
    container = env.pod("static-attributes").start("app", "run")
    line = agent.wait_event("container.started", container=container)
    assert "deployment.environment" in str(line), f"{line}"
    assert line.get("container.image") is None and len(line.raw) < 1500, f"not lean: {line}"
    env.finish(agent)
