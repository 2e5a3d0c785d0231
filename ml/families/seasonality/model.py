"""The model: boosters and smoothing, blended as the last horizon before the origin says, and their files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import xgboost as xgb
from numpy.typing import NDArray

from ml.families.seasonality import parts, rows
from ml.families.seasonality.bands import Bands, learn_bands
from ml.families.seasonality.clock import clock
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.sheet import Sheet, Source, open_source, sheet_of
from ml.toolkit import boosting, text
from ml.toolkit.metrics import wape
from ml.toolkit.splits import training_origins

Floats = NDArray[np.float64]
DORMANT_DAYS = 182
COVERED = 0.8
SEASONED_DAYS = 455
_ENOUGH = 100


@dataclass(frozen=True, slots=True)
class Blend:
    """How the parts are joined.

    `dense`: nearly every step has a sale, and the day's booster speaks in logarithms. `day` is the weight
    of the day's booster in the total; the rest is shared equally by smoothing and the boosters of
    the total. Where a day's mean is above `certain`, the low quantile is above zero: a day without a sale is then
    outside the band. It is set so that the band covers what it says.
    """

    dense: bool
    day: float
    certain: float
    totals: Bands
    days: Bands


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted model; `boosters` by part (`parts.PARTS`)."""

    step: int
    horizon: int
    seasoned: bool
    space: text.TextSpace
    boosters: dict[str, xgb.Booster]
    blend: Blend


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of n origin rows: mean (n x horizon), quantiles (n x horizon x levels), each component's total (n)."""

    mean: Floats
    quantiles: Floats
    components: dict[str, Floats]


