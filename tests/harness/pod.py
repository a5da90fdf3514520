"""Pods and containers made the way kubelet makes them: labels, annotations, cgroup parent, log folder, attempts."""
from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import cgroups, image, proc
from harness.cri import CriError, pb

if TYPE_CHECKING:
    from harness.node import Node

MIB = 1 << 20
QOS_FOLDER = {"Guaranteed": "", "Burstable": "/burstable", "BestEffort": "/besteffort"}
# kubelet's own scores (qos/policy.go); a burstable one is computed from the request, any value between does.
QOS_SCORE = {"Guaranteed": -997, "Burstable": 985, "BestEffort": 1000}


@dataclass
class Spec:
    """What a restart repeats."""

    name: str
    args: list[str]
    command: list[str] = field(default_factory=list)
    memory: int = 0
    cpu_quota_us: int = 0
    grace_s: int = 30
    privileged: bool = False
    unified: dict[str, str] = field(default_factory=dict)


class Container:
    """One CRI container: one attempt of a spec."""

    def __init__(self, pod: Pod, spec: Spec, attempt: int) -> None:
        self.pod, self.spec, self.attempt = pod, spec, attempt
        self._cri = pod.node.cri
        self.log_path = f"{spec.name}/{attempt}.log"
        answer = self._cri.call(
            "CreateContainer", pod_sandbox_id=pod.sandbox_id, config=self._config(), sandbox_config=pod.config
        )
        self.id: str = answer.container_id
        self.pid = 0

    def _config(self) -> Any:
        pod, spec = self.pod, self.spec
        config = pb.ContainerConfig(command=spec.command, args=spec.args, log_path=self.log_path)
        config.metadata.name, config.metadata.attempt = spec.name, self.attempt
        config.image.image = image.TRIGGER
        config.labels.update(pod.identity_labels())
        config.labels["io.kubernetes.container.name"] = spec.name
        config.annotations.update(
            {
                "io.kubernetes.container.hash": hashlib.sha256(spec.name.encode()).hexdigest()[:8],
                "io.kubernetes.container.restartCount": str(self.attempt),
                "io.kubernetes.container.terminationMessagePath": "/dev/termination-log",
                "io.kubernetes.container.terminationMessagePolicy": "File",
                "io.kubernetes.pod.terminationGracePeriod": str(spec.grace_s),
            }
        )
        resources = config.linux.resources
        resources.cpu_shares, resources.oom_score_adj = 102, QOS_SCORE[pod.qos]
        resources.memory_limit_in_bytes = spec.memory
        if spec.cpu_quota_us:
            resources.cpu_period, resources.cpu_quota = 100_000, spec.cpu_quota_us
        resources.unified.update(spec.unified)
        context = config.linux.security_context
        context.privileged = spec.privileged
        context.namespace_options.CopyFrom(pod.namespaces())
        (pod.log_folder / spec.name).mkdir(exist_ok=True)
        return config

    def launch(self, link: bool = True) -> Container:
        """Started, and nothing waited for: it may have ended already."""
        self._cri.call("StartContainer", container_id=self.id)
        if link:
            self.link_log()
        return self

    def start(self, link: bool = True) -> Container:
        self.launch(link)
        # 0 if it has ended already.
        self.pid = self._cri.container_pid(self.id)
        if self.pid:
            proc.wait_executed(self.pid, b"/trigger")
        return self

    def link_log(self) -> None:
        """As the kubelet links the log under /var/log/containers right after the start."""
        name = f"{self.pod.name}_{self.pod.namespace}_{self.spec.name}-{self.id}.log"
        (self.pod.node.logs / "containers" / name).symlink_to(self.pod.log_folder / self.log_path)

    def status(self) -> Any:
        return self._cri.status(self.id)

    def running(self) -> bool:
        return bool(self.status().state == pb.CONTAINER_RUNNING)

    def wait_exit(self, seconds: float = 30) -> Any:
        """Waits until the runtime says EXITED; returns the CRI status."""
        deadline = time.monotonic() + seconds * proc.PATIENCE
        while (status := self.status()).state != pb.CONTAINER_EXITED:
            if time.monotonic() > deadline:
                raise RuntimeError(f"container {self.spec.name} ({self.id[:12]}): not ended after {seconds} s")
            time.sleep(0.05)
        return status

    def stop(self, grace_s: int | None = None) -> None:
        """SIGTERM, and SIGKILL after the grace time, by the runtime."""
        grace = self.spec.grace_s if grace_s is None else grace_s
        request = pb.StopContainerRequest(container_id=self.id, timeout=grace)
        self._cri.send("StopContainer", request, grace + 60)

    def exec(self, *command: str, timeout_s: int = 30) -> tuple[int, str]:
        """Runs a command in the container, as an exec probe does; returns exit code and stdout."""
        request = pb.ExecSyncRequest(container_id=self.id, cmd=command, timeout=timeout_s)
        answer = self._cri.send("ExecSync", request, timeout_s + 30)
        return answer.exit_code, answer.stdout.decode(errors="replace")

    def signal(self, number: int) -> None:
        """A signal to init from outside the container."""
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            proc.wait_expects(self.pid, number)
        os.kill(self.pid, number)

    def remove(self) -> None:
        self._cri.call("RemoveContainer", container_id=self.id)
        if self in self.pod.containers:
            self.pod.containers.remove(self)

    def log(self) -> str:
        """What the container wrote, without the CRI prefix of each line."""
        path = self.pod.log_folder / self.log_path
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
        return "\n".join(line.split(" ", 3)[-1] for line in lines)

    def wait_log(self, text: str, seconds: float = 60) -> str:
        deadline = time.monotonic() + seconds * proc.PATIENCE
        while text not in (log := self.log()):
            if time.monotonic() > deadline:
                raise RuntimeError(f"container {self.spec.name}: no '{text}' in its log after {seconds} s: {log[-500:]}")
            time.sleep(0.05)
        return log

    @property
    def cgroup(self) -> str:
        """The container's group, relative to each hierarchy."""
        if not self.pod.by_systemd:
            return f"{self.pod.cgroup}/{self.id}"
        # crun's processes and limits are one level below the scope.
        inner = "/container" if self.pod.runtime.startswith("crun") else ""
        return f"{self.pod.cgroup}/cri-containerd-{self.id}.scope{inner}"

    def limited_cgroup(self) -> str:
        """The group that has the memory limit, asked while it lives: crun's scope (1.21) or the group in it (1.8)."""
        outer = self.cgroup.removesuffix("/container")
        limit = cgroups.memory_hierarchy().path(outer) / "memory.max"
        has_limit = outer != self.cgroup and limit.read_text(encoding="ascii").strip() != "max"
        return outer if has_limit else self.cgroup


