"""The kernels of the matrix: each is a pattern in a suite, resolved to whatever the archive offers today."""
from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from host.debian import Apt, NotOffered, Package, say, unpack


@dataclass(frozen=True)
class Wanted:
    """A row of the matrix."""

    name: str  # what -k selects by
    arch: str
    suites: tuple[str, ...]
    release: str  # pattern of the kernel release, up to the flavour
    oldest: bool = False


ANY = r"\d+\.\d+\.\d+.*"
ROWS = [
    Wanted("5.10-oldest", "amd64", ("bullseye", "bullseye-security"), r"5\.10\..*", oldest=True),
    Wanted("5.10", "amd64", ("bullseye", "bullseye-security"), r"5\.10\..*"),
    Wanted("6.1", "amd64", ("bookworm", "bookworm-security"), r"6\.1\..*"),
    Wanted("6.12", "amd64", ("trixie", "trixie-security"), r"6\.12\..*"),
    Wanted("backports", "amd64", ("trixie-backports",), ANY),
    Wanted("sid", "amd64", ("sid",), ANY),
    Wanted("arm64-6.1", "arm64", ("bookworm", "bookworm-security"), r"6\.1\..*"),
    Wanted("arm64-6.12", "arm64", ("trixie", "trixie-security"), r"6\.12\..*"),
]


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel; `folder` holds vmlinuz and lib/modules/RELEASE."""

    row: Wanted
    release: str
    version: str
    folder: Path

    @property
    def modules(self) -> Path:
        return self.folder / "lib" / "modules" / self.release


def _releases(apt: Apt, row: Wanted) -> dict[str, list[Package]]:
    """Every kernel release on offer with the packages that hold it.

    Up to 6.18 linux-image-REL holds all. From 6.19 linux-binary-REL (or -unsigned-) has the image, linux-modules-REL the
    modules; the latter leave the archive first, and a kernel without modules is not taken.
    """
    pattern = rf"linux-(image|binary|binary-unsigned|modules)-({row.release}-cloud-{row.arch})"
    found: dict[str, dict[str, Package]] = {}
    for package in apt.packages(pattern):  # oldest first: the newest of a name stays
        kind, release = re.fullmatch(pattern, package.name).groups()  # type: ignore[union-attr]
        found.setdefault(release, {})[kind] = package
    offered = {}
    for release, parts in found.items():
        binary = parts.get("binary") or parts.get("binary-unsigned")
        if binary and "modules" in parts:
            offered[release] = [binary, parts["modules"]]
        elif "image" in parts and not re.search(r"linux-(?:binary|modules)-", parts["image"].depends):
            offered[release] = [parts["image"]]
    return offered


def resolve(row: Wanted, cache: Path) -> Kernel:
    """Finds, downloads and unpacks the row's kernel; NotOffered says what was looked for."""
    apt = Apt(cache, row.arch, *row.suites)
    offered = _releases(apt, row)
    if not offered:
        raise NotOffered(f"no kernel {row.release}-cloud-{row.arch} in {', '.join(row.suites)}")
    # By release: a rebuild raises the version of a package, its name alone tells one ABI from the next.
    releases = subprocess.run(["sort", "-V"], input="\n".join(offered), check=True, capture_output=True, text=True).stdout.split()
    release = releases[0 if row.oldest else -1]
    parts = offered[release]
    version = parts[-1].version
    folder = cache / "kernels" / f"{release}_{version}"
    if not folder.exists():
        debs = [apt.download(part, cache / "debs") for part in parts]
        _unpack_kernel(debs, release, folder)
    return Kernel(row, release, version, folder)


def _unpack_kernel(debs: list[Path], release: str, folder: Path) -> None:
    say(f"unpacking kernel {release}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        root = Path(name)
        for deb in debs:
            unpack(deb, root)
        images = [*root.glob(f"boot/vmlinu[zx]-{release}*"), *root.glob(f"usr/lib/modules/{release}/vmlinu[zx]*")]
        modules = [*root.glob(f"lib/modules/{release}"), *root.glob(f"usr/lib/modules/{release}")]
        if not images or not modules:
            raise RuntimeError(f"kernel {release}: no image or no modules in {', '.join(deb.name for deb in debs)}")
        half = root / "kernel"
        target = half / "lib" / "modules" / release
        target.parent.mkdir(parents=True)
        shutil.copy2(images[0], half / "vmlinuz")
        shutil.move(str(modules[0]), target)
        # The guest's insmod takes no compressed module.
        for suffix, tool in ((".ko.xz", ["xz", "-dq"]), (".ko.zst", ["zstd", "-dq", "--rm"])):
            packed = [str(path) for path in target.rglob(f"*{suffix}")]
            for start in range(0, len(packed), 500):
                subprocess.run([*tool, *packed[start : start + 500]], check=True)
        subprocess.run(["depmod", "-b", str(half), release], check=True, capture_output=True)
        half.rename(folder)


def module_closure(kernel: Kernel, names: list[str]) -> list[Path]:
    """The files of modules and of what they need, in an order that loads; built in or absent ones are left out."""
    wanted: list[Path] = []
    rows = {}
    for line in (kernel.modules / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, needs = line.partition(":")
        rows[Path(path).name.removesuffix(".ko").replace("-", "_")] = (path, needs.split())
    for name in names:
        path, needs = rows.get(name.replace("-", "_"), ("", []))
        for each in [*reversed(needs), path]:
            if each and kernel.modules / each not in wanted:
                wanted.append(kernel.modules / each)
    return wanted
