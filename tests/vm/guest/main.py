#!/usr/bin/python3
"""Runs in a guest: main.py PART... Each check is one line "@@pass NAME", "@@fail NAME: why" or "@@unable NAME: why"; "@@data KEY
JSON" carries figures; everything else is for a reader of the guest's log.

With CRIER_GOLDEN_UPDATE=1 the scenarios' golden files are told as "@@golden NAME JSON" instead of compared.
"""
from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]

import faulty  # noqa: E402
import golden  # noqa: E402
import lacking  # noqa: E402
from differences import Run, allowed  # noqa: E402
from boxes import World  # noqa: E402
from hooks import DEFAULT, SETS, HookSet, refused_kinds  # noqa: E402
from scenarios import ROWS, Row, Unable  # noqa: E402
from harness import cgroups  # noqa: E402
from harness.crier import Crier  # noqa: E402
from harness.lines import check_sequence  # noqa: E402

UPDATE = os.environ.get("CRIER_GOLDEN_UPDATE") == "1"
STORY_LINES, STORY_WIDTH = 24, 2500


def say(verdict: str, name: str, why: str = "") -> None:
    first = " ".join(why.split())[:400]
    print(f"@@{verdict} {name}" + (f": {first}" if first else ""), flush=True)


def check(name: str, function: Callable[[], object], story: Callable[[], str] = lambda: "") -> None:
    """Runs one check and says its verdict; a failure is followed by what explains it."""
    start = time.monotonic()
    try:
        function()
        say("pass", name)
    except Unable as why:
        say("unable", name, str(why))
    except Exception as error:  # pylint: disable=broad-except
        say("fail", name, f"{type(error).__name__}: {error}" if str(error) else repr(error))
        print(traceback.format_exc() + story(), flush=True)
    print(f"# {name} {time.monotonic() - start:.1f} s", flush=True)


def run_scenario(row: Row, hooks: HookSet, world: World, agent: Crier) -> None:
    if row.v1_lacks and cgroups.memory_hierarchy().version != 2:
        raise Unable(row.v1_lacks)
    found = golden.story(row.run(world, agent), world.boxes)
    if UPDATE and hooks is DEFAULT:
        print(f"@@golden {row.name} {json.dumps(found)}", flush=True)
        return
    major, minor = os.uname().release.split(".")[:2]
    absent, other = allowed(Run((int(major), int(minor)), cgroups_layout(), hooks.name), row.name)
    if problems := golden.differences(found, row.name, absent, other):
        raise AssertionError("; ".join(problems[:6]) + (f"; and {len(problems) - 6} more" if len(problems) > 6 else ""))


def cgroups_layout() -> str:
    if cgroups.memory_hierarchy().version == 2:
        return "v2"
    return "hybrid" if cgroups.unified_hierarchy() else "v1"


def story_of(agent: Crier, world: World) -> str:
    ids = {box.id for box in world.boxes}
    told = [str(line)[:STORY_WIDTH] for line in agent.events() if line.get("container.id") in ids]
    return "\n".join([*told[-STORY_LINES:], "# crier's stderr: " + agent.diagnostics(1500)])


def run_set(hooks: HookSet, world: World, names: list[str]) -> None:
    """One crier with a set of forced hooks, and the scenarios that show them."""
    rows = [row for row in ROWS if row.name in hooks.scenarios and (not names or row.name in names)]
    prefix = "" if hooks is DEFAULT else f"hook_{hooks.name}/"
    try:
        agent = world.crier(*hooks.flags())
    except Exception as error:  # pylint: disable=broad-except
        say("fail", f"{prefix}start", str(error))
        return
    with agent:
        if hooks.needless(agent):
            say("unable", f"{prefix}chosen", "mark_victim tells the task itself here: no other hook is needed to know the victim")
            return
        refused = refused_kinds(agent, hooks)
        check(f"{prefix}chosen", lambda: hooks.check_chosen(agent))
        for row in rows:
            why = next((reason for event, reason in refused.items() if event in hooks.events_of(row.name)), None)
            if why:
                say("unable", prefix + row.name, why)
                continue
            check(prefix + row.name, lambda row=row: run_scenario(row, hooks, world, agent), lambda: story_of(agent, world))
            world.clear()
        check(f"{prefix}every_line", lambda: finish(agent))


