"""Clean posts and creators beside the clean shop's products; tests spoil them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from spoilt_shop import AS_OF, DAYS, Rows, Shop, table_of

WORDS = (
    "need this 😍",
    "אהבתי את זה 💛",
    "يا سلام 👩🏽‍🚀",
    "これ欲しい",
    "plain \u202eright to left",
    "e\u0301 ﷽",
    "",
    None,
)


def creators(many: int = 100) -> Rows:
    return [{"creator_id": f"c{n}", "followers": 10 + n * n * n} for n in range(many)]


def posts(per_day: int = 20) -> Rows:
    """Every fifth post starts a cascade; the four after it reshare it, or one another."""
    first = datetime(AS_OF.year, AS_OF.month, AS_OF.day) - timedelta(days=DAYS)
    return [
        _post(day * per_day + place, first + timedelta(days=day, minutes=30 * place))
        for day in range(DAYS)
        for place in range(per_day)
    ]


def _post(number: int, at: datetime) -> dict[str, Any]:
    place = number % 5
    return {
        "post_id": f"t{number:05d}",
        "posted_at": at,
        "product_id": f"p{number // 5 % 50}",
        "creator_id": f"c{number * 7 % 100}",
        "parent_post_id": f"t{number - max(1, place - 1):05d}" if place else None,
        "platform": ("clips", "photos")[number // 5 % 2],
        "text": WORDS[number % len(WORDS)],
    }


class Feed(Shop):
    """A run's workspace with the snapshots of products, creators and posts."""

    def __init__(self, shop: Shop) -> None:
        self.folder, self.products = shop.folder, shop.products
        self.creators, self.posts = creators(), posts()

    def validate(self, name: str = "posts") -> dict[str, Any]:
        """Validate `name`; its result.json."""
        for table in ("products", "creators", "posts"):
            self.put(table, table_of(table, getattr(self, table)))
        return self.validate_as_is(name)

    def rejected(self, name: str = "posts") -> str:
        """What the user reads when validating `name` is refused."""
        return super().rejected(name)

    def aside(self, name: str = "posts") -> dict[str, list[str]]:
        """Rows put aside: key -> reasons."""
        return {row[f"{name[:-1]}_id"]: row["reasons"] for row in self.quarantined(name).to_pylist()}
