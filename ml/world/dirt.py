"""The rows that should not be there, as every real shop has them; each is counted in the truth.

All are extra rows beside the clean ones: take them away (of a `duplicate_key`, one of the two) and the clean world is
left. A product is launched in the morning and sold from the next day on, so a `before_launch` line is one of the small
hours of the launch day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from ml.world.blueprint import Blueprint
from ml.world.orders import ORDERS_PER_DAY, Lines, empty, first_order, join, midnight

UNKNOWN_PRODUCTS = 10  # product numbers after the catalogue's that no table knows; then the blank one
_SHARE = 7e-5  # of a day's lines, for each kind
_BEFORE_LAUNCH = 0.4  # share of launches with such a line
_DIRTY_ORDERS = ORDERS_PER_DAY * 9 // 10  # order numbers of dirty rows begin here, within their day

Spoil = Callable[[Lines, int, Generator], Lines]


class Dirt(NamedTuple):
    """Dirty lines and the kind of each."""

    lines: Lines
    kinds: list[str]


def _negative_price(lines: Lines, _: int, __: Generator) -> Lines:
    return replace(lines, unit_price=-lines.unit_price)


def _absurd_quantity(lines: Lines, _: int, rng: Generator) -> Lines:
    return replace(lines, quantity=rng.integers(100_000, 1_000_000, len(lines)).astype(np.float64))


def _zero_quantity(lines: Lines, _: int, __: Generator) -> Lines:
    return replace(lines, quantity=np.zeros(len(lines)))


def _unknown_product(lines: Lines, products: int, rng: Generator) -> Lines:
    return replace(
        lines, product=rng.integers(products, products + UNKNOWN_PRODUCTS, len(lines), dtype=np.int32)
    )


def _blank_product(lines: Lines, products: int, _: Generator) -> Lines:
    return replace(lines, product=np.full(len(lines), products + UNKNOWN_PRODUCTS, dtype=np.int32))


_SPOIL: Mapping[str, Spoil] = MappingProxyType(
    {
        "negative_price": _negative_price,
        "absurd_quantity": _absurd_quantity,
        "zero_quantity": _zero_quantity,
        "unknown_product": _unknown_product,
        "blank_product": _blank_product,
    }
)

KINDS = (*_SPOIL, "duplicate_key", "before_launch")


def dirt_of(plan: Blueprint, day: int, clean: Lines, rng: Generator) -> Dirt:
    """The day's dirty lines, made from copies of its clean ones."""
    if not len(clean):
        return Dirt(empty(), [])
    spoiled = [_spoiled(plan, kind, clean, rng) for kind in _SPOIL]
    doubled, early = _copies(clean, rng), _before_launch(plan, day, clean, rng)
    fresh = _renumbered(join([*spoiled, early]), first_order(plan, day) + _DIRTY_ORDERS)
    kinds = [kind for kind, part in zip(_SPOIL, spoiled, strict=True) for _ in range(len(part))]
    kinds += ["before_launch"] * len(early) + ["duplicate_key"] * len(doubled)
    return Dirt(join([fresh, doubled]), kinds)


def _copies(clean: Lines, rng: Generator) -> Lines:
    """Lines drawn without replacement, so that no key is there three times."""
    count = min(int(rng.poisson(len(clean) * _SHARE)), len(clean))
    return clean.take(rng.choice(len(clean), count, replace=False))


def _spoiled(plan: Blueprint, kind: str, clean: Lines, rng: Generator) -> Lines:
    return _SPOIL[kind](_copies(clean, rng), len(plan.catalogue), rng)


def _before_launch(plan: Blueprint, day: int, clean: Lines, rng: Generator) -> Lines:
    launched = np.flatnonzero(plan.catalogue.launch == day)
    early = launched[rng.random(len(launched)) < _BEFORE_LAUNCH]
    lines = clean.take(rng.integers(0, len(clean), len(early)))
    share = rng.random(len(early))
    times = midnight(plan, day) + (plan.catalogue.launch_us[early] * share).astype(np.int64)
    return replace(lines, product=early.astype(np.int32), ordered_at=times, quantity=np.abs(lines.quantity))


def _renumbered(lines: Lines, first: int) -> Lines:
    n = len(lines)
    return replace(lines, order=first + np.arange(n), line_no=np.ones(n, dtype=np.int64))
