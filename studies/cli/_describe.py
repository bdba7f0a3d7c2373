"""One-line descriptions of what is registered, read from source without importing it."""

from __future__ import annotations

import ast
import importlib.util
from dataclasses import dataclass
from importlib.metadata import entry_points


@dataclass(frozen=True)
class Entry:
    """Something registered under a name, and the first line of its docstring."""

    name: str
    summary: str


def registered(group: str) -> list[Entry]:
    """What is registered in an entry-point group, by name."""
    points = {point.name: point.value for point in entry_points(group=group)}
    return [Entry(name, _summary(points[name])) for name in sorted(points)]


def _summary(value: str) -> str:
    """First line of the docstring of ``module:attribute``, empty if it cannot be read."""
    module, _, attribute = value.partition(":")
    try:
        # Of a dotted name this imports the package around the module, not the module.
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:
            return ""
        with open(spec.origin, encoding="utf-8") as file:
            tree = ast.parse(file.read())
    except (ImportError, OSError, SyntaxError, ValueError):
        return ""
    kinds = (ast.ClassDef, ast.FunctionDef)
    for node in tree.body:
        if isinstance(node, kinds) and node.name == attribute.strip():
            return (ast.get_docstring(node) or "").partition("\n")[0]
    return (ast.get_docstring(tree) or "").partition("\n")[0]
