"""Seasonal collections: for each coming occasion the products that it lifts for certain, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml.families.record import Tables
from ml.families.seasonality import design, explaining, rows
from ml.families.seasonality.model import Forecast, Model, forecast
from ml.families.seasonality.params import SeasonalityParams
from ml.families.seasonality.scoring import forecast_rows
from ml.families.seasonality.sheet import Sheet, Source, open_source, sheet

Floats = NDArray[np.float64]
LEAD_DAYS = 14
SURE = 1.1
LEAST_UNITS = 3.0
SMALLEST = 3
ATTRIBUTED = 0.05
_RISING = "rising-now"
HISTORY_WEEKS = 26
_LIFT_PRIOR = 5.0
_DRIVERS = 6
COLLECTIONS = pa.schema(
    [
        ("collection_id", pa.string()), ("title", pa.string()), ("description", pa.string()),
        ("occasion_start", pa.date32()), ("occasion_end", pa.date32()),
    ]
)  # fmt: skip
_SERIES = pa.list_(pa.float64())
ITEMS = pa.schema(
    [
        ("collection_id", pa.string()), ("rank", pa.int64()), ("product_id", pa.string()), ("title", pa.string()),
        ("category", pa.string()), ("reason", pa.string()), ("lift", pa.float64()), ("lift_low", pa.float64()),
        ("lift_high", pa.float64()), ("history_start", pa.date32()), ("history", _SERIES),
        ("forecast_start", pa.date32()), ("forecast_mean", _SERIES), ("forecast_q10", _SERIES),
        ("forecast_q90", _SERIES),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Occasion:
    """An event, or the time ahead as a whole; `category` limits it."""

    identity: str
    name: str
    start: date
    end: date
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the collections are made from: the sheet of the origin, its forecast, weekly history (n x HISTORY_WEEKS).

    `seasonal`: by how much, in logarithms, the time of the year raises each product's forecast.
    """

    as_of: date
    model: Model
    known: Sheet
    made: Forecast
    history: Floats
    seasonal: Floats

    @property
    def usual(self) -> Floats:
        """Units per step in the year before."""
        selling = np.nan_to_num(rows.column(self.known.rows, "selling_days"))
        days = np.clip(selling, 28, 364)
        return np.maximum(rows.column(self.known.rows, "tamed_364"), 0) / days * self.model.step


@dataclass(frozen=True, slots=True)
class Lifts:
    """Forecast over normal of each product during an occasion, with its band."""

    point: Floats
    low: Floats
    high: Floats
    per_week: Floats
    usual_per_week: Floats


def publications(
    model: Model, matrix: ibis.Table, tables: Tables, as_of: date, params: SeasonalityParams
) -> Mapping[str, pa.Table]:
    """`forecasts`, `collections` and `collection_items`; a collection of less than SMALLEST products is left out.

    What an occasion lifts is shown with the occasion; the time ahead as a whole shows what rises besides.
    """
    outlook = look_ahead(model, matrix, as_of)
    kept: list[dict[str, object]] = []
    items: list[dict[str, object]] = []
    shown: set[int] = set()
    for occasion in _occasions(tables, as_of, as_of + timedelta(days=model.horizon * model.step)):
        found = lifts(outlook, occasion)
        chosen = _choose(outlook, occasion, found, params, shown)
        if len(chosen) >= SMALLEST:
            shown.update(chosen)
            kept.append(_collection(occasion))
            items += _items(outlook, occasion, found, chosen)
    return {
        "forecasts": forecast_rows(outlook.known, outlook.made),
        "collections": pa.Table.from_pylist(kept, schema=COLLECTIONS),
        "collection_items": pa.Table.from_pylist(items, schema=ITEMS),
    }


def look_ahead(model: Model, matrix: ibis.Table, as_of: date) -> Outlook:
    """Forecast from `as_of`, with the weeks before."""
    source = open_source(matrix, as_of, model.step, model.horizon, seasoned=model.seasoned)
    known = sheet(source, [as_of], model.space)
    seasonal = explaining.seasonal(model, known)
    return Outlook(as_of, model, known, forecast(model, known), _weeks_before(source, known), seasonal)


def _weeks_before(source: Source, known: Sheet) -> Floats:
    per_week = 7 // source.step
    products = known.rows.column("product_id").to_pylist()
    units = source.panel.units_before(products, source.as_of, HISTORY_WEEKS * per_week)
    return np.asarray(units.reshape(len(units), HISTORY_WEEKS, per_week).sum(axis=2), dtype=np.float64)


def _occasions(tables: Tables, first: date, after: date) -> Iterator[Occasion]:
    """The events that overlap the horizon, soonest first, then the time ahead as a whole."""
    events = tables["events"]
    near = events.filter((events.end_day >= ibis.date(first)) & (events.start_day < ibis.date(after)))
    found = near.select("event_id", "name", "start_day", "end_day", "category").order_by(
        "start_day", "event_id"
    )
    for row in found.to_pyarrow().to_pylist():
        yield Occasion(row["event_id"], row["name"], row["start_day"], row["end_day"], row["category"])
    yield Occasion(_RISING, "Rising now", first, after - timedelta(days=1))


def _collection(occasion: Occasion) -> dict[str, object]:
    if occasion.identity == _RISING:
        description = (
            "Products that will sell well above their own normal in the coming weeks, whatever the occasion."
        )
    else:
        whose = f" in {occasion.category}" if occasion.category else ""
        description = f"Products{whose} that will sell well above their own normal towards {occasion.name}."
    return {
        "collection_id": occasion.identity, "title": occasion.name, "description": description,
        "occasion_start": occasion.start, "occasion_end": occasion.end,
    }  # fmt: skip


