"""Campaigns: which products are promoted when, how, and what that does to their demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.random import Generator

from ml.world.arrays import Flags, Floats, Ints
from ml.world.catalogue import Catalogue
from ml.world.seeds import Stream, generator
from ml.world.words import CATEGORIES

KIND_LIFT = MappingProxyType(
    {"discount": 1.1, "homepage": 1.5, "email": 1.3, "feature": 1.25, "display": 1.2}
)
_KINDS = tuple(KIND_LIFT)
_LOG_LIFT = np.log(list(KIND_LIFT.values()))
_CAMPAIGNS_PER_MONTH = 8
_PROMOTED_SHARE = 0.012  # of the catalogue, in one campaign


@dataclass(frozen=True, slots=True)
class Promotions:
    """One entry a promoted product of a campaign, by first day; days count from the first day of the world."""

    campaign: Ints
    product: Ints
    start: Ints
    end: Ints
    kind: Ints
    discount: Floats

    def __len__(self) -> int:
        return len(self.campaign)

    def take(self, rows: Flags | Ints) -> Promotions:
        """Some of the entries."""
        return Promotions(*(getattr(self, name)[rows] for name in self.__slots__))

    def on(self, day: int) -> Promotions:
        """The entries that run on this day."""
        return self.take((self.start <= day) & (day <= self.end))

    def effect(self, n: int) -> tuple[Floats, Floats]:
        """Of these entries: each product's log lift by visibility, and its largest discount (a fraction)."""
        lift, discount = np.zeros(n), np.zeros(n)
        np.add.at(lift, self.product, _LOG_LIFT[self.kind])
        np.maximum.at(discount, self.product, self.discount)
        return lift, discount


def plan(catalogue: Catalogue, seed: int, first_day: date, days: int) -> Promotions:
    """All campaigns that begin within `days` of the world's first day."""
    parts = [
        part
        for month in _months(first_day, first_day + timedelta(days=days))
        for part in _campaigns(
            catalogue, generator(seed, Stream.PROMOTIONS, month.toordinal()), month, first_day
        )
    ]
    joined = Promotions(*(np.concatenate([getattr(p, name) for p in parts]) for name in Promotions.__slots__))
    inside = joined.take((joined.start >= 0) & (joined.start < days))
    return inside.take(np.lexsort((inside.product, inside.campaign, inside.start)))


def _months(first: date, end: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month < end:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _campaigns(catalogue: Catalogue, rng: Generator, month: date, first_day: date) -> Iterator[Promotions]:
    for number in range(_CAMPAIGNS_PER_MONTH):
        start = (month - first_day).days + int(rng.integers(0, 28))
        yield _campaign(catalogue, rng, month.toordinal() * 100 + number, start)


def _campaign(catalogue: Catalogue, rng: Generator, number: int, start: int) -> Promotions:
    """Products of one category, or (half of the time) of all."""
    kind = int(rng.choice(len(_KINDS), p=[0.4, 0.15, 0.2, 0.15, 0.1]))
    shelf = int(rng.integers(0, 2 * len(CATEGORIES)))
    keep = rng.random(len(catalogue)) < _PROMOTED_SHARE * (
        len(CATEGORIES) / 2 if shelf < len(CATEGORIES) else 1
    )
    if shelf < len(CATEGORIES):
        keep &= catalogue.category == shelf
    chosen = np.flatnonzero(keep & catalogue.on_sale(start))
    discounted = _KINDS[kind] == "discount" or rng.random() < 0.35
    depth = float(rng.choice([0.1, 0.15, 0.2, 0.25, 0.3, 0.4])) if discounted else 0.0
    length = int(rng.integers(3, 15))
    whole = [
        np.full(len(chosen), value, dtype=np.int64) for value in (number, start, start + length - 1, kind)
    ]
    return Promotions(whole[0], chosen, whole[1], whole[2], whole[3], np.full(len(chosen), depth))


def promotions_columns(promotions: Promotions, first_day: date, product_ids: pa.Array) -> dict[str, pa.Array]:
    """The columns of the contract table `promotions`; `discount_pct` is in percent, null without a discount."""
    days = np.datetime64(first_day, "D")
    percent = np.round(promotions.discount * 100)
    return {
        "promotion_id": pa.array([f"M{number:08d}" for number in promotions.campaign.tolist()], pa.string()),
        "product_id": product_ids.take(pa.array(promotions.product)),
        "start_day": pa.array(days + promotions.start, pa.date32()),
        "end_day": pa.array(days + promotions.end, pa.date32()),
        "kind": pa.array([_KINDS[kind] for kind in promotions.kind.tolist()], pa.string()),
        "discount_pct": pa.array(percent, pa.float64(), mask=percent == 0),
    }
