"""The model: a total for each product, spread over its days, with quantiles that a trial has calibrated; its files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import numpy as np
from numpy.typing import NDArray

from ml.families.seasonality import dense, levels, quantiles, rows
from ml.families.seasonality.bands import Bands, learn_bands
from ml.families.seasonality.clock import clock
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import MEMORY_DAYS, Sheet, Source, open_source, sheet_of
from ml.toolkit import boosting, text
from ml.toolkit.splits import training_origins

if TYPE_CHECKING:
    import xgboost as xgb

    Boosters = dict[str, xgb.Booster]

Floats = NDArray[np.float64]
DORMANT_DAYS = 182
COVERED = 0.81
SEASONED_DAYS = 455
_ENOUGH = 100
_TRIALS = 2


@dataclass(frozen=True, slots=True)
class Blend:
    """What the trial has shown.

    `totals`, `steps`: how far totals and steps stray, by the size of the expectation. Where a step's mean is above
    `certain`, the low quantile is above zero: a step without a sale is then outside the band. It is set so that the
    band covers what it says.
    """

    dense: bool
    certain: float
    totals: Bands
    steps: Bands


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model; its boosters by part."""

    step: int
    horizon: int
    seasoned: bool
    space: text.TextSpace
    boosters: Boosters
    blend: Blend


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of n origin rows: mean (n x horizon), quantiles (n x horizon x levels)."""

    mean: Floats
    quantiles: Floats


def fit(matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> Model:
    """Fit on what the matrix knows before `as_of`.

    A trial that ends _TRIALS horizons earlier forecasts these horizons; its errors give the quantiles. Then the
    boosters of the means are grown on everything.
    """
    source = _source(matrix, as_of, params)
    known, space = _training_sheet(source, params)
    is_dense = source.dense
    trial, test = _trial(known, params, is_dense=is_dense)
    mean = _means(trial, test, is_dense=is_dense)
    boosters = _grow(known, params, is_dense=is_dense)
    if not is_dense:
        boosters[quantiles.QUANTILES] = quantiles.grow(test, mean, params)
    blend = _calibrate(boosters, test, mean, is_dense=is_dense)
    return Model(source.step, source.horizon, source.seasoned, space, boosters, blend)


def _source(matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> Source:
    step = rows.step_days(matrix)
    known = (as_of - rows.first_day(matrix, as_of)).days
    seasoned = min(known, params.training_days) > SEASONED_DAYS
    days = params.training_days + MEMORY_DAYS
    return open_source(matrix, as_of, step, clock(as_of, step, params).horizon, seasoned=seasoned, days=days)


def _training_sheet(source: Source, params: SeasonalityParams) -> tuple[Sheet, text.TextSpace]:
    """Origins a spacing apart, and the products that had sold in the half year before.

    The horizons are over; in dense series, where steps stand alone, their first step is.
    """
    last = source.as_of - timedelta(days=(1 if source.dense else source.horizon) * source.step)
    spacing = max(source.step, params.origin_spacing // source.step * source.step)
    origins = training_origins(last - timedelta(days=params.training_days), last, spacing)
    found = rows.at_origins(source.matrix, [origin for origin in origins if origin >= source.panel.first])
    awake = ~(rows.column(found, "days_since_sale") > DORMANT_DAYS)
    some = rows.sample(found.filter(awake), params.max_rows, params.seed)
    titles = sorted({title or "" for title in some.column("title").to_pylist()})
    space = text.learn_space(titles, params.text_components, params.seed)
    return sheet_of(source, some, space), space


def _trial(known: Sheet, params: SeasonalityParams, *, is_dense: bool) -> tuple[Boosters, Sheet]:
    """Boosters of the origins that end before the last horizons, and the sheet of these horizons.

    With too little history for that, both are of all rows.
    """
    ends = known.source.panel.place_of(known.source.as_of)
    tested = np.isin(ends - known.place, np.arange(1, _TRIALS + 1) * known.horizon)
    first = np.min(known.place[tested], initial=ends)
    before = known.place <= first - known.horizon
    if min(before.sum(), tested.sum()) < _ENOUGH:
        return _grow(known, params, is_dense=is_dense), known
    test = known.take(np.flatnonzero(tested))
    return _grow(known.take(np.flatnonzero(before)), params, levels.TRIAL, is_dense=is_dense), test


def _grow(
    known: Sheet, params: SeasonalityParams, parts: tuple[str, ...] = levels.PARTS, *, is_dense: bool
) -> Boosters:
    """The boosters of the means; of dense series one of the total as well, which explains."""
    if is_dense:
        ends = known.source.panel.place_of(known.source.as_of)
        over = known.take(np.flatnonzero(known.place + known.horizon <= ends))
        return {dense.STEP: dense.grow(known, params), **levels.grow(over, params, (levels.MEAN,))}
    return levels.grow(known, params, parts)


def _means(boosters: Boosters, known: Sheet, *, is_dense: bool) -> Floats:
    if is_dense:
        return dense.means(boosters[dense.STEP], known)
    total = np.mean(list(levels.totals(boosters, known).values()), axis=0)
    return np.asarray(total[:, None] * known.shares, dtype=np.float64)


def _calibrate(boosters: Boosters, test: Sheet, mean: Floats, *, is_dense: bool) -> Blend:
    units = test.units
    there = ~np.isnan(units)
    totals = learn_bands(test.totals, mean.sum(axis=1), levels.PRIOR, bins=8)
    steps = learn_bands(units[there], mean[there], quantiles.OFFSET, bins=40)
    made = _quantiles(boosters, steps, test, mean)
    return Blend(is_dense, _certain(units, mean, made), totals, steps)


def _quantiles(boosters: Boosters, steps: Bands, known: Sheet, mean: Floats) -> Floats:
    """In dense series by size alone: the errors of a product's steps go together, and would be learned by heart."""
    if quantiles.QUANTILES not in boosters:
        return steps.around(mean)
    return quantiles.around(boosters[quantiles.QUANTILES], steps, known, mean)


