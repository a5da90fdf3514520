"""What files say of a container: the runtime's bundle, the kubelet's log folders, the cgroup path; and files that lie.

No kubelet is here: harness/pod.py makes the folders and links as it would, the pod's folder before the sandbox, the
container's link after the start.
"""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

from env import Env, belongs, only, same
from harness.crier import Crier, binary, run
from harness.lines import Line
from harness.pod import MIB, Container

BUNDLES = "io.containerd.runtime.v2.task/k8s.io"


def started(agent: Crier, container: Container) -> Line:
    return agent.wait_event("container.started", container=container)


def refused(agent: Crier) -> dict[str, int]:
    """Why look-ups were refused, as the next agent.stats counts it."""
    have = len(agent.events("agent.stats"))
    agent.wait_for(lambda c: len(c.events("agent.stats")) > have, "agent.stats")
    counts: dict[str, int] = agent.events("agent.stats")[-1].get("data.lookups_refused")
    return counts


def test_bundle_alone(env: Env) -> None:
    """Without runtime and log folders the bundle names pod and container before the first process: nothing waits."""
    agent = env.agent(cri_socket="none", logs=False)
    container = env.pod("bundled").start("app", "run")
    line = started(agent, container)
    belongs(line, container)
    same(line, attribution__source="oci_bundle")
    assert not line.get("attribution.wait_us"), f"{line}"
    counts = env.finish(agent)
    assert counts


def test_logs_alone(env: Env) -> None:
    """Without runtime and bundles the log folders do: the pod at once, the container when its log is linked."""
    agent = env.agent(cri_socket="none", bundles=False)
    pod = env.pod("logged")
    container = pod.start("app", "run")
    line = started(agent, container)
    belongs(line, container)
    same(line, attribution__source="log_directory", k8s__container__restart_count=0)
    sandbox = agent.wait_event("container.created", where=lambda line: line.get("container.id") == pod.sandbox_id)
    same(
        sandbox,
        attribution__status="partial",
        attribution__reason="cri_off",
        attribution__source="log_directory",
        k8s__pod__name=pod.name,
        k8s__namespace__name=pod.namespace,
    )
    assert sandbox.get("k8s.container.name") is None, f"a sandbox has no container name: {sandbox}"
    env.finish(agent)


def test_logs_of_a_death(env: Env) -> None:
    """A container that lives a moment, and its restart: every line is full, the restart knows its predecessor."""
    agent = env.agent(cri_socket="none", bundles=False)
    pod = env.pod("brief")
    first = pod.start("app", "exit", "3")
    exited = agent.wait_event("container.exited", container=first)
    belongs(exited, first)
    same(exited, attribution__source="log_directory", data__exit_code=3)
    second = pod.restart(first)
    line = started(agent, second)
    belongs(line, second)
    same(line, data__previous__container_id=first.id, k8s__container__restart_count=1)
    env.finish(agent)


def test_logs_of_what_runs_already(env: Env) -> None:
    container = env.pod("logged-early").start("app", "run")
    agent = env.agent(cri_socket="none", bundles=False)
    line = agent.wait_event("container.snapshot", container=container)
    belongs(line, container)
    same(line, attribution__source="log_directory")
    env.finish(agent)


def test_link_after_the_lines(env: Env) -> None:
    """The log is linked when the lines have left: container.resolved mends them, without any runtime."""
    agent = env.agent("--hold-age", "50ms", cri_socket="none", bundles=False)
    container = env.pod("linked-late").start("app", "run", link=False)
    line = started(agent, container)
    same(line, attribution__status="partial", attribution__source="log_directory", k8s__pod__name="linked-late")
    container.link_log()
    resolved = agent.wait_event("container.resolved", container=container)
    belongs(resolved, container)
    same(resolved, attribution__source="log_directory")
    assert resolved.get("data.mends.from_seq") <= line.seq <= resolved.get("data.mends.to_seq"), f"{resolved} {line}"
    env.finish(agent)


def test_logs_beside_a_frozen_runtime(env: Env) -> None:
    """containerd is stopped: no answer, no bundle, and still every line of the death names the pod."""
    container = env.pod("frozen-logged").start("app", "onusr1", "hog", memory=64 * MIB)
    env.node.containerd.pause()
    try:
        agent = env.agent(bundles=False)
        container.signal(signal.SIGUSR1)
        belongs(agent.wait_event("container.oom", container=container), container)
    finally:
        env.node.containerd.resume()
    env.finish(agent)