def ship(agent: Crier) -> None:
    """Hands all lines to the host: there jsonschema takes a tenth of the time."""
    text = base64.b64encode(zlib.compress(agent.out.read_bytes())).decode()
    for start in range(0, len(text), 4000):
        print(f"@@lines {agent.out.parent.name} {text[start : start + 4000]}", flush=True)


def finish(agent: Crier) -> None:
    """Ends the agent: every line has its number, and the sums are exact. The host judges the lines by rules and schema."""
    code = agent.stop()
    check_sequence(agent.lines)
    ship(agent)
    assert code == 0, f"crier ended with {code}: {agent.diagnostics()}"
    for kind in ("bulk", "critical"):
        row = agent.lines[-1].get(f"data.{kind}")
        parts = {key: row.get(key, 0) for key in ("emitted", "filtered", "suppressed", "lost", "held")}
        assert row["generated"] == sum(parts.values()) and not parts["lost"], f"{kind}: generated {row['generated']} is not {parts}"


def part_program(name: str, *command: str) -> None:
    """A program that says its own verdicts, in the suite's words or as "ok", "not ok" and "skip"."""
    words = {"ok": "pass", "not ok": "fail", "skip": "unable"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            match = re.match(r"(ok|not ok|skip) ([^:\s]+)(?:: (.*))?$", line)
            if match:
                say(words[match.group(1)], f"{name}/{match.group(2)}", match.group(3) or "")
            else:
                print(line.rstrip("\n"), flush=True)
    if process.returncode not in (0, 1):
        say("fail", name, f"ended with {process.returncode}")


def show(rows: list[str], name: str, world: World) -> Callable[[Crier], None]:
    """Runs scenarios under a crier that is in some need; it ends well."""

    def run(agent: Crier) -> None:
        for row in ROWS:
            if row.name in rows:
                try:
                    run_scenario(row, HookSet(name, {}, []), world, agent)
                finally:
                    print(story_of(agent, world) if sys.exc_info()[0] else "", flush=True)
                    world.clear()
        finish(agent)

    return run


def part_faults() -> None:
    world = World(Path("/tmp/world"))
    events = ["children", "stop_escalated", "oom_container", "oom_pod"]
    check("fault/refused", lambda: faulty.refused(world, show(events, "refused", world)))
    check("fault/no_calls", lambda: faulty.no_calls(world, show(["children"], "no_calls", world)))
    check("fault/all_silent", lambda: faulty.all_silent(world, show([], "silent", world)))
    kills = ["oom_container", "oom_pod"]
    check("fault/kprobes_off", lambda: faulty.kprobes_off(world, show(kills, "no_control", world)))
    # Last: 5.10 patches no function any more after it.
    check("fault/ftrace_off", lambda: faulty.ftrace_off(world, show(kills, "no_control", world)))


def part_lacking(names: list[str]) -> None:
    lacking.run(names, World(Path("/tmp/world")), check, finish)


def part_pods(names: list[str]) -> None:
    import pods  # pylint: disable=import-outside-toplevel # gRPC: not in every guest

    pods.run(names, check, ship)


def part_scenarios(names: list[str], sets: list[HookSet]) -> None:
    world = World(Path("/tmp/world"))
    for hooks in sets:
        run_set(hooks, world, names)


def main() -> int:
    parts = {
        "scenarios": lambda names: part_scenarios(names, [DEFAULT]),
        "hooks": lambda names: part_scenarios(names, SETS),
        "faults": lambda _: part_faults(),
        "lacking": part_lacking,
        "pods": part_pods,
        "verify": lambda _: part_program("verify", "build/dev/tests/vm/crier_vm_verify"),
        "bpf": lambda names: part_program("bpf", "build/dev/tests/bpf/crier_bpf_test", *names),
    }
    Path("/proc/sys/kernel/core_pattern").write_text("/tmp/core.%p\n", encoding="ascii")
    for argument in sys.argv[1:]:
        part, _, names = argument.partition(":")
        print(f"# part {part}", flush=True)
        parts[part](names.split(",") if names else [])
    return 0


if __name__ == "__main__":
    sys.exit(main())
