"""The horizon's total: four boosters that aim at different things, and so err differently; their mean is the point.

All of them start from the plain expectation b. One predicts the median of the logarithm of total over b; one the mean
(Tweedie); two the mean with the store's growth taken out of the target, so that a season that was seen once is not
taken for growth that goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml.families.seasonality import design
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import Sheet
from ml.toolkit import boosting

if TYPE_CHECKING:
    import xgboost as xgb

    Boosters = Mapping[str, xgb.Booster]

Floats = NDArray[np.float64]
MEDIAN, MEAN = "total_median", "total_mean"
POWERS = {"total_flat_17": 1.7, "total_flat_13": 1.3, MEAN: 1.5}
PARTS = (MEDIAN, *POWERS)
TRIAL = (MEDIAN, "total_flat_17")
PRIOR = 5.0


def grow(known: Sheet, params: SeasonalityParams, parts: tuple[str, ...] = PARTS) -> dict[str, xgb.Booster]:
    """The named boosters, on rows whose horizon is over."""
    seen = boosting.Table.of(
        tuple(known.level_columns), design.stack(known.level_columns), recipe("", params)
    )
    return {
        part: _median(known, seen, params) if part == MEDIAN else _mean(known, seen, part, params)
        for part in parts
    }


def recipe(objective: str, params: SeasonalityParams, **options: object) -> boosting.Recipe:
    """How the family's boosters of units are grown."""
    return boosting.Recipe(
        objective, params.rounds, params.learning_rate, params.depth, bins=64,
        seed=params.seed, nthread=params.nthread, options=dict(options),
    )  # fmt: skip


def _median(known: Sheet, seen: boosting.Table, params: SeasonalityParams) -> xgb.Booster:
    label = np.log((known.totals + PRIOR) / (known.base + PRIOR))
    return boosting.grow(recipe("reg:absoluteerror", params), seen, label, known.base + PRIOR)


def _mean(known: Sheet, seen: boosting.Table, part: str, params: SeasonalityParams) -> xgb.Booster:
    growth = 1.0 if part == MEAN else known.store_growth
    label = np.minimum(known.totals / growth, 5 * known.base + 100)
    tweedie = recipe("reg:tweedie", params, tweedie_variance_power=POWERS[part])
    return boosting.grow(tweedie, seen, label, margin=np.log(known.base + 1))


def totals(boosters: Boosters, known: Sheet) -> dict[str, Floats]:
    """The horizon's total by each booster that is there."""
    seen, names = design.stack(known.level_columns), tuple(known.level_columns)
    log = boosting.predict(boosters[MEDIAN], names, seen)
    out = {MEDIAN: np.maximum((known.base + PRIOR) * np.exp(log) - PRIOR, 0)}
    for part in (part for part in POWERS if part in boosters):
        out[part] = boosting.predict(boosters[part], names, seen, np.log(known.base + 1))
    return out
