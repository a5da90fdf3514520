"""Without eBPF: what inotify, the kernel's log and the runtime still tell, and that nothing is invented."""
from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from env import Env, Skip, belongs, only, same
from harness import cgroups, image, proc
from harness.crier import Crier, binary, node_flags
from harness.lines import Line
from harness.pod import MIB, Container

PROFILE = "default"
FLAGS = ["--ebpf", "off"]
LIMIT = 64 * MIB


def primary() -> cgroups.Hierarchy:
    return cgroups.unified_hierarchy() or cgroups.memory_hierarchy()


def hooks(agent: Crier) -> dict[str, Any]:
    return {hook["event"]: hook.get("chosen") for hook in agent.lines[0].get("data.hooks", [])}


def missing(agent: Crier) -> list[str]:
    return [note["what"] for note in agent.lines[0].get("data.degraded", [])]


def was_reported(pid: int) -> bool:
    """Whether the kernel wrote its report of this kill: at most ten in 5 s on the whole machine, and others kill too."""
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                if f",pid={pid},uid=".encode() in os.read(log, 8192):
                    return True
            except BrokenPipeError:
                continue
            except BlockingIOError:
                return False
    finally:
        os.close(log)


def check_limit(oom: Line, **wanted: Any) -> None:
    """The limit is told where the log has it, and not made up where it has not."""
    if was_reported(oom.get("process.pid")):
        same(oom, data__limit__found_by="kernel_log", **wanted)
    else:
        assert oom.get("data.limit.bytes") is None, f"the log has no report: {oom}"


def check_kill(crier: Crier, container: Container) -> Line:
    """The kernel's log names the victim; the container's end is told as that."""
    exited = crier.wait_event("container.exited", container=container)
    oom = only(crier.events("container.oom", container=container), "container.oom")
    for line in (oom, exited):
        belongs(line, container)
    same(oom, data__scope="memcg", process__pid=container.pid, process__role="init", process__comm="trigger")
    same(oom, probe__hook="kmsg:oom")
    check_limit(oom, data__limit__bytes=LIMIT)
    assert LIMIT * 0.9 < oom.get("data.limit.usage_bytes", LIMIT) <= LIMIT, f"usage at the kill: {oom}"
    assert oom.get("data.victim.anon_rss_bytes", 0) > LIMIT // 2, f"{oom}"
    same(exited, data__cause="oom", data__exit_code=137, data__runtime__reason="OOMKilled")
    same(exited, correlation__incident_id=oom.get("correlation.incident_id"))
    causes = [cause.get("kind") for cause in exited.get("correlation.caused_by", [])]
    assert causes == ["container.oom"], f"container.exited is caused by {causes}"
    return oom


def test_start_says_what_is_missing(env: Env) -> None:
    chosen = hooks(env.crier)
    v2 = cgroups.memory_hierarchy().version == 2
    assert chosen["cgroup_mkdir"] == chosen["cgroup_rmdir"] == "inotify:cgroup", f"{chosen}"
    assert chosen["oom"] == "kmsg:oom", f"{chosen}"
    assert chosen["pressure"] == ("inotify:memory.events" if v2 else None), f"{chosen}"
    assert [chosen[name] for name in ("exec", "exit", "signal")] == [None] * 3, f"{chosen}"
    told = missing(env.crier)
    assert any("no eBPF: --ebpf off" in what for what in told), f"{told}"
    assert any("no process.exec" in what for what in told), f"{told}"
    health = env.crier.wait_event("agent.health", where=lambda line: line.get("data.component") == "kernel")
    same(health, data__state="degraded", data__reason="no eBPF: --ebpf off")


def test_a_life_by_directories_and_the_runtime(env: Env) -> None:
    container = env.pod("living").start("app", "onusr1", "exit", "3")
    created = env.crier.wait_event("container.created", container=container)
    started = env.crier.wait_event("container.started", container=container)
    for line in (created, started):
        belongs(line, container)
    same(created, probe__hook="inotify:cgroup", cgroup__path=container.cgroup)
    same(created, cgroup__id=str(os.stat(primary().path(container.cgroup)).st_ino))
    same(started, probe__hook="user", process__pid=container.pid, process__role="init")
    assert started.get("process.comm") is None and started.get("data.filename") is None, f"{started}"
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    belongs(exited, container)
    same(exited, data__cause="unknown", data__exit_code=3, data__runtime__exit_code=3, data__observed=None)
    assert exited.get("data.signal") is None, f"{exited}"
    container.remove()
    belongs(env.crier.wait_event("container.removed", 60, container=container), container)
    for kind in ("created", "started", "exited", "removed"):
        only(env.crier.events(f"container.{kind}", container=container), f"container.{kind}")
    assert not env.crier.events("process."), "nothing can have been seen of processes"


