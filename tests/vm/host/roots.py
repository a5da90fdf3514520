"""The root of a guest: Debian's packages of one suite, and a runtime that may be another's."""
from __future__ import annotations

import re
from pathlib import Path

from host.debian import Apt, NotOffered, Package, host_suite
from host.plans import Runtime

# Whole roots are made of releases only: what is still on its way (sid) may not be installable as a whole on any day.
RELEASES = ("bookworm", "trixie")
RUNTIME = ("containerd", "runc", "crun")


def trees(cache: Path, arch: str, packages: list[str], runtime: Runtime | None) -> list[Path]:
    """Folders to be laid one over another."""
    suite = _root_suite(runtime.suite if runtime else host_suite())
    root = Apt(cache, arch, suite, f"{suite}-security")
    if runtime is None or runtime.suite == suite:
        if runtime:
            _newest(root, runtime)
        return [root.tree(cache, packages)]
    other = Apt(cache, arch, *_suites(runtime.suite))
    newest = _newest(other, runtime)
    # What they depend on is the root's as far as it has it, of whatever version: libraries keep their names as long as they fit.
    needed = sorted({name for package in newest for name in re.findall(r"(?:^|, )([a-z0-9.+-]+)", package.depends)} - set(RUNTIME))
    own = [name for name in needed if root.packages(re.escape(name))]
    foreign = [found[-1] for name in needed if name not in own and (found := other.packages(re.escape(name)))]
    return [root.tree(cache, [*packages, *own]), other.alone(cache, [*newest, *foreign])]


def _root_suite(wanted: str) -> str:
    """The programs under test are built on the host: no older libraries than the host's will do."""
    host = host_suite()
    if host not in RELEASES:
        return host
    return RELEASES[max(RELEASES.index(host), RELEASES.index(wanted) if wanted in RELEASES else len(RELEASES) - 1)]


def _suites(suite: str) -> list[str]:
    return [suite, f"{suite}-security"] if suite in RELEASES else [suite]


def _newest(apt: Apt, runtime: Runtime) -> list[Package]:
    """containerd, runc and crun; NotOffered if the suite's containerd is of another line by now."""
    newest = [found[-1] for name in RUNTIME if (found := apt.packages(re.escape(name)))]
    if len(newest) != len(RUNTIME) or not re.match(runtime.version, newest[0].version):
        offered = ", ".join(f"{each.name} {each.version}" for each in newest)
        raise NotOffered(f"{runtime.suite} has no containerd {runtime.version} with runc and crun, but {offered or 'none of them'}")
    return newest
