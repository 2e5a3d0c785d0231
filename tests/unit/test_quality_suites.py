"""The suites that are shipped, and how a suite is read."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from ml.contracts import TABLES
from ml.errors import UsageError
from ml.seams.quality import library
from ml.seams.quality.profile import facts
from ml.seams.quality.suites import Severity, Suite, fill, read_suite
from ml.seams.quality.words import requirement

ROOT = Path(__file__).resolve().parents[2]
TABLE_SUITES = sorted((ROOT / "expectations/tables").glob("*.json"))
PROFILE = {
    "as_of": "2024-02-29",
    "rows": 1000,
    "rows_per_day": 40.0,
    "weekdays": {"1": 1.0, "7": 0.75},
    "columns": {"kind": {"shares": {"b": 0.5, "a": 0.5}}, "price": {"edges": [1.0], "shares": [0.5, 0.5]}},
}


def test_every_table_has_a_suite() -> None:
    assert {path.stem for path in TABLE_SUITES} == set(TABLES)


@pytest.mark.parametrize("path", TABLE_SUITES, ids=lambda path: path.stem)
def test_a_suite_speaks_of_columns_of_its_table(path: Path) -> None:
    suite = read_suite(path)
    assert suite.name == path.stem
    columns = {column.name for column in TABLES[path.stem].columns}
    named = {name for one in suite.expectations for name in one.column.split(", ") if name}
    assert named <= columns
    assert all(requirement(one) and one.why for one in suite.expectations)


@pytest.mark.parametrize("path", TABLE_SUITES, ids=lambda path: path.stem)
def test_placeholders_are_known(path: Path) -> None:
    suite, contract = read_suite(path), TABLES[path.stem]
    kept = {column.name: {"edges": [1.0], "shares": [0.5, 0.5]} for column in contract.columns}
    limits = {f"{limit}.{column.name}": 1.0 for limit in ("least", "most") for column in contract.columns}
    texts = {f"known.{column.name}": ["a"] for column in contract.columns}
    values = facts(contract, suite.meta, date(2024, 3, 1), [{**PROFILE, "columns": kept}])
    assert [
        one.skipped
        for one in fill(suite, {**texts, **limits, **values}, "absent").expectations
        if one.skipped
    ] == []


def test_without_history_only_what_needs_one_is_skipped() -> None:
    suite = read_suite(ROOT / "expectations/tables/order_lines.json")
    filled = fill(suite, facts(TABLES["order_lines"], suite.meta, date(2024, 3, 1), []), "no history")
    assert {
        one.type for one in filled.expectations if not one.skipped and one.severity is Severity.CRITICAL
    } == {"expect_table_row_count_to_be_between", "expect_column_max_to_be_between"}
    assert next(one for one in filled.expectations if one.skipped).skipped.startswith("no history (needs ")


def test_what_history_says() -> None:
    known = facts(TABLES["order_lines"], {"volume_floor": 10}, date(2024, 3, 2), [PROFILE])
    assert known["rows_at_most"] == 1000 + 10 * 80
    assert known["rows_at_least"] == 500
    assert known["usual_weekdays"] == [1]
    assert known["known.kind"] == ["a", "b"]
    assert known["usual.price"] == PROFILE["columns"]["price"]
    assert known["as_of"] - known["since_last"] == timedelta(days=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "cannot be read"),
        ('{"name": "x"}', "expectations"),
        (
            '{"name": "x", "expectations": [{"type": "t", "kwargs": {}, "severity": "fatal", "meta": {"why": "w"}}]}',
            "fatal",
        ),
    ],
)
def test_a_suite_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_suite(path)
    assert "broken.json" in str(caught.value)
    assert said in str(caught.value)


def test_no_suite(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no suite at"):
        read_suite(tmp_path / "none.json")


def test_suites_are_plain_great_expectations_json() -> None:
    for path in [*TABLE_SUITES, *(ROOT / "expectations/features").glob("*.json")]:
        raw = json.loads(path.read_text())
        assert set(raw) == {"name", "meta", "expectations"}
        assert isinstance(read_suite(path), Suite)


def test_what_the_library_seldom_needs_is_imported_when_it_is_asked_for() -> None:
    later = library._Later("colorsys")
    sys.modules["colorsys"] = later
    import colorsys

    assert colorsys is later and "rgb_to_hsv" not in vars(later)
    assert later.rgb_to_hsv(0.0, 0.0, 1.0)[2] == 1.0
    assert sys.modules["colorsys"] is not later  # whoever imports it now has the module itself
    with pytest.raises(AttributeError):
        _ = later.no_such_colour


def test_the_library_works_without_what_is_put_off() -> None:
    asked = """
import sys
from ml.seams.quality.library import great_expectations
great_expectations()
print([name for name in ("altair.vegalite", "scipy.stats._stats_py") if name in sys.modules])
from scipy.stats import norm
print(norm.cdf(0.0))
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "0.5"]
