"""Model families: one folder each, found by the name that `params.yaml` gives, loaded only when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ml.errors import UsageError

if TYPE_CHECKING:
    from ml.families.record import Family


def family(name: str) -> Family:
    """The record of the family `name` (`ml/families/<name>/__init__.py` must define FAMILY).

    Raises UsageError if there is no such folder.
    """
    try:
        module = import_module(f"ml.families.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ml.families.{name}":
            raise
        raise UsageError(
            f"no model family named {name!r}",
            expected=f"a folder ml/families/{name}/ whose __init__.py defines FAMILY",
            next_step="copy ml/families/_template, or correct the name in params.yaml",
        ) from error
    record: Family = module.FAMILY
    return record
