#!/usr/bin/python3
"""Who may include what (docs/architecture.md): libraries by folder, crier's own headers by layer."""
from __future__ import annotations

import fnmatch
import re

from tree import code, files, line_of, text, verdict

# A library's headers -> the only files that may see them.
LIBRARIES = {
    "bpf/*": ("src/probe/*", "bpf/*", "tests/bpf/*", "tests/bench/floor*", "tests/bench/inject*"),
    "libelf.h gelf.h": ("src/probe/*", "tests/bpf/*"),
    "grpc/*": ("src/cri/*",),
    "protobuf-c/* *.pb-c.h": ("src/cri/*", "tests/unit/*cri*", "tests/fuzz/*cri*"),
    "yaml.h": ("src/config_yaml.c", "src/cli/version.c"),
    # JSON is read or built here and nowhere else; event lines are written by src/emit*.c without it.
    "jansson.h": (
        "src/bundle.c",  # a runtime's own file of a container
        "src/source.c",  # gives back what the former read
        "src/options.h",  # values of options as JSON: the effective config in recordings
        "src/schema*.c",
        "src/state.c",
        "src/agent/agent.c",  # reload and ready messages to the pipeline
        "src/agent/ability.c",  # agent.start and what is missing
        "src/pipeline/start.c",  # the start record
        "src/pipeline/pipeline.c",  # the ready and config records
        "src/pipeline/report.c",
        "src/cri/holder.h",  # the info text of verbose answers
        "src/cli/*",
        "tests/*",
    ),
}

# Lowest first. A file includes headers of its own layer and of those below.
LAYERS = (
    ("base", "crier/base/*", "src/base/*"),
    (
        "event",
        "crier/wire.h crier/field.h crier/meta.h crier/event.h crier/event_data.h crier/names.h",
        "src/meta*.[ch] src/names.c src/hook_names.c src/signal_names.c",
    ),
    (
        "modules",
        "crier/bundle.h crier/cgroup.h crier/cpu_budget.h crier/cri.h crier/cri_convert.h crier/decode.h crier/emit.h crier/fallback.h crier/harden.h crier/hold.h crier/incident.h "
        "crier/index.h crier/kmsg.h crier/log_name.h crier/mailbox.h crier/pressure.h crier/probe.h crier/sink.h",
        "src/bundle*.c src/cgroup/* src/cpu_budget.c src/cri/* src/decode.c src/emit*.[ch] src/event.c src/fallback/* src/harden/* src/fields*.[ch] src/hold.c src/incident.c src/index*.[ch] src/log_name.c src/mailbox.c "
        "src/pressure.c src/probe/* src/sink/* src/schema*.[ch] src/story*.[ch] src/summary.c src/text.c",
    ),
    (
        "configured modules",
        "crier/config.h crier/filter.h crier/input.h crier/state.h crier/stats.h",
        "src/config*.[ch] src/options.[ch] src/profile.c src/filter.c src/recording.c src/state.c src/stats.c",
    ),
    ("pipeline", "crier/host.h crier/pipeline.h crier/replay.h crier/source.h", "src/pipeline/* src/replay.c src/source.c"),
    ("agent", "crier/agent.h crier/observer.h", "src/agent/*"),
    ("cli", "crier/cli.h", "src/cli/* src/main.c"),
)

# Folders that see less than their layer would allow. A * stands for any header.
NARROW = {
    "src/probe/*": "crier/base/* crier/wire.h crier/probe.h",
    "src/cri/*": "crier/base/* crier/meta.h crier/mailbox.h crier/cri.h crier/cri_convert.h",
    "src/sink/*": "crier/base/* crier/sink.h",
    "src/cgroup/*": "crier/base/* crier/cgroup.h crier/event.h crier/meta.h crier/field.h",
    "src/harden/*": "crier/base/* crier/harden.h",
    "src/fallback/*": "crier/base/* crier/wire.h crier/probe.h crier/kmsg.h crier/fallback.h crier/cgroup.h crier/event.h crier/field.h",
    "bpf/*": "crier/wire.h",
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
GENERATED = {"crier.skel.h", "runtime.pb-c.h"}


def matches(name: str, patterns: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split())


def layer_of(path: str) -> int | None:
    for rank, (_, headers, sources) in enumerate(LAYERS):
        if matches(path.removeprefix("include/"), headers) or matches(path, sources):
            return rank
    return None


def library_problem(path: str, header: str) -> str | None:
    for headers, allowed in LIBRARIES.items():
        if matches(header, headers) and not matches(path, " ".join(allowed)):
            return f"includes {header}, which only {', '.join(allowed)} may"
    return None


def own_problem(path: str, header: str) -> str | None:
    own, other = layer_of(path), layer_of("include/" + header)
    for folder, allowed in NARROW.items():
        if matches(path, folder) and not matches(header, allowed):
            return f"includes {header}; {folder} may use {allowed} only"
    if path.startswith(("tests/", "bpf/")) or own is None:
        return None
    if other is None:
        return f"includes {header}, which belongs to no layer: give it a row in check_boundaries.py"
    if other > own:
        return f"({LAYERS[own][0]}) includes {header}, which lies above it ({LAYERS[other][0]})"
    return None


def private_problem(path: str, header: str, known: set[str]) -> str | None:
    folder = path.rpartition("/")[0]
    if header in GENERATED or path.startswith("tests/") or ("/" not in header and f"{folder}/{header}" in known):
        return None
    return f'includes "{header}": private headers are seen from their own folder only'


def includes(path: str) -> list[tuple[int, str, bool]]:
    source = text(path)
    # The name of a quoted header is a literal, so the blanked copy only says which includes are real.
    live = code(source)
    return [
        (line_of(source, match.start()), match.group(2), match.group(1) == '"')
        for match in INCLUDE.finditer(source)
        if "include" in live[match.start() : match.end()]
    ]


def cycles(graph: dict[str, list[str]]) -> list[str]:
    done: set[str] = set()
    found: list[str] = []

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append("headers include each other: " + " -> ".join([*trail[trail.index(name) :], name]))
        elif name not in done:
            for other in graph.get(name, []):
                visit(other, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])
    return found


def main() -> None:
    paths = files("include/*.h", "src/*.[ch]", "bpf/*.[ch]", "tests/*.[ch]")
    known = set(paths)
    graph: dict[str, list[str]] = {}
    problems = []
    for path in paths:
        if path.startswith(("src/", "include/")) and layer_of(path) is None:
            problems.append(f"{path}:1: belongs to no layer: give it a row in check_boundaries.py")
        for line, header, quoted in includes(path):
            problem = library_problem(path, header)
            if not problem and header.startswith("crier/"):
                problem = own_problem(path, header)
                graph.setdefault(path.removeprefix("include/"), []).append(header)
            elif not problem and quoted:
                problem = private_problem(path, header, known)
            if problem:
                problems.append(f"{path}:{line}: {problem}")
    verdict(problems + cycles(graph))


main()
