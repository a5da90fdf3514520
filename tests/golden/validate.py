"""Golden lines against the schema: validate.py SCHEMA_PROGRAM FOLDER

SCHEMA_PROGRAM --strict and --open print the two forms. Every line of FOLDER/*.ndjson must be valid by both and keep
the promises that hold for every line; spoiled copies of each line must be refused, or the schema would judge nothing.
"""
from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from harness import lines as rules  # noqa: E402  (the folder has to be on the path first)


def schema(program: str, form: str) -> jsonschema.Draft202012Validator:
    printed = subprocess.run([program, form], capture_output=True, check=True).stdout
    loaded = json.loads(printed)
    jsonschema.Draft202012Validator.check_schema(loaded)
    return jsonschema.Draft202012Validator(loaded)


def spoiled(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Copies of an event that break one promise each."""
    for key in ("schema", "instance", "seq", "type", "ts", "severity", "attribution", "data"):
        copied = copy.deepcopy(event)
        del copied[key]
        yield f"without {key}", copied
    for key, value in {
        "seq": "1", "boottime_ns": 5, "severity": "FATAL", "type": "container.unheard", "ts": "2026-01-05T04:12:07Z",
        "instance": "3b1d9c2", "data": [], "summary": None,
    }.items():  # fmt: skip
        copied = copy.deepcopy(event)
        copied[key] = value
        yield f"{key} {value!r}", copied
    for path in _numbers(event, ()):
        copied = copy.deepcopy(event)
        at: Any = copied
        for part in path[:-1]:
            at = at[part]
        at[path[-1]] = 1 << 54
        yield f"{'.'.join(map(str, path))} of 2^54", copied


def _numbers(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        if isinstance(child, int) and not isinstance(child, bool) and not str(key).endswith("_ratio"):
            yield (*path, key)
        else:
            yield from _numbers(child, (*path, key))


def main() -> int:
    program, folder = sys.argv[1], Path(sys.argv[2])
    strict, grown = schema(program, "--strict"), schema(program, "--open")
    count = refused = 0
    for file in sorted(folder.glob("*.ndjson")):
        for raw in file.read_bytes().splitlines():
            line = rules.parse(raw)
            rules.check_line(line)
            for validator in (strict, grown):
                error = jsonschema.exceptions.best_match(validator.iter_errors(line.event))
                if error is not None:
                    print(f"{file.name}: {'.'.join(map(str, error.absolute_path))}: {error.message}")
                    return 1
            newer = {**line.event, "to_come": 1, "data": {**line.event["data"], "to_come": {"a": 1}}}
            if not grown.is_valid(newer) or strict.is_valid(newer):
                print(f"{file.name}: a field to come must pass the open schema, and only that")
                return 1
            for what, copied in spoiled(line.event):
                refused += 1
                if grown.is_valid(copied):
                    print(f"{file.name}: valid though spoiled: {what}")
                    return 1
            count += 1
    print(f"{count} lines valid, {refused} spoiled ones refused")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
