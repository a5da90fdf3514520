#!/usr/bin/python3
"""
Pure modules: no descriptor, no clock, no environment, no mutable global. Judged by the objects, not the text: what a
module calls is what its object leaves undefined, and what it keeps is what lies in its writable sections.
"""
from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tree import BUILD, ROOT, verdict

PURE = (
    "src/base/digits.c", "src/base/err.c", "src/base/json.c", "src/base/map.c", "src/base/str.c",
    "src/event.c", "src/field*.c", "src/meta*.c", "src/names.c", "src/hook_names.c", "src/signal_names.c",
    "src/options.c", "src/profile.c", "src/config_value.c", "src/config_json.c",
    "src/decode.c", "src/cgroup/path.c", "src/cgroup/table.c", "src/cgroup/mounts.c",
    "src/fallback/kmsg_*.c",
    "src/index*.c", "src/hold.c", "src/incident.c", "src/pressure.c", "src/filter.c",
    "src/bundle.c", "src/log_name.c", "src/source.c",
    "src/emit*.c", "src/summary.c", "src/story*.c", "src/text.c",
    "src/cri/convert.c", "src/cri/holder.c", "src/cri/info.c", "src/cri/list.c", "src/cri/methods.c",
    "src/pipeline/*.c",
)  # fmt: skip
# Each must be there: a renamed module must not slip out of the check.
CORE = (
    "src/decode.c src/cgroup/path.c src/cgroup/table.c src/index.c src/hold.c src/incident.c src/pressure.c src/emit.c "
    "src/filter.c src/fields.c src/summary.c src/text.c src/meta.c src/base/json.c src/base/str.c src/pipeline/pipeline.c"
).split()

# What a pure module may call of libraries: memory, text, arithmetic, and JSON and protobuf in memory.
ALLOWED = re.compile(
    r"malloc|calloc|realloc|reallocarray|free|mem\w+|str\w+|v?snprintf|v?sprintf|qsort|bsearch|to(lower|upper)|is\w+"
    r"|json_(?!load_file|loadf|dump_file|dumpf|loadfd|dumpfd)\w+|protobuf_c_\w+|runtime__v1__\w+"
    r"|gmtime_r|floor|ceil|fabs|l?l?round|__(errno_location|assert_fail|stack_chk_fail|udivti3|umodti3|divti3)"
    r"|_GLOBAL_OFFSET_TABLE_|__(a|t|ub)san_\w+|__gcov_\w+|__fentry__|\w+_chk"
)
# Pure functions that live beside impure ones.
PURE_FUNCTIONS = {
    "crier_cgroup_mode_name": "looks up a word",
    "crier_config_done": "frees",
    "crier_config_init": "copies the defaults",
}
READ_ONLY = re.compile(r"\.rodata|\.data\.rel\.ro|\.text|\.debug|\.comment|\.note|\.eh_frame|\*UND\*|\*ABS\*")


def objects() -> dict[str, Path]:
    """Source -> object of everything the build compiles."""
    commands = BUILD / "compile_commands.json"
    if not commands.exists():
        print(f"{commands}: not there; build first: cmake --preset dev && cmake --build --preset dev")
        sys.exit(1)
    found = {}
    for entry in json.loads(commands.read_text(encoding="utf-8")):
        source = Path(entry["file"])
        if source.is_relative_to(ROOT):
            words = shlex.split(entry["command"])
            found[str(source.relative_to(ROOT))] = Path(entry["directory"]) / words[words.index("-o") + 1]
    return found


def lines(*command: str) -> list[list[str]]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def is_pure(source: str) -> bool:
    return any(fnmatch.fnmatchcase(source, pattern) for pattern in PURE)


def own_functions(made: dict[str, Path]) -> dict[str, str]:
    """crier_* function or table -> the source that defines it."""
    return {
        words[2]: source
        for source, path in made.items()
        if source.startswith("src/")
        for words in lines("nm", "--defined-only", "--extern-only", str(path))
        if len(words) == 3
    }


def calls(source: str, path: Path, defined: dict[str, str]) -> list[str]:
    problems = []
    for words in lines("nm", "--undefined-only", str(path)):
        name = words[-1]
        if name.startswith("crier_"):
            other = defined.get(name)
            if other and not is_pure(other) and name not in PURE_FUNCTIONS:
                problems.append(f"{source}: uses {name} of {other}, which is not pure")
        elif not ALLOWED.fullmatch(name):
            problems.append(f"{source}: uses {name}")
    return problems


def state(source: str, path: Path) -> list[str]:
    problems = []
    for words in lines("objdump", "--syms", str(path)):
        # address, flags, section, size, name; flag O is a data object
        if len(words) < 5 or "O" not in words[1:-3] or READ_ONLY.match(words[-3]):
            continue
        problems.append(f"{source}: keeps {words[-1]} in {words[-3]}: a mutable global; make it const or an argument")
    return problems


def main() -> None:
    built = objects()
    problems = [f"{source}: not there or not built; check_pure.py names it" for source in CORE if source not in built]
    missing = [source for source in built if source.startswith("src/") and not built[source].exists()]
    problems += [f"{source}: has no object in {BUILD}; the build did not succeed" for source in missing]
    made = {source: path for source, path in built.items() if path.exists()}
    defined = own_functions(made)
    for source in sorted(filter(is_pure, made)):
        problems += calls(source, made[source], defined) + state(source, made[source])
    verdict(problems)


main()
