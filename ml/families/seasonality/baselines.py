"""What a sceptic would use instead: the same week again, smoothing for intermittent demand, exponential smoothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.seasonality import rows
from ml.families.seasonality.clock import Clock, clock
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.scoring import SCHEMA
from ml.toolkit.intermittent import tame, tsb

Floats = NDArray[np.float64]
LEVELS = (0.1, 0.5, 0.9)
_RECENT_DAYS = 84
_MEMORY_DAYS = 400


def baselines(matrix: ibis.Table, as_of: date, params: SeasonalityParams) -> Mapping[str, pa.Table]:
    """`seasonal_naive`, `tsb` and `autoets`, each for the same rows as the model's forecasts.

    AutoETS is fitted to the `autoets_series` products of the largest recent volume, and to their sum, which the rest
    share in proportion: fitting it to every series of a large shop takes hours and is worse on intermittent demand.
    """
    time = clock(as_of, rows.step_days(matrix), params)
    shelf = _shelf(matrix, as_of)
    panel = rows.read_panel(matrix, as_of, time.step_days, _MEMORY_DAYS // time.step_days, time.horizon)
    units = panel.units_before(shelf, as_of, panel.place_of(as_of))
    recent = _recent_quantiles(units, time)
    made = {"seasonal_naive": _seasonal_naive(units, time), "tsb": _tsb(units, time)}
    if params.autoets_series:
        made["autoets"] = _autoets(units, time, params.autoets_series)
    return {name: _rows(shelf, time, mean, recent) for name, mean in made.items()}


def _shelf(matrix: ibis.Table, as_of: date) -> list[str]:
    found = matrix.filter(matrix.day == ibis.date(as_of)).select("product_id").order_by("product_id")
    return [str(name) for name in found.to_pyarrow().column("product_id").to_pylist()]


def _seasonal_naive(units: Floats, time: Clock) -> Floats:
    """The same step of the last season: the last week of days, or the last year of weeks."""
    season = 7 if time.step_days == 1 else min(52, units.shape[1])
    last = units[:, -season:]
    return np.tile(last, (1, -(-time.horizon // season)))[:, : time.horizon]


def _tsb(units: Floats, time: Clock) -> Floats:
    return np.repeat(tsb(tame(units))[:, None], time.horizon, axis=1)


def _autoets(units: Floats, time: Clock, limit: int) -> Floats:
    volume = units[:, -time.steps(_RECENT_DAYS) :].sum(axis=1)
    top = np.argsort(-volume, kind="stable")[:limit]
    rest = np.setdiff1d(np.arange(len(units)), top)
    out = np.zeros((len(units), time.horizon))
    fitted = _fit_ets(np.vstack([units[top], units[rest].sum(axis=0)]), time)
    out[top] = fitted[:-1]
    share = volume[rest] / max(float(volume[rest].sum()), 1e-9)
    out[rest] = share[:, None] * fitted[-1]
    return out


def _fit_ets(units: Floats, time: Clock) -> Floats:
    """By weeks, spread evenly over the days: on single days most series are mostly zero."""
    from statsforecast.models import AutoETS

    per_week = 7 // time.step_days
    weeks = min(52, units.shape[1] // per_week)
    long = units[:, units.shape[1] - weeks * per_week :].reshape(len(units), weeks, per_week).sum(axis=2)
    ahead = -(-time.horizon // per_week)
    model = AutoETS(season_length=1, model="AZN", damped=True)
    made = np.asarray([model.forecast(y=series, h=ahead)["mean"] for series in long])
    bounded = np.clip(made, 0, long.max(axis=1, keepdims=True))
    return np.repeat(bounded / per_week, per_week, axis=1)[:, : time.horizon]


def _recent_quantiles(units: Floats, time: Clock) -> Floats:
    """Quantiles of each product's recent steps: products x levels."""
    recent = units[:, -time.steps(_RECENT_DAYS) :]
    return np.quantile(recent, LEVELS, axis=1).T


def _rows(shelf: list[str], time: Clock, mean: Floats, quantiles: Floats) -> pa.Table:
    count = len(shelf)
    days = [time.day(step) for step in range(time.horizon)]
    spread = np.repeat(quantiles, time.horizon, axis=0)
    columns = [
        pa.array(np.repeat(np.asarray(shelf, dtype=object), time.horizon), pa.string()),
        pa.array(days * count, pa.date32()),
        pa.array(mean.ravel()),
        *(pa.array(spread[:, place]) for place in range(len(LEVELS))),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
