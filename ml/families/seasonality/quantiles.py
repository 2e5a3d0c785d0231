"""Quantiles of single days around their mean: three views, averaged level by level.

By the size of the expectation alone; by a booster that also sees how the product sells; by the product's own last
days, scaled towards what is expected of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.seasonality import design, trade
from ml.families.seasonality.bands import LEVELS, Bands
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import Sheet
from ml.toolkit import boosting

if TYPE_CHECKING:
    import xgboost as xgb

Floats = NDArray[np.float64]
QUANTILES = "quantiles"
OFFSET = 0.3
DAY_ROWS = 100_000
ROUNDS = 100
_RECENT_DAYS = 56
_HALF_LIFE = 14.0
_OF_ORIGIN = ("share_28", "share_84", "lines_28", "lines_84", "basket", "days_since_sale", "growth_28")
_AGAINST_TOTAL = ("rate_7", "smoothed", "largest")


def grow(known: Sheet, mean: Floats, params: SeasonalityParams) -> xgb.Booster:
    """Quantiles of units over the expected units, weighted so that the loss is that of the units themselves."""
    units = known.units
    keep = trade.sample(~np.isnan(units) & (mean > 0), DAY_ROWS, params.seed)
    columns = _columns(known, mean, keep)
    scale = mean.ravel()[keep] + OFFSET
    recipe = boosting.Recipe(
        "reg:quantileerror", min(ROUNDS, params.rounds), 0.1, 4, minimum_weight=30, columns=0.7, l2=1.0, bins=64,
        seed=params.seed, nthread=params.nthread, options={"quantile_alpha": list(LEVELS)},
    )  # fmt: skip
    return boosting.grow(
        recipe,
        boosting.Table.of(tuple(columns), design.stack(columns), recipe),
        units.ravel()[keep] / scale,
        scale / scale.mean(),
    )


def around(booster: xgb.Booster, sizes: Bands, known: Sheet, mean: Floats) -> Floats:
    """n x horizon x levels, in order."""
    made = (sizes.around(mean) + _seen(booster, known, mean) + _own(known, mean)) / 3
    return np.asarray(np.sort(np.where(mean[:, :, None] > 0, made, 0.0), axis=2))


def _seen(booster: xgb.Booster, known: Sheet, mean: Floats) -> Floats:
    columns = _columns(known, mean, np.arange(mean.size))
    made = boosting.predict(booster, tuple(columns), design.stack(columns))
    scaled = np.maximum(made, 0) * (mean.ravel() + OFFSET)[:, None]
    return np.sort(scaled, axis=1).reshape(*mean.shape, len(LEVELS))


def _columns(known: Sheet, mean: Floats, keep: NDArray[np.intp]) -> design.Columns:
    total = np.log1p(mean.sum(axis=1))
    shape = {name: known.level_columns[name] for name in _OF_ORIGIN}
    shape |= {name: known.level_columns[name] - total for name in _AGAINST_TOTAL}
    shape["typical"] = known.level_columns["typical_28"] - known.level_columns["rate_28"]
    scale = mean.mean(axis=1) + OFFSET
    for days in (28, 56):
        found, _ = recent(known, days, half_life=None)
        shape |= {f"own_{days}_{place}": (found[:, place] + 0.1) / scale for place in (1, 2)}
    day = {"total": total, **shape}
    row = keep // known.horizon
    part = mean / np.maximum(mean.mean(axis=1, keepdims=True), 1e-9)
    return {**{name: values[row] for name, values in day.items()}, "part": part.ravel()[keep]}


def recent(known: Sheet, days: int, half_life: float | None) -> tuple[Floats, Floats]:
    """Weighted quantiles (n x levels) and mean (n) of each product's last `days` days, closed weekdays left out."""
    steps = days // known.source.step
    quantiles, means = np.zeros((len(known.product), len(LEVELS))), np.zeros(len(known.product))
    for place in np.unique(known.place):
        some = known.place == place
        before = known.source.tamed[known.product[some], max(place - steps, 0) : place]
        if not before.shape[1]:
            continue
        weight = trade.open_steps(known.source.roots, int(place), before.shape[1], known.source.step)
        if half_life is not None:
            weight = weight * 0.5 ** (np.arange(before.shape[1])[::-1] * known.source.step / half_life)
        quantiles[some] = trade.quantiles_of_recent(before, weight, LEVELS)
        means[some] = before @ weight / max(float(weight.sum()), 1e-9)
    return quantiles, means


def _own(known: Sheet, mean: Floats) -> Floats:
    """Quantiles of the product's last days, times the root of expected over own mean, spread as the mean is."""
    found, own = recent(known, _RECENT_DAYS, _HALF_LIFE)
    trading = np.maximum((mean > 0).sum(axis=1), 1)
    expected = mean.sum(axis=1) / trading
    scale = np.sqrt((expected + 0.1) / (own + 0.1))
    part = mean / np.maximum(expected, 1e-9)[:, None]
    return np.asarray(found[:, None, :] * scale[:, None, None] * part[:, :, None])