def lifts(outlook: Outlook, occasion: Occasion) -> Lifts:
    """Lift of each product over the occasion and the LEAD_DAYS before it, as far as the horizon reaches."""
    begin, end = _steps(outlook, occasion)
    total = outlook.made.mean[:, begin:end].sum(axis=1)
    band = outlook.model.blend.totals.around(total)
    low, high = band[:, 0], band[:, 2]
    normal = outlook.usual * (end - begin) + _LIFT_PRIOR
    point, lower, upper = ((some + _LIFT_PRIOR) / normal for some in (total, low, high))
    weeks = _weeks(outlook, occasion)
    return Lifts(point, lower, upper, total / weeks, outlook.usual * 7 / outlook.model.step)


def _steps(outlook: Outlook, occasion: Occasion) -> tuple[int, int]:
    """First step of the occasion with its lead, and the step after its last, within the horizon."""
    step = outlook.model.step
    begin = (max(outlook.as_of, occasion.start - timedelta(days=LEAD_DAYS)) - outlook.as_of).days // step
    end = min((occasion.end - outlook.as_of).days // step + 1, outlook.model.horizon)
    return min(begin, end - 1), end


def _weeks(outlook: Outlook, occasion: Occasion) -> float:
    begin, end = _steps(outlook, occasion)
    return (end - begin) * outlook.model.step / 7


def _items(
    outlook: Outlook, occasion: Occasion, found: Lifts, chosen: list[int]
) -> Iterator[dict[str, object]]:
    reasons = _drivers(outlook, chosen, seasonal_first=occasion.identity != _RISING)
    for rank, (number, drivers) in enumerate(zip(chosen, reasons, strict=True), start=1):
        yield {
            "collection_id": occasion.identity, "rank": rank, "reason": _reason(found, number, drivers),
            "lift": float(found.point[number]), "lift_low": float(found.low[number]),
            "lift_high": float(found.high[number]), **_about(outlook, number), **_sparkline(outlook, number),
        }  # fmt: skip


def _choose(
    outlook: Outlook, occasion: Occasion, found: Lifts, params: SeasonalityParams, shown: set[int]
) -> list[int]:
    """The surest lifts first, at most `collection_per_category` of a category.

    An occasion takes products whose forecast the time of the year raises, and ranks them by as much of the lift as
    comes from that; the time ahead takes the others, where an occasion has been `shown`.
    """
    fits = (found.low > SURE) & (found.per_week * _weeks(outlook, occasion) >= LEAST_UNITS)
    seasonal, worth = outlook.seasonal > ATTRIBUTED, found.low
    if occasion.identity != _RISING:
        fits &= seasonal
        worth = np.minimum(found.low, np.exp(outlook.seasonal))
    elif shown:
        fits &= ~seasonal
    categories = outlook.known.rows.column("category").to_pylist()
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    for number in np.argsort(-worth, kind="stable").tolist():
        category = categories[number]
        if len(chosen) == params.collection_size:
            break
        if (
            fits[number]
            and occasion.category in (None, category)
            and taken[category] < params.collection_per_category
        ):
            taken[category] += 1
            chosen.append(number)
    return chosen


def _drivers(outlook: Outlook, chosen: list[int], *, seasonal_first: bool) -> list[list[str]]:
    """For each chosen product the words of what raises its forecast most (at most two, each said once)."""
    if not chosen:
        return []
    some = outlook.known.take(np.asarray(chosen, dtype=np.intp))
    _, given = explaining.contributions(outlook.model, some)
    names = list(some.level_columns)
    words = [explaining.words_of(name) for name in names]
    of_the_season = np.array([design.of_the_season(name.removeprefix("over_")) for name in names])
    return [
        _best(row, words, of_the_season if seasonal_first else of_the_season & False) for row in given[:, :-1]
    ]


def _best(given: Floats, words: list[str], first: NDArray[np.bool_]) -> list[str]:
    """Two causes of a rise; one of them of those that come `first`, where one of those raises the forecast."""
    order = np.argsort(-given, kind="stable")[: np.count_nonzero(given > 0)].tolist()
    best = [*[i for i in order if first[i]][:1], *order[:_DRIVERS]]
    return list(dict.fromkeys(words[i] for i in best))[:2]


def _reason(found: Lifts, number: int, drivers: list[str]) -> str:
    expected, normal = found.per_week[number], found.usual_per_week[number]
    words = f"About {_amount(expected)} a week expected, against {_amount(normal)} normally"
    return f"{words}, because of {' and '.join(drivers)}." if drivers else f"{words}."


def _amount(units: float) -> str:
    return f"{units:.0f}" if units >= 10 else f"{units:.1f}"


def _about(outlook: Outlook, number: int) -> dict[str, object]:
    return {
        name: outlook.known.rows.column(name)[number].as_py() for name in ("product_id", "title", "category")
    }


def _sparkline(outlook: Outlook, number: int) -> dict[str, object]:
    """Weekly history and forecast with its band; days after the last whole week are left out."""
    per_week = 7 // outlook.model.step
    weeks = outlook.model.horizon // per_week
    mean = outlook.made.mean[number, : weeks * per_week].reshape(weeks, per_week).sum(axis=1)
    band = outlook.model.blend.totals.around(mean)
    low, high = band[:, 0], band[:, 2]
    return {
        "history_start": outlook.as_of - timedelta(weeks=HISTORY_WEEKS), "history": outlook.history[number].tolist(),
        "forecast_start": outlook.as_of, "forecast_mean": mean.tolist(), "forecast_q10": low.tolist(),
        "forecast_q90": high.tolist(),
    }  # fmt: skip
