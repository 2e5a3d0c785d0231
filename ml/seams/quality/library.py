"""Great Expectations as we need it: quiet, without telemetry, able to read DuckDB, imported in half the time."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_LATER = ("altair", "scipy.stats")
"""What the library imports for the sake of a few expectations: half of its import's processor time."""


def great_expectations() -> Any:
    """The library.

    It closes a connection before it fetches, except for dialects in a private tuple: DuckDB has to be in it (facts:
    upstream PR 12084).
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    with _nothing_is_rubbish():
        _put_off()
        library = import_module("great_expectations")
    from great_expectations.execution_engine import sqlalchemy_execution_engine as engine

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.ERROR)
    import ml.seams.quality.expectations  # noqa: F401  (registers our own expectations)

    if "duckdb" not in engine._PERSISTED_CONNECTION_DIALECTS:
        engine._PERSISTED_CONNECTION_DIALECTS = (*engine._PERSISTED_CONNECTION_DIALECTS, _DuckDB("duckdb"))
    return library


@contextmanager
def _nothing_is_rubbish() -> Iterator[None]:
    """What a large import makes is there to stay, and looking for rubbish takes a seventh of its time."""
    looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if looking:
            gc.enable()


def _put_off() -> None:
    for name in _LATER:
        sys.modules.setdefault(name, _Later(name))


class _Later(ModuleType):
    """A module that is imported when somebody asks it for something.

    `importlib.util.LazyLoader` would not do: in Python 3.11 an import statement that finds such a module executes it.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # asked by the import system itself
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


class _DuckDB(str):
    """The dialect's name, in the shape of a member of Great Expectations' enumeration."""

    __slots__ = ()

    @property
    def value(self) -> str:
        return str(self)
