#!/usr/bin/python3
"""crier schema is a JSON Schema 2020-12; what docs and deploy say is what the binary prints."""
from __future__ import annotations

import difflib
import json
import subprocess

import jsonschema

from tree import BUILD, ROOT, verdict

CRIER = BUILD / "crier"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# file, command, whether the file is that output or holds it as a part
MADE = (
    ("docs/events.md", ["schema", "--markdown"], "holds"),
    ("docs/options.md", ["help", "--markdown"], "is"),
    ("docs/crier.8", ["help", "--man"], "is"),
    ("deploy/crier.yaml", ["config"], "is"),
)


def crier(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(CRIER), *words], capture_output=True, text=True, check=False)


def schema_problems() -> list[str]:
    done = crier("schema")
    if done.returncode != 0:
        return [f"crier schema: exit {done.returncode}: {done.stderr.strip()[:200]}"]
    try:
        schema = json.loads(done.stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
    except (ValueError, jsonschema.SchemaError) as error:
        return [f"crier schema: is no JSON Schema 2020-12: {str(error).splitlines()[0]}"]
    problems = [] if schema.get("$schema") == DIALECT else [f"crier schema: $schema is not {DIALECT}"]
    # A schema that takes anything would be valid as well.
    if jsonschema.Draft202012Validator(schema).is_valid({"schema": "crier/1"}):
        problems.append("crier schema: accepts a line without type, seq and instance")
    return problems


def first_difference(have: str, want: str) -> str:
    for line in difflib.unified_diff(have.splitlines(), want.splitlines(), lineterm="", n=0):
        if line[:1] in "+-" and line[:3] not in ("+++", "---"):
            return f"the file {'lacks' if line[0] == '+' else 'has'}: {line[1:140]}"
    return "only line ends differ"


def made_problems(path: str, command: list[str], how: str) -> list[str]:
    name = "crier " + " ".join(command)
    done = crier(*command)
    if done.returncode != 0 or not done.stdout:
        return [f"{name}: exit {done.returncode}: {done.stderr.strip()[:200]}"]
    if not (ROOT / path).exists():
        return [f"{path}: not there; it {how} the output of {name}"]
    have = (ROOT / path).read_text(encoding="utf-8")
    if have == done.stdout if how == "is" else done.stdout.strip() in have:
        return []
    if how == "holds":  # only what lies between the part's own first and last line is compared
        lines = done.stdout.strip().splitlines()
        start, end = have.find(lines[0]), have.rfind(lines[-1])
        have = have[max(start, 0) : end + len(lines[-1]) if end > start else len(have)]
    return [f"{path}: {how} not the output of {name}; {first_difference(have, done.stdout)}"]


def config_problems() -> list[str]:
    path = ROOT / "deploy/crier.yaml"
    if not path.exists():
        return []  # told already
    done = crier("config", "--check", str(path))
    return [] if done.returncode == 0 else [f"deploy/crier.yaml: crier config --check: {done.stderr.strip()[:200]}"]


def main() -> None:
    if not CRIER.exists():
        verdict([f"{CRIER}: not there; build first: cmake --preset dev && cmake --build --preset dev"])
    problems = schema_problems()
    for row in MADE:
        problems += made_problems(*row)
    verdict(problems + config_problems())


main()
