"""The parts of the model: three boosters of the horizon's total, one of the day, and one of the day's quantiles.

The three differ in what they aim at (median; mean; mean with the store's growth taken out), and so in their mistakes:
their average beats each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from ml.families.seasonality import design
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import Sheet
from ml.toolkit import boosting

Floats = NDArray[np.float64]
Boosters = Mapping[str, xgb.Booster]
LEVELS = (0.1, 0.5, 0.9)
LEVEL_PARTS = ("level_median", "level_flat", "level_mean")
PARTS = (*LEVEL_PARTS, "day", "quantiles")
PRIOR = 5.0
OFFSET = 0.3
DAY_ROWS = 150_000


def grow_means(known: Sheet, params: SeasonalityParams, *, dense: bool) -> dict[str, xgb.Booster]:
    """The boosters of the total and of the day, on rows whose horizon is over."""
    day = _dense_day if dense else _day
    return {**_levels(known, params), "day": day(known, params)}


def _recipe(objective: str, params: SeasonalityParams, **options: object) -> boosting.Recipe:
    return boosting.Recipe(
        objective, params.rounds, params.learning_rate, params.depth,
        seed=params.seed, nthread=params.nthread, options=dict(options),
    )  # fmt: skip


def _levels(known: Sheet, params: SeasonalityParams) -> dict[str, xgb.Booster]:
    """Total over plain expectation, in logarithms, weighted by volume; and twice by Tweedie with it as offset."""
    seen, names = design.stack(known.level_columns), tuple(known.level_columns)
    label = np.log((known.totals + PRIOR) / (known.base + PRIOR))
    weight = (known.base + PRIOR) / (known.base.mean() + PRIOR)
    median = _recipe("reg:absoluteerror", params)
    mean = _recipe("reg:tweedie", params, tweedie_variance_power=1.5)
    flat = replace(mean, seed=params.seed + 1)
    capped, offset = np.minimum(known.totals, 5 * known.base + 100), np.log(known.base + 1)
    return {
        "level_median": boosting.grow(median, names, seen, label, weight),
        "level_flat": boosting.grow(flat, names, seen, capped / _store_growth(known), margin=offset),
        "level_mean": boosting.grow(mean, names, seen, capped, margin=offset),
    }


def _store_growth(known: Sheet) -> Floats:
    """What the whole store sold in each row's horizon over the four weeks before; 1 where a year has come round.

    Divided by it, the target is the product's own deviation, and a season seen only once cannot be taken for growth
    that goes on.
    """
    if known.seasoned:
        return np.ones(len(known.base))
    _, place = np.unique(
        np.asarray(known.rows.column("origin").to_pylist(), dtype="datetime64[D]"), return_inverse=True
    )
    sold, expected = (np.bincount(place, weights=some) for some in (known.totals, known.recent))
    growth: Floats = np.clip((sold + 1) / (expected + 1), 0.25, 4)[place]
    return growth


def _day(known: Sheet, params: SeasonalityParams) -> xgb.Booster:
    """Units of the day by Poisson regression, with the plain expectation as offset."""
    keep = _sample(~np.isnan(known.units.ravel()), DAY_ROWS, params.seed)
    usual = usual_day(known)[keep]
    units = np.minimum(known.units.ravel()[keep], 20 * usual + 20)
    recipe = _recipe("count:poisson", params, max_delta_step=0.7)
    return boosting.grow(recipe, tuple(known.day_columns), _seen(known, keep), units, margin=np.log(usual))


def _dense_day(known: Sheet, params: SeasonalityParams) -> xgb.Booster:
    """Logarithm of units + 1 over the level without promotions: the median, weighted by one over units.

    That weighted median is the optimum of the mean absolute percentage error, by which dense series are judged.
    """
    units = known.units.ravel()
    keep = _sample(units > 0, DAY_ROWS, params.seed)
    label = np.log1p(units[keep]) - known.plain[keep]
    weight = np.clip(np.exp(-label), 0.1, 4)
    recipe = replace(
        _recipe("reg:absoluteerror", params), rounds=params.rounds * 4 // 3, depth=params.depth + 2
    )
    return boosting.grow(recipe, tuple(known.day_columns), _seen(known, keep), label, weight)


def _seen(known: Sheet, keep: NDArray[np.intp]) -> NDArray[np.float32]:
    return design.stack({name: values[keep] for name, values in known.day_columns.items()})


def usual_day(known: Sheet) -> Floats:
    """The plain expectation of a day, never zero; n * horizon values."""
    return np.repeat(known.base / known.horizon + 0.02, known.horizon)


def level_totals(boosters: Boosters, known: Sheet) -> dict[str, Floats]:
    """The horizon's total by each booster of the total."""
    seen, names = design.stack(known.level_columns), tuple(known.level_columns)
    log = boosting.predict(boosters["level_median"], names, seen)
    totals = {"level_median": np.maximum((known.base + PRIOR) * np.exp(log) - PRIOR, 0)}
    for part in ("level_flat", "level_mean"):
        totals[part] = boosting.predict(boosters[part], names, seen, np.log(known.base + 1))
    return totals


