"""Great Expectations counts the broken rows; our SQL finds them. For every rule for rows both agree."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.seams.quality.predicates import BROKEN_BY, broken_by
from ml.seams.quality.preparing import prepare
from ml.seams.quality.rows import Database, Limits, database
from ml.seams.quality.run import run_suite
from ml.seams.quality.suites import Expectation, Severity, Suite

DAY = datetime(2024, 1, 1)
RULES = {
    "expect_column_values_to_not_be_null": [{"column": "number"}, {"column": "text"}],
    "expect_column_values_to_be_between": [
        {"column": "number", "min_value": 0, "max_value": 5},
        {"column": "number", "min_value": 0, "strict_min": True},
        {"column": "number", "max_value": 5, "strict_max": True},
        {"column": "at", "min_value": DAY, "max_value": DAY + timedelta(days=5), "strict_max": True},
        {"column": "day", "min_value": DAY, "max_value": DAY + timedelta(days=5)},
    ],
    "expect_column_values_to_be_in_set": [
        {"column": "text", "value_set": ["a", "it's", "50%", "x:y"]},
        {"column": "whole", "value_set": [0, 1]},
    ],
    "expect_column_values_to_not_be_in_set": [
        {"column": "number", "value_set": [0]},
        {"column": "text", "value_set": ["a"]},
    ],
    "expect_column_value_lengths_to_be_between": [
        {"column": "text", "min_value": 2, "max_value": 3},
        {"column": "text", "max_value": 1},
    ],
    "expect_column_values_to_not_be_blank": [{"column": "text"}],
    "expect_column_pair_values_a_to_be_greater_than_b": [
        {"column_A": "number", "column_B": "whole"},
        {"column_A": "number", "column_B": "whole", "or_equal": True},
        {"column_A": "engaged", "column_B": "bought", "or_equal": True},
    ],
    "expect_key_to_be_unique": [{"columns": ["text", "whole"]}],
    "expect_column_values_to_refer_to": [{"column": "text", "refers_to": "others.name"}],
    "expect_column_values_to_not_precede": [
        {"column": "at", "through": "text", "not_before": "others.first_at"},
        {"column": "at", "through": "up", "key": "whole", "not_before": "dirty.at"},
    ],
    "expect_column_values_to_not_lead_back": [{"column": "up", "key": "whole", "ordered_by": "at"}],
    "expect_columns_to_refer_to": [{"columns": ["text", "at"], "refers_to": "others"}],
    "expect_column_values_to_be_in_its_set": [
        {"column": "text", "by": "word", "value_sets": {"it's": ["a", "b"], "x:y": ["x:y"]}}
    ],
    "expect_column_values_to_be_in_script": [{"column": "word", "script": "Latin"}],
    "expect_groups_to_have_no_holes": [{"group": "up", "column": "few"}],
    "expect_groups_to_be_in_order": [{"group": "up", "column": "whole", "ordered_by": "at"}],
    "expect_groups_to_lack_column_where": [
        {"group": "up", "column": "number", "where": "word", "value": "it's"}
    ],
}
ASKED = tuple(
    Expectation(kind, {**kwargs, "mostly": 0.5}, Severity.WARNING, "it is said so")
    for kind, cases in RULES.items()
    for kwargs in cases
)


def write(path: Path, columns: dict[str, pa.Array]) -> str:
    pq.write_table(pa.table(columns), path)
    return f"read_parquet('{path}')"


def rows(chance: random.Random, many: int = 400) -> dict[str, pa.Array]:
    def some(values: list[object], kind: pa.DataType) -> pa.Array:
        return pa.array([chance.choice(values) for _ in range(many)], kind)

    return {
        "text": some(["a", "b", "it's", "50%", "x:y", None, "{z}", " ", "\u00a0\u200e\t", ""], pa.string()),
        "engaged": some([True, False], pa.bool_()),
        "bought": some([True, False], pa.bool_()),
        "whole": some([*range(60), None], pa.int64()),
        "up": some([*range(90), None, None], pa.int64()),
        "few": some([0, 0, 0, 1, 2], pa.int64()),
        "word": some(["it's", "x:y", "日本", "שלום a", "50%", None], pa.string()),
        "number": some([-1.0, 0.0, 5.0, 5.5, float("nan"), float("inf"), -float("inf"), None], pa.float64()),
        "at": some([*(DAY + timedelta(hours=12 * n) for n in range(-4, 16)), None], pa.timestamp("us")),
        "day": some(
            [date(2023, 12, 30), date(2024, 1, 1), date(2024, 1, 6), date(2024, 1, 7), None], pa.date32()
        ),
    }


@pytest.fixture
def dirty(tmp_path: Path, request: pytest.FixtureRequest):
    chance = random.Random(request.param)
    others = {
        "name": pa.array(["a", "it's", "a", None]),
        "text": pa.array(["a", "it's", "a", None]),
        "first_at": pa.array([DAY, DAY + timedelta(days=3), None, DAY], pa.timestamp("us")),
        "at": pa.array([DAY, DAY + timedelta(days=3), DAY, None], pa.timestamp("us")),
    }
    with database(Limits("500MB", 1)) as opened:
        opened.run(f"CREATE VIEW dirty AS SELECT * FROM {write(tmp_path / 'dirty.parquet', rows(chance))}")
        opened.run(f"CREATE VIEW others AS SELECT * FROM {write(tmp_path / 'others.parquet', others)}")
        prepare(opened, "dirty", ASKED)
        yield opened


def test_every_rule_is_tried() -> None:
    assert set(RULES) == set(BROKEN_BY)


@pytest.mark.parametrize("dirty", [1, 2], indirect=True)
def test_counts_agree(dirty: Database) -> None:
    outcomes = run_suite(
        dirty, Suite("dirty", Path("dirty.json"), ASKED), "dirty", date(2024, 1, 1), docs=None
    )
    counted = [outcome.unexpected for outcome in outcomes]
    found = [dirty.run(f"SELECT count(*) FROM dirty WHERE {broken_by(one)}")[0][0] for one in ASKED]
    assert counted == found
    assert min(found) > 0


@pytest.mark.parametrize("dirty", [3], indirect=True)
def test_duplicate_keys_are_exact(dirty: Database) -> None:
    by_hand = "SELECT text, whole FROM dirty GROUP BY text, whole HAVING count(*) > 1"
    assert set(dirty.run("SELECT * FROM duplicate_keys")) == set(dirty.run(by_hand))
