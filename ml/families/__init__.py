"""Model families: one folder each, found by the name that `params.yaml` gives, loaded only when asked for."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

from ml.errors import UsageError

if TYPE_CHECKING:
    from ml.families.record import Family

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,60}")  # it becomes the name of a module, of a stage, and of tables


def family(name: str) -> Family:
    """The record of the family `name` (`ml/families/<name>/__init__.py` must define FAMILY).

    Raises UsageError if there is no such folder.
    """
    if not _NAME.fullmatch(name):
        raise _unknown(name)
    try:
        module = import_module(f"ml.families.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ml.families.{name}":
            raise
        raise _unknown(name) from error
    record: Family | None = getattr(module, "FAMILY", None)
    if record is None:
        raise _unknown(name)
    return record


def _unknown(name: str) -> UsageError:
    return UsageError(
        f"no model family named {name[:80]!r}",
        expected=f"a folder ml/families/{name[:80]}/ whose __init__.py defines FAMILY",
        next_step="copy ml/families/_template, or correct the name in params.yaml",
    )