def day_means(boosters: Boosters, known: Sheet, *, dense: bool) -> Floats:
    """Units of each day by the day's booster; n x horizon."""
    seen = design.stack(known.day_columns)
    if dense:
        log = boosting.predict(boosters["day"], tuple(known.day_columns), seen)
        return np.maximum(np.expm1(known.plain + log), 0).reshape(-1, known.horizon)
    made = boosting.predict(boosters["day"], tuple(known.day_columns), seen, np.log(usual_day(known)))
    return made.reshape(-1, known.horizon)


def quantile_columns(known: Sheet, mean: Floats) -> design.Columns:
    """What the quantiles' booster sees: how much is expected, and how this product sells; n * horizon values."""
    total = np.log1p(mean.sum(axis=1))
    shape = {
        name: known.origin[name]
        for name in (
            "share_28",
            "share_84",
            "lines_28",
            "lines_84",
            "basket",
            "days_since_sale",
            "growth_28",
            "bulk_84",
        )
    }
    shape |= {"week": known.origin["rate_7"] - total, "quarter": known.origin["rate_84"] - total}
    shape["typical"] = known.origin["typical_28"] - known.origin["rate_28"]
    spread = {name: np.repeat(values, known.horizon) for name, values in {"total": total, **shape}.items()}
    return {"expected": np.log(mean.ravel() + 1e-3), **spread, "ahead": known.day["ahead"]}


def grow_quantiles(known: Sheet, mean: Floats, params: SeasonalityParams) -> xgb.Booster:
    """Quantiles of units over the expected units, weighted so that the loss is that of the units themselves."""
    keep = _sample(~np.isnan(known.units.ravel()), DAY_ROWS, params.seed)
    columns = quantile_columns(known, mean)
    seen = design.stack({name: values[keep] for name, values in columns.items()})
    scale = mean.ravel()[keep] + OFFSET
    recipe = boosting.Recipe(
        "reg:quantileerror", 120, 0.1, 4, minimum_weight=30, columns=0.7, seed=params.seed, nthread=params.nthread,
        options={"quantile_alpha": list(LEVELS)},
    )  # fmt: skip
    label = known.units.ravel()[keep] / scale
    return boosting.grow(recipe, tuple(columns), seen, label, scale / scale.mean())


def day_quantiles(boosters: Boosters, known: Sheet, mean: Floats) -> Floats:
    """Quantiles of each day in order; n x horizon x levels."""
    columns = quantile_columns(known, mean)
    made = boosting.predict(boosters["quantiles"], tuple(columns), design.stack(columns))
    scaled = np.maximum(made, 0) * (mean.ravel() + OFFSET)[:, None]
    return np.sort(scaled, axis=1).reshape(*mean.shape, len(LEVELS))


def _sample(usable: NDArray[np.bool_], limit: int, seed: int) -> NDArray[np.intp]:
    there = np.flatnonzero(usable)
    if len(there) <= limit:
        return there
    return np.sort(np.random.default_rng(seed).choice(there, limit, replace=False))
