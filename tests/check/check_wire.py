#!/usr/bin/python3
"""
The structs of wire.h have the same size and offsets on both sides: BTF says how the kernel side sees them, the compiler's
assertions how user space does. The object's BTF holds what its maps are made of; records, which it knows by pointers only,
are compiled for BPF once more by themselves.
"""
from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tree import BUILD, ROOT, code, text, verdict

OBJECT = BUILD / "bpf/crier.bpf.o"
HEADER = "include/crier/wire.h"


def btf_structs(path: Path) -> dict[str, dict[str, Any]]:
    command = ["bpftool", "-j", "btf", "dump", "file", str(path)]
    types = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["types"]
    return {each["name"]: each for each in types if each["kind"] == "STRUCT" and each["name"].startswith("crier_wire_")}


def compiled_for_bpf(names: list[str]) -> dict[str, dict[str, Any]]:
    source = '#include <linux/types.h>\n#include "crier/wire.h"\n' + "".join(f"struct {name} v_{name};\n" for name in names)
    arch = subprocess.run(["cc", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wire.bpf.o"
        command = ["clang", "-target", "bpf", "-mcpu=v2", "-g", "-O2", "-std=gnu17", f"-I{ROOT}/include"]
        command += ["-idirafter", f"/usr/include/{arch}", "-x", "c", "-c", "-", "-o", str(path)]
        subprocess.run(command, input=source.encode(), check=True)
        return btf_structs(path)


def assertions(structs: dict[str, dict[str, Any]]) -> str:
    lines = ["#include <stddef.h>", '#include "crier/wire.h"', "#define SAME(a, b, what) _Static_assert((a) == (b), what)"]
    for name, struct in sorted(structs.items()):
        lines.append(f'SAME(sizeof(struct {name}), {struct["size"]}, "{name}: size");')
        lines += [
            f'SAME(offsetof(struct {name}, {member["name"]}) * 8, {member["bits_offset"]}, "{name}.{member["name"]}: offset");'
            for member in struct["members"]
            if member["name"] != "(anon)"
        ]
    return "\n".join(lines) + "\n"


def differences(structs: dict[str, dict[str, Any]]) -> list[str]:
    command = ["cc", "-x", "c", "-std=gnu17", f"-I{ROOT}/include", "-fsyntax-only", "-"]
    done = subprocess.run(command, input=assertions(structs), capture_output=True, text=True, check=False)
    differ = re.findall(r'static assertion failed: "([^"]+)"', done.stderr)
    if done.returncode != 0 and not differ:
        return [f"{HEADER}: {done.stderr.strip().splitlines()[0]}"]
    return [f"{HEADER}: struct {what} differs between the kernel side and user space" for what in differ]


def main() -> None:
    if not OBJECT.exists():
        verdict([f"{OBJECT}: not there; build first: cmake --preset dev && cmake --build --preset dev"])
    declared = re.findall(r"^struct (crier_wire_\w+) \{", code(text(HEADER)), re.M)
    problems = [] if len(declared) >= 5 else [f"{HEADER}: only {len(declared)} structs were recognised; mend check_wire.py"]
    built, compiled = btf_structs(OBJECT), compiled_for_bpf(declared)
    if not built:
        problems.append(f"{OBJECT}: its BTF has no struct of wire.h")
    problems += [f"{HEADER}: struct {name} is not in the BTF of the kernel side" for name in declared if name not in compiled]
    verdict(problems + differences(built) + differences(compiled))


main()
