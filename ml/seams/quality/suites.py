"""A suite is a JSON file in Great Expectations' own shape; here it is read, typed, and its placeholders are filled.

    {"name": ..., "meta": {...}, "expectations": [{"type", "kwargs", "severity", "meta": {"why": ...}}, ...]}

A value such as "{as_of}" stands for something that is only known when the suite is run (see `facts`). An expectation
whose placeholder has no value, because there is no history yet, is skipped, and the result says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ml.errors import UsageError

_PLACEHOLDER = re.compile(r"\{([a-z_]+(?:\.[a-z_]+)?)\}")


class Severity(StrEnum):
    """What a broken expectation means: the table is rejected, the rows are put aside, or it is only reported."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Expectation:
    """One expectation of a suite."""

    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    why: str
    skipped: str = ""

    @property
    def column(self) -> str:
        """What the expectation is about: its column, its columns, or nothing (the whole table)."""
        kwargs = self.kwargs
        named = (
            kwargs.get("column") or kwargs.get("columns") or [kwargs.get("column_A"), kwargs.get("column_B")]
        )
        return named if isinstance(named, str) else ", ".join(name for name in named if name)


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite and the settings in its `meta`."""

    name: str
    path: Path
    expectations: tuple[Expectation, ...]
    meta: Mapping[str, Any] = field(default_factory=dict)


def read_suite(path: Path) -> Suite:
    """Read a suite. Raises UsageError that names the file and what is wrong in it."""
    try:
        raw = json.loads(path.read_text())
        expectations = tuple(_expectation(entry) for entry in raw["expectations"])
        return Suite(raw["name"], path, expectations, raw.get("meta", {}))
    except FileNotFoundError as error:
        raise UsageError(
            f"no suite at {path}", next_step="every table has one in expectations/tables"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        shape = '{"name", "expectations": [{"type", "kwargs", "severity", "meta": {"why"}}]}'
        raise UsageError(f"suite {path} cannot be read", found=repr(error), expected=shape) from error


def _expectation(entry: Mapping[str, Any]) -> Expectation:
    return Expectation(entry["type"], entry["kwargs"], Severity(entry["severity"]), entry["meta"]["why"])


def fill(suite: Suite, values: Mapping[str, Any], missing: str) -> Suite:
    """Put `values` into the placeholders of a suite; `missing` says why a value may be absent."""
    return replace(suite, expectations=tuple(_fill_one(one, values, missing) for one in suite.expectations))


def _fill_one(one: Expectation, values: Mapping[str, Any], missing: str) -> Expectation:
    absent = [name for name in _placeholders(one.kwargs) if values.get(name) is None]
    if absent:
        return replace(one, skipped=f"{missing} (needs {', '.join(absent)})")
    return replace(one, kwargs={key: _value(value, values) for key, value in one.kwargs.items()})


def _placeholders(kwargs: Mapping[str, Any]) -> list[str]:
    matches = (_PLACEHOLDER.fullmatch(value) for value in kwargs.values() if isinstance(value, str))
    return [match[1] for match in matches if match]


def _value(value: Any, values: Mapping[str, Any]) -> Any:
    match = _PLACEHOLDER.fullmatch(value) if isinstance(value, str) else None
    return values[match[1]] if match else value
