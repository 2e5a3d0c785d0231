"""The three rankers: relevance from judgements, engagement and purchase from searches, corrected for position.

Relevance and the two others are chances between 0 and 1 (the grade over 3; engaged or purchased if looked at),
fitted by the logistic loss. Three ways to correct for position:

- `ips`: each engagement counts 1 / chance that its place is looked at, against all impressions (Joachims et al.
  2017; Wang et al. 2016), chances below `clip` raised to it, which bounds the variance and biases low places downwards;
- `lambdarank_unbiased`: pairwise, propensities and ranker learned together (Hu et al. 2019), on pages put together from
  the counts by place; its scores are then brought to chances by one logistic step;
- `none`: engaged over shown, for comparison.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.columns import FEATURES, JUDGED, MATCH, PLACES
from ml.families.relevance_fusion.params import RelevanceFusionParams
from ml.families.relevance_fusion.sheet import Floats, Sheet
from ml.toolkit import boosting

if TYPE_CHECKING:
    import xgboost as xgb

    Crossed = dict[int, xgb.Booster]

RELEVANCE, ENGAGEMENT, PURCHASE = "relevance", "engagement", "purchase"
RANKERS = (RELEVANCE, ENGAGEMENT, PURCHASE)
TOP_GRADE = 3.0
_COUNT = {ENGAGEMENT: "engaged", PURCHASE: "purchased"}
RISING = (*MATCH, "semantic")  # a better match is never less relevant: what few judgements cannot teach
WANTED = (RELEVANCE, "pair_engaged", "pair_purchased", "product_engaged", "product_purchased")
FEW = 1200  # judged pairs
_LAYERS = 5
_SHARES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows to learn from, with a label between 0 and 1 and a weight each."""

    sheet: Sheet
    label: Floats
    weight: Floats

    def take(self, some: NDArray[np.bool_]) -> Labelled:
        """Some of the rows."""
        return Labelled(self.sheet.take(some), self.label[some], self.weight[some])


def judged(known: Sheet, seed: int) -> Labelled:
    """The rows of the newest day that have a grade: a pair's relevance is one fact, whenever it was shown.

    For half of the queries what other judgements say of them is hidden, so that the ranker also learns to do without.
    """
    good = graded(known)
    seen = good.sheet.seen.copy()
    columns = [list(FEATURES).index(name) for name in JUDGED]
    seen[np.ix_(hashed(good.sheet.texts("query"), seed, 2) == 0, columns)] = np.nan
    return Labelled(Sheet(good.sheet.rows, seen), good.label, good.weight)


def graded(known: Sheet) -> Labelled:
    """The rows of the newest day that have a grade, as they are; a pair's rows weigh 1 together."""
    some = known.take(np.isfinite(known.column("grade")))
    some = some.take(newest(some))
    pair = np.char.add(np.char.add(some.texts("query"), "\t"), some.texts("product_id"))
    _, place, times = np.unique(pair, return_inverse=True, return_counts=True)
    return Labelled(some, some.column("grade") / TOP_GRADE, 1.0 / times[place])


def newest(known: Sheet) -> NDArray[np.bool_]:
    """Which rows are of the last day that has any: every judged pair is a candidate then."""
    days = np.asarray(known.rows.column("day").cast("string").to_pylist(), dtype=str)
    return np.asarray(days == max(days, default=""))


def only_rising(good: Labelled) -> tuple[str, ...]:
    """The columns that can only raise relevance: RISING where few pairs were judged, none where many were."""
    return RISING if good.weight.sum() < FEW else ()


def wanted(rows: Labelled, params: RelevanceFusionParams, rounds: int | None = None) -> xgb.Booster:
    """A ranker of what is wanted: never less for being more relevant, or for having been wanted more before."""
    return grow(rows, params, rounds=rounds, rising=WANTED)


def converted(known: Sheet) -> Labelled:
    """The rows that were engaged with, with the share of engagements that became purchases.

    Whatever was engaged with had been looked at: the place has no say in it (Ma et al. 2018 learn purchases in the
    same two steps, from all impressions).
    """
    some = known.take(known.column("engaged") > 0)
    engaged = some.column("engaged")
    return Labelled(some, some.column("purchased") / engaged, engaged)


def told(seen: NDArray[np.float32], relevance: Floats) -> NDArray[np.float32]:
    """The columns with what the ranker of relevance says."""
    out = seen.copy()
    out[:, list(FEATURES).index(RELEVANCE)] = relevance
    return out


