"""What a sceptic would use instead: the usual share, a line through prefix and timing, Hawkes, plain trees.

The features of `literature` are those of Szabo and Huberman (CACM 2010), Cheng et al. (WWW 2014) and Mishra, Rizoiu and
Xie (CIKM 2016): size and timing of the prefix, shape of the reshares, followers; nobody's past.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.viral.columns import SPREAD, TIMESCALES, TIMING
from ml.families.viral.design import Floats, Past, features_of, numbers, past, predictions, waiting
from ml.families.viral.params import ViralParams
from ml.toolkit import boosting, hawkes
from ml.toolkit.standardised import logistic, ridge

LITERATURE = (*TIMING, *SPREAD, "reach", "reach_most", "text_length")
_STRENGTH = 1.0
_ENOUGH = 50


def baselines(matrix: ibis.Table, as_of: date, params: ViralParams) -> Mapping[str, pa.Table]:
    """`constant`, `linear`, `hawkes` and `literature`, fitted on the same past, for the same rows."""
    known, rows = past(matrix, as_of, params), waiting(matrix)
    made = {"constant": _constant, "linear": _linear, "hawkes": _hawkes, "literature": _literature}
    return {name: _predicted(baseline, known, rows, params) for name, baseline in made.items()}


Baseline = Callable[[Past, pa.Table, ViralParams], tuple[Floats, Floats]]


def _predicted(baseline: Baseline, known: Past, rows: pa.Table, params: ViralParams) -> pa.Table:
    """The usual hours until the peak stand for the lead time in all of them."""
    doubles, growth = baseline(known, rows, params)
    lead = np.full(
        len(rows), np.nan_to_num(np.nanmedian(known.lead)) if np.isfinite(known.lead).any() else 0.0
    )
    return predictions(rows, doubles, growth, lead)


def _constant(known: Past, rows: pa.Table, _: ViralParams) -> tuple[Floats, Floats]:
    return np.full(len(rows), known.doubled.mean()), np.full(len(rows), known.growth.mean())


def _linear(known: Past, rows: pa.Table, _: ViralParams) -> tuple[Floats, Floats]:
    """Logistic and ridge regression on size and timing so far, one of its own for each point with enough of them."""
    doubles, growth = _lines(features_of(known.rows, TIMING), features_of(rows, TIMING), known)
    learned, asked = (np.asarray(part.column("point").to_pylist(), dtype=str) for part in (known.rows, rows))
    for point in sorted(set(asked.tolist())):
        some, there = learned == point, asked == point
        if some.sum() >= _ENOUGH:
            mine = features_of(known.rows.filter(pa.array(some)), TIMING)
            theirs = features_of(rows.filter(pa.array(there)), TIMING)
            doubles[there], growth[there] = _lines(mine, theirs, known.of(some))
    return doubles, growth


def _lines(learned: NDArray[np.float32], asked: NDArray[np.float32], known: Past) -> tuple[Floats, Floats]:
    odds = logistic(learned, known.doubled, _STRENGTH).raw(asked)
    return 1 / (1 + np.exp(-odds)), ridge(learned, known.growth, _STRENGTH).raw(asked)


def _hawkes(known: Past, rows: pa.Table, _: ViralParams) -> tuple[Floats, Floats]:
    """The expected growth of a self-exciting process, of the memory that fits the past best.

    A line through that one number turns it into a chance (and corrects its scale).
    """
    errors = [float(np.mean((growth_of(known.rows, scale) - known.growth) ** 2)) for scale in TIMESCALES]
    scale = TIMESCALES[int(np.argmin(errors))]
    return _lines(_column(known.rows, scale), _column(rows, scale), known)


def growth_of(rows: pa.Table, scale: int) -> Floats:
    """log2 of the expected final size over the posts seen, of a Hawkes process of this memory (hours)."""
    posts, alive = numbers(rows, "posts"), numbers(rows, f"alive_{scale}")
    size = hawkes.expected_size(posts, hawkes.branching(posts, alive), alive)
    return np.asarray(np.log2(size / posts), dtype=np.float64)


def _column(rows: pa.Table, scale: int) -> NDArray[np.float32]:
    return growth_of(rows, scale).astype(np.float32)[:, None]


def _literature(known: Past, rows: pa.Table, params: ViralParams) -> tuple[Floats, Floats]:
    learned, asked = features_of(known.rows, LITERATURE), features_of(rows, LITERATURE)
    made = []
    for objective, label in (("binary:logistic", known.doubled), ("reg:squarederror", known.growth)):
        start = float(np.clip(label.mean(), 0.01, 0.99))
        recipe = boosting.Recipe(
            objective, params.rounds, learning_rate=0.03, depth=4, minimum_weight=5.0, rows=0.7, seed=params.seed,
            nthread=params.nthread, options={"base_score": start},
        )  # fmt: skip
        grown = boosting.grow(recipe, boosting.Table.of(LITERATURE, learned, recipe), label)
        made.append(boosting.predict(grown, LITERATURE, asked))
    return made[0], made[1]
