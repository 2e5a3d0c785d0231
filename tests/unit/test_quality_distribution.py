"""Profiles and the stability index, against numpy and against figures worked by hand."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.contracts import TABLES
from ml.seams.quality.distribution import shares_of, stability_index
from ml.seams.quality.profile import profile, read_history
from ml.seams.quality.rows import Database, Limits, database

AS_OF = date(2024, 3, 1)


def test_index_worked_by_hand() -> None:
    baseline = {"edges": [1.0], "shares": [0.5, 0.5]}
    by_hand = 0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5)
    assert stability_index(baseline, shares_of(baseline, {0: 80, 1: 20})) == pytest.approx(by_hand)


def test_an_unknown_category_counts() -> None:
    baseline = {"shares": {"a": 1.0}}
    assert stability_index(baseline, shares_of(baseline, {"a": 100})) == pytest.approx(0)
    assert stability_index(baseline, shares_of(baseline, {"a": 50, "b": 50})) > 1


@given(
    st.lists(st.integers(1, 1000), min_size=3, max_size=3),
    st.lists(st.integers(1, 1000), min_size=3, max_size=3),
)
def test_index_agrees_with_numpy(before: list[int], after: list[int]) -> None:
    then, now = np.array(before) / sum(before), np.array(after) / sum(after)
    baseline = {"edges": [1.0, 2.0], "shares": then.tolist()}
    found = stability_index(baseline, shares_of(baseline, dict(enumerate(after))))
    assert found == pytest.approx(float(np.sum((now - then) * np.log(now / then))), abs=1e-9)


COLUMNS = (
    "order_id VARCHAR, line_no BIGINT, ordered_at TIMESTAMP, customer_id VARCHAR, product_id VARCHAR,"
    " quantity DOUBLE, unit_price DOUBLE"
)


def fill_four_weeks_but_sundays(opened: Database) -> None:
    opened.run(f"CREATE TABLE order_lines({COLUMNS})")
    opened.run("INSERT INTO order_lines VALUES ('old', 1, TIMESTAMP '2020-01-01', NULL, 'p', 9, 9)")
    days = [datetime(2024, 2, 2) + timedelta(days=n) for n in range(28)]
    for day in days:
        if day.isoweekday() != 7:
            columns = f"'o{day}', i, TIMESTAMP '{day}', NULL, 'p', 1 + i % 2, i"
            opened.run(f"INSERT INTO order_lines SELECT {columns} FROM range(1, 11) t(i)")


def test_profile_of_order_lines() -> None:
    with database(Limits("500MB", 1)) as opened:
        fill_four_weeks_but_sundays(opened)
        found = profile(opened, TABLES["order_lines"], {"profile_days": 28}, AS_OF)
    assert (found["rows"], found["rows_per_day"], found["as_of"]) == (241, 10.0, "2024-03-01")
    assert found["weekdays"] == {**dict.fromkeys("123456", 1.0), "7": 0.0}
    assert found["columns"]["unit_price"]["deciles"] == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert found["columns"]["quantity"] == {
        "deciles": [1] * 5 + [2] * 4,
        "edges": [1, 2],
        "shares": [0.5, 0.5, 0.0],
    }
    assert "order_id" not in found["columns"]


def test_history_leaves_out_the_future(tmp_path: Path) -> None:
    path = tmp_path / "order_lines.json"
    path.write_text(
        json.dumps({"snapshots": [{"as_of": "2024-03-01"}, {"as_of": "2024-02-01"}, {"as_of": "2024-01-01"}]})
    )
    assert [one["as_of"] for one in read_history(path, AS_OF)] == ["2024-01-01", "2024-02-01"]
    assert read_history(tmp_path / "none.json", AS_OF) == []
