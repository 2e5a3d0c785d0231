"""Rows that people decided about come back in a replay of the same day, through real DVC, and in later ingests."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ml import handover
from ml.actions.card import decided_in_words
from ml.actions.ingest import open_ingest, read, seal
from ml.actions.loop import replay_ingest
from ml.actions.quarantine import Aside, Chosen, came_back, drop, put_aside, release
from ml.actions.repaired_rows import write_rows
from ml.actions.replay import open_replay
from ml.actions.retrain import data_digest
from ml.cli import app
from ml.config import settings
from ml.contracts import TABLES
from ml.contracts.base import arrow_schema
from ml.errors import SeamUnavailable, UsageError
from ml.handover import HISTORY
from ml.seams.ledger import Ledger, migrate
from ml.seams.ledger.rows import standing
from ml.seams.warehouse import connect

DAY = date(2024, 3, 1)
Row = dict[str, Any]


def products() -> list[Row]:
    first = datetime(2020, 1, 1)
    return [
        {
            "product_id": f"p{i}",
            "launched_at": first,
            "title": f"Mug {i}",
            "category": "mugs",
            "price": 5.0 + i,
        }
        for i in range(30)
    ]


def order_lines() -> list[Row]:
    """Twelve hundred lines of sixty days; five of them are wrong."""
    first = datetime(DAY.year, DAY.month, DAY.day) - timedelta(days=60)
    lines: list[Row] = [
        {"order_id": f"o{day}", "line_no": i, "ordered_at": first + timedelta(days=day, minutes=30 * i),
         "product_id": f"p{(7 * i + day) % 30}", "quantity": 1.0 + i % 3, "unit_price": 6.5}
        for day in range(60) for i in range(20)
    ]  # fmt: skip
    lines[0]["quantity"], lines[1]["quantity"], lines[2]["quantity"] = 50_000.0, 70_000.0, 0.0
    lines[3]["unit_price"], lines[4]["product_id"] = -6.5, "nobody"
    return lines


@dataclass
class Shop:
    """What a test sees: the home, and the digest of the lines before anybody decided anything."""

    home: Path
    file: Path
    first: str
    run_id: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("quarantine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(folder / "home"))
        at = settings()
        at.home.mkdir(parents=True)
        migrate(at.ledger)
        with connect(at.warehouse) as warehouse:
            for name, rows in (("products", products()), ("order_lines", order_lines())):
                schema = pa.schema([field.with_nullable(True) for field in arrow_schema(TABLES[name])])
                warehouse.write(name, pa.Table.from_pylist(rows, schema))
        run = open_ingest("ingest-1", DAY, only=["order_lines"])
        for table in run.tables:
            read(run.run_id, f"snapshot@{table}")
        for table in run.tables:
            handover.run_stage(run.run_id, f"validate@{table}")
        seal(run.run_id)
        yield Shop(at.home, folder / "rows.csv", digest(), run.run_id)


@pytest.fixture(scope="module")
def aside(shop: Shop) -> Aside:
    """What was put aside, before anybody decided anything."""
    return put_aside()[0]


@pytest.fixture
def looked(aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking again and again would take the time of the data store."""
    monkeypatch.setattr("ml.actions.quarantine.put_aside", lambda *_: [aside])


def digest() -> str:
    return data_digest(Ledger(settings().ledger).sealed(["order_lines"], DAY))


