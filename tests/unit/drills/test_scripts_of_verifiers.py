"""What runs on a verifier finds there the Python of Amazon Linux 2023, 3.9, and nothing beside it:
https://docs.aws.amazon.com/linux/al2023/ug/python.html
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import watchkeeper.drills

SCRIPTS = sorted((Path(watchkeeper.drills.__file__).parent / "scripts").glob("[!_]*.py"))
THERE = (3, 9)
MODULES = sys.stdlib_module_names - {"tomllib"}
NAMES = {
    "ExceptionGroup", "NotRequired", "Self", "StrEnum", "TypeAlias", "UTC", "aclosing",
    "assert_never", "batched", "bit_count", "file_digest", "override", "pairwise",
}  # fmt: skip
"""Of the standard library, but later: what a habit from the rest of this project would write."""
OPTIONS = {"zip": {"strict"}, "dataclass": {"kw_only", "slots"}}
"""Arguments by function, likewise."""
TYPES = {name for name, known in vars(builtins).items() if isinstance(known, type)}


def newer(source: str) -> list[str]:
    """What in a script is not there, or came later."""
    try:
        tree = ast.parse(source, feature_version=THERE)
    except SyntaxError as error:
        return [error.msg]  # Pythons differ in the line that they name
    found = {*_imported(tree), *_named(tree), *_options(tree), *_unions(tree)}
    return [f"{line}: {what}" for line, what in sorted(found)]


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules = ["." * node.level + (node.module or "")]
        else:
            continue
        yield from (
            (node.lineno, f"import {one}") for one in modules if one.split(".")[0] not in MODULES
        )


def _named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [one.name for one in node.names]
        else:
            continue
        yield from ((node.lineno, one) for one in names if one in NAMES)


def _options(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rsplit(".", 1)[-1]
            given = {one.arg or "" for one in node.keywords}
            yield from ((node.lineno, one) for one in given & OPTIONS.get(name, set()))


def _unions(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """`X | Y` of types, but for annotations that nobody evaluates."""
    unread = set()
    if any(isinstance(one, ast.ImportFrom) and one.module == "__future__" for one in tree.body):
        unread = {id(part) for one in _annotations(tree) for part in ast.walk(one)}
    types = TYPES | {one.name for one in ast.walk(tree) if isinstance(one, ast.ClassDef)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.BinOp) or id(node) in unread:
            continue
        if isinstance(node.op, ast.BitOr) and any(
            _is_type(one, types) for one in (node.left, node.right)
        ):
            yield node.lineno, ast.unparse(node)


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign | ast.arg) and node.annotation:
            yield node.annotation
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns:
            yield node.returns


def _is_type(node: ast.expr, types: set[str]) -> bool:
    if isinstance(node, ast.Subscript):
        return _is_type(node.value, types)
    if isinstance(node, ast.Constant):
        return node.value is None
    return isinstance(node, ast.Name) and node.id in types


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_it_is_python_of_amazon_linux(script: Path) -> None:
    assert newer(script.read_text()) == []


def test_there_are_scripts() -> None:
    assert {one.stem for one in SCRIPTS} == {"ask_database", "look_at_volumes"}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("match 1:\n    case 1: pass", "Pattern matching is only supported in Python 3.10"),
        ("try: pass\nexcept* OSError: pass", "Exception groups are only supported in Python 3.11"),
        ("def f(x: int | None): pass", "1: int | None"),
        ("def f() -> 'int' | None: pass", "1: 'int' | None"),
        ("class A: pass\nfound: A | B", "2: A | B"),
        ("from __future__ import annotations\nisinstance(1, int | str)", "2: int | str"),
        ("from __future__ import annotations\nKind = list[int] | str", "2: list[int] | str"),
        ("import boto3", "1: import boto3"),
        ("import os, tomllib", "1: import tomllib"),
        ("from watchkeeper.drills import blocks", "1: import watchkeeper.drills"),
        ("from . import blocks", "1: import ."),
        ("from datetime import UTC", "1: UTC"),
        ("import itertools\nitertools.pairwise([])", "2: pairwise"),
        ("zip([], [], strict=True)", "1: strict"),
        ("import dataclasses\n@dataclasses.dataclass(slots=True)\nclass A: pass", "2: slots"),
    ],
)
def test_what_came_later_is_seen(source: str, found: str) -> None:
    (seen,) = newer(source)
    assert seen.startswith(found)


def test_what_was_there_is_none_of_it() -> None:
    source = """
from __future__ import annotations
import re
from pathlib import Path

def f(x: int | None, *more: str | None, y: dict[str, int | None]) -> list[int] | None:
    found: int | None = 1 | 2
    re.compile("", re.I | re.M), {"a": 1} | {"b": 2}, {1} | {2}, Path().resolve(strict=True)
    return "f".removeprefix("f")
"""
    assert newer(source) == []