def hashed(names: NDArray[np.str_], seed: int, groups: int) -> NDArray[np.int64]:
    """A group from 0 to groups - 1 for each name, the same on every machine."""
    from zlib import crc32

    unique, place = np.unique(names, return_inverse=True)
    group = np.asarray([crc32(f"{seed}/{name}".encode()) % groups for name in unique], dtype=np.int64)
    return group[place] if len(unique) else np.zeros(0, dtype=np.int64)


def observed(known: Sheet, ranker: str, debias: str) -> Labelled:
    """The rows that were shown, with the chance that was observed."""
    some = known.take(known.column("shown") > 0)
    count = some.column(_COUNT[ranker] if debias == "none" else f"ips_{_COUNT[ranker]}")
    weight = np.maximum(some.column("shown"), count)
    return Labelled(some, count / weight, weight)


def mixed(known: Sheet, weight: float, params: RelevanceFusionParams) -> Labelled:
    """Rows of which each draws its label once: relevance with chance `weight`, what was wanted otherwise.

    Stochastic label aggregation (Carmel et al. 2020); a row without the label that it draws is left out. Both labels
    have the same mean, and the rows of relevance weigh `weight` of all, as if every row had both labels.
    """
    grade, shown = known.column("grade"), known.column("shown")
    drawn = np.random.default_rng(params.seed).random(len(grade)) < weight
    good = _even(judged(known.take(drawn & np.isfinite(grade)), params.seed))
    sides = [
        observed(known.take(~drawn & (shown > 0)), ranker, params.debias) for ranker in (PURCHASE, ENGAGEMENT)
    ]
    share = params.engagement_share
    bought, clicked = (_even(side) for side in sides)
    wanted = Labelled(bought.sheet, (1 - share) * bought.label + share * clicked.label, bought.weight)
    return Labelled(
        Sheet(pa.concat_tables([good.sheet.rows, wanted.sheet.rows]), np.vstack([good.sheet.seen, wanted.sheet.seen])),
        np.concatenate([good.label, wanted.label]),
        np.concatenate([weight * good.weight, (1 - weight) * wanted.weight]),
    )  # fmt: skip


def _even(rows: Labelled) -> Labelled:
    """Labels with a mean of 1, weights with a sum of 1."""
    if not len(rows.label):
        return rows
    mean = float(np.average(rows.label, weights=rows.weight)) or 1.0
    return Labelled(rows.sheet, rows.label / mean, rows.weight / rows.weight.sum())


_GROUPS = 4


def group_of(known: Sheet, params: RelevanceFusionParams) -> NDArray[np.int64]:
    """Of each row the group of its query: what is learned without the judgements of one is judged by them."""
    return hashed(known.texts("query"), params.seed + 1, _GROUPS)


def grow_relevance(good: Labelled, params: RelevanceFusionParams, rounds: int | None = None) -> xgb.Booster:
    """The ranker of relevance."""
    return grow(good, params, rounds=rounds, rising=only_rising(good))


def crossed(known: Sheet, params: RelevanceFusionParams, rounds: int | None = None) -> Crossed:
    """By group of queries a ranker of relevance that was grown on the other groups' judgements (on all, where no other
    group has any); none without any."""
    group = group_of(known, params)
    every = judged(known, params.seed)
    if not len(every.label):
        return {}
    others = {number: judged(known.take(group != number), params.seed) for number in range(_GROUPS)}
    return {
        number: grow_relevance(good if len(good.label) else every, params, rounds)
        for number, good in others.items()
    }


def said_by(crossed: Crossed, known: Sheet, params: RelevanceFusionParams) -> Floats:
    """What each row's own group's ranker says of it; NaN where there is none."""
    group = group_of(known, params)
    out = np.full(len(group), np.nan)
    for number, booster in crossed.items():
        out[group == number] = chances(booster, known.seen[group == number])
    return out


def unseen(
    crossed: Crossed, judge: Sheet, params: RelevanceFusionParams
) -> list[tuple[xgb.Booster, Labelled]]:
    """Each group's ranker with the judged rows of its group, which it has not seen."""
    group = group_of(judge, params)
    return [(booster, graded(judge.take(group == number))) for number, booster in crossed.items()]


