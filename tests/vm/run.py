#!/usr/bin/python3
"""The vm suite: crier on every kernel of the matrix, in guests under qemu's own emulation, from Debian packages alone.

tests/run.sh vm [-k NAME]...   builds first; NAME is a row's, or part of the names of several
tests/vm/run.py --list         the rows and guests

One line for each check on stdout; the matrix and build/reports/vm.json at the end. What each guest said is kept in
build/vm/ROW-GUEST/. Downloads and unpacked kernels are kept in build/vm-cache (or $CRIER_VM_CACHE).
"""
from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import threading
import time
import traceback
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from host import cross, page, plans, programs, roots  # noqa: E402
from host.debian import NotOffered, say  # noqa: E402
from host.guest import Contents, Guest, Result  # noqa: E402
from host.kernels import Kernel, resolve  # noqa: E402
from host.report import KernelResult, Report  # noqa: E402
from harness import cleanup, lines as rules  # noqa: E402
from harness.crier import schema  # noqa: E402

ROOT = programs.ROOT
CACHE = Path(os.environ.get("CRIER_VM_CACHE", ROOT / "build" / "vm-cache"))
# The guests' clock is the host's, and a guest is some twenty times slower than the machine.
PATIENCE = "6"


class Suite:
    """One run: what was asked for, what came of it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.report = Report(ROOT / "build" / "reports" / "vm.json")
        self._prepare = threading.Lock()  # apt and unpacking: one at a time
        self._builds: dict[str, Future[programs.Build]] = {}

    def _build(self, arch: str) -> programs.Build:
        if arch == "amd64":
            return programs.native()
        with self._prepare:
            sysroot = cross.sysroot_of(CACHE)
        threads = max((os.cpu_count() or 1) // self.options.jobs, 1)
        return cross.build(sysroot, ["crier_bpf_test"] if "bpf" in self.parts() else [], threads)

    def parts(self) -> list[str]:
        """Those asked for, without what is wanted of them."""
        return [part.partition(":")[0] for part in self.options.parts.split()]

    def begin_builds(self, archs: set[str], pool: ThreadPoolExecutor) -> None:
        """What a minute is needed for is built beside the first guest, in the place of another: one more process slows all of them."""
        self._builds = {arch: pool.submit(self._build, arch) for arch in sorted(archs)}

    def contents(self, plan: plans.Plan, arch: str) -> Contents:
        build = self._builds[arch].result()
        with self._prepare:
            trees = roots.trees(CACHE, arch, [*plans.BASE, *plan.packages], plan.runtime)
            return Contents(trees, build.files(trees), list(plan.modules), plan.memory_mib)

    def run_guest(self, kernel: Kernel, plan: plans.Plan, result: KernelResult) -> None:
        """Boots one guest and takes in what it says; whatever goes wrong is a failure of the guest's own row."""
        name = f"{kernel.row.name}-{plan.name}"
        folder = ROOT / "build" / "vm" / name
        try:
            golden = "CRIER_GOLDEN_UPDATE=1 " if self.options.golden else ""
            command = f"env {golden}CRIER_TEST_PATIENCE={PATIENCE} python3 -B tests/vm/guest/main.py {self.options.parts or plan.parts}"
            contents = self.contents(plan, kernel.row.arch)
            guest = Guest(kernel, contents, folder, command, plan.cgroups, plan.append)
            heard = Heard(self, result, plan, folder)
            outcome = guest.run(plan.timeout_s, heard.take)
            heard.judge(outcome)
            say(f"{name}: {outcome.total_s:.0f} s, {outcome.cpu_s:.0f} s of a CPU")
            if not self.options.parts:
                result.guests[plan.name] = outcome.cpu_s
        except NotOffered as why:
            self.report.tell(result, f"{plan.prefix}offered", "unable", str(why))
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            self.report.tell(result, f"{plan.prefix}guest", "fail", f"{type(error).__name__}: {error}")

    def resolve(self, plan: plans.KernelPlan) -> tuple[Kernel, KernelResult] | None:
        """The row's kernel, or its verdict: not offered any more is no failure, everything else is."""
        row = plan.row
        try:
            with self._prepare:
                kernel = resolve(row, CACHE)
        except NotOffered as why:
            result = self.report.kernel(row.name, row.arch, "", False)
            self.report.tell(result, "offered", "unable", str(why))
            return None
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            result = self.report.kernel(row.name, row.arch, "", False)
            self.report.tell(result, "offered", "fail", f"{type(error).__name__}: {error}")
            return None
        say(f"{row.name} is {kernel.release} ({kernel.version})")
        return kernel, self.report.kernel(row.name, row.arch, kernel.release, True)

    def run(self) -> bool:
        start = time.monotonic()
        jobs = []
        for plan in chosen(self.options.kernel):
            if (found := self.resolve(plan)) is None:
                continue
            guests = [each for each in plan.guests if not self.options.guest or each.name in self.options.guest]
            jobs += [(found[0], guest, found[1]) for guest in guests]
        # The longest first: none of them is left to run alone at the end.
        jobs.sort(key=lambda job: (job[1].runtime is None, job[0].row.arch == "amd64", job[1].cgroups != "v2"))
        with ThreadPoolExecutor(self.options.jobs) as pool:
            self.begin_builds({job[0].row.arch for job in jobs}, pool)  # before any guest, which may wait for them
            try:
                list(pool.map(lambda job: self.run_guest(*job), jobs))
            except BaseException:
                Guest.end_all()
                pool.shutdown(cancel_futures=True)
                raise
        if self.options.merge:
            self.report.take_over({row.row.name: {guest.name: guest.prefix for guest in row.guests} for row in plans.plans()})
        self.report.save()
        print(self.report.matrix(), file=sys.stderr)
        guests = sum(seconds for kernel in self.report.kernels for seconds in kernel.guests.values())
        say(f"{len(jobs)} guests, {guests:.0f} s of a CPU, in {time.monotonic() - start:.0f} s; {ROOT / 'build/reports/vm.json'}")
        good = bool(jobs) and not self.report.failed
        if self.options.accept and good:
            good = self.accept()
        return good

    def accept(self) -> bool:
        """docs/kernels.md, if nothing is missing."""
        ran = {kernel.name: kernel for kernel in self.report.kernels}
        missing = [
            f"{row.row.name}-{guest.name}" for row in plans.plans() for guest in row.guests
            if row.row.name not in ran or ran[row.row.name].available and guest.name not in ran[row.row.name].guests
        ]  # fmt: skip
        if missing:
            say(f"not accepted: no result of {', '.join(missing)}")
            return False
        page.write(self.report, ROOT / "docs" / "kernels.md")
        say("accepted: docs/kernels.md")
        return True


