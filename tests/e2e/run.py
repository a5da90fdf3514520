#!/usr/bin/python3
"""Runs the end-to-end tests: tests/e2e/run.py [PART-OF-A-NAME...]

Each test_*.py is a module with its own private node and, if it sets PROFILE, one crier that its tests share. A test
is a function test_*(env); it makes its own pods. One line for each on stdout: ok, not ok or skip.
"""
from __future__ import annotations

import importlib
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from env import Env, Skip  # noqa: E402
from harness import cleanup, crier  # noqa: E402
from harness.crier import Crier, node_flags  # noqa: E402
from harness.node import Node  # noqa: E402


def say(verdict: str, name: str, reason: str = "") -> None:
    first = reason.strip().splitlines()[0] if reason.strip() else ""
    print(f"{verdict} {name}" + (f": {first}" if first else ""), flush=True)


def run_test(env: Env, name: str, function: object) -> None:
    start = time.monotonic()
    try:
        assert callable(function)
        function(env)
        say("ok", name)
    except Skip as reason:
        say("skip", name, str(reason))
    except Exception as error:  # pylint: disable=broad-except
        # A bare assert says nothing: its source line does.
        last = traceback.extract_tb(error.__traceback__)[-1]
        say("not ok", name, f"{type(error).__name__}: {str(error) or f'{last.line} ({last.filename}:{last.lineno})'}")
        traceback.print_exc()
        print(env.story(), file=sys.stderr, flush=True)
    finally:
        env.end_test()
        print(f"# {name} {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)


def run_module(module: ModuleType, tests: list[str]) -> None:
    short = module.__name__
    with Node() as node, Env(node) as env:
        profile = getattr(module, "PROFILE", None)
        if profile is not None:
            # What the runtime says of an end is judged: on a slow machine it may need longer than the default.
            flags = [*node_flags(node, profile=profile), "--exit-wait", "5s", *getattr(module, "FLAGS", [])]
            env.crier = Crier(env.folder("shared"), *flags)
            env.agents.append(env.crier)
            env.crier.wait_ready()
        for test in tests:
            run_test(env, f"e2e/{short[5:]}/{test[5:]}", getattr(module, test))
        env.finish_shared(lambda verdict, reason: say(verdict, f"e2e/{short[5:]}/every_line", reason))


def main() -> int:
    cleanup.exit_on_signals()
    wanted = sys.argv[1:]
    try:
        crier.binary()
    except FileNotFoundError as error:
        say("not ok", "e2e", str(error))
        return 1
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        tests = [name for name in vars(module) if name.startswith("test_")]
        tests = [t for t in tests if not wanted or any(w in f"e2e/{path.stem[5:]}/{t[5:]}" for w in wanted)]
        if not tests:
            continue
        try:
            run_module(module, tests)
        except Exception as error:  # pylint: disable=broad-except
            say("not ok", f"e2e/{path.stem[5:]}", f"the module's node or crier: {error}")
            traceback.print_exc()
    return 0


if __name__ == "__main__":
    sys.exit(main())
