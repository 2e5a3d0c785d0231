"""How a total spreads over its days: the store's week, and, where a year has come round, plans and occasions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from ml.families.seasonality import design, levels
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import Sheet
from ml.toolkit import boosting

Floats = NDArray[np.float64]
SHAPE = "shape"
DAY_ROWS = 120_000
ROUNDS = 80
_OF_ORIGIN = ("price", "uplift", "promoted_28", "festive")


def grow(known: Sheet, params: SeasonalityParams) -> xgb.Booster:
    """Units of single days by Poisson regression; the offset is the row's own total, spread by the store's week."""
    units, usual = known.units, _usual(known, known.totals)
    keep = sample(~np.isnan(units) & (usual > 0), DAY_ROWS, params.seed)
    recipe = replace(
        levels.recipe("count:poisson", params, max_delta_step=0.7), rounds=min(ROUNDS, params.rounds)
    )
    columns = _columns(known, keep)
    label = np.minimum(units.ravel()[keep], 20 * usual.ravel()[keep] + 20)
    return boosting.grow(
        recipe, tuple(columns), design.stack(columns), label, margin=np.log(usual.ravel()[keep])
    )


def spread(booster: xgb.Booster | None, known: Sheet, total: Floats) -> Floats:
    """Totals over their days: n x horizon."""
    if booster is None:
        return np.asarray(total[:, None] * known.shares, dtype=np.float64)
    usual = _usual(known, total)
    every = np.arange(usual.size)
    columns = _columns(known, every)
    margin = np.log(np.maximum(usual.ravel(), 1e-6))
    seen = boosting.predict(booster, tuple(columns), design.stack(columns), margin).reshape(usual.shape)
    seen = np.where(usual > 0, seen, 0.0)
    return np.asarray(seen * (total / np.maximum(seen.sum(axis=1), 1e-9))[:, None])


def _usual(known: Sheet, total: Floats) -> Floats:
    return np.asarray((total + 0.5)[:, None] * known.shares, dtype=np.float64)


def _columns(known: Sheet, keep: NDArray[np.intp]) -> design.Columns:
    row = keep // known.horizon
    of_day = {
        name: known.on_days(name).ravel()[keep] for name in design.planned(seasoned=known.source.seasoned)
    }
    return {**{name: known.level_columns[name][row] for name in _OF_ORIGIN}, **of_day}


def sample(usable: NDArray[np.bool_], limit: int, seed: int) -> NDArray[np.intp]:
    """At most `limit` of the places that are usable, in their order."""
    there = np.flatnonzero(usable)
    if len(there) <= limit:
        return there
    return np.sort(np.random.default_rng(seed).choice(there, limit, replace=False))
