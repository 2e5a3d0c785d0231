"""Why customers buy what annotators call irrelevant, as counted in one's own searches.

The study (Carmel et al. 2020, voice shopping) compares five ways to choose the first result of a query by what it
earns, and asks which properties make irrelevant results sell. Both are done here on results that were judged and
shown: a result is relevant from a mean grade of RELEVANT_GRADE on, irrelevant below IRRELEVANT_GRADE. Rates are
per time that a result was looked at, which takes the position out.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.relevance_fusion.catalogue import numbers
from ml.families.relevance_fusion.relations import RELEVANT_GRADE
from ml.families.relevance_fusion.worth import Board, Side, board, case_order

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
IRRELEVANT_GRADE = 1.0
LONG_QUERY = 7
_AIMS = {"purchase": "purchased", "engagement": "engaged"}
STRATEGIES: dict[str, str] = {
    "Optimal": "the result that is wanted most",
    "Relevant": "any relevant result",
    "Random": "any result",
    "Irrelevant": "any irrelevant result",
    "Worst": "the result that is wanted least",
}
FACTORS: dict[str, str] = {
    "popular": "it is among the more popular half of the shop",
    "cheaper": "it is cheaper than the relevant products",
    "short or long query": "the query has one word, or seven and more",
    "described alike": "its description is like the relevant products'",
    "bought together": "it is bought together with a relevant product",
}


def strategies(rows: pa.Table, draws: int, seed: int) -> pa.Table:
    """strategy, words, aim, modality, cases, ratio, low, high: worth of the first result against Optimal's.

    rows: query, product_id, modality, day, grade, exposure, engaged, purchased. Cases are queries (by modality)
    with both a relevant and an irrelevant result that was shown; intervals are a percentile bootstrap over queries.
    """
    some = rows.filter(pa.array(np.isfinite(numbers(rows, "grade")) & (numbers(rows, "exposure") > 0)))
    known = board(some.take(pa.array(case_order(some))))
    out: list[dict[str, object]] = []
    modality = np.asarray(known.table.column("modality").to_pylist(), dtype=str)
    for aim in _AIMS:
        for one in ("all", *np.unique(modality).tolist()):
            out += _compared(known, aim, one, modality, draws, seed)
    names = ("strategy", "words", "aim", "modality")
    kinds = [*((name, pa.string()) for name in names), ("cases", pa.int64())]
    schema = pa.schema([*kinds, *((name, pa.float64()) for name in ("ratio", "low", "high"))])
    return pa.Table.from_pylist(out, schema=schema)


def _compared(
    known: Board, aim: str, one: str, modality: NDArray[np.str_], draws: int, seed: int
) -> list[dict[str, object]]:
    side = known.sides.get(aim)
    if side is None:
        return []
    chosen = _choices(side, numbers(known.table, "grade")[side.rows])
    first = side.rows[side.cases.start]
    some = np.isfinite(np.column_stack(list(chosen.values()))).all(axis=1)
    some &= (modality[first] == one) | (one == "all")
    query = np.asarray(known.table.column("query").to_pylist(), dtype=str)[first[some]]
    weighed = {name: (worth * side.weight)[some] for name, worth in chosen.items()}
    return [
        {
            "strategy": name, "words": STRATEGIES[name], "aim": aim, "modality": one, "cases": int(some.sum()),
            **dict(zip(("ratio", "low", "high"), ratio(worth, weighed["Optimal"], query, draws, seed), strict=True)),
        }
        for name, worth in weighed.items()
        if some.any()
    ]  # fmt: skip


def _choices(side: Side, grade: Floats) -> dict[str, Floats]:
    """What each strategy's first result is worth, case by case; NaN where it has none to choose."""
    cases = side.cases

    def mean(some: Flags) -> Floats:
        number = cases.sums(some.astype(np.float64))
        return np.where(number > 0, cases.sums(side.worth * some) / np.maximum(number, 1), np.nan)

    return {
        "Optimal": cases.highest(side.worth),
        "Relevant": mean(grade >= RELEVANT_GRADE),
        "Random": mean(np.ones(len(grade), dtype=bool)),
        "Irrelevant": mean(grade < IRRELEVANT_GRADE),
        "Worst": -cases.highest(-side.worth),
    }


def ratio(
    top: Floats, bottom: Floats, cluster: NDArray[np.str_], draws: int, seed: int
) -> tuple[float, float, float]:
    """sum(top) / sum(bottom) with its 95 % interval, clusters drawn with replacement."""
    _, place = np.unique(cluster, return_inverse=True)
    size = int(place.max()) + 1
    upper, lower = np.bincount(place, top, size), np.bincount(place, bottom, size)
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)
    drawn = (times @ upper) / np.maximum(times @ lower, 1e-300)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(top.sum() / max(bottom.sum(), 1e-300)), float(low), float(high)


