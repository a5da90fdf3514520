"""run.py [NAME...] : every test_* of test_*.py here, in order; NAME selects by part of `file/test`.

Prints "ok NAME", "not ok NAME: reason" or "skip NAME: reason"; exit 1 if anything failed.
"""
from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Callable

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
# gRPC's server of the fake runtime writes to stderr what the client does to it.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import driver  # noqa: E402
from env import Env  # noqa: E402


def cases() -> list[tuple[str, Callable[[Env], None]]]:
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            if name.startswith("test_") and getattr(function, "__module__", "") == path.stem:
                found.append((f"{path.stem[5:]}/{name[5:]}", function))
    return found


def reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:400]


def main(wanted: list[str]) -> int:
    if os.geteuid() != 0:
        print("skip integration: needs root")
        return 0
    if not driver.PROGRAM.exists():
        print(f"not ok integration: {driver.PROGRAM} is not built")
        return 1
    env, failed = Env(), 0
    try:
        for name, case in cases():
            if wanted and not any(part in name for part in wanted):
                continue
            try:
                case(env)
                print(f"ok integration/{name}", flush=True)
            except Exception as error:  # a case may fail in any way; the others still run
                traceback.print_exc()
                print(f"not ok integration/{name}: {reason(error)}", flush=True)
                failed += 1
    finally:
        env.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
