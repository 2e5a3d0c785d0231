"""What customers want of the assistant: a task, and a product; some products are asked for by hardly anybody."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from random import Random

import numpy as np

from ml.world.blueprint import Blueprint
from ml.world.dialogues.wording import INTENTS
from ml.world.seeds import Stream, generator

_WEIGHTS = (20, 14, 5, 10, 8, 12, 4, 7, 7, 6, 5, 4)  # of the intents, as their first task
_SAME_ITEM = 0.5  # share of later goals that are about the product just talked of
_AFTER: dict[str, tuple[str, ...]] = {
    "find_item": ("check_price", "add_to_basket", "check_stock", "gift_idea", "delivery_options"),
    "check_price": ("add_to_basket", "price_alert", "check_stock"),
    "check_stock": ("add_to_basket", "delivery_options", "check_price"),
    "add_to_basket": ("delivery_options", "remove_from_basket", "check_price"),
    "track_order": ("cancel_order", "return_item", "reorder"),
    "return_item": ("reorder", "track_order"),
    "gift_idea": ("check_price", "add_to_basket"),
}
_PLACE = {intent.name: place for place, intent in enumerate(INTENTS)}


@dataclass(frozen=True, slots=True)
class Wants:
    """Products by how often they are asked for: `odds` are running sums, `rarity` goes from 0 to 1."""

    order: tuple[int, ...]
    odds: tuple[float, ...]
    rarity: tuple[float, ...]
    launch: tuple[int, ...]

    def product(self, random: Random, day: int) -> int:
        """A product that is on the shelf on that day."""
        for _ in range(20):
            found = self.order[bisect_right(self.odds, random.random() * self.odds[-1])]
            if self.launch[found] < day:
                return found
        return self.order[0]


def wants_of(plan: Blueprint) -> Wants:
    """How often each product is asked for: a Zipf law over a random order."""
    n = len(plan.catalogue)
    order = generator(plan.seed, Stream.SPOKEN_OF).permutation(n)
    rarity = np.empty(n)
    rarity[order] = np.linspace(0, 1, n) if n > 1 else 0.0
    odds = tuple(accumulate(1 / (place + 4) for place in range(n)))
    return Wants(tuple(order.tolist()), odds, tuple(rarity.tolist()), tuple(plan.catalogue.launch.tolist()))


_TASKS = tuple(accumulate(_WEIGHTS))


def next_want(wants: Wants, random: Random, day: int, before: tuple[int, int] | None) -> tuple[int, int]:
    """The next (intent, product); differs from the one before in at least one of them."""
    if before is not None and random.random() < _SAME_ITEM:
        follows = _AFTER.get(INTENTS[before[0]].name, ("check_price", "track_order"))
        return _PLACE[follows[int(random.random() * len(follows))]], before[1]
    while True:
        found = bisect_right(_TASKS, random.random() * _TASKS[-1]), wants.product(random, day)
        if found != before:
            return found
