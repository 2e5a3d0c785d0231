"""The doctor names what disagrees and mends what is safe; promote, publish and roll back may be killed at every step.

Readers see the old or the new champion then, complete, and `doctor --mend` ends in agreement. A process is killed
(SIGKILL) before the first of its steps, and after each (`killing` finds them).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from killing import Shop, cooled, killed_at, steps, warmed
from tiny_shop import AS_OF, NAME, TWO, build, retrain, seal, tiny
from typer.testing import CliRunner

from ml import workspace
from ml.actions.doctor import examine, mend
from ml.actions.govern import asked, roll_back, waiting
from ml.actions.publish import publish
from ml.actions.retrain import approve, promote, verdict_of
from ml.cli import app
from ml.config import settings
from ml.errors import SeamUnavailable
from ml.publishing import swap
from ml.seams import stored, versioning
from ml.seams.ledger import ENTHRONES, Ledger
from ml.seams.ledger.models import Run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
DECIDED = ("promoted", "refused")
SHARE = {"1": (3.0,), "2": (1.0,), "3": (1.0, 2.0)}
"""What the versions say, and by what it is known whose word a table or a page is."""


def built_and_healed() -> list[str]:
    """Fills the home; returns the modules that were needed for it."""
    build()
    assert healed() == []
    return sorted(sys.modules)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("tiny")
    with tiny(folder) as home:
        shop = Shop(home, folder / "before", folder / "note.json")
        warmed(shop.run(built_and_healed))
        Shop(home, folder / "base", folder / "note.json").keep()
        yield shop
        cooled()


def seen(home: Path) -> dict[str, str | None]:
    """Which version each reader sees, read past all of our code; fails where one of them sees no whole version."""
    with sqlite3.connect(home / "ledger.db") as ledger:
        rows = ledger.execute("SELECT version, action FROM decisions ORDER BY seq").fetchall()
    with sqlite3.connect(home / "mlflow.db") as registry:
        alias = registry.execute(
            "SELECT version FROM registered_model_aliases WHERE alias = 'champion'"
        ).fetchone()
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as warehouse:
        tables = _tables(warehouse)
    champion = [version for version, action in rows if action in ENTHRONES][-1]
    return {"ledger": champion, "alias": str(alias[0]), "tables": tables, "pages": _pages(home)}


def _tables(warehouse: duckdb.DuckDBPyConnection) -> str:
    said = warehouse.execute("SELECT DISTINCT version FROM bellwether_tiny_publication").fetchall()
    titles = warehouse.execute("SELECT title FROM bellwether_tiny_collections").fetchall()
    (mean,) = warehouse.execute("SELECT avg(mean) FROM bellwether_expected_units").fetchone() or (0.0,)
    ((version,),) = said
    ((title,),) = titles
    share = float(title.removeprefix("share "))
    assert share in SHARE[version]
    assert mean == pytest.approx(2 * share, rel=0.1)
    return str(version)


def _pages(home: Path) -> str:
    site = home / "reports/collections/tiny"
    version = site.readlink().name.partition("-")[0]
    files = {path.name: path.read_bytes() for path in site.iterdir()}
    assert site.readlink().name.rstrip("+").endswith(swap.digest(files))
    assert any(f"share {share}".encode() in files["index.html"] for share in SHARE[version])
    return version


def healed() -> list[str]:
    """What still disagrees after mending; and what waits for nobody, though nothing was decided about it."""
    _, left = mend(examine())
    undecided = [run for run in Ledger(settings().ledger).runs_of(NAME) if run.status not in DECIDED]
    forgotten = {run.run_id for run in undecided if verdict_of(run.run_id)["approved"]} - {
        item.run_id for item in waiting()
    }
    return [*forgotten] + [f"{item.what}: {item.found}, {item.expected}" for item in left]


def aftermath(act: Callable[[], object], home: Path) -> list[tuple[list[str], dict[str, str | None]]]:
    """What disagrees and what is seen after mending; and after trying again what was killed."""
    mended = (healed(), seen(home))
    act()  # as a task that is tried again
    return [mended, (healed(), seen(home))]


def promoted() -> str | None:
    return promote(TWO)


def published() -> str:
    return publish(NAME, "publish-2").version


def rolled_back() -> None:
    """Whoever finds it decided already asks no more."""
    champion = Ledger(settings().ledger).champion(NAME)
    if champion is not None and champion.version != "1":
        roll_back(NAME, to="1", who="a test", why="of a roll-back")


def _promoted_and_published() -> None:
    promoted()
    published()


def another_promoted(share: float) -> None:
    """Version 3 won meanwhile: version 2 must be judged again, against it."""
    retrain("tiny-3", share=share)
    assert approve("tiny-3")
    promote("tiny-3")


@dataclass(frozen=True)
class Case:
    """What is killed, in what state; which reader's version it ends with; how many steps there must be at least."""

    prepare: Callable[[], object]
    act: Callable[[], object]
    least: int
    since: str = ""