def factors(rows: pa.Table, draws: int, seed: int) -> pa.Table:
    """factor, words, aim, results, effect, low, high, adjusted, adjusted_low, adjusted_high.

    Of irrelevant results that were shown: `effect` is the rate of those that have the property over the rate of
    those that have not; `adjusted` the odds ratio when all properties are looked at together (logistic
    regression). Intervals are a percentile bootstrap over queries.
    """
    irrelevant = (numbers(rows, "grade") < IRRELEVANT_GRADE) & (numbers(rows, "exposure") > 0)
    some = rows.filter(pa.array(irrelevant))
    given = properties(some)
    out: list[dict[str, object]] = []
    for aim, what in _AIMS.items():
        if some.num_rows and numbers(some, what).sum() > 0:
            out += _effects(some, given, aim, draws, seed)
    columns = ("effect", "low", "high", "adjusted", "adjusted_low", "adjusted_high")
    kinds = [*((name, pa.string()) for name in ("factor", "words", "aim")), ("results", pa.int64())]
    return pa.Table.from_pylist(out, schema=pa.schema([*kinds, *((name, pa.float64()) for name in columns)]))


def properties(rows: pa.Table) -> dict[str, Floats]:
    """1 where a row has the property, 0 where not, NaN where it is not known; a category is a property, too."""
    words = numbers(rows, "query_words")
    there = "like_relevant" in rows.column_names
    alike = numbers(rows, "like_relevant") if there else np.full(rows.num_rows, np.nan)
    usual = float(np.nanmedian(alike)) if np.isfinite(alike).any() else 0.0
    found = {
        "popular": _flag(numbers(rows, "popularity"), lambda v: v >= 0.5),
        "cheaper": _flag(numbers(rows, "price_to_relevant"), lambda v: v < 1),
        "short or long query": _flag(words, lambda v: (v <= 1) | (v >= LONG_QUERY)),
        "described alike": _flag(alike, lambda v: v > usual),
        "bought together": _flag(numbers(rows, "bought_with_relevant"), lambda v: v > 0),
    }
    category = np.asarray([name or "none" for name in rows.column("category").to_pylist()], dtype=str)
    return found | {f"category {name}": (category == name).astype(np.float64) for name in np.unique(category)}


def _flag(values: Floats, test: object) -> Floats:
    return np.where(np.isfinite(values), test(values), np.nan).astype(np.float64)  # type: ignore[operator]


def _effects(
    rows: pa.Table, given: Mapping[str, Floats], aim: str, draws: int, seed: int
) -> list[dict[str, object]]:
    query = np.asarray(rows.column("query").to_pylist(), dtype=str)
    count, looks = numbers(rows, _AIMS[aim]), numbers(rows, "exposure")
    together = _adjusted(given, count, looks, query, seed)
    out = []
    for place, (name, flag) in enumerate(given.items()):
        alone = _rates(flag, count, looks, query, draws, seed)
        words = FACTORS.get(name, f"it is of the {name}")
        beside = dict(
            zip(("adjusted", "adjusted_low", "adjusted_high"), together[:, place].tolist(), strict=True)
        )
        effect = dict(zip(("effect", "low", "high"), alone, strict=True))
        out.append({"factor": name, "words": words, "aim": aim, "results": len(count), **effect, **beside})
    return out


def _rates(
    flag: Floats, count: Floats, looks: Floats, query: NDArray[np.str_], draws: int, seed: int
) -> tuple[float, float, float]:
    """Rate with the property over rate without, with its interval; NaN where one of the two was never seen."""
    _, place = np.unique(query, return_inverse=True)
    size = int(place.max()) + 1
    sums = [
        np.bincount(place, values * (flag == side), size).astype(np.float64)
        for side in (1, 0)
        for values in (count, looks)
    ]
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)

    def over(some: list[Floats]) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((some[0] / some[1]) / (some[2] / some[3]))

    point = float(over([np.asarray(one.sum()) for one in sums]))
    drawn = over([times @ one for one in sums])
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
    return point if np.isfinite(point) else float("nan"), float(low), float(high)


def _adjusted(
    given: Mapping[str, Floats],
    count: Floats,
    looks: Floats,
    query: NDArray[np.str_],
    seed: int,
    draws: int = 60,
) -> Floats:
    """Odds ratios of all properties together with their intervals (3 x properties)."""
    seen = np.nan_to_num(np.column_stack(list(given.values())))
    names, place = np.unique(query, return_inverse=True)
    random = np.random.default_rng(seed)
    point = _odds(seen, count, looks)
    drawn = []
    for _ in range(draws):
        times = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))[place]
        drawn.append(_odds(seen, count * times, looks * times))
    low, high = np.quantile(np.asarray(drawn), [0.025, 0.975], axis=0)
    odds: Floats = np.exp(np.stack([point, low, high]))
    return np.where(np.ptp(seen, axis=0) > 0, odds, np.nan) if len(seen) else odds * np.nan


def _odds(seen: Floats, count: Floats, looks: Floats) -> Floats:
    """Log odds ratios of the columns (a weak ridge keeps those that are never seen at 0)."""
    from sklearn.linear_model import LogisticRegression

    looks = np.maximum(looks, count)
    rows, happened = np.vstack([seen, seen]), np.repeat([1, 0], len(seen))
    weight = np.concatenate([count, looks - count])
    some = weight > 0
    if len(np.unique(happened[some])) < 2:
        return np.zeros(seen.shape[1])
    fitted = LogisticRegression(C=10.0, max_iter=200).fit(
        rows[some], happened[some], sample_weight=weight[some]
    )
    return np.asarray(fitted.coef_[0], dtype=np.float64)
