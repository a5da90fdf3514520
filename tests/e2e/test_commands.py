"""The other verbs, and bad input: a sentence that names object, cause and remedy, a failing exit, no half start."""
from __future__ import annotations

import json
import os
import subprocess

import jsonschema

from env import Env, Skip
from harness.crier import binary, run

TYPES = {
    "container.created", "container.started", "container.exited", "container.removed", "container.resolved",
    "container.snapshot", "container.oom", "container.memory_pressure", "container.cpu_throttle", "process.exec",
    "process.fork", "process.exit", "process.signal", "node.oom", "node.memory_pressure", "agent.start",
    "agent.health", "agent.stats", "agent.loss", "agent.stop",
}  # fmt: skip


def refused(done: subprocess.CompletedProcess[bytes], *named: str) -> None:
    """A failing exit, nothing on stdout, and a short word on stderr that names each of these."""
    text = done.stderr.decode(errors="replace")
    assert done.returncode not in (0, None) and done.returncode > 0, f"exit {done.returncode}: {text}"
    assert done.stdout == b"", f"stdout has {done.stdout[:300]!r}"
    assert 0 < len(text.splitlines()) <= 6, f"{len(text.splitlines())} lines of diagnostics: {text}"
    for each in named:
        assert each in text, f"'{each}' is not named: {text}"


def node_args(env: Env) -> list[str]:
    return ["--cri-socket", str(env.node.socket), "--runtime-state-dir", str(env.node.state)]


def test_schema_is_a_schema(_env: Env) -> None:
    done = run("schema")
    assert done.returncode == 0, done.stderr
    schema = json.loads(done.stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    missing = [kind for kind in TYPES if f'"{kind}"' not in done.stdout.decode()]
    assert not missing, f"not in the schema: {missing}"


def test_version(_env: Env) -> None:
    done = run("version")
    assert done.returncode == 0 and done.stdout.strip(), done.stderr


def test_config_reads_its_own_defaults(env: Env) -> None:
    done = run("config")
    assert done.returncode == 0, done.stderr
    path = env.folder("config") / "default.yaml"
    path.write_bytes(done.stdout)
    agent = env.agent("--config", str(path))
    env.finish(agent)


def test_check(env: Env) -> None:
    done = run("check", *node_args(env), "--output", "json")
    assert done.returncode in (0, 1), f"exit {done.returncode}: {done.stderr.decode(errors='replace')}"
    assert isinstance(json.loads(done.stdout), dict)
    text = run("check", *node_args(env), "--output", "text").stdout.decode()
    for row in ("kernel", "cgroups", "oom", "exec", "runtime", "verdict"):
        assert any(line.startswith(row) for line in text.splitlines()), f"check has no row '{row}':\n{text}"
    assert str(env.node.socket) in text, text


def test_unknown_flag(_env: Env) -> None:
    refused(run("run", "--no-such-flag"), "--no-such-flag")


def test_unknown_verb(_env: Env) -> None:
    refused(run("no-such-verb"), "no-such-verb")


def test_bad_value(_env: Env) -> None:
    refused(run("run", "--hold-age", "soon"), "hold-age", "soon")


def test_config_with_unknown_key(env: Env) -> None:
    path = env.folder("config") / "bad.yaml"
    path.write_text("profile: default\nno-such-option: 1\n", encoding="utf-8")
    refused(run("run", "--config", str(path)), f"{path}:2", "no-such-option")


def test_config_that_is_no_yaml(env: Env) -> None:
    path = env.folder("config") / "broken.yaml"
    path.write_text('profile: "default\n', encoding="utf-8")
    refused(run("run", "--config", str(path)), f"{path}:")


def test_config_that_is_missing(env: Env) -> None:
    path = env.folder("config") / "absent.yaml"
    refused(run("run", "--config", str(path)), str(path))


def test_not_root(env: Env) -> None:
    command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps", "-all", str(binary())]
    probe = subprocess.run([*command, "version"], capture_output=True, check=False)
    if probe.returncode != 0:
        raise Skip(f"an unprivileged user cannot execute {binary()}")
    done = subprocess.run([*command, "run", "--ebpf", "required", *node_args(env)], capture_output=True, check=False, timeout=30)
    refused(done, "CAP_")


def test_replay_of_what_is_no_recording(env: Env) -> None:
    path = env.folder("recording") / "noise"
    path.write_bytes(os.urandom(4096))
    refused(run("replay", str(path)), str(path))
    refused(run("replay", str(path) + ".absent"), str(path) + ".absent")
