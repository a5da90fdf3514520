"""What a test gets: the node, the module's crier, pods of its own, and more criers when it asks."""
from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from harness.cleanup import attempt
from harness.crier import Crier, node_flags
from harness.lines import Line
from harness.node import Node
from harness.pod import Container, Pod


T = TypeVar("T")


class Skip(Exception):
    """The test does not apply here; its text says why."""


# A fork bomb's pod tells thousands of lines: the reader of a failure wants the last ones.
STORY_LINES, STORY_WIDTH = 60, 2000


class Env:
    """Lives as long as a module; pods() and extra criers live as long as a test."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.agents: list[Crier] = []
        self._crier: Crier | None = None
        self._own: list[Crier] = []
        self._pods: list[Pod] = []
        self._count = 0

    @property
    def crier(self) -> Crier:
        assert self._crier is not None, "the module sets no PROFILE"
        return self._crier

    @crier.setter
    def crier(self, value: Crier) -> None:
        self._crier = value

    def folder(self, name: str) -> Path:
        """A folder of its own, removed with the node."""
        self._count += 1
        path = self.node.folder / "crier" / f"{self._count}-{name}"
        path.mkdir(parents=True)
        return path

    def pod(self, name: str, **options: Any) -> Pod:
        pod = self.node.pod(name, **options)
        self._pods.append(pod)
        return pod

    def agent(
        self,
        *flags: str,
        profile: str = "default",
        cri_socket: str | Path | None = None,
        bundles: bool = True,
        logs: bool = True,
        under: Sequence[str] = (),
    ) -> Crier:
        """A ready crier of the test's own; `under` as in Crier."""
        pointed = node_flags(self.node, cri_socket, profile, bundles=bundles, logs=logs)
        agent = Crier(self.folder("agent"), *pointed, *flags, under=under)
        self.adopt(agent)
        agent.wait_ready()
        return agent

    def adopt(self, agent: Crier) -> None:
        """Ends with the test, and tells its lines if the test fails."""
        self._own.append(agent)
        self.agents.append(agent)

    def finish(self, agent: Crier) -> Line:
        """Stops an agent, judges all its lines, and returns its last one, agent.stop."""
        code = agent.stop()
        agent.check()
        assert code == 0, f"crier ends with {code} after SIGTERM: {agent.diagnostics()}"
        last = agent.lines[-1]
        assert last.type == "agent.stop", f"the last line is {last.type}, not agent.stop"
        check_sums(last)
        return last

    def finish_shared(self, say: Callable[[str, str], None]) -> None:
        """The module's crier ends: its lines are one more test."""
        if self._crier is None:
            return
        try:
            self.finish(self._crier)
            say("ok", "")
        except Exception as error:  # pylint: disable=broad-except
            say("not ok", f"{type(error).__name__}: {error}")

    def story(self) -> str:
        """Every line that tells of this test's pods, for the reader of a failure."""
        parts = []
        for agent in [self._crier, *self._own]:
            if agent is None:
                continue
            told = [str(line)[:STORY_WIDTH] for pod in self._pods for line in agent.events(pod=pod)]
            left_out = [f"# … {len(told) - STORY_LINES} lines before these"] if len(told) > STORY_LINES else []
            parts += [f"# {' '.join(agent.command)}", *left_out, *told[-STORY_LINES:], "# its stderr: " + agent.diagnostics(800)]
        return "\n".join(parts)

    def end_test(self) -> None:
        for agent in self._own:
            attempt("crier", agent.close)
        for pod in self._pods:
            attempt(f"pod {pod.name}", pod.discard)
        self._own, self._pods = [], []

    def __enter__(self) -> Env:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for agent in self.agents:
            attempt("crier", agent.close)
        shutil.rmtree(self.node.folder / "crier", ignore_errors=True)


def check_sums(stop: Line) -> None:
    """generated = emitted + filtered + suppressed + lost + held, for each class, and nothing is held at the end."""
    for kind in ("bulk", "critical"):
        row = stop.get(f"data.{kind}")
        assert row, f"agent.stop has no data.{kind}: {stop}"
        parts = {key: row.get(key, 0) for key in ("emitted", "filtered", "suppressed", "lost", "held")}
        assert row.get("generated", 0) == sum(parts.values()), f"{kind}: generated {row.get('generated')} is not {parts}"
        assert parts["held"] == 0, f"{kind}: {parts['held']} events are still held at agent.stop"


def only(lines: list[T], what: str) -> T:
    """The single line of a list."""
    if len(lines) != 1:
        raise AssertionError(f"{len(lines)} lines of {what}, not one:\n" + "\n".join(str(each) for each in lines))
    return lines[0]


def same(line: Line, **wanted: Any) -> None:
    """Each field, dots written as __, has exactly the value."""
    for path, value in wanted.items():
        dotted = path.replace("__", ".")
        found = line.get(dotted)
        assert found == value, f"{line.type}: {dotted} is {found!r}, not {value!r}: {line}"


def belongs(line: Line, container: Container) -> None:
    """The line names the right pod and container, and says that it is sure."""
    pod = container.pod
    same(
        line,
        k8s__pod__name=pod.name,
        k8s__pod__uid=pod.uid,
        k8s__namespace__name=pod.namespace,
        k8s__container__name=container.spec.name,
        container__id=container.id,
        attribution__status="full",
        correlation__container_slot=f"{pod.uid}/{container.spec.name}",
    )
