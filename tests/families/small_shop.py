"""A shop small enough to fit models on in a test: seasons, promotions, one yearly event, new and dead products."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
from small_dialogues import dialogues
from small_search import judgements, searches

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema

CATEGORIES = ("garden", "kitchen", "gifts", "toys")
END = date(2025, 11, 1)


def shop(products: int = 40, days: int = 240, seed: int = 7, every: int = 1) -> dict[str, pa.Table]:
    """Contract tables of a shop that sold for `days` days before END, once in every `every` days."""
    random = np.random.default_rng(seed)
    first = END - timedelta(days=days)
    events = _events(first)
    lines, rows = [], []
    for number in range(products):
        launch = int(random.integers(0, days // 2)) // every * every if number % 5 == 0 else 0
        last = days // 2 if number % 13 == 12 else days
        rows.append(_product(number, first, launch))
        lines += _sales(number, range(launch, last, every), first, random)
    return {
        "products": _table("products", rows),
        "order_lines": _table("order_lines", lines),
        "promotions": _table("promotions", _promotions(products, first, days)),
        "events": _table("events", events),
        **attention(products, first, days, seed),
        "searches": searches(rows, first, days, seed),
        "judgements": judgements(rows, first, seed),
        **{name: _table(name, some) for name, some in dialogues(END, days, seed=seed).items()},
    }


def attention(products: int, first: date, days: int, seed: int, count: int = 90) -> dict[str, pa.Table]:
    """Posts in `count` small cascades of reshares by sixty creators, of whom every fourth starts large ones."""
    random = np.random.default_rng(seed + 1)
    posts: list[dict[str, object]] = []
    for number in range(count):
        start = datetime.combine(first, datetime.min.time()) + timedelta(hours=days * 24 * number / count)
        author = int(random.integers(0, 60))
        size = int(random.integers(12, 40)) if author % 4 == 0 else int(random.integers(1, 14))
        moments = np.sort(random.exponential(20, size - 1))
        for place, hours in enumerate([0.0, *moments.tolist()]):
            parent = f"c{number}-{int(random.integers(0, place)):03d}" if place else None
            posts.append(
                {
                    "post_id": f"c{number}-{place:03d}", "posted_at": start + timedelta(seconds=int(hours * 3600)),
                    "product_id": f"p{number % products:03d}", "parent_post_id": parent, "platform": "photos",
                    "creator_id": f"k{author if not place else int(random.integers(0, 60)):02d}",
                }
            )  # fmt: skip
    known = [row for row in posts if row["posted_at"] < datetime.combine(END, datetime.min.time())]  # type: ignore[operator]
    creators = [{"creator_id": f"k{number:02d}", "followers": 10 ** (number % 6)} for number in range(60)]
    return {"posts": _table("posts", known), "creators": _table("creators", creators)}


def opened(tables: Mapping[str, pa.Table]) -> dict[str, ibis.Table]:
    """The tables in a fresh DuckDB."""
    connection = ibis.duckdb.connect(threads=1)
    for name, table in tables.items():
        connection.con.register(name, table)
    return {name: connection.table(name) for name in tables}


def materialised(matrix: ibis.Table, key: tuple[str, ...]) -> ibis.Table:
    """The matrix computed once, as the stage does it."""
    connection = ibis.duckdb.connect(threads=1)
    connection.con.register("matrix", matrix.order_by(key).to_pyarrow())
    return connection.table("matrix")


def _table(name: str, rows: list[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES[name]))


def _product(number: int, first: date, launch: int) -> dict[str, object]:
    category = CATEGORIES[number % len(CATEGORIES)]
    launched = datetime.combine(first + timedelta(days=launch), datetime.min.time()) if launch else None
    words = ("red", "blue", "large", "small", "vintage")
    title = f"{words[number % 5]} {category} thing {words[(number // 5) % 5]}"
    return {
        "product_id": f"p{number:03d}", "launched_at": launched, "title": title, "category": category,
        "price": 2.0 + number % 7,
    }  # fmt: skip


def _sales(number: int, days: range, first: date, random: np.random.Generator) -> list[dict[str, object]]:
    level = 0.3 + 3.0 * (number % 10) / 10
    out: list[dict[str, object]] = []
    for day in days:
        today = first + timedelta(days=day)
        weekly = 1.0 if days.step > 1 else 0.4 + 0.3 * (today.weekday() < 5)
        for line in range(
            int(random.poisson(level * weekly * (2 if today.month == 10 and number % 4 == 2 else 1)))
        ):
            bulk = 200.0 if random.random() < 0.002 else float(random.integers(1, 6))
            quantity = -1.0 if random.random() < 0.02 else bulk
            out.append(
                {
                    "order_id": f"o{number}-{day}", "line_no": line, "product_id": f"p{number:03d}",
                    "ordered_at": datetime.combine(today, datetime.min.time()) + timedelta(hours=9),
                    "quantity": quantity, "unit_price": 2.0 + number % 7,
                }
            )  # fmt: skip
    return out


def _promotions(products: int, first: date, days: int) -> list[dict[str, object]]:
    kinds = ("discount", "homepage", "email", "feature", "display")
    return [
        {
            "promotion_id": f"d{start}", "product_id": f"p{number:03d}", "start_day": first + timedelta(days=start),
            "end_day": first + timedelta(days=start + 6), "kind": kinds[(number + start) % 5],
            "discount_pct": 20.0 if (number + start) % 5 == 0 else None,
        }
        for number in range(0, products, 3)
        for start in range(30, days + 28, 45)
    ]  # fmt: skip


def _events(first: date) -> list[dict[str, object]]:
    return [
        {
            "event_id": f"halloween-{year}", "start_day": date(year, 10, 20), "name": "Halloween",
            "end_day": date(year, 10, 31), "kind": "season", "category": category,
        }
        for year, category in ((2024, None), (2025, None))
    ] + [
        {
            "event_id": "gift-weeks", "start_day": date(2025, 11, 8), "name": "Gift weeks",
            "end_day": date(2025, 12, 24), "kind": "marketing", "category": "gifts",
        }
    ]  # fmt: skip
