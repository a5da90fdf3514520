"""What guests run: crier and the test programs as the build made them, with the libraries they need."""
from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import image, stubs
from host.guest import host_library_folders, libraries

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PROGRAMS = ["crier", "tests/vm/crier_vm_verify", "tests/vm/crier_vm_faults.so"]
BPF_TEST = "tests/bpf/crier_bpf_test"  # of the part that no plan has: built for arm64 when that is asked for


@dataclass
class Build:
    """A build folder for one architecture."""

    arch: str
    folder: Path
    library_folders: list[Path]
    compiler: list[str]

    def trigger(self) -> Path:
        """The harness's trigger program, statically linked for this architecture."""
        source = ROOT / "tests" / "harness" / "trigger.c"
        program = self.folder / "vm-trigger"
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            command = [*self.compiler, "-static", "-O2", "-Wall", "-Wextra", "-o", str(program), str(source)]
            subprocess.run(command, check=True)
        return program

    def files(self, trees: list[Path]) -> dict[str, Path]:
        """Guest path -> file. Programs stand where scripts look for them; the bpf test looks for two files where they were built.

        A library that a tree has is the tree's: it may be newer than what the programs were built with, never older.
        """
        programs = {name: self.folder / name for name in PROGRAMS}
        if missing := [str(path) for path in programs.values() if not path.exists()]:
            raise FileNotFoundError(f"{', '.join(missing)}: not there; build it with `cmake --build --preset dev`")
        if (self.folder / BPF_TEST).exists():
            programs[BPF_TEST] = self.folder / BPF_TEST
        files = {f"/vm/repo/build/dev/{name}": path for name, path in programs.items()}
        for path in libraries(programs.values(), self.library_folders):
            # The loader's name is compiled in; libraries are found by LD_LIBRARY_PATH.
            if not any(any(tree.glob(f"usr/lib/*-linux-gnu/{path.name}")) for tree in trees):
                files[f"/vm/lib/{path.name}"] = path
        for path in [self.folder / "bpf" / "crier.bpf.o", *self.folder.glob("tests/bpf/**/layout_types.c.o")]:
            files[str(path)] = path
        files["/vm/repo/tests/harness"] = ROOT / "tests" / "harness"
        files["/vm/repo/tests/vm"] = ROOT / "tests" / "vm"
        files["/vm/repo/tests/e2e"] = ROOT / "tests" / "e2e"
        # What the harness makes where it runs: a guest has neither protoc nor a compiler.
        stubs_folder = stubs.folder()
        files[f"/vm/repo/build/harness/{stubs_folder.name}"] = stubs_folder
        files[f"/vm/repo/build/harness/{image.trigger_name()}"] = self.trigger()
        files["/actor"] = self.folder / "tests" / "vm" / "crier_vm_actor"
        files["/trigger"] = self.trigger()
        return files


def native() -> Build:
    return Build("amd64", ROOT / "build" / "dev", host_library_folders(), ["gcc"])