def test_path_alone(env: Env) -> None:
    agent = env.agent(cri_socket="none", bundles=False, logs=False)
    container = env.pod("path-alone").start("app", "run")
    line = started(agent, container)
    same(
        line,
        attribution__status="partial",
        attribution__source="cgroup_path",
        attribution__reason="cri_off",
        container__id=container.id,
        k8s__pod__uid=container.pod.uid,
        k8s__qos_class="Burstable",
    )
    assert line.get("k8s.pod.name") is None and line.get("k8s.container.name") is None, f"{line}"
    env.finish(agent)


def crio_bundle(container: Container) -> str:
    """What CRI-O 1.30 writes of a container, as far as it matters here."""
    pod = container.pod
    labels = {**pod.identity_labels(), "io.kubernetes.container.name": container.spec.name}
    own = {
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.SandboxID": pod.sandbox_id,
        "io.kubernetes.cri-o.ImageName": "registry.example/shop/cart:1.8.2",
        "io.kubernetes.container.restartCount": "7",
    }
    return json.dumps({"ociVersion": "1.1.0", "annotations": {**own, **labels}})


def test_crio_runroot(env: Env) -> None:
    """CRI-O's form below its runroot, made here of what its source says: names, image, restarts and the init's pid."""
    runroot = env.folder("crio")
    container = env.pod("crio").create("app", "run")
    userdata = runroot / "overlay-containers" / container.id / "userdata"
    userdata.mkdir(parents=True)
    (userdata / "config.json").write_text(crio_bundle(container), encoding="utf-8")
    agent = env.agent("--runtime-state-dir", str(runroot), cri_socket="none", bundles=False, logs=False)
    container.start()
    line = started(agent, container)
    belongs(line, container)
    same(line, attribution__source="oci_bundle", k8s__container__restart_count=7)
    env.finish(agent)


def test_ps_by_logs(env: Env) -> None:
    container = env.pod("listed-by-logs").start("app", "run")
    logs = env.node.logs
    done = run(
        "ps", "--cri-socket=none", f"--runtime-state-dir={env.node.folder}/none", f"--pod-logs-dir={logs}/pods",
        f"--container-logs-dir={logs}/containers", "--output=text",
    )  # fmt: skip
    row = only([line for line in done.stdout.decode().splitlines() if container.id[:12] in line], "ps of the container")
    assert "listed-by-logs" in row and "shop" in row and " app " in row, row


