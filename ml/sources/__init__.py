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
        near = difflib.get_close_matches(name, SOURCES, n=1)
        raise UsageError(
            f"unknown data set {name!r}",
            found=name,
            expected=", ".join(SOURCES),
            next_step=f"did you mean {near[0]}?" if near else "",
        )
    return importlib.import_module(f"ml.sources.{name}")


def load(name: str, path: Path) -> Loaded:
    """Read the files of a data set in the folder (or the one file) `path` into contract tables."""
    loaded: Loaded = source(name).load(path)
    return loaded
