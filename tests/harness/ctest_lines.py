"""ctest's JUnit report as the lines that tests/run.sh counts: ctest_lines.py REPORT PREFIX

A cmocka program run with CMOCKA_MESSAGE_OUTPUT=TAP names its own cases; they count one by one. Any other program
counts as one test.
"""
from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

OK = re.compile(r"^ok \d+ - (.+)$")
NOT_OK = re.compile(r"^not ok \d+ - (.+)$")
SKIPPED = re.compile(r"^(?:not )?ok \d+ # SKIP (.+)$")


def tap_lines(name: str, output: str) -> list[str]:
    """The cases of a cmocka program; cmocka tells the reason of a failure before its verdict."""
    lines, reason = [], ""
    for line in output.splitlines():
        if found := OK.match(line):
            lines.append(f"ok {name}/{found.group(1)}")
        elif found := NOT_OK.match(line):
            lines.append(f"not ok {name}/{found.group(1)}: {reason or 'see its output'}")
        elif found := SKIPPED.match(line):
            lines.append(f"skip {name}/{found.group(1)}: skipped by the test itself")
        else:
            reason = line.removeprefix("ERROR: ") if line.startswith("ERROR: ") else reason
            continue
        reason = ""
    return lines


def case_lines(case: ET.Element, prefix: str) -> list[str]:
    name = f"{prefix}/{case.get('name')}"
    status, output = case.get("status", ""), case.findtext("system-out") or ""
    skipped = case.find("skipped")
    if skipped is not None or status in ("notrun", "disabled"):
        why = skipped.get("message") if skipped is not None else ""
        return [f"skip {name}: {why or 'ctest did not run it'}"]
    lines = tap_lines(name, output)
    if status == "fail":
        print(output[-8000:], file=sys.stderr)
        # A program that crashes or that a sanitizer ends fails though each case before passed.
        if not any(line.startswith("not ok") for line in lines):
            failure = case.find("failure")
            why = " ".join((failure.get("message") or "").split()) if failure is not None else ""
            lines.append(f"not ok {name}: {why or 'the program ended with a failure'}")
    return lines or [f"ok {name}"]


def main() -> int:
    report, prefix = Path(sys.argv[1]), sys.argv[2]
    if not report.exists():
        print(f"not ok {prefix}: ctest wrote no report {report}")
        return 1
    cases = list(ET.parse(report).getroot().iter("testcase"))
    for case in cases:
        print("\n".join(case_lines(case, prefix)))
    if not cases:
        print(f"not ok {prefix}: ctest has no test of this label")
    return 0


if __name__ == "__main__":
    sys.exit(main())
