"""A private containerd: own root, state, socket and runc folder, all in one folder, so that it can be removed whole."""
from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from harness import image, proc

CNI_PLUGINS = Path("/usr/lib/cni")
NAMESPACE = "k8s.io"
SHIM_SOCKETS = Path("/run/containerd/s")
CAP_SYS_RESOURCE = 24
PR_SET_CHILD_SUBREAPER = 36


def has_capability(number: int) -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
    return bool(found) and bool(int(found.group(1), 16) >> number & 1)


def _filesystem(path: Path) -> str:
    """The filesystem type below a path, by the longest mount point that holds it."""
    best, kind = "", ""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        mount, this = line.split()[1:3]
        if len(mount) >= len(best) and str(path).startswith(mount):
            best, kind = mount, this
    return kind


def has_systemd() -> bool:
    """As sd_booted(3) asks it: only then can a runtime leave cgroups to systemd."""
    return Path("/run/systemd/system").is_dir()


def _handlers(folder: Path, table: str) -> list[str]:
    """The runtimes by handler: runc, crun where it is installed, and each once more with systemd's cgroup driver."""
    lines = []
    for name in filter(shutil.which, ("runc", "crun")):
        for driver in ("", "-systemd") if has_systemd() else ("",):
            handler = f"{table}.containerd.runtimes.{name}{driver}"
            lines += [f"[{handler}]\n  runtime_type = 'io.containerd.runc.v2'"]
            lines += [f"[{handler}.options]\n  BinaryName = '{name}'\n  Root = '{folder}/{name}'"]
            lines += [f"  SystemdCgroup = {'true' if driver else 'false'}"]
    return lines


def _network(folder: Path) -> None:
    """A bridge of the node's own, without masquerade, so that no iptables is needed; addresses are kept in `folder`."""
    address = {"type": "host-local", "dataDir": f"{folder}/addresses", "ranges": [[{"subnet": "10.88.0.0/16"}]]}
    bridge = {"type": "bridge", "bridge": "crier0", "isGateway": True, "ipam": address}
    settings = {"cniVersion": "0.4.0", "name": "crier", "plugins": [bridge]}
    (folder / "cni" / "10-crier.conflist").write_text(json.dumps(settings), encoding="utf-8")


def _config(folder: Path, version: str) -> str:
    # Without CAP_SYS_RESOURCE a score below the caller's own is refused and runc ends with
    # "can't get final child's PID from pipe: EOF".
    restrict = "false" if has_capability(CAP_SYS_RESOURCE) else "true"
    # overlayfs refuses an upper layer that is itself an overlay, as in most containers.
    snapshotter = "native" if _filesystem(folder) == "overlay" else "overlayfs"
    newer = version.startswith("2.")
    runtime = "io.containerd.cri.v1.runtime" if newer else "io.containerd.grpc.v1.cri"
    images = "io.containerd.cri.v1.images"
    lines = [
        f"version = {3 if newer else 2}",
        f"root = '{folder}/root'",
        f"state = '{folder}/state'",
        "disabled_plugins = ['io.containerd.snapshotter.v1.aufs', 'io.containerd.snapshotter.v1.btrfs',"
        " 'io.containerd.snapshotter.v1.zfs', 'io.containerd.snapshotter.v1.devmapper']",
        f"[grpc]\n  address = '{folder}/containerd.sock'",
        f"[plugins.'io.containerd.internal.v1.opt']\n  path = '{folder}/opt'",
        f"[plugins.'{runtime}']",
        f"  restrict_oom_score_adj = {restrict}",
        "  disable_apparmor = true",
    ]
    if newer:
        lines += [f"[plugins.'{images}']\n  snapshotter = '{snapshotter}'"]
        lines += [f"[plugins.'{images}'.pinned_images]\n  sandbox = '{image.PAUSE}'"]
    else:
        lines += ["  disable_tcp_service = true", f"  sandbox_image = '{image.PAUSE}'"]
    table = f"plugins.'{runtime}'"
    lines += [
        f"[{table}.cni]\n  bin_dir = '{CNI_PLUGINS}'\n  conf_dir = '{folder}/cni'",
        f"[{table}.containerd]" + ("" if newer else f"\n  snapshotter = '{snapshotter}'"),
        *_handlers(folder, table),
    ]
    return "\n".join(lines) + "\n"