def test_chain_and_restart(env: Env) -> None:
    pod = env.pod("killed")
    container = pod.start("app", "onusr1", "hog", memory=LIMIT)
    inode = str(os.stat(cgroups.memory_hierarchy().path(container.cgroup)).st_ino)
    env.crier.wait_event("container.started", container=container)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    oom = check_kill(env.crier, container)
    same(oom, severity="fatal", data__victim_index=1)
    check_limit(oom, data__limit__level="container", data__limit__cgroup__id=inode)
    check_limit(oom, data__limit__cgroup__path=container.cgroup)
    again = pod.restart(container, "run")
    started = env.crier.wait_event("container.started", container=again)
    belongs(started, again)
    same(started, data__previous__container_id=container.id, data__previous__cause="oom")


def test_killed_at_once(env: Env) -> None:
    """It dies within a moment of its start: no line of its life is lost or out of order."""
    container = env.pod("brief").start("app", "hog", memory=LIMIT)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    same(exited, data__runtime__reason="OOMKilled")
    kinds = [line.type for line in env.crier.events("container.", container=container)]
    wanted = ["container.created", "container.started", "container.oom", "container.exited"]
    assert sorted(kinds) == sorted(wanted) and kinds.index("container.created") == 0, f"{kinds}"
    belongs(only(env.crier.events("container.oom", container=container), "container.oom"), container)


def test_child_dies_and_init_lives(env: Env) -> None:
    container = env.pod("worker").start("app", "hogchild", "0.5", memory=LIMIT)
    container.wait_log("signal 9")
    oom = env.crier.wait_event("container.oom", container=container)
    belongs(oom, container)
    assert oom.get("process.pid") not in (None, container.pid), f"{oom}"
    assert oom.get("process.role") is None, f"{oom}"
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = env.crier.wait_event("container.exited", container=container)
    same(exited, data__cause="unknown", data__exit_code=0, data__runtime__reason="OOMKilled")
    only(env.crier.events("container.oom", container=container), "container.oom")


def test_every_victim_is_told_once(env: Env) -> None:
    container = env.pod("many").start("app", "hogmulti", "3", memory=LIMIT)
    container.wait_exit()
    env.crier.wait_event("container.exited", container=container)
    died = container.log().count("signal 9")
    victims = [line.get("process.pid") for line in env.crier.events("container.oom", container=container)]
    assert died == len(victims) == len(set(victims)), f"{died} processes died, told are {victims}"


def test_group_kill(env: Env) -> None:
    if cgroups.memory_hierarchy().version != 2:
        raise Skip("memory.oom.group is of cgroup v2, and the memory controller is on v1 here")
    container = env.pod("group").start("app", "hogmulti", "3", memory=LIMIT, unified={"memory.oom.group": "1"})
    container.wait_exit()
    same(env.crier.wait_event("container.exited", container=container), data__cause="oom")
    told = env.crier.events("container.oom", container=container)
    victims = {line.get("process.pid") for line in told}
    assert len(victims) == len(told) == 4, f"init and 3 children die together, told are {victims}"
    assert len({line.get("correlation.incident_id") for line in told}) == 1


def test_pod_limit(env: Env) -> None:
    pod = env.pod("limited", memory=LIMIT)
    container = pod.start("app", "hog", "0.3")
    container.wait_exit()
    oom = check_kill(env.crier, container)
    check_limit(oom, data__limit__level="pod", data__limit__cgroup__path=pod.cgroup)


def test_nested_cgroup(env: Env) -> None:
    container = env.pod("nested").start("app", "onusr1", "hog", memory=LIMIT)
    nested = f"{container.cgroup}/inner"
    cgroups.make(nested)
    for hierarchy in cgroups.hierarchies():
        (hierarchy.path(nested) / "cgroup.procs").write_text(str(container.pid), encoding="ascii")
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    oom = check_kill(env.crier, container)
    same(oom, attribution__via="ancestor", cgroup__path=nested)
    check_limit(oom, data__limit__level="container")


def test_victim_in_no_container(env: Env) -> None:
    hierarchy = cgroups.memory_hierarchy()
    group = f"/crier-test-{os.getpid()}"
    cgroups.make(group, only=hierarchy)
    cgroups.set_memory_limit(hierarchy, group, 32 * MIB)
    victim = subprocess.Popen([image.build_trigger(), "onusr1", "hog"])
    try:
        (hierarchy.path(group) / "cgroup.procs").write_text(str(victim.pid), encoding="ascii")
        proc.wait_expects(victim.pid, signal.SIGUSR1)
        victim.send_signal(signal.SIGUSR1)
        assert victim.wait(30) == -signal.SIGKILL
        oom = env.crier.wait_event("node.oom", where=lambda line: line.get("process.pid") == victim.pid)
        same(oom, data__scope="memcg", attribution__status="host")
        check_limit(oom, data__limit__bytes=32 * MIB)
        assert not [line for line in env.crier.events("container.oom") if line.get("process.pid") == victim.pid]
    finally:
        victim.kill()
        victim.wait()
        cgroups.remove(group)


