"""Sets of forced hooks: each kind of each event's list."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.crier import Crier
from scenarios import ROWS, Unable

TRACEPOINTS = ["cgroup_mkdir", "cgroup_rmdir", "cgroup_populated", "exec", "fork", "exit", "signal", "oom", "pressure"]
# One scenario or more for each event's hook.
SHOW = ["children", "core", "signal_inside", "stop_escalated", "leader_first", "oom_container", "oom_pod", "oom_child", "pressure"]
KILLS = ["oom_container", "oom_pod", "oom_group", "oom_child", "oom_thread", "oom_lowered"]


@dataclass(frozen=True)
class HookSet:
    """One way to run crier. `forced`: event -> kind."""

    name: str
    forced: dict[str, str]
    scenarios: list[str]

    def flags(self) -> list[str]:
        return [word for event, kind in self.forced.items() for word in ("--hook", f"{event}={kind}")]

    def events_of(self, scenario: str) -> set[str]:
        """The forced events that the scenario cannot do without."""
        return set(self.forced) & ({"oom", "oom_control"} if scenario.startswith("oom") else set(TRACEPOINTS) - {"oom"})

    def needless(self, agent: Crier) -> bool:
        """It forces what this kernel does without."""
        return OPTIONAL in self.forced and OPTIONAL not in chosen(agent)

    def check_chosen(self, agent: Crier) -> None:
        """agent.start says the forced kind serves, or why it cannot."""
        hooks = chosen(agent)
        for event, kind in self.forced.items():
            told = hooks.get(event, {})
            name = told.get("chosen") or ""
            assert name.startswith(f"{kind}:") or told.get("refused"), f"--hook {event}={kind}: agent.start says {told}"
        if refused := refused_kinds(agent, self):
            raise Unable("; ".join(f"{event}: {why}" for event, why in refused.items()))


def chosen(agent: Crier) -> dict[str, dict[str, str]]:
    start: Iterable[dict[str, str]] = agent.events("agent.start")[0].get("data.hooks", [])
    return {row["event"]: row for row in start}


def refused_kinds(agent: Crier, hooks: HookSet) -> dict[str, str]:
    """Forced events that no hook serves, with the reason that agent.start gives."""
    told = chosen(agent)
    result = {}
    for event, kind in hooks.forced.items():
        row = told.get(event, {})
        if not row.get("chosen"):
            reasons = [part for part in row.get("refused", "").split("; ") if part.startswith(f"{kind}:")]
            result[event] = "; ".join(reasons) or "no reason was given"
    return result


def hooks_of(agent: Crier) -> dict[str, str]:
    """Event -> the hook that serves it, as agent.start says."""
    return {event: row.get("chosen", "") for event, row in chosen(agent).items()}


DEFAULT = HookSet("default", {}, [row.name for row in ROWS])
SETS = [
    HookSet("raw_tp", {event: "raw_tp" for event in TRACEPOINTS} | {"oom_control": "kprobe"}, SHOW),
    HookSet("fentry", {"oom": "fentry", "oom_control": "fentry"}, KILLS),
    HookSet("kprobe", {"oom": "kprobe", "oom_control": "kprobe"}, KILLS),
    HookSet("victim", {"oom": "tp_btf", "oom_victim": "kprobe"}, KILLS[:3]),
]
# Of use where mark_victim tells no more than a pid.
OPTIONAL = "oom_victim"