CASES = {
    "promote": Case(lambda: None, promoted, 5),
    "promote after another, and win again": Case(lambda: another_promoted(2.0), promoted, 25),
    # until the second judgement is recorded the steps are those of the case before
    "promote after another, and lose": Case(lambda: another_promoted(1.0), promoted, 8, "data/explanations"),
    "publish": Case(promoted, published, 25),
    "roll back": Case(_promoted_and_published, rolled_back, 3),
}


@pytest.mark.parametrize("name", list(CASES))
def test_killed_at_any_step(built: Shop, name: str) -> None:
    case = CASES[name]
    built.fresh()
    built.run(case.prepare)
    built.keep()
    points = built.run(lambda: steps(case.act, built.home, case.since))
    new, old = seen(built.home)["ledger"], seen(built.before)
    assert len(points) >= case.least
    for number in points:
        built.restore()
        assert built.run(lambda at=number: killed_at(at, case.act)) == {"killed": signal.SIGKILL}
        for reader, version in seen(built.home).items():
            assert version in (old[reader], new), (number, reader)
        mended, repeated = built.run(lambda: aftermath(case.act, built.home))
        assert (mended[0], len(set(mended[1].values()))) == ([], 1), (number, mended)
        assert (repeated[0], set(repeated[1].values())) == ([], {new}), (number, repeated)


def broken_where_it_can_be_mended(home: Path) -> None:
    """One of each disagreement that follows from a crash or a careless hand."""
    from mlflow import MlflowClient

    client = MlflowClient(settings().mlflow, settings().mlflow)
    client.set_registered_model_alias(NAME, "champion", "2")
    client.set_model_version_tag(NAME, "1", "data_digest", "another")
    half = client.create_run("1", tags={"bellwether.run_id": TWO})
    client.create_model_version(NAME, str(home), run_id=half.info.run_id)
    ledger = Ledger(settings().ledger)
    ledger.update_run("tiny-1", status="approved")
    ledger.open_run(
        Run(run_id="publish-9", kind="publish", family=NAME, as_of=AS_OF, opened_at=datetime(2020, 1, 1))
    )
    for name in (".tiny-3.tmp", "reproduce-tiny-1-20250301", "publish-9"):
        (home / "runs" / name).mkdir()
    with duckdb.connect(str(home / "warehouse.duckdb")) as warehouse:
        warehouse.execute("DELETE FROM bellwether_expected_units WHERE product_id = 'p00'")
        warehouse.execute("UPDATE bellwether_tiny_collection_items SET lift = 999")
    site = home / "reports/collections/tiny"
    (site / "index.html").write_text("somebody's own words")
    site.with_name(".tiny.0123").symlink_to("nowhere")


