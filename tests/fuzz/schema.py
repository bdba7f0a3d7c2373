"""What a table may say, told a second time: a judge of declarations must not be made from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Rule = Callable[[Any], bool]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _finite(value)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def text(value: Any) -> bool:
    return isinstance(value, str)


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def whole(low: int, high: int = 2**63 - 1) -> Rule:
    return lambda value: type(value) is int and low <= value <= high


def number(low: float = -math.inf, high: float = math.inf, *, open_low: bool = False, open_high: bool = False) -> Rule:
    def rule(value: Any) -> bool:
        if not is_number(value):
            return False
        above = value > low if open_low else value >= low
        return above and (value < high if open_high else value <= high)

    return rule


def one_of(*known: Any) -> Rule:
    return lambda value: isinstance(value, str) and value in known


def either(*rules: Rule) -> Rule:
    return lambda value: any(rule(value) for rule in rules)


def rows(rule: Rule, least: int = 0, most: float = math.inf) -> Rule:
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(rule, value))


def table(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    optional = optional or {}

    def rule(value: Any) -> bool:
        if not isinstance(value, dict) or any(key not in value for key in required):
            return False
        rules = {**required, **optional}
        return all(key in rules and rules[key](inner) for key, inner in value.items())

    return rule


def mapping(key: Rule, inner: Rule) -> Rule:
    return lambda value: isinstance(value, dict) and all(key(k) and inner(v) for k, v in value.items())


def by_tag(tag: str, rules: Mapping[str, Rule], usual: str | None = None) -> Rule:
    def rule(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        kind = value.get(tag, usual)
        return isinstance(kind, str) and kind in rules and rules[kind](value)

    return rule


def anything(value: Any) -> bool:
    return True


def plain(value: Any) -> bool:
    """A name of a file without a way out of its folder."""
    return isinstance(value, str) and 0 < len(value) <= 100 and not set(value) & set("/\\\0") and value[0] != "."
