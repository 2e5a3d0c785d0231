"""How rankings are judged: the loss of each case, and the metrics that are reported, each in its exact variant.

- `loss`: 1 - the gain of `ndcg_purchase`, every query counting once: purchases are what the policy asks the most of
  (that of `ndcg_engagement` where nothing was purchased, of `ndcg_relevance` where nothing was wanted). What the
  policy asks to keep is `relevance_kept`: of the relevance at the first place that the model's own ranker of
  relevance reaches on the same cases, the share that is kept; 1 where nothing was judged.
- `ndcg_relevance`: NDCG@10 with exponential gain 2^grade - 1 over the judged candidates; `ndcg_relevance_linear`
  with the grade as gain; `ndcg_purchase`, `ndcg_engagement` over the shown candidates, with what is to be expected of
  each as gain (`worth.posterior`).
- `relevance_at_1`: mean grade over 3 of the first judged candidate. `purchase_at_1`, `engagement_at_1`: purchases
  (engagements) per time that the first shown candidate is looked at; cases count by how often their results were
  looked at.
- `hypervolume`: area under the curve of relevance_at_1 against purchase_at_1 over all weights, both over the best
  possible.
- `uniform_`, `popularity_`, `full_hit_at_1`: how often the purchased candidate stands first among itself and up to
  NEGATIVES others, drawn evenly, drawn by units sold, or all of them (Krichene and Rendle 2020: they may order
  models differently).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion import fusing
from ml.families.relevance_fusion.cases import Cases, cases_of
from ml.families.relevance_fusion.catalogue import numbers
from ml.families.relevance_fusion.columns import KEY
from ml.families.relevance_fusion.fusing import Point
from ml.families.relevance_fusion.params import ENGAGEMENT_SHARE
from ml.families.relevance_fusion.rankers import RANKERS, RELEVANCE
from ml.families.relevance_fusion.worth import AIMS, Board, board, case_order, posterior

Floats = NDArray[np.float64]
RANKED = 10
NEGATIVES = 20
HEAD = 0.2
_CURVE = np.linspace(0, 1, 21)


def side_by_side(predictions: pa.Table, truth: pa.Table) -> Board:
    """Truth with the predictions beside it; a candidate that was not scored is last."""
    joined = truth.join(predictions, list(KEY), join_type="left outer")
    return board(joined.take(pa.array(case_order(joined))))


def score_of(of: Board, name: str = "score") -> Floats:
    """A column of predictions, missing ones lowest."""
    score = numbers(of.table, name)
    lowest = np.nanmin(score) - 1 if np.isfinite(score).any() else 0.0
    return np.where(np.isfinite(score), score, lowest)


def losses(predictions: pa.Table, truth: pa.Table) -> pa.Table:
    """One case per query, modality and day; loss = 1 - NDCG@10 of what the policy asks the most of (see the module).

    A query's cases weigh 1 together: they are no independent witnesses, and the most frequent queries have the most.

    Slices: modality, words of the query, volume (head: the fifth of the cases that is looked at most), category (the
    one of most candidates).
    """
    both = side_by_side(predictions, truth)
    cases = cases_of(both.names)
    gain = _case_ndcg(both, cases, score_of(both), _sought(both))
    known = np.isfinite(gain)
    first = both.table.take(pa.array(cases.start[known]))
    weight = _once(first)
    return pa.table(
        {
            "case": pa.array(both.names[cases.start[known]].tolist(), pa.string()),
            "entity": first.column("query"),
            "loss": pa.array(weight * (1 - gain[known])),
            "weight": pa.array(weight),
            "slice_modality": first.column("modality"),
            "slice_words": pa.array([_length(words) for words in numbers(first, "query_words")], pa.string()),
            "slice_volume": pa.array(_volume(both, cases)[known].tolist(), pa.string()),
            "slice_category": pa.array(_category(both, cases)[known].tolist(), pa.string()),
        }
    )


def _once(cases: pa.Table) -> Floats:
    """The weight of each case: 1 over the number of its query's."""
    _, place, times = np.unique(
        np.asarray(cases.column("query").to_pylist(), dtype=str), return_inverse=True, return_counts=True
    )
    weight: Floats = 1.0 / times[place]
    return weight


def _sought(both: Board) -> str:
    """What the policy asks the most of, as far as it can be measured."""
    return next((aim for aim in ("purchase", "engagement") if aim in both.sides), "relevance")


def _length(words: float) -> str:
    return "one" if words <= 1 else "two or three" if words <= 3 else "four or more"


def _volume(both: Board, cases: Cases) -> NDArray[np.str_]:
    looks = cases.sums(np.nan_to_num(numbers(both.table, "exposure")))
    bar = np.quantile(looks, 1 - HEAD) if len(looks) else 0.0
    return np.where((looks >= bar) & (looks > 0), "head", "tail")


