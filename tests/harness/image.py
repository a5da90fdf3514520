"""The test image: one static program, packed as a docker-archive without a registry or an image tool."""
from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile
import tempfile
from pathlib import Path

from harness.stubs import BUILD, HERE

PAUSE = "localhost/crier-pause:1"
TRIGGER = "localhost/crier-trigger:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def trigger_name() -> str:
    """The name under which this text of trigger.c is kept when it is compiled."""
    return f"trigger-{hashlib.sha256((HERE / 'trigger.c').read_bytes()).hexdigest()[:16]}"


def build_trigger() -> Path:
    """Compiles trigger.c once for each of its texts; returns the program's path."""
    source = HERE / "trigger.c"
    program = BUILD / trigger_name()
    if program.exists():
        return program
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        new = Path(folder) / "trigger"
        compiler = os.environ.get("CC", "gcc")
        subprocess.run([compiler, "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", new, source], check=True)
        os.rename(new, program)
    return program


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


def _layer(program: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("tmp", "proc", "sys", "dev", "etc"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        _add(archive, "trigger", program, 0o755)
    return buffer.getvalue()


def write_archive(target: Path) -> None:
    """An archive with both images: the same layer under the sandbox's name and the containers' name."""
    layer = _layer(build_trigger().read_bytes())
    manifest = []
    with tarfile.open(target, "w") as archive:
        _add(archive, "layer.tar", layer)
        for reference, arguments in ((PAUSE, ["pause"]), (TRIGGER, ["run"])):
            config = json.dumps(
                {
                    "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
                    "os": "linux",
                    "config": {"Entrypoint": ["/trigger"], "Cmd": arguments, "Env": ["PATH=/"]},
                    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
                    "history": [{"created_by": "crier tests"}],
                }
            ).encode()
            name = hashlib.sha256(config).hexdigest() + ".json"
            _add(archive, name, config)
            manifest.append({"Config": name, "RepoTags": [reference], "Layers": ["layer.tar"]})
        _add(archive, "manifest.json", json.dumps(manifest).encode())
