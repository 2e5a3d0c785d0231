"""The tables of a world keep the contracts, and are the same however they are made."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from ml.contracts import TABLES
from ml.contracts.base import arrow_schema, key, references
from ml.errors import UsageError
from ml.world import DEFAULT_END, SIZES, World, readers, simulate, write, write_tables

MADE = ("products", "order_lines", "promotions", "events", "searches", "judgements")
DIRTY = ("order_lines", "searches", "judgements")  # with rows on purpose that break what these tests check


@pytest.mark.parametrize("name", MADE)
def test_a_table_has_the_columns_of_its_contract(world: World, name: str) -> None:
    table = world.tables[name]
    assert table.schema.equals(arrow_schema(TABLES[name]), check_metadata=True)
    table.validate(full=True)
    for field in table.schema:
        assert field.nullable or table[field.name].null_count == 0, field.name


@pytest.mark.parametrize("name", [name for name in MADE if name not in DIRTY])
def test_keys_are_unique_and_refer_to_products(world: World, name: str) -> None:
    table = world.tables[name]
    columns = list(key(TABLES[name]))
    assert table.group_by(columns).aggregate([]).num_rows == table.num_rows
    for column in references(TABLES[name]):
        assert pc.all(pc.is_in(table[column], world.tables["products"]["product_id"])).as_py()


def test_nothing_of_the_truth_is_in_the_tables(world: World) -> None:
    public = {name for table in world.tables.values() for name in table.column_names}
    hidden = {"mean", "net", "ordinary", "lift", "peak", "occasion", "elasticity", "dispersion", "active",
              "appeal", "nose", "skill", "branching", "final_size", "burst_id",
              "quality", "leniency", "engage", "purchase", "probability"}  # fmt: skip
    assert not public & hidden


def test_the_default_world_ends_before_christmas_and_knows_what_is_planned(world: World) -> None:
    latest = pc.max(world.tables["order_lines"]["ordered_at"]).as_py()
    assert latest.date() == DEFAULT_END - timedelta(days=1)
    coming = world.tables["events"].filter(pc.field("start_day") >= DEFAULT_END)["event_id"].to_pylist()
    assert {"christmas-2025", "new-year-resolutions-2026", "winter-sale-2026"} <= set(coming)
    planned = world.tables["promotions"].filter(pc.field("start_day") >= DEFAULT_END)
    assert planned.num_rows > 10
    christmas = [e for e in world.tables["events"]["event_id"].to_pylist() if e.startswith("christmas")]
    assert christmas == ["christmas-2023", "christmas-2024", "christmas-2025"]


def test_a_world_has_about_the_lines_that_were_asked_for(world: World) -> None:
    asked = SIZES["small"].lines
    assert abs(world.tables["order_lines"].num_rows / asked - 1) < 0.03
    fewer = simulate("small", days=60, lines=asked // 10).tables["order_lines"].num_rows
    usual = simulate("small", days=60).tables["order_lines"].num_rows
    assert 0.08 < fewer / usual < 0.12


def test_a_shop_has_the_rows_that_shops_have(sql: duckdb.DuckDBPyConnection) -> None:
    returns, bulk, guests, cut = sql.execute(
        """select avg((quantity < 0)::int), avg((quantity between 12 and 60)::int),
                  avg((customer_id is null)::int), max(line_no) from order_lines"""
    ).fetchall()[0]
    assert 0.01 < returns < 0.06
    assert 0.001 < bulk < 0.01
    assert 0.05 < guests < 0.12
    assert cut == 8
    new, gone = sql.execute(
        """select count(*) filter (first_day > date '2025-06-01'), count(*) filter (last_day < date '2025-12-01')
           from true_products"""
    ).fetchall()[0]
    assert new >= 5 and gone >= 10


def test_lines_come_in_order_of_time_but_for_returns_within_their_day(world: World) -> None:
    days = pc.cast(
        pc.floor_temporal(world.tables["order_lines"]["ordered_at"], unit="day"), pa.int64()
    ).to_numpy()
    assert (days[1:] >= days[:-1]).all()


def test_the_same_seed_is_the_same_world() -> None:
    first, second, other = (simulate("small", seed=seed, days=100) for seed in (3, 3, 4))
    for name in MADE:
        assert first.tables[name].equals(second.tables[name])
    for name in first.truth:
        assert first.truth[name].equals(second.truth[name])
    assert not first.tables["order_lines"].equals(other.tables["order_lines"])


def test_a_world_goes_on_without_changing_its_past(world: World, later_world: World) -> None:
    before = pc.field("ordered_at") < datetime.combine(world.end, datetime.min.time())
    assert later_world.tables["order_lines"].filter(before).equals(world.tables["order_lines"])
    assert later_world.tables["order_lines"].num_rows > world.tables["order_lines"].num_rows
    for name, time in (("searches", "searched_at"), ("judgements", "judged_at")):
        past = pc.field(time) < datetime.combine(world.end, datetime.min.time())
        assert later_world.tables[name].filter(past).equals(world.tables[name]), name
    known = pc.field("day") < world.end
    products = pc.field("product_id").isin(world.tables["products"]["product_id"])
    past = later_world.truth["demand"].filter(known)
    assert past.equals(world.truth["demand"].filter(known))
    planned = later_world.tables["promotions"].filter((pc.field("start_day") < world.end) & products)
    assert planned.equals(world.tables["promotions"].filter(pc.field("start_day") < world.end))


def test_written_and_streamed_worlds_are_the_one_in_memory(tmp_path: Path) -> None:
    end = date(2025, 1, 20)
    memory = simulate("small", seed=5, end=end, days=130)
    write("small", 5, tmp_path / "world", end=end, days=130)
    for name, table in memory.tables.items():
        assert _read(tmp_path / "world" / name).equals(table), name
        assert _read(tmp_path / "world" / name).schema.equals(table.schema), name
    for name, table in memory.truth.items():
        assert _read(tmp_path / "world" / "truth" / name).equals(table), name
    write_tables("small", 5, tmp_path / "some", ["searches", "order_lines"], end=end, days=130)
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == ["order_lines", "searches"]
    streams = readers("small", 5, end=end, days=130)
    for name in ("order_lines", "searches"):
        assert streams[name].read_all().equals(memory.tables[name])
        assert _read(tmp_path / "some" / name).equals(memory.tables[name]), name


def _read(folder: Path) -> pa.Table:
    return ds.dataset(sorted(folder.glob("part-*.parquet")), format="parquet").to_table()


def test_the_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate("small", days=70)
    monkeypatch.setattr("ml.world.chunks._ROWS", 300)
    cut = simulate("small", days=70)
    assert cut.tables["order_lines"].column(0).num_chunks > whole.tables["order_lines"].column(0).num_chunks
    assert cut.tables["order_lines"].equals(whole.tables["order_lines"])
    assert cut.truth["demand"].equals(whole.truth["demand"])


def test_a_month_is_one_shard(tmp_path: Path) -> None:
    write("small", 5, tmp_path, end=date(2025, 3, 1), days=59)
    shards = [path.name for path in sorted((tmp_path / "order_lines").iterdir())]
    assert shards == ["part-2025-01-000.parquet", "part-2025-02-000.parquet"]


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(UsageError, match="is not empty"):
        write("small", 7, tmp_path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"size": "smal"}, "did you mean 'small'"),
        ({"size": "huge-est"}, "choose one of them"),
        ({"days": 0}, "no room for these days"),
        ({"days": 5_000}, "1 to"),
        ({"lines": 0}, "needs order lines"),
    ],
)
def test_an_impossible_world_says_what_is_possible(call: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        simulate(**call)  # type: ignore[arg-type]
