#!/usr/bin/python3
"""
prove.py [CHECK...] : shows that each check can fail. In a copy of the tree one thing is broken for it, and the check must
tell of that very thing, which it did not before. Not part of the suite: run it when a check was changed.
CRIER_BUILD names the build whose objects are looked at.
"""
from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tree import BUILD, ROOT, files

# check, file, text to be replaced ("" = add at the end, None = all), its replacement, what the check must say
BREAKS = (
    ("format", "src/cgroup/path.c", "", "int  crier_x ;\n", "src/cgroup/path.c:"),
    ("tidy", "src/decode.c", "", "int crier_x(int *p);\nint crier_x(int *p)\n{\n\tp = 0;\n\treturn *p;\n}\n", "NullDereference"),
    ("cppcheck", "src/decode.c", "", "int crier_x(void)\n{\n\tint a[2];\n\n\treturn a[2];\n}\n", "arrayIndexOutOfBounds"),
    ("codespell", "docs/architecture.md", "", "\nReci" + "eve it.\n", "Reci" + "eve"),
    ("shell", "tests/run.sh", "", "echo $unquoted\n", "SC2086"),
    ("python", "tests/harness/proc.py", "", "import wave\n", "imports wave"),
    ("python", "tests/harness/proc.py", "", "def broken(:\n", "proc.py:"),
    ("headers", "include/crier/hold.h", "#define CRIER_HOLD_H", "#define CRIER_HOLD_H\nstruct x { size_q n; };", "hold.h"),
    ("docstrings", "include/crier/hold.h", "#endif", "\nint crier_hold_bare(int a);\n#endif", "crier_hold_bare"),
    ("boundaries", "src/decode.c", "", "#include <bpf/libbpf.h>\n", "includes bpf/libbpf.h"),
    ("boundaries", "src/pipeline/life.c", "", "#include <grpc/grpc.h>\n", "includes grpc/grpc.h"),
    ("boundaries", "src/emit.c", "", "#include <jansson.h>\n", "src/emit.c:"),
    ("boundaries", "src/decode.c", "", '#include "crier/agent.h"\n', "lies above it"),
    ("boundaries", "src/base/str.c", "", '#include "crier/event.h"\n', "lies above it"),
    ("boundaries", "src/sink/sink.c", "", '#include "crier/wire.h"\n', "src/sink/* may use"),
    ("boundaries", "src/hold.c", "", '#include "probe/internal.h"\n', 'includes "probe/internal.h"'),
    ("boundaries", "include/crier/field.h", '#include "crier/meta.h"', '#include "crier/event.h"', "include each other"),
    ("pure", "src/decode.c", "", "#include <time.h>\ntime_t crier_x(void)\n{\n\treturn time(0);\n}\n", "src/decode.c: uses time"),
    ("pure", "src/decode.c", "", "int crier_x;\n", "src/decode.c: keeps crier_x"),
    ("sizes", "src/decode.c", "", "\n" * 600, "src/decode.c: "),
    ("sizes", "src/decode.c", "", "void crier_x(void)\n{\n" + "\t;\n" * 101 + "}\n", "crier_x has 101 lines"),
    ("stdout", "src/decode.c", "", 'void crier_x(void)\n{\n\tputs("x");\n}\n', "puts"),
    ("types", "src/event.c", "\t[CRIER_TYPE_NONE] =", '\t[CRIER_TYPE_X] = TYPE("container.invented", INFO),\n\t[CRIER_TYPE_NONE] =', "container.invented"),
    ("wire", "include/crier/wire.h", "struct crier_wire_text {", "struct crier_wire_text {\n#ifdef __bpf__\n\t__u64 x;\n#endif", "differs"),
    ("cri_calls", "build/dev/crier", "RuntimeService/ListContainers", "RuntimeService/StopContainers", "StopContainers: is not"),
    ("cri_calls", "build/dev/crier", "RuntimeService/", "RuntimeServant/", "wrong thing"),
    ("schema", "build/dev/crier", None, "#!/bin/sh\necho '{\"type\": 5}'\n", "is no JSON Schema"),
    ("schema", "deploy/crier.yaml", "", "no-such-option: 1\n", "deploy/crier.yaml: crier config --check"),
    ("schema", "docs/events.md", "| `attribution.status` |", "| `attribution.state` |", "docs/events.md: "),
    ("schema", "docs/options.md", "hold-age", "hold-time", "docs/options.md: "),
    ("links", "README.md", "", "\n[x](docs/no-such-page.md)\n", "no-such-page"),
    ("links", "README.md", "", "\n[x](docs/kubernetes.md#no-such-heading)\n", "no such heading"),
    ("deploy", "deploy/daemonset.yaml", "- PERFMON", "- SYS_ADMIN", "capabilities.add"),
    ("deploy", "deploy/daemonset.yaml", "kind: NetworkPolicy", "kind: ClusterRoleBinding", "the set of kinds"),
    ("deploy", "deploy/daemonset.yaml", "- run\n", "- run\n            - --no-such-option=1\n", "--no-such-option"),
    ("deploy", "deploy/daemonset.yaml", "spec:\n", "spec: [\n", "deploy/daemonset.yaml: "),
    ("deploy", "deploy/fluent-bit/crier.conf", "Rotate_Wait               30", "", "Rotate_Wait 30"),
    ("words", "src/decode.c", "", "/* TO" + "DO */\n", "do it"),
    ("words", "src/decode.c", "", "/* /wo" + "rk/main */\n", "a path of the machine"),
    ("words", "docs/architecture.md", "", "\n- In this ses" + "sion it was tried.\n", "how the work was organised"),
    ("words", "scratch", "", "x\n", "no place in the root"),
)  # fmt: skip


