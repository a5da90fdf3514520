"""Validation of lines against the schema that crier prints.

python3-jsonschema takes milliseconds for a line, and storms have tens of thousands. So the schema is compiled to
closures once, every line goes through these, and the first line of each shape goes through jsonschema too: the two
must agree. A keyword that the compiler does not know makes jsonschema judge every line.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jsonschema

from harness.lines import BadLine, Line

Check = Callable[[Any], "str | None"]

ANNOTATIONS = {
    "$schema", "$id", "$defs", "$comment", "$anchor", "title", "description", "examples", "default", "deprecated",
    "readOnly", "format",
}  # fmt: skip
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool) or isinstance(v, float) and v.is_integer(),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}
LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("number", lambda v, n: v >= n),
    "maximum": ("number", lambda v, n: v <= n),
    "minLength": ("string", lambda v, n: len(v) >= n),
    "maxLength": ("string", lambda v, n: len(v) <= n),
    "minItems": ("array", lambda v, n: len(v) >= n),
    "maxItems": ("array", lambda v, n: len(v) <= n),
    "minProperties": ("object", lambda v, n: len(v) >= n),
    "maxProperties": ("object", lambda v, n: len(v) <= n),
}


class UnknownKeyword(Exception):
    """The compiler would have to guess."""


class _Compiler:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self._by_ref: dict[str, Check] = {}

    def compile(self, schema: Any) -> Check:
        if isinstance(schema, bool):
            return (lambda v: None) if schema else (lambda v: "nothing is allowed here")
        checks = []
        for keyword, value in schema.items():
            if keyword in ANNOTATIONS or keyword in ("then", "else", "additionalProperties", "patternProperties"):
                continue
            maker = getattr(self, "_" + keyword.lstrip("$"), None)
            if keyword in LIMITS:
                checks.append(self._limit(keyword, value))
            elif maker is not None:
                checks.append(maker(value, schema))
            else:
                raise UnknownKeyword(keyword)
        if "properties" not in schema and ("additionalProperties" in schema or "patternProperties" in schema):
            checks.append(self._properties({}, schema))
        return _all(checks)

    def _ref(self, ref: str, _schema: Any) -> Check:
        if not ref.startswith("#/"):
            raise UnknownKeyword(f"$ref {ref}")
        if ref not in self._by_ref:
            self._by_ref[ref] = lambda v: self._by_ref[ref](v)  # recursion ends at the next value
            target: Any = self.root
            for part in ref[2:].split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            self._by_ref[ref] = self.compile(target)
        return lambda v: self._by_ref[ref](v)

    def _type(self, names: str | list[str], _schema: Any) -> Check:
        tests = [TYPES[name] for name in ([names] if isinstance(names, str) else names)]
        return lambda v: None if any(test(v) for test in tests) else f"{v!r} is no {names}"

    def _enum(self, values: list[Any], _schema: Any) -> Check:
        return lambda v: None if v in values else f"{v!r} is none of {values}"

    def _const(self, value: Any, _schema: Any) -> Check:
        return lambda v: None if v == value else f"{v!r} is not {value!r}"

    def _pattern(self, pattern: str, _schema: Any) -> Check:
        search = re.compile(pattern).search
        return lambda v: f"{v!r} does not match {pattern}" if isinstance(v, str) and not search(v) else None

    def _limit(self, keyword: str, bound: Any) -> Check:
        kind, holds = LIMITS[keyword]
        is_kind = TYPES[kind]
        return lambda v: f"{v!r} breaks {keyword} {bound}" if is_kind(v) and not holds(v, bound) else None

    def _required(self, names: list[str], _schema: Any) -> Check:
        def check(value: Any) -> str | None:
            missing = [name for name in names if name not in value] if isinstance(value, dict) else []
            return f"{missing} missing" if missing else None

        return check

    def _properties(self, properties: dict[str, Any], schema: dict[str, Any]) -> Check:
        known = {name: self.compile(each) for name, each in properties.items()}
        patterns = [(re.compile(p), self.compile(s)) for p, s in schema.get("patternProperties", {}).items()]
        other = self.compile(schema.get("additionalProperties", True))

        def check(value: Any) -> str | None:
            if not isinstance(value, dict):
                return None
            for name, child in value.items():
                tests = [known[name]] if name in known else []
                tests += [test for pattern, test in patterns if pattern.search(name)]
                for test in tests or [other]:
                    if (error := test(child)) is not None:
                        return f"{name}: {error}"
            return None

        return check

    def _propertyNames(self, schema: Any, _whole: Any) -> Check:
        test = self.compile(schema)
        return lambda v: next((e for k in v if (e := test(k))), None) if isinstance(v, dict) else None

    def _items(self, schema: Any, whole: dict[str, Any]) -> Check:
        if "prefixItems" in whole:
            raise UnknownKeyword("prefixItems")
        test = self.compile(schema)
        return lambda v: next((e for i in v if (e := test(i))), None) if isinstance(v, list) else None

    def _uniqueItems(self, unique: bool, _schema: Any) -> Check:
        return lambda v: "items repeat" if unique and isinstance(v, list) and len(v) != len({repr(i) for i in v}) else None

    def _allOf(self, schemas: list[Any], _schema: Any) -> Check:
        return _all([self.compile(each) for each in schemas])

    def _anyOf(self, schemas: list[Any], _schema: Any) -> Check:
        tests = [self.compile(each) for each in schemas]
        return lambda v: None if any(test(v) is None for test in tests) else "no branch of anyOf fits"

    def _oneOf(self, schemas: list[Any], _schema: Any) -> Check:
        tests = [self.compile(each) for each in schemas]

        def check(value: Any) -> str | None:
            errors = [test(value) for test in tests]
            fits = errors.count(None)
            return None if fits == 1 else f"{fits} branches of oneOf fit: {[e for e in errors if e][:3]}"

        return check

    def _not(self, schema: Any, _whole: Any) -> Check:
        test = self.compile(schema)
        return lambda v: None if test(v) is not None else "`not` fits"

    def _if(self, schema: Any, whole: dict[str, Any]) -> Check:
        test = self.compile(schema)
        then, otherwise = self.compile(whole.get("then", True)), self.compile(whole.get("else", True))
        return lambda v: then(v) if test(v) is None else otherwise(v)


def _all(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def check(value: Any) -> str | None:
        for each in checks:
            if (error := each(value)) is not None:
                return error
        return None

    return check


def _shape(value: Any) -> Any:
    """Keys and kinds without the values: lines of one shape fail or pass alike but for enums and bounds."""
    if isinstance(value, dict):
        return tuple((key, _shape(child)) for key, child in sorted(value.items()))
    if isinstance(value, list):
        return tuple({_shape(child) for child in value})
    return type(value).__name__


class Schema:
    """check(line) raises BadLine when the line is not as the schema says."""

    def __init__(self, schema: dict[str, Any]) -> None:
        jsonschema.Draft202012Validator.check_schema(schema)
        self._slow = jsonschema.Draft202012Validator(schema)
        self._seen: set[Any] = set()
        try:
            self._fast: Check | None = _Compiler(schema).compile(schema)
        except UnknownKeyword:
            self._fast = None

    def check(self, line: Line) -> None:
        fast = self._fast(line.event) if self._fast else None
        shape = (line.type, _shape(line.event))
        if self._fast is None or shape not in self._seen:
            self._seen.add(shape)
            slow = jsonschema.exceptions.best_match(self._slow.iter_errors(line.event))
            if slow is not None:
                path = ".".join(str(part) for part in slow.absolute_path)
                raise BadLine(f"schema: {path or 'line'}: {slow.message}: {line}")
            if fast is not None:
                raise AssertionError(f"schema: jsonschema accepts what the compiled schema refuses: {fast}: {line}")
        elif fast is not None:
            raise BadLine(f"schema: {fast}: {line}")
