"""Adapters: public data sets as contract tables. Each module says what it drops, and where the original is."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from ml.errors import UsageError

SOURCES: tuple[str, ...] = (
    "online_retail_uci",
    "dominicks_oj",
    "completejourney",
    "uss",
    "sgd",
    "clinc150",
    "snips_nlu",
    "camrest676",
    "esci_sample",
    "open_bandit",
    "social_cascades",
    "retweets_auspol",
    "fashion_mnist",
    "clothing_small",
    "hermes_fashion_trends",
    "youtube_trending_us_2017",
)
"""Names for `bellwether load NAME`; each is a module of this package with `load(path)` and `ORIGIN`."""

WORLD = "world"
"""The name of the simulated shop, which is read from no files."""
NAMES = (WORLD, *SOURCES)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Contract tables made from a data set; `read` counts the rows of its main file.

    Every row that was read is in the tables or in `dropped`, under the first reason that holds.
    """

    tables: Mapping[str, pa.Table]
    read: int
    dropped: Mapping[str, int]


def source(name: str) -> ModuleType:
    """The adapter of that name. Raises UsageError that names the known ones."""
    if name not in SOURCES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise UsageError(
            f"unknown data set {name!r}",
            expected=", ".join(NAMES),
            next_step=f"did you mean {near[0]}?"
            if near
            else "`bellwether load --list` says what each of them is",
        )
    return importlib.import_module(f"ml.sources.{name}")


def load(name: str, path: Path) -> Loaded:
    """Read the files of a data set in the folder (or the one file) `path` into contract tables.

    Raises UsageError that names the path, and what should have been there.
    """
    adapter = source(name)
    try:
        loaded: Loaded = adapter.load(path)
    except UsageError as error:
        what = f"{path}: {error.what}"
        raise UsageError(
            what, found=error.found, expected=error.expected, next_step=error.next_step
        ) from error
    return loaded


def described() -> Mapping[str, tuple[str, str]]:
    """What each public data set is, in a line, and where its original is."""
    modules = {name: source(name) for name in SOURCES}
    return {name: (str(module.__doc__).splitlines()[0], module.ORIGIN) for name, module in modules.items()}
