"""The SQL that the benchmark measures against computes the same thing as the stages, on a small world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from bench import by_hand
from ml.stages.features import features
from ml.stages.validate import validate
from ml.world import simulate

ROOT = Path(__file__).resolve().parents[2]
TABLES = (
    "products",
    "order_lines",
    "promotions",
    "events",
    "creators",
    "posts",
    "searches",
    "judgements",
    "turns",
)
TABLES += ("feedback", "annotations")
MEASURED = ("order_lines", "posts", "searches")
FAMILIES = {
    "seasonality": "product_id, day",
    "viral": "cascade_id, point",
    "relevance_fusion": "query, product_id, modality, day",
    "ground_truth": "dialogue_id, turn_idx",
}
UNSEEN = ("image_score",)  # no SQL sees pictures
APART = (
    "abs(a.{name} - b.{name}) > 1e-4 * greatest(1, abs(a.{name})) OR (a.{name} IS NULL) <> (b.{name} IS NULL)"
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace after `snapshot`, and then after both the stages and their counterparts."""
    folder = tmp_path_factory.mktemp("work")
    world = simulate("small", seed=7, lines=20_000)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["as_of"] = world.end.isoformat()
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    (folder / "expectations").symlink_to(ROOT / "expectations")
    for name in TABLES:
        rows = world.tables[name]
        target = folder / "data/snapshot" / name
        target.mkdir(parents=True)
        half = len(rows) // 2
        pq.write_table(rows[:half], target / "part-2025-01-000.parquet")
        pq.write_table(rows[half:], target / "part-2025-02-000.parquet")
        (target / "manifest.json").write_text(json.dumps({"rows": len(rows)}))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in TABLES:
            validate(name)
        for name in MEASURED:
            by_hand.validate(params, name)
        for family in FAMILIES:
            features(family)
            by_hand.features(params, family)
        yield folder


@pytest.mark.parametrize("table", MEASURED)
@pytest.mark.parametrize("part", ["validated", "quarantine"])
def test_the_same_rows_pass_and_are_put_aside(workspace: Path, part: str, table: str) -> None:
    for file in sorted((workspace / "data" / part / table).glob("*.parquet")):
        theirs = pq.read_table(workspace / "data/by-hand" / part / table / file.name)
        ours = pq.read_table(file)
        assert ours.drop_columns(_reasons(ours)).equals(theirs.drop_columns(_reasons(theirs)))
        if part == "quarantine":
            assert pc.list_value_length(ours["reasons"]).equals(pc.list_value_length(theirs["reasons"]))


def _reasons(rows: object) -> list[str]:
    return [name for name in rows.column_names if name in ("reasons", "row_id")]  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", MEASURED)
def test_the_same_counts(workspace: Path, table: str) -> None:
    result = json.loads((workspace / "data/validation" / table / "result.json").read_text())
    report = json.loads((workspace / "data/by-hand/report" / table / "report.json").read_text())
    assert result["rows"]["in"] == report["whole"][0][0]
    assert sorted(result["rows"]["reasons"].values()) == sorted(rows for _, rows in report["counts"])


def test_the_same_profile(workspace: Path) -> None:
    profile = json.loads((workspace / "data/validation/order_lines/profile.json").read_text())
    report = json.loads((workspace / "data/by-hand/report/order_lines/report.json").read_text())
    for name, deciles in zip(("quantity", "unit_price"), report["deciles"][0], strict=True):
        assert profile["columns"][name]["deciles"] == deciles
        bins = {at: rows for column, at, rows in report["bins"] if column == name}
        shares = [bins.get(at, 0) / sum(bins.values()) for at in range(len(set(deciles)) + 1)]
        assert profile["columns"][name]["shares"] == pytest.approx(shares)
    days = sorted(rows for _, rows in report["days"])
    assert profile["rows_per_day"] == (days[13] + days[14]) / 2


@pytest.mark.parametrize(("table", "column"), [("searches", "modality"), ("posts", "platform")])
def test_the_same_profile_of_logs(workspace: Path, table: str, column: str) -> None:
    profile = json.loads((workspace / "data/validation" / table / "profile.json").read_text())
    report = json.loads((workspace / "data/by-hand/report" / table / "report.json").read_text())
    assert profile["columns"][column]["shares"] == pytest.approx(dict(report["shares"]))
    days = sorted(rows for _, rows in report["days"])
    assert profile["rows_per_day"] == (days[13] + days[14]) / 2


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_features(workspace: Path, family: str) -> None:
    ours = f"read_parquet('{workspace}/data/features/{family}/*.parquet')"
    theirs = f"read_parquet('{workspace}/data/by-hand/features/{family}/*.parquet')"
    key = FAMILIES[family]
    with duckdb.connect() as connection:
        columns = connection.execute(f"DESCRIBE FROM {ours}").fetchall()
        assert columns == connection.execute(f"DESCRIBE FROM {theirs}").fetchall()
        order = [connection.execute(f"SELECT {key} FROM {rows}").fetchall() for rows in (ours, theirs)]
        assert order[0] == order[1] == sorted(order[0])
        assert len(order[0]) > 5_000
        for name, kind, *_ in (one for one in columns[len(key.split(", ")) :] if one[0] not in UNSEEN):
            apart = APART if kind in ("FLOAT", "DOUBLE") else "a.{name} IS DISTINCT FROM b.{name}"
            both = f"{ours} AS a JOIN {theirs} AS b USING ({key})"
            query = f"SELECT {key}, a.{name}, b.{name} FROM {both} WHERE {apart.format(name=name)} LIMIT 3"
            assert connection.execute(query).fetchall() == [], name