def _category(both: Board, cases: Cases) -> NDArray[np.str_]:
    names, place = np.unique(
        np.asarray([name or "none" for name in both.table.column("category").to_pylist()], dtype=str),
        return_inverse=True,
    )
    count = np.zeros((cases.number, len(names)))
    np.add.at(count, (cases.case, place), 1)
    return names[count.argmax(axis=1)] if len(names) else np.zeros(0, dtype=str)


def _case_ndcg(both: Board, cases: Cases, score: Floats, aim: str, *, linear: bool = False) -> Floats:
    """NDCG of each case; NaN where nothing is known of the aim."""
    out = np.full(cases.number, np.nan)
    side = both.sides.get(aim)
    if side is None:
        return out
    if aim == "relevance":
        gain = 3 * side.worth if linear else 2 ** (3 * side.worth) - 1
    else:
        gain = posterior(both.table.take(pa.array(side.rows)), aim)
    out[cases.case[side.rows[side.cases.start]]] = side.cases.ndcg(gain, score[side.rows], RANKED)
    return out


def metrics(predictions: pa.Table, truth: pa.Table) -> Mapping[str, float]:
    """Metrics of one window; NaN where one cannot be computed (nothing judged, nothing bought)."""
    both = side_by_side(predictions, truth)
    score, cases = score_of(both), cases_of(both.names)
    at_first = both.at_first(score)
    gains = {aim: _case_ndcg(both, cases, score, aim) for aim in AIMS}
    return {
        "loss": _loss(both, cases, gains[_sought(both)]),
        **{f"ndcg_{aim}": _mean(gain) for aim, gain in gains.items()},
        "ndcg_relevance_linear": _mean(_case_ndcg(both, cases, score, "relevance", linear=True)),
        **{f"{aim}_at_1": value for aim, value in at_first.items()},
        "relevance_kept": _kept(both, at_first["relevance"]),
        "hypervolume": _hypervolume(both),
        **_sampled(both, score),
    }


def _loss(both: Board, cases: Cases, gain: Floats) -> float:
    """Mean loss as of `losses`."""
    known = np.isfinite(gain)
    if not known.any():
        return float("nan")
    weight = _once(both.table.take(pa.array(cases.start[known])))
    return float(np.average(1 - gain[known], weights=weight))


def _kept(both: Board, relevance: float) -> float:
    alone = both.mean("relevance", score_of(both, RELEVANCE))
    return relevance / alone if alone > 0 else 1.0


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def curve(both: Board) -> dict[Point, Floats]:
    """Every ranking of the sweep: the weighted sums of the predicted chances, and the mixtures of labels."""
    chances = {name: score_of(both, name) for name in RANKERS}
    units = fusing.units_of(both, chances, share=ENGAGEMENT_SHARE)
    out = {Point(fusing.SCORES, float(w)): units.fused(chances, float(w)) for w in _CURVE}
    for name in both.table.column_names:
        if name.startswith("mix_"):
            out[Point(fusing.LABELS, int(name.removeprefix("mix_")) / 100)] = score_of(both, name)
    return out


def _hypervolume(both: Board) -> float:
    if not {"relevance", "purchase"} <= set(both.sides):
        return float("nan")
    best = {aim: both.best(aim) for aim in ("relevance", "purchase")}
    points = [
        tuple(both.mean(aim, score) / best[aim] for aim in ("relevance", "purchase"))
        for score in curve(both).values()
    ]
    return fusing.hypervolume(points)  # type: ignore[arg-type]


def _sampled(both: Board, score: Floats) -> dict[str, float]:
    """Hit at 1 of what was purchased most, against three ways to choose whom it is compared with."""
    names = {"uniform": "uniform_hit_at_1", "popularity": "popularity_hit_at_1", "full": "full_hit_at_1"}
    side = both.sides.get("purchase")
    if side is None:
        return dict.fromkeys(names.values(), float("nan"))
    units = np.maximum(numbers(both.table, "units_3")[side.rows], 0) + 1e-9
    random = np.random.default_rng(7)
    hits: dict[str, list[bool]] = {name: [] for name in names}
    for start, stop in zip(side.cases.start, [*side.cases.start[1:], len(side.rows)], strict=True):
        rows = np.arange(start, stop)
        target = rows[np.argmax(side.worth[start:stop])]
        others = rows[rows != target]
        for name in hits:
            drawn = _drawn(name, others, units, random)
            hits[name].append(bool((score[side.rows[drawn]] < score[side.rows[target]]).all()))
    return {names[name]: float(np.mean(some)) for name, some in hits.items()}


def _drawn(
    how: str, others: NDArray[np.int64], units: Floats, random: np.random.Generator
) -> NDArray[np.int64]:
    if how == "full" or len(others) == 0:
        return others
    chance = units[others] / units[others].sum() if how == "popularity" else None
    return random.choice(others, size=NEGATIVES, p=chance)
