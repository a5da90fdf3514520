#!/usr/bin/python3
"""Every Python file compiles and imports nothing in vain."""
from __future__ import annotations

import ast

from tree import ROOT, files, text, verdict


def unused_imports(path: str, module: ast.Module) -> list[str]:
    imported = {
        (alias.asname or alias.name).split(".")[0]: node.lineno
        for node in ast.walk(module)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and getattr(node, "module", "") != "__future__"
        for alias in node.names
    }
    used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    # Annotations may be text, and __all__ names what is handed on.
    texts = " ".join(n.value for n in ast.walk(module) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return [
        f"{path}:{line}: imports {name} and does not use it"
        for name, line in imported.items()
        if name not in used and name not in texts
    ]


def problems_of(path: str) -> list[str]:
    try:
        # compile() and not py_compile: nothing is written beside the sources.
        module = compile(text(path), path, "exec", flags=ast.PyCF_ONLY_AST)
        compile(module, path, "exec")
    except (SyntaxError, UnicodeDecodeError) as error:
        return [f"{path}:{getattr(error, 'lineno', 1)}: {error}"]
    return unused_imports(path, module)


def is_python(path: str) -> bool:
    return path.endswith(".py") or (ROOT / path).read_bytes()[:64].split(b"\n")[0].endswith(b"python3")


verdict([problem for path in files("*") if is_python(path) for problem in problems_of(path)])