def test_what_was_put_aside_is_shown_with_reasons(aside: Aside) -> None:
    assert (aside.table, aside.as_of, len(aside.rows), set(aside.states)) == ("order_lines", DAY, 5, {"open"})
    assert sum(count for reason, count in aside.reasons.items() if "so many" in reason) == 2


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (Chosen(), "no row was chosen"),
        (Chosen(ids=("0000000000000000",)), "put no such row aside"),
        (Chosen(reason="stolen"), "no row is open for a reason like 'stolen'"),
        (Chosen(reason="refers to"), "break the contract"),
        (Chosen(all_open=True), "1 of 5 rows break the contract"),
    ],
)
@pytest.mark.usefixtures("looked")
def test_a_wrong_choice_is_explained_and_nothing_is_decided(aside: Aside, chosen: Chosen, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        release("order_lines", chosen, who="ana", why="because")
    with pytest.raises(UsageError, match="needs a reason"):
        release("order_lines", chosen, who="ana", why=" ")
    assert not standing(Ledger(settings().ledger), aside.shop, ["order_lines"])


def repaired(aside: Aside, file: Path, **changes: str) -> Path:
    """The file of `show --out`, its row of the wrong price alone, with columns changed."""
    write_rows(aside.rows, aside.states, file)
    with file.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["unit_price"] == "-6.5"]
    with file.open("w") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, **changes} for row in rows)
    return file


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "nothing was changed"),
        ({"unit_price": "six"}, "cannot be read as rows of the contract"),
        ({"unit_price": ""}, "column unit_price is required"),
        ({"unit_price": "6.5", "row_id": "0000000000000000"}, "put no such row aside"),
    ],
)
@pytest.mark.usefixtures("looked")
def test_a_file_that_is_no_repair_is_explained(
    shop: Shop, aside: Aside, changes: dict[str, str], said: str
) -> None:
    file = repaired(aside, shop.file, **changes)
    with pytest.raises(UsageError, match=said):
        release("order_lines", Chosen(), who="ana", why="till", repaired=file)


def test_there_is_nothing_to_replay_before_somebody_decides(shop: Shop) -> None:
    with pytest.raises(UsageError, match="nothing was decided about rows of the ingest ingest-1"):
        open_replay("replay-0", DAY)
    assert not (settings().runs / "replay-0").exists()


