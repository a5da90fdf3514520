"""Debian packages without touching the host: a private apt for each set of suites, and packages unpacked into folders.

Mirrors are those of the host's own apt settings, so no host name stands here; versions are found by pattern, so none
does either. Nothing needs root: packages are unpacked, never installed.
"""
from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# A list this young is not fetched again: Debian publishes four times a day.
FRESH_S = 20 * 3600
# Never looked at by a guest; half of the bytes of a Debian root.
UNWANTED = [
    *(f"share/{name}" for name in ("doc", "man", "locale", "info", "lintian", "bug", "bash-completion", "i18n", "perl", "perl5")),
    "bin/perl*", "bin/containerd-shim", "bin/containerd-shim-runc-v1", "lib/*/perl", "lib/*/perl-base", "lib/*/gconv", "lib/udev/hwdb.d",
]  # fmt: skip


def say(text: str) -> None:
    print(f"vm: {text}", file=sys.stderr, flush=True)


class NotOffered(Exception):
    """The archive has no such suite or package (any more); its text says what was looked for."""


@dataclass(frozen=True)
class Package:
    """A package of one suite; `depends` is the field as it stands in the list."""

    name: str
    version: str
    depends: str


def by_version(packages: list[Package]) -> list[Package]:
    """Oldest first; GNU sort knows Debian's order, the tilde too."""
    versions = "\n".join({each.version for each in packages})
    done = subprocess.run(["sort", "-V"], input=versions, check=True, capture_output=True, text=True)
    order = {version: place for place, version in enumerate(done.stdout.split())}
    return sorted(packages, key=lambda each: (order[each.version], each.name))


def host_suite() -> str:
    """The codename of the host's own Debian: what is built here runs on its libraries."""
    found = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise RuntimeError("/etc/os-release: no VERSION_CODENAME: the vm suite needs a Debian host")
    return found.group(1)


