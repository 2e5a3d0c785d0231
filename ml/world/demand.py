"""The true mean demand of every product on a day, and draws from it.

Mean order lines of product p on day d, all factors multiplied:
  rate(p) x scale x growth and yearly season of its category x weekday x drift(p, week)
  x (price / first price) ** elasticity(p) x lift of the attention it gets
  x visibility of its campaigns x lift of the occasions of the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.random import Generator

from ml.world.arrays import Floats, Ints
from ml.world.attention.bursts import Bursts
from ml.world.calendar import Event
from ml.world.catalogue import DAYS_PER_PRICE, Catalogue
from ml.world.promotions import Promotions
from ml.world.words import CATEGORIES

_WEEKDAY = np.array([1.0, 0.97, 0.98, 1.02, 1.06, 1.0, 1.0])
_STORE_NOISE = 0.05  # standard deviation of the logarithm of a whole day's luck


@dataclass(frozen=True, slots=True)
class Conditions:
    """What demand depends on. Days count from `start`."""

    catalogue: Catalogue
    start: date
    events: tuple[Event, ...]
    promotions: Promotions
    bursts: Bursts
    scale: float


@dataclass(frozen=True, slots=True)
class DayDemand:
    """One entry a product: mean order lines, the same without campaigns and occasions, and the price asked."""

    lines: Floats
    ordinary: Floats
    price: Floats


def demand_on(conditions: Conditions, day: int) -> DayDemand:
    """True means of one day; zero for products that are not on sale."""
    catalogue = conditions.catalogue
    list_price = catalogue.list_price(day)
    visibility, discount = conditions.promotions.on(day).effect(len(catalogue))
    rate = catalogue.rate * conditions.scale * catalogue.on_sale(day)
    usual = _category_log(conditions.start, day)[catalogue.category] + catalogue.log_drift[:, day // 7]
    usual += catalogue.elasticity * catalogue.log_price[:, day // DAYS_PER_PRICE]
    usual += conditions.bursts.log_lift(day, len(catalogue))
    special = visibility + catalogue.elasticity * np.log1p(-discount) + event_log_lift(conditions, day)
    ordinary = rate * np.exp(usual)
    price = np.maximum(np.round(list_price * (1 - discount), 2), 0.05)
    return DayDemand(lines=ordinary * np.exp(special), ordinary=ordinary, price=price)


def _category_log(start: date, day: int) -> Floats:
    """Logarithm of each category's growth, yearly season and weekday factor."""
    today = start + timedelta(days=day)
    weekend = today.weekday() >= 5
    logs = [
        np.log1p(c.growth) * day / 365.25
        + c.season[0] * np.cos(2 * np.pi * (today.timetuple().tm_yday - c.season[1]) / 365.25)
        + (np.log(c.weekend) if weekend else 0.0)
        for c in CATEGORIES
    ]
    return np.asarray(np.asarray(logs) + np.log(_WEEKDAY[today.weekday()]))


def event_log_lift(conditions: Conditions, day: int) -> Floats:
    """Sum of the logarithmic lifts of the occasions that run on this day."""
    today = conditions.start + timedelta(days=day)
    total = np.zeros(len(conditions.catalogue))
    for event in conditions.events:
        if event.start <= today <= event.end:
            total += event.height(today) * conditions.catalogue.log_lift[event.rule]
    return total


def draw_lines(catalogue: Catalogue, demand: DayDemand, rng: Generator) -> Ints:
    """Order lines of each product on one day: Poisson, mixed by a gamma, zero on the product's inactive days."""
    n = len(catalogue)
    store = np.exp(rng.normal(-0.5 * _STORE_NOISE**2, _STORE_NOISE))
    mixed = rng.standard_gamma(catalogue.dispersion) / catalogue.dispersion
    active = (rng.random(n) < catalogue.active) / catalogue.active
    return np.asarray(rng.poisson(demand.lines * store * mixed * active), dtype=np.int64)
