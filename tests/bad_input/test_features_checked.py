"""Feature tables are ours: a broken critical expectation stops the run, everything else is reported."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.errors import DataRejected
from ml.seams.quality import check_features

SUITE = {
    "name": "toy",
    "meta": {},
    "expectations": [
        {"type": "expect_key_to_be_unique", "severity": "critical", "kwargs": {"columns": ["product_id", "day"]},
         "meta": {"why": "one row for each"}},
        {"type": "expect_column_values_to_be_between", "severity": "warning",
         "kwargs": {"column": "units", "min_value": 0}, "meta": {"why": "netted"}},
        {"type": "expect_column_max_to_be_between", "severity": "warning",
         "kwargs": {"column": "day", "max_value": "{as_of}"}, "meta": {"why": "no row of the future"}},
    ],
}  # fmt: skip


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(10)]
    rows = {"product_id": ["p"] * 10, "day": days, "units": [*map(float, range(9)), -1.0]}
    pq.write_table(pa.table(rows), tmp_path / "part-000.parquet")
    (tmp_path / "toy.json").write_text(json.dumps(SUITE))
    return tmp_path


def test_warnings_are_written_beside_the_features(matrix: Path) -> None:
    result = check_features(f"{matrix}/*.parquet", matrix / "toy.json", matrix)
    assert result.accepted
    assert [one.message for one in result.warnings] == [
        "column units: 1 of 10 rows (10.00%), tolerated 0 %, e.g. units=-1.0"
    ]
    written = json.loads((matrix / "quality.json").read_text())
    assert [one["success"] for one in written["expectations"]] == [True, False, True]
    assert "not asked" in written["expectations"][2]["message"]


def test_as_of_can_be_given(matrix: Path) -> None:
    late = check_features(f"{matrix}/*.parquet", matrix / "toy.json", matrix, as_of=date(2024, 1, 5))
    assert [one.message for one in late.warnings][1:] == ["column day: 2024-01-10 00:00:00"]


def test_a_broken_key_stops_the_run(matrix: Path) -> None:
    once = pq.read_table(matrix / "part-000.parquet")
    pq.write_table(pa.concat_tables([once, once.slice(0, 1)]), matrix / "part-000.parquet")
    with pytest.raises(DataRejected) as caught:
        check_features(f"{matrix}/*.parquet", matrix / "toy.json", matrix)
    message = str(caught.value)
    assert "toy (features)" in message
    assert (
        "column product_id, day: 2 of 11 rows (18.18%), tolerated 0 %, e.g. product_id=p, day=2024-01-01"
        in message
    )
    assert json.loads((matrix / "quality.json").read_text())["accepted"] is False


def test_a_missing_column_is_named(matrix: Path) -> None:
    once = pq.read_table(matrix / "part-000.parquet")
    pq.write_table(once.drop_columns(["units"]), matrix / "part-000.parquet")
    with pytest.raises(DataRejected, match="no units"):
        check_features(f"{matrix}/*.parquet", matrix / "toy.json", matrix)