def grow(
    rows: Labelled,
    params: RelevanceFusionParams,
    objective: str = "binary:logistic",
    rounds: int | None = None,
    rising: Collection[str] = (),
) -> xgb.Booster:
    """A booster of the mean label: chances, or any numbers with `reg:squarederror`.

    `rounds` instead of params'; `rising`: columns that can only raise what is said.
    """
    mean = float(np.average(rows.label, weights=rows.weight))
    recipe = boosting.Recipe(
        objective=objective, rounds=rounds or params.rounds, learning_rate=params.learning_rate, depth=params.depth,
        minimum_weight=5.0, columns=0.6, seed=params.seed, nthread=params.nthread,
        options={"base_score": float(np.clip(mean, 1e-4, 1 - 1e-4)),
                 "monotone_constraints": tuple(int(name in rising) for name in FEATURES)},
    )  # fmt: skip
    weight = rows.weight / rows.weight.mean()
    return boosting.grow(
        recipe, boosting.Table.of(list(FEATURES), rows.sheet.seen, recipe), rows.label, weight
    )


def enough(grown: Sequence[tuple[xgb.Booster, Labelled]], rounds: int) -> int:
    """After how many rounds boosters tell rows that they have not seen best (logistic loss, on a grid of rounds)."""
    import xgboost as xgb

    known = [(booster, rows) for booster, rows in grown if len(rows.label)]
    labels = np.concatenate([np.zeros(0), *(rows.label for _, rows in known)])
    if not len(labels) or labels.min() == labels.max():
        return rounds
    losses: defaultdict[int, float] = defaultdict(float)
    for booster, rows in known:
        data = xgb.DMatrix(rows.sheet.seen, feature_names=list(FEATURES))
        for number in sorted({max(1, round(rounds * share)) for share in _SHARES}):
            chance = np.clip(booster.predict(data, iteration_range=(0, number)), 1e-6, 1 - 1e-6)
            loss = rows.label * np.log(chance) + (1 - rows.label) * np.log(1 - chance)
            losses[number] -= float(rows.weight @ loss)
    return min(losses, key=losses.__getitem__)


def grow_unbiased(known: Sheet, ranker: str, params: RelevanceFusionParams) -> xgb.Booster:
    """LambdaMART that learns the bias of places with the ranking (Hu et al. 2019, `lambdarank_unbiased`)."""
    row, label, page = pages(known, _COUNT[ranker])
    import xgboost as xgb

    data = xgb.QuantileDMatrix(
        known.seen[row], label=label, qid=page, feature_names=list(FEATURES), nthread=params.nthread
    )
    booster = xgb.train(
        {
            "objective": "rank:ndcg", "lambdarank_unbiased": True, "lambdarank_pair_method": "topk",
            "lambdarank_num_pair_per_sample": PLACES, "ndcg_exp_gain": False, "tree_method": "hist",
            "eta": params.learning_rate, "max_depth": params.depth, "colsample_bytree": 0.6, "lambda": 5.0,
            "seed": params.seed, "nthread": params.nthread, "verbosity": 0,
        },
        data, params.rounds,
    )  # fmt: skip
    booster.set_attr(scale="margin")
    return booster


def pages(known: Sheet, what: str) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Lists as they were shown: row, share of impressions with `what`, number of the list; sorted by list and place.

    A list takes, for a query in a period, the products most often shown at each place; the next list the next ones.
    """
    group = _groups(known)
    shown = np.column_stack([np.nan_to_num(known.column(f"shown_{k}")) for k in range(1, PLACES + 1)])
    count = np.column_stack([np.nan_to_num(known.column(f"{what}_{k}")) for k in range(1, PLACES + 1)])
    row, place = np.nonzero(shown)
    order = np.lexsort((row, -shown[row, place], place, group[row]))
    row, place = row[order], place[order]
    key = group[row] * PLACES + place
    first = np.r_[True, key[1:] != key[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(key)), 0))
    layer = np.arange(len(key)) - start
    kept = layer < _LAYERS
    row, place, page = row[kept], place[kept], (group[row] * _LAYERS + layer)[kept]
    sorted_ = np.lexsort((place, page))
    row, place, page = row[sorted_], place[sorted_], page[sorted_]
    return row, count[row, place] / shown[row, place], page


def _groups(known: Sheet) -> NDArray[np.int64]:
    day = np.asarray(known.rows.column("day").cast("string").to_pylist(), dtype=str)
    key = np.char.add(np.char.add(known.texts("query"), "\t" + known.texts("modality")), day)
    return np.unique(key, return_inverse=True)[1].astype(np.int64)


def chances(booster: xgb.Booster, seen: NDArray[np.float32]) -> Floats:
    """What a booster says of rows; margins become chances, in the same order."""
    if not len(seen):
        return np.zeros(0)
    said = boosting.predict(booster, list(FEATURES), seen)
    return 1 / (1 + np.exp(-said)) if booster.attr("scale") == "margin" else said
