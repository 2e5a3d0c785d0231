"""What Bellwether tells MLflow, and what it reads there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class DataInput:
    """One table that a version was made of: its name, DVC digest and where it came from.

    decided: what came back from quarantine by people's decisions, in words.
    """

    name: str
    digest: str
    source: str
    rows: int
    checks: int = 0
    failed: int = 0
    quarantined: int = 0
    decided: tuple[str, ...] = ()


class Sweep(Protocol):
    """One setting that was swept over: what was set, and what came of it."""

    @property
    def params(self) -> Mapping[str, str | float]:
        """What was set."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """What came of it."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that MLflow shows of one retrain."""

    family: str
    run_id: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    windows: Mapping[str, Mapping[str, float]]
    data: Sequence[DataInput]
    model: Path
    example: pa.Table
    predictions: pa.Table
    card: str
    verdict: Sequence[str] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    trials: Mapping[str, Sweep] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where MLflow keeps it."""

    mlflow_run_id: str
    version: str
    url: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version in the registry."""

    number: str
    tags: Mapping[str, str]
    mlflow_run_id: str
