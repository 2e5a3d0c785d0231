"""Searches and judgements over the products of the small shop, with a known examination curve and known tastes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
import pyarrow as pa

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema

EXAMINED = np.array([0.9, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12, 0.1])
VOICE_SHARE = 0.25
KINDS = ("garden", "kitchen", "gifts", "toys")
SAID = {"red", "blue", "large", "small", "vintage", "thing", *KINDS}
QUERIES = (
    *(f"{word} {kind}" for word in ("red", "blue", "large", "vintage") for kind in KINDS),
    *(*KINDS, "red", "small thing", "vintage", "thing"),
    *(f"a {word} thing for the {kind}, please" for word in ("red", "small") for kind in KINDS),
)


@cache
def appeal(titles: tuple[str, ...], prices: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every query and product: the true grade, and the chances of engagement and purchase if it is looked at."""
    grade = np.array([[_grade(query, title) for title in titles] for query in QUERIES])
    popular = np.linspace(0, 1, len(titles))[np.argsort(np.arange(len(titles)) * 7 % len(titles))]
    cheap = 1 - np.asarray(prices) / max(prices)
    wanted = 0.25 * grade / 3 + 0.35 * popular + 0.2 * cheap
    return grade, np.clip(0.1 + wanted, 0, 0.95), np.clip(wanted * 0.5, 0, 0.95)


def _grade(query: str, title: str) -> int:
    words = set(query.replace(",", "").split()) & SAID
    return round(3 * len(words & set(title.split())) / max(len(words), 1))


def searches(products: Sequence[dict[str, object]], first: date, days: int, seed: int) -> pa.Table:
    """Sessions over `days` days: the lists of an old ranker that likes relevance, with noise."""
    random = np.random.default_rng(seed)
    titles = tuple(str(row["title"]) for row in products)
    prices = tuple(float(str(row["price"])) for row in products)
    grade, engage, purchase = appeal(titles, prices)
    rows: list[dict[str, object]] = []
    for session in range(days * 12):
        query = int(random.integers(len(QUERIES)) * random.random())
        voice = bool(random.random() < VOICE_SHARE)
        order = np.argsort(-(grade[query] + random.gumbel(0, 0.8, len(titles))))[
            : 1 if voice else len(EXAMINED)
        ]
        at = datetime.combine(first + timedelta(days=session // 12), datetime.min.time()) + timedelta(hours=9)
        examined = random.random(len(order)) < (1.0 if voice else EXAMINED[: len(order)])
        bought = examined & (random.random(len(order)) < purchase[query, order])
        clicked = bought | (examined & (random.random(len(order)) < engage[query, order]))
        rows += [
            {
                "search_id": f"s{session}", "position": place + 1, "searched_at": at, "query": QUERIES[query].title(),
                "modality": "voice" if voice else "screen", "product_id": products[item]["product_id"],
                "engaged": bool(clicked[place]), "purchased": bool(bought[place]),
            }
            for place, item in enumerate(order.tolist())
        ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["searches"]))


def judgements(products: Sequence[dict[str, object]], first: date, seed: int) -> pa.Table:
    """Three annotators, who err, on twelve products of every query."""
    random = np.random.default_rng(seed)
    grade, _, _ = appeal(
        tuple(str(row["title"]) for row in products), tuple(float(str(row["price"])) for row in products)
    )
    at = datetime.combine(first, datetime.min.time())
    rows = [
        {
            "query": query, "product_id": products[item]["product_id"], "annotator_id": f"a{annotator}",
            "judged_at": at + timedelta(days=3 * number),
            "grade": int(np.clip(grade[number, item] + random.choice([-1, 0, 0, 0, 1]), 0, 3)),
        }
        for number, query in enumerate(QUERIES)
        for item in random.permutation(len(products))[:12].tolist()
        for annotator in range(3)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=arrow_schema(TABLES["judgements"]))