def _reap_shims(seconds: float = 5) -> None:
    """Collects the shims that were handed to this process; other children are left to those who wait for them."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
        shims = []
        for child in children:
            with contextlib.suppress(OSError):
                if "shim" in Path("/proc", child, "comm").read_text(encoding="utf-8", errors="replace"):
                    shims.append(int(child))
        if not shims:
            return
        for pid in shims:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.02)


class Containerd:
    """Starts containerd in `folder`; stop() leaves no process and no mount of it."""

    def __init__(self, folder: Path, network: bool = False) -> None:
        """`network`: pods may have one of their own; the bridge stays."""
        self.folder = folder
        self.socket = folder / "containerd.sock"
        self.state = folder / "state"
        self.log = folder / "containerd.log"
        version = subprocess.run(["containerd", "--version"], check=True, capture_output=True, text=True).stdout
        self.version = version.split()[2].lstrip("v")
        self._process: subprocess.Popen[bytes] | None = None
        # The shims' sockets live here whatever the configuration says; what we make, we remove.
        self._made = [path for path in (SHIM_SOCKETS, SHIM_SOCKETS.parent) if not path.exists()]
        (folder / "cni").mkdir()
        if network:
            _network(folder)
        (folder / "config.toml").write_text(_config(folder, self.version), encoding="utf-8")

    def start(self) -> None:
        # Shims are orphans by design; where the machine's first process does not reap, they would stay as zombies.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with open(self.log, "ab") as log:
            command = ["containerd", "--config", str(self.folder / "config.toml"), "--log-level", "warn"]
            # An own session: the terminal's Ctrl-C is for the harness, which stops containerd last.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60 * proc.PATIENCE
        while not self.socket.exists() or self._ctr("version").returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                last = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise RuntimeError(f"containerd in {self.folder}: does not answer on {self.socket}; its log ends:\n{last}")
            time.sleep(0.05)

    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def import_images(self) -> None:
        archive = self.folder / "images.tar"
        image.write_archive(archive)
        result = self._ctr("-n", NAMESPACE, "images", "import", str(archive))
        if result.returncode != 0:
            raise RuntimeError(f"image {archive}: ctr cannot import it: {result.stderr.strip()}")
        archive.unlink()

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ctr", "--address", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60 * proc.PATIENCE, check=False)

    def pause(self) -> None:
        """Freezes the daemon (its containers run on): a runtime that accepts calls and answers none."""
        proc.freeze(self.pid())

    def is_paused(self) -> bool:
        return proc.is_frozen(self.pid())

    def kill(self) -> None:
        """SIGKILL: no farewell to clients, no clean end of what was under way; containers and shims live on."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def resume(self) -> None:
        os.kill(self.pid(), signal.SIGCONT)

    def terminate(self) -> None:
        """Ends the daemon; its containers and their shims live on, as in a restart of the runtime."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def shims(self) -> list[int]:
        """Processes that serve this containerd's socket, known by the socket's path in their arguments."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                arguments = (folder / "cmdline").read_bytes().split(b"\0")
                if b"shim" in arguments[0] and str(self.socket).encode() in arguments:
                    found.append(int(folder.name))
        return found

    def stop(self, sandboxes: list[str]) -> None:
        """Ends the daemon, and what it left behind if it died or hung: shims, their sockets, mounts."""
        self.terminate()
        for pid in self.shims():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for sandbox in sandboxes:
            # The shim's socket is outside our folder: containerd names it by a hash of address, namespace and id.
            name = hashlib.sha256(f"{self.socket}/{NAMESPACE}/{sandbox}".encode()).hexdigest()
            (SHIM_SOCKETS / name).unlink(missing_ok=True)
        for path in self._made:
            with contextlib.suppress(OSError):
                path.rmdir()
        self._unmount()
        _reap_shims()

    def _unmount(self) -> None:
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
        for mount in reversed([each for each in mounts if each.startswith(f"{self.folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=False, capture_output=True)