def fit(matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> Model:
    """Fit on what the matrix knows before `as_of`.

    A trial on all but the last horizon forecasts that horizon; from its errors come the blend and the quantiles. Then
    the boosters of the means are grown again on everything.
    """
    step = rows.step_days(matrix)
    horizon = clock(as_of, step, params).horizon
    source = open_source(matrix, as_of, step, horizon, seasoned=_seasoned(matrix, as_of, params))
    held_out = as_of - timedelta(days=source.horizon * step)
    found = _training_rows(source, held_out, params)
    space = text.learn_space(
        sorted(set(found.column("title").to_pylist())), params.text_components, params.seed
    )
    known = sheet_of(source, found, space)
    trial, test = _trial(known, held_out, params)
    blend, quantiles = _calibrate(trial, test, params, dense=known.dense)
    boosters = {**parts.grow_means(known, params, dense=known.dense), "quantiles": quantiles}
    return Model(step, source.horizon, source.seasoned, space, boosters, blend)


def _seasoned(matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> bool:
    """Whether the training rows tell more than a year and a quarter."""
    first = matrix.aggregate(first=matrix.day.min()).to_pyarrow().column("first")[0].as_py()
    known = (as_of - first).days if first else 0
    return min(known, params.training_days) > SEASONED_DAYS


def _training_rows(source: Source, last: date, params: SeasonalityParams) -> pa.Table:
    spacing = max(source.step, params.origin_spacing // source.step * source.step)
    origins = training_origins(last - timedelta(days=params.training_days), last, spacing)
    found = rows.at_origins(source.matrix, origins)
    awake = ~(rows.column(found, "days_since_sale") > DORMANT_DAYS)
    return rows.sample(found.filter(pa.array(awake)), max(1, params.max_rows // source.horizon), params.seed)


def _trial(known: Sheet, held_out: date, params: SeasonalityParams) -> tuple[dict[str, xgb.Booster], Sheet]:
    """Boosters that end before the held-out window, and the sheet of that window.

    With too little history for that, both are of all rows.
    """
    origin = np.asarray(known.rows.column("origin").to_pylist(), dtype="datetime64[D]")
    horizon_days = known.horizon * known.step
    earlier = origin <= np.datetime64(held_out) - horizon_days
    last = origin == np.datetime64(held_out)
    if min(earlier.sum(), last.sum()) < _ENOUGH:
        return parts.grow_means(known, params, dense=known.dense), known
    before, test = (known.take(np.flatnonzero(some)) for some in (earlier, last))
    return parts.grow_means(before, params, dense=known.dense), test


def _calibrate(
    trial: dict[str, xgb.Booster], test: Sheet, params: SeasonalityParams, *, dense: bool
) -> tuple[Blend, xgb.Booster]:
    components, day = _components(trial, test, dense=dense)
    actual = np.nan_to_num(test.units)
    shares = (1.0,) if dense else (0.0, 0.25, 0.5, 0.75, 1.0)
    errors = {share: _error(actual, _mean(components, day, share)) for share in shares}
    share = min(errors, key=lambda option: errors[option])
    mean = _mean(components, day, share)
    quantiles = parts.grow_quantiles(test, mean, params)
    there = ~np.isnan(test.units)
    totals = learn_bands(actual.sum(axis=1), mean.sum(axis=1), parts.PRIOR, bins=8)
    days = learn_bands(test.units[there], mean[there], parts.OFFSET, bins=30)
    made = _quantiles({"quantiles": quantiles}, days, test, mean, dense=dense)
    return Blend(dense, share, _certain(test.units, mean, made), totals, days), quantiles


def _quantiles(
    boosters: dict[str, xgb.Booster], days: Bands, known: Sheet, mean: Floats, *, dense: bool
) -> Floats:
    """By the size of the expectation alone, and by the booster that also sees how the product sells: their average.

    In dense series the errors of one product's steps go together, and the booster would learn products by heart.
    """
    by_size = days.around(mean)
    return by_size if dense else (by_size + parts.day_quantiles(boosters, known, mean)) / 2


def _error(actual: Floats, mean: Floats) -> float:
    """Error of the totals and of the steps, equally."""
    return wape(actual.sum(axis=1), mean.sum(axis=1)) + wape(actual, mean)


def _certain(units: Floats, mean: Floats, quantiles: Floats) -> float:
    """The mean above which an empty day counts as below the band, so that the band covers COVERED of the days."""
    there = ~np.isnan(units)
    actual, low, high = units[there], quantiles[:, :, 0][there], quantiles[:, :, 2][there]
    inside = (actual >= low) & (actual <= high)
    excess = int(inside.sum() - COVERED * there.sum())
    empty = np.sort(mean[there][inside & (actual == 0)])[::-1]
    if excess <= 0 or not len(empty):
        return float("inf")
    return float(empty[min(excess, len(empty)) - 1])


def _components(
    boosters: dict[str, xgb.Booster], known: Sheet, *, dense: bool
) -> tuple[dict[str, Floats], Floats]:
    day = parts.day_means(boosters, known, dense=dense)
    return {"tsb": known.tsb, **parts.level_totals(boosters, known), "day": day.sum(axis=1)}, day


def _mean(components: dict[str, Floats], day: Floats, share: float) -> Floats:
    """The blended total, spread over the days as the day's booster sees them."""
    others = np.mean([values for name, values in components.items() if name != "day"], axis=0)
    total = share * components["day"] + (1 - share) * others
    mean: Floats = day * (total / np.maximum(components["day"], 1e-9))[:, None]
    return mean


def forecast(model: Model, known: Sheet) -> Forecast:
    """Mean, quantiles and components of every origin row of the sheet."""
    components, day = _components(model.boosters, known, dense=model.blend.dense)
    awake = ~_dormant(known)[:, None]
    mean = _mean(components, day, model.blend.day) * awake
    made = _quantiles(model.boosters, model.blend.days, known, mean, dense=model.blend.dense)
    quantiles = made * awake[:, :, None]
    sure = (mean >= model.blend.certain) & (mean > 0)
    low = np.where(sure, np.maximum(quantiles[:, :, 0], 0.01 * mean), quantiles[:, :, 0])
    quantiles[:, :, 0] = low
    return Forecast(mean, np.maximum.accumulate(quantiles, axis=2), components)


def _dormant(known: Sheet) -> NDArray[np.bool_]:
    """Products without a sale for half a year, and without one at this time a year before: nothing is expected."""
    year_ago = np.nan_to_num(rows.column(known.days, "year_ago_7")).reshape(-1, known.horizon).sum(axis=1)
    dormant: NDArray[np.bool_] = (rows.column(known.rows, "days_since_sale") > DORMANT_DAYS) & (year_ago <= 0)
    return dormant


def save(model: Model, folder: Path) -> None:
    """Write the boosters as UBJSON, the text space and the rest as JSON and arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in parts.PARTS:
        boosting.write(model.boosters[part], folder / part)
    text.write(model.space, folder)
    rest = {
        "step": model.step,
        "horizon": model.horizon,
        "seasoned": model.seasoned,
        "blend": asdict(model.blend),
    }
    (folder / "model.json").write_text(json.dumps(rest, indent=1, sort_keys=True))


def load(folder: Path) -> Model:
    """Read what `save` wrote."""
    rest = json.loads((folder / "model.json").read_text())
    boosters = {part: boosting.read(folder / part) for part in parts.PARTS}
    return Model(
        rest["step"], rest["horizon"], rest["seasoned"], text.read(folder), boosters, _blend(rest["blend"])
    )


def _blend(raw: dict[str, Any]) -> Blend:
    totals, days = (Bands.of(raw[name]) for name in ("totals", "days"))
    return Blend(raw["dense"], raw["day"], raw["certain"], totals, days)
