"""One guest: an initial RAM disk put together from parts, and a run under qemu's own emulation."""
from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from host.kernels import Kernel, module_closure

QEMU = {
    "amd64": ["qemu-system-x86_64", "-M", "pc", "-cpu", "max"],
    "arm64": ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57"],
}
# thread=single: with one thread a CPU, qemu 7.2 races with the kernel patching its own text, and guests die of it
# whenever a kprobe or a static key is switched (seen: 3 of 3, against 0 of 3).
ACCEL = "tcg,thread=single"
CONSOLE = {"amd64": "ttyS0", "arm64": "ttyAMA0"}
# virt has a single line: console and results share it, and the console is kept quiet.
RESULTS = {"amd64": "/dev/ttyS1", "arm64": "/dev/ttyAMA0"}
DISK_BYTES = 2 << 30
BASE_MODULES = ["virtio_pci", "virtio_blk"]


def archive(root: Path, target: Path) -> Path:
    """The folder as a cpio archive of root's files, uncompressed: a guest unpacks that fastest."""
    listing = subprocess.run(["find", ".", "-mindepth", "1", "-print0"], cwd=root, check=True, capture_output=True).stdout
    command = ["cpio", "-0", "-o", "-H", "newc", "-R", "0:0", "--quiet"]
    # Two guests may want the same one at once, and a run that is ended leaves nothing.
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".half") as out:
        # Sorted: a folder comes before what it holds.
        subprocess.run(command, cwd=root, input=b"\0".join(sorted(listing.split(b"\0")[:-1])) + b"\0", stdout=out, check=True)
        Path(out.name).chmod(0o644)
        os.replace(out.name, target)
        with contextlib.suppress(FileNotFoundError):
            out.close()
    return target


def libraries(programs: Iterable[Path], folders: list[Path]) -> list[Path]:
    """Every shared library that the programs need, by name in `folders`, the dynamic loader included; works across architectures."""
    found: dict[str, Path] = {}
    queue = list(programs)
    while queue:
        said = subprocess.run(["readelf", "-dl", str(queue.pop())], check=False, capture_output=True, text=True).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]|interpreter: .*/(.*)\]", said):
            wanted = "".join(name)
            path = next((folder / wanted for folder in folders if (folder / wanted).exists()), None)
            if path and wanted not in found:
                found[wanted] = path
                queue.append(path)
    return list(found.values())


@dataclass
class Contents:
    """What a guest finds in its root, beside trees: all of it below /vm, or where a file was at build time."""

    trees: list[Path]
    files: dict[str, Path] = field(default_factory=dict)  # path in the guest -> file or folder here
    modules: list[str] = field(default_factory=list)
    memory_mib: int = 1024


@dataclass
class Result:
    """What came of a run. `status` is the command's own, None if the guest died or was too slow."""

    status: int | None
    lines: list[str]
    console: list[str]
    boot_s: float
    total_s: float
    cpu_s: float  # of the emulator: what the run takes where nobody else works
    timed_out: bool = False


