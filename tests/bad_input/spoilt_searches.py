"""Clean searches and judgements beside the clean shop's products; tests spoil them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from spoilt_shop import AS_OF, DAYS, Rows, Shop, table_of

QUERIES = (
    "mug",
    "blue mug",
    "קומקום כחול",
    "كوب قهوة",
    "🎁 mug 👩🏽‍🚀",
    "mug \u202eecalp\u202c",
    "e\u0301tagère",
    "茶杯",
    "MUG?!",
    "50% 'off' {mug}; --",
)
SHOWN = 5


def searches(per_day: int = 6) -> Rows:
    """Each search shows five products; now and then one of them is engaged with, and bought."""
    first = datetime(AS_OF.year, AS_OF.month, AS_OF.day) - timedelta(days=DAYS)
    return [
        _result(day * per_day + nth, position, first + timedelta(days=day, hours=nth))
        for day in range(DAYS)
        for nth in range(per_day)
        for position in range(1, SHOWN + 1)
    ]


def _result(search: int, position: int, at: datetime) -> dict[str, Any]:
    luck = (search * SHOWN + position) * 7919 % 100
    return {
        "search_id": f"s{search:04d}",
        "position": position,
        "searched_at": at,
        "customer_id": f"u{search % 40}" if search % 3 else None,
        "query": QUERIES[search % len(QUERIES)],
        "modality": "screen",
        "product_id": f"p{(search * 3 + position) % 50}",
        "engaged": luck < 20,
        "purchased": luck < 7,
    }


def judgements() -> Rows:
    """Forty products judged for each query by two of four people."""
    start = datetime(2024, 1, 5, 9)
    return [
        {
            "query": query,
            "product_id": f"p{product}",
            "annotator_id": f"a{(product + nth) % 4}",
            "judged_at": start + timedelta(hours=place, minutes=product),
            "grade": (product + place) % 4,
        }
        for place, query in enumerate(QUERIES)
        for product in range(40)
        for nth in range(2)
    ]


class SearchLog(Shop):
    """A run's workspace with the snapshots of products, searches and judgements."""

    def __init__(self, shop: Shop) -> None:
        self.folder, self.products = shop.folder, shop.products
        self.searches, self.judgements = searches(), judgements()

    def validate(self, name: str = "searches") -> dict[str, Any]:
        """Validate `name`; its result.json."""
        for table in ("products", "searches", "judgements"):
            self.put(table, table_of(table, getattr(self, table)))
        return self.validate_as_is(name)

    def rejected(self, name: str = "searches") -> str:
        """What the user reads when validating `name` is refused."""
        return super().rejected(name)