def test_what_ran_before_is_a_snapshot(env: Env) -> None:
    container = env.pod("older").start("app", "onusr1", "hog", memory=LIMIT)
    agent = env.agent("--ebpf", "off")
    belongs(agent.wait_event("container.snapshot", container=container), container)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    check_kill(agent, container)
    assert not agent.events("container.created", container=container)
    assert not agent.events("container.started", container=container)
    env.finish(agent)


def test_without_a_runtime(env: Env) -> None:
    agent = env.agent("--ebpf", "off", cri_socket="none")
    container = env.pod("lonely").start("app", "onusr1", "hog", memory=LIMIT)
    created = agent.wait_event("container.created", container=container)
    same(created, k8s__pod__name="lonely", attribution__source="oci_bundle")
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    oom = agent.wait_event("container.oom", container=container)
    same(oom, process__pid=container.pid, process__role="init", k8s__pod__name="lonely")
    exited = agent.wait_event("container.exited", container=container)
    same(exited, data__cause="oom", data__exit_code=None, data__runtime=None)
    agent.wait_event("container.removed", container=container)
    env.finish(agent)


def test_a_storm_is_told_whole(env: Env) -> None:
    """The kernel's log leaves reports out after the tenth within 5 s: the victims are told all the same, and rightly."""
    pods = [env.pod(f"storm{i}") for i in range(2)]
    died: dict[str, int] = {}
    for turn in range(9):
        for pod in pods:
            container = pod.start(f"app{turn}", "hog", memory=LIMIT)
            container.wait_exit()
            died[container.id] = container.pid
            env.crier.wait_event("container.exited", container=container)
    for container_id in died:
        told = [line for line in env.crier.events("container.oom") if line.get("container.id") == container_id]
        same(only(told, "container.oom of each container"), attribution__status="full")


# Less of what crier usually has, one thing at a time.

KERNEL_RIGHTS = "cap_bpf,cap_perfmon,cap_sys_admin"


def without(capabilities: str) -> list[str]:
    return ["capsh", f"--drop={capabilities}", "--shell=/usr/bin/env", "--"]


def limited(env: Env, under: list[str], *flags: str) -> Crier:
    agent = Crier(env.folder("limited"), *node_flags(env.node), *flags, under=under)
    env.adopt(agent)
    agent.wait_ready()
    return agent


def kill_one(env: Env, agent: Crier, name: str) -> tuple[Container, Line]:
    container = env.pod(name).start("app", "onusr1", "hog", memory=LIMIT)
    agent.wait_event("container.started", container=container)
    container.signal(signal.SIGUSR1)
    container.wait_exit()
    exited = agent.wait_event("container.exited", container=container)
    same(exited, data__exit_code=137, data__runtime__reason="OOMKilled")
    oom = only(agent.events("container.oom", container=container), "container.oom")
    belongs(oom, container)
    return container, oom


def test_no_right_to_load_programs(env: Env) -> None:
    agent = limited(env, without(KERNEL_RIGHTS))
    assert any("missing CAP_BPF and CAP_PERFMON" in what for what in missing(agent)), f"{missing(agent)}"
    container, oom = kill_one(env, agent, "unprivileged")
    same(oom, process__pid=container.pid, probe__hook="kmsg:oom")
    env.finish(agent)


def test_required_programs_refuse(env: Env) -> None:
    command = [*without(KERNEL_RIGHTS), str(binary()), "run", "--ebpf", "required", "--cri-socket", "none", "--state-file="]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 2 and b"CAP_BPF" in done.stderr, f"{done.returncode}: {done.stderr!r}"
    assert not done.stdout, f"{done.stdout!r}"


def test_no_right_to_read_the_log(env: Env) -> None:
    """Kills are counted by the cgroup; who they were is absent."""
    if open("/proc/sys/kernel/dmesg_restrict", encoding="ascii").read().strip() != "1":
        raise Skip("kernel.dmesg_restrict is 0: everybody may read the log here")
    agent = limited(env, without(KERNEL_RIGHTS + ",cap_syslog"))
    assert any("counted, not named" in what for what in missing(agent)), f"{missing(agent)}"
    _, oom = kill_one(env, agent, "nameless")
    same(oom, data__kills=1, process=None, data__victim=None)
    env.finish(agent)