def copy_tree(target: Path) -> None:
    for path in files("*"):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, target / path)
    # A build of the copy: its commands compile the copy's sources, its products are those of the real build.
    build = target / "build/dev"
    build.mkdir(parents=True)
    commands = (BUILD / "compile_commands.json").read_text(encoding="utf-8")
    commands = commands.replace(f"{BUILD}/", "@build@/").replace(f"{ROOT}/", f"{target}/").replace("@build@/", f"{BUILD}/")
    (build / "compile_commands.json").write_text(commands, encoding="utf-8")
    for name in ("bpf", "crier"):
        (build / name).symlink_to(BUILD / name)


def compile_again(target: Path, path: str) -> None:
    """check_pure looks at objects: compile what was broken into the copy."""
    commands = target / "build/dev/compile_commands.json"
    entries = json.loads(commands.read_text(encoding="utf-8"))
    for entry in entries:
        words = shlex.split(entry["command"])
        if entry["file"] == str(target / path):
            words[words.index("-o") + 1] = str(target / "build/broken.o")
            entry["command"] = shlex.join(words)
            subprocess.run([*words, "-Wno-error"], cwd=entry["directory"], check=True, capture_output=True)
    commands.write_text(json.dumps(entries), encoding="utf-8")


def run(target: Path, check: str, path: str) -> str:
    script = next((target / "tests/check").glob(f"check_{check}.*"))
    words = [str(script)]
    if check == "tidy":
        words.append(f"^{target}/{path}$")
    environment = {**os.environ, "CRIER_BUILD": str(target / "build/dev"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    return done.stdout + done.stderr if done.returncode else ""


def broken(source: bytes, old: str | None, new: bytes) -> bytes:
    if old is None:
        return new
    # All of them: a text may stand twice in a program.
    return source.replace(old.encode(), new) if old else source + new


def prove(row: tuple[str, str, str | None, str, str]) -> str | None:
    check, path, old, new, expected = row
    with tempfile.TemporaryDirectory(prefix="crier-prove-") as folder:
        target = Path(folder)
        copy_tree(target)
        if expected in run(target, check, path):
            return "is told already, without being broken"
        file = target / path
        source = file.read_bytes() if file.exists() else b""
        if old and old.encode() not in source:
            return f"'{old}' is not in {path} any more: mend this row"
        mode = file.stat().st_mode if file.exists() else 0o644
        file.unlink(missing_ok=True)  # the program is a link into the real build
        file.write_bytes(broken(source, old, new.encode()))
        file.chmod(mode)
        if check == "pure":
            compile_again(target, path)
        said = run(target, check, path)
        return None if expected in said else f"did not tell of it, but: {said[:300] or 'nothing'}"


def main() -> None:
    failed = 0
    for row in BREAKS:
        if sys.argv[1:] and row[0] not in sys.argv[1:]:
            continue
        problem = prove(row)
        failed += problem is not None
        print(f"{'not ok' if problem else 'ok'} prove/{row[0]} {row[1]} ({row[4]}){': ' + problem if problem else ''}", flush=True)
    sys.exit(1 if failed else 0)


main()