def _certain(units: Floats, mean: Floats, made: Floats) -> float:
    """The mean above which an empty day counts as below the band, so that the band covers COVERED of the days."""
    there = ~np.isnan(units)
    actual, low, high = units[there], made[:, :, 0][there], made[:, :, 2][there]
    inside = (actual >= low) & (actual <= high)
    excess = int(inside.sum() - COVERED * there.sum())
    empty = np.sort(mean[there][inside & (actual == 0)])[::-1]
    if excess <= 0 or not len(empty):
        return float("inf")
    return float(empty[min(excess, len(empty)) - 1])


def forecast(model: Model, known: Sheet) -> Forecast:
    """Mean and quantiles of every origin row of the sheet."""
    awake = ~_dormant(known)[:, None]
    mean = _means(model.boosters, known, is_dense=model.blend.dense) * awake
    made = _quantiles(model.boosters, model.blend.steps, known, mean) * awake[:, :, None]
    sure = (mean >= model.blend.certain) & (mean > 0)
    made[:, :, 0] = np.where(sure, np.maximum(made[:, :, 0], 0.01 * mean), made[:, :, 0])
    return Forecast(mean, np.maximum.accumulate(made, axis=2))


def _dormant(known: Sheet) -> NDArray[np.bool_]:
    """Products without a sale for half a year, and without one at this time a year before: nothing is expected."""
    year_ago = np.nan_to_num(known.on_days("year_ago_7")).sum(axis=1)
    dormant: NDArray[np.bool_] = (rows.column(known.rows, "days_since_sale") > DORMANT_DAYS) & (year_ago <= 0)
    return dormant


def save(model: Model, folder: Path) -> None:
    """Write the boosters as UBJSON, the text space and the rest as JSON and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, booster in model.boosters.items():
        boosting.write(booster, folder / part)
    text.write(model.space, folder)
    rest = {
        "step": model.step, "horizon": model.horizon, "seasoned": model.seasoned,
        "boosters": sorted(model.boosters), "blend": asdict(model.blend),
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    rest = json.loads((folder / "model.json").read_text())
    boosters = {part: boosting.read(folder / part) for part in rest["boosters"]}
    raw = rest["blend"]
    blend = Blend(raw["dense"], raw["certain"], Bands.of(raw["totals"]), Bands.of(raw["steps"]))
    return Model(rest["step"], rest["horizon"], rest["seasoned"], text.read(folder), boosters, blend)
