"""Kernels that refuse, or that take a program and never run it: crier goes down its list of hooks, tells why, and tells the same
events. Faults are made by guest/faults.c between crier and the kernel, and by the kernel's own switches.
"""
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from boxes import World
from hooks import chosen, hooks_of
from scenarios import Unable
from harness.crier import Crier

LIBRARY = "build/dev/tests/vm/crier_vm_faults.so"
FTRACE = Path("/proc/sys/kernel/ftrace_enabled")
KPROBES = Path("/sys/kernel/debug/kprobes/enabled")
NOT_SUPPORTED = 524  # the kernel's own, which user space has no word for: what arm64 6.1 answers

# What each refusal leads to, on a kernel that has all kinds. Programs' names as in bpf/; the kernel keeps 15 bytes, so that all
# of cgroups share one.
REFUSALS = {
    "crier_tp_exec": "load=22", "crier_tp_fork": f"attach={NOT_SUPPORTED}", "crier_tp_exit": "silent", "crier_tp_signal": "silent",
    "crier_tp_cgroup": "silent", "crier_tp_mark_victim": "load=13",
    "crier_fentry_oom_control": f"attach={NOT_SUPPORTED}",
}  # fmt: skip
LEFT = {
    "exec": "raw_tp:sched_process_exec", "fork": "raw_tp:sched_process_fork", "exit": "raw_tp:sched_process_exit",
    "signal": "raw_tp:signal_generate", "cgroup_mkdir": "raw_tp:cgroup_mkdir", "cgroup_rmdir": "raw_tp:cgroup_rmdir",
    "oom": "raw_tp:mark_victim", "oom_control": "kprobe:oom_kill_process",
}  # fmt: skip


@contextlib.contextmanager
def faults(rules: dict[str, str]) -> Iterator[None]:
    """Criers that start meanwhile meet these faults."""
    os.environ["LD_PRELOAD"] = str(Path(LIBRARY).resolve())
    os.environ["CRIER_BPF_FAULTS"] = ",".join(f"{program}:{fault}" for program, fault in rules.items())
    try:
        yield
    finally:
        del os.environ["LD_PRELOAD"], os.environ["CRIER_BPF_FAULTS"]


@contextlib.contextmanager
def switched_off(switch: Path) -> Iterator[None]:
    try:
        switch.write_text("0\n", encoding="ascii")
    except OSError as error:
        raise Unable(f"{switch} cannot be set to 0: {error.strerror}") from None
    try:
        yield
    finally:
        switch.write_text("1\n", encoding="ascii")


def refused(world: World, show: Callable[[Crier], None]) -> None:
    """Each refusal of REFUSALS is met by the next hook of the list, and told."""
    with faults(REFUSALS):
        agent = world.crier()
    with agent:
        served, told = hooks_of(agent), chosen(agent)
        for event, hook in LEFT.items():
            assert served[event] == hook, f"{event} is served by {served[event]!r}, not by {hook}: {told[event]}"
        for event, words in (("exec", "load refused"), ("fork", "attach refused"), ("exit", "did not fire for an own child")):
            assert words in told[event].get("refused", ""), f"{event}: agent.start says {told[event]}"
        show(agent)


def no_calls(world: World, show: Callable[[Crier], None]) -> None:
    """A kernel whose JIT is off takes no program that calls its functions: the same hooks serve without."""
    with faults({"*calls*": f"load={NOT_SUPPORTED}"}):
        agent = world.crier()
    with agent:
        served = hooks_of(agent)
        for event in ("exec", "fork", "exit", "signal", "pressure"):
            assert served[event].startswith("tp_btf:"), f"{event} is served by {served[event]!r}: {chosen(agent)[event]}"
        show(agent)


def all_silent(world: World, _show: Callable[[Crier], None]) -> None:
    """No hook of an event fires: it is told as degraded, and crier goes on."""
    with faults({"crier_tp_exit": "silent", "crier_raw_exit": "silent"}):
        agent = world.crier()
    with agent:
        degraded = [row["what"] for row in agent.events("agent.start")[0].get("data.degraded", [])]
        assert any("exit" in what and "did not fire" in what for what in degraded), f"{degraded}"


def _oom_without_functions(world: World, show: Callable[[Crier], None], words: str, *flags: str) -> None:
    with world.crier(*flags) as agent:
        told = chosen(agent)["oom_control"].get("refused", "")
        assert words in told, f"oom_control: refused is {told!r}, without '{words}'"
        show(agent)


def ftrace_off(world: World, show: Callable[[Crier], None]) -> None:
    """kernel.ftrace_enabled=0: function hooks attach and never fire, so they are not chosen."""
    if os.uname().machine != "x86_64":
        raise Unable("kprobes do not depend on ftrace here")
    with switched_off(FTRACE):
        _oom_without_functions(world, show, "kernel.ftrace_enabled is 0")


def kprobes_off(world: World, show: Callable[[Crier], None]) -> None:
    """kprobes/enabled=0: the same of kprobes alone."""
    with switched_off(KPROBES):
        _oom_without_functions(world, show, "kprobes/enabled is 0", "--hook", "oom_control=kprobe")