def chosen(names: list[str]) -> list[plans.KernelPlan]:
    """The rows of these names; a name that is none is a part of some."""
    rows = plans.plans()
    if not names:
        return rows
    exact = {row.row.name for row in rows} & set(names)
    parts = [name for name in names if name not in exact]
    return [row for row in rows if row.row.name in exact or any(part in row.row.name for part in parts)]


class Heard:
    """What one guest says, line by line."""

    def __init__(self, suite: Suite, result: KernelResult, plan: plans.Plan, folder: Path) -> None:
        self._suite, self._result, self._plan, self._folder = suite, result, plan, folder
        self._streams: dict[str, list[str]] = {}
        self._count = 0

    def take(self, lines: list[str]) -> None:
        for line in lines:
            match = re.match(r"@@(pass|fail|unable|data|lines|golden) (\S+?)(?:: | |$)(.*)", line)
            if not match:
                continue
            kind, name, rest = match.groups()
            if kind == "data":
                self._result.programs.update(json.loads(rest))
            elif kind == "lines":
                self._streams.setdefault(name, []).append(rest)
            elif kind == "golden":
                _write_golden(name, rest)
            else:
                self._count += 1
                self._suite.report.tell(self._result, self._plan.prefix + name, kind, rest)

    def judge(self, outcome: Result) -> None:
        """The guest's own end, and every line that its criers wrote."""
        tell, prefix = self._suite.report.tell, self._plan.prefix
        if outcome.status != 0 or not self._count:
            how = "was too slow" if outcome.timed_out else f"ended with {outcome.status}"
            last = " | ".join(line.strip() for line in outcome.console[-6:])
            tell(self._result, f"{prefix}guest", "fail", f"{how}; its console ends: {last}")
        if not self._streams:
            return
        try:
            for name, parts in self._streams.items():
                self._judge_lines(name, zlib.decompress(base64.b64decode("".join(parts))))
            tell(self._result, f"{prefix}schema", "pass")
        except Exception as error:  # pylint: disable=broad-except
            tell(self._result, f"{prefix}schema", "fail", f"{type(error).__name__}: {error}")

    def _judge_lines(self, name: str, raw: bytes) -> None:
        path = self._folder / f"{name}.ndjson"
        path.write_bytes(raw)
        parsed = [rules.parse(line) for line in raw.splitlines()]
        for line in parsed:
            rules.check_line(line)
            schema().check(line)
        rules.check_sequence(parsed)
        rules.check_jq(path, parsed)


def _write_golden(name: str, text: str) -> None:
    folder = HERE / "golden"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(json.loads(text), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-k", "--kernel", action="append", default=[], help="only this row, or these if it is part of their names; may be repeated")
    parser.add_argument("-g", "--guest", action="append", default=[], help="only guests of this name; may be repeated")
    parser.add_argument("-p", "--parts", default="", help="only these parts of guest/main.py, as in 'lacking:types scenarios:oom_pod'")
    parser.add_argument("-j", "--jobs", type=int, default=min(2, os.cpu_count() or 1), help="guests at a time")
    parser.add_argument("--golden", action="store_true", help="write tests/vm/golden/ from what is told (choose one row and guest)")
    parser.add_argument("--accept", action="store_true", help="write docs/kernels.md, if there is a result of every guest and none failed")
    parser.add_argument("--merge", action="store_true", help="keep what build/reports/vm.json holds of guests that are not run now")
    parser.add_argument("--list", action="store_true", help="print the rows and their guests")
    options = parser.parse_args()
    if options.accept and (options.parts or options.golden):
        parser.error("--accept wants whole guests: no -p, no --golden")
    return options


def main() -> int:
    cleanup.exit_on_signals()
    options = arguments()
    if options.list:
        for plan in plans.plans():
            print(f"{plan.row.name:14} {plan.row.arch}  {' '.join(guest.name for guest in plan.guests)}")
        return 0
    return 0 if Suite(options).run() else 1


if __name__ == "__main__":
    sys.exit(main())
