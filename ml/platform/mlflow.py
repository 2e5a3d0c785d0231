"""The embedded MLflow server: PostgreSQL behind it, artifacts in a folder that clients write to."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from ml.platform.ports import HOST
from ml.platform.postgres import Postgres
from ml.platform.processes import Command, python

PREFERRED_PORT = 5000
STAMP = f"mlflow-{version('mlflow')}"  # the schema that this release makes


def address(port: int) -> str:
    """Where the server answers."""
    return f"http://{HOST}:{port}"


def artifacts(home: Path) -> Path:
    """The folder of the artifacts: plots, models, cards."""
    return home / "artifacts"


def store_url(server: Postgres) -> str:
    """Its database."""
    return server.url("mlflow", "psycopg2")


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """No background jobs (they serve language-model features only), pools that suit one user."""
    return {
        **base,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SQLALCHEMYSTORE_POOL_SIZE": "3",
        "MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW": "5",
    }


def migration(server: Postgres) -> tuple[str, ...]:
    """Bring the tables to this release. An empty database needs none: the server makes its tables."""
    return python("-m", "mlflow", "db", "upgrade", store_url(server))


def command(home: Path, server: Postgres, port: int, base: Mapping[str, str]) -> Command:
    """How the server is started."""
    store = ("--backend-store-uri", store_url(server), "--default-artifact-root", str(artifacts(home)))
    return Command(
        part="mlflow",
        argv=python(
            *("-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
            *store,
            "--no-serve-artifacts",
        ),
        log=home / "logs" / "mlflow.log",
        environment=environment(base),
        address=address(port),
    )
