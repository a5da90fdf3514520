"""What the cases share: one private node, started when the first of them needs it, and folders."""
from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from harness.node import Node
from harness.pod import MIB, Container, Pod


class Env:
    """One for all cases of a run."""

    def __init__(self) -> None:
        self._node: Node | None = None
        self._container: Container | None = None
        self._folders: list[Path] = []

    @property
    def node(self) -> Node:
        if self._node is None:
            self._node = Node().start()
        return self._node

    def pod(self, name: str) -> Pod:
        return self.node.pod(name)

    def running(self) -> Container:
        """A container that runs on, the same for all who ask."""
        if self._container is None:
            self._container = self.pod("cart").start("app", "pause", memory=64 * MIB)
        return self._container

    def folder(self) -> Path:
        # Short: a unix socket path has at most 107 characters.
        self._folders.append(Path(tempfile.mkdtemp(prefix="cri-")))
        return self._folders[-1]

    def close(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
        if self._node is not None:
            self._node.close()
