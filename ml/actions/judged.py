"""What the ledger keeps of a judged run for people: a page about it needs neither its workspace nor MLflow."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow.csv import read_csv

from ml import workspace

if TYPE_CHECKING:
    from ml.families.record import Family

FEATURES, EXAMPLES, REASONS = 20, 6, 5
UNNAMED = ("rest", "start", "others")
NOTE = "judged"
"""The run's note that holds it."""


def judged(
    folder: Path, record: Family, verdict: Mapping[str, Any], plots: Iterable[str], explanations: Path
) -> dict[str, Any]:
    """Metrics on the hold-out by model, the verdict, which plots were logged, and what predictions rest on.

    `explanations`: the CSV file that `record` keeps with the run. Numbers that are not finite become null: JSON in a
    database has no word for them.
    """
    evaluation = json.loads((folder / "data/evaluation" / record.name / "metrics.json").read_text())
    rows = read_csv(explanations)
    found: dict[str, Any] = _finite(
        {
            "purpose": record.purpose,
            "tables": list(record.tables),
            "headline": record.headline,
            "baseline": record.baseline,
            "better": dict(record.better),
            "holdout": evaluation["holdout"],
            "confidence": workspace.params_of(folder.name).gate.confidence,
            "metrics": evaluation["folds"][evaluation["holdout"]],
            "verdict": dict(verdict),
            "plots": list(plots),
            "contributions": contributions(rows, record.key),
            "examples": examples(rows, record.key),
        }
    )
    return found


def contributions(rows: pa.Table, key: Sequence[str]) -> list[dict[str, Any]]:
    """The FEATURES features that move predictions most: mean size of the contribution, and its mean with the sign.

    Means are over all explained predictions; a feature counts as 0 where it is not among the largest, `of` says where
    it is.
    """
    explained = len({tuple(row[name] for name in key) for row in rows.to_pylist()})
    given: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in _named(rows.to_pylist()):
        given[row["feature"], row["words"]].append(row["contribution"])
    means: list[dict[str, Any]] = [
        {
            "feature": feature,
            "words": words,
            "size": sum(map(abs, values)) / explained,
            "mean": sum(values) / explained,
            "of": len(values),
        }
        for (feature, words), values in given.items()
    ]
    return sorted(means, key=lambda row: (-row["size"], row["feature"]))[:FEATURES]


def examples(rows: pa.Table, key: Sequence[str]) -> list[dict[str, Any]]:
    """The EXAMPLES largest predictions (sums of contributions), each with its REASONS largest contributions."""
    by_key: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows.to_pylist():
        by_key[tuple(str(row[name]) for name in key)].append(row)
    ranked = sorted(by_key.items(), key=lambda item: (-sum(r["contribution"] for r in item[1]), item[0]))
    return [{"of": " · ".join(names), "why": _largest(parts)} for names, parts in ranked[:EXAMPLES]]


def _largest(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ranked = sorted(_named(parts), key=lambda row: (-abs(row["contribution"]), row["feature"]))
    return [{"words": row["words"], "contribution": row["contribution"]} for row in ranked[:REASONS]]


def _named(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that name a feature: without what is left over and what is usual."""
    return [row for row in rows if row["feature"] not in UNNAMED]


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
