"""crier_cri_probe() and crier_cri_discover(): each way a socket can be wrong, told as object, cause and remedy."""
from __future__ import annotations

import os
import socket
from pathlib import Path

from driver import once
from env import Env
from harness.fake import Fake, version
from harness.sockets import Garbage, Hung


def complaint(path: Path | str, *words: str, timeout_ms: int = 600) -> str:
    """The error about a socket; it names the path and says each of the words."""
    answer = once("probe", str(path), str(timeout_ms))
    text: str = answer.get("error", "")
    for word in (str(path), *words):
        assert word in text, f"'{word}' is not in: {text or answer}"
    assert answer["ms"] < timeout_ms + 2000, f"took {answer['ms']} ms"
    return text


def test_real(env: Env) -> None:
    env.running()
    facts = once("probe", str(env.node.socket), "5000")
    assert facts["name"] == "containerd" and facts["api_version"] == "v1", f"{facts}"
    assert facts["ready"] and facts["pods"] >= 1 and facts["containers"] >= 1, f"{facts}"
    want = {"1.6": "not_offered", "1.7": "shared"}.get(env.node.containerd.version[:3], "open")
    assert facts["event_stream"] == want, f"containerd {env.node.containerd.version}: {facts}"


def test_missing(env: Env) -> None:
    complaint(env.folder() / "none.sock", "no such file", "--cri-socket")


def test_regular_file(env: Env) -> None:
    path = env.folder() / "file"
    path.write_text("not a socket")
    complaint(path, "a regular file", "not a unix socket", "--cri-socket")


def test_directory(env: Env) -> None:
    complaint(env.folder(), "a directory", "not a unix socket")


def test_too_long(env: Env) -> None:
    complaint(env.folder() / ("x" * 120), "107 bytes", "symbolic link")


def test_empty(env: Env) -> None:
    assert "107 bytes" in once("probe", "", "500")["error"]


def test_refused(env: Env) -> None:
    path = env.folder() / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
    complaint(path, "connection refused", "start or restart")


def test_garbage(env: Env) -> None:
    path = env.folder() / "garbage.sock"
    with Garbage(path):
        complaint(path, "does not speak gRPC", "/run/containerd/containerd.sock")


def test_hung(env: Env) -> None:
    path = env.folder() / "hung.sock"
    with Hung(path):
        complaint(path, "no answer within 600 ms", "look at its log")


def test_full_backlog(env: Env) -> None:
    path = env.folder() / "full.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            complaint(path, "no answer within")


def test_old_api(env: Env) -> None:
    """As containerd before 1.6 answers: only v1alpha2 is served."""
    path = env.folder() / "old.sock"
    with Fake(path, "runtime.v1alpha2.RuntimeService"):
        complaint(path, "does not offer CRI v1", "runtime.v1", "1.6", "--cri-socket none")


def test_cri_disabled(env: Env) -> None:
    """containerd's own socket without the CRI plugin, which is how Docker's package configures it."""
    path = env.folder() / "no-cri.sock"
    with Fake(path, "containerd.services.version.v1.Version"):
        complaint(path, "disabled_plugins")


def test_broken_version(env: Env) -> None:
    path = env.folder() / "broken.sock"
    with Fake(path, Version=b"\x0a\xff"):
        complaint(path, "cannot be read", "look at its log")


def test_unready(env: Env) -> None:
    path = env.folder() / "unready.sock"
    with Fake(path, Status=lambda *_: b"") as fake:
        facts = once("probe", str(path), "2000")
        assert not facts["ready"] and facts["name"] == "fake", f"{facts}"
        assert facts["event_stream"] == "not_offered", f"GetContainerEvents was refused: {facts}"
        fake.methods["GetContainerEvents"] = lambda _, context: b""
        assert once("probe", str(path), "2000")["event_stream"] == "open", "GetContainerEvents was answered"


def test_event_stream(env: Env) -> None:
    path = env.folder() / "events.sock"
    with Fake(path, events=True) as fake:
        assert once("probe", str(path), "2000")["event_stream"] == "open"
        taken = fake.count("GetContainerEvents")
        fake.methods["Version"] = version("containerd", "1.7.24")
        assert once("probe", str(path), "2000")["event_stream"] == "shared"
        assert fake.count("GetContainerEvents") == taken, "asking would take an event from the kubelet"


def test_discover(env: Env) -> None:
    root = env.folder()
    answer = once("discover", str(root))
    for path in ("/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/crio/crio.sock"):
        assert str(root) + path in answer["error"], f"{answer}"
    crio = root / "run" / "crio" / "crio.sock"
    crio.parent.mkdir(parents=True)
    crio.write_text("a file is not taken for a socket")
    assert "error" in once("discover", str(root))
    os.unlink(crio)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(crio))
        assert once("discover", str(root))["path"] == str(crio)
