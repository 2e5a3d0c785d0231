"""A home whose warehouse has small dialogues, and parameters with which ground truth learns them fast."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ml.actions.load import load
from ml.config import settings
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "families"))
from small_dialogues import dialogues

__all__ = ["END", "FAST", "dialogues", "fill"]
END = date(2025, 11, 1)
FAST: dict[str, Any] = {"rounds": 40, "word_bits": 12, "folds": 3, "components": 4, "encoder": ""}


def fill(home: Path, patch: pytest.MonkeyPatch, rows: Mapping[str, Sequence[Mapping[str, object]]]) -> None:
    """Make `home` the one that is used, with these rows in its warehouse."""
    patch.setenv("BELLWETHER_HOME", str(home))
    tables = {
        name: pa.Table.from_pylist(list(some), schema=arrow_schema(TABLES[name]))
        for name, some in rows.items()
    }
    load(settings().warehouse, "dialogues", tables)
