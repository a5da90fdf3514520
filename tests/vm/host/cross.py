"""crier and its test programs for arm64, built on another architecture against unpacked Debian packages."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path

from host.debian import Apt, host_suite, say
from host.programs import ROOT, Build

COMPILER = "aarch64-linux-gnu-gcc"
TARGETS = ["crier", "crier_vm_verify", "crier_vm_actor", "crier_vm_faults"]
LIBRARIES = [
    "libbpf-dev", "libelf-dev", "zlib1g-dev", "libgrpc-dev", "libprotobuf-c-dev", "libjansson-dev", "libyaml-dev", "libcap-dev",
    "libc-ares-dev", "libre2-dev", "libssl-dev", "libcmocka-dev", "libc6-dev", "linux-libc-dev",
]  # fmt: skip


def sysroot_of(cache: Path) -> Path:
    """What it is built against, unpacked."""
    version = subprocess.run([COMPILER, "-dumpversion"], check=True, capture_output=True, text=True).stdout
    runtime = f"libstdc++-{version.split('.')[0].strip()}-dev"
    apt = Apt(cache, "arm64", host_suite(), f"{host_suite()}-security")
    return apt.tree(cache, [*LIBRARIES, runtime])


def build(sysroot: Path, targets: list[str], threads: int) -> Build:
    """Configures and builds, these targets besides; what is up to date costs a second."""
    folder = ROOT / "build" / "vm-arm64"
    say(f"building for arm64 in {folder}")
    flags = [f"-DCMAKE_TOOLCHAIN_FILE={ROOT}/cmake/arm64.cmake", f"-DCRIER_SYSROOT={sysroot}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    log = folder.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb") as out:
        for command in (
            ["cmake", "-S", str(ROOT), "-B", str(folder), "-G", "Ninja", *flags],
            ["cmake", "--build", str(folder), "-j", str(threads), "--target", *TARGETS, *targets],
        ):
            if subprocess.run(command, stdout=out, stderr=out, env=dict(os.environ), check=False).returncode != 0:
                out.flush()
                last = log.read_text(encoding="utf-8", errors="replace")[-1500:]
                raise RuntimeError(f"arm64: {' '.join(command[:2])} failed, see {log}: {last}")
    folders = [sysroot / "usr" / "lib" / "aarch64-linux-gnu", sysroot / "usr" / "lib"]
    return Build("arm64", folder, folders, [COMPILER, f"--sysroot={sysroot}"])