@pytest.mark.usefixtures("looked")
def test_no_decision_without_its_rows(aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise SeamUnavailable("the data remote does not take data")

    monkeypatch.setattr("ml.seams.versioning.push", away)
    with pytest.raises(SeamUnavailable):
        release("order_lines", Chosen(reason="so many"), who="ana", why="bulk")
    assert not standing(Ledger(settings().ledger), aside.shop, ["order_lines"])


def say(command: str, *words: str, who: str = "ana") -> str:
    """What `bellwether quarantine COMMAND order_lines ...` prints, called by this person."""
    table = [] if command == "list" else ["order_lines"]
    done = CliRunner().invoke(app, ["quarantine", command, *table, *words], env={"LOGNAME": who})
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


@pytest.mark.usefixtures("looked")
def test_the_commands_show_what_was_put_aside(aside: Aside, tmp_path: Path) -> None:
    listed = say("list")
    assert "order_lines as of 2024-03-01: 5 rows (5 open, 0 accepted, 0 repaired, 0 dropped)" in listed
    assert all(f"{count:>7,}  {reason}" in listed for reason, count in aside.reasons.items())
    assert json.loads(say("list", "--json"))[0]["table"] == "order_lines"
    shown = say("show", "--reason", "line of nothing")
    (row,) = [row for row in aside.rows.to_pylist() if row["quantity"] == 0]
    assert f"{row['row_id']}  open" in shown and "quantity=0.0" in shown
    assert f"because: {row['reasons'][0]}" in shown and shown.count("order_id=") == 1
    assert "and 3 more" in say("show", "--limit", "2")
    assert "5 rows in" in say("show", "--out", str(tmp_path / "rows.csv"))
    with (tmp_path / "rows.csv").open() as file:
        assert {line["row_id"] for line in csv.DictReader(file)} == set(aside.rows["row_id"].to_pylist())


def test_rows_come_back_in_a_replay_of_the_same_day(shop: Shop, aside: Aside) -> None:
    known = {(row["order_id"], row["line_no"]): row["row_id"] for row in aside.rows.to_pylist()}
    accepted, dropped = "order_lines: 1 rows accepted;", "order_lines: 1 rows dropped;"
    assert accepted in say("release", known["o0", 0], "--why", "a real bulk order", who="ana")
    assert accepted in say("release", "--reason", "so many", "--why", "another, asked", who="ana")
    price = repaired(aside, shop.file, unit_price="6.5")
    told = say("release", "--repaired", str(price), "--why", "price from the till", who="bo")
    assert "order_lines: 1 rows repaired; they come back in the next ingest" in told
    assert dropped in say("drop", "--reason", "line of nothing", "--why", "a test order", who="bo")
    assert dropped in say("drop", known["o0", 1], "--why", "was asked wrongly", who="ana")

    with connect(settings().warehouse) as warehouse:  # a replay does not read it
        empty = pa.schema(
            [field.with_nullable(True) for field in arrow_schema(TABLES["order_lines"])]
        ).empty_table()
        warehouse.write("order_lines", empty)
    assert replay_ingest(None, "1") == DAY

    assert came_back(DAY) == {"order_lines": {"accepted": 1, "repaired": 1, "still aside": 3}}
    passed = pq.read_table(settings().runs / "replay-1/data/validated/order_lines").to_pylist()
    by_line = {row["line_no"]: row for row in passed if row["order_id"] == "o0"}
    assert len(passed) == 1197 and 1 not in by_line and 2 not in by_line and 4 not in by_line
    assert (by_line[0]["quantity"], by_line[3]["unit_price"]) == (50_000.0, 6.5)
    (left,) = put_aside("order_lines")
    assert sorted(left.states) == ["accept", "drop", "drop", "open", "repair"]


def test_a_replay_names_what_it_replays_and_who_decided(shop: Shop) -> None:
    ledger = Ledger(settings().ledger)
    (sealed,) = ledger.sealed(["order_lines"], DAY)
    notes = ledger.run(sealed.run_id).notes
    assert (notes["replays"], notes["snapshot_of"]) == ("ingest-1", "ingest-1")
    words = decided_in_words(sealed)
    assert words[0] == "1 accepted, 1 repaired (for 1)"
    assert set(words[1:]) == {
        "accept, 1 rows, ana: a real bulk order",
        "repair, 1 rows, bo: price from the till",
    }
    assert digest() != shop.first
    assert data_digest(ledger.sealed_by("ingest-1", ["order_lines"])) == shop.first


def test_the_snapshot_is_the_one_that_was_read(shop: Shop) -> None:
    ledger = Ledger(settings().ledger)
    locks = [ledger.sealed_by(run, ["order_lines"])[0].lock for run in ("ingest-1", "replay-1")]
    assert locks[0]["snapshot@order_lines"] == locks[1]["snapshot@order_lines"]
    assert locks[0]["validate@order_lines"] != locks[1]["validate@order_lines"]
    read("replay-1", "snapshot@order_lines")
    after = handover.take("replay-1") / "data/snapshot/order_lines/manifest.json"
    assert '"rows": 1200' in after.read_text()


def test_decisions_hold_in_the_next_ingest(shop: Shop) -> None:
    with connect(settings().warehouse) as warehouse:
        schema = pa.schema([field.with_nullable(True) for field in arrow_schema(TABLES["order_lines"])])
        warehouse.write("order_lines", pa.Table.from_pylist(order_lines(), schema))
    open_ingest("ingest-2", DAY + timedelta(days=1), only=["order_lines"])
    found = {file.name for file in (settings().runs / "ingest-2" / HISTORY).glob("*.parquet")}
    assert found == {f"order_lines.{what}.parquet" for what in ("accepted", "replaced", "repaired")}


def test_what_was_let_back_can_be_put_aside_again(shop: Shop) -> None:
    (seen,) = put_aside("order_lines")
    states = dict(zip(seen.rows.column("row_id").to_pylist(), seen.states, strict=True))
    accepted = next(row_id for row_id, state in states.items() if state == "accept")
    row = next(row for row in seen.rows.to_pylist() if row["row_id"] == accepted)
    assert row["quantity"] == 50_000.0 and "so many" in row["reasons"][0]
    assert drop("order_lines", Chosen(ids=(accepted,)), who="bo", why="it was cancelled") == 1
    open_ingest("ingest-3", DAY + timedelta(days=1), only=["order_lines"])
    found = {file.name for file in (settings().runs / "ingest-3" / HISTORY).glob("*.parquet")}
    assert found == {f"order_lines.{what}.parquet" for what in ("replaced", "repaired")}
    (after,) = put_aside("order_lines")
    assert sorted(after.states) == [
        "drop",
        "drop",
        "open",
        "repair",
    ]  # the replay's own rows, and what is still back
