"""Whatever is thrown at a table: no row is lost or made up, and exactly the broken ones are put aside."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from math import isfinite
from statistics import median_low
from typing import Any

from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from spoilt_shop import AS_OF, Rows, Shop

from ml.contracts import TABLES

NOW = datetime(AS_OF.year, AS_OF.month, AS_OF.day)

line = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from([None, "a", "b", "c", "d", ""]),
        "line_no": st.integers(0, 40),
        "ordered_at": st.one_of(
            st.datetimes(datetime(1960, 1, 1), datetime(2030, 1, 1)),
            st.just(NOW),
            st.just(NOW - timedelta(days=1)),
        ),
        "customer_id": st.sampled_from([None, "é", "x'y"]),
        "product_id": st.sampled_from(["p1", "p2", "p3", "nobody", None]),
        "quantity": st.sampled_from([1.0, 2.0, 0.0, -1.0, 1e9, float("nan"), None]),
        "unit_price": st.sampled_from([1.0, 0.0, -0.5, 1e9, float("inf"), None]),
    }
)


def sold(order_id: str, quantity: float) -> dict[str, Any]:
    about = {"order_id": order_id, "line_no": 1, "ordered_at": NOW - timedelta(days=1), "customer_id": None}
    return {**about, "product_id": "p1", "quantity": quantity, "unit_price": 1.0}


def tolerate_everything(shop: Shop) -> None:
    path = shop.folder / "expectations/tables/order_lines.json"
    suite = json.loads(path.read_text())
    suite["meta"]["tolerated"] = 1.0
    suite["meta"]["usable_within_days"] = 40_000
    for one in suite["expectations"]:
        if "mostly" in one["kwargs"]:
            one["kwargs"]["mostly"] = 0.0
    path.write_text(json.dumps(suite))


def most_believable(lines: Rows) -> float:
    """1,000 times the median size of a line, and never less than 10,000: what a wholesaler sells is no mistake."""
    sizes = [
        abs(row["quantity"]) for row in lines if row["quantity"] is not None and isfinite(row["quantity"])
    ]
    return max(10_000, 1_000 * median_low(sizes)) if sizes else 10_000


def is_broken(row: dict[str, Any], keys: Counter[tuple[Any, Any]], most: float) -> bool:
    """Written from the suite's words, not from its code."""
    required = ("order_id", "ordered_at", "product_id", "quantity", "unit_price")
    if any(row[name] is None for name in required) or keys[row["order_id"], row["line_no"]] > 1:
        return True
    believable = abs(row["quantity"]) <= most and row["quantity"] != 0 and 0 <= row["unit_price"] <= 1_000_000
    launched = datetime(2020, 1, 1) if row["product_id"] in ("p1", "p2") else datetime(1980, 1, 1)
    return not (believable and row["product_id"] != "nobody" and launched <= row["ordered_at"] < NOW)


def comparable(rows: Rows) -> list[str]:
    names = [column.name for column in TABLES["order_lines"].columns if column.name != "ordered_at"]
    return [
        f"{row['ordered_at'] and row['ordered_at'].isoformat()} {[row[name] for name in names]}"
        for row in rows
    ]


@settings(
    max_examples=8,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lines=st.lists(line, min_size=1, max_size=60))
@example(lines=[sold("a", 1e9), sold("b", 1e9), sold("c", 1.0)])  # of a wholesaler: a usual size
@example(lines=[sold("a", 1e9), sold("b", 1.0), sold("c", 1.0)])  # an absurd one
def test_in_is_passed_and_quarantined(shop: Shop, lines: Rows) -> None:
    tolerate_everything(shop)
    shop.products[3]["launched_at"] = None
    shop.order_lines = lines
    shop.validate()
    keys = Counter((row["order_id"], row["line_no"]) for row in lines)
    most = most_believable(lines)
    broken = [row for row in lines if is_broken(row, keys, most)]
    whole = [row for row in lines if not is_broken(row, keys, most)]
    assert comparable(shop.quarantined().to_pylist()) == comparable(broken)
    assert comparable(shop.passed().to_pylist()) == comparable(whole)