class Guest:
    """A kernel, its contents and a command; run() may be called once."""

    _running: set[subprocess.Popen[bytes]] = set()
    _is_over = False  # none boots any more

    def __init__(self, kernel: Kernel, contents: Contents, folder: Path, command: str, cgroups: str = "v2", append: str = "") -> None:
        """`cgroups`: v2, v1, hybrid, or systemd for what that makes of them as the first process."""
        self.kernel, self.contents, self.folder, self.append = kernel, contents, folder, append
        self.arch = kernel.row.arch
        self._settings = f'CGROUPS={cgroups}\nRESULTS={RESULTS[self.arch]}\nRUN="{command}"\n'
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    @classmethod
    def end_all(cls) -> None:
        """Ends every guest that runs; each run() then returns, and none begins."""
        cls._is_over = True
        for process in list(cls._running):
            process.kill()

    def _overlay(self) -> Path:
        root = self.folder / "root"
        vm = root / "vm"
        (vm / "modules").mkdir(parents=True)
        closure = module_closure(self.kernel, [*BASE_MODULES, *self.contents.modules])
        for module in closure:
            shutil.copy2(module, vm / "modules" / module.name)
        (vm / "modules" / "order").write_text("".join(f"{module.name}\n" for module in closure), encoding="ascii")
        (vm / "settings").write_text(self._settings, encoding="utf-8")
        here = Path(__file__).resolve().parent.parent / "guest"
        shutil.copy2(here / "run", vm / "run")
        shutil.copy2(here / "vm.service", vm / "vm.service")
        shutil.copy2(here / "init", root / "init")
        (root / "init").chmod(0o755)
        for name, source in self.contents.files.items():
            target = root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(source, target)
        result = archive(root, self.folder / "overlay.cpio")
        shutil.rmtree(root)
        return result

    def _initrd(self) -> Path:
        initrd = self.folder / "initrd"
        with open(initrd, "wb") as out:
            for tree in self.contents.trees:
                packed = tree.with_suffix(".cpio")
                if not packed.exists():
                    archive(tree, packed)
                with open(packed, "rb") as part:
                    shutil.copyfileobj(part, out, 1 << 20)
            with open(self._overlay(), "rb") as part:
                shutil.copyfileobj(part, out, 1 << 20)
        return initrd

    def _disk(self) -> list[str]:
        disk = self.folder / "disk"
        with open(disk, "wb") as file:
            file.truncate(DISK_BYTES)
        options = "lazy_itable_init=1,lazy_journal_init=1,nodiscard"
        subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-E", options, str(disk)], check=True)
        return ["-drive", f"file={disk},if=none,id=disk,format=raw,cache=unsafe", "-device", "virtio-blk-pci,drive=disk"]

    def _command(self) -> list[str]:
        append = f"console={CONSOLE[self.arch]} panic=-1 loglevel={4 if self.arch == 'amd64' else 1} {self.append}"
        lines = ["console", "results"] if self.arch == "amd64" else ["results"]
        command = [*QEMU[self.arch], "-accel", ACCEL, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        command += ["-m", str(self.contents.memory_mib), "-smp", "2", "-kernel", str(self.kernel.folder / "vmlinuz")]
        command += ["-initrd", str(self._initrd()), *self._disk()]
        for line in lines:
            command += ["-serial", f"file:{self.folder / line}"]
        return ["nice", "-n", "5", *command, "-append", append]

    def run(self, timeout_s: float, progress: Callable[[list[str]], None] = lambda lines: None) -> Result:
        """Boots, waits for the end or the time-out, and cleans up all but what the guest said."""
        command = self._command()
        start = time.monotonic()
        results, console = self.folder / "results", self.folder / "console"
        if Guest._is_over:
            raise RuntimeError("the run was ended")
        with open(self.folder / "qemu", "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        timed_out = False
        Guest._running.add(process)
        try:
            seen, cpu_s = 0, 0.0
            while process.poll() is None and not timed_out:
                timed_out = time.monotonic() - start > timeout_s
                time.sleep(0.3)
                cpu_s = _cpu_seconds(process.pid) or cpu_s
                lines = _lines(results)[:-1]
                progress(lines[seen:])
                seen = max(seen, len(lines))
        finally:
            process.kill()
            process.wait()
            Guest._running.discard(process)
        lines = _lines(results)
        progress(lines[seen:])
        for name in ("initrd", "overlay.cpio", "disk"):
            (self.folder / name).unlink(missing_ok=True)
        status = next((int(line.split()[1]) for line in lines if line.startswith("@@exit ")), None)
        up = next((float(line.split()[1]) for line in lines if line.startswith("@@up ")), 0.0)
        tail = _lines(console)[-25:] + _lines(self.folder / "qemu")[-5:]
        return Result(status, lines, [line for line in tail if line], up, time.monotonic() - start, cpu_s, timed_out)


def _cpu_seconds(pid: int) -> float:
    """What a process of ours has used of CPUs; 0 once it has ended."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    return path.read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").split("\n")


def host_library_folders() -> list[Path]:
    machine = os.uname().machine
    return [Path(f"/lib/{machine}-linux-gnu"), Path(f"/usr/lib/{machine}-linux-gnu"), Path("/lib64")]