def test_other_rights_are_no_condition(env: Env) -> None:
    for name in ("cap_dac_read_search", "cap_sys_ptrace", "cap_syslog", "cap_sys_admin", "cap_dac_override"):
        agent = limited(env, without(name))
        assert hooks(agent)["oom"].endswith(":mark_victim"), f"without {name}: {hooks(agent)}"
        env.finish(agent)


def test_no_type_information(env: Env) -> None:
    """No BTF of the kernel's own: without kernel programs, or with those that take a file."""
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"]
    if not os.path.exists("/sys/kernel/btf/vmlinux"):
        raise Skip("this kernel has no BTF anyway")
    agent = limited(env, hide)
    assert any("/sys/kernel/btf/vmlinux" in what for what in missing(agent)), f"{missing(agent)}"
    container, oom = kill_one(env, agent, "untyped")
    same(oom, process__pid=container.pid)
    env.finish(agent)
    file = env.folder("btf") / "vmlinux"
    file.write_bytes(open("/sys/kernel/btf/vmlinux", "rb").read())
    agent = limited(env, hide, "--btf", str(file))
    assert hooks(agent)["oom"] == "raw_tp:mark_victim", f"{hooks(agent)}"
    assert not any("did not fire" in what for what in missing(agent)), f"{missing(agent)}"
    container, oom = kill_one(env, agent, "typed")
    same(oom, process__pid=container.pid, probe__hook="raw_tp:mark_victim")
    env.finish(agent)


def test_no_bpf_file_system(env: Env) -> None:
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /sys/fs/bpf && exec "$@"', "sh"]
    if not os.path.isdir("/sys/fs/bpf"):
        raise Skip("no /sys/fs/bpf here: every other test shows it")
    agent = limited(env, hide)
    assert hooks(agent)["exec"].endswith("sched_process_exec"), f"{hooks(agent)}"
    env.finish(agent)


def test_own_pid_namespace(env: Env) -> None:
    """Pids of the kernel's records mean nothing in crier's own /proc: it says so, and is not misled."""
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    agent = limited(env, inside)
    assert any("/proc does not show the node" in what for what in missing(agent)), f"{missing(agent)}"
    assert not any("did not fire" in what for what in missing(agent)), f"{missing(agent)}"
    container, oom = kill_one(env, agent, "elsewhere")
    same(oom, process__pid=container.pid)
    agent.check(clean=False)
    agent.kill()


def test_own_cgroup_namespace(env: Env) -> None:
    """With the node's cgroups mounted, a cgroup namespace of its own costs nothing."""
    agent = limited(env, ["unshare", "--cgroup"])
    container, oom = kill_one(env, agent, "namespaced")
    same(oom, process__pid=container.pid)
    env.finish(agent)


def test_what_is_not_needed_is_given_up(env: Env) -> None:
    """Every thread, gRPC's among them, for good."""
    agent = env.agent()
    tasks = list(Path(f"/proc/{agent.process.pid}/task").iterdir())
    assert len(tasks) > 2, f"only {len(tasks)} threads"
    for task in tasks:
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text(encoding="ascii").splitlines())
        held = int(status["CapPrm"], 16)
        # DAC_READ_SEARCH, and BPF on kernels where maps take it
        assert held & ~(1 << 2 | 1 << 39) == 0, f"{task.name}: {held:x}"
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", f"{task.name}: {status}"
    open_agent = env.agent("--no-harden")
    status = Path(f"/proc/{open_agent.process.pid}/status").read_text(encoding="ascii")
    assert "Seccomp:\t0" in status and any("--no-harden" in what for what in missing(open_agent)), f"{missing(open_agent)}"
    for one in (agent, open_agent):
        env.finish(one)


def test_one_event_without_the_kernel(env: Env) -> None:
    """OOM kills by the log, all else by kernel programs: one incident all the same."""
    agent = env.agent("--hook", "oom=user", "--hook", "pressure=user")
    chosen = hooks(agent)
    assert chosen["oom"] == "kmsg:oom" and chosen["exit"].endswith(":sched_process_exit"), f"{chosen}"
    if chosen["pressure"] is None:  # cgroup v1 has no memory.events
        health = agent.wait_event("agent.health", where=lambda line: line.get("data.component") == "kernel")
        same(health, data__state="degraded", data__reason="not seen on this kernel: pressure")
    container, oom = kill_one(env, agent, "mixed")
    same(oom, process__pid=container.pid, probe__hook="kmsg:oom")
    exited = only(agent.events("container.exited", container=container), "container.exited")
    same(exited, data__cause="oom", correlation__incident_id=oom.get("correlation.incident_id"))
    env.finish(agent)
