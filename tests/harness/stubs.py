"""The CRI stubs, generated from runtime.proto into the build folder when they are needed."""
from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("CRIER_HARNESS_BUILD", HERE.parent.parent / "build" / "harness"))


def _generate(target: Path) -> None:
    plugin = shutil.which("grpc_python_plugin")
    if plugin is None or shutil.which("protoc") is None:
        raise RuntimeError(
            "CRI stubs: protoc or grpc_python_plugin is not installed:"
            " install protobuf-compiler and protobuf-compiler-grpc"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as new:
        command = ["protoc", f"-I{HERE}", f"--python_out={new}", f"--grpc_python_out={new}"]
        command += [f"--plugin=protoc-gen-grpc_python={plugin}", str(HERE / "runtime.proto")]
        subprocess.run(command, check=True)
        try:
            # Two runs may generate at once: rename is atomic, and either result will do.
            os.rename(new, target)
        except OSError:
            if not (target / "runtime_pb2_grpc.py").exists():
                raise
        Path(new).mkdir(exist_ok=True)


def folder() -> Path:
    """Where the stubs are, made if they are not there."""
    digest = hashlib.sha256((HERE / "runtime.proto").read_bytes()).hexdigest()[:16]
    target = BUILD / f"stubs-{digest}"
    if not (target / "runtime_pb2_grpc.py").exists():
        _generate(target)
    return target


def load() -> tuple[ModuleType, ModuleType]:
    """The modules (messages, service) of runtime.proto."""
    target = folder()
    if str(target) not in sys.path:
        sys.path.insert(0, str(target))
    return importlib.import_module("runtime_pb2"), importlib.import_module("runtime_pb2_grpc")