def test_host_root(env: Env) -> None:
    """A node seen at another place: its own links lead within it, and nothing there leads out of it."""
    pod = env.pod("rooted")
    pod.start("app", "run")
    root = env.folder("host")
    # In a mount namespace of its own: a root with /proc, cgroups and the node's folder, and links as /var/log may be one.
    script = f"""set -e
        mount --make-rprivate / && mount -t tmpfs none {root}
        mkdir -p {root}/proc {root}/sys/fs/cgroup {root}/node {root}/var
        mount --rbind /proc {root}/proc && mount --rbind /sys/fs/cgroup {root}/sys/fs/cgroup
        mount --bind {env.node.folder} {root}/node
        ln -s /node/log {root}/var/log && ln -s {env.node.state} {root}/outside && ln -s /proc/1/root{env.node.state} {root}/magic
        exec "$@" """

    def ps(*flags: str) -> str:
        command = ["unshare", "-m", "sh", "-c", script, "sh", str(binary()), "ps", "--cri-socket=none", "--output=text"]
        done = subprocess.run([*command, f"--host-root={root}", *flags], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return only([line for line in done.stdout.splitlines() if pod.containers[0].id[:12] in line], "ps of the container")

    no_logs = ["--pod-logs-dir=", "--container-logs-dir="]
    assert ps("--runtime-state-dir=/outside").split()[-1] == "log_directory"
    assert ps("--runtime-state-dir=/node/state", *no_logs).split()[-1] == "oci_bundle"
    for outside in ("/outside", "/magic", f"/..{env.node.state}"):
        row = ps(f"--runtime-state-dir={outside}", *no_logs)
        assert "rooted" not in row and row.split()[-1] == "cgroup_path", f"{outside}: {row}"


# ---- files that lie ----


class Canary:
    """A FIFO outside: whoever opens it for reading lets the writer go on."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path, self.opened = path, False
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        with open(self.path, "wb"):
            self.opened = True

    def check(self) -> None:
        assert not self.opened, f"{self.path}: somebody opened it"
        os.close(os.open(self.path, os.O_RDONLY | os.O_NONBLOCK))
        self._thread.join(10)


def test_hostile_bundles(env: Env) -> None:
    """Whatever stands where a bundle should: refused, counted by cause, nothing outside opened, and the path still tells."""
    folder = env.folder("hostile")
    outside = env.folder("outside")
    canary = Canary(outside / "config.json")
    state = folder / "state"
    (state / BUNDLES).mkdir(parents=True)
    pod = env.pod("hostile")
    kinds = ["fifo", "huge", "link", "folder-link", "loop", "nested", "folder", "binary", "away"]
    containers = {kind: pod.create(kind, "run") for kind in kinds}

    def bundle(kind: str) -> Path:
        path = state / BUNDLES / containers[kind].id
        if kind not in ("folder-link", "away"):
            path.mkdir()
        return path / "config.json"

    os.mkfifo(bundle("fifo"))
    with open(bundle("huge"), "wb") as file:
        file.truncate(100 * MIB)
    bundle("link").symlink_to(canary.path)
    bundle("folder-link").parent.symlink_to(outside)
    bundle("loop").symlink_to("config.json")
    bundle("nested").write_text('{"annotations":' * 40000 + "1" + "}" * 40000, encoding="ascii")
    bundle("folder").mkdir()
    bundle("binary").write_bytes(b'{"annotations":{"io.kubernetes.cri.sandbox-name":"\xff\x00"}}')
    bundle("away").parent.symlink_to("../../../outside")
    agent = env.agent(
        "--runtime-state-dir", str(state), "--stats-interval", "1s", cri_socket="none", bundles=False, logs=False
    )
    for container in containers.values():
        container.start()
        line = started(agent, container)
        same(line, attribution__status="partial", attribution__source="cgroup_path", k8s__pod__uid=pod.uid)
    assert agent.running(), agent.diagnostics()
    counts = refused(agent)
    # Each was asked for its names; a link or folder in the way also of its init's pid.
    assert counts["not_a_file"] >= 2 and counts["too_large"] >= 2 and counts["malformed"] >= 1, f"{counts}"
    assert counts["symlink"] >= 4, f"{counts}"
    env.finish(agent)
    canary.check()


def test_hostile_logs(env: Env) -> None:
    """Links of the log folder are read, not followed; what does not agree with itself or with the pod says nothing."""
    logs = env.folder("hostile-logs")
    (logs / "pods").mkdir()
    (logs / "containers").mkdir()
    outside = env.folder("outside-logs")
    canary = Canary(outside / "0.log")
    pod = env.pod("liar")
    pod_folder = f"{pod.namespace}_{pod.name}_{pod.uid}"
    (logs / "pods" / pod_folder).symlink_to(outside)  # a name is a name
    texts = {
        "outside": str(canary.path),
        "other-name": f"/var/log/pods/{pod_folder}/web/0.log",
        "other-pod": f"/var/log/pods/bank_vault_{pod.uid}/other-pod/0.log",
        "other-uid": f"/var/log/pods/{pod.namespace}_{pod.name}_00000000-0000-0000-0000-000000000000/other-uid/0.log",
        "loop": "loop",
        "twice": f"/var/log/pods/{pod_folder}/twice/0.log",
        "honest": f"/var/log/pods/{pod_folder}/honest/0.log",
    }
    containers = {name: pod.create(name, "run") for name in texts}
    for name, text in texts.items():
        link = f"{pod.name}_{pod.namespace}_{name}-{containers[name].id}.log"
        (logs / "containers" / link).symlink_to(text)
        if name == "twice":
            (logs / "containers" / f"vault_bank_{name}-{containers[name].id}.log").symlink_to(text)
    agent = env.agent(
        f"--pod-logs-dir={logs}/pods", f"--container-logs-dir={logs}/containers", "--stats-interval", "1s",
        "--hold-age", "50ms", cri_socket="none", bundles=False, logs=False,
    )  # fmt: skip
    for name, container in containers.items():
        container.start()
        line = started(agent, container)
        if name == "honest":
            belongs(line, container)
        else:
            same(line, attribution__status="partial", k8s__pod__name=pod.name, k8s__pod__uid=pod.uid)
            assert line.get("k8s.container.name") is None, f"{name}: {line}"
    counts = refused(agent)
    assert counts["malformed"] >= 2 and counts["contradicted"] >= 3 and counts["ambiguous"] >= 1, f"{counts}"
    env.finish(agent)
    canary.check()
    shutil.rmtree(logs)


def test_options_are_checked(_env: Env) -> None:
    for flag in ("--runtime-state-dir", "--pod-logs-dir", "--container-logs-dir"):
        done = run("run", f"{flag}=var/log")
        assert done.returncode == 2, f"{flag}: exit {done.returncode}"
        text = done.stderr.decode()
        assert flag[2:] in text and "absolute" in text, text
    done = run("run", "--runtime-state-dir=/run/containerd,var")
    assert done.returncode == 2 and b"'var'" in done.stderr, done.stderr