def broken_for_good(home: Path) -> None:
    """One of each that a person has to look at."""
    from mlflow import MlflowClient

    run = Ledger(settings().ledger).run("tiny-1")
    lock = versioning.parse_lock(run.lock)
    store = stored_in(home)
    features = versioning.digest_of(lock, f"features-{NAME}", f"data/features/{NAME}")
    stored.drop(store, [features])
    (home / "remote/files/md5" / features[:2] / features[2:]).unlink()
    with sqlite3.connect(home / "ledger.db") as ledger:
        ledger.execute("DROP TRIGGER decisions_no_UPDATE")
        ledger.execute("UPDATE decisions SET why = 'as I remember it'")
    MlflowClient(settings().mlflow, settings().mlflow).delete_model_version(NAME, "1")


def stored_in(home: Path) -> versioning.Store:
    return versioning.Store(home / "cache", str(home / "remote"), home / "dvc-site")


def told(*words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the command."""
    result = CliRunner().invoke(app, ["doctor", "--json", *words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


def test_each_disagreement_is_named_and_mended(built: Shop) -> None:
    def act() -> list[Any]:
        broken_where_it_can_be_mended(built.home)
        return [told(), told("--mend"), told()]

    built.fresh()
    (code, named), (mended, deeds), (after, agreed) = built.run(act)
    said = "\n".join(item["what"] for item in named["findings"])
    assert (code, mended, after) == (3, 0, 0), deeds
    for words in (
        "run tiny-1 is not marked as decided",
        "alias `champion` is not at the champion",
        "tags of version 1 in the registry differ",
        "version 3 of the registry is not in the ledger",
        "table bellwether_expected_units of the warehouse was changed",
        "table bellwether_tiny_collection_items of the warehouse was changed",
        "files of the landing pages were changed",
        "publish publish-9 did not end",
        "drafts of landing pages were left",
        "a workspace of a killed process was left",
    ):
        assert words in said
    assert all(item["mendable"] and item["found"] and item["expected"] for item in named["findings"])
    assert agreed == {"agree": True, "mended": [], "findings": []}
    assert set(seen(built.home).values()) == {"1"}
    assert sorted(path.name for path in (built.home / "runs").glob("[.r]*")) == []


def test_what_needs_a_person_is_named_and_left_alone(built: Shop) -> None:
    def act() -> list[Any]:
        broken_for_good(built.home)
        return [told(), told(NAME, "--mend")]

    built.fresh()
    shutil.copytree(built.home / "cache", built.home.with_name("spare"))
    (code, _), (still, left) = built.run(act)
    shutil.copytree(built.home.with_name("spare"), built.home / "cache", dirs_exist_ok=True)
    assert (code, still) == (3, 3)
    said = {item["what"]: item for item in left["findings"]}
    lost = "data of version 1 is lost: data/features/tiny"
    assert set(said) == {"the chain of decisions is broken", "version 1 is not in the registry", lost,
                         "MLflow's alias `champion` is not at the champion",
                         "the model of version 1 in the registry is not the one that was judged"}  # fmt: skip
    assert all(item["next_step"] for item in left["findings"])
    assert "remote" in said[lost]["next_step"]


def test_a_changed_file_of_the_cache_goes_where_the_remote_has_it_and_stays_where_not(built: Shop) -> None:
    def act() -> list[Any]:
        store = stored_in(built.home)
        run = Ledger(settings().ledger).run("tiny-1")
        model = versioning.digest_of(versioning.parse_lock(run.lock), f"train@{NAME}", f"data/model/{NAME}")
        listing = stored.listings(store, [model])[model] or {}
        object_ = sorted(listing.values())[0]
        cached = built.home / "cache/files/md5" / object_[:2] / object_[2:]
        whole = cached.read_bytes()
        cached.unlink()  # the remote has a link to it
        cached.write_bytes(b"{}")
        spare = built.home / "remote/files/md5" / object_[:2] / object_[2:]
        spare.unlink()
        without = told()
        spare.write_bytes(whole)
        mended, there = told("--mend"), cached.exists()
        cached.write_bytes(whole)
        return [without, mended, there]

    built.fresh()
    (code, without), (mended, deeds), there = built.run(act)
    assert code == 3 and not without["findings"][0]["mendable"]
    assert (mended, deeds["agree"], there) == (0, True, False)


def test_a_deleted_last_decision_is_told_and_nothing_follows_who_deleted_it(built: Shop) -> None:
    def act() -> list[Any]:
        _promoted_and_published()
        with sqlite3.connect(built.home / "ledger.db") as ledger:
            ledger.execute("DROP TRIGGER decisions_no_DELETE")
            ledger.execute("DELETE FROM decisions WHERE seq = 2")
        assert Ledger(settings().ledger).broken_chain(NAME) == []
        return [told("--mend"), seen(built.home)]

    built.fresh()
    (code, left), shown = built.run(act)
    said = {item["what"]: item for item in left["findings"]}
    assert (code, left["mended"]) == (3, [])
    lost = said[f"a decision about run {TWO} is not in the ledger"]
    assert lost["expected"] == "decision 2 about it" and "backup" in lost["next_step"]
    assert not any(item["mendable"] for item in left["findings"])
    assert said["another version than the champion is published"]["next_step"].startswith("first the ledger")
    assert shown == {"ledger": "1", "alias": "2", "tables": "2", "pages": "2"}


def test_what_was_published_before_digests_were_kept_is_compared_by_its_rows(built: Shop) -> None:
    def act() -> list[str]:
        with sqlite3.connect(built.home / "ledger.db") as ledger:
            ledger.execute("UPDATE publications SET contents = '{}'")
        with duckdb.connect(str(built.home / "warehouse.duckdb")) as warehouse:
            warehouse.execute("UPDATE bellwether_expected_units SET mean = 999")
        return [item.what for item in examine()]

    built.fresh()
    assert built.run(act) == []


def said(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def test_who_decides_by_command_publishes_too_and_hears_where_airflow_still_asks(built: Shop) -> None:
    later = AS_OF + timedelta(days=7)

    def act() -> list[Any]:
        os.environ["BELLWETHER_AIRFLOW_URL"] = "http://127.0.0.1:8080"
        asked(TWO, dag_id="retrain_tiny", dag_run="manual__2025-03-01T00:00", task_id="approve")
        approved, first = said("approve", TWO, "--why", "fits the range"), seen(built.home)
        seal("ingest-2", later)
        back, second = said("rollback", NAME, "--why", "overstates p00"), seen(built.home)
        last = Ledger(settings().ledger).last_publication(NAME)
        assert last is not None
        return [approved, first, back, second, [last.version, last.as_of.isoformat()], healed()]

    built.fresh()
    approved, first, back, second, last, disagree = built.run(act)
    page = "dags/retrain_tiny/runs/manual__2025-03-01T00%3A00/tasks/approve/required_actions"
    assert f"answer Approve at http://127.0.0.1:8080/{page}" in approved
    assert f"published as of {AS_OF}: expected_units" in approved
    assert set(first.values()) == {"2"}
    assert "version 1 is champion again" in back and f"published as of {later}: expected_units" in back
    assert set(second.values()) == {"1"} and last == ["1", later.isoformat()]
    assert disagree == []


def test_a_ledger_that_was_never_made_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BELLWETHER_HOME", str(tmp_path))
    with pytest.raises(SeamUnavailable, match="the ledger has no tables yet"):
        examine()


def test_who_is_at_work_is_left_alone(built: Shop) -> None:
    def act() -> list[str]:
        for name in (".tiny-3.tmp", "reproduce-tiny-1-20250301"):
            (built.home / "runs" / name).mkdir()
        with workspace.held(built.home / "runs/.tiny-3.tmp"):
            return [item.found for item in examine()]

    built.fresh()
    assert built.run(act) == ["reproduce-tiny-1-20250301"]
