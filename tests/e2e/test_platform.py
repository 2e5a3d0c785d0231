"""The whole platform, for real: from nothing to a champion in service, and nothing left behind."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from project import copied
from psycopg.sql import SQL, Identifier
from rich.console import Console

from ml import platform
from ml.config import Settings
from ml.platform.airflow_api import Airflow
from ml.platform.credentials import LOGIN, password_file
from ml.platform.postgres import connect as connect_to
from ml.platform.processes import belonging, memory
from ml.platform.start import Platform
from ml.platform.state import load
from ml.seams.ledger import Ledger
from ml.seams.warehouse import connect

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
GIB = 2**30
SLOW = 60  # seconds; the machine has other work


@dataclass(frozen=True)
class Brought:
    """A platform after its first `up`, and what that said."""

    platform: Platform
    said: str

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    def airflow(self) -> Airflow:
        return Airflow(self.platform.airflow_url, LOGIN, self.platform.known.password)


@pytest.fixture(scope="module")
def brought() -> Iterator[Brought]:
    root = Path(tempfile.mkdtemp(prefix="bw-e2e-"))
    copied(root / "project")
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BELLWETHER_HOME", str(root / "home"))
        patch.setenv("BELLWETHER_PROJECT", str(root / "project"))
        settings = Settings(home=root / "home")
        try:
            running = platform.up(settings, Console(file=out, width=200), size="small")
            yield Brought(running, out.getvalue())
        finally:
            platform.down(settings)
            shutil.rmtree(root)


def test_ingest_retrain_and_publish_succeed(brought: Brought) -> None:
    states = {run.dag_id: run.state for run in brought.airflow().runs(LONG_AGO)}
    assert states["ingest"] == states["retrain_seasonality"] == states["publish_seasonality"] == "success"
    ledger = Ledger(brought.settings.ledger)
    champion, published = ledger.champion("seasonality"), ledger.last_publication("seasonality")
    assert champion is not None and published is not None  # a publication that is skipped succeeds too
    assert published.version == champion.version and sum(published.names.values()) > 0


def test_mlflow_and_the_ledger_agree_on_the_champion(brought: Brought) -> None:
    champion = Ledger(brought.settings.ledger).champion("seasonality")
    assert champion is not None
    found = httpx.get(
        f"{brought.platform.mlflow_url}/api/2.0/mlflow/registered-models/alias",
        params={"name": "seasonality", "alias": "champion"},
        timeout=SLOW,
    ).raise_for_status()
    assert found.json()["model_version"]["version"] == champion.version


def test_collections_are_published_as_pages_and_as_tables(brought: Brought) -> None:
    site = brought.settings.reports / "collections" / "seasonality"
    assert list(site.rglob("*.html"))
    with connect(brought.settings.warehouse) as warehouse:
        assert {"bellwether_forecasts", "bellwether_seasonality_collections"} <= warehouse.tables()


def test_up_ends_with_the_champion_and_the_addresses(brought: Brought) -> None:
    assert "seasonality" in brought.said and "baseline" in brought.said
    assert brought.platform.airflow_url in brought.said and brought.platform.mlflow_url in brought.said
    assert str(password_file(brought.settings.home)) in brought.said
    assert brought.platform.known.password in brought.said


def test_every_part_is_well_and_memory_stays_in_bounds(brought: Brought) -> None:
    found = platform.status(brought.settings)
    assert found.well, found
    assert memory(belonging(brought.platform.state)) < 6 * GIB


def test_ui_and_api_ask_for_the_password(brought: Brought) -> None:
    assert httpx.get(f"{brought.platform.airflow_url}/api/v2/dags", timeout=SLOW).status_code == 401


def test_the_desk_is_served_behind_airflow_s_login(brought: Brought) -> None:
    address = f"{brought.platform.airflow_url}/bellwether/"
    refused = httpx.get(address, timeout=SLOW)
    assert refused.status_code == 401 and "seasonality" not in refused.text
    login = {"username": LOGIN, "password": brought.platform.known.password}
    token = httpx.post(f"{brought.platform.airflow_url}/auth/token", json=login, timeout=SLOW).json()[
        "access_token"
    ]
    champion = Ledger(brought.settings.ledger).champion("seasonality")
    assert champion is not None
    with httpx.Client(cookies={"_token": token}, timeout=SLOW) as client:
        desk = client.get(address).raise_for_status().text
        assert f'href="families/seasonality?version={champion.version}"' in desk and "in service" in desk
        of_family = client.get(f"{address}families/seasonality").raise_for_status().text
        plot = client.get(f"{address}families/seasonality/plots/{champion.version}/totals.png")
        assert "families/seasonality/plots/" in of_family
        assert plot.headers["content-type"] == "image/png" and plot.content.startswith(b"\x89PNG")


def test_pages_ask_for_a_login(brought: Brought) -> None:
    for path in ("/bellwether/", "/bellwether/reports/collections/seasonality/index.html"):
        assert httpx.get(f"{brought.platform.airflow_url}{path}", timeout=SLOW).status_code == 401


def test_no_secret_is_in_a_log_a_database_or_a_run(brought: Brought) -> None:
    known, home = brought.platform.known, brought.settings.home
    secrets = (known.password, known.fernet_key, known.jwt_secret, known.api_secret)
    folders = [home / name for name in ("logs", "runs", "artifacts", "reports")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".log" for path in files)
    assert [path for path in files if any(secret.encode() in path.read_bytes() for secret in secrets)] == []
    for database in ("airflow", "mlflow", "ledger"):
        with connect_to(brought.platform.server, database) as connection:
            for row in connection.execute(
                "select tablename from pg_tables where schemaname = 'public'"
            ).fetchall():
                rows = connection.execute(
                    SQL("select t::text from {} t").format(Identifier(str(row[0])))
                ).fetchall()
                found = [text for (text,) in rows if any(secret in str(text) for secret in secrets)]
                assert found == [], f"{database}.{row[0]}"


def test_a_second_up_finds_everything_running(brought: Brought) -> None:
    before = load(brought.settings.home)
    out = io.StringIO()
    again = platform.up(Settings(home=brought.settings.home), Console(file=out, width=200))
    assert before is not None and again.state.parts == before.parts
    assert "nothing to train" in out.getvalue()
    assert again.known.password not in out.getvalue()


def test_down_leaves_no_process_and_the_next_up_finds_the_champion(brought: Brought) -> None:
    home = brought.settings.home
    assert platform.down(brought.settings) > 0
    assert belonging(brought.platform.state) == []
    assert platform.down(brought.settings) == 0
    assert not platform.status(brought.settings).well
    out = io.StringIO()
    again = platform.up(Settings(home=home), Console(file=out, width=200), demo=False)
    assert again.state.ports == brought.platform.state.ports
    assert Ledger(again.settings.ledger).champion("seasonality") is not None
