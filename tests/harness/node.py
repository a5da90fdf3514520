"""A private node: containerd, the test image and the pods of one test module, removed without trace at the end."""
from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from harness import cgroups
from harness.cleanup import attempt, without_signals
from harness.containerd import Containerd
from harness.cri import Cri
from harness.pod import Pod


class Node:
    """with Node() as node: node.pod("cart").start("app", "hog", memory=64 << 20)"""

    def __init__(self, network: bool = False) -> None:
        """`network` as in Containerd."""
        if os.geteuid() != 0:
            raise PermissionError("node: containerd and cgroups need root: run as root")
        # Short: a unix socket path has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="crier-node-"))
        self.logs = self.folder / "log"
        self.pods: list[Pod] = []
        self._sandboxes: list[str] = []
        self.containerd = Containerd(self.folder, network)
        self.cri = Cri(self.containerd.socket)
        self.runtime = ""

    @property
    def socket(self) -> Path:
        return self.containerd.socket

    @property
    def state(self) -> Path:
        return self.containerd.state

    def start(self) -> Node:
        for name in ("containers", "pods"):
            (self.logs / name).mkdir(parents=True)
        self.containerd.start()
        self.containerd.import_images()
        self.runtime = self.cri.wait_ready()
        return self

    def pod(self, name: str, **options: Any) -> Pod:
        """A running sandbox; options as in Pod."""
        pod = Pod(self, name, **options)
        self.pods.append(pod)
        pod.run()
        self._sandboxes.append(pod.sandbox_id)
        return pod

    def close(self) -> None:
        """Every step is tried whatever happened before it."""
        with without_signals():
            if self.containerd.running():
                self.containerd.resume()
            for pod in list(self.pods):
                attempt(f"pod {pod.name}", pod.discard)
            attempt("CRI channel", self.cri.close)
            attempt("containerd", lambda: self.containerd.stop(self._sandboxes))
            attempt("kubepods cgroups", cgroups.release_shared)
            attempt(f"folder {self.folder}", lambda: shutil.rmtree(self.folder))

    def __enter__(self) -> Node:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