class Pod:
    """A sandbox and its containers."""

    def __init__(
        self,
        node: Node,
        name: str,
        namespace: str = "shop",
        labels: dict[str, str] | None = None,
        qos: str = "Burstable",
        memory: int = 0,
        uid: str = "",
        runtime: str = "",
        pid_namespace: int = pb.CONTAINER,
        network: int = pb.NODE,
    ) -> None:
        """`runtime` is a handler of Containerd's configuration; `network` POD needs a node that has one."""
        self.node, self.name, self.namespace, self.qos = node, name, namespace, qos
        self.labels = labels or {}
        self.runtime, self.pid_namespace, self.network = runtime, pid_namespace, network
        self.uid = uid or str(uuid.uuid4())
        self.cgroup = self._slice() if self.by_systemd else f"/kubepods{QOS_FOLDER[qos]}/pod{self.uid}"
        self.log_folder: Path = node.logs / "pods" / f"{namespace}_{name}_{self.uid}"
        self.containers: list[Container] = []
        self.known: list[Container] = []  # removed ones too
        self.sandbox_id = ""
        self.config = self._config()
        self._make_cgroup(memory)
        self.log_folder.mkdir(parents=True)

    @property
    def by_systemd(self) -> bool:
        return self.runtime.endswith("-systemd")

    def _slice(self) -> str:
        """The slices that systemd makes of a pod's, one for each dash."""
        parts = ["kubepods", *filter(None, [QOS_FOLDER[self.qos].strip("/")]), f"pod{self.uid.replace('-', '_')}"]
        return "".join(f"/{'-'.join(parts[:end])}.slice" for end in range(1, len(parts) + 1))

    def _make_cgroup(self, memory: int) -> None:
        """As kubelet does: by hand, or by systemd, which would undo what was done behind its back."""
        if self.by_systemd:
            name = os.path.basename(self.cgroup)
            if memory:
                subprocess.run(["systemctl", "--runtime", "set-property", name, f"MemoryMax={memory}"], check=True)
            subprocess.run(["systemctl", "start", name], check=True)
            return
        cgroups.make_pod(self.cgroup)
        if memory:
            cgroups.set_memory_limit(cgroups.memory_hierarchy(), self.cgroup, memory)

    def _remove_cgroup(self) -> None:
        cgroups.kill_all(self.cgroup)
        if self.by_systemd:
            subprocess.run(["systemctl", "stop", os.path.basename(self.cgroup)], check=True)
        cgroups.remove(self.cgroup)

    def identity_labels(self) -> dict[str, str]:
        return {
            "io.kubernetes.pod.name": self.name,
            "io.kubernetes.pod.namespace": self.namespace,
            "io.kubernetes.pod.uid": self.uid,
        }

    def namespaces(self) -> Any:
        # The host's network needs no CNI plugin. CONTAINER is what kubelet sets for the PID namespace of v1 pods, NODE for
        # hostPID, POD for shareProcessNamespace.
        return pb.NamespaceOption(network=self.network, pid=self.pid_namespace, ipc=pb.POD)

    def _config(self) -> Any:
        config = pb.PodSandboxConfig(log_directory=str(self.log_folder))
        meta = config.metadata
        meta.name, meta.namespace, meta.uid = self.name, self.namespace, self.uid
        config.labels.update({**self.labels, **self.identity_labels()})
        config.annotations["kubernetes.io/config.source"] = "api"
        config.annotations["kubernetes.io/config.seen"] = "2026-01-01T00:00:00Z"
        config.linux.cgroup_parent = os.path.basename(self.cgroup) if self.by_systemd else self.cgroup
        config.linux.security_context.namespace_options.CopyFrom(self.namespaces())
        config.linux.security_context.privileged = True
        return config

    def run(self) -> Pod:
        self.sandbox_id = self.node.cri.call("RunPodSandbox", config=self.config, runtime_handler=self.runtime).pod_sandbox_id
        return self

    def create(self, name: str, *args: str, attempt: int = 0, **spec: Any) -> Container:
        """A container in state CREATED; `spec` as in Spec."""
        return self._create(Spec(name, list(args), **spec), attempt)

    def _create(self, spec: Spec, attempt: int) -> Container:
        container = Container(self, spec, attempt)
        self.containers.append(container)
        self.known.append(container)
        return container

    def start(self, name: str, *args: str, link: bool = True, **spec: Any) -> Container:
        return self.create(name, *args, **spec).start(link)

    def restart(self, dead: Container, *args: str) -> Container:
        """The next attempt in the same sandbox; kubelet keeps the dead one beside it for a while."""
        spec = dead.spec if not args else Spec(**{**dead.spec.__dict__, "args": list(args)})
        return self._create(spec, dead.attempt + 1).start()

    def remove(self, grace_s: int = 0) -> None:
        """As kubelet deletes a pod: stop containers, stop the sandbox, remove containers, remove the sandbox."""
        for container in list(self.containers):
            container.stop(grace_s)
        cri = self.node.cri
        if self.sandbox_id:
            cri.call("StopPodSandbox", pod_sandbox_id=self.sandbox_id)
        for container in list(self.containers):
            container.remove()
        if self.sandbox_id:
            cri.call("RemovePodSandbox", pod_sandbox_id=self.sandbox_id)
        self._remove_cgroup()
        if self in self.node.pods:
            self.node.pods.remove(self)

    def discard(self) -> None:
        """remove() for the end of a run: whatever the runtime says, no process and no cgroup is left."""
        try:
            self.remove()
        except (CriError, RuntimeError):
            self._remove_cgroup()
