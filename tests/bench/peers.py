"""Who else tells of exec and exit, where Debian packages it: the same load, the same run, neither knows a container."""
from __future__ import annotations

import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from rig import Agent, Broken, Settings, load

# What ends them so that they tell what is in their buffers.
STOP = signal.SIGINT
BPFTRACE = (
    'tracepoint:sched:sched_process_exec { printf("{\\"type\\":\\"exec\\",\\"ts\\":%llu,\\"pid\\":%d,\\"comm\\":\\"%s\\",\\"file\\":\\"%s\\"}\\n",'
    " nsecs, pid, comm, str(args->filename)); }"
    ' tracepoint:sched:sched_process_exit { printf("{\\"type\\":\\"exit\\",\\"ts\\":%llu,\\"pid\\":%d,\\"comm\\":\\"%s\\"}\\n", nsecs, pid, comm); }'
)
# Peers look for tracepoints in tracefs, crier does not: where nobody has mounted it, they have it to themselves.
TRACEFS, DEBUGFS = Path("/sys/kernel/tracing"), Path("/sys/kernel/debug")


def with_tracefs(command: list[str]) -> list[str]:
    """The command in a mount namespace of its own with tracefs, if this one has none."""
    if (DEBUGFS / "tracing" / "events").is_dir():
        return command
    mounts = f"mount -t tracefs none {TRACEFS}; mount -t debugfs none {DEBUGFS}"
    return ["unshare", "--mount", "sh", "-c", f'{mounts}; exec "$@"', "sh", *command]


@dataclass
class Peer:
    """A command line whose every line is an event."""

    name: str
    command: list[str]
    line_by_line: list[str]  # the same without a buffer
    heading: int  # lines before the first event

    def start(self, settings: Settings, **options: int) -> Agent:
        """Running and telling: it says nothing by itself, and what it says may wait in a buffer, so something happens."""
        agent = Agent(settings.programs, with_tracefs(self.command), ready="", plain=self.heading, stop_signal=STOP, **options)
        agent.name = self.name
        deadline = time.monotonic() + 20
        while "line" not in agent.firsts:
            if time.monotonic() > deadline or not agent.running():
                agent.kill()
                raise Broken(f"bench: {self.name} tells nothing: {agent.diagnostics()}")
            load(settings.programs, "storm", 100, 2)
        return agent


def found(settings: Settings) -> list[Peer]:
    """Those that are installed; the others are noted."""
    peers = []
    if path := shutil.which("bpftrace"):
        peers.append(Peer("bpftrace", [path, "-q", "-B", "full", "-e", BPFTRACE], [path, "-q", "-B", "line", "-e", BPFTRACE], 0))
    else:
        settings.note("bpftrace is not installed: no row beside it (package bpftrace)")
    for name in ("execsnoop", "exitsnoop"):
        # bpfcc-tools has programs of these names too, with the suffix -bpfcc.
        if path := shutil.which(name, path="/usr/sbin:/sbin:/usr/bin"):
            peers.append(Peer(name, [path], ["stdbuf", "-oL", path], 1))
        else:
            settings.note(f"{name} is not installed: no row beside it (package libbpf-tools)")
    return peers