@functools.lru_cache(maxsize=None)
def _mirrors() -> tuple[str, str]:
    """Where the host takes Debian and its security updates from."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], check=True, capture_output=True, text=True)
    uris = sorted(set(done.stdout.split()))
    security = [uri for uri in uris if uri.rstrip("/").endswith("-security")]
    main = [uri for uri in uris if uri.rstrip("/").endswith("/debian")]
    if not main:
        raise RuntimeError("apt: no source ends in /debian: name a Debian mirror in /etc/apt/sources.list")
    # A mirror that carries both has them side by side.
    return main[0], security[0] if security else main[0].rstrip("/") + "-security/"


def _proxies() -> str:
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    return "".join(re.findall(r"^Acquire::https?::.*\n", dump, re.MULTILINE))


class Apt:
    """apt-get with lists, cache and (empty) status of its own, for one architecture and the suites given."""

    def __init__(self, cache: Path, arch: str, *suites: str) -> None:
        self.arch, self.suites = arch, suites
        self.folder = cache / "apt" / f"{arch}-{'-'.join(suites)}"
        self.lists = self.folder / "state" / "lists"
        self._packages: dict[str, list[Package]] | None = None

    def _configure(self) -> None:
        (self.lists / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (self.folder / "empty").mkdir(exist_ok=True)
        (self.folder / "status").touch()
        main, security = _mirrors()
        sources = [
            f"deb [arch={self.arch} signed-by={KEYRING}] {security if suite.endswith('-security') else main} {suite} main\n"
            for suite in self.suites
        ]
        (self.folder / "sources.list").write_text("".join(sources), encoding="utf-8")
        settings = {
            "APT::Architecture": self.arch,
            "APT::Architectures": self.arch,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Acquire::GzipIndexes": "false",
            # A mirror that lags is better than none; signatures are judged all the same.
            "Acquire::Check-Valid-Until": "false",
            "Dir::State": self.folder / "state",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::srcpkgcache": "",
            "Dir::Etc::sourcelist": self.folder / "sources.list",
            "Dir::Etc::sourceparts": "-",
            # The host's own settings stay out but for how it reaches mirrors: they may hold hooks that touch its state.
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": self.folder / "empty",
            "Dir::Etc::preferencesparts": "-",
            "Dir::Etc::preferences": "-",
        }
        text = _proxies() + "".join(f'{key} "{value}";\n' for key, value in settings.items())
        (self.folder / "apt.conf").write_text(text, encoding="utf-8")

    def get(self, *arguments: str, cwd: Path | None = None, check: bool = True) -> str:
        """apt-get with the private settings; returns what it said."""
        env = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"}
        done = subprocess.run(
            ["apt-get", "-q", *arguments], cwd=cwd, env=env, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"apt-get {' '.join(arguments)} ({', '.join(self.suites)}): {done.stdout.strip()[-800:]}")
        return done.stdout

    def update(self) -> None:
        """Fetches the lists unless they are fresh. A suite that is gone is NotOffered; a dead network is an error."""
        stamp = self.folder / "fetched"
        if stamp.exists() and time.time() - stamp.stat().st_mtime < FRESH_S:
            return
        self._configure()
        said = self.get("update", check=False)
        if re.search(r"404 +Not Found|does not have a Release file", said):
            raise NotOffered(f"suite {', '.join(self.suites)}: not on the mirror any more")
        if not any(self.lists.glob("*_Packages")):
            raise RuntimeError(f"apt-get update ({', '.join(self.suites)}): {said.strip()[-800:]}")
        if re.search(r"^[EW]: (?:Failed|Some index)", said, re.MULTILINE):
            say(f"{', '.join(self.suites)}: the mirror does not answer, going on with older lists")
            return
        stamp.touch()

    def packages(self, pattern: str) -> list[Package]:
        """Every package whose whole name matches, oldest version first."""
        self.update()
        if self._packages is None:
            self._packages = {}
            stanza = re.compile(r"^Package: (\S+)\n(.*?)(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
            for path in sorted(self.lists.glob("*_Packages")):
                for name, rest in stanza.findall(path.read_text(encoding="utf-8")):
                    field = dict(re.findall(r"^(Version|Depends): (.*)$", rest, re.MULTILINE))
                    package = Package(name, field["Version"], field.get("Depends", ""))
                    self._packages.setdefault(name, []).append(package)
        found = {each for name, all_of in self._packages.items() if re.fullmatch(pattern, name) for each in all_of}
        return by_version(list(found))

    def download(self, package: Package, folder: Path) -> Path:
        """The package's file in `folder`, from there if it is there already."""
        folder.mkdir(parents=True, exist_ok=True)
        wanted = f"{package.name}_{package.version.replace(':', '%3a')}_*.deb"
        if not (found := sorted(folder.glob(wanted))):
            say(f"downloading {package.name} {package.version}")
            said = self.get("download", f"{package.name}:{self.arch}={package.version}", cwd=folder, check=False)
            if not (found := sorted(folder.glob(wanted))):
                if "404" in said:
                    raise NotOffered(f"{package.name} {package.version}: listed, but not on the mirror any more")
                raise RuntimeError(f"apt-get download {package.name}={package.version}: {said.strip()[-400:]}")
        return found[0]

    def tree(self, cache: Path, names: list[str]) -> Path:
        """The packages and all they depend on, unpacked into one usr-merged folder that is made once for each state."""
        self.update()
        said = self.get("-s", "-y", "install", *names)
        chosen = sorted(re.findall(r"^Inst (\S+ \([^)]*)", said, re.MULTILINE))
        digest = hashlib.sha256("\n".join([*names, *chosen]).encode()).hexdigest()[:16]
        target = cache / "trees" / f"{self.arch}-{digest}"
        if not target.exists():
            say(f"{self.arch}: downloading and unpacking {len(chosen)} packages for {' '.join(names[:4])} ...")
            debs = self.folder / "cache" / "archives"
            self.get("-y", "--download-only", "install", *names)
            _unpack_all(sorted(debs.glob("*.deb")), target)
            for deb in debs.glob("*.deb"):
                deb.unlink()
        return target

    def alone(self, cache: Path, packages: list[Package]) -> Path:
        """Packages without what they depend on, unpacked into one folder: to be laid over a tree that has the rest."""
        name = hashlib.sha256("\n".join(f"{each.name} {each.version}" for each in packages).encode()).hexdigest()[:16]
        target = cache / "trees" / f"{self.arch}-{name}"
        if not target.exists():
            _unpack_all([self.download(package, cache / "debs") for package in packages], target)
        return target


def _unpack_all(debs: list[Path], target: Path) -> None:
    half = target.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    usr_merged(half)
    for deb in debs:
        unpack(deb, half)
    _compile_python(half)
    half.rename(target)


def _compile_python(root: Path) -> None:
    """What installing would do, by the tree's own python: under emulation each module takes a tenth of a second."""
    triplet = f"{os.uname().machine}-linux-gnu"
    loaders = [*(root / "usr" / "lib" / triplet).glob("ld-linux-*.so.*")]
    for python in (root / "usr" / "bin").glob("python3.*[0-9]"):
        if loaders:  # else it is of another architecture
            command = [loaders[0], "--library-path", root / "usr" / "lib" / triplet, python, "-I", "-S", "-m", "compileall", "-q"]
            command += ["--invalidation-mode", "unchecked-hash", root / "usr" / "lib" / python.name, root / "usr" / "lib" / "python3"]
            # Some of what packages hold is no Python of this version: what does not compile is left as it is.
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)


def usr_merged(root: Path) -> None:
    """/bin, /lib and the like as links into /usr, as in every installed Debian since bookworm."""
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(f"usr/{name}")


def unpack(deb: Path, root: Path) -> None:
    """The files of a package, less documentation, into a folder whose links are kept."""
    exclude = [f"--exclude=./usr/{name}" for name in UNWANTED]
    command = ["tar", "-x", "-C", str(root), "--keep-directory-symlink", "--no-same-owner", *exclude]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as source:
        done = subprocess.run(command, stdin=source.stdout, check=False)
    if done.returncode != 0 or source.returncode != 0:
        raise RuntimeError(f"{deb}: cannot be unpacked into {root}")
