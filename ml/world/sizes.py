"""How large a world is."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ml.errors import UsageError

CAPACITY = 1.5  # a world can be continued to this many times its nominal days


@dataclass(frozen=True, slots=True)
class Size:
    """Products on sale; order lines, posts and turns of dialogues over `days`; how many people buy, and post.

    `searches` is the number of results shown, `queries` that of different queries.
    `pictures`: whether products have images (a few thousand bytes each).
    """

    products: int
    days: int
    lines: int
    customers: int
    posts: int
    creators: int
    searches: int
    queries: int
    turns: int
    pictures: bool = False

    @property
    def capacity_days(self) -> int:
        """Days that the catalogue, its prices and its drift are drawn for."""
        return int(self.days * CAPACITY)


_LARGE = Size(
    products=20_000, days=1_096, lines=100_000_000, customers=1_000_000, posts=20_000_000, creators=800_000,
    searches=20_000_000, queries=8_000, turns=20_000_000,
)  # fmt: skip

SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "small": Size(products=300, days=820, lines=200_000, customers=4_000, posts=40_000, creators=3_000,
                      searches=50_000, queries=240, turns=24_000, pictures=True),
        "medium": Size(products=3_000, days=820, lines=4_000_000, customers=60_000, posts=400_000, creators=25_000,
                       searches=1_000_000, queries=1_600, turns=100_000),
        "large": _LARGE,
        "1m": Size(products=1_000, days=820, lines=1_000_000, customers=15_000, posts=1_000_000, creators=60_000,
                   searches=1_000_000, queries=800, turns=1_000_000),
        "10m": Size(products=5_000, days=820, lines=10_000_000, customers=150_000, posts=10_000_000,
                    creators=400_000, searches=10_000_000, queries=4_000, turns=10_000_000),
        "100m": _LARGE,
    }
)  # fmt: skip


def sized(name: str, lines: int | None = None) -> Size:
    """The size of that name, with another number of order lines where one is given."""
    if name not in SIZES:
        near = difflib.get_close_matches(name, SIZES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of them"
        raise UsageError("unknown size of the world", found=name, expected=", ".join(SIZES), next_step=hint)
    size = SIZES[name]
    return size if lines is None else replace(size, lines=_positive(lines))


def _positive(lines: int) -> int:
    if lines < 1:
        raise UsageError("a world needs order lines", found=lines, expected="at least 1")
    return lines
